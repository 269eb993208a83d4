/* netsum.c - see netsum.h. RFC 1071 (the sum), 791 and 8200 (IP), 768 (UDP), 9293 (TCP). */
#include "hw/netsum.h"

#include <string.h>

#define TYPE_IPV4     0x0800
#define TYPE_IPV6     0x86DD
#define TYPE_VLAN     0x8100
#define VLAN_BYTES    4u
#define IPV4_BYTES    20u
#define IPV6_BYTES    40u
#define PROTO_TCP     6
#define PROTO_UDP     17
#define UDP_CHECKSUM  6u
#define FRAGMENT_MASK 0x3FFF /* more fragments, or an offset */

/* RFC 1071, 2(B): the sum does not depend on the order of bytes, so that whole words are added as the host
 * has them and only the result is turned. */
uint64_t netsum_add(uint64_t sum, const uint8_t *p, uint32_t bytes)
{
    uint64_t host = 0;
    uint32_t word;
    uint16_t half;

    for (; bytes >= 4; bytes -= 4, p += 4) {
        memcpy(&word, p, 4);
        host += word;
    }
    if (bytes >= 2) {
        memcpy(&half, p, 2);
        host += half;
        p += 2;
        bytes -= 2;
    }
    if (bytes)
        host += p[0];
    uint16_t folded = netsum_fold(host);
    return sum + (uint16_t)(folded << 8 | folded >> 8);
}

uint16_t netsum_fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xFFFF) + (sum >> 16);
    return (uint16_t)sum;
}

/* The addresses of the IP header are `addresses`; the packet's `bytes` begin at p. */
static void check_l4(struct netsum_check *c, const uint8_t *addresses, uint32_t address_bytes, uint8_t proto,
                     const uint8_t *p, uint32_t bytes)
{
    uint32_t least = proto == PROTO_TCP ? 20 : 8;

    if ((proto != PROTO_TCP && proto != PROTO_UDP) || bytes < least)
        return;
    if (proto == PROTO_UDP && netsum_get16(p + UDP_CHECKSUM) == 0)
        return; /* RFC 768: the sender made none */
    uint64_t sum = netsum_add((uint64_t)proto + bytes, addresses, address_bytes);
    c->l4 = true;
    c->l4_good = netsum_fold(netsum_add(sum, p, bytes)) == 0xFFFF;
}

static void check_ipv4(struct netsum_check *c, const uint8_t *p, uint32_t bytes)
{
    uint32_t header = (p[0] & 15) * 4u;
    uint32_t total = bytes >= IPV4_BYTES ? netsum_get16(p + 2) : 0;

    if (bytes < IPV4_BYTES || p[0] >> 4 != 4 || header < IPV4_BYTES || header > bytes)
        return;
    c->ip = true;
    c->ip_good = netsum_fold(netsum_add(0, p, header)) == 0xFFFF;
    if (total >= header && total <= bytes && !(netsum_get16(p + 6) & FRAGMENT_MASK))
        check_l4(c, p + 12, 8, p[9], p + header, total - header);
}

/* Extension headers are not followed. */
static void check_ipv6(struct netsum_check *c, const uint8_t *p, uint32_t bytes)
{
    if (bytes < IPV6_BYTES || p[0] >> 4 != 6 || netsum_get16(p + 4) > bytes - IPV6_BYTES)
        return;
    check_l4(c, p + 8, 32, p[6], p + IPV6_BYTES, netsum_get16(p + 4));
}

struct netsum_check netsum_check(const uint8_t *frame, uint32_t bytes)
{
    struct netsum_check c = {0};
    uint32_t at = NETSUM_ETHER_HEADER;

    if (bytes >= at + VLAN_BYTES && netsum_get16(frame + 12) == TYPE_VLAN)
        at += VLAN_BYTES;
    if (bytes <= at)
        return c;
    uint16_t type = netsum_get16(frame + at - 2);
    if (type == TYPE_IPV4)
        check_ipv4(&c, frame + at, bytes - at);
    else if (type == TYPE_IPV6)
        check_ipv6(&c, frame + at, bytes - at);
    return c;
}
