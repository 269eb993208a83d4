/* emit_x64.c - see emit_x64.h. Intel SDM volume 2: prefixes, REX, opcode, ModRM, SIB, displacement,
 * immediate. */
#include "translator/x64/emit_x64.h"

#include <string.h>

#include "clockcore/check.h"

enum { REX = 0x40, REX_W = 8, REX_R = 4, REX_X = 2, REX_B = 1, OPERAND16 = 0x66, TWO_BYTE = 0x0f00 };

static void put8(struct x64_buf *b, unsigned v)
{
    *b->at++ = (uint8_t)v;
}

static void put32(struct x64_buf *b, uint32_t v)
{
    memcpy(b->at, &v, 4);
    b->at += 4;
}

static void put64(struct x64_buf *b, uint64_t v)
{
    memcpy(b->at, &v, 8);
    b->at += 8;
}

static bool fits8(uint32_t imm)
{
    return (uint32_t)(int32_t)(int8_t)imm == imm;
}

static void writes_flags(struct x64_buf *b)
{
    b->flags_for = 0;
}

/* --- prefixes, opcode and operands --- */

/* 8-bit operands 4..7 are SPL BPL SIL DIL only with a REX prefix. */
static unsigned byte_rex(unsigned size, unsigned reg)
{
    return size == SZ8 && reg >= 4 ? REX : 0;
}

static void put_opcode(struct x64_buf *b, unsigned size, unsigned rex, unsigned opcode)
{
    if (size == SZ16)
        put8(b, OPERAND16);
    if (size == SZ64)
        rex |= REX | REX_W;
    if (rex)
        put8(b, rex | REX);
    if (opcode >= TWO_BYTE)
        put8(b, 0x0f);
    put8(b, opcode);
}

/* opcode reg, rm with rm a register. */
static void form_rr(struct x64_buf *b, unsigned size, unsigned opcode, unsigned reg, unsigned rm)
{
    unsigned rex = byte_rex(size, reg) | byte_rex(size, rm) | (reg >= 8 ? REX_R : 0) | (rm >= 8 ? REX_B : 0);
    put_opcode(b, size, rex, opcode);
    put8(b, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

/* opcode /digit with rm a register. */
static void form_r(struct x64_buf *b, unsigned size, unsigned opcode, unsigned digit, unsigned rm)
{
    put_opcode(b, size, byte_rex(size, rm) | (rm >= 8 ? REX_B : 0), opcode);
    put8(b, 0xc0 | digit << 3 | (rm & 7));
}

static bool needs_sib(struct host_mem m)
{
    return m.base == NO_REG || m.index != NO_REG || (m.base & 7) == RSP;
}

static unsigned disp_mode(struct host_mem m)
{
    if (m.base == NO_REG)
        return 0;
    if (m.disp == 0 && (m.base & 7) != RBP)
        return 0;
    return fits8((uint32_t)m.disp) ? 1 : 2;
}

static void put_mem(struct x64_buf *b, unsigned digit, struct host_mem m)
{
    unsigned mode = disp_mode(m), base = m.base == NO_REG ? RBP : m.base & 7u;
    if (needs_sib(m)) {
        put8(b, mode << 6 | digit << 3 | RSP);
        put8(b, (unsigned)m.scale << 6 | (m.index == NO_REG ? RSP : m.index & 7u) << 3 | base);
    } else {
        put8(b, mode << 6 | digit << 3 | base);
    }
    if (mode == 1)
        put8(b, (uint8_t)m.disp);
    else if (mode == 2 || m.base == NO_REG)
        put32(b, (uint32_t)m.disp);
}

static unsigned mem_rex(struct host_mem m)
{
    return (m.base != NO_REG && m.base >= 8 ? REX_B : 0) | (m.index != NO_REG && m.index >= 8 ? REX_X : 0);
}

/* opcode reg, [m] */
static void form_rm(struct x64_buf *b, unsigned size, unsigned opcode, unsigned reg, struct host_mem m)
{
    put_opcode(b, size, byte_rex(size, reg) | (reg >= 8 ? REX_R : 0) | mem_rex(m), opcode);
    put_mem(b, reg & 7, m);
}

/* opcode /digit [m] */
static void form_m(struct x64_buf *b, unsigned size, unsigned opcode, unsigned digit, struct host_mem m)
{
    put_opcode(b, size, mem_rex(m), opcode);
    put_mem(b, digit, m);
}

static void put_imm(struct x64_buf *b, unsigned size, uint32_t imm)
{
    if (size == SZ8) {
        put8(b, imm);
    } else if (size == SZ16) {
        put8(b, imm);
        put8(b, imm >> 8);
    } else {
        put32(b, imm);
    }
}

/* Opcodes whose bit 0 says "not 8 bits". */
static unsigned sized(unsigned opcode, unsigned size)
{
    return size == SZ8 ? opcode & ~1u : opcode | 1;
}

void x_note_move(struct x64_buf *b, enum x64_move kind)
{
    struct x64_refs *r = b->refs;
    const unsigned bytes = kind == X64_MOVE_TB ? 8 : 4;
    if (!r)
        return;
    CHECK(r->nmoves < X64_MOVES_MAX);
    r->moves[r->nmoves++] = (uint32_t)(b->at - b->start - bytes) << X64_MOVE_SHIFT | kind;
}

/* --- moves --- */

void x_mov(struct x64_buf *b, unsigned size, unsigned dst, unsigned src)
{
    form_rr(b, size, sized(0x8b, size), dst, src);
}

void x_mov_imm(struct x64_buf *b, unsigned dst, uint32_t imm)
{
    put_opcode(b, SZ32, dst >= 8 ? REX_B : 0, 0xb8 + (dst & 7));
    put32(b, imm);
}

void x_mov_imm8(struct x64_buf *b, unsigned dst, uint8_t imm)
{
    put_opcode(b, SZ32, byte_rex(SZ8, dst) | (dst >= 8 ? REX_B : 0), 0xb0 + (dst & 7));
    put8(b, imm);
}

void x_mov_imm8_high(struct x64_buf *b, unsigned dst, uint8_t imm)
{
    CHECK(dst <= RBX);
    put_opcode(b, SZ32, 0, 0xb4 + dst);
    put8(b, imm);
}

void x_mov_imm16(struct x64_buf *b, unsigned dst, uint16_t imm)
{
    put_opcode(b, SZ16, dst >= 8 ? REX_B : 0, 0xb8 + (dst & 7));
    put_imm(b, SZ16, imm);
}

void x_mov_imm64(struct x64_buf *b, unsigned dst, uint64_t imm)
{
    put_opcode(b, SZ64, dst >= 8 ? REX_B : 0, 0xb8 + (dst & 7));
    put64(b, imm);
}

void x_load(struct x64_buf *b, unsigned size, unsigned dst, struct host_mem m)
{
    if (size >= SZ32)
        form_rm(b, size, 0x8b, dst, m);
    else
        form_rm(b, SZ32, TWO_BYTE | (size == SZ8 ? 0xb6 : 0xb7), dst, m);
}

void x_store(struct x64_buf *b, unsigned size, struct host_mem m, unsigned src)
{
    form_rm(b, size, sized(0x89, size), src, m);
}

void x_store_imm(struct x64_buf *b, unsigned size, struct host_mem m, uint32_t imm)
{
    form_m(b, size, sized(0xc7, size), 0, m);
    put_imm(b, size, imm);
}

void x_movzx(struct x64_buf *b, unsigned size, unsigned dst, unsigned src)
{
    unsigned rex = byte_rex(size, src) | (dst >= 8 ? REX_R : 0) | (src >= 8 ? REX_B : 0);
    put_opcode(b, SZ32, rex, TWO_BYTE | (size == SZ8 ? 0xb6 : 0xb7));
    put8(b, 0xc0 | (dst & 7) << 3 | (src & 7));
}

void x_movzx_high(struct x64_buf *b, unsigned dst, unsigned src)
{
    CHECK(src <= RBX && dst < 8);
    put_opcode(b, SZ32, 0, TWO_BYTE | 0xb6);
    put8(b, 0xc0 | dst << 3 | (src + 4));
}

void x_movsx(struct x64_buf *b, unsigned size, unsigned dst, unsigned src)
{
    unsigned rex = byte_rex(size, src) | (dst >= 8 ? REX_R : 0) | (src >= 8 ? REX_B : 0);
    unsigned opcode = size == SZ8 ? TWO_BYTE | 0xbe : size == SZ16 ? TWO_BYTE | 0xbf : 0x63;
    put_opcode(b, size == SZ32 ? SZ64 : SZ32, rex, opcode);
    put8(b, 0xc0 | (dst & 7) << 3 | (src & 7));
}

void x_lea(struct x64_buf *b, unsigned size, unsigned dst, struct host_mem m)
{
    form_rm(b, size, 0x8d, dst, m);
}

void x_bswap(struct x64_buf *b, unsigned dst)
{
    put_opcode(b, SZ32, dst >= 8 ? REX_B : 0, TWO_BYTE | (0xc8 + (dst & 7)));
}

void x_push(struct x64_buf *b, unsigned reg)
{
    put_opcode(b, SZ32, reg >= 8 ? REX_B : 0, 0x50 + (reg & 7));
}

void x_pop(struct x64_buf *b, unsigned reg)
{
    put_opcode(b, SZ32, reg >= 8 ? REX_B : 0, 0x58 + (reg & 7));
}

/* --- arithmetic --- */

void x_alu(struct x64_buf *b, enum host_alu op, unsigned size, unsigned dst, unsigned src)
{
    writes_flags(b);
    form_rr(b, size, sized(op * 8 + 3, size), dst, src);
}

/* The immediate group: 80 (8 bits), 81, or 83 where it sign-extends from 8 bits. */
static bool short_imm(unsigned size, uint32_t imm)
{
    return size != SZ8 && (size == SZ16 ? (uint16_t)(int8_t)imm == (uint16_t)imm : fits8(imm));
}

void x_alu_imm(struct x64_buf *b, enum host_alu op, unsigned size, unsigned dst, uint32_t imm)
{
    bool brief = short_imm(size, imm);
    writes_flags(b);
    form_r(b, size, brief ? 0x83 : sized(0x81, size), op, dst);
    put_imm(b, brief ? SZ8 : size, imm);
}

void x_cmp_imm32(struct x64_buf *b, unsigned dst, uint32_t imm)
{
    writes_flags(b);
    form_r(b, SZ32, 0x81, ALU_CMP, dst);
    put_imm(b, SZ32, imm);
}

void x_alu_load(struct x64_buf *b, enum host_alu op, unsigned size, unsigned dst, struct host_mem m)
{
    writes_flags(b);
    form_rm(b, size, sized(op * 8 + 3, size), dst, m);
}

void x_alu_mem_imm(struct x64_buf *b, enum host_alu op, unsigned size, struct host_mem m, uint32_t imm)
{
    bool brief = short_imm(size, imm);
    writes_flags(b);
    form_m(b, size, brief ? 0x83 : sized(0x81, size), op, m);
    put_imm(b, brief ? SZ8 : size, imm);
}

void x_test(struct x64_buf *b, unsigned size, unsigned a, unsigned c)
{
    writes_flags(b);
    form_rr(b, size, sized(0x85, size), c, a);
}

void x_test_imm(struct x64_buf *b, unsigned size, unsigned a, uint32_t imm)
{
    writes_flags(b);
    form_r(b, size, sized(0xf7, size), 0, a);
    put_imm(b, size, imm);
}

void x_inc(struct x64_buf *b, unsigned size, unsigned dst)
{
    writes_flags(b);
    form_r(b, size, sized(0xff, size), 0, dst);
}

void x_dec(struct x64_buf *b, unsigned size, unsigned dst)
{
    writes_flags(b);
    form_r(b, size, sized(0xff, size), 1, dst);
}

void x_unary(struct x64_buf *b, enum host_unary op, unsigned size, unsigned dst)
{
    if (op != UN_NOT)
        writes_flags(b);
    form_r(b, size, sized(0xf7, size), op, dst);
}

void x_shift_imm(struct x64_buf *b, enum host_shift op, unsigned size, unsigned dst, unsigned n)
{
    writes_flags(b);
    if (n == 1) {
        form_r(b, size, sized(0xd1, size), op, dst);
        return;
    }
    form_r(b, size, sized(0xc1, size), op, dst);
    put8(b, n);
}

void x_shift_cl(struct x64_buf *b, enum host_shift op, unsigned size, unsigned dst)
{
    writes_flags(b);
    form_r(b, size, sized(0xd3, size), op, dst);
}

void x_shift_double(struct x64_buf *b, bool right, unsigned dst, unsigned src, int n)
{
    writes_flags(b);
    form_rr(b, SZ32, TWO_BYTE | (right ? 0xac : 0xa4) | (n < 0 ? 1 : 0), src, dst);
    if (n >= 0)
        put8(b, (unsigned)n);
}

void x_imul(struct x64_buf *b, unsigned size, unsigned dst, unsigned src)
{
    writes_flags(b);
    form_rr(b, size, TWO_BYTE | 0xaf, dst, src);
}

void x_imul_imm(struct x64_buf *b, unsigned size, unsigned dst, unsigned src, uint32_t imm)
{
    writes_flags(b);
    form_rr(b, size, fits8(imm) ? 0x6b : 0x69, dst, src);
    put_imm(b, fits8(imm) ? SZ8 : size, imm);
}

void x_bsf(struct x64_buf *b, unsigned dst, unsigned src)
{
    writes_flags(b);
    form_rr(b, SZ32, TWO_BYTE | 0xbc, dst, src);
}

void x_bsr(struct x64_buf *b, unsigned dst, unsigned src)
{
    writes_flags(b);
    form_rr(b, SZ32, TWO_BYTE | 0xbd, dst, src);
}

void x_bit(struct x64_buf *b, enum host_bit op, unsigned dst, unsigned src)
{
    writes_flags(b);
    form_rr(b, SZ32, TWO_BYTE | op, src, dst);
}

void x_bit_imm(struct x64_buf *b, enum host_bit op, unsigned dst, unsigned n)
{
    writes_flags(b);
    form_r(b, SZ32, TWO_BYTE | 0xba, op >> 3 & 7, dst);
    put8(b, n);
}

/* --- conditions --- */

void x_setcc(struct x64_buf *b, unsigned cond, unsigned dst)
{
    form_r(b, SZ8, TWO_BYTE | 0x90 | cond, 0, dst);
}

void x_setcc_mem(struct x64_buf *b, unsigned cond, struct host_mem m)
{
    form_m(b, SZ8, TWO_BYTE | 0x90 | cond, 0, m);
}

void x_cmov(struct x64_buf *b, unsigned cond, unsigned dst, unsigned src)
{
    form_rr(b, SZ32, TWO_BYTE | 0x40 | cond, dst, src);
}

/* --- x87, MMX, SSE --- */

void x_fpu_reg(struct x64_buf *b, unsigned opcode, unsigned modrm)
{
    put8(b, opcode);
    put8(b, modrm);
}

void x_fpu_mem(struct x64_buf *b, unsigned opcode, unsigned digit, struct host_mem m)
{
    form_m(b, SZ32, opcode, digit, m);
}

void x_fxsave(struct x64_buf *b, struct host_mem m)
{
    form_m(b, SZ32, TWO_BYTE | 0xae, 0, m);
}

void x_fxrstor(struct x64_buf *b, struct host_mem m)
{
    form_m(b, SZ32, TWO_BYTE | 0xae, 1, m);
}

static void put_simd_opcode(struct x64_buf *b, unsigned prefix, unsigned rex, unsigned opcode)
{
    static const uint8_t bytes[] = {0, OPERAND16, 0xf3, 0xf2}; /* MATCH enum simd_prefix */
    if (prefix)
        put8(b, bytes[prefix]);
    put_opcode(b, SZ32, rex, TWO_BYTE | opcode);
}

void x_simd_reg(struct x64_buf *b, unsigned prefix, unsigned opcode, unsigned reg, unsigned rm)
{
    put_simd_opcode(b, prefix, (reg >= 8 ? REX_R : 0) | (rm >= 8 ? REX_B : 0), opcode);
    put8(b, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

void x_simd_mem(struct x64_buf *b, unsigned prefix, unsigned opcode, unsigned reg, struct host_mem m)
{
    put_simd_opcode(b, prefix, (reg >= 8 ? REX_R : 0) | mem_rex(m), opcode);
    put_mem(b, reg & 7, m);
}

void x_imm8(struct x64_buf *b, uint8_t imm)
{
    put8(b, imm);
}

void x_ldmxcsr(struct x64_buf *b, struct host_mem m)
{
    form_m(b, SZ32, TWO_BYTE | 0xae, 2, m);
}

void x_emms(struct x64_buf *b)
{
    put_opcode(b, SZ32, 0, TWO_BYTE | 0x77);
}

void x_push_imm(struct x64_buf *b, uint32_t imm)
{
    if (imm <= INT8_MAX) {
        put8(b, 0x6a);
        put8(b, (uint8_t)imm);
        return;
    }
    put8(b, 0x68);
    put32(b, imm);
}

void x_fninit(struct x64_buf *b)
{
    x_fpu_reg(b, 0xdb, 0xe3);
}

void x_lahf(struct x64_buf *b)
{
    put8(b, 0x9f);
}

void x_rep(struct x64_buf *b, enum host_string op, unsigned size)
{
    put8(b, 0xf3);
    if (size == SZ16)
        put8(b, 0x66);
    put8(b, size == SZ8 ? op : op + 1u);
}

/* --- control --- */

void x_patch(uint8_t *rel32, const uint8_t *target)
{
    int32_t rel = (int32_t)(target - (rel32 + 4));
    memcpy(rel32, &rel, 4);
}

static uint8_t *put_rel32(struct x64_buf *b)
{
    put32(b, 0);
    return b->at - 4;
}

/* Of a jump within the code, as long as nobody says otherwise. */
static uint8_t *put_inner(struct x64_buf *b)
{
    struct x64_refs *r = b->refs;
    if (r) {
        CHECK(r->ninner < X64_INNER_MAX);
        r->inner[r->ninner++] = (uint32_t)(b->at - b->start);
    }
    return put_rel32(b);
}

uint8_t *x_jcc(struct x64_buf *b, unsigned cond)
{
    put8(b, 0x0f);
    put8(b, 0x80 | cond);
    return put_inner(b);
}

uint8_t *x_jmp(struct x64_buf *b)
{
    put8(b, 0xe9);
    return put_inner(b);
}

/* Fills a rel32 field with a target that may lie outside the buffer. */
static void refer(struct x64_buf *b, uint8_t *rel32, const uint8_t *target)
{
    if (!b->refs || (target >= b->start && target <= b->at)) {
        x_patch(rel32, target);
        return;
    }
    CHECK(b->refs->n < X64_REFS_MAX);
    b->refs->at[b->refs->n++] = (uint32_t)(rel32 - b->start);
    uint32_t place = (uint32_t)(target - b->refs->origin);
    memcpy(rel32, &place, 4);
}

void x_jmp_to(struct x64_buf *b, const uint8_t *target)
{
    uint32_t inner = b->refs ? b->refs->ninner : 0, refs = b->refs ? b->refs->n : 0;
    refer(b, x_jmp(b), target);
    if (b->refs && b->refs->n != refs)
        b->refs->ninner = inner;
}

void x_call_to(struct x64_buf *b, const uint8_t *target)
{
    writes_flags(b);
    put8(b, 0xe8);
    refer(b, put_rel32(b), target);
}

void x_jmp_mem(struct x64_buf *b, struct host_mem m)
{
    form_m(b, SZ32, 0xff, 4, m);
}

void x_jmp_reg(struct x64_buf *b, unsigned reg)
{
    form_r(b, SZ32, 0xff, 4, reg);
}

void x_call_reg(struct x64_buf *b, unsigned reg)
{
    writes_flags(b);
    form_r(b, SZ32, 0xff, 2, reg);
}

void x_ret(struct x64_buf *b)
{
    put8(b, 0xc3);
}
