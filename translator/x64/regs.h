/* regs.h - which host register holds what.
 *
 * Guest registers have fixed host registers. IR temporaries live in the pool (R8 R9 R12) and spill to their
 * slots. R13 belongs to mem.c, and R12, too, in blocks that do well without it. R10 and R11 are scratch
 * inside one emitter. An emitter first asks for its operands (reg_src), then for its result (reg_dst), and
 * only then uses scratch registers: asking may emit moves and stores. MATCH x64_registers. A result register
 * may be that of an operand that dies at this op. No register function writes host flags. */
#ifndef TANDEM_TRANSLATOR_X64_REGS_H
#define TANDEM_TRANSLATOR_X64_REGS_H

#include "translator/x64/emit_x64.h"
#include "translator/x64/x64.h"

struct compile;

enum { HOST_ESP = R14, HOST_STATE = R15, SCRATCH1 = R10, SCRATCH2 = R11, HOST_PAGE = R13, HOST_PAGE2 = R12 };
enum { NTEMPS = IR_NSLOTS - IR_T0 };

/* Which register holds what; owner: regs.c. */
struct reg_state {
    uint8_t temp_reg[NTEMPS];        /* NO_REG: in its slot */
    uint8_t temp_reg_before[NTEMPS]; /* the same as the op began */
    uint8_t reg_temp[16];            /* temporary in a pool register; NTEMPS: none */
    uint16_t pinned;                 /* host registers that this op uses */
    uint16_t live_after;             /* temporaries read after this op */
    unsigned pool_most;              /* registers of the pool that an op of the block holds at once */
    uint16_t reserved;               /* pool registers that belong to mem.c in this block */
    uint16_t live[TB_OPS_MAX];       /* temporaries read after the op */
    bool cc_live[TB_OPS_MAX];        /* the flags before the op are seen at it or later */
    bool cc_live_after[TB_OPS_MAX];  /* those behind it are seen */
};

/* --- state in memory --- */

static inline struct host_mem mem_state(uint32_t offset)
{
    return mem_at(HOST_STATE, (int32_t)offset - X64_STATE_BIAS);
}
static inline struct host_mem mem_slot(unsigned slot)
{
    return mem_state(slot * 4);
}
static inline struct host_mem mem_budget(void)
{
    return mem_state(offsetof(struct guest_state, budget));
}

/* A member of struct x64_jumps; an element, of 8 bytes, of an array there. */
static inline struct host_mem mem_jumps(const struct x64_env *env, size_t offset)
{
    return mem_state((uint32_t)(env->jumps + offset));
}
static inline struct host_mem mem_jump_place(const struct x64_env *env, size_t array, unsigned index_reg)
{
    return mem_indexed(HOST_STATE, index_reg, 3, (int32_t)(env->jumps + array) - X64_STATE_BIAS);
}

/* --- registers --- */

/* Host register of a guest register slot (0..7). */
unsigned reg_guest(unsigned slot);
/* Fills c->live and clears the allocation; reserves R12 where the block does without it. */
void reg_begin(struct compile *c);
void reg_begin_op(struct compile *c, unsigned index);
/* Is the temporary read behind op `index`? */
bool reg_is_live_after(const struct compile *c, unsigned index, unsigned slot);
/* Register that holds the slot's value. */
unsigned reg_src(struct compile *c, unsigned slot);
/* Register to write the slot's new value to; IR_NONE: a scratch one (SCRATCH1). */
unsigned reg_dst(struct compile *c, unsigned slot);
/* The same where the op keeps part of the old value. */
unsigned reg_dst_kept(struct compile *c, unsigned slot);
/* Takes a register from a pool that the block does not use up: false: it does, or the flags are in it. */
bool reg_reserve(struct compile *c, unsigned reg);
/* A pool register for the rest of this op. */
unsigned reg_scratch(struct compile *c);
/* Temporaries to their slots, for C code that reads slots. */
void reg_spill_temps(struct compile *c);
/* In far code: those of temp_reg. */
void reg_spill_far(struct compile *c, const uint8_t temp_reg[NTEMPS]);
void reg_store_guest(struct x64_buf *b);
void reg_load_guest(struct x64_buf *b);

#endif
