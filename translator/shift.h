/* shift.h - shifts and rotates: results, and the flags that they leave in the CC slots. The interpreter,
 * eval.c and tests share these formulas; with constant bits the compiler keeps little of them.
 *
 * Values are zero-extended; n is the count after masking to 5 bits; bits is 8, 16 or 32. Counts and flags are
 * the SDM's (2B: SAL/SAR/SHL/SHR, RCL/RCR/ROL/ROR, SHLD, SHRD). */
#ifndef TANDEM_TRANSLATOR_SHIFT_H
#define TANDEM_TRANSLATOR_SHIFT_H

#include "translator/cc_inline.h"

/* --- results --- */

static inline uint32_t shift_mask(unsigned bits)
{
    return 0xffffffffu >> (32 - bits);
}

static inline uint32_t shift_shl(uint32_t a, unsigned n, unsigned bits)
{
    return a << n & shift_mask(bits);
}

static inline uint32_t shift_shr(uint32_t a, unsigned n)
{
    return a >> n;
}

static inline uint32_t shift_sar(uint32_t a, unsigned n, unsigned bits)
{
    return (uint32_t)((int32_t)(a << (32 - bits)) >> (32 - bits) >> n) & shift_mask(bits);
}

static inline uint32_t shift_rol(uint32_t a, unsigned n, unsigned bits)
{
    n &= bits - 1;
    uint32_t r = a << n | a >> ((bits - n) & 31);
    return n == 0 ? a : r & shift_mask(bits);
}

static inline uint32_t shift_ror(uint32_t a, unsigned n, unsigned bits)
{
    return shift_rol(a, (bits - n) & (bits - 1), bits);
}

/* 16-bit counts over 16 (undefined, SDM 2B SHLD) shift the pair on, zeros following. */
static inline uint32_t shift_shld(uint32_t a, uint32_t b, unsigned n, unsigned bits)
{
    return (uint32_t)(((uint64_t)a << bits | b) << n >> bits) & shift_mask(bits);
}

static inline uint32_t shift_shrd(uint32_t a, uint32_t b, unsigned n, unsigned bits)
{
    return (uint32_t)(((uint64_t)b << bits | a) >> n) & shift_mask(bits);
}

/* Through carry: a rotation of bits + 1 bits, carry above the value. 8- and 16-bit counts are modulo 9
 * and 17. */
static inline unsigned shift_carry_count(unsigned n, unsigned bits)
{
    return bits == 32 ? n : n % (bits + 1);
}

/* Value and, above it, the new carry; n: from shift_carry_count. */
static inline uint64_t shift_rcl(uint32_t a, uint32_t carry, unsigned n, unsigned bits)
{
    uint64_t wide = (uint64_t)carry << bits | a;
    return n == 0 ? wide : wide << n | wide >> (bits + 1 - n);
}

static inline uint64_t shift_rcr(uint32_t a, uint32_t carry, unsigned n, unsigned bits)
{
    return shift_rcl(a, carry, n ? bits + 1 - n : 0, bits);
}

/* --- CF and OF of results; OF as for a count of 1 --- */

static inline uint32_t shift_top(uint32_t r, unsigned bits)
{
    return r >> (bits - 1) & 1;
}

/* Of ROL: CF is the low bit. */
static inline uint32_t shift_rol_of(uint32_t r, unsigned bits)
{
    return shift_top(r, bits) ^ (r & 1);
}

/* Of ROR, whose CF is the top bit, and of RCR. */
static inline uint32_t shift_ror_of(uint32_t r, unsigned bits)
{
    return shift_top(r, bits) ^ (r >> (bits - 2) & 1);
}

/* Of RCL. */
static inline uint32_t shift_rcl_of(uint32_t r, uint32_t cf, unsigned bits)
{
    return shift_top(r, bits) ^ cf;
}

/* All flags of SHLD and SHRD by n, which is not 0. SHRD's OF is a change of sign, SHR's the old sign. */
static inline uint32_t shift_shld_flags(uint32_t a, unsigned n, uint32_t r, unsigned size)
{
    return cc_flags((uint32_t)CC_OP(CC_KIND_SHL, size), a, n, r);
}

static inline uint32_t shift_shrd_flags(uint32_t a, unsigned n, uint32_t r, unsigned size)
{
    uint32_t flags = cc_flags((uint32_t)CC_OP(CC_KIND_SHR, size), a, n, r) & ~(uint32_t)FLAG_OF;
    return flags | (shift_top(a ^ r, 8u << size) ? FLAG_OF : 0);
}

/* --- flags in the CC slots --- */

static inline void cc_slots_set(uint32_t *s, uint32_t flags)
{
    s[IR_CC_OP] = CC_EFLAGS;
    s[IR_CC_R] = flags;
}

static inline uint32_t cc_slots_flags(const uint32_t *s)
{
    return cc_flags(s[IR_CC_OP], s[IR_CC_A], s[IR_CC_B], s[IR_CC_R]);
}

static inline void cc_slots_set_cf(uint32_t *s, uint32_t cf)
{
    cc_slots_set(s, (cc_slots_flags(s) & ~(uint32_t)FLAG_CF) | cf);
}

static inline void cc_slots_set_cf_of(uint32_t *s, uint32_t cf, uint32_t of)
{
    cc_slots_set(s, (cc_slots_flags(s) & ~(uint32_t)(FLAG_CF | FLAG_OF)) | cf | (of ? FLAG_OF : 0));
}

#endif
