/* test_i8042.c - the probe sequences of Linux and MINIX, keys, the mouse, resets. */
#include "kbc_test.h"

Test(i8042, fields)
{
    chip_check_fields(C);
    chip_check_replay(C, 3, 1);
}

Test(i8042, idle)
{
    struct rig r;

    start(&r);
    cr_assert_eq(status(&r), 0x14); /* unlocked, system flag */
    cr_assert_eq(C->outputs(&r.s), 0);
    cr_assert_eq(C->next_event(&r.s), NS_NEVER);
    cr_assert(i8042_a20(&r.s));
}

Test(i8042, linux_controller_probe)
{
    struct rig r;

    start(&r);
    for (unsigned i = 0; i < 2; i++) { /* the control byte must read the same twice */
        cmd(&r, 0x20);
        expect_kbd(&r, 0x45);
    }
    cmd(&r, 0x60);
    data(&r, 0x74); /* both interfaces off, no interrupts */
    /* AUX loop, AUX test, and no multiplexer */
    cmd(&r, 0xD3);
    data(&r, 0x5A);
    expect_aux(&r, 0x5A);
    cmd(&r, 0xA9);
    expect_kbd(&r, 0x00);
    cmd(&r, 0xD3);
    data(&r, 0xF0);
    expect_aux(&r, 0xF0);
    /* A7 and A8 show in the control byte */
    cmd(&r, 0xA7);
    cmd(&r, 0x20);
    cr_assert_eq(wait_byte(&r) & 0x20, 0x20);
    cmd(&r, 0xA8);
    cmd(&r, 0x20);
    cr_assert_eq(wait_byte(&r) & 0x20, 0);
    /* the AUX interrupt works: a looped byte raises IRQ12 */
    cmd(&r, 0x60);
    data(&r, 0x56);
    cmd(&r, 0xD3);
    data(&r, 0xA5);
    chip_run_to(C, &r.s, r.ns += MS);
    cr_assert_eq(C->outputs(&r.s), 2);
    expect_aux(&r, 0xA5);
    cr_assert_eq(C->outputs(&r.s), 0);
}

Test(i8042, linux_keyboard_probe)
{
    struct rig r;

    start(&r);
    cmd(&r, 0x60);
    data(&r, 0x45);
    data(&r, 0xF2);
    chip_run_to(C, &r.s, r.ns += 10 * MS);
    cr_assert_eq(C->outputs(&r.s), 1);
    expect_kbd(&r, 0xFA);
    expect_kbd(&r, 0xAB);
    expect_kbd(&r, 0x41); /* 83h, translated */
    data(&r, 0xED);
    expect_kbd(&r, 0xFA);
    data(&r, 0x02);
    expect_kbd(&r, 0xFA);
    cr_assert_eq(r.s.kbd.leds, 2);
    data(&r, 0xF3);
    expect_kbd(&r, 0xFA);
    data(&r, 0x00);
    expect_kbd(&r, 0xFA);
    data(&r, 0xF4);
    expect_kbd(&r, 0xFA);
    data(&r, 0xFF);
    expect_kbd(&r, 0xFA);
    expect_kbd(&r, 0xAA);
    data(&r, 0xEE);
    expect_kbd(&r, 0xEE);
    data(&r, 0xFE);
    expect_kbd(&r, 0xEE);
    data(&r, 0x12);
    expect_kbd(&r, 0xFE);
    quiet(&r);
}

Test(i8042, minix_init)
{
    struct rig r;

    start(&r);
    cmd(&r, 0xAD);
    cmd(&r, 0xA7);
    cmd(&r, 0x20);
    uint8_t ccb = (uint8_t)wait_byte(&r);
    cr_assert_eq(ccb, 0x75);
    cmd(&r, 0xAA);
    uint64_t asked = r.ns;
    cr_assert_eq(wait_byte(&r), 0x55);
    cr_assert_lt(r.ns - asked, NS_PER_SEC);
    cmd(&r, 0x60);
    data(&r, 0x47);
    cmd(&r, 0xAE);
    cmd(&r, 0xA8);
    mouse(&r, 0xF6);
    mouse(&r, 0xF4);
    data(&r, 0xED);
    expect_kbd(&r, 0xFA);
    data(&r, 0x00);
    expect_kbd(&r, 0xFA);
    quiet(&r);
}

Test(i8042, mouse)
{
    struct rig r;

    start(&r);
    mouse(&r, 0xFF);
    expect_aux(&r, 0xAA);
    expect_aux(&r, 0x00);
    mouse(&r, 0xF2);
    expect_aux(&r, 0x00);
    mouse(&r, 0xE8);
    mouse(&r, 0x03);
    mouse(&r, 0xF3);
    mouse(&r, 200);
    mouse(&r, 0xE7);
    mouse(&r, 0xF4);
    mouse(&r, 0xE9);
    expect_aux(&r, 0x30);
    expect_aux(&r, 3);
    expect_aux(&r, 200);
    mouse(&r, 0xEB);
    expect_aux(&r, 0x08);
    expect_aux(&r, 0x00);
    expect_aux(&r, 0x00);
    cmd(&r, 0xD4);
    data(&r, 0x77);
    expect_aux(&r, 0xFE);
    quiet(&r);
}

Test(i8042, keys_translated)
{
    struct rig r;

    start(&r);
    cr_assert(i8042_key(&r.s, 0x1E, true, r.ns)); /* A */
    cr_assert(i8042_key(&r.s, 0x1E, false, r.ns));
    cr_assert(i8042_key(&r.s, I8042_KEY_E0 | 0x48, true, r.ns)); /* cursor up */
    cr_assert(i8042_key(&r.s, I8042_KEY_E0 | 0x48, false, r.ns));
    expect_kbd(&r, 0x1E);
    cr_assert_geq(r.ns, 880 * US); /* not before its time on the wire */
    expect_kbd(&r, 0x9E);
    expect_kbd(&r, 0xE0);
    expect_kbd(&r, 0x48);
    expect_kbd(&r, 0xE0);
    expect_kbd(&r, 0xC8);
    quiet(&r);
}

Test(i8042, every_set1_key_survives_translation)
{
    for (unsigned k = 1; k < 0x80; k++) {
        struct rig r;
        start(&r);
        cr_assert(i8042_key(&r.s, k, true, 0));
        cr_assert(i8042_key(&r.s, k, false, 0));
        expect_kbd(&r, (uint8_t)k);
        expect_kbd(&r, (uint8_t)(k | 0x80));
    }
}

Test(i8042, keys_raw)
{
    struct rig r;

    start(&r);
    cmd(&r, 0x60);
    data(&r, 0x05); /* no translation */
    i8042_key(&r.s, 0x1E, true, r.ns);
    i8042_key(&r.s, 0x1E, false, r.ns);
    i8042_key(&r.s, 0x41, true, r.ns); /* F7 */
    expect_kbd(&r, 0x1C);
    expect_kbd(&r, 0xF0);
    expect_kbd(&r, 0x1C);
    expect_kbd(&r, 0x83);
    data(&r, 0xF0);
    expect_kbd(&r, 0xFA);
    data(&r, 0x01);
    expect_kbd(&r, 0xFA);
    i8042_key(&r.s, 0x1E, false, r.ns);
    expect_kbd(&r, 0x9E);
    i8042_key(&r.s, I8042_KEY_PAUSE, true, r.ns);
    expect_kbd(&r, 0xE1);
}

/* IRQ1 falls between two bytes, or an edge-triggered guest would miss the second. */
Test(i8042, interrupt_edge_per_byte)
{
    struct rig r;

    start(&r);
    i8042_key(&r.s, 0x1E, true, 0);
    i8042_key(&r.s, 0x1F, true, 0);
    chip_run_to(C, &r.s, 100 * MS);
    cr_assert_eq(C->outputs(&r.s), 1);
    r.ns = 100 * MS;
    cr_assert_eq(chip_in(C, &r.s, I8042_OFF_DATA, r.ns), 0x1E);
    cr_assert_eq(C->outputs(&r.s), 0);
    cr_assert_gt(C->next_event(&r.s), r.ns);
    chip_run_to(C, &r.s, 101 * MS);
    cr_assert_eq(C->outputs(&r.s), 1);
}

Test(i8042, disabled_interface_keeps_its_bytes)
{
    struct rig r;

    start(&r);
    cmd(&r, 0xAD);
    i8042_key(&r.s, 0x1E, true, 0);
    i8042_key(&r.s, 0x1E, false, 0);
    cr_assert_eq(C->next_event(&r.s), NS_NEVER);
    r.ns = 100 * MS;
    cmd(&r, 0xAE);
    cr_assert_gt(C->next_event(&r.s), r.ns);
    expect_kbd(&r, 0x1E);
}

/* An answer overtakes keys that wait, and changes nothing about them. */
Test(i8042, answers_come_before_keys)
{
    struct rig r;

    start(&r);
    i8042_key(&r.s, 0x1E, true, 0);
    i8042_key(&r.s, 0x1E, false, 0);
    chip_run_to(C, &r.s, r.ns += 100 * MS);
    expect_kbd(&r, 0x1E); /* translation has the break prefix now, and waits for the code */
    chip_run_to(C, &r.s, r.ns += US * 500);
    cr_assert_eq(r.s.break_prefix, 1);
    data(&r, 0xF2);
    expect_kbd(&r, 0xFA);
    expect_kbd(&r, 0xAB);
    expect_kbd(&r, 0x41);
    expect_kbd(&r, 0x9E);
    quiet(&r);
}

/* A key that does not exist leaves nothing to deliver. */
Test(i8042, unknown_key)
{
    struct rig r;

    start(&r);
    cr_assert(!i8042_key(&r.s, 0x7777, true, 0));
    cr_assert(!i8042_key(&r.s, 0x7F + 0x101, true, 0));
    cr_assert_eq(C->next_event(&r.s), NS_NEVER);
    cr_assert_eq(r.s.kbd.keys.count, 0);
}

Test(i8042, requests)
{
    struct rig r;

    start(&r);
    cmd(&r, 0xFE);
    cr_assert_eq(i8042_take_request(&r.s), HW_REQUEST_RESET);
    cr_assert_eq(i8042_take_request(&r.s), 0);
    cmd(&r, 0xFF); /* pulses nothing */
    cr_assert_eq(i8042_take_request(&r.s), 0);
    cmd(&r, 0xD1);
    data(&r, 0xDD);
    cr_assert(!i8042_a20(&r.s));
    cmd(&r, 0xD0);
    cr_assert_eq(wait_byte(&r) & 3, 1);
    cmd(&r, 0xD1);
    data(&r, 0xDF);
    cr_assert(i8042_a20(&r.s));
    cmd(&r, 0xD1);
    data(&r, 0xFE);
    cr_assert_eq(i8042_take_request(&r.s), HW_REQUEST_RESET);
}
