/* status.h - the status line: one line on a terminal's stderr while the guest runs.
 *
 * Off unless stderr is a terminal and no guest console uses a terminal. vCPU's thread. */
#ifndef TANDEM_CLI_STATUS_H
#define TANDEM_CLI_STATUS_H

#include "cli/options.h"

struct status {
    bool on, shown;
    const char *name, *mode;
    unsigned shift;
    uint64_t next_ns;              /* host time of the next refresh */
    uint64_t last_ns, last_icount; /* at the last refresh: speed is measured over the interval */
};

void status_init(struct status *s, const struct options *o);
/* Cheap: looks at the host's coarse clock and mostly returns. */
void status_update(struct status *s, uint64_t tick, uint64_t icount);
void status_erase(struct status *s);

#endif
