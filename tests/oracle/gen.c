/* gen.c - see gen.h. Registers are data pointers half of the time; a memory operand is steered into the data
 * pages nine times out of ten, the rest goes astray and must fault alike on both sides. */
#include "tests/oracle/gen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/oracle/gen_float.h"
#include "tests/oracle/gen_sse.h"
#include "translator/decode.h"
#include "translator/sse.h"

enum x87_class { LOADSTORE, ARITH, COMPARE, STACK, TRANSCENDENTAL, CONTROL, NOWAIT, ENV, ENV_NOWAIT };

static bool is_fs_gs(const struct insn_row *r)
{
    for (unsigned i = 0; i < 3; i++)
        if (r->opnd[i] == OP_FS || r->opnd[i] == OP_GS)
            return true;
    return false;
}

/* Why a row cannot be compared with the host CPU in user mode; NULL: it can. */
static const char *exclusion(const struct insn_row *r)
{
    switch (r->test) {
    case T_FAR:
        return "needs the host's descriptor tables (unit tests, guest except.c)";
    case T_HOST:
        return "shows the host (CPUID, RDTSC)";
    case T_TRAP:
        if (!strcmp(r->mnemonic, "INT1"))
            return "hypervisors report another eip (unit tests)";
        return NULL;
    case T_SYS:
        if (r->attr & A_PRIV || !strcmp(r->mnemonic, "CLI") || !strcmp(r->mnemonic, "STI"))
            return NULL; /* #GP(0) */
        return "shows the host's system state, or its kernel emulates it (UMIP)";
    case T_SEG:
        if (!strcmp(r->mnemonic, "PUSH_SREG") || !strcmp(r->mnemonic, "MOV_FROM_SREG") ||
            !strcmp(r->mnemonic, "MOV_TO_SREG"))
            return NULL;
        if (!strcmp(r->mnemonic, "POP_SREG") && !is_fs_gs(r))
            return NULL;
        return "loads FS or GS (the test's own thread pointer), or a random far pointer";
    case T_SSE:
        return sse_exclusion(r);
    default:
        return NULL;
    }
}

static void add_row(struct gen *g, struct oracle_row row)
{
    g->rows = realloc(g->rows, (g->nrows + 1) * sizeof *g->rows);
    if (!g->rows)
        abort();
    g->rows[g->nrows++] = row;
}

static void add_x87(struct gen *g, uint16_t opcode, int reg, int modrm, unsigned span, const char *mnemonic,
                    const char *operands, enum x87_class class)
{
    struct oracle_row row = {.opcode = opcode,
                             .reg = (int16_t)reg,
                             .span = (uint8_t)span,
                             .modrm = (int16_t)modrm,
                             .test = T_X87,
                             .x87 = true,
                             .x87_compare = class == COMPARE,
                             .x87_env = class == ENV || class == ENV_NOWAIT,
                             .mnemonic = mnemonic};
    if (modrm < 0)
        snprintf(row.name, sizeof row.name, "%02x/%d %s %s", opcode, reg, mnemonic, operands);
    else
        snprintf(row.name, sizeof row.name, "%02x %02x %s %s", opcode, modrm, mnemonic, operands);
    if (class == TRANSCENDENTAL)
        row.excluded = "correctly rounded here, hardware is not (unit test: within 2 ulp)";
    add_row(g, row);
}

void gen_init(struct gen *g, uint64_t seed)
{
    memset(g, 0, sizeof *g);
    g->seed = seed;
    for (unsigned i = 0; i < insn_row_count; i++) {
        const struct insn_row *r = &insn_rows[i];
        struct oracle_row row = {.insn = r,
                                 .opcode = r->opcode,
                                 .reg = r->reg,
                                 .span = r->span,
                                 .modrm = -1,
                                 .test = r->test,
                                 .undefined = r->undefined,
                                 .mnemonic = r->mnemonic,
                                 .excluded = exclusion(r),
                                 .prefix = r->prefix,
                                 .form = r->attr & (A_MEM | A_REG),
                                 .sse = r->sse};
        if (r->test == T_SSE)
            sse_row_name(r, row.name, sizeof row.name);
        else if (r->reg == ANY)
            snprintf(row.name, sizeof row.name, "%02x %s", r->opcode, r->mnemonic);
        else
            snprintf(row.name, sizeof row.name, "%02x/%d %s", r->opcode, r->reg, r->mnemonic);
        if (r->opcode >= 0xd8 && r->opcode <= 0xdf)
            continue; /* listed form by form below */
        add_row(g, row);
    }
#define X87_MEM(opcode, reg, mnemonic, operand, access, class, ...)                                          \
    add_x87(g, opcode, reg, -1, 1, #mnemonic, #operand, class);
#define X87_REG(opcode, modrm, count, mnemonic, operands, class, ...)                                        \
    add_x87(g, opcode, -1, modrm, count, #mnemonic, operands, class);
#include "translator/insns_x87.def"
#undef X87_MEM
#undef X87_REG
}

void gen_end(struct gen *g)
{
    free(g->rows);
}

static uint32_t data_pointer(struct gen *g)
{
    uint32_t r = gen_below(g, 16);
    if (r == 0) /* around a page boundary or an end */
        return DATA_BASE + 4096 * gen_below(g, DATA_PAGES + RO_PAGES + 1) - 16 + gen_below(g, 32);
    if (r == 1)
        return DATA_BASE + DATA_PAGES * 4096 + gen_below(g, 4000); /* read-only */
    return DATA_BASE + 64 + gen_below(g, DATA_PAGES * 4096 - 512);
}

static uint32_t random_value(struct gen *g)
{
    static const uint32_t corner[] = {0,          1,      2,      0x7f,       0x80,       0xff,
                                      0x7fff,     0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
                                      0xfffffffe, 31,     32,     33};
    switch (gen_below(g, 4)) {
    case 0:
        return corner[gen_below(g, sizeof corner / sizeof *corner)];
    case 1:
        return gen_below(g, 256);
    default:
        return (uint32_t)gen_random(g);
    }
}

/* Random bytes, with floating-point numbers strewn in for x87 rows. */
static void random_data(struct gen *g, struct test_case *c, bool x87)
{
    uint64_t v = gen_random(g);
    for (unsigned i = 0; i < DATA_BYTES; i += 8) {
        v = v * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        memcpy(c->data + i, &v, 8);
    }
    for (unsigned i = 0; x87 && i < 200; i++)
        random_float(g, c->data + gen_below(g, DATA_BYTES - 16));
}

/* T_X87, T_SSE: with such operands; T_ALL: without. */
static void random_state(struct gen *g, struct test_case *c, const struct oracle_row *row)
{
    const bool x87 = row && row->test == T_X87;
    if (g->pool) {
        g->pooled = gen_below(g, g->npool);
        c->in = g->pool[g->pooled].in;
        memcpy(c->data, g->pool[g->pooled].data, DATA_BYTES);
        return;
    }
    memset(&c->in, 0, sizeof c->in);
    for (unsigned i = 0; i < 8; i++)
        c->in.gpr[i] = gen_below(g, 2) ? data_pointer(g) : random_value(g);
    c->in.gpr[4] = DATA_BASE + 1024 + gen_below(g, DATA_PAGES * 4096 - 2048);
    if (gen_below(g, 4))
        c->in.gpr[4] &= ~3u;
    c->in.eip = CODE_START;
    c->in.eflags = (uint32_t)gen_random(g) & FLAGS_ARITH; /* sigreturn keeps ID */
    if (gen_below(g, 8) == 0)
        c->in.eflags |= FLAG_DF;
    random_fpu(g, &c->in.fpu, x87);
    random_data(g, c, x87);
    c->in.sse.mxcsr = MXCSR_INIT;
    if (!row || row->test == T_SSE)
        sse_random_state(g, c, row);
}

/* Appends one encoding of the row at c->code[at]; returns its length, 0: not this draw. */
static unsigned encode(struct gen *g, const struct oracle_row *row, uint8_t *p, struct insn *in)
{
    unsigned n = 0;
    bool string = row->test == T_STRING || row->test == T_IO, sse = row->test == T_SSE;
    if (sse)
        n = sse_prefixes(g, row, p);
    else if (row->test != T_SIZE32 && gen_below(g, 4) == 0)
        p[n++] = 0x66;
    if (gen_below(g, 40) == 0)
        p[n++] = 0x67;
    if (gen_below(g, 30) == 0)
        p[n++] = 0xf0;
    if (row->test != T_NOREP && row->test != T_JUMP && !sse &&
        gen_below(g, string ? 2 : 40) == 0) /* LOOPcc: REP is undefined */
        p[n++] = gen_below(g, 2) ? 0xf2 : 0xf3;
    if (gen_below(g, 20) == 0)
        p[n++] = (uint8_t[]){0x26, 0x2e, 0x36, 0x3e}[gen_below(g, 4)];
    if (row->opcode > 0xff)
        p[n++] = 0x0f;
    p[n++] = (uint8_t)(row->opcode + (row->x87 ? 0 : gen_below(g, row->span)));
    for (unsigned i = 0; i < 11; i++)
        p[n + i] = (uint8_t)gen_random(g);
    if (row->modrm >= 0)
        p[n] = (uint8_t)(row->modrm + gen_below(g, row->span));
    else if (row->reg >= 0)
        p[n] = (uint8_t)((p[n] & 0xc7) | row->reg << 3);
    if (row->form == A_REG)
        p[n] |= 0xc0;
    if (((row->x87 && row->modrm < 0) || row->form == A_MEM) && p[n] >= 0xc0)
        p[n] = (uint8_t)(p[n] & 0x3f) | 0x80;
    memset(in, 0, sizeof *in);
    enum decode_result r = decode_insn(p, INSN_BYTES_MAX, true, in);
    return r == DECODE_OK && in->row ? in->length : 0;
}

static bool has_memory(const struct insn *in)
{
    return insn_opnd_is_mem(in, 0) || insn_opnd_is_mem(in, 1) || insn_opnd_is_mem(in, 2) ||
           (in->opcode >= 0xd8 && in->opcode <= 0xdf && in->mod != 3);
}

/* Moves the base register (or the displacement's bytes) so that the operand lies in the data pages. */
static void steer(struct gen *g, struct test_case *c, const struct insn *in, const struct oracle_row *row,
                  uint8_t *p)
{
    if (!has_memory(in) || in->addrsize != 2 || gen_below(g, 10) == 0)
        return;
    uint32_t target = data_pointer(g);
    if (row->test == T_SSE)
        target = sse_place_operand(g, c, row, target);
    uint32_t index = in->index < 8 ? c->in.gpr[in->index] << in->scale : 0;
    if (in->base < 8 && in->base != 4 && in->base != in->index) {
        c->in.gpr[in->base] = target - index - in->disp;
    } else if (in->base >= 8) { /* disp32 somewhere in the bytes */
        for (unsigned i = 1; i + 4 <= in->length; i++) {
            uint32_t d;
            memcpy(&d, p + i, 4);
            if (d == in->disp) {
                d = target - index;
                memcpy(p + i, &d, 4);
                break;
            }
        }
    }
}

static uint32_t shift_undefined(const struct oracle_row *row, const struct test_case *c,
                                const struct insn *in, uint32_t u, bool *result)
{
    static const char *const shifts[] = {"ROL", "ROR", "RCL", "RCR",  "SHL",
                                         "SHR", "SAR", "SAL", "SHLD", "SHRD"};
    bool is_shift = false;
    for (unsigned i = 0; i < sizeof shifts / sizeof *shifts; i++)
        is_shift |= !strcmp(row->mnemonic, shifts[i]);
    if (!is_shift)
        return u;
    bool by_cl = false, by_one = false;
    unsigned bits = in->opsize == 1 ? 16 : 32;
    for (unsigned i = 0; i < 3; i++) {
        by_cl |= in->row->opnd[i] == OP_CL;
        by_one |= in->row->opnd[i] == OP_one;
    }
    if (in->row->opnd[0] == OP_Eb)
        bits = 8;
    uint32_t count = by_one ? 1 : by_cl ? c->in.gpr[1] & 31 : in->imm & 31;
    if (count == 0)
        return 0;
    if (count == 1)
        u &= ~(uint32_t)U_O;
    if ((u & U_CBIG) && count >= bits)
        u |= U_C;
    if ((u & U_RBIG) && count > bits)
        u |= U_ALL, *result = true;
    return u & U_ALL;
}

/* Selectors that mean the same to the host's tables and the emulator's. */
static uint16_t selector(struct gen *g)
{
    return (uint16_t[]){0x2b, 0x23, 0, 3, 0xfff8, 0x2b, 0xeeeb, 0x2b}[gen_below(g, 8)];
}

static void put_stack(struct test_case *c, uint32_t v)
{
    memcpy(c->data + (c->in.gpr[4] - DATA_BASE), &v, 4);
}

/* Would the jump go into itself, perhaps for ever? */
static bool jumps_to_itself(const struct test_case *c, const struct insn *in)
{
    uint32_t target = CODE_START + in->length + in->imm;
    if (in->row->opnd[0] == OP_Ev)
        target = in->mod == 3 ? c->in.gpr[in->rm] : 0;
    else if (in->opcode == 0xc3 || in->opcode == 0xc2)
        memcpy(&target, c->data + (c->in.gpr[4] - DATA_BASE), 4);
    return target - CODE_START < in->length;
}

/* What a row needs beyond random registers; false: leave this draw out. */
static bool prepare(struct gen *g, const struct oracle_row *row, struct test_case *c, const struct insn *in,
                    uint8_t *p)
{
    struct insn again; /* after the displacement was changed */
    switch (row->test) {
    case T_STRING:
        c->in.gpr[6] = data_pointer(g), c->in.gpr[7] = data_pointer(g);
        c->in.gpr[1] = in->addrsize == 2 ? gen_below(g, 300) : c->in.gpr[1] & 0xff;
        break;
    case T_JUMP:
        if (in->opsize == 2 && in->length >= 5 &&
            (p[in->length - 5] == 0xe8 || p[in->length - 5] == 0xe9 || in->opcode >= 0xf80)) {
            int32_t d = (int32_t)gen_below(g, 1800) - 900;
            memcpy(p + in->length - 4, &d, 4);
        }
        if (in->opcode == 0xc3 || in->opcode == 0xc2)
            put_stack(c, CODE_BASE + gen_below(g, CODE_BYTES));
        if (in->opcode == 0xff && in->mod == 3 && in->rm != 4)
            c->in.gpr[in->rm] = CODE_BASE + gen_below(g, CODE_BYTES);
        return decode_insn(p, INSN_BYTES_MAX, true, &again) == DECODE_OK && !jumps_to_itself(c, &again);
    case T_TRAP:
        if (in->opcode == 0xcd && (p[in->length - 1] == 0x80))
            return false; /* a system call of the host's */
        break;
    case T_SEG:
        if (in->opcode == 0x8e) {
            if (in->mod != 3 || in->reg >= SEG_FS)
                return false;
            c->in.gpr[in->rm] = selector(g);
        }
        if (!strcmp(row->mnemonic, "POP_SREG"))
            put_stack(c, selector(g));
        break;
    case T_SSE:
        return sse_prepare(g, row, c, in, p);
    default:
        break;
    }
    if (in->opcode == 0x9d) { /* POPF: not TF, AC, NT */
        uint32_t v = (uint32_t)gen_random(g) & (FLAGS_ARITH | FLAG_DF | FLAG_IF | FLAG_IOPL);
        put_stack(c, v);
    }
    if (in->opcode == 0xc8)
        c->in.gpr[5] = DATA_BASE + 1024 + gen_below(g, 8192);
    return true;
}

bool gen_single(struct gen *g, const struct oracle_row *row, struct test_case *c, struct undefined *u)
{
    struct insn in;
    random_state(g, c, row);
    memset(c->code, 0xcc, sizeof c->code);
    c->code_bytes = encode(g, row, c->code, &in);
    if (!c->code_bytes)
        return false;
    steer(g, c, &in, row, c->code);
    if (!prepare(g, row, c, &in, c->code))
        return false;
    memset(c->code + c->code_bytes, 0xcc, sizeof c->code - c->code_bytes);
    gen_undefined(row, c, u);
    return true;
}

void gen_undefined(const struct oracle_row *row, const struct test_case *c, struct undefined *u)
{
    struct insn in;
    *u = (struct undefined){.flags = row->undefined & U_ALL};
    u->mxcsr_mask = sse_mxcsr_mask(row, c);
    if (row->undefined && decode_insn(c->code, INSN_BYTES_MAX, true, &in) == DECODE_OK)
        u->flags = shift_undefined(row, c, &in, row->undefined, &u->result) & U_ALL;
}

static bool is_x87_row(const struct oracle_row *row, const struct insn *in)
{
    if (!row->x87 || row->opcode != in->opcode)
        return false;
    if (in->mod != 3)
        return row->modrm < 0 && row->reg == in->reg;
    return row->modrm >= 0 && in->modrm >= row->modrm && in->modrm < row->modrm + row->span;
}

const struct oracle_row *gen_row_of(const struct gen *g, const uint8_t *code)
{
    struct insn in;
    if (decode_insn(code, INSN_BYTES_MAX, true, &in) != DECODE_OK)
        return NULL;
    for (unsigned i = 0; i < g->nrows; i++)
        if (is_x87_row(&g->rows[i], &in) || (g->rows[i].insn && g->rows[i].insn == in.row))
            return &g->rows[i];
    return NULL;
}

bool gen_sequence(struct gen *g, struct test_case *c)
{
    struct insn in;
    unsigned want = 2 + gen_below(g, 5), n = 0;
    random_state(g, c, NULL);
    if (!g->pool && gen_below(g, 2))
        random_fpu(g, &c->in.fpu, true);
    c->code_bytes = 0;
    memset(c->code, 0xcc, sizeof c->code);
    while (n < want) {
        const struct oracle_row *row = &g->rows[gen_below(g, g->nrows)];
        uint8_t *p = c->code + c->code_bytes;
        if (row->excluded || row->undefined ||
            (row->test != T_ALL && row->test != T_STACK && row->test != T_SSE && row->test != T_X87) ||
            sse_is_alone(row) || !strncmp(row->mnemonic, "FPREM", 5) || row->x87_env || row->x87_compare ||
            !strcmp(row->mnemonic, "POPF") || !strcmp(row->mnemonic, "ENTER") ||
            !strcmp(row->mnemonic, "PUSHA"))
            continue;
        unsigned bytes = encode(g, row, p, &in);
        if (!bytes)
            continue;
        steer(g, c, &in, row, p);
        c->code_bytes += bytes;
        n++;
    }
    memset(c->code + c->code_bytes, 0xcc, sizeof c->code - c->code_bytes);
    return true;
}

unsigned gen_encode(struct gen *g, const struct oracle_row *row, uint8_t *p, struct insn *in)
{
    return encode(g, row, p, in);
}
