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
    cr_assert_eq(pcmem_init(&mem, RAM, NULL, 0, false), 0);
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
    cr_assert_eq(pcmem_init(&mem, RAM, NULL, 0, false), 0);
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

/* --- with a ROM --- */

#define ROM_BYTES (3 * PCMEM_ROM_UNIT)

static uint8_t rom[ROM_BYTES];

/* Each byte of the ROM is its page's number. */
static void init_with_rom(uint32_t bytes)
{
    for (uint32_t i = 0; i < sizeof rom; i++)
        rom[i] = (uint8_t)(i / PAGE_BYTES + 1);
    cr_assert_eq(pcmem_init(&mem, RAM, rom, bytes, false), 0);
}

static int byte_at(phys_addr_t addr)
{
    uint8_t b;
    return physmem_read(&mem, addr, &b, 1) ? b : -1;
}

Test(pcmem, rom_below_4_gib_and_below_1_mib)
{
    for (uint32_t bytes = PCMEM_ROM_UNIT; bytes <= ROM_BYTES; bytes += PCMEM_ROM_UNIT) {
        init_with_rom(bytes);
        for (uint32_t at = 0; at < bytes; at += PAGE_BYTES)
            cr_assert_eq(byte_at(0x100000000u - bytes + at), rom[at]);
        cr_assert_eq(byte_at(0x100000000u - bytes - 1), -1, "the bus");
        for (phys_addr_t addr = 0xc0000; addr < 0x100000; addr += PAGE_BYTES) {
            bool shown = addr >= 0xe0000 && 0x100000 - addr <= bytes;
            cr_assert_eq(byte_at(addr), shown ? rom[bytes - (0x100000 - addr)] : -1, "%lx",
                         (unsigned long)addr);
        }
        physmem_free(&mem);
    }
}

/* As firmware copies itself: reads from the ROM, writes to the RAM below it; a reset shows the ROM again. */
Test(pcmem, shadowed_rom)
{
    const uint8_t mark = 0xaa;
    init_with_rom(ROM_BYTES);
    cr_assert_not(physmem_write(&mem, 0xf1000, &mark, 1), "ROM");
    cr_assert_not(physmem_write(&mem, 0xfffff000, &mark, 1), "ROM");
    physmem_remap(&mem, PC_REMAP_PAM, MEM_SHADOW_READ | MEM_SHADOW_WRITE);
    cr_assert_eq(byte_at(0xf1000), 0);
    cr_assert(physmem_write(&mem, 0xf1000, &mark, 1));
    physmem_remap(&mem, PC_REMAP_PAM, MEM_SHADOW_WRITE);
    cr_assert_eq(byte_at(0xf1000), rom[ROM_BYTES - 0xf000]);
    physmem_remap(&mem, PC_REMAP_PAM, MEM_SHADOW_READ);
    cr_assert_eq(byte_at(0xf1000), mark);
    physmem_remaps_reset(&mem);
    cr_assert_eq(byte_at(0xf1000), rom[ROM_BYTES - 0xf000]);
    physmem_remap(&mem, PC_REMAP_PAM, MEM_SHADOW_READ);
    cr_assert_eq(byte_at(0xf1000), mark, "RAM outlives a reset");
    physmem_free(&mem);
}
