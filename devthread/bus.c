/* bus.c - see bus.h. Pacing is in idle.c, the list of chips in buschips.c. */
#include "devthread/bus.h"

#include "clockcore/check.h"
#include "clockcore/clock.h"
#include "hw/requests.h"
#include "hw/router.h"
#include "mem/master.h"
#include "mem/remap.h"
#include "syncq/link.h"

#include <stdlib.h>
#include <string.h>

#define EVENTS_PER_TICK_MAX 64 /* of one chip; more than that waits for the next tick */

/* MATCH window_on */
_Static_assert(BOARD_WINDOW_ON == BUS_WINDOW_ON && BOARD_WINDOW_ON == MEM_WINDOW_ON,
               "one value for all three");
_Static_assert(BOARD_WINDOWS_MAX <= BUS_WINDOWS_MAX, "the bus map has room for the board's windows");
_Static_assert(BOARD_PORTS_MAX <= 32, "device_ports[] has a bit a port");

static void *chip_state(struct bus *b, unsigned dev)
{
    return (uint8_t *)b->cfg.state + b->board->device[dev].state_offset;
}

static uint64_t max_u64(uint64_t a, uint64_t x)
{
    return a > x ? a : x;
}

static uint64_t min_u64(uint64_t a, uint64_t x)
{
    return a < x ? a : x;
}

static bool on_this_side(const struct board_device *d)
{
    return d->present && !d->local;
}

/* --- effects --- */

static void emit(struct bus *b, uint64_t tick, unsigned dev, enum effect_kind kind, unsigned line,
                 uint32_t value)
{
    struct effect e = {
        .tick = tick, .dev = (uint16_t)dev, .kind = (uint8_t)kind, .line = (uint8_t)line, .value = value};

    b->cfg.emit(b->cfg.ctx, &e);
}

/* One tie breaker for all drivers of a line, and no stamp before the last: levels arrive in order. */
static void line_emit(struct bus *b, unsigned line, unsigned level, uint64_t tick)
{
    tick = max_u64(tick, b->st.line_tick[line]);
    b->st.line_tick[line] = tick;
    b->st.lines = (b->st.lines & ~(1u << line)) | level << line;
    emit(b, tick, b->line_dev[line], EFFECT_IRQ, line, level);
}

/* Pins or routes have changed: lines follow. */
static void lines_settled(struct bus *b, uint64_t tick)
{
    uint32_t levels = router_levels(b->board, b->st.outputs, b->cfg.state);

    for (uint32_t changed = levels ^ b->st.lines; changed; changed &= changed - 1) {
        unsigned line = (unsigned)__builtin_ctz(changed);
        line_emit(b, line, levels >> line & 1, tick);
    }
}

/* No stamp before the last: moves arrive in order. */
static void window_emit(struct bus *b, unsigned dev, unsigned n, uint32_t value, uint64_t tick)
{
    bool io = b->board->window[n].io;

    tick = max_u64(tick, b->st.window_tick[n]);
    b->st.window_tick[n] = tick;
    b->st.window[n] = value;
    if (io || b->cfg.memory)
        emit(b, tick, dev, io ? EFFECT_REMAP_IO : EFFECT_REMAP, io ? n : b->window_remap[n], value);
}

static bool is_moved_by_devices(const struct board_window *w)
{
    return !w->local && !w->at;
}

static void windows_settled(struct bus *b, unsigned dev, uint64_t tick)
{
    for (unsigned n = 0; n < b->board->nwindows; n++) {
        if (!is_moved_by_devices(&b->board->window[n]))
            continue;
        uint32_t value = b->board->window_at(b->cfg.state, n);
        if (value != b->st.window[n])
            window_emit(b, dev, n, value, tick);
    }
}

/* No stamp before the last, as with windows. */
static void remap_emit(struct bus *b, unsigned dev, unsigned n, uint32_t value, uint64_t tick)
{
    tick = max_u64(tick, b->st.remap_tick[n]);
    b->st.remap_tick[n] = tick;
    b->st.remap[n] = value;
    if (b->cfg.memory)
        emit(b, tick, dev, EFFECT_REMAP, n, value);
}

static void remaps_settled(struct bus *b, unsigned dev, unsigned remaps, uint64_t tick)
{
    for (; remaps; remaps &= remaps - 1) {
        unsigned n = (unsigned)__builtin_ctz(remaps);
        uint32_t value = b->board->remap_value(b->cfg.state, n);
        if (value != b->st.remap[n])
            remap_emit(b, dev, n, value, tick);
    }
}

static void emit_requests(struct bus *b, unsigned dev, uint64_t tick)
{
    const struct board_device *d = &b->board->device[dev];
    uint32_t req = d->take_request(chip_state(b, dev));

    if (req & HW_REQUEST_RESET)
        emit(b, tick, dev, EFFECT_RESET, 0, 0);
    if (req & HW_REQUEST_POWEROFF)
        emit(b, tick, dev, EFFECT_POWEROFF, 0, 0);
    if (req & HW_REQUEST_DEBUG_EXIT)
        emit(b, tick, dev, EFFECT_EXIT, 0, d->exit_value ? d->exit_value(chip_state(b, dev)) : 0);
    if (req & HW_REQUEST_NMI)
        emit(b, tick, dev, EFFECT_NMI, 0, 0);
    if (req & HW_REQUEST_INIT)
        emit(b, tick, dev, EFFECT_INIT, 0, 0);
}

/* --- after every call on a chip --- */

/* Keeps the least of them at hand: most changes leave it alone or lower it. */
static void set_tick(struct bus *b, uint64_t *slot, uint64_t tick)
{
    b->earliest_stale |= *slot == b->earliest && tick > *slot;
    *slot = tick;
    b->earliest = min_u64(b->earliest, tick);
}

static void tell_frame(struct bus *b, unsigned port, bool to_guest, const uint8_t *frame, uint32_t bytes,
                       uint64_t tick)
{
    if (b->cfg.frame && b->board->port[port].kind == PORT_FRAMES)
        b->cfg.frame(b->cfg.frame_ctx, port, to_guest, frame, bytes, ticks_to_ns(tick, b->cfg.shift));
}

static void computed_schedule(struct bus *b, unsigned port)
{
    const struct backend *be = &b->cfg.backend[port];

    set_tick(b, &b->computed_tick[port], ticks_ceil(be->computed->next_ns(be->ctx), b->cfg.shift));
}

static void port_output(struct bus *b, unsigned port, const uint8_t *entry, uint32_t bytes, uint64_t tick)
{
    const struct backend *be = &b->cfg.backend[port];

    tell_frame(b, port, false, entry, bytes, tick);
    if (b->board->port[port].kind == PORT_TRAY && b->cfg.trays && bytes == PORT_TRAY_MOVED_BYTES)
        b->cfg.trays->moved(b->cfg.trays_ctx, port, entry[0], entry[1]);
    if (be->computed) {
        be->computed->output(be->ctx, entry, bytes, ticks_to_ns(tick, b->cfg.shift));
        computed_schedule(b, port);
    } else if (be->class && be->class->output) {
        be->class->output(be->ctx, entry, bytes);
    }
}

static void drain_port(struct bus *b, unsigned port, void *state, uint64_t tick)
{
    const struct port_output *out = b->board->port[port].out;
    uint32_t n;
    bool any = false;

    for (; (n = out->take(state, b->entry, PORT_ENTRY_BYTES)); any = true)
        port_output(b, port, b->entry, n, tick);
    if (any) /* a guest that only writes may be far from its next horizon */
        bus_flush_if_due(b);
}

void bus_drain_output(struct bus *b)
{
    for (unsigned port = 0; port < b->board->nports; port++) {
        const struct board_port *p = &b->board->port[port];
        if (!p->present || !p->out || !p->out->unsent)
            continue;
        uint32_t n = p->out->unsent(chip_state(b, p->device), b->entry, PORT_ENTRY_BYTES);
        if (n)
            port_output(b, port, b->entry, n, 0); /* a stream: nobody asks when */
    }
    bus_flush_output(b);
}

/* When the head of the port's queue reaches the chip. */
static void input_schedule(struct bus *b, unsigned port, uint64_t earliest_tick)
{
    const struct board_port *p = &b->board->port[port];
    uint64_t ready_ns = b->queue[port]->count ? p->in->ready_ns(chip_state(b, p->device)) : NS_NEVER;

    set_tick(b, &b->st.input_tick[port], max_u64(ticks_ceil(ready_ns, b->cfg.shift), earliest_tick));
}

static void ports_settled(struct bus *b, unsigned dev, void *state, uint64_t tick, uint64_t earliest)
{
    for (unsigned left = b->device_ports[dev]; left; left &= left - 1) {
        unsigned port = (unsigned)__builtin_ctz(left);
        if (b->board->port[port].out)
            drain_port(b, port, state, tick);
        if (b->queue[port])
            input_schedule(b, port, earliest);
    }
}

/* The tick at which a master uses memory is fixed when its need arises or changes, not put off after that:
 * `earliest` grows with each access. */
static void master_schedule(struct bus *b, unsigned dev, uint64_t ns, uint64_t earliest)
{
    if (ns == b->st.master_ns[dev])
        return;
    b->st.master_ns[dev] = ns;
    set_tick(b, &b->st.master_tick[dev], max_u64(ticks_ceil(ns, b->cfg.shift), earliest));
}

/* Effects of what the chip just did are stamped `tick`; its next event is no earlier than `next_min`
 * nor than the last access allows. */
static void chip_settled(struct bus *b, unsigned dev, uint64_t tick, uint64_t next_min)
{
    const struct board_device *d = &b->board->device[dev];
    void *s = chip_state(b, dev);
    uint64_t earliest = max_u64(next_min, b->st.floor_tick[dev]);

    ports_settled(b, dev, s, tick, earliest);
    if (d->take_request)
        emit_requests(b, dev, tick);
    if (d->chip->outputs) {
        uint32_t pins = d->chip->outputs(s);
        bool changed = pins != b->st.outputs[dev];
        b->st.outputs[dev] = pins;
        if (changed)
            lines_settled(b, tick);
    }
    if (d->configures) {
        lines_settled(b, tick);
        windows_settled(b, dev, tick);
    }
    if (d->remaps)
        remaps_settled(b, dev, d->remaps, tick);
    if (d->chip->next_event)
        set_tick(b, &b->st.next_tick[dev],
                 max_u64(ticks_ceil(d->chip->next_event(s), b->cfg.shift), earliest));
    if (d->chip->master)
        master_schedule(b, dev, d->chip->next_master(s), earliest);
}

/* --- accesses --- */

static void reset_chip(struct bus *b, unsigned dev, uint64_t tick)
{
    const struct board_device *d = &b->board->device[dev];
    void *s = chip_state(b, dev);
    uint64_t now_ns = ticks_to_ns(tick, b->cfg.shift);

    if (d->reset)
        d->reset(s, now_ns);
    else
        d->chip->reset(s, now_ns);
    if (d->take_request)
        d->take_request(s);
    b->st.floor_tick[dev] = tick + 1;
    chip_settled(b, dev, tick + 1, tick + 1);
}

/* Those of a chip on the CPU's side are not the bus's. */
static bool is_emitted(const struct bus *b, unsigned n)
{
    return !(b->own.memory.bytes && b->board->device[b->own.dev].remaps >> n & 1);
}

/* Every line, remap and window is told again, changed or not: the vCPU's side has just forgotten its own. */
static void reset_board(struct bus *b, uint64_t tick)
{
    for (unsigned dev = 0; dev < b->board->ndevices; dev++)
        if (on_this_side(&b->board->device[dev]))
            reset_chip(b, dev, tick);
    uint32_t levels = router_levels(b->board, b->st.outputs, b->cfg.state);
    for (unsigned line = 0; line < BOARD_IRQ_LINES; line++)
        line_emit(b, line, levels >> line & 1, tick + 1);
    for (unsigned n = 0; n < b->board->nremaps; n++)
        if (is_emitted(b, n))
            remap_emit(b, 0, n, b->st.remap[n], tick + 1);
    for (unsigned n = 0; n < b->board->nwindows; n++)
        if (is_moved_by_devices(&b->board->window[n]))
            window_emit(b, 0, n, b->st.window[n], tick + 1);
}

/* An earlier access may have moved an event into the shadow of its own latency: it comes first. */
static void advance_before_access(struct bus *b, unsigned dev, uint64_t tick, uint64_t answer_tick)
{
    const struct board_device *d = &b->board->device[dev];
    uint64_t now_ns = ticks_to_ns(tick, b->cfg.shift);

    if (tick >= b->st.floor_tick[dev] || !d->chip->next_event ||
        d->chip->next_event(chip_state(b, dev)) > now_ns)
        return;
    d->chip->advance(chip_state(b, dev), now_ns);
    chip_settled(b, dev, answer_tick, answer_tick);
}

static uint32_t size_mask(unsigned size)
{
    return size >= 4 ? UINT32_MAX : (1u << size * 8) - 1;
}

static void note_write_error(struct bus *b, const struct board_device *d, const void *state,
                             const struct access *a)
{
    const char *text = NULL;

    if (b->cfg.write_error && d->chip->write_error)
        text = d->chip->write_error(state, a->offset, a->size, a->value & size_mask(a->size));
    if (text)
        b->cfg.write_error(b->cfg.write_error_ctx, a, d->name, text);
}

static void chip_write(struct bus *b, const struct board_device *d, void *state, const struct access *a,
                       uint64_t now_ns)
{
    note_write_error(b, d, state, a);
    d->chip->write(state, a->offset, a->size, a->value & size_mask(a->size), now_ns);
}

static uint32_t chip_read(const struct board_device *d, void *state, const struct access *a, uint64_t now_ns)
{
    return d->constant ? d->chip->read_constant(state, d->constant, a->offset, a->size, now_ns)
                       : d->chip->read(state, a->offset, a->size, now_ns);
}

uint32_t bus_access(void *bus, const struct access *a)
{
    struct bus *b = bus;
    CHECK(a->range > 0 && a->range < b->map.nranges);
    const struct bus_range *r = &b->map.range[a->range];
    uint64_t now_ns = ticks_to_ns(a->tick, b->cfg.shift);
    const bool write = a->kind == ACCESS_PIO_WRITE || a->kind == ACCESS_MMIO_WRITE;
    uint64_t answer_tick = a->tick + busmap_latency(r, write);
    uint32_t value = 0;

    if (a->range == b->reset_range) {
        reset_board(b, a->tick);
        return 0;
    }
    const struct board_device *d = &b->board->device[r->dev];
    advance_before_access(b, r->dev, a->tick, answer_tick);
    if (write)
        chip_write(b, d, chip_state(b, r->dev), a, now_ns);
    else
        value = chip_read(d, chip_state(b, r->dev), a, now_ns) & size_mask(a->size);
    b->st.floor_tick[r->dev] = max_u64(b->st.floor_tick[r->dev], answer_tick); /* ranges differ in latency */
    chip_settled(b, r->dev, answer_tick, answer_tick);
    return value;
}

/* --- input from outside --- */

static bool is_stream(const struct bus *b, unsigned port)
{
    return b->board->port[port].kind == PORT_BYTES;
}

/* Bytes that the next entry may have. */
static uint32_t queue_room(const struct bus *b, unsigned port)
{
    const struct board_port *p = &b->board->port[port];
    uint32_t room = bus_queue_bytes(p) - b->queue[port]->count;

    if (!is_stream(b, port))
        room = room > BUS_LENGTH_BYTES ? room - BUS_LENGTH_BYTES : 0;
    return (uint32_t)min_u64(room, bus_port_is_small(p) ? PORT_SMALL_BYTES : PORT_ENTRY_BYTES);
}

/* What a back end may give at once: of a tray's entry a part is for the host (bus_trays). */
static uint32_t intake_room(const struct bus *b, unsigned port)
{
    const uint32_t room = queue_room(b, port);

    if (b->board->port[port].kind != PORT_TRAY)
        return room;
    return room >= PORT_TRAY_BYTES ? PORT_ENTRY_BYTES : 0;
}

/* Of an entry that comes from outside, what the machine keeps. */
static uint32_t kept_bytes(const struct bus *b, unsigned port, uint32_t n)
{
    return b->board->port[port].kind == PORT_TRAY ? (uint32_t)min_u64(n, PORT_TRAY_BYTES) : n;
}

static void ring_put(struct bus_queue *q, uint32_t size, const uint8_t *bytes, uint32_t n)
{
    uint32_t tail = (q->head + q->count) % size;
    uint32_t first = (uint32_t)min_u64(n, size - tail);

    memcpy(q->byte + tail, bytes, first);
    memcpy(q->byte, bytes + first, n - first);
    q->count += n;
}

static void ring_take(struct bus_queue *q, uint32_t size, uint8_t *bytes, uint32_t n)
{
    uint32_t first = (uint32_t)min_u64(n, size - q->head);

    memcpy(bytes, q->byte + q->head, first);
    memcpy(bytes + first, q->byte, n - first);
    memset(q->byte + q->head, 0, first);
    memset(q->byte, 0, n - first);
    q->head = (q->head + n) % size;
    q->count -= n;
}

static void queue_push(struct bus *b, unsigned port, const uint8_t *entry, uint32_t n, uint64_t tick)
{
    struct bus_queue *q = b->queue[port];
    bool was_empty = q->count == 0;
    uint32_t size = bus_queue_bytes(&b->board->port[port]);
    uint8_t length[BUS_LENGTH_BYTES] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), 0};

    if (!is_stream(b, port))
        ring_put(q, size, length, sizeof(length));
    ring_put(q, size, entry, n);
    if (was_empty)
        input_schedule(b, port, max_u64(tick, b->st.floor_tick[b->board->port[port].device]));
}

/* The next byte or entry, to b->entry. */
static uint32_t queue_pop(struct bus *b, unsigned port)
{
    struct bus_queue *q = b->queue[port];
    uint32_t size = bus_queue_bytes(&b->board->port[port]);
    uint8_t length[BUS_LENGTH_BYTES];
    uint32_t n = 1;

    if (!is_stream(b, port)) {
        ring_take(q, size, length, sizeof(length));
        n = (uint32_t)(length[0] | length[1] << 8 | length[2] << 16);
    }
    ring_take(q, size, b->entry, n);
    return n;
}

/* An entry that does not fit is cut (a stream) or dropped: the log is another machine's. */
static void input_from_log(struct bus *b, unsigned port, uint64_t tick)
{
    uint64_t next = inputlog_next_tick(b->cfg.replay);

    if (next > tick || inputlog_next_port(b->cfg.replay) != port)
        return;
    const struct inputlog_entry *e = inputlog_take(b->cfg.replay, tick);
    uint32_t room = queue_room(b, port), n = kept_bytes(b, port, e->nbytes);
    b->replay_strayed |= next != tick || n > room;
    if (n > room && !is_stream(b, port))
        return;
    if (b->board->port[port].kind == PORT_TRAY && b->cfg.trays)
        b->cfg.trays->replayed(b->cfg.trays_ctx, port, e->bytes, e->nbytes);
    queue_push(b, port, e->bytes, (uint32_t)min_u64(n, room), tick);
}

/* Nothing at tick 0, which no log can stamp, nor in a second step at one tick (a poke after an event):
 * a replay has one step there, and takes each port once. */
static bool intake_open(const struct bus *b, uint64_t tick)
{
    return tick > b->intake_tick;
}

/* True: it took something in. */
static bool input_from_host(struct bus *b, unsigned port, uint64_t tick)
{
    const struct backend *be = &b->cfg.backend[port];
    uint32_t room = intake_room(b, port);

    if (!be->class || !be->class->input_take || room == 0)
        return false;
    uint32_t n = be->class->input_take(be->ctx, b->entry, room);
    if (n == 0)
        return false;
    if (b->cfg.record)
        inputlog_record(b->cfg.record, tick, port, b->entry, n);
    queue_push(b, port, b->entry, kept_bytes(b, port, n), tick);
    return true;
}

/* What finds no room is lost, as in a switch: that is a function of the machine's state. */
static void input_computed(struct bus *b, unsigned port, uint64_t tick)
{
    const struct backend *be = &b->cfg.backend[port];

    while (b->computed_tick[port] <= tick) {
        uint32_t n = be->computed->take(be->ctx, b->entry);
        if (n > 0 && n <= queue_room(b, port))
            queue_push(b, port, b->entry, n, tick);
        computed_schedule(b, port);
    }
}

/* The medium behind the drive changes when the chip sees it change. */
static void tray_deliver(struct bus *b, unsigned port, uint32_t n, uint64_t now_ns)
{
    const struct board_port *p = &b->board->port[port];
    const struct port_tray t = port_tray_unpack(b->entry, n);
    const bool taken = p->in->trays->takes(chip_state(b, p->device), &t);

    p->in->put(chip_state(b, p->device), b->entry, n, now_ns);
    if (b->cfg.trays)
        b->cfg.trays->done(b->cfg.trays_ctx, port, &t, taken);
}

static void input_deliver(struct bus *b, unsigned port, uint64_t tick)
{
    const struct board_port *p = &b->board->port[port];
    uint64_t now_ns = ticks_to_ns(tick, b->cfg.shift);

    while (b->st.input_tick[port] <= tick) {
        uint32_t n = queue_pop(b, port);
        tell_frame(b, port, true, b->entry, n, tick);
        if (p->kind == PORT_TRAY)
            tray_deliver(b, port, n, now_ns);
        else
            p->in->put(chip_state(b, p->device), b->entry, n, now_ns);
        chip_settled(b, p->device, tick, tick + 1);
    }
}

/* True: something came in from the host. */
static bool input_step(struct bus *b, unsigned dev, uint64_t tick)
{
    bool taken = false;

    for (unsigned left = b->device_ports[dev]; left; left &= left - 1) {
        unsigned port = (unsigned)__builtin_ctz(left);
        if (!b->queue[port])
            continue;
        if (b->cfg.backend[port].computed)
            input_computed(b, port, tick);
        else if (b->cfg.replay)
            input_from_log(b, port, tick);
        else if (intake_open(b, tick))
            taken |= input_from_host(b, port, tick);
        input_deliver(b, port, tick);
    }
    return taken;
}

/* What the log has for ports that are not there, or out of order, must not hold it up. */
static void skip_strays(struct bus *b, uint64_t tick)
{
    while (b->cfg.replay && inputlog_take(b->cfg.replay, tick))
        b->replay_strayed = true;
}

/* --- steps --- */

/* A tick may hold several events of one chip, such as both edges of a pulse shorter than a tick. */
static void chip_events(struct bus *b, unsigned dev, uint64_t tick)
{
    const struct chip_class *chip = b->board->device[dev].chip;
    uint64_t now_ns = ticks_to_ns(tick, b->cfg.shift);

    for (unsigned n = 0; n < EVENTS_PER_TICK_MAX; n++) {
        chip->advance(chip_state(b, dev), now_ns);
        chip_settled(b, dev, tick, tick + 1);
        if (chip->next_event(chip_state(b, dev)) > now_ns)
            return;
    }
}

/* A device's use of the board's DMA controller. */
struct bus_dma {
    struct bus *bus;
    unsigned dev;
    const struct mem_master *memory;
};

static uint32_t dma_transfer(void *ctx, bool to_memory, uint8_t *data, uint32_t bytes, bool *terminal_count)
{
    struct bus_dma *d = ctx;

    return d->bus->board->dma(d->bus->cfg.state, d->memory, d->dev, to_memory, data, bytes, terminal_count);
}

/* The vCPU stands at `tick`: link_serve.c. */
static void chip_masters(struct bus *b, unsigned dev, uint64_t tick)
{
    struct physmem *pm = b->cfg.memory;
    struct mem_master memory = {.pm = pm};
    bool may = pm && b->board->may_master && b->board->may_master(b->cfg.state, dev);
    struct bus_dma channel = {b, dev, may ? &memory : NULL};
    struct chip_dma dma = {&channel, dma_transfer};
    struct chip_master m = {.memory = may ? &memory : NULL,
                            .blocks = busblocks_begin(b, dev, tick),
                            .constant = b->board->device[dev].constant,
                            .dma = b->board->dma ? &dma : NULL};

    CHECK(b->st.master_tick[dev] == tick);
    if (pm)
        mem_masters_begin(pm);
    b->board->device[dev].chip->master(chip_state(b, dev), &m, ticks_to_ns(tick, b->cfg.shift));
    if (pm)
        mem_masters_end(pm);
    busblocks_end(b);
    b->st.master_ns[dev] = NS_NEVER;
    set_tick(b, &b->st.master_tick[dev], TICK_NEVER);
    chip_settled(b, dev, tick, tick + 1);
}

static bool output_waits(const struct bus *b)
{
    for (unsigned port = 0; port < b->board->nports; port++) {
        const struct backend *be = &b->cfg.backend[port];
        if (be->class && be->class->output_waits && be->class->output_waits(be->ctx))
            return true;
    }
    return false;
}

void bus_flush_if_due(struct bus *b)
{
    if (!output_waits(b))
        return;
    uint64_t now_ns = clock_realtime_coarse_ns();
    if (now_ns - b->flush_ns < BUS_FLUSH_NS)
        return;
    b->flush_ns = now_ns;
    bus_flush_output(b);
}

void bus_flush_output(struct bus *b)
{
    for (unsigned port = 0; port < b->board->nports; port++) {
        const struct backend *be = &b->cfg.backend[port];
        if (be->class && be->class->flush)
            be->class->flush(be->ctx);
    }
}

static void tell_time(struct bus *b, uint64_t tick)
{
    for (uint32_t left = b->stepped_ports; left; left &= left - 1) {
        const struct backend *be = &b->cfg.backend[__builtin_ctz(left)];
        be->class->step(be->ctx, ticks_to_ns(tick, b->cfg.shift));
    }
}

void bus_serve_screen(struct bus *b, uint64_t tick)
{
    screen_serve(b->cfg.screen, b->cfg.state, ticks_to_ns(tick, b->cfg.shift));
}

void bus_step(void *bus, uint64_t tick)
{
    struct bus *b = bus;
    bool taken = false;

    tell_time(b, tick);
    for (unsigned dev = 0; dev < b->board->ndevices; dev++) {
        if (!on_this_side(&b->board->device[dev]))
            continue;
        if (b->st.next_tick[dev] <= tick)
            chip_events(b, dev, tick);
        if (b->st.master_tick[dev] <= tick)
            chip_masters(b, dev, tick);
        taken |= input_step(b, dev, tick);
    }
    if (taken)
        b->intake_tick = tick;
    skip_strays(b, tick);
    bus_serve_screen(b, tick);
    bus_flush_if_due(b);
}

static void find_earliest(struct bus *b)
{
    uint64_t earliest = TICK_NEVER;

    for (unsigned dev = 0; dev < b->board->ndevices; dev++)
        earliest = min_u64(earliest, min_u64(b->st.next_tick[dev], b->st.master_tick[dev]));
    for (unsigned port = 0; port < b->board->nports; port++)
        earliest = min_u64(earliest, min_u64(b->st.input_tick[port], b->computed_tick[port]));
    b->earliest = earliest;
    b->earliest_stale = false;
}

uint64_t bus_next_event(void *bus)
{
    struct bus *b = bus;

    if (b->earliest_stale)
        find_earliest(b);
    return b->cfg.replay ? min_u64(b->earliest, inputlog_next_tick(b->cfg.replay)) : b->earliest;
}

bool bus_input_waiting(void *bus)
{
    struct bus *b = bus;

    if (b->cfg.replay)
        return false;
    for (unsigned port = 0; port < b->board->nports; port++) {
        const struct backend *be = &b->cfg.backend[port];
        if (b->queue[port] && be->class && be->class->input_waiting && intake_room(b, port) &&
            be->class->input_waiting(be->ctx, intake_room(b, port)))
            return true;
    }
    return false;
}

/* --- the chip with memory, on the vCPU's thread --- */

static void remap_own(const struct bus_own *o)
{
    const struct board *board = o->bus->board;

    for (unsigned left = board->device[o->dev].remaps; left; left &= left - 1) {
        unsigned n = (unsigned)__builtin_ctz(left);
        physmem_remap(o->memory.pm, n, board->remap_value(o->bus->cfg.state, n));
    }
}

static uint32_t own_read(void *own, uint32_t offset, unsigned size, uint64_t now_ns)
{
    const struct bus_own *o = own;

    return o->bus->board->device[o->dev].chip->read_memory(chip_state(o->bus, o->dev), &o->memory, offset,
                                                           size, now_ns);
}

static void own_write(void *own, uint32_t offset, unsigned size, uint32_t value, uint64_t now_ns)
{
    const struct bus_own *o = own;

    if (o->bus->board->device[o->dev].chip->write_memory(chip_state(o->bus, o->dev), &o->memory, offset, size,
                                                         value, now_ns))
        remap_own(o);
}

void bus_settle_own(struct bus *b)
{
    const struct bus_own *o = &b->own;

    if (!o->memory.bytes)
        return;
    b->board->device[o->dev].chip->settle_memory(chip_state(b, o->dev), &o->memory);
    remap_own(o);
}

static bool is_own(const struct bus *b, const struct board_device *d)
{
    return b->own.memory.bytes && d == &b->board->device[b->own.dev];
}

/* --- start-up --- */

static enum access_class to_access_class(uint8_t c)
{
    static const enum access_class map[] = {
        /* MATCH board_class */
        [BOARD_POSTED] = CLASS_POSTED, [BOARD_SYNC] = CLASS_SYNC,      [BOARD_PURE] = CLASS_PURE,
        [BOARD_LOCAL] = CLASS_LOCAL,   [BOARD_AT_ONCE] = CLASS_POSTED,
    };
    return map[c];
}

static void map_range(struct bus *b, const struct board_range *p)
{
    const struct board_device *d = &b->board->device[p->device];
    struct bus_range r = {
        .first = p->first,
        .last = p->last,
        .dev = p->device,
        .read_class = (uint8_t)to_access_class(p->read_class),
        .write_class = (uint8_t)to_access_class(p->write_class),
        .width = p->width,
        .latency_ticks = p->write_class == BOARD_AT_ONCE ? 1 : b->latency_ticks[p->device],
        .base_offset = p->base_offset,
        .state = chip_state(b, p->device),
        .read = d->local ? d->chip->read : NULL,
        .write = d->local ? d->chip->write : NULL,
        .name = d->name,
        .write_error = d->local ? d->chip->write_error : NULL,
        .pure_read = d->chip->pure_read,
        .read_changes = d->chip->read_changes,
        .run = p->base_offset == 0 ? d->chip->run : NULL,
    };
    if (is_own(b, d)) {
        r.state = &b->own;
        r.read = own_read;
        r.write = own_write;
        r.quiet = true;
    }
    if (p->window && b->board->window[p->window - 1].io) {
        CHECK(busmap_add_in_window(&b->map, p->window - 1u, &r) > 0);
        return;
    }
    if (p->window) {
        uint32_t at = b->board->window[p->window - 1].at;
        r.mmio = true;
        r.first += at ? at : BUS_WINDOW_ADDR(p->window - 1);
        r.last += at ? at : BUS_WINDOW_ADDR(p->window - 1);
    }
    CHECK(busmap_add(&b->map, &r) > 0);
}

static void init_remap(struct bus *b, unsigned n)
{
    if (!is_emitted(b, n))
        return;
    b->st.remap[n] = b->board->remap_value(b->cfg.state, n);
    if (b->cfg.memory)
        physmem_remap(b->cfg.memory, n, b->st.remap[n]);
}

/* What a memory window shows; 0: no room for a ROM. */
static mem_target_t window_target(struct bus *b, unsigned n)
{
    const struct board_window *w = &b->board->window[n];
    if (!w->rom)
        return mem_target(MEM_BUS, BUS_WINDOW_ADDR(n));
    mem_addr_t at = physmem_add(b->cfg.memory, MEM_ROM, w->bytes);
    if (at == MEM_NOWHERE)
        return 0;
    physmem_put(b->cfg.memory, at, w->rom, min_u64(w->rom_bytes, w->bytes));
    return mem_target(MEM_ROM, at);
}

/* False: no memory. */
static bool init_window(struct bus *b, unsigned n)
{
    const struct board_window *w = &b->board->window[n];
    if (w->at)
        return true;
    uint32_t value = b->board->window_at(b->cfg.state, n);

    b->st.window[n] = value;
    if (w->io) {
        busmap_move(&b->map, n, value);
    } else if (b->cfg.memory) {
        mem_target_t bus = mem_target(MEM_BUS, BUS_WINDOW_ADDR(n)), target = window_target(b, n);
        if (!target)
            return false;
        int number = w->memory ? physmem_add_memory_window(b->cfg.memory, w->bytes,
                                                           mem_target(MEM_VRAM, b->own.memory.first), bus)
                               : physmem_add_window(b->cfg.memory, w->bytes, target);
        CHECK(number >= 0);
        b->window_remap[n] = (uint8_t)number;
        physmem_remap(b->cfg.memory, (unsigned)number, value);
    }
    return true;
}

static void init_own(struct bus *b)
{
    for (unsigned dev = 0; dev < b->board->ndevices && b->cfg.memory; dev++) {
        const struct mem_area a = physmem_area(b->cfg.memory, MEM_VRAM);
        if (b->board->device[dev].present && b->board->device[dev].owns_memory)
            b->own = (struct bus_own){b, dev, {b->cfg.memory, a.first, a.bytes}};
    }
}

static void map_reset(struct bus *b)
{
    struct bus_range r = {
        .first = BUS_RESET_ADDR,
        .last = BUS_RESET_ADDR,
        .read_class = CLASS_SYNC,
        .write_class = CLASS_SYNC,
        .width = 4,
        .mmio = true,
        .latency_ticks = 1,
    };
    int index = busmap_add(&b->map, &r);
    CHECK(index > 0);
    b->reset_range = (uint16_t)index;
}

static void init_lines(struct bus *b)
{
    for (unsigned i = b->board->nwires; i-- > 0;) {
        const struct board_wire *w = &b->board->wire[i];
        if (w->line < BOARD_IRQ_LINES && (b->line_dev[w->line] == 0 || w->device < b->line_dev[w->line]))
            b->line_dev[w->line] = w->device;
    }
    b->st.lines = router_levels(b->board, b->st.outputs, b->cfg.state);
    for (unsigned line = 0; line < BOARD_IRQ_LINES; line++)
        b->board->intc.set_line(b->cfg.state, line, b->st.lines >> line & 1);
}

static void init_devices(struct bus *b)
{
    for (unsigned dev = 0; dev < BOARD_DEVICES_MAX; dev++)
        b->st.next_tick[dev] = b->st.master_tick[dev] = b->st.master_ns[dev] = TICK_NEVER;
    for (unsigned port = 0; port < BOARD_PORTS_MAX; port++)
        b->st.input_tick[port] = b->computed_tick[port] = TICK_NEVER;
    for (unsigned dev = 0; dev < b->board->ndevices; dev++) {
        const struct board_device *d = &b->board->device[dev];
        b->latency_ticks[dev] = max_u64(ticks_ceil(d->latency_ns, b->cfg.shift), 1);
        if (!on_this_side(d))
            continue;
        if (d->chip->outputs)
            b->st.outputs[dev] = d->chip->outputs(chip_state(b, dev));
        if (d->chip->next_event)
            b->st.next_tick[dev] = ticks_ceil(d->chip->next_event(chip_state(b, dev)), b->cfg.shift);
    }
}

static bool init_ports(struct bus *b)
{
    b->entry = malloc(PORT_ENTRY_BYTES);
    if (!b->entry)
        return false;
    for (unsigned port = 0; port < b->board->nports; port++) {
        const struct board_port *p = &b->board->port[port];
        if (!p->present)
            continue;
        b->device_ports[p->device] |= 1u << port;
        const struct backend *be = &b->cfg.backend[port];
        b->stepped_ports |= be->class && be->class->step ? 1u << port : 0;
        if (p->in && !(b->queue[port] = calloc(1, offsetof(struct bus_queue, byte) + bus_queue_bytes(p))))
            return false;
    }
    return true;
}

bool bus_init(struct bus *b, const struct bus_config *cfg)
{
    memset(b, 0, sizeof(*b));
    b->cfg = *cfg;
    b->board = cfg->board;
    if (!init_ports(b) || !busblocks_init(b)) {
        bus_fini(b);
        return false;
    }
    init_devices(b);
    init_lines(b);
    b->earliest_stale = true;
    busmap_init(&b->map);
    init_own(b);
    for (unsigned i = 0; i < b->board->nranges; i++)
        map_range(b, &b->board->range[i]);
    map_reset(b);
    for (unsigned n = 0; n < b->board->nremaps; n++)
        init_remap(b, n);
    for (unsigned n = 0; n < b->board->nwindows; n++)
        if (!init_window(b, n)) {
            bus_fini(b);
            return false;
        }
    bus_settle_own(b);
    return true;
}

void bus_fini(struct bus *b)
{
    for (unsigned port = 0; port < BOARD_PORTS_MAX; port++) {
        free(b->queue[port]);
        b->queue[port] = NULL;
    }
    free(b->entry);
    b->entry = NULL;
    busblocks_fini(b);
}

/* A guest that only computes comes to no step in mode thread, as long as no input waits: what it has written
 * must leave all the same, and a display that waits must see it. */
static bool input_waiting(void *bus)
{
    const struct bus *b = bus;

    bus_flush_if_due(bus);
    return screen_asked(b->cfg.screen) || bus_input_waiting(bus);
}

const struct link_ops bus_ops = {
    .access = bus_access,
    .step = bus_step,
    .next_event = bus_next_event,
    .idle = bus_idle,
    .host_io = bus_host_io,
    .wake = bus_wake,
    .input_waiting = input_waiting,
};
