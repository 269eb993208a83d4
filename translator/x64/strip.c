/* strip.c - strips: a loop's iterations up to the next page end, without checks of pages.
 *
 * In a loop whose pointers all move by constants the number of iterations can be computed that stay in the
 * pages which the pointers are in now. So the way in looks up one translation for each group of accesses,
 * takes the least of those numbers, and moves the ticks of so many iterations from the budget to a register.
 * When they are used up the next strip begins, or where an access crosses a page end the first copy, which
 * checks everything; whoever leaves before gives back the rest.
 *
 * No op of a strip can leave, fault, fill the TLB or look at the budget, and no slow path is needed; none
 * calls C, which keeps not all of its registers. At the limit, a miss, or an address near 0 or 2^32
 * (where a base and its displacement might wrap) there is no strip: first copy. */
#include "translator/x64/strip.h"

#include <string.h>

#include "clockcore/check.h"
#include "translator/x64/compile.h"
#include "translator/x64/control.h"
#include "translator/x64/flags.h"
#include "translator/x64/fpu.h"
#include "translator/x64/group.h"
#include "translator/x64/mem.h"
#include "translator/x64/sse.h"

/* One shift must do for the division by the stride. An odd stride counts as the next power of two. */
enum { STRIDE_MAX = 1024, ITERATIONS_MAX = 4096, MARGIN = 0x20000, DEPTH_MAX = 3 };
/* The second addend gives up its register for the ticks: loads cost less than stores. It gets another where
 * one is free. */
enum { STRIP_TICKS = HOST_PAGE2, STRIP_PAGE2 = R9 };
_Static_assert((int64_t)ITERATIONS_MAX *TB_LONG_INSNS_MAX < INT32_MAX, "emit_take_ticks");

/* Address of a group's lowest byte when an iteration begins: a + (b << scale) + constant. */
struct stream {
    uint8_t a, b, scale; /* guest registers as they are then, or IR_ZERO */
    uint32_t constant;
    int32_t stride; /* bytes an iteration */
};
struct strip {
    struct page_groups groups;
    struct stream stream[PAGE_PLACES];
};

/* --- may it be one? --- */

/* By how much the ops before `end` move a guest register, if by constants alone. */
static bool moved_before(const struct compile *c, unsigned slot, unsigned end, int32_t *moved)
{
    int32_t by;
    *moved = 0;
    for (unsigned i = 0; i < end; i++) {
        if (!op_writes_slot(&c->ops[i], slot))
            continue;
        if (!op_moves_slot(&c->ops[i], slot, &by) || !is_near(by) || !is_near(*moved + by))
            return false;
        *moved += by;
    }
    return true;
}

static bool stream_add(const struct compile *c, struct stream *s, unsigned slot, unsigned scale, unsigned at,
                       unsigned depth);

/* A guest register's value from the start of the iteration. */
static bool stream_add_register(const struct compile *c, struct stream *s, unsigned slot, unsigned scale)
{
    int32_t stride;
    uint8_t *place = scale == 0 && s->a == IR_ZERO ? &s->a : &s->b;
    if (slot > IR_EDI || scale > 3 || *place != IR_ZERO || !moved_before(c, slot, c->nops, &stride))
        return false;
    *place = (uint8_t)slot;
    s->scale = place == &s->b ? (uint8_t)scale : s->scale;
    s->stride += stride * (1 << scale);
    return true;
}

/* What op `at`, which is no constant move, gave the slot. */
static bool stream_add_result(const struct compile *c, struct stream *s, unsigned scale, unsigned at,
                              unsigned depth)
{
    const struct ir_op *op = &c->ops[at];
    if (op->op != IR_LEA || depth == 0)
        return false;
    s->constant += op->imm << scale;
    return stream_add(c, s, op->a, scale, at, depth - 1) &&
           stream_add(c, s, op->b, scale + op->aux, at, depth - 1);
}

/* Adds slot << scale, as op `at` reads it; false: more than a stream can say. */
static bool stream_add(const struct compile *c, struct stream *s, unsigned slot, unsigned scale, unsigned at,
                       unsigned depth)
{
    int32_t by;
    if (slot == IR_ZERO)
        return true;
    for (unsigned i = at; i-- > 0;) {
        if (!op_writes_slot(&c->ops[i], slot))
            continue;
        if (!op_moves_slot(&c->ops[i], slot, &by))
            return stream_add_result(c, s, scale, i, depth);
        s->constant += (uint32_t)by << scale;
    }
    return stream_add_register(c, s, slot, scale);
}

static bool stream_of(const struct compile *c, const struct page_group *g, struct stream *s)
{
    *s = (struct stream){.a = IR_ZERO, .b = IR_ZERO, .constant = (uint32_t)g->low};
    return stream_add(c, s, g->base, 0, g->first, DEPTH_MAX) && s->stride >= -STRIDE_MAX &&
           s->stride <= STRIDE_MAX;
}

/* What neither leaves nor faults, if its access hits and SSE is on the host. */
static bool op_stays(const struct compile *c, const struct ir_op *op)
{
    if (op->op == IR_HELPER)
        return ir_is_sse(op) && fpu_is_inline(c, op) && sse_is_never_refused(op);
    return op->op != IR_SEGADDR && op->op != IR_RAISE && op->op != IR_SIDE && op->op != IR_EXPECT &&
           op->op != IR_CROSS;
}

static bool strip_take(const struct compile *c, struct strip *s, unsigned i)
{
    const struct ir_op *op = &c->ops[i];
    struct page_group g;
    struct stream *stream = &s->stream[s->groups.n];
    if (s->groups.of[i])
        return true;
    if (s->groups.n == PAGE_PLACES || op->a == IR_ZERO || !is_near((int32_t)access_disp(op)))
        return false;
    group_find(c, i, &g);
    g.place = (uint8_t)s->groups.n;
    if (!stream_of(c, &g, stream) || (g.aligned && stream->stride % ALIGN != 0))
        return false;
    groups_add(c, &s->groups, &g);
    return true;
}

static bool strip_find(const struct compile *c, struct strip *s)
{
    s->groups.n = 0;
    memset(s->groups.of, 0, c->nops * sizeof s->groups.of[0]);
    for (unsigned i = 0; i < c->nops; i++) {
        const struct ir_op *op = &c->ops[i];
        if (!op_stays(c, op) || (op_accesses(c, op) && !strip_take(c, s, i)))
            return false;
    }
    return s->groups.n > 0 && (c->regs.reserved >> STRIP_TICKS & 1);
}

bool strip_possible(const struct compile *c)
{
    struct strip s;
    return strip_find(c, &s);
}

/* --- the way in --- */

static unsigned stream_reg(unsigned slot)
{
    return slot == IR_ZERO ? NO_REG : reg_guest(slot);
}

/* SCRATCH1 = where the group's lowest byte is as the strip begins, modulo 2^32. */
static void emit_stream_address(struct compile *c, const struct stream *s)
{
    unsigned a = stream_reg(s->a), b = stream_reg(s->b);
    if (b != NO_REG)
        x_lea(&c->b, SZ32, SCRATCH1, mem_indexed(a, b, s->scale, (int32_t)s->constant));
    else if (a != NO_REG)
        x_lea(&c->b, SZ32, SCRATCH1, mem_at(a, (int32_t)s->constant));
    else
        x_mov_imm(&c->b, SCRATCH1, s->constant);
}

static uint8_t *emit_near_end_check(struct compile *c)
{
    x_lea(&c->b, SZ32, SCRATCH2, mem_at(SCRATCH1, MARGIN));
    x_alu_imm(&c->b, ALU_CMP, SZ32, SCRATCH2, 2 * MARGIN);
    return x_jcc(&c->b, CC_B);
}

static unsigned log2_ceil(uint32_t n)
{
    return n <= 1 ? 0 : 32 - (unsigned)__builtin_clz(n - 1);
}

/* SCRATCH2 = the lesser of itself and the iterations, but one, that stay in the page. */
static void emit_iterations(struct compile *c, const struct page_group *g, const struct stream *s)
{
    unsigned shift = log2_ceil((uint32_t)(s->stride < 0 ? -s->stride : s->stride));
    if (s->stride == 0)
        return;
    emit_stream_address(c, s);
    x_alu_imm(&c->b, ALU_AND, SZ32, SCRATCH1, X64_PAGE_BYTES - 1);
    if (s->stride > 0) {
        x_unary(&c->b, UN_NEG, SZ32, SCRATCH1);
        x_alu_imm(&c->b, ALU_ADD, SZ32, SCRATCH1, (uint32_t)(X64_PAGE_BYTES - (g->high - g->low)));
    }
    if (shift)
        x_shift_imm(&c->b, SH_SHR, SZ32, SCRATCH1, shift);
    x_alu(&c->b, ALU_CMP, SZ32, SCRATCH2, SCRATCH1);
    x_cmov(&c->b, CC_A, SCRATCH2, SCRATCH1);
}

static void far_first_copy(struct compile *c, const struct far_code *f)
{
    flags_flush_far(c, &f->cc);
    x_jmp_to(&c->b, c->b.start);
}

/* Less than ITERATIONS_MAX * TB_LONG_INSNS_MAX ticks are left: as many iterations as they are enough for, or
 * one less; or none. */
static void far_few_ticks(struct compile *c, const struct far_code *f)
{
    const uint32_t reciprocal = UINT32_MAX / c->tb->ninsns;
    x_load(&c->b, SZ64, SCRATCH2, mem_budget());
    x_imul_imm(&c->b, SZ64, SCRATCH2, SCRATCH2,
               reciprocal & INT32_MAX); /* signed; short of the truth for 1 and 2 only */
    x_shift_imm(&c->b, SH_SHR, SZ64, SCRATCH2, 32);
    x_test(&c->b, SZ32, SCRATCH2, SCRATCH2);
    x_patch(x_jcc(&c->b, CC_NE), f->back);
    far_first_copy(c, f);
}

/* STRIP_TICKS = those of SCRATCH2 + 1 iterations, or of fewer, taken from the budget. */
static void emit_take_ticks(struct compile *c)
{
    x_inc(&c->b, SZ32, SCRATCH2);
    uint8_t *again = c->b.at;
    x_imul_imm(&c->b, SZ32, SCRATCH2, SCRATCH2, c->tb->ninsns);
    x_load(&c->b, SZ64, SCRATCH1, mem_budget());
    x_alu(&c->b, ALU_SUB, SZ64, SCRATCH1, SCRATCH2);
    far_add(c, far_few_ticks, x_jcc(&c->b, CC_S))->back = again;
    x_store(&c->b, SZ64, mem_budget(), SCRATCH1);
    x_mov(&c->b, SZ32, STRIP_TICKS, SCRATCH2);
}

static void emit_lookups(struct compile *c, const struct strip *s)
{
    for (unsigned i = 0; i < s->groups.n; i++) {
        struct far_code *f = far_add(c, far_first_copy, NULL);
        emit_stream_address(c, &s->stream[i]);
        f->from[2] = emit_near_end_check(c);
        emit_group_lookup(c, &s->groups.group[i], SCRATCH1, f->from);
    }
}

/* The first copy brings SSE to the host. */
static void emit_sse_check(struct compile *c)
{
    bool any = false;
    for (unsigned i = 0; i < c->nops; i++)
        any |= ir_is_sse(&c->ops[i]);
    c->fpu_on_host = any;
    if (!any)
        return;
    x_alu_mem_imm(&c->b, ALU_CMP, SZ8, mem_state(offsetof(struct guest_state, fpu_on_host)), 0);
    far_add(c, far_first_copy, x_jcc(&c->b, CC_E));
}

static void emit_way_in(struct compile *c, const struct strip *s)
{
    emit_sse_check(c);
    emit_lookups(c, s);
    x_mov_imm(&c->b, SCRATCH2, ITERATIONS_MAX - 1);
    for (unsigned i = 0; i < s->groups.n; i++)
        emit_iterations(c, &s->groups.group[i], &s->stream[i]);
    emit_take_ticks(c);
}

/* Before an iteration. Behind the last: the next strip, if all pointers are within a page. */
static void emit_strip_account(struct compile *c, const uint8_t *way_in)
{
    part_begin(&c->b, X64_PART_TICKS);
    emit_account_again_in(c, STRIP_TICKS);
    x_alu_imm(&c->b, ALU_SUB, SZ64, STRIP_TICKS, c->tb->ninsns);
    x_patch(x_jcc(&c->b, CC_S), way_in);
    emit_counter(c);
}

void emit_strip_begin(struct compile *c)
{
    struct strip s;
    CHECK(strip_find(c, &s));
    c->groups = s.groups;
    c->cc = c->loop.cc;
    c->b.flags_for = 0;
    reg_begin(c);
    c->loop.strip_page2 = reg_reserve(c, STRIP_PAGE2) ? STRIP_PAGE2 : NO_REG;
    const uint8_t *way_in = c->b.at;
    emit_way_in(c, &s);
    c->loop.strip_head = c->b.at;
    c->loop.head = (uint32_t)(c->b.at - c->b.start);
    emit_strip_account(c, way_in);
}

/* --- the way out --- */

bool emit_strip_branch(struct compile *c, unsigned cond)
{
    bool fits = flags_same(&c->cc, &c->loop.cc) && !c->loop.strip_in_c;
    part_begin(&c->b, X64_PART_JUMP);
    x_patch(x_jcc(&c->b, cond), c->loop.strip_head);
    x_alu_load(&c->b, ALU_ADD, SZ64, STRIP_TICKS, mem_budget());
    x_store(&c->b, SZ64, mem_budget(), STRIP_TICKS);
    flags_flush(c);
    x_jmp_to(&c->b, c->loop.other);
    return fits;
}
