/* bus.h - the devices as the link sees them: accesses, events, interrupt lines, input, pacing.
 *
 * The bus runs a board (hw/board.h): it sends accesses to chips, advances each chip at the tick of its
 * next event, turns output pins and requests into effects, moves characters between serial ports
 * and back ends. Everything that the guest can see is in the chips, in struct bus_state and in the
 * serial input queues, all of which bus_chip() lists; the rest is the host's.
 *
 * Time: an access stamped t acts on its chip at t; what it changes outside the chip (interrupt lines,
 * the chip's next event) shows at t + L or later, because the vCPU may have run that far. A line's
 * changes never overtake one another: each is stamped no earlier than the one before it.
 * Events of one tick run by device number; at one device the chip's events come first, then bytes
 * from outside.
 *
 * Input (rule 7 of the design): at a step, bytes that wait in a back end move into the port's queue,
 * stamped with that tick (and recorded; in a replay they come from the log). From the queue they reach the
 * UART as events of their own, at wire speed, when it has room.
 *
 * Threads: bus_init and bus_fini alone; the other functions by the holder of the baton, but
 * bus_host_io and bus_wake by any thread, and bus_chip as it says.
 * Memory: one struct, no allocation after init. The guest cannot make any of it fail. */
#ifndef TANDEM_DEVTHREAD_BUS_H
#define TANDEM_DEVTHREAD_BUS_H

#include "clockcore/ticks.h"
#include "devthread/chardev.h"
#include "devthread/hostio.h"
#include "devthread/inputlog.h"
#include "hw/pc.h"
#include "syncq/busmap.h"
#include "syncq/link.h"

#include <stdbool.h>
#include <stdint.h>

#define BUS_QUEUE_BYTES INPUTLOG_ENTRY_BYTES
#define BUS_FLUSH_NS    4000000 /* output waits at most about this long, host time */
/* Where a write resets the machine (bus_access): an address that no guest can reach. */
#define BUS_RESET_ADDR UINT64_C(0xFFFFFFFFFFFFF000)

/* The board's own state (a pseudo-chip). */
struct bus_state {
    uint64_t next_tick[BOARD_DEVICES_MAX];  /* the chip's next event, not before its floor_tick */
    uint64_t input_tick[BOARD_SERIAL_MAX];  /* the next byte out of the queue reaches the UART */
    uint64_t floor_tick[BOARD_DEVICES_MAX]; /* last access + L: nothing that it causes is earlier */
    uint64_t line_tick[BOARD_IRQ_LINES];    /* stamp of the line's last change */
    uint32_t outputs[BOARD_DEVICES_MAX];    /* pins as last compared */
    uint32_t lines;                         /* levels as the vCPU will have them, a bit a line */
    uint32_t reserved;                      /* always 0 */
};

/* Bytes from outside on their way to a serial port (a pseudo-chip); bytes past `count` are 0. */
struct bus_queue {
    uint32_t count;
    uint8_t byte[BUS_QUEUE_BYTES]; /* [0] is next */
};

struct bus_config {
    unsigned shift;
    bool sleep; /* pace idle time by the host's clock */
    struct pc_config pc;
    struct hostio *hostio; /* not owned; may be NULL where idle and host_io are not called */
    struct chardev *chardev[BOARD_SERIAL_MAX];       /* not owned; NULL: none */
    struct inputlog *record, *replay;                /* not owned; NULL: none */
    void (*emit)(void *ctx, const struct effect *e); /* link_effect */
    bool (*stopping)(void *ctx);                     /* link_stopping; any thread */
    void *ctx;
};

struct bus {
    /* --- guest-visible, owned by the holder of the baton (but pc.pic: by the vCPU's thread) --- */
    struct pc pc;
    struct bus_state st;
    struct bus_queue queue[BOARD_SERIAL_MAX];

    /* --- constant after bus_init --- */
    struct bus_config cfg;
    struct board board;
    struct busmap map;
    uint64_t latency_ticks[BOARD_DEVICES_MAX];
    uint8_t line_dev[BOARD_IRQ_LINES]; /* tie breaker of a line: the lowest device that drives it */
    uint16_t reset_range;              /* index in map */

    /* --- the host's, owned by the holder of the baton --- */
    uint64_t earliest; /* least of st.next_tick and st.input_tick, unless stale */
    bool earliest_stale;
    uint64_t intake_tick; /* last step that took input in: there is one such step a tick at most */
    uint64_t flush_ns;    /* host time of the last flush */
    bool replay_strayed;  /* an entry of the log did not fit this machine */
};

/* Powers the board on at tick 0 and tells the 8259 the first levels of its lines. False: the board's
 * configuration is bad (debug exit port). */
bool bus_init(struct bus *b, const struct bus_config *cfg);

extern const struct link_ops bus_ops; /* ctx: the struct bus */

uint32_t bus_access(void *bus, const struct access *a);
void bus_step(void *bus, uint64_t tick);
uint64_t bus_next_event(void *bus);
uint64_t bus_idle(void *bus, uint64_t tick, uint64_t max_tick); /* idle.c */
void bus_host_io(void *bus, uint64_t timeout_ns);
void bus_wake(void *bus);
/* Bytes wait in a back end, and the port's queue has room for them. */
bool bus_input_waiting(void *bus);
void bus_flush_output(struct bus *b);
/* The machine stopped for good: what still waits in the transmitters goes out too, then all is flushed. Chips
 * stay as they are. */
void bus_drain_output(struct bus *b);
/* The same at most once in BUS_FLUSH_NS, for callers in a hot loop. */
void bus_flush_if_due(struct bus *b);

/* Chips and pseudo-chips in a fixed order, for digest, snapshot and monitor. On the vCPU's thread, after
 * link_settle and before the next access. False: i is past the last. */
struct bus_chip {
    const char *name;
    const struct chip_class *chip;
    void *state;
};
bool bus_chip(struct bus *b, unsigned i, struct bus_chip *out);

#endif
