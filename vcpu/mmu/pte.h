/* pte.h - bits of page table entries of both formats: 32 bits (SDM 3A 4.3), and PAE's 64 (SDM 3A 4.4). */
#ifndef TANDEM_VCPU_MMU_PTE_H
#define TANDEM_VCPU_MMU_PTE_H

#include "vcpu/mmu/mmu.h"

enum {
    PTE_P = 1,
    PTE_RW = 2,
    PTE_US = 4,
    PTE_A = 0x20,
    PTE_D = 0x40,
    PTE_PS = 0x80,
    PTE_PAT = 0x80,
    PTE_G = 0x100
};
#define PDE_LARGE_PAT 0x1000u
#define PTE_NX        (UINT64_C(1) << 63)
/* Of 64-bit entries, and of 32-bit ones, which are 0 above: the page or table. */
#define PTE_ADDR ((UINT64_C(1) << MEM_PHYS_BITS) - PAGE_BYTES)
/* Beyond the physical address (MAXPHYADDR, CPUID leaf 80000008H) and below NX. */
#define PAE_RESERVED (PTE_NX - (UINT64_C(1) << MEM_PHYS_BITS))
/* SDM 3A table 4-8. */
#define PDPTE_RESERVED (PTE_NX | PAE_RESERVED | 0x1e6u)

static inline bool is_pae(uint32_t cr4)
{
    return cr4 & CR4_PAE;
}

/* PSE-36 (SDM 3A table 4-4): bits 13 to 16 of a 4 MiB PDE are bits 32 to 35 of the address. */
static inline phys_addr_t pde_large_4m(const struct cpu_model *m, uint64_t pde)
{
    const phys_addr_t high = cpu_model_has(m, FEATURE_PSE36) ? (pde >> 13 & 0xf) << 32 : 0;
    return high | (pde & 0xffc00000u);
}
static inline phys_addr_t pde_large_2m(uint64_t pde)
{
    return pde & PTE_ADDR & ~(phys_addr_t)0x1fffff;
}

#endif
