/* ss_breakpoint.c - an instruction breakpoint is not met directly behind MOV SS or POP SS, but behind STI,
 * and one instruction later (SDM 3A 6.8.3). A data breakpoint that MOV SS itself meets comes behind the next
 * instruction. */
#include "rt.h"

static volatile uint32_t hits, at;
static volatile uint16_t selector;
extern char bp1[], bp2[], bp3[], bp4[], after4[];

static void debug(struct frame *f)
{
    hits++;
    at = f->eip;
    f->eflags |= 0x10000;
    __asm__ volatile("movl %0, %%db6" : : "r"(0));
}

static void break_at(const void *address, uint32_t dr7)
{
    hits = at = 0;
    __asm__ volatile("movl %0, %%db0\n\tmovl %1, %%db7" : : "r"(address), "r"(dr7));
}

int guest_main(void)
{
    set_isr(1, debug);
    break_at(bp1, 0x402);
    __asm__ volatile("movl %%ss, %%ecx\n\tmovl %%ecx, %%ss\nbp1:\tnop" : : : "ecx");
    EXPECT_EQ(hits, 0);
    break_at(bp2, 0x402);
    __asm__ volatile("pushl %%ss\n\tpopl %%ss\n\tnop\nbp2:\tnop" : : : "memory");
    EXPECT_EQ(hits, 1);
    EXPECT_EQ(at, (uint32_t)bp2);
    irq_mask_all();
    break_at(bp3, 0x402);
    __asm__ volatile("sti\nbp3:\tnop\n\tcli");
    EXPECT_EQ(hits, 1);
    __asm__ volatile("movl %%ss, %%eax\n\tmovw %%ax, %0" : "=m"(selector) : : "eax");
    break_at((const void *)&selector, 0x000f0402 & ~0xc0000u);
    __asm__ volatile("movw %0, %%ss\nbp4:\tnop\nafter4:\tnop" : : "m"(selector));
    EXPECT_EQ(hits, 1);
    EXPECT_EQ(at, (uint32_t)after4);
    __asm__ volatile("movl %0, %%db7" : : "r"(0x400));
    return 0;
}
