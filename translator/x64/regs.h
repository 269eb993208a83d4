/* regs.h - one block being compiled, and which host register holds what.
 *
 * Guest registers have fixed host registers. IR temporaries live in the pool (R8 R9 R12) and spill to their
 * slots. R13 belongs to mem.c, and R12, too, in blocks that do well without it. R10 and R11 are scratch
 * inside one emitter. An emitter first asks for its operands (reg_src), then for its result (reg_dst), and
 * only then uses scratch registers: asking may emit moves and stores. MATCH x64_registers. A result register
 * may be that of an operand that dies at this op. No register function writes host flags. */
#ifndef TANDEM_TRANSLATOR_X64_REGS_H
#define TANDEM_TRANSLATOR_X64_REGS_H

#include "translator/cc.h"
#include "translator/x64/cache.h"
#include "translator/x64/emit_x64.h"
#include "translator/x64/probe.h"
#include "translator/x64/x64.h"

enum { HOST_ESP = R14, HOST_STATE = R15, SCRATCH1 = R10, SCRATCH2 = R11, HOST_PAGE = R13, HOST_PAGE2 = R12 };
enum { NTEMPS = IR_NSLOTS - IR_T0 };

/* Where one of the CC values A, B, R is. */
enum cc_where {
    CC_IN_SLOT, /* in its slot, or nobody cares */
    CC_IN_REG,
    CC_IS_IMM,
    CC_DERIVED, /* computable from the other two (flags.h) */
};
struct cc_value {
    uint8_t where; /* enum cc_where */
    uint8_t reg;
    uint32_t imm;
};
enum { CC_A_VALUE, CC_B_VALUE, CC_R_VALUE };

/* A rotate whose CF and OF are not in the flags yet. */
struct cc_rotate {
    uint8_t kind; /* enum cc_rotate_kind */
    uint8_t size;
    uint8_t reg; /* that holds its result; NO_REG: slot IR_ROTATED */
};
enum cc_rotate_kind { CC_ROTATE_NONE, CC_ROTATE_LEFT, CC_ROTATE_RIGHT };

struct cc_state {
    int op; /* enum cc_op; -1: not known here, everything is in the slots */
    bool op_in_slot;
    struct cc_value v[3];
    struct cc_rotate rotate; /* over the rest */
};

/* Places of page groups (mem.c): an addend, and the page it is of, which only loops keep. On the stack, at
 * RSP + 16 * place, between stubs and blocks; the first addends have registers. */
enum {
    PAGE_PLACES = 4,
    PLACE_BYTES = 16,
    PLACE_PAGE = 0,
    PLACE_ADDEND = 8,
    FRAME_BYTES = PAGE_PLACES * PLACE_BYTES + 8
};
/* Sign-extended; all that is 32 bits or near lies far from it. */
#define PLACE_NO_PAGE 0x80000000u

/* Accesses through one base register that one check covers (mem.c). Its place is its number. */
struct page_group {
    bool active;
    bool kept; /* a loop's: its page stays known from one iteration to the next */
    uint8_t place;
    uint8_t base; /* slot */
    bool writes;  /* one of them writes */
    bool aligned; /* one of them must be aligned to 16: base + align_at, modulo 16 */
    uint8_t align_at;
    uint16_t first, last; /* ops */
    int32_t low, high;    /* bytes that they touch, from the base's value at the first one */
};

/* x87 instructions whose FIP, FOP (and FDS) are not stored yet; NULL: none (fpu.h). */
struct fpu_pending {
    const struct ir_op *last, *last_mem;
};

/* Longer blocks that branch to themselves are emitted once. */
enum { LOOP_OPS_MAX = 64 };

/* A block that branches to itself (control.c): its second copy, which is entered with the flags as the branch
 * leaves them. */
struct loop_state {
    bool wanted;         /* the second copy is to be made */
    bool copying;        /* the second copy is being made */
    struct cc_state cc;  /* flags at the branch */
    uint8_t *other;      /* code that leaves the loop, all flags in their slots */
    uint32_t head;       /* where an iteration of the copy begins, behind what entering it takes */
    uint8_t pages;       /* groups whose pages the second copy may keep; counted while the first is made */
    uint8_t kept;        /* of these, groups that the second copy keeps so far */
    bool strip;          /* the second copy is a strip (strip.c) */
    bool strip_fits;     /* the strip can be used */
    bool strip_in_c;     /* an op calls C with its address */
    uint8_t *strip_head; /* where the strip's iteration begins */
    uint8_t strip_page2; /* register of the second place; NO_REG: the frame */
};

struct compile;
/* Code off the main path, emitted behind the block. */
struct far_code {
    void (*emit)(struct compile *c, const struct far_code *f);
    uint8_t *from[4]; /* jumps that lead here (x_patch); NULL: none */
    uint8_t *back;    /* where it goes on */
    uint8_t *hit;     /* a group's check: where it goes on when all is well */
    const struct ir_op *op;
    struct cc_state cc;     /* where flags are at the jump */
    struct fpu_pending fpu; /* likewise */
    uint8_t reg, slot;
    struct page_group group;
};
enum { FAR_MAX = TB_OPS_MAX * 4 + 8 };

/* Entry points shared by all blocks (stubs.c), in the writable view. */
struct stubs {
    uint8_t *enter, *exit, *exit_stored, *leave;
    uint8_t *load[3], *load_rw[3], *store[3], *segment;
    uint8_t *touch, *fpu_enter, *fpu_leave, *fpu_refuse; /* fpu_leave: only where the FPU is on the host */
    uint8_t *cond, *carry, *get_flags, *set_cf, *set_cf_of;
    uint8_t *other_page[2], *other_way;
};

struct x64 {
    /* --- constant after creation: any thread may compile --- */
    struct x64_env env;
    struct stubs stubs;
    struct x64_host host;
    /* --- owned by the thread that runs the code --- */
    struct code_cache cache;
    struct x64_stats stats;
};

/* One block being compiled. */
struct compile {
    struct x64_buf b;
    const struct x64 *x;
    const struct tb *tb;
    const struct ir_op *ops; /* the block's, or strip_ops */
    unsigned nops;
    struct x64_code *out;
    const struct ir_op *op; /* being emitted */
    struct cc_state cc;
    bool fpu_on_host; /* known here: the guest's FPU is on the host's */
    struct fpu_pending fpu;
    uint8_t temp_reg[NTEMPS]; /* NO_REG: in its slot */
    uint8_t reg_temp[16];     /* temporary in a pool register; NTEMPS: none */
    uint16_t pinned;          /* host registers that this op uses */
    uint16_t live_after;      /* temporaries read after this op */
    struct page_group group[PAGE_PLACES];
    unsigned places_used; /* bit: place */
    unsigned pool_most;   /* registers of the pool that an op of the block holds at once */
    uint16_t reserved;    /* pool registers that belong to mem.c in this block */
    struct loop_state loop;
    bool stored; /* guest registers are in their slots, not in host registers */
    struct ir_op strip_ops[LOOP_OPS_MAX];
    unsigned nfar;
    struct far_code far[FAR_MAX];
    uint16_t live[TB_OPS_MAX]; /* temporaries read after the op */
    bool cc_live[TB_OPS_MAX];  /* the flags before the op are seen at it or later */
};

/* --- state in memory --- */

static inline struct host_mem mem_state(uint32_t offset)
{
    return mem_at(HOST_STATE, (int32_t)offset - X64_STATE_BIAS);
}
static inline struct host_mem mem_slot(unsigned slot)
{
    return mem_state(slot * 4);
}
static inline struct host_mem mem_budget(void)
{
    return mem_state(offsetof(struct guest_state, budget));
}

/* --- registers --- */

/* Host register of a guest register slot (0..7). */
unsigned reg_guest(unsigned slot);
/* Fills c->live and clears the allocation; reserves R12 where the block does without it. */
void reg_begin(struct compile *c);
void reg_begin_op(struct compile *c, unsigned index);
/* Register that holds the slot's value. */
unsigned reg_src(struct compile *c, unsigned slot);
/* Register to write the slot's new value to; IR_NONE: a scratch one (SCRATCH1). */
unsigned reg_dst(struct compile *c, unsigned slot);
/* The same where the op keeps part of the old value. */
unsigned reg_dst_kept(struct compile *c, unsigned slot);
/* Takes a register from a pool that the block does not use up: false: it does, or the flags are in it. */
bool reg_reserve(struct compile *c, unsigned reg);
/* A pool register for the rest of this op. */
unsigned reg_scratch(struct compile *c);
/* Temporaries to their slots, for C code that reads slots. */
void reg_spill_temps(struct compile *c);
void reg_store_guest(struct x64_buf *b);
void reg_load_guest(struct x64_buf *b);

struct far_code *far_add(struct compile *c, void (*emit)(struct compile *c, const struct far_code *f),
                         uint8_t *from);

#endif
