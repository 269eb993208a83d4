/* ps2_mouse.c - PS/2 mouse (IBM PS/2 Hardware Interface Technical Reference, "Mouse"; the wheel and five
 * buttons after Microsoft's IntelliMouse and IntelliMouse Explorer).
 *
 * Model: motions add up in counters of nine bits and a sign that cannot overflow into others: a motion beyond
 * them stays at the end of the range, and the report's overflow bit says so. In stream mode a report leaves
 * when there is something to tell, the one before it has been taken, and a sample period has passed since;
 * what moves meanwhile adds up. In remote mode a report leaves when EBh asks. Wrap mode sends back all but
 * ECh and FFh. Each command but "resend" ends what the mouse was about to send, and clears the counters.
 * Three sample rates in a row turn the mouse into another: 200, 100, 80 one with a wheel, 200, 200, 80 one
 * with five buttons, too.
 * An unknown byte is answered with "resend", the second in a row with "error".
 *
 * NOT MODELLED: the resolution changes nothing: a motion from outside comes in counts. */
#include "hw/ps2_mouse.h"

#define MOUSE_BAT_NS       300000000 /* of the order of the keyboard's */
#define RATE_DEFAULT       100
#define RESOLUTION_DEFAULT 2 /* 4 counts a millimetre */
#define COUNT_MIN          (-256)
#define COUNT_MAX          255
#define COUNTS_FAR         128  /* a motion waits for the report of so many counts */
#define COMMAND_FIRST      0xE6 /* no argument is as large */
#define ID_WHEEL           3
#define ID_FIVE_BUTTONS    4

static void send(struct ps2_mouse *m, const uint8_t *bytes, unsigned n, uint64_t due_ns)
{
    ps2_queue_put(&m->queue, bytes, n, due_ns);
    memset(m->last, 0, sizeof m->last);
    memcpy(m->last, bytes, n);
    m->last_bytes = (uint8_t)n;
}

static void reply(struct ps2_mouse *m, const uint8_t *bytes, unsigned n, uint64_t now_ns)
{
    send(m, bytes, n, now_ns + PS2_REPLY_NS);
}

static void reply1(struct ps2_mouse *m, uint8_t byte, uint64_t now_ns)
{
    reply(m, &byte, 1, now_ns);
}

/* --- reports --- */

static int clamp(int v, int min, int max)
{
    return v < min ? min : v > max ? max : v;
}

/* 2:1 scaling: 0, 1, 1, 3, 6, 9, then twice the count. */
static int scaled(int v)
{
    static const uint8_t small[] = {0, 1, 1, 3, 6, 9};
    int n = v < 0 ? -v : v;

    n = n < 6 ? small[n] : 2 * n;
    return v < 0 ? -n : n;
}

static void clear_counts(struct ps2_mouse *m)
{
    m->dx = m->dy = m->dz = 0;
}

/* The fourth byte: with five buttons the wheel has four bits of it. */
static uint8_t fourth_byte(const struct ps2_mouse *m)
{
    if (m->id == ID_WHEEL)
        return (uint8_t)clamp(m->dz, -128, 127);
    return (uint8_t)((clamp(m->dz, -8, 7) & 0x0F) | (m->buttons & 0x18) << 1);
}

/* Writes a report of the counters, and clears them. Returns its bytes. */
static unsigned report(struct ps2_mouse *m, bool scale, uint8_t out[4])
{
    int dx = scale ? scaled(m->dx) : m->dx, dy = scale ? scaled(m->dy) : m->dy;
    int x = clamp(dx, COUNT_MIN, COUNT_MAX), y = clamp(dy, COUNT_MIN, COUNT_MAX);

    out[0] =
        (uint8_t)((m->buttons & 7) | 0x08 | (x < 0) << 4 | (y < 0) << 5 | (x != dx) << 6 | (y != dy) << 7);
    out[1] = (uint8_t)x;
    out[2] = (uint8_t)y;
    out[3] = m->id ? fourth_byte(m) : 0;
    m->reported = m->buttons;
    clear_counts(m);
    return m->id ? 4 : 3;
}

/* Which buttons and which motions a report has room for. */
static uint8_t told_buttons(const struct ps2_mouse *m)
{
    return m->id == ID_FIVE_BUTTONS ? 0x1F : 7;
}

static bool buttons_changed(const struct ps2_mouse *m)
{
    return (m->buttons ^ m->reported) & told_buttons(m);
}

static bool news(const struct ps2_mouse *m)
{
    return m->dx || m->dy || (m->id && m->dz) || buttons_changed(m);
}

static bool streams(const struct ps2_mouse *m)
{
    return m->enabled && !m->remote && !m->wrap && m->bat_ns == NS_NEVER;
}

static uint64_t report_ns(const struct ps2_mouse *m)
{
    return streams(m) && !m->queue.count && news(m) ? m->sample_ns : NS_NEVER;
}

static int16_t add_counts(int16_t counts, int more)
{
    return (int16_t)clamp(counts + more, -INT16_MAX, INT16_MAX);
}

void ps2_mouse_motion(struct ps2_mouse *m, struct port_motion motion, uint64_t now_ns)
{
    m->dx = add_counts(m->dx, motion.dx);
    m->dy = add_counts(m->dy, -motion.dy);
    m->dz = add_counts(m->dz, motion.dz);
    m->buttons = motion.buttons & 0x1F;
    m->room_ns = now_ns + PS2_ROOM_NS;
    if (m->sample_ns <= now_ns)
        m->sample_ns = now_ns + 1; /* the report is an event of its own */
}

static bool is_far(int counts)
{
    return counts >= COUNTS_FAR || counts <= -COUNTS_FAR;
}

/* Small motions add up; a click, and a motion that might overflow with the next one, wait to be told. */
uint64_t ps2_mouse_ready_ns(const struct ps2_mouse *m)
{
    if (!streams(m) || !news(m))
        return 0;
    return buttons_changed(m) || is_far(m->dx) || is_far(m->dy) || is_far(m->dz) ? m->room_ns : 0;
}

/* --- commands --- */

static void defaults(struct ps2_mouse *m)
{
    m->rate = RATE_DEFAULT;
    m->resolution = RESOLUTION_DEFAULT;
    m->command = m->enabled = m->scaling = m->remote = m->wrap = 0;
    m->knock[0] = m->knock[1] = 0;
}

static void reset_command(struct ps2_mouse *m, uint64_t now_ns)
{
    defaults(m);
    m->id = 0;
    reply1(m, PS2_ACK, now_ns);
    m->bat_ns = now_ns + MOUSE_BAT_NS;
}

static void status(struct ps2_mouse *m, uint64_t now_ns)
{
    uint8_t buttons = (uint8_t)((m->buttons & 1) << 2 | (m->buttons & 4) >> 1 | (m->buttons & 2) >> 1);
    uint8_t flags = (uint8_t)((m->remote & 1) << 6 | (m->enabled & 1) << 5 | (m->scaling & 1) << 4);
    uint8_t out[] = {PS2_ACK, flags | buttons, m->resolution, m->rate};

    reply(m, out, sizeof out, now_ns);
}

static void read_data(struct ps2_mouse *m, uint64_t now_ns)
{
    uint8_t out[PS2_MOUSE_PACKET_MAX] = {PS2_ACK};
    unsigned n = report(m, false, out + 1);

    reply(m, out, n + 1, now_ns);
}

static void set_rate(struct ps2_mouse *m, uint8_t rate)
{
    if (rate == 80 && m->knock[0] == 200 && m->knock[1] == 100)
        m->id = ID_WHEEL;
    if (rate == 80 && m->knock[0] == 200 && m->knock[1] == 200)
        m->id = ID_FIVE_BUTTONS;
    m->knock[0] = m->knock[1];
    m->knock[1] = rate;
    m->rate = rate;
}

static bool is_rate(uint8_t v)
{
    return v == 10 || v == 20 || v == 40 || v == 60 || v == 80 || v == 100 || v == 200;
}

static bool argument_fits(const struct ps2_mouse *m, uint8_t v)
{
    return m->command == 0xF3 ? is_rate(v) : v <= 3;
}

/* The argument may come again, once. */
static void unknown(struct ps2_mouse *m, uint64_t now_ns)
{
    reply1(m, m->errors ? PS2_ERROR : PS2_RESEND, now_ns);
    if (m->errors)
        m->command = 0;
    m->errors = !m->errors;
}

static void argument(struct ps2_mouse *m, uint8_t v, uint64_t now_ns)
{
    if (!argument_fits(m, v)) {
        unknown(m, now_ns);
        return;
    }
    if (m->command == 0xF3)
        set_rate(m, v);
    else
        m->resolution = v;
    m->command = 0;
    m->errors = 0;
    reply1(m, PS2_ACK, now_ns);
}

static bool is_command(uint8_t v)
{
    return (v >= 0xE6 && v <= 0xEC) || v == 0xEE || v == 0xF0 || (v >= 0xF2 && v <= 0xF6) || v >= 0xFE;
}

/* What changes and is answered with "acknowledge". */
static void change(struct ps2_mouse *m, uint8_t v)
{
    switch (v) {
    case 0xE6:
    case 0xE7:
        m->scaling = v & 1;
        break;
    case 0xEA:
    case 0xF0:
        m->remote = v == 0xF0;
        break;
    case 0xEC:
    case 0xEE:
        m->wrap = v == 0xEE;
        break;
    case 0xF4:
    case 0xF5:
        m->enabled = v == 0xF4;
        break;
    case 0xF6:
        defaults(m);
        break;
    default: /* resolution, sample rate: the argument comes next */
        m->command = v;
        break;
    }
}

static void resend(struct ps2_mouse *m, uint64_t now_ns)
{
    uint8_t bytes[PS2_MOUSE_PACKET_MAX];

    memcpy(bytes, m->last, sizeof bytes);
    reply(m, bytes, m->last_bytes, now_ns);
}

static void command(struct ps2_mouse *m, uint8_t v, uint64_t now_ns)
{
    const uint8_t id[] = {PS2_ACK, m->id};

    m->command = 0;
    if (!is_command(v)) {
        unknown(m, now_ns);
        return;
    }
    m->errors = 0;
    switch (v) {
    case 0xE9:
        status(m, now_ns);
        break;
    case 0xEB:
        read_data(m, now_ns);
        break;
    case 0xF2:
        reply(m, id, sizeof id, now_ns);
        break;
    case 0xFE:
        resend(m, now_ns);
        break;
    case 0xFF:
        reset_command(m, now_ns);
        break;
    default:
        change(m, v);
        reply1(m, PS2_ACK, now_ns);
        break;
    }
}

void ps2_mouse_write(struct ps2_mouse *m, uint8_t v, uint64_t now_ns)
{
    m->bat_ns = NS_NEVER;
    ps2_queue_clear(&m->queue);
    if (m->wrap && v != 0xEC && v != 0xFF)
        reply1(m, v, now_ns);
    else if (m->command && v < COMMAND_FIRST)
        argument(m, v, now_ns);
    else
        command(m, v, now_ns);
    if (v != 0xFE)
        clear_counts(m);
}

bool ps2_mouse_knows(const struct ps2_mouse *m, uint8_t v)
{
    if (m->wrap)
        return true;
    return m->command && v < COMMAND_FIRST ? argument_fits(m, v) : is_command(v);
}

/* --- its wire --- */

uint64_t ps2_mouse_due(const struct ps2_mouse *m)
{
    return m->queue.due_ns;
}

uint8_t ps2_mouse_take(struct ps2_mouse *m, uint64_t now_ns)
{
    uint8_t byte = ps2_queue_take(&m->queue, now_ns);

    if (!m->queue.count && m->sample_ns <= now_ns)
        m->sample_ns = now_ns + 1; /* what moved meanwhile is told by an event of its own */
    return byte;
}

static uint64_t sample_period_ns(const struct ps2_mouse *m)
{
    return NS_PER_SEC / (m->rate ? m->rate : RATE_DEFAULT);
}

static void stream(struct ps2_mouse *m, uint64_t now_ns)
{
    uint8_t out[4];
    unsigned n = report(m, m->scaling, out);

    send(m, out, n, now_ns + PS2_WIRE_NS);
    m->sample_ns = now_ns + sample_period_ns(m);
}

void ps2_mouse_advance(struct ps2_mouse *m, uint64_t now_ns)
{
    static const uint8_t ok[] = {PS2_BAT_OK, 0x00};

    if (m->bat_ns <= now_ns) {
        m->bat_ns = NS_NEVER;
        send(m, ok, sizeof ok, now_ns + PS2_WIRE_NS);
    }
    if (report_ns(m) <= now_ns)
        stream(m, now_ns);
}

uint64_t ps2_mouse_next_event(const struct ps2_mouse *m)
{
    return ps2_earlier(m->bat_ns, report_ns(m));
}

void ps2_mouse_reset(struct ps2_mouse *m)
{
    *m = (struct ps2_mouse){.bat_ns = NS_NEVER};
    ps2_queue_clear(&m->queue);
    defaults(m);
}
