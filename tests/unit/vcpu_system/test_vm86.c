/* Virtual-8086 mode: ways in and out, what faults in it. SDM 3B chapter 20, SDM 2 IRET and INT n. */
#include "fixture.h"

#include <criterion/criterion.h>

enum { CS = 0x3000, SS = 0x800, ES = 0x1111, DS = 0x2222, FS = 0x3333, GS = 0x4444, SP = 0x1000, IP = 0x123 };
#define IOPL3 (FLAG_IOPL)

static struct vcpu *v;

static void setup(void)
{
    v = fx_create();
}

static void teardown(void)
{
    fx_destroy(v);
}

TestSuite(vm86, .init = setup, .fini = teardown);

static struct segment segment_8086(uint16_t sel)
{
    return (struct segment){.sel = sel, .access = 0xf3, .base = (uint32_t)sel << 4, .limit = 0xffff};
}

static void enter(uint32_t eflags)
{
    static const uint16_t sels[SEG_COUNT] = {ES, CS, SS, DS, FS, GS};
    for (unsigned i = 0; i < SEG_COUNT; i++)
        v->g.seg[i] = segment_8086(sels[i]);
    v->g.slot[IR_ESP] = SP;
    v->g.eip = IP;
    v->g.eflags = FLAG_VM | eflags;
    vcpu_set_cpl(v, 3);
    fx_mark(v);
}

static void expect_segment(unsigned seg, uint16_t sel)
{
    const struct segment *s = &v->g.seg[seg], want = segment_8086(sel);
    cr_assert(s->sel == sel && s->base == want.base && s->limit == want.limit && s->access == want.access,
              "segment %u: %x base %x limit %x access %x", seg, s->sel, s->base, s->limit, s->access);
}

static void expect_segments(void)
{
    static const uint16_t sels[SEG_COUNT] = {ES, CS, SS, DS, FS, GS};
    for (unsigned i = 0; i < SEG_COUNT; i++)
        expect_segment(i, sels[i]);
}

static void poke_frame(uint32_t at, uint32_t eip, uint32_t eflags)
{
    const uint32_t frame[] = {eip, CS, eflags, 0xabcd1000, SS | 0xffff0000, ES, DS, FS, GS};
    for (unsigned i = 0; i < 9; i++)
        fx_poke(v, at + 4 * i, 4, frame[i]);
}

static enum helper_result iret(unsigned size)
{
    struct ir_op op = fx_op(v, size, 0, 0);
    return helper_IRET(v, &op);
}

/* --- in --- */

Test(vm86, iretd_enters)
{
    v->g.slot[IR_ESP] = FX_KSTACK - 36;
    poke_frame(FX_KSTACK - 36, IP,
               FLAG_VM | FLAG_IF | 1 << 12 | FLAG_NT | FLAG_AC | FLAG_RF | FLAG_CF | FLAG_DF);
    cr_assert_eq(iret(2), HELPER_OK);
    expect_segments();
    cr_assert_eq(v->g.slot[IR_ESP], 0xabcd1000u, "all of ESP");
    cr_assert_eq(v->g.eip, (uint32_t)IP);
    cr_assert_eq(v->g.cpl, 3);
    cr_assert_eq(v->g.eflags, (uint32_t)(FLAG_VM | FLAG_IF | 1 << 12 | FLAG_NT | FLAG_AC | FLAG_RF));
    cr_assert_eq(guest_eflags(&v->g) & (FLAG_CF | FLAG_DF), (uint32_t)(FLAG_CF | FLAG_DF));
    cr_assert_eq(v->g.mode & (TB_MODE_VM86 | TB_MODE_PE | TB_MODE_USER | TB_MODE_CPL0 | TB_MODE_CODE32 |
                              TB_MODE_STACK32 | TB_MODE_FLAT),
                 TB_MODE_VM86 | TB_MODE_USER);
    cr_assert(vcpu_rf(v), "RF covers the next instruction");
}

Test(vm86, iretd_faults_before_it_enters)
{
    v->g.slot[IR_ESP] = FX_KSTACK - 36;
    poke_frame(FX_KSTACK - 36, 0x10000, FLAG_VM);
    fx_mark(v);
    fx_expect_fault(v, iret(2), EXC_GP, 0, "EIP beyond FFFF");
    fx_protect(v, FX_KSTACK, FX_UNMAPPED);
    v->g.slot[IR_ESP] = FX_KSTACK - 28;
    poke_frame(FX_KSTACK - 64, IP, FLAG_VM);
    for (unsigned i = 0; i < 7; i++)
        fx_poke(v, FX_KSTACK - 28 + 4 * i, 4, i == 2 ? FLAG_VM : IP);
    fx_mark(v);
    fx_expect_fault(v, iret(2), EXC_PF, 0, "the last selectors are not there");
    v->g.seg[SEG_SS].limit = FX_KSTACK - 1;
    fx_mark(v);
    fx_expect_fault(v, iret(2), EXC_SS, 0, "nor within the limit");
}

/* VM counts at CPL 0 and with a 32-bit operand only. */
Test(vm86, iret_elsewhere_does_not_enter)
{
    fx_user(v);
    const uint32_t frame[] = {FX_CODE, FX_UCODE, FLAG_VM | FLAG_CF};
    for (unsigned i = 0; i < 3; i++)
        fx_poke(v, FX_USTACK + 4 * i, 4, frame[i]);
    cr_assert_eq(iret(2), HELPER_OK);
    cr_assert_not(v->g.eflags & FLAG_VM);
    cr_assert_eq(v->g.seg[SEG_CS].sel, FX_UCODE);
}

static void poke_task(uint32_t eip, uint32_t eflags)
{
    static const uint16_t sels[SEG_COUNT] = {ES, CS, SS, DS, FS, GS};
    fx_tss2(v);
    fx_poke(v, FX_TSS2 + 0x20, 4, eip);
    fx_poke(v, FX_TSS2 + 0x24, 4, eflags);
    fx_poke(v, FX_TSS2 + 0x38, 4, SP);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        fx_poke(v, FX_TSS2 + 0x48 + i * 4, 4, sels[i]);
}

static enum helper_result jump_to_task(void)
{
    struct ir_op op = fx_op(v, 2, FX_TR2, 0);
    return helper_JMP_FAR(v, &op);
}

Test(vm86, task_enters)
{
    poke_task(IP, FLAG_VM | IOPL3);
    fx_poke(v, FX_TSS2 + 0x60, 4, FX_LDTSEL);
    cr_assert_eq(jump_to_task(), HELPER_OK);
    expect_segments();
    cr_assert_eq(v->g.cpl, 3, "whatever CS's low bits are");
    cr_assert_eq(v->g.eip, (uint32_t)IP);
    cr_assert_eq(v->g.eflags, (uint32_t)(FLAG_VM | FLAG_IOPL));
    cr_assert_eq(v->g.ldtr.sel, FX_LDTSEL);
    cr_assert(v->g.mode & TB_MODE_VM86);
}

Test(vm86, task_of_a_bad_ldt_faults_in_the_task)
{
    poke_task(IP, FLAG_VM);
    fx_poke(v, FX_TSS2 + 0x60, 4, FX_KDATA);
    cr_assert_eq(jump_to_task(), HELPER_FAULT);
    cr_assert(v->exc.vector == EXC_TS && v->exc.error == FX_KDATA && v->exc.is_trap);
    fx_poke(v, FX_TSS2 + 4, 4, FX_STACK0);
    fx_poke(v, FX_TSS2 + 8, 4, FX_KDATA);
    vcpu_deliver_exception(v);
    const uint32_t want[] = {FX_KDATA, IP, CS, FLAG_VM | FLAG_1, SP, SS, ES, DS, FS, GS};
    fx_expect_stack(v, 4, want, 10, "from the new task, in virtual-8086 mode");
}

Test(vm86, task_with_eip_beyond_the_limit)
{
    poke_task(0x10000, FLAG_VM);
    cr_assert_eq(jump_to_task(), HELPER_FAULT);
    cr_assert(v->exc.vector == EXC_GP && v->exc.error == 0 && v->exc.is_trap);
}

Test(vm86, no_vm_in_a_16_bit_task)
{
    enter(0);
    fx_idt(v, 7, FX_TR16, 0, SYS_TASK_GATE, 0);
    fx_poke(v, FX_TSS16 + 0x10, 2, FLAG_1);
    static const uint16_t sels[] = {FX_KDATA, FX_CODE16, FX_DATA16, FX_KDATA, 0};
    for (unsigned i = 0; i < 5; i++)
        fx_poke(v, FX_TSS16 + 0x22 + i * 2, 2, sels[i]);
    vcpu_raise(v, EXC_NM);
    vcpu_deliver_exception(v);
    cr_assert_eq(v->g.tr.sel, FX_TR16);
    cr_assert_eq(v->g.eflags, (uint32_t)FLAG_NT);
    cr_assert_eq(fx_peek(v, FX_TSS + 0x24, 4), (uint32_t)(FLAG_VM | FLAG_1 | FLAG_RF),
                 "the old task was in it");
    cr_assert_eq(fx_peek(v, FX_TSS + 0x5c, 2), (uint32_t)GS);
}

/* --- out --- */

static void expect_null_data(void)
{
    static const uint8_t regs[] = {SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    for (unsigned i = 0; i < sizeof regs; i++)
        cr_assert(v->g.seg[regs[i]].sel == 0 && v->g.seg[regs[i]].access == 0, "segment %u", regs[i]);
}

Test(vm86, fault_through_an_interrupt_gate)
{
    enter(FLAG_IF | FLAG_TF | FLAG_NT | IOPL3);
    vcpu_raise_error(v, EXC_GP, 0);
    vcpu_deliver_exception(v);
    const uint32_t want[] = {
        0, IP, CS, FLAG_1 | FLAG_VM | FLAG_IF | FLAG_TF | FLAG_NT | IOPL3 | FLAG_RF, SP, SS, ES, DS, FS, GS};
    fx_expect_stack(v, 4, want, 10, "#GP");
    cr_assert_eq(v->g.slot[IR_ESP], FX_STACK0 - 40u);
    cr_assert(v->g.cpl == 0 && v->g.seg[SEG_CS].sel == FX_KCODE && v->g.seg[SEG_SS].sel == FX_KDATA);
    cr_assert_eq(v->g.eflags, (uint32_t)IOPL3, "VM, TF, NT, RF, IF are clear");
    cr_assert_eq(v->g.mode & (TB_MODE_VM86 | TB_MODE_PE | TB_MODE_CPL0), TB_MODE_PE | TB_MODE_CPL0);
    expect_null_data();
    v->g.slot[IR_ESP] += 4;
    cr_assert_eq(iret(2), HELPER_OK);
    expect_segments();
    cr_assert_eq(v->g.slot[IR_ESP], (uint32_t)SP);
}

Test(vm86, interrupt_through_a_trap_gate)
{
    enter(FLAG_IF);
    fx_idt(v, 0x30, FX_KCODE, 0x5678, SYS_TRAP32, 0);
    vcpu_deliver_interrupt(v, 0x30);
    const uint32_t want[] = {IP, CS, FLAG_1 | FLAG_VM | FLAG_IF, SP, SS, ES, DS, FS, GS};
    fx_expect_stack(v, 4, want, 9, "interrupt");
    cr_assert_eq(v->g.eflags, (uint32_t)FLAG_IF);
}

Test(vm86, gate16_pushes_words)
{
    enter(FLAG_IF);
    fx_idt(v, EXC_GP, FX_KCODE, 0xabcd1234, SYS_INT16, 0);
    vcpu_raise_error(v, EXC_GP, 0);
    vcpu_deliver_exception(v);
    const uint32_t want[] = {0, IP, CS, FLAG_1 | FLAG_IF, SP, SS, ES, DS, FS, GS};
    fx_expect_stack(v, 2, want, 10, "16-bit gate: VM and RF are lost");
    cr_assert_eq(v->g.slot[IR_ESP], FX_STACK0 - 20u);
    expect_null_data();
}

/* What is delivered leads to another #GP, about the code selector; here as an interrupt's, with EXT. */
static void expect_refused(uint16_t code, uint32_t error)
{
    enter(0);
    fx_idt(v, 0x30, code, 0x5678, SYS_INT32, 0);
    vcpu_deliver_interrupt(v, 0x30);
    cr_assert_eq(v->g.eip, fx_handler(EXC_GP), "%x", code);
    cr_assert_eq(fx_peek(v, v->g.slot[IR_ESP], 4), error | 1, "%x: error %x", code,
                 fx_peek(v, v->g.slot[IR_ESP], 4));
}

Test(vm86, handlers_run_at_cpl_0)
{
    expect_refused(FX_UCODE, FX_UCODE & 0xfffc);
    expect_refused(FX_CODE1, FX_CODE1);
    expect_refused(FX_CONFORMING, FX_CONFORMING);
    expect_refused(FX_KDATA, FX_KDATA);
}

Test(vm86, stack_of_the_tss_is_checked)
{
    enter(0);
    fx_poke(v, FX_TSS + 8, 4, FX_UDATA);
    fx_idt(v, EXC_TS, FX_TR2, 0, SYS_TASK_GATE, 0);
    fx_tss2(v);
    vcpu_raise_error(v, EXC_GP, 0);
    vcpu_deliver_exception(v); /* #GP, then #TS: #DF, whose stack is no better: shutdown */
    cr_assert_eq(v->exit_reason, VCPU_EXIT_TRIPLE_FAULT + 1);
}

Test(vm86, out_by_a_task_gate_and_back)
{
    enter(FLAG_IF);
    fx_tss2(v);
    fx_idt(v, EXC_GP, FX_TR2, 0, SYS_TASK_GATE, 0);
    vcpu_raise_error(v, EXC_GP, 0);
    vcpu_deliver_exception(v);
    cr_assert_eq(v->g.tr.sel, FX_TR2);
    cr_assert(v->g.cpl == 0 && !(v->g.eflags & FLAG_VM));
    cr_assert_eq(fx_peek(v, FX_TSS + 0x24, 4), (uint32_t)(FLAG_1 | FLAG_VM | FLAG_IF | FLAG_RF));
    cr_assert_eq(fx_peek(v, FX_TSS + 0x4c, 2), (uint32_t)CS);
    v->g.slot[IR_ESP] += 4;
    cr_assert_eq(iret(2), HELPER_OK);
    expect_segments();
    cr_assert_eq(v->g.eflags, (uint32_t)(FLAG_VM | FLAG_IF | FLAG_RF));
}

/* --- in the mode --- */

enum { INT_N, INT_3, INT_O };

static enum helper_result software(unsigned vector, unsigned kind)
{
    struct ir_op op = fx_op(v, kind, 0, 0);
    op.aux = (uint8_t)vector;
    op.imm2 = IP + 2;
    return helper_INT(v, &op);
}

Test(vm86, below_iopl_3_instructions_fault)
{
    for (unsigned iopl = 0; iopl < 3; iopl++) {
        enter(iopl << 12);
        struct ir_op op = fx_op(v, 1, 0, 0);
        fx_expect_fault(v, helper_PUSHF(v, &op), EXC_GP, 0, "PUSHF");
        fx_expect_fault(v, helper_POPF(v, &op), EXC_GP, 0, "POPF");
        fx_expect_fault(v, helper_CLI(v, &op), EXC_GP, 0, "CLI");
        fx_expect_fault(v, helper_STI(v, &op), EXC_GP, 0, "STI");
        fx_expect_fault(v, helper_IRET(v, &op), EXC_GP, 0, "IRET");
        fx_expect_fault(v, software(0x21, INT_N), EXC_GP, 0, "INT n");
        fx_expect_fault(v, software(3, INT_N), EXC_GP, 0, "INT 3 of two bytes");
    }
}

Test(vm86, int3_and_into_do_not_look_at_iopl)
{
    enter(0);
    fx_expect_fault(v, software(3, INT_3), EXC_GP, 3 * 8 + 2, "the gate's DPL counts");
    fx_idt(v, 3, FX_KCODE, 0x5678, SYS_INT32, 3);
    cr_assert_eq(software(3, INT_3), HELPER_OK);
    cr_assert_eq(fx_peek(v, v->g.slot[IR_ESP], 4), IP + 2u);
    enter(0);
    fx_idt(v, 4, FX_KCODE, 0x5678, SYS_INT32, 3);
    guest_set_arith_flags(&v->g, FLAG_OF);
    struct ir_op op = fx_op(v, INT_O, 0, 0);
    cr_assert_eq(helper_INTO(v, &op), HELPER_OK);
    cr_assert_eq(v->g.eip, 0x5678u);
}

Test(vm86, int_n_at_iopl_3)
{
    enter(IOPL3);
    fx_expect_fault(v, software(0x21, INT_N), EXC_GP, 0x21 * 8 + 2, "DPL");
    fx_idt(v, 0x21, FX_KCODE, 0x5678, SYS_INT32, 3);
    cr_assert_eq(software(0x21, INT_N), HELPER_OK);
    const uint32_t want[] = {IP + 2, CS, FLAG_1 | FLAG_VM | IOPL3, SP, SS, ES, DS, FS, GS};
    fx_expect_stack(v, 4, want, 9, "INT 21h");
}

Test(vm86, popf_and_pushf_at_iopl_3)
{
    enter(IOPL3);
    fx_poke(v, (SS << 4) + SP, 4, FLAG_IF | FLAG_NT | FLAG_AC);
    struct ir_op op = fx_op(v, 2, 0, 0);
    cr_assert_eq(helper_POPF(v, &op), HELPER_OK);
    cr_assert_eq(v->g.eflags, (uint32_t)(FLAG_VM | IOPL3 | FLAG_IF | FLAG_NT | FLAG_AC), "VM, IOPL stay");
    cr_assert_eq(helper_PUSHF(v, &op), HELPER_OK);
    cr_assert_eq(fx_peek(v, (SS << 4) + SP, 4), FLAG_1 | IOPL3 | FLAG_IF | FLAG_NT | FLAG_AC,
                 "VM is not pushed");
}

Test(vm86, iret_at_iopl_3_stays)
{
    enter(IOPL3 | FLAG_NT); /* NT is not looked at */
    const uint16_t frame[] = {0x456, 0x1234, FLAG_IF};
    for (unsigned i = 0; i < 3; i++)
        fx_poke(v, (SS << 4) + SP + 2 * i, 2, frame[i]);
    cr_assert_eq(iret(1), HELPER_OK);
    expect_segment(SEG_CS, 0x1234);
    cr_assert_eq(v->g.eip, 0x456u);
    cr_assert_eq(v->g.eflags, (uint32_t)(FLAG_VM | IOPL3 | FLAG_IF));
    cr_assert_eq(v->g.slot[IR_ESP], SP + 6u);
    cr_assert_eq(v->g.cpl, 3);
}

Test(vm86, far_transfers_and_loads_are_as_in_real_mode)
{
    enter(0);
    struct ir_op op = fx_op(v, 1, 0x1234, 0x456);
    op.imm2 = IP + 5;
    cr_assert_eq(helper_CALL_FAR(v, &op), HELPER_OK);
    expect_segment(SEG_CS, 0x1234);
    cr_assert_eq(fx_peek(v, (SS << 4) + SP - 4, 4), (uint32_t)(CS << 16 | (IP + 5)));
    op.imm2 = 0;
    cr_assert_eq(helper_RET_FAR(v, &op), HELPER_OK);
    expect_segment(SEG_CS, CS);
    op = fx_op(v, 2, 0x1234, 0x10000);
    fx_mark(v);
    fx_expect_fault(v, helper_JMP_FAR(v, &op), EXC_GP, 0, "EIP beyond FFFF");
    op = fx_op(v, 1, 0, 0);
    op.aux = SEG_ES;
    op.b = IR_NONE;
    cr_assert_eq(helper_LOAD_SEG(v, &op), HELPER_OK, "0 is no null selector");
    expect_segment(SEG_ES, 0);
}

Test(vm86, protected_mode_instructions_are_undefined)
{
    const ir_helper_fn fns[] = {helper_LLDT, helper_LTR,  helper_SLDT, helper_STR, helper_LAR,
                                helper_LSL,  helper_VERR, helper_VERW, helper_ARPL};
    enter(IOPL3);
    for (unsigned i = 0; i < sizeof fns / sizeof fns[0]; i++) {
        struct ir_op op = fx_op(v, 1, FX_KDATA, 0);
        fx_mark(v);
        fx_expect_fault(v, fns[i](v, &op), EXC_UD, 0, "needs protected mode");
    }
}

Test(vm86, sysenter_leaves)
{
    enter(FLAG_IF);
    v->g.sysenter_cs = FX_KCODE, v->g.sysenter_esp = FX_STACK0, v->g.sysenter_eip = 0x5678;
    struct ir_op op = fx_op(v, 0, 0, 0);
    cr_assert_eq(helper_SYSENTER(v, &op), HELPER_OK);
    cr_assert_eq(v->g.eflags, 0);
    cr_assert(v->g.cpl == 0 && v->g.eip == 0x5678 && (v->g.mode & TB_MODE_PE));
}

Test(vm86, a_loaded_state_must_be_possible)
{
    enter(0);
    cr_assert_null(system_registers_wrong(v));
    v->g.cpl = 0;
    cr_assert_str_eq(system_registers_wrong(v), "cpu.eflags");
    v->g.cpl = 3, v->g.cr0 &= ~(uint32_t)(CR0_PE | CR0_PG);
    cr_assert_str_eq(system_registers_wrong(v), "cpu.eflags");
}
