/* eval.c - rare operations in C, on the slots, by the formulas of translator/shift.h. */
#include "translator/x64/control.h"

#include "clockcore/check.h"
#include "translator/shift.h"

struct eval {
    uint32_t *s;
    const struct ir_op *op;
    unsigned bits, count;
    bool flags;
};

static uint32_t carry_of(const uint32_t *s)
{
    return cc_cf(s[IR_CC_OP], s[IR_CC_A], s[IR_CC_B], s[IR_CC_R]);
}

static void eval_rotate(const struct eval *e)
{
    bool left = e->op->op == IR_ROL;
    uint32_t a = e->s[e->op->a], r = left ? shift_rol(a, e->count, e->bits) : shift_ror(a, e->count, e->bits);
    e->s[e->op->dst] = r;
    if (!e->flags || !e->count)
        return;
    if (left)
        cc_slots_set_cf_of(e->s, r & 1, shift_rol_of(r, e->bits));
    else
        cc_slots_set_cf_of(e->s, shift_top(r, e->bits), shift_ror_of(r, e->bits));
}

static void eval_rotate_carry(const struct eval *e)
{
    bool left = e->op->op == IR_RCL;
    unsigned n = shift_carry_count(e->count, e->bits);
    uint32_t a = e->s[e->op->a], carry = carry_of(e->s);
    uint64_t turned = left ? shift_rcl(a, carry, n, e->bits) : shift_rcr(a, carry, n, e->bits);
    uint32_t r = (uint32_t)turned & shift_mask(e->bits), cf = turned >> e->bits & 1;
    e->s[e->op->dst] = r;
    if (e->flags && n)
        cc_slots_set_cf_of(e->s, cf, left ? shift_rcl_of(r, cf, e->bits) : shift_ror_of(r, e->bits));
}

static void eval_double(const struct eval *e)
{
    bool left = e->op->op == IR_SHLD;
    unsigned n = e->count, size = e->op->size;
    uint32_t a = e->s[e->op->a], b = e->s[e->op->b];
    uint32_t r = left ? shift_shld(a, b, n, e->bits) : shift_shrd(a, b, n, e->bits);
    e->s[e->op->dst] = r;
    if (e->flags && n)
        cc_slots_set(e->s, left ? shift_shld_flags(a, n, r, size) : shift_shrd_flags(a, n, r, size));
}

static uint32_t shifted(const struct eval *e, uint32_t a)
{
    switch (e->op->op) {
    case IR_SHL:
        return shift_shl(a, e->count, e->bits);
    case IR_SHR:
        return shift_shr(a, e->count);
    default:
        return shift_sar(a, e->count, e->bits);
    }
}

static void eval_shift(const struct eval *e)
{
    uint32_t a = e->s[e->op->a], r = shifted(e, a);
    e->s[e->op->dst] = r;
    if (!e->flags || !e->count)
        return;
    e->s[IR_CC_OP] = (uint32_t)CC_OP(ir_op_info[e->op->op].writes, e->op->size);
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
    case IR_SHRD:
        eval_double(&e);
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
