/* test_blocks.c - translate_block on random bytes in every mode: the IR contract holds, block rules hold,
 * nothing crashes. With TANDEM_TEST_SCALE and sanitizers it is the translator's fuzzer. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "random_code.h"
#include "translator/decode.h"
#include "translator/translate.h"

static const uint32_t mode_bits[] = {TB_MODE_CODE32, TB_MODE_STACK32, TB_MODE_FLAT, TB_MODE_USER,
                                     TB_MODE_PE,     TB_MODE_FPU_NM,  TB_MODE_CPL0, TB_MODE_WAIT_NM,
                                     TB_MODE_SINGLE, TB_MODE_VM86,    TB_MODE_PLAIN};

static uint32_t random_mode(uint64_t *seed)
{
    uint32_t mode = 0;
    for (size_t i = 0; i < sizeof mode_bits / sizeof mode_bits[0]; i++)
        if (random_below(seed, 2))
            mode |= mode_bits[i];
    return random_below(seed, 2) ? mode & ~(uint32_t)TB_MODE_SINGLE : mode;
}

static uint32_t random_limit(uint64_t *seed, uint32_t eip)
{
    switch (random_below(seed, 4)) {
    case 0:
        return eip + random_below(seed, 40);
    case 1:
        return eip - random_below(seed, 3);
    default:
        return 0xffffffff;
    }
}

static void print_ops(const struct translate_request *req, const struct translate_out *out)
{
    fprintf(stderr, "mode 0x%x, bytes", req->mode);
    for (unsigned i = 0; i < out->bytes && i < req->code_bytes; i++)
        fprintf(stderr, " %02x", req->code[i]);
    fputc('\n', stderr);
    for (unsigned i = 0; i < out->nops; i++)
        ir_print(stderr, &out->ops[i]);
}

static const char *check_shape(const struct translate_request *req, const struct translate_out *out)
{
    if (out->ninsns < 1 || out->ninsns > TB_INSNS_MAX || out->nops > TB_OPS_MAX || out->bytes == 0)
        return "sizes";
    if ((req->mode & TB_MODE_SINGLE) && out->ninsns != 1)
        return "more than one instruction";
    if (out->insn_offset[0] != 0 || out->insn_offset[out->ninsns] != (int)out->bytes)
        return "first or last offset";
    for (unsigned i = 0; i < out->ninsns; i++)
        if (out->insn_offset[i] >= out->insn_offset[i + 1])
            return "offsets";
    if (out->bytes > req->code_bytes && out->ninsns != 1)
        return "a later instruction crosses the page";
    if (out->ops[out->nops - 1].insn != out->ninsns - 1)
        return "the end belongs to another instruction";
    return ir_validate(out->ops, out->nops);
}

static void check(const struct translate_request *req, struct translate_out *out)
{
    const char *why = translate_block(req, out) == TRANSLATE_OK ? check_shape(req, out) : NULL;
    if (why) {
        print_ops(req, out);
        cr_assert_fail("%s", why);
    }
}

Test(blocks, random_bytes_in_random_modes)
{
    static struct translate_out out;
    uint64_t seed = 2024;
    for (uint64_t n = 0; n < test_scale(300000); n++) {
        uint8_t code[64], next[16];
        random_code(&seed, code, sizeof code);
        random_code(&seed, next, sizeof next);
        const uint32_t eip = random_below(&seed, 4) ? 0x1000 : (uint32_t)random_next(&seed);
        const unsigned count = 1 + random_below(&seed, sizeof code);
        /* An exact copy at the end of an allocation: a read beyond code_bytes is caught. */
        uint8_t *exact = malloc(count);
        memcpy(exact, code, count);
        const struct translate_request req = {.eip = eip,
                                              .cs_limit = random_limit(&seed, eip),
                                              .mode = random_mode(&seed),
                                              .code = exact,
                                              .code_bytes = count,
                                              .code2 = random_below(&seed, 2) ? next : NULL,
                                              .insns_max = random_below(&seed, TB_INSNS_MAX + 1),
                                              .device = random_below(&seed, 8) == 0};
        check(&req, &out);
        free(exact);
    }
}

/* --- particular rules --- */

enum { FLAT32 = TB_MODE_CODE32 | TB_MODE_STACK32 | TB_MODE_FLAT | TB_MODE_PE | TB_MODE_CPL0 };

static enum translate_result translate(struct translate_out *out, uint32_t mode, uint32_t limit,
                                       const char *bytes, unsigned count)
{
    const struct translate_request req = {.eip = 0x1000,
                                          .cs_limit = limit,
                                          .mode = mode,
                                          .code = (const uint8_t *)bytes,
                                          .code_bytes = count,
                                          .insns_max = TB_INSNS_MAX};
    return translate_block(&req, out);
}

static const struct ir_op *last(const struct translate_out *out)
{
    return &out->ops[out->nops - 1];
}

static void expect_raise(const struct translate_out *out, unsigned insn, unsigned vector)
{
    cr_assert_eq(last(out)->op, IR_RAISE);
    cr_assert_eq(last(out)->imm, vector);
    cr_assert_eq(last(out)->insn, insn);
}

static struct translate_out out;

Test(blocks, page_end)
{
    cr_assert_eq(translate(&out, FLAT32, ~0u, "\x90\xb8\x01", 3), TRANSLATE_OK); /* nop; mov eax, ... */
    cr_assert_eq(out.ninsns, 1);
    cr_assert_eq(last(&out)->op, IR_JMP);
    cr_assert_eq(last(&out)->imm, 0x1001);
    cr_assert_eq(translate(&out, FLAT32, ~0u, "\xb8\x01", 2), TRANSLATE_NEED_PAGE2);
    cr_assert_eq(translate(&out, FLAT32, ~0u, "\x0f\x0b", 2), TRANSLATE_OK);
    expect_raise(&out, 0, 6);
}

Test(blocks, page_crossing_first)
{
    const struct translate_request req = {
        .eip = 0xfffe,
        .cs_limit = ~0u,
        .mode = FLAT32,
        .code = (const uint8_t *)"\xb8\x01",
        .code_bytes = 2,
        .code2 = (const uint8_t *)"\x02\x03\x04\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90",
        .insns_max = TB_INSNS_MAX};
    cr_assert_eq(translate_block(&req, &out), TRANSLATE_OK);
    cr_assert_eq(out.ninsns, 1);
    cr_assert_eq(out.bytes, 5);
    cr_assert_eq(out.ops[0].imm, 0x04030201);
    cr_assert_eq(last(&out)->imm, 0x10003);
}

Test(blocks, limit)
{
    cr_assert_eq(translate(&out, FLAT32 & ~TB_MODE_FLAT, 0x1002, "\x90\xb8\x01\x02\x03\x04", 6),
                 TRANSLATE_OK);
    expect_raise(&out, 1, 13);
    cr_assert_eq(translate(&out, FLAT32 & ~TB_MODE_FLAT, 0xfff, "\x90", 1), TRANSLATE_OK);
    expect_raise(&out, 0, 13);
    cr_assert_eq(
        translate(&out, FLAT32, ~0u, "\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x90", 16),
        TRANSLATE_OK);
    expect_raise(&out, 0, 13);
}

Test(blocks, privilege_and_mode)
{
    translate(&out, FLAT32 & ~TB_MODE_CPL0, ~0u, "\xf4", 1); /* hlt */
    expect_raise(&out, 0, 13);
    translate(&out, FLAT32 & ~TB_MODE_PE, ~0u, "\x0f\x00\xc0", 3); /* sldt eax */
    expect_raise(&out, 0, 6);
    translate(&out, FLAT32 | TB_MODE_FPU_NM, ~0u, "\xd9\xe8", 2); /* fld1 */
    expect_raise(&out, 0, 7);
    translate(&out, FLAT32 | TB_MODE_WAIT_NM, ~0u, "\x9b", 1);
    expect_raise(&out, 0, 7);
    translate(&out, FLAT32 | TB_MODE_SSE_UD, ~0u, "\x0f\x58\xc1", 3); /* addps xmm0, xmm1 */
    expect_raise(&out, 0, 6);
    translate(&out, FLAT32 | TB_MODE_TS_NM, ~0u, "\x0f\x58\xc1", 3);
    expect_raise(&out, 0, 7);
    translate(&out, FLAT32 | TB_MODE_SSE_UD, ~0u, "\x0f\xfc\xc1\x0f\x0b", 5); /* paddb mm0, mm1; ud2 */
    expect_raise(&out, 1, 6);
    translate(&out, FLAT32 | TB_MODE_MMX_UD | TB_MODE_TS_NM, ~0u, "\x0f\xfc\xc1", 3);
    expect_raise(&out, 0, 6);
    translate(&out, FLAT32 | TB_MODE_FPU_NM | TB_MODE_SSE_UD, ~0u, "\x0f\xae\x00", 3); /* fxsave [eax] */
    expect_raise(&out, 0, 7);
    translate(&out, FLAT32, ~0u, "\xf0\x0f\x58\x00", 4); /* lock addps */
    expect_raise(&out, 0, 6);
    translate(&out, FLAT32, ~0u, "\xf3\x0f\x54\xc1", 4); /* no such prefix for andps */
    expect_raise(&out, 0, 6);
    translate(&out, FLAT32, ~0u, "\xf0\x01\xd8", 3); /* lock add eax, ebx */
    expect_raise(&out, 0, 6);
}

Test(blocks, repeated_strings_are_alone)
{
    translate(&out, FLAT32, ~0u, "\x90\xf3\xa4\x90", 4);
    cr_assert_eq(out.ninsns, 1);
    cr_assert_eq(last(&out)->op, IR_JMP);
    translate(&out, FLAT32, ~0u, "\xf3\xa4\x90", 3);
    cr_assert_eq(out.ninsns, 1);
    cr_assert_eq(last(&out)->op, IR_LEAVE_TB);
    translate(&out, FLAT32, ~0u, "\xa4\xa4\xa4", 3);
    cr_assert_eq(out.ninsns, 3);
}

/* The row's instruction, then NOPs; in memory where it can be nothing else. Returns where ModRM is. */
static unsigned encode_row(const struct insn_row *row, uint8_t code[32])
{
    static const uint8_t prefix[PFX_COUNT] = {0, 0x66, 0xf3, 0xf2};
    unsigned n = 0;
    memset(code, 0x90, 32);
    if (row->prefix != PFX_NP)
        code[n++] = prefix[row->prefix];
    if (row->opcode > 0xff)
        code[n++] = 0x0f;
    code[n++] = (uint8_t)row->opcode;
    code[n] = (uint8_t)((row->attr & A_MEM ? 0 : 0xc0) | (row->reg < 0 ? 0 : row->reg) << 3);
    return n;
}

static bool is_ud_with(const uint8_t code[32], uint64_t lacks)
{
    const struct translate_request req = {.eip = 0x1000,
                                          .cs_limit = ~0u,
                                          .mode = FLAT32,
                                          .code = code,
                                          .code_bytes = 32,
                                          .insns_max = 1,
                                          .lacks = lacks};
    cr_assert_eq(translate_block(&req, &out), TRANSLATE_OK);
    return out.nops == 1 && out.ops[0].op == IR_RAISE && out.ops[0].imm == 6; /* #UD */
}

/* A row is #UD without its feature and only without that one. */
Test(blocks, features)
{
    unsigned features = 0;
    for (unsigned i = 0; i < insn_row_count; i++) {
        const struct insn_row *row = &insn_rows[i];
        const uint64_t bit = FEATURE_BIT(ATTR_FEATURE(row->attr)) & FEATURES_ALL;
        uint8_t code[32];
        encode_row(row, code);
        features += bit != 0;
        cr_assert_eq(is_ud_with(code, bit), bit || strcmp(row->mnemonic, "UD") == 0, "%s %x", row->mnemonic,
                     row->opcode);
        cr_assert_eq(is_ud_with(code, FEATURES_ALL & ~bit), strcmp(row->mnemonic, "UD") == 0, "%s %x",
                     row->mnemonic, row->opcode);
    }
    cr_assert_gt(features, 200);
}

/* FCMOVcc and the comparisons to EFLAGS; FCOM, which is older. */
Test(blocks, features_of_x87_forms)
{
    static const struct {
        const char *code;
        uint64_t needs;
    } forms[] = {{"\xda\xc0", FEATURE_BIT(FEATURE_CMOV)},
                 {"\xdb\xd8", FEATURE_BIT(FEATURE_CMOV)},
                 {"\xdb\xe8", FEATURE_BIT(FEATURE_CMOV)},
                 {"\xdf\xf0", FEATURE_BIT(FEATURE_CMOV)},
                 {"\xd8\xd0", 0},
                 {"\xdb\x00", 0}};
    for (unsigned i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        uint8_t code[32];
        memset(code, 0x90, sizeof code);
        memcpy(code, forms[i].code, 2);
        cr_assert_eq(is_ud_with(code, forms[i].needs), forms[i].needs != 0, "%u", i);
        cr_assert_not(is_ud_with(code, FEATURES_ALL & ~forms[i].needs), "%u", i);
    }
}

/* Rows that end a block do, others do not. In flat mode loads of FS and GS go on. */
Test(blocks, a_end_rows)
{
    for (unsigned i = 0; i < insn_row_count; i++) {
        const struct insn_row *row = &insn_rows[i];
        uint8_t code[32];
        const unsigned n = encode_row(row, code);
        for (unsigned form = 0; form < (row->attr & A_REG ? 1 : 2); form++, code[n] &= 0x3f) {
            const struct translate_request req = {.eip = 0x1000,
                                                  .cs_limit = ~0u,
                                                  .mode = FLAT32 & ~TB_MODE_FLAT,
                                                  .code = code,
                                                  .code_bytes = sizeof code,
                                                  .insns_max = TB_INSNS_MAX};
            cr_assert_eq(translate_block(&req, &out), TRANSLATE_OK);
            cr_assert_null(ir_validate(out.ops, out.nops), "%s", row->mnemonic);
            cr_assert_eq(out.ninsns == 1, (row->attr & A_END) != 0, "%s %x", row->mnemonic, row->opcode);
        }
    }
}

/* Is the first of these instructions one for a device block? */
static bool makes_device_block(const char *bytes, unsigned count)
{
    const struct translate_request req = {.eip = 0x1000,
                                          .cs_limit = ~0u,
                                          .mode = FLAT32,
                                          .code = (const uint8_t *)bytes,
                                          .code_bytes = count,
                                          .insns_max = TB_INSNS_MAX,
                                          .device = true};
    check(&req, &out);
    bool begins = out.ops[0].op == IR_HELPER && out.ops[0].imm == HELPER_DEVICE_BEGIN;
    cr_expect_eq(begins,
                 out.ops[out.nops - 2].op == IR_HELPER && out.ops[out.nops - 2].imm == HELPER_DEVICE_END);
    cr_expect(!begins || out.ninsns == 1);
    return begins;
}
#define DEVICE_BLOCK(bytes) makes_device_block(bytes "\x90\x90", sizeof(bytes) + 1)

Test(blocks, device_blocks_have_one_plain_access)
{
    cr_expect(DEVICE_BLOCK("\x89\x03"), "mov [ebx], eax");
    cr_expect(DEVICE_BLOCK("\x8b\x03"), "mov eax, [ebx]");
    cr_expect(DEVICE_BLOCK("\x66\xc7\x03\x01\x02"), "mov word [ebx], 0201h");
    cr_expect(DEVICE_BLOCK("\x08\x03"), "or [ebx], al");
    cr_expect(DEVICE_BLOCK("\xf6\x03\x01"), "test byte [ebx], 1");
    cr_expect(DEVICE_BLOCK("\xaa"), "stosb");
    cr_expect_not(DEVICE_BLOCK("\xa4"), "movsb: two accesses");
    cr_expect_not(DEVICE_BLOCK("\xff\x33"), "push [ebx]: two accesses");
    cr_expect_not(DEVICE_BLOCK("\xff\x23"), "jmp [ebx]: ends its block");
    cr_expect_not(DEVICE_BLOCK("\xf3\xab"), "rep stosd: a helper");
    cr_expect_not(DEVICE_BLOCK("\x0f\xc7\x0b"), "cmpxchg8b [ebx]: a helper");
    cr_expect_not(DEVICE_BLOCK("\x01\xd8"), "add eax, ebx: no access");
    cr_expect_not(DEVICE_BLOCK("\xdd\x03"), "fld qword [ebx]: a helper");
}
