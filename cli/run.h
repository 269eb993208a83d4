/* run.h - one run of the command: a machine from options, run to its end, and what is told about it. */
#ifndef TANDEM_CLI_RUN_H
#define TANDEM_CLI_RUN_H

#include "cli/options.h"

/* Exit status; isa-debug-exit gives odd ones, so ours are even (but for those of signals). */
enum run_status {
    RUN_OK = 0,           /* guest power-off, reset under -no-reboot, endless halt, Ctrl-A x */
    RUN_HOST_ERROR = 2,   /* bad option or image, host trouble */
    RUN_TRIPLE_FAULT = 4, /* under -no-reboot */
};

/* Runs it. RUN_HOST_ERROR goes with a message in e, and only then is e filled. */
int run(const struct options *o, struct err *e);

#endif
