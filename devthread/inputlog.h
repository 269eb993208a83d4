/* inputlog.h - the recording: everything from outside, with the tick at which the machine took it in.
 *
 * A text file:
 *     tandem-input-log 2
 *     shift 3
 *     rtc 1686355200
 *     image ide0-hd0 1048576,36d93d...
 *     1234567 serial0 6c730d
 *     2345678 end
 * Three header lines, one for each drive's image, then entries "tick port bytes-in-hex" in the order of
 * (tick, device, port), those of a drive before a device's others, one at most for each; ticks start at 1,
 * ports are the typed ports of the board (hw/board.h) by name. The last line says how far the run went: an
 * idle guest gets there in a replay, too; a recorder that was killed, or a person, writes none. A replayed
 * file is hostile: it is read through once when it is opened, so that every error is known, with its line,
 * before the guest starts. Format 1 is refused: its entries were shorter, and the machine that it was
 * recorded on spent its ticks differently. A recorder that was killed may leave half a line at the end: the
 * recording ends before it (inputlog_torn).
 *
 * Threads: one at a time (the holder of the baton); open and close alone.
 * Errors: open returns NULL and one line in err. While running: inputlog_error. */
#ifndef TANDEM_DEVTHREAD_INPUTLOG_H
#define TANDEM_DEVTHREAD_INPUTLOG_H

#include "hw/board.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INPUTLOG_IMAGES_BYTES 4096

struct inputlog_header {
    unsigned shift;                     /* of the recorded run: ticks mean nothing without it */
    int64_t rtc_seconds;                /* calendar at tick 0 of the recorded run */
    char images[INPUTLOG_IMAGES_BYTES]; /* a line for each drive: "ide0-hd0 WHAT\n" */
};

struct inputlog_entry {
    uint64_t tick;
    unsigned port;   /* the board's number of it */
    uint32_t nbytes; /* 1..PORT_ENTRY_BYTES */
    uint8_t bytes[PORT_ENTRY_BYTES];
};

/* How far a recording has been written or replayed. */
struct inputlog_position {
    uint64_t entries;
    uint64_t hash; /* of them */
};

struct inputlog;

/* The board gives the ports their names; it must outlive the log. */
struct inputlog *inputlog_record_open(const char *path, const struct inputlog_header *header,
                                      const struct board *board, char *err, size_t err_bytes);
/* Appends an entry; it is in the file's hands (not in a buffer of ours) when this returns. */
void inputlog_record(struct inputlog *l, uint64_t tick, unsigned port, const uint8_t *bytes, uint32_t nbytes);
/* The run ends here; nothing is appended afterwards. */
void inputlog_record_end(struct inputlog *l, uint64_t tick);

struct inputlog *inputlog_replay_open(const char *path, struct inputlog_header *header,
                                      const struct board *board, char *err, size_t err_bytes);
/* Line number of a last line without its end, which does not count; 0: the file is whole. */
uint64_t inputlog_torn(const struct inputlog *l);
/* Tick of the next entry, or of the end behind the last; TICK_NEVER: no more. */
uint64_t inputlog_next_tick(const struct inputlog *l);
/* The next entry's port; INPUTLOG_NO_PORT: there is none. */
unsigned inputlog_next_port(const struct inputlog *l);
#define INPUTLOG_NO_PORT (~0u)
/* Where the run ended, or, if that is not known, the tick of the last entry of all; 0: there is none. */
uint64_t inputlog_end_tick(const struct inputlog *l);
/* The next entry, if its tick is <= tick; valid until the next call. NULL: none; an end at tick is passed. */
const struct inputlog_entry *inputlog_take(struct inputlog *l, uint64_t tick);

const struct inputlog_position *inputlog_position(const struct inputlog *l);
/* A replay begins at `tick`, at `to` of its recording, or at its start if the recording has nothing up to
 * that tick. False: it is neither. */
bool inputlog_skip(struct inputlog *l, const struct inputlog_position *to, uint64_t tick);

/* First error while running: a full disk, a file changed under us; "": none. */
const char *inputlog_error(const struct inputlog *l);
/* NULL is fine. */
void inputlog_close(struct inputlog *l);

#endif
