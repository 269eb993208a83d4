/* backend.h - what the host puts behind a typed port (hw/port.h).
 *
 * The bus moves entries between ports and back ends and knows nothing else of either. A back end with a
 * function missing (NULL) has nothing to say there: no output is wanted, no input ever comes.
 * Threads: the holder of the baton. None of it may wait for the guest, and only blocks_finish for the host.
 */
#ifndef TANDEM_DEVTHREAD_BACKEND_H
#define TANDEM_DEVTHREAD_BACKEND_H

#include "hw/blocks.h"

#include <stdbool.h>
#include <stdint.h>

struct backend_class {
    /* Bytes of a stream, or one entry, that the chip has sent. */
    void (*output)(void *ctx, const uint8_t *entry, uint32_t bytes);
    bool (*output_waits)(const void *ctx); /* there is something for flush */
    void (*flush)(void *ctx);              /* hands over to the host, as far as it takes it without waiting */
    /* Can input_take return something, given room for `room` bytes? */
    bool (*input_waiting)(void *ctx, uint32_t room);
    /* Up to `room` bytes of a stream, or one entry of at most `room` bytes; 0: none now. */
    uint32_t (*input_take)(void *ctx, uint8_t *entry, uint32_t room);
    bool (*input_open)(void *ctx); /* more input may still come */
    /* A drive's medium (hw/blocks.h). `data`: a write's bytes, copied before it returns, else NULL. */
    void (*blocks_start)(void *ctx, const struct blocks_request *r, const uint8_t *data);
    /* Waits for the host if it is late. A read's bytes go to `data`; a request that was never started here is
     * carried out now (a read) or has happened already (a write of a loaded machine). */
    enum blocks_status (*blocks_finish)(void *ctx, const struct blocks_request *r, uint8_t *data);
};

struct backend {
    const struct backend_class *class; /* NULL: nothing is connected */
    void *ctx;
    /* Of a drive: the guest is not told of errors of these requests; what could not be read is zeroes. */
    bool ignore_read_errors, ignore_write_errors;
};

#endif
