/* vcpu_internal.h - what the vcpu files share. Owner of everything here: the vCPU's thread.
 *
 *   run.c        run loop, effects, idle, debug traps           interp.c   the IR interpreter
 *   compiled.c     compiled blocks: entering, leaving, linking; compiling.c  making them
 *   state.c      create, reset, state bytes                    string.c   MOVS..OUTS helpers
 *   mmu.c tlb.h  page walk, softmmu TLB, guest memory access    tbcache.c  TB table, invalidation
 *   spaces.c     what the TLB held of other address spaces
 *   io.c         ports and MMIO through bus map and link        eventlog.c -d int, registers as text
 *   except.c     exceptions, interrupts, IRET, INT             segment.c  descriptors, far transfers
 *   system.c     CRn, DRn, MSRs, CPUID, LGDT, ...              integer.c  DIV, DAA, BOUND, ENTER, ...
 *   fpu.c        x87                                           fpu_host.c x87 while compiled code runs
 *   sse.c        MMX, SSE, SSE2 */
#ifndef TANDEM_VCPU_INTERNAL_H
#define TANDEM_VCPU_INTERNAL_H

#include "clockcore/check.h"
#include "clockcore/ticks.h"
#include "mem/watch.h"
#include "syncq/activity.h"
#include "translator/cc.h"
#include "translator/tb.h"
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

/* Softmmu TLB, direct mapped, one set per privilege (user or supervisor access), for data and for instruction
 * fetch. A fast-path tag is the page's linear address, or TLB_NONE. tag_w is absent for clean pages (dirty
 * tracking), code pages and watched pages. */
#define TLB_BITS    12
#define TLB_ENTRIES (1u << TLB_BITS)
#define TLB_NONE                                                                                             \
    (UINT64_C(1) << 63) /* nor the page of a sum that left 32 bits, below 0 or above (translator/x64/mem.c)  \
                         */
struct tlb_entry {
    _Alignas(32) uint64_t tag_r; /* a power of two of bytes: indexed without a multiply */
    uint64_t tag_w;
    uintptr_t addend;   /* host pointer = addend + linear address */
    uint32_t phys_page; /* page of memory (mem_addr_t), TLB_MMIO and TLB_SPLIT: physical page */
    uint32_t tag;       /* linear page | TLB_* below: what the slow path may do without a new walk */
};
enum {
    TLB_VALID = 1,
    TLB_WRITABLE = 2, /* page tables allow writes and D is set */
    TLB_MMIO = 4,
    TLB_WATCHED = 8,
    TLB_GLOBAL = 16,
    TLB_LISTED = 32 /* the entry's number is in tlb_local: it may have to go at the next CR3 load */,
    TLB_LISTED_GLOBAL = 64 /* in tlb_global */,
    TLB_LARGE = 128, /* of a 4 MiB page */
    TLB_SPLIT = 256, /* data: stores go elsewhere than loads (shadow RAM), or nowhere (ROM) */
};
enum { TLB_DATA, TLB_FETCH = 2, TLB_COUNT = 4 }; /* + 1: user */

/* Placed and keyed as struct x64_jump (x64.h). key 0: empty; single blocks are not here. The hit must still
 * match in cs base and limit, be valid, and its page be mapped where it was. */
struct jump_entry {
    uint64_t key;
    struct tb *tb;
};

struct tbcache;   /* tbcache.c */
struct compiling; /* compiling.c */

struct survey {
    bool on;
    uint64_t calls; /* of the engine */
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
    bool redo_single;    /* set with HELPER_FAULT: no exception, run this instruction as a TB of its own */
    bool fpu_refused;    /* compiled code left for redo_single since its x87 must run in C: see native_run */
    bool intr;           /* cached INTR pin */
    uint64_t local_next; /* tick of the next event on this side; TICK_NEVER: none */
    uint8_t exit_reason; /* enum vcpu_exit + 1, 0: none */
    uint32_t exit_value;
    uint32_t db_pending;       /* DR6 bits of data/I/O breakpoints hit by the running instruction */
    uint64_t rf_tick;          /* tick after the instruction that loaded EFLAGS.RF: see vcpu_rf */
    bool checks_alignment;     /* CR0.AM and EFLAGS.AC: what the TLB's tags of user data follow */
    bool dr_active;            /* DR7 enables something: single-instruction TBs with checks */
    uint64_t fetch_tag;        /* tlb.h: page and privilege of the last instruction fetch; TLB_NONE: none */
    uint32_t fetch_phys_page;  /* its page of memory; MEM_NOWHERE: none, all ones, */
    const uint8_t *fetch_host; /* and where the host has it */
    uint64_t digest_next, progress_next; /* ticks of the next digest point and progress call */
    struct vcpu_until until;             /* where this run ends */
    bool moved;                          /* something was run or delivered: until.condition may be asked */
    struct tlb_entry tlb[TLB_COUNT][TLB_ENTRIES];
    unsigned tlb_local_count, tlb_global_count;
    uint16_t
        tlb_local[TLB_COUNT * TLB_ENTRIES]; /* all entries that are not global, by number, and some others */
    uint16_t tlb_global[TLB_COUNT * TLB_ENTRIES]; /* all global ones, and some others */
    uint32_t tlb_large[32]; /* bit n: since the last full flush there was a 4 MiB page at n << 22 */
    struct spaces *spaces;
    struct mem_watcher watcher; /* of memory: pages with blocks, and page tables in use */
    struct jump_entry jump[1u << X64_JUMP_BITS];
    struct tbcache *tbs;
    uint64_t tb_flushes;         /* bumped when blocks' memory is reused: older struct tb pointers are void */
    struct x64 *native;          /* compiled code; NULL: interpreter only */
    struct compiling *compiling; /* how it is made */
    _Alignas(64) struct x64_jump native_jump[1u << X64_JUMP_BITS]; /* indirect jumps of compiled code */
    struct vcpu_stats stats;
    struct survey survey;
};

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
/* Delivers v->exc at a boundary: g->eip is the faulting instruction's. Handles double and triple faults
 * (sets exit_reason). The run loop calls it. */
void vcpu_deliver_exception(struct vcpu *v);
/* Delivers external interrupt `vector` at a boundary (leaves HLT). Faults in delivery are handled inside. */
void vcpu_deliver_interrupt(struct vcpu *v, unsigned vector);

/* --- guest memory (mmu.c); linear addresses; true: done, false: exception recorded (#PF) or redo_single.
 * Widths 1, 2, 4, 8 bytes; may cross pages. `user`: access rights of CPL 3 or of the supervisor. --- */
bool mem_read(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool user, uint64_t *value);
bool mem_write(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool user, uint64_t value);
/* Checks that [lin_addr, +bytes) could be written (faults as a write would), changing nothing but A/D bits.
 */
bool mem_probe_write(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool user);
/* The same for a run of several operands, which are aligned each on its own account. */
bool mem_probe_write_run(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool user);
bool mem_probe_read(struct vcpu *v, uint32_t lin_addr, unsigned bytes,
                    bool user); /* likewise, as a read would */
/* At the current CPL. */
static inline bool mem_is_user(const struct vcpu *v)
{
    return v->g.cpl == 3;
}
/* For the interpreter's slow path and read-modify-write (for_write: check write permission, then read). */
bool mem_read_slow(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool for_write, uint32_t *value);
bool mem_write_slow(struct vcpu *v, uint32_t lin_addr, unsigned bytes, uint32_t value);
/* For an x87 operand of compiled code: see x64_calls.touch. `copy`: 16 bytes. NULL: fault or redo_single. */
const uint8_t *mem_touch(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool write, uint8_t *copy);
/* Host pointer for up to `bytes` readable/writable within one page, or NULL when MMIO, watched, code,
 * clean or not mapped fast: then use mem_read/mem_write. For bulk string operations. */
uint8_t *mem_fast_read(struct vcpu *v, uint32_t lin_addr);
uint8_t *mem_fast_write(struct vcpu *v, uint32_t lin_addr);
/* The same for a write of `bytes` with these rights; NULL also where it crosses pages. */
uint8_t *mem_fast_run(struct vcpu *v, uint32_t lin_addr, unsigned bytes, bool user);
/* Instruction fetch: host pointer to the page that holds lin_addr and its page of memory (mem_addr_t;
 * MEM_NOWHERE: none, reads as all ones); false: #PF recorded. */
bool mem_fetch_page(struct vcpu *v, uint32_t lin_addr, const uint8_t **host_page, uint32_t *phys_page);
bool mmu_init(struct vcpu *v); /* of a vCPU that is all zero; false: no memory */
void mmu_free(struct vcpu *v);
void tlb_flush(struct vcpu *v);                /* all, globals too */
void tlb_switch(struct vcpu *v, uint32_t cr3); /* CR3 is loaded: all but globals */
void tlb_flush_page(struct vcpu *v, uint32_t lin_addr);
void tlb_flush_local(struct vcpu *v); /* all entries but those of global pages */
/* Entry `number` gets a tag and physical page that it has had before. */
void tlb_restore(struct vcpu *v, unsigned number, uint32_t tag, uint32_t phys_page);
/* Who watches this page of memory has changed: adjust fast-path tags. */
void tlb_protect_page(struct vcpu *v, mem_addr_t page);

/* --- address spaces (spaces.c) --- */
bool spaces_init(struct vcpu *v);
void spaces_free(struct vcpu *v);
/* The TLB is empty; paging or CR3 may have changed in any way. */
void spaces_forget(struct vcpu *v);
/* CR3 is loaded: changes what the TLB holds. */
void spaces_switch(struct vcpu *v, uint32_t cr3);
/* A walk that fills the TLB read the table entry there; MEM_NOWHERE: in no memory. From now on
 * MEM_WATCH_TABLE says so, until its page is no table any more. */
void spaces_walked(struct vcpu *v, mem_addr_t at);
/* [at, +bytes) in such a page is about to be written by the guest. */
void spaces_table_written(struct vcpu *v, mem_addr_t at, unsigned bytes);
/* Memory was changed by somebody else. */
void spaces_memory_changed(struct vcpu *v, const struct mem_range *r);

/* --- blocks (tbcache.c) --- */
bool tbcache_init(struct vcpu *v);
void tbcache_free(struct vcpu *v);
void tbcache_flush(struct vcpu *v);
/* Block for the current eip and mode; single: of one instruction. NULL: exception recorded (fetch fault). */
struct tb *tb_find(struct vcpu *v, bool single);
/* Is any valid block's code in [at, +bytes)? (bitmap of 64-byte chunks first). Pages with blocks have
 * MEM_WATCH_CODE. */
bool tbcache_overlaps(const struct vcpu *v, mem_addr_t at, unsigned bytes);
void tbcache_invalidate(struct vcpu *v, mem_addr_t at, uint64_t bytes);

/* --- engine --- */
/* Runs the block and its successors until a boundary that the run loop must look at. On return g->eip is
 * exact and budget counts exactly the retired instructions. */
void engine_run(struct vcpu *v, struct tb *tb);
/* Interprets from tb on. The block to go on with in compiled code, or NULL. */
struct tb *engine_interpret(struct vcpu *v, struct tb *tb);
/* The interpreter's part of it: until then (NULL), or until a block that has host code (returned, not
 * entered). */
struct tb *interp_run(struct vcpu *v, struct tb *tb);
/* What both engines do at the end of a block that is not linked to its successor, and at a fault (interp.c).
 */
enum { NO_SLOT = 2 };
struct tb *find_successor(struct vcpu *v, struct tb *tb, uint32_t eip, unsigned slot);
void leave_fault(struct vcpu *v, struct tb *tb, const struct ir_op *op);
void leave_at_limit(struct vcpu *v, struct tb *tb);
void raise_op(struct vcpu *v, const struct ir_op *op);

/* --- compiled code (compiled.c) --- */
bool compiled_init(struct vcpu *v);
void compiled_free(struct vcpu *v);
/* An interpreted stretch that counts (survey.c). survey_run: as engine_run, and counts; survey_block: a
 * compiled block is entered. */
bool survey_is_due(struct vcpu *v);
void survey_run(struct vcpu *v, struct tb *tb);
void survey_block(struct vcpu *v, struct tb *tb);
void compiled_get_stats(const struct vcpu *v, struct vcpu_stats *out); /* its part */
/* A new block: when does it count as hot? */
void compiled_block_built(struct vcpu *v, struct tb *tb);
/* It was entered so often in the interpreter that its code may be there, or should be. True: it has code. */
bool compiled_block_hot(struct vcpu *v, struct tb *tb);
/* The block was invalidated; all blocks are about to go. */
void compiled_block_dropped(struct vcpu *v, struct tb *tb);
void compiled_flush(struct vcpu *v);
/* The block's code is about to go: no indirect jump finds it any more. */
void compiled_block_forget_jump(struct vcpu *v, const struct tb *tb);

/* --- making it (compiling.c) --- */
bool compiling_init(struct vcpu *v); /* false: no memory, no threads; compiling_free is still to be called */
void compiling_free(struct vcpu *v);
/* Gives the block host code, unless it is invalid or cannot have any. May evict other blocks' code. */
void compiling_now(struct vcpu *v, struct tb *tb);
/* Calls in all jobs and drops their results, before blocks' memory is reused. */
void compiling_recall(struct vcpu *v);

/* --- the log of blocks (blocklog.c); only with cfg.log_items --- */
void blocklog_built(const struct vcpu *v, const struct tb *tb);
/* Its host code has just become enterable. */
void blocklog_installed(const struct vcpu *v, const struct tb *tb);

/* --- the log of events (eventlog.c); only with their bit in cfg.log_items --- */
void eventlog_interrupt(const struct vcpu *v, const struct pending_exc *exc, bool software, uint32_t eip);
void eventlog_reset(const struct vcpu *v);
void eventlog_unassigned(const struct vcpu *v, uint64_t addr, unsigned bytes, enum access_kind kind);
/* Too many are left out. */
void fault_chain_add(struct fault_chain *c, const struct pending_exc *exc);

/* --- x87 on the host's unit (fpu_host.c); what struct x64_calls says --- */
int64_t fpu_enter_host(struct vcpu *v);
int64_t fpu_leave_host(struct vcpu *v);
int64_t fpu_refuse_host(struct vcpu *v);

/* --- I/O (io.c); only from a TB's last instruction; the stamp is vcpu_insn_tick --- */
static inline uint64_t vcpu_insn_tick(const struct vcpu *v)
{
    return v->limit - (uint64_t)v->g.budget - 1;
}
uint32_t io_port_read(struct vcpu *v, uint16_t port, unsigned bytes);
void io_port_write(struct vcpu *v, uint16_t port, unsigned bytes, uint32_t value);
/* bus_addr: of the bus map. */
uint32_t io_mmio_read(struct vcpu *v, uint64_t bus_addr, unsigned bytes);
void io_mmio_write(struct vcpu *v, uint64_t bus_addr, unsigned bytes, uint32_t value);
/* CPL/IOPL and TSS I/O bitmap check; false: #GP(0) or #PF recorded. */
bool io_allowed(struct vcpu *v, uint16_t port, unsigned bytes);
/* After anything that may have shrunk link_limit() (an access): refreshes v->limit keeping the tick. */
void vcpu_refresh_limit(struct vcpu *v);
/* After anything that was done to the interrupt controller: its pin, and this side's next event. */
void vcpu_intc_settled(struct vcpu *v);

/* --- segments (segment.c) --- */
void seg_set_hidden(struct segment *s, uint16_t sel, uint32_t lo, uint32_t hi);
/* CR0.AM or EFLAGS.AC may have changed (mmu.c). */
void vcpu_alignment_changed(struct vcpu *v);
/* Recomputes g->mode from segments, CRs, cpl. Call after changing any of them. */
void vcpu_update_mode(struct vcpu *v);
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

/* --- the helper table: every HELPER_x of helpers.def has a function helper_x (lower case) --- */
#define HELPER(name, ...) enum helper_result helper_##name(struct vcpu *v, const struct ir_op *op);
#include "translator/helpers.def"
#undef HELPER
extern const ir_helper_fn vcpu_helpers[HELPER_COUNT]; /* interp.c */

#endif
