/* The table of host time against the clock: two threads that do one thing after the other for random times
 * add up by themselves how long each took. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "cli/sampler.h"
#include "clockcore/clock.h"

#define RUN_NS  UINT64_C(2000000000)
#define THREADS 2
#define TRIES   8
/* A share of p is found from about 1000 looks: its standard deviation is sqrt(p(1-p)/1000), at most 1.6
 * points. */
#define POINTS_OFF_MAX 7.0

struct worker {
    struct activity activity;
    uint64_t ns[ACTIVITY_KINDS];
    uint64_t random;
    uint64_t cpu_ns; /* that the thread has had */
};

static uint64_t random_next(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

/* From 1 us to 4 ms, the kinds that are numbered higher longer: the sampler looks every 2 ms. */
static uint64_t phase_ns(struct worker *w, unsigned kind)
{
    return 1000 + random_next(&w->random) % (UINT64_C(1000) << (2 * kind));
}

static void *work(void *arg)
{
    struct worker *w = arg;
    uint64_t start = clock_realtime_ns(), now = start;
    while (now - start < RUN_NS) {
        unsigned kind = (unsigned)(random_next(&w->random) >> 32) % ACTIVITY_KINDS;
        uint64_t begin = now, end = now + phase_ns(w, kind);
        activity_begin(&w->activity, (uint8_t)kind);
        while (now < end)
            now = clock_realtime_ns();
        w->ns[kind] += now - begin;
    }
    struct timespec cpu;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    w->cpu_ns = (uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec;
    return NULL;
}

static bool is_close(const struct sampled_thread *t, const struct worker *w)
{
    bool close = true;
    double all = 0, sampled = 0;
    for (unsigned k = 0; k < ACTIVITY_KINDS; k++)
        all += (double)w->ns[k], sampled += (double)t->ns[k];
    for (unsigned k = 0; k < ACTIVITY_KINDS; k++) {
        double want = 100 * (double)w->ns[k] / all, got = 100 * (double)t->ns[k] / sampled;
        if (got - want <= POINTS_OFF_MAX && want - got <= POINTS_OFF_MAX)
            continue;
        fprintf(stderr, "%s: %.1f %%, not %.1f %%\n", activity_names[k], got, want);
        close = false;
    }
    return close;
}

enum outcome { CLOSE, OFF, DISTURBED };

/* A thread that waits for a CPU is found in its activity by a sampler that waits, too, or is not: then
 * figures that are off say nothing. */
static enum outcome sample_once(uint64_t seed)
{
    struct worker worker[THREADS] = {0};
    pthread_t thread[THREADS];
    enum outcome outcome = CLOSE;
    struct sampler *s = sampler_create();
    cr_assert_not_null(s);
    for (unsigned i = 0; i < THREADS; i++) {
        worker[i].random = seed + i;
        sampler_add(s, "worker", &worker[i].activity);
    }
    sampler_start(s);
    for (unsigned i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&thread[i], NULL, work, &worker[i]), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    sampler_stop(s);
    cr_assert_eq(sampler_count(s), THREADS);
    for (unsigned i = 0; i < THREADS; i++)
        if (outcome != DISTURBED && !is_close(sampler_thread(s, i), &worker[i]))
            outcome = worker[i].cpu_ns < RUN_NS - RUN_NS / 20 ? DISTURBED : OFF;
    sampler_destroy(s);
    return outcome;
}

Test(sampler, shares_of_host_time, .timeout = 60)
{
    enum outcome outcome = DISTURBED;
    for (unsigned i = 0; i < TRIES && outcome == DISTURBED; i++)
        outcome = sample_once(88172645463325252u + i);
    if (outcome == DISTURBED)
        cr_skip_test("this host has no CPU to spare");
    cr_assert_eq(outcome, CLOSE);
}
