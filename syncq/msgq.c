/* msgq.c - see msgq.h.
 *
 * cds_wfcq orders and links the nodes. Its atomics are inline assembly and volatile accesses, which
 * ThreadSanitizer does not know, so it is called out of line (no _LGPL_SOURCE), and the two counts
 * beside it carry the ordering in C11's terms: `pushed` hands a slot to the consumer, `popped`
 * hands it back. They are also what makes the queue bounded, and they keep the consumer from ever
 * entering cds_wfcq before a push is complete. */
#include "syncq/msgq.h"

#include <sched.h>
#include <stdlib.h>

#include "clockcore/check.h"

struct msgq_slot {
    struct cds_wfcq_node node; /* first: a node's address is its slot's */
    struct msg msg;
};

_Static_assert(offsetof(struct msgq_slot, node) == 0, "msgq_pop converts node to slot");

bool msgq_init(struct msgq *q, uint64_t nslots)
{
    CHECK(nslots > 0 && (nslots & (nslots - 1)) == 0);
    q->slot = calloc(nslots, sizeof q->slot[0]);
    q->nslots = nslots;
    __cds_wfcq_init(&q->head, &q->tail);
    atomic_init(&q->pushed, 0);
    atomic_init(&q->popped, 0);
    return q->slot != NULL;
}

void msgq_destroy(struct msgq *q)
{
    free(q->slot);
    q->slot = NULL;
}

bool msgq_push(struct msgq *q, const struct msg *m)
{
    uint64_t n = atomic_load_explicit(&q->pushed, memory_order_relaxed); /* our own count */
    /* Pairs with the release in msgq_pop: the slot was copied out before we overwrite it. */
    if (n - atomic_load_explicit(&q->popped, memory_order_acquire) == q->nslots)
        return false;
    struct msgq_slot *s = &q->slot[n & (q->nslots - 1)];
    s->msg = *m;
    cds_wfcq_node_init(&s->node);
    cds_wfcq_enqueue(&q->head, &q->tail, &s->node);
    /* Publishes the slot and its link. Pairs with the acquire in msgq_available. */
    atomic_store_explicit(&q->pushed, n + 1, memory_order_release);
    return true;
}

bool msgq_available(const struct msgq *q)
{
    /* Pairs with the release in msgq_push: the message is whole. `popped` is the caller's own. */
    return atomic_load_explicit(&q->pushed, memory_order_acquire) !=
           atomic_load_explicit(&q->popped, memory_order_relaxed);
}

uint64_t msgq_depth(const struct msgq *q)
{
    /* Relaxed: a figure. `pushed` is the caller's own. */
    return atomic_load_explicit(&q->pushed, memory_order_relaxed) -
           atomic_load_explicit(&q->popped, memory_order_relaxed);
}

/* The queue holds a complete message, but the *next* push may be half done, which is the one case
 * where cds_wfcq asks us to try again (its blocking form would sleep 10 ms). */
static struct cds_wfcq_node *dequeue(struct msgq *q)
{
    struct cds_wfcq_node *node;
    while ((node = __cds_wfcq_dequeue_nonblocking(&q->head, &q->tail)) == CDS_WFCQ_WOULDBLOCK)
        sched_yield();
    return node;
}

bool msgq_pop(struct msgq *q, struct msg *m)
{
    if (!msgq_available(q))
        return false;
    struct cds_wfcq_node *node = dequeue(q);
    CHECK(node != NULL);
    *m = ((struct msgq_slot *)node)->msg;
    uint64_t n = atomic_load_explicit(&q->popped, memory_order_relaxed);
    /* Hands the slot back. Pairs with the acquire in msgq_push. */
    atomic_store_explicit(&q->popped, n + 1, memory_order_release);
    return true;
}
