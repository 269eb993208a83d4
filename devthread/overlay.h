/* overlay.h - a private copy of a medium, of those sectors that were written: the medium stays as it is.
 *
 * Sectors are in a sparse file without a name, each at the offset that it has on the medium; a map says
 * which. What could not be written there is bad: reading it fails until it is written again. So what a read
 * finds follows from the writes before it and from statuses, which are recorded.
 *
 * Two sides: the map is the owner's, who gives each request the part of it that the request needs (a slice),
 * in the order of requests. Reading and writing use that slice alone, on any thread.
 * Threads: overlay_read, _write and _zero any, over different sectors; the others the owner (the holder of
 * the baton). Memory: a bit or two a sector, in pages that are there once they are touched. */
#ifndef TANDEM_DEVTHREAD_OVERLAY_H
#define TANDEM_DEVTHREAD_OVERLAY_H

#include "devthread/medium.h"

/* Sectors of a request of at most 1 MiB that begins and ends inside of a sector. MATCH BLOCKS_BYTES_MAX */
#define OVERLAY_SLICE_SECTORS 2050u /* that a request of 1 MiB may touch */
#define OVERLAY_SLICE_WORDS   ((OVERLAY_SLICE_SECTORS + 63) / 64)

struct overlay;

/* NULL with errno. `m` is read where nothing has been written, and outlives the overlay. */
struct overlay *overlay_create(struct medium *m);
/* NULL is fine. */
void overlay_destroy(struct overlay *o);

/* --- the owner --- */
/* Bit n: sector first + n is in the overlay. False: one of them is bad. */
bool overlay_slice(const struct overlay *o, uint64_t first, uint64_t sectors,
                   uint64_t slice[OVERLAY_SLICE_WORDS]);
/* They are in the overlay from now on. */
void overlay_mark(struct overlay *o, uint64_t first, uint64_t sectors);
void overlay_set_bad(struct overlay *o, uint64_t first, uint64_t sectors, bool bad);
/* The next run of sectors in the overlay from `from` on, `max` at most, all bad or none. 0: no more. */
uint64_t overlay_next(const struct overlay *o, uint64_t from, uint64_t max, uint64_t *first, bool *bad);

/* --- any thread: 0 or an errno --- */
int overlay_read(struct overlay *o, const uint64_t *slice, uint64_t offset, uint8_t *to, uint32_t bytes);
/* The same, if the host has the bytes in memory; else EAGAIN, at once. The owner. */
int overlay_read_now(struct overlay *o, const uint64_t *slice, uint64_t offset, uint8_t *to, uint32_t bytes);
/* The slice is as before overlay_mark. */
int overlay_write(struct overlay *o, const uint64_t *slice, uint64_t offset, const uint8_t *from,
                  uint32_t bytes);
/* Whole sectors. */
int overlay_zero(struct overlay *o, uint64_t offset, uint64_t bytes);

#endif
