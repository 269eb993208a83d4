/* ir_finalize.c - gives every IR op the number of its specialised handler (ir_handlers.h). */
#include "translator/ir_handlers.h"

#include "translator/cc.h"
#include "translator/ir.h"

struct handler_row {
    uint16_t first;  /* handler of the first form */
    bool sizes;      /* forms by op.size */
    bool imms;       /* within a size: forms by IRF_IMM */
    bool flags;      /* within those: forms by IRF_FLAGS */
    bool conditions; /* forms by enum ir_cc_form instead */
};

#define SHAPE_ONE(op)                                                                                        \
    {                                                                                                        \
        .first = IRH_##op                                                                                    \
    }
#define SHAPE_I(op)                                                                                          \
    {                                                                                                        \
        .first = IRH_##op##_R, .imms = true                                                                  \
    }
#define SHAPE_S(op)                                                                                          \
    {                                                                                                        \
        .first = IRH_##op##_8, .sizes = true                                                                 \
    }
#define SHAPE_SI(op)                                                                                         \
    {                                                                                                        \
        .first = IRH_##op##_8R, .sizes = true, .imms = true                                                  \
    }
#define SHAPE_SF(op)                                                                                         \
    {                                                                                                        \
        .first = IRH_##op##_8, .sizes = true, .flags = true                                                  \
    }
#define SHAPE_SIF(op)                                                                                        \
    {                                                                                                        \
        .first = IRH_##op##_8R, .sizes = true, .imms = true, .flags = true                                   \
    }
#define SHAPE_CC(op)                                                                                         \
    {                                                                                                        \
        .first = IRH_##op##_ANY, .conditions = true                                                          \
    }

static const struct handler_row handler_rows[IR_OPCODE_COUNT] = {
#define IROP(name, shape, ...) [IR_##name] = SHAPE_##shape(name),
#include "translator/ir_ops.def"
#undef IROP
};

/* SDM tttn codes. */
enum {
    TTTN_O,
    TTTN_NO,
    TTTN_B,
    TTTN_AE,
    TTTN_E,
    TTTN_NE,
    TTTN_BE,
    TTTN_A,
    TTTN_S,
    TTTN_NS,
    TTTN_P,
    TTTN_NP,
    TTTN_L,
    TTTN_GE,
    TTTN_LE,
    TTTN_G
};

/* Absent entries are CCF_ANY. */
_Static_assert(CCF_ANY == 0, "the zero of the tables below");
static const uint8_t forms_sub[16] = {
    [TTTN_B] = CCF_UB, [TTTN_AE] = CCF_UAE, [TTTN_BE] = CCF_UBE, [TTTN_A] = CCF_UA,
    [TTTN_L] = CCF_L8, [TTTN_GE] = CCF_GE8, [TTTN_LE] = CCF_LE8, [TTTN_G] = CCF_G8};
static const uint8_t forms_logic[16] = {
    [TTTN_O] = CCF_NEVER, [TTTN_NO] = CCF_ALWAYS, [TTTN_B] = CCF_NEVER, [TTTN_AE] = CCF_ALWAYS,
    [TTTN_BE] = CCF_Z,    [TTTN_A] = CCF_NZ,      [TTTN_L] = CCF_S8,    [TTTN_GE] = CCF_NS8,
    [TTTN_LE] = CCF_RLE8, [TTTN_G] = CCF_RG8};
static const uint8_t forms_add[16] = {[TTTN_B] = CCF_ADDC, [TTTN_AE] = CCF_ADDNC};
static const uint8_t forms_carry_in_b[16] = {[TTTN_B] = CCF_BSET, [TTTN_AE] = CCF_BCLR};

static const uint8_t *const forms_by_kind[CC_KIND_COUNT] = {
    [CC_KIND_ADD] = forms_add,        [CC_KIND_SUB] = forms_sub,        [CC_KIND_LOGIC] = forms_logic,
    [CC_KIND_INC] = forms_carry_in_b, [CC_KIND_DEC] = forms_carry_in_b, [CC_KIND_MUL] = forms_carry_in_b};

/* ZF, SF and PF derive from R alone in every kind but CC_EFLAGS. */
static const uint8_t forms_result[16] = {[TTTN_E] = CCF_Z,    [TTTN_NE] = CCF_NZ, [TTTN_S] = CCF_S8,
                                         [TTTN_NS] = CCF_NS8, [TTTN_P] = CCF_P,   [TTTN_NP] = CCF_NP};

static bool form_has_sizes(unsigned form)
{
    switch (form) {
    case CCF_S8:
    case CCF_NS8:
    case CCF_L8:
    case CCF_GE8:
    case CCF_LE8:
    case CCF_G8:
    case CCF_RLE8:
    case CCF_RG8:
        return true;
    default:
        return false;
    }
}

static unsigned cc_form(unsigned cc_op, unsigned cond)
{
    if (cc_op >= CC_EFLAGS)
        return CCF_ANY;
    const uint8_t *by_kind = forms_by_kind[cc_op / 3];
    unsigned form = forms_result[cond & 15];
    if (form == CCF_ANY && by_kind)
        form = by_kind[cond & 15];
    return form_has_sizes(form) ? form + cc_op % 3 : form;
}

static uint16_t handler_of(const struct ir_op *op)
{
    const struct handler_row *row = &handler_rows[op->op];
    if (row->conditions)
        return (uint16_t)(row->first + (op->flags & IRF_CC_KNOWN ? cc_form(op->size, op->aux) : CCF_ANY));
    unsigned index = row->sizes ? op->size : 0;
    if (row->imms)
        index = index * 2 + ((op->flags & IRF_IMM) != 0);
    if (row->flags)
        index = index * 2 + ((op->flags & IRF_FLAGS) != 0);
    return (uint16_t)(row->first + index);
}

void ir_finalize(struct ir_op *ops, unsigned nops)
{
    for (unsigned i = 0; i < nops; i++)
        ops[i].handler = handler_of(&ops[i]);
}
