/* net_internal.h - a network once it is open, for net*.c only. All of it is under hostio's lock, but for what
 * is constant after net_open. */
#ifndef TANDEM_DEVTHREAD_NET_INTERNAL_H
#define TANDEM_DEVTHREAD_NET_INTERNAL_H

#include "devthread/hostio.h"
#include "devthread/net.h"

/* What a kind does. Each gets its own struct as ctx; functions are called with hostio's lock held. */
struct net_ops {
    void (*close)(void *ctx);
    /* A frame of the guest's. False: the host does not take it now. */
    bool (*send)(void *ctx, const uint8_t *frame, uint32_t bytes);
    void (*room)(void *ctx);                  /* frames that waited have been taken; NULL: nothing to do */
    void (*step)(void *ctx, uint64_t now_ns); /* NULL: time is nothing to it */
    void (*loaded)(void *ctx);                /* net_loaded; NULL: it is the same to whoever is there */
    void (*describe)(void *ctx, char *text, size_t bytes);
};

struct net {
    struct net_env env;
    const struct net_ops *ops;
    void *ctx;
    struct net_stats stats;
    uint32_t head, bytes, frames; /* of the queue to the guest: a ring */
    uint8_t queue[NET_QUEUE_BYTES];
};

/* Openers: false: err says why. On success n->ops and n->ctx are set. */
bool net_open_user(struct net *n, const struct net_config *cfg, char *err, size_t err_bytes);
bool net_open_socket(struct net *n, const struct net_config *cfg, char *err, size_t err_bytes);
bool net_open_tap(struct net *n, const struct net_config *cfg, char *err, size_t err_bytes);

/* A frame for the guest; dropped and counted where there is no room. With the lock. */
void net_deliver(struct net *n, const uint8_t *frame, uint32_t bytes);
/* More than half of the queue is free. */
bool net_has_room(const struct net *n);
void net_notice(const struct net *n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "OPTION: what"; always false. */
bool net_fail(const struct net_config *cfg, char *err, size_t err_bytes, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Of the user network, for net_forward_*. False with errno. */
extern const struct net_ops net_user_ops;
bool net_user_forward(void *ctx, const struct net_forward *f, bool add);

#endif
