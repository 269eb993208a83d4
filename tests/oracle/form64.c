/* form64.c - see form64.h. AMD64 manual 3, appendix B, lists what differs in 64-bit mode. */
#include "tests/oracle/form64.h"

#include <string.h>

#include "translator/decode.h"

static bool is_prefix(uint8_t byte)
{
    return byte && strchr("\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3", byte) != NULL;
}

static bool is_loop(const struct insn *in)
{
    return in->opcode >= 0xe0 && in->opcode <= 0xe3;
}

/* Near calls, returns and indirect jumps have 64-bit operands; 66 is for each maker to ignore or not. */
static bool jump_has_form(const struct insn *in)
{
    const bool is_call = in->opcode == 0xe8, is_return = in->opcode == 0xc2 || in->opcode == 0xc3;
    return !in->prefix66 && !is_call && !is_return && in->opcode != 0xff;
}

/* The stack's slots are 64 or 16 bits wide. PUSHA and POPA are gone; ENTER makes a 64-bit frame. */
static bool stack_has_form(const struct insn *in)
{
    return in->opsize == 1 && in->opcode != 0x60 && in->opcode != 0x61 && in->opcode != 0xc8;
}

static bool is_gone(const struct insn *in)
{
    static const uint8_t gone[] = {0x27, 0x2f, 0x37, 0x3f, 0x62, 0x63, 0xce, 0xd4, 0xd5, 0xd6};
    return in->opcode < 0x100 && memchr(gone, in->opcode, sizeof gone) != NULL;
}

/* FXSAVE, FXRSTOR: 16 registers. SYSENTER and SYSCALL would call the host's kernel. INT with the vector of an
 * exception: the kernels that run no 32-bit code take some for the exception itself. */
static bool is_other(const struct insn *in)
{
    if (in->opcode == 0xcd && (in->imm & 0xff) < 32)
        return true;
    return (in->opcode == 0xfae && in->mod != 3 && in->reg <= 1) || in->opcode == 0xf05 ||
           in->opcode == 0xf34;
}

static bool has_form(const struct insn *in)
{
    if (in->addrsize != 2 || is_gone(in) || is_other(in))
        return false;
    if (in->seg_override >= SEG_FS && in->seg_override != SEG_DEFAULT)
        return false;
    if (in->seg_override == SEG_CS && in->row->test != T_JUMP) /* stores to it fault in 32-bit mode only */
        return false;
    switch (in->row->test) {
    case T_SEG: /* the emulator's selectors do not exist on such hosts */
    case T_FAR:
        return false;
    case T_JUMP:
        return jump_has_form(in);
    case T_STACK:
        return stack_has_form(in);
    default:
        return true;
    }
}

static bool has_modrm(const struct insn *in)
{
    if (in->row->reg != ANY || (in->opcode >= 0xd8 && in->opcode <= 0xdf))
        return true;
    for (unsigned i = 0; i < 3; i++)
        if (opnd_info[in->row->opnd[i]].modrm)
            return true;
    return false;
}

/* Writes the instruction at p anew at `to`, which has room; its new length, or 0: it has no form. */
static unsigned rewrite(const uint8_t *p, const struct insn *in, uint8_t *to)
{
    unsigned n = 0, from = 0;
    if (!has_form(in))
        return 0;
    if (in->row->test != T_JUMP || is_loop(in))
        to[n++] = 0x67; /* 32-bit addresses, pointers and counters */
    while (is_prefix(p[from]))
        to[n++] = p[from++];
    if (in->opcode >= 0x40 && in->opcode <= 0x4f) { /* INC, DEC: a REX prefix there */
        to[n++] = 0xff, to[n++] = (uint8_t)(0xc0 | (in->opcode & 0xf));
        from++;
    } else if (in->opcode == 0x82) {
        to[n++] = 0x80, from++;
    } else {
        for (unsigned bytes = in->opcode > 0xff ? 2 : 1; bytes; bytes--)
            to[n++] = p[from++];
    }
    if (has_modrm(in) && in->mod == 0 &&
        in->rm == 5) { /* [disp32]: relative to RIP there, but not with a SIB */
        to[n++] = (uint8_t)(p[from++] & ~1u), to[n++] = 0x25;
    }
    memcpy(to + n, p + from, in->length - from);
    n += in->length - from;
    return n <= INSN_BYTES_MAX ? n : 0;
}

static bool jumps_into(const struct form64 *f, const struct insn *in, uint32_t end)
{
    const uint32_t target = end + in->imm;
    return in->row->test == T_JUMP && target - f->start < f->code_bytes;
}

bool form64_make(const struct test_case *c, struct form64 *f)
{
    struct insn in = {0};
    uint8_t code[CASE_CODE_MAX + 32];
    const uint32_t end = c->in.eip + c->code_bytes;
    uint32_t offset[FORM64_INSNS_MAX];
    f->ninsns = 0, f->code_bytes = 0;
    for (unsigned at = 0; at < c->code_bytes; at += in.length) {
        if (f->ninsns == FORM64_INSNS_MAX || f->code_bytes > CASE_CODE_MAX - 16 ||
            decode_insn(c->code + at, CASE_CODE_MAX - at, true, &in) != DECODE_OK || !in.row)
            return false;
        const unsigned bytes = rewrite(c->code + at, &in, code + f->code_bytes);
        if (!bytes || at + in.length > c->code_bytes)
            return false;
        f->at32[f->ninsns] = c->in.eip + at, offset[f->ninsns++] = f->code_bytes;
        f->code_bytes += bytes;
    }
    f->start = end - f->code_bytes;
    for (unsigned i = 0; i < f->ninsns; i++)
        f->at[i] = f->start + offset[i];
    memcpy(f->code, code, f->code_bytes);
    return f->ninsns && f->start >= CODE_BASE && !jumps_into(f, &in, end);
}

uint32_t form64_eip(const struct form64 *f, uint32_t at)
{
    for (unsigned i = 0; i < f->ninsns; i++)
        if (f->at[i] == at)
            return f->at32[i];
    return at;
}
