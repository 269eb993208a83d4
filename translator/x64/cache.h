/* cache.h - memory for host code, to be written and run: one view of it, or two where the host allows no
 * such.
 *
 * A ring: code is placed one block behind the other, each behind a header, and where there is no room the
 * oldest goes first. Code that its block gives up stays, without an owner, until its turn comes.
 *
 * Threads: one, that which runs the code. Bound: fixed at creation. */
#ifndef TANDEM_TRANSLATOR_X64_CACHE_H
#define TANDEM_TRANSLATOR_X64_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "translator/tb.h"

struct code_cache {
    uint8_t *write;  /* view to emit and patch through */
    uint8_t *exec;   /* the same bytes, executable */
    size_t mapped;   /* bytes of the views; 0: they are another one's */
    size_t bytes;    /* where the ring ends */
    size_t reserved; /* where it begins: behind stubs, kept for good; a multiple of CODE_ALIGN */
    size_t head;     /* where the next block goes */
    size_t tail;     /* where the oldest block is */
    size_t
        lap_end; /* where the blocks end that lie before the ring's start; SIZE_MAX: tail is in head's lap */
    size_t blocks, used; /* in the ring, and their bytes */
};
enum { CODE_ALIGN = 16, CODE_HEADER_BYTES = 16 };

bool code_cache_init(struct code_cache *c, size_t bytes);
void code_cache_free(struct code_cache *c);
/* Gives what is behind `at`, a multiple of CODE_ALIGN, to a second ring in the same views, which is freed
 * with the first. */
void code_cache_split(struct code_cache *c, struct code_cache *behind, size_t at);
/* Forgets all blocks. */
void code_cache_clear(struct code_cache *c);
/* Could an empty cache hold it? */
bool code_cache_could_hold(const struct code_cache *c, size_t bytes);
/* Has a block of that size, which it could hold, room now? False: the oldest must go first. */
bool code_cache_has_room(struct code_cache *c, size_t bytes);
/* The owner of the oldest, or NULL: it was given up. There is one. */
struct tb *code_cache_oldest(const struct code_cache *c);
void code_cache_drop_oldest(struct code_cache *c);
/* Room for the block's code, which there is: its offset in the cache. */
uint32_t code_cache_take(struct code_cache *c, struct tb *tb, size_t bytes);
/* The code at that offset has no owner any more. */
void code_cache_give_up(struct code_cache *c, uint32_t offset);

static inline const void *code_cache_exec(const struct code_cache *c, const uint8_t *write)
{
    return c->exec + (write - c->write);
}

#endif
