/* ne0_ferr.c - with CR0.NE = 0 an unmasked x87 error comes as IRQ 13 (FERR# through the PIIX), the waiting
 * instruction is not executed before; a write to F0h clears the request (SDM 1, 8.7; SDM 3, 2.5 NE; PIIX data
 * sheet, F0h). With NE = 1: #MF. */
#include "rt.h"
struct t {
    uint64_t m;
    uint16_t e;
} __attribute__((packed));
static volatile struct t out, at_irq, at_mf;
static volatile uint32_t irq13s, mfs, irq_eip;
extern char w1[];
static void irq13(struct frame *f)
{
    irq13s++;
    irq_eip = f->eip;
    at_irq.m = out.m;
    outb(0xf0, 0);
    __asm__ volatile("fnclex");
    irq_eoi(13);
}
static void mf(struct frame *f)
{
    mfs++;
    at_mf.m = out.m;
    __asm__ volatile("fnclex");
}
int guest_main(void)
{
    uint32_t c;
    uint16_t cw = 0x37f & ~0x20;
    set_isr(IRQ_BASE + 13, irq13);
    set_isr(16, mf);
    irq_unmask(13);
    static const float three = 3, one = 1;
    for (unsigned ne = 0; ne < 2; ne++) {
        __asm__ volatile("movl %%cr0, %0" : "=r"(c));
        c = (c & ~0x2eu) | 2 | ne << 5;
        __asm__ volatile("movl %0, %%cr0" : : "r"(c));
        irq13s = mfs = 0;
        out.m = 0;
        sti();
        __asm__ volatile(
            "fninit\n\tfldcw %1\n\tflds %2\n\tflds %3\n\tfdiv %%st(1)\nw1:\tfstpt %0\n\tnop\n\tnop"
            : "=m"(out)
            : "m"(cw), "m"(three), "m"(one)
            : "memory");
        for (unsigned i = 0; i < 1000; i++)
            __asm__ volatile("nop");
        cli();
        print("NE=%u: irq13 %u mf %u\n", ne, irq13s, mfs);
        EXPECT_EQ(irq13s, ne ? 0 : 1);
        EXPECT_EQ(mfs, ne ? 1 : 0);
        EXPECT_EQ(ne ? at_mf.m : at_irq.m, 0);
        EXPECT_EQ(out.m, 0xaaaaaaaaaaaaaaab);
    }
    return 0;
}
