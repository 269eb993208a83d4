/* ps2_mouse.h - a PS/2 mouse, with the wheel and the two more buttons of Microsoft's mice for drivers that
 * ask for them.
 *
 * Threads, memory: a value and functions of it. Any byte and any motion is defined. */
#ifndef TANDEM_HW_PS2_MOUSE_H
#define TANDEM_HW_PS2_MOUSE_H

#include "hw/port.h"
#include "hw/ps2.h"

#define PS2_MOUSE_PACKET_MAX 5

struct ps2_mouse {
    struct ps2_queue queue;
    uint64_t bat_ns;                    /* the self test after a reset ends; NS_NEVER: none runs */
    uint64_t sample_ns;                 /* the next report is sent no sooner */
    uint64_t room_ns;                   /* another motion comes by then although this one is not reported */
    int16_t dx, dy, dz;                 /* counts since the last report: right, up, towards the user */
    uint8_t buttons;                    /* as in struct port_motion */
    uint8_t reported;                   /* the buttons of the last report */
    uint8_t command;                    /* command that waits for its argument; 0: none */
    uint8_t errors;                     /* arguments and commands in a row that it did not know */
    uint8_t enabled;                    /* 1: reports in stream mode */
    uint8_t rate;                       /* samples per second */
    uint8_t resolution;                 /* 0..3 */
    uint8_t scaling;                    /* 1: 2:1 */
    uint8_t remote;                     /* 1: remote mode */
    uint8_t wrap;                       /* 1: wrap mode */
    uint8_t id;                         /* 0, 3 with a wheel, 4 with a wheel and five buttons */
    uint8_t knock[2];                   /* the two sample rates before the last one */
    uint8_t last[PS2_MOUSE_PACKET_MAX]; /* what was sent last, for FEh */
    uint8_t last_bytes;
    uint8_t reserved[7]; /* always 0 */
};

/* Power-on, with the self test done. */
void ps2_mouse_reset(struct ps2_mouse *m);
void ps2_mouse_write(struct ps2_mouse *m, uint8_t v, uint64_t now_ns);
/* False: it would be answered with "resend" or "error". */
bool ps2_mouse_knows(const struct ps2_mouse *m, uint8_t v);
void ps2_mouse_motion(struct ps2_mouse *m, struct port_motion motion, uint64_t now_ns);
/* When the next motion may come. */
uint64_t ps2_mouse_ready_ns(const struct ps2_mouse *m);
/* When its next byte has arrived at the controller; NS_NEVER: it has none. */
uint64_t ps2_mouse_due(const struct ps2_mouse *m);
uint8_t ps2_mouse_take(struct ps2_mouse *m, uint64_t now_ns);
/* Events: the end of the self test, a report. */
void ps2_mouse_advance(struct ps2_mouse *m, uint64_t now_ns);
uint64_t ps2_mouse_next_event(const struct ps2_mouse *m);

/* Fields of the member `m` of a struct `type`. */
#define PS2_MOUSE_FIELDS(type, m)                                                                            \
    PS2_QUEUE_FIELDS(type, m.queue), FIELD(type, m.bat_ns), FIELD(type, m.sample_ns),                        \
        FIELD(type, m.room_ns), FIELD(type, m.dx), FIELD(type, m.dy), FIELD(type, m.dz),                     \
        FIELD(type, m.buttons), FIELD(type, m.reported), FIELD(type, m.command), FIELD(type, m.errors),      \
        FIELD(type, m.enabled), FIELD(type, m.rate), FIELD(type, m.resolution), FIELD(type, m.scaling),      \
        FIELD(type, m.remote), FIELD(type, m.wrap), FIELD(type, m.id), FIELD_ARRAY(type, m.knock),           \
        FIELD_ARRAY(type, m.last), FIELD_MAX(type, m.last_bytes, PS2_MOUSE_PACKET_MAX),                      \
        FIELD_ARRAY(type, m.reserved)

#endif
