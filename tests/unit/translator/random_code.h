/* random_code.h - random instruction bytes for the translator's tests: seeded, so that failures repeat. */
#ifndef TANDEM_TESTS_RANDOM_CODE_H
#define TANDEM_TESTS_RANDOM_CODE_H

#include <stdint.h>
#include <stdlib.h>

/* xorshift64* */
static inline uint64_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1du;
}

static inline unsigned random_below(uint64_t *state, unsigned n)
{
    return (unsigned)(random_next(state) >> 33) % n;
}

/* Fills with noise in which prefixes and two-byte opcodes are likelier than chance. */
static inline void random_code(uint64_t *state, uint8_t *bytes, unsigned count)
{
    static const uint8_t likely[] = {0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x2e, 0x36, 0x3e,
                                     0x26, 0x64, 0x65, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f};
    for (unsigned i = 0; i < count; i++)
        bytes[i] = random_below(state, 4) == 0 ? likely[random_below(state, sizeof likely)]
                                               : (uint8_t)(random_next(state) >> 40);
}

/* How much to do: n, times TANDEM_TEST_SCALE where that is set. */
static inline uint64_t test_scale(uint64_t n)
{
    const char *scale = getenv("TANDEM_TEST_SCALE");
    return scale ? n * strtoull(scale, NULL, 10) : n;
}

#endif
