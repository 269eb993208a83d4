/* usernet.h - the network of -nic user,restrict=on without forwards: computed, a part of the machine.
 *
 * One host at `host` and a name server at `dns`, on a wire of 1 Gbit/s with the guest. What they answer is a
 * function of the guest's frames and of when they came (backend.h: a computed back end): no socket, no clock,
 * no random number. Its state is one struct with a table, in snapshots and digests.
 *
 * Services, with what they follow: ARP (RFC 826) for both addresses; ICMP echo (RFC 792) at both; DHCP (RFC
 * 2131, options of RFC 2132) and BOOTP, leases from `dhcp_start` on; TFTP reads (RFC 1350, options of RFC
 * 2347 to 2349) of the files in a directory, which are read when the machine is made and known by their hash;
 * DNS queries are refused (RFC 1035, RCODE 5); TCP to anywhere is reset (RFC 9293, 3.5.2), so that programs
 * do not wait for what is not there. NOT MODELLED: fragments, IP options (skipped), IPv6, TFTP writes and
 * retransmission (the client's duty is enough), more than USERNET_SESSIONS transfers at once (the oldest
 * ends), end of leases.
 *
 * Threads: the holder of the baton; create and destroy alone. Errors: create; guests' frames are hostile and
 * never fail: what is no question that a service knows gets no answer. */
#ifndef TANDEM_DEVTHREAD_USERNET_H
#define TANDEM_DEVTHREAD_USERNET_H

#include "devthread/backend.h"
#include "devthread/net.h"

#define USERNET_SLOTS       64   /* frames on their way to the guest; more are dropped */
#define USERNET_FRAME_BYTES 1536 /* longest frame of ours */
#define USERNET_LEASES      16
#define USERNET_SESSIONS    8
#define USERNET_FILES_MAX   1024
#define USERNET_FILES_BYTES (512u << 20) /* of all files together */
#define USERNET_TURN_NS     20000        /* a server's answer on a local network: from its wire to its wire */
#define USERNET_BYTE_NS     8            /* 1 Gbit/s */
#define USERNET_GAP_BYTES   24           /* preamble, check sequence and gap of each frame (IEEE 802.3) */

struct usernet_session {
    uint64_t used_ns;     /* of its last datagram */
    uint32_t peer;        /* address; 0: the session is free */
    uint32_t file;        /* its number */
    uint32_t block;       /* the last that was sent, counted from 1; 0: OACK */
    uint32_t block_bytes; /* of a block that is not the last */
    uint16_t port;        /* the peer's */
    uint8_t mac[6];       /* likewise */
};

struct usernet_state {
    uint64_t due_ns[USERNET_SLOTS]; /* of a frame on its way: when it is there */
    uint64_t lease[USERNET_LEASES]; /* who has address dhcp_start + i: a MAC address; 0: nobody */
    uint64_t wire_free_ns;          /* when the wire to the guest has carried all */
    uint64_t dropped;               /* frames that found no slot */
    uint32_t bytes[USERNET_SLOTS];  /* of a frame on its way */
    uint32_t head, count;           /* slots that are taken, a ring */
    uint32_t ip_id;                 /* of the next datagram */
    uint32_t reserved;              /* always 0 */
    struct usernet_session session[USERNET_SESSIONS];
    uint8_t frame[USERNET_SLOTS * USERNET_FRAME_BYTES]; /* bytes that hold nothing are 0 */
};

struct usernet;

/* Reads the files of u->tftp. NULL: err says why. */
struct usernet *usernet_create(const struct net_user *u, char *err, size_t err_bytes);
void usernet_destroy(struct usernet *n); /* NULL is fine */
/* Of all that its answers depend on besides what the guest sends. */
uint64_t usernet_hash(const struct usernet *n);
uint64_t usernet_dropped(const struct usernet *n);
extern const struct backend_computed usernet_backend; /* ctx: struct usernet */
/* For tests: the table. */
extern const struct field usernet_fields[];
extern const size_t usernet_nfields;

#endif
