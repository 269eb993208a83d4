/* sse_internal.h - what the SSE files share.
 *
 *   sse.c         operands, faults, dispatch, MMX state
 *   sse_exec.c    one function per row: the host's own instruction of the same encoding
 *   sse_imm.c     rows with an immediate, in C
 *   sse_float.c   MXCSR: modes in, flags out, #XM
 *   sse_approx.c  RCPPS, RSQRTPS: one answer on every host
 *   fxsave.c      FXSAVE, FXRSTOR
 *
 * An instruction is a function over a struct sse_io: `a` is the register that ModRM.reg names, `b` the
 * register or the memory operand of ModRM.rm, `gpr` whichever of them is a general register. It writes the
 * destination in place; sse.c commits that part, if nothing faults. */
#ifndef TANDEM_VCPU_ARCH_SSE_INTERNAL_H
#define TANDEM_VCPU_ARCH_SSE_INTERNAL_H

#include <string.h>

#include "translator/sse.h"
#include "vcpu/arch/fpu_internal.h"

struct sse_io {
    _Alignas(16) uint8_t a[16];
    _Alignas(16) uint8_t b[16];
    uint32_t gpr;
    uint32_t csr;                /* MXCSR to execute under, all masked; then with the flags raised */
    uint8_t carry, parity, zero; /* COMPARE: 0 or 1 */
};

typedef void (*sse_exec_fn)(struct sse_io *io);

/* By row; NULL where the row has an immediate, a memory form alone, or no host instruction (APPROX, CSR). */
extern const sse_exec_fn sse_exec[SSE_COUNT];
/* CMPPS, CMPPD, CMPSS, CMPSD by the immediate (bits 3..7 are ignored). */
sse_exec_fn sse_exec_cmp(enum simd_prefix prefix, unsigned predicate);

/* Rows with an immediate, but for CMPxx. */
void sse_run_imm(enum sse_id id, struct sse_io *io, uint8_t imm);

/* Runs `fn` under the guest's MXCSR; false: an unmasked exception, recorded with its flags, *io is void. */
bool sse_run_fp(struct vcpu *v, enum sse_id id, sse_exec_fn fn, struct sse_io *io);

/* RCPxx, RSQRTxx. */
void sse_run_approx(enum sse_id id, struct sse_io *io);

/* MXCSR from memory: false: reserved bits, #GP(0) recorded. */
bool sse_load_mxcsr(struct vcpu *v, uint32_t value);

/* TOP = 0, all registers valid: what every MMX instruction does (SDM 1 9.5.1). */
static inline void mmx_enter(struct x87_state *x)
{
    x->sw &= (uint16_t)~FSW_TOP;
    x->empty = 0;
}

#endif
