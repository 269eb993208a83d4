/* fpu_internal.h - what the x87 files share.
 *
 *   fpu.c                 dispatch, register stack, exceptions, loads and stores
 *   fpu_arith.c           IEEE operations on the host's own x87 unit
 *   fpu_soft.c            exact conversions, FXTRACT, FPREM, rounding, in integers
 *   fpu_transcendental.c  FSIN and its kin through MPFR
 *   fpu_env.c             environment and state images in guest memory
 *
 * A function that computes returns an fpu_flags: the exception bits that the operation raises and
 * the condition bits that it defines, in status word positions. Flags are those of the real
 * masks in the control word (an unmasked underflow is detected differently from a masked one);
 * the caller commits them, and drops the result when fpu_blocks() says so. */
#ifndef TANDEM_VCPU_ARCH_FPU_INTERNAL_H
#define TANDEM_VCPU_ARCH_FPU_INTERNAL_H

#include <string.h>

#include "vcpu/arch/arch.h"
#include "vcpu/helpers.h"
#include "vcpu/mmu/mmu.h"

enum {
    FSW_IE = 1 << 0,
    FSW_DE = 1 << 1,
    FSW_ZE = 1 << 2,
    FSW_OE = 1 << 3,
    FSW_UE = 1 << 4,
    FSW_PE = 1 << 5,
    FSW_SF = 1 << 6,
    FSW_ES = 1 << 7,
    FSW_C0 = 1 << 8,
    FSW_C1 = 1 << 9,
    FSW_C2 = 1 << 10,
    FSW_TOP = 7 << 11,
    FSW_C3 = 1 << 14,
    FSW_B = 1 << 15,
    FSW_EXC = 0x3f,                     /* the six maskable exceptions, as in the control word */
    FSW_PRE = FSW_IE | FSW_DE | FSW_ZE, /* found before the computation: operands stay */
    FSW_CC = FSW_C0 | FSW_C2 | FSW_C3,  /* what compares set */
};
enum {
    FCW_EXC = 0x3f,
    FCW_PC = 3 << 8,
    FCW_RC = 3 << 10,
    FCW_INIT = 0x037f,
    FCW_KEPT = 0x1f3f,
    FCW_ONE = 0x0040
};
enum { FPU_RC_NEAR, FPU_RC_DOWN, FPU_RC_UP, FPU_RC_ZERO };

#define F80_BIAS    16383
#define F80_EXP_MAX 0x7fff
#define F80_INTEGER (UINT64_C(1) << 63) /* the explicit integer bit */
#define F80_QUIET   (UINT64_C(1) << 62)

/* An 80-bit value, laid out as a slot of x87_state.r. */
struct f80 {
    uint64_t sig;
    uint16_t se; /* sign bit 15, biased exponent */
    uint16_t zero[3];
};
_Static_assert(sizeof(struct f80) == sizeof(((struct x87_state *)0)->r[0]), "f80 is a register slot");

typedef uint16_t fpu_flags;

static inline struct f80 f80_make(unsigned sign, unsigned exp, uint64_t sig)
{
    return (struct f80){.sig = sig, .se = (uint16_t)(sign << 15 | exp)};
}
static inline struct f80 f80_indefinite(void)
{
    return f80_make(1, F80_EXP_MAX, UINT64_C(3) << 62);
}
static inline unsigned f80_sign(const struct f80 *a)
{
    return a->se >> 15;
}
static inline unsigned f80_exp(const struct f80 *a)
{
    return a->se & F80_EXP_MAX;
}
static inline unsigned fpu_rc(const struct x87_state *x)
{
    return x->cw >> 10 & 3;
}

enum f80_class { F80_ZERO, F80_NORMAL, F80_DENORMAL, F80_INF, F80_NAN, F80_UNSUPPORTED };
enum f80_class f80_classify(const struct f80 *a);
static inline bool f80_is_special(enum f80_class c)
{
    return c >= F80_NAN;
}

/* A finite nonzero value with the leading bit set: sig * 2^(exp - bias - 63). */
struct f80_parts {
    unsigned sign;
    int exp;
    uint64_t sig;
};
struct f80_parts f80_unpack(const struct f80 *a);
/* Rounds hi:lo (leading bit of hi set, any lower bits folded into lo's bit 0) to 64 bits by RC:
 * overflow, underflow, precision and C1, for masked and unmasked exceptions. */
fpu_flags f80_round(const struct x87_state *x, struct f80_parts p, uint64_t lo, struct f80 *r);

/* Does an unmasked exception keep the result from its register? (post-computation ones do not) */
static inline bool fpu_blocks(const struct x87_state *x, fpu_flags f)
{
    return f & ~x->cw & FSW_PRE;
}
/* ... from memory? */
static inline bool fpu_blocks_store(const struct x87_state *x, fpu_flags f)
{
    return f & ~x->cw & (FSW_PRE | FSW_OE | FSW_UE);
}

/* --- register stack (fpu.c) --- */
static inline unsigned fpu_top(const struct x87_state *x)
{
    return x->sw >> 11 & 7;
}
static inline unsigned fpu_phys(const struct x87_state *x, unsigned i)
{
    return (fpu_top(x) + i) & 7;
}
static inline bool fpu_is_empty(const struct x87_state *x, unsigned i)
{
    return x->empty >> fpu_phys(x, i) & 1;
}
static inline struct f80 fpu_get(const struct x87_state *x, unsigned i)
{
    struct f80 a;
    memcpy(&a, x->r[fpu_phys(x, i)], sizeof a);
    return a;
}
void fpu_push(struct x87_state *x, struct f80 a);
/* ES and B follow from flags and masks; after any change of either. */
void fpu_update_summary(struct x87_state *x);
/* Before an instruction that waits: what an unmasked error of an earlier one has to say (fpu.c). */
enum helper_result fpu_wait(struct vcpu *v);
/* After one that was begun with an error: if it is gone, FERR# goes. */
void fpu_error_gone(struct vcpu *v);

/* --- host unit (fpu_arith.c) --- */
enum fpu_src { FPU_F80, FPU_M32FP, FPU_M32INT, FPU_M64FP, FPU_M16INT, FPU_SRC_COUNT };
enum fpu_op2 {
    FPU_ADD,
    FPU_MUL,
    FPU_COM,
    FPU_UCOM,
    FPU_SUB,
    FPU_SUBR,
    FPU_DIV,
    FPU_DIVR,
    FPU_SCALE,
    FPU_OP2_COUNT
};
enum fpu_op1 { FPU_SQRT, FPU_RNDINT, FPU_OP1_COUNT };
enum fpu_dst {
    FPU_TO_M32FP,
    FPU_TO_M64FP,
    FPU_TO_M16INT,
    FPU_TO_M32INT,
    FPU_TO_M64INT,
    FPU_TO_M80BCD,
    FPU_DST_COUNT
};
/* *dst = *dst op src; compares leave dst alone. src: struct f80, or the memory operand. */
fpu_flags fpu_host_op2(const struct x87_state *x, enum fpu_op2 op, enum fpu_src kind, struct f80 *dst,
                       const void *src);
fpu_flags fpu_host_op1(const struct x87_state *x, enum fpu_op1 op, struct f80 *dst);
/* Converts to memory format; dst has 16 bytes, and is not defined when fpu_blocks_store(). */
fpu_flags fpu_host_store(const struct x87_state *x, enum fpu_dst kind, const struct f80 *src, void *dst);
/* The result of a two-operand instruction with a NaN or unsupported operand (SDM 1 table 4-7). */
static inline fpu_flags fpu_propagate(const struct x87_state *x, struct f80 a, struct f80 b, struct f80 *r)
{
    *r = a;
    return fpu_host_op2(x, FPU_ADD, FPU_F80, r, &b) & (FSW_IE);
}

/* --- integer code (fpu_soft.c) --- */
fpu_flags fpu_from_m32fp(uint32_t bits, struct f80 *r);
fpu_flags fpu_from_m64fp(uint64_t bits, struct f80 *r);
struct f80 fpu_from_int(int64_t value);
struct f80 fpu_from_bcd(uint64_t low, uint16_t high);
fpu_flags fpu_xtract(const struct x87_state *x, struct f80 a, struct f80 *sig, struct f80 *exp);
/* FPREM, FPREM1 (nearest): also C0..C3. */
fpu_flags fpu_rem(const struct x87_state *x, struct f80 a, struct f80 b, bool nearest, struct f80 *r);

/* --- transcendental (fpu_transcendental.c) --- */
enum fpu_trig { FPU_SIN, FPU_COS, FPU_TAN };
/* C2 alone: out of range, no result. */
fpu_flags fpu_trig(const struct x87_state *x, enum fpu_trig fn, struct f80 a, struct f80 *r);
fpu_flags fpu_2xm1(const struct x87_state *x, struct f80 a, struct f80 *r);
fpu_flags fpu_atan2(const struct x87_state *x, struct f80 b, struct f80 a, struct f80 *r); /* atan(b / a) */
fpu_flags fpu_yl2x(const struct x87_state *x, struct f80 b, struct f80 a, struct f80 *r);  /* b * log2(a) */
fpu_flags fpu_yl2xp1(const struct x87_state *x, struct f80 b, struct f80 a, struct f80 *r);

/* --- images in memory (fpu_env.c); false: exception recorded, nothing changed --- */
bool fpu_load_env(struct vcpu *v, uint32_t lin_addr, bool wide, bool with_regs);
bool fpu_store_env(struct vcpu *v, uint32_t lin_addr, bool wide, bool with_regs);
unsigned fpu_env_bytes(bool wide, bool with_regs);
void fpu_init(struct x87_state *x); /* FNINIT */

#endif
