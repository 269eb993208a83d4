/* ps2_keyboard.h - an enhanced keyboard with 101 to 104 keys: scan code sets 1, 2 and 3.
 *
 * Keys are named by their set 1 code (i8042.h). The controller gives it bytes and takes its bytes.
 * Threads, memory: a value and functions of it. Any byte and any key is defined. */
#ifndef TANDEM_HW_PS2_KEYBOARD_H
#define TANDEM_HW_PS2_KEYBOARD_H

#include "hw/ps2.h"

#define PS2_KEYS      0x101 /* keys are 01h..100h */
#define PS2_KEY_E0    0x80  /* added to the code of keys with an E0 prefix */
#define PS2_KEY_PAUSE 0x100
#define PS2_SET3_END  0x90 /* set 3 has codes below it */

struct ps2_keyboard {
    struct ps2_queue reply;            /* answers to commands: they go before keys */
    struct ps2_queue keys;             /* the buffer of 16 bytes, and room for the overrun code */
    uint64_t bat_ns;                   /* the self test after a reset ends; NS_NEVER: none runs */
    uint64_t repeat_ns;                /* repeat_key makes its code again; NS_NEVER: no key repeats */
    uint64_t room_ns;                  /* another key comes by then although the buffer is not empty */
    uint16_t repeat_key;               /* the key that was pressed last */
    uint8_t command;                   /* command that waits for its argument; 0: none */
    uint8_t enabled;                   /* 1: scanning */
    uint8_t leds;                      /* bit 0 Scroll Lock, 1 Num Lock, 2 Caps Lock */
    uint8_t rate;                      /* argument of F3h */
    uint8_t set;                       /* scan code set: 1, 2 or 3 */
    uint8_t last;                      /* last byte sent, for FEh */
    uint8_t overrun;                   /* 1: the last byte of `keys` is the overrun code */
    uint8_t held[(PS2_KEYS + 7) / 8];  /* bit map by key: it is down */
    uint8_t repeats[PS2_SET3_END / 8]; /* bit map by set 3 code: the key is typematic */
    uint8_t breaks[PS2_SET3_END / 8];  /* bit map by set 3 code: it has a break code */
    uint8_t reserved[2];               /* always 0 */
};

/* Power-on, with the self test done. */
void ps2_keyboard_reset(struct ps2_keyboard *k);
void ps2_keyboard_write(struct ps2_keyboard *k, uint8_t v, uint64_t now_ns);
/* False: it would be answered with "resend". */
bool ps2_keyboard_knows(const struct ps2_keyboard *k, uint8_t v);
/* A key goes down or up. False: dropped: no such key, scanning off or no room. */
bool ps2_keyboard_key(struct ps2_keyboard *k, unsigned key, bool down, uint64_t now_ns);
/* When the next key may come. */
uint64_t ps2_keyboard_ready_ns(const struct ps2_keyboard *k);
/* When its next byte has arrived at the controller; NS_NEVER: it has none. */
uint64_t ps2_keyboard_due(const struct ps2_keyboard *k);
/* Takes that byte. *answer: it is no scan code. */
uint8_t ps2_keyboard_take(struct ps2_keyboard *k, bool *answer, uint64_t now_ns);
/* Events: the end of the self test, a key that repeats. */
void ps2_keyboard_advance(struct ps2_keyboard *k, uint64_t now_ns);
uint64_t ps2_keyboard_next_event(const struct ps2_keyboard *k);

/* Fields of the member `k` of a struct `type`. */
#define PS2_KEYBOARD_FIELDS(type, k)                                                                         \
    PS2_QUEUE_FIELDS(type, k.reply), PS2_QUEUE_FIELDS(type, k.keys), FIELD(type, k.bat_ns),                  \
        FIELD(type, k.repeat_ns), FIELD(type, k.room_ns), FIELD(type, k.repeat_key), FIELD(type, k.command), \
        FIELD(type, k.enabled), FIELD(type, k.leds), FIELD(type, k.rate), FIELD(type, k.set),                \
        FIELD(type, k.last), FIELD(type, k.overrun), FIELD_ARRAY(type, k.held),                              \
        FIELD_ARRAY(type, k.repeats), FIELD_ARRAY(type, k.breaks), FIELD_ARRAY(type, k.reserved)

#endif
