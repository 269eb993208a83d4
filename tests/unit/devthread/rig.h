/* rig.h - a bus without a link: accesses are made by hand, effects are written down. */
#ifndef TANDEM_TESTS_DEVTHREAD_RIG_H
#define TANDEM_TESTS_DEVTHREAD_RIG_H

#include "devthread/bus.h"
#include "devthread/chardev.h"
#include "hw/pc.h"

#define RIG_EFFECTS_MAX 256

struct rig {
    struct pc_config cfg;
    struct board board;
    struct pc pc;
    struct bus bus;
    struct effect effect[RIG_EFFECTS_MAX];
    unsigned neffects;
    uint64_t tick; /* of the next access */
    _Atomic bool stop;
};

static inline void rig_emit(void *ctx, const struct effect *e)
{
    struct rig *r = ctx;

    if (r->neffects < RIG_EFFECTS_MAX)
        r->effect[r->neffects++] = *e;
}

static inline bool rig_stopping(void *ctx)
{
    return ((struct rig *)ctx)->stop; /* seq_cst: a test may set it from another thread */
}

/* Defaults of a test: shift 3, com1 and com3 fitted, debug exit fitted. */
static inline void rig_config(struct rig *r, struct bus_config *c)
{
    *c = (struct bus_config){.shift = 3, .emit = rig_emit, .stopping = rig_stopping, .ctx = r};
    pc_config_init(&r->cfg);
    r->cfg.com[0] = r->cfg.com[2] = true;
    r->cfg.debug_exit = true;
}

/* Its pc_config decides on the board; c->board and c->state are the rig's. May be called again. */
static inline bool rig_init(struct rig *r, const struct bus_config *c)
{
    struct bus_config mine = *c;

    mine.board = &r->board;
    mine.state = &r->pc;
    r->neffects = 0;
    r->tick = 1;
    r->stop = false;
    if (!pc_board(&r->board, &r->cfg))
        return false;
    r->board.power_on(&r->pc, &r->board, 1686355200);
    bus_fini(&r->bus);
    return bus_init(&r->bus, &mine);
}

static inline uint32_t rig_access(struct rig *r, uint16_t port, uint32_t value, unsigned size, bool write)
{
    const struct bus_range *range = &r->bus.map.range[r->bus.map.port_range[port]];
    struct access a = {.tick = r->tick,
                       .addr = port,
                       .offset = range->base_offset + (uint32_t)(port - range->first),
                       .value = value,
                       .range = r->bus.map.port_range[port],
                       .size = (uint8_t)size,
                       .kind = write ? ACCESS_PIO_WRITE : ACCESS_PIO_READ};

    return bus_access(&r->bus, &a);
}

static inline void rig_out(struct rig *r, uint16_t port, uint8_t value)
{
    rig_access(r, port, value, 1, true);
    r->tick += 200; /* beyond the ISA latency */
}

static inline uint8_t rig_in(struct rig *r, uint16_t port)
{
    uint8_t v = (uint8_t)rig_access(r, port, 0, 1, false);

    r->tick += 200;
    return v;
}

/* Runs all events up to `tick`, as the link would. */
static inline void rig_run_to(struct rig *r, uint64_t tick)
{
    for (uint64_t next; (next = bus_next_event(&r->bus)) <= tick;)
        bus_step(&r->bus, next);
    r->tick = tick;
}

#endif
