/* account.c: sums stay whole and tables bounded, whatever events say. */
#include "observe/account.h"
#include "observe/profile.h"

#include "clockcore/ticks.h"
#include "machine/machine.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct observe *o;
static struct account *a;
static struct machine *m;
static struct guest_state g;
static uint64_t tick;

static uint32_t task_of(void *ctx, const struct guest_state *state)
{
    (void)ctx;
    return state->slot[IR_EDI]; /* the test's own convention */
}

static bool task_text(void *ctx, uint32_t task, char *text, size_t bytes)
{
    (void)ctx;
    snprintf(text, bytes, "task \x80\n%u", task);
    return true;
}

static unsigned sampled;

static void on_sampled(void *ctx, const struct sample *s)
{
    (void)ctx;
    cr_assert_eq(s->tick, tick);
    sampled++;
}

static void begin(void)
{
    static char mix[4096];
    struct machine_config c;
    struct err e;
    snprintf(mix, sizeof mix, "%s/mix.elf", getenv("TANDEM_GUESTS"));
    machine_config_init(&c);
    c.ram_bytes = UINT64_C(16) << 20;
    c.kernel = mix;
    c.mode = LINK_INLINE;
    c.translator = TRANSLATOR_INTERP;
    o = observe_create();
    a = account_create(o);
    observe_set_guest(o, &(struct observe_guest){NULL, task_of, task_text, on_sampled});
    m = machine_create(&c, &e);
    cr_assert(o && a && m);
    observe_begin(o, m);
    g = (struct guest_state){.cr3 = 0};
    tick = 1000;
    account_begin(a, &g, tick);
}

static void end(void)
{
    machine_destroy(m);
    account_destroy(a);
    observe_destroy(o);
}

TestSuite(account, .init = begin, .fini = end);

/* `ticks` later. */
static void event(enum vcpu_event_kind kind, uint64_t ticks, uint8_t vector, unsigned from_cpl)
{
    tick += ticks;
    const struct vcpu_event e = {
        .kind = kind, .tick = tick, .idle_end = tick + 7, .vector = vector, .from_cpl = (uint8_t)from_cpl};
    tick = kind == VCPU_EVENT_IDLE ? e.idle_end : tick;
    observe_vcpu(o)->event(observe_vcpu(o)->ctx, &g, &e);
}

static json_t *written(void)
{
    char *text;
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);
    cr_assert(account_print_json(a, f));
    fclose(f);
    json_t *j = json_loads(text, 0, NULL);
    cr_assert(j);
    free(text);
    f = open_memstream(&text, &bytes);
    account_print(a, f);
    fclose(f);
    cr_assert_gt(bytes, 100);
    free(text);
    return j;
}

static uint64_t member(const json_t *j, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(j, name));
}

Test(account, millions_of_address_spaces)
{
    for (uint32_t i = 0; i < 1000000; i++) {
        g.cr3 = i << 12;
        event(VCPU_EVENT_CR3, 3, 0, 0);
    }
    account_end(a, tick);
    cr_assert_eq(account_insns(a), 3000000);
    json_t *j = written();
    cr_assert_eq(json_array_size(json_object_get(j, "processes")), ACCOUNT_ROWS_MAX);
    cr_assert_geq(member(j, "other_instructions"), 3 * (1000000 - ACCOUNT_ROWS_MAX));
    cr_assert_eq(member(j, "instructions"), 3000000);
    json_decref(j);
}

/* 64 processes make every system call there is. */
Test(account, more_cells_than_there_is_room_for)
{
    uint64_t other;
    for (uint32_t i = 0; i < 64 * ENTRY_NUMBERS; i++) {
        g.cr3 = i % 64 << 12;
        g.cpl = 0;
        event(VCPU_EVENT_CR3, 1, 0, 0);
        g.slot[IR_EAX] = i / 64;
        event(VCPU_EVENT_SOFTWARE, 1, 0x80, 3);
        g.cpl = 3;
        event(VCPU_EVENT_IRET, 1, 0, 0);
    }
    account_end(a, tick);
    cr_assert_eq(account_insns(a), tick - 1000);
    json_t *j = written();
    other = member(j, "other_instructions");
    cr_assert_eq(json_array_size(json_object_get(j, "cells")), ACCOUNT_CELLS_MAX);
    cr_assert(other > 0 && other < tick / 3);
    json_decref(j);
}

/* One CR3, two tasks, one after the other; and idling in between. */
Test(account, tasks_of_one_address_space)
{
    g.cr3 = 0x5000;
    event(VCPU_EVENT_CR3, 10, 0, 0);
    g.slot[IR_EDI] = 71;
    g.cpl = 3;
    event(VCPU_EVENT_IRET, 5, 0, 0); /* the row of this CR3 has a name now */
    g.cpl = 0;
    event(VCPU_EVENT_INTERRUPT, 100, 0x20, 3);
    event(VCPU_EVENT_IDLE, 2, 0, 0);
    g.slot[IR_EDI] = 72;
    g.cpl = 3;
    event(VCPU_EVENT_IRET, 3, 0, 0);
    account_end(a, tick + 1000);
    cr_assert_eq(account_insns(a), 10 + 5 + 100 + 2 + 3 + 1000);
    cr_assert_eq(account_idle_ticks(a), 7);
    json_t *j = written(), *p = json_object_get(j, "processes");
    cr_assert_eq(json_array_size(p), 4); /* other, 0, both tasks */
    cr_assert_eq(member(json_array_get(p, 2), "task"), 71);
    cr_assert_str_eq(json_string_value(json_object_get(json_array_get(p, 3), "name")), "task ??72");
    json_decref(j);
}

/* Samples beside exact counts; a record of somebody else's in the profile. */
Test(account, samples)
{
    char path[] = "/tmp/test-account.XXXXXX";
    struct err e;
    close(mkstemp(path));
    const struct profiler_config c = {.file = path, .every = 10, .shift = 3, .account = a};
    struct profiler *p = profiler_create(o, &c, &e);
    cr_assert(p, "%s", e.text);
    profiler_begin(p, m);
    profile_put_json(profiler_writer(p), "{}");
    const struct vcpu_observer *v = observe_vcpu(o);
    for (unsigned i = 0; i < 100; i++) {
        cr_assert_eq(v->sample(v->ctx, &g, tick), tick + 10);
        tick += 10;
    }
    cr_assert_eq(sampled, 100);
    cr_assert(profiler_end(p, tick, &e), "%s", e.text);
    profiler_destroy(p);
    unlink(path);
    account_end(a, tick);
    json_t *j = written(), *s = json_object_get(j, "sampling");
    cr_assert_eq(member(s, "samples"), 100);
    cr_assert_lt(json_real_value(json_object_get(s, "largest_difference_percent")), 1e-9);
    json_decref(j);
}
