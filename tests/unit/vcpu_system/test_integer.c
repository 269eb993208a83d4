/* Division, decimal adjust, BOUND, frames, CMPXCHG8B, flag instructions. */
#include "fixture.h"

#include <criterion/criterion.h>

static struct vcpu *v;

static void setup(void)
{
    v = fx_create();
}

static void teardown(void)
{
    fx_destroy(v);
}

TestSuite(integer, .init = setup, .fini = teardown);

struct division {
    uint8_t size;
    bool is_signed, faults;
    uint32_t eax, edx, divisor, quotient, remainder; /* results in full registers; size 0: AX in `quotient` */
};

static const struct division divisions[] = {
    {0, false, true, 0x0000ff00, 1, 0xff, 0, 0},
    {0, false, false, 0x1234feff, 1, 0xff, 0x1234feff, 1},
    {0, false, true, 0x10, 1, 0, 0, 0},
    {1, false, false, 0xaaaa0001, 0xbbbb0001, 0x1000, 0xaaaa0010, 0xbbbb0001},
    {1, false, true, 0, 0x1000, 0x1000, 0, 0},
    {2, false, false, 1, 0x7fffffff, 0x80000000, 0xfffffffe, 1},
    {2, false, true, 0, 0x80000000, 0x80000000, 0, 0},
    {0, true, false, 0xff80, 0, 0x01, 0x0080, 0},
    {0, true, true, 0xff80, 0, 0xff, 0, 0},
    {0, true, false, 0xff81, 0, 0xff, 0x007f, 0},
    {0, true, false, 0xfff9, 0, 0x02, 0xfffd, 0},
    {0, true, true, 0x0080, 0, 0x01, 0, 0},
    {1, true, false, 0xfff9, 0xffff, 2, 0xfffd, 0xffff},
    {1, true, true, 0x8000, 0xffff, 0xffff, 0, 0},
    {2, true, false, 0x80000000, 0xffffffff, 1, 0x80000000, 0},
    {2, true, true, 0x80000000, 0xffffffff, 0xffffffff, 0, 0},
    {2, true, true, 0, 0x80000000, 0xffffffff, 0, 0},
    {2, true, true, 5, 0, 0, 0, 0},
    {2, true, false, 0xfffffff9, 0xffffffff, 0xfffffffe, 3, 0xffffffff},
};

Test(integer, divisions)
{
    for (unsigned i = 0; i < sizeof divisions / sizeof divisions[0]; i++) {
        const struct division *d = &divisions[i];
        struct ir_op op = fx_op(v, d->size, d->divisor, 0);
        v->g.slot[IR_EAX] = d->eax;
        v->g.slot[IR_EDX] = d->edx;
        fx_mark(v);
        enum helper_result result = d->is_signed ? helper_IDIV(v, &op) : helper_DIV(v, &op);
        if (d->faults) {
            fx_expect_fault(v, result, EXC_DE, 0, "division");
            continue;
        }
        cr_assert_eq(result, HELPER_OK, "row %u", i);
        cr_assert_eq(v->g.slot[IR_EAX], d->quotient, "row %u: %x", i, v->g.slot[IR_EAX]);
        cr_assert_eq(v->g.slot[IR_EDX], d->size ? d->remainder : d->edx, "row %u: %x", i, v->g.slot[IR_EDX]);
    }
}

/* Rows taken from hardware (AMD Zen), undefined flags too; all 2^18 inputs were compared once. */
struct adjust {
    ir_helper_fn helper;
    uint8_t imm;
    uint32_t ax, flags, ax_after, flags_after;
};

static const struct adjust adjusts[] = {
    {helper_DAA, 0, 0x007a, 0, 0x80, 0x890},    {helper_DAA, 0, 0x007b, 0, 0x81, 0x894},
    {helper_DAS, 0, 0x009a, 0, 0x34, 0x811},    {helper_AAA, 0, 0x000a, 0, 0x0100, 0x11},
    {helper_AAS, 0, 0x000a, 0, 0xff04, 0x91},   {helper_AAD, 10, 0x0106, 0, 0x0010, 0x10},
    {helper_AAD, 255, 0x0101, 0, 0x0000, 0x55}, {helper_AAM, 10, 0x0063, 0x11, 0x0909, 0x04},
    {helper_AAM, 16, 0x12ff, 0, 0x0f0f, 0x04},
};

Test(integer, decimal_adjusts)
{
    for (unsigned i = 0; i < sizeof adjusts / sizeof adjusts[0]; i++) {
        const struct adjust *a = &adjusts[i];
        struct ir_op op = fx_op(v, 0, 0, 0);
        op.imm2 = a->imm;
        v->g.slot[IR_EAX] = 0x99990000 | a->ax;
        guest_set_arith_flags(&v->g, a->flags | FLAG_DF);
        cr_assert_eq(a->helper(v, &op), HELPER_OK);
        cr_assert_eq(v->g.slot[IR_EAX], 0x99990000 | a->ax_after, "row %u: %x", i, v->g.slot[IR_EAX]);
        cr_assert_eq(guest_eflags(&v->g), a->flags_after | FLAG_DF | FLAG_1, "row %u: %x", i,
                     guest_eflags(&v->g));
    }
    struct ir_op op = fx_op(v, 0, 0, 0);
    op.imm2 = 0;
    fx_mark(v);
    fx_expect_fault(v, helper_AAM(v, &op), EXC_DE, 0, "AAM 0");
}

Test(integer, bound)
{
    fx_poke(v, FX_DATA, 4, (uint32_t)-5);
    fx_poke(v, FX_DATA + 4, 4, 5);
    static const struct {
        int32_t index;
        bool ok;
    } rows[] = {{-6, false}, {-5, true}, {5, true}, {6, false}};
    for (unsigned i = 0; i < 4; i++) {
        struct ir_op op = fx_op(v, 2, (uint32_t)rows[i].index, FX_DATA);
        cr_assert_eq(helper_BOUND(v, &op) == HELPER_OK, rows[i].ok, "index %d", rows[i].index);
    }
    fx_poke(v, FX_DATA, 4, 0x0005fffb);
    struct ir_op op = fx_op(v, 1, 0xfffb, FX_DATA);
    cr_assert_eq(helper_BOUND(v, &op), HELPER_OK);
    op = fx_op(v, 1, 0xfffa, FX_DATA);
    fx_mark(v);
    fx_expect_fault(v, helper_BOUND(v, &op), EXC_BR, 0, "BOUND");
}

Test(integer, pusha_popa)
{
    struct ir_op op = fx_op(v, 2, 0, 0);
    cr_assert_eq(helper_PUSHA(v, &op), HELPER_OK);
    const uint32_t want[] = {0x88888888, 0x77777777, 0x66666666, FX_KSTACK,
                             0x44444444, 0x33333333, 0x22222222, 0x11111111};
    fx_expect_stack(v, 4, want, 8, "PUSHA");
    for (unsigned i = IR_EAX; i <= IR_EDI; i++)
        v->g.slot[i] = i == IR_ESP ? v->g.slot[i] : 0;
    cr_assert_eq(helper_POPA(v, &op), HELPER_OK);
    cr_assert_eq(v->g.slot[IR_ESP], (uint32_t)FX_KSTACK);
    for (unsigned i = IR_EAX; i <= IR_EDI; i++)
        cr_assert(i == IR_ESP || v->g.slot[i] == 0x11111111 * (i + 1));
    op.size = 1;
    v->g.slot[IR_ESP] = FX_KSTACK;
    cr_assert_eq(helper_PUSHA(v, &op), HELPER_OK);
    v->g.slot[IR_EAX] = 0xabcd0000;
    cr_assert_eq(helper_POPA(v, &op), HELPER_OK);
    cr_assert_eq(v->g.slot[IR_EAX], 0xabcd1111u);
    fx_protect(v, 0x8000, FX_READ_ONLY);
    fx_mark(v);
    v->g.slot[IR_ESP] = 0x8804;
    fx_mark(v);
    fx_expect_fault(v, helper_PUSHA(v, &op), EXC_PF, 3, "PUSHA");
    cr_assert_eq(v->g.cr2, 0x8802u, "the first slot pushed");
}

static enum helper_result enter(unsigned size, uint32_t bytes, uint32_t level)
{
    struct ir_op op = fx_op(v, size, 0, 0);
    op.imm2 = bytes | level << 16;
    return helper_ENTER(v, &op);
}

Test(integer, enter)
{
    v->g.slot[IR_EBP] = FX_DATA + 0x100;
    cr_assert_eq(enter(2, 0x20, 0), HELPER_OK);
    cr_assert_eq(v->g.slot[IR_EBP], FX_KSTACK - 4u);
    cr_assert_eq(v->g.slot[IR_ESP], FX_KSTACK - 4u - 0x20);
    cr_assert_eq(fx_peek(v, FX_KSTACK - 4, 4), FX_DATA + 0x100u);
    v->g.slot[IR_ESP] = FX_KSTACK;
    v->g.slot[IR_EBP] = FX_DATA + 0x100;
    fx_poke(v, FX_DATA + 0xfc, 4, 0xf1);
    fx_poke(v, FX_DATA + 0xf8, 4, 0xf2);
    cr_assert_eq(enter(2, 8, 3), HELPER_OK);
    const uint32_t want[] = {FX_KSTACK - 4, 0xf2, 0xf1, FX_DATA + 0x100};
    cr_assert_eq(v->g.slot[IR_ESP], FX_KSTACK - 16u - 8);
    v->g.slot[IR_ESP] += 8;
    fx_expect_stack(v, 4, want, 4, "ENTER 8, 3");
    cr_assert_eq(v->g.slot[IR_EBP], FX_KSTACK - 4u);
}

Test(integer, enter_16_and_faults)
{
    v->g.slot[IR_EBP] = 0x5555aaaa;
    cr_assert_eq(enter(1, 4, 1), HELPER_OK);
    cr_assert_eq(v->g.slot[IR_EBP], 0x55550000u | ((FX_KSTACK - 2) & 0xffff));
    cr_assert_eq(v->g.slot[IR_ESP], FX_KSTACK - 8u);
    cr_assert_eq(fx_peek(v, FX_KSTACK - 2, 2), 0xaaaau);
    cr_assert_eq(fx_peek(v, FX_KSTACK - 4, 2), (uint32_t)FX_KSTACK - 2);
    v->g.slot[IR_ESP] = 0x9010;
    fx_protect(v, 0x8000, FX_UNMAPPED);
    fx_mark(v);
    fx_expect_fault(v, enter(2, 0x10, 0), EXC_PF, 2, "a write at the final top would fault");
    cr_assert_eq(v->g.cr2, 0x8ffcu);
}

Test(integer, cmpxchg8b)
{
    struct ir_op op = fx_op(v, 2, FX_DATA, 0);
    fx_poke(v, FX_DATA, 4, 0x11111111);
    fx_poke(v, FX_DATA + 4, 4, 0x33333333);
    guest_set_arith_flags(&v->g, FLAG_CF);
    cr_assert_eq(helper_CMPXCHG8B(v, &op), HELPER_OK);
    cr_assert_eq(guest_eflags(&v->g), (uint32_t)(FLAG_1 | FLAG_CF | FLAG_ZF));
    cr_assert_eq(fx_peek(v, FX_DATA, 4), 0x44444444u);
    cr_assert_eq(fx_peek(v, FX_DATA + 4, 4), 0x22222222u);
    cr_assert_eq(helper_CMPXCHG8B(v, &op), HELPER_OK);
    cr_assert_not(guest_eflags(&v->g) & FLAG_ZF);
    cr_assert(v->g.slot[IR_EAX] == 0x44444444 && v->g.slot[IR_EDX] == 0x22222222);
    v->g.slot[IR_EAX] = 0;
    fx_protect(v, FX_DATA, FX_READ_ONLY);
    fx_mark(v);
    fx_expect_fault(v, helper_CMPXCHG8B(v, &op), EXC_PF, 3, "always a write");
}

/* --- flags --- */

static enum helper_result popf(unsigned size, uint32_t value)
{
    struct ir_op op = fx_op(v, size, 0, 0);
    v->g.slot[IR_ESP] = v->g.cpl ? FX_USTACK - 4 : FX_KSTACK - 4;
    fx_poke(v, v->g.slot[IR_ESP], 4, value);
    return helper_POPF(v, &op);
}

Test(integer, popf_by_privilege)
{
    cr_assert_eq(popf(2, UINT32_MAX), HELPER_OK);
    uint32_t arith = FLAGS_ARITH | FLAG_DF | FLAG_1;
    cr_assert_eq(guest_eflags(&v->g), arith | FLAG_TF | FLAG_IF | FLAG_IOPL | FLAG_NT | FLAG_AC | FLAG_ID);
    cr_assert_eq(v->g.eip, (uint32_t)FX_NEXT);
    cr_assert_eq(v->g.slot[IR_ESP], (uint32_t)FX_KSTACK);
    cr_assert_eq(popf(1, 0), HELPER_OK);
    cr_assert_eq(guest_eflags(&v->g), (uint32_t)(FLAG_1 | FLAG_AC | FLAG_ID), "16 bits leave the upper half");
    fx_user(v);
    v->g.eflags = FLAG_IF;
    cr_assert_eq(popf(2, FLAG_IOPL), HELPER_OK);
    cr_assert_eq(v->g.eflags, (uint32_t)FLAG_IF, "CPL > IOPL: IF and IOPL stay");
    v->g.eflags = FLAG_IF | FLAG_IOPL;
    cr_assert_eq(popf(2, 0), HELPER_OK);
    cr_assert_eq(v->g.eflags, (uint32_t)FLAG_IOPL, "CPL <= IOPL: IF changes, IOPL stays");
}

Test(integer, pushf)
{
    struct ir_op op = fx_op(v, 2, 0, 0);
    v->g.eflags = FLAG_RF | FLAG_ID | FLAG_IF;
    cr_assert_eq(helper_PUSHF(v, &op), HELPER_OK);
    cr_assert_eq(fx_peek(v, FX_KSTACK - 4, 4), (uint32_t)(FLAG_1 | FLAG_ID | FLAG_IF));
}

Test(integer, cli_sti)
{
    struct ir_op op = fx_op(v, 2, 0, 0);
    cr_assert_eq(helper_STI(v, &op), HELPER_OK);
    cr_assert(v->g.int_shadow && v->g.eflags & FLAG_IF);
    v->g.int_shadow = 0;
    cr_assert_eq(helper_STI(v, &op), HELPER_OK);
    cr_assert_not(v->g.int_shadow, "IF was set already");
    cr_assert_eq(helper_CLI(v, &op), HELPER_OK);
    cr_assert_not(v->g.eflags & FLAG_IF);
    fx_user(v);
    fx_expect_fault(v, helper_CLI(v, &op), EXC_GP, 0, "CLI");
    fx_expect_fault(v, helper_STI(v, &op), EXC_GP, 0, "STI");
    v->g.eflags = FLAG_IOPL;
    cr_assert_eq(helper_STI(v, &op), HELPER_OK);
}

Test(integer, cld_std)
{
    struct ir_op op = fx_op(v, 2, 0, 0);
    helper_STD(v, &op);
    cr_assert_eq(guest_eflags(&v->g) & FLAG_DF, (uint32_t)FLAG_DF);
    helper_CLD(v, &op);
    cr_assert_eq(guest_eflags(&v->g) & FLAG_DF, 0);
}
