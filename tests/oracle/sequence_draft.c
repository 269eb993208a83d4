/* sequence_draft.c - bytes, registers, flags and labels of a sequence being written. */
#include "tests/oracle/sequence_internal.h"

#include <string.h>

uint32_t seq_below(struct draft *d, uint32_t n)
{
    return (uint32_t)(gen_random(d->g) % n);
}

bool seq_chance(struct draft *d, unsigned percent)
{
    return seq_below(d, 100) < percent;
}

/* --- what an instruction does to registers and flags --- */

static void note_operand(struct facts *f, const ZydisDecodedOperand *o)
{
    if (!(o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
        return;
    if (o->type == ZYDIS_OPERAND_TYPE_MEMORY) {
        f->writes_memory = true;
    } else if (o->type == ZYDIS_OPERAND_TYPE_REGISTER) {
        ZydisRegister r = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LEGACY_32, o->reg.value);
        if (r < ZYDIS_REGISTER_EAX || r > ZYDIS_REGISTER_EDI)
            return;
        f->written |= (uint8_t)(1u << (r - ZYDIS_REGISTER_EAX));
        f->names_esp |= r == ZYDIS_REGISTER_ESP && o->visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT;
    }
}

bool seq_decode(const uint8_t *p, unsigned n, struct facts *f)
{
    ZydisDecoder decoder;
    memset(f, 0, sizeof *f);
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, p, n, &f->insn, f->operand)))
        return false;
    for (unsigned i = 0; i < f->insn.operand_count; i++)
        note_operand(f, &f->operand[i]);
    if (f->insn.cpu_flags)
        f->tested = f->insn.cpu_flags->tested & FLAGS_ARITH;
    if (f->insn.mnemonic == ZYDIS_MNEMONIC_PUSHF || f->insn.mnemonic == ZYDIS_MNEMONIC_PUSHFD)
        f->tested = FLAGS_ARITH;
    return true;
}

/* Flags that it defines whatever its operands are. */
static uint32_t defines(ZydisMnemonic m)
{
    switch (m) {
    case ZYDIS_MNEMONIC_ADD:
    case ZYDIS_MNEMONIC_SUB:
    case ZYDIS_MNEMONIC_CMP:
    case ZYDIS_MNEMONIC_NEG:
    case ZYDIS_MNEMONIC_ADC:
    case ZYDIS_MNEMONIC_SBB:
    case ZYDIS_MNEMONIC_XADD:
    case ZYDIS_MNEMONIC_CMPXCHG:
    case ZYDIS_MNEMONIC_POPFD:
    case ZYDIS_MNEMONIC_IRETD:
        return FLAGS_ARITH;
    case ZYDIS_MNEMONIC_AND:
    case ZYDIS_MNEMONIC_OR:
    case ZYDIS_MNEMONIC_XOR:
    case ZYDIS_MNEMONIC_TEST:
        return FLAGS_ARITH & ~(uint32_t)FLAG_AF;
    case ZYDIS_MNEMONIC_INC:
    case ZYDIS_MNEMONIC_DEC:
    case ZYDIS_MNEMONIC_SAHF:
        return FLAGS_ARITH & ~(uint32_t)(m == ZYDIS_MNEMONIC_SAHF ? FLAG_OF : FLAG_CF);
    case ZYDIS_MNEMONIC_STC:
    case ZYDIS_MNEMONIC_CLC:
        return FLAG_CF;
    default:
        return 0;
    }
}

/* --- bytes --- */

void seq_put8(struct draft *d, uint32_t at, uint32_t v)
{
    if (at - SEQ_CODE < SEQ_CODE_BYTES) /* a case may run off the end */
        d->s->code[at - SEQ_CODE] = (uint8_t)v;
}

void seq_put32(struct draft *d, uint32_t at, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        seq_put8(d, at + i, v >> 8 * i);
}

static void append(struct draft *d, const uint8_t *p, unsigned n)
{
    if (d->s->ninsns == SEQ_INSNS_MAX) {
        d->failed = true;
        return;
    }
    d->s->insn[d->s->ninsns++] = (struct seq_insn){d->at, d->undefined, (uint8_t)n};
    for (unsigned i = 0; i < n; i++)
        seq_put8(d, d->at + i, p[i]);
    d->at += n;
}

unsigned seq_any_reg(struct draft *d)
{
    static const uint8_t regs[] = {EAX, ECX, EDX, EBX, EBP, ESI, EDI};
    return regs[seq_below(d, sizeof regs)];
}

void seq_define_flags(struct draft *d)
{
    uint8_t a = (uint8_t)seq_any_reg(d), b = (uint8_t)seq_any_reg(d);
    const uint8_t forms[4][2] = {
        {0x39, 0xc0 | b << 3 | a}, {0x01, 0xc0 | b << 3 | a}, {0x29, 0xc0 | b << 3 | a}, {0xf7, 0xd8 | a}};
    unsigned form = seq_below(d, 4);
    append(d, forms[form], 2);
    if (form != 0)
        d->known_mask &= (uint8_t) ~(1u << a);
    d->undefined = 0;
}

void seq_emit(struct draft *d, const uint8_t *p, unsigned n, uint32_t undefined)
{
    struct facts f;
    if (!seq_decode(p, n, &f)) {
        d->failed = true;
        return;
    }
    if (f.tested & d->undefined)
        seq_define_flags(d);
    append(d, p, n);
    d->known_mask &= (uint8_t)~f.written;
    d->undefined = (uint16_t)((d->undefined & ~defines(f.insn.mnemonic)) | (undefined & FLAGS_ARITH));
}

void seq_emit_mov(struct draft *d, unsigned reg, uint32_t value)
{
    EMIT(d, (uint8_t)(0xb8 + reg), LE32(value));
    d->known_mask |= (uint8_t)(1u << reg);
    d->known[reg] = value;
}

/* --- labels --- */

void seq_push_selector(struct draft *d, uint8_t opcode)
{
    EMIT(d, 0x6a, 0x00);             /* push 0 */
    EMIT(d, 0x8d, 0x64, 0x24, 0x04); /* lea esp, [esp + 4] */
    EMIT(d, opcode);
}

struct label *seq_label_new(struct draft *d, unsigned countdown)
{
    for (unsigned i = 0; i < LABELS; i++)
        if (!d->label[i].pending) {
            d->label[i] = (struct label){.pending = true, .countdown = countdown};
            return &d->label[i];
        }
    d->failed = true;
    return &d->label[0];
}

static void fix(struct draft *d, const struct fixup *f, uint32_t target)
{
    int32_t distance = (int32_t)(target - f->at - (f->kind == FIX_REL8 ? 1 : 4));
    if (f->kind == FIX_ABS32)
        seq_put32(d, f->at, target + f->addend);
    else if (f->kind == FIX_REL32)
        seq_put32(d, f->at, (uint32_t)distance);
    else if (distance == (int8_t)distance)
        seq_put8(d, f->at, (uint32_t)distance);
    else
        d->failed = true;
}

void seq_label_use(struct draft *d, struct label *l, enum fixup_kind kind, uint32_t at, uint32_t addend)
{
    struct fixup f = {at, addend, (uint8_t)kind};
    if (l->placed)
        fix(d, &f, l->at);
    else if (l->nfixups < FIXUPS)
        l->fixup[l->nfixups++] = f;
    else
        d->failed = true;
}

void seq_label_jump(struct draft *d, struct label *l, enum fixup_kind kind)
{
    seq_label_use(d, l, kind, d->at - (kind == FIX_REL8 ? 1 : 4), 0);
    l->jumped = true;
    l->undefined |= d->undefined;
}

void seq_label_place(struct draft *d, struct label *l)
{
    if (l->has_slot)
        seq_skip_to_page_end(d);
    l->pending = false;
    l->placed = true, l->at = d->at;
    for (unsigned i = 0; i < l->nfixups; i++)
        fix(d, &l->fixup[i], d->at);
    if (l->jumped) {
        d->undefined |= l->undefined;
        d->known_mask = 0;
    }
    if (l->has_slot)
        seq_emit_slot(d, l->slot);
}

void seq_labels_step(struct draft *d, bool all)
{
    for (unsigned i = 0; i < LABELS; i++) {
        if (!d->label[i].pending)
            continue;
        if (all || d->label[i].countdown == 0)
            seq_label_place(d, &d->label[i]);
        else
            d->label[i].countdown--;
    }
}

/* --- data --- */

uint32_t seq_data_target(struct draft *d, bool writes)
{
    unsigned r = seq_below(d, 2000);
    if (r < 1500)
        return DATA_BASE + 64 + seq_below(d, DATA_PAGES * 4096 - 512);
    if (r < 1900) /* over a page end */
        return DATA_BASE + 4096 * (1 + seq_below(d, DATA_PAGES - 1)) - 12 + seq_below(d, 14);
    if (r < 1996)
        return !writes || seq_chance(d, 4) ? DATA_BASE + DATA_PAGES * 4096 + seq_below(d, 4000)
                                           : DATA_BASE + 4096 + seq_below(d, 256);
    switch (r) {
    case 1996:
        return DATA_BASE - 8 + seq_below(d, 8);
    case 1997:
        return DATA_BASE + SEQ_DATA_BYTES - 8 + seq_below(d, 16);
    case 1998:
        return DATA_BASE + DATA_PAGES * 4096 - 8 + seq_below(d, 8);
    default:
        return (uint32_t)gen_random(d->g);
    }
}

bool seq_in_data(uint32_t lin_addr)
{
    return lin_addr - (DATA_BASE + 16) < DATA_PAGES * 4096 - 64;
}

uint32_t seq_stack_top(struct draft *d)
{
    return (DATA_BASE + 4096 + seq_below(d, 2 * 4096)) & (seq_chance(d, 80) ? ~3u : ~0u);
}
