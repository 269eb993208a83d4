/* fpu.h - x87 instructions on the host's own unit; what they share with MMX and SSE (sse.h).
 *
 * guest_state.fpu_on_host says where the guest's x87 and SSE state is. The first of their instructions in a
 * block brings it to the host (stub fpu_enter), which is refused unless every exception is masked and none is
 * pending: then the host computes what the helper would (vcpu/arch/fpu_arith.c uses the same unit). Helpers
 * and exits bring it back first (fpu_leave); slow paths of memory accesses keep it aside (stubs.c).
 *
 * FIP, FOP, FCS and FDS belong to the last instruction that sets them; they are stored where they may be seen
 * next: block ends, helpers, faults. */
#ifndef TANDEM_TRANSLATOR_X64_FPU_H
#define TANDEM_TRANSLATOR_X64_FPU_H

#include "translator/ir.h"
#include "translator/x64/emit_x64.h"

struct compile;

/* x87 instructions whose FIP, FOP (and FDS) are not stored yet; NULL: none (fpu.h). */
struct fpu_pending {
    const struct ir_op *last, *last_mem;
};

/* Is the op an x87, MMX or SSE instruction that this block runs inline? */
bool fpu_is_inline(const struct compile *c, const struct ir_op *op);
void emit_fpu(struct compile *c, const struct ir_op *op);
/* Memory forms: what they access. */
bool fpu_is_mem(const struct ir_op *op);
unsigned fpu_operand_bytes(const struct ir_op *op);
unsigned fpu_operand_align(const struct ir_op *op); /* 16: must be aligned; else 1 */
bool fpu_operand_written(const struct ir_op *op);
/* The instruction itself, its operand at `at`; `reg`: where FLDCW's and LDMXCSR's operand goes, or the
 * general register that is written. */
void emit_fpu_access(struct compile *c, const struct ir_op *op, unsigned reg, struct host_mem at);
/* A comparison to EFLAGS. C1 is cleared before it, since hosts leave it as it was. */
void emit_fpu_compare(struct x64_buf *b, unsigned opcode, unsigned modrm);
/* Does the op, which is inline, write the general register? */
bool fpu_writes_slot(const struct ir_op *op, unsigned slot);
/* The guest's flags = CF, PF, ZF of the host's, which has the others 0. */
void fpu_flags_from_host(struct compile *c);
/* Leaves, to run the instruction alone, in C. */
void fpu_refuse_if(struct compile *c, unsigned cond);
/* Stores FIP, FOP and FDS where instructions of this block have set them. No host flags written, no scratch
 * used. */
void fpu_flush(struct compile *c);
void fpu_flush_pending(struct compile *c, const struct fpu_pending *p);
/* C code is about to look at the guest's x87. */
void fpu_leave(struct compile *c);

#endif
