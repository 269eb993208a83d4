/* fixture_flat.c - memory without an MMU: an array, and rights per page that fault as page tables would. */
#include "fixture.h"

#include <criterion/criterion.h>
#include <string.h>

static uint8_t ram[FX_RAM_BYTES + 16];
static uint8_t rights[FX_RAM_BYTES / PAGE_BYTES];
static struct vcpu the_vcpu;

struct vcpu *fx_memory_create(void)
{
    static bool used; /* what is zero already costs a page fault a page to clear */
    if (used) {
        memset(ram, 0, sizeof ram);
        memset(&the_vcpu, 0, sizeof the_vcpu);
    }
    used = true;
    memset(rights, FX_ALL, sizeof rights);
    the_vcpu.g.cr0 = CR0_WP;
    for (unsigned i = 0; i < TLB_ENTRIES; i++) /* no fast way */
        the_vcpu.tlb[0][TLB_DATA][i].tag_r = the_vcpu.tlb[0][TLB_DATA + 1][i].tag_r = TLB_NONE;
    return &the_vcpu;
}

void fx_memory_destroy(struct vcpu *v)
{
}

uint32_t fx_peek(struct vcpu *v, uint32_t addr, unsigned bytes)
{
    uint32_t value = 0;
    memcpy(&value, ram + addr, bytes);
    return value;
}

void fx_poke(struct vcpu *v, uint32_t addr, unsigned bytes, uint32_t value)
{
    memcpy(ram + addr, &value, bytes);
}

void fx_protect(struct vcpu *v, uint32_t addr, enum fx_rights r)
{
    rights[addr / PAGE_BYTES] = (uint8_t)r;
}

static bool page_ok(struct vcpu *v, uint32_t addr, bool user, bool write)
{
    cr_assert(addr < FX_RAM_BYTES, "access at %x", addr);
    unsigned r = rights[addr / PAGE_BYTES];
    if (r == FX_ALL || (r == FX_READ_ONLY && !write) || (r == FX_SUPERVISOR && !user))
        return true;
    v->g.cr2 = addr;
    vcpu_raise_error(v, EXC_PF, (r != FX_UNMAPPED) | (uint32_t)write << 1 | (uint32_t)user << 2);
    return false;
}

static bool range_ok(struct vcpu *v, uint32_t addr, unsigned bytes, bool user, bool write)
{
    uint32_t last = addr + bytes - 1;
    if (!page_ok(v, addr, user, write))
        return false;
    return addr / PAGE_BYTES == last / PAGE_BYTES || page_ok(v, last & ~(PAGE_BYTES - 1), user, write);
}

bool mem_read_parts(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool user, uint64_t *value)
{
    if (!range_ok(v, lin_addr, bytes, user, false))
        return false;
    *value = 0;
    memcpy(value, ram + lin_addr, bytes);
    return true;
}

bool mem_write(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool user, uint64_t value)
{
    if (!range_ok(v, lin_addr, bytes, user, true))
        return false;
    memcpy(ram + lin_addr, &value, bytes);
    return true;
}

bool mem_probe_write(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool user)
{
    return range_ok(v, lin_addr, bytes, user, true);
}

bool mem_probe_write_run(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool user)
{
    return range_ok(v, lin_addr, bytes, user, true);
}

void vcpu_alignment_changed(struct vcpu *v)
{
}

/* No TLB: pushes and returns go the general way. */
uint8_t *mem_fast_run(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool user)
{
    return NULL;
}

uint8_t *mem_fast_read_run(struct vcpu *v, uint32_t lin_addr, unsigned bytes)
{
    return NULL;
}

void tlb_flush(struct vcpu *v)
{
    v->stats.tlb_flushes++;
}

bool tlb_switch(struct vcpu *v, uint32_t cr3)
{
    v->g.cr3 = cr3;
    v->stats.tlb_flushes++;
    return true;
}

bool pdptrs_load(struct vcpu *v, uint32_t cr3, uint32_t cr0, uint32_t cr4)
{
    return true;
}

bool pdptrs_wrong(const struct guest_state *g)
{
    return false;
}

void tlb_flush_page(struct vcpu *v, uint32_t lin_addr)
{
    v->stats.tlb_flushes++;
}
