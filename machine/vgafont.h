/* vgafont.h - the text font of a VGA BIOS, for kernels that are started without one (-kernel).
 *
 * The font is taken out of the ROM file that is installed with the firmware; none comes with Tandem. Nothing
 * says where in the file it is, so it is recognized by what every font of code page 437 has: blanks and
 * blocks. */
#ifndef TANDEM_MACHINE_VGAFONT_H
#define TANDEM_MACHINE_VGAFONT_H

#include "machine/image.h"

#include <stdbool.h>
#include <stdint.h>

#define VGAFONT_LINES 16 /* of a character, a byte each */
#define VGAFONT_BYTES (256 * VGAFONT_LINES)

/* In the ROM's bytes; NULL: there is none. */
const uint8_t *vgafont_find(const struct image *rom);

#endif
