/* chardev.c - rings, escape keys and the flow of bytes; see chardev.h. How each kind opens is in
 * chardev_open.c and chardev_socket.c. */
#include "devthread/chardev_internal.h"

#include "clockcore/check.h"
#include "clockcore/clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_CHUNK    1024
#define WRITE_CHUNK   4096 /* PIPE_BUF: a pipe that polls writable takes this much without blocking */
#define WAIT_SLICE_MS 100
#define CTRL_A        1

_Static_assert(CHARDEV_STAGE_BYTES <= CHARDEV_RING_BYTES, "a full stage must fit the empty ring");

bool chardev_spec_is_none(const char *spec)
{
    return strcmp(spec, "none") == 0;
}

bool chardev_fail(const struct chardev *c, char *err, size_t err_bytes, const char *fmt, ...)
{
    char what[CHARDEV_ERR_BYTES];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    snprintf(err, err_bytes, "%s %.200s: %s", c->env.option, c->spec, what);
    return false;
}

void chardev_notice(const struct chardev *c, const char *fmt, ...)
{
    char line[CHARDEV_ERR_BYTES];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    if (c->env.notice)
        c->env.notice(c->env.ctx, line);
}

/* --- connections; all with hostio's lock held --- */

static void source_close(struct chardev *c, struct hostio_source *s)
{
    if (s->fd < 0)
        return;
    hostio_remove(c->env.hostio, s);
    if (s->fd > STDERR_FILENO)
        close(s->fd);
    s->fd = -1;
}

/* The other side is gone, or the host refuses. A server waits for the next client. */
static void disconnect(struct chardev *c)
{
    source_close(c, &c->rd);
    source_close(c, &c->wr);
    c->connected = false;
    c->out_count = 0;
    c->stalled = false;
    c->input_ended = !c->server;
    if (c->server)
        hostio_set_events(c->env.hostio, &c->listener, EPOLLIN);
    else
        hostio_input_arrived(c->env.hostio); /* the idle wait may have lost its last source */
}

static void write_error(struct chardev *c)
{
    if (!c->error[0] && errno != EPIPE && errno != ECONNRESET)
        snprintf(c->error, sizeof(c->error), "%s %.200s: %s", c->env.option, c->spec, strerror(errno));
    if (c->duplex) {
        disconnect(c);
        return;
    }
    source_close(c, &c->wr); /* stdio: input goes on without output */
    c->connected = false;
    c->out_count = 0;
}

/* --- output --- */

static bool writable_now(const struct chardev *c)
{
    struct pollfd p = {.fd = c->wr.fd, .events = POLLOUT};

    return !c->write_may_block || c->write_file || poll(&p, 1, 0) > 0;
}

/* One write of what lies together in the ring. False: the host takes no more now (or ever). */
static bool write_some(struct chardev *c)
{
    uint32_t n = CHARDEV_RING_BYTES - c->out_head;

    n = n < c->out_count ? n : c->out_count;
    n = n < WRITE_CHUNK ? n : WRITE_CHUNK;
    if (!writable_now(c))
        return false;
    ssize_t done = write(c->wr.fd, c->out + c->out_head, n);
    if (done < 0) {
        if (errno != EAGAIN && errno != EINTR)
            write_error(c);
        return done < 0 && errno == EINTR && c->connected;
    }
    c->out_head = (c->out_head + (uint32_t)done) % CHARDEV_RING_BYTES;
    c->out_count -= (uint32_t)done;
    c->stalled = false;
    return true;
}

/* With the lock: writes what the host takes, and asks to be told when it takes more. */
static void drain(struct chardev *c)
{
    while (c->out_count && write_some(c)) {
    }
    if (c->wr.fd >= 0)
        hostio_set_events(c->env.hostio, &c->wr, c->out_count ? EPOLLOUT : 0);
}

static void wr_ready(void *ctx, uint32_t events)
{
    drain(ctx);
}

/* With the lock. The oldest bytes make room where nobody reads. */
static void ring_append(struct chardev *c, const uint8_t *bytes, uint32_t n)
{
    uint32_t room = CHARDEV_RING_BYTES - c->out_count;

    if (n > room) {
        c->out_head = (c->out_head + n - room) % CHARDEV_RING_BYTES;
        c->out_count -= n - room;
    }
    for (uint32_t i = 0; i < n; i++)
        c->out[(c->out_head + c->out_count++) % CHARDEV_RING_BYTES] = bytes[i];
}

/* Waits until the ring has room for n bytes, patience runs out or the connection goes. No lock held on
 * entry; held on return. */
static void lock_with_room(struct chardev *c, uint32_t n)
{
    uint64_t start_ns = clock_realtime_ns();

    for (;;) {
        hostio_lock(c->env.hostio);
        drain(c);
        bool give_up = c->env.stopping && c->env.stopping(c->env.ctx);
        bool full = c->connected && !c->stalled && CHARDEV_RING_BYTES - c->out_count < n;
        if (!full || give_up)
            return;
        uint64_t waited_ms = (clock_realtime_ns() - start_ns) / 1000000;
        if (c->patience_ms != CHARDEV_PATIENCE_FOREVER && waited_ms >= (uint64_t)c->patience_ms) {
            c->stalled = true;
            return;
        }
        struct pollfd p = {.fd = c->wr.fd, .events = POLLOUT};
        hostio_unlock(c->env.hostio);
        poll(&p, 1, c->patience_ms < WAIT_SLICE_MS ? c->patience_ms : WAIT_SLICE_MS);
    }
}

static void hand_over(struct chardev *c)
{
    lock_with_room(c, c->staged);
    if (c->connected)
        ring_append(c, c->stage, c->staged);
    c->staged = 0;
    drain(c);
    hostio_unlock(c->env.hostio);
}

void chardev_putc(struct chardev *c, uint8_t byte)
{
    c->stage[c->staged++] = byte;
    if (c->staged == CHARDEV_STAGE_BYTES)
        hand_over(c);
}

bool chardev_dirty(const struct chardev *c)
{
    return c->staged > 0;
}

void chardev_flush(struct chardev *c)
{
    if (c->staged)
        hand_over(c);
}

/* --- input; all with hostio's lock held --- */

static const char help_text[] = "\r\nCtrl-A h       this help\r\n"
                                "Ctrl-A x       quit the emulator\r\n"
                                "Ctrl-A c       switch between console and monitor\r\n"
                                "Ctrl-A Ctrl-A  send Ctrl-A\r\n";

/* What a full pipe does not take is lost, as in any terminal. */
static void tell_monitor(struct chardev *c, uint8_t byte)
{
    ssize_t n = write(c->env.monitor_fd, &byte, 1);

    (void)n;
}

static void escape_key(struct chardev *c, uint8_t key)
{
    if (key == 'x' && c->env.quit)
        c->env.quit(c->env.ctx);
    if (key == 'c' && c->env.monitor_fd > 0) {
        c->to_monitor = !c->to_monitor;
        if (c->to_monitor)
            tell_monitor(c, '\n');
    }
    if ((key == 'h' || key == '?') && c->connected) {
        ring_append(c, (const uint8_t *)help_text, sizeof(help_text) - 1);
        drain(c);
    }
}

static void input_byte(struct chardev *c, uint8_t byte)
{
    if (c->escapes && !c->escape_seen && byte == CTRL_A) {
        c->escape_seen = true;
        return;
    }
    if (c->escape_seen && byte != CTRL_A) {
        c->escape_seen = false;
        escape_key(c, byte);
        return;
    }
    c->escape_seen = false;
    if (c->to_monitor)
        tell_monitor(c, byte);
    else if (!c->discard)
        c->in[(c->in_head + c->in_count++) % CHARDEV_INPUT_BYTES] = byte;
}

static bool readable_now(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) > 0;
}

static void input_end(struct chardev *c)
{
    if (c->duplex) {
        disconnect(c);
        return;
    }
    source_close(c, &c->rd);
    c->input_ended = true;
    hostio_input_arrived(c->env.hostio);
}

/* False: nothing more now. */
static bool read_some(struct chardev *c)
{
    uint8_t bytes[READ_CHUNK];
    uint32_t room = CHARDEV_INPUT_BYTES - c->in_count;

    if (c->rd.fd < 0 || room == 0 || !readable_now(c->rd.fd))
        return false;
    ssize_t n = read(c->rd.fd, bytes, room < READ_CHUNK ? room : READ_CHUNK);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0) {
        input_end(c);
        return false;
    }
    for (ssize_t i = 0; i < n; i++)
        input_byte(c, bytes[i]);
    return true;
}

static void rd_ready(void *ctx, uint32_t events)
{
    struct chardev *c = ctx;

    while (read_some(c)) {
    }
    if (c->in_count == CHARDEV_INPUT_BYTES)
        hostio_set_events(c->env.hostio, &c->rd, 0);
    if (c->in_count)
        hostio_input_arrived(c->env.hostio);
}

static size_t input_waiting(struct chardev *c)
{
    hostio_lock(c->env.hostio);
    size_t n = c->in_count;
    hostio_unlock(c->env.hostio);
    return n;
}

size_t chardev_input_take(struct chardev *c, uint8_t *bytes, size_t max)
{
    hostio_lock(c->env.hostio);
    size_t n = c->in_count < max ? c->in_count : max;
    for (size_t i = 0; i < n; i++)
        bytes[i] = c->in[(c->in_head + i) % CHARDEV_INPUT_BYTES];
    c->in_head = (uint32_t)((c->in_head + n) % CHARDEV_INPUT_BYTES);
    c->in_count -= (uint32_t)n;
    if (n && c->rd.fd >= 0)
        hostio_set_events(c->env.hostio, &c->rd, EPOLLIN);
    hostio_unlock(c->env.hostio);
    return n;
}

void chardev_input_discard(struct chardev *c)
{
    hostio_lock(c->env.hostio);
    c->discard = true;
    c->in_count = 0;
    hostio_unlock(c->env.hostio);
}

bool chardev_input_open(struct chardev *c)
{
    hostio_lock(c->env.hostio);
    bool open = !c->input_ended || c->in_count;
    hostio_unlock(c->env.hostio);
    return open;
}

const char *chardev_error(struct chardev *c)
{
    return c->error;
}

/* --- open and close --- */

bool chardev_attach(struct chardev *c, int fd)
{
    int wr = dup(fd); /* a descriptor of its own: the two ends are waited for separately */

    c->rd = (struct hostio_source){.fd = fd, .events = EPOLLIN, .ready = rd_ready, .ctx = c};
    c->wr = (struct hostio_source){.fd = wr, .events = 0, .ready = wr_ready, .ctx = c};
    c->connected = wr >= 0;
    c->input_ended = false;
    c->escape_seen = false;
    if (wr >= 0 && hostio_add(c->env.hostio, &c->rd) && hostio_add(c->env.hostio, &c->wr))
        return true;
    disconnect(c);
    return false;
}

static void listener_ready(void *ctx, uint32_t events)
{
    struct chardev *c = ctx;
    int fd = accept4(c->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0)
        return;
    hostio_set_events(c->env.hostio, &c->listener, 0); /* one client at a time; the next one queues up */
    chardev_attach(c, fd);
}

/* Closes the sources that are open. With hostio's lock. */
static void detach(struct chardev *c)
{
    source_close(c, &c->rd);
    source_close(c, &c->wr);
    source_close(c, &c->listener);
}

static void chardev_free(struct chardev *c)
{
    hostio_lock(c->env.hostio);
    detach(c);
    hostio_unlock(c->env.hostio);
    if (c->pty_slave_fd >= 0)
        close(c->pty_slave_fd);
    if (c->unlink_path)
        unlink(c->unlink_path);
    if (c->terminal)
        chardev_tty_restore();
    free(c->unlink_path);
    free(c->spec);
    free(c);
}

/* Registers what the opener has opened. */
static bool chardev_register(struct chardev *c)
{
    struct hostio *h = c->env.hostio;
    bool ok = true;

    hostio_lock(h);
    c->rd.ready = rd_ready;
    c->wr.ready = wr_ready;
    c->rd.ctx = c->wr.ctx = c->listener.ctx = c;
    c->listener.ready = listener_ready;
    struct hostio_source *source[] = {&c->rd, &c->wr, &c->listener};
    for (unsigned i = 0; i < 3; i++)
        if (ok && source[i]->fd >= 0 && !source[i]->registered)
            ok = hostio_add(h, source[i]);
    hostio_unlock(h);
    return ok;
}

struct chardev *chardev_open(const char *spec, const struct chardev_env *env, char *err, size_t err_bytes)
{
    struct chardev *c = calloc(1, sizeof(*c));

    if (!c || !(c->spec = strdup(spec))) {
        snprintf(err, err_bytes, "%s %.200s: out of memory", env->option, spec);
        free(c);
        return NULL;
    }
    c->env = *env;
    c->rd.fd = c->wr.fd = c->listener.fd = c->pty_slave_fd = -1;
    c->patience_ms = CHARDEV_PATIENCE_FOREVER;
    signal(SIGPIPE, SIG_IGN); /* a reader that goes away is an error code, not the end */
    bool ok = chardev_open_kind(c, err, err_bytes);
    if (ok && !chardev_register(c))
        ok =
            chardev_fail(c, err, err_bytes, "%s", errno == EEXIST ? "another port uses it" : strerror(errno));
    if (ok)
        return c;
    chardev_free(c);
    return NULL;
}

/* What is staged and in the ring goes out, as patiently as the kind has it. */
static void finish_output(struct chardev *c)
{
    c->env.stopping = NULL;
    chardev_flush(c);
    lock_with_room(c, CHARDEV_RING_BYTES);
    hostio_unlock(c->env.hostio);
}

void chardev_close(struct chardev *c)
{
    if (!c)
        return;
    finish_output(c);
    chardev_free(c);
}

/* --- as a back end --- */

static void backend_output(void *ctx, const uint8_t *entry, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++)
        chardev_putc(ctx, entry[i]);
}

static bool backend_output_waits(const void *ctx)
{
    return chardev_dirty(ctx);
}

static void backend_flush(void *ctx)
{
    chardev_flush(ctx);
}

static bool backend_input_waiting(void *ctx, uint32_t room)
{
    return room > 0 && input_waiting(ctx) > 0;
}

static uint32_t backend_input_take(void *ctx, uint8_t *entry, uint32_t room)
{
    return (uint32_t)chardev_input_take(ctx, entry, room);
}

static bool backend_input_open(void *ctx)
{
    return chardev_input_open(ctx);
}

const struct backend_class chardev_backend = {
    .output = backend_output,
    .output_waits = backend_output_waits,
    .flush = backend_flush,
    .input_waiting = backend_input_waiting,
    .input_take = backend_input_take,
    .input_open = backend_input_open,
};
