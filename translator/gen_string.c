/* gen_string.c - string instructions. One element is loads, stores and sums of IR; its order of checks and
 * accesses is that of the helpers (vcpu/arch/string.c).
 *
 * A repeated one is a helper, alone in its block (translate.c) and leaves it after as many iterations as the
 * budget allows; the helper sets eip to the next instruction or to this one again. */
#include "translator/gen.h"
#include "translator/operand.h"

/* F2 and F3 differ only where a condition ends the repetition (SDM 2B, REP). */
static unsigned repeat_bits(const struct insn *in)
{
    if (in->rep == 0)
        return 0;
    return in->rep == 0xf2 && (in->row->attr & A_REPC) ? STR_REPNE : STR_REPE;
}

static unsigned source_seg(const struct insn *in)
{
    return in->seg_override != SEG_DEFAULT ? in->seg_override : SEG_DS;
}

static unsigned string_aux(const struct insn *in)
{
    return repeat_bits(in) | (in->addrsize == 1 ? STR_ADDR16 : 0) | source_seg(in) << STR_SEG_SHIFT;
}

static unsigned string_size(const struct insn *in)
{
    for (unsigned i = 0; i < 3; i++)
        if (opnd_info[in->row->opnd[i]].kind == OPND_STRING)
            return opnd_size(in, i);
    return 0;
}

/* --- repeated, or with a port --- */

static void gen_helper(struct builder *b, const struct insn *in, enum ir_helper helper)
{
    struct ir_op *o = emit_helper_next(b, helper);
    o->size = (uint8_t)string_size(in);
    o->aux = (uint8_t)string_aux(in);
    emit_leave(b);
}

/* --- one element --- */

/* ESI or EDI at the address size. */
static unsigned pointer(struct builder *b, const struct insn *in, unsigned reg)
{
    if (in->addrsize == 2)
        return reg;
    const unsigned t = emit_temp(b);
    emit_unary(b, IR_GETW, 0, 0, t, reg);
    return t;
}

static unsigned load_element(struct builder *b, const struct insn *in, unsigned seg, unsigned reg,
                             unsigned into)
{
    const unsigned size = string_size(in);
    const struct addr at = seg_addr(b, seg, pointer(b, in, reg), size, false);
    emit_load(b, IR_LD, size, into, at);
    return into;
}

static unsigned load_source(struct builder *b, const struct insn *in)
{
    return load_element(b, in, source_seg(in), IR_ESI, emit_temp(b));
}

static void store_element(struct builder *b, const struct insn *in, unsigned slot)
{
    const unsigned size = string_size(in);
    emit_store(b, size, seg_addr(b, SEG_ES, pointer(b, in, IR_EDI), size, true), value_slot(slot));
}

static unsigned step(struct builder *b, const struct insn *in)
{
    const unsigned t = emit_temp(b);
    struct ir_op *o = emit_raw(b, IR_GETDF);
    o->dst = (uint8_t)t;
    o->aux = (uint8_t)string_size(in);
    return t;
}

static void advance(struct builder *b, const struct insn *in, unsigned reg, unsigned by)
{
    if (in->addrsize == 2) {
        emit_binary(b, IR_ADD, 2, 0, reg, reg, value_slot(by));
        return;
    }
    const unsigned t = emit_temp(b);
    emit_lea16(b, t, reg, by, 0);
    emit_putw(b, reg, value_slot(t));
}

static void compare(struct builder *b, const struct insn *in, unsigned left, unsigned right)
{
    emit_binary(b, IR_SUB, string_size(in), IRF_FLAGS, IR_NONE, left, value_slot(right));
}

static void gen_movs(struct builder *b, const struct insn *in)
{
    store_element(b, in, load_source(b, in));
    const unsigned by = step(b, in);
    advance(b, in, IR_ESI, by);
    advance(b, in, IR_EDI, by);
}

static void gen_cmps(struct builder *b, const struct insn *in)
{
    /* Where both operands fault, Intel's processors report ES:EDI (docs/decisions.md). */
    const unsigned right = load_element(b, in, SEG_ES, IR_EDI, emit_temp(b));
    const unsigned left = load_source(b, in);
    compare(b, in, left, right);
    const unsigned by = step(b, in);
    advance(b, in, IR_ESI, by);
    advance(b, in, IR_EDI, by);
}

static void gen_stos(struct builder *b, const struct insn *in)
{
    store_element(b, in, IR_EAX);
    advance(b, in, IR_EDI, step(b, in));
}

static void gen_lods(struct builder *b, const struct insn *in)
{
    const unsigned size = string_size(in);
    const unsigned t =
        load_element(b, in, source_seg(in), IR_ESI, size == 2 ? (unsigned)IR_EAX : emit_temp(b));
    if (size == 0)
        emit_putb(b, IR_EAX, 0, value_slot(t));
    else if (size == 1)
        emit_putw(b, IR_EAX, value_slot(t));
    advance(b, in, IR_ESI, step(b, in));
}

static void gen_scas(struct builder *b, const struct insn *in)
{
    const unsigned right = load_element(b, in, SEG_ES, IR_EDI, emit_temp(b));
    const unsigned acc = reg_value(b, IR_EAX, string_size(in));
    compare(b, in, acc, right);
    advance(b, in, IR_EDI, step(b, in));
}

typedef void gen_element_fn(struct builder *b, const struct insn *in);

static void gen_string(struct builder *b, const struct insn *in, enum ir_helper repeated,
                       gen_element_fn *element)
{
    if (in->rep)
        gen_helper(b, in, repeated);
    else
        element(b, in);
}

void gen_MOVS(struct builder *b, const struct insn *in)
{
    gen_string(b, in, HELPER_MOVS, gen_movs);
}
void gen_CMPS(struct builder *b, const struct insn *in)
{
    gen_string(b, in, HELPER_CMPS, gen_cmps);
}
void gen_STOS(struct builder *b, const struct insn *in)
{
    gen_string(b, in, HELPER_STOS, gen_stos);
}
void gen_LODS(struct builder *b, const struct insn *in)
{
    gen_string(b, in, HELPER_LODS, gen_lods);
}
void gen_SCAS(struct builder *b, const struct insn *in)
{
    gen_string(b, in, HELPER_SCAS, gen_scas);
}
void gen_INS(struct builder *b, const struct insn *in)
{
    gen_helper(b, in, HELPER_INS);
}
void gen_OUTS(struct builder *b, const struct insn *in)
{
    gen_helper(b, in, HELPER_OUTS);
}
