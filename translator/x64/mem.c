/* mem.c - guest memory: the softmmu TLB looked up inline, slow paths in far code.
 *
 * A tag is generation << 32 | page. lin_addr ^ tag ^ (generation << 32) is below 4096 when the entry fits, and is then the
 * offset in the page: one comparison checks tag and page crossing. */
#include "translator/x64/mem.h"

#include "clockcore/check.h"
#include "translator/x64/flags.h"
#include "translator/x64/ops.h"

enum { PAGE_SHIFT = 12, PAGE_SIZE = 1 << PAGE_SHIFT, ENTRY_SHIFT = 6 };
_Static_assert(1 << ENTRY_SHIFT == X64_TLB_ENTRY_BYTES, "emit_tlb_index");

/* --- leaving --- */

void emit_exit(struct compile *c, enum x64_exit_kind kind, bool stored)
{
    x_mov_imm64(&c->b, SCRATCH1, (uint64_t)(uintptr_t)c->tb | kind);
    x_jmp_to(&c->b, stored ? c->x->stubs.exit_stored : c->x->stubs.exit);
}

void emit_exit_op(struct compile *c, enum x64_exit_kind kind, const struct ir_op *op, bool stored)
{
    x_mov_imm64(&c->b, SCRATCH2, (uint64_t)(uintptr_t)op);
    emit_exit(c, kind, stored);
}

/* --- lookup --- */

void emit_tlb_index(struct x64_buf *b, const struct x64_env *env, unsigned reg)
{
    x_mov(b, SZ32, reg, SCRATCH1);
    x_shift_imm(b, SH_SHR, SZ32, reg, PAGE_SHIFT - ENTRY_SHIFT);
    x_alu_imm(b, ALU_AND, SZ32, reg, ((1u << env->tlb_bits) - 1) << ENTRY_SHIFT);
}

struct host_mem mem_tlb(uint32_t table, uint32_t field, unsigned index_reg)
{
    return mem_indexed(HOST_STATE, index_reg, 0, (int32_t)(table + field) - X64_STATE_BIAS);
}

static uint32_t tlb_of(const struct compile *c)
{
    return c->x->env.tlb[(c->tb->mode & TB_MODE_USER) != 0];
}

/* SCRATCH1 = a + imm */
static void emit_address(struct compile *c, const struct ir_op *op, unsigned a)
{
    if (a == NO_REG)
        x_mov_imm(&c->b, SCRATCH1, op->imm);
    else if (op->imm == 0)
        x_mov(&c->b, SZ32, SCRATCH1, a);
    else
        x_lea(&c->b, SZ32, SCRATCH1, mem_at(a, (int32_t)op->imm));
}

/* Small displacements go into the host's operand: base + imm is then taken modulo 2^64, and where that is not
 * the guest's modulo 2^32 the tag does not match. */
static bool folds(const struct ir_op *op, unsigned a)
{
    return a != NO_REG && (uint32_t)(op->imm + 0x10000u) < 0x20000u;
}

/* SCRATCH1 = a + imm, modulo 2^64 where that may be */
static void emit_lookup_address(struct compile *c, const struct ir_op *op, unsigned a)
{
    if (!folds(op, a))
        emit_address(c, op, a);
    else if (op->imm == 0)
        x_mov(&c->b, SZ32, SCRATCH1, a);
    else
        x_lea(&c->b, SZ64, SCRATCH1, mem_at(a, (int32_t)op->imm));
}

static unsigned address_src(struct compile *c, const struct ir_op *op)
{
    return op->a == IR_ZERO ? NO_REG : reg_src(c, op->a);
}

/* The host's place, after a check against the tag field; the jump stored in *miss does not hit. */
static struct host_mem emit_lookup(struct compile *c, const struct ir_op *op, unsigned a, uint32_t tag, uint8_t **miss)
{
    const struct x64_env *env = &c->x->env;
    emit_lookup_address(c, op, a);
    emit_tlb_index(&c->b, env, SCRATCH2);
    x_alu_load(&c->b, ALU_XOR, SZ64, SCRATCH1, mem_tlb(tlb_of(c), tag, SCRATCH2));
    x_alu_load(&c->b, ALU_XOR, SZ64, SCRATCH1, mem_state(env->generation_tag));
    x_alu_imm(&c->b, ALU_CMP, SZ64, SCRATCH1, PAGE_SIZE - (1u << op->size));
    *miss = x_jcc(&c->b, CC_A);
    x_load(&c->b, SZ64, SCRATCH2, mem_tlb(tlb_of(c), env->addend, SCRATCH2));
    if (folds(op, a))
        return mem_indexed(SCRATCH2, a, 0, (int32_t)op->imm);
    emit_address(c, op, a);
    return mem_indexed(SCRATCH1, SCRATCH2, 0, 0);
}

/* --- slow paths --- */

/* Behind a stub's call: host SF says that it faulted. */
static void far_finish(struct compile *c, const struct far_code *f, unsigned dst)
{
    uint8_t *fault = x_jcc(&c->b, CC_S);
    if (dst != NO_REG)
        x_mov(&c->b, SZ32, dst, SCRATCH1);
    x_jmp_to(&c->b, f->back);
    x_patch_here(&c->b, fault);
    flags_flush_far(c, &f->cc);
    emit_exit_op(c, X64_EXIT_FAULT, f->op, false);
}

static void far_load(struct compile *c, const struct far_code *f)
{
    const struct stubs *s = &c->x->stubs;
    emit_address(c, f->op, f->slot);
    x_call_to(&c->b, f->op->op == IR_LDRW ? s->load_rw[f->op->size] : s->load[f->op->size]);
    far_finish(c, f, f->reg);
}

static void far_store(struct compile *c, const struct far_code *f)
{
    emit_address(c, f->op, f->slot);
    if (f->reg == NO_REG)
        x_mov_imm(&c->b, SCRATCH2, op_has_imm(f->op) ? f->op->imm2 : 0);
    else
        x_mov(&c->b, SZ32, SCRATCH2, f->reg);
    x_call_to(&c->b, c->x->stubs.store[f->op->size]);
    far_finish(c, f, NO_REG);
}

static void far_segment(struct compile *c, const struct far_code *f)
{
    const struct ir_op *op = f->op;
    x_mov(&c->b, SZ32, SCRATCH1, f->slot);
    x_mov_imm(&c->b, SCRATCH2, op->aux | 1u << op->size << 8 | (op->flags & IRF_WRITE ? 1u << 16 : 0));
    x_call_to(&c->b, c->x->stubs.segment);
    far_finish(c, f, f->reg);
}

/* --- operations --- */

static void emit_load_op(struct compile *c, const struct ir_op *op, uint32_t tag)
{
    unsigned a = address_src(c, op), dst = reg_dst(c, op->dst);
    struct far_code *f = far_add(c, far_load, NULL);
    struct host_mem from = emit_lookup(c, op, a, tag, &f->from[0]);
    x_load(&c->b, op->size, dst, from);
    f->back = c->b.at;
    f->slot = (uint8_t)a;
    f->reg = (uint8_t)dst;
}

void emit_LD(struct compile *c, const struct ir_op *op)
{
    emit_load_op(c, op, c->x->env.tag_r);
}

void emit_LDRW(struct compile *c, const struct ir_op *op)
{
    emit_load_op(c, op, c->x->env.tag_w);
}

void emit_ST(struct compile *c, const struct ir_op *op)
{
    bool is_imm = op_has_imm(op) || op->b == IR_ZERO;
    unsigned a = address_src(c, op), value = is_imm ? NO_REG : reg_src(c, op->b);
    struct far_code *f = far_add(c, far_store, NULL);
    struct host_mem to = emit_lookup(c, op, a, c->x->env.tag_w, &f->from[0]);
    if (is_imm)
        x_store_imm(&c->b, op->size, to, op_has_imm(op) ? op->imm2 : 0);
    else
        x_store(&c->b, op->size, to, value);
    f->back = c->b.at;
    f->slot = (uint8_t)a;
    f->reg = (uint8_t)value;
}

static struct host_mem mem_segment(const struct ir_op *op, size_t field)
{
    return mem_state((uint32_t)(offsetof(struct guest_state, seg) + op->aux * sizeof(struct segment) + field));
}

/* Inline for present, writable, expand-up data segments. MATCH seg_is_plain_data (vcpu_internal.h). */
void emit_SEGADDR(struct compile *c, const struct ir_op *op)
{
    enum { CODE_OR_DOWN = 0xc, WRITABLE = 2 };
    unsigned a = reg_src(c, op->a), dst = reg_dst(c, op->dst), last = (1u << op->size) - 1;
    struct far_code *f = far_add(c, far_segment, NULL);
    x_load(&c->b, SZ16, SCRATCH1, mem_segment(op, offsetof(struct segment, access)));
    x_alu_imm(&c->b, ALU_AND, SZ32, SCRATCH1, SEG_ACC_P | SEG_ACC_S | CODE_OR_DOWN | WRITABLE);
    x_alu_imm(&c->b, ALU_CMP, SZ32, SCRATCH1, SEG_ACC_P | SEG_ACC_S | WRITABLE);
    f->from[0] = x_jcc(&c->b, CC_NE);
    x_mov(&c->b, SZ32, SCRATCH1, a);
    if (last) {
        x_alu_imm(&c->b, ALU_ADD, SZ32, SCRATCH1, last);
        f->from[1] = x_jcc(&c->b, CC_B);
    }
    x_alu_load(&c->b, ALU_CMP, SZ32, SCRATCH1, mem_segment(op, offsetof(struct segment, limit)));
    f->from[2] = x_jcc(&c->b, CC_A);
    x_mov(&c->b, SZ32, SCRATCH1, a);
    x_alu_load(&c->b, ALU_ADD, SZ32, SCRATCH1, mem_segment(op, offsetof(struct segment, base)));
    x_mov(&c->b, SZ32, dst, SCRATCH1);
    f->back = c->b.at;
    f->slot = (uint8_t)a;
    f->reg = (uint8_t)dst;
}
