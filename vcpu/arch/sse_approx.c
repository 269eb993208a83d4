/* sse_approx.c - RCPPS, RCPSS, RSQRTPS, RSQRTSS.
 *
 * The SDM asks for a relative error of at most 1.5 * 2^-12, and processors differ within it. Here the result
 * is the quotient rounded to single precision (an error of 2^-24), computed with IEEE operations in the
 * host's default rounding: the same on every host. As on hardware, denormal operands count as zeros, tiny
 * results become zeros of their sign, no flag is set, and MXCSR does not matter (SDM 2, RCPPS, RSQRTPS). */
#include <math.h>

#include "vcpu/arch/sse_internal.h"

#define SIGN        0x80000000u
#define INF         0x7f800000u
#define QUIET       0x00400000u
#define DEFAULT_NAN 0xffc00000u
#define MIN_NORMAL  0x00800000u

static float from_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static uint32_t to_bits(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

/* Zero of its sign when it is below the smallest normal number. */
static uint32_t flush(uint32_t bits)
{
    return (bits & ~SIGN) < MIN_NORMAL ? bits & SIGN : bits;
}

static bool is_nan(uint32_t bits)
{
    return (bits & ~SIGN) > INF;
}

static uint32_t reciprocal(uint32_t bits)
{
    if (is_nan(bits))
        return bits | QUIET;
    bits = flush(bits);
    if ((bits & ~SIGN) == 0)
        return bits | INF;
    return flush(to_bits(1.0f / from_bits(bits)));
}

static uint32_t reciprocal_root(uint32_t bits)
{
    if (is_nan(bits))
        return bits | QUIET;
    bits = flush(bits);
    if ((bits & ~SIGN) == 0)
        return bits | INF;
    if (bits & SIGN)
        return DEFAULT_NAN;
    return to_bits((float)(1.0 / sqrt((double)from_bits(bits))));
}

void sse_run_approx(enum sse_id id, struct sse_io *io)
{
    const bool root = sse_rows[id].opcode == 0x0f52;
    const unsigned n = sse_rows[id].bytes / 4u;
    uint32_t x[4];
    memcpy(x, io->b, 4 * n);
    for (unsigned i = 0; i < n; i++)
        x[i] = root ? reciprocal_root(x[i]) : reciprocal(x[i]);
    memcpy(io->a, x, 4 * n);
}
