/* sse*.c, fxsave.c: what the hardware oracle cannot compare: approximations, page boundaries, MMIO, modes of
 * the kernel. */
#include "tests/unit/vcpu/harness.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "tests/unit/translator/random_code.h"
#include "vcpu/arch/sse_internal.h"

enum { P = 1, RW = 2 };

static struct harness h;
static struct vcpu *v;

static void start(void)
{
    static const uint8_t nop = 0x90;
    harness_init(&h, &(struct harness_options){0});
    harness_load32(&h, &nop, &nop + 1);
    harness_paging(&h, P | RW);
    v = h.cpu;
    v->g.cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT;
}

static void set_pte(uint32_t lin_addr, uint32_t pte)
{
    harness_poke32(&h, harness_pte(lin_addr), pte);
    tlb_flush_page(v, lin_addr);
}

/* Runs the memory form of a row on XMM1 or MM1. */
static enum helper_result run_mem(enum sse_id id, uint32_t lin_addr)
{
    const struct ir_op op = {
        .op = IR_HELPER, .a = IR_T0, .b = IR_NONE, .dst = IR_NONE, .aux = 1, .imm2 = sse_op_make(id, 0)};
    v->g.slot[IR_T0] = lin_addr;
    v->exc.pending = v->redo_single = false;
    return helper_SSE_MEM(v, &op);
}

static void expect_exception(unsigned vector)
{
    cr_assert(v->exc.pending);
    cr_assert_eq(v->exc.vector, vector, "vector %u", v->exc.vector);
}

static void fill(uint8_t *p, unsigned n, uint8_t from)
{
    for (unsigned i = 0; i < n; i++)
        p[i] = (uint8_t)(from + i);
}

/* --- RCPPS, RSQRTPS --- */

static uint32_t approx(enum sse_id id, uint32_t bits)
{
    struct sse_io io = {.gpr = 0};
    memcpy(io.b, &bits, 4);
    sse_run_approx(id, &io);
    memcpy(&bits, io.a, 4);
    return bits;
}

static double as_double(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

/* Relative error at most 1.5 * 2^-12 wherever operand and result are normal numbers (SDM 2, RCPPS). */
Test(sse, approximations_are_within_their_bound)
{
    uint64_t seed = 99;
    for (uint64_t i = 0; i < test_scale(1000000); i++) {
        const uint32_t bits = (uint32_t)(random_next(&seed) >> 32);
        const uint32_t exponent = bits >> 23 & 0xff;
        if (exponent == 0 || exponent > 252)
            continue;
        const double x = as_double(bits), rcp = as_double(approx(SSE_F3_0x0f53_ANY_RM, bits));
        cr_assert(fabs(rcp * x - 1) <= 1.5 / 4096, "rcp(%a) = %a", x, rcp);
        const double root = as_double(approx(SSE_F3_0x0f52_ANY_RM, bits & 0x7fffffff));
        cr_assert(fabs(root * sqrt(fabs(x)) - 1) <= 1.5 / 4096, "rsqrt(%a) = %a", fabs(x), root);
    }
}

Test(sse, approximations_of_special_values)
{
    static const struct {
        uint32_t x, rcp, rsqrt;
    } cases[] = {
        {0x00000000, 0x7f800000, 0x7f800000},
        {0x80000000, 0xff800000, 0xff800000},
        {0x00400000, 0x7f800000, 0x7f800000},
        {0x80000001, 0xff800000, 0xff800000}, /* denormals are zeros */
        {0x7f800000, 0x00000000, 0x00000000},
        {0xff800000, 0x80000000, 0xffc00000},
        {0x7f812345, 0x7fc12345, 0x7fc12345},
        {0xffc12345, 0xffc12345, 0xffc12345},
        {0x7f7fffff, 0x00000000, 0x1f800000},
        {0xff000001, 0x80000000, 0xffc00000}, /* tiny results are zeros */
        {0xbf800000, 0xbf800000, 0xffc00000},
        {0x40800000, 0x3e800000, 0x3f000000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_eq(approx(SSE_F3_0x0f53_ANY_RM, cases[i].x), cases[i].rcp, "rcp %x", cases[i].x);
        cr_assert_eq(approx(SSE_F3_0x0f52_ANY_RM, cases[i].x), cases[i].rsqrt, "rsqrt %x", cases[i].x);
    }
}

/* --- memory --- */

Test(sse, sixteen_bytes_over_two_pages)
{
    start();
    set_pte(0x5000, 0x9000 | P | RW);
    set_pte(0x6000, 0x7000 | P | RW);
    fill(v->g.sse.xmm[1], 16, 1);
    cr_assert_eq(run_mem(SSE_NP_0x0f11_ANY_RM, 0x5ffb), HELPER_OK);
    cr_assert_eq(memcmp(h.mem.host + 0x9ffb, v->g.sse.xmm[1], 5), 0);
    cr_assert_eq(memcmp(h.mem.host + 0x7000, v->g.sse.xmm[1] + 5, 11), 0);
    memset(v->g.sse.xmm[1], 0, 16);
    cr_assert_eq(run_mem(SSE_NP_0x0f10_ANY_RM, 0x5ffb), HELPER_OK);
    cr_assert_eq(memcmp(v->g.sse.xmm[1] + 5, h.mem.host + 0x7000, 11), 0);
    harness_free(&h);
}

Test(sse, nothing_happens_when_the_second_page_faults)
{
    uint8_t before[16];
    start();
    set_pte(0x6000, 0);
    fill(v->g.sse.xmm[1], 16, 1);
    v->g.x87.sw = 3 << 11;
    memcpy(before, v->g.sse.xmm[1], 16);
    cr_assert_eq(run_mem(SSE_NP_0x0f11_ANY_RM, 0x5ff9), HELPER_FAULT);
    expect_exception(EXC_PF);
    cr_assert_eq(v->g.cr2, 0x6000);
    cr_assert_eq(harness_peek32(&h, 0x5ffc), 0);
    cr_assert_eq(run_mem(SSE_NP_0x0f10_ANY_RM, 0x5ff9), HELPER_FAULT);
    cr_assert_eq(memcmp(v->g.sse.xmm[1], before, 16), 0);
    cr_assert_eq(run_mem(SSE_NP_0x0f7f_ANY_RM, 0x5ffc), HELPER_FAULT); /* MOVQ from MM1 */
    cr_assert_eq(v->g.x87.sw, 3 << 11);
    cr_assert_eq(harness_peek32(&h, 0x5ffc), 0);
    harness_free(&h);
}

/* SDM 3A table 6-2: general protection comes before the page is looked at. */
Test(sse, alignment_is_checked_before_the_page)
{
    start();
    set_pte(0x6000, 0);
    cr_assert_eq(run_mem(SSE_NP_0x0f28_ANY_RM, 0x6008), HELPER_FAULT);
    expect_exception(EXC_GP);
    cr_assert_eq(run_mem(SSE_NP_0x0f28_ANY_RM, 0x6010), HELPER_FAULT);
    expect_exception(EXC_PF);
    harness_free(&h);
}

Test(sse, mmio_needs_a_block_of_one_instruction)
{
    start();
    cr_assert_eq(run_mem(SSE_NP_0x0f10_ANY_RM, HARNESS_MMIO), HELPER_FAULT);
    cr_assert(v->redo_single && !v->exc.pending);
    harness_free(&h);
}

/* A store over the next instruction of its own block. */
GUEST_CODE(
    patches_itself,
    "movups 0x3000, %xmm0\n call 1f\n 1: pop %esi\n movups %xmm0, (2f - 1b)(%esi)\n 2: .fill 16, 1, 0x90\n"
    "mov $0xf4, %dx\n out %eax, %dx\n 3: jmp 3b\n");

Test(sse, stores_over_its_own_block)
{
    static const uint8_t new_code[16] = {0xb8, 42,   0,    0,    0,    0x90, 0x90, 0x90,
                                         0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90};
    harness_init(&h, &(struct harness_options){0});
    HARNESS_LOAD(&h, patches_itself);
    harness_put(&h, 0x3000, new_code, sizeof new_code);
    vcpu_state(h.cpu)->cr4 |= CR4_OSFXSR;
    vcpu_state_changed(h.cpu);
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
    cr_assert_eq(vcpu_exit_value(h.cpu), 42);
    harness_free(&h);
}

/* --- MASKMOVDQU --- */

static enum helper_result mask_move(uint32_t offset)
{
    const struct ir_op op = {.op = IR_HELPER, .a = IR_EDI, .size = 4, .aux = 1 | 2 << 4, .imm2 = SEG_DS};
    v->g.slot[IR_EDI] = offset;
    v->exc.pending = false;
    return helper_MASKMOV(v, &op);
}

Test(sse, masked_bytes_alone_are_accessed)
{
    start();
    set_pte(0x6000, 0);
    fill(v->g.sse.xmm[1], 16, 1);
    memset(v->g.sse.xmm[2], 0, 16);
    cr_assert_eq(mask_move(0x6000), HELPER_OK);
    v->g.sse.xmm[2][0] = v->g.sse.xmm[2][3] = 0x80;
    cr_assert_eq(mask_move(0x5ffc), HELPER_OK);
    cr_assert_eq(harness_peek32(&h, 0x5ffc), 0x04000001);
    v->g.sse.xmm[2][4] = 0x80;
    v->g.sse.xmm[1][0] = 0x77;
    cr_assert_eq(mask_move(0x5ffc), HELPER_FAULT);
    expect_exception(EXC_PF);
    cr_assert_eq(v->g.cr2, 0x6000);
    cr_assert_eq(harness_peek32(&h, 0x5ffc), 0x04000001);
    harness_free(&h);
}

/* --- MXCSR --- */

static void poke_csr(uint32_t value)
{
    harness_poke32(&h, 0x5000, value);
}

Test(sse, reserved_bits_of_mxcsr)
{
    start();
    for (unsigned bit = 0; bit < 32; bit++) {
        v->g.sse.mxcsr = MXCSR_INIT;
        poke_csr(1u << bit);
        cr_assert_eq(run_mem(SSE_NP_0x0fae_2_M, 0x5000), bit < 16 ? HELPER_OK : HELPER_FAULT);
        cr_assert_eq(v->g.sse.mxcsr, bit < 16 ? 1u << bit : MXCSR_INIT);
        if (bit >= 16)
            expect_exception(EXC_GP);
    }
    harness_free(&h);
}

/* CVTPI2PS from memory: TOP and tags change, as the SDM says and AMD's processors do not do. CVTPI2PD does
 * not. */
Test(sse, conversions_from_memory_and_the_x87_state)
{
    start();
    v->g.x87.sw = 5 << 11;
    v->g.x87.empty = 0xff;
    cr_assert_eq(run_mem(SSE_66_0x0f2a_ANY_RM, 0x5000), HELPER_OK);
    cr_assert_eq(v->g.x87.empty, 0xff);
    cr_assert_eq(run_mem(SSE_NP_0x0f2a_ANY_RM, 0x5000), HELPER_OK);
    cr_assert_eq(v->g.x87.empty, 0);
    cr_assert_eq(v->g.x87.sw, 0);
    harness_free(&h);
}

/* --- FXSAVE, FXRSTOR --- */

static enum helper_result image_op(bool save, uint32_t offset)
{
    const struct ir_op op = {.op = IR_HELPER, .a = IR_T0, .aux = SEG_DS};
    v->g.slot[IR_T0] = offset;
    v->exc.pending = false;
    return save ? helper_FXSAVE(v, &op) : helper_FXRSTOR(v, &op);
}

Test(sse, image_over_two_pages)
{
    start();
    set_pte(0x6000, 0);
    cr_assert_eq(image_op(true, 0x5f00), HELPER_FAULT);
    expect_exception(EXC_PF);
    cr_assert_eq(v->g.cr2, 0x6000);
    cr_assert_eq(harness_peek32(&h, 0x5f18), 0);
    cr_assert_eq(image_op(false, 0x5f00), HELPER_FAULT);
    cr_assert_eq(v->g.sse.mxcsr, MXCSR_INIT);
    set_pte(0x6000, 0x6000 | P | RW);
    cr_assert_eq(image_op(true, 0x5f00), HELPER_OK);
    cr_assert_eq(harness_peek32(&h, 0x5f18), MXCSR_INIT);
    harness_free(&h);
}

Test(sse, image_round_trip)
{
    start();
    for (unsigned i = 0; i < 8; i++) {
        fill(v->g.sse.xmm[i], 16, (uint8_t)(16 * i));
        fill(v->g.x87.r[i], 10, (uint8_t)(100 + 10 * i));
    }
    v->g.x87 = (struct x87_state){
        .cw = 0x37f, .sw = 5 << 11, .empty = 0x3c, .fop = 0x123, .fcs = 8, .fds = 16, .fip = 1, .fdp = 2};
    const struct guest_state before = v->g;
    cr_assert_eq(image_op(true, 0x5000), HELPER_OK);
    v->g.x87 = (struct x87_state){.cw = 0};
    v->g.sse = (struct sse_state){.mxcsr = 0};
    cr_assert_eq(image_op(false, 0x5000), HELPER_OK);
    cr_assert_eq(memcmp(&v->g.x87, &before.x87, sizeof before.x87), 0);
    cr_assert_eq(memcmp(v->g.sse.xmm, before.sse.xmm, sizeof before.sse.xmm), 0);
    cr_assert_eq(v->g.sse.mxcsr, before.sse.mxcsr);
    harness_free(&h);
}
