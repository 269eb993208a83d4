/* machine.h - one whole machine: RAM, board and device thread, vCPU, guest image; run from start to end.
 *
 * The vCPU runs on the calling thread. */
#ifndef TANDEM_CLI_MACHINE_H
#define TANDEM_CLI_MACHINE_H

#include "cli/options.h"

/* Exit status; isa-debug-exit gives odd ones, so ours are even (but for those of signals). */
enum machine_status {
    MACHINE_OK = 0,           /* guest power-off, reset under -no-reboot, endless halt, Ctrl-A x */
    MACHINE_HOST_ERROR = 2,   /* bad option or image, host trouble */
    MACHINE_TRIPLE_FAULT = 4, /* under -no-reboot */
};

/* Runs it. MACHINE_HOST_ERROR goes with a message in e, and only then is e filled. */
int machine_run(const struct options *o, struct err *e);

#endif
