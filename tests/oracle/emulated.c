/* emulated.c - runs a case in the vCPU at CPL 3 behind page tables that match native.c's mappings.
 *
 * Every IDT gate leads to a HLT of its own at CPL 0 with interrupts off, which ends vcpu_run(); the
 * frame on the ring-0 stack says what happened. */
#include "syncq/busmap.h"
#include "tests/oracle/oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clockcore/check.h"
#include "syncq/link.h"
#include "syncq/pinning.h"
#include "translator/cc.h"
#include "vcpu/parts.h"
#include "vcpu/vcpu.h"

#define RAM_BYTES  (16u << 20)
#define IDT_BASE   0x00d50000u
#define HANDLERS   0x00d51000u /* one HLT a vector, 16 bytes apart */
#define TSS_BASE   0x00d53000u
#define STACK0_TOP 0x00d56000u
#define GDT_BASE   0x00d57000u

struct emulated {
    struct physmem mem;
    struct busmap bus;
    struct vcpu *vcpu;
    struct link *link;
    uint64_t started, ran_away_ticks; /* a case that runs on beyond so many ticks is stopped; 0: never */
};

static uint32_t no_access(void *ctx, const struct access *a)
{
    (void)ctx, (void)a;
    return ~0u;
}
static void no_step(void *ctx, uint64_t tick)
{
    (void)ctx, (void)tick;
}
static uint64_t no_event(void *ctx)
{
    (void)ctx;
    return UINT64_MAX;
}
static uint64_t no_idle(void *ctx, uint64_t tick, uint64_t max_tick, uint64_t stand_tick)
{
    (void)ctx, (void)tick, (void)stand_tick;
    return max_tick;
}
static void no_host_io(void *ctx, uint64_t timeout_ns)
{
    (void)ctx, (void)timeout_ns;
}
static void no_wake(void *ctx)
{
    (void)ctx;
}
static const struct link_ops ops = {.access = no_access,
                                    .step = no_step,
                                    .next_event = no_event,
                                    .idle = no_idle,
                                    .host_io = no_host_io,
                                    .wake = no_wake};

static void set_line(void *ctx, unsigned line, unsigned level)
{
    (void)ctx, (void)line, (void)level;
}
static bool no_intr(const void *ctx)
{
    (void)ctx;
    return false;
}
static uint8_t no_ack(void *ctx)
{
    (void)ctx;
    return 0;
}

static void put32(struct emulated *m, uint32_t at, uint32_t v)
{
    physmem_put(&m->mem, at, &v, 4);
}

static void put64(struct emulated *m, uint32_t at, uint64_t v)
{
    physmem_put(&m->mem, at, &v, 8);
}

void emulated_map(struct emulated *m, uint32_t lin_addr, uint32_t phys_addr, uint32_t flags)
{
    put32(m, EMULATED_TABLES + 4096 * (1 + (lin_addr >> 22)) + (lin_addr >> 12 & 1023) * 4,
          phys_addr | flags);
}

static void map_page(struct emulated *m, uint32_t lin, uint32_t flags)
{
    emulated_map(m, lin, lin, flags);
}

/* Supervisor pages for the emulator's own tables, user pages where native.c has them. */
static void build_tables(struct emulated *m)
{
    for (uint32_t i = 0; i < 4; i++)
        put32(m, EMULATED_TABLES + 4 * i, (EMULATED_TABLES + 4096 * (1 + i)) | 7);
    for (uint32_t p = IDT_BASE; p < GDT_BASE + 4096; p += 4096)
        map_page(m, p, 3);
    for (uint32_t i = 0; i < DATA_PAGES; i++)
        map_page(m, DATA_BASE + 4096 * i, 7);
    for (uint32_t i = 0; i < RO_PAGES; i++)
        map_page(m, DATA_BASE + 4096 * (DATA_PAGES + i), 5);
    map_page(m, CODE_BASE, 7);
}

static void build_idt(struct emulated *m)
{
    for (uint32_t v = 0; v < 256; v++) {
        uint32_t entry = HANDLERS + 16 * v, dpl = v == 3 || v == 4 ? 3 : 0;
        put64(m, IDT_BASE + 8 * v,
              (entry & 0xffff) | UINT64_C(0x08) << 16 | (uint64_t)(0x8e | dpl << 5) << 40 |
                  (uint64_t)(entry >> 16) << 48);
        physmem_put(&m->mem, entry, "\xf4", 1);
    }
    put32(m, TSS_BASE + 100, 0xffff0000); /* no I/O bitmap */
    put32(m, TSS_BASE + 4, STACK0_TOP), put32(m, TSS_BASE + 8, 0x10);
    put64(m, GDT_BASE + 8, UINT64_C(0x00cf9b000000ffff)),
        put64(m, GDT_BASE + 16, UINT64_C(0x00cf93000000ffff));
    put64(m, GDT_BASE + 0x20, UINT64_C(0x00cffb000000ffff)),
        put64(m, GDT_BASE + 0x28, UINT64_C(0x00cff3000000ffff));
}

/* The emulator's own bug: a case that would not end. */
static void stop_runaway(void *ctx, uint64_t tick)
{
    struct emulated *m = ctx;
    if (m->ran_away_ticks && tick - m->started > m->ran_away_ticks)
        link_stop(m->link, 1);
}

struct emulated *emulated_create(const struct emulated_config *cfg)
{
    struct emulated *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    busmap_init(&m->bus);
    struct link_config lc = {
        .mode = LINK_INLINE, .ops = &ops, .quantum_ticks = cfg->quantum_ticks ? cfg->quantum_ticks : 1 << 17};
    m->link = link_create(&lc);
    m->ran_away_ticks = cfg->ran_away_ticks;
    if (!m->link || physmem_init(&m->mem, RAM_BYTES) != 0)
        return NULL;
    struct vcpu_config vc = {
        .mem = &m->mem,
        .link = m->link,
        .bus = &m->bus,
        .shift = 3,
        .single_tb = cfg->single_tb,
        .translator = cfg->mode,
        .hot = cfg->hot,
        .translator_threads = cfg->threads,
        .translator_not_on_cpu = PIN_ANY,
        .code_cache_bytes = cfg->code_cache_bytes,
        .translator_jitter = cfg->jitter,
        .no_chain = cfg->no_chain,
        .long_blocks = cfg->long_blocks,
        .long_blocks_seed = cfg->long_blocks_seed,
        .pretend_differs = cfg->pretend_differs,
        .progress = stop_runaway,
        .progress_ctx = m,
        .intc = {.set_line = set_line, .intr = no_intr, .acknowledge = no_ack, .can_interrupt = no_intr}};
    m->vcpu = vcpu_create(&vc);
    if (!m->vcpu)
        return NULL;
    build_tables(m);
    build_idt(m);
    return m;
}

static struct segment flat(uint16_t sel, uint16_t access)
{
    return (struct segment){.sel = sel, .access = access, .base = 0, .limit = 0xffffffff};
}

static void set_state(struct emulated *m, const struct cpu_image *in)
{
    struct guest_state *g = vcpu_state(m->vcpu);
    memcpy(g->slot, in->gpr, sizeof in->gpr);
    g->eip = in->eip;
    g->slot[IR_CC_OP] = CC_EFLAGS;
    guest_set_arith_flags(g, in->eflags);
    g->eflags = 0x202 & ~2u;
    g->eflags |= in->eflags & (FLAG_NT | FLAG_AC | FLAG_ID);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        g->seg[i] = flat(0x2b, 0xc0f3);
    g->seg[SEG_CS] = flat(0x23, 0xc0fb);
    g->seg[SEG_FS] = g->seg[SEG_GS] = (struct segment){0};
    g->gdtr = (struct desc_table){GDT_BASE, 0x2f}, g->idtr = (struct desc_table){IDT_BASE, 2047};
    g->tr = (struct segment){.sel = 0x30, .access = 0x008b, .base = TSS_BASE, .limit = 0x67};
    g->ldtr = (struct segment){0};
    g->cr3 = EMULATED_TABLES;
    g->cr0 = CR0_PE | CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP;
    g->cr2 = 0;
    g->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
    g->cpl = 3, g->halted = 0, g->int_shadow = 0;
    for (unsigned i = 0; i < 8; i++)
        memcpy(g->x87.r[i], in->fpu.r[i], 10);
    g->x87.fip = g->x87.fdp = g->x87.fop = g->x87.fcs = g->x87.fds = 0;
    g->x87.cw = in->fpu.cw, g->x87.sw = in->fpu.sw, g->x87.empty = in->fpu.empty;
    memcpy(g->sse.xmm, in->sse.xmm, sizeof in->sse.xmm);
    g->sse.mxcsr = in->sse.mxcsr;
}

static void get_state(struct emulated *m, struct test_result *r)
{
    struct guest_state *g = vcpu_state(m->vcpu);
    static const uint32_t with_error =
        1u << 8 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 13 | 1u << 14 | 1u << 17;
    const uint32_t *frame = (const uint32_t *)(m->mem.host + g->slot[IR_ESP]);
    memcpy(r->out.gpr, g->slot, sizeof r->out.gpr);
    r->vector = (g->eip - 1 - HANDLERS) / 16;
    r->error = r->vector < 32 && (with_error >> r->vector & 1) ? *frame++ : 0;
    r->out.eip = frame[0], r->out.eflags = frame[2];
    r->out.gpr[4] = frame[3];
    r->cr2 = r->vector == 14 ? g->cr2 : 0;
    r->fetch_fault = false;
    for (unsigned i = 0; i < 8; i++)
        memcpy(r->out.fpu.r[i], g->x87.r[i], 10);
    r->out.fpu.cw = g->x87.cw, r->out.fpu.sw = g->x87.sw, r->out.fpu.empty = g->x87.empty;
    memcpy(r->out.sse.xmm, g->sse.xmm, sizeof g->sse.xmm);
    r->out.sse.mxcsr = g->sse.mxcsr;
}

bool emulated_enter(struct emulated *m, const struct cpu_image *in, struct test_result *r)
{
    set_state(m, in);
    vcpu_state_changed(m->vcpu);
    m->started = vcpu_tick(m->vcpu);
    enum vcpu_exit e = vcpu_run(m->vcpu);
    if (e != VCPU_EXIT_HALTED)
        fprintf(stderr, "oracle: the emulator left with %d\n", (int)e);
    get_state(m, r);
    return e == VCPU_EXIT_HALTED;
}

void emulated_run(struct emulated *m, const struct test_case *c, struct test_result *r)
{
    uint8_t code[CODE_BYTES];
    memset(code, 0xcc, CODE_BYTES);
    memcpy(code + (c->in.eip - CODE_BASE), c->code, c->code_bytes);
    physmem_put(&m->mem, CODE_BASE, code, CODE_BYTES);
    physmem_put(&m->mem, DATA_BASE, c->data, DATA_BYTES);
    emulated_enter(m, &c->in, r);
    memcpy(r->data, m->mem.host + DATA_BASE, DATA_BYTES);
}

const uint8_t *emulated_ram(const struct emulated *m)
{
    return m->mem.host;
}

void emulated_put(struct emulated *m, uint32_t phys_addr, const void *from, uint32_t bytes)
{
    physmem_put(&m->mem, phys_addr, from, bytes);
}

size_t emulated_state(struct emulated *m, uint8_t *out, size_t max)
{
    size_t bytes = vcpu_state_bytes(m->vcpu, out, max);
    CHECK(bytes <= max);
    return bytes;
}

uint64_t emulated_ticks(const struct emulated *m)
{
    return vcpu_tick(m->vcpu) - m->started;
}

bool emulated_owns(uint32_t lin_addr)
{
    return lin_addr >= IDT_BASE && lin_addr < GDT_BASE + 4096;
}

void emulated_destroy(struct emulated *m)
{
    if (!m)
        return;
    vcpu_destroy(m->vcpu);
    link_destroy(m->link);
    physmem_free(&m->mem);
    free(m);
}
