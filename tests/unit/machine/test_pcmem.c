/* pcmem.c: what lies where in a PC, and which remap switches which region. */
#include "machine/pcmem.h"

#include <criterion/criterion.h>

#include "hw/pc.h"
#include "mem/remap.h"

#define RAM (UINT64_C(8) << 20)

static struct physmem mem;

static bool is_ram(phys_addr_t addr)
{
    struct map_entry s = physmem_lookup(&mem, addr);
    return s.read == s.write && s.read == mem_target(MEM_RAM, addr & ~(phys_addr_t)(PAGE_BYTES - 1));
}

Test(pcmem, as_a_kernel_finds_it)
{
    cr_assert_eq(pcmem_init(&mem, RAM), 0);
    for (phys_addr_t addr = 0; addr < RAM; addr += PAGE_BYTES) {
        bool video = addr >= 0xa0000 && addr < 0xc0000;
        cr_assert(video ? mem_target_kind(physmem_lookup(&mem, addr).write) == MEM_VRAM : is_ram(addr), "%lx",
                  (unsigned long)addr);
    }
    cr_assert_eq(mem_target_kind(physmem_lookup(&mem, RAM).read), MEM_BUS);
    cr_assert_eq(physmem_remap_value(&mem, PC_REMAP_A20), 1);
    physmem_free(&mem);
}

/* Every region is whole, and none has a page of its neighbours. */
Test(pcmem, each_pam_region_has_its_pages)
{
    cr_assert_eq(pcmem_init(&mem, RAM), 0);
    for (unsigned n = PC_REMAP_PAM; n < PC_REMAPS; n++) {
        phys_addr_t first = n == PC_REMAP_PAM ? 0xf0000 : 0xc0000 + (n - PC_REMAP_PAM - 1) * 0x4000;
        phys_addr_t end = first + (n == PC_REMAP_PAM ? 0x10000 : 0x4000);
        physmem_remap(&mem, n, MEM_SHADOW_READ);
        for (phys_addr_t addr = 0xc0000; addr < 0x110000; addr += PAGE_BYTES)
            cr_assert_eq(is_ram(addr), addr < first || addr >= end, "region %u, %lx", n, (unsigned long)addr);
        struct map_entry s = physmem_lookup(&mem, first);
        cr_assert(mem_target_kind(s.read) == MEM_RAM && mem_target_kind(s.write) == MEM_BUS);
        physmem_remap(&mem, n, 0);
        cr_assert_eq(mem_target_kind(physmem_lookup(&mem, end - 1).read), MEM_BUS);
        physmem_remap(&mem, n, MEM_SHADOW_READ | MEM_SHADOW_WRITE);
        cr_assert(is_ram(first));
    }
    physmem_remap(&mem, PC_REMAP_PAM, 0);
    physmem_clear(&mem);
    cr_assert(is_ram(0xf0000), "a reset leaves RAM there: there is no firmware that would");
    physmem_free(&mem);
}
