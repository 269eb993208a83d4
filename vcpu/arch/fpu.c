/* fpu.c - x87 instructions: dispatch, the register stack, exceptions, loads and stores.
 *
 * One handler per row of translator/insns_x87.def: x87_<mnemonic>_<operand> for memory forms,
 * x87_<opcode>_<mnemonic> for register forms; a row without one does not build. A handler reads memory or
 * writes it before it changes any x87 state, so memory faults leave the instruction undone. A
 * numeric exception that is unmasked sets ES and B; the next waiting instruction raises #MF. One that keeps a
 * store from being made keeps its memory operand from being looked at, too (docs/decisions.md).
 *
 * Values come from fpu_arith.c, fpu_soft.c and fpu_transcendental.c; here is what surrounds them: empty and
 * full registers, tags, TOP, which unmasked exceptions keep a result from being written or popped.
 *
 * FIP, FCS, FDP, FDS and FOP follow every instruction except the control ones (SDM 1 8.1.8), as on
 * the P6. */
#include "translator/cc.h"
#include "vcpu/arch/fpu_internal.h"

#include "translator/x87.h"

struct fpu_insn {
    struct vcpu *v;
    const struct ir_op *op;
    struct x87_state *x;
    unsigned i; /* register forms: the i of ST(i) */
};

typedef enum helper_result (*x87_handler)(struct fpu_insn *c);

/* --- register stack and exceptions --- */

static void fpu_set(struct x87_state *x, unsigned i, struct f80 a)
{
    unsigned phys = fpu_phys(x, i);
    memcpy(x->r[phys], &a, sizeof a);
    x->empty &= (uint8_t) ~(1u << phys);
}

static void set_top(struct x87_state *x, unsigned top)
{
    x->sw = (uint16_t)((x->sw & ~FSW_TOP) | (top & 7) << 11);
}

void fpu_push(struct x87_state *x, struct f80 a)
{
    set_top(x, fpu_top(x) - 1);
    fpu_set(x, 0, a);
}

static void mark_empty(struct x87_state *x, unsigned i)
{
    x->empty |= (uint8_t)(1u << fpu_phys(x, i));
}

static void fpu_pop(struct x87_state *x)
{
    mark_empty(x, 0);
    set_top(x, fpu_top(x) + 1);
}

void fpu_update_summary(struct x87_state *x)
{
    bool pending = x->sw & ~x->cw & FSW_EXC;
    x->sw = (uint16_t)((x->sw & ~(FSW_ES | FSW_B)) | (pending ? FSW_ES | FSW_B : 0));
}

/* --- errors that wait for the next waiting instruction --- */

/* SDM 1, 8.7 and appendix D: with CR0.NE = 0 the processor asserts FERR# and stands before the instruction
 * until an interrupt comes, unless IGNNE# tells it to go on. */
static enum helper_result freeze(struct vcpu *v)
{
    v->cfg.intc.set_ferr(v->cfg.intc.ctx, true);
    vcpu_intc_settled(v);
    v->g.halted = HALTED_HLT;
    return HELPER_FAULT; /* no exception: it has not been executed */
}

enum helper_result fpu_wait(struct vcpu *v)
{
    if (!(v->g.x87.sw & FSW_ES))
        return HELPER_OK;
    if (v->g.cr0 & CR0_NE || !v->cfg.intc.set_ferr)
        return vcpu_raise(v, EXC_MF);
    return v->cfg.intc.ignne(v->cfg.intc.ctx) ? HELPER_OK : freeze(v);
}

void fpu_error_gone(struct vcpu *v)
{
    if (v->g.x87.sw & FSW_ES || !v->cfg.intc.set_ferr)
        return;
    v->cfg.intc.set_ferr(v->cfg.intc.ctx, false);
    vcpu_intc_settled(v);
}

/* ORs exception bits into the status word and replaces the condition bits in `cc` by those in `f`. */
static void fpu_commit(struct x87_state *x, fpu_flags f, uint16_t cc)
{
    x->sw = (uint16_t)((x->sw & ~cc) | (f & (FSW_EXC | cc)));
    fpu_update_summary(x);
}

/* IE and SF with C1 as given; true: masked, deliver the default result. */
static bool fpu_stack_fault(struct x87_state *x, bool overflow)
{
    x->sw = (uint16_t)((x->sw & ~FSW_C1) | FSW_IE | FSW_SF | (overflow ? FSW_C1 : 0));
    fpu_update_summary(x);
    return x->cw & FSW_IE;
}

/* C1 of a computation says "rounded up"; it is 0 where there was none. */
static void commit_result(struct x87_state *x, fpu_flags f)
{
    fpu_commit(x, fpu_blocks(x, f) ? f & ~FSW_C1 : f, FSW_C1);
}

/* Is ST(7) free for a push? If not: stack overflow, done. */
static bool push_ready(struct x87_state *x)
{
    if (fpu_is_empty(x, 7))
        return true;
    if (fpu_stack_fault(x, true))
        fpu_push(x, f80_indefinite());
    return false;
}

/* Underflow on an operand whose result goes to ST(dst). */
static enum helper_result underflow(struct x87_state *x, unsigned dst, bool pop)
{
    if (fpu_stack_fault(x, false)) {
        fpu_set(x, dst, f80_indefinite());
        if (pop)
            fpu_pop(x);
    }
    return HELPER_OK;
}

/* --- memory operands --- */

/* Outside flat mode the segment is checked here, when no #MF and no unmasked exception comes first. */
/* MATCH x87_operand */
static bool operand(struct fpu_insn *c, unsigned bytes, bool write, uint32_t *lin_addr)
{
    struct vcpu *v = c->v;
    if ((v->g.mode & TB_MODE_FLAT) && c->op->aux < SEG_FS && c->op->aux != SEG_CS) {
        *lin_addr = v->g.slot[c->op->a] + c->op->disp;
        return true;
    }
    return seg_linear(v, c->op->aux, v->g.slot[c->op->b] + c->op->disp, bytes, write, lin_addr);
}

static bool load(struct fpu_insn *c, unsigned bytes, uint64_t *value)
{
    uint32_t lin_addr;
    return operand(c, bytes, false, &lin_addr) && mem_read(c->v, lin_addr, bytes, mem_is_user(c->v), value);
}

static bool load80(struct fpu_insn *c, uint64_t *low, uint16_t *high)
{
    uint32_t lin_addr;
    uint64_t top;
    bool user = mem_is_user(c->v);
    if (!operand(c, 10, false, &lin_addr) || !mem_read(c->v, lin_addr, 8, user, low) ||
        !mem_read(c->v, lin_addr + 8, 2, user, &top))
        return false;
    *high = (uint16_t)top;
    return true;
}

/* From a buffer of 16 bytes; all of them or, on a fault, none. */
static bool store(struct fpu_insn *c, unsigned bytes, const void *from)
{
    uint32_t lin_addr;
    uint64_t low, high;
    bool user = mem_is_user(c->v);
    if (!operand(c, bytes, true, &lin_addr))
        return false;
    if (bytes > 8 && !mem_probe_write(c->v, lin_addr, bytes, user))
        return false;
    memcpy(&low, from, 8);
    memcpy(&high, (const uint8_t *)from + 8, 8);
    if (bytes < 8)
        low &= (UINT64_C(1) << 8 * bytes) - 1;
    return mem_write(c->v, lin_addr, bytes > 8 ? 8 : bytes, user, low) &&
           (bytes <= 8 || mem_write(c->v, lin_addr + 8, 2, user, high & 0xffff));
}

static const uint8_t src_bytes[FPU_SRC_COUNT] = {
    [FPU_M32FP] = 4, [FPU_M32INT] = 4, [FPU_M64FP] = 8, [FPU_M16INT] = 2};

/* --- arithmetic --- */

static enum helper_result finish_arith(struct x87_state *x, fpu_flags f, unsigned dst, struct f80 r, bool pop)
{
    bool blocked = fpu_blocks(x, f);
    commit_result(x, f80_classify(&r) == F80_NAN ? f & ~FSW_C1 : f);
    if (!blocked) {
        fpu_set(x, dst, r);
        if (pop)
            fpu_pop(x);
    }
    return HELPER_OK;
}

static enum helper_result arith_reg(struct fpu_insn *c, enum fpu_op2 fn, unsigned dst, unsigned src, bool pop)
{
    struct x87_state *x = c->x;
    if (fpu_is_empty(x, dst) || fpu_is_empty(x, src))
        return underflow(x, dst, pop);
    struct f80 r = fpu_get(x, dst), s = fpu_get(x, src);
    fpu_flags f = fpu_host_op2(x, fn, FPU_F80, &r, &s);
    return finish_arith(x, f, dst, r, pop);
}

static enum helper_result arith_mem(struct fpu_insn *c, enum fpu_op2 fn, enum fpu_src kind)
{
    struct x87_state *x = c->x;
    uint64_t value;
    if (!load(c, src_bytes[kind], &value))
        return HELPER_FAULT;
    if (fpu_is_empty(x, 0))
        return underflow(x, 0, false);
    struct f80 r = fpu_get(x, 0);
    fpu_flags f = fpu_host_op2(x, fn, kind, &r, &value);
    return finish_arith(x, f, 0, r, false);
}

static enum helper_result arith_one(struct fpu_insn *c, enum fpu_op1 fn)
{
    struct x87_state *x = c->x;
    if (fpu_is_empty(x, 0))
        return underflow(x, 0, false);
    struct f80 r = fpu_get(x, 0);
    fpu_flags f = fpu_host_op1(x, fn, &r);
    return finish_arith(x, f, 0, r, false);
}

static enum helper_result remainder_of(struct fpu_insn *c, bool nearest)
{
    struct x87_state *x = c->x;
    struct f80 r;
    x->sw &= (uint16_t)~FSW_C2;
    if (fpu_is_empty(x, 0) || fpu_is_empty(x, 1))
        return underflow(x, 0, false);
    fpu_flags f = fpu_rem(x, fpu_get(x, 0), fpu_get(x, 1), nearest, &r);
    bool blocked = fpu_blocks(x, f);
    bool quotient = !blocked && !f80_is_special(f80_classify(&r));
    fpu_commit(x, f, quotient ? FSW_CC | FSW_C1 : FSW_C1);
    if (!blocked)
        fpu_set(x, 0, r);
    return HELPER_OK;
}

static enum helper_result change_sign(struct fpu_insn *c, uint16_t and, uint16_t xor)
{
    struct x87_state *x = c->x;
    if (fpu_is_empty(x, 0))
        return underflow(x, 0, false);
    struct f80 r = fpu_get(x, 0);
    r.se = (r.se & and) ^ xor;
    fpu_commit(x, 0, FSW_C1);
    fpu_set(x, 0, r);
    return HELPER_OK;
}

/* --- comparison --- */

/* The outcome (C3, C2, C0) to *cc. Condition flags follow a stack fault or a denormal that is not masked, but
 * not an unmasked invalid operand (SDM 2A FCOM); pops need all of them masked. */
struct comparison {
    uint16_t cc;
    bool set, done;
};

static struct comparison compare(struct x87_state *x, enum fpu_op2 fn, enum fpu_src kind, const void *src,
                                 bool src_empty)
{
    if (fpu_is_empty(x, 0) || src_empty)
        return (struct comparison){FSW_CC, true, fpu_stack_fault(x, false)};
    struct f80 a = fpu_get(x, 0);
    fpu_flags f = fpu_host_op2(x, fn, kind, &a, src);
    fpu_commit(x, f & FSW_EXC, FSW_C1);
    return (struct comparison){f & FSW_CC, !(f & ~x->cw & FSW_IE), !fpu_blocks(x, f)};
}

static enum helper_result finish_compare(struct x87_state *x, struct comparison r, unsigned pops)
{
    if (r.set)
        x->sw = (uint16_t)((x->sw & ~FSW_CC) | r.cc);
    while (r.done && pops--)
        fpu_pop(x);
    return HELPER_OK;
}

static enum helper_result compare_reg(struct fpu_insn *c, enum fpu_op2 fn, unsigned i, unsigned pops)
{
    struct x87_state *x = c->x;
    struct f80 b = fpu_get(x, i);
    return finish_compare(x, compare(x, fn, FPU_F80, &b, fpu_is_empty(x, i)), pops);
}

static enum helper_result compare_mem(struct fpu_insn *c, enum fpu_src kind, unsigned pops)
{
    uint64_t value;
    if (!load(c, src_bytes[kind], &value))
        return HELPER_FAULT;
    return finish_compare(c->x, compare(c->x, FPU_COM, kind, &value, false), pops);
}

static enum helper_result compare_eflags(struct fpu_insn *c, enum fpu_op2 fn, bool pop)
{
    struct guest_state *g = &c->v->g;
    struct f80 b = fpu_get(c->x, c->i);
    struct comparison r = compare(c->x, fn, FPU_F80, &b, fpu_is_empty(c->x, c->i));
    if (r.set) {
        g->slot[IR_CC_OP] = CC_EFLAGS;
        g->slot[IR_CC_A] = g->slot[IR_CC_B] = 0;
        g->slot[IR_CC_R] =
            (r.cc & FSW_C3 ? FLAG_ZF : 0) | (r.cc & FSW_C2 ? FLAG_PF : 0) | (r.cc & FSW_C0 ? FLAG_CF : 0);
    }
    if (r.done && pop)
        fpu_pop(c->x);
    return HELPER_OK;
}

/* --- loads and stores --- */

/* An unmasked denormal operand is reported after the load: only #I keeps it from the stack. */
static enum helper_result push_value(struct x87_state *x, fpu_flags f, struct f80 value)
{
    if (!push_ready(x))
        return HELPER_OK;
    fpu_commit(x, f, FSW_C1);
    if (!(f & ~x->cw & FSW_IE))
        fpu_push(x, value);
    return HELPER_OK;
}

static enum helper_result load_int(struct fpu_insn *c, unsigned bytes)
{
    uint64_t value;
    if (!load(c, bytes, &value))
        return HELPER_FAULT;
    unsigned shift = 64 - 8 * bytes;
    return push_value(c->x, 0, fpu_from_int((int64_t)(value << shift) >> shift));
}

/* Register constants: `up` in the last place when rounding says so. */
static enum helper_result load_constant(struct fpu_insn *c, unsigned exp, uint64_t chopped,
                                        bool nearest_is_up)
{
    unsigned rc = fpu_rc(c->x);
    bool up = rc == FPU_RC_UP || (rc == FPU_RC_NEAR && nearest_is_up);
    return push_value(c->x, 0, f80_make(0, exp, chopped + up));
}

static const uint8_t dst_bytes[FPU_DST_COUNT] = {
    [FPU_TO_M32FP] = 4,  [FPU_TO_M64FP] = 8,  [FPU_TO_M16INT] = 2,
    [FPU_TO_M32INT] = 4, [FPU_TO_M64INT] = 8, [FPU_TO_M80BCD] = 10,
};

/* What a masked stack underflow stores: the indefinite of the format. */
static void store_indefinite(enum fpu_dst kind, uint64_t buffer[2])
{
    static const uint64_t low[FPU_DST_COUNT] = {
        [FPU_TO_M32FP] = 0xffc00000,
        [FPU_TO_M64FP] = UINT64_C(0xfff8000000000000),
        [FPU_TO_M16INT] = 0x8000,
        [FPU_TO_M32INT] = 0x80000000,
        [FPU_TO_M64INT] = UINT64_C(1) << 63,
        [FPU_TO_M80BCD] = UINT64_C(3) << 62,
    };
    buffer[0] = low[kind];
    buffer[1] = 0xffff;
}

static enum helper_result store_empty(struct fpu_insn *c, unsigned bytes, const void *indefinite, bool pop)
{
    if ((c->x->cw & FSW_IE) && !store(c, bytes, indefinite))
        return HELPER_FAULT;
    if (fpu_stack_fault(c->x, false) && pop)
        fpu_pop(c->x);
    return HELPER_OK;
}

static enum helper_result store_converted(struct fpu_insn *c, enum fpu_dst kind, bool pop)
{
    struct x87_state *x = c->x;
    unsigned bytes = dst_bytes[kind];
    uint64_t buffer[2] = {0, 0};
    if (fpu_is_empty(x, 0)) {
        store_indefinite(kind, buffer);
        return store_empty(c, bytes, buffer, pop);
    }
    struct f80 a = fpu_get(x, 0);
    fpu_flags f = fpu_host_store(x, kind, &a, buffer);
    bool blocked = fpu_blocks_store(x, f);
    if (!blocked && !store(c, bytes, buffer))
        return HELPER_FAULT;
    if (blocked) /* SDM 1 8.5.6: PE is ignored beside an unmasked overflow or underflow to memory */
        f &= (fpu_flags) ~(FSW_C1 | (x->sw & FSW_PE ? 0 : FSW_PE));
    fpu_commit(x, f, FSW_C1);
    if (pop && !blocked)
        fpu_pop(x);
    return HELPER_OK;
}

/* SDM 2A FISTTP: rounds toward zero, whatever RC says. */
static enum helper_result store_truncated(struct fpu_insn *c, enum fpu_dst kind)
{
    const uint16_t cw = c->x->cw;
    c->x->cw |= FCW_RC;
    const enum helper_result result = store_converted(c, kind, true);
    c->x->cw = cw;
    return result;
}

static enum helper_result copy_to(struct fpu_insn *c, bool pop)
{
    struct x87_state *x = c->x;
    if (fpu_is_empty(x, 0))
        return underflow(x, c->i, pop);
    fpu_commit(x, 0, FSW_C1);
    fpu_set(x, c->i, fpu_get(x, 0));
    if (pop)
        fpu_pop(x);
    return HELPER_OK;
}

static enum helper_result exchange(struct fpu_insn *c)
{
    struct x87_state *x = c->x;
    bool empty_0 = fpu_is_empty(x, 0), empty_i = fpu_is_empty(x, c->i);
    struct f80 a = empty_0 ? f80_indefinite() : fpu_get(x, 0);
    struct f80 b = empty_i ? f80_indefinite() : fpu_get(x, c->i);
    if (!empty_0 && !empty_i)
        fpu_commit(x, 0, FSW_C1);
    else if (!fpu_stack_fault(x, false))
        return HELPER_OK;
    fpu_set(x, 0, b);
    fpu_set(x, c->i, a);
    return HELPER_OK;
}

static enum helper_result move_if(struct fpu_insn *c, unsigned cond)
{
    const uint32_t *slot = c->v->g.slot;
    struct x87_state *x = c->x;
    if (fpu_is_empty(x, 0) || fpu_is_empty(x, c->i))
        return underflow(x, 0, false);
    if (cc_cond(slot[IR_CC_OP], slot[IR_CC_A], slot[IR_CC_B], slot[IR_CC_R], cond))
        fpu_set(x, 0, fpu_get(x, c->i));
    return HELPER_OK;
}

/* --- transcendental --- */

typedef fpu_flags (*yx_fn)(const struct x87_state *x, struct f80 b, struct f80 a, struct f80 *r);

/* ST(1) = fn(ST(1), ST(0)), pop. */
static enum helper_result two_operands(struct fpu_insn *c, yx_fn fn)
{
    struct x87_state *x = c->x;
    if (fpu_is_empty(x, 0) || fpu_is_empty(x, 1))
        return underflow(x, 1, true);
    struct f80 r;
    fpu_flags f = fn(x, fpu_get(x, 1), fpu_get(x, 0), &r);
    return finish_arith(x, f, 1, r, true);
}

/* FSIN, FCOS: C2 says that the argument is out of range. */
static enum helper_result trig_one(struct fpu_insn *c, enum fpu_trig fn)
{
    struct x87_state *x = c->x;
    x->sw &= (uint16_t)~FSW_C2;
    if (fpu_is_empty(x, 0))
        return underflow(x, 0, false);
    struct f80 r;
    fpu_flags f = fpu_trig(x, fn, fpu_get(x, 0), &r);
    bool blocked = fpu_blocks(x, f);
    fpu_commit(x, blocked ? f & ~FSW_C1 : f, blocked ? FSW_C1 : FSW_C1 | FSW_C2);
    if (!blocked && !(f & FSW_C2))
        fpu_set(x, 0, r);
    return HELPER_OK;
}

/* ST(0) = low, then push high; for FSINCOS, FPTAN, FXTRACT. */
static enum helper_result finish_pair(struct x87_state *x, fpu_flags f, struct f80 low, struct f80 high)
{
    if (!fpu_blocks(x, f)) {
        fpu_set(x, 0, low);
        fpu_push(x, high);
    }
    return HELPER_OK;
}

/* Faults of an instruction that needs ST(0) and a free ST(7); true: handled. */
static bool pair_fault(struct x87_state *x)
{
    bool empty = fpu_is_empty(x, 0);
    if (!empty && fpu_is_empty(x, 7))
        return false;
    if (fpu_stack_fault(x, !empty))
        finish_pair(x, 0, f80_indefinite(), f80_indefinite());
    return true;
}

static enum helper_result trig_pair(struct fpu_insn *c, bool tangent)
{
    struct x87_state *x = c->x;
    x->sw &= (uint16_t)~FSW_C2;
    if (pair_fault(x))
        return HELPER_OK;
    struct f80 a = fpu_get(x, 0), low, high;
    fpu_flags f = fpu_trig(x, tangent ? FPU_TAN : FPU_SIN, a, &low);
    if (tangent)
        high = f & FSW_IE || f80_classify(&low) == F80_NAN ? low : f80_make(0, F80_BIAS, F80_INTEGER);
    else
        f = (f & ~FSW_C1) | fpu_trig(x, FPU_COS, a, &high);
    bool blocked = fpu_blocks(x, f);
    fpu_commit(x, blocked ? f & ~FSW_C1 : f, blocked ? FSW_C1 : FSW_C1 | FSW_C2);
    return f & FSW_C2 ? HELPER_OK : finish_pair(x, f, low, high);
}

/* --- handlers, in the order of the table --- */

#define MEM(name, operand) static enum helper_result x87_##name##_##operand(struct fpu_insn *c)
#define REG(opcode, name)  static enum helper_result x87_##opcode##_##name(struct fpu_insn *c)

#define ARITH_MEM(prefix, operand, kind)                                                                     \
    MEM(prefix##ADD, operand)                                                                                \
    {                                                                                                        \
        return arith_mem(c, FPU_ADD, kind);                                                                  \
    }                                                                                                        \
    MEM(prefix##MUL, operand)                                                                                \
    {                                                                                                        \
        return arith_mem(c, FPU_MUL, kind);                                                                  \
    }                                                                                                        \
    MEM(prefix##COM, operand)                                                                                \
    {                                                                                                        \
        return compare_mem(c, kind, 0);                                                                      \
    }                                                                                                        \
    MEM(prefix##COMP, operand)                                                                               \
    {                                                                                                        \
        return compare_mem(c, kind, 1);                                                                      \
    }                                                                                                        \
    MEM(prefix##SUB, operand)                                                                                \
    {                                                                                                        \
        return arith_mem(c, FPU_SUB, kind);                                                                  \
    }                                                                                                        \
    MEM(prefix##SUBR, operand)                                                                               \
    {                                                                                                        \
        return arith_mem(c, FPU_SUBR, kind);                                                                 \
    }                                                                                                        \
    MEM(prefix##DIV, operand)                                                                                \
    {                                                                                                        \
        return arith_mem(c, FPU_DIV, kind);                                                                  \
    }                                                                                                        \
    MEM(prefix##DIVR, operand)                                                                               \
    {                                                                                                        \
        return arith_mem(c, FPU_DIVR, kind);                                                                 \
    }
ARITH_MEM(F, m32fp, FPU_M32FP)
ARITH_MEM(F, m64fp, FPU_M64FP)
ARITH_MEM(FI, m32int, FPU_M32INT)
ARITH_MEM(FI, m16int, FPU_M16INT)

#define ARITH_REG(opcode, suffix, dst, src, pop)                                                             \
    REG(opcode, FADD##suffix)                                                                                \
    {                                                                                                        \
        return arith_reg(c, FPU_ADD, dst, src, pop);                                                         \
    }                                                                                                        \
    REG(opcode, FMUL##suffix)                                                                                \
    {                                                                                                        \
        return arith_reg(c, FPU_MUL, dst, src, pop);                                                         \
    }                                                                                                        \
    REG(opcode, FSUB##suffix)                                                                                \
    {                                                                                                        \
        return arith_reg(c, FPU_SUB, dst, src, pop);                                                         \
    }                                                                                                        \
    REG(opcode, FSUBR##suffix)                                                                               \
    {                                                                                                        \
        return arith_reg(c, FPU_SUBR, dst, src, pop);                                                        \
    }                                                                                                        \
    REG(opcode, FDIV##suffix)                                                                                \
    {                                                                                                        \
        return arith_reg(c, FPU_DIV, dst, src, pop);                                                         \
    }                                                                                                        \
    REG(opcode, FDIVR##suffix)                                                                               \
    {                                                                                                        \
        return arith_reg(c, FPU_DIVR, dst, src, pop);                                                        \
    }
ARITH_REG(0xD8, , 0, c->i, false)
ARITH_REG(0xDC, , c->i, 0, false)
ARITH_REG(0xDE, P, c->i, 0, true)

REG(0xD8, FCOM)
{
    return compare_reg(c, FPU_COM, c->i, 0);
}
REG(0xD8, FCOMP)
{
    return compare_reg(c, FPU_COM, c->i, 1);
}
REG(0xDC, FCOM)
{
    return compare_reg(c, FPU_COM, c->i, 0);
}
REG(0xDC, FCOMP)
{
    return compare_reg(c, FPU_COM, c->i, 1);
}
REG(0xDE, FCOMP)
{
    return compare_reg(c, FPU_COM, c->i, 1);
}
REG(0xDE, FCOMPP)
{
    return compare_reg(c, FPU_COM, 1, 2);
}
REG(0xDD, FUCOM)
{
    return compare_reg(c, FPU_UCOM, c->i, 0);
}
REG(0xDD, FUCOMP)
{
    return compare_reg(c, FPU_UCOM, c->i, 1);
}
REG(0xDA, FUCOMPP)
{
    return compare_reg(c, FPU_UCOM, 1, 2);
}
REG(0xDB, FUCOMI)
{
    return compare_eflags(c, FPU_UCOM, false);
}
REG(0xDB, FCOMI)
{
    return compare_eflags(c, FPU_COM, false);
}
REG(0xDF, FUCOMIP)
{
    return compare_eflags(c, FPU_UCOM, true);
}
REG(0xDF, FCOMIP)
{
    return compare_eflags(c, FPU_COM, true);
}

REG(0xD9, FTST)
{
    static const struct f80 zero;
    return finish_compare(c->x, compare(c->x, FPU_COM, FPU_F80, &zero, false), 0);
}

REG(0xD9, FXAM)
{
    static const uint16_t code[] = {
        [F80_UNSUPPORTED] = 0,       [F80_NAN] = FSW_C0,  [F80_NORMAL] = FSW_C2,
        [F80_INF] = FSW_C2 | FSW_C0, [F80_ZERO] = FSW_C3, [F80_DENORMAL] = FSW_C3 | FSW_C2,
    };
    struct f80 a = fpu_get(c->x, 0);
    uint16_t cc = fpu_is_empty(c->x, 0) ? FSW_C3 | FSW_C0 : code[f80_classify(&a)];
    fpu_commit(c->x, (fpu_flags)(cc | (f80_sign(&a) ? FSW_C1 : 0)), FSW_CC | FSW_C1);
    return HELPER_OK;
}

MEM(FLD, m32fp)
{
    uint64_t bits;
    struct f80 value;
    if (!load(c, 4, &bits))
        return HELPER_FAULT;
    fpu_flags f = fpu_from_m32fp((uint32_t)bits, &value);
    return push_value(c->x, f, value);
}

MEM(FLD, m64fp)
{
    uint64_t bits;
    struct f80 value;
    if (!load(c, 8, &bits))
        return HELPER_FAULT;
    fpu_flags f = fpu_from_m64fp(bits, &value);
    return push_value(c->x, f, value);
}

MEM(FLD, m80fp)
{
    uint64_t low;
    uint16_t high;
    if (!load80(c, &low, &high))
        return HELPER_FAULT;
    return push_value(c->x, 0, f80_make(0, high, low));
}

MEM(FBLD, m80bcd)
{
    uint64_t low;
    uint16_t high;
    if (!load80(c, &low, &high))
        return HELPER_FAULT;
    return push_value(c->x, 0, fpu_from_bcd(low, high));
}

REG(0xD9, FLD)
{
    struct x87_state *x = c->x;
    if (!fpu_is_empty(x, c->i))
        return push_value(x, 0, fpu_get(x, c->i));
    if (fpu_stack_fault(x, false))
        fpu_push(x, f80_indefinite());
    return HELPER_OK;
}

MEM(FILD, m16int)
{
    return load_int(c, 2);
}
MEM(FILD, m32int)
{
    return load_int(c, 4);
}
MEM(FILD, m64int)
{
    return load_int(c, 8);
}

MEM(FST, m32fp)
{
    return store_converted(c, FPU_TO_M32FP, false);
}
MEM(FSTP, m32fp)
{
    return store_converted(c, FPU_TO_M32FP, true);
}
MEM(FST, m64fp)
{
    return store_converted(c, FPU_TO_M64FP, false);
}
MEM(FSTP, m64fp)
{
    return store_converted(c, FPU_TO_M64FP, true);
}
MEM(FIST, m16int)
{
    return store_converted(c, FPU_TO_M16INT, false);
}
MEM(FISTP, m16int)
{
    return store_converted(c, FPU_TO_M16INT, true);
}
MEM(FIST, m32int)
{
    return store_converted(c, FPU_TO_M32INT, false);
}
MEM(FISTP, m32int)
{
    return store_converted(c, FPU_TO_M32INT, true);
}
MEM(FISTP, m64int)
{
    return store_converted(c, FPU_TO_M64INT, true);
}
MEM(FISTTP, m16int)
{
    return store_truncated(c, FPU_TO_M16INT);
}
MEM(FISTTP, m32int)
{
    return store_truncated(c, FPU_TO_M32INT);
}
MEM(FISTTP, m64int)
{
    return store_truncated(c, FPU_TO_M64INT);
}
MEM(FBSTP, m80bcd)
{
    return store_converted(c, FPU_TO_M80BCD, true);
}

MEM(FSTP, m80fp)
{
    struct x87_state *x = c->x;
    struct f80 a = fpu_is_empty(x, 0) ? f80_indefinite() : fpu_get(x, 0);
    if (fpu_is_empty(x, 0))
        return store_empty(c, 10, &a, true);
    if (!store(c, 10, &a))
        return HELPER_FAULT;
    fpu_commit(x, 0, FSW_C1);
    fpu_pop(x);
    return HELPER_OK;
}

REG(0xDD, FST)
{
    return copy_to(c, false);
}
REG(0xDD, FSTP)
{
    return copy_to(c, true);
}
REG(0xD9, FSTP) /* this alias only pops when ST(0) is empty */
{
    struct x87_state *x = c->x;
    fpu_commit(x, 0, FSW_C1);
    if (!fpu_is_empty(x, 0))
        fpu_set(x, c->i, fpu_get(x, 0));
    fpu_pop(x);
    return HELPER_OK;
}
REG(0xDF, FSTP)
{
    return copy_to(c, true);
}
REG(0xD9, FXCH)
{
    return exchange(c);
}
REG(0xDD, FXCH)
{
    return exchange(c);
}
REG(0xDF, FXCH)
{
    return exchange(c);
}

REG(0xDA, FCMOVB)
{
    return move_if(c, 2);
} /* SDM tttn codes */
REG(0xDA, FCMOVE)
{
    return move_if(c, 4);
}
REG(0xDA, FCMOVBE)
{
    return move_if(c, 6);
}
REG(0xDA, FCMOVU)
{
    return move_if(c, 10);
}
REG(0xDB, FCMOVNB)
{
    return move_if(c, 3);
}
REG(0xDB, FCMOVNE)
{
    return move_if(c, 5);
}
REG(0xDB, FCMOVNBE)
{
    return move_if(c, 7);
}
REG(0xDB, FCMOVNU)
{
    return move_if(c, 11);
}

REG(0xD9, FCHS)
{
    return change_sign(c, 0xffff, 0x8000);
}
REG(0xD9, FABS)
{
    return change_sign(c, 0x7fff, 0);
}
REG(0xD9, FSQRT)
{
    return arith_one(c, FPU_SQRT);
}
REG(0xD9, FRNDINT)
{
    return arith_one(c, FPU_RNDINT);
}
REG(0xD9, FSCALE)
{
    return arith_reg(c, FPU_SCALE, 0, 1, false);
}
REG(0xD9, FPREM)
{
    return remainder_of(c, false);
}
REG(0xD9, FPREM1)
{
    return remainder_of(c, true);
}

REG(0xD9, FXTRACT)
{
    struct x87_state *x = c->x;
    if (pair_fault(x))
        return HELPER_OK;
    struct f80 sig, exp;
    fpu_flags f = fpu_xtract(x, fpu_get(x, 0), &sig, &exp);
    commit_result(x, f);
    return finish_pair(x, f, exp, sig);
}

REG(0xD9, FLD1)
{
    return push_value(c->x, 0, f80_make(0, F80_BIAS, F80_INTEGER));
}
REG(0xD9, FLDL2T)
{
    return load_constant(c, F80_BIAS + 1, UINT64_C(0xd49a784bcd1b8afe), false);
}
REG(0xD9, FLDL2E)
{
    return load_constant(c, F80_BIAS, UINT64_C(0xb8aa3b295c17f0bb), true);
}
REG(0xD9, FLDPI)
{
    return load_constant(c, F80_BIAS + 1, UINT64_C(0xc90fdaa22168c234), true);
}
REG(0xD9, FLDLG2)
{
    return load_constant(c, F80_BIAS - 2, UINT64_C(0x9a209a84fbcff798), true);
}
REG(0xD9, FLDLN2)
{
    return load_constant(c, F80_BIAS - 1, UINT64_C(0xb17217f7d1cf79ab), true);
}
REG(0xD9, FLDZ)
{
    return push_value(c->x, 0, f80_make(0, 0, 0));
}

REG(0xD9, F2XM1)
{
    struct x87_state *x = c->x;
    if (fpu_is_empty(x, 0))
        return underflow(x, 0, false);
    struct f80 r;
    fpu_flags f = fpu_2xm1(x, fpu_get(x, 0), &r);
    return finish_arith(x, f, 0, r, false);
}

REG(0xD9, FYL2X)
{
    return two_operands(c, fpu_yl2x);
}
REG(0xD9, FYL2XP1)
{
    return two_operands(c, fpu_yl2xp1);
}
REG(0xD9, FPATAN)
{
    return two_operands(c, fpu_atan2);
}
REG(0xD9, FSIN)
{
    return trig_one(c, FPU_SIN);
}
REG(0xD9, FCOS)
{
    return trig_one(c, FPU_COS);
}
REG(0xD9, FSINCOS)
{
    return trig_pair(c, false);
}
REG(0xD9, FPTAN)
{
    return trig_pair(c, true);
}

/* --- control --- */

REG(0xD9, FNOP)
{
    return HELPER_OK;
}
REG(0xDB, FNENI)
{
    return HELPER_OK;
}
REG(0xDB, FNDISI)
{
    return HELPER_OK;
}
REG(0xDB, FNSETPM)
{
    return HELPER_OK;
}

static enum helper_result rotate(struct fpu_insn *c, unsigned by)
{
    fpu_commit(c->x, 0, FSW_C1);
    set_top(c->x, fpu_top(c->x) + by);
    return HELPER_OK;
}
REG(0xD9, FINCSTP)
{
    return rotate(c, 1);
}
REG(0xD9, FDECSTP)
{
    return rotate(c, 7);
}

REG(0xDD, FFREE)
{
    fpu_commit(c->x, 0, FSW_C1);
    mark_empty(c->x, c->i);
    return HELPER_OK;
}

REG(0xDF, FFREEP)
{
    fpu_commit(c->x, 0, FSW_C1);
    mark_empty(c->x, c->i);
    fpu_pop(c->x);
    return HELPER_OK;
}

REG(0xDB, FNINIT)
{
    fpu_init(c->x);
    return HELPER_OK;
}

REG(0xDB, FNCLEX)
{
    c->x->sw &= (uint16_t) ~(FSW_EXC | FSW_SF | FSW_ES | FSW_B);
    return HELPER_OK;
}

MEM(FLDCW, m2byte) /* MATCH fldcw */
{
    uint64_t value;
    if (!load(c, 2, &value))
        return HELPER_FAULT;
    c->x->cw = (uint16_t)((value & FCW_KEPT) | FCW_ONE);
    fpu_update_summary(c->x);
    return HELPER_OK;
}

static enum helper_result store_word(struct fpu_insn *c, uint16_t value)
{
    uint32_t lin_addr;
    if (!operand(c, 2, true, &lin_addr) || !mem_write(c->v, lin_addr, 2, mem_is_user(c->v), value))
        return HELPER_FAULT;
    return HELPER_OK;
}
MEM(FNSTCW, m2byte)
{
    return store_word(c, c->x->cw);
}
MEM(FNSTSW, m2byte)
{
    return store_word(c, c->x->sw);
}

REG(0xDF, FNSTSW)
{
    uint32_t *eax = &c->v->g.slot[IR_EAX];
    *eax = (*eax & 0xffff0000) | c->x->sw;
    return HELPER_OK;
}

static enum helper_result image(struct fpu_insn *c, bool store_it, bool with_regs)
{
    bool wide = c->op->size == 2;
    uint32_t lin_addr;
    if (!operand(c, fpu_env_bytes(wide, with_regs), store_it, &lin_addr))
        return HELPER_FAULT;
    bool done = store_it ? fpu_store_env(c->v, lin_addr, wide, with_regs)
                         : fpu_load_env(c->v, lin_addr, wide, with_regs);
    return done ? HELPER_OK : HELPER_FAULT;
}
MEM(FLDENV, m14_28byte)
{
    return image(c, false, false);
}
MEM(FNSTENV, m14_28byte)
{
    return image(c, true, false);
}
MEM(FRSTOR, m94_108byte)
{
    return image(c, false, true);
}
MEM(FNSAVE, m94_108byte)
{
    return image(c, true, true);
}

/* --- dispatch --- */

struct x87_row {
    x87_handler handler;
    uint8_t flags;
};

static const struct x87_row mem_rows[8][8] = {
#define X87_MEM(opcode, reg, name, operand, access, class, how)                                              \
    [opcode & 7][reg] = {x87_##name##_##operand, X87_CLASS_##class},
#define X87_REG(...)
#include "translator/insns_x87.def"
#undef X87_MEM
#undef X87_REG
};

static const struct x87_row reg_rows[8][64] = {
#define X87_MEM(...)
#define X87_REG(opcode, modrm, count, name, operands, class, ...)                                            \
    [opcode & 7][(modrm & 63)...(modrm & 63) + count - 1] = {x87_##opcode##_##name, X87_CLASS_##class},
#include "translator/insns_x87.def"
#undef X87_MEM
#undef X87_REG
};

static enum helper_result run_row(struct fpu_insn *c, const struct x87_row *row)
{
    struct vcpu *v = c->v;
    struct x87_state *x = c->x;
    if (!row->handler)
        return vcpu_raise(v, EXC_UD);
    bool error = x->sw & FSW_ES;
    if (error && !(row->flags & X87_NO_WAIT) && fpu_wait(v) != HELPER_OK)
        return HELPER_FAULT;
    if (row->handler(c) != HELPER_OK)
        return HELPER_FAULT;
    if (error)
        fpu_error_gone(v);
    if (!(row->flags & X87_NO_POINTERS)) {
        x->fip = v->tb->lin_addr - v->tb->cs_base + (uint32_t)v->tb->insn_offset[c->op->insn];
        x->fcs = v->g.seg[SEG_CS].sel;
        x->fop = c->op->imm2 & 0x7ff;
    }
    return HELPER_OK;
}

enum helper_result helper_X87_MEM(struct vcpu *v, const struct ir_op *op)
{
    struct fpu_insn c = {.v = v, .op = op, .x = &v->g.x87};
    const struct x87_row *row = &mem_rows[op->imm2 >> 8 & 7][op->imm2 >> 3 & 7];
    if (run_row(&c, row) != HELPER_OK)
        return HELPER_FAULT;
    if (!(row->flags & X87_NO_POINTERS)) {
        v->g.x87.fdp = v->g.slot[op->b] + op->disp;
        v->g.x87.fds = v->g.seg[op->aux].sel;
    }
    return HELPER_OK;
}

enum helper_result helper_X87_REG(struct vcpu *v, const struct ir_op *op)
{
    struct fpu_insn c = {.v = v, .op = op, .x = &v->g.x87, .i = op->imm2 & 7};
    return run_row(&c, &reg_rows[op->imm2 >> 8 & 7][op->imm2 & 63]);
}

enum helper_result helper_FWAIT(struct vcpu *v, const struct ir_op *op)
{
    (void)op;
    return fpu_wait(v);
}
