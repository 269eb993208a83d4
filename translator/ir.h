/* ir.h - the intermediate representation of a translation block.
 *
 * A block is a flat array of ops over the slots of guest_state.h. Contract for whoever
 * emits or rewrites IR:
 *  1. Every op that may fault (kinds M, X) comes before any write to a guest slot or CC slot by the same
 *     guest instruction, or the written slots are temporaries: faults are precise.
 *     (Exception: a helper may do its own ordering inside.)
 *  2. op.insn is the index of the guest instruction in the block; eip and tick of a fault derive
 *     from it. Indices never decrease.
 *  3. Flags are live at every op that may fault, at every helper, at SIDE, EXPECT and CROSS and at the
 * block's end; elsewhere an F op whose CC result is overwritten before a read may lose IRF_FLAGS
 * (opt_flags.c). The x86-64 back end knows of more that are not seen: regs.c.
 *  4. The last op is an E op. Both engines run exactly this array. */
#ifndef TANDEM_TRANSLATOR_IR_H
#define TANDEM_TRANSLATOR_IR_H

#include <stdint.h>
#include <stdio.h>

#include "translator/guest_state.h"

enum ir_opcode {
#define IROP(name, ...) IR_##name,
#include "translator/ir_ops.def"
#undef IROP
    IR_OPCODE_COUNT
};

enum {
    IRF_IMM = 1 << 0,   /* b (or what the row says) is the immediate */
    IRF_FLAGS = 1 << 1, /* sets flags */
    IRF_WRITE = 1 << 2, /* SEGADDR: for writing */
    IRF_PLAIN =
        1 << 4, /* SEGADDR: the block's mode says that the segment is plain, and a + imm is below 10000h */
    IRF_EIP = 1 << 5,      /* imm2 is an eip of the block's code: it moves with the block (ir_move) */
    IRF_CC_KNOWN = 1 << 3, /* SETCC, CMOV, SIDE, JCC: `size` holds the enum cc_op that IR_CC_OP has here */
};

struct ir_op {
    uint16_t handler; /* filled by ir_finalize: dense index of (op, size, flags) for dispatch */
    uint8_t op;       /* enum ir_opcode */
    uint8_t size;     /* 0, 1, 2; for CC_KNOWN ops the enum cc_op value */
    uint8_t flags;    /* IRF_* */
    uint8_t dst, a, b;
    uint8_t aux;
    uint8_t insn; /* guest instruction index in the block */
    uint8_t reserved[2];
    uint32_t disp; /* HELPER with a memory operand: added to slots a and b */
    uint32_t imm, imm2;
};
_Static_assert(sizeof(struct ir_op) == 24, "ir_op is compact; 8-byte aligned on purpose");

/* The columns of ir_ops.def. */
enum ir_shape { IR_SHAPE_ONE, IR_SHAPE_I, IR_SHAPE_S, IR_SHAPE_SI, IR_SHAPE_SF, IR_SHAPE_SIF, IR_SHAPE_CC };
enum ir_use {
    IR_WRITES_DST = 1 << 0,
    IR_READS_DST = 1 << 1,
    IR_READS_A = 1 << 2,
    IR_READS_B = 1 << 3,   /* unless IRF_IMM puts the immediate there */
    IR_READS_AUX = 1 << 4, /* unless IRF_IMM puts the immediate there */
    IR_WRITES_AUX = 1 << 5 /* but with 8-bit size */
};
enum ir_reads { IR_READS_NO, IR_READS_YES, IR_READS_FLAGS, IR_READS_COUNT };
enum ir_faults { IR_FAULTS_NO, IR_FAULTS_ACCESS, IR_FAULTS_OTHER };
enum { IR_WRITES_NONE = 0xfe, IR_WRITES_VARIES = 0xff };
struct ir_op_info {
    const char *name;
    uint8_t shape;  /* enum ir_shape */
    uint8_t uses;   /* enum ir_use */
    uint8_t reads;  /* enum ir_reads */
    uint8_t writes; /* enum cc_kind, CC_KIND_COUNT: CC_EFLAGS, or IR_WRITES_ */
    uint8_t faults; /* enum ir_faults */
    bool ends;
};
extern const struct ir_op_info ir_op_info[IR_OPCODE_COUNT];

static inline bool ir_uses(const struct ir_op *op, enum ir_use use)
{
    return ir_op_info[op->op].uses & use;
}
static inline bool ir_ends(const struct ir_op *op)
{
    return ir_op_info[op->op].ends;
}
/* Is op->size an operand size? */
static inline bool ir_has_size(const struct ir_op *op)
{
    const unsigned shape = ir_op_info[op->op].shape;
    return shape >= IR_SHAPE_S && shape <= IR_SHAPE_SIF;
}
/* Has the op a form with IRF_IMM? */
static inline bool ir_has_imm(const struct ir_op *op)
{
    const unsigned shape = ir_op_info[op->op].shape;
    return shape == IR_SHAPE_I || shape == IR_SHAPE_SI || shape == IR_SHAPE_SIF;
}
/* Has it a form with IRF_FLAGS? */
static inline bool ir_has_flags(const struct ir_op *op)
{
    return ir_op_info[op->op].writes != IR_WRITES_NONE;
}

/* The enum cc_op that IR_CC_OP holds after the op when it held `cc` before; -1: not known before it runs. */
int ir_cc_after(int cc, const struct ir_op *op);
/* Does the op replace the CC slots whatever its operands are, without reading them? */
bool ir_kills_cc(const struct ir_op *op);
/* Has it no other effect than to set flags, if these? */
bool ir_is_for_flags(const struct ir_op *op);
/* An MMX, SSE or SSE2 instruction, but for EMMS? */
bool ir_is_sse(const struct ir_op *op);
/* Can the flags before the op be seen at it? (Contract 3.) `faults`: may accesses, and SSE instructions,
 * fault? */
bool ir_observes_cc(const struct ir_op *op, bool faults);

/* Fills op->handler of every op; the last step of translate_block. The numbering is ir_handlers.h's. */
void ir_finalize(struct ir_op *ops, unsigned nops);

/* Makes the ops of a block those of the same bytes at an eip that is `by` higher; `by` is a multiple of the
 * page size. Not for blocks that are fixed (translate.h). */
void ir_move(struct ir_op *ops, unsigned nops, uint32_t by);

/* As ir_print names it. */
const char *ir_slot_name(unsigned slot);
/* Prints one op in readable form ("add32.f eax, eax, ebx"), for -d op and tests. */
void ir_print(FILE *out, const struct ir_op *op);
/* Checks the contract; returns NULL or a static message. For tests and debug builds. */
const char *ir_validate(const struct ir_op *ops, unsigned nops);

/* Helper functions: the ids of HELPER ops (op.imm). helpers.def says what the operands of each mean; SSE_REG
 * and SSE_MEM carry a row of insns_sse.def and register numbers (sse.h), so that an engine may inline them.
 */
enum ir_helper {
#define HELPER(name, ...) HELPER_##name,
#include "translator/helpers.def"
#undef HELPER
    HELPER_COUNT
};

/* The columns of helpers.def. */
enum helper_ends {
    HELPER_ENDS_NO,
    HELPER_ENDS_JUMP,
    HELPER_ENDS_LEAVE,
    HELPER_ENDS_REPEAT,
    HELPER_ENDS_HANDLER
};
enum helper_flags {
    HELPER_FLAGS_KEEP,
    HELPER_FLAGS_READ = 1 << 0,
    HELPER_FLAGS_WRITE = 1 << 1,
    HELPER_FLAGS_BOTH = HELPER_FLAGS_READ | HELPER_FLAGS_WRITE
};
enum helper_changes { HELPER_CHANGES_DST, HELPER_CHANGES_MORE };
enum helper_tick { HELPER_TICK_NO, HELPER_TICK_TICK };
enum helper_inline {
    HELPER_INLINE_CALL,
    HELPER_INLINE_DIVIDE,
    HELPER_INLINE_STATE,
    HELPER_INLINE_X87,
    HELPER_INLINE_SSE
};
enum helper_size { /* least op.size | greatest << 4 */
                   HELPER_SIZE_NONE = 0,
                   HELPER_SIZE_BWD = 0 | 2 << 4,
                   HELPER_SIZE_WD = 1 | 2 << 4,
                   HELPER_SIZE_KIND = 0 | 2 << 4,
                   HELPER_SIZE_VECTOR = 3 | 4 << 4
};
/* `aux` of the string helpers, and above STR_SEG_SHIFT the segment of the source. No REP: neither of the
 * first two. */
enum { STR_REPE = 1 << 0, STR_REPNE = 1 << 1, STR_ADDR16 = 1 << 2, STR_SEG_SHIFT = 4 };
struct helper_info {
    const char *name;
    uint8_t ends, flags, changes, tick, form, size; /* form: column `inline` */
};
extern const struct helper_info helper_info[HELPER_COUNT];

/* A helper's result. FAULT: an exception is recorded in the vCPU (vcpu_raise); the engine leaves the
 * block with eip at the op's instruction and gives back unretired ticks. */
enum helper_result { HELPER_OK, HELPER_FAULT };
struct vcpu;
typedef enum helper_result (*ir_helper_fn)(struct vcpu *v, const struct ir_op *op);

#endif
