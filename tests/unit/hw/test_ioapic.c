/* test_ioapic.c - the I/O APIC, register by register (82093AA data sheet). */
#include "hw/ioapic.h"
#include "hw_test.h"

static struct ioapic s;

static uint32_t rd(uint8_t reg)
{
    ioapic_class.write(&s, 0, 4, reg, 0);
    return ioapic_class.read(&s, 0x10, 4, 0);
}

static void wr(uint8_t reg, uint32_t value)
{
    ioapic_class.write(&s, 0, 4, reg, 0);
    ioapic_class.write(&s, 0x10, 4, value, 0);
}

static void entry(unsigned pin, uint32_t low, uint8_t dest)
{
    wr((uint8_t)(0x11 + 2 * pin), (uint32_t)dest << 24);
    wr((uint8_t)(0x10 + 2 * pin), low);
}

static void start(void)
{
    ioapic_class.reset(&s, 0);
}

/* The messages that are ready are sent; how many; the last one in m. */
static unsigned sent(bool accepted, struct apic_message *m)
{
    unsigned n = 0;
    for (uint32_t left = ioapic_ready(&s); left; left &= left - 1, n++) {
        unsigned pin = (unsigned)__builtin_ctz(left);
        bool ok = ioapic_message(&s, pin, m);
        ioapic_sent(&s, pin, ok && accepted);
    }
    return n;
}

static void pulse(unsigned pin)
{
    ioapic_set_pin(&s, pin, true);
    ioapic_set_pin(&s, pin, false);
}

Test(ioapic, fields)
{
    chip_check_fields(&ioapic_class);
    chip_check_replay(&ioapic_class, 0x14, 4);
}

Test(ioapic, after_reset)
{
    start();
    cr_expect_eq(rd(0), 0);
    cr_expect_eq(rd(1), 0x00170011, "24 entries, version 11");
    cr_expect_eq(rd(2), 0);
    for (unsigned pin = 0; pin < 24; pin++) {
        cr_expect_eq(rd((uint8_t)(0x10 + 2 * pin)), 0x10000);
        cr_expect_eq(rd((uint8_t)(0x11 + 2 * pin)), 0);
    }
}

Test(ioapic, writable_bits)
{
    start();
    wr(0, 0xFFFFFFFF);
    cr_expect_eq(rd(0), 0x0F000000);
    cr_expect_eq(rd(2), 0x0F000000, "arbitration follows the ID");
    wr(2, 0);
    wr(1, 0);
    cr_expect_eq(rd(2), 0x0F000000);
    cr_expect_eq(rd(1), 0x00170011);
    wr(0x3F, 0xFFFFFFFF);
    cr_expect_eq(rd(0x3F), 0xFF000000);
    wr(0x3E, 0xFFFFFFFF);
    cr_expect_eq(rd(0x3E), 0x1AFFF, "neither delivery status nor remote IRR");
    wr(0x40, 0xFFFFFFFF);
    cr_expect_eq(rd(0x40), 0);
    cr_expect_eq(rd(0x05), 0);
}

/* IOREGSEL and 32 bits of IOWIN, nothing else. */
Test(ioapic, other_accesses)
{
    start();
    ioapic_class.write(&s, 0, 1, 0x10, 0);
    cr_expect_eq(ioapic_class.read(&s, 0, 4, 0), 0x10);
    ioapic_class.write(&s, 0x10, 1, 0x55, 0);
    ioapic_class.write(&s, 0x20, 4, 0x55, 0);
    cr_expect_eq(ioapic_class.read(&s, 0x10, 4, 0), 0x10000);
    cr_expect_eq(ioapic_class.read(&s, 0x10, 1, 0) | ioapic_class.read(&s, 0x40, 4, 0), 0);
}

Test(ioapic, edge)
{
    struct apic_message m;
    start();
    entry(4, 0x0951, 0xC0); /* lowest priority, logical */
    ioapic_set_pin(&s, 4, true);
    cr_assert_eq(sent(true, &m), 1);
    cr_expect_eq(m.vector, 0x51);
    cr_expect_eq(m.mode, APIC_LOWEST);
    cr_expect_eq(m.dest, 0xC0);
    cr_expect(m.logical && !m.level);
    cr_expect_eq(sent(true, &m), 0, "once");
    ioapic_set_pin(&s, 4, true);
    ioapic_set_pin(&s, 4, false);
    cr_expect_eq(sent(true, &m), 0);
    pulse(4);
    cr_expect_eq(sent(false, &m), 1, "a short one, which nobody accepts,");
    cr_expect_eq(sent(true, &m), 0, "is gone");
    cr_expect_eq(rd(0x18) & 0x4000, 0);
}

/* 3.2.4: what an edge-triggered pin does while it is masked is ignored. */
Test(ioapic, masked_edge)
{
    struct apic_message m;
    start();
    entry(4, 0x10051, 0);
    ioapic_set_pin(&s, 4, true);
    entry(4, 0x51, 0);
    cr_expect_eq(sent(true, &m), 0);
    ioapic_set_pin(&s, 4, false);
    ioapic_set_pin(&s, 4, true);
    entry(4, 0x10051, 0);
    cr_expect_eq(sent(true, &m), 0, "masked before it was sent");
}

Test(ioapic, level)
{
    struct apic_message m;
    start();
    entry(9, 0x8060, 0);
    ioapic_set_pin(&s, 9, true);
    cr_assert_eq(sent(true, &m), 1);
    cr_expect(m.level);
    cr_expect_eq(rd(0x22), 0xC060, "remote IRR");
    cr_expect_eq(sent(true, &m), 0, "in service");
    ioapic_eoi(&s, 0x61);
    cr_expect_eq(sent(true, &m), 0, "another's EOI");
    ioapic_eoi(&s, 0x60);
    cr_expect_eq(sent(true, &m), 1, "still active");
    ioapic_set_pin(&s, 9, false);
    ioapic_eoi(&s, 0x60);
    cr_expect_eq(sent(true, &m), 0);
    cr_expect_eq(rd(0x22), 0x8060);
}

Test(ioapic, level_while_masked)
{
    struct apic_message m;
    start();
    entry(9, 0x18060, 0);
    ioapic_set_pin(&s, 9, true);
    cr_expect_eq(sent(true, &m), 0);
    entry(9, 0x8060, 0);
    cr_expect_eq(sent(false, &m), 1, "it is active when the mask goes; nobody accepts it:");
    cr_expect_eq(sent(true, &m), 1, "it asks again");
    entry(9, 0x18060, 0);
    ioapic_eoi(&s, 0x60);
    cr_expect_eq(sent(true, &m), 0);
}

Test(ioapic, polarity)
{
    struct apic_message m;
    start();
    entry(5, 0xA061, 0);
    cr_expect_eq(sent(true, &m), 1, "low is active");
    ioapic_set_pin(&s, 5, true);
    ioapic_eoi(&s, 0x61);
    cr_expect_eq(sent(true, &m), 0);
    start();
    ioapic_set_pin(&s, 6, true);
    entry(6, 0x2062, 0);
    ioapic_set_pin(&s, 6, false);
    cr_expect_eq(sent(true, &m), 1, "a falling edge");
}

/* As drivers of this version end an interrupt by hand. */
Test(ioapic, to_write_an_edge_clears_remote_irr)
{
    struct apic_message m;
    start();
    entry(9, 0x8060, 0);
    ioapic_set_pin(&s, 9, true);
    sent(true, &m);
    entry(9, 0x10060, 0);
    entry(9, 0x8060, 0);
    cr_expect_eq(rd(0x22), 0x8060);
    cr_expect_eq(sent(true, &m), 1);
}

Test(ioapic, delivery_modes)
{
    static const uint8_t modes[] = {APIC_FIXED, APIC_LOWEST, APIC_SMI, APIC_NMI, APIC_INIT};
    struct apic_message m;
    for (unsigned i = 0; i < sizeof modes; i++) {
        start();
        entry(7, 0x8000 | (uint32_t)modes[i] << 8 | 0x44, 2);
        ioapic_set_pin(&s, 7, true);
        cr_expect_eq(sent(true, &m), 1);
        cr_expect_eq(m.mode, modes[i]);
        cr_expect_eq(m.level, i < 2, "the others are edges");
        cr_expect_eq(sent(true, &m), 0);
    }
}

Test(ioapic, extint_stands_for_the_8259)
{
    struct apic apic;
    struct apic_message m;
    apic_class.reset(&apic, 0);
    start();
    entry(0, 0x0700, 0);
    cr_expect_not(ioapic_extint(&s, &apic));
    ioapic_set_pin(&s, 0, true);
    cr_expect(ioapic_extint(&s, &apic));
    cr_expect_not(ioapic_message(&s, 0, &m), "no message of its own");
    cr_expect(ioapic_is_extint(&s, 0, &apic));
    entry(0, 0x0700, 3);
    cr_expect_not(ioapic_extint(&s, &apic), "another CPU's");
    entry(0, 0x10700, 0);
    cr_expect_not(ioapic_extint(&s, &apic));
}

Test(ioapic, pins_that_are_not_there)
{
    start();
    ioapic_set_pin(&s, 24, true);
    ioapic_set_pin(&s, 255, true);
    cr_expect_eq(s.lines, 0);
}
