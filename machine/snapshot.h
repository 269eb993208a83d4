/* snapshot.h - a machine's state in a file: written part by part, read item by item.
 *
 * The file describes itself: each part and field goes with its name, so that a reader can say what differs
 * without knowing the machine. Format 1:
 *
 *   "tandem-snapshot 1\n"
 *   "tick=N KEY=VALUE ...\n"   what the state is a function of
 *   a zstd frame of items      'P' name (a part begins), 'F' name elem_bytes count elements,
 *                              'M' page-number 4096 bytes (memory, ascending), 'D' drive offset bytes bad
 * data (what was written to a drive), 'C' name bytes waits data (another medium is in a drive, or waits to
 * be: machine/media.h), 'E' (the end) XXH3-64 of all of the above
 *
 * Names are a length byte and text; numbers and elements are little-endian, element sizes one byte, counts
 * four, page numbers eight. Pages of zeroes are left out.
 *
 * A file that is read is hostile, even when its checksum is right: every item is checked before it is handed
 * out, and what the items mean is checked by who asked for them.
 * Owner: one thread. Errors: one line in e that names the file, if nothing else is said. */
#ifndef TANDEM_MACHINE_SNAPSHOT_H
#define TANDEM_MACHINE_SNAPSHOT_H

#include "clockcore/fields.h"
#include "machine/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SNAPSHOT_MAGIC          "tandem-snapshot 1\n"
#define SNAPSHOT_IDENTITY_BYTES 4096
#define SNAPSHOT_NAME_BYTES     64
#define SNAPSHOT_PAGE_BYTES     4096u
#define SNAPSHOT_BLOCKS_MAX     65536u      /* most bytes of one run of a drive */
#define SNAPSHOT_FIELD_MAX      (64u << 20) /* most bytes of one field */

struct snapshot_writer;

/* Nothing appears under `path` before snapshot_finish: until then there is a file beside it. */
struct snapshot_writer *snapshot_create(const char *path, uint64_t tick, const char *identity, struct err *e);
/* The same without a file's name: in memory, until snapshot_finish_memory. */
struct snapshot_writer *snapshot_create_memory(uint64_t tick, const char *identity, struct err *e);
/* One more field of the part that was begun last. */
void snapshot_field(struct snapshot_writer *w, const struct field *f, const void *state);
void snapshot_part(struct snapshot_writer *w, const struct state_part *p);
void snapshot_page(struct snapshot_writer *w, uint64_t number, const uint8_t *page);
/* `data`: NULL: the run is bad (devthread/blocks.h) and has none. */
void snapshot_blocks(struct snapshot_writer *w, const char *drive, uint64_t offset, uint32_t bytes,
                     const uint8_t *data);
/* `entry`: as media.c packs it. waits: the machine's queue has it, the drive has not. */
void snapshot_medium(struct snapshot_writer *w, const char *name, bool waits, const uint8_t *entry,
                     uint32_t bytes);
/* The file is whole, on the disk and under its name; or there is no trace of it (false). Frees w. */
bool snapshot_finish(struct snapshot_writer *w, struct err *e);
/* Of snapshot_create_memory: a file descriptor that reads it from the beginning, the caller's; -1: e says
 * why. Frees w. */
int snapshot_finish_memory(struct snapshot_writer *w, struct err *e);
/* The caller has failed: there is no trace of it. Frees w. */
void snapshot_abandon(struct snapshot_writer *w);

struct snapshot_reader;

enum snapshot_kind {
    SNAPSHOT_BAD,
    SNAPSHOT_PART,
    SNAPSHOT_FIELD,
    SNAPSHOT_PAGE,
    SNAPSHOT_BLOCKS,
    SNAPSHOT_MEDIUM,
    SNAPSHOT_END
};

struct snapshot_item {
    enum snapshot_kind kind;
    const char *name;    /* part, field or drive */
    uint32_t elem_bytes; /* field: 1, 2, 4 or 8 */
    uint32_t count;      /* field: elements; blocks, medium: bytes */
    uint64_t number;     /* page; blocks: offset */
    bool bad;            /* blocks: they could not be written, and have no data; medium: it waits */
    const uint8_t *data; /* of field, page, blocks; valid until the next call */
};

/* What the first lines say, without a look at the rest. False: this is no snapshot. */
bool snapshot_peek(const char *path, uint64_t *tick, char identity[SNAPSHOT_IDENTITY_BYTES]);
/* `what` ("-loadvm") heads the messages. */
struct snapshot_reader *snapshot_open(const char *what, const char *path, struct err *e);
uint64_t snapshot_tick(const struct snapshot_reader *r);
const char *snapshot_identity(const struct snapshot_reader *r);
/* False: damaged, with a message in e that does not name the file. Not to be called after SNAPSHOT_END. */
bool snapshot_next(struct snapshot_reader *r, struct snapshot_item *item, struct err *e);
void snapshot_close(struct snapshot_reader *r);

#endif
