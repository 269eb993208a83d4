/* monitor_internal.h - what the files of the monitor share. */
#ifndef TANDEM_CLI_MONITOR_INTERNAL_H
#define TANDEM_CLI_MONITOR_INTERNAL_H

#include "cli/monitor.h"

#include <stdio.h>

#define MONITOR_WORDS_MAX 16

/* One command on its way. */
struct monitor_call {
    struct steer *steer;
    struct monitor *monitor;       /* whose; NULL: monitor_execute */
    FILE *out;                     /* its answer */
    char *word[MONITOR_WORDS_MAX]; /* of the line, split at blanks; word[0] is the name */
    unsigned nwords;
    const char *rest; /* the line behind the name, as it was typed */
    bool held;        /* the prompt comes later */
};

struct monitor_command {
    const char *name, *alias; /* alias NULL: none */
    const char *arguments;    /* as the help shows them */
    const char *help;
    unsigned words_min, words_max; /* accepted, with the name */
    void (*run)(struct monitor_call *call);
};

/* monitor_memory.c */
void monitor_x(struct monitor_call *call);
void monitor_xp(struct monitor_call *call);
void monitor_print(struct monitor_call *call);
void monitor_memsave(struct monitor_call *call);
void monitor_pmemsave(struct monitor_call *call);

/* monitor_guest.c */
void monitor_sendkey(struct monitor_call *call);
void monitor_paste(struct monitor_call *call);
void monitor_mouse_move(struct monitor_call *call);
void monitor_mouse_button(struct monitor_call *call);
void monitor_screendump(struct monitor_call *call);
void monitor_digest(struct monitor_call *call);
void monitor_log(struct monitor_call *call);

/* monitor_snapshots.c */
void monitor_savevm(struct monitor_call *call);
void monitor_loadvm(struct monitor_call *call);
void monitor_delvm(struct monitor_call *call);
void info_snapshots(struct monitor_call *call);

/* monitor_info.c */
void info_registers(struct monitor_call *call);
void info_clock(struct monitor_call *call);
void info_hot(struct monitor_call *call);
void info_horizon(struct monitor_call *call);
void info_devices(struct monitor_call *call);
void info_irq(struct monitor_call *call);
void info_chardev(struct monitor_call *call);
void info_stats(struct monitor_call *call);
void info_replay(struct monitor_call *call);
void info_version(struct monitor_call *call);
void info_name(struct monitor_call *call);
/* Any part of the state by its name. False: there is none. */
bool info_named(struct monitor_call *call, const char *name);

/* monitor_maps.c */
void info_mtree(struct monitor_call *call);
void info_pci(struct monitor_call *call);
void info_tlb(struct monitor_call *call);
void info_mem(struct monitor_call *call);

/* monitor_net.c */
void monitor_info_network(struct monitor_call *call);
void monitor_hostfwd_add(struct monitor_call *call);
void monitor_hostfwd_remove(struct monitor_call *call);

/* monitor_media.c */
void monitor_eject(struct monitor_call *call);
void monitor_change(struct monitor_call *call);
void monitor_info_block(struct monitor_call *call);

/* Of the commands: what `info` shows. */
extern const struct monitor_command monitor_commands[], monitor_infos[];
extern const unsigned monitor_ncommands, monitor_ninfos;

#endif
