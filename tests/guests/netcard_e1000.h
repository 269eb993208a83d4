/* netcard_e1000.h - a driver of the 82540EM (order 317453) with rings as short as they may be, so that they
 * wrap at every eighth descriptor. Receive buffers have 256 bytes: a long frame takes six of them. */
#ifndef TANDEM_TESTS_GUESTS_NETCARD_E1000_H
#define TANDEM_TESTS_GUESTS_NETCARD_E1000_H

#include "netcard.h"

#define E1000_DESCS  8u
#define E1000_BUFFER 256u
#define E1000_TX     0x400000u
#define E1000_RX     0x401000u
#define E1000_DATA   0x402000u

enum {
    E_CTRL = 0x0000,
    E_ICR = 0x00C0,
    E_IMS = 0x00D0,
    E_IMC = 0x00D8,
    E_RCTL = 0x0100,
    E_TCTL = 0x0400,
    E_RDBAL = 0x2800,
    E_RDLEN = 0x2808,
    E_RDH = 0x2810,
    E_RDT = 0x2818,
    E_TDBAL = 0x3800,
    E_TDLEN = 0x3808,
    E_TDH = 0x3810,
    E_TDT = 0x3818,
    E_RAL = 0x5400,
    E_RAH = 0x5404,
};

struct e_desc {
    uint32_t address, address_high;
    uint16_t bytes;
    uint8_t cso, command; /* of a received one: its checksum */
    volatile uint8_t status;
    uint8_t css;
    uint16_t special;
};

static unsigned e_rx_next, e_tx_next;

static volatile uint32_t *e_reg(unsigned at)
{
    return (volatile uint32_t *)(NETCARD_MEM + at);
}

static struct e_desc *e_tx(void)
{
    return (struct e_desc *)E1000_TX;
}

static struct e_desc *e_rx(void)
{
    return (struct e_desc *)E1000_RX;
}

static void e_rings(void)
{
    memset(e_tx(), 0, E1000_DESCS * sizeof(struct e_desc));
    memset(e_rx(), 0, E1000_DESCS * sizeof(struct e_desc));
    for (unsigned i = 0; i < E1000_DESCS; i++)
        e_rx()[i].address = E1000_DATA + i * E1000_BUFFER;
    *e_reg(E_TDBAL) = E1000_TX;
    *e_reg(E_TDLEN) = E1000_DESCS * sizeof(struct e_desc);
    *e_reg(E_RDBAL) = E1000_RX;
    *e_reg(E_RDLEN) = E1000_DESCS * sizeof(struct e_desc);
    e_rx_next = e_tx_next = 0;
    *e_reg(E_RDT) = E1000_DESCS - 1;
}

static void e1000_start(bool first)
{
    if (!first)
        *e_reg(E_CTRL) = 1u << 26; /* RST */
    *e_reg(E_IMC) = ~0u;
    (void)*e_reg(E_ICR);
    EXPECT_EQ(*e_reg(E_RAL), 0x12005452); /* the EEPROM's address */
    EXPECT_EQ(*e_reg(E_RAH), 0x80005634);
    *e_reg(E_CTRL) = 1u << 6; /* SLU */
    e_rings();
    *e_reg(E_RCTL) = 1u << 26 | 3u << 16 | 1u << 15 | 1u << 1; /* SECRC, BSIZE 256, BAM, EN */
    *e_reg(E_TCTL) = 1u << 3 | 1u << 1;                        /* PSP, EN */
    *e_reg(E_IMS) = 0x80 | 0x40 | 0x10 | 1;                    /* RXT0, RXO, RXDMT0, TXDW */
}

static void e1000_send(const struct piece *piece, unsigned n)
{
    struct e_desc *d = NULL;
    for (unsigned i = 0; i < n; i++) {
        d = e_tx() + e_tx_next;
        *d = (struct e_desc){.address = (uint32_t)piece[i].at,
                             .bytes = (uint16_t)piece[i].bytes,
                             .command = (uint8_t)(8 | 2 | (i + 1 == n))}; /* RS, IFCS, EOP */
        e_tx_next = (e_tx_next + 1) % E1000_DESCS;
    }
    *e_reg(E_TDT) = e_tx_next;
    while (!(d->status & 1)) {
    }
    EXPECT_EQ(*e_reg(E_TDH), e_tx_next);
}

static unsigned e1000_receive(uint8_t *frame, unsigned room)
{
    unsigned n = 0;
    if (!(e_rx()[e_rx_next].status & 1))
        return 0;
    for (;;) {
        struct e_desc *d = e_rx() + e_rx_next;
        const bool end = d->status & 2;
        while (!(d->status & 1)) {
        }
        EXPECT(end || d->bytes == E1000_BUFFER);
        if (n + d->bytes <= room)
            memcpy(frame + n, (void *)d->address, d->bytes);
        n += d->bytes;
        d->status = 0;
        e_rx_next = (e_rx_next + 1) % E1000_DESCS;
        if (!hold)
            *e_reg(E_RDT) = (e_rx_next + E1000_DESCS - 1) % E1000_DESCS;
        if (end)
            return n <= room ? n : 0;
    }
}

static uint32_t e1000_causes(void)
{
    return *e_reg(E_ICR);
}

/* A descriptor whose data are nowhere, one without data, and a ring that lies nowhere. */
static void e1000_break(void)
{
    for (unsigned i = 0; i < 2; i++) {
        e_tx()[e_tx_next] =
            (struct e_desc){.address = 0xF0000000u, .bytes = (uint16_t)(i ? 0 : 100), .command = 8 | 2 | 1};
        e_tx_next = (e_tx_next + 1) % E1000_DESCS;
    }
    *e_reg(E_TDT) = e_tx_next;
    const uint64_t end = rdtsc() + 100000;
    while (rdtsc() < end) {
    }
    *e_reg(E_TDBAL) = 0xF0000000u;
    *e_reg(E_TDT) = (e_tx_next + 3) % E1000_DESCS;
    *e_reg(E_RDBAL) = 0xFFFFFFF0u;
    *e_reg(E_RDT) = 0xFFFF;
}

static const struct netcard e1000_card = {0x100E8086u,  1,          0, e1000_start, e1000_send, e1000_receive,
                                          e1000_causes, e1000_break};

#endif
