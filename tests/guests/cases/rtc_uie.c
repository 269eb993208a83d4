/* rtc_uie.c - UIE alone: one IRQ 8 a second with C = 90h, the seconds register one further each time, seconds
 * not in update when it comes; AIE with a don't-care alarm of seconds: once a second, A0h with UF; MC146818
 * data sheet. */
#include "pm.h"
#include "rt.h"
static volatile uint32_t n, cs[8], pm[8], secs[8], uip[8];
static uint8_t cmos(uint8_t r)
{
    outb(0x70, r);
    return inb(0x71);
}
static void set(uint8_t r, uint8_t v)
{
    outb(0x70, r);
    outb(0x71, v);
}
static void irq8(struct frame *f)
{
    uint8_t c = cmos(0x0c);
    if (n < 8) {
        cs[n] = c;
        pm[n] = inl(pm_port());
        uip[n] = cmos(0x0a) & 0x80;
        secs[n] = cmos(0);
    }
    n++;
    irq_eoi(8);
}
static unsigned bcd(unsigned v)
{
    return (v >> 4) * 10 + (v & 15);
}
int guest_main(void)
{
    if (!acpi_find()) {
        print("no FADT\n");
        return 1;
    }
    set_isr(IRQ_BASE + 8, irq8);
    irq_unmask(8);
    set(0x0a, 0x20);
    cmos(0x0c);
    set(0x0b, 0x12); /* rate 0: no PF */
    sti();
    while (n < 5)
        hlt();
    cli();
    for (unsigned i = 0; i < 5; i++) {
        EXPECT_EQ(cs[i], 0x90);
        EXPECT_EQ(uip[i], 0);
        if (i) {
            EXPECT_EQ((bcd(secs[i]) + 60 - bcd(secs[i - 1])) % 60, 1);
            uint32_t d = (pm[i] - pm[i - 1]) & 0xffffff;
            EXPECT(d > 3579545 - 400 && d < 3579545 + 400);
            if (i == 1)
                print("PM ticks a second %u\n", d);
        }
    }
    set(0x0b, 0x02);
    cmos(0x0c);
    n = 0;
    set(1, 0xff);
    set(3, 0xff);
    set(5, 0xff);
    set(0x0b, 0x22);
    sti();
    while (n < 3)
        hlt();
    cli();
    for (unsigned i = 0; i < 3; i++)
        EXPECT_EQ(cs[i], 0xb0);
    /* an alarm at one second of the minute: exactly once in the minute */
    set(0x0b, 0x02);
    cmos(0x0c);
    n = 0;
    unsigned s = (bcd(cmos(0)) + 3) % 60;
    set(1, (uint8_t)(s / 10 << 4 | s % 10));
    set(0x0b, 0x22);
    uint8_t m = cmos(2);
    sti();
    while (n < 1)
        hlt();
    cli();
    EXPECT_EQ(bcd(secs[0]), s);
    EXPECT_EQ(cs[0] & 0xa0, 0xa0);
    /* PF is set at the chosen rate whether PIE is on or not (data sheet): C = D0 with rate 6 and UIE alone */
    set(0x0b, 2);
    set(0x0a, 0x26);
    cmos(0x0c);
    n = 0;
    set(0x0b, 0x12);
    sti();
    while (n < 2)
        hlt();
    cli();
    print("rate 6, UIE alone: C %x\n", cs[1]);
    EXPECT_EQ(cs[1], 0xd0);
    set(0x0b, 0x02);
    return 0;
}
