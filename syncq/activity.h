/* activity.h - what a thread is doing, for whoever samples it: the table of host time that -stats prints.
 *
 * A thread stores what it begins to do; nothing is timed. A sampler looks every millisecond or two, so the
 * cost to the thread is a store, and short activities are right on average. Threads: activity_begin by the
 * thread that the activity is about; activity_peek by any.
 *
 * Where a trace is attached (-trace), the thread also writes each change into a ring, with its time; without
 * one that costs a compare. */
#ifndef TANDEM_SYNCQ_ACTIVITY_H
#define TANDEM_SYNCQ_ACTIVITY_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
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

struct activity_trace;

struct activity {
    alignas(64) _Atomic uint8_t now;      /* enum activity_kind */
    struct activity_trace *_Atomic trace; /* NULL: none */
};

/* --- traces (activity.c) --- */

/* What a record says: a state of the thread, up to the next state; or, from TRACE_ACCESS on, an instant. */
enum trace_kind {
    TRACE_WAITING,
    TRACE_TRANSLATING,
    TRACE_RUNNING,
    TRACE_AT_HORIZON,
    TRACE_DEVICES,
    TRACE_ACCESS,
    TRACE_EFFECT,
    TRACE_KINDS
};

struct activity_record {
    uint64_t ns; /* clock_realtime_ns() */
    uint32_t value;
    uint8_t kind; /* enum trace_kind */
};

/* A ring of 2^log2_records. NULL: no memory. */
struct activity_trace *activity_trace_create(unsigned log2_records);
/* When the thread is gone, or has never had it. NULL is fine. */
void activity_trace_destroy(struct activity_trace *t);
/* Any thread, once. */
void activity_trace_attach(struct activity *a, struct activity_trace *t);
/* The thread itself. */
void activity_trace_begin(struct activity_trace *t, uint8_t kind);
void activity_trace_add(struct activity_trace *t, enum trace_kind kind, uint32_t value);
/* Any thread: no more records but those under way. The records [*first, returned) may be read then. */
uint64_t activity_trace_stop(struct activity_trace *t, uint64_t *first);
const struct activity_record *activity_trace_record(const struct activity_trace *t, uint64_t n);

/* Returns what went on before, to be handed to the next activity_begin when this one ends. */
static inline uint8_t activity_begin(struct activity *a, uint8_t kind)
{
    /* Relaxed: a figure; nothing is ordered by it. Only this thread writes it. */
    uint8_t before = atomic_load_explicit(&a->now, memory_order_relaxed);
    atomic_store_explicit(&a->now, kind, memory_order_relaxed);
    /* Pairs with the release store of activity_trace_attach: the ring is whole. */
    struct activity_trace *t = atomic_load_explicit(&a->trace, memory_order_acquire);
    if (__builtin_expect(t != NULL, 0))
        activity_trace_begin(t, kind);
    return before;
}

static inline uint8_t activity_peek(const struct activity *a)
{
    return atomic_load_explicit(&a->now, memory_order_relaxed);
}

#endif
