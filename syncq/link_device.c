/* link_device.c - the device thread's loop, in the modes that have one.
 *
 * mode thread: serves messages, spins for more, then sleeps in host_io, announced in dev_parker so that the
 * vCPU wakes it with its next message. A vCPU that it keeps waiting takes the baton and serves for itself,
 * and goes on so for a while (link.c:device_late).
 *
 * mode adaptive: sleeps in host_io without the baton, where the vCPU finds it free and does the device
 * work itself. When host I/O has woken it, it is awake anyway: it serves for a moment whatever the
 * vCPU sends meanwhile, then drops the baton. A message that comes between its last look and the drop
 * is served by the vCPU, which waits for `served` *or* the baton; the park_unpark after the drop
 * tells a vCPU that sleeps. */
#include <sched.h>

#include "clockcore/check.h"
#include "clockcore/clock.h"
#include "syncq/link_internal.h"

#define EPISODE_SPIN_FRACTION 8

static bool ended(struct link *l)
{
    return atomic_load_explicit(&l->ended, memory_order_acquire); /* pairs with link_end */
}

static void dev_count_park(struct link *l, uint64_t start_ns)
{
    /* Relaxed: figures, written here only. */
    atomic_fetch_add_explicit(&l->dev_parks, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&l->dev_parked_ns, clock_realtime_ns() - start_ns, memory_order_relaxed);
}

static void dev_sleep(struct link *l)
{
    uint64_t start_ns = clock_realtime_ns();
    l->ops->host_io(l->cfg.ctx, UINT64_MAX);
    dev_count_park(l, start_ns);
}

/* Looks for a message `iterations` times; false: none came. */
static bool dev_spin(struct link *l, uint32_t iterations)
{
    for (uint32_t i = 0; i < iterations; i++) {
        if (msgq_available(&l->msgq))
            return true;
        cpu_relax();
    }
    return msgq_available(&l->msgq);
}

static bool dev_yield(struct link *l)
{
    for (int i = 0; i < YIELDS_BEFORE_PARK; i++) {
        if (msgq_available(&l->msgq))
            return true;
        sched_yield();
    }
    return false;
}

static bool dev_look(struct link *l)
{
    return l->cfg.spin_iterations ? dev_spin(l, l->cfg.spin_iterations) : dev_yield(l);
}

/* Announces the sleep first, looks again, then sleeps (park.h). */
static void dev_park(struct link *l)
{
    park_prepare(&l->dev_parker);
    link_jitter(l, &l->dev_rng);
    if (!msgq_available(&l->msgq) && !ended(l))
        dev_sleep(l);
    park_cancel(&l->dev_parker);
}

/* Leaves the baton, and tells a vCPU that sleeps: what it waits for may have come after the last look. */
static void dev_drop(struct link *l)
{
    baton_drop(&l->baton);
    link_jitter(l, &l->dev_rng);
    park_unpark(&l->vcpu_parker);
}

/* Holds the baton while it works, not while it looks for work: a vCPU that finds it asleep or pushed off its
 * CPU then need not wait for it. */
static void dev_serve(struct link *l)
{
    if (!msgq_available(&l->msgq) || !baton_try(&l->baton, BATON_DEVICE))
        return;
    serve_begin(l, BATON_DEVICE);
    serve_messages(l, SERVE_BATCH);
    link_jitter(l, &l->dev_rng);
    dev_drop(l);
}

static void loop_thread(struct link *l)
{
    while (!ended(l)) {
        link_jitter(l, &l->dev_rng);
        dev_serve(l);
        link_poll_host(l, &l->dev_poll, &l->dev_activity);
        if (!dev_look(l))
            dev_park(l);
    }
}

/* Short on purpose: one look for more. A vCPU that streams posted writes keeps serve_messages busy, and
 * that is worth two cores; one that waits for each answer is better off serving for itself. */
static void dev_episode(struct link *l)
{
    if (!baton_try(&l->baton, BATON_DEVICE))
        return;
    serve_begin(l, BATON_DEVICE);
    serve_messages(l, SERVE_BATCH);
    link_jitter(l, &l->dev_rng);
    if (dev_spin(l, l->cfg.spin_iterations / EPISODE_SPIN_FRACTION))
        serve_messages(l, SERVE_BATCH);
    link_jitter(l, &l->dev_rng);
    dev_drop(l);
}

static void loop_adaptive(struct link *l)
{
    while (!ended(l)) {
        dev_sleep(l); /* link_end's wake is sticky */
        dev_episode(l);
    }
}

void link_device_loop(struct link *l)
{
    CHECK(l->cfg.mode != LINK_INLINE);
    if (l->cfg.mode == LINK_THREAD)
        loop_thread(l);
    else
        loop_adaptive(l);
}
