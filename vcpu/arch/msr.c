/* msr.c - model-specific registers: RDMSR and WRMSR.
 *
 * A table says which there are: each needs a feature, and a family and model from which on processors have it
 * (SDM 4 tables 2-2, 2-20 and 2-21). Any other, and any bit that is reserved in one, is #GP(0) (SDM 2B RDMSR,
 * WRMSR).
 *
 * Memory has no types, so the MTRRs and the PAT keep what is written, and that is all. No machine check ever
 * happens: the banks' status is 0 and stays so. Of IA32_MISC_ENABLE the limit of CPUID has its effect
 * (cpuid.c).
 *
 * NOT MODELLED: performance counters, DEBUGCTL and last branches, microcode updates (#GP as where there are
 * none). */
#include "vcpu/arch/protect.h"

#define P6        0x600u /* signatures (cpumodel.h): family 6 */
#define CORE      0x6e0u /* family 6, model 14 */
#define PHYS_MASK ((UINT64_C(1) << MEM_PHYS_BITS) - 1)

static bool zero_read(const struct vcpu *v, unsigned index, uint64_t *value)
{
    *value = 0;
    return true;
}

static bool read_only(struct vcpu *v, unsigned index, uint64_t value)
{
    return false;
}

/* What nothing ever sets may be cleared. */
static bool zero_write(struct vcpu *v, unsigned index, uint64_t value)
{
    return value == 0;
}

/* --- time stamp counter --- */

static bool tsc_read(const struct vcpu *v, unsigned index, uint64_t *value)
{
    *value = time_stamp(v);
    return true;
}

/* SDM 3B 17.17: older processors take 32 bits and clear the rest. */
static bool tsc_write(struct vcpu *v, unsigned index, uint64_t value)
{
    time_stamp_set(v, v->cfg.model.signature < CORE ? (uint32_t)value : value);
    return true;
}

/* --- IA32_APIC_BASE: SDM 3A 10.4.4 --- */

#define APIC_BASE_BSP  (1u << 8)
#define APIC_BASE_PAGE (PHYS_MASK & ~UINT64_C(0xfff))

/* The board's, where it has one; v->g.msr.apic_base is that of a CPU without. */
static bool apic_base_read(const struct vcpu *v, unsigned index, uint64_t *value)
{
    const struct vcpu_intc *c = &v->cfg.intc;
    *value = c->apic_base ? c->apic_base(c->ctx) : v->g.msr.apic_base;
    return true;
}

static bool apic_base_write(struct vcpu *v, unsigned index, uint64_t value)
{
    const struct vcpu_intc *c = &v->cfg.intc;
    if (c->set_apic_base) {
        if (!c->set_apic_base(c->ctx, value))
            return false;
        vcpu_apic_moved(v);
        return true;
    }
    if (value & ~(APIC_BASE_PAGE | APIC_BASE_BSP)) /* nothing to enable */
        return false;
    v->g.msr.apic_base =
        (value & APIC_BASE_PAGE) | (v->g.msr.apic_base & APIC_BASE_BSP); /* BSP is read-only */
    return true;
}

/* --- microcode: no update is loaded. SDM 3A 9.11.7.1: written with 0 before CPUID, to be read back --- */

static bool ignored_write(struct vcpu *v, unsigned index, uint64_t value)
{
    return true;
}

/* --- SYSENTER: SDM 2B --- */

static bool sysenter_read(const struct vcpu *v, unsigned index, uint64_t *value)
{
    const uint32_t of[] = {v->g.sysenter_cs, v->g.sysenter_esp, v->g.sysenter_eip};
    *value = of[index];
    return true;
}

static bool sysenter_write(struct vcpu *v, unsigned index, uint64_t value)
{
    uint32_t *of[] = {&v->g.sysenter_cs, &v->g.sysenter_esp, &v->g.sysenter_eip};
    *of[index] = (uint32_t)value;
    return true;
}

/* --- memory types: SDM 3A 11.11 (MTRRs), 11.12 (PAT) --- */

enum { TYPE_UC = 0, TYPE_WC = 1, TYPE_WT = 4, TYPE_WP = 5, TYPE_WB = 6, TYPE_UC_MINUS = 7 };
#define MTRR_TYPES     (1u << TYPE_UC | 1u << TYPE_WC | 1u << TYPE_WT | 1u << TYPE_WP | 1u << TYPE_WB)
#define PAT_TYPES      (MTRR_TYPES | 1u << TYPE_UC_MINUS)
#define MTRR_CAP       (MTRR_VARIABLE | 1u << 8 | 1u << 10) /* fixed ranges, write combining */
#define MTRR_BASE_BITS (APIC_BASE_PAGE | 0xff)
#define MTRR_MASK_BITS (APIC_BASE_PAGE | 1u << 11) /* V */
#define MTRR_DEF_BITS  (0xffu | 3u << 10)          /* FE, E */

static bool is_type(uint64_t byte, unsigned types)
{
    return byte < 8 && (types >> byte & 1);
}

static bool are_types(uint64_t bytes, unsigned types)
{
    for (unsigned i = 0; i < 8; i++)
        if (!is_type(bytes >> 8 * i & 0xff, types))
            return false;
    return true;
}

static bool mtrr_cap_read(const struct vcpu *v, unsigned index, uint64_t *value)
{
    *value = MTRR_CAP;
    return true;
}

/* Bases have even numbers, masks odd ones. */
static bool mtrr_variable_fits(unsigned index, uint64_t value)
{
    if (index & 1)
        return !(value & ~MTRR_MASK_BITS);
    return !(value & ~MTRR_BASE_BITS) && is_type(value & 0xff, MTRR_TYPES);
}

static bool mtrr_variable_read(const struct vcpu *v, unsigned index, uint64_t *value)
{
    *value = v->g.msr.mtrr_variable[index];
    return true;
}

static bool mtrr_variable_write(struct vcpu *v, unsigned index, uint64_t value)
{
    if (!mtrr_variable_fits(index, value))
        return false;
    v->g.msr.mtrr_variable[index] = value;
    return true;
}

/* Of 250H (512 KiB in all by 64 KiB), 258H, 259H (by 16 KiB), 268H to 26FH (by 4 KiB); -1: none. */
static int mtrr_fixed_number(unsigned index)
{
    if (index >= 0x18)
        return 3 + (int)(index - 0x18);
    return index == 0 ? 0 : index == 8 ? 1 : index == 9 ? 2 : -1;
}

static bool mtrr_fixed_read(const struct vcpu *v, unsigned index, uint64_t *value)
{
    const int n = mtrr_fixed_number(index);
    *value = n < 0 ? 0 : v->g.msr.mtrr_fixed[n];
    return n >= 0;
}

static bool mtrr_fixed_write(struct vcpu *v, unsigned index, uint64_t value)
{
    const int n = mtrr_fixed_number(index);
    if (n < 0 || !are_types(value, MTRR_TYPES))
        return false;
    v->g.msr.mtrr_fixed[n] = value;
    return true;
}

static bool mtrr_default_fits(uint64_t value)
{
    return !(value & ~(uint64_t)MTRR_DEF_BITS) && is_type(value & 0xff, MTRR_TYPES);
}

static bool mtrr_default_read(const struct vcpu *v, unsigned index, uint64_t *value)
{
    *value = v->g.msr.mtrr_default;
    return true;
}

static bool mtrr_default_write(struct vcpu *v, unsigned index, uint64_t value)
{
    if (!mtrr_default_fits(value))
        return false;
    v->g.msr.mtrr_default = value;
    return true;
}

static bool pat_read(const struct vcpu *v, unsigned index, uint64_t *value)
{
    *value = v->g.msr.pat;
    return true;
}

static bool pat_write(struct vcpu *v, unsigned index, uint64_t value)
{
    if (!are_types(value, PAT_TYPES))
        return false;
    v->g.msr.pat = value;
    return true;
}

/* --- machine checks: SDM 3B 15.3. IA32_MCG_CAP, MCG_STATUS, MCG_CTL; then four registers a bank --- */

#define MCG_CTL_P       (1u << 8)
#define MCG_STATUS_BITS 7u

static bool mcg_read(const struct vcpu *v, unsigned index, uint64_t *value)
{
    const uint64_t of[] = {MCA_BANKS | MCG_CTL_P, v->g.msr.mcg_status, v->g.msr.mcg_ctl};
    *value = of[index];
    return true;
}

static bool mcg_write(struct vcpu *v, unsigned index, uint64_t value)
{
    if (index == 0 || (index == 1 && value > MCG_STATUS_BITS))
        return false;
    *(index == 1 ? &v->g.msr.mcg_status : &v->g.msr.mcg_ctl) = value;
    return true;
}

static bool bank_read(const struct vcpu *v, unsigned index, uint64_t *value)
{
    *value = index % 4 == 0 ? v->g.msr.mc_ctl[index / 4] : 0;
    return true;
}

/* SDM 3B 15.3.2.2: status, address and miscellaneous may be cleared, not set. */
static bool bank_write(struct vcpu *v, unsigned index, uint64_t value)
{
    if (index % 4 != 0)
        return value == 0;
    v->g.msr.mc_ctl[index / 4] = value;
    return true;
}

/* --- IA32_MISC_ENABLE: SDM 4 table 2-2 --- */

#define MISC_FAST_STRINGS (1u << 0)
#define MISC_WRITABLE     (MISC_FAST_STRINGS | MISC_LIMIT_CPUID)
#define MISC_FIXED        (1u << 11 | 1u << 12) /* no branch trace, no event-based sampling */

static bool misc_read(const struct vcpu *v, unsigned index, uint64_t *value)
{
    *value = v->g.msr.misc_enable | MISC_FIXED;
    return true;
}

static bool misc_write(struct vcpu *v, unsigned index, uint64_t value)
{
    if (value & ~(uint64_t)(MISC_WRITABLE | MISC_FIXED))
        return false;
    v->g.msr.misc_enable = value & MISC_WRITABLE;
    return true;
}

/* --- IA32_EFER: without 64-bit mode and SYSCALL, NXE is all that it has --- */

static bool efer_read(const struct vcpu *v, unsigned index, uint64_t *value)
{
    *value = v->g.efer;
    return true;
}

static bool efer_write(struct vcpu *v, unsigned index, uint64_t value)
{
    if (value & ~(uint64_t)EFER_NXE)
        return false;
    if (value != v->g.efer)
        tlb_flush(v); /* NX changes its meaning */
    v->g.efer = value;
    return true;
}

/* --- all --- */

static const struct msr_row {
    uint32_t first, count;
    enum feature needs;
    uint32_t since; /* least signature */
    bool (*read)(const struct vcpu *v, unsigned index, uint64_t *value);
    bool (*write)(struct vcpu *v, unsigned index, uint64_t value); /* false: #GP(0) */
} rows[] = {
    {0x0, 2, FEATURE_MCE, 0, zero_read, zero_write}, /* P5_MC_ADDR, P5_MC_TYPE */
    {0x10, 1, FEATURE_TSC, 0, tsc_read, tsc_write},
    {0x17, 1, FEATURE_MSR, P6, zero_read, read_only}, /* IA32_PLATFORM_ID */
    {0x1b, 1, FEATURE_MSR, P6, apic_base_read, apic_base_write},
    {0x8b, 1, FEATURE_MSR, P6, zero_read, ignored_write}, /* IA32_BIOS_SIGN_ID */
    {0xfe, 1, FEATURE_MTRR, 0, mtrr_cap_read, read_only},
    {0x174, 3, FEATURE_SEP, 0, sysenter_read, sysenter_write},
    {0x179, 3, FEATURE_MCA, 0, mcg_read, mcg_write},
    {0x1a0, 1, FEATURE_MSR, CORE, misc_read, misc_write},
    {0x200, 2 * MTRR_VARIABLE, FEATURE_MTRR, 0, mtrr_variable_read, mtrr_variable_write},
    {0x250, 0x20, FEATURE_MTRR, 0, mtrr_fixed_read, mtrr_fixed_write},
    {0x277, 1, FEATURE_PAT, 0, pat_read, pat_write},
    {0x2ff, 1, FEATURE_MTRR, 0, mtrr_default_read, mtrr_default_write},
    {0x400, 4 * MCA_BANKS, FEATURE_MCA, 0, bank_read, bank_write},
    {0xc0000080, 1, FEATURE_NX, 0, efer_read, efer_write},
};

static const struct msr_row *msr_find(const struct cpu_model *m, uint32_t msr)
{
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (msr - rows[i].first < rows[i].count)
            return cpu_model_has(m, rows[i].needs) && m->signature >= rows[i].since ? &rows[i] : NULL;
    return NULL;
}

void msr_reset(struct msr_state *m, const struct cpu_model *model)
{
    *m = (struct msr_state){.apic_base = 0xfee00000u | APIC_BASE_BSP, .pat = UINT64_C(0x0007040600070406)};
    if (model->signature >= CORE)
        m->misc_enable = MISC_FAST_STRINGS;
}

static enum helper_result refuse(struct vcpu *v, const uint64_t *written)
{
    if (v->cfg.log_items & VCPU_LOG_GUEST_ERRORS)
        eventlog_msr(v, v->g.slot[IR_ECX], written);
    return vcpu_raise_error(v, EXC_GP, 0);
}

enum helper_result helper_RDMSR(struct vcpu *v, const struct ir_op *op)
{
    const uint32_t msr = v->g.slot[IR_ECX];
    const struct msr_row *row = msr_find(&v->cfg.model, msr);
    uint64_t value;
    if (!row || !row->read(v, msr - row->first, &value))
        return refuse(v, NULL);
    set_edx_eax(&v->g, value);
    v->g.eip = op->imm2;
    return HELPER_OK;
}

enum helper_result helper_WRMSR(struct vcpu *v, const struct ir_op *op)
{
    const uint32_t msr = v->g.slot[IR_ECX];
    const struct msr_row *row = msr_find(&v->cfg.model, msr);
    const uint64_t value = (uint64_t)v->g.slot[IR_EDX] << 32 | v->g.slot[IR_EAX];
    if (!row || !row->write(v, msr - row->first, value))
        return refuse(v, &value);
    v->g.eip = op->imm2;
    return HELPER_OK;
}

const char *msrs_wrong(const struct msr_state *m)
{
    for (unsigned i = 0; i < MTRR_FIXED; i++)
        if (!are_types(m->mtrr_fixed[i], MTRR_TYPES))
            return "cpu.msr.mtrr_fixed";
    for (unsigned i = 0; i < 2 * MTRR_VARIABLE; i++)
        if (!mtrr_variable_fits(i, m->mtrr_variable[i]))
            return "cpu.msr.mtrr_variable";
    if (!are_types(m->pat, PAT_TYPES))
        return "cpu.msr.pat";
    if (!mtrr_default_fits(m->mtrr_default))
        return "cpu.msr.mtrr_default";
    if (m->mcg_status > MCG_STATUS_BITS)
        return "cpu.msr.mcg_status";
    if (m->misc_enable & ~(uint64_t)MISC_WRITABLE)
        return "cpu.msr.misc_enable";
    return m->apic_base & ~(APIC_BASE_PAGE | APIC_BASE_BSP) ? "cpu.msr.apic_base" : NULL;
}
