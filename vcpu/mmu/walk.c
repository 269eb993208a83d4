/* walk.c - page tables: what an access through them may do, and where it goes.
 *
 * 32-bit paging with 4 KiB and 4 MiB pages (SDM 3A 4.3), and PAE with 4 KiB and 2 MiB pages and NX (SDM
 * 3A 4.4); accessed and dirty bits, write protection, user rights, reserved bits, #PF with exact error code
 * and CR2. The walk sets A (and D for a write) only when the access is allowed. With paging off, linear is
 * physical.
 *
 * Physical addresses have MEM_PHYS_BITS bits; those above are reserved in 64-bit entries. The four page
 * directory pointers of PAE are registers: loaded with CR3, and when paging begins (SDM 3A 4.4.1), not looked
 * at in memory.
 *
 * Page tables in no memory read as all ones, as unmapped memory does; updates to them are lost, as in a ROM.
 */
#include "vcpu/mmu/walk.h"
#include "vcpu/mmu/pte.h"

#include <string.h>

enum { PF_P = 1, PF_W = 2, PF_U = 4, PF_RSVD = 8, PF_I = 16 };

struct table_entry {
    mem_addr_t at, store_at; /* where loads and stores of it go; MEM_NOWHERE: to no memory */
    uint64_t value;
};

static uint32_t load32(const struct vcpu *v, mem_addr_t at)
{
    uint32_t value;
    memcpy(&value, v->cfg.mem->host + at, sizeof value);
    return value;
}

static struct table_entry entry_at(const struct vcpu *v, phys_addr_t phys_addr)
{
    struct map_entry s = physmem_lookup(v->cfg.mem, phys_addr);
    struct table_entry e = {MEM_NOWHERE, MEM_NOWHERE, ~UINT64_C(0)};
    if (mem_target_is_memory(s.read))
        e.at = target_at(s.read, phys_addr);
    if (mem_target_is_memory(s.write) && mem_target_kind(s.write) != MEM_ROM)
        e.store_at = target_at(s.write, phys_addr);
    return e;
}

static struct table_entry entry32(const struct vcpu *v, phys_addr_t phys_addr)
{
    struct table_entry e = entry_at(v, phys_addr);
    e.value = e.at == MEM_NOWHERE ? UINT32_MAX : load32(v, e.at);
    return e;
}

static struct table_entry entry64(const struct vcpu *v, phys_addr_t phys_addr)
{
    struct table_entry e = entry_at(v, phys_addr);
    if (e.at != MEM_NOWHERE)
        memcpy(&e.value, v->cfg.mem->host + e.at, sizeof e.value);
    return e;
}

/* May the walk set bits in the entry? If it is also code of a running block, the instruction must run alone.
 * A fetch is between two blocks. */
static bool entry_may_set(struct vcpu *v, struct access_rights want, const struct table_entry *e,
                          uint32_t bits)
{
    if (want.fetch || v->in_single || (e->value & bits) == bits || e->store_at == MEM_NOWHERE ||
        !store_is_into_code(v, e->store_at, 4))
        return true;
    v->redo_single = true;
    return false;
}

/* In the entry's low half. Nothing that is cached depends on the bits: no page table watcher need know. */
static void entry_set_bits(struct vcpu *v, const struct table_entry *e, uint32_t bits)
{
    if ((e->value & bits) == bits || e->store_at == MEM_NOWHERE)
        return;
    /* A directory may map itself: its A bit may just have been set in this very entry. */
    uint32_t now = e->at == MEM_NOWHERE ? (uint32_t)e->value : load32(v, e->at);
    physmem_store(v->cfg.mem, v->cfg.number, e->store_at, sizeof now, now | bits, MEM_WATCH_CODE);
}

static bool has_nx(const struct vcpu *v)
{
    return is_pae(v->g.cr4) && (v->g.efer & EFER_NXE);
}

static bool page_fault(struct vcpu *v, uint32_t lin_addr, struct access_rights want, uint32_t code)
{
    v->g.cr2 = lin_addr;
    vcpu_raise_error(v, EXC_PF,
                     code | (want.write ? PF_W : 0) | (want.user ? PF_U : 0) |
                         (want.fetch && has_nx(v) ? PF_I : 0));
    return false;
}

static bool may_write(const struct vcpu *v, bool user, uint64_t rights)
{
    return (rights & PTE_RW) || (!user && !(v->g.cr0 & CR0_WP));
}

/* The last entry: the directory's for a large page, else the table's. */
static bool walk_end(struct vcpu *v, uint32_t lin_addr, struct access_rights want,
                     const struct table_entry *pde, const struct table_entry *last, struct walk *w)
{
    const uint64_t rights = pde->value & last->value;
    const uint32_t bits = PTE_A | (want.write ? PTE_D : 0);
    if ((want.user && !(rights & PTE_US)) || (want.write && !may_write(v, want.user, rights)) ||
        (want.fetch && ((pde->value | last->value) & PTE_NX)))
        return page_fault(v, lin_addr, want, PF_P);
    w->large = pde == last;
    if (!w->large && !entry_may_set(v, want, pde, PTE_A))
        return false;
    if (!entry_may_set(v, want, last, bits))
        return false;
    if (!w->large)
        entry_set_bits(v, pde, PTE_A);
    entry_set_bits(v, last, bits);
    w->writable = may_write(v, want.user, rights) && ((last->value | bits) & PTE_D);
    w->pde_at = pde->at;
    w->pte_at = w->large ? MEM_NOWHERE : last->at;
    w->supervisor = !(rights & PTE_US);
    w->global = (last->value & PTE_G) && (v->g.cr4 & CR4_PGE);
    return true;
}

/* Without the PAT its bit is reserved (SDM 3A 4.3, 4.4.2). */
static uint32_t pat_bit(const struct vcpu *v, uint32_t bit)
{
    return cpu_model_has(&v->cfg.model, FEATURE_PAT) ? 0 : bit;
}

/* --- 32-bit paging. Bits are reserved with CR4.PSE alone --- */

static uint32_t pde_large_reserved(const struct vcpu *v)
{
    return (cpu_model_has(&v->cfg.model, FEATURE_PSE36) ? 0x003e0000u : 0x003fe000u) |
           pat_bit(v, PDE_LARGE_PAT);
}

static bool walk_32(struct vcpu *v, uint32_t lin_addr, struct access_rights want, struct walk *w)
{
    const bool pse = v->g.cr4 & CR4_PSE;
    const struct table_entry pde = entry32(v, PAGE_OF(v->g.cr3) + (lin_addr >> 22) * 4);
    if (!(pde.value & PTE_P))
        return page_fault(v, lin_addr, want, 0);
    if ((pde.value & PTE_PS) && pse) {
        if (pde.value & pde_large_reserved(v))
            return page_fault(v, lin_addr, want, PF_P | PF_RSVD);
        w->phys_page = pde_large_4m(&v->cfg.model, pde.value) | (lin_addr & 0x003ff000u);
        return walk_end(v, lin_addr, want, &pde, &pde, w);
    }
    const struct table_entry pte = entry32(v, (pde.value & PTE_ADDR) + (lin_addr >> PAGE_BITS & 0x3ff) * 4);
    if (!(pte.value & PTE_P))
        return page_fault(v, lin_addr, want, 0);
    if (pse && (pte.value & pat_bit(v, PTE_PAT)))
        return page_fault(v, lin_addr, want, PF_P | PF_RSVD);
    w->phys_page = pte.value & PTE_ADDR;
    return walk_end(v, lin_addr, want, &pde, &pte, w);
}

/* --- PAE --- */

static uint64_t pae_reserved(const struct vcpu *v)
{
    return v->g.efer & EFER_NXE ? PAE_RESERVED : PAE_RESERVED | PTE_NX;
}

static bool walk_pae(struct vcpu *v, uint32_t lin_addr, struct access_rights want, struct walk *w)
{
    const uint64_t pdpte = v->g.pdptr[lin_addr >> 30];
    if (!(pdpte & PTE_P))
        return page_fault(v, lin_addr, want, 0);
    const struct table_entry pde = entry64(v, (pdpte & PTE_ADDR) + (lin_addr >> 21 & 0x1ff) * 8);
    const bool large = pde.value & PTE_PS;
    if (!(pde.value & PTE_P))
        return page_fault(v, lin_addr, want, 0);
    if (pde.value & (pae_reserved(v) | (large ? 0x1fe000u | pat_bit(v, PDE_LARGE_PAT) : 0)))
        return page_fault(v, lin_addr, want, PF_P | PF_RSVD);
    if (large) {
        w->phys_page = pde_large_2m(pde.value) | (lin_addr & 0x1ff000u);
        return walk_end(v, lin_addr, want, &pde, &pde, w);
    }
    const struct table_entry pte = entry64(v, (pde.value & PTE_ADDR) + (lin_addr >> PAGE_BITS & 0x1ff) * 8);
    if (!(pte.value & PTE_P))
        return page_fault(v, lin_addr, want, 0);
    if (pte.value & (pae_reserved(v) | pat_bit(v, PTE_PAT)))
        return page_fault(v, lin_addr, want, PF_P | PF_RSVD);
    w->phys_page = pte.value & PTE_ADDR;
    return walk_end(v, lin_addr, want, &pde, &pte, w);
}

bool page_walk(struct vcpu *v, uint32_t lin_addr, struct access_rights want, struct walk *w)
{
    if (v->g.cr0 & CR0_PG)
        return is_pae(v->g.cr4) ? walk_pae(v, lin_addr, want, w) : walk_32(v, lin_addr, want, w);
    *w = (struct walk){.phys_page = PAGE_OF(lin_addr),
                       .pde_at = MEM_NOWHERE,
                       .pte_at = MEM_NOWHERE,
                       .writable = true,
                       .supervisor = true};
    return true;
}

/* --- page directory pointers --- */

bool pdptrs_load(struct vcpu *v, uint32_t cr3, uint32_t cr0, uint32_t cr4)
{
    uint64_t pdptr[4];
    if (!(cr0 & CR0_PG) || !is_pae(cr4))
        return true;
    for (unsigned i = 0; i < 4; i++) {
        pdptr[i] = entry64(v, (cr3 & ~31u) + 8 * i).value;
        if ((pdptr[i] & PTE_P) && (pdptr[i] & PDPTE_RESERVED))
            return false;
    }
    memcpy(v->g.pdptr, pdptr, sizeof pdptr);
    return true;
}

bool pdptrs_wrong(const struct guest_state *g)
{
    for (unsigned i = 0; i < 4; i++)
        if ((g->pdptr[i] & PTE_P) && (g->pdptr[i] & PDPTE_RESERVED))
            return true;
    return false;
}
