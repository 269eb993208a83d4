/* uart_line.c - the UART's transmitter: on an infinitely fast line 4,000 polled characters cost next to no
 * time, and THR's interrupt follows each character although the handler never reads IIR: INTR falls and
 * rises, since the 8259 wants edges. With wire=1 (-serial-speed wire) characters take ten bits each, of
 * 1/115200 s. */
#include "rt.h"

#define POLLED  4000u
#define BY_IRQ  500u
#define CHAR_NS 86805u

static volatile uint32_t interrupts;

static void irq4(struct frame *f)
{
    interrupts++;
    if (interrupts < BY_IRQ)
        outb(0x3f8, 0);
    irq_eoi(4);
}

static uint64_t poll_out(void)
{
    uint64_t start = rdtsc();
    for (unsigned i = 0; i < POLLED; i++) {
        while (!(inb(0x3fd) & 0x20))
            ;
        outb(0x3f8, 0);
    }
    while (!(inb(0x3fd) & 0x40))
        ;
    return rdtsc() - start; /* ns */
}

static uint64_t interrupt_out(void)
{
    uint64_t start = rdtsc();
    interrupts = 0;
    outb(0x3f9, 2); /* THR is empty: at once */
    while (interrupts < BY_IRQ) {
        cli();
        if (interrupts < BY_IRQ)
            __asm__ volatile("sti\n\thlt" : : : "memory");
        sti();
    }
    cli();
    outb(0x3f9, 0);
    return rdtsc() - start;
}

int guest_main(void)
{
    bool wire = option("wire", 0);
    set_isr(IRQ_BASE + 4, irq4);
    irq_unmask(4);
    while (!(inb(0x3fd) & 0x40))
        ;
    outb(0x3fb, 0x83), outb(0x3f8, 1), outb(0x3f9, 0), outb(0x3fb, 3); /* 115200 8N1 */
    outb(0x3fc, 0x0b);
    uint64_t polled = poll_out(), by_irq = interrupt_out();
    print("\n%u polled: %u us; %u by interrupts: %u us\n", POLLED, div64(polled, 1000, NULL), BY_IRQ,
          div64(by_irq, 1000, NULL));
    if (wire) {
        EXPECT(polled >= (uint64_t)(POLLED - 1) * CHAR_NS && polled < (uint64_t)(POLLED + 20) * CHAR_NS);
        EXPECT(by_irq >= (uint64_t)(BY_IRQ - 20) * CHAR_NS && by_irq < (uint64_t)(BY_IRQ + 20) * CHAR_NS);
    } else {
        EXPECT(polled < 4000000); /* 1 us each */
        EXPECT(by_irq < 2000000); /* 4 us each */
    }
    return 0;
}
