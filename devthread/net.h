/* net.h - networks behind a typed port of frames: the host's (user, socket, tap), or a computed one.
 *
 *   user     hosts that answer DHCP, TFTP and ARP, and the way out into the host's network by its sockets:
 *            libslirp (net_user.c). With `restricted` and no forward nothing of the host's takes part: such a
 *            network is computed (usernet.h), the same in each run, and not in this file.
 *   socket   another machine: a TCP connection with QEMU's framing (each frame after its length in four
 *            bytes, most significant first), or UDP, to one peer or to a multicast group: a frame a datagram
 *   tap      a network interface of the host's
 *
 * Frames from the host wait here until a step of the device side takes them, NET_QUEUE_FRAMES or
 * NET_QUEUE_BYTES of them at most; when a guest does not take them, later ones are dropped and counted.
 * Frames of the guest go to the host at once; what it does not take without waiting is dropped and counted (a
 * TCP peer's up to NET_OUT_BYTES wait). A frame is an Ethernet frame without its check sequence.
 *
 * Threads: net_open and net_close while nothing else uses the network or its hostio; the back end by the
 * holder of the baton; the rest by any thread. The lock is hostio's.
 * Errors: net_open fails with one line that names the option. A peer that goes away is told once. */
#ifndef TANDEM_DEVTHREAD_NET_H
#define TANDEM_DEVTHREAD_NET_H

#include "devthread/backend.h"
#include "devthread/netaddr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NET_FRAME_MIN    14    /* two addresses and a type */
#define NET_FRAME_BYTES  65535 /* MATCH net_frame_bytes */
#define NET_QUEUE_FRAMES 1024
#define NET_QUEUE_BYTES  (1u << 20)
#define NET_OUT_BYTES    (256u << 10)
#define NET_ERR_BYTES    512
#define NET_FORWARDS_MAX 16

enum net_kind { NET_NONE, NET_USER, NET_SOCKET, NET_TAP };

/* Host byte order. Strings are borrowed until net_close. */
struct net_user {
    uint32_t net, mask, host, dhcp_start, dns;
    bool restricted;
    const char *tftp, *bootfile, *hostname; /* NULL: none */
    struct net_forward forward[NET_FORWARDS_MAX];
    unsigned nforwards;
    struct net_guest_forward guest_forward[NET_FORWARDS_MAX];
    unsigned nguest_forwards;
};

enum net_socket_kind { NET_LISTEN, NET_CONNECT, NET_MCAST, NET_UDP };

struct net_socket {
    enum net_socket_kind kind;
    struct net_endpoint remote; /* NET_LISTEN: where it listens; NET_MCAST: the group */
    struct net_endpoint local;  /* NET_UDP, NET_MCAST; port 0: none */
};

struct net_config {
    enum net_kind kind;
    const char *option; /* "-netdev user,id=n0": for messages */
    struct net_user user;
    struct net_socket socket;
    const char *ifname; /* of a tap; NULL: the host chooses */
};

/* 10.0.2.0/24 as QEMU has it; addresses that stay 0 are chosen by net_user_complete: the host is .2, the name
 * server .3, and leases begin at .15. False: they are not different addresses of hosts in the network. */
void net_user_init(struct net_user *u);
bool net_user_complete(struct net_user *u);
/* Nothing of the host's takes part in it. */
static inline bool net_is_computed(const struct net_config *c)
{
    return c->kind == NET_USER && c->user.restricted && c->user.nforwards + c->user.nguest_forwards == 0;
}

struct hostio;
struct net;

struct net_env {
    struct hostio *hostio;
    /* One line for the user; any thread, under hostio's lock; NULL: dropped. */
    void (*notice)(void *ctx, const char *line);
    void *ctx;
};

struct net_stats {
    uint64_t dropped_to_guest, dropped_to_host;
};

/* Of a configuration that is neither NET_NONE nor computed. */
struct net *net_open(const struct net_config *cfg, const struct net_env *env, char *err, size_t err_bytes);
void net_close(struct net *n); /* NULL is fine */
extern const struct backend_class net_backend;
void net_get_stats(struct net *n, struct net_stats *s);
/* One line on its state, or several; no newline at the end. */
void net_describe(struct net *n, char *text, size_t bytes);
/* The guest is another one from now on, at another virtual time: frames on their way to it are dropped, and
 * connections that this network made for it end. Forwards stay. */
void net_loaded(struct net *n);
/* While it is open. False: it is no user network, the host refuses (errno), or there is none to remove. */
bool net_forward_add(struct net *n, const struct net_forward *f);
bool net_forward_remove(struct net *n, const struct net_forward *f);

#endif
