/* sse.c - see sse.h.
 *
 * Inline: what the SDM fixes, with every exception masked (fpu_enter refuses otherwise). In C: RCPxx and
 * RSQRTxx, MASKMOVxx, FXSAVE and FXRSTOR, and the conversions between the two register files, whose memory
 * forms hosts take differently as to the x87's tags. Non-temporal stores are plain ones. */
#include "translator/x64/sse.h"

#include "translator/sse.h"
#include "translator/x64/compile.h"
#include "translator/x64/flags.h"
#include "translator/x64/fpu.h"
#include "translator/x64/mem.h"

static const struct sse_row *row_of(const struct ir_op *op)
{
    return &sse_rows[sse_op_id(op->imm2)];
}
static unsigned reg_of(const struct ir_op *op)
{
    return op->aux & 7;
}
static unsigned rm_of(const struct ir_op *op)
{
    return op->aux >> 4 & 7;
}
static bool is_ldmxcsr(const struct sse_row *r)
{
    return (r->class & SSE_IS_CSR) && r->reg == 2;
}
static bool has_imm(const struct sse_row *r)
{
    return r->opnd[1] == OP_Ib || r->opnd[2] == OP_Ib;
}

bool sse_is_inline(const struct x64_host *h, const struct ir_op *op)
{
    enum { BOTH_FILES = SSE_IS_MMX | SSE_IS_XMM };
    if (op->imm == HELPER_EMMS)
        return !(h->sse_in_c & SSE_IS_MMX);
    unsigned class = row_of(op)->class;
    return !(class & (SSE_IS_APPROX | h->sse_in_c)) && (class & BOTH_FILES) != BOTH_FILES;
}

bool sse_is_never_refused(const struct ir_op *op)
{
    return !(row_of(op)->class & SSE_IS_CSR);
}

unsigned sse_operand_bytes(const struct ir_op *op)
{
    return row_of(op)->bytes;
}
unsigned sse_operand_align(const struct ir_op *op)
{
    return row_of(op)->align;
}
bool sse_operand_written(const struct ir_op *op)
{
    return sse_row_stores(row_of(op));
}

/* --- encoding --- */

/* The plain store of a non-temporal one. */
static unsigned opcode_of(const struct sse_row *r)
{
    switch (r->opcode & 0xff) {
    case 0x2b:
        return 0x29; /* MOVNTPS, MOVNTPD: MOVAPS, MOVAPD */
    case 0xe7:
        return 0x7f; /* MOVNTQ, MOVNTDQ: MOVQ, MOVDQA */
    default:
        return r->opcode & 0xff;
    }
}

static void emit_imm(struct compile *c, const struct ir_op *op)
{
    if (has_imm(row_of(op)))
        x_imm8(&c->b, sse_op_imm(op->imm2));
}

/* `gpr`: the general register that stands in ModRM.reg. */
static unsigned reg_field(const struct ir_op *op, unsigned gpr)
{
    const struct sse_row *r = row_of(op);
    if (r->reg != ANY)
        return (unsigned)r->reg;
    return r->opnd[0] == OP_Gd ? gpr : reg_of(op);
}

void emit_sse_access(struct compile *c, const struct ir_op *op, unsigned reg, struct host_mem at)
{
    const struct sse_row *r = row_of(op);
    if (is_ldmxcsr(r)) {
        x_load(&c->b, SZ32, reg, at);
        return;
    }
    x_simd_mem(&c->b, r->prefix, opcode_of(r), reg_field(op, reg), at);
    emit_imm(c, op);
}

/* --- instructions --- */

static struct host_mem mem_mxcsr(void)
{
    return mem_state(offsetof(struct guest_state, sse.mxcsr));
}

/* Inline while everything stays masked; reserved bits are #GP(0), in C. */
static void emit_ldmxcsr(struct compile *c, const struct ir_op *op)
{
    unsigned reg = reg_scratch(c);
    emit_fpu_operand(c, op, reg);
    x_mov(&c->b, SZ32, SCRATCH1, reg);
    x_alu_imm(&c->b, ALU_AND, SZ32, SCRATCH1, ~(uint32_t)MXCSR_VALID | MXCSR_MASKS);
    x_alu_imm(&c->b, ALU_CMP, SZ32, SCRATCH1, MXCSR_MASKS);
    fpu_refuse_if(c, CC_NE);
    x_store(&c->b, SZ32, mem_mxcsr(), reg);
    x_ldmxcsr(&c->b, mem_mxcsr());
}

static bool writes_gpr(const struct ir_op *op)
{
    return op->dst <= IR_EDI;
}

static void emit_mem(struct compile *c, const struct ir_op *op)
{
    if (is_ldmxcsr(row_of(op)))
        emit_ldmxcsr(c, op);
    else
        emit_fpu_operand(c, op, writes_gpr(op) ? reg_dst(c, op->dst) : NO_REG);
}

static void emit_reg(struct compile *c, const struct ir_op *op)
{
    const struct sse_row *r = row_of(op);
    unsigned gpr = NO_REG, rm = rm_of(op);
    if (op->b <= IR_EDI)
        rm = reg_src(c, op->b);
    if (writes_gpr(op))
        gpr = reg_dst(c, op->dst);
    if (r->opnd[0] == OP_Ed)
        rm = gpr;
    x_simd_reg(&c->b, r->prefix, opcode_of(r), reg_field(op, gpr), rm);
    emit_imm(c, op);
}

void emit_sse(struct compile *c, const struct ir_op *op)
{
    if (op->imm == HELPER_EMMS) {
        x_emms(&c->b);
        return;
    }
    bool compares = row_of(op)->class & SSE_IS_FLAGS;
    if (op->imm == HELPER_SSE_MEM)
        emit_mem(c, op);
    else
        emit_reg(c, op);
    if (compares)
        fpu_flags_from_host(c);
}
