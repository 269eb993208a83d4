/* bench_disk.c - a virtio disk (legacy registers, as QEMU's and ours have them) read or written as fast as it
 * goes.
 *
 * requests=N of bytes=B (whole sectors, at most 128 KiB), depth=D of them under way (at most 32); random=1:
 * at random places, else one behind the other; write=1: writes; compute=1: the CPU computes while it waits,
 * else it halts; work=N: it computes so many sums over each block that has come; sectors=N: how much of the
 * disk is used. check=1: the first word of each sector read must be the sector's number, as the one who made
 * the image has put it there. One interrupt tells of everything that is done. */
#include "rt.h"

#define VENDOR_DEVICE 0x10011AF4u
#define ISA_BRIDGE    0x70008086u
#define IRQ           11
#define IO_AT         0xC000u /* where the disk's BAR goes if no firmware has placed it */

#define REG_FEATURES      0x04
#define REG_QUEUE_ADDRESS 0x08
#define REG_QUEUE_SIZE    0x0C
#define REG_QUEUE_SELECT  0x0E
#define REG_QUEUE_NOTIFY  0x10
#define REG_STATUS        0x12
#define REG_ISR           0x13
#define NEXT              1
#define WRITE             2

#define RING    0x400000u
#define HEADERS 0x420000u
#define BUFFERS 0x500000u
#define DEPTH   32u
#define BYTES   131072u

struct desc {
    uint32_t address, address_high, bytes;
    uint16_t flags, next;
};

struct header {
    uint32_t type, reserved, sector, sector_high;
    uint32_t status; /* the first byte of it is the device's */
    uint32_t pad[3];
};

static uint16_t io, queue_size, used_seen, available;
static volatile uint32_t done, bad, random_state = 12345;
static uint32_t issued, requests, bytes, depth, is_random, is_write, check, sectors, work;
static volatile uint32_t worked;

static struct desc *descs(void)
{
    return (struct desc *)RING;
}

static volatile uint16_t *avail_ring(void)
{
    return (volatile uint16_t *)(RING + 16u * queue_size);
}

static volatile uint8_t *used_ring(void)
{
    return (volatile uint8_t *)((RING + 18u * queue_size + 6 + 4095) & ~4095u);
}

static struct header *header(unsigned slot)
{
    return (struct header *)HEADERS + slot;
}

static uint32_t *buffer(unsigned slot)
{
    return (uint32_t *)(BUFFERS + slot * BYTES);
}

static void outw(uint16_t port, uint16_t v)
{
    __asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static uint16_t inw(uint16_t port)
{
    uint16_t v;
    __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
    return v;
}

static uint32_t config(uint32_t function, uint32_t reg)
{
    outl(0xCF8, 0x80000000u | function << 8 | reg);
    return inl(0xCFC);
}

static void config_set(uint32_t function, uint32_t reg, uint32_t v)
{
    outl(0xCF8, 0x80000000u | function << 8 | reg);
    outl(0xCFC, v);
}

static uint32_t find(uint32_t vendor_device)
{
    for (uint32_t function = 0; function < 256; function++)
        if (config(function, 0) == vendor_device)
            return function;
    return 256;
}

static uint32_t next_sector(void)
{
    uint32_t each = bytes / 512, places = sectors / each;
    if (!is_random)
        return issued % places * each;
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % places * each;
}

static void issue(unsigned slot)
{
    struct header *h = header(slot);
    struct desc *d = descs() + 3 * slot;
    volatile uint16_t *avail = avail_ring();
    *h = (struct header){.type = is_write, .sector = next_sector(), .status = 0xFF};
    d[0] = (struct desc){(uint32_t)h, 0, 16, NEXT, (uint16_t)(3 * slot + 1)};
    d[1] = (struct desc){(uint32_t)buffer(slot), 0, bytes, is_write ? NEXT : NEXT | WRITE,
                         (uint16_t)(3 * slot + 2)};
    d[2] = (struct desc){(uint32_t)&h->status, 0, 1, WRITE, 0};
    avail[2 + available % queue_size] = (uint16_t)(3 * slot);
    __asm__ volatile("" : : : "memory");
    avail[1] = ++available;
    issued++;
}

static uint32_t sum_of(const uint32_t *words, uint32_t sum)
{
    for (uint32_t i = 0; i < bytes / 4; i++)
        sum = sum * 33 + words[i];
    return sum;
}

static void finished(unsigned slot)
{
    bad += (header(slot)->status & 0xFF) != 0;
    for (uint32_t s = 0; check && !is_write && s < bytes / 512; s++)
        bad += buffer(slot)[128 * s] != header(slot)->sector + s;
    for (uint32_t n = 0; n < work; n++)
        worked = sum_of(buffer(slot), worked);
    done++;
}

/* Everything that has come back, and as many new ones, of which the disk is told once. */
static void collect(void)
{
    volatile uint8_t *used = used_ring();
    uint16_t before = available;
    while (used_seen != *(volatile uint16_t *)(used + 2)) {
        unsigned slot = *(volatile uint32_t *)(used + 4 + 8 * (used_seen % queue_size)) / 3;
        used_seen++;
        finished(slot);
        if (issued < requests)
            issue(slot);
    }
    if (available != before)
        outw(io + REG_QUEUE_NOTIFY, 0);
}

static void disk_irq(struct frame *f)
{
    (void)f;
    if (inb(io + REG_ISR))
        collect();
    irq_eoi(IRQ);
}

static bool setup(void)
{
    uint32_t disk = find(VENDOR_DEVICE), isa = find(ISA_BRIDGE);
    if (disk == 256 || isa == 256)
        return false;
    if (!(config(disk, 0x10) & ~3u))
        config_set(disk, 0x10, IO_AT);
    config_set(disk, 0x04, 0x07);
    config_set(isa, 0x60, IRQ * 0x01010101u); /* INTA# to INTD# */
    outb(0x4D1, inb(0x4D1) | 1u << (IRQ - 8));
    io = (uint16_t)(config(disk, 0x10) & ~3u);
    outb(io + REG_STATUS, 0);
    outb(io + REG_STATUS, 3);
    outl(io + REG_FEATURES, 0);
    outw(io + REG_QUEUE_SELECT, 0);
    queue_size = inw(io + REG_QUEUE_SIZE);
    memset((void *)RING, 0, HEADERS - RING);
    outl(io + REG_QUEUE_ADDRESS, RING / 4096);
    outb(io + REG_STATUS, 7);
    sectors = option("sectors", inl(io + 0x14));
    return queue_size >= 3 * DEPTH;
}

static uint32_t compute(uint32_t sum)
{
    for (uint32_t i = 1; i < 2000; i++)
        sum = sum * 33 + (sum >> 5) + i;
    return sum;
}

int guest_main(void)
{
    uint32_t sum = 1, rounds = 0, computing = option("compute", 0);
    requests = option("requests", 1000);
    bytes = option("bytes", 4096);
    depth = option("depth", 1);
    is_random = option("random", 0);
    is_write = option("write", 0);
    check = option("check", 0);
    work = option("work", 0);
    EXPECT(bytes >= 512 && bytes <= BYTES && bytes % 512 == 0 && depth > 0 && depth <= DEPTH && setup());
    if (failures)
        return (int)failures;
    EXPECT(sectors >= bytes / 512);
    set_isr(IRQ_BASE + IRQ, disk_irq);
    irq_unmask(2);
    irq_unmask(IRQ);
    for (unsigned slot = 0; slot < depth && issued < requests; slot++)
        issue(slot);
    outw(io + REG_QUEUE_NOTIFY, 0);
    sti();
    while (done < requests) {
        if (computing) {
            sum = compute(sum);
            rounds++;
            continue;
        }
        cli();
        if (done < requests)
            __asm__ volatile("sti; hlt" : : : "memory");
        sti();
    }
    cli();
    EXPECT_EQ(bad, 0);
    EXPECT(!computing || (rounds > 0 && sum));
    print("%u requests, %u rounds\n", done, rounds);
    return (int)failures;
}
