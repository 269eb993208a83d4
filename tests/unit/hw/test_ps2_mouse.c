/* test_ps2_mouse.c - modes, reports and commands of the mouse, after IBM's PS/2 technical reference; its two
 * further kinds after Microsoft's. */
#include "kbc_test.h"

static void move(struct rig *r, int dx, int dy, int dz, uint8_t buttons)
{
    i8042_motion(
        &r->s,
        (struct port_motion){.dx = (int16_t)dx, .dy = (int16_t)dy, .dz = (int8_t)dz, .buttons = buttons},
        r->ns);
}

static void expect_report(struct rig *r, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int byte = wait_from(r, true);
        cr_assert_eq(byte, bytes[i], "byte %zu: %02x, not %02x", i, (unsigned)byte, bytes[i]);
    }
}
#define REPORT(r, ...)                                                                                       \
    expect_report(r, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void set(struct rig *r, uint8_t command, uint8_t argument)
{
    mouse(r, command);
    mouse(r, argument);
}

static void begin(struct rig *r)
{
    start(r);
    cmd(r, 0x60);
    data(r, 0x47);
    mouse(r, 0xF4);
}

static void knock(struct rig *r, uint8_t a, uint8_t b, uint8_t c)
{
    set(r, 0xF3, a);
    set(r, 0xF3, b);
    set(r, 0xF3, c);
}

Test(ps2_mouse, stream)
{
    struct rig r;

    begin(&r);
    move(&r, 3, 5, 0, 0); /* right and down: y counts upwards */
    REPORT(&r, 0x28, 3, 0xFB);
    move(&r, -1, -2, 0, 1);
    REPORT(&r, 0x19, 0xFF, 2);
    move(&r, 0, 0, 0, 7);
    REPORT(&r, 0x0F, 0, 0);
    move(&r, 0, 0, 0, 0);
    REPORT(&r, 0x08, 0, 0);
    move(&r, 0, 0, 5, 0x18); /* neither wheel nor further buttons: nothing to tell */
    quiet(&r);
}

Test(ps2_mouse, interrupt)
{
    struct rig r;

    begin(&r);
    move(&r, 1, 0, 0, 0);
    chip_run_to(C, &r.s, r.ns += 20 * MS);
    cr_assert_eq(C->outputs(&r.s), 2);
    cr_assert_eq(status(&r) & 0x21, 0x21);
}

Test(ps2_mouse, silent_until_enabled)
{
    struct rig r;

    start(&r);
    cmd(&r, 0xA8);
    move(&r, 3, 5, 0, 1);
    quiet(&r);
    mouse(&r, 0xF4); /* the counters are cleared; the button is down all the same */
    REPORT(&r, 0x09, 0, 0);
    mouse(&r, 0xF5);
    move(&r, 3, 5, 0, 0);
    quiet(&r);
}

Test(ps2_mouse, overflow)
{
    struct rig r;

    begin(&r);
    move(&r, 255, 256, 0, 0); /* the ends of the range */
    REPORT(&r, 0x28, 0xFF, 0x00);
    move(&r, 256, 257, 0, 0);
    REPORT(&r, 0xE8, 0xFF, 0x00);
    move(&r, -257, 0, 0, 0);
    REPORT(&r, 0x58, 0x00, 0);
    move(&r, 32767, -32768, 0, 0);
    move(&r, 32767, -32768, 0, 0);
    REPORT(&r, 0xC8, 0xFF, 0xFF);
    quiet(&r); /* what is beyond is lost */
}

/* At 100 samples a second two reports are 10 ms apart; what moves meanwhile adds up. */
Test(ps2_mouse, adds_up_between_samples)
{
    struct rig r;

    begin(&r);
    move(&r, 1, 0, 0, 0);
    REPORT(&r, 0x08, 1, 0);
    uint64_t first = r.ns;
    for (unsigned i = 0; i < 5; i++) {
        r.ns += 200 * US;
        chip_run_to(C, &r.s, r.ns);
        move(&r, 2, 1, 0, 0);
    }
    cr_assert_eq(wait_from(&r, true), 0x28);
    cr_assert_geq(r.ns - first, 7 * MS); /* the first report took two bytes' time to arrive */
    REPORT(&r, 10, 0xFB);
    quiet(&r);
}

static uint64_t period_ns(uint8_t rate)
{
    struct rig r;
    uint64_t at[2];

    begin(&r);
    set(&r, 0xF3, rate);
    for (unsigned i = 0; i < 2; i++) {
        move(&r, 1, 0, 0, 0);
        cr_assert_eq(wait_from(&r, true), 0x08);
        at[i] = r.ns;
        REPORT(&r, 1, 0);
    }
    return at[1] - at[0];
}

Test(ps2_mouse, sample_rates)
{
    static const uint8_t rates[] = {10, 20, 40, 60, 80, 100, 200};

    for (size_t i = 0; i < sizeof rates; i++) {
        uint64_t ns = period_ns(rates[i]), want = NS_PER_SEC / rates[i];
        cr_assert(ns + 100 * US >= want && ns <= want + 100 * US, "%u: %llu", rates[i],
                  (unsigned long long)ns);
    }
}

/* Nobody reads: one report waits, the rest adds up behind it. */
Test(ps2_mouse, one_report_at_a_time)
{
    struct rig r;

    begin(&r);
    for (unsigned i = 0; i < 100; i++) {
        move(&r, 1, 0, 0, 0);
        chip_run_to(C, &r.s, r.ns += 20 * MS);
    }
    REPORT(&r, 0x08, 1, 0, 0x08, 99, 0);
    quiet(&r);
}

Test(ps2_mouse, remote)
{
    struct rig r;

    begin(&r);
    mouse(&r, 0xF0);
    move(&r, 7, -7, 0, 2);
    quiet(&r);
    mouse(&r, 0xEB);
    REPORT(&r, 0x0A, 7, 7);
    mouse(&r, 0xEB);
    REPORT(&r, 0x0A, 0, 0);
    mouse(&r, 0xE9);
    REPORT(&r, 0x61, 2, 100);
    mouse(&r, 0xEA); /* stream mode again, and still enabled */
    move(&r, 1, 0, 0, 0);
    REPORT(&r, 0x08, 1, 0);
}

Test(ps2_mouse, read_data_in_stream_mode)
{
    struct rig r;

    start(&r);
    cmd(&r, 0xA8);
    move(&r, 9, 0, 0, 0);
    mouse(&r, 0xEB);
    REPORT(&r, 0x08, 9, 0);
}

Test(ps2_mouse, wrap)
{
    struct rig r;

    begin(&r);
    mouse(&r, 0xEE);
    for (unsigned v = 0; v < 256; v++)
        if (v != 0xEC && v != 0xFF) {
            cmd(&r, 0xD4);
            data(&r, (uint8_t)v);
            expect_aux(&r, (uint8_t)v);
        }
    move(&r, 1, 1, 0, 0);
    quiet(&r);
    mouse(&r, 0xEC);
    move(&r, 1, 0, 0, 0);
    cr_assert_eq(wait_from(&r, true), 0x08);
    mouse(&r, 0xEE);
    mouse(&r, 0xFF); /* a reset ends it, too */
    REPORT(&r, 0xAA, 0x00);
    mouse(&r, 0xF2);
    REPORT(&r, 0x00);
}

/* 2:1: stream mode alone, by the reference's table. */
Test(ps2_mouse, scaling)
{
    static const uint8_t scaled[] = {0, 1, 1, 3, 6, 9, 12, 14, 16};
    struct rig r;

    begin(&r);
    mouse(&r, 0xE7);
    for (int n = 1; n < 9; n++) {
        move(&r, n, -n, 0, 0);
        REPORT(&r, 0x08, scaled[n], scaled[n]);
        move(&r, -n, 0, 0, 0);
        REPORT(&r, 0x18, (uint8_t)-scaled[n], 0);
    }
    move(&r, 128, 0, 0, 0);
    REPORT(&r, 0x48, 0xFF, 0); /* 256 overflows */
    move(&r, 5, 0, 0, 0);
    mouse(&r, 0xF0);
    move(&r, 5, 0, 0, 0);
    mouse(&r, 0xEB);
    REPORT(&r, 0x08, 5, 0);
    mouse(&r, 0xE6);
    mouse(&r, 0xE9);
    REPORT(&r, 0x60, 2, 100);
}

Test(ps2_mouse, status)
{
    struct rig r;

    begin(&r);
    mouse(&r, 0xF0);
    move(&r, 0, 0, 0, 1); /* left is bit 2, right bit 0 */
    mouse(&r, 0xE9);
    REPORT(&r, 0x64, 2, 100);
    move(&r, 0, 0, 0, 2);
    mouse(&r, 0xE9);
    REPORT(&r, 0x61, 2, 100);
    move(&r, 0, 0, 0, 4);
    mouse(&r, 0xE7);
    set(&r, 0xE8, 3);
    set(&r, 0xF3, 40);
    mouse(&r, 0xE9);
    REPORT(&r, 0x72, 3, 40);
    mouse(&r, 0xF6);
    mouse(&r, 0xE9);
    REPORT(&r, 0x02, 2, 100);
}

Test(ps2_mouse, wheel)
{
    struct rig r;

    begin(&r);
    knock(&r, 200, 100, 80);
    mouse(&r, 0xF2);
    REPORT(&r, 3);
    set(&r, 0xF3, 200);
    move(&r, 0, 0, 1, 0);
    REPORT(&r, 0x08, 0, 0, 1);
    move(&r, 1, 0, -3, 0x1F); /* it has three buttons */
    REPORT(&r, 0x0F, 1, 0, 0xFD);
    mouse(&r, 0xF6); /* defaults keep the kind */
    mouse(&r, 0xF2);
    REPORT(&r, 3);
    mouse(&r, 0xFF);
    REPORT(&r, 0xAA, 0);
    mouse(&r, 0xF2);
    REPORT(&r, 0);
}

Test(ps2_mouse, five_buttons)
{
    struct rig r;

    begin(&r);
    knock(&r, 200, 100, 80);
    knock(&r, 200, 200, 80);
    mouse(&r, 0xF2);
    REPORT(&r, 4);
    move(&r, 0, 0, -1, 0x08);
    REPORT(&r, 0x08, 0, 0, 0x1F);
    move(&r, 0, 0, 0, 0x10);
    REPORT(&r, 0x08, 0, 0, 0x20);
    move(&r, 0, 0, 100, 0x10); /* four bits of the wheel */
    REPORT(&r, 0x08, 0, 0, 0x27);
    mouse(&r, 0xEB);
    REPORT(&r, 0x08, 0, 0, 0x20);
}

Test(ps2_mouse, no_knock)
{
    struct rig r;

    begin(&r);
    knock(&r, 100, 200, 80);
    knock(&r, 200, 100, 100);
    knock(&r, 80, 80, 80);
    mouse(&r, 0xF2);
    REPORT(&r, 0);
}

/* "Resend": what was sent last, whole; it is no news to the counters. */
Test(ps2_mouse, resend)
{
    struct rig r;

    begin(&r);
    move(&r, 1, 2, 0, 0);
    REPORT(&r, 0x28, 1, 0xFE);
    cmd(&r, 0xD4);
    data(&r, 0xFE);
    REPORT(&r, 0x28, 1, 0xFE);
    mouse(&r, 0xF2);
    REPORT(&r, 0);
    cmd(&r, 0xD4);
    data(&r, 0xFE);
    REPORT(&r, 0xFA, 0);
}

Test(ps2_mouse, errors)
{
    struct rig r;

    begin(&r);
    for (unsigned i = 0; i < 2; i++) {
        cmd(&r, 0xD4);
        data(&r, 0x77);
        expect_aux(&r, i ? 0xFC : 0xFE);
    }
    mouse(&r, 0xF3);
    cmd(&r, 0xD4);
    data(&r, 99);
    expect_aux(&r, 0xFE);
    mouse(&r, 60); /* once more, and right */
    mouse(&r, 0xE9);
    REPORT(&r, 0x20, 2, 60);
    mouse(&r, 0xE8);
    mouse(&r, 0xE6); /* a command in the argument's place */
    cmd(&r, 0xD4);
    data(&r, 3);
    expect_aux(&r, 0xFE);
}

/* A command throws away the report that waits. */
Test(ps2_mouse, command_before_reports)
{
    struct rig r;

    begin(&r);
    i8042_key(&r.s, 0x1E, true, r.ns);
    chip_run_to(C, &r.s, r.ns += 10 * MS); /* a key in the output buffer holds it up */
    move(&r, 1, 2, 0, 0);
    chip_run_to(C, &r.s, r.ns += 50 * MS);
    cmd(&r, 0xD4);
    data(&r, 0xF2);
    expect_kbd(&r, 0x1E);
    REPORT(&r, 0xFA, 0);
    i8042_key(&r.s, 0x1E, false, r.ns);
    expect_kbd(&r, 0x9E);
    quiet(&r);
}

/* The typed port: a click waits for the one before it, small motions do not. */
Test(ps2_mouse, ready)
{
    struct rig r;

    start(&r);
    cmd(&r, 0xA8);
    move(&r, 500, 0, 0, 1);
    cr_assert_eq(i8042_motion_ready_ns(&r.s), 0); /* it reports nothing: nothing waits */
    mouse(&r, 0xF4);
    REPORT(&r, 0x09, 0, 0);
    move(&r, 5, 0, 0, 1);
    cr_assert_eq(i8042_motion_ready_ns(&r.s), 0);
    move(&r, 0, 0, 0, 0);
    cr_assert_eq(i8042_motion_ready_ns(&r.s), r.ns + 50 * MS);
    REPORT(&r, 0x08, 5, 0);
    cr_assert_eq(i8042_motion_ready_ns(&r.s), 0);
    move(&r, 128, 0, 0, 0);
    cr_assert_eq(i8042_motion_ready_ns(&r.s), r.ns + 50 * MS);
}
