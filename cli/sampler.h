/* sampler.h - the table of host time: what each thread of the machine was doing, by looking now and then.
 *
 * A thread of its own looks at every activity (syncq/activity.h) about 500 times a second; what it sees
 * counts for the time since it looked last. It costs the others nothing but the CPU time of its looks, under
 * half a per cent of one CPU. Threads: all functions by the thread that creates the machine; the activities
 * must outlive sampler_stop. */
#ifndef TANDEM_CLI_SAMPLER_H
#define TANDEM_CLI_SAMPLER_H

#include <stdbool.h>

#include "syncq/activity.h"

#define SAMPLER_THREADS_MAX 68
#define SAMPLER_NAME_BYTES  24

struct sampled_thread {
    char name[SAMPLER_NAME_BYTES];
    const struct activity *activity;
    uint64_t ns[ACTIVITY_KINDS]; /* host time, wall clock */
};

struct sampler;
/* Starts with no thread to look at. NULL: no memory, no thread. */
struct sampler *sampler_create(void);
/* Before sampler_start only; more than SAMPLER_THREADS_MAX are left out. */
void sampler_add(struct sampler *s, const char *name, const struct activity *a);
void sampler_start(struct sampler *s);
void sampler_stop(struct sampler *s);
/* After sampler_stop. */
unsigned sampler_count(const struct sampler *s);
const struct sampled_thread *sampler_thread(const struct sampler *s, unsigned i);
void sampler_destroy(struct sampler *s);
extern const char *const activity_names[ACTIVITY_KINDS]; /* for people */
extern const char *const activity_keys[ACTIVITY_KINDS];  /* for programs, with the unit */

#endif
