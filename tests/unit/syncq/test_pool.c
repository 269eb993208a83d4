/* The worker pool: every job is done once and comes back once: waited for, recalled or delayed. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

#include "syncq/pinning.h"
#include "syncq/pool.h"

enum { JOBS = 2000 };

struct number {
    struct pool_job job; /* first */
    unsigned in, out;
    unsigned done; /* times run */
};

static void square(void *ctx, unsigned worker, struct pool_job *job)
{
    struct number *n = (struct number *)job;
    n->out = n->in * n->in + *(const unsigned *)ctx;
    n->done++;
}

static struct pool *start(unsigned workers, uint64_t jitter, const unsigned *add)
{
    const struct pool_config cfg = {.workers = workers,
                                    .not_on_cpu = PIN_ANY,
                                    .jitter_seed = jitter,
                                    .run = square,
                                    .ctx = (void *)(uintptr_t)add};
    struct pool *p = pool_create(&cfg);
    cr_assert_not_null(p);
    return p;
}

static void check_all(const struct number *n, unsigned add)
{
    for (unsigned i = 0; i < JOBS; i++) {
        cr_assert_eq(n[i].done, 1, "job %u was run %u times", i, n[i].done);
        cr_assert_eq(n[i].out, i * i + add);
    }
}

/* An owner that has nothing else to do sleeps, and no job that is done lets it sleep on. */
static void wait_for_each(unsigned workers, uint32_t spin, uint32_t naps)
{
    static const unsigned add = 3;
    struct pool_config cfg = {.workers = workers,
                              .not_on_cpu = PIN_ANY,
                              .spin = spin,
                              .naps = naps,
                              .run = square,
                              .ctx = (void *)(uintptr_t)&add};
    struct number *n = calloc(JOBS, sizeof *n);
    struct pool *p = pool_create(&cfg);
    pool_wait(p); /* nothing is under way */
    for (unsigned i = 0; i < JOBS; i++) {
        n[i].in = i;
        pool_submit(p, &n[i].job);
        if (i % 3 == 0)
            for (unsigned k = 0; k <= i % 2; k++) {
                pool_wait(p);
                pool_take(p);
            }
    }
    while (pool_wait(p), pool_take(p))
        ;
    pool_destroy(p);
    check_all(n, add);
    free(n);
}

Test(pool, an_owner_that_waits_is_woken)
{
    wait_for_each(1, 0, 0);
    wait_for_each(3, 0, 0);
    wait_for_each(3, 1000, 0);
}

/* Jobs come while workers nap, look again and park. */
Test(pool, workers_nap_before_they_park, .timeout = 60)
{
    static const unsigned add = 1;
    wait_for_each(1, 0, 1);
    wait_for_each(3, 0, 2);
    struct pool_config cfg = {
        .workers = 2, .not_on_cpu = PIN_ANY, .naps = 2, .run = square, .ctx = (void *)(uintptr_t)&add};
    struct pool *p = pool_create(&cfg);
    for (unsigned i = 0; i < 40; i++) {
        struct number n = {.in = i};
        pool_submit(p, &n.job);
        pool_wait(p);
        cr_assert_eq(pool_take(p), &n.job);
        cr_assert_eq(n.out, i * i + add);
        usleep(i * 150); /* both naps and what is behind them */
    }
    pool_destroy(p);
}

/* Submits all and takes what comes, as an owner does that goes on with its work. */
static void do_all(unsigned workers, uint64_t jitter)
{
    static const unsigned add = 7;
    struct number *n = calloc(JOBS, sizeof *n);
    struct pool *p = start(workers, jitter, &add);
    unsigned taken = 0;
    for (unsigned i = 0; i < JOBS; i++) {
        n[i].in = i;
        pool_submit(p, &n[i].job);
        taken += pool_take(p) != NULL;
    }
    while (taken < JOBS)
        taken += pool_take(p) != NULL;
    cr_assert_null(pool_take(p));
    cr_assert_null(pool_recall(p));
    pool_destroy(p);
    check_all(n, add);
    free(n);
}

Test(pool, one_worker, .timeout = 60)
{
    do_all(1, 0);
}
Test(pool, four_workers, .timeout = 60)
{
    do_all(4, 0);
}
Test(pool, delayed_workers, .timeout = 60)
{
    do_all(3, 99);
}

/* A recall hands back every job that is out, run at most once. */
Test(pool, recall, .timeout = 60)
{
    static const unsigned add = 0;
    struct number *n = calloc(JOBS, sizeof *n);
    struct pool *p = start(2, 5, &add);
    for (unsigned round = 0; round < 20; round++) {
        unsigned back = 0;
        for (unsigned i = 0; i < 50; i++)
            pool_submit(p, &n[round * 50 + i].job);
        while (pool_recall(p))
            back++;
        cr_assert_eq(back, 50);
    }
    for (unsigned i = 0; i < JOBS; i++)
        cr_assert_leq(n[i].done, 1);
    pool_destroy(p);
    free(n);
}

Test(pool, destroyed_with_jobs_out, .timeout = 60)
{
    static const unsigned add = 0;
    struct number n[40] = {0};
    struct pool *p = start(4, 3, &add);
    for (unsigned i = 0; i < 40; i++)
        pool_submit(p, &n[i].job);
    pool_destroy(p);
    for (unsigned i = 0; i < 40; i++)
        cr_assert_leq(n[i].done, 1);
}
