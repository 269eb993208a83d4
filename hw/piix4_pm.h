/* piix4_pm.h - PIIX4 power management: ACPI fixed registers, PM timer, SMI command port.
 *
 * Output bit 0: SCI.
 * Access: all reads pure, writes posted. Two ranges: a window at PMBASE (offset 0, 64 bytes, four wide) and
 * B2h..B3h (offset PIIX4_PM_OFF_APMC, one wide). */
#ifndef TANDEM_HW_PIIX4_PM_H
#define TANDEM_HW_PIIX4_PM_H

#include "hw/chip.h"
#include "hw/port.h"
#include "hw/requests.h"

#include <stdbool.h>

#define PIIX4_PM_TIMER_HZ     3579545
#define PIIX4_PM_BASE         0x600 /* after a reset; the ACPI tables say so, too */
#define PIIX4_PM_SMI_PORT     0xB2
#define PIIX4_PM_SCI_IRQ      9
#define PIIX4_PM_ACPI_ENABLE  0xF1
#define PIIX4_PM_ACPI_DISABLE 0xF0
#define PIIX4_PM_SLP_TYP_S5   0

enum {
    PIIX4_PM_OFF_PM1_STS = 0,
    PIIX4_PM_OFF_PM1_EN = 2,
    PIIX4_PM_OFF_PM1_CNT = 4,
    PIIX4_PM_OFF_TMR = 8,
    PIIX4_PM_OFF_GPSTS = 12,
    PIIX4_PM_OFF_GPEN = 14,
    PIIX4_PM_BYTES = 64,
    PIIX4_PM_OFF_APMC = 64, /* port B2h */
    PIIX4_PM_OFF_APMS = 65, /* port B3h */
};

struct piix4_pm {
    uint64_t next_ns;    /* next event: the timer overflow raises SCI; NS_NEVER: none */
    uint64_t tmr_epochs; /* timer half-wraps (2^23 counts) that TMROF_STS has accounted for */
    uint16_t pm1_sts;    /* PM1 status, but for overflows since tmr_epochs */
    uint16_t pm1_en;     /* PM1 enable */
    uint16_t pm1_cnt;    /* PM1 control, SLP_EN reads 0 */
    uint16_t gpsts;      /* general purpose status */
    uint16_t gpen;       /* general purpose enable */
    uint8_t apmc, apms;  /* APM control and status ports */
    uint32_t request;    /* enum hw_request bits */
};

extern const struct chip_class piix4_pm_class;

uint32_t piix4_pm_take_request(struct piix4_pm *s);
/* A button of the case was pressed (port.h, enum port_button; any other value is none). The power button sets
 * PWRBTN_STS; what the other two do is asked of the board: enum hw_request. */
void piix4_pm_button(struct piix4_pm *s, uint8_t button, uint64_t now_ns);

#endif
