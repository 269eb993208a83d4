/* devsites.c - instructions that were seen to access a device, by their place in memory.
 *
 * An access to a device may change what comes next: an interrupt, the limit. In the middle of a block that
 * would go unseen; so the block is left there, and the instruction runs as a block of its own. That costs as
 * much as twenty short blocks, and most instructions that access a device do so again. So their places are
 * remembered, blocks end before them, and each gets a device block (tb.h), which is compiled and chained to
 * as others are. Which instructions are remembered can never be seen by the guest: a block may end anywhere.
 *
 * Each place has one slot, by its address: what comes later takes it, and what was there is learnt anew. */
#include "vcpu/engine/engine.h"

static unsigned slot_of(mem_addr_t at)
{
    return (at ^ at >> 12) % DEVSITES;
}

static uint64_t page_bit(mem_addr_t at)
{
    return UINT64_C(1) << (at >> PAGE_BITS) % 64;
}

void devsites_clear(struct vcpu *v)
{
    memset(v->devsites.at, 0xff, sizeof v->devsites.at);
    v->devsites.pages = 0;
}

bool devsites_has(const struct vcpu *v, mem_addr_t at)
{
    return (v->devsites.pages & page_bit(at)) && v->devsites.at[slot_of(at)] == at;
}

uint32_t devsites_next(const struct vcpu *v, mem_addr_t at)
{
    uint32_t next = PAGE_BYTES;
    if (!(v->devsites.pages & page_bit(at)))
        return 0;
    for (unsigned i = 0; i < DEVSITES; i++) {
        mem_addr_t site = v->devsites.at[i];
        if (PAGE_OF(site) == PAGE_OF(at) && site > at && site - at < next)
            next = site - at;
    }
    return next < PAGE_BYTES ? next : 0;
}

void devsites_learn(struct vcpu *v)
{
    uint32_t lin_addr = v->g.seg[SEG_CS].base + v->g.eip;
    mem_addr_t at = v->tb->phys_addr + (lin_addr - v->tb->lin_addr);
    v->redo_device = false;
    if (at >= v->cfg.mem->bytes || PAGE_OF(at) != PAGE_OF(v->tb->phys_addr) || devsites_has(v, at))
        return;
    v->devsites.at[slot_of(at)] = at;
    v->devsites.pages |= page_bit(at);
    tbcache_invalidate(v, at, 1);
}
