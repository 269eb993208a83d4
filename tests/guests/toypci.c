/* toypci: drives the toy PCI device (hw/toypci.h; option -x-toypci) with all that a device can do to a
 * machine.
 *
 * BARs sized, moved under fire, onto RAM, away and disabled; DMA both ways by scatter lists, onto code, onto
 * the running block's page and onto page tables; two interrupts, routed and shared; all registers' classes.
 * The guest resets the machine in the middle of DMA once and does it all again. What races with the device
 * (how often a loop ran before DMA changed it) goes into `hash`, which digests compare: it must not depend on
 * how the machine is run. Values are those of hw/toypci.h, the 82441FX and the 82371SB. moves=N: nothing but
 * N rounds of moves under DMA and interrupts. */
#include "rt.h"

#define REG_ID     0x00
#define REG_STATUS 0x04
#define REG_CLEAR  0x08
#define REG_ENABLE 0x0C
#define REG_TIMER  0x10
#define REG_TICKS  0x14
#define REG_READS  0x18
#define REG_NOW    0x1C
#define REG_LIST   0x20
#define REG_COUNT  0x24
#define REG_RATE   0x28
#define REG_START  0x2C
#define RAM_AT     0x800
#define ID         0x544F5901u
#define BUSY       1u
#define DMA        2u
#define TIMER      4u
#define ERROR      16u
#define TO_MEMORY  1u
#define TELL       2u

#define SLOT     (0x80000000u | 4u << 11)
#define ISA      (0x80000000u | 1u << 11)
#define COMMAND  0x04
#define BAR0     0x10
#define BAR1     0x14
#define IRQ_DMA  11
#define IRQ_TICK 10

#define LIST       0x400000u
#define BUFFER     0x410000u
#define CODE       0x420000u
#define DIRECTORY  0x430000u
#define TABLES     0x431000u /* four: 16 MiB */
#define PAGE_A     0x440000u
#define PAGE_B     0x441000u
#define PAGE_SEEN  0x450000u /* linear; PAGE_A or PAGE_B */
#define CMOS_ROUND 0x50

static uint32_t hash = 2166136261u;
static uint32_t mem_at = 0xE0000000u; /* where BAR 0 is */
static uint16_t io_at = 0xC000;       /* where BAR 1 is */
static volatile unsigned dma_irqs, tick_irqs;

static void mix(uint32_t v)
{
    hash = (hash ^ v) * 16777619u;
    hash ^= hash >> 15;
}

static void config_write(uint32_t reg, uint32_t v)
{
    outl(0xCF8, reg);
    outl(0xCFC, v);
}

static uint32_t config_read(uint32_t reg)
{
    outl(0xCF8, reg);
    return inl(0xCFC);
}

static volatile uint32_t *at(uint32_t phys_addr)
{
    return (volatile uint32_t *)phys_addr;
}

static uint32_t get(uint32_t reg)
{
    return *at(mem_at + reg);
}

static void put(uint32_t reg, uint32_t v)
{
    *at(mem_at + reg) = v;
}

/* A move takes effect 15 ticks after the write. */
static void settle(void)
{
    for (volatile unsigned i = 0; i < 20; i++) /* some 100 instructions */
        ;
}

static void on_dma(struct frame *f)
{
    mix(f->eip);
    mix(inl((uint16_t)(io_at + REG_STATUS)));
    outl((uint16_t)(io_at + REG_CLEAR), DMA | ERROR);
    (void)inl((uint16_t)(io_at + REG_STATUS)); /* the pin has fallen before the EOI */
    settle();
    dma_irqs++;
    irq_eoi(IRQ_DMA);
}

static void on_tick(struct frame *f)
{
    mix(f->eip);
    outl((uint16_t)(io_at + REG_CLEAR), TIMER);
    settle();
    tick_irqs++;
    irq_eoi(IRQ_TICK);
}

static void place(uint32_t mem, uint32_t io, uint32_t command)
{
    config_write(SLOT | BAR0, mem);
    config_write(SLOT | BAR1, io);
    config_write(SLOT | COMMAND, command);
    mem_at = mem;
    io_at = (uint16_t)io;
    settle();
}

static void find_and_size(void)
{
    EXPECT_EQ(config_read(SLOT), 0x00015450);
    EXPECT_EQ(config_read(SLOT | COMMAND) & 0xFFFF, 0);
    EXPECT_EQ(config_read(SLOT | BAR0), 0);
    config_write(SLOT | BAR0, ~0u);
    EXPECT_EQ(config_read(SLOT | BAR0), 0xFFFFF000);
    config_write(SLOT | BAR1, ~0u);
    EXPECT_EQ(config_read(SLOT | BAR1), 0xFFFFFFE1);
    place(0xE0000000u, 0xC000, 7);
    EXPECT_EQ(get(REG_ID), ID);
    EXPECT_EQ(inl(0xC000), ID);
}

static void register_classes(void)
{
    uint32_t before = get(REG_NOW), reads = get(REG_READS);
    for (unsigned i = 1; i < 50; i++) {
        put(REG_LIST, i * 0x01010101);
        put(RAM_AT + i * 4, ~i);
        EXPECT_EQ(get(REG_LIST), i * 0x01010101u);
        EXPECT_EQ(get(REG_READS), reads + i);
    }
    for (unsigned i = 1; i < 50; i++)
        EXPECT_EQ(get(RAM_AT + i * 4), ~i);
    EXPECT(get(REG_NOW) > before);
    mix(get(REG_NOW));
}

/* --- DMA --- */

static void desc(unsigned n, uint32_t address, uint32_t bytes, uint32_t card, uint32_t flags)
{
    volatile uint32_t *d = at(LIST + 16 * n);
    d[0] = address;
    d[1] = bytes;
    d[2] = card;
    d[3] = flags;
}

static void start_dma(unsigned count, uint32_t rate)
{
    put(REG_LIST, LIST);
    put(REG_COUNT, count);
    put(REG_RATE, rate);
    put(REG_START, 1);
}

static void wait_dma(void)
{
    while (inl((uint16_t)(io_at + REG_STATUS)) & BUSY)
        ;
}

static void scatter(void)
{
    uint8_t *from = (uint8_t *)BUFFER, *to = (uint8_t *)(BUFFER + 0x8000);
    unsigned irqs = dma_irqs;
    for (unsigned i = 0; i < 2048; i++)
        from[i] = (uint8_t)(i * 7 + (i >> 8));
    memset(to, 0, 4096);
    desc(0, BUFFER, 700, 0, TELL);
    desc(1, BUFFER + 700, 1348, 700, 0);
    desc(2, BUFFER + 0x8FFD, 1000, 0, TO_MEMORY | TELL); /* over a page's end */
    desc(3, BUFFER + 0x8000, 1048, 1000, TO_MEMORY);
    put(REG_ENABLE, DMA | ERROR);
    sti();
    uint64_t begin = rdtsc();
    start_dma(4, 100);
    while (get(REG_STATUS) & BUSY)
        hlt();
    cli();
    mix((uint32_t)(rdtsc() - begin));
    EXPECT_EQ(dma_irqs - irqs, 3);
    EXPECT_EQ(memcmp((void *)(BUFFER + 0x8FFD), from, 1000), 0);
    EXPECT_EQ(memcmp(to, from + 1000, 1048), 0);
    desc(0, 0xD0000000u, 64, 0, TO_MEMORY);
    put(REG_ENABLE, 0);
    start_dma(1, 1);
    wait_dma();
    EXPECT_EQ(get(REG_CLEAR) & (DMA | ERROR), ERROR);
    config_write(SLOT | COMMAND, 3); /* no bus master */
    start_dma(1, 1);
    wait_dma();
    EXPECT_EQ(get(REG_CLEAR) & (DMA | ERROR), ERROR);
    config_write(SLOT | COMMAND, 7);
}

/* mov $imm, %eax; ret */
static void put_code(uint32_t where, uint32_t imm)
{
    uint8_t code[6] = {0xB8, (uint8_t)imm, (uint8_t)(imm >> 8), (uint8_t)(imm >> 16), (uint8_t)(imm >> 24),
                       0xC3};
    memcpy((void *)where, code, 6);
}

static void onto_code(void)
{
    uint32_t (*fn)(void) = (uint32_t(*)(void))CODE;
    for (unsigned round = 1; round <= 4; round++) {
        unsigned calls = 0;
        put_code(BUFFER, 1000 + round);
        put_code(CODE, round);
        for (unsigned i = 0; i < 100; i++)
            EXPECT_EQ(fn(), round);
        desc(0, BUFFER, 6, 0, 0);
        desc(1, CODE, 6, 0, TO_MEMORY);
        start_dma(2, 50);
        while (fn() == round)
            calls++;
        EXPECT_EQ(fn(), 1000 + round);
        wait_dma();
        get(REG_CLEAR);
        mix(calls);
    }
}

/* 1: inc %ecx; mov $0, %eax; test %eax, %eax; jz 1b; mov %ecx, %eax; ret. DMA makes the 0 a 1. */
static void onto_running_block(void)
{
    static const uint8_t code[] = {0x41, 0xB8, 0, 0, 0, 0, 0x85, 0xC0, 0x74, 0xF6, 0x89, 0xC8, 0xC3};
    for (unsigned round = 0; round < 4; round++) {
        uint32_t turns;
        memcpy((void *)(CODE + 0x100), code, sizeof code);
        *at(BUFFER) = 1;
        desc(0, BUFFER, 4, 0, 0);
        desc(1, CODE + 0x102, 4, 0, TO_MEMORY);
        start_dma(2, 50 + round);
        __asm__ volatile("xor %%ecx, %%ecx\n call *%1" : "=a"(turns) : "r"(CODE + 0x100) : "ecx", "memory");
        EXPECT(turns > 1);
        mix(turns);
        wait_dma();
        get(REG_CLEAR);
    }
}

/* --- page tables --- */

static void build_tables(void)
{
    for (unsigned i = 0; i < 4096; i++)
        *at(TABLES + 4 * i) = i << 12 | 3;
    memset((void *)DIRECTORY, 0, 4096);
    for (unsigned i = 0; i < 4; i++)
        *at(DIRECTORY + 4 * i) = (TABLES + 4096 * i) | 3;
    *at(TABLES + (PAGE_SEEN >> 12) * 4) = PAGE_A | 3;
}

static void paging_on(void)
{
    __asm__ volatile("mov %0, %%cr3\n mov %%cr0, %%eax\n or $0x80000000, %%eax\n mov %%eax, %%cr0"
                     :
                     : "r"(DIRECTORY)
                     : "eax", "memory");
}

static void paging_off(void)
{
    __asm__ volatile("mov %%cr0, %%eax\n and $0x7fffffff, %%eax\n mov %%eax, %%cr0" : : : "eax", "memory");
}

/* The device is not mapped then: it is started before, and answers at I/O ports. */
static void onto_page_tables(void)
{
    for (unsigned round = 0; round < 4; round++) {
        unsigned old = 0;
        *at(PAGE_A) = 0xAAAA;
        *at(PAGE_B) = 0xBBBB;
        *at(BUFFER) = PAGE_B | 3;
        desc(0, BUFFER, 4, 0, 0);
        desc(1, BUFFER, 2048, 0, 0); /* for its time */
        desc(2, BUFFER, 4, 0, 0);
        desc(3, TABLES + (PAGE_SEEN >> 12) * 4, 4, 0, TO_MEMORY);
        build_tables();
        start_dma(4, 100 + round);
        paging_on();
        while (inl((uint16_t)(io_at + REG_STATUS)) & BUSY)
            old += *at(PAGE_SEEN) == 0xAAAA;
        __asm__ volatile("mov %%cr3, %%eax\n mov %%eax, %%cr3" : : : "eax", "memory");
        uint32_t now = *at(PAGE_SEEN);
        paging_off();
        EXPECT_EQ(now, 0xBBBB);
        mix(old);
        get(REG_CLEAR);
    }
}

/* --- moves --- */

/* Writes a BAR, and 32 reads behind it, one each tick: the sum says at which tick what is read there came or
 * went. The write is in force for the first of them. */
static uint32_t move_and_look(uint32_t bar, uint32_t value, uint32_t phys_addr)
{
    uint32_t sum = 0;
    outl(0xCF8, SLOT | bar);
    __asm__ volatile("outl %2, %w3\n .rept 32\n add (%1), %0\n .endr"
                     : "+r"(sum)
                     : "r"(phys_addr), "a"(value), "d"(0xCFC)
                     : "memory");
    return sum;
}

static uint32_t each_tick_ports(uint16_t port)
{
    uint32_t value[32], sum = 0, *p = value, n = 32;
    __asm__ volatile("cld\n rep insl" : "+D"(p), "+c"(n) : "d"(port) : "memory");
    for (unsigned i = 0; i < 32; i++)
        sum += value[i];
    return sum;
}

static void move_memory(void)
{
    static const uint32_t places[] = {0xE0001000u, 0xF0000000u, 0xFFFFF000u, 0xE0000000u, 0x01000000u};
    put(REG_TIMER, 40); /* interrupts all the while */
    put(REG_ENABLE, DMA | TIMER);
    desc(0, BUFFER, 1984, 64, 0); /* the first words are used below */
    desc(1, BUFFER + 0x8000, 1984, 64, TO_MEMORY);
    sti();
    for (unsigned i = 0; i < 60; i++) {
        uint32_t old = mem_at, next = places[i % 5];
        put(RAM_AT, i);
        if (i % 3 == 0)
            start_dma(2, i);
        if (i % 4 < 2)
            mix(move_and_look(BAR0, next, (i % 2 ? old : next) + REG_LIST));
        else
            config_write(SLOT | BAR0, next);
        for (unsigned k = 0; k < 4; k++) { /* on this side of the move, or beyond it */
            *at(old + RAM_AT + 4) = i * 16 + k;
            mix(*at(old + REG_READS));
            mix(*at(next + REG_READS));
        }
        mem_at = next;
        settle();
        EXPECT_EQ(get(REG_ID), ID);
        EXPECT_EQ(*at(old + REG_ID), old == next ? ID : ~0u);
        EXPECT_EQ(get(RAM_AT), i);
        mix(get(RAM_AT + 4));
    }
    wait_dma();
    cli();
    EXPECT(tick_irqs > 10);
    put(REG_TIMER, 0);
    put(REG_ENABLE, 0);
    get(REG_CLEAR);
    mix(tick_irqs);
    mix(dma_irqs);

    *at(0x600000) = 0x12345678;
    config_write(SLOT | BAR0, 0x600000); /* onto RAM: the RAM is seen */
    settle();
    EXPECT_EQ(*at(0x600000), 0x12345678);
    *at(0x600000) = 0x9ABCDEF0;
    EXPECT_EQ(*at(0x600000), 0x9ABCDEF0);
    EXPECT_EQ(*at(0xE0000000u), ~0u);
    config_write(SLOT | BAR0, 0xE0000000u);
    config_write(SLOT | COMMAND, 5); /* memory off */
    settle();
    EXPECT_EQ(*at(0xE0000000u), ~0u);
    EXPECT_EQ(inl(io_at), ID);
    place(0xE0000000u, 0xC000, 7);
    EXPECT_EQ(get(REG_ID), ID);
}

static void move_ports(void)
{
    for (unsigned i = 0; i < 40; i++) {
        uint16_t old = io_at, next = (uint16_t)(0xC000 + i / 4 % 3 * 4096 + i % 2 * 32);
        config_write(SLOT | BAR1, next);
        if (i % 4 < 2)
            mix(each_tick_ports(i % 2 ? old : next));
        for (unsigned k = 0; k < 4; k++) {
            mix(inl((uint16_t)(old + REG_READS)));
            mix(inl((uint16_t)(next + REG_READS)));
        }
        io_at = (uint16_t)(next & ~31u);
        settle();
        EXPECT_EQ(inl(io_at), ID);
    }
    config_write(SLOT | BAR1, 0x20); /* onto the 8259, which answers first; the device has what is left */
    settle();
    EXPECT_EQ(inb(0x21), 0xFB);
    EXPECT_EQ(inl(0x24), get(REG_STATUS));
    config_write(SLOT | BAR1, 0xC000);
    io_at = 0xC000;
    settle();
}

/* --- interrupts --- */

/* INTA# of slot 4 is INTD# of the bus, INTB# its INTA# (hw/pc.c). Both on one line, then one of them away. */
static void share_and_reroute(void)
{
    unsigned dma = dma_irqs;
    config_write(ISA | 0x60, 0x0B80800Bu); /* both to 11, whose handler clears DMA only */
    put(REG_ENABLE, DMA | TIMER);
    put(REG_TIMER, 100);
    while (!(get(REG_STATUS) & TIMER))
        ;
    put(REG_TIMER, 0);
    settle();
    outb(0xA0, 0x0A);
    EXPECT_EQ(inb(0xA0) >> 3 & 1, 1);
    desc(0, BUFFER, 4, 0, 0);
    start_dma(1, 1);
    wait_dma();
    put(REG_CLEAR, DMA);
    settle();
    EXPECT_EQ(inb(0xA0) >> 3 & 1, 1); /* TIMER still drives it */
    config_write(ISA | 0x60, 0x0B80800Au);
    settle();
    EXPECT_EQ(inb(0xA0) >> 2 & 3, 1); /* it went to 10 */
    put(REG_CLEAR, TIMER);
    settle();
    EXPECT_EQ(inb(0xA0) >> 2 & 3, 0);
    put(REG_ENABLE, 0);
    EXPECT_EQ(dma_irqs, dma);
}

static uint8_t cmos(uint8_t reg)
{
    outb(0x70, reg);
    return inb(0x71);
}

/* In the middle of DMA, with BARs somewhere: nothing of it is left after the reset. */
static void reset_machine(void)
{
    outb(0x70, CMOS_ROUND);
    outb(0x71, 1);
    config_write(SLOT | BAR0, 0xF8000000u);
    settle();
    mem_at = 0xF8000000u;
    desc(0, BUFFER, 2048, 0, 0);
    desc(1, CODE, 2048, 0, TO_MEMORY);
    start_dma(2, 200);
    config_write(SLOT | BAR0, 0xF9000000u);
    outb(0xCF9, 2);
    outb(0xCF9, 6);
    for (;;)
        hlt();
}

int guest_main(void)
{
    set_isr(IRQ_BASE + IRQ_DMA, on_dma);
    set_isr(IRQ_BASE + IRQ_TICK, on_tick);
    outb(0x4D1, 1u << (IRQ_DMA - 8) | 1u << (IRQ_TICK - 8));
    config_write(ISA | 0x60, (uint32_t)IRQ_DMA << 24 | 0x808000u | IRQ_TICK);
    find_and_size();
    irq_unmask(IRQ_DMA);
    irq_unmask(IRQ_TICK);
    for (unsigned i = option("moves", 0); i; i--)
        move_memory();
    if (option("moves", 0))
        return (int)failures;
    register_classes();
    scatter();
    onto_code();
    onto_running_block();
    onto_page_tables();
    move_memory();
    move_ports();
    share_and_reroute();
    print("hash %x dma %u ticks %u tsc %X\n", hash, dma_irqs, tick_irqs, rdtsc());
    if (!failures && option("reset", 1) && cmos(CMOS_ROUND) != 1)
        reset_machine();
    return (int)failures;
}
