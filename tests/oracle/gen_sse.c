/* gen_sse.c - see gen_sse.h. */
#include "tests/oracle/gen_sse.h"

#include <stdio.h>
#include <string.h>

#include "tests/oracle/gen_float.h"
#include "translator/sse.h"

#define AMD_MM (1u << 17) /* MXCSR.MM: reserved on Intel's, misaligned operands on AMD's */

const char *sse_exclusion(const struct insn_row *r)
{
    if (sse_rows[r->sse].class & SSE_IS_APPROX)
        return "processors differ (unit test: within 1.5 * 2^-12)";
    return NULL;
}

void sse_row_name(const struct insn_row *r, char *name, size_t max)
{
    static const char *const prefix[PFX_COUNT] = {"", "66 ", "f3 ", "f2 "};
    char reg[4] = "";
    if (r->reg != ANY)
        snprintf(reg, sizeof reg, "/%d", r->reg & 7);
    const char *form = r->attr & A_MEM ? " m" : r->attr & A_REG ? " r" : "";
    snprintf(name, max, "%s%04x%s %s%s", prefix[r->prefix], r->opcode, reg, r->mnemonic, form);
}

/* What the operands are, by row. */
static enum lanes lanes_of(struct gen *g, const struct oracle_row *row)
{
    if (!row || gen_below(g, 8) == 0)
        return (enum lanes)gen_below(g, LANES_COUNT);
    const size_t n = strlen(row->mnemonic);
    const bool fp = sse_rows[row->sse].class & SSE_IS_FP;
    const char last = row->mnemonic[n - 1];
    if (!strncmp(row->mnemonic, "CVTPI", 5) || !strncmp(row->mnemonic, "CVTDQ", 5) ||
        !strncmp(row->mnemonic, "CVTSI", 5))
        return LANES_INT;
    if (!fp && !strchr("SD", last))
        return LANES_INT;
    if (!strncmp(row->mnemonic, "CVT", 3)) /* the source comes first in the name */
        return strstr(row->mnemonic, "D2") ? LANES_DOUBLE : LANES_SINGLE;
    return fp && last == 'D' ? LANES_DOUBLE : LANES_SINGLE;
}

void sse_random_state(struct gen *g, struct test_case *c, const struct oracle_row *row)
{
    const enum lanes kind = lanes_of(g, row);
    random_sse(g, &c->in.sse, kind);
    if (!row)
        return;
    random_fpu(g, &c->in.fpu, true);
    if (gen_below(g, 4))
        random_mmx(g, &c->in.fpu, kind);
}

unsigned sse_prefixes(struct gen *g, const struct oracle_row *row, uint8_t *p)
{
    static const uint8_t byte[PFX_COUNT] = {0, 0x66, 0xf3, 0xf2};
    unsigned n = 0;
    if (row->prefix >= PFX_F3 && gen_below(g, 8) == 0)
        p[n++] = 0x66;
    if (row->prefix != PFX_NP)
        p[n++] = byte[row->prefix];
    return n;
}

/* Images and control words: reserved bits of MXCSR now and then, but not AMD's. */
static void put_mxcsr(struct gen *g, uint8_t *at)
{
    uint32_t v = random_mxcsr(g);
    if (gen_below(g, 8) == 0)
        v = (uint32_t)gen_random(g) & ~AMD_MM;
    memcpy(at, &v, 4);
}

static void put_image(struct gen *g, uint8_t *at)
{
    struct fpu_image f;
    random_fpu(g, &f, true);
    memcpy(at, &f.cw, 2), memcpy(at + 2, &f.sw, 2);
    at[4] = (uint8_t)~f.empty;
    for (unsigned i = 0; i < 8; i++)
        memcpy(at + 32 + 16 * i, f.r[i], 10);
    put_mxcsr(g, at + 24);
}

uint32_t sse_place_operand(struct gen *g, struct test_case *c, const struct oracle_row *row, uint32_t target)
{
    const bool image = !strncmp(row->mnemonic, "FX", 2);
    const unsigned bytes = image ? 512 : 16;
    if ((image || sse_rows[row->sse].align == 16) && gen_below(g, 16))
        target &= ~15u;
    if (target < DATA_BASE || target + bytes > DATA_BASE + DATA_BYTES)
        return target;
    uint8_t *at = c->data + (target - DATA_BASE);
    if (image)
        put_image(g, at);
    else if (!strcmp(row->mnemonic, "LDMXCSR"))
        put_mxcsr(g, at);
    else
        random_lanes(g, lanes_of(g, row), at);
    return target;
}

static bool loads_mxcsr(const struct oracle_row *row)
{
    return !strcmp(row->mnemonic, "LDMXCSR") || !strcmp(row->mnemonic, "FXRSTOR");
}

/* The operand's address where it is simple to say; 0: elsewhere. */
static uint32_t operand_address(const struct test_case *c, const struct insn *in)
{
    uint32_t at = in->disp;
    if (in->base < 8)
        at += c->in.gpr[in->base];
    if (in->index < 8)
        at += c->in.gpr[in->index] << in->scale;
    return at;
}

static bool has_amd_bit(const struct test_case *c, uint32_t at)
{
    uint32_t v = 0;
    if (at >= DATA_BASE && at <= DATA_BASE + DATA_BYTES - 4)
        memcpy(&v, c->data + (at - DATA_BASE), 4);
    return v & AMD_MM;
}

bool sse_prepare(struct gen *g, const struct oracle_row *row, struct test_case *c, const struct insn *in,
                 const uint8_t *p)
{
    struct insn again;
    if (in->row->prefix != row->prefix || strcmp(in->row->mnemonic, row->mnemonic) != 0)
        return false;
    /* Which bytes fault first, and whether unselected ones do, is the CPU's choice. */
    if (!strcmp(row->mnemonic, "MASKMOV")) {
        c->in.gpr[7] = DATA_BASE + 64 + gen_below(g, DATA_PAGES * 4096 - 128);
        return in->addrsize == 2 && in->seg_override != SEG_CS;
    }
    if (!strcmp(row->mnemonic, "FXSAVE"))
        return in->addrsize == 2;
    if (!loads_mxcsr(row))
        return true;
    if (in->addrsize != 2 || decode_insn(p, INSN_BYTES_MAX, true, &again) != DECODE_OK)
        return false;
    return !has_amd_bit(c, operand_address(c, &again) + (row->reg == 1 ? 24 : 0));
}

uint32_t sse_mxcsr_mask(const struct oracle_row *row, const struct test_case *c)
{
    struct insn in;
    if (strcmp(row->mnemonic, "FXSAVE") != 0 || decode_insn(c->code, INSN_BYTES_MAX, true, &in) != DECODE_OK)
        return 0;
    return operand_address(c, &in) + 28;
}

bool sse_is_alone(const struct oracle_row *row)
{
    return row->test == T_SSE && (loads_mxcsr(row) || !strcmp(row->mnemonic, "MASKMOV") ||
                                  !strcmp(row->mnemonic, "FXSAVE") || !strcmp(row->mnemonic, "CVTPI2PS"));
}
