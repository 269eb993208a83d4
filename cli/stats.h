/* stats.h - the figures of a run, for people (text) and programs (JSON). */
#ifndef TANDEM_CLI_STATS_H
#define TANDEM_CLI_STATS_H

#include "cli/options.h"
#include "machine/digest.h"
#include "vcpu/vcpu.h"

struct sampler;

struct run_stats {
    const char *reason; /* why the run ended, one line */
    int status;         /* exit status */
    uint64_t tick, virtual_ns, wall_ns;
    uint64_t resets;
    struct vcpu_stats vcpu;
    struct link_stats link;
    const struct sampler *sampler; /* what the threads were doing; NULL: not known */
    char state_hex[DIGEST_HEX];    /* digest of the final state */
};

/* To f, in the format that o asks for. */
void stats_print(FILE *f, const struct options *o, const struct run_stats *s);

#endif
