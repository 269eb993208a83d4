/* net_user.c - the way into the host's network: libslirp, a TCP/IP stack that turns the guest's connections
 * into sockets of this process.
 *
 * All of it is outside input: what libslirp sends to the guest is stamped and recorded as any peer's frames
 * are, and a replay does not open it. Its clock is virtual time all the same, as the device side last told it
 * (step), for its timers measure how fast the guest answers. It keeps a list of descriptors to watch, which
 * changes with each call: they are in an epoll set of their own, of which hostio knows the one descriptor,
 * and a timerfd wakes up the stack when a timer of its may have run out.
 *
 * What it does not serve never reaches it: frames other than ARP and IPv4, and fragments of IP, by which a
 * guest can crash libslirp 4.7 (docs/decisions.md).
 *
 * Threads: libslirp is called with hostio's lock alone; its clock is one variable of the process, so that two
 * machines of one process would share it. */
#include "devthread/net_internal.h"

#include "clockcore/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <slirp/libslirp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define WATCHED_MAX 4096
#define TIMEOUT_MS  1000 /* libslirp is looked after this often at least */
#define SOON_MS     10   /* the least time to a timer of its */

struct net_slirp {
    struct net *net;
    struct net_user cfg;
    Slirp *slirp;
    struct hostio_source set, timer;
    uint64_t now_ns; /* virtual */
    struct watched {
        unsigned n;
        struct pollfd fd[WATCHED_MAX];
    } list[2], *now, *before;    /* what libslirp waits for: at its last call and at the one before */
    uint32_t call;               /* how many there were */
    bool in_set[WATCHED_MAX];    /* by descriptor: the epoll set has it */
    short events[WATCHED_MAX];   /* it is there for these */
    uint32_t asked[WATCHED_MAX]; /* the last call that asked for it */
};

/* --- what libslirp calls --- */

static ssize_t send_packet(const void *frame, size_t bytes, void *opaque)
{
    struct net_slirp *s = opaque;

    net_deliver(s->net, frame, (uint32_t)bytes);
    return (ssize_t)bytes;
}

static void guest_error(const char *text, void *opaque)
{
}

static int64_t clock_get_ns(void *opaque)
{
    return (int64_t)((struct net_slirp *)opaque)->now_ns;
}

/* Of router advertisements alone: IPv6 is off. */
static void *timer_new(SlirpTimerCb cb, void *cb_opaque, void *opaque)
{
    return opaque;
}

static void timer_free(void *timer, void *opaque)
{
}

static void timer_mod(void *timer, int64_t expire_ms, void *opaque)
{
}

static void register_poll_fd(int fd, void *opaque)
{
}

/* It is about to be closed, and its number may come again. */
static void unregister_poll_fd(int fd, void *opaque)
{
    struct net_slirp *s = opaque;

    if (fd < 0 || fd >= WATCHED_MAX || !s->in_set[fd])
        return;
    epoll_ctl(s->set.fd, EPOLL_CTL_DEL, fd, NULL);
    s->in_set[fd] = false;
}

static void notify(void *opaque)
{
}

static const SlirpCb callbacks = {
    .send_packet = send_packet,
    .guest_error = guest_error,
    .clock_get_ns = clock_get_ns,
    .timer_new = timer_new,
    .timer_free = timer_free,
    .timer_mod = timer_mod,
    .register_poll_fd = register_poll_fd,
    .unregister_poll_fd = unregister_poll_fd,
    .notify = notify,
};

/* --- descriptors --- */

static short to_poll(int events)
{
    return (short)((events & SLIRP_POLL_IN ? POLLIN : 0) | (events & SLIRP_POLL_OUT ? POLLOUT : 0) |
                   (events & SLIRP_POLL_PRI ? POLLPRI : 0));
}

static int from_poll(short events)
{
    return (events & POLLIN ? SLIRP_POLL_IN : 0) | (events & POLLOUT ? SLIRP_POLL_OUT : 0) |
           (events & POLLPRI ? SLIRP_POLL_PRI : 0) | (events & POLLERR ? SLIRP_POLL_ERR : 0) |
           (events & POLLHUP ? SLIRP_POLL_HUP : 0);
}

/* One that finds no room is not watched: its connection waits until others end. */
static int add_poll(int fd, int events, void *opaque)
{
    struct net_slirp *s = opaque;

    if (s->now->n == WATCHED_MAX || fd < 0 || fd >= WATCHED_MAX)
        return -1;
    s->now->fd[s->now->n] = (struct pollfd){.fd = fd, .events = to_poll(events)};
    return (int)s->now->n++;
}

static int get_revents(int index, void *opaque)
{
    const struct net_slirp *s = opaque;

    return index >= 0 && (unsigned)index < s->now->n ? from_poll(s->now->fd[index].revents) : 0;
}

static void watch(struct net_slirp *s, const struct pollfd *p)
{
    struct epoll_event ev = {.events = (uint32_t)p->events, .data.fd = p->fd};

    s->asked[p->fd] = s->call;
    if (s->in_set[p->fd] && s->events[p->fd] == p->events)
        return;
    if (epoll_ctl(s->set.fd, s->in_set[p->fd] ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, p->fd, &ev) != 0)
        epoll_ctl(s->set.fd, errno == ENOENT ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, p->fd, &ev);
    s->in_set[p->fd] = true;
    s->events[p->fd] = p->events;
}

static void set_timer(struct net_slirp *s, uint32_t ms)
{
    const uint32_t wait_ms = ms < SOON_MS ? SOON_MS : ms;
    const struct itimerspec t = {
        .it_value = {.tv_sec = wait_ms / 1000, .tv_nsec = (long)(wait_ms % 1000) * 1000000}};

    timerfd_settime(s->timer.fd, 0, &t, NULL);
}

/* After each call of libslirp: what it waits for now. */
static void rewatch(struct net_slirp *s)
{
    struct watched *old = s->now;
    uint32_t timeout_ms = TIMEOUT_MS;

    s->now = s->before;
    s->before = old;
    s->now->n = 0;
    s->call++;
    slirp_pollfds_fill(s->slirp, &timeout_ms, add_poll, s);
    for (unsigned i = 0; i < s->now->n; i++)
        watch(s, &s->now->fd[i]);
    for (unsigned i = 0; i < old->n; i++)
        if (s->asked[old->fd[i].fd] != s->call)
            unregister_poll_fd(old->fd[i].fd, s);
    set_timer(s, timeout_ms);
    hostio_set_events(s->net->env.hostio, &s->set, net_has_room(s->net) ? EPOLLIN : 0);
}

/* Nothing is read from the host while the guest does not take what is there. */
static void look(struct net_slirp *s)
{
    const int n = net_has_room(s->net) ? poll(s->now->fd, s->now->n, 0) : -1;

    slirp_pollfds_poll(s->slirp, n < 0, get_revents, s);
    rewatch(s);
}

static void set_ready(void *ctx, uint32_t events)
{
    look(ctx);
}

static void timer_ready(void *ctx, uint32_t events)
{
    struct net_slirp *s = ctx;
    uint64_t times;

    if (read(s->timer.fd, &times, sizeof times) == sizeof times)
        look(s);
}

/* --- as a network --- */

static bool is_served(const uint8_t *frame, uint32_t bytes)
{
    const unsigned type = (unsigned)frame[12] << 8 | frame[13];

    if (type == 0x0800)
        return bytes >= 34 && ((frame[20] & 0x3F) | frame[21]) == 0; /* neither an offset nor MF */
    return type == 0x0806 && bytes >= 42;
}

static bool send_frame(void *ctx, const uint8_t *frame, uint32_t bytes)
{
    struct net_slirp *s = ctx;

    if (!is_served(frame, bytes))
        return false;
    slirp_input(s->slirp, frame, (int)bytes);
    rewatch(s);
    return true;
}

static void room(void *ctx)
{
    struct net_slirp *s = ctx;

    hostio_set_events(s->net->env.hostio, &s->set, EPOLLIN);
}

static void step(void *ctx, uint64_t now_ns)
{
    struct net_slirp *s = ctx;

    s->now_ns = now_ns > s->now_ns ? now_ns : s->now_ns;
}

static void close_slirp(void *ctx)
{
    struct net_slirp *s = ctx;

    if (s->slirp)
        slirp_cleanup(s->slirp);
    struct hostio_source *source[] = {&s->set, &s->timer};
    for (unsigned i = 0; i < 2; i++) {
        if (source[i]->fd < 0)
            continue;
        hostio_remove(s->net->env.hostio, source[i]);
        close(source[i]->fd);
    }
    free(s);
}

static void describe(void *ctx, char *text, size_t bytes)
{
    struct net_slirp *s = ctx;
    char net[NETADDR_TEXT], mask[NETADDR_TEXT];
    char *connections = slirp_connection_info(s->slirp);

    netaddr_text(s->cfg.net, net);
    netaddr_text(s->cfg.mask, mask);
    snprintf(text, bytes, "user: net=%s/%s,restrict=%s\n%s", net, mask, s->cfg.restricted ? "on" : "off",
             connections);
    const size_t used = strlen(text);
    if (used && text[used - 1] == '\n')
        text[used - 1] = 0;
    free(connections); /* glib's, which is malloc's */
}

/* --- forwards --- */

static struct in_addr to_in(uint32_t address)
{
    return (struct in_addr){htonl(address)};
}

static bool apply_forward(struct net_slirp *s, const struct net_forward *f, bool add)
{
    const struct in_addr host = to_in(f->host.address);

    return (add ? slirp_add_hostfwd(s->slirp, f->udp, host, f->host.port, to_in(f->guest.address),
                                    f->guest.port)
                : slirp_remove_hostfwd(s->slirp, f->udp, host, f->host.port)) == 0;
}

/* What is there now is also what is there again behind a load. */
static void note_forward(struct net_user *u, const struct net_forward *f, bool add)
{
    unsigned i = 0;

    while (!add && i < u->nforwards &&
           (u->forward[i].udp != f->udp || u->forward[i].host.address != f->host.address ||
            u->forward[i].host.port != f->host.port))
        i++;
    if (add)
        u->forward[u->nforwards++] = *f;
    else if (i < u->nforwards)
        u->forward[i] = u->forward[--u->nforwards];
}

bool net_user_forward(void *ctx, const struct net_forward *f, bool add)
{
    struct net_slirp *s = ctx;

    errno = ENOSPC;
    const bool ok = (!add || s->cfg.nforwards < NET_FORWARDS_MAX) && apply_forward(s, f, add);
    if (ok)
        note_forward(&s->cfg, f, add);
    const int saved = errno;

    rewatch(s);
    errno = saved;
    return ok;
}

static bool guest_forward(struct net_slirp *s, const struct net_guest_forward *f)
{
    struct in_addr server = to_in(f->server.address);

    return (f->command ? slirp_add_exec : slirp_add_unix)(s->slirp, f->what, &server, f->server.port) == 0;
}

static bool add_forwards(struct net_slirp *s, const struct net_config *cfg, char *err, size_t err_bytes)
{
    char at[NETADDR_TEXT];

    for (unsigned i = 0; i < s->cfg.nforwards; i++) {
        netaddr_endpoint_text(&s->cfg.forward[i].host, at);
        if (!apply_forward(s, &s->cfg.forward[i], true))
            return net_fail(cfg, err, err_bytes, "hostfwd: the host does not give %s: %s", at,
                            strerror(errno));
    }
    for (unsigned i = 0; i < s->cfg.nguest_forwards; i++) {
        netaddr_endpoint_text(&s->cfg.guest_forward[i].server, at);
        if (!guest_forward(s, &s->cfg.guest_forward[i]))
            return net_fail(cfg, err, err_bytes,
                            "guestfwd: %s is taken, or not an address of the network that is free", at);
    }
    return true;
}

/* --- open --- */

static Slirp *open_slirp(struct net_slirp *s)
{
    const struct net_user *u = &s->cfg;
    const SlirpConfig c = {
        .version = SLIRP_CONFIG_VERSION_MAX,
        .restricted = u->restricted,
        .in_enabled = true,
        .vnetwork = to_in(u->net),
        .vnetmask = to_in(u->mask),
        .vhost = to_in(u->host),
        .vhostname = u->hostname,
        .tftp_path = u->tftp,
        .bootfile = u->bootfile,
        .vdhcp_start = to_in(u->dhcp_start),
        .vnameserver = to_in(u->dns),
    };

    return slirp_new(&c, &callbacks, s);
}

static bool open_sources(struct net_slirp *s)
{
    struct hostio *h = s->net->env.hostio;

    s->set = (struct hostio_source){
        .fd = epoll_create1(EPOLL_CLOEXEC), .events = EPOLLIN, .ready = set_ready, .ctx = s};
    s->timer = (struct hostio_source){.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
                                      .events = EPOLLIN,
                                      .ready = timer_ready,
                                      .ctx = s};
    return s->set.fd >= 0 && s->timer.fd >= 0 && hostio_add(h, &s->set) && hostio_add(h, &s->timer);
}

static bool tftp_is_there(const struct net_config *cfg, char *err, size_t err_bytes)
{
    const char *dir = cfg->user.tftp;
    struct stat st;

    if (!dir || (stat(dir, &st) == 0 && S_ISDIR(st.st_mode)))
        return true;
    return net_fail(cfg, err, err_bytes, "tftp=%.200s: no such directory", dir);
}

static bool start(struct net_slirp *s, const struct net_config *cfg, char *err, size_t err_bytes)
{
    if (!tftp_is_there(cfg, err, err_bytes))
        return false;
    signal(SIGPIPE, SIG_IGN); /* a peer of libslirp's that goes away is an error code, not the end */
    if (!open_sources(s))
        return net_fail(cfg, err, err_bytes, "%s", strerror(errno));
    s->slirp = open_slirp(s);
    if (!s->slirp)
        return net_fail(cfg, err, err_bytes, "libslirp does not take these addresses");
    if (!add_forwards(s, cfg, err, err_bytes))
        return false;
    rewatch(s);
    look(s);
    return true;
}

/* libslirp knows no end of its connections but its own: a new one takes its place. To a segment of a
 * connection that it does not know it answers with a reset. */
static void loaded(void *ctx)
{
    struct net_slirp *s = ctx;
    const struct net_config cfg = {.option = "loadvm: -netdev user"};
    char err[NET_ERR_BYTES];

    slirp_cleanup(s->slirp);
    s->now_ns = 0;
    s->slirp = open_slirp(s);
    if (!add_forwards(s, &cfg, err, sizeof err))
        net_notice(s->net, "%s", err);
    rewatch(s);
}

const struct net_ops net_user_ops = {.close = close_slirp,
                                     .send = send_frame,
                                     .room = room,
                                     .step = step,
                                     .loaded = loaded,
                                     .describe = describe};

bool net_open_user(struct net *n, const struct net_config *cfg, char *err, size_t err_bytes)
{
    struct net_slirp *s = calloc(1, sizeof *s);

    if (!s)
        return net_fail(cfg, err, err_bytes, "%s", strerror(errno));
    s->net = n;
    s->cfg = cfg->user;
    s->set.fd = s->timer.fd = -1;
    s->now = &s->list[0];
    s->before = &s->list[1];
    hostio_lock(n->env.hostio);
    const bool ok = start(s, cfg, err, err_bytes);
    if (!ok)
        close_slirp(s);
    hostio_unlock(n->env.hostio);
    n->ops = &net_user_ops;
    n->ctx = s;
    return ok;
}
