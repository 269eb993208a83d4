/* sse_float.c - instructions under MXCSR: modes in, flags out, #XM (SDM 1 11.5).
 *
 * The host executes with the guest's rounding and denormal modes, everything masked and no flag set; what it
 * raised then decides. All flags masked: they are or'ed into MXCSR and the result stands. One unmasked: the
 * destination keeps its value and the exception is delivered.
 *
 * An unmasked exception found before the computation (#I, #D, #Z) keeps the others from being detected: flags
 * of the later kind are not set. Unmasked overflow and underflow differ from masked ones: precision is that
 * of the result with an unbounded exponent, and underflow is signalled for a tiny result that is exact, too
 * (SDM 1 4.9.1.5). The host's x87 unit, with the format's precision and its own wider exponents, tells them,
 * lane by lane. */
#include "vcpu/arch/sse_internal.h"

static uint32_t modes_of(uint32_t mxcsr)
{
    const bool underflow_masked = mxcsr & (MXCSR_UE << MXCSR_MASK_SHIFT);
    const uint32_t modes = MXCSR_RC | MXCSR_DAZ | (underflow_masked ? MXCSR_FTZ : 0);
    return (mxcsr & modes) | MXCSR_MASKS;
}

static bool fail(struct vcpu *v, uint32_t flags)
{
    v->g.sse.mxcsr |= flags;
    vcpu_raise(v, v->g.cr4 & CR4_OSXMMEXCPT ? EXC_XM : EXC_UD);
    return false;
}

/* --- unmasked overflow and underflow --- */

enum { HADD = 0x7c, HSUB = 0x7d, ADDSUB = 0xd0 };

/* Only these produce results of another magnitude than their operands'. */
static const uint8_t range_op[256] = {
    [0x58] = FPU_ADD + 1, [0x59] = FPU_MUL + 1, [0x5c] = FPU_SUB + 1,
    [0x5e] = FPU_DIV + 1, [0x5a] = FPU_ADD + 1,                         /* narrowing: x + 0 */
    [HADD] = FPU_ADD + 1, [HSUB] = FPU_SUB + 1, [ADDSUB] = FPU_ADD + 1, /* the even lanes of ADDSUB: SUB */
};

static bool is_horizontal(const struct sse_row *r)
{
    return r->opcode == (0x0f00 | HADD) || r->opcode == (0x0f00 | HSUB);
}
static bool is_addsub(const struct sse_row *r)
{
    return r->opcode == (0x0f00 | ADDSUB);
}

/* SSE3's packed singles have the prefix F2, for F3 and none were taken. */
static bool is_double(const struct sse_row *r)
{
    return r->prefix == PFX_66 || (r->prefix == PFX_F2 && !is_horizontal(r) && !is_addsub(r));
}
static bool is_narrowing(const struct sse_row *r)
{
    return r->opcode == 0x0f5a;
}

static bool has_range(const struct sse_row *r)
{
    return range_op[r->opcode & 0xff] != 0 && (!is_narrowing(r) || is_double(r));
}

static struct f80 lane_f80(const uint8_t *from, bool wide, bool daz)
{
    struct f80 r;
    uint64_t bits = 0;
    memcpy(&bits, from, wide ? 8 : 4);
    const uint64_t exponent = wide ? UINT64_C(0x7ff) << 52 : UINT64_C(0xff) << 23;
    const uint64_t sign = wide ? UINT64_C(1) << 63 : UINT64_C(1) << 31;
    if (daz && (bits & exponent) == 0)
        bits &= sign;
    if (wide)
        fpu_from_m64fp(bits, &r);
    else
        fpu_from_m32fp((uint32_t)bits, &r);
    return r;
}

/* The flags of one lane, given those of the masked run. */
static uint32_t lane_flags(const struct sse_row *r, enum fpu_op2 op, uint32_t mxcsr, const uint8_t *a,
                           const uint8_t *b, uint32_t masked)
{
    const bool wide = is_double(r), narrow = !wide || is_narrowing(r), daz = mxcsr & MXCSR_DAZ;
    const unsigned bias = narrow ? 127 : 1023;
    const struct x87_state x = {
        .cw = (uint16_t)(FCW_ONE | FCW_EXC | (narrow ? 0 : 0x200) | (mxcsr & MXCSR_RC) >> 3)};
    struct f80 value = lane_f80(is_narrowing(r) ? b : a, wide, daz), other = f80_make(0, 0, 0);
    if (!is_narrowing(r))
        other = lane_f80(b, wide, daz);
    const fpu_flags f = fpu_host_op2(&x, op, FPU_F80, &value, &other);
    const unsigned e = f80_exp(&value);
    const bool tiny = e < F80_BIAS - bias + 1 && value.sig != 0;
    const bool huge = e > F80_BIAS + bias && e != F80_EXP_MAX;
    if (!(tiny && !(mxcsr & MXCSR_UE << MXCSR_MASK_SHIFT)) &&
        !(huge && !(mxcsr & MXCSR_OE << MXCSR_MASK_SHIFT)))
        return masked;
    return (masked & MXCSR_PRE) | (uint32_t)(tiny ? MXCSR_UE : MXCSR_OE) | (f & FSW_PE);
}

static void fill_lanes(uint8_t to[16], const uint8_t *lane, unsigned bytes)
{
    for (unsigned at = 0; at < 16; at += bytes)
        memcpy(to + at, lane, bytes);
}

/* What one lane of the result is: op(a, b), and the row whose every lane is that. */
struct lane {
    const uint8_t *a, *b;
    enum fpu_op2 op;
    sse_exec_fn fn;
};

static struct lane lane_get(const struct sse_row *r, sse_exec_fn fn, const struct sse_io *io, unsigned i)
{
    const unsigned bytes = is_double(r) ? 8 : 4, half = 16 / bytes / 2;
    struct lane l = {io->a + i * bytes, io->b + i * bytes, (enum fpu_op2)(range_op[r->opcode & 0xff] - 1),
                     fn};
    if (is_horizontal(
            r)) { /* neighbours: of the first operand in the low half, of the second in the high half */
        const uint8_t *from = i < half ? io->a : io->b;
        l.a = from + 2 * (i % half) * bytes;
        l.b = l.a + bytes;
    }
    if (is_addsub(r))
        l.op = i % 2 == 0 ? FPU_SUB : FPU_ADD;
    if (is_horizontal(r) || is_addsub(r)) {
        const enum sse_id add = is_double(r) ? SSE_66_0x0f58_ANY_RM : SSE_NP_0x0f58_ANY_RM,
                          subtract = is_double(r) ? SSE_66_0x0f5c_ANY_RM : SSE_NP_0x0f5c_ANY_RM;
        l.fn = sse_exec[l.op == FPU_ADD ? add : subtract];
    }
    return l;
}

/* Flags of the operands in *io with overflow and underflow as the masks in mxcsr make them. */
static uint32_t range_flags(const struct sse_row *r, sse_exec_fn fn, uint32_t mxcsr, const struct sse_io *io)
{
    const unsigned bytes = is_double(r) ? 8 : 4, count = r->bytes / bytes;
    uint32_t flags = 0;
    for (unsigned i = 0; i < count; i++) {
        const struct lane l = lane_get(r, fn, io, i);
        struct sse_io all = {.csr = modes_of(mxcsr)};
        fill_lanes(all.a, l.a, bytes);
        fill_lanes(all.b, l.b, bytes);
        l.fn(&all);
        flags |= lane_flags(r, l.op, mxcsr, l.a, l.b, all.csr & MXCSR_FLAGS);
    }
    return flags;
}

static bool wants_range_flags(const struct sse_row *r, uint32_t mxcsr)
{
    const uint32_t masks = (MXCSR_OE | MXCSR_UE) << MXCSR_MASK_SHIFT;
    return (mxcsr & masks) != masks && has_range(r);
}

/* --- running --- */

bool sse_run_fp(struct vcpu *v, enum sse_id id, sse_exec_fn fn, struct sse_io *io)
{
    uint32_t *mxcsr = &v->g.sse.mxcsr;
    const uint32_t unmasked = ~(*mxcsr >> MXCSR_MASK_SHIFT) & MXCSR_FLAGS;
    const bool by_lane = wants_range_flags(&sse_rows[id], *mxcsr);
    const struct sse_io before = by_lane ? *io : (struct sse_io){.gpr = 0};
    io->csr = modes_of(*mxcsr);
    fn(io);
    const uint32_t flags = by_lane ? range_flags(&sse_rows[id], fn, *mxcsr, &before) : io->csr & MXCSR_FLAGS;
    if (flags & unmasked & MXCSR_PRE)
        return fail(v, flags & MXCSR_PRE);
    if (flags & unmasked)
        return fail(v, flags);
    *mxcsr |= flags;
    return true;
}

bool sse_load_mxcsr(struct vcpu *v, uint32_t value)
{
    if (value & ~(uint32_t)MXCSR_VALID) {
        vcpu_raise_error(v, EXC_GP, 0);
        return false;
    }
    v->g.sse.mxcsr = value;
    return true;
}
