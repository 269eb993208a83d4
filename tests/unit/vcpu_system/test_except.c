/* Delivery of exceptions and interrupts, INT n, IRET: error codes, stack images, double and triple faults. */
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

TestSuite(except, .init = setup, .fini = teardown);

static void raise_and_deliver(unsigned vector, uint32_t error)
{
    vcpu_raise(v, vector);
    v->exc.error = error;
    vcpu_deliver_exception(v);
}

Test(except, fault_same_level_pushes_rf_and_error)
{
    v->g.eflags = FLAG_IF | FLAG_TF | FLAG_NT;
    v->g.halted = v->g.int_shadow = 1;
    guest_set_arith_flags(&v->g, FLAG_CF | FLAG_DF);
    raise_and_deliver(EXC_GP, 0x1234);
    const uint32_t want[] = {0x1234, FX_CODE, FX_KCODE,
                             FLAG_1 | FLAG_IF | FLAG_TF | FLAG_NT | FLAG_CF | FLAG_DF | FLAG_RF};
    fx_expect_stack(v, 4, want, 4, "#GP");
    cr_assert_eq(v->g.slot[IR_ESP], FX_KSTACK - 16);
    cr_assert_eq(v->g.eip, fx_handler(EXC_GP));
    cr_assert_eq(v->g.eflags, 0);
    cr_assert_eq(v->g.df, -1, "DF and arithmetic flags stay");
    cr_assert_not(v->g.halted || v->g.int_shadow || v->exc.pending);
    cr_assert_eq(v->g.budget, 900, "delivery takes no tick");
}

Test(except, no_error_code_for_ud)
{
    raise_and_deliver(EXC_UD, 0);
    const uint32_t want[] = {FX_CODE, FX_KCODE, FLAG_1 | FLAG_RF};
    fx_expect_stack(v, 4, want, 3, "#UD");
    cr_assert_eq(v->g.slot[IR_ESP], FX_KSTACK - 12);
}

Test(except, trap_pushes_next_eip_without_rf)
{
    vcpu_raise_trap(v, EXC_DB, FX_NEXT);
    v->db_pending = DR6_BS;
    v->g.dr[7] |= DR7_GD;
    vcpu_deliver_exception(v);
    const uint32_t want[] = {FX_NEXT, FX_KCODE, FLAG_1};
    fx_expect_stack(v, 4, want, 3, "single step");
    cr_assert_eq(v->g.dr[6], DR6_FIXED | DR6_BS);
    cr_assert_eq(v->g.dr[7], DR7_FIXED, "GD is clear in the handler");
    cr_assert_eq(v->db_pending, 0);
}

Test(except, debug_faults_and_rf)
{
    v->db_pending = 1; /* instruction breakpoint 0: no RF */
    v->g.dr[6] = DR6_FIXED | 0xe | DR6_BS;
    raise_and_deliver(EXC_DB, 0);
    cr_assert_eq(fx_peek(v, FX_KSTACK - 4, 4), (uint32_t)FLAG_1);
    cr_assert_eq(v->g.dr[6], DR6_FIXED | 1 | DR6_BS, "B0..B3 are those of this #DB, BS stays");
    v->db_pending = DR6_BD; /* general detect: a fault like others */
    raise_and_deliver(EXC_DB, 0);
    cr_assert_eq(fx_peek(v, v->g.slot[IR_ESP] + 8, 4), (uint32_t)(FLAG_1 | FLAG_RF));
}

Test(except, trap_gate_keeps_if)
{
    fx_idt(v, 7, FX_KCODE, 0x5678, SYS_TRAP32, 0);
    v->g.eflags = FLAG_IF | FLAG_TF;
    raise_and_deliver(EXC_NM, 0);
    cr_assert_eq(v->g.eflags, (uint32_t)FLAG_IF);
    cr_assert_eq(v->g.eip, 0x5678u);
}

Test(except, gate16_pushes_words)
{
    fx_idt(v, EXC_PF, FX_KCODE, 0xabcd1234, SYS_INT16, 0);
    v->g.slot[IR_ESP] = FX_KSTACK;
    raise_and_deliver(EXC_PF, 7);
    const uint32_t want[] = {7, FX_CODE & 0xffff, FX_KCODE, FLAG_1};
    fx_expect_stack(v, 2, want, 4, "16-bit gate");
    cr_assert_eq(v->g.slot[IR_ESP], FX_KSTACK - 8u);
    cr_assert_eq(v->g.eip, 0x1234u);
}

Test(except, inner_privilege_switches_stacks)
{
    fx_user(v);
    v->g.eflags = FLAG_IF;
    raise_and_deliver(EXC_PF, 6);
    const uint32_t want[] = {6, FX_CODE, FX_UCODE, FLAG_1 | FLAG_IF | FLAG_RF, FX_USTACK, FX_UDATA};
    fx_expect_stack(v, 4, want, 6, "#PF from CPL 3");
    cr_assert_eq(v->g.slot[IR_ESP], FX_STACK0 - 24);
    cr_assert_eq(v->g.cpl, 0);
    cr_assert_eq(v->g.seg[SEG_CS].sel, FX_KCODE);
    cr_assert_eq(v->g.seg[SEG_SS].sel, FX_KDATA);
    cr_assert_eq(v->g.seg[SEG_DS].sel, FX_UDATA, "data segments stay");
    cr_assert(v->g.mode & TB_MODE_CPL0);
    cr_assert_not(v->g.mode & TB_MODE_USER);
}

Test(except, conforming_handler_keeps_level)
{
    fx_user(v);
    fx_idt(v, EXC_BR, FX_CONFORMING, 0x40, SYS_TRAP32, 0);
    raise_and_deliver(EXC_BR, 0);
    cr_assert_eq(v->g.cpl, 3);
    cr_assert_eq(v->g.seg[SEG_CS].sel, FX_CONFORMING | 3);
    cr_assert_eq(v->g.slot[IR_ESP], FX_USTACK - 12u);
}

Test(except, tss16_stack)
{
    fx_user(v);
    v->g.tr.access = 0x83;
    fx_poke(v, FX_TSS + 2, 2, FX_STACK0);
    fx_poke(v, FX_TSS + 4, 2, FX_KDATA);
    raise_and_deliver(EXC_UD, 0);
    cr_assert_eq(v->g.slot[IR_ESP], FX_STACK0 - 20u);
    cr_assert_eq(v->g.cpl, 0);
}

Test(except, interrupt)
{
    fx_user(v);
    v->g.eflags = FLAG_IF;
    v->g.halted = 1;
    vcpu_deliver_interrupt(v, 0x50);
    const uint32_t want[] = {FX_CODE, FX_UCODE, FLAG_1 | FLAG_IF, FX_USTACK, FX_UDATA};
    fx_expect_stack(v, 4, want, 5, "interrupt");
    cr_assert_eq(v->g.eip, fx_handler(0x50));
    cr_assert_eq(v->g.eflags, 0);
    cr_assert_not(v->g.halted);
}

Test(except, rf_is_stale_after_one_tick)
{
    v->g.eflags = FLAG_RF;
    v->rf_tick = 100;
    vcpu_deliver_interrupt(v, 0x50);
    cr_assert_eq(fx_peek(v, FX_KSTACK - 4, 4), (uint32_t)(FLAG_1 | FLAG_RF));
    v->g.eflags = FLAG_RF;
    v->g.budget--;
    vcpu_deliver_interrupt(v, 0x50);
    cr_assert_eq(fx_peek(v, FX_KSTACK - 16, 4), (uint32_t)FLAG_1);
}

/* --- faults in a delivery: each row breaks the gate of vector 0x50 and names the resulting exception --- */

struct broken {
    const char *what;
    uint16_t sel; /* of the gate */
    uint8_t type;
    bool absent;
    unsigned vector;
    uint32_t error; /* without EXT */
};

static const struct broken broken_gates[] = {
    {"not a gate", FX_KCODE, SYS_CALL32, false, EXC_GP, 0x50 * 8 + 2},
    {"absent gate", FX_KCODE, SYS_INT32, true, EXC_NP, 0x50 * 8 + 2},
    {"null selector", 0, SYS_INT32, false, EXC_GP, 0},
    {"beyond the GDT", FX_END, SYS_INT32, false, EXC_GP, FX_END},
    {"data segment", FX_KDATA, SYS_INT32, false, EXC_GP, FX_KDATA},
    {"absent code", FX_CODE_ABSENT, SYS_INT32, false, EXC_NP, FX_CODE_ABSENT},
    {"outer code", FX_UCODE, SYS_INT32, false, EXC_GP, FX_UCODE & ~3u},
    {"eip beyond limit", FX_CODE_SMALL, SYS_INT32, false, EXC_GP, 0},
    {"LDT entry beyond limit", 0x24, SYS_INT32, false, EXC_GP, 0x24},
    {"busy task", FX_TR, SYS_TASK_GATE, false, EXC_GP, FX_TR},
};

static void break_gate(const struct broken *b, unsigned dpl)
{
    fx_idt(v, 0x50, b->sel, FX_HANDLER, b->type, dpl);
    if (b->absent)
        fx_poke(v, FX_IDT + 0x50 * 8 + 5, 1, (unsigned)b->type | dpl << 5);
}

Test(except, faults_in_interrupt_have_ext)
{
    for (unsigned i = 0; i < sizeof broken_gates / sizeof broken_gates[0]; i++) {
        const struct broken *b = &broken_gates[i];
        v->g.slot[IR_ESP] = FX_KSTACK;
        v->g.eip = FX_CODE;
        break_gate(b, 0);
        vcpu_deliver_interrupt(v, 0x50);
        cr_assert_eq(v->g.eip, fx_handler(b->vector), "%s: eip %x", b->what, v->g.eip);
        const uint32_t want[] = {b->error | 1, FX_CODE, FX_KCODE};
        fx_expect_stack(v, 4, want, 3, b->what);
    }
}

Test(except, faults_in_int_have_no_ext)
{
    for (unsigned i = 0; i < sizeof broken_gates / sizeof broken_gates[0]; i++) {
        const struct broken *b = &broken_gates[i];
        struct ir_op op = fx_op(v, 0, 0, 0);
        op.aux = 0x50;
        break_gate(b, 0);
        fx_expect_fault(v, helper_INT(v, &op), b->vector, b->error, b->what);
    }
}

Test(except, int_checks_gate_dpl)
{
    fx_user(v);
    struct ir_op op = fx_op(v, 0, 0, 0);
    op.aux = 0x80;
    fx_expect_fault(v, helper_INT(v, &op), EXC_GP, 0x80 * 8 + 2, "DPL 0");
    fx_idt(v, 0x80, FX_KCODE, 0x777, SYS_TRAP32, 3);
    v->g.eflags = FLAG_IF | FLAG_RF;
    cr_assert_eq(helper_INT(v, &op), HELPER_OK);
    const uint32_t want[] = {FX_NEXT, FX_UCODE, FLAG_1 | FLAG_IF, FX_USTACK, FX_UDATA};
    fx_expect_stack(v, 4, want, 5, "INT 80");
    cr_assert_eq(v->g.eip, 0x777u);
    cr_assert_eq(v->g.eflags, (uint32_t)FLAG_IF);
}

Test(except, idt_limit)
{
    struct ir_op op = fx_op(v, 0, 0, 0);
    op.aux = 0x40;
    v->g.idtr.limit = 0x40 * 8 + 6;
    fx_mark(v);
    fx_expect_fault(v, helper_INT(v, &op), EXC_GP, 0x40 * 8 + 2, "INT beyond the IDT");
    v->g.idtr.limit = 0x40 * 8 + 7;
    cr_assert_eq(helper_INT(v, &op), HELPER_OK);
}

/* The inner stack: SS0 in the TSS is replaced. */
static const struct broken broken_stacks[] = {
    {.what = "null SS", .sel = 0, .vector = EXC_TS, .error = 0},
    {.what = "SS beyond GDT", .sel = FX_END, .vector = EXC_TS, .error = FX_END},
    {.what = "SS RPL", .sel = FX_KDATA | 1, .vector = EXC_TS, .error = FX_KDATA},
    {.what = "SS DPL", .sel = FX_DATA1, .vector = EXC_TS, .error = FX_DATA1},
    {.what = "SS code", .sel = FX_KCODE, .vector = EXC_TS, .error = FX_KCODE},
    {.what = "SS absent", .sel = FX_STACK_ABSENT, .vector = EXC_SS, .error = FX_STACK_ABSENT},
    {.what = "SS too small", .sel = FX_SMALL, .vector = EXC_SS, .error = FX_SMALL},
};

Test(except, inner_stack_faults)
{
    fx_user(v);
    fx_idt(v, 0x80, FX_KCODE, 0x777, SYS_TRAP32, 3);
    struct ir_op op = fx_op(v, 0, 0, 0);
    op.aux = 0x80;
    for (unsigned i = 0; i < sizeof broken_stacks / sizeof broken_stacks[0]; i++) {
        const struct broken *b = &broken_stacks[i];
        fx_poke(v, FX_TSS + 8, 4, b->sel);
        fx_expect_fault(v, helper_INT(v, &op), b->vector, b->error, b->what);
    }
    fx_poke(v, FX_TSS + 8, 4, FX_KDATA);
    v->g.tr.limit = 8;
    fx_mark(v);
    fx_expect_fault(v, helper_INT(v, &op), EXC_TS, FX_TR, "TSS too small");
}

Test(except, push_page_fault_is_atomic)
{
    fx_idt(v, 0x80, FX_KCODE, 0x777, SYS_TRAP32, 3);
    struct ir_op op = fx_op(v, 0, 0, 0);
    op.aux = 0x80;
    v->g.slot[IR_ESP] = 0x9004; /* one slot in this page, two in the page below */
    fx_mark(v);
    fx_protect(v, 0x8000, FX_UNMAPPED);
    fx_poke(v, 0x9000, 4, 0x55);
    fx_expect_fault(v, helper_INT(v, &op), EXC_PF, 2, "stack page");
    cr_assert_eq(fx_peek(v, 0x9000, 4), 0x55u, "nothing was written");
    cr_assert_eq(v->g.cr2, 0x8ffcu, "the second slot pushed");
    fx_user(v);
    fx_protect(v, 0xa000, FX_READ_ONLY); /* the inner stack's page is written by the supervisor */
    fx_expect_fault(v, helper_INT(v, &op), EXC_PF, 3, "inner stack page");
}

Test(except, accessed_bit_of_handler_code)
{
    fx_poke(v, FX_GDT + FX_KCODE + 5, 1, 0x9a);
    struct ir_op op = fx_op(v, 0, 0, 0);
    op.aux = 0x50;
    cr_assert_eq(helper_INT(v, &op), HELPER_OK);
    cr_assert_eq(fx_peek(v, FX_GDT + FX_KCODE + 5, 1), 0x9bu);
}

/* --- SDM 3A table 6-5, driven through gates that fault: NP for contributory, an unmapped handler stack for
 * PF --- */

static void make_absent(unsigned vector)
{
    fx_poke(v, FX_IDT + vector * 8 + 5, 1, SYS_INT32);
}

Test(except, benign_then_contributory_is_serial)
{
    make_absent(EXC_UD);
    raise_and_deliver(EXC_UD, 0);
    cr_assert_eq(v->g.eip, fx_handler(EXC_NP));
    cr_assert_eq(fx_peek(v, v->g.slot[IR_ESP], 4), EXC_UD * 8u + 3);
}

Test(except, contributory_twice_is_double_fault)
{
    make_absent(EXC_GP);
    raise_and_deliver(EXC_GP, 0);
    const uint32_t want[] = {0, FX_CODE, FX_KCODE};
    cr_assert_eq(v->g.eip, fx_handler(EXC_DF));
    fx_expect_stack(v, 4, want, 3, "#DF");
    cr_assert_eq(v->exit_reason, 0);
}

Test(except, page_fault_then_contributory_is_double_fault)
{
    make_absent(EXC_PF);
    raise_and_deliver(EXC_PF, 0);
    cr_assert_eq(v->g.eip, fx_handler(EXC_DF));
}

Test(except, contributory_then_page_fault_is_serial)
{
    /* #GP's gate leads through the inner stack, which is unmapped; #PF's handler is conforming. */
    fx_user(v);
    fx_protect(v, 0xa000, FX_UNMAPPED);
    fx_idt(v, EXC_PF, FX_CONFORMING, 0x99, SYS_INT32, 0);
    raise_and_deliver(EXC_GP, 0);
    cr_assert_eq(v->g.eip, 0x99u);
    cr_assert_eq(fx_peek(v, v->g.slot[IR_ESP], 4), 2u, "not present, supervisor write");
    cr_assert_eq(v->g.cr2 & ~0xfffu, 0xa000u);
}

Test(except, page_fault_twice_is_double_fault_and_then_triple)
{
    fx_user(v);
    fx_protect(v, 0xa000, FX_UNMAPPED);
    fx_idt(v, EXC_DF, FX_CONFORMING, 0x99, SYS_INT32, 0);
    raise_and_deliver(EXC_PF, 0);
    cr_assert_eq(v->g.eip, 0x99u);
    fx_idt(v, EXC_DF, FX_KCODE, 0x99, SYS_INT32, 0);
    raise_and_deliver(EXC_PF, 0);
    cr_assert_eq(v->exit_reason, VCPU_EXIT_TRIPLE_FAULT + 1);
    cr_assert_not(v->exc.pending);
}

Test(except, empty_idt_is_triple_fault)
{
    v->g.idtr.limit = 0;
    vcpu_raise_trap(v, EXC_BP, FX_NEXT);
    vcpu_deliver_exception(v);
    cr_assert_eq(v->exit_reason, VCPU_EXIT_TRIPLE_FAULT + 1);
    v->exit_reason = 0;
    vcpu_deliver_interrupt(v, 0x20);
    cr_assert_eq(v->exit_reason, VCPU_EXIT_TRIPLE_FAULT + 1);
}

/* --- INTO, INT1 --- */

Test(except, into)
{
    struct ir_op op = fx_op(v, 0, 0, 0);
    cr_assert_eq(helper_INTO(v, &op), HELPER_OK);
    cr_assert_eq(v->g.eip, (uint32_t)FX_NEXT);
    guest_set_arith_flags(&v->g, FLAG_OF);
    cr_assert_eq(helper_INTO(v, &op), HELPER_OK);
    cr_assert_eq(v->g.eip, fx_handler(EXC_OF));
    cr_assert_eq(fx_peek(v, v->g.slot[IR_ESP], 4), (uint32_t)FX_NEXT);
}

Test(except, int1_is_a_trap)
{
    struct ir_op op = fx_op(v, 0, 0, 0);
    cr_assert_eq(helper_INT1(v, &op), HELPER_FAULT);
    cr_assert(v->exc.is_trap && v->exc.vector == EXC_DB && v->exc.next_eip == FX_NEXT);
}

/* --- real mode --- */

Test(except, real_mode_vector)
{
    fx_real(v);
    fx_poke(v, 0x10 * 4, 4, 0xf0001234);
    v->g.eflags = FLAG_IF | FLAG_TF | FLAG_AC;
    struct ir_op op = fx_op(v, 0, 0, 0);
    op.aux = 0x10;
    op.imm2 = 0x125;
    cr_assert_eq(helper_INT(v, &op), HELPER_OK);
    const uint32_t want[] = {0x125, 0x3000, FLAG_1 | FLAG_IF | FLAG_TF};
    fx_expect_stack(v, 2, want, 3, "real INT");
    cr_assert_eq(v->g.seg[SEG_CS].sel, 0xf000);
    cr_assert_eq(v->g.seg[SEG_CS].base, 0xf0000u);
    cr_assert_eq(v->g.eip, 0x1234u);
    cr_assert_eq(v->g.eflags, 0);
    cr_assert_eq(v->g.slot[IR_ESP], 0x1000u - 6);
    struct ir_op ret = fx_op(v, 1, 0, 0);
    cr_assert_eq(helper_IRET(v, &ret), HELPER_OK);
    cr_assert_eq(v->g.eip, 0x125u);
    cr_assert_eq(v->g.seg[SEG_CS].base, 0x30000u);
    cr_assert_eq(v->g.slot[IR_ESP], 0x1000u);
    cr_assert_eq(v->g.eflags, (uint32_t)(FLAG_IF | FLAG_TF));
}

Test(except, real_mode_exception_pushes_no_error)
{
    fx_real(v);
    fx_poke(v, EXC_GP * 4, 4, 0x20000010);
    raise_and_deliver(EXC_GP, 0);
    cr_assert_eq(v->g.slot[IR_ESP], 0x1000u - 6);
    cr_assert_eq(v->g.eip, 0x10u);
    v->g.idtr.limit = 7;
    raise_and_deliver(EXC_GP, 0);
    cr_assert_eq(v->exit_reason, VCPU_EXIT_TRIPLE_FAULT + 1);
}

/* --- IRET --- */

static enum helper_result iret(unsigned size)
{
    struct ir_op op = fx_op(v, size, 0, 0);
    return helper_IRET(v, &op);
}

static void put_stack(const uint32_t *value, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        fx_poke(v, v->g.slot[IR_ESP] + i * 4, 4, value[i]);
}

Test(except, iret_same_level)
{
    v->g.slot[IR_ESP] = FX_KSTACK - 32;
    const uint32_t stack[] = {0x4444, FX_KCODE,
                              FLAG_1 | FLAG_IF | FLAG_IOPL | FLAG_RF | FLAG_ID | FLAG_ZF | FLAG_DF};
    put_stack(stack, 3);
    cr_assert_eq(iret(2), HELPER_OK);
    cr_assert_eq(v->g.eip, 0x4444u);
    cr_assert_eq(v->g.slot[IR_ESP], FX_KSTACK - 20u);
    cr_assert_eq(guest_eflags(&v->g), stack[2]);
    cr_assert(vcpu_rf(v));
    v->g.budget--;
    cr_assert_not(vcpu_rf(v));
}

Test(except, iret_outer_level)
{
    v->g.slot[IR_ESP] = FX_KSTACK - 32;
    const uint32_t stack[] = {0x4444, FX_UCODE, FLAG_1 | FLAG_IF, 0xe000, FX_UDATA};
    put_stack(stack, 5);
    v->g.seg[SEG_FS] = (struct segment){.sel = 0};
    cr_assert_eq(iret(2), HELPER_OK);
    cr_assert_eq(v->g.cpl, 3);
    cr_assert_eq(v->g.slot[IR_ESP], 0xe000u);
    cr_assert_eq(v->g.seg[SEG_SS].sel, FX_UDATA);
    cr_assert_eq(v->g.seg[SEG_DS].sel, 0, "kernel data is dropped");
    cr_assert_eq(v->g.seg[SEG_DS].access, 0);
    cr_assert_not(v->g.mode & TB_MODE_FLAT);
    cr_assert(v->g.mode & TB_MODE_USER);
}

Test(except, iret_at_cpl3_keeps_if_and_iopl)
{
    fx_user(v);
    v->g.eflags = FLAG_IF;
    v->g.slot[IR_ESP] = FX_USTACK - 32;
    const uint32_t stack[] = {0x4444, FX_UCODE, FLAG_1 | FLAG_IOPL | FLAG_TF | FLAG_NT | FLAG_VM};
    put_stack(stack, 3);
    cr_assert_eq(iret(2), HELPER_OK);
    cr_assert_eq(v->g.eflags, (uint32_t)(FLAG_IF | FLAG_TF | FLAG_NT), "VM is ignored at CPL 3");
}

struct bad_return {
    const char *what;
    uint32_t eip, cs, eflags, esp, ss;
    unsigned vector;
    uint32_t error;
};

static const struct bad_return bad_returns[] = {
    {"null CS", 0, 0, 2, 0, 0, EXC_GP, 0},
    {"CS beyond GDT", 0, FX_END, 2, 0, 0, EXC_GP, FX_END},
    {"data as CS", 0, FX_KDATA, 2, 0, 0, EXC_GP, FX_KDATA},
    {"DPL != RPL", 0, FX_UCODE & ~3u, 2, 0, 0, EXC_GP, FX_UCODE & ~3u},
    {"absent CS", 0, FX_CODE_ABSENT, 2, 0, 0, EXC_NP, FX_CODE_ABSENT},
    {"eip beyond limit", 0x1000, FX_CODE_SMALL, 2, 0, 0, EXC_GP, 0},
    {"null SS", 0, FX_UCODE, 2, 0, 0, EXC_GP, 0},
    {"SS RPL", 0, FX_UCODE, 2, 0, FX_UDATA & ~3u, EXC_GP, FX_UDATA & ~3u},
    {"SS DPL", 0, FX_UCODE, 2, 0, FX_KDATA | 3, EXC_GP, FX_KDATA},
    {"SS read-only", 0, FX_UCODE, 2, 0, FX_RODATA | 3, EXC_GP, FX_RODATA},
    {"SS absent", 0, FX_UCODE, 2, 0, FX_ABSENT | 3, EXC_SS, FX_ABSENT},
};

Test(except, iret_faults)
{
    v->g.slot[IR_ESP] = FX_KSTACK - 32;
    fx_mark(v);
    for (unsigned i = 0; i < sizeof bad_returns / sizeof bad_returns[0]; i++) {
        const struct bad_return *b = &bad_returns[i];
        const uint32_t stack[] = {b->eip, b->cs, b->eflags, b->esp, b->ss};
        put_stack(stack, 5);
        fx_expect_fault(v, iret(2), b->vector, b->error, b->what);
    }
    fx_protect(v, 0x8000, FX_UNMAPPED);
    fx_expect_fault(v, iret(2), EXC_PF, 0, "stack unmapped");
}

Test(except, iret_may_not_go_inward)
{
    fx_user(v);
    v->g.slot[IR_ESP] = FX_USTACK - 32;
    fx_mark(v);
    const uint32_t stack[] = {0, FX_KCODE, 2};
    put_stack(stack, 3);
    fx_expect_fault(v, iret(2), EXC_GP, FX_KCODE, "RPL < CPL");
}

/* A frame of `slots` that begins `below` bytes before a page that is not mapped, all of the page before it at
 * hand or none. Only what the return reads can fault. */
static void iret_near_page_end(unsigned slots, unsigned below, bool at_hand)
{
    const uint32_t page = 0xa000, cs = slots == 3 ? FX_KCODE : FX_UCODE;
    const uint32_t stack[] = {0x4444, cs, FLAG_1 | FLAG_IF, 0xe000, FX_UDATA};
    uint64_t value;
    v = fx_create();
    v->g.slot[IR_ESP] = page - below;
    put_stack(stack, slots);
    fx_protect(v, page, FX_UNMAPPED);
    if (at_hand)
        cr_assert(mem_read(v, page - 32, 4, false, &value));
    fx_mark(v);
    if (below >= 4 * slots) {
        cr_assert_eq(iret(2), HELPER_OK, "%u slots, %u bytes", slots, below);
        cr_assert_eq(v->g.cpl, slots == 3 ? 0 : 3);
        cr_assert_eq(v->g.slot[IR_ESP], slots == 3 ? page - below + 12 : 0xe000u);
        cr_assert_eq(guest_eflags(&v->g), stack[2]);
    } else {
        fx_expect_fault(v, iret(2), EXC_PF, 0, "a slot is not mapped");
        cr_assert_eq(v->g.cr2, page);
    }
    fx_destroy(v);
}

Test(except, iret_reads_no_slot_too_many)
{
    fx_destroy(v);
    for (unsigned below = 1; below <= 24; below++)
        for (unsigned at_hand = 0; at_hand < 2; at_hand++) {
            iret_near_page_end(3, below, at_hand);
            iret_near_page_end(5, below, at_hand);
        }
    v = fx_create();
}
