/* busblocks.h - drives as chips see them (hw/blocks.h), in front of back ends and the input log.
 *
 * One call of a chip's `master` is bracketed by busblocks_begin and _end. What the requests that finish in
 * between came to is one entry of the recording if any of them failed: a byte each, enum blocks_status, by
 * the drive's typed port. A replay takes the entry instead of what the host says.
 * Threads: the holder of the baton. */
#ifndef TANDEM_DEVTHREAD_BUSBLOCKS_H
#define TANDEM_DEVTHREAD_BUSBLOCKS_H

#include "hw/blocks.h"
#include "hw/board.h"

#include <stdbool.h>
#include <stdint.h>

/* Requests of a drive that one call of `master` may finish; later ones are BLOCKS_OK. */
#define BUSBLOCKS_FINISHED_MAX 256

struct bus;

struct busblocks {
    struct chip_blocks ops; /* what the chip gets; ctx: the bus */
    uint8_t *buffer;        /* BLOCKS_BYTES_MAX, for all drives; NULL: the board has no drive */
    unsigned dev;           /* whose call it is */
    uint64_t tick;
    struct busblocks_statuses {
        uint32_t n; /* requests that have finished in this call */
        bool failed;
        uint8_t status[BUSBLOCKS_FINISHED_MAX];
    } port[BOARD_PORTS_MAX];
};

/* At start-up. False: no memory. */
bool busblocks_init(struct bus *b);
void busblocks_fini(struct bus *b);
/* Before and after device dev's `master` at `tick`; NULL: it has no drives. */
const struct chip_blocks *busblocks_begin(struct bus *b, unsigned dev, uint64_t tick);
void busblocks_end(struct bus *b);

#endif
