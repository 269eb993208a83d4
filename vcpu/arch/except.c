/* except.c - exceptions, interrupts, INT n, and EFLAGS as they are pushed and popped.
 *
 * Model: SDM 3A chapter 6. An event (exception, interrupt, software interrupt) goes through the IVT or
 * the IDT. Delivery is atomic: a fault in it leaves the state at the boundary where it began, and is then
 * delivered instead or as #DF (table 6-5); EXT is or-ed into its error code afterwards, which
 * is right for every selector error of a delivery (6.13) and keeps the code below free of it.
 * Delivering takes no tick.
 *
 * NOT MODELLED: VME (EFLAGS.VIF and VIP, the interrupt redirection map). */
#include "vcpu/arch/passage.h"
#include "vcpu/arch/protect.h"

/* --- raising --- */

/* Vectors that push an error code: SDM 3A table 6-1. */
#define ERROR_VECTORS                                                                                        \
    (1u << EXC_DF | 1u << EXC_TS | 1u << EXC_NP | 1u << EXC_SS | 1u << EXC_GP | 1u << EXC_PF | 1u << EXC_AC)

enum helper_result vcpu_raise_error(struct vcpu *v, unsigned vector, uint32_t error)
{
    v->exc =
        (struct pending_exc){.pending = true, .vector = (uint8_t)vector, .has_error = true, .error = error};
    return HELPER_FAULT;
}

enum helper_result vcpu_raise(struct vcpu *v, unsigned vector)
{
    vcpu_raise_error(v, vector, 0);
    v->exc.has_error = ERROR_VECTORS >> vector & 1;
    return HELPER_FAULT;
}

enum helper_result vcpu_raise_trap(struct vcpu *v, unsigned vector, uint32_t next_eip)
{
    v->exc = (struct pending_exc){
        .pending = true, .vector = (uint8_t)vector, .is_trap = true, .next_eip = next_eip};
    return HELPER_FAULT;
}

/* --- EFLAGS --- */

void eflags_write(struct guest_state *g, uint32_t value, uint32_t mask)
{
    const uint32_t derived = FLAGS_ARITH | FLAG_DF; /* what guest_eflags adds, at some cost */
    uint32_t old = (mask & derived) == derived ? g->eflags : guest_eflags(g);
    uint32_t eflags = (old & ~mask) | (value & mask);
    guest_set_arith_flags(g, eflags);
    g->eflags = eflags & FLAGS_SYSTEM;
}

uint32_t eflags_popped_mask(const struct guest_state *g)
{
    unsigned iopl = (g->eflags & FLAG_IOPL) >> 12;
    uint32_t mask = FLAGS_ARITH | FLAG_DF | FLAG_TF | FLAG_NT;
    mask |= g->cpl <= iopl ? FLAG_IF : 0;
    mask |= g->cpl == 0 ? FLAG_IOPL : 0;
    return mask;
}

bool vm86_iopl_ok(struct vcpu *v)
{
    return !in_vm86(&v->g) || (v->g.eflags & FLAG_IOPL) == FLAG_IOPL || raise_zero(v, EXC_GP);
}

void vm86_enter(struct guest_state *g)
{
    g->eflags |= FLAG_VM;
    g->cpl = 3;
}

/* --- one delivery --- */

/* Error code of a fault about the IDT entry itself: index, IDT bit. */
static uint32_t idt_error(const struct event *e)
{
    return e->vector * 8u + 2;
}

static bool raise_gate(struct vcpu *v, unsigned vector, const struct event *e)
{
    vcpu_raise_error(v, vector, idt_error(e));
    return false;
}

/* SDM 3A 6.12.1.2: TF, NT, RF, VM clear; IF too through an interrupt gate. */
static void handler_flags(struct guest_state *g, bool interrupt_gate)
{
    g->eflags &= ~(uint32_t)(FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM | (interrupt_gate ? FLAG_IF : 0));
}

/* SDM 3A 20.1.4: FLAGS, CS, IP; vectors of 4 bytes; no error codes. */
static bool deliver_real(struct vcpu *v, const struct event *e)
{
    struct guest_state *g = &v->g;
    struct stack st = stack_current(v);
    struct frame f = {.width = 2};
    uint64_t entry;
    if (e->vector * 4u + 3 > g->idtr.limit)
        return raise_gate(v, EXC_GP, e);
    if (!mem_read(v, g->idtr.base + e->vector * 4u, 4, false, &entry))
        return false;
    frame_add(&f, e->eflags);
    frame_add(&f, g->seg[SEG_CS].sel);
    frame_add(&f, e->eip);
    if (!stack_fits(v, &st, &f) || !cs_eip_ok(v, g->seg[SEG_CS].limit, entry & 0xffff) ||
        !stack_push(v, &st, &f))
        return false;
    g->slot[IR_ESP] = st.esp;
    seg_load_8086(g, &g->seg[SEG_CS], (uint16_t)(entry >> 16));
    g->eip = entry & 0xffff;
    handler_flags(g, true);
    g->eflags &= ~(uint32_t)FLAG_AC;
    vcpu_update_mode(v);
    return true;
}

static bool gate_read(struct vcpu *v, const struct event *e, struct desc *gate)
{
    const uint32_t gates =
        1u << SYS_TASK_GATE | 1u << SYS_INT16 | 1u << SYS_TRAP16 | 1u << SYS_INT32 | 1u << SYS_TRAP32;
    uint64_t bits;
    if (e->vector * 8u + 7 > v->g.idtr.limit)
        return raise_gate(v, EXC_GP, e);
    if (!mem_read(v, v->g.idtr.base + e->vector * 8u, 8, false, &bits))
        return false;
    *gate = (struct desc){(uint32_t)bits, (uint32_t)(bits >> 32)};
    if (!(gates >> desc_type(*gate) & 1) || (e->software && desc_dpl(*gate) < v->g.cpl))
        return raise_gate(v, EXC_GP, e);
    return (gate->hi & DESC_P) || raise_gate(v, EXC_NP, e);
}

static bool handler_code(struct vcpu *v, uint16_t sel, struct desc *d)
{
    if (SEL_IS_NULL(sel))
        return raise_zero(v, EXC_GP);
    if (!desc_read(v, sel, d, EXC_GP))
        return false;
    if (!desc_is_code(*d) || desc_dpl(*d) > v->g.cpl)
        return raise_sel(v, EXC_GP, sel);
    if (!(d->hi & DESC_P))
        return raise_sel(v, EXC_NP, sel);
    /* SDM 2 INT n: what interrupts virtual-8086 mode runs at CPL 0. */
    const bool outer = desc_is_conforming(*d) || desc_dpl(*d) != 0;
    return !(in_vm86(&v->g) && outer) || raise_sel(v, EXC_GP, sel);
}

/* SDM 3B figure 20-4: they lie above SS and are null for the handler. */
static const uint8_t vm86_saved[] = {SEG_GS, SEG_FS, SEG_DS, SEG_ES};

static void vm86_leave(struct guest_state *g)
{
    if (!in_vm86(g))
        return;
    for (unsigned i = 0; i < sizeof vm86_saved; i++)
        g->seg[vm86_saved[i]] = (struct segment){.sel = 0};
}

static void handler_frame(const struct vcpu *v, const struct event *e, unsigned width, bool inner,
                          struct frame *f)
{
    const struct guest_state *g = &v->g;
    f->width = width;
    f->count = 0; /* the values need no zeroes */
    if (in_vm86(g))
        for (unsigned i = 0; i < sizeof vm86_saved; i++) /* bits 16 and up of a slot are 0 */
            frame_add(f, g->seg[vm86_saved[i]].sel);
    if (inner) {
        frame_add(f, g->seg[SEG_SS].sel);
        frame_add(f, g->slot[IR_ESP]);
    }
    frame_add(f, e->eflags);
    frame_add(f, g->seg[SEG_CS].sel);
    frame_add(f, e->eip);
    if (e->has_error)
        frame_add(f, e->error);
}

/* Interrupt and trap gates: SDM 2 INT n, "TRAP-OR-INTERRUPT-GATE" ff. */
static bool deliver_gate(struct vcpu *v, const struct event *e, struct desc gate)
{
    struct guest_state *g = &v->g;
    uint16_t sel = gate_selector(gate);
    uint32_t eip = gate_offset(gate);
    struct desc d;
    struct stack st = stack_current(v);
    struct frame f;
    struct passage p = {.from_cpl = g->cpl};
    const uint32_t from_mode = g->mode;
    if (!handler_code(v, sel, &d))
        return false;
    unsigned cpl = desc_is_conforming(d) ? g->cpl : desc_dpl(d);
    bool inner = cpl < g->cpl;
    if (inner && !stack_inner(v, cpl, &st))
        return false;
    handler_frame(v, e, gate_width(gate), inner, &f);
    if (!stack_fits(v, &st, &f) || !cs_eip_ok(v, desc_limit(d), eip))
        return false;
    if (!desc_mark_accessed(v, sel, &d))
        return false;
    const bool known = passage_made_from(v, gate, d, inner ? st.fault_sel : 0, &p);
    if (!stack_push(v, &st, &f))
        return false;
    g->seg[SEG_SS] = st.ss;
    g->slot[IR_ESP] = st.esp;
    vm86_leave(g);
    handler_flags(g, desc_type(gate) == SYS_INT16 || desc_type(gate) == SYS_INT32);
    cs_commit(v, sel, d, cpl, eip);
    if (known)
        passage_entered(v, e, from_mode, &p);
    return true;
}

static bool deliver_protected(struct vcpu *v, const struct event *e)
{
    struct desc gate;
    if (passage_enter(v, e))
        return true;
    if (!gate_read(v, e, &gate))
        return false;
    if (desc_type(gate) != SYS_TASK_GATE)
        return deliver_gate(v, e, gate);
    struct task_switch t = {.cause = TASK_EVENT,
                            .sel = gate_selector(gate),
                            .eip = e->eip,
                            .eflags = e->eflags,
                            .has_error = e->has_error,
                            .error = e->error};
    return task_switch(v, &t);
}

void vcpu_observe(struct vcpu *v, struct vcpu_event *e)
{
    e->tick = vcpu_insn_tick(v) + (v->at_boundary ? 0 : 1);
    v->cfg.observer.event(v->cfg.observer.ctx, &v->g, e);
}

static bool enter_handler(struct vcpu *v, const struct event *e)
{
    struct vcpu_event seen = {.kind = e->kind,
                              .vector = e->vector,
                              .from_cpl = v->g.cpl,
                              .from_cs = v->g.seg[SEG_CS].sel,
                              .from_eip = e->eip};
    if (!(v->g.cr0 & CR0_PE ? deliver_protected(v, e) : deliver_real(v, e)))
        return false;
    if (vcpu_observed(v))
        vcpu_observe(v, &seen);
    return true;
}

static bool deliver(struct vcpu *v, const struct event *e)
{
    if (v->cfg.log_items & VCPU_LOG_INT) {
        struct pending_exc exc = {.vector = e->vector, .has_error = e->has_error, .error = e->error};
        eventlog_interrupt(v, &exc, e->software, e->eip);
    }
    return enter_handler(v, e);
}

/* --- exceptions: double and triple faults --- */

enum exc_class { CLASS_BENIGN, CLASS_CONTRIBUTORY, CLASS_PAGE_FAULT, CLASS_DOUBLE_FAULT };

/* SDM 3A table 6-4. */
static enum exc_class exc_class(unsigned vector)
{
    const uint32_t contributory = 1u << EXC_DE | 1u << EXC_TS | 1u << EXC_NP | 1u << EXC_SS | 1u << EXC_GP;
    if (vector == EXC_DF)
        return CLASS_DOUBLE_FAULT;
    if (vector == EXC_PF)
        return CLASS_PAGE_FAULT;
    return vector < 32 && (contributory >> vector & 1) ? CLASS_CONTRIBUTORY : CLASS_BENIGN;
}

/* SDM 3A table 6-5: does `second`, raised while `first` was delivered, escalate? */
static bool exc_escalates(unsigned first, unsigned second)
{
    enum exc_class a = exc_class(first), b = exc_class(second);
    if (b == CLASS_BENIGN || a == CLASS_BENIGN)
        return false;
    return a != CLASS_CONTRIBUTORY || b == CLASS_CONTRIBUTORY;
}

static void mark_external(struct pending_exc *exc)
{
    const uint32_t selector_errors = 1u << EXC_TS | 1u << EXC_NP | 1u << EXC_SS | 1u << EXC_GP;
    if (exc->vector < 32 && (selector_errors >> exc->vector & 1))
        exc->error |= 1;
}

/* DR6 and DR7 as the chip sets them before the handler runs; B0..B3 of the last #DB do not linger (SDM
 * 3A 17.2.3). */
static uint32_t debug_status(struct vcpu *v)
{
    struct guest_state *g = &v->g;
    uint32_t hit = v->db_pending;
    v->db_pending = 0;
    g->dr[6] = (hit & 0xf ? g->dr[6] & ~0xfu : g->dr[6]) | hit | DR6_FIXED;
    g->dr[7] &= ~DR7_GD;
    return hit;
}

/* SDM 3A 17.3.1.1: faults push RF set, but for a #DB of an instruction breakpoint. */
static uint32_t pushed_eflags(const struct vcpu *v, const struct pending_exc *exc, uint32_t debug_hit)
{
    bool breakpoint = exc->vector == EXC_DB && !(debug_hit & DR6_BD);
    bool fault = !exc->is_trap && exc->vector != EXC_DF && !breakpoint;
    return guest_eflags(&v->g) | (fault ? FLAG_RF : 0);
}

static bool deliver_one(struct vcpu *v, const struct pending_exc *exc)
{
    uint32_t debug_hit = exc->vector == EXC_DB ? debug_status(v) : 0;
    struct event e = {.kind = VCPU_EVENT_EXCEPTION,
                      .vector = exc->vector,
                      .has_error = exc->has_error,
                      .error = exc->error,
                      .eip = v->g.eip,
                      .eflags = pushed_eflags(v, exc, debug_hit)};
    return deliver(v, &e);
}

/* What to deliver after `first` met v->exc in its delivery; false: shutdown. */
static bool exc_next(struct vcpu *v, const struct pending_exc *first, struct pending_exc *next)
{
    *next = v->exc;
    if (!exc_escalates(first->vector, next->vector)) {
        mark_external(next);
        return true;
    }
    *next = (struct pending_exc){.vector = EXC_DF, .has_error = true};
    return first->vector != EXC_DF;
}

static void deliver_until_done(struct vcpu *v)
{
    struct pending_exc exc = v->exc, next;
    v->faults.count = 0;
    for (;;) {
        if (exc.is_trap)
            v->g.eip = exc.next_eip;
        v->exc.pending = false;
        fault_chain_add(&v->faults, &exc);
        if (deliver_one(v, &exc))
            return;
        CHECK(v->exc.pending);
        if (v->exc.is_trap) /* of a task just entered: what follows happens there */
            v->g.eip = v->exc.next_eip;
        if (!exc_next(v, &exc, &next))
            break;
        exc = next;
    }
    fault_chain_add(&v->faults, &v->exc);
    v->exc.pending = false;
    v->exit_reason = VCPU_EXIT_TRIPLE_FAULT + 1;
}

/* At a boundary no block runs: stores into code and MMIO need no redo, and an access is stamped with the
 * boundary's tick, as if by an instruction that never retires. A stale RF goes. */
static bool boundary_enter(struct vcpu *v)
{
    bool in_single = v->in_single;
    if (!vcpu_rf(v))
        v->g.eflags &= ~(uint32_t)FLAG_RF;
    v->in_single = true;
    v->at_boundary = true;
    v->g.budget--;
    return in_single;
}

static void boundary_leave(struct vcpu *v, bool in_single)
{
    v->at_boundary = false;
    v->g.budget++;
    v->in_single = in_single;
    v->g.halted = 0;
    v->g.int_shadow = 0;
    v->rf_tick = v->limit - (uint64_t)v->g.budget;
}

void vcpu_deliver_exception(struct vcpu *v)
{
    CHECK(v->exc.pending);
    v->stats.exceptions++;
    bool in_single = boundary_enter(v);
    deliver_until_done(v);
    boundary_leave(v, in_single);
}

void vcpu_deliver_interrupt(struct vcpu *v, unsigned vector)
{
    v->stats.interrupts++;
    bool in_single = boundary_enter(v);
    struct event e = {.kind = VCPU_EVENT_INTERRUPT,
                      .vector = (uint8_t)vector,
                      .eip = v->g.eip,
                      .eflags = guest_eflags(&v->g)};
    bool ok = deliver(v, &e);
    boundary_leave(v, in_single);
    if (ok)
        return;
    /* An interrupt is benign: its fault is delivered instead (the interrupt is lost, as on the chip). */
    CHECK(v->exc.pending);
    mark_external(&v->exc);
    vcpu_deliver_exception(v);
}

/* --- INT n and kin: delivered inside the instruction, whose faults are its own --- */

static enum helper_result software_interrupt(struct vcpu *v, unsigned vector, uint32_t next_eip)
{
    /* RF is pushed clear: SDM 3A 17.3.1.1. */
    struct event e = {.kind = VCPU_EVENT_SOFTWARE,
                      .vector = (uint8_t)vector,
                      .software = true,
                      .eip = next_eip,
                      .eflags = guest_eflags(&v->g) & ~(uint32_t)FLAG_RF};
    return helper_done(deliver(v, &e));
}

enum helper_result helper_INT(struct vcpu *v, const struct ir_op *op)
{
    enum { INT_N = 0 }; /* op->size; INT3 and INTO do not look at IOPL */
    if (op->size == INT_N && !vm86_iopl_ok(v))
        return HELPER_FAULT;
    return software_interrupt(v, op->aux, op->imm2);
}

enum helper_result helper_INTO(struct vcpu *v, const struct ir_op *op)
{
    if (guest_eflags(&v->g) & FLAG_OF)
        return software_interrupt(v, EXC_OF, op->imm2);
    v->g.eip = op->imm2;
    return HELPER_OK;
}

enum helper_result helper_INT1(struct vcpu *v, const struct ir_op *op)
{
    return vcpu_raise_trap(v, EXC_DB, op->imm2); /* ICEBP: no DR6 bit */
}
