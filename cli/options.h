/* options.h - the command line, in the manner of qemu-system-i386.
 *
 * One table (options.c) drives parsing, --help and the suggestions for misspelt names. An option of QEMU's
 * that cannot be honoured is an error that says so. Both -name and --name are accepted. Memory: strings in
 * struct options are owned by it. */
#ifndef TANDEM_CLI_OPTIONS_H
#define TANDEM_CLI_OPTIONS_H

#include "cli/chardevs.h"
#include "cli/displayopts.h"
#include "cli/drives.h"
#include "cli/markopts.h"
#include "cli/nets.h"
#include "clockcore/rtcbase.h"
#include "machine/err.h"
#include "machine/firmware.h"
#include "syncq/mode.h"
#include "vcpu/cpumodel.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define SERIALS_MAX          4
#define SYMBOLS_MAX          128
#define CONTROLS_MAX         8   /* monitors and QMP servers */
#define SNAPSHOTS_MAX        256 /* MATCH moments_max */
#define RAM_MIB_DEFAULT      128
#define DIGEST_EVERY_DEFAULT UINT64_C(10000000) /* ticks; 80 ms of virtual time at shift 3 */

enum options_action { ACTION_RUN, ACTION_HELP, ACTION_VERSION, ACTION_CPU_HELP };
enum rr_mode { RR_OFF, RR_RECORD, RR_REPLAY };

struct snapshot_option {
    uint64_t tick; /* 0: not given; TICK_NEVER: at a mark or text */
    char *mark;    /* a reference (observe/marks.h); NULL: none */
    uint64_t count;
    char *text;  /* that the guest sends; NULL: none */
    char *file;  /* NULL: not given yet */
    bool screen; /* of -screendump-at: the text screen, not the machine's state */
    bool at_end; /* when the run ends; tick is TICK_NEVER */
};

/* -monitor, -mon, -qmp: who may steer the run. */
struct control_option {
    const char *option; /* "-monitor": for messages; static */
    char *spec;         /* where it is (control.h); "chardev:ID" until it is resolved */
    bool qmp, pretty;   /* QMP, not the monitor for people; its answers over several lines */
};

struct options {
    enum options_action action;
    char *name;    /* -name, or NULL */
    char *pidfile; /* -pidfile, or NULL */
    uint64_t ram_bytes;
    struct cpu_model cpu;  /* -cpu */
    char *keyboard_layout; /* -k; NULL: us */
    char *bios;            /* -bios; NULL: not given */
    char *firmware_dir[FIRMWARE_DIRS_MAX];
    struct firmware_boot boot;                                 /* -boot, -option-rom; strings owned */
    struct firmware_user_item fw_cfg[FIRMWARE_USER_ITEMS_MAX]; /* -fw_cfg; strings owned */
    unsigned nfw_cfg;
    bool graphics;                                  /* -machine graphics=on */
    unsigned nfirmware_dirs;                        /* -L */
    char *kernel, *initrd, *append;                 /* NULL: not given */
    struct drive_options drives;                    /* as they were given */
    struct machine_drive drive[MACHINE_DRIVES_MAX]; /* in their places; strings are those of `drives` */
    unsigned ndrives;
    struct net_options nets;
    struct machine_nic nic[MACHINE_NICS_MAX]; /* in their places; strings and networks are those of `nets` */
    struct machine_dump dump[MACHINE_DUMPS_MAX];
    unsigned nnics, ndumps;
    char *serial[SERIALS_MAX]; /* -serial texts in order */
    unsigned nserial;
    bool serial_wire_speed;   /* -serial-speed wire */
    struct chardevs chardevs; /* -chardev */
    char *debugcon;           /* back end of the debug console, or NULL: none */
    uint32_t debugcon_port;
    bool nographic, no_reboot, no_shutdown, nodefaults;
    struct control_option control[CONTROLS_MAX];
    unsigned ncontrols;
    bool start_paused; /* -S */
    struct display_option display;

    unsigned shift; /* -icount shift= */
    bool sleep;
    enum rr_mode rr;
    char *rrfile;
    struct rtc_base rtc;

    unsigned vga; /* -vga: enum machine_vga (machine.h) */
    bool marker;  /* -device tandem-marker */
    uint32_t marker_port;
    bool debug_exit; /* -device isa-debug-exit */
    uint32_t debug_exit_port, debug_exit_ports;

    enum link_mode mode;      /* -devthread */
    int device_cpu, vcpu_cpu; /* host CPU numbers; -1: any */

    unsigned translator_mode;  /* enum translator_mode (vcpu.h) */
    unsigned hot;              /* entries until a block is compiled; 0: the default */
    int translator_threads;    /* -1: as many as there are spare CPUs */
    uint64_t code_cache_bytes; /* 0: the default */
    bool chain;
    unsigned long_blocks;  /* enum long_blocks */
    unsigned moved_blocks; /* enum moved_blocks */

    char *digest_file;                              /* NULL: none */
    uint64_t digest_every;                          /* ticks */
    struct snapshot_option snapshot[SNAPSHOTS_MAX]; /* -snapshot-at, -screendump-at, by tick */
    unsigned nsnapshots;
    char *loadvm;                          /* -loadvm; NULL: none */
    char *snapshots;                       /* -snapshots; NULL: not given */
    unsigned log_items;                    /* -d: VCPU_LOG_* (vcpu.h) */
    unsigned hot_list;                     /* -d hot=N; 0: not given */
    char *log_file;                        /* -D; NULL: stderr */
    struct mark_options marks;             /* -mark, -region, -until, -mark-log */
    char *profile_file;                    /* -profile; NULL: none */
    uint64_t profile_every, profile_phase; /* ticks; every 0: not given */
    unsigned profile_format;               /* enum profile_format (observe/formats.h) */
    char *symbols[SYMBOLS_MAX];            /* -symbols texts in order */
    unsigned nsymbols;
    unsigned profile_stacks; /* enum profile_stacks (observe/profilefile.h) */
    char *profile_within;    /* a region; NULL: everywhere */
    char *account_file;      /* -account; NULL: none */
    bool account_json;
    char *trace_file;    /* -trace; NULL: none */
    unsigned trace_log2; /* records of a ring */
    bool trace_names;    /* processes by name */
    bool stats, stats_json, stats_no_latency;
    char *stats_file; /* NULL: stderr */

    /* Hidden, for tests. */
    uint64_t jitter_seed, plant_late, host_delay_seed, host_delay_one_in;
    uint64_t tick_limit;                     /* TICK_NEVER: none */
    uint64_t quantum_ticks;                  /* 0: the default */
    uint64_t pause_every, pause_seed;        /* stand about every so many ticks; 0: never */
    uint64_t pretend_differs, pretend_lacks; /* answers of the host's CPU; see machine.h */
    bool ask_host;
    bool single_tb;
    bool toypci;
};

/* "ITEM,ITEM ..." of -d: adds VCPU_LOG_* bits; hot: NULL, or takes N of hot=N. NULL, or where the first
 * begins that is none. */
const char *log_items_parse(const char *text, unsigned *items, unsigned *hot);
#define LOG_ITEMS_ACCEPTED "in_asm, op, out_asm, int, cpu_reset and guest_errors"
#define HOT_LIST_MAX       1000

/* Fills *o from argv[1..]; options_free() it in either case. */
bool options_parse(struct options *o, int argc, char **argv, struct err *e);
void options_free(struct options *o);
void options_help(FILE *f);
const char *link_mode_name(enum link_mode mode);

#endif
