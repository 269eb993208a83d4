/* gen_system.c - segment registers, descriptor tables, control registers, ports, and the rest of ring 0.
 * Rows' A_PRIV and A_PE were checked by translate.c; IOPL and TSS checks are the helpers'. */
#include "translator/gen.h"
#include "translator/operand.h"

static void gen_leaving(struct builder *b, enum ir_helper helper)
{
    emit_helper_next(b, helper);
    emit_leave(b);
}

/* --- without operands --- */

void gen_POPF(struct builder *b, const struct insn *in)
{
    emit_helper_next(b, HELPER_POPF)->size = in->opsize;
    emit_leave(b);
}

void gen_CLI(struct builder *b, const struct insn *in)
{
    (void)in;
    emit_helper(b, HELPER_CLI);
}
void gen_STI(struct builder *b, const struct insn *in)
{
    (void)in;
    gen_leaving(b, HELPER_STI);
}
void gen_CLD(struct builder *b, const struct insn *in)
{
    (void)in;
    emit_helper(b, HELPER_CLD);
}
void gen_STD(struct builder *b, const struct insn *in)
{
    (void)in;
    emit_helper(b, HELPER_STD);
}
void gen_CPUID(struct builder *b, const struct insn *in)
{
    (void)in;
    emit_helper(b, HELPER_CPUID);
}
void gen_HLT(struct builder *b, const struct insn *in)
{
    (void)in;
    gen_leaving(b, HELPER_HLT);
}
void gen_RDPMC(struct builder *b, const struct insn *in)
{
    (void)in;
    gen_leaving(b, HELPER_RDPMC);
}
void gen_RDMSR(struct builder *b, const struct insn *in)
{
    (void)in;
    gen_leaving(b, HELPER_RDMSR);
}
void gen_WRMSR(struct builder *b, const struct insn *in)
{
    (void)in;
    gen_leaving(b, HELPER_WRMSR);
}
void gen_CLTS(struct builder *b, const struct insn *in)
{
    (void)in;
    gen_leaving(b, HELPER_CLTS);
}
void gen_INVD(struct builder *b, const struct insn *in)
{
    (void)in;
    gen_leaving(b, HELPER_INVD);
}

/* Ends the block for the sake of the tick; the run loop has nothing to do after it. */
void gen_RDTSC(struct builder *b, const struct insn *in)
{
    (void)in;
    emit_helper(b, HELPER_RDTSC);
    emit_jmp(b, b->next_eip);
}

/* SDM 2B, SYSENTER, SYSEXIT: #GP(0) outside protected mode. */
static void gen_fast_system(struct builder *b, enum ir_helper helper)
{
    if (mode_has(b, TB_MODE_PE) || mode_has(b, TB_MODE_VM86))
        gen_leaving(b, helper);
    else
        emit_raise_gp0(b);
}

void gen_SYSENTER(struct builder *b, const struct insn *in)
{
    (void)in;
    gen_fast_system(b, HELPER_SYSENTER);
}
void gen_SYSEXIT(struct builder *b, const struct insn *in)
{
    (void)in;
    gen_fast_system(b, HELPER_SYSEXIT);
}

/* --- ports --- */

static void gen_port(struct builder *b, const struct insn *in, enum ir_helper helper, unsigned port,
                     unsigned data)
{
    const unsigned slot = in->row->opnd[port] == OP_DX ? (unsigned)IR_EDX : opnd_slot(b, in, port);
    struct ir_op *o = emit_helper_next(b, helper);
    o->a = (uint8_t)slot;
    o->size = (uint8_t)opnd_size(in, data);
    emit_leave(b);
}

void gen_IN(struct builder *b, const struct insn *in)
{
    gen_port(b, in, HELPER_IN, 1, 0);
}
void gen_OUT(struct builder *b, const struct insn *in)
{
    gen_port(b, in, HELPER_OUT, 0, 1);
}

/* --- segment registers --- */

static unsigned sreg_of(const struct insn *in, unsigned i)
{
    const uint8_t kind = opnd_info[in->row->opnd[i]].kind;
    return kind == OPND_SREG ? in->reg : (unsigned)(kind - OPND_SREG0);
}

static unsigned get_sreg(struct builder *b, unsigned seg)
{
    const unsigned t = emit_temp(b);
    struct ir_op *o = emit_helper(b, HELPER_GET_SREG);
    o->dst = (uint8_t)t;
    o->aux = (uint8_t)seg;
    return t;
}

void gen_MOV_FROM_SREG(struct builder *b, const struct insn *in)
{
    const struct operand d = opnd_locate(b, in, 0, USE_WRITE);
    operand_store(b, &d, value_slot(get_sreg(b, sreg_of(in, 1))));
}

/* SDM 2B PUSH: with a 32-bit operand, Intel's processors store the selector by a 16-bit move and leave the
 * upper half of the slot as it was. */
void gen_PUSH_SREG(struct builder *b, const struct insn *in)
{
    builder_push_selector(b, in->opsize, value_slot(get_sreg(b, sreg_of(in, 0))));
}

/* Real and virtual-8086 mode: a load of a plain segment leaves a plain one. Flat mode cannot come of it
 * unless CS is flat already. */
static bool loads_as_8086(const struct builder *b, unsigned seg)
{
    const bool flat_code = b->req->cs_base == 0 && b->req->cs_limit == UINT32_MAX;
    return seg != SEG_SS && !mode_has(b, TB_MODE_PE) && (b->req->mode & tb_mode_plain(seg)) && !flat_code;
}

/* Flat mode says nothing of FS and GS. MATCH segments of flat mode */
static bool loads_aside(const struct builder *b, unsigned seg)
{
    return seg >= SEG_FS && mode_has(b, TB_MODE_FLAT) && mode_has(b, TB_MODE_PE) &&
           !mode_has(b, TB_MODE_VM86);
}

/* Such a load leaves the mode as it is: the block goes on. */
static bool keeps_mode(const struct builder *b, unsigned seg)
{
    return loads_as_8086(b, seg) || loads_aside(b, seg);
}

static void gen_load_keeping(struct builder *b, unsigned seg, unsigned selector)
{
    struct ir_op *o = emit_helper(b, loads_aside(b, seg) ? HELPER_LOAD_SEG_FLAT : HELPER_LOAD_SEG_8086);
    o->aux = (uint8_t)seg;
    o->a = (uint8_t)selector;
}

/* Only SS holds off interrupts and traps. */
static void gen_load_seg(struct builder *b, unsigned seg, unsigned selector, unsigned new_esp)
{
    struct ir_op *o = emit_helper_next(b, HELPER_LOAD_SEG);
    o->aux = (uint8_t)seg;
    o->a = (uint8_t)selector;
    o->b = (uint8_t)new_esp;
    if (seg == SEG_SS)
        emit_leave(b);
    else
        emit_leave_if_mode_changed(b);
}

void gen_MOV_TO_SREG(struct builder *b, const struct insn *in)
{
    const unsigned selector = opnd_slot(b, in, 1);
    if (keeps_mode(b, in->reg))
        gen_load_keeping(b, in->reg, selector);
    else
        gen_load_seg(b, in->reg, selector, IR_NONE);
}

/* ESP moves by the operand size, but only a selector is read. */
void gen_POP_SREG(struct builder *b, const struct insn *in)
{
    const unsigned selector = stack_load(b, 1, IR_NONE), seg = sreg_of(in, 0);
    if (keeps_mode(b, seg)) {
        gen_load_keeping(b, seg, selector);
        stack_release(b, 1u << in->opsize);
        return;
    }
    const unsigned esp = stack_released(b, 1u << in->opsize);
    gen_load_seg(b, seg, selector, esp);
}

static void gen_load_far(struct builder *b, const struct insn *in, unsigned seg)
{
    const unsigned offset = emit_temp(b), selector = emit_temp(b);
    emit_load(b, IR_LD, in->opsize, offset, mem_addr(b, in, 0, in->opsize, false));
    emit_load(b, IR_LD, 1, selector, mem_addr(b, in, 1u << in->opsize, 1, false));
    if (keeps_mode(b, seg)) {
        gen_load_keeping(b, seg, selector);
        reg_store(b, in->reg, in->opsize, value_slot(offset));
        return;
    }
    struct ir_op *o = emit_helper_next(b, HELPER_LOAD_FAR);
    o->aux = (uint8_t)seg;
    o->a = (uint8_t)selector;
    o->b = (uint8_t)offset;
    o->dst = in->reg;
    o->size = in->opsize;
    emit_leave(b);
}

void gen_LES(struct builder *b, const struct insn *in)
{
    gen_load_far(b, in, SEG_ES);
}
void gen_LDS(struct builder *b, const struct insn *in)
{
    gen_load_far(b, in, SEG_DS);
}
void gen_LSS(struct builder *b, const struct insn *in)
{
    gen_load_far(b, in, SEG_SS);
}
void gen_LFS(struct builder *b, const struct insn *in)
{
    gen_load_far(b, in, SEG_FS);
}
void gen_LGS(struct builder *b, const struct insn *in)
{
    gen_load_far(b, in, SEG_GS);
}

/* --- reading selectors and CR0 --- */

static void gen_store_from(struct builder *b, const struct insn *in, enum ir_helper helper)
{
    const struct operand d = opnd_locate(b, in, 0, USE_WRITE);
    const unsigned t = emit_temp(b);
    emit_helper(b, helper)->dst = (uint8_t)t;
    operand_store(b, &d, value_slot(t));
}

void gen_SLDT(struct builder *b, const struct insn *in)
{
    gen_store_from(b, in, HELPER_SLDT);
}
void gen_STR(struct builder *b, const struct insn *in)
{
    gen_store_from(b, in, HELPER_STR);
}
void gen_SMSW(struct builder *b, const struct insn *in)
{
    gen_store_from(b, in, HELPER_SMSW);
}

/* --- writing system registers from a selector or word --- */

static void gen_leaving_from(struct builder *b, const struct insn *in, enum ir_helper helper)
{
    const unsigned src = opnd_slot(b, in, 0);
    emit_helper_next(b, helper)->a = (uint8_t)src;
    emit_leave(b);
}

void gen_LLDT(struct builder *b, const struct insn *in)
{
    gen_leaving_from(b, in, HELPER_LLDT);
}
void gen_LTR(struct builder *b, const struct insn *in)
{
    gen_leaving_from(b, in, HELPER_LTR);
}
void gen_LMSW(struct builder *b, const struct insn *in)
{
    gen_leaving_from(b, in, HELPER_LMSW);
}

/* --- selector checks --- */

static void gen_verify(struct builder *b, const struct insn *in, enum ir_helper helper)
{
    const unsigned selector = opnd_slot(b, in, 0);
    emit_helper(b, helper)->a = (uint8_t)selector;
}

void gen_VERR(struct builder *b, const struct insn *in)
{
    gen_verify(b, in, HELPER_VERR);
}
void gen_VERW(struct builder *b, const struct insn *in)
{
    gen_verify(b, in, HELPER_VERW);
}

/* The helper keeps dst when ZF is 0: it must hold the old value. */
static void gen_load_attr(struct builder *b, const struct insn *in, enum ir_helper helper)
{
    const unsigned selector = opnd_slot(b, in, 1);
    const unsigned dst = in->opsize == 2 ? in->reg : emit_temp(b);
    if (in->opsize == 1)
        emit_unary(b, IR_GETW, 0, 0, dst, in->reg);
    struct ir_op *o = emit_helper(b, helper);
    o->a = (uint8_t)selector;
    o->dst = (uint8_t)dst;
    o->size = in->opsize;
    if (in->opsize == 1)
        emit_putw(b, in->reg, value_slot(dst));
}

void gen_LAR(struct builder *b, const struct insn *in)
{
    gen_load_attr(b, in, HELPER_LAR);
}
void gen_LSL(struct builder *b, const struct insn *in)
{
    gen_load_attr(b, in, HELPER_LSL);
}

void gen_ARPL(struct builder *b, const struct insn *in)
{
    const unsigned src = opnd_slot(b, in, 1);
    struct ir_op *o;
    if (insn_opnd_is_mem(in, 0)) {
        const unsigned offset = mem_offset(b, in, 0);
        o = emit_helper(b, HELPER_ARPL_MEM);
        o->a = (uint8_t)offset;
        o->aux = in->seg;
        o->b = (uint8_t)src;
        return;
    }
    const struct operand d = opnd_locate(b, in, 0, USE_RW);
    const unsigned old = operand_load(b, &d);
    const unsigned t = emit_temp(b);
    o = emit_helper(b, HELPER_ARPL);
    o->dst = (uint8_t)t;
    o->a = (uint8_t)old;
    o->b = (uint8_t)src;
    operand_store(b, &d, value_slot(t));
}

/* --- descriptor tables --- */

/* Limit and base are 2 + 4 bytes; each part has its own segment check. */
static unsigned table_operand(struct builder *b, const struct insn *in, bool write)
{
    const struct addr at = mem_addr(b, in, 0, 1, write);
    if (!seg_is_flat(b, in->seg))
        mem_addr(b, in, 2, 2, write);
    return addr_slot(b, at);
}

static void gen_load_table(struct builder *b, const struct insn *in, enum ir_helper helper)
{
    const unsigned at = table_operand(b, in, false);
    struct ir_op *o = emit_helper_next(b, helper);
    o->a = (uint8_t)at;
    o->size = in->opsize;
    emit_leave(b);
}

static void gen_store_table(struct builder *b, const struct insn *in, enum ir_helper helper)
{
    const unsigned at = table_operand(b, in, true);
    struct ir_op *o = emit_helper(b, helper);
    o->a = (uint8_t)at;
    o->size = in->opsize;
}

void gen_LGDT(struct builder *b, const struct insn *in)
{
    gen_load_table(b, in, HELPER_LGDT);
}
void gen_LIDT(struct builder *b, const struct insn *in)
{
    gen_load_table(b, in, HELPER_LIDT);
}
void gen_SGDT(struct builder *b, const struct insn *in)
{
    gen_store_table(b, in, HELPER_SGDT);
}
void gen_SIDT(struct builder *b, const struct insn *in)
{
    gen_store_table(b, in, HELPER_SIDT);
}

/* Nothing is accessed: no limit counts (SDM 2 INVLPG has no exception for it). */
void gen_INVLPG(struct builder *b, const struct insn *in)
{
    const unsigned offset = mem_offset(b, in, 0);
    struct ir_op *o = emit_helper_next(b, HELPER_INVLPG);
    o->a = (uint8_t)offset;
    o->aux = in->seg;
    emit_leave(b);
}

/* --- control and debug registers --- */

static void gen_from_reg(struct builder *b, const struct insn *in, enum ir_helper helper)
{
    struct ir_op *o = emit_helper_next(b, helper);
    o->aux = in->reg;
    o->dst = in->rm;
    emit_leave(b);
}

static void gen_to_reg(struct builder *b, const struct insn *in, enum ir_helper helper)
{
    struct ir_op *o = emit_helper_next(b, helper);
    o->aux = in->reg;
    o->a = in->rm;
    emit_leave(b);
}

void gen_MOV_FROM_CR(struct builder *b, const struct insn *in)
{
    gen_from_reg(b, in, HELPER_MOV_FROM_CR);
}
void gen_MOV_FROM_DR(struct builder *b, const struct insn *in)
{
    gen_from_reg(b, in, HELPER_MOV_FROM_DR);
}
void gen_MOV_TO_CR(struct builder *b, const struct insn *in)
{
    gen_to_reg(b, in, HELPER_MOV_TO_CR);
}
void gen_MOV_TO_DR(struct builder *b, const struct insn *in)
{
    gen_to_reg(b, in, HELPER_MOV_TO_DR);
}
