/* emit.h - the builder of one block's IR: one function per form of op.
 * Threads: any; the builder belongs to its caller and is never shared.
 * Values: a slot that holds an operand of 8 or 16 bits holds it zero-extended (ir_ops.def). */
#ifndef TANDEM_TRANSLATOR_EMIT_H
#define TANDEM_TRANSLATOR_EMIT_H

#include "translator/decode.h"
#include "translator/translate.h"

enum { CODE_PAGE_BYTES = 4096, CALLS_MAX = 8 };

/* A page behind the first that a long block has come to. */
struct followed_page {
    uint32_t eip; /* of its first byte */
    struct translate_page is;
};

struct builder {
    const struct translate_request *req;
    struct translate_out *out;
    uint32_t eip, next_eip; /* of the guest instruction being translated, and after it */
    uint8_t insn;           /* its index in the block */
    uint8_t temps;          /* temporaries that it has taken */
    bool ended;             /* an E op was emitted */
    bool jumped;   /* a long block: the next instruction is the one at next_eip, not the one behind */
    uint8_t sides; /* IR_SIDE ops so far */
    uint8_t page, next_page, npages; /* a long block: of `pages`, where it is, where it jumped to, the last */
    uint8_t ncalls;                  /* a long block: calls that it followed and has not returned from */
    uint32_t segment;                /* a long block: eip of the plain block that it is going through */
    int cc;                          /* enum cc_op that IR_CC_OP holds here, -1: unknown (ir_cc_after) */
    int narrow_key;                  /* register part that narrow_temp holds, -1: none (operand.c) */
    uint8_t narrow_temp;
    struct followed_page pages[TB_PAGES]; /* [0]: not used, it is the request's */
    uint32_t calls[CALLS_MAX];            /* eip that each returns to */
};

/* Is the CPU one without it? */
static inline bool lacks_feature(const struct builder *b, enum feature feature)
{
    return b->req->lacks >> feature & 1;
}

/* A source: a slot, or an immediate. */
struct value {
    bool is_imm;
    uint8_t slot;
    uint32_t imm;
    bool is_eip; /* imm is an eip of the block's code */
};
static inline struct value value_slot(unsigned slot)
{
    return (struct value){.slot = (uint8_t)slot};
}
static inline struct value value_imm(uint32_t imm)
{
    return (struct value){.is_imm = true, .slot = IR_ZERO, .imm = imm};
}
static inline struct value value_eip(uint32_t eip)
{
    return (struct value){.is_imm = true, .slot = IR_ZERO, .imm = eip, .is_eip = true};
}

/* A linear address: slot + disp. */
struct addr {
    uint8_t base;
    uint32_t disp;
};

static inline bool mode_has(const struct builder *b, uint32_t bit)
{
    return (b->req->mode & bit) != 0;
}
static inline uint32_t size_mask(unsigned size)
{
    return size == 0 ? 0xff : size == 1 ? 0xffff : 0xffffffff;
}

/* A temporary that this guest instruction has not used. */
unsigned emit_temp(struct builder *b);

/* Every op goes through here: appends it with dst none, a and b zero. Valid until the next emit. */
struct ir_op *emit_raw(struct builder *b, enum ir_opcode op);

void emit_mov(struct builder *b, unsigned dst, struct value src);
/* dst = op(a): GETW, SEXT, NOT, BSWAP, ... */
void emit_unary(struct builder *b, enum ir_opcode op, unsigned size, unsigned flags, unsigned dst,
                unsigned a);
/* dst = op(a, src): the S I F forms. */
void emit_binary(struct builder *b, enum ir_opcode op, unsigned size, unsigned flags, unsigned dst,
                 unsigned a, struct value src);
void emit_getb(struct builder *b, unsigned dst, unsigned reg, unsigned high);
void emit_putb(struct builder *b, unsigned reg, unsigned high, struct value src);
void emit_putw(struct builder *b, unsigned reg, struct value src);
/* dst = base + (index << scale) + disp, by the cheapest op. */
void emit_lea(struct builder *b, unsigned dst, unsigned base, unsigned index, unsigned scale, uint32_t disp);
void emit_lea16(struct builder *b, unsigned dst, unsigned base, unsigned index, uint32_t disp);
/* IR_LD or IR_LDRW. */
void emit_load(struct builder *b, enum ir_opcode op, unsigned size, unsigned dst, struct addr at);
void emit_store(struct builder *b, unsigned size, struct addr at, struct value src);
/* dst = seg:at after the checks for 1 << size bytes. */
/* flags: IRF_WRITE, IRF_PLAIN. */
void emit_segaddr(struct builder *b, unsigned size, unsigned flags, unsigned dst, unsigned seg,
                  struct addr at);
/* SETCC, CMOV: condition by SDM tttn; known flags are marked. */
void emit_cond(struct builder *b, enum ir_opcode op, unsigned cond, unsigned dst, unsigned src);
/* A helper with all operands absent; the caller fills what its row names. */
struct ir_op *emit_helper(struct builder *b, enum ir_helper helper);
/* The same, with the next instruction's eip in imm2. */
struct ir_op *emit_helper_next(struct builder *b, enum ir_helper helper);

/* Ends of the block. */
void emit_raise(struct builder *b, unsigned vector);
void emit_raise_gp0(struct builder *b);
void emit_jmp(struct builder *b, uint32_t eip);
/* A jump of the guest: a long block may go on at its target. */
void emit_goto(struct builder *b, uint32_t eip);
/* A call of the guest that pushed next_eip, and a return to what is in the slot. */
void emit_call(struct builder *b, uint32_t eip);
void emit_return(struct builder *b, unsigned slot);
void emit_jcc(struct builder *b, unsigned cond, uint32_t taken_eip, uint32_t else_eip);
void emit_jnz(struct builder *b, unsigned slot, uint32_t taken_eip, uint32_t else_eip);
void emit_jmpind(struct builder *b, unsigned slot);
void emit_leave(struct builder *b);
/* To the next instruction, unless the helper before it changed the mode. */
void emit_leave_if_mode_changed(struct builder *b);

enum { VECTOR_UD = 6, VECTOR_NM = 7, VECTOR_GP = 13 };

#endif
