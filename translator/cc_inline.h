/* cc_inline.h - the flag formulas of cc.h, inline: with a constant kind and size the compiler keeps only
 * one formula. cc.c and the interpreter include it.
 *
 * Undefined flags (SDM 1 appendix A) that a formula fixes: AF after shifts and MUL is 0 and comes from
 * no operand; OF after shifts by more than 1 follows the formula of shifts by 1. */
#ifndef TANDEM_TRANSLATOR_CC_INLINE_H
#define TANDEM_TRANSLATOR_CC_INLINE_H

#include "translator/cc.h"

static inline uint32_t cc_mask(unsigned size)
{
    return 0xffffffffu >> (32 - (8u << size));
}
static inline uint32_t cc_sign(unsigned size)
{
    return 1u << ((8u << size) - 1);
}

/* 1 when the low byte of r has an even number of ones. */
static inline uint32_t cc_parity(uint32_t r)
{
    return (uint32_t)!__builtin_parity(r & 0xff);
}

static inline uint32_t cc_cf_of(unsigned kind, unsigned size, uint32_t a, uint32_t b, uint32_t r)
{
    const unsigned bits = 8u << size;
    switch (kind) {
    case CC_KIND_ADD:
        return r < a;
    case CC_KIND_ADC:
        return (((a & b) | ((a | b) & ~r)) & cc_sign(size)) != 0;
    case CC_KIND_SUB:
        return a < b;
    case CC_KIND_SBB:
        return (((~a & b) | (~(a ^ b) & r)) & cc_sign(size)) != 0;
    case CC_KIND_INC:
    case CC_KIND_DEC:
        return b & 1;
    case CC_KIND_SHL:
        return (uint32_t)((uint64_t)a << (b & 31) >> bits) & 1;
    case CC_KIND_SHR:
    case CC_KIND_SHRD:
        return a >> ((b - 1) & 31) & 1;
    case CC_KIND_SAR:
        return (uint32_t)((int32_t)(a << (32 - bits)) >> (32 - bits) >> ((b - 1) & 31)) & 1;
    case CC_KIND_MUL:
        return b != 0;
    case CC_KIND_COUNT:
        return r & FLAG_CF; /* CC_EFLAGS */
    default:
        return 0; /* CC_KIND_LOGIC */
    }
}

static inline bool cc_of_of(unsigned kind, unsigned size, uint32_t a, uint32_t b, uint32_t r)
{
    const uint32_t sign = cc_sign(size);
    switch (kind) {
    case CC_KIND_ADD:
    case CC_KIND_ADC:
        return ((a ^ r) & (b ^ r) & sign) != 0;
    case CC_KIND_SUB:
    case CC_KIND_SBB:
        return ((a ^ b) & (a ^ r) & sign) != 0;
    case CC_KIND_INC:
        return r == sign;
    case CC_KIND_DEC:
        return r == sign - 1;
    case CC_KIND_SHL:
        return ((r & sign) != 0) != (cc_cf_of(kind, size, a, b, r) != 0);
    case CC_KIND_SHR:
        return (a & sign) != 0;
    case CC_KIND_SHRD:
        return ((a ^ r) & sign) != 0;
    case CC_KIND_MUL:
        return b != 0;
    case CC_KIND_COUNT:
        return (r & FLAG_OF) != 0;
    default:
        return false; /* LOGIC, SAR */
    }
}

static inline uint32_t cc_af_of(unsigned kind, uint32_t a, uint32_t b, uint32_t r)
{
    switch (kind) {
    case CC_KIND_ADD:
    case CC_KIND_ADC:
    case CC_KIND_SUB:
    case CC_KIND_SBB:
        return (a ^ b ^ r) & FLAG_AF;
    case CC_KIND_INC:
        return (r & 15) == 0 ? FLAG_AF : 0;
    case CC_KIND_DEC:
        return (r & 15) == 15 ? FLAG_AF : 0;
    default:
        return 0;
    }
}

/* FLAGS_ARITH bits. */
static inline uint32_t cc_flags_of(unsigned kind, unsigned size, uint32_t a, uint32_t b, uint32_t r)
{
    if (kind == CC_KIND_COUNT)
        return r & FLAGS_ARITH;
    return cc_cf_of(kind, size, a, b, r) | (cc_parity(r) ? FLAG_PF : 0) | cc_af_of(kind, a, b, r) |
           ((r & cc_mask(size)) == 0 ? FLAG_ZF : 0) | (r & cc_sign(size) ? FLAG_SF : 0) |
           (cc_of_of(kind, size, a, b, r) ? FLAG_OF : 0);
}

static inline bool cc_zf_of(unsigned kind, uint32_t r)
{
    return kind == CC_KIND_COUNT ? (r & FLAG_ZF) != 0 : r == 0;
}
static inline bool cc_sf_of(unsigned kind, unsigned size, uint32_t r)
{
    return kind == CC_KIND_COUNT ? (r & FLAG_SF) != 0 : (r & cc_sign(size)) != 0;
}
static inline bool cc_pf_of(unsigned kind, uint32_t r)
{
    return kind == CC_KIND_COUNT ? (r & FLAG_PF) != 0 : cc_parity(r) != 0;
}

/* SF != OF; for SUB that is the signed comparison itself. */
static inline bool cc_less_of(unsigned kind, unsigned size, uint32_t a, uint32_t b, uint32_t r)
{
    const unsigned up = 32 - (8u << size);
    if (kind == CC_KIND_SUB)
        return (int32_t)(a << up) < (int32_t)(b << up);
    return cc_sf_of(kind, size, r) != cc_of_of(kind, size, a, b, r);
}

/* SDM tttn condition codes; bit 0 negates. */
static inline bool cc_cond_of(unsigned kind, unsigned size, uint32_t a, uint32_t b, uint32_t r, unsigned cond)
{
    bool yes = false;
    switch (cond >> 1 & 7) {
    case 0:
        yes = cc_of_of(kind, size, a, b, r);
        break;
    case 1:
        yes = cc_cf_of(kind, size, a, b, r) != 0;
        break;
    case 2:
        yes = cc_zf_of(kind, r);
        break;
    case 3:
        yes = cc_cf_of(kind, size, a, b, r) != 0 || cc_zf_of(kind, r);
        break;
    case 4:
        yes = cc_sf_of(kind, size, r);
        break;
    case 5:
        yes = cc_pf_of(kind, r);
        break;
    case 6:
        yes = cc_less_of(kind, size, a, b, r);
        break;
    case 7:
        yes = cc_less_of(kind, size, a, b, r) || cc_zf_of(kind, r);
        break;
    }
    return yes != (cond & 1);
}

#endif
