/* fuzz_random.h - a fuzzer's random numbers: xorshift, from a seed that a report can name. One fuzzer a
 * program. */
#ifndef TANDEM_TESTS_FUZZ_RANDOM_H
#define TANDEM_TESTS_FUZZ_RANDOM_H

#include <stdint.h>

static uint64_t rng_state;

static uint32_t rng(uint32_t below)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return (uint32_t)((rng_state >> 16) % below);
}

#endif
