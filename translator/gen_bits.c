/* gen_bits.c - shifts, rotates and bit instructions. */
#include "translator/gen.h"
#include "translator/operand.h"

/* --- shifts and rotates --- */

/* The count of operand i: an immediate, or ECX (ops use its low five bits, as the SDM masks CL). */
static struct value shift_count(struct builder *b, const struct insn *in, unsigned i)
{
    if (in->row->opnd[i] == OP_CL)
        return value_slot(IR_ECX);
    const struct value n = opnd_value(b, in, i);
    return value_imm(n.imm & 31);
}

static bool is_zero_count(struct value n)
{
    return n.is_imm && n.imm == 0;
}

static void gen_shift(struct builder *b, const struct insn *in, enum ir_opcode op)
{
    const struct operand d = opnd_locate(b, in, 0, USE_RW);
    const struct value count = shift_count(b, in, 1);
    const unsigned old = operand_load(b, &d);
    if (is_zero_count(count))
        return; /* flags and operand stay; memory was checked */
    const unsigned t = operand_target(b, &d);
    emit_binary(b, op, d.size, IRF_FLAGS, t, old, count);
    operand_store(b, &d, value_slot(t));
}

void gen_ROL(struct builder *b, const struct insn *in)
{
    gen_shift(b, in, IR_ROL);
}
void gen_ROR(struct builder *b, const struct insn *in)
{
    gen_shift(b, in, IR_ROR);
}
void gen_RCL(struct builder *b, const struct insn *in)
{
    gen_shift(b, in, IR_RCL);
}
void gen_RCR(struct builder *b, const struct insn *in)
{
    gen_shift(b, in, IR_RCR);
}
void gen_SHL(struct builder *b, const struct insn *in)
{
    gen_shift(b, in, IR_SHL);
}
void gen_SHR(struct builder *b, const struct insn *in)
{
    gen_shift(b, in, IR_SHR);
}
void gen_SAR(struct builder *b, const struct insn *in)
{
    gen_shift(b, in, IR_SAR);
}

static void emit_double_shift(struct builder *b, enum ir_opcode op, unsigned size, unsigned dst,
                              unsigned left, unsigned right, struct value count)
{
    struct ir_op *o = emit_raw(b, op);
    o->size = (uint8_t)size;
    o->flags = IRF_FLAGS;
    o->dst = (uint8_t)dst;
    o->a = (uint8_t)left;
    o->b = (uint8_t)right;
    if (count.is_imm) {
        o->flags |= IRF_IMM;
        o->imm = count.imm;
    } else {
        o->aux = count.slot;
    }
    b->cc = ir_cc_after(b->cc, o);
}

static void gen_double_shift(struct builder *b, const struct insn *in, enum ir_opcode op)
{
    const struct operand d = opnd_locate(b, in, 0, USE_RW);
    const struct value count = shift_count(b, in, 2);
    const unsigned filler = opnd_slot(b, in, 1);
    const unsigned old = operand_load(b, &d);
    if (is_zero_count(count))
        return;
    const unsigned t = operand_target(b, &d);
    emit_double_shift(b, op, d.size, t, old, filler, count);
    operand_store(b, &d, value_slot(t));
}

void gen_SHLD(struct builder *b, const struct insn *in)
{
    gen_double_shift(b, in, IR_SHLD);
}
void gen_SHRD(struct builder *b, const struct insn *in)
{
    gen_double_shift(b, in, IR_SHRD);
}

/* --- bit tests --- */

/* A register bit offset reaches beyond a memory operand (SDM 2A 3.1.1.9, BitBase): the address of the
 * 16- or 32-bit unit that holds the bit, offset signed. */
static struct addr bit_string_addr(struct builder *b, const struct insn *in, unsigned size, bool write)
{
    const unsigned unit_shift = size + 3; /* bit offset >> 4 or 5 is the unit; times 2 or 4 bytes */
    const unsigned unit = emit_temp(b);
    unsigned bit = in->reg;
    if (size == 1) {
        emit_unary(b, IR_SEXT, 1, 0, unit, bit);
        bit = unit;
    }
    emit_binary(b, IR_SAR, 2, 0, unit, bit, value_imm(unit_shift));
    const unsigned base = mem_offset(b, in, 0);
    const unsigned at = emit_temp(b);
    emit_lea(b, at, base, unit, size, 0);
    if (in->addrsize == 1)
        emit_unary(b, IR_GETW, 0, 0, at, at);
    return seg_addr(b, in->seg, at, size, write);
}

static struct operand bit_locate(struct builder *b, const struct insn *in, enum operand_use use)
{
    if (!insn_opnd_is_mem(in, 0) || in->row->opnd[1] == OP_Ib)
        return opnd_locate(b, in, 0, use);
    struct operand p = {.is_mem = true, .size = in->opsize, .use = (uint8_t)use};
    p.at = bit_string_addr(b, in, p.size, use != USE_READ);
    return p;
}

static void gen_bit(struct builder *b, const struct insn *in, enum ir_opcode op)
{
    const bool writes = op != IR_BT;
    const struct operand d = bit_locate(b, in, writes ? USE_RW : USE_READ);
    const struct value bit = opnd_value(b, in, 1);
    const unsigned old = operand_load(b, &d);
    const unsigned t = writes ? operand_target(b, &d) : (unsigned)IR_NONE;
    emit_binary(b, op, d.size, IRF_FLAGS, t, old, bit);
    if (writes)
        operand_store(b, &d, value_slot(t));
}

void gen_BT(struct builder *b, const struct insn *in)
{
    gen_bit(b, in, IR_BT);
}
void gen_BTS(struct builder *b, const struct insn *in)
{
    gen_bit(b, in, IR_BTS);
}
void gen_BTR(struct builder *b, const struct insn *in)
{
    gen_bit(b, in, IR_BTR);
}
void gen_BTC(struct builder *b, const struct insn *in)
{
    gen_bit(b, in, IR_BTC);
}

/* The op keeps its dst when the source is 0: it must hold the old value. */
static void gen_bit_scan(struct builder *b, const struct insn *in, enum ir_opcode op)
{
    const unsigned src = opnd_slot(b, in, 1);
    if (in->opsize == 2) {
        emit_unary(b, op, 2, IRF_FLAGS, in->reg, src);
        return;
    }
    const unsigned t = emit_temp(b);
    emit_unary(b, IR_GETW, 0, 0, t, in->reg);
    emit_unary(b, op, 1, IRF_FLAGS, t, src);
    emit_putw(b, in->reg, value_slot(t));
}

void gen_BSF(struct builder *b, const struct insn *in)
{
    gen_bit_scan(b, in, IR_BSF);
}
void gen_BSR(struct builder *b, const struct insn *in)
{
    gen_bit_scan(b, in, IR_BSR);
}

void gen_POPCNT(struct builder *b, const struct insn *in)
{
    const unsigned src = opnd_slot(b, in, 1);
    const unsigned dst = in->opsize == 2 ? in->reg : emit_temp(b);
    struct ir_op *o = emit_helper(b, HELPER_POPCNT);
    o->a = (uint8_t)src;
    o->dst = (uint8_t)dst;
    if (in->opsize == 1)
        emit_putw(b, in->reg, value_slot(dst));
}

void gen_BSWAP(struct builder *b, const struct insn *in)
{
    const unsigned reg = opnd_reg(in, 0);
    if (in->opsize == 2)
        emit_unary(b, IR_BSWAP, 0, 0, reg, reg);
    else
        emit_putw(b, reg, value_imm(0)); /* undefined in the SDM; processors clear the word */
}
