/* fixture_mmu.c - the real MMU: identity page tables over real RAM, paging on. No code pages, no devices. */
#include "fixture.h"
#include "vcpu/mmu/io.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define PAGE_DIRECTORY 0x100000u
#define PAGE_TABLE     0x101000u

static struct physmem mem;

bool tbcache_overlaps(const struct vcpu *v, mem_addr_t at, unsigned bytes)
{
    return false;
}

void tbcache_invalidate(struct vcpu *v, mem_addr_t first, uint64_t bytes)
{
}

uint32_t io_mmio_read(struct vcpu *v, uint64_t bus_addr, unsigned bytes)
{
    cr_assert_fail("MMIO read at %lx", (unsigned long)bus_addr);
    return 0;
}

void io_mmio_write(struct vcpu *v, uint64_t bus_addr, unsigned bytes, uint32_t value)
{
    cr_assert_fail("MMIO write at %lx", (unsigned long)bus_addr);
}

struct vcpu *fx_memory_create(void)
{
    struct vcpu *v = calloc(1, sizeof *v);
    cr_assert(v && physmem_init(&mem, FX_RAM_BYTES) == 0);
    v->cfg.mem = &mem;
    cr_assert(mmu_init(v));
    tlb_flush(v);
    fx_poke(v, PAGE_DIRECTORY, 4, PAGE_TABLE | 7);
    for (uint32_t addr = 0; addr < FX_RAM_BYTES; addr += PAGE_BYTES)
        fx_poke(v, PAGE_TABLE + addr / PAGE_BYTES * 4, 4, addr | 7);
    v->g.cr3 = PAGE_DIRECTORY;
    v->g.cr0 = CR0_PG | CR0_WP;
    return v;
}

void fx_memory_destroy(struct vcpu *v)
{
    mmu_free(v);
    physmem_free(&mem);
    free(v);
}

uint32_t fx_peek(struct vcpu *v, uint32_t addr, unsigned bytes)
{
    uint32_t value = 0;
    cr_assert(physmem_read(&mem, addr, &value, bytes));
    return value;
}

void fx_poke(struct vcpu *v, uint32_t addr, unsigned bytes, uint32_t value)
{
    cr_assert(physmem_write(&mem, addr, &value, bytes));
}

void fx_protect(struct vcpu *v, uint32_t addr, enum fx_rights r)
{
    static const uint32_t bits[] = {[FX_ALL] = 7, [FX_READ_ONLY] = 5, [FX_SUPERVISOR] = 3, [FX_UNMAPPED] = 6};
    uint32_t page = addr / PAGE_BYTES;
    fx_poke(v, PAGE_TABLE + page * 4, 4, page * PAGE_BYTES | bits[r]);
    tlb_flush(v);
}
