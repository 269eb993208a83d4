/* observe.c: watchers are told the same in every way of running, and the guest never knows. */
#include "observe/marks.h"
#include "observe/observe.h"

#include "clockcore/ticks.h"
#include "machine/machine.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct way {
    enum link_mode mode;
    enum translator_mode translator;
} ways[] = {{LINK_INLINE, TRANSLATOR_INTERP},
            {LINK_THREAD, TRANSLATOR_EAGER},
            {LINK_ADAPTIVE, TRANSLATOR_BACKGROUND}};
#define WAYS (sizeof ways / sizeof *ways)

/* Sums up what it is told. */
struct witness {
    const struct observe *hub;
    uint64_t every, samples, events, sum;
};

static void add(struct witness *w, uint64_t v)
{
    w->sum = (w->sum ^ v) * UINT64_C(0x9e3779b97f4a7c15);
}

static void add_place(struct witness *w, const struct guest_state *g)
{
    struct entry entry = context_entry(observe_context(w->hub), g);
    uint32_t code = 0;
    observe_peek(w->hub, g->cr3, g->seg[SEG_CS].base + g->eip, &code, sizeof code);
    add(w, code);
    add(w, g->eip);
    add(w, (uint64_t)entry.kind << 8 | entry.vector);
    add(w, context_process(observe_context(w->hub))->depth);
}

static uint64_t on_sample(void *ctx, const struct guest_state *g, uint64_t tick)
{
    struct witness *w = ctx;
    cr_assert_eq(tick, w->every * (w->samples + 1));
    w->samples++;
    add_place(w, g);
    return tick + w->every;
}

static void on_event(void *ctx, const struct guest_state *g, const struct vcpu_event *e)
{
    struct witness *w = ctx;
    w->events++;
    add(w, e->tick);
    add(w, e->kind);
    add_place(w, g);
}

static void watch(struct observe *o, struct witness *w)
{
    w->hub = o;
    cr_assert(observe_add(
        o,
        &(struct vcpu_observer){.ctx = w, .sample_first = w->every, .sample = on_sample, .event = on_event}));
}

static void mix_config(struct machine_config *c, const struct way *way)
{
    static char mix[4096];
    snprintf(mix, sizeof mix, "%s/mix.elf", getenv("TANDEM_GUESTS"));
    machine_config_init(c);
    c->ram_bytes = UINT64_C(16) << 20;
    c->kernel = mix;
    c->append = "rounds=12";
    c->serial[0] = "null";
    c->debug_exit = true;
    c->debug_exit_port = 0xf4;
    c->debug_exit_ports = 4;
    c->sleep = false;
    c->mode = way->mode;
    c->translator = way->translator;
    c->hot = 2;
}

/* Two watchers, or none. */
static void run(const struct way *way, struct witness w[2], struct machine_stats *s)
{
    const struct vcpu_until until = {.tick = TICK_NEVER};
    struct machine_config c;
    struct err e;
    struct observe *o = observe_create();
    cr_assert(o);
    mix_config(&c, way);
    if (w) {
        watch(o, &w[0]);
        watch(o, &w[1]);
        c.observer = *observe_vcpu(o);
    }
    struct machine *m = machine_create(&c, &e);
    cr_assert(m, "%s", e.text);
    if (w)
        observe_begin(o, m);
    cr_assert_eq(machine_run_until(m, &until, &e), MACHINE_STOP_DEBUG_EXIT, "%s", e.text);
    cr_assert(machine_finish(m, s, &e), "%s", e.text);
    machine_destroy(m);
    observe_destroy(o);
}

Test(observe, the_same_in_every_way)
{
    struct machine_stats alone, watched;
    uint64_t sums[2] = {0};
    run(&ways[0], NULL, &alone);
    for (unsigned i = 0; i < WAYS; i++) {
        struct witness w[2] = {{.every = 1009}, {.every = 2500}};
        run(&ways[i], w, &watched);
        cr_assert_str_eq(watched.state_hex, alone.state_hex);
        cr_assert_eq(watched.tick, alone.tick);
        for (unsigned k = 0; k < 2; k++) {
            cr_assert_eq(w[k].samples, alone.tick / w[k].every);
            cr_assert_gt(w[k].events, 100);
            sums[k] = i == 0 ? w[k].sum : sums[k];
            cr_assert_eq(w[k].sum, sums[k], "way %u, watcher %u", i, k);
        }
    }
}

Test(observe, watchers_are_bounded)
{
    struct observe *o = observe_create();
    const struct vcpu_observer nothing = {0};
    for (unsigned i = 0; i < OBSERVE_WATCHERS_MAX; i++)
        cr_assert(observe_add(o, &nothing));
    cr_assert_not(observe_add(o, &nothing));
    observe_destroy(o);
}

static struct vcpu_observer hooks_of(const struct marks_config *c)
{
    struct observe *o = observe_create();
    struct err e;
    struct marks *m = marks_create(o, c, &e);
    cr_assert(m, "%s", e.text);
    const struct vcpu_observer hooks = *observe_vcpu(o);
    marks_destroy(m);
    observe_destroy(o);
    return hooks;
}

/* What is not hit is free: the vCPU has nobody to tell of events and accesses, but where they are counted or
 * a text is waited for. */
Test(observe, a_mark_that_counts_nothing_has_no_hooks)
{
    struct mark_option mark = {.name = "m", .where = "0x1000", .count_max = UINT64_MAX};
    struct region_option region = {.name = "r", .from = "m", .to = "m"};
    struct moment_option moment = {.mark = "m", .count = 1};
    struct marks_config c = {.mark = &mark, .nmarks = 1, .moment = &moment, .nmoments = 1};
    const struct vcpu_observer plain = hooks_of(&c);
    cr_assert(plain.mark && !plain.event && !plain.access && !plain.effect);
    c.marker = true;
    const struct vcpu_observer marker = hooks_of(&c);
    cr_assert(marker.access && !marker.event);
    c.marker = false;
    c.region = &region;
    c.nregions = 1;
    const struct vcpu_observer counting = hooks_of(&c);
    cr_assert(counting.access && counting.event);
    c.nregions = 0;
    moment = (struct moment_option){.text = "login:", .count = 1};
    const struct vcpu_observer text = hooks_of(&c);
    cr_assert(text.access && text.event);
}
