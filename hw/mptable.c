/* mptable.c - MP specification 1.4, chapter 4.
 *
 * One processor, the PCI and the ISA bus, one I/O APIC with ID 0 as it is after reset, and virtual wire mode
 * (no IMCR): the 8259's INTR comes to LINT0 and to pin 0, ISA line 0 to pin 2 (pcintc.c). Lines 5, 9, 10
 * and 11 are level-triggered and active high: 9 is SCI's, and they are where PIRQ routing puts the PCI bus.
 * PCI interrupts have no entries: without firmware they are routed nowhere. */
#include "hw/mptable.h"

#include "hw/apic.h"
#include "hw/ioapic.h"

#include <string.h>

#define POINTER_BYTES 16
#define HEADER_BYTES  44
#define LEVEL_HIGH    0x0D /* po: active high, el: level */
#define LEVEL_LINES   (1u << 5 | 1u << 9 | 1u << 10 | 1u << 11)

enum { BUS_PCI, BUS_ISA };
enum { INT, NMI, SMI, EXTINT };

struct table {
    uint8_t *buf;
    size_t n;
    uint16_t entries;
};

static void put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static void put32(uint8_t *p, uint32_t v)
{
    put16(p, v);
    put16(p + 2, v >> 16);
}

static uint8_t checksum(const uint8_t *p, size_t n)
{
    uint8_t sum = 0;

    while (n--)
        sum += *p++;
    return (uint8_t)-sum;
}

/* An entry of `bytes`, zeroes behind its type. */
static uint8_t *entry(struct table *t, uint8_t type, size_t bytes)
{
    uint8_t *e = t->buf + t->n;

    memset(e, 0, bytes);
    e[0] = type;
    t->n += bytes;
    t->entries++;
    return e;
}

static void add_processor(struct table *t, uint32_t signature, uint32_t features)
{
    uint8_t *e = entry(t, 0, 20);

    e[2] = APIC_VERSION;
    e[3] = 3; /* enabled, the bootstrap processor */
    put32(e + 4, signature);
    put32(e + 8, features);
}

static void add_bus(struct table *t, uint8_t id, const char type[7])
{
    uint8_t *e = entry(t, 1, 8);

    e[1] = id;
    memcpy(e + 2, type, 6);
}

static void add_ioapic(struct table *t)
{
    uint8_t *e = entry(t, 2, 8);

    e[2] = IOAPIC_VERSION;
    e[3] = 1; /* enabled */
    put32(e + 4, IOAPIC_PAGE);
}

/* Types 3, to a pin of the I/O APIC, and 4, to LINTn of a local APIC. */
static void add_interrupt(struct table *t, uint8_t type, uint8_t kind, unsigned line, uint8_t to,
                          unsigned pin)
{
    uint8_t *e = entry(t, type, 8);

    e[1] = kind;
    put16(e + 2, kind == INT && (LEVEL_LINES >> line & 1) ? LEVEL_HIGH : 0);
    e[4] = BUS_ISA;
    e[5] = (uint8_t)line;
    e[6] = to;
    e[7] = (uint8_t)pin;
}

static void add_interrupts(struct table *t)
{
    for (unsigned line = 0; line < 16; line++)
        if (line != 2) /* the cascade */
            add_interrupt(t, 3, INT, line, 0, line == 0 ? 2 : line);
    add_interrupt(t, 4, EXTINT, 0, 0, 0);
    add_interrupt(t, 4, NMI, 0, 0xFF, 1);
}

static void put_header(uint8_t *h, const struct table *t)
{
    size_t length = t->n - POINTER_BYTES;

    memset(h, 0, HEADER_BYTES);
    memcpy(h, "PCMP", 4);
    put16(h + 4, (uint32_t)length);
    h[6] = 4;                                  /* 1.4 */
    memcpy(h + 8, "TANDEM  TANDEM PC   ", 20); /* OEM, product */
    put16(h + 34, t->entries);
    put32(h + 36, APIC_PAGE);
    h[7] = checksum(h, length);
}

static void put_pointer(uint8_t *p, uint32_t table_addr)
{
    memset(p, 0, POINTER_BYTES);
    memcpy(p, "_MP_", 4);
    put32(p + 4, table_addr);
    p[8] = 1; /* length, in units of 16 bytes */
    p[9] = 4;
    p[10] = checksum(p, POINTER_BYTES);
}

size_t mptable_build(uint8_t *buf, size_t bytes, uint32_t phys_base, uint32_t signature, uint32_t features)
{
    struct table t = {.buf = buf, .n = POINTER_BYTES + HEADER_BYTES};

    if (bytes < MPTABLE_BYTES_MAX || phys_base % 16)
        return 0;
    add_processor(&t, signature, features);
    add_bus(&t, BUS_PCI, "PCI   ");
    add_bus(&t, BUS_ISA, "ISA   ");
    add_ioapic(&t);
    add_interrupts(&t);
    put_header(buf + POINTER_BYTES, &t);
    put_pointer(buf, phys_base + POINTER_BYTES);
    return t.n;
}
