/* control.c - entering, chaining and leaving blocks; helpers.
 *
 * A chain exit is a jump that leads out of compiled code until x64_chain() patches it. Where the successor
 * lies on another page, it is found like that of an indirect jump, in a table whose entries hold while the
 * fetch TLB maps their pages (x64.h).
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
#include "translator/x64/segload.h"
#include "translator/x64/strings.h"
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

/* Does the fetch TLB have this page where the block was built with it? Else to `otherwise`. MATCH fetch_at */
static void emit_fetch_look(struct compile *c, uint32_t lin_page, uint32_t memory_page,
                            void (*otherwise)(struct compile *c, const struct far_code *f))
{
    const struct x64_env *env = &c->x->env;
    uint32_t number = lin_page >> 12 & ((1u << env->tlb_bits) - 1);
    uint32_t entry = env->itlb[is_user(c)] + number * env->tlb_entry_bytes;
    x_mov_imm64(&c->b, SCRATCH1, (uint64_t)memory_page << 32 | lin_page);
    x_alu_load(&c->b, ALU_CMP, SZ64, SCRATCH1, mem_state(entry + env->fetch_at));
    far_add(c, otherwise, x_jcc(&c->b, CC_NE));
}

/* Only the block's first instruction crosses into the page behind its own, whose translation may change at
 * any time; a look that finds it in the fetch TLB changes nothing (vcpu/mmu/tlb.h). */
static void emit_page2_check(struct compile *c)
{
    uint32_t page2 = (c->tb->lin_addr & ~X64_PAGE_MASK) + X64_PAGE_MASK + 1;
    if (c->tb->phys_page2 == ~0u)
        return;
    emit_fetch_look(c, page2, c->tb->phys_page2, far_other);
    c->out->enter = offset_of(c, c->b.at);
}

void emit_counter(struct compile *c)
{
    if (!c->x->counts)
        return;
    const uint64_t *counter = &tb_executions(c->tb)[c->loop.copying || c->loop.strip];
    enum x64_part before = part_begin(&c->b, X64_PART_COUNTER);
    emit_tb_pointer(c, SCRATCH1, (uintptr_t)counter);
    x_alu_mem_imm(&c->b, ALU_ADD, SZ64, mem_at(SCRATCH1, 0), 1);
    part_end(&c->b, before);
}

void emit_entry(struct compile *c)
{
    emit_page2_check(c);
    enum x64_part before = part_begin(&c->b, X64_PART_TICKS);
    emit_account_again(c);
    x_alu_mem_imm(&c->b, ALU_SUB, SZ64, mem_budget(), c->tb->ninsns);
    far_add(c, far_limit, x_jcc(&c->b, CC_S));
    part_end(&c->b, before);
    emit_counter(c);
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

/* --- jumps to another page, and indirect ones --- */

/* SCRATCH1 = linear address, SCRATCH2 = its key. */
static void far_jump_miss(struct compile *c, const struct far_code *f)
{
    if (f->reg != SCRATCH1)
        x_mov(&c->b, SZ32, SCRATCH1, f->reg);
    emit_tb_pointer(c, HOST_PAGE, (uintptr_t)c->tb | X64_EXIT_JUMP);
    x_jmp_to(&c->b, c->x->stubs.jump_miss[is_user(c)]);
}

/* Through the place (x64.h) of the linear address in `lin`. known: that of the block, with which it moves. */
static void emit_jump_through(struct compile *c, unsigned lin, bool known, struct host_mem key,
                              struct host_mem code)
{
    x_load(&c->b, SZ64, SCRATCH2, mem_jumps(&c->x->env, offsetof(struct x64_jumps, hi)));
    x_alu(&c->b, ALU_OR, SZ64, SCRATCH2, lin);
    x_alu_load(&c->b, ALU_CMP, SZ64, SCRATCH2, key);
    if (known)
        x_note_move(&c->b, X64_MOVE_PLACE);
    far_add(c, far_jump_miss, x_jcc(&c->b, CC_NE))->reg = (uint8_t)lin;
    x_jmp_mem(&c->b, code);
    if (known)
        x_note_move(&c->b, X64_MOVE_PLACE);
}

static void emit_jump_to_page(struct compile *c, uint32_t lin_addr)
{
    const struct x64_env *env = &c->x->env;
    unsigned place = x64_jump_place(lin_addr);
    x_mov_imm(&c->b, SCRATCH1, lin_addr);
    x_note_move(&c->b, X64_MOVE_LIN);
    emit_jump_through(c, SCRATCH1, true, mem_jumps(env, offsetof(struct x64_jumps, key) + place * 8),
                      mem_jumps(env, offsetof(struct x64_jumps, code) + place * 8));
}

/* Is eip on a page that the block has come to by its instruction `insn`? The fetch TLB has it then. */
static bool stays_on_pages(const struct compile *c, unsigned insn, uint32_t eip)
{
    const struct tb *tb = c->tb;
    for (unsigned i = 0; i <= insn; i++)
        if (((tb->cs_base + eip) ^ (tb->lin_addr + (uint32_t)tb->insn_offset[i])) <= X64_PAGE_MASK)
            return true;
    return false;
}

/* At the end of instruction `insn`. */
static void emit_goto(struct compile *c, unsigned insn, unsigned chain_exit, uint32_t eip)
{
    part_begin(&c->b, X64_PART_JUMP);
    if (c->tb->mode & TB_MODE_SINGLE)
        emit_exit(c, X64_EXIT_CHAIN0 + chain_exit, false);
    else if (stays_on_pages(c, insn, eip) && !c->careful.emitting)
        chain_jump(c, chain_exit, x_jmp(&c->b));
    else
        emit_jump_to_page(c, c->tb->cs_base + eip);
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
    emit_goto(c, op->insn, op->aux, op->imm);
}

static void far_taken(struct compile *c, const struct far_code *f)
{
    emit_goto(c, f->op->insn, 1, f->op->imm);
}

static void emit_branch(struct compile *c, const struct ir_op *op, unsigned cond)
{
    part_begin(&c->b, X64_PART_JUMP);
    uint8_t *taken = x_jcc(&c->b, cond);
    if (!(c->tb->mode & TB_MODE_SINGLE) && stays_on_pages(c, op->insn, op->imm) && !c->careful.emitting)
        chain_jump(c, 1, taken);
    else
        far_add(c, far_taken, taken);
    emit_goto(c, op->insn, 0, op->imm2);
}

/* --- ways out of the middle --- */

/* The ticks of the instructions behind the op's. */
static void give_back(struct compile *c, const struct ir_op *op)
{
    x_alu_mem_imm(&c->b, ALU_ADD, SZ64, mem_budget(), (uint32_t)(c->tb->ninsns - 1 - op->insn));
}

/* A loop's second copy leaves by the code of the first. */
static void far_side(struct compile *c, const struct far_code *f)
{
    const struct ir_op *op = f->op;
    flags_flush_far(c, &f->cc);
    fpu_flush_pending(c, &f->fpu);
    if (c->side[op->imm2]) {
        x_jmp_to(&c->b, c->side[op->imm2]);
        return;
    }
    c->side[op->imm2] = c->b.at;
    give_back(c, op);
    emit_goto(c, op->insn, op->imm2, op->imm);
}

void emit_SIDE(struct compile *c, const struct ir_op *op)
{
    unsigned cond = flags_cond(c, op->aux);
    enum x64_part before = part_begin(&c->b, X64_PART_JUMP);
    far_add(c, far_side, x_jcc(&c->b, cond));
    part_end(&c->b, before);
}

/* --- loops --- */

/* Is the branch's target the block itself, and worth a second copy? */
static bool is_loop(const struct compile *c, const struct ir_op *op)
{
    const struct tb *tb = c->tb;
    return op->imm == tb->lin_addr - tb->cs_base && !(tb->mode & TB_MODE_SINGLE) && tb->phys_page2 == ~0u &&
           tb->nops <= LOOP_OPS_MAX && !c->careful.emitting;
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
    part_begin(&c->b, X64_PART_JUMP);
    uint8_t *taken = x_jcc(&c->b, cond);
    far_add(c, far_loop, taken);
    c->out->jump[1] = offset_of(c, taken);
    c->loop.wanted = true;
    c->loop.cc = c->cc;
    flags_flush(c);
    c->loop.other = c->b.at;
    emit_goto(c, op->insn, 0, op->imm2);
}

static void emit_loop_copy(struct compile *c, unsigned cond)
{
    struct x64_code *n = c->out;
    bool same = flags_same(&c->cc, &c->loop.cc);
    part_begin(&c->b, X64_PART_JUMP);
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
    groups_plan(c);
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

/* R13 is free: no group goes on behind the block. */
static void emit_jump_to(struct compile *c, unsigned lin)
{
    const struct x64_env *env = &c->x->env;
    x_movzx(&c->b, SZ16, HOST_PAGE, lin);
    emit_jump_through(c, lin, false, mem_jump_place(env, offsetof(struct x64_jumps, key), HOST_PAGE),
                      mem_jump_place(env, offsetof(struct x64_jumps, code), HOST_PAGE));
}
_Static_assert(X64_JUMP_BITS == 16, "the place is a zero-extended word");

void emit_JMPIND(struct compile *c, const struct ir_op *op)
{
    unsigned a = reg_src(c, op->a);
    flush_all(c);
    part_begin(&c->b, X64_PART_JUMP);
    if (c->tb->cs_base)
        x_lea(&c->b, SZ32, SCRATCH1, mem_at(a, (int32_t)c->tb->cs_base));
    if (!(c->tb->mode & TB_MODE_SINGLE)) {
        emit_jump_to(c, c->tb->cs_base ? (unsigned)SCRATCH1 : a);
        return;
    }
    x_mov(&c->b, SZ32, SCRATCH2, c->tb->cs_base ? (unsigned)SCRATCH1 : a);
    emit_exit(c, X64_EXIT_JUMP, false);
}

/* --- calls, returns and other pages inside a long block --- */

static void far_leave_begin(struct compile *c, const struct far_code *f)
{
    flags_flush_far(c, &f->cc);
    fpu_flush_pending(c, &f->fpu);
    part_begin(&c->b, X64_PART_JUMP);
    give_back(c, f->op);
}

static void far_expect(struct compile *c, const struct far_code *f)
{
    far_leave_begin(c, f);
    emit_jump_to(c, f->reg);
}

void emit_EXPECT(struct compile *c, const struct ir_op *op)
{
    unsigned a = reg_src(c, op->a);
    enum x64_part before = part_begin(&c->b, X64_PART_JUMP);
    x_cmp_imm32(&c->b, a, op->imm);
    x_note_move(&c->b, X64_MOVE_LIN);
    far_add(c, far_expect, x_jcc(&c->b, CC_NE))->reg = (uint8_t)a;
    part_end(&c->b, before);
}

static void far_cross(struct compile *c, const struct far_code *f)
{
    far_leave_begin(c, f);
    emit_jump_to_page(c, f->op->imm);
}

/* Does the fetch TLB have the page where the block was built with it? Then to fetch there changes nothing. */
void emit_CROSS(struct compile *c, const struct ir_op *op)
{
    enum x64_part before = part_begin(&c->b, X64_PART_JUMP);
    emit_fetch_look(c, op->imm & ~X64_PAGE_MASK, op->imm2, far_cross);
    part_end(&c->b, before);
}

/* --- helpers and exits --- */

static void far_helper_fault(struct compile *c, const struct far_code *f)
{
    emit_exit_op(c, X64_EXIT_FAULT, f->op, true);
}

static void set_running(struct compile *c)
{
    emit_tb_pointer(c, SCRATCH1, (uintptr_t)c->tb);
    x_store(&c->b, SZ64, mem_state(c->x->env.running_tb), SCRATCH1);
}

static void emit_call_c(struct compile *c, const struct ir_op *op, uintptr_t function)
{
    x_lea(&c->b, SZ64, RDI, mem_state(0));
    emit_tb_pointer(c, RSI, (uintptr_t)op);
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

/* A helper that is seldom called: then, off the main path. */
static void far_helper(struct compile *c, const struct far_code *f)
{
    emit_helper_call(c, f->op);
    x_test(&c->b, SZ32, RAX, RAX);
    uint8_t *fault = x_jcc(&c->b, CC_NE);
    reg_load_guest(&c->b);
    x_jmp_to(&c->b, f->back);
    x_patch_here(&c->b, fault);
    far_helper_fault(c, f);
}

static bool emit_aside(struct compile *c, const struct ir_op *op)
{
    uint8_t *no = emit_load_aside(c, op);
    if (no)
        far_add(c, far_helper, no)->back = c->b.at;
    return no != NULL;
}

/* A repeated instruction done by a stub goes on with the next; else behind this, as the helper says. */
static void emit_string(struct compile *c, const struct ir_op *op)
{
    const uint8_t *stub = string_stub(c, op);
    if (!stub)
        return;
    enum x64_part before = part_begin(&c->b, X64_PART_WORK);
    x_call_to(&c->b, stub);
    uint8_t *not_done = x_jcc(&c->b, CC_B);
    part_begin(&c->b, X64_PART_JUMP);
    emit_jump_to_page(c, c->tb->cs_base + op->imm2);
    x_patch_here(&c->b, not_done);
    part_end(&c->b, before);
}

void emit_HELPER(struct compile *c, const struct ir_op *op)
{
    if (emit_inline(c, op))
        return;
    emit_string(c, op);
    flush_all(c);
    fpu_leave(c);
    part_begin(&c->b, X64_PART_CALL);
    reg_spill_temps(c);
    if (emit_aside(c, op))
        return;
    c->same_segment = emit_same_segment(c, op);
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
    part_begin(&c->b, X64_PART_CALL);
    reg_spill_temps(c);
    reg_store_guest(&c->b);
    c->loop.strip_in_c = true;
    emit_call_c(c, op, (uintptr_t)x64_eval);
    reg_load_guest(&c->b);
    if (op->flags & IRF_FLAGS)
        flags_unknown(c);
}

void emit_RAISE(struct compile *c, const struct ir_op *op)
{
    flush_all(c);
    emit_exit_op(c, X64_EXIT_RAISE, op, false);
}

static void leave_by_stub(struct compile *c)
{
    emit_tb_pointer(c, RBX, (uintptr_t)c->tb | X64_EXIT_LEAVE);
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
    if (c->same_segment)
        x_patch_here(&c->b, c->same_segment);
    emit_goto(c, op->insn, 0, op->imm2);
}

void emit_LEAVE_TB(struct compile *c, const struct ir_op *op)
{
    flush_all(c);
    part_begin(&c->b, X64_PART_JUMP);
    if ((c->tb->mode & TB_MODE_SINGLE) || !c->stored)
        emit_exit(c, X64_EXIT_LEAVE, c->stored);
    else if (op->aux)
        unless_mode_changed(c, op);
    else
        leave_by_stub(c);
}
