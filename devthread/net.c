/* net.c - see net.h: the queue of frames to the guest, and what is the same for all kinds. */
#include "devthread/net_internal.h"

#include "hw/port.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH_BYTES 4 /* in the queue, before each frame */

_Static_assert(NET_FRAME_BYTES < PORT_ENTRY_BYTES, "a frame is one entry"); /* MATCH net_frame_bytes */

void net_user_init(struct net_user *u)
{
    *u = (struct net_user){.net = UINT32_C(0x0A000200), .mask = UINT32_C(0xFFFFFF00)};
}

/* An address of the network that is neither its own nor the broadcast. */
static bool is_host(const struct net_user *u, uint32_t address)
{
    return (address & u->mask) == u->net && address != u->net && address != (u->net | ~u->mask);
}

bool net_user_complete(struct net_user *u)
{
    u->host = u->host ? u->host : u->net | 2;
    u->dns = u->dns ? u->dns : u->net | 3;
    u->dhcp_start = u->dhcp_start ? u->dhcp_start : u->net | (~u->mask > 15 ? 15 : 4);
    return is_host(u, u->host) && is_host(u, u->dns) && is_host(u, u->dhcp_start) && u->host != u->dns &&
           u->host != u->dhcp_start && u->dns != u->dhcp_start;
}

/* --- the queue --- */

static void ring_put(struct net *n, const void *from, uint32_t bytes)
{
    const uint32_t at = (n->head + n->bytes) % NET_QUEUE_BYTES;
    const uint32_t first = bytes < NET_QUEUE_BYTES - at ? bytes : NET_QUEUE_BYTES - at;

    memcpy(n->queue + at, from, first);
    memcpy(n->queue, (const uint8_t *)from + first, bytes - first);
    n->bytes += bytes;
}

static void ring_peek(const struct net *n, uint32_t offset, void *to, uint32_t bytes)
{
    const uint32_t at = (n->head + offset) % NET_QUEUE_BYTES;
    const uint32_t first = bytes < NET_QUEUE_BYTES - at ? bytes : NET_QUEUE_BYTES - at;

    memcpy(to, n->queue + at, first);
    memcpy((uint8_t *)to + first, n->queue, bytes - first);
}

static uint32_t next_bytes(const struct net *n)
{
    uint32_t bytes = 0;

    if (n->frames)
        ring_peek(n, 0, &bytes, LENGTH_BYTES);
    return bytes;
}

void net_deliver(struct net *n, const uint8_t *frame, uint32_t bytes)
{
    if (bytes < NET_FRAME_MIN || bytes > NET_FRAME_BYTES || n->frames == NET_QUEUE_FRAMES ||
        NET_QUEUE_BYTES - n->bytes < LENGTH_BYTES + bytes) {
        n->stats.dropped_to_guest++;
        return;
    }
    ring_put(n, &bytes, LENGTH_BYTES);
    ring_put(n, frame, bytes);
    n->frames++;
    hostio_input_arrived(n->env.hostio);
}

bool net_has_room(const struct net *n)
{
    return n->frames < NET_QUEUE_FRAMES / 2 && n->bytes < NET_QUEUE_BYTES / 2;
}

/* --- as a back end --- */

static void output(void *ctx, const uint8_t *entry, uint32_t bytes)
{
    struct net *n = ctx;

    hostio_lock(n->env.hostio);
    if (bytes < NET_FRAME_MIN || !n->ops->send(n->ctx, entry, bytes))
        n->stats.dropped_to_host++;
    hostio_unlock(n->env.hostio);
}

static void step(void *ctx, uint64_t now_ns)
{
    struct net *n = ctx;

    if (!n->ops->step)
        return;
    hostio_lock(n->env.hostio);
    n->ops->step(n->ctx, now_ns);
    hostio_unlock(n->env.hostio);
}

static bool input_waiting(void *ctx, uint32_t room)
{
    struct net *n = ctx;

    hostio_lock(n->env.hostio);
    const uint32_t bytes = next_bytes(n);
    hostio_unlock(n->env.hostio);
    return bytes > 0 && bytes <= room;
}

static uint32_t input_take(void *ctx, uint8_t *entry, uint32_t room)
{
    struct net *n = ctx;

    hostio_lock(n->env.hostio);
    uint32_t bytes = next_bytes(n);
    if (bytes > 0 && bytes <= room) {
        const bool had_room = net_has_room(n);
        ring_peek(n, LENGTH_BYTES, entry, bytes);
        n->head = (n->head + LENGTH_BYTES + bytes) % NET_QUEUE_BYTES;
        n->bytes -= LENGTH_BYTES + bytes;
        n->frames--;
        if (!had_room && net_has_room(n) && n->ops->room)
            n->ops->room(n->ctx);
    } else {
        bytes = 0;
    }
    hostio_unlock(n->env.hostio);
    return bytes;
}

static bool input_open(void *ctx)
{
    return true;
}

const struct backend_class net_backend = {.output = output,
                                          .step = step,
                                          .input_waiting = input_waiting,
                                          .input_take = input_take,
                                          .input_open = input_open};

/* --- open, close, and what others ask --- */

bool net_fail(const struct net_config *cfg, char *err, size_t err_bytes, const char *fmt, ...)
{
    char what[NET_ERR_BYTES / 2];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    snprintf(err, err_bytes, "%.200s: %s", cfg->option, what);
    return false;
}

void net_notice(const struct net *n, const char *fmt, ...)
{
    char line[NET_ERR_BYTES];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (n->env.notice)
        n->env.notice(n->env.ctx, line);
}

struct net *net_open(const struct net_config *cfg, const struct net_env *env, char *err, size_t err_bytes)
{
    struct net *n = calloc(1, sizeof *n);

    if (!n) {
        net_fail(cfg, err, err_bytes, "%s", strerror(errno));
        return NULL;
    }
    n->env = *env;
    if (cfg->kind == NET_USER     ? net_open_user(n, cfg, err, err_bytes)
        : cfg->kind == NET_SOCKET ? net_open_socket(n, cfg, err, err_bytes)
                                  : net_open_tap(n, cfg, err, err_bytes))
        return n;
    free(n);
    return NULL;
}

void net_close(struct net *n)
{
    if (!n)
        return;
    hostio_lock(n->env.hostio);
    n->ops->close(n->ctx);
    hostio_unlock(n->env.hostio);
    free(n);
}

void net_get_stats(struct net *n, struct net_stats *s)
{
    hostio_lock(n->env.hostio);
    *s = n->stats;
    hostio_unlock(n->env.hostio);
}

void net_loaded(struct net *n)
{
    hostio_lock(n->env.hostio);
    n->stats.dropped_to_guest += n->frames;
    n->head = n->bytes = n->frames = 0;
    if (n->ops->loaded)
        n->ops->loaded(n->ctx);
    if (n->ops->room)
        n->ops->room(n->ctx);
    hostio_unlock(n->env.hostio);
}

void net_describe(struct net *n, char *text, size_t bytes)
{
    hostio_lock(n->env.hostio);
    n->ops->describe(n->ctx, text, bytes);
    hostio_unlock(n->env.hostio);
}

static bool forward(struct net *n, const struct net_forward *f, bool add)
{
    bool ok = false;

    errno = ENOTSUP;
    if (n->ops != &net_user_ops)
        return false;
    hostio_lock(n->env.hostio);
    ok = net_user_forward(n->ctx, f, add);
    hostio_unlock(n->env.hostio);
    return ok;
}

bool net_forward_add(struct net *n, const struct net_forward *f)
{
    return forward(n, f, true);
}

bool net_forward_remove(struct net *n, const struct net_forward *f)
{
    return forward(n, f, false);
}
