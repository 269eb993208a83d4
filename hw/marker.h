/* marker.h - an I/O port of 32 bits by which a guest marks where it is: -device tandem-marker.
 *
 * A write of 1, 2 or 4 bytes at offset 0 marks with its value; the mark's tick is the write's. The chip does
 * no more than remember the value: whoever watches the run sees the access itself, on the vCPU's side, at its
 * tick (observe/marks.h).
 *
 * Access: reads pure (the value written last, so that a guest can tell that the port is there), writes
 * posted.
 */
#ifndef TANDEM_HW_MARKER_H
#define TANDEM_HW_MARKER_H

#include "hw/chip.h"

#define MARKER_IOBASE 0x5E0 /* default port; MATCH marker_iobase */
#define MARKER_PORTS  4

struct marker {
    uint32_t value; /* written last */
};

extern const struct chip_class marker_class;

#endif
