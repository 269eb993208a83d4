/* opt_flags.c - contract 3 of ir.h: flags are live at the block's end, at every helper and at every op
 * that may fault; elsewhere a flag result that is replaced before anything reads it need not be computed. */
#include "translator/opt_flags.h"

static void drop_dead_flags(struct ir_op *ops, unsigned nops)
{
    bool live = true;
    for (unsigned i = nops; i-- > 0;) {
        if (!live)
            ops[i].flags &= (uint8_t)~IRF_FLAGS;
        else if (ir_kills_cc(&ops[i]))
            live = false;
        if (ir_observes_cc(&ops[i], true))
            live = true;
    }
}

unsigned opt_flags(struct ir_op *ops, unsigned nops)
{
    unsigned kept = 0;
    drop_dead_flags(ops, nops);
    for (unsigned i = 0; i < nops; i++)
        if (!ir_is_for_flags(&ops[i]) || (ops[i].flags & IRF_FLAGS))
            ops[kept++] = ops[i];
    return kept;
}
