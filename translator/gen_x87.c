/* gen_x87.c - x87 escapes: checked and routed to the helpers of vcpu/arch/fpu.c.
 *
 * NOT MODELLED: outside flat mode the segment check covers the operand's first and last bytes, in the
 * direction of a read; a store through a read-only segment is not refused. */
#include "translator/gen.h"
#include "translator/operand.h"

/* Bytes of each memory form, by opcode and ModRM.reg: [0] 32-bit operand size, [1] 16-bit. */
enum x87_bytes {
    m32fp = 4,
    m64fp = 8,
    m80fp = 10,
    m16int = 2,
    m32int = 4,
    m64int = 8,
    m80bcd = 10,
    m2byte = 2,
    m14_28byte = 28,
    m94_108byte = 108
};
static const uint8_t operand_bytes[8][8] = {
#define X87_MEM(opcode, reg, name, operand, ...) [(opcode)&7][reg] = operand,
#define X87_REG(opcode, modrm, n, ...)
#include "translator/x87_rows.h"
#undef X87_MEM
#undef X87_REG
};

/* Environment and state images are shorter with 16-bit operand size. */
static unsigned bytes_of(const struct insn *in)
{
    const unsigned bytes = operand_bytes[in->opcode & 7][in->reg];
    const bool image = bytes == m14_28byte || bytes == m94_108byte;
    return image && in->opsize == 1 ? bytes - 14 : bytes;
}

static unsigned checked_operand(struct builder *b, const struct insn *in, unsigned offset)
{
    const unsigned bytes = bytes_of(in);
    const unsigned size = bytes == 2 ? 1 : bytes == 8 ? 3 : 2;
    const struct addr at = seg_addr(b, in->seg, offset, size, false);
    if (bytes > 8 && at.base != offset) {
        const unsigned last = emit_temp(b);
        emit_lea(b, last, offset, IR_ZERO, 0, bytes - 2);
        seg_addr(b, in->seg, last, 1, false);
    }
    return at.base;
}

/* Flat: the offset is the linear address, as slot + displacement. */
static struct ir_op *emit_flat(struct builder *b, const struct insn *in)
{
    const struct addr at = mem_addr(b, in, 0, 0, false);
    struct ir_op *o = emit_helper(b, HELPER_X87_MEM);
    o->a = o->b = at.base;
    o->disp = at.disp;
    return o;
}

static struct ir_op *emit_checked(struct builder *b, const struct insn *in)
{
    const unsigned offset = mem_offset(b, in, 0);
    const unsigned at = checked_operand(b, in, offset);
    struct ir_op *o = emit_helper(b, HELPER_X87_MEM);
    o->a = (uint8_t)at;
    o->b = (uint8_t)offset;
    return o;
}

static void gen_x87_mem(struct builder *b, const struct insn *in, uint32_t opcode)
{
    struct ir_op *o = seg_is_flat(b, in->seg) ? emit_flat(b, in) : emit_checked(b, in);
    o->aux = in->seg;
    o->size = in->opsize;
    o->imm2 = opcode;
}

void gen_X87(struct builder *b, const struct insn *in)
{
    const uint32_t opcode = (in->opcode & 7u) << 8 | in->modrm;
    if (mode_has(b, TB_MODE_FPU_NM))
        emit_raise(b, VECTOR_NM);
    else if (in->mod != 3)
        gen_x87_mem(b, in, opcode);
    else
        emit_helper(b, HELPER_X87_REG)->imm2 = opcode;
}

void gen_FWAIT(struct builder *b, const struct insn *in)
{
    (void)in;
    if (mode_has(b, TB_MODE_WAIT_NM))
        emit_raise(b, VECTOR_NM);
    else
        emit_helper(b, HELPER_FWAIT);
}
