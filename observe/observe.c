/* observe.c - see observe.h. */
#include "observe/observe.h"

#include "clockcore/ticks.h"
#include "machine/machine.h"

#include <stdlib.h>
#include <string.h>

/* Pages that one sample has looked at: the guest stands, so a second look finds what the first one did. */
#define SEEN_PAGES 16u /* a power of two */
struct seen_page {
    uint64_t look; /* in which it was found: observe.look */
    uint32_t cr3, page;
    const uint8_t *host; /* NULL: there is none */
};

struct observe {
    struct machine *machine; /* NULL: not begun */
    struct vcpu_observer self;
    struct vcpu_observer watcher[OBSERVE_WATCHERS_MAX];
    uint64_t sample_next[OBSERVE_WATCHERS_MAX]; /* of each watcher; TICK_NEVER: none */
    unsigned count;
    struct observe_guest guest;
    struct context context;
    uint64_t look; /* number of the sample that is being taken; 0: none is */
    uint64_t looks;
    struct seen_page *seen; /* SEEN_PAGES of them */
};

static uint64_t next_sample(const struct observe *o)
{
    uint64_t next = TICK_NEVER;
    for (unsigned i = 0; i < o->count; i++)
        next = o->sample_next[i] < next ? o->sample_next[i] : next;
    return next;
}

static uint64_t on_sample(void *ctx, const struct guest_state *g, uint64_t tick)
{
    struct observe *o = ctx;
    o->look = ++o->looks;
    for (unsigned i = 0; i < o->count; i++)
        if (o->sample_next[i] <= tick)
            o->sample_next[i] = o->watcher[i].sample(o->watcher[i].ctx, g, tick);
    o->look = 0;
    return next_sample(o);
}

static void on_event(void *ctx, const struct guest_state *g, const struct vcpu_event *e)
{
    struct observe *o = ctx;
    if (!o->machine)
        return;
    context_event(&o->context, g, e);
    for (unsigned i = 0; i < o->count; i++)
        if (o->watcher[i].event)
            o->watcher[i].event(o->watcher[i].ctx, g, e);
}

static void on_mark(void *ctx, const struct guest_state *g, uint64_t tick, uint32_t lin_addr)
{
    struct observe *o = ctx;
    for (unsigned i = 0; i < o->count; i++)
        if (o->watcher[i].mark)
            o->watcher[i].mark(o->watcher[i].ctx, g, tick, lin_addr);
}

static void on_access(void *ctx, const struct guest_state *g, const struct access *a)
{
    struct observe *o = ctx;
    for (unsigned i = 0; i < o->count; i++)
        if (o->watcher[i].access)
            o->watcher[i].access(o->watcher[i].ctx, g, a);
}

static void on_effect(void *ctx, const struct effect *e)
{
    struct observe *o = ctx;
    for (unsigned i = 0; i < o->count; i++)
        if (o->watcher[i].effect)
            o->watcher[i].effect(o->watcher[i].ctx, e);
}

static int irq_line(void *ctx, uint8_t vector)
{
    return machine_irq_line(((struct observe *)ctx)->machine, vector);
}

struct observe *observe_create(void)
{
    struct observe *o = calloc(1, sizeof *o);
    struct seen_page *seen = calloc(SEEN_PAGES, sizeof *seen);
    if (!o || !seen) {
        free(o);
        free(seen);
        return NULL;
    }
    o->seen = seen;
    o->self =
        (struct vcpu_observer){.ctx = o, .sample_first = TICK_NEVER, .sample = on_sample, .mark = on_mark};
    o->context.irq_line = irq_line;
    o->context.ctx = o;
    return o;
}

void observe_destroy(struct observe *o)
{
    if (o)
        free(o->seen);
    free(o);
}

static bool samples_in_block(const struct observe *o)
{
    for (unsigned i = 0; i < o->count; i++)
        if (o->watcher[i].sample && !o->watcher[i].sample_in_block)
            return false;
    return true;
}

bool observe_add(struct observe *o, const struct vcpu_observer *watcher)
{
    if (o->count == OBSERVE_WATCHERS_MAX)
        return false;
    o->sample_next[o->count] = watcher->sample ? watcher->sample_first : TICK_NEVER;
    o->watcher[o->count++] = *watcher;
    o->self.sample_in_block = samples_in_block(o);
    o->self.sample_first = next_sample(o);
    /* A call for each event and access: only where somebody wants it. */
    if (watcher->event)
        o->self.event = on_event;
    if (watcher->access)
        o->self.access = on_access;
    if (watcher->effect)
        o->self.effect = on_effect;
    return true;
}

const struct vcpu_observer *observe_vcpu(const struct observe *o)
{
    return &o->self;
}

void observe_begin(struct observe *o, struct machine *m)
{
    o->machine = m;
    context_begin(&o->context, machine_guest(m));
}

void observe_sample_now(struct observe *o, const void *watcher, uint64_t tick)
{
    for (unsigned i = 0; i < o->count; i++)
        if (o->watcher[i].ctx == watcher)
            o->sample_next[i] = tick;
    machine_sample_at(o->machine, tick);
}

const struct context *observe_context(const struct observe *o)
{
    return &o->context;
}

static const uint8_t *seen_byte(const struct observe *o, uint32_t cr3, uint32_t lin_addr)
{
    const uint32_t page = lin_addr >> PAGE_BITS;
    struct seen_page *s = &o->seen[page % SEEN_PAGES];
    if (s->look != o->look || s->page != page || s->cr3 != cr3)
        *s = (struct seen_page){o->look, cr3, page, machine_peek_byte(o->machine, cr3, page << PAGE_BITS)};
    return s->host ? s->host + (lin_addr & (PAGE_BYTES - 1)) : NULL;
}

/* The sizes that samples ask for most are moves; gcc makes a string instruction, which takes long to start,
 * of a copy whose size it does not know. */
static void copy_some(uint8_t *to, const uint8_t *from, size_t bytes)
{
    if (bytes == 4)
        memcpy(to, from, 4);
    else if (bytes == 8)
        memcpy(to, from, 8);
    else if (bytes == 16)
        memcpy(to, from, 16);
    else
        memcpy(to, from, bytes);
}

size_t observe_peek(const struct observe *o, uint32_t cr3, uint32_t lin_addr, void *to, size_t bytes)
{
    size_t done = 0;
    if (!o->look)
        return o->machine ? machine_peek(o->machine, cr3, lin_addr, to, bytes) : 0;
    while (done < bytes) {
        const uint32_t at = lin_addr + (uint32_t)done;
        const size_t left = bytes - done, room = PAGE_BYTES - (at & (PAGE_BYTES - 1));
        const size_t some = left < room ? left : room;
        const uint8_t *from = seen_byte(o, cr3, at);
        if (!from)
            break;
        copy_some((uint8_t *)to + done, from, some);
        done += some;
    }
    return done;
}

size_t observe_peek_code(const struct observe *o, void *to, size_t bytes)
{
    return machine_peek_code(o->machine, to, bytes);
}

bool observe_is_inside(const struct observe *o)
{
    return machine_is_inside(o->machine);
}

void observe_set_guest(struct observe *o, const struct observe_guest *guest)
{
    o->guest = *guest;
}

void observe_sampled(const struct observe *o, const struct sample *s)
{
    if (o->guest.sampled)
        o->guest.sampled(o->guest.ctx, s);
}

uint32_t observe_task(const struct observe *o, const struct guest_state *g)
{
    return o->guest.task ? o->guest.task(o->guest.ctx, g) : 0;
}

bool observe_task_text(const struct observe *o, uint32_t task, char *text, size_t bytes)
{
    if (!o->guest.task_text || !o->guest.task_text(o->guest.ctx, task, text, bytes))
        return false;
    for (; *text; text++)
        *text = *text >= ' ' && *text <= '~' ? *text : '?';
    return true;
}

/* The text begins with the name; what comes behind it (numbers) is not part of it. */
bool observe_process_is(const struct observe *o, const struct guest_state *g, const char *name)
{
    char text[OBSERVE_TASK_BYTES];
    const size_t n = strlen(name);
    const uint32_t task = observe_task(o, g);
    return task && n < sizeof text && observe_task_text(o, task, text, sizeof text) &&
           strncmp(text, name, n) == 0 && (text[n] == '\0' || text[n] == ' ');
}
