/* pit_ch2.c - counter 2 as a stopwatch: 1.193182 MHz by the PM timer (3 PM ticks a count), OUT at port 61h
 * bit 5 rises after N + 1 counts in mode 0, gate off stops the count, gate on goes on; consecutive latches
 * never grow. */
#include "pm.h"
#include "rt.h"
static unsigned rd(void)
{
    outb(0x43, 0x80);
    unsigned l = inb(0x42);
    return l | (unsigned)inb(0x42) << 8;
}
static void load(unsigned mode, unsigned v)
{
    outb(0x43, (uint8_t)(0xb0 | mode << 1));
    outb(0x42, v & 0xff);
    outb(0x42, v >> 8);
}
int guest_main(void)
{
    uint8_t p61 = inb(0x61) & 0xfc;
    uint16_t pm = acpi_find() ? pm_port() : 0;
    outb(0x61, p61 | 1);
    load(0, 11932);
    EXPECT_EQ(inb(0x61) & 0x20, 0);
    uint32_t t0 = inl(pm);
    while (!(inb(0x61) & 0x20))
        ;
    uint32_t d = (inl(pm) - t0) & 0xffffff;
    print("10 ms: %u PM ticks (35796)\n", d);
    EXPECT(d > 35796 - 40 && d < 35796 + 60);
    load(0, 0xffff);
    for (unsigned i = 0; i < 400; i++)
        __asm__ volatile("nop");
    unsigned a = rd();
    t0 = inl(pm);
    unsigned prev = a, grow = 0;
    for (unsigned i = 0; i < 3000; i++) {
        unsigned v = rd();
        if (v > prev)
            grow++;
        prev = v;
    }
    unsigned b = rd();
    d = (inl(pm) - t0) & 0xffffff;
    print("%u counts in %u PM ticks\n", a - b, d);
    EXPECT_EQ(grow, 0);
    EXPECT(d + 20 > 3 * (a - b) && d < 3 * (a - b) + 20);
    outb(0x61, p61);
    a = rd();
    for (unsigned i = 0; i < 5000; i++)
        __asm__ volatile("nop");
    EXPECT_EQ(rd(), a);
    outb(0x61, p61 | 1);
    for (unsigned i = 0; i < 5000; i++)
        __asm__ volatile("nop");
    EXPECT(rd() < a && rd() > a - 2000);
    /* mode 3: OUT toggles with half periods */
    load(3, 1000);
    unsigned edges = 0, o = inb(0x61) & 0x20;
    t0 = inl(pm);
    while (((inl(pm) - t0) & 0xffffff) < 30000) {
        unsigned x = inb(0x61) & 0x20;
        if (x != o)
            edges++;
        o = x;
    }
    EXPECT(edges >= 19 && edges <= 21);
    return 0;
}
