/* group.c - see group.h. */
#include "translator/x64/group.h"

#include <string.h>

#include "translator/x64/compile.h"
#include "translator/x64/fpu.h"

/* --- what an op accesses --- */

uint32_t access_disp(const struct ir_op *op)
{
    return op->op == IR_HELPER ? op->disp : op->imm;
}

unsigned access_bytes(const struct ir_op *op)
{
    return op->op == IR_HELPER ? fpu_operand_bytes(op) : 1u << op->size;
}

bool access_is_aligned(const struct ir_op *op)
{
    return op->op == IR_HELPER && fpu_operand_align(op) != 1;
}

bool access_writes(const struct ir_op *op)
{
    return op->op == IR_HELPER ? fpu_operand_written(op) : op->op != IR_LD;
}

/* --- groups --- */

enum { GROUP_BYTES_MAX = 512, GROUP_ACCESSES_MIN = 2 };

bool op_accesses(const struct compile *c, const struct ir_op *op)
{
    return op->op == IR_LD || op->op == IR_LDRW || op->op == IR_ST ||
           (op->op == IR_HELPER && fpu_is_mem(op) && fpu_is_inline(c, op));
}

static bool is_c_helper(const struct compile *c, const struct ir_op *op)
{
    return op->op == IR_HELPER && !fpu_is_inline(c, op);
}

bool op_writes_slot(const struct ir_op *op, unsigned slot)
{
    if (op->op == IR_HELPER) /* one that is inline */
        return fpu_writes_slot(op, slot);
    return (ir_uses(op, IR_WRITES_DST) && op->dst == slot) || (ir_uses(op, IR_WRITES_AUX) && op->aux == slot);
}

static bool constant_of(const struct ir_op *op, int32_t *by)
{
    bool imm = op->flags & IRF_IMM;
    switch (op->op) {
    case IR_ADD:
        *by = (int32_t)op->imm;
        return imm;
    case IR_SUB:
        *by = (int32_t)(0u - op->imm);
        return imm;
    case IR_LEA:
        *by = (int32_t)op->imm;
        return op->b == IR_ZERO;
    case IR_INC:
        *by = 1;
        return true;
    case IR_DEC:
        *by = -1;
        return true;
    default:
        return false;
    }
}

/* base = base + constant? */
bool op_moves_slot(const struct ir_op *op, unsigned base, int32_t *by)
{
    return constant_of(op, by) && (op->size == SZ32 || op->op == IR_LEA) && op->a == base;
}

/* Accesses that must be aligned share a check, too. */
static bool group_align(struct page_group *g, const struct ir_op *op, int32_t moved)
{
    uint8_t at = (uint32_t)(moved + (int32_t)access_disp(op)) & 15;
    if (!access_is_aligned(op))
        return true;
    if (g->aligned && g->align_at != at)
        return false;
    g->aligned = true;
    g->align_at = at;
    return true;
}

static int32_t least(int32_t a, int32_t b)
{
    return a < b ? a : b;
}
static int32_t greatest(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

/* May the moved base have passed 0 or 2^32, though the group's first base and its accesses have not? */
static bool may_wrap(int32_t moved, int32_t disp)
{
    return (moved < 0 && disp > 0) || (moved > 0 && disp < 0);
}

/* Takes the access in, if the group stays small. The host adds the displacement to a base modulo 2^32: if
 * that may wrap, the place that the base points to must lie in the page, too. */
static bool group_extend(struct page_group *g, const struct ir_op *op, int32_t moved)
{
    int32_t disp = (int32_t)access_disp(op), at = moved + disp, end = at + (int32_t)access_bytes(op);
    if (!group_align(g, op, moved))
        return false;
    if (may_wrap(moved, disp)) {
        at = least(at, moved);
        end = greatest(end, moved + 1);
    }
    int32_t low = least(at, g->low), high = greatest(end, g->high);
    if (high - low > GROUP_BYTES_MAX)
        return false;
    g->low = low;
    g->high = high;
    g->writes |= access_writes(op);
    return true;
}

/* The group of accesses that begins with this one; returns how many. */
unsigned group_find(const struct compile *c, unsigned first, struct page_group *out)
{
    const struct ir_op *ops = c->ops;
    int32_t disp = (int32_t)access_disp(&ops[first]);
    struct page_group g = {.base = ops[first].a, .first = (uint16_t)first, .low = disp, .high = disp};
    unsigned accesses = 0;
    int32_t moved = 0, by;
    for (unsigned i = first; i < c->nops && !is_c_helper(c, &ops[i]); i++) {
        if (op_accesses(c, &ops[i]) && ops[i].a == g.base && is_near((int32_t)access_disp(&ops[i]))) {
            if (!group_extend(&g, &ops[i], moved))
                break;
            g.last = (uint16_t)i;
            accesses++;
        }
        if (!op_writes_slot(&ops[i], g.base))
            continue;
        if (!op_moves_slot(&ops[i], g.base, &by) || !is_near(by) || !is_near(moved + by))
            break;
        moved += by;
    }
    *out = g;
    return accesses;
}

/* --- groups of loops --- */

enum { STEP_MAX = 256, STEP_DEPTH = 3, NO_STEP = -1 };

static int step_of(const struct compile *c, unsigned slot, unsigned before, unsigned depth);

static int sum_step(int a, int b)
{
    return a < 0 || b < 0 || a + b > STEP_MAX ? NO_STEP : a + b;
}

static int step_of_result(const struct compile *c, unsigned index, unsigned depth)
{
    const struct ir_op *op = &c->ops[index];
    if (op->op != IR_LEA || depth == 0)
        return NO_STEP;
    int a = step_of(c, op->a, index, depth - 1), b = step_of(c, op->b, index, depth - 1);
    return sum_step(a, b < 0 ? b : b << op->aux);
}

/* Temporaries do not live from one iteration to the next: the last op that wrote it counts. */
static int step_of_temp(const struct compile *c, unsigned slot, unsigned before, unsigned depth)
{
    for (unsigned i = before; i-- > 0;)
        if (op_writes_slot(&c->ops[i], slot))
            return step_of_result(c, i, depth);
    return NO_STEP;
}

static int step_of_guest(const struct compile *c, unsigned slot, unsigned depth)
{
    int step = 0, results = 0;
    int32_t by;
    for (unsigned i = 0; i < c->nops && step >= 0; i++) {
        const struct ir_op *op = &c->ops[i];
        if (!op_writes_slot(op, slot))
            continue;
        if (op_moves_slot(op, slot, &by))
            step = is_near(by) ? sum_step(step, by < 0 ? -by : by) : NO_STEP;
        else if (results++ == 0)
            step = sum_step(step, step_of_result(c, i, depth));
        else
            step = NO_STEP;
    }
    return step;
}

/* By how much the slot moves in an iteration, at most; NO_STEP: more, or who knows. Only a guess of what
 * pays. */
static int step_of(const struct compile *c, unsigned slot, unsigned before, unsigned depth)
{
    if (slot == IR_ZERO)
        return 0;
    return slot >= IR_T0 ? step_of_temp(c, slot, before, depth) : step_of_guest(c, slot, depth);
}

static bool may_loop(const struct compile *c)
{
    const struct ir_op *last = &c->ops[c->nops - 1];
    return (last->op == IR_JCC || last->op == IR_JNZ) && last->imm == c->tb->lin_addr - c->tb->cs_base;
}

/* Helpers may fill the TLB. */
static bool calls_c(const struct compile *c)
{
    for (unsigned i = 0; i < c->nops; i++)
        if (is_c_helper(c, &c->ops[i]))
            return true;
    return false;
}

/* Does the group's base move in small steps, if the block is a loop? Only a guess of what pays. */
static bool group_is_steady(const struct compile *c, const struct page_group *g)
{
    return may_loop(c) && !calls_c(c) && step_of(c, g->base, g->first, STEP_DEPTH) >= 0;
}

/* --- the groups of a copy --- */

const struct page_group *group_at(const struct compile *c, unsigned i)
{
    return c->groups.of[i] && !c->careful.emitting ? &c->groups.group[c->groups.of[i] - 1] : NULL;
}

bool access_is_covered(const struct compile *c, unsigned i)
{
    const struct page_group *g = group_at(c, i);
    return g && (c->loop.strip || (c->careful.possible && i != g->first));
}

static bool is_within(const struct page_group *g, unsigned i)
{
    return g->first <= i && i <= g->last;
}

bool groups_go_on(const struct page_groups *p, unsigned i)
{
    for (unsigned k = 0; k < p->n; k++)
        if (is_within(&p->group[k], i) && i < p->group[k].last)
            return true;
    return false;
}

static bool may_be_grouped(const struct compile *c, unsigned i)
{
    const struct ir_op *op = &c->ops[i];
    return op_accesses(c, op) && op->a != IR_ZERO && is_near((int32_t)access_disp(op));
}

void groups_add(const struct compile *c, struct page_groups *p, const struct page_group *g)
{
    p->group[p->n++] = *g;
    for (unsigned i = g->first; i <= g->last; i++)
        if (may_be_grouped(c, i) && c->ops[i].a == g->base)
            p->of[i] = (uint16_t)p->n;
}

/* Is the group's page to be kept? The first copy counts how many the second may keep. */
static bool loop_keeps(struct compile *c, const struct page_group *g)
{
    if (!group_is_steady(c, g))
        return false;
    if (c->loop.copying)
        return c->loop.kept < c->loop.pages && ++c->loop.kept;
    if (c->loop.pages < PAGE_PLACES)
        c->loop.pages++;
    return false;
}

/* A place that no group has at op i; PAGE_PLACES: there is none. Pages that are kept have the first. */
static unsigned free_place(const struct compile *c, unsigned i)
{
    unsigned taken = c->loop.copying ? (1u << c->loop.pages) - 1 : 0, place = 0;
    for (unsigned k = 0; k < c->groups.n; k++)
        if (is_within(&c->groups.group[k], i))
            taken |= 1u << c->groups.group[k].place;
    while (place < PAGE_PLACES && taken >> place & 1)
        place++;
    return place;
}

/* A group that begins with op i, where it pays. */
static void plan_group(struct compile *c, unsigned i)
{
    struct page_group g;
    const unsigned accesses = group_find(c, i, &g);
    g.kept = loop_keeps(c, &g);
    if (accesses < GROUP_ACCESSES_MIN && !g.kept)
        return;
    const unsigned place = g.kept ? c->loop.kept - 1u : free_place(c, i);
    if (place == PAGE_PLACES)
        return;
    g.place = (uint8_t)place;
    c->places_used |= 1u << place;
    groups_add(c, &c->groups, &g);
}

void groups_plan(struct compile *c)
{
    c->groups.n = 0;
    memset(c->groups.of, 0, c->nops * sizeof c->groups.of[0]);
    for (unsigned i = 0; i < c->nops; i++)
        if (may_be_grouped(c, i) && !c->groups.of[i])
            plan_group(c, i);
}
