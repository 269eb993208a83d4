/* disas.c - see disas.h. */
#include "translator/x64/disas.h"

#include <stdlib.h>
#include <string.h>

#include <Zycore/Format.h>
#include <Zydis/Zydis.h>

#include "translator/x64/compile.h"
#include "translator/x64/control.h"

struct disas {
    const struct x64 *x;
    const struct tb *tb;
    enum x64_disas_style style;
    uint64_t start, far_start; /* addresses of the code's parts */
    uint32_t far, bytes;       /* offsets where the second begins and ends */
    uint8_t *labels;           /* by byte: a jump leads here */
};

enum { NAME_BYTES = 48 };

/* --- names of places in the code cache --- */

#define STUB(field, text)                                                                                    \
    {                                                                                                        \
        offsetof(struct stubs, field), text                                                                  \
    }
static const struct stub_name {
    size_t offset; /* in struct stubs */
    const char *name;
} stub_names[] = {
    STUB(exit, "exit"),
    STUB(exit_stored, "exit_stored"),
    STUB(leave, "leave"),
    STUB(promote[0], "promote"),
    STUB(promote[1], "promote_user"),
    STUB(load[0][0], "load8"),
    STUB(load[0][1], "load16"),
    STUB(load[0][2], "load32"),
    STUB(load_rw[0][0], "load_rw8"),
    STUB(load_rw[0][1], "load_rw16"),
    STUB(load_rw[0][2], "load_rw32"),
    STUB(store[0][0], "store8"),
    STUB(store[0][1], "store16"),
    STUB(store[0][2], "store32"),
    STUB(load[1][0], "load8_user"),
    STUB(load[1][1], "load16_user"),
    STUB(load[1][2], "load32_user"),
    STUB(load_rw[1][0], "load_rw8_user"),
    STUB(load_rw[1][1], "load_rw16_user"),
    STUB(load_rw[1][2], "load_rw32_user"),
    STUB(store[1][0], "store8_user"),
    STUB(store[1][1], "store16_user"),
    STUB(store[1][2], "store32_user"),
    STUB(segment, "segment"),
    STUB(same_segment[SEG_DS], "same_ds"),
    STUB(same_segment[SEG_ES], "same_es"),
    STUB(same_segment[SEG_FS], "same_fs"),
    STUB(same_segment[SEG_GS], "same_gs"),
    STUB(load_aside[SEG_FS], "load_fs"),
    STUB(load_aside[SEG_GS], "load_gs"),
    STUB(cond, "cond"),
    STUB(carry, "carry"),
    STUB(get_flags, "get_flags"),
    STUB(get_eflags, "get_eflags"),
    STUB(set_cf, "set_cf"),
    STUB(touch, "touch"),
    STUB(fpu_enter, "fpu_enter"),
    STUB(fpu_leave, "fpu_leave"),
    STUB(fpu_refuse, "fpu_refuse"),
    STUB(set_cf_of, "set_cf_of"),
    STUB(string[0][0][0], "rep_stos8"),
    STUB(string[0][0][1], "rep_stos16"),
    STUB(string[0][0][2], "rep_stos32"),
    STUB(string[0][1][0], "rep_movs8"),
    STUB(string[0][1][1], "rep_movs16"),
    STUB(string[0][1][2], "rep_movs32"),
    STUB(string[1][0][0], "rep_stos8_user"),
    STUB(string[1][0][1], "rep_stos16_user"),
    STUB(string[1][0][2], "rep_stos32_user"),
    STUB(string[1][1][0], "rep_movs8_user"),
    STUB(string[1][1][1], "rep_movs16_user"),
    STUB(string[1][1][2], "rep_movs32_user"),
    STUB(jump_miss[0], "jump_miss"),
    STUB(jump_miss[1], "jump_miss_user"),
};

static const char *stub_at(const struct x64 *x, uint64_t address)
{
    for (size_t i = 0; i < sizeof stub_names / sizeof stub_names[0]; i++) {
        uint8_t *write;
        memcpy(&write, (const char *)&x->stubs + stub_names[i].offset, sizeof write);
        if ((uint64_t)(uintptr_t)code_cache_exec(&x->cache, write) == address)
            return stub_names[i].name;
    }
    return NULL;
}

/* The code lies in two parts; offsets count through both. */
static uint64_t address_of(const struct disas *d, uint32_t offset)
{
    return offset < d->far ? d->start + offset : d->far_start + (offset - d->far);
}

/* False: the address is not in the code. */
static bool offset_of(const struct disas *d, uint64_t address, uint32_t *offset)
{
    if (address - d->start < d->far)
        *offset = (uint32_t)(address - d->start);
    else if (address - d->far_start < d->bytes - d->far)
        *offset = (uint32_t)(address - d->far_start) + d->far;
    else
        return false;
    return true;
}

static unsigned label_number(const struct disas *d, uint32_t offset)
{
    unsigned n = 0;
    for (uint32_t at = 0; at < offset; at++)
        n += d->labels[at];
    return n;
}

static void code_name(const struct disas *d, uint64_t address, char name[NAME_BYTES])
{
    const char *stub = stub_at(d->x, address);
    uint32_t offset;
    if (stub)
        snprintf(name, NAME_BYTES, "<stub %s>", stub);
    else if (d->style == X64_DISAS_LABELS && offset_of(d, address, &offset))
        snprintf(name, NAME_BYTES, "L%u", label_number(d, offset));
    else
        snprintf(name, NAME_BYTES, "0x%llx", (unsigned long long)address);
}

/* --- names of pointers --- */

static const char *const helper_names[HELPER_COUNT] = {
#define HELPER(name, ...) #name,
#include "translator/helpers.def"
#undef HELPER
};
static const char *const kind_names[X64_KIND_MASK + 1] = {
    [X64_EXIT_CHAIN1] = " chain1", [X64_EXIT_JUMP] = " jump",   [X64_EXIT_LIMIT] = " limit",
    [X64_EXIT_LEAVE] = " leave",   [X64_EXIT_FAULT] = " fault", [X64_EXIT_RAISE] = " raise",
    [X64_EXIT_OTHER] = " other"};

static const char *helper_at(const struct x64 *x, uint64_t value)
{
    for (unsigned i = 0; i < HELPER_COUNT; i++)
        if ((uint64_t)(uintptr_t)x->env.calls.helpers[i] == value)
            return helper_names[i];
    return NULL;
}

/* False: no pointer that this file knows. */
static bool pointer_name(const struct disas *d, uint64_t value, char name[NAME_BYTES])
{
    const uint64_t tb = (uint64_t)(uintptr_t)d->tb, ops = (uint64_t)(uintptr_t)d->tb->ops;
    const char *helper = helper_at(d->x, value), *kind = kind_names[value & X64_KIND_MASK];
    if ((value & ~(uint64_t)X64_KIND_MASK) == tb)
        snprintf(name, NAME_BYTES, "<tb%s>", kind ? kind : "");
    else if (value - ops < d->tb->nops * sizeof d->tb->ops[0])
        snprintf(name, NAME_BYTES, "<op %u>", (unsigned)((value - ops) / sizeof d->tb->ops[0]));
    else if (helper)
        snprintf(name, NAME_BYTES, "<helper %s>", helper);
    else if (value == (uint64_t)(uintptr_t)x64_eval)
        snprintf(name, NAME_BYTES, "<x64_eval>");
    else
        return false;
    return true;
}

/* --- names of fields of the state --- */

#define FIELD(f)                                                                                             \
    {                                                                                                        \
        offsetof(struct guest_state, f), #f                                                                  \
    }
static const struct field_name {
    uint32_t offset;
    const char *name;
} guest_fields[] = {FIELD(budget), FIELD(eip), FIELD(eflags), FIELD(df), FIELD(cpl), FIELD(int_shadow)};

static bool guest_field_name(uint32_t offset, char name[NAME_BYTES])
{
    static const char *const segments[SEG_COUNT] = {"es", "cs", "ss", "ds", "fs", "gs"};
    static const struct field_name parts[] = {{offsetof(struct segment, sel), "sel"},
                                              {offsetof(struct segment, access), "access"},
                                              {offsetof(struct segment, base), "base"},
                                              {offsetof(struct segment, limit), "limit"}};
    const uint32_t in_seg = offset - (uint32_t)offsetof(struct guest_state, seg);
    for (size_t i = 0; i < sizeof guest_fields / sizeof guest_fields[0]; i++)
        if (guest_fields[i].offset == offset)
            return snprintf(name, NAME_BYTES, "%s", guest_fields[i].name) > 0;
    for (size_t i = 0; i < 4; i++)
        if (in_seg < SEG_COUNT * sizeof(struct segment) && in_seg % sizeof(struct segment) == parts[i].offset)
            return snprintf(name, NAME_BYTES, "%s.%s", segments[in_seg / sizeof(struct segment)],
                            parts[i].name) > 0;
    return false;
}

/* A field of an entry of one of the TLBs. */
static bool tlb_field_name(const struct x64_env *env, uint32_t offset, char name[NAME_BYTES])
{
    const uint32_t tables[4] = {env->tlb[0], env->tlb[1], env->itlb[0], env->itlb[1]};
    static const char *const table_names[4] = {"tlb", "tlb_user", "itlb", "itlb_user"};
    for (unsigned t = 0; t < 4; t++) {
        const struct field_name fields[] = {{env->tag_r, "tag_r"},
                                            t < 2 ? (struct field_name){env->tag_w, "tag_w"}
                                                  : (struct field_name){env->fetch_at, "fetch_at"},
                                            {env->addend, "addend"},
                                            {env->phys_page, "phys_page"}};
        const uint32_t in_table = offset - tables[t], entry = in_table / env->tlb_entry_bytes;
        if (entry >= 1u << env->tlb_bits)
            continue;
        for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
            if (in_table % env->tlb_entry_bytes == fields[i].offset)
                return snprintf(name, NAME_BYTES, "%s[%u].%s", table_names[t], entry, fields[i].name) > 0;
    }
    return false;
}

static bool jumps_field_name(uint32_t offset, char name[NAME_BYTES])
{
    enum { KEY = offsetof(struct x64_jumps, key), CODE = offsetof(struct x64_jumps, code) };
    if (offset - KEY < X64_JUMP_PLACES * 8)
        return snprintf(name, NAME_BYTES, "jumps.key[0x%x]", (offset - KEY) / 8) > 0;
    if (offset - CODE < X64_JUMP_PLACES * 8)
        return snprintf(name, NAME_BYTES, "jumps.code[0x%x]", (offset - CODE) / 8) > 0;
    return offset == offsetof(struct x64_jumps, hi) && snprintf(name, NAME_BYTES, "jumps.hi") > 0;
}

static bool owner_field_name(const struct x64_env *env, uint32_t offset, char name[NAME_BYTES])
{
    if (offset == env->running_tb)
        return snprintf(name, NAME_BYTES, "running_tb") > 0;
    if (offset == env->wants)
        return snprintf(name, NAME_BYTES, "wants") > 0;
    if (offset == env->likely)
        return snprintf(name, NAME_BYTES, "likely_addend") > 0;
    if (jumps_field_name(offset - env->jumps, name))
        return true;
    return tlb_field_name(env, offset, name);
}

static void state_name(const struct disas *d, uint32_t offset, char name[NAME_BYTES])
{
    if (offset < IR_NSLOTS * 4)
        snprintf(name, NAME_BYTES, "%s", ir_slot_name(offset / 4));
    else if (!guest_field_name(offset, name) && !owner_field_name(&d->x->env, offset, name))
        snprintf(name, NAME_BYTES, "state+0x%x", offset);
}

/* --- Zydis formatter hooks --- */

static ZyanStatus append(ZydisFormatterBuffer *buffer, const char *prefix, const char *name)
{
    ZyanString *text;
    ZYAN_CHECK(ZydisFormatterBufferAppend(buffer, ZYDIS_TOKEN_SYMBOL));
    ZYAN_CHECK(ZydisFormatterBufferGetString(buffer, &text));
    return ZyanStringAppendFormat(text, "%s%s", prefix, name);
}

static ZyanStatus print_address(const ZydisFormatter *formatter, ZydisFormatterBuffer *buffer,
                                ZydisFormatterContext *context)
{
    char name[NAME_BYTES];
    ZyanU64 address;
    ZYAN_CHECK(
        ZydisCalcAbsoluteAddress(context->instruction, context->operand, context->runtime_address, &address));
    code_name(context->user_data, address, name);
    return append(buffer, "", name);
}

static ZyanStatus print_immediate(const ZydisFormatter *formatter, ZydisFormatterBuffer *buffer,
                                  ZydisFormatterContext *context)
{
    char name[NAME_BYTES];
    const uint64_t value = context->operand->imm.value.u;
    if (context->instruction->raw.imm[0].size == 64 && pointer_name(context->user_data, value, name))
        return append(buffer, "", name);
    snprintf(name, sizeof name, "0x%llx",
             (unsigned long long)(context->operand->size == 64
                                      ? value
                                      : value & ((UINT64_C(1) << context->operand->size) - 1)));
    return append(buffer, "", name);
}

static ZyanStatus print_displacement(const ZydisFormatter *formatter, ZydisFormatterBuffer *buffer,
                                     ZydisFormatterContext *context)
{
    char name[NAME_BYTES];
    const int64_t disp = context->operand->mem.disp.value;
    if (context->instruction->mnemonic == ZYDIS_MNEMONIC_LEA && disp == -X64_STATE_BIAS)
        return append(buffer, "+", "state");
    if (context->operand->mem.base == ZYDIS_REGISTER_R15) {
        state_name(context->user_data, (uint32_t)(disp + X64_STATE_BIAS), name);
        return append(buffer, "+", name);
    }
    snprintf(name, sizeof name, "0x%llx", (unsigned long long)(disp < 0 ? -disp : disp));
    return append(buffer, disp < 0 ? "-" : "+", name);
}

static void set_hook(ZydisFormatter *formatter, ZydisFormatterFunction which, ZydisFormatterFunc hook)
{
    const void *function;
    memcpy(&function, &hook, sizeof function);
    ZydisFormatterSetHook(formatter, which, &function);
}

static void formatter_init(ZydisFormatter *formatter)
{
    ZydisFormatterInit(formatter, ZYDIS_FORMATTER_STYLE_INTEL);
    set_hook(formatter, ZYDIS_FORMATTER_FUNC_PRINT_ADDRESS_ABS, print_address);
    set_hook(formatter, ZYDIS_FORMATTER_FUNC_PRINT_IMM, print_immediate);
    set_hook(formatter, ZYDIS_FORMATTER_FUNC_PRINT_DISP, print_displacement);
}

/* --- the listing --- */

struct host_insn {
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

static bool decode_at(const struct disas *d, uint32_t offset, struct host_insn *h)
{
    ZydisDecoder decoder;
    const uint32_t end = offset < d->far ? d->far : d->bytes;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, (const void *)(uintptr_t)address_of(d, offset),
                                               end - offset, &h->insn, h->operands));
}

static void find_labels(struct disas *d)
{
    struct host_insn h;
    ZyanU64 to;
    uint32_t label;
    for (uint32_t at = 0; at < d->bytes && decode_at(d, at, &h); at += h.insn.length)
        if (h.insn.raw.imm[0].is_relative &&
            ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&h.insn, &h.operands[0], address_of(d, at), &to)) &&
            offset_of(d, to, &label))
            d->labels[label] = 1;
}

static void each_line(struct disas *d, x64_line_fn *line, void *ctx)
{
    ZydisFormatter formatter;
    struct host_insn h;
    char text[256];
    formatter_init(&formatter);
    for (uint32_t at = 0; at < d->bytes && decode_at(d, at, &h); at += h.insn.length) {
        ZydisFormatterFormatInstruction(&formatter, &h.insn, h.operands, h.insn.operand_count_visible, text,
                                        sizeof text, address_of(d, at), d);
        line(ctx, at, h.insn.length, text);
    }
}

static bool disas_begin(struct disas *d, const struct x64 *x, const struct tb *tb, enum x64_disas_style style)
{
    const struct tb_native *n = &tb->native;
    *d = (struct disas){.x = x,
                        .tb = tb,
                        .style = style,
                        .start = (uint64_t)(uintptr_t)(x->cache.exec + n->offset),
                        .far_start = (uint64_t)(uintptr_t)(x->cache.exec + n->far_offset),
                        .far = n->far,
                        .bytes = n->bytes,
                        .labels = calloc(n->bytes + 1u, 1)};
    if (d->labels)
        find_labels(d);
    return d->labels;
}

void x64_disas_each(const struct x64 *x, const struct tb *tb, enum x64_disas_style style, x64_line_fn *line,
                    void *ctx)
{
    struct disas d;
    if (!disas_begin(&d, x, tb, style))
        return;
    each_line(&d, line, ctx);
    free(d.labels);
}

struct printing {
    FILE *out;
    const struct disas *d;
};

static void print_line(void *ctx, uint32_t offset, unsigned bytes, const char *text)
{
    const struct printing *p = ctx;
    (void)bytes;
    if (p->d->style == X64_DISAS_ADDRESSES)
        fprintf(p->out, "0x%llx:  ", (unsigned long long)address_of(p->d, offset));
    else if (p->d->labels[offset])
        fprintf(p->out, "L%u:\n  ", label_number(p->d, offset));
    else
        fputs("  ", p->out);
    fprintf(p->out, "%s\n", text);
}

void x64_disas(FILE *out, const struct x64 *x, const struct tb *tb, enum x64_disas_style style)
{
    struct disas d;
    struct printing p = {out, &d};
    if (!disas_begin(&d, x, tb, style))
        return;
    each_line(&d, print_line, &p);
    free(d.labels);
}

void x64_count_parts(const struct x64_block_parts *p, uint32_t from, uint32_t end,
                     unsigned insns[X64_PART_COUNT])
{
    const struct disas d = {.start = (uint64_t)(uintptr_t)p->code, .far = end, .bytes = end};
    struct host_insn h;
    for (uint32_t at = from; at < end && decode_at(&d, at, &h); at += h.insn.length)
        insns[p->of[at]]++;
}
