/* context.c: which entry the kernel is in, after any order of events. */
#include "observe/context.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct context *c;
static struct guest_state g;

static int irq_line(void *ctx, uint8_t vector)
{
    (void)ctx;
    return vector >= 0x20 && vector < 0x30 ? vector - 0x20 : -1;
}

static void begin(void)
{
    c = calloc(1, sizeof *c);
    c->irq_line = irq_line;
    g = (struct guest_state){.cr3 = 0x1000};
    context_begin(c, &g);
}

static void end(void)
{
    free(c);
}

TestSuite(context, .init = begin, .fini = end);

/* From CPL `from` into the kernel, with a frame at esp. */
static void enter(enum vcpu_event_kind kind, uint8_t vector, unsigned from, uint32_t esp)
{
    struct vcpu_event e = {.kind = kind, .vector = vector, .from_cpl = (uint8_t)from};
    g.cpl = 0;
    g.slot[IR_ESP] = esp;
    context_event(c, &g, &e);
}

static void leave(unsigned to, uint32_t esp)
{
    struct vcpu_event e = {.kind = VCPU_EVENT_IRET, .from_cpl = g.cpl};
    g.cpl = (uint8_t)to;
    g.slot[IR_ESP] = esp;
    context_event(c, &g, &e);
}

static void load_cr3(uint32_t cr3)
{
    struct vcpu_event e = {.kind = VCPU_EVENT_CR3};
    g.cr3 = cr3;
    context_event(c, &g, &e);
}

static void expect(enum entry_kind kind, uint8_t vector, uint32_t number)
{
    struct entry got = context_entry(c, &g);
    cr_assert_eq(got.kind, kind);
    cr_assert_eq(got.vector, vector);
    cr_assert_eq(got.number, number);
}

Test(context, nests_and_returns)
{
    expect(ENTRY_NONE, 0, ENTRY_NO_NUMBER);
    g.slot[IR_EAX] = 3;
    enter(VCPU_EVENT_SOFTWARE, 0x80, 3, 0x8fec);
    expect(ENTRY_SOFTWARE, 0x80, 3);
    enter(VCPU_EVENT_INTERRUPT, 0x24, 0, 0x8e00);
    expect(ENTRY_INTERRUPT, 0x24, 4);
    enter(VCPU_EVENT_EXCEPTION, 14, 0, 0x8d00);
    expect(ENTRY_EXCEPTION, 14, ENTRY_NO_NUMBER);
    leave(0, 0x8d10);
    expect(ENTRY_INTERRUPT, 0x24, 4);
    leave(0, 0x8e0c);
    expect(ENTRY_SOFTWARE, 0x80, 3);
    leave(3, 0xbffff000);
    expect(ENTRY_NONE, 0, ENTRY_NO_NUMBER);
}

Test(context, numbers_are_bounded)
{
    g.slot[IR_EAX] = ENTRY_NUMBERS;
    enter(VCPU_EVENT_SYSENTER, 0, 3, 0x8fec);
    expect(ENTRY_SYSENTER, 0, ENTRY_NO_NUMBER);
    g.slot[IR_EAX] = 5;
    enter(VCPU_EVENT_SOFTWARE, 0x30, 0, 0x8000);
    expect(ENTRY_SOFTWARE, 0x30, ENTRY_NO_NUMBER); /* EAX is no number of a system call there */
}

/* An IRET that the kernel makes to itself without an entry takes nothing away. */
Test(context, a_return_without_an_entry)
{
    g.slot[IR_EAX] = 3;
    enter(VCPU_EVENT_SOFTWARE, 0x80, 3, 0x8fec);
    leave(0, 0x8e00);
    expect(ENTRY_SOFTWARE, 0x80, 3);
}

/* A handler that abandons an inner one. */
Test(context, a_return_past_others)
{
    enter(VCPU_EVENT_INTERRUPT, 0x20, 0, 0x8e00);
    enter(VCPU_EVENT_INTERRUPT, 0x21, 0, 0x8d00);
    enter(VCPU_EVENT_INTERRUPT, 0x22, 0, 0x8c00);
    leave(0, 0x8e0c);
    expect(ENTRY_NONE, 0, ENTRY_NO_NUMBER);
}

Test(context, switches_inside_of_system_calls)
{
    g.slot[IR_EAX] = 3;
    enter(VCPU_EVENT_SOFTWARE, 0x80, 3, 0x8fec);
    load_cr3(0x2000);
    expect(ENTRY_NONE, 0, ENTRY_NO_NUMBER);
    leave(3, 0);
    g.slot[IR_EAX] = 4;
    enter(VCPU_EVENT_SOFTWARE, 0x80, 3, 0x8fec);
    load_cr3(0x1000);
    expect(ENTRY_SOFTWARE, 0x80, 3);
    leave(3, 0);
    expect(ENTRY_NONE, 0, ENTRY_NO_NUMBER);
    enter(VCPU_EVENT_INTERRUPT, 0x20, 3, 0x8fec);
    load_cr3(0x2000);
    expect(ENTRY_SOFTWARE, 0x80, 4);
}

Test(context, deep_nests_are_bounded)
{
    for (unsigned i = 0; i < 3 * CONTEXT_NEST_MAX; i++)
        enter(VCPU_EVENT_INTERRUPT, (uint8_t)(0x20 + i % 16), 0, 0x8000 - i * 0x80);
    expect(ENTRY_INTERRUPT, 0x20 + (CONTEXT_NEST_MAX - 1) % 16, (CONTEXT_NEST_MAX - 1) % 16);
    for (unsigned i = 3 * CONTEXT_NEST_MAX; i-- > 0;)
        leave(0, 0x8000 - i * 0x80 + 12);
    expect(ENTRY_NONE, 0, ENTRY_NO_NUMBER);
}

/* A guest that loads more values of CR3 than there is room for: what comes late is process 0. */
Test(context, processes_are_bounded)
{
    for (uint32_t i = 0; i < 1000000; i++)
        load_cr3(i << 12);
    cr_assert_eq(c->count, CONTEXT_PROCESSES_MAX);
    cr_assert_eq(c->current, CONTEXT_OTHER);
    load_cr3(0x1000);
    cr_assert_neq(c->current, CONTEXT_OTHER);
    enter(VCPU_EVENT_INTERRUPT, 0x20, 3, 0x8fec);
    load_cr3(999999u << 12);
    expect(ENTRY_NONE, 0, ENTRY_NO_NUMBER);
}

Test(context, a_reset_forgets)
{
    enter(VCPU_EVENT_INTERRUPT, 0x20, 3, 0x8fec);
    g.cr3 = 0;
    context_event(c, &g, &(struct vcpu_event){.kind = VCPU_EVENT_RESET});
    expect(ENTRY_NONE, 0, ENTRY_NO_NUMBER);
    load_cr3(0x1000);
    expect(ENTRY_NONE, 0, ENTRY_NO_NUMBER);
}
