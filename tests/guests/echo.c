/* echo.c - sleeps in HLT; every byte from COM1 goes, with its time, into a sum that is printed; ends at 'q'.
 *
 * tests/replay.sh types at it while it records. pit=N: an interrupt every N counts besides; 0 (default):
 * none, so that a sleep spans many digest points. */
#include "rt.h"

static volatile uint32_t sum, irqs;
static volatile bool done;

static void irq4(struct frame *f)
{
    (void)f;
    while (inb(0x3fd) & 1) {
        uint8_t c = inb(0x3f8);
        sum = sum * 31 + c + (uint32_t)rdtsc();
        done |= c == 'q';
    }
    irqs++;
    irq_eoi(4);
}

static void irq0(struct frame *f)
{
    (void)f;
    sum = sum * 7 + 1;
    irq_eoi(0);
}

static void start_pit(unsigned count)
{
    set_isr(IRQ_BASE + 0, irq0);
    outb(0x43, 0x34);
    outb(0x40, count & 0xff);
    outb(0x40, count >> 8);
    irq_unmask(0);
}

int guest_main(void)
{
    irq_mask_all();
    set_isr(IRQ_BASE + 4, irq4);
    outb(0x3fa, 7);
    outb(0x3fc, 0x0b);
    outb(0x3f9, 1);
    irq_unmask(4);
    if (option("pit", 0))
        start_pit(option("pit", 0));
    print("ready\n");
    while (!done) {
        cli();
        if (!done)
            __asm__ volatile("sti\n\thlt" : : : "memory");
        print("%x ", sum);
    }
    print("\nsum %x irqs %u\n", sum, irqs);
    return 0;
}
