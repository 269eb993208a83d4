/* handover.h - one buffer that goes to and fro between two threads: one asks, the other fills.
 *
 *     the asker                          the filler
 *     handover_ask(h);                   if (handover_asked(h)) {
 *                                            fill the buffer
 *     if (handover_filled(h))                handover_give(h);
 *         use the buffer                 }
 *
 * Who owns the buffer: the filler from ask to give, the asker otherwise. Asking again while the filler has it
 * does nothing, nor does taking carry anything: there is no queue, only the last of the buffer's contents.
 * Threads: one asker; fillers that exclude one another (the holder of the baton).
 * Cost: one load where nobody asks. */
#ifndef TANDEM_SYNCQ_HANDOVER_H
#define TANDEM_SYNCQ_HANDOVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum handover_word { HANDOVER_ASKERS, HANDOVER_ASKED };

struct handover {
    _Atomic uint32_t word; /* enum handover_word: whose the buffer is */
};

/* The buffer is the asker's. */
static inline void handover_init(struct handover *h)
{
    atomic_init(&h->word, HANDOVER_ASKERS);
}

static inline void handover_ask(struct handover *h)
{
    /* Hands the buffer over: pairs with the acquire in handover_asked; the asker has read all it wants. */
    atomic_store_explicit(&h->word, HANDOVER_ASKED, memory_order_release);
}

static inline bool handover_asked(const struct handover *h)
{
    return atomic_load_explicit(&h->word, memory_order_acquire) == HANDOVER_ASKED;
}

static inline void handover_give(struct handover *h)
{
    /* Hands it back: pairs with the acquire in handover_filled; the buffer is whole. */
    atomic_store_explicit(&h->word, HANDOVER_ASKERS, memory_order_release);
}

/* Asker: the buffer is here, filled or never asked for. */
static inline bool handover_filled(const struct handover *h)
{
    return atomic_load_explicit(&h->word, memory_order_acquire) == HANDOVER_ASKERS;
}

#endif
