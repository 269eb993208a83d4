/* link_state.c - see link_state.h.
 *
 * State are the next tick at which events are handled where that does not follow from the devices (an event
 * that was put off: `clamped`), the number of the last effect, and the pending effects. The rest is named,
 * too, so that a test finds a new member that is in neither table, and is no state: messages and the ring
 * empty at a settled tick horizon, quantum_end, soft, ahead_of, bound, limit where the vCPU stops although
 * nothing happens there; the quantum starts again baton, parkers, served, handovers, polls, random numbers,
 * statistics the host's */
#include <sched.h>
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

#define LINK_BYTES(label, from, n)                                                                           \
    {                                                                                                        \
        .name = label, .offset = (uint32_t)(from), .elem_bytes = 1, .count = (uint32_t)(n),                  \
        .stride_bytes = 1, .max = UINT64_MAX                                                                 \
    }
#define WHOLE(member)   LINK_BYTES(#member, offsetof(struct link, member), FIELD_SIZE(struct link, member))
#define POINTER(member) LINK_BYTES(#member, offsetof(struct link, member), sizeof(void *))
/* What the compiler leaves free between two members that follow one another. */
#define LINK_END(member) (offsetof(struct link, member) + FIELD_SIZE(struct link, member))
#define PAD(member, next)                                                                                    \
    LINK_BYTES("padding", LINK_END(member), offsetof(struct link, next) - LINK_END(member))

static const struct field link_rest[] = {
    WHOLE(cfg),
    POINTER(ops),
    WHOLE(always_mine),
    PAD(always_mine, limit),
    WHOLE(limit),
    WHOLE(horizon_seen),
    WHOLE(bound),
    WHOLE(soft),
    WHOLE(ahead_of),
    WHOLE(out),
    WHOLE(out_seen),
    POINTER(pending.heap), /* the effects are a part of their own */
    WHOLE(pending.capacity),
    WHOLE(vcpu_poll),
    WHOLE(own_turns),
    WHOLE(penalty),
    WHOLE(in_time),
    PAD(in_time, vcpu_rng),
    WHOLE(vcpu_rng),
    WHOLE(stats),
    PAD(stats, sched),
    WHOLE(quantum_end),
    WHOLE(horizon),
    WHOLE(effect_floor),
    WHOLE(answer),
    WHOLE(served_count),
    WHOLE(handovers),
    WHOLE(holder),
    WHOLE(last_holder),
    WHOLE(started),
    PAD(started, baton),
    WHOLE(baton),
    PAD(baton, served),
    WHOLE(served),
    PAD(served, vcpu_parker),
    WHOLE(vcpu_parker),
    PAD(vcpu_parker, dev_parker),
    WHOLE(dev_parker),
    WHOLE(stop),
    WHOLE(ended),
    PAD(ended, msgq),
    WHOLE(msgq),
    WHOLE(stand_tick),
    PAD(stand_tick, ring),
    WHOLE(ring),
    WHOLE(effect_fields),
    PAD(effect_fields, vcpu_activity),
    WHOLE(vcpu_activity),
    PAD(vcpu_activity, dev_activity),
    WHOLE(dev_activity),
    PAD(dev_activity, dev_poll),
    WHOLE(dev_poll),
    WHOLE(dev_rng),
    WHOLE(dev_parks),
    WHOLE(dev_parked_ns),
    LINK_BYTES("padding", LINK_END(dev_parked_ns), sizeof(struct link) - LINK_END(dev_parked_ns)),
};

#define N(table) (sizeof(table) / sizeof((table)[0]))

bool link_uncovered(size_t *byte)
{
    struct field all[N(link_fields) + N(link_rest)];
    for (size_t i = 0; i < N(all); i++)
        all[i] = i < N(link_fields) ? link_fields[i] : link_rest[i - N(link_fields)];
    *byte = fields_uncovered(all, N(all), sizeof(struct link), 1);
    return *byte < sizeof(struct link);
}

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
        *out = (struct state_part){"link", link_fields, N(link_fields), l};
    return true;
}

/* `line` numbers something that is there, and `value` is one of its values. */
static bool effect_known(const struct effect *e, unsigned nremaps, unsigned nwindows)
{
    switch (e->kind) {
    case EFFECT_IRQ:
        return e->line < LINK_LINES && e->value <= 1;
    case EFFECT_REMAP:
        return e->line < nremaps;
    case EFFECT_REMAP_IO:
        return e->line < nwindows;
    default:
        return true;
    }
}

static const char *effects_wrong(const struct pending *p, uint64_t tick, unsigned nremaps, unsigned nwindows)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->heap[i].tick <= tick)
            return "effects.tick";
        if (!effect_known(&p->heap[i], nremaps, nwindows))
            return "effects.line or effects.value";
    }
    return NULL;
}

/* The device thread holds the baton for no longer than it works. */
void link_seize(struct link *l)
{
    const int me = BATON_VCPU + l->cfg.vcpu;
    if (l->always_mine)
        return;
    while (!baton_try(&l->baton, me))
        sched_yield();
    serve_begin(l, me);
}

void link_release(struct link *l)
{
    if (!l->always_mine)
        baton_drop(&l->baton);
}

const char *link_loaded(struct link *l, uint64_t tick, unsigned nremaps, unsigned nwindows)
{
    const char *field = effects_wrong(&l->pending, tick, nremaps, nwindows);
    if (field)
        return field;
    pending_sort(&l->pending);
    if (l->clamped) /* never with the bus, which puts events off itself (floor_tick) and relies on sched */
        return "link.clamped";
    l->sched = l->ops->next_event(l->cfg.ctx);
    if (l->sched <= tick)
        return "link.sched";
    l->started = true;
    l->ahead_of = TICK_NEVER;
    link_quantum_restart(l, tick);
    return NULL;
}
