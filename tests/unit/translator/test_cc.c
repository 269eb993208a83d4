/* test_cc.c - the flag formulas against a reference that computes bit by bit, as the SDM defines them. */
#include <criterion/criterion.h>

#include "random_code.h"
#include "translator/shift.h"

/* --- reference: ripple-carry arithmetic and one-bit shifts --- */

struct ref {
    uint32_t r, flags;
};

static bool bit(uint32_t v, unsigned i)
{
    return v >> i & 1;
}

static uint32_t result_flags(uint32_t r, unsigned bits)
{
    unsigned ones = 0, any = 0;
    for (unsigned i = 0; i < 8; i++)
        ones += bit(r, i);
    for (unsigned i = 0; i < bits; i++)
        any |= bit(r, i);
    return (ones % 2 == 0 ? FLAG_PF : 0) | (any ? 0 : FLAG_ZF) | (bit(r, bits - 1) ? FLAG_SF : 0);
}

/* a + (b or its complement) + carry; subtraction inverts the carries. */
static struct ref ref_add(uint32_t a, uint32_t b, bool carry, bool subtract, unsigned bits)
{
    struct ref out = {0, 0};
    bool c = carry != subtract, into_sign = false;
    for (unsigned i = 0; i < bits; i++) {
        const unsigned sum = bit(a, i) + (bit(b, i) != subtract) + c;
        into_sign = c;
        c = sum >= 2;
        out.r |= (uint32_t)(sum & 1) << i;
        if (i == 3 && c != subtract)
            out.flags |= FLAG_AF;
    }
    out.flags |= result_flags(out.r, bits) | (c != subtract ? FLAG_CF : 0) | (into_sign != c ? FLAG_OF : 0);
    return out;
}

/* One step at a time; OF and AF as cc.h fixes them. */
static struct ref ref_shift(enum cc_kind kind, uint32_t a, unsigned count, unsigned bits)
{
    uint32_t r = a;
    bool cf = false;
    for (unsigned n = 0; n < count; n++) {
        const bool sign = bit(r, bits - 1);
        cf = kind == CC_KIND_SHL ? sign : bit(r, 0);
        r = kind == CC_KIND_SHL ? r << 1 : r >> 1;
        if (kind == CC_KIND_SAR && sign)
            r |= 1u << (bits - 1);
        if (bits < 32)
            r &= (1u << bits) - 1;
    }
    bool of = kind == CC_KIND_SHR && bit(a, bits - 1);
    if (kind == CC_KIND_SHL)
        of = bit(r, bits - 1) != cf;
    return (struct ref){r, result_flags(r, bits) | (cf ? FLAG_CF : 0) | (of ? FLAG_OF : 0)};
}

static struct ref reference(enum cc_kind kind, uint32_t a, uint32_t b, bool carry, unsigned bits)
{
    const uint32_t not_cf = ~(uint32_t)FLAG_CF;
    struct ref out;
    switch (kind) {
    case CC_KIND_ADD:
    case CC_KIND_SUM:
        return ref_add(a, b, false, false, bits);
    case CC_KIND_ADC:
        return ref_add(a, b, carry, false, bits);
    case CC_KIND_SUB:
    case CC_KIND_CMP:
    case CC_KIND_DIFF:
        return ref_add(a, b, false, true, bits);
    case CC_KIND_SBB:
        return ref_add(a, b, carry, true, bits);
    case CC_KIND_INC:
    case CC_KIND_DEC:
        out = ref_add(a, 1, false, kind == CC_KIND_DEC, bits);
        out.flags = (out.flags & not_cf) | (carry ? FLAG_CF : 0);
        return out;
    case CC_KIND_SHL:
    case CC_KIND_SHR:
    case CC_KIND_SAR:
        return ref_shift(kind, a, b, bits);
    case CC_KIND_SHRD: /* with zeroes from above, as SHR; by 1, where OF is defined, and otherwise */
        out = ref_shift(kind, a, b, bits);
        out.flags |= bit(a, bits - 1) != bit(out.r, bits - 1) ? FLAG_OF : 0;
        return out;
    case CC_KIND_MUL:
        return (struct ref){a, result_flags(a, bits) | (b ? FLAG_CF | FLAG_OF : 0)};
    default:
        return (struct ref){a & b, result_flags(a & b, bits)};
    }
}

static bool ref_cond(uint32_t f, unsigned cond)
{
    const bool cf = f & FLAG_CF, zf = f & FLAG_ZF, sf = f & FLAG_SF, of = f & FLAG_OF, pf = f & FLAG_PF;
    const bool yes[8] = {of, cf, zf, cf || zf, sf, pf, sf != of, zf || sf != of};
    return yes[cond / 2] != (cond & 1);
}

/* --- comparison --- */

static bool is_without_a(enum cc_kind kind)
{
    return kind == CC_KIND_SUM || kind == CC_KIND_DIFF || kind == CC_KIND_INC || kind == CC_KIND_DEC;
}

static void check(enum cc_kind kind, unsigned size, uint32_t a, uint32_t b, bool carry)
{
    const struct ref ref = reference(kind, a, b, carry, 8u << size);
    const uint32_t cc_b = kind == CC_KIND_INC || kind == CC_KIND_DEC ? carry : b;
    const uint32_t op = CC_OP(kind, size);
    const uint32_t nobody_looks = 0xdeadbeef, r = kind == CC_KIND_CMP ? nobody_looks : ref.r;
    a = is_without_a(kind) ? nobody_looks : a;
    const uint32_t flags = cc_flags(op, a, cc_b, r);
    if (flags != ref.flags)
        cr_assert_fail("kind %d size %u a %x b %x carry %d: %x, want %x", kind, size, a, b, carry, flags,
                       ref.flags);
    if (cc_cf(op, a, cc_b, r) != (flags & FLAG_CF))
        cr_assert_fail("cf of kind %d size %u a %x b %x", kind, size, a, b);
    for (unsigned cond = 0; cond < 16; cond++)
        if (cc_cond(op, a, cc_b, r, cond) != ref_cond(flags, cond))
            cr_assert_fail("cond %u of kind %d size %u a %x b %x", cond, kind, size, a, b);
}

/* Any kind with a carry over it. */
static void check_given(enum cc_kind kind, unsigned size, uint32_t a, uint32_t b, uint32_t r, uint32_t carry)
{
    const uint32_t op = CC_OP(kind, size), given = op | CC_CARRY_GIVEN | carry << CC_CARRY_SHIFT;
    const uint32_t flags = (cc_flags(op, a, b, r) & ~(uint32_t)FLAG_CF) | carry;
    cr_assert_eq(cc_flags(given, a, b, r), flags);
    cr_assert_eq(cc_cf(given, a, b, r), carry);
    for (unsigned cond = 0; cond < 16; cond++)
        cr_assert_eq(cc_cond(given, a, b, r, cond), ref_cond(flags, cond));
}

static bool is_shift(enum cc_kind kind)
{
    return kind == CC_KIND_SHL || kind == CC_KIND_SHR || kind == CC_KIND_SAR || kind == CC_KIND_SHRD;
}

Test(cc, every_byte)
{
    for (unsigned kind = 0; kind < CC_KIND_COUNT; kind++)
        for (unsigned a = 0; a < 256; a++)
            for (unsigned b = 0; b < 256; b++)
                if (!is_shift(kind) || (b >= 1 && b <= 31))
                    for (unsigned carry = 0; carry < 2; carry++)
                        check(kind, 0, a, b, carry);
}

static uint32_t interesting(uint64_t *seed, unsigned size)
{
    static const uint32_t corner[] = {0,      1,      0x7f,       0x80,       0xff,      0x7fff,
                                      0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff};
    uint32_t v = (uint32_t)random_next(seed);
    if (random_below(seed, 2))
        v = corner[random_below(seed, sizeof corner / sizeof corner[0])];
    return size == 1 ? v & 0xffff : v;
}

Test(cc, words_and_doublewords)
{
    uint64_t seed = 99;
    for (uint64_t i = 0; i < test_scale(400000); i++) {
        const enum cc_kind kind = random_below(&seed, CC_KIND_COUNT);
        const unsigned size = 1 + random_below(&seed, 2);
        const uint32_t a = interesting(&seed, size);
        const uint32_t b = is_shift(kind) ? 1 + random_below(&seed, 31) : interesting(&seed, size);
        check(kind, size, a, b, random_below(&seed, 2));
    }
}

Test(cc, a_carry_over_any_kind)
{
    uint64_t seed = 7;
    for (unsigned kind = 0; kind <= CC_KIND_COUNT; kind++)
        for (unsigned i = 0; i < 600; i++) {
            const uint32_t a = interesting(&seed, 2), b = is_shift(kind) ? 1 + i % 31 : interesting(&seed, 2);
            const uint32_t r = interesting(&seed, 2);
            check_given(kind, kind == CC_KIND_COUNT ? 0 : i % 3, a, b, r, i / 3 % 2);
        }
}

Test(cc, eflags_pass_through)
{
    struct guest_state g = {.eflags = FLAG_IF};
    guest_set_arith_flags(&g, FLAG_CF | FLAG_OF | FLAG_DF | FLAG_TF);
    cr_assert_eq(guest_eflags(&g), FLAG_CF | FLAG_OF | FLAG_DF | FLAG_IF | FLAG_1);
    for (unsigned f = 0; f < 0x1000; f++)
        for (unsigned cond = 0; cond < 16; cond++)
            cr_assert_eq(cc_cond(CC_EFLAGS, 0, 0, f & FLAGS_ARITH, cond), ref_cond(f & FLAGS_ARITH, cond));
}

/* --- shift.h, against models that move one bit at a time --- */

static uint64_t shift_seed = 11;
static uint32_t shift_random(void)
{
    shift_seed = shift_seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(shift_seed >> 32);
}

/* value of bits + 1 bits: carry above; one step to the left or right. */
static uint64_t turn(uint64_t v, unsigned width, bool left)
{
    const uint64_t mask = (UINT64_C(1) << width) - 1;
    return left ? (v << 1 | v >> (width - 1)) & mask : (v >> 1 | v << (width - 1)) & mask;
}

static void check_rotates(uint32_t a, unsigned n, unsigned bits)
{
    const uint32_t carry = shift_random() & 1;
    uint64_t rol = a, ror = a, rcl = (uint64_t)carry << bits | a, rcr = rcl;
    for (unsigned i = 0; i < n; i++) {
        rol = turn(rol, bits, true), ror = turn(ror, bits, false);
        rcl = turn(rcl, bits + 1, true), rcr = turn(rcr, bits + 1, false);
    }
    const unsigned through = shift_carry_count(n, bits);
    cr_assert_eq(shift_rol(a, n, bits), rol);
    cr_assert_eq(shift_ror(a, n, bits), ror);
    cr_assert_eq(shift_rcl(a, carry, through, bits) & ((UINT64_C(2) << bits) - 1), rcl);
    cr_assert_eq(shift_rcr(a, carry, through, bits) & ((UINT64_C(2) << bits) - 1), rcr);
}

static void check_shifts(uint32_t a, unsigned n, unsigned bits)
{
    const uint32_t b = shift_random() & shift_mask(bits), sign = 1u << (bits - 1);
    uint32_t shl = a, shr = a, sar = a;
    uint64_t left = (uint64_t)a << bits | b, right = (uint64_t)b << bits | a;
    for (unsigned i = 0; i < n; i++) {
        shl = shl << 1 & shift_mask(bits), shr >>= 1, sar = sar >> 1 | (sar & sign);
        left <<= 1, right >>= 1;
    }
    cr_assert_eq(shift_shl(a, n, bits), shl);
    cr_assert_eq(shift_shr(a, n), shr);
    cr_assert_eq(shift_sar(a, n, bits), sar);
    cr_assert_eq(shift_shld(a, b, n, bits), (uint32_t)(left >> bits) & shift_mask(bits));
    cr_assert_eq(shift_shrd(a, b, n, bits), (uint32_t)right & shift_mask(bits));
}

/* SDM 2B: OF of a count of 1, by the definition in words. */
static void check_overflow(uint32_t a, unsigned bits)
{
    const unsigned top = bits - 1;
    const uint32_t carry = shift_random() & 1, rol = shift_rol(a, 1, bits), ror = shift_ror(a, 1, bits);
    const uint64_t rcl = shift_rcl(a, carry, 1, bits), rcr = shift_rcr(a, carry, 1, bits);
    cr_assert_eq(shift_rol_of(rol, bits), (a >> top ^ a >> (top - 1)) & 1, "the sign changes");
    cr_assert_eq(shift_rcl_of((uint32_t)rcl & shift_mask(bits), rcl >> bits & 1, bits),
                 (a >> top ^ a >> (top - 1)) & 1);
    cr_assert_eq(shift_ror_of(ror, bits), (a >> top ^ a) & 1);
    cr_assert_eq(shift_ror_of((uint32_t)rcr & shift_mask(bits), bits), (a >> top ^ carry) & 1);
}

Test(cc, shifts_and_rotates)
{
    for (unsigned i = 0; i < 3000; i++)
        for (unsigned size = 0; size < 3; size++) {
            const uint32_t a = shift_random() & shift_mask(8u << size);
            check_overflow(a, 8u << size);
            for (unsigned n = 0; n < 32; n++) {
                check_rotates(a, n, 8u << size);
                check_shifts(a, n, 8u << size);
            }
        }
}
