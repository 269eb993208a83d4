/* guest_state.h - the architectural state of one vCPU, as both engines address it.
 *
 * Open on purpose: the IR interpreter, the C helpers and emitted code read and write these fields.
 * Arithmetic flags are symbolic: CF PF AF ZF SF OF are a function of the four IR_CC_* slots
 * (cc.h); DF is `df`; the other EFLAGS bits are in `eflags`. eip is exact only between blocks and
 * after a fault: inside a block it is implied by the IR op (tb.h).
 * Owner: the vCPU's thread. */
#ifndef TANDEM_TRANSLATOR_GUEST_STATE_H
#define TANDEM_TRANSLATOR_GUEST_STATE_H

#include <stdbool.h>
#include <stdint.h>

/* Value slots: what IR operands name. */
enum ir_slot {
    IR_EAX,
    IR_ECX,
    IR_EDX,
    IR_EBX,
    IR_ESP,
    IR_EBP,
    IR_ESI,
    IR_EDI,
    IR_CC_OP,   /* enum cc_op (cc.h): how the flags derive from the next three */
    IR_CC_A,    /* first operand */
    IR_CC_B,    /* second operand (see cc.h per kind) */
    IR_CC_R,    /* result, zero-extended to 32 bits; CC_EFLAGS: the flags themselves */
    IR_ZERO,    /* always 0: base of absolute addresses, never written */
    IR_NONE,    /* written by ops whose result nobody wants, never read */
    IR_ROTATED, /* the x86-64 back end's own (flags.h), within a block; no op names it */
    IR_T0 = 16, /* temporaries: dead at guest instruction boundaries */
    IR_T_LAST = 31,
    IR_NSLOTS = 32
};

enum seg_reg { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_COUNT };

/* A segment register with its hidden part. `access` holds descriptor bits 8..23 as in the second
 * descriptor dword shifted right by 8: type 0..3, S 4, DPL 5..6, P 7, AVL 12, D/B 14, G 15. */
struct segment {
    uint16_t sel;
    uint16_t access; /* 0: unusable (null selector) */
    uint32_t base;   /* linear address */
    uint32_t limit;  /* last valid offset (G already applied) for expand-up */
};

#define SEG_ACC_TYPE 0x000f
#define SEG_ACC_S    0x0010
#define SEG_ACC_DPL  0x0060
#define SEG_ACC_P    0x0080
#define SEG_ACC_DB   0x4000
#define SEG_ACC_G    0x8000

struct desc_table {
    uint32_t base;
    uint16_t limit;
};

/* x87: registers are kept in stack-independent order (physical R0..R7), as the chip does. */
struct x87_state {
    uint8_t r[8][16]; /* 80-bit values in the first 10 bytes; the rest 0 */
    uint16_t cw, sw;  /* TOP lives in sw bits 11..13 */
    uint8_t empty;    /* bit i: physical register i is empty (the tag word is derived) */
    uint16_t fop, fcs, fds;
    uint32_t fip, fdp;
};

/* SSE: the XMM registers and their control and status register. */
struct sse_state {
    _Alignas(16) uint8_t xmm[8][16];
    uint32_t mxcsr; /* MXCSR_* (sse.h) */
};

/* The x87 and SSE state while compiled code has it on the host's own units (vcpu/arch/fpu_host.c). */
struct fpu_host {
    _Alignas(16) uint8_t image[512]; /* FXSAVE format, on the way there and back */
    uint32_t fip;                    /* FIP of the last instruction that sets it; stored by compiled code */
    uint16_t fop;                    /* opcode bits of that instruction */
    uint8_t executed;                /* 1: such an instruction has run; FCS is then the current CS */
    uint8_t fds_seg;                 /* enum seg_reg of the last memory operand; FPU_NO_SEG: none yet */
};
enum { FPU_NO_SEG = 0xff };

enum {
    CR0_PE = 1u << 0,
    CR0_MP = 1u << 1,
    CR0_EM = 1u << 2,
    CR0_TS = 1u << 3,
    CR0_ET = 1u << 4,
    CR0_NE = 1u << 5,
    CR0_WP = 1u << 16,
    CR0_AM = 1u << 18,
    CR0_NW = 1u << 29,
    CR0_CD = 1u << 30
};
#define CR0_PG (1u << 31)
enum {
    CR4_TSD = 1u << 2,
    CR4_DE = 1u << 3,
    CR4_PSE = 1u << 4,
    CR4_PAE = 1u << 5,
    CR4_MCE = 1u << 6,
    CR4_PGE = 1u << 7,
    CR4_OSFXSR = 1u << 9,
    CR4_OSXMMEXCPT = 1u << 10
};
enum { EFER_NXE = 1u << 11 };
enum {
    FLAG_CF = 1u << 0,
    FLAG_1 = 1u << 1,
    FLAG_PF = 1u << 2,
    FLAG_AF = 1u << 4,
    FLAG_ZF = 1u << 6,
    FLAG_SF = 1u << 7,
    FLAG_TF = 1u << 8,
    FLAG_IF = 1u << 9,
    FLAG_DF = 1u << 10,
    FLAG_OF = 1u << 11,
    FLAG_IOPL = 3u << 12,
    FLAG_NT = 1u << 14,
    FLAG_RF = 1u << 16,
    FLAG_VM = 1u << 17,
    FLAG_AC = 1u << 18,
    FLAG_ID = 1u << 21
};
#define FLAGS_ARITH (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

/* 0: nothing is held off. */
enum int_shadow {
    SHADOW_INTERRUPTS = 1, /* behind STI */
    SHADOW_STACK = 2,      /* behind MOV SS and POP SS: interrupts and debug exceptions */
};

/* 0: it runs. */
enum halted {
    HALTED_HLT = 1,
    HALTED_SIPI = 2, /* behind INIT: nothing but a start-up IPI or another INIT ends it (SDM 3A 8.4.2) */
};

enum { MTRR_FIXED = 11, MTRR_VARIABLE = 8, MCA_BANKS = 5 };

/* Model-specific registers that are nowhere else (vcpu/arch/msr.c). */
struct msr_state {
    uint64_t apic_base, misc_enable;
    uint64_t pat, mtrr_default, mtrr_fixed[MTRR_FIXED];
    uint64_t mtrr_variable[2 * MTRR_VARIABLE]; /* base and mask of each range */
    uint64_t mcg_status, mcg_ctl, mc_ctl[MCA_BANKS];
};

struct guest_state {
    uint32_t slot[IR_NSLOTS]; /* first: emitted code addresses it with short displacements */
    int64_t budget;           /* ticks that may still be reserved before the limit; tick = limit - budget */
    uint32_t eip;
    uint32_t eflags;     /* TF IF IOPL NT RF VM AC ID only (no arithmetic flags, no DF) */
    int32_t df;          /* string direction: +1 or -1 */
    uint32_t mode;       /* TB_MODE_* key of the current state (tb.h); helpers that change what it
                            depends on call vcpu_update_mode() */
    uint8_t cpl;         /* 0..3 */
    uint8_t int_shadow;  /* enum int_shadow: what is held off until one more instruction retired */
    uint8_t halted;      /* enum halted: HLT retired, waiting for an interrupt */
    uint8_t fpu_on_host; /* 1: x87 and SSE state (but the x87's control word) is in the host's units; only
                            ever while compiled code runs, never in C code but what it calls to keep going */
    struct segment seg[SEG_COUNT];
    struct segment ldtr, tr;
    struct desc_table gdtr, idtr;
    uint32_t cr0, cr2, cr3, cr4;
    uint32_t dr[8]; /* 4 and 5 unused (alias 6 and 7 unless CR4.DE) */
    uint32_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t tsc_offset;  /* added to virtual ns by RDTSC (1 GHz TSC) */
    struct x87_state x87; /* the MMX registers are its significands: MMi is r[i], bytes 0..7 */
    struct sse_state sse;
    struct fpu_host fpu_host;
    uint64_t pdptr[4]; /* of PAE paging: page directory pointers, loaded with CR3 */
    uint64_t efer;     /* EFER_NXE */
    struct msr_state msr;
};

#endif
