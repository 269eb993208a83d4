/* The link with the toy machine (toy.h): mode inline is the oracle; every other mode, quantum, spin
 * count and jitter must give the same log. The toy itself checks that no effect comes at a wrong
 * tick and that no access or event comes after a later one. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "syncq/link_state.h"
#include "toy.h"

#define END_TICK 60000

static struct toy_config base_config(uint64_t seed)
{
    return (struct toy_config){.mode = LINK_INLINE,
                               .seed = seed,
                               .end_tick = END_TICK,
                               .quantum_ticks = 3000,
                               .spin_iterations = link_default_spin(),
                               .access_percent = 5};
}

static void compare(const struct toy_config *cfg, const struct toy_result *want)
{
    struct toy_result got;
    toy_run(cfg, &got);
    cr_assert(got.guest_hash == want->guest_hash && got.device_hash == want->device_hash,
              "seed %llu mode %d quantum %llu jitter %llu spin %u early %d: another log",
              (unsigned long long)cfg->seed, cfg->mode, (unsigned long long)cfg->quantum_ticks,
              (unsigned long long)cfg->jitter_seed, cfg->spin_iterations, cfg->early_events);
    cr_assert_eq(got.stats.posted, want->stats.posted);
    cr_assert_eq(got.stats.synchronous, want->stats.synchronous);
    cr_assert_eq(got.stats.effects, want->stats.effects);
}

static void all_modes(struct toy_config cfg)
{
    struct toy_result want;
    cfg.mode = LINK_INLINE;
    toy_run(&cfg, &want);
    cr_assert(want.stats.posted > 0 && want.stats.effects > 0);
    static const enum link_mode modes[] = {LINK_INLINE, LINK_THREAD, LINK_ADAPTIVE};
    for (unsigned i = 0; i < 3; i++) {
        cfg.mode = modes[i];
        cfg.quantum_ticks = 1000 + 777 * i;
        cfg.ahead = false;
        compare(&cfg, &want);
        cfg.ahead = cfg.pings = true;
        compare(&cfg, &want);
    }
}

Test(link, every_mode_gives_one_log, .timeout = 300)
{
    for (uint64_t seed = 1; seed <= 6; seed++)
        all_modes(base_config(seed));
}

Test(link, events_before_the_latency_are_put_off_alike, .timeout = 300)
{
    for (uint64_t seed = 11; seed <= 14; seed++) {
        struct toy_config cfg = base_config(seed);
        cfg.early_events = true;
        all_modes(cfg);
    }
}

/* Events that move and are put off at once: accesses of long latency that arm, move and cancel timers. */
Test(link, the_quantum_does_not_show, .timeout = 300)
{
    static const uint64_t quantum[] = {3000, 40, 1, 333};
    for (uint64_t seed = 1; seed < 100; seed += 2) {
        struct toy_result want;
        struct toy_config cfg = base_config(seed);
        cfg.early_events = cfg.flood = true;
        cfg.end_tick = 20000;
        toy_run(&cfg, &want);
        for (unsigned i = 1; i < sizeof quantum / sizeof quantum[0]; i++) {
            cfg.quantum_ticks = quantum[i];
            compare(&cfg, &want);
        }
    }
}

Test(link, dense_accesses, .timeout = 300)
{
    struct toy_config cfg = base_config(21);
    cfg.access_percent = 90;
    cfg.end_tick = 20000;
    all_modes(cfg);
}

Test(link, jitter_and_parking_change_nothing, .timeout = 300)
{
    for (uint64_t seed = 31; seed <= 33; seed++) {
        struct toy_config cfg = base_config(seed);
        cfg.end_tick = 20000;
        cfg.jitter_seed = seed;
        all_modes(cfg);
        cfg.spin_iterations = 0;
        all_modes(cfg);
    }
}

static uint64_t in_buckets(const struct histogram *h)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        n += h->bucket[i];
    return n;
}

/* Each access and each event is timed once, whoever serves it; the guest does not notice. Returns how many
 * events. */
static uint64_t timed_run(struct toy_config cfg, const struct toy_result *want)
{
    static struct link_figures figures;
    struct toy_result got;
    memset(&figures, 0, sizeof figures);
    cfg.figures = &figures;
    toy_run(&cfg, &got);
    cr_assert(got.guest_hash == want->guest_hash && got.device_hash == want->device_hash);
    cr_assert_eq(figures.posted_ns.count, got.stats.posted);
    cr_assert_eq(figures.sync_ns.count, got.stats.synchronous);
    cr_assert_leq(figures.wait_ns.count, got.stats.rendezvous);
    cr_assert(cfg.mode != LINK_INLINE || figures.queue_depth.count == 0);
    cr_assert(cfg.mode == LINK_INLINE || figures.queue_depth.most <= 1024);
    cr_assert_eq(in_buckets(&figures.posted_ns), got.stats.posted);
    return figures.event_ns.count;
}

Test(link, figures_count_what_happened, .timeout = 120)
{
    for (unsigned flood = 0; flood < 2; flood++) {
        struct toy_result want;
        struct toy_config cfg = base_config(51 + flood);
        cfg.flood = flood;
        cfg.end_tick = 20000;
        toy_run(&cfg, &want);
        uint64_t events = timed_run(cfg, &want);
        cr_assert_gt(events, 0);
        for (cfg.jitter_seed = 0; cfg.jitter_seed < 3; cfg.jitter_seed++) {
            cfg.mode = LINK_THREAD;
            cr_assert_eq(timed_run(cfg, &want), events);
            cfg.mode = LINK_ADAPTIVE;
            cfg.pings = true;
            cr_assert_eq(timed_run(cfg, &want), events);
        }
    }
}

/* What the devices take is in each figure, and so is the wait for those that came before. */
Test(link, figures_contain_the_work, .timeout = 120)
{
    static const enum link_mode modes[] = {LINK_INLINE, LINK_THREAD, LINK_ADAPTIVE};
    for (unsigned i = 0; i < 3; i++) {
        static struct link_figures figures;
        struct toy_result r;
        struct toy_config cfg = base_config(61);
        memset(&figures, 0, sizeof figures);
        cfg.mode = modes[i];
        cfg.end_tick = 10000;
        cfg.slow_ns = 20000;
        cfg.pings = true;
        cfg.figures = &figures;
        toy_run(&cfg, &r);
        cr_assert(figures.posted_ns.count && figures.sync_ns.count && figures.event_ns.count);
        cr_assert_geq(figures.posted_ns.least, cfg.slow_ns);
        cr_assert_geq(figures.sync_ns.least, cfg.slow_ns);
        cr_assert_geq(figures.event_ns.least, cfg.slow_ns);
    }
}

Test(link, a_late_effect_is_noticed, .timeout = 60)
{
    struct toy_result good, late;
    struct toy_config cfg = base_config(41);
    toy_run(&cfg, &good);
    for (uint64_t seq = 1; seq < good.stats.effects; seq += good.stats.effects / 5) {
        cfg.plant_late = seq;
        toy_run(&cfg, &late);
        cr_assert(late.guest_hash != good.guest_hash, "effect %llu", (unsigned long long)seq);
    }
}

/* A device thread that gets no CPU must not stop the guest: it serves for itself, and waits for the other one
 * ever more rarely. */
static void without_device_thread(unsigned access_percent)
{
    struct toy_result want, got;
    struct toy_config cfg = base_config(45);
    cfg.access_percent = access_percent;
    cfg.end_tick = 200000;
    toy_run(&cfg, &want);
    cfg.mode = LINK_THREAD;
    cfg.ahead = cfg.absent = true;
    toy_run(&cfg, &got);
    cr_assert(got.guest_hash == want.guest_hash && got.device_hash == want.device_hash);
    cr_assert_lt(got.stats.rendezvous, 40 + got.stats.posted / 1000, "%llu waits",
                 (unsigned long long)got.stats.rendezvous);
}

Test(link, a_device_thread_that_never_runs, .timeout = 60)
{
    without_device_thread(5);
    without_device_thread(90);
}

#define TRACE 4000

/* What a stopped run has done is the beginning of what a whole run does. */
static void stop_once(const struct toy_config *base, const uint64_t *whole, enum link_mode mode, uint64_t us)
{
    static uint64_t trace[TRACE];
    struct toy_config cfg = *base;
    struct toy_result r;
    memset(trace, 0, sizeof trace);
    cfg.mode = mode;
    cfg.stop_after_us = us;
    cfg.trace = trace;
    cfg.pings = us % 2;
    toy_run(&cfg, &r);
    for (unsigned i = 0; i < TRACE && (uint64_t)(i + 1) * 1024 <= r.ticks; i++)
        cr_assert_eq(trace[i], whole[i], "tick %u", (i + 1) * 1024);
}

Test(link, stop_at_any_time, .timeout = 300)
{
    static uint64_t whole[TRACE];
    struct toy_config cfg = base_config(51);
    struct toy_result r;
    cfg.end_tick = TRACE * 1024;
    cfg.trace = whole;
    cfg.trace_entries = TRACE;
    toy_run(&cfg, &r);
    for (uint64_t us = 1; us < 4000; us += 97) {
        stop_once(&cfg, whole, LINK_THREAD, us);
        stop_once(&cfg, whole, LINK_ADAPTIVE, us);
        stop_once(&cfg, whole, LINK_INLINE, us);
    }
}

Test(link, every_member_is_in_one_table)
{
    size_t byte;
    cr_assert_not(
        link_uncovered(&byte),
        "byte %zu of struct link is in no table of syncq/link_state.c, or in two: say whether it is "
        "state",
        byte);
}
