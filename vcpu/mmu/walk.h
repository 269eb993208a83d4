/* walk.h - from a linear to a physical page, as the page tables say now. Threads: the vCPU's. */
#ifndef TANDEM_VCPU_MMU_WALK_H
#define TANDEM_VCPU_MMU_WALK_H

#include "vcpu/mmu/tlb.h"

struct access_rights {
    bool write, user, fetch;
};

struct walk {
    phys_addr_t phys_page;
    mem_addr_t pde_at, pte_at; /* where it came from; MEM_NOWHERE: nowhere, or in no memory */
    bool writable;             /* at this privilege, with D already set */
    bool global, large;
    bool supervisor; /* no user may access it */
};

/* False: #PF recorded, or redo_single. */
bool page_walk(struct vcpu *v, uint32_t lin_addr, struct access_rights want, struct walk *w);

/* Must the store be an instruction of its own, since the running block may be what it changes? */
static inline bool store_is_into_code(const struct vcpu *v, mem_addr_t at, unsigned bytes)
{
    return (v->watcher.pages[at >> PAGE_BITS] & MEM_WATCH_CODE) && tbcache_overlaps(v, at, bytes);
}

static inline mem_addr_t target_at(mem_target_t t, phys_addr_t phys_addr)
{
    return (mem_addr_t)mem_target_addr(t) | (phys_addr & PAGE_OFFSET_MASK);
}

#endif
