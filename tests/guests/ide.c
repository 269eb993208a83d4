/* ide: drives the PIIX IDE controller: a disk (channel 0, device 0), a CD (channel 1, device 0), nothing
 * elsewhere.
 *
 * PIO a word, a long and a block at a time, polled and by interrupts; cylinders, heads and sectors as MINIX
 * uses them; bus-master DMA by odd regions; packets with several byte counts and by DMA; resets and stops in
 * the middle of commands; a reset of the machine in the middle of DMA. The guest knows what it has written.
 * What comes when is mixed into `hash`, which must not depend on how the machine is run. The sums of disk and
 * CD are printed for whoever has made the images. rounds=N. */
#include "rt.h"

#define ISA_IDE   (0x80000000u | 1u << 11 | 1u << 8)
#define DISK      0x1F0
#define CD        0x170
#define CONTROL   0x206 /* from the channel's first port */
#define SECTOR    512u
#define CD_SECTOR 2048u

#define TABLE      0x400000u
#define BUFFER     0x500000u
#define PATTERN    0x900000u
#define CMOS_ROUND 0x50

enum { BSY = 0x80, DRQ = 8, ERR = 1 };

static uint32_t hash = 2166136261u, random = 1;
static uint16_t bmdma;
static volatile unsigned irqs[2];
static volatile uint8_t last_status[2];
static uint32_t disk_sectors, cd_sectors;

static void mix(uint32_t v)
{
    hash = (hash ^ v) * 16777619u;
    hash ^= hash >> 15;
}

static uint32_t next_random(uint32_t below)
{
    random = random * 1664525u + 1013904223u;
    return (random >> 8) % below;
}

static void *at(uint32_t phys_addr)
{
    return (void *)phys_addr;
}

static inline uint16_t inw(uint16_t port)
{
    uint16_t v;
    __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
    return v;
}

static inline void outw(uint16_t port, uint16_t v)
{
    __asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static void insw(uint16_t port, void *to, uint32_t n)
{
    __asm__ volatile("cld\n rep insw" : "+D"(to), "+c"(n) : "d"(port) : "memory");
}

static void insl(uint16_t port, void *to, uint32_t n)
{
    __asm__ volatile("cld\n rep insl" : "+D"(to), "+c"(n) : "d"(port) : "memory");
}

static void outsw(uint16_t port, const void *from, uint32_t n)
{
    __asm__ volatile("cld\n rep outsw" : "+S"(from), "+c"(n) : "d"(port) : "memory");
}

/* --- interrupts --- */

static void on_irq(unsigned channel, struct frame *f)
{
    uint16_t base = channel ? CD : DISK, bm = (uint16_t)(bmdma + 8 * channel);
    mix(f->eip);
    mix(inb((uint16_t)(bm + 2)));
    last_status[channel] = inb((uint16_t)(base + 7));
    outb((uint16_t)(bm + 2), 4);
    mix(last_status[channel]);
    irqs[channel]++;
    irq_eoi(14 + channel);
}

static void on_disk(struct frame *f)
{
    on_irq(0, f);
}

static void on_cd(struct frame *f)
{
    on_irq(1, f);
}

static void await(unsigned channel, unsigned n)
{
    uint64_t begin = rdtsc();
    while (irqs[channel] < n && rdtsc() - begin < 1000000000)
        mix((uint32_t)irqs[channel]);
    EXPECT_EQ(irqs[channel], n);
}

/* Computes in between, as a guest with something else to do. */
static void await_halted(unsigned channel, unsigned n)
{
    cli();
    while (irqs[channel] < n) {
        __asm__ volatile("sti\n hlt\n cli" : : : "memory");
    }
    sti();
}

/* --- registers --- */

static uint8_t poll(uint16_t base)
{
    uint8_t status;
    uint32_t n = 0;
    while ((status = inb((uint16_t)(base + 7))) & BSY)
        n++;
    mix(n);
    return status;
}

static void task_file(uint16_t base, uint32_t count, uint32_t lba, uint8_t device)
{
    outb((uint16_t)(base + 6), (uint8_t)(device | (device & 0x40 ? lba >> 24 & 15 : 0)));
    outb((uint16_t)(base + 2), (uint8_t)count);
    outb((uint16_t)(base + 3), (uint8_t)lba);
    outb((uint16_t)(base + 4), (uint8_t)(lba >> 8));
    outb((uint16_t)(base + 5), (uint8_t)(lba >> 16));
}

static void command(uint16_t base, uint8_t code)
{
    outb((uint16_t)(base + 7), code);
}

static void quiet(bool on)
{
    outb(DISK + CONTROL, on ? 2 : 0);
    outb(CD + CONTROL, on ? 2 : 0);
}

/* --- identity --- */

static void identify(void)
{
    uint16_t id[256];
    task_file(DISK, 0, 0, 0xE0);
    command(DISK, 0xEC);
    EXPECT_EQ(poll(DISK) & 0x89, DRQ);
    insw(DISK, id, 256);
    EXPECT_EQ(inb(DISK + 7), 0x50);
    disk_sectors = id[60] | (uint32_t)id[61] << 16;
    EXPECT_EQ(id[49] & 0x300, 0x300);
    command(CD, 0xEC);
    EXPECT_EQ(poll(CD), 0x41);
    EXPECT_EQ(inb(CD + 4) | inb(CD + 5) << 8, 0xEB14);
    command(CD, 0xA1);
    EXPECT_EQ(poll(CD) & 0x89, DRQ);
    insw(CD, id, 256);
    EXPECT_EQ(id[0] >> 8, 0x85);
}

/* Nobody waits for what is not there: 1 ms at most. */
static void empty_positions(void)
{
    static const uint16_t bases[] = {DISK, CD};
    for (unsigned i = 0; i < 2; i++) {
        uint64_t begin = rdtsc();
        outb((uint16_t)(bases[i] + 6), 0xB0);
        command(bases[i], 0xEC);
        EXPECT_EQ(poll(bases[i]), 0);
        command(bases[i], 0xA1);
        EXPECT_EQ(poll(bases[i]), 0);
        EXPECT(rdtsc() - begin < 1000000);
        outb((uint16_t)(bases[i] + 6), 0xA0);
    }
}

/* --- PIO --- */

/* One sector, in one of the ways in which software takes it. */
static void take(uint8_t *to, unsigned way)
{
    uint16_t *words = (uint16_t *)to;
    if (way == 0)
        insw(DISK, to, 256);
    else if (way == 1)
        insl(DISK, to, 128);
    else
        for (unsigned i = 0; i < 256; i++)
            words[i] = inw(DISK);
}

static void read_pio(uint32_t lba, uint32_t sectors, uint8_t *to, unsigned way)
{
    task_file(DISK, sectors, lba, 0xE0);
    command(DISK, 0x20);
    for (; sectors; sectors--, to += SECTOR) {
        EXPECT_EQ(poll(DISK) & 0x89, DRQ);
        take(to, way);
    }
    EXPECT_EQ(poll(DISK), 0x50);
}

static void write_pio(uint32_t lba, uint32_t sectors, const uint8_t *from, bool slow)
{
    task_file(DISK, sectors, lba, 0xE0);
    command(DISK, 0x30);
    for (; sectors; sectors--, from += SECTOR) {
        EXPECT_EQ(poll(DISK) & 0x89, DRQ);
        if (slow)
            for (unsigned i = 0; i < 256; i++)
                outw(DISK, ((const uint16_t *)from)[i]);
        else
            outsw(DISK, from, 256);
    }
    EXPECT_EQ(poll(DISK), 0x50);
}

/* As MINIX: an interrupt for each sector. */
static void read_by_interrupts(uint32_t lba, uint32_t sectors, uint8_t *to)
{
    unsigned n = irqs[0];
    task_file(DISK, sectors, lba, 0xE0);
    command(DISK, 0x20);
    for (; sectors; sectors--, to += SECTOR) {
        await(0, ++n);
        EXPECT_EQ(last_status[0], 0x58);
        insw(DISK, to, 256);
    }
    EXPECT_EQ(irqs[0], n);
}

/* --- DMA --- */

static void prd(unsigned n, uint32_t address, uint32_t bytes, bool last)
{
    uint32_t *p = at(TABLE + 8 * n);
    p[0] = address;
    p[1] = (bytes & 0xFFFF) | (last ? 0x80000000u : 0);
}

/* `bytes` at `address`, cut by chance. */
static void table(uint32_t address, uint32_t bytes)
{
    for (unsigned n = 0; bytes; n++) {
        uint32_t room = 0x10000 - (address & 0xFFFF), part = (next_random(0x8000) + 1) * 2;
        if (part > room)
            part = room;
        if (part > bytes)
            part = bytes;
        prd(n, address, part, part == bytes);
        address += part;
        bytes -= part;
    }
}

static void start(unsigned channel, bool to_memory)
{
    uint16_t bm = (uint16_t)(bmdma + 8 * channel);
    outl((uint16_t)(bm + 4), TABLE);
    outb(bm, to_memory ? 8 : 0);
    outb((uint16_t)(bm + 2), 6);
    outb(bm, to_memory ? 9 : 1);
}

static void dma(uint32_t lba, uint32_t sectors, uint32_t address, bool to_memory, bool halted)
{
    unsigned n = irqs[0] + 1;
    table(address, sectors * SECTOR);
    task_file(DISK, sectors, lba, 0xE0);
    command(DISK, to_memory ? 0xC8 : 0xCA);
    start(0, to_memory);
    if (halted)
        await_halted(0, n);
    else
        await(0, n);
    EXPECT_EQ(last_status[0], 0x50);
    EXPECT_EQ(inb((uint16_t)(bmdma + 2)) & 7, 0);
    outb(bmdma, 0);
}

static uint32_t sum_of(const void *from, uint32_t bytes)
{
    const uint32_t *p = from;
    uint32_t sum = 0;
    for (; bytes; bytes -= 4)
        sum = (sum << 1 | sum >> 31) + *p++;
    return sum;
}

/* All of it, by DMA and by PIO in each way. */
static void whole_disk(void)
{
    uint32_t sum = 0, half = 0;
    for (uint32_t lba = 0; lba < disk_sectors; lba += 64) {
        unsigned way = lba / 64 % 5;
        uint32_t n = disk_sectors - lba < 64 ? disk_sectors - lba : 64;
        memset(at(BUFFER), 0, n * SECTOR);
        if (way < 2)
            dma(lba, n, BUFFER, true, way);
        quiet(way > 1);
        if (way > 1)
            read_pio(lba, n, at(BUFFER), way - 2);
        quiet(false);
        half = sum_of(at(BUFFER), n * SECTOR);
        sum = sum * 31 + half;
        mix(half);
    }
    print("disk %u sectors %x\n", disk_sectors, sum);
}

static void fill(uint8_t *to, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++)
        to[i] = (uint8_t)next_random(256);
}

static void writes(void)
{
    uint8_t *pattern = at(PATTERN), *back = at(BUFFER);
    for (unsigned i = 0; i < 12; i++) {
        uint32_t n = 1 + next_random(100), lba = next_random(disk_sectors - n);
        fill(pattern, n * SECTOR);
        quiet(i % 3 != 0);
        if (i % 3 == 0)
            dma(lba, n, PATTERN, false, i % 2);
        else
            write_pio(lba, n, pattern, i % 3 == 1);
        quiet(i % 2 == 0);
        if (i % 2)
            dma(lba, n, BUFFER, true, true);
        else
            read_pio(lba, n, back, i % 3);
        EXPECT(memcmp(pattern, back, n * SECTOR) == 0);
        quiet(true);
        command(DISK, 0xE7);
        EXPECT_EQ(poll(DISK), 0x50);
        quiet(false);
    }
}

/* 91h: 4 heads, 17 sectors; then a sector by its cylinder, head and sector. */
static void chs(void)
{
    uint8_t *a = at(BUFFER), *b = at(PATTERN);
    quiet(true);
    outb(DISK + 6, 0xA3);
    outb(DISK + 2, 17);
    command(DISK, 0x91);
    EXPECT_EQ(poll(DISK), 0x50);
    for (unsigned i = 0; i < 8; i++) {
        uint32_t lba = next_random(disk_sectors), c = lba / 68, h = lba / 17 % 4, s = lba % 17 + 1;
        task_file(DISK, 1, s | c << 8, (uint8_t)(0xA0 | h));
        command(DISK, 0x20);
        EXPECT_EQ(poll(DISK) & 0x89, DRQ);
        take(a, i % 3);
        read_pio(lba, 1, b, 0);
        EXPECT(memcmp(a, b, SECTOR) == 0);
    }
    task_file(DISK, 1, 18 | 1 << 8, 0xA0);
    command(DISK, 0x20);
    EXPECT_EQ(poll(DISK), 0x51);
    EXPECT_EQ(inb(DISK + 1), 0x10);
    quiet(false);
}

/* --- packets --- */

static uint8_t packet(const uint8_t *p, uint32_t limit, uint8_t *to, uint32_t *bytes)
{
    uint8_t status;
    *bytes = 0;
    outb(CD + 6, 0xA0);
    outb(CD + 1, 0);
    outb(CD + 4, (uint8_t)limit);
    outb(CD + 5, (uint8_t)(limit >> 8));
    command(CD, 0xA0);
    EXPECT_EQ(poll(CD) & 0x99, DRQ);
    EXPECT_EQ(inb(CD + 2) & 3, 1);
    outsw(CD, p, 6);
    while ((status = poll(CD)) & DRQ) {
        uint32_t n = inb(CD + 4) | (uint32_t)inb(CD + 5) << 8;
        EXPECT_EQ(inb(CD + 2) & 3, 2);
        EXPECT(n <= limit);
        insw(CD, to + *bytes, (n + 1) / 2);
        *bytes += n;
    }
    EXPECT_EQ(inb(CD + 2) & 3, 3);
    return status;
}

static void cd_ready(void)
{
    static const uint8_t test[12] = {0}, sense[12] = {3, 0, 0, 0, 18}, capacity[12] = {0x25};
    uint8_t reply[64];
    uint32_t n;
    quiet(true);
    for (unsigned i = 0; packet(test, 64, reply, &n) & ERR; i++) {
        packet(sense, 64, reply, &n);
        EXPECT_EQ(reply[2], 6);
        if (i > 2)
            break;
    }
    EXPECT_EQ(packet(capacity, 8, reply, &n), 0x40);
    cd_sectors = ((uint32_t)reply[1] << 16 | (uint32_t)reply[2] << 8 | reply[3]) + 1;
    quiet(false);
}

static void read_10(uint8_t *p, uint32_t lba, uint32_t n)
{
    memset(p, 0, 12);
    p[0] = 0x28;
    p[3] = (uint8_t)(lba >> 16);
    p[4] = (uint8_t)(lba >> 8);
    p[5] = (uint8_t)lba;
    p[7] = (uint8_t)(n >> 8);
    p[8] = (uint8_t)n;
}

static void cd_dma(uint32_t lba, uint32_t sectors)
{
    uint8_t p[12];
    unsigned n = irqs[1] + 1;
    read_10(p, lba, sectors);
    table(BUFFER, sectors * CD_SECTOR);
    outb(CD + 6, 0xA0);
    outb(CD + 1, 1);
    command(CD, 0xA0);
    while ((inb(CD + CONTROL) & (BSY | DRQ)) != DRQ)
        ;
    outsw(CD, p, 6);
    start(1, true);
    await_halted(1, n);
    EXPECT_EQ(last_status[1], 0x40);
    EXPECT_EQ(inb(CD + 2) & 3, 3);
    outb((uint16_t)(bmdma + 8), 0);
}

static void whole_cd(void)
{
    static const uint16_t limits[] = {2048, 0xFFFE, 1000, 8192};
    uint32_t sum = 0, bytes, half;
    uint8_t p[12];
    for (uint32_t lba = 0; lba < cd_sectors; lba += 16) {
        uint32_t n = cd_sectors - lba < 16 ? cd_sectors - lba : 16;
        memset(at(BUFFER), 0, n * CD_SECTOR);
        if (lba / 16 % 3 == 0) {
            cd_dma(lba, n);
        } else {
            read_10(p, lba, n);
            quiet(true);
            EXPECT_EQ(packet(p, limits[lba / 16 % 4], at(BUFFER), &bytes), 0x40);
            EXPECT_EQ(bytes, n * CD_SECTOR);
            quiet(false);
        }
        half = sum_of(at(BUFFER), n * CD_SECTOR);
        sum = sum * 31 + half;
        mix(half);
    }
    read_10(p, cd_sectors, 1);
    quiet(true);
    EXPECT_EQ(packet(p, 2048, at(BUFFER), &bytes), 0x41);
    quiet(false);
    print("cd %u sectors %x\n", cd_sectors, sum);
}

/* --- in the middle --- */

static void soft_reset(void)
{
    outb(DISK + CONTROL, 4);
    for (volatile unsigned i = 0; i < 100; i++)
        ;
    outb(DISK + CONTROL, 0);
    EXPECT_EQ(poll(DISK), 0x50);
    EXPECT_EQ(inb(DISK + 1), 1);
}

static void interrupted(void)
{
    for (unsigned i = 0; i < 16; i++) {
        uint32_t lba = next_random(disk_sectors - 200);
        memset(at(BUFFER), (int)i, 200 * SECTOR);
        table(BUFFER, 200 * SECTOR);
        task_file(DISK, 200, lba, 0xE0);
        command(DISK, i % 4 == 3 ? 0x20 : 0xC8);
        start(0, true);
        for (volatile unsigned k = next_random(2000); k; k--)
            ;
        if (i % 4 == 1)
            outb(bmdma, 0);
        mix(sum_of(at(BUFFER), 200 * SECTOR)); /* how far it has got */
        mix(inb((uint16_t)(bmdma + 2)));
        soft_reset();
        outb(bmdma, 0);
        outb((uint16_t)(bmdma + 2), 6);
    }
}

/* --- errors of the host --- */

enum kind { READ_PIO, READ_DMA, WRITE_PIO, WRITE_DMA, VERIFY, CD_PIO, CD_DMA, KINDS };
#define ERROR_SECTORS    16u
#define ERROR_CD_SECTORS 4u

/* ATA/ATAPI-6, 8.27 and 8.62: UNC and the bad sector's address; a write that fails is a device fault. */
static void check_disk_error(uint8_t status, uint32_t lba, bool write)
{
    uint32_t bad = inb(DISK + 3) | (uint32_t)inb(DISK + 4) << 8 | (uint32_t)inb(DISK + 5) << 16;
    EXPECT_EQ(status & 0xA9, write ? 0x21 : 0x01);
    EXPECT_EQ(inb(DISK + 1), write ? 0x04 : 0x40);
    EXPECT(bad >= lba && bad < lba + ERROR_SECTORS);
    mix(bad);
}

/* The status at the end. */
static uint8_t by_pio(uint8_t code, uint32_t lba, uint8_t *data)
{
    uint8_t status;
    task_file(DISK, ERROR_SECTORS, lba, 0xE0);
    command(DISK, code);
    for (uint32_t n = 0; ((status = poll(DISK)) & DRQ) && n < ERROR_SECTORS; n++, data += SECTOR)
        if (code == 0x30)
            outsw(DISK, data, 256);
        else
            insw(DISK, data, 256);
    return status;
}

static uint8_t by_dma(uint8_t code, uint32_t lba, uint32_t address)
{
    unsigned n = irqs[0] + 1;
    table(address, ERROR_SECTORS * SECTOR);
    task_file(DISK, ERROR_SECTORS, lba, 0xE0);
    command(DISK, code);
    start(0, code == 0xC8);
    await_halted(0, n);
    outb(bmdma, 0);
    return last_status[0];
}

static bool disk_failed(enum kind kind, uint32_t lba)
{
    static const uint8_t codes[] = {0x20, 0xC8, 0x30, 0xCA, 0x40};
    bool is_dma = kind == READ_DMA || kind == WRITE_DMA, write = kind == WRITE_PIO || kind == WRITE_DMA;
    if (write)
        fill(at(PATTERN), ERROR_SECTORS * SECTOR);
    quiet(!is_dma);
    uint8_t status = is_dma ? by_dma(codes[kind], lba, write ? PATTERN : BUFFER)
                            : by_pio(codes[kind], lba, at(write ? PATTERN : BUFFER));
    if (status & ERR)
        check_disk_error(status, lba, write);
    else
        EXPECT_EQ(status, 0x50);
    return status & ERR;
}

/* SFF-8020i, REQUEST SENSE: medium error, unrecovered read error. */
static void check_sense(void)
{
    static const uint8_t sense[12] = {3, 0, 0, 0, 18};
    uint8_t reply[64];
    uint32_t n;
    EXPECT_EQ(packet(sense, 64, reply, &n), 0x40);
    EXPECT_EQ(reply[2], 3);
    EXPECT_EQ(reply[12], 0x11);
}

static uint8_t cd_by_dma(uint32_t lba)
{
    uint8_t p[12];
    unsigned n = irqs[1] + 1;
    read_10(p, lba, ERROR_CD_SECTORS);
    table(BUFFER, ERROR_CD_SECTORS * CD_SECTOR);
    outb(CD + 6, 0xA0);
    outb(CD + 1, 1);
    command(CD, 0xA0);
    while ((inb(CD + CONTROL) & (BSY | DRQ)) != DRQ)
        ;
    outsw(CD, p, 6);
    start(1, true);
    await_halted(1, n);
    outb((uint16_t)(bmdma + 8), 0);
    return last_status[1];
}

static bool cd_failed(enum kind kind, uint32_t lba)
{
    uint8_t p[12], status;
    uint32_t bytes;
    quiet(kind == CD_PIO);
    if (kind == CD_DMA) {
        status = cd_by_dma(lba);
    } else {
        read_10(p, lba, ERROR_CD_SECTORS);
        status = packet(p, 2048, at(BUFFER), &bytes);
    }
    EXPECT_EQ(status & ~1u, 0x40);
    quiet(true);
    if (status & ERR)
        check_sense();
    return status & ERR;
}

static int host_errors(unsigned rounds)
{
    uint32_t count[KINDS] = {0};
    for (unsigned i = 0; i < rounds; i++)
        for (enum kind kind = 0; kind < KINDS; kind++) {
            uint32_t lba =
                next_random(kind < CD_PIO ? disk_sectors - ERROR_SECTORS : cd_sectors - ERROR_CD_SECTORS);
            count[kind] += kind < CD_PIO ? disk_failed(kind, lba) : cd_failed(kind, lba);
            mix(sum_of(at(BUFFER), ERROR_SECTORS * SECTOR));
        }
    cli();
    print("errors: read %u %u write %u %u verify %u cd %u %u hash %x tsc %X\n", count[0], count[1], count[2],
          count[3], count[4], count[5], count[6], hash, rdtsc());
    return (int)failures;
}

static uint8_t cmos(uint8_t reg)
{
    outb(0x70, reg);
    return inb(0x71);
}

static void reset_machine(void)
{
    outb(0x70, CMOS_ROUND);
    outb(0x71, 1);
    table(BUFFER, 256 * SECTOR);
    task_file(DISK, 0, 0, 0xE0);
    command(DISK, 0xC8);
    start(0, true);
    for (volatile unsigned k = 500; k; k--)
        ;
    outb(0xCF9, 2);
    outb(0xCF9, 6);
    for (;;)
        hlt();
}

int guest_main(void)
{
    outl(0xCF8, ISA_IDE);
    EXPECT_EQ(inl(0xCFC), 0x70108086);
    outl(0xCF8, ISA_IDE | 0x20);
    bmdma = (uint16_t)(inl(0xCFC) & 0xFFF0);
    set_isr(IRQ_BASE + 14, on_disk);
    set_isr(IRQ_BASE + 15, on_cd);
    quiet(true);
    identify();
    empty_positions();
    cd_ready();
    quiet(false);
    inb(DISK + 7);
    inb(CD + 7);
    irq_unmask(14);
    irq_unmask(15);
    sti();
    if (option("errors", 0))
        return host_errors(option("errors", 0));
    if (cmos(CMOS_ROUND) != 1)
        whole_disk();
    whole_cd();
    for (unsigned i = option("rounds", 1); i; i--) {
        writes();
        chs();
        read_by_interrupts(3, 20, at(BUFFER));
        interrupted();
    }
    cli();
    print("hash %x irqs %u %u tsc %X\n", hash, irqs[0], irqs[1], rdtsc());
    if (!failures && option("reset", 1) && cmos(CMOS_ROUND) != 1)
        reset_machine();
    return (int)failures;
}
