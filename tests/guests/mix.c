/* mix.c - the determinism guest: interrupts, port I/O of every class, paging, code changes, idle.
 *
 * Everything that it sees (counters, ticks, where interrupts fell) goes into one hash, so a wrong tick
 * anywhere shows in the printed line as well as in the digest. rounds=N (default 40). */
#include "rt.h"

static uint32_t dir[1024] __attribute__((aligned(4096))), table[1024] __attribute__((aligned(4096)));
static uint8_t code_page[4096] __attribute__((aligned(4096)));
static volatile uint32_t hash = 2166136261u, ticks, rtc_ticks, tx_irqs, seed = 1;

static void mix(uint32_t v)
{
    hash = (hash ^ v) * 16777619u;
    hash ^= hash >> 15;
}

static uint32_t random(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

static void irq0(struct frame *f)
{
    mix(f->eip), mix((uint32_t)rdtsc());
    ticks++;
    irq_eoi(0);
}

static void irq8(struct frame *f)
{
    mix(f->eip);
    outb(0x70, 0x0c);
    mix(inb(0x71));
    rtc_ticks++;
    irq_eoi(8);
}

static void irq4(struct frame *f)
{
    uint8_t iir;
    mix(f->eip);
    while (!((iir = inb(0x3fa)) & 1)) {
        mix(iir);
        if ((iir & 0x0e) == 2)
            tx_irqs++;
        if ((iir & 0x0e) == 4 || (iir & 0x0e) == 0x0c)
            mix(inb(0x3f8));
    }
    irq_eoi(4);
}

static void page_fault(struct frame *f)
{
    uint32_t cr2;
    __asm__ volatile("movl %%cr2, %0" : "=r"(cr2));
    mix(cr2), mix(f->error);
    table[cr2 >> 12 & 1023] = (cr2 & ~0xfffu) | 3;
    __asm__ volatile("invlpg (%0)" : : "r"(cr2) : "memory");
}

static void paging_on(void)
{
    for (uint32_t i = 0; i < 1024; i++)
        table[i] = i << 12 | 3;
    dir[0] = (uint32_t)table | 3;
    __asm__ volatile("movl %0, %%cr3\n\tmovl %%cr0, %%eax\n\torl $0x80010000, %%eax\n\tmovl %%eax, %%cr0"
                     :
                     : "r"(dir)
                     : "eax", "memory");
}

static void touch_pages(void)
{
    for (unsigned i = 0; i < 40; i++) {
        uint32_t page = 0x200 + random() % 0x180;
        volatile uint32_t *p = (volatile uint32_t *)(page << 12 | (random() & 0xffc));
        mix(*p);
        *p = random();
        if ((random() & 7) == 0) {
            table[page] = 0;
            __asm__ volatile("invlpg (%0)" : : "r"(p) : "memory");
        }
    }
}

static void ports(void)
{
    outb(0x43, 0), mix(inb(0x40)), mix(inb(0x40));
    mix(inl(0x608)), mix(inb(0x61)), mix(inb(0x64)), mix(inb(0x3fd)), mix(inb(0x3fa)), mix(inb(0x2fd));
    outb(0x70, random() & 0x0f), mix(inb(0x71));
    outb(0x80, (uint8_t)random());
    outb(0x3ff, (uint8_t)random()), mix(inb(0x3ff));
    outl(0xcf8, 0x80000000 | (random() & 0x3ffc)), mix(inl(0xcfc));
    outb(0x20, 0x0a), mix(inb(0x20));
}

static void rewrite_code(void)
{
    code_page[0] = 0xb8;
    *(volatile uint32_t *)(code_page + 1) = random();
    code_page[5] = 0xc3;
    uint32_t r;
    __asm__ volatile("call *%1" : "=a"(r) : "r"(code_page) : "ecx", "edx", "memory", "cc");
    mix(r);
}

static void compute(void)
{
    uint32_t n = random() % 3000 + 100;
    long double x = 1.0L;
    for (uint32_t i = 0; i < n; i++) {
        mix(i);
        x = x * 1.000001L + 0.5L / (long double)(int)(i + 1);
    }
    uint32_t w[3] = {0};
    memcpy(w, &x, 10);
    mix(w[0]), mix(w[1]), mix(w[2]);
}

static void idle(void)
{
    uint32_t until = ticks + 1 + (random() & 3);
    while (ticks < until)
        hlt();
}

int guest_main(void)
{
    unsigned rounds = option("rounds", 40);
    set_isr(IRQ_BASE, irq0), set_isr(IRQ_BASE + 8, irq8), set_isr(IRQ_BASE + 4, irq4),
        set_isr(14, page_fault);
    paging_on();
    outb(0x43, 0x34), outb(0x40, 0x89), outb(0x40, 0x13);
    outb(0x70, 0x0a), outb(0x71, 0x26);
    outb(0x70, 0x0b), outb(0x71, 0x42);
    outb(0x70, 0x0c), inb(0x71);
    irq_unmask(0), irq_unmask(8), irq_unmask(4), irq_unmask(2);
    outb(0x3f9, 0x03);
    sti();
    for (unsigned i = 0; i < rounds; i++) {
        touch_pages(), ports(), rewrite_code(), compute();
        outb(0x3f8, '.');
        if ((random() & 3) == 0)
            idle();
        if ((random() & 7) == 0) /* a new PIT rate */
            outb(0x43, 0x34), outb(0x40, (uint8_t)random()), outb(0x40, 4 + (random() & 15));
    }
    cli();
    outb(0x3f9, 0);
    irq_mask_all();
    print("\nhash %x ticks %u rtc %u tx %u tsc %X\n", hash, ticks, rtc_ticks, tx_irqs, rdtsc());
    EXPECT(ticks > 0);
    EXPECT(tx_irqs > 0);
    return 0;
}
