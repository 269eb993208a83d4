/* baton.h - the right to run device code: free, a vCPU's or the device thread's.
 *
 * Nobody waits for the baton here: who does not get it asks the holder through the message queue.
 * Ordering: all that one holder did is visible to the next (baton_drop to baton_try).
 * Cost: one CAS to take, one store to drop; 5 to 10 ns while the line stays on one core. */
#ifndef TANDEM_SYNCQ_BATON_H
#define TANDEM_SYNCQ_BATON_H

#include <stdatomic.h>
#include <stdbool.h>

/* Who holds it: nobody, the device thread, or the thread of vCPU n, which is BATON_VCPU + n. */
enum baton_holder { BATON_FREE, BATON_DEVICE, BATON_VCPU };

struct baton {
    _Atomic int holder; /* as above */
};

static inline void baton_init(struct baton *b, int first)
{
    atomic_init(&b->holder, first);
}

/* Takes it if it is free. */
static inline bool baton_try(struct baton *b, int me)
{
    int free_value = BATON_FREE;
    /* A look first: a CAS that fails would still take the line from the holder. */
    if (atomic_load_explicit(&b->holder, memory_order_relaxed) != BATON_FREE)
        return false;
    /* Pairs with the release in baton_drop: the last holder's work on the devices. */
    return atomic_compare_exchange_strong_explicit(&b->holder, &free_value, me, memory_order_acquire,
                                                   memory_order_relaxed);
}

static inline void baton_drop(struct baton *b)
{
    /* Pairs with the acquire in baton_try. */
    atomic_store_explicit(&b->holder, BATON_FREE, memory_order_release);
}

/* A hint: it may change at once, unless it is ours. */
static inline int baton_holder(const struct baton *b)
{
    return atomic_load_explicit(&b->holder, memory_order_relaxed);
}

#endif
