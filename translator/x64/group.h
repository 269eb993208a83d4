/* group.h - which accesses of a block share a check of their page, and how pointers move in loops. Nothing is
 * emitted here. */
#ifndef TANDEM_TRANSLATOR_X64_GROUP_H
#define TANDEM_TRANSLATOR_X64_GROUP_H

#include "translator/ir.h"
#include "translator/tb.h"

struct compile;

/* Places of page groups (mem.c): an addend, and the page it is of, which only loops keep. On the stack, at
 * RSP + 16 * place, between stubs and blocks; the first addends have registers. */
enum {
    PAGE_PLACES = 4,
    PLACE_BYTES = 16,
    PLACE_PAGE = 0,
    PLACE_ADDEND = 8,
    FRAME_BYTES = PAGE_PLACES * PLACE_BYTES + 8
};
/* Sign-extended; all that is 32 bits or near lies far from it. */
#define PLACE_NO_PAGE 0x80000000u

/* Accesses through one base register that one check covers (mem.c). Its place is its number. */
struct page_group {
    bool kept; /* a loop's: its page stays known from one iteration to the next */
    uint8_t place;
    uint8_t base; /* slot */
    bool writes;  /* one of them writes */
    bool aligned; /* one of them must be aligned to 16: base + align_at, modulo 16 */
    uint8_t align_at;
    uint16_t first, last; /* ops */
    int32_t low, high;    /* bytes that they touch, from the base's value at the first one */
};

enum { X64_PAGE_BITS = 12, X64_PAGE_BYTES = 1 << X64_PAGE_BITS, ALIGN = 16 };

/* What an op that accesses memory accesses. */
bool op_accesses(const struct compile *c, const struct ir_op *op);
uint32_t access_disp(const struct ir_op *op);
unsigned access_bytes(const struct ir_op *op);
bool access_is_aligned(const struct ir_op *op); /* must be */
bool access_writes(const struct ir_op *op);

bool op_writes_slot(const struct ir_op *op, unsigned slot);
/* slot = slot + constant? */
bool op_moves_slot(const struct ir_op *op, unsigned slot, int32_t *by);
/* Displacements and moves that groups take. */
static inline bool is_near(int32_t v)
{
    return v > -0x10000 && v < 0x10000;
}

/* The groups of the ops that are emitted. */
struct page_groups {
    unsigned n;
    struct page_group group[TB_OPS_MAX / 2 + PAGE_PLACES]; /* a group of one access is a kept one */
    uint16_t of[TB_OPS_MAX]; /* by op: number + 1 of the group that its access is in; 0: none */
};

/* Finds the groups of c->ops, for the copy that is to be emitted. */
void groups_plan(struct compile *c);
/* The group that op i's access is in; NULL: in none, or it is checked by itself. */
const struct page_group *group_at(const struct compile *c, unsigned i);
/* Has an earlier op's check vouched for op i's access? It then neither faults nor leaves. */
bool access_is_covered(const struct compile *c, unsigned i);
/* Is op i between a group's accesses, or one of them but the last? */
bool groups_go_on(const struct page_groups *p, unsigned i);
/* Enters a group and the accesses that it covers. */
void groups_add(const struct compile *c, struct page_groups *p, const struct page_group *g);

/* The group of accesses that begins with op `first`; returns how many there are. */
unsigned group_find(const struct compile *c, unsigned first, struct page_group *out);

#endif
