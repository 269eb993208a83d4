/* stubs.c - code shared by all blocks: the way in and out, and calls of C functions that keep every register.
 *
 * Arguments in SCRATCH1 and SCRATCH2, result in SCRATCH1 with host SF as its sign (bit 63). Stack: blocks run
 * with RSP a multiple of 16. */
#include "translator/x64/stubs.h"
#include "translator/x64/compile.h"
#include "translator/x64/control.h"
#include "translator/x64/mem.h"
#include "translator/x64/segload.h"
#include "translator/x64/strings.h"

#include "translator/sse.h"

static const uint8_t callee_saved[] = {RBX, RBP, R12, R13, R14, R15};
static const uint8_t kept[] = {RAX, RCX, RDX, RSI, RDI, R8, R9, SCRATCH2};
enum { CALLEE_SAVED = sizeof callee_saved, KEPT = sizeof kept, ALIGN_BYTES = 8, STUBS_ALIGN = 64 };
_Static_assert((FRAME_BYTES + 8 * (CALLEE_SAVED + 1)) % 16 == 0, "RSP in blocks");

/* --- the FPU --- */

static struct host_mem mem_fpu_image(void)
{
    return mem_state(offsetof(struct guest_state, fpu_host.image));
}
_Static_assert(offsetof(struct guest_state, fpu_host.image) % 16 == 0, "FXSAVE");

static struct host_mem mem_fpu_on_host(void)
{
    return mem_state(offsetof(struct guest_state, fpu_on_host));
}

static uint8_t *unless_fpu_on_host(struct x64_buf *b)
{
    x_alu_mem_imm(b, ALU_CMP, SZ8, mem_fpu_on_host(), 0);
    return x_jcc(b, CC_E);
}

/* Around C code that neither looks at the guest's FPU nor uses the host's: it is kept aside, and put back. */
static void fpu_set_aside(struct x64_buf *b)
{
    uint8_t *in_memory = unless_fpu_on_host(b);
    x_fxsave(b, mem_fpu_image());
    x_patch_here(b, in_memory);
}

static void fpu_put_back(struct x64_buf *b)
{
    uint8_t *in_memory = unless_fpu_on_host(b);
    x_fxrstor(b, mem_fpu_image());
    x_patch_here(b, in_memory);
}

/* --- in and out --- */

/* struct x64_exit enter(state + bias, code) */
static void emit_enter(struct x64_buf *b)
{
    for (unsigned i = 0; i < CALLEE_SAVED; i++)
        x_push(b, callee_saved[i]);
    x_alu_imm(b, ALU_SUB, SZ64, RSP, FRAME_BYTES);
    x_mov(b, SZ64, HOST_STATE, RDI);
    x_mov(b, SZ64, SCRATCH1, RSI);
    reg_load_guest(b);
    x_jmp_reg(b, SCRATCH1);
}

static void emit_leave(struct x64_buf *b, const uint8_t *fpu_leave)
{
    uint8_t *in_memory = unless_fpu_on_host(b);
    x_call_to(b, fpu_leave);
    x_patch_here(b, in_memory);
    x_mov(b, SZ64, RAX, SCRATCH1);
    x_mov(b, SZ64, RDX, SCRATCH2);
    x_alu_imm(b, ALU_ADD, SZ64, RSP, FRAME_BYTES);
    for (unsigned i = CALLEE_SAVED; i-- > 0;)
        x_pop(b, callee_saved[i]);
    x_ret(b);
}

/* Guest registers are in their slots; RBX = exit word, where a call keeps it. */
static uint8_t *emit_leave_stub(struct x64_buf *b, const struct x64 *x)
{
    uint8_t *start = b->at;
    x_lea(b, SZ64, RDI, mem_state(0));
    x_mov_imm64(b, RAX, (uintptr_t)x->env.calls.next);
    x_call_reg(b, RAX);
    x_mov(b, SZ64, SCRATCH1, RAX);
    x_test(b, SZ64, RAX, RAX);
    uint8_t *none = x_jcc(b, CC_E);
    reg_load_guest(b);
    x_jmp_reg(b, SCRATCH1);
    x_patch_here(b, none);
    x_mov(b, SZ64, SCRATCH1, RBX);
    x_jmp_to(b, x->stubs.exit_stored);
    return start;
}

/* --- calls of C --- */

static uint8_t *begin_call(struct x64_buf *b)
{
    uint8_t *start = b->at;
    for (unsigned i = 0; i < KEPT; i++)
        x_push(b, kept[i]);
    x_alu_imm(b, ALU_SUB, SZ64, RSP, ALIGN_BYTES);
    x_lea(b, SZ64, RDI, mem_state(0));
    return start;
}

static void call_function(struct x64_buf *b, uintptr_t function)
{
    x_mov_imm64(b, RAX, function);
    x_call_reg(b, RAX);
    x_mov(b, SZ64, SCRATCH1, RAX);
}

static void end_stub(struct x64_buf *b)
{
    x_alu_imm(b, ALU_ADD, SZ64, RSP, ALIGN_BYTES);
    for (unsigned i = KEPT; i-- > 0;)
        x_pop(b, kept[i]);
    x_test(b, SZ64, SCRATCH1, SCRATCH1);
    x_ret(b);
}

/* A function that works on slots alone. */
static void end_call(struct x64_buf *b, uintptr_t function)
{
    call_function(b, function);
    end_stub(b);
}

/* What page groups remember of the TLB, in the block's frame. */
static void forget_pages(struct x64_buf *b)
{
    enum { BELOW = ALIGN_BYTES + 8 * (KEPT + 1) }; /* of the stub, and its return address */
    for (int place = 0; place < PAGE_PLACES; place++) {
        x_store_imm(b, SZ64, mem_at(RSP, BELOW + place * PLACE_BYTES + PLACE_PAGE), PLACE_NO_PAGE);
        x_store_imm(b, SZ64, mem_at(RSP, BELOW + place * PLACE_BYTES + PLACE_ADDEND), UINT32_MAX);
    }
}

/* The MMU and what is behind it. */
static void end_mmu_call(struct x64_buf *b, uintptr_t function)
{
    forget_pages(b);
    fpu_set_aside(b);
    call_function(b, function);
    fpu_put_back(b);
    end_stub(b);
}

/* MATCH tlb_promote (vcpu/mmu/tlb.h). Host CF: the page of SCRATCH1, modulo 2^64, was in the second way, and
 * is in the first now; SCRATCH1 and SCRATCH2 are lost. If not, they are kept. */
static uint8_t *emit_promote_stub(struct x64_buf *b, const struct x64_env *env, bool user)
{
    const uint32_t first = env->tlb[user], second = first + env->tlb_way_bytes;
    uint8_t *start = b->at;
    x_push(b, RAX);
    x_push(b, RDX);
    emit_tlb_index(b, env, RAX, SCRATCH1);
    x_mov(b, SZ64, RDX, SCRATCH1);
    x_alu_imm(b, ALU_AND, SZ64, RDX, ~X64_PAGE_MASK);
    x_alu_load(b, ALU_CMP, SZ64, RDX, mem_tlb(second, env->tag_r, RAX));
    uint8_t *other = x_jcc(b, CC_NE);
    for (uint32_t at = 0; at < X64_TLB_ENTRY_BYTES; at += 8) {
        x_load(b, SZ64, SCRATCH1, mem_tlb(first, at, RAX));
        x_load(b, SZ64, SCRATCH2, mem_tlb(second, at, RAX));
        x_store(b, SZ64, mem_tlb(first, at, RAX), SCRATCH2);
        x_store(b, SZ64, mem_tlb(second, at, RAX), SCRATCH1);
    }
    x_alu_imm(b, ALU_CMP, SZ64, RSP, UINT32_MAX); /* -1: CF */
    uint8_t *done = x_jmp(b);
    x_patch_here(b, other);
    x_test(b, SZ64, RSP, RSP); /* no CF */
    x_patch_here(b, done);
    x_pop(b, RDX);
    x_pop(b, RAX);
    x_ret(b);
    return start;
}

static uint8_t *emit_load_call(struct x64_buf *b, const struct x64_env *env, unsigned bytes, bool for_write)
{
    uint8_t *start = begin_call(b);
    x_mov(b, SZ32, RSI, SCRATCH1);
    x_mov_imm(b, RDX, bytes);
    x_mov_imm(b, RCX, for_write);
    end_mmu_call(b, (uintptr_t)env->calls.load);
    return start;
}

static uint8_t *emit_store_call(struct x64_buf *b, const struct x64_env *env, unsigned size)
{
    uint8_t *start = begin_call(b);
    x_mov(b, SZ32, RSI, SCRATCH1);
    x_mov_imm(b, RDX, 1u << size);
    if (size == SZ32)
        x_mov(b, SZ32, RCX, SCRATCH2);
    else
        x_movzx(b, size, RCX, SCRATCH2);
    end_mmu_call(b, (uintptr_t)env->calls.store);
    return start;
}

/* What an access stub does where the first way has the page: RAX is the index, SCRATCH1 the address. */
static void emit_stub_access(struct x64_buf *b, const struct x64_env *env, bool user, unsigned size,
                             bool is_store)
{
    x_load(b, SZ64, RAX, mem_tlb(env->tlb[user], env->addend, RAX));
    if (is_store)
        x_store(b, size, mem_indexed(RAX, SCRATCH1, 0, 0), SCRATCH2);
    else
        x_load(b, size, SCRATCH1, mem_indexed(RAX, SCRATCH1, 0, 0));
    x_alu_imm(b, ALU_CMP, SZ64, RSP, UINT32_MAX); /* -1: CF, no SF */
    x_pop(b, RDX);
    x_pop(b, RAX);
    x_ret(b);
}

/* `in_c`: goes on there where neither way has what the access needs. */
static uint8_t *emit_access_stub(struct x64_buf *b, const struct x64 *x, bool user, unsigned size,
                                 bool is_store, bool for_write, const uint8_t *in_c)
{
    const struct x64_env *env = &x->env;
    uint8_t *start = b->at;
    x_push(b, RAX);
    x_push(b, RDX);
    emit_tlb_index(b, env, RAX, SCRATCH1);
    uint8_t *again = b->at;
    x_mov(b, SZ64, RDX, SCRATCH1);
    x_alu_load(b, ALU_XOR, SZ64, RDX, mem_tlb(env->tlb[user], for_write ? env->tag_w : env->tag_r, RAX));
    x_alu_imm(b, ALU_CMP, SZ64, RDX, X64_PAGE_BYTES - (1u << size));
    uint8_t *miss = x_jcc(b, CC_A);
    emit_stub_access(b, env, user, size, is_store);
    x_patch_here(b, miss);
    x_push(b, SCRATCH1);
    x_push(b, SCRATCH2);
    x_call_to(b, x->stubs.promote[user]);
    x_pop(b, SCRATCH2);
    x_pop(b, SCRATCH1);
    x_patch(x_jcc(b, CC_B), again);
    x_pop(b, RDX);
    x_pop(b, RAX);
    x_jmp_to(b, in_c);
    return start;
}

static void emit_access_stubs(struct x64_buf *b, struct x64 *x, unsigned size)
{
    const uint8_t *load = emit_load_call(b, &x->env, 1u << size, false);
    const uint8_t *load_rw = emit_load_call(b, &x->env, 1u << size, true);
    const uint8_t *store = emit_store_call(b, &x->env, size);
    for (unsigned user = 0; user < 2; user++) {
        x->stubs.load[user][size] = emit_access_stub(b, x, user, size, false, false, load);
        x->stubs.load_rw[user][size] = emit_access_stub(b, x, user, size, false, true, load_rw);
        x->stubs.store[user][size] = emit_access_stub(b, x, user, size, true, true, store);
    }
}

/* function(state, SCRATCH1, SCRATCH2), ended by end_call or end_mmu_call. */
static uint8_t *emit_stub(struct x64_buf *b, uintptr_t function,
                          void (*end)(struct x64_buf *b, uintptr_t function))
{
    uint8_t *start = begin_call(b);
    x_mov(b, SZ32, RSI, SCRATCH1);
    x_mov(b, SZ32, RDX, SCRATCH2);
    end(b, function);
    return start;
}

static uint8_t *emit_call_stub(struct x64_buf *b, uintptr_t function)
{
    return emit_stub(b, function, end_call);
}
static uint8_t *emit_mmu_stub(struct x64_buf *b, uintptr_t function)
{
    return emit_stub(b, function, end_mmu_call);
}

/* The guest's FPU to the host's; host SF: refused. */
static uint8_t *emit_fpu_enter_stub(struct x64_buf *b, uintptr_t function)
{
    uint8_t *start = begin_call(b);
    call_function(b, function);
    x_test(b, SZ64, SCRATCH1, SCRATCH1);
    uint8_t *refused = x_jcc(b, CC_S);
    x_fxrstor(b, mem_fpu_image());
    x_store_imm(b, SZ8, mem_fpu_on_host(), 1);
    x_patch_here(b, refused);
    end_stub(b);
    return start;
}

/* And back, leaving the host's as C code expects it; SCRATCH1 is kept, too. */
static uint8_t *emit_fpu_leave_stub(struct x64_buf *b, uintptr_t function)
{
    uint8_t *start = b->at;
    x_fxsave(b, mem_fpu_image());
    x_fninit(b);
    x_push_imm(b, MXCSR_INIT);
    x_ldmxcsr(b, mem_at(RSP, 0));
    x_lea(b, SZ64, RSP, mem_at(RSP, 8));
    x_store_imm(b, SZ8, mem_fpu_on_host(), 0);
    x_push(b, SCRATCH1);
    for (unsigned i = 0; i < KEPT; i++)
        x_push(b, kept[i]);
    x_lea(b, SZ64, RDI, mem_state(0));
    x_mov_imm64(b, RAX, function);
    x_call_reg(b, RAX);
    for (unsigned i = KEPT; i-- > 0;)
        x_pop(b, kept[i]);
    x_pop(b, SCRATCH1);
    x_ret(b);
    return start;
}

/* --- flags in C --- */

static uint32_t flags_now(const struct guest_state *g)
{
    return cc_flags(g->slot[IR_CC_OP], g->slot[IR_CC_A], g->slot[IR_CC_B], g->slot[IR_CC_R]);
}

static int64_t call_cond(struct guest_state *g, uint32_t cond)
{
    return cc_cond(g->slot[IR_CC_OP], g->slot[IR_CC_A], g->slot[IR_CC_B], g->slot[IR_CC_R], cond);
}

static int64_t call_carry(struct guest_state *g)
{
    return cc_cf(g->slot[IR_CC_OP], g->slot[IR_CC_A], g->slot[IR_CC_B], g->slot[IR_CC_R]);
}

static int64_t call_get_flags(struct guest_state *g)
{
    return flags_now(g);
}

static int64_t set_eflags(struct guest_state *g, uint32_t flags)
{
    g->slot[IR_CC_R] = flags;
    g->slot[IR_CC_OP] = CC_EFLAGS;
    return 0;
}

static int64_t call_get_eflags(struct guest_state *g)
{
    return guest_pushed_eflags(g);
}

static int64_t call_set_cf(struct guest_state *g, uint32_t cf)
{
    return set_eflags(g, (flags_now(g) & ~(uint32_t)FLAG_CF) | cf);
}

static int64_t call_set_cf_of(struct guest_state *g, uint32_t cf, uint32_t of)
{
    return set_eflags(g, (flags_now(g) & ~(uint32_t)(FLAG_CF | FLAG_OF)) | cf | (of ? FLAG_OF : 0));
}

/* --- jumps whose place has another key --- */

static struct host_mem mem_key(const struct x64_env *env)
{
    return mem_jump_place(env, offsetof(struct x64_jumps, key), R12);
}

static struct host_mem mem_jump_page(const struct x64_env *env, unsigned index_reg)
{
    return mem_indexed(HOST_STATE, index_reg, 2,
                       (int32_t)(env->jumps + offsetof(struct x64_jumps, phys_page)) - X64_STATE_BIAS);
}

/* reg = where in memory the page of SCRATCH1 is; R8 and R9 are lost. The jump: not in the fetch TLB. */
static uint8_t *emit_fetch_page(struct x64_buf *b, const struct x64_env *env, bool user, unsigned reg)
{
    emit_tlb_index(b, env, R9, SCRATCH1);
    x_mov(b, SZ32, R8, SCRATCH1);
    x_alu_imm(b, ALU_AND, SZ32, R8, ~X64_PAGE_MASK);
    x_alu_load(b, ALU_CMP, SZ64, R8, mem_tlb(env->itlb[user], env->tag_r, R9));
    uint8_t *absent = x_jcc(b, CC_NE);
    x_load(b, SZ32, reg, mem_tlb(env->itlb[user], env->phys_page, R9));
    return absent;
}

/* Is the key of place R12 the wanted one, but for its epoch, and does the fetch TLB have the page where the
 * block is? Then it gets the present epoch, and the jump is made. */
static void emit_try_stale(struct x64_buf *b, const struct x64_env *env, bool user)
{
    uint8_t *miss[3];
    x_load(b, SZ64, R8, mem_key(env));
    x_alu(b, ALU_XOR, SZ64, R8, SCRATCH2);
    x_shift_imm(b, SH_SHL, SZ64, R8, X64_EPOCH_BITS);
    miss[0] = x_jcc(b, CC_NE);
    miss[1] = emit_fetch_page(b, env, user, R8);
    x_alu_load(b, ALU_CMP, SZ32, R8, mem_jump_page(env, R12));
    miss[2] = x_jcc(b, CC_NE);
    x_store(b, SZ64, mem_key(env), SCRATCH2);
    x_jmp_mem(b, mem_jump_place(env, offsetof(struct x64_jumps, code), R12));
    for (unsigned i = 0; i < 3; i++)
        x_patch_here(b, miss[i]);
}

/* The places of the code found for (SCRATCH1, SCRATCH2), which is on page R12 and is R9's: it is jumped to,
 * from now on through the first of its pair in struct x64_jumps. */
static void emit_remember_jump(struct x64_buf *b, const struct x64_env *env)
{
    x_movzx(b, SZ16, R8, SCRATCH1);
    x_store(b, SZ64, mem_jump_place(env, offsetof(struct x64_jumps, key), R8), SCRATCH2);
    x_store(b, SZ64, mem_jump_place(env, offsetof(struct x64_jumps, code), R8), R9);
    x_alu_imm(b, ALU_AND, SZ32, R12, ~X64_PAGE_MASK);
    x_store(b, SZ32, mem_jump_page(env, R8), R12);
    x_jmp_reg(b, R9);
}

enum { FOUND_SHIFT = 4 };
_Static_assert(sizeof(struct jump_entry) == 1 << FOUND_SHIFT, "indexing");

static struct host_mem mem_found(const struct x64_env *env, size_t member)
{
    return mem_indexed(HOST_STATE, R8, 0, (int32_t)(env->found + member) - X64_STATE_BIAS);
}

/* Was the block found lately, and is its place another's now? MATCH jump_get (vcpu/engine/engine.h). */
static void emit_try_found(struct x64_buf *b, const struct x64_env *env, bool user)
{
    uint8_t *none[2], *other[2][4];
    none[0] = emit_fetch_page(b, env, user, R12);
    x_alu_load(b, ALU_CMP, SZ32, R12, mem_jumps(env, offsetof(struct x64_jumps, linked_end)));
    none[1] = x_jcc(b, CC_AE);
    x_mov(b, SZ32, R8, R12);
    x_shift_imm(b, SH_SHR, SZ32, R8, X64_PAGE_BITS);
    x_imul_imm(b, SZ32, R8, R8, JUMP_MIX);
    x_alu(b, ALU_XOR, SZ32, R8, SCRATCH1);
    x_alu_imm(b, ALU_AND, SZ32, R8, (1u << JUMP_BITS) - 1);
    x_shift_imm(b, SH_SHL, SZ32, R8, FOUND_SHIFT);
    x_mov(b, SZ32, R9, SCRATCH1);
    x_alu_imm(b, ALU_AND, SZ32, R9, X64_PAGE_MASK);
    x_alu(b, ALU_OR, SZ32, R12, R9);
    for (unsigned way = 0; way < 2; way++) {
        if (way)
            x_alu_imm(b, ALU_XOR, SZ32, R8, 1u << FOUND_SHIFT);
        x_load(b, SZ64, R9, mem_found(env, offsetof(struct jump_entry, key)));
        x_alu(b, ALU_XOR, SZ64, R9, SCRATCH2);
        x_shift_imm(b, SH_SHL, SZ64, R9, X64_EPOCH_BITS);
        other[way][0] = x_jcc(b, CC_NE);
        x_load(b, SZ64, R9, mem_found(env, offsetof(struct jump_entry, tb)));
        x_test(b, SZ64, R9, R9);
        other[way][1] = x_jcc(b, CC_E);
        x_alu_load(b, ALU_CMP, SZ32, R12, mem_at(R9, offsetof(struct tb, phys_addr)));
        other[way][2] = x_jcc(b, CC_NE);
        x_load(b, SZ64, R9, mem_at(R9, offsetof(struct tb, native.code)));
        x_test(b, SZ64, R9, R9);
        other[way][3] = x_jcc(b, CC_E);
        emit_remember_jump(b, env);
        for (unsigned i = 0; i < 4; i++)
            x_patch_here(b, other[way][i]);
    }
    x_patch_here(b, none[0]);
    x_patch_here(b, none[1]);
}

/* SCRATCH1 = linear address, SCRATCH2 = its key, HOST_PAGE = exit word; no temporary is live. */
static uint8_t *emit_jump_miss_stub(struct x64_buf *b, const struct x64 *x, bool user)
{
    const struct x64_env *env = &x->env;
    uint8_t *start = b->at;
    x_movzx(b, SZ16, R12, SCRATCH1);
    x_alu_imm(b, ALU_XOR, SZ32, R12, 1);
    x_alu_load(b, ALU_CMP, SZ64, SCRATCH2, mem_key(env));
    uint8_t *other_key = x_jcc(b, CC_NE);
    x_jmp_mem(b, mem_jump_place(env, offsetof(struct x64_jumps, code), R12));
    x_patch_here(b, other_key);
    emit_try_stale(b, env, user);
    x_alu_imm(b, ALU_XOR, SZ32, R12, 1);
    emit_try_stale(b, env, user);
    emit_try_found(b, env, user);
    x_mov(b, SZ32, SCRATCH2, SCRATCH1);
    x_mov(b, SZ64, SCRATCH1, HOST_PAGE);
    x_jmp_to(b, x->stubs.exit);
    return start;
}

static void emit_memory_stubs(struct x64_buf *b, struct x64 *x)
{
    for (unsigned user = 0; user < 2; user++)
        x->stubs.promote[user] = emit_promote_stub(b, &x->env, user);
    for (unsigned size = 0; size < 3; size++)
        emit_access_stubs(b, x, size);
    x->stubs.segment = emit_mmu_stub(b, (uintptr_t)x->env.calls.segment);
    x->stubs.same_segment[SEG_DS] = emit_same_segment_stub(b, &x->env, SEG_DS);
    x->stubs.same_segment[SEG_ES] = emit_same_segment_stub(b, &x->env, SEG_ES);
    x->stubs.same_segment[SEG_FS] = emit_same_segment_stub(b, &x->env, SEG_FS);
    x->stubs.same_segment[SEG_GS] = emit_same_segment_stub(b, &x->env, SEG_GS);
    x->stubs.load_aside[SEG_FS] = emit_load_aside_stub(b, &x->env, SEG_FS);
    x->stubs.load_aside[SEG_GS] = emit_load_aside_stub(b, &x->env, SEG_GS);
    x->stubs.touch = emit_mmu_stub(b, (uintptr_t)x->env.calls.touch);
    x->stubs.fpu_enter = emit_fpu_enter_stub(b, (uintptr_t)x->env.calls.fpu_enter);
    x->stubs.fpu_refuse = emit_mmu_stub(b, (uintptr_t)x->env.calls.fpu_refuse);
}

static void emit_flag_stubs(struct x64_buf *b, struct stubs *s)
{
    s->cond = emit_call_stub(b, (uintptr_t)call_cond);
    s->carry = emit_call_stub(b, (uintptr_t)call_carry);
    s->get_flags = emit_call_stub(b, (uintptr_t)call_get_flags);
    s->get_eflags = emit_call_stub(b, (uintptr_t)call_get_eflags);
    s->set_cf = emit_call_stub(b, (uintptr_t)call_set_cf);
    s->set_cf_of = emit_call_stub(b, (uintptr_t)call_set_cf_of);
}

static void emit_string_stubs(struct x64_buf *b, struct x64 *x)
{
    for (unsigned user = 0; user < 2; user++)
        for (unsigned size = 0; size < 3; size++) {
            x->stubs.string[user][false][size] = emit_string_stub(b, &x->env, user, false, size);
            x->stubs.string[user][true][size] = emit_string_stub(b, &x->env, user, true, size);
        }
}

void stubs_emit(struct x64 *x)
{
    struct x64_buf b = {.at = x->cache.write};
    x->stubs.fpu_leave = emit_fpu_leave_stub(&b, (uintptr_t)x->env.calls.fpu_leave);
    x->stubs.enter = b.at;
    emit_enter(&b);
    x->stubs.exit = b.at;
    reg_store_guest(&b);
    x->stubs.exit_stored = b.at;
    emit_leave(&b, x->stubs.fpu_leave);
    x->stubs.leave = emit_leave_stub(&b, x);
    emit_memory_stubs(&b, x);
    emit_flag_stubs(&b, &x->stubs);
    emit_string_stubs(&b, x);
    for (unsigned user = 0; user < 2; user++)
        x->stubs.jump_miss[user] = emit_jump_miss_stub(&b, x, user);
    x->cache.reserved = ((size_t)(b.at - x->cache.write) + STUBS_ALIGN - 1) & ~(size_t)(STUBS_ALIGN - 1);
    code_cache_clear(&x->cache);
}
