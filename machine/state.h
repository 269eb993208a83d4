/* state.h - a whole machine's state as one list of parts, and two of its readers: save and load.
 *
 * The list is complete: whatever the guest's future depends on is in one part or in memory. Each folder lists
 * its own (vcpu_part, devthread_part, link_part); here they are put in one order. The digest reads the parts
 * of STATE_CPU and STATE_DEVICES; a snapshot all of them, and memory.
 *
 * Threads: the vCPU's, while the machine stands (machine.h): the vCPU is between two instructions, events and
 * effects of the tick are done, and no access is on its way (link_settle). Loading: before the device thread
 * starts, or while it is kept out. */
#ifndef TANDEM_MACHINE_STATE_H
#define TANDEM_MACHINE_STATE_H

#include "devthread/devthread.h"
#include "machine/digest.h"
#include "machine/drives.h"
#include "machine/err.h"
#include "machine/snapshot.h"
#include "mem/physmem.h"
#include "vcpu/vcpu.h"

struct machine_parts {
    struct vcpu *vcpu;
    struct devthread *dev;
    struct physmem *mem;
    struct digest *digest;
    struct drives *drives;
    uint32_t remap[MEM_REMAPS_MAX]; /* values of the memory map's remaps, as saved and loaded */
    struct field remap_field;
};

bool machine_part(struct machine_parts *m, enum state_group group, unsigned i, struct state_part *out);

/* identity: "KEY=VALUE ..." of all that the state is a function of. */
bool state_save(struct machine_parts *m, const char *path, uint64_t tick, const char *identity,
                struct err *e);
/* The whole state becomes the snapshot's, or the machine is good for nothing any more (false). */
bool state_load(struct machine_parts *m, struct snapshot_reader *r, struct err *e);
/* The same in a machine that has run, and whose device thread may run, while it stands at `tick`: a snapshot
 * whose values cannot be leaves it as it was. */
bool state_replace(struct machine_parts *m, struct snapshot_reader *r, uint64_t tick, struct err *e);
/* False: no such key, or no number. */
bool state_identity_value(const char *identity, const char *key, int64_t *value);
/* The same of a key with any value; false also where text is too short. */
bool state_identity_text(const char *identity, const char *key, char *text, size_t bytes);
/* False, with the first difference in e, unless every key of the machine's has the same value in the
 * snapshot's. */
bool state_same_identity(const char *snapshot, const char *machine, struct err *e);

#endif
