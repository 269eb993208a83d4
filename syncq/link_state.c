/* link_state.c - see link_state.h.
 *
 * State are the next tick at which events are handled where that does not follow from the devices (an event
 * that was put off: `clamped`), the number of the last effect, and the pending effects. The rest is no state:
 *   messages and the ring     empty at a settled tick
 *   horizon, quantum_end, soft, ahead_of, bound, limit
 *                             where the vCPU stops although nothing happens there; the quantum starts again
 *   baton, parkers, served, handovers, polls, random numbers, statistics
 *                             the host's */
#include <stddef.h>

#include "clockcore/ticks.h"
#include "syncq/link_internal.h"
#include "syncq/link_state.h"

#define LINK_LINES  16    /* MATCH BOARD_IRQ_LINES */
#define PENDING_MAX 65536 /* of a snapshot; a link that has more pending cannot be saved */

static const struct field link_fields[] = {
    FIELD(struct link, sched),
    FIELD(struct link, clamped),
    FIELD(struct link, seq),
    FIELD_MAX(struct link, pending.count, PENDING_MAX),
};

#define EFFECT_FIELD(member, most)                                                                           \
    {                                                                                                        \
        .name = #member, .offset = offsetof(struct effect, member),                                          \
        .elem_bytes = FIELD_SIZE(struct effect, member), .stride_bytes = sizeof(struct effect),              \
        .max = (most)                                                                                        \
    }

static const struct field effect_fields[LINK_EFFECT_FIELDS] = {
    EFFECT_FIELD(vcpu, LINK_VCPUS_MAX - 1), EFFECT_FIELD(tick, UINT64_MAX),
    EFFECT_FIELD(seq, UINT64_MAX),          EFFECT_FIELD(dev, UINT64_MAX),
    EFFECT_FIELD(kind, EFFECT_KINDS - 1),   EFFECT_FIELD(line, UINT64_MAX),
    EFFECT_FIELD(value, UINT64_MAX),
};

/* As many elements as there are effects now. */
static void effects_part(struct link *l, struct state_part *out)
{
    pending_reserve(&l->pending, l->pending.count);
    pending_sort(&l->pending);
    for (unsigned i = 0; i < LINK_EFFECT_FIELDS; i++) {
        l->effect_fields[i] = effect_fields[i];
        l->effect_fields[i].count = (uint32_t)l->pending.count;
    }
    *out = (struct state_part){"effects", l->effect_fields, LINK_EFFECT_FIELDS, l->pending.heap};
}

bool link_part(struct link *l, enum state_group group, unsigned i, struct state_part *out)
{
    if (i > 0 || group == STATE_CPU)
        return false;
    if (group == STATE_DEVICES)
        effects_part(l, out);
    else
        *out = (struct state_part){"link", link_fields, sizeof link_fields / sizeof link_fields[0], l};
    return true;
}

/* `line` numbers something that is there. */
static bool number_known(const struct effect *e, unsigned nremaps, unsigned nwindows)
{
    switch (e->kind) {
    case EFFECT_IRQ:
        return e->line < LINK_LINES;
    case EFFECT_REMAP:
        return e->line < nremaps;
    case EFFECT_REMAP_IO:
        return e->line < nwindows;
    default:
        return true;
    }
}

static bool effects_loaded(const struct pending *p, uint64_t tick, unsigned nremaps, unsigned nwindows)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->heap[i].tick <= tick || !number_known(&p->heap[i], nremaps, nwindows))
            return false;
    return true;
}

bool link_loaded(struct link *l, uint64_t tick, unsigned nremaps, unsigned nwindows)
{
    if (!effects_loaded(&l->pending, tick, nremaps, nwindows))
        return false;
    pending_sort(&l->pending);
    if (!l->clamped)
        l->sched = l->ops->next_event(l->cfg.ctx);
    if (l->sched <= tick)
        return false;
    l->started = true;
    link_quantum_restart(l, tick);
    return true;
}
