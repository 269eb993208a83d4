/* sequence.c - draws the sequences: see sequence.h. */
#include "tests/oracle/sequence_internal.h"

#include <string.h>

#include "tests/oracle/gen_float.h"
#include "translator/sse.h"

/* --- control --- */

/* A transfer to a head or a function: CF is what their counting leaves alone. */
static void before_transfer(struct draft *d)
{
    if (d->undefined & FLAG_CF)
        seq_define_flags(d);
}

static void emit_head(struct draft *d)
{
    before_transfer(d);
    if (d->nheads < HEADS)
        d->head[d->nheads++] = d->at;
    d->undefined =
        FLAGS_ARITH & ~FLAG_CF; /* over all that may come here; it may fault where DS is not usable */
    EMIT(d, 0xff, 0x0d, LE32(SEQ_FUEL)); /* dec dword [fuel] */
    EMIT(d, 0x0f, 0x88, LE32(0));        /* js out */
    seq_label_jump(d, &d->out, FIX_REL32);
    d->known_mask = 0;
    if (seq_chance(d, 60))
        seq_emit_mov(d, ESP, seq_stack_top(d));
}

static uint32_t maybe_alias(struct draft *d)
{
    return d->s->alias && seq_chance(d, 30) ? SEQ_ALIAS - SEQ_CODE : 0;
}

static void jump_forward(struct draft *d)
{
    unsigned countdown = seq_below(d, 7), kind = seq_below(d, 8);
    struct label *l = seq_label_new(d, countdown);
    bool near = countdown < 3;
    uint8_t cc = (uint8_t)seq_below(d, 16);
    if (kind < 5 && near)
        EMIT(d, 0x70 + cc, 0);
    else if (kind < 5)
        EMIT(d, 0x0f, 0x80 + cc, LE32(0));
    else if (kind == 5 && near)
        EMIT(d, 0xe0 + seq_below(d, 4), 0); /* LOOPNE LOOPE LOOP JECXZ */
    else if (near)
        EMIT(d, 0xeb, 0);
    else
        EMIT(d, 0xe9, LE32(0));
    seq_label_jump(d, l, near ? FIX_REL8 : FIX_REL32);
}

static void jump_back(struct draft *d)
{
    if (d->nheads == 0)
        return;
    uint32_t to = d->head[seq_below(d, d->nheads)], kind = seq_below(d, 10);
    uint8_t r = (uint8_t)seq_any_reg(d);
    bool near = d->at + 16 - to < 120; /* room for an instruction that defines flags */
    before_transfer(d);
    if (kind < 5) {
        EMIT(d, 0x0f, 0x80 + seq_below(d, 16), LE32(0));
        seq_put32(d, d->at - 4, to - d->at);
    } else if (kind < 8 && near) {
        EMIT(d, seq_chance(d, 50) ? 0xe0 + seq_below(d, 3) : 0x70 + seq_below(d, 16), 0);
        seq_put8(d, d->at - 1, to - d->at);
    } else if (kind == 8) {
        EMIT(d, 0xb8 + r, LE32(to + maybe_alias(d)));
        EMIT(d, 0xff, 0xe0 + r);
    } else {
        EMIT(d, 0xe9, LE32(to - d->at - 5));
    }
}

static uint32_t pointer(struct draft *d)
{
    return SEQ_FUEL + 64 + 4 * seq_below(d, 16);
}

/* mov dword [at], label */
static void store_pointer(struct draft *d, uint32_t at, struct label *l)
{
    EMIT(d, 0xc7, 0x05, LE32(at), LE32(0));
    seq_label_use(d, l, FIX_ABS32, d->at - 4, maybe_alias(d));
}

static void jump_indirect(struct draft *d)
{
    struct label *l = seq_label_new(d, seq_below(d, 6));
    uint8_t r = (uint8_t)seq_any_reg(d);
    uint32_t at = pointer(d);
    switch (seq_below(d, 3)) {
    case 0:
        EMIT(d, 0xb8 + r, LE32(0));
        seq_label_use(d, l, FIX_ABS32, d->at - 4, maybe_alias(d));
        EMIT(d, 0xff, 0xe0 + r);
        break;
    case 1:
        store_pointer(d, at, l);
        EMIT(d, 0xff, 0x25, LE32(at));
        break;
    default:
        EMIT(d, 0x68, LE32(0));
        seq_label_use(d, l, FIX_ABS32, d->at - 4, maybe_alias(d));
        EMIT(d, 0xc3);
        break;
    }
    l->jumped = true;
    l->undefined |= d->undefined;
}

static void call_function(struct draft *d)
{
    struct label *f = &d->function[seq_below(d, FUNCTIONS)];
    uint8_t r = (uint8_t)seq_any_reg(d);
    uint32_t at = pointer(d);
    f->pending = true;
    before_transfer(d);
    switch (seq_below(d, 4)) {
    case 0:
        EMIT(d, 0xb8 + r, LE32(0));
        seq_label_use(d, f, FIX_ABS32, d->at - 4, maybe_alias(d));
        EMIT(d, 0xff, 0xd0 + r);
        break;
    case 1:
        store_pointer(d, at, f);
        EMIT(d, 0xff, 0x15, LE32(at));
        break;
    default:
        EMIT(d, 0xe8, LE32(0));
        seq_label_use(d, f, FIX_REL32, d->at - 4, 0);
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
        seq_define_flags(d);
    if (seq_chance(d, 20))
        EMIT(d, 0xc2, 4 * seq_below(d, 3), 0);
    else
        EMIT(d, 0xc3);
}

/* --- more items --- */

static void divide(struct draft *d)
{
    seq_emit_mov(d, ECX, (uint32_t)gen_random(d->g) >> seq_below(d, 31) | 1);
    seq_emit_mov(d, EDX, seq_chance(d, 95) ? 0 : 5);
    seq_emit(d, (const uint8_t[]){0xf7, 0xf0 | ECX | (seq_chance(d, 50) ? 8 : 0)}, 2,
             FLAGS_ARITH); /* DIV, IDIV */
}

static void load_flags(struct draft *d)
{
    uint32_t v = (uint32_t)gen_random(d->g) & (FLAGS_ARITH | (seq_chance(d, 10) ? FLAG_DF : 0));
    EMIT(d, 0x68, LE32(v));
    EMIT(d, 0x9d);
}

/* ES seldom writable or null, which ends flat mode; DS nearly always as it was; SS with its hold on
 * interrupts and traps. */
static void load_segment(struct draft *d)
{
    static const uint8_t sel[] = {0x2b, 0x23, 0x2b, 0x23, 0, 3, 0xfb};
    unsigned seg = seq_below(d, 3); /* ES, SS, DS */
    uint8_t s = seg == 0 || seq_chance(d, 5) ? sel[seq_below(d, sizeof sel)] : 0x2b,
            r = (uint8_t)seq_any_reg(d);
    if (seq_chance(d, 50)) {
        EMIT(d, 0x6a, s);
        EMIT(d, (uint8_t[]){0x07, 0x17, 0x1f}[seg]);
    } else {
        seq_emit_mov(d, r, s);
        EMIT(d, 0x8e, 0xc0 | (uint8_t[]){0, 2, 3}[seg] << 3 | r);
    }
}

static void read_segment(struct draft *d)
{
    if (seq_chance(d, 50))
        seq_push_selector(d, (uint8_t[]){0x06, 0x0e, 0x16, 0x1e}[seq_below(d, 4)]);
    else
        EMIT(d, 0x8c, 0xc0 | seq_below(d, 4) << 3 | seq_any_reg(d));
}

static uint32_t nowhere(struct draft *d)
{
    return 0x00a00000 + seq_below(d, 1 << 20);
}

static void fault(struct draft *d)
{
    uint32_t at = nowhere(d);
    switch (seq_below(d, 15)) {
    case 0:
        EMIT(d, 0x0f, 0x0b);
        break;
    case 1:
        EMIT(d, 0x0f, 0xb9, 0xc0);
        break;
    case 2:
        EMIT(d, 0xf4);
        break;
    case 3:
        EMIT(d, 0xfa);
        break;
    case 4:
        EMIT(d, 0xcc);
        break;
    case 5:
        EMIT(d, 0xe4, 0x10);
        break;
    case 6:
        EMIT(d, 0xcd, 0x21);
        break;
    case 7:
        seq_emit_mov(d, ECX, 0), seq_emit(d, (const uint8_t[]){0xf7, 0xf1}, 2, FLAGS_ARITH);
        break;
    case 8:
        EMIT(d, 0xce);
        break;
    case 9:
        EMIT(d, 0x62, 0x05, LE32(DATA_BASE + 64 + seq_below(d, 8192)));
        break;
    case 10:
        EMIT(d, 0x0f, 0x20, 0xc0);
        break;
    case 11:
        EMIT(d, 0xe9, LE32(at - d->at));
        break;
    case 12:
        seq_emit_mov(d, EAX, at), EMIT(d, 0xff, 0xd0);
        break;
    case 13:
        EMIT(d, 0xa1, LE32(at));
        break;
    default:
        EMIT(d, 0xa3, LE32(DATA_BASE + DATA_PAGES * 4096 + seq_below(d, 4092)));
        break;
    }
}

static void item(struct draft *d)
{
    unsigned r = seq_below(d, 200);
    if (r < 118)
        seq_any_row(d);
    else if (r < 124)
        divide(d);
    else if (r < 127)
        load_flags(d);
    else if (r < 130)
        load_segment(d);
    else if (r < 132)
        read_segment(d);
    else if (r < 140)
        seq_accumulate(d, seq_any_reg(d));
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
        seq_change_code(d);
    else
        seq_accumulate(d, seq_any_reg(d));
    seq_labels_step(d, false);
}

static void body(struct draft *d, unsigned items)
{
    for (unsigned i = 0; i < items && !d->failed; i++)
        item(d);
    seq_labels_step(d, true);
}

/* --- the whole --- */

/* Half of them so that they run over a page end, a few off the end of the code. */
static uint32_t start_address(struct draft *d)
{
    if (seq_chance(d, 3))
        return SEQ_CODE + SEQ_CODE_BYTES - 1 - seq_below(d, 200);
    uint32_t page = SEQ_CODE + 4096 * seq_below(d, 2);
    return seq_chance(d, 50) ? page + 4095 - seq_below(d, 300) : page + seq_below(d, 4096);
}

static void functions(struct draft *d)
{
    d->in_functions = true;
    for (unsigned i = 0; i < FUNCTIONS; i++) {
        if (!d->function[i].pending && !d->function_slot[i].nfixups)
            continue;
        uint32_t page_end = (d->at + 4095) & ~4095u, before = seq_below(d, 40);
        if (seq_chance(d, 40)) /* on another page, or over a page end */
            d->at = d->at + before < page_end ? page_end - before : page_end;
        d->undefined = 0;
        d->known_mask = 0;
        seq_label_place(d, &d->function[i]);
        emit_head(d);
        seq_label_place(d, &d->function_slot[i]);
        body(d, 1 + seq_below(d, 6));
        emit_return(d);
        d->at += seq_chance(d, 50) ? seq_below(d, 64) : 0;
    }
}

static void random_state(struct draft *d)
{
    struct cpu_image *in = &d->s->in;
    memset(in, 0, sizeof *in);
    for (unsigned i = 0; i < 8; i++)
        in->gpr[i] =
            seq_chance(d, 50) ? seq_data_target(d, true) : (uint32_t)gen_random(d->g) >> seq_below(d, 32);
    in->gpr[ESP] = seq_stack_top(d);
    in->eip = d->at;
    in->eflags = (uint32_t)gen_random(d->g) & FLAGS_ARITH;
    random_fpu(d->g, &in->fpu, true);
    random_sse(d->g, &in->sse, (enum lanes)seq_below(d, LANES_COUNT));
    if (seq_chance(d, 90))
        in->sse.mxcsr = MXCSR_INIT;
    in->fpu.cw = (uint16_t)(seq_chance(d, 90) ? in->fpu.cw | 0x3f : in->fpu.cw), in->fpu.sw &= 0x7f00;
}

static bool draw(struct gen *g, struct sequence *s)
{
    struct draft d = {.g = g, .s = s};
    memset(s->code, 0xcc, sizeof s->code);
    s->ninsns = 0;
    s->changes_code = seq_chance(&d, 60);
    s->alias = s->changes_code && seq_chance(&d, 25);
    s->fuel = seq_chance(&d, 5) ? 200 : 1 + seq_below(&d, 40);
    d.at = start_address(&d);
    random_state(&d);
    for (unsigned i = 0; i < FUNCTIONS; i++)
        d.function_slot[i] =
            (struct label){.has_slot = s->changes_code, .slot = (uint8_t)seq_below(&d, SLOT_KINDS)};
    if (seq_chance(&d, 80))
        emit_head(&d);
    body(&d, 5 + seq_below(&d, 36));
    if (d.nheads && seq_chance(&d, 65)) {
        before_transfer(&d);
        EMIT(&d, 0xe9, LE32(d.head[0] - d.at - 5));
    }
    seq_label_place(&d, &d.out);
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
