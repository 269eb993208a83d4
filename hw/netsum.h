/* netsum.h - the Internet checksum (RFC 1071), and what network cards check of frames that come in.
 *
 * A sum is a number whose ones' complement sum of 16-bit big-endian words is wanted: it is folded at the end.
 * Threads: pure functions. Frames are hostile: any bytes and any length are good. */
#ifndef TANDEM_HW_NETSUM_H
#define TANDEM_HW_NETSUM_H

#include <stdbool.h>
#include <stdint.h>

#define NETSUM_ETHER_HEADER 14u

/* Adds `bytes` bytes; the first one is the upper half of a word. */
uint64_t netsum_add(uint64_t sum, const uint8_t *p, uint32_t bytes);
/* The 16-bit ones' complement sum. */
uint16_t netsum_fold(uint64_t sum);

static inline uint16_t netsum_get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline void netsum_put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

/* What was found in a frame. */
struct netsum_check {
    bool ip, ip_good; /* an IPv4 header; its checksum is good */
    bool l4, l4_good; /* a whole TCP or UDP packet with a checksum; it is good */
};
/* An Ethernet frame without FCS; one VLAN tag may be there. */
struct netsum_check netsum_check(const uint8_t *frame, uint32_t bytes);

#endif
