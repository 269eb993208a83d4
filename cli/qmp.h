/* qmp.h - QEMU's machine protocol (QMP) for programs: one JSON object a request, one an answer.
 *
 * Names, arguments, answers and errors are those of QEMU 7.2's published schema, as far as there is something
 * in Tandem that they mean; query-commands lists what there is. Threads: as control.h says. */
#ifndef TANDEM_CLI_QMP_H
#define TANDEM_CLI_QMP_H

#include "cli/control.h"
#include "cli/display.h"

/* ctx: the struct steer. The second one writes its answers over several lines. */
extern const struct control_class qmp_class, qmp_pretty_class;

/* "VNC_CONNECTED" and its kin (display.h, tell). Any thread. */
void qmp_tell_viewer(struct control *c, const struct display_option *o, enum display_moment moment,
                     const struct display_viewer *server, const struct display_viewer *viewer);

#endif
