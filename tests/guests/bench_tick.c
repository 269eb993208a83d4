/* bench_tick.c - a machine that computes while its clock ticks: the PIT at hz=H (19 to 100000), for irqs=N
 * interrupts, without ever halting. Between interrupts it adds and stores, so that the wall time is that of
 * the instructions plus that of the interrupts. */
#include "rt.h"

#define PIT_HZ 1193182u

static volatile uint32_t irqs;
static uint32_t words[1024];

static void irq0(struct frame *f)
{
    (void)f;
    irqs++;
    irq_eoi(0);
}

static uint32_t compute(uint32_t sum)
{
    for (uint32_t i = 0; i < 1024; i++) {
        sum += words[i];
        words[i] = sum ^ i;
    }
    return sum;
}

int guest_main(void)
{
    uint32_t want = option("irqs", 1000), divisor = PIT_HZ / option("hz", 1000), sum = 1, rounds = 0;
    set_isr(IRQ_BASE, irq0);
    outb(0x43, 0x34), outb(0x40, (uint8_t)divisor), outb(0x40, (uint8_t)(divisor >> 8));
    irq_unmask(0);
    sti();
    for (; irqs < want; rounds++)
        sum = compute(sum);
    cli();
    EXPECT(rounds > 0 && sum != 0x12345678);
    return 0;
}
