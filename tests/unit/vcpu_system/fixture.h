/* fixture.h - a vCPU with a GDT, an IDT, a TSS and stacks in identity-mapped memory.
 *
 * Two implementations of the memory below: fixture_flat.c (an array with rights per page) and
 * fixture_mmu.c (the real MMU over real page tables). The tests are the same. */
#ifndef TANDEM_TESTS_VCPU_SYSTEM_FIXTURE_H
#define TANDEM_TESTS_VCPU_SYSTEM_FIXTURE_H

#include "vcpu/arch/protect.h"

#define FX_RAM_BYTES (4u << 20)

enum fx_layout {
    FX_GDT = 0x1000,
    FX_IDT = 0x2000,
    FX_TSS = 0x3000,
    FX_TSS2 = 0x3200,
    FX_TSS16 = 0x3400,
    FX_LDT = 0x4000,
    FX_KSTACK = 0x9000,   /* initial ESP at CPL 0 */
    FX_STACK0 = 0xb000,   /* SS0:ESP0 of the TSS */
    FX_STACK1 = 0xc000,   /* SS1:ESP1 */
    FX_STACK2 = 0xd000,   /* the second task's */
    FX_USTACK = 0xf000,   /* initial ESP at CPL 3 */
    FX_HANDLER = 0x20000, /* handler of vector n at + n * 16 */
    FX_CODE = 0x30000,
    FX_NEXT = 0x30002,
    FX_DATA = 0x40000,
};

/* Selectors of the GDT that fx_init builds. */
enum fx_sel {
    FX_KCODE = 0x08,
    FX_KDATA = 0x10,
    FX_UCODE = 0x1b,
    FX_UDATA = 0x23,
    FX_TR = 0x28,
    FX_LDTSEL = 0x30,
    FX_CONFORMING = 0x38,
    FX_CODE16 = 0x40,
    FX_DATA16 = 0x48,
    FX_CALLGATE = 0x50,
    FX_ABSENT = 0x58,
    FX_DOWN = 0x60,
    FX_EXEC = 0x68,
    FX_RODATA = 0x70,
    FX_TR2 = 0x78,
    FX_TASKGATE = 0x80,
    FX_CODE_ABSENT = 0x88,
    FX_TR16 = 0x90,
    FX_CALLGATE16 = 0x98,
    FX_SMALL = 0xa0,
    FX_CODE1 = 0xa8,
    FX_DATA1 = 0xb0,
    FX_STACK_ABSENT = 0xb8,
    FX_GATE_ABSENT = 0xc0,
    FX_CODE_SMALL = 0xc8,
    FX_END = 0xd0,
};

/* --- memory: fixture_flat.c or fixture_mmu.c --- */
struct vcpu *fx_memory_create(void);
void fx_memory_destroy(struct vcpu *v);
uint32_t fx_peek(struct vcpu *v, uint32_t addr, unsigned bytes);
void fx_poke(struct vcpu *v, uint32_t addr, unsigned bytes, uint32_t value);
enum fx_rights { FX_ALL, FX_READ_ONLY, FX_SUPERVISOR, FX_UNMAPPED };
void fx_protect(struct vcpu *v, uint32_t addr, enum fx_rights rights);

/* --- fixture.c --- */
/* CPL 0, flat segments, ESP = FX_KSTACK, eip = FX_CODE, every vector a 32-bit interrupt gate to FX_KCODE. */
struct vcpu *fx_create(void);
void fx_destroy(struct vcpu *v);
void fx_user(struct vcpu *v); /* CPL 3 on the user stack */
void fx_real(struct vcpu *v); /* real mode, IVT at 0, SS:SP = 0800:1000, CS = 3000 */
void fx_gdt(struct vcpu *v, uint16_t sel, uint32_t base, uint32_t limit, uint32_t access);
void fx_gate(struct vcpu *v, uint32_t addr, uint16_t sel, uint32_t offset, unsigned type, unsigned dpl,
             unsigned params);
void fx_idt(struct vcpu *v, unsigned vector, uint16_t sel, uint32_t offset, unsigned type, unsigned dpl);
void fx_tss2(struct vcpu *v); /* fills the second task's TSS */
uint32_t fx_handler(unsigned vector);
/* Checks that `result` is a fault that recorded this exception, that state did not change since fx_create
 * or fx_mark, and clears it. */
void fx_mark(struct vcpu *v);
void fx_expect_fault(struct vcpu *v, enum helper_result result, unsigned vector, uint32_t error,
                     const char *what);
/* The frame on the current stack, from the top. */
void fx_expect_stack(struct vcpu *v, unsigned width, const uint32_t *want, unsigned count, const char *what);
struct ir_op fx_op(struct vcpu *v, unsigned size, uint32_t a, uint32_t b);

#endif
