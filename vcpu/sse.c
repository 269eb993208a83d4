/* sse.c - MMX, SSE and SSE2 helpers. */
#include "translator/sse.h"
#include "vcpu/vcpu_internal.h"

#define STUB(name) enum helper_result helper_##name(struct vcpu *v, const struct ir_op *op) { (void)op; return vcpu_raise(v, EXC_UD); }
STUB(SSE_REG)
STUB(SSE_MEM)
STUB(MASKMOV)
STUB(EMMS)
STUB(FXSAVE)
STUB(FXRSTOR)
STUB(CLFLUSH)
