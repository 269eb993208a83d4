/* decode.c - prefixes, opcode, ModRM, SIB, displacement, immediates (SDM 2A, chapter 2).
 *
 * NOT MODELLED: VEX and EVEX prefixes, MONITOR and MWAIT, SSSE3 and later (but POPCNT): no rows, so #UD. */
#include "translator/decode.h"

#include <string.h>

#include "translator/gen.h"
#include "translator/sse.h"
#include "translator/x87.h"

/* --- tables from the .def files --- */

const struct opnd_info opnd_info[OP_COUNT] = {
#define OPND(code, kind, size, modrm, doc) [OP_##code] = {OPND_##kind, OPND_SIZE_##size, modrm},
#include "translator/operands.def"
#undef OPND
};

/* 1 + index of each row, named by opcode and reg. The x87 and SSE rows come after those of insns.def. */
enum {
    ROW_NONE,
#define ROW(opcode, n, reg, mn, o1, o2, o3, attr, undef, test) ROW_##opcode##_##reg,
#include "translator/insns.def"
    ROW_X87_MEM,
    ROW_X87_REG,
#define SSE(pfx, opcode, reg, form, ...)     ROW_##pfx##_##opcode##_##reg##_##form,
#define SSE_OWN(pfx, opcode, reg, form, ...) ROW_##pfx##_##opcode##_##reg##_##form,
#include "translator/sse_rows.h"
};

/* Which ModRM.mod a row is for. */
enum { FORM_RM = 0, FORM_R = A_REG, FORM_M = A_MEM };

const struct insn_row insn_rows[] = {
#define ROW(opcode, n, reg, mn, o1, o2, o3, attr, undef, test)                                               \
    {opcode, n, reg, #mn, gen_##mn, {OP_##o1, OP_##o2, OP_##o3}, attr, undef, test, PFX_NP, SSE_NONE},
#include "translator/insns.def"
    {0xd8, 8, ANY, "X87", gen_X87, {OP_M, OP_NONE, OP_NONE}, 0, U_NONE, T_X87, PFX_NP, SSE_NONE},
    {0xd8, 8, ANY, "X87", gen_X87, {OP_M, OP_NONE, OP_NONE}, 0, U_NONE, T_X87, PFX_NP, SSE_NONE},
#define SSE(pfx, opcode, reg, form, mn, o1, o2, o3, bytes, align, class, feature)                            \
    {opcode,                                                                                                 \
     1,                                                                                                      \
     reg,                                                                                                    \
     #mn,                                                                                                    \
     gen_SSE,                                                                                                \
     {OP_##o1, OP_##o2, OP_##o3},                                                                            \
     FORM_##form | A_NEEDS(feature),                                                                         \
     U_NONE,                                                                                                 \
     T_SSE,                                                                                                  \
     PFX_##pfx,                                                                                              \
     SSE_##pfx##_##opcode##_##reg##_##form},
#define SSE_OWN(pfx, opcode, reg, form, mn, o1, o2, o3, test, feature)                                       \
    {                                                                                                        \
        opcode,                                                                                              \
        1,                                                                                                   \
        reg,                                                                                                 \
        #mn,                                                                                                 \
        gen_##mn,                                                                                            \
        {OP_##o1, OP_##o2, OP_##o3},                                                                         \
        FORM_##form | A_NEEDS(feature),                                                                      \
        U_NONE,                                                                                              \
        test,                                                                                                \
        PFX_##pfx,                                                                                           \
        SSE_NONE},
#include "translator/sse_rows.h"
};
const unsigned insn_row_count = sizeof insn_rows / sizeof insn_rows[0];

/* Row of an opcode and ModRM.reg; outside groups all eight are the same. */
#define OPCODE_INDEX(opcode) ((opcode) > 0xff ? 0x100 + ((opcode)&0xff) : (opcode))
#define REG_FIRST(reg)       ((reg) < 0 ? 0 : (reg))
#define REG_LAST(reg)        ((reg) < 0 ? 7 : (reg))
static const uint16_t row_of[512][8] = {
#define ROW(opcode, n, reg, mn, o1, o2, o3, attr, undef, test)                                               \
    [OPCODE_INDEX(opcode)... OPCODE_INDEX(opcode) + (n)-1][REG_FIRST(reg)... REG_LAST(reg)] =                \
        ROW_##opcode##_##reg,
#include "translator/insns.def"
};

/* The same by mandatory prefix for the rows of insns_sse.def; registers first, then memory. */
#define FORM_FIRST(form) (FORM_##form == FORM_M ? 8 : 0)
#define FORM_LAST(form)  (FORM_##form == FORM_R ? 0 : 8)
static const uint16_t sse_row_of[PFX_COUNT][256][16] = {
#define SSE(pfx, opcode, reg, form, ...)                                                                     \
    [PFX_##pfx][(opcode)&0xff][FORM_FIRST(form) + REG_FIRST(reg)... FORM_LAST(form) + REG_LAST(reg)] =       \
        ROW_##pfx##_##opcode##_##reg##_##form,
#define SSE_OWN(pfx, opcode, reg, form, ...) SSE(pfx, opcode, reg, form)
#include "translator/sse_rows.h"
};

/* --- bytes --- */

struct cursor {
    const uint8_t *bytes;
    unsigned at, count; /* count: readable, at most INSN_BYTES_MAX */
};

/* Little-endian, n bytes; false: they end first. */
static bool fetch(struct cursor *c, unsigned n, uint32_t *value)
{
    if (c->count - c->at < n)
        return false;
    uint32_t v = 0;
    for (unsigned i = 0; i < n; i++)
        v |= (uint32_t)c->bytes[c->at + i] << (8 * i);
    c->at += n;
    *value = v;
    return true;
}

static uint32_t sign_extend(uint32_t v, unsigned bytes)
{
    const unsigned up = 32 - 8 * bytes;
    return (uint32_t)((int32_t)(v << up) >> up);
}

/* --- prefixes --- */

enum {
    NO_PREFIX,
    PFX_SEG_ES,
    PFX_SEG_CS,
    PFX_SEG_SS,
    PFX_SEG_DS,
    PFX_SEG_FS,
    PFX_SEG_GS,
    PFX_OPSIZE,
    PFX_ADDRSIZE,
    PFX_LOCK,
    PFX_REP
};
static const uint8_t prefix_of[256] = {
    [0x26] = PFX_SEG_ES, [0x2e] = PFX_SEG_CS, [0x36] = PFX_SEG_SS, [0x3e] = PFX_SEG_DS,
    [0x64] = PFX_SEG_FS, [0x65] = PFX_SEG_GS, [0x66] = PFX_OPSIZE, [0x67] = PFX_ADDRSIZE,
    [0xf0] = PFX_LOCK,   [0xf2] = PFX_REP,    [0xf3] = PFX_REP,
};

static void apply_prefix(struct insn *in, uint8_t byte, bool code32)
{
    switch (prefix_of[byte]) {
    case PFX_OPSIZE:
        in->opsize = code32 ? 1 : 2;
        in->prefix66 = 1;
        break;
    case PFX_ADDRSIZE:
        in->addrsize = code32 ? 1 : 2;
        break;
    case PFX_LOCK:
        in->lock = 1;
        break;
    case PFX_REP:
        in->rep = byte;
        break;
    default:
        in->seg_override = (uint8_t)(prefix_of[byte] - PFX_SEG_ES);
        break;
    }
}

/* Prefixes and the opcode. */
static bool fetch_opcode(struct cursor *c, bool code32, struct insn *in)
{
    uint32_t byte;
    for (;;) {
        if (!fetch(c, 1, &byte))
            return false;
        if (prefix_of[byte] == NO_PREFIX)
            break;
        apply_prefix(in, (uint8_t)byte, code32);
    }
    in->opcode = (uint16_t)byte;
    if (byte != 0x0f)
        return true;
    if (!fetch(c, 1, &byte))
        return false;
    in->opcode = (uint16_t)(0x0f00 | byte);
    return true;
}

/* --- ModRM memory operands --- */

static const uint8_t base16[8] = {IR_EBX, IR_EBX, IR_EBP, IR_EBP, IR_ESI, IR_EDI, IR_EBP, IR_EBX};
static const uint8_t index16[8] = {IR_ESI, IR_EDI, IR_ESI, IR_EDI, IR_ZERO, IR_ZERO, IR_ZERO, IR_ZERO};

/* Displacement bytes by ModRM.mod. */
static unsigned disp_bytes(const struct insn *in)
{
    return in->mod == 1 ? 1 : in->mod == 2 ? (in->addrsize == 1 ? 2 : 4) : 0;
}

static bool fetch_disp(struct cursor *c, unsigned bytes, struct insn *in)
{
    uint32_t v = 0;
    if (bytes != 0 && !fetch(c, bytes, &v))
        return false;
    in->disp = bytes != 0 ? sign_extend(v, bytes) : 0;
    return true;
}

static bool fetch_mem16(struct cursor *c, struct insn *in)
{
    const bool absolute = in->mod == 0 && in->rm == 6;
    in->base = absolute ? IR_ZERO : base16[in->rm];
    in->index = index16[in->rm];
    return fetch_disp(c, absolute ? 2 : disp_bytes(in), in);
}

static bool fetch_mem32(struct cursor *c, struct insn *in)
{
    uint32_t sib;
    in->base = in->rm;
    in->index = IR_ZERO;
    if (in->rm == 4) {
        if (!fetch(c, 1, &sib))
            return false;
        in->base = sib & 7;
        in->index = (sib >> 3 & 7) == 4 ? IR_ZERO : sib >> 3 & 7;
        in->scale = (uint8_t)(sib >> 6);
    }
    const bool absolute = in->mod == 0 && in->base == IR_EBP; /* rm 5, or SIB base 5 */
    if (absolute)
        in->base = IR_ZERO;
    return fetch_disp(c, absolute ? 4 : disp_bytes(in), in);
}

/* SDM 2A table 2-1, 2-2: addresses based on EBP or ESP are in SS. */
static void choose_segment(struct insn *in)
{
    const bool stack = in->base == IR_EBP || (in->base == IR_ESP && in->addrsize == 2);
    in->seg = in->seg_override != SEG_DEFAULT ? in->seg_override : stack ? SEG_SS : SEG_DS;
}

static bool fetch_modrm(struct cursor *c, struct insn *in)
{
    uint32_t byte;
    if (!fetch(c, 1, &byte))
        return false;
    in->modrm = (uint8_t)byte;
    in->mod = in->modrm >> 6;
    in->reg = in->modrm >> 3 & 7;
    in->rm = in->modrm & 7;
    return true;
}

/* Control and debug registers are addressed as if mod were 3 (SDM 2B, MOV CRn). */
static bool has_mem(const struct insn *in)
{
    return in->mod != 3 && in->row->opnd[0] != OP_Rd && in->row->opnd[1] != OP_Rd;
}

static bool fetch_mem(struct cursor *c, struct insn *in)
{
    if (!has_mem(in))
        return true;
    if (!(in->addrsize == 1 ? fetch_mem16(c, in) : fetch_mem32(c, in)))
        return false;
    choose_segment(in);
    return true;
}

/* --- immediates --- */

/* Bytes of an immediate, by operand code. */
static unsigned imm_bytes(const struct insn *in, const struct opnd_info *o)
{
    switch (o->kind) {
    case OPND_IMM:
    case OPND_SIMM:
    case OPND_REL:
        return o->size == OPND_SIZE_B ? 1 : o->size == OPND_SIZE_W ? 2 : in->opsize * 2u;
    case OPND_FAR:
        return in->opsize * 2u;
    case OPND_MOFFS:
        return in->addrsize * 2u;
    default:
        return 0;
    }
}

static uint32_t imm_value(const struct insn *in, const struct opnd_info *o, uint32_t v, unsigned bytes)
{
    if (o->kind == OPND_REL)
        return sign_extend(v, bytes);
    if (o->kind == OPND_SIMM)
        return sign_extend(v, bytes) & (in->opsize == 1 ? 0xffff : 0xffffffff);
    return v;
}

static void set_moffs(struct insn *in, uint32_t offset)
{
    in->base = in->index = IR_ZERO;
    in->disp = offset;
    in->seg = in->seg_override != SEG_DEFAULT ? in->seg_override : SEG_DS;
}

static bool fetch_imm(struct cursor *c, struct insn *in, const struct opnd_info *o, uint32_t *where)
{
    const unsigned bytes = imm_bytes(in, o);
    uint32_t v;
    if (!fetch(c, bytes, &v))
        return false;
    if (o->kind == OPND_MOFFS)
        set_moffs(in, v);
    else
        *where = imm_value(in, o, v, bytes);
    return o->kind != OPND_FAR || fetch(c, 2, &in->imm2);
}

static bool fetch_imms(struct cursor *c, struct insn *in)
{
    uint32_t *where = &in->imm;
    for (unsigned i = 0; i < 3; i++) {
        const struct opnd_info *o = &opnd_info[in->row->opnd[i]];
        if (imm_bytes(in, o) == 0)
            continue;
        if (!fetch_imm(c, in, o, where))
            return false;
        where = &in->imm2;
    }
    return true;
}

/* --- rows --- */

static bool is_x87(uint16_t opcode)
{
    return (opcode & 0xfff8) == 0xd8;
}

static bool is_group(const uint16_t *rows, unsigned n)
{
    for (unsigned i = 1; i < n; i++)
        if (rows[i] != rows[0])
            return true;
    return false;
}

static bool row_has_modrm(const struct insn_row *row)
{
    return opnd_info[row->opnd[0]].modrm || opnd_info[row->opnd[1]].modrm || opnd_info[row->opnd[2]].modrm;
}

static uint16_t x87_row(const struct insn *in)
{
    if (in->mod == 3)
        return x87_reg_forms[in->opcode & 7][in->modrm & 63].exists ? ROW_X87_REG : ROW_NONE;
    return x87_mem_forms[in->opcode & 7][in->reg].exists ? ROW_X87_MEM : ROW_NONE;
}

static enum simd_prefix simd_prefix(const struct insn *in)
{
    return in->rep == 0xf3 ? PFX_F3 : in->rep == 0xf2 ? PFX_F2 : in->prefix66 ? PFX_66 : PFX_NP;
}

/* The rows that an opcode may select: 8 by ModRM.reg, or 16 by ModRM.mod and reg. */
struct row_set {
    const uint16_t *rows;
    unsigned count;
};

static struct row_set rows_of_opcode(const struct insn *in)
{
    const uint16_t *rows = row_of[OPCODE_INDEX(in->opcode)];
    if (in->opcode > 0xff && rows[0] == ROW_NONE && !is_group(rows, 8))
        return (struct row_set){sse_row_of[simd_prefix(in)][in->opcode & 0xff], 16};
    return (struct row_set){rows, 8};
}

/* Finds the row, reading ModRM where the opcode has one. */
static enum decode_result find_row(struct cursor *c, struct insn *in)
{
    const struct row_set set = rows_of_opcode(in);
    const bool x87 = is_x87(in->opcode);
    const bool group = x87 || is_group(set.rows, set.count);
    uint16_t row = set.rows[0];
    if (group && !fetch_modrm(c, in))
        return DECODE_MORE;
    if (group)
        row = x87 ? x87_row(in) : set.rows[in->reg + (set.count == 16 && in->mod != 3 ? 8 : 0)];
    if (row == ROW_NONE)
        return DECODE_UD;
    in->row = &insn_rows[row - 1];
    if (!group && row_has_modrm(in->row) && !fetch_modrm(c, in))
        return DECODE_MORE;
    return DECODE_OK;
}

static bool is_sreg_ok(const struct insn *in)
{
    /* MOV CS is #UD (SDM 2B, MOV); registers 6 and 7 do not exist. */
    if (in->row->opnd[0] == OP_Sw)
        return in->reg < 6 && in->reg != SEG_CS;
    return in->row->opnd[1] != OP_Sw || in->reg < 6;
}

static bool is_creg_ok(const struct insn *in)
{
    if (in->row->opnd[0] != OP_Cd && in->row->opnd[1] != OP_Cd)
        return true;
    return in->reg == 0 || (in->reg >= 2 && in->reg <= 4);
}

/* What the SDM makes #UD although the opcode exists. */
static bool is_form_ok(const struct insn *in)
{
    const uint32_t attr = in->row->attr;
    if ((attr & A_MEM) && in->mod == 3)
        return false;
    if ((attr & A_REG) && in->mod != 3)
        return false;
    if (in->lock && (!(attr & A_LOCK) || !insn_opnd_is_mem(in, 0)))
        return false;
    return is_sreg_ok(in) && is_creg_ok(in);
}

static enum decode_result decode_all(struct cursor *c, bool code32, struct insn *in)
{
    if (!fetch_opcode(c, code32, in))
        return DECODE_MORE;
    enum decode_result found = find_row(c, in);
    if (found != DECODE_OK)
        return found;
    if (row_has_modrm(in->row) && !fetch_mem(c, in))
        return DECODE_MORE;
    if (!fetch_imms(c, in))
        return DECODE_MORE;
    return is_form_ok(in) ? DECODE_OK : DECODE_UD;
}

bool insn_opnd_is_mem(const struct insn *in, unsigned i)
{
    const uint8_t kind = opnd_info[in->row->opnd[i]].kind;
    const bool rm = kind == OPND_RM || kind == OPND_XMMRM || kind == OPND_MMXRM;
    return (rm && in->mod != 3) || kind == OPND_MOFFS;
}

enum decode_result decode_insn(const uint8_t *bytes, unsigned count, bool code32, struct insn *in)
{
    struct cursor c = {bytes, 0, count < INSN_BYTES_MAX ? count : INSN_BYTES_MAX};
    memset(in, 0, sizeof *in);
    in->opsize = in->addrsize = code32 ? 2 : 1;
    in->seg_override = SEG_DEFAULT;
    in->base = in->index = IR_ZERO;
    enum decode_result result = decode_all(&c, code32, in);
    in->length = (uint8_t)c.at;
    if (result == DECODE_MORE && count >= INSN_BYTES_MAX)
        return DECODE_TOO_LONG;
    return result;
}
