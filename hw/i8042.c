/* i8042.c - keyboard controller, AT keyboard and PS/2 mouse (IBM PS/2 Hardware Interface Technical
 * Reference, "Keyboard and Auxiliary Device Controller"; Intel 8042 UPI data sheet for the ports).
 *
 * Model: three sources want the one output buffer: the controller's own reply (one byte), the
 * keyboard (ps2_keyboard.c) and the mouse (ps2_mouse.c), in that order of priority. Each has the time at
 * which its next byte is there; the buffer takes one when it is empty, and after each read of port 60h
 * it stays empty for a moment, so that IRQ1 and IRQ12 fall and rise. A disabled interface keeps
 * its bytes. With XLATE the controller translates the keyboard's set 2 to set 1 as the bytes enter the
 * buffer. Commands from the host are taken at once: IBF never reads 1. FEh and output port bit 0 ask for a
 * reset. Reset leaves what firmware would: interface on, IRQ1 on, translation on, system flag set.
 *
 * NOT MODELLED: passwords, multiplexed AUX ports, time-out and parity status bits. */
#include "hw/i8042.h"

#include "clockcore/ticks.h"

#include <string.h>

/* Latencies in virtual ns; those of the devices are in ps2.h. */
#define CONTROLLER_REPLY_NS 20000  /* estimate: some 20 instructions of the 8042 */
#define SELF_TEST_NS        500000 /* controller self test: estimate, guests allow a second */
#define OBF_GAP_NS          5000   /* buffer read to next byte placed: estimate, a few instructions */

#define CCB_KBD_INT       0x01
#define CCB_AUX_INT       0x02
#define CCB_SYS           0x04
#define CCB_KBD_OFF       0x10
#define CCB_AUX_OFF       0x20
#define CCB_XLATE         0x40
#define STR_OBF           0x01
#define STR_COMMAND       0x08
#define STR_KEYLOCK       0x10 /* 1: not locked */
#define STR_AUX           0x20
#define OUTPORT_NOT_RESET 0x01
#define OUTPORT_A20       0x02
#define OUTPORT_KBD_OBF   0x10
#define OUTPORT_AUX_OBF   0x20
#define OUTPORT_IDLE      0xC0 /* keyboard clock and data lines high */
#define BREAK             0xF0

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

static bool is_one_of(uint8_t v, const char *bytes, size_t n)
{
    return memchr(bytes, v, n) != NULL;
}
#define IS_ONE_OF(v, literal) is_one_of(v, literal, sizeof(literal) - 1)

/* Sending to a device enables its interface. */
static void kbd_write(struct i8042 *s, uint8_t v, uint64_t now_ns)
{
    s->ram[0] &= ~CCB_KBD_OFF;
    ps2_keyboard_write(&s->kbd, v, now_ns);
}

static void mouse_write(struct i8042 *s, uint8_t v, uint64_t now_ns)
{
    s->ram[0] &= ~CCB_AUX_OFF;
    ps2_mouse_write(&s->mouse, v, now_ns);
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
        return ps2_mouse_knows(&s->mouse, v) ? NULL : "unknown command to the mouse";
    return ps2_keyboard_knows(&s->kbd, v) ? NULL : "unknown command to the keyboard";
}

/* --- output buffer --- */

static void obf_put(struct i8042 *s, uint8_t byte, bool aux)
{
    s->obf = 1;
    s->obf_data = byte;
    s->obf_aux = aux;
}

/* Translation: F0 only marks the code that follows. An answer that comes between the two is none. */
static bool translate(struct i8042 *s, uint8_t *byte, bool answer)
{
    if (!answer && *byte == BREAK) {
        s->break_prefix = 1;
        return false;
    }
    if (*byte < sizeof xlate)
        *byte = xlate[*byte];
    if (!answer) {
        *byte |= s->break_prefix ? 0x80 : 0;
        s->break_prefix = 0;
    }
    return true;
}

static void kbd_deliver(struct i8042 *s, uint64_t now_ns)
{
    bool answer;
    uint8_t byte = ps2_keyboard_take(&s->kbd, &answer, now_ns);

    if (!(s->ram[0] & CCB_XLATE) || translate(s, &byte, answer))
        obf_put(s, byte, false);
}

static void aux_deliver(struct i8042 *s, uint64_t now_ns)
{
    obf_put(s, ps2_mouse_take(&s->mouse, now_ns), true);
}

static uint64_t kbd_due(const struct i8042 *s)
{
    return s->ram[0] & CCB_KBD_OFF ? NS_NEVER : ps2_keyboard_due(&s->kbd);
}

static uint64_t aux_due(const struct i8042 *s)
{
    return s->ram[0] & CCB_AUX_OFF ? NS_NEVER : ps2_mouse_due(&s->mouse);
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

static void advance(void *state, uint64_t now_ns)
{
    struct i8042 *s = state;

    ps2_keyboard_advance(&s->kbd, now_ns);
    ps2_mouse_advance(&s->mouse, now_ns);
    deliver(s, now_ns);
    deliver(s, now_ns); /* a break prefix went into translation: the mouse may have its turn */
}

static uint64_t next_event(const void *state)
{
    const struct i8042 *s = state;
    uint64_t own_ns = ps2_earlier(ps2_keyboard_next_event(&s->kbd), ps2_mouse_next_event(&s->mouse));
    uint64_t byte_ns = ps2_earlier(s->reply_due_ns, ps2_earlier(kbd_due(s), aux_due(s)));

    if (s->obf || byte_ns == NS_NEVER)
        return own_ns;
    return ps2_earlier(own_ns, byte_ns > s->obf_free_ns ? byte_ns : s->obf_free_ns);
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

bool i8042_key(struct i8042 *s, unsigned key, bool down, uint64_t now_ns)
{
    return ps2_keyboard_key(&s->kbd, key, down, now_ns);
}

void i8042_motion(struct i8042 *s, struct port_motion motion, uint64_t now_ns)
{
    ps2_mouse_motion(&s->mouse, motion, now_ns);
}

uint64_t i8042_key_ready_ns(const struct i8042 *s)
{
    return ps2_keyboard_ready_ns(&s->kbd);
}

uint64_t i8042_motion_ready_ns(const struct i8042 *s)
{
    return ps2_mouse_ready_ns(&s->mouse);
}

static void reset(void *state, uint64_t now_ns)
{
    struct i8042 *s = state;

    *s = (struct i8042){0};
    ps2_keyboard_reset(&s->kbd);
    ps2_mouse_reset(&s->mouse);
    s->reply_due_ns = NS_NEVER;
    s->obf_free_ns = now_ns;
    s->outport = OUTPORT_NOT_RESET | OUTPORT_A20;
    s->ram[0] = CCB_KBD_INT | CCB_SYS | CCB_XLATE;
}

#define KBC_FIELD(member) FIELD(struct i8042, member)
static const struct field fields[] = {
    PS2_KEYBOARD_FIELDS(struct i8042, kbd),
    PS2_MOUSE_FIELDS(struct i8042, mouse),
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
    KBC_FIELD(request),
    FIELD_ARRAY(struct i8042, reserved),
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
