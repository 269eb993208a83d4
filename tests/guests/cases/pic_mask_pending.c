/* pic_mask_pending.c - a request that waits is masked before STI: nothing is delivered while masked; it comes
 * at once when unmasked (IRR keeps it). Also with the master's IR2 masked for a slave's. */
#include "rt.h"
static volatile uint32_t n[16], at;
static void any(struct frame *f)
{
    unsigned i = f->vector - IRQ_BASE;
    n[i]++;
    at = f->eip;
    if (i == 8) {
        outb(0x70, 0x0c);
        inb(0x71);
    }
    irq_eoi(i);
}
extern char u0[];
int guest_main(void)
{
    for (unsigned i = 0; i < 16; i++)
        set_isr(IRQ_BASE + i, any);
    outb(0x43, 0x30);
    outb(0x40, 100);
    outb(0x40, 0); /* mode 0: one edge */
    irq_unmask(0);
    outb(0x20, 0x0a);
    while (!(inb(0x20) & 1))
        ;
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
    sti();
    for (unsigned i = 0; i < 1000; i++)
        __asm__ volatile("nop");
    EXPECT_EQ(n[0] + n[7] + n[15], 0);
    EXPECT_EQ(inb(0x20) & 1, 1);
    __asm__ volatile("movb $0xfe, %%al\n\toutb %%al, $0x21\nu0:\tnop\n\tnop\n\tnop" : : : "eax");
    for (unsigned i = 0; i < 200; i++)
        __asm__ volatile("nop");
    EXPECT_EQ(n[0], 1);
    print("delivered %d bytes behind the unmasking\n", (int)(at - (uint32_t)u0));
    cli();
    outb(0x21, 0xff);
    outb(0x70, 0x0a);
    outb(0x71, 0x26);
    outb(0x70, 0x0c);
    inb(0x71);
    outb(0x70, 0x0b);
    outb(0x71, 0x42);
    outb(0xa1, 0xfe);
    outb(0xa0, 0x0a);
    while (!(inb(0xa0) & 1))
        ;
    sti();
    for (unsigned i = 0; i < 1000; i++)
        __asm__ volatile("nop");
    EXPECT_EQ(n[8] + n[7] + n[15], 0);
    outb(0x21, 0xfb);
    for (unsigned i = 0; i < 200; i++)
        __asm__ volatile("nop");
    cli();
    EXPECT_EQ(n[8], 1);
    EXPECT_EQ(n[15], 0);
    outb(0x70, 0x0b);
    outb(0x71, 2);
    return 0;
}
