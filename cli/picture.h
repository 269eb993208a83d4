/* picture.h - pixels in a file: PNG (libpng) or PPM (P6). */
#ifndef TANDEM_CLI_PICTURE_H
#define TANDEM_CLI_PICTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Rows of 0x00RRGGBB, without gaps. False: not all could be written. */
bool picture_png(FILE *f, const uint32_t *pixels, unsigned width, unsigned height);
bool picture_ppm(FILE *f, const uint32_t *pixels, unsigned width, unsigned height);

#endif
