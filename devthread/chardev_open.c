/* chardev_open.c - specification to open descriptors, for every kind but sockets. */
#include "devthread/chardev_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define PTY_PATIENCE_MS 100 /* whether somebody has the slave open cannot be told: hold up once, briefly */

#define ACCEPTED                                                                                             \
    "accepted: stdio, mon:stdio, file:PATH, null, none, pty, unix:PATH[,server][,wait=on|off], "             \
    "tcp:HOST:PORT[,server][,wait=on|off]"

/* The terminal through a descriptor of our own, so that O_NONBLOCK does not reach the shell's. */
static int reopen_terminal(int fd)
{
    char name[256];

    return ttyname_r(fd, name, sizeof(name)) == 0 ? open(name, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)
                                                  : -1;
}

static bool is_plain_file(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static bool open_stdio(struct chardev *c, bool escapes, char *err, size_t err_bytes)
{
    int tty_out = reopen_terminal(STDOUT_FILENO);

    c->escapes = escapes;
    c->rd.fd = STDIN_FILENO;
    c->rd.events = EPOLLIN;
    c->wr.fd = tty_out >= 0 ? tty_out : STDOUT_FILENO;
    c->write_may_block = tty_out < 0;
    c->write_file = is_plain_file(c->wr.fd);
    c->connected = true;
    if (fcntl(STDIN_FILENO, F_GETFD) < 0) {
        c->rd.fd = -1; /* started without standard input: that is its end */
        c->input_ended = true;
    } else if (isatty(STDIN_FILENO)) {
        if (!chardev_tty_raw(STDIN_FILENO, !escapes))
            return chardev_fail(c, err, err_bytes, "terminal: %s", strerror(errno));
        c->terminal = true;
    }
    return true;
}

static bool open_file(struct chardev *c, const char *path, char *err, size_t err_bytes)
{
    if (!*path)
        return chardev_fail(c, err, err_bytes, "a path is missing (accepted: file:PATH)");
    c->wr.fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (c->wr.fd < 0)
        return chardev_fail(c, err, err_bytes, "%s", strerror(errno));
    c->write_may_block = true;
    c->write_file = is_plain_file(c->wr.fd);
    c->connected = true;
    c->input_ended = true;
    return true;
}

static bool open_null(struct chardev *c)
{
    c->input_ended = true;
    return true;
}

/* The slave starts raw: otherwise it would echo the guest's output back as input. */
static int open_slave(const char *name)
{
    int fd = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios t;

    if (fd < 0 || tcgetattr(fd, &t) != 0)
        return fd;
    cfmakeraw(&t);
    tcsetattr(fd, TCSANOW, &t);
    return fd;
}

static bool open_pty(struct chardev *c, char *err, size_t err_bytes)
{
    char name[128];
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

    if (fd < 0)
        return chardev_fail(c, err, err_bytes, "%s", strerror(errno));
    bool ok = grantpt(fd) == 0 && unlockpt(fd) == 0 && ptsname_r(fd, name, sizeof(name)) == 0 &&
              fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) == 0 && (c->pty_slave_fd = open_slave(name)) >= 0;
    if (!ok) {
        int saved = errno;
        close(fd);
        return chardev_fail(c, err, err_bytes, "%s", strerror(saved));
    }
    c->duplex = true;
    c->patience_ms = PTY_PATIENCE_MS;
    hostio_lock(c->env.hostio);
    ok = chardev_attach(c, fd);
    hostio_unlock(c->env.hostio);
    if (!ok)
        return chardev_fail(c, err, err_bytes, "%s", strerror(errno));
    chardev_notice(c, "char device redirected to %s (%s)", name, c->env.label);
    return true;
}

bool chardev_open_kind(struct chardev *c, char *err, size_t err_bytes)
{
    const char *s = c->spec;

    if (strcmp(s, "stdio") == 0 || strcmp(s, "mon:stdio") == 0)
        return open_stdio(c, s[0] == 'm', err, err_bytes);
    if (strncmp(s, "file:", 5) == 0)
        return open_file(c, s + 5, err, err_bytes);
    if (strcmp(s, "null") == 0)
        return open_null(c);
    if (strcmp(s, "pty") == 0)
        return open_pty(c, err, err_bytes);
    if (strncmp(s, "unix:", 5) == 0)
        return chardev_open_socket(c, false, s + 5, err, err_bytes);
    if (strncmp(s, "tcp:", 4) == 0)
        return chardev_open_socket(c, true, s + 4, err, err_bytes);
    return chardev_fail(c, err, err_bytes, "unknown back end (" ACCEPTED ")");
}
