/* test_i440fx.c - PCI configuration mechanism 1 and the reset control register. */
#include "hw/board.h"
#include "hw/i440fx.h"
#include "hw/piix4_pm.h"
#include "hw_test.h"

static const struct chip_class *const C = &i440fx_class;

static void select_reg(struct i440fx *s, unsigned bus, unsigned dev, unsigned fn, unsigned reg)
{
    C->write(s, 0, 4, 0x80000000u | bus << 16 | dev << 11 | fn << 8 | reg, 0);
}

static uint32_t get(struct i440fx *s, unsigned dev, unsigned fn, unsigned reg, unsigned size)
{
    select_reg(s, 0, dev, fn, reg & ~3u);
    return C->pure_read(s, 4 + (reg & 3), size, 0);
}

static void set(struct i440fx *s, unsigned dev, unsigned fn, unsigned reg, unsigned size, uint32_t v)
{
    select_reg(s, 0, dev, fn, reg & ~3u);
    C->write(s, 4 + (reg & 3), size, v, 0);
}

Test(i440fx, fields)
{
    chip_check_fields(C);
}

Test(i440fx, identification)
{
    struct i440fx s;

    C->reset(&s, 0);
    cr_assert_eq(get(&s, 0, 0, 0, 4), 0x12378086);
    cr_assert_eq(get(&s, 1, 0, 0, 4), 0x70008086);
    cr_assert_eq(get(&s, 1, 3, 0, 4), 0x71138086);
    cr_assert_eq(get(&s, 0, 0, 8, 4), 0x06000002);
    cr_assert_eq(get(&s, 1, 0, 8, 4) >> 8, 0x060100);
    cr_assert_eq(get(&s, 1, 3, 8, 4) >> 8, 0x068000);
    cr_assert_eq(get(&s, 1, 0, 0x0E, 1), 0x80);
    cr_assert_eq(get(&s, 1, 3, 0x40, 4), PIIX4_PM_BASE | 1);
    cr_assert_eq(get(&s, 1, 3, 0x80, 1) & 1, 1);
    cr_assert_eq(get(&s, 1, 3, 0x3C, 1), PIIX4_PM_SCI_IRQ);
    cr_assert_eq(get(&s, 1, 0, 0x60, 4), 0x80808080);
    cr_assert_eq(get(&s, 1, 3, 2, 2), 0x7113);
    cr_assert_eq(get(&s, 1, 1, 0, 4), 0x70108086);
    cr_assert_eq(get(&s, 1, 1, 8, 4), 0x01018000);
    cr_assert_eq(get(&s, 1, 3, 3, 1), 0x71);
}

Test(i440fx, absent_functions_read_ones)
{
    struct i440fx s;

    C->reset(&s, 0);
    for (unsigned dev = 0; dev < 32; dev++)
        for (unsigned fn = 0; fn < 8; fn++)
            if (!(dev == 0 && fn == 0) && !(dev == 1 && (fn == 0 || fn == 1 || fn == 3)))
                cr_assert_eq(get(&s, dev, fn, 0, 4), UINT32_MAX);
    select_reg(&s, 1, 0, 0, 0);
    cr_assert_eq(C->read(&s, 4, 4, 0), UINT32_MAX);
    C->write(&s, 0, 4, 0x00000000, 0); /* not enabled */
    cr_assert_eq(C->read(&s, 4, 4, 0), UINT32_MAX);
}

/* Bus sizing and rewriting of command and status, as MINIX and Linux do. */
Test(i440fx, bars_and_command)
{
    struct i440fx s;

    C->reset(&s, 0);
    for (unsigned reg = 0x10; reg < 0x28; reg += 4) {
        set(&s, 1, 3, reg, 4, UINT32_MAX);
        cr_assert_eq(get(&s, 1, 3, reg, 4), 0);
    }
    set(&s, 1, 0, 4, 2, 0xFFFF);
    cr_assert_eq(get(&s, 1, 0, 4, 2), 0x010F);
    uint32_t status = get(&s, 1, 0, 6, 2);
    set(&s, 1, 0, 6, 2, 0xFFFF);
    cr_assert_eq(get(&s, 1, 0, 6, 2), status);
    uint32_t pm;
    cr_assert(i440fx_pm_decoded(&s, &pm) && pm == PIIX4_PM_BASE);
    set(&s, 1, 3, 0x40, 4, 0xFFFFB07E);
    cr_assert_eq(get(&s, 1, 3, 0x40, 4), 0xB041);
    cr_assert(i440fx_pm_decoded(&s, &pm) && pm == 0xB040);
    set(&s, 1, 3, 0x80, 1, 0);
    cr_assert_not(i440fx_pm_decoded(&s, &pm));
    set(&s, 1, 0, 0x62, 1, 0x0B);
    cr_assert_eq(get(&s, 1, 0, 0x60, 4), 0x800B8080);
    set(&s, 0, 0, 0x59, 1, 0x10);
    cr_assert_eq(i440fx_config_peek(&s, I440FX_FN_HOST, 0x59), 0x10);
}

/* 290549, 3.2.13 */
Test(i440fx, pam_regions)
{
    struct i440fx s;

    i440fx_class.reset(&s, 0);
    for (unsigned region = 0; region < I440FX_PAM_REGIONS; region++)
        cr_assert_eq(i440fx_pam(&s, region), 3, "RAM, as firmware leaves it");
    set(&s, 0, 0, 0x59, 1, 0x1F); /* F0000: reads; the lower half is reserved */
    set(&s, 0, 0, 0x5A, 1, 0x21); /* C0000: reads, C4000: writes */
    set(&s, 0, 0, 0x5F, 1, 0x0C); /* E8000, EC000: nothing; bits 3 and 2 are no switch */
    cr_assert_eq(i440fx_pam(&s, 0), 1);
    cr_assert_eq(i440fx_pam(&s, 1), 1);
    cr_assert_eq(i440fx_pam(&s, 2), 2);
    cr_assert_eq(i440fx_pam(&s, 3), 3);
    cr_assert_eq(i440fx_pam(&s, 11), 0);
    cr_assert_eq(i440fx_pam(&s, 12), 0);
    cr_assert_eq(i440fx_pam(&s, 13), 0);
}

Test(i440fx, address_register_is_dword_only)
{
    struct i440fx s;

    C->reset(&s, 0);
    C->write(&s, 0, 4, 0x80000843, 0);
    cr_assert_eq(C->read(&s, 0, 4, 0), 0x80000840);
    C->write(&s, 0, 1, 0x12, 0);
    C->write(&s, 0, 2, 0x1234, 0);
    C->write(&s, 2, 2, 0x1234, 0);
    cr_assert_eq(C->read(&s, 0, 4, 0), 0x80000840);
    cr_assert_eq(i440fx_take_request(&s), 0);
}

Test(i440fx, reset_control)
{
    struct i440fx s;

    C->reset(&s, 0);
    C->write(&s, I440FX_OFF_RESET, 1, 0x02, 0);
    cr_assert_eq(i440fx_take_request(&s), 0);
    cr_assert_eq(C->read(&s, I440FX_OFF_RESET, 1, 0), 0x02);
    C->write(&s, I440FX_OFF_RESET, 1, 0x06, 0);
    cr_assert_eq(i440fx_take_request(&s), HW_REQUEST_RESET);
    C->write(&s, I440FX_OFF_RESET, 1, 0x06, 0); /* no rise, no reset */
    cr_assert_eq(i440fx_take_request(&s), 0);
    cr_assert_eq(C->read(&s, 0, 4, 0), 0);
}

/* The data sheets' values, and what SeaBIOS looks for. */
Test(i440fx, as_firmware_finds_it)
{
    struct i440fx s;
    uint32_t pm;

    i440fx_firmware_class.reset(&s, 0);
    for (unsigned region = 0; region < I440FX_PAM_REGIONS; region++)
        cr_assert_eq(i440fx_pam(&s, region), 0);
    cr_assert_not(i440fx_pm_decoded(&s, &pm));
    cr_assert_eq(get(&s, 1, 3, 0x40, 4), 1);
    for (unsigned pirq = 0; pirq < 4; pirq++)
        cr_assert_eq(i440fx_pirq_route(&s, pirq), BOARD_NO_LINE);
    cr_assert_eq(get(&s, 0, 0, 0x2C, 4), 0x11001AF4);
    cr_assert_eq(get(&s, 1, 3, 0x58, 4) >> 25 & 1, 1);
}
