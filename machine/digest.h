/* digest.h - the digest of guest-visible state: what two runs are compared by.
 *
 * At a point (tick T, after the effects at T, before the instruction of T) the state is hashed in three
 * parts: the CPU, the devices (of both, every field of the tables in state.h) and memory. The hash of memory
 * (pagehash.h) follows from the contents alone. The state hash covers tick and parts; the chain covers all
 * points so far. With a worker, memory is hashed while the vCPU runs on; a point enters chain and file at the
 * next point, or when somebody asks.
 *
 * File (text): "# tandem-digest 1 KEY=VALUE ..." with what the run was made of (not how it ran: mode, cores
 * and pacing may differ), then "tick chain cpu dev ram" a point, each hash 16 hex digits (chain: 32), in the
 * end "end tick state" with the 32 digits of the state hash. Each line is flushed as it is written.
 *
 * Owner: the vCPU's thread while it runs, the machine otherwise. */
#ifndef TANDEM_MACHINE_DIGEST_H
#define TANDEM_MACHINE_DIGEST_H

#include "clockcore/fields.h"
#include "machine/err.h"
#include "machine/pagehash.h"

#include <stddef.h>
#include <stdint.h>

struct digest;

struct digest_source {
    struct pagehash_config ram;
    void *ctx;
    /* Part number i of the group; false: past the last. Every posted access before the point was taken. */
    bool (*part)(void *ctx, enum state_group group, unsigned i, struct state_part *out);
    /* Before the parts are read: brings the state into its one form. */
    void (*settle)(void *ctx);
};

#define DIGEST_HEX 33 /* a 128-bit hash in hexadecimal, with its NUL */

/* path: NULL for no file. header: "KEY=VALUE ...". every: ticks between points. */
struct digest *digest_open(const char *path, const char *header, uint64_t every,
                           const struct digest_source *src, struct err *e);
void digest_point(struct digest *d, uint64_t tick);
/* State hash now: it enters neither chain nor file. */
void digest_state(struct digest *d, uint64_t tick, char state_hex[DIGEST_HEX]);
/* State hash at the end of the run, also without a file; writes the last line. */
void digest_end(struct digest *d, uint64_t tick, char state_hex[DIGEST_HEX]);
/* What its worker is doing; there must be one. */
struct activity *digest_activity(struct digest *d);
/* False: the file could not be written whole (disk full). */
bool digest_close(struct digest *d, struct err *e);

/* Its own state, the chain. When it has been loaded, the chain goes on where the snapshot's was, if that had
 * points at the same distance; else it begins anew. */
void digest_part(struct digest *d, struct state_part *out);
void digest_loaded(struct digest *d);
/* The file begins anew: what is in it was another past. */
void digest_file_restart(struct digest *d);

#endif
