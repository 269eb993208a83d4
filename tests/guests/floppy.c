/* floppy: drives the floppy controller (hw/i82077.h; option -fda with an image of 1.44 MB) as a driver does.
 *
 * Reset, recalibration, seeks, reads and writes by DMA through the 8237 and by PIO, a track formatted, and
 * what goes wrong: no such sector, a masked channel, a count that does not end. What was read, how often a
 * loop that polls ran, and when interrupts came is mixed into `hash`, which must not depend on how the
 * machine is run. Expected values: 82077AA and 8237A data sheets. The image's bytes are any, but each sector
 * begins with its number, 32 bits. errors=N: instead, N sectors are read and N written on a host that fails
 * now and then: each error is what the data sheet says of a bad sector, and counted. */
#include "rt.h"

#define DOR    0x3F2
#define MSR    0x3F4
#define FIFO   0x3F5
#define CCR    0x3F7
#define IRQ    6
#define SECTOR 512u
#define TRACK  (18u * SECTOR)

#define BUFFER 0x200000u /* below 16 MiB, and a track does not cross 64 KiB */
#define OTHER  0x210000u

static uint32_t hash = 2166136261u;
static volatile unsigned irqs;
static uint8_t result[8];
static unsigned nresult;

static void mix(uint32_t v)
{
    hash = (hash ^ v) * 16777619u;
    hash ^= hash >> 15;
}

static void on_irq(struct frame *f)
{
    irqs++;
    mix(f->eip);
    irq_eoi(IRQ);
}

/* Waits in HLT; the interrupt's time goes into the hash. */
static void wait_irq(void)
{
    cli();
    while (!irqs)
        __asm__ volatile("sti; hlt; cli" : : : "memory");
    irqs--;
    sti();
    mix((uint32_t)rdtsc());
}

static void put(uint8_t v)
{
    unsigned polls = 0;

    while ((inb(MSR) & 0xC0) != 0x80)
        polls++;
    mix(polls);
    outb(FIFO, v);
}

static void results(void)
{
    for (nresult = 0; (inb(MSR) & 0xD0) == 0xD0 && nresult < sizeof(result); nresult++) {
        result[nresult] = inb(FIFO);
        mix(result[nresult]);
    }
}

static void sense(unsigned st0, unsigned cylinder)
{
    put(0x08);
    results();
    EXPECT_EQ(nresult, 2);
    EXPECT_EQ(result[0], st0);
    EXPECT_EQ(result[1], cylinder);
}

static void reset(void)
{
    outb(DOR, 0x00);
    outb(DOR, 0x1C);
    wait_irq();
    for (unsigned n = 0; n < 4; n++)
        sense(0xC0 | n, 0);
    outb(CCR, 0);
}

static void specify(unsigned nd)
{
    put(0x03);
    put(0xDF);
    put((uint8_t)(0x02 | nd));
}

static void seek(unsigned head, unsigned cylinder)
{
    put(0x0F);
    put((uint8_t)(head << 2));
    put((uint8_t)cylinder);
    EXPECT_EQ(inb(MSR) & 0x1F, 0x01);
    wait_irq();
    sense(0x20, cylinder);
}

/* Channel 2: `bytes` from `address` on. */
static void dma(unsigned mode, uint32_t address, unsigned bytes)
{
    outb(0x0A, 6);
    outb(0x0C, 0);
    outb(0x0B, (uint8_t)(mode | 2));
    outb(0x04, (uint8_t)address);
    outb(0x04, (uint8_t)(address >> 8));
    outb(0x05, (uint8_t)(bytes - 1));
    outb(0x05, (uint8_t)((bytes - 1) >> 8));
    outb(0x81, (uint8_t)(address >> 16));
    outb(0x0A, 2);
}

static void command(unsigned code, unsigned c, unsigned h, unsigned r, unsigned eot)
{
    const uint8_t bytes[9] = {
        (uint8_t)code, (uint8_t)(h << 2), (uint8_t)c, (uint8_t)h, (uint8_t)r, 2, (uint8_t)eot, 0x1B, 0xFF};

    for (unsigned i = 0; i < 9; i++)
        put(bytes[i]);
}

static void expect_end(unsigned st0, unsigned st1, unsigned c, unsigned h, unsigned r)
{
    results();
    EXPECT_EQ(nresult, 7);
    EXPECT_EQ(result[0], st0);
    EXPECT_EQ(result[1], st1);
    EXPECT_EQ(result[3], c);
    EXPECT_EQ(result[4], h);
    EXPECT_EQ(result[5], r);
}

static uint32_t number_at(uint32_t address)
{
    return *(volatile uint32_t *)address;
}

static void mix_memory(uint32_t address, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i += 4)
        mix(number_at(address + i));
}

/* Both sides of a cylinder in one command. Meanwhile a loop looks at memory: it changes sector by sector. */
static void read_cylinder(unsigned c)
{
    unsigned looks = 0;

    memset((void *)BUFFER, 0xAA, 2 * TRACK);
    seek(0, c);
    dma(0x44, BUFFER, 2 * TRACK);
    command(0xE6, c, 0, 1, 18);
    while (number_at(BUFFER + TRACK) == 0xAAAAAAAA) {
        looks++;
        mix(number_at(BUFFER + looks % 18 * SECTOR));
    }
    mix(looks);
    wait_irq();
    expect_end(0x04, 0, c + 1, 0, 1);
    for (unsigned n = 0; n < 36; n++)
        EXPECT_EQ(number_at(BUFFER + n * SECTOR), c * 36 + n);
    EXPECT_EQ(inb(0x08) & 4, 4);
    mix_memory(BUFFER, 2 * TRACK);
}

static void write_and_read_back(unsigned c)
{
    for (unsigned i = 0; i < 5 * SECTOR; i += 4)
        *(volatile uint32_t *)(OTHER + i) = (i % SECTOR ? i * 2654435761u : c * 36 + 18 + 2 + i / SECTOR);
    seek(1, c);
    dma(0x48, OTHER, 5 * SECTOR);
    command(0xC5, c, 1, 3, 18);
    wait_irq();
    expect_end(0x04, 0, c, 1, 8);
    memset((void *)BUFFER, 0, TRACK);
    dma(0x44, BUFFER, 6 * SECTOR);
    command(0xE6, c, 1, 2, 18);
    wait_irq();
    expect_end(0x04, 0, c, 1, 8);
    EXPECT_EQ(number_at(BUFFER), c * 36 + 18 + 1);
    EXPECT_EQ(memcmp((void *)(BUFFER + SECTOR), (void *)OTHER, 5 * SECTOR), 0);
}

static void pio_move(bool read, uint8_t *bytes, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        uint8_t status;
        unsigned polls = 0;
        while (!((status = inb(MSR)) & 0x80))
            polls++;
        mix(polls);
        EXPECT_EQ(status, read ? 0xF0 : 0xB0);
        if (read)
            bytes[i] = inb(FIFO);
        else
            outb(FIFO, bytes[i]);
    }
}

/* There is no terminal count in PIO: a command ends at EOT, which is an error. */
static void pio(unsigned c)
{
    specify(1);
    seek(0, c);
    irq_mask_all();
    command(0x46, c, 0, 17, 18);
    pio_move(true, (uint8_t *)BUFFER, 2 * SECTOR);
    expect_end(0x40, 0x80, c + 1, 0, 1);
    EXPECT_EQ(number_at(BUFFER), c * 36 + 16);
    EXPECT_EQ(number_at(BUFFER + SECTOR), c * 36 + 17);
    for (unsigned i = 4; i < SECTOR; i++)
        ((uint8_t *)BUFFER)[i] ^= 0x5A;
    command(0x45, c, 0, 17, 17);
    pio_move(false, (uint8_t *)BUFFER, SECTOR);
    while ((inb(MSR) & 0xD0) != 0xD0)
        mix(1);
    expect_end(0x40, 0x80, c + 1, 0, 1);
    irqs = 0;
    irq_unmask(IRQ);
    specify(0);
    irqs = 0;
    dma(0x44, OTHER, SECTOR);
    command(0xE6, c, 0, 17, 18);
    wait_irq();
    expect_end(0x00, 0, c, 0, 18);
    EXPECT_EQ(memcmp((void *)BUFFER, (void *)OTHER, SECTOR), 0);
}

static void format(unsigned c)
{
    for (unsigned n = 0; n < 18; n++)
        *(volatile uint32_t *)(OTHER + 4 * n) = c | 1 << 8 | (n * 5 % 18 + 1) << 16 | 2u << 24;
    seek(1, c);
    dma(0x48, OTHER, 72);
    put(0x4D);
    put(0x04);
    put(2);
    put(18);
    put(0x54);
    put(0xF6);
    wait_irq();
    results();
    EXPECT_EQ(result[0], 0x04);
    dma(0x44, BUFFER, TRACK);
    command(0xE6, c, 1, 1, 18);
    wait_irq();
    expect_end(0x04, 0, c + 1, 0, 1);
    for (unsigned i = 0; i < TRACK; i += 4)
        if (number_at(BUFFER + i) != 0xF6F6F6F6) {
            EXPECT_EQ(i, TRACK);
            break;
        }
}

static void errors(void)
{
    seek(0, 0);
    dma(0x44, BUFFER, SECTOR);
    command(0xE6, 0, 0, 19, 19);
    wait_irq();
    expect_end(0x40, 0x04, 0, 0, 19);
    outb(0x0A, 6); /* the channel is masked: an overrun */
    command(0xE6, 0, 0, 1, 18);
    wait_irq();
    expect_end(0x40, 0x10, 0, 0, 1);
    dma(0x44, BUFFER, 3 * SECTOR); /* the track ends before the count does */
    command(0x46, 0, 0, 18, 18);
    wait_irq();
    expect_end(0x40, 0x80, 1, 0, 1);
    put(0x1F);
    results();
    EXPECT_EQ(result[0], 0x80);
}

/* A reset while a command is under way. */
static void reset_in_between(void)
{
    dma(0x44, BUFFER, TRACK);
    command(0xE6, 0, 0, 1, 18);
    for (unsigned i = 0; i < 100000; i++)
        mix(inb(MSR));
    reset();
    specify(0);
    put(0x07);
    put(0);
    wait_irq();
    sense(0x20, 0);
}

/* 82077AA, status registers: DE in ST1 and DD in ST2 are a bad data field, EC in ST0 a fault of the drive. */
static bool host_failed(bool write, unsigned c, unsigned r)
{
    dma(write ? 0x48 : 0x44, BUFFER, SECTOR);
    command(write ? 0xC5 : 0xE6, c, 0, r, r);
    wait_irq();
    results();
    EXPECT_EQ(nresult, 7);
    if (!(result[0] & 0xC0)) {
        if (!write)
            EXPECT_EQ(number_at(BUFFER), c * 36 + r - 1);
        return false;
    }
    EXPECT_EQ(result[0] & 0xF8, write ? 0x50 : 0x40);
    EXPECT_EQ(result[1], write ? 0 : 0x20);
    EXPECT_EQ(result[2], write ? 0 : 0x20);
    return true;
}

static int host_errors(unsigned rounds)
{
    unsigned count[2] = {0};

    for (unsigned i = 0; i < rounds; i++) {
        unsigned c = i * 7 % 80, r = 1 + i * 5 % 18;
        seek(0, c);
        bool bad = host_failed(false, c, r);
        count[0] += bad;
        if (bad)
            *(volatile uint32_t *)BUFFER = c * 36 + r - 1;
        count[1] += host_failed(true, c, r);
    }
    print("errors: read %u write %u hash %x\n", count[0], count[1], hash);
    return (int)failures;
}

int guest_main(void)
{
    unsigned rounds = option("rounds", 1);

    set_isr(IRQ_BASE + IRQ, on_irq);
    irq_unmask(IRQ);
    sti();
    reset();
    specify(0);
    EXPECT_EQ(inb(CCR) & 0x80, 0x80); /* a disk has come */
    seek(0, 5);
    EXPECT_EQ(inb(CCR) & 0x80, 0);
    put(0x07);
    put(0);
    wait_irq();
    sense(0x20, 0);
    if (option("errors", 0))
        return host_errors(option("errors", 0));
    for (unsigned n = 0; n < rounds; n++) {
        read_cylinder(n);
        write_and_read_back(40 + n);
        pio(50 + n);
        format(60 + n);
        errors();
        reset_in_between();
    }
    print("hash %x\n", hash);
    return (int)failures;
}
