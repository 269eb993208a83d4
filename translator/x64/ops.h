/* ops.h - the emitter of each IR operation: emit_NAME of ir_ops.def. */
#ifndef TANDEM_TRANSLATOR_X64_OPS_H
#define TANDEM_TRANSLATOR_X64_OPS_H

#include "translator/ir.h"

struct compile;

typedef void emit_fn(struct compile *c, const struct ir_op *op);
#define IROP(name, ...) emit_fn emit_##name;
#include "translator/ir_ops.def"
#undef IROP

/* Has it no other effect than flags that nobody sees? */
bool op_is_for_dead_flags(const struct compile *c, const struct ir_op *op);
static inline bool op_has_imm(const struct ir_op *op)
{
    return op->flags & IRF_IMM;
}
/* Runs the op in C (eval.c) on the slots. */
void emit_in_c(struct compile *c, const struct ir_op *op);

#endif
