/* control.c - entering, chaining and leaving blocks; helpers.
 *
 * A chain exit is a jump that leads out of compiled code until x64_chain() patches it. Where the successor
 * lies on another page, the jump comes behind a check that the fetch TLB maps the successor's page to where
 * it was chained: then, and only then, the page becomes the current fetch page, as a fetch by tb_find() would
 * make it (vcpu/mmu/tlb.h).
 *
 * Loops: a successor expects the flags in their slots, which costs stores at each block's end. A small block
 * that branches to itself is emitted twice: the second copy starts with the flags where the branch left them,
 * mostly in registers, so that they are stored only on the ways out (limit, faults, the other successor). The
 * branch at its end leads to its own start if the flags are in the same places there, else to the first copy
 * with the flags stored. Where all pointers move by constants, the second copy is a strip (strip.c). */
#include "translator/x64/control.h"

#include "translator/x64/compile.h"
#include "translator/x64/flags.h"
#include "translator/x64/fpu.h"
#include "translator/x64/mem.h"
#include "translator/x64/ops.h"
#include "translator/x64/strip.h"

/* From the block's start; never 0: every block begins with its entry. */
static uint32_t offset_of(const struct compile *c, const uint8_t *at)
{
    return (uint32_t)(at - c->b.start);
}

static bool is_user(const struct compile *c)
{
    return (c->tb->mode & TB_MODE_USER) != 0;
}

/* --- entry --- */

static void far_limit(struct compile *c, const struct far_code *f)
{
    flags_flush_far(c, &f->cc);
    emit_exit(c, X64_EXIT_LIMIT, false);
}

static void far_other(struct compile *c, const struct far_code *f)
{
    (void)f;
    emit_exit(c, X64_EXIT_OTHER, false);
}

/* The key of the tables that lead to compiled code has neither base nor limit of the code segment, which in
 * flat mode are known: other blocks compare them here. */
void emit_code_segment_check(struct compile *c)
{
    enum { BASE = offsetof(struct guest_state, seg[SEG_CS].base) };
    _Static_assert(BASE + 4 == offsetof(struct guest_state, seg[SEG_CS].limit), "one comparison");
    if (c->tb->mode & (TB_MODE_FLAT | TB_MODE_SINGLE))
        return;
    x_mov_imm64(&c->b, SCRATCH1, (uint64_t)c->tb->cs_limit << 32 | c->tb->cs_base);
    x_alu_load(&c->b, ALU_CMP, SZ64, SCRATCH1, mem_state(BASE));
    far_add(c, far_other, x_jcc(&c->b, CC_NE));
    c->out->chained = c->out->enter = offset_of(c, c->b.at);
}

static struct host_mem mem_itlb(const struct compile *c, uint32_t lin_addr, uint32_t field)
{
    const struct x64_env *env = &c->x->env;
    uint32_t number = lin_addr >> 12 & ((1u << env->tlb_bits) - 1);
    return mem_state(env->itlb[is_user(c)] + number * env->tlb_entry_bytes + field);
}

/* Only the block's first instruction crosses into the page behind its own, whose translation may change at
 * any time; a look that finds it in the fetch TLB changes nothing (vcpu/mmu/tlb.h). */
static void emit_page2_check(struct compile *c)
{
    const struct x64_env *env = &c->x->env;
    uint32_t page2 = (c->tb->lin_addr & ~X64_PAGE_MASK) + X64_PAGE_MASK + 1;
    if (c->tb->phys_page2 == ~0u)
        return;
    x_mov_imm(&c->b, SCRATCH1, page2);
    x_alu_load(&c->b, ALU_CMP, SZ64, SCRATCH1, mem_itlb(c, page2, env->tag_r));
    struct far_code *f = far_add(c, far_other, x_jcc(&c->b, CC_NE));
    x_alu_mem_imm(&c->b, ALU_CMP, SZ32, mem_itlb(c, page2, env->phys_page), c->tb->phys_page2);
    f->from[1] = x_jcc(&c->b, CC_NE);
    c->out->enter = offset_of(c, c->b.at);
}

void emit_entry(struct compile *c)
{
    emit_page2_check(c);
    emit_account_again(c);
    x_alu_mem_imm(&c->b, ALU_SUB, SZ64, mem_budget(), c->tb->ninsns);
    far_add(c, far_limit, x_jcc(&c->b, CC_S));
}

/* --- chain exits --- */

static void far_chain(struct compile *c, const struct far_code *f)
{
    c->out->exit[f->arg] = offset_of(c, c->b.at);
    emit_exit(c, X64_EXIT_CHAIN0 + f->arg, false);
}

static struct far_code *chain_jump(struct compile *c, unsigned chain_exit, uint8_t *rel32)
{
    struct far_code *f = far_add(c, far_chain, rel32);
    f->arg = (uint8_t)chain_exit;
    c->out->jump[chain_exit] = offset_of(c, rel32);
    return f;
}

/* The fetch page becomes that of lin_addr, if the fetch TLB agrees with the chained block. SCRATCH1, 2. */
static void emit_other_page(struct compile *c, unsigned chain_exit, uint32_t lin_addr)
{
    const struct x64_env *env = &c->x->env;
    uint32_t page = lin_addr & ~X64_PAGE_MASK;
    uint32_t entry =
        env->itlb[is_user(c)] + (lin_addr >> 12 & ((1u << env->tlb_bits) - 1)) * env->tlb_entry_bytes;
    uint8_t *miss[3];
    x_alu_mem_imm(&c->b, ALU_CMP, SZ64, mem_budget(),
                  0); /* at the limit an interrupt may come before the fetch */
    miss[0] = x_jcc(&c->b, CC_LE);
    x_mov_imm(&c->b, SCRATCH1, page);
    x_alu_load(&c->b, ALU_CMP, SZ64, SCRATCH1, mem_state(entry + env->tag_r));
    miss[1] = x_jcc(&c->b, CC_NE);
    x_load(&c->b, SZ32, SCRATCH2, mem_state(entry + env->phys_page));
    x_alu_imm(&c->b, ALU_CMP, SZ32, SCRATCH2, X64_PHYS_UNCHAINED);
    c->out->phys[chain_exit] = offset_of(c, c->b.at - 4);
    miss[2] = x_jcc(&c->b, CC_NE);
    x_store(&c->b, SZ32, mem_state(env->fetch_phys_page), SCRATCH2);
    x_load(&c->b, SZ64, SCRATCH2, mem_state(entry + env->addend));
    if (is_user(c))
        x_alu_imm(&c->b, ALU_OR, SZ64, SCRATCH1, 1);
    x_store(&c->b, SZ64, mem_state(env->fetch_tag), SCRATCH1);
    x_mov_imm(&c->b, SCRATCH1, page);
    x_alu(&c->b, ALU_ADD, SZ64, SCRATCH2, SCRATCH1);
    x_store(&c->b, SZ64, mem_state(env->fetch_host), SCRATCH2);
    uint8_t *jump = x_jmp(&c->b);
    struct far_code *f = chain_jump(c, chain_exit, jump);
    for (unsigned i = 0; i < 3; i++)
        f->from[i + 1] = miss[i];
}

static bool stays_on_page(const struct compile *c, uint32_t eip)
{
    return ((c->tb->cs_base + eip) ^ c->tb->lin_addr) <= X64_PAGE_MASK;
}

static void emit_goto(struct compile *c, unsigned chain_exit, uint32_t eip)
{
    if (c->tb->mode & TB_MODE_SINGLE)
        emit_exit(c, X64_EXIT_CHAIN0 + chain_exit, false);
    else if (stays_on_page(c, eip))
        chain_jump(c, chain_exit, x_jmp(&c->b));
    else
        emit_other_page(c, chain_exit, c->tb->cs_base + eip);
}

/* What may be seen behind this block. */
static void flush_all(struct compile *c)
{
    flags_flush(c);
    fpu_flush(c);
}

void emit_JMP(struct compile *c, const struct ir_op *op)
{
    flush_all(c);
    emit_goto(c, op->aux, op->imm);
}

static void far_taken(struct compile *c, const struct far_code *f)
{
    emit_goto(c, 1, f->op->imm);
}

static void emit_branch(struct compile *c, const struct ir_op *op, unsigned cond)
{
    uint8_t *taken = x_jcc(&c->b, cond);
    if (!(c->tb->mode & TB_MODE_SINGLE) && stays_on_page(c, op->imm))
        chain_jump(c, 1, taken);
    else
        far_add(c, far_taken, taken);
    emit_goto(c, 0, op->imm2);
}

/* --- loops --- */

/* Is the branch's target the block itself, and worth a second copy? */
static bool is_loop(const struct compile *c, const struct ir_op *op)
{
    const struct tb *tb = c->tb;
    return op->imm == tb->lin_addr - tb->cs_base && !(tb->mode & TB_MODE_SINGLE) && tb->phys_page2 == ~0u &&
           tb->nops <= LOOP_OPS_MAX;
}

static void far_loop(struct compile *c, const struct far_code *f)
{
    c->out->exit[1] = offset_of(c, c->b.at);
    flags_flush_far(c, &f->cc);
    emit_exit(c, X64_EXIT_CHAIN1, false);
}

static void far_loop_copy(struct compile *c, const struct far_code *f)
{
    c->out->loop_exit = offset_of(c, c->b.at);
    flags_flush_far(c, &f->cc);
    emit_exit(c, X64_EXIT_CHAIN1, false);
}

static void emit_loop_first(struct compile *c, const struct ir_op *op, unsigned cond)
{
    uint8_t *taken = x_jcc(&c->b, cond);
    far_add(c, far_loop, taken);
    c->out->jump[1] = offset_of(c, taken);
    c->loop.wanted = true;
    c->loop.cc = c->cc;
    flags_flush(c);
    c->loop.other = c->b.at;
    emit_goto(c, 0, op->imm2);
}

static void emit_loop_copy(struct compile *c, unsigned cond)
{
    struct x64_code *n = c->out;
    bool same = flags_same(&c->cc, &c->loop.cc);
    if (!same)
        flags_flush(c); /* keeps the condition: what it may leave in the host's flags is what a JCC tests */
    uint8_t *taken = x_jcc(&c->b, cond);
    far_add(c, far_loop_copy, taken);
    n->loop_jump = offset_of(c, taken);
    n->loop_next = same ? c->loop.head : 0;
    flags_flush(c);
    x_jmp_to(&c->b, c->loop.other);
}

static void emit_loop_branch(struct compile *c, const struct ir_op *op, unsigned cond)
{
    if (c->loop.strip)
        c->loop.strip_fits = emit_strip_branch(c, cond);
    else if (c->loop.copying)
        emit_loop_copy(c, cond);
    else if (!flags_in_slots(&c->cc) || strip_possible(c))
        emit_loop_first(c, op, cond);
    else
        emit_branch(c, op, cond);
}

void emit_loop_begin(struct compile *c)
{
    c->out->loop = offset_of(c, c->b.at);
    c->loop.copying = true;
    mem_begin(c);
    mem_begin_loop(c);
    c->loop.head = offset_of(c, c->b.at);
    c->fpu_on_host = false;
    c->cc = c->loop.cc;
    c->b.flags_for = 0;
    reg_begin(c);
    emit_entry(c);
}

void emit_JCC(struct compile *c, const struct ir_op *op)
{
    fpu_flush(c);
    if (is_loop(c, op)) {
        emit_loop_branch(c, op, flags_cond(c, op->aux));
        return;
    }
    emit_branch(c, op, flags_cond_flush(c, op->aux));
}

void emit_JNZ(struct compile *c, const struct ir_op *op)
{
    unsigned a = reg_src(c, op->a);
    fpu_flush(c);
    if (is_loop(c, op)) {
        if (c->loop.copying && !flags_same(&c->cc, &c->loop.cc))
            flags_flush(c); /* not behind the test, whose flags it would replace */
        x_test(&c->b, SZ32, a, a);
        emit_loop_branch(c, op, CC_NE);
        return;
    }
    flags_flush(c);
    x_test(&c->b, SZ32, a, a);
    emit_branch(c, op, CC_NE);
}

/* --- indirect jumps --- */

/* MATCH emit_other_way_stub */
static void set_exit_word(struct compile *c)
{
    x_mov_imm64(&c->b, HOST_PAGE, (uint64_t)(uintptr_t)c->tb | X64_EXIT_JUMP);
}

static void far_jump_other_way(struct compile *c, const struct far_code *f)
{
    (void)f;
    set_exit_word(c);
    x_jmp_to(&c->b, c->x->stubs.other_way);
}

static void far_jump_other_page(struct compile *c, const struct far_code *f)
{
    (void)f;
    x_mov_imm64(&c->b, R8, x64_jump_key(0, c->tb->mode));
    set_exit_word(c);
    x_jmp_to(&c->b, c->x->stubs.other_page[is_user(c)]);
}

/* SCRATCH2 = address of the entry for the linear address in SCRATCH1 and the physical page in phys. MATCH
 * jump_index */
void emit_jump_entry(struct x64_buf *b, const struct x64_env *env, unsigned phys)
{
    x_mov(b, SZ32, SCRATCH2, phys);
    x_shift_imm(b, SH_SHR, SZ32, SCRATCH2, 12);
    x_imul_imm(b, SZ32, SCRATCH2, SCRATCH2, X64_JUMP_MIX);
    x_alu(b, ALU_XOR, SZ32, SCRATCH2, SCRATCH1);
    x_alu_imm(b, ALU_AND, SZ32, SCRATCH2, (1u << X64_JUMP_BITS) - 1);
    x_shift_imm(b, SH_SHL, SZ32, SCRATCH2, 5);
    x_lea(b, SZ64, SCRATCH2, mem_indexed(HOST_STATE, SCRATCH2, 0, (int32_t)env->jumps - X64_STATE_BIAS));
}

/* R8, R9, R12 are free: no temporary is live here but the target, whose linear address is in SCRATCH1. */
static void emit_jump_lookup(struct compile *c)
{
    const struct x64_env *env = &c->x->env;
    x_mov(&c->b, SZ32, R12, SCRATCH1);
    x_alu_imm(&c->b, ALU_AND, SZ32, R12, ~X64_PAGE_MASK);
    if (is_user(c))
        x_alu_imm(&c->b, ALU_OR, SZ32, R12, 1);
    x_alu_load(&c->b, ALU_CMP, SZ64, R12, mem_state(env->fetch_tag));
    far_add(c, far_jump_other_page, x_jcc(&c->b, CC_NE));
    x_load(&c->b, SZ32, R9, mem_state(env->fetch_phys_page));
    emit_jump_entry(&c->b, env, R9);
    x_mov_imm64(&c->b, R8, x64_jump_key(0, c->tb->mode));
    x_alu(&c->b, ALU_OR, SZ64, R8, SCRATCH1);
    x_alu_load(&c->b, ALU_CMP, SZ64, R8, mem_at(SCRATCH2, offsetof(struct x64_jump, key)));
    struct far_code *miss = far_add(c, far_jump_other_way, x_jcc(&c->b, CC_NE));
    x_alu_load(&c->b, ALU_CMP, SZ32, R9, mem_at(SCRATCH2, offsetof(struct x64_jump, phys_page)));
    miss->from[1] = x_jcc(&c->b, CC_NE);
    x_jmp_mem(&c->b, mem_at(SCRATCH2, offsetof(struct x64_jump, code)));
}

void emit_JMPIND(struct compile *c, const struct ir_op *op)
{
    unsigned a = reg_src(c, op->a);
    flush_all(c);
    if (c->tb->cs_base)
        x_lea(&c->b, SZ32, SCRATCH1, mem_at(a, (int32_t)c->tb->cs_base));
    else
        x_mov(&c->b, SZ32, SCRATCH1, a);
    if (!(c->tb->mode & TB_MODE_SINGLE))
        emit_jump_lookup(c);
    else {
        x_mov(&c->b, SZ32, SCRATCH2, SCRATCH1);
        emit_exit(c, X64_EXIT_JUMP, false);
    }
}

/* --- helpers and exits --- */

static void far_helper_fault(struct compile *c, const struct far_code *f)
{
    emit_exit_op(c, X64_EXIT_FAULT, f->op, true);
}

static void set_running(struct compile *c)
{
    x_mov_imm64(&c->b, SCRATCH1, (uint64_t)(uintptr_t)c->tb);
    x_store(&c->b, SZ64, mem_state(c->x->env.running_tb), SCRATCH1);
}

static void emit_call_c(struct compile *c, const struct ir_op *op, uintptr_t function)
{
    x_lea(&c->b, SZ64, RDI, mem_state(0));
    x_mov_imm64(&c->b, RSI, (uint64_t)(uintptr_t)op);
    x_mov_imm64(&c->b, RAX, function);
    x_call_reg(&c->b, RAX);
}

void emit_helper_call(struct compile *c, const struct ir_op *op)
{
    reg_store_guest(&c->b);
    set_running(c);
    emit_call_c(c, op, (uintptr_t)c->x->env.calls.helpers[op->imm]);
}

/* Column `inline` of helpers.def; false: the helper is to be called. */
static bool emit_inline(struct compile *c, const struct ir_op *op)
{
    switch (helper_info[op->imm].form) {
    case HELPER_INLINE_DIVIDE:
        emit_divide(c, op);
        return true;
    case HELPER_INLINE_STATE:
        return emit_state_helper(c, op);
    case HELPER_INLINE_X87:
    case HELPER_INLINE_SSE:
        if (!fpu_is_inline(c, op))
            return false;
        emit_fpu(c, op);
        return true;
    default:
        return false;
    }
}

void emit_HELPER(struct compile *c, const struct ir_op *op)
{
    if (emit_inline(c, op))
        return;
    flush_all(c);
    fpu_leave(c);
    reg_spill_temps(c);
    emit_helper_call(c, op);
    x_test(&c->b, SZ32, RAX, RAX);
    far_add(c, far_helper_fault, x_jcc(&c->b, CC_NE));
    if (ir_cc_after(CC_EFLAGS, op) < 0)
        flags_unknown(c);
    c->stored = op[1].op == IR_LEAVE_TB; /* an E op follows: the array goes on */
    if (!c->stored)
        reg_load_guest(&c->b);
}

void emit_in_c(struct compile *c, const struct ir_op *op)
{
    flags_flush(c);
    reg_spill_temps(c);
    reg_store_guest(&c->b);
    c->loop.strip_in_c = true;
    emit_call_c(c, op, (uintptr_t)x64_eval);
    reg_load_guest(&c->b);
    if (op_wants_flags(op))
        flags_unknown(c);
}

void emit_RAISE(struct compile *c, const struct ir_op *op)
{
    flush_all(c);
    emit_exit_op(c, X64_EXIT_RAISE, op, false);
}

static void leave_by_stub(struct compile *c)
{
    x_mov_imm64(&c->b, RBX, (uint64_t)(uintptr_t)c->tb | X64_EXIT_LEAVE);
    x_jmp_to(&c->b, c->x->stubs.leave);
}

static void far_mode_changed(struct compile *c, const struct far_code *f)
{
    (void)f;
    leave_by_stub(c);
}

static void unless_mode_changed(struct compile *c, const struct ir_op *op)
{
    x_alu_mem_imm(&c->b, ALU_CMP, SZ32, mem_state(offsetof(struct guest_state, mode)), c->tb->mode);
    far_add(c, far_mode_changed, x_jcc(&c->b, CC_NE));
    reg_load_guest(&c->b);
    emit_goto(c, 0, op->imm2);
}

void emit_LEAVE_TB(struct compile *c, const struct ir_op *op)
{
    flush_all(c);
    if ((c->tb->mode & TB_MODE_SINGLE) || !c->stored)
        emit_exit(c, X64_EXIT_LEAVE, c->stored);
    else if (op->aux)
        unless_mode_changed(c, op);
    else
        leave_by_stub(c);
}
