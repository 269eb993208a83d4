/* mem.c - guest memory: the softmmu TLB looked up inline, slow paths in far code.
 *
 * lin_addr ^ tag is below 4096 when the entry fits, and is then the offset in the page: one comparison checks
 * tag and page crossing.
 *
 * An entry's addend is loaded at the end of a chain of address, index and entry. The supervisor's is mostly
 * the likely one, which is compared with it and used.
 *
 * Groups: accesses through one base register, which may move by constants, share one check that all bytes
 * which the group touches lie in one page that hits; the group's place (regs.h) then holds that entry's
 * addend, or -1. A fill of the TLB (any slow path) and helpers end it: what a lookup would have found is thus
 * never assumed, only remembered.
 *
 * Fast paths ask the first way alone. What does not hit asks the second in far code (a stub, which exchanges
 * the two), and looks the page up again if it was there: a fill that is none, so groups go on.
 *
 * What fills the TLB, and a check that fails, leads to the careful copy: the block's ops once more, without
 * groups, behind the block, entered at any op with everything in memory. So the accesses of a group but the
 * first need no test. In a block with x87 or SSE operands in memory there is no such copy: there each access
 * tests the addend.
 *
 * A loop's second copy (control.c) remembers pages from one iteration to the next, for addresses that move in
 * small steps: the check is then that the page is the same. Entering the copy and slow paths forget all
 * pages. */
#include "translator/x64/mem.h"

#include <string.h>

#include "clockcore/check.h"
#include "translator/x64/compile.h"
#include "translator/x64/flags.h"
#include "translator/x64/fpu.h"
#include "translator/x64/group.h"
#include "translator/x64/ops.h"

enum { ENTRY_SHIFT = 5 };
_Static_assert(1 << ENTRY_SHIFT == X64_TLB_ENTRY_BYTES, "emit_tlb_index");

/* --- leaving --- */

void emit_tb_pointer(struct compile *c, unsigned reg, uintptr_t into)
{
    x_mov_imm64(&c->b, reg, (uint64_t)into);
    x_note_move(&c->b, X64_MOVE_TB);
}

void emit_exit(struct compile *c, enum x64_exit_kind kind, bool stored)
{
    emit_tb_pointer(c, SCRATCH1, (uintptr_t)c->tb | kind);
    x_jmp_to(&c->b, stored ? c->x->stubs.exit_stored : c->x->stubs.exit);
}

static unsigned op_number(const struct compile *c, const struct ir_op *op)
{
    const ptrdiff_t number = op - c->tb->ops;
    CHECK(number >= 0 && number < c->tb->nops);
    return (unsigned)number;
}

void emit_exit_op(struct compile *c, enum x64_exit_kind kind, const struct ir_op *op, bool stored)
{
    x_mov_imm(&c->b, SCRATCH2, op_number(c, op));
    emit_exit(c, kind, stored);
}

/* Where a fault goes on that finds flags and x87 pointers as this one does; NULL: there is none. */
static const uint8_t *fault_tail(const struct compile *c, const struct far_code *f)
{
    for (unsigned i = 0; i < c->nfault_tails; i++) {
        const struct fault_tail *t = &c->fault_tail[i];
        if (flags_same(&t->cc, &f->cc) && t->fpu.last == f->fpu.last && t->fpu.last_mem == f->fpu.last_mem)
            return t->at;
    }
    return NULL;
}

/* The op's number is on the stack meanwhile, as scratch registers are not free. */
static void emit_fault_tail(struct compile *c, const struct far_code *f)
{
    if (c->nfault_tails < FAULT_TAILS_MAX)
        c->fault_tail[c->nfault_tails++] = (struct fault_tail){c->b.at, f->cc, f->fpu};
    c->b.flags_for = 0;
    flags_flush_far(c, &f->cc);
    fpu_flush_pending(c, &f->fpu);
    x_pop(&c->b, SCRATCH2);
    emit_exit(c, X64_EXIT_FAULT, false);
}

void emit_fault_far(struct compile *c, const struct far_code *f)
{
    if (f->cc.rotate.kind != CC_ROTATE_NONE) { /* its flush calls C, which wants the stack as it is */
        flags_flush_far(c, &f->cc);
        fpu_flush_pending(c, &f->fpu);
        emit_exit_op(c, X64_EXIT_FAULT, f->op, false);
        return;
    }
    const uint8_t *tail = fault_tail(c, f);
    x_push_imm(&c->b, op_number(c, f->op));
    if (tail)
        x_jmp_to(&c->b, tail);
    else
        emit_fault_tail(c, f);
}

/* --- lookup --- */

void emit_tlb_index(struct x64_buf *b, const struct x64_env *env, unsigned reg, unsigned address)
{
    x_mov(b, SZ32, reg, address);
    x_shift_imm(b, SH_SHR, SZ32, reg, X64_PAGE_BITS - ENTRY_SHIFT);
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

void emit_address(struct compile *c, const struct ir_op *op, unsigned a)
{
    uint32_t disp = access_disp(op);
    if (a == NO_REG)
        x_mov_imm(&c->b, SCRATCH1, disp);
    else if (disp == 0)
        x_mov(&c->b, SZ32, SCRATCH1, a);
    else
        x_lea(&c->b, SZ32, SCRATCH1, mem_at(a, (int32_t)disp));
}

/* Small displacements go into the host's operand: base + imm is then taken modulo 2^64, and where that is not
 * the guest's modulo 2^32 the tag does not match. */
static bool folds(const struct ir_op *op, unsigned a)
{
    return a != NO_REG && (uint32_t)(access_disp(op) + 0x10000u) < 0x20000u;
}

/* Register with a + by, modulo 2^64: `a` or SCRATCH1. */
static unsigned emit_moved(struct compile *c, unsigned a, int32_t by)
{
    if (by == 0)
        return a;
    x_lea(&c->b, SZ64, SCRATCH1, mem_at(a, by));
    return SCRATCH1;
}

/* Register with a + imm, modulo 2^64 where that may be: `a` or SCRATCH1. */
static unsigned emit_lookup_address(struct compile *c, const struct ir_op *op, unsigned a)
{
    if (folds(op, a))
        return emit_moved(c, a, (int32_t)access_disp(op));
    emit_address(c, op, a);
    return SCRATCH1;
}

/* SCRATCH2 = the place of the entry for the register's address, SCRATCH1 = the address ^ that entry's tag. */
static void emit_tag(struct compile *c, uint32_t tag, unsigned address)
{
    emit_tlb_index(&c->b, &c->x->env, SCRATCH2, address);
    const struct host_mem at = mem_tlb(tlb_of(c), tag, SCRATCH2);
    if (address == SCRATCH1) {
        x_alu_load(&c->b, ALU_XOR, SZ64, SCRATCH1, at);
    } else {
        x_load(&c->b, SZ64, SCRATCH1, at);
        x_alu(&c->b, ALU_XOR, SZ64, SCRATCH1, address);
    }
}

static unsigned address_src(struct compile *c, const struct ir_op *op)
{
    return op->a == IR_ZERO ? NO_REG : reg_src(c, op->a);
}

/* Is the entry known, and whether the operand fits its page, too? */
static bool is_constant(const struct ir_op *op, unsigned a)
{
    uint32_t disp = access_disp(op), offset = disp % X64_PAGE_BYTES;
    return a == NO_REG && offset <= X64_PAGE_BYTES - access_bytes(op) &&
           !(access_is_aligned(op) && disp % ALIGN);
}

/* What a kernel accesses lies in its map of all memory, nearly always: one addend. */
static bool has_likely_addend(const struct compile *c)
{
    return !(c->tb->mode & TB_MODE_USER);
}

static void far_unlikely(struct compile *c, const struct far_code *f)
{
    x_load(&c->b, SZ64, f->reg, mem_tlb(tlb_of(c), c->x->env.addend, SCRATCH2));
    x_jmp_to(&c->b, f->back);
}

/* The returned register, which is `reg` unless that is NO_REG, = the addend of the entry at SCRATCH2. A
 * likely one is compared with it: the access then waits neither for the address nor for the table. */
static unsigned emit_addend(struct compile *c, unsigned reg)
{
    const struct x64_env *env = &c->x->env;
    const bool likely = has_likely_addend(c);
    if (reg == NO_REG)
        reg = likely ? SCRATCH1 : SCRATCH2;
    if (!likely) {
        x_load(&c->b, SZ64, reg, mem_tlb(tlb_of(c), env->addend, SCRATCH2));
        return reg;
    }
    x_load(&c->b, SZ64, reg, mem_state(env->likely));
    x_alu_load(&c->b, ALU_CMP, SZ64, reg, mem_tlb(tlb_of(c), env->addend, SCRATCH2));
    struct far_code *f = far_add(c, far_unlikely, x_jcc(&c->b, CC_NE));
    f->reg = (uint8_t)reg;
    f->back = c->b.at;
    return reg;
}

/* emit_lookup for an address that is the displacement. */
static struct host_mem emit_constant_lookup(struct compile *c, const struct ir_op *op, uint32_t tag,
                                            uint8_t **miss)
{
    const struct x64_env *env = &c->x->env;
    uint32_t disp = access_disp(op), index = disp >> X64_PAGE_BITS & ((1u << env->tlb_bits) - 1);
    uint32_t entry = tlb_of(c) + (index << ENTRY_SHIFT);
    x_mov_imm(&c->b, SCRATCH1, disp & ~(X64_PAGE_BYTES - 1u));
    x_alu_load(&c->b, ALU_CMP, SZ64, SCRATCH1, mem_state(entry + tag));
    miss[0] = x_jcc(&c->b, CC_NE);
    x_load(&c->b, SZ64, SCRATCH2, mem_state(entry + env->addend));
    if (disp <= INT32_MAX)
        return mem_at(SCRATCH2, (int32_t)disp);
    x_mov_imm(&c->b, SCRATCH1, disp);
    return mem_indexed(SCRATCH1, SCRATCH2, 0, 0);
}

/* The host's place, after a check against the tag field; the jumps stored in miss[0] and [1] do not hit. */
static struct host_mem emit_lookup(struct compile *c, const struct ir_op *op, unsigned a, uint32_t tag,
                                   uint8_t **miss)
{
    if (is_constant(op, a))
        return emit_constant_lookup(c, op, tag, miss);
    emit_tag(c, tag, emit_lookup_address(c, op, a));
    x_alu_imm(&c->b, ALU_CMP, SZ64, SCRATCH1, X64_PAGE_BYTES - access_bytes(op));
    miss[0] = x_jcc(&c->b, CC_A);
    if (access_is_aligned(op)) {
        x_test_imm(&c->b, SZ8, SCRATCH1, ALIGN - 1);
        miss[1] = x_jcc(&c->b, CC_NE);
    }
    const unsigned addend = emit_addend(c, NO_REG);
    if (folds(op, a))
        return mem_indexed(addend, a, 0, (int32_t)access_disp(op));
    if (addend != SCRATCH2)
        x_mov(&c->b, SZ64, SCRATCH2, addend);
    emit_address(c, op, a);
    return mem_indexed(SCRATCH1, SCRATCH2, 0, 0);
}

/* --- places of groups --- */

static unsigned place_reg(const struct compile *c, unsigned place)
{
    if (place == 0)
        return HOST_PAGE;
    if (place > 1)
        return NO_REG;
    return c->loop.strip ? c->loop.strip_page2 : c->regs.reserved ? HOST_PAGE2 : NO_REG;
}

static struct host_mem mem_place(unsigned place, unsigned field)
{
    return mem_at(RSP, (int32_t)(place * PLACE_BYTES + field));
}

static void forget_addend(struct compile *c, unsigned place)
{
    unsigned reg = place_reg(c, place);
    if (reg == NO_REG)
        x_store_imm(&c->b, SZ64, mem_place(place, PLACE_ADDEND), UINT32_MAX);
    else
        x_mov_imm64(&c->b, reg, UINT64_MAX);
}

/* Behind a stub that forgot what is in the frame (stubs.c). */
static void forget_addends(struct compile *c)
{
    for (unsigned place = 0; place < PAGE_PLACES; place++)
        if (c->places_used >> place & 1 && place_reg(c, place) != NO_REG)
            forget_addend(c, place);
}

/* Register with the addend. */
static unsigned place_addend(struct compile *c, unsigned place)
{
    unsigned reg = place_reg(c, place);
    if (reg != NO_REG)
        return reg;
    x_load(&c->b, SZ64, SCRATCH2, mem_place(place, PLACE_ADDEND));
    return SCRATCH2;
}

/* --- slow paths --- */

/* SCRATCH1: the address. */
static void emit_promote(struct compile *c, const struct far_code *f)
{
    x_call_to(&c->b, c->x->stubs.promote[(c->tb->mode & TB_MODE_USER) != 0]);
    x_patch(x_jcc(&c->b, CC_B), f->lookup);
}

/* Goes on in the careful copy, with op i. */
static void emit_to_careful(struct compile *c, const struct far_code *f, unsigned i)
{
    flags_flush_far(c, &f->cc);
    fpu_flush_pending(c, &f->fpu);
    reg_spill_far(c, f->temp_reg);
    x_jmp_to(&c->b, c->careful.at[i]);
}

/* Behind a stub's call: host SF says that it faulted; CF, if the stub can say so, that no page was filled,
 * and groups go on. */
static void far_finish(struct compile *c, const struct far_code *f, unsigned dst, bool tells)
{
    const bool matters = f->resume || !c->careful.possible;
    uint8_t *fault = x_jcc(&c->b, CC_S);
    if (dst != NO_REG)
        x_mov(&c->b, SZ32, dst, SCRATCH1);
    if (tells && matters)
        x_patch(x_jcc(&c->b, CC_B), f->back);
    if (f->resume) {
        emit_to_careful(c, f, f->resume);
    } else {
        if (!c->careful.possible)
            forget_addends(c);
        x_jmp_to(&c->b, f->back);
    }
    x_patch_here(&c->b, fault);
    emit_fault_far(c, f);
}

/* SCRATCH2 = what the ST stores, an immediate. */
static void store_value(struct compile *c, const struct ir_op *op)
{
    x_mov_imm(&c->b, SCRATCH2, op_has_imm(op) ? op->imm2 : 0);
    if (op->flags & IRF_EIP)
        x_note_move(&c->b, X64_MOVE_LIN);
}

/* The access by a stub: SCRATCH1 is what it loads. */
static void call_access(struct compile *c, const struct far_code *f)
{
    const struct stubs *s = &c->x->stubs;
    const struct ir_op *op = f->op;
    const bool user = c->tb->mode & TB_MODE_USER;
    emit_address(c, op, f->arg);
    if (op->op != IR_ST) {
        x_call_to(&c->b, op->op == IR_LDRW ? s->load_rw[user][op->size] : s->load[user][op->size]);
        return;
    }
    if (f->reg == NO_REG)
        store_value(c, op);
    else
        x_mov(&c->b, SZ32, SCRATCH2, f->reg);
    x_call_to(&c->b, s->store[user][op->size]);
}

static unsigned access_dst(const struct far_code *f)
{
    return f->op->op == IR_ST ? NO_REG : f->reg;
}

static void far_access(struct compile *c, const struct far_code *f)
{
    call_access(c, f);
    far_finish(c, f, access_dst(f), true);
}

static void far_segment(struct compile *c, const struct far_code *f)
{
    const struct ir_op *op = f->op;
    emit_address(c, op, f->arg);
    x_mov_imm(&c->b, SCRATCH2, op->aux | 1u << op->size << 8 | (op->flags & IRF_WRITE ? 1u << 16 : 0));
    x_call_to(&c->b, c->x->stubs.segment);
    far_finish(c, f, f->reg, false);
}

/* --- groups --- */

void mem_begin_loop(struct compile *c)
{
    for (unsigned place = 0; place < PAGE_PLACES; place++)
        if (place < c->loop.pages)
            x_store_imm(&c->b, SZ64, mem_place(place, PLACE_PAGE), PLACE_NO_PAGE);
}

/* --- which group an access is in --- */

/* x87 and SSE operands: what follows the access in the same op would have to be resumed, too. */
static bool careful_is_possible(const struct compile *c)
{
    for (unsigned i = 0; i < c->nops; i++)
        if (c->ops[i].op == IR_HELPER && op_accesses(c, &c->ops[i]))
            return false;
    return true;
}

void mem_begin_block(struct compile *c)
{
    c->places_used = 0;
    c->careful.emitting = false;
    c->careful.possible = careful_is_possible(c);
    memset(c->careful.wanted, 0, c->nops * sizeof c->careful.wanted[0]);
    groups_plan(c);
}

/* The op that is emitted may change what the TLB holds. If it does, a group that is open cannot go on. */
static bool resumes_carefully(const struct compile *c)
{
    return c->careful.possible && !c->careful.emitting &&
           groups_go_on(&c->groups, (unsigned)(c->op - c->ops));
}

static void resume_carefully(struct compile *c, struct far_code *slow)
{
    const unsigned i = (unsigned)(c->op - c->ops);
    if (!resumes_carefully(c))
        return;
    memcpy(slow->temp_reg, c->regs.temp_reg, sizeof slow->temp_reg);
    slow->resume = (uint16_t)(i + 1);
    c->careful.wanted[i + 1] = true;
}

/* --- checks of groups --- */

/* SCRATCH1: offset in its page of the group's lowest byte, or what is none. The jumps stored in miss[0] and
 * [1]: not all of the group lies in the page, aligned. */
static void emit_group_fits(struct compile *c, const struct page_group *g, uint8_t **miss)
{
    x_alu_imm(&c->b, ALU_CMP, SZ64, SCRATCH1, (uint32_t)(X64_PAGE_BYTES - (g->high - g->low)));
    miss[0] = x_jcc(&c->b, CC_A);
    if (!g->aligned)
        return;
    x_alu_imm(&c->b, ALU_ADD, SZ32, SCRATCH1, (uint32_t)(g->align_at - g->low));
    x_test_imm(&c->b, SZ8, SCRATCH1, ALIGN - 1);
    miss[1] = x_jcc(&c->b, CC_NE);
}

unsigned emit_group_lookup(struct compile *c, const struct page_group *g, unsigned lowest, uint8_t **miss)
{
    const struct x64_env *env = &c->x->env;
    const unsigned reg = place_reg(c, g->place);
    emit_tag(c, g->writes ? env->tag_w : env->tag_r, lowest);
    emit_group_fits(c, g, miss);
    const unsigned addend = emit_addend(c, reg);
    if (reg == NO_REG)
        x_store(&c->b, SZ64, mem_place(g->place, PLACE_ADDEND), addend);
    return addend;
}

/* The place's addend = that of the page that holds all of the group; the jumps stored in miss[0] and [1]:
 * there is none. The register returned holds the addend. */
static unsigned emit_group_check(struct compile *c, const struct page_group *g, unsigned a, uint8_t **miss)
{
    return emit_group_lookup(c, g, emit_moved(c, a, g->low), miss);
}

/* The same where the last iteration's page may do. */
static void emit_page_check(struct compile *c, const struct page_group *g, unsigned a, uint8_t **miss)
{
    x_lea(&c->b, SZ64, SCRATCH1, mem_at(a, g->low));
    x_alu_load(&c->b, ALU_SUB, SZ64, SCRATCH1, mem_place(g->place, PLACE_PAGE));
    emit_group_fits(c, g, miss);
}

static uint8_t *emit_group_test(struct compile *c, unsigned addend)
{
    x_test(&c->b, SZ64, addend, addend);
    return x_jcc(&c->b, CC_S);
}

/* --- operations --- */

static void emit_store_imm(struct compile *c, const struct ir_op *op, struct host_mem at)
{
    x_store_imm(&c->b, op->size, at, op_has_imm(op) ? op->imm2 : 0);
    if (op->size == SZ32 && (op->flags & IRF_EIP))
        x_note_move(&c->b, X64_MOVE_LIN);
}

static void emit_access(struct compile *c, const struct far_code *f, struct host_mem at)
{
    const struct ir_op *op = f->op;
    enum x64_part before = part_begin(&c->b, X64_PART_WORK);
    if (op->op == IR_HELPER)
        emit_fpu_access(c, op, f->reg, at);
    else if (op->op != IR_ST)
        x_load(&c->b, op->size, f->reg, at);
    else if (f->reg == NO_REG)
        emit_store_imm(c, op, at);
    else
        x_store(&c->b, op->size, at, f->reg);
    part_end(&c->b, before);
}

/* An access by itself; what misses goes to a slow path of its own. */
static void emit_single_access(struct compile *c, struct far_code *f)
{
    f->lookup = c->b.at;
    const struct x64_env *env = &c->x->env;
    uint32_t tag = access_writes(f->op) ? env->tag_w : env->tag_r;
    emit_access(c, f, emit_lookup(c, f->op, f->arg, tag, f->from));
}

/* x87, SSE: C makes the operand accessible, and says where it is. */
static void far_touch(struct compile *c, const struct far_code *f)
{
    emit_address(c, f->op, f->arg);
    emit_promote(c, f);
    x_mov_imm(&c->b, SCRATCH2,
              access_bytes(f->op) | (access_writes(f->op) ? X64_TOUCH_WRITE : 0) |
                  (access_is_aligned(f->op) ? X64_TOUCH_ALIGNED : 0));
    x_call_to(&c->b, c->x->stubs.touch);
    uint8_t *fault = x_jcc(&c->b, CC_S);
    emit_access(c, f, mem_at(SCRATCH1, 0));
    forget_addends(c);
    x_jmp_to(&c->b, f->back);
    x_patch_here(&c->b, fault);
    emit_fault_far(c, f);
}

static struct far_code *slow_path(struct compile *c, const struct far_code *like)
{
    struct far_code *slow = far_add(c, like->op->op == IR_HELPER ? far_touch : far_access, NULL);
    slow->op = like->op;
    slow->cc = like->cc;
    slow->fpu = like->fpu;
    slow->reg = like->reg;
    slow->arg = like->arg;
    return slow;
}

/* In the careful copy, which should be small rather than fast: by a stub alone. */
static void emit_careful_access(struct compile *c, const struct far_code *f)
{
    call_access(c, f);
    struct far_code *fault = far_add(c, emit_fault_far, x_jcc(&c->b, CC_S));
    fault->op = f->op;
    fault->cc = f->cc;
    fault->fpu = f->fpu;
    if (access_dst(f) != NO_REG)
        x_mov(&c->b, SZ32, f->reg, SCRATCH1);
}

/* A grouped access that the group's check does not vouch for. */
static void far_single_access(struct compile *c, const struct far_code *f)
{
    if (f->op->op != IR_HELPER) {
        far_access(c, f);
        return;
    }
    struct far_code *slow = slow_path(c, f);
    slow->back = f->back;
    emit_single_access(c, slow);
    x_jmp_to(&c->b, f->back);
}

static void far_group_miss(struct compile *c, const struct far_code *f)
{
    x_lea(&c->b, SZ64, SCRATCH1, mem_at(f->arg, f->group.low));
    emit_promote(c, f);
    if (!c->careful.possible)
        forget_addend(c, f->group.place);
    if (f->group.kept)
        x_store_imm(&c->b, SZ64, mem_place(f->group.place, PLACE_PAGE), PLACE_NO_PAGE);
    if (c->careful.possible)
        emit_to_careful(c, f, (unsigned)(f->op - c->ops));
    else
        far_single_access(c, f);
}

/* A loop came to another page. */
static void far_page_miss(struct compile *c, const struct far_code *f)
{
    const struct page_group *g = &f->group;
    uint8_t *miss[2] = {NULL, NULL};
    struct far_code missed = *f;
    missed.lookup = c->b.at;
    emit_group_check(c, g, f->arg, miss);
    x_lea(&c->b, SZ64, SCRATCH1, mem_at(f->arg, g->low));
    x_alu_imm(&c->b, ALU_AND, SZ64, SCRATCH1, ~(uint32_t)(X64_PAGE_BYTES - 1));
    x_store(&c->b, SZ64, mem_place(g->place, PLACE_PAGE), SCRATCH1);
    x_jmp_to(&c->b, f->hit);
    for (unsigned i = 0; i < 2; i++)
        if (miss[i])
            x_patch_here(&c->b, miss[i]);
    far_group_miss(c, &missed);
}

static struct far_code *far_grouped(struct compile *c,
                                    void (*emit)(struct compile *c, const struct far_code *f),
                                    const struct far_code *f, const struct page_group *g)
{
    struct far_code *far = far_add(c, emit, NULL);
    far->cc = f->cc;
    far->reg = f->reg;
    far->arg = f->arg;
    far->group = *g;
    if (c->careful.possible) {
        memcpy(far->temp_reg, c->regs.temp_reg_before, sizeof far->temp_reg);
        c->careful.wanted[c->op - c->ops] = true;
    }
    return far;
}

static void emit_grouped_access(struct compile *c, const struct far_code *f, const struct page_group *g)
{
    struct far_code *far;
    unsigned addend;
    if (access_is_covered(c, (unsigned)(c->op - c->ops))) {
        emit_access(c, f, mem_indexed(place_addend(c, g->place), f->arg, 0, (int32_t)access_disp(f->op)));
        return;
    }
    if (c->op - c->ops != g->first) {
        far = far_grouped(c, far_single_access, f, g);
        addend = place_addend(c, g->place);
        far->from[0] = emit_group_test(c, addend);
    } else if (g->kept) {
        far = far_grouped(c, far_page_miss, f, g);
        emit_page_check(c, g, f->arg, far->from);
        far->hit = c->b.at;
        addend = place_addend(c, g->place);
    } else {
        far = far_grouped(c, far_group_miss, f, g);
        far->lookup = c->b.at;
        addend = emit_group_check(c, g, f->arg, far->from);
    }
    emit_access(c, f, mem_indexed(addend, f->arg, 0, (int32_t)access_disp(f->op)));
    far->back = c->b.at;
}

/* `a`: register of the base or NO_REG; `reg`: register to load to or store, NO_REG: store the immediate;
 * `cc`: where the flags are that its fault shows. */
static void emit_access_op(struct compile *c, const struct ir_op *op, unsigned a, unsigned reg,
                           struct cc_state cc)
{
    struct far_code f = {.op = op, .cc = cc, .fpu = c->fpu, .arg = (uint8_t)a, .reg = (uint8_t)reg};
    const struct page_group *g = group_at(c, (unsigned)(op - c->ops));
    enum x64_part before = part_begin(&c->b, X64_PART_GUARD);
    if (g) {
        emit_grouped_access(c, &f, g);
    } else if (c->careful.emitting) {
        emit_careful_access(c, &f);
    } else {
        struct far_code *slow = slow_path(c, &f);
        resume_carefully(c, slow);
        emit_single_access(c, slow);
        slow->back = c->b.at;
    }
    part_end(&c->b, before);
}

unsigned emit_fpu_operand(struct compile *c, const struct ir_op *op, unsigned reg)
{
    unsigned a = address_src(c, op);
    emit_access_op(c, op, a, reg, c->cc);
    return a;
}

/* Flags that a load's fault is the last to show need not be saved from what is loaded: the far code finds
 * them in their registers. Where it may go on in the careful copy, more may see them there. */
static void emit_load(struct compile *c, const struct ir_op *op)
{
    const unsigned i = (unsigned)(op - c->ops), a = address_src(c, op);
    const bool last = !c->regs.cc_live_after[i] && (group_at(c, i) || !resumes_carefully(c));
    const struct cc_state before = c->cc;
    if (last)
        flags_kill(c);
    const unsigned dst = reg_dst(c, op->dst);
    emit_access_op(c, op, a, dst, last ? before : c->cc);
}

void emit_LD(struct compile *c, const struct ir_op *op)
{
    emit_load(c, op);
}

void emit_LDRW(struct compile *c, const struct ir_op *op)
{
    emit_load(c, op);
}

void emit_ST(struct compile *c, const struct ir_op *op)
{
    bool is_imm = op_has_imm(op) || op->b == IR_ZERO;
    unsigned a = address_src(c, op);
    emit_access_op(c, op, a, is_imm ? NO_REG : reg_src(c, op->b), c->cc);
}

static struct host_mem mem_segment(const struct ir_op *op, size_t field)
{
    return mem_state(
        (uint32_t)(offsetof(struct guest_state, seg) + op->aux * sizeof(struct segment) + field));
}

/* Is it a present, writable, expand-up data segment? MATCH seg_is_plain_data. The returned
 * jump: no. */
static uint8_t *emit_plain_data_check(struct compile *c, const struct ir_op *op)
{
    enum { CODE_OR_DOWN = 0xc, WRITABLE = 2 };
    x_load(&c->b, SZ16, SCRATCH1, mem_segment(op, offsetof(struct segment, access)));
    x_alu_imm(&c->b, ALU_AND, SZ32, SCRATCH1, SEG_ACC_P | SEG_ACC_S | CODE_OR_DOWN | WRITABLE);
    x_alu_imm(&c->b, ALU_CMP, SZ32, SCRATCH1, SEG_ACC_P | SEG_ACC_S | WRITABLE);
    return x_jcc(&c->b, CC_NE);
}

/* Jumps to far code where the last byte of a + imm is beyond the limit. A known offset wraps or not. */
static void emit_limit_check(struct compile *c, const struct ir_op *op, struct far_code *f, unsigned a)
{
    const unsigned last = (1u << op->size) - 1;
    const struct host_mem limit = mem_segment(op, offsetof(struct segment, limit));
    if (a == NO_REG) {
        x_alu_mem_imm(&c->b, ALU_CMP, SZ32, limit, op->imm + last);
        f->from[1] = op->imm + last < op->imm ? x_jmp(&c->b) : x_jcc(&c->b, CC_B);
        return;
    }
    emit_address(c, op, a);
    if (last) {
        x_alu_imm(&c->b, ALU_ADD, SZ32, SCRATCH1, last);
        f->from[1] = x_jcc(&c->b, CC_B);
    }
    x_alu_load(&c->b, ALU_CMP, SZ32, SCRATCH1, limit);
    f->from[2] = x_jcc(&c->b, CC_A);
}

/* The segment is plain: of an operand that begins below 64 KiB the end is left to check. */
static void emit_end_check(struct compile *c, const struct ir_op *op, struct far_code *f, unsigned a)
{
    if (a == NO_REG) {
        f->from[0] = x_jmp(&c->b);
        return;
    }
    x_alu_imm(&c->b, ALU_CMP, SZ32, a, 0x10000u - (1u << op->size));
    f->from[0] = x_jcc(&c->b, CC_A);
}

/* Does it need no check at all? */
static bool segment_fits(const struct ir_op *op, unsigned a)
{
    const bool ends_within = a == NO_REG ? op->imm + (1u << op->size) <= 0x10000 : op->size == 0;
    return (op->flags & IRF_PLAIN) && ends_within;
}

static struct far_code *emit_segment_check(struct compile *c, const struct ir_op *op, unsigned a,
                                           unsigned dst)
{
    struct far_code *f = far_add(c, far_segment, NULL);
    f->arg = (uint8_t)a;
    f->reg = (uint8_t)dst;
    resume_carefully(c, f);
    if (op->flags & IRF_PLAIN) {
        emit_end_check(c, op, f, a);
    } else {
        f->from[0] = emit_plain_data_check(c, op);
        emit_limit_check(c, op, f, a);
    }
    return f;
}

void emit_SEGADDR(struct compile *c, const struct ir_op *op)
{
    const struct host_mem base = mem_segment(op, offsetof(struct segment, base));
    unsigned a = address_src(c, op), dst = reg_dst(c, op->dst);
    part_begin(&c->b, X64_PART_GUARD);
    struct far_code *f = segment_fits(op, a) ? NULL : emit_segment_check(c, op, a, dst);
    x_load(&c->b, SZ32, SCRATCH1, base);
    if (a == NO_REG)
        x_lea(&c->b, SZ32, dst, mem_at(SCRATCH1, (int32_t)op->imm));
    else
        x_lea(&c->b, SZ32, dst, mem_indexed(SCRATCH1, a, 0, (int32_t)op->imm));
    if (f)
        f->back = c->b.at;
}
