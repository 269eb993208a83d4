/* test_state.c - what surrounds the arithmetic: #MF, memory faults that change nothing, pointers, images in
 * every layout, results that need no hardware to know. */
#include <criterion/criterion.h>

#include "tests/unit/every.h"
#include "tests/unit/fpu/harness.h"

#define ADDR OPERAND_ADDR

static void exec_ok(uint8_t opcode, uint8_t modrm)
{
    cr_assert_eq(fake_exec(opcode, modrm, ADDR, false), HELPER_OK, "%02x %02x", opcode, modrm);
}

static unsigned operand_bytes(enum operand kind, bool narrow)
{
    static const uint8_t bytes[] = {[m32fp] = 4,  [m64fp] = 8,  [m80fp] = 10,  [m16int] = 2,
                                    [m32int] = 4, [m64int] = 8, [m80bcd] = 10, [m2byte] = 2};
    if (kind == m14_28byte)
        return narrow ? 14 : 28;
    return kind == m94_108byte ? (narrow ? 94 : 108) : bytes[kind];
}

static bool is_nowait(const struct form *f)
{
    return f->class == NOWAIT || f->class == ENV_NOWAIT;
}

Test(fpu_state, pending_exception_raises_mf_before_anything)
{
    for (unsigned i = 0; i < form_count; i++) {
        const struct form *f = &forms[i];
        for (unsigned ne = 0; ne < 2; ne++) { /* CR0.NE = 0 is treated alike */
            fake_reset();
            fake.g.cr0 ^= ne ? 0 : CR0_NE;
            fake.g.x87.cw &= (uint16_t)~FSW_ZE;
            fake.g.x87.sw = FSW_ZE;
            fpu_update_summary(&fake.g.x87);
            struct x87_state before = fake.g.x87;
            fake_fault_from = is_nowait(f) ? MEM_BYTES : 0; /* #MF comes before the operand's #PF */
            enum helper_result result = fake_exec(f->opcode, f->modrm, ADDR, false);
            cr_expect_eq(result, is_nowait(f) ? HELPER_OK : HELPER_FAULT, "%s", f->name);
            cr_expect_eq(fake.exc.vector, is_nowait(f) ? 0 : EXC_MF, "%s", f->name);
            if (!is_nowait(f))
                cr_expect_eq(memcmp(&before, &fake.g.x87, sizeof before), 0, "%s", f->name);
        }
    }
}

Test(fpu_state, fwait)
{
    struct ir_op op = {.op = IR_HELPER};
    fake_reset();
    fake.g.x87.sw = FSW_ZE | FSW_IE;
    fpu_update_summary(&fake.g.x87);
    cr_assert_eq(helper_FWAIT(&fake, &op), HELPER_OK);
    fake.g.x87.cw = 0;
    fpu_update_summary(&fake.g.x87);
    cr_assert_eq(fake.g.x87.sw & (FSW_ES | FSW_B), FSW_ES | FSW_B);
    cr_assert_eq(helper_FWAIT(&fake, &op), HELPER_FAULT);
    cr_assert_eq(fake.exc.vector, EXC_MF);
}

/* A fault at every byte of every operand, for random states: nothing changes, not even memory. */
Test(fpu_state, memory_faults_change_nothing)
{
    rnd_seed(3);
    for (unsigned i = 0; i < form_count; i++) {
        const struct form *f = &forms[i];
        if (f->operand == no_memory)
            continue;
        for (unsigned n = 0; n < 400 / test_every(); n++) {
            struct machine m;
            bool narrow = n & 1;
            unsigned bytes = operand_bytes(f->operand, narrow);
            fake_reset();
            rnd_machine(&m, f->operand, false);
            image_to_state(&m.image, &fake.g.x87);
            memcpy(fake_mem + ADDR, m.mem, sizeof m.mem);
            fake.g.x87.cw |= FSW_EXC; /* an unmasked one keeps a store from looking at memory, see below */
            struct x87_state before = fake.g.x87;
            fake_fault_from = ADDR + (uint32_t)rnd() % bytes;
            enum helper_result result = fake_exec(f->opcode, f->modrm, ADDR, narrow);
            cr_assert_eq(result, HELPER_FAULT, "%s", f->name);
            cr_assert_eq(fake.exc.vector, EXC_PF);
            cr_assert_eq(fake.g.cr2, fake_fault_from, "%s: CR2 %x", f->name, fake.g.cr2);
            cr_assert_eq(memcmp(&before, &fake.g.x87, sizeof before), 0, "%s changed state", f->name);
            cr_assert_eq(memcmp(fake_mem + ADDR, m.mem, sizeof m.mem), 0, "%s changed memory", f->name);

            fake_fault_from = ADDR + bytes; /* no byte behind the operand is touched */
            cr_assert_eq(fake_exec(f->opcode, f->modrm, ADDR, narrow), HELPER_OK, "%s", f->name);
            cr_assert_eq(memcmp(fake_mem + ADDR + bytes, m.mem + bytes, sizeof m.mem - bytes), 0);
        }
    }
}

/* An unmasked exception keeps a store from being made: no access, no fault; the exception is pending. */
Test(fpu_state, a_blocked_store_does_not_look_at_memory)
{
    for (unsigned i = 0; i < form_count; i++) {
        const struct form *f = &forms[i];
        if (f->class != LOADSTORE || f->operand == no_memory || f->name[1] == 'L' ||
            !strncmp(f->name, "FIL", 3) || !strncmp(f->name, "FBL", 3))
            continue;
        fake_reset(); /* an empty ST(0) */
        fake.g.x87.cw &= (uint16_t)~FSW_IE;
        fake_fault_from = ADDR;
        cr_expect_eq(fake_exec(f->opcode, f->modrm, ADDR, false), HELPER_OK, "%s", f->name);
        cr_expect_eq(fake.g.x87.sw & (FSW_IE | FSW_SF | FSW_ES), FSW_IE | FSW_SF | FSW_ES, "%s", f->name);
    }
}

/* SDM 2A FPREM: over infinity, ST(0) stays what it is; a denormal one without underflow. */
Test(fpu_state, remainder_over_infinity_keeps_a_denormal)
{
    for (uint8_t modrm = 0xf5; modrm <= 0xf8; modrm += 3) {
        struct f80 denormal = f80_make(1, 0, 0x1234), infinity = f80_make(0, F80_EXP_MAX, F80_INTEGER);
        fake_reset();
        fake.g.x87.cw &= (uint16_t)~FSW_UE;
        fpu_push(&fake.g.x87, infinity), fpu_push(&fake.g.x87, denormal);
        exec_ok(0xd9, modrm);
        struct f80 r = fpu_get(&fake.g.x87, 0);
        cr_expect_eq(memcmp(&r, &denormal, 10), 0);
        cr_expect_eq(fake.g.x87.sw & (FSW_EXC | FSW_ES), FSW_DE);
    }
}

Test(fpu_state, segment_checks_cover_the_whole_operand)
{
    fake_reset();
    fake.g.mode = TB_MODE_PE;
    fake.g.seg[SEG_DS] = (struct segment){.sel = 0x2b, .base = 0x100, .limit = ADDR - 0x100 + 8};
    cr_assert_eq(fake_exec(0xdb, 5 << 3, ADDR, false), HELPER_FAULT); /* FLD m80fp: one byte too many */
    cr_assert_eq(fake.exc.vector, EXC_GP);
    fake.g.seg[SEG_DS].limit++;
    cr_assert_eq(fake_exec(0xdb, 5 << 3, ADDR, false), HELPER_OK);
    cr_assert_eq(fake.g.x87.fdp, ADDR - 0x100);
}

Test(fpu_state, pointers_follow_non_control_instructions)
{
    struct x87_state *x = &fake.g.x87;
    fake_reset();
    exec_ok(0xd9, 0x00 << 3);     /* FLD m32fp */
    cr_assert_eq(x->fip, 0x3007); /* MATCH fake_tb: 0x4000 - 0x1000 + 7 */
    cr_assert_eq(x->fcs, 0x23);
    cr_assert_eq(x->fdp, ADDR);
    cr_assert_eq(x->fds, 0x2b);
    cr_assert_eq(x->fop, 0x100);
    exec_ok(0xd9, 0xe8); /* FLD1: no memory operand, so FDP stays */
    cr_assert_eq(x->fop, 0x1e8);
    cr_assert_eq(x->fdp, ADDR);
    struct x87_state before = *x;
    fake.g.seg[SEG_CS].sel = 0x73;
    for (unsigned i = 0; i < form_count; i++) {
        const struct form *f = &forms[i];
        bool control = is_nowait(f) || f->class == CONTROL;
        if (!control || !strcmp(f->name, "FNSAVE") || !strcmp(f->name, "FNINIT"))
            continue;
        exec_ok(f->opcode, f->modrm);
        cr_expect(x->fip == before.fip && x->fop == before.fop && x->fcs == before.fcs, "%s", f->name);
    }
}

static void set_pointers(struct x87_state *x)
{
    x->fip = 0x12345678;
    x->fcs = 0x1111;
    x->fop = 0x5a5;
    x->fdp = 0x9abcdef0;
    x->fds = 0x2222;
}

static void expect_words(const uint16_t *expected, unsigned count, const char *what)
{
    for (unsigned i = 0; i < count; i++) {
        uint16_t w;
        memcpy(&w, fake_mem + ADDR + 2 * i, 2);
        cr_expect_eq(w, expected[i], "%s word %u: %04x, not %04x", what, i, w, expected[i]);
    }
}

Test(fpu_state, environment_layouts)
{
    static const uint16_t prot32[] = {0x37f,  0xffff, 0,     0xffff, 0xffff, 0xffff, 0x5678,
                                      0x1234, 0x1111, 0x5a5, 0xdef0, 0x9abc, 0x2222, 0xffff};
    static const uint16_t prot16[] = {0x37f, 0, 0xffff, 0x5678, 0x1111, 0xdef0, 0x2222};
    /* linear: 12345678 + 11110 = 12356788, 9abcdef0 + 22220 = 9abf0110 */
    static const uint16_t real32[] = {0x37f,  0xffff, 0,      0xffff, 0xffff, 0xffff, 0x6788,
                                      0xffff, 0x55a5, 0x0123, 0x0110, 0xffff, 0xf000, 0x09ab};
    static const uint16_t real16[] = {0x37f, 0, 0xffff, 0x6788, 0x55a5, 0x0110, 0xf000};
    static const struct {
        const uint16_t *words;
        uint8_t count;
        bool narrow, real;
        const char *name;
    } cases[] = {
        {prot32, 14, false, false, "prot32"},
        {prot16, 7, true, false, "prot16"},
        {real32, 14, false, true, "real32"},
        {real16, 7, true, true, "real16"},
    };
    for (unsigned i = 0; i < 4; i++) {
        fake_reset();
        set_pointers(&fake.g.x87);
        if (cases[i].real)
            fake.g.cr0 &= ~(uint32_t)CR0_PE;
        cr_assert_eq(fake_exec(0xd9, 6 << 3, ADDR, cases[i].narrow), HELPER_OK); /* FNSTENV */
        expect_words(cases[i].words, cases[i].count, cases[i].name);
        uint8_t stored[28];
        memcpy(stored, fake_mem + ADDR, sizeof stored);
        fake.g.x87 = (struct x87_state){0};
        cr_assert_eq(fake_exec(0xd9, 4 << 3, ADDR, cases[i].narrow), HELPER_OK); /* FLDENV */
        cr_assert_eq(fake_exec(0xd9, 6 << 3, ADDR, cases[i].narrow), HELPER_OK);
        if (cases[i].narrow && !cases[i].real) /* the 16-bit protected layout has no opcode */
            cr_expect_eq(fake.g.x87.fop, 0);
        cr_expect_eq(memcmp(stored, fake_mem + ADDR, cases[i].count * 2u), 0, "%s round trip", cases[i].name);
    }
}

Test(fpu_state, save_and_restore_keep_everything)
{
    rnd_seed(4);
    for (unsigned n = 0; n < 2000; n++) {
        struct machine m;
        bool narrow = n & 1;
        fake_reset();
        rnd_machine(&m, no_memory, false);
        image_to_state(&m.image, &fake.g.x87);
        set_pointers(&fake.g.x87);
        struct x87_state before = fake.g.x87;
        if (narrow) {
            before.fip &= 0xffff;
            before.fdp &= 0xffff;
            before.fop = 0;
        }
        cr_assert_eq(fake_exec(0xdd, 6 << 3, ADDR, narrow), HELPER_OK); /* FNSAVE */
        cr_assert_eq(fake.g.x87.cw, FCW_INIT);
        cr_assert_eq(fake.g.x87.empty, 0xff);
        cr_assert_eq(fake_exec(0xdd, 4 << 3, ADDR, narrow), HELPER_OK); /* FRSTOR */
        cr_assert_eq(memcmp(&before, &fake.g.x87, sizeof before), 0);
    }
}

Test(fpu_state, absent_forms_are_ud)
{
    static const uint8_t absent[][2] = {{0xd9, 1 << 3}, {0xdb, 0xe5}, {0xdb, 6 << 3},
                                        {0xdd, 5 << 3}, {0xd9, 0xd1}, {0xdf, 0xe1}};
    for (unsigned i = 0; i < sizeof absent / sizeof absent[0]; i++) {
        fake_reset();
        cr_expect_eq(fake_exec(absent[i][0], absent[i][1], ADDR, false), HELPER_FAULT);
        cr_expect_eq(fake.exc.vector, EXC_UD);
    }
}

/* The host's status and control word are the ABI's again, whatever the guest did. */
Test(fpu_state, host_unit_is_left_clean)
{
    struct machine m;
    rnd_seed(5);
    fake_reset();
    for (unsigned n = 0; n < 20000 / test_every(); n++) {
        const struct form *f = &forms[rnd() % form_count];
        uint16_t cw, sw;
        rnd_machine(&m, f->operand, false);
        run_emulated(&m, f->opcode, f->modrm, false);
        __asm__ volatile("fnstcw %0\n\tfnstsw %1" : "=m"(cw), "=m"(sw));
        cr_assert_eq(cw, 0x037f);
        cr_assert_eq(sw & (FSW_TOP | FSW_ES), 0);
    }
}

/* Results do not depend on what the host's unit went through before: the same state, twice, with noise
 * in between. */
Test(fpu_state, same_state_same_result)
{
    struct machine a, b, noise;
    rnd_seed(6);
    fake_reset();
    for (unsigned n = 0; n < 100000 / test_every(); n++) {
        const struct form *f = &forms[rnd() % form_count], *g = &forms[rnd() % form_count];
        fake_reset();
        rnd_machine(&a, f->operand, f->class == NOWAIT);
        rnd_machine(&noise, g->operand, false);
        b = a;
        run_emulated(&a, f->opcode, f->modrm, false);
        run_emulated(&noise, g->opcode, g->modrm, false);
        fake_reset();
        run_emulated(&b, f->opcode, f->modrm, false);
        cr_assert_eq(memcmp(&a, &b, sizeof a), 0, "%s after %s", f->name, g->name);
    }
}

static struct f80 run_f2(uint8_t modrm, struct f80 st0, struct f80 st1)
{
    fake_reset();
    fpu_push(&fake.g.x87, st1);
    fpu_push(&fake.g.x87, st0);
    exec_ok(0xd9, modrm);
    return fpu_get(&fake.g.x87, 0);
}

/* Correctly rounded values (computed with independent tools) that hardware misses by a bit at most. */
Test(fpu_state, known_transcendental_values)
{
    struct f80 one = f80_make(0, F80_BIAS, F80_INTEGER), half = f80_make(0, F80_BIAS - 1, F80_INTEGER);
    struct {
        uint8_t modrm;
        struct f80 st0, st1;
        uint16_t se;
        uint64_t sig;
    } cases[] = {
        {0xfe, one, one, 0x3ffe, UINT64_C(0xd76aa47848677021)},  /* sin 1 */
        {0xff, one, one, 0x3ffe, UINT64_C(0x8a51407da8345c92)},  /* cos 1 */
        {0xf0, half, one, 0x3ffd, UINT64_C(0xd413cccfe7799211)}, /* sqrt 2 - 1 */
        {0xf3, one, one, 0x3ffe, UINT64_C(0xc90fdaa22168c235)},  /* pi / 4 */
        {0xf1, f80_make(0, F80_BIAS + 1, UINT64_C(0xc000000000000000)), one, 0x3fff,
         UINT64_C(0xcae00d1cfdeb43d0)}, /* log2 3 */
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct f80 r = run_f2(cases[i].modrm, cases[i].st0, cases[i].st1);
        cr_expect(r.se == cases[i].se && r.sig == cases[i].sig, "case %u: %04x %016llx", i, r.se,
                  (unsigned long long)r.sig);
    }
}
