/* The probes of the host (probe.def): each alone sends what its row guards to C, and nothing else. */
#include <criterion/criterion.h>

#include <string.h>

#include "translator/sse.h"
#include "translator/x64/compile.h"
#include "translator/x87.h"

enum { X87_ALL = 1 << 0, X87_EFLAGS = 1 << 1, X87_FXAM = 1 << 2, X87_CONSTANTS = 1 << 3, X87_REM = 1 << 4 };

/* What is guarded, said once more and in another way than in probe.c. */
static const struct {
    enum x64_probe probe;
    unsigned x87, sse;
} expected[] = {
    {PROBE_image, X87_ALL, SSE_IS_MMX | SSE_IS_XMM},
    {PROBE_lahf, X87_EFLAGS, SSE_IS_FLAGS},
    {PROBE_flags, X87_EFLAGS, SSE_IS_FLAGS},
    {PROBE_codes, X87_ALL, 0},
    {PROBE_classes, X87_FXAM, 0},
    {PROBE_constants, X87_CONSTANTS, 0},
    {PROBE_stack, X87_ALL, 0},
    {PROBE_moves, X87_ALL, 0},
    {PROBE_mmx, 0, SSE_IS_MMX},
    {PROBE_remainders, X87_REM, 0},
};
_Static_assert(sizeof expected / sizeof *expected == X64_PROBES, "a row each");

static struct x64 *x;
static struct tb tb = {.mode = TB_MODE_CODE32 | TB_MODE_FLAT};
static struct compile c = {.tb = &tb};

static void start(void)
{
    static const struct x64_env env = {.tlb_bits = 10, .tlb_entry_bytes = X64_TLB_ENTRY_BYTES};
    x = x64_create(&env, X64_CACHE_BYTES_MIN);
    cr_assert_not_null(x);
    c.x = x;
}

static void end(void)
{
    x64_destroy(x);
}

TestSuite(probe, .init = start, .fini = end);

static void pretend(uint32_t mask)
{
    x->host = (struct x64_host){0};
    x64_probe(x, mask);
    cr_assert_eq(x->host.differs & mask, mask);
}

static bool is_inline(unsigned helper, unsigned aux, uint32_t imm2)
{
    const struct ir_op op = {.op = IR_HELPER, .imm = helper, .aux = (uint8_t)aux, .imm2 = imm2};
    return fpu_is_inline(&c, &op);
}

static bool is_one_of(unsigned group, uint8_t opcode, uint8_t modrm, const struct x87_form *f)
{
    const bool eflags = f->how == X87_INLINE_EFLAGS && group & X87_EFLAGS;
    const bool fxam = opcode == 0xd9 && modrm == 0xe5 && group & X87_FXAM;
    const bool constant = opcode == 0xd9 && modrm >= 0xe8 && modrm <= 0xee && group & X87_CONSTANTS;
    const bool remainder = opcode == 0xd9 && (modrm == 0xf5 || modrm == 0xf8) && group & X87_REM;
    return (group & X87_ALL) || eflags || fxam || constant || remainder;
}

static void check_x87(unsigned group, uint8_t opcode, uint8_t modrm, const struct x87_form *f)
{
    if (!f->exists || f->how == X87_INLINE_CALL)
        return;
    const bool is = is_inline(modrm < 0xc0 ? HELPER_X87_MEM : HELPER_X87_REG, SEG_DS,
                              (uint32_t)(opcode & 7) << 8 | modrm);
    cr_assert_eq(is, !is_one_of(group, opcode, modrm, f), "%02x %02x", opcode, modrm);
}

static void check_all_x87(unsigned group)
{
    for (unsigned esc = 0; esc < 8; esc++) {
        for (unsigned digit = 0; digit < 8; digit++)
            check_x87(group, (uint8_t)(0xd8 + esc), (uint8_t)(digit << 3), &x87_mem_forms[esc][digit]);
        for (unsigned i = 0; i < 64; i++)
            check_x87(group, (uint8_t)(0xd8 + esc), (uint8_t)(0xc0 + i), &x87_reg_forms[esc][i]);
    }
    cr_assert(is_inline(HELPER_FWAIT, 0, 0)); /* looks at memory alone */
}

/* Rows that are inline on a host without differences. */
static bool is_candidate(unsigned class)
{
    return !(class & SSE_IS_APPROX) && (class & (SSE_IS_MMX | SSE_IS_XMM)) != (SSE_IS_MMX | SSE_IS_XMM);
}

static void check_all_sse(unsigned classes)
{
    for (unsigned id = SSE_NONE + 1; id < SSE_COUNT; id++) {
        const unsigned class = sse_rows[id].class;
        const bool is = is_inline(HELPER_SSE_REG, 0, sse_op_make((enum sse_id)id, 0));
        cr_assert_eq(is, is_candidate(class) && !(class & classes), "row %u", id);
    }
    cr_assert_eq(is_inline(HELPER_EMMS, 0, 0), !(classes & SSE_IS_MMX));
}

Test(probe, each_guards_its_rows)
{
    for (unsigned i = 0; i < X64_PROBES; i++) {
        pretend(1u << expected[i].probe);
        if (x->host.differs != 1u << expected[i].probe)
            continue; /* this host has a difference of its own */
        check_all_x87(expected[i].x87);
        check_all_sse(expected[i].sse);
    }
}

Test(probe, a_host_that_was_not_asked_is_as_expected)
{
    check_all_x87(0);
    check_all_sse(0);
}

Test(probe, the_answer_does_not_change)
{
    pretend(0);
    const struct x64_host first = x->host;
    pretend(0);
    cr_assert_eq(memcmp(&first, &x->host, sizeof first), 0);
}
