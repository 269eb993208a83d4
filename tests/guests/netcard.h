/* netcard.h - what the drivers of net.c share: PCI configuration, the card's interrupt, and how a driver is
 * called. */
#ifndef TANDEM_TESTS_GUESTS_NETCARD_H
#define TANDEM_TESTS_GUESTS_NETCARD_H

#include "rt.h"

#define NETCARD_IRQ    11
#define NETCARD_MEM    0xE0000000u /* no firmware has placed the card's BARs */
#define NETCARD_IO     0xC000u
#define NETCARD_PIECES 5 /* of a frame that is sent from several places */

struct piece {
    const uint8_t *at;
    unsigned bytes;
};

struct netcard {
    uint32_t vendor_device;
    unsigned io_bar, mem_bar;
    void (*start)(bool first);
    /* Waits until the frame has left. */
    void (*send)(const struct piece *piece, unsigned n);
    unsigned (*receive)(uint8_t *frame, unsigned room); /* 0: nothing is there */
    uint32_t (*causes)(void);                           /* of an interrupt; the line falls */
    void (*break_ring)(void);                           /* does what no driver may do */
};

static bool hold; /* received buffers are not given back */

static uint32_t function_of_card; /* as CF8h takes it */

static inline uint32_t config(uint32_t function, uint32_t reg)
{
    outl(0xCF8, 0x80000000u | function | reg);
    return inl(0xCFC);
}

static inline void config_set(uint32_t function, uint32_t reg, uint32_t v)
{
    outl(0xCF8, 0x80000000u | function | reg);
    outl(0xCFC, v);
}

static inline bool find_card(const struct netcard *c)
{
    for (uint32_t f = 0; f < 0x10000; f += 0x100)
        if (config(f, 0) == c->vendor_device) {
            function_of_card = f;
            config_set(f, 0x10 + 4 * c->io_bar, NETCARD_IO);
            if (c->mem_bar != c->io_bar)
                config_set(f, 0x10 + 4 * c->mem_bar, NETCARD_MEM);
            config_set(f, 4, 7);
            return true;
        }
    return false;
}

/* 82371SB: PIRQRC[A:D] and ELCR. All four pins go to one line, a level. */
static inline void route_card(isr_fn isr)
{
    config_set(0x0800, 0x60, NETCARD_IRQ * 0x01010101u);
    outb(0x4D1, 1u << (NETCARD_IRQ - 8));
    set_isr(IRQ_BASE + NETCARD_IRQ, isr);
    irq_mask_all();
    irq_unmask(NETCARD_IRQ);
}

#endif
