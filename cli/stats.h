/* stats.h - the figures of a run, for people (text) and programs (JSON). */
#ifndef TANDEM_CLI_STATS_H
#define TANDEM_CLI_STATS_H

#include "cli/options.h"
#include "machine/machine.h"

struct sampler;

struct run_stats {
    const char *reason; /* why the run ended, one line */
    int status;         /* exit status */
    uint64_t wall_ns;
    struct machine_stats machine;
    const struct sampler *sampler;      /* what the threads were doing; NULL: not known */
    const struct link_figures *figures; /* NULL: not taken */
};

/* To f, in the format that o asks for. */
void stats_print(FILE *f, const struct options *o, const struct run_stats *s);

#endif
