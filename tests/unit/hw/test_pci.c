/* pci.c and router.c: sizing and moving BARs, what is decoded; pins, shared lines and routes. */
#include "hw/i440fx.h"
#include "hw/pc.h"
#include "hw/pci.h"
#include "hw/router.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct pci_reg regs[] = {
    {PCI_VENDOR, 0x34, 0},
    {PCI_COMMAND, 0, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER},
    {PCI_INTERRUPT_LINE, 0, 0xFF},
    {PCI_INTERRUPT_PIN, 1, 0},
};
static const struct pci_function fn = {
    .devfn = PCI_DEVFN(3, 0),
    .regs = regs,
    .nregs = sizeof(regs) / sizeof(regs[0]),
    .bar = {{.bytes = 0x1000}, {.bytes = 32, .io = true}, {0}, {.bytes = 0x80000000}},
};
static uint8_t cfg[PCI_CONFIG_BYTES];

static void setup(void)
{
    memset(cfg, 0xA5, sizeof(cfg));
    pci_reset(&fn, cfg);
}

TestSuite(pci, .init = setup);

static void put32(unsigned reg, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        pci_write(&fn, cfg, reg + i, (uint8_t)(v >> 8 * i));
}

static uint32_t get32(unsigned reg)
{
    return cfg[reg] | (uint32_t)cfg[reg + 1] << 8 | (uint32_t)cfg[reg + 2] << 16 |
           (uint32_t)cfg[reg + 3] << 24;
}

Test(pci, sizing)
{
    static const uint32_t sized[PCI_BARS] = {0xFFFFF000, 0xFFFFFFE1, 0, 0x80000000, 0, 0};

    for (unsigned n = 0; n < PCI_BARS; n++) {
        put32(PCI_BAR0 + 4 * n, UINT32_MAX);
        cr_expect_eq(get32(PCI_BAR0 + 4 * n), sized[n], "BAR %u", n);
        put32(PCI_BAR0 + 4 * n, 0);
        cr_expect_eq(get32(PCI_BAR0 + 4 * n), sized[n] & 1);
    }
    put32(0x28, UINT32_MAX); /* behind the BARs: nothing */
    cr_expect_eq(get32(0x28), 0);
    put32(0, UINT32_MAX);
    cr_expect_eq(get32(0), 0x34);
}

Test(pci, decoding_follows_value_and_command)
{
    uint32_t at;

    put32(PCI_BAR0, 0xE0001234);
    put32(PCI_BAR0 + 4, 0xC040);
    for (unsigned n = 0; n < PCI_BARS; n++)
        cr_expect_not(pci_bar_decoded(&fn, cfg, n, &at), "the command register is 0");
    pci_write(&fn, cfg, PCI_COMMAND, PCI_COMMAND_MEMORY);
    cr_expect(pci_bar_decoded(&fn, cfg, 0, &at));
    cr_expect_eq(at, 0xE0001000);
    cr_expect_not(pci_bar_decoded(&fn, cfg, 1, &at));
    cr_expect_not(pci_bar_decoded(&fn, cfg, 2, &at));
    cr_expect_not(pci_may_master(cfg));
    pci_write(&fn, cfg, PCI_COMMAND, 0xFF);
    cr_expect(pci_bar_decoded(&fn, cfg, 1, &at));
    cr_expect_eq(at, 0xC040);
    cr_expect(pci_may_master(cfg));
    put32(PCI_BAR0 + 4, 0x1C040);
    cr_expect_not(pci_bar_decoded(&fn, cfg, 1, &at), "no x86 has such an I/O port");
    put32(PCI_BAR0 + 4, 0xFFFF);
    cr_expect(pci_bar_decoded(&fn, cfg, 1, &at));
    cr_expect_eq(at, 0xFFE0);
}

/* --- the router --- */

static unsigned routes[BOARD_PIRQS];

static unsigned route(const void *state, unsigned pirq)
{
    (void)state;
    return routes[pirq];
}

Test(router, lines_are_the_or_of_pins_and_routes)
{
    static const struct board b = {
        .wire = {{1, 0, 5}, {2, 0, 5}, {3, 0, BOARD_PIRQ_A}, {4, 3, BOARD_PIRQ_A}, {4, 0, BOARD_PIRQ_A + 3}},
        .nwires = 5,
        .pirq_route = route,
    };
    uint32_t pins[BOARD_DEVICES_MAX] = {0};

    for (unsigned i = 0; i < BOARD_PIRQS; i++)
        routes[i] = BOARD_NO_LINE;
    cr_expect_eq(router_levels(&b, pins, NULL), 0);
    pins[1] = 1;
    pins[2] = 1;
    cr_expect_eq(router_levels(&b, pins, NULL), 1u << 5);
    pins[1] = 0;
    cr_expect_eq(router_levels(&b, pins, NULL), 1u << 5);
    pins[2] = 0;
    pins[3] = 1;
    cr_expect_eq(router_levels(&b, pins, NULL), 0, "routed nowhere");
    routes[0] = 11;
    cr_expect_eq(router_levels(&b, pins, NULL), 1u << 11);
    pins[3] = 0;
    pins[4] = 8 | 1;
    routes[3] = 5;
    cr_expect_eq(router_levels(&b, pins, NULL), 1u << 11 | 1u << 5);
    routes[0] = 5;
    cr_expect_eq(router_levels(&b, pins, NULL), 1u << 5, "two routes to one line");
    routes[0] = 16;
    routes[3] = BOARD_NO_LINE;
    cr_expect_eq(router_levels(&b, pins, NULL), 0);
}

/* 82371SB, PIRQRC[A:D]: bit 7 off, reserved lines route nowhere. */
Test(router, piix3_route_registers)
{
    static struct i440fx s;
    static const bool reserved[16] = {[0] = 1, [1] = 1, [2] = 1, [8] = 1, [13] = 1};

    i440fx_class.reset(&s, 0);
    for (unsigned pirq = 0; pirq < 4; pirq++) {
        cr_expect_eq(i440fx_pirq_route(&s, pirq), BOARD_NO_LINE, "off after reset");
        for (unsigned v = 0; v < 256; v++) {
            i440fx_class.write(&s, I440FX_OFF_ADDRESS, 4, 0x80000860, 0);
            i440fx_class.write(&s, I440FX_OFF_DATA + pirq, 1, v, 0);
            cr_assert_eq(i440fx_pirq_route(&s, pirq), v & 0x80 || reserved[v & 15] ? BOARD_NO_LINE : v & 15);
        }
    }
}

/* PCI 2.1, 6.2.5.2: a size, an address of 2 KiB at least, an enable bit behind that of memory space. */
Test(pci, expansion_rom)
{
    static const struct {
        unsigned log2;
        uint32_t sized;
    } sizes[] = {{0, 0}, {11, 0xFFFFF801}, {17, 0xFFFE0001}, {24, 0xFF000001}, {25, 0}, {255, 0}};
    uint32_t at;

    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (unsigned k = 0; k < 4; k++)
            pci_write_rom(cfg, PCI_ROM_BASE + k, 0xFF, sizes[i].log2);
        cr_expect_eq(get32(PCI_ROM_BASE), sizes[i].sized);
        pci_write(&fn, cfg, PCI_COMMAND, 0);
        cr_expect_not(pci_rom_decoded(cfg, sizes[i].log2, &at));
        pci_write(&fn, cfg, PCI_COMMAND, PCI_COMMAND_MEMORY);
        cr_expect_eq(pci_rom_decoded(cfg, sizes[i].log2, &at), sizes[i].sized != 0);
        pci_write_rom(cfg, PCI_ROM_BASE, 0, sizes[i].log2);
        cr_expect_not(pci_rom_decoded(cfg, sizes[i].log2, &at));
        for (unsigned k = 0; k < 4; k++)
            pci_write_rom(cfg, PCI_ROM_BASE + k, 0, sizes[i].log2);
    }
}
