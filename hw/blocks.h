/* blocks.h - how a chip uses the media of its drives: typed ports of kind PORT_BLOCKS.
 *
 * A chip with drives has a `master` hook (chip.h), and there alone it calls the functions of struct
 * chip_blocks. A request has two moments, each in a call of `master` of its own as a rule:
 *
 *   start    at the tick at which the drive begins. The host starts its I/O at once, on other threads.
 *            What a write or a discard changes is on the medium from here on, for every request that starts
 * or finishes later. finish   at the tick at which the drive is done, which the chip computes from the
 * request alone (drive.h). The guest waits here if the host is late; it never sees when the host was done.
 * What a read finds is the medium as it is at this tick; its start is only a hint to fetch early.
 *
 * So nothing of a request is lost when a chip forgets one between the two (a reset): a write has happened, a
 * read has not. And nothing but the chip's own state says what is under way: a loaded chip finishes requests
 * that this process never started.
 *
 * Status is input: what the host could not do is stamped with the tick of `finish`, recorded, and replayed
 * without the fault. A request that reaches beyond the medium's end is the chip's to refuse; here it is
 * BLOCKS_IO_ERROR.
 * Threads: the holder of the baton, inside `master`. Guest-controlled values: any offset and any number of
 * bytes up to BLOCKS_BYTES_MAX is defined. */
#ifndef TANDEM_HW_BLOCKS_H
#define TANDEM_HW_BLOCKS_H

#include <stdint.h>

#define BLOCKS_BYTES_MAX (1u << 20) /* of one request; a longer command is several requests */

enum blocks_op {
    BLOCKS_READ,
    BLOCKS_WRITE,
    BLOCKS_FLUSH,   /* all writes that have started are safe from a loss of power; offset, bytes: 0 */
    BLOCKS_DISCARD, /* the contents may be forgotten: they read as zeroes */
};

enum blocks_status {
    BLOCKS_OK,
    BLOCKS_IO_ERROR, /* the host could not read or write: a drive's uncorrectable error */
    BLOCKS_NO_SPACE, /* the host's disk is full */
};

struct blocks_request {
    uint64_t offset; /* on the medium, bytes */
    uint32_t bytes;  /* at most BLOCKS_BYTES_MAX; of BLOCKS_DISCARD any number */
    uint16_t tag;    /* the chip's, to tell its requests apart; one that starts again is a new request */
    uint8_t op;      /* enum blocks_op */
    uint8_t fua;     /* BLOCKS_WRITE: 1: finished only when safe from a loss of power */
};

struct chip_blocks {
    void *ctx;
    /* Room for BLOCKS_BYTES_MAX bytes of a write, filled by the chip before `start`. Valid until `start` or
     * the end of the call. `drive`: the device's typed ports of kind PORT_BLOCKS are numbered from 0 in the
     * order of the board; one that is not there (no port, nothing connected) reads as zeroes and takes
     * everything. */
    uint8_t *(*buffer)(void *ctx, unsigned drive);
    void (*start)(void *ctx, unsigned drive, const struct blocks_request *r);
    /* Status of a request; of a read also its r->bytes bytes at *data, valid until the next call of any of
     * these functions. They are zeroes where the status is not BLOCKS_OK. `data` may be NULL for other
     * requests. */
    enum blocks_status (*finish)(void *ctx, unsigned drive, const struct blocks_request *r,
                                 const uint8_t **data);
};

#endif
