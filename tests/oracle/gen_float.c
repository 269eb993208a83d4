/* gen_float.c - random floating-point and packed values: every class of number, biased to where exceptions
 * are. */
#include "tests/oracle/gen_float.h"

#include <string.h>

uint64_t gen_random(struct gen *g)
{
    g->seed += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = g->seed;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint32_t gen_below(struct gen *g, uint32_t n)
{
    return (uint32_t)(gen_random(g) % n);
}

/* 80-bit values with every class of number represented. */
void random_float(struct gen *g, uint8_t *p)
{
    uint64_t m = gen_random(g) | UINT64_C(1) << 63;
    uint16_t e = (uint16_t)(0x3fff - 40 + gen_below(g, 80));
    switch (gen_below(g, 12)) {
    case 0:
        m = 0, e = 0;
        break;
    case 1:
        m = UINT64_C(1) << 63, e = 0x7fff;
        break;
    case 2:
        e = 0x7fff;
        break; /* NaN */
    case 3:
        m &= ~(UINT64_C(1) << 62), e = 0x7fff;
        break; /* SNaN mostly */
    case 4:
        m &= ~(UINT64_C(1) << 63), e = 0;
        break; /* denormal */
    case 5:
        e = 0;
        break; /* pseudo-denormal */
    case 6:
        m &= ~(UINT64_C(1) << 63);
        break; /* unnormal */
    case 7:
        e = (uint16_t)gen_below(g, 0x7fff);
        break;
    case 8:
        m = UINT64_C(1) << 63;
        break;
    case 9:
        m = (UINT64_C(1) << 63) | gen_random(g) << 40;
        e = 0x3fff + gen_below(g, 64);
        break;
    default:
        break;
    }
    e |= (uint16_t)(gen_below(g, 2) << 15);
    memcpy(p, &m, 8), memcpy(p + 8, &e, 2);
}

void random_fpu(struct gen *g, struct fpu_image *f, bool x87)
{
    memset(f, 0, sizeof *f);
    f->cw = 0x37f, f->empty = 0xff;
    if (!x87)
        return;
    f->cw = (uint16_t)(0x40 | (gen_below(g, 3) ? 0x3f : gen_below(g, 64)) | gen_below(g, 4) << 8 |
                       gen_below(g, 4) << 10);
    if ((f->cw >> 8 & 3) == 1)
        f->cw |= 0x300; /* reserved precision */
    f->sw = (uint16_t)(gen_below(g, 8) << 11 | gen_below(g, 2) << 8 | gen_below(g, 2) << 9 |
                       gen_below(g, 2) << 10 | gen_below(g, 2) << 14);
    if (gen_below(g, 4) == 0)
        f->sw |= (uint16_t)gen_below(g, 128);
    if (f->sw & ~f->cw & 0x3f)
        f->sw |= 0x8080; /* ES and B follow from the rest */
    f->empty = gen_below(g, 3) ? 0 : (uint8_t)gen_random(g);
    for (unsigned i = 0; i < 8; i++)
        random_float(g, f->r[i]);
}

/* Exponents around which sums, products, quotients and conversions change their nature. */
static uint32_t random_exponent(struct gen *g, uint32_t bias)
{
    const uint32_t at[] = {1,         2,         bias / 2,        bias,     bias + 15,
                           bias + 31, bias + 31, bias + bias / 2, 2 * bias, 2 * bias - 1};
    uint32_t e = at[gen_below(g, sizeof at / sizeof *at)] + gen_below(g, 5) - 2;
    return gen_below(g, 4) == 0 ? gen_below(g, 2 * bias + 2) : e < 2 * bias + 2 ? e : 1;
}

/* A significand: random, round, one off round, or with few bits so that operations may be exact. */
static uint64_t random_fraction(struct gen *g, unsigned bits)
{
    const uint64_t mask = (UINT64_C(1) << bits) - 1;
    switch (gen_below(g, 6)) {
    case 0:
        return 0;
    case 1:
        return mask;
    case 2:
        return gen_below(g, 4);
    case 3:
        return mask & ~UINT64_C(0) << (bits - 1 - gen_below(g, 8));
    default:
        return gen_random(g) & mask;
    }
}

/* A number with `bits` of fraction. */
static uint64_t random_ieee(struct gen *g, unsigned bits, uint32_t bias)
{
    const uint64_t sign = (uint64_t)gen_below(g, 2), quiet = UINT64_C(1) << (bits - 1);
    uint64_t e = random_exponent(g, bias), f = random_fraction(g, bits);
    switch (gen_below(g, 16)) {
    case 0:
        e = f = 0;
        break;
    case 1:
        e = 2 * bias + 1, f = 0;
        break;
    case 2:
        e = 2 * bias + 1, f |= quiet;
        break; /* quiet NaN */
    case 3:
        e = 2 * bias + 1, f = (f & (quiet - 1)) | 1;
        break; /* signalling NaN */
    case 4:
    case 5:
        e = 0;
        break; /* denormal */
    case 6:
        e = bias, f = 0;
        break;
    default:
        break;
    }
    return (sign << (bits == 23 ? 8 : 11) | e) << bits | f;
}

static void random_ints(struct gen *g, uint8_t *p)
{
    static const uint32_t corner[] = {0,          1,          0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff,
                                      0x7fffffff, 0x80000000, 15,   16,   31,   32,     63,     64};
    for (unsigned i = 0; i < 16; i += 4) {
        uint32_t v = (uint32_t)gen_random(g);
        if (gen_below(g, 3) == 0)
            v = corner[gen_below(g, sizeof corner / sizeof *corner)] | (gen_below(g, 2) ? v & 0xffff0000 : 0);
        memcpy(p + i, &v, 4);
    }
    if (gen_below(g, 4) == 0) /* a shift count */
        memset(p + 1, 0, 7);
}

void random_lanes(struct gen *g, enum lanes kind, uint8_t *p)
{
    if (kind == LANES_INT)
        random_ints(g, p);
    for (unsigned i = 0; i < 16 && kind == LANES_SINGLE; i += 4) {
        uint32_t v = (uint32_t)random_ieee(g, 23, 127);
        memcpy(p + i, &v, 4);
    }
    for (unsigned i = 0; i < 16 && kind == LANES_DOUBLE; i += 8) {
        uint64_t v = random_ieee(g, 52, 1023);
        memcpy(p + i, &v, 8);
    }
}

/* Everything masked mostly, some exceptions not; modes; sticky flags. */
uint32_t random_mxcsr(struct gen *g)
{
    uint32_t v = gen_below(g, 4) << 13 | (gen_below(g, 3) ? 0x3fu : gen_below(g, 64)) << 7;
    if (gen_below(g, 4) == 0)
        v |= 1u << 6;
    if (gen_below(g, 4) == 0)
        v |= 1u << 15;
    return gen_below(g, 4) == 0 ? v | gen_below(g, 64) : v;
}

void random_sse(struct gen *g, struct sse_image *s, enum lanes kind)
{
    s->mxcsr = random_mxcsr(g);
    for (unsigned i = 0; i < 8; i++)
        random_lanes(g, gen_below(g, 8) ? kind : (enum lanes)gen_below(g, LANES_COUNT), s->xmm[i]);
}

void random_mmx(struct gen *g, struct fpu_image *f, enum lanes kind)
{
    uint8_t wide[16];
    for (unsigned i = 0; i < 8; i++) {
        random_lanes(g, kind, wide);
        memcpy(f->r[i], wide, 8);
        memset(f->r[i] + 8, 0xff, 2);
    }
}
