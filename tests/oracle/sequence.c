/* sequence.c - draws the sequences: see sequence.h. */
#include "tests/oracle/sequence.h"

#include <Zydis/Zydis.h>
#include <string.h>

#include "tests/oracle/gen_float.h"
#include "tests/oracle/gen_sse.h"
#include "translator/sse.h"

enum { LABELS = 24, FIXUPS = 24, HEADS = 16, SLOTS = 12, FUNCTIONS = 3 };
enum { EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI };

/* Where an address or a distance to a label has to be written. */
enum fixup_kind { FIX_REL8, FIX_REL32, FIX_ABS32 };
struct fixup {
    uint32_t at, addend;
    uint8_t kind;
};

/* An instruction that is there to be changed. */
enum slot_kind { SLOT_MOV, SLOT_ADD32, SLOT_ADD8, SLOT_INC, SLOT_JMP, SLOT_LOAD, SLOT_REGREG, SLOT_NOP, SLOT_KINDS };
struct slot {
    uint32_t at;
    uint8_t kind;
};

/* A place that is not reached yet, or only now. */
struct label {
    bool pending, jumped, has_slot; /* used at all; by a jump; an instruction to be changed is put there */
    bool placed;               /* now it is, at `at` */
    uint32_t at;
    uint8_t slot;              /* enum slot_kind */
    unsigned countdown;        /* items until then */
    uint16_t undefined;        /* flags, over all jumps */
    unsigned nfixups;
    struct fixup fixup[FIXUPS];
};

struct draft {
    struct gen *g;
    struct sequence *s;
    uint32_t at;
    uint16_t undefined;        /* flags, here */
    uint8_t known_mask;        /* registers whose value here is fixed, */
    uint32_t known[8];         /* and the value */
    struct label label[LABELS], function[FUNCTIONS], function_slot[FUNCTIONS], out;
    uint32_t head[HEADS];
    struct slot slot[SLOTS];
    unsigned nheads, nslots;
    bool in_functions;         /* the main part is written */
    bool failed;               /* a short jump did not reach, or a table is full: draw another */
};

/* What Zydis says about an instruction. */
struct facts {
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operand[ZYDIS_MAX_OPERAND_COUNT];
    uint8_t written;           /* registers */
    bool writes_memory, names_esp; /* ESP is an explicit destination */
    uint32_t tested;           /* flags */
};

#define LE32(v) (uint8_t)(v), (uint8_t)((v) >> 8), (uint8_t)((v) >> 16), (uint8_t)((v) >> 24)
#define EMIT(d, ...) emit(d, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), 0)

static uint32_t below(struct draft *d, uint32_t n)
{
    return (uint32_t)(gen_random(d->g) % n);
}

static bool chance(struct draft *d, unsigned percent)
{
    return below(d, 100) < percent;
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

static bool decode(const uint8_t *p, unsigned n, struct facts *f)
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
    case ZYDIS_MNEMONIC_ADD: case ZYDIS_MNEMONIC_SUB: case ZYDIS_MNEMONIC_CMP: case ZYDIS_MNEMONIC_NEG:
    case ZYDIS_MNEMONIC_ADC: case ZYDIS_MNEMONIC_SBB: case ZYDIS_MNEMONIC_XADD: case ZYDIS_MNEMONIC_CMPXCHG:
    case ZYDIS_MNEMONIC_POPFD: case ZYDIS_MNEMONIC_IRETD:
        return FLAGS_ARITH;
    case ZYDIS_MNEMONIC_AND: case ZYDIS_MNEMONIC_OR: case ZYDIS_MNEMONIC_XOR: case ZYDIS_MNEMONIC_TEST:
        return FLAGS_ARITH & ~(uint32_t)FLAG_AF;
    case ZYDIS_MNEMONIC_INC: case ZYDIS_MNEMONIC_DEC: case ZYDIS_MNEMONIC_SAHF:
        return FLAGS_ARITH & ~(uint32_t)(m == ZYDIS_MNEMONIC_SAHF ? FLAG_OF : FLAG_CF);
    case ZYDIS_MNEMONIC_STC: case ZYDIS_MNEMONIC_CLC:
        return FLAG_CF;
    default:
        return 0;
    }
}

/* --- bytes --- */

static void put8(struct draft *d, uint32_t at, uint32_t v)
{
    if (at - SEQ_CODE < SEQ_CODE_BYTES) /* a case may run off the end */
        d->s->code[at - SEQ_CODE] = (uint8_t)v;
}

static void put32(struct draft *d, uint32_t at, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        put8(d, at + i, v >> 8 * i);
}

static void append(struct draft *d, const uint8_t *p, unsigned n)
{
    if (d->s->ninsns == SEQ_INSNS_MAX) {
        d->failed = true;
        return;
    }
    d->s->insn[d->s->ninsns++] = (struct seq_insn){d->at, d->undefined, (uint8_t)n};
    for (unsigned i = 0; i < n; i++)
        put8(d, d->at + i, p[i]);
    d->at += n;
}

static unsigned any_reg(struct draft *d)
{
    static const uint8_t regs[] = {EAX, ECX, EDX, EBX, EBP, ESI, EDI};
    return regs[below(d, sizeof regs)];
}

/* An instruction on registers alone, so that it cannot fault, which leaves no flag undefined. */
static void define_flags(struct draft *d)
{
    uint8_t a = (uint8_t)any_reg(d), b = (uint8_t)any_reg(d);
    const uint8_t forms[4][2] = {{0x39, 0xc0 | b << 3 | a}, {0x01, 0xc0 | b << 3 | a}, {0x29, 0xc0 | b << 3 | a}, {0xf7, 0xd8 | a}};
    unsigned form = below(d, 4);
    append(d, forms[form], 2);
    if (form != 0)
        d->known_mask &= (uint8_t)~(1u << a);
    d->undefined = 0;
}

/* Appends an instruction that leaves `undefined` flags so. */
static void emit(struct draft *d, const uint8_t *p, unsigned n, uint32_t undefined)
{
    struct facts f;
    if (!decode(p, n, &f)) {
        d->failed = true;
        return;
    }
    if (f.tested & d->undefined)
        define_flags(d);
    append(d, p, n);
    d->known_mask &= (uint8_t)~f.written;
    d->undefined = (uint16_t)((d->undefined & ~defines(f.insn.mnemonic)) | (undefined & FLAGS_ARITH));
}

static void emit_mov(struct draft *d, unsigned reg, uint32_t value)
{
    EMIT(d, (uint8_t)(0xb8 + reg), LE32(value));
    d->known_mask |= (uint8_t)(1u << reg);
    d->known[reg] = value;
}

/* --- labels --- */

static struct label *label_new(struct draft *d, unsigned countdown)
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
        put32(d, f->at, target + f->addend);
    else if (f->kind == FIX_REL32)
        put32(d, f->at, (uint32_t)distance);
    else if (distance == (int8_t)distance)
        put8(d, f->at, (uint32_t)distance);
    else
        d->failed = true;
}

static void label_use(struct draft *d, struct label *l, enum fixup_kind kind, uint32_t at, uint32_t addend)
{
    struct fixup f = {at, addend, (uint8_t)kind};
    if (l->placed)
        fix(d, &f, l->at);
    else if (l->nfixups < FIXUPS)
        l->fixup[l->nfixups++] = f;
    else
        d->failed = true;
}

/* The instruction just appended jumps there: its distance or address is in its last bytes. */
static void label_jump(struct draft *d, struct label *l, enum fixup_kind kind)
{
    label_use(d, l, kind, d->at - (kind == FIX_REL8 ? 1 : 4), 0);
    l->jumped = true;
    l->undefined |= d->undefined;
}

/* --- instructions to be changed --- */

/* Adds a register to a sum in memory, so that its value shows in the end even if something overwrites it. */
static void accumulate(struct draft *d, unsigned reg)
{
    EMIT(d, 0x01, 0x05 | reg << 3, LE32(SEQ_FUEL + 128 + 4 * below(d, 8)));
}

/* Goes on so close to the page end that an instruction of a few bytes runs over it. */
static void skip_to_page_end(struct draft *d)
{
    uint32_t page_end = (d->at + 4095) & ~4095u, to = page_end - 1 - below(d, 4);
    if (to - d->at - 5 < 400 && chance(d, 30))
        EMIT(d, 0xe9, LE32(to - d->at - 5)), d->at = to;
}

static void emit_slot(struct draft *d, unsigned kind)
{
    uint8_t r = (uint8_t)any_reg(d), r2 = (uint8_t)any_reg(d);
    uint32_t v = (uint32_t)gen_random(d->g), data = DATA_BASE + 256 * (1 + below(d, 50));
    uint16_t undefined = d->undefined;
    if (d->nslots < SLOTS)
        d->slot[d->nslots++] = (struct slot){d->at, (uint8_t)kind};
    switch (kind) {
    case SLOT_MOV: EMIT(d, 0xb8 + r, LE32(v)); break;
    case SLOT_ADD32: EMIT(d, 0x81, 0xc0 + r, LE32(v)); break;
    case SLOT_ADD8: EMIT(d, 0x83, 0xc0 + r, (uint8_t)v); break;
    case SLOT_INC: EMIT(d, 0x40 + r); break;
    case SLOT_JMP: EMIT(d, 0xeb, 0), EMIT(d, 0x40 + r), EMIT(d, 0x48 + r2); break;
    case SLOT_LOAD: EMIT(d, 0xa1, LE32(data)); break;
    case SLOT_REGREG: EMIT(d, 0x01, 0xc0 | r2 << 3 | r); break;
    default: EMIT(d, 0x66, 0x90); break;
    }
    d->known_mask = 0; /* another one by the time it runs */
    d->undefined = undefined;
    if (chance(d, 60))
        accumulate(d, kind == SLOT_LOAD ? EAX : r);
}

/* What may be written into a slot: `bytes` at `offset`. any: whatever the value is; else `toggle`, if not 0, may be XORed
 * to the byte there. */
struct patch {
    uint32_t offset, value;
    unsigned bytes;
    bool any;
    uint8_t toggle;
};

static struct patch patch_for(struct draft *d, unsigned kind)
{
    uint32_t v = (uint32_t)gen_random(d->g);
    uint8_t r = (uint8_t)any_reg(d), r2 = (uint8_t)any_reg(d);
    switch (kind) {
    case SLOT_MOV:
    case SLOT_ADD32: {
        uint32_t first = kind == SLOT_MOV ? 1 : 2;
        unsigned bytes = 1u << below(d, 3);
        return (struct patch){first + (bytes == 4 ? 0 : below(d, 5 - bytes)), v, bytes, true, 0};
    }
    case SLOT_ADD8: return (struct patch){2, v & 255, 1, true, 0};
    case SLOT_INC: return (struct patch){0, (chance(d, 50) ? 0x40u : 0x48u) + r, 1, false, 8}; /* INC, DEC */
    case SLOT_JMP: return (struct patch){1, 2 * below(d, 2), 1, false, 2};
    case SLOT_LOAD: return (struct patch){1, v & 255, 1, true, 0};
    case SLOT_REGREG: /* ADD, SUB */
        return (struct patch){0, (chance(d, 50) ? 0x01 : 0x29) | (0xc0u | r2 << 3 | r) << 8, 2, false, 0x28};
    default: return (struct patch){0, chance(d, 20) ? 0x0b0f : 0x9066, 2, false, 0}; /* UD2, NOP */
    }
}

static void label_place(struct draft *d, struct label *l)
{
    if (l->has_slot)
        skip_to_page_end(d);
    l->pending = false;
    l->placed = true, l->at = d->at;
    for (unsigned i = 0; i < l->nfixups; i++)
        fix(d, &l->fixup[i], d->at);
    if (l->jumped) {
        d->undefined |= l->undefined;
        d->known_mask = 0;
    }
    if (l->has_slot)
        emit_slot(d, l->slot);
}

/* Places those that are due; all: every one. */
static void labels_step(struct draft *d, bool all)
{
    for (unsigned i = 0; i < LABELS; i++) {
        if (!d->label[i].pending)
            continue;
        if (all || d->label[i].countdown == 0)
            label_place(d, &d->label[i]);
        else
            d->label[i].countdown--;
    }
}

/* --- data --- */

static uint32_t data_target(struct draft *d, bool writes)
{
    unsigned r = below(d, 2000);
    if (r < 1500)
        return DATA_BASE + 64 + below(d, DATA_PAGES * 4096 - 512);
    if (r < 1900) /* over a page end */
        return DATA_BASE + 4096 * (1 + below(d, DATA_PAGES - 1)) - 12 + below(d, 14);
    if (r < 1996)
        return !writes || chance(d, 4) ? DATA_BASE + DATA_PAGES * 4096 + below(d, 4000) : DATA_BASE + 4096 + below(d, 256);
    switch (r) {
    case 1996: return DATA_BASE - 8 + below(d, 8);
    case 1997: return DATA_BASE + SEQ_DATA_BYTES - 8 + below(d, 16);
    case 1998: return DATA_BASE + DATA_PAGES * 4096 - 8 + below(d, 8);
    default: return (uint32_t)gen_random(d->g);
    }
}

static bool in_data(uint32_t lin_addr)
{
    return lin_addr - (DATA_BASE + 16) < DATA_PAGES * 4096 - 64;
}

static uint32_t stack_top(struct draft *d)
{
    return (DATA_BASE + 4096 + below(d, 2 * 4096)) & (chance(d, 80) ? ~3u : ~0u);
}

/* --- control --- */

/* A transfer to a head or a function: CF is what their counting leaves alone. */
static void before_transfer(struct draft *d)
{
    if (d->undefined & FLAG_CF)
        define_flags(d);
}

static void emit_head(struct draft *d)
{
    before_transfer(d);
    if (d->nheads < HEADS)
        d->head[d->nheads++] = d->at;
    d->undefined = FLAGS_ARITH & ~FLAG_CF; /* over all that may come here; it may fault where DS is not usable */
    EMIT(d, 0xff, 0x0d, LE32(SEQ_FUEL));   /* dec dword [fuel] */
    EMIT(d, 0x0f, 0x88, LE32(0));        /* js out */
    label_jump(d, &d->out, FIX_REL32);
    d->known_mask = 0;
    if (chance(d, 60))
        emit_mov(d, ESP, stack_top(d));
}

static uint32_t maybe_alias(struct draft *d)
{
    return d->s->alias && chance(d, 30) ? SEQ_ALIAS - SEQ_CODE : 0;
}

static void jump_forward(struct draft *d)
{
    unsigned countdown = below(d, 7), kind = below(d, 8);
    struct label *l = label_new(d, countdown);
    bool near = countdown < 3;
    uint8_t cc = (uint8_t)below(d, 16);
    if (kind < 5 && near)
        EMIT(d, 0x70 + cc, 0);
    else if (kind < 5)
        EMIT(d, 0x0f, 0x80 + cc, LE32(0));
    else if (kind == 5 && near)
        EMIT(d, 0xe0 + below(d, 4), 0); /* LOOPNE LOOPE LOOP JECXZ */
    else if (near)
        EMIT(d, 0xeb, 0);
    else
        EMIT(d, 0xe9, LE32(0));
    label_jump(d, l, near ? FIX_REL8 : FIX_REL32);
}

static void jump_back(struct draft *d)
{
    if (d->nheads == 0)
        return;
    uint32_t to = d->head[below(d, d->nheads)], kind = below(d, 10);
    uint8_t r = (uint8_t)any_reg(d);
    bool near = d->at + 16 - to < 120; /* room for an instruction that defines flags */
    before_transfer(d);
    if (kind < 5) {
        EMIT(d, 0x0f, 0x80 + below(d, 16), LE32(0));
        put32(d, d->at - 4, to - d->at);
    } else if (kind < 8 && near) {
        EMIT(d, chance(d, 50) ? 0xe0 + below(d, 3) : 0x70 + below(d, 16), 0);
        put8(d, d->at - 1, to - d->at);
    } else if (kind == 8) {
        EMIT(d, 0xb8 + r, LE32(to + maybe_alias(d)));
        EMIT(d, 0xff, 0xe0 + r);
    } else {
        EMIT(d, 0xe9, LE32(to - d->at - 5));
    }
}

static uint32_t pointer(struct draft *d)
{
    return SEQ_FUEL + 64 + 4 * below(d, 16);
}

/* mov dword [at], label */
static void store_pointer(struct draft *d, uint32_t at, struct label *l)
{
    EMIT(d, 0xc7, 0x05, LE32(at), LE32(0));
    label_use(d, l, FIX_ABS32, d->at - 4, maybe_alias(d));
}

static void jump_indirect(struct draft *d)
{
    struct label *l = label_new(d, below(d, 6));
    uint8_t r = (uint8_t)any_reg(d);
    uint32_t at = pointer(d);
    switch (below(d, 3)) {
    case 0:
        EMIT(d, 0xb8 + r, LE32(0));
        label_use(d, l, FIX_ABS32, d->at - 4, maybe_alias(d));
        EMIT(d, 0xff, 0xe0 + r);
        break;
    case 1:
        store_pointer(d, at, l);
        EMIT(d, 0xff, 0x25, LE32(at));
        break;
    default:
        EMIT(d, 0x68, LE32(0));
        label_use(d, l, FIX_ABS32, d->at - 4, maybe_alias(d));
        EMIT(d, 0xc3);
        break;
    }
    l->jumped = true;
    l->undefined |= d->undefined;
}

static void call_function(struct draft *d)
{
    struct label *f = &d->function[below(d, FUNCTIONS)];
    uint8_t r = (uint8_t)any_reg(d);
    uint32_t at = pointer(d);
    f->pending = true;
    before_transfer(d);
    switch (below(d, 4)) {
    case 0:
        EMIT(d, 0xb8 + r, LE32(0));
        label_use(d, f, FIX_ABS32, d->at - 4, maybe_alias(d));
        EMIT(d, 0xff, 0xd0 + r);
        break;
    case 1:
        store_pointer(d, at, f);
        EMIT(d, 0xff, 0x15, LE32(at));
        break;
    default:
        EMIT(d, 0xe8, LE32(0));
        label_use(d, f, FIX_REL32, d->at - 4, 0);
        break;
    }
    f->jumped = true;
    f->undefined |= d->undefined;
    d->undefined = 0; /* returns come with all flags defined */
    emit_head(d);     /* a return to here through an old address on the stack goes backwards, too */
}

static void emit_return(struct draft *d)
{
    if (d->undefined)
        define_flags(d);
    if (chance(d, 20))
        EMIT(d, 0xc2, 4 * below(d, 3), 0);
    else
        EMIT(d, 0xc3);
}

/* --- code changes --- */

/* SDM 3A 8.3: IRET and CPUID are serializing instructions. What CPUID says must not be left when the code ends. */
static void serialize(struct draft *d)
{
    bool room = d->at + 64 < SEQ_CODE + SEQ_CODE_BYTES;
    if (room && chance(d, 10)) {
        EMIT(d, 0x0f, 0xa2);
        for (unsigned r = EAX; r <= EBX; r++)
            emit_mov(d, r, (uint32_t)gen_random(d->g));
        return;
    }
    EMIT(d, 0x9c);
    EMIT(d, 0x0e);
    EMIT(d, 0x68, LE32(d->at + 6));
    EMIT(d, 0xcf);
}

/* The address of what is to be changed: a slot, or a label where one will be. */
struct place {
    struct label *label;
    uint32_t at, addend;
};

static void put_address(struct draft *d, const struct place *p, uint32_t field)
{
    if (p->label)
        label_use(d, p->label, FIX_ABS32, field, p->addend);
    else
        put32(d, field, p->at + p->addend);
}

static void store_imm(struct draft *d, const struct place *p, const struct patch *x)
{
    if (x->bytes == 1)
        EMIT(d, 0xc6, 0x05, LE32(0), (uint8_t)x->value);
    else if (x->bytes == 2)
        EMIT(d, 0x66, 0xc7, 0x05, LE32(0), (uint8_t)x->value, (uint8_t)(x->value >> 8));
    else
        EMIT(d, 0xc7, 0x05, LE32(0), LE32(x->value));
    put_address(d, p, d->at - x->bytes - 4);
}

/* The accumulator, through an absolute address or a register; where any value will do, mostly what happens to be in it. */
static void store_reg(struct draft *d, const struct place *p, const struct patch *x)
{
    static const uint8_t base[] = {ECX, EDX, EBX, ESI, EDI};
    uint8_t r = base[below(d, sizeof base)], op = x->bytes == 1 ? 0x88 : 0x89;
    bool through = chance(d, 50);
    if (!x->any || chance(d, 30))
        emit_mov(d, EAX, x->value);
    if (through) {
        EMIT(d, 0xb8 + r, LE32(0));
        put_address(d, p, d->at - 4);
    }
    if (through && x->bytes == 2)
        EMIT(d, 0x66, op, r);
    else if (through)
        EMIT(d, op, r);
    else if (x->bytes == 2)
        EMIT(d, 0x66, 0xa3, LE32(0));
    else
        EMIT(d, x->bytes == 1 ? 0xa2 : 0xa3, LE32(0));
    if (!through)
        put_address(d, p, d->at - 4);
}

static void store_string(struct draft *d, const struct place *p, const struct patch *x)
{
    bool copy = chance(d, 50);
    EMIT(d, 0xfc);
    if (copy)
        emit_mov(d, ESI, DATA_BASE + 64 + below(d, 8192));
    EMIT(d, 0xbf, LE32(0));
    put_address(d, p, d->at - 4);
    emit_mov(d, ECX, x->bytes);
    EMIT(d, 0xf3, copy ? 0xa4 : 0xaa);
}

static void store_push(struct draft *d, const struct place *p, const struct patch *x)
{
    struct place top = *p;
    top.addend += 4;
    EMIT(d, 0xbc, LE32(0));
    put_address(d, &top, d->at - 4);
    EMIT(d, 0x68, LE32(x->value));
    emit_mov(d, ESP, stack_top(d));
}

/* Instructions that read what they change. */
static void store_modified(struct draft *d, const struct place *p, const struct patch *x)
{
    switch (below(d, 4)) {
    case 0:
        EMIT(d, 0x80, chance(d, 50) ? 0x05 : 0x2d, LE32(0), (uint8_t)x->value);
        put_address(d, p, d->at - 5);
        break;
    case 1: EMIT(d, 0xfe, chance(d, 50) ? 0x05 : 0x0d, LE32(0)); put_address(d, p, d->at - 4); break;
    case 2: EMIT(d, 0x86, 0x05 | below(d, 8) << 3, LE32(0)); put_address(d, p, d->at - 4); break;
    default: EMIT(d, 0xf0, 0x0f, 0xc0, 0x05 | below(d, 8) << 3, LE32(0)); put_address(d, p, d->at - 4); break;
    }
}

static void store_toggle(struct draft *d, const struct place *p, const struct patch *x)
{
    emit(d, (const uint8_t[]){0x80, 0x35, LE32(0), x->toggle}, 7, FLAG_AF); /* XOR */
    put_address(d, p, d->at - 5);
}

static void store_patch(struct draft *d, struct place *p, const struct patch *x)
{
    unsigned form = below(d, 10);
    p->addend += x->offset;
    if (!x->any && x->toggle && form < 5)
        store_toggle(d, p, x);
    else if (form < 2 || (!x->any && form < 6))
        store_imm(d, p, x);
    else if (form < 5 || !x->any)
        store_reg(d, p, x);
    else if (form == 5)
        store_string(d, p, x);
    else if (form == 6 && x->bytes == 4)
        store_push(d, p, x);
    else
        store_modified(d, p, x);
}

/* An instruction already there (for the next time), in a function, or one soon to come; next: the very next. */
static struct place choose_place(struct draft *d, unsigned *kind)
{
    unsigned r = below(d, 100), f = below(d, FUNCTIONS);
    if (r < 35 && d->nslots) {
        struct slot s = d->slot[below(d, d->nslots)];
        *kind = s.kind;
        return (struct place){.at = s.at};
    }
    struct label *l = &d->function_slot[f];
    if (r < 60 && l->has_slot && (l->placed || !d->in_functions)) {
        *kind = l->slot;
        return (struct place){.label = l};
    }
    *kind = below(d, SLOT_KINDS);
    l = label_new(d, r < 80 ? 0 : below(d, 8));
    l->has_slot = true, l->slot = (uint8_t)*kind;
    return (struct place){.label = l};
}

static void change_code(struct draft *d)
{
    unsigned kind;
    struct place p = choose_place(d, &kind);
    struct patch x = patch_for(d, kind);
    d->s->changes_code = true;
    if (d->s->alias && chance(d, 75))
        p.addend += SEQ_ALIAS - SEQ_CODE;
    store_patch(d, &p, &x);
    if (d->s->alias)
        serialize(d);
}

/* --- rows of the tables --- */

static bool is_row(const struct oracle_row *row, const char *const *names, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (!strcmp(row->mnemonic, names[i]))
            return true;
    return false;
}

#define ROW_IS(row, ...) is_row(row, (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

/* Out: what is undefined in memory or x87 state after it, what may not be fed with random values, and (mostly) faults. */
static bool row_usable(struct draft *d, const struct oracle_row *row)
{
    if (row->excluded || ROW_IS(row, "POPF", "ENTER", "PUSHA"))
        return false;
    switch (row->test) {
    case T_ALL: case T_NOREP: case T_SIZE32: case T_STACK:
        return !ROW_IS(row, "DIV", "IDIV", "AAM", "LEAVE", "POPA") || chance(d, 15);
    case T_STRING:
        return chance(d, 60);
    case T_X87:
        return !row->x87_compare && !row->x87_env && chance(d, 12);
    case T_SSE:
        return !sse_is_alone(row) && chance(d, 12);
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

/* Gives the address registers values, or the instruction a displacement, so that the operand lies in the data pages (mostly).
 * False: cannot. */
static bool steer(struct draft *d, uint8_t *p, const struct insn *in, const struct facts *f)
{
    uint32_t target = data_target(d, f->writes_memory), index = 0;
    bool aligned = in->row->test == T_SSE && !chance(d, 3);
    if (aligned)
        target &= ~15u;
    if (in->index < 8) {
        if (!(d->known_mask >> in->index & 1))
            emit_mov(d, in->index, below(d, 64));
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
    if (!(d->known_mask >> in->base & 1) || !in_data(now) || (aligned && now % 16) || chance(d, 25))
        emit_mov(d, in->base, target - index - in->disp);
    return true;
}

/* Registers that the instruction addresses memory by without naming them. */
static void steer_implicit(struct draft *d, const struct oracle_row *row, const struct insn *in)
{
    if (row->test == T_STRING && (in->rep || chance(d, 98))) { /* a REP must not write over itself (vcpu/string.c) */
        emit_mov(d, ESI, DATA_BASE + 2048 + below(d, 12000));
        emit_mov(d, EDI, DATA_BASE + 2048 + below(d, 12000));
        if (in->rep)
            emit_mov(d, ECX, below(d, chance(d, 10) ? 1500 : 40));
    }
    if (ROW_IS(row, "XLAT") && chance(d, 98))
        emit_mov(d, EBX, DATA_BASE + 64 + below(d, 8192));
    if (ROW_IS(row, "LEAVE") && chance(d, 98))
        emit_mov(d, EBP, stack_top(d));
}

static bool wanted(struct draft *d, const struct oracle_row *row, const struct insn *in, const struct facts *f)
{
    if (in->addrsize != 2 && below(d, 300))
        return false;
    if (f->names_esp && !chance(d, 1))
        return false;
    if (row->test == T_SSE && (in->row->prefix != row->prefix || strcmp(in->row->mnemonic, row->mnemonic)))
        return false; /* the ModRM byte made another row of it */
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
    if (n == 0 || !decode(p, n, &f) || f.insn.length != n || !wanted(d, row, &in, &f))
        return false;
    if (f.tested & d->undefined)
        define_flags(d);
    bool memory = has_memory(&in) && !ROW_IS(row, "LEA", "NOP");
    if (memory && in.addrsize == 2 && below(d, 2000) && row->test != T_STRING && !steer(d, p, &in, &f))
        return false;
    if (memory && ROW_IS(row, "BT", "BTS", "BTR", "BTC") && in.row->opnd[1] == OP_Gv) {
        if (in.reg == in.base || in.reg == in.index || in.reg == ESP)
            return false;
        emit_mov(d, in.reg, below(d, 2048));
    }
    steer_implicit(d, row, &in);
    emit(d, p, n, undefined_after(row, &in));
    return true;
}

static void any_row(struct draft *d)
{
    for (;;) {
        const struct oracle_row *row = &d->g->rows[below(d, d->g->nrows)];
        if (row_usable(d, row) && emit_row(d, row))
            return;
    }
}

/* --- more items --- */

static void divide(struct draft *d)
{
    emit_mov(d, ECX, (uint32_t)gen_random(d->g) >> below(d, 31) | 1);
    emit_mov(d, EDX, chance(d, 95) ? 0 : 5);
    emit(d, (const uint8_t[]){0xf7, 0xf0 | ECX | (chance(d, 50) ? 8 : 0)}, 2, FLAGS_ARITH); /* DIV, IDIV */
}

static void load_flags(struct draft *d)
{
    uint32_t v = (uint32_t)gen_random(d->g) & (FLAGS_ARITH | (chance(d, 10) ? FLAG_DF : 0));
    EMIT(d, 0x68, LE32(v));
    EMIT(d, 0x9d);
}

/* ES seldom writable or null, which ends flat mode; DS nearly always as it was; SS with its hold on interrupts and traps. */
static void load_segment(struct draft *d)
{
    static const uint8_t sel[] = {0x2b, 0x23, 0x2b, 0x23, 0, 3, 0xfb};
    unsigned seg = below(d, 3); /* ES, SS, DS */
    uint8_t s = seg == 0 || chance(d, 5) ? sel[below(d, sizeof sel)] : 0x2b, r = (uint8_t)any_reg(d);
    if (chance(d, 50)) {
        EMIT(d, 0x6a, s);
        EMIT(d, (uint8_t[]){0x07, 0x17, 0x1f}[seg]);
    } else {
        emit_mov(d, r, s);
        EMIT(d, 0x8e, 0xc0 | (uint8_t[]){0, 2, 3}[seg] << 3 | r);
    }
}

static void read_segment(struct draft *d)
{
    if (chance(d, 50))
        EMIT(d, (uint8_t[]){0x06, 0x0e, 0x16, 0x1e}[below(d, 4)]);
    else
        EMIT(d, 0x8c, 0xc0 | below(d, 4) << 3 | any_reg(d));
}

static uint32_t nowhere(struct draft *d)
{
    return 0x00a00000 + below(d, 1 << 20);
}

static void fault(struct draft *d)
{
    uint32_t at = nowhere(d);
    switch (below(d, 15)) {
    case 0: EMIT(d, 0x0f, 0x0b); break;
    case 1: EMIT(d, 0x0f, 0xb9, 0xc0); break;
    case 2: EMIT(d, 0xf4); break;
    case 3: EMIT(d, 0xfa); break;
    case 4: EMIT(d, 0xcc); break;
    case 5: EMIT(d, 0xe4, 0x10); break;
    case 6: EMIT(d, 0xcd, 0x21); break;
    case 7: emit_mov(d, ECX, 0), emit(d, (const uint8_t[]){0xf7, 0xf1}, 2, FLAGS_ARITH); break;
    case 8: EMIT(d, 0xce); break;
    case 9: EMIT(d, 0x62, 0x05, LE32(DATA_BASE + 64 + below(d, 8192))); break;
    case 10: EMIT(d, 0x0f, 0x20, 0xc0); break;
    case 11: EMIT(d, 0xe9, LE32(at - d->at)); break;
    case 12: emit_mov(d, EAX, at), EMIT(d, 0xff, 0xd0); break;
    case 13: EMIT(d, 0xa1, LE32(at)); break;
    default: EMIT(d, 0xa3, LE32(DATA_BASE + DATA_PAGES * 4096 + below(d, 4092))); break;
    }
}

static void item(struct draft *d)
{
    unsigned r = below(d, 200);
    if (r < 118)
        any_row(d);
    else if (r < 124)
        divide(d);
    else if (r < 127)
        load_flags(d);
    else if (r < 130)
        load_segment(d);
    else if (r < 132)
        read_segment(d);
    else if (r < 140)
        accumulate(d, any_reg(d));
    else if (r < 141)
        fault(d);
    else if (r < 157)
        jump_forward(d);
    else if (r < 166)
        jump_back(d);
    else if (r < 172)
        emit_head(d);
    else if (r < 178)
        jump_indirect(d);
    else if (r < 188 && !d->in_functions)
        call_function(d);
    else if (d->s->changes_code)
        change_code(d);
    else
        accumulate(d, any_reg(d));
    labels_step(d, false);
}

static void body(struct draft *d, unsigned items)
{
    for (unsigned i = 0; i < items && !d->failed; i++)
        item(d);
    labels_step(d, true);
}

/* --- the whole --- */

/* Half of them so that they run over a page end, a few off the end of the code. */
static uint32_t start_address(struct draft *d)
{
    if (chance(d, 3))
        return SEQ_CODE + SEQ_CODE_BYTES - 1 - below(d, 200);
    uint32_t page = SEQ_CODE + 4096 * below(d, 2);
    return chance(d, 50) ? page + 4095 - below(d, 300) : page + below(d, 4096);
}

static void functions(struct draft *d)
{
    d->in_functions = true;
    for (unsigned i = 0; i < FUNCTIONS; i++) {
        if (!d->function[i].pending && !d->function_slot[i].nfixups)
            continue;
        uint32_t page_end = (d->at + 4095) & ~4095u, before = below(d, 40);
        if (chance(d, 40)) /* on another page, or over a page end */
            d->at = d->at + before < page_end ? page_end - before : page_end;
        d->undefined = 0;
        d->known_mask = 0;
        label_place(d, &d->function[i]);
        emit_head(d);
        label_place(d, &d->function_slot[i]);
        body(d, 1 + below(d, 6));
        emit_return(d);
        d->at += chance(d, 50) ? below(d, 64) : 0;
    }
}

static void random_state(struct draft *d)
{
    struct cpu_image *in = &d->s->in;
    memset(in, 0, sizeof *in);
    for (unsigned i = 0; i < 8; i++)
        in->gpr[i] = chance(d, 50) ? data_target(d, true) : (uint32_t)gen_random(d->g) >> below(d, 32);
    in->gpr[ESP] = stack_top(d);
    in->eip = d->at;
    in->eflags = (uint32_t)gen_random(d->g) & FLAGS_ARITH;
    random_fpu(d->g, &in->fpu, true);
    random_sse(d->g, &in->sse, (enum lanes)below(d, LANES_COUNT));
    if (chance(d, 90))
        in->sse.mxcsr = MXCSR_INIT;
    in->fpu.cw = (uint16_t)(chance(d, 90) ? in->fpu.cw | 0x3f : in->fpu.cw), in->fpu.sw &= 0x7f00;
}

static bool draw(struct gen *g, struct sequence *s)
{
    struct draft d = {.g = g, .s = s};
    memset(s->code, 0xcc, sizeof s->code);
    s->ninsns = 0;
    s->changes_code = chance(&d, 60);
    s->alias = s->changes_code && chance(&d, 25);
    s->fuel = chance(&d, 5) ? 200 : 1 + below(&d, 40);
    d.at = start_address(&d);
    random_state(&d);
    for (unsigned i = 0; i < FUNCTIONS; i++)
        d.function_slot[i] = (struct label){.has_slot = s->changes_code, .slot = (uint8_t)below(&d, SLOT_KINDS)};
    if (chance(&d, 80))
        emit_head(&d);
    body(&d, 5 + below(&d, 36));
    if (d.nheads && chance(&d, 65)) {
        before_transfer(&d);
        EMIT(&d, 0xe9, LE32(d.head[0] - d.at - 5));
    }
    label_place(&d, &d.out);
    EMIT(&d, 0xcc);
    functions(&d);
    return !d.failed;
}

void sequence_draw(struct gen *g, struct sequence *s)
{
    while (!draw(g, s))
        continue;
}

uint32_t sequence_undefined(const struct sequence *s, uint32_t eip)
{
    if (eip - SEQ_ALIAS < SEQ_CODE_BYTES)
        eip -= SEQ_ALIAS - SEQ_CODE;
    for (unsigned i = 0; i < s->ninsns; i++)
        if (s->insn[i].at == eip)
            return s->insn[i].undefined;
    return FLAGS_ARITH;
}
