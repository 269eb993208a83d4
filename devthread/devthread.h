/* devthread.h - the device side of a machine: a board's chips, link, host I/O, back ends, input log, thread.
 *
 *     struct devthread_config cfg;
 *     devthread_config_init(&cfg);                     // then set the board and what else differs
 *     struct devthread *d = devthread_create(&cfg, err, sizeof(err));
 *     vcpu_intc: the board's intc hooks, ctx = devthread_state(d)
 *     vcpu_config: .link = devthread_link(d, number), .bus = devthread_busmap(d), .shift = cfg.shift
 *     devthread_start(d, err, sizeof(err));            // no thread in inline mode; call it anyway
 *     vcpu_run() ...  VCPU_EXIT_RESET or _TRIPLE_FAULT: devthread_reset(d, vcpu_tick(v)), vcpu_reset(v)
 *     devthread_stop(d); devthread_destroy(d);
 *
 * EFFECT_EXIT carries the exit status (pc_debug_exit_status).
 *
 * Threads: every function on the thread that created it, or on the vCPU's while the creator waits;
 * exceptions are named. link_stop(devthread_link(d, n), DEVTHREAD_...) is the way to make the vCPU stand.
 * Errors: one line in err that names the option and says what is accepted. */
#ifndef TANDEM_DEVTHREAD_DEVTHREAD_H
#define TANDEM_DEVTHREAD_DEVTHREAD_H

#include "clockcore/fields.h"
#include "devthread/backend.h"
#include "hw/board.h"
#include "mem/physmem.h"
#include "syncq/busmap.h"
#include "syncq/mode.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Default quantum in virtual ns: bounds how late input is seen. MATCH DEVTHREAD_QUANTUM_NS */
#define DEVTHREAD_QUANTUM_NS 1000000
#define DEVTHREAD_TRAY_BYTES                                                                                 \
    (PORT_TRAY_BYTES + 4352) /* most bytes of an entry of PORT_TRAY as it comes in                           \
                              */

struct access;
struct link_figures;
struct net;
struct net_config;

struct bus_trays; /* bus.h */

struct devthread_config {
    enum link_mode mode;                  /* -devthread mode= */
    unsigned shift;                       /* -icount shift= */
    bool sleep;                           /* -icount sleep=on */
    uint64_t quantum_ticks;               /* 0: DEVTHREAD_QUANTUM_NS worth of ticks */
    const struct board *board;            /* copied */
    struct physmem *memory;               /* for bus masters; NULL: no chip sees memory */
    const char *chardev[BOARD_PORTS_MAX]; /* of typed ports that are byte streams: chardev.h; NULL: none */
    const char *chardev_option[BOARD_PORTS_MAX]; /* "-debugcon": for messages; static; NULL: "-serial" */
    struct backend
        backend[BOARD_PORTS_MAX]; /* of other typed ports; of keys, pointers and buttons test only */
    const struct net_config
        *net[BOARD_PORTS_MAX];    /* of typed ports of frames, the host's networks (net.h); NULL: none */
    int monitor_fd;               /* of mon:stdio (chardev.h); 0: none */
    int screen_port;              /* typed port that a display looks at; -1: there is no display */
    bool interactive;             /* devthread_input may be called at any time */
    int64_t rtc_seconds;          /* calendar at tick 0, unless a replay brings its own */
    const char *images;           /* of drives: inputlog_header; NULL: there are none */
    const char *record_file;      /* -icount rr=record,rrfile=F; NULL: none */
    const char *replay_file;      /* -icount rr=replay,rrfile=F; NULL: none */
    int host_cpu;                 /* device thread's host CPU; -1: not pinned */
    int64_t spin_iterations;      /* before parking (pinning.h); -1: link_default_spin() */
    uint64_t jitter_seed;         /* test: link_config */
    uint64_t plant_late;          /* test: link_config */
    struct link_figures *figures; /* link_config */
    void (*notice)(void *ctx, const char *line); /* one line for the user, no newline; NULL: dropped */
    void *notice_ctx;
    void (*leaving)(void *ctx); /* Ctrl-A x was typed, and the machine will stand for good; may be NULL */
    void *leaving_ctx;
    /* As of struct bus_config; NULL: nobody wants to know. */
    void (*write_error)(void *ctx, const struct access *a, const char *device, const char *text);
    void *write_error_ctx;
    /* Likewise. */
    void (*frame)(void *ctx, unsigned port, bool to_guest, const uint8_t *bytes, uint32_t n, uint64_t now_ns);
    void *frame_ctx;
    const struct bus_trays *trays; /* likewise; may be NULL */
    void *trays_ctx;
};

/* Reasons of link_stop(). Output that waits for a slow reader waits on in a pause, and no longer at the
 * others. */
enum {
    DEVTHREAD_PAUSE = 1 << 0,
    DEVTHREAD_QUIT = 1 << 1,
    DEVTHREAD_CONSOLE = 1 << 2, /* set by the device side: Ctrl-A x was typed */
};

struct devthread;
struct link;

/* Defaults: adaptive, shift 3, sleep=on, no back end, not pinned, everything else zero. */
void devthread_config_init(struct devthread_config *cfg);
/* Powers the board on at tick 0 and opens all back ends and files (a server with wait=on blocks here).
 * Strings in cfg are copied. NULL: err says why. */
struct devthread *devthread_create(const struct devthread_config *cfg, char *err, size_t err_bytes);
/* Starts the device thread (none in inline mode). False: err says why. */
bool devthread_start(struct devthread *d, char *err, size_t err_bytes);
/* Ends the device thread and puts out what the guest has sent; the vCPU stands for good. Idempotent. */
void devthread_stop(struct devthread *d);
/* Writes out all output, closes the log, restores the terminal. NULL is fine. */
void devthread_destroy(struct devthread *d);

/* The link of vCPU `vcpu`, below LINK_VCPUS_MAX. */
struct link *devthread_link(struct devthread *d, unsigned vcpu);
/* The vCPU's thread looks things up in it and moves its windows. */
struct busmap *devthread_busmap(struct devthread *d);
/* The remap of physical memory (mem/remap.h) that shows the local APIC's page; -1: none. */
int devthread_apic_remap(const struct devthread *d);
/* A key, a motion or a button for typed port `port` (hw/port.h); any thread, until devthread_stop. The
 * machine takes it in at one of its next steps, stamps and records it. False: the port is not there, or it
 * has had too much already. A replay drops it: its input is the log's. */
bool devthread_input(struct devthread *d, unsigned port, const uint8_t *entry, uint32_t bytes);
/* Bytes in the port's queue: taken in, and not at the chip yet. While the vCPU stands. */
uint32_t devthread_queued(const struct devthread *d, unsigned port);
/* The network of the host's behind typed port `port`; NULL: there is none, as in a replay. */
struct net *devthread_net(struct devthread *d, unsigned port);
/* The board's state block, all chips. Its local devices belong to the vCPU's thread. */
void *devthread_state(struct devthread *d);
/* Calendar at tick 0: cfg's, or the recording's when one is replayed. */
int64_t devthread_rtc_seconds(const struct devthread *d);
/* Up to which tick buttons of the case may be pressed: TICK_NEVER: at any time; of a replay: to the
 * recording's end. 0: nobody is there who would. */
uint64_t devthread_panel_until(const struct devthread *d);

/* Machine reset at the vCPU's `tick` (vcpu_tick; vCPU's thread, after vcpu_run returned RESET or
 * TRIPLE_FAULT): every chip, local ones too. What a battery keeps stays. Then vcpu_reset. */
void devthread_reset(struct devthread *d, uint64_t tick);
/* Then, when physical memory is as after a reset (bus_settle_own). */
void devthread_settle_own(struct devthread *d);
/* Hands what the guest has sent to the host, where it would wait for more. vCPU's thread, after
 * link_settle(). */
void devthread_flush(struct devthread *d);
/* Lets host I/O go on while the vCPU stands at `tick`: until there was some, a display asks for a picture, a
 * request has come (link_stop), or ns of host time are over. A display that waits for a picture gets it
 * first. */
void devthread_wait(struct devthread *d, uint64_t tick, uint64_t ns);
/* For a display, on its thread, until devthread_stop: screen.h. NULL: nobody said that there is one. */
struct screen *devthread_screen(struct devthread *d);
/* Replay: every entry of the log has been fed. vCPU's thread, after link_settle(). */
bool devthread_replay_finished(struct devthread *d);
/* First trouble of a back end or a log while running ("" if none): full disk, a log that does not fit
 * this machine. After devthread_stop(). */
const char *devthread_error(struct devthread *d);

/* --- its state: vCPU's thread, after link_settle() and before the next access --- */
/* Before a save: brings the position in the recording into its part. */
void devthread_settle(struct devthread *d);
/* STATE_DEVICES: chips, the board's own state, input queues; STATE_OTHER: the position in a recording. In a
 * fixed order; false: i is past the last. The link has parts of its own (link_state.h). */
bool devthread_part(struct devthread *d, enum state_group group, unsigned i, struct state_part *out);
/* Around a load: keeps the device thread from all of it, if that runs (link_seize). */
void devthread_seize(struct devthread *d);
void devthread_release(struct devthread *d);
/* Its parts and the link's have been loaded, and the device thread is kept out; the vCPU stands at
 * `tick`. A replay goes on behind what the recording had then; a recording begins here. False: err says why.
 */
bool devthread_loaded(struct devthread *d, uint64_t tick, char *err, size_t err_bytes);
/* Behind a load into a machine that has run, before devthread_release: what networks of the host's keep of
 * the machine before ends (net_loaded). */
void devthread_end_connections(struct devthread *d);
/* After devthread_stop(): a recording says that the run went on up to `tick`. */
void devthread_end_recording(struct devthread *d, uint64_t tick);

#endif
