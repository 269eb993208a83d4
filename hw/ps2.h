/* ps2.h - what a keyboard and a mouse have in common: bytes on their way to the controller.
 *
 * A byte is on the wire for PS2_WIRE_NS; a device answers a command PS2_REPLY_NS after it.
 * Threads, memory: values and pure functions of them. */
#ifndef TANDEM_HW_PS2_H
#define TANDEM_HW_PS2_H

#include "clockcore/ticks.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Latencies in virtual ns. A PS/2 byte is 11 bits at 10..16.7 kHz; 12.5 kHz is typical. */
#define PS2_WIRE_NS  880000
#define PS2_REPLY_NS 2000000 /* command over the wire, the device's thought, answer back */

/* While a device has more to say than it could send yet, fingers and hands are held back for so long: then a
 * guest that reads keeps up with text that a program types, and one that does not read holds up nobody. */
#define PS2_ROOM_NS 50000000

#define PS2_ACK    0xFA
#define PS2_ERROR  0xFC
#define PS2_RESEND 0xFE
#define PS2_BAT_OK 0xAA

#define PS2_QUEUE_BYTES 23

/* Bytes that a device has yet to send over its wire. */
struct ps2_queue {
    uint64_t due_ns;               /* byte[0] has arrived at the controller; NS_NEVER: empty */
    uint8_t byte[PS2_QUEUE_BYTES]; /* [0] is next */
    uint8_t count;                 /* bytes in byte[] */
};

static inline void ps2_queue_clear(struct ps2_queue *q)
{
    *q = (struct ps2_queue){.due_ns = NS_NEVER};
}

/* All of the bytes or none. A byte that finds the queue empty arrives at due_ns. */
static inline bool ps2_queue_put(struct ps2_queue *q, const uint8_t *bytes, unsigned n, uint64_t due_ns)
{
    if (n > sizeof q->byte - q->count)
        return false;
    if (!q->count && n)
        q->due_ns = due_ns;
    memcpy(q->byte + q->count, bytes, n);
    q->count += n;
    return true;
}

/* The next byte of a queue that has one. */
static inline uint8_t ps2_queue_take(struct ps2_queue *q, uint64_t now_ns)
{
    uint8_t byte = q->byte[0];

    memmove(q->byte, q->byte + 1, sizeof q->byte - 1);
    q->byte[sizeof q->byte - 1] = 0;
    q->count--;
    q->due_ns = q->count ? now_ns + PS2_WIRE_NS : NS_NEVER;
    return byte;
}

static inline uint64_t ps2_earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Fields of the queue `q` of a struct `type`. */
#define PS2_QUEUE_FIELDS(type, q)                                                                            \
    FIELD(type, q.due_ns), FIELD_ARRAY(type, q.byte), FIELD_MAX(type, q.count, PS2_QUEUE_BYTES)

#endif
