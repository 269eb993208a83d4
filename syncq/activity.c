/* activity.c - a thread's activities with their times, for -trace: a ring that its thread alone writes. */
#include "syncq/activity.h"

#include <stdbool.h>
#include <stdlib.h>

#include "clockcore/clock.h"

struct activity_trace {
    alignas(64) _Atomic uint64_t count; /* records so far; the last ones of them are in the ring */
    _Atomic bool stopped;
    uint64_t mask; /* of a record's number: its place */
    uint8_t state; /* that the last record began */
    struct activity_record record[];
};

/* What the thread runs is one state, whichever engine runs it: it changes a million times a second. */
static const uint8_t state_of[ACTIVITY_KINDS] = {
    [ACTIVITY_WAIT] = TRACE_WAITING,       [ACTIVITY_TRANSLATE] = TRACE_TRANSLATING,
    [ACTIVITY_EXECUTE] = TRACE_RUNNING,    [ACTIVITY_INTERPRET] = TRACE_RUNNING,
    [ACTIVITY_ACCOUNT] = TRACE_AT_HORIZON, [ACTIVITY_RUN_LOOP] = TRACE_RUNNING,
    [ACTIVITY_DEVICE] = TRACE_DEVICES,
};

struct activity_trace *activity_trace_create(unsigned log2_records)
{
    const uint64_t n = UINT64_C(1) << log2_records;
    struct activity_trace *t = aligned_alloc(64, (sizeof *t + n * sizeof t->record[0] + 63) / 64 * 64);
    if (!t)
        return NULL;
    atomic_init(&t->count, 0);
    atomic_init(&t->stopped, false);
    t->mask = n - 1;
    t->state = TRACE_KINDS;
    return t;
}

void activity_trace_destroy(struct activity_trace *t)
{
    free(t);
}

void activity_trace_attach(struct activity *a, struct activity_trace *t)
{
    /* Publishes the empty ring. Pairs with activity_begin. */
    atomic_store_explicit(&a->trace, t, memory_order_release);
}

void activity_trace_add(struct activity_trace *t, enum trace_kind kind, uint32_t value)
{
    /* Relaxed: this thread alone writes it; a stop may come a record late. */
    const uint64_t n = atomic_load_explicit(&t->count, memory_order_relaxed);
    if (atomic_load_explicit(&t->stopped, memory_order_relaxed))
        return;
    t->record[n & t->mask] = (struct activity_record){clock_realtime_ns(), value, (uint8_t)kind};
    /* Publishes the record. Pairs with activity_trace_stop. */
    atomic_store_explicit(&t->count, n + 1, memory_order_release);
}

void activity_trace_begin(struct activity_trace *t, uint8_t kind)
{
    const uint8_t state = state_of[kind];
    if (state == t->state)
        return;
    t->state = state;
    activity_trace_add(t, (enum trace_kind)state, 0);
}

uint64_t activity_trace_stop(struct activity_trace *t, uint64_t *first)
{
    enum { LATE = 64 }; /* records that the thread may still be writing over the oldest ones */
    atomic_store_explicit(&t->stopped, true, memory_order_relaxed);
    /* Pairs with the release store of activity_trace_add: the records below are whole. */
    const uint64_t end = atomic_load_explicit(&t->count, memory_order_acquire);
    *first = end > t->mask + 1 - LATE ? end - (t->mask + 1 - LATE) : 0;
    return end;
}

const struct activity_record *activity_trace_record(const struct activity_trace *t, uint64_t n)
{
    return &t->record[n & t->mask];
}
