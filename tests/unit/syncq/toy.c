/* toy.c - see toy.h. */
#include "toy.h"

#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "clockcore/check.h"
#include "clockcore/clock.h"
#include "clockcore/ticks.h"

enum { STOP_FOR_A_WHILE = 1, STOP_FOR_GOOD = 2 }; /* reasons of link_stop */

struct toy {
    const struct toy_config *cfg;
    struct link *link;
    int io_fd; /* eventfd: the wake mark of host_io (idle never blocks here) */
    /* --- device side, owned by the holder of the baton --- */
    struct timerq timers;
    uint64_t dev_state, dev_hash;
    uint64_t last_tick;
    /* --- guest side --- */
    uint64_t rng, hash, tick;
    bool halted;
    atomic_bool done;
    _Atomic uint64_t turns; /* of the guest's loop */
};

static uint64_t mix(uint64_t h, uint64_t v)
{
    h ^= v;
    h *= UINT64_C(0x9e3779b97f4a7c15);
    return h ^ (h >> 29);
}

static uint64_t next_random(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

/* L of the device that an address belongs to: 1, 7, 50 or 400 ticks. */
static uint64_t latency_of(uint64_t addr)
{
    static const uint64_t latency[] = {1, 7, 50, 400};
    return latency[addr & 3];
}

static void raise(struct toy *t, uint64_t tick, uint16_t dev, uint32_t value)
{
    struct effect e = {.tick = tick, .dev = dev, .kind = EFFECT_IRQ, .line = dev & 15, .value = value};
    link_effect(t->link, &e);
}

static void be_slow(const struct toy *t)
{
    uint64_t start_ns = t->cfg->slow_ns ? clock_realtime_ns() : 0;
    while (t->cfg->slow_ns && clock_realtime_ns() - start_ns < t->cfg->slow_ns)
        ;
}

static uint32_t toy_access(void *ctx, const struct access *a)
{
    struct toy *t = ctx;
    be_slow(t);
    CHECK(a->tick >= t->last_tick); /* never an access after a later event or access */
    CHECK(t->cfg->early_events || timerq_peek(&t->timers) > a->tick);
    t->last_tick = a->tick;
    uint64_t latency = latency_of(a->addr);
    t->dev_state = mix(t->dev_state, a->tick * 8 + a->kind + ((uint64_t)a->value << 20));
    t->dev_hash = mix(t->dev_hash, t->dev_state);
    if (a->kind == ACCESS_PIO_READ)
        return (uint32_t)t->dev_state;
    uint64_t floor = t->cfg->early_events ? 1 : latency;
    if (a->value % 3 == 0)
        timerq_arm(&t->timers, a->value % TOY_TIMERS, a->value % TOY_TIMERS,
                   a->tick + floor + t->dev_state % 3000);
    else if (a->value % 3 == 1)
        raise(t, a->tick + 1 + t->dev_state % 64, (uint16_t)(a->addr & 3), (uint32_t)t->dev_state);
    else
        timerq_cancel(&t->timers, a->value % TOY_TIMERS);
    return 0;
}

static void toy_step(void *ctx, uint64_t tick)
{
    struct toy *t = ctx;
    uint32_t id;
    CHECK(tick >= t->last_tick);
    CHECK(t->cfg->early_events || timerq_peek(&t->timers) >= tick);
    while (timerq_pop(&t->timers, tick, &id)) {
        be_slow(t);
        t->last_tick = tick;
        t->dev_state = mix(t->dev_state, tick + id);
        t->dev_hash = mix(t->dev_hash, t->dev_state);
        raise(t, tick + (t->dev_state & 1), (uint16_t)id, (uint32_t)t->dev_state);
        timerq_arm(&t->timers, id, (uint16_t)id, tick + 1 + t->dev_state % (1000u << id));
    }
}

static uint64_t toy_next_event(void *ctx)
{
    return timerq_peek(&((struct toy *)ctx)->timers);
}

static void drain(int fd, uint64_t timeout_ns)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    struct timespec ts = {.tv_sec = (time_t)(timeout_ns / NS_PER_SEC),
                          .tv_nsec = (long)(timeout_ns % NS_PER_SEC)};
    uint64_t count;
    if (ppoll(&p, 1, timeout_ns == UINT64_MAX ? NULL : &ts, NULL) > 0)
        CHECK(read(fd, &count, sizeof count) == sizeof count);
}

/* Unpaced; now and then it pretends that input came in and reports no progress. */
static uint64_t toy_idle(void *ctx, uint64_t tick, uint64_t max_tick, uint64_t stand_tick)
{
    struct toy *t = ctx;
    (void)stand_tick;
    if (max_tick == TICK_NEVER && !link_stopping(t->link))
        return TICK_NEVER;
    return max_tick == TICK_NEVER || (tick * 7 + t->dev_state) % 16 == 0 ? tick : max_tick;
}

static void toy_host_io(void *ctx, uint64_t timeout_ns)
{
    drain(((struct toy *)ctx)->io_fd, timeout_ns);
}

static void toy_wake(void *ctx)
{
    uint64_t one = 1;
    CHECK(write(((struct toy *)ctx)->io_fd, &one, sizeof one) == sizeof one);
}

static bool toy_input_waiting(void *ctx)
{
    return (((struct toy *)ctx)->dev_state & 7) == 0;
}

static const struct link_ops toy_ops = {toy_access, toy_step, toy_next_event, toy_idle, toy_host_io,
                                        toy_wake,   NULL};
static const struct link_ops toy_ops_ahead = {toy_access,  toy_step, toy_next_event,   toy_idle,
                                              toy_host_io, toy_wake, toy_input_waiting};

static void *device_thread(void *arg)
{
    link_device_loop(((struct toy *)arg)->link);
    return NULL;
}

/* A guest that hangs gets no ping and no pause: they must not be what wakes it. */
static void wait_for_progress(struct toy *t, uint64_t turns, long ns)
{
    do
        nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
    while (atomic_load(&t->turns) == turns && !atomic_load(&t->done));
}

static void *ping_thread(void *arg)
{
    struct toy *t = arg;
    while (!atomic_load(&t->done)) {
        uint64_t turns = atomic_load(&t->turns);
        toy_wake(t);
        wait_for_progress(t, turns, 20000);
    }
    return NULL;
}

static void *stop_thread(void *arg)
{
    struct toy *t = arg;
    uint64_t us = t->cfg->stop_after_us;
    nanosleep(&(struct timespec){.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000},
              NULL);
    link_stop(t->link, STOP_FOR_GOOD);
    return NULL;
}

/* Makes the guest stand again and again. */
static void *pause_thread(void *arg)
{
    struct toy *t = arg;
    uint64_t rng = t->cfg->seed * 2 + 1;
    while (!atomic_load(&t->done)) {
        uint64_t turns = atomic_load(&t->turns);
        link_stop(t->link, STOP_FOR_A_WHILE);
        wait_for_progress(t, turns, (long)(next_random(&rng) % 30000));
    }
    return NULL;
}

static void guest_access(struct toy *t, uint64_t r)
{
    atomic_fetch_add_explicit(&t->turns, 1, memory_order_relaxed);
    struct access a = {.tick = t->tick, .addr = (r >> 8) & 7, .value = (uint32_t)(r >> 16), .size = 4};
    a.kind = r & 1 ? ACCESS_PIO_READ : ACCESS_PIO_WRITE;
    if (t->cfg->flood && (r >> 1) % 32) {
        a.kind = ACCESS_PIO_WRITE;
        a.addr = 3;
    }
    if (a.kind == ACCESS_PIO_READ)
        t->rng ^= link_sync(t->link, &a, latency_of(a.addr));
    else
        link_post(t->link, &a, latency_of(a.addr));
    if (r >> 40 == 0) { /* one in 16 (r has 44 bits): a pure read, in place */
        link_pure(t->link);
        t->hash = mix(t->hash, t->dev_state);
    }
    if (t->rng == 0)
        t->rng = 1;
}

static void guest_trace(struct toy *t)
{
    uint64_t entry = t->tick / 1024;
    if (t->tick % 1024 == 0 && entry <= t->cfg->trace_entries)
        t->cfg->trace[entry - 1] = t->hash;
}

static void guest_run(struct toy *t)
{
    while (t->tick < link_limit(t->link) && !t->halted && t->tick < t->cfg->end_tick) {
        uint64_t r = next_random(&t->rng);
        if (r % 1000 == 999)
            t->halted = true;
        else if ((r >> 12) % 100 < t->cfg->access_percent)
            guest_access(t, r >> 20);
        t->hash = mix(t->hash, t->rng);
        t->tick++;
        guest_trace(t);
    }
}

static void guest_effects(struct toy *t)
{
    struct effect e;
    uint64_t limit = link_limit(t->link);
    while (link_effect_take(t->link, t->tick, &e)) {
        CHECK(e.tick == t->tick); /* never at a wrong tick */
        t->hash = mix(t->hash, e.tick * 31 + e.dev + ((uint64_t)e.value << 24));
        t->rng ^= e.value | 1;
        t->halted = false;
        if (t->rng == 0)
            t->rng = 1;
    }
    CHECK(limit >= t->tick);
}

static void guest_idle(struct toy *t)
{
    uint64_t to = link_idle(t->link, t->tick, TICK_NEVER, TICK_NEVER);
    if (to == TICK_NEVER) {
        t->halted = false; /* a real machine would end; the toy wakes up by itself */
        return;
    }
    if (to == t->tick) {
        if (link_stopping(t->link)) /* no input, perhaps: the guest asks again later */
            return;
        link_poke(t->link, t->tick);
        guest_effects(t);
        if (t->halted) /* without this, idle() would say the same again */
            t->halted = false, t->hash = mix(t->hash, 1);
    }
    t->tick = to;
}

/* While the guest stands, the devices are its own: others must neither read nor write them. */
static void guest_stand(struct toy *t)
{
    link_settle(t->link);
    t->dev_state ^= t->cfg->seed;
    sched_yield();
    t->dev_state ^= t->cfg->seed;
    link_resume(t->link, STOP_FOR_A_WHILE);
}

static void guest_loop(struct toy *t)
{
    while (t->tick < t->cfg->end_tick && !(link_stopping(t->link) & STOP_FOR_GOOD)) {
        uint64_t before = t->tick;
        atomic_fetch_add_explicit(&t->turns, 1, memory_order_relaxed);
        if (link_stopping(t->link))
            guest_stand(t);
        if (t->tick >= link_limit(t->link)) {
            link_arrive(t->link, t->tick);
            guest_effects(t);
        } else if (t->halted) {
            guest_idle(t);
        } else {
            guest_run(t);
        }
        if (t->cfg->progress)
            atomic_fetch_add_explicit(t->cfg->progress, t->tick - before, memory_order_relaxed);
    }
}

static void toy_init(struct toy *t, const struct toy_config *cfg)
{
    *t = (struct toy){.cfg = cfg, .rng = cfg->seed * 2 + 1, .dev_state = cfg->seed};
    CHECK(timerq_init(&t->timers, TOY_TIMERS));
    for (uint32_t i = 0; i < TOY_TIMERS; i++)
        timerq_arm(&t->timers, i, (uint16_t)i, 100 + 333 * i);
    CHECK((t->io_fd = eventfd(0, EFD_CLOEXEC)) >= 0);
    struct link_config lc = {.mode = cfg->mode,
                             .ops = cfg->ahead ? &toy_ops_ahead : &toy_ops,
                             .ctx = t,
                             .quantum_ticks = cfg->quantum_ticks,
                             .spin_iterations = cfg->spin_iterations,
                             .jitter_seed = cfg->jitter_seed,
                             .plant_late = cfg->plant_late,
                             .figures = cfg->figures};
    CHECK((t->link = link_create(&lc)) != NULL);
}

void toy_run(const struct toy_config *cfg, struct toy_result *out)
{
    struct toy t;
    pthread_t device, ping, stop, pause;
    toy_init(&t, cfg);
    if (cfg->mode != LINK_INLINE && !cfg->absent)
        CHECK(pthread_create(&device, NULL, device_thread, &t) == 0);
    if (cfg->pings)
        CHECK(pthread_create(&ping, NULL, ping_thread, &t) == 0);
    if (cfg->stop_after_us)
        CHECK(pthread_create(&stop, NULL, stop_thread, &t) == 0);
    if (cfg->pauses)
        CHECK(pthread_create(&pause, NULL, pause_thread, &t) == 0);
    guest_loop(&t);
    link_settle(t.link);
    if (cfg->stop_after_us)
        pthread_join(stop, NULL);
    link_end(t.link);
    atomic_store(&t.done, true);
    if (cfg->pauses)
        pthread_join(pause, NULL);
    if (cfg->pings)
        pthread_join(ping, NULL);
    if (cfg->mode != LINK_INLINE && !cfg->absent)
        pthread_join(device, NULL);
    *out = (struct toy_result){t.hash, t.dev_hash, t.tick, {0}};
    link_get_stats(t.link, &out->stats);
    link_destroy(t.link);
    timerq_destroy(&t.timers);
    close(t.io_fd);
}
