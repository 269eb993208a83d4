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
 *
 * Input comes from outside at times that nobody can compute, so each entry is stamped, recorded, queued, and
 * reaches the chip when `ready_ns` says so.
 * Threads: as the chip's other functions: the holder of the baton. */
#ifndef TANDEM_HW_PORT_H
#define TANDEM_HW_PORT_H

#include <stdbool.h>
#include <stdint.h>

#define PORT_ENTRY_BYTES 65536 /* most bytes of one entry */

enum port_kind { PORT_BYTES, PORT_FRAMES, PORT_KEYS };

struct port_input {
    /* When the chip takes the next byte (PORT_BYTES) or entry, absolute virtual ns. NS_NEVER: not until the
     * guest or an event of the chip changes something. */
    uint64_t (*ready_ns)(const void *s);
    /* One byte (PORT_BYTES) or one entry arrives; not before ready_ns. Any content is defined. */
    void (*put)(void *s, const uint8_t *entry, uint32_t bytes, uint64_t now_ns);
};

struct port_output {
    /* Bytes (PORT_BYTES) or the next entry that the chip has sent, at most `max`; 0: none. */
    uint32_t (*take)(void *s, uint8_t *entry, uint32_t max);
    /* PORT_BYTES: what the guest has handed over and the line has not carried yet, oldest first; the chip
     * stays as it is. NULL: nothing ever waits. */
    uint32_t (*unsent)(const void *s, uint8_t *bytes, uint32_t max);
};

/* --- entries of PORT_KEYS --- */

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

#endif
