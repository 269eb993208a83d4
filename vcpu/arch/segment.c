/* segment.c - descriptors, segment registers and the instructions about them.
 *
 * Model: SDM 3A chapters 3.4, 3.5 and 5. The hidden part of a segment register is what counts;
 * it changes on loads only. access == 0 marks a register that holds a null selector. Real mode keeps
 * limit and attributes of the hidden part ("unreal mode" works). CS in real mode is writable data, as
 * on the chip (SDM 3A table 9-1). */
#include "vcpu/arch/protect.h"

/* --- descriptor tables --- */

static bool desc_address(const struct guest_state *g, uint16_t sel, uint32_t *lin_addr)
{
    uint32_t offset = sel & 0xfff8u;
    bool ldt = sel & SEL_TI;
    if (SEL_IS_NULL(sel) || (ldt && !(g->ldtr.access & SEG_ACC_P)))
        return false;
    uint32_t limit = ldt ? g->ldtr.limit : g->gdtr.limit;
    *lin_addr = (ldt ? g->ldtr.base : g->gdtr.base) + offset;
    return offset + 7 <= limit;
}

enum desc_fetch { DESC_OK, DESC_OUTSIDE, DESC_FAULT };
/* DESC_OUTSIDE: null, beyond the table's limit or in no table; nothing recorded. */
static enum desc_fetch desc_fetch(struct vcpu *v, uint16_t sel, struct desc *d)
{
    uint32_t lin_addr;
    uint64_t bits;
    if (!desc_address(&v->g, sel, &lin_addr))
        return DESC_OUTSIDE;
    if (!mem_read(v, lin_addr, 8, false, &bits))
        return DESC_FAULT;
    *d = (struct desc){(uint32_t)bits, (uint32_t)(bits >> 32)};
    return DESC_OK;
}

bool desc_read(struct vcpu *v, uint16_t sel, struct desc *d, unsigned fault_vector)
{
    enum desc_fetch result = desc_fetch(v, sel, d);
    if (result == DESC_OUTSIDE)
        return raise_sel(v, fault_vector, sel);
    return result == DESC_OK;
}

/* Ors `bits` into the descriptor's byte 5 (in memory and in *d); no write when they are set already. */
static bool desc_set_bits(struct vcpu *v, uint16_t sel, struct desc *d, uint32_t bits)
{
    uint32_t lin_addr;
    if ((d->hi & bits) == bits)
        return true;
    d->hi |= bits;
    bool inside = desc_address(&v->g, sel, &lin_addr);
    CHECK(inside);
    return mem_write(v, lin_addr + 5, 1, false, d->hi >> 8 & 0xff);
}

bool desc_mark_accessed(struct vcpu *v, uint16_t sel, struct desc *d)
{
    return !(d->hi & DESC_S) || desc_set_bits(v, sel, d, DESC_ACCESSED);
}

void seg_set_hidden(struct segment *s, uint16_t sel, uint32_t lo, uint32_t hi)
{
    segment_set(s, sel, (struct desc){lo, hi});
}

/* --- mode and privilege --- */

static bool seg_spans_all(const struct segment *s)
{
    return s->base == 0 && s->limit == UINT32_MAX;
}

static bool seg_is_flat_data(const struct segment *s)
{
    return seg_is_plain_data(s) && seg_spans_all(s);
}

static bool seg_is_flat_code(const struct segment *s)
{
    uint16_t readable_code = SEG_ACC_P | SEG_ACC_S | 8 | 2;
    return ((s->access & readable_code) == readable_code && seg_spans_all(s)) || seg_is_flat_data(s);
}

/* 0: the segment is flat data. Or-ed, three need one branch. */
static uint32_t seg_flat_data_lacks(const struct segment *s)
{
    const uint16_t plain = SEG_ACC_P | SEG_ACC_S | 2; /* MATCH seg_is_plain_data */
    return ((s->access ^ plain) & (plain | 8 | 4)) | s->base | ~s->limit;
}

static bool segs_are_flat(const struct guest_state *g)
{
    const uint32_t lacks = seg_flat_data_lacks(&g->seg[SEG_DS]) | seg_flat_data_lacks(&g->seg[SEG_ES]) |
                           seg_flat_data_lacks(&g->seg[SEG_SS]);
    return lacks == 0 && seg_is_flat_code(&g->seg[SEG_CS]);
}

/* MATCH tb_mode_plain */
static bool seg_is_plain(const struct guest_state *g, unsigned seg)
{
    const struct segment *s = &g->seg[seg];
    const uint16_t readable_code = SEG_ACC_P | SEG_ACC_S | 8 | 2;
    const bool code = seg == SEG_CS && !in_8086(g) && (s->access & readable_code) == readable_code;
    return (seg_is_plain_data(s) || code) && s->limit >= 0xffff;
}

static uint32_t plain_segments(const struct guest_state *g)
{
    uint32_t bits = 0;
    for (unsigned seg = 0; seg < SEG_COUNT; seg++)
        bits |= seg_is_plain(g, seg) ? tb_mode_plain(seg) : 0;
    return bits;
}

/* CR0 and CR4 apart from PE. */
static uint32_t control_mode(const struct guest_state *g)
{
    uint32_t mode = 0;
    mode |= g->cr0 & (CR0_EM | CR0_TS) ? TB_MODE_FPU_NM : 0;
    mode |= (g->cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS) ? TB_MODE_WAIT_NM : 0;
    mode |= (g->cr0 & CR0_EM) || !(g->cr4 & CR4_OSFXSR) ? TB_MODE_SSE_UD : 0;
    mode |= g->cr0 & CR0_EM ? TB_MODE_MMX_UD : 0;
    mode |= g->cr0 & CR0_TS ? TB_MODE_TS_NM : 0;
    return mode;
}

void vcpu_segments_changed(struct vcpu *v)
{
    struct guest_state *g = &v->g;
    uint32_t mode = g->mode & MODE_OF_CONTROL;
    mode |= g->seg[SEG_CS].access & SEG_ACC_DB ? TB_MODE_CODE32 : 0;
    mode |= g->seg[SEG_SS].access & SEG_ACC_DB ? TB_MODE_STACK32 : 0;
    mode |= segs_are_flat(g) ? TB_MODE_FLAT : plain_segments(g);
    mode |= g->cpl == 3 ? TB_MODE_USER : 0;
    mode |= g->cpl == 0 ? TB_MODE_CPL0 : 0;
    mode |= in_8086(g) ? 0 : TB_MODE_PE;
    mode |= in_vm86(g) ? TB_MODE_VM86 : 0;
    g->mode = mode;
    v->jumps.hi = x64_jump_hi(mode, v->fetch_epoch[g->cpl == 3]);
}

void vcpu_update_mode(struct vcpu *v)
{
    v->g.mode = control_mode(&v->g);
    vcpu_segments_changed(v);
    vcpu_alignment_changed(v);
}

void vcpu_set_cpl(struct vcpu *v, unsigned cpl)
{
    v->g.cpl = (uint8_t)cpl;
    vcpu_update_mode(v);
}

/* --- access through a segment --- */

bool seg_offset_ok(const struct segment *s, uint32_t offset, unsigned bytes)
{
    uint32_t last = offset + bytes - 1;
    if (last < offset) /* no segment has bytes on both sides of 4 GiB */
        return false;
    if ((s->access & (8 | 4)) == 4) { /* expand-down data: SDM 3A 5.3 */
        uint32_t top = s->access & SEG_ACC_DB ? UINT32_MAX : 0xffff;
        return offset > s->limit && last <= top;
    }
    return last <= s->limit;
}

static bool seg_type_ok(const struct segment *s, bool write)
{
    if (!(s->access & SEG_ACC_P))
        return false;
    bool code = s->access & 8, rw = s->access & 2;
    return write ? !code && rw : !code || rw;
}

bool seg_linear(struct vcpu *v, unsigned seg, uint32_t offset, unsigned bytes, bool write, uint32_t *lin_addr)
{
    const struct segment *s = &v->g.seg[seg];
    if (!seg_type_ok(s, write) || !seg_offset_ok(s, offset, bytes))
        return raise_zero(v, seg == SEG_SS ? EXC_SS : EXC_GP);
    *lin_addr = s->base + offset;
    return true;
}

/* --- loads --- */

/* MATCH seg_load_8086 */
void seg_load_8086(const struct guest_state *g, struct segment *s, uint16_t sel)
{
    const uint16_t plain_data = SEG_ACC_P | SEG_ACC_S | 3;
    if (in_vm86(g) || !(s->access & SEG_ACC_P)) /* was null or never loaded: the reset values */
        s->limit = 0xffff;
    s->access = in_vm86(g) ? plain_data | SEG_ACC_DPL
                           : (uint16_t)((s->access & (SEG_ACC_DB | SEG_ACC_G)) | plain_data);
    s->sel = sel;
    s->base = (uint32_t)sel << 4;
}

bool seg_check_stack(struct vcpu *v, uint16_t sel, unsigned cpl, unsigned vector, struct segment *out)
{
    struct desc d;
    if (SEL_IS_NULL(sel))
        return raise_zero(v, vector);
    if (!desc_read(v, sel, &d, vector))
        return false;
    if (SEL_RPL(sel) != cpl || !desc_is_writable_data(d) || desc_dpl(d) != cpl)
        return raise_sel(v, vector, sel);
    if (!(d.hi & DESC_P))
        return raise_sel(v, EXC_SS, sel);
    if (!desc_mark_accessed(v, sel, &d))
        return false;
    segment_set(out, sel, d);
    return true;
}

/* So that compiled code knows such a load again (translator/x64/segload.h). */
static void remember_load(struct vcpu *v, unsigned seg, struct desc d)
{
    const struct segment *s = &v->g.seg[seg];
    struct x64_load *l = &v->loads[seg];
    if (v->g.cpl != 0 || (s->sel & SEL_TI))
        return;
    memcpy(&l->head, s, sizeof l->head);
    l->limit = s->limit;
    l->bits = (uint64_t)d.hi << 32 | d.lo;
}

/* DS, ES, FS, GS: SDM 2 MOV, protected-mode exceptions. */
static bool seg_check_data(struct vcpu *v, unsigned seg, uint16_t sel)
{
    struct segment *out = &v->g.seg[seg];
    struct desc d;
    if (SEL_IS_NULL(sel)) {
        *out = (struct segment){.sel = sel};
        return true;
    }
    if (!desc_read(v, sel, &d, EXC_GP))
        return false;
    unsigned dpl = desc_dpl(d);
    if (!desc_is_readable(d) || (!desc_is_conforming(d) && (SEL_RPL(sel) > dpl || v->g.cpl > dpl)))
        return raise_sel(v, EXC_GP, sel);
    if (!(d.hi & DESC_P))
        return raise_sel(v, EXC_NP, sel);
    if (!desc_mark_accessed(v, sel, &d))
        return false;
    segment_set(out, sel, d);
    remember_load(v, seg, d);
    return true;
}

static bool seg_same_hidden(const struct segment *a, const struct segment *b)
{
    return a->access == b->access && a->base == b->base && a->limit == b->limit;
}

/* Flat mode says nothing of FS and GS. MATCH segments of flat mode */
static bool mode_depends_on(const struct guest_state *g, unsigned seg)
{
    return seg < SEG_FS || !(g->mode & TB_MODE_FLAT);
}

/* MOV Sreg semantics; false: exception recorded. */
static bool seg_load(struct vcpu *v, unsigned seg, uint16_t sel)
{
    struct guest_state *g = &v->g;
    struct segment *s = &g->seg[seg];
    const struct segment old = *s;
    bool ok = true;
    if (in_8086(g))
        seg_load_8086(g, s, sel);
    else if (seg == SEG_SS)
        ok = seg_check_stack(v, sel, g->cpl, EXC_GP, s);
    else
        ok = seg_check_data(v, seg, sel);
    if (ok && mode_depends_on(g, seg) && !seg_same_hidden(s, &old))
        vcpu_segments_changed(v);
    return ok;
}

static bool seg_is_inner(const struct segment *s, unsigned cpl)
{
    unsigned dpl = s->access >> 5 & 3;
    bool conforming = (s->access & (8 | 4)) == (8 | 4);
    return (s->access & SEG_ACC_P) && !conforming && dpl < cpl;
}

static const uint8_t droppable[] = {SEG_ES, SEG_DS, SEG_FS, SEG_GS};

void seg_drop_inner(struct guest_state *g)
{
    for (unsigned i = 0; i < sizeof droppable; i++) {
        if (seg_is_inner(&g->seg[droppable[i]], g->cpl))
            g->seg[droppable[i]] = (struct segment){.sel = 0};
    }
}

bool seg_has_inner(const struct guest_state *g, unsigned cpl)
{
    bool has = false;
    for (unsigned i = 0; i < sizeof droppable; i++)
        has |= seg_is_inner(&g->seg[droppable[i]], cpl);
    return has;
}

enum helper_result helper_LOAD_SEG(struct vcpu *v, const struct ir_op *op)
{
    struct guest_state *g = &v->g;
    if (!seg_load(v, op->aux, (uint16_t)g->slot[op->a]))
        return HELPER_FAULT;
    if (op->aux == SEG_SS)
        g->int_shadow = SHADOW_STACK; /* SDM 3A 6.8.3: so that MOV SS, MOV ESP are one for interrupts */
    if (op->b != IR_NONE)
        g->slot[IR_ESP] = g->slot[op->b];
    g->eip = op->imm2;
    return HELPER_OK;
}

/* The block's mode says that the segment is plain, and stays so: nothing else changes. */
enum helper_result helper_LOAD_SEG_8086(struct vcpu *v, const struct ir_op *op)
{
    struct guest_state *g = &v->g;
    seg_load_8086(g, &g->seg[op->aux], (uint16_t)g->slot[op->a]);
    return HELPER_OK;
}

enum helper_result helper_LOAD_SEG_FLAT(struct vcpu *v, const struct ir_op *op)
{
    return helper_done(seg_check_data(v, op->aux, (uint16_t)v->g.slot[op->a]));
}

enum helper_result helper_LOAD_FAR(struct vcpu *v, const struct ir_op *op)
{
    struct guest_state *g = &v->g;
    uint32_t offset = g->slot[op->b];
    if (!seg_load(v, op->aux, (uint16_t)g->slot[op->a]))
        return HELPER_FAULT;
    if (op->size == 1)
        offset = (g->slot[op->dst] & 0xffff0000) | (offset & 0xffff);
    g->slot[op->dst] = offset;
    g->eip = op->imm2;
    return HELPER_OK;
}

enum helper_result helper_GET_SREG(struct vcpu *v, const struct ir_op *op)
{
    v->g.slot[op->dst] = v->g.seg[op->aux].sel;
    return HELPER_OK;
}

enum helper_result helper_CHECK_IP(struct vcpu *v, const struct ir_op *op)
{
    return helper_done(cs_eip_ok(v, v->g.seg[SEG_CS].limit, v->g.slot[op->a]));
}

/* --- LDTR and TR --- */

/* These instructions and those below do not exist in real and virtual-8086 mode (SDM 2, LLDT ff.: #UD). */
static bool protected_mode(struct vcpu *v)
{
    if (!in_8086(&v->g))
        return true;
    vcpu_raise(v, EXC_UD);
    return false;
}

/* A present system descriptor of the GDT. */
static bool desc_read_system(struct vcpu *v, uint16_t sel, struct desc *d, uint32_t types)
{
    if (sel & SEL_TI)
        return raise_sel(v, EXC_GP, sel);
    if (!desc_read(v, sel, d, EXC_GP))
        return false;
    if (!(types >> desc_type(*d) & 1))
        return raise_sel(v, EXC_GP, sel);
    if (!(d->hi & DESC_P))
        return raise_sel(v, EXC_NP, sel);
    return true;
}

enum helper_result helper_LLDT(struct vcpu *v, const struct ir_op *op)
{
    struct guest_state *g = &v->g;
    uint16_t sel = (uint16_t)g->slot[op->a];
    struct desc d;
    if (!protected_mode(v))
        return HELPER_FAULT;
    if (SEL_IS_NULL(sel)) {
        g->ldtr = (struct segment){.sel = sel};
    } else {
        if (!desc_read_system(v, sel, &d, 1u << SYS_LDT))
            return HELPER_FAULT;
        seg_set_hidden(&g->ldtr, sel, d.lo, d.hi);
    }
    g->eip = op->imm2;
    return HELPER_OK;
}

enum helper_result helper_LTR(struct vcpu *v, const struct ir_op *op)
{
    struct guest_state *g = &v->g;
    uint16_t sel = (uint16_t)g->slot[op->a];
    struct desc d;
    if (!protected_mode(v))
        return HELPER_FAULT;
    if (SEL_IS_NULL(sel)) {
        vcpu_raise_error(v, EXC_GP, 0);
        return HELPER_FAULT;
    }
    if (!desc_read_system(v, sel, &d, 1u << SYS_TSS16 | 1u << SYS_TSS32))
        return HELPER_FAULT;
    if (!desc_set_bits(v, sel, &d, DESC_BUSY))
        return HELPER_FAULT;
    seg_set_hidden(&g->tr, sel, d.lo, d.hi);
    g->eip = op->imm2;
    return HELPER_OK;
}

enum helper_result helper_SLDT(struct vcpu *v, const struct ir_op *op)
{
    if (!protected_mode(v))
        return HELPER_FAULT;
    v->g.slot[op->dst] = v->g.ldtr.sel;
    return HELPER_OK;
}

enum helper_result helper_STR(struct vcpu *v, const struct ir_op *op)
{
    if (!protected_mode(v))
        return HELPER_FAULT;
    v->g.slot[op->dst] = v->g.tr.sel;
    return HELPER_OK;
}

/* --- LAR, LSL, VERR, VERW, ARPL --- */

/* Types for which LAR and LSL succeed, by desc_type: SDM 2 tables 3-53 and 3-56; code and data always. */
#define CODE_DATA_TYPES 0xffff0000u
#define LAR_TYPES                                                                                            \
    (CODE_DATA_TYPES | 1u << SYS_TSS16 | 1u << SYS_LDT | 1u << SYS_TSS16_BUSY | 1u << SYS_CALL16 |           \
     1u << SYS_TASK_GATE | 1u << SYS_TSS32 | 1u << SYS_TSS32_BUSY | 1u << SYS_CALL32)
#define LSL_TYPES                                                                                            \
    (CODE_DATA_TYPES | 1u << SYS_TSS16 | 1u << SYS_LDT | 1u << SYS_TSS16_BUSY | 1u << SYS_TSS32 |            \
     1u << SYS_TSS32_BUSY)

enum probe { PROBE_YES, PROBE_NO, PROBE_FAULT };

/* May `sel` be examined: inside its table, of one of `types`, visible at CPL and RPL? */
static enum probe desc_probe(struct vcpu *v, uint16_t sel, uint32_t types, struct desc *d)
{
    if (!protected_mode(v))
        return PROBE_FAULT;
    enum desc_fetch fetch = desc_fetch(v, sel, d);
    if (fetch == DESC_FAULT)
        return PROBE_FAULT;
    if (fetch == DESC_OUTSIDE || !(types >> desc_type(*d) & 1))
        return PROBE_NO;
    unsigned dpl = desc_dpl(*d);
    return desc_is_conforming(*d) || (v->g.cpl <= dpl && SEL_RPL(sel) <= dpl) ? PROBE_YES : PROBE_NO;
}

static void set_zf(struct guest_state *g, bool zf)
{
    uint32_t flags = guest_eflags(g);
    guest_set_arith_flags(g, zf ? flags | FLAG_ZF : flags & ~(uint32_t)FLAG_ZF);
}

static void write_sized(struct guest_state *g, const struct ir_op *op, uint32_t value)
{
    g->slot[op->dst] = op->size == 1 ? value & 0xffff : value;
}

enum helper_result helper_LAR(struct vcpu *v, const struct ir_op *op)
{
    struct desc d;
    enum probe probe = desc_probe(v, (uint16_t)v->g.slot[op->a], LAR_TYPES, &d);
    if (probe == PROBE_FAULT)
        return HELPER_FAULT;
    if (probe == PROBE_YES)
        write_sized(&v->g, op, d.hi & 0x00ffff00);
    set_zf(&v->g, probe == PROBE_YES);
    return HELPER_OK;
}

enum helper_result helper_LSL(struct vcpu *v, const struct ir_op *op)
{
    struct desc d;
    enum probe probe = desc_probe(v, (uint16_t)v->g.slot[op->a], LSL_TYPES, &d);
    if (probe == PROBE_FAULT)
        return HELPER_FAULT;
    if (probe == PROBE_YES)
        write_sized(&v->g, op, desc_limit(d));
    set_zf(&v->g, probe == PROBE_YES);
    return HELPER_OK;
}

enum helper_result helper_VERR(struct vcpu *v, const struct ir_op *op)
{
    struct desc d;
    enum probe probe = desc_probe(v, (uint16_t)v->g.slot[op->a], CODE_DATA_TYPES, &d);
    if (probe == PROBE_FAULT)
        return HELPER_FAULT;
    set_zf(&v->g, probe == PROBE_YES && desc_is_readable(d));
    return HELPER_OK;
}

enum helper_result helper_VERW(struct vcpu *v, const struct ir_op *op)
{
    struct desc d;
    enum probe probe = desc_probe(v, (uint16_t)v->g.slot[op->a], CODE_DATA_TYPES, &d);
    if (probe == PROBE_FAULT)
        return HELPER_FAULT;
    set_zf(&v->g, probe == PROBE_YES && desc_is_writable_data(d));
    return HELPER_OK;
}

/* SDM 2A ARPL. The processor reads first and writes only when the RPL rises: the error code of a fault and a
 * read-only operand show it. */
enum helper_result helper_ARPL_MEM(struct vcpu *v, const struct ir_op *op)
{
    uint32_t offset = v->g.slot[op->a], lin_addr;
    unsigned rpl = SEL_RPL(v->g.slot[op->b]);
    uint64_t sel;
    if (!protected_mode(v) || !seg_linear(v, op->aux, offset, 2, false, &lin_addr) ||
        !mem_read(v, lin_addr, 2, mem_is_user(v), &sel))
        return HELPER_FAULT;
    bool adjust = SEL_RPL(sel) < rpl;
    if (adjust && (!seg_linear(v, op->aux, offset, 2, true, &lin_addr) ||
                   !mem_write(v, lin_addr, 2, mem_is_user(v), (sel & 0xfffc) | rpl)))
        return HELPER_FAULT;
    set_zf(&v->g, adjust);
    return HELPER_OK;
}

enum helper_result helper_ARPL(struct vcpu *v, const struct ir_op *op)
{
    struct guest_state *g = &v->g;
    uint32_t sel = g->slot[op->a] & 0xffff;
    unsigned rpl = SEL_RPL(g->slot[op->b]);
    if (!protected_mode(v))
        return HELPER_FAULT;
    bool adjust = SEL_RPL(sel) < rpl;
    g->slot[op->dst] = adjust ? (sel & 0xfffc) | rpl : sel;
    set_zf(g, adjust);
    return HELPER_OK;
}
