/* gen_x87.c - x87 escapes, routed to the helpers of vcpu/arch/fpu.c. */
#include "translator/gen.h"
#include "translator/operand.h"
#include "translator/x87.h"

/* Flat: the offset is the linear address, as slot + displacement. */
static struct ir_op *emit_flat(struct builder *b, const struct insn *in)
{
    const struct addr at = mem_addr(b, in, 0, 0, false);
    struct ir_op *o = emit_helper(b, HELPER_X87_MEM);
    o->a = o->b = at.base;
    o->disp = at.disp;
    return o;
}

/* Otherwise the helper checks the segment: a pending #MF comes before its faults. */
static struct ir_op *emit_offset(struct builder *b, const struct insn *in)
{
    const unsigned offset = mem_offset(b, in, 0);
    struct ir_op *o = emit_helper(b, HELPER_X87_MEM);
    o->a = o->b = (uint8_t)offset;
    return o;
}

static void gen_x87_mem(struct builder *b, const struct insn *in, uint32_t opcode)
{
    struct ir_op *o = seg_is_flat(b, in->seg) ? emit_flat(b, in) : emit_offset(b, in);
    o->aux = in->seg;
    o->size = in->opsize;
    o->imm2 = opcode;
}

/* SDM 2A: FCMOVcc and the comparisons to EFLAGS came with CMOVcc, FISTTP (DB, DD and DF /1) with SSE3. */
static enum feature form_feature(const struct insn *in)
{
    const unsigned escape = in->opcode & 7;
    if (in->mod == 3)
        return x87_reg_forms[escape][in->modrm & 63].flags != X87_KEEP ? FEATURE_CMOV : FEATURE_NONE;
    return in->reg == 1 && (escape & 1) ? FEATURE_SSE3 : FEATURE_NONE;
}

void gen_X87(struct builder *b, const struct insn *in)
{
    const uint32_t opcode = (in->opcode & 7u) << 8 | in->modrm;
    if (lacks_feature(b, form_feature(in)))
        emit_raise(b, VECTOR_UD);
    else if (mode_has(b, TB_MODE_FPU_NM))
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
