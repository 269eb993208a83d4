/* The table of host time against the clock: two threads that do one thing after the other for random times
 * add up by themselves how long each took. */
#include <criterion/criterion.h>
#include <pthread.h>

#include "cli/sampler.h"
#include "clockcore/clock.h"

#define RUN_NS  UINT64_C(2000000000)
#define THREADS 2
/* A share of p is found from about 1000 looks: its standard deviation is sqrt(p(1-p)/1000), at most 1.6
 * points. */
#define POINTS_OFF_MAX 7.0

struct worker {
    struct activity activity;
    uint64_t ns[ACTIVITY_KINDS];
    uint64_t random;
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
    return NULL;
}

static void compare(const struct sampled_thread *t, const struct worker *w)
{
    double all = 0, sampled = 0;
    for (unsigned k = 0; k < ACTIVITY_KINDS; k++)
        all += (double)w->ns[k], sampled += (double)t->ns[k];
    for (unsigned k = 0; k < ACTIVITY_KINDS; k++) {
        double want = 100 * (double)w->ns[k] / all, got = 100 * (double)t->ns[k] / sampled;
        cr_assert(got - want <= POINTS_OFF_MAX && want - got <= POINTS_OFF_MAX, "%s: %.1f %%, not %.1f %%",
                  activity_names[k], got, want);
    }
}

Test(sampler, shares_of_host_time, .timeout = 60)
{
    static struct worker worker[THREADS];
    pthread_t thread[THREADS];
    struct sampler *s = sampler_create();
    cr_assert_not_null(s);
    for (unsigned i = 0; i < THREADS; i++) {
        worker[i].random = 88172645463325252u + i;
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
        compare(sampler_thread(s, i), &worker[i]);
    sampler_destroy(s);
}
