/* flags.h - guest flags of a block being compiled.
 *
 * A flag-setting op only notes its kind and where A, B and R (cc.h) are: registers, immediates, or derived:
 *   R of a compare (SUB with A and B, LOGIC as A & B) is not computed until somebody needs it, and of SUB
 * never: it goes to the slots as CMP; A of ADD, SUB, INC, DEC is R minus or plus B or 1, and goes to no slot.
 * A value goes to its CC slot when its register is about to be overwritten (flags_before_write), all of them
 * at flags_flush, and in far code at a fault. Flags that die before that cost nothing. A rotate by a constant
 * changes CF and OF alone: it is remembered beside the flags that it changes, until they are flushed or
 * replaced. c->b.flags_for says which conditions the host's own flags still answer.
 *
 * flags_flush uses SCRATCH1 and SCRATCH2, flags_before_write SCRATCH1; flags_before_write writes no host
 * flags, flags_flush only where it leaves the guest's in them, or behind a rotate. */
#ifndef TANDEM_TRANSLATOR_X64_FLAGS_H
#define TANDEM_TRANSLATOR_X64_FLAGS_H

#include "translator/cc.h"
#include "translator/x64/emit_x64.h"

struct compile;

/* Where one of the CC values A, B, R is. */
enum cc_where {
    CC_IN_SLOT, /* in its slot, or nobody cares */
    CC_IN_REG,
    CC_IS_IMM,
    CC_DERIVED, /* computable from the other two (flags.h) */
};
struct cc_value {
    uint8_t where; /* enum cc_where */
    uint8_t reg;
    uint32_t imm;
};
enum { CC_A_VALUE, CC_B_VALUE, CC_R_VALUE };

/* A rotate whose CF and OF are not in the flags yet. */
struct cc_rotate {
    uint8_t kind; /* enum cc_rotate_kind */
    uint8_t size;
    uint8_t reg; /* that holds its result; NO_REG: slot IR_ROTATED */
};
enum cc_rotate_kind { CC_ROTATE_NONE, CC_ROTATE_LEFT, CC_ROTATE_RIGHT };

struct cc_state {
    int op; /* enum cc_op; -1: not known here, everything is in the slots */
    bool op_in_slot;
    struct cc_value v[3];
    struct cc_rotate rotate; /* over the rest */
};

/* Host conditions that flags_for may hold: bit cond >> 1. */
enum {
    FLAGS_ALL = 0xff,
    FLAGS_NO_CARRY = 0xf5,
    FLAGS_RESULT = 1 << 2 | 1 << 4 | 1 << 5,
    FLAGS_NO_OVERFLOW = 0x3e,
    FLAGS_CARRY_OVERFLOW = 3
};

static inline struct cc_value cc_in_slot(void)
{
    return (struct cc_value){CC_IN_SLOT, NO_REG, 0};
}
static inline struct cc_value cc_in_reg(unsigned reg)
{
    return (struct cc_value){CC_IN_REG, (uint8_t)reg, 0};
}
static inline struct cc_value cc_is_imm(uint32_t imm)
{
    return (struct cc_value){CC_IS_IMM, NO_REG, imm};
}
static inline struct cc_value cc_derived(void)
{
    return (struct cc_value){CC_DERIVED, NO_REG, 0};
}

void flags_begin(struct compile *c);
/* The flags are about to be replaced unread. */
void flags_kill(struct compile *c);
/* The flags are in the slots and of unknown kind. */
void flags_unknown(struct compile *c);
void flags_set(struct compile *c, int op, struct cc_value a, struct cc_value b, struct cc_value r);
/* CF and OF are those of a rotate with the result in `reg`. */
void flags_set_rotate(struct compile *c, bool left, unsigned size, unsigned reg);
void flags_before_write(struct compile *c, unsigned reg);
void flags_flush(struct compile *c);
/* Is there nothing to flush? Do both say the same of where everything is? */
bool flags_in_slots(const struct cc_state *cc);
bool flags_same(const struct cc_state *x, const struct cc_state *y);
/* For whoever reads flags other than through the slots, or flushes them in far code that comes back. */
void flags_settle_rotate(struct compile *c);
/* In far code: stores what `cc` says is not in the slots. Where that code comes back, the same stores may
 * follow once more; so no rotate may be remembered there, whose flush replaces what the slots hold. */
void flags_flush_far(struct compile *c, const struct cc_state *cc);
/* Host condition that says whether guest condition `cond` holds. Uses SCRATCH1, SCRATCH2. */
unsigned flags_cond(struct compile *c, unsigned cond);
/* The same, and then all flags are in their slots. */
unsigned flags_cond_flush(struct compile *c, unsigned cond);
/* Host CF = guest CF. Uses SCRATCH1, SCRATCH2. */
void flags_carry(struct compile *c);
/* CF = the bit that the host's BT puts into its CF, all else stays: `before` in front of that BT and of what
 * makes its operands, `after` right behind it. SCRATCH1, SCRATCH2; `after` uses neither. */
void flags_before_bit(struct compile *c);
void flags_after_bit(struct compile *c);
/* CF as 0 or 1, to be the B of INC and DEC. */
struct cc_value flags_carry_value(struct compile *c);

#endif
