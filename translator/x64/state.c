/* state.c - helpers that do no more than move a word of the state, inline: CLD, STD, CLI at ring 0, reading a
 * selector.
 *
 * Each means what its helper_ function means (vcpu/); kernels do them at every entry. */
#include "translator/x64/compile.h"
#include "translator/x64/control.h"

static struct host_mem mem_selector(unsigned seg)
{
    return mem_state((uint32_t)(offsetof(struct guest_state, seg) + seg * sizeof(struct segment) +
                                offsetof(struct segment, sel)));
}

typedef bool emit_state_fn(struct compile *c, const struct ir_op *op);

static bool set_direction(struct compile *c, int32_t df)
{
    x_store_imm(&c->b, SZ32, mem_state(offsetof(struct guest_state, df)), (uint32_t)df);
    return true;
}

static bool emit_state_CLD(struct compile *c, const struct ir_op *op)
{
    (void)op;
    return set_direction(c, 1);
}

static bool emit_state_STD(struct compile *c, const struct ir_op *op)
{
    (void)op;
    return set_direction(c, -1);
}

static bool emit_state_GET_SREG(struct compile *c, const struct ir_op *op)
{
    x_load(&c->b, SZ16, reg_dst(c, op->dst), mem_selector(op->aux));
    return true;
}

static bool emit_state_CLI(struct compile *c, const struct ir_op *op)
{
    (void)op;
    if (!(c->tb->mode & TB_MODE_CPL0)) /* outside ring 0 IOPL decides */
        return false;
    x_alu_mem_imm(&c->b, ALU_AND, SZ32, mem_state(offsetof(struct guest_state, eflags)), ~(uint32_t)FLAG_IF);
    return true;
}

/* A row of helpers.def that says STATE has a function above. */
static emit_state_fn *const emitters[HELPER_COUNT] = {
#define INLINE_CALL(name)
#define INLINE_DIVIDE(name)
#define INLINE_X87(name)
#define INLINE_SSE(name)
#define INLINE_STATE(name)                                       [HELPER_##name] = emit_state_##name,
#define HELPER(name, ends, flags, changes, tick, inl, size, doc) INLINE_##inl(name)
#include "translator/helpers.def"
#undef HELPER
};

bool emit_state_helper(struct compile *c, const struct ir_op *op)
{
    return emitters[op->imm](c, op);
}
