/* buschips.c - the list of everything that the guest can see on the device side (bus_part). */
#include "devthread/bus.h"

static const struct field state_fields[] = {
    FIELD_ARRAY(struct bus_state, next_tick),
    FIELD_ARRAY(struct bus_state, input_tick),
    FIELD_ARRAY(struct bus_state, floor_tick),
    FIELD_ARRAY(struct bus_state, line_tick),
    FIELD_ARRAY(struct bus_state, master_ns),
    FIELD_ARRAY(struct bus_state, master_tick),
    FIELD_ARRAY(struct bus_state, remap_tick),
    FIELD_ARRAY(struct bus_state, remap),
    FIELD_ARRAY(struct bus_state, window_tick),
    FIELD_ARRAY(struct bus_state, window),
    FIELD_ARRAY(struct bus_state, outputs),
    FIELD_MAX(struct bus_state, lines, (1u << BOARD_IRQ_LINES) - 1),
    FIELD(struct bus_state, reserved),
};

static const struct field queue_fields[] = {
    FIELD_MAX(struct bus_queue, head, BUS_QUEUE_BYTES - 1),
    FIELD_MAX(struct bus_queue, count, BUS_QUEUE_BYTES),
    FIELD_ARRAY(struct bus_queue, byte),
};

/* MATCH bus_small_queue */
_Static_assert(offsetof(struct bus_small_queue, head) == offsetof(struct bus_queue, head) &&
                   offsetof(struct bus_small_queue, count) == offsetof(struct bus_queue, count) &&
                   offsetof(struct bus_small_queue, byte) == offsetof(struct bus_queue, byte),
               "the beginning of a queue");
static const struct field small_queue_fields[] = {
    FIELD_MAX(struct bus_small_queue, head, BUS_SMALL_BYTES - 1),
    FIELD_MAX(struct bus_small_queue, count, BUS_SMALL_BYTES),
    FIELD_ARRAY(struct bus_small_queue, byte),
};

#define N(table) (sizeof(table) / sizeof((table)[0]))

/* Where windows of I/O ports are for the vCPU. busmap_loaded puts the rest of the map right. */
static const struct field map_fields[] = {FIELD_ARRAY(struct busmap, window)};

static bool nth_device(struct bus *b, unsigned *i, struct state_part *out)
{
    for (unsigned dev = 0; dev < b->board->ndevices; dev++) {
        const struct board_device *d = &b->board->device[dev];
        if (!d->present || (*i)-- > 0)
            continue;
        *out = (struct state_part){d->name, d->chip->fields, d->chip->nfields,
                                   (uint8_t *)b->cfg.state + d->state_offset};
        return true;
    }
    return false;
}

static bool nth_queue(struct bus *b, unsigned *i, struct state_part *out)
{
    for (unsigned port = 0; port < b->board->nports; port++) {
        if (!b->queue[port] || (*i)-- > 0)
            continue;
        const struct board_port *p = &b->board->port[port];
        *out = bus_port_is_small(p)
                   ? (struct state_part){p->name, small_queue_fields, N(small_queue_fields), b->queue[port]}
                   : (struct state_part){p->name, queue_fields, N(queue_fields), b->queue[port]};
        return true;
    }
    return false;
}

static bool nth_computed(struct bus *b, unsigned *i, struct state_part *out)
{
    for (unsigned port = 0; port < b->board->nports; port++) {
        const struct backend *be = &b->cfg.backend[port];
        if (!be->computed || (*i)-- > 0)
            continue;
        be->computed->part(be->ctx, out);
        return true;
    }
    return false;
}

bool bus_part(struct bus *b, unsigned i, struct state_part *out)
{
    if (nth_device(b, &i, out))
        return true;
    if (i-- == 0) {
        *out = (struct state_part){"board", state_fields, N(state_fields), &b->st};
        return true;
    }
    if (b->board->nwindows && i-- == 0) {
        *out = (struct state_part){"windows", map_fields, N(map_fields), &b->map};
        return true;
    }
    return nth_queue(b, &i, out) || nth_computed(b, &i, out);
}

static uint8_t queue_byte(const struct bus *b, unsigned port, uint32_t at)
{
    const struct bus_queue *q = b->queue[port];

    return q->byte[(q->head + at) % bus_queue_bytes(&b->board->port[port])];
}

/* The queue holds whole entries, each with its length; a stream's holds bytes. */
static bool queue_loaded(const struct bus *b, unsigned port)
{
    const struct bus_queue *q = b->queue[port];
    uint32_t at = 0;

    if (q->count == 0 || b->board->port[port].kind == PORT_BYTES)
        return q->count > 0 || b->st.input_tick[port] == TICK_NEVER;
    while (q->count - at > BUS_LENGTH_BYTES) {
        uint32_t n = queue_byte(b, port, at) | (uint32_t)queue_byte(b, port, at + 1) << 8 |
                     (uint32_t)queue_byte(b, port, at + 2) << 16;
        if (n > PORT_ENTRY_BYTES || n > q->count - at - BUS_LENGTH_BYTES)
            return false;
        at += BUS_LENGTH_BYTES + n;
    }
    return at == q->count;
}

/* Everything at `tick` is done, so what is to come is later; a device that has no events has none to come. */
static const char *device_wrong(const struct bus *b, unsigned dev, uint64_t tick)
{
    const struct board_device *d = &b->board->device[dev];
    bool here = dev < b->board->ndevices && d->present && !d->local;
    bool has_events = here && d->chip->next_event, is_master = here && d->chip->master;

    if (b->st.next_tick[dev] <= tick || (!has_events && b->st.next_tick[dev] != TICK_NEVER))
        return "board.next_tick";
    if (b->st.master_tick[dev] <= tick || (!is_master && b->st.master_tick[dev] != TICK_NEVER))
        return "board.master_tick";
    return NULL;
}

static const char *port_wrong(const struct bus *b, unsigned port, uint64_t tick)
{
    bool here = port < b->board->nports && b->queue[port];

    if (b->st.input_tick[port] <= tick || (!here && b->st.input_tick[port] != TICK_NEVER))
        return "board.input_tick";
    return !here || queue_loaded(b, port) ? NULL : b->board->port[port].name;
}

static bool any_later(const uint64_t *stamp, unsigned n, uint64_t tick)
{
    for (unsigned i = 0; i < n; i++)
        if (stamp[i] > tick)
            return true;
    return false;
}

/* What has happened shows a latency later at the most. */
static const char *stamps_wrong(const struct bus *b, uint64_t tick)
{
    uint64_t latency = 1;

    for (unsigned dev = 0; dev < b->board->ndevices; dev++)
        latency = b->latency_ticks[dev] > latency ? b->latency_ticks[dev] : latency;
    if (any_later(b->st.floor_tick, BOARD_DEVICES_MAX, tick + latency))
        return "board.floor_tick";
    if (any_later(b->st.line_tick, BOARD_IRQ_LINES, tick + latency))
        return "board.line_tick";
    if (any_later(b->st.remap_tick, BOARD_REMAPS_MAX, tick + latency))
        return "board.remap_tick";
    return any_later(b->st.window_tick, BOARD_WINDOWS_MAX, tick + latency) ? "board.window_tick" : NULL;
}

/* What is to come of it is later. */
static const char *computed_wrong(struct bus *b, unsigned port, uint64_t tick)
{
    const struct backend *be = &b->cfg.backend[port];

    if (!be->computed)
        return NULL;
    if (!be->computed->loaded(be->ctx))
        return "network";
    b->computed_tick[port] = ticks_ceil(be->computed->next_ns(be->ctx), b->cfg.shift);
    return b->computed_tick[port] > tick ? NULL : "network.due_ns";
}

const char *bus_loaded(struct bus *b, uint64_t tick)
{
    const char *field = stamps_wrong(b, tick);

    b->earliest_stale = true;
    b->intake_tick = tick;
    busmap_loaded(&b->map);
    for (unsigned dev = 0; !field && dev < BOARD_DEVICES_MAX; dev++)
        field = device_wrong(b, dev, tick);
    for (unsigned port = 0; !field && port < BOARD_PORTS_MAX; port++)
        field = port_wrong(b, port, tick);
    for (unsigned port = 0; !field && port < BOARD_PORTS_MAX; port++)
        field = computed_wrong(b, port, tick);
    return field;
}
