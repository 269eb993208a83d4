/* ps2_keyboard.c - enhanced keyboard (IBM PS/2 Hardware Interface Technical Reference, "Keyboards (101- and
 * 102-Key)"; the three Windows keys after Microsoft's Keyboard Scan Code Specification).
 *
 * Model: keys that go down and up leave their codes in a buffer of 16 bytes. A key whose codes do not all
 * fit is lost, and the 17th place gets the overrun code. Answers to commands go before keys, between any two
 * bytes. The key that went down last makes its code again after the delay, at the rate of F3h, until it goes
 * up or another key goes down; while bytes wait to be sent it does not repeat, so that a buffer that nobody
 * empties gets one make code of a key. In set 3 each key has a type (F7h to FDh): whether it repeats, and
 * whether it has a break code.
 * Sets 1 and 2: the keys between the main block and the numeric keypad once were the keypad's own. With Shift
 * down, or Num Lock's LED on, a key of them is wrapped into codes that undo this. PrintScreen is such a key,
 * too; with Alt it is SysRq, and Pause with Ctrl is Break.
 * A key that is down goes down no second time: the host's own repeats are dropped.
 *
 * NOT MODELLED: a list of keys (FBh to FDh) does not stop scanning; nor does a command while it waits for
 * its argument. Keys without a place in set 3 (those of media keyboards) make no code there. */
#include "hw/ps2_keyboard.h"

#include <stddef.h>

#define KBD_BAT_NS 300000000 /* keyboard self test: 300..500 ms in IBM's reference */

#define KBD_BUFFER_BYTES 16
#define KBD_RATE_DEFAULT 0x2B /* 10.9 characters a second after 500 ms */
#define KBD_LED_NUM      0x02
#define COMMAND_FIRST    0xED /* no argument is as large */
#define BREAK            0xF0
#define PREFIX_E0        0xE0
#define PREFIX_E1        0xE1

enum {
    KEY_LEFT_CTRL = 0x1D,
    KEY_LEFT_SHIFT = 0x2A,
    KEY_RIGHT_SHIFT = 0x36,
    KEY_ALT = 0x38,
    KEY_NUM_LOCK = 0x45,
    KEY_SYSRQ = 0x54,
    KEY_BREAK = PS2_KEY_E0 | 0x46,
    KEY_RIGHT_CTRL = PS2_KEY_E0 | 0x1D,
    KEY_RIGHT_ALT = PS2_KEY_E0 | 0x38,
    KEY_SLASH = PS2_KEY_E0 | 0x35, /* of the keypad */
    KEY_PRINT = PS2_KEY_E0 | 0x37,
};

/* Set 2 codes by set 1 code; 0: no such key. */
static const uint8_t set2[0x80] = {
    0x00, 0x76, 0x16, 0x1e, 0x26, 0x25, 0x2e, 0x36, 0x3d, 0x3e, 0x46, 0x45, 0x4e, 0x55, 0x66, 0x0d, /* 00 */
    0x15, 0x1d, 0x24, 0x2d, 0x2c, 0x35, 0x3c, 0x43, 0x44, 0x4d, 0x54, 0x5b, 0x5a, 0x14, 0x1c, 0x1b, /* 10 */
    0x23, 0x2b, 0x34, 0x33, 0x3b, 0x42, 0x4b, 0x4c, 0x52, 0x0e, 0x12, 0x5d, 0x1a, 0x22, 0x21, 0x2a, /* 20 */
    0x32, 0x31, 0x3a, 0x41, 0x49, 0x4a, 0x59, 0x7c, 0x11, 0x29, 0x58, 0x05, 0x06, 0x04, 0x0c, 0x03, /* 30 */
    0x0b, 0x83, 0x0a, 0x01, 0x09, 0x77, 0x7e, 0x6c, 0x75, 0x7d, 0x7b, 0x6b, 0x73, 0x74, 0x79, 0x69, /* 40 */
    0x72, 0x7a, 0x70, 0x71, 0x84, 0x60, 0x61, 0x78, 0x07, 0x0f, 0x17, 0x1f, 0x27, 0x2f, 0x37, 0x3f, /* 50 */
    0x47, 0x4f, 0x56, 0x5e, 0x08, 0x10, 0x18, 0x20, 0x28, 0x30, 0x38, 0x40, 0x48, 0x50, 0x57, 0x6f, /* 60 */
    0x13, 0x19, 0x39, 0x51, 0x53, 0x5c, 0x5f, 0x62, 0x63, 0x64, 0x65, 0x67, 0x68, 0x6a, 0x6d, 0x6e, /* 70 */
};

/* Set 3 codes, by the set 1 code of keys without a prefix; 0: no such key. */
static const uint8_t set3[0x80] = {
    0x00, 0x08, 0x16, 0x1e, 0x26, 0x25, 0x2e, 0x36, 0x3d, 0x3e, 0x46, 0x45, 0x4e, 0x55, 0x66, 0x0d, /* 00 */
    0x15, 0x1d, 0x24, 0x2d, 0x2c, 0x35, 0x3c, 0x43, 0x44, 0x4d, 0x54, 0x5b, 0x5a, 0x11, 0x1c, 0x1b, /* 10 */
    0x23, 0x2b, 0x34, 0x33, 0x3b, 0x42, 0x4b, 0x4c, 0x52, 0x0e, 0x12, 0x5c, 0x1a, 0x22, 0x21, 0x2a, /* 20 */
    0x32, 0x31, 0x3a, 0x41, 0x49, 0x4a, 0x59, 0x7e, 0x19, 0x29, 0x14, 0x07, 0x0f, 0x17, 0x1f, 0x27, /* 30 */
    0x2f, 0x37, 0x3f, 0x47, 0x4f, 0x76, 0x5f, 0x6c, 0x75, 0x7d, 0x84, 0x6b, 0x73, 0x74, 0x7c, 0x69, /* 40 */
    0x72, 0x7a, 0x70, 0x71, 0x57, 0x00, 0x13, 0x56, 0x5e,                                           /* 50 */
};

/* Set 3 codes of the other keys. */
static const struct {
    uint16_t key;
    uint8_t code;
} set3_e0[] = {
    {PS2_KEY_E0 | 0x1C, 0x79}, /* keypad Enter */
    {KEY_RIGHT_CTRL, 0x58},    {KEY_SLASH, 0x77}, {KEY_PRINT, 0x57},
    {KEY_RIGHT_ALT, 0x39},     {KEY_BREAK, 0x62}, {PS2_KEY_E0 | 0x47, 0x6E}, /* Home */
    {PS2_KEY_E0 | 0x48, 0x63},                                               /* up */
    {PS2_KEY_E0 | 0x49, 0x6F},                                               /* Page Up */
    {PS2_KEY_E0 | 0x4B, 0x61},                                               /* left */
    {PS2_KEY_E0 | 0x4D, 0x6A},                                               /* right */
    {PS2_KEY_E0 | 0x4F, 0x65},                                               /* End */
    {PS2_KEY_E0 | 0x50, 0x60},                                               /* down */
    {PS2_KEY_E0 | 0x51, 0x6D},                                               /* Page Down */
    {PS2_KEY_E0 | 0x52, 0x67},                                               /* Insert */
    {PS2_KEY_E0 | 0x53, 0x64},                                               /* Delete */
    {PS2_KEY_E0 | 0x5B, 0x8B},                                               /* left Windows key */
    {PS2_KEY_E0 | 0x5C, 0x8C},                                               /* right Windows key */
    {PS2_KEY_E0 | 0x5D, 0x8D},                                               /* menu */
    {PS2_KEY_PAUSE, 0x62},
};

/* Default types of set 3: these keys have a break code and do not repeat ... */
static const uint8_t set3_breaks[] = {0x11, 0x12, 0x14, 0x19, 0x59, 0x8B, 0x8C, 0x8D};
/* ... these have a make code only; all others repeat and have no break code. */
static const uint8_t set3_makes[] = {0x07, 0x08, 0x0F, 0x17, 0x1F, 0x27, 0x2F, 0x37, 0x39, 0x3F,
                                     0x47, 0x4F, 0x56, 0x57, 0x58, 0x5E, 0x5F, 0x62, 0x65, 0x67,
                                     0x69, 0x6B, 0x6C, 0x6D, 0x6E, 0x6F, 0x70, 0x71, 0x72, 0x73,
                                     0x74, 0x75, 0x76, 0x77, 0x79, 0x7A, 0x7D, 0x7E, 0x84};

static bool bit(const uint8_t *map, unsigned n)
{
    return map[n / 8] >> n % 8 & 1;
}

static void set_bit(uint8_t *map, unsigned n, bool to)
{
    map[n / 8] = (uint8_t)((map[n / 8] & ~(1u << n % 8)) | (unsigned)to << n % 8);
}

static bool held(const struct ps2_keyboard *k, unsigned key)
{
    return bit(k->held, key);
}

static uint8_t set3_of(unsigned key)
{
    if (key < sizeof set3)
        return set3[key];
    for (size_t i = 0; i < sizeof set3_e0 / sizeof set3_e0[0]; i++)
        if (set3_e0[i].key == key)
            return set3_e0[i].code;
    return 0;
}

/* --- the codes of a key --- */

/* As they leave the keyboard for one key: the longest has both Shift keys undone in front of it. */
struct codes {
    uint8_t byte[16];
    unsigned n;
};

static void add(struct codes *c, uint8_t byte)
{
    if (c->n < sizeof c->byte)
        c->byte[c->n++] = byte;
}

/* A code of set 1 or 2. */
static void add_code(struct codes *c, uint8_t set, unsigned key, bool down)
{
    if (key & PS2_KEY_E0)
        add(c, PREFIX_E0);
    if (set == 1) {
        add(c, (key & 0x7F) | (down ? 0 : 0x80));
        return;
    }
    if (!down)
        add(c, BREAK);
    add(c, set2[key & 0x7F]);
}

/* Insert, Home, the cursor keys and their neighbours. */
static bool is_navigation(unsigned key)
{
    return key >= (PS2_KEY_E0 | 0x47) && key <= (PS2_KEY_E0 | 0x53) && key != (PS2_KEY_E0 | 0x4A) &&
           key != (PS2_KEY_E0 | 0x4C) && key != (PS2_KEY_E0 | 0x4E);
}

static bool shift_held(const struct ps2_keyboard *k)
{
    return held(k, KEY_LEFT_SHIFT) || held(k, KEY_RIGHT_SHIFT);
}

static bool is_ctrl_held(const struct ps2_keyboard *k)
{
    return held(k, KEY_LEFT_CTRL) || held(k, KEY_RIGHT_CTRL);
}

static bool is_alt_held(const struct ps2_keyboard *k)
{
    return held(k, KEY_ALT) || held(k, KEY_RIGHT_ALT);
}

/* Shift keys that are down go up for the key's time. */
static void undo_shift(const struct ps2_keyboard *k, struct codes *c, bool begin)
{
    if (held(k, KEY_LEFT_SHIFT))
        add_code(c, k->set, PS2_KEY_E0 | KEY_LEFT_SHIFT, !begin);
    if (held(k, KEY_RIGHT_SHIFT))
        add_code(c, k->set, PS2_KEY_E0 | KEY_RIGHT_SHIFT, !begin);
}

/* What comes before the make code (begin) and behind the break code of keys that the keypad once had. */
static void wrap(const struct ps2_keyboard *k, struct codes *c, unsigned key, bool begin)
{
    bool num_lock = k->leds & KBD_LED_NUM;

    if (key == KEY_PRINT) {
        if (!shift_held(k) && !is_ctrl_held(k))
            add_code(c, k->set, PS2_KEY_E0 | KEY_LEFT_SHIFT, begin);
        return;
    }
    if (key != KEY_SLASH && !is_navigation(key))
        return;
    if (shift_held(k) && (!num_lock || key == KEY_SLASH))
        undo_shift(k, c, begin);
    else if (!shift_held(k) && num_lock && key != KEY_SLASH)
        add_code(c, k->set, PS2_KEY_E0 | KEY_LEFT_SHIFT, begin);
}

/* Pause is Ctrl and Num Lock, down and up at once; with Ctrl down it is Break. */
static void add_pause(const struct ps2_keyboard *k, struct codes *c)
{
    if (is_ctrl_held(k)) {
        add_code(c, k->set, KEY_BREAK, true);
        add_code(c, k->set, KEY_BREAK, false);
        return;
    }
    for (unsigned down = 2; down-- > 0;) {
        add(c, PREFIX_E1);
        add_code(c, k->set, KEY_LEFT_CTRL, down);
        add_code(c, k->set, KEY_NUM_LOCK, down);
    }
}

static void add_sets_1_and_2(const struct ps2_keyboard *k, struct codes *c, unsigned key, bool down)
{
    if (key == PS2_KEY_PAUSE) {
        if (down)
            add_pause(k, c);
        return;
    }
    if (key == KEY_PRINT && is_alt_held(k))
        key = KEY_SYSRQ;
    if (down)
        wrap(k, c, key, true);
    add_code(c, k->set, key, down);
    if (!down)
        wrap(k, c, key, false);
}

static void add_set3(const struct ps2_keyboard *k, struct codes *c, unsigned key, bool down)
{
    uint8_t code = set3_of(key);

    if (!code || (!down && !bit(k->breaks, code)))
        return;
    if (!down)
        add(c, BREAK);
    add(c, code);
}

static struct codes codes_of(const struct ps2_keyboard *k, unsigned key, bool down)
{
    struct codes c = {.n = 0};

    if (k->set == 3)
        add_set3(k, &c, key, down);
    else
        add_sets_1_and_2(k, &c, key, down);
    return c;
}

static bool key_exists(const struct ps2_keyboard *k, unsigned key)
{
    if (key == 0 || key >= PS2_KEYS)
        return false;
    if (k->set == 3)
        return set3_of(key) != 0;
    return key == PS2_KEY_PAUSE || set2[key & 0x7F] != 0;
}

/* --- the buffer --- */

/* The whole key or none of it; the first that does not fit leaves the overrun code. */
static bool buffer_put(struct ps2_keyboard *k, const struct codes *c, uint64_t now_ns)
{
    const uint8_t overrun = k->set == 1 ? 0xFF : 0x00;

    if (k->keys.count + c->n <= KBD_BUFFER_BYTES) {
        ps2_queue_put(&k->keys, c->byte, c->n, now_ns + PS2_WIRE_NS);
        k->overrun = c->n ? 0 : k->overrun;
        return true;
    }
    if (!k->overrun)
        ps2_queue_put(&k->keys, &overrun, 1, now_ns + PS2_WIRE_NS);
    k->overrun = 1;
    return false;
}

static void buffer_clear(struct ps2_keyboard *k)
{
    ps2_queue_clear(&k->keys);
    k->overrun = 0;
    k->repeat_ns = NS_NEVER;
    k->repeat_key = 0;
}

/* --- typematic --- */

/* F3h: bits 5 and 6 are the delay in quarters of a second, less one. */
static uint64_t repeat_delay_ns(const struct ps2_keyboard *k)
{
    return (uint64_t)((k->rate >> 5 & 3) + 1) * (NS_PER_SEC / 4);
}

/* Bits 0 to 4: (8 + bits 0 to 2) * 2^(bits 3 and 4) / 240 s. */
static uint64_t repeat_period_ns(const struct ps2_keyboard *k)
{
    return (uint64_t)((8 + (k->rate & 7)) << (k->rate >> 3 & 3)) * NS_PER_SEC / 240;
}

static bool is_typematic(const struct ps2_keyboard *k, unsigned key)
{
    return key != PS2_KEY_PAUSE && (k->set != 3 || bit(k->repeats, set3_of(key)));
}

static void repeat_start(struct ps2_keyboard *k, unsigned key, uint64_t now_ns)
{
    k->repeat_key = (uint16_t)key;
    k->repeat_ns = is_typematic(k, key) ? now_ns + repeat_delay_ns(k) : NS_NEVER;
}

static void repeat(struct ps2_keyboard *k, uint64_t now_ns)
{
    struct codes c = {.n = 0};

    k->repeat_ns = now_ns + repeat_period_ns(k);
    if (k->reply.count || k->keys.count || !key_exists(k, k->repeat_key))
        return;
    /* What undoes Shift and Num Lock is sent once, with the first make code. */
    if (k->set == 3)
        add_set3(k, &c, k->repeat_key, true);
    else
        add_code(&c, k->set, k->repeat_key == KEY_PRINT && is_alt_held(k) ? KEY_SYSRQ : k->repeat_key, true);
    buffer_put(k, &c, now_ns);
}

bool ps2_keyboard_key(struct ps2_keyboard *k, unsigned key, bool down, uint64_t now_ns)
{
    if (!key_exists(k, key) || (down && held(k, key)))
        return false;
    set_bit(k->held, key, down);
    if (!k->enabled || k->bat_ns != NS_NEVER)
        return false;
    if (down)
        repeat_start(k, key, now_ns);
    else if (key == k->repeat_key)
        k->repeat_ns = NS_NEVER;
    k->room_ns = now_ns + PS2_ROOM_NS;
    struct codes c = codes_of(k, key, down);
    return buffer_put(k, &c, now_ns);
}

uint64_t ps2_keyboard_ready_ns(const struct ps2_keyboard *k)
{
    return k->keys.count ? k->room_ns : 0;
}

/* --- commands --- */

static void reply(struct ps2_keyboard *k, const uint8_t *bytes, unsigned n, uint64_t now_ns)
{
    ps2_queue_put(&k->reply, bytes, n, now_ns + PS2_REPLY_NS);
}

static void reply1(struct ps2_keyboard *k, uint8_t byte, uint64_t now_ns)
{
    reply(k, &byte, 1, now_ns);
}

static void types_set(struct ps2_keyboard *k, bool repeats, bool breaks)
{
    memset(k->repeats, repeats ? 0xFF : 0, sizeof k->repeats);
    memset(k->breaks, breaks ? 0xFF : 0, sizeof k->breaks);
}

static void types_default(struct ps2_keyboard *k)
{
    types_set(k, true, false);
    for (size_t i = 0; i < sizeof set3_makes; i++)
        set_bit(k->repeats, set3_makes[i], false);
    for (size_t i = 0; i < sizeof set3_breaks; i++) {
        set_bit(k->repeats, set3_breaks[i], false);
        set_bit(k->breaks, set3_breaks[i], true);
    }
}

static void defaults(struct ps2_keyboard *k)
{
    buffer_clear(k);
    k->rate = KBD_RATE_DEFAULT;
    k->set = 2;
    types_default(k);
}

static bool is_set3_code(uint8_t v)
{
    for (unsigned key = 1; v && key < PS2_KEYS; key++)
        if (set3_of(key) == v)
            return true;
    return false;
}

/* FBh, FCh, FDh: the type of one key after the other, until there is another command. */
static bool type_argument(struct ps2_keyboard *k, uint8_t code)
{
    if (!is_set3_code(code))
        return false;
    set_bit(k->repeats, code, k->command == 0xFB);
    set_bit(k->breaks, code, k->command == 0xFC);
    return true;
}

static bool argument_fits(const struct ps2_keyboard *k, uint8_t v)
{
    if (k->command == 0xF0)
        return v <= 3;
    return k->command < 0xFB || is_set3_code(v);
}

static void set_argument(struct ps2_keyboard *k, uint8_t v, uint64_t now_ns)
{
    const uint8_t current[2] = {PS2_ACK, k->set};

    if (v == 0) {
        reply(k, current, sizeof current, now_ns);
        return;
    }
    k->set = v;
    buffer_clear(k);
    reply1(k, PS2_ACK, now_ns);
}

static void argument(struct ps2_keyboard *k, uint8_t v, uint64_t now_ns)
{
    uint8_t command = k->command;

    if (!argument_fits(k, v)) {
        reply1(k, PS2_RESEND, now_ns);
        return;
    }
    if (command >= 0xFB) {
        type_argument(k, v);
        reply1(k, PS2_ACK, now_ns);
        return;
    }
    k->command = 0;
    if (command == 0xF0) {
        set_argument(k, v, now_ns);
        return;
    }
    if (command == 0xED)
        k->leds = v & 7;
    else
        k->rate = v & 0x7F;
    reply1(k, PS2_ACK, now_ns);
}

static void reset_command(struct ps2_keyboard *k, uint64_t now_ns)
{
    ps2_queue_clear(&k->reply);
    defaults(k);
    k->leds = 0;
    k->enabled = 1;
    reply1(k, PS2_ACK, now_ns);
    k->bat_ns = now_ns + KBD_BAT_NS;
}

static bool is_command(uint8_t v)
{
    return v >= COMMAND_FIRST && v != 0xEF && v != 0xF1;
}

/* F7h to FAh, and what else changes at once. */
static void change(struct ps2_keyboard *k, uint8_t v)
{
    switch (v) {
    case 0xF4:
        buffer_clear(k);
        k->enabled = 1;
        break;
    case 0xF5:
    case 0xF6:
        defaults(k);
        k->enabled = v == 0xF6;
        break;
    case 0xF7:
    case 0xF8:
    case 0xF9:
    case 0xFA:
        buffer_clear(k);
        types_set(k, v == 0xF7 || v == 0xFA, v == 0xF8 || v == 0xFA);
        break;
    default: /* LEDs, set, rate, types of keys: the argument comes next */
        k->command = v;
        break;
    }
}

static void command(struct ps2_keyboard *k, uint8_t v, uint64_t now_ns)
{
    static const uint8_t id[] = {PS2_ACK, 0xAB, 0x83};

    k->command = 0;
    if (!is_command(v)) {
        reply1(k, PS2_RESEND, now_ns);
        return;
    }
    switch (v) {
    case 0xEE: /* echo */
        reply1(k, 0xEE, now_ns);
        break;
    case 0xF2:
        reply(k, id, sizeof id, now_ns);
        break;
    case 0xFE:
        reply1(k, k->last, now_ns);
        break;
    case 0xFF:
        reset_command(k, now_ns);
        break;
    default:
        change(k, v);
        reply1(k, PS2_ACK, now_ns);
        break;
    }
}

void ps2_keyboard_write(struct ps2_keyboard *k, uint8_t v, uint64_t now_ns)
{
    k->bat_ns = NS_NEVER; /* a byte to the keyboard ends its self test */
    if (k->command && v < COMMAND_FIRST)
        argument(k, v, now_ns);
    else
        command(k, v, now_ns);
}

bool ps2_keyboard_knows(const struct ps2_keyboard *k, uint8_t v)
{
    return k->command && v < COMMAND_FIRST ? argument_fits(k, v) : is_command(v);
}

/* --- its wire --- */

/* A command stops the keys until it is answered. */
uint64_t ps2_keyboard_due(const struct ps2_keyboard *k)
{
    return k->reply.count ? k->reply.due_ns : k->keys.due_ns;
}

uint8_t ps2_keyboard_take(struct ps2_keyboard *k, bool *answer, uint64_t now_ns)
{
    *answer = k->reply.count > 0;
    if (*answer) {
        k->last = ps2_queue_take(&k->reply, now_ns);
        if (k->keys.count && k->keys.due_ns < now_ns + PS2_WIRE_NS)
            k->keys.due_ns = now_ns + PS2_WIRE_NS;
    } else {
        k->last = ps2_queue_take(&k->keys, now_ns);
        k->overrun = k->keys.count ? k->overrun : 0;
    }
    return k->last;
}

void ps2_keyboard_advance(struct ps2_keyboard *k, uint64_t now_ns)
{
    static const uint8_t ok[] = {PS2_BAT_OK};

    if (k->bat_ns <= now_ns) {
        k->bat_ns = NS_NEVER;
        ps2_queue_put(&k->reply, ok, sizeof ok, now_ns + PS2_WIRE_NS);
    }
    if (k->repeat_ns <= now_ns)
        repeat(k, now_ns);
}

uint64_t ps2_keyboard_next_event(const struct ps2_keyboard *k)
{
    return ps2_earlier(k->bat_ns, k->repeat_ns);
}

void ps2_keyboard_reset(struct ps2_keyboard *k)
{
    *k = (struct ps2_keyboard){.bat_ns = NS_NEVER, .enabled = 1};
    ps2_queue_clear(&k->reply);
    defaults(k);
}
