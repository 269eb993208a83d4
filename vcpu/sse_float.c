/* sse_float.c - instructions under MXCSR: modes in, flags out, #XM (SDM 1 11.5).
 *
 * The host executes with the guest's rounding and denormal modes, everything masked and no flag set; what it
 * raised then decides. All flags masked: they are or'ed into MXCSR and the result stands. One unmasked: the
 * destination keeps its value and the exception is delivered.
 *
 * An unmasked exception found before the computation (#I, #D, #Z) keeps the others from being detected: flags of
 * the later kind are not set. An unmasked underflow differs from a masked one: it is signalled for a tiny
 * result that is exact, too, and precision then is that of the result with an unbounded exponent. */
#include "vcpu/sse_internal.h"

static uint32_t modes_of(uint32_t mxcsr)
{
    const bool underflow_masked = mxcsr & (MXCSR_UE << MXCSR_MASK_SHIFT);
    const uint32_t modes = MXCSR_RC | MXCSR_DAZ | (underflow_masked ? MXCSR_FTZ : 0);
    return (mxcsr & modes) | MXCSR_MASKS;
}

static bool fail(struct vcpu *v, uint32_t flags)
{
    v->g.sse.mxcsr |= flags;
    vcpu_raise(v, v->g.cr4 & CR4_OSXMMEXCPT ? EXC_XM : EXC_UD);
    return false;
}

bool sse_run_fp(struct vcpu *v, enum sse_id id, sse_exec_fn fn, struct sse_io *io)
{
    uint32_t *mxcsr = &v->g.sse.mxcsr;
    const uint32_t unmasked = ~(*mxcsr >> MXCSR_MASK_SHIFT) & MXCSR_FLAGS;
    io->csr = modes_of(*mxcsr);
    fn(io);
    const uint32_t flags = io->csr & MXCSR_FLAGS;
    if (flags & unmasked & MXCSR_PRE)
        return fail(v, flags & MXCSR_PRE);
    if (flags & unmasked)
        return fail(v, flags);
    *mxcsr |= flags;
    return true;
}

bool sse_load_mxcsr(struct vcpu *v, uint32_t value)
{
    if (value & ~(uint32_t)MXCSR_VALID) {
        vcpu_raise_error(v, EXC_GP, 0);
        return false;
    }
    v->g.sse.mxcsr = value;
    return true;
}
