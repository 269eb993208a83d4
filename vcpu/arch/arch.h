/* arch.h - what arch/ offers: delivery of exceptions and interrupts, modes and segments, the FPU of the host.
 * Threads: the vCPU's. */
#ifndef TANDEM_VCPU_ARCH_ARCH_H
#define TANDEM_VCPU_ARCH_ARCH_H

#include "vcpu/vcpu_internal.h"

/* --- delivery (except.c) --- */
/* Delivers v->exc at a boundary: g->eip is the faulting instruction's. Handles double and triple faults
 * (sets exit_reason). The run loop calls it. */
void vcpu_deliver_exception(struct vcpu *v);
/* Delivers external interrupt `vector`, or an NMI as vector 2, at a boundary (leaves HLT). Faults in delivery
 * are handled inside. */
void vcpu_deliver_interrupt(struct vcpu *v, unsigned vector);

/* --- segments (segment.c) --- */
void seg_set_hidden(struct segment *s, uint16_t sel, uint32_t lo, uint32_t hi);
/* Recomputes g->mode from segments, CRs, cpl. Call after changing any of them. */
void vcpu_update_mode(struct vcpu *v);
/* The same where only segments, cpl and EFLAGS.VM have changed, and neither CR0, CR4 nor EFLAGS.AC. */
void vcpu_segments_changed(struct vcpu *v);
/* Sets cpl (and mode). */
void vcpu_set_cpl(struct vcpu *v, unsigned cpl);
/* Linear address of a data access through a segment with checks (helpers that address by segment:offset).
 * false: #GP(0)/#SS(0) recorded. */
bool seg_linear(struct vcpu *v, unsigned seg, uint32_t offset, unsigned bytes, bool write,
                uint32_t *lin_addr);

/* Readable and writable expand-up data: only the limit is left to check. MATCH seg_is_plain_data */
static inline bool seg_is_plain_data(const struct segment *s)
{
    const unsigned code_or_down = 0xc, writable = 2;
    return (s->access & (SEG_ACC_P | SEG_ACC_S | code_or_down | writable)) ==
           (SEG_ACC_P | SEG_ACC_S | writable);
}

/* After a load: the field of the state that holds bits which no guest can set in a control, debug or status
 * register (system.c); NULL: none. */
const char *system_registers_wrong(const struct vcpu *v);

/* As after power-on (msr.c). */
void msr_reset(struct msr_state *m, const struct cpu_model *model);

/* --- x87 on the host's unit (fpu_host.c); what struct x64_calls says --- */
int64_t fpu_enter_host(struct vcpu *v);
int64_t fpu_leave_host(struct vcpu *v);
int64_t fpu_refuse_host(struct vcpu *v);

#endif
