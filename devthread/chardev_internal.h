/* chardev_internal.h - a back end once it is open, for chardev*.c only.
 *
 * Every kind comes down to at most three descriptors: one to read, one to write, one that listens.
 * The kinds differ in how those are opened (chardev_open.c, chardev_socket.c) and in `patience_ms`. */
#ifndef TANDEM_DEVTHREAD_CHARDEV_INTERNAL_H
#define TANDEM_DEVTHREAD_CHARDEV_INTERNAL_H

#include "devthread/chardev.h"
#include "devthread/hostio.h"

#include <limits.h>

#define CHARDEV_PATIENCE_FOREVER INT_MAX

struct chardev {
    struct chardev_env env; /* constant after open */
    char *spec;             /* as given, for messages */
    char *unlink_path;      /* unix server: removed at close; NULL: none */
    bool terminal;          /* stdin is a terminal in raw mode */
    bool escapes;           /* Ctrl-A keys are ours */
    bool duplex;            /* both ends come and go together: sockets, pty */
    bool server;            /* accepts a new client when one leaves */
    bool write_may_block;   /* a descriptor shared with others, hence not O_NONBLOCK: poll first */
    bool write_file;        /* a plain file: always writable */
    int patience_ms;        /* how long a full ring holds the caller up */
    int pty_slave_fd;       /* held open, so that the master never sees a hang-up; -1: none */

    /* --- owned by the holder of the baton --- */
    uint32_t staged;                    /* bytes in stage[] */
    uint8_t stage[CHARDEV_STAGE_BYTES]; /* output not handed over yet */

    /* --- under hostio's lock --- */
    struct hostio_source rd, wr, listener; /* fd -1: none */
    bool connected;                        /* output has somewhere to go */
    bool input_ended;                      /* end of file, and nobody can come again */
    bool discard;                          /* input is thrown away */
    bool stalled;                          /* patience ran out: output is lost until a write succeeds */
    bool escape_seen;                      /* Ctrl-A was the last key */
    bool to_monitor;                       /* what is typed is the monitor's */
    uint32_t out_head, out_count;
    uint32_t in_head, in_count;
    char error[CHARDEV_ERR_BYTES]; /* first write error */
    uint8_t out[CHARDEV_RING_BYTES];
    uint8_t in[CHARDEV_INPUT_BYTES];
};

/* False after writing "OPTION SPEC: what" to err. Always false, so that callers may return it. */
bool chardev_fail(const struct chardev *c, char *err, size_t err_bytes, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void chardev_notice(const struct chardev *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A client's descriptor (non-blocking) becomes both ends. With hostio's lock. False: no resources. */
bool chardev_attach(struct chardev *c, int fd);

/* Openers: set the descriptors and flags of a fresh chardev; false: err is filled. */
bool chardev_open_kind(struct chardev *c, char *err, size_t err_bytes);
bool chardev_open_socket(struct chardev *c, bool tcp, const char *address, char *err, size_t err_bytes);

#endif
