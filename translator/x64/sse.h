/* sse.h - MMX, SSE and SSE2 instructions on the host's registers: XMMi in XMMi, MMi in MMi, while the guest's
 * FPU is on the host (fpu.h, which calls this). An instruction is re-encoded from its row (translator/sse.h)
 * with the host's operands. */
#ifndef TANDEM_TRANSLATOR_X64_SSE_H
#define TANDEM_TRANSLATOR_X64_SSE_H

#include "translator/ir.h"
#include "translator/x64/emit_x64.h"
#include "translator/x64/probe.h"

struct compile;

/* Of HELPER ops SSE_REG, SSE_MEM and EMMS. */
bool sse_is_inline(const struct x64_host *h, const struct ir_op *op);
/* Is it, where it is inline, never refused? It does nothing to MXCSR then. */
bool sse_is_never_refused(const struct ir_op *op);
void emit_sse(struct compile *c, const struct ir_op *op);
/* SSE_MEM: what it accesses; see emit_fpu_access. */
unsigned sse_operand_bytes(const struct ir_op *op);
unsigned sse_operand_align(const struct ir_op *op);
bool sse_operand_written(const struct ir_op *op);
void emit_sse_access(struct compile *c, const struct ir_op *op, unsigned reg, struct host_mem at);

#endif
