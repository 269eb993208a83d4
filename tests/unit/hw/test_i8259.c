/* test_i8259.c - the interrupt controller pair, as registers and as MINIX and Linux drive it. */
#include "hw/i8259.h"
#include "hw_test.h"

static void init(struct i8259 *s, uint8_t icw4_master)
{
    i8259_reset(s);
    i8259_write(s, I8259_OFF_MASTER_CMD, 0x11);
    i8259_write(s, I8259_OFF_MASTER_DATA, 0x50);
    i8259_write(s, I8259_OFF_MASTER_DATA, 0x04);
    i8259_write(s, I8259_OFF_MASTER_DATA, icw4_master);
    i8259_write(s, I8259_OFF_SLAVE_CMD, 0x11);
    i8259_write(s, I8259_OFF_SLAVE_DATA, 0x70);
    i8259_write(s, I8259_OFF_SLAVE_DATA, 0x02);
    i8259_write(s, I8259_OFF_SLAVE_DATA, 0x01);
    i8259_write(s, I8259_OFF_MASTER_DATA, 0x00);
    i8259_write(s, I8259_OFF_SLAVE_DATA, 0x00);
}

/* A rising edge; the line stays high, as a request must until it is acknowledged. */
static void edge(struct i8259 *s, unsigned line)
{
    i8259_set_line(s, line, 0);
    i8259_set_line(s, line, 1);
}

static uint8_t isr(struct i8259 *s, uint32_t cmd)
{
    i8259_write(s, cmd, 0x0B);
    return (uint8_t)i8259_read(s, cmd);
}

static uint8_t irr(struct i8259 *s, uint32_t cmd)
{
    i8259_write(s, cmd, 0x0A);
    return (uint8_t)i8259_read(s, cmd);
}

Test(i8259, fields)
{
    chip_check_fields(&i8259_class);
    chip_check_replay(&i8259_class, 8, 1);
}

Test(i8259, silent_before_init)
{
    struct i8259 s;

    i8259_reset(&s);
    i8259_write(&s, I8259_OFF_MASTER_DATA, 0x00);
    i8259_set_line(&s, 0, 1);
    cr_assert(!i8259_intr(&s));
    cr_assert(!i8259_can_interrupt(&s));
    i8259_write(&s, I8259_OFF_MASTER_DATA, 0xFB); /* Linux probes for a chip by its mask register */
    cr_assert_eq(i8259_read(&s, I8259_OFF_MASTER_DATA), 0xFB);
}

Test(i8259, edge_is_latched)
{
    struct i8259 s;

    init(&s, 0x05); /* MINIX's ICW4 */
    cr_assert(!i8259_intr(&s));
    edge(&s, 0);
    cr_assert(i8259_intr(&s));
    cr_assert_eq(i8259_acknowledge(&s), 0x50);
    cr_assert_eq(isr(&s, I8259_OFF_MASTER_CMD), 0x01);
    cr_assert(!i8259_intr(&s));
}

Test(i8259, no_second_edge_without_a_fall)
{
    struct i8259 s;

    init(&s, 0x01);
    i8259_set_line(&s, 4, 1);
    cr_assert_eq(i8259_acknowledge(&s), 0x54);
    i8259_write(&s, I8259_OFF_MASTER_CMD, 0x20);
    i8259_set_line(&s, 4, 1);
    cr_assert(!i8259_intr(&s));
    i8259_set_line(&s, 4, 0);
    i8259_set_line(&s, 4, 1);
    cr_assert(i8259_intr(&s));
}

Test(i8259, priorities_nest)
{
    struct i8259 s;

    init(&s, 0x01);
    edge(&s, 4);
    cr_assert_eq(i8259_acknowledge(&s), 0x54);
    edge(&s, 5);
    cr_assert(!i8259_intr(&s));
    edge(&s, 1);
    cr_assert_eq(i8259_acknowledge(&s), 0x51);
    cr_assert_eq(isr(&s, I8259_OFF_MASTER_CMD), 0x12);
    i8259_write(&s, I8259_OFF_MASTER_CMD, 0x20);
    cr_assert_eq(isr(&s, I8259_OFF_MASTER_CMD), 0x10);
    cr_assert(!i8259_intr(&s));
    i8259_write(&s, I8259_OFF_MASTER_CMD, 0x20);
    cr_assert_eq(i8259_acknowledge(&s), 0x55);
}

Test(i8259, double_eoi_is_harmless)
{
    struct i8259 s;

    init(&s, 0x05);
    for (unsigned i = 0; i < 3; i++) {
        edge(&s, 0);
        cr_assert_eq(i8259_acknowledge(&s), 0x50);
        i8259_write(&s, I8259_OFF_MASTER_CMD, 0x20);
        i8259_write(&s, I8259_OFF_MASTER_CMD, 0x20);
    }
    cr_assert_eq(isr(&s, I8259_OFF_MASTER_CMD), 0);
}

Test(i8259, spurious)
{
    struct i8259 s;

    init(&s, 0x01);
    cr_assert_eq(i8259_acknowledge(&s), 0x57);
    cr_assert_eq(isr(&s, I8259_OFF_MASTER_CMD), 0);
    /* A level-mode request that goes away takes INTR with it. */
    i8259_write(&s, I8259_OFF_ELCR2, 0x08);
    i8259_set_line(&s, 11, 1);
    cr_assert(i8259_intr(&s));
    i8259_set_line(&s, 11, 0);
    cr_assert(!i8259_intr(&s));
}

Test(i8259, cascade)
{
    struct i8259 s;

    init(&s, 0x01);
    edge(&s, 12);
    cr_assert_eq(irr(&s, I8259_OFF_MASTER_CMD), 0x04);
    cr_assert_eq(i8259_acknowledge(&s), 0x74);
    cr_assert_eq(isr(&s, I8259_OFF_MASTER_CMD), 0x04);
    cr_assert_eq(isr(&s, I8259_OFF_SLAVE_CMD), 0x10);
    /* A higher one on the slave waits for the master's EOI, and is not lost. */
    edge(&s, 8);
    cr_assert(!i8259_intr(&s));
    i8259_write(&s, I8259_OFF_SLAVE_CMD, 0x20);
    cr_assert(!i8259_intr(&s));
    i8259_write(&s, I8259_OFF_MASTER_CMD, 0x20);
    cr_assert_eq(i8259_acknowledge(&s), 0x70);
    /* IR3 of the master ranks below the slave, IR1 above. */
    edge(&s, 3);
    cr_assert(!i8259_intr(&s));
    edge(&s, 1);
    cr_assert_eq(i8259_acknowledge(&s), 0x51);
}

Test(i8259, special_fully_nested)
{
    struct i8259 s;

    init(&s, 0x11);
    edge(&s, 12);
    cr_assert_eq(i8259_acknowledge(&s), 0x74);
    edge(&s, 8);
    cr_assert(i8259_intr(&s)); /* the master does not hold its slave back */
    cr_assert_eq(i8259_acknowledge(&s), 0x70);
}

Test(i8259, level_mode)
{
    struct i8259 s;

    init(&s, 0x01);
    i8259_write(&s, I8259_OFF_ELCR2, 0xFF);
    cr_assert_eq(i8259_read(&s, I8259_OFF_ELCR2), 0xDE);
    i8259_write(&s, I8259_OFF_ELCR1, 0xFF);
    cr_assert_eq(i8259_read(&s, I8259_OFF_ELCR1), 0xF8);
    i8259_set_line(&s, 9, 1);
    cr_assert_eq(i8259_acknowledge(&s), 0x71);
    i8259_write(&s, I8259_OFF_SLAVE_CMD, 0x20);
    i8259_write(&s, I8259_OFF_MASTER_CMD, 0x20);
    cr_assert(i8259_intr(&s)); /* still asserted */
    i8259_set_line(&s, 9, 0);
    cr_assert(!i8259_intr(&s));
}

Test(i8259, mask)
{
    struct i8259 s;

    init(&s, 0x01);
    i8259_write(&s, I8259_OFF_MASTER_DATA, 0x10);
    edge(&s, 4);
    cr_assert(!i8259_intr(&s));
    cr_assert_eq(irr(&s, I8259_OFF_MASTER_CMD), 0x10);
    i8259_write(&s, I8259_OFF_MASTER_DATA, 0x00);
    cr_assert(i8259_intr(&s));
}

Test(i8259, can_interrupt)
{
    struct i8259 s;

    init(&s, 0x01);
    cr_assert(i8259_can_interrupt(&s));
    i8259_write(&s, I8259_OFF_MASTER_DATA, 0xFB); /* the cascade only */
    cr_assert(i8259_can_interrupt(&s));
    i8259_write(&s, I8259_OFF_SLAVE_DATA, 0xFF);
    cr_assert(!i8259_can_interrupt(&s));
    i8259_write(&s, I8259_OFF_MASTER_DATA, 0xFF);
    i8259_write(&s, I8259_OFF_SLAVE_DATA, 0x00);
    cr_assert(!i8259_can_interrupt(&s));
}

Test(i8259, automatic_eoi_and_rotation)
{
    struct i8259 s;

    init(&s, 0x03);
    edge(&s, 3);
    cr_assert_eq(i8259_acknowledge(&s), 0x53);
    cr_assert_eq(isr(&s, I8259_OFF_MASTER_CMD), 0);
    i8259_write(&s, I8259_OFF_MASTER_CMD, 0x80); /* rotate in AEOI mode */
    edge(&s, 3);
    cr_assert_eq(i8259_acknowledge(&s), 0x53);
    edge(&s, 1);
    edge(&s, 4);
    cr_assert_eq(i8259_acknowledge(&s), 0x54); /* 3 is the lowest now, 4 the highest */
    cr_assert_eq(i8259_acknowledge(&s), 0x51);
}

Test(i8259, rotate_and_set_priority)
{
    struct i8259 s;

    init(&s, 0x01);
    i8259_write(&s, I8259_OFF_MASTER_CMD, 0xC4); /* IR4 is the lowest */
    edge(&s, 0);
    edge(&s, 5);
    cr_assert_eq(i8259_acknowledge(&s), 0x55);
    i8259_write(&s, I8259_OFF_MASTER_CMD, 0xA0); /* rotate on non-specific EOI: 5 is the lowest */
    edge(&s, 5);
    edge(&s, 6);
    cr_assert_eq(i8259_acknowledge(&s), 0x56);
    i8259_write(&s, I8259_OFF_MASTER_CMD, 0x66); /* specific EOI */
    cr_assert_eq(isr(&s, I8259_OFF_MASTER_CMD), 0);
    cr_assert_eq(i8259_acknowledge(&s), 0x50);
}

Test(i8259, special_mask_mode)
{
    struct i8259 s;

    init(&s, 0x01);
    edge(&s, 2 + 1);
    cr_assert_eq(i8259_acknowledge(&s), 0x53);
    edge(&s, 6);
    cr_assert(!i8259_intr(&s));
    i8259_write(&s, I8259_OFF_MASTER_DATA, 0x08);
    i8259_write(&s, I8259_OFF_MASTER_CMD, 0x68);
    cr_assert_eq(i8259_acknowledge(&s), 0x56);
    i8259_write(&s, I8259_OFF_MASTER_CMD, 0x20); /* the masked level stays in service */
    cr_assert_eq(isr(&s, I8259_OFF_MASTER_CMD), 0x08);
    i8259_write(&s, I8259_OFF_MASTER_CMD, 0x48);
    i8259_write(&s, I8259_OFF_MASTER_CMD, 0x20);
    cr_assert_eq(isr(&s, I8259_OFF_MASTER_CMD), 0);
}

Test(i8259, poll)
{
    struct i8259 s;

    init(&s, 0x01);
    i8259_write(&s, I8259_OFF_MASTER_CMD, 0x0C);
    cr_assert_eq(i8259_read(&s, I8259_OFF_MASTER_CMD), 0);
    edge(&s, 5);
    i8259_write(&s, I8259_OFF_MASTER_CMD, 0x0C);
    cr_assert_eq(i8259_read(&s, I8259_OFF_MASTER_CMD), 0x85);
    cr_assert_eq(isr(&s, I8259_OFF_MASTER_CMD), 0x20);
}

/* Data sheet: the input must stay high until the first INTA. */
Test(i8259, a_withdrawn_request_is_gone)
{
    for (unsigned line = 0; line < 16; line++) {
        struct i8259 s;
        if (line == 2)
            continue;
        init(&s, 0x01);
        edge(&s, line);
        cr_assert(i8259_intr(&s));
        i8259_set_line(&s, line, 0);
        cr_assert_not(i8259_intr(&s), "line %u", line);
        cr_assert_eq(i8259_read(&s, I8259_OFF_MASTER_CMD) | i8259_read(&s, I8259_OFF_SLAVE_CMD), 0);
        edge(&s, line);
        cr_assert(i8259_intr(&s));
    }
}

/* 82371SB: FERR# is line 13; a write to F0h takes it back and asserts IGNNE# until FERR# goes. */
Test(i8259, coprocessor_error)
{
    struct i8259 s;

    init(&s, 0x01);
    i8259_write(&s, I8259_OFF_COPROCESSOR, 0);
    cr_assert_not(i8259_ignne(&s), "without an error there is nothing to ignore");
    i8259_set_ferr(&s, true);
    cr_assert_eq(i8259_acknowledge(&s), 0x75);
    cr_assert_not(i8259_ignne(&s));
    i8259_write(&s, I8259_OFF_COPROCESSOR, 0);
    cr_assert(i8259_ignne(&s));
    i8259_set_ferr(&s, true);
    cr_assert(i8259_ignne(&s), "the same error");
    i8259_write(&s, I8259_OFF_SLAVE_CMD, 0x20);
    i8259_write(&s, I8259_OFF_MASTER_CMD, 0x20);
    cr_assert_not(i8259_intr(&s));
    i8259_set_ferr(&s, false);
    cr_assert_not(i8259_ignne(&s));
    i8259_set_ferr(&s, true);
    cr_assert(i8259_intr(&s), "the next one");
    i8259_set_ferr(&s, false);
    cr_assert_not(i8259_intr(&s));
}
