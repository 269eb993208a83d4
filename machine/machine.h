/* machine.h - one machine: RAM, board and device thread, vCPU, guest image; composed from plain data, run in
 * stretches.
 *
 *     machine_config_init(&cfg);                      // then set what differs
 *     m = machine_create(&cfg, &e);                   // stands at tick 0
 *     stop = machine_run_until(m, &until, &e);        // as often as wanted
 *     machine_finish(m, &stats, &e);                  // all output and files are whole
 *     machine_destroy(m);
 *
 * Between two calls the machine stands: at a tick, behind all effects of that tick and before its
 * instruction. Where a run is cut can never be seen by the guest, nor in a digest file.
 *
 * Threads: the guest runs on the thread that calls machine_run_until; one thread at a time uses the machine,
 * exceptions are named. Errors: false or MACHINE_STOP_ERROR with a message in e. */
#ifndef TANDEM_MACHINE_MACHINE_H
#define TANDEM_MACHINE_MACHINE_H

#include "devthread/devthread.h"
#include "hw/pc.h"
#include "machine/digest.h"
#include "machine/drives.h"
#include "machine/err.h"
#include "machine/firmware_items.h"
#include "machine/nics.h"
#include "syncq/link.h"
#include "vcpu/vcpu.h"

#define MACHINE_SERIALS_MAX  PC_SERIAL_MAX
#define MACHINE_THREAD_BYTES 24 /* longest name of a thread, with its NUL */

/* The graphics card. By default there is one where firmware starts, which shows what it does. */
enum machine_vga { MACHINE_VGA_DEFAULT, MACHINE_VGA_NONE, MACHINE_VGA_STD };

/* Strings are borrowed until machine_destroy. */
struct machine_config {
    /* --- what the guest's state is a function of --- */
    uint64_t ram_bytes;
    const char *bios;          /* firmware; NULL: the default's file, unless there is a kernel */
    char *const *firmware_dir; /* `nfirmware_dirs` of them: where its files are looked for first */
    unsigned nfirmware_dirs;
    struct firmware_boot boot;
    const struct firmware_user_item *fw_cfg; /* `nfw_cfg` of them: the user's items for the guest */
    unsigned nfw_cfg;
    bool graphics;                           /* firmware has a screen: it does not use COM1 as one */
    const char *kernel, *initrd, *append;    /* NULL for none */
    const char *serial[MACHINE_SERIALS_MAX]; /* chardev.h specifications; NULL: not fitted */
    bool serial_wire_speed;                  /* characters take their time (hw/pc.h) */
    const char *debugcon;                    /* of the debug console's port; NULL: not fitted */
    uint16_t debugcon_port;
    bool marker; /* fit tandem-marker */
    uint16_t marker_port;
    int64_t rtc_seconds; /* calendar at tick 0 */
    unsigned shift;      /* one tick is 2^shift ns */
    bool debug_exit;     /* fit isa-debug-exit */
    uint16_t debug_exit_port;
    uint8_t debug_exit_ports;
    struct cpu_model cpu; /* -cpu */
    struct machine_drive drive[MACHINE_DRIVES_MAX];
    unsigned ndrives;
    struct machine_nic nic[MACHINE_NICS_MAX];
    unsigned nnics;
    bool toypci; /* test: fit hw/toypci.c */
    enum machine_vga vga;
    bool no_reboot; /* a reset ends the run (MACHINE_STOP_RESET, _TRIPLE_FAULT) */

    /* --- how it is run: the guest cannot see it --- */
    bool sleep;       /* idle time lasts as long on the host */
    bool interactive; /* machine_key and its kin may be called at any time: a guest that halts for good waits
                       */
    int monitor_fd;   /* where mon:stdio sends what is typed for the monitor (chardev.h); 0: nowhere */
    bool display;     /* machine_screen_ask will be called */
    const char *record_file, *replay_file; /* NULL: none */
    const char *loadvm;                    /* begins at this snapshot; NULL: at the guest's start */
    const char *snapshots_option; /* which option says that machine_save will be called: no drive is written
                                     in place; NULL: none */
    bool rtc_default;             /* rtc_seconds was not asked for: with loadvm the snapshot's is taken */
    enum link_mode mode;
    int vcpu_cpu, device_cpu; /* host CPUs; PIN_ANY: any */
    enum translator_mode translator;
    unsigned hot;                   /* see vcpu_config */
    int translator_threads;         /* -1: as many as there are spare CPUs */
    uint64_t code_cache_bytes;      /* 0: the default */
    enum moved_blocks moved_blocks; /* see vcpu_config */
    enum long_blocks long_blocks;   /* see vcpu_config; the seed is jitter_seed */
    bool chain;

    /* --- what is written about it --- */
    const char *digest_file;                     /* NULL: none */
    uint64_t digest_every;                       /* ticks; only with digest_file */
    struct machine_dump dump[MACHINE_DUMPS_MAX]; /* frames of networks */
    unsigned ndumps;
    struct vcpu_observer observer; /* of the vCPU (vcpu/observer.h); all zero: none */
    bool survey;                   /* count for hit rates (vcpu_config) */
    struct link_figures *figures;  /* where to keep how long accesses and events take; NULL: not timed */
    unsigned log_items;            /* VCPU_LOG_* */
    unsigned hot_list;             /* blocks of machine_list_hot; 0: none */
    FILE *log_file;                /* the caller's */
    /* For the user: a line, or several; no newline at the end. Any thread; may be NULL. */
    void (*notice)(void *ctx, const char *text);
    /* A drive's request that the host could not carry out. Any thread; may be NULL. */
    void (*io_error)(void *ctx, const struct blocks_error *e);
    /* Now and then while the guest runs, on its thread; may be NULL. */
    void (*progress)(void *ctx, uint64_t tick, uint64_t icount);
    /* At each reset, on the thread that runs the guest; may be NULL. */
    void (*was_reset)(void *ctx);
    void *ctx;

    /* --- for tests --- */
    uint64_t quantum_ticks, jitter_seed, plant_late; /* 0: the default, none, none */
    uint64_t host_delay_seed;   /* host I/O of drives takes up to 50 ms longer; 0: none */
    uint64_t host_delay_one_in; /* so many requests, at random, are one that does; 0: 2 */
    bool single_tb;
    uint32_t pretend_differs, pretend_lacks; /* answers of the host's CPU (vcpu_config, vcpu_host_check) */
    bool host_unasked;                       /* neither is asked: for valgrind, whose x87 has 64 bits */
};

/* Why a stretch ended. From POWEROFF on the guest's own doing: the machine has ended, and another
 * machine_run_until says the same again at once. */
enum machine_stop {
    MACHINE_STOP_ERROR,
    MACHINE_STOP_TICK,      /* the tick of vcpu_until was reached */
    MACHINE_STOP_CONDITION, /* its condition held */
    MACHINE_STOP_PAUSE,     /* machine_pause_request */
    MACHINE_STOP_QUIT,      /* machine_quit_request; again at once if called again */
    MACHINE_STOP_CONSOLE,   /* Ctrl-A x was typed; likewise */
    MACHINE_STOP_POWEROFF,
    MACHINE_STOP_RESET,        /* under no_reboot */
    MACHINE_STOP_DEBUG_EXIT,   /* value: machine_exit_value */
    MACHINE_STOP_HALTED,       /* nothing can wake the guest */
    MACHINE_STOP_TRIPLE_FAULT, /* under no_reboot */
};

struct machine_stats {
    uint64_t tick, virtual_ns, resets;
    struct vcpu_stats vcpu;
    struct link_stats link;
    struct blocks_stats blocks;
    struct nics_stats nics;
    char state_hex[DIGEST_HEX]; /* digest of the final state */
};

struct activity_trace;
struct machine;

/* A machine of 128 MiB that starts firmware, in the defaults of the command. */
void machine_config_init(struct machine_config *cfg);
/* Everything that can fail for the host's or the user's sake, and the device thread's start. Binds the
 * calling thread to vcpu_cpu. NULL: e says why. */
struct machine *machine_create(const struct machine_config *cfg, struct err *e);
/* Runs until something of enum machine_stop; resets under way are handled inside. Costs nothing while it
 * runs, but for a condition, for which instructions run one at a time; starting and stopping cost
 * microseconds. */
enum machine_stop machine_run_until(struct machine *m, const struct vcpu_until *until, struct err *e);
/* Make the stretch under way end soon: within a quantum of virtual time (a millisecond) of host time for the
 * guest, at once if it idles; a pause waits for a slow reader of the guest's output, for nothing may be lost
 * by it. A request that comes while the machine stands counts for the next stretch. Any thread, signal
 * handlers. */
void machine_pause_request(struct machine *m);
/* Drives and their media (media.h, drives.h), while the machine stands. */
struct drives *machine_drives(struct machine *m);
/* The guest waits for a drive whose host fails (-drive werror=stop). Any thread. */
bool machine_io_waits(struct machine *m);
/* It is tried again now. Any thread. */
void machine_io_retry(struct machine *m);
void machine_quit_request(struct machine *m);
/* Stands for at most `ns` of host time, less after a request or host I/O, and serves host I/O meanwhile:
 * bytes that come are taken from the host (the guest gets them when it goes on), output leaves. Who lets a
 * machine stand for longer than a moment waits in here: in mode inline there is no other thread to do it.
 * MACHINE_STOP_TICK: no request has come; else which one. */
enum machine_stop machine_wait(struct machine *m, uint64_t ns);
/* Ends the run: device thread, output, digest, terminal. False: the host failed in between (e); stats are
 * whole in either case. Nothing but the functions below may be called afterwards. */
bool machine_finish(struct machine *m, struct machine_stats *stats, struct err *e);
void machine_destroy(struct machine *m); /* NULL is fine */

/* --- input: any thread, until machine_finish; false: the guest has had too much already --- */
bool machine_key(struct machine *m, struct port_key key);
bool machine_pointer(struct machine *m, struct port_motion motion);
bool machine_button(struct machine *m, enum port_button button);

/* --- a display: one thread of its own, until machine_finish; machine_config.display --- */
/* A picture as hw/vga_draw.h draws it; all of it is right until the next machine_screen_ask. */
struct machine_picture {
    const struct vga *vga;
    const uint8_t *memory;
    uint64_t now_ns; /* virtual time */
    bool changed;    /* something but the time differs from the picture before */
};
/* Wants a fresh picture: it comes within a quantum of virtual time, at once where the guest is halted or the
 * machine stands in machine_wait. Not again before it has come. */
void machine_screen_ask(struct machine *m);
/* False: it has not come yet. */
bool machine_screen_take(struct machine *m, struct machine_picture *p);
/* As Ctrl-A x on a console: MACHINE_STOP_CONSOLE. Any thread. */
void machine_console_request(struct machine *m);

/* --- while it stands --- */
uint64_t machine_tick(const struct machine *m);
uint64_t machine_now_ns(const struct machine *m); /* virtual time at this tick */
/* Exit status that the guest gave to isa-debug-exit. */
uint32_t machine_exit_value(const struct machine *m);
/* Digest of the state at this tick: a function of what the guest sees alone. */
void machine_state_hex(struct machine *m, char hex[DIGEST_HEX]);
/* The vCPU's registers: those of x87 and SSE only while it stands; observers too. */
const struct guest_state *machine_guest(const struct machine *m);
/* As vcpu_peek. */
size_t machine_peek(const struct machine *m, uint32_t cr3, uint32_t lin_addr, void *to, size_t bytes);
/* As vcpu_peek_byte. */
const uint8_t *machine_peek_byte(const struct machine *m, uint32_t cr3, uint32_t lin_addr);
/* As vcpu_is_inside and vcpu_peek_code. */
bool machine_is_inside(const struct machine *m);
size_t machine_peek_code(const struct machine *m, void *to, size_t bytes);
/* IRQ line whose interrupts have this vector now; -1: none. Observers too. */
int machine_irq_line(const struct machine *m, uint8_t vector);
/* As vcpu_set_marks, vcpu_stop_at and vcpu_sample_at. */
bool machine_set_marks(struct machine *m, const uint32_t *lin_addr, unsigned count);
void machine_stop_at(struct machine *m, uint64_t tick);
void machine_sample_at(struct machine *m, uint64_t tick);
/* Device (enum pc_device) of an access that an observer is told of; -1: none answers it. */
int machine_access_device(const struct machine *m, const struct access *a);
/* The chips' state, but for what a device thread may be doing to it: while it stands. */
const struct pc *machine_board(const struct machine *m);
/* The graphics card's part of it; NULL: there is none. */
const struct vga *machine_vga(const struct machine *m);
/* Its memory, VGA_MEMORY_BYTES (hw/vga_draw.h draws what it shows), and where that begins, for dirty logs
 * (mem/watch.h). NULL: there is none. */
const uint8_t *machine_video_memory(const struct machine *m, mem_addr_t *first);
/* For people, several whole lines: as vcpu_print_registers. */
void machine_print_registers(const struct machine *m, FILE *out);
/* The state part after part, to look at (machine_part of state.h). */
bool machine_state_part(struct machine *m, enum state_group group, unsigned i, struct state_part *out);
const struct physmem *machine_memory(const struct machine *m);
/* What is soldered to what. */
const struct board *machine_wiring(const struct machine *m);
/* The tick at which the vCPU looks at the world next. */
uint64_t machine_limit(const struct machine *m);
/* The hottest blocks so far, with hot_list; json: NULL, or where the same goes as JSON. */
void machine_list_hot(struct machine *m, FILE *out, FILE *json);
/* What is logged from now on (VCPU_LOG_*), to log_file; needs `interactive`. */
void machine_set_log(struct machine *m, unsigned items);
/* What the guest's state is a function of: "KEY=VALUE ...". */
const char *machine_identity(const struct machine *m);
/* Up to now; without the digest of the state. */
void machine_get_stats(const struct machine *m, struct machine_stats *s);
/* The network cards, for nics_describe and nics_hostfwd_*: any thread, until machine_finish. */
struct nics *machine_nics(struct machine *m);
/* Saves the whole state (state.h) to a file, for machine_config.loadvm and machine_load. The file's first
 * line has the state's digest, as state=HEX. */
bool machine_save(struct machine *m, const char *path, struct err *e);
/* Its state becomes that of the file, tick and what was written to drives with it; a digest file begins anew.
 * False: nothing has changed. Not while it records or replays, nor with a drive that is written in place. */
bool machine_load(struct machine *m, const char *path, struct err *e);
/* What thread i of the machine is doing (syncq/activity.h; look from any thread until machine_finish); name
 * has MACHINE_THREAD_BYTES. NULL: i is past the last. */
const struct activity *machine_activity(struct machine *m, unsigned i, char *name);
/* That thread writes what it does into t from now on, until machine_destroy. */
void machine_trace(struct machine *m, unsigned i, struct activity_trace *t);

#endif
