/* fpu_arith.c - IEEE operations on the host's own x87 unit.
 *
 * Each operation loads its operands as 80-bit values (which never raises anything), executes the
 * guest's instruction under the guest's control word, masks included, reads the status, and
 * clears what is pending before it stores the result. So rounding, precision control, denormals, NaN
 * rules, the biased results of unmasked overflow and underflow are the hardware's. The control word is
 * put back to the ABI's before C code goes on; the register stack is empty before and after, since no
 * operation here pops or pushes of itself (integer and decimal stores, which do, run with everything
 * masked).
 *
 * Determinism: only results that IEEE 754 and the SDM fix come from here. C1 is defined by the caller
 * where an unmasked exception stops the operation. Exception flags are sticky on the host as in the
 * guest: those that the guest has set already need not be cleared before an operation. */
#include "vcpu/arch/fpu_internal.h"

#define HOST_CW      0x037f
#define X87_CLOBBERS "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)", "cc"
/* Status to %0 (AX); a pending exception would fault the next store. */
#define TAKE_STATUS "fnstsw %0\n\ttest %b0, %b0\n\tjns 1f\n\tfnclex\n1:\n\t"

static inline void host_set_cw(uint16_t cw)
{
    __asm__ volatile("fldcw %0" : : "m"(cw));
}

static inline void host_enter(uint16_t cw, uint16_t guest_sw)
{
    uint16_t sw;
    __asm__ volatile("fnstsw %0" : "=a"(sw));
    if (sw & FSW_EXC & ~(guest_sw & cw))
        __asm__ volatile("fnclex");
    if (cw != HOST_CW)
        host_set_cw(cw);
}

static inline void host_leave(uint16_t cw)
{
    if (cw != HOST_CW)
        host_set_cw(HOST_CW);
}

/* What of the guest's control word the host's unit gets. The reserved precision 01 is 64 bits. */
static inline uint16_t host_cw(const struct x87_state *x)
{
    uint16_t reserved_pc = (x->cw & FCW_PC) == 0x100 ? FCW_PC : 0;
    return (uint16_t)((x->cw & (FCW_EXC | FCW_PC | FCW_RC)) | reserved_pc | FCW_ONE);
}

typedef uint16_t (*op2_fn)(struct f80 *dst, const void *src);
typedef uint16_t (*op1_fn)(struct f80 *dst);
typedef uint16_t (*store_fn)(const struct f80 *src, void *dst);

#define OP2_REG(name, insn)                                                                                  \
    static uint16_t name##_f80(struct f80 *dst, const void *src)                                             \
    {                                                                                                        \
        uint16_t sw;                                                                                         \
        __asm__ volatile("fldt %2\n\tfldt %1\n\t" insn "\n\t" TAKE_STATUS "fstpt %1\n\tfstp %%st(0)"         \
                         : "=&a"(sw), "+m"(*dst)                                                             \
                         : "m"(*(const struct f80 *)src)                                                     \
                         : X87_CLOBBERS);                                                                    \
        return sw;                                                                                           \
    }
#define OP2_MEM(name, insn, type)                                                                            \
    static uint16_t name(struct f80 *dst, const void *src)                                                   \
    {                                                                                                        \
        uint16_t sw;                                                                                         \
        __asm__ volatile("fldt %1\n\t" insn " %2\n\t" TAKE_STATUS "fstpt %1"                                 \
                         : "=&a"(sw), "+m"(*dst)                                                             \
                         : "m"(*(const type *)src)                                                           \
                         : X87_CLOBBERS);                                                                    \
        return sw;                                                                                           \
    }
#define OP2_ALL(name)                                                                                        \
    OP2_REG(name, "f" #name " %%st(1), %%st")                                                                \
    OP2_MEM(name##_m32fp, "f" #name "s", uint32_t)                                                           \
    OP2_MEM(name##_m32int, "fi" #name "l", uint32_t)                                                         \
    OP2_MEM(name##_m64fp, "f" #name "l", uint64_t)                                                           \
    OP2_MEM(name##_m16int, "fi" #name "s", uint16_t)
#define OP2_ROW(name)                                                                                        \
    {                                                                                                        \
        [FPU_F80] = name##_f80, [FPU_M32FP] = name##_m32fp, [FPU_M32INT] = name##_m32int,                    \
        [FPU_M64FP] = name##_m64fp, [FPU_M16INT] = name##_m16int                                             \
    }

OP2_ALL(add)
OP2_ALL(mul)
OP2_ALL(sub)
OP2_ALL(subr)
OP2_ALL(div)
OP2_ALL(divr)
OP2_REG(com, "fcom %%st(1)")
OP2_MEM(com_m32fp, "fcoms", uint32_t)
OP2_MEM(com_m32int, "ficoml", uint32_t)
OP2_MEM(com_m64fp, "fcoml", uint64_t)
OP2_MEM(com_m16int, "ficoms", uint16_t)
OP2_REG(ucom, "fucom %%st(1)")
OP2_REG(scale, "fscale")

static const op2_fn op2_table[FPU_OP2_COUNT][FPU_SRC_COUNT] = {
    [FPU_ADD] = OP2_ROW(add),   [FPU_MUL] = OP2_ROW(mul),   [FPU_COM] = OP2_ROW(com),
    [FPU_SUB] = OP2_ROW(sub),   [FPU_SUBR] = OP2_ROW(subr), [FPU_DIV] = OP2_ROW(div),
    [FPU_DIVR] = OP2_ROW(divr), [FPU_UCOM] = {ucom_f80},    [FPU_SCALE] = {scale_f80},
};

#define OP1(name, insn)                                                                                      \
    static uint16_t name(struct f80 *dst)                                                                    \
    {                                                                                                        \
        uint16_t sw;                                                                                         \
        __asm__ volatile("fldt %1\n\t" insn "\n\t" TAKE_STATUS "fstpt %1"                                    \
                         : "=&a"(sw), "+m"(*dst)                                                             \
                         :                                                                                   \
                         : X87_CLOBBERS);                                                                    \
        return sw;                                                                                           \
    }
OP1(op_sqrt, "fsqrt")
OP1(op_rndint, "frndint")
static const op1_fn op1_table[FPU_OP1_COUNT] = {op_sqrt, op_rndint};

/* `tail` empties the register stack where `insn` does not pop. */
#define STORE(name, insn, type, tail)                                                                        \
    static uint16_t name(const struct f80 *src, void *dst)                                                   \
    {                                                                                                        \
        uint16_t sw;                                                                                         \
        __asm__ volatile("fldt %2\n\t" insn " %1\n\t" TAKE_STATUS tail                                       \
                         : "=&a"(sw), "+m"(*(type *)dst)                                                     \
                         : "m"(*src)                                                                         \
                         : X87_CLOBBERS);                                                                    \
        return sw;                                                                                           \
    }
STORE(to_m32fp, "fsts", uint32_t, "fstp %%st(0)")
STORE(to_m64fp, "fstl", uint64_t, "fstp %%st(0)")
STORE(to_m16int, "fistps", uint16_t, "")
STORE(to_m32int, "fistpl", uint32_t, "")
STORE(to_m64int, "fistpll", uint64_t, "")
STORE(to_m80bcd, "fbstp", struct f80, "")
static const store_fn store_table[FPU_DST_COUNT] = {to_m32fp,  to_m64fp,  to_m16int,
                                                    to_m32int, to_m64int, to_m80bcd};

fpu_flags fpu_host_op2(const struct x87_state *x, enum fpu_op2 op, enum fpu_src kind, struct f80 *dst,
                       const void *src)
{
    uint16_t cw = host_cw(x);
    host_enter(cw, x->sw);
    uint16_t sw = op2_table[op][kind](dst, src);
    host_leave(cw);
    return sw;
}

fpu_flags fpu_host_op1(const struct x87_state *x, enum fpu_op1 op, struct f80 *dst)
{
    uint16_t cw = host_cw(x);
    host_enter(cw, x->sw);
    uint16_t sw = op1_table[op](dst);
    host_leave(cw);
    return sw;
}

fpu_flags fpu_host_store(const struct x87_state *x, enum fpu_dst kind, const struct f80 *src, void *dst)
{
    uint16_t cw = host_cw(x);
    if (kind > FPU_TO_M64FP)
        cw |= FCW_EXC; /* raises I or P only, whose detection does not depend on masks */
    host_enter(cw, x->sw);
    uint16_t sw = store_table[kind](src, dst);
    host_leave(cw);
    return sw;
}
