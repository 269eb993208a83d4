/* net_socket.c - frames to and from another machine: TCP with QEMU's framing, UDP, multicast.
 *
 * A listener serves one peer at a time; when that leaves, the next may come. One that has connected to a
 * listener which leaves stays without a peer. Members of a multicast group hear one another on the interface
 * of their local address: on this host, unless another is given. What peers send is hostile: a length that no
 * frame has ends the connection. */
#include "devthread/net_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define LENGTH_BYTES 4
#define IN_BYTES     (LENGTH_BYTES + NET_FRAME_BYTES)
#define READS_MAX    64 /* of one look at the host: datagrams */
#define STREAM_READS 8  /* the same: of a stream, each of up to IN_BYTES */

struct net_peer {
    struct net *net;
    struct net_socket cfg;
    char option[200];
    struct hostio_source peer, listener; /* fd -1: none */
    int group_fd;                        /* that a group's frames are sent from; -1: none */
    uint32_t in_bytes;                   /* of a stream: frames with their lengths, the last one in part */
    uint32_t out_head, out_bytes;        /* of a stream: what the peer has not taken yet, a ring */
    uint8_t in[IN_BYTES], out[NET_OUT_BYTES];
};

static bool is_stream(const struct net_peer *p)
{
    return p->cfg.kind == NET_LISTEN || p->cfg.kind == NET_CONNECT;
}

static void source_close(struct net_peer *p, struct hostio_source *s)
{
    if (s->fd < 0)
        return;
    hostio_remove(p->net->env.hostio, s);
    close(s->fd);
    s->fd = -1;
}

static void leave(struct net_peer *p, const char *why)
{
    source_close(p, &p->peer);
    p->in_bytes = p->out_head = p->out_bytes = 0;
    if (p->listener.fd >= 0)
        hostio_set_events(p->net->env.hostio, &p->listener, EPOLLIN);
    net_notice(p->net, "%s: the peer %s%s", p->option, why,
               p->listener.fd >= 0 ? "; the next one is waited for" : "; frames are dropped from now on");
}

/* --- to the peer --- */

static void out_put(struct net_peer *p, const uint8_t *bytes, uint32_t n)
{
    const uint32_t at = (p->out_head + p->out_bytes) % NET_OUT_BYTES;
    const uint32_t first = n < NET_OUT_BYTES - at ? n : NET_OUT_BYTES - at;

    memcpy(p->out + at, bytes, first);
    memcpy(p->out, bytes + first, n - first);
    p->out_bytes += n;
}

static void out_drain(struct net_peer *p)
{
    while (p->out_bytes) {
        const uint32_t end = NET_OUT_BYTES - p->out_head;
        const uint32_t n = p->out_bytes < end ? p->out_bytes : end;
        const ssize_t sent = send(p->peer.fd, p->out + p->out_head, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (sent < 0) {
            leave(p, "went away");
            return;
        }
        p->out_head = (p->out_head + (uint32_t)sent) % NET_OUT_BYTES;
        p->out_bytes -= (uint32_t)sent;
    }
    hostio_set_events(p->net->env.hostio, &p->peer,
                      (net_has_room(p->net) ? EPOLLIN : 0u) | (p->out_bytes ? EPOLLOUT : 0u));
}

static bool send_stream(struct net_peer *p, const uint8_t *frame, uint32_t bytes)
{
    const uint8_t length[LENGTH_BYTES] = {(uint8_t)(bytes >> 24), (uint8_t)(bytes >> 16),
                                          (uint8_t)(bytes >> 8), (uint8_t)bytes};

    if (NET_OUT_BYTES - p->out_bytes < LENGTH_BYTES + bytes)
        return false;
    out_put(p, length, LENGTH_BYTES);
    out_put(p, frame, bytes);
    out_drain(p);
    return true;
}

static struct sockaddr_in inet_address(const struct net_endpoint *e)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(e->address), .sin_port = htons(e->port)};
}

static bool send_frame(void *ctx, const uint8_t *frame, uint32_t bytes)
{
    struct net_peer *p = ctx;
    const struct sockaddr_in to = inet_address(&p->cfg.remote);

    if (p->peer.fd < 0)
        return false;
    if (is_stream(p))
        return send_stream(p, frame, bytes);
    return sendto(p->group_fd >= 0 ? p->group_fd : p->peer.fd, frame, bytes, MSG_NOSIGNAL | MSG_DONTWAIT,
                  (const struct sockaddr *)&to, sizeof to) == (ssize_t)bytes;
}

/* --- from the peer --- */

static uint32_t in_length(const struct net_peer *p, uint32_t at)
{
    const uint8_t *b = p->in + at;

    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* Whole frames go to the guest, as many as there is room for; the rest moves to the buffer's start. */
static void deliver_frames(struct net_peer *p)
{
    uint32_t at = 0;

    while (p->in_bytes - at >= LENGTH_BYTES && net_has_room(p->net)) {
        const uint32_t bytes = in_length(p, at);
        if (bytes == 0 || bytes > NET_FRAME_BYTES) {
            leave(p, "sent a length that no frame has");
            return;
        }
        if (p->in_bytes - at < LENGTH_BYTES + bytes)
            break;
        net_deliver(p->net, p->in + at + LENGTH_BYTES, bytes);
        at += LENGTH_BYTES + bytes;
    }
    p->in_bytes -= at;
    memmove(p->in, p->in + at, p->in_bytes);
}

/* Many frames at once. False: nothing more now. */
static bool read_stream(struct net_peer *p)
{
    if (p->in_bytes == IN_BYTES) /* it holds one frame at least, and there is room */
        deliver_frames(p);
    const ssize_t n = recv(p->peer.fd, p->in + p->in_bytes, IN_BYTES - p->in_bytes, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0) {
        leave(p, "went away");
        return false;
    }
    p->in_bytes += (uint32_t)n;
    deliver_frames(p);
    return true;
}

/* Of a group, the own frames come too: it is known where they are sent from. */
static bool is_own(const struct net_peer *p, const struct sockaddr_in *from)
{
    struct sockaddr_in own;
    socklen_t bytes = sizeof own;

    return p->group_fd >= 0 && getsockname(p->group_fd, (struct sockaddr *)&own, &bytes) == 0 &&
           own.sin_port == from->sin_port && own.sin_addr.s_addr == from->sin_addr.s_addr;
}

static bool read_datagram(struct net_peer *p)
{
    struct sockaddr_in from;
    socklen_t from_bytes = sizeof from;
    const ssize_t n =
        recvfrom(p->peer.fd, p->in, IN_BYTES, MSG_DONTWAIT, (struct sockaddr *)&from, &from_bytes);

    if (n < 0) /* an ICMP error of an earlier frame, too */
        return errno != EAGAIN && errno != EBADF;
    if (!is_own(p, &from))
        net_deliver(p->net, p->in, (uint32_t)n);
    return true;
}

static void peer_ready(void *ctx, uint32_t events)
{
    struct net_peer *p = ctx;

    const unsigned reads = is_stream(p) ? STREAM_READS : READS_MAX;
    bool more = true;

    for (unsigned i = 0; i < reads && more && p->peer.fd >= 0 && net_has_room(p->net); i++)
        more = is_stream(p) ? read_stream(p) : read_datagram(p);
    if (p->peer.fd < 0)
        return;
    if (more && net_has_room(p->net))
        hostio_poll_soon(p->net->env.hostio);
    if (is_stream(p))
        out_drain(p);
    else
        hostio_set_events(p->net->env.hostio, &p->peer, net_has_room(p->net) ? EPOLLIN : 0);
}

static void room(void *ctx)
{
    struct net_peer *p = ctx;

    if (p->peer.fd >= 0 && is_stream(p))
        deliver_frames(p);
    if (p->peer.fd < 0 || !net_has_room(p->net))
        return;
    hostio_set_events(p->net->env.hostio, &p->peer, EPOLLIN | (p->out_bytes ? EPOLLOUT : 0u));
    hostio_poll_soon(p->net->env.hostio);
}

/* --- open --- */

static bool attach(struct net_peer *p, int fd)
{
    int one = 1;

    if (is_stream(p))
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    p->peer = (struct hostio_source){.fd = fd, .events = EPOLLIN, .ready = peer_ready, .ctx = p};
    if (hostio_add(p->net->env.hostio, &p->peer))
        return true;
    p->peer.fd = -1;
    return false;
}

static void listener_ready(void *ctx, uint32_t events)
{
    struct net_peer *p = ctx;
    const int fd = accept4(p->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0)
        return;
    if (attach(p, fd))
        hostio_set_events(p->net->env.hostio, &p->listener, 0); /* the next one queues up */
    else
        close(fd);
}

static bool open_listener(struct net_peer *p, int fd)
{
    const struct sockaddr_in at = inet_address(&p->cfg.remote);
    int one = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (const struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 1) != 0)
        return false;
    p->listener = (struct hostio_source){.fd = fd, .events = EPOLLIN, .ready = listener_ready, .ctx = p};
    return hostio_add(p->net->env.hostio, &p->listener);
}

/* Before the guest starts: it may wait for the host's network. */
static bool open_connection(struct net_peer *p, int fd)
{
    const struct sockaddr_in to = inet_address(&p->cfg.remote);

    return connect(fd, (const struct sockaddr *)&to, sizeof to) == 0 && attach(p, fd);
}

static bool open_udp(struct net_peer *p, int fd)
{
    const struct sockaddr_in at = inet_address(&p->cfg.local);

    return bind(fd, (const struct sockaddr *)&at, sizeof at) == 0 && attach(p, fd);
}

/* Of a group: its frames go out by the local address's interface alone. */
static bool open_sender(struct net_peer *p)
{
    const struct in_addr by = {htonl(p->cfg.local.address)};
    const struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = by};

    p->group_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return p->group_fd >= 0 && bind(p->group_fd, (const struct sockaddr *)&at, sizeof at) == 0 &&
           setsockopt(p->group_fd, IPPROTO_IP, IP_MULTICAST_IF, &by, sizeof by) == 0;
}

/* Several machines of a host hear the group at its port. */
static bool open_group(struct net_peer *p, int fd)
{
    const struct sockaddr_in at = inet_address(&p->cfg.remote);
    const struct ip_mreq group = {{htonl(p->cfg.remote.address)}, {htonl(p->cfg.local.address)}};
    int one = 1;

    return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
           bind(fd, (const struct sockaddr *)&at, sizeof at) == 0 &&
           setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group) == 0 && open_sender(p) &&
           attach(p, fd);
}

static void close_peer(void *ctx)
{
    struct net_peer *p = ctx;

    source_close(p, &p->peer);
    source_close(p, &p->listener);
    if (p->group_fd >= 0)
        close(p->group_fd);
    free(p);
}

static void describe(void *ctx, char *text, size_t bytes)
{
    static const char *const kinds[] = {"listen", "connect", "mcast", "udp"};
    const struct net_peer *p = ctx;
    char at[NETADDR_TEXT];

    netaddr_endpoint_text(&p->cfg.remote, at);
    snprintf(text, bytes, "socket: %s=%s, %s", kinds[p->cfg.kind], at,
             p->peer.fd >= 0 ? "connected" : "no peer");
}

static const struct net_ops socket_ops = {
    .close = close_peer, .send = send_frame, .room = room, .describe = describe};

static int open_fd(const struct net_peer *p)
{
    return socket(AF_INET, (is_stream(p) ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
}

/* A descriptor that the opener has not handed to a source is closed here. */
static bool open_kind(struct net_peer *p)
{
    static bool (*const open_as[])(struct net_peer *, int) = {[NET_LISTEN] = open_listener,
                                                              [NET_CONNECT] = open_connection,
                                                              [NET_MCAST] = open_group,
                                                              [NET_UDP] = open_udp};
    const int fd = open_fd(p);

    if (fd < 0)
        return false;
    if (open_as[p->cfg.kind](p, fd))
        return true;
    const int saved = errno;
    if (p->listener.fd == fd)
        p->listener.fd = -1;
    close(fd);
    errno = saved;
    return false;
}

bool net_open_socket(struct net *n, const struct net_config *cfg, char *err, size_t err_bytes)
{
    struct net_peer *p = calloc(1, sizeof *p);
    char at[NETADDR_TEXT];

    netaddr_endpoint_text(&cfg->socket.remote, at);
    if (!p)
        return net_fail(cfg, err, err_bytes, "%s", strerror(errno));
    p->net = n;
    p->cfg = cfg->socket;
    p->peer.fd = p->listener.fd = p->group_fd = -1;
    snprintf(p->option, sizeof p->option, "%s", cfg->option);
    hostio_lock(n->env.hostio);
    const bool ok = open_kind(p);
    hostio_unlock(n->env.hostio);
    if (!ok) {
        net_fail(cfg, err, err_bytes, "%s: %s", at, strerror(errno));
        if (p->group_fd >= 0)
            close(p->group_fd);
        free(p);
        return false;
    }
    n->ops = &socket_ops;
    n->ctx = p;
    return true;
}
