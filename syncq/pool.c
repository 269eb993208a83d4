/* pool.c - see pool.h. */
#include "syncq/pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "syncq/activity.h"
#include "syncq/msgq.h"
#include "syncq/park.h"
#include "syncq/pinning.h"

struct worker {
    struct activity activity;
    alignas(CACHE_LINE_BYTES) struct parker parker;
    struct pool *pool;
    unsigned index;
    uint64_t jitter;
    pthread_t thread;
};

struct pool {
    struct pool_config cfg;
    /* --- written by the owner, and by workers that take --- */
    alignas(CACHE_LINE_BYTES) struct cds_wfcq_head todo_head; /* its lock orders the workers */
    struct cds_wfcq_tail todo_tail;
    _Atomic uint64_t submitted;
    _Atomic bool stop, ending;
    /* --- written by workers --- */
    alignas(CACHE_LINE_BYTES) struct cds_wfcq_tail done_tail;
    _Atomic uint64_t finished;
    struct parker owner;
    /* --- the owner's --- */
    alignas(CACHE_LINE_BYTES) struct __cds_wfcq_head done_head;
    uint64_t outstanding; /* jobs submitted and not taken */
    unsigned running;     /* threads started */
    struct worker worker[];
};

void pool_end_soon(struct pool *p)
{
    /* Relaxed: a wish, which publishes nothing. */
    atomic_store_explicit(&p->ending, true, memory_order_relaxed);
}

bool pool_is_ending(const struct pool *p)
{
    return atomic_load_explicit(&p->ending, memory_order_relaxed); /* as pool_end_soon */
}

/* --- a worker --- */

static void hand_out(struct pool *p, struct pool_job *job)
{
    /* The queue orders the job's contents, too; the counters say so in C11's terms. Pairs with pool_take. */
    atomic_fetch_add_explicit(&p->finished, 1, memory_order_release);
    cds_wfcq_node_init(&job->node);
    cds_wfcq_enqueue(&p->done_head, &p->done_tail, &job->node);
    park_unpark(&p->owner);
}

/* Up to 2 ms, often none. */
static void delay(struct worker *w)
{
    if (!w->pool->cfg.jitter_seed)
        return;
    w->jitter = w->jitter * UINT64_C(6364136223846793005) + 1442695040888963407u;
    uint64_t r = w->jitter >> 33;
    if (r % 4 == 0)
        nanosleep(&(struct timespec){.tv_nsec = (long)(r / 4 % 2000000)}, NULL);
}

static struct pool_job *next_job(struct pool *p)
{
    if (cds_wfcq_empty(&p->todo_head, &p->todo_tail))
        return NULL;
    struct cds_wfcq_node *node = cds_wfcq_dequeue_blocking(&p->todo_head, &p->todo_tail);
    (void)atomic_load_explicit(&p->submitted, memory_order_acquire); /* pairs with pool_submit */
    return (struct pool_job *)node;
}

static bool is_stopped(struct pool *p)
{
    /* Relaxed: the wake-up that follows it orders it (park.h). */
    return atomic_load_explicit(&p->stop, memory_order_relaxed);
}

static bool has_work_or_ends(struct pool *p)
{
    return is_stopped(p) || !cds_wfcq_empty(&p->todo_head, &p->todo_tail);
}

/* A worker that naps is not parked: to give it work, the owner makes no system call. */
static bool found_after_a_nap(struct pool *p)
{
    for (uint32_t i = 0; i < p->cfg.naps; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        if (has_work_or_ends(p))
            return true;
    }
    return false;
}

static void sleep_until_work(struct worker *w)
{
    struct pool *p = w->pool;
    if (found_after_a_nap(p))
        return;
    park_prepare(&w->parker);
    if (has_work_or_ends(p))
        park_cancel(&w->parker);
    else
        park_commit(&w->parker);
}

static void stay_off(int cpu)
{
    cpu_set_t set;
    if (cpu == PIN_ANY || sched_getaffinity(0, sizeof set, &set) != 0)
        return;
    CPU_CLR((size_t)cpu, &set);
    if (CPU_COUNT(&set) > 0)
        pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct pool *p = w->pool;
    stay_off(p->cfg.not_on_cpu);
    while (!is_stopped(p)) {
        struct pool_job *job = next_job(p);
        if (!job) {
            sleep_until_work(w);
            continue;
        }
        uint8_t before = activity_begin(&w->activity, p->cfg.activity);
        p->cfg.run(p->cfg.ctx, w->index, job);
        activity_begin(&w->activity, before);
        delay(w);
        hand_out(p, job);
    }
    return NULL;
}

/* --- the owner --- */

static int start_worker(struct pool *p, unsigned i)
{
    struct worker *w = &p->worker[i];
    *w = (struct worker){.pool = p, .index = i, .jitter = p->cfg.jitter_seed + i};
    park_init(&w->parker);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&w->thread, NULL, worker_main, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

struct pool *pool_create(const struct pool_config *cfg)
{
    size_t bytes = sizeof(struct pool) + cfg->workers * sizeof(struct worker);
    struct pool *p =
        aligned_alloc(CACHE_LINE_BYTES, (bytes + CACHE_LINE_BYTES - 1) & ~(size_t)(CACHE_LINE_BYTES - 1));
    if (!p)
        return NULL;
    *p = (struct pool){.cfg = *cfg};
    cds_wfcq_init(&p->todo_head, &p->todo_tail);
    __cds_wfcq_init(&p->done_head, &p->done_tail);
    park_init(&p->owner);
    for (; p->running < cfg->workers; p->running++) {
        int error = start_worker(p, p->running);
        if (error) {
            pool_destroy(p);
            errno = error;
            return NULL;
        }
    }
    return p;
}

void pool_destroy(struct pool *p)
{
    if (!p)
        return;
    while (pool_recall(p))
        ;
    atomic_store_explicit(&p->stop, true, memory_order_relaxed);
    for (unsigned i = 0; i < p->running; i++)
        park_unpark(&p->worker[i].parker);
    for (unsigned i = 0; i < p->running; i++)
        pthread_join(p->worker[i].thread, NULL);
    cds_wfcq_destroy(&p->todo_head, &p->todo_tail);
    free(p);
}

struct activity *pool_activity(struct pool *p, unsigned worker)
{
    return &p->worker[worker].activity;
}

void pool_submit(struct pool *p, struct pool_job *job)
{
    p->outstanding++;
    atomic_fetch_add_explicit(&p->submitted, 1, memory_order_release); /* pairs with next_job */
    cds_wfcq_node_init(&job->node);
    cds_wfcq_enqueue(&p->todo_head, &p->todo_tail, &job->node);
    for (unsigned i = 0; i < p->running; i++)
        if (park_unpark(&p->worker[i].parker))
            return;
}

struct pool_job *pool_take(struct pool *p)
{
    if (cds_wfcq_empty(&p->done_head, &p->done_tail))
        return NULL;
    struct cds_wfcq_node *node = __cds_wfcq_dequeue_blocking(&p->done_head, &p->done_tail);
    (void)atomic_load_explicit(&p->finished, memory_order_acquire); /* pairs with hand_out */
    p->outstanding--;
    return (struct pool_job *)node;
}

static bool is_waiting(struct pool *p)
{
    return p->outstanding && cds_wfcq_empty(&p->done_head, &p->done_tail);
}

void pool_wait(struct pool *p)
{
    for (uint32_t i = 0; i < p->cfg.spin && is_waiting(p); i++)
        cpu_relax();
    while (is_waiting(p)) {
        park_prepare(&p->owner);
        if (is_waiting(p))
            park_commit(&p->owner);
        else
            park_cancel(&p->owner);
    }
}

struct pool_job *pool_recall(struct pool *p)
{
    struct pool_job *job = next_job(p);
    if (job) {
        p->outstanding--;
        return job;
    }
    while (p->outstanding && !(job = pool_take(p)))
        sched_yield(); /* a worker has a job for as long as one takes, some ten microseconds */
    return job;
}
