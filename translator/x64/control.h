/* control.h - a block's entry; C code for rare operations. */
#ifndef TANDEM_TRANSLATOR_X64_CONTROL_H
#define TANDEM_TRANSLATOR_X64_CONTROL_H

#include "translator/x64/regs.h"

#define X64_PAGE_MASK 0xfffu
/* What the check of an unlinked slot compares a physical page with: no page address. */
#define X64_PHYS_UNLINKED 0x7fffffffu

void emit_entry(struct compile *c);
/* link.c: nothing continues in tb any more, and it continues nowhere. */
void x64_unlink(struct x64 *x, struct tb *tb);
/* account_once.c or account_twice.c, as Meson chose; _in: ticks that are in a register. */
void emit_account_again(struct compile *c);
void emit_account_again_in(struct compile *c, unsigned reg);
/* SCRATCH2 = address of the indirect jump's entry for the linear address in SCRATCH1 and the physical page in
 * phys. */
void emit_jump_entry(struct x64_buf *b, const struct x64_env *env, unsigned phys);
/* Before the block's ops are emitted once more (control.c): everything is as that copy finds it. */
void emit_loop_begin(struct compile *c);
/* Guest registers to their slots, then the helper: its result is in EAX, caller-saved registers are lost. */
void emit_helper_call(struct compile *c, const struct ir_op *op);
/* HELPER DIV and IDIV (divide.c). */
void emit_divide(struct compile *c, const struct ir_op *op);
/* Helpers that only move a word of the state (state.c: column `inline` of helpers.def says STATE); false: not
 * in this mode. */
bool emit_state_helper(struct compile *c, const struct ir_op *op);
/* eval.c: one op without memory access, on the slots. */
void x64_eval(struct guest_state *g, const struct ir_op *op);

#endif
