/* link_internal.h - struct link, grouped by owner, and what its three files share.
 *
 *   link.c         the vCPU's thread; the table of what crosses between the threads
 *   link_serve.c   the work of whoever holds the baton: accesses, steps, the horizon, effects
 *   link_device.c  the device thread's loop */
#ifndef TANDEM_SYNCQ_LINK_INTERNAL_H
#define TANDEM_SYNCQ_LINK_INTERNAL_H

#include "clockcore/clock.h"
#include "clockcore/fields.h"
#include "syncq/activity.h"
#include "syncq/baton.h"
#include "syncq/effects.h"
#include "syncq/link.h"
#include "syncq/msgq.h"
#include "syncq/park.h"

#define MSGQ_SLOTS           1024 /* posted writes in flight; "full" waits for the device side */
#define SPIN_UNTIMED         64   /* spins before a wait is worth reading the clock for */
#define YIELDS_BEFORE_PARK   4    /* where spinning is pointless (one CPU) */
#define LATE_NS              200000 /* mode thread: more than it takes to wake the device thread on an idle CPU */
#define OWN_TURNS_MAX        4095    /* mode thread: see device_late in link.c */
#define OWN_TURNS_MAX_JITTER 7       /* where tests want the device thread to be late and yet to work */
#define HOST_IO_PERIOD_NS    2000000 /* how often host I/O is polled by a thread that never parks */
#define HOST_IO_CHECKS_MAX   64      /* arrivals between two looks at the clock, at most */

#define LINK_EFFECT_FIELDS 7 /* of the part that pending effects are */

/* When to poll host I/O without reading the clock at each chance; one per thread. */
struct io_poll {
    uint64_t last_ns;
    uint32_t countdown, interval; /* chances until the next look; adapts to HOST_IO_PERIOD_NS */
};

struct link {
    /* --- constant after link_create --- */
    struct link_config cfg;
    const struct link_ops *ops;
    bool always_mine; /* mode inline: the vCPU's thread holds the baton for good */

    /* --- owned by the vCPU's thread --- */
    alignas(CACHE_LINE_BYTES) uint64_t limit; /* min(horizon_seen, bound, next pending, soft) */
    uint64_t horizon_seen;                    /* `horizon` when the vCPU last had no message out */
    uint64_t bound;                           /* min(t + L) of the messages that are out */
    uint64_t soft;                            /* mode thread: where to announce the own tick early */
    uint64_t ahead_of;                        /* the horizon for which that was done */
    uint64_t out;                             /* messages pushed so far */
    uint64_t out_seen;                        /* of them, known to be served */
    struct pending pending;
    struct io_poll vcpu_poll;
    uint32_t own_turns; /* mode thread: operations that this thread still does itself */
    uint32_t penalty;   /* mode thread: own turns that the last late answer was worth */
    uint32_t in_time;   /* mode thread: answers in time since `penalty` last changed */
    uint64_t vcpu_rng;  /* jitter */
    struct {
        uint64_t posted, synchronous, pure, steps, effects, rendezvous, wait_ns, parks, parked_ns, idle_ns;
    } stats;

    /* --- owned by the holder of the baton --- */
    alignas(CACHE_LINE_BYTES) uint64_t sched; /* next tick at which events are handled */
    uint64_t quantum_end;
    uint64_t horizon;           /* min(sched, quantum_end) */
    uint64_t effect_floor;      /* no effect of the op under way is earlier */
    uint64_t answer;            /* of the last message that has one */
    uint64_t served_count;      /* the owner's copy of `served` */
    _Atomic uint64_t handovers; /* relaxed: statistics */
    uint32_t seq;               /* of the last effect */
    int holder, last_holder;    /* who executes / executed ops, as in baton.h */
    bool clamped;               /* events may exist before `sched` */
    bool started;               /* the first step was done */

    /* --- crossing: see the table in link.c --- */
    alignas(CACHE_LINE_BYTES) struct baton baton;
    alignas(CACHE_LINE_BYTES) _Atomic uint64_t served; /* messages served so far */
    alignas(CACHE_LINE_BYTES) struct parker vcpu_parker;
    alignas(CACHE_LINE_BYTES) struct parker dev_parker; /* sleeps in ops->host_io */
    _Atomic uint32_t stop;                              /* reasons why the vCPU shall stand (link_stop) */
    _Atomic bool ended;                                 /* the device thread shall leave */
    struct msgq msgq;
    uint64_t stand_tick; /* of link_idle; written before the message, read by whoever serves it */
    struct effect_ring ring;

    struct field effect_fields[LINK_EFFECT_FIELDS]; /* link_state.c */
    struct activity vcpu_activity, dev_activity;    /* each written by its thread */

    /* --- owned by the device thread --- */
    alignas(CACHE_LINE_BYTES) struct io_poll dev_poll;
    uint64_t dev_rng;
    _Atomic uint64_t dev_parks, dev_parked_ns; /* relaxed: statistics */
};

/* The host's time where figures are taken, else 0: one branch that is always predicted. */
static inline uint64_t figure_begin(const struct link *l)
{
    return l->cfg.figures ? clock_realtime_ns() : 0;
}

/* begin_ns: figure_begin's, not 0. The host's clock is the same on all CPUs. */
static inline void figure_end(struct histogram *h, uint64_t begin_ns)
{
    histogram_add(h, clock_realtime_ns() - begin_ns);
}

/* Of the thread that holds the baton. */
static inline struct activity *holder_activity(struct link *l)
{
    return l->holder == BATON_DEVICE ? &l->dev_activity : &l->vcpu_activity;
}

/* link_serve.c: caller holds the baton and has called serve_begin since it took it. */
void serve_begin(struct link *l, int me);
uint32_t serve_access(struct link *l, const struct access *a, uint64_t latency_ticks);
void serve_step(struct link *l, uint64_t tick);
void serve_ahead(struct link *l, uint64_t tick);
uint64_t serve_idle(struct link *l, uint64_t tick, uint64_t effect_tick);
/* Serves the messages in the queue, in order, `max` at the most: the device thread has host I/O to see to,
 * too, and a vCPU that does nothing but post never lets the queue run empty. */
#define SERVE_ALL   UINT32_MAX
#define SERVE_BATCH 256
void serve_messages(struct link *l, uint32_t max);

/* link.c, for link_state.c: the quantum starts at `tick`, up to which everything is done; nothing is out. */
void link_quantum_restart(struct link *l, uint64_t tick);

/* Polls host I/O if that is due, on the thread whose activity is given. */
void link_poll_host(struct link *l, struct io_poll *p, struct activity *me);

/* A random host delay, if the link was asked for jitter. */
void link_jitter_slow(uint64_t *rng);
static inline void link_jitter(const struct link *l, uint64_t *rng)
{
    if (l->cfg.jitter_seed)
        link_jitter_slow(rng);
}

#endif
