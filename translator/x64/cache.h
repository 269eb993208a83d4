/* cache.h - memory for host code: one object, a writable view and an executable one.
 * Threads: one. Bound: fixed at creation; full is a normal result. */
#ifndef TANDEM_TRANSLATOR_X64_CACHE_H
#define TANDEM_TRANSLATOR_X64_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct code_cache {
    uint8_t *write;  /* view to emit and patch through */
    uint8_t *exec;   /* the same bytes, executable */
    size_t bytes, used;
    size_t reserved; /* at the start: kept by a reset */
};

bool code_cache_init(struct code_cache *c, size_t bytes);
void code_cache_free(struct code_cache *c);

static inline const void *code_cache_exec(const struct code_cache *c, const uint8_t *write)
{
    return c->exec + (write - c->write);
}

#endif
