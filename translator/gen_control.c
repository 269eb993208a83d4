/* gen_control.c - jumps, calls, returns, loops, software interrupts.
 *
 * Outside flat mode the target is checked against the CS limit before anything is written, so that the #GP
 * belongs to the jump. The limit is part of a block's key (tb.h): a static target within it needs no check
 * when the block runs, nor does any of 16 bits within one of 64 KiB. With 16-bit operand size targets are
 * masked to 16 bits. */
#include "translator/gen.h"
#include "translator/operand.h"

static uint32_t mask_ip(const struct insn *in, uint32_t eip)
{
    return eip & size_mask(in->opsize);
}

/* Target of a relative jump. */
static uint32_t target_eip(struct builder *b, const struct insn *in)
{
    b->out->fixed |= in->opsize < 2;
    return mask_ip(in, b->next_eip + in->imm);
}

static bool is_beyond_limit(const struct builder *b, uint32_t eip)
{
    return !mode_has(b, TB_MODE_FLAT) && eip > b->req->cs_limit;
}

static void check_ip(struct builder *b, unsigned slot)
{
    emit_helper(b, HELPER_CHECK_IP)->a = (uint8_t)slot;
}

/* An indirect jump's: its operand size bounds it. */
static void check_indirect_ip(struct builder *b, const struct insn *in, unsigned slot)
{
    if (is_beyond_limit(b, size_mask(in->opsize)))
        check_ip(b, slot);
}

static void check_static_ip(struct builder *b, uint32_t eip)
{
    if (is_beyond_limit(b, eip))
        check_ip(b, value_in_slot(b, value_imm(eip)));
}

/* --- jumps --- */

void gen_JMP(struct builder *b, const struct insn *in)
{
    const uint32_t target = target_eip(b, in);
    check_static_ip(b, target);
    emit_goto(b, target);
}

/* Checks the target only when the condition holds: 0 is within every limit. */
static void check_ip_if(struct builder *b, unsigned cond, uint32_t target)
{
    if (!is_beyond_limit(b, target))
        return;
    const unsigned to = value_in_slot(b, value_imm(target));
    const unsigned t = emit_temp(b);
    emit_mov(b, t, value_imm(0));
    emit_cond(b, IR_CMOV, cond, t, to);
    check_ip(b, t);
}

void gen_JCC(struct builder *b, const struct insn *in)
{
    const uint32_t target = target_eip(b, in);
    check_ip_if(b, in->opcode & 15, target);
    emit_jcc(b, in->opcode & 15, target, b->next_eip);
}

void gen_JMP_IND(struct builder *b, const struct insn *in)
{
    const unsigned to = opnd_slot(b, in, 0);
    check_indirect_ip(b, in, to);
    emit_jmpind(b, to);
}

/* --- loops: the count is ECX or CX by address size --- */

/* target when `taken` is not 0, else 0. */
static void check_ip_if_nonzero(struct builder *b, unsigned taken, uint32_t target)
{
    if (!is_beyond_limit(b, target))
        return;
    const unsigned t = emit_temp(b);
    emit_unary(b, IR_NEG, 2, 0, t, taken);
    emit_binary(b, IR_OR, 2, 0, t, t, value_slot(taken));
    emit_binary(b, IR_SAR, 2, 0, t, t, value_imm(31));
    emit_binary(b, IR_AND, 2, 0, t, t, value_imm(target));
    check_ip(b, t);
}

static unsigned decremented_count(struct builder *b, const struct insn *in)
{
    const unsigned t = emit_temp(b);
    if (in->addrsize == 2)
        emit_binary(b, IR_ADD, 2, 0, t, IR_ECX, value_imm(0xffffffff));
    else
        emit_lea16(b, t, IR_ECX, IR_ZERO, 0xffffffff);
    return t;
}

static void finish_loop(struct builder *b, const struct insn *in, unsigned count, unsigned taken)
{
    const uint32_t target = target_eip(b, in);
    check_ip_if_nonzero(b, taken, target);
    reg_store(b, IR_ECX, in->addrsize, value_slot(count));
    emit_jnz(b, taken, target, b->next_eip);
}

void gen_LOOP(struct builder *b, const struct insn *in)
{
    const unsigned count = decremented_count(b, in);
    finish_loop(b, in, count, count);
}

enum { COND_E = 4, COND_NE = 5 };

static void gen_loop_cond(struct builder *b, const struct insn *in, unsigned cond)
{
    const unsigned count = decremented_count(b, in);
    const unsigned taken = emit_temp(b);
    emit_mov(b, taken, value_imm(0));
    emit_cond(b, IR_CMOV, cond, taken, count);
    finish_loop(b, in, count, taken);
}

void gen_LOOPE(struct builder *b, const struct insn *in)
{
    gen_loop_cond(b, in, COND_E);
}
void gen_LOOPNE(struct builder *b, const struct insn *in)
{
    gen_loop_cond(b, in, COND_NE);
}

void gen_JCXZ(struct builder *b, const struct insn *in)
{
    const uint32_t target = target_eip(b, in);
    const unsigned count = reg_value(b, IR_ECX, in->addrsize);
    if (is_beyond_limit(b, target)) {
        /* ~(count | -count) >> 31: all ones when the count is 0 */
        const unsigned t = emit_temp(b);
        emit_unary(b, IR_NEG, 2, 0, t, count);
        emit_binary(b, IR_OR, 2, 0, t, t, value_slot(count));
        emit_unary(b, IR_NOT, 2, 0, t, t);
        emit_binary(b, IR_SAR, 2, 0, t, t, value_imm(31));
        emit_binary(b, IR_AND, 2, 0, t, t, value_imm(target));
        check_ip(b, t);
    }
    emit_jnz(b, count, b->next_eip, target);
}

/* --- calls and returns --- */

void gen_CALL(struct builder *b, const struct insn *in)
{
    const uint32_t target = target_eip(b, in);
    check_static_ip(b, target);
    builder_push(b, in->opsize, value_eip(b->next_eip));
    emit_call(b, target);
}

void gen_CALL_IND(struct builder *b, const struct insn *in)
{
    unsigned to = opnd_slot(b, in, 0);
    if (to == IR_ESP) { /* CALL ESP: the value before the push */
        to = emit_temp(b);
        emit_mov(b, to, value_slot(IR_ESP));
    }
    check_indirect_ip(b, in, to);
    builder_push(b, in->opsize, value_eip(b->next_eip));
    emit_jmpind(b, to);
}

void gen_RET(struct builder *b, const struct insn *in)
{
    const unsigned to = stack_load(b, in->opsize, IR_NONE);
    check_indirect_ip(b, in, to);
    stack_release(b, (1u << in->opsize) + in->imm);
    emit_return(b, to);
}

/* --- far transfers --- */

struct far_pointer {
    unsigned selector, offset; /* slots */
};

static struct far_pointer load_far_pointer(struct builder *b, const struct insn *in)
{
    struct far_pointer p = {emit_temp(b), emit_temp(b)};
    if (in->row->opnd[0] == OP_Ap) {
        emit_mov(b, p.selector, value_imm(in->imm2));
        emit_mov(b, p.offset, value_imm(in->imm));
        return p;
    }
    emit_load(b, IR_LD, in->opsize, p.offset, mem_addr(b, in, 0, in->opsize, false));
    emit_load(b, IR_LD, 1, p.selector, mem_addr(b, in, 1u << in->opsize, 1, false));
    return p;
}

static void gen_far(struct builder *b, const struct insn *in, enum ir_helper helper)
{
    const struct far_pointer p = load_far_pointer(b, in);
    struct ir_op *o = emit_helper_next(b, helper);
    o->a = (uint8_t)p.selector;
    o->b = (uint8_t)p.offset;
    o->size = in->opsize;
    emit_leave(b);
}

void gen_CALL_FAR(struct builder *b, const struct insn *in)
{
    gen_far(b, in, HELPER_CALL_FAR);
}
void gen_JMP_FAR(struct builder *b, const struct insn *in)
{
    gen_far(b, in, HELPER_JMP_FAR);
}

void gen_RET_FAR(struct builder *b, const struct insn *in)
{
    struct ir_op *o = emit_helper(b, HELPER_RET_FAR);
    o->size = in->opsize;
    o->imm2 = in->imm;
    emit_leave(b);
}

void gen_IRET(struct builder *b, const struct insn *in)
{
    emit_helper_next(b, HELPER_IRET)->size = in->opsize;
    emit_leave(b);
}

/* --- software interrupts and traps --- */

static void gen_interrupt(struct builder *b, enum ir_helper helper, unsigned vector, unsigned kind)
{
    struct ir_op *o = emit_helper_next(b, helper);
    o->aux = (uint8_t)vector;
    o->size = (uint8_t)kind;
    emit_leave(b);
}

enum { KIND_INT_N, KIND_INT3, KIND_INTO };

void gen_INT(struct builder *b, const struct insn *in)
{
    gen_interrupt(b, HELPER_INT, in->imm, KIND_INT_N);
}
void gen_INT3(struct builder *b, const struct insn *in)
{
    (void)in;
    gen_interrupt(b, HELPER_INT, 3, KIND_INT3);
}
void gen_INTO(struct builder *b, const struct insn *in)
{
    (void)in;
    gen_interrupt(b, HELPER_INTO, 4, KIND_INTO);
}
void gen_INT1(struct builder *b, const struct insn *in)
{
    (void)in;
    gen_interrupt(b, HELPER_INT1, 1, 0);
}

void gen_UD(struct builder *b, const struct insn *in)
{
    (void)in;
    emit_raise(b, VECTOR_UD);
}

void gen_BOUND(struct builder *b, const struct insn *in)
{
    const unsigned size = in->opsize;
    const unsigned index = reg_value(b, in->reg, size);
    const struct addr at = mem_addr(b, in, 0, size, false);
    if (!seg_is_flat(b, in->seg))
        mem_addr(b, in, 1u << size, size, false); /* the upper bound's own check */
    const unsigned pair = addr_slot(b, at);
    struct ir_op *o = emit_helper(b, HELPER_BOUND);
    o->a = (uint8_t)index;
    o->b = (uint8_t)pair;
    o->size = (uint8_t)size;
}
