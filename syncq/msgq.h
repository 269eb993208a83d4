/* msgq.h - bounded queue of messages from the vCPU's thread to the holder of the baton.
 *
 * Built on liburcu's wait-free queue (cds_wfcq) with a ring of nodes that is allocated at start.
 *
 *                   push   pop    available        X: the caller must exclude the two
 *     push           X      -      -               (one producer thread; poppers hold the baton)
 *     pop            -      X      X
 *
 * Order:   messages leave in push order. What the producer wrote before a push is visible after
 *          the pop; what the consumer wrote before a pop is visible after a push that reuses its slot.
 * Memory:  messages are copied in and out; no allocation after msgq_init.
 * Full and empty are normal results, never errors; who waits, and how, is the link's business. */
#ifndef TANDEM_SYNCQ_MSGQ_H
#define TANDEM_SYNCQ_MSGQ_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <urcu/wfcqueue.h>

#include "syncq/access.h"

#define CACHE_LINE_BYTES 64

enum msg_kind {
    MSG_ACCESS, /* serve `access`; its answer, if any, is the link's `answer` */
    MSG_STEP,   /* the vCPU stands at access.tick */
    MSG_AHEAD,  /* the vCPU has got to access.tick: the quantum may start again from there */
    MSG_IDLE,   /* the vCPU is halted at access.tick; arg: tick of the next pending effect */
};

struct msg {
    struct access access;
    uint64_t arg;       /* MSG_ACCESS: L(d) in ticks; MSG_IDLE: see there */
    uint32_t kind;      /* enum msg_kind */
    uint64_t posted_ns; /* a posted write's host time, where that is measured; else 0 */
};

struct msgq_slot;

struct msgq {
    /* --- constant after init --- */
    alignas(CACHE_LINE_BYTES) struct msgq_slot *slot; /* [nslots] */
    uint64_t nslots;                                  /* a power of two */
    /* --- written by the producer --- */
    alignas(CACHE_LINE_BYTES) struct cds_wfcq_tail tail;
    _Atomic uint64_t pushed; /* messages pushed so far */
    /* --- written by the consumer, the holder of the baton --- */
    alignas(CACHE_LINE_BYTES) struct __cds_wfcq_head head;
    _Atomic uint64_t popped; /* messages popped so far */
};

/* nslots: a power of two. False with errno on lack of memory. */
bool msgq_init(struct msgq *q, uint64_t nslots);
void msgq_destroy(struct msgq *q);
/* False: full. */
bool msgq_push(struct msgq *q, const struct msg *m);
/* False: empty. */
bool msgq_pop(struct msgq *q, struct msg *m);
/* How many messages are in it: the producer; at least that many were, a moment ago. */
uint64_t msgq_depth(const struct msgq *q);
/* Would msgq_pop find one? */
bool msgq_available(const struct msgq *q);

#endif
