/* cpuid.c - CPUID, as the model says (cpumodel.c).
 *
 * Feature bits say what is really there. Leaves 15H and 16H, which processors of i686's time did not have,
 * tell the guest the frequency of the TSC, 1 GHz of virtual time, so that it need not measure it. Leaf
 * 40000000H names us, as is the custom where the hypervisor bit is set. */
#include "vcpu/arch/protect.h"

#include <string.h>

#define CPUID_HYPERVISOR   0x40000000u
#define CPUID_EXTENDED     0x80000000u
#define CPUID_APIC         (1u << 9)
#define CPUID_CLFLUSH_LINE (64u / 8 << 8) /* EBX of leaf 1: 64 bytes */

struct cpuid_regs {
    uint32_t eax, ebx, ecx, edx;
};

static struct cpuid_regs cpuid_basic(const struct cpu_model *m, uint32_t leaf)
{
    switch (leaf) {
    case 1:
        return (struct cpuid_regs){m->signature, cpu_model_has(m, FEATURE_CLFSH) ? CPUID_CLFLUSH_LINE : 0,
                                   cpu_model_word(m, CPUID_1C), cpu_model_word(m, CPUID_1D)};
    case 2:
        return (struct cpuid_regs){m->caches[0], m->caches[1], m->caches[2], m->caches[3]};
    case 0x15:
        return (struct cpuid_regs){1, 1, 1000000000, 0}; /* TSC = crystal * 1 / 1, crystal 1 GHz */
    case 0x16:
        return (struct cpuid_regs){1000, 1000, 100, 0}; /* base, maximum, bus in MHz */
    default:
        return (struct cpuid_regs){0, 0, 0, 0};
    }
}

static struct cpuid_regs cpuid_brand(const struct cpu_model *m, uint32_t part)
{
    char brand[48] = {0};
    struct cpuid_regs r;
    strncpy(brand, m->brand ? m->brand : "", sizeof brand - 1);
    memcpy(&r, brand + part * sizeof r, sizeof r);
    return r;
}

static uint32_t extended_max(const struct cpu_model *m)
{
    return cpu_model_word(m, CPUID_X1D) && m->extended_max == 0 ? CPUID_EXTENDED + 1 : m->extended_max;
}

static struct cpuid_regs cpuid_extended(const struct cpu_model *m, uint32_t leaf)
{
    switch (leaf - CPUID_EXTENDED) {
    case 0:
        return (struct cpuid_regs){extended_max(m), 0, 0, 0};
    case 1:
        return (struct cpuid_regs){0, 0, 0, cpu_model_word(m, CPUID_X1D)};
    case 2:
    case 3:
    case 4:
        return cpuid_brand(m, leaf - (CPUID_EXTENDED + 2));
    case 8:
        return (struct cpuid_regs){32u << 8 | MEM_PHYS_BITS, 0, 0,
                                   0}; /* bits of linear and physical addresses */
    default:
        return (struct cpuid_regs){0, 0, 0, 0};
    }
}

/* SDM 4 table 2-2, IA32_MISC_ENABLE: for systems that take no more than leaf 3. */
static uint32_t basic_max(const struct vcpu *v)
{
    const uint32_t max = v->cfg.model.basic_max;
    return (v->g.msr.misc_enable & MISC_LIMIT_CPUID) && max > 3 ? 3 : max;
}

static struct cpuid_regs cpuid(const struct vcpu *v, uint32_t leaf)
{
    const struct cpu_model *m = &v->cfg.model;
    if (leaf == 0)
        return (struct cpuid_regs){basic_max(v), 0x756e6547, 0x6c65746e, 0x49656e69}; /* GenuineIntel */
    if (leaf <= basic_max(v))
        return cpuid_basic(m, leaf);
    if (leaf == CPUID_HYPERVISOR && cpu_model_has(m, FEATURE_HYPERVISOR))
        return (struct cpuid_regs){CPUID_HYPERVISOR, 0x646e6154, 0x61546d65, 0x6d65646e}; /* TandemTandem */
    if (leaf >= CPUID_EXTENDED && leaf <= extended_max(m))
        return cpuid_extended(m, leaf);
    return cpuid_basic(m, basic_max(v)); /* SDM 2 CPUID: out of range is the highest basic leaf */
}

/* SDM 3A 10.4.3: one that is switched off is not there. SDM 2A CPUID: EBX bits 31 to 24 have its first ID. */
static void add_apic(const struct vcpu *v, struct cpuid_regs *r)
{
    const struct vcpu_intc *c = &v->cfg.intc;
    if (!c->apic_base || !(c->apic_base(c->ctx) & VCPU_APIC_ENABLE))
        r->edx &= ~CPUID_APIC;
    r->ebx |= (uint32_t)v->cfg.number << 24;
}

enum helper_result helper_CPUID(struct vcpu *v, const struct ir_op *op)
{
    uint32_t *slot = v->g.slot;
    struct cpuid_regs r = cpuid(v, slot[IR_EAX]);
    if (slot[IR_EAX] == 1)
        add_apic(v, &r);
    slot[IR_EAX] = r.eax;
    slot[IR_EBX] = r.ebx;
    slot[IR_ECX] = r.ecx;
    slot[IR_EDX] = r.edx;
    return HELPER_OK;
}
