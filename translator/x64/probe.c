/* probe.c - see probe.h.
 *
 * A case is a little function in the code cache, before there are blocks: FXRSTOR of a state, the
 * instruction, FXSAVE. All are written first and run then, behind a CPUID, which serializes (SDM 3A 9.1.3:
 * code written through another address). */
#include "translator/x64/probe.h"

#include <cpuid.h>
#include <string.h>

#include "clockcore/check.h"
#include "translator/sse.h"
#include "translator/x64/compile.h"
#include "translator/x64/fpu.h"
#include "translator/x87.h"

enum { CASES_MAX = 256, CASE_BYTES_MAX = 96, IMAGE_BYTES = 512, OPERAND_BYTES = 16 };
enum {
    IMG_CW = 0,
    IMG_SW = 2,
    IMG_TAGS = 4,
    IMG_MXCSR = 24,
    IMG_ST = 32,
    IMG_XMM = 160,
    IMG_XMM_BYTES = 128
};
enum {
    IE = 1,
    DE = 2,
    SF = 0x40,
    C0 = 0x100,
    C1 = 0x200,
    C2 = 0x400,
    C3 = 0x4000,
    CODES = C0 | C2 | C3,
    TOP = 7 << 11,
    CW = 0x37f,
    RC_DOWN = 1 << 10,
    RC_UP = 2 << 10,
};
enum { START_TOP = 3, MEM_FORMS = 0xc0 /* ModRM below: reg << 3, the operand in memory */ };

/* An 80-bit value. */
struct value {
    uint64_t sig;
    uint16_t se;
};
/* clang-format off */
#define ONE             {UINT64_C(1) << 63, 0x3fff}
#define MINUS_ONE       {UINT64_C(1) << 63, 0xbfff}
#define INDEFINITE      {UINT64_C(3) << 62, 0xffff}
#define SNAN            {UINT64_C(0x8000000000000001), 0x7fff}
#define MINUS_SNAN      {UINT64_C(0x8000000000000001), 0xffff}
#define PSEUDO_DENORMAL {UINT64_C(0x8000000000000001), 0}
#define PSEUDO_NAN      {1, 0x7fff}
#define MINUS_PSEUDO_INFINITY {0, 0xffff}
#define UNNORMAL        {UINT64_C(1) << 62, 0x3fff}
#define MINUS_UNNORMAL  {UINT64_C(1) << 62, 0xbfff}

/* clang-format on */

/* --- x87 instructions with their whole answer --- */

enum { ALL_VALID = 0xff, NONE_VALID = 0, ST7_EMPTY = 0xff & ~(1 << ((START_TOP + 7) & 7)) };

struct x87_case {
    uint8_t probe; /* enum x64_probe */
    uint8_t opcode, modrm;
    uint8_t valid; /* tags: bit for each physical register, 1: not empty */
    uint16_t rc;
    uint64_t operand[2];
    struct value st0;
    uint16_t sw;      /* expected, without TOP */
    struct value top; /* expected in what is ST(0) then; of a store: in memory */
};

/* ST(0) is 1.0 where a row has no other; the codes are 0 before. */
/* clang-format off */
static const struct x87_case x87_cases[] = {
    /* SDM 2A FXAM: unsupported 000, NaN 001, normal 010, infinity 011, zero 100, empty 101, denormal 110 */
    {PROBE_classes, 0xd9, 0xe5, ALL_VALID, 0, {0}, PSEUDO_DENORMAL, C3 | C2, PSEUDO_DENORMAL},
    {PROBE_classes, 0xd9, 0xe5, ALL_VALID, 0, {0}, UNNORMAL, 0, UNNORMAL},
    {PROBE_classes, 0xd9, 0xe5, ALL_VALID, 0, {0}, MINUS_PSEUDO_INFINITY, C1, MINUS_PSEUDO_INFINITY},
    {PROBE_classes, 0xd9, 0xe5, ALL_VALID, 0, {0}, PSEUDO_NAN, 0, PSEUDO_NAN},
    {PROBE_classes, 0xd9, 0xe5, NONE_VALID, 0, {0}, MINUS_ONE, C3 | C1 | C0, MINUS_ONE},
    /* FLDL2T, FLDL2E, FLDPI, FLDLG2, FLDLN2: to nearest and in another mode */
    {PROBE_constants, 0xd9, 0xe9, ST7_EMPTY, 0,       {0}, ONE, 0, {UINT64_C(0xd49a784bcd1b8afe), 0x4000}},
    {PROBE_constants, 0xd9, 0xe9, ST7_EMPTY, RC_UP,   {0}, ONE, 0, {UINT64_C(0xd49a784bcd1b8aff), 0x4000}},
    {PROBE_constants, 0xd9, 0xea, ST7_EMPTY, 0,       {0}, ONE, 0, {UINT64_C(0xb8aa3b295c17f0bc), 0x3fff}},
    {PROBE_constants, 0xd9, 0xea, ST7_EMPTY, RC_DOWN, {0}, ONE, 0, {UINT64_C(0xb8aa3b295c17f0bb), 0x3fff}},
    {PROBE_constants, 0xd9, 0xeb, ST7_EMPTY, 0,       {0}, ONE, 0, {UINT64_C(0xc90fdaa22168c235), 0x4000}},
    {PROBE_constants, 0xd9, 0xeb, ST7_EMPTY, RC_DOWN, {0}, ONE, 0, {UINT64_C(0xc90fdaa22168c234), 0x4000}},
    {PROBE_constants, 0xd9, 0xec, ST7_EMPTY, 0,       {0}, ONE, 0, {UINT64_C(0x9a209a84fbcff799), 0x3ffd}},
    {PROBE_constants, 0xd9, 0xec, ST7_EMPTY, RC_DOWN, {0}, ONE, 0, {UINT64_C(0x9a209a84fbcff798), 0x3ffd}},
    {PROBE_constants, 0xd9, 0xed, ST7_EMPTY, 0,       {0}, ONE, 0, {UINT64_C(0xb17217f7d1cf79ac), 0x3ffe}},
    {PROBE_constants, 0xd9, 0xed, ST7_EMPTY, RC_DOWN, {0}, ONE, 0, {UINT64_C(0xb17217f7d1cf79ab), 0x3ffe}},
    /* Overflow: FLD1, FLD m32fp, FILD m16int, FLD ST(1) */
    {PROBE_stack, 0xd9, 0xe8, ALL_VALID, 0, {0},          ONE, IE | SF | C1, INDEFINITE},
    {PROBE_stack, 0xd9, 0x00, ALL_VALID, 0, {0x40000000}, ONE, IE | SF | C1, INDEFINITE},
    {PROBE_stack, 0xdf, 0x00, ALL_VALID, 0, {2},          ONE, IE | SF | C1, INDEFINITE},
    {PROBE_stack, 0xd9, 0xc1, ALL_VALID, 0, {0},          ONE, IE | SF | C1, INDEFINITE},
    /* Underflow: FADD, FCHS, FXCH, FCMOVB (CF is 1), FCOM; FST m32fp, FIST m16int, FSTP m80fp */
    {PROBE_stack, 0xd8, 0xc1, NONE_VALID, 0, {0}, ONE, IE | SF, INDEFINITE},
    {PROBE_stack, 0xd9, 0xe0, NONE_VALID, 0, {0}, ONE, IE | SF, INDEFINITE},
    {PROBE_stack, 0xd9, 0xc9, NONE_VALID, 0, {0}, ONE, IE | SF, INDEFINITE},
    {PROBE_stack, 0xda, 0xc1, NONE_VALID, 0, {0}, ONE, IE | SF, INDEFINITE},
    {PROBE_stack, 0xd8, 0xd1, NONE_VALID, 0, {0}, ONE, IE | SF | CODES, ONE},
    {PROBE_stack, 0xd9, 0x10, NONE_VALID, 0, {0}, ONE, IE | SF, {0xffc00000, 0}},
    {PROBE_stack, 0xdf, 0x10, NONE_VALID, 0, {0}, ONE, IE | SF, {0x8000, 0}},
    {PROBE_stack, 0xdb, 0x38, NONE_VALID, 0, {0}, ONE, IE | SF, INDEFINITE},
    /* FLD and FSTP m80fp, FXCH, FCHS, FABS; FLD m32fp and m64fp of an SNaN and a denormal */
    {PROBE_moves, 0xdb, 0x28, ST7_EMPTY, 0, SNAN,            ONE, 0, SNAN},
    {PROBE_moves, 0xdb, 0x28, ST7_EMPTY, 0, PSEUDO_DENORMAL, ONE, 0, PSEUDO_DENORMAL},
    {PROBE_moves, 0xdb, 0x38, ALL_VALID, 0, {0}, SNAN, 0, SNAN},
    {PROBE_moves, 0xdb, 0x38, ALL_VALID, 0, {0}, UNNORMAL, 0, UNNORMAL},
    {PROBE_moves, 0xd9, 0xc9, ALL_VALID, 0, {0}, SNAN, 0, ONE},
    {PROBE_moves, 0xd9, 0xe0, ALL_VALID, 0, {0}, SNAN, 0, MINUS_SNAN},
    {PROBE_moves, 0xd9, 0xe1, ALL_VALID, 0, {0}, MINUS_UNNORMAL, 0, UNNORMAL},
    {PROBE_moves, 0xd9, 0x00, ST7_EMPTY, 0, {0x7f800001}, ONE, IE, {UINT64_C(0xc000010000000000), 0x7fff}},
    {PROBE_moves, 0xd9, 0x00, ST7_EMPTY, 0, {1},          ONE, DE, {UINT64_C(1) << 63, 0x3f6a}},
    {PROBE_moves, 0xdd, 0x00, ST7_EMPTY, 0, {UINT64_C(0x7ff0000000000001)}, ONE, IE,
     {UINT64_C(0xc000000000000800), 0x7fff}},
    {PROBE_moves, 0xdd, 0x00, ST7_EMPTY, 0, {1},          ONE, DE, {UINT64_C(1) << 63, 0x3bcd}},
};
/* clang-format on */
enum { X87_CASES = sizeof x87_cases / sizeof *x87_cases };

/* --- all forms of insns_x87.def: the condition codes --- */

/* 2, or a control word; never read where the form is in C. */
/* clang-format off */
#define OPERAND_m32fp       {0x40000000}
#define OPERAND_m64fp       {UINT64_C(1) << 62}
#define OPERAND_m80fp       {UINT64_C(1) << 63, 0x4000}
#define OPERAND_m16int      {2}
#define OPERAND_m32int      {2}
#define OPERAND_m64int      {2}
#define OPERAND_m2byte      {CW}
#define OPERAND_m80bcd      {0}
#define OPERAND_m14_28byte  {0}
#define OPERAND_m94_108byte {0}
/* clang-format on */

struct form {
    uint8_t opcode, modrm, count, class, how;
    uint64_t operand[2];
};
static const struct form forms[] = {
#define X87_MEM(opcode, reg, name, operand, access, class, how)                                              \
    {opcode, (reg) << 3, 1, X87_CLASS_##class, X87_INLINE_##how, OPERAND_##operand},
#define X87_REG(opcode, modrm, count, name, operands, class, flags, how)                                     \
    {opcode, modrm, count, X87_CLASS_##class, X87_INLINE_##how, {0}},
#include "translator/x87_rows.h"
#undef X87_MEM
#undef X87_REG
};
enum { FORMS = sizeof forms / sizeof *forms };

static bool is_run(const struct form *f)
{
    return f->how != X87_INLINE_CALL && f->how != X87_INLINE_NOTHING;
}

/* Status bits that stay as they were; C1 is 0 where it is not among them. */
static uint16_t kept_by(const struct form *f)
{
    const uint16_t codes = f->class & X87_SETS_CODES || f->how == X87_INLINE_REM ? 0 : CODES;
    return codes | (f->class & X87_NO_POINTERS || f->how == X87_INLINE_FCMOV ? C1 : 0);
}

/* --- running --- */

typedef uint32_t case_fn(const uint8_t *in, uint8_t *out, void *operand);

struct asker {
    struct x64 *x;
    struct x64_buf b;
    uint32_t differs;
    bool has_lahf;
    _Alignas(16) uint8_t in[IMAGE_BYTES];
    _Alignas(16) uint8_t out[IMAGE_BYTES];
    _Alignas(16) uint8_t operand[OPERAND_BYTES];
    uint32_t flags; /* the low byte of EFLAGS, where there is LAHF */
    unsigned n;
    case_fn *fn[CASES_MAX];
};

static void begin_case(struct asker *a)
{
    CHECK(a->n < CASES_MAX);
    a->fn[a->n++] = (case_fn *)(uintptr_t)code_cache_exec(&a->x->cache, a->b.at);
    x_fxrstor(&a->b, mem_at(RDI, 0));
    x_mov_imm(&a->b, RAX, 0);
    x_alu_imm(&a->b, ALU_CMP, SZ8, RAX, 1); /* CF, PF, AF, SF */
}

static void end_case(struct asker *a)
{
    if (a->has_lahf) {
        x_lahf(&a->b);
        x_movzx_high(&a->b, RAX, RAX);
    }
    x_fxsave(&a->b, mem_at(RSI, 0));
    x_fninit(&a->b);
    x_push_imm(&a->b, MXCSR_INIT);
    x_ldmxcsr(&a->b, mem_at(RSP, 0));
    x_lea(&a->b, SZ64, RSP, mem_at(RSP, 8));
    x_ret(&a->b);
}

static void emit_x87(struct asker *a, unsigned opcode, unsigned modrm, bool to_eflags)
{
    begin_case(a);
    if (modrm < MEM_FORMS)
        x_fpu_mem(&a->b, opcode, modrm >> 3, mem_at(RDX, 0));
    else if (to_eflags)
        emit_fpu_compare(&a->b, opcode, modrm);
    else
        x_fpu_reg(&a->b, opcode, modrm);
    end_case(a);
}

static void put16(uint8_t *image, unsigned at, uint16_t v)
{
    memcpy(image + at, &v, 2);
}
static uint16_t get16(const uint8_t *image, unsigned at)
{
    uint16_t v;
    memcpy(&v, image + at, 2);
    return v;
}
static void put_st(uint8_t *image, unsigned i, struct value v)
{
    memcpy(image + IMG_ST + 16 * i, &v.sig, 8);
    memcpy(image + IMG_ST + 16 * i + 8, &v.se, 2);
}
static bool is_value(const uint8_t *at, struct value v)
{
    return memcmp(at, &v.sig, 8) == 0 && memcmp(at + 8, &v.se, 2) == 0;
}

/* Everything masked, TOP as START_TOP, ST(i) = 1.0. */
static void fill(struct asker *a, uint16_t sw, uint8_t valid)
{
    memset(a->in, 0, IMAGE_BYTES);
    memset(a->out, 0, IMAGE_BYTES);
    put16(a->in, IMG_CW, CW);
    put16(a->in, IMG_SW, (uint16_t)(sw | START_TOP << 11));
    put16(a->in, IMG_MXCSR, MXCSR_INIT);
    a->in[IMG_TAGS] = valid;
    for (unsigned i = 0; i < 8; i++)
        put_st(a->in, i, (struct value)ONE);
}

static void run(struct asker *a, unsigned i, const uint64_t operand[2])
{
    memcpy(a->operand, operand, OPERAND_BYTES);
    a->flags = a->fn[i](a->in, a->out, a->operand);
}

static void note(struct asker *a, enum x64_probe probe, bool as_expected)
{
    a->differs |= as_expected ? 0 : 1u << probe;
}

/* --- the probes: each has its code written, then is run in the same order --- */

static void emit_table(struct asker *a)
{
    for (unsigned i = 0; i < X87_CASES; i++)
        emit_x87(a, x87_cases[i].opcode, x87_cases[i].modrm, false);
}

static bool is_store(const struct x87_case *k)
{
    return k->modrm < MEM_FORMS && x87_mem_forms[k->opcode & 7][k->modrm >> 3].access == X87_STORE;
}

static unsigned ask_table(struct asker *a, unsigned at)
{
    for (unsigned i = 0; i < X87_CASES; i++) {
        const struct x87_case *k = &x87_cases[i];
        fill(a, 0, k->valid);
        put16(a->in, IMG_CW, CW | k->rc);
        put_st(a->in, 0, k->st0);
        run(a, at++, k->operand);
        note(a, k->probe,
             (get16(a->out, IMG_SW) & ~TOP) == k->sw &&
                 is_value(is_store(k) ? a->operand : a->out + IMG_ST, k->top));
    }
    return at;
}

static unsigned one_of(const struct form *f)
{
    return f->modrm + (f->count > 1);
}

static void emit_forms(struct asker *a)
{
    for (unsigned i = 0; i < FORMS; i++)
        if (is_run(&forms[i]))
            emit_x87(a, forms[i].opcode, one_of(&forms[i]), forms[i].how == X87_INLINE_EFLAGS);
}

static void form_in_c(struct x64_host *h, const struct form *f)
{
    if (f->modrm < MEM_FORMS)
        h->x87_mem_in_c |= UINT64_C(1) << ((f->opcode & 7) * 8 + (f->modrm >> 3));
    else
        h->x87_reg_in_c[f->opcode & 7] |= ((UINT64_C(1) << f->count) - 1) << (f->modrm & 63);
}

static bool flags_are_clear(const struct asker *a)
{
    return !a->has_lahf || (a->flags & ~(uint32_t)(FLAG_CF | FLAG_PF | FLAG_ZF)) == FLAG_1;
}

static unsigned ask_forms(struct asker *a, unsigned at)
{
    static const struct value four = {UINT64_C(1) << 63, 0x4001};
    for (unsigned i = 0; i < FORMS; i++) {
        const struct form *f = &forms[i];
        if (!is_run(f))
            continue;
        fill(a, CODES | C1, ST7_EMPTY);
        put_st(a->in, 0, four);
        run(a, at++, f->operand);
        const uint16_t kept = kept_by(f), expected = (CODES | C1) & kept;
        if ((get16(a->out, IMG_SW) & (kept | C1)) != expected) {
            a->differs |= 1u << PROBE_codes;
            form_in_c(&a->x->host, f);
        }
        note(a, PROBE_flags, f->how != X87_INLINE_EFLAGS || flags_are_clear(a));
    }
    return at;
}

/* COMISS XMM0, XMM0 */
static void emit_comiss(struct asker *a)
{
    begin_case(a);
    x_simd_reg(&a->b, PFX_NP, 0x2f, 0, 0);
    end_case(a);
}

static unsigned ask_comiss(struct asker *a, unsigned at)
{
    static const uint64_t none[2];
    fill(a, 0, ALL_VALID);
    run(a, at, none);
    note(a, PROBE_flags, flags_are_clear(a));
    return at + 1;
}

/* Any contents, TOP, tags and modes. DAZ is left out: CPUs were without it. */
static void emit_image(struct asker *a)
{
    begin_case(a);
    end_case(a);
}

static unsigned ask_image(struct asker *a, unsigned at)
{
    static const uint64_t none[2];
    static const struct value odd[8] = {ONE,         SNAN,   {1, 0},     {UINT64_C(1) << 62, 0x3fff},
                                        {0, 0x7fff}, {0, 0}, INDEFINITE, {UINT64_C(0x8000000000000001), 0}};
    enum { SW = CODES | C1 | SF | 0x3f, TAGS = 0xa5, CW_ALL = 0x0e7f, MODES = 0xffff & ~MXCSR_DAZ };
    fill(a, SW, TAGS);
    put16(a->in, IMG_CW, CW_ALL);
    put16(a->in, IMG_MXCSR, MODES);
    for (unsigned i = 0; i < 8; i++)
        put_st(a->in, i, odd[i]);
    for (unsigned i = 0; i < IMG_XMM_BYTES; i++)
        a->in[IMG_XMM + i] = (uint8_t)(i * 37 + 1);
    run(a, at, none);
    bool same = memcmp(a->in, a->out, IMG_TAGS + 1) == 0 && get16(a->out, IMG_MXCSR) == MODES &&
                memcmp(a->in + IMG_XMM, a->out + IMG_XMM, IMG_XMM_BYTES) == 0;
    for (unsigned i = 0; i < 8; i++)
        same = same && is_value(a->out + IMG_ST + 16 * i, odd[i]);
    note(a, PROBE_image, same);
    return at + 1;
}

/* PADDB MM0, MM1; MOVQ m64, MM0; EMMS */
static void emit_mmx(struct asker *a)
{
    begin_case(a);
    x_simd_reg(&a->b, PFX_NP, 0xfc, 0, 1);
    end_case(a);
    begin_case(a);
    x_simd_mem(&a->b, PFX_NP, 0x7f, 0, mem_at(RDX, 0));
    end_case(a);
    begin_case(a);
    x_emms(&a->b);
    end_case(a);
}

static unsigned ask_mmx(struct asker *a, unsigned at)
{
    static const uint64_t none[2];
    static const struct value sum = {0, 0xffff}; /* 80h + 80h */
    for (unsigned i = 0; i < 3; i++) {
        fill(a, CODES | C1, i == 2 ? 0x5a : 0);
        run(a, at + i, none);
        const struct value mm0 = i == 0 ? sum : (struct value)ONE;
        note(a, PROBE_mmx,
             get16(a->out, IMG_SW) == (CODES | C1) && a->out[IMG_TAGS] == (i == 2 ? 0 : 0xff) &&
                 is_value(a->out + IMG_ST, mm0) && is_value(a->out + IMG_ST + 16, (struct value)ONE));
    }
    return at + 3;
}

/* --- FPREM and FPREM1 --- */

struct remainder_case {
    struct value a, b;
    uint16_t cw;
    uint8_t valid;
    struct value result[2]; /* of FPREM, of FPREM1 */
    uint16_t sw[2];
};
/* clang-format off */
#define BOTH(...) {__VA_ARGS__, __VA_ARGS__}
#define INFINITE  {UINT64_C(1) << 63, 0x7fff}
#define DENORMAL  {0x1234, 0x8000}
#define TWO       {UINT64_C(1) << 63, 0x4000}
#define THREE     {UINT64_C(3) << 62, 0x4000}
static const struct remainder_case remainder_cases[] = {
    /* 5 by 3: 1 and 2 are left, 2 and -1. 7 by 2: 3 and 1, 4 (even) and -1. -4 by 1: a zero keeps its sign. */
    {{UINT64_C(5) << 61, 0x4001}, THREE, CW, ALL_VALID, {TWO, MINUS_ONE}, {C1, C3}},
    {{UINT64_C(7) << 61, 0x4001}, TWO, CW, ALL_VALID, {ONE, MINUS_ONE}, {C3 | C1, C0}},
    {{UINT64_C(1) << 63, 0xc001}, ONE, CW, ALL_VALID, BOTH({0, 0x8000}), {C0, C0}},
    /* A quotient of 0; all 64 bits of the remainder in single precision */
    {ONE, {UINT64_C(1) << 63, 0x4009}, CW, ALL_VALID, BOTH(ONE), {0, 0}},
    {{UINT64_MAX, 0x4000}, {UINT64_C(1) << 63, 0x4001}, CW & ~0x300, ALL_VALID,
     {{UINT64_MAX, 0x4000}, {UINT64_C(1) << 63, 0xbfc1}}, {0, C1}},
    /* Exponents 63 apart: 2 (2^63 + 1) is 3 times ...110b */
    {{UINT64_C(0x8000000000000001), 0x403f}, THREE, CW, ALL_VALID, BOTH({0, 0}), {C3 | C0, C3 | C0}},
    /* The remainder is the smallest denormal: exact, so no underflow */
    {{UINT64_C(0x8000000000000001), 1}, {UINT64_C(1) << 63, 1}, CW, ALL_VALID, BOTH({1, 0}), {C1, C1}},
    /* Zero by a number, a number by infinity, denormals */
    {{0, 0x8000}, THREE, CW, ALL_VALID, BOTH({0, 0x8000}), {0, 0}},
    {ONE, INFINITE, CW, ALL_VALID, BOTH(ONE), {0, 0}},
    {DENORMAL, ONE, CW, ALL_VALID, BOTH(DENORMAL), {DE, DE}},
    {DENORMAL, INFINITE, CW, ALL_VALID, BOTH(DENORMAL), {DE, DE}},
    {PSEUDO_DENORMAL, ONE, CW, ALL_VALID, BOTH({UINT64_C(0x8000000000000001), 1}), {DE, DE}},
    /* Invalid: infinity by a number, a number by zero, an SNaN, an unnormal, empty registers */
    {INFINITE, ONE, CW, ALL_VALID, BOTH(INDEFINITE), BOTH(IE | C3 | C0)},
    {ONE, {0, 0}, CW, ALL_VALID, BOTH(INDEFINITE), BOTH(IE | C3 | C0)},
    {SNAN, ONE, CW, ALL_VALID, BOTH({UINT64_C(0xc000000000000001), 0x7fff}), BOTH(IE | C3 | C0)},
    {ONE, UNNORMAL, CW, ALL_VALID, BOTH(INDEFINITE), BOTH(IE | C3 | C0)},
    {ONE, ONE, CW, NONE_VALID, BOTH(INDEFINITE), BOTH(IE | SF | C3 | C0)},
    {ONE, ONE, CW, (uint8_t)~(1 << (START_TOP + 1)), BOTH(INDEFINITE), BOTH(IE | SF | C3 | C0)},
};
/* clang-format on */
enum { REMAINDER_CASES = sizeof remainder_cases / sizeof *remainder_cases, REMAINDERS = 2 };

static void emit_remainders(struct asker *a)
{
    emit_x87(a, 0xd9, 0xf8, false);
    emit_x87(a, 0xd9, 0xf5, false);
}

static void ask_remainder(struct asker *a, unsigned fn, const struct remainder_case *k, unsigned nearest)
{
    static const uint64_t none[2];
    fill(a, CODES | C1, k->valid);
    put16(a->in, IMG_CW, k->cw);
    put_st(a->in, 0, k->a);
    put_st(a->in, 1, k->b);
    run(a, fn, none);
    note(a, PROBE_remainders,
         (get16(a->out, IMG_SW) & ~TOP) == k->sw[nearest] && is_value(a->out + IMG_ST, k->result[nearest]));
}

/* 2^63 + 3 by 3, times powers of 2 so that the exponents are that far apart: the reduction stops before its
 * end. */
static struct remainder_case unfinished(unsigned apart)
{
    const unsigned bits = 32 | (apart & 31);
    const struct remainder_case k = {
        .a = {UINT64_C(0x8000000000000003), (uint16_t)(1 + apart)},
        .b = {UINT64_C(3) << 62, 1},
        .cw = CW,
        .valid = ALL_VALID,
        .sw = BOTH(C2),
    };
    const uint64_t left = (uint64_t)(((unsigned __int128)k.a.sig << bits) % k.b.sig);
    const unsigned shift = (unsigned)__builtin_clzll(left);
    const struct value r = {left << shift, (uint16_t)(k.a.se - bits - shift)};
    struct remainder_case done = k;
    done.result[0] = done.result[1] = r;
    return done;
}

static unsigned ask_remainders(struct asker *a, unsigned at)
{
    enum { EACH_UNTIL = 96, STEP = 1021, APART_MAX = 0x7ffd };
    for (unsigned nearest = 0; nearest < REMAINDERS; nearest++) {
        for (unsigned i = 0; i < REMAINDER_CASES; i++)
            ask_remainder(a, at + nearest, &remainder_cases[i], nearest);
        for (unsigned apart = 64; apart < APART_MAX; apart += apart < EACH_UNTIL ? 1 : STEP) {
            const struct remainder_case k = unfinished(apart);
            ask_remainder(a, at + nearest, &k, nearest);
        }
    }
    return at + REMAINDERS;
}

/* --- all --- */

enum x87_guard { GUARD_NONE, GUARD_EACH, GUARD_ALL, GUARD_EFLAGS, GUARD_FXAM, GUARD_CONSTANTS, GUARD_REM };
static const struct {
    uint8_t x87, sse;
} guards[X64_PROBES] = {
#define PROBE(name, x87, sse, question, source) {GUARD_##x87, sse},
#include "translator/x64/probe.def"
#undef PROBE
};

static bool is_guarded(enum x87_guard guard, const struct form *f)
{
    const bool d9 = f->opcode == 0xd9;
    switch (guard) {
    case GUARD_ALL:
        return true;
    case GUARD_EFLAGS:
        return f->how == X87_INLINE_EFLAGS;
    case GUARD_FXAM:
        return d9 && f->modrm == 0xe5;
    case GUARD_REM:
        return f->how == X87_INLINE_REM;
    case GUARD_CONSTANTS:
        return d9 && f->modrm >= 0xe8 && f->modrm <= 0xee;
    default:
        return false;
    }
}

static void apply(struct x64_host *h, unsigned probe, bool pretended)
{
    enum x87_guard guard = guards[probe].x87;
    if (guard == GUARD_EACH && pretended)
        guard = GUARD_ALL;
    h->sse_in_c |= guards[probe].sse;
    for (unsigned i = 0; i < FORMS; i++)
        if (is_guarded(guard, &forms[i]))
            form_in_c(h, &forms[i]);
}

static bool lahf_exists(void)
{
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx) && (ecx & 1);
}

static void serialize(void)
{
    unsigned eax, ebx, ecx, edx;
    __cpuid(0, eax, ebx, ecx, edx);
    (void)eax, (void)ebx, (void)ecx, (void)edx;
}

static void emit_all(struct asker *a)
{
    emit_image(a);
    emit_table(a);
    emit_forms(a);
    emit_mmx(a);
    emit_comiss(a);
    emit_remainders(a);
}

static void ask_all(struct asker *a)
{
    unsigned at = ask_image(a, 0);
    at = ask_table(a, at);
    at = ask_forms(a, at);
    at = ask_mmx(a, at);
    at = ask_comiss(a, at);
    at = ask_remainders(a, at);
    CHECK(at == a->n);
}

void x64_probe(struct x64 *x, uint32_t pretend)
{
    struct asker a = {.x = x, .b = {.at = x->cache.write + x->cache.reserved}, .has_lahf = lahf_exists()};
    CHECK(x->cache.reserved + CASES_MAX * CASE_BYTES_MAX <= x->cache.mapped);
    note(&a, PROBE_lahf, a.has_lahf);
    emit_all(&a);
    serialize();
    ask_all(&a);
    x->host.differs = a.differs | (pretend & ((1u << X64_PROBES) - 1));
    for (unsigned i = 0; i < X64_PROBES; i++)
        if (x->host.differs >> i & 1)
            apply(&x->host, i, pretend >> i & 1);
}
