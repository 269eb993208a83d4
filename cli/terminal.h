/* terminal.h - a monitor on the process's own terminal, with a line that can be edited (libedit), history and
 * completion.
 *
 * libedit has a pseudo-terminal to itself; what is typed goes in at its other end, and what it writes comes
 * out there. So the real terminal stays in the one raw mode of chardev_tty.c, whoever reads from it: this
 * monitor alone, or (mon:stdio) a serial port and the monitor by turns, as Ctrl-A c says.
 *
 * Threads: these functions one at a time; two threads of its own. Errors: a message in e. */
#ifndef TANDEM_CLI_TERMINAL_H
#define TANDEM_CLI_TERMINAL_H

#include "machine/err.h"

struct terminal;

/* Both standard input and output are a terminal. */
bool terminal_is_one(void);
/* keys: where typed bytes come from, and stays the caller's. asleep: nothing is shown until the first byte,
 * which is dropped. NULL: e says why. */
struct terminal *terminal_create(int keys, bool asleep, struct err *e);
/* Lines go out here, and answers come in, each with a NUL behind it. */
int terminal_lines(const struct terminal *t);
/* Nothing more is typed; what there is to show is shown when this returns. NULL is fine. */
void terminal_stop(struct terminal *t);
void terminal_destroy(struct terminal *t); /* NULL is fine */

#endif
