/* toyguest.h - a vCPU of a few lines, for the whole device side: it makes pseudo-random accesses, takes
 * interrupts, halts, and hashes everything that a guest can see. Same seed, same hashes, in any mode. */
#ifndef TANDEM_TESTS_DEVTHREAD_TOYGUEST_H
#define TANDEM_TESTS_DEVTHREAD_TOYGUEST_H

#include "clockcore/ticks.h"
#include "devthread/devthread.h"
#include "hw/pc.h"
#include "syncq/access.h"
#include "syncq/link.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct toyguest {
    struct devthread *d;
    struct pc *pc;
    uint64_t tick, rng, hash;
    uint64_t interrupts, characters, resets;
    bool halted, done; /* done: the device side said that nothing can end the halt */
};

static inline void toy_mix(struct toyguest *g, uint64_t v)
{
    g->hash = (g->hash ^ v) * UINT64_C(0x100000001b3);
    g->hash ^= g->hash >> 29;
}

static inline uint64_t toy_random(struct toyguest *g)
{
    g->rng ^= g->rng << 13;
    g->rng ^= g->rng >> 7;
    g->rng ^= g->rng << 17;
    return g->rng;
}

static inline struct access toy_access_at(struct toyguest *g, uint16_t port, uint32_t value, bool write)
{
    const struct busmap *m = devthread_busmap(g->d);
    const struct bus_range *r = &m->range[m->port_range[port]];

    return (struct access){.tick = g->tick,
                           .addr = port,
                           .offset = r->base_offset + (uint32_t)(port - r->first),
                           .value = value,
                           .range = m->port_range[port],
                           .size = 1,
                           .kind = write ? ACCESS_PIO_WRITE : ACCESS_PIO_READ};
}

static inline uint8_t toy_in(struct toyguest *g, uint16_t port)
{
    struct access a = toy_access_at(g, port, 0, false);
    const struct bus_range *r = &devthread_busmap(g->d)->range[a.range];
    uint32_t offset = r->base_offset + (uint32_t)(port - r->first);

    switch ((enum access_class)r->read_class) {
    case CLASS_LOCAL:
        return (uint8_t)r->read(r->state, offset, 1, 0);
    case CLASS_PURE:
        link_pure(devthread_link(g->d, 0));
        return (uint8_t)r->pure_read(r->state, offset, 1, g->tick << 3);
    case CLASS_SYNC:
        return (uint8_t)link_sync(devthread_link(g->d, 0), &a, busmap_latency(r, false));
    case CLASS_POSTED:
    case CLASS_NONE:
        break;
    }
    return 0xFF;
}

static inline void toy_out(struct toyguest *g, uint16_t port, uint8_t value)
{
    struct access a = toy_access_at(g, port, value, true);
    const struct bus_range *r = &devthread_busmap(g->d)->range[a.range];

    if (r->write_class == CLASS_LOCAL)
        r->write(r->state, r->base_offset + (uint32_t)(port - r->first), 1, value, 0);
    else if (r->write_class == CLASS_POSTED)
        link_post(devthread_link(g->d, 0), &a, r->latency_ticks);
}

/* Order and content of all chips; link settled. */
static inline void toy_digest(struct toyguest *g)
{
    struct state_part c;

    link_settle(devthread_link(g->d, 0));
    for (unsigned i = 0; devthread_part(g->d, STATE_DEVICES, i, &c); i++)
        for (size_t f = 0; f < c.nfields; f++) {
            const uint8_t *p = (const uint8_t *)c.state + c.fields[f].offset;
            uint32_t n = c.fields[f].elem_bytes * c.fields[f].count;
            for (uint32_t b = 0; b < n; b += 8) {
                uint64_t word = 0;
                memcpy(&word, p + b, n - b < 8 ? n - b : 8);
                toy_mix(g, word);
            }
        }
    toy_mix(g, g->tick);
}

/* A PC with those serial ports that cfg has a back end for. */
static inline void toy_board(struct board *b, struct devthread_config *cfg)
{
    struct pc_config pc;

    pc_config_init(&pc);
    for (unsigned i = 0; i < PC_SERIAL_MAX; i++)
        pc.com[i] = cfg->chardev[PC_PORT_SERIAL0 + i] != NULL;
    pc_board(b, &pc);
    cfg->board = b;
}

static inline void toy_start(struct toyguest *g, struct devthread *d, uint64_t seed)
{
    *g = (struct toyguest){.d = d, .pc = devthread_state(d), .rng = seed * 2 + 1};
}

/* 8259 with every line open, timer at 1 kHz, com1 at 115200 with all its interrupts. */
static inline void toy_program(struct toyguest *g)
{
    static const struct {
        uint16_t port;
        uint8_t value;
    } init[] = {
        {0x20, 0x11}, {0x21, 0x08}, {0x21, 0x04},  {0x21, 0x01},  {0xA0, 0x11}, {0xA1, 0x70},
        {0xA1, 0x02}, {0xA1, 0x01}, {0x21, 0x00},  {0xA1, 0x00},  {0x43, 0x34}, {0x40, 0xA9},
        {0x40, 0x04}, {0x70, 0x0B}, {0x71, 0x12},  {0x3FB, 0x83}, {0x3F8, 1},   {0x3F9, 0},
        {0x3FB, 3},   {0x3FA, 1},   {0x3FC, 0x0B}, {0x3F9, 0x0F},
    };

    for (unsigned i = 0; i < sizeof(init) / sizeof(init[0]); i++) {
        struct effect e;
        while (g->tick >= link_limit(devthread_link(g->d, 0))) {
            link_arrive(devthread_link(g->d, 0), g->tick);
            while (link_effect_take(devthread_link(g->d, 0), g->tick, &e))
                if (e.kind == EFFECT_IRQ)
                    i8259_set_line(&g->pc->pic, e.line, e.value);
        }
        toy_out(g, init[i].port, init[i].value);
        g->tick++;
    }
}

static inline void toy_effects(struct toyguest *g)
{
    struct effect e;

    while (link_effect_take(devthread_link(g->d, 0), g->tick, &e)) {
        toy_mix(g, e.tick << 8 | (uint64_t)e.kind << 6 | e.line);
        toy_mix(g, e.value);
        if (e.kind == EFFECT_IRQ)
            i8259_set_line(&g->pc->pic, e.line, e.value);
        else if (e.kind == EFFECT_RESET)
            g->resets++;
    }
}

static inline void toy_serial(struct toyguest *g)
{
    if (!(toy_in(g, 0x3FD) & 1))
        return;
    uint8_t c = toy_in(g, 0x3F8);
    toy_mix(g, c);
    g->characters++;
}

static inline void toy_instruction(struct toyguest *g)
{
    static const uint16_t ports[] = {0x61, 0x40, 0x64, 0x3FE, 0x3FA, 0x71, 0x600, 0x2F8};
    uint64_t r = toy_random(g);

    if (r % 64 == 0)
        toy_mix(g, toy_in(g, ports[(r >> 8) % 8]));
    else if (r % 64 == 1)
        toy_out(g, 0x3F8, (uint8_t)('a' + (r >> 8) % 26));
    else if (r % 64 == 2)
        toy_out(g, 0x3F9, (uint8_t)(r >> 8 & 15));
    else if (r % 256 == 3)
        g->halted = true;
    g->tick++;
}

static inline void toy_interrupt(struct toyguest *g)
{
    uint8_t vector = i8259_acknowledge(&g->pc->pic);

    g->halted = false;
    g->interrupts++;
    toy_mix(g, g->tick << 8 | vector);
    if (vector == 0x70) {
        toy_out(g, 0x70, 0x0C);
        toy_mix(g, toy_in(g, 0x71));
    } else if (vector == 0x0C) {
        toy_mix(g, toy_in(g, 0x3FA));
        toy_serial(g);
    }
    if (vector >= 0x70)
        toy_out(g, 0xA0, 0x20);
    toy_out(g, 0x20, 0x20);
    g->tick++;
}

static inline void toy_idle(struct toyguest *g)
{
    uint64_t to = link_idle(devthread_link(g->d, 0), g->tick, TICK_NEVER, TICK_NEVER);

    g->done = to == TICK_NEVER;
    if (to == g->tick)
        link_poke(devthread_link(g->d, 0), g->tick);
    if (!g->done)
        g->tick = to;
    toy_effects(g);
}

/* Runs to `end` or to a stop; a digest at each multiple of 65536 ticks that it passes running. */
static inline void toy_run(struct toyguest *g, uint64_t end)
{
    struct link *l = devthread_link(g->d, 0);
    uint64_t next_digest = (g->tick | 0xFFFF) + 1;

    while (!link_stopping(l) && !g->done && g->tick < end) {
        if (g->tick >= link_limit(l)) {
            link_arrive(l, g->tick);
            toy_effects(g);
            continue;
        }
        if (g->tick >= next_digest && !g->halted) { /* a paced warp may pause anywhere */
            toy_digest(g);
            next_digest = (g->tick | 0xFFFF) + 1;
        }
        if (i8259_intr(&g->pc->pic))
            toy_interrupt(g);
        else if (g->halted)
            toy_idle(g);
        else
            toy_instruction(g);
    }
    toy_digest(g);
}

#endif
