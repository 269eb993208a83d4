/* effects.h - the two containers of effects: a ring between the threads, and the vCPU's pending list.
 *
 * effect_ring: single producer (the device thread while it holds the baton), single consumer (the
 * vCPU's thread). Bounded; full is a normal result.
 * pending: the vCPU's own, ordered by (tick, dev, seq); a binary heap. It grows when it is full
 * (never in practice: it holds the effects of at most L ticks), because an effect must not be lost. */
#ifndef TANDEM_SYNCQ_EFFECTS_H
#define TANDEM_SYNCQ_EFFECTS_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "syncq/access.h"

#define EFFECT_RING_SLOTS 4096u

struct effect_ring {
    _Atomic uint32_t tail;             /* written by the producer: effects pushed */
    alignas(64) _Atomic uint32_t head; /* written by the consumer: effects popped */
    alignas(64) struct effect slot[EFFECT_RING_SLOTS];
};

static inline bool effect_ring_push(struct effect_ring *r, const struct effect *e)
{
    uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed); /* our own */
    /* Pairs with the release in effect_ring_pop: the slot was copied out. */
    if (tail - atomic_load_explicit(&r->head, memory_order_acquire) == EFFECT_RING_SLOTS)
        return false;
    r->slot[tail % EFFECT_RING_SLOTS] = *e;
    /* Publishes the slot. Pairs with the acquire in effect_ring_pop. */
    atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
    return true;
}

static inline bool effect_ring_pop(struct effect_ring *r, struct effect *e)
{
    uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed); /* our own */
    /* Pairs with the release in effect_ring_push: the slot is whole. */
    if (head == atomic_load_explicit(&r->tail, memory_order_acquire))
        return false;
    *e = r->slot[head % EFFECT_RING_SLOTS];
    /* Hands the slot back. Pairs with the acquire in effect_ring_push. */
    atomic_store_explicit(&r->head, head + 1, memory_order_release);
    return true;
}

struct pending {
    struct effect *heap; /* [capacity]; heap[0] is the next */
    size_t count, capacity;
};

bool pending_init(struct pending *p); /* false with errno on lack of memory */
void pending_destroy(struct pending *p);
void pending_add(struct pending *p, const struct effect *e);
/* Room for at least `count`. */
void pending_reserve(struct pending *p, size_t count);
/* In order; a sorted array is a heap, too. */
void pending_sort(struct pending *p);
void pending_take(struct pending *p, struct effect *e); /* not when empty */

static inline uint64_t pending_tick(const struct pending *p) /* of the next; UINT64_MAX: none */
{
    return p->count ? p->heap[0].tick : UINT64_MAX;
}

#endif
