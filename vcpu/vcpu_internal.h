/* vcpu_internal.h - struct vcpu, and what all folders of vcpu/ may do with it. Owner of everything here: the
 * vCPU's thread. What a folder offers to the others is in a header of its own:
 *
 *   mmu/mmu.h        guest memory by linear address, softmmu TLB; mmu/io.h: ports and MMIO
 *   arch/arch.h      exceptions, segments, modes; arch/protect.h: more of that, for arch/ and the run loop
 *   engine/engine.h  blocks, and what runs them
 *
 * mmu/ knows neither of the others, arch/ knows mmu/, engine/ knows both. */
#ifndef TANDEM_VCPU_INTERNAL_H
#define TANDEM_VCPU_INTERNAL_H

#include "mem/watch.h"
#include "syncq/access.h"
#include "translator/x64/x64.h"
#include "vcpu/vcpu.h"

enum exc_vector {
    EXC_DE = 0,
    EXC_DB = 1,
    EXC_NMI = 2,
    EXC_BP = 3,
    EXC_OF = 4,
    EXC_BR = 5,
    EXC_UD = 6,
    EXC_NM = 7,
    EXC_DF = 8,
    EXC_TS = 10,
    EXC_NP = 11,
    EXC_SS = 12,
    EXC_GP = 13,
    EXC_PF = 14,
    EXC_MF = 16,
    EXC_AC = 17,
    EXC_XM = 19
};

/* A raised, not yet delivered exception. */
struct pending_exc {
    bool pending;
    uint8_t vector;
    bool has_error;
    bool is_trap; /* eip to push is `next_eip`, the instruction retired (INT3, INTO, #DB traps) */
    uint32_t error;
    uint32_t next_eip;
};

/* What led to a shutdown, in order; the last one could not be delivered. */
#define FAULT_CHAIN_MAX 8
struct fault_chain {
    unsigned count;
    struct pending_exc exc[FAULT_CHAIN_MAX];
};

/* Softmmu TLBs, of two ways, one per privilege (user or supervisor access), for data and for instruction
 * fetch. Fast paths look at the first way alone (mmu/tlb.h). A fast-path tag is the page's linear address, or
 * TLB_NONE. tag_w is absent for clean pages (dirty tracking), code pages and watched pages. */
#define TLB_BITS    12
#define TLB_ENTRIES (1u << TLB_BITS)
/* Neither a page, which ends in zeros, nor the page of a sum that left 32 bits, below 0 or above
 * (translator/x64/mem.c). */
#define TLB_NONE (UINT64_C(1) << 63 | 1)
struct tlb_entry {
    _Alignas(32) uint64_t tag_r; /* a power of two of bytes: indexed without a multiply */
    union {
        uint64_t tag_w;    /* data */
        uint64_t fetch_at; /* fetch: tag_r and, in the upper half, phys_page; or TLB_NONE. MATCH fetch_at */
    };
    uintptr_t addend; /* host pointer = addend + linear address */
    uint32_t
        phys_page; /* page of memory (mem_addr_t), TLB_MMIO and TLB_SPLIT: physical page, packed (tlb.h) */
    uint32_t tag;  /* linear page | TLB_* below: what the slow path may do without a new walk */
};
enum {
    TLB_VALID = 1,
    TLB_WRITABLE = 2, /* page tables allow writes and D is set */
    TLB_MMIO = 4,
    TLB_WATCHED = 8,
    TLB_GLOBAL = 16,
    TLB_OLDER = 32,  /* of the two in its set it came earlier: it goes when a third page comes */
    TLB_LARGE = 128, /* of a 4 MiB or 2 MiB page */
    TLB_SPLIT = 256, /* data: stores go elsewhere than loads (shadow RAM), or nowhere (ROM) */
};
enum { TLB_DATA, TLB_FETCH = 2, TLB_COUNT = 4 }; /* + 1: user */
enum { TLB_SETS = TLB_COUNT * TLB_ENTRIES, TLB_WAYS = 2 };
enum { TLB_IN_LOCAL = 1, TLB_IN_GLOBAL = 2, TLB_IN_STORES = 8 }; /* the lists that a set is in */
enum { TLB_PAIR = 4 };                                           /* its second way may hold something */

struct activity;
struct spaces;    /* mmu/spaces.c */
struct tbcache;   /* engine/tbcache.c */
struct compiling; /* engine/compiling.c */
struct hotlist;   /* engine/hotlist.c */

struct survey {
    bool on;
    uint64_t calls; /* of the engine */
};

struct marks {
    unsigned count;
    uint64_t tick;               /* the mark that was reached last, or passed; TICK_NEVER: none */
    uint32_t lin_addr;           /* the same */
    uint32_t at[VCPU_MARKS_MAX]; /* ascending */
};

/* A sample inside of a block that is interpreted (interp.c). */
enum { INNER_STORES = 16 };
struct inner_store {
    struct ir_op *op;
    uint16_t handler; /* the one that it has apart from this */
    uint8_t bytes;
    uint32_t before; /* what was there */
    uint8_t *at;     /* where it stored */
};
struct inner_sample {
    struct ir_op *op;           /* comes next at sample_next; NULL: none */
    uint16_t handler;           /* the one that it has apart from this */
    bool undoes;                /* what the block did can be undone so far */
    uint8_t stores;             /* elements of `store`: operations before `op` */
    uint8_t stored;             /* elements that hold what was stored */
    uint64_t fills;             /* stats.tlb_fills before the block */
    uint32_t slot[IR_CC_R + 1]; /* before the block: temporaries are dead there */
    struct inner_store store[INNER_STORES];
};

/* Where instructions are that accessed devices (devsites.c). */
#define DEVSITES 256 /* a power of two */
struct devsites {
    uint32_t at[DEVSITES]; /* the mem_addr_t of each, in its place; ~0: none */
    uint64_t pages;        /* bit number of page modulo 64: there may be one in it */
};

/* An entry of a handler or a return from one, in flat mode: made from what, made what (arch/passage.h). */
struct passage {
    uint64_t gate, code, stack; /* descriptors; stack 0: SS stays */
    uint16_t code_sel, stack_sel;
    bool known, software;
    uint8_t vector, from_cpl;
    uint32_t flags_cleared; /* of EFLAGS, by an entry */
    uint32_t mode;          /* but what control registers say */
    struct segment cs, ss;
};

/* The addend of most entries of the supervisor's data TLB (mmu.c); no state: any value is right. */
struct likely {
    uintptr_t addend, other; /* that, and another one */
    unsigned others;         /* so many fills in a row had the other one */
};

struct vcpu {
    struct guest_state g; /* first: helpers and emitted code start from it */
    struct vcpu_config cfg;

    /* time: tick = limit - g.budget */
    uint64_t limit;
    uint64_t idle_ticks; /* ticks that were warps; icount = tick - idle_ticks */
    uint64_t idle_end;   /* of the idle period under way; at or below the tick: none is */

    uint8_t touched[16];       /* mem_touch: copy of an operand that crosses pages */
    struct activity *activity; /* the link's, of this thread */
    struct tb *tb;             /* running block */
    struct pending_exc exc;
    struct fault_chain faults; /* of the last exception that was delivered */
    bool in_single;            /* the running TB has one instruction: MMIO and own-code writes are allowed */
    bool in_device;            /* the running TB is a device block (tb.h): MMIO is allowed */
    bool redo_device;          /* with redo_single: all that was missing is a device block */
    bool redo_single;    /* set with HELPER_FAULT: no exception, run this instruction as a TB of its own */
    bool fpu_refused;    /* compiled code left for redo_single since its x87 must run in C: see native_run */
    uint8_t wants;       /* WANTS_*: what waits to be delivered; follows from INTR, pins and nmi_blocked */
    bool nmi_blocked;    /* from an NMI until the next IRET: SDM 3A 6.7.1 */
    uint32_t pins;       /* VCPU_PIN_* that have come and were not taken yet */
    uint64_t local_next; /* tick of the next event on this side; TICK_NEVER: none */
    uint8_t exit_reason; /* enum vcpu_exit + 1, 0: none */
    uint32_t exit_value;
    uint32_t db_pending;       /* DR6 bits of data/I/O breakpoints hit by the running instruction */
    uint64_t rf_tick;          /* tick after the instruction that loaded EFLAGS.RF: see vcpu_rf */
    bool checks_alignment;     /* CR0.AM and EFLAGS.AC: what the TLB's tags of user data follow */
    bool dr_active;            /* DR7 enables something: single-instruction TBs with checks */
    uint64_t fetch_tag;        /* tlb.h: page and privilege of the last instruction fetch; TLB_NONE: none */
    uint32_t fetch_phys_page;  /* memory page of that fetch; MEM_NOWHERE: none, all ones */
    const uint8_t *fetch_host; /* where the host has that page */
    uint64_t point_tick;       /* of the last digest point or snapshot; TICK_NEVER: none */
    uint64_t digest_next, progress_next; /* ticks of the next digest point and progress call */
    uint64_t sample_next;                /* of the observer; TICK_NEVER: none */
    struct inner_sample inner_sample;
    bool inside;             /* a sample is being taken at an instruction that is not its block's first */
    bool at_boundary;        /* an exception or interrupt is being delivered: no instruction runs */
    struct vcpu_until until; /* where this run ends */
    bool moved;              /* something was run or delivered: until.condition may be asked */
    uint32_t deliveries;     /* of exceptions and interrupts, modulo 2^32: see delivered() */
    struct tlb_entry tlb[TLB_WAYS][TLB_COUNT][TLB_ENTRIES];
    struct likely likely;
    unsigned tlb_local_count, tlb_global_count;
    uint16_t tlb_local[TLB_SETS];  /* all sets with entries that are not global, by number, and some others */
    uint16_t tlb_global[TLB_SETS]; /* all with global ones, and some others */
    uint16_t tlb_stores[TLB_SETS]; /* all sets with a tag_w other than TLB_NONE, and some others */
    unsigned tlb_stores_count;
    uint8_t tlb_listed[TLB_SETS]; /* TLB_IN_*, TLB_PAIR */
    uint32_t tlb_large[32];       /* bit n: since the last full flush there was a large page at n << 22 */
    struct devsites devsites;
    struct spaces *spaces;
    struct mem_watcher watcher;              /* of memory: pages with blocks, and page tables in use */
    struct jump_entry jump[1u << JUMP_BITS]; /* at jump_index, pairs aligned */
    struct tbcache *tbs;
    uint64_t tb_flushes;         /* bumped when blocks' memory is reused: older struct tb pointers are void */
    struct x64 *native;          /* compiled code; NULL: interpreter only */
    struct compiling *compiling; /* how it is made */
    struct hotlist *hot;         /* -d hot: the hottest blocks that went; NULL: nobody asks */
    uint32_t fetch_epoch[2];     /* of the fetch TLBs, supervisor's and user's: x64.h */
    bool fetch_left[2];          /* an entry has left that TLB in this epoch */
    struct x64_load loads[SEG_COUNT]; /* the last of each data segment register (segment.c); not state: it
                                         tells what a load would do, whatever was done since */
    struct passage entries[16], returns[4]; /* arch/passage.c; likewise no state */
    _Alignas(64) struct x64_jumps jumps;    /* of compiled code */
    struct vcpu_stats stats;
    struct survey survey;
    struct marks marks;
};

enum { WANTS_INTR = 1, WANTS_NMI = 2, WANTS_INIT = 4 };

/* Is there something to be delivered at this boundary, shadows aside? */
static inline bool vcpu_is_wanted(const struct vcpu *v)
{
    return v->wants && (v->wants != WANTS_INTR || (v->g.eflags & FLAG_IF));
}

/* EFLAGS.RF at a boundary (tick = limit - budget). The bit counts until one instruction has retired (SDM
 * 3A 17.3.1.1); nobody clears it in g.eflags then: it is stale once the tick has moved on. */
static inline bool vcpu_rf(const struct vcpu *v)
{
    return (v->g.eflags & FLAG_RF) && v->rf_tick == v->limit - (uint64_t)v->g.budget;
}

/* RF covers the next instruction. Called by the instruction that sets it, whose tick is taken from the
 * budget. */
static inline void vcpu_set_rf(struct vcpu *v)
{
    v->g.eflags |= FLAG_RF;
    v->rf_tick = v->limit - (uint64_t)v->g.budget;
}

/* --- exceptions (except.c). Each records it and returns HELPER_FAULT, to be returned at once. Faults. --- */
enum helper_result vcpu_raise(struct vcpu *v, unsigned vector);
enum helper_result vcpu_raise_error(struct vcpu *v, unsigned vector, uint32_t error);
/* Records a trap: the instruction retires; the handler returns to next_eip. */
enum helper_result vcpu_raise_trap(struct vcpu *v, unsigned vector, uint32_t next_eip);

/* --- the log of events (eventlog.c); only with their bit in cfg.log_items --- */
void eventlog_interrupt(const struct vcpu *v, const struct pending_exc *exc, bool software, uint32_t eip);
void eventlog_reset(const struct vcpu *v);
void eventlog_unassigned(const struct vcpu *v, uint64_t addr, unsigned bytes, enum access_kind kind);
/* A model-specific register that is not there; what was written, NULL: it was read. */
void eventlog_msr(const struct vcpu *v, uint32_t msr, const uint64_t *written);
/* Too many are left out. */
void fault_chain_add(struct fault_chain *c, const struct pending_exc *exc);

/* --- time; run.c refreshes --- */
/* The tick of the running instruction, which is its block's last. */
static inline uint64_t vcpu_insn_tick(const struct vcpu *v)
{
    return v->limit - (uint64_t)v->g.budget - 1;
}
/* A sample's tick is reached inside of a block that ends at `end` (run.c), or, not `inside`, at its first
 * instruction. */
void vcpu_sample_inside(struct vcpu *v, uint64_t end, bool inside);
/* Tells the observer. The event's tick is filled in: of the boundary, or behind the running instruction. */
void vcpu_observe(struct vcpu *v, struct vcpu_event *e);
static inline bool vcpu_observed(const struct vcpu *v)
{
    return v->cfg.observer.event;
}
/* After anything that may have shrunk link_limit() (an access): refreshes v->limit keeping the tick. */
void vcpu_refresh_limit(struct vcpu *v);
/* Behind an access to the device side: the limit anew. Where somebody wants the run to stand it is the end of
 * this instruction, for a quantum of accesses takes the host some milliseconds. */
void vcpu_access_done(struct vcpu *v);
/* After anything that was done to the interrupt controller: its pins, and this side's next event. */
void vcpu_intc_settled(struct vcpu *v);
/* IA32_APIC_BASE has changed: so have the page, pins, and this side's next event. */
void vcpu_apic_moved(struct vcpu *v);
/* What waits, now that INTR is `intr`, or nmi_blocked or pins are others. */
static inline void vcpu_wants_settled(struct vcpu *v, bool intr)
{
    bool init = v->pins & (VCPU_PIN_INIT | VCPU_PIN_SIPI), nmi = (v->pins & VCPU_PIN_NMI) && !v->nmi_blocked;
    unsigned masked = v->g.halted == HALTED_SIPI ? 0 : (intr ? WANTS_INTR : 0) | (nmi ? WANTS_NMI : 0);
    v->wants = (uint8_t)(masked | (init ? WANTS_INIT : 0));
}
/* IRET: SDM 3A 6.7.1. Even one that faults lets NMIs in again. */
static inline void vcpu_unblock_nmi(struct vcpu *v)
{
    v->nmi_blocked = false;
    if (v->pins)
        vcpu_wants_settled(v, v->wants & WANTS_INTR);
}

#endif
