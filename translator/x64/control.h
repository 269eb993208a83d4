/* control.h - a block's entry; C code for rare operations. */
#ifndef TANDEM_TRANSLATOR_X64_CONTROL_H
#define TANDEM_TRANSLATOR_X64_CONTROL_H

#include "translator/x64/regs.h"

void emit_entry(struct compile *c);
/* eval.c: one op without memory access, on the slots. */
void x64_eval(struct guest_state *g, const struct ir_op *op);

#endif
