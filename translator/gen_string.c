/* gen_string.c - string instructions: all work is in the helpers (helpers.def, Strings).
 *
 * A repeated one is alone in its block (translate.c) and leaves it after as many iterations as the budget
 * allows; the helper sets eip to the next instruction or to this one again. */
#include "translator/gen.h"
#include "translator/operand.h"

enum { STR_REPE = 1 << 0, STR_REPNE = 1 << 1, STR_ADDR16 = 1 << 2, STR_SEG_SHIFT = 4 };

/* F2 and F3 differ only where a condition ends the repetition (SDM 2B, REP). */
static unsigned repeat_bits(const struct insn *in)
{
    if (in->rep == 0)
        return 0;
    return in->rep == 0xf2 && (in->row->attr & A_REPC) ? STR_REPNE : STR_REPE;
}

static unsigned string_aux(const struct insn *in)
{
    const unsigned seg = in->seg_override != SEG_DEFAULT ? in->seg_override : SEG_DS;
    return repeat_bits(in) | (in->addrsize == 1 ? STR_ADDR16 : 0) | seg << STR_SEG_SHIFT;
}

static unsigned string_size(const struct insn *in)
{
    for (unsigned i = 0; i < 3; i++)
        if (opnd_info[in->row->opnd[i]].kind == OPND_STRING)
            return opnd_size(in, i);
    return 0;
}

static void gen_string(struct builder *b, const struct insn *in, enum ir_helper helper, bool leaves)
{
    struct ir_op *o = emit_helper(b, helper);
    o->size = (uint8_t)string_size(in);
    o->aux = (uint8_t)string_aux(in);
    o->imm2 = b->next_eip;
    if (leaves || in->rep != 0)
        emit_leave(b);
}

void gen_MOVS(struct builder *b, const struct insn *in) { gen_string(b, in, HELPER_MOVS, false); }
void gen_CMPS(struct builder *b, const struct insn *in) { gen_string(b, in, HELPER_CMPS, false); }
void gen_STOS(struct builder *b, const struct insn *in) { gen_string(b, in, HELPER_STOS, false); }
void gen_LODS(struct builder *b, const struct insn *in) { gen_string(b, in, HELPER_LODS, false); }
void gen_SCAS(struct builder *b, const struct insn *in) { gen_string(b, in, HELPER_SCAS, false); }
void gen_INS(struct builder *b, const struct insn *in) { gen_string(b, in, HELPER_INS, true); }
void gen_OUTS(struct builder *b, const struct insn *in) { gen_string(b, in, HELPER_OUTS, true); }
