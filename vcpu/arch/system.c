/* system.c - control and debug registers, SYSENTER and what else the kernel alone may use. What of it is
 * there is the model's to say (cpumodel.c); msr.c has the model-specific registers.
 *
 * NOT MODELLED: CD and NW (no caches); performance counters; VME and PVI (CR4 bits 0 and 1: #GP). */
#include <string.h>

#include "translator/sse.h"
#include "vcpu/arch/protect.h"

/* --- control registers --- */

void cr3_loaded(struct vcpu *v)
{
    struct vcpu_event e = {.kind = VCPU_EVENT_CR3};
    if (vcpu_observed(v))
        vcpu_observe(v, &e);
}

#define CR0_KNOWN                                                                                            \
    (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)
#define CR0_TLB (CR0_PE | CR0_WP | CR0_PG) /* cached translations depend on these */

/* The bits of CR4 that the model has; others are #GP(0) (SDM 3A 2.5). */
static uint32_t cr4_known(const struct vcpu *v)
{
    static const struct {
        uint32_t bit;
        enum feature feature;
    } bits[] = {{CR4_TSD, FEATURE_TSC},     {CR4_DE, FEATURE_DE},         {CR4_PSE, FEATURE_PSE},
                {CR4_PAE, FEATURE_PAE},     {CR4_MCE, FEATURE_MCE},       {CR4_PGE, FEATURE_PGE},
                {CR4_OSFXSR, FEATURE_FXSR}, {CR4_OSXMMEXCPT, FEATURE_SSE}};
    uint32_t known = 0;
    for (unsigned i = 0; i < sizeof bits / sizeof bits[0]; i++)
        if (cpu_model_has(&v->cfg.model, bits[i].feature))
            known |= bits[i].bit;
    return known;
}

static void cr0_set(struct vcpu *v, uint32_t value)
{
    uint32_t changed = v->g.cr0 ^ value;
    /* Without paging before and after, no translation depends on any bit: firmware, which switches between
     * real and protected mode all the time, keeps its own. */
    bool flushes = (changed & CR0_TLB) && ((v->g.cr0 | value) & CR0_PG);
    v->g.cr0 = value;
    if (flushes)
        tlb_flush(v);
    vcpu_update_mode(v);
}

/* SDM 3A 4.4.1: a change of certain bits of CR0 and CR4 loads the page directory pointers of PAE, if its
 * paging is in use then; false: they have reserved bits set. What was translated under others goes. */
static bool paging_changes(struct vcpu *v, uint32_t cr0, uint32_t cr4, uint32_t changed)
{
    if (changed == 0)
        return true;
    if (!pdptrs_load(v, v->g.cr3, cr0, cr4))
        return false;
    if ((cr0 & CR0_PG) && (cr4 & CR4_PAE))
        tlb_flush(v);
    return true;
}

static bool cr0_write(struct vcpu *v, uint32_t value)
{
    /* Reserved bits are ignored, ET is wired to 1 (SDM 3A 2.5). */
    value = (value & CR0_KNOWN) | CR0_ET;
    if ((value & (CR0_PG | CR0_PE)) == CR0_PG || (value & (CR0_NW | CR0_CD)) == CR0_NW)
        return raise_zero(v, EXC_GP);
    if (!paging_changes(v, value, v->g.cr4, (v->g.cr0 ^ value) & (CR0_CD | CR0_NW | CR0_PG)))
        return raise_zero(v, EXC_GP);
    cr0_set(v, value);
    return true;
}

static bool cr4_write(struct vcpu *v, uint32_t value)
{
    if (value & ~cr4_known(v))
        return raise_zero(v, EXC_GP);
    uint32_t changed = (v->g.cr4 ^ value) & (CR4_PAE | CR4_PSE | CR4_PGE);
    if (!paging_changes(v, v->g.cr0, value, changed))
        return raise_zero(v, EXC_GP);
    v->g.cr4 = value;
    if (changed)
        tlb_flush(v);
    vcpu_update_mode(v);
    return true;
}

/* What cr0_write, cr4_write, dr_write, eflags_write and sse_load_mxcsr keep up. */
const char *system_registers_wrong(const struct vcpu *v)
{
    const struct guest_state *g = &v->g;
    const bool pg_alone = (g->cr0 & (CR0_PG | CR0_PE)) == CR0_PG,
               nw_alone = (g->cr0 & (CR0_NW | CR0_CD)) == CR0_NW;
    if ((g->cr0 & ~(uint32_t)CR0_KNOWN) || !(g->cr0 & CR0_ET) || pg_alone || nw_alone)
        return "cpu.cr0";
    if (g->cr4 & ~cr4_known(v))
        return "cpu.cr4";
    if (pdptrs_wrong(g))
        return "cpu.pdptr";
    if (g->efer & ~(uint64_t)(cpu_model_has(&v->cfg.model, FEATURE_NX) ? EFER_NXE : 0))
        return "cpu.efer";
    const bool vm_alone = in_vm86(g) && (!(g->cr0 & CR0_PE) || g->cpl != 3);
    if ((g->eflags & ~(uint32_t)FLAGS_SYSTEM) || vm_alone)
        return "cpu.eflags";
    if (g->dr[4] || g->dr[5] || (g->dr[6] & ~DR6_WRITABLE) != DR6_FIXED ||
        (g->dr[7] & ~DR7_WRITABLE) != DR7_FIXED)
        return "cpu.dr";
    return g->sse.mxcsr & ~(uint32_t)MXCSR_VALID ? "cpu.sse.mxcsr" : msrs_wrong(&g->msr);
}

static bool cr_write(struct vcpu *v, unsigned reg, uint32_t value)
{
    switch (reg) {
    case 0:
        return cr0_write(v, value);
    case 2:
        v->g.cr2 = value;
        return true;
    case 3:
        if (!tlb_switch(v, value))
            return raise_zero(v, EXC_GP);
        cr3_loaded(v);
        return true;
    case 4:
        return cr4_write(v, value);
    default:
        vcpu_raise(v, EXC_UD);
        return false;
    }
}

enum helper_result helper_MOV_TO_CR(struct vcpu *v, const struct ir_op *op)
{
    if (!cr_write(v, op->aux, v->g.slot[op->a]))
        return HELPER_FAULT;
    v->g.eip = op->imm2;
    return HELPER_OK;
}

enum helper_result helper_MOV_FROM_CR(struct vcpu *v, const struct ir_op *op)
{
    struct guest_state *g = &v->g;
    const uint32_t *cr[8] = {[0] = &g->cr0, [2] = &g->cr2, [3] = &g->cr3, [4] = &g->cr4};
    if (!cr[op->aux & 7])
        return vcpu_raise(v, EXC_UD);
    g->slot[op->dst] = *cr[op->aux & 7];
    g->eip = op->imm2;
    return HELPER_OK;
}

enum helper_result helper_CLTS(struct vcpu *v, const struct ir_op *op)
{
    cr0_set(v, v->g.cr0 & ~(uint32_t)CR0_TS);
    v->g.eip = op->imm2;
    return HELPER_OK;
}

enum helper_result helper_LMSW(struct vcpu *v, const struct ir_op *op)
{
    const uint32_t low = CR0_PE | CR0_MP | CR0_EM | CR0_TS;
    /* SDM 2 LMSW: sets PE, never clears it. */
    uint32_t cr0 = (v->g.cr0 & (~low | CR0_PE)) | (v->g.slot[op->a] & low);
    cr0_set(v, cr0);
    v->g.eip = op->imm2;
    return HELPER_OK;
}

enum helper_result helper_SMSW(struct vcpu *v, const struct ir_op *op)
{
    v->g.slot[op->dst] = v->g.cr0;
    return HELPER_OK;
}

/* --- debug registers: SDM 3A 17.2 --- */

void debug_changed(struct vcpu *v)
{
    v->dr_active = v->g.dr[7] & DR7_ENABLES;
    tlb_flush(v); /* watched pages lose or regain their fast-path tags at the next fill */
}

/* The register that `reg` names, with what an access faults on; -1: fault recorded. */
static int dr_select(struct vcpu *v, unsigned reg)
{
    if (reg == 4 || reg == 5) {
        if (v->g.cr4 & CR4_DE) {
            vcpu_raise(v, EXC_UD);
            return -1;
        }
        reg += 2;
    }
    if (v->g.dr[7] & DR7_GD) {
        v->db_pending |= DR6_BD;
        vcpu_raise(v, EXC_DB);
        return -1;
    }
    return (int)reg;
}

static void dr_write(struct vcpu *v, unsigned reg, uint32_t value)
{
    uint32_t *dr = v->g.dr;
    if (reg == 6) {
        dr[6] = (value & DR6_WRITABLE) | DR6_FIXED;
        return;
    }
    uint32_t enabled_before = dr[7] & DR7_ENABLES;
    dr[reg] = reg == 7 ? (value & DR7_WRITABLE) | DR7_FIXED : value;
    if (enabled_before | (dr[7] & DR7_ENABLES))
        debug_changed(v);
}

enum helper_result helper_MOV_TO_DR(struct vcpu *v, const struct ir_op *op)
{
    int reg = dr_select(v, op->aux);
    if (reg < 0)
        return HELPER_FAULT;
    dr_write(v, (unsigned)reg, v->g.slot[op->a]);
    v->g.eip = op->imm2;
    return HELPER_OK;
}

enum helper_result helper_MOV_FROM_DR(struct vcpu *v, const struct ir_op *op)
{
    int reg = dr_select(v, op->aux);
    if (reg < 0)
        return HELPER_FAULT;
    v->g.slot[op->dst] = v->g.dr[reg];
    v->g.eip = op->imm2;
    return HELPER_OK;
}

/* --- descriptor table registers --- */

static bool table_read(struct vcpu *v, const struct ir_op *op, struct desc_table *table)
{
    uint32_t lin_addr = v->g.slot[op->a];
    uint64_t limit, base;
    if (!mem_read(v, lin_addr, 2, mem_is_user(v), &limit) ||
        !mem_read(v, lin_addr + 2, 4, mem_is_user(v), &base))
        return false;
    /* SDM 2 LGDT: a 16-bit operand size takes 24 bits of the base. */
    *table = (struct desc_table){(uint32_t)base & (op->size == 1 ? 0xffffff : UINT32_MAX), (uint16_t)limit};
    return true;
}

/* SDM 2 SGDT: all 32 bits of the base whatever the operand size. */
static bool table_write(struct vcpu *v, const struct ir_op *op, const struct desc_table *table)
{
    uint32_t lin_addr = v->g.slot[op->a];
    bool user = mem_is_user(v);
    return mem_probe_write_run(v, lin_addr, 6, user) && mem_probe_write(v, lin_addr + 2, 4, user) &&
           mem_write(v, lin_addr, 2, user, table->limit) && mem_write(v, lin_addr + 2, 4, user, table->base);
}

static enum helper_result table_load(struct vcpu *v, const struct ir_op *op, struct desc_table *table)
{
    if (!table_read(v, op, table))
        return HELPER_FAULT;
    v->g.eip = op->imm2;
    return HELPER_OK;
}

enum helper_result helper_LGDT(struct vcpu *v, const struct ir_op *op)
{
    return table_load(v, op, &v->g.gdtr);
}

enum helper_result helper_LIDT(struct vcpu *v, const struct ir_op *op)
{
    return table_load(v, op, &v->g.idtr);
}

enum helper_result helper_SGDT(struct vcpu *v, const struct ir_op *op)
{
    return helper_done(table_write(v, op, &v->g.gdtr));
}

enum helper_result helper_SIDT(struct vcpu *v, const struct ir_op *op)
{
    return helper_done(table_write(v, op, &v->g.idtr));
}

/* --- caches and halt --- */

enum helper_result helper_INVLPG(struct vcpu *v, const struct ir_op *op)
{
    tlb_flush_page(v, v->g.seg[op->aux].base + v->g.slot[op->a]);
    v->g.eip = op->imm2;
    return HELPER_OK;
}

enum helper_result helper_INVD(struct vcpu *v, const struct ir_op *op)
{
    v->g.eip = op->imm2;
    return HELPER_OK;
}

enum helper_result helper_HLT(struct vcpu *v, const struct ir_op *op)
{
    v->g.halted = HALTED_HLT;
    v->g.eip = op->imm2;
    return HELPER_OK;
}

/* --- time stamp counter: virtual ns, 1 GHz --- */

static uint64_t virtual_ns(const struct vcpu *v)
{
    return vcpu_insn_tick(v) << v->cfg.shift;
}

uint64_t time_stamp(const struct vcpu *v)
{
    return virtual_ns(v) + v->g.tsc_offset;
}

void time_stamp_set(struct vcpu *v, uint64_t value)
{
    v->g.tsc_offset = value - virtual_ns(v);
}

enum helper_result helper_RDTSC(struct vcpu *v, const struct ir_op *op)
{
    if ((v->g.cr4 & CR4_TSD) && v->g.cpl != 0)
        return vcpu_raise_error(v, EXC_GP, 0);
    set_edx_eax(&v->g, time_stamp(v));
    return HELPER_OK;
}

enum helper_result helper_RDPMC(struct vcpu *v, const struct ir_op *op)
{
    return vcpu_raise_error(v, EXC_GP, 0);
}

/* --- SYSENTER, SYSEXIT: SDM 2. The segments are fixed, no table is read. --- */

static struct segment flat_segment(uint16_t sel, unsigned type, unsigned dpl)
{
    uint16_t access = (uint16_t)(type | SEG_ACC_S | dpl << 5 | SEG_ACC_P | SEG_ACC_DB | SEG_ACC_G);
    return (struct segment){.sel = sel, .access = access, .base = 0, .limit = UINT32_MAX};
}

static void flat_transfer(struct vcpu *v, uint16_t cs, unsigned cpl, uint32_t eip, uint32_t esp)
{
    struct guest_state *g = &v->g;
    g->seg[SEG_CS] = flat_segment((uint16_t)(cs | cpl), 11, cpl);      /* execute, read, accessed */
    g->seg[SEG_SS] = flat_segment((uint16_t)((cs + 8) | cpl), 3, cpl); /* read, write, accessed */
    g->eip = eip;
    g->slot[IR_ESP] = esp;
    g->cpl = (uint8_t)cpl;
    vcpu_segments_changed(v);
}

enum helper_result helper_SYSENTER(struct vcpu *v, const struct ir_op *op)
{
    struct guest_state *g = &v->g;
    uint16_t cs = (uint16_t)SEL_ERROR(g->sysenter_cs);
    if (!(g->cr0 & CR0_PE) || cs == 0)
        return vcpu_raise_error(v, EXC_GP, 0);
    struct vcpu_event e = {
        .kind = VCPU_EVENT_SYSENTER, .from_cpl = g->cpl, .from_cs = g->seg[SEG_CS].sel, .from_eip = op->imm2};
    g->eflags &= ~(uint32_t)(FLAG_IF | FLAG_RF | FLAG_VM);
    flat_transfer(v, cs, 0, g->sysenter_eip, g->sysenter_esp);
    if (vcpu_observed(v))
        vcpu_observe(v, &e);
    return HELPER_OK;
}

enum helper_result helper_SYSEXIT(struct vcpu *v, const struct ir_op *op)
{
    struct guest_state *g = &v->g;
    uint16_t cs = (uint16_t)SEL_ERROR(g->sysenter_cs);
    if (!(g->cr0 & CR0_PE) || cs == 0 || g->cpl != 0)
        return vcpu_raise_error(v, EXC_GP, 0);
    struct vcpu_event e = {.kind = VCPU_EVENT_SYSEXIT};
    flat_transfer(v, (uint16_t)(cs + 16), 3, g->slot[IR_EDX], g->slot[IR_ECX]);
    if (vcpu_observed(v))
        vcpu_observe(v, &e);
    return HELPER_OK;
}
