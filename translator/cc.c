/* cc.c - flags from their symbolic form: one table of the inline formulas, specialised by kind and size. */
#include "translator/cc_inline.h"

#define CC_KINDS(ROW)                                                                                        \
    ROW(ADD)                                                                                                 \
    ROW(ADC) ROW(SUB) ROW(SBB) ROW(LOGIC) ROW(INC) ROW(DEC) ROW(SHL) ROW(SHR) ROW(SAR) ROW(MUL) ROW(SHRD)
#define CC_CASES(fn, name, ...)                                                                              \
    case CC_OP(CC_KIND_##name, 0):                                                                           \
        return fn(CC_KIND_##name, 0, __VA_ARGS__);                                                           \
    case CC_OP(CC_KIND_##name, 1):                                                                           \
        return fn(CC_KIND_##name, 1, __VA_ARGS__);                                                           \
    case CC_OP(CC_KIND_##name, 2):                                                                           \
        return fn(CC_KIND_##name, 2, __VA_ARGS__);
/* Kinds of which one value is to be computed. */
#define CC_COMPARE(size) CC_OP(CC_KIND_CMP, size)
#define CC_SUM(size)     CC_OP(CC_KIND_SUM, size)
#define CC_DIFF(size)    CC_OP(CC_KIND_DIFF, size)
static uint32_t compared(unsigned size, uint32_t a, uint32_t b)
{
    return (a - b) & cc_mask(size);
}
static uint32_t added_to(unsigned size, uint32_t b, uint32_t r)
{
    return (r - b) & cc_mask(size);
}
static uint32_t subtracted_from(unsigned size, uint32_t b, uint32_t r)
{
    return (r + b) & cc_mask(size);
}

static uint32_t carry_given(uint32_t op)
{
    return op >> CC_CARRY_SHIFT & 1;
}

static uint32_t flags_with_carry(uint32_t op, uint32_t a, uint32_t b, uint32_t r)
{
    return (cc_flags(op & CC_OP_MASK, a, b, r) & ~(uint32_t)FLAG_CF) | carry_given(op);
}

uint32_t cc_flags(uint32_t op, uint32_t a, uint32_t b, uint32_t r)
{
    switch (op) {
#define ROW(name) CC_CASES(cc_flags_of, name, a, b, r)
        CC_KINDS(ROW)
#undef ROW
    case CC_COMPARE(0):
    case CC_COMPARE(1):
    case CC_COMPARE(2):
        return cc_flags_of(CC_KIND_SUB, op % 3, a, b, compared(op % 3, a, b));
    case CC_SUM(0):
    case CC_SUM(1):
    case CC_SUM(2):
        return cc_flags_of(CC_KIND_ADD, op % 3, added_to(op % 3, b, r), b, r);
    case CC_DIFF(0):
    case CC_DIFF(1):
    case CC_DIFF(2):
        return cc_flags_of(CC_KIND_SUB, op % 3, subtracted_from(op % 3, b, r), b, r);
    default:
        return op & CC_CARRY_GIVEN ? flags_with_carry(op, a, b, r) : cc_flags_of(CC_KIND_COUNT, 2, a, b, r);
    }
}

uint32_t cc_cf(uint32_t op, uint32_t a, uint32_t b, uint32_t r)
{
    switch (op) {
#define ROW(name) CC_CASES(cc_cf_of, name, a, b, r)
        CC_KINDS(ROW)
#undef ROW
    case CC_COMPARE(0):
    case CC_COMPARE(1):
    case CC_COMPARE(2):
        return a < b;
    case CC_SUM(0):
    case CC_SUM(1):
    case CC_SUM(2):
        return r < b;
    case CC_DIFF(0):
    case CC_DIFF(1):
    case CC_DIFF(2):
        return subtracted_from(op % 3, b, r) < b;
    default:
        return op & CC_CARRY_GIVEN ? carry_given(op) : cc_cf_of(CC_KIND_COUNT, 2, a, b, r);
    }
}

bool cc_cond(uint32_t op, uint32_t a, uint32_t b, uint32_t r, unsigned cond)
{
    switch (op) {
#define ROW(name) CC_CASES(cc_cond_of, name, a, b, r, cond)
        CC_KINDS(ROW)
#undef ROW
    case CC_COMPARE(0):
    case CC_COMPARE(1):
    case CC_COMPARE(2):
        return cc_cond_of(CC_KIND_SUB, op % 3, a, b, compared(op % 3, a, b), cond);
    case CC_SUM(0):
    case CC_SUM(1):
    case CC_SUM(2):
        return cc_cond_of(CC_KIND_ADD, op % 3, added_to(op % 3, b, r), b, r, cond);
    case CC_DIFF(0):
    case CC_DIFF(1):
    case CC_DIFF(2):
        return cc_cond_of(CC_KIND_SUB, op % 3, subtracted_from(op % 3, b, r), b, r, cond);
    default:
        r = op & CC_CARRY_GIVEN ? flags_with_carry(op, a, b, r) : r;
        return cc_cond_of(CC_KIND_COUNT, 2, a, b, r, cond);
    }
}

uint32_t guest_eflags(const struct guest_state *g)
{
    const uint32_t *s = g->slot;
    return g->eflags | FLAG_1 | (g->df < 0 ? FLAG_DF : 0) |
           cc_flags(s[IR_CC_OP], s[IR_CC_A], s[IR_CC_B], s[IR_CC_R]);
}

uint32_t guest_pushed_eflags(const struct guest_state *g)
{
    return guest_eflags(g) & ~(uint32_t)(FLAG_VM | FLAG_RF);
}

void guest_set_arith_flags(struct guest_state *g, uint32_t eflags)
{
    g->slot[IR_CC_OP] = CC_EFLAGS;
    g->slot[IR_CC_A] = 0;
    g->slot[IR_CC_B] = 0;
    g->slot[IR_CC_R] = eflags & FLAGS_ARITH;
    g->df = eflags & FLAG_DF ? -1 : 1;
}
