/* harness.c - see harness.h. */
#include "tests/unit/vcpu/harness.h"
#include "syncq/link.h"
#include "syncq/mode.h"

#include <sched.h>
#include <string.h>

#include "vcpu/parts.h"

enum { RANGE_TEXT = 1, RANGE_EXIT, RANGE_COUNT, RANGE_PURE, RANGE_MMIO, RANGE_LOCAL };
#define LATENCY_TICKS 100

/* --- devices --- */

static uint32_t device_access(void *ctx, const struct access *a)
{
    struct harness *h = ctx;
    switch (a->range) {
    case RANGE_TEXT:
        if (h->text_bytes < sizeof h->text)
            h->text[h->text_bytes++] = (char)a->value;
        h->write_tick = a->tick;
        return 0;
    case RANGE_EXIT:
        link_effect(h->link, &(struct effect){.tick = a->tick + 1, .kind = EFFECT_EXIT, .value = a->value});
        return 0;
    case RANGE_COUNT:
        if (++h->sync_reads == h->stop_at_read)
            link_stop(h->link, 1);
        return h->sync_reads;
    case RANGE_MMIO:
        if (a->kind == ACCESS_MMIO_WRITE)
            h->mmio[(a->addr - HARNESS_MMIO) / 4] = a->value;
        return h->mmio[(a->addr - HARNESS_MMIO) / 4];
    default:
        return 0;
    }
}

static void irq(struct harness *h, uint64_t tick, uint32_t level)
{
    link_effect(h->link, &(struct effect){.tick = tick, .kind = EFFECT_IRQ, .line = 0, .value = level});
}

static void raise_and_lower(struct harness *h, uint64_t tick)
{
    irq(h, tick, 1);
    irq(h, tick, 0);
}

/* Input is taken once a tick at most, as on the real bus. */
static void input_step(struct harness *h, uint64_t tick)
{
    if (tick < h->input_tick || h->input_taken)
        return;
    h->input_taken = tick;
    raise_and_lower(h, tick);
}

static void timer_step(struct harness *h, uint64_t tick)
{
    if (tick < h->timer_next)
        return;
    raise_and_lower(h, tick);
    h->timer_next += h->timer_ticks;
}

static void device_step(void *ctx, uint64_t tick)
{
    struct harness *h = ctx;
    if (h->input_tick)
        input_step(h, tick);
    timer_step(h, tick);
    if (tick < h->event_next)
        return;
    mem_masters_begin(&h->mem);
    h->event_next = h->event(h, tick);
    mem_masters_end(&h->mem);
}

static uint64_t device_next_event(void *ctx)
{
    const struct harness *h = ctx;
    bool logged = h->input_replayed && h->input_tick && !h->input_taken;
    uint64_t next = h->timer_next < h->event_next ? h->timer_next : h->event_next;
    return logged && h->input_tick < next ? h->input_tick : next;
}

static uint64_t device_idle(void *ctx, uint64_t tick, uint64_t max_tick, uint64_t stand_tick)
{
    const struct harness *h = ctx;
    (void)stand_tick;
    if (h->input_replayed || !h->input_tick || h->input_taken || h->input_tick >= max_tick)
        return max_tick;
    return h->input_tick > tick ? h->input_tick : tick;
}

static void device_host_io(void *ctx, uint64_t timeout_ns)
{
    struct harness *h = ctx;
    /* Relaxed: a count that publishes nothing; only the one thread that calls takes from it. */
    if (atomic_load_explicit(&h->stop_in, memory_order_relaxed) &&
        atomic_fetch_sub_explicit(&h->stop_in, 1, memory_order_relaxed) == 1)
        link_stop(h->link, 1);
    sched_yield();
}

static void device_wake(void *ctx)
{
}

static const struct link_ops ops = {.access = device_access,
                                    .step = device_step,
                                    .next_event = device_next_event,
                                    .idle = device_idle,
                                    .host_io = device_host_io,
                                    .wake = device_wake};

static uint32_t pure_now(const void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    return (uint32_t)now_ns;
}

/* --- interrupt controller --- */

static uint32_t local_read(void *ctx, uint32_t offset, unsigned size, uint64_t now_ns)
{
    return ((const struct harness *)ctx)->local_count;
}

static void local_write(void *ctx, uint32_t offset, unsigned size, uint32_t value, uint64_t now_ns)
{
    struct harness *h = ctx;
    if (offset >= 4) {
        h->pins |= value & 0xffff;
        h->local_pins = value >> 16;
        return;
    }
    h->local_period_ns = value;
    h->local_ns = value ? now_ns + value : NS_NEVER;
}

static uint64_t local_next_event(const void *ctx)
{
    return ((const struct harness *)ctx)->local_ns;
}

static void local_advance(void *ctx, uint64_t now_ns)
{
    struct harness *h = ctx;
    CHECK(h->local_ns <= now_ns);
    h->local_ns += h->local_period_ns;
    h->local_count++;
    h->pins |= h->local_pins;
    h->irq_pending |= h->local_pins ? 0 : 2;
}

static void intc_set_line(void *ctx, unsigned line, unsigned level)
{
    if (level)
        ((struct harness *)ctx)->irq_pending |= 1u << line;
}

static bool intc_intr(const void *ctx)
{
    const struct harness *h = ctx;
    return h->stuck || h->irq_pending;
}

static uint8_t intc_acknowledge(void *ctx)
{
    struct harness *h = ctx;
    unsigned line = h->irq_pending ? (unsigned)__builtin_ctz(h->irq_pending) : 0;
    h->irq_pending &= ~(1u << line);
    return (uint8_t)(0x20 + line);
}

static bool intc_can_interrupt(const void *ctx)
{
    return !((const struct harness *)ctx)->masked;
}

static uint32_t intc_settle(void *ctx)
{
    struct harness *h = ctx;
    uint32_t pins = h->pins;
    h->pins = 0;
    return pins;
}

static uint32_t intc_pins(const void *ctx)
{
    return ((const struct harness *)ctx)->pins_may_come;
}

/* --- machine --- */

static void add(struct harness *h, int index, struct bus_range r)
{
    r.latency_ticks = LATENCY_TICKS;
    CHECK(busmap_add(&h->bus, &r) == index);
}

static void board_wire(struct harness *h)
{
    busmap_init(&h->bus);
    add(h, RANGE_TEXT,
        (struct bus_range){
            .first = 0xe9, .last = 0xe9, .width = 1, .read_class = CLASS_NONE, .write_class = CLASS_POSTED});
    add(h, RANGE_EXIT,
        (struct bus_range){
            .first = 0xf4, .last = 0xf7, .width = 4, .read_class = CLASS_NONE, .write_class = CLASS_POSTED});
    add(h, RANGE_COUNT,
        (struct bus_range){
            .first = 0x10, .last = 0x13, .width = 4, .read_class = CLASS_SYNC, .write_class = CLASS_NONE});
    add(h, RANGE_PURE,
        (struct bus_range){.first = 0x20,
                           .last = 0x23,
                           .width = 4,
                           .read_class = CLASS_PURE,
                           .write_class = CLASS_NONE,
                           .pure_read = pure_now,
                           .state = h});
    add(h, RANGE_MMIO,
        (struct bus_range){.first = HARNESS_MMIO,
                           .last = HARNESS_MMIO + 4095,
                           .mmio = true,
                           .width = 4,
                           .read_class = CLASS_SYNC,
                           .write_class = CLASS_SYNC});
    add(h, RANGE_LOCAL,
        (struct bus_range){.first = 0x30,
                           .last = 0x37,
                           .width = 4,
                           .read_class = CLASS_LOCAL,
                           .write_class = CLASS_LOCAL,
                           .read = local_read,
                           .write = local_write,
                           .state = h});
}

static void digest(void *ctx, uint64_t tick)
{
    struct harness *h = ctx;
    if (h->digests >= sizeof h->digest_ticks / sizeof h->digest_ticks[0])
        return;
    h->digest_inputs += h->input_taken != 0;
    h->digest_ticks[h->digests++] = tick;
}

static struct vcpu_config vcpu_config(struct harness *h, const struct harness_options *o)
{
    return (struct vcpu_config){.mem = &h->mem,
                                .link = h->link,
                                .bus = &h->bus,
                                .shift = 3,
                                .single_tb = o->single_tb,
                                .translator = o->translator,
                                .hot = o->hot,
                                .translator_threads = o->translator_threads,
                                .long_blocks = o->long_blocks,
                                .long_blocks_seed = o->long_blocks_seed,
                                .digest_every = o->digest_every,
                                .digest = digest,
                                .digest_ctx = h,
                                .survey = o->survey,
                                .observer = o->observer,
                                .intc = {.ctx = h,
                                         .set_line = intc_set_line,
                                         .intr = intc_intr,
                                         .acknowledge = intc_acknowledge,
                                         .can_interrupt = intc_can_interrupt,
                                         .next_event = local_next_event,
                                         .advance = local_advance,
                                         .settle = intc_settle,
                                         .pins = intc_pins}};
}

static void *device_thread(void *link)
{
    link_device_loop(link);
    return NULL;
}

void harness_init(struct harness *h, const struct harness_options *o)
{
    memset(h, 0, sizeof *h);
    h->timer_ticks = o->timer_ticks;
    h->stop_at_read = o->stop_at_read;
    h->local_ns = NS_NEVER;
    h->timer_next = o->timer_ticks ? o->timer_ticks : TICK_NEVER;
    board_wire(h);
    CHECK(physmem_init(&h->mem, o->ram_bytes ? o->ram_bytes : HARNESS_RAM_BYTES) == 0);
    if (o->setup)
        o->setup(&h->mem);
    h->master = (struct mem_master){&h->mem};
    h->event = o->event;
    h->event_next = o->event ? o->event_tick : TICK_NEVER;
    static const enum link_mode modes[] = {
        [HARNESS_INLINE] = LINK_INLINE, [HARNESS_THREAD] = LINK_THREAD, [HARNESS_ADAPTIVE] = LINK_ADAPTIVE};
    struct link_config lc = {.mode = modes[o->devthread],
                             .ops = &ops,
                             .ctx = h,
                             .quantum_ticks = o->quantum_ticks ? o->quantum_ticks : 1000000};
    h->link = link_create(&lc);
    CHECK(h->link);
    struct vcpu_config vc = vcpu_config(h, o);
    h->cpu = vcpu_create(&vc);
    CHECK(h->cpu);
    if (o->tick_limit)
        vcpu_until(h->cpu, &(struct vcpu_until){.tick = o->tick_limit});
    h->has_device_thread = o->devthread != HARNESS_INLINE;
    if (h->has_device_thread)
        CHECK(pthread_create(&h->device_thread, NULL, device_thread, h->link) == 0);
}

void harness_free(struct harness *h)
{
    link_end(h->link);
    if (h->has_device_thread)
        pthread_join(h->device_thread, NULL);
    vcpu_destroy(h->cpu);
    link_destroy(h->link);
    physmem_free(&h->mem);
}

void harness_stop_in(struct harness *h, unsigned calls)
{
    atomic_store_explicit(&h->stop_in, calls, memory_order_relaxed); /* a count: see device_host_io() */
}

void harness_put(struct harness *h, uint32_t phys_addr, const void *bytes, size_t n)
{
    CHECK(physmem_write(&h->mem, phys_addr, bytes, n));
}

void harness_load32(struct harness *h, const uint8_t *code, const uint8_t *end)
{
    harness_put(h, HARNESS_CODE, code, (size_t)(end - code));
    vcpu_set_flat32(h->cpu, HARNESS_CODE, 0x10, 0x18);
    vcpu_state(h->cpu)->slot[IR_ESP] = 0x8000;
}

void harness_load16(struct harness *h, const uint8_t *code, const uint8_t *end)
{
    struct guest_state *g = vcpu_state(h->cpu);
    harness_put(h, HARNESS_CODE, code, (size_t)(end - code));
    vcpu_reset(h->cpu);
    g->seg[SEG_CS].sel = HARNESS_CODE >> 4;
    g->seg[SEG_CS].base = HARNESS_CODE;
    g->eip = 0;
    g->slot[IR_ESP] = 0x8000;
    vcpu_state_changed(h->cpu);
}

uint32_t harness_peek32(const struct harness *h, uint32_t phys_addr)
{
    uint32_t value;
    CHECK(physmem_read(&h->mem, phys_addr, &value, sizeof value));
    return value;
}

void harness_poke32(struct harness *h, uint32_t phys_addr, uint32_t value)
{
    harness_put(h, phys_addr, &value, sizeof value);
}

/* --- tables --- */

static void put_descriptor(struct harness *h, unsigned index, uint32_t lo, uint32_t hi)
{
    harness_poke32(h, 0x1000 + index * 8, lo);
    harness_poke32(h, 0x1004 + index * 8, hi);
}

void harness_tables(struct harness *h)
{
    struct guest_state *g = vcpu_state(h->cpu);
    put_descriptor(h, 2, 0x0000ffff, 0x00cf9b00);
    put_descriptor(h, 3, 0x0000ffff, 0x00cf9300);
    put_descriptor(h, 4, 0x0000ffff, 0x00cffb00);
    put_descriptor(h, 5, 0x0000ffff, 0x00cff300);
    put_descriptor(h, 6, 0x11000067, 0x00008b00);
    harness_poke32(h, 0x1104, 0x7000);
    harness_poke32(h, 0x1108, 0x18);
    g->gdtr = (struct desc_table){.base = 0x1000, .limit = 7 * 8 - 1};
    g->idtr = (struct desc_table){.base = 0x2000, .limit = 0x7ff};
    g->tr = (struct segment){.sel = 0x30, .access = 0x8b, .base = 0x1100, .limit = 0x67};
}

void harness_gate(struct harness *h, unsigned vector, uint32_t eip, unsigned dpl)
{
    harness_poke32(h, 0x2000 + vector * 8, (eip & 0xffff) | 0x100000);
    harness_poke32(h, 0x2004 + vector * 8, (eip & 0xffff0000) | 0x8e00 | dpl << 13);
}

#define DIRECTORY 0x80000u
#define TABLES    0x81000u /* four of them: 16 MiB */

uint32_t harness_pte(uint32_t lin_addr)
{
    return TABLES + (lin_addr >> 12) * 4;
}

void harness_paging(struct harness *h, uint32_t flags)
{
    struct guest_state *g = vcpu_state(h->cpu);
    for (uint32_t page = 0; page < HARNESS_RAM_BYTES >> 12; page++)
        harness_poke32(h, harness_pte(page << 12), page << 12 | flags);
    for (uint32_t i = 0; i < 4; i++)
        harness_poke32(h, DIRECTORY + i * 4, (TABLES + i * 0x1000) | 7);
    harness_poke32(h, DIRECTORY + (HARNESS_MMIO >> 22) * 4, (TABLES + 0x4000) | 7);
    harness_poke32(h, TABLES + 0x4000 + (HARNESS_MMIO >> 12 & 0x3ff) * 4, HARNESS_MMIO | 7);
    g->cr3 = DIRECTORY;
    g->cr0 |= CR0_PG | CR0_WP;
    vcpu_state_changed(h->cpu);
}

#define FNV_PRIME UINT64_C(0x100000001b3)

/* FNV-1a by words: each step is a bijection, so that one difference is never lost. */
static uint64_t mix(uint64_t hash, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i += 8) {
        uint64_t word = 0;
        memcpy(&word, p + i, n - i < 8 ? n - i : 8);
        hash = (hash ^ word) * FNV_PRIME;
    }
    return hash;
}

#define LANES 8

/* The same by several chains beside one another, so that no multiplication waits for the one before it. */
static uint64_t mix_lanes(uint64_t hash, const uint8_t *p, size_t n)
{
    uint64_t lane[LANES], words[LANES];
    for (unsigned i = 0; i < LANES; i++)
        lane[i] = hash + i;
    for (size_t at = 0; at < n; at += sizeof words) {
        memcpy(words, p + at, sizeof words);
        for (unsigned i = 0; i < LANES; i++)
            lane[i] = (lane[i] ^ words[i]) * FNV_PRIME;
    }
    return mix(hash, (const uint8_t *)lane, sizeof lane);
}

uint64_t harness_fingerprint(const struct harness *h)
{
    uint8_t state[1024];
    size_t n = vcpu_state_bytes(h->cpu, state, sizeof state);
    CHECK(n <= sizeof state);
    return mix_lanes(mix(1, state, n), h->mem.host, 2u << 20) ^ vcpu_tick(h->cpu);
}
