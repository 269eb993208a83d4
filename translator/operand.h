/* operand.h - operands of a decoded instruction as IR: the one place that knows how registers, memory and
 * immediates of each size are read and written, how addresses are formed, and how the stack moves. */
#ifndef TANDEM_TRANSLATOR_OPERAND_H
#define TANDEM_TRANSLATOR_OPERAND_H

#include "translator/emit.h"

/* What an operand is wanted for. */
enum operand_use { USE_READ, USE_WRITE, USE_RW };

/* Where an operand lives: a general register (part), or memory whose address is computed and checked. */
struct operand {
    bool is_mem;
    uint8_t size;   /* 0, 1, 2 */
    uint8_t use;    /* enum operand_use */
    uint8_t reg;    /* register slot */
    uint8_t high;   /* 1: bits 8..15 of it */
    struct addr at; /* memory */
};

/* Size (0, 1, 2) of operand i. */
unsigned opnd_size(const struct insn *in, unsigned i);
/* General register slot of a 32- or 16-bit register operand. */
unsigned opnd_reg(const struct insn *in, unsigned i);

/* Operand i zero-extended; memory is loaded. */
struct value opnd_value(struct builder *b, const struct insn *in, unsigned i);
/* The same where only the low bits matter: the whole register may stand for its low part. */
struct value opnd_value_low(struct builder *b, const struct insn *in, unsigned i);
/* The same in a slot. */
unsigned opnd_slot(struct builder *b, const struct insn *in, unsigned i);
/* Memory or register operand i, to be written or modified. */
struct operand opnd_locate(struct builder *b, const struct insn *in, unsigned i, enum operand_use use);

/* Reads it (USE_RW memory: LDRW). */
unsigned operand_load(struct builder *b, const struct operand *p);
/* A slot to compute its new value in: the register itself when 32 bits wide. */
unsigned operand_target(struct builder *b, const struct operand *p);
/* Writes it; free when the value is already there. */
void operand_store(struct builder *b, const struct operand *p, struct value v);

/* dst = the general register's low `size`, zero-extended; 32 bits: the register itself, no op. */
unsigned reg_value(struct builder *b, unsigned reg, unsigned size);
/* Writes the low `size` (1 or 2) of a register. */
void reg_store(struct builder *b, unsigned reg, unsigned size, struct value v);

/* Do accesses through the segment need no SEGADDR? */
bool seg_is_flat(const struct builder *b, unsigned seg);
/* Checked linear address of 1 << size bytes at the memory operand + extra. */
struct addr mem_addr(struct builder *b, const struct insn *in, uint32_t extra, unsigned size, bool write);
/* Effective address (offset, wrapped to the address size) + extra, in a slot. */
unsigned mem_offset(struct builder *b, const struct insn *in, uint32_t extra);
/* Checked linear address of an offset held in a slot. */
struct addr seg_addr(struct builder *b, unsigned seg, unsigned offset, unsigned size, bool write);
/* An address as one slot, for helpers. */
unsigned addr_slot(struct builder *b, struct addr at);
/* The slot of a value. */
unsigned value_in_slot(struct builder *b, struct value v);

/* Pushes: the store and the new ESP. */
void builder_push(struct builder *b, unsigned size, struct value v);
/* The new ESP goes by `size`, but only the selector's 16 bits are stored. */
void builder_push_selector(struct builder *b, unsigned size, struct value v);
/* A pop is a load, whatever else may fault, then the new ESP. `into`: a slot, IR_NONE: a temporary. */
unsigned stack_load(struct builder *b, unsigned size, unsigned into);
void stack_release(struct builder *b, unsigned bytes);
/* The ESP after release, in a temporary (all 32 bits). */
unsigned stack_released(struct builder *b, unsigned bytes);

#endif
