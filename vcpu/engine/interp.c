/* interp.c - the IR interpreter: threaded code over the arrays of struct ir_op.
 *
 * interp_run() is one function on purpose: its body is generated from ir_ops.def and the DO_
 * macros of interp_ops.inc, and every handler ends with its own indirect jump to the next, so that the
 * host predicts each of them apart.
 *
 * A block reserves its ticks at entry. Blocks of one guest page are chained: within a page the
 * translation cannot change without leaving the engine. Other successors go through the jump cache,
 * which is valid while the fetch TLB still maps the page to where the block was built (tlb.h), and
 * otherwise through tb_find().
 *
 * A sample (observer.h) may lie inside of a block. Then the operation that comes next at its tick is given
 * the handler `inner_sample` for a while, so that no other block, and no other run of this one, pays for
 * samples. All slots but those of the flags are exact there (ir.h, contract). Until the sample is taken the
 * budget is below zero: tick = limit - budget holds, and a way out of the block's middle gives back what
 * brings it above. What the block did before the sample is undone, if that was no more than to write slots
 * and memory and the block has host code: that runs all of it faster than the interpreter its rest. */
#include "translator/ir_handlers.h"
#include "translator/shift.h"
#include "vcpu/arch/arch.h"
#include "vcpu/engine/engine.h"
#include "vcpu/helpers.h"

#include <string.h>

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

const ir_helper_fn vcpu_helpers[HELPER_COUNT] = {
#define HELPER(name, ...) helper_##name,
#include "translator/helpers.def"
#undef HELPER
};

/* --- host memory, unaligned --- */

#define HOST_ACCESS(BITS)                                                                                    \
    static inline uint32_t host_load##BITS(const uint8_t *p)                                                 \
    {                                                                                                        \
        uint##BITS##_t x;                                                                                    \
        memcpy(&x, p, sizeof x);                                                                             \
        return x;                                                                                            \
    }                                                                                                        \
    static inline void host_store##BITS(uint8_t *p, uint32_t value)                                          \
    {                                                                                                        \
        uint##BITS##_t x = (uint##BITS##_t)value;                                                            \
        memcpy(p, &x, sizeof x);                                                                             \
    }
HOST_ACCESS(8)
HOST_ACCESS(16)
HOST_ACCESS(32)

/* --- values --- */

static inline uint32_t put_byte(uint32_t old, uint32_t value, unsigned shift)
{
    return (old & ~(0xffu << shift)) | (value & 0xff) << shift;
}

static inline void put_product(uint32_t *s, const struct ir_op *op, uint32_t low, uint32_t high)
{
    if (op->size == 0) {
        s[op->dst] = high << 8 | low;
        return;
    }
    s[op->dst] = low;
    s[op->aux] = high;
}

/* --- flags --- */

static inline uint32_t carry(const uint32_t *s)
{
    switch (s[IR_CC_OP]) {
    case CC_OP(CC_KIND_SUB, 2):
        return s[IR_CC_A] < s[IR_CC_B];
    case CC_OP(CC_KIND_ADD, 2):
        return s[IR_CC_R] < s[IR_CC_A];
    case CC_OP(CC_KIND_LOGIC, 2):
        return 0;
    default:
        return cc_cf(s[IR_CC_OP], s[IR_CC_A], s[IR_CC_B], s[IR_CC_R]);
    }
}

static __attribute__((noinline)) void set_cf(uint32_t *s, uint32_t cf)
{
    cc_slots_set_cf(s, cf);
}

static __attribute__((noinline)) void set_cf_of(uint32_t *s, uint32_t cf, uint32_t of)
{
    cc_slots_set_cf_of(s, cf, of);
}

static __attribute__((noinline)) void rotate_carry_left(uint32_t *s, const struct ir_op *op, unsigned n,
                                                        unsigned bits, bool flags)
{
    n = shift_carry_count(n, bits);
    uint64_t turned = shift_rcl(s[op->a], carry(s), n, bits);
    uint32_t r = (uint32_t)turned & shift_mask(bits), cf = turned >> bits & 1;
    s[op->dst] = r;
    if (flags && n)
        set_cf_of(s, cf, shift_rcl_of(r, cf, bits));
}

static __attribute__((noinline)) void rotate_carry_right(uint32_t *s, const struct ir_op *op, unsigned n,
                                                         unsigned bits, bool flags)
{
    n = shift_carry_count(n, bits);
    uint64_t turned = shift_rcr(s[op->a], carry(s), n, bits);
    uint32_t r = (uint32_t)turned & shift_mask(bits);
    s[op->dst] = r;
    if (flags && n)
        set_cf_of(s, turned >> bits & 1, shift_ror_of(r, bits));
}

static unsigned double_shift_count(const uint32_t *s, const struct ir_op *op)
{
    return (op->flags & IRF_IMM ? op->imm : s[op->aux]) & 31;
}

static __attribute__((noinline)) void shift_double_left(uint32_t *s, const struct ir_op *op, unsigned bits,
                                                        unsigned size, bool flags)
{
    unsigned n = double_shift_count(s, op);
    uint32_t a = s[op->a], r = shift_shld(a, s[op->b], n, bits);
    s[op->dst] = r;
    if (flags && n)
        cc_slots_set(s, shift_shld_flags(a, n, r, size));
}

static __attribute__((noinline)) void shift_double_right(uint32_t *s, const struct ir_op *op, unsigned bits,
                                                         unsigned size, bool flags)
{
    unsigned n = double_shift_count(s, op);
    uint32_t a = s[op->a], r = shift_shrd(a, s[op->b], n, bits);
    s[op->dst] = r;
    if (flags && n)
        cc_slots_set(s, shift_shrd_flags(a, n, r, size));
}

/* --- segments --- */

/* The common case inline. */
static inline bool segment_address(struct vcpu *v, const struct ir_op *op, uint32_t *lin_addr)
{
    const struct segment *seg = &v->g.seg[op->aux];
    uint32_t offset = v->g.slot[op->a] + op->imm, last = offset + (1u << op->size) - 1;
    if (seg_is_plain_data(seg) && last >= offset && last <= seg->limit) {
        *lin_addr = seg->base + offset;
        return true;
    }
    return seg_linear(v, op->aux, offset, 1u << op->size, op->flags & IRF_WRITE, lin_addr);
}

/* --- leaving and continuing --- */

void raise_op(struct vcpu *v, const struct ir_op *op)
{
    if (op->aux & 1)
        vcpu_raise_error(v, op->imm, op->imm2);
    else
        vcpu_raise(v, op->imm);
}

static uint32_t tb_eip(const struct tb *tb)
{
    return tb->lin_addr - tb->cs_base;
}

/* Gives back the ticks of what did not retire: the faulting instruction and all after it. */
void leave_fault(struct vcpu *v, struct tb *tb, const struct ir_op *op)
{
    bool trap = v->exc.pending && v->exc.is_trap;
    unsigned retired = op->insn + (trap ? 1u : 0u);
    v->g.budget += (int64_t)tb->ninsns - retired;
    v->g.eip = trap ? v->exc.next_eip : tb_eip(tb) + (uint32_t)tb->insn_offset[op->insn];
    v->in_device = false;
    v->tb = tb;
}

static bool same_page(uint32_t addr1, uint32_t addr2)
{
    return PAGE_OF(addr1 ^ addr2) == 0;
}

static inline struct tb *jump_lookup(struct vcpu *v, const struct tb *tb, uint32_t eip)
{
    uint32_t lin_addr = tb->cs_base + eip, phys_page = PAGE_OF(tb->phys_addr);
    if (!same_page(lin_addr, tb->lin_addr)) {
        /* At the limit an interrupt may come first: then this page is never fetched. */
        if (v->g.budget <= 0 || !fetch_page_hits(v, lin_addr))
            return NULL;
        phys_page = v->fetch_phys_page;
    }
    struct tb *next = jump_get(v, jump_index(lin_addr, phys_page), jump_key(lin_addr, tb->mode), phys_page);
    if (!next)
        return NULL;
    if (!(tb->mode & TB_MODE_FLAT) && (next->cs_base != tb->cs_base || next->cs_limit != tb->cs_limit))
        return NULL;
    return next;
}

static bool may_chain(const struct tb *tb, const struct tb *next)
{
    return tb->valid && tb->phys_page2 == ~0u && next->phys_page2 == ~0u && !next->marked &&
           same_page(tb->lin_addr, next->lin_addr);
}

/* The successor at eip, or NULL: back to the run loop (block of one, limit, or a fetch fault). */
struct tb *find_successor(struct vcpu *v, struct tb *tb, uint32_t eip, unsigned chain_exit)
{
    v->tb = tb;
    v->g.eip = eip;
    if ((tb->mode & TB_MODE_SINGLE) || v->g.budget <= 0)
        return NULL;
    struct tb *next = jump_lookup(v, tb, eip);
    if (next && !may_chain(tb, next))
        return next;
    uint64_t flushes = v->tb_flushes;
    if (!next)
        next = tb_find(v, false);
    /* A flush has reused the memory of tb. */
    if (next && chain_exit != NO_CHAIN_EXIT && v->tb_flushes == flushes && !v->cfg.no_chain &&
        may_chain(tb, next))
        tb->exits[chain_exit].chain = next;
    return next;
}

void leave_at_limit(struct vcpu *v, struct tb *tb)
{
    v->g.budget += tb->ninsns;
    v->g.eip = tb_eip(tb);
    v->tb = tb;
}

/* --- samples inside of a block --- */

enum { INNER_SAMPLE = IRH_COUNT, INNER_STORE }; /* handlers that no operation has for good */

/* Operations get their own handlers back. */
static void inner_sample_disarm(struct vcpu *v)
{
    struct inner_sample *i = &v->inner_sample;
    if (!i->op)
        return;
    i->op->handler = i->handler;
    for (unsigned n = 0; n < i->stores; n++)
        i->store[n].op->handler = i->store[n].handler;
    i->op = NULL;
}

/* False: there are too many. */
static bool inner_store_arm(struct inner_sample *i, struct ir_op *op)
{
    if (i->stores == INNER_STORES)
        return false;
    i->store[i->stores++] = (struct inner_store){.op = op, .handler = op->handler};
    op->handler = INNER_STORE;
    return true;
}

/* The block was entered and contains the tick of the next sample. */
static void inner_sample_arm(struct vcpu *v, struct tb *tb, bool undoes)
{
    struct inner_sample *i = &v->inner_sample;
    struct ir_op *op = tb->ops, *const last = &tb->ops[tb->nops - 1];
    const uint64_t end = v->limit - (uint64_t)v->g.budget;
    i->stores = i->stored = 0;
    for (const unsigned insn = tb->ninsns - (unsigned)(end - v->sample_next); op->insn < insn && op < last;
         op++)
        undoes = undoes && op->op != IR_HELPER && (op->op != IR_ST || inner_store_arm(i, op));
    i->undoes = undoes;
    i->fills = v->stats.tlb_fills;
    memcpy(i->slot, v->g.slot, sizeof i->slot);
    i->op = op;
    i->handler = op->handler;
    op->handler = INNER_SAMPLE;
}

/* As DO_ST, and notes what was there. A slow path does more than store. */
static __attribute__((noinline)) bool inner_store(struct vcpu *v, const struct tlb_entry *tlb,
                                                  const struct ir_op *op)
{
    struct inner_sample *i = &v->inner_sample;
    const uint32_t lin_addr = v->g.slot[op->a] + op->imm, bytes = 1u << op->size;
    uint32_t value = op->flags & IRF_IMM ? op->imm2 : v->g.slot[op->b];
    const struct tlb_entry *e = &tlb[tlb_index(lin_addr)];
    if (e->tag_w != PAGE_OF(lin_addr + bytes - 1) || i->stored == i->stores) {
        i->undoes = false;
        value &= UINT32_MAX >> (32 - 8 * bytes);
        return mem_write_slow(v, lin_addr, bytes, value);
    }
    struct inner_store *s = &i->store[i->stored++];
    s->at = tlb_host(e, lin_addr);
    s->bytes = (uint8_t)bytes;
    memcpy(&s->before, s->at, bytes);
    memcpy(s->at, &value, bytes);
    return true;
}

/* The block is as if it had not been entered. */
static void inner_sample_undo(struct vcpu *v, struct tb *tb)
{
    struct inner_sample *i = &v->inner_sample;
    while (i->stored > 0) {
        const struct inner_store *s = &i->store[--i->stored];
        memcpy(s->at, &s->before, s->bytes);
    }
    memcpy(v->g.slot, i->slot, sizeof i->slot);
    leave_at_limit(v, tb);
}

/* The operation that was armed is reached: at its tick, or in another run of the block. True: the block is
 * to be entered anew. */
static __attribute__((noinline)) bool inner_sample_reached(struct vcpu *v, struct tb *tb)
{
    const uint64_t end = v->limit - (uint64_t)v->g.budget;
    inner_sample_disarm(v);
    if (end <= v->sample_next || end - v->sample_next > tb->ninsns || v->g.budget >= 0)
        return false;
    const unsigned insn = tb->ninsns - (unsigned)(end - v->sample_next);
    v->g.eip = tb_eip(tb) + (uint32_t)tb->insn_offset[insn];
    vcpu_sample_inside(v, end, insn > 0);
    if (v->sample_next < end) {
        inner_sample_arm(v, tb, false);
        return false;
    }
    /* A fill of the TLB may be another one when it comes again. */
    if (!v->inner_sample.undoes || v->inner_sample.fills != v->stats.tlb_fills)
        return false;
    inner_sample_undo(v, tb);
    return true;
}

#define DISPATCH goto *labels[op->handler]
#define NEXT                                                                                                 \
    do {                                                                                                     \
        op++;                                                                                                \
        DISPATCH;                                                                                            \
    } while (0)
#define ENTER                                                                                                \
    do {                                                                                                     \
        if (unlikely(tb->cold-- <= 0) && compiled_block_hot(v, tb))                                          \
            return tb;                                                                                       \
        if (unlikely((v->g.budget -= tb->ninsns) < 0))                                                       \
            goto at_limit;                                                                                   \
        op = tb->ops;                                                                                        \
        DISPATCH;                                                                                            \
    } while (0)

/* gcc's global subexpression pass would merge the indirect jumps into one. */
#ifdef __clang__
#define THREADED
#else
#define THREADED __attribute__((optimize("no-gcse", "no-crossjumping")))
#endif

THREADED struct tb *interp_run(struct vcpu *v, struct tb *tb)
{
    static const void *const labels[IRH_COUNT + 2] = {
#define HANDLER(name)          &&L_##name,
#define IROP(name, shape, ...) FORMS_##shape(name)
#include "translator/ir_ops.def"
#undef IROP
#undef HANDLER
        [INNER_SAMPLE] = &&inner_sample, [INNER_STORE] = &&inner_store};
    uint32_t *const s = v->g.slot;
    const struct tlb_entry *const tlb =
        v->tlb[0][TLB_DATA + mem_is_user(v)]; /* the privilege changes only outside */
    const struct ir_op *op;
    uint32_t eip;
    unsigned chain_exit;

    if (unlikely(v->inner_sample.op)) {
        op = tb->ops;
        DISPATCH;
    }
    ENTER;

#include "vcpu/engine/interp_ops.inc"

not_chained:
    tb = find_successor(v, tb, eip, chain_exit);
    if (!tb)
        return NULL;
    ENTER;

inner_sample:
    if (inner_sample_reached(v, tb))
        return tb;
    DISPATCH;

inner_store:
    if (!inner_store(v, tlb, op))
        goto fault;
    NEXT;

at_limit:
    leave_at_limit(v, tb);
    return NULL;

fault:
    leave_fault(v, tb, op);
    return NULL;
}

struct tb *engine_across_sample(struct vcpu *v, struct tb *tb)
{
    const uint64_t flushes = v->tb_flushes;
    v->g.budget -= tb->ninsns;
    inner_sample_arm(v, tb, tb->native.code && !v->dr_active);
    struct tb *next = engine_interpret(v, tb);
    if (v->tb_flushes != flushes)
        v->inner_sample.op = NULL; /* its memory is another block's */
    inner_sample_disarm(v);
    return next;
}
