/* usernet_dhcp.c - DHCP (RFC 2131) and BOOTP (RFC 951) of the computed network: who has which address.
 *
 * Leases have no end: an address is its owner's until that is released. The answers carry no router and no
 * name server, for there is no way out of this network. */
#include "devthread/usernet_internal.h"

#include "clockcore/ticks.h"

enum { /* offsets in a message */
       OP = 0,
       XID = 4,
       FLAGS = 10,
       CIADDR = 12,
       YIADDR = 16,
       SIADDR = 20,
       CHADDR = 28,
       FILE_NAME = 108,
       FILE_NAME_BYTES = 128,
       COOKIE = 236,
       OPTIONS = 240,
       MESSAGE_BYTES = 300, /* the least that relays and clients expect (RFC 1542, 2.1) */
};

enum { DISCOVER = 1, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM };
enum { OPT_MASK = 1, OPT_HOSTNAME = 12, OPT_ADDRESS = 50, OPT_LEASE = 51, OPT_TYPE = 53, OPT_SERVER = 54 };

#define COOKIE_VALUE  0x63825363
#define LEASE_SECONDS 86400

struct request {
    uint8_t type;     /* DISCOVER and so on; 0: BOOTP */
    uint32_t address; /* that is asked for; 0: none */
    uint32_t server;  /* that was chosen; 0: none */
    uint32_t client;  /* that the client has already; 0: none */
    uint64_t mac;
};

static void read_option(struct request *r, uint8_t code, const uint8_t *v, uint8_t bytes)
{
    if (code == OPT_TYPE && bytes == 1)
        r->type = v[0];
    else if (code == OPT_ADDRESS && bytes == 4)
        r->address = be32_get(v);
    else if (code == OPT_SERVER && bytes == 4)
        r->server = be32_get(v);
}

static void read_options(struct request *r, const uint8_t *p, uint32_t bytes)
{
    while (bytes >= 2 && *p != 255) {
        const uint32_t length = *p ? 2u + p[1] : 1; /* 0 is padding */
        if (length > bytes)
            return;
        if (*p)
            read_option(r, p[0], p + 2, p[1]);
        p += length;
        bytes -= length;
    }
}

/* --- leases --- */

static int lease_of(const struct usernet_state *s, uint64_t mac)
{
    for (unsigned i = 0; i < USERNET_LEASES; i++)
        if (s->lease[i] == mac)
            return (int)i;
    return -1;
}

/* Of an address; -1: it is not one that is given away. */
static int lease_at(const struct usernet *n, uint32_t address)
{
    const uint32_t i = address - n->cfg.dhcp_start;

    if (i >= USERNET_LEASES || address == n->cfg.host || address == n->cfg.dns ||
        (address & n->cfg.mask) != n->cfg.net || address == (n->cfg.net | ~n->cfg.mask))
        return -1;
    return (int)i;
}

/* The client's own, the one that it asks for, or the first that is free; -1: there is none. */
static int lease_find(const struct usernet *n, const struct request *r)
{
    const int own = lease_of(&n->st, r->mac), asked = r->address ? lease_at(n, r->address) : -1;

    if (own >= 0)
        return own;
    if (asked >= 0 && !n->st.lease[asked])
        return asked;
    for (unsigned i = 0; i < USERNET_LEASES; i++)
        if (!n->st.lease[i] && lease_at(n, n->cfg.dhcp_start + i) >= 0)
            return (int)i;
    return -1;
}

/* --- answers --- */

static uint8_t *put_option(uint8_t *p, uint8_t code, const void *v, uint8_t bytes)
{
    p[0] = code;
    p[1] = bytes;
    memcpy(p + 2, v, bytes);
    return p + 2 + bytes;
}

static uint8_t *put_address(uint8_t *p, uint8_t code, uint32_t address)
{
    uint8_t v[4];

    be32_put(v, address);
    return put_option(p, code, v, 4);
}

static void put_options(const struct usernet *n, uint8_t type, uint8_t *p)
{
    be32_put(p, COOKIE_VALUE);
    p += 4;
    if (type)
        p = put_option(p, OPT_TYPE, &type, 1);
    if (type)
        p = put_address(p, OPT_SERVER, n->cfg.host);
    if (type != NAK) {
        p = put_address(p, OPT_MASK, n->cfg.mask);
        if (*n->hostname)
            p = put_option(p, OPT_HOSTNAME, n->hostname, (uint8_t)strlen(n->hostname));
    }
    if (type == OFFER || type == ACK)
        p = put_address(p, OPT_LEASE, LEASE_SECONDS);
    *p = 255;
}

/* RFC 2131, 4.1: where an answer goes. */
static void send(struct usernet *n, const struct usernet_datagram *d, uint8_t type, uint8_t *m)
{
    static const uint8_t broadcast[6] = {255, 255, 255, 255, 255, 255};
    const uint32_t client = be32_get(d->data + CIADDR), yours = be32_get(m + YIADDR);
    const bool all = type == NAK || (!client && (d->data[FLAGS] & 0x80 || !yours));

    usernet_send_udp(n, d, all ? broadcast : d->data + CHADDR,
                     all      ? UINT32_MAX
                     : client ? client
                              : yours,
                     PORT_DHCP_CLIENT, m, 4 * MESSAGE_BYTES / 3);
}

static void answer(struct usernet *n, const struct usernet_datagram *d, uint8_t type, uint32_t yours)
{
    uint8_t m[4 * MESSAGE_BYTES / 3] = {0}; /* with room for the options */

    m[OP] = 2; /* a reply */
    m[1] = 1;
    m[2] = 6;
    memcpy(m + XID, d->data + XID, 4);
    memcpy(m + FLAGS, d->data + FLAGS, 2);
    if (type != NAK)
        memcpy(m + CIADDR, d->data + CIADDR, 4);
    be32_put(m + YIADDR, yours);
    be32_put(m + SIADDR, type == NAK ? 0 : n->cfg.host);
    memcpy(m + CHADDR, d->data + CHADDR, 16);
    if (type != NAK)
        memcpy(m + FILE_NAME, n->bootfile, FILE_NAME_BYTES);
    put_options(n, type, m + COOKIE);
    send(n, d, type, m);
}
_Static_assert(sizeof((struct usernet *)0)->bootfile == FILE_NAME_BYTES, "the file's field");
_Static_assert(OPTIONS + 3 + 6 + 6 + 2 + sizeof((struct usernet *)0)->hostname + 6 + 1 <=
                   4 * MESSAGE_BYTES / 3,
               "options have room");

static void offer(struct usernet *n, const struct usernet_datagram *d, const struct request *r, uint8_t type)
{
    const int i = lease_find(n, r);

    if (i < 0)
        return;
    n->st.lease[i] = r->mac;
    answer(n, d, type, n->cfg.dhcp_start + (uint32_t)i);
}

/* One of ours, asked for by whom it was offered to, or by one who had it before and whom nobody else has
 * followed; else the client is told to begin again. */
static void request(struct usernet *n, const struct usernet_datagram *d, const struct request *r)
{
    const uint32_t wanted = r->address ? r->address : r->client;
    const int i = lease_at(n, wanted), own = lease_of(&n->st, r->mac);

    if (r->server && r->server != n->cfg.host)
        return;
    if (i < 0 || (n->st.lease[i] && n->st.lease[i] != r->mac)) {
        answer(n, d, NAK, 0);
        return;
    }
    if (own >= 0)
        n->st.lease[own] = 0;
    n->st.lease[i] = r->mac;
    answer(n, d, ACK, wanted);
}

static void release(struct usernet *n, const struct request *r)
{
    const int own = lease_of(&n->st, r->mac);

    if (own >= 0)
        n->st.lease[own] = 0;
}

void usernet_dhcp(struct usernet *n, const struct usernet_datagram *d)
{
    const uint8_t *q = d->data;
    struct request r = {0};

    if (d->bytes < OPTIONS || q[OP] != 1 || q[1] != 1 || q[2] != 6)
        return;
    r.mac = (uint64_t)be16_get(q + CHADDR) << 32 | be32_get(q + CHADDR + 2);
    r.client = be32_get(q + CIADDR);
    if (be32_get(q + COOKIE) == COOKIE_VALUE)
        read_options(&r, q + OPTIONS, d->bytes - OPTIONS);
    if (r.mac == 0)
        return;
    if (r.type == DISCOVER)
        offer(n, d, &r, OFFER);
    else if (r.type == REQUEST)
        request(n, d, &r);
    else if (r.type == INFORM)
        answer(n, d, ACK, 0);
    else if (r.type == RELEASE || r.type == DECLINE)
        release(n, &r);
    else if (r.type == 0)
        offer(n, d, &r, 0);
}
