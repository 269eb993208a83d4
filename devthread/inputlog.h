/* inputlog.h - the recording: everything from outside, with the tick at which the machine took it in.
 *
 * A text file:
 *     tandem-input-log 1
 *     shift 3
 *     rtc 1686355200
 *     1234567 serial0 6c730d
 * Three header lines, then entries "tick source bytes-in-hex" in the order of (tick, source), one at
 * most for each pair; ticks start at 1. A replayed file is hostile: it is read through once when it is
 * opened, so that every error is known, with its line, before the guest starts.
 *
 * Threads: one at a time (the holder of the baton); open and close alone.
 * Errors: open returns NULL and one line in err. While running: inputlog_error. */
#ifndef TANDEM_DEVTHREAD_INPUTLOG_H
#define TANDEM_DEVTHREAD_INPUTLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INPUTLOG_ENTRY_BYTES 1024 /* most bytes of one entry */

enum input_source {
    INPUT_SERIAL0,
    INPUT_SERIAL1,
    INPUT_SERIAL2,
    INPUT_SERIAL3,
    INPUT_SOURCES,
};

struct inputlog_header {
    unsigned shift;      /* of the recorded run: ticks mean nothing without it */
    int64_t rtc_seconds; /* calendar at tick 0 of the recorded run */
};

struct inputlog_entry {
    uint64_t tick;
    enum input_source source;
    uint32_t nbytes; /* 1..INPUTLOG_ENTRY_BYTES */
    uint8_t bytes[INPUTLOG_ENTRY_BYTES];
};

struct inputlog;

struct inputlog *inputlog_record_open(const char *path, const struct inputlog_header *header, char *err,
                                      size_t err_bytes);
/* Appends an entry; it is in the file's hands (not in a buffer of ours) when this returns. */
void inputlog_record(struct inputlog *l, uint64_t tick, enum input_source source, const uint8_t *bytes,
                     uint32_t nbytes);

struct inputlog *inputlog_replay_open(const char *path, struct inputlog_header *header, char *err,
                                      size_t err_bytes);
/* Tick of the next entry; TICK_NEVER: no more. */
uint64_t inputlog_next_tick(const struct inputlog *l);
/* Its source; meaningless if there is none. */
enum input_source inputlog_next_source(const struct inputlog *l);
/* The next entry, if its tick is <= tick; valid until the next call. NULL: none. */
const struct inputlog_entry *inputlog_take(struct inputlog *l, uint64_t tick);

/* First error while running: a full disk, a file changed under us; "": none. */
const char *inputlog_error(const struct inputlog *l);
/* NULL is fine. */
void inputlog_close(struct inputlog *l);

#endif
