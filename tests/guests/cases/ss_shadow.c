/* ss_shadow.c - no interrupt and no single step between MOV SS / POP SS and the next instruction (SDM
 * 3, 6.8.3). A fast PIT hits a loop of such pairs at every place but the forbidden ones; a step trap comes
 * behind the following instruction; a pending IRQ after STI comes behind the instruction that follows STI;
 * and LSS needs no shadow. */
#include "rt.h"
extern char l0[], a1[], a2[], a3[], l9[], s1[], s2[], s3[], p1[], p2[], p3[], q1[], q2[];
static volatile uint32_t irqs, hit[3], other, lss, last_eip, steps[8], nsteps;
static void irq0(struct frame *f)
{
    irqs++;
    last_eip = f->eip;
    if (f->eip == (uint32_t)a1)
        hit[0]++;
    else if (f->eip == (uint32_t)a2)
        hit[1]++;
    else if (f->eip >= (uint32_t)l0 && f->eip < (uint32_t)l9)
        other++;
    irq_eoi(0);
}
static void db(struct frame *f)
{
    if (nsteps < 8)
        steps[nsteps] = f->eip;
    nsteps++;
    __asm__ volatile("movl %0, %%db6" : : "r"(0));
}
int guest_main(void)
{
    set_isr(IRQ_BASE, irq0);
    set_isr(1, db);
    outb(0x43, 0x34);
    outb(0x40, 61);
    outb(0x40, 0); /* 19.6 kHz: 51 us */
    irq_unmask(0);
    sti();
    static uint32_t junk[64];
    __asm__ volatile("movl $60000, %%ecx\n\tmovl %%esp, %%esi\n\tmovl $0x10, %%eax\n"
                     "l0:\tpushl $0x10\n\tmovl %%eax, %%ss\na1:\tmovl %%esi, %%esp\n\tnop\n\tpushl "
                     "$0x10\n\tpopl %%ss\na2:\tmovl %%esi, %%esp\n\tnop\n\tdecl %%ecx\n\tjnz l0\nl9:"
                     :
                     : "r"(junk)
                     : "eax", "ecx", "esi", "memory");
    cli();
    print("irqs %u in loop %u\n", irqs, other);
    EXPECT(other > 30);
    EXPECT_EQ(hit[0], 0);
    EXPECT_EQ(hit[1], 0);
    /* pending, then STI; MOV SS; MOV ESP */
    for (unsigned k = 0; k < 100; k++) {
        for (unsigned i = 0; i < 3000; i++)
            __asm__ volatile("");
        outb(0x20, 0x0a);
        while (!(inb(0x20) & 1))
            ;
        uint32_t before = irqs;
        __asm__ volatile("movl %%esp, %%esi\n\tmovl $0x10, %%eax\n\tsti\ns1:\tmovl %%eax, %%ss\ns2:\tmovl "
                         "%%esi, %%esp\ns3:\tnop\n\tcli"
                         :
                         :
                         : "eax", "esi", "memory");
        EXPECT_EQ(irqs, before + 1);
        EXPECT(last_eip == (uint32_t)s3);
        if (last_eip != (uint32_t)s3) {
            print("delivered at s%d\n", last_eip == (uint32_t)s1 ? 1 : last_eip == (uint32_t)s2 ? 2 : 0);
            break;
        }
    }
    /* STI; CLI with a pending one: never delivered */
    outb(0x20, 0x0a);
    while (!(inb(0x20) & 1))
        ;
    {
        uint32_t before = irqs;
        for (unsigned i = 0; i < 100; i++)
            __asm__ volatile("sti\n\tcli\n\tnop" : : : "memory");
        EXPECT_EQ(irqs, before);
    }
    irq_mask_all();
    for (unsigned r = 0; r < 2; r++) {
        nsteps = 0;
        __asm__ volatile(
            "movl %%esp, %%esi\n\tmovl $0x10, %%eax\n\tpushfl\n\torl $0x100, (%%esp)\n\tpopfl\n\tmovl %%eax, "
            "%%ss\np1:\tmovl %%esi, %%esp\np2:\tpushl $2\np3:\tpopfl\nq1:\tnop"
            :
            :
            : "eax", "esi", "memory");
        EXPECT_EQ(nsteps, 3);
        EXPECT_EQ(steps[0], (uint32_t)p2);
        EXPECT_EQ(steps[1], (uint32_t)p3);
        EXPECT_EQ(steps[2], (uint32_t)q1);
    }
    return 0;
}
