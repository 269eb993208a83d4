/* tiles.c - see tiles.h. */
#include "cli/tiles.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Pixels [x, x + n) of all rows: made equal; were they? */
static bool tile_differs(uint32_t *before, const uint32_t *now, unsigned width, unsigned rows, unsigned x,
                         unsigned n)
{
    bool differs = false;
    for (unsigned row = 0; row < rows; row++) {
        const size_t at = (size_t)row * width + x;
        if (memcmp(before + at, now + at, n * sizeof *now) == 0)
            continue;
        memcpy(before + at, now + at, n * sizeof *now);
        differs = true;
    }
    return differs;
}

void tiles_compare(uint32_t *before, const uint32_t *now, unsigned width, unsigned rows, tiles_changed_fn *fn,
                   void *ctx)
{
    unsigned first = 0; /* of the run under way */
    for (unsigned x = 0, n; x < width; x += n) {
        n = width - x < TILE_WIDTH ? width - x : TILE_WIDTH;
        if (tile_differs(before, now, width, rows, x, n))
            continue;
        if (first < x)
            fn(ctx, first, x - first);
        first = x + n;
    }
    if (first < width)
        fn(ctx, first, width - first);
}
