/* bus.h - the devices as the link sees them: accesses, events, interrupt lines, input, pacing.
 *
 * The bus runs a board (hw/board.h), any board: it sends accesses to chips, advances each chip at the tick of
 * its next event, turns output pins and requests into effects, moves entries between typed ports (hw/port.h)
 * and back ends (backend.h). Everything that the guest can see is in the chips, in struct bus_state and in
 * the input queues, all of which bus_part() lists; the rest is the host's.
 *
 * Time: an access stamped t acts on its chip at t; what it changes outside the chip (interrupt lines,
 * the chip's next event) shows at t + L or later, because the vCPU may have run that far. A line's
 * changes never overtake one another: each is stamped no earlier than the one before it.
 * Events of one tick run by device number; at one device the chip's events come first, then its use of
 * memory, then input, by port number.
 *
 * Memory: bus masters use it in bus_step alone, where the vCPU stands at the tick, never in an access. The
 * tick follows from what the chip said when it last changed, and later accesses do not put it off; so a guest
 * that polls cannot starve DMA. Windows: what the guest moves about (PCI BARs) moves by effects, for the
 * vCPU's thread owns what it looks addresses up in; an access says itself which register it is for.
 *
 * Input: at a step, what waits in a back end moves into the port's queue, at most one
 * entry a port, stamped with that tick (and recorded; in a replay it comes from the log). From the queue it
 * reaches the chip as events of their own, when the chip is ready: a stream byte by byte, else entry by
 * entry.
 *
 * Threads: bus_init and bus_fini alone; the other functions by the holder of the baton, but
 * bus_host_io and bus_wake by any thread, and bus_part as it says.
 * Memory: one struct and what bus_init allocates. The guest cannot make any of it fail. */
#ifndef TANDEM_DEVTHREAD_BUS_H
#define TANDEM_DEVTHREAD_BUS_H

#include "clockcore/ticks.h"
#include "devthread/backend.h"
#include "devthread/busblocks.h"
#include "devthread/hostio.h"
#include "devthread/inputlog.h"
#include "devthread/screen.h"
#include "hw/board.h"
#include "mem/own.h"
#include "mem/physmem.h"
#include "syncq/access.h"
#include "syncq/busmap.h"

#include <stdbool.h>
#include <stdint.h>

#define BUS_LENGTH_BYTES 4 /* in a queue, before each entry that is not of a stream */
#define BUS_QUEUE_BYTES  (PORT_ENTRY_BYTES + BUS_LENGTH_BYTES)
#define BUS_SMALL_BYTES  512     /* of a queue of small entries */
#define BUS_FLUSH_NS     4000000 /* output waits at most about this long, host time */
/* Where the bus map has memory window n, wherever the guest sees it. */
#define BUS_WINDOW_ADDR(n) ((UINT64_C(1) << 40) + ((uint64_t)(n) << 32))
/* Where a write resets the machine (bus_access): an address that no guest can reach. */
#define BUS_RESET_ADDR UINT64_C(0xFFFFFFFFFFFFF000)

/* The board's own state (a pseudo-chip). */
struct bus_state {
    uint64_t next_tick[BOARD_DEVICES_MAX];  /* the chip's next event, not before its floor_tick */
    uint64_t input_tick[BOARD_PORTS_MAX];   /* the head of the port's queue reaches the chip */
    uint64_t floor_tick[BOARD_DEVICES_MAX]; /* last access + L: nothing that it causes is earlier */
    uint64_t line_tick[BOARD_IRQ_LINES];    /* stamp of the line's last change */
    uint32_t outputs[BOARD_DEVICES_MAX];    /* pins as last compared */
    uint64_t master_ns[BOARD_DEVICES_MAX]; /* when the chip said it uses memory next; NS_NEVER: it does not */
    uint64_t master_tick[BOARD_DEVICES_MAX]; /* the tick at which it will */
    uint64_t remap_tick[BOARD_REMAPS_MAX];   /* stamp of the remap's last change */
    uint64_t window_tick[BOARD_WINDOWS_MAX]; /* stamp of the window's last move */
    uint32_t remap[BOARD_REMAPS_MAX];        /* values of remaps as the vCPU will have them */
    uint32_t window[BOARD_WINDOWS_MAX];      /* where windows will be for the vCPU (board.h: window_at) */
    uint32_t lines;                          /* levels as the vCPU will have them, a bit a line */
    uint32_t reserved;                       /* always 0 */
};

/* Input on its way to a typed port, a ring (a pseudo-chip). Bytes that hold nothing are 0. */
struct bus_queue {
    uint32_t head, count; /* byte[head] is next; bytes in the ring */
    uint8_t byte[BUS_QUEUE_BYTES];
};
/* As much of it as a port with small entries has. MATCH bus_small_queue */
struct bus_small_queue {
    uint32_t head, count;
    uint8_t byte[BUS_SMALL_BYTES];
};

/* Keys, motions, buttons and trays: their entries have PORT_SMALL_BYTES at most. */
static inline bool bus_port_is_small(const struct board_port *p)
{
    return p->kind == PORT_KEYS || p->kind == PORT_POINTER || p->kind == PORT_PANEL || p->kind == PORT_TRAY;
}

static inline uint32_t bus_queue_bytes(const struct board_port *p)
{
    return bus_port_is_small(p) ? BUS_SMALL_BYTES : BUS_QUEUE_BYTES;
}

/* Who has the media of removable drives. An entry of a port of kind PORT_TRAY is longer outside of the
 * machine than within: what lies behind PORT_TRAY_BYTES is in the recording and for the host alone. All by
 * the holder of the baton. */
struct bus_trays {
    /* A replay has taken this entry from its recording. */
    void (*replayed)(void *ctx, unsigned port, const uint8_t *entry, uint32_t bytes);
    /* The next entry of those that were taken in reaches the chip, which does it or does not. */
    void (*done)(void *ctx, unsigned port, const struct port_tray *t, bool taken);
    void (*moved)(void *ctx, unsigned port, unsigned drive, bool open); /* a tray, whoever moved it */
};

struct bus_config {
    unsigned shift;
    bool sleep;                /* pace idle time by the host's clock */
    const struct board *board; /* not owned, as all below; not changed after bus_init */
    void *state;               /* board->state_bytes of it, powered on: all chips */
    struct physmem *memory;    /* for bus masters and windows; NULL: no chip sees memory */
    struct hostio *hostio;     /* may be NULL where idle and host_io are not called */
    struct backend backend[BOARD_PORTS_MAX];
    struct inputlog *record, *replay;                /* NULL: none */
    struct screen *screen;                           /* NULL: nobody looks at pictures */
    void (*emit)(void *ctx, const struct effect *e); /* link_effect */
    bool (*stopping)(void *ctx);                     /* link_stopping; any thread */
    void *ctx;
    /* Told of writes that a chip's data sheet speaks against (chip.h: write_error), by whoever holds the
     * baton. NULL: nobody wants to know. */
    void (*write_error)(void *ctx, const struct access *a, const char *device, const char *text);
    void *write_error_ctx;
    /* Told of each frame that a port of kind PORT_FRAMES sends, or that its chip gets, by whoever holds the
     * baton. NULL: nobody wants to know. */
    void (*frame)(void *ctx, unsigned port, bool to_guest, const uint8_t *bytes, uint32_t n, uint64_t now_ns);
    void *frame_ctx;
    const struct bus_trays *trays; /* NULL: media stay as they are */
    void *trays_ctx;
};

/* A chip with a memory of its own, as the ranges of the bus map know it. */
struct bus_own {
    struct bus *bus;
    unsigned dev;
    struct mem_own memory;
};

struct bus {
    /* --- guest-visible; owned by the holder of the baton (local chips: by the vCPU's thread) --- */
    struct bus_state st;
    struct bus_queue *queue[BOARD_PORTS_MAX]; /* NULL: no input there */

    /* --- constant after bus_init --- */
    struct bus_config cfg;
    const struct board *board;
    uint8_t window_remap[BOARD_WINDOWS_MAX];  /* number of a memory window's remap (mem/remap.h) */
    uint32_t device_ports[BOARD_DEVICES_MAX]; /* bit n: typed port n is there and the device's */
    uint32_t stepped_ports;                   /* bit n: its back end is told of time */
    struct busmap map;
    uint64_t latency_ticks[BOARD_DEVICES_MAX];
    struct bus_own own;
    uint8_t line_dev[BOARD_IRQ_LINES]; /* tie breaker of a line: the lowest device wired to it */
    uint16_t reset_range;              /* index in map */

    /* --- the host's, owned by the holder of the baton --- */
    uint64_t earliest; /* least of st's next_tick, master_tick, input_tick and computed_tick, unless stale */
    uint64_t computed_tick[BOARD_PORTS_MAX]; /* next entry of a computed back end, which is what says so */
    bool earliest_stale;
    uint64_t intake_tick;    /* last step that took input in: there is one such step a tick at most */
    uint64_t flush_ns;       /* host time of the last flush */
    bool replay_host_failed; /* a drive failed where it had not when the run was recorded */
    bool replay_strayed;     /* an entry of the log did not fit this machine */
    uint8_t *entry;          /* PORT_ENTRY_BYTES: one entry on its way in or out */
    struct busblocks blocks;
};

/* Starts a board at tick 0, just powered on, and tells its interrupt controller the first levels of the
 * lines. False: no memory. */
bool bus_init(struct bus *b, const struct bus_config *cfg);
void bus_fini(struct bus *b);

struct link_ops;
extern const struct link_ops bus_ops; /* ctx: the struct bus */

uint32_t bus_access(void *bus, const struct access *a);
void bus_step(void *bus, uint64_t tick);
uint64_t bus_next_event(void *bus);
uint64_t bus_idle(void *bus, uint64_t tick, uint64_t max_tick, uint64_t stand_tick); /* idle.c */
void bus_host_io(void *bus, uint64_t timeout_ns);
void bus_wake(void *bus);
/* Input waits in a back end, and the port's queue has room for it. */
bool bus_input_waiting(void *bus);
/* The vCPU stands at `tick`: a display that waits for a picture gets it. */
void bus_serve_screen(struct bus *b, uint64_t tick);
void bus_flush_output(struct bus *b);
/* The machine stopped for good: what the lines have not carried yet goes out too, then all is flushed. Chips
 * stay as they are. */
void bus_drain_output(struct bus *b);
/* The same at most once in BUS_FLUSH_NS, for callers in a hot loop. */
void bus_flush_if_due(struct bus *b);

/* Chips of the CPU's side were reset, or physical memory has forgotten its remaps: the chip with memory puts
 * it in order, and its remaps are in force. The vCPU's thread. */
void bus_settle_own(struct bus *b);

/* Chips, the board's own state and input queues in a fixed order. On the vCPU's thread, after link_settle and
 * before the next access. False: i is past the last. */
bool bus_part(struct bus *b, unsigned i, struct state_part *out);
/* They have been loaded; the vCPU stands at `tick`, at which no more input is taken in. Returns the name of a
 * field with a value that no run gives it, or NULL: all is well. */
const char *bus_loaded(struct bus *b, uint64_t tick);

#endif
