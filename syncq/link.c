/* link.c - the vCPU's side of the link.
 *
 * What crosses between the threads, and by which pair:
 *
 *   what                                     from -> to       published by             read by
 *   message (access, stamp, L)               vCPU -> holder   msgq `pushed` release    `pushed` acquire
 *   message slot, to be used again           holder -> vCPU   msgq `popped` release    `popped` acquire
 *   horizon, answer, device state            device -> vCPU   `served` release         `served` acquire
 *   effect                                   device -> vCPU   ring `tail` release      `tail` acquire
 *   effect slot, to be used again            vCPU -> device   ring `head` release      `head` acquire
 *   baton-owned fields, device state         last holder ->   baton drop release       baton CAS acquire
 *   "somebody sleeps" / "something changed"  both ways        parker RMW (acq_rel)     parker RMW
 *   reasons to stand                         any -> both      `stop` release           `stop` acquire
 *   end                                      any -> device    `ended` release          `ended` acquire
 *
 * The rule that keeps it small: the devices are quiescent unless a message of the vCPU is being
 * served. So while `served` equals the number of messages pushed, the vCPU reads the horizon,
 * the answer and chips in place; while it does not, the vCPU uses the horizon it saw last, and
 * stays below the bound t + L of each message that is out. All effects of those messages come at
 * or after that bound, hence collecting them late can do no harm.
 *
 * Whoever finds the baton free takes it and serves the queue before anything else: order is the
 * queue's, whoever serves it. Nobody waits for the baton as such: the vCPU waits for `served`,
 * and the holder serves or drops the baton, after which the vCPU serves for itself. */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "clockcore/check.h"
#include "clockcore/ticks.h"
#include "syncq/link_internal.h"

#define SPIN_DEFAULT 1000 /* tens of microseconds: about what a futex wake-up costs */

_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "link_stop runs in signal handlers");

/* --- start-up and end --- */

static void link_init_fields(struct link *l, const struct link_config *cfg)
{
    l->cfg = *cfg;
    l->ops = cfg->ops;
    l->always_mine = cfg->mode == LINK_INLINE;
    l->bound = l->soft = l->ahead_of = TICK_NEVER;
    l->holder = l->last_holder = BATON_VCPU + cfg->vcpu;
    l->vcpu_rng = cfg->jitter_seed * 2 + 1;
    l->dev_rng = cfg->jitter_seed * 2 + UINT64_C(0x9e3779b97f4a7c15);
    baton_init(&l->baton, l->always_mine ? BATON_VCPU + cfg->vcpu : BATON_FREE);
    park_init(&l->vcpu_parker);
    park_init(&l->dev_parker);
}

struct link *link_create(const struct link_config *cfg)
{
    CHECK(cfg->quantum_ticks > 0 && cfg->mode <= LINK_ADAPTIVE && cfg->vcpu < LINK_VCPUS_MAX);
    struct link *l = aligned_alloc(CACHE_LINE_BYTES, sizeof *l);
    if (!l)
        return NULL;
    memset(l, 0, sizeof *l);
    link_init_fields(l, cfg);
    if (!msgq_init(&l->msgq, MSGQ_SLOTS) || !pending_init(&l->pending)) {
        link_destroy(l);
        errno = ENOMEM;
        return NULL;
    }
    return l;
}

void link_destroy(struct link *l)
{
    if (!l)
        return;
    msgq_destroy(&l->msgq);
    pending_destroy(&l->pending);
    free(l);
}

void link_stop(struct link *l, uint32_t why)
{
    /* Pairs with the acquire loads of `stop`; publishes nothing but itself. The vCPU may sleep in idle, on
     * its own thread or on the device thread: wake ends that. Its parker needs no wake: the device
     * thread serves what the vCPU waits for. */
    atomic_fetch_or_explicit(&l->stop, why, memory_order_release);
    l->ops->wake(l->cfg.ctx);
}

uint32_t link_stopping(const struct link *l)
{
    return atomic_load_explicit(&l->stop, memory_order_acquire); /* pairs with link_stop */
}

void link_resume(struct link *l, uint32_t why)
{
    /* Acquire: what the requester did before comes before what the vCPU does next. */
    atomic_fetch_and_explicit(&l->stop, ~why, memory_order_acquire);
}

void link_end(struct link *l)
{
    /* Pairs with the acquire in link_device.c:ended; the device thread may sleep in host_io. */
    atomic_store_explicit(&l->ended, true, memory_order_release);
    l->ops->wake(l->cfg.ctx);
}

uint32_t link_default_spin(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) == 1)
        return 0;
    return SPIN_DEFAULT;
}

struct activity *link_vcpu_activity(struct link *l)
{
    return &l->vcpu_activity;
}

struct activity *link_device_activity(struct link *l)
{
    return &l->dev_activity;
}

void link_get_stats(const struct link *l, struct link_stats *out)
{
    *out = (struct link_stats){
        .posted = l->stats.posted,
        .synchronous = l->stats.synchronous,
        .pure = l->stats.pure,
        .steps = l->stats.steps,
        .effects = l->stats.effects,
        .rendezvous = l->stats.rendezvous,
        .wait_ns = l->stats.wait_ns,
        .vcpu_parks = l->stats.parks,
        .vcpu_parked_ns = l->stats.parked_ns,
        .idle_ns = l->stats.idle_ns,
        /* Relaxed: figures, not facts to act on. */
        .dev_parks = atomic_load_explicit(&l->dev_parks, memory_order_relaxed),
        .dev_parked_ns = atomic_load_explicit(&l->dev_parked_ns, memory_order_relaxed),
        .handovers = atomic_load_explicit(&l->handovers, memory_order_relaxed),
    };
}

/* --- the vCPU's limit --- */

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void limit_update(struct link *l)
{
    uint64_t limit = min_u64(l->horizon_seen, pending_tick(&l->pending));
    l->limit = min_u64(limit, min_u64(l->bound, l->soft));
}

/* Mode thread: where the vCPU reports its tick, so that the quantum moves ahead without a wait. Once per
 * horizon, and not below `lowest`, which the vCPU may have reached already. */
static uint64_t soft_limit(const struct link *l, uint64_t lowest)
{
    if (l->cfg.mode != LINK_THREAD || !l->ops->input_waiting || l->horizon != l->quantum_end ||
        l->horizon == l->ahead_of || l->horizon < l->cfg.quantum_ticks)
        return TICK_NEVER;
    return max_u64(l->horizon - l->cfg.quantum_ticks / 2, lowest);
}

/* No message is out, so what the holder of the baton left behind may be read. */
static void horizon_take_in(struct link *l, uint64_t lowest)
{
    l->horizon_seen = l->horizon;
    l->bound = TICK_NEVER;
    l->soft = soft_limit(l, lowest);
    limit_update(l);
}

void link_quantum_restart(struct link *l, uint64_t tick)
{
    l->quantum_end = tick > TICK_NEVER - l->cfg.quantum_ticks ? TICK_NEVER : tick + l->cfg.quantum_ticks;
    l->horizon = min_u64(l->sched, l->quantum_end);
    horizon_take_in(l, tick + 1);
}

static void effects_collect(struct link *l)
{
    struct effect e;
    while (effect_ring_pop(&l->ring, &e))
        pending_add(&l->pending, &e);
}

/* True once every message is served. `served` first, the ring after it: the effects of a message are in
 * the ring before it counts as served. */
static bool all_served(struct link *l)
{
    /* Pairs with the release in serve_messages. */
    uint64_t served = atomic_load_explicit(&l->served, memory_order_acquire);
    link_jitter(l, &l->vcpu_rng);
    effects_collect(l);
    if (served != l->out)
        return false;
    l->out_seen = l->out;
    return true;
}

/* --- taking the baton, or asking its holder --- */

static bool vcpu_take(struct link *l)
{
    if (l->always_mine)
        return true;
    link_jitter(l, &l->vcpu_rng);
    if (!baton_try(&l->baton, BATON_VCPU + l->cfg.vcpu))
        return false;
    serve_begin(l, BATON_VCPU + l->cfg.vcpu);
    link_jitter(l, &l->vcpu_rng);
    if (l->out_seen != l->out) {
        serve_messages(l, SERVE_ALL);
        CHECK(all_served(l));
    }
    return true;
}

static void vcpu_drop(struct link *l, uint64_t lowest)
{
    horizon_take_in(l, lowest);
    if (!l->always_mine)
        baton_drop(&l->baton);
}

/* Mode thread leaves the work to the device thread, while that keeps up. */
static inline bool my_turn(struct link *l)
{
    if (l->cfg.mode != LINK_THREAD)
        return true;
    if (l->own_turns == 0)
        return false;
    l->own_turns--;
    return true;
}

/* For an operation that is not sent yet. */
static inline bool vcpu_serves(struct link *l)
{
    return my_turn(l) && vcpu_take(l);
}

/* The device thread does not run, or not fast enough (its CPU has other work, or it has to be woken first):
 * waiting for it each time would cost the guest far more than the work itself. */
static void device_late(struct link *l)
{
    uint32_t most = l->cfg.jitter_seed ? OWN_TURNS_MAX_JITTER : OWN_TURNS_MAX;
    l->penalty = l->penalty < most ? 2 * l->penalty + 1 : most;
    l->own_turns = l->penalty;
    l->in_time = 0;
}

static void device_in_time(struct link *l)
{
    if (l->penalty && ++l->in_time >= l->penalty) {
        l->penalty /= 2;
        l->in_time = 0;
    }
}

/* True: nothing is out any more, either because the device thread served it or because it has left the
 * baton to us. */
static bool caught_up(struct link *l)
{
    if (all_served(l))
        return true;
    if (!vcpu_take(l))
        return false;
    baton_drop(&l->baton);
    return true;
}

/* Announces the sleep first, looks again, then sleeps (park.h). */
static void vcpu_park(struct link *l)
{
    link_jitter(l, &l->vcpu_rng);
    park_prepare(&l->vcpu_parker);
    link_jitter(l, &l->vcpu_rng);
    if (caught_up(l)) {
        park_cancel(&l->vcpu_parker);
        return;
    }
    uint64_t start_ns = clock_realtime_ns();
    park_commit(&l->vcpu_parker);
    l->stats.parks++;
    l->stats.parked_ns += clock_realtime_ns() - start_ns;
}

/* What a wait looks at while it still hopes: mode thread gives the device thread time to take the baton. */
static bool is_over(struct link *l)
{
    return l->cfg.mode == LINK_THREAD ? all_served(l) : caught_up(l);
}

static bool spin_until_over(struct link *l, uint32_t iterations)
{
    for (uint32_t i = 0; i < iterations; i++) {
        if (is_over(l))
            return true;
        cpu_relax();
    }
    return false;
}

static bool yield_until_over(struct link *l)
{
    for (int i = 0; i < YIELDS_BEFORE_PARK; i++) {
        if (is_over(l))
            return true;
        sched_yield();
    }
    return false;
}

static bool hope(struct link *l)
{
    return l->cfg.spin_iterations ? spin_until_over(l, l->cfg.spin_iterations) : yield_until_over(l);
}

static bool hope_in_time(struct link *l, uint64_t start_ns)
{
    do {
        if (hope(l))
            return true;
    } while (l->cfg.mode == LINK_THREAD && clock_realtime_ns() - start_ns < LATE_NS);
    return false;
}

/* False: the device thread was late. */
static bool wait_slow(struct link *l, uint64_t *ns)
{
    uint64_t start_ns = clock_realtime_ns();
    bool in_time = hope_in_time(l, start_ns);
    while (!in_time && !caught_up(l))
        vcpu_park(l);
    *ns += clock_realtime_ns() - start_ns;
    return in_time;
}

/* Waits until nothing is out; the host time that takes goes to *ns. */
static void wait_served(struct link *l, uint64_t *ns, uint64_t lowest)
{
    uint8_t before = activity_begin(&l->vcpu_activity, ACTIVITY_WAIT);
    uint64_t begin_ns = ns == &l->stats.wait_ns ? figure_begin(l) : 0;
    l->stats.rendezvous++;
    if (spin_until_over(l, l->cfg.spin_iterations ? SPIN_UNTIMED : 1) || wait_slow(l, ns))
        device_in_time(l);
    else
        device_late(l);
    if (begin_ns)
        figure_end(&l->cfg.figures->wait_ns, begin_ns);
    activity_begin(&l->vcpu_activity, before);
    horizon_take_in(l, lowest);
}

static void settle(struct link *l, uint64_t lowest)
{
    if (l->out_seen != l->out)
        wait_served(l, &l->stats.wait_ns, lowest);
}

/* In mode adaptive the holder is awake, or the vCPU finds the baton free while it waits; in mode thread the
 * device thread is to do the work, and may sleep in host_io. */
static void send(struct link *l, const struct msg *m)
{
    link_jitter(l, &l->vcpu_rng);
    if (l->cfg.figures)
        histogram_add(&l->cfg.figures->queue_depth, msgq_depth(&l->msgq));
    while (!msgq_push(&l->msgq, m))
        settle(l, m->access.tick + 1);
    l->out++;
    link_jitter(l, &l->vcpu_rng);
    if (l->cfg.mode == LINK_THREAD && park_claim(&l->dev_parker))
        l->ops->wake(l->cfg.ctx);
}

static uint64_t send_and_wait(struct link *l, const struct msg *m, uint64_t *ns)
{
    send(l, m);
    wait_served(l, ns, m->access.tick + 1);
    return l->answer;
}

/* --- accesses --- */

static struct msg access_message(const struct access *a, uint64_t latency_ticks)
{
    return (struct msg){.access = *a, .arg = latency_ticks, .kind = MSG_ACCESS};
}

static void bound_by(struct link *l, const struct access *a, uint64_t latency_ticks)
{
    uint64_t answer_tick = a->tick > TICK_NEVER - latency_ticks ? TICK_NEVER : a->tick + latency_ticks;
    l->bound = min_u64(l->bound, answer_tick);
    l->limit = min_u64(l->limit, l->bound);
}

/* begin_ns: figure_begin's. */
static inline void post(struct link *l, const struct access *a, uint64_t latency_ticks, uint64_t begin_ns)
{
    if (vcpu_serves(l)) {
        serve_access(l, a, latency_ticks);
        if (begin_ns)
            figure_end(&l->cfg.figures->posted_ns, begin_ns);
        vcpu_drop(l, a->tick + 1);
        return;
    }
    struct msg m = access_message(a, latency_ticks);
    m.posted_ns = begin_ns;
    send(l, &m);
    bound_by(l, a, latency_ticks);
}

void link_post(struct link *l, const struct access *a, uint64_t latency_ticks)
{
    CHECK(a->tick < l->limit && latency_ticks >= 1);
    l->stats.posted++;
    if (l->cfg.figures)
        post(l, a, latency_ticks, figure_begin(l));
    else
        post(l, a, latency_ticks, 0);
}

static inline uint32_t sync_access(struct link *l, const struct access *a, uint64_t latency_ticks)
{
    if (vcpu_serves(l)) {
        uint32_t value = serve_access(l, a, latency_ticks);
        vcpu_drop(l, a->tick + 1);
        return value;
    }
    struct msg m = access_message(a, latency_ticks);
    return (uint32_t)send_and_wait(l, &m, &l->stats.wait_ns);
}

static uint32_t sync_timed(struct link *l, const struct access *a, uint64_t latency_ticks)
{
    uint64_t begin_ns = figure_begin(l);
    uint32_t value = sync_access(l, a, latency_ticks);
    figure_end(&l->cfg.figures->sync_ns, begin_ns);
    return value;
}

uint32_t link_sync(struct link *l, const struct access *a, uint64_t latency_ticks)
{
    CHECK(a->tick < l->limit && latency_ticks >= 1);
    l->stats.synchronous++;
    return l->cfg.figures ? sync_timed(l, a, latency_ticks) : sync_access(l, a, latency_ticks);
}

void link_settle(struct link *l)
{
    settle(l, l->limit);
}

void link_pure(struct link *l)
{
    l->stats.pure++;
    settle(l, l->limit);
}

void link_count_pure(struct link *l, uint32_t n)
{
    l->stats.pure += n;
}

uint64_t link_next_effect(struct link *l)
{
    settle(l, l->limit);
    return l->pending.count ? l->limit : TICK_NEVER;
}

/* --- the vCPU at its limit --- */

/* Does not look whether the device thread has served something meanwhile: that would fetch its cache line
 * at each access. link_arrive does, and the vCPU gets there soon enough. */
uint64_t link_limit(const struct link *l)
{
    return l->limit;
}

void link_host_io(struct link *l)
{
    if (l->always_mine)
        link_poll_host(l, &l->vcpu_poll, &l->vcpu_activity);
}

static void step_untimed(struct link *l, uint64_t tick)
{
    if (vcpu_serves(l)) {
        serve_step(l, tick);
        vcpu_drop(l, tick + 1);
        return;
    }
    struct msg m = {.access = {.tick = tick, .vcpu = l->cfg.vcpu}, .kind = MSG_STEP};
    send_and_wait(l, &m, &l->stats.wait_ns);
}

/* Nothing is out, so `sched` may be read: an event is due, or this is a quantum boundary or a poke. */
static void step_at(struct link *l, uint64_t tick)
{
    l->stats.steps++;
    link_host_io(l);
    uint64_t begin_ns = l->sched <= tick && l->started ? figure_begin(l) : 0;
    step_untimed(l, tick);
    if (begin_ns)
        figure_end(&l->cfg.figures->event_ns, begin_ns);
}

static void announce_ahead(struct link *l, uint64_t tick)
{
    l->ahead_of = l->horizon_seen;
    if (vcpu_serves(l)) {
        serve_ahead(l, tick);
        vcpu_drop(l, tick + 1);
        return;
    }
    struct msg m = {.access = {.tick = tick, .vcpu = l->cfg.vcpu}, .kind = MSG_AHEAD};
    send(l, &m);
    l->soft = TICK_NEVER;
    limit_update(l);
}

void link_arrive(struct link *l, uint64_t tick)
{
    if (tick < l->limit)
        return;
    if (tick >= l->bound)
        settle(l, tick + 1);
    if (tick >= l->horizon_seen) {
        settle(l, tick + 1); /* the horizon may have grown meanwhile */
        if (tick >= l->horizon_seen)
            step_at(l, tick);
    } else if (tick >= l->soft) {
        announce_ahead(l, tick);
    }
}

void link_poke(struct link *l, uint64_t tick)
{
    settle(l, tick + 1);
    step_at(l, tick);
}

bool link_effect_take(struct link *l, uint64_t tick, struct effect *e)
{
    if (pending_tick(&l->pending) > tick)
        return false;
    pending_take(&l->pending, e);
    limit_update(l);
    l->stats.effects++;
    return true;
}

static uint64_t idle_here(struct link *l, uint64_t tick, uint64_t most)
{
    uint64_t start_ns = clock_realtime_coarse_ns();
    uint64_t to = serve_idle(l, tick, most);
    l->stats.idle_ns += clock_realtime_coarse_ns() - start_ns;
    vcpu_drop(l, tick + 1);
    return to;
}

uint64_t link_idle(struct link *l, uint64_t tick, uint64_t wake_tick, uint64_t stand_tick)
{
    settle(l, tick + 1);
    CHECK(tick < l->limit && tick < wake_tick && tick < stand_tick);
    l->stand_tick = stand_tick;
    uint64_t to, most = min_u64(pending_tick(&l->pending), wake_tick);
    if (vcpu_serves(l)) {
        to = idle_here(l, tick, most);
    } else {
        struct msg m = {.access = {.tick = tick, .vcpu = l->cfg.vcpu}, .arg = most, .kind = MSG_IDLE};
        to = send_and_wait(l, &m, &l->stats.idle_ns);
    }
    return to;
}
