/* backend.h - what stands behind a typed port (hw/port.h): the host, or a computed back end.
 *
 * The bus moves entries between ports and back ends and knows nothing else of either. A back end with a
 * function missing (NULL) has nothing to say there: no output is wanted, no input ever comes.
 * A computed back end (a network without a way out) is part of the machine instead: what it sends follows
 * from what it was sent and when, so nothing of it is recorded, and its state is in snapshots and digests.
 * Threads: the holder of the baton. None of it may wait for the guest, and only blocks_finish for the host.
 */
#ifndef TANDEM_DEVTHREAD_BACKEND_H
#define TANDEM_DEVTHREAD_BACKEND_H

#include "clockcore/fields.h"
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
    bool (*input_open)(void *ctx);            /* more input may still come */
    void (*step)(void *ctx, uint64_t now_ns); /* virtual time has come to now_ns; NULL: nobody asks */
    /* A drive's medium (hw/blocks.h). `data`: a write's bytes, copied before it returns, else NULL. */
    void (*blocks_start)(void *ctx, const struct blocks_request *r, const uint8_t *data);
    /* Waits for the host if it is late. A read's bytes go to `data`; a request that was never started here is
     * carried out now (a read) or has happened already (a write of a loaded machine). */
    enum blocks_status (*blocks_finish)(void *ctx, const struct blocks_request *r, uint8_t *data);
};

struct backend_computed {
    void (*output)(void *ctx, const uint8_t *entry, uint32_t bytes, uint64_t now_ns);
    /* When the next entry reaches the port, absolute virtual ns, later than any output so far by
     * BACKEND_COMPUTED_NS at least; NS_NEVER: there is none. */
    uint64_t (*next_ns)(const void *ctx);
    uint32_t (*take)(void *ctx, uint8_t *entry); /* that entry: PORT_ENTRY_BYTES at most */
    void (*part)(void *ctx, struct state_part *out);
    /* The part has been loaded. False: it has a value that it cannot have. */
    bool (*loaded)(void *ctx);
};
#define BACKEND_COMPUTED_NS 1024 /* the longest tick: an answer comes at a later one than its question */

/* What becomes of an error of the host (-drive werror=, rerror=). Waiting is the drive's own (blocks.h). */
enum backend_error {
    BACKEND_REPORT,  /* the guest is told */
    BACKEND_IGNORE,  /* it is not; what could not be read is zeroes */
    BACKEND_WAIT,    /* the guest waits while it is tried again */
    BACKEND_NOSPACE, /* likewise where the host's disk is full, else it is told */
};

struct backend {
    const struct backend_class *class;       /* NULL: nothing is connected, or something computed */
    const struct backend_computed *computed; /* NULL: none */
    void *ctx;
    /* Of a drive: the guest is not told of errors of these requests; what could not be read is zeroes. */
    bool ignore_read_errors, ignore_write_errors;
};

#endif
