/* test_piix4_pm.c - PM timer, fixed events, ACPI hand-over, soft off. */
#include "hw/piix4_pm.h"
#include "hw_test.h"

static const struct chip_class *const C = &piix4_pm_class;

static uint32_t tmr(struct piix4_pm *s, uint64_t ns)
{
    return C->pure_read(s, PIIX4_PM_OFF_TMR, 4, ns);
}

static uint16_t sts(struct piix4_pm *s, uint64_t ns)
{
    return (uint16_t)C->pure_read(s, PIIX4_PM_OFF_PM1_STS, 2, ns);
}

static void out(struct piix4_pm *s, uint32_t offset, unsigned size, uint32_t v, uint64_t ns)
{
    chip_run_to(C, s, ns);
    C->write(s, offset, size, v, ns);
}

Test(piix4_pm, fields)
{
    chip_check_fields(C);
    chip_check_replay(C, 68, 2);
}

Test(piix4_pm, timer)
{
    struct piix4_pm s;

    C->reset(&s, 0);
    cr_assert_eq(tmr(&s, 0), 0);
    cr_assert_eq(tmr(&s, NS_PER_SEC), PIIX4_PM_TIMER_HZ);
    for (uint64_t n = 1; n < (1 << 26); n += 99991) {
        cr_assert_eq(tmr(&s, count_ns(n, PIIX4_PM_TIMER_HZ)), n & 0xFFFFFF);
        cr_assert_eq(tmr(&s, count_ns(n, PIIX4_PM_TIMER_HZ) - 1), (n - 1) & 0xFFFFFF);
    }
    uint32_t bytes = 0;
    for (unsigned i = 0; i < 4; i++)
        bytes |= C->pure_read(&s, PIIX4_PM_OFF_TMR + i, 1, 12345678) << (8 * i);
    cr_assert_eq(bytes, tmr(&s, 12345678));
}

Test(piix4_pm, overflow_status_without_events)
{
    struct piix4_pm s;
    uint64_t half = count_ns(1 << 23, PIIX4_PM_TIMER_HZ);

    C->reset(&s, 0);
    cr_assert_eq(C->next_event(&s), NS_NEVER);
    cr_assert_eq(sts(&s, half - 1), 0);
    cr_assert_eq(sts(&s, half), 1);
    out(&s, PIIX4_PM_OFF_PM1_STS, 2, 1, half);
    cr_assert_eq(sts(&s, half), 0);
    cr_assert_eq(sts(&s, 10 * half), 1);
}

Test(piix4_pm, overflow_raises_sci)
{
    struct piix4_pm s;
    uint64_t half = count_ns(1 << 23, PIIX4_PM_TIMER_HZ);

    C->reset(&s, 0);
    out(&s, PIIX4_PM_OFF_PM1_EN, 2, 1, 0);
    cr_assert_eq(C->next_event(&s), NS_NEVER);
    out(&s, PIIX4_PM_OFF_APMC, 1, PIIX4_PM_ACPI_ENABLE, 0);
    cr_assert_eq(C->pure_read(&s, PIIX4_PM_OFF_PM1_CNT, 2, 0), 1);
    cr_assert_eq(C->next_event(&s), half);
    chip_run_to(C, &s, half);
    cr_assert_eq(C->outputs(&s), 1);
    cr_assert_eq(C->next_event(&s), NS_NEVER);
    out(&s, PIIX4_PM_OFF_PM1_STS, 2, 1, half + 5);
    cr_assert_eq(C->outputs(&s), 0);
    cr_assert_eq(C->next_event(&s), count_ns(2 << 23, PIIX4_PM_TIMER_HZ));
}

Test(piix4_pm, power_button)
{
    struct piix4_pm s;

    C->reset(&s, 0);
    out(&s, PIIX4_PM_OFF_APMC, 1, PIIX4_PM_ACPI_ENABLE, 0);
    out(&s, PIIX4_PM_OFF_PM1_EN, 2, 0x0100, 0);
    piix4_pm_button(&s, PORT_BUTTON_POWER, 100);
    cr_assert_eq(C->outputs(&s), 1);
    cr_assert_eq(sts(&s, 100), 0x0100);
    out(&s, PIIX4_PM_OFF_PM1_STS + 1, 1, 0x01, 200); /* by bytes, too */
    cr_assert_eq(C->outputs(&s), 0);
    out(&s, PIIX4_PM_OFF_APMC, 1, PIIX4_PM_ACPI_DISABLE, 300);
    piix4_pm_button(&s, PORT_BUTTON_POWER, 400);
    cr_assert_eq(C->outputs(&s), 0);
}

Test(piix4_pm, other_buttons_are_the_boards)
{
    struct piix4_pm s;

    C->reset(&s, 0);
    piix4_pm_button(&s, PORT_BUTTON_RESET, 100);
    piix4_pm_button(&s, PORT_BUTTON_NMI, 100);
    piix4_pm_button(&s, 0, 100);
    piix4_pm_button(&s, 0xFF, 100);
    cr_assert_eq(sts(&s, 100), 0);
    cr_assert_eq(piix4_pm_take_request(&s), HW_REQUEST_RESET | HW_REQUEST_NMI);
    cr_assert_eq(piix4_pm_take_request(&s), 0);
}

Test(piix4_pm, soft_off)
{
    struct piix4_pm s;

    C->reset(&s, 0);
    out(&s, PIIX4_PM_OFF_APMC, 1, PIIX4_PM_ACPI_ENABLE, 0);
    out(&s, PIIX4_PM_OFF_PM1_CNT, 2, 0x0001, 0); /* Linux writes SLP_TYP first, then SLP_EN */
    cr_assert_eq(piix4_pm_take_request(&s), 0);
    out(&s, PIIX4_PM_OFF_PM1_CNT, 2, 0x2401, 0); /* another sleep type */
    cr_assert_eq(piix4_pm_take_request(&s), 0);
    out(&s, PIIX4_PM_OFF_PM1_CNT, 2, 0x2001, 0);
    cr_assert_eq(piix4_pm_take_request(&s), HW_REQUEST_POWEROFF);
    cr_assert_eq(piix4_pm_take_request(&s), 0);
    cr_assert_eq(C->pure_read(&s, PIIX4_PM_OFF_PM1_CNT, 2, 0), 1); /* SLP_EN reads 0, SCI_EN stays */
}

Test(piix4_pm, wide_access_and_holes)
{
    struct piix4_pm s;

    C->reset(&s, 0);
    out(&s, PIIX4_PM_OFF_PM1_STS, 4, 0xFFFF0000, 0);
    cr_assert_eq(C->pure_read(&s, PIIX4_PM_OFF_PM1_STS, 4, 0), 0x05210000);
    out(&s, 0x20, 4, UINT32_MAX, 0);
    cr_assert_eq(C->pure_read(&s, 0x20, 4, 0), 0);
    out(&s, PIIX4_PM_OFF_APMS, 1, 0x42, 0);
    cr_assert_eq(C->pure_read(&s, PIIX4_PM_OFF_APMS, 1, 0), 0x42);
}
