/* guest.h - the phases of bench/throughput: what each runs, and what a right result looks like.
 *
 * A phase is PASSES calls of its pass function. Every pass does the same work and returns the same checksum,
 * so that the number of passes may change (smoke runs take one) and still each result is checked. */
#ifndef THROUGHPUT_GUEST_H
#define THROUGHPUT_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PHASE(NAME, PASSES, CHECKSUM, WHERE) uint32_t pass_##NAME(void);
#include "phases.def"
#undef PHASE

/* FNV-1a over words: a checksum that notices order. */
#define HASH_START 2166136261u
static inline uint32_t hash_word(uint32_t hash, uint32_t word)
{
    return (hash ^ word) * 16777619u;
}

uint32_t hash_bytes(const void *data, size_t bytes); /* a multiple of 4 */

/* Marsaglia's xorshift32 (Journal of Statistical Software 8, 14): the same numbers in every run. */
static inline uint32_t random_next(uint32_t *seed)
{
    uint32_t x = *seed;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *seed = x;
}

void random_fill(void *data, size_t bytes, uint32_t seed); /* a multiple of 4 */
void die(const char *what) __attribute__((noreturn));      /* with errno's text; the benchmark fails */

#endif
