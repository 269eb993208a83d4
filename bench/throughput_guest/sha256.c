/* sha256.c - SHA-256 (FIPS 180-4) over a generated buffer. */
#include <string.h>

#include "guest.h"

#define BLOCK_BYTES 64
#define DATA_BYTES  (1u << 20)

/* FIPS 180-4, 4.2.2 and 5.3.3 */
static const uint32_t round_constant[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};
static const uint32_t initial_hash[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

static uint32_t rotate_right(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

static void schedule(uint32_t w[64], const uint8_t *block)
{
    memcpy(w, block, BLOCK_BYTES);
    for (unsigned t = 0; t < 16; t++)
        w[t] = __builtin_bswap32(w[t]);
    for (unsigned t = 16; t < 64; t++) {
        uint32_t s0 = rotate_right(w[t - 15], 7) ^ rotate_right(w[t - 15], 18) ^ w[t - 15] >> 3;
        uint32_t s1 = rotate_right(w[t - 2], 17) ^ rotate_right(w[t - 2], 19) ^ w[t - 2] >> 10;
        w[t] = s1 + w[t - 7] + s0 + w[t - 16];
    }
}

/* The variables a to h turn: in round t, letter i (0 is a) is v[(i - t) mod 8], so that none has to move. */
static inline uint32_t *letter(uint32_t v[8], unsigned t, unsigned i)
{
    return &v[(i - t) & 7];
}

static void sha256_round(uint32_t v[8], unsigned t, uint32_t constant_and_word)
{
    uint32_t a = *letter(v, t, 0), b = *letter(v, t, 1), c = *letter(v, t, 2);
    uint32_t e = *letter(v, t, 4), f = *letter(v, t, 5), g = *letter(v, t, 6);
    uint32_t sum1 = rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25);
    uint32_t sum0 = rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22);
    uint32_t t1 = *letter(v, t, 7) + sum1 + ((e & f) ^ (~e & g)) + constant_and_word;
    *letter(v, t, 3) += t1;
    *letter(v, t, 7) = t1 + sum0 + ((a & b) ^ (a & c) ^ (b & c));
}

static void sha256_block(uint32_t hash[8], const uint8_t *block)
{
    uint32_t w[64], v[8];
    schedule(w, block);
    memcpy(v, hash, sizeof v);
    for (unsigned t = 0; t < 64; t++)
        sha256_round(v, t, round_constant[t] + w[t]);
    for (unsigned i = 0; i < 8; i++)
        hash[i] += v[i];
}

/* FIPS 180-4, 5.1.1, for whole blocks of data: the padding is a block of its own. */
static void sha256_end(uint32_t hash[8], uint32_t bytes)
{
    uint8_t block[BLOCK_BYTES] = {0x80};
    uint32_t bits = __builtin_bswap32(bytes * 8);
    memcpy(block + BLOCK_BYTES - 4, &bits, 4);
    sha256_block(hash, block);
}

uint32_t pass_sha256(void)
{
    static uint8_t data[DATA_BYTES];
    uint32_t hash[8];
    memcpy(hash, initial_hash, sizeof hash);
    random_fill(data, sizeof data, 99);
    for (uint32_t at = 0; at < sizeof data; at += BLOCK_BYTES)
        sha256_block(hash, data + at);
    sha256_end(hash, sizeof data);
    return hash[0];
}
