/* emulated.c - runs a case in the vCPU at CPL 3 behind page tables that match native.c's mappings.
 *
 * Every IDT gate leads to a HLT of its own at CPL 0 with interrupts off, which ends vcpu_run(); the
 * frame on the ring-0 stack says what happened. */
#include "tests/oracle/oracle.h"

#include <stdio.h>
#include <string.h>

#include "syncq/link.h"
#include "translator/cc.h"
#include "vcpu/vcpu.h"

#define RAM_BYTES (16u << 20)
#define TABLES 0x00d40000u  /* page directory, then tables */
#define IDT_BASE 0x00d50000u
#define HANDLERS 0x00d51000u /* one HLT a vector, 16 bytes apart */
#define TSS_BASE 0x00d53000u
#define STACK0_TOP 0x00d56000u
#define GDT_BASE 0x00d57000u

static struct ram ram;
static struct busmap bus;
static struct vcpu *vcpu;
static struct link *lnk;

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
static uint64_t no_idle(void *ctx, uint64_t tick, uint64_t max_tick)
{
    (void)ctx, (void)tick;
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
static const struct link_ops ops = {.access = no_access, .step = no_step, .next_event = no_event, .idle = no_idle,
                                    .host_io = no_host_io, .wake = no_wake};

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

static void put32(uint32_t at, uint32_t v)
{
    memcpy(ram.host + at, &v, 4);
}

static void put64(uint32_t at, uint64_t v)
{
    memcpy(ram.host + at, &v, 8);
}

static void map_page(uint32_t lin, uint32_t flags)
{
    put32(TABLES + 4096 * (1 + (lin >> 22)) + (lin >> 12 & 1023) * 4, lin | flags);
}

/* Supervisor pages for the emulator's own tables, user pages where native.c has them. */
static void build_tables(void)
{
    for (uint32_t i = 0; i < 4; i++)
        put32(TABLES + 4 * i, (TABLES + 4096 * (1 + i)) | 7);
    for (uint32_t p = IDT_BASE; p < GDT_BASE + 4096; p += 4096)
        map_page(p, 3);
    for (uint32_t i = 0; i < DATA_PAGES; i++)
        map_page(DATA_BASE + 4096 * i, 7);
    for (uint32_t i = 0; i < RO_PAGES; i++)
        map_page(DATA_BASE + 4096 * (DATA_PAGES + i), 5);
    map_page(CODE_BASE, 7);
}

static void build_idt(void)
{
    for (uint32_t v = 0; v < 256; v++) {
        uint32_t entry = HANDLERS + 16 * v, dpl = v == 3 || v == 4 ? 3 : 0;
        put64(IDT_BASE + 8 * v, (entry & 0xffff) | UINT64_C(0x08) << 16 | (uint64_t)(0x8e | dpl << 5) << 40 |
                                    (uint64_t)(entry >> 16) << 48);
        ram.host[entry] = 0xf4;
    }
    put32(TSS_BASE + 100, 0xffff0000); /* no I/O bitmap */
    put32(TSS_BASE + 4, STACK0_TOP), put32(TSS_BASE + 8, 0x10);
    put64(GDT_BASE + 8, UINT64_C(0x00cf9b000000ffff)), put64(GDT_BASE + 16, UINT64_C(0x00cf93000000ffff));
    put64(GDT_BASE + 0x20, UINT64_C(0x00cffb000000ffff)), put64(GDT_BASE + 0x28, UINT64_C(0x00cff3000000ffff));
}

bool emulated_init(bool single_tb, bool compiled)
{
    busmap_init(&bus);
    struct link_config lc = {.mode = LINK_INLINE, .ops = &ops, .quantum_ticks = 1 << 17};
    lnk = link_create(&lc);
    if (!lnk || ram_init(&ram, RAM_BYTES) != 0)
        return false;
    struct vcpu_config vc = {.ram = &ram, .link = lnk, .bus = &bus, .shift = 3, .single_tb = single_tb,
                             .translator = compiled ? TRANSLATOR_EAGER : TRANSLATOR_INTERP,
                             .intc = {NULL, set_line, no_intr, no_ack, no_intr}, .tick_limit = UINT64_MAX};
    vcpu = vcpu_create(&vc);
    if (!vcpu)
        return false;
    build_tables();
    build_idt();
    return true;
}

static struct segment flat(uint16_t sel, uint16_t access)
{
    return (struct segment){.sel = sel, .access = access, .base = 0, .limit = 0xffffffff};
}

static void set_state(const struct cpu_image *in)
{
    struct guest_state *g = vcpu_state(vcpu);
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
    g->cr3 = TABLES;
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

static void get_state(struct test_result *r)
{
    struct guest_state *g = vcpu_state(vcpu);
    static const uint32_t with_error = 1u << 8 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 13 | 1u << 14 | 1u << 17;
    const uint32_t *frame = (const uint32_t *)(ram.host + g->slot[IR_ESP]);
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

void emulated_run(const struct test_case *c, struct test_result *r)
{
    memset(ram.host + CODE_BASE, 0xcc, CODE_BYTES);
    memcpy(ram.host + c->in.eip, c->code, c->code_bytes);
    memcpy(ram.host + DATA_BASE, c->data, DATA_BYTES);
    vcpu_ram_changed(vcpu, CODE_BASE, CODE_BYTES);
    vcpu_ram_changed(vcpu, DATA_BASE, DATA_BYTES);
    set_state(&c->in);
    vcpu_state_changed(vcpu);
    enum vcpu_exit e = vcpu_run(vcpu);
    if (e != VCPU_EXIT_HALTED)
        fprintf(stderr, "oracle: the emulator left with %d\n", (int)e);
    get_state(r);
    memcpy(r->data, ram.host + DATA_BASE, DATA_BYTES);
}

bool emulated_owns(uint32_t lin_addr)
{
    return lin_addr >= IDT_BASE && lin_addr < GDT_BASE + 4096;
}

void emulated_end(void)
{
    vcpu_destroy(vcpu);
    link_destroy(lnk);
    ram_free(&ram);
}
