/* x64.h - the x86-64 back end: compiles a block's IR to host code and keeps the code.
 *
 * The code cache is one memory object mapped twice, writable and executable, never both in one view (W^X).
 * Compiled blocks address the owner's state through `env`: offsets from the start of the state (struct guest_state
 * first) and C functions. The meaning of every op is the interpreter's (vcpu/interp_ops.inc).
 *
 * In compiled code (MATCH regs.h): guest EAX ECX EDX EBX EBP ESI EDI are in their host namesakes, ESP in R14, R15 points
 * X64_STATE_BIAS bytes into the state. CC slots are exact at block ends, helpers and faults; between, flags are
 * where flags.h says.
 *
 * Threads: one, the vCPU's, unless a function says otherwise.
 * Errors: x64_compile says X64_FULL when the cache has no room; the owner calls x64_reset after forgetting all
 * compiled code. */
#ifndef TANDEM_TRANSLATOR_X64_X64_H
#define TANDEM_TRANSLATOR_X64_X64_H

#include <stddef.h>

#include "translator/tb.h"

#define X64_STATE_BIAS 128 /* slots get one-byte displacements */

/* What emitted code calls. A state pointer is the owner's. */
struct x64_calls {
    /* Slow path of a load: the value, or -1: fault. write: for read-modify-write. */
    int64_t (*load)(void *state, uint32_t lin_addr, unsigned bytes, unsigned for_write);
    int64_t (*store)(void *state, uint32_t lin_addr, unsigned bytes, uint32_t value); /* 0, or -1: fault */
    /* Linear address, or -1: fault. `seg_bytes_write`: segment | bytes << 8 | write << 16. */
    int64_t (*segment)(void *state, uint32_t offset, unsigned seg_bytes_write);
    const ir_helper_fn *helpers;
};

/* One entry of the table that indirect jumps look up; see x64_env.jumps. */
struct x64_jump {
    uint64_t key;       /* x64_jump_key; 0: empty */
    const void *code;
    uint32_t phys_page; /* of the block */
    uint32_t reserved[3];
};
#define X64_JUMP_BITS 12
_Static_assert(sizeof(struct x64_jump) == 32, "MATCH emitted indexing in control.c");

static inline unsigned x64_jump_index(uint32_t lin_addr)
{
    return (lin_addr ^ lin_addr >> 12) & ((1u << X64_JUMP_BITS) - 1);
}
static inline uint64_t x64_jump_key(uint32_t lin_addr, uint32_t mode)
{
    return UINT64_C(1) << 63 | (uint64_t)mode << 32 | lin_addr;
}

#define X64_TLB_ENTRY_BYTES 64 /* emitted indexing: page << 6 */

/* Where things are: byte offsets from the start of the state. */
struct x64_env {
    uint32_t tlb[2], itlb[2];     /* data and fetch TLB, supervisor and user */
    uint32_t tlb_bits;            /* log2 of entries */
    uint32_t tlb_entry_bytes;     /* X64_TLB_ENTRY_BYTES */
    uint32_t tag_r, tag_w, addend, tag, phys_page; /* inside an entry */
    uint32_t generation_tag;      /* uint64_t: what every valid tag holds above the page address */
    uint32_t fetch_tag, fetch_phys_page, fetch_host;
    uint32_t jumps;               /* struct x64_jump[1 << X64_JUMP_BITS] */
    uint32_t running_tb;          /* struct tb *: stored before each helper */
    struct x64_calls calls;
};

/* Why compiled code came back. */
enum x64_exit_kind {
    X64_EXIT_CHAIN0, /* wants the successor of chain slot 0, */
    X64_EXIT_CHAIN1, /* 1 */
    X64_EXIT_JUMP,   /* wants the block at eip `arg` */
    X64_EXIT_LIMIT,  /* not entered: the budget is below zero by its ticks */
    X64_EXIT_LEAVE,  /* IR_LEAVE_TB */
    X64_EXIT_FAULT,  /* `arg` is the op: exception recorded, or single-instruction block wanted */
    X64_EXIT_RAISE,  /* `arg` is an IR_RAISE op */
};
struct x64_exit {
    uint64_t tb_kind; /* struct tb * | enum x64_exit_kind */
    uint64_t arg;
};
enum { X64_KIND_MASK = 63 }; /* blocks are 64-byte aligned */

struct x64;
/* NULL: no memory, or the host forbids executable mappings. */
struct x64 *x64_create(const struct x64_env *env, size_t cache_bytes);
void x64_destroy(struct x64 *x);

enum x64_result { X64_OK, X64_FULL };
/* Fills tb->native. */
enum x64_result x64_compile(struct x64 *x, struct tb *tb);
/* Enters a compiled block. The budget, eip and so on are as the interpreter's caller leaves them. */
struct x64_exit x64_run(struct x64 *x, void *state, const struct tb *tb);

/* Makes slot `slot` of `from` continue in `to` directly; both compiled. The caller vouches that a control transfer
 * between them needs no check but that of the fetch TLB when they lie on different pages. */
void x64_link(struct x64 *x, struct tb *from, unsigned slot, struct tb *to);
/* Nothing continues in tb any more: it was invalidated. Its own code stays until the next reset. */
void x64_unlink(struct x64 *x, struct tb *tb);
/* Forgets all code; the owner has cleared every tb->native. */
void x64_reset(struct x64 *x);

struct x64_stats {
    uint64_t blocks, host_bytes, resets;
    size_t used_bytes, cache_bytes;
};
void x64_get_stats(const struct x64 *x, struct x64_stats *out);

#endif
