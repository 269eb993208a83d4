/* sequence_rows.c - instructions of the tables in sequences: which, and how their operands are steered. */
#include "tests/oracle/sequence_internal.h"

#include <string.h>

#include "tests/oracle/gen_sse.h"

/* --- rows of the tables --- */

static bool is_row(const struct oracle_row *row, const char *const *names, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (!strcmp(row->mnemonic, names[i]))
            return true;
    return false;
}

#define ROW_IS(row, ...)                                                                                     \
    is_row(row, (const char *const[]){__VA_ARGS__},                                                          \
           sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

/* Out: what is undefined in memory or x87 state after it, what may not be fed with random values, and
 * (mostly) faults. */
static bool row_usable(struct draft *d, const struct oracle_row *row)
{
    if (row->excluded || ROW_IS(row, "POPF", "ENTER", "PUSHA"))
        return false;
    switch (row->test) {
    case T_ALL:
    case T_NOREP:
    case T_SIZE32:
    case T_STACK:
        return !ROW_IS(row, "DIV", "IDIV", "AAM", "LEAVE", "POPA") || seq_chance(d, 15);
    case T_STRING:
        return seq_chance(d, 60);
    case T_X87:
        return !row->x87_compare && !row->x87_env && seq_chance(d, 12);
    case T_SSE:
        return !sse_is_alone(row) && seq_chance(d, 12);
    default:
        return false;
    }
}

static uint32_t undefined_after(const struct oracle_row *row, const struct insn *in)
{
    bool by_imm = false, by_one = false;
    for (unsigned i = 0; !row->x87 && i < 3; i++)
        by_imm |= in->row->opnd[i] == OP_Ib, by_one |= in->row->opnd[i] == OP_one;
    uint32_t u = row->undefined & U_ALL;
    if (!ROW_IS(row, "ROL", "ROR", "RCL", "RCR", "SHL", "SHR", "SAR", "SHLD", "SHRD"))
        return u;
    if (by_imm && (in->imm & 31) == 0)
        return 0;
    if (by_one || (by_imm && (in->imm & 31) == 1))
        u &= ~(uint32_t)U_O;
    if ((row->undefined & U_CBIG) && !by_one)
        u |= U_C;
    return u;
}

static bool has_memory(const struct insn *in)
{
    return insn_opnd_is_mem(in, 0) || insn_opnd_is_mem(in, 1) || insn_opnd_is_mem(in, 2) ||
           (in->opcode >= 0xd8 && in->opcode <= 0xdf && in->mod != 3);
}

/* Gives the address registers values, or the instruction a displacement, so that the operand lies in the data
 * pages (mostly). False: cannot. */
static bool steer(struct draft *d, uint8_t *p, const struct insn *in, const struct facts *f)
{
    uint32_t target = seq_data_target(d, f->writes_memory), index = 0;
    /* FSTP m80fp and FBSTP: not over a page end (vendor.def). */
    const bool wide = (in->opcode == 0xdb && in->reg == 7) || (in->opcode == 0xdf && in->reg == 6);
    bool aligned = wide || (in->row->test == T_SSE && !seq_chance(d, 3));
    if (aligned)
        target &= ~15u;
    if (in->index < 8) {
        if (!(d->known_mask >> in->index & 1))
            seq_emit_mov(d, in->index, seq_below(d, 64));
        index = d->known[in->index] << in->scale;
    }
    if (in->base == ESP)
        return in->disp + 128 < 256 && index < 1024;
    if (in->base >= 8) {
        if (f->insn.raw.disp.size != 32)
            return false;
        for (unsigned i = 0; i < 4; i++)
            p[f->insn.raw.disp.offset + i] = (uint8_t)((target - index) >> 8 * i);
        return true;
    }
    if (in->base == in->index)
        return false;
    uint32_t now = d->known[in->base] + index + in->disp;
    if (!(d->known_mask >> in->base & 1) || !seq_in_data(now) || (aligned && now % 16) || seq_chance(d, 25))
        seq_emit_mov(d, in->base, target - index - in->disp);
    return true;
}

/* Registers that the instruction addresses memory by without naming them. */
static void steer_implicit(struct draft *d, const struct oracle_row *row, const struct insn *in)
{
    if (row->test == T_STRING &&
        (in->rep || seq_chance(d, 98))) { /* a REP must not write over itself (vcpu/arch/string.c) */
        seq_emit_mov(d, ESI, DATA_BASE + 2048 + seq_below(d, 12000));
        seq_emit_mov(d, EDI, DATA_BASE + 2048 + seq_below(d, 12000));
        if (in->rep)
            seq_emit_mov(d, ECX, seq_below(d, seq_chance(d, 10) ? 1500 : 40));
    }
    if (ROW_IS(row, "XLAT") && seq_chance(d, 98))
        seq_emit_mov(d, EBX, DATA_BASE + 64 + seq_below(d, 8192));
    if (ROW_IS(row, "LEAVE") && seq_chance(d, 98))
        seq_emit_mov(d, EBP, seq_stack_top(d));
}

static bool wanted(struct draft *d, const struct oracle_row *row, const struct insn *in,
                   const struct facts *f)
{
    if (in->addrsize != 2 && seq_below(d, 300))
        return false;
    if (f->names_esp && !seq_chance(d, 1))
        return false;
    if (row->test == T_SSE &&
        (in->row->prefix != row->prefix || strcmp(in->row->mnemonic, row->mnemonic) != 0))
        return false;                                   /* the ModRM byte made another row of it */
    if (ROW_IS(row, "SHLD", "SHRD") && in->opsize == 1) /* a count above the operand's bits */
        return false;
    return true;
}

static bool emit_row(struct draft *d, const struct oracle_row *row)
{
    uint8_t p[16];
    struct insn in;
    struct facts f;
    unsigned n = gen_encode(d->g, row, p, &in);
    if (n == 0 || !seq_decode(p, n, &f) || f.insn.length != n || !wanted(d, row, &in, &f))
        return false;
    if (f.tested & d->undefined)
        seq_define_flags(d);
    bool memory = has_memory(&in) && !ROW_IS(row, "LEA", "NOP");
    if (memory && in.addrsize == 2 && seq_below(d, 2000) && row->test != T_STRING && !steer(d, p, &in, &f))
        return false;
    if (memory && ROW_IS(row, "BT", "BTS", "BTR", "BTC") && in.row->opnd[1] == OP_Gv) {
        if (in.reg == in.base || in.reg == in.index || in.reg == ESP)
            return false;
        seq_emit_mov(d, in.reg, seq_below(d, 2048));
    }
    steer_implicit(d, row, &in);
    seq_emit(d, p, n, undefined_after(row, &in));
    return true;
}

void seq_any_row(struct draft *d)
{
    for (;;) {
        const struct oracle_row *row = &d->g->rows[seq_below(d, d->g->nrows)];
        if (row_usable(d, row) && emit_row(d, row))
            return;
    }
}
