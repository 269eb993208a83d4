/* bootorder.h - which devices firmware boots from: the letters of -boot, and paths of devices in the form of
 * Open Firmware, as SeaBIOS reads them in the file "bootorder".
 *
 * Threads: pure functions. Memory: writes only into the caller's buffers. */
#ifndef TANDEM_MACHINE_BOOTORDER_H
#define TANDEM_MACHINE_BOOTORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BOOTORDER_LETTERS    3
#define BOOTORDER_DEFAULT    "cad"
#define BOOTORDER_PATH_BYTES 80

struct machine_drive;

/* The nibbles of CMOS 3Dh and, the third one, 38h (bits 8 to 15) for up to three letters of a, b, c, d, n,
 * none twice. False: they are others. */
bool bootorder_flags(const char *letters, uint16_t *flags);
/* Path of the drive behind a typed port; false: it has none. */
bool bootorder_path(unsigned port, char path[BOOTORDER_PATH_BYTES]);
/* Text of the file: the ROM of -kernel, drives that have a boot index, by that; strict: nothing else is
 * tried. Its bytes with the NUL; 0: it would say nothing. */
size_t bootorder_file(const struct machine_drive *drive, unsigned n, bool kernel, bool strict, char *text,
                      size_t max);

#endif
