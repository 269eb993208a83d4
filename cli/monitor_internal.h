/* monitor_internal.h - what the files of the monitor share. */
#ifndef TANDEM_CLI_MONITOR_INTERNAL_H
#define TANDEM_CLI_MONITOR_INTERNAL_H

#include "cli/monitor.h"

#include <stdio.h>

#define MONITOR_WORDS_MAX 8

/* One command on its way. */
struct monitor_call {
    struct steer *steer;
    struct control_client *client; /* NULL: monitor_execute */
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

/* Of the commands: what `info` shows. */
extern const struct monitor_command monitor_commands[], monitor_infos[];
extern const unsigned monitor_ncommands, monitor_ninfos;

#endif
