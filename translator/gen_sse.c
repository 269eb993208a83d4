/* gen_sse.c - MMX, SSE, SSE2 and SSE3: what the mode forbids, the memory operand's address, then the helpers
 * of vcpu/arch/sse.c.
 *
 * Which of #UD and #NM an instruction raises is part of the block's key; #MF, alignment and #XM are the
 * helpers' (SDM 3A tables 13-1, 12-1). */
#include "translator/gen.h"
#include "translator/operand.h"
#include "translator/sse.h"

const struct sse_row sse_rows[SSE_COUNT] = {
#define SSE(pfx, opcode, reg, form, mn, o1, o2, o3, bytes, align, class, ...)                                \
    [SSE_##pfx##_##opcode##_##reg##_##                                                                       \
        form] = {opcode, PFX_##pfx, reg, {OP_##o1, OP_##o2, OP_##o3}, bytes, align, SSE_CLASS_##class},
#define SSE_OWN(...)
#include "translator/sse_rows.h"
};

/* Has the mode made the instruction an exception? */
static bool is_forbidden(struct builder *b, unsigned class)
{
    const uint32_t ud = class & SSE_IS_XMM ? TB_MODE_SSE_UD : TB_MODE_MMX_UD;
    if (mode_has(b, ud))
        emit_raise(b, VECTOR_UD);
    else if (mode_has(b, TB_MODE_TS_NM))
        emit_raise(b, VECTOR_NM);
    return b->ended;
}

static bool is_gpr(uint8_t code)
{
    return code == OP_Gd || code == OP_Ed || code == OP_EdMw;
}

/* Slot of a general register operand; IR_NONE: it is none. */
static unsigned gpr_slot(const struct insn *in, unsigned i)
{
    const uint8_t code = in->row->opnd[i];
    if (!is_gpr(code) || insn_opnd_is_mem(in, i))
        return IR_NONE;
    return code == OP_Gd ? in->reg : in->rm;
}

/* A pending x87 exception comes before what the segment forbids; the helper looks only later. */
static void wait_first(struct builder *b, const struct insn *in, unsigned class)
{
    if ((class & SSE_IS_MMX) && in->row->sse != SSE_66_0x0f2a_ANY_RM && !seg_is_flat(b, in->seg))
        emit_helper(b, HELPER_FWAIT);
}

static unsigned log2_bytes(unsigned bytes)
{
    return (unsigned)__builtin_ctz(bytes);
}

void gen_SSE(struct builder *b, const struct insn *in)
{
    const struct sse_row *row = &sse_rows[in->row->sse];
    struct addr at = {.base = IR_ZERO};
    if (is_forbidden(b, row->class))
        return;
    if (in->mod != 3) {
        wait_first(b, in, row->class);
        at = mem_addr(b, in, 0, log2_bytes(row->bytes), sse_row_stores(row));
    }
    struct ir_op *o = emit_helper(b, in->mod == 3 ? HELPER_SSE_REG : HELPER_SSE_MEM);
    o->imm2 = sse_op_make(in->row->sse, in->imm & 0xff);
    o->a = at.base;
    o->disp = at.disp;
    o->b = (uint8_t)gpr_slot(in, 1);
    o->dst = (uint8_t)gpr_slot(in, 0);
    o->aux = (uint8_t)(in->reg | in->rm << 4);
}

/* --- rows of their own --- */

/* SDM 2, FXSAVE: CR0.EM is #NM here, and CR4.OSFXSR only decides what the image holds. */
static void gen_image(struct builder *b, const struct insn *in, enum ir_helper helper)
{
    if (mode_has(b, TB_MODE_FPU_NM)) {
        emit_raise(b, VECTOR_NM);
        return;
    }
    const unsigned offset = mem_offset(b, in, 0);
    struct ir_op *o = emit_helper(b, helper);
    o->a = (uint8_t)offset;
    o->aux = in->seg;
}

void gen_FXSAVE(struct builder *b, const struct insn *in)
{
    gen_image(b, in, HELPER_FXSAVE);
}
void gen_FXRSTOR(struct builder *b, const struct insn *in)
{
    gen_image(b, in, HELPER_FXRSTOR);
}

void gen_EMMS(struct builder *b, const struct insn *in)
{
    (void)in;
    if (!is_forbidden(b, SSE_CLASS_MMX))
        emit_helper(b, HELPER_EMMS);
}

/* One vCPU, strictly in order: nothing to wait for. */
void gen_FENCE(struct builder *b, const struct insn *in)
{
    (void)b, (void)in;
}

void gen_CLFLUSH(struct builder *b, const struct insn *in)
{
    const unsigned at = addr_slot(b, mem_addr(b, in, 0, 0, false));
    emit_helper(b, HELPER_CLFLUSH)->a = (uint8_t)at;
}

void gen_MOVNTI(struct builder *b, const struct insn *in)
{
    emit_store(b, 2, mem_addr(b, in, 0, 2, true), value_slot(in->reg));
}

/* The offset is (E)DI; selected bytes are checked one by one. */
void gen_MASKMOV(struct builder *b, const struct insn *in)
{
    const bool xmm = in->row->opnd[0] == OP_V;
    unsigned offset = IR_EDI;
    if (is_forbidden(b, xmm ? SSE_CLASS_XMM : SSE_CLASS_MMX))
        return;
    if (in->addrsize == 1)
        emit_unary(b, IR_GETW, 0, 0, offset = emit_temp(b), IR_EDI);
    struct ir_op *o = emit_helper(b, HELPER_MASKMOV);
    o->a = (uint8_t)offset;
    o->aux = (uint8_t)(in->reg | in->rm << 4);
    o->size = xmm ? 4 : 3;
    o->imm2 = in->seg_override != SEG_DEFAULT ? in->seg_override : SEG_DS;
}
