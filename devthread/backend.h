/* backend.h - what the host puts behind a typed port (hw/port.h).
 *
 * The bus moves entries between ports and back ends and knows nothing else of either. A back end with a
 * function missing (NULL) has nothing to say there: no output is wanted, no input ever comes.
 * Threads: the holder of the baton. None of it may wait for the guest. */
#ifndef TANDEM_DEVTHREAD_BACKEND_H
#define TANDEM_DEVTHREAD_BACKEND_H

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
    /* A disk's bytes. What lies behind its end reads as zero and is not stored. */
    void (*blocks_read)(void *ctx, uint64_t offset, uint8_t *bytes, uint32_t n);
    void (*blocks_write)(void *ctx, uint64_t offset, const uint8_t *bytes, uint32_t n);
};

struct backend {
    const struct backend_class *class; /* NULL: nothing is connected */
    void *ctx;
};

#endif
