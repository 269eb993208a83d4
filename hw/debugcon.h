/* debugcon.h - the debug console of emulators: an I/O port whose bytes go straight to the host (E9h in Bochs,
 * by whose name it is known; firmware uses 402h, too).
 *
 * Access: reads pure (they return E9h, so that a guest can tell that it is there), writes posted. */
#ifndef TANDEM_HW_DEBUGCON_H
#define TANDEM_HW_DEBUGCON_H

#include "hw/chip.h"

#include <stdbool.h>

#define DEBUGCON_IOBASE   0xE9 /* default port; MATCH debugcon_iobase */
#define DEBUGCON_READBACK 0xE9 /* what a read returns, wherever the port is */

struct debugcon {
    uint8_t byte; /* written last */
    uint8_t full; /* 1: it has not been taken yet */
};

extern const struct chip_class debugcon_class;

/* The byte that the guest has just written; false: none. To be called after every write. */
bool debugcon_take(struct debugcon *s, uint8_t *byte);

#endif
