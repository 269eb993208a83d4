/* usernet_internal.h - what the files of the computed network share: usernet*.c only. */
#ifndef TANDEM_DEVTHREAD_USERNET_INTERNAL_H
#define TANDEM_DEVTHREAD_USERNET_INTERNAL_H

#include "devthread/usernet.h"

#include <string.h>

enum {
    ETHER_BYTES = 14,
    IP_BYTES = 20, /* of ours: without options */
    UDP_BYTES = 8,
    PORT_DNS = 53,
    PORT_DHCP_SERVER = 67,
    PORT_DHCP_CLIENT = 68,
    PORT_TFTP = 69,
};

struct usernet_file {
    char *name; /* below the directory, without a slash in front */
    uint8_t *data;
    uint32_t bytes;
};

struct usernet {
    struct usernet_state st;
    struct net_user cfg; /* strings are the caller's until create returns */
    char bootfile[128], hostname[64];
    struct usernet_file *file; /* by name */
    unsigned nfiles;
    uint64_t hash;
};

/* A datagram of the guest's, checked: lengths hold, and checksums. */
struct usernet_datagram {
    const uint8_t *mac;  /* who sent it */
    const uint8_t *data; /* behind the UDP header */
    uint32_t bytes;
    uint32_t source, destination; /* addresses */
    uint16_t source_port, destination_port;
    uint64_t now_ns;
};

static inline uint16_t be16_get(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t be32_get(const uint8_t *p)
{
    return (uint32_t)be16_get(p) << 16 | be16_get(p + 2);
}

static inline void be16_put(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void be32_put(uint8_t *p, uint32_t v)
{
    be16_put(p, v >> 16);
    be16_put(p + 2, v);
}

/* Data of the largest datagram that is sent in one piece. */
#define USERNET_DATA_BYTES (1500 - IP_BYTES - UDP_BYTES)

/* Sends `bytes` of data from `port` of the host (or from d's destination, if that is one of ours) to an
 * address at a MAC address; it is on its way once d has been here for USERNET_TURN_NS. */
void usernet_send_udp(struct usernet *n, const struct usernet_datagram *d, const uint8_t mac[6], uint32_t to,
                      uint16_t to_port, const uint8_t *data, uint32_t bytes);

void usernet_dhcp(struct usernet *n, const struct usernet_datagram *d);
void usernet_tftp(struct usernet *n, const struct usernet_datagram *d);
/* usernet_files.c: n->file and their part of n->hash. False: err says why. */
bool usernet_read_files(struct usernet *n, const char *dir, char *err, size_t err_bytes);
void usernet_free_files(struct usernet *n);

#endif
