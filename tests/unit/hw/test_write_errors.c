/* test_write_errors.c: what a chip's data sheet speaks against is told (chip_class.write_error), what is in
 * order is not, and asking changes nothing. */
#include "tests/unit/hw/hw_test.h"

#include "hw/apic.h"
#include "hw/e1000.h"
#include "hw/i440fx.h"
#include "hw/i8042.h"
#include "hw/i82077.h"
#include "hw/i8254.h"
#include "hw/i8259.h"
#include "hw/ioapic.h"
#include "hw/mc146818.h"
#include "hw/ns16550.h"
#include "hw/piix4_pm.h"
#include "hw/piix_ide.h"
#include "hw/virtio_blk.h"
#include "hw/virtio_net.h"

#define STATE_WORDS 20000
#define STEPS       7

struct step {
    uint32_t offset, value;
    unsigned size; /* 0: no step */
};

static const struct row {
    const struct chip_class *chip;
    struct step before[STEPS]; /* in order, none of them told */
    struct step last;
    const char *told; /* a part of it; NULL: nothing */
} rows[] = {
    /* 8254: control words; read-back; counts */
    {&i8254_class, {{0}}, {3, 0x34, 1}, NULL},
    {&i8254_class, {{0}}, {3, 0xC2, 1}, NULL},
    {&i8254_class, {{0}}, {3, 0xC3, 1}, "bit 0"},
    {&i8254_class, {{3, 0x35, 1}}, {0, 0x99, 1}, NULL},
    {&i8254_class, {{3, 0x35, 1}}, {0, 0x0A, 1}, "BCD"},
    {&i8254_class, {{3, 0x35, 1}}, {0, 0xA0, 1}, "BCD"},
    {&i8254_class, {{3, 0x34, 1}, {0, 1, 1}}, {0, 0, 1}, "count of 1"},
    {&i8254_class, {{3, 0x34, 1}, {0, 1, 1}}, {0, 1, 1}, NULL},
    {&i8254_class, {{3, 0x30, 1}, {0, 1, 1}}, {0, 0, 1}, NULL},
    {&i8254_class, {{3, 0x94, 1}}, {2, 1, 1}, "count of 1"},
    /* 8259: the sequences of ICWs */
    {&i8259_class, {{0}}, {0, 0x11, 1}, NULL},
    {&i8259_class, {{0}}, {0, 0x13, 1}, "one 8259"},
    {&i8259_class, {{0}}, {2, 0x10, 1}, "without ICW4"},
    {&i8259_class, {{0, 0x11, 1}, {1, 0x20, 1}}, {1, 4, 1}, NULL},
    {&i8259_class, {{0, 0x11, 1}, {1, 0x20, 1}}, {1, 2, 1}, "wired"},
    {&i8259_class, {{2, 0x11, 1}, {3, 0x28, 1}}, {3, 2, 1}, NULL},
    {&i8259_class, {{2, 0x11, 1}, {3, 0x28, 1}}, {3, 4, 1}, "wired"},
    {&i8259_class, {{0, 0x11, 1}, {1, 0x20, 1}, {1, 4, 1}}, {1, 1, 1}, NULL},
    {&i8259_class, {{0, 0x11, 1}, {1, 0x20, 1}, {1, 4, 1}}, {1, 0, 1}, "8080"},
    {&i8259_class, {{0, 0x11, 1}, {1, 0x20, 1}, {1, 4, 1}}, {1, 0x21, 1}, "reserved"},
    {&i8259_class, {{0, 0x11, 1}}, {0, 0x20, 1}, "before the last ICW"},
    {&i8259_class, {{0, 0x11, 1}, {1, 0x20, 1}, {1, 4, 1}, {1, 1, 1}}, {0, 0x20, 1}, NULL},
    {&i8259_class, {{0, 0x11, 1}, {1, 0x20, 1}, {1, 4, 1}, {1, 1, 1}}, {0, 0x8B, 1}, "bit 7"},
    {&i8259_class, {{0}}, {4, 0xFF, 1}, NULL},
    /* APICs: widths, registers, what may be sent */
    {&apic_class, {{0}}, {0x80, 0x20, 4}, NULL},
    {&apic_class, {{0}}, {0x80, 0x20, 1}, "32 bits"},
    {&apic_class, {{0}}, {0x84, 0x20, 4}, "32 bits"},
    {&apic_class, {{0}}, {0x400, 0, 4}, "not there"},
    {&apic_class, {{0}}, {0x300, 0x40051, 4}, NULL},
    {&apic_class, {{0}}, {0x300, 0x4000F, 4}, "below 16"},
    {&apic_class, {{0}}, {0x300, 0x40400, 4}, "cannot be sent"},
    {&ioapic_class, {{0}}, {0, 0x55, 4}, NULL},
    {&ioapic_class, {{0, 0x10, 4}}, {0x10, 0x51, 4}, NULL},
    {&ioapic_class, {{0, 1, 4}}, {0x10, 0x51, 4}, "cannot be written"},
    {&ioapic_class, {{0, 0x10, 4}}, {0x10, 0x51, 2}, "32 bits"},
    /* 8042: the devices' commands; arguments are no commands */
    {&i8042_class, {{0}}, {0, 0xFF, 1}, NULL},
    {&i8042_class, {{0}}, {0, 0xE6, 1}, "keyboard"},
    {&i8042_class, {{0, 0xED, 1}}, {0, 0x02, 1}, NULL},
    {&i8042_class, {{1, 0xD4, 1}}, {0, 0xE6, 1}, NULL},
    {&i8042_class, {{1, 0xD4, 1}}, {0, 0xED, 1}, "mouse"},
    {&i8042_class, {{1, 0xD4, 1}, {0, 0xE8, 1}, {1, 0xD4, 1}}, {0, 3, 1}, NULL},
    {&i8042_class, {{1, 0x60, 1}}, {0, 0x00, 1}, NULL},
    /* RTC */
    {&mc146818_class, {{0, 0x0A, 1}}, {1, 0x26, 1}, NULL},
    {&mc146818_class, {{0, 0x0A, 1}}, {1, 0x66, 1}, NULL},
    {&mc146818_class, {{0, 0x0A, 1}}, {1, 0x36, 1}, "divider"},
    {&mc146818_class, {{0, 0x0C, 1}}, {1, 0, 1}, "read-only"},
    {&mc146818_class, {{0, 0x8D, 1}}, {1, 0, 1}, "read-only"},
    /* UART: with DLAB, offset 1 is a divisor */
    {&ns16550_class, {{0}}, {1, 0x0F, 1}, NULL},
    {&ns16550_class, {{0}}, {1, 0x10, 1}, "IER"},
    {&ns16550_class, {{3, 0x83, 1}}, {1, 0xFF, 1}, NULL},
    {&ns16550_class, {{0}}, {2, 0xC7, 1}, NULL},
    {&ns16550_class, {{0}}, {2, 0x11, 1}, "FCR"},
    {&ns16550_class, {{0}}, {4, 0x1F, 1}, NULL},
    {&ns16550_class, {{0}}, {4, 0x20, 1}, "MCR"},
    {&ns16550_class, {{0}}, {5, 0, 1}, "LSR"},
    /* PCI: 00:00.0 is there, 00:1f.0 is not */
    {&i440fx_class, {{0}}, {0, 0x80000058, 4}, NULL},
    {&i440fx_class, {{0}}, {0, 0x81000000, 4}, "reserved"},
    {&i440fx_class, {{0, 0x80000058, 4}}, {4, 0, 4}, NULL},
    {&i440fx_class, {{0, 0x8000F800, 4}}, {4, 0, 4}, "not there"},
    {&i440fx_class, {{0, 0x00000058, 4}}, {7, 0, 1}, "enable bit"},
    {&i440fx_class, {{0}}, {1, 2, 1}, NULL},
    /* Sleep: the type's bits 10..12, the enable bit 13 */
    {&piix4_pm_class, {{0}}, {4, 0x2000, 2}, NULL},
    {&piix4_pm_class, {{0}}, {4, 0x2400, 2}, "sleep type"},
    {&piix4_pm_class, {{0}}, {4, 0x2400, 4}, "sleep type"},
    {&piix4_pm_class, {{0}}, {2, 0x24000000, 4}, "sleep type"},
    {&piix4_pm_class, {{0}}, {5, 0x24, 1}, "sleep type"},
    {&piix4_pm_class, {{0}}, {5, 0x04, 1}, NULL},
    {&piix4_pm_class, {{0}}, {64, 0xF1, 1}, NULL},
    /* IDE, with a disk: a command makes it busy; nothing of it is written then */
    {&piix_ide_class, {{0}}, {7, 0xEC, 1}, NULL},
    {&piix_ide_class, {{0}}, {0, 0x1234, 2}, "takes none"},
    {&piix_ide_class, {{2, 1, 1}, {3, 1, 1}, {6, 0xE0, 1}}, {7, 0x20, 1}, NULL},
    {&piix_ide_class, {{7, 0xEC, 1}}, {2, 1, 1}, "busy"},
    {&piix_ide_class, {{7, 0xC8, 1}}, {7, 0xC8, 1}, "busy"},
    {&piix_ide_class, {{7, 0xEC, 1}}, {0, 0x1234, 2}, "takes none"},
    {&piix_ide_class, {{7, 0xEC, 1}}, {8, 4, 1}, NULL}, /* SRST may come at any time */
    {&piix_ide_class, {{7, 0xEC, 1}}, {16, 1, 1}, NULL},
    {&piix_ide_class, {{6, 0xF0, 1}}, {7, 0xA0, 1}, NULL}, /* the other drive is a CD */
    {&piix_ide_class, {{6, 0xF0, 1}, {7, 0xA0, 1}}, {7, 0xA0, 1}, "busy"},
    {&piix_ide_class, {{6, 0xF0, 1}, {7, 0xA0, 1}}, {7, 0x08, 1}, NULL}, /* DEVICE RESET */
    /* Floppy controller: out of reset it takes commands that it knows */
    {&i82077_class, {{0}}, {I82077_OFF_FIFO, 0x08, 1}, "reset"},
    {&i82077_class, {{I82077_OFF_DOR, 0x0C, 1}}, {I82077_OFF_FIFO, 0x10, 1}, NULL},
    {&i82077_class, {{I82077_OFF_DOR, 0x0C, 1}}, {I82077_OFF_FIFO, 0x1F, 1}, "invalid command"},
    {&i82077_class,
     {{I82077_OFF_DOR, 0x0C, 1}, {I82077_OFF_FIFO, 0x0F, 1}},
     {I82077_OFF_FIFO, 0x1F, 1},
     NULL},
    {&i82077_class,
     {{I82077_OFF_DOR, 0x0C, 1}, {I82077_OFF_FIFO, 0x10, 1}},
     {I82077_OFF_FIFO, 0x08, 1},
     "result"},
    /* 82540EM */
    {&e1000_class, {{0}}, {0x400, 2, 4}, NULL},
    {&e1000_class, {{0}}, {0x400, 2, 2}, "no dword"},
    {&e1000_class, {{0}}, {0x0008, 0, 4}, "read-only"},
    {&e1000_class, {{0}}, {0x7000, 0, 4}, "not modelled"},
    /* virtio, a disk: the legacy registers in the driver's order; the modern ones */
    {&virtio_blk_class,
     {{0x12, 1, 1}, {0x12, 3, 1}, {4, 0, 4}, {0xE, 0, 2}, {8, 16, 4}, {0x12, 7, 1}},
     {0x10, 0, 2},
     NULL},
    {&virtio_blk_class, {{0}}, {0, 1, 4}, "read-only"},
    {&virtio_blk_class, {{0}}, {0xC, 64, 2}, "read-only"},
    {&virtio_blk_class, {{0}}, {0x13, 0, 1}, "read-only"},
    {&virtio_blk_class, {{0}}, {0x14, 0, 4}, "read-only"},
    {&virtio_blk_class, {{0}}, {4, 0xFFFFFFFF, 4}, "not offered"},
    {&virtio_blk_class, {{0xE, 1, 2}}, {8, 16, 4}, "not there"},
    {&virtio_blk_class, {{0x12, 3, 1}}, {0x12, 1, 1}, "without a reset"},
    {&virtio_blk_class, {{0x12, 3, 1}}, {0x12, 0, 1}, NULL},
    {&virtio_blk_class, {{0}}, {0x10, 0, 2}, "not set up"},
    {&virtio_blk_class, {{0}}, {0x10, 1, 2}, "not there"},
    {&virtio_blk_class, {{0x108, 1, 4}, {0x10C, 1, 4}, {0x114, 11, 1}}, {0x10C, 1, 4}, "after FEATURES_OK"},
    {&virtio_blk_class, {{0x108, 1, 4}, {0x10C, 2, 4}}, {0x114, 11, 1}, "not offered"},
    /* virtio, a network card: the modern registers, queue by queue */
    {&virtio_net_class,
     {{0x108, 1, 4},
      {0x10C, 1, 4},
      {0x116, 0, 2},
      {0x120, 0x1000, 4},
      {0x128, 0x2000, 4},
      {0x130, 0x3000, 4}},
     {0x11C, 1, 2},
     NULL},
    {&virtio_net_class,
     {{0x116, 0, 2}, {0x11C, 1, 2}, {0x108, 1, 4}, {0x10C, 1, 4}, {0x114, 15, 1}},
     {0x1C0, 0, 2},
     NULL},
    {&virtio_net_class,
     {{0x116, 0, 2}, {0x11C, 1, 2}, {0x108, 1, 4}, {0x10C, 1, 4}},
     {0x1C0, 0, 2},
     "before DRIVER_OK"},
    {&virtio_net_class, {{0x116, 0, 2}, {0x11C, 1, 2}, {0x114, 15, 1}}, {0x1C0, 1, 2}, "not set up"},
    {&virtio_net_class, {{0}}, {0x1C0, 3, 2}, "not there"},
    {&virtio_net_class, {{0x116, 3, 2}}, {0x118, 64, 2}, "not there"},
    {&virtio_net_class, {{0x116, 1, 2}, {0x11C, 1, 2}}, {0x118, 64, 2}, "is enabled"},
    {&virtio_net_class, {{0}}, {0x118, 64, 2}, NULL},
    {&virtio_net_class, {{0}}, {0x118, 48, 2}, "power of two"},
    {&virtio_net_class, {{0}}, {0x118, 256, 2}, "power of two"},
    {&virtio_net_class, {{0}}, {0x118, 0, 2}, "power of two"},
    {&virtio_net_class, {{0}}, {0x11C, 0, 2}, "not 1"},
    {&virtio_net_class, {{0}}, {0x120, 8, 4}, "not aligned"},
    {&virtio_net_class, {{0}}, {0x128, 1, 4}, "not aligned"},
    {&virtio_net_class, {{0}}, {0x130, 2, 4}, "not aligned"},
    {&virtio_net_class, {{0}}, {0x124, 1, 4}, NULL},
    {&virtio_net_class, {{0}}, {0x104, 0, 4}, "read-only"},
    {&virtio_net_class, {{0}}, {0x112, 0, 2}, "read-only"},
    {&virtio_net_class, {{0}}, {0x11E, 0, 2}, "read-only"},
    {&virtio_net_class, {{0}}, {0x11A, 0xFFFF, 2}, NULL},
    {&virtio_net_class, {{0}}, {0x180, 1, 1}, "read-only"},
};

/* What hangs on a chip. */
static void fit(const struct chip_class *c, void *state)
{
    static const struct drive_config disk = {.present = true, .medium = true, .bytes = 1 << 20};
    static const struct drive_config cdrom = {
        .present = true, .cdrom = true, .medium = true, .bytes = 1 << 20};
    static const uint8_t mac[NIC_MAC_BYTES] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};

    if (c == &piix_ide_class) {
        piix_ide_fit(state, 0, &disk, 0);
        piix_ide_fit(state, 1, &cdrom, 1);
    } else if (c == &virtio_blk_class) {
        virtio_blk_fit(state, &disk);
    } else if (c == &virtio_net_class) {
        virtio_net_fit(state, mac);
    } else if (c == &e1000_class) {
        e1000_fit(state, mac);
    }
}

/* As the bus asks, and without a trace. */
static const char *ask(const struct chip_class *c, const uint64_t *state, const struct step *s)
{
    static uint64_t before[STATE_WORDS];
    memcpy(before, state, c->state_bytes);
    const char *text = c->write_error(state, s->offset, s->size, s->value);
    cr_assert_eq(memcmp(before, state, c->state_bytes), 0, "%s: asking changes it", c->name);
    return text;
}

static void check_row(const struct row *r, size_t number)
{
    static uint64_t state[STATE_WORDS];
    cr_assert(r->chip->state_bytes <= sizeof state && r->chip->write_error, "%s", r->chip->name);
    r->chip->reset(state, 0);
    fit(r->chip, state);
    for (unsigned i = 0; i < STEPS && r->before[i].size; i++) {
        cr_assert_null(ask(r->chip, state, &r->before[i]), "%s, row %zu, step %u", r->chip->name, number, i);
        r->chip->write(state, r->before[i].offset, r->before[i].size, r->before[i].value, 0);
    }
    const char *text = ask(r->chip, state, &r->last);
    cr_assert(r->told ? text && strstr(text, r->told) : !text, "%s, row %zu: %s, not %s", r->chip->name,
              number, text ? text : "nothing", r->told ? r->told : "nothing");
}

Test(write_errors, told_or_not)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_row(&rows[i], i);
}

/* The list of known commands and the code that obeys them are apart. */
Test(write_errors, a_command_that_the_8042_is_said_not_to_know_does_nothing)
{
    for (unsigned v = 0; v < 256; v++) {
        struct i8042 nothing, s;
        i8042_class.reset(&nothing, 0);
        i8042_class.reset(&s, 0);
        bool told = i8042_class.write_error(&s, I8042_OFF_STATUS, 1, v);
        i8042_class.write(&nothing, I8042_OFF_STATUS, 1, 0x00, 0);
        i8042_class.write(&s, I8042_OFF_STATUS, 1, v, 0);
        cr_assert(v != 0 || told);
        cr_assert(!told || memcmp(&nothing, &s, sizeof s) == 0, "%#x does something", v);
    }
}
