/* tiles.h - which parts of a picture have changed: compared tile by tile with the picture before.
 *
 * Threads: any. Memory: the caller's. */
#ifndef TANDEM_CLI_TILES_H
#define TANDEM_CLI_TILES_H

#include <stdint.h>

#define TILE_WIDTH 64 /* pixels */
#define TILE_ROWS  16

/* Pixels [x, x + width) of the rows at hand have changed. */
typedef void tiles_changed_fn(void *ctx, unsigned x, unsigned width);

/* `before` and `now`: at most TILE_ROWS rows of `width` pixels, one behind the other. Calls back for each run
 * of tiles that differ, from left to right, and makes `before` equal to `now`. */
void tiles_compare(uint32_t *before, const uint32_t *now, unsigned width, unsigned rows, tiles_changed_fn *fn,
                   void *ctx);

#endif
