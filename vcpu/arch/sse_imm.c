/* sse_imm.c - rows with an immediate, in C: shuffles, insertion and extraction of words, shifts.
 *
 * Shifts by bits are run as the row that takes its count from a register: both saturate alike. */
#include "vcpu/arch/sse_internal.h"

typedef void (*imm_fn)(struct sse_io *io, uint8_t imm);

/* dst[i] = src[selector i of imm], n elements of `bytes`, `bits` of selector each. */
static void shuffle(uint8_t *dst, const uint8_t *src, unsigned n, unsigned bytes, unsigned bits, uint8_t imm)
{
    uint8_t from[16];
    memcpy(from, src, n * bytes);
    for (unsigned i = 0; i < n; i++)
        memcpy(dst + i * bytes, from + bytes * (imm >> i * bits & ((1u << bits) - 1)), bytes);
}

static void imm_PSHUFW(struct sse_io *io, uint8_t imm)
{
    shuffle(io->a, io->b, 4, 2, 2, imm);
}
static void imm_PSHUFD(struct sse_io *io, uint8_t imm)
{
    shuffle(io->a, io->b, 4, 4, 2, imm);
}

static void imm_PSHUFLW(struct sse_io *io, uint8_t imm)
{
    shuffle(io->a, io->b, 4, 2, 2, imm);
    memcpy(io->a + 8, io->b + 8, 8);
}

static void imm_PSHUFHW(struct sse_io *io, uint8_t imm)
{
    shuffle(io->a + 8, io->b + 8, 4, 2, 2, imm);
    memcpy(io->a, io->b, 8);
}

/* The low half from the destination, the high half from the source. */
static void imm_SHUFPS(struct sse_io *io, uint8_t imm)
{
    uint8_t from_b[16];
    shuffle(io->a, io->a, 4, 4, 2, imm);
    shuffle(from_b, io->b, 4, 4, 2, imm);
    memcpy(io->a + 8, from_b + 8, 8);
}

static void imm_SHUFPD(struct sse_io *io, uint8_t imm)
{
    memmove(io->a, io->a + 8 * (imm & 1), 8);
    memcpy(io->a + 8, io->b + 8 * (imm >> 1 & 1), 8);
}

static void insert_word(struct sse_io *io, unsigned i)
{
    const uint16_t word = (uint16_t)io->gpr;
    memcpy(io->a + 2 * i, &word, 2);
}

static void extract_word(struct sse_io *io, unsigned i)
{
    uint16_t word;
    memcpy(&word, io->b + 2 * i, 2);
    io->gpr = word;
}

static void imm_PSRLDQ(struct sse_io *io, uint8_t imm)
{
    const unsigned n = imm < 16 ? imm : 16;
    memmove(io->b, io->b + n, 16 - n);
    memset(io->b + 16 - n, 0, n);
}

static void imm_PSLLDQ(struct sse_io *io, uint8_t imm)
{
    const unsigned n = imm < 16 ? imm : 16;
    memmove(io->b + n, io->b, 16 - n);
    memset(io->b, 0, n);
}

/* The value is in b (ModRM.rm); the register form has it in a and the count in b. */
static void shift(struct sse_io *io, sse_exec_fn fn, uint8_t imm)
{
    memcpy(io->a, io->b, sizeof io->a);
    memset(io->b, 0, sizeof io->b);
    io->b[0] = imm;
    fn(io);
    memcpy(io->b, io->a, sizeof io->b);
}

/* The row with the count in a register, of the same prefix. */
#define BY_REG(opcode, reg, by_reg)                                                                          \
    [SSE_NP_##opcode##_##reg##_R] = SSE_NP_##by_reg##_ANY_RM,                                                \
    [SSE_66_##opcode##_##reg##_R] = SSE_66_##by_reg##_ANY_RM
static const uint16_t shift_by_reg[SSE_COUNT] = {
    BY_REG(0x0f71, 2, 0x0fd1), BY_REG(0x0f71, 4, 0x0fe1), BY_REG(0x0f71, 6, 0x0ff1),
    BY_REG(0x0f72, 2, 0x0fd2), BY_REG(0x0f72, 4, 0x0fe2), BY_REG(0x0f72, 6, 0x0ff2),
    BY_REG(0x0f73, 2, 0x0fd3), BY_REG(0x0f73, 6, 0x0ff3),
};

static const imm_fn functions[SSE_COUNT] = {
    [SSE_NP_0x0f70_ANY_RM] = imm_PSHUFW,  [SSE_66_0x0f70_ANY_RM] = imm_PSHUFD,
    [SSE_F3_0x0f70_ANY_RM] = imm_PSHUFHW, [SSE_F2_0x0f70_ANY_RM] = imm_PSHUFLW,
    [SSE_NP_0x0fc6_ANY_RM] = imm_SHUFPS,  [SSE_66_0x0fc6_ANY_RM] = imm_SHUFPD,
    [SSE_66_0x0f73_3_R] = imm_PSRLDQ,     [SSE_66_0x0f73_7_R] = imm_PSLLDQ,
};

void sse_run_imm(enum sse_id id, struct sse_io *io, uint8_t imm)
{
    const unsigned words = sse_rows[id].class & SSE_IS_MMX ? 4 : 8;
    if (shift_by_reg[id])
        shift(io, sse_exec[shift_by_reg[id]], imm);
    else if (sse_rows[id].opcode == 0x0fc4)
        insert_word(io, imm & (words - 1));
    else if (sse_rows[id].opcode == 0x0fc5)
        extract_word(io, imm & (words - 1));
    else
        functions[id](io, imm);
}
