/* chardev_socket.c - unix: and tcp: back ends: address and options, listen or connect. */
#include "devthread/chardev_internal.h"
#include "devthread/socketspec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define SOCKET_PATIENCE_MS 1000 /* a client that does not read holds the guest up this long, once */
#define BACKLOG            4

/* --- connection --- */

static bool attach_client(struct chardev *c, int fd, char *err, size_t err_bytes)
{
    fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK); /* what connect() left blocking */
    hostio_lock(c->env.hostio);
    bool ok = chardev_attach(c, fd);
    hostio_unlock(c->env.hostio);
    return ok || chardev_fail(c, err, err_bytes, "%s", strerror(errno));
}

static bool wait_for_client(struct chardev *c, char *err, size_t err_bytes)
{
    chardev_notice(c, "waiting for connection on: %s", c->spec);
    int fd = accept4(c->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return chardev_fail(c, err, err_bytes, "waiting for a client: %s", strerror(errno));
    c->listener.events = 0;
    return attach_client(c, fd, err, err_bytes);
}

bool chardev_open_socket(struct chardev *c, bool tcp, const char *address, char *err, size_t err_bytes)
{
    struct socketspec s;
    char why[CHARDEV_ERR_BYTES];

    if (!socketspec_parse(&s, address, why, sizeof(why)))
        return chardev_fail(c, err, err_bytes, "%s", why);
    c->duplex = true;
    c->server = s.server;
    c->patience_ms = SOCKET_PATIENCE_MS;
    int fd = socketspec_open(&s, tcp, why, sizeof(why));
    if (fd < 0)
        return chardev_fail(c, err, err_bytes, "%s", why);
    if (!s.server)
        return attach_client(c, fd, err, err_bytes);
    c->listener.fd = fd;
    c->listener.events = EPOLLIN;
    if (!tcp)
        c->unlink_path = strdup(s.address);
    if (listen(fd, BACKLOG) != 0)
        return chardev_fail(c, err, err_bytes, "%s", strerror(errno));
    if (s.wait && !wait_for_client(c, err, err_bytes))
        return false;
    fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK); /* a client may leave between readiness and accept */
    return true;
}
