/* bench_echo.c - computes, and answers each byte from COM1 with the byte and the time at which it saw it: how
 * soon is input noticed?
 *
 * Ends at 'q', or after seconds=N of virtual time (default 2). */
#include "rt.h"

static volatile bool done;

static void irq4(struct frame *f)
{
    (void)f;
    while (inb(0x3fd) & 1) {
        uint8_t c = inb(0x3f8);
        print("%c %X\n", c, rdtsc());
        done |= c == 'q';
    }
    irq_eoi(4);
}

/* Some 100 microseconds of virtual time. */
static uint32_t compute(uint32_t x)
{
    for (unsigned i = 0; i < 4000; i++)
        x = x * 1664525u + 1013904223u;
    return x;
}

int guest_main(void)
{
    uint64_t end = rdtsc() + option("seconds", 2) * 1000000000ull;
    volatile uint32_t x = 1;
    irq_mask_all();
    set_isr(IRQ_BASE + 4, irq4);
    outb(0x3fa, 7);
    outb(0x3fc, 0x0b);
    outb(0x3f9, 1);
    irq_unmask(4);
    sti();
    print("ready\n");
    while (!done && rdtsc() < end)
        x = compute(x);
    return 0;
}
