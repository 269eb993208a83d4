/* state.c - helpers that do no more than move a word of the state, inline: CLD, STD, CLI at ring 0, reading a
 * selector.
 *
 * Each means what its helper_ function means (vcpu/); kernels do them at every entry. */
#include "translator/x64/control.h"

static struct host_mem mem_selector(unsigned seg)
{
    return mem_state((uint32_t)(offsetof(struct guest_state, seg) + seg * sizeof(struct segment) +
                                offsetof(struct segment, sel)));
}

static void set_direction(struct compile *c, int32_t df)
{
    x_store_imm(&c->b, SZ32, mem_state(offsetof(struct guest_state, df)), (uint32_t)df);
}

static void clear_interrupt_flag(struct compile *c)
{
    x_alu_mem_imm(&c->b, ALU_AND, SZ32, mem_state(offsetof(struct guest_state, eflags)), ~(uint32_t)FLAG_IF);
}

bool emit_state_helper(struct compile *c, const struct ir_op *op)
{
    switch (op->imm) {
    case HELPER_CLD:
        set_direction(c, 1);
        return true;
    case HELPER_STD:
        set_direction(c, -1);
        return true;
    case HELPER_GET_SREG:
        x_load(&c->b, SZ16, reg_dst(c, op->dst), mem_selector(op->aux));
        return true;
    case HELPER_CLI:
        if (!(c->tb->mode & TB_MODE_CPL0)) /* then IOPL decides */
            return false;
        clear_interrupt_flag(c);
        return true;
    default:
        return false;
    }
}
