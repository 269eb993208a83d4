/* account_twice.c - the measuring build (meson -Daccounting=twice): what a block's accounting costs, paid a
 * second time.
 *
 * A subtraction of nothing from the budget, and a branch on its sign that leads on either way: the same host
 * instructions on the same word as emit_entry's, so that both their number and the chain of dependences
 * through the budget double. The guest's state and the digest stay what they are; leaving accounting out
 * would leave no machine that runs. */
#include "translator/x64/compile.h"
#include "translator/x64/control.h"

void emit_account_again(struct compile *c)
{
    x_alu_mem_imm(&c->b, ALU_SUB, SZ64, mem_budget(), 0);
    x_patch_here(&c->b, x_jcc(&c->b, CC_S));
}

void emit_account_again_in(struct compile *c, unsigned reg)
{
    x_alu_imm(&c->b, ALU_SUB, SZ64, reg, 0);
    x_patch_here(&c->b, x_jcc(&c->b, CC_S));
}
