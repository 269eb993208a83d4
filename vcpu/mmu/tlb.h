/* tlb.h - softmmu TLB lookups, for the MMU's slow path and the engine's inlined fast path.
 *
 * Instruction fetches have their own TLB. It is filled when an instruction is fetched, or begins or ends in a
 * page, that it does not hold; to find a page in it changes nothing. So it need not be asked again while it
 * is known to hold the page: fetch_tag says so of the last page that was looked up, and the keys of jumps
 * (x64.h) of the pages of compiled code. What the TLBs hold is a function of the guest's instruction stream
 * alone, not of how it was cut into blocks: stale translations and accessed bits, which a guest can see, are
 * the same in every run.
 *
 * Each TLB has sets of two entries. Which of the two goes when a third page comes is the same in every run:
 * the one that came first (TLB_OLDER). In which way an entry lies is not: fast paths, and compiled code, look
 * at the first way alone, and whoever finds a page in the second way exchanges the two (tlb_promote, and a
 * stub of the back end, MATCH tlb_promote). Nothing else may depend on the way. */
#ifndef TANDEM_VCPU_MMU_TLB_H
#define TANDEM_VCPU_MMU_TLB_H

#include "vcpu/mmu/mmu.h"

#define PAGE_OFFSET_MASK (PAGE_BYTES - 1)
#define PAGE_OF(addr)    ((addr) & ~PAGE_OFFSET_MASK)

static inline unsigned tlb_index(uint32_t lin_addr)
{
    return lin_addr >> PAGE_BITS & (TLB_ENTRIES - 1);
}

/* Does the entry translate lin_addr, whatever the fast path may do? */
static inline bool tlb_holds(const struct tlb_entry *e, uint32_t lin_addr)
{
    return (e->tag & (~PAGE_OFFSET_MASK | TLB_VALID)) == (PAGE_OF(lin_addr) | TLB_VALID);
}

/* A physical page of 36 bits as an entry's phys_page: bits 32 to 35 are below the page. */
static inline uint32_t tlb_phys_packed(phys_addr_t phys_page)
{
    return (uint32_t)phys_page | (uint32_t)(phys_page >> 32);
}
static inline phys_addr_t tlb_phys(uint32_t packed)
{
    return (phys_addr_t)(packed & PAGE_OFFSET_MASK) << 32 | PAGE_OF(packed);
}

/* Of set `number`. */
static inline struct tlb_entry *tlb_way(struct vcpu *v, unsigned number, unsigned way)
{
    return &v->tlb[way][number / TLB_ENTRIES][number % TLB_ENTRIES];
}

/* The first way's. */
static inline struct tlb_entry *tlb_slot(struct vcpu *v, unsigned which, uint32_t lin_addr)
{
    return &v->tlb[0][which][tlb_index(lin_addr)];
}

/* If the second way holds the page, the first one does now. */
static inline bool tlb_promote(struct vcpu *v, unsigned which, uint32_t lin_addr)
{
    struct tlb_entry *first = tlb_slot(v, which, lin_addr), *second = first + TLB_SETS, was = *first;
    if (!tlb_holds(second, lin_addr))
        return false;
    *first = *second;
    *second = was;
    return true;
}

/* The entry of the page, in the first way; NULL: there is none. */
static inline struct tlb_entry *tlb_find(struct vcpu *v, unsigned which, uint32_t lin_addr)
{
    struct tlb_entry *e = tlb_slot(v, which, lin_addr);
    return tlb_holds(e, lin_addr) || tlb_promote(v, which, lin_addr) ? e : NULL;
}

/* The fetch tag says the privilege too: user rights are checked at the fetch. */
static inline uint64_t tlb_fetch_tag(const struct vcpu *v, uint32_t lin_addr)
{
    return PAGE_OF(lin_addr) | mem_is_user(v);
}

static inline uint8_t *tlb_host(const struct tlb_entry *e, uint32_t lin_addr)
{
    return (uint8_t *)(e->addend + lin_addr);
}

/* Where in memory the fetch TLB has the page of lin_addr, or MEM_NOWHERE. Changes nothing. */
static inline uint32_t tlb_fetch_page(struct vcpu *v, uint32_t lin_addr)
{
    const struct tlb_entry *e = tlb_slot(v, TLB_FETCH + mem_is_user(v), lin_addr);
    return e->tag_r == PAGE_OF(lin_addr) ? e->phys_page : MEM_NOWHERE;
}

/* Makes another page the current fetch page if the fetch TLB has it, without a fill. */
static inline bool fetch_page_hits(struct vcpu *v, uint32_t lin_addr)
{
    const struct tlb_entry *e = tlb_find(v, TLB_FETCH + mem_is_user(v), lin_addr);
    if (!e || e->tag_r != PAGE_OF(lin_addr))
        return false;
    v->fetch_tag = tlb_fetch_tag(v, lin_addr);
    v->fetch_phys_page = e->phys_page;
    v->fetch_host = tlb_host(e, PAGE_OF(lin_addr));
    return true;
}

#endif
