/* netframes.h - frames as a guest's network stack makes them, for the tests of networks. */
#ifndef TANDEM_TESTS_DEVTHREAD_NETFRAMES_H
#define TANDEM_TESTS_DEVTHREAD_NETFRAMES_H

#include "tests/netbytes.h"

#include <stdint.h>
#include <string.h>

#define GUEST_IP 0x0A00020Fu
#define HOST_IP  0x0A000202u
#define DNS_IP   0x0A000203u

static const uint8_t guest_mac[6] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};

static inline void frame_ether(uint8_t *f, unsigned type)
{
    memset(f, 0xFF, 6);
    memcpy(f + 6, guest_mac, 6);
    to_be16(f + 12, type);
}

static inline uint32_t frame_arp(uint8_t f[60], uint32_t from, uint32_t to)
{
    memset(f, 0, 60);
    frame_ether(f, 0x0806);
    memcpy(f + 14, "\0\1\x08\0\6\4\0\1", 8);
    memcpy(f + 22, guest_mac, 6);
    to_be32(f + 28, from);
    to_be32(f + 38, to);
    return 60;
}

/* `bytes` behind the IP header are in place, at f + 34. */
static inline uint32_t frame_ip(uint8_t *f, uint32_t from, uint32_t to, unsigned protocol, uint32_t bytes)
{
    frame_ether(f, 0x0800);
    memset(f + 14, 0, 20);
    f[14] = 0x45;
    to_be16(f + 16, 20 + bytes);
    f[22] = 64;
    f[23] = (uint8_t)protocol;
    to_be32(f + 26, from);
    to_be32(f + 30, to);
    to_be16(f + 24, ~sum_be16(f + 14, 20, 0));
    return 34 + bytes;
}

/* The sum of an answer's TCP or UDP checksum with all that it covers: 0xFFFF where it is right. */
static inline uint32_t transport_sum(const uint8_t *f)
{
    const uint32_t bytes = be16(f + 16) - 20;
    return sum_be16(f + 34, bytes, sum_be16(f + 26, 8, 0) + f[23] + bytes);
}

static inline uint32_t frame_udp(uint8_t *f, uint32_t from, uint32_t to, unsigned from_port, unsigned to_port,
                                 const void *data, uint32_t bytes)
{
    to_be16(f + 34, from_port);
    to_be16(f + 36, to_port);
    to_be16(f + 38, 8 + bytes);
    to_be16(f + 40, 0);
    memmove(f + 42, data, bytes);
    return frame_ip(f, from, to, 17, 8 + bytes);
}

static inline uint32_t frame_tcp(uint8_t *f, uint32_t from, uint32_t to, unsigned from_port, unsigned to_port,
                                 uint32_t seq, unsigned flags)
{
    memset(f + 34, 0, 20);
    to_be16(f + 34, from_port);
    to_be16(f + 36, to_port);
    to_be32(f + 38, seq);
    f[46] = 0x50;
    f[47] = (uint8_t)flags;
    to_be16(f + 48, 8192);
    const uint32_t n = frame_ip(f, from, to, 6, 20);
    to_be16(f + 50, ~transport_sum(f));
    return n;
}

static inline uint32_t frame_dhcp(uint8_t *f, uint32_t client, unsigned type, uint32_t wanted,
                                  uint8_t mac_end)
{
    uint8_t m[300] = {1, 1, 6};
    memcpy(m + 4, "\x12\x34\x56\x78", 4);
    memcpy(m + 28, guest_mac, 6);
    m[33] = mac_end;
    to_be32(m + 12, client);
    to_be32(m + 236, 0x63825363);
    memcpy(m + 240, (uint8_t[]){53, 1, (uint8_t)type, 50, 4}, 5);
    to_be32(m + 245, wanted);
    m[249] = 255;
    if (!wanted)
        m[243] = 255;
    return frame_udp(f, client, 0xFFFFFFFFu, 68, 67, m, sizeof m);
}

#endif
