/* parts.h - a vCPU's state as tables: what digest, snapshot and comparisons read, and what a load restores.
 *
 * Threads: the vCPU's; while it stands between two blocks. */
#ifndef TANDEM_VCPU_PARTS_H
#define TANDEM_VCPU_PARTS_H

#include "clockcore/fields.h"
#include "vcpu/vcpu.h"

/* Before the parts of STATE_CPU are read: brings what can be held in several ways (symbolic flags, a stale
 * RF) into one. The guest cannot tell. */
void vcpu_settle(struct vcpu *v);
/* Before the parts of STATE_OTHER are read: likewise. No input is taken in at this tick any more, for a
 * replay that begins at the snapshot would not get it. */
void vcpu_settle_caches(struct vcpu *v);
/* Part after part; false: i is past the last of the group. */
bool vcpu_part(struct vcpu *v, enum state_group group, unsigned i, struct state_part *out);
/* Before they are loaded into a vCPU that may have run, and when memory has been cleared: nothing is left of
 * what it had found out. */
void vcpu_forget(struct vcpu *v);
/* All parts and guest memory have been loaded: makes the rest follow from them. Returns the name of a field
 * with a value that no run gives it, or NULL: all is well. */
const char *vcpu_loaded(struct vcpu *v, uint64_t tick);
/* The parts of STATE_CPU as bytes; returns how many, also where there is room for fewer. */
size_t vcpu_state_bytes(struct vcpu *v, uint8_t *out, size_t max);
/* test: the first byte of struct guest_state (0, *byte) or struct vcpu (1, *byte) that no table names, or
 * two; false: none. */
bool vcpu_uncovered(unsigned *which, size_t *byte);

#endif
