/* control.h - a block's entry; C code for rare operations. */
#ifndef TANDEM_TRANSLATOR_X64_CONTROL_H
#define TANDEM_TRANSLATOR_X64_CONTROL_H

#include "translator/x64/flags.h"
#include "translator/x64/x64.h"

/* Longer blocks that branch to themselves are emitted once. */
enum { LOOP_OPS_MAX = 64 };

/* A block that branches to itself (control.c): its second copy, which is entered with the flags as the branch
 * leaves them. */
struct loop_state {
    bool wanted;         /* the second copy is to be made */
    bool copying;        /* the second copy is being made */
    struct cc_state cc;  /* flags at the branch */
    uint8_t *other;      /* code that leaves the loop, all flags in their slots */
    uint32_t head;       /* where an iteration of the second copy begins, behind what entering it takes */
    uint8_t pages;       /* groups whose pages the second copy may keep; counted while the first is made */
    uint8_t kept;        /* of these, groups that the second copy keeps so far */
    bool strip;          /* the second copy is a strip (strip.c) */
    bool strip_fits;     /* the strip can be used */
    bool strip_in_c;     /* an op calls C */
    uint8_t *strip_head; /* where the strip's iteration begins */
    uint8_t strip_page2; /* register of the second place; NO_REG: the frame */
};

#define X64_PAGE_MASK 0xfffu

/* Before the entry: is it the block for this code segment? */
void emit_code_segment_check(struct compile *c);
void emit_entry(struct compile *c);
/* Counts an execution of the copy that is being made, where that is asked for. SCRATCH1. */
void emit_counter(struct compile *c);
/* chain.c: nothing continues in tb any more, and it continues nowhere. */
/* account_once.c or account_twice.c, as Meson chose; _in: ticks that are in a register. */
void emit_account_again(struct compile *c);
void emit_account_again_in(struct compile *c, unsigned reg);
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
