/* profilefile.h - the file of a profile: written while the guest runs, read by tandem-profile.
 *
 * The file: a text header, for people as well, then one zstd frame of records.
 *
 *     tandem-profile 1            the version; a reader refuses others
 *     every=12500                 "key=value" lines in any order, unknown keys are skipped
 *     phase=0
 *     shift=3                     ticks to ns
 *     stacks=on                   off, on (frame pointers) or exact
 *     begin=0                     the first tick of the run
 *                                 an empty line ends the header
 *
 * A record: its kind (a byte), the length of its body (a varint), the body. A varint is LEB128: 7 bits a
 * byte, least first, bit 7 says that more follow. "Signed" varints are zigzag (0 -1 1 -2 as 0 1 2 3). A
 * reader skips kinds that it does not know. Kinds:
 *
 *     'S'  a sample: flags (byte), cpl (byte), tick minus the last sample's (varint), CS (varint), base of CS
 *          (varint), CR3 minus the last sample's (signed), task (varint), entry: kind (byte), vector (byte),
 *          number + 1 modulo 2^32 (varint); the number of frames (varint); of each frame: flags (byte) and
 *          address minus that of the frame before, of the first one minus the last sample's first (signed).
 *          What the fields mean: sample.h.
 *     'J'  a JSON object, text without a NUL: what is known of processes, mappings and symbols; its member
 *          "type" says what it is. It stands behind the samples that it is about or before them.
 *     'E'  the end: the tick at which the run ended (varint), samples (varint). A file without it was cut
 * off.
 *
 * Nothing in it depends on the host or on time: the same run gives the same file.
 * Errors: as machine/err.h; reading trusts nothing. Threads: one at a time. */
#ifndef TANDEM_OBSERVE_PROFILEFILE_H
#define TANDEM_OBSERVE_PROFILEFILE_H

#include "machine/err.h"
#include "observe/sample.h"

#define PROFILE_JSON_MAX (1u << 20) /* bytes of one object */

enum profile_stacks { PROFILE_STACKS_OFF, PROFILE_STACKS_ON, PROFILE_STACKS_EXACT };

struct profile_head {
    uint64_t every, phase; /* samples at ticks k * every + phase */
    unsigned shift;
    enum profile_stacks stacks;
    uint64_t begin; /* first tick of the run */
};

/* --- writing --- */
struct profile_writer;
/* NULL: the file cannot be written, or no memory. */
struct profile_writer *profile_create(const char *path, struct err *e);
/* Once, before all records. */
void profile_put_head(struct profile_writer *w, const struct profile_head *head);
void profile_put_sample(struct profile_writer *w, const struct sample *s);
void profile_put_json(struct profile_writer *w, const char *json);
/* Ends and frees it. False: it could not be written whole. */
bool profile_finish(struct profile_writer *w, uint64_t end_tick, struct err *e);
/* Frees it without an end. NULL is fine. */
void profile_abandon(struct profile_writer *w);

/* --- reading --- */
struct profile_reader;
enum profile_record { PROFILE_ERROR, PROFILE_SAMPLE, PROFILE_JSON, PROFILE_END };
/* NULL: e says why. */
struct profile_reader *profile_open(const char *path, struct profile_head *head, struct err *e);
/* The next record that this version knows. PROFILE_SAMPLE: s; PROFILE_JSON: *json, valid until the next call;
 * PROFILE_END: *end_tick. Any of the three may be NULL: what it would hold is not wanted. */
enum profile_record profile_next(struct profile_reader *r, struct sample *s, const char **json,
                                 uint64_t *end_tick, struct err *e);
void profile_close(struct profile_reader *r); /* NULL is fine */

#endif
