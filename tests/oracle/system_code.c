/* system_code.c - the instructions of a case of system.h: rows of the tables with random operands, and
 * between them what only makes sense with operands that were prepared for it. */
#include <string.h>

#include "tests/oracle/system_internal.h"

struct writer {
    struct gen *g;
    struct system_case *s;
    uint8_t *first, *at, *end;
};

enum { EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI };
enum { ROWS_IN_TURN = 6 };

static unsigned below(struct writer *w, unsigned n)
{
    return gen_below(w->g, n);
}

static bool chance(struct writer *w, unsigned percent)
{
    return sys_chance(w->g, percent);
}

/* --- bytes --- */

static void emit(struct writer *w, const uint8_t *p, unsigned n)
{
    if (w->at + n > w->end)
        return;
    memcpy(w->at, p, n);
    w->at += n;
}
#define EMIT(w, ...) emit(w, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void emit_number(struct writer *w, uint32_t v, unsigned bytes)
{
    emit(w, (const uint8_t[]){(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)}, bytes);
}

/* Of the operand and address size that the code segment gives. */
static unsigned word_bytes(const struct writer *w)
{
    return w->s->code32 ? 4 : 2;
}

/* The prefix that gives operands the size, in bytes. */
static void emit_size(struct writer *w, unsigned bytes)
{
    if (bytes != word_bytes(w))
        EMIT(w, 0x66);
}

static void emit_mov(struct writer *w, unsigned reg, uint32_t v, unsigned bytes)
{
    emit_size(w, bytes);
    EMIT(w, (uint8_t)(0xb8 + reg));
    emit_number(w, v, bytes);
}

static void emit_push(struct writer *w, uint32_t v)
{
    EMIT(w, 0x68);
    emit_number(w, v, word_bytes(w));
}

/* A ModRM byte and displacement for a memory operand that has no registers. */
static void emit_absolute(struct writer *w, unsigned reg, uint32_t offset)
{
    EMIT(w, (uint8_t)(reg << 3 | (w->s->code32 ? 5 : 6)));
    emit_number(w, offset, word_bytes(w));
}

/* --- where things are, as the case begins --- */

static bool begins_8086(const struct writer *w)
{
    return sys_is_8086(w->s->mode);
}

static uint32_t near_offset(struct writer *w)
{
    const uint8_t *to = chance(w, 50) ? w->at : w->first;
    return (uint32_t)(to - w->s->ram) - SYS_CODE + below(w, 64);
}

static uint32_t code_offset(struct writer *w)
{
    return SYS_CODE - w->s->state.seg[SEG_CS].base + near_offset(w);
}

static uint32_t data_offset(struct writer *w, uint32_t offset)
{
    return SYS_DATA - w->s->state.seg[SEG_DS].base + offset;
}

static uint16_t code_selector(struct writer *w)
{
    return chance(w, begins_8086(w) ? 70 : 10) ? SYS_CODE >> 4 : sys_selector(w->g);
}

/* --- segments and transfers --- */

static void load_segment(struct writer *w)
{
    emit_mov(w, EAX, sys_selector(w->g), 2);
    EMIT(w, 0x8e, (uint8_t)(0xc0 | below(w, 6) << 3));
}

static void far_transfer(struct writer *w)
{
    EMIT(w, chance(w, 50) ? 0xea : 0x9a); /* JMP, CALL */
    emit_number(w, code_offset(w), word_bytes(w));
    emit_number(w, code_selector(w), 2);
}

/* The same through a pointer in memory, which is put there first. */
static void far_transfer_by_memory(struct writer *w)
{
    const uint32_t at = data_offset(w, SYS_POINTER), to = code_offset(w);
    const uint16_t sel = code_selector(w);
    for (unsigned i = 0; i <= word_bytes(w); i += 2) {
        emit_size(w, 2);
        EMIT(w, 0xc7); /* MOV word [at + i], imm16 */
        emit_absolute(w, 0, at + i);
        emit_number(w, i < word_bytes(w) ? to >> 8 * i : sel, 2);
    }
    EMIT(w, 0xff); /* CALL, JMP */
    emit_absolute(w, chance(w, 50) ? 3 : 5, at);
}

/* IRET or RETF, to the same ring or an outer one. */
static void far_return(struct writer *w)
{
    const bool iret = chance(w, 60), outer = chance(w, 30);
    const unsigned user = w->s->code32 ? G_USER_CODE32 : G_USER_CODE16;
    if (outer) {
        emit_push(w, (user + 1) << 3 | 3); /* the data segment is behind the code segment */
        emit_push(w, data_offset(w, 0x800));
    }
    if (iret)
        emit_push(w, (uint32_t)gen_random(w->g) & 0x7fd5);
    emit_push(w, outer ? user << 3 | 3 : code_selector(w));
    emit_push(w, code_offset(w));
    EMIT(w, iret ? 0xcf : 0xcb);
}

/* IRETD to virtual-8086 mode, where the code goes on as 16-bit code. */
static void enter_vm86(struct writer *w)
{
    const uint32_t frame[] = {0x1000,
                              below(w, 0x10000),
                              SYS_DATA >> 4,
                              SYS_DATA >> 4,
                              SYS_STACK >> 4,
                              0x800 + 2 * below(w, 0x100),
                              FLAG_VM | FLAG_1 | (chance(w, 70) ? FLAG_IOPL : 0u),
                              SYS_CODE >> 4,
                              near_offset(w)};
    for (unsigned i = 0; i < sizeof frame / 4; i++) {
        emit_size(w, 4);
        EMIT(w, 0x68);
        emit_number(w, frame[i], 4);
    }
    emit_size(w, 4);
    EMIT(w, 0xcf);
}

static void software_interrupt(struct writer *w)
{
    EMIT(w, 0xcd, (uint8_t)below(w, chance(w, 70) ? 48 : 256));
}

/* --- system registers --- */

/* One bit of CR0 or CR4 is flipped, of those that change how code runs. */
static void change_control(struct writer *w)
{
    static const uint8_t cr0[] = {0, 1, 2, 3, 3, 5, 16, 18, 31}, cr4[] = {2, 3, 4, 5, 7, 9, 9, 10};
    const bool four = chance(w, 25);
    const uint8_t bit = four ? cr4[below(w, sizeof cr4)] : cr0[below(w, sizeof cr0)];
    const uint8_t modrm = 0xc0 | (four ? 4 << 3 : 0);
    EMIT(w, 0x0f, 0x20, modrm); /* mov eax, cr */
    emit_size(w, 4);
    EMIT(w, 0x0f, 0xba, 0xf8, bit); /* btc eax, bit */
    EMIT(w, 0x0f, 0x22, modrm);
    if (!four && bit == 0 && chance(w, 60))
        far_transfer(w);
}

static void reload_cr3(struct writer *w)
{
    EMIT(w, 0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8); /* mov eax, cr3; mov cr3, eax */
}

static void change_flags(struct writer *w)
{
    static const uint16_t bits[] = {FLAG_TF, FLAG_IF, FLAG_IF, FLAG_DF, FLAG_NT, FLAG_IOPL, FLAGS_ARITH};
    emit_push(w,
              bits[below(w, 7)] | (sys_chance(w->g, 50) ? FLAG_IF : 0u) | (gen_random(w->g) & FLAGS_ARITH));
    EMIT(w, 0x9d);
}

static void use_table_register(struct writer *w)
{
    EMIT(w, 0x0f, 0x01); /* SGDT SIDT LGDT LIDT */
    emit_absolute(w, below(w, 4), data_offset(w, SYS_TABLE_POINTERS + 8 * below(w, 4)));
}

/* Instructions that take or give a selector, or CR0's low half, in a register. */
static void use_selector(struct writer *w)
{
    static const uint8_t forms[][3] = {
        {0x0f, 0x00, 0xc0}, {0x0f, 0x00, 0xc8}, {0x0f, 0x00, 0xd0}, /* SLDT STR LLDT */
        {0x0f, 0x00, 0xd8}, {0x0f, 0x00, 0xe0}, {0x0f, 0x00, 0xe8}, /* LTR VERR VERW */
        {0x0f, 0x01, 0xe0}, {0x0f, 0x01, 0xf0}, {0x0f, 0x02, 0xd8}, /* SMSW LMSW LAR */
        {0x0f, 0x03, 0xd8}, {0x66, 0x63, 0xd8}, {0x66, 0x8c, 0xd8}, /* LSL ARPL MOV AX, DS */
    };
    static const uint8_t special[] = {G_LDT, G_TSS, G_TSS2};
    const unsigned which = below(w, sizeof forms / sizeof forms[0]);
    emit_mov(w, EAX, chance(w, 50) ? special[below(w, 3)] * 8u : sys_selector(w->g), 2);
    emit(w, forms[which], 3);
}

static void use_debug_register(struct writer *w)
{
    const uint8_t reg = (uint8_t)below(w, 8), modrm = 0xc0 | (uint8_t)(reg << 3);
    uint32_t v = chance(w, 50) ? SYS_CODE + near_offset(w) : SYS_DATA + below(w, SYS_DATA_BYTES);
    if (reg >= 4)
        v = (uint32_t)gen_random(w->g) & (chance(w, 90) ? 0xffff03ff : 0xffffffff);
    emit_mov(w, EAX, v, 4);
    EMIT(w, 0x0f, chance(w, 70) ? 0x23 : 0x21, modrm);
}

static void use_model_register(struct writer *w)
{
    static const uint32_t numbers[] = {0x10,  0x10,  0x1b,  0x8b,  0xc1,  0x174, 0x175,      0x176,
                                       0x186, 0x277, 0x2ff, 0x1a0, 0x200, 0x400, 0xc0000080, 0xc0000080};
    static const uint8_t code[] = {G_CODE32, G_CODE32, G_BASED_CODE32, G_USER_CODE32, 0};
    const uint32_t number = numbers[below(w, sizeof numbers / sizeof numbers[0])];
    uint32_t v = number == 0x174 ? code[below(w, sizeof code)] * 8u : code_offset(w);
    emit_mov(w, ECX, chance(w, 95) ? number : (uint32_t)gen_random(w->g), 4);
    if (number == 0xc0000080) {
        v = chance(w, 50) ? EFER_NXE : 0;
        emit_mov(w, EDX, 0, 4);
    }
    emit_mov(w, EAX, chance(w, 80) ? v : (uint32_t)gen_random(w->g), 4);
    EMIT(w, 0x0f, chance(w, 60) ? 0x30 : 0x32); /* WRMSR, RDMSR */
    if (number >= 0x174 && number <= 0x176 && chance(w, 30))
        EMIT(w, 0x0f, chance(w, 50) ? 0x34 : 0x35); /* SYSENTER, SYSEXIT */
}

/* --- memory --- */

/* ES becomes a segment that is based on the code or on 0. */
static void load_es(struct writer *w, unsigned descriptor)
{
    const uint32_t base = descriptor == G_DATA32 ? 0 : SYS_CODE >> 4;
    emit_mov(w, EAX, begins_8086(w) ? base : descriptor << 3, 2);
    EMIT(w, 0x8e, 0xc0);
}

static void change_code(struct writer *w)
{
    load_es(w, G_CODE_ALIAS);
    EMIT(w, 0x26, 0x80); /* ADD OR ADC SBB AND SUB XOR byte es:[offset], imm8 */
    emit_absolute(w, below(w, 7), near_offset(w));
    EMIT(w, (uint8_t)gen_random(w->g));
}

static void change_page_table(struct writer *w)
{
    const uint32_t page = chance(w, 80) ? 16 + below(w, 40) : below(w, 64);
    const uint32_t entry = (chance(w, 80) ? page : below(w, 64)) << 12 | (chance(w, 60) ? 7 : below(w, 256));
    load_es(w, G_DATA32);
    if (!w->s->code32)
        EMIT(w, 0x66, 0x67);
    EMIT(w, 0x26, 0xc7, 0x05); /* mov dword es:[entry's address], imm32 */
    emit_number(w, w->s->pae ? SYS_PAE + 8192 + 8 * page : SYS_PAGES + 4096 + 4 * page, 4);
    emit_number(w, entry, 4);
    if (chance(w, 40))
        reload_cr3(w);
}

/* The high half of an entry, or a half of a page directory pointer. */
static void change_pae_table(struct writer *w)
{
    static const uint32_t high[] = {0, 0, 1u << 31, 1u << 31, 1u << 30, 1};
    const bool pointer = chance(w, 20);
    load_es(w, G_DATA32);
    if (!w->s->code32)
        EMIT(w, 0x66, 0x67);
    EMIT(w, 0x26, 0xc7, 0x05);
    emit_number(w, pointer ? SYS_PAE + 4 * below(w, 8) : SYS_PAE + 8192 + 8 * (16 + below(w, 40)) + 4, 4);
    emit_number(w, pointer && chance(w, 70) ? (SYS_PAE + 4096) | 1 : high[below(w, 6)], 4);
    if (chance(w, 60))
        reload_cr3(w);
}

/* Often at the end of a segment, in either direction. */
static void repeat_string(struct writer *w)
{
    static const uint8_t opcodes[] = {0x6c, 0x6d, 0x6e, 0x6f, 0xa4, 0xa5, 0xa6,
                                      0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf};
    static const uint16_t ends[] = {0, 0xffff, 0x1fff, 0x3fff, 0x7fff, 0x1000};
    const unsigned bytes = chance(w, 50) ? 2 : 4;
    emit_mov(w, ECX, below(w, chance(w, 80) ? 12 : 200), bytes);
    for (unsigned reg = ESI; reg <= EDI; reg++)
        emit_mov(w, reg,
                 chance(w, 40) ? ends[below(w, 6)] + below(w, 16) - 8 : data_offset(w, below(w, 0x1800)),
                 bytes);
    EMIT(w, 0xfc | below(w, 2)); /* CLD, STD */
    if (bytes != word_bytes(w))
        EMIT(w, 0x67);
    EMIT(w, chance(w, 50) ? 0xf2 : 0xf3, opcodes[below(w, sizeof opcodes)]);
}

static void use_device(struct writer *w)
{
    emit_mov(w, EDX, below(w, chance(w, 80) ? 256 : 0x1000), 2);
    if (chance(w, 30))
        EMIT(w, 0x66);
    EMIT(w, 0xec | below(w, 4)); /* IN, OUT with DX */
}

static void use_device_memory(struct writer *w)
{
    load_es(w, G_DATA32);
    if (!w->s->code32)
        EMIT(w, 0x67);
    EMIT(w, 0x26, chance(w, 50) ? 0x8b : 0x01, 0x05); /* MOV r, es:[..]; ADD es:[..], r */
    emit_number(w, SYS_MMIO + below(w, 64), 4);
}

/* Index 0 is within bounds of 0 and 0. */
static void check_bounds(struct writer *w)
{
    emit_mov(w, EAX, chance(w, 80) ? 0 : sys_value(w->g), word_bytes(w));
    EMIT(w, 0x62);
    emit_absolute(w, EAX, data_offset(w, SYS_BOUNDS));
}

static void set_register(struct writer *w)
{
    emit_mov(w, ECX + below(w, 7), sys_value(w->g), chance(w, 70) ? 2 : 4);
}

/* --- rows of the tables --- */

/* Bytes behind the opcode: mostly such that displacements and immediates are small. */
static void operand_bytes(struct gen *g, uint8_t *p)
{
    enum { BYTES = 12 };
    const unsigned style = gen_below(g, 4);
    for (unsigned i = 0; i < BYTES; i++)
        p[i] = (uint8_t)gen_random(g);
    for (unsigned i = style; style && i < BYTES; i += 4) {
        p[i] &= 0x1f;
        for (unsigned k = 1; k < 3 && i + k < BYTES; k++)
            p[i + k] = 0;
    }
}

/* What would end or divert most cases, or takes long, comes more seldom. */
static unsigned row_percent(const struct oracle_row *row)
{
    if (row->test == T_SSE || row->test == T_X87)
        return 30;
    if (row->test == T_SYS || row->test == T_FAR || row->test == T_TRAP || row->test == T_IO ||
        row->test == T_SEG)
        return 30;
    return strcmp(row->mnemonic, "HLT") ? 100 : 30;
}

static unsigned put_prefixes(struct gen *g, const struct oracle_row *row, uint8_t *p)
{
    static const uint8_t segments[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65},
                         mandatory[] = {0, 0x66, 0xf3, 0xf2};
    unsigned n = 0;
    if (row->test == T_SSE && row->prefix)
        p[n++] = mandatory[row->prefix];
    else if (sys_chance(g, 20))
        p[n++] = 0x66;
    if (sys_chance(g, 10))
        p[n++] = 0x67;
    if (sys_chance(g, 10))
        p[n++] = segments[gen_below(g, sizeof segments)];
    if (row->test != T_SSE && sys_chance(g, row->test == T_STRING ? 50 : 2))
        p[n++] = sys_chance(g, 50) ? 0xf2 : 0xf3;
    if (sys_chance(g, 2))
        p[n++] = 0xf0;
    return n;
}

/* Another operand: data at an address that 16-byte operands need. */
static void aligned_operand(struct writer *w, uint8_t *modrm)
{
    const uint32_t offset = data_offset(w, below(w, SYS_DATA_BYTES) & ~15u);
    *modrm = (*modrm & 0x38) | (w->s->code32 ? 5 : 6);
    memcpy(modrm + 1, &offset, 4);
}

static void put_row(struct writer *w, const struct oracle_row *row, uint8_t *p)
{
    struct gen *g = w->g;
    unsigned n = put_prefixes(g, row, p);
    if (row->opcode > 0xff)
        p[n++] = 0x0f;
    p[n++] = (uint8_t)(row->opcode + (row->x87 ? 0 : gen_below(g, row->span)));
    operand_bytes(g, p + n);
    if (row->form == A_REG)
        p[n] |= 0xc0;
    else if (row->test == T_SSE && sys_chance(g, 50))
        aligned_operand(w, p + n);
    if (row->modrm >= 0)
        p[n] = (uint8_t)(row->modrm + gen_below(g, row->span));
    else if (row->reg >= 0)
        p[n] = (uint8_t)((p[n] & 0xc7) | row->reg << 3);
}

/* False: this draw is no instruction. */
static bool emit_row(struct writer *w, const struct oracle_row *row)
{
    uint8_t p[24];
    struct insn in;
    put_row(w, row, p);
    if (decode_insn(p, INSN_BYTES_MAX, w->s->code32, &in) != DECODE_OK)
        return false;
    emit(w, p, in.length);
    return true;
}

static void any_row(struct writer *w)
{
    const struct oracle_row *row;
    do
        row = &w->g->rows[below(w, w->g->nrows)];
    while (!chance(w, row_percent(row)) || !emit_row(w, row));
}

/* Rows in turn, from case to case, so that few cases reach all of them. */
static void rows_in_turn(struct writer *w)
{
    for (unsigned i = 0; i < ROWS_IN_TURN; i++) {
        const struct oracle_row *row = &w->g->rows[(w->s->seed * ROWS_IN_TURN + i) % w->g->nrows];
        while (!emit_row(w, row))
            ;
    }
}

/* --- a case's code --- */

static const struct item {
    void (*put)(struct writer *w);
    unsigned weight;
} items[] = {
    {any_row, 57},
    {enter_vm86, 1},
    {load_segment, 4},
    {far_transfer, 2},
    {far_transfer_by_memory, 1},
    {far_return, 2},
    {software_interrupt, 1},
    {change_control, 4},
    {reload_cr3, 1},
    {change_flags, 3},
    {use_table_register, 2},
    {use_selector, 3},
    {use_debug_register, 2},
    {use_model_register, 2},
    {change_code, 4},
    {change_page_table, 2},
    {change_pae_table, 2},
    {repeat_string, 4},
    {use_device, 3},
    {use_device_memory, 1},
    {check_bounds, 1},
    {set_register, 4},
};
enum { ITEMS = sizeof items / sizeof items[0] };

static void put_item(struct writer *w)
{
    unsigned total = 0, i = 0;
    for (unsigned k = 0; k < ITEMS; k++)
        total += items[k].weight;
    for (unsigned r = below(w, total); r >= items[i].weight; i++)
        r -= items[i].weight;
    items[i].put(w);
}

/* Round and round, so that blocks get hot. */
static void jump_back(struct writer *w)
{
    EMIT(w, 0xe9);
    emit_number(w, (uint32_t)(w->first - w->at) - word_bytes(w), word_bytes(w));
}

void system_put_code(struct gen *g, struct system_case *s, uint32_t at)
{
    struct writer w = {g, s, s->ram + at, s->ram + at, s->ram + SYS_CODE + SYS_CODE_BYTES};
    const unsigned n = gen_below(g, 45);
    rows_in_turn(&w);
    for (unsigned i = 0; i < n; i++)
        put_item(&w);
    jump_back(&w);
}
