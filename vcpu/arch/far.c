/* far.c - far JMP, CALL and RET, and the stacks that they and events push on.
 *
 * Model: SDM 2 JMP, CALL, RET, IRET (operation sections) and SDM 3A 5.8. */
#include <string.h>

#include "vcpu/arch/passage.h"
#include "vcpu/arch/protect.h"

/* --- stacks --- */

static uint32_t stack_mask(const struct segment *ss)
{
    return ss->access & SEG_ACC_DB ? UINT32_MAX : 0xffff;
}

static uint32_t stack_merge(const struct segment *ss, uint32_t old, uint32_t esp)
{
    uint32_t mask = stack_mask(ss);
    return (old & ~mask) | (esp & mask);
}

struct stack stack_current(const struct vcpu *v)
{
    return (struct stack){.ss = v->g.seg[SEG_SS], .esp = v->g.slot[IR_ESP], .user = mem_is_user(v)};
}

void stack_set_esp(struct guest_state *g, uint32_t esp)
{
    g->slot[IR_ESP] = stack_merge(&g->seg[SEG_SS], g->slot[IR_ESP], esp);
}

/* SS:ESP of level `cpl` as they lie in the current TSS; #TS(TR) beyond its limit. */
static bool tss_read_stack(struct vcpu *v, unsigned cpl, uint16_t *ss, uint32_t *esp)
{
    const struct segment *tr = &v->g.tr;
    bool is32 = tr->access & SYS_32BIT;
    uint32_t offset = is32 ? cpl * 8 + 4 : cpl * 4 + 2;
    uint64_t pointer, sel;
    if (offset + (is32 ? 5 : 3) > tr->limit || !(tr->access & SEG_ACC_P))
        return raise_sel(v, EXC_TS, tr->sel);
    if (!mem_read(v, tr->base + offset, is32 ? 4 : 2, false, &pointer) ||
        !mem_read(v, tr->base + offset + (is32 ? 4 : 2), 2, false, &sel))
        return false;
    *ss = (uint16_t)sel;
    *esp = (uint32_t)pointer;
    return true;
}

bool stack_inner(struct vcpu *v, unsigned cpl, struct stack *st)
{
    uint16_t sel;
    *st = (struct stack){.user = cpl == 3};
    if (!tss_read_stack(v, cpl, &sel, &st->esp) || !seg_check_stack(v, sel, cpl, EXC_TS, &st->ss))
        return false;
    st->fault_sel = sel;
    return true;
}

static uint32_t frame_offset(const struct stack *st, const struct frame *f, unsigned i)
{
    return (st->esp - (i + 1) * f->width) & stack_mask(&st->ss);
}

/* A flat 32-bit stack that has room for the frame: every slot fits, none wraps. */
static bool stack_is_ample(const struct stack *st, const struct frame *f)
{
    return seg_is_plain_data(&st->ss) && (st->ss.access & SEG_ACC_DB) && st->ss.limit == UINT32_MAX &&
           st->esp >= f->count * f->width;
}

static bool stack_writable(const struct segment *ss)
{
    return (ss->access & (SEG_ACC_P | 8 | 2)) == (SEG_ACC_P | 2);
}

bool stack_fits(struct vcpu *v, const struct stack *st, const struct frame *f)
{
    if (stack_is_ample(st, f))
        return true;
    bool ok = stack_writable(&st->ss);
    for (unsigned i = 0; ok && i < f->count; i++)
        ok = seg_offset_ok(&st->ss, frame_offset(st, f, i), f->width);
    return ok || raise_sel(v, EXC_SS, st->fault_sel);
}

static bool frame_probe_slot(struct vcpu *v, const struct stack *st, const struct frame *f, unsigned i)
{
    return mem_probe_write(v, st->ss.base + frame_offset(st, f, i), f->width, st->user);
}

/* In push order: CR2 is the address of the first slot that faults. */
static bool frame_probe(struct vcpu *v, const struct stack *st, const struct frame *f)
{
    uint32_t first = st->ss.base + frame_offset(st, f, 0);
    uint32_t lowest = st->ss.base + frame_offset(st, f, f->count - 1);
    if (lowest < first && (lowest ^ (first + f->width - 1)) < PAGE_BYTES) /* usual: one page */
        return frame_probe_slot(v, st, f, 0) && mem_probe_write_run(v, lowest, f->count * f->width, st->user);
    for (unsigned i = 0; i < f->count; i++) {
        if (!frame_probe_slot(v, st, f, i))
            return false;
    }
    return true;
}

/* A frame of 32-bit slots in one page that may be written without further ado, as one run of stores. */
static bool push_fast(struct vcpu *v, struct stack *st, const struct frame *f)
{
    uint32_t bytes = f->count * 4, low = st->ss.base + st->esp - bytes;
    if (f->width != 4 || !stack_is_ample(st, f))
        return false;
    uint8_t *host = mem_fast_run(v, low, bytes, st->user);
    if (!host)
        return false;
    for (unsigned i = f->count; i-- > 0; host += 4)
        memcpy(host, &f->value[i], 4);
    st->esp -= bytes;
    return true;
}

bool stack_push(struct vcpu *v, struct stack *st, const struct frame *f)
{
    if (push_fast(v, st, f))
        return true;
    if (!stack_fits(v, st, f) || !frame_probe(v, st, f))
        return false;
    for (unsigned i = 0; i < f->count; i++) {
        if (!mem_write(v, st->ss.base + frame_offset(st, f, i), f->width, st->user, f->value[i]))
            return false;
    }
    st->esp = stack_merge(&st->ss, st->esp, st->esp - f->count * f->width);
    return true;
}

bool stack_peek(struct vcpu *v, uint32_t depth, unsigned width, uint32_t *value)
{
    uint32_t offset = (v->g.slot[IR_ESP] + depth) & stack_mask(&v->g.seg[SEG_SS]);
    uint32_t lin_addr;
    uint64_t bits;
    if (!seg_linear(v, SEG_SS, offset, width, false, &lin_addr) ||
        !mem_read(v, lin_addr, width, mem_is_user(v), &bits))
        return false;
    *value = (uint32_t)bits;
    return true;
}

/* --- CS --- */

bool cs_eip_ok(struct vcpu *v, uint32_t limit, uint32_t eip)
{
    return eip <= limit || raise_zero(v, EXC_GP);
}

static void cs_set(struct guest_state *g, uint16_t sel, struct desc d, unsigned cpl, uint32_t eip)
{
    segment_set(&g->seg[SEG_CS], (uint16_t)((sel & ~3u) | cpl), d);
    g->eip = eip;
    g->cpl = (uint8_t)cpl;
}

void cs_commit(struct vcpu *v, uint16_t sel, struct desc d, unsigned cpl, uint32_t eip)
{
    cs_set(&v->g, sel, d, cpl, eip);
    vcpu_segments_changed(v);
}

/* The limit in force is checked: a load in real mode keeps it (seg_load_8086). */
static bool cs_load_8086(struct vcpu *v, uint16_t sel, uint32_t eip)
{
    if (!cs_eip_ok(v, v->g.seg[SEG_CS].limit, eip))
        return false;
    seg_load_8086(&v->g, &v->g.seg[SEG_CS], sel);
    v->g.eip = eip;
    vcpu_update_mode(v);
    return true;
}

/* Code segment for a transfer without a gate: stays at the CPL. `d` was read from `sel`. */
static bool cs_check_direct(struct vcpu *v, uint16_t sel, struct desc d)
{
    unsigned cpl = v->g.cpl, dpl = desc_dpl(d);
    bool allowed = desc_is_conforming(d) ? dpl <= cpl : dpl == cpl && SEL_RPL(sel) <= cpl;
    if (!desc_is_code(d) || !allowed)
        return raise_sel(v, EXC_GP, sel);
    return (d.hi & DESC_P) || raise_sel(v, EXC_NP, sel);
}

/* Reads and checks the code segment that a call gate names. JMP may not change the privilege. */
static bool cs_check_gate(struct vcpu *v, uint16_t sel, bool jmp, struct desc *d)
{
    if (SEL_IS_NULL(sel))
        return raise_zero(v, EXC_GP);
    if (!desc_read(v, sel, d, EXC_GP))
        return false;
    unsigned cpl = v->g.cpl, dpl = desc_dpl(*d);
    bool allowed = jmp && !desc_is_conforming(*d) ? dpl == cpl : dpl <= cpl;
    if (!desc_is_code(*d) || !allowed)
        return raise_sel(v, EXC_GP, sel);
    return (d->hi & DESC_P) || raise_sel(v, EXC_NP, sel);
}

/* --- JMP and CALL --- */

struct far_transfer {
    bool call;
    uint16_t sel;
    uint32_t offset;   /* already cut to the operand size */
    unsigned width;    /* of what CALL pushes: 2 or 4 bytes */
    uint32_t next_eip; /* what CALL pushes, what a task switch saves */
};

/* The frame of a call that stays on its stack; the registers change when all went well. */
static bool push_return(struct vcpu *v, const struct far_transfer *t, unsigned width, struct stack *st)
{
    struct frame f = {.width = width};
    frame_add(&f, v->g.seg[SEG_CS].sel);
    frame_add(&f, t->next_eip);
    *st = stack_current(v);
    return stack_push(v, st, &f);
}

static bool far_8086(struct vcpu *v, const struct far_transfer *t)
{
    struct stack st = stack_current(v);
    if (!cs_eip_ok(v, v->g.seg[SEG_CS].limit, t->offset) || (t->call && !push_return(v, t, t->width, &st)))
        return false;
    v->g.slot[IR_ESP] = st.esp;
    return cs_load_8086(v, t->sel, t->offset);
}

/* To code segment `d` of selector `sel` at the same privilege, direct or through a gate. */
static bool far_same(struct vcpu *v, const struct far_transfer *t, unsigned width, uint16_t sel,
                     struct desc d, uint32_t eip)
{
    struct stack st = stack_current(v);
    if (!cs_eip_ok(v, desc_limit(d), eip) || !desc_mark_accessed(v, sel, &d))
        return false;
    if (t->call && !push_return(v, t, width, &st))
        return false;
    v->g.slot[IR_ESP] = st.esp;
    cs_commit(v, sel, d, v->g.cpl, eip);
    return true;
}

static bool far_direct(struct vcpu *v, const struct far_transfer *t, struct desc d)
{
    return cs_check_direct(v, t->sel, d) && far_same(v, t, t->width, t->sel, d, t->offset);
}

/* SS:ESP, the parameters in their order, CS:EIP (SDM 3A figure 5-14). */
static bool gate_frame(struct vcpu *v, const struct far_transfer *t, struct desc gate, struct frame *f)
{
    unsigned params = gate.hi & 31;
    *f = (struct frame){.width = gate_width(gate)};
    frame_add(f, v->g.seg[SEG_SS].sel);
    frame_add(f, v->g.slot[IR_ESP]);
    for (unsigned i = params; i-- > 0;) {
        uint32_t value;
        if (!stack_peek(v, i * f->width, f->width, &value))
            return false;
        frame_add(f, value);
    }
    frame_add(f, v->g.seg[SEG_CS].sel);
    frame_add(f, t->next_eip);
    return true;
}

static bool far_inner(struct vcpu *v, const struct far_transfer *t, struct desc gate, struct desc d)
{
    struct stack st;
    struct frame f;
    uint16_t sel = gate_selector(gate);
    uint32_t eip = gate_offset(gate);
    if (!stack_inner(v, desc_dpl(d), &st) || !gate_frame(v, t, gate, &f))
        return false;
    if (!stack_fits(v, &st, &f) || !cs_eip_ok(v, desc_limit(d), eip))
        return false;
    if (!desc_mark_accessed(v, sel, &d) || !stack_push(v, &st, &f))
        return false;
    struct vcpu_event e = {.kind = VCPU_EVENT_GATE,
                           .from_cpl = v->g.cpl,
                           .from_cs = v->g.seg[SEG_CS].sel,
                           .from_eip = t->next_eip};
    v->g.seg[SEG_SS] = st.ss;
    v->g.slot[IR_ESP] = st.esp;
    cs_commit(v, sel, d, desc_dpl(d), eip);
    if (vcpu_observed(v))
        vcpu_observe(v, &e);
    return true;
}

static bool far_call_gate(struct vcpu *v, const struct far_transfer *t, struct desc gate)
{
    struct desc d;
    uint16_t sel = gate_selector(gate);
    if (!cs_check_gate(v, sel, !t->call, &d))
        return false;
    if (!desc_is_conforming(d) && desc_dpl(d) < v->g.cpl)
        return far_inner(v, t, gate, d);
    return far_same(v, t, gate_width(gate), sel, d, gate_offset(gate));
}

static bool far_task(struct vcpu *v, const struct far_transfer *t, uint16_t tss_sel)
{
    struct task_switch s = {.cause = t->call ? TASK_CALL : TASK_JMP,
                            .sel = tss_sel,
                            .eip = t->next_eip,
                            .eflags = guest_eflags(&v->g) & ~(uint32_t)FLAG_RF};
    return task_switch(v, &s);
}

/* Gates and TSSs: DPL against CPL and RPL, then present (SDM 2 CALL, "CALL-GATE" ff.). */
static bool far_system(struct vcpu *v, const struct far_transfer *t, struct desc d)
{
    unsigned type = desc_type(d), dpl = desc_dpl(d);
    bool known = type == SYS_CALL16 || type == SYS_CALL32 || type == SYS_TASK_GATE || type == SYS_TSS16 ||
                 type == SYS_TSS32;
    if (!known || dpl < v->g.cpl || dpl < SEL_RPL(t->sel))
        return raise_sel(v, EXC_GP, t->sel);
    if (!(d.hi & DESC_P))
        return raise_sel(v, EXC_NP, t->sel);
    if (type == SYS_CALL16 || type == SYS_CALL32)
        return far_call_gate(v, t, d);
    return far_task(v, t, type == SYS_TASK_GATE ? gate_selector(d) : t->sel);
}

static bool far_transfer(struct vcpu *v, const struct far_transfer *t)
{
    struct desc d;
    if (in_8086(&v->g))
        return far_8086(v, t);
    if (SEL_IS_NULL(t->sel))
        return raise_zero(v, EXC_GP);
    if (!desc_read(v, t->sel, &d, EXC_GP))
        return false;
    return d.hi & DESC_S ? far_direct(v, t, d) : far_system(v, t, d);
}

static struct far_transfer far_operands(const struct vcpu *v, const struct ir_op *op, bool call)
{
    uint32_t offset = v->g.slot[op->b];
    return (struct far_transfer){.call = call,
                                 .sel = (uint16_t)v->g.slot[op->a],
                                 .offset = op->size == 1 ? offset & 0xffff : offset,
                                 .width = 1u << op->size,
                                 .next_eip = op->imm2};
}

enum helper_result helper_JMP_FAR(struct vcpu *v, const struct ir_op *op)
{
    struct far_transfer t = far_operands(v, op, false);
    return helper_done(far_transfer(v, &t));
}

enum helper_result helper_CALL_FAR(struct vcpu *v, const struct ir_op *op)
{
    struct far_transfer t = far_operands(v, op, true);
    return helper_done(far_transfer(v, &t));
}

/* --- RET and IRET --- */

/* What lies on the stack, SS:ESP only for a return to an outer level. */
struct return_frame {
    uint32_t eip, eflags, esp;
    uint16_t cs, ss;
    bool whole; /* SS:ESP were read with the rest */
};

/* A frame of IRET on a flat stack, in a page at hand: no slot of it faults. Whether it has SS:ESP, of which
 * nobody asks otherwise, is not known yet. */
static bool return_read_fast(struct vcpu *v, struct return_frame *r)
{
    const struct segment *ss = &v->g.seg[SEG_SS];
    uint32_t value[5], esp = v->g.slot[IR_ESP];
    if (!seg_is_plain_data(ss) || !(ss->access & SEG_ACC_DB) || ss->limit != UINT32_MAX ||
        esp > UINT32_MAX - sizeof value)
        return false;
    const uint8_t *host = mem_fast_read_run(v, ss->base + esp, sizeof value);
    if (!host)
        return false;
    memcpy(value, host, sizeof value);
    *r = (struct return_frame){value[0], value[2], value[3], (uint16_t)value[1], (uint16_t)value[4], true};
    return true;
}

static bool return_read(struct vcpu *v, unsigned width, bool iret, struct return_frame *r)
{
    uint32_t cs;
    if (iret && width == 4 && return_read_fast(v, r))
        return true;
    *r = (struct return_frame){.eip = 0};
    if (!stack_peek(v, 0, width, &r->eip) || !stack_peek(v, width, width, &cs))
        return false;
    r->cs = (uint16_t)cs;
    return !iret || stack_peek(v, 2 * width, width, &r->eflags);
}

static bool return_read_outer(struct vcpu *v, unsigned width, uint32_t depth, struct return_frame *r)
{
    uint32_t ss;
    if (r->whole)
        return true;
    if (!stack_peek(v, depth, width, &r->esp) || !stack_peek(v, depth + width, width, &ss))
        return false;
    r->ss = (uint16_t)ss;
    return true;
}

static bool return_check_cs(struct vcpu *v, uint16_t sel, struct desc *d)
{
    unsigned rpl = SEL_RPL(sel);
    if (SEL_IS_NULL(sel))
        return raise_zero(v, EXC_GP);
    if (!desc_read(v, sel, d, EXC_GP))
        return false;
    unsigned dpl = desc_dpl(*d);
    bool allowed = rpl >= v->g.cpl && (desc_is_conforming(*d) ? dpl <= rpl : dpl == rpl);
    if (!desc_is_code(*d) || !allowed)
        return raise_sel(v, EXC_GP, sel);
    return (d->hi & DESC_P) || raise_sel(v, EXC_NP, sel);
}

static void iret_flags(struct vcpu *v, unsigned width, uint32_t eflags)
{
    uint32_t mask = eflags_popped_mask(&v->g);
    if (width == 2)
        eflags_write(&v->g, eflags & 0xffff, mask | FLAG_RF);
    else
        eflags_write(&v->g, eflags, mask | FLAG_AC | FLAG_ID | FLAG_RF);
    vcpu_alignment_changed(v);
    v->rf_tick = v->limit - (uint64_t)v->g.budget; /* RF covers the next instruction */
}

static bool return_same(struct vcpu *v, unsigned width, uint32_t depth, bool iret,
                        const struct return_frame *r, struct desc d)
{
    if (!cs_eip_ok(v, desc_limit(d), r->eip) || !desc_mark_accessed(v, r->cs, &d))
        return false;
    if (iret)
        iret_flags(v, width, r->eflags);
    stack_set_esp(&v->g, v->g.slot[IR_ESP] + depth);
    cs_commit(v, r->cs, d, v->g.cpl, r->eip);
    return true;
}

static bool return_outer(struct vcpu *v, unsigned width, uint32_t depth, uint32_t release, bool iret,
                         struct return_frame *r, struct desc d)
{
    struct guest_state *g = &v->g;
    struct segment ss;
    unsigned rpl = SEL_RPL(r->cs);
    if (!return_read_outer(v, width, depth, r) || !seg_check_stack(v, r->ss, rpl, EXC_GP, &ss))
        return false;
    if (!cs_eip_ok(v, desc_limit(d), r->eip) || !desc_mark_accessed(v, r->cs, &d))
        return false;
    if (iret)
        iret_flags(v, width, r->eflags); /* rights of the CPL that executes IRET */
    g->seg[SEG_SS] = ss;
    /* A 16-bit stack gets SP only: the upper half keeps what it was, as on the chip. */
    stack_set_esp(g, r->esp + release);
    cs_set(g, r->cs, d, rpl, r->eip);
    seg_drop_inner(g);
    vcpu_segments_changed(v);
    return true;
}

/* SDM 2 IRET, "RETURN-TO-VIRTUAL-8086-MODE": ESP, SS, ES, DS, FS, GS lie above EFLAGS. */
static bool return_vm86(struct vcpu *v, const struct return_frame *r)
{
    static const uint8_t regs[] = {SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    struct guest_state *g = &v->g;
    uint32_t esp, sel[sizeof regs];
    if (!stack_peek(v, 12, 4, &esp))
        return false;
    for (unsigned i = 0; i < sizeof regs; i++)
        if (!stack_peek(v, 16 + 4 * i, 4, &sel[i]))
            return false;
    if (!cs_eip_ok(v, 0xffff, r->eip))
        return false;
    iret_flags(v, 4, r->eflags);
    vm86_enter(g);
    seg_load_8086(g, &g->seg[SEG_CS], r->cs);
    for (unsigned i = 0; i < sizeof regs; i++)
        seg_load_8086(g, &g->seg[regs[i]], (uint16_t)sel[i]);
    g->slot[IR_ESP] = esp;
    g->eip = r->eip;
    vcpu_update_mode(v);
    return true;
}

/* As one before; all of its frame was read. */
static bool return_known(struct vcpu *v, const struct return_frame *r)
{
    struct guest_state *g = &v->g;
    const struct passage *p = passage_of_return(v, r->cs, r->ss);
    if (!p)
        return false;
    iret_flags(v, 4, r->eflags); /* rights of the CPL that executes IRET */
    g->slot[IR_ESP] = p->stack ? r->esp : g->slot[IR_ESP] + 12;
    g->eip = r->eip;
    passage_commit(v, p);
    return true;
}

/* RET and IRET in protected mode: CS and eip (and, when IRET, EFLAGS) on the stack. */
static bool far_return(struct vcpu *v, unsigned width, uint32_t release, bool iret)
{
    struct return_frame r;
    struct desc d;
    uint32_t depth = width * (iret ? 3 : 2) + release;
    if (!return_read(v, width, iret, &r))
        return false;
    if (iret && width == 4 && (r.eflags & FLAG_VM) && v->g.cpl == 0)
        return return_vm86(v, &r);
    if (r.whole && return_known(v, &r))
        return true;
    if (!return_check_cs(v, r.cs, &d))
        return false;
    const uint32_t from_mode = v->g.mode;
    const bool ok = SEL_RPL(r.cs) > v->g.cpl ? return_outer(v, width, depth, release, iret, &r, d)
                                             : return_same(v, width, depth, iret, &r, d);
    if (ok && r.whole)
        passage_returned(v, from_mode, r.cs, d);
    return ok;
}

static bool return_8086(struct vcpu *v, unsigned width, uint32_t release, bool iret)
{
    struct return_frame r;
    if (!return_read(v, width, iret, &r) || !cs_load_8086(v, r.cs, r.eip))
        return false;
    if (iret)
        iret_flags(v, width, r.eflags);
    stack_set_esp(&v->g, v->g.slot[IR_ESP] + width * (iret ? 3 : 2) + release);
    return true;
}

static enum helper_result returned(struct vcpu *v, bool ok, enum vcpu_event_kind kind, unsigned from_cpl)
{
    struct vcpu_event e = {.kind = kind, .from_cpl = (uint8_t)from_cpl};
    if (ok && vcpu_observed(v))
        vcpu_observe(v, &e);
    return helper_done(ok);
}

enum helper_result helper_RET_FAR(struct vcpu *v, const struct ir_op *op)
{
    unsigned width = 1u << op->size, cpl = v->g.cpl;
    if (in_8086(&v->g))
        return helper_done(return_8086(v, width, op->imm2, false));
    bool ok = far_return(v, width, op->imm2, false);
    return v->g.cpl == cpl ? helper_done(ok) : returned(v, ok, VCPU_EVENT_RET_FAR, cpl);
}

static bool iret(struct vcpu *v, const struct ir_op *op)
{
    unsigned width = 1u << op->size;
    if (in_8086(&v->g)) /* NT does not count there: SDM 2 IRET */
        return vm86_iopl_ok(v) && return_8086(v, width, 0, true);
    if (v->g.eflags & FLAG_NT) /* IRET returns to the previous task, whatever the stack holds */
        return task_return(v, op->imm2);
    return far_return(v, width, 0, true);
}

enum helper_result helper_IRET(struct vcpu *v, const struct ir_op *op)
{
    unsigned cpl = v->g.cpl;
    vcpu_unblock_nmi(v);
    return returned(v, iret(v, op), VCPU_EVENT_IRET, cpl);
}
