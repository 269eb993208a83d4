/* compile.h - one block being compiled: the parts that each file keeps for itself, and the code off its main
 * path.
 *
 * The headers of the parts name struct compile by pointer alone; only .c files include this one. */
#ifndef TANDEM_TRANSLATOR_X64_COMPILE_H
#define TANDEM_TRANSLATOR_X64_COMPILE_H

#include "translator/x64/cache.h"
#include "translator/x64/control.h"
#include "translator/x64/flags.h"
#include "translator/x64/fpu.h"
#include "translator/x64/group.h"
#include "translator/x64/parts.h"
#include "translator/x64/probe.h"
#include "translator/x64/regs.h"
#include "translator/x64/stubs.h"
#include "translator/x64/x64.h"

/* Code off the main path, emitted behind the block. */
struct far_code {
    void (*emit)(struct compile *c, const struct far_code *f);
    uint8_t *from[4]; /* jumps that lead here (x_patch); NULL: none */
    uint8_t *back;    /* where it goes on */
    uint8_t *hit;     /* a group's check: where it goes on when all is well */
    uint8_t *lookup;  /* where the TLB is asked: once more, if the page was in the second way */
    const struct ir_op *op;
    bool careful;             /* from the careful copy */
    uint16_t resume;          /* goes on in the careful copy, with this op; 0: at `back` */
    uint8_t temp_reg[NTEMPS]; /* where temporaries are then */
    struct cc_state cc;       /* where flags are at the jump */
    struct fpu_pending fpu;   /* likewise */
    uint8_t reg, arg;         /* what `emit` takes them for */
    struct page_group group;
};
enum { FAR_MAX = TB_OPS_MAX * 4 + 8 };

struct x64 {
    /* --- constant after creation: any thread may compile --- */
    struct x64_env env;
    bool counts; /* code counts executions */
    struct stubs stubs;
    struct x64_host host;
    /* --- owned by the thread that runs the code --- */
    struct code_cache cache, far_cache; /* main paths; all else: cold code would fill the host's caches */
    struct x64_stats stats;
};

/* The block's ops once more, each access checked by itself (mem.c). */
struct careful_copy {
    bool possible;
    bool emitting;           /* what is emitted belongs to it */
    bool wanted[TB_OPS_MAX]; /* somebody goes on there with op i */
    uint8_t *at[TB_OPS_MAX];
};

/* A way out of the block that faults share: those that find the same flags and x87 pointers. */
struct fault_tail {
    const uint8_t *at;
    struct cc_state cc;
    struct fpu_pending fpu;
};
enum { FAULT_TAILS_MAX = 8 };

/* One block being compiled. */
struct compile {
    struct x64_buf b;
    const struct x64 *x;
    const struct tb *tb;
    const struct ir_op *ops; /* the block's */
    unsigned nops;
    struct x64_code *out;
    const struct ir_op *op; /* being emitted */
    struct cc_state cc;
    struct reg_state regs;
    bool fpu_on_host; /* known here: the guest's FPU is on the host's */
    struct fpu_pending fpu;
    struct page_groups groups;
    unsigned places_used; /* bit: place */
    struct loop_state loop;
    struct careful_copy careful;
    uint8_t *side[TB_EXITS]; /* code of a chain exit of IR_SIDE, all flags in their slots; NULL: not yet */
    uint8_t *same_segment;   /* jump of the helper before, to behind it (segload.h); NULL: none */
    bool done_ahead;         /* the op before did the next one's work, too */
    bool stored;             /* guest registers are in their slots, not in host registers */
    unsigned nfault_tails;
    struct fault_tail fault_tail[FAULT_TAILS_MAX];
    unsigned nfar;
    struct far_code far[FAR_MAX];
};

enum { OP_BYTES_MAX = 512, BLOCK_BYTES_MAX = OP_BYTES_MAX * (TB_OPS_MAX + 2) };
/* What one thread needs to compile. */
struct x64_compiler {
    struct compile c;
    struct x64_refs refs;
    uint8_t code[BLOCK_BYTES_MAX];
    struct x64_parts parts;
    uint8_t part_of[BLOCK_BYTES_MAX]; /* touched only where somebody asks for parts */
};

struct far_code *far_add(struct compile *c, void (*emit)(struct compile *c, const struct far_code *f),
                         uint8_t *from);

#endif
