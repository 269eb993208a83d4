/* fpu.h - x87 instructions on the host's own unit.
 *
 * guest_state.fpu_on_host says where the guest's x87 is. The first x87 instruction of a block brings it to the host
 * (stub fpu_enter), which is refused unless every exception is masked and none is pending: then the host computes what
 * the helper would (vcpu/fpu_arith.c uses the same unit). Helpers and exits bring it back first (fpu_leave); slow
 * paths of memory accesses keep it aside (stubs.c).
 *
 * FIP, FOP, FCS and FDS belong to the last instruction that sets them; they are stored where they may be seen next:
 * block ends, helpers, faults. */
#ifndef TANDEM_TRANSLATOR_X64_FPU_H
#define TANDEM_TRANSLATOR_X64_FPU_H

#include "translator/x64/regs.h"

/* Is the op an x87 instruction that this block runs inline? */
bool fpu_is_inline(const struct compile *c, const struct ir_op *op);
void emit_fpu(struct compile *c, const struct ir_op *op);
/* Memory forms: what they access. */
unsigned fpu_operand_bytes(const struct ir_op *op);
bool fpu_operand_written(const struct ir_op *op);
/* The instruction itself, its operand at `at`; `reg`: where FLDCW's operand goes. */
void emit_fpu_access(struct compile *c, const struct ir_op *op, unsigned reg, struct host_mem at);
/* Inline and changes EAX: FNSTSW AX. */
bool fpu_writes_eax(const struct ir_op *op);
/* Stores FIP, FOP and FDS where instructions of this block have set them. No host flags written, no scratch used. */
void fpu_flush(struct compile *c);
void fpu_flush_pending(struct compile *c, const struct fpu_pending *p);
/* C code is about to look at the guest's x87. */
void fpu_leave(struct compile *c);

#endif
