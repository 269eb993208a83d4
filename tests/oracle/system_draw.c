/* system_draw.c - a case of system.h: its registers, and what the other files put into its memory. */
#include "tests/oracle/system_internal.h"

#include <string.h>

#include "translator/cc.h"
#include "translator/sse.h"

/* --- numbers --- */

bool sys_chance(struct gen *g, unsigned percent)
{
    return gen_below(g, 100) < percent;
}

uint16_t sys_selector(struct gen *g)
{
    const uint32_t index = sys_chance(g, 95) ? gen_below(g, G_COUNT) : gen_below(g, 64);
    const uint32_t table = sys_chance(g, 15) ? 4 : 0, rpl = sys_chance(g, 50) ? 0 : gen_below(g, 4);
    return (uint16_t)(index << 3 | table | rpl);
}

uint32_t sys_value(struct gen *g)
{
    static const uint16_t ends[] = {0, 0x1000, 0x2000, 0x4000, 0x8000, 0xffff};
    switch (gen_below(g, 7)) {
    case 0:
        return gen_below(g, 256);
    case 1:
        return sys_selector(g);
    case 2:
        return (uint32_t)gen_random(g);
    case 3:
        return ends[gen_below(g, 6)] + gen_below(g, 32) - 16;
    default:
        return gen_below(g, SYS_DATA_BYTES);
    }
}

void sys_put32(struct system_case *s, uint32_t at, uint32_t v)
{
    memcpy(s->ram + at, &v, 4);
}

/* --- segment registers --- */

static struct segment loaded(unsigned descriptor, unsigned rpl)
{
    struct segment d = system_descriptors[descriptor];
    d.sel = (uint16_t)(descriptor << 3 | rpl);
    return d;
}

/* SDM 3B 20.1.1 and 20.2.1. */
static struct segment real(const struct system_case *s, uint32_t base)
{
    const uint16_t access = s->mode == SYS_VM86 ? 0xf3 : 0x93;
    return (struct segment){.sel = (uint16_t)(base >> 4), .access = access, .base = base, .limit = 0xffff};
}

static void set_real_segments(struct gen *g, struct system_case *s)
{
    struct segment *seg = s->state.seg;
    for (unsigned i = 0; i < SEG_COUNT; i++)
        seg[i] = real(s, sys_chance(g, 70) ? SYS_DATA : gen_below(g, 0x2800) << 4);
    seg[SEG_CS] = real(s, SYS_CODE), seg[SEG_SS] = real(s, SYS_STACK);
    for (unsigned i = 0; s->mode == SYS_UNREAL && i < SEG_COUNT; i++)
        if (i != SEG_CS && sys_chance(g, 70))
            seg[i].limit = UINT32_MAX, seg[i].access |= SEG_ACC_G;
}

static void set_protected_segments(struct gen *g, struct system_case *s)
{
    static const uint8_t
        code[SYS_MODES] = {[SYS_PM16] = G_CODE16, [SYS_PM32] = G_BASED_CODE32, [SYS_FLAT] = G_CODE32},
        data[SYS_MODES] = {[SYS_PM16] = G_DATA16, [SYS_PM32] = G_BASED_DATA32, [SYS_FLAT] = G_DATA32},
        others[] = {G_DOWN, G_READ_ONLY, G_DATA16, G_DOWN16, G_CONFORMING};
    struct segment *seg = s->state.seg;
    for (unsigned i = 0; i < SEG_COUNT; i++)
        seg[i] = loaded(data[s->mode], 0);
    seg[SEG_CS] = loaded(code[s->mode], 0);
    if (s->mode == SYS_PM16 || (s->mode == SYS_PM32 && sys_chance(g, 30)))
        seg[SEG_SS] = loaded(G_STACK16, 0);
    for (unsigned i = SEG_DS; i < SEG_COUNT; i++)
        if (s->mode != SYS_FLAT && sys_chance(g, 25))
            seg[i] = loaded(others[gen_below(g, sizeof others)], 0);
}

static void set_user_segments(struct gen *g, struct system_case *s)
{
    const unsigned code = s->code32 ? G_USER_CODE32 : G_USER_CODE16; /* the data segment is behind it */
    struct segment *seg = s->state.seg;
    for (unsigned i = 0; i < SEG_COUNT; i++)
        seg[i] = loaded(code + 1, 3);
    seg[SEG_CS] = loaded(code, 3);
    if (sys_chance(g, 20))
        seg[SEG_DS] = loaded(G_CODE_ALIAS, 3);
}

static void set_segments(struct gen *g, struct system_case *s)
{
    if (sys_is_8086(s->mode))
        set_real_segments(g, s);
    else if (s->mode == SYS_USER)
        set_user_segments(g, s);
    else
        set_protected_segments(g, s);
}

/* --- other registers --- */

static void set_control(struct gen *g, struct system_case *s)
{
    struct guest_state *st = &s->state;
    const bool protected = s->mode > SYS_UNREAL;
    st->gdtr = (struct desc_table){SYS_GDT, 8 * G_COUNT - 1};
    st->idtr = protected ? (struct desc_table){SYS_IDT, 2047} : (struct desc_table){SYS_IVT, 1023};
    st->tr = (struct segment){.sel = G_TSS << 3, .access = 0x8b, .base = SYS_TSS, .limit = 0x167};
    st->ldtr = (struct segment){.sel = G_LDT << 3, .access = 0x82, .base = SYS_LDT, .limit = 0x7f};
    st->cr3 = sys_pages(s);
    st->cr0 = CR0_ET | (sys_chance(g, 90) ? CR0_NE : 0) | (sys_chance(g, 10) ? CR0_TS : 0);
    st->cr0 |= protected ? CR0_PE : 0;
    if (protected && sys_chance(g, 50))
        st->cr0 |= CR0_PG | (sys_chance(g, 50) ? CR0_WP : 0) | (sys_chance(g, 10) ? CR0_AM : 0);
    st->cr4 = sys_chance(g, 80) ? CR4_OSFXSR | CR4_OSXMMEXCPT : 0;
    if (s->pae) {
        st->cr4 |= CR4_PAE | (sys_chance(g, 30) ? CR4_PGE : 0);
        st->efer = sys_chance(g, 80) ? EFER_NXE : 0;
        memcpy(st->pdptr, s->ram + SYS_PAE, sizeof st->pdptr);
    }
    st->cpl = s->mode == SYS_USER || s->mode == SYS_VM86 ? 3 : 0;
    st->sysenter_cs = G_CODE32 << 3, st->sysenter_esp = SYS_STACK0, st->sysenter_eip = SYS_CODE;
}

static void set_debug(struct gen *g, struct guest_state *st)
{
    st->dr[6] = 0xffff0ff0, st->dr[7] = 0x400;
    if (!sys_chance(g, 10))
        return;
    st->dr[0] = sys_chance(g, 50) ? SYS_CODE + gen_below(g, 256) : SYS_DATA + gen_below(g, SYS_DATA_BYTES);
    st->dr[7] |= 2u | gen_below(g, 16) << 16;
}

static void set_flags(struct gen *g, struct guest_state *st, enum system_mode mode)
{
    st->df = sys_chance(g, 90) ? 1 : -1;
    guest_set_arith_flags(st, ((uint32_t)gen_random(g) & FLAGS_ARITH) | (st->df < 0 ? FLAG_DF : 0));
    st->eflags = sys_chance(g, 60) ? FLAG_IF : 0;
    if (sys_chance(g, 20))
        st->eflags |= (uint32_t)gen_random(g) & (FLAG_IOPL | FLAG_NT | FLAG_AC);
    if (sys_chance(g, 5))
        st->eflags |= FLAG_TF;
    if (mode == SYS_VM86)
        st->eflags |= FLAG_VM | (sys_chance(g, 70) ? FLAG_IOPL : 0u);
}

/* An x87 exception is seldom pending, and mostly all are masked. */
static void set_floats(struct gen *g, struct guest_state *st)
{
    struct fpu_image f;
    struct sse_image x;
    random_fpu(g, &f, true);
    random_sse(g, &x, (enum lanes)gen_below(g, LANES_COUNT));
    for (unsigned i = 0; i < 8; i++)
        memcpy(st->x87.r[i], f.r[i], 10);
    st->x87.cw = (uint16_t)(sys_chance(g, 80) ? f.cw | 0x3f : f.cw), st->x87.empty = f.empty;
    st->x87.sw = (uint16_t)(f.sw & (sys_chance(g, 90) ? 0x7f00 : 0xffff));
    if (!(st->x87.sw & ~st->x87.cw & 0x3f))
        st->x87.sw &= 0x7f7f;
    memcpy(st->sse.xmm, x.xmm, sizeof x.xmm);
    st->sse.mxcsr = sys_chance(g, 80) ? MXCSR_INIT : x.mxcsr;
}

static void set_state(struct gen *g, struct system_case *s, uint32_t code_at)
{
    struct guest_state *st = &s->state;
    *st = (struct guest_state){0};
    set_segments(g, s);
    for (unsigned i = IR_EAX; i <= IR_EDI; i++)
        st->slot[i] = sys_value(g);
    const uint32_t stack = s->mode == SYS_USER && !s->code32 ? SYS_DATA : SYS_STACK;
    st->slot[IR_ESP] = stack - st->seg[SEG_SS].base + 0x800 + 2 * gen_below(g, 0x100);
    st->eip = code_at - st->seg[SEG_CS].base;
    set_flags(g, st, s->mode);
    set_control(g, s);
    set_debug(g, st);
    set_floats(g, st);
}

/* --- all --- */

static void put_data(struct gen *g, struct system_case *s)
{
    const uint32_t limit = gen_below(g, 8 * G_COUNT), idt = s->state.idtr.base;
    const uint32_t pointers[4][2] = {
        {8 * G_COUNT - 1, SYS_GDT}, {2047, idt}, {1023, SYS_IVT}, {limit, SYS_GDT}};
    for (uint32_t i = 0; i < SYS_DATA_BYTES; i += 4) {
        sys_put32(s, SYS_DATA + i, sys_value(g));
        sys_put32(s, SYS_STACK + i, sys_value(g));
    }
    memset(s->ram + SYS_DATA + SYS_BOUNDS, 0, 8);
    for (unsigned i = 0; i < 4; i++) {
        sys_put32(s, SYS_DATA + SYS_TABLE_POINTERS + 8 * i, pointers[i][0] | pointers[i][1] << 16);
        sys_put32(s, SYS_DATA + SYS_TABLE_POINTERS + 8 * i + 4, pointers[i][1] >> 16);
    }
}

void system_draw(struct gen *g, struct system_case *s)
{
    memset(s, 0, sizeof *s);
    s->seed = g->seed;
    s->mode = (enum system_mode)gen_below(g, SYS_MODES);
    s->code32 = s->mode == SYS_PM32 || s->mode == SYS_FLAT || (s->mode == SYS_USER && sys_chance(g, 50));
    s->interrupt_ticks = sys_chance(g, 50) ? 5 + gen_below(g, 60) : 0;
    s->cut_seed = gen_random(g);
    const uint32_t at = SYS_CODE + (sys_chance(g, 50) ? gen_below(g, 256) : 4096 - gen_below(g, 200));
    s->pae = sys_chance(g, 40);
    system_put_tables(g, s);
    set_state(g, s, at);
    system_put_code(g, s, at);
    put_data(g, s);
}
