/* segload.c - see segload.h. */
#include "translator/x64/segload.h"

#include "translator/x64/control.h"
#include "translator/x64/mem.h"

enum { DESC_BYTES = 8, RPL_AND_TI = 7 };

static struct host_mem mem_hidden(unsigned seg, size_t field)
{
    return mem_state((uint32_t)(offsetof(struct guest_state, seg) + seg * sizeof(struct segment) + field));
}

static struct host_mem mem_load(const struct x64_env *env, unsigned seg, size_t field)
{
    return mem_state((uint32_t)(env->loads + seg * sizeof(struct x64_load) + field));
}

static struct host_mem mem_gdtr(size_t field)
{
    return mem_state((uint32_t)(offsetof(struct guest_state, gdtr) + field));
}

/* Does the register hold what that load made of it, and the same selector? SCRATCH1 is kept. */
static void emit_same_register(struct x64_buf *b, const struct x64_env *env, unsigned seg, uint8_t **no)
{
    _Static_assert(offsetof(struct segment, sel) == 0 && offsetof(struct segment, limit) == 8, "head");
    x_load(b, SZ64, SCRATCH2, mem_hidden(seg, 0));
    x_alu_load(b, ALU_CMP, SZ64, SCRATCH2, mem_load(env, seg, offsetof(struct x64_load, head)));
    no[0] = x_jcc(b, CC_NE);
    x_alu(b, ALU_CMP, SZ16, SCRATCH2, SCRATCH1);
    no[1] = x_jcc(b, CC_NE);
    x_load(b, SZ32, SCRATCH2, mem_hidden(seg, offsetof(struct segment, limit)));
    x_alu_load(b, ALU_CMP, SZ32, SCRATCH2, mem_load(env, seg, offsetof(struct x64_load, limit)));
    no[2] = x_jcc(b, CC_NE);
}

/* SCRATCH1 = the selector's descriptor; it is in the GDT, within its limit, in a page at hand. */
static void emit_descriptor(struct x64_buf *b, const struct x64_env *env, uint8_t **no)
{
    x_alu_imm(b, ALU_OR, SZ32, SCRATCH1, RPL_AND_TI);
    x_load(b, SZ16, SCRATCH2, mem_gdtr(offsetof(struct desc_table, limit)));
    x_alu(b, ALU_CMP, SZ32, SCRATCH2, SCRATCH1);
    no[0] = x_jcc(b, CC_B);
    x_alu_imm(b, ALU_XOR, SZ32, SCRATCH1, RPL_AND_TI);
    x_alu_load(b, ALU_ADD, SZ32, SCRATCH1, mem_gdtr(offsetof(struct desc_table, base)));
    emit_tlb_index(b, env, SCRATCH2, SCRATCH1);
    x_alu_load(b, ALU_XOR, SZ64, SCRATCH1, mem_tlb(env->tlb[0], env->tag_r, SCRATCH2));
    x_alu_imm(b, ALU_CMP, SZ64, SCRATCH1, (1u << 12) - DESC_BYTES);
    no[1] = x_jcc(b, CC_A);
    x_alu_load(b, ALU_ADD, SZ64, SCRATCH1, mem_tlb(env->tlb[0], env->tag_r, SCRATCH2));
    x_alu_load(b, ALU_ADD, SZ64, SCRATCH1, mem_tlb(env->tlb[0], env->addend, SCRATCH2));
    x_load(b, SZ64, SCRATCH1, mem_at(SCRATCH1, 0));
}

uint8_t *emit_same_segment_stub(struct x64_buf *b, const struct x64_env *env, unsigned seg)
{
    uint8_t *start = b->at, *no[5]; /* host ZF is 0 at each of these jumps */
    emit_same_register(b, env, seg, no);
    emit_descriptor(b, env, no + 3);
    x_alu_load(b, ALU_CMP, SZ64, SCRATCH1, mem_load(env, seg, offsetof(struct x64_load, bits)));
    for (unsigned i = 0; i < sizeof no / sizeof no[0]; i++)
        x_patch_here(b, no[i]);
    x_ret(b);
    return start;
}

static void emit_null(struct x64_buf *b, unsigned seg)
{
    x_store(b, SZ64, mem_hidden(seg, 0), SCRATCH1);
    x_store_imm(b, SZ32, mem_hidden(seg, offsetof(struct segment, limit)), 0);
}

/* What the last load made of the register. */
static void emit_load_again(struct x64_buf *b, const struct x64_env *env, unsigned seg)
{
    x_load(b, SZ64, SCRATCH1, mem_load(env, seg, offsetof(struct x64_load, head)));
    x_load(b, SZ32, SCRATCH2, mem_load(env, seg, offsetof(struct x64_load, limit)));
    x_store(b, SZ64, mem_hidden(seg, 0), SCRATCH1);
    x_store(b, SZ32, mem_hidden(seg, offsetof(struct segment, limit)), SCRATCH2);
}

uint8_t *emit_load_aside_stub(struct x64_buf *b, const struct x64_env *env, unsigned seg)
{
    uint8_t *start = b->at, *no[4]; /* host ZF is 0 at each of these jumps */
    x_test_imm(b, SZ32, SCRATCH1, 0xfffc);
    uint8_t *other = x_jcc(b, CC_NE);
    emit_null(b, seg);
    x_ret(b); /* ZF as the test left it */
    x_patch_here(b, other);
    x_alu_load(b, ALU_CMP, SZ16, SCRATCH1, mem_load(env, seg, offsetof(struct x64_load, head)));
    no[0] = x_jcc(b, CC_NE);
    emit_descriptor(b, env, no + 1);
    x_alu_load(b, ALU_CMP, SZ64, SCRATCH1, mem_load(env, seg, offsetof(struct x64_load, bits)));
    no[3] = x_jcc(b, CC_NE);
    emit_load_again(b, env, seg);
    for (unsigned i = 0; i < sizeof no / sizeof no[0]; i++)
        x_patch_here(b, no[i]);
    x_ret(b);
    return start;
}

/* What is remembered is of ring 0. */
static bool is_ring0(const struct compile *c)
{
    const uint32_t ring0 = TB_MODE_PE | TB_MODE_CPL0;
    return (c->tb->mode & (ring0 | TB_MODE_SINGLE)) == ring0;
}

/* The jump is taken where the stub says that it has not done the load. */
static uint8_t *emit_ask(struct compile *c, const struct ir_op *op, const uint8_t *stub)
{
    if (op->a <= IR_EDI)
        x_movzx(&c->b, SZ16, SCRATCH1, reg_guest(op->a));
    else
        x_load(&c->b, SZ16, SCRATCH1, mem_slot(op->a));
    x_call_to(&c->b, stub);
    return x_jcc(&c->b, CC_NE);
}

uint8_t *emit_same_segment(struct compile *c, const struct ir_op *op)
{
    if (op->imm != HELPER_LOAD_SEG || !c->x->stubs.same_segment[op->aux] || !is_ring0(c))
        return NULL;
    uint8_t *no = emit_ask(c, op, c->x->stubs.same_segment[op->aux]);
    if (op->b != IR_NONE)
        x_load(&c->b, SZ32, reg_guest(IR_ESP), mem_slot(op->b));
    uint8_t *same = x_jmp(&c->b);
    x_patch_here(&c->b, no);
    return same;
}

uint8_t *emit_load_aside(struct compile *c, const struct ir_op *op)
{
    if (op->imm != HELPER_LOAD_SEG_FLAT || !is_ring0(c))
        return NULL;
    return emit_ask(c, op, c->x->stubs.load_aside[op->aux]);
}
