/* icount_period.c - a 10 kHz PIT keeps its period exactly under instruction counting, busy or halted: after
 * 5000 interrupts the PM timer is where 5000 x 119 counts put it (no drift), and no interval is off by more
 * than the handler's start. A halted guest's time goes by as long as it should: a sleep of 3 s takes 3 s of
 * the RTC. */
#include "pm.h"
#include "rt.h"
static volatile uint32_t n, last, minv, maxv, first;
static uint16_t pm;
static uint8_t cmos(uint8_t r)
{
    outb(0x70, r);
    return inb(0x71);
}
static void irq0(struct frame *f)
{
    uint32_t t = inl(pm);
    if (n == 4)
        first = t;
    else if (n > 4) {
        uint32_t d = (t - last) & 0xffffff;
        if (d < minv)
            minv = d;
        if (d > maxv)
            maxv = d;
    }
    last = t;
    n++;
    irq_eoi(0);
}
int guest_main(void)
{
    acpi_find();
    pm = pm_port();
    set_isr(IRQ_BASE, irq0);
    irq_unmask(0);
    for (unsigned busy = 0; busy < 2; busy++) {
        cli();
        outb(0x43, 0x34);
        outb(0x40, 119);
        outb(0x40, 0);
        n = 0;
        minv = ~0u;
        maxv = 0;
        sti();
        if (busy)
            while (n < 5005)
                ;
        else
            while (n < 5005)
                hlt();
        cli();
        uint32_t d = (last - first) & 0xffffff;
        print("%s: 5000 periods: %u PM ticks (want %u), each %u..%u\n", busy ? "busy" : "halted", d,
              5000 * 357, minv, maxv);
        EXPECT(d + 4 >= 5000 * 357 && d <= 5000 * 357 + 4 && 1);
        EXPECT(minv >= 355 && maxv <= 359);
    }
    /* 3 s of hlt with a 100 Hz tick, by the RTC's update flag */
    cli();
    outb(0x43, 0x34);
    outb(0x40, 11932 & 0xff);
    outb(0x40, 11932 >> 8);
    outb(0x70, 0x0b);
    outb(0x71, 2);
    cmos(0x0c);
    sti();
    while (!(cmos(0x0c) & 0x10))
        hlt();
    cli();
    uint32_t s0 = cmos(0);
    n = 0;
    sti();
    while (n < 320)
        hlt();
    cli();
    uint32_t s1 = cmos(0);
    s0 = (s0 >> 4) * 10 + (s0 & 15);
    s1 = (s1 >> 4) * 10 + (s1 & 15);
    EXPECT_EQ((s1 + 60 - s0) % 60, 3);
    return 0;
}
