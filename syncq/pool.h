/* pool.h - worker threads that do jobs for one thread, the owner, while it goes on.
 *
 * Jobs are handed in and out through two of liburcu's wait-free queues. They are started in the order in
 * which they came and finish in any. Which worker does a job, and when it is done, depends on the host alone:
 * whoever takes a result must come to the same guest-visible state without it.
 *
 * Threads: all functions by the owner; `run` on a worker.
 * Memory:  a job belongs to the pool from pool_submit until pool_take returns it. What was written before
 * pool_submit is visible to `run`, what `run` wrote is visible after pool_take. */
#ifndef TANDEM_SYNCQ_POOL_H
#define TANDEM_SYNCQ_POOL_H

#include <stdbool.h>
#include <stdint.h>
#include <urcu/wfcqueue.h>

#define POOL_WORKERS_MAX 64

struct activity;

struct pool_job {
    struct cds_wfcq_node node; /* first */
};

struct pool_config {
    unsigned workers;     /* 1..POOL_WORKERS_MAX */
    int not_on_cpu;       /* host CPU that workers stay off where there is another; PIN_ANY: none */
    uint64_t jitter_seed; /* test: a random delay before each result is handed out; 0: none */
    uint8_t activity;     /* enum activity_kind of the work */
    uint32_t spin;        /* pool_wait looks so often before it sleeps */
    uint32_t naps; /* of 1 ms; a worker without work takes so many, looking after each, before it parks */
    void (*run)(void *ctx, unsigned worker, struct pool_job *job);
    void *ctx;
};

struct pool;
/* NULL with errno: no memory or no threads. Signals are blocked in the workers. */
struct pool *pool_create(const struct pool_config *cfg);
/* Ends the threads. Jobs that were not taken back are the owner's again. */
void pool_destroy(struct pool *p);
void pool_submit(struct pool *p, struct pool_job *job);
/* A finished job, or NULL. */
struct pool_job *pool_take(struct pool *p);
/* Sleeps until pool_take has something to return; at once if nothing is under way. */
void pool_wait(struct pool *p);
/* What the worker is doing: the pool's work, or waiting. */
struct activity *pool_activity(struct pool *p, unsigned worker);
/* Tells jobs that look at pool_is_ending to come to an end. Any thread, async-signal-safe. */
void pool_end_soon(struct pool *p);
bool pool_is_ending(const struct pool *p);
/* Calls in all jobs, to be called until it returns NULL: those not yet begun come back without having been
 * run, for the others it waits. */
struct pool_job *pool_recall(struct pool *p);

#endif
