/* opt_flags.c - contract 3 of ir.h: flags are live at the block's end, at every helper and at every op
 * that may fault; elsewhere a flag result that is replaced before anything reads it need not be computed. */
#include "translator/opt_flags.h"

/* Only its flags were wanted, and now they are not. */
static bool has_no_effect(const struct ir_op *op)
{
    return ir_has_flags(op) && !(op->flags & IRF_FLAGS) && op->dst == IR_NONE && op->op != IR_MUL &&
           op->op != IR_IMUL;
}

static void drop_dead_flags(struct ir_op *ops, unsigned nops, bool faults)
{
    bool live = true;
    for (unsigned i = nops; i-- > 0;) {
        if (!live)
            ops[i].flags &= (uint8_t)~IRF_FLAGS;
        else if (ir_kills_cc(&ops[i]))
            live = false;
        if (ir_observes_cc(&ops[i], faults))
            live = true;
    }
}

unsigned opt_flags(struct ir_op *ops, unsigned nops, bool faults)
{
    unsigned kept = 0;
    drop_dead_flags(ops, nops, faults);
    for (unsigned i = 0; i < nops; i++)
        if (!has_no_effect(&ops[i]))
            ops[kept++] = ops[i];
    return kept;
}
