/* idle.c - the halted vCPU: how far it may warp, and what the host's time has to do with it.
 *
 * Nothing here changes what the guest computes: idle time ends at an event's own tick, or where input is
 * stamped and recorded. See clockcore/pace.h for the arithmetic. */
#include "clockcore/clock.h"
#include "clockcore/pace.h"
#include "devthread/bus.h"

static bool stopping(const struct bus *b)
{
    return b->cfg.stopping && b->cfg.stopping(b->cfg.ctx);
}

/* Something from outside may still come. In a replay the log is all there is, and its next entry is an
 * event: when none is left, nothing can come. */
static bool input_open(struct bus *b)
{
    if (b->cfg.replay)
        return false;
    for (unsigned port = 0; port < b->board->nports; port++) {
        const struct backend *be = &b->cfg.backend[port];
        if (be->class && be->class->input_open && be->class->input_open(be->ctx))
            return true;
    }
    return false;
}

/* A step at `reached` takes the input that waits, unless one there has taken some already. */
static uint64_t intake_from(const struct bus *b, uint64_t reached)
{
    return reached > b->intake_tick ? reached : b->intake_tick + 1;
}

/* No event is due, ever: only input or a stop ends this. With sleep=on time goes by meanwhile. */
static uint64_t wait_for_input(struct bus *b, uint64_t tick)
{
    uint64_t start_ns = clock_realtime_ns();

    while (!stopping(b) && !bus_input_waiting(b)) {
        if (!input_open(b))
            return TICK_NEVER;
        bus_serve_screen(b, pace_tick_at(tick, TICK_NEVER - 1, start_ns, clock_realtime_ns(), b->cfg.shift));
        hostio_wait(b->cfg.hostio, HOSTIO_IDLE, HOSTIO_FOREVER);
    }
    if (stopping(b))
        return tick;
    uint64_t now_ns = b->cfg.sleep ? clock_realtime_ns() : start_ns;
    return intake_from(b, pace_tick_at(tick, TICK_NEVER - 1, start_ns, now_ns, b->cfg.shift));
}

static uint64_t wait_until(struct bus *b, uint64_t tick, uint64_t max_tick)
{
    uint64_t start_ns = clock_realtime_ns();
    uint64_t deadline_ns = pace_deadline_ns(tick, max_tick, start_ns, b->cfg.shift);
    uint64_t now_ns = start_ns;

    while (now_ns < deadline_ns && !stopping(b) && !bus_input_waiting(b)) {
        bus_serve_screen(b, pace_tick_at(tick, max_tick, start_ns, now_ns, b->cfg.shift));
        hostio_wait(b->cfg.hostio, HOSTIO_IDLE, pace_remaining_ns(deadline_ns, now_ns));
        now_ns = clock_realtime_ns();
    }
    uint64_t reached = pace_tick_at(tick, max_tick, start_ns, now_ns, b->cfg.shift);
    return stopping(b) ? reached : intake_from(b, reached);
}

/* A guest that waits for input gets to where it is to stand; one that waits for nothing has ended before. */
static uint64_t idle_end(struct bus *b, uint64_t max_tick, uint64_t stand_tick)
{
    if (max_tick == TICK_NEVER && stand_tick != TICK_NEVER)
        hostio_wait(b->cfg.hostio, HOSTIO_IDLE, 0); /* the last input's end is seen */
    if (max_tick == TICK_NEVER && !bus_input_waiting(b) && !input_open(b))
        return TICK_NEVER;
    return max_tick < stand_tick ? max_tick : stand_tick;
}

uint64_t bus_idle(void *bus, uint64_t tick, uint64_t max_tick, uint64_t stand_tick)
{
    struct bus *b = bus;

    hostio_poll(b->cfg.hostio);
    const bool planned = max_tick != TICK_NEVER;
    max_tick = idle_end(b, max_tick, stand_tick);
    if (!planned && max_tick != TICK_NEVER && bus_input_waiting(b))
        return intake_from(b, tick); /* input does not wait until somebody wants the guest to stand */
    if (max_tick != TICK_NEVER && !b->cfg.sleep) {
        bus_flush_if_due(b);
        return max_tick; /* input that waits is taken in there */
    }
    bus_flush_output(b);
    if (max_tick == TICK_NEVER)
        return wait_for_input(b, tick);
    return wait_until(b, tick, max_tick);
}

void bus_host_io(void *bus, uint64_t timeout_ns)
{
    struct bus *b = bus;

    hostio_wait(b->cfg.hostio, HOSTIO_SERVICE, timeout_ns);
}

void bus_wake(void *bus)
{
    struct bus *b = bus;

    hostio_wake(b->cfg.hostio);
}
