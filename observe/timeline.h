/* timeline.h - -trace: what each thread did in host time, and the guest in virtual time, as Chrome's JSON.
 *
 * Two processes of a trace: the host's threads (running, at the horizon, translating, devices, waiting;
 * accesses and effects as instants on the vCPU's), and the guest (what runs: user code, a kernel entry, idle;
 * the process by CR3 or by name; hits of marks). The first depends on the host, the second does not. Each
 * thread has a ring; where it is full its oldest records go, and how many is told: the end of a run is what
 * one looks at.
 *
 * The format: "Trace Event Format" of the Chromium project, JSON Object Format, events of phases X, i and M.
 * Nothing here is seen by the guest. Threads: the vCPU's; the rings of the others are theirs
 * (syncq/activity.h).
 */
#ifndef TANDEM_OBSERVE_TIMELINE_H
#define TANDEM_OBSERVE_TIMELINE_H

#include "machine/err.h"
#include "observe/observe.h"

#define TIMELINE_LOG2_DEFAULT 18
#define TIMELINE_LOG2_MIN     10
#define TIMELINE_LOG2_MAX     24
#define TIMELINE_THREADS_MAX  72 /* the vCPU, the devices, and as many translators as there can be */

struct timeline;
struct marks;

struct timeline_config {
    const char *file;
    unsigned log2_records, shift; /* rings of 2^log2_records records; ticks to ns */
    bool names;                   /* processes by name, as far as the hub knows them */
    const struct marks *marks;    /* for their names; NULL: none */
};

/* Opens the file and adds itself to the hub. NULL: e says why. */
struct timeline *timeline_create(struct observe *o, const struct timeline_config *c, struct err *e);
/* The machine stands at its first tick. */
bool timeline_begin(struct timeline *t, struct machine *m, struct err *e);
/* The machine stands at its last one; writes the file. *lost: records that others have pushed out. */
bool timeline_end(struct timeline *t, uint64_t *lost, struct err *e);
/* Behind the machine's end: its threads write to the rings. NULL is fine. */
void timeline_destroy(struct timeline *t);

#endif
