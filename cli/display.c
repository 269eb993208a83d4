/* display.c - see display.h. */
#include "cli/display.h"

#include "cli/quietthread.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct display *display_open(const struct display_option *o, int monitor_fd, struct err *e)
{
    struct display *d = NULL;
    if (o->kind == DISPLAY_VNC)
        d = vnc_open(o, e);
    if (o->kind == DISPLAY_CURSES)
        d = curses_open(monitor_fd, e);
    if (!d)
        return NULL;
    d->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (d->stop_fd >= 0)
        return d;
    err_set(e, "-display: %s", strerror(errno));
    display_close(d);
    return NULL;
}

static void *thread_main(void *arg)
{
    struct display *d = arg;
    pthread_setname_np(pthread_self(), "tandem-display");
    d->class->run(d);
    return NULL;
}

bool display_start(struct display *d, struct machine *m, const struct keymap *map, struct err *e)
{
    d->machine = m;
    d->map = map;
    const int rc = quietthread_start(&d->thread, thread_main, d);
    d->started = rc == 0;
    return d->started || err_set(e, "-display: %s", strerror(rc));
}

void display_close(struct display *d)
{
    const uint64_t one = 1;
    if (!d)
        return;
    if (d->started) {
        ssize_t n = write(d->stop_fd, &one, sizeof one);
        (void)n;
        pthread_join(d->thread, NULL);
    }
    if (d->stop_fd >= 0)
        close(d->stop_fd);
    d->class->close(d);
}

unsigned display_viewers(struct display *d, struct display_viewer to[DISPLAY_VIEWERS_MAX])
{
    return d && d->class->viewers ? d->class->viewers(d, to) : 0;
}

bool display_stopping(const struct display *d, int fd, int ms, bool *ready)
{
    struct pollfd p[2] = {{.fd = d->stop_fd, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    poll(p, 2, ms);
    *ready = p[1].revents != 0;
    return p[0].revents != 0;
}

void display_restore_terminal(void)
{
    curses_restore_terminal();
}
