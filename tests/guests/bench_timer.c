/* bench_timer.c - timer-bound: the PIT at about 20 kHz for irqs=N interrupts, half of the time idle. */
#include "rt.h"

static volatile uint32_t irqs;

static void irq0(struct frame *f)
{
    (void)f;
    irqs++;
    irq_eoi(0);
}

int guest_main(void)
{
    uint32_t want = option("irqs", 100000), sum = 0;
    set_isr(IRQ_BASE, irq0);
    outb(0x43, 0x34), outb(0x40, 60), outb(0x40, 0);
    irq_unmask(0);
    sti();
    while (irqs < want) {
        hlt();
        for (uint32_t i = 0; i < 200; i++)
            sum += i * irqs;
    }
    cli();
    EXPECT(sum != 1);
    return 0;
}
