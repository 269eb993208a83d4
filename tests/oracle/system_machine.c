/* system_machine.c - see system_machine.h. */
#include "tests/oracle/system_machine.h"

#include <stdlib.h>
#include <string.h>

#include "clockcore/check.h"
#include "clockcore/ticks.h"
#include "mem/watch.h"
#include "syncq/busmap.h"
#include "syncq/link.h"
#include "syncq/pinning.h"
#include "vcpu/parts.h"
#include "vcpu/vcpu_internal.h"

enum { LATENCY = 20, SHIFT = 3, VECTOR_BASE = 0x20, VECTORS = 8, PORTS = 64 };
enum { CHUNK = 64 }; /* memory is put in place in such pieces, where it differs */
/* So often a case is loaded until all blocks are forgotten: those of many cases in one page take long to
 * search. */
enum { LOADS_MAX = 6 };

struct system_machine {
    struct system_engine engine;
    struct physmem mem;
    struct busmap bus;
    struct link *link;
    struct vcpu *vcpu;
    struct vcpu_until until;
    unsigned loads; /* since everything was forgotten */
    uint64_t began; /* tick of the case */
    uint64_t cut_seed;
    uint32_t written;  /* a hash of all that was written to devices */
    uint32_t local;    /* the register on the vCPU's side */
    unsigned pending;  /* interrupts */
    unsigned taken;    /* of them, acknowledged */
    uint64_t next_ns;  /* of the next interrupt by itself; NS_NEVER: none */
    uint64_t every_ns; /* between them */
};

/* --- devices --- */

static uint32_t mix(uint32_t a, uint32_t b)
{
    const uint32_t x = (a ^ b) * 0x9e3779b1u;
    return x ^ x >> 15;
}

static uint32_t device_access(void *ctx, const struct access *a)
{
    struct system_machine *m = ctx;
    const uint32_t since = (uint32_t)(a->tick - m->began), where = mix((uint32_t)a->addr, since);
    if (a->kind == ACCESS_PIO_READ || a->kind == ACCESS_MMIO_READ)
        return mix(where, m->written);
    m->written = mix(m->written, mix(where, a->value));
    if (a->kind == ACCESS_PIO_WRITE && a->addr >= PORTS)
        link_effect(m->link, &(struct effect){.tick = a->tick + LATENCY, .kind = EFFECT_IRQ, .value = 1});
    return 0;
}

static uint32_t pure_read(const void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    const struct system_machine *m = state;
    return mix(offset + size, (uint32_t)(now_ns - ticks_to_ns(m->began, SHIFT)));
}

static uint32_t local_read(void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    struct system_machine *m = state;
    m->local = mix(m->local + offset + size, (uint32_t)(now_ns - ticks_to_ns(m->began, SHIFT)));
    return m->local;
}

static void local_write(void *state, uint32_t offset, unsigned size, uint32_t value, uint64_t now_ns)
{
    struct system_machine *m = state;
    m->local = mix(value, local_read(m, offset, size, now_ns));
}

static void no_step(void *ctx, uint64_t tick)
{
    (void)ctx, (void)tick;
}

static uint64_t no_event(void *ctx)
{
    (void)ctx;
    return TICK_NEVER;
}

static uint64_t idle(void *ctx, uint64_t tick, uint64_t max_tick, uint64_t stand_tick)
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

static const struct link_ops ops = {.access = device_access,
                                    .step = no_step,
                                    .next_event = no_event,
                                    .idle = idle,
                                    .host_io = no_host_io,
                                    .wake = no_wake};

/* --- interrupt controller --- */

static void set_line(void *ctx, unsigned line, unsigned level)
{
    (void)line, (void)level;
    ((struct system_machine *)ctx)->pending++;
}

static bool intr(const void *ctx)
{
    return ((const struct system_machine *)ctx)->pending != 0;
}

static uint8_t acknowledge(void *ctx)
{
    struct system_machine *m = ctx;
    m->pending -= m->pending != 0;
    return (uint8_t)(VECTOR_BASE + m->taken++ % VECTORS);
}

static bool can_interrupt(const void *ctx)
{
    const struct system_machine *m = ctx;
    return m->pending || m->next_ns != NS_NEVER;
}

static uint64_t next_event(const void *ctx)
{
    return ((const struct system_machine *)ctx)->next_ns;
}

static void advance(void *ctx, uint64_t now_ns)
{
    struct system_machine *m = ctx;
    (void)now_ns;
    m->next_ns += m->every_ns;
    m->pending++;
}

/* --- create and destroy --- */

static void add_range(struct system_machine *m, uint64_t first, uint64_t last, enum access_class read,
                      enum access_class write)
{
    const struct bus_range r = {.first = first,
                                .last = last,
                                .mmio = first >= SYS_MMIO,
                                .width = 4,
                                .read_class = (uint8_t)read,
                                .write_class = (uint8_t)write,
                                .latency_ticks = LATENCY,
                                .state = m,
                                .read = local_read,
                                .write = local_write,
                                .pure_read = pure_read};
    CHECK(busmap_add(&m->bus, &r) > 0);
}

static void wire(struct system_machine *m)
{
    busmap_init(&m->bus);
    add_range(m, 0, PORTS - 1, CLASS_SYNC, CLASS_SYNC);
    add_range(m, PORTS, 2 * PORTS - 1, CLASS_PURE, CLASS_POSTED);
    add_range(m, 2 * PORTS, 3 * PORTS - 1, CLASS_LOCAL, CLASS_LOCAL);
    add_range(m, SYS_MMIO, SYS_HOLE - 1, CLASS_SYNC, CLASS_SYNC);
    physmem_map(&m->mem, SYS_MMIO, 4096, 0, 0);
    physmem_map(&m->mem, SYS_HOLE, RAM_BYTES_MIN - SYS_HOLE, mem_target(MEM_HOLE, 0),
                mem_target(MEM_HOLE, 0));
}

static struct vcpu_config vcpu_config(struct system_machine *m)
{
    const struct system_engine *e = &m->engine;
    return (struct vcpu_config){.mem = &m->mem,
                                .link = m->link,
                                .bus = &m->bus,
                                .shift = SHIFT,
                                .single_tb = e->single_tb,
                                .translator = e->mode,
                                .hot = e->hot,
                                .translator_threads = e->threads,
                                .translator_not_on_cpu = PIN_ANY,
                                .code_cache_bytes = e->code_cache_bytes,
                                .no_chain = e->no_chain,
                                .long_blocks = e->long_blocks,
                                .long_blocks_seed = 11,
                                .intc = {.ctx = m,
                                         .set_line = set_line,
                                         .intr = intr,
                                         .acknowledge = acknowledge,
                                         .can_interrupt = can_interrupt,
                                         .next_event = next_event,
                                         .advance = advance}};
}

struct system_machine *system_machine_create(const struct system_engine *e)
{
    struct system_machine *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->engine = *e;
    m->next_ns = NS_NEVER;
    m->link =
        link_create(&(struct link_config){.mode = LINK_INLINE,
                                          .ops = &ops,
                                          .ctx = m,
                                          .quantum_ticks = e->quantum_ticks ? e->quantum_ticks : 1 << 17});
    const bool memory = m->link && physmem_init(&m->mem, RAM_BYTES_MIN) == 0;
    if (memory) {
        wire(m);
        const struct vcpu_config vc = vcpu_config(m);
        m->vcpu = vcpu_create(&vc);
    }
    if (m->vcpu)
        return m;
    if (memory)
        physmem_free(&m->mem);
    link_destroy(m->link);
    free(m);
    return NULL;
}

void system_machine_destroy(struct system_machine *m)
{
    if (!m)
        return;
    vcpu_destroy(m->vcpu);
    link_destroy(m->link);
    physmem_free(&m->mem);
    free(m);
}

struct vcpu *system_machine_vcpu(struct system_machine *m)
{
    return m->vcpu;
}

const uint8_t *system_machine_ram(const struct system_machine *m)
{
    return m->mem.host;
}

/* --- a case --- */

static bool differs(const struct system_machine *m, const uint8_t *image, uint32_t at)
{
    return at < SYS_RAM_BYTES && memcmp(m->mem.host + at, image + at, CHUNK) != 0;
}

static void put_memory(struct system_machine *m, const uint8_t *image)
{
    for (uint32_t at = 0, first; at < SYS_RAM_BYTES; at += CHUNK) {
        for (first = at; differs(m, image, at); at += CHUNK)
            ;
        if (at != first)
            physmem_put(&m->mem, first, image + first, at - first);
    }
}

/* Ticks go on; the time-stamp counter begins with the case. */
static void put_state(struct vcpu *v, const struct guest_state *from)
{
    const int64_t budget = v->g.budget;
    v->g = *from;
    v->g.budget = budget;
    v->g.tsc_offset = 0u - vcpu_now_ns(v);
    v->exc = (struct pending_exc){0};
    v->db_pending = 0;
    vcpu_state_changed(v);
}

/* Effects that the last case left behind would come in this one: they are let pass first. */
static void let_effects_pass(struct system_machine *m, const struct system_case *c)
{
    static const uint8_t loop[] = {0xeb, 0xfe}; /* jmp to itself */
    struct guest_state g = c->state;
    g.eflags = 0, g.dr[7] = 0, g.cr0 &= ~(uint32_t)CR0_PG;
    physmem_put(&m->mem, g.seg[SEG_CS].base + g.eip, loop, sizeof loop);
    m->next_ns = NS_NEVER;
    put_state(m->vcpu, &g);
    vcpu_until(m->vcpu, &(struct vcpu_until){.tick = vcpu_tick(m->vcpu) + LATENCY + 1});
    CHECK(vcpu_run(m->vcpu) == VCPU_EXIT_TICK_LIMIT);
}

void system_machine_load(struct system_machine *m, const struct system_case *c)
{
    if (++m->loads % LOADS_MAX == 0)
        vcpu_reset(m->vcpu);
    let_effects_pass(m, c);
    put_memory(m, c->ram);
    put_state(m->vcpu, &c->state);
    m->began = vcpu_tick(m->vcpu);
    m->cut_seed = c->cut_seed;
    m->written = m->local = 0;
    m->pending = m->taken = 0;
    m->every_ns = ticks_to_ns(c->interrupt_ticks, SHIFT);
    m->next_ns = c->interrupt_ticks ? ticks_to_ns(m->began, SHIFT) + m->every_ns : NS_NEVER;
}

static bool never(void *ctx)
{
    (void)ctx;
    return false;
}

/* Where this stretch of a run ends. */
static uint64_t stretch_end(struct system_machine *m, uint64_t end)
{
    m->cut_seed = m->cut_seed * 6364136223846793005u + 1442695040888963407u;
    const uint64_t to = vcpu_tick(m->vcpu) + 1 + (m->cut_seed >> 40) % 30;
    return m->engine.cut && to < end ? to : end;
}

enum vcpu_exit system_machine_run(struct system_machine *m, uint64_t ticks)
{
    const uint64_t end = m->began + ticks;
    enum vcpu_exit e;
    do {
        m->until.tick = stretch_end(m, end);
        if (m->engine.one_at_a_time)
            m->until.condition = never;
        vcpu_until(m->vcpu, &m->until);
        e = vcpu_run(m->vcpu);
    } while (e == VCPU_EXIT_TICK_LIMIT && vcpu_tick(m->vcpu) < end);
    return e;
}

uint64_t system_machine_ticks(const struct system_machine *m)
{
    return vcpu_tick(m->vcpu) - m->began;
}

void system_machine_watch(struct system_machine *m, bool (*condition)(void *ctx), void *ctx)
{
    m->until.condition = condition;
    m->until.ctx = ctx;
}

size_t system_machine_state(struct system_machine *m, uint8_t *out, size_t max)
{
    struct vcpu *v = m->vcpu;
    vcpu_settle(v);
    v->g.tsc_offset += ticks_to_ns(m->began, SHIFT);
    if (v->rf_tick) {
        v->limit -= m->began; /* RF counts at this tick */
        v->rf_tick -= m->began;
    }
    const size_t bytes = vcpu_state_bytes(v, out, max);
    if (v->rf_tick)
        v->limit += m->began;
    return bytes;
}
