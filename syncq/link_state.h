/* link_state.h - the link's state as tables: when events are handled next, and effects on their way.
 *
 * Threads: the vCPU's, after link_settle(). */
#ifndef TANDEM_SYNCQ_LINK_STATE_H
#define TANDEM_SYNCQ_LINK_STATE_H

#include "clockcore/fields.h"
#include "syncq/link.h"

/* Its parts; false: i is past the last of the group. */
bool link_part(struct link *l, enum state_group group, unsigned i, struct state_part *out);
/* Keeps the device thread from the devices and the link while the vCPU's thread puts other state into them:
 * until link_release it serves host I/O, and nothing else. Waits for what it is doing now. */
void link_seize(struct link *l);
void link_release(struct link *l);
/* Its parts and the devices' have been loaded, and the device thread is kept out: the vCPU stands at
 * `tick`, everything at it is done. Pending effects name remaps of memory and windows of the bus below the
 * two counts. Returns the name of a field with a value that no run gives it, or NULL: all is well. */
const char *link_loaded(struct link *l, uint64_t tick, unsigned nremaps, unsigned nwindows);

/* For a test: true: this byte of struct link is in no table of link_state.c, or in two. */
bool link_uncovered(size_t *byte);

#endif
