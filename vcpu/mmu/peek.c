/* peek.c - guest memory through any address space, to look at: no A bits, no TLB, no faults.
 *
 * What an access of the supervisor would read now if the TLB were empty, or, of code, what would be fetched;
 * the guest never knows. */
#include "vcpu/mmu/pte.h"
#include "vcpu/mmu/tlb.h"

#include <string.h>

/* Host pointer to a byte of memory; NULL: none is there. */
static const uint8_t *peek_host(const struct vcpu *v, phys_addr_t phys_addr)
{
    mem_target_t t = physmem_lookup(v->cfg.mem, phys_addr).read;
    if (!mem_target_is_memory(t))
        return NULL;
    return v->cfg.mem->host + mem_target_addr(t) + (phys_addr & (PAGE_BYTES - 1));
}

/* 0, which is not present, where there is no table. */
static uint64_t peek_entry(const struct vcpu *v, phys_addr_t table, uint32_t index, unsigned bytes)
{
    uint64_t value = 0;
    const uint8_t *at = peek_host(v, table + (phys_addr_t)index * bytes);
    if (at)
        memcpy(&value, at, bytes);
    return value;
}

static uint64_t peek_pdptr(const struct vcpu *v, uint32_t cr3, uint32_t lin_addr)
{
    if ((cr3 & ~31u) == (v->g.cr3 & ~31u))
        return v->g.pdptr[lin_addr >> 30];
    return peek_entry(v, cr3 & ~31u, lin_addr >> 30, 8);
}

/* SDM 3A 4.4. */
static const uint8_t *peek_pae(const struct vcpu *v, uint32_t cr3, uint32_t lin_addr)
{
    const uint64_t pdpte = peek_pdptr(v, cr3, lin_addr);
    if (!(pdpte & PTE_P))
        return NULL;
    const uint64_t pde = peek_entry(v, pdpte & PTE_ADDR, lin_addr >> 21 & 0x1ff, 8);
    if (!(pde & PTE_P))
        return NULL;
    if (pde & PTE_PS)
        return peek_host(v, pde_large_2m(pde) | (lin_addr & 0x1fffff));
    const uint64_t pte = peek_entry(v, pde & PTE_ADDR, lin_addr >> PAGE_BITS & 0x1ff, 8);
    return pte & PTE_P ? peek_host(v, (pte & PTE_ADDR) | (lin_addr & (PAGE_BYTES - 1))) : NULL;
}

/* SDM 3A 4.3. */
static const uint8_t *peek_32(const struct vcpu *v, uint32_t cr3, uint32_t lin_addr)
{
    const uint64_t pde = peek_entry(v, cr3 & PTE_ADDR, lin_addr >> 22, 4);
    if (!(pde & PTE_P))
        return NULL;
    if ((pde & PTE_PS) && (v->g.cr4 & CR4_PSE))
        return peek_host(v, pde_large_4m(&v->cfg.model, pde) | (lin_addr & 0x3fffff));
    const uint64_t pte = peek_entry(v, pde & PTE_ADDR, lin_addr >> PAGE_BITS & 0x3ff, 4);
    return pte & PTE_P ? peek_host(v, (pte & PTE_ADDR) | (lin_addr & (PAGE_BYTES - 1))) : NULL;
}

const uint8_t *vcpu_peek_byte(const struct vcpu *v, uint32_t cr3, uint32_t lin_addr)
{
    if (!(v->g.cr0 & CR0_PG))
        return peek_host(v, lin_addr);
    return is_pae(v->g.cr4) ? peek_pae(v, cr3, lin_addr) : peek_32(v, cr3, lin_addr);
}

size_t vcpu_peek(const struct vcpu *v, uint32_t cr3, uint32_t lin_addr, void *to, size_t bytes)
{
    size_t done = 0;
    while (done < bytes) {
        uint32_t at = lin_addr + (uint32_t)done;
        size_t n = PAGE_BYTES - (at & (PAGE_BYTES - 1));
        const uint8_t *host = vcpu_peek_byte(v, cr3, at);
        if (!host)
            break;
        n = n < bytes - done ? n : bytes - done;
        memcpy((uint8_t *)to + done, host, n);
        done += n;
    }
    return done;
}

/* Where the fetch TLB has it, in whichever way; NULL: it has not. */
static const uint8_t *fetched(const struct vcpu *v, uint32_t lin_addr)
{
    for (unsigned way = 0; way < TLB_WAYS; way++) {
        const struct tlb_entry *e = &v->tlb[way][TLB_FETCH + mem_is_user(v)][tlb_index(lin_addr)];
        if (e->tag_r == PAGE_OF(lin_addr))
            return tlb_host(e, lin_addr);
    }
    return NULL;
}

size_t vcpu_peek_code(const struct vcpu *v, void *to, size_t bytes)
{
    const uint32_t at = v->g.seg[SEG_CS].base + v->g.eip;
    const size_t room = PAGE_BYTES - (at & PAGE_OFFSET_MASK);
    const uint8_t *host = fetched(v, at);
    size_t done = 0;
    if (host) {
        done = bytes < room ? bytes : room;
        memcpy(to, host, done);
    }
    return done + vcpu_peek(v, v->g.cr3, at + (uint32_t)done, (uint8_t *)to + done, bytes - done);
}
