/* sse.h - the rows of insns_sse.def as data, for whoever runs or re-emits them; MXCSR's bits.
 * Threads: any; constant tables. */
#ifndef TANDEM_TRANSLATOR_SSE_H
#define TANDEM_TRANSLATOR_SSE_H

#include "translator/decode.h"

/* SSE_<prefix>_<opcode>_<reg>_<form>, as in SSE_66_0x0f58_ANY_RM. */
enum sse_id {
    SSE_NONE,
#define SSE(pfx, opcode, reg, form, ...) SSE_##pfx##_##opcode##_##reg##_##form,
#define SSE_OWN(...)
#include "translator/sse_rows.h"
    SSE_COUNT
};

/* What a class consists of (insns_sse.def). */
enum {
    SSE_IS_MMX = 1 << 0,    /* uses MM registers, or behaves as if: #MF, TOP = 0, tags valid */
    SSE_IS_XMM = 1 << 1,    /* uses XMM registers or MXCSR */
    SSE_IS_FP = 1 << 2,     /* under MXCSR */
    SSE_IS_APPROX = 1 << 3, /* never the host's instruction */
    SSE_IS_FLAGS = 1 << 4,  /* writes the arithmetic flags */
    SSE_IS_CSR = 1 << 5,    /* LDMXCSR, STMXCSR */
};
enum sse_class {
    SSE_CLASS_MMX = SSE_IS_MMX,
    SSE_CLASS_XMM = SSE_IS_XMM,
    SSE_CLASS_FP = SSE_IS_XMM | SSE_IS_FP,
    SSE_CLASS_COMPARE = SSE_IS_XMM | SSE_IS_FP | SSE_IS_FLAGS,
    SSE_CLASS_XMM_MMX = SSE_IS_XMM | SSE_IS_MMX,
    SSE_CLASS_FP_MMX = SSE_IS_XMM | SSE_IS_FP | SSE_IS_MMX,
    SSE_CLASS_APPROX = SSE_IS_XMM | SSE_IS_APPROX,
    SSE_CLASS_CSR = SSE_IS_XMM | SSE_IS_CSR,
};

struct sse_row {
    uint16_t opcode; /* 0x0fXX */
    uint8_t prefix;  /* enum simd_prefix */
    int8_t reg;      /* ModRM.reg of a group, ANY */
    uint8_t opnd[3]; /* enum opnd_code; [0] is the destination */
    uint8_t bytes;   /* of the memory operand */
    uint8_t align;   /* 16 or 1 */
    uint8_t class;   /* enum sse_class */
};
extern const struct sse_row sse_rows[SSE_COUNT]; /* [SSE_NONE] is empty */

/* Does the memory form write its operand? (LDMXCSR's first operand is its source.) */
static inline bool sse_row_stores(const struct sse_row *r)
{
    const uint8_t o = r->opnd[0];
    return (o == OP_W || o == OP_Q || o == OP_Ed || o == OP_Mx) && !((r->class & SSE_IS_CSR) && r->reg == 2);
}

/* op.imm2 of SSE_REG and SSE_MEM (helpers.def). */
static inline uint32_t sse_op_make(enum sse_id id, uint32_t imm8)
{
    return (uint32_t)id | imm8 << 16;
}
static inline enum sse_id sse_op_id(uint32_t imm2)
{
    return (enum sse_id)(imm2 & 0xffff);
}
static inline uint8_t sse_op_imm(uint32_t imm2)
{
    return (uint8_t)(imm2 >> 16);
}

/* MXCSR: SDM 1 10.2.3. */
enum {
    MXCSR_IE = 1 << 0,
    MXCSR_DE = 1 << 1,
    MXCSR_ZE = 1 << 2,
    MXCSR_OE = 1 << 3,
    MXCSR_UE = 1 << 4,
    MXCSR_PE = 1 << 5,
    MXCSR_FLAGS = 0x3f,
    MXCSR_PRE = MXCSR_IE | MXCSR_DE | MXCSR_ZE, /* found before the computation */
    MXCSR_DAZ = 1 << 6,
    MXCSR_MASK_SHIFT = 7,
    MXCSR_MASKS = MXCSR_FLAGS << MXCSR_MASK_SHIFT,
    MXCSR_RC = 3 << 13,
    MXCSR_FTZ = 1 << 15,
    MXCSR_VALID = 0xffff, /* other bits set: #GP(0); FXSAVE's MXCSR_MASK */
    MXCSR_INIT = 0x1f80,
};

#endif
