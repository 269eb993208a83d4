/* sequence_code.c - code that changes code: what is changed (slots), and stores to it. */
#include "tests/oracle/sequence_internal.h"

/* --- instructions to be changed --- */

void seq_accumulate(struct draft *d, unsigned reg)
{
    EMIT(d, 0x01, 0x05 | reg << 3, LE32(SEQ_FUEL + 128 + 4 * seq_below(d, 8)));
}

void seq_skip_to_page_end(struct draft *d)
{
    uint32_t page_end = (d->at + 4095) & ~4095u, to = page_end - 1 - seq_below(d, 4);
    if (to - d->at - 5 < 400 && seq_chance(d, 30))
        EMIT(d, 0xe9, LE32(to - d->at - 5)), d->at = to;
}

void seq_emit_slot(struct draft *d, unsigned kind)
{
    uint8_t r = (uint8_t)seq_any_reg(d), r2 = (uint8_t)seq_any_reg(d);
    uint32_t v = (uint32_t)gen_random(d->g), data = DATA_BASE + 256 * (1 + seq_below(d, 50));
    uint16_t undefined = d->undefined;
    if (d->nslots < SLOTS)
        d->slot[d->nslots++] = (struct slot){d->at, (uint8_t)kind};
    switch (kind) {
    case SLOT_MOV:
        EMIT(d, 0xb8 + r, LE32(v));
        break;
    case SLOT_ADD32:
        EMIT(d, 0x81, 0xc0 + r, LE32(v));
        break;
    case SLOT_ADD8:
        EMIT(d, 0x83, 0xc0 + r, (uint8_t)v);
        break;
    case SLOT_INC:
        EMIT(d, 0x40 + r);
        break;
    case SLOT_JMP:
        EMIT(d, 0xeb, 0), EMIT(d, 0x40 + r), EMIT(d, 0x48 + r2);
        break;
    case SLOT_LOAD:
        EMIT(d, 0xa1, LE32(data));
        break;
    case SLOT_REGREG:
        EMIT(d, 0x01, 0xc0 | r2 << 3 | r);
        break;
    default:
        EMIT(d, 0x66, 0x90);
        break;
    }
    d->known_mask = 0; /* another one by the time it runs */
    d->undefined = undefined;
    if (seq_chance(d, 60))
        seq_accumulate(d, kind == SLOT_LOAD ? EAX : r);
}

/* What may be written into a slot: `bytes` at `offset`. any: whatever the value is; else `toggle`, if not 0,
 * may be XORed to the byte there. */
struct patch {
    uint32_t offset, value;
    unsigned bytes;
    bool any;
    uint8_t toggle;
};

static struct patch patch_for(struct draft *d, unsigned kind)
{
    uint32_t v = (uint32_t)gen_random(d->g);
    uint8_t r = (uint8_t)seq_any_reg(d), r2 = (uint8_t)seq_any_reg(d);
    switch (kind) {
    case SLOT_MOV:
    case SLOT_ADD32: {
        uint32_t first = kind == SLOT_MOV ? 1 : 2;
        unsigned bytes = 1u << seq_below(d, 3);
        return (struct patch){first + (bytes == 4 ? 0 : seq_below(d, 5 - bytes)), v, bytes, true, 0};
    }
    case SLOT_ADD8:
        return (struct patch){2, v & 255, 1, true, 0};
    case SLOT_INC:
        return (struct patch){0, (seq_chance(d, 50) ? 0x40u : 0x48u) + r, 1, false, 8}; /* INC, DEC */
    case SLOT_JMP:
        return (struct patch){1, 2 * seq_below(d, 2), 1, false, 2};
    case SLOT_LOAD:
        return (struct patch){1, v & 255, 1, true, 0};
    case SLOT_REGREG: /* ADD, SUB */
        return (struct patch){0, (seq_chance(d, 50) ? 0x01 : 0x29) | (0xc0u | r2 << 3 | r) << 8, 2, false,
                              0x28};
    default:
        return (struct patch){0, seq_chance(d, 20) ? 0x0b0f : 0x9066, 2, false, 0}; /* UD2, NOP */
    }
}

/* --- code changes --- */

/* SDM 3A 8.3: IRET and CPUID are serializing instructions. What CPUID says must not be left when the code
 * ends. */
static void serialize(struct draft *d)
{
    bool room = d->at + 64 < SEQ_CODE + SEQ_CODE_BYTES;
    if (room && seq_chance(d, 10)) {
        EMIT(d, 0x0f, 0xa2);
        for (unsigned r = EAX; r <= EBX; r++)
            seq_emit_mov(d, r, (uint32_t)gen_random(d->g));
        return;
    }
    EMIT(d, 0x9c);
    seq_push_selector(d, 0x0e);
    EMIT(d, 0x68, LE32(d->at + 6));
    EMIT(d, 0xcf);
}

/* The address of what is to be changed: a slot, or a label where one will be. */
struct target {
    struct label *label;
    uint32_t at, addend;
};

static void put_address(struct draft *d, const struct target *p, uint32_t field)
{
    if (p->label)
        seq_label_use(d, p->label, FIX_ABS32, field, p->addend);
    else
        seq_put32(d, field, p->at + p->addend);
}

static void store_imm(struct draft *d, const struct target *p, const struct patch *x)
{
    if (x->bytes == 1)
        EMIT(d, 0xc6, 0x05, LE32(0), (uint8_t)x->value);
    else if (x->bytes == 2)
        EMIT(d, 0x66, 0xc7, 0x05, LE32(0), (uint8_t)x->value, (uint8_t)(x->value >> 8));
    else
        EMIT(d, 0xc7, 0x05, LE32(0), LE32(x->value));
    put_address(d, p, d->at - x->bytes - 4);
}

/* The accumulator, through an absolute address or a register; where any value will do, mostly what happens to
 * be in it. */
static void store_reg(struct draft *d, const struct target *p, const struct patch *x)
{
    static const uint8_t base[] = {ECX, EDX, EBX, ESI, EDI};
    uint8_t r = base[seq_below(d, sizeof base)], op = x->bytes == 1 ? 0x88 : 0x89;
    bool through = seq_chance(d, 50);
    if (!x->any || seq_chance(d, 30))
        seq_emit_mov(d, EAX, x->value);
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

static void store_string(struct draft *d, const struct target *p, const struct patch *x)
{
    bool copy = seq_chance(d, 50);
    EMIT(d, 0xfc);
    if (copy)
        seq_emit_mov(d, ESI, DATA_BASE + 64 + seq_below(d, 8192));
    EMIT(d, 0xbf, LE32(0));
    put_address(d, p, d->at - 4);
    seq_emit_mov(d, ECX, x->bytes);
    EMIT(d, 0xf3, copy ? 0xa4 : 0xaa);
}

static void store_push(struct draft *d, const struct target *p, const struct patch *x)
{
    struct target top = *p;
    top.addend += 4;
    EMIT(d, 0xbc, LE32(0));
    put_address(d, &top, d->at - 4);
    EMIT(d, 0x68, LE32(x->value));
    seq_emit_mov(d, ESP, seq_stack_top(d));
}

/* Instructions that read what they change. */
static void store_modified(struct draft *d, const struct target *p, const struct patch *x)
{
    switch (seq_below(d, 4)) {
    case 0:
        EMIT(d, 0x80, seq_chance(d, 50) ? 0x05 : 0x2d, LE32(0), (uint8_t)x->value);
        put_address(d, p, d->at - 5);
        break;
    case 1:
        EMIT(d, 0xfe, seq_chance(d, 50) ? 0x05 : 0x0d, LE32(0));
        put_address(d, p, d->at - 4);
        break;
    case 2:
        EMIT(d, 0x86, 0x05 | seq_below(d, 8) << 3, LE32(0));
        put_address(d, p, d->at - 4);
        break;
    default:
        EMIT(d, 0xf0, 0x0f, 0xc0, 0x05 | seq_below(d, 8) << 3, LE32(0));
        put_address(d, p, d->at - 4);
        break;
    }
}

static void store_toggle(struct draft *d, const struct target *p, const struct patch *x)
{
    seq_emit(d, (const uint8_t[]){0x80, 0x35, LE32(0), x->toggle}, 7, FLAG_AF); /* XOR */
    put_address(d, p, d->at - 5);
}

static void store_patch(struct draft *d, struct target *p, const struct patch *x)
{
    unsigned form = seq_below(d, 10);
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

/* An instruction already there (for the next time), in a function, or soon to come; next: the very next. */
static struct target choose_target(struct draft *d, unsigned *kind)
{
    unsigned r = seq_below(d, 100), f = seq_below(d, FUNCTIONS);
    if (r < 35 && d->nslots) {
        struct slot s = d->slot[seq_below(d, d->nslots)];
        *kind = s.kind;
        return (struct target){.at = s.at};
    }
    struct label *l = &d->function_slot[f];
    if (r < 60 && l->has_slot && (l->placed || !d->in_functions)) {
        *kind = l->slot;
        return (struct target){.label = l};
    }
    *kind = seq_below(d, SLOT_KINDS);
    l = seq_label_new(d, r < 80 ? 0 : seq_below(d, 8));
    l->has_slot = true, l->slot = (uint8_t)*kind;
    return (struct target){.label = l};
}

void seq_change_code(struct draft *d)
{
    unsigned kind;
    struct target p = choose_target(d, &kind);
    struct patch x = patch_for(d, kind);
    d->s->changes_code = true;
    if (d->s->alias && seq_chance(d, 75))
        p.addend += SEQ_ALIAS - SEQ_CODE;
    store_patch(d, &p, &x);
    if (d->s->alias)
        serialize(d);
}
