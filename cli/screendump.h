/* screendump.h - the screen of a machine in a file.
 *
 * Text (UTF-8): one line a row of characters without the blanks at its end, then one line of its size, the
 * cursor and the tick. A file whose name ends in ".json" gets the same as JSON, and the attributes; one in
 * ".png" or ".ppm" gets the picture, text or graphics. Looks, and changes nothing. */
#ifndef TANDEM_CLI_SCREENDUMP_H
#define TANDEM_CLI_SCREENDUMP_H

#include "machine/machine.h"

/* The machine stands. False: e says why. */
bool screendump_write(const struct machine *m, const char *file, struct err *e);

#endif
