/* i8042.h - 8042 keyboard controller with an AT keyboard and a PS/2 mouse behind it.
 *
 * Output bit 0: IRQ1 (keyboard byte ready), bit 1: IRQ12 (mouse byte ready).
 * Access: port 60h reads synchronous, port 64h reads pure, writes posted. */
#ifndef TANDEM_HW_I8042_H
#define TANDEM_HW_I8042_H

#include "hw/chip.h"
#include "hw/ps2_keyboard.h"
#include "hw/ps2_mouse.h"
#include "hw/requests.h"

#include <stdbool.h>

enum {
    I8042_OFF_DATA = 0,   /* port 60h */
    I8042_OFF_STATUS = 1, /* port 64h: reads status, writes commands */
};

/* Keys by their set 1 code, 01h..7Fh; keys with an E0 prefix have I8042_KEY_E0 added. */
#define I8042_KEY_E0    PS2_KEY_E0
#define I8042_KEY_PAUSE PS2_KEY_PAUSE /* sends its whole sequence on the way down, nothing on the way up */

struct i8042 {
    struct ps2_keyboard kbd;
    struct ps2_mouse mouse;
    uint64_t reply_due_ns; /* the controller's own reply is ready; NS_NEVER: no reply */
    uint64_t obf_free_ns;  /* earliest time for the next byte in the output buffer */
    uint8_t ram[32];       /* [0] configuration byte */
    uint8_t reply;         /* the controller's own reply */
    uint8_t reply_aux;     /* 1: it looks like a byte from the mouse (command D3h) */
    uint8_t obf;           /* 1: output buffer full */
    uint8_t obf_data;      /* last byte in the output buffer */
    uint8_t obf_aux;       /* 1: that byte is the mouse's */
    uint8_t last_command;  /* 1: the last write went to port 64h (status bit 3) */
    uint8_t command;       /* controller command that waits for its data byte; 0: none */
    uint8_t outport;       /* output port: bit 0 not-reset, bit 1 A20 */
    uint8_t break_prefix;  /* 1: translation has seen F0h */
    uint8_t request;       /* enum hw_request bits */
    uint8_t reserved[6];   /* always 0 */
};

extern const struct chip_class i8042_class;

/* enum hw_request bits since the last call. */
uint32_t i8042_take_request(struct i8042 *s);
/* A20 gate as the output port has it. */
bool i8042_a20(const struct i8042 *s);
/* Key goes down or up; false: dropped: no such key, scanning off or no room. */
bool i8042_key(struct i8042 *s, unsigned key, bool down, uint64_t now_ns);
void i8042_motion(struct i8042 *s, struct port_motion motion, uint64_t now_ns);
/* When the next of them may come, absolute virtual ns. */
uint64_t i8042_key_ready_ns(const struct i8042 *s);
uint64_t i8042_motion_ready_ns(const struct i8042 *s);

#endif
