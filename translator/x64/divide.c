/* divide.c - DIV and IDIV (helpers.def) on the host's divider.
 *
 * The guest's dividend and results are in the host registers that the host's instruction uses, and narrow
 * forms keep the rest of them as the guest's do. The host's #DE must not happen: inline is what is seen to
 * fit, DIV when the high half is below the divisor, IDIV when the high half is the sign of the low one (as
 * CDQ leaves it) and the divisor is neither 0 nor -1. All else is the helper's, in far code. Guest flags stay
 * as they are. */
#include "translator/x64/compile.h"
#include "translator/x64/control.h"
#include "translator/x64/flags.h"
#include "translator/x64/fpu.h"
#include "translator/x64/mem.h"
#include "translator/x64/ops.h"

static void far_helper(struct compile *c, const struct far_code *f)
{
    flags_flush_far(c, &f->cc);
    fpu_flush_pending(c, &f->fpu);
    c->fpu_on_host = false; /* not known here */
    fpu_leave(c);
    if (f->op->a >= IR_T0)
        x_store(&c->b, SZ32, mem_slot(f->op->a), f->reg);
    x_push(&c->b, R8); /* flags may be in these (flags.h) */
    x_push(&c->b, R9);
    emit_helper_call(c, f->op);
    x_pop(&c->b, R9);
    x_pop(&c->b, R8);
    x_test(&c->b, SZ32, RAX, RAX);
    uint8_t *fault = x_jcc(&c->b, CC_NE);
    reg_load_guest(&c->b);
    x_jmp_to(&c->b, f->back);
    x_patch_here(&c->b, fault);
    emit_exit_op(c, X64_EXIT_FAULT, f->op, true);
}

/* Leaves to the helper unless the quotient fits. */
static void check_unsigned(struct compile *c, unsigned size, unsigned divisor, struct far_code *f)
{
    unsigned high = RDX;
    if (size == SZ8) {
        x_movzx(&c->b, SZ16, SCRATCH1, RAX);
        x_shift_imm(&c->b, SH_SHR, SZ32, SCRATCH1, 8);
        high = SCRATCH1;
    }
    x_alu(&c->b, ALU_CMP, size, high, divisor);
    f->from[0] = x_jcc(&c->b, CC_AE);
}

/* Host ZF: the dividend is its low half, sign-extended. */
static void compare_extended(struct compile *c, unsigned size)
{
    if (size == SZ8) {
        x_movsx(&c->b, SZ8, SCRATCH1, RAX);
        x_alu(&c->b, ALU_CMP, SZ16, SCRATCH1, RAX);
        return;
    }
    if (size == SZ16)
        x_movsx(&c->b, SZ16, SCRATCH1, RAX);
    else
        x_mov(&c->b, SZ32, SCRATCH1, RAX);
    x_shift_imm(&c->b, SH_SAR, SZ32, SCRATCH1, 31);
    x_alu(&c->b, ALU_CMP, size, SCRATCH1, RDX);
}

static void check_signed(struct compile *c, unsigned size, unsigned divisor, struct far_code *f)
{
    compare_extended(c, size);
    f->from[0] = x_jcc(&c->b, CC_NE);
    if (size == SZ32)
        x_mov(&c->b, SZ32, SCRATCH1, divisor);
    else
        x_movsx(&c->b, size, SCRATCH1, divisor);
    x_alu_imm(&c->b, ALU_ADD, SZ32, SCRATCH1, 1); /* 0 or -1 becomes 1 or 0 */
    x_alu_imm(&c->b, ALU_CMP, SZ32, SCRATCH1, 1);
    f->from[1] = x_jcc(&c->b, CC_BE);
}

void emit_divide(struct compile *c, const struct ir_op *op)
{
    bool is_signed = op->imm == HELPER_IDIV;
    flags_settle_rotate(c); /* the helper's way comes back */
    unsigned divisor = reg_src(c, op->a);
    flags_before_write(c, RAX);
    flags_before_write(c, RDX);
    struct far_code *f = far_add(c, far_helper, NULL);
    f->reg = (uint8_t)divisor;
    c->fpu_on_host = false; /* the helper takes it away */
    if (is_signed)
        check_signed(c, op->size, divisor, f);
    else
        check_unsigned(c, op->size, divisor, f);
    x_unary(&c->b, is_signed ? UN_IDIV : UN_DIV, op->size, divisor);
    f->back = c->b.at;
}
