/* emit_x64.h - x86-64 machine code, one function per operand form. SDM 2: instruction format.
 *
 * Threads: a buffer belongs to one caller. The caller makes sure that there is room (X64_INSN_BYTES_MAX an
 * instruction). `flags_for` is the set of conditions that the host's flags answer (cond_bit); every form that
 * writes host flags clears it, so that whoever tracks guest flags need not remember which forms do. */
#ifndef TANDEM_TRANSLATOR_X64_EMIT_X64_H
#define TANDEM_TRANSLATOR_X64_EMIT_X64_H

#include <stdbool.h>
#include <stdint.h>

enum { X64_INSN_BYTES_MAX = 16 };

enum host_reg { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, NO_REG = 0xff };

/* /digit of the immediate forms, opcode row of the register forms. */
enum host_alu { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP };
enum host_shift { SH_ROL, SH_ROR, SH_RCL, SH_RCR, SH_SHL, SH_SHR, SH_SAR = 7 };
enum host_unary { UN_NOT = 2, UN_NEG = 3, UN_DIV = 6, UN_IDIV = 7 };
/* SDM tttn codes. */
enum host_cond {
    CC_O,
    CC_NO,
    CC_B,
    CC_AE,
    CC_E,
    CC_NE,
    CC_BE,
    CC_A,
    CC_S,
    CC_NS,
    CC_P,
    CC_NP,
    CC_L,
    CC_GE,
    CC_LE,
    CC_G
};
/* Operand sizes; the first three are the IR's. */
enum { SZ8, SZ16, SZ32, SZ64 };

/* Jumps and calls out of a buffer that is not yet where its code will run: places of their rel32 fields, from
 * the buffer's start. Until x64_install (x64.h) the fields hold the target's distance from `origin`. */
enum { X64_REFS_MAX = 8192, X64_INNER_MAX = 32768, X64_MOVES_MAX = 16384 };
/* Fields that depend on which block the code is of, and at which linear address (copy.c). */
enum x64_move {
    X64_MOVE_TB,    /* 64 bits: a pointer into the block */
    X64_MOVE_LIN,   /* 32 bits: a linear address, or an eip, on the block's page or relative to it */
    X64_MOVE_PLACE, /* 32 bits: displacement of the x64_jump_place() of the X64_MOVE_LIN before it */
};
enum { X64_MOVE_SHIFT = 2, X64_MOVE_MASK = 3 };
struct x64_refs {
    const uint8_t *origin;
    uint32_t n, ninner, nmoves;
    uint32_t at[X64_REFS_MAX];
    uint32_t inner[X64_INNER_MAX]; /* the rel32 fields of all other jumps */
    uint32_t moves[X64_MOVES_MAX]; /* offset << X64_MOVE_SHIFT | enum x64_move */
};

struct x64_parts;
struct x64_buf {
    uint8_t *at;             /* next byte */
    const uint8_t *start;    /* with `refs`: the first byte */
    struct x64_refs *refs;   /* NULL: the code is written where it will run (in the writable view) */
    uint16_t flags_for;      /* bit cond >> 1 */
    struct x64_parts *parts; /* what the bytes are for (parts.h); NULL: nobody asks */
};

struct host_mem {
    uint8_t base, index; /* enum host_reg; NO_REG: none */
    uint8_t scale;       /* index << scale */
    int32_t disp;
};
static inline struct host_mem mem_at(unsigned base, int32_t disp)
{
    return (struct host_mem){(uint8_t)base, NO_REG, 0, disp};
}
static inline struct host_mem mem_indexed(unsigned base, unsigned index, unsigned scale, int32_t disp)
{
    return (struct host_mem){(uint8_t)base, (uint8_t)index, (uint8_t)scale, disp};
}

/* The last bytes emitted are such a field. */
void x_note_move(struct x64_buf *b, enum x64_move kind);

/* --- moves --- */
void x_mov(struct x64_buf *b, unsigned size, unsigned dst,
           unsigned src);                                           /* SZ8, SZ16 merge; SZ32 clears above */
void x_mov_imm(struct x64_buf *b, unsigned dst, uint32_t imm);      /* 32 bits, zero-extended */
void x_mov_imm8(struct x64_buf *b, unsigned dst, uint8_t imm);      /* low byte only */
void x_mov_imm8_high(struct x64_buf *b, unsigned dst, uint8_t imm); /* AH CH DH BH of dst 0..3 */
void x_mov_imm16(struct x64_buf *b, unsigned dst, uint16_t imm);
void x_mov_imm64(struct x64_buf *b, unsigned dst, uint64_t imm);
void x_load(struct x64_buf *b, unsigned size, unsigned dst, struct host_mem m); /* zero-extending */
void x_store(struct x64_buf *b, unsigned size, struct host_mem m, unsigned src);
void x_store_imm(struct x64_buf *b, unsigned size, struct host_mem m, uint32_t imm); /* SZ64: sign-extended */
void x_movzx(struct x64_buf *b, unsigned size, unsigned dst, unsigned src); /* SZ8 or SZ16 to 32 bits */
void x_movzx_high(struct x64_buf *b, unsigned dst, unsigned src); /* AH..BH of src 0..3 to dst 0..7 */
void x_movsx(struct x64_buf *b, unsigned size, unsigned dst,
             unsigned src); /* SZ8, SZ16 to 32 bits; SZ32 to 64 */
void x_lea(struct x64_buf *b, unsigned size, unsigned dst, struct host_mem m);
void x_bswap(struct x64_buf *b, unsigned dst);
void x_push(struct x64_buf *b, unsigned reg);
void x_pop(struct x64_buf *b, unsigned reg);

/* --- arithmetic; all write host flags but NOT --- */
void x_alu(struct x64_buf *b, enum host_alu op, unsigned size, unsigned dst, unsigned src);
void x_alu_imm(struct x64_buf *b, enum host_alu op, unsigned size, unsigned dst, uint32_t imm);
void x_cmp_imm32(struct x64_buf *b, unsigned dst, uint32_t imm); /* always with 4 bytes of immediate */
void x_alu_load(struct x64_buf *b, enum host_alu op, unsigned size, unsigned dst, struct host_mem m);
void x_alu_mem_imm(struct x64_buf *b, enum host_alu op, unsigned size, struct host_mem m, uint32_t imm);
void x_test(struct x64_buf *b, unsigned size, unsigned a, unsigned c);
void x_test_imm(struct x64_buf *b, unsigned size, unsigned a, uint32_t imm);
void x_inc(struct x64_buf *b, unsigned size, unsigned dst);
void x_dec(struct x64_buf *b, unsigned size, unsigned dst);
void x_unary(struct x64_buf *b, enum host_unary op, unsigned size, unsigned dst);
void x_shift_imm(struct x64_buf *b, enum host_shift op, unsigned size, unsigned dst, unsigned n);
void x_shift_cl(struct x64_buf *b, enum host_shift op, unsigned size, unsigned dst);
void x_shift_double(struct x64_buf *b, bool right, unsigned dst, unsigned src,
                    int n); /* 32 bits; n < 0: CL */
void x_imul(struct x64_buf *b, unsigned size, unsigned dst, unsigned src);
void x_imul_imm(struct x64_buf *b, unsigned size, unsigned dst, unsigned src, uint32_t imm);
void x_bsf(struct x64_buf *b, unsigned dst, unsigned src);
void x_bsr(struct x64_buf *b, unsigned dst, unsigned src);
/* CF = bit src of dst (32 bits); then the bit is kept, set, cleared or inverted. */
enum host_bit { BIT_TEST = 0xa3, BIT_SET = 0xab, BIT_RESET = 0xb3, BIT_COMPLEMENT = 0xbb };
void x_bit(struct x64_buf *b, enum host_bit op, unsigned dst, unsigned src);
void x_bit_imm(struct x64_buf *b, enum host_bit op, unsigned dst, unsigned n);

/* --- conditions --- */
void x_setcc(struct x64_buf *b, unsigned cond, unsigned dst); /* low byte only */
void x_setcc_mem(struct x64_buf *b, unsigned cond, struct host_mem m);
void x_cmov(struct x64_buf *b, unsigned cond, unsigned dst, unsigned src);

/* --- x87, MMX, SSE --- */
void x_fpu_reg(struct x64_buf *b, unsigned opcode, unsigned modrm); /* register form D8..DF */
void x_fpu_mem(struct x64_buf *b, unsigned opcode, unsigned digit, struct host_mem m); /* memory form */
void x_fxsave(struct x64_buf *b, struct host_mem m);
void x_fxrstor(struct x64_buf *b, struct host_mem m);
/* MMX and SSE: mandatory prefix (enum simd_prefix), second opcode byte; registers of any file. */
void x_simd_reg(struct x64_buf *b, unsigned prefix, unsigned opcode, unsigned reg, unsigned rm);
void x_simd_mem(struct x64_buf *b, unsigned prefix, unsigned opcode, unsigned reg, struct host_mem m);
void x_imm8(struct x64_buf *b, uint8_t imm); /* of the instruction before */
void x_ldmxcsr(struct x64_buf *b, struct host_mem m);
void x_emms(struct x64_buf *b);
void x_push_imm(struct x64_buf *b, uint32_t imm);
void x_fninit(struct x64_buf *b);
void x_lahf(struct x64_buf *b);

/* --- control; the returned place takes x_patch --- */
uint8_t *x_jcc(struct x64_buf *b, unsigned cond);
uint8_t *x_jmp(struct x64_buf *b);
/* Targets outside a buffer with `refs` are noted there. */
void x_jmp_to(struct x64_buf *b, const uint8_t *target);
void x_call_to(struct x64_buf *b, const uint8_t *target);
void x_jmp_mem(struct x64_buf *b, struct host_mem m);
void x_jmp_reg(struct x64_buf *b, unsigned reg);
void x_call_reg(struct x64_buf *b, unsigned reg);
void x_ret(struct x64_buf *b);
enum host_string { REP_MOVS = 0xa4, REP_STOS = 0xaa };
void x_rep(struct x64_buf *b, enum host_string op, unsigned size); /* RCX elements of SZ8 to SZ32 */
void x_patch(uint8_t *rel32, const uint8_t *target);
static inline void x_patch_here(struct x64_buf *b, uint8_t *rel32)
{
    x_patch(rel32, b->at);
}

#endif
