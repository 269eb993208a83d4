/* link.h - the link between one vCPU and the devices: horizon, accesses, effects, baton.
 *
 * The vCPU counts ticks; the device side answers "how far may it go" (the horizon H), and the vCPU never
 * goes further. Device code runs through `struct link_ops` on whichever thread holds
 * the baton: the device thread while it keeps up (mode thread), the vCPU's (inline), or whichever finds it
 * free (adaptive). The sequence of ops calls, with their ticks, is the same in every mode, but for step()
 * calls that handle nothing (a quantum boundary), which therefore must change no device state.
 *
 * Order at one tick T: all events at T (by device number, then sequence), then the effects at T,
 * then the instruction that makes T into T+1, whose accesses are stamped T.
 * An effect caused by an access stamped t applies at t + L(d) or later, L >= 1; one caused by an event
 * at T applies at T or later. The vCPU side keeps pending effects ordered by (tick, dev, seq).
 * An event that an access creates before t + L(d) is handled at t + L(d) (or at the next event that
 * was known before, if that is earlier): the vCPU may have run so far already. A board that wants
 * such events on time declares a smaller L.
 *
 * The vCPU's run loop, in all modes:
 *
 *     while (!link_stopping(l)) {                      // afterwards link_settle(l): it stands
 *         if (tick >= link_limit(l)) {
 *             link_arrive(l, tick);
 *             while (link_effect_take(l, tick, &e))
 *                 apply(&e);
 *         } else if (halted and no interrupt is deliverable) {
 *             uint64_t to = link_idle(l, tick, the tick of the next event on the vCPU's side, the run's end);
 *             if (to == TICK_NEVER)
 *                 leave: nothing can end this halt;
 *             if (to == tick)
 *                 link_poke(l, tick);
 *             tick = to;
 *         } else
 *             run instructions while tick < link_limit(l), which may shrink at each access;
 *     }
 *
 * link_arrive may return with nothing due (a soft limit, see link_limit); the loop just goes round.
 *
 * Threads: each function names its caller. What crosses: see the table in link.c. */
#ifndef TANDEM_SYNCQ_LINK_H
#define TANDEM_SYNCQ_LINK_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clockcore/histogram.h"
#include "syncq/access.h"
#include "syncq/mode.h"

/* Links of one machine, one for each vCPU, numbered as these are. More than one needs what the holder of the
 * baton owns (link_internal.h) in one place for all links, and messages served in the order of (tick, vCPU
 * number). */
#define LINK_VCPUS_MAX 1

struct link;

/* The device side. Called only by the holder of the baton; `ctx` is link_config.ctx. */
struct link_ops {
    /* Serves one access at a->tick. All events up to and at a->tick were handled before. Returns
     * the value read (0 for writes). May call link_effect. */
    uint32_t (*access)(void *ctx, const struct access *a);
    /* The vCPU stands at `tick`: handles every event at it (none is earlier), and takes in external
     * input with this stamp. May call link_effect. */
    void (*step)(void *ctx, uint64_t tick);
    /* The tick of the next event, > the last step's tick (or >= an access's tick + 1); TICK_NEVER if
     * none. Asked after each access and step; the link caps it with the quantum. No side effects. */
    uint64_t (*next_event)(void *ctx);
    /* The vCPU is halted at `tick` with nothing to do before `max_tick`, the next event on either side or
     * pending effect (TICK_NEVER: none). Returns the tick <= max_tick to which it may warp, after pacing:
     * at once with sleep=off; with sleep=on after the host time that the warp lasts, earlier when
     * input arrives. The warp may end at stand_tick, where somebody wants the vCPU to stand (TICK_NEVER:
     * nobody), which ends no halt. TICK_NEVER: nothing can ever end this halt. Returns `tick` (no progress)
     * only when input is waiting for the next step() or a stop was requested. May block. */
    uint64_t (*idle)(void *ctx, uint64_t tick, uint64_t max_tick, uint64_t stand_tick);
    /* Host I/O service: waits up to timeout_ns of host time (0: polls; UINT64_MAX: no limit) for host
     * file descriptors or for wake(). Called by the device thread when it has nothing to do, or by
     * the vCPU's in mode inline, at horizons, about every 2 ms. Changes no chip: what comes in waits
     * for the next step(). On the device thread it runs WITHOUT the baton, at the same time as the other ops
     * on the vCPU's thread: what they share needs a lock, and input that it takes in must end an idle() of
     * the other thread. */
    void (*host_io)(void *ctx, uint64_t timeout_ns);
    /* Ends one wait in host_io() and one in idle(): those under way, or the next ones. Any thread and
     * signal handlers; carries no data; one too many costs host time only. */
    void (*wake)(void *ctx);
    /* May be NULL. Does input wait for the next step()? Where it does not, mode thread moves the
     * horizon of a quantum boundary ahead before the vCPU gets there. Holder of the baton. Changes no chip;
     * host I/O that would otherwise be done in step() is done here, too. */
    bool (*input_waiting)(void *ctx);
};

/* Figures for -stats; host times in ns. Exact while the vCPU stands, else approximate. */
struct link_stats {
    uint64_t posted, synchronous, pure; /* accesses by class, as the vCPU made them */
    uint64_t steps;                     /* horizons reached by the vCPU */
    uint64_t effects;                   /* effects applied */
    uint64_t rendezvous;                /* times the vCPU waited for the other thread */
    uint64_t wait_ns;                   /* host time in those waits */
    uint64_t vcpu_parks, dev_parks;     /* sleeps: futex, and host_io without limit */
    uint64_t vcpu_parked_ns, dev_parked_ns;
    uint64_t handovers; /* times the baton changed threads */
    uint64_t idle_ns;   /* host time in ops->idle, at the resolution of the coarse clock */
};

/* How long things took, in host ns, and how many messages waited: for -stats. The caller's memory; empty at
 * first. Reading the clock costs about 25 ns, twice for each entry, so it is done only where somebody asks
 * for it. Whole when link_device_loop has returned and the vCPU stands. */
struct link_figures {
    /* --- written by the vCPU's thread --- */
    struct histogram queue_depth; /* messages in the queue when another was sent; 0: it was empty */
    struct histogram wait_ns;     /* each wait for the other thread but those in HLT */
    struct histogram sync_ns;     /* synchronous accesses: from stamp to answer */
    struct histogram
        event_ns; /* from the vCPU's arrival at the tick of an event until its effects are there */
    /* --- written by the holder of the baton --- */
    alignas(
        64) struct histogram posted_ns; /* posted writes: from stamp to taken, with what follows from them */
};

struct activity;

struct link_config {
    enum link_mode mode;
    const struct link_ops *ops;
    void *ctx;
    uint64_t quantum_ticks;   /* H is never further than this from the vCPU's tick; > 0 */
    uint32_t spin_iterations; /* before parking; 0 on one core (link_default_spin()) */
    uint64_t jitter_seed;     /* test: random host delays at each cross-thread step; 0: none */
    uint64_t plant_late;      /* test: the effect with this sequence number applies one tick late; 0: none */
    uint8_t vcpu;             /* vCPU number */
    struct link_figures *figures; /* NULL: nothing is timed */
};

/* Start-up and end: one thread, no other in the link. NULL with errno on lack of memory. */
struct link *link_create(const struct link_config *cfg);
void link_destroy(struct link *l);
/* Body of the device thread (modes thread and adaptive): returns after link_end(). */
void link_device_loop(struct link *l);
/* The device thread leaves; once, for good. Any thread. A vCPU that goes on afterwards does all the work on
 * its own thread. */
void link_end(struct link *l);
/* Asks the vCPU to stand, for the reasons `why`: bits that the caller chooses, not 0. Any thread,
 * async-signal-safe (if ops->wake is). Nothing is cut short but idling. The vCPU must look at
 * link_stopping() itself; one that stands after link_settle() has the devices for itself: the device thread
 * serves host I/O, which reaches the devices with the vCPU's next step() only. A request stays until
 * link_resume(), also one that comes while the vCPU stands already. */
void link_stop(struct link *l, uint32_t why);
/* The reasons; 0: none. Any thread. */
uint32_t link_stopping(const struct link *l);
/* Forgets these reasons: the vCPU's thread, while it stands. */
void link_resume(struct link *l, uint32_t why);
void link_get_stats(const struct link *l, struct link_stats *out);
/* Spin count that suits the CPUs this process may run on: 0 when there is only one. */
uint32_t link_default_spin(void);

/* What the two threads are doing (activity.h); the vCPU itself says so on its thread. */
struct activity *link_vcpu_activity(struct link *l);
struct activity *link_device_activity(struct link *l);

/* --- vCPU's thread --- */
/* A vCPU that has not been here for long, since its tick does not move: in mode inline it serves host I/O, if
 * that is due. */
void link_host_io(struct link *l);
/* First tick at which the vCPU must call link_arrive: min(horizon, bound of posted writes, next
 * pending effect), or earlier (mode thread: half-way to a quantum boundary, so that the device
 * thread can move it ahead meanwhile). It may retire instructions while its tick is below this.
 * 0 until the first link_arrive, which may be at any tick. One load. */
uint64_t link_limit(const struct link *l);
/* Posted write: handed over (or, holding the baton, served at once). The limit may shrink, never below
 * a->tick + 1; latency_ticks >= 1 is L(d). Blocks only while the queue is full. */
void link_post(struct link *l, const struct access *a, uint64_t latency_ticks);
/* Synchronous access (read or write): all earlier accesses first. The limit may shrink likewise. */
uint32_t link_sync(struct link *l, const struct access *a, uint64_t latency_ticks);
/* Waits until every posted access was taken. Until the next post or arrival no other thread changes any
 * chip, so the vCPU may read chip state in place. */
void link_settle(struct link *l);
/* Before a pure read of the guest's: link_settle, and it is counted as an access. */
void link_pure(struct link *l);
/* `n` more accesses behind one link_settle, to be counted. */
void link_count_pure(struct link *l, uint32_t n);
/* The vCPU stands at `tick` <= link_limit(): waits until everything at it is handled and the horizon is
 * beyond it. Then take the effects due. Below the limit it does nothing. */
void link_arrive(struct link *l, uint64_t tick);
/* Forces a step() at `tick` < link_limit(), for input that waits (link_idle returned `tick`). Effects
 * at `tick` may be due afterwards, and the limit may have changed to no less than `tick`. */
void link_poke(struct link *l, uint64_t tick);
/* For a vCPU that halts for good (below link_limit()): the tick to which it may warp because effects of
 * what it did are still to come, which is link_limit(), not the effect's tick: events before it are
 * handled on the way. TICK_NEVER: none is to come. Waits until every posted access was taken. */
uint64_t link_next_effect(struct link *l);
/* Next effect with e.tick <= tick, in order; false: none. */
bool link_effect_take(struct link *l, uint64_t tick, struct effect *e);
/* The vCPU is halted at `tick` < link_limit(), no effect due, and would go on by itself at `wake_tick` > tick
 * (TICK_NEVER: never): returns the tick to which it warps, at most that, the next event or effect (quantum
 * boundaries do not count: the quantum starts again there); `tick` itself after input or a stop (then
 * link_poke); TICK_NEVER: nothing can end the halt. The run is to stand at stand_tick > tick (TICK_NEVER:
 * nowhere): a wait for what may come lasts no longer than until there. */
uint64_t link_idle(struct link *l, uint64_t tick, uint64_t wake_tick, uint64_t stand_tick);

/* --- holder of the baton, from inside ops --- */
/* Emits an effect for the link's vCPU, e->vcpu; e->seq is ignored. From access() stamped t: an e->tick before
 * t + L(d) means t + L(d); from step(tick): one before `tick` means `tick`. From no other op. */
void link_effect(struct link *l, const struct effect *e);

#endif
