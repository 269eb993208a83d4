/* chardev.h - character back ends of byte streams: where a guest's bytes go to and come from.
 *
 * Specifications, as in QEMU's -serial:
 *   stdio                  the terminal, raw; Ctrl-C still ends the emulator; no escape keys
 *   mon:stdio              the same with escape keys (what -nographic means), Ctrl-C goes to the guest:
 *                          Ctrl-A x quits, Ctrl-A c switches to the monitor and back, Ctrl-A h helps,
 *                          Ctrl-A Ctrl-A is one Ctrl-A
 *   file:PATH              output only, truncated at start
 *   null                   output vanishes, no input
 *   none                   no port at all (chardev_spec_is_none)
 *   pty                    a pseudo-terminal; its name is told through the notice hook
 *   unix:PATH[,server[=on|off]][,wait[=on|off]][,nowait]
 *   tcp:HOST:PORT[,...]    the same options; an empty HOST is every address
 *
 * Output: bytes are collected by the holder of the baton and handed over in bulk; up to
 * CHARDEV_RING_BYTES wait for a slow reader. When that is full, files, pipes and terminals hold the caller
 * up (nothing is lost); a pty or socket holds it up for a moment only, and then loses bytes until somebody
 * reads again. Without a client a socket's output is dropped at once.
 * Input: up to CHARDEV_INPUT_BYTES wait here for the device side; the rest stays with the kernel, so that
 * a script piped in is read as fast as the guest takes it, and nothing is lost. EOF only ends the input.
 *
 * Threads: open and close while nothing else uses the chardev or its hostio; chardev_putc,
 * chardev_flush and chardev_input_* by the holder of the baton. The rest happens inside hostio.
 * Errors: open fails with one line that names the specification and says what is accepted. */
#ifndef TANDEM_DEVTHREAD_CHARDEV_H
#define TANDEM_DEVTHREAD_CHARDEV_H

#include "devthread/backend.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHARDEV_STAGE_BYTES 4096  /* collected before a hand-over */
#define CHARDEV_RING_BYTES  65536 /* output that waits for the host */
#define CHARDEV_INPUT_BYTES 4096  /* input that waits for the guest */
#define CHARDEV_ERR_BYTES   512

struct chardev;
struct hostio;

struct chardev_env {
    struct hostio *hostio;
    const char *label;  /* "serial0": for messages; static or outliving the chardev */
    const char *option; /* "-serial": likewise */
    /* One line for the user ("char device redirected to /dev/pts/3 (serial0)"); NULL: dropped. */
    void (*notice)(void *ctx, const char *line);
    void (*quit)(void *ctx); /* Ctrl-A x; any thread, under hostio's lock; NULL: ignored */
    int monitor_fd;          /* gets a line feed at each Ctrl-A c to the monitor, and what is typed for it;
                                never blocks; 0: none */
    bool (*stopping)(void *ctx); /* the run is being ended: hold nobody up; NULL: never */
    void *ctx;
};

/* True for "none": the port is not fitted, and there is nothing to open. */
bool chardev_spec_is_none(const char *spec);
/* NULL: err (CHARDEV_ERR_BYTES or shorter) says why. May block for a client (server with wait=on). */
struct chardev *chardev_open(const char *spec, const struct chardev_env *env, char *err, size_t err_bytes);
/* Writes out what is left (waiting for a slow reader as the rules above have it), restores the terminal. */
void chardev_close(struct chardev *c);

/* A chardev as the back end of a typed port of kind PORT_BYTES; ctx: the chardev. */
extern const struct backend_class chardev_backend;

/* --- holder of the baton --- */
void chardev_putc(struct chardev *c, uint8_t byte);
/* Bytes are waiting for chardev_flush. */
bool chardev_dirty(const struct chardev *c);
/* Hands everything collected to the host, as far as it takes it without waiting. */
void chardev_flush(struct chardev *c);
/* Takes up to `max` bytes from outside; returns how many there were. */
size_t chardev_input_take(struct chardev *c, uint8_t *bytes, size_t max);
/* Throws input away from now on (replay: it comes from the log); escape keys still work. */
void chardev_input_discard(struct chardev *c);
/* More input may still come: not at end of file, and not an output-only back end. */
bool chardev_input_open(struct chardev *c);
/* First write error of the host since open ("file:x: No space left on device"); "": none. */
const char *chardev_error(struct chardev *c);

/* --- the terminal, one per process --- */
/* Raw mode on `fd`, undone by chardev_tty_restore and on every way out of the process. `signals`: Ctrl-C and
 * its kin stay signals. False with errno. */
bool chardev_tty_raw(int fd, bool signals);
/* Puts a raw terminal back as it was; harmless otherwise. Async-signal-safe. */
void chardev_tty_restore(void);

#endif
