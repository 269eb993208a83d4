/* screendump.h - the screen of a machine in a file.
 *
 * Text (UTF-8): one line a row of characters without the blanks at its end, then one line of its size, the
 * cursor and the tick. A file whose name ends in ".json" gets the same as JSON, and the attributes; one in
 * ".png" or ".ppm" gets the picture, text or graphics. Looks, and changes nothing. */
#ifndef TANDEM_CLI_SCREENDUMP_H
#define TANDEM_CLI_SCREENDUMP_H

#include "machine/machine.h"

enum screendump_format {
    SCREENDUMP_BY_NAME,        /* text where the name's end says nothing else */
    SCREENDUMP_BY_NAME_OR_PPM, /* as QEMU's: PPM where it does */
    SCREENDUMP_PNG,
    SCREENDUMP_PPM,
};

/* The machine stands. False: e says why. */
bool screendump_write(const struct machine *m, const char *file, enum screendump_format format,
                      struct err *e);

#endif
