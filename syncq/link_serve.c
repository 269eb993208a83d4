/* link_serve.c - what the holder of the baton does: device ops, the next horizon, effects.
 *
 * Everything here is a function of the guest's history only (accesses, events, input stamps), never
 * of who executes it or when: that is what makes the three modes one. In particular `sched`, the
 * next tick at which events are handled, follows from next_event(), the access and its L alone;
 * the quantum only decides where else the vCPU stops. */
#include <sched.h>
#include <time.h>

#include "clockcore/check.h"
#include "clockcore/ticks.h"
#include "syncq/link_internal.h"

static uint64_t add_ticks(uint64_t tick, uint64_t more)
{
    return tick > TICK_NEVER - more ? TICK_NEVER : tick + more;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void horizon_update(struct link *l)
{
    l->horizon = min_u64(l->sched, l->quantum_end);
}

void serve_begin(struct link *l, int me)
{
    l->holder = me;
    /* Relaxed: a figure; only the holder writes it. */
    if (l->last_holder != me)
        atomic_fetch_add_explicit(&l->handovers, 1, memory_order_relaxed);
    l->last_holder = me;
}

/* The vCPU on the other thread may have run as far as t + L or the old `sched`, whichever comes first: an
 * event that appears before that is put off until then. Without one, `sched` is the next event and nothing
 * else, so that a step at which nothing happens, whose ticks the quantum decides, leaves it as it is. */
static void sched_after_access(struct link *l, uint64_t answer_tick)
{
    uint64_t next = l->ops->next_event(l->cfg.ctx);
    uint64_t reached_at_most = min_u64(l->sched, answer_tick);
    l->clamped = next < reached_at_most;
    l->sched = l->clamped ? reached_at_most : next;
    horizon_update(l);
}

uint32_t serve_access(struct link *l, const struct access *a, uint64_t latency_ticks)
{
    uint64_t answer_tick = add_ticks(a->tick, latency_ticks);
    l->effect_floor = answer_tick;
    uint8_t before = activity_begin(holder_activity(l), ACTIVITY_DEVICE);
    uint32_t value = l->ops->access(l->cfg.ctx, a);
    activity_begin(holder_activity(l), before);
    sched_after_access(l, answer_tick);
    return value;
}

/* While ops->step runs, the vCPU stands at its tick: it asked for the step and waits (step_at), so it has
 * sent nothing since. Bus masters rely on it. */
static bool vcpu_stands(struct link *l)
{
    return !msgq_available(&l->msgq);
}

void serve_step(struct link *l, uint64_t tick)
{
    CHECK(tick <= l->sched || !l->started);
    l->quantum_end = add_ticks(tick, l->cfg.quantum_ticks);
    /* A quantum boundary (or a poke) must not handle an event that was put off: input waits too. */
    if (l->clamped && tick < l->sched && l->started) {
        horizon_update(l);
        return;
    }
    l->effect_floor = tick;
    uint8_t before = activity_begin(holder_activity(l), ACTIVITY_DEVICE);
    CHECK(vcpu_stands(l));
    l->ops->step(l->cfg.ctx, tick);
    CHECK(vcpu_stands(l));
    activity_begin(holder_activity(l), before);
    l->sched = l->ops->next_event(l->cfg.ctx);
    CHECK(l->sched > tick);
    l->clamped = false;
    l->started = true;
    horizon_update(l);
}

static uint64_t idle(struct link *l, uint64_t tick, uint64_t max_tick)
{
    uint8_t before = activity_begin(holder_activity(l), ACTIVITY_WAIT);
    uint64_t to = l->ops->idle(l->cfg.ctx, tick, max_tick, l->stand_tick);
    activity_begin(holder_activity(l), before);
    return to;
}

uint64_t serve_idle(struct link *l, uint64_t tick, uint64_t effect_tick)
{
    uint64_t max_tick = min_u64(l->sched, effect_tick);
    uint64_t to = tick;
    if (l->clamped)
        to = max_tick; /* no step() is possible before, so there is nothing that idle() could end for */
    else if (!atomic_load_explicit(&l->stop, memory_order_acquire)) /* pairs with link_stop */
        to = idle(l, tick, max_tick);
    if (to == TICK_NEVER)
        return to;
    CHECK(to >= tick && to <= max_tick);
    if (to > l->quantum_end)
        l->quantum_end = add_ticks(to, l->cfg.quantum_ticks);
    horizon_update(l);
    return to;
}

/* The quantum starts again at a tick that the vCPU has reached, without a step: nothing waits for one. */
void serve_ahead(struct link *l, uint64_t tick)
{
    if (l->ops->input_waiting && !l->ops->input_waiting(l->cfg.ctx))
        l->quantum_end = add_ticks(tick, l->cfg.quantum_ticks);
    horizon_update(l);
}

static void serve_message(struct link *l, const struct msg *m)
{
    switch ((enum msg_kind)m->kind) {
    case MSG_ACCESS:
        l->answer = serve_access(l, &m->access, m->arg);
        if (m->posted_ns)
            figure_end(&l->cfg.figures->posted_ns, m->posted_ns);
        break;
    case MSG_STEP:
        serve_step(l, m->access.tick);
        break;
    case MSG_AHEAD:
        serve_ahead(l, m->access.tick);
        break;
    case MSG_IDLE:
        l->answer = serve_idle(l, m->access.tick, m->arg);
        break;
    }
}

static uint64_t *holder_rng(struct link *l)
{
    return l->holder == BATON_DEVICE ? &l->dev_rng : &l->vcpu_rng;
}

void serve_messages(struct link *l, uint32_t max)
{
    struct msg m;
    while (max-- && msgq_pop(&l->msgq, &m)) {
        serve_message(l, &m);
        link_jitter(l, holder_rng(l));
        /* Publishes horizon, answer, the effects in the ring and all device state.
         * Pairs with the acquire in link.c:caught_up. */
        atomic_store_explicit(&l->served, ++l->served_count, memory_order_release);
        if (l->holder == BATON_DEVICE)
            park_unpark(&l->vcpu_parker);
    }
}

/* The ring has room for far more than one message's effects, and the vCPU empties it whenever it waits or
 * arrives, before it stands, too (link_settle); so this hardly ever waits. */
static void effect_send(struct link *l, const struct effect *e)
{
    while (!effect_ring_push(&l->ring, e)) {
        park_unpark(&l->vcpu_parker);
        sched_yield();
    }
}

void link_effect(struct link *l, const struct effect *e)
{
    CHECK(e->vcpu == l->cfg.vcpu);
    struct effect sent = *e;
    sent.seq = ++l->seq;
    if (sent.tick < l->effect_floor)
        sent.tick = l->effect_floor;
    if (l->cfg.plant_late && sent.seq == l->cfg.plant_late)
        sent.tick++;
    if (l->holder == BATON_DEVICE)
        effect_send(l, &sent);
    else
        pending_add(&l->pending, &sent);
}

static void poll_host_now(struct link *l, struct activity *me)
{
    uint8_t before = activity_begin(me, ACTIVITY_DEVICE);
    l->ops->host_io(l->cfg.ctx, 0);
    activity_begin(me, before);
}

/* Doubles or halves the number of chances between two looks at the clock, so that looks come
 * about every HOST_IO_PERIOD_NS however often the chances come. */
void link_poll_host(struct link *l, struct io_poll *p, struct activity *me)
{
    if (p->countdown-- > 0)
        return;
    uint64_t now = clock_realtime_ns();
    if (now - p->last_ns >= HOST_IO_PERIOD_NS) {
        p->interval /= 2;
        p->last_ns = now;
        poll_host_now(l, me);
    } else if (p->interval < HOST_IO_CHECKS_MAX) {
        p->interval = p->interval ? p->interval * 2 : 1;
    }
    p->countdown = p->interval;
}

void link_jitter_slow(uint64_t *rng)
{
    uint64_t x = *rng;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    *rng = x;
    unsigned kind = (x >> 32) % 64, amount = (x >> 40) % 50;
    if (kind < 2)
        nanosleep(&(struct timespec){.tv_nsec = amount * 1000}, NULL);
    else if (kind < 10)
        sched_yield();
    else if (kind < 26)
        for (unsigned i = 0; i < amount * 8; i++)
            cpu_relax();
}
