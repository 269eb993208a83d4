/* net_tap.c - a network interface of the host's, whose other end the guest's card is.
 *
 * Who sets the interface up (addresses, bridges) is the user: no script is run. */
#include "devthread/net_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define READS_MAX 64 /* of one look at the host */

struct tap {
    struct net *net;
    struct hostio_source io;
    char ifname[IFNAMSIZ];
    uint8_t frame[NET_FRAME_BYTES];
};

static bool send_frame(void *ctx, const uint8_t *frame, uint32_t bytes)
{
    return write(((struct tap *)ctx)->io.fd, frame, bytes) == (ssize_t)bytes;
}

static void ready(void *ctx, uint32_t events)
{
    struct tap *t = ctx;
    ssize_t n = 1;

    for (unsigned i = 0; i < READS_MAX && n > 0 && net_has_room(t->net); i++) {
        n = read(t->io.fd, t->frame, sizeof t->frame);
        if (n > 0)
            net_deliver(t->net, t->frame, (uint32_t)n);
    }
    const bool gone = n < 0 && errno != EAGAIN && errno != EINTR;
    if (gone)
        net_notice(t->net, "tap %s: %s; no more frames come", t->ifname, strerror(errno));
    hostio_set_events(t->net->env.hostio, &t->io, !gone && net_has_room(t->net) ? EPOLLIN : 0);
}

static void room(void *ctx)
{
    struct tap *t = ctx;

    hostio_set_events(t->net->env.hostio, &t->io, EPOLLIN);
}

static void close_tap(void *ctx)
{
    struct tap *t = ctx;

    hostio_remove(t->net->env.hostio, &t->io);
    close(t->io.fd);
    free(t);
}

static void describe(void *ctx, char *text, size_t bytes)
{
    snprintf(text, bytes, "tap: ifname=%s", ((struct tap *)ctx)->ifname);
}

static const struct net_ops tap_ops = {
    .close = close_tap, .send = send_frame, .room = room, .describe = describe};

/* -1 with errno; the interface's name in t->ifname. */
static int open_tun(struct tap *t, const char *ifname)
{
    struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    const int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return -1;
    if (ifname)
        snprintf(r.ifr_name, sizeof r.ifr_name, "%s", ifname);
    if (ioctl(fd, TUNSETIFF, &r) != 0) {
        const int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    memcpy(t->ifname, r.ifr_name, sizeof t->ifname);
    t->ifname[sizeof t->ifname - 1] = 0;
    return fd;
}

bool net_open_tap(struct net *n, const struct net_config *cfg, char *err, size_t err_bytes)
{
    struct tap *t = calloc(1, sizeof *t);

    if (!t)
        return net_fail(cfg, err, err_bytes, "%s", strerror(errno));
    t->net = n;
    t->io =
        (struct hostio_source){.fd = open_tun(t, cfg->ifname), .events = EPOLLIN, .ready = ready, .ctx = t};
    hostio_lock(n->env.hostio);
    const bool ok = t->io.fd >= 0 && hostio_add(n->env.hostio, &t->io);
    hostio_unlock(n->env.hostio);
    if (!ok) {
        net_fail(cfg, err, err_bytes,
                 "/dev/net/tun, interface %.15s: %s; an interface that this user may use (ip tuntap add mode "
                 "tap user NAME) is accepted",
                 cfg->ifname ? cfg->ifname : "(any)", strerror(errno));
        if (t->io.fd >= 0)
            close(t->io.fd);
        free(t);
        return false;
    }
    n->ops = &tap_ops;
    n->ctx = t;
    return true;
}
