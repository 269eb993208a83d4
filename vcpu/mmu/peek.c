/* peek.c - guest memory through any address space, to look at: no A bits, no TLB, no faults.
 *
 * What an access of the supervisor would read now if the TLB were empty; the guest never knows. */
#include "vcpu/mmu/mmu.h"

#include <string.h>

#define PTE_P  1u
#define PDE_PS 0x80u

/* Host pointer to a byte of memory; NULL: none is there. */
static const uint8_t *peek_host(const struct vcpu *v, phys_addr_t phys_addr)
{
    mem_target_t t = physmem_lookup(v->cfg.mem, phys_addr).read;
    if (!mem_target_is_memory(t))
        return NULL;
    return v->cfg.mem->host + mem_target_addr(t) + (phys_addr & (PAGE_BYTES - 1));
}

/* 0, which is not present, where there is no table. */
static uint32_t peek_entry(const struct vcpu *v, uint32_t table, uint32_t index)
{
    uint32_t value = 0;
    const uint8_t *at = peek_host(v, (table & ~(PAGE_BYTES - 1)) + (phys_addr_t)index * 4);
    if (at)
        memcpy(&value, at, sizeof value);
    return value;
}

/* SDM 3A 4.3. */
static const uint8_t *peek_lin(const struct vcpu *v, uint32_t cr3, uint32_t lin_addr)
{
    if (!(v->g.cr0 & CR0_PG))
        return peek_host(v, lin_addr);
    uint32_t pde = peek_entry(v, cr3, lin_addr >> 22);
    if (!(pde & PTE_P))
        return NULL;
    if ((pde & PDE_PS) && (v->g.cr4 & CR4_PSE))
        return peek_host(v, (pde & 0xffc00000u) | (lin_addr & 0x3fffffu));
    uint32_t pte = peek_entry(v, pde, lin_addr >> PAGE_BITS & 0x3ff);
    return pte & PTE_P ? peek_host(v, (pte & ~(PAGE_BYTES - 1)) | (lin_addr & (PAGE_BYTES - 1))) : NULL;
}

size_t vcpu_peek(const struct vcpu *v, uint32_t cr3, uint32_t lin_addr, void *to, size_t bytes)
{
    size_t done = 0;
    while (done < bytes) {
        uint32_t at = lin_addr + (uint32_t)done;
        size_t n = PAGE_BYTES - (at & (PAGE_BYTES - 1));
        const uint8_t *host = peek_lin(v, cr3, at);
        if (!host)
            break;
        n = n < bytes - done ? n : bytes - done;
        memcpy((uint8_t *)to + done, host, n);
        done += n;
    }
    return done;
}
