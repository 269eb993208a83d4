/* protect.h - segmentation and privilege, shared by except.c, segment.c, far.c, task.c and system.c.
 *
 * Rule of these files: check everything, probe every write, then commit. Functions that return bool
 * return false with an exception recorded in v->exc (or with redo_single), and nothing changed but
 * accessed bits of descriptors and page tables.
 * Error codes: a selector's without its RPL; EXT is added by except.c where an event was being delivered
 * (SDM 3A 6.13), so nothing below knows about it.
 * Threads: the vCPU's. */
#ifndef TANDEM_VCPU_ARCH_PROTECT_H
#define TANDEM_VCPU_ARCH_PROTECT_H

#include <stddef.h>
#include <string.h>

#include "clockcore/check.h"
#include "translator/cc.h"
#include "vcpu/arch/arch.h"
#include "vcpu/helpers.h"
#include "vcpu/mmu/mmu.h"

/* --- descriptors, SDM 3A 3.4.5 and 3.5; bits of the second dword --- */
struct desc {
    uint32_t lo, hi;
};
#define DESC_ACCESSED   (1u << 8)
#define DESC_BUSY       (1u << 9)  /* TSS */
#define DESC_RW         (1u << 9)  /* data: writable; code: readable */
#define DESC_CONFORMING (1u << 10) /* code; data: expand-down */
#define DESC_CODE       (1u << 11)
#define DESC_S          (1u << 12)
#define DESC_P          (1u << 15)
#define DESC_G          (1u << 23)

/* System descriptor types (S = 0), SDM 3A table 3-2. Bit 3: 32-bit. */
enum {
    SYS_TSS16 = 1,
    SYS_LDT = 2,
    SYS_TSS16_BUSY = 3,
    SYS_CALL16 = 4,
    SYS_TASK_GATE = 5,
    SYS_INT16 = 6,
    SYS_TRAP16 = 7,
    SYS_TSS32 = 9,
    SYS_TSS32_BUSY = 11,
    SYS_CALL32 = 12,
    SYS_INT32 = 14,
    SYS_TRAP32 = 15
};
#define SYS_32BIT 8u

#define SEL_RPL(sel)     ((sel)&3u)
#define SEL_IS_NULL(sel) (((sel)&0xfffcu) == 0)
#define SEL_ERROR(sel)   ((sel)&0xfffcu)
#define SEL_TI           4u

static inline unsigned desc_dpl(struct desc d)
{
    return d.hi >> 13 & 3;
}

/* S and type: 0..15 is a system descriptor of that type, 16.. code or data. */
static inline unsigned desc_type(struct desc d)
{
    return d.hi >> 8 & 0x1f;
}

static inline bool desc_is_code(struct desc d)
{
    return (d.hi & (DESC_S | DESC_CODE)) == (DESC_S | DESC_CODE);
}

static inline bool desc_is_conforming(struct desc d)
{
    return desc_is_code(d) && (d.hi & DESC_CONFORMING);
}

static inline bool desc_is_writable_data(struct desc d)
{
    return (d.hi & (DESC_S | DESC_CODE | DESC_RW)) == (DESC_S | DESC_RW);
}

static inline bool desc_is_readable(struct desc d)
{
    return (d.hi & DESC_S) && (!(d.hi & DESC_CODE) || (d.hi & DESC_RW));
}

static inline uint32_t desc_limit(struct desc d)
{
    uint32_t limit = (d.hi & 0xf0000) | (d.lo & 0xffff);
    return d.hi & DESC_G ? limit << 12 | 0xfff : limit;
}

static inline uint32_t desc_base(struct desc d)
{
    return (d.hi & 0xff000000) | (d.hi & 0xff) << 16 | d.lo >> 16;
}

/* What a load of `sel` makes of its descriptor. The parts that are read in one piece when a segment is copied
 * are stored in one piece: a processor waits for narrower stores to reach the cache. */
static inline void segment_set(struct segment *s, uint16_t sel, struct desc d)
{
    const uint64_t head = sel | (uint64_t)(d.hi >> 8 & 0xf0ff) << 16 | (uint64_t)desc_base(d) << 32;
    _Static_assert(offsetof(struct segment, access) == 2 && offsetof(struct segment, base) == 4,
                   "as put together here");
    memcpy(s, &head, sizeof head);
    s->limit = desc_limit(d);
}

static inline uint16_t gate_selector(struct desc d)
{
    return (uint16_t)(d.lo >> 16);
}

static inline uint32_t gate_offset(struct desc d)
{
    return desc_type(d) & SYS_32BIT ? (d.hi & 0xffff0000) | (d.lo & 0xffff) : d.lo & 0xffff;
}

/* Bytes of one stack slot of a gate. */
static inline unsigned gate_width(struct desc d)
{
    return desc_type(d) & SYS_32BIT ? 4 : 2;
}

/* --- modes --- */
static inline bool in_vm86(const struct guest_state *g)
{
    return g->eflags & FLAG_VM;
}

/* Real or virtual-8086 mode: selectors are paragraph numbers. */
static inline bool in_8086(const struct guest_state *g)
{
    return !(g->cr0 & CR0_PE) || in_vm86(g);
}

/* SDM 3B 20.2.7: PUSHF, POPF, INT n and IRET fault in virtual-8086 mode below IOPL 3; CLI and STI do by their
 * own rule. False: #GP(0) recorded. */
bool vm86_iopl_ok(struct vcpu *v);
/* EFLAGS.VM and CPL 3; the caller loads all segments, then calls vcpu_update_mode. */
void vm86_enter(struct guest_state *g);

/* What CR0 and CR4 say of the mode, PE apart. */
#define MODE_OF_CONTROL (TB_MODE_FPU_NM | TB_MODE_WAIT_NM | TB_MODE_SSE_UD | TB_MODE_MMX_UD | TB_MODE_TS_NM)

/* --- segment.c --- */
/* Reads a descriptor; false: exception recorded. */
bool desc_read(struct vcpu *v, uint16_t sel, struct desc *d, unsigned fault_vector);
/* The accessed bit, if d is a code or data segment. */
bool desc_mark_accessed(struct vcpu *v, uint16_t sel, struct desc *d);
bool seg_offset_ok(const struct segment *s, uint32_t offset, unsigned bytes);
/* As in real mode: SDM 3B 20.1.1 (base = sel << 4). Real mode leaves limit and B/D as they are; in
 * virtual-8086 mode all of the hidden part is fixed (SDM 3B 20.2.1). */
void seg_load_8086(const struct guest_state *g, struct segment *s, uint16_t sel);
/* Checks an SS for a stack of privilege `cpl` (RPL = DPL = cpl, writable data): `vector` with the selector,
 * #SS(sel) when not present. Sets its accessed bit. */
bool seg_check_stack(struct vcpu *v, uint16_t sel, unsigned cpl, unsigned vector, struct segment *out);
/* After a return to an outer level: ES, FS, GS, DS that the new CPL may not use become null (SDM 3A 5.8.6) */
void seg_drop_inner(struct guest_state *g);
/* Would it drop any at this CPL? */
bool seg_has_inner(const struct guest_state *g, unsigned cpl);

static inline bool raise_sel(struct vcpu *v, unsigned vector, uint16_t sel)
{
    vcpu_raise_error(v, vector, SEL_ERROR(sel));
    return false;
}

static inline bool raise_zero(struct vcpu *v, unsigned vector)
{
    vcpu_raise_error(v, vector, 0);
    return false;
}

static inline enum helper_result helper_done(bool ok)
{
    return ok ? HELPER_OK : HELPER_FAULT;
}

/* --- stacks (far.c) --- */
/* A stack to be pushed on: the current one, or the inner one of a gate, not yet loaded. */
struct stack {
    struct segment ss;
    uint32_t esp;
    bool user;          /* page access rights of its level */
    uint16_t fault_sel; /* error code of #SS: 0 for the current stack */
};

#define FRAME_MAX 36 /* SS, ESP, 31 parameters, CS, EIP, with room */
struct frame {
    unsigned width; /* bytes of a slot: 2 or 4 */
    unsigned count;
    uint32_t value[FRAME_MAX]; /* in push order */
};

static inline void frame_add(struct frame *f, uint32_t value)
{
    CHECK(f->count < FRAME_MAX);
    f->value[f->count++] = value;
}

struct stack stack_current(const struct vcpu *v);
/* The stack of level `cpl` from the TSS: #TS and #SS as SDM 3A 6.12.1. */
bool stack_inner(struct vcpu *v, unsigned cpl, struct stack *st);
/* #SS(fault_sel) when the frame does not fit; no memory access. */
bool stack_fits(struct vcpu *v, const struct stack *st, const struct frame *f);
/* stack_fits, then probes every slot, then writes; moves st->esp. Registers are not touched. */
bool stack_push(struct vcpu *v, struct stack *st, const struct frame *f);
/* Reads the slot `depth` bytes above the current top. */
bool stack_peek(struct vcpu *v, uint32_t depth, unsigned width, uint32_t *value);
/* ESP, or SP alone, by the B bit of the SS in force. */
void stack_set_esp(struct guest_state *g, uint32_t esp);

/* --- far transfers (far.c) --- */
/* Loads CS (with RPL = cpl) and eip; sets cpl. */
void cs_commit(struct vcpu *v, uint16_t sel, struct desc d, unsigned cpl, uint32_t eip);
/* #GP(0) when eip is beyond the code segment. */
bool cs_eip_ok(struct vcpu *v, uint32_t limit, uint32_t eip);

/* --- EFLAGS (except.c) --- */
/* The bits of `mask` from `value`, arithmetic flags and DF included. */
void eflags_write(struct guest_state *g, uint32_t value, uint32_t mask);
#define FLAGS_SYSTEM (FLAG_TF | FLAG_IF | FLAG_IOPL | FLAG_NT | FLAG_RF | FLAG_VM | FLAG_AC | FLAG_ID)
/* POPF and IRET at the current CPL: TF, NT, DF and arithmetic always; IF and IOPL by privilege. VM never. */
uint32_t eflags_popped_mask(const struct guest_state *g);

/* --- task switches (task.c) --- */
enum task_cause { TASK_JMP, TASK_CALL, TASK_EVENT, TASK_IRET };
struct task_switch {
    enum task_cause cause;
    uint16_t sel;    /* of the new TSS */
    uint32_t eip;    /* saved in the old TSS */
    uint32_t eflags; /* saved in the old TSS (IRET: NT is cleared there) */
    bool has_error;  /* TASK_EVENT: pushed on the new stack */
    uint32_t error;
};
/* Checks the new TSS and switches. Faults before the switch leave the old task as it was. Later ones belong
 * to the new task: they are recorded as traps with its eip, so that they are delivered there (SDM 3A 7.3). */
bool task_switch(struct vcpu *v, const struct task_switch *t);
/* IRET with NT set. */
bool task_return(struct vcpu *v, uint32_t next_eip);

/* --- system registers (system.c) --- */
/* CR3 has been loaded: tells the observer. */
void cr3_loaded(struct vcpu *v);

/* Of the tick of the running instruction: TSC; sets it. */
uint64_t time_stamp(const struct vcpu *v);
void time_stamp_set(struct vcpu *v, uint64_t value);
static inline void set_edx_eax(struct guest_state *g, uint64_t value)
{
    g->slot[IR_EAX] = (uint32_t)value;
    g->slot[IR_EDX] = (uint32_t)(value >> 32);
}

/* --- model-specific registers (msr.c) --- */
#define MISC_LIMIT_CPUID (1u << 22) /* of IA32_MISC_ENABLE */
/* After a load of a state: the field that holds what no write would take; NULL: none. */
const char *msrs_wrong(const struct msr_state *m);

/* --- debug registers (system.c) --- */
#define DR6_FIXED 0xffff0ff0u
enum { DR6_BD = 1u << 13, DR6_BS = 1u << 14, DR6_BT = 1u << 15 };
#define DR6_WRITABLE      (0xfu | DR6_BD | DR6_BS | DR6_BT)
#define DR7_FIXED         (1u << 10)
#define DR7_GD            (1u << 13)
#define DR7_WRITABLE      0xffff23ffu /* without bits 10, 11, 12, 14, 15 */
#define DR7_ENABLES       0xffu
#define DR7_LOCAL_ENABLES 0x155u /* L0..L3, LE: cleared by a task switch */
/* DR0..DR3 or DR7 changed: recomputes dr_active and watched pages. */
void debug_changed(struct vcpu *v);

#endif
