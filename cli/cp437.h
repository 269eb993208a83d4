/* cp437.h - code page 437, which a VGA's own font has, in its graphic form: 01h to 1Fh and 7Fh are pictures
 * too.
 *
 * Threads: any. */
#ifndef TANDEM_CLI_CP437_H
#define TANDEM_CLI_CP437_H

#include <stdint.h>

/* In Unicode, always below 10000h. 0 and 255 are blank. */
uint16_t cp437_unicode(uint8_t c);

#endif
