/* fixture_mmu.c - the real MMU: identity page tables over real RAM, paging on. No code pages, no devices. */
#include "fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define PAGE_DIRECTORY 0x100000u
#define PAGE_TABLE     0x101000u

static struct ram ram;

bool tbcache_page_has_code(const struct vcpu *v, uint32_t phys_page)
{
    return false;
}

bool tbcache_overlaps(const struct vcpu *v, uint32_t phys_addr, unsigned bytes)
{
    return false;
}

void tbcache_invalidate(struct vcpu *v, uint32_t phys_addr, uint64_t bytes)
{
}

uint32_t io_mmio_read(struct vcpu *v, uint32_t phys_addr, unsigned bytes)
{
    cr_assert_fail("MMIO read at %x", phys_addr);
    return 0;
}

void io_mmio_write(struct vcpu *v, uint32_t phys_addr, unsigned bytes, uint32_t value)
{
    cr_assert_fail("MMIO write at %x", phys_addr);
}

struct vcpu *fx_memory_create(void)
{
    struct vcpu *v = calloc(1, sizeof *v);
    cr_assert(v && ram_init(&ram, FX_RAM_BYTES) == 0);
    v->cfg.ram = &ram;
    cr_assert(spaces_init(v));
    tlb_init(v);
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
    spaces_free(v);
    ram_free(&ram);
    free(v);
}

uint32_t fx_peek(struct vcpu *v, uint32_t addr, unsigned bytes)
{
    uint32_t value = 0;
    cr_assert(ram_read(&ram, addr, &value, bytes));
    return value;
}

void fx_poke(struct vcpu *v, uint32_t addr, unsigned bytes, uint32_t value)
{
    cr_assert(ram_write(&ram, addr, &value, bytes));
}

void fx_protect(struct vcpu *v, uint32_t addr, enum fx_rights r)
{
    static const uint32_t bits[] = {[FX_ALL] = 7, [FX_READ_ONLY] = 5, [FX_SUPERVISOR] = 3, [FX_UNMAPPED] = 6};
    uint32_t page = addr / PAGE_BYTES;
    fx_poke(v, PAGE_TABLE + page * 4, 4, page * PAGE_BYTES | bits[r]);
    tlb_flush(v);
}
