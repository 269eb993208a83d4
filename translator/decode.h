/* decode.h - bytes to one instruction, driven by insns.def.
 * Threads: any; pure functions over constant tables. */
#ifndef TANDEM_TRANSLATOR_DECODE_H
#define TANDEM_TRANSLATOR_DECODE_H

#include "translator/cpu_features.h"
#include "translator/guest_state.h"

/* Attributes of rows (insns.def says what they mean). */
enum {
    A_LOCK = 1 << 0,
    A_PRIV = 1 << 1,
    A_PE = 1 << 2,
    A_MEM = 1 << 3,
    A_END = 1 << 4,
    A_REP = 1 << 5,
    A_REPC = 1 << 6,
    A_NOREP = 1 << 7,
    A_REG = 1 << 8,
};
/* The feature without which the row is #UD; a row has at most one. */
#define A_NEEDS(feature)   ((uint32_t)FEATURE_##feature << 16)
#define ATTR_FEATURE(attr) ((enum feature)((attr) >> 16))

/* Flags that the SDM leaves undefined, by their EFLAGS bits, and values that it does. */
enum {
    U_NONE = 0,
    U_C = FLAG_CF,
    U_P = FLAG_PF,
    U_A = FLAG_AF,
    U_Z = FLAG_ZF,
    U_S = FLAG_SF,
    U_O = FLAG_OF,
    U_ALL = FLAGS_ARITH,
    U_CBIG = 1 << 24, /* CF, when the masked count is not below the operand's bits */
    U_RBIG = 1 << 25, /* everything, the result too, when the masked count is above the operand's bits */
};

/* May a test run the instruction natively, on the host CPU in user mode? */
enum insn_test {
    T_ALL,    /* yes; a memory operand must be mapped */
    T_NOREP,  /* yes, without F2/F3: newer CPUs have another instruction there */
    T_SIZE32, /* yes, but with 16-bit operand size the result is undefined */
    T_STACK,  /* yes; ESP must point into mapped memory */
    T_STRING, /* yes; ESI, EDI and with REP ECX must fit mapped memory */
    T_X87,    /* yes; x87 state must be set up and compared */
    T_SSE,    /* yes; XMM, MMX and MXCSR must be set up and compared */
    T_JUMP,   /* control transfer: the test must provide the target */
    T_TRAP,   /* raises an exception, always or sometimes */
    T_SEG,    /* segment registers: selectors of the host's own tables */
    T_FAR,    /* far transfers and IRET: likewise */
    T_HOST,   /* the result depends on the host (CPUID, RDTSC) */
    T_IO,     /* port I/O */
    T_SYS,    /* system state; faults or shows the host's in user mode */
};

enum opnd_kind {
    OPND_NONE,
    OPND_RM,
    OPND_REG,
    OPND_SREG,
    OPND_RMREG,
    OPND_CREG,
    OPND_DREG,
    OPND_OPREG,
    OPND_IMM,
    OPND_SIMM,
    OPND_REL,
    OPND_FAR,
    OPND_MOFFS,
    OPND_ONE,
    OPND_FIXED0,
    OPND_FIXED1,
    OPND_FIXED2,
    OPND_SREG0,
    OPND_SREG1,
    OPND_SREG2,
    OPND_SREG3,
    OPND_SREG4,
    OPND_SREG5,
    OPND_STRING,
    OPND_XMM,
    OPND_XMMRM,
    OPND_MMX,
    OPND_MMXRM,
};
enum opnd_size {
    OPND_SIZE_B,
    OPND_SIZE_W,
    OPND_SIZE_D,
    OPND_SIZE_V,
    OPND_SIZE_P,
    OPND_SIZE_Q,
    OPND_SIZE_X,
    OPND_SIZE_DQ
};

/* The operand codes, and what each stands for. */
enum opnd_code {
#define OPND(code, kind, size, modrm, doc) OP_##code,
#include "translator/operands.def"
#undef OPND
    OP_COUNT
};
struct opnd_info {
    uint8_t kind;  /* enum opnd_kind */
    uint8_t size;  /* enum opnd_size */
    uint8_t modrm; /* 1: needs a ModRM byte */
};
extern const struct opnd_info opnd_info[OP_COUNT];

/* Mandatory prefixes; F2 and F3 (the last one) go before 66. */
enum simd_prefix { PFX_NP, PFX_66, PFX_F3, PFX_F2, PFX_COUNT };

struct insn;
struct builder;
typedef void insn_gen_fn(struct builder *b, const struct insn *in);

struct insn_row {
    uint16_t opcode; /* first opcode of the row */
    uint8_t span;    /* how many opcodes */
    int8_t reg;      /* ModRM.reg of a group row; ANY */
    const char *mnemonic;
    insn_gen_fn *gen;
    uint8_t opnd[3];    /* enum opnd_code */
    uint32_t attr;      /* A_*, and A_NEEDS */
    uint32_t undefined; /* U_* */
    uint8_t test;       /* enum insn_test */
    uint8_t prefix;     /* rows of insns_sse.def: the mandatory prefix (enum simd_prefix) */
    uint16_t sse;       /* ... and enum sse_id (sse.h); 0: none */
};
enum { ANY = -1 };

extern const struct insn_row insn_rows[];
extern const unsigned insn_row_count;

enum { SEG_DEFAULT = 7 }; /* struct insn.seg_override: no prefix */

struct insn {
    const struct insn_row *row;
    uint16_t opcode;             /* 0x00..0xff, 0x0fXX */
    uint8_t length;              /* bytes, prefixes included */
    uint8_t opsize;              /* 1: 16 bits, 2: 32 bits */
    uint8_t addrsize;            /* likewise */
    uint8_t lock;                /* 1: F0 prefix */
    uint8_t rep;                 /* 0, 0xf2 or 0xf3: the last one */
    uint8_t prefix66;            /* 1: 66 prefix */
    uint8_t seg_override;        /* enum seg_reg or SEG_DEFAULT */
    uint8_t modrm, mod, reg, rm; /* 0 without a ModRM byte */
    /* Memory operand (mod != 3, or moffs): [base + (index << scale) + disp] in segment seg. */
    uint8_t seg;         /* enum seg_reg, override applied */
    uint8_t base, index; /* IR slots; IR_ZERO: none */
    uint8_t scale;
    uint32_t disp;      /* 16-bit address size: the offset is masked to 16 bits */
    uint32_t imm, imm2; /* in operand order; REL: sign-extended; FAR: imm offset, imm2 selector */
};

enum decode_result {
    DECODE_OK,
    DECODE_UD,       /* no such instruction (in->length: bytes looked at) */
    DECODE_TOO_LONG, /* more than 15 bytes */
    DECODE_MORE,     /* the bytes ended first */
};
enum { INSN_BYTES_MAX = 15 };

/* Decodes at `bytes`, of which `count` may be read; code32: CS.D. */
enum decode_result decode_insn(const uint8_t *bytes, unsigned count, bool code32, struct insn *in);

/* Is operand i (0..2) of the instruction in memory? */
bool insn_opnd_is_mem(const struct insn *in, unsigned i);

#endif
