/* test_i8254.c - timer modes, exact edges, read-back, port 61h. */
#include "hw/i8254.h"
#include "hw_test.h"

static const struct chip_class *const C = &i8254_class;

static uint64_t clk_ns(uint64_t clk)
{
    return count_ns(clk, I8254_HZ);
}

static void program(struct i8254 *s, uint8_t cw, unsigned count, uint64_t ns)
{
    unsigned n = cw >> 6;

    chip_out(C, s, I8254_OFF_CONTROL, cw, ns);
    chip_out(C, s, n, count & 0xFF, ns);
    chip_out(C, s, n, count >> 8, ns);
}

static unsigned latched(struct i8254 *s, unsigned n, uint64_t ns)
{
    chip_out(C, s, I8254_OFF_CONTROL, n << 6, ns);
    unsigned lo = chip_in(C, s, n, ns);
    return lo | chip_in(C, s, n, ns) << 8;
}

static unsigned status(struct i8254 *s, unsigned n, uint64_t ns)
{
    chip_out(C, s, I8254_OFF_CONTROL, 0xE0 | 2u << n, ns);
    return chip_in(C, s, n, ns);
}

static bool out0(struct i8254 *s, uint64_t ns)
{
    chip_run_to(C, s, ns);
    return C->outputs(s) & 1;
}

Test(i8254, fields)
{
    chip_check_fields(C);
    chip_check_replay(C, 6, 1);
}

Test(i8254, reset_has_no_events)
{
    struct i8254 s;

    C->reset(&s, 0);
    cr_assert_eq(C->next_event(&s), NS_NEVER);
    cr_assert_eq(C->outputs(&s), 1);
}

/* 1000 Hz for an hour: edge n is at the first ns whose clock is the start plus n periods. */
Test(i8254, mode2_never_drifts)
{
    struct i8254 s;
    const uint64_t start = 12345, period = 1193;
    uint64_t edges = 0;

    C->reset(&s, 0);
    program(&s, 0x34, period, clk_ns(start));
    for (;;) {
        uint64_t at = C->next_event(&s);
        uint32_t before = C->outputs(&s);
        C->advance(&s, at);
        if (before || !C->outputs(&s))
            continue; /* the falling edge, one clock before */
        edges++;
        cr_assert_eq(at, clk_ns(start + 1 + edges * period));
        if (at >= 3600 * NS_PER_SEC)
            break;
    }
    cr_assert_eq(edges, (3600 * (uint64_t)I8254_HZ - start - 1) / period + 1);
}

Test(i8254, mode3_halves)
{
    for (unsigned count = 2; count < 20; count++) {
        struct i8254 s;
        C->reset(&s, 0);
        program(&s, 0x36, count, 0);
        uint64_t at = 1;
        for (unsigned i = 0; i < 100; i++) {
            at += i & 1 ? count / 2 : (count + 1) / 2;
            cr_assert_eq(C->next_event(&s), clk_ns(at), "count %u edge %u", count, i);
            C->advance(&s, clk_ns(at));
            cr_assert_eq(C->outputs(&s), i & 1);
        }
    }
}

Test(i8254, mode3_value_decrements_by_two)
{
    struct i8254 s;

    C->reset(&s, 0);
    program(&s, 0x36, 8, 0);
    static const unsigned even[] = {8, 6, 4, 2, 8, 6, 4, 2, 8};
    for (unsigned i = 0; i < 9; i++)
        cr_assert_eq(latched(&s, 0, clk_ns(1 + i)), even[i]);
    C->reset(&s, 0);
    program(&s, 0x36, 5, 0);
    static const unsigned odd[] = {4, 2, 0, 4, 2, 4, 2, 0, 4, 2};
    for (unsigned i = 0; i < 10; i++)
        cr_assert_eq(latched(&s, 0, clk_ns(1 + i)), odd[i]);
}

Test(i8254, minix_60hz)
{
    struct i8254 s;
    unsigned rises = 0;

    C->reset(&s, 0);
    program(&s, 0x36, 19886, 0);
    uint64_t first = 0;
    while (C->next_event(&s) <= NS_PER_SEC) {
        uint64_t at = C->next_event(&s);
        C->advance(&s, at);
        if (C->outputs(&s)) {
            rises++;
            first = first ? first : at;
        }
    }
    cr_assert_eq(first, clk_ns(1 + 19886));
    cr_assert_eq(rises, 60); /* the 60th comes at 60 * 19886 + 1 clocks, 21 before the second ends */
}

Test(i8254, mode0)
{
    struct i8254 s;

    C->reset(&s, 0);
    program(&s, 0x30, 100, 0);
    cr_assert_eq(C->outputs(&s), 0);
    cr_assert_eq(C->next_event(&s), clk_ns(101));
    cr_assert(!out0(&s, clk_ns(101) - 1));
    cr_assert(out0(&s, clk_ns(101)));
    cr_assert_eq(C->next_event(&s), NS_NEVER);
    cr_assert_eq(latched(&s, 0, clk_ns(102)), 0xFFFF); /* it counts on */
    /* the first byte of a new count stops it, OUT low */
    chip_out(C, &s, I8254_OFF_COUNTER0, 10, clk_ns(200));
    cr_assert_eq(C->outputs(&s), 0);
    cr_assert_eq(C->next_event(&s), NS_NEVER);
    chip_out(C, &s, I8254_OFF_COUNTER0, 0, clk_ns(300));
    cr_assert_eq(C->next_event(&s), clk_ns(311));
}

Test(i8254, mode4_linux_oneshot)
{
    struct i8254 s;

    C->reset(&s, 0);
    program(&s, 0x38, 1000, 0);
    cr_assert_eq(C->outputs(&s), 1);
    cr_assert_eq(C->next_event(&s), clk_ns(1001));
    cr_assert(!out0(&s, clk_ns(1001)));
    cr_assert(out0(&s, clk_ns(1002)));
    cr_assert_eq(C->next_event(&s), NS_NEVER);
    /* Linux writes only the count for the next one. */
    chip_out(C, &s, 0, 50, clk_ns(2000));
    chip_out(C, &s, 0, 0, clk_ns(2000));
    cr_assert_eq(C->next_event(&s), clk_ns(2051));
}

Test(i8254, mode2_new_count_after_the_period)
{
    struct i8254 s;

    C->reset(&s, 0);
    program(&s, 0x34, 100, 0);
    chip_out(C, &s, 0, 40, clk_ns(50));
    chip_out(C, &s, 0, 0, clk_ns(50));
    cr_assert_eq(status(&s, 0, clk_ns(51)) & 0x40, 0x40);
    cr_assert_eq(latched(&s, 0, clk_ns(51)), 50);
    cr_assert(!out0(&s, clk_ns(100)));
    cr_assert(out0(&s, clk_ns(101)));
    cr_assert_eq(status(&s, 0, clk_ns(101)) & 0x40, 0);
    cr_assert_eq(C->next_event(&s), clk_ns(140));
}

Test(i8254, mode3_new_count_after_the_half)
{
    struct i8254 s;

    C->reset(&s, 0);
    program(&s, 0x36, 100, 0);
    chip_out(C, &s, 0, 40, clk_ns(10));
    chip_out(C, &s, 0, 0, clk_ns(10));
    cr_assert(!out0(&s, clk_ns(51)));
    cr_assert_eq(C->next_event(&s), clk_ns(71)); /* the low half is 20 already */
    cr_assert(out0(&s, clk_ns(71)));
    cr_assert_eq(C->next_event(&s), clk_ns(91));
}

/* A tick longer than the pulse: both edges are shown, one by one, at that tick. */
Test(i8254, short_pulse_is_seen)
{
    struct i8254 s;
    unsigned falls = 0, rises = 0;

    C->reset(&s, 0);
    program(&s, 0x34, 100, 0);
    for (uint64_t ns = 0; ns < 50 * clk_ns(100); ns += 1024) {
        while (C->next_event(&s) <= ns) {
            uint32_t before = C->outputs(&s);
            C->advance(&s, ns);
            cr_assert_neq(before, C->outputs(&s));
            falls += before != 0;
            rises += before == 0;
        }
    }
    cr_assert(C->outputs(&s));
    cr_assert_geq(falls, 49);
    cr_assert_geq(rises, 49);
}

Test(i8254, fastest_period_terminates)
{
    struct i8254 s;

    C->reset(&s, 0);
    program(&s, 0x34, 1, 0); /* illegal: taken as 2 */
    chip_run_to(C, &s, 1 * MS);
    cr_assert_gt(C->next_event(&s), 1 * MS);
}

Test(i8254, polled_counter_is_monotonic)
{
    struct i8254 s;
    unsigned last = 65535;

    C->reset(&s, 0);
    program(&s, 0x34, 0, 0);
    for (uint64_t ns = clk_ns(1); ns < clk_ns(65536); ns += 777) {
        unsigned v = latched(&s, 0, ns);
        v = v ? v : 65536;
        cr_assert(ns < clk_ns(2) || v <= last);
        cr_assert_eq(v, 65536 - (count_at(ns, I8254_HZ) - 1));
        last = v;
    }
}

Test(i8254, byte_access_and_readback)
{
    struct i8254 s;

    C->reset(&s, 0);
    chip_out(C, &s, 3, 0x14, 0); /* counter 0, LSB only, mode 2 */
    cr_assert_eq(status(&s, 0, 0), 0x80 | 0x40 | 0x14);
    chip_out(C, &s, 0, 200, 0);
    cr_assert_eq(status(&s, 0, clk_ns(1)), 0x80 | 0x14);
    cr_assert_eq(chip_in(C, &s, 0, clk_ns(11)), 190);
    cr_assert_eq(chip_in(C, &s, 0, clk_ns(12)), 189);
    chip_out(C, &s, 3, 0x24, clk_ns(12)); /* MSB only */
    chip_out(C, &s, 0, 2, clk_ns(12));
    cr_assert_eq(chip_in(C, &s, 0, clk_ns(13)), 2);
    cr_assert_eq(chip_in(C, &s, 0, clk_ns(14)), 1);
    /* read-back of count and status: status first, then the count as latched */
    program(&s, 0x34, 5000, clk_ns(20));
    chip_out(C, &s, 3, 0xC2, clk_ns(1021));
    cr_assert_eq(chip_in(C, &s, 0, clk_ns(2000)), 0x80 | 0x34);
    cr_assert_eq(chip_in(C, &s, 0, clk_ns(2000)), 4000 & 0xFF);
    chip_out(C, &s, 3, 0x00, clk_ns(2000)); /* a second latch does nothing */
    cr_assert_eq(chip_in(C, &s, 0, clk_ns(2000)), 4000 >> 8);
    cr_assert_eq(chip_in(C, &s, 3, clk_ns(2000)), 0xFF);
}

Test(i8254, bcd)
{
    struct i8254 s;

    C->reset(&s, 0);
    program(&s, 0x35, 0x1000, 0);
    cr_assert_eq(latched(&s, 0, clk_ns(2)), 0x0999);
    cr_assert_eq(latched(&s, 0, clk_ns(1 + 1000)), 0x1000);
    program(&s, 0x31, 0x0000, clk_ns(2000));
    cr_assert_eq(latched(&s, 0, clk_ns(2002)), 0x9999);
}

Test(i8254, gate2_and_port61)
{
    struct i8254 s;

    C->reset(&s, 0);
    /* Linux's calibration: gate on, speaker off, mode 0, wait for OUT2 in bit 5. */
    chip_out(C, &s, I8254_OFF_PORTB, 0x01, 0);
    program(&s, 0xB0, 1000, 0);
    cr_assert_eq(chip_in(C, &s, I8254_OFF_PORTB, clk_ns(1001) - 1) & 0x23, 0x01);
    cr_assert_eq(chip_in(C, &s, I8254_OFF_PORTB, clk_ns(1001)) & 0x23, 0x21);
    /* the gate holds the count */
    program(&s, 0xB0, 1000, clk_ns(2000));
    chip_out(C, &s, I8254_OFF_PORTB, 0x00, clk_ns(2101));
    cr_assert_eq(latched(&s, 2, clk_ns(2500)), 900);
    cr_assert_eq(chip_in(C, &s, I8254_OFF_PORTB, clk_ns(5000)) & 0x20, 0);
    chip_out(C, &s, I8254_OFF_PORTB, 0x01, clk_ns(5000));
    cr_assert_eq(chip_in(C, &s, I8254_OFF_PORTB, clk_ns(5899)) & 0x20, 0);
    cr_assert_eq(chip_in(C, &s, I8254_OFF_PORTB, clk_ns(5900)) & 0x20, 0x20);
    cr_assert_eq(C->next_event(&s), NS_NEVER); /* counter 2 has no events */
}

Test(i8254, mode1_and_5_are_triggered)
{
    struct i8254 s;

    C->reset(&s, 0);
    program(&s, 0xB2, 100, 0);
    cr_assert_eq(chip_in(C, &s, I8254_OFF_PORTB, clk_ns(500)) & 0x20, 0x20);
    chip_out(C, &s, I8254_OFF_PORTB, 1, clk_ns(500));
    cr_assert_eq(chip_in(C, &s, I8254_OFF_PORTB, clk_ns(501)) & 0x20, 0);
    cr_assert_eq(chip_in(C, &s, I8254_OFF_PORTB, clk_ns(600)) & 0x20, 0);
    cr_assert_eq(chip_in(C, &s, I8254_OFF_PORTB, clk_ns(601)) & 0x20, 0x20);
    program(&s, 0xBA, 100, clk_ns(700));
    chip_out(C, &s, I8254_OFF_PORTB, 0, clk_ns(700));
    chip_out(C, &s, I8254_OFF_PORTB, 1, clk_ns(800));
    cr_assert_eq(chip_in(C, &s, I8254_OFF_PORTB, clk_ns(900)) & 0x20, 0x20);
    cr_assert_eq(chip_in(C, &s, I8254_OFF_PORTB, clk_ns(901)) & 0x20, 0);
    cr_assert_eq(chip_in(C, &s, I8254_OFF_PORTB, clk_ns(902)) & 0x20, 0x20);
}

Test(i8254, refresh_toggle)
{
    struct i8254 s;
    unsigned toggles = 0;

    C->reset(&s, 0);
    uint32_t last = chip_in(C, &s, I8254_OFF_PORTB, 0) & 0x10;
    for (uint64_t ns = 0; ns <= 1 * MS; ns += 1000) {
        uint32_t now = C->pure_read(&s, I8254_OFF_PORTB, 1, ns) & 0x10;
        toggles += now != last;
        last = now;
    }
    cr_assert_eq(toggles, 66); /* 1 ms / 15.085 us */
}
