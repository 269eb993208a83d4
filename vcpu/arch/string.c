/* string.c - MOVS, CMPS, STOS, LODS, SCAS, INS, OUTS, alone and repeated.
 *
 * Every iteration of a REP is one tick and leaves exact ECX, ESI, EDI and flags. A REP goes on in one
 * call while ticks are left and nothing could happen between two iterations (an interrupt that is
 * accepted, a trap); then it leaves with eip at itself. The engine has reserved one tick; each
 * iteration after the first takes one more when it begins, and a fault gives the reserved one back.
 *
 * step() does one iteration by the general way. bulk() does as many as lie within one page on each side
 * of plain memory that the TLB has at hand; its result is what so many steps would have left,
 * overlapping copies included. A REP that writes over itself is fetched anew with its next iteration
 * (processors do that after an interrupt only, so that what they do depends on its time).
 *
 * A repeated CMPS or SCAS writes the flags when it ends, and not before: after a fault, and while an
 * interrupt or a trap between two iterations is served, they are what they were in front of the
 * instruction (SDM 2B REP: a fault restores them; docs/decisions.md has the measurement of the rest).
 * Between two iterations EFLAGS.RF is 1, whatever it was before, so that an instruction breakpoint on the REP
 * is not met again: what is delivered there pushes it (measured on an Intel processor, as was 0 behind the
 * last). */
#include "clockcore/check.h"
#include "translator/cc.h"
#include "vcpu/arch/arch.h"
#include "vcpu/helpers.h"
#include "vcpu/mmu/io.h"
#include "vcpu/mmu/mmu.h"

#include <string.h>

struct elements {
    uint32_t a, b;
};

struct string_insn {
    const struct ir_op *op;
    struct elements *last; /* CMPS, SCAS: the last two that were compared */
    unsigned bytes;        /* of an element */
    uint32_t mask;         /* of ECX, ESI, EDI: address size */
    int32_t step;          /* +bytes or -bytes */
    unsigned seg;          /* of the source */
    bool repe;             /* REP is repe; else REPNE, or none */
    unsigned log2;         /* of bytes */
};

/* One iteration; false: fault or redo, nothing changed. */
typedef bool step_fn(struct vcpu *v, const struct string_insn *x);
/* Up to `max` iterations; 0: none that could be done at once. */
typedef uint32_t bulk_fn(struct vcpu *v, const struct string_insn *x, uint32_t max);

static struct string_insn string_insn(const struct vcpu *v, const struct ir_op *op)
{
    unsigned bytes = 1u << op->size;
    return (struct string_insn){.op = op,
                                .bytes = bytes,
                                .mask = op->aux & STR_ADDR16 ? 0xffff : 0xffffffff,
                                .step = v->g.df * (int32_t)bytes,
                                .seg = op->aux >> STR_SEG_SHIFT,
                                .repe = op->aux & STR_REPE,
                                .log2 = op->size};
}

/* --- registers --- */

static uint32_t reg_get(const struct vcpu *v, const struct string_insn *x, unsigned slot)
{
    return v->g.slot[slot] & x->mask;
}

static void reg_add(struct vcpu *v, const struct string_insn *x, unsigned slot, uint32_t delta)
{
    uint32_t old = v->g.slot[slot];
    v->g.slot[slot] = (old & ~x->mask) | ((old + delta) & x->mask);
}

static uint32_t value_mask(const struct string_insn *x)
{
    return 0xffffffffu >> (32 - 8 * x->bytes);
}

static uint32_t acc_get(const struct vcpu *v, const struct string_insn *x)
{
    return v->g.slot[IR_EAX] & value_mask(x);
}

static void acc_set(struct vcpu *v, const struct string_insn *x, uint32_t value)
{
    uint32_t old = v->g.slot[IR_EAX];
    v->g.slot[IR_EAX] = (old & ~value_mask(x)) | (value & value_mask(x));
}

/* The flags of the comparison that ends the instruction. */
static void set_flags(struct vcpu *v, const struct string_insn *x)
{
    const struct elements *e = x->last;
    uint32_t *s = v->g.slot;
    s[IR_CC_OP] = CC_OP(CC_KIND_SUB, x->op->size);
    s[IR_CC_A] = e->a;
    s[IR_CC_B] = e->b;
    s[IR_CC_R] = (e->a - e->b) & value_mask(x);
}

/* --- one element --- */

static bool is_flat(const struct vcpu *v, unsigned seg)
{
    return (v->g.mode & TB_MODE_FLAT) && seg < SEG_FS && seg != SEG_CS;
}

static bool element_addr(struct vcpu *v, const struct string_insn *x, unsigned seg, unsigned slot, bool write,
                         uint32_t *lin_addr)
{
    uint32_t offset = reg_get(v, x, slot);
    *lin_addr = offset;
    return is_flat(v, seg) || seg_linear(v, seg, offset, x->bytes, write, lin_addr);
}

static bool element_read(struct vcpu *v, const struct string_insn *x, unsigned seg, unsigned slot,
                         uint32_t *value)
{
    uint32_t lin_addr;
    uint64_t wide;
    if (!element_addr(v, x, seg, slot, false, &lin_addr) ||
        !mem_read(v, lin_addr, x->bytes, mem_is_user(v), &wide))
        return false;
    *value = (uint32_t)wide;
    return true;
}

static bool element_write(struct vcpu *v, const struct string_insn *x, uint32_t value)
{
    uint32_t lin_addr;
    return element_addr(v, x, SEG_ES, IR_EDI, true, &lin_addr) &&
           mem_write(v, lin_addr, x->bytes, mem_is_user(v), value);
}

static bool step_movs(struct vcpu *v, const struct string_insn *x)
{
    uint32_t value;
    if (!element_read(v, x, x->seg, IR_ESI, &value) || !element_write(v, x, value))
        return false;
    reg_add(v, x, IR_ESI, (uint32_t)x->step);
    reg_add(v, x, IR_EDI, (uint32_t)x->step);
    return true;
}

static bool step_cmps(struct vcpu *v, const struct string_insn *x)
{
    uint32_t a, b;
    if (!element_read(v, x, SEG_ES, IR_EDI, &b) ||
        !element_read(v, x, x->seg, IR_ESI, &a)) /* Intel's order */
        return false;
    *x->last = (struct elements){a, b};
    reg_add(v, x, IR_ESI, (uint32_t)x->step);
    reg_add(v, x, IR_EDI, (uint32_t)x->step);
    return true;
}

static bool step_stos(struct vcpu *v, const struct string_insn *x)
{
    if (!element_write(v, x, acc_get(v, x)))
        return false;
    reg_add(v, x, IR_EDI, (uint32_t)x->step);
    return true;
}

static bool step_lods(struct vcpu *v, const struct string_insn *x)
{
    uint32_t value;
    if (!element_read(v, x, x->seg, IR_ESI, &value))
        return false;
    acc_set(v, x, value);
    reg_add(v, x, IR_ESI, (uint32_t)x->step);
    return true;
}

static bool step_scas(struct vcpu *v, const struct string_insn *x)
{
    uint32_t value;
    if (!element_read(v, x, SEG_ES, IR_EDI, &value))
        return false;
    *x->last = (struct elements){acc_get(v, x), value};
    reg_add(v, x, IR_EDI, (uint32_t)x->step);
    return true;
}

/* The port is read only when the store cannot fault any more. */
static bool step_ins(struct vcpu *v, const struct string_insn *x)
{
    uint16_t port = (uint16_t)v->g.slot[IR_EDX];
    uint32_t lin_addr;
    bool user = mem_is_user(v);
    if (!element_addr(v, x, SEG_ES, IR_EDI, true, &lin_addr) || !mem_probe_write(v, lin_addr, x->bytes, user))
        return false;
    bool stored = mem_write(v, lin_addr, x->bytes, user, io_port_read(v, port, x->bytes));
    CHECK(stored);
    reg_add(v, x, IR_EDI, (uint32_t)x->step);
    return true;
}

static bool step_outs(struct vcpu *v, const struct string_insn *x)
{
    uint16_t port = (uint16_t)v->g.slot[IR_EDX];
    uint32_t value;
    if (!element_read(v, x, x->seg, IR_ESI, &value))
        return false;
    io_port_write(v, port, x->bytes, value);
    reg_add(v, x, IR_ESI, (uint32_t)x->step);
    return true;
}

/* --- many elements --- */

/* How many elements from `addr` on, in the direction of x, lie whole in an aligned span of `span` bytes. */
static uint32_t elements_within(const struct string_insn *x, uint32_t addr, uint32_t span)
{
    uint32_t offset = addr & (span - 1);
    if (offset + x->bytes > span)
        return 0;
    return x->step > 0 ? (span - offset) >> x->log2 : (offset >> x->log2) + 1;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Is the whole run of n elements inside the segment? On doubt no: then step() decides. */
static bool run_in_segment(const struct vcpu *v, const struct string_insn *x, unsigned seg, uint32_t offset,
                           uint32_t n)
{
    const struct segment *s = &v->g.seg[seg];
    if (is_flat(v, seg))
        return true;
    uint32_t span = (n - 1) * x->bytes;
    uint32_t low = x->step > 0 ? offset : offset - span;
    uint32_t last = low + span + x->bytes - 1;
    return seg_is_plain_data(s) && last >= low && last <= s->limit;
}

/* One side of a bulk operation: how many elements (0: none), and where the first one is on the host. */
static uint32_t run_of(struct vcpu *v, const struct string_insn *x, unsigned seg, unsigned slot, bool write,
                       uint32_t max, uint8_t **host)
{
    uint32_t offset = reg_get(v, x, slot);
    uint32_t lin_addr = is_flat(v, seg) ? offset : v->g.seg[seg].base + offset;
    uint32_t n = least(max, elements_within(x, lin_addr, PAGE_BYTES));
    if (x->mask == 0xffff)
        n = least(n, elements_within(x, offset, 0x10000));
    if (n == 0 || !run_in_segment(v, x, seg, offset, n))
        return 0;
    *host = write ? mem_fast_write(v, lin_addr) : mem_fast_read(v, lin_addr);
    return *host ? n : 0;
}

static inline __attribute__((always_inline)) uint32_t load(const uint8_t *p, unsigned bytes)
{
    uint16_t half;
    uint32_t word;
    if (bytes == 1)
        return *p;
    if (bytes == 2) {
        memcpy(&half, p, 2);
        return half;
    }
    memcpy(&word, p, 4);
    return word;
}

/* Element by element: what overlapping copies are defined by. */
static inline __attribute__((always_inline)) void copy_elements(uint8_t *dst, const uint8_t *src, uint32_t n,
                                                                ptrdiff_t step, unsigned bytes)
{
    for (; n; n--, dst += step, src += step) {
        uint32_t value;
        memcpy(&value, src, bytes);
        memcpy(dst, &value, bytes);
    }
}

static void copy_overlapping(const struct string_insn *x, uint8_t *dst, const uint8_t *src, uint32_t n)
{
    switch (x->bytes) {
    case 1:
        copy_elements(dst, src, n, x->step, 1);
        break;
    case 2:
        copy_elements(dst, src, n, x->step, 2);
        break;
    default:
        copy_elements(dst, src, n, x->step, 4);
        break;
    }
}

/* memmove, except where the copy runs into bytes that it has still to read: there the pattern repeats. */
static void copy_run(const struct string_insn *x, uint8_t *dst, const uint8_t *src, uint32_t n)
{
    size_t span = (size_t)n * x->bytes, back = x->step > 0 ? 0 : span - x->bytes;
    uintptr_t d = (uintptr_t)dst - back, s = (uintptr_t)src - back;
    bool chases = x->step > 0 ? d > s && d < s + span : d < s && s < d + span;
    if (chases)
        copy_overlapping(x, dst, src, n);
    else
        memmove((void *)d, (const void *)s, span);
}

static uint32_t bulk_movs(struct vcpu *v, const struct string_insn *x, uint32_t max)
{
    uint8_t *src, *dst;
    uint32_t n = run_of(v, x, x->seg, IR_ESI, false, max, &src);
    if (n)
        n = run_of(v, x, SEG_ES, IR_EDI, true, n, &dst);
    if (n == 0)
        return 0;
    copy_run(x, dst, src, n);
    reg_add(v, x, IR_ESI, n * (uint32_t)x->step);
    reg_add(v, x, IR_EDI, n * (uint32_t)x->step);
    return n;
}

/* One size a loop: the compiler makes wide stores of it. */
static inline __attribute__((always_inline)) void fill_elements(uint8_t *low, uint32_t value, uint32_t n,
                                                                unsigned bytes)
{
    for (uint32_t i = 0; i < n; i++)
        memcpy(low + (size_t)i * bytes, &value, bytes);
}

static bool is_one_byte(uint32_t value, unsigned bytes)
{
    return (value & 0xffffffffu >> (32 - 8 * bytes)) == (value & 0xff) * (0x01010101u >> (32 - 8 * bytes));
}

static void fill_run(const struct string_insn *x, uint8_t *dst, uint32_t value, uint32_t n)
{
    uint8_t *low = x->step > 0 ? dst : dst - (n - 1) * x->bytes;
    if (is_one_byte(value, x->bytes)) /* a page of zeroes, above all */
        memset(low, (int)(value & 0xff), (size_t)n * x->bytes);
    else if (x->bytes == 2)
        fill_elements(low, value, n, 2);
    else
        fill_elements(low, value, n, 4);
}

static uint32_t bulk_stos(struct vcpu *v, const struct string_insn *x, uint32_t max)
{
    uint8_t *dst;
    uint32_t n = run_of(v, x, SEG_ES, IR_EDI, true, max, &dst);
    if (n == 0)
        return 0;
    fill_run(x, dst, acc_get(v, x), n);
    reg_add(v, x, IR_EDI, n * (uint32_t)x->step);
    return n;
}

static uint32_t bulk_lods(struct vcpu *v, const struct string_insn *x, uint32_t max)
{
    uint8_t *src;
    uint32_t n = run_of(v, x, x->seg, IR_ESI, false, max, &src);
    if (n == 0)
        return 0;
    acc_set(v, x, load(src + (ptrdiff_t)(n - 1) * x->step, x->bytes));
    reg_add(v, x, IR_ESI, n * (uint32_t)x->step);
    return n;
}

/* The element that ended a run of comparisons, or its last one. */
struct compared {
    uint32_t done, a, b;
};

/* src NULL: all are compared with `acc`. */
static inline __attribute__((always_inline)) struct compared
compare_elements(const struct string_insn *x, const uint8_t *src, uint32_t acc, const uint8_t *dst,
                 uint32_t n, unsigned bytes)
{
    struct compared r = {.a = acc};
    do {
        if (src) {
            r.a = load(src, bytes);
            src += x->step;
        }
        r.b = load(dst, bytes);
        dst += x->step;
    } while (++r.done < n && (r.a == r.b) == x->repe);
    return r;
}

static struct compared compare_run(const struct string_insn *x, const uint8_t *src, uint32_t acc,
                                   const uint8_t *dst, uint32_t n)
{
    switch (x->bytes) {
    case 1:
        return compare_elements(x, src, acc, dst, n, 1);
    case 2:
        return compare_elements(x, src, acc, dst, n, 2);
    default:
        return compare_elements(x, src, acc, dst, n, 4);
    }
}

static uint32_t bulk_cmps(struct vcpu *v, const struct string_insn *x, uint32_t max)
{
    uint8_t *src, *dst;
    uint32_t n = run_of(v, x, x->seg, IR_ESI, false, max, &src);
    if (n)
        n = run_of(v, x, SEG_ES, IR_EDI, false, n, &dst);
    if (n == 0)
        return 0;
    struct compared r = compare_run(x, src, 0, dst, n);
    *x->last = (struct elements){r.a, r.b};
    reg_add(v, x, IR_ESI, r.done * (uint32_t)x->step);
    reg_add(v, x, IR_EDI, r.done * (uint32_t)x->step);
    return r.done;
}

static uint32_t bulk_scas(struct vcpu *v, const struct string_insn *x, uint32_t max)
{
    uint8_t *dst;
    uint32_t n = run_of(v, x, SEG_ES, IR_EDI, false, max, &dst);
    if (n == 0)
        return 0;
    struct compared r = compare_run(x, NULL, acc_get(v, x), dst, n);
    *x->last = (struct elements){r.a, r.b};
    reg_add(v, x, IR_EDI, r.done * (uint32_t)x->step);
    return r.done;
}

/* From and to a buffer behind the port, which is in the order of the accesses. */
static void copy_ordered(const struct string_insn *x, uint8_t *memory, uint8_t *buffer, uint32_t n, bool out)
{
    for (uint32_t i = 0; i < n; i++, memory += x->step, buffer += x->bytes)
        memcpy(out ? buffer : memory, out ? memory : buffer, x->bytes);
}

static uint32_t bulk_ins(struct vcpu *v, const struct string_insn *x, uint32_t max)
{
    uint8_t *dst, *buffer;
    uint32_t n = run_of(v, x, SEG_ES, IR_EDI, true, max, &dst);
    if (n)
        n = io_port_run(v, (uint16_t)v->g.slot[IR_EDX], x->bytes, n, false, &buffer);
    if (n == 0)
        return 0;
    if (x->step > 0)
        memcpy(dst, buffer, (size_t)n * x->bytes);
    else
        copy_ordered(x, dst, buffer, n, false);
    reg_add(v, x, IR_EDI, n * (uint32_t)x->step);
    return n;
}

static uint32_t bulk_outs(struct vcpu *v, const struct string_insn *x, uint32_t max)
{
    uint8_t *src, *buffer;
    uint32_t n = run_of(v, x, x->seg, IR_ESI, false, max, &src);
    if (n)
        n = io_port_run(v, (uint16_t)v->g.slot[IR_EDX], x->bytes, n, true, &buffer);
    if (n == 0)
        return 0;
    if (x->step > 0)
        memcpy(buffer, src, (size_t)n * x->bytes);
    else
        copy_ordered(x, src, buffer, n, true);
    reg_add(v, x, IR_ESI, n * (uint32_t)x->step);
    return n;
}

/* --- repetition --- */

/* May another iteration follow without a look at the world in between? MATCH may_repeat */
static bool may_repeat(const struct vcpu *v)
{
    const struct guest_state *g = &v->g;
    return g->budget > 0 && !vcpu_is_wanted(v) && !(g->eflags & FLAG_TF) && !v->dr_active;
}

struct string_kind {
    step_fn *step;
    bulk_fn *bulk;
    bool compares;
};

/* Does the comparison end the repetition? */
static bool compared_enough(const struct string_insn *x)
{
    return (x->last->a == x->last->b) != x->repe;
}

/* Some iterations: 0: fault. Inline, as repeat() is: each instruction has its own, without calls through
 * pointers, for kernels copy a few words more often than pages. */
static inline __attribute__((always_inline)) uint32_t iterate(struct vcpu *v, const struct string_insn *x,
                                                              const struct string_kind *k, uint32_t count)
{
    uint64_t ticks = may_repeat(v) ? (uint64_t)v->g.budget + 1 : 1;
    uint32_t max = ticks < count ? (uint32_t)ticks : count;
    uint32_t n = max > 1 ? k->bulk(v, x, max) : 0;
    if (n == 0)
        return k->step(v, x) ? 1 : 0;
    v->g.budget -= n - 1;
    return n;
}

static uint32_t own_eip(const struct vcpu *v, const struct ir_op *op)
{
    return v->tb->lin_addr - v->tb->cs_base + (uint32_t)v->tb->insn_offset[op->insn];
}

/* It may have overwritten itself, by itself or through a chip that has memory (run_some): what runs next must
 * not depend on where a run is cut. */
static bool must_fetch_again(const struct vcpu *v)
{
    return !v->tb->valid || v->watcher.nchanges;
}

/* Behind an iteration RF is set at this boundary, as it is where a horizon cuts the instruction: a double
 * fault pushes it as it is. */
static enum helper_result fault_between(struct vcpu *v)
{
    v->g.eflags |= FLAG_RF;
    v->rf_tick = vcpu_insn_tick(v);
    return HELPER_FAULT;
}

static inline __attribute__((always_inline)) enum helper_result
repeat(struct vcpu *v, const struct string_insn *x, const struct string_kind *k)
{
    const uint32_t first = reg_get(v, x, IR_ECX);
    uint32_t count = first;
    while (count) {
        uint32_t n = iterate(v, x, k, count);
        if (n == 0)
            return count == first ? HELPER_FAULT : fault_between(v);
        reg_add(v, x, IR_ECX, 0u - n);
        count -= n;
        if (count == 0 || (k->compares && compared_enough(x))) {
            if (k->compares)
                set_flags(v, x);
            break;
        }
        if (!may_repeat(v) || must_fetch_again(v)) {
            v->g.eip = own_eip(v, x->op);
            vcpu_set_rf(v);
            return HELPER_OK;
        }
        v->g.budget--;
    }
    v->g.eip = x->op->imm2;
    return HELPER_OK;
}

static inline __attribute__((always_inline)) enum helper_result
string_run(struct vcpu *v, const struct ir_op *op, const struct string_kind *k)
{
    struct elements last;
    struct string_insn x = string_insn(v, op);
    x.last = &last;
    if (op->aux & (STR_REPE | STR_REPNE))
        return repeat(v, &x, k);
    if (!k->step(v, &x))
        return HELPER_FAULT;
    if (k->compares)
        set_flags(v, &x);
    return HELPER_OK;
}

enum helper_result helper_MOVS(struct vcpu *v, const struct ir_op *op)
{
    return string_run(v, op, &(struct string_kind){step_movs, bulk_movs, false});
}

enum helper_result helper_STOS(struct vcpu *v, const struct ir_op *op)
{
    return string_run(v, op, &(struct string_kind){step_stos, bulk_stos, false});
}

enum helper_result helper_LODS(struct vcpu *v, const struct ir_op *op)
{
    return string_run(v, op, &(struct string_kind){step_lods, bulk_lods, false});
}

enum helper_result helper_CMPS(struct vcpu *v, const struct ir_op *op)
{
    return string_run(v, op, &(struct string_kind){step_cmps, bulk_cmps, true});
}

enum helper_result helper_SCAS(struct vcpu *v, const struct ir_op *op)
{
    return string_run(v, op, &(struct string_kind){step_scas, bulk_scas, true});
}

/* Port instructions end their block even without REP, and check their permission even when ECX is 0. */
static inline __attribute__((always_inline)) enum helper_result
io_string_run(struct vcpu *v, const struct ir_op *op, step_fn *step, bulk_fn *bulk)
{
    if (!io_allowed(v, (uint16_t)v->g.slot[IR_EDX], 1u << op->size))
        return HELPER_FAULT;
    enum helper_result result = string_run(v, op, &(struct string_kind){step, bulk, false});
    if (result == HELPER_OK && !(op->aux & (STR_REPE | STR_REPNE)))
        v->g.eip = op->imm2;
    return result;
}

enum helper_result helper_INS(struct vcpu *v, const struct ir_op *op)
{
    return io_string_run(v, op, step_ins, bulk_ins);
}

enum helper_result helper_OUTS(struct vcpu *v, const struct ir_op *op)
{
    return io_string_run(v, op, step_outs, bulk_outs);
}
