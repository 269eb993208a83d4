/* nic_test.h - what the tests of network cards share: memory, time, frames, and checksums of their own. */
#ifndef TANDEM_TESTS_NIC_TEST_H
#define TANDEM_TESTS_NIC_TEST_H

#include "hw_test.h"

#include "hw/port.h"
#include "mem/master.h"

#define FRAMES_MAX 64

static struct physmem pm;
static uint64_t now_ns;
static struct {
    uint32_t bytes;
    uint64_t at_ns;
    uint8_t data[PORT_ENTRY_BYTES];
} sent[FRAMES_MAX];
static unsigned nsent;

static inline void put(uint64_t at, const void *p, size_t n)
{
    cr_assert(physmem_write(&pm, at, p, n));
}

static inline void put32(uint64_t at, uint32_t v)
{
    put(at, &v, 4);
}

static inline uint32_t get32(uint64_t at)
{
    uint32_t v;

    cr_assert(physmem_read(&pm, at, &v, 4));
    return v;
}

/* Everything up to `ns`, as the bus does it: events, then memory, each at its own time. */
static inline void nic_run_to(const struct chip_class *c, const struct port_output *out, void *s, uint64_t ns)
{
    struct mem_master mm = {.pm = &pm};
    struct chip_master m = {.memory = &mm};

    for (unsigned n = 0;; n++) {
        uint64_t event = c->next_event ? c->next_event(s) : NS_NEVER, master = c->next_master(s);
        uint64_t next = event < master ? event : master;
        if (next > ns)
            break;
        cr_assert_lt(n, 100000, "%s does not come to rest", c->name);
        now_ns = next > now_ns ? next : now_ns;
        if (event <= now_ns)
            c->advance(s, now_ns);
        if (c->next_master(s) <= now_ns) {
            mem_masters_begin(&pm);
            c->master(s, &m, now_ns);
            mem_masters_end(&pm);
        }
        while (nsent < FRAMES_MAX && (sent[nsent].bytes = out->take(s, sent[nsent].data, PORT_ENTRY_BYTES)))
            sent[nsent++].at_ns = now_ns;
    }
    now_ns = ns > now_ns ? ns : now_ns;
}

/* The Internet checksum, word by word (RFC 1071, 4.1). */
static inline uint16_t sum16(const uint8_t *p, uint32_t n, uint32_t start)
{
    uint32_t sum = start;

    for (uint32_t i = 0; i < n; i++)
        sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
    while (sum > 0xFFFF)
        sum = (sum >> 16) + (sum & 0xFFFF);
    return (uint16_t)sum;
}

static inline uint32_t be16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t be32(const uint8_t *p)
{
    return be16(p) << 16 | be16(p + 2);
}

static inline void set16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

#define IP  14u
#define TCP 34u

/* An IPv4 frame of protocol `proto` with `data` bytes behind a header of 20 (TCP) or 8 bytes (UDP), without
 * checksums. Returns its length. */
static inline uint32_t make_frame(uint8_t *f, uint8_t proto, uint32_t data)
{
    static const uint8_t head[] = {0x52, 0x54, 0,    0x12, 0x34, 0x56, 2, 0, 0, 0,  0, 1, 8, 0,  0x45, 0, 0,
                                   0,    0x12, 0x34, 0x40, 0,    64,   0, 0, 0, 10, 0, 2, 2, 10, 0,    2, 15};
    uint32_t l4 = proto == 6 ? 20 : 8;

    memset(f, 0, IP + 20 + l4);
    memcpy(f, head, sizeof(head));
    f[IP + 9] = proto;
    set16(f + IP + 2, 20 + l4 + data);
    set16(f + TCP, 80);
    set16(f + TCP + 2, 4000);
    if (proto == 17)
        set16(f + TCP + 4, 8 + data);
    else {
        memcpy(f + TCP + 4, "\x01\x02\xFF\xF0\x0A\x0B\x0C\x0D\x50\x19\x20\x00", 12); /* ACK, PSH, FIN */
    }
    for (uint32_t i = 0; i < data; i++)
        f[TCP + l4 + i] = (uint8_t)(i * 7 + (i >> 8));
    return TCP + l4 + data;
}

static inline uint32_t l4_checksum_at(const uint8_t *f)
{
    return TCP + (f[IP + 9] == 6 ? 16 : 6);
}

/* The sum of the pseudo header, with a length or without. */
static inline uint16_t pseudo(const uint8_t *f, uint32_t bytes)
{
    return sum16(f + IP + 12, 8, f[IP + 9] + bytes);
}

/* Are both checksums good? */
static inline bool ip_is_good(const uint8_t *f)
{
    return sum16(f + IP, 20, 0) == 0xFFFF;
}

static inline bool l4_is_good(const uint8_t *f)
{
    uint32_t bytes = be16(f + IP + 2) - 20;

    return sum16(f + TCP, bytes, pseudo(f, bytes)) == 0xFFFF;
}

/* Fills both in. */
static inline void fill_checksums(uint8_t *f)
{
    uint32_t bytes = be16(f + IP + 2) - 20;

    set16(f + IP + 10, (uint16_t)~sum16(f + IP, 20, 0));
    set16(f + l4_checksum_at(f), (uint16_t)~sum16(f + TCP, bytes, pseudo(f, bytes)));
}

#endif
