/* x64.h - the x86-64 back end: compiles a block's IR to host code and keeps the code.
 *
 * The code cache is one memory object mapped twice, writable and executable, never both in one view (W^X).
 * Compiled blocks address the owner's state through `env`: offsets from the start of the state (struct
 * guest_state first) and C functions. The meaning of every op is the interpreter's
 * (vcpu/engine/interp_ops.inc).
 *
 * In compiled code (MATCH x64_registers): guest EAX ECX EDX EBX EBP ESI EDI are in their host namesakes, ESP
 * in R14, R15 points X64_STATE_BIAS bytes into the state. CC slots are exact at block ends, helpers and
 * faults; between, flags are where flags.h says.
 *
 * Threads: x64_compile and the x64_compiler and x64_code functions: any, a compiler by one at a time. All
 * else: the thread that runs the code (the vCPU's). Errors: where memory is short, NULL or false; then blocks
 * are interpreted. */
#ifndef TANDEM_TRANSLATOR_X64_X64_H
#define TANDEM_TRANSLATOR_X64_X64_H

#include <stddef.h>

#include "translator/tb.h"

#define X64_STATE_BIAS 128 /* slots get one-byte displacements */

enum {
    X64_TOUCH_BYTES = 0xff,
    X64_TOUCH_WRITE = 1 << 8,
    X64_TOUCH_ALIGNED = 1 << 9
}; /* to 16 bytes, or run alone */

/* What emitted code calls. A state pointer is the owner's. */
struct x64_calls {
    /* Slow path of a load: the value, or -1: fault. write: for read-modify-write. */
    int64_t (*load)(void *state, uint32_t lin_addr, unsigned bytes, unsigned for_write);
    int64_t (*store)(void *state, uint32_t lin_addr, unsigned bytes, uint32_t value); /* 0, or -1: fault */
    /* Linear address, or -1: fault. `seg_bytes_write`: segment | bytes << 8 | write << 16. */
    int64_t (*segment)(void *state, uint32_t offset, unsigned seg_bytes_write);
    /* Fills the TLB for an access; `what`: bytes | X64_TOUCH_*. The host's place of the operand (a copy, of
     * one that crosses pages and is read), or -1: fault, or the instruction must run alone. */
    int64_t (*touch)(void *state, uint32_t lin_addr, unsigned what);
    /* guest_state.x87 to fpu_host.image and back. enter: -1: not now, the instruction runs alone, in C. */
    int64_t (*fpu_enter)(void *state);
    int64_t (*fpu_leave)(void *state);
    int64_t (*fpu_refuse)(void *state); /* this instruction must run alone, in C; -1 */
    /* Behind IR_LEAVE_TB: the code of the block to go on with at once; NULL: leave, X64_EXIT_LEAVE. */
    const void *(*next)(void *state);
    const ir_helper_fn *helpers;
};

/* Where jumps to other pages and indirect jumps find compiled code: by the linear address's low bits, at that
 * place or in the other of its pair. A key says linear address, mode and epoch. The epoch is the fetch TLB's,
 * of the mode's privilege: it changes when an entry leaves that TLB. An entry with the present epoch's key
 * thus says that the fetch TLB maps the address to where the block is, and the jump needs no other check; one
 * with an older epoch is checked once (stubs.c), and gets the present one. A block whose place is another's,
 * of another address space as a rule, is looked for in struct jump_entry (tb.h), and put here. Arrays of
 * their own: their elements need no multiplication. */
enum { X64_JUMP_BITS = 16, X64_JUMP_PLACES = 1 << X64_JUMP_BITS, X64_EPOCH_BITS = 10 };
#define X64_JUMP_BYTES  8 /* of an element of `key` and of `code` */
#define X64_EPOCH_SHIFT (64 - X64_EPOCH_BITS)
struct x64_jumps {
    uint64_t hi;                   /* of the keys of the present mode and epoch; the owner keeps it right */
    uint64_t key[X64_JUMP_PLACES]; /* x64_jump_hi | linear address; 0: empty */
    const void *code[X64_JUMP_PLACES];
    uint32_t phys_page[X64_JUMP_PLACES]; /* of the block */
    uint32_t linked_end; /* blocks on pages of memory from here on are not jumped to by compiled code */
};
static inline unsigned x64_jump_place(uint32_t lin_addr)
{
    return lin_addr & (X64_JUMP_PLACES - 1);
}
/* epoch: 1 to 2^X64_EPOCH_BITS - 1, so that no key is 0. */
static inline uint64_t x64_jump_hi(uint32_t mode, uint32_t epoch)
{
    return (uint64_t)epoch << X64_EPOCH_SHIFT | (uint64_t)mode << 32;
}
/* Do the keys differ in the epoch alone? */
static inline bool x64_jump_is_stale(uint64_t key, uint64_t wanted)
{
    return (key ^ wanted) << X64_EPOCH_BITS == 0;
}

/* A load of a data segment register at CPL 0 from the GDT: what it made of the register, and the descriptor.
 * A load of the same from the same is one that changes nothing. */
struct x64_load {
    uint64_t head;  /* the first 8 bytes of struct segment */
    uint64_t bits;  /* the descriptor */
    uint32_t limit; /* of struct segment */
};

#define X64_TLB_ENTRY_BYTES 32 /* emitted indexing: page << 5 */

/* Where things are: byte offsets from the start of the state. */
struct x64_env {
    uint32_t tlb[2], itlb[2]; /* data and fetch TLB, supervisor and user */
    uint32_t tlb_bits;        /* log2 of entries */
    uint32_t tlb_way_bytes;   /* from an entry of the first way to that of the second */
    uint32_t tlb_entry_bytes; /* X64_TLB_ENTRY_BYTES */
    uint32_t tag_r, tag_w, addend,
        phys_page;     /* inside an entry; tags are 64 bits: the linear page, or bit 63 */
    uint32_t fetch_at; /* inside an entry for fetches: 64 bits: the linear page, and above it phys_page, or no
                          page. MATCH fetch_at */
    uint32_t likely;   /* 64 bits: the likely addend of the supervisor's entries; any value does */
    uint32_t wants;    /* 8 bits: 0: nothing waits to be delivered */
    uint32_t jumps;    /* struct x64_jumps */
    uint32_t found;    /* struct jump_entry[1 << JUMP_BITS] */
    uint32_t loads;    /* struct x64_load[SEG_COUNT] */
    uint32_t running_tb; /* struct tb *: stored before each helper */
    struct x64_calls calls;
};

/* Why compiled code came back. */
enum x64_exit_kind {
    X64_EXIT_CHAIN0, /* wants the successor of chain exit 0, and so on */
    X64_EXIT_CHAIN1,
    X64_EXIT_CHAIN_LAST = TB_EXITS - 1,
    X64_EXIT_JUMP,  /* wants the block at linear address `arg` */
    X64_EXIT_LIMIT, /* not entered: the budget is below zero by its ticks */
    X64_EXIT_LEAVE, /* IR_LEAVE_TB */
    X64_EXIT_FAULT, /* `arg` is the op's number: exception recorded, or single-instruction block wanted */
    X64_EXIT_RAISE, /* `arg` is the number of an IR_RAISE op */
    X64_EXIT_OTHER, /* jumped to and not entered: CS is not the block's, or the fetch TLB does not have its
                       second  page where the block expects it */
};
struct x64_exit {
    uint64_t tb_kind; /* struct tb * | enum x64_exit_kind */
    uint64_t arg;
};
enum { X64_KIND_MASK = 63 }; /* blocks are 64-byte aligned */

/* What a byte of host code is for, in the list of hot blocks. */
enum x64_part {
    X64_PART_WORK,    /* what the guest's instruction asks for */
    X64_PART_GUARD,   /* checks of memory accesses: TLB, page groups, segments */
    X64_PART_FLAGS,   /* guest flags: stored, computed again, asked for */
    X64_PART_TICKS,   /* accounting of ticks */
    X64_PART_MOVE,    /* between registers and slots, for want of registers or of a third operand */
    X64_PART_JUMP,    /* from block to block */
    X64_PART_CALL,    /* of C: helpers, and registers for them */
    X64_PART_FPU,     /* where x87 and SSE are, and the x87's pointers */
    X64_PART_COUNTER, /* counts executions, for that list: not counted */
    X64_PART_COUNT
};
extern const char *const x64_part_names[X64_PART_COUNT];
/* A block's code with the part of each byte. Offsets in it: 0, no copy. */
struct x64_block_parts {
    const uint8_t *code, *of;
    uint32_t nbytes;
    uint32_t copy;      /* the second copy begins, with what entering it takes */
    uint32_t copy_head; /* its iteration begins */
    uint32_t far;       /* code off the main path begins */
};

struct x64;
#define X64_CACHE_BYTES_MIN ((size_t)64 << 10)
#define X64_CACHE_BYTES_MAX ((size_t)1 << 30)
/* NULL: no memory, or the host forbids executable mappings. */
struct x64 *x64_create(const struct x64_env *env, size_t cache_bytes);
/* From now on code counts tb_executions. Before anything is compiled. */
void x64_count_executions(struct x64 *x);
void x64_destroy(struct x64 *x);

/* Scratch memory of a thread that compiles. NULL: no memory. */
struct x64_compiler;
struct x64_compiler *x64_compiler_create(const struct x64 *x);
void x64_compiler_destroy(struct x64_compiler *z);

/* A block's host code before it is installed. Offsets are from its first byte; 0: there is none. */
struct x64_code {
    const uint8_t *bytes;
    const uint32_t *refs;  /* rel32 fields that point to stubs */
    const uint32_t *inner; /* rel32 fields of jumps within the code */
    const uint32_t *moves; /* fields that change with the block (enum x64_move) */
    uint32_t nbytes, nrefs, ninner, nmoves;
    bool movable; /* the block is */
    uint32_t far; /* what is off the main path begins here; it gets a place of its own */
    uint32_t jump[TB_EXITS], exit[TB_EXITS], chained, enter; /* see struct tb_native */
    uint32_t loop, loop_jump, loop_exit, loop_next;
};
/* Reads of the block only what never changes (not valid, cold, native, successors). The result lies in the
 * compiler's memory until the next call. */
void x64_compile(struct x64_compiler *z, const struct tb *tb, struct x64_code *out);
/* Once more, with what each byte is for. The result lies in the compiler's memory until the next call. */
void x64_compile_parts(struct x64_compiler *z, const struct tb *tb, struct x64_block_parts *out);
/* The code of `to`, made from that of `from`, which has the same guest code at another linear address (tb.h,
 * movable). The result lies in the compiler's memory until the next call; the compiler's thread runs the
 * code. False: `from` has no code that can be copied. */
bool x64_copy(struct x64_compiler *z, const struct tb *from, const struct tb *to, struct x64_code *out);
/* The installed code of `tb` becomes that of the same guest code at a linear address that is `by` higher. Its
 * links to other blocks stay as they are. Only for code that can be copied. */
void x64_move(struct x64 *x, const struct tb *tb, uint32_t by);
/* For tests: are they the same, to the byte? */
bool x64_code_equals(const struct x64_code *a, const struct x64_code *b);
/* Moves the result to memory of its own; false: there is none, and the code is empty. */
bool x64_code_keep(struct x64_code *code);
void x64_code_free(struct x64_code *code);

/* Could an empty cache hold it? Has it room now? If not, the oldest must be evicted first. */
bool x64_could_hold(const struct x64 *x, const struct x64_code *code);
bool x64_has_room(struct x64 *x, const struct x64_code *code);
/* The block whose code is the oldest in the cache, or NULL: it was dropped. Not to be asked while the cache
 * is empty. */
struct tb *x64_oldest(const struct x64 *x);
void x64_evict_oldest(struct x64 *x);
/* Places the code, which has room, and fills tb->native. */
void x64_install(struct x64 *x, struct tb *tb, const struct x64_code *code);
/* Enters a compiled block. The budget, eip and so on are as the interpreter's caller leaves them. */
struct x64_exit x64_run(struct x64 *x, void *state, const struct tb *tb);

/* Makes that chain exit of `from` continue in `to` directly; both compiled, and on one page. */
void x64_chain(struct x64 *x, struct tb *from, unsigned chain_exit, struct tb *to);
/* Nothing continues in the block, nor does it in others. */
void x64_unchain(struct x64 *x, struct tb *tb);
/* No block that lies on several pages continues in it. */
void x64_unchain_spanning(struct x64 *x, struct tb *tb);
/* The block has no host code any more, and nothing continues in it: it was invalidated, or is to be compiled
 * anew. The code that may still be running keeps its place until its turn comes to be evicted. */
void x64_drop(struct x64 *x, struct tb *tb);
/* Forgets all code; the blocks themselves go, too. */
void x64_reset(struct x64 *x);

struct x64_stats {
    uint64_t blocks, host_bytes, evicted;
    size_t used_bytes, cache_bytes;
    uint32_t host_differs; /* bit: enum x64_probe (probe.h) */
};
void x64_get_stats(const struct x64 *x, struct x64_stats *out);

#endif
