/* snapshot.c - for tests/snapshot.sh: a short loop of all that is hard to save and load.
 *
 * Stale TLB entries, address spaces that change, REP under interrupts, interrupt shadows, halts, traps,
 * exceptions, single steps, data breakpoints, posted writes that move interrupt lines. What it sees goes into
 * one hash, and the hash into the digest with memory. rounds=N (default 60) of about 3000 ticks. */
#include "rt.h"

#define L_STALE 0x380000u /* a page that is mapped to one, then to the other, without a flush */
#define L_OTHER 0x381000u /* differs between the address spaces */

static uint32_t dir[2][1024] __attribute__((aligned(4096))), table[2][1024] __attribute__((aligned(4096)));
static uint8_t pages[4][4096] __attribute__((aligned(4096)));
static uint8_t from[700], to[700];
static volatile uint32_t hash = 2166136261u, ticks, traps, seed = 1;

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
    mix(f->eip), mix(f->ecx), mix(f->eflags), mix((uint32_t)rdtsc());
    ticks++;
    irq_eoi(0);
}

static void irq4(struct frame *f)
{
    uint8_t iir;
    mix(f->eip);
    while (!((iir = inb(0x3fa)) & 1))
        mix(iir);
    irq_eoi(4);
}

static void trap(struct frame *f)
{
    uint32_t dr6;
    __asm__ volatile("movl %%dr6, %0" : "=r"(dr6));
    mix(f->eip), mix(f->vector), mix(dr6);
    __asm__ volatile("movl %0, %%dr6" : : "r"(0));
    traps++;
    if (f->vector == 1)
        f->eflags &= ~0x100u;
    if (f->vector == 6)
        f->eip += 2; /* over UD2 */
}

static void load_cr3(unsigned space)
{
    __asm__ volatile("movl %0, %%cr3" : : "r"(dir[space]) : "memory");
}

static void paging_on(void)
{
    for (unsigned s = 0; s < 2; s++) {
        for (uint32_t i = 0; i < 1024; i++)
            table[s][i] = i << 12 | 3;
        table[s][L_OTHER >> 12] = (uint32_t)pages[2 + s] | 3;
        dir[s][0] = (uint32_t)table[s] | 3;
    }
    for (unsigned p = 0; p < 4; p++)
        memset(pages[p], (int)(17 * p + 1), sizeof pages[p]);
    load_cr3(0);
    __asm__ volatile("movl %%cr0, %%eax\n\torl $0x80010000, %%eax\n\tmovl %%eax, %%cr0"
                     :
                     :
                     : "eax", "memory");
}

/* The guest reads through an entry that its page table no longer has: which one it gets is Tandem's choice,
 * but always the same. */
static void stale(void)
{
    volatile uint32_t *p = (volatile uint32_t *)L_STALE;
    unsigned space = random() & 1;
    table[space][L_STALE >> 12] = (uint32_t)pages[0] | 3;
    load_cr3(space);
    mix(*p);
    table[space][L_STALE >> 12] = (uint32_t)pages[1] | 3;
    for (unsigned i = 0; i < 12; i++)
        mix(*p), mix(*(volatile uint32_t *)(L_STALE + 4 * i));
    if (random() & 1)
        __asm__ volatile("invlpg (%0)" : : "r"(p) : "memory");
    mix(*p);
}

static void spaces(void)
{
    for (unsigned i = 0; i < 4; i++) {
        load_cr3(i & 1);
        mix(*(volatile uint32_t *)L_OTHER);
    }
}

static void rep(void)
{
    const void *s = from + random() % 64;
    void *d = to + random() % 64;
    uint32_t n = random() % 500;
    __asm__ volatile("rep movsb" : "+S"(s), "+D"(d), "+c"(n) : : "memory");
    mix(n), mix(to[random() % sizeof to]);
    from[random() % sizeof from] = (uint8_t)random();
}

static void events(void)
{
    static uint32_t watched;
    __asm__ volatile("int3");
    __asm__ volatile("ud2");
    __asm__ volatile("pushfl\n\torl $0x100, (%%esp)\n\tpopfl\n\tnop\n\tnop" : : : "memory", "cc");
    __asm__ volatile("movl %0, %%dr0\n\tmovl %1, %%dr7" : : "r"(&watched), "r"(0x000d0001));
    watched = random();
    __asm__ volatile("movl %0, %%dr7" : : "r"(0));
    __asm__ volatile("cli\n\tsti\n\tnop\n\tcli\n\tsti\n\tnop");
    __asm__ volatile("movl %%ss, %%eax\n\tmovl %%eax, %%ss\n\tnop" : : : "eax", "memory");
}

/* Many of them close together: traps with the shortest handler, shadows, RF, a line that goes up and down. */
__asm__("just_iret: iret");
extern char just_iret[];

static void storm(unsigned n)
{
    struct {
        uint16_t limit;
        uint64_t *base;
    } __attribute__((packed)) idtr;
    __asm__ volatile("sidt %0" : "=m"(idtr));
    uint64_t usual = idtr.base[1];
    set_gate(1, just_iret, 0x8e);
    outb(0x21, inb(0x21) | 1);
    for (unsigned i = 0; i < n; i++) {
        __asm__ volatile("cli\n\tsti\n\tnop\n\t"
                         "movl %%ss, %%eax\n\tmovl %%eax, %%ss\n\tnop\n\t"
                         "pushfl\n\torl $0x100, (%%esp)\n\tpopfl\n\tnop\n\t"
                         "pushfl\n\tandl $~0x100, (%%esp)\n\tpopfl\n\t"
                         "pushfl\n\torl $0x10000, (%%esp)\n\tpushl %%cs\n\tpushl $1f\n\tiret\n1:\tnop"
                         :
                         :
                         : "eax", "memory", "cc");
        outb(0x43, i & 1 ? 0x34 : 0x30); /* the output of counter 0 goes up or down */
    }
    outb(0x21, inb(0x21) & ~1);
    idtr.base[1] = usual;
}

static void devices(void)
{
    outb(0x43, 0x34), outb(0x40, (uint8_t)(8 + random() % 16)), outb(0x40, 0);
    outb(0x3f9, 0), outb(0x3f8, '.'), outb(0x3f9, 2);
    outb(0x43, 0), mix(inb(0x40)), mix(inb(0x40)), mix(inb(0x61)), mix(inl(0x608));
}

int guest_main(void)
{
    unsigned rounds = option("rounds", 60);
    set_isr(IRQ_BASE, irq0), set_isr(IRQ_BASE + 4, irq4);
    set_isr(1, trap), set_isr(3, trap), set_isr(6, trap);
    paging_on();
    devices();
    irq_unmask(0), irq_unmask(4);
    sti();
    for (unsigned i = 0; i < rounds; i++) {
        stale(), events(), rep(), spaces(), events(), rep(), events(), storm(20), devices();
        if ((random() & 7) == 0)
            __asm__ volatile("cli\n\tsti\n\thlt");
    }
    cli();
    outb(0x3f9, 0);
    load_cr3(0);
    EXPECT(ticks > 0 && traps >= 12 * rounds);
    print("%X %d interrupts, %d traps\n", (uint64_t)hash, ticks, traps);
    return (int)failures;
}
