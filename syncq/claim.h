/* claim.h - numbered pieces of work that two threads share out: each piece is done once, by the thread that
 * claims it first.
 *
 *     the owner                         the helper, and the owner when it cannot wait
 *     claim_offer(&c[n]);               if (claim_take(&c[n])) {
 *     hand the numbers over                 do the piece
 *                                           claim_done(&c[n]);
 *     claim_wait(&c[n]);                }
 *     the piece is done, whoever did it
 *
 * The piece itself is handed over with its number (pool.h); the claim orders what was done with it.
 * Threads: claim_offer by the owner, for pieces that nobody has; the rest by both.
 * Cost: claim_wait is one load for a piece that is done. */
#ifndef TANDEM_SYNCQ_CLAIM_H
#define TANDEM_SYNCQ_CLAIM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "syncq/park.h"

enum claim_state { CLAIM_NONE, CLAIM_OFFERED, CLAIM_TAKEN }; /* NONE: no such piece, or it is done */

struct claim {
    _Atomic uint8_t state; /* enum claim_state; zero-filled memory is CLAIM_NONE */
};

static inline void claim_offer(struct claim *c)
{
    /* Relaxed: what hands the number over publishes it. */
    atomic_store_explicit(&c->state, CLAIM_OFFERED, memory_order_relaxed);
}

/* True: the piece is the caller's. */
static inline bool claim_take(struct claim *c)
{
    /* Relaxed: taking publishes nothing; the read-modify-write lets one of two have it. */
    uint8_t offered = CLAIM_OFFERED;
    return atomic_load_explicit(&c->state, memory_order_relaxed) == CLAIM_OFFERED &&
           atomic_compare_exchange_strong_explicit(&c->state, &offered, CLAIM_TAKEN, memory_order_relaxed,
                                                   memory_order_relaxed);
}

static inline void claim_done(struct claim *c)
{
    /* Pairs with the acquire in claim_wait: the piece is done, and nothing of it is looked at any more. */
    atomic_store_explicit(&c->state, CLAIM_NONE, memory_order_release);
}

/* Returns when nobody works on the piece. It must not be on offer. */
static inline void claim_wait(struct claim *c)
{
    while (atomic_load_explicit(&c->state, memory_order_acquire) != CLAIM_NONE)
        cpu_relax();
}

#endif
