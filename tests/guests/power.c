/* power.c - the power button as ACPI's fixed hardware: PWRBTN_STS, PWRBTN_EN and SCI, a level on IRQ 9; then
 * S5.
 *
 * Somebody outside presses the button three times: tests/monitor.sh. ACPI 1.0, 4.7.2.2 and 4.7.3.1. apic=1:
 * by the I/O APIC's pin 9, high and level, as the MADT says; else by the 8259s. */
#include "rt.h"

#define PM1_STS    0x600
#define PM1_EN     0x602
#define PM1_CNT    0x604
#define APMC       0xB2
#define ACPI_ON    0xF1
#define PWRBTN     0x0100
#define SCI_EN     0x0001
#define SLP_EN     0x2000
#define SLP_TYP_S5 0x0000 /* by the DSDT's _S5 */
#define SCI_IRQ    9
#define ELCR2      0x4D1
#define VECTOR     (IRQ_BASE + SCI_IRQ)

static volatile uint32_t scis, leave; /* so many interrupts come before the status is cleared */
static bool apic;

static inline void outw(uint16_t port, uint16_t v)
{
    __asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline uint16_t inw(uint16_t port)
{
    uint16_t v;
    __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
    return v;
}

static void apic_write(uint32_t at, uint32_t v)
{
    *(volatile uint32_t *)at = v;
}

static void sci(struct frame *f)
{
    (void)f;
    EXPECT(inw(PM1_STS) & PWRBTN);
    scis++;
    if (leave)
        leave--;
    else
        outw(PM1_STS, PWRBTN); /* the line has fallen before the interrupt is ended */
    if (apic)
        apic_write(0xFEE000B0, 0);
    else
        irq_eoi(SCI_IRQ);
}

/* The local APIC is on; pin 9: fixed, to CPU 0, high, level. */
static void route_by_apic(void)
{
    apic_write(0xFEE000F0, 0x1FF);
    apic_write(0xFEC00000, 0x10 + 2 * SCI_IRQ + 1), apic_write(0xFEC00010, 0);
    apic_write(0xFEC00000, 0x10 + 2 * SCI_IRQ), apic_write(0xFEC00010, 0x8000 | VECTOR);
}

/* As firmware does: SCI is a level. */
static void route_by_pic(void)
{
    outb(ELCR2, inb(ELCR2) | 1 << (SCI_IRQ - 8));
    irq_unmask(SCI_IRQ);
}

static void route(void)
{
    set_isr(VECTOR, sci);
    irq_mask_all();
    if (apic)
        route_by_apic();
    else
        route_by_pic();
}

/* Interrupts are on for a while: whatever waits, comes. */
static void let_come(void)
{
    sti();
    for (volatile unsigned i = 0; i < 1000; i++) {
    }
    cli();
}

static void wait_scis(uint32_t n)
{
    while (scis < n)
        let_come();
    EXPECT_EQ(scis, n);
    EXPECT(!(inw(PM1_STS) & PWRBTN));
}

int guest_main(void)
{
    apic = option("apic", 0);
    cli();
    route();
    outb(APMC, ACPI_ON);
    EXPECT(inw(PM1_CNT) & SCI_EN);
    outw(PM1_EN, 0);
    print("waits\n");
    /* The first: the status comes without an interrupt, and the interrupt once it is enabled. */
    while (!(inw(PM1_STS) & PWRBTN)) {
    }
    let_come();
    EXPECT_EQ(scis, 0);
    outw(PM1_EN, PWRBTN);
    EXPECT_EQ(inw(PM1_EN), PWRBTN);
    let_come();
    wait_scis(1);
    /* The second: it is a level: it comes again until the status is cleared. */
    leave = 2;
    wait_scis(4);
    let_come();
    EXPECT_EQ(scis, 4);
    /* The third, once; then the guest powers off, unless something was wrong. */
    wait_scis(5);
    print("%u scis\n", scis);
    if (!failures)
        outw(PM1_CNT, SLP_EN | SLP_TYP_S5);
    return 1;
}
