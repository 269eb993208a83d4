/* i8042.c - keyboard controller, AT keyboard and PS/2 mouse (IBM PS/2 Hardware Interface Technical
 * Reference, "Keyboard and Auxiliary Device Controller"; Intel 8042 UPI data sheet for the ports).
 *
 * Model: three sources want the one output buffer: the controller's own reply (one byte), the
 * keyboard's queue and the mouse's queue, in that order of priority. Each has the time at which
 * its next byte is there; the buffer takes one when it is empty, and after each read of port 60h
 * it stays empty for a moment, so that IRQ1 and IRQ12 fall and rise. A disabled interface keeps
 * its bytes. The keyboard speaks set 2 (or 1); with XLATE the controller translates to set 1 as
 * the bytes enter the buffer. Commands from the host are taken at once: IBF never reads 1.
 * A device answers after its reply time and sends further bytes at the wire's pace; a full
 * queue drops what does not fit (a key as a whole). FEh and output port bit 0 ask for a reset.
 * Reset leaves what firmware would: interface on, IRQ1 on, translation on, system flag set.
 *
 * NOT MODELLED: scan code set 3 (selectable, sends set 2), typematic repeat, passwords, the
 * mouse's motion and wrap mode, multiplexed AUX ports, time-out and parity status bits. */
#include "hw/i8042.h"

#include "clockcore/ticks.h"

#include <string.h>

/* Latencies in virtual ns. A PS/2 byte is 11 bits at 10..16.7 kHz; 12.5 kHz is typical. */
#define WIRE_NS             880000
#define DEVICE_REPLY_NS     2000000   /* command over the wire, the device's thought, answer back */
#define KBD_BAT_NS          300000000 /* keyboard self test: 300..500 ms in IBM's reference */
#define MOUSE_BAT_NS        300000000 /* the same order for a mouse */
#define CONTROLLER_REPLY_NS 20000     /* estimate: some 20 instructions of the 8042 */
#define SELF_TEST_NS        500000    /* controller self test: estimate, guests allow a second */
#define OBF_GAP_NS          5000      /* buffer read to next byte placed: estimate, a few instructions */

#define CCB_KBD_INT              0x01
#define CCB_AUX_INT              0x02
#define CCB_SYS                  0x04
#define CCB_KBD_OFF              0x10
#define CCB_AUX_OFF              0x20
#define CCB_XLATE                0x40
#define STR_OBF                  0x01
#define STR_COMMAND              0x08
#define STR_KEYLOCK              0x10 /* 1: not locked */
#define STR_AUX                  0x20
#define OUTPORT_NOT_RESET        0x01
#define OUTPORT_A20              0x02
#define OUTPORT_KBD_OBF          0x10
#define OUTPORT_AUX_OBF          0x20
#define OUTPORT_IDLE             0xC0 /* keyboard clock and data lines high */
#define ACK                      0xFA
#define RESEND                   0xFE
#define BAT_OK                   0xAA
#define BREAK                    0xF0
#define PREFIX_E0                0xE0
#define KBD_RATE_DEFAULT         0x2B /* 10.9 characters a second after 500 ms */
#define KBD_REPLY_ROOM           8
#define MOUSE_RATE_DEFAULT       100
#define MOUSE_RESOLUTION_DEFAULT 2

/* Set 2 to set 1, as the controller's ROM has it (IBM PC/AT reference); codes from 85h on pass. */
static const uint8_t xlate[0x85] = {
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59, /* 00 */
    0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b, /* 10 */
    0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d, /* 20 */
    0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f, /* 30 */
    0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61, /* 40 */
    0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76, /* 50 */
    0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f, /* 60 */
    0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54, /* 70 */
    0x80, 0x81, 0x82, 0x41, 0x54,                                                                   /* 80 */
};

/* Set 2 code of a set 1 key; 0: no such key. From the top: F7 is 83h and Alt+SysRq 84h. */
static uint8_t set2_of(uint8_t set1)
{
    for (unsigned i = sizeof xlate; i-- > 1;)
        if (xlate[i] == set1)
            return (uint8_t)i;
    return 0;
}

/* --- queues --- */

static void queue_clear(struct i8042_queue *q)
{
    memset(q->byte, 0, sizeof q->byte);
    q->count = 0;
    q->due_ns = NS_NEVER;
}

static void queue_init(struct i8042_queue *q)
{
    queue_clear(q);
    q->bat_ns = NS_NEVER;
}

/* All of the bytes or none. A byte that finds the queue empty arrives at due_ns. */
static bool queue_put(struct i8042_queue *q, const uint8_t *bytes, unsigned n, uint64_t due_ns)
{
    if (n > sizeof q->byte - q->count)
        return false;
    if (!q->count)
        q->due_ns = due_ns;
    memcpy(q->byte + q->count, bytes, n);
    q->count += n;
    return true;
}

static uint8_t queue_take(struct i8042_queue *q, uint64_t now_ns)
{
    uint8_t byte = q->byte[0];

    memmove(q->byte, q->byte + 1, sizeof q->byte - 1);
    q->byte[sizeof q->byte - 1] = 0;
    q->count--;
    q->due_ns = q->count ? now_ns + WIRE_NS : NS_NEVER;
    return byte;
}

static void device_reply(struct i8042_queue *q, const uint8_t *bytes, unsigned n, uint64_t now_ns)
{
    queue_put(q, bytes, n, now_ns + DEVICE_REPLY_NS);
}

static void device_reply1(struct i8042_queue *q, uint8_t byte, uint64_t now_ns)
{
    device_reply(q, &byte, 1, now_ns);
}

static void device_ack(struct i8042_queue *q, uint64_t now_ns)
{
    device_reply1(q, ACK, now_ns);
}

/* --- keyboard --- */

static void kbd_defaults(struct i8042 *s)
{
    s->kbd_rate = KBD_RATE_DEFAULT;
    s->kbd_set = 2;
    s->kbd_command = 0;
}

static void kbd_argument(struct i8042 *s, uint8_t v, uint64_t now_ns)
{
    uint8_t command = s->kbd_command;
    uint8_t set[2] = {ACK, s->kbd_set};

    s->kbd_command = 0;
    if (command == 0xED)
        s->kbd_leds = v;
    else if (command == 0xF3)
        s->kbd_rate = v;
    else if (v == 0) { /* F0 00: which set? */
        device_reply(&s->kbd, set, 2, now_ns);
        return;
    } else if (v <= 3)
        s->kbd_set = v;
    device_ack(&s->kbd, now_ns);
}

static void kbd_reset(struct i8042 *s, uint64_t now_ns)
{
    queue_clear(&s->kbd);
    kbd_defaults(s);
    s->kbd_leds = 0;
    s->kbd_enabled = 1;
    device_ack(&s->kbd, now_ns);
    s->kbd.bat_ns = now_ns + KBD_BAT_NS;
}

static bool is_one_of(uint8_t v, const char *bytes, size_t n)
{
    return memchr(bytes, v, n) != NULL;
}
#define IS_ONE_OF(v, literal) is_one_of(v, literal, sizeof(literal) - 1)

static bool kbd_knows(uint8_t command)
{
    return IS_ONE_OF(command, "\xED\xEE\xF0\xF2\xF3\xF4\xF5\xF6\xF7\xF8\xF9\xFA\xFE\xFF");
}

static void kbd_command(struct i8042 *s, uint8_t v, uint64_t now_ns)
{
    static const uint8_t id[] = {ACK, 0xAB, 0x83};

    s->kbd_command = 0;
    switch (v) {
    case 0xED: /* LEDs */
    case 0xF0: /* scan code set */
    case 0xF3: /* typematic rate */
        s->kbd_command = v;
        break;
    case 0xEE: /* echo */
        device_reply1(&s->kbd, 0xEE, now_ns);
        return;
    case 0xF2:
        device_reply(&s->kbd, id, sizeof id, now_ns);
        return;
    case 0xF4:
        queue_clear(&s->kbd);
        s->kbd_enabled = 1;
        break;
    case 0xF5:
    case 0xF6:
        queue_clear(&s->kbd);
        kbd_defaults(s);
        s->kbd_enabled = v == 0xF6;
        break;
    case 0xF7: /* set 3 key types: all keys ... */
    case 0xF8:
    case 0xF9:
    case 0xFA:
        break;
    case 0xFE:
        device_reply1(&s->kbd, s->kbd_last, now_ns);
        return;
    case 0xFF:
        kbd_reset(s, now_ns);
        return;
    default:
        device_reply1(&s->kbd, RESEND, now_ns);
        return;
    }
    device_ack(&s->kbd, now_ns);
}

static void kbd_write(struct i8042 *s, uint8_t v, uint64_t now_ns)
{
    s->ram[0] &= ~CCB_KBD_OFF; /* sending to the keyboard enables its interface */
    s->kbd.bat_ns = NS_NEVER;  /* a byte to the keyboard ends its self test */
    if (s->kbd_command && v < 0xED)
        kbd_argument(s, v, now_ns);
    else
        kbd_command(s, v, now_ns);
}

/* --- mouse --- */

static void mouse_defaults(struct i8042 *s)
{
    s->mouse_rate = MOUSE_RATE_DEFAULT;
    s->mouse_resolution = MOUSE_RESOLUTION_DEFAULT;
    s->mouse_command = s->mouse_enabled = s->mouse_scaling = s->mouse_remote = 0;
}

static void mouse_reset(struct i8042 *s, uint64_t now_ns)
{
    queue_clear(&s->aux);
    mouse_defaults(s);
    device_ack(&s->aux, now_ns);
    s->aux.bat_ns = now_ns + MOUSE_BAT_NS;
}

static void mouse_status(struct i8042 *s, uint64_t now_ns)
{
    uint8_t status = (uint8_t)(s->mouse_remote << 6 | s->mouse_enabled << 5 | s->mouse_scaling << 4);
    uint8_t reply[] = {ACK, status, s->mouse_resolution, s->mouse_rate};

    device_reply(&s->aux, reply, sizeof reply, now_ns);
}

static void mouse_argument(struct i8042 *s, uint8_t v, uint64_t now_ns)
{
    if (s->mouse_command == 0xF3)
        s->mouse_rate = v;
    else
        s->mouse_resolution = v & 3;
    s->mouse_command = 0;
    device_ack(&s->aux, now_ns);
}

static bool mouse_knows(uint8_t command)
{
    return IS_ONE_OF(command, "\xE6\xE7\xE8\xE9\xEA\xEB\xF0\xF2\xF3\xF4\xF5\xF6\xFE\xFF");
}

static void mouse_command(struct i8042 *s, uint8_t v, uint64_t now_ns)
{
    static const uint8_t no_motion[] = {ACK, 0x08, 0, 0}; /* bit 3 is always 1 */
    static const uint8_t id[] = {ACK, 0x00};              /* plain PS/2 mouse */

    switch (v) {
    case 0xE6:
    case 0xE7:
        s->mouse_scaling = v & 1;
        break;
    case 0xE8: /* resolution */
    case 0xF3: /* sample rate */
        s->mouse_command = v;
        break;
    case 0xE9:
        mouse_status(s, now_ns);
        return;
    case 0xEA:
    case 0xF0:
        s->mouse_remote = v == 0xF0;
        break;
    case 0xEB:
        device_reply(&s->aux, no_motion, sizeof no_motion, now_ns);
        return;
    case 0xF2:
        device_reply(&s->aux, id, sizeof id, now_ns);
        return;
    case 0xF4:
    case 0xF5:
        s->mouse_enabled = v == 0xF4;
        break;
    case 0xF6:
        mouse_defaults(s);
        break;
    case 0xFE:
        device_reply1(&s->aux, s->mouse_last, now_ns);
        return;
    case 0xFF:
        mouse_reset(s, now_ns);
        return;
    default:
        device_reply1(&s->aux, RESEND, now_ns);
        return;
    }
    device_ack(&s->aux, now_ns);
}

static void mouse_write(struct i8042 *s, uint8_t v, uint64_t now_ns)
{
    s->ram[0] &= ~CCB_AUX_OFF;
    s->aux.bat_ns = NS_NEVER;
    queue_clear(&s->aux); /* a command discards what the mouse was about to send */
    if (s->mouse_command)
        mouse_argument(s, v, now_ns);
    else
        mouse_command(s, v, now_ns);
}

/* --- controller --- */

static void controller_reply(struct i8042 *s, uint8_t byte, bool aux, uint64_t due_ns)
{
    s->reply = byte;
    s->reply_aux = aux;
    s->reply_due_ns = due_ns;
}

static void write_outport(struct i8042 *s, uint8_t v)
{
    s->outport = v & (OUTPORT_NOT_RESET | OUTPORT_A20);
    if (!(v & OUTPORT_NOT_RESET)) {
        s->request |= HW_REQUEST_RESET;
        s->outport |= OUTPORT_NOT_RESET;
    }
}

static uint8_t read_outport(const struct i8042 *s)
{
    uint8_t v = s->outport | OUTPORT_IDLE;

    if (s->obf)
        v |= s->obf_aux ? OUTPORT_AUX_OBF : OUTPORT_KBD_OBF;
    return v;
}

static void self_test(struct i8042 *s, uint64_t now_ns)
{
    s->ram[0] |= CCB_SYS;
    controller_reply(s, 0x55, false, now_ns + SELF_TEST_NS);
}

static bool controller_knows(uint8_t command)
{
    return (command >= 0x20 && command <= 0x3F) || (command >= 0x60 && command <= 0x7F) || command >= 0xF0 ||
           IS_ONE_OF(command, "\xA4\xA7\xA8\xA9\xAA\xAB\xAD\xAE\xC0\xD0\xD1\xD2\xD3\xD4\xE0");
}

static void controller_command(struct i8042 *s, uint8_t v, uint64_t now_ns)
{
    uint64_t due_ns = now_ns + CONTROLLER_REPLY_NS;

    s->command = 0;
    if (v >= 0x20 && v <= 0x3F) {
        controller_reply(s, s->ram[v & 0x1F], false, due_ns);
        return;
    }
    if ((v >= 0x60 && v <= 0x7F) || (v >= 0xD1 && v <= 0xD4)) {
        s->command = v; /* its data byte comes to port 60h */
        return;
    }
    if (v >= 0xF0) { /* pulses the output port's low bits that are 0 here */
        if (!(v & OUTPORT_NOT_RESET))
            s->request |= HW_REQUEST_RESET;
        return;
    }
    switch (v) {
    case 0xA4: /* password installed? no */
        controller_reply(s, 0xF1, false, due_ns);
        break;
    case 0xA7:
        s->ram[0] |= CCB_AUX_OFF;
        break;
    case 0xA8:
        s->ram[0] &= ~CCB_AUX_OFF;
        break;
    case 0xA9: /* test mouse interface: no error */
    case 0xAB: /* test keyboard interface: no error */
        controller_reply(s, 0x00, false, due_ns);
        break;
    case 0xAA:
        self_test(s, now_ns);
        break;
    case 0xAD:
        s->ram[0] |= CCB_KBD_OFF;
        break;
    case 0xAE:
        s->ram[0] &= ~CCB_KBD_OFF;
        break;
    case 0xC0: /* input port: bit 7, keyboard not locked */
        controller_reply(s, 0x80, false, due_ns);
        break;
    case 0xD0:
        controller_reply(s, read_outport(s), false, due_ns);
        break;
    case 0xE0: /* test inputs: both clock lines as the interfaces leave them */
        controller_reply(s, s->ram[0] & CCB_KBD_OFF ? 0 : 1, false, due_ns);
        break;
    default:
        break;
    }
}

static void write_command_data(struct i8042 *s, uint8_t command, uint8_t v, uint64_t now_ns)
{
    if (command <= 0x7F)
        s->ram[command & 0x1F] = v;
    else if (command == 0xD1)
        write_outport(s, v);
    else if (command == 0xD4)
        mouse_write(s, v, now_ns);
    else
        controller_reply(s, v, command == 0xD3, now_ns + CONTROLLER_REPLY_NS);
}

static void write_data(struct i8042 *s, uint8_t v, uint64_t now_ns)
{
    uint8_t command = s->command;

    s->command = 0;
    if (command)
        write_command_data(s, command, v, now_ns);
    else
        kbd_write(s, v, now_ns);
}

/* What the devices answer with "resend", and what the controller does nothing about. */
static const char *write_error(const void *state, uint32_t offset, unsigned size, uint32_t value)
{
    const struct i8042 *s = state;
    uint8_t v = (uint8_t)value;

    (void)size;
    if (offset == I8042_OFF_STATUS)
        return controller_knows(v) ? NULL : "unknown command to the controller";
    if (offset != I8042_OFF_DATA || (s->command && s->command != 0xD4))
        return NULL;
    if (s->command)
        return s->mouse_command || mouse_knows(v) ? NULL : "unknown command to the mouse";
    return (s->kbd_command && v < 0xED) || kbd_knows(v) ? NULL : "unknown command to the keyboard";
}

/* --- output buffer --- */

static void obf_put(struct i8042 *s, uint8_t byte, bool aux)
{
    s->obf = 1;
    s->obf_data = byte;
    s->obf_aux = aux;
}

/* Takes the keyboard's next byte; with translation F0 only marks the code that follows. */
static void kbd_deliver(struct i8042 *s, uint64_t now_ns)
{
    uint8_t byte = queue_take(&s->kbd, now_ns);

    s->kbd_last = byte;
    if (s->ram[0] & CCB_XLATE) {
        if (byte == BREAK) {
            s->break_prefix = 1;
            return;
        }
        if (byte < sizeof xlate)
            byte = xlate[byte];
        byte |= s->break_prefix ? 0x80 : 0;
        s->break_prefix = 0;
    }
    obf_put(s, byte, false);
}

static void aux_deliver(struct i8042 *s, uint64_t now_ns)
{
    s->mouse_last = queue_take(&s->aux, now_ns);
    obf_put(s, s->mouse_last, true);
}

static uint64_t kbd_due(const struct i8042 *s)
{
    return s->ram[0] & CCB_KBD_OFF ? NS_NEVER : s->kbd.due_ns;
}

static uint64_t aux_due(const struct i8042 *s)
{
    return s->ram[0] & CCB_AUX_OFF ? NS_NEVER : s->aux.due_ns;
}

static void deliver(struct i8042 *s, uint64_t now_ns)
{
    if (s->obf || now_ns < s->obf_free_ns)
        return;
    if (s->reply_due_ns <= now_ns) {
        s->reply_due_ns = NS_NEVER;
        obf_put(s, s->reply, s->reply_aux);
    } else if (kbd_due(s) <= now_ns) {
        kbd_deliver(s, now_ns);
    } else if (aux_due(s) <= now_ns) {
        aux_deliver(s, now_ns);
    }
}

static void finish_bat(struct i8042 *s, uint64_t now_ns)
{
    static const uint8_t kbd_ok[] = {BAT_OK}, mouse_ok[] = {BAT_OK, 0x00};

    if (s->kbd.bat_ns <= now_ns) {
        s->kbd.bat_ns = NS_NEVER;
        queue_put(&s->kbd, kbd_ok, sizeof kbd_ok, now_ns + WIRE_NS);
    }
    if (s->aux.bat_ns <= now_ns) {
        s->aux.bat_ns = NS_NEVER;
        queue_put(&s->aux, mouse_ok, sizeof mouse_ok, now_ns + WIRE_NS);
    }
}

static void advance(void *state, uint64_t now_ns)
{
    finish_bat(state, now_ns);
    deliver(state, now_ns);
    deliver(state, now_ns); /* a break prefix went into translation: the mouse may have its turn */
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t next_event(const void *state)
{
    const struct i8042 *s = state;
    uint64_t bat_ns = earlier(s->kbd.bat_ns, s->aux.bat_ns);
    uint64_t byte_ns = earlier(s->reply_due_ns, earlier(kbd_due(s), aux_due(s)));

    if (s->obf || byte_ns == NS_NEVER)
        return bat_ns;
    return earlier(bat_ns, byte_ns > s->obf_free_ns ? byte_ns : s->obf_free_ns);
}

static uint32_t outputs(const void *state)
{
    const struct i8042 *s = state;

    if (!s->obf)
        return 0;
    return s->obf_aux ? (s->ram[0] & CCB_AUX_INT) : (s->ram[0] & CCB_KBD_INT);
}
_Static_assert(CCB_KBD_INT == 1 && CCB_AUX_INT == 2, "interrupt enables are the output pins' bits");

static uint32_t pure_read(const void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    const struct i8042 *s = state;

    (void)size;
    (void)now_ns;
    if (offset != I8042_OFF_STATUS)
        return 0xFF;
    return STR_KEYLOCK | (s->obf ? STR_OBF | (s->obf_aux ? STR_AUX : 0) : 0) | (s->ram[0] & CCB_SYS) |
           (s->last_command ? STR_COMMAND : 0);
}

static uint32_t read_reg(void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    struct i8042 *s = state;

    if (offset != I8042_OFF_DATA)
        return pure_read(s, offset, size, now_ns);
    if (s->obf) {
        s->obf = 0;
        s->obf_free_ns = now_ns + OBF_GAP_NS;
    }
    return s->obf_data; /* an empty buffer reads its last byte again */
}

/* An enabled interface may have had a byte waiting for long: it comes after the gap, not now. */
static void hold_off(struct i8042 *s, uint64_t now_ns)
{
    if (s->obf_free_ns <= now_ns)
        s->obf_free_ns = now_ns + OBF_GAP_NS;
}

static void write_reg(void *state, uint32_t offset, unsigned size, uint32_t value, uint64_t now_ns)
{
    struct i8042 *s = state;

    (void)size;
    if (offset > I8042_OFF_STATUS)
        return;
    s->last_command = offset == I8042_OFF_STATUS;
    hold_off(s, now_ns);
    if (offset == I8042_OFF_STATUS)
        controller_command(s, (uint8_t)value, now_ns);
    else
        write_data(s, (uint8_t)value, now_ns);
}

uint32_t i8042_take_request(struct i8042 *s)
{
    uint32_t request = s->request;

    s->request = 0;
    return request;
}

bool i8042_a20(const struct i8042 *s)
{
    return s->outport & OUTPORT_A20;
}

/* The bytes of a key in set 2, or in set 1 when the guest chose that. Returns their number. */
static unsigned key_bytes(const struct i8042 *s, unsigned key, bool down, uint8_t out[4])
{
    uint8_t set1 = key & 0x7F, set2 = set2_of(set1);
    unsigned n = 0;

    if (!set2 || key > 0xFF)
        return 0;
    if (key & I8042_KEY_E0)
        out[n++] = PREFIX_E0;
    if (s->kbd_set == 1) {
        out[n++] = set1 | (down ? 0 : 0x80);
        return n;
    }
    if (!down)
        out[n++] = BREAK;
    out[n++] = set2;
    return n;
}

/* Keys leave room for the answer to a command. */
static bool key_put(struct i8042 *s, const uint8_t *bytes, unsigned n, uint64_t now_ns)
{
    if (!n || s->kbd.count + n > I8042_QUEUE_BYTES - KBD_REPLY_ROOM)
        return false;
    return queue_put(&s->kbd, bytes, n, now_ns + WIRE_NS);
}

bool i8042_key(struct i8042 *s, unsigned key, bool down, uint64_t now_ns)
{
    static const uint8_t pause1[] = {0xE1, 0x1D, 0x45, 0xE1, 0x9D, 0xC5};
    static const uint8_t pause2[] = {0xE1, 0x14, 0x77, 0xE1, 0xF0, 0x14, 0xF0, 0x77};
    uint8_t bytes[4];

    if (!s->kbd_enabled || s->kbd.bat_ns != NS_NEVER)
        return false;
    if (key != I8042_KEY_PAUSE)
        return key_put(s, bytes, key_bytes(s, key, down, bytes), now_ns);
    if (!down)
        return true;
    if (s->kbd_set == 1)
        return key_put(s, pause1, sizeof pause1, now_ns);
    return key_put(s, pause2, sizeof pause2, now_ns);
}

static void reset(void *state, uint64_t now_ns)
{
    struct i8042 *s = state;

    *s = (struct i8042){0};
    queue_init(&s->kbd);
    queue_init(&s->aux);
    kbd_defaults(s);
    mouse_defaults(s);
    s->kbd_enabled = 1;
    s->reply_due_ns = NS_NEVER;
    s->obf_free_ns = now_ns;
    s->outport = OUTPORT_NOT_RESET | OUTPORT_A20;
    s->ram[0] = CCB_KBD_INT | CCB_SYS | CCB_XLATE;
}

#define KBC_FIELD(member) FIELD(struct i8042, member)
static const struct field fields[] = {
    KBC_FIELD(kbd.due_ns),
    KBC_FIELD(kbd.bat_ns),
    FIELD_ARRAY(struct i8042, kbd.byte),
    FIELD_MAX(struct i8042, kbd.count, I8042_QUEUE_BYTES),
    KBC_FIELD(aux.due_ns),
    KBC_FIELD(aux.bat_ns),
    FIELD_ARRAY(struct i8042, aux.byte),
    FIELD_MAX(struct i8042, aux.count, I8042_QUEUE_BYTES),
    KBC_FIELD(reply_due_ns),
    KBC_FIELD(obf_free_ns),
    FIELD_ARRAY(struct i8042, ram),
    KBC_FIELD(reply),
    KBC_FIELD(reply_aux),
    KBC_FIELD(obf),
    KBC_FIELD(obf_data),
    KBC_FIELD(obf_aux),
    KBC_FIELD(last_command),
    KBC_FIELD(command),
    KBC_FIELD(outport),
    KBC_FIELD(break_prefix),
    KBC_FIELD(kbd_command),
    KBC_FIELD(kbd_enabled),
    KBC_FIELD(kbd_leds),
    KBC_FIELD(kbd_rate),
    KBC_FIELD(kbd_set),
    KBC_FIELD(kbd_last),
    KBC_FIELD(mouse_command),
    KBC_FIELD(mouse_enabled),
    KBC_FIELD(mouse_rate),
    KBC_FIELD(mouse_resolution),
    KBC_FIELD(mouse_scaling),
    KBC_FIELD(mouse_remote),
    KBC_FIELD(mouse_last),
    KBC_FIELD(request),
    KBC_FIELD(reserved),
};

const struct chip_class i8042_class = {
    .name = "i8042",
    .state_bytes = sizeof(struct i8042),
    .fields = fields,
    .nfields = sizeof fields / sizeof fields[0],
    .reset = reset,
    .read = read_reg,
    .write = write_reg,
    .write_error = write_error,
    .pure_read = pure_read,
    .advance = advance,
    .next_event = next_event,
    .outputs = outputs,
};
