/* imagehash.h - the hash of what an image holds, computed once as long as the file does not change.
 *
 * XXH3-128 over the pieces of IMAGEHASH_PIECE bytes that are not all zero, each after its number, then the
 * size: what the guest reads counts, not how the file stores it. Remembered in a file for each image in
 * $XDG_CACHE_HOME/tandem (~/.cache/tandem) with the size, times, inode and device that it had; not where the
 * file has changed within the last seconds, for its time would not tell of a change right afterwards.
 *
 * Errors: false with a message in e. A cache that cannot be used costs time only. */
#ifndef TANDEM_MACHINE_IMAGEHASH_H
#define TANDEM_MACHINE_IMAGEHASH_H

#include "devthread/medium.h"
#include "machine/err.h"

#define IMAGEHASH_HEX   33 /* hexadecimal, with its NUL */
#define IMAGEHASH_PIECE 65536u

struct imagehash_config {
    const char *option, *file;                   /* for messages; file: also what the cache goes by */
    void (*notice)(void *ctx, const char *line); /* how far it is, where it takes long; NULL: nobody asks */
    void *ctx;
};

bool imagehash(const struct imagehash_config *cfg, struct medium *m, char hex[IMAGEHASH_HEX], struct err *e);

#endif
