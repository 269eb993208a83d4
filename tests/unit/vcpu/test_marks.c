/* Marks: the hits of every engine, however a run is cut, are those of a run one instruction at a time. */
#include "tests/unit/vcpu/harness.h"

#include <criterion/criterion.h>
#include <string.h>

#define HANDLERS 0x20000u
#define ALIAS    0x15000u /* the first page of the code, with marks of its own */
#define ALIAS2   0x16000u /* that page without marks */
#define FETCHED  0x13000u /* code whose page is mapped by its first fetch */
#define HITS_MAX 8192
#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)
#define ALIASED  0x15000
#define UNMARKED 0x16000

/* Page faults map the page. EBP: the page tables. */
GUEST_CODE(tour,
           "m_begin: sti\n m_shadow: nop\n"
           " mov $0x40000, %ebx\n mov $2500, %ecx\n"
           "m_loop: addl $1, (%ebx)\n add $4, %ebx\n dec %ecx\n jnz m_loop\n"
           "m_behind: mov $0x50000, %edi\n mov $700, %ecx\n"
           "m_rep: rep stosb\n"
           " mov $0xf0000000, %edi\n xor %ecx, %ecx\n"
           "m_rep_none: rep stosb\n"
           " nop\n m_mmio: incl (%edi)\n"
           " mov $5, %ecx\n m_rep_mmio: rep stosl\n"
           " mov $0x17ffc, %esi\n mov $0x72000, %edi\n mov $8, %ecx\n m_rep_into_mmio: rep movsb\n"
           " mov $0x60ff0, %edi\n mov $9, %ecx\n m_rep_fault: rep stosl\n"
           " nop\n m_fault: movl $1, 0x64000\n"
           " mov $3, %ecx\n m_call: call m_function\n mov $" TEXT(
               ALIASED) " + m_function - tour, %eax\n"
                        " call *%eax\n mov $" TEXT(
                            UNMARKED) " + m_function - tour, %eax\n call *%eax\n loop m_call\n"
                                      " mov $4, %ecx\n m_patch: movb %cl, 0x10000 + 1 + m_patched - tour\n"
                                      "m_patched: mov $0, %al\n add %eax, %edx\n loop m_patch\n"
                                      " mov $3, %ecx\n 1: int $0x40\n m_loopx: loop 1b\n"
                                      " mov $0x13000, %eax\n call *%eax\n call *%eax\n"
                                      " mov $6, %ecx\n 2: call m_crossing\n loop 2b\n"
                                      " in $0x10, %eax\n m_io: in $0x10, %eax\n"
                                      " mov $0x70000, %esi\n mov $0x71000, %edi\n mov $40, %ecx\n repe "
                                      "cmpsb\n m_pushf: pushf\n popf\n"
                                      "m_end: mov $0xf4, %dx\n out %eax, %dx\n 99: jmp 99b\n"
                                      "m_function: inc %edx\n m_ret: ret\n"
                                      ".org tour + 0xffd\n m_crossing: movl $5, %eax\n m_crossed: ret\n");
GUEST_CODE(handler_int, "nop\n iret\n");
GUEST_CODE(handler_timer, "iret\n");
GUEST_CODE(handler_fault, "push %eax\n push %ebx\n mov %cr2, %eax\n mov %eax, %ebx\n shr $12, %ebx\n"
                          " and $~0xfff, %eax\n or $3, %eax\n mov %eax, (%ebp, %ebx, 4)\n pop %ebx\n"
                          " pop %eax\n add $4, %esp\n iret\n");
GUEST_CODE(fetched, "inc %edx\n ret\n");
extern const uint8_t m_shadow[], m_loop[], m_behind[], m_rep[], m_rep_none[], m_mmio[], m_rep_mmio[],
    m_rep_into_mmio[], m_rep_fault[], m_fault[], m_call[], m_function[], m_ret[], m_patch[], m_patched[],
    m_loopx[], m_io[], m_pushf[], m_end[], m_crossing[], m_crossed[];

struct hit {
    uint64_t tick;
    uint32_t lin_addr;
};
static struct harness h;
static struct {
    unsigned count;
    struct hit hit[HITS_MAX];
    bool stops;
    bool samples;     /* a sample is asked for at each hit */
    unsigned sampled; /* how many came */
} seen, reference;
static uint64_t reference_end;

static uint32_t at(const uint8_t *label)
{
    return HARNESS_CODE + (uint32_t)(label - tour);
}

static unsigned marks_of(uint32_t *out)
{
    const uint32_t all[] = {
        at(m_shadow),         at(m_loop),
        at(m_behind),         at(m_rep),
        at(m_rep_none),       at(m_mmio),
        at(m_rep_mmio),       at(m_rep_fault),
        at(m_fault),          at(m_call),
        at(m_function),       at(m_ret),
        at(m_patch),          at(m_patched),
        at(m_loopx),          at(m_io),
        at(m_pushf),          at(m_end),
        at(m_crossing),       at(m_crossed),
        at(m_rep_into_mmio),  FETCHED,
        HANDLERS + 0x20 * 64, HANDLERS + 0x40 * 64,
        HANDLERS + 14 * 64,   ALIAS + (uint32_t)(m_function - tour),
        0xfffffffeu,
    };
    memcpy(out, all, sizeof all);
    return sizeof all / sizeof *all;
}

static void add_hit(uint64_t tick, uint32_t lin_addr)
{
    cr_assert_lt(seen.count, HITS_MAX);
    seen.hit[seen.count++] = (struct hit){tick, lin_addr};
}

static void take_mark(void *ctx, const struct guest_state *g, uint64_t tick, uint32_t lin_addr)
{
    cr_assert_eq(g->seg[SEG_CS].base + g->eip, lin_addr);
    cr_assert_eq(tick, vcpu_tick(h.cpu));
    add_hit(tick, lin_addr);
    if (seen.stops)
        vcpu_stop_at(h.cpu, tick);
    if (seen.samples)
        vcpu_sample_at(h.cpu, tick);
}

static uint64_t take_sample(void *ctx, const struct guest_state *g, uint64_t tick)
{
    const struct hit *last = &seen.hit[seen.count - 1];
    cr_assert(seen.count && tick == last->tick && g->seg[SEG_CS].base + g->eip == last->lin_addr);
    seen.sampled++;
    return TICK_NEVER;
}

static void put_handler(unsigned vector, const uint8_t *code, const uint8_t *end)
{
    harness_put(&h, HANDLERS + vector * 64, code, (size_t)(end - code));
    harness_gate(&h, vector, HANDLERS + vector * 64, 0);
}

static void begin(struct harness_options o)
{
    seen.count = 0;
    o.timer_ticks = o.timer_ticks ? o.timer_ticks : 97;
    seen.samples = false;
    seen.sampled = 0;
    o.observer = (struct vcpu_observer){.mark = take_mark, .sample = take_sample, .sample_first = TICK_NEVER};
    harness_init(&h, &o);
    HARNESS_LOAD(&h, tour);
    harness_tables(&h);
    put_handler(0x20, handler_timer, handler_timer_end);
    put_handler(0x40, handler_int, handler_int_end);
    put_handler(EXC_PF, handler_fault, handler_fault_end);
    harness_put(&h, FETCHED, fetched, (size_t)(fetched_end - fetched));
    harness_paging(&h, 3);
    harness_poke32(&h, harness_pte(ALIAS), HARNESS_CODE | 3);
    harness_poke32(&h, harness_pte(ALIAS2), HARNESS_CODE | 3);
    harness_poke32(&h, harness_pte(0x18000), HARNESS_MMIO | 3);
    const uint32_t lazy[] = {FETCHED, 0x11000, 0x60000, 0x61000, 0x64000};
    for (unsigned i = 0; i < sizeof lazy / sizeof *lazy; i++)
        harness_poke32(&h, harness_pte(lazy[i]), 0);
    vcpu_state(h.cpu)->slot[IR_EBP] = harness_pte(0);
}

static void set_marks(void)
{
    uint32_t marks[64];
    unsigned n = marks_of(marks);
    cr_assert(vcpu_set_marks(h.cpu, marks, n));
}

/* One instruction at a time: what the manual says of an instruction breakpoint, asked before each. */
static bool ask(void *ctx)
{
    const struct guest_state *g = &h.cpu->g;
    uint32_t marks[64], lin_addr = g->seg[SEG_CS].base + g->eip;
    uint64_t tick = vcpu_tick(h.cpu);
    bool again =
        seen.count && seen.hit[seen.count - 1].tick == tick && seen.hit[seen.count - 1].lin_addr == lin_addr;
    for (unsigned n = marks_of(marks); n-- > 0;)
        if (marks[n] == lin_addr && !vcpu_rf(h.cpu) && !again)
            add_hit(tick, lin_addr);
    return false;
}

static void make_reference(uint64_t timer_ticks)
{
    begin((struct harness_options){.timer_ticks = timer_ticks});
    vcpu_until(h.cpu, &(struct vcpu_until){.tick = TICK_NEVER, .condition = ask});
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
    reference = seen;
    reference_end = harness_fingerprint(&h);
    harness_free(&h);
}

static unsigned hits_of(uint32_t lin_addr)
{
    unsigned n = 0;
    for (unsigned i = 0; i < reference.count; i++)
        n += reference.hit[i].lin_addr == lin_addr;
    return n;
}

/* The reference itself, where the count is known. */
static void check_reference(void)
{
    cr_assert_eq(hits_of(at(m_shadow)), 1);
    cr_assert_eq(hits_of(at(m_loop)), 2500);
    cr_assert_eq(hits_of(at(m_behind)), 1);
    cr_assert_eq(hits_of(at(m_rep)), 1, "however many interrupts came between its iterations");
    cr_assert_eq(hits_of(at(m_rep_none)), 1);
    cr_assert_eq(hits_of(at(m_mmio)), 1);
    cr_assert_eq(hits_of(at(m_rep_mmio)), 1);
    cr_assert_eq(hits_of(at(m_rep_into_mmio)), 1, "whose fifth iteration is the first access to a device");
    cr_assert_eq(hits_of(at(m_rep_fault)), 1);
    cr_assert_eq(hits_of(at(m_fault)), 1);
    cr_assert_eq(hits_of(at(m_call)), 3);
    cr_assert_eq(hits_of(at(m_function)), 3);
    cr_assert_eq(hits_of(ALIAS + (uint32_t)(m_function - tour)), 3);
    cr_assert_eq(hits_of(at(m_ret)), 3, "the aliases are not marked there");
    cr_assert_eq(hits_of(at(m_patch)), 4);
    cr_assert_eq(hits_of(at(m_patched)), 4);
    cr_assert_eq(hits_of(at(m_loopx)), 3);
    cr_assert_eq(hits_of(HANDLERS + 0x40 * 64), 3);
    cr_assert_eq(hits_of(FETCHED), 2);
    cr_assert_eq(hits_of(at(m_crossing)), 6);
    cr_assert_eq(hits_of(HANDLERS + 14 * 64), 5);
    cr_assert_gt(hits_of(HANDLERS + 0x20 * 64), 80);
    cr_assert_eq(hits_of(at(m_end)), 1);
}

static void check_hits(const char *how)
{
    unsigned n = seen.count < reference.count ? seen.count : reference.count;
    for (unsigned i = 0; i < n; i++)
        cr_assert(
            seen.hit[i].tick == reference.hit[i].tick && seen.hit[i].lin_addr == reference.hit[i].lin_addr,
            "%s: hit %u is %#x at tick %lu, not %#x at %lu", how, i, seen.hit[i].lin_addr,
            (unsigned long)seen.hit[i].tick, reference.hit[i].lin_addr, (unsigned long)reference.hit[i].tick);
    cr_assert_eq(seen.count, reference.count, "%s: %u hits, not %u", how, seen.count, reference.count);
    cr_assert_eq(harness_fingerprint(&h), reference_end, "%s: the guest is another", how);
}

static const struct {
    const char *how;
    struct harness_options o;
} ways[] = {
    {"one instruction a block", {.single_tb = true}},
    {"one compiled instruction a block", {.single_tb = true, .translator = TRANSLATOR_EAGER}},
    {"interpreted", {0}},
    {"interpreted, cut often", {.quantum_ticks = 5}},
    {"compiled", {.translator = TRANSLATOR_EAGER}},
    {"compiled, cut often", {.translator = TRANSLATOR_EAGER, .quantum_ticks = 3}},
    {"compiled, cut now and then", {.translator = TRANSLATOR_EAGER, .quantum_ticks = 111}},
    {"compiled when hot", {.translator = TRANSLATOR_BACKGROUND, .hot = 2}},
    {"compiled by workers", {.translator = TRANSLATOR_BACKGROUND, .hot = 1, .translator_threads = 2}},
    {"surveyed", {.translator = TRANSLATOR_EAGER, .survey = true}},
    {"device thread", {.translator = TRANSLATOR_EAGER, .devthread = HARNESS_THREAD}},
    {"adaptive", {.translator = TRANSLATOR_EAGER, .devthread = HARNESS_ADAPTIVE, .quantum_ticks = 1000}},
};
#define WAYS (sizeof ways / sizeof *ways)

Test(marks, hits_are_the_same_in_every_engine)
{
    const uint64_t timers[] = {97, 1000000, 13};
    for (unsigned t = 0; t < 3; t++) {
        make_reference(timers[t]);
        if (t == 0)
            check_reference();
        for (unsigned i = 0; i < WAYS; i++) {
            struct harness_options o = ways[i].o;
            o.timer_ticks = timers[t];
            begin(o);
            set_marks();
            cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
            check_hits(ways[i].how);
            harness_free(&h);
        }
    }
}

/* A hit can end the run there, and the machine is as at any other end at that tick. */
Test(marks, a_run_may_end_at_each)
{
    static uint64_t fingerprint[HITS_MAX];
    make_reference(97);
    for (unsigned i = 0; i < WAYS; i++) {
        begin(ways[i].o);
        set_marks();
        seen.stops = true;
        for (unsigned stop = 0; vcpu_run(h.cpu) == VCPU_EXIT_TICK_LIMIT; stop++) {
            cr_assert_lt(stop, reference.count);
            cr_assert_eq(vcpu_tick(h.cpu), reference.hit[stop].tick, "%s: stop %u", ways[i].how, stop);
            uint64_t here = stop % 50 == 0 || stop < 20 ? harness_fingerprint(&h) : 0;
            cr_assert(i == 0 || here == fingerprint[stop], "%s: another state at stop %u", ways[i].how, stop);
            fingerprint[stop] = here;
            vcpu_until(h.cpu, &(struct vcpu_until){.tick = TICK_NEVER});
        }
        check_hits(ways[i].how);
        seen.stops = false;
        harness_free(&h);
    }
}

/* A sample may be asked for at a hit: it comes at the mark's tick and before its instruction, and marks may
 * be set there. */
Test(marks, a_sample_may_be_had_at_each)
{
    make_reference(97);
    for (unsigned i = 0; i < WAYS; i++) {
        begin(ways[i].o);
        set_marks();
        seen.samples = true;
        cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
        check_hits(ways[i].how);
        cr_assert_eq(seen.sampled, reference.count, "%s: %u samples", ways[i].how, seen.sampled);
        harness_free(&h);
    }
}

Test(marks, may_be_set_and_taken_away_between_stretches)
{
    const uint32_t one = at(m_loop);
    for (unsigned i = 0; i < WAYS; i++) {
        begin(ways[i].o);
        vcpu_until(h.cpu, &(struct vcpu_until){.tick = 3000});
        cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_TICK_LIMIT);
        cr_assert_eq(seen.count, 0);
        cr_assert(vcpu_set_marks(h.cpu, &one, 1));
        vcpu_until(h.cpu, &(struct vcpu_until){.tick = 4000});
        cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_TICK_LIMIT);
        unsigned hits = seen.count;
        cr_assert_gt(hits, 200);
        cr_assert(vcpu_set_marks(h.cpu, NULL, 0));
        vcpu_until(h.cpu, &(struct vcpu_until){.tick = TICK_NEVER});
        cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
        cr_assert_eq(seen.count, hits);
        harness_free(&h);
    }
    uint32_t many[VCPU_MARKS_MAX + 1] = {0};
    begin((struct harness_options){0});
    cr_assert(!vcpu_set_marks(h.cpu, many, VCPU_MARKS_MAX + 1));
    harness_free(&h);
}

/* --- the guest's own instruction breakpoint at a mark --- */

GUEST_CODE(broken, "mov $0x10000 + m_broken - broken, %eax\n mov %eax, %dr0\n mov $1, %eax\n mov %eax, %dr7\n"
                   " nop\n m_broken: nop\n xor %eax, %eax\n mov %eax, %dr7\n mov $0xf4, %dx\n out %eax, %dx\n"
                   " 99: jmp 99b\n");
GUEST_CODE(handler_debug, "orl $0x10000, 8(%esp)\n iret\n");
extern const uint8_t m_broken[];

Test(marks, count_once_under_the_guests_breakpoint)
{
    const uint32_t mark = HARNESS_CODE + (uint32_t)(m_broken - broken);
    for (unsigned i = 0; i < WAYS; i++) {
        struct harness_options o = ways[i].o;
        o.observer = (struct vcpu_observer){.mark = take_mark};
        seen.count = 0;
        harness_init(&h, &o);
        HARNESS_LOAD(&h, broken);
        harness_tables(&h);
        put_handler(EXC_DB, handler_debug, handler_debug_end);
        cr_assert(vcpu_set_marks(h.cpu, &mark, 1));
        cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
        cr_assert_eq(seen.count, 1, "%s", ways[i].how);
        cr_assert_eq(seen.hit[0].tick, 5, "%s", ways[i].how);
        harness_free(&h);
    }
}

/* --- accesses --- */

GUEST_CODE(accesses, "mov $0xe9, %dx\n mov $'A', %al\n out %al, %dx\n in $0x10, %eax\n"
                     " mov $0xf0000000, %edi\n movl $7, 4(%edi)\n mov 4(%edi), %eax\n mov $3, %ecx\n"
                     " mov $0x10000, %esi\n rep outsb\n"
                     " mov $0xf4, %dx\n out %eax, %dx\n 99: jmp 99b\n");

static struct access accessed[16];
static unsigned naccessed;
static uint64_t stop_behind;

static void take_access(void *ctx, const struct guest_state *g, const struct access *a)
{
    cr_assert_lt(naccessed, 16);
    accessed[naccessed++] = *a;
    if (a->tick == stop_behind)
        vcpu_stop_at(h.cpu, a->tick + 1);
}

static void begin_accesses(struct harness_options o)
{
    o.observer = (struct vcpu_observer){.access = take_access};
    naccessed = 0;
    harness_init(&h, &o);
    HARNESS_LOAD(&h, accesses);
}

Test(marks, observer_is_told_of_accesses)
{
    static const struct access expected[] = {
        {.tick = 2, .addr = 0xe9, .value = 'A', .size = 1, .kind = ACCESS_PIO_WRITE},
        {.tick = 3, .addr = 0x10, .value = 1, .size = 4, .kind = ACCESS_PIO_READ},
        {.tick = 5, .addr = HARNESS_MMIO + 4, .value = 7, .size = 4, .kind = ACCESS_MMIO_WRITE},
        {.tick = 6, .addr = HARNESS_MMIO + 4, .value = 7, .size = 4, .kind = ACCESS_MMIO_READ},
        {.tick = 9, .addr = 0xe9, .value = 0x66, .size = 1, .kind = ACCESS_PIO_WRITE},
        {.tick = 10, .addr = 0xe9, .value = 0xba, .size = 1, .kind = ACCESS_PIO_WRITE},
        {.tick = 11, .addr = 0xe9, .value = 0xe9, .size = 1, .kind = ACCESS_PIO_WRITE},
        {.tick = 13, .addr = 0xf4, .value = 7, .size = 4, .kind = ACCESS_PIO_WRITE},
    };
    stop_behind = TICK_NEVER;
    for (unsigned i = 0; i < WAYS; i++) {
        begin_accesses(ways[i].o);
        cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
        cr_assert_eq(naccessed, 8, "%s", ways[i].how);
        for (unsigned n = 0; n < 8; n++) {
            const struct access *a = &accessed[n], *b = &expected[n];
            cr_assert(a->tick == b->tick && a->addr == b->addr && a->value == b->value &&
                          a->size == b->size && a->kind == b->kind,
                      "%s: access %u: tick %lu, value %#x", ways[i].how, n, (unsigned long)a->tick, a->value);
        }
        harness_free(&h);
    }
}

/* Within a REP too. */
Test(marks, a_run_may_end_behind_an_access)
{
    const uint64_t ticks[] = {2, 3, 5, 6, 9, 10, 11};
    for (unsigned i = 0; i < WAYS * 7; i++) {
        stop_behind = ticks[i % 7];
        begin_accesses(ways[i / 7].o);
        cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_TICK_LIMIT, "%s", ways[i / 7].how);
        cr_assert_eq(vcpu_tick(h.cpu), stop_behind + 1, "%s", ways[i / 7].how);
        vcpu_until(h.cpu, &(struct vcpu_until){.tick = TICK_NEVER});
        cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
        cr_assert_eq(naccessed, 8, "%s", ways[i / 7].how);
        harness_free(&h);
    }
}
