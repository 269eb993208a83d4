/* usernet.c - see usernet.h: frames in and out, ARP, ICMP, and what is refused. DHCP, TFTP and the files are
 * in usernet_*.c. */
#include "devthread/usernet_internal.h"

#include "clockcore/ticks.h"

#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#define TYPE_IP  0x0800
#define TYPE_ARP 0x0806

enum { PROTOCOL_ICMP = 1, PROTOCOL_TCP = 6, PROTOCOL_UDP = 17 };
enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_ACK = 16, TCP_BYTES = 20 };

_Static_assert(USERNET_TURN_NS >= BACKEND_COMPUTED_NS, "answers come later than their questions");
_Static_assert(ETHER_BYTES + IP_BYTES + UDP_BYTES + USERNET_DATA_BYTES <= USERNET_FRAME_BYTES,
               "a slot's size");

/* --- frames on their way to the guest --- */

/* A slot for a frame that leaves USERNET_TURN_NS after now_ns, behind those before it; NULL: none is free. */
static uint8_t *slot_take(struct usernet_state *s, uint32_t bytes, uint64_t now_ns)
{
    const uint64_t start_ns =
        now_ns + USERNET_TURN_NS > s->wire_free_ns ? now_ns + USERNET_TURN_NS : s->wire_free_ns;

    if (s->count == USERNET_SLOTS) {
        s->dropped++;
        return NULL;
    }
    const uint32_t slot = (s->head + s->count++) % USERNET_SLOTS;
    s->wire_free_ns = start_ns + (uint64_t)(bytes + USERNET_GAP_BYTES) * USERNET_BYTE_NS;
    s->due_ns[slot] = s->wire_free_ns;
    s->bytes[slot] = bytes;
    return s->frame + (size_t)slot * USERNET_FRAME_BYTES;
}

static uint64_t next_ns(const void *ctx)
{
    const struct usernet_state *s = &((const struct usernet *)ctx)->st;

    return s->count ? s->due_ns[s->head] : NS_NEVER;
}

static uint32_t take(void *ctx, uint8_t *entry)
{
    struct usernet_state *s = &((struct usernet *)ctx)->st;
    const uint32_t slot = s->head, bytes = s->count ? s->bytes[slot] : 0;

    if (!s->count)
        return 0;
    memcpy(entry, s->frame + (size_t)slot * USERNET_FRAME_BYTES, bytes);
    memset(s->frame + (size_t)slot * USERNET_FRAME_BYTES, 0, bytes);
    s->due_ns[slot] = s->bytes[slot] = 0;
    s->head = (s->head + 1) % USERNET_SLOTS;
    s->count--;
    return bytes;
}

/* The hosts' MAC addresses are made from their IP addresses. */
static void put_mac(uint8_t mac[6], uint32_t address)
{
    be16_put(mac, 0x5255);
    be32_put(mac + 2, address);
}

static void put_ether(uint8_t *f, const uint8_t to[6], uint32_t from, uint16_t type)
{
    memcpy(f, to, 6);
    put_mac(f + 6, from);
    be16_put(f + 12, type);
}

/* RFC 1071. */
static uint16_t checksum(const uint8_t *p, uint32_t bytes, uint32_t sum)
{
    for (; bytes > 1; bytes -= 2, p += 2)
        sum += be16_get(p);
    if (bytes)
        sum += (uint32_t)*p << 8;
    while (sum >> 16)
        sum = (sum & 0xFFFF) + (sum >> 16);
    return (uint16_t)~sum;
}

static uint32_t pseudo_header_sum(uint32_t from, uint32_t to, unsigned protocol, uint32_t bytes)
{
    return (from >> 16) + (from & 0xFFFF) + (to >> 16) + (to & 0xFFFF) + protocol + bytes;
}

/* Ethernet and IP headers for `bytes` behind them; returns where those go. NULL: dropped. */
static uint8_t *begin_ip(struct usernet *n, const uint8_t mac[6], uint32_t from, uint32_t to,
                         unsigned protocol, uint32_t bytes, uint64_t now_ns)
{
    uint8_t *f = slot_take(&n->st, ETHER_BYTES + IP_BYTES + bytes, now_ns);

    if (!f)
        return NULL;
    put_ether(f, mac, (from & n->cfg.mask) == n->cfg.net ? from : n->cfg.host, TYPE_IP);
    uint8_t *ip = f + ETHER_BYTES;
    ip[0] = 0x45;
    be16_put(ip + 2, IP_BYTES + bytes);
    be16_put(ip + 4, n->st.ip_id++);
    ip[8] = 64;
    ip[9] = (uint8_t)protocol;
    be32_put(ip + 12, from);
    be32_put(ip + 16, to);
    be16_put(ip + 10, checksum(ip, IP_BYTES, 0));
    return ip + IP_BYTES;
}

static bool is_ours(const struct usernet *n, uint32_t address)
{
    return address == n->cfg.host || address == n->cfg.dns;
}

void usernet_send_udp(struct usernet *n, const struct usernet_datagram *d, const uint8_t mac[6], uint32_t to,
                      uint16_t to_port, const uint8_t *data, uint32_t bytes)
{
    const uint32_t from = is_ours(n, d->destination) ? d->destination : n->cfg.host;
    uint8_t *udp = begin_ip(n, mac, from, to, PROTOCOL_UDP, UDP_BYTES + bytes, d->now_ns);

    if (!udp)
        return;
    be16_put(udp, d->destination_port);
    be16_put(udp + 2, to_port);
    be16_put(udp + 4, UDP_BYTES + bytes);
    memcpy(udp + UDP_BYTES, data, bytes);
    const uint16_t sum =
        checksum(udp, UDP_BYTES + bytes, pseudo_header_sum(from, to, PROTOCOL_UDP, UDP_BYTES + bytes));
    be16_put(udp + 6, sum ? sum : 0xFFFF); /* RFC 768: 0 is no checksum */
}

/* --- what the guest sends --- */

static void arp(struct usernet *n, const uint8_t *f, uint32_t bytes, uint64_t now_ns)
{
    static const uint8_t request[8] = {0, 1, 8, 0, 6, 4, 0, 1};
    const uint8_t *q = f + ETHER_BYTES;

    if (bytes < ETHER_BYTES + 28 || memcmp(q, request, sizeof request) != 0 || !is_ours(n, be32_get(q + 24)))
        return;
    const uint32_t address = be32_get(q + 24);
    uint8_t *a = slot_take(&n->st, 60, now_ns);
    if (!a)
        return;
    put_ether(a, f + 6, address, TYPE_ARP);
    a += ETHER_BYTES;
    memcpy(a, request, sizeof request);
    a[7] = 2; /* a reply */
    put_mac(a + 8, address);
    be32_put(a + 14, address);
    memcpy(a + 18, q + 8, 10); /* the guest's two addresses */
}

/* An IP packet whose lengths and header checksum hold. */
struct packet {
    const uint8_t *mac;  /* who sent it */
    const uint8_t *data; /* behind the IP header */
    uint32_t bytes;
    uint32_t source, destination;
    uint64_t now_ns;
};

static void icmp(struct usernet *n, const struct packet *p)
{
    if (p->bytes < 8 || p->bytes > 1500 - IP_BYTES || p->data[0] != 8 || p->data[1] != 0 ||
        !is_ours(n, p->destination) || checksum(p->data, p->bytes, 0) != 0)
        return;
    uint8_t *a = begin_ip(n, p->mac, p->destination, p->source, PROTOCOL_ICMP, p->bytes, p->now_ns);
    if (!a)
        return;
    memcpy(a, p->data, p->bytes);
    a[0] = 0; /* echo reply */
    be16_put(a + 2, 0);
    be16_put(a + 2, checksum(a, p->bytes, 0));
}

/* RFC 9293, 3.10.7.1: a connection that does not exist. */
static void tcp(struct usernet *n, const struct packet *p)
{
    const uint8_t *q = p->data;
    const uint32_t header = p->bytes >= TCP_BYTES ? (uint32_t)(q[12] >> 4) * 4 : 0;

    if (header < TCP_BYTES || header > p->bytes || q[13] & TCP_RST ||
        checksum(q, p->bytes, pseudo_header_sum(p->source, p->destination, PROTOCOL_TCP, p->bytes)) != 0)
        return;
    uint8_t *a = begin_ip(n, p->mac, p->destination, p->source, PROTOCOL_TCP, TCP_BYTES, p->now_ns);
    if (!a)
        return;
    memcpy(a, q + 2, 2);
    memcpy(a + 2, q, 2);
    const uint32_t length = p->bytes - header + (q[13] & TCP_SYN ? 1 : 0) + (q[13] & TCP_FIN ? 1 : 0);
    if (q[13] & TCP_ACK)
        memcpy(a + 4, q + 8, 4); /* the sequence number that the guest expects */
    else
        be32_put(a + 8, be32_get(q + 4) + length);
    a[12] = TCP_BYTES / 4 << 4;
    a[13] = q[13] & TCP_ACK ? TCP_RST : TCP_RST | TCP_ACK;
    be16_put(a + 16,
             checksum(a, TCP_BYTES, pseudo_header_sum(p->destination, p->source, PROTOCOL_TCP, TCP_BYTES)));
}

/* The question goes back as it came, with the answer that nobody here knows. */
static void dns(struct usernet *n, const struct usernet_datagram *d)
{
    uint8_t answer[USERNET_DATA_BYTES];

    if (d->bytes < 12 || d->bytes > sizeof answer || d->data[2] & 0x80)
        return;
    memcpy(answer, d->data, d->bytes);
    answer[2] = (uint8_t)((d->data[2] & 0x79) | 0x80); /* a response; opcode and RD as asked */
    answer[3] = 5;                                     /* refused */
    usernet_send_udp(n, d, d->mac, d->source, d->source_port, answer, d->bytes);
}

static void udp(struct usernet *n, const struct packet *p)
{
    const uint8_t *q = p->data;
    const uint32_t bytes = p->bytes >= UDP_BYTES ? be16_get(q + 4) : 0;

    if (bytes < UDP_BYTES || bytes > p->bytes ||
        (be16_get(q + 6) &&
         checksum(q, bytes, pseudo_header_sum(p->source, p->destination, PROTOCOL_UDP, bytes)) != 0))
        return;
    const struct usernet_datagram d = {.mac = p->mac,
                                       .data = q + UDP_BYTES,
                                       .bytes = bytes - UDP_BYTES,
                                       .source = p->source,
                                       .destination = p->destination,
                                       .source_port = be16_get(q),
                                       .destination_port = be16_get(q + 2),
                                       .now_ns = p->now_ns};
    if (d.destination_port == PORT_DHCP_SERVER &&
        (d.destination == n->cfg.host || d.destination == UINT32_MAX))
        usernet_dhcp(n, &d);
    else if (d.destination_port == PORT_TFTP && d.destination == n->cfg.host)
        usernet_tftp(n, &d);
    else if (d.destination_port == PORT_DNS && d.destination == n->cfg.dns)
        dns(n, &d);
}

/* RFC 791; options are skipped, fragments are not for us. */
static void ip(struct usernet *n, const uint8_t *f, uint32_t bytes, uint64_t now_ns)
{
    const uint8_t *q = f + ETHER_BYTES;
    const uint32_t room = bytes - ETHER_BYTES;

    if (room < IP_BYTES || q[0] >> 4 != 4)
        return;
    const uint32_t header = (q[0] & 15u) * 4, total = be16_get(q + 2);
    if (header < IP_BYTES || header > total || total > room || be16_get(q + 6) & 0x3FFF ||
        checksum(q, header, 0) != 0)
        return;
    const struct packet p = {f + 6, q + header, total - header, be32_get(q + 12), be32_get(q + 16), now_ns};
    if (q[9] == PROTOCOL_UDP)
        udp(n, &p);
    else if (q[9] == PROTOCOL_ICMP)
        icmp(n, &p);
    else if (q[9] == PROTOCOL_TCP)
        tcp(n, &p);
}

/* A group's addresses but for the broadcast are nobody's here; neither is another card's. */
static bool is_for_us(const struct usernet *n, const uint8_t *mac)
{
    static const uint8_t broadcast[6] = {255, 255, 255, 255, 255, 255};

    return memcmp(mac, broadcast, 6) == 0 || (be16_get(mac) == 0x5255 && is_ours(n, be32_get(mac + 2)));
}

static void output(void *ctx, const uint8_t *entry, uint32_t bytes, uint64_t now_ns)
{
    struct usernet *n = ctx;

    if (bytes < ETHER_BYTES || !is_for_us(n, entry))
        return;
    if (be16_get(entry + 12) == TYPE_ARP)
        arp(n, entry, bytes, now_ns);
    else if (be16_get(entry + 12) == TYPE_IP)
        ip(n, entry, bytes, now_ns);
}

/* --- its state --- */

const struct field usernet_fields[] = {
    FIELD_ARRAY(struct usernet_state, due_ns),
    FIELD_ARRAY(struct usernet_state, lease),
    FIELD(struct usernet_state, wire_free_ns),
    FIELD(struct usernet_state, dropped),
    FIELD_ARRAY(struct usernet_state, bytes),
    FIELD_MAX(struct usernet_state, head, USERNET_SLOTS - 1),
    FIELD_MAX(struct usernet_state, count, USERNET_SLOTS),
    FIELD(struct usernet_state, ip_id),
    FIELD(struct usernet_state, reserved),
    FIELD_COLUMN(struct usernet_state, session, used_ns),
    FIELD_COLUMN(struct usernet_state, session, peer),
    FIELD_COLUMN(struct usernet_state, session, file),
    FIELD_COLUMN(struct usernet_state, session, block),
    FIELD_COLUMN(struct usernet_state, session, block_bytes),
    FIELD_COLUMN(struct usernet_state, session, port),
    FIELD_COLUMN(struct usernet_state, session, mac[0]),
    FIELD_COLUMN(struct usernet_state, session, mac[1]),
    FIELD_COLUMN(struct usernet_state, session, mac[2]),
    FIELD_COLUMN(struct usernet_state, session, mac[3]),
    FIELD_COLUMN(struct usernet_state, session, mac[4]),
    FIELD_COLUMN(struct usernet_state, session, mac[5]),
    FIELD_ARRAY(struct usernet_state, frame),
};
const size_t usernet_nfields = sizeof usernet_fields / sizeof usernet_fields[0];

static void part(void *ctx, struct state_part *out)
{
    *out = (struct state_part){"network", usernet_fields, usernet_nfields, &((struct usernet *)ctx)->st};
}

static bool session_loaded(const struct usernet *n, const struct usernet_session *s)
{
    return !s->peer ||
           (s->file < n->nfiles && s->block_bytes >= 8 && s->block_bytes <= USERNET_DATA_BYTES - 4);
}

static bool loaded(void *ctx)
{
    const struct usernet *n = ctx;
    const struct usernet_state *s = &n->st;
    uint64_t last_ns = 0;

    for (uint32_t i = 0; i < s->count; i++) {
        const uint32_t slot = (s->head + i) % USERNET_SLOTS;
        if (s->bytes[slot] < ETHER_BYTES || s->bytes[slot] > USERNET_FRAME_BYTES ||
            s->due_ns[slot] <= last_ns)
            return false;
        last_ns = s->due_ns[slot];
    }
    for (unsigned i = 0; i < USERNET_SESSIONS; i++)
        if (!session_loaded(n, &s->session[i]))
            return false;
    return s->reserved == 0 && s->wire_free_ns < NS_NEVER / 2;
}

const struct backend_computed usernet_backend = {
    .output = output, .next_ns = next_ns, .take = take, .part = part, .loaded = loaded};

/* --- create --- */

static void hash_text(XXH3_state_t *x, const char *text)
{
    XXH3_64bits_update(x, text, strlen(text) + 1);
}

static bool hash_all(struct usernet *n)
{
    const struct net_user *c = &n->cfg;
    const uint32_t numbers[] = {c->net, c->mask, c->host, c->dhcp_start, c->dns};
    XXH3_state_t *x = XXH3_createState();

    if (!x)
        return false;
    XXH3_64bits_reset(x);
    XXH3_64bits_update(x, numbers, sizeof numbers);
    hash_text(x, n->bootfile);
    hash_text(x, n->hostname);
    for (unsigned i = 0; i < n->nfiles; i++) {
        const uint64_t h = XXH3_64bits(n->file[i].data, n->file[i].bytes);
        hash_text(x, n->file[i].name);
        XXH3_64bits_update(x, &h, sizeof h);
    }
    n->hash = XXH3_64bits_digest(x);
    XXH3_freeState(x);
    return true;
}

struct usernet *usernet_create(const struct net_user *u, char *err, size_t err_bytes)
{
    struct usernet *n = calloc(1, sizeof *n);

    if (!n) {
        snprintf(err, err_bytes, "no host memory for the network");
        return NULL;
    }
    n->cfg = *u;
    snprintf(n->bootfile, sizeof n->bootfile, "%s", u->bootfile ? u->bootfile : "");
    snprintf(n->hostname, sizeof n->hostname, "%s", u->hostname ? u->hostname : "");
    if ((!u->tftp || usernet_read_files(n, u->tftp, err, err_bytes)) && hash_all(n))
        return n;
    usernet_destroy(n);
    return NULL;
}

void usernet_destroy(struct usernet *n)
{
    if (!n)
        return;
    usernet_free_files(n);
    free(n);
}

uint64_t usernet_hash(const struct usernet *n)
{
    return n->hash;
}

uint64_t usernet_dropped(const struct usernet *n)
{
    return n->st.dropped;
}
