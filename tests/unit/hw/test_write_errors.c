/* test_write_errors.c: what a chip's data sheet speaks against is told (chip_class.write_error), what is in
 * order is not, and asking changes nothing. */
#include "tests/unit/hw/hw_test.h"

#include "hw/apic.h"
#include "hw/i440fx.h"
#include "hw/i8042.h"
#include "hw/i8254.h"
#include "hw/i8259.h"
#include "hw/ioapic.h"
#include "hw/mc146818.h"
#include "hw/ns16550.h"
#include "hw/piix4_pm.h"

#define STATE_WORDS 1024
#define STEPS       6

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
};

/* As the bus asks, and without a trace. */
static const char *ask(const struct chip_class *c, const uint64_t *state, const struct step *s)
{
    uint64_t before[STATE_WORDS];
    memcpy(before, state, c->state_bytes);
    const char *text = c->write_error(state, s->offset, s->size, s->value);
    cr_assert_eq(memcmp(before, state, c->state_bytes), 0, "%s: asking changes it", c->name);
    return text;
}

static void check_row(const struct row *r, size_t number)
{
    uint64_t state[STATE_WORDS] = {0};
    cr_assert(r->chip->state_bytes <= sizeof state && r->chip->write_error, "%s", r->chip->name);
    r->chip->reset(state, 0);
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
