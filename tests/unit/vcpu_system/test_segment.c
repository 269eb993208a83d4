/* Segment loads, access checks, descriptor queries, LDTR and TR, mode. */
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

TestSuite(segment, .init = setup, .fini = teardown);

static enum helper_result load(unsigned seg, uint16_t sel)
{
    struct ir_op op = fx_op(v, 1, sel, 0);
    op.aux = (uint8_t)seg;
    op.b = IR_NONE;
    return helper_LOAD_SEG(v, &op);
}

struct load_case {
    const char *what;
    uint8_t seg;
    bool user;
    uint16_t sel;
    unsigned vector; /* 0: the load succeeds */
    uint32_t error;
};

static const struct load_case loads[] = {
    {"null DS", SEG_DS, false, 3, 0, 0},
    {"kernel data", SEG_DS, false, FX_KDATA, 0, 0},
    {"user data from CPL 0", SEG_ES, false, FX_UDATA, 0, 0},
    {"kernel data from CPL 3", SEG_DS, true, FX_KDATA, EXC_GP, FX_KDATA},
    {"RPL 3 on kernel data", SEG_DS, false, FX_KDATA | 3, EXC_GP, FX_KDATA},
    {"readable code", SEG_FS, false, FX_KCODE, 0, 0},
    {"execute-only code", SEG_FS, false, FX_EXEC, EXC_GP, FX_EXEC},
    {"conforming code at CPL 3", SEG_GS, true, FX_CONFORMING | 3, 0, 0},
    {"absent", SEG_DS, false, FX_ABSENT, EXC_NP, FX_ABSENT},
    {"system descriptor", SEG_DS, false, FX_LDTSEL, EXC_GP, FX_LDTSEL},
    {"beyond GDT", SEG_DS, false, FX_END | 2, EXC_GP, FX_END},
    {"beyond LDT", SEG_DS, false, 0x27, EXC_GP, 0x24},
    {"empty LDT entry", SEG_DS, false, 0x0f, EXC_GP, 0x0c},
    {"null SS", SEG_SS, false, 0, EXC_GP, 0},
    {"SS", SEG_SS, false, FX_KDATA, 0, 0},
    {"SS RPL", SEG_SS, false, FX_KDATA | 1, EXC_GP, FX_KDATA},
    {"SS DPL", SEG_SS, false, FX_UDATA & ~3, EXC_GP, FX_UDATA & ~3},
    {"SS user", SEG_SS, true, FX_UDATA, 0, 0},
    {"SS read-only", SEG_SS, true, FX_RODATA | 3, EXC_GP, FX_RODATA},
    {"SS absent", SEG_SS, true, FX_ABSENT | 3, EXC_SS, FX_ABSENT},
    {"SS absent, kernel", SEG_SS, false, FX_STACK_ABSENT, EXC_SS, FX_STACK_ABSENT},
    {"SS code", SEG_SS, false, FX_KCODE, EXC_GP, FX_KCODE},
};

static void check_load(const struct load_case *c)
{
    fx_destroy(v);
    v = fx_create();
    if (c->user)
        fx_user(v);
    if (c->vector) {
        fx_expect_fault(v, load(c->seg, c->sel), c->vector, c->error, c->what);
        return;
    }
    cr_assert_eq(load(c->seg, c->sel), HELPER_OK, "%s", c->what);
    cr_assert_eq(v->g.seg[c->seg].sel, c->sel, "%s", c->what);
    cr_assert_eq(v->g.eip, (uint32_t)FX_NEXT, "%s", c->what);
    cr_assert_eq(v->g.int_shadow, c->seg == SEG_SS ? SHADOW_STACK : 0, "%s", c->what);
    cr_assert_eq(v->g.seg[c->seg].access == 0, SEL_IS_NULL(c->sel), "%s", c->what);
}

Test(segment, loads)
{
    for (unsigned i = 0; i < sizeof loads / sizeof loads[0]; i++)
        check_load(&loads[i]);
}

Test(segment, accessed_bit_is_written_once)
{
    uint32_t access = FX_GDT + (FX_UDATA & ~7u) + 5;
    fx_poke(v, access, 1, 0xf2);
    cr_assert_eq(load(SEG_DS, FX_UDATA), HELPER_OK);
    cr_assert_eq(fx_peek(v, access, 1), 0xf3u);
    cr_assert_eq(v->g.seg[SEG_DS].access & 0xff, 0xf3);
    fx_protect(v, FX_GDT, FX_READ_ONLY);
    cr_assert_eq(load(SEG_ES, FX_UDATA), HELPER_OK, "no write when it is set");
    fx_protect(v, FX_GDT, FX_ALL);
    fx_poke(v, access, 1, 0xf2);
    fx_protect(v, FX_GDT, FX_READ_ONLY);
    fx_mark(v);
    fx_expect_fault(v, load(SEG_ES, FX_UDATA), EXC_PF, 3, "write to the table faults");
}

Test(segment, ldt_load)
{
    fx_poke(v, FX_LDT + 8, 4, 0x56780010);
    fx_poke(v, FX_LDT + 12, 4, 0x12409334);
    cr_assert_eq(load(SEG_GS, 0x0c), HELPER_OK);
    cr_assert_eq(v->g.seg[SEG_GS].base, 0x12345678u);
    cr_assert_eq(v->g.seg[SEG_GS].limit, 0x10u);
    v->g.ldtr.access = 0;
    fx_mark(v);
    fx_expect_fault(v, load(SEG_GS, 0x0c), EXC_GP, 0x0c, "no LDT");
}

Test(segment, load_ss_writes_esp)
{
    struct ir_op op = fx_op(v, 1, FX_KDATA, 0x7770);
    op.aux = SEG_SS;
    cr_assert_eq(helper_LOAD_SEG(v, &op), HELPER_OK);
    cr_assert_eq(v->g.slot[IR_ESP], 0x7770u);
    op = fx_op(v, 1, FX_ABSENT, 0x7774);
    op.aux = SEG_DS;
    fx_mark(v);
    fx_expect_fault(v, helper_LOAD_SEG(v, &op), EXC_NP, FX_ABSENT, "POP DS");
}

Test(segment, load_far)
{
    struct ir_op op = fx_op(v, 1, FX_UDATA, 0x9999);
    op.aux = SEG_ES;
    op.dst = IR_EBX;
    cr_assert_eq(helper_LOAD_FAR(v, &op), HELPER_OK);
    cr_assert_eq(v->g.slot[IR_EBX], 0x44449999u);
    op = fx_op(v, 2, 0, 0x12345678);
    op.aux = SEG_ES;
    op.dst = IR_EBX;
    cr_assert_eq(helper_LOAD_FAR(v, &op), HELPER_OK);
    cr_assert_eq(v->g.slot[IR_EBX], 0x12345678u);
    cr_assert_eq(v->g.seg[SEG_ES].access, 0);
}

Test(segment, real_mode_load_keeps_limit)
{
    fx_real(v);
    v->g.seg[SEG_DS].limit = UINT32_MAX; /* unreal mode */
    cr_assert_eq(load(SEG_DS, 0x1234), HELPER_OK);
    cr_assert_eq(v->g.seg[SEG_DS].base, 0x12340u);
    cr_assert_eq(v->g.seg[SEG_DS].limit, UINT32_MAX);
    v->g.seg[SEG_ES] = (struct segment){.sel = 0};
    cr_assert_eq(load(SEG_ES, 0x10), HELPER_OK);
    cr_assert_eq(v->g.seg[SEG_ES].limit, 0xffffu);
    cr_assert_eq(v->g.seg[SEG_ES].access, 0x93);
}

struct linear_case {
    const char *what;
    uint16_t sel;
    uint32_t offset;
    uint8_t bytes;
    bool write, ok;
};

static const struct linear_case linears[] = {
    {"flat end", FX_UDATA, 0xfffffffc, 4, true, true},
    {"flat wrap", FX_UDATA, 0xfffffffe, 4, true, false},
    {"small last byte", FX_SMALL, 0x1f, 1, true, true},
    {"small over the end", FX_SMALL, 0x1d, 4, true, false},
    {"expand-down below", FX_DOWN, 0xfff, 1, false, false},
    {"expand-down first", FX_DOWN, 0x1000, 1, false, true},
    {"expand-down top", FX_DOWN, 0xfffffffc, 4, true, true},
    {"expand-down wrap", FX_DOWN, 0xfffffffd, 4, true, false},
    {"read-only read", FX_RODATA, 0, 4, false, true},
    {"read-only write", FX_RODATA, 0, 4, true, false},
    {"code read", FX_KCODE, 0, 4, false, true},
    {"code write", FX_KCODE, 0, 4, true, false},
    {"null", 0, 0, 1, false, false},
};

Test(segment, linear)
{
    for (unsigned i = 0; i < sizeof linears / sizeof linears[0]; i++) {
        const struct linear_case *c = &linears[i];
        uint32_t lin_addr = 0;
        cr_assert_eq(load(SEG_DS, c->sel), HELPER_OK, "%s", c->what);
        fx_mark(v);
        bool ok = seg_linear(v, SEG_DS, c->offset, c->bytes, c->write, &lin_addr);
        cr_assert_eq(ok, c->ok, "%s", c->what);
        if (ok)
            cr_assert_eq(lin_addr, v->g.seg[SEG_DS].base + c->offset, "%s", c->what);
        else
            fx_expect_fault(v, HELPER_FAULT, EXC_GP, 0, c->what);
    }
    uint32_t lin_addr;
    v->g.seg[SEG_SS].limit = 0xfff;
    fx_mark(v);
    cr_assert_not(seg_linear(v, SEG_SS, 0x1000, 1, false, &lin_addr));
    fx_expect_fault(v, HELPER_FAULT, EXC_SS, 0, "SS limit");
}

static uint32_t plain(const char *segs)
{
    static const char name[] = "ecsdfg";
    uint32_t bits = 0;
    for (unsigned seg = 0; seg < SEG_COUNT; seg++)
        for (const char *p = segs; *p; p++)
            bits |= *p == name[seg] ? tb_mode_plain(seg) : 0;
    return bits;
}

Test(segment, mode)
{
    uint32_t base = TB_MODE_CODE32 | TB_MODE_STACK32 | TB_MODE_PE | TB_MODE_SSE_UD;
    cr_assert_eq(v->g.mode, base | TB_MODE_FLAT | TB_MODE_CPL0);
    fx_user(v);
    cr_assert_eq(v->g.mode, base | TB_MODE_FLAT | TB_MODE_USER);
    cr_assert_eq(load(SEG_GS, 0), HELPER_OK);
    cr_assert_eq(v->g.mode, base | TB_MODE_FLAT | TB_MODE_USER, "FS and GS do not matter");
    cr_assert_eq(load(SEG_DS, FX_RODATA | 3), HELPER_OK);
    cr_assert_eq(v->g.mode, base | TB_MODE_USER | plain("ecsf"), "DS is read-only, GS null");
    v->g.cr0 |= CR0_TS | CR0_MP;
    vcpu_set_cpl(v, 1);
    cr_assert_eq(v->g.mode, base | TB_MODE_FPU_NM | TB_MODE_WAIT_NM | TB_MODE_TS_NM | plain("ecsf"));
    fx_real(v);
    v->g.cr0 &= ~(uint32_t)(CR0_TS | CR0_MP);
    vcpu_update_mode(v);
    cr_assert_eq(v->g.mode, TB_MODE_CPL0 | TB_MODE_SSE_UD | plain("ecsdfg"));
}

Test(segment, plain_segments)
{
    struct segment *ds = &v->g.seg[SEG_DS], *cs = &v->g.seg[SEG_CS];
    fx_real(v);
    ds->limit = 0xfffe;
    vcpu_update_mode(v);
    cr_assert_eq(v->g.mode & TB_MODE_PLAIN, plain("ecsfg"), "a limit below FFFF");
    ds->limit = UINT32_MAX, ds->access = 0x97;
    vcpu_update_mode(v);
    cr_assert_eq(v->g.mode & TB_MODE_PLAIN, plain("ecsfg"), "expand-down");
    cs->access = 0x9b;
    vcpu_update_mode(v);
    cr_assert_eq(v->g.mode & TB_MODE_PLAIN, plain("esfg"),
                 "code left behind in real mode may not be written");
    v->g.cr0 |= CR0_PE;
    vcpu_update_mode(v);
    cr_assert_eq(v->g.mode & TB_MODE_PLAIN, plain("ecsfg"), "in protected mode nobody expects it to be");
    cs->access = 0x99;
    vcpu_update_mode(v);
    cr_assert_eq(v->g.mode & TB_MODE_PLAIN, plain("esfg"), "execute-only");
}

/* --- LLDT, LTR, SLDT, STR --- */

static enum helper_result with_sel(ir_helper_fn helper, uint16_t sel)
{
    struct ir_op op = fx_op(v, 2, sel, 0);
    return helper(v, &op);
}

Test(segment, lldt)
{
    cr_assert_eq(with_sel(helper_LLDT, 0), HELPER_OK);
    cr_assert_eq(v->g.ldtr.access, 0);
    cr_assert_eq(with_sel(helper_LLDT, FX_LDTSEL), HELPER_OK);
    cr_assert_eq(v->g.ldtr.base, (uint32_t)FX_LDT);
    fx_mark(v);
    fx_expect_fault(v, with_sel(helper_LLDT, FX_KDATA), EXC_GP, FX_KDATA, "no LDT descriptor");
    fx_expect_fault(v, with_sel(helper_LLDT, FX_LDTSEL | 4), EXC_GP, FX_LDTSEL | 4, "TI");
    fx_poke(v, FX_GDT + FX_LDTSEL + 5, 1, 2);
    fx_expect_fault(v, with_sel(helper_LLDT, FX_LDTSEL), EXC_NP, FX_LDTSEL, "absent");
    with_sel(helper_SLDT, 0);
    cr_assert_eq(v->g.slot[IR_T0 + 2], (uint32_t)FX_LDTSEL);
}

Test(segment, ltr)
{
    fx_expect_fault(v, with_sel(helper_LTR, 0), EXC_GP, 0, "null");
    fx_expect_fault(v, with_sel(helper_LTR, FX_TR), EXC_GP, FX_TR, "busy");
    cr_assert_eq(with_sel(helper_LTR, FX_TR2), HELPER_OK);
    cr_assert_eq(v->g.tr.base, (uint32_t)FX_TSS2);
    cr_assert_eq(fx_peek(v, FX_GDT + FX_TR2 + 5, 1), 0x8bu, "busy in memory");
    cr_assert_eq(v->g.tr.access & 0xf, 11);
    with_sel(helper_STR, 0);
    cr_assert_eq(v->g.slot[IR_T0 + 2], (uint32_t)FX_TR2);
}

/* --- LAR, LSL, VERR, VERW, ARPL --- */

struct query {
    const char *what;
    uint16_t sel;
    bool user;
    bool lar, lsl, verr, verw;
    uint32_t rights, limit;
};

static const struct query queries[] = {
    {"null", 0, false, false, false, false, false, 0, 0},
    {"beyond", FX_END, false, false, false, false, false, 0, 0},
    {"kernel code", FX_KCODE, false, true, true, true, false, 0x00cf9b00, UINT32_MAX},
    {"kernel data", FX_KDATA, false, true, true, true, true, 0x00cf9300, UINT32_MAX},
    {"kernel data from CPL 3", FX_KDATA, true, false, false, false, false, 0, 0},
    {"kernel data RPL 3", FX_KDATA | 3, false, false, false, false, false, 0, 0},
    {"conforming", FX_CONFORMING | 3, true, true, true, true, false, 0x00cf9f00, UINT32_MAX},
    {"execute only", FX_EXEC, true, true, true, false, false, 0x00cff900, UINT32_MAX},
    {"read-only", FX_RODATA, true, true, true, true, false, 0x00cff100, UINT32_MAX},
    {"small", FX_SMALL, false, true, true, true, true, 0x00409300, 0x1f},
    {"LDT", FX_LDTSEL, false, true, true, false, false, 0x00008200, 0x1f},
    {"busy TSS", FX_TR, false, true, true, false, false, 0x00008b00, 0x67},
    {"call gate", FX_CALLGATE, false, true, false, false, false, 0x0002ec00, 0},
    {"task gate", FX_TASKGATE, false, true, false, false, false, 0x0000e500, 0},
};

static void check_query(const struct query *q, ir_helper_fn helper, bool ok, uint32_t value, bool has_value)
{
    struct ir_op op = fx_op(v, 2, q->sel, 0);
    v->g.slot[op.dst] = 0x5a5a;
    guest_set_arith_flags(&v->g, ok ? FLAG_CF : FLAG_CF | FLAG_ZF);
    cr_assert_eq(helper(v, &op), HELPER_OK, "%s", q->what);
    cr_assert_eq(guest_eflags(&v->g) & FLAGS_ARITH, (uint32_t)(ok ? FLAG_CF | FLAG_ZF : FLAG_CF), "%s",
                 q->what);
    if (has_value)
        cr_assert_eq(v->g.slot[op.dst], ok ? value : 0x5a5a, "%s: %x", q->what, v->g.slot[op.dst]);
}

Test(segment, queries)
{
    for (unsigned i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        const struct query *q = &queries[i];
        vcpu_set_cpl(v, q->user ? 3 : 0);
        check_query(q, helper_LAR, q->lar, q->rights, true);
        check_query(q, helper_LSL, q->lsl, q->limit, true);
        check_query(q, helper_VERR, q->verr, 0, false);
        check_query(q, helper_VERW, q->verw, 0, false);
    }
}

Test(segment, arpl)
{
    struct ir_op op = fx_op(v, 1, 0x20, 0x13);
    cr_assert_eq(helper_ARPL(v, &op), HELPER_OK);
    cr_assert_eq(v->g.slot[op.dst], 0x23u);
    cr_assert(guest_eflags(&v->g) & FLAG_ZF);
    op = fx_op(v, 1, 0x22, 0x11);
    cr_assert_eq(helper_ARPL(v, &op), HELPER_OK);
    cr_assert_eq(v->g.slot[op.dst], 0x22u);
    cr_assert_not(guest_eflags(&v->g) & FLAG_ZF);
}

Test(segment, protected_mode_only)
{
    static const ir_helper_fn helpers[] = {helper_LLDT, helper_LTR,  helper_SLDT, helper_STR, helper_LAR,
                                           helper_LSL,  helper_VERR, helper_VERW, helper_ARPL};
    fx_real(v);
    for (unsigned i = 0; i < sizeof helpers / sizeof helpers[0]; i++)
        fx_expect_fault(v, with_sel(helpers[i], 8), EXC_UD, 0, "real mode");
}

Test(segment, get_sreg_and_check_ip)
{
    struct ir_op op = fx_op(v, 2, 0x1000, 0);
    op.aux = SEG_CS;
    cr_assert_eq(helper_GET_SREG(v, &op), HELPER_OK);
    cr_assert_eq(v->g.slot[op.dst], (uint32_t)FX_KCODE);
    v->g.seg[SEG_CS].limit = 0xfff;
    fx_mark(v);
    fx_expect_fault(v, helper_CHECK_IP(v, &op), EXC_GP, 0, "beyond CS");
    op = fx_op(v, 2, 0xfff, 0);
    cr_assert_eq(helper_CHECK_IP(v, &op), HELPER_OK);
}
