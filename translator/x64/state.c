/* state.c - helpers that do no more than move a word of the state, inline: CLD, STD, CLI at ring 0, reading a
 * selector, loading one in real and virtual-8086 mode.
 *
 * Each means what its helper_ function means (vcpu/); kernels do them at every entry. */
#include "translator/x64/compile.h"
#include "translator/x64/control.h"
#include "translator/x64/fpu.h"

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

static struct host_mem mem_hidden(unsigned seg, size_t field)
{
    return mem_state((uint32_t)(offsetof(struct guest_state, seg) + seg * sizeof(struct segment) + field));
}

/* Selector and attributes as one word. MATCH seg_load_8086 */
static void load_attributes(struct compile *c, unsigned seg, unsigned sel)
{
    enum { PLAIN_DATA = SEG_ACC_P | SEG_ACC_S | 3, KEPT = SEG_ACC_DB | SEG_ACC_G };
    _Static_assert(offsetof(struct segment, access) == offsetof(struct segment, sel) + 2, "one word");
    const struct host_mem word = mem_hidden(seg, offsetof(struct segment, sel));
    if (c->tb->mode & TB_MODE_VM86) {
        x_lea(&c->b, SZ32, SCRATCH2, mem_at(sel, (PLAIN_DATA | SEG_ACC_DPL) << 16));
        x_store_imm(&c->b, SZ32, mem_hidden(seg, offsetof(struct segment, limit)), 0xffff);
    } else {
        x_load(&c->b, SZ32, SCRATCH2, word);
        x_alu_imm(&c->b, ALU_AND, SZ32, SCRATCH2, (uint32_t)KEPT << 16);
        x_alu_imm(&c->b, ALU_OR, SZ32, SCRATCH2, PLAIN_DATA << 16);
        x_alu(&c->b, ALU_OR, SZ32, SCRATCH2, sel);
    }
    x_store(&c->b, SZ32, word, SCRATCH2);
}

/* The x87's FDS is taken from the segment register when the FPU leaves the host: that comes first. */
static bool emit_state_LOAD_SEG_8086(struct compile *c, const struct ir_op *op)
{
    unsigned a = reg_src(c, op->a);
    fpu_flush(c);
    fpu_leave(c);
    x_movzx(&c->b, SZ16, SCRATCH1, a);
    load_attributes(c, op->aux, SCRATCH1);
    x_shift_imm(&c->b, SH_SHL, SZ32, SCRATCH1, 4);
    x_store(&c->b, SZ32, mem_hidden(op->aux, offsetof(struct segment, base)), SCRATCH1);
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
