/* display.h - a display: a thread that shows the machine's screen to people, and what they type to the
 * machine.
 *
 *     d = display_open(&option, fd, &e);      // everything that can fail for the user's sake
 *     display_start(d, machine, &e);
 *     display_close(d);                   // before machine_finish; the terminal is as it was
 *
 * Threads: these functions, but where they say otherwise, on the run's thread; a display draws, encodes and
 * talks to its clients on a thread of its own, which meets the machine in machine_screen_*, machine_key and
 * machine_pointer alone. */
#ifndef TANDEM_CLI_DISPLAY_H
#define TANDEM_CLI_DISPLAY_H

#include "cli/displayopts.h"
#include "cli/keys.h"
#include "machine/machine.h"

#include <pthread.h>

/* Somebody who watches from elsewhere, or where the display serves them. */
struct display_viewer {
    char host[64], service[16]; /* numeric; of a socket with a path both are empty */
    const char *family;         /* QMP's: "ipv4", "ipv6", "unix" */
};

enum display_moment {
    VIEWER_CONNECTED,
    VIEWER_INITIALIZED, /* it has said its name and password, and sees the screen */
    VIEWER_DISCONNECTED,
};

/* The head of each display's own struct. */
struct display {
    const struct display_class *class;
    struct machine *machine;
    const struct keymap *map; /* not owned */
    pthread_t thread;
    bool started;
    int stop_fd; /* readable: the thread is to end */
    /* Viewers come and go; the display's thread, or display_close's. NULL: nobody wants to know. */
    void (*tell)(void *ctx, enum display_moment moment, const struct display_viewer *server,
                 const struct display_viewer *viewer);
    void *tell_ctx;
};

#define DISPLAY_VIEWERS_MAX 32

struct display_class {
    void (*run)(struct display *d);   /* the thread */
    void (*close)(struct display *d); /* after the thread; frees it */
    /* Any thread. NULL: nobody ever does. */
    unsigned (*viewers)(struct display *d, struct display_viewer to[DISPLAY_VIEWERS_MAX]);
};

/* Not of DISPLAY_NONE. monitor_fd: leads to a monitor, stays the caller's (-1: none); only curses shows it.
 * NULL: e says why. */
struct display *display_open(const struct display_option *o, int monitor_fd, struct err *e);
/* map: of the keyboard; it outlives the display. */
bool display_start(struct display *d, struct machine *m, const struct keymap *map, struct err *e);
void display_close(struct display *d); /* NULL is fine */
/* Who watches at this moment; how many. Any thread; d may be NULL. */
unsigned display_viewers(struct display *d, struct display_viewer to[DISPLAY_VIEWERS_MAX]);
/* A signal ends the process: the terminal as it was. Async-signal-safe. */
void display_restore_terminal(void);

/* --- for the displays --- */
/* Is the thread to end? Waits for at most ms (-1: for good) for that, or for fd (-1: none) to be readable,
 * which *ready says. */
bool display_stopping(const struct display *d, int fd, int ms, bool *ready);

struct display *vnc_open(const struct display_option *o, struct err *e);
struct display *curses_open(int monitor_fd, struct err *e);
void curses_restore_terminal(void);

#endif
