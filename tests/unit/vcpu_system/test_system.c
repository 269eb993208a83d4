/* Control and debug registers, MSRs, CPUID, SYSENTER, descriptor table registers. */
#include "fixture.h"

#include <criterion/criterion.h>
#include <string.h>

static struct vcpu *v;

static void setup(void)
{
    v = fx_create();
}

static void teardown(void)
{
    fx_destroy(v);
}

TestSuite(system, .init = setup, .fini = teardown);

static enum helper_result with_reg(ir_helper_fn helper, unsigned reg, uint32_t value)
{
    struct ir_op op = fx_op(v, 2, value, 0);
    op.aux = (uint8_t)reg;
    return helper(v, &op);
}

Test(system, cr0)
{
    fx_expect_fault(v, with_reg(helper_MOV_TO_CR, 0, CR0_PG), EXC_GP, 0, "PG without PE");
    fx_expect_fault(v, with_reg(helper_MOV_TO_CR, 0, CR0_PE | CR0_NW), EXC_GP, 0, "NW without CD");
    uint32_t cr0 = v->g.cr0;
    cr_assert_eq(with_reg(helper_MOV_TO_CR, 0, (cr0 & ~(uint32_t)CR0_ET) | CR0_TS | 0x40), HELPER_OK);
    cr_assert_eq(v->g.cr0, cr0 | CR0_TS, "ET is wired, reserved bits are ignored");
    cr_assert(v->g.mode & TB_MODE_FPU_NM);
    cr_assert_eq(v->g.eip, (uint32_t)FX_NEXT);
    struct ir_op op = fx_op(v, 2, 0, 0);
    cr_assert_eq(helper_CLTS(v, &op), HELPER_OK);
    cr_assert_eq(v->g.cr0, cr0);
    cr_assert_not(v->g.mode & TB_MODE_FPU_NM);
}

Test(system, cr0_flushes_when_paging_changes)
{
    uint64_t flushes = v->stats.tlb_flushes;
    cr_assert_eq(with_reg(helper_MOV_TO_CR, 0, v->g.cr0 ^ CR0_TS), HELPER_OK);
    cr_assert_eq(v->stats.tlb_flushes, flushes);
    cr_assert_eq(with_reg(helper_MOV_TO_CR, 0, v->g.cr0 ^ CR0_WP), HELPER_OK);
    flushes += v->g.cr0 & CR0_PG ? 1 : 0; /* without paging nothing depends on WP */
    cr_assert_eq(v->stats.tlb_flushes, flushes);
    cr_assert_eq(with_reg(helper_MOV_TO_CR, 3, v->g.cr3), HELPER_OK);
    cr_assert_eq(v->stats.tlb_flushes, flushes + 1);
}

Test(system, clearing_pe_keeps_hidden_parts)
{
    cr_assert_eq(with_reg(helper_MOV_TO_CR, 0, v->g.cr0 & ~(uint32_t)CR0_PG), HELPER_OK);
    cr_assert_eq(with_reg(helper_MOV_TO_CR, 0, v->g.cr0 & ~(uint32_t)CR0_PE), HELPER_OK);
    cr_assert_eq(v->g.mode,
                 (uint32_t)(TB_MODE_CODE32 | TB_MODE_STACK32 | TB_MODE_FLAT | TB_MODE_CPL0 | TB_MODE_SSE_UD));
    cr_assert_eq(v->g.seg[SEG_DS].limit, UINT32_MAX);
}

Test(system, cr4)
{
    fx_expect_fault(v, with_reg(helper_MOV_TO_CR, 4, 1 << 0), EXC_GP, 0, "VME");
    fx_expect_fault(v, with_reg(helper_MOV_TO_CR, 4, 1 << 8), EXC_GP, 0, "PCE");
    fx_expect_fault(v, with_reg(helper_MOV_TO_CR, 4, 1 << 18), EXC_GP, 0, "OSXSAVE");
    uint32_t all = CR4_TSD | CR4_DE | CR4_PSE | CR4_MCE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;
    cr_assert_eq(with_reg(helper_MOV_TO_CR, 4, all), HELPER_OK);
    cr_assert_eq(with_reg(helper_MOV_FROM_CR, 4, 0), HELPER_OK);
    cr_assert_eq(v->g.slot[IR_T0 + 2], all);
    fx_mark(v);
    fx_expect_fault(v, with_reg(helper_MOV_TO_CR, 5, 0), EXC_UD, 0, "CR5");
    fx_expect_fault(v, with_reg(helper_MOV_FROM_CR, 1, 0), EXC_UD, 0, "CR1");
}

/* What decides between #UD and #NM for XMM and MMX instructions is in the blocks' key. */
Test(system, sse_mode)
{
    const uint32_t bits = TB_MODE_SSE_UD | TB_MODE_MMX_UD | TB_MODE_TS_NM;
    cr_assert_eq(v->g.mode & bits, (uint32_t)TB_MODE_SSE_UD);
    cr_assert_eq(with_reg(helper_MOV_TO_CR, 4, CR4_OSFXSR), HELPER_OK);
    cr_assert_eq(v->g.mode & bits, 0);
    cr_assert_eq(with_reg(helper_MOV_TO_CR, 0, v->g.cr0 | CR0_TS), HELPER_OK);
    cr_assert_eq(v->g.mode & bits, (uint32_t)TB_MODE_TS_NM);
    cr_assert_eq(with_reg(helper_CLTS, 0, 0), HELPER_OK);
    cr_assert_eq(v->g.mode & bits, 0);
    cr_assert_eq(with_reg(helper_MOV_TO_CR, 0, v->g.cr0 | CR0_EM), HELPER_OK);
    cr_assert_eq(v->g.mode & bits, (uint32_t)(TB_MODE_SSE_UD | TB_MODE_MMX_UD));
}

Test(system, lmsw)
{
    uint32_t cr0 = v->g.cr0;
    cr_assert_eq(with_reg(helper_LMSW, 0, CR0_TS | 0xfff0), HELPER_OK);
    cr_assert_eq(v->g.cr0, cr0 | CR0_TS, "PE stays, only four bits are written");
    cr_assert_eq(with_reg(helper_SMSW, 0, 0), HELPER_OK);
    cr_assert_eq(v->g.slot[IR_T0 + 2], v->g.cr0);
}

Test(system, debug_registers)
{
    cr_assert_eq(with_reg(helper_MOV_TO_DR, 7, UINT32_MAX & ~DR7_GD), HELPER_OK);
    cr_assert_eq(v->g.dr[7], 0xffff07ffu);
    cr_assert(v->dr_active);
    cr_assert_eq(with_reg(helper_MOV_TO_DR, 7, 0), HELPER_OK);
    cr_assert_eq(v->g.dr[7], DR7_FIXED);
    cr_assert_not(v->dr_active);
    cr_assert_eq(with_reg(helper_MOV_TO_DR, 6, UINT32_MAX), HELPER_OK);
    cr_assert_eq(v->g.dr[6], 0xffffefffu);
    cr_assert_eq(with_reg(helper_MOV_TO_DR, 4, 0), HELPER_OK);
    cr_assert_eq(v->g.dr[6], DR6_FIXED, "DR4 is DR6");
    v->g.cr4 = CR4_DE;
    fx_mark(v);
    fx_expect_fault(v, with_reg(helper_MOV_FROM_DR, 5, 0), EXC_UD, 0, "DR5 with DE");
    v->g.dr[7] |= DR7_GD;
    fx_mark(v);
    fx_expect_fault(v, with_reg(helper_MOV_FROM_DR, 0, 0), EXC_DB, 0, "GD");
    cr_assert_eq(v->db_pending, (uint32_t)DR6_BD);
}

Test(system, descriptor_table_registers)
{
    struct ir_op op = fx_op(v, 2, FX_DATA, 0);
    fx_poke(v, FX_DATA, 2, 0x1234);
    fx_poke(v, FX_DATA + 2, 4, 0xaabbccdd);
    cr_assert_eq(helper_LIDT(v, &op), HELPER_OK);
    cr_assert(v->g.idtr.limit == 0x1234 && v->g.idtr.base == 0xaabbccdd);
    op.size = 1;
    cr_assert_eq(helper_LGDT(v, &op), HELPER_OK);
    cr_assert(v->g.gdtr.limit == 0x1234 && v->g.gdtr.base == 0xbbccdd);
    op = fx_op(v, 1, FX_DATA + 16, 0);
    cr_assert_eq(helper_SIDT(v, &op), HELPER_OK);
    cr_assert_eq(fx_peek(v, FX_DATA + 18, 4), 0xaabbccddu);
    op = fx_op(v, 2, FX_DATA + 0xffd, 0); /* crosses into a page that may not be written */
    fx_protect(v, FX_DATA + 0x1000, FX_READ_ONLY);
    fx_mark(v);
    fx_expect_fault(v, helper_SGDT(v, &op), EXC_PF, 3, "SGDT");
    cr_assert_eq(fx_peek(v, FX_DATA + 0xffd, 2), 0u, "nothing was written");
}

Test(system, tsc)
{
    struct ir_op op = fx_op(v, 2, 0, 0);
    v->g.budget = 899; /* inside the instruction after tick 100 */
    v->g.tsc_offset = UINT64_C(0x500000000);
    cr_assert_eq(helper_RDTSC(v, &op), HELPER_OK);
    cr_assert(v->g.slot[IR_EAX] == 100 << 3 && v->g.slot[IR_EDX] == 5);
    v->g.slot[IR_ECX] = 0x10;
    v->g.slot[IR_EAX] = 0x777;
    v->g.slot[IR_EDX] = 0;
    cr_assert_eq(helper_WRMSR(v, &op), HELPER_OK);
    v->g.budget -= 10;
    cr_assert_eq(helper_RDTSC(v, &op), HELPER_OK);
    cr_assert_eq(v->g.slot[IR_EAX], 0x777u + 80);
    v->g.cr4 = CR4_TSD;
    vcpu_set_cpl(v, 3);
    fx_mark(v);
    fx_expect_fault(v, helper_RDTSC(v, &op), EXC_GP, 0, "TSD");
    fx_expect_fault(v, helper_RDPMC(v, &op), EXC_GP, 0, "RDPMC");
}

Test(system, sysenter_and_sysexit)
{
    struct ir_op op = fx_op(v, 2, 0, 0);
    fx_user(v);
    fx_expect_fault(v, helper_SYSENTER(v, &op), EXC_GP, 0, "CS MSR null");
    v->g.sysenter_cs = FX_KCODE | 3;
    v->g.sysenter_esp = FX_STACK0;
    v->g.sysenter_eip = 0x1111;
    v->g.eflags = FLAG_IF | FLAG_TF | FLAG_RF;
    fx_mark(v);
    fx_expect_fault(v, helper_SYSEXIT(v, &op), EXC_GP, 0, "SYSEXIT at CPL 3");
    cr_assert_eq(helper_SYSENTER(v, &op), HELPER_OK);
    cr_assert(v->g.eip == 0x1111 && v->g.slot[IR_ESP] == FX_STACK0 && v->g.cpl == 0);
    cr_assert_eq(v->g.eflags, (uint32_t)FLAG_TF);
    cr_assert(v->g.seg[SEG_CS].sel == FX_KCODE && v->g.seg[SEG_SS].sel == FX_KCODE + 8);
    cr_assert_eq(v->g.seg[SEG_CS].access, 0xc09b);
    cr_assert_eq(v->g.seg[SEG_SS].access, 0xc093);
    v->g.slot[IR_EDX] = 0x2222;
    v->g.slot[IR_ECX] = 0xe000;
    cr_assert_eq(helper_SYSEXIT(v, &op), HELPER_OK);
    cr_assert(v->g.eip == 0x2222 && v->g.slot[IR_ESP] == 0xe000 && v->g.cpl == 3);
    cr_assert(v->g.seg[SEG_CS].sel == FX_KCODE + 19 && v->g.seg[SEG_SS].sel == FX_KCODE + 27);
    cr_assert_eq(v->g.seg[SEG_CS].access, 0xc0fb);
    cr_assert(v->g.mode & TB_MODE_FLAT && v->g.mode & TB_MODE_USER);
    v->g.cr0 &= ~(uint32_t)CR0_PE;
    fx_mark(v);
    fx_expect_fault(v, helper_SYSENTER(v, &op), EXC_GP, 0, "real mode");
}

static const uint32_t *cpuid(uint32_t leaf)
{
    struct ir_op op = fx_op(v, 2, 0, 0);
    v->g.slot[IR_EAX] = leaf;
    cr_assert_eq(helper_CPUID(v, &op), HELPER_OK);
    return v->g.slot;
}

Test(system, cpuid)
{
    const uint32_t *r = cpuid(0);
    char vendor[13] = {0};
    memcpy(vendor, &r[IR_EBX], 4);
    memcpy(vendor + 4, &r[IR_EDX], 4);
    memcpy(vendor + 8, &r[IR_ECX], 4);
    cr_assert_str_eq(vendor, "GenuineIntel");
    cr_assert_eq(r[IR_EAX], 0x16u);
    r = cpuid(1);
    cr_assert_eq(r[IR_EDX], 0x078bf9fdu,
                 "FPU DE PSE TSC MSR PAE MCE CX8 SEP MTRR PGE MCA CMOV PAT PSE36 CLFSH MMX FXSR SSE SSE2: %x",
                 r[IR_EDX]);
    cr_assert_eq(r[IR_EBX], 0x800, "CLFLUSH: 64 bytes");
    cr_assert_eq(r[IR_ECX], 1u << 31 | 1u << 23 | 1, "no bare hardware, POPCNT, SSE3: %x", r[IR_ECX]);
    cr_assert_eq(r[IR_EAX] >> 8 & 0xf, 6u);
    cr_assert_geq(r[IR_EAX] >> 4 & 0xf, 3u, "SEP is trusted");
    r = cpuid(0x40000000);
    cr_assert_eq(r[IR_EAX], 0x40000000);
    cr_assert(r[IR_EBX] == 0x646e6154 && r[IR_ECX] == 0x61546d65 && r[IR_EDX] == 0x6d65646e, "TandemTandem");
    r = cpuid(0x15);
    cr_assert(r[IR_EAX] == 1 && r[IR_EBX] == 1 && r[IR_ECX] == 1000000000);
    r = cpuid(0x80000001);
    cr_assert_eq(r[IR_EDX], 1u << 20, "NX");
    r = cpuid(0x80000008);
    cr_assert_eq(r[IR_EAX], 0x2024, "36 bits of physical address");
    r = cpuid(0x80000009);
    cr_assert_eq(r[IR_EAX], 1000u, "beyond the range: as leaf 16H");
    char brand[49] = {0};
    for (uint32_t i = 0; i < 3; i++) {
        r = cpuid(0x80000002 + i);
        const uint32_t part[] = {r[IR_EAX], r[IR_EBX], r[IR_ECX], r[IR_EDX]};
        memcpy(brand + i * 16, part, 16);
    }
    cr_assert_str_eq(brand, "Tandem i686 virtual CPU @ 1.00GHz");
}

Test(system, hlt_and_invlpg)
{
    struct ir_op op = fx_op(v, 2, FX_DATA, 0);
    cr_assert_eq(helper_INVLPG(v, &op), HELPER_OK);
    cr_assert_eq(helper_INVD(v, &op), HELPER_OK);
    cr_assert_eq(helper_HLT(v, &op), HELPER_OK);
    cr_assert(v->g.halted && v->g.eip == FX_NEXT);
}
