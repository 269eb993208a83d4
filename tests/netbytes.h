/* netbytes.h - numbers in network order, and the Internet checksum, for the tests' frames: freestanding
 * guests (tests/guests/netstack.h) and programs of the host (tests/unit/devthread/netframes.h). */
#ifndef TANDEM_TESTS_NETBYTES_H
#define TANDEM_TESTS_NETBYTES_H

#include <stdint.h>

static inline uint32_t be16(const uint8_t *p)
{
    return (uint32_t)(p[0] << 8 | p[1]);
}

static inline uint32_t be32(const uint8_t *p)
{
    return be16(p) << 16 | be16(p + 2);
}

static inline void to_be16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void to_be32(uint8_t *p, uint32_t v)
{
    to_be16(p, v >> 16);
    to_be16(p + 2, v);
}

/* RFC 1071, with what has been summed up before; not yet inverted. */
static inline uint32_t sum_be16(const uint8_t *p, uint32_t bytes, uint32_t sum)
{
    for (uint32_t i = 0; i < bytes; i++)
        sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xFFFF) + (sum >> 16);
    return sum;
}

#endif
