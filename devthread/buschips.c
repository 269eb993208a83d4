/* buschips.c - the list of everything that the guest can see on the device side (bus_chip). */
#include "devthread/bus.h"

static const struct field state_fields[] = {
    FIELD_ARRAY(struct bus_state, next_tick),   FIELD_ARRAY(struct bus_state, input_tick),
    FIELD_ARRAY(struct bus_state, floor_tick),  FIELD_ARRAY(struct bus_state, line_tick),
    FIELD_ARRAY(struct bus_state, master_ns),   FIELD_ARRAY(struct bus_state, master_tick),
    FIELD_ARRAY(struct bus_state, window_tick), FIELD_ARRAY(struct bus_state, window),
    FIELD_ARRAY(struct bus_state, outputs),     FIELD(struct bus_state, lines),
    FIELD(struct bus_state, reserved),
};

static const struct field queue_fields[] = {
    FIELD(struct bus_queue, head),
    FIELD(struct bus_queue, count),
    FIELD_ARRAY(struct bus_queue, byte),
};

static const struct chip_class state_class = {
    .name = "board",
    .state_bytes = sizeof(struct bus_state),
    .fields = state_fields,
    .nfields = sizeof(state_fields) / sizeof(state_fields[0]),
};

/* Where windows of I/O ports are for the vCPU. busmap_loaded puts the rest of the map right. */
static const struct field map_fields[] = {FIELD_ARRAY(struct busmap, window)};

static const struct chip_class map_class = {
    .name = "windows",
    .state_bytes = sizeof(struct busmap),
    .fields = map_fields,
    .nfields = sizeof(map_fields) / sizeof(map_fields[0]),
};

static const struct chip_class queue_class = {
    .name = "input-queue",
    .state_bytes = sizeof(struct bus_queue),
    .fields = queue_fields,
    .nfields = sizeof(queue_fields) / sizeof(queue_fields[0]),
};

static bool nth_device(struct bus *b, unsigned *i, struct bus_chip *out)
{
    for (unsigned dev = 0; dev < b->board->ndevices; dev++) {
        const struct board_device *d = &b->board->device[dev];
        if (!d->present || (*i)-- > 0)
            continue;
        *out = (struct bus_chip){d->name, d->chip, (uint8_t *)b->cfg.state + d->state_offset};
        return true;
    }
    return false;
}

static bool nth_queue(struct bus *b, unsigned *i, struct bus_chip *out)
{
    for (unsigned port = 0; port < b->board->nports; port++) {
        if (!b->queue[port] || (*i)-- > 0)
            continue;
        *out = (struct bus_chip){b->board->port[port].name, &queue_class, b->queue[port]};
        return true;
    }
    return false;
}

bool bus_chip(struct bus *b, unsigned i, struct bus_chip *out)
{
    if (nth_device(b, &i, out))
        return true;
    if (i-- == 0) {
        *out = (struct bus_chip){"board", &state_class, &b->st};
        return true;
    }
    if (b->board->nwindows && i-- == 0) {
        *out = (struct bus_chip){"windows", &map_class, &b->map};
        return true;
    }
    return nth_queue(b, &i, out);
}
