/* run.c - the run loop: what happens between blocks, and only there.
 *
 * tick = limit - budget at every boundary. The loop looks, in this order: is the limit reached (then the
 * devices' events and effects at this tick come first), is an exception or trap to be delivered, is INIT, an
 * NMI or an interrupt accepted (in this order: SDM 3A table 6-2), is the vCPU halted; else it runs.
 * Deliveries take no tick.
 *
 * The limit is the least of the link's limit, the next digest point or sample and the tick limit. A block
 * that would cross it gives way to shorter ones, of a power of two of instructions, up to it. Blocks of one
 * instruction carry what a longer block must not do (redo_single), interrupt shadows, single-stepping and
 * breakpoints.
 *
 * NOT MODELLED: SMI. */
#include "clockcore/check.h"
#include "clockcore/ticks.h"
#include "mem/remap.h"
#include "syncq/activity.h"
#include "syncq/busmap.h"
#include "syncq/link.h"
#include "vcpu/arch/protect.h"
#include "vcpu/engine/engine.h"

#define LIMIT_TICKS_MAX     (UINT64_C(1) << 62) /* keeps budget inside its type when nothing bounds a run */
#define PROGRESS_TICKS      (UINT64_C(1) << 20)
#define DELIVERIES_PER_LOOK 4096 /* see delivered() */

/* --- time --- */

uint64_t vcpu_tick(const struct vcpu *v)
{
    return v->limit - (uint64_t)v->g.budget;
}

uint64_t vcpu_now_ns(const struct vcpu *v)
{
    return ticks_to_ns(vcpu_tick(v), v->cfg.shift);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* What is to be done at an exact tick, idle or not. */
static uint64_t point_next(const struct vcpu *v)
{
    return least(v->digest_next, least(v->sample_next, v->until.tick));
}

void vcpu_refresh_limit(struct vcpu *v)
{
    uint64_t tick = vcpu_tick(v);
    uint64_t limit = least(link_limit(v->cfg.link), least(point_next(v), v->local_next));
    if (limit < tick)
        limit = tick;
    v->limit = least(limit, tick + LIMIT_TICKS_MAX);
    v->g.budget = (int64_t)(v->limit - tick);
}

void vcpu_access_done(struct vcpu *v)
{
    vcpu_refresh_limit(v);
    if (!link_stopping(v->cfg.link))
        return;
    v->limit = vcpu_tick(v); /* of the boundary behind the instruction: it counts as retired already */
    v->g.budget = 0;
}

/* --- this side's own events --- */

#define LOCAL_EVENTS_MAX 64 /* at one tick; more than that waits for the next tick */

/* MOV SS and POP SS hold off NMIs, too; STI does not (SDM 3A 6.8.3; SDM 2 STI leaves it open). */
static bool held_off(const struct vcpu *v)
{
    return v->g.int_shadow == SHADOW_STACK || (v->g.int_shadow && v->wants == WANTS_INTR);
}

void vcpu_intc_settled(struct vcpu *v)
{
    const struct vcpu_intc *c = &v->cfg.intc;
    if (c->settle)
        v->pins |= c->settle(c->ctx);
    vcpu_wants_settled(v, c->intr(c->ctx));
    v->local_next = c->next_event ? ticks_ceil(c->next_event(c->ctx), v->cfg.shift) : TICK_NEVER;
}

void vcpu_apic_moved(struct vcpu *v)
{
    const struct vcpu_intc *c = &v->cfg.intc;
    if (!c->apic_base)
        return;
    uint64_t base = c->apic_base(c->ctx), page = base & ~(uint64_t)(PAGE_BYTES - 1);
    bool shown = (base & VCPU_APIC_ENABLE) && page <= UINT32_MAX;
    if (v->cfg.apic_remap >= 0)
        physmem_remap(v->cfg.mem, (unsigned)v->cfg.apic_remap, shown ? (uint32_t)page | MEM_WINDOW_ON : 0);
    vcpu_intc_settled(v);
    vcpu_refresh_limit(v);
}

static void local_events(struct vcpu *v, uint64_t tick)
{
    if (tick < v->local_next)
        return;
    for (unsigned n = 0; n < LOCAL_EVENTS_MAX && v->local_next <= tick; n++) {
        v->cfg.intc.advance(v->cfg.intc.ctx, ticks_to_ns(tick, v->cfg.shift));
        vcpu_intc_settled(v);
    }
    if (v->local_next <= tick)
        v->local_next = tick + 1;
}

/* --- effects --- */

static void leave(struct vcpu *v, enum vcpu_exit reason)
{
    if (!v->exit_reason)
        v->exit_reason = (uint8_t)(reason + 1);
}

/* Without an APIC the wire ends at the CPU's pin. */
static void nmi_pulse(struct vcpu *v)
{
    if (v->cfg.intc.nmi)
        v->cfg.intc.nmi(v->cfg.intc.ctx);
    else
        v->pins |= VCPU_PIN_NMI;
}

static void effect_apply(struct vcpu *v, const struct effect *e)
{
    switch (e->kind) {
    case EFFECT_IRQ:
        v->cfg.intc.set_line(v->cfg.intc.ctx, e->line, e->value);
        break;
    case EFFECT_RESET:
        leave(v, VCPU_EXIT_RESET);
        break;
    case EFFECT_POWEROFF:
        leave(v, VCPU_EXIT_POWEROFF);
        break;
    case EFFECT_EXIT:
        v->exit_value = e->value;
        leave(v, VCPU_EXIT_DEBUG);
        break;
    case EFFECT_REMAP:
        physmem_remap(v->cfg.mem, e->line, e->value);
        break;
    case EFFECT_REMAP_IO:
        busmap_move(v->cfg.bus, e->line, e->value);
        break;
    case EFFECT_NMI:
        nmi_pulse(v);
        break;
    case EFFECT_INIT:
        v->pins |= VCPU_PIN_INIT;
        break;
    }
}

static void effects_take(struct vcpu *v, uint64_t tick)
{
    struct effect e;
    vcpu_take_changes(v); /* of bus masters, in the step() for this tick */
    while (link_effect_take(v->cfg.link, tick, &e)) {
        effect_apply(v, &e);
        if (v->cfg.observer.effect)
            v->cfg.observer.effect(v->cfg.observer.ctx, &e);
    }
    vcpu_intc_settled(v);
}

/* --- at the limit --- */

static void digest_point(struct vcpu *v, uint64_t tick)
{
    if (tick < v->digest_next)
        return;
    CHECK(tick == v->digest_next);
    v->point_tick = tick;
    v->cfg.digest(v->cfg.digest_ctx, tick);
    v->digest_next += v->cfg.digest_every;
}

static void sample_point(struct vcpu *v, uint64_t tick)
{
    const struct vcpu_observer *o = &v->cfg.observer;
    if (tick < v->sample_next)
        return;
    v->sample_next = o->sample(o->ctx, &v->g, tick);
    CHECK(v->sample_next > tick);
}

/* The tick is reached within a block, which goes on until `end`: nothing else is to be done before
 * that. The budget is what it is in the middle of a block: the block's ticks are taken from it. */
void vcpu_sample_inside(struct vcpu *v, uint64_t end, bool inside)
{
    v->inside = inside;
    sample_point(v, v->sample_next);
    v->inside = false;
    const uint64_t limit = least(link_limit(v->cfg.link), least(point_next(v), v->local_next));
    v->limit = least(limit, end + LIMIT_TICKS_MAX);
    v->g.budget = (int64_t)(v->limit - end);
}

bool vcpu_is_inside(const struct vcpu *v)
{
    return v->inside;
}

static void progress_point(struct vcpu *v, uint64_t tick)
{
    if (!v->cfg.progress || tick < v->progress_next)
        return;
    v->progress_next = tick + PROGRESS_TICKS;
    v->cfg.progress(v->cfg.progress_ctx, tick);
}

/* The devices' last word at this tick was had: a step here would be recorded behind the digest or the
 * snapshot that it belongs before, where a replay takes it. */
static bool point_made(const struct vcpu *v, uint64_t tick)
{
    return tick == v->point_tick;
}

/* Everything at this tick that comes before its instruction. */
static void at_limit(struct vcpu *v)
{
    uint64_t tick = vcpu_tick(v);
    if (tick >= link_limit(v->cfg.link)) {
        link_arrive(v->cfg.link, tick);
        effects_take(v, tick);
    } else if (tick == v->idle_end && !point_made(v, tick)) {
        link_poke(v->cfg.link, tick);
        effects_take(v, tick);
    }
    if (tick < link_limit(v->cfg.link)) {
        local_events(v, tick);
        digest_point(v, tick);
        sample_point(v, tick);
        if (tick >= v->until.tick)
            leave(v, VCPU_EXIT_TICK_LIMIT);
        if (link_stopping(v->cfg.link))
            leave(v, VCPU_EXIT_STOPPED);
        progress_point(v, tick);
    }
    vcpu_refresh_limit(v);
}

/* --- halted --- */

static void warp(struct vcpu *v, uint64_t tick, uint64_t to)
{
    struct vcpu_event e = {.kind = VCPU_EVENT_IDLE, .tick = tick, .idle_end = to};
    if (vcpu_observed(v))
        v->cfg.observer.event(v->cfg.observer.ctx, &v->g, &e);
    v->idle_ticks += to - tick;
    v->limit = to;
    v->g.budget = 0;
}

/* No interrupt can end this halt; a reset or power-off that is already on its way still counts. */
static void halt_for_good(struct vcpu *v, uint64_t tick)
{
    uint64_t to = link_next_effect(v->cfg.link);
    if (to == TICK_NEVER)
        leave(v, VCPU_EXIT_HALTED);
    else
        warp(v, tick, least(to, least(v->local_next, point_next(v))));
}

/* May a pin end this halt? */
static bool can_wake(const struct vcpu *v)
{
    const struct vcpu_intc *c = &v->cfg.intc;
    uint32_t pins = c->pins ? c->pins(c->ctx) : 0;
    if (vcpu_tick(v) < v->cfg.panel_until)
        return true;
    if (v->g.halted == HALTED_SIPI)
        return pins & (VCPU_PIN_INIT | VCPU_PIN_SIPI);
    if (v->nmi_blocked)
        pins &= ~(uint32_t)VCPU_PIN_NMI;
    return pins || ((v->g.eflags & FLAG_IF) && c->can_interrupt(c->ctx));
}

/* Asks the link once for each idle period, however many digest points it spans: each asking would begin the
 * host time anew that the period lasts. What ended it (input, maybe) is taken in at its end, before the
 * digest there. */
static void idle(struct vcpu *v)
{
    struct link *l = v->cfg.link;
    uint64_t tick = vcpu_tick(v);
    if (link_stopping(l)) {
        leave(v, VCPU_EXIT_STOPPED);
        return;
    }
    if (!can_wake(v)) {
        halt_for_good(v, tick);
        return;
    }
    uint64_t to = v->idle_end > tick ? v->idle_end : link_idle(l, tick, v->local_next, v->until.tick);
    if (to == TICK_NEVER) {
        leave(v, VCPU_EXIT_HALTED);
        return;
    }
    if (to == tick && link_stopping(l))
        return;
    if (to == tick && !point_made(v, tick)) {
        link_poke(l, tick);
        effects_take(v, tick);
        vcpu_refresh_limit(v);
        return;
    }
    v->idle_end = to == tick ? tick + 1 : to;
    warp(v, tick, least(v->idle_end, point_next(v)));
}

/* --- one instruction --- */

static void run_one(struct vcpu *v)
{
    struct tb *tb = tb_find(v, true);
    if (!tb)
        return;
    v->g.int_shadow = 0; /* the instruction may set it for the next one */
    v->in_single = true;
    engine_run(v, tb);
    v->in_single = false;
    CHECK(!v->redo_single);
}

/* The helper that ends the block, of one instruction or more; NULL: it ends otherwise. */
static const struct ir_op *ending_helper(const struct tb *tb)
{
    const struct ir_op *last = &tb->ops[tb->nops - 1];
    return last->op == IR_LEAVE_TB ? last - 1 : NULL;
}

static bool tb_ends(const struct tb *tb, enum helper_ends how)
{
    const struct ir_op *helper = ending_helper(tb);
    return helper && helper_info[helper->imm].ends == how;
}

/* SDM 3B 17.3.1.4: INT n clears TF before the trap could come. */
static bool enters_handler(const struct vcpu *v)
{
    return !(v->g.eflags & FLAG_TF) && tb_ends(v->tb, HELPER_ENDS_HANDLER);
}

/* DR6 bits of the instruction breakpoints at lin_addr. SDM 3B 17.2.4: type 0, length 0. */
static uint32_t exec_breakpoints(const struct vcpu *v, uint32_t lin_addr)
{
    uint32_t hits = 0, dr7 = v->g.dr[7];
    for (unsigned n = 0; n < 4; n++)
        if ((dr7 >> (2 * n) & 3) && (dr7 >> (16 + 4 * n) & 3) == 0 && v->g.dr[n] == lin_addr)
            hits |= 1u << n;
    return hits;
}

static bool has_exec_breakpoints(const struct vcpu *v)
{
    for (unsigned n = 0; n < 4; n++)
        if ((v->g.dr[7] >> (2 * n) & 3) && (v->g.dr[7] >> (16 + 4 * n) & 3) == 0)
            return true;
    return false;
}

/* An instruction breakpoint is a fault before the instruction, and none behind MOV SS and POP SS: SDM
 * 3A 6.8.3. */
static bool breaks_here(struct vcpu *v)
{
    if (v->g.int_shadow == SHADOW_STACK)
        return false;
    uint32_t hits = exec_breakpoints(v, v->g.seg[SEG_CS].base + v->g.eip);
    if (!hits || vcpu_rf(v))
        return false;
    if (marks_reached(v))
        return true;
    v->db_pending |= hits;
    vcpu_raise(v, EXC_DB);
    return true;
}

/* After an instruction retired: single-step and data breakpoints are traps. */
static void debug_traps(struct vcpu *v, bool stepping)
{
    if (stepping && !enters_handler(v))
        v->db_pending |= DR6_BS;
    if (v->db_pending && v->g.int_shadow != SHADOW_STACK)
        vcpu_raise_trap(v, EXC_DB, v->g.eip);
}

static void run_one_checked(struct vcpu *v)
{
    bool stepping = v->g.eflags & FLAG_TF;
    uint64_t tick = vcpu_tick(v);
    if (v->dr_active && breaks_here(v))
        return;
    run_one(v);
    if (v->exc.pending) {
        if (v->exc.vector != EXC_DB)
            v->db_pending = 0;
        return;
    }
    if (vcpu_tick(v) == tick)
        return;
    if (stepping || v->db_pending)
        debug_traps(v, stepping);
}

/* --- blocks --- */

static bool wants_single(const struct vcpu *v)
{
    return (v->g.eflags & FLAG_TF) || v->g.int_shadow || v->cfg.single_tb || v->db_pending ||
           v->until.condition || (v->dr_active && has_exec_breakpoints(v));
}

/* Is a sample all that there is to do before the block's end? Not where a worker reads the block, of which a
 * handler would change (interp.c). */
bool is_only_sampled(const struct vcpu *v, const struct tb *tb)
{
    const uint64_t end = vcpu_tick(v) + tb->ninsns;
    return v->sample_next == v->limit && v->cfg.observer.sample_in_block && !tb->requested &&
           end <= v->digest_next && end <= v->until.tick && end <= v->local_next &&
           end <= link_limit(v->cfg.link);
}

static void run_block(struct vcpu *v, struct tb *tb)
{
    if (tb->ninsns > v->g.budget)
        tb = is_only_sampled(v, tb) ? engine_across_sample(v, tb) : tb_find_short(v, (unsigned)v->g.budget);
    if (tb)
        engine_run(v, tb);
}

static void run_blocks(struct vcpu *v)
{
    struct tb *tb = tb_find(v, false);
    if (!tb)
        return;
    if (tb->ninsns > v->g.budget && v->g.budget == 1 && !is_only_sampled(v, tb)) {
        run_one_checked(v);
        return;
    }
    run_block(v, tb);
    if (v->redo_single) {
        v->redo_single = false;
        if (v->redo_device)
            devsites_learn(v);
        marks_pass(v);
        run_one_checked(v);
    } else if (v->db_pending && !v->exc.pending) {
        debug_traps(v, false); /* an I/O breakpoint */
    }
}

/* A guest may fault, or be interrupted, for ever: no tick goes by, and the limit is never reached. So
 * somebody who wants it to stand is heard here, and host I/O is served. */
static void delivered(struct vcpu *v)
{
    v->moved = true;
    if (++v->deliveries % DELIVERIES_PER_LOOK)
        return;
    link_host_io(v->cfg.link);
    if (link_stopping(v->cfg.link))
        leave(v, VCPU_EXIT_STOPPED);
}

static void deliver_exception(struct vcpu *v)
{
    vcpu_deliver_exception(v);
    delivered(v);
}

static void deliver_init(struct vcpu *v)
{
    uint32_t pins = v->pins;
    v->pins &= VCPU_PIN_NMI;
    if (pins & VCPU_PIN_INIT)
        vcpu_init(v, pins & VCPU_PIN_WAIT);
    if (pins & VCPU_PIN_SIPI)
        vcpu_start(v, (uint8_t)(pins >> 8));
    vcpu_intc_settled(v);
    delivered(v);
}

/* SDM 3A 6.7.1: one more may wait while one is served. */
static void deliver_nmi(struct vcpu *v)
{
    v->pins &= ~(uint32_t)VCPU_PIN_NMI;
    v->nmi_blocked = true;
    vcpu_wants_settled(v, v->wants & WANTS_INTR);
    vcpu_deliver_interrupt(v, EXC_NMI);
    delivered(v);
}

static void deliver_interrupt(struct vcpu *v)
{
    uint8_t vector = v->cfg.intc.acknowledge(v->cfg.intc.ctx);
    vcpu_intc_settled(v);
    vcpu_deliver_interrupt(v, vector);
    delivered(v);
}

static void deliver_wanted(struct vcpu *v)
{
    if (v->wants & WANTS_INIT)
        deliver_init(v);
    else if (v->wants & WANTS_NMI)
        deliver_nmi(v);
    else
        deliver_interrupt(v);
}

static bool condition_holds(struct vcpu *v)
{
    if (!v->until.condition)
        return false;
    bool ask = v->moved;
    v->moved = true;
    return ask && v->until.condition(v->until.ctx);
}

static void account(struct vcpu *v)
{
    activity_begin(v->activity, ACTIVITY_ACCOUNT);
    at_limit(v);
    activity_begin(v->activity, ACTIVITY_RUN_LOOP);
}

/* MATCH run_some */
static void run_some(struct vcpu *v)
{
    if (v->g.budget <= 0)
        account(v);
    else if (v->watcher.nchanges)
        vcpu_take_changes(v); /* of a chip with memory, in the instruction before */
    else if (v->exc.pending)
        deliver_exception(v);
    else if (vcpu_is_wanted(v) && !held_off(v))
        deliver_wanted(v);
    else if (v->g.halted)
        idle(v);
    else if (condition_holds(v))
        leave(v, VCPU_EXIT_CONDITION);
    else if (wants_single(v))
        run_one_checked(v);
    else
        run_blocks(v);
}

void vcpu_until(struct vcpu *v, const struct vcpu_until *until)
{
    v->until = *until;
}

void vcpu_stop_at(struct vcpu *v, uint64_t tick)
{
    if (tick >= v->until.tick)
        return;
    v->until.tick = tick;
    vcpu_refresh_limit(v);
}

void vcpu_sample_at(struct vcpu *v, uint64_t tick)
{
    v->sample_next = least(v->sample_next, tick);
    vcpu_refresh_limit(v);
}

enum vcpu_exit vcpu_run(struct vcpu *v)
{
    v->exit_reason = 0;
    v->moved = false;
    vcpu_take_changes(v);
    vcpu_intc_settled(v);
    v->limit = vcpu_tick(v); /* whatever changed outside: look at everything due first */
    v->g.budget = 0;
    activity_begin(v->activity, ACTIVITY_RUN_LOOP);
    while (!v->exit_reason)
        run_some(v);
    link_settle(v->cfg.link);
    activity_begin(v->activity, ACTIVITY_WAIT);
    return (enum vcpu_exit)(v->exit_reason - 1);
}
