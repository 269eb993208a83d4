/* Far JMP, CALL, RET; call gates; task switches. */
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

TestSuite(far, .init = setup, .fini = teardown);
TestSuite(task, .init = setup, .fini = teardown);

static enum helper_result far(bool call, uint16_t sel, uint32_t offset)
{
    struct ir_op op = fx_op(v, 2, sel, offset);
    return call ? helper_CALL_FAR(v, &op) : helper_JMP_FAR(v, &op);
}

static enum helper_result ret(unsigned size, uint32_t release)
{
    struct ir_op op = fx_op(v, size, 0, 0);
    op.imm2 = release;
    return helper_RET_FAR(v, &op);
}

struct far_case {
    const char *what;
    uint16_t sel;
    uint32_t offset;
    bool user;
    unsigned vector;
    uint32_t error;
};

static const struct far_case bad_targets[] = {
    {"null", 0, 0, false, EXC_GP, 0},
    {"beyond GDT", FX_END, 0, false, EXC_GP, FX_END},
    {"data", FX_KDATA, 0, false, EXC_GP, FX_KDATA},
    {"outer", FX_UCODE, 0, false, EXC_GP, FX_UCODE & ~3u},
    {"inner", FX_KCODE, 0, true, EXC_GP, FX_KCODE},
    {"RPL > CPL", FX_KCODE | 1, 0, false, EXC_GP, FX_KCODE},
    {"absent", FX_CODE_ABSENT, 0, false, EXC_NP, FX_CODE_ABSENT},
    {"offset beyond limit", FX_CODE_SMALL, 0x1000, false, EXC_GP, 0},
    {"LDT descriptor", FX_LDTSEL, 0, false, EXC_GP, FX_LDTSEL},
    {"busy TSS", FX_TR, 0, false, EXC_GP, FX_TR},
    {"TSS DPL", FX_TR2, 0, true, EXC_GP, FX_TR2},
    {"absent gate", FX_GATE_ABSENT, 0, false, EXC_NP, FX_GATE_ABSENT},
};

Test(far, bad_targets)
{
    for (unsigned i = 0; i < 2 * sizeof bad_targets / sizeof bad_targets[0]; i++) {
        const struct far_case *c = &bad_targets[i / 2];
        fx_destroy(v);
        v = fx_create();
        if (c->user)
            fx_user(v);
        fx_expect_fault(v, far(i & 1, c->sel, c->offset), c->vector, c->error, c->what);
    }
}

Test(far, jmp_direct)
{
    cr_assert_eq(far(false, FX_CODE16, 0x100), HELPER_OK);
    cr_assert_eq(v->g.eip, 0x100u);
    cr_assert_eq(v->g.seg[SEG_CS].base, 0x30000u);
    cr_assert_not(v->g.mode & TB_MODE_CODE32);
    cr_assert_eq(v->g.slot[IR_ESP], (uint32_t)FX_KSTACK);
}

Test(far, jmp_conforming_keeps_cpl)
{
    fx_user(v);
    cr_assert_eq(far(false, FX_CONFORMING, 0x100), HELPER_OK);
    cr_assert_eq(v->g.cpl, 3);
    cr_assert_eq(v->g.seg[SEG_CS].sel, FX_CONFORMING | 3);
}

Test(far, offset_is_cut_to_the_operand_size)
{
    struct ir_op op = fx_op(v, 1, FX_KCODE, 0x54321);
    cr_assert_eq(helper_JMP_FAR(v, &op), HELPER_OK);
    cr_assert_eq(v->g.eip, 0x4321u);
}

Test(far, call_and_ret)
{
    cr_assert_eq(far(true, FX_CODE16, 0x100), HELPER_OK);
    const uint32_t want[] = {FX_NEXT, FX_KCODE};
    fx_expect_stack(v, 4, want, 2, "CALL");
    cr_assert_eq(ret(2, 12), HELPER_OK);
    cr_assert_eq(v->g.eip, (uint32_t)FX_NEXT);
    cr_assert_eq(v->g.seg[SEG_CS].sel, FX_KCODE);
    cr_assert_eq(v->g.slot[IR_ESP], FX_KSTACK + 12u);
}

Test(far, call_gate_inner_copies_parameters)
{
    fx_user(v);
    v->g.slot[IR_ESP] = FX_USTACK - 8;
    fx_poke(v, FX_USTACK - 8, 4, 0xaaaa);
    fx_poke(v, FX_USTACK - 4, 4, 0xbbbb);
    cr_assert_eq(far(true, FX_CALLGATE | 3, 0x9999), HELPER_OK);
    const uint32_t want[] = {FX_NEXT, FX_UCODE, 0xaaaa, 0xbbbb, FX_USTACK - 8, FX_UDATA};
    fx_expect_stack(v, 4, want, 6, "call gate");
    cr_assert_eq(v->g.slot[IR_ESP], FX_STACK0 - 24u);
    cr_assert_eq(v->g.cpl, 0);
    cr_assert_eq(v->g.eip, (uint32_t)FX_HANDLER);
    cr_assert_eq(ret(2, 8), HELPER_OK);
    cr_assert_eq(v->g.cpl, 3);
    cr_assert_eq(v->g.slot[IR_ESP], (uint32_t)FX_USTACK, "parameters go from both stacks");
    cr_assert_eq(v->g.seg[SEG_SS].sel, FX_UDATA);
    cr_assert_eq(v->g.seg[SEG_DS].sel, FX_UDATA);
}

Test(far, call_gate_same_level_pushes_no_parameters)
{
    cr_assert_eq(far(true, FX_CALLGATE16, 0), HELPER_OK);
    const uint32_t want[] = {FX_NEXT & 0xffff, FX_KCODE};
    fx_expect_stack(v, 2, want, 2, "16-bit gate");
    cr_assert_eq(v->g.eip, 0x1234u);
}

Test(far, call_gate_faults)
{
    fx_user(v);
    fx_expect_fault(v, far(false, FX_CALLGATE | 3, 0), EXC_GP, FX_KCODE, "JMP inward");
    fx_poke(v, FX_TSS + 8, 4, FX_SMALL);
    fx_poke(v, FX_TSS + 4, 4, 0x10);
    fx_expect_fault(v, far(true, FX_CALLGATE | 3, 0), EXC_SS, FX_SMALL, "inner stack too small");
    fx_poke(v, FX_GDT + FX_CALLGATE + 5, 1, 0x8c);
    fx_expect_fault(v, far(true, FX_CALLGATE | 3, 0), EXC_GP, FX_CALLGATE, "gate DPL");
}

Test(far, gate_to_null_selector)
{
    fx_gate(v, FX_GDT + FX_CALLGATE, 0, 0, SYS_CALL32, 3, 0);
    fx_expect_fault(v, far(true, FX_CALLGATE, 0), EXC_GP, 0, "null in gate");
}

Test(far, stack_limit)
{
    struct segment ss = v->g.seg[SEG_SS];
    v->g.seg[SEG_SS].limit = 3;
    v->g.slot[IR_ESP] = 4;
    fx_mark(v);
    fx_expect_fault(v, far(true, FX_KCODE, 0), EXC_SS, 0, "CALL");
    v->g.seg[SEG_SS] = ss;
    v->g.seg[SEG_SS].limit = FX_KSTACK + 6;
    v->g.slot[IR_ESP] = FX_KSTACK;
    fx_mark(v);
    fx_expect_fault(v, ret(2, 0), EXC_SS, 0, "RET");
}

Test(far, stack16_wraps_sp_only)
{
    struct ir_op op = fx_op(v, 1, FX_DATA16, 0);
    op.aux = SEG_SS;
    op.b = IR_NONE;
    cr_assert_eq(helper_LOAD_SEG(v, &op), HELPER_OK);
    v->g.slot[IR_ESP] = 0x12340000;
    cr_assert_eq(far(true, FX_KCODE, 0x10), HELPER_OK);
    cr_assert_eq(v->g.slot[IR_ESP], 0x1234fff8u);
    const uint32_t want[] = {FX_NEXT, FX_KCODE};
    fx_expect_stack(v, 4, want, 2, "wrapped");
    cr_assert_eq(ret(2, 0), HELPER_OK);
    cr_assert_eq(v->g.slot[IR_ESP], 0x12340000u);
}

Test(far, real_mode)
{
    fx_real(v);
    struct ir_op op = fx_op(v, 1, 0x1234, 0x5678);
    op.imm2 = 0x128;
    cr_assert_eq(helper_CALL_FAR(v, &op), HELPER_OK);
    const uint32_t want[] = {0x128, 0x3000};
    fx_expect_stack(v, 2, want, 2, "real CALL");
    cr_assert_eq(v->g.seg[SEG_CS].base, 0x12340u);
    cr_assert_eq(v->g.eip, 0x5678u);
    cr_assert_eq(ret(1, 2), HELPER_OK);
    cr_assert_eq(v->g.eip, 0x128u);
    cr_assert_eq(v->g.slot[IR_ESP], 0x1002u);
    op = fx_op(v, 2, 0x1234, 0x10000);
    fx_mark(v);
    fx_expect_fault(v, helper_JMP_FAR(v, &op), EXC_GP, 0, "offset beyond 64 KiB");
}

Test(far, ret_outer_drops_kernel_data)
{
    v->g.slot[IR_ESP] = FX_KSTACK - 32;
    const uint32_t stack[] = {0x123, FX_UCODE, 0xe000, FX_UDATA};
    for (unsigned i = 0; i < 4; i++)
        fx_poke(v, FX_KSTACK - 32 + i * 4, 4, stack[i]);
    cr_assert_eq(ret(2, 0), HELPER_OK);
    cr_assert_eq(v->g.cpl, 3);
    cr_assert_eq(v->g.slot[IR_ESP], 0xe000u);
    cr_assert_eq(v->g.seg[SEG_ES].access, 0);
}

/* --- task switches --- */

static uint8_t tss_type(uint16_t sel)
{
    return (uint8_t)fx_peek(v, FX_GDT + sel + 5, 1) & 0xf;
}

static void expect_second_task(void)
{
    cr_assert_eq(v->g.tr.sel, FX_TR2);
    cr_assert_eq(v->g.eip, FX_CODE + 0x100u);
    cr_assert_eq(v->g.slot[IR_EAX], 0xa0a0a000u);
    cr_assert_eq(v->g.slot[IR_ESP], (uint32_t)FX_STACK2);
    cr_assert_eq(v->g.slot[IR_EDI], 0xa0a0a007u);
    cr_assert_eq(v->g.seg[SEG_ES].sel, FX_UDATA);
    cr_assert_eq(v->g.seg[SEG_CS].sel, FX_KCODE);
    cr_assert(v->g.cr0 & CR0_TS);
    cr_assert_eq(v->g.ldtr.access, 0);
}

Test(task, jmp)
{
    fx_tss2(v);
    v->g.eflags = FLAG_IF;
    cr_assert_eq(far(false, FX_TR2, 0), HELPER_OK);
    expect_second_task();
    cr_assert_eq(guest_eflags(&v->g), (uint32_t)(FLAG_1 | FLAG_CF));
    cr_assert_eq(tss_type(FX_TR), SYS_TSS32, "old one is available");
    cr_assert_eq(tss_type(FX_TR2), SYS_TSS32_BUSY);
    cr_assert_eq(fx_peek(v, FX_TSS + 0x20, 4), (uint32_t)FX_NEXT);
    cr_assert_eq(fx_peek(v, FX_TSS + 0x24, 4), (uint32_t)(FLAG_1 | FLAG_IF));
    cr_assert_eq(fx_peek(v, FX_TSS + 0x28, 4), 0x11111111u);
    cr_assert_eq(fx_peek(v, FX_TSS + 0x4c, 2), (uint32_t)FX_KCODE);
}

Test(task, call_and_iret)
{
    fx_tss2(v);
    cr_assert_eq(far(true, FX_TASKGATE, 0), HELPER_OK);
    expect_second_task();
    cr_assert(v->g.eflags & FLAG_NT);
    cr_assert_eq(tss_type(FX_TR), SYS_TSS32_BUSY, "nested: both are busy");
    cr_assert_eq(fx_peek(v, FX_TSS2, 2), (uint32_t)FX_TR);
    struct ir_op op = fx_op(v, 2, 0, 0);
    op.imm2 = FX_CODE + 0x101;
    cr_assert_eq(helper_IRET(v, &op), HELPER_OK);
    cr_assert_eq(v->g.tr.sel, FX_TR);
    cr_assert_eq(v->g.eip, (uint32_t)FX_NEXT);
    cr_assert_eq(v->g.slot[IR_EAX], 0x11111111u);
    cr_assert_eq(v->g.ldtr.sel, 0, "the TSS's own LDT field, static");
    cr_assert_eq(tss_type(FX_TR2), SYS_TSS32);
    cr_assert_eq(fx_peek(v, FX_TSS2 + 0x20, 4), FX_CODE + 0x101u);
    cr_assert_not(fx_peek(v, FX_TSS2 + 0x24, 4) & FLAG_NT);
}

Test(task, double_fault_through_a_task_gate)
{
    fx_tss2(v);
    fx_idt(v, EXC_DF, FX_TR2, 0, SYS_TASK_GATE, 0);
    fx_poke(v, FX_IDT + EXC_GP * 8 + 5, 1, SYS_INT32);
    vcpu_raise_error(v, EXC_GP, 0);
    vcpu_deliver_exception(v);
    cr_assert_eq(v->g.tr.sel, FX_TR2);
    cr_assert_eq(v->g.slot[IR_ESP], FX_STACK2 - 4u);
    cr_assert_eq(fx_peek(v, FX_STACK2 - 4, 4), 0u, "error code on the new stack");
    cr_assert_eq(fx_peek(v, FX_TSS + 0x20, 4), (uint32_t)FX_CODE, "the fault's eip");
    cr_assert_eq(v->rf_tick, 100u);
}

Test(task, checks_before_the_switch)
{
    fx_tss2(v);
    fx_poke(v, FX_GDT + FX_TR2, 2, 0x66);
    fx_expect_fault(v, far(false, FX_TR2, 0), EXC_TS, FX_TR2, "limit");
    fx_poke(v, FX_GDT + FX_TR2, 2, 0x67);
    fx_poke(v, FX_GDT + FX_TR2 + 5, 1, 0x09);
    fx_expect_fault(v, far(false, FX_TR2, 0), EXC_NP, FX_TR2, "absent");
    v->g.eflags = FLAG_NT;
    fx_poke(v, FX_TSS, 2, FX_KCODE);
    fx_mark(v);
    struct ir_op op = fx_op(v, 2, 0, 0);
    fx_expect_fault(v, helper_IRET(v, &op), EXC_TS, FX_KCODE, "link is no busy TSS");
}

struct bad_task {
    const char *what;
    uint32_t field, value;
    unsigned vector;
    uint32_t error;
};

/* After the switch: the fault belongs to the new task. */
static const struct bad_task bad_tasks[] = {
    {"LDT", 0x60, FX_KDATA, EXC_TS, FX_KDATA},
    {"CS null", 0x4c, 0, EXC_TS, 0},
    {"CS data", 0x4c, FX_KDATA, EXC_TS, FX_KDATA},
    {"CS absent", 0x4c, FX_CODE_ABSENT, EXC_NP, FX_CODE_ABSENT},
    {"SS DPL", 0x50, FX_DATA1, EXC_TS, FX_DATA1},
    {"SS absent", 0x50, FX_STACK_ABSENT, EXC_SS, FX_STACK_ABSENT},
    {"DS execute-only", 0x54, FX_EXEC, EXC_TS, FX_EXEC},
    {"DS absent", 0x54, FX_ABSENT, EXC_NP, FX_ABSENT},
};

Test(task, faults_after_the_switch)
{
    for (unsigned i = 0; i < sizeof bad_tasks / sizeof bad_tasks[0]; i++) {
        const struct bad_task *b = &bad_tasks[i];
        fx_destroy(v);
        v = fx_create();
        fx_tss2(v);
        fx_poke(v, FX_TSS2 + b->field, 4, b->value);
        cr_assert_eq(far(false, FX_TR2, 0), HELPER_FAULT, "%s", b->what);
        cr_assert_eq(v->exc.vector, b->vector, "%s: vector %u", b->what, v->exc.vector);
        cr_assert_eq(v->exc.error, b->error, "%s: error %x", b->what, v->exc.error);
        cr_assert(v->exc.is_trap, "%s: the instruction retired", b->what);
        cr_assert_eq(v->exc.next_eip, FX_CODE + 0x100u, "%s", b->what);
        cr_assert_eq(v->g.tr.sel, FX_TR2, "%s", b->what);
    }
}

Test(task, trap_bit)
{
    fx_tss2(v);
    fx_poke(v, FX_TSS2 + 0x64, 2, 1);
    v->g.dr[7] |= 0x55;
    cr_assert_eq(far(false, FX_TR2, 0), HELPER_FAULT);
    cr_assert(v->exc.vector == EXC_DB && v->exc.is_trap);
    cr_assert_eq(v->g.dr[7], DR7_FIXED, "local breakpoints are off");
    vcpu_deliver_exception(v);
    cr_assert_eq(v->g.dr[6], DR6_FIXED | DR6_BT);
    cr_assert_eq(fx_peek(v, v->g.slot[IR_ESP], 4), FX_CODE + 0x100u);
}

Test(task, tss16)
{
    fx_poke(v, FX_TSS16 + 0x0e, 2, 0x200);
    fx_poke(v, FX_TSS16 + 0x10, 2, FLAG_1);
    fx_poke(v, FX_TSS16 + 0x12, 2, 0x4321);
    fx_poke(v, FX_TSS16 + 0x1a, 2, 0x1000);
    static const uint16_t sels[] = {FX_KDATA, FX_CODE16, FX_DATA16, FX_KDATA, 0};
    for (unsigned i = 0; i < 5; i++)
        fx_poke(v, FX_TSS16 + 0x22 + i * 2, 2, sels[i]);
    cr_assert_eq(far(true, FX_TR16, 0), HELPER_OK);
    cr_assert_eq(v->g.eip, 0x200u);
    cr_assert_eq(v->g.slot[IR_EAX], 0xffff4321u);
    cr_assert_eq(v->g.slot[IR_ESP] & 0xffff, 0x1000u);
    cr_assert_eq(v->g.seg[SEG_FS].access, 0);
    cr_assert_eq(fx_peek(v, FX_TSS16, 2), (uint32_t)FX_TR);
    struct ir_op op = fx_op(v, 1, 0, 0);
    cr_assert_eq(helper_IRET(v, &op), HELPER_OK);
    cr_assert_eq(v->g.tr.sel, FX_TR);
    cr_assert_eq(fx_peek(v, FX_TSS16 + 0x12, 2), 0x4321u);
}

Test(task, stack_page_of_old_tss_is_probed)
{
    fx_tss2(v);
    fx_protect(v, FX_TSS, FX_READ_ONLY);
    fx_expect_fault(v, far(false, FX_TR2, 0), EXC_PF, 3, "old TSS");
}
