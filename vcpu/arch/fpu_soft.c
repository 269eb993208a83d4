/* fpu_soft.c - the parts of the x87 that are exact, or that hosts do differently, in integers.
 *
 * FPREM and FPREM1 are here because an instruction that cannot finish (exponents 64 or more apart)
 * reduces by an amount that the SDM leaves to the implementation: 32 to 63 bits. Here it is 32 plus the
 * difference modulo 32, everywhere. */
#include "vcpu/arch/fpu_internal.h"

enum f80_class f80_classify(const struct f80 *a)
{
    unsigned exp = f80_exp(a);
    if (exp == 0)
        return a->sig ? F80_DENORMAL : F80_ZERO; /* pseudo-denormals too */
    if (!(a->sig & F80_INTEGER))
        return F80_UNSUPPORTED; /* unnormals, pseudo-infinities, pseudo-NaNs */
    if (exp < F80_EXP_MAX)
        return F80_NORMAL;
    return a->sig == F80_INTEGER ? F80_INF : F80_NAN;
}

struct f80_parts f80_unpack(const struct f80 *a)
{
    unsigned exp = f80_exp(a);
    unsigned shift = (unsigned)__builtin_clzll(a->sig);
    return (struct f80_parts){
        .sign = f80_sign(a), .exp = (exp ? (int)exp : 1) - (int)shift, .sig = a->sig << shift};
}

/* --- rounding --- */

static bool rounds_away(unsigned rc, unsigned sign, uint64_t sig, uint64_t lo)
{
    switch (rc) {
    case FPU_RC_NEAR:
        return lo > F80_INTEGER || (lo == F80_INTEGER && (sig & 1));
    case FPU_RC_DOWN:
        return sign && lo;
    case FPU_RC_UP:
        return !sign && lo;
    default:
        return false;
    }
}

static struct f80 overflow_result(unsigned rc, unsigned sign, fpu_flags *f)
{
    bool to_inf = rc == FPU_RC_NEAR || rc == (sign ? FPU_RC_DOWN : FPU_RC_UP);
    *f |= FSW_OE | FSW_PE | (to_inf ? FSW_C1 : 0);
    return to_inf ? f80_make(sign, F80_EXP_MAX, F80_INTEGER) : f80_make(sign, F80_EXP_MAX - 1, UINT64_MAX);
}

static void shift_right_sticky(uint64_t *hi, uint64_t *lo, unsigned n)
{
    if (n >= 65) {
        *lo = (*hi | *lo) != 0;
        *hi = 0;
    } else if (n == 64) {
        *lo = *hi | (*lo != 0);
        *hi = 0;
    } else if (n) {
        *lo = *hi << (64 - n) | *lo >> n | ((*lo << (64 - n)) != 0);
        *hi >>= n;
    }
}

/* The result has exponent field 0 unless rounding carries into the integer bit. */
static fpu_flags round_denormal(unsigned rc, struct f80_parts p, uint64_t lo, struct f80 *r)
{
    shift_right_sticky(&p.sig, &lo, (unsigned)(1 - p.exp));
    bool up = rounds_away(rc, p.sign, p.sig, lo);
    p.sig += up;
    *r = f80_make(p.sign, p.sig >> 63, p.sig);
    return lo ? (fpu_flags)(FSW_UE | FSW_PE | (up ? FSW_C1 : 0)) : 0;
}

fpu_flags f80_round(const struct x87_state *x, struct f80_parts p, uint64_t lo, struct f80 *r)
{
    unsigned rc = fpu_rc(x);
    bool up = rounds_away(rc, p.sign, p.sig, lo);
    uint64_t sig = p.sig + up;
    int exp = p.exp + (up && sig == 0);
    sig |= sig == 0 ? F80_INTEGER : 0;
    fpu_flags f = lo ? (fpu_flags)(FSW_PE | (up ? FSW_C1 : 0)) : 0;

    if (exp <= 0) { /* tiny after rounding: SDM 1 4.9.1.5 */
        if (x->cw & FSW_UE)
            return round_denormal(rc, p, lo, r);
        f |= FSW_UE;
        exp += 24576; /* SDM 1 8.5.5 */
    } else if (exp >= F80_EXP_MAX) {
        if (x->cw & FSW_OE) {
            *r = overflow_result(rc, p.sign, &f);
            return f;
        }
        f |= FSW_OE;
        exp -= 24576;
    }
    *r = f80_make(p.sign, (unsigned)exp & F80_EXP_MAX, sig);
    return f;
}

/* --- exact conversions --- */

/* A memory format's fields, fraction left-justified in 63 bits below the integer bit. */
static fpu_flags from_fields(unsigned sign, unsigned exp, unsigned exp_max, uint64_t fraction, struct f80 *r)
{
    int bias = (int)exp_max >> 1;
    if (exp == exp_max) {
        bool snan = fraction && !(fraction & F80_QUIET);
        *r = f80_make(sign, F80_EXP_MAX, F80_INTEGER | fraction | (snan ? F80_QUIET : 0));
        return snan ? FSW_IE : 0;
    }
    if (exp) {
        *r = f80_make(sign, (unsigned)((int)exp - bias + F80_BIAS), F80_INTEGER | fraction);
        return 0;
    }
    if (fraction == 0) {
        *r = f80_make(sign, 0, 0);
        return 0;
    }
    unsigned shift = (unsigned)__builtin_clzll(fraction);
    *r = f80_make(sign, (unsigned)(F80_BIAS - bias + 1 - (int)shift), fraction << shift);
    return FSW_DE;
}

fpu_flags fpu_from_m32fp(uint32_t bits, struct f80 *r)
{
    return from_fields(bits >> 31, bits >> 23 & 0xff, 0xff, (uint64_t)(bits & 0x7fffff) << 40, r);
}

fpu_flags fpu_from_m64fp(uint64_t bits, struct f80 *r)
{
    return from_fields((unsigned)(bits >> 63), bits >> 52 & 0x7ff, 0x7ff, bits << 12 >> 1, r);
}

struct f80 fpu_from_int(int64_t value)
{
    if (value == 0)
        return f80_make(0, 0, 0);
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    unsigned shift = (unsigned)__builtin_clzll(magnitude);
    return f80_make(value < 0, F80_BIAS + 63 - shift, magnitude << shift);
}

struct f80 fpu_from_bcd(uint64_t low, uint16_t high)
{
    uint64_t value = 0;
    for (int i = 1; i >= 0; i--)
        value = value * 10 + (high >> 4 * i & 15);
    for (int i = 15; i >= 0; i--)
        value = value * 10 + (low >> 4 * i & 15);
    struct f80 r = fpu_from_int((int64_t)value); /* below 2^63 even with digits over 9 */
    r.se |= high & 0x8000;
    return r;
}

/* --- FXTRACT --- */

fpu_flags fpu_xtract(const struct x87_state *x, struct f80 a, struct f80 *sig, struct f80 *exp)
{
    enum f80_class class = f80_classify(&a);
    if (f80_is_special(class)) {
        fpu_flags f = fpu_propagate(x, a, a, sig);
        *exp = *sig;
        return f;
    }
    *sig = a;
    if (class == F80_INF || class == F80_ZERO) {
        *exp = f80_make(class == F80_ZERO, F80_EXP_MAX, F80_INTEGER);
        return class == F80_ZERO ? FSW_ZE : 0;
    }
    struct f80_parts p = f80_unpack(&a);
    *sig = f80_make(p.sign, F80_BIAS, p.sig);
    *exp = fpu_from_int(p.exp - F80_BIAS);
    return class == F80_DENORMAL ? FSW_DE : 0;
}

/* --- FPREM and FPREM1 --- */

struct reduction {
    unsigned sign;
    int exp;
    uint64_t rem, quotient;
}; /* rem * 2^(exp - bias - 63) */

static struct reduction reduce(struct f80_parts a, struct f80_parts b, int diff)
{
    unsigned __int128 wide = (unsigned __int128)a.sig << diff;
    return (struct reduction){
        .sign = a.sign, .exp = b.exp, .rem = (uint64_t)(wide % b.sig), .quotient = (uint64_t)(wide / b.sig)};
}

/* Rounds the quotient to nearest even: the remainder may become b - rem with the other sign. */
static void to_nearest(struct reduction *d, uint64_t b)
{
    uint64_t other = b - d->rem;
    if (d->rem > other || (d->rem == other && (d->quotient & 1))) {
        d->rem = other;
        d->sign ^= 1;
        d->quotient++;
    }
}

static fpu_flags quotient_bits(uint64_t q)
{
    return (fpu_flags)((q & 4 ? FSW_C0 : 0) | (q & 2 ? FSW_C3 : 0) | (q & 1 ? FSW_C1 : 0));
}

static fpu_flags pack_reduction(const struct x87_state *x, const struct reduction *d, struct f80 *r)
{
    if (d->rem == 0) {
        *r = f80_make(d->sign, 0, 0);
        return 0;
    }
    unsigned shift = (unsigned)__builtin_clzll(d->rem);
    struct f80_parts p = {.sign = d->sign, .exp = d->exp - (int)shift, .sig = d->rem << shift};
    return f80_round(x, p, 0, r); /* exact: at most an unmasked underflow */
}

static fpu_flags rem_finite(const struct x87_state *x, struct f80_parts a, struct f80_parts b, bool nearest,
                            struct f80 *r)
{
    int diff = a.exp - b.exp;
    if (diff < (nearest ? -1 : 0)) { /* quotient 0 */
        struct reduction d = {.sign = a.sign, .exp = a.exp, .rem = a.sig};
        return pack_reduction(x, &d, r);
    }
    if (diff < 0) { /* a is between b / 4 and b: compare in units of a's last place */
        struct reduction d = {.sign = a.sign, .exp = a.exp, .rem = a.sig};
        if (a.sig > b.sig) { /* 2a > b; b = 2 * b.sig in a's units, and 2 * b.sig - a.sig fits */
            d.rem = 2 * b.sig - a.sig;
            d.sign ^= 1;
            d.quotient = 1;
        }
        return pack_reduction(x, &d, r) | quotient_bits(d.quotient);
    }
    if (diff >= 64) {
        int bits = 32 | (diff & 31);
        struct reduction d = reduce(a, b, bits);
        d.exp += diff - bits;
        return pack_reduction(x, &d, r) | FSW_C2;
    }
    struct reduction d = reduce(a, b, diff);
    if (nearest)
        to_nearest(&d, b.sig);
    return pack_reduction(x, &d, r) | quotient_bits(d.quotient);
}

fpu_flags fpu_rem(const struct x87_state *x, struct f80 a, struct f80 b, bool nearest, struct f80 *r)
{
    enum f80_class ca = f80_classify(&a), cb = f80_classify(&b);
    if (f80_is_special(ca) || f80_is_special(cb))
        return fpu_propagate(x, a, b, r);
    *r = a;
    if (ca == F80_INF || cb == F80_ZERO) {
        *r = f80_indefinite();
        return FSW_IE;
    }
    fpu_flags f = ca == F80_DENORMAL || cb == F80_DENORMAL ? FSW_DE : 0;
    if (ca == F80_ZERO || fpu_blocks(x, f))
        return f;
    if (cb == F80_INF) { /* SDM 2A FPREM: the result is ST(0), a denormal one without underflow */
        struct x87_state masked = {.cw = x->cw | FCW_EXC};
        return f | f80_round(&masked, f80_unpack(&a), 0, r);
    }
    return f | rem_finite(x, f80_unpack(&a), f80_unpack(&b), nearest, r);
}
