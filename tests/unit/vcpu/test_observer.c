/* What an observer is told: the same events at the same ticks in every engine, wherever a run is cut. */
#include "tests/unit/vcpu/harness.h"

#include <criterion/criterion.h>
#include <string.h>

#define SEEN_MAX 32
#define HANDLERS 0x12000u

GUEST_CODE(events, "mov $5, %eax\n int $0x40\n ud2\n mov %cr3, %eax\n mov %eax, %cr3\n sti\n hlt\n cli\n"
                   " mov $0xf4, %dx\n out %eax, %dx\n 99: jmp 99b\n");
GUEST_CODE(handler_int, "nop\n iret\n");
GUEST_CODE(handler_ud, "addl $2, (%esp)\n iret\n");
GUEST_CODE(handler_timer, "iret\n");

static struct harness h;
static struct {
    unsigned count, samples;
    struct vcpu_event event[SEEN_MAX];
    uint32_t eip[SEEN_MAX];
    uint64_t sample[SEEN_MAX];
} seen;

static void take_event(void *ctx, const struct guest_state *g, const struct vcpu_event *e)
{
    (void)ctx;
    cr_assert_lt(seen.count, SEEN_MAX);
    seen.eip[seen.count] = g->eip;
    seen.event[seen.count++] = *e;
}

static uint64_t take_sample(void *ctx, const struct guest_state *g, uint64_t tick)
{
    (void)ctx;
    (void)g;
    cr_assert_lt(seen.samples, SEEN_MAX);
    seen.sample[seen.samples++] = tick;
    return tick + 7;
}

static void put_handler(unsigned vector, const uint8_t *code, const uint8_t *end)
{
    uint32_t eip = HANDLERS + vector * 16;
    harness_put(&h, eip, code, (size_t)(end - code));
    harness_gate(&h, vector, eip, 0);
}

static void run_events(struct harness_options o)
{
    memset(&seen, 0, sizeof seen);
    o.timer_ticks = 50;
    o.observer = (struct vcpu_observer){.sample_first = 3, .sample = take_sample, .event = take_event};
    harness_init(&h, &o);
    HARNESS_LOAD(&h, events);
    harness_tables(&h);
    put_handler(0x40, handler_int, handler_int_end);
    put_handler(EXC_UD, handler_ud, handler_ud_end);
    put_handler(0x20, handler_timer, handler_timer_end);
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
    harness_free(&h);
}

/* The idle period comes in pieces, which depend on samples alone. */
static const struct {
    enum vcpu_event_kind kind;
    uint64_t tick;
    uint32_t eip;
} expected[] = {
    {VCPU_EVENT_SOFTWARE, 2, HANDLERS + 0x40 * 16},
    {VCPU_EVENT_IRET, 4, HARNESS_CODE + 7},
    {VCPU_EVENT_EXCEPTION, 4, HANDLERS + EXC_UD * 16},
    {VCPU_EVENT_IRET, 6, HARNESS_CODE + 9},
    {VCPU_EVENT_CR3, 8, 0},
    {VCPU_EVENT_IDLE, 10, HARNESS_CODE + 17},
};
#define BEFORE_HALT 5

static void check_events(const char *how)
{
    unsigned i = 0;
    for (; i <= BEFORE_HALT; i++) {
        cr_assert_eq(seen.event[i].kind, expected[i].kind, "%s: event %u", how, i);
        cr_assert_eq(seen.event[i].tick, expected[i].tick, "%s: event %u", how, i);
        if (expected[i].eip)
            cr_assert_eq(seen.eip[i], expected[i].eip, "%s: event %u", how, i);
    }
    uint64_t idle_end = seen.event[BEFORE_HALT].idle_end;
    for (; seen.event[i].kind == VCPU_EVENT_IDLE; i++) {
        cr_assert_eq(seen.event[i].tick, idle_end, "%s: a gap", how);
        idle_end = seen.event[i].idle_end;
    }
    cr_assert_eq(idle_end, 50, "%s: end of the halt", how);
    cr_assert_eq(seen.event[i].kind, VCPU_EVENT_INTERRUPT, "%s", how);
    cr_assert_eq(seen.event[i].vector, 0x20, "%s", how);
    cr_assert_eq(seen.event[i].tick, 50, "%s", how);
    cr_assert_eq(seen.event[i].from_eip, HARNESS_CODE + 17, "%s", how);
    cr_assert_eq(seen.event[i + 1].kind, VCPU_EVENT_IRET, "%s", how);
    cr_assert_eq(seen.event[i + 1].tick, 51, "%s", how);
}

static void check_samples(const char *how)
{
    cr_assert_geq(seen.samples, 8, "%s", how);
    for (unsigned i = 0; i < seen.samples; i++)
        cr_assert_eq(seen.sample[i], 3 + 7 * i, "%s: sample %u", how, i);
}

Test(observer, is_told_the_same_everywhere)
{
    static const struct {
        const char *how;
        struct harness_options o;
    } runs[] = {
        {"one instruction at a time", {.single_tb = true}},
        {"interpreted", {0}},
        {"compiled", {.translator = TRANSLATOR_EAGER}},
        {"cut often", {.translator = TRANSLATOR_EAGER, .quantum_ticks = 3}},
        {"device thread", {.devthread = HARNESS_THREAD}},
    };
    for (unsigned i = 0; i < sizeof runs / sizeof *runs; i++) {
        run_events(runs[i].o);
        check_events(runs[i].how);
        check_samples(runs[i].how);
    }
}

/* --- samples inside of blocks --- */

enum { LOOKS_MAX = 2048 };
static struct look {
    uint64_t tick;
    uint32_t eip, slot[8], memory;
} looks[2][LOOKS_MAX];
static unsigned look_count, looks_of, look_every;

static uint64_t take_look(void *ctx, const struct guest_state *g, uint64_t tick)
{
    (void)ctx;
    cr_assert_lt(look_count, LOOKS_MAX);
    struct look *l = &looks[looks_of][look_count++];
    *l = (struct look){tick, g->eip, {0}, 0};
    memcpy(l->slot, g->slot, sizeof l->slot);
    return tick + look_every;
}

static unsigned run_looks(unsigned which, unsigned every, struct harness_options o)
{
    looks_of = which;
    look_every = every;
    look_count = 0;
    o.timer_ticks = 50;
    o.observer = (struct vcpu_observer){.sample_first = 1, .sample = take_look, .sample_in_block = true};
    harness_init(&h, &o);
    HARNESS_LOAD(&h, events);
    harness_tables(&h);
    put_handler(0x40, handler_int, handler_int_end);
    put_handler(EXC_UD, handler_ud, handler_ud_end);
    put_handler(0x20, handler_timer, handler_timer_end);
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
    harness_free(&h);
    return look_count;
}

/* However near samples are to one another, each sees what a run one instruction at a time sees. */
Test(observer, samples_in_blocks_see_each_tick)
{
    for (unsigned every = 1; every < 12; every++) {
        const unsigned n = run_looks(0, every, (struct harness_options){.single_tb = true});
        for (unsigned eager = 0; eager < 2; eager++) {
            cr_assert_eq(run_looks(1, every,
                                   (struct harness_options){.translator = eager ? TRANSLATOR_EAGER
                                                                                : TRANSLATOR_INTERP}),
                         n, "every %u", every);
            for (unsigned i = 0; i < n; i++)
                cr_assert(memcmp(&looks[0][i], &looks[1][i], sizeof looks[0][i]) == 0,
                          "every %u, eager %u: sample %u", every, eager, i);
        }
    }
}

/* Blocks that change what they read, use the x87, store past a page's end, store often, and are left in their
 * middle. */
GUEST_CODE(
    changes,
    "mov $0x21000, %esi\n mov $12, %ebp\n fninit\n fldz\n"
    " 1: incl (%esi)\n mov (%esi), %eax\n adc %eax, %edx\n movb %al, 5(%esi)\n movw %ax, 9(%esi)\n"
    " rcll 12(%esi)\n adc 12(%esi), %ecx\n push %ecx\n xor %ecx, (%esp)\n pop %ebx\n movl $7, 5(%esi)\n"
    " add 4(%esi), %ebx\n incl (%esi)\n test $3, %al\n jz 2f\n"
    " fld1\n faddp\n fistl 36(%esi)\n mov 36(%esi), %ebx\n"
    " 2: incl 0xffd(%esi)\n addl %ebx, 0xffe(%esi)\n mov %ebp, %ecx\n shl $14, %ecx\n"
    " add %ebx, (%esi, %ecx)\n not %ebx\n jmp 3f\n"
    " 3: .irp n, 0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64\n addl %eax, \\n(%esi)\n"
    " .endr\n dec %ebp\n jnz 1b\n mov $0xf4, %edx\n out %eax, %dx\n 99: jmp 99b\n");
static uint64_t changed; /* fingerprint of RAM and state */

static uint64_t look_at_changes(void *ctx, const struct guest_state *g, uint64_t tick)
{
    cr_assert_lt(look_count, LOOKS_MAX);
    struct look *l = &looks[looks_of][look_count];
    const uint64_t next = take_look(ctx, g, tick);
    for (unsigned i = 0; i < 20; i++)
        l->memory = l->memory * 31 + harness_peek32(&h, 0x21000 + 4 * i);
    l->memory = l->memory * 31 + harness_peek32(&h, 0x21ffe);
    l->memory = l->memory * 31 + harness_peek32(&h, g->slot[IR_ESP]);
    return next;
}

static unsigned run_changes(unsigned which, unsigned every, unsigned first, struct harness_options o)
{
    looks_of = which;
    look_every = every;
    look_count = 0;
    o.observer =
        (struct vcpu_observer){.sample_first = first, .sample = look_at_changes, .sample_in_block = true};
    harness_init(&h, &o);
    HARNESS_LOAD(&h, changes);
    harness_tables(&h);
    harness_paging(&h, 3);
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
    changed = harness_fingerprint(&h);
    harness_free(&h);
    return look_count;
}

/* What a block did before a sample is done once, whether it goes on from there or is entered anew. */
Test(observer, samples_in_blocks_change_nothing)
{
    for (unsigned every = 1; every < 60; every += every < 8 ? 1 : 3) {
        for (unsigned first = 1; first < 60; first += 29 + every % 5) {
            const unsigned n = run_changes(0, every, first, (struct harness_options){.single_tb = true});
            const uint64_t end = changed;
            for (unsigned way = 0; way < 3; way++) {
                const struct harness_options o = {.translator =
                                                      way == 0 ? TRANSLATOR_INTERP : TRANSLATOR_EAGER,
                                                  .long_blocks = way == 2 ? LONG_BLOCKS_ANY : LONG_BLOCKS_ON,
                                                  .long_blocks_seed = every};
                cr_assert_eq(run_changes(1, every, first, o), n);
                cr_assert_eq(changed, end, "every %u from %u, way %u", every, first, way);
                for (unsigned i = 0; i < n; i++)
                    cr_assert(memcmp(&looks[0][i], &looks[1][i], sizeof looks[0][i]) == 0,
                              "every %u from %u, way %u: sample %u", every, first, way, i);
            }
        }
    }
}

/* Three pages of one set of the TLB, which has room for two. The second one's entry is stale, and stays: the
 * block at 1 throws out the first one's, which it has used before. */
GUEST_CODE(stale, "mov $8, %ebp\n"
                  " 2: movl $0x30003, 0x90084\n invlpg 0x21000\n invlpg 0x1021000\n invlpg 0x2021000\n"
                  " mov 0x21000, %eax\n mov 0x1021000, %eax\n movl $0x32003, 0x90084\n jmp 1f\n"
                  " 1: mov 0x21000, %eax\n mov 0x2021000, %ebx\n nop\n nop\n add 0x1021000, %edx\n dec %ebp\n"
                  " jnz 2b\n mov %edx, 0x22000\n mov $0xf4, %edx\n out %eax, %dx\n 99: jmp 99b\n");

Test(observer, samples_in_blocks_fill_no_tlb)
{
    for (unsigned every = 1; every < 60; every++) {
        look_every = every;
        look_count = 0;
        harness_init(&h, &(struct harness_options){
                             .translator = TRANSLATOR_EAGER,
                             .observer = {.sample_first = 1, .sample = take_look, .sample_in_block = true}});
        HARNESS_LOAD(&h, stale);
        harness_tables(&h);
        harness_paging(&h, 3);
        harness_poke32(&h, 0x80010, 0x90003);
        harness_poke32(&h, 0x80020, 0x91003);
        harness_poke32(&h, 0x91084, 0x31003);
        harness_poke32(&h, 0x30000, 5);
        harness_poke32(&h, 0x32000, 1000);
        cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
        cr_assert_eq(harness_peek32(&h, 0x22000), 8 * 5, "every %u", every);
        harness_free(&h);
    }
}

/* Strings with one prefix or more, in the middle of what would be one block without them. */
GUEST_CODE(strings,
           "cld\n mov $0x20000, %esi\n mov $0x21000, %edi\n mov $3, %ecx\n rep movsb\n mov $3, %ecx\n"
           " .byte 0x66, 0x67, 0x2e, 0xf3\n movsb\n mov $2, %ecx\n repne scasb\n movsb\n"
           " mov $0xf4, %edx\n out %eax, %dx\n 99: jmp 99b\n");
static unsigned looks_inside, looks_at_strings;

static uint64_t look_at_code(void *ctx, const struct guest_state *g, uint64_t tick)
{
    (void)ctx;
    uint8_t code[16];
    cr_assert_eq(vcpu_peek_code(h.cpu, code, sizeof code), sizeof code);
    cr_assert(memcmp(code, h.mem.host + g->eip, sizeof code) == 0);
    const bool repeated = code[0] == 0x66 || code[0] >= 0xf2;
    looks_inside += vcpu_is_inside(h.cpu);
    looks_at_strings += repeated;
    cr_assert_not(repeated && vcpu_is_inside(h.cpu));
    return tick + look_every;
}

Test(observer, inside_of_a_block_is_no_repeated_string)
{
    for (look_every = 1; look_every < 8; look_every++)
        for (unsigned eager = 0; eager < 2; eager++) {
            looks_inside = looks_at_strings = 0;
            harness_init(
                &h, &(struct harness_options){
                        .translator = eager ? TRANSLATOR_EAGER : TRANSLATOR_INTERP,
                        .observer = {.sample_first = 1, .sample = look_at_code, .sample_in_block = true}});
            HARNESS_LOAD(&h, strings);
            cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
            harness_free(&h);
            cr_assert(look_every > 1 || (looks_inside >= 4 && looks_at_strings == 7));
        }
}

/* Up to the end of its page. */
GUEST_CODE(at_page_end, "jmp 1f\n .skip 0x1000 - 13\n 1: mov $0xf4, %edx\n out %eax, %dx\n 99: jmp 99b\n");

/* Page tables that are changed without INVLPG do not count yet for code that runs. */
Test(observer, looks_at_code_where_it_is_fetched)
{
    const uint32_t page = 0x10000;
    uint8_t code[16] = {0};
    uint32_t value = 0;
    harness_init(&h, &(struct harness_options){0});
    HARNESS_LOAD(&h, at_page_end);
    cr_assert_eq(at_page_end_end - at_page_end, 0x1000);
    harness_tables(&h);
    harness_paging(&h, 3);
    cr_assert_eq(vcpu_run(h.cpu), VCPU_EXIT_DEBUG);
    const struct guest_state *g = vcpu_state(h.cpu);
    cr_assert_eq(g->eip, page + 0xffe);
    harness_poke32(&h, harness_pte(page), 0x30003);
    cr_assert_eq(vcpu_peek_code(h.cpu, code, sizeof code), sizeof code);
    cr_assert(memcmp(code, "\xeb\xfe", 2) == 0);
    harness_poke32(&h, harness_pte(page + 0x1000), 0);
    cr_assert_eq(vcpu_peek_code(h.cpu, code, sizeof code), 2, "the next page is absent");
    cr_assert_eq(vcpu_peek(h.cpu, g->cr3, page + 0xffe, &value, 2), 2);
    cr_assert_eq(value, 0, "what the tables say");
    harness_free(&h);
}

Test(observer, looks_through_page_tables_without_a_trace)
{
    uint32_t value = 0, pte;
    harness_init(&h, &(struct harness_options){0});
    harness_load32(&h, events, events_end);
    harness_tables(&h);
    harness_poke32(&h, 0x30ffe, 0x11223344);
    cr_assert_eq(vcpu_peek(h.cpu, 0, 0x30ffe, &value, 4), 4, "without paging");
    cr_assert_eq(value, 0x11223344);
    harness_paging(&h, 3);
    harness_poke32(&h, harness_pte(0x21000), 0x30003);
    harness_poke32(&h, harness_pte(0x22000), 0x31003);
    harness_poke32(&h, harness_pte(0x23000), 0);
    pte = harness_peek32(&h, harness_pte(0x21000));
    value = 0;
    cr_assert_eq(vcpu_peek(h.cpu, vcpu_state(h.cpu)->cr3, 0x21ffe, &value, 4), 4, "across pages");
    cr_assert_eq(value, 0x11223344);
    cr_assert_eq(harness_peek32(&h, harness_pte(0x21000)), pte, "no A bit");
    cr_assert_eq(vcpu_peek(h.cpu, vcpu_state(h.cpu)->cr3, 0x22ffe, &value, 4), 2,
                 "up to a page that is not mapped");
    cr_assert_eq(vcpu_peek(h.cpu, 0xfffff000u, 0x21ffe, &value, 4), 0, "no directory");
    cr_assert_eq(vcpu_peek(h.cpu, vcpu_state(h.cpu)->cr3, HARNESS_MMIO, &value, 4), 0,
                 "a device's registers");
    harness_free(&h);
}
