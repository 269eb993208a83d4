/* rep_restarted.c - RF of a REP MOVSB that a page fault restarts (so that it begins with RF set, in memory
 * beyond RAM, one instruction at a time): an interrupt between two iterations pushes 1, one behind the last
 * pushes 0, wherever a horizon cuts the REP. */
#include "rt.h"

enum { P = 1, RW = 2 };
#define LIN   0x08000000u
#define COUNT 8000u

typedef uint32_t page_words[1024] __attribute__((aligned(4096)));
static page_words dir, low, table;
static uint8_t from[8192] __attribute__((aligned(4096))), to[16384] __attribute__((aligned(4096)));
static volatile uint32_t inside, outside, wrong;
extern char rep_at[];

static void irq0(struct frame *f)
{
    bool in = f->eip == (uint32_t)rep_at && f->ecx > 0 && f->ecx < COUNT;
    wrong += (f->eflags >> 16 & 1) != in;
    inside += in;
    outside += !in;
    irq_eoi(0);
}

static void page_fault(struct frame *f)
{
    table[0] = 0x02000000 | P | RW; /* beyond RAM */
    table[1] = (uint32_t)from | P | RW;
    table[2] = (uint32_t)(from + 4096) | P | RW;
    __asm__ volatile("invlpg (%0)" : : "r"(LIN) : "memory");
}

static void paging_on(void)
{
    for (uint32_t i = 0; i < 1024; i++)
        low[i] = i << 12 | P | RW;
    dir[0] = (uint32_t)low | P | RW;
    dir[LIN >> 22] = (uint32_t)table | P | RW;
    __asm__ volatile("movl %0, %%cr3\n\tmovl %%cr0, %%eax\n\torl $0x80010000, %%eax\n\tmovl %%eax, %%cr0"
                     :
                     : "r"(dir)
                     : "eax", "memory");
}

static __attribute__((noinline)) void copy(void)
{
    uint32_t s = LIN + 4096 - 1, d = (uint32_t)to, n = COUNT;
    __asm__ volatile("rep_at:\trep movsb" : "+S"(s), "+D"(d), "+c"(n) : : "memory");
}

int guest_main(void)
{
    set_isr(14, page_fault);
    paging_on();
    set_isr(IRQ_BASE, irq0);
    irq_unmask(0);
    sti();
    for (unsigned r = 0; r < 600; r++) {
        unsigned count = 40 + r % 97;
        table[0] = 0;
        __asm__ volatile("invlpg (%0)" : : "r"(LIN) : "memory");
        outb(0x43, 0x30);
        outb(0x40, (uint8_t)count);
        outb(0x40, (uint8_t)(count >> 8));
        copy();
    }
    cli();
    print("inside %u, outside %u, wrong %u\n", inside, outside, wrong);
    EXPECT(inside > 100);
    EXPECT_EQ(wrong, 0);
    return failures;
}
