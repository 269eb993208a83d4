/* integer.c - integer instructions that do not fit the IR: division, decimal adjust, BOUND, stack frames,
 * CMPXCHG8B, and the flag instructions that privilege rules.
 *
 * Undefined flags (SDM 1 appendix A): DIV and IDIV keep all flags; the decimal adjusts set what
 * AMD's Zen does. */
#include "vcpu/arch/protect.h"

static bool parity_even(uint8_t value)
{
    return !__builtin_parity(value);
}

/* SF, ZF, PF of an 8-bit result. */
static uint32_t result_flags(uint8_t value)
{
    return (value & 0x80 ? FLAG_SF : 0) | (value == 0 ? FLAG_ZF : 0) | (parity_even(value) ? FLAG_PF : 0);
}

static void set_flags(struct guest_state *g, uint32_t arith)
{
    guest_set_arith_flags(g, arith | (g->df < 0 ? FLAG_DF : 0));
}

static void set_ax(struct guest_state *g, uint32_t ax)
{
    g->slot[IR_EAX] = (g->slot[IR_EAX] & 0xffff0000) | (ax & 0xffff);
}

/* --- DIV, IDIV --- */

static uint64_t dividend(const struct guest_state *g, unsigned size)
{
    uint32_t eax = g->slot[IR_EAX], edx = g->slot[IR_EDX];
    switch (size) {
    case 0:
        return eax & 0xffff;
    case 1:
        return (edx & 0xffff) << 16 | (eax & 0xffff);
    default:
        return (uint64_t)edx << 32 | eax;
    }
}

static void set_division(struct guest_state *g, unsigned size, uint32_t quotient, uint32_t remainder)
{
    uint32_t *eax = &g->slot[IR_EAX], *edx = &g->slot[IR_EDX];
    if (size == 0) {
        set_ax(g, (remainder & 0xff) << 8 | (quotient & 0xff));
    } else if (size == 1) {
        set_ax(g, quotient);
        *edx = (*edx & 0xffff0000) | (remainder & 0xffff);
    } else {
        *eax = quotient;
        *edx = remainder;
    }
}

static uint64_t size_mask(unsigned size)
{
    return (UINT64_C(1) << (8u << size)) - 1;
}

enum helper_result helper_DIV(struct vcpu *v, const struct ir_op *op)
{
    struct guest_state *g = &v->g;
    uint64_t divisor = g->slot[op->a] & size_mask(op->size);
    uint64_t value = dividend(g, op->size);
    if (divisor == 0 || value / divisor > size_mask(op->size))
        return vcpu_raise(v, EXC_DE);
    set_division(g, op->size, (uint32_t)(value / divisor), (uint32_t)(value % divisor));
    return HELPER_OK;
}

static int64_t sign_extend(uint64_t value, unsigned bits)
{
    unsigned shift = 64 - bits;
    return (int64_t)(value << shift) >> shift;
}

enum helper_result helper_IDIV(struct vcpu *v, const struct ir_op *op)
{
    struct guest_state *g = &v->g;
    unsigned bits = 8u << op->size;
    int64_t divisor = sign_extend(g->slot[op->a], bits);
    int64_t value = sign_extend(dividend(g, op->size), 2 * bits);
    if (divisor == 0 || (value == INT64_MIN && divisor == -1))
        return vcpu_raise(v, EXC_DE);
    int64_t quotient = value / divisor;
    if (quotient != sign_extend((uint64_t)quotient, bits))
        return vcpu_raise(v, EXC_DE);
    set_division(g, op->size, (uint32_t)quotient, (uint32_t)(value % divisor));
    return HELPER_OK;
}

/* --- decimal adjust: SDM 2 DAA, DAS, AAA, AAS, AAM, AAD --- */

static void set_al(struct guest_state *g, uint8_t al)
{
    g->slot[IR_EAX] = (g->slot[IR_EAX] & ~0xffu) | al;
}

/* OF of result = a + b (or, with a and b exchanged for result and subtrahend, of a subtraction). */
static uint32_t add_overflow(uint32_t a, uint32_t b, uint32_t result, uint32_t sign)
{
    return (a ^ result) & (b ^ result) & sign ? FLAG_OF : 0;
}

enum helper_result helper_DAA(struct vcpu *v, const struct ir_op *op)
{
    struct guest_state *g = &v->g;
    uint32_t flags = guest_eflags(g);
    uint8_t old = (uint8_t)g->slot[IR_EAX];
    bool af = (old & 0xf) > 9 || (flags & FLAG_AF);
    bool cf = old > 0x99 || (flags & FLAG_CF);
    uint8_t addend = (uint8_t)((af ? 6 : 0) + (cf ? 0x60 : 0));
    uint8_t al = (uint8_t)(old + addend);
    set_al(g, al);
    set_flags(g, result_flags(al) | (af ? FLAG_AF : 0) | (cf ? FLAG_CF : 0) |
                     add_overflow(old, addend, al, 0x80));
    return HELPER_OK;
}

enum helper_result helper_DAS(struct vcpu *v, const struct ir_op *op)
{
    struct guest_state *g = &v->g;
    uint32_t flags = guest_eflags(g);
    uint8_t old = (uint8_t)g->slot[IR_EAX];
    bool af = (old & 0xf) > 9 || (flags & FLAG_AF);
    bool high = old > 0x99 || (flags & FLAG_CF);
    bool borrow = af && old < 6; /* AL - 6 borrows: sets CF even when the high digit is in range */
    uint8_t subtrahend = (uint8_t)((af ? 6 : 0) + (high ? 0x60 : 0));
    uint8_t al = (uint8_t)(old - subtrahend);
    set_al(g, al);
    set_flags(g, result_flags(al) | (af ? FLAG_AF : 0) | (high || borrow ? FLAG_CF : 0) |
                     add_overflow(al, subtrahend, old, 0x80));
    return HELPER_OK;
}

/* AX +/- 106H when the low digit is out of range, then AL's high digit cleared. SF, ZF, PF, OF are those of
 * the 16-bit sum. */
static void ascii_adjust(struct guest_state *g, bool subtract)
{
    uint32_t old = g->slot[IR_EAX] & 0xffff;
    bool adjust = (old & 0xf) > 9 || (guest_eflags(g) & FLAG_AF);
    uint32_t by = adjust ? 0x106 : 0;
    uint32_t ax = (subtract ? old - by : old + by) & 0xffff;
    uint32_t flags =
        (ax & 0x8000 ? FLAG_SF : 0) | (ax == 0 ? FLAG_ZF : 0) | (parity_even((uint8_t)ax) ? FLAG_PF : 0);
    flags |= subtract ? add_overflow(ax, by, old, 0x8000) : add_overflow(old, by, ax, 0x8000);
    set_ax(g, ax & 0xff0f);
    set_flags(g, flags | (adjust ? FLAG_AF | FLAG_CF : 0));
}

enum helper_result helper_AAA(struct vcpu *v, const struct ir_op *op)
{
    ascii_adjust(&v->g, false);
    return HELPER_OK;
}

enum helper_result helper_AAS(struct vcpu *v, const struct ir_op *op)
{
    ascii_adjust(&v->g, true);
    return HELPER_OK;
}

enum helper_result helper_AAM(struct vcpu *v, const struct ir_op *op)
{
    struct guest_state *g = &v->g;
    uint8_t al = (uint8_t)g->slot[IR_EAX], divisor = (uint8_t)op->imm2;
    if (divisor == 0)
        return vcpu_raise(v, EXC_DE);
    set_ax(g, (uint32_t)(al / divisor) << 8 | al % divisor);
    set_flags(g, result_flags(al % divisor));
    return HELPER_OK;
}

enum helper_result helper_AAD(struct vcpu *v, const struct ir_op *op)
{
    struct guest_state *g = &v->g;
    uint32_t ax = g->slot[IR_EAX];
    uint32_t a = ax & 0xff, b = (ax >> 8) * op->imm2 & 0xff, sum = a + b;
    set_ax(g, sum & 0xff);
    set_flags(g, result_flags((uint8_t)sum) | (sum > 0xff ? FLAG_CF : 0) | ((a ^ b ^ sum) & FLAG_AF) |
                     add_overflow(a, b, sum, 0x80));
    return HELPER_OK;
}

/* SDM 2B POPCNT: OF, SF, AF, CF and PF are 0. */
enum helper_result helper_POPCNT(struct vcpu *v, const struct ir_op *op)
{
    const uint32_t value = v->g.slot[op->a];
    v->g.slot[op->dst] = (uint32_t)__builtin_popcount(value);
    set_flags(&v->g, value == 0 ? FLAG_ZF : 0);
    return HELPER_OK;
}

/* --- BOUND, CMPXCHG8B --- */

enum helper_result helper_BOUND(struct vcpu *v, const struct ir_op *op)
{
    unsigned bytes = 1u << op->size;
    uint32_t lin_addr = v->g.slot[op->b];
    uint64_t pair;
    if (!mem_read(v, lin_addr, 2 * bytes, mem_is_user(v), &pair))
        return HELPER_FAULT;
    int64_t index = sign_extend(v->g.slot[op->a], 8 * bytes);
    if (index < sign_extend(pair, 8 * bytes) || index > sign_extend(pair >> 8 * bytes, 8 * bytes))
        return vcpu_raise(v, EXC_BR);
    return HELPER_OK;
}

enum helper_result helper_CMPXCHG8B(struct vcpu *v, const struct ir_op *op)
{
    struct guest_state *g = &v->g;
    uint32_t *slot = g->slot, lin_addr = slot[op->a];
    uint64_t expected = (uint64_t)slot[IR_EDX] << 32 | slot[IR_EAX];
    uint64_t wanted = (uint64_t)slot[IR_ECX] << 32 | slot[IR_EBX];
    uint64_t old;
    bool user = mem_is_user(v);
    if (!mem_probe_write(v, lin_addr, 8, user) || !mem_read(v, lin_addr, 8, user, &old))
        return HELPER_FAULT;
    /* Equal or not, the bus sees a write (SDM 2 CMPXCHG8B). */
    bool equal = old == expected;
    if (!mem_write(v, lin_addr, 8, user, equal ? wanted : old))
        return HELPER_FAULT;
    if (!equal) {
        slot[IR_EAX] = (uint32_t)old;
        slot[IR_EDX] = (uint32_t)(old >> 32);
    }
    uint32_t flags = guest_eflags(g);
    guest_set_arith_flags(g, equal ? flags | FLAG_ZF : flags & ~(uint32_t)FLAG_ZF);
    return HELPER_OK;
}

/* --- ENTER, PUSHA, POPA --- */

static bool push_frame(struct vcpu *v, const struct frame *f)
{
    struct stack st = stack_current(v);
    if (!stack_push(v, &st, f))
        return false;
    v->g.slot[IR_ESP] = st.esp;
    return true;
}

/* ENTER in work: registers as they will be, memory through SS at the stack's width. */
struct enter {
    uint32_t esp, ebp;
    uint32_t sp_mask;
    unsigned width;
};

static struct enter enter_begin(const struct vcpu *v, const struct ir_op *op)
{
    const struct guest_state *g = &v->g;
    return (struct enter){.esp = g->slot[IR_ESP],
                          .ebp = g->slot[IR_EBP],
                          .width = 1u << op->size,
                          .sp_mask = g->seg[SEG_SS].access & SEG_ACC_DB ? UINT32_MAX : 0xffff};
}

static uint32_t enter_sub(const struct enter *e, uint32_t reg, uint32_t bytes)
{
    return (reg & ~e->sp_mask) | ((reg - bytes) & e->sp_mask);
}

static bool enter_probe(struct vcpu *v, const struct enter *e, uint32_t offset, bool write)
{
    uint32_t lin_addr;
    uint64_t value;
    if (!seg_linear(v, SEG_SS, offset & e->sp_mask, e->width, write, &lin_addr))
        return false;
    return write ? mem_probe_write(v, lin_addr, e->width, mem_is_user(v))
                 : mem_read(v, lin_addr, e->width, mem_is_user(v), &value);
}

static bool enter_push(struct vcpu *v, struct enter *e, uint32_t value)
{
    uint32_t lin_addr, esp = enter_sub(e, e->esp, e->width);
    if (!seg_linear(v, SEG_SS, esp & e->sp_mask, e->width, true, &lin_addr) ||
        !mem_write(v, lin_addr, e->width, mem_is_user(v), value))
        return false;
    e->esp = esp;
    return true;
}

/* Everything that may fault: the slots to write, the frame pointers to copy, the final top (SDM 2 ENTER). */
static bool enter_check(struct vcpu *v, struct enter e, unsigned level, uint32_t bytes)
{
    unsigned pushes = level ? level + 1 : 1;
    for (unsigned i = 0; i < pushes; i++) {
        e.esp = enter_sub(&e, e.esp, e.width);
        if (!enter_probe(v, &e, e.esp, true))
            return false;
    }
    for (unsigned i = 1; i < level; i++) {
        e.ebp = enter_sub(&e, e.ebp, e.width);
        if (!enter_probe(v, &e, e.ebp, false))
            return false;
    }
    return enter_probe(v, &e, enter_sub(&e, e.esp, bytes), true);
}

static bool enter_copy(struct vcpu *v, struct enter *e, unsigned level, uint32_t frame)
{
    for (unsigned i = 1; i < level; i++) {
        uint32_t lin_addr;
        uint64_t value;
        e->ebp = enter_sub(e, e->ebp, e->width);
        if (!seg_linear(v, SEG_SS, e->ebp & e->sp_mask, e->width, false, &lin_addr) ||
            !mem_read(v, lin_addr, e->width, mem_is_user(v), &value) || !enter_push(v, e, (uint32_t)value))
            return false;
    }
    return level == 0 || enter_push(v, e, frame);
}

enum helper_result helper_ENTER(struct vcpu *v, const struct ir_op *op)
{
    struct guest_state *g = &v->g;
    uint32_t bytes = op->imm2 & 0xffff;
    unsigned level = op->imm2 >> 16 & 31;
    struct enter e = enter_begin(v, op);
    if (!enter_check(v, e, level, bytes) || !enter_push(v, &e, e.ebp))
        return HELPER_FAULT;
    uint32_t frame = e.esp;
    if (!enter_copy(v, &e, level, frame))
        return HELPER_FAULT;
    g->slot[IR_EBP] = op->size == 1 ? (g->slot[IR_EBP] & 0xffff0000) | (frame & 0xffff) : frame;
    g->slot[IR_ESP] = enter_sub(&e, e.esp, bytes);
    return HELPER_OK;
}

enum helper_result helper_PUSHA(struct vcpu *v, const struct ir_op *op)
{
    struct frame f = {.width = 1u << op->size};
    for (unsigned i = IR_EAX; i <= IR_EDI; i++)
        frame_add(&f, v->g.slot[i]);
    return helper_done(push_frame(v, &f));
}

enum helper_result helper_POPA(struct vcpu *v, const struct ir_op *op)
{
    struct guest_state *g = &v->g;
    unsigned width = 1u << op->size;
    uint32_t value[8];
    for (unsigned i = 0; i < 8; i++) {
        if (!stack_peek(v, i * width, width, &value[i]))
            return HELPER_FAULT;
    }
    for (unsigned i = 0; i < 8; i++) {
        uint32_t *reg = &g->slot[IR_EDI - i];
        if (IR_EDI - i != IR_ESP)
            *reg = width == 2 ? (*reg & 0xffff0000) | value[i] : value[i];
    }
    stack_set_esp(g, g->slot[IR_ESP] + 8 * width);
    return HELPER_OK;
}

/* --- flags --- */

enum helper_result helper_PUSHF(struct vcpu *v, const struct ir_op *op)
{
    struct frame f = {.width = 1u << op->size};
    if (!vm86_iopl_ok(v))
        return HELPER_FAULT;
    frame_add(&f, guest_pushed_eflags(&v->g));
    return helper_done(push_frame(v, &f));
}

enum helper_result helper_POPF(struct vcpu *v, const struct ir_op *op)
{
    struct guest_state *g = &v->g;
    unsigned width = 1u << op->size;
    uint32_t value, mask = eflags_popped_mask(g) | (width == 4 ? FLAG_AC | FLAG_ID : 0);
    if (!vm86_iopl_ok(v) || !stack_peek(v, 0, width, &value))
        return HELPER_FAULT;
    eflags_write(g, value & ~(uint32_t)FLAG_RF, mask | FLAG_RF);
    vcpu_alignment_changed(v);
    stack_set_esp(g, g->slot[IR_ESP] + width);
    g->eip = op->imm2;
    return HELPER_OK;
}

/* SDM 2 CLI and STI without VME and PVI: CPL <= IOPL. */
static bool io_privileged(struct vcpu *v)
{
    return v->g.cpl <= (v->g.eflags & FLAG_IOPL) >> 12 || raise_zero(v, EXC_GP);
}

enum helper_result helper_CLI(struct vcpu *v, const struct ir_op *op)
{
    if (!io_privileged(v))
        return HELPER_FAULT;
    v->g.eflags &= ~(uint32_t)FLAG_IF;
    return HELPER_OK;
}

enum helper_result helper_STI(struct vcpu *v, const struct ir_op *op)
{
    struct guest_state *g = &v->g;
    if (!io_privileged(v))
        return HELPER_FAULT;
    if (!(g->eflags & FLAG_IF))
        g->int_shadow = SHADOW_INTERRUPTS; /* SDM 2 STI: from the end of the next instruction on */
    g->eflags |= FLAG_IF;
    g->eip = op->imm2;
    return HELPER_OK;
}

enum helper_result helper_CLD(struct vcpu *v, const struct ir_op *op)
{
    v->g.df = 1;
    return HELPER_OK;
}

enum helper_result helper_STD(struct vcpu *v, const struct ir_op *op)
{
    v->g.df = -1;
    return HELPER_OK;
}
