/* vcpu.h - one virtual CPU: state, MMU, interrupts and the run loop.
 *
 * Threads: create/reset/destroy while it does not run; vcpu_run on the vCPU's own thread; everything else
 * there too, unless it says otherwise. */
#ifndef TANDEM_VCPU_VCPU_H
#define TANDEM_VCPU_VCPU_H

#include <stdio.h>

#include "mem/physmem.h"
#include "translator/guest_state.h"
#include "vcpu/cpumodel.h"
#include "vcpu/observer.h"

struct vcpu;
struct access;
struct activity;
struct busmap;
struct link;

/* The interrupt controller and whatever else is on the vCPU's side (8259 pair, a local timer), wired by the
 * board. Called on the vCPU's thread only. */
struct vcpu_intc {
    void *ctx;
    void (*set_line)(void *ctx, unsigned line, unsigned level);
    bool (*intr)(const void *ctx);          /* INTR pin */
    uint8_t (*acknowledge)(void *ctx);      /* INTA cycle: vector (spurious when nothing is pending) */
    bool (*can_interrupt)(const void *ctx); /* false: every line is masked, no interrupt can ever come */
    /* FERR# and IGNNE#, for guests that clear CR0.NE. Both NULL: the pins are not connected. */
    void (*set_ferr)(void *ctx, bool asserted);
    bool (*ignne)(const void *ctx);
    /* What changes by itself on this side; NULL: nothing does. next_event: when (absolute virtual ns,
     * NS_NEVER: not), asked after every call of another hook and every access here. advance: at the first
     * tick at or after that, behind the devices' events and effects at the tick, before its instruction;
     * again while more is due. */
    uint64_t (*next_event)(const void *ctx);
    void (*advance)(void *ctx, uint64_t now_ns);
    /* What these devices do to one another at once, done; then, of the CPU's other pins, what has come since
     * the last call: VCPU_PIN_*. Called before `intr` and `next_event` are asked. NULL: nothing ever. */
    uint32_t (*settle)(void *ctx);
    uint32_t (*pins)(const void *ctx); /* VCPU_PIN_* that may come by themselves; NULL: none */
    /* A pulse at the wire that leads to the NMI pin. NULL: it leads there and nowhere else. */
    void (*nmi)(void *ctx);
    /* IA32_APIC_BASE; a write that is false is a #GP. NULL, both: there is no local APIC. */
    uint64_t (*apic_base)(const void *ctx);
    bool (*set_apic_base)(void *ctx, uint64_t value);
};

/* Events at the CPU's pins that no flag masks. MATCH cpu_pins */
enum {
    VCPU_PIN_NMI = 1,
    VCPU_PIN_INIT = 2,
    VCPU_PIN_WAIT = 4,             /* with INIT: not the bootstrap processor, it waits for a SIPI */
    VCPU_PIN_SIPI = 8,             /* bits 8 to 15: the vector */
    VCPU_PIN_SIPI_VECTOR = 0xff00, /* of the start-up IPI */
};

#define VCPU_APIC_ENABLE 0x800u /* IA32_APIC_BASE: the local APIC is on */

/* How blocks are run. Never seen by the guest. */
/* Blocks that go on behind conditional jumps (translator/tb.h). ANY: a test's, whichever way. */
enum long_blocks { LONG_BLOCKS_ON, LONG_BLOCKS_OFF, LONG_BLOCKS_ANY };

/* Blocks that are made from one for the same bytes at another linear address (translator/tb.h). CHECKED: a
 * test's, what comes of it is compared with what would be built anew. */
enum moved_blocks { MOVED_BLOCKS_ON, MOVED_BLOCKS_OFF, MOVED_BLOCKS_CHECKED };

enum translator_mode {
    TRANSLATOR_INTERP,     /* interpreted */
    TRANSLATOR_EAGER,      /* compiled before their first run */
    TRANSLATOR_BACKGROUND, /* interpreted until they are hot, then compiled by worker threads, if there are
                              any */
};

/* What goes to the log (QEMU's -d items). */
enum {
    VCPU_LOG_IN_ASM = 1 << 0, /* of each block */
    VCPU_LOG_OP = 1 << 1,
    VCPU_LOG_OUT_ASM = 1 << 2,
    VCPU_LOG_INT = 1 << 3,          /* exceptions and interrupts as they are delivered, with registers */
    VCPU_LOG_CPU_RESET = 1 << 4,    /* registers before a reset */
    VCPU_LOG_GUEST_ERRORS = 1 << 5, /* accesses that no device answers, writes against a data sheet */
};

#define VCPU_CODE_CACHE_MIN  (UINT64_C(64) << 10) /* bytes */
#define VCPU_CODE_CACHE_MAX  (UINT64_C(1) << 30)
#define VCPU_TRANSLATORS_MAX 64
#define VCPU_MARKS_MAX       1024

struct vcpu_config {
    struct physmem *mem; /* whole: every memory has been added */
    struct link *link;
    struct busmap *bus; /* looked up, and its windows moved, by the vCPU's thread */
    struct vcpu_intc intc;
    int apic_remap;         /* with intc.apic_base: the remap (mem/remap.h) that shows its page; -1: none */
    unsigned shift;         /* ticks to ns */
    struct cpu_model model; /* all zero: the default */
    uint64_t panel_until;   /* up to this tick a reset or an NMI may come from outside and end any halt */
    uint8_t number;
    bool single_tb; /* test: every TB has one instruction */
    enum translator_mode translator;
    unsigned hot; /* interpreted entries before a block counts as hot; 0: the default */
    unsigned
        translator_threads;     /* 0..VCPU_TRANSLATORS_MAX; 0: hot blocks are compiled by the vCPU's thread */
    int translator_not_on_cpu;  /* host CPU that workers stay off; PIN_ANY: none */
    size_t code_cache_bytes;    /* VCPU_CODE_CACHE_MIN..MAX; 0: the default */
    uint64_t translator_jitter; /* test: seed of random delays of workers; 0: none */
    enum long_blocks long_blocks;
    uint32_t long_blocks_seed; /* of LONG_BLOCKS_ANY */
    enum moved_blocks moved_blocks;
    bool no_chain;            /* test: blocks are never linked to one another */
    uint32_t pretend_differs; /* test: probes of the host that count as failed (translator/x64/probe.h) */
    bool host_unasked;        /* test: no probes */
    uint64_t digest_every;    /* ticks between digest points; 0: none */
    /* Called at every multiple of digest_every, after all effects at that tick; vCPU's thread. */
    void (*digest)(void *ctx, uint64_t tick);
    void *digest_ctx;
    /* Called now and then (at most once a quantum) on the vCPU's thread: status line, limits. May be NULL. */
    void (*progress)(void *ctx, uint64_t tick);
    void *progress_ctx;
    struct vcpu_observer observer; /* all zero: nobody watches */
    bool survey;                   /* count for the hit rates of vcpu_stats (survey.c): host time only */
    unsigned log_items;            /* VCPU_LOG_*; 0: no log */
    unsigned hot_list;             /* blocks that vcpu_list_hot tells of; 0: nothing is counted for it */
    FILE *log_file; /* the caller's; written by the vCPU's thread and by vcpu_log_write_error */
};

enum vcpu_exit {
    VCPU_EXIT_POWEROFF, /* guest power-off (EFFECT_POWEROFF) */
    VCPU_EXIT_RESET,    /* guest asked for a reset (EFFECT_RESET) */
    VCPU_EXIT_DEBUG,    /* isa-debug-exit; value in vcpu_exit_value */
    VCPU_EXIT_HALTED,   /* HLT with interrupts off, or with nothing that can interrupt */
    VCPU_EXIT_TRIPLE_FAULT,
    VCPU_EXIT_STOPPED,    /* link_stop() */
    VCPU_EXIT_TICK_LIMIT, /* vcpu_until.tick */
    VCPU_EXIT_CONDITION,  /* vcpu_until.condition */
};

struct vcpu_until {
    uint64_t tick; /* TICK_NEVER: no limit; one that is past: at once */
    /* Asked before each instruction but the one at which the run begins: true ends the run there. Runs one
     * instruction at a time while it is set. NULL: none. */
    bool (*condition)(void *ctx);
    void *ctx;
};

/* Counts since the start. */
struct vcpu_stats {
    uint64_t icount, idle_ticks;
    uint64_t tb_built, tb_bytes, tb_ops, tb_lookups, tb_invalidated;
    uint64_t tb_placed;               /* times a block went to another linear address */
    uint64_t tb_moved, native_copied; /* made from a block at another linear address; with its host code */
    uint64_t tlb_fills, tlb_flushes, tlb_restored;
    uint64_t exceptions, interrupts;
    uint64_t native_exits;     /* returns from compiled code to the run loop */
    uint64_t native_links;     /* jumps between compiled blocks that were chained */
    uint64_t native_misses;    /* native_exits that went on in another block */
    uint64_t native_slow;      /* loads and stores of compiled code that took the slow path */
    uint64_t survey_ticks;     /* ticks in surveys (survey.c) */
    uint64_t survey_blocks;    /* blocks that surveys counted */
    uint64_t survey_accesses;  /* loads and stores that surveys counted */
    uint64_t host_probes;      /* questions to the host's CPU (translator/x64/probe.def); 0: interpreted */
    uint64_t host_differs;     /* of these, answered otherwise: what they guard is done in C */
    uint64_t native_blocks;    /* compiled blocks that were installed */
    uint64_t native_evicted;   /* compiled blocks that made room for others */
    uint64_t native_discarded; /* results of workers that came too late */
    uint64_t native_bytes;     /* host code made in all */
    uint64_t native_used_bytes, native_cache_bytes; /* host code in the cache now, and the cache's size */
};

/* Does this host's CPU compute as a vCPU relies on (arch/hostcheck.c)? False: `why` says what it lacks.
 * `pretend`: test: bits of questions that count as answered with no. Any thread. */
bool vcpu_host_check(uint32_t pretend, char *why, size_t bytes);
/* NULL: no memory. */
struct vcpu *vcpu_create(const struct vcpu_config *cfg);
void vcpu_destroy(struct vcpu *v);
/* Power-on state of a P6 (SDM 3A 9.1), flushing TLB and TBs; ticks go on. */
void vcpu_reset(struct vcpu *v);
/* INIT, as a board makes of the shutdown behind a triple fault. */
void vcpu_init_at_shutdown(struct vcpu *v);
/* Direct-boot state: 32-bit flat protected mode, paging off, interrupts off, CS=0x10 (code) and DS..SS=0x18
 * (data) base 0 limit 4 GiB, eip as given; GPRs zero until set through vcpu_state(). */
void vcpu_set_flat32(struct vcpu *v, uint32_t eip, uint16_t code_sel, uint16_t data_sel);
struct guest_state *vcpu_state(struct vcpu *v);
/* After changing segments, CRs or cpl in vcpu_state() from outside: recomputes mode, flushes TLB. */
void vcpu_state_changed(struct vcpu *v);
/* Where the next runs end, if not before (none at first). The vCPU stands. */
void vcpu_until(struct vcpu *v, const struct vcpu_until *until);
/* For an observer's functions, but `event`: the run is to end at this tick (VCPU_EXIT_TICK_LIMIT), if not
 * before. The next vcpu_until forgets it. */
void vcpu_stop_at(struct vcpu *v, uint64_t tick);
/* For an observer's `mark`: its `sample` is called at the mark's tick, too, before the instruction. */
void vcpu_sample_at(struct vcpu *v, uint64_t tick);
/* Addresses of which the observer's `mark` is told, in place of those before; it copies them. Drops all
 * translations. While it stands, or in the observer's `sample`. False: more than VCPU_MARKS_MAX. */
bool vcpu_set_marks(struct vcpu *v, const uint32_t *lin_addr, unsigned count);
/* Runs until something of enum vcpu_exit. However it ended: the vCPU stands behind the effects of its tick
 * and before its instruction, all its accesses are taken (link_settle), and another call goes on as if
 * nothing had been. */
enum vcpu_exit vcpu_run(struct vcpu *v);
uint32_t vcpu_exit_value(const struct vcpu *v);
/* For people, while it stands. Registers: several whole lines. After VCPU_EXIT_TRIPLE_FAULT: where it was and
 * the faults that led there, without a newline. */
void vcpu_print_registers(const struct vcpu *v, FILE *out);
void vcpu_print_triple_fault(const struct vcpu *v, FILE *out);
/* VCPU_LOG_* from now on; it stands. Blocks that are translated already are not told of. */
void vcpu_set_log(struct vcpu *v, unsigned items);
/* The hottest blocks so far, with cfg.hot_list; it stands. json: NULL, or where they go as JSON. */
void vcpu_list_hot(struct vcpu *v, FILE *out, FILE *json);
/* For VCPU_LOG_GUEST_ERRORS: a device's data sheet speaks against this write. Any thread. */
void vcpu_log_write_error(const struct vcpu *v, const struct access *a, const char *device, const char *text);
uint64_t vcpu_tick(const struct vcpu *v); /* icount + idle, at the vCPU's current boundary */
uint64_t vcpu_now_ns(const struct vcpu *v);
void vcpu_get_stats(const struct vcpu *v, struct vcpu_stats *out);
/* Translation workers that it has, and what one of them is doing (syncq/activity.h). */
unsigned vcpu_workers(const struct vcpu *v);
struct activity *vcpu_worker_activity(const struct vcpu *v, unsigned worker);
/* In observer.sample: the instruction that comes next is not the first of its block, so it is no string
 * instruction with REP. */
bool vcpu_is_inside(const struct vcpu *v);
/* Guest memory as the page tables of `cr3` show it now (of the paging mode now; CR0.PG clear: physical), to
 * look at: no A bit, no TLB, no fault, no rights. Returns how many bytes could be read before one that is
 * not mapped or not memory. vCPU's thread, while it stands or in an observer's function. */
size_t vcpu_peek(const struct vcpu *v, uint32_t cr3, uint32_t lin_addr, void *to, size_t bytes);
/* The byte there, and with it the rest of its page; NULL: none. Valid until the vCPU runs on. */
const uint8_t *vcpu_peek_byte(const struct vcpu *v, uint32_t cr3, uint32_t lin_addr);
/* The same as vcpu_peek of the bytes at CS:EIP, but where the fetch TLB has the page of the first one, it
 * says where the bytes are. */
size_t vcpu_peek_code(const struct vcpu *v, void *to, size_t bytes);
/* Takes what others have written to memory while it stood (mem/watch.h): drops code there, and translations
 * that page tables there gave. vcpu_run does so by itself. */
void vcpu_take_changes(struct vcpu *v);

#endif
