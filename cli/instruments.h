/* instruments.h - what watches a run of the command: -profile, -account, -mark and -trace.
 *
 *     instruments_create  before the machine is: files are opened, wrong ones are told
 *     instruments_begin   when it stands at its first tick
 *     instruments_end     when it stands at its last one
 *     instruments_destroy behind the machine's end */
#ifndef TANDEM_CLI_INSTRUMENTS_H
#define TANDEM_CLI_INSTRUMENTS_H

#include "cli/options.h"
#include "machine/machine.h"

struct instruments;

/* NULL: e says why. */
struct instruments *instruments_create(const struct options *o, struct err *e);
/* For machine_config; all zero where nothing was asked for. */
struct vcpu_observer instruments_observer(const struct instruments *i);
bool instruments_begin(struct instruments *i, struct machine *m, struct err *e);
/* Has the mark or text come at which snapshot n is to be made, or the run is to end? */
bool instruments_snapshot_came(const struct instruments *i, unsigned n);
bool instruments_mark_came(const struct instruments *i);
bool instruments_text_came(const struct instruments *i);
/* What they need of a run. */
void instruments_until(struct instruments *i, struct vcpu_until *until);
/* Writes what was asked for. False: the host failed. */
bool instruments_end(struct instruments *i, struct err *e);
void instruments_destroy(struct instruments *i); /* NULL is fine */

#endif
