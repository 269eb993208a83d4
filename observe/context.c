/* context.c - see context.h. */
#include "observe/context.h"

#include <string.h>

#define FRAME_BYTES_MAX 64 /* from ESP at a handler's start to ESP behind its IRET, within one privilege */

/* --- processes --- */

static unsigned hash_slot(uint32_t cr3)
{
    return (uint32_t)(cr3 * 2654435761u) >> 19; /* 13 bits */
}
_Static_assert(2 * CONTEXT_PROCESSES_MAX == 1 << 13, "hash_slot's bits");

static unsigned add_process(struct context *c, unsigned slot, uint32_t cr3)
{
    if (c->count == CONTEXT_PROCESSES_MAX)
        return CONTEXT_OTHER;
    c->process[c->count].cr3 = cr3;
    c->process[c->count].depth = 0;
    c->hash[slot] = (uint16_t)c->count;
    return c->count++;
}

/* Half of the slots are free at least, so that the search ends. */
static unsigned process_of(struct context *c, uint32_t cr3)
{
    for (unsigned slot = hash_slot(cr3);; slot = (slot + 1) % (2 * CONTEXT_PROCESSES_MAX)) {
        unsigned i = c->hash[slot];
        if (!i)
            return add_process(c, slot, cr3);
        if (c->process[i].cr3 == cr3)
            return i;
    }
}

const struct context_process *context_process(const struct context *c)
{
    return &c->process[c->current];
}

/* --- entries --- */

static bool has_number(const struct entry *entry, const struct vcpu_event *e)
{
    return e->from_cpl == 3 && (entry->kind == ENTRY_SOFTWARE || entry->kind == ENTRY_SYSENTER);
}

static struct entry entry_of(const struct context *c, const struct guest_state *g, const struct vcpu_event *e)
{
    static const uint8_t kinds[] = {
        [VCPU_EVENT_EXCEPTION] = ENTRY_EXCEPTION, [VCPU_EVENT_INTERRUPT] = ENTRY_INTERRUPT,
        [VCPU_EVENT_SOFTWARE] = ENTRY_SOFTWARE,   [VCPU_EVENT_SYSENTER] = ENTRY_SYSENTER,
        [VCPU_EVENT_GATE] = ENTRY_GATE,
    };
    struct entry entry = {kinds[e->kind], 0, ENTRY_NO_NUMBER};
    if (e->kind <= VCPU_EVENT_SOFTWARE)
        entry.vector = e->vector;
    if (has_number(&entry, e) && g->slot[IR_EAX] < ENTRY_NUMBERS)
        entry.number = g->slot[IR_EAX];
    if (entry.kind == ENTRY_INTERRUPT && c->irq_line && c->irq_line(c->ctx, e->vector) >= 0)
        entry.number = (uint32_t)c->irq_line(c->ctx, e->vector);
    return entry;
}
_Static_assert(VCPU_EVENT_EXCEPTION == 0 && VCPU_EVENT_SOFTWARE == 2 && VCPU_EVENT_GATE == 4,
               "entry_of, context_event");

/* The base of the code that was left is not told: that of CS now is, of a flat guest. */
static void enter(struct context *c, const struct guest_state *g, const struct vcpu_event *e)
{
    struct context_process *p = &c->process[c->current];
    if (p->depth == CONTEXT_NEST_MAX)
        return;
    p->open[p->depth++] = (struct open_entry){
        .entry = entry_of(c, g, e),
        .from_cpl = e->from_cpl,
        .from = g->seg[SEG_CS].base + e->from_eip,
        .from_ebp = g->slot[IR_EBP],
        .esp = g->slot[IR_ESP],
    };
}

/* Behind an IRET within one privilege ESP is just above where it was when the handler began. */
static void leave_inner(struct context_process *p, const struct guest_state *g)
{
    for (unsigned i = p->depth; i-- > 0;) {
        const struct open_entry *o = &p->open[i];
        if (o->from_cpl == g->cpl && g->slot[IR_ESP] - o->esp <= FRAME_BYTES_MAX) {
            p->depth = i;
            return;
        }
    }
}

/* To an outer ring that is not user code: those entries remain that came from further outside. */
static void leave_outer(struct context_process *p, const struct guest_state *g)
{
    while (p->depth > 0 && p->open[p->depth - 1].from_cpl <= g->cpl)
        p->depth--;
}

static void leave(struct context *c, const struct guest_state *g, const struct vcpu_event *e)
{
    struct context_process *p = &c->process[c->current];
    if (g->cpl == 3)
        p->depth = 0;
    else if (g->cpl == e->from_cpl)
        leave_inner(p, g);
    else
        leave_outer(p, g);
}

/* --- from outside --- */

static void forget_all(struct context *c)
{
    for (unsigned i = 0; i < c->count; i++)
        c->process[i].depth = 0;
}

void context_begin(struct context *c, const struct guest_state *g)
{
    memset(c->hash, 0, sizeof c->hash);
    c->count = 1; /* the other one */
    c->process[CONTEXT_OTHER].cr3 = 0;
    c->process[CONTEXT_OTHER].depth = 0;
    c->current = process_of(c, g->cr3);
}

void context_event(struct context *c, const struct guest_state *g, const struct vcpu_event *e)
{
    switch (e->kind) {
    case VCPU_EVENT_EXCEPTION:
    case VCPU_EVENT_INTERRUPT:
    case VCPU_EVENT_SOFTWARE:
    case VCPU_EVENT_SYSENTER:
    case VCPU_EVENT_GATE:
        enter(c, g, e);
        break;
    case VCPU_EVENT_IRET:
    case VCPU_EVENT_SYSEXIT:
    case VCPU_EVENT_RET_FAR:
        leave(c, g, e);
        break;
    case VCPU_EVENT_RESET:
        forget_all(c);
        c->current = process_of(c, g->cr3);
        break;
    case VCPU_EVENT_CR3:
        c->current = process_of(c, g->cr3);
        break;
    case VCPU_EVENT_IDLE:
    case VCPU_EVENT_KINDS:
        break;
    }
}

struct entry context_entry(const struct context *c, const struct guest_state *g)
{
    const struct context_process *p = context_process(c);
    if (g->cpl == 3 || p->depth == 0)
        return (struct entry){ENTRY_NONE, 0, ENTRY_NO_NUMBER};
    return p->open[p->depth - 1].entry;
}
