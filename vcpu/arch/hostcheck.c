/* hostcheck.c - does the host's CPU compute as the helpers rely on?
 *
 * fpu_arith.c, sse_exec.c and sse_float.c let the host's units compute, under the guest's modes. IEEE 754 and
 * the SDM fix what comes out, to the last bit and flag, so there is no second way in C. A host that answers
 * otherwise (an emulator whose x87 has 64 bits, a CPU without DAZ) would make another guest of each guest: it
 * is refused when the machine is made. What only compiled code relies on is in translator/x64/probe.def.
 *
 * The cases are small and were computed by hand: one for each rule. tests/oracle has the millions. */
#include "vcpu/arch/sse_internal.h"

#include <stdio.h>

#define MIN_EXP 1 /* of the smallest normal number: 2^-16382 */
enum { NEAR = FPU_RC_NEAR << 10, DOWN = FPU_RC_DOWN << 10, UP = FPU_RC_UP << 10 };
enum { PC_24 = 0 << 8, PC_53 = 2 << 8, PC_64 = 3 << 8 };
enum { MASKED = FCW_EXC | FCW_ONE, NO_U = MASKED & ~FSW_UE, NO_O = MASKED & ~FSW_OE };
enum { COUNTED = FSW_EXC | FSW_C1 };

/* --- x87 --- */

struct x87_value {
    uint64_t sig;
    uint16_t se;
};
/* clang-format off */
#define F80_ONE        {F80_INTEGER, F80_BIAS}
#define F80_THREE      {UINT64_C(3) << 62, F80_BIAS + 1}
#define F80_INFINITE   {F80_INTEGER, F80_EXP_MAX}
#define F80_INDEFINITE {UINT64_C(3) << 62, 0x8000 | F80_EXP_MAX}
#define F80_QNAN(n)    {F80_INTEGER | F80_QUIET | (n), F80_EXP_MAX}
#define F80_SNAN(n)    {F80_INTEGER | (n), F80_EXP_MAX}
/* clang-format on */

struct op2_case {
    enum fpu_op2 op;
    uint16_t cw;
    struct x87_value a, b, result;
    uint16_t flags;
};
/* clang-format off */
static const struct op2_case op2_cases[] = {
    /* 1 + 2^-64 is half a unit in the last place: to even; up. SDM 1 4.8.4 */
    {FPU_ADD, MASKED | PC_64 | NEAR, F80_ONE, {F80_INTEGER, F80_BIAS - 64}, F80_ONE, FSW_PE},
    {FPU_ADD, MASKED | PC_64 | UP, F80_ONE, {F80_INTEGER, F80_BIAS - 64}, {F80_INTEGER | 1, F80_BIAS}, FSW_PE | FSW_C1},
    /* 1 / 3 = 0.aaaa...aaa|aa... in each mode and precision. SDM 1 8.1.5 */
    {FPU_DIV, MASKED | PC_64 | NEAR, F80_ONE, F80_THREE, {UINT64_C(0xaaaaaaaaaaaaaaab), F80_BIAS - 2}, FSW_PE | FSW_C1},
    {FPU_DIV, MASKED | PC_64 | DOWN, F80_ONE, F80_THREE, {UINT64_C(0xaaaaaaaaaaaaaaaa), F80_BIAS - 2}, FSW_PE},
    {FPU_DIV, MASKED | PC_53 | NEAR, F80_ONE, F80_THREE, {UINT64_C(0xaaaaaaaaaaaaa800), F80_BIAS - 2}, FSW_PE},
    {FPU_DIV, MASKED | PC_24 | NEAR, F80_ONE, F80_THREE, {UINT64_C(0xaaaaab0000000000), F80_BIAS - 2}, FSW_PE | FSW_C1},
    /* (1 + 2^-63)(1 - 2^-63) 2^-16382 is tiny before rounding, not behind it. SDM 1 4.9.1.5 */
    {FPU_MUL, MASKED | PC_64 | NEAR, {F80_INTEGER | 1, MIN_EXP}, {UINT64_C(0xfffffffffffffffe), F80_BIAS - 1},
     {F80_INTEGER, MIN_EXP}, FSW_PE | FSW_C1},
    /* Half the smallest normal number: exact, so no #U while masked; scaled by 2^24576 while not. SDM 1 8.5.5 */
    {FPU_MUL, MASKED | PC_64 | NEAR, {F80_INTEGER, MIN_EXP}, {F80_INTEGER, F80_BIAS - 1}, {F80_INTEGER >> 1, 0}, 0},
    {FPU_MUL, NO_U | PC_64 | NEAR, {F80_INTEGER, MIN_EXP}, {F80_INTEGER, F80_BIAS - 1}, {F80_INTEGER, 24576}, FSW_UE},
    /* Twice the greatest number; a great one scaled. SDM 1 8.5.4 */
    {FPU_MUL, MASKED | PC_64 | DOWN, {UINT64_MAX, F80_EXP_MAX - 1}, {F80_INTEGER, F80_BIAS + 1},
     {UINT64_MAX, F80_EXP_MAX - 1}, FSW_OE | FSW_PE},
    {FPU_MUL, NO_O | PC_64 | NEAR, {F80_INTEGER, F80_EXP_MAX - 1}, {F80_INTEGER, F80_BIAS + 1},
     {F80_INTEGER, F80_EXP_MAX - 24576}, FSW_OE},
    /* Infinity minus infinity; a number over zero; an unnormal; a pseudo-denormal. SDM 1 8.5.1.2, 8.5.3, 8.2.2 */
    {FPU_SUB, MASKED | PC_64, F80_INFINITE, F80_INFINITE, F80_INDEFINITE, FSW_IE},
    {FPU_DIV, MASKED | PC_64, F80_ONE, {0, 0}, F80_INFINITE, FSW_ZE},
    {FPU_ADD, MASKED | PC_64, {F80_QUIET, F80_BIAS}, F80_ONE, F80_INDEFINITE, FSW_IE},
    {FPU_MUL, MASKED | PC_64, {F80_INTEGER | 1, 0}, F80_ONE, {F80_INTEGER | 1, MIN_EXP}, FSW_DE},
    /* NaNs: the QNaN of a pair; the greater significand of two. SDM 1 table 4-7 */
    {FPU_ADD, MASKED | PC_64, F80_SNAN(9), F80_QNAN(5), F80_QNAN(5), FSW_IE},
    {FPU_ADD, MASKED | PC_64, F80_QNAN(3), F80_QNAN(4), F80_QNAN(4), 0},
    /* FSCALE: 1 by 3.5 is 8; 0 by infinity. SDM 2A FSCALE */
    {FPU_SCALE, MASKED | PC_64, F80_ONE, {UINT64_C(7) << 61, F80_BIAS + 1}, {F80_INTEGER, F80_BIAS + 3}, 0},
    {FPU_SCALE, MASKED | PC_64, {0, 0}, F80_INFINITE, F80_INDEFINITE, FSW_IE},
};
/* clang-format on */

/* Comparisons keep the operand; their answer is C3, C2, C0. SDM 2A FCOM, FUCOM */
struct compare_case {
    enum fpu_op2 op;
    struct x87_value a, b;
    uint16_t flags;
};
static const struct compare_case compare_cases[] = {
    {FPU_COM, F80_ONE, F80_INFINITE, FSW_C0},          {FPU_COM, F80_ONE, F80_ONE, FSW_C3},
    {FPU_COM, F80_ONE, F80_QNAN(0), FSW_CC | FSW_IE},  {FPU_UCOM, F80_ONE, F80_QNAN(0), FSW_CC},
    {FPU_UCOM, F80_ONE, F80_SNAN(1), FSW_CC | FSW_IE},
};

struct op1_case {
    enum fpu_op1 op;
    struct x87_value a, result;
    uint16_t flags;
};
/* The root of 2 is 1.b504f333f9de6484|597d... 2.5 and 3.5 go to even. */
static const struct op1_case op1_cases[] = {
    {FPU_SQRT, {F80_INTEGER, F80_BIAS + 1}, {UINT64_C(0xb504f333f9de6484), F80_BIAS}, FSW_PE},
    {FPU_SQRT, {F80_INTEGER, 0x8000 | F80_BIAS}, F80_INDEFINITE, FSW_IE},
    {FPU_RNDINT, {UINT64_C(5) << 61, F80_BIAS + 1}, {F80_INTEGER, F80_BIAS + 1}, FSW_PE},
    {FPU_RNDINT, {UINT64_C(7) << 61, F80_BIAS + 1}, {F80_INTEGER, F80_BIAS + 2}, FSW_PE | FSW_C1},
};

struct store_case {
    enum fpu_dst dst;
    struct x87_value a;
    uint64_t result;
    uint16_t flags;
};
static const struct store_case store_cases[] = {
    {FPU_TO_M32FP, {F80_INTEGER | UINT64_C(1) << 39, F80_BIAS}, 0x3f800000, FSW_PE},
    {FPU_TO_M32FP, {F80_INTEGER | 1, F80_BIAS - 127}, 0x00400000, FSW_PE | FSW_UE},
    {FPU_TO_M64FP, {UINT64_MAX, F80_BIAS + 1023}, UINT64_C(0x7ff0000000000000), FSW_PE | FSW_OE | FSW_C1},
    {FPU_TO_M16INT, {F80_INTEGER, F80_BIAS + 15}, 0x8000, FSW_IE},
    {FPU_TO_M32INT, {UINT64_C(5) << 61, F80_BIAS + 1}, 2, FSW_PE},
    {FPU_TO_M64INT, {F80_INTEGER | F80_QUIET, F80_EXP_MAX}, F80_INTEGER, FSW_IE},
    {FPU_TO_M80BCD, {UINT64_C(0xf) << 60, F80_BIAS + 3}, 0x15, 0},
    {FPU_TO_M80BCD, F80_INFINITE, UINT64_C(3) << 62, FSW_IE},
};

static struct f80 f80_of(struct x87_value v)
{
    return (struct f80){.sig = v.sig, .se = v.se};
}
static bool is_f80(const struct f80 *r, struct x87_value v)
{
    return r->sig == v.sig && r->se == v.se;
}

static bool op2_fits(const struct op2_case *k)
{
    const struct x87_state x = {.cw = k->cw};
    struct f80 r = f80_of(k->a), b = f80_of(k->b);
    const fpu_flags f = fpu_host_op2(&x, k->op, FPU_F80, &r, &b);
    return (f & COUNTED) == k->flags && is_f80(&r, k->result);
}

static bool compare_fits(const struct compare_case *k)
{
    const struct x87_state x = {.cw = MASKED | PC_64};
    struct f80 r = f80_of(k->a), b = f80_of(k->b);
    return (fpu_host_op2(&x, k->op, FPU_F80, &r, &b) & (COUNTED | FSW_CC)) == k->flags && is_f80(&r, k->a);
}

static bool op1_fits(const struct op1_case *k)
{
    const struct x87_state x = {.cw = MASKED | PC_64};
    struct f80 r = f80_of(k->a);
    return (fpu_host_op1(&x, k->op, &r) & COUNTED) == k->flags && is_f80(&r, k->result);
}

static bool store_fits(const struct store_case *k)
{
    const struct x87_state x = {.cw = MASKED | PC_64};
    const struct f80 a = f80_of(k->a);
    uint64_t to[2] = {0, 0};
    return (fpu_host_store(&x, k->dst, &a, to) & COUNTED) == k->flags && to[0] == k->result;
}

#define ALL_FIT(cases, fits)                                                                                 \
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++)                                              \
        if (!fits(&cases[i]))                                                                                \
            return false;

static bool ask_x87(void)
{
    ALL_FIT(op2_cases, op2_fits)
    ALL_FIT(compare_cases, compare_fits)
    ALL_FIT(op1_cases, op1_fits)
    ALL_FIT(store_cases, store_fits)
    return true;
}

/* --- SSE: the low 32 bits or a general register; the rest of the lanes are 0 --- */

struct sse_case {
    enum sse_id id;
    uint32_t modes; /* of MXCSR */
    uint32_t a, b, result;
    uint32_t flags;
};
#define QNAN_A 0x7fc00001u
#define QNAN_B 0xffc00002u
#define SNAN_A 0x7f800003u
static const struct sse_case sse_cases[] = {
    /* The first operand's NaN, quieted. SDM 1 table 4-7 */
    {SSE_F3_0x0f58_ANY_RM, 0, QNAN_A, QNAN_B, QNAN_A, 0},
    {SSE_F3_0x0f58_ANY_RM, 0, QNAN_B, SNAN_A, QNAN_B, MXCSR_IE},
    {SSE_F3_0x0f59_ANY_RM, 0, SNAN_A, QNAN_B, 0x7fc00003, MXCSR_IE},
    /* MIN and MAX: the second of two zeros or with a NaN, as it is. SDM 2B MINSS, MAXSS */
    {SSE_F3_0x0f5d_ANY_RM, 0, 0, 0x80000000, 0x80000000, 0},
    {SSE_F3_0x0f5f_ANY_RM, 0, 0x80000000, 0, 0, 0},
    {SSE_F3_0x0f5d_ANY_RM, 0, 0x3f800000, SNAN_A, SNAN_A, MXCSR_IE},
    {SSE_F3_0x0f5f_ANY_RM, 0, QNAN_A, 0x3f800000, 0x3f800000, MXCSR_IE},
    /* (1 + 2^-23)(1 - 2^-23) 2^-126 is not tiny behind rounding. SDM 1 4.9.1.5 */
    {SSE_F3_0x0f59_ANY_RM, 0, 0x00800001, 0x3f7ffffe, 0x00800000, MXCSR_PE},
    /* 1.5 2^-150: denormal, flushed. SDM 1 10.2.3.3 */
    {SSE_F3_0x0f59_ANY_RM, 0, 0x00c00000, 0x33800000, 0x00000001, MXCSR_UE | MXCSR_PE},
    {SSE_F3_0x0f59_ANY_RM, MXCSR_FTZ, 0x00c00000, 0x33800000, 0, MXCSR_UE | MXCSR_PE},
    {SSE_F3_0x0f59_ANY_RM, MXCSR_FTZ, 0x80800000, 0x3f000000, 0x80000000, MXCSR_UE | MXCSR_PE},
    /* A denormal operand, and the same as zero. SDM 1 10.2.3.4 */
    {SSE_F3_0x0f58_ANY_RM, 0, 0x00000001, 0, 0x00000001, MXCSR_DE},
    {SSE_F3_0x0f58_ANY_RM, MXCSR_DAZ, 0x80000001, 0x80000000, 0x80000000, 0},
    /* The root of -1, and conversions that do not fit. SDM 1 11.5.2.1 */
    {SSE_F3_0x0f51_ANY_RM, 0, 0, 0xbf800000, 0xffc00000, MXCSR_IE},
    {SSE_F3_0x0f2d_ANY_RM, 0, 0, 0x4f000000, 0x80000000, MXCSR_IE},
    {SSE_F3_0x0f2d_ANY_RM, MXCSR_RC, 0, 0x40200000, 2, MXCSR_PE},
    {SSE_F3_0x0f5b_ANY_RM, 0, 0, QNAN_A, 0x80000000, MXCSR_IE},
};

static bool sse_fits(const struct sse_case *k)
{
    struct sse_io io = {.csr = k->modes | MXCSR_MASKS};
    uint32_t low;
    memcpy(io.a, &k->a, 4);
    memcpy(io.b, &k->b, 4);
    sse_exec[k->id](&io);
    memcpy(&low, io.a, 4);
    return (io.csr & MXCSR_FLAGS) == k->flags &&
           (sse_rows[k->id].opnd[0] == OP_Gd ? io.gpr : low) == k->result;
}

static bool ask_sse(void)
{
    ALL_FIT(sse_cases, sse_fits)
    return true;
}

/* Sums of neighbours; 1 - 2 below 2 + 1. SDM 2A HADDPS, ADDSUBPS */
static bool ask_sse3(void)
{
    static const float one_two[4] = {1, 2, 2, 1}, two_one[4] = {2, 1, 0, 0};
    static const float sums[4] = {3, 3, 3, 0}, mixed[4] = {-1, 3, 2, 1};
    struct sse_io h = {.csr = MXCSR_MASKS}, m = {.csr = MXCSR_MASKS};
    if (!__builtin_cpu_supports("sse3"))
        return false;
    memcpy(h.a, one_two, 16), memcpy(h.b, two_one, 16);
    memcpy(m.a, one_two, 16), memcpy(m.b, two_one, 16);
    sse_exec[SSE_F2_0x0f7c_ANY_RM](&h);
    sse_exec[SSE_F2_0x0fd0_ANY_RM](&m);
    return memcmp(h.a, sums, 16) == 0 && memcmp(m.a, mixed, 16) == 0;
}

/* LDMXCSR of a bit that MXCSR_MASK has 0 would fault. SDM 1 11.6.6: a mask of 0 means FFBFh. */
static bool ask_mxcsr(void)
{
    enum { AT_MASK = 28, DEFAULT_MASK = 0xffbf };
    _Alignas(16) uint8_t image[512];
    uint32_t mask;
    __asm__ volatile("fxsave %0" : "=m"(image));
    memcpy(&mask, image + AT_MASK, 4);
    mask = mask ? mask : DEFAULT_MASK;
    return (mask & MXCSR_VALID) == MXCSR_VALID;
}

/* --- all --- */

static const struct {
    bool (*ask)(void);
    const char *what;
} questions[] = {
    {ask_mxcsr, "all modes of MXCSR, denormals-are-zeros among them"},
    {ask_x87, "x87 arithmetic of 80 bits, with the SDM's rounding, NaNs and flags"},
    {ask_sse, "SSE arithmetic with the SDM's rounding, NaNs and flags"},
    {ask_sse3, "SSE3"},
};

bool vcpu_host_check(uint32_t pretend, char *why, size_t bytes)
{
    for (unsigned i = 0; i < sizeof questions / sizeof *questions; i++)
        if ((pretend >> i & 1) || !questions[i].ask()) {
            snprintf(why, bytes,
                     "this host's CPU does not have %s, which guests' results rest on "
                     "(-x-probe ask=off runs it all the same: digests may differ from other hosts')",
                     questions[i].what);
            return false;
        }
    return true;
}
