/* Typed ports on the bus: keys into the PC's keyboard, 64 KiB frames through a card that sends each back. */
#include "rig.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- a back end that holds entries ready and remembers what came out --- */

#define ENTRIES 8

struct box {
    uint8_t in[ENTRIES][PORT_ENTRY_BYTES], out[ENTRIES][PORT_ENTRY_BYTES];
    uint32_t in_bytes[ENTRIES], out_bytes[ENTRIES];
    unsigned nin, taken, nout;
};

static struct box box;

static void box_output(void *ctx, const uint8_t *entry, uint32_t bytes)
{
    struct box *b = ctx;

    memcpy(b->out[b->nout % ENTRIES], entry, bytes);
    b->out_bytes[b->nout++ % ENTRIES] = bytes;
}

static bool box_input_waiting(void *ctx, uint32_t room)
{
    struct box *b = ctx;

    return b->taken < b->nin && b->in_bytes[b->taken] <= room;
}

static uint32_t box_input_take(void *ctx, uint8_t *entry, uint32_t room)
{
    struct box *b = ctx;

    if (!box_input_waiting(ctx, room))
        return 0;
    memcpy(entry, b->in[b->taken], b->in_bytes[b->taken]);
    return b->in_bytes[b->taken++];
}

static const struct backend_class box_class = {
    .output = box_output, .input_waiting = box_input_waiting, .input_take = box_input_take};

static void box_add(const uint8_t *entry, uint32_t bytes)
{
    memcpy(box.in[box.nin], entry, bytes);
    box.in_bytes[box.nin++] = bytes;
}

/* --- a board with one card: what comes in goes out ECHO_NS later --- */

#define ECHO_NS 10000

struct card {
    uint64_t due_ns; /* the frame goes out; NS_NEVER: none is here */
    uint32_t bytes, sent;
    uint8_t frame[PORT_ENTRY_BYTES];
};

static void card_reset(void *s, uint64_t now_ns)
{
    (void)now_ns;
    memset(s, 0, sizeof(struct card));
    ((struct card *)s)->due_ns = NS_NEVER;
}

static void card_advance(void *s, uint64_t now_ns)
{
    struct card *c = s;

    if (c->due_ns > now_ns)
        return;
    c->due_ns = NS_NEVER;
    c->sent = c->bytes;
}

static uint64_t card_next_event(const void *s)
{
    return ((const struct card *)s)->due_ns;
}

static uint64_t card_ready_ns(const void *s)
{
    const struct card *c = s;

    return c->due_ns == NS_NEVER ? 0 : NS_NEVER;
}

static void card_put(void *s, const uint8_t *entry, uint32_t bytes, uint64_t now_ns)
{
    struct card *c = s;

    memcpy(c->frame, entry, bytes);
    c->bytes = bytes;
    c->due_ns = now_ns + ECHO_NS;
}

static uint32_t card_take(void *s, uint8_t *entry, uint32_t max)
{
    struct card *c = s;
    uint32_t n = c->sent;

    cr_assert_leq(n, max);
    memcpy(entry, c->frame, n);
    c->sent = 0;
    return n;
}

static const struct chip_class card_class = {.name = "card",
                                             .state_bytes = sizeof(struct card),
                                             .reset = card_reset,
                                             .advance = card_advance,
                                             .next_event = card_next_event};
static const struct port_input card_in = {.ready_ns = card_ready_ns, .put = card_put};
static const struct port_output card_out = {.take = card_take};

static void no_line(void *state, unsigned line, unsigned level)
{
    (void)state;
    (void)line;
    (void)level;
}

static const struct board card_board = {
    .device = {{.name = "card", .chip = &card_class, .latency_ns = 100, .present = true}},
    .port = {{.name = "frames0",
              .kind = PORT_FRAMES,
              .present = true,
              .device = 0,
              .in = &card_in,
              .out = &card_out}},
    .ndevices = 1,
    .nports = 1,
    .state_bytes = sizeof(struct card),
    .intc = {.set_line = no_line},
};

static struct card card;
static struct bus bus;

static void ignore_effect(void *ctx, const struct effect *e)
{
    (void)ctx;
    (void)e;
}

static void card_start(struct inputlog *record, struct inputlog *replay)
{
    struct bus_config c = {.shift = 3,
                           .board = &card_board,
                           .state = &card,
                           .record = record,
                           .replay = replay,
                           .emit = ignore_effect};

    memset(&box.nin, 0, sizeof(box) - offsetof(struct box, nin));
    c.backend[0] = (struct backend){.class = &box_class, .ctx = &box};
    card_reset(&card, 0);
    bus_fini(&bus);
    cr_assert(bus_init(&bus, &c));
}

static void run_to(uint64_t tick)
{
    for (uint64_t next; (next = bus_next_event(&bus)) <= tick;)
        bus_step(&bus, next);
}

static uint8_t frame_byte(unsigned frame, uint32_t i)
{
    return (uint8_t)(i * 31 + i / 256 + frame);
}

static void add_frame(unsigned frame, uint32_t bytes)
{
    static uint8_t f[PORT_ENTRY_BYTES];

    for (uint32_t i = 0; i < bytes; i++)
        f[i] = frame_byte(frame, i);
    box_add(f, bytes);
}

static void expect_frame(unsigned frame, uint32_t bytes)
{
    cr_assert_gt(box.nout, frame);
    cr_assert_eq(box.out_bytes[frame], bytes);
    for (uint32_t i = 0; i < bytes; i++)
        cr_assert_eq(box.out[frame][i], frame_byte(frame, i), "frame %u byte %u", frame, i);
}

static const uint32_t lengths[] = {1, 60, 1514, PORT_ENTRY_BYTES, 9000, 3, PORT_ENTRY_BYTES};
#define NLENGTHS (sizeof(lengths) / sizeof(lengths[0]))

static void send_all(void)
{
    for (unsigned i = 0; i < NLENGTHS; i++)
        add_frame(i, lengths[i]);
    for (uint64_t tick = 1; tick < 100000; tick += 777) {
        run_to(tick);
        bus_step(&bus, tick);
    }
    run_to(200000);
    cr_expect_eq(box.nout, NLENGTHS);
    for (unsigned i = 0; i < NLENGTHS; i++)
        expect_frame(i, lengths[i]);
    cr_expect_eq(bus.queue[0]->count, 0);
}

Test(ports, frames_of_any_length_pass_whole_and_in_order)
{
    card_start(NULL, NULL);
    send_all();
    bus_fini(&bus);
}

Test(ports, a_frame_waits_while_the_queue_has_no_room_for_it)
{
    card_start(NULL, NULL);
    add_frame(0, 100);
    add_frame(1, 40000);
    add_frame(2, 40000);
    bus_step(&bus, 1); /* to the card */
    bus_step(&bus, 2); /* the card is busy: into the queue */
    cr_expect_eq(box.taken, 2);
    cr_expect_not(bus_input_waiting(&bus), "no room, so idle must not come back for it");
    bus_step(&bus, 3);
    cr_expect_eq(box.taken, 2);
    run_to(3 + ECHO_NS / 8); /* the card has sent the first and has the second */
    cr_expect(bus_input_waiting(&bus));
    run_to(100000);
    cr_expect_eq(box.nout, 3);
    bus_fini(&bus);
}

Test(ports, frames_are_replayed)
{
    char path[] = "/tmp/tandem-rr-XXXXXX", err[512];
    struct inputlog_header hdr = {.shift = 3};
    static struct card want;

    close(mkstemp(path));
    struct inputlog *l = inputlog_record_open(path, &hdr, &card_board, err, sizeof(err));
    cr_assert_not_null(l, "%s", err);
    card_start(l, NULL);
    send_all();
    inputlog_close(l);
    want = card;

    l = inputlog_replay_open(path, &hdr, &card_board, err, sizeof(err));
    cr_assert_not_null(l, "%s", err);
    card_start(NULL, l);
    run_to(200000);
    cr_expect_eq(box.nout, NLENGTHS);
    for (unsigned i = 0; i < NLENGTHS; i++)
        expect_frame(i, lengths[i]);
    cr_expect_eq(memcmp(&card, &want, sizeof(card)), 0);
    cr_expect_not(bus.replay_strayed);
    inputlog_close(l);
    bus_fini(&bus);
    unlink(path);
}

/* --- keys --- */

static struct rig rig;

static void key(uint16_t code, bool down)
{
    uint8_t entry[PORT_KEY_BYTES];

    port_key_pack((struct port_key){.code = code, .down = down}, entry);
    box_add(entry, sizeof(entry));
}

Test(ports, keys_reach_the_keyboard)
{
    struct bus_config c;
    static const uint8_t want[] = {0x1E, 0x9E, 0xE0, 0x48}; /* set 1: A down, A up, cursor up */
    uint8_t got[8];
    unsigned n = 0;

    memset(&box.nin, 0, sizeof(box) - offsetof(struct box, nin));
    rig_config(&rig, &c);
    c.backend[PC_PORT_KEYS] = (struct backend){.class = &box_class, .ctx = &box};
    cr_assert(rig_init(&rig, &c));
    rig_out(&rig, 0x64, 0x60); /* configuration: IRQ1, translation */
    rig_out(&rig, 0x60, 0x41);
    key(0x1E, true);
    key(0x1E, false);
    key(I8042_KEY_E0 | 0x48, true);
    key(0, true); /* no such key */
    rig.neffects = 0;
    for (unsigned i = 0; i < 200; i++) {
        rig_run_to(&rig, rig.tick + 20000);
        bus_step(&rig.bus, rig.tick);
        if ((rig_in(&rig, 0x64) & 1) && n < sizeof(got))
            got[n++] = rig_in(&rig, 0x60);
    }
    cr_expect_eq(n, sizeof(want));
    cr_expect_eq(memcmp(got, want, sizeof(want)), 0);
    cr_expect_gt(rig.neffects, 0);
    cr_expect_eq(rig.effect[0].kind, EFFECT_IRQ);
    cr_expect_eq(rig.effect[0].line, 1);
    bus_fini(&rig.bus);
}
