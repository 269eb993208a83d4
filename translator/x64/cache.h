/* cache.h - memory for host code: one object, a writable view and an executable one.
 *
 * A ring: code is placed one block behind the other, and where there is no room the oldest goes first. The blocks in
 * it form a queue through tb->native.newer; one that was invalidated keeps its place until its turn comes.
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
    size_t bytes;
    size_t reserved; /* at the start: stubs, kept for good */
    size_t at;       /* where the next block goes */
    size_t used;     /* bytes of the blocks in the queue, gaps left out */
    struct tb *oldest, *newest; /* NULL: empty */
};

bool code_cache_init(struct code_cache *c, size_t bytes);
void code_cache_free(struct code_cache *c);
/* Forgets all blocks. */
void code_cache_clear(struct code_cache *c);
/* The block that must go before `bytes` more fit, or NULL: they fit at c->at. Needs bytes <= c->bytes - c->reserved. */
struct tb *code_cache_in_the_way(struct code_cache *c, size_t bytes);
/* Takes out the oldest block. */
void code_cache_drop_oldest(struct code_cache *c);
/* Takes the place at c->at for a block; it fits. */
void code_cache_take(struct code_cache *c, struct tb *tb, size_t bytes);

static inline const void *code_cache_exec(const struct code_cache *c, const uint8_t *write)
{
    return c->exec + (write - c->write);
}

#endif
