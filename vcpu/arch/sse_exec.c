/* sse_exec.c - every MMX, SSE, SSE2 and SSE3 row as the host's own instruction, in its register form with
 * operands 0 and 1.
 *
 * The encoding comes from the row, so that it is the guest's instruction byte for byte but for ModRM: C1
 * names register 0 in reg and register 1 in rm of whatever file each is. IEEE 754 and the SDM fix all results
 * and flags (the APPROX rows, which they do not, are not executed). MMX rows leave the host's x87 unit empty,
 * as C code expects it; MXCSR is the guest's modes for the one instruction only. */
#include "vcpu/arch/sse_internal.h"

static const uint32_t host_mxcsr = MXCSR_INIT;

#define BYTES_NP          ""
#define BYTES_66          "0x66, "
#define BYTES_F3          "0xf3, "
#define BYTES_F2          "0xf2, "
#define INSN(pfx, opcode) ".byte " BYTES_##pfx "0x0f, " #opcode " & 0xff, 0xc1\n\t"

/* Around the instruction, by class. */
#define IN_XMM      ""
#define IN_MMX      ""
#define IN_XMM_MMX  ""
#define IN_FP       "ldmxcsr %[csr]\n\t"
#define IN_FP_MMX   IN_FP
#define IN_COMPARE  IN_FP
#define OUT_XMM     ""
#define OUT_MMX     "\n\temms"
#define OUT_XMM_MMX OUT_MMX
#define OUT_FP      "\n\tstmxcsr %[csr]\n\tldmxcsr %[host]"
#define OUT_FP_MMX  OUT_FP OUT_MMX
#define OUT_COMPARE "\n\tsetc %[carry]\n\tsetp %[parity]\n\tsetz %[zero]" OUT_FP

#define CLOBBERS "xmm0", "xmm1", "mm0", "mm1", "cc"
#define RUN(name, in, insn, out, class)                                                                      \
    static void name(struct sse_io *io)                                                                      \
    {                                                                                                        \
        uint32_t gpr = io->gpr;                                                                              \
        __asm__ volatile(in IN_##class insn out OUT_##class                                                  \
                         : [a] "+m"(io->a), [b] "+m"(io->b), [gpr] "+r"(gpr), [csr] "+m"(io->csr),           \
                           [carry] "+m"(io->carry), [parity] "+m"(io->parity), [zero] "+m"(io->zero)         \
                         : [host] "m"(host_mxcsr)                                                            \
                         : "rax", "rcx", CLOBBERS);                                                          \
        io->gpr = gpr;                                                                                       \
    }

/* Operands in and out, by the files of reg (a) and rm (b). */
#define XX_IN  "movdqa %[a], %%xmm0\n\tmovdqa %[b], %%xmm1\n\t"
#define XX_OUT "movdqa %%xmm0, %[a]\n\tmovdqa %%xmm1, %[b]"
#define MM_IN  "movq %[a], %%mm0\n\tmovq %[b], %%mm1\n\t"
#define MM_OUT "movq %%mm0, %[a]\n\tmovq %%mm1, %[b]"
#define XM_IN  "movdqa %[a], %%xmm0\n\tmovq %[b], %%mm1\n\t"
#define XM_OUT "movdqa %%xmm0, %[a]"
#define MX_IN  "movq %[a], %%mm0\n\tmovdqa %[b], %%xmm1\n\t"
#define MX_OUT "movq %%mm0, %[a]"
#define XG_IN  "movdqa %[a], %%xmm0\n\tmovl %[gpr], %%ecx\n\t"
#define XG_OUT "movdqa %%xmm0, %[a]\n\tmovl %%ecx, %[gpr]"
#define MG_IN  "movq %[a], %%mm0\n\tmovl %[gpr], %%ecx\n\t"
#define MG_OUT "movq %%mm0, %[a]\n\tmovl %%ecx, %[gpr]"
#define GX_IN  "movdqa %[b], %%xmm1\n\t"
#define GX_OUT "movl %%eax, %[gpr]"
#define GM_IN  "movq %[b], %%mm1\n\t"
#define GM_OUT GX_OUT

/* DEFINE makes the function of a row; below, redefined, its table entry. */
#define DEFINE(shape, pfx, opcode, class, id)                                                                \
    RUN(exec_##pfx##_##opcode, shape##_IN, INSN(pfx, opcode), shape##_OUT, class)

/* Shape by operand codes; rows that are not executed here have none. */
#define SHAPE_V_W_NONE(...)  DEFINE(XX, __VA_ARGS__)
#define SHAPE_W_V_NONE(...)  DEFINE(XX, __VA_ARGS__)
#define SHAPE_V_U_NONE(...)  DEFINE(XX, __VA_ARGS__)
#define SHAPE_P_Q_NONE(...)  DEFINE(MM, __VA_ARGS__)
#define SHAPE_Q_P_NONE(...)  DEFINE(MM, __VA_ARGS__)
#define SHAPE_V_Q_NONE(...)  DEFINE(XM, __VA_ARGS__)
#define SHAPE_V_N_NONE(...)  DEFINE(XM, __VA_ARGS__)
#define SHAPE_P_W_NONE(...)  DEFINE(MX, __VA_ARGS__)
#define SHAPE_P_U_NONE(...)  DEFINE(MX, __VA_ARGS__)
#define SHAPE_V_Ed_NONE(...) DEFINE(XG, __VA_ARGS__)
#define SHAPE_Ed_V_NONE(...) DEFINE(XG, __VA_ARGS__)
#define SHAPE_P_Ed_NONE(...) DEFINE(MG, __VA_ARGS__)
#define SHAPE_Ed_P_NONE(...) DEFINE(MG, __VA_ARGS__)
#define SHAPE_Gd_W_NONE(...) DEFINE(GX, __VA_ARGS__)
#define SHAPE_Gd_U_NONE(...) DEFINE(GX, __VA_ARGS__)
#define SHAPE_Gd_N_NONE(...) DEFINE(GM, __VA_ARGS__)
#define SHAPE_V_W_Ib(...)
#define SHAPE_P_Q_Ib(...)
#define SHAPE_V_EdMw_Ib(...)
#define SHAPE_P_EdMw_Ib(...)
#define SHAPE_Gd_N_Ib(...)
#define SHAPE_Gd_U_Ib(...)
#define SHAPE_U_Ib_NONE(...)
#define SHAPE_N_Ib_NONE(...)
#define SHAPE_V_Mx_NONE(...)
#define SHAPE_P_Mx_NONE(...)
#define SHAPE_Mx_V_NONE(...)
#define SHAPE_Mx_P_NONE(...)

#define HOSTED_MMX(shape, ...)     shape(__VA_ARGS__)
#define HOSTED_XMM(shape, ...)     shape(__VA_ARGS__)
#define HOSTED_FP(shape, ...)      shape(__VA_ARGS__)
#define HOSTED_COMPARE(shape, ...) shape(__VA_ARGS__)
#define HOSTED_XMM_MMX(shape, ...) shape(__VA_ARGS__)
#define HOSTED_FP_MMX(shape, ...)  shape(__VA_ARGS__)
#define HOSTED_APPROX(...)
#define HOSTED_CSR(...)

#define SSE(pfx, opcode, reg, form, mn, o1, o2, o3, bytes, align, class, ...)                                \
    HOSTED_##class(SHAPE_##o1##_##o2##_##o3, pfx, opcode, class, SSE_##pfx##_##opcode##_##reg##_##form)
#define SSE_OWN(...)
#include "translator/sse_rows.h"

#undef DEFINE
#define DEFINE(shape, pfx, opcode, class, id) [id] = exec_##pfx##_##opcode,

const sse_exec_fn sse_exec[SSE_COUNT] = {
#define SSE(pfx, opcode, reg, form, mn, o1, o2, o3, bytes, align, class, ...)                                \
    HOSTED_##class(SHAPE_##o1##_##o2##_##o3, pfx, opcode, class, SSE_##pfx##_##opcode##_##reg##_##form)
#define SSE_OWN(...)
#include "translator/sse_rows.h"
};

/* --- CMPxx: the predicate is part of the instruction --- */

#define CMP_INSN(pfx, predicate) ".byte " BYTES_##pfx "0x0f, 0xc2, 0xc1, " #predicate "\n\t"
#define CMP(pfx, predicate)      RUN(cmp_##pfx##_##predicate, XX_IN, CMP_INSN(pfx, predicate), XX_OUT, FP)
#define CMP_ALL(pfx)                                                                                         \
    CMP(pfx, 0) CMP(pfx, 1) CMP(pfx, 2) CMP(pfx, 3) CMP(pfx, 4) CMP(pfx, 5) CMP(pfx, 6) CMP(pfx, 7)
#define CMP_ROW(pfx)                                                                                         \
    [PFX_##pfx] = {cmp_##pfx##_0, cmp_##pfx##_1, cmp_##pfx##_2, cmp_##pfx##_3,                               \
                   cmp_##pfx##_4, cmp_##pfx##_5, cmp_##pfx##_6, cmp_##pfx##_7}

CMP_ALL(NP)
CMP_ALL(66)
CMP_ALL(F3)
CMP_ALL(F2)

sse_exec_fn sse_exec_cmp(enum simd_prefix prefix, unsigned predicate)
{
    static const sse_exec_fn fn[PFX_COUNT][8] = {CMP_ROW(NP), CMP_ROW(66), CMP_ROW(F3), CMP_ROW(F2)};
    return fn[prefix][predicate & 7];
}
