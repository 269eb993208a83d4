/* i8237.h - the two 8237A DMA controllers of a PC with their page registers, as the PIIX3 has them (Intel
 * 82371SB data sheet, order 290550, "DMA"; 8237A data sheet, order 231466).
 *
 * Access: reads of address, count and status synchronous, of the rest and of page registers pure; writes
 * posted. Offsets: 00-0F are ports 00h-0Fh, 20-3F ports C0h-DFh, 40-4F ports 80h-8Fh.
 * A device's DREQ is a call of i8237_transfer, from the board, for the device's `master` (chip.h). */
#ifndef TANDEM_HW_I8237_H
#define TANDEM_HW_I8237_H

#include "hw/chip.h"

#include <stdbool.h>

#define I8237_CHANNELS 8

enum {
    I8237_OFF_LOW = 0x00,  /* channels 0 to 3: bytes */
    I8237_OFF_HIGH = 0x20, /* channels 4 to 7: words; channel 4 cascades the others */
    I8237_OFF_PAGE = 0x40,
};

struct i8237_channel {
    uint16_t base_address, base_count, address, count;
    uint8_t mode;     /* mode register, bits 2 to 7 */
    uint8_t reserved; /* always 0 */
};

struct i8237 {
    struct i8237_channel ch[I8237_CHANNELS];
    uint8_t page[16];     /* by port less 80h; port 80h is pcmisc.h's */
    uint8_t command[2];   /* of each controller */
    uint8_t mask[2];      /* bit n: requests of its channel n are masked */
    uint8_t done[2];      /* terminal count since the status was read */
    uint8_t request[2];   /* software requests */
    uint8_t high_byte[2]; /* byte pointer flip-flop; 1: the next byte of a 16-bit register is the high one */
};

extern const struct chip_class i8237_class; /* after a reset as firmware leaves it: 0 to 3 cascaded */
extern const struct chip_class i8237_firmware_class; /* after a reset as firmware finds it */

/* The device at a channel asks for `bytes` to be moved: from `data` to memory, or the other way. Returns how
 * many were, fewer if the channel is masked or its count ends; *tc: it ended, with the last byte moved.
 * memory: NULL if there is none. */
uint32_t i8237_transfer(struct i8237 *s, const struct mem_master *memory, unsigned channel, bool to_memory,
                        uint8_t *data, uint32_t bytes, bool *tc);

#endif
