/* group.h - which accesses of a block share a check of their page, and how pointers move in loops. Nothing is
 * emitted here. */
#ifndef TANDEM_TRANSLATOR_X64_GROUP_H
#define TANDEM_TRANSLATOR_X64_GROUP_H

#include "translator/x64/regs.h"

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

/* The group of accesses that begins with op `first`; returns how many there are. */
unsigned group_find(const struct compile *c, unsigned first, struct page_group *out);
/* Does the group's base move in small steps, if the block is a loop? Only a guess of what pays. */
bool group_is_steady(const struct compile *c, const struct page_group *g);

#endif
