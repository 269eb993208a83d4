/* monitor.h - the monitor for people: one command a line, as in QEMU's.
 *
 * Threads: the run's, while the machine stands; monitor_class as control.h says. */
#ifndef TANDEM_CLI_MONITOR_H
#define TANDEM_CLI_MONITOR_H

#include "cli/control.h"
#include "cli/steer.h"

/* A line of text is a request; ctx: the struct steer. */
extern const struct control_class monitor_class;

/* Executes one command; its answer, which the caller frees; NULL: no host memory. run-to answers at once. */
char *monitor_execute(struct steer *s, const char *line);

#endif
