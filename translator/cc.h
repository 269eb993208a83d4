/* cc.h - symbolic flags: the kinds that IR_CC_OP may hold and how each flag derives from it.
 *
 * kind * 3 + size, size 0, 1, 2 for 8, 16, 32 bits; CC_EFLAGS has no size. A and B are the
 * zero-extended operands, R the zero-extended result. PF, ZF, SF always come from R (except
 * CC_EFLAGS; of CMP, R is A - B). Undefined flags (SDM 1 appendix A) take whatever the formula gives: fixed,
 * the same in both engines. */
#ifndef TANDEM_TRANSLATOR_CC_H
#define TANDEM_TRANSLATOR_CC_H

#include "translator/guest_state.h"

enum cc_kind {
    CC_KIND_ADD,   /* A + B */
    CC_KIND_ADC,   /* A + B + carry (carry from the majority of A, B, ~R) */
    CC_KIND_SUB,   /* A - B; CMP, NEG with A = 0 */
    CC_KIND_SBB,   /* A - B - borrow */
    CC_KIND_LOGIC, /* CF = OF = AF = 0 */
    CC_KIND_INC,   /* A + 1; CF is bit 0 of B; A is looked at by nobody */
    CC_KIND_DEC,   /* A - 1; likewise */
    CC_KIND_SHL,   /* A << B, 1 <= B <= 31 */
    CC_KIND_SHR,   /* A >> B logical */
    CC_KIND_SAR,   /* A >> B arithmetic (A zero-extended) */
    CC_KIND_MUL,   /* CF = OF = (B != 0): B says the product did not fit; R the low half */
    CC_KIND_CMP,   /* SUB whose R is in no slot: compiled code's comparisons */
    CC_KIND_SHRD,  /* SHR, but OF is a change of sign; as SHLD is SHL */
    CC_KIND_SUM,   /* ADD whose A is in no slot: R - B */
    CC_KIND_DIFF,  /* SUB whose A is in no slot: R + B */
    CC_KIND_COUNT
};
enum cc_op { CC_EFLAGS = CC_KIND_COUNT * 3 };
#define CC_OP(kind, size) ((kind)*3 + (size))
/* In IR_CC_OP over an enum cc_op, as compiled code leaves it behind BT and its like: CF is bit
 * CC_CARRY_SHIFT, all else is that op's. The bit has a byte to itself, for SETcc. */
enum { CC_CARRY_GIVEN = 1 << 6, CC_CARRY_SHIFT = 8, CC_OP_MASK = CC_CARRY_GIVEN - 1 };
_Static_assert((int)CC_EFLAGS <= (int)CC_OP_MASK, "CC_CARRY_GIVEN");

uint32_t cc_flags(uint32_t op, uint32_t a, uint32_t b, uint32_t r);           /* FLAGS_ARITH bits */
bool cc_cond(uint32_t op, uint32_t a, uint32_t b, uint32_t r, unsigned cond); /* SDM tttn code 0..15 */
uint32_t cc_cf(uint32_t op, uint32_t a, uint32_t b, uint32_t r);              /* 0 or 1 */

/* The whole EFLAGS of a state, bit 1 set; and its inverse for arithmetic flags and DF only. */
uint32_t guest_eflags(const struct guest_state *g);
uint32_t guest_pushed_eflags(const struct guest_state *g); /* VM and RF clear: SDM 2B PUSHF */
void guest_set_arith_flags(struct guest_state *g, uint32_t eflags);

#endif
