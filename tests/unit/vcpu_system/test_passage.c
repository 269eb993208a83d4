/* passage.c: entries and returns that go as one before, against the same done in full, while descriptors,
 * gates, the TSS, limits and frames change in between. */
#include "fixture.h"

#include <criterion/criterion.h>
#include <string.h>

enum { STEPS = 6000, VECTOR = 0x80, KEPT_WORDS = 3 };

/* All that steps write or read. */
static const struct {
    uint32_t first, bytes;
} kept[KEPT_WORDS] = {{FX_GDT, 0x100}, {FX_IDT + VECTOR * 8, 8}, {FX_TSS, 0x68}};
enum { STACK_BYTES = 0x60, MEMORY_MAX = 0x100 + 8 + 0x68 + 3 * STACK_BYTES };
static const uint32_t stacks[] = {FX_KSTACK, FX_STACK0, FX_USTACK};

struct image {
    struct guest_state g;
    uint32_t memory[MEMORY_MAX / 4];
};

static struct vcpu *v;
static struct image pristine;
static uint32_t seed = 7;
static unsigned hits;

static uint32_t below(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % n;
}

static unsigned each_word(struct image *m, unsigned n, uint32_t first, uint32_t bytes, bool put)
{
    for (uint32_t at = first; at < first + bytes; at += 4, n++)
        if (!put)
            m->memory[n] = fx_peek(v, at, 4);
        else if (fx_peek(v, at, 4) != m->memory[n])
            fx_poke(v, at, 4, m->memory[n]);
    return n;
}

static void each_place(struct image *m, bool put)
{
    unsigned n = 0;
    for (unsigned i = 0; i < KEPT_WORDS; i++)
        n = each_word(m, n, kept[i].first, kept[i].bytes, put);
    for (unsigned i = 0; i < 3; i++)
        n = each_word(m, n, stacks[i] - STACK_BYTES, STACK_BYTES, put);
}

static void take(struct image *m)
{
    m->g = v->g;
    each_place(m, false);
}

static void put(struct image *m)
{
    v->g = m->g;
    v->exc = (struct pending_exc){0};
    each_place(m, true);
}

/* --- steps --- */

enum { INT_N, INTERRUPT, EXCEPTION, IRET };

static enum helper_result step(unsigned kind)
{
    struct ir_op op = fx_op(v, kind == IRET ? 2 : 0, 0, 0);
    op.aux = VECTOR;
    op.imm2 = FX_NEXT;
    if (kind == IRET)
        return helper_IRET(v, &op);
    if (kind == INT_N)
        return helper_INT(v, &op);
    if (kind == INTERRUPT)
        vcpu_deliver_interrupt(v, VECTOR);
    v->exc =
        (struct pending_exc){.pending = kind == EXCEPTION, .vector = VECTOR, .has_error = true, .error = 5};
    if (kind == EXCEPTION)
        vcpu_deliver_exception(v);
    v->exit_reason = 0;
    return HELPER_OK;
}

static void forget(void)
{
    memset(v->entries, 0, sizeof v->entries);
    memset(v->returns, 0, sizeof v->returns);
}

static bool knows(unsigned kind)
{
    if (kind != IRET)
        return v->entries[VECTOR % 16].known;
    return v->returns[FX_UCODE >> 3 & 3].known || v->returns[FX_KCODE >> 3 & 3].known;
}

/* The same step in full, and with what is known; the second one stays. */
static void compare(unsigned kind)
{
    struct image before, full, known;
    static struct passage entries[16], returns[4];
    memcpy(entries, v->entries, sizeof entries);
    memcpy(returns, v->returns, sizeof returns);
    v->exc = (struct pending_exc){0};
    take(&before);
    forget();
    enum helper_result want = step(kind);
    struct pending_exc exc = v->exc;
    take(&full);
    put(&before);
    memcpy(v->entries, entries, sizeof entries);
    memcpy(v->returns, returns, sizeof returns);
    hits += knows(kind) && want == HELPER_OK;
    cr_assert_eq(step(kind), want);
    cr_assert_eq(v->exc.pending, exc.pending);
    cr_assert(!exc.pending || (v->exc.vector == exc.vector && v->exc.error == exc.error));
    take(&known);
    cr_assert_eq(memcmp(&known, &full, sizeof full), 0, "kind %u", kind);
}

/* --- what changes --- */

static void change_descriptor(void)
{
    static const uint16_t sels[] = {FX_KCODE, FX_KDATA, FX_UCODE, FX_UDATA};
    const uint32_t at = FX_GDT + (sels[below(4)] & ~7u);
    static const uint32_t flips[] = {0x100,  0x200,  0x400,    0x800,    0x2000,
                                     0x4000, 0x8000, 0x400000, 0x800000, 0xf0000};
    if (below(4))
        fx_poke(v, at + 4, 4, fx_peek(v, at + 4, 4) ^ flips[below(10)]);
    else
        fx_poke(v, at, 4, fx_peek(v, at, 4) ^ 1u << below(32));
}

static void change_gate(void)
{
    static const uint16_t sels[] = {FX_KCODE,  FX_KCODE,       FX_UCODE, FX_CONFORMING,
                                    FX_CODE16, FX_CODE_ABSENT, 0};
    static const uint8_t types[] = {SYS_INT32, SYS_TRAP32, SYS_INT16, SYS_CALL32};
    fx_idt(v, VECTOR, sels[below(7)], fx_handler(below(9)), types[below(4)], below(3) ? 3 : 0);
}

static void change_tss(void)
{
    static const uint16_t sels[] = {FX_KDATA, FX_KDATA, FX_UDATA, FX_DATA16, FX_KDATA + 1, 0};
    fx_poke(v, FX_TSS + 4, 4, FX_STACK0 - 4 * below(4));
    fx_poke(v, FX_TSS + 8, 4, sels[below(6)]);
}

static void change_limits(void)
{
    static const uint16_t limits[] = {0x7ff, 0xcf, 0xf, 0x17, 0x1f, 0x27, VECTOR * 8 + 6};
    if (below(3) == 0)
        v->g.gdtr.limit = limits[below(7)];
    else if (below(2))
        v->g.idtr.limit = limits[below(7)];
    else
        v->g.tr.limit = below(12);
}

static void change_registers(void)
{
    static const uint16_t sels[] = {FX_UDATA, FX_KDATA, FX_SMALL};
    static const uint8_t segs[] = {SEG_DS, SEG_ES, SEG_FS, SEG_GS};
    struct ir_op op = fx_op(v, 0, sels[below(3)], 0);
    op.aux = segs[below(4)];
    op.b = IR_NONE;
    op.imm2 = v->g.eip;
    if (helper_LOAD_SEG(v, &op) != HELPER_OK)
        v->exc.pending = false;
}

static void change_frame(void)
{
    static const uint32_t values[] = {FX_UCODE,          FX_KCODE, FX_UDATA, FX_KDATA,
                                      FX_CONFORMING + 3, 0x1a,     0x20,     0};
    const uint32_t at = v->g.slot[IR_ESP] + 4 * below(5);
    fx_poke(v, at, 4, below(3) ? values[below(8)] : (below(0x1000) & ~(uint32_t)FLAG_VM));
}

static void change(void)
{
    static void (*const changes[])(void) = {change_descriptor, change_gate,      change_tss,
                                            change_limits,     change_registers, change_frame};
    changes[below(6)]();
}

Test(passage, as_done_in_full)
{
    unsigned kind = INT_N;
    v = fx_create();
    fx_idt(v, VECTOR, FX_KCODE, fx_handler(1), SYS_INT32, 3);
    v->g.eflags |= FLAG_IF;
    take(&pristine);
    for (unsigned i = 0; i < STEPS; i++) {
        if (kind != IRET) {
            v->g = pristine.g;
            if (below(3) == 0)
                put(&pristine);
            if (below(3))
                fx_user(v);
        }
        if (below(2))
            change();
        const uint32_t eip = v->g.eip;
        compare(kind);
        const bool entered = kind != IRET && v->g.eip != eip && !v->exc.pending;
        kind = entered ? IRET : below(3);
    }
    cr_assert_gt(hits, STEPS / 8);
    fx_destroy(v);
}
