/* monitor.h - the monitor for people: one command a line, as in QEMU's.
 *
 * Threads: the run's, while the machine stands; monitor_class as control.h says. */
#ifndef TANDEM_CLI_MONITOR_H
#define TANDEM_CLI_MONITOR_H

#include "cli/control.h"
#include "cli/steer.h"

/* A line of text is a request; ctx: the struct steer. */
extern const struct control_class monitor_class;

/* The same without a greeting or a prompt at first, for mon:stdio: an empty line asks for one. */
extern const struct control_class monitor_mux_class;
/* The same without greeting and prompts: a NUL is behind each answer (terminal.h). */
extern const struct control_class monitor_edit_class;

#define MONITOR_PROMPT "(tandem) "

/* What the last word of `line` may be, complete; `each` is called for every name there is in that place. Any
 * thread. */
void monitor_candidates(const char *line, void (*each)(void *ctx, const char *name), void *ctx);

/* Executes one command; its answer, which the caller frees; NULL: no host memory. run-to answers at once. */
char *monitor_execute(struct steer *s, const char *line);

#endif
