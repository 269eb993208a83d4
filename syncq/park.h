/* park.h - one thread sleeps until another has changed something, and no wake-up is lost.
 *
 *     the sleeper                       the waker
 *     park_prepare(p);                  change the condition;
 *     if (condition holds)              park_unpark(p);
 *         park_cancel(p);
 *     else
 *         park_commit(p);               (then look at the condition again: it carries no data)
 *
 * Why none is lost: prepare and unpark are both read-modify-writes of one word, so one comes first.
 * If prepare does, unpark sees the sleeper and wakes it; if unpark does, prepare reads what it
 * wrote, and with that sees the changed condition (acquire/release).
 * A sleeper may be woken once too often; that costs host time only.
 * Threads: one sleeper per parker; any number of wakers; park_unpark is async-signal-safe.
 * Cost: unpark with nobody asleep is one locked instruction; no system call. */
#ifndef TANDEM_SYNCQ_PARK_H
#define TANDEM_SYNCQ_PARK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum park_word { PARK_AWAKE, PARK_ASLEEP };

struct parker {
    _Atomic uint32_t word; /* enum park_word; the futex */
};

static inline void park_init(struct parker *p)
{
    atomic_init(&p->word, PARK_AWAKE);
}

static inline void park_prepare(struct parker *p)
{
    /* Acquire: sees the condition of an unpark that came before. Release: pairs with its acquire. */
    atomic_exchange_explicit(&p->word, PARK_ASLEEP, memory_order_acq_rel);
}

static inline void park_cancel(struct parker *p)
{
    /* Relaxed: an unpark between prepare and here wakes nobody, and nobody needs it. */
    atomic_store_explicit(&p->word, PARK_AWAKE, memory_order_relaxed);
}

/* Sleeps until an unpark after park_prepare; returns awake. */
void park_commit(struct parker *p);

/* The waker's half without the futex, for sleepers that sleep elsewhere (host_io): true if one was
 * announced, and then it is the caller's to wake. */
static inline bool park_claim(struct parker *p)
{
    /* The read-modify-write that park.h's head speaks of; pairs with the one in park_prepare. */
    return atomic_exchange_explicit(&p->word, PARK_AWAKE, memory_order_acq_rel) == PARK_ASLEEP;
}

/* Returns true if it woke somebody. */
bool park_unpark(struct parker *p);

static inline void cpu_relax(void)
{
    __builtin_ia32_pause();
}

#endif
