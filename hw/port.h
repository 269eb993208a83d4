/* port.h - typed ports: how what lies outside the machine reaches a chip, and the other way round.
 *
 * A board numbers its typed ports (board.h, `port[]`). Each belongs to one device and has a kind and that
 * kind's hooks, which are functions over the chip's state and the time, as all of a chip's are. devthread/
 * knows kinds, never chips. An address of IN and OUT is always called an I/O port, never just a port.
 *
 *   kind          one entry is
 *   PORT_BYTES    bytes of a stream: a serial line
 *   PORT_FRAMES   one frame of a network
 *   PORT_KEYS     one key that goes down or up: struct port_key
 *   PORT_POINTER  one motion and the buttons: struct port_motion
 *   PORT_BLOCKS   - (a drive's medium: blocks.h)
 *   PORT_PIXELS   - (a picture, made from a chip's state and memory)
 *   PORT_PANEL    one button of the case: a byte, enum port_button
 *   PORT_TRAY     what is done to a removable medium of one of the device's drives: struct port_tray
 *
 * Input comes from outside at times that nobody can compute, so each entry is stamped, recorded, queued, and
 * reaches the chip when `ready_ns` says so. A drive's medium is part of the machine: the chip computes from a
 * request when it is done, and only what goes wrong on the host is recorded. A picture only leaves the
 * machine, whenever a screen looks at it. Threads: as the chip's other functions: the holder of the baton. */
#ifndef TANDEM_HW_PORT_H
#define TANDEM_HW_PORT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define PORT_ENTRY_BYTES 65536 /* most bytes of one entry */

enum port_kind {
    PORT_BYTES,
    PORT_FRAMES,
    PORT_KEYS,
    PORT_POINTER,
    PORT_BLOCKS,
    PORT_PIXELS,
    PORT_PANEL,
    PORT_TRAY
};

struct port_input {
    /* When the chip takes the next byte (PORT_BYTES) or entry, absolute virtual ns. NS_NEVER: not until the
     * guest or an event of the chip changes something. */
    uint64_t (*ready_ns)(const void *s);
    /* One byte (PORT_BYTES) or one entry arrives; not before ready_ns. Any content is defined. */
    void (*put)(void *s, const uint8_t *entry, uint32_t bytes, uint64_t now_ns);
    const struct port_trays *trays; /* PORT_TRAY has them; else NULL */
};

struct port_output {
    /* Bytes (PORT_BYTES) or the next entry that the chip has sent, at most `max`; 0: none. */
    uint32_t (*take)(void *s, uint8_t *entry, uint32_t max);
    /* PORT_BYTES: what the guest has handed over and the line has not carried yet, oldest first; the chip
     * stays as it is. NULL: nothing ever waits. */
    uint32_t (*unsent)(const void *s, uint8_t *bytes, uint32_t max);
};

struct port_picture {
    uint64_t address; /* physical, of the first row */
    uint32_t width, height, row_bytes;
    /* a pixel is a byte: what else there is comes with the first screen */
};

struct port_tray;

/* A drive as its host sees it. */
struct port_tray_view {
    bool removable; /* it has a medium that can be changed */
    bool tray;      /* it has a tray: a floppy drive has none */
    bool open, locked, medium;
};

struct port_trays {
    /* Would the drive, as it stands, do this? `put` does it, or tells the guest that it was asked for. */
    bool (*takes)(const void *s, const struct port_tray *t);
    void (*look)(const void *s, unsigned drive, struct port_tray_view *v);
};

#define PORT_RANGES_MAX 4

/* Bytes of video memory: [first, first + bytes). */
struct port_range {
    uint32_t first, bytes;
};

/* Of two kinds of chips: a plain picture in RAM has `picture`; a chip with video memory, whose display knows
 * how to draw it, has `state_bytes` and `ranges`. */
struct port_pixels {
    bool (*picture)(const void *s, struct port_picture *p); /* false: the screen is dark */
    uint32_t state_bytes;                                   /* of the chip */
    /* What of video memory the picture depends on; how many ranges. Any state is fine. */
    unsigned (*ranges)(const void *s, struct port_range range[PORT_RANGES_MAX]);
};

/* --- entries of PORT_KEYS, PORT_POINTER, PORT_PANEL and PORT_TRAY --- */

#define PORT_SMALL_BYTES 32 /* most bytes of an entry of these, as the machine has it */

enum port_button { PORT_BUTTON_RESET = 1, PORT_BUTTON_POWER = 2, PORT_BUTTON_NMI = 3 };

#define PORT_KEY_BYTES 3

struct port_key {
    uint16_t code; /* set 1 code, as in i8042.h */
    bool down;
};

static inline void port_key_pack(struct port_key k, uint8_t entry[PORT_KEY_BYTES])
{
    entry[0] = (uint8_t)k.code;
    entry[1] = (uint8_t)(k.code >> 8);
    entry[2] = k.down;
}

/* An entry that is too short is key 0, which no keyboard has. */
static inline struct port_key port_key_unpack(const uint8_t *entry, uint32_t bytes)
{
    if (bytes < PORT_KEY_BYTES)
        return (struct port_key){0};
    return (struct port_key){.code = (uint16_t)(entry[0] | entry[1] << 8), .down = entry[2] & 1};
}

#define PORT_MOTION_BYTES 6

struct port_motion {
    int16_t dx, dy;  /* right and down */
    int8_t dz;       /* the wheel, towards the user */
    uint8_t buttons; /* bit 0 left, 1 right, 2 middle: down */
};

static inline void port_motion_pack(struct port_motion m, uint8_t entry[PORT_MOTION_BYTES])
{
    entry[0] = (uint8_t)m.dx;
    entry[1] = (uint8_t)((uint16_t)m.dx >> 8);
    entry[2] = (uint8_t)m.dy;
    entry[3] = (uint8_t)((uint16_t)m.dy >> 8);
    entry[4] = m.buttons;
    entry[5] = (uint8_t)m.dz;
}

/* An entry that is too short moves nothing. */
static inline struct port_motion port_motion_unpack(const uint8_t *entry, uint32_t bytes)
{
    if (bytes < PORT_MOTION_BYTES)
        return (struct port_motion){0};
    return (struct port_motion){.dx = (int16_t)(entry[0] | entry[1] << 8),
                                .dy = (int16_t)(entry[2] | entry[3] << 8),
                                .dz = (int8_t)entry[5],
                                .buttons = entry[4]};
}

#define PORT_TRAY_BYTES 32
#define PORT_TRAY_HASH  16

enum port_tray_op {
    PORT_TRAY_OPEN = 1, /* the eject button of a drive with a tray */
    PORT_TRAY_CLOSE,
    PORT_TRAY_REMOVE, /* takes the medium out of the open tray, or of a drive without one */
    PORT_TRAY_INSERT,
};

struct port_tray {
    uint8_t op;    /* enum port_tray_op; any other value is none */
    uint8_t drive; /* of the device: 0 or 1 */
    bool force;    /* PORT_TRAY_OPEN: although the guest has locked the tray */
    bool read_only;
    uint64_t bytes;               /* PORT_TRAY_INSERT: of the medium */
    uint8_t hash[PORT_TRAY_HASH]; /* likewise, for the host: the drive does not look at it */
};

static inline void port_tray_pack(const struct port_tray *t, uint8_t entry[PORT_TRAY_BYTES])
{
    memset(entry, 0, PORT_TRAY_BYTES);
    entry[0] = t->op;
    entry[1] = t->drive;
    entry[2] = (uint8_t)(t->force | t->read_only << 1);
    for (unsigned i = 0; i < 8; i++)
        entry[8 + i] = (uint8_t)(t->bytes >> 8 * i);
    memcpy(entry + 16, t->hash, PORT_TRAY_HASH);
}

/* An entry that is too short does nothing. */
static inline struct port_tray port_tray_unpack(const uint8_t *entry, uint32_t bytes)
{
    struct port_tray t = {0};

    if (bytes < PORT_TRAY_BYTES)
        return t;
    t.op = entry[0];
    t.drive = entry[1];
    t.force = entry[2] & 1;
    t.read_only = entry[2] >> 1 & 1;
    for (unsigned i = 0; i < 8; i++)
        t.bytes |= (uint64_t)entry[8 + i] << 8 * i;
    memcpy(t.hash, entry + 16, PORT_TRAY_HASH);
    return t;
}

/* What a drive's controller tells of it: the tray has moved. */
#define PORT_TRAY_MOVED_BYTES 2 /* drive, 1: open */

#endif
