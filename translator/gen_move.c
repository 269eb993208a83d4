/* gen_move.c - moves, exchanges, conversions, stack and flag moves. */
#include "translator/gen.h"
#include "translator/operand.h"

/* --- moves --- */

static void load_into_reg(struct builder *b, const struct insn *in, unsigned reg, unsigned i)
{
    const unsigned size = opnd_size(in, i);
    emit_load(b, IR_LD, size, reg, mem_addr(b, in, 0, size, false));
}

void gen_MOV(struct builder *b, const struct insn *in)
{
    if (insn_opnd_is_mem(in, 1) && opnd_size(in, 0) == 2) {
        load_into_reg(b, in, opnd_reg(in, 0), 1);
        return;
    }
    const struct operand d = opnd_locate(b, in, 0, USE_WRITE);
    operand_store(b, &d, opnd_value_low(b, in, 1));
}

void gen_MOVZX(struct builder *b, const struct insn *in)
{
    if (insn_opnd_is_mem(in, 1) && in->opsize == 2)
        load_into_reg(b, in, in->reg, 1);
    else if (in->opsize == 2 && opnd_size(in, 1) == 1)
        emit_unary(b, IR_GETW, 0, 0, in->reg, in->rm);
    else if (in->opsize == 2)
        emit_getb(b, in->reg, in->rm & 3, in->rm >> 2);
    else
        emit_putw(b, in->reg, opnd_value(b, in, 1));
}

void gen_MOVSX(struct builder *b, const struct insn *in)
{
    const struct value src = opnd_value_low(b, in, 1);
    const unsigned size = opnd_size(in, 1);
    if (in->opsize == 2) {
        emit_unary(b, IR_SEXT, size, 0, in->reg, src.slot);
        return;
    }
    const unsigned t = emit_temp(b);
    emit_unary(b, IR_SEXT, size, 0, t, src.slot);
    emit_putw(b, in->reg, value_slot(t));
}

void gen_LEA(struct builder *b, const struct insn *in)
{
    const unsigned dst = in->opsize == 2 ? in->reg : emit_temp(b);
    if (in->addrsize == 2)
        emit_lea(b, dst, in->base, in->index, in->scale, in->disp);
    else
        emit_lea16(b, dst, in->base, in->index, in->disp);
    if (in->opsize == 1)
        emit_putw(b, in->reg, value_slot(dst));
}

void gen_NOP(struct builder *b, const struct insn *in)
{
    (void)b;
    (void)in;
}

void gen_XLAT(struct builder *b, const struct insn *in)
{
    const unsigned al = emit_temp(b), offset = emit_temp(b), t = emit_temp(b);
    const unsigned seg = in->seg_override != SEG_DEFAULT ? in->seg_override : SEG_DS;
    emit_getb(b, al, IR_EAX, 0);
    if (in->addrsize == 2)
        emit_lea(b, offset, IR_EBX, al, 0, 0);
    else
        emit_lea16(b, offset, IR_EBX, al, 0);
    emit_load(b, IR_LD, 0, t, seg_addr(b, seg, offset, 0, false));
    emit_putb(b, IR_EAX, 0, value_slot(t));
}

/* --- conversions --- */

/* CBW, CWDE */
void gen_CBW(struct builder *b, const struct insn *in)
{
    if (in->opsize == 2) {
        emit_unary(b, IR_SEXT, 1, 0, IR_EAX, IR_EAX);
        return;
    }
    const unsigned t = emit_temp(b);
    emit_unary(b, IR_SEXT, 0, 0, t, IR_EAX);
    emit_putw(b, IR_EAX, value_slot(t));
}

/* CWD, CDQ */
void gen_CWD(struct builder *b, const struct insn *in)
{
    if (in->opsize == 2) {
        emit_binary(b, IR_SAR, 2, 0, IR_EDX, IR_EAX, value_imm(31));
        return;
    }
    const unsigned t = emit_temp(b);
    emit_unary(b, IR_SEXT, 1, 0, t, IR_EAX);
    emit_binary(b, IR_SAR, 2, 0, t, t, value_imm(31));
    emit_putw(b, IR_EDX, value_slot(t));
}

/* --- exchanges: the store to memory comes before any register changes --- */

/* A copy of a value that does not follow its register. */
static unsigned copy_of(struct builder *b, unsigned slot)
{
    if (slot >= IR_T0)
        return slot;
    const unsigned t = emit_temp(b);
    emit_mov(b, t, value_slot(slot));
    return t;
}

void gen_XCHG(struct builder *b, const struct insn *in)
{
    const struct operand d = opnd_locate(b, in, 0, USE_RW);
    const struct operand r = opnd_locate(b, in, 1, USE_RW);
    const unsigned old = copy_of(b, operand_load(b, &d));
    const unsigned other = operand_load(b, &r);
    operand_store(b, &d, value_slot(other));
    operand_store(b, &r, value_slot(old));
}

void gen_XADD(struct builder *b, const struct insn *in)
{
    const struct operand d = opnd_locate(b, in, 0, USE_RW);
    const struct operand r = opnd_locate(b, in, 1, USE_RW);
    const unsigned old = operand_load(b, &d);
    const unsigned add = operand_load(b, &r);
    const unsigned sum = emit_temp(b);
    emit_binary(b, IR_ADD, d.size, IRF_FLAGS, sum, old, value_slot(add));
    if (d.is_mem)
        operand_store(b, &d, value_slot(sum));
    operand_store(b, &r, value_slot(old));
    if (!d.is_mem)
        operand_store(b, &d, value_slot(sum));
}

enum { COND_E = 4, COND_NE = 5 };

/* accumulator = old when they differed */
static void accumulate_if_ne(struct builder *b, unsigned size, unsigned acc, unsigned old)
{
    if (size == 2) {
        emit_cond(b, IR_CMOV, COND_NE, IR_EAX, old);
        return;
    }
    const unsigned t = emit_temp(b);
    emit_mov(b, t, value_slot(acc));
    emit_cond(b, IR_CMOV, COND_NE, t, old);
    if (size == 1)
        emit_putw(b, IR_EAX, value_slot(t));
    else
        emit_putb(b, IR_EAX, 0, value_slot(t));
}

/* Memory is written in both cases, as on the hardware. */
void gen_CMPXCHG(struct builder *b, const struct insn *in)
{
    const struct operand d = opnd_locate(b, in, 0, USE_RW);
    const unsigned src = opnd_slot(b, in, 1);
    const unsigned old = copy_of(b, operand_load(b, &d));
    const unsigned acc = reg_value(b, IR_EAX, d.size);
    const unsigned t = emit_temp(b);
    emit_binary(b, IR_SUB, d.size, IRF_FLAGS, IR_NONE, acc, value_slot(old));
    emit_mov(b, t, value_slot(old));
    emit_cond(b, IR_CMOV, COND_E, t, src);
    if (d.is_mem)
        operand_store(b, &d, value_slot(t));
    accumulate_if_ne(b, d.size, acc, old);
    if (!d.is_mem)
        operand_store(b, &d, value_slot(t));
}

void gen_CMPXCHG8B(struct builder *b, const struct insn *in)
{
    const unsigned at = addr_slot(b, mem_addr(b, in, 0, 3, true));
    emit_helper(b, HELPER_CMPXCHG8B)->a = (uint8_t)at;
}

/* --- conditions --- */

void gen_SETCC(struct builder *b, const struct insn *in)
{
    const struct operand d = opnd_locate(b, in, 0, USE_WRITE);
    const unsigned t = emit_temp(b);
    emit_cond(b, IR_SETCC, in->opcode & 15, t, IR_ZERO);
    operand_store(b, &d, value_slot(t));
}

void gen_CMOVCC(struct builder *b, const struct insn *in)
{
    const struct value src = opnd_value_low(b, in, 1); /* memory is read whatever the condition */
    if (in->opsize == 2) {
        emit_cond(b, IR_CMOV, in->opcode & 15, in->reg, src.slot);
        return;
    }
    const unsigned t = emit_temp(b);
    emit_mov(b, t, value_slot(in->reg));
    emit_putw(b, t, src);
    emit_cond(b, IR_CMOV, in->opcode & 15, in->reg, t);
}

enum { COND_B = 2 };

/* AL = CF ? 0xff : 0 */
void gen_SALC(struct builder *b, const struct insn *in)
{
    (void)in;
    const unsigned t = emit_temp(b);
    emit_cond(b, IR_SETCC, COND_B, t, IR_ZERO);
    emit_unary(b, IR_NEG, 2, 0, t, t);
    emit_putb(b, IR_EAX, 0, value_slot(t));
}

/* --- flags --- */

void gen_LAHF(struct builder *b, const struct insn *in)
{
    (void)in;
    const unsigned t = emit_temp(b);
    emit_unary(b, IR_GETFLAGS, 0, 0, t, IR_ZERO);
    emit_binary(b, IR_OR, 2, 0, t, t, value_imm(FLAG_1));
    emit_putb(b, IR_EAX, 1, value_slot(t));
}

void gen_SAHF(struct builder *b, const struct insn *in)
{
    (void)in;
    const unsigned ah = emit_temp(b), flags = emit_temp(b);
    emit_getb(b, ah, IR_EAX, 1);
    emit_binary(b, IR_AND, 2, 0, ah, ah, value_imm(FLAGS_ARITH & 0xff));
    emit_unary(b, IR_GETFLAGS, 0, 0, flags, IR_ZERO);
    emit_binary(b, IR_AND, 2, 0, flags, flags, value_imm(FLAG_OF));
    emit_binary(b, IR_OR, 2, 0, flags, flags, value_slot(ah));
    emit_unary(b, IR_SETFLAGS, 0, IRF_FLAGS, IR_NONE, flags);
}

static void gen_set_cf(struct builder *b, uint32_t what)
{
    struct ir_op *o = emit_raw(b, IR_SETCF);
    o->flags = IRF_FLAGS;
    o->imm = what;
    b->cc = ir_cc_after(b->cc, o);
}

void gen_CLC(struct builder *b, const struct insn *in)
{
    (void)in;
    gen_set_cf(b, 0);
}
void gen_STC(struct builder *b, const struct insn *in)
{
    (void)in;
    gen_set_cf(b, 1);
}
void gen_CMC(struct builder *b, const struct insn *in)
{
    (void)in;
    gen_set_cf(b, 2);
}

/* --- stack --- */

void gen_PUSH(struct builder *b, const struct insn *in)
{
    builder_push(b, in->opsize, opnd_value_low(b, in, 0));
}

static void gen_pop_reg(struct builder *b, unsigned size, unsigned reg)
{
    const bool direct = size == 2 && reg != IR_ESP;
    const unsigned t = stack_load(b, size, direct ? reg : (unsigned)IR_NONE);
    stack_release(b, 1u << size);
    if (!direct)
        reg_store(b, reg, size, value_slot(t)); /* POP ESP: the popped value wins */
}

/* SDM 2B, POP: an address based on ESP is computed after ESP moved. */
static void gen_pop_mem(struct builder *b, const struct insn *in)
{
    const unsigned size = in->opsize;
    const unsigned t = stack_load(b, size, IR_NONE);
    const uint32_t moved = in->addrsize == 2 && in->base == IR_ESP ? 1u << size : 0;
    emit_store(b, size, mem_addr(b, in, moved, size, true), value_slot(t));
    stack_release(b, 1u << size);
}

void gen_POP(struct builder *b, const struct insn *in)
{
    if (insn_opnd_is_mem(in, 0))
        gen_pop_mem(b, in);
    else
        gen_pop_reg(b, in->opsize, opnd_reg(in, 0));
}

void gen_LEAVE(struct builder *b, const struct insn *in)
{
    const unsigned size = in->opsize;
    const bool wide = mode_has(b, TB_MODE_STACK32);
    const unsigned frame = wide ? (unsigned)IR_EBP : emit_temp(b);
    if (!wide)
        emit_unary(b, IR_GETW, 0, 0, frame, IR_EBP);
    const unsigned t = emit_temp(b);
    emit_load(b, IR_LD, size, t, seg_addr(b, SEG_SS, frame, size, false));
    if (wide) {
        emit_lea(b, IR_ESP, frame, IR_ZERO, 0, 1u << size);
    } else {
        emit_lea16(b, frame, frame, IR_ZERO, 1u << size);
        emit_putw(b, IR_ESP, value_slot(frame));
    }
    reg_store(b, IR_EBP, size, value_slot(t));
}

void gen_ENTER(struct builder *b, const struct insn *in)
{
    struct ir_op *o = emit_helper(b, HELPER_ENTER);
    o->size = in->opsize;
    o->imm2 = in->imm | (in->imm2 & 31) << 16;
}

static void gen_sized_helper(struct builder *b, const struct insn *in, enum ir_helper helper)
{
    emit_helper(b, helper)->size = in->opsize;
}

void gen_PUSHA(struct builder *b, const struct insn *in)
{
    gen_sized_helper(b, in, HELPER_PUSHA);
}
void gen_POPA(struct builder *b, const struct insn *in)
{
    gen_sized_helper(b, in, HELPER_POPA);
}
void gen_PUSHF(struct builder *b, const struct insn *in)
{
    if (mode_has(b, TB_MODE_VM86)) {
        gen_sized_helper(b, in, HELPER_PUSHF);
        return;
    }
    const unsigned t = emit_temp(b);
    struct ir_op *o = emit_raw(b, IR_GETFLAGS);
    o->dst = (uint8_t)t;
    o->aux = 1;
    if (in->opsize == 1)
        emit_unary(b, IR_GETW, 0, 0, t, t);
    builder_push(b, in->opsize, value_slot(t));
}
