/* snapshots.h - the store of snapshots: a directory whose files are those of -snapshot-at and savevm.
 *
 * A snapshot is named by its TAG, which is its file's name in the store, or as a FILE, with a / in it. What
 * is in the store may be anything: a name is a tag if it has letters, digits and . _ + - alone, none of the
 * last three at its beginning; and only what begins as a snapshot does is listed, replaced or deleted.
 * Threads: the run's, while the machine stands; snapshots_path: any. Bound: SNAPSHOTS_LISTED_MAX. */
#ifndef TANDEM_CLI_SNAPSHOTS_H
#define TANDEM_CLI_SNAPSHOTS_H

#include "cli/steer.h"

#include <limits.h>
#include <time.h>

#define SNAPSHOTS_DIR_DEFAULT "tandem-snapshots"
#define SNAPSHOTS_TAG_BYTES   128
#define SNAPSHOTS_LISTED_MAX  4096

struct snapshots_entry {
    char tag[SNAPSHOTS_TAG_BYTES];
    uint64_t tick, virtual_ns;
    uint64_t bytes; /* of the file */
    time_t date;
    char id[DIGEST_HEX]; /* digest of the state: the same on every host; "": not known */
};

const char *snapshots_dir(const struct options *o);
/* Where the snapshot of this name is to be read: a tag in the store, else a file. Always gives a path. */
void snapshots_path(const struct options *o, const char *name, char path[PATH_MAX]);

/* By tick and tag; *list is the caller's to free. Returns how many. */
size_t snapshots_list(const struct options *o, struct snapshots_entry **list);
/* name: NULL: a tag is made of the tick. False: e says why. */
bool snapshots_save(struct steer *s, const char *name, struct err *e);
/* The machine's state becomes the snapshot's; what is due at ticks of the state before is forgotten. False:
 * nothing has changed. */
bool snapshots_load(struct steer *s, const char *name, struct err *e);
/* A tag of the store's. */
bool snapshots_delete(const struct options *o, const char *tag, struct err *e);

#endif
