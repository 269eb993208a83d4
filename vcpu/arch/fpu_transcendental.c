/* fpu_transcendental.c - FSIN FCOS FPTAN FPATAN F2XM1 FYL2X FYL2XP1, correctly rounded, the same on
 * every host: hardware's results differ in the last place between makers and models.
 *
 * MPFR computes 128 bits toward zero or better, with a sticky bit for what follows them; f80_round does
 * the rest (RC, denormals, flags, C1, biased results). Precision control does not apply (SDM 1 8.1.5.2).
 * Numbers live on the stack (MPFR_DECL_INIT). MPFR keeps constants in per-thread caches, which make FYL2X
 * five times as fast; a thread that computed frees its own when it ends. Every function takes what its
 * instruction would find in ST(0) and ST(1), and handles zeros, infinities and NaNs before it
 * computes.
 *
 * Arguments of FSIN, FCOS and FPTAN are reduced by the 66-bit value of pi that SDM 1 8.3.8 gives, as
 * hardware does: results near multiples of pi are those of the reduced argument. */
#include <mpfr.h>
#include <pthread.h>

#include "clockcore/check.h"
#include "vcpu/arch/fpu_internal.h"

#define RESULT_BITS 128
#define WORK_BITS   192 /* for chains of several correctly rounded steps */

static pthread_once_t caches_once = PTHREAD_ONCE_INIT;
static pthread_key_t caches_key; /* its destructor is all that it is for; written once */

static void free_caches(void *unused)
{
    mpfr_free_cache2(MPFR_FREE_LOCAL_CACHE);
    mpfr_free_pool();
}

static void make_caches_key(void)
{
    CHECK(pthread_key_create(&caches_key, free_caches) == 0);
}

static void free_caches_at_thread_exit(void)
{
    pthread_once(&caches_once, make_caches_key);
    if (!pthread_getspecific(caches_key))
        pthread_setspecific(caches_key, &caches_once); /* any value but NULL */
}

static void to_mpfr(mpfr_t m, const struct f80 *a)
{
    struct f80_parts p = f80_unpack(a);
    mpfr_set_ui_2exp(m, p.sig, p.exp - F80_BIAS - 63, MPFR_RNDN); /* exact: 64 bits */
    if (p.sign)
        mpfr_neg(m, m, MPFR_RNDN);
}

/* m: nonzero, finite. `inexact`: the true value goes on (away from zero) after m's bits. */
static fpu_flags from_mpfr(const struct x87_state *x, mpfr_t m, bool inexact, struct f80 *r)
{
    MPFR_DECL_INIT(top, RESULT_BITS);
    inexact |= mpfr_set(top, m, MPFR_RNDZ) != 0;
    const mp_limb_t *limb = mpfr_custom_get_significand(top);
    _Static_assert(sizeof *limb == 8, "two limbs are 128 bits");
    struct f80_parts p = {
        .sign = mpfr_signbit(top) != 0, .sig = limb[1], .exp = (int)mpfr_get_exp(top) - 1 + F80_BIAS};
    fpu_flags f = f80_round(x, p, limb[0] | inexact, r);
    free_caches_at_thread_exit();
    return f;
}

static fpu_flags invalid(struct f80 *r)
{
    *r = f80_indefinite();
    return FSW_IE;
}

static fpu_flags give(struct f80 *r, struct f80 value)
{
    *r = value;
    return 0;
}

static struct f80 f80_inf(unsigned sign)
{
    return f80_make(sign, F80_EXP_MAX, F80_INTEGER);
}
static struct f80 f80_zero(unsigned sign)
{
    return f80_make(sign, 0, 0);
}
static struct f80 f80_one(unsigned sign)
{
    return f80_make(sign, F80_BIAS, F80_INTEGER);
}

/* |a| against 1, for finite nonzero a: -1, 0, 1. */
static int compare_to_one(const struct f80 *a)
{
    if (f80_exp(a) != F80_BIAS)
        return f80_exp(a) < F80_BIAS ? -1 : 1;
    return a->sig != F80_INTEGER;
}

/* --- FSIN, FCOS, FPTAN --- */

/* pi / 2 = PI_68 * 2^-67 */
#define PI_68    ((unsigned __int128)0xc << 64 | UINT64_C(0x90fdaa22168c234c))
#define PI_SCALE 67

/* |a| = quadrant * pi/2 + reduced, |reduced| <= pi/4. */
static unsigned reduce_by_pi(const struct f80_parts *p, mpfr_t reduced)
{
    int shift = p->exp - F80_BIAS - 63 + PI_SCALE;
    if (shift < 0) { /* below 2^-4 */
        mpfr_set_ui_2exp(reduced, p->sig, p->exp - F80_BIAS - 63, MPFR_RNDN);
        return 0;
    }
    unsigned __int128 rem = p->sig;
    unsigned quadrant = 0;
    for (int i = 0; i <= shift; i++) {
        quadrant <<= 1;
        if (i)
            rem <<= 1;
        if (rem >= PI_68) {
            rem -= PI_68;
            quadrant |= 1;
        }
    }
    bool above = 2 * rem > PI_68;
    if (above)
        rem = PI_68 - rem;
    mpfr_set_ui_2exp(reduced, (unsigned long)(rem >> 64), 64, MPFR_RNDN);
    mpfr_add_ui(reduced, reduced, (unsigned long)rem, MPFR_RNDN);
    mpfr_mul_2si(reduced, reduced, -PI_SCALE, MPFR_RNDN);
    if (above)
        mpfr_neg(reduced, reduced, MPFR_RNDN);
    return quadrant + above;
}

static int trig_value(enum fpu_trig fn, unsigned quadrant, mpfr_t m, mpfr_t result)
{
    if (fn == FPU_TAN) {
        int t = (quadrant & 1) ? mpfr_cot(result, m, MPFR_RNDZ) : mpfr_tan(result, m, MPFR_RNDZ);
        if (quadrant & 1)
            mpfr_neg(result, result, MPFR_RNDZ);
        return t;
    }
    quadrant += fn == FPU_COS; /* cos a = sin(a + pi/2) */
    int t = (quadrant & 1) ? mpfr_cos(result, m, MPFR_RNDZ) : mpfr_sin(result, m, MPFR_RNDZ);
    if (quadrant & 2)
        mpfr_neg(result, result, MPFR_RNDZ);
    return t;
}

static fpu_flags trig_finite(const struct x87_state *x, enum fpu_trig fn, const struct f80 *a, struct f80 *r)
{
    MPFR_DECL_INIT(m, RESULT_BITS);
    MPFR_DECL_INIT(result, RESULT_BITS);
    struct f80_parts p = f80_unpack(a);
    unsigned quadrant = reduce_by_pi(&p, m);
    int inexact = trig_value(fn, quadrant, m, result);
    if (p.sign && fn != FPU_COS)
        mpfr_neg(result, result, MPFR_RNDZ);
    return from_mpfr(x, result, inexact != 0, r);
}

fpu_flags fpu_trig(const struct x87_state *x, enum fpu_trig fn, struct f80 a, struct f80 *r)
{
    enum f80_class class = f80_classify(&a);
    if (f80_is_special(class))
        return fpu_propagate(x, a, a, r);
    *r = a;
    if (class == F80_INF)
        return invalid(r);
    if (class == F80_ZERO)
        return give(r, fn == FPU_COS ? f80_one(0) : a);
    if (f80_exp(&a) >= F80_BIAS + 63)
        return FSW_C2;
    fpu_flags f = class == F80_DENORMAL ? FSW_DE : 0;
    return fpu_blocks(x, f) ? f : f | trig_finite(x, fn, &a, r);
}

/* --- F2XM1 --- */

static fpu_flags finite_2xm1(const struct x87_state *x, const struct f80 *a, struct f80 *r)
{
    MPFR_DECL_INIT(m, WORK_BITS);
    MPFR_DECL_INIT(ln2, WORK_BITS);
    to_mpfr(m, a);
    mpfr_const_log2(ln2, MPFR_RNDN);
    mpfr_mul(m, m, ln2, MPFR_RNDN);
    mpfr_expm1(m, m, MPFR_RNDN);
    return from_mpfr(x, m, true, r);
}

fpu_flags fpu_2xm1(const struct x87_state *x, struct f80 a, struct f80 *r)
{
    enum f80_class class = f80_classify(&a);
    if (f80_is_special(class))
        return fpu_propagate(x, a, a, r);
    if (class == F80_ZERO)
        return give(r, a);
    if (class == F80_INF)
        return give(r, f80_sign(&a) ? f80_one(1) : a);
    if (compare_to_one(&a) > 0) /* SDM: undefined */
        return give(r, a);
    if (compare_to_one(&a) == 0)
        return give(r, f80_sign(&a) ? f80_make(1, F80_BIAS - 1, F80_INTEGER) : a);
    *r = a;
    fpu_flags f = class == F80_DENORMAL ? FSW_DE : 0;
    return fpu_blocks(x, f) ? f : f | finite_2xm1(x, &a, r);
}

/* --- FPATAN --- */

/* Magnitude of the result when an operand is a zero or an infinity, in units of pi/4; -1: none is. */
static int atan_eighths(enum f80_class cb, enum f80_class ca, bool a_negative)
{
    if (cb == F80_INF)
        return ca != F80_INF ? 2 : a_negative ? 3 : 1;
    if (cb == F80_ZERO || ca == F80_INF)
        return a_negative ? 4 : 0;
    return ca == F80_ZERO ? 2 : -1;
}

static fpu_flags atan_constant(const struct x87_state *x, unsigned sign, int eighths, struct f80 *r)
{
    if (eighths == 0)
        return give(r, f80_zero(sign));
    MPFR_DECL_INIT(m, WORK_BITS);
    mpfr_const_pi(m, MPFR_RNDN);
    mpfr_mul_ui(m, m, (unsigned)eighths, MPFR_RNDN);
    mpfr_div_2ui(m, m, 2, MPFR_RNDN);
    if (sign)
        mpfr_neg(m, m, MPFR_RNDN);
    return from_mpfr(x, m, true, r);
}

fpu_flags fpu_atan2(const struct x87_state *x, struct f80 b, struct f80 a, struct f80 *r)
{
    enum f80_class cb = f80_classify(&b), ca = f80_classify(&a);
    if (f80_is_special(cb) || f80_is_special(ca))
        return fpu_propagate(x, b, a, r);
    *r = b;
    fpu_flags f = cb == F80_DENORMAL || ca == F80_DENORMAL ? FSW_DE : 0;
    if (fpu_blocks(x, f))
        return f;
    int eighths = atan_eighths(cb, ca, f80_sign(&a));
    if (eighths >= 0)
        return f | atan_constant(x, f80_sign(&b), eighths, r);
    MPFR_DECL_INIT(mb, 64);
    MPFR_DECL_INIT(ma, 64);
    MPFR_DECL_INIT(m, RESULT_BITS);
    to_mpfr(mb, &b);
    to_mpfr(ma, &a);
    bool inexact = mpfr_atan2(m, mb, ma, MPFR_RNDZ) != 0;
    return f | from_mpfr(x, m, inexact, r);
}

/* --- FYL2X, FYL2XP1 --- */

/* b * log with log infinite of sign `negative`. */
static fpu_flags times_infinity(enum f80_class cb, const struct f80 *b, unsigned negative, struct f80 *r)
{
    return cb == F80_ZERO ? invalid(r) : give(r, f80_inf(f80_sign(b) ^ negative));
}

/* b * log where one is 0 or b is infinite, and log is finite. */
static fpu_flags times_simple(enum f80_class cb, const struct f80 *b, bool log_zero, unsigned negative,
                              struct f80 *r)
{
    if (cb == F80_INF)
        return log_zero ? invalid(r) : give(r, f80_inf(f80_sign(b) ^ negative));
    return give(r, f80_zero(f80_sign(b) ^ negative));
}

/* log2(a) is exact for powers of two only; the product with 64 bits always is. */
static fpu_flags finite_yl2x(const struct x87_state *x, const struct f80 *b, const struct f80 *a,
                             struct f80 *r)
{
    MPFR_DECL_INIT(m, WORK_BITS);
    MPFR_DECL_INIT(mb, 64);
    MPFR_DECL_INIT(product, WORK_BITS + 64);
    to_mpfr(m, a);
    to_mpfr(mb, b);
    bool inexact = mpfr_log2(m, m, MPFR_RNDZ) != 0;
    mpfr_mul(product, m, mb, MPFR_RNDZ);
    return from_mpfr(x, product, inexact, r);
}

fpu_flags fpu_yl2x(const struct x87_state *x, struct f80 b, struct f80 a, struct f80 *r)
{
    enum f80_class cb = f80_classify(&b), ca = f80_classify(&a);
    if (f80_is_special(cb) || f80_is_special(ca))
        return fpu_propagate(x, b, a, r);
    *r = b;
    if (ca != F80_ZERO && f80_sign(&a))
        return invalid(r);
    if (ca == F80_ZERO) {
        fpu_flags z = times_infinity(cb, &b, 1, r);
        return z ? z : cb == F80_INF ? 0 : FSW_ZE;
    }
    if (ca == F80_INF && cb == F80_ZERO)
        return invalid(r);
    int size = ca == F80_INF ? 1 : compare_to_one(&a);
    if (size == 0 && cb == F80_INF)
        return invalid(r);
    fpu_flags f = cb == F80_DENORMAL || ca == F80_DENORMAL ? FSW_DE : 0;
    if (fpu_blocks(x, f))
        return f;
    if (ca == F80_INF)
        return f | times_infinity(cb, &b, 0, r);
    if (size == 0 || cb == F80_ZERO || cb == F80_INF)
        return f | times_simple(cb, &b, size == 0, size < 0, r);
    return f | finite_yl2x(x, &b, &a, r);
}

static fpu_flags finite_yl2xp1(const struct x87_state *x, const struct f80 *b, const struct f80 *a,
                               struct f80 *r)
{
    MPFR_DECL_INIT(m, WORK_BITS);
    MPFR_DECL_INIT(mb, 64);
    MPFR_DECL_INIT(ln2, WORK_BITS);
    to_mpfr(m, a);
    to_mpfr(mb, b);
    mpfr_log1p(m, m, MPFR_RNDN);
    mpfr_mul(m, m, mb, MPFR_RNDN);
    mpfr_const_log2(ln2, MPFR_RNDN);
    mpfr_div(m, m, ln2, MPFR_RNDN);
    return from_mpfr(x, m, true, r);
}

/* Arguments beyond +-(1 - sqrt(2)/2) are undefined in the SDM: the formula goes on where it can. */
fpu_flags fpu_yl2xp1(const struct x87_state *x, struct f80 b, struct f80 a, struct f80 *r)
{
    enum f80_class cb = f80_classify(&b), ca = f80_classify(&a);
    if (f80_is_special(cb) || f80_is_special(ca))
        return fpu_propagate(x, b, a, r);
    *r = b;
    unsigned negative = f80_sign(&a);
    int size = ca == F80_INF ? 1 : ca == F80_ZERO ? -1 : compare_to_one(&a);
    if (negative && size > 0)
        return invalid(r);
    if (ca == F80_INF && cb == F80_ZERO)
        return invalid(r);
    if (negative && size == 0) {
        fpu_flags z = times_infinity(cb, &b, 1, r);
        return z ? z : cb == F80_INF ? 0 : FSW_ZE;
    }
    if (ca == F80_ZERO && cb == F80_INF)
        return invalid(r);
    fpu_flags f = cb == F80_DENORMAL || ca == F80_DENORMAL ? FSW_DE : 0;
    if (fpu_blocks(x, f))
        return f;
    if (ca == F80_INF)
        return f | times_infinity(cb, &b, 0, r);
    if (ca == F80_ZERO || cb == F80_ZERO || cb == F80_INF)
        return f | times_simple(cb, &b, ca == F80_ZERO, negative, r);
    return f | finite_yl2xp1(x, &b, &a, r);
}
