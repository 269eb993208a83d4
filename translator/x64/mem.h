/* mem.h - what mem.c shares with control.c and fpu.c: leaving a block, operands of x87 instructions. */
#ifndef TANDEM_TRANSLATOR_X64_MEM_H
#define TANDEM_TRANSLATOR_X64_MEM_H

#include "translator/x64/emit_x64.h"
#include "translator/x64/x64.h"

struct compile;
struct far_code;
struct page_group;

/* Leaves compiled code with SCRATCH2 as the argument. */
void emit_tb_pointer(struct compile *c, unsigned reg, uintptr_t into);
void emit_exit(struct compile *c, enum x64_exit_kind kind, bool stored);
/* Leaves with the op as the argument. */
void emit_exit_op(struct compile *c, enum x64_exit_kind kind, const struct ir_op *op, bool stored);
/* In far code: a fault at f->op, with flags and x87 pointers as the jump found them. */
void emit_fault_far(struct compile *c, const struct far_code *f);
/* SCRATCH1 = address that the op accesses; `a`: register of slot a, or NO_REG. */
void emit_address(struct compile *c, const struct ir_op *op, unsigned a);
/* An x87 instruction's access: calls emit_fpu_access(.., reg, host's place), once for each way there. The
 * register of slot a, or NO_REG. */
unsigned emit_fpu_operand(struct compile *c, const struct ir_op *op, unsigned reg);
/* reg = offset in the table of the entry for the address in the register `address`. */
void emit_tlb_index(struct x64_buf *b, const struct x64_env *env, unsigned reg, unsigned address);
struct host_mem mem_tlb(uint32_t table, uint32_t field, unsigned index_reg);
/* Before the block. */
void mem_begin_block(struct compile *c);
/* The place's addend = that of the page which holds all of the group, whose lowest byte is at the address in
 * the register `lowest`; the jumps stored in miss[0] and [1]: there is none. The register returned holds the
 * addend. */
unsigned emit_group_lookup(struct compile *c, const struct page_group *g, unsigned lowest, uint8_t **miss);
/* What entering a loop's second copy takes: its pages are forgotten. */
void mem_begin_loop(struct compile *c);

#endif
