/* eval.c - rare operations in C, on the slots. The formulas are those of interp.c. */
#include "translator/x64/control.h"

#include "clockcore/check.h"
#include "translator/cc_inline.h"

struct eval {
    uint32_t *s;
    const struct ir_op *op;
    unsigned bits, count;
    bool flags;
};

static uint32_t mask_of(const struct eval *e)
{
    return 0xffffffffu >> (32 - e->bits);
}

static void set_cf_of(const struct eval *e, uint32_t cf, uint32_t of)
{
    uint32_t *s = e->s, keep = ~(uint32_t)(FLAG_CF | FLAG_OF);
    s[IR_CC_R] = (cc_flags(s[IR_CC_OP], s[IR_CC_A], s[IR_CC_B], s[IR_CC_R]) & keep) | cf | (of ? FLAG_OF : 0);
    s[IR_CC_OP] = CC_EFLAGS;
}

static uint32_t carry_of(const uint32_t *s)
{
    return cc_cf(s[IR_CC_OP], s[IR_CC_A], s[IR_CC_B], s[IR_CC_R]);
}

static void eval_rotate(const struct eval *e)
{
    const struct ir_op *op = e->op;
    unsigned left = op->op == IR_ROL ? e->count : e->bits - (e->count & (e->bits - 1));
    unsigned n = left & (e->bits - 1);
    uint32_t a = e->s[op->a], r = n == 0 ? a : (a << n | a >> (e->bits - n)) & mask_of(e);
    e->s[op->dst] = r;
    if (!e->flags || !e->count)
        return;
    uint32_t top = r >> (e->bits - 1) & 1;
    if (op->op == IR_ROL)
        set_cf_of(e, r & 1, (top ^ r) & 1);
    else
        set_cf_of(e, top, (top ^ r >> (e->bits - 2)) & 1);
}

static void eval_rotate_carry(const struct eval *e)
{
    const struct ir_op *op = e->op;
    unsigned n = e->bits == 32 ? e->count : e->count % (e->bits + 1);
    unsigned left = op->op == IR_RCL || n == 0 ? n : e->bits + 1 - n;
    uint64_t wide = (uint64_t)carry_of(e->s) << e->bits | e->s[op->a];
    uint64_t turned = left == 0 ? wide : wide << left | wide >> (e->bits + 1 - left);
    uint32_t r = (uint32_t)turned & mask_of(e);
    e->s[op->dst] = r;
    if (!e->flags || !n)
        return;
    uint32_t cf = turned >> e->bits & 1, top = r >> (e->bits - 1) & 1;
    set_cf_of(e, cf, op->op == IR_RCL ? top ^ cf : top ^ (r >> (e->bits - 2) & 1));
}

static void eval_shld(const struct eval *e)
{
    const struct ir_op *op = e->op;
    uint32_t a = e->s[op->a];
    uint64_t pair = (uint64_t)a << e->bits | e->s[op->b];
    uint32_t r = (uint32_t)(pair << e->count >> e->bits) & mask_of(e);
    e->s[op->dst] = r;
    if (!e->flags || !e->count)
        return;
    e->s[IR_CC_R] = cc_flags((uint32_t)CC_OP(CC_KIND_SHL, op->size), a, e->count, r);
    e->s[IR_CC_OP] = CC_EFLAGS;
}

static void eval_shrd(const struct eval *e)
{
    const struct ir_op *op = e->op;
    uint32_t a = e->s[op->a];
    uint64_t pair = (uint64_t)e->s[op->b] << e->bits | a;
    uint32_t r = (uint32_t)(pair >> e->count) & mask_of(e);
    e->s[op->dst] = r;
    if (!e->flags || !e->count)
        return;
    uint32_t f = cc_flags((uint32_t)CC_OP(CC_KIND_SHR, op->size), a, e->count, r) & ~(uint32_t)FLAG_OF;
    e->s[IR_CC_R] = f | ((a ^ r) >> (e->bits - 1) & 1 ? FLAG_OF : 0);
    e->s[IR_CC_OP] = CC_EFLAGS;
}

static uint32_t shifted(const struct eval *e, uint32_t a)
{
    unsigned up = 32 - e->bits;
    if (e->op->op == IR_SHL)
        return a << e->count & mask_of(e);
    if (e->op->op == IR_SHR)
        return a >> e->count;
    return (uint32_t)((int32_t)(a << up) >> up >> e->count) & mask_of(e);
}

static void eval_shift(const struct eval *e)
{
    static const uint8_t kinds[IR_OPCODE_COUNT] = {
        [IR_SHL] = CC_KIND_SHL, [IR_SHR] = CC_KIND_SHR, [IR_SAR] = CC_KIND_SAR};
    uint32_t a = e->s[e->op->a], r = shifted(e, a);
    e->s[e->op->dst] = r;
    if (!e->flags || !e->count)
        return;
    e->s[IR_CC_OP] = (uint32_t)CC_OP(kinds[e->op->op], e->op->size);
    e->s[IR_CC_A] = a;
    e->s[IR_CC_B] = e->count;
    e->s[IR_CC_R] = r;
}

void x64_eval(struct guest_state *g, const struct ir_op *op)
{
    bool is_double = op->op == IR_SHLD || op->op == IR_SHRD;
    uint32_t count = op->flags & IRF_IMM ? op->imm : g->slot[is_double ? op->aux : op->b];
    struct eval e = {g->slot, op, 8u << op->size, count & 31, op->flags & IRF_FLAGS};
    switch (op->op) {
    case IR_ROL:
    case IR_ROR:
        eval_rotate(&e);
        break;
    case IR_RCL:
    case IR_RCR:
        eval_rotate_carry(&e);
        break;
    case IR_SHLD:
        eval_shld(&e);
        break;
    case IR_SHRD:
        eval_shrd(&e);
        break;
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
        eval_shift(&e);
        break;
    default:
        CHECK(!"x64_eval: not one of its operations");
    }
}
