/* activity.h - what a thread is doing, for whoever samples it: the table of host time that -stats prints.
 *
 * A thread stores what it begins to do; nothing is timed. A sampler looks every millisecond or two, so the
 * cost to the thread is a store, and short activities are right on average. Threads: activity_begin by the
 * thread that the activity is about; activity_peek by any. */
#ifndef TANDEM_SYNCQ_ACTIVITY_H
#define TANDEM_SYNCQ_ACTIVITY_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

enum activity_kind {
    ACTIVITY_WAIT,      /* asleep, or spinning for another thread */
    ACTIVITY_TRANSLATE, /* guest bytes to IR, IR to host code, and its installation */
    ACTIVITY_EXECUTE,   /* compiled code and the C functions that it calls */
    ACTIVITY_INTERPRET, /* the IR interpreter and the C functions that it calls */
    ACTIVITY_ACCOUNT,   /* at the horizon: arriving, effects, digest points, the next limit */
    ACTIVITY_RUN_LOOP,  /* between blocks: the run loop, block lookups, delivery of exceptions and interrupts
                         */
    ACTIVITY_DEVICE,    /* device models and host I/O, on whichever thread */
    ACTIVITY_KINDS
};

struct activity {
    alignas(64) _Atomic uint8_t now; /* enum activity_kind */
};

/* Returns what went on before, to be handed to the next activity_begin when this one ends. */
static inline uint8_t activity_begin(struct activity *a, uint8_t kind)
{
    /* Relaxed: a figure; nothing is ordered by it. Only this thread writes it. */
    uint8_t before = atomic_load_explicit(&a->now, memory_order_relaxed);
    atomic_store_explicit(&a->now, kind, memory_order_relaxed);
    return before;
}

static inline uint8_t activity_peek(const struct activity *a)
{
    return atomic_load_explicit(&a->now, memory_order_relaxed);
}

#endif
