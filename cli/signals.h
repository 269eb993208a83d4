/* signals.h - what a signal does to a run: the terminal is restored on every way out.
 *
 * SIGINT, SIGTERM, SIGHUP: the first asks the machine to stop (machine_quit_request) and the run ends in
 * order. One within a second of the first is the same request (timeout(1) sends two in a moment); a later
 * one, or one that comes while no machine runs, ends the process at once. Status 128 + signal. Deadly signals
 * (a bug of ours) restore the terminal and then do what they always do.
 *
 * Signals are one per process, and so is the state here, the only global state of cli/. */
#ifndef TANDEM_CLI_SIGNALS_H
#define TANDEM_CLI_SIGNALS_H

struct machine;

#define EXIT_BY_SIGNAL 128

/* pidfile: removed by a signal that ends the process at once; the string stays the caller's. NULL: none. */
void signals_install(const char *pidfile);
/* From here on a signal stops this machine; NULL: none runs. */
void signals_aim(struct machine *m);
/* The signal that asked for the end; 0: none yet. */
int signals_received(void);

#endif
