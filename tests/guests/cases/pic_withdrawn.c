/* pic_withdrawn.c - a slave request that goes away before it is acknowledged (RTC's IRQ 8 raised with IF = 0,
 * register C read then) is not delivered as IRQ 8, and not as IRQ 15 or IRQ 7 either, since INT falls with it
 * and nobody acknowledges. 8259A data sheet: the request must stay until INTA; figure of the priority cell.
 * IRR no longer shows it. */
#include "rt.h"
static volatile uint32_t n[16];
static void any(struct frame *f)
{
    unsigned i = f->vector - IRQ_BASE;
    n[i]++;
    if (i == 8) {
        outb(0x70, 0x0c);
        inb(0x71);
    }
    irq_eoi(i);
}
static uint8_t cmos(uint8_t r)
{
    outb(0x70, r);
    return inb(0x71);
}
int guest_main(void)
{
    for (unsigned i = 0; i < 16; i++)
        set_isr(IRQ_BASE + i, any);
    cli();
    outb(0x70, 0x0a);
    outb(0x71, 0x26);
    outb(0x70, 0x0b);
    outb(0x71, 0x42); /* 1024 Hz, PIE */
    cmos(0x0c);
    outb(0x21, 0x00 | 0x01);
    outb(0xa1, 0x00); /* everything but the PIT unmasked, IRQ 7 and 15 too */
    outb(0xa0, 0x0a);
    for (unsigned k = 0; k < 20; k++) {
        while (!(inb(0xa0) & 1))
            ; /* slave IRR: IRQ 8 waits */
        outb(0x70, 0x0b);
        outb(0x71, 0x02); /* PIE off, then the flags read: the line falls */
        uint8_t c = cmos(0x0c);
        for (unsigned i = 0; i < 200; i++) /* an ISA cycle (720 ns) until the line has fallen */
            __asm__ volatile("nop");
        EXPECT_EQ(c & 0x40, 0x40);
        uint8_t irr = inb(0xa0);
        for (unsigned i = 0; i < 16; i++)
            n[i] = 0;
        sti();
        for (unsigned i = 0; i < 50; i++)
            __asm__ volatile("nop");
        cli();
        unsigned total = 0;
        for (unsigned i = 0; i < 16; i++)
            total += n[i];
        if (k == 0)
            print("IRR behind %x; delivered: irq8 %u irq15 %u irq7 %u\n", irr, n[8], n[15], n[7]);
        EXPECT_EQ(irr & 1, 0);
        EXPECT_EQ(total, 0);
        outb(0x20, 0x0b);
        EXPECT_EQ(inb(0x20), 0);
        outb(0x20, 0x0a);
        outb(0x70, 0x0b);
        outb(0x71, 0x42);
    }
    /* the real thing still works */
    for (unsigned i = 0; i < 16; i++)
        n[i] = 0;
    while (!(inb(0xa0) & 1))
        ;
    sti();
    __asm__ volatile("nop\n\tnop");
    cli();
    EXPECT_EQ(n[8], 1);
    EXPECT_EQ(n[15], 0);
    EXPECT_EQ(n[7], 0);
    return 0;
}
