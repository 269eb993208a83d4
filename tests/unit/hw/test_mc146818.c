/* test_mc146818.c - calendar, flags computed late, interrupts, and the clock against the PM timer. */
#include "hw/mc146818.h"
#include "hw/piix4_pm.h"
#include "hw_test.h"

static const struct chip_class *const C = &mc146818_class;
#define BASE 1686355199 /* 2023-06-09 23:59:59 UTC, a Friday */

static uint8_t get(struct mc146818 *s, unsigned reg, uint64_t ns)
{
    chip_out(C, s, MC146818_OFF_INDEX, reg, ns);
    return (uint8_t)chip_in(C, s, MC146818_OFF_DATA, ns);
}

static void set(struct mc146818 *s, unsigned reg, uint8_t v, uint64_t ns)
{
    chip_out(C, s, MC146818_OFF_INDEX, reg, ns);
    chip_out(C, s, MC146818_OFF_DATA, v, ns);
}

static void start(struct mc146818 *s)
{
    C->reset(s, 0);
    mc146818_set_time(s, BASE, 0);
}

Test(mc146818, fields)
{
    chip_check_fields(C);
    chip_check_replay(C, 2, 1);
}

Test(mc146818, calendar_rolls_over)
{
    struct mc146818 s;

    start(&s);
    cr_assert_eq(get(&s, 0, 0), 0x59);
    cr_assert_eq(get(&s, 4, 0), 0x23);
    cr_assert_eq(get(&s, 6, 0), 6);
    cr_assert_eq(get(&s, 7, 0), 0x09);
    cr_assert_eq(get(&s, 0, NS_PER_SEC - 1), 0x59);
    cr_assert_eq(get(&s, 0, NS_PER_SEC), 0x00);
    cr_assert_eq(get(&s, 4, NS_PER_SEC), 0x00);
    cr_assert_eq(get(&s, 7, NS_PER_SEC), 0x10);
    cr_assert_eq(get(&s, 8, NS_PER_SEC), 0x06);
    cr_assert_eq(get(&s, 9, NS_PER_SEC), 0x23);
    cr_assert_eq(get(&s, 6, NS_PER_SEC), 7);
    cr_assert_eq(get(&s, CMOS_CENTURY, NS_PER_SEC), 0x20);
    cr_assert_eq(get(&s, 13, 0x1234567890), 0x80);
}

Test(mc146818, long_steps_and_leap_years)
{
    struct mc146818 s;
    uint64_t day = 86400;

    C->reset(&s, 0);
    mc146818_set_time(&s, 951695999, 0); /* 2000-02-27 23:59:59 */
    cr_assert_eq(get(&s, 7, (1 + day) * NS_PER_SEC), 0x29);
    cr_assert_eq(get(&s, 8, (1 + day) * NS_PER_SEC), 0x02);
    cr_assert_eq(get(&s, 7, (1 + 2 * day) * NS_PER_SEC), 0x01);
    cr_assert_eq(get(&s, 8, (1 + 2 * day) * NS_PER_SEC), 0x03);
    for (uint64_t i = 0; i < 50; i++) {
        uint64_t later = i * 40 * day;
        C->reset(&s, 0);
        mc146818_set_time(&s, BASE, 0);
        cr_assert_eq(mc146818_get_time(&s, later * NS_PER_SEC), BASE + later);
    }
}

Test(mc146818, formats)
{
    struct mc146818 s;

    start(&s);
    set(&s, 11, 0x82, 0);
    set(&s, 11, 0x84, 0); /* SET, binary, 12 hours */
    set(&s, 0, 59, 0);
    set(&s, 2, 59, 0);
    set(&s, 4, 0x80 | 11, 0);
    set(&s, 7, 31, 0);
    set(&s, 8, 12, 0);
    set(&s, 9, 99, 0);
    set(&s, CMOS_CENTURY, 19, 0);
    cr_assert_eq(get(&s, 0, 5 * NS_PER_SEC), 59); /* SET holds it */
    set(&s, 11, 0x04, 5 * NS_PER_SEC);
    cr_assert_eq(get(&s, 0, 6 * NS_PER_SEC), 0);
    cr_assert_eq(get(&s, 4, 6 * NS_PER_SEC), 12); /* midnight is 12 AM */
    cr_assert_eq(get(&s, 7, 6 * NS_PER_SEC), 1);
    cr_assert_eq(get(&s, 9, 6 * NS_PER_SEC), 0);
    cr_assert_eq(get(&s, CMOS_CENTURY, 6 * NS_PER_SEC), 20);
}

Test(mc146818, uip)
{
    struct mc146818 s;

    start(&s);
    cr_assert_eq(get(&s, 10, NS_PER_SEC - 244 * US - 1) & 0x80, 0);
    cr_assert_eq(get(&s, 10, NS_PER_SEC - 244 * US) & 0x80, 0x80);
    cr_assert_eq(get(&s, 10, NS_PER_SEC - 1) & 0x80, 0x80);
    cr_assert_eq(get(&s, 10, NS_PER_SEC) & 0x80, 0);
    set(&s, 11, 0x82, NS_PER_SEC);
    cr_assert_eq(get(&s, 10, 2 * NS_PER_SEC - 1) & 0x80, 0);
}

/* No event without an interrupt source; the flags are right all the same. */
Test(mc146818, flags_without_events)
{
    struct mc146818 s;

    start(&s);
    cr_assert_eq(C->next_event(&s), NS_NEVER);
    cr_assert_eq(get(&s, 12, 1 * MS), 0x40); /* 1024 Hz: PF after 0.98 ms */
    cr_assert_eq(get(&s, 12, 1 * MS), 0);
    set(&s, 1, 0x30, 1 * MS); /* alarm at xx:xx:30 */
    set(&s, 3, 0xFF, 1 * MS);
    set(&s, 5, 0xC0, 1 * MS);
    cr_assert_eq(get(&s, 12, 30 * NS_PER_SEC), 0x50);
    cr_assert_eq(get(&s, 12, 32 * NS_PER_SEC), 0x70);
}

Test(mc146818, periodic_interrupt)
{
    struct mc146818 s;

    start(&s);
    set(&s, 11, 0x42, 0);
    uint64_t phase = 16384; /* a second begins half a divider period in */
    for (uint64_t n = 1; n < 5000; n++) {
        uint64_t at = C->next_event(&s);
        cr_assert_eq(at, count_ns(phase + n * 32, 32768) - NS_PER_SEC / 2);
        C->advance(&s, at);
        cr_assert_eq(C->outputs(&s), 1);
        cr_assert_eq(C->next_event(&s), NS_NEVER);
        cr_assert_eq(get(&s, 12, at) & 0xC0, 0xC0);
        cr_assert_eq(C->outputs(&s), 0);
    }
}

Test(mc146818, update_interrupt)
{
    struct mc146818 s;

    start(&s);
    set(&s, 11, 0x12, 0);
    cr_assert_eq(C->next_event(&s), NS_PER_SEC);
    chip_run_to(C, &s, 3 * NS_PER_SEC);
    cr_assert_eq(C->outputs(&s), 1);
    cr_assert_eq(get(&s, 12, 3 * NS_PER_SEC) & 0x90, 0x90);
    cr_assert_eq(C->next_event(&s), 4 * NS_PER_SEC);
    set(&s, 11, 0x92, 3 * NS_PER_SEC); /* SET clears UIE */
    cr_assert_eq(get(&s, 11, 3 * NS_PER_SEC), 0x82);
    cr_assert_eq(C->next_event(&s), NS_NEVER);
}

Test(mc146818, alarm_interrupt)
{
    struct mc146818 s;

    start(&s);
    set(&s, 1, 0x05, 0);
    set(&s, 3, 0x10, 0);
    set(&s, 5, 0x07, 0);
    set(&s, 11, 0x22, 0);
    uint64_t at = (1 + 7 * 3600 + 10 * 60 + 5) * NS_PER_SEC;
    cr_assert_eq(C->next_event(&s), at);
    C->advance(&s, at);
    cr_assert_eq(C->outputs(&s), 1);
    cr_assert_eq(get(&s, 12, at) & 0xA0, 0xA0);
    cr_assert_eq(C->next_event(&s), at + 86400 * NS_PER_SEC);
    set(&s, 5, 0x77, at); /* no such hour */
    cr_assert_eq(C->next_event(&s), NS_NEVER);
    set(&s, 5, 0xFF, at);
    set(&s, 3, 0xFF, at);
    set(&s, 1, 0x99, at);
    cr_assert_eq(C->next_event(&s), NS_NEVER);
}

Test(mc146818, enabling_a_set_flag_raises_at_once)
{
    struct mc146818 s;

    start(&s);
    chip_run_to(C, &s, 2 * NS_PER_SEC);
    set(&s, 11, 0x12, 2 * NS_PER_SEC);
    cr_assert_eq(C->outputs(&s), 1);
}

Test(mc146818, divider_restart)
{
    struct mc146818 s;

    start(&s);
    set(&s, 10, 0x60, 100);
    cr_assert_eq(get(&s, 0, 9 * NS_PER_SEC), 0x59);
    set(&s, 10, 0x26, 9 * NS_PER_SEC);
    cr_assert_eq(get(&s, 0, 9 * NS_PER_SEC + 499999999), 0x59);
    cr_assert_eq(get(&s, 0, 9 * NS_PER_SEC + 500000000), 0x00);
}

Test(mc146818, cmos)
{
    struct mc146818 s;

    start(&s);
    mc146818_set_cmos(&s, CMOS_BASE_MEM_LO, 0x80);
    mc146818_set_cmos(&s, 3, 0x77); /* no register of the clock */
    mc146818_set_cmos(&s, 500, 1);
    cr_assert_eq(get(&s, CMOS_BASE_MEM_LO, 0), 0x80);
    cr_assert_eq(get(&s, 0x80 | CMOS_BASE_MEM_LO, 0), 0x80); /* bit 7 is the NMI mask */
    cr_assert_eq(get(&s, 3, 0), 0);
    set(&s, CMOS_SHUTDOWN_STATUS, 0x0A, 0);
    mc146818_reset_pin(&s, 10 * MS);
    cr_assert_eq(get(&s, CMOS_SHUTDOWN_STATUS, 10 * MS), 0x0A);
    cr_assert_eq(mc146818_get_time(&s, 2 * NS_PER_SEC), BASE + 2);
}

Test(mc146818, agrees_with_the_pm_timer)
{
    struct mc146818 s;
    struct piix4_pm pm;

    start(&s);
    piix4_pm_class.reset(&pm, 0);
    for (uint64_t i = 1; i < 4; i++) {
        uint64_t ns = i * NS_PER_SEC;
        cr_assert_eq(mc146818_get_time(&s, ns - 1), BASE + i - 1);
        cr_assert_eq(mc146818_get_time(&s, ns), BASE + i);
        cr_assert_eq(piix4_pm_class.pure_read(&pm, PIIX4_PM_OFF_TMR, 4, ns),
                     i * PIIX4_PM_TIMER_HZ & 0xFFFFFF);
    }
}

/* Registers full of nonsense become a calendar again. */
Test(mc146818, hostile_registers)
{
    struct mc146818 s;

    for (unsigned v = 0; v < 256; v++) {
        start(&s);
        for (unsigned r = 0; r < 10; r++)
            set(&s, r, (uint8_t)v, 0);
        set(&s, CMOS_CENTURY, (uint8_t)v, 0);
        set(&s, 11, 0x72, 0);
        chip_run_to(C, &s, 200000 * NS_PER_SEC);
        cr_assert_leq(get(&s, 0, 200000 * NS_PER_SEC), 0x59);
        cr_assert_leq(get(&s, 8, 200000 * NS_PER_SEC), 0x12);
    }
}
