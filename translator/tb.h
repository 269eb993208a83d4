/* tb.h - translation blocks: what a block is keyed by, what it holds.
 *
 * A TB is a straight run of guest instructions from one entry, within one page (only its first
 * instruction may cross into the next); a long one also goes on behind jumps, calls, the returns from these
 * calls and conditional jumps to where the guest mostly goes on, with IR_SIDE, IR_EXPECT and IR_CROSS where
 * it may go elsewhere, on TB_PAGES pages at most. It ends at a control transfer, before an instruction that
 * would cross the page or one that is marked, after TB_INSNS_MAX instructions, and after every helper whose
 * column `ends` (helpers.def) says so: its effect is not confined to slots and memory and may matter to the
 * next instruction, or it needs the tick. REP string instructions also start a TB of their own: their tick
 * count is dynamic. A plain instruction that was seen to access a device is a block of its own, a device
 * block: the run loop looks at what came of the access before the next instruction. So a helper that needs
 * the tick is always in the TB's last instruction: tick of that instruction = limit - budget - 1. */
#ifndef TANDEM_TRANSLATOR_TB_H
#define TANDEM_TRANSLATOR_TB_H

#include "translator/ir.h"

#define TB_INSNS_MAX      32
#define TB_LONG_INSNS_MAX 64 /* of a long block */
enum {
    TB_PAGES = 4, /* that a block may lie on */
    TB_SIDES_MAX = 6,
    TB_EXITS = 2 + TB_SIDES_MAX
}; /* chain exits: 0 and 1 at the end, then those of IR_SIDE */
#define TB_OPS_MAX 512

/* What besides the address decides the meaning of the bytes (with the code segment's base and limit). */
enum {
    TB_MODE_CODE32 = 1 << 0,  /* CS.D */
    TB_MODE_STACK32 = 1 << 1, /* SS.B */
    TB_MODE_FLAT = 1 << 2, /* CS, DS, ES, SS usable, base 0, limit 4 GiB, readable+writable data: no checks */
    TB_MODE_USER = 1 << 3, /* CPL 3 */
    TB_MODE_PE = 1 << 4,   /* protected mode (CR0.PE), but not virtual-8086 mode */
    TB_MODE_FPU_NM = 1 << 5,  /* x87 instructions raise #NM (CR0.EM or CR0.TS) */
    TB_MODE_CPL0 = 1 << 6,    /* CPL 0: privileged instructions are allowed */
    TB_MODE_WAIT_NM = 1 << 7, /* WAIT raises #NM (CR0.MP and CR0.TS) */
    TB_MODE_VM86 = 1 << 8,    /* virtual-8086 mode (EFLAGS.VM) */
    TB_MODE_SINGLE = 1 << 9,  /* build key only: the block has one instruction */
    TB_MODE_SSE_UD = 1 << 10, /* XMM instructions raise #UD (CR0.EM, or CR4.OSFXSR clear) */
    TB_MODE_MMX_UD = 1 << 11, /* MMX instructions raise #UD (CR0.EM) */
    TB_MODE_TS_NM = 1 << 12,  /* both raise #NM otherwise (CR0.TS) */
    TB_MODE_SHORT = 7 << 13,  /* build key only: log2 of the most instructions it has; 0: TB_INSNS_MAX */
    TB_MODE_PLAIN = 63 << 16, /* outside flat mode, bit enum seg_reg: see tb_mode_plain */
};
/* MATCH tb_mode_plain. The segment is writable expand-up data, in protected mode or, for CS, readable code,
 * with a limit of FFFFh or more: of an offset below 10000h only the end of the operand is left to check. So
 * are all segments of real and virtual-8086 mode, as a rule. */
static inline uint32_t tb_mode_plain(unsigned seg)
{
    return 1u << (16 + seg);
}
#define TB_SHORT_SHIFT    13
#define TB_SHORT_LOG2_MAX 4
_Static_assert(2 << TB_SHORT_LOG2_MAX == TB_INSNS_MAX, "a short block has fewer");

/* The block's host code, if it has any; the numbers are offsets in the code cache. Owner: the back end, on
 * the vCPU's thread. */
struct tb_native {
    const void *code;         /* entry for indirect jumps; NULL: none */
    uint16_t chained;         /* from there to where chain exits continue, which never change CS */
    uint16_t enter;           /* to where the owner enters, who has also looked up the second page */
    uint32_t offset, bytes;   /* of the code, in the cache; bytes 0: none */
    uint32_t lists;           /* in the cache: for copies of the code (x64/copy.c); 0: none can be made */
    uint32_t far, far_offset; /* bytes from `far` on, which are off the main path, are there, by themselves */
    uintptr_t in;             /* list of chain exits that continue here: struct tb * | number; 0: end */
    uint32_t loop; /* where chain exit 1 continues in this same block, flags in registers; 0: at code */
    uint32_t loop_jump, loop_exit,
        loop_next; /* the same jump at the end of that copy, where it is linked to; 0: a strip */
};

/* A chain exit. */
struct tb_exit {
    struct tb *chain; /* direct successor, or NULL (owner: the engine) */
    /* The rest is about host code, and the back end's. */
    struct tb *to;       /* where it is linked to; NULL: not */
    uintptr_t in_next;   /* the list `in` of that block */
    uint32_t jump, exit; /* its jump and its way out; 0: it cannot be linked */
};

/* What a block covers of a page behind its first; bytes 0: none. */
struct tb_part {
    uint32_t phys_addr, bytes, lin_page;
};

/* Its place in the list of the blocks on a page. */
struct tb_page_link {
    struct tb *next, **from; /* `from`: what points to this block: the list's head or the `next` before it */
};

/* What only a block has that lies on more than one page. */
struct tb_span {
    struct tb_part more[TB_PAGES - 1]; /* in the order in which it comes to these pages */
    struct tb_page_link in_page[TB_PAGES - 1];
};

/* A translation worker may read a block while the vCPU runs it: what is set when a block is built never
 * changes, but for the fields that name an owner, `valid` and `requested`; those are the vCPU's thread's.
 * Most blocks run a few times: what finding and entering them asks comes first, in one line of the host's
 * cache. */
struct tb {
    uint32_t
        phys_addr; /* of the first byte: its mem_addr_t (mem/physmem.h), as of all physical addresses here */
    uint32_t lin_addr; /* cs base + eip at entry */
    uint32_t cs_base;
    uint32_t cs_limit; /* that fetches were checked against (TB_MODE_FLAT: 0xffffffff) */
    uint32_t mode;     /* TB_MODE_* */
    int32_t cold;      /* entries left in the interpreter until the block counts as hot */
    uint16_t nops;
    uint8_t ninsns;    /* ticks that the block takes when it runs to its end (REP: per iteration) */
    uint8_t valid;     /* 0: invalidated, never entered again */
    uint8_t requested; /* 1: a worker is asked for its code */
    uint8_t fpu_in_c; /* 1: x87 instructions are helper calls in its host code (owner: the engine; not changed
                         while a worker is asked for its code) */
    uint8_t marked;   /* 1: a mark is at its address; each entry goes through tb_find(), which tells of it */
    uint8_t movable;  /* 1: it may be made into a block at another linear address (tb_move) */
    uint8_t is_long;  /* 1: a long block (owner: the engine) */
    uint8_t samples;  /* how often the run stopped before it (owner: the engine) */
    uint8_t nexits;
    int16_t low;    /* where the bytes begin that it covers: 0, or less in a long block */
    uint16_t bytes; /* guest bytes covered from there on; a long block's: with what lies between its parts */
    struct tb *hash_next; /* owner: the TB table */
    struct tb_native native;
    uint32_t phys_page2; /* physical page of the bytes past the page end; ~0u: none */
    uint16_t
        went[2]; /* how often the interpreter left it by chain exit 0 and 1 of IR_JCC (owner: the engine) */
    uint16_t went_before[2]; /* a long block: those of the plain one that it began as */
    uint32_t arena_bytes;    /* owner: the TB table */
    struct tb_exit *exits;   /* behind the ops */
    const int32_t
        *insn_offset; /* of each instruction, from the first; [ninsns]: behind the last; behind the exits */
    struct tb_page_link in_page; /* on its first page */
    struct tb_span *span;        /* behind the offsets; NULL: it lies on one page */
    struct ir_op ops[];          /* nops of them */
};

/* Where valid blocks were found last, whatever their address spaces. key 0: empty; single blocks, marked ones
 * and those whose first instruction crosses a page end are not here. A hit must still match in cs base and
 * limit, and its page be mapped where it was. Owner: the vCPU's thread. */
struct jump_entry {
    uint64_t key; /* jump_key */
    struct tb *tb;
};
#define JUMP_BITS 14
#define JUMP_MIX  0x9e5u /* odd: neighbouring pages land far apart */

/* The place of a block, and of its pair with bit 0 the other way. By physical page: what several address
 * spaces have at one linear address does not collide. */
static inline unsigned jump_index(uint32_t lin_addr, uint32_t phys_page)
{
    return (lin_addr ^ (phys_page >> 12) * JUMP_MIX) & ((1u << JUMP_BITS) - 1);
}
/* Bit 63 keeps the key of a mode 0 block from being that of an empty entry. */
static inline uint64_t jump_key(uint32_t lin_addr, uint32_t mode)
{
    return UINT64_C(1) << 63 | (uint64_t)mode << 32 | lin_addr;
}

static inline bool tb_spans(const struct tb *tb)
{
    return tb->span != NULL;
}

/* How often the first and the second copy of its host code were executed: at the end of its memory, in blocks
 * that are made to be counted. */
static inline uint64_t *tb_executions(const struct tb *tb)
{
    return (uint64_t *)((uintptr_t)tb + tb->arena_bytes) - 2;
}

#endif
