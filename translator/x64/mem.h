/* mem.h - what mem.c and control.c share: leaving a block. */
#ifndef TANDEM_TRANSLATOR_X64_MEM_H
#define TANDEM_TRANSLATOR_X64_MEM_H

#include "translator/x64/regs.h"

/* Leaves compiled code with SCRATCH2 as the argument. */
void emit_exit(struct compile *c, enum x64_exit_kind kind, bool stored);
/* Leaves with the op as the argument. */
void emit_exit_op(struct compile *c, enum x64_exit_kind kind, const struct ir_op *op, bool stored);
/* reg = offset in the table of the entry for the address in SCRATCH1. */
void emit_tlb_index(struct x64_buf *b, const struct x64_env *env, unsigned reg);
struct host_mem mem_tlb(uint32_t table, uint32_t field, unsigned index_reg);

#endif
