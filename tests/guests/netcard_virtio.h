/* netcard_virtio.h - a driver of the virtio network card, by its legacy registers and by the modern ones
 * (Virtual I/O Device 1.1, 4.1.4 and 5.1). What comes in goes to chains of two descriptors; what goes out
 * comes by turns from a chain and from an indirect table. Modern queues have eight descriptors. */
#ifndef TANDEM_TESTS_GUESTS_NETCARD_VIRTIO_H
#define TANDEM_TESTS_GUESTS_NETCARD_VIRTIO_H

#include "netcard.h"

#define V_QUEUE_BYTES 0x10000u
#define V_QUEUES      0x400000u
#define V_HEADERS     0x440000u /* a header for each receive buffer, and the one of what goes out */
#define V_BUFFERS     0x480000u
#define V_BUFFER      2048u
#define V_SIZE_MAX    256u
#define V_NEXT        1
#define V_WRITE       2
#define V_INDIRECT    4

struct v_desc {
    uint32_t address, address_high, bytes;
    uint16_t flags, next;
};

struct v_queue {
    unsigned number, size;
    struct v_desc *desc;
    volatile uint16_t *avail; /* flags, index, entries */
    volatile uint16_t *used;  /* flags, index, entries of eight bytes */
    uint16_t available, seen;
};

static struct v_queue v_rx, v_tx;
static struct v_desc v_table[NETCARD_PIECES + 1] __attribute__((aligned(16)));
static bool v_modern;
static unsigned v_header; /* its bytes */
static unsigned v_sent;

static inline void v_outw(uint16_t port, uint16_t v)
{
    __asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline uint16_t v_inw(uint16_t port)
{
    uint16_t v;
    __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
    return v;
}

static volatile uint32_t *v_reg32(unsigned at)
{
    return (volatile uint32_t *)(NETCARD_MEM + at);
}

static volatile uint16_t *v_reg16(unsigned at)
{
    return (volatile uint16_t *)(NETCARD_MEM + at);
}

static volatile uint8_t *v_reg8(unsigned at)
{
    return (volatile uint8_t *)(NETCARD_MEM + at);
}

static unsigned v_status(void)
{
    return v_modern ? *v_reg8(0x14) : inb(NETCARD_IO + 0x12);
}

static void v_status_set(unsigned v)
{
    if (v_modern)
        *v_reg8(0x14) = (uint8_t)v;
    else
        outb(NETCARD_IO + 0x12, (uint8_t)v);
}

static void v_notify(const struct v_queue *q)
{
    if (v_modern)
        *v_reg16(0x3000) = (uint16_t)q->number;
    else
        v_outw(NETCARD_IO + 0x10, (uint16_t)q->number);
}

/* The legacy layout; the modern registers take it, too (2.6.2). */
static void v_lay_out(struct v_queue *q, unsigned number, unsigned size)
{
    const uint32_t at = V_QUEUES + number * V_QUEUE_BYTES;
    memset((void *)at, 0, V_QUEUE_BYTES);
    *q = (struct v_queue){.number = number, .size = size, .desc = (struct v_desc *)at};
    q->avail = (volatile uint16_t *)(at + 16 * size);
    q->used = (volatile uint16_t *)((at + 18 * size + 6 + 4095) & ~4095u);
}

static void v_queue_start(struct v_queue *q, unsigned number)
{
    if (!v_modern) {
        v_outw(NETCARD_IO + 0x0E, (uint16_t)number);
        v_lay_out(q, number, v_inw(NETCARD_IO + 0x0C));
        EXPECT(q->size > 0 && q->size <= V_SIZE_MAX);
        outl(NETCARD_IO + 0x08, (uint32_t)q->desc / 4096);
        return;
    }
    *v_reg16(0x16) = (uint16_t)number;
    *v_reg16(0x18) = 8;
    v_lay_out(q, number, *v_reg16(0x18));
    EXPECT_EQ(q->size, 8);
    *v_reg32(0x20) = (uint32_t)q->desc;
    *v_reg32(0x28) = (uint32_t)q->avail;
    *v_reg32(0x30) = (uint32_t)q->used;
    *v_reg16(0x1C) = 1;
}

static void v_offer(struct v_queue *q, unsigned head)
{
    q->avail[2 + q->available % q->size] = (uint16_t)head;
    __asm__ volatile("" : : : "memory");
    q->avail[1] = ++q->available;
    __asm__ volatile("" : : : "memory");
    v_notify(q);
}

static uint32_t v_header_at(unsigned chain)
{
    return V_HEADERS + 16 * chain;
}

static void v_offer_all(void)
{
    for (unsigned i = 0; i + 1 < v_rx.size; i += 2) {
        v_rx.desc[i] = (struct v_desc){v_header_at(i / 2), 0, v_header, V_WRITE | V_NEXT, (uint16_t)(i + 1)};
        v_rx.desc[i + 1] = (struct v_desc){V_BUFFERS + i / 2 * V_BUFFER, 0, V_BUFFER, V_WRITE, 0};
        v_offer(&v_rx, i);
    }
}

static void v_features(void)
{
    const uint32_t wanted = 1u << 28 | 1u << 5; /* INDIRECT_DESC, MAC */
    if (!v_modern) {
        EXPECT_EQ(inl(NETCARD_IO) & wanted, wanted);
        outl(NETCARD_IO + 4, wanted);
        return;
    }
    *v_reg32(0x08) = 0, *v_reg32(0x0C) = wanted;
    *v_reg32(0x08) = 1, *v_reg32(0x0C) = 1; /* VERSION_1 */
    v_status_set(3 | 8);
    EXPECT_EQ(v_status(), 11);
}

static void v_start(bool modern)
{
    v_modern = modern;
    v_header = modern ? 12 : 10;
    v_status_set(0);
    EXPECT_EQ(v_status(), 0);
    v_status_set(1 | 2);
    v_features();
    v_queue_start(&v_rx, 0);
    v_queue_start(&v_tx, 1);
    v_status_set(v_status() | 4);
    v_offer_all();
}

static void virtio_start_legacy(bool first)
{
    (void)first;
    v_start(false);
}

static void virtio_start_modern(bool first)
{
    (void)first;
    v_start(true);
}

static void virtio_send(const struct piece *piece, unsigned n)
{
    const bool indirect = v_sent++ & 1;
    struct v_desc *d = indirect ? v_table : v_tx.desc;
    memset((void *)v_header_at(V_SIZE_MAX), 0, v_header);
    d[0] = (struct v_desc){v_header_at(V_SIZE_MAX), 0, v_header, V_NEXT, 1};
    for (unsigned i = 0; i < n; i++)
        d[1 + i] = (struct v_desc){(uint32_t)piece[i].at, 0, piece[i].bytes, i + 1 < n ? V_NEXT : 0,
                                   (uint16_t)(2 + i)};
    if (indirect)
        v_tx.desc[v_tx.size - 1] = (struct v_desc){(uint32_t)v_table, 0, (1 + n) * sizeof *d, V_INDIRECT, 0};
    v_offer(&v_tx, indirect ? v_tx.size - 1 : 0);
    while (v_tx.used[1] != v_tx.available) {
    }
}

static unsigned virtio_receive(uint8_t *frame, unsigned room)
{
    if (v_rx.seen == v_rx.used[1])
        return 0;
    const volatile uint32_t *entry = (const volatile uint32_t *)(v_rx.used + 2) + 2 * (v_rx.seen % v_rx.size);
    const unsigned head = entry[0], n = entry[1] - v_header;
    EXPECT(head < v_rx.size && head % 2 == 0);
    if (head < v_rx.size && n <= room)
        memcpy(frame, (void *)v_rx.desc[head + 1].address, n);
    v_rx.seen++;
    if (!hold)
        v_offer(&v_rx, head);
    return n <= room ? n : 0;
}

static uint32_t virtio_causes(void)
{
    return v_modern ? *v_reg8(0x1000) : inb(NETCARD_IO + 0x13);
}

/* A chain without an end: the card cannot go on, and says so (2.1.2). */
static void virtio_break(void)
{
    v_tx.desc[0] = (struct v_desc){v_header_at(V_SIZE_MAX), 0, 100, V_NEXT, 0};
    v_offer(&v_tx, 0);
    while (!(v_status() & 64)) {
    }
}

static const struct netcard virtio_legacy_card = {
    0x10001AF4u, 0, 4, virtio_start_legacy, virtio_send, virtio_receive, virtio_causes, virtio_break};
static const struct netcard virtio_modern_card = {
    0x10001AF4u, 0, 4, virtio_start_modern, virtio_send, virtio_receive, virtio_causes, virtio_break};

#endif
