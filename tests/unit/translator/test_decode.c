/* test_decode.c - the decoder against Zydis: the same bytes are an instruction, and equally long. */
#include <Zydis/Zydis.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "random_code.h"
#include "translator/decode.h"

/* --- what we leave out, and what Zydis does --- */

/* Instruction sets that Tandem's i686 has. Everything else that Zydis knows is #UD here. */
static bool isa_is_ours(ZydisISASet isa)
{
    switch (isa) {
    case ZYDIS_ISA_SET_I86:
    case ZYDIS_ISA_SET_I186:
    case ZYDIS_ISA_SET_I286PROTECTED:
    case ZYDIS_ISA_SET_I286REAL:
    case ZYDIS_ISA_SET_I386:
    case ZYDIS_ISA_SET_I486:
    case ZYDIS_ISA_SET_I486REAL:
    case ZYDIS_ISA_SET_PENTIUMREAL:
    case ZYDIS_ISA_SET_PPRO:
    case ZYDIS_ISA_SET_CMOV:
    case ZYDIS_ISA_SET_FCMOV:
    case ZYDIS_ISA_SET_X87:
    case ZYDIS_ISA_SET_FAT_NOP:
    case ZYDIS_ISA_SET_PAUSE:
    case ZYDIS_ISA_SET_RDPMC:
    case ZYDIS_ISA_SET_LAHF:
    case ZYDIS_ISA_SET_PENTIUMMMX:
    case ZYDIS_ISA_SET_SSE:
    case ZYDIS_ISA_SET_SSEMXCSR:
    case ZYDIS_ISA_SET_SSE2:
    case ZYDIS_ISA_SET_SSE2MMX:
    case ZYDIS_ISA_SET_SSE3:
    case ZYDIS_ISA_SET_SSE3X87:
    case ZYDIS_ISA_SET_POPCNT:
    case ZYDIS_ISA_SET_FXSAVE:
    case ZYDIS_ISA_SET_CLFSH:
    case ZYDIS_ISA_SET_SSE_PREFETCH:
    case ZYDIS_ISA_SET_PREFETCH_NOP:
        return true;
    default:
        return false;
    }
}

struct exclusion {
    uint16_t opcode;
    const char *reason;
};
/* Opcodes that Zydis decodes as instructions of the sets above, and we do not. */
static const struct exclusion only_zydis[] = {
    {0x0faa, "RSM: system management mode is not modelled"},
    {0x0fff, "UD0: #UD either way, without fetching ModRM"},
    {0x0f0d, "hint NOPs on later processors, 3DNow! prefetches elsewhere; #UD on a P6"},
};

static bool is_excluded(uint16_t opcode)
{
    for (size_t i = 0; i < sizeof only_zydis / sizeof only_zydis[0]; i++)
        if (only_zydis[i].opcode == opcode)
            return true;
    return false;
}

/* --- the comparison --- */

static void init(ZydisDecoder *d, bool code32)
{
    static const ZydisDecoderMode off[] = {ZYDIS_DECODER_MODE_MPX,      ZYDIS_DECODER_MODE_CET,
                                           ZYDIS_DECODER_MODE_LZCNT,    ZYDIS_DECODER_MODE_TZCNT,
                                           ZYDIS_DECODER_MODE_WBNOINVD, ZYDIS_DECODER_MODE_CLDEMOTE,
                                           ZYDIS_DECODER_MODE_KNC};
    ZydisDecoderInit(d, code32 ? ZYDIS_MACHINE_MODE_LEGACY_32 : ZYDIS_MACHINE_MODE_LEGACY_16,
                     code32 ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_16);
    for (size_t i = 0; i < sizeof off / sizeof off[0]; i++)
        ZydisDecoderEnableMode(d, off[i], ZYAN_FALSE);
}

static void print_bytes(const uint8_t *bytes)
{
    for (unsigned i = 0; i < INSN_BYTES_MAX; i++)
        fprintf(stderr, "%02x ", bytes[i]);
}

static unsigned report(const uint8_t *bytes, bool code32, const char *what, const struct insn *in,
                       const ZydisDecodedInstruction *z)
{
    fprintf(stderr, "code%u ", code32 ? 32 : 16);
    print_bytes(bytes);
    fprintf(stderr, ": %s; ours %s length %u; Zydis %s length %u\n", what, in->row ? in->row->mnemonic : "-",
            in->length, z ? ZydisMnemonicGetString(z->mnemonic) : "-", z ? z->length : 0);
    return 1;
}

static unsigned compare(const ZydisDecoder *d, const uint8_t *bytes, bool code32)
{
    struct insn in;
    ZydisDecodedInstruction z;
    const enum decode_result ours = decode_insn(bytes, INSN_BYTES_MAX, code32, &in);
    const ZyanStatus status = ZydisDecoderDecodeInstruction(d, NULL, bytes, INSN_BYTES_MAX, &z);
    const bool theirs = ZYAN_SUCCESS(status);
    if (theirs && isa_is_ours(z.meta.isa_set) && !is_excluded(in.opcode)) {
        if (ours != DECODE_OK)
            return report(bytes, code32, "only Zydis decodes it", &in, &z);
        if (in.length != z.length)
            return report(bytes, code32, "lengths differ", &in, &z);
    } else if (ours == DECODE_OK) {
        return report(bytes, code32, "only we decode it", &in, theirs ? &z : NULL);
    }
    return 0;
}

static unsigned compare_random(bool code32, uint64_t seed, uint64_t count)
{
    ZydisDecoder d;
    uint8_t bytes[INSN_BYTES_MAX];
    unsigned bad = 0;
    init(&d, code32);
    for (uint64_t i = 0; i < count && bad < 40; i++) {
        random_code(&seed, bytes, sizeof bytes);
        bad += compare(&d, bytes, code32);
    }
    return bad;
}

Test(decode, agrees_with_zydis_32)
{
    cr_assert_eq(compare_random(true, 0x1234567, test_scale(3000000)), 0);
}
Test(decode, agrees_with_zydis_16)
{
    cr_assert_eq(compare_random(false, 0x7654321, test_scale(2000000)), 0);
}

/* Every opcode with every ModRM byte, behind the prefixes. */
static unsigned compare_all_after(const char *prefixes, bool code32)
{
    const size_t n = strlen(prefixes);
    ZydisDecoder d;
    unsigned bad = 0;
    init(&d, code32);
    for (unsigned map = 0; map < 2; map++)
        for (unsigned i = 0; i < 0x10000; i++) {
            uint8_t bytes[INSN_BYTES_MAX] = {0};
            memcpy(bytes, prefixes, n);
            bytes[n] = 0x0f;
            bytes[n + map] = (uint8_t)(i >> 8);
            bytes[n + map + 1] = (uint8_t)i;
            bad += compare(&d, bytes, code32);
        }
    return bad;
}

/* Mandatory prefixes: F2 and F3 win over 66, the last of them over the other. */
static unsigned compare_all(bool code32)
{
    static const char *const prefixes[] = {"",         "\x66",     "\xf3",     "\xf2",
                                           "\x66\xf3", "\xf2\x66", "\xf2\xf3", "\xf3\xf2"};
    unsigned bad = 0;
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        bad += compare_all_after(prefixes[i], code32);
    return bad;
}

Test(decode, agrees_with_zydis_on_every_opcode)
{
    cr_assert_eq(compare_all(true) + compare_all(false), 0);
}

/* --- the rest of the contract --- */

Test(decode, long_and_truncated)
{
    struct insn in;
    uint8_t bytes[16];
    memset(bytes, 0x66, sizeof bytes);
    cr_assert_eq(decode_insn(bytes, 15, true, &in), DECODE_TOO_LONG);
    cr_assert_eq(decode_insn(bytes, 14, true, &in), DECODE_MORE);
    bytes[14] = 0x90;
    cr_assert_eq(decode_insn(bytes, 15, true, &in), DECODE_OK);
    cr_assert_eq(in.length, 15);
    cr_assert_eq(decode_insn(bytes, 0, true, &in), DECODE_MORE);
}

/* Given fewer bytes, the decoder asks for more or says the same; it never changes its mind. */
Test(decode, prefixes_of_an_instruction_ask_for_more)
{
    uint64_t seed = 42;
    uint8_t bytes[INSN_BYTES_MAX];
    for (uint64_t i = 0; i < test_scale(200000); i++) {
        struct insn whole, part;
        random_code(&seed, bytes, sizeof bytes);
        const enum decode_result r = decode_insn(bytes, INSN_BYTES_MAX, true, &whole);
        for (unsigned n = 0; n < INSN_BYTES_MAX; n++) {
            const enum decode_result p = decode_insn(bytes, n, true, &part);
            cr_assert_eq(p, r == DECODE_TOO_LONG || n < whole.length ? DECODE_MORE : r, "%u of %u bytes", n,
                         whole.length);
        }
    }
}

Test(decode, rows_are_consistent)
{
    for (unsigned i = 0; i < insn_row_count; i++) {
        const struct insn_row *r = &insn_rows[i];
        cr_assert_not_null(r->gen);
        cr_assert(r->reg >= -1 && r->reg <= 7);
        cr_assert(!(r->attr & A_REPC) || (r->attr & A_REP), "%s", r->mnemonic);
        cr_assert(!(r->attr & A_LOCK) || opnd_info[r->opnd[0]].kind == OPND_RM, "%s", r->mnemonic);
    }
}
