/* gen_arith.c - integer arithmetic and logic. */
#include "translator/gen.h"
#include "translator/operand.h"

/* --- two operands: op1 = op1 OP op2 --- */

static void gen_alu(struct builder *b, const struct insn *in, enum ir_opcode op)
{
    const struct operand d = opnd_locate(b, in, 0, USE_RW);
    const struct value src = opnd_value(b, in, 1);
    const unsigned old = operand_load(b, &d);
    const unsigned t = operand_target(b, &d);
    emit_binary(b, op, d.size, IRF_FLAGS, t, old, src);
    operand_store(b, &d, value_slot(t));
}

void gen_ADD(struct builder *b, const struct insn *in)
{
    gen_alu(b, in, IR_ADD);
}
void gen_OR(struct builder *b, const struct insn *in)
{
    gen_alu(b, in, IR_OR);
}
void gen_ADC(struct builder *b, const struct insn *in)
{
    gen_alu(b, in, IR_ADC);
}
void gen_SBB(struct builder *b, const struct insn *in)
{
    gen_alu(b, in, IR_SBB);
}
void gen_AND(struct builder *b, const struct insn *in)
{
    gen_alu(b, in, IR_AND);
}
void gen_SUB(struct builder *b, const struct insn *in)
{
    gen_alu(b, in, IR_SUB);
}
void gen_XOR(struct builder *b, const struct insn *in)
{
    gen_alu(b, in, IR_XOR);
}

static void gen_compare(struct builder *b, const struct insn *in, enum ir_opcode op)
{
    const unsigned left = opnd_slot(b, in, 0);
    const struct value right = opnd_value(b, in, 1);
    emit_binary(b, op, opnd_size(in, 0), IRF_FLAGS, IR_NONE, left, right);
}

void gen_CMP(struct builder *b, const struct insn *in)
{
    gen_compare(b, in, IR_SUB);
}
void gen_TEST(struct builder *b, const struct insn *in)
{
    gen_compare(b, in, IR_AND);
}

/* --- one operand --- */

static void gen_unary(struct builder *b, const struct insn *in, enum ir_opcode op, unsigned flags)
{
    const struct operand d = opnd_locate(b, in, 0, USE_RW);
    const unsigned old = operand_load(b, &d);
    const unsigned t = operand_target(b, &d);
    emit_unary(b, op, d.size, flags, t, old);
    operand_store(b, &d, value_slot(t));
}

void gen_INC(struct builder *b, const struct insn *in)
{
    gen_unary(b, in, IR_INC, IRF_FLAGS);
}
void gen_DEC(struct builder *b, const struct insn *in)
{
    gen_unary(b, in, IR_DEC, IRF_FLAGS);
}
void gen_NEG(struct builder *b, const struct insn *in)
{
    gen_unary(b, in, IR_NEG, IRF_FLAGS);
}
void gen_NOT(struct builder *b, const struct insn *in)
{
    gen_unary(b, in, IR_NOT, 0);
}

/* --- multiply and divide --- */

static void emit_multiply(struct builder *b, enum ir_opcode op, unsigned size, unsigned low, unsigned high,
                          unsigned left, unsigned right)
{
    struct ir_op *o = emit_raw(b, op);
    o->size = (uint8_t)size;
    o->flags = IRF_FLAGS;
    o->dst = (uint8_t)low;
    o->aux = (uint8_t)high;
    o->a = (uint8_t)left;
    o->b = (uint8_t)right;
    b->cc = ir_cc_after(b->cc, o);
}

/* (E)DX:(E)AX, or AX, = (E)AX * operand */
static void gen_wide_multiply(struct builder *b, const struct insn *in, enum ir_opcode op)
{
    const unsigned size = opnd_size(in, 0);
    const unsigned src = opnd_slot(b, in, 0);
    if (size == 2) {
        emit_multiply(b, op, 2, IR_EAX, IR_EDX, IR_EAX, src);
        return;
    }
    const unsigned acc = reg_value(b, IR_EAX, size);
    const unsigned low = emit_temp(b);
    const unsigned high = size == 1 ? emit_temp(b) : IR_NONE;
    emit_multiply(b, op, size, low, high, acc, src);
    emit_putw(b, IR_EAX, value_slot(low)); /* 8 bits: the whole product */
    if (size == 1)
        emit_putw(b, IR_EDX, value_slot(high));
}

void gen_MUL(struct builder *b, const struct insn *in)
{
    gen_wide_multiply(b, in, IR_MUL);
}
void gen_IMUL(struct builder *b, const struct insn *in)
{
    gen_wide_multiply(b, in, IR_IMUL);
}

static void gen_multiply(struct builder *b, const struct insn *in, unsigned left, struct value right)
{
    const struct operand d = opnd_locate(b, in, 0, USE_WRITE);
    const unsigned t = operand_target(b, &d);
    emit_binary(b, IR_IMUL2, d.size, IRF_FLAGS, t, left, right);
    operand_store(b, &d, value_slot(t));
}

void gen_IMUL2(struct builder *b, const struct insn *in)
{
    const unsigned left = opnd_slot(b, in, 0);
    gen_multiply(b, in, left, opnd_value(b, in, 1));
}

void gen_IMUL3(struct builder *b, const struct insn *in)
{
    const unsigned left = opnd_slot(b, in, 1);
    gen_multiply(b, in, left, opnd_value(b, in, 2));
}

static void gen_divide(struct builder *b, const struct insn *in, enum ir_helper helper)
{
    const unsigned src = opnd_slot(b, in, 0);
    struct ir_op *o = emit_helper(b, helper);
    o->a = (uint8_t)src;
    o->size = (uint8_t)opnd_size(in, 0);
}

void gen_DIV(struct builder *b, const struct insn *in)
{
    gen_divide(b, in, HELPER_DIV);
}
void gen_IDIV(struct builder *b, const struct insn *in)
{
    gen_divide(b, in, HELPER_IDIV);
}

/* --- decimal --- */

void gen_DAA(struct builder *b, const struct insn *in)
{
    (void)in;
    emit_helper(b, HELPER_DAA);
}
void gen_DAS(struct builder *b, const struct insn *in)
{
    (void)in;
    emit_helper(b, HELPER_DAS);
}
void gen_AAA(struct builder *b, const struct insn *in)
{
    (void)in;
    emit_helper(b, HELPER_AAA);
}
void gen_AAS(struct builder *b, const struct insn *in)
{
    (void)in;
    emit_helper(b, HELPER_AAS);
}
void gen_AAM(struct builder *b, const struct insn *in)
{
    emit_helper(b, HELPER_AAM)->imm2 = in->imm;
}
void gen_AAD(struct builder *b, const struct insn *in)
{
    emit_helper(b, HELPER_AAD)->imm2 = in->imm;
}
