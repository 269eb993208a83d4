/* profile.h - the profiler: looks at the guest at ticks k * every + phase and writes what it sees.
 *
 * The same command gives the same profile, bit for bit, in every mode and translator; the guest never knows.
 * A sample is about the tick that follows it (sample.h): where an interrupt or exception comes at the very
 * tick, it is taken again in the handler. Memory: samples go to the file as they come. */
#ifndef TANDEM_OBSERVE_PROFILE_H
#define TANDEM_OBSERVE_PROFILE_H

#include "observe/observe.h"
#include "observe/profilefile.h"

struct profiler;
struct account;

struct profiler_config {
    const char *file;
    uint64_t every, phase; /* phase is below every */
    enum profile_stacks stacks;
    unsigned shift;
    /* Only samples at whose tick this holds are written; NULL: all. Who answers is in the hub before the
     * profiler, and may change its mind at a mark or an access. */
    bool (*within)(void *ctx);
    void *within_ctx;
    struct account
        *account; /* told of samples, for the sampling error; added to the hub before; may be NULL */
};

/* Opens the file and adds itself to the hub. NULL: e says why. */
struct profiler *profiler_create(struct observe *o, const struct profiler_config *c, struct err *e);
/* The machine stands, before its first run. */
void profiler_begin(struct profiler *p, struct machine *m);
/* For each run: stacks=exact needs the run's condition, and sets it. */
void profiler_until(struct profiler *p, struct vcpu_until *until);
/* For what is known of processes and symbols: records go between the samples, or behind them. NULL: none. */
struct profile_writer *profiler_writer(struct profiler *p);
/* The run has ended at `tick`. False: the file could not be written. */
bool profiler_end(struct profiler *p, uint64_t tick, struct err *e);
void profiler_destroy(struct profiler *p); /* NULL is fine */
/* stacks=exact: how many stacks by frame pointers are the exact ones. */
struct profiler_agreement {
    uint64_t stacks, agree;
};
void profiler_agreement(const struct profiler *p, struct profiler_agreement *kernel,
                        struct profiler_agreement *user);

#endif
