/* minix_pc.c - keyboard controller, PCI, ATA and ATAPI as the drivers of MINIX 3 use them: the same commands
 * in the same order, with interrupts, each counted. Wants an IDE disk as primary master whose sector n is
 * filled with the double words n + 65536 * i, 64 of them or more, no drive as primary slave, and a CD as
 * secondary master whose blocks of 2048 bytes are filled alike (tests/pc.sh). */
#include "rt.h"

enum { BSY = 0x80, DRDY = 0x40, SERV = 0x10, DRQ = 0x08, ERR = 0x01 };
enum {
    DATA = 0,
    ERROR = 1,
    COUNT = 2,
    LBA_LOW = 3,
    LBA_MID = 4,
    LBA_HIGH = 5,
    DEVICE = 6,
    STATUS = 7,
    COMMAND = 7
};
#define SPIN 20000000u

static volatile uint32_t irqs[16];
static volatile uint8_t ata_status;
static uint16_t base = 0x1f0, control = 0x3f6;
static unsigned irq = 14;

static void count_irq(unsigned n)
{
    irqs[n]++;
    irq_eoi(n);
}
static void irq_kbd(struct frame *f)
{
    (void)f;
    count_irq(1);
}
static void irq_aux(struct frame *f)
{
    (void)f;
    count_irq(12);
}
static void irq_ata(struct frame *f)
{
    (void)f;
    ata_status = inb(base + STATUS); /* takes INTRQ back */
    count_irq(irq);
}

static inline uint16_t inw(uint16_t port)
{
    uint16_t v;
    __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
    return v;
}
static void read_words(void *to, unsigned words)
{
    __asm__ volatile("rep insw" : "+D"(to), "+c"(words) : "d"(base + DATA) : "memory");
}
static void write_words(const void *from, unsigned words)
{
    __asm__ volatile("rep outsw" : "+S"(from), "+c"(words) : "d"(base + DATA) : "memory");
}

/* --- keyboard controller (pckbd) --- */

static void kbc_write(uint16_t port, uint8_t v)
{
    for (unsigned i = 0; i < SPIN && (inb(0x64) & 2); i++)
        ;
    outb(port, v);
}
static unsigned kbc_read(bool aux)
{
    for (unsigned i = 0; i < SPIN; i++) {
        uint8_t status = inb(0x64);
        if (status & 1) {
            EXPECT_EQ((status & 0x20) != 0, aux);
            return inb(0x60);
        }
    }
    return 0x100;
}
static void mouse_command(uint8_t v)
{
    kbc_write(0x64, 0xd4);
    kbc_write(0x60, v);
    EXPECT_EQ(kbc_read(true), 0xfa);
}

static void test_keyboard(void)
{
    kbc_write(0x64, 0xad);
    kbc_write(0x64, 0xa7);
    while (inb(0x64) & 1)
        inb(0x60);
    kbc_write(0x64, 0x20);
    unsigned config = kbc_read(false);
    EXPECT_EQ(config & 0x130, 0x30); /* both clocks are off now */
    kbc_write(0x64, 0xaa);
    EXPECT_EQ(kbc_read(false), 0x55);
    kbc_write(0x64, 0x60);
    kbc_write(0x60, 0x47); /* translated, both interrupts on */
    kbc_write(0x64, 0xae);
    kbc_write(0x64, 0xa8);
    irq_unmask(1), irq_unmask(12);
    sti();
    mouse_command(0xf6);
    mouse_command(0xf4);
    EXPECT_EQ(irqs[12], 2);
    kbc_write(0x60, 0xed);
    EXPECT_EQ(kbc_read(false), 0xfa);
    kbc_write(0x60, 0x02);
    EXPECT_EQ(kbc_read(false), 0xfa);
    EXPECT_EQ(irqs[1], 2);
    cli();
    irq_mask_all();
}

/* --- PCI, configuration mechanism 1 --- */

static uint32_t config_read(unsigned function, unsigned reg)
{
    outl(0xcf8, 0x80000000u | function << 8 | (reg & 0xfc));
    return inl(0xcfc);
}
static void config_write(unsigned function, unsigned reg, uint32_t v)
{
    outl(0xcf8, 0x80000000u | function << 8 | (reg & 0xfc));
    outl(0xcfc, v);
}
static uint16_t bus_master;

static void test_pci(void)
{
    enum { ISA = 8, IDE = 9, ABSENT = 31 << 3 };
    EXPECT_EQ(config_read(0, 0), 0x12378086);
    EXPECT_EQ(config_read(ISA, 0), 0x70008086);
    EXPECT_EQ(config_read(ISA, 8) >> 16, 0x0601);
    EXPECT_EQ(config_read(ISA, 0x0c) >> 16 & 0x80, 0x80); /* more functions */
    EXPECT_EQ(config_read(IDE, 0), 0x70108086);
    EXPECT_EQ(config_read(IDE, 8) >> 16, 0x0101);
    EXPECT_EQ(config_read(IDE, 8) >> 8 & 5, 0); /* compatibility mode on both channels */
    EXPECT_EQ(config_read(ABSENT, 0), 0xffffffff);
    config_read(ISA, 0); /* bytes and words of a register */
    EXPECT_EQ(inb(0xcfc), 0x86);
    EXPECT_EQ(inb(0xcfd), 0x80);
    EXPECT_EQ(inb(0xcff), 0x70);
    EXPECT_EQ(inw(0xcfe), 0x7000);
    for (unsigned i = 0; i < 4; i++)
        EXPECT_EQ(config_read(IDE, 0x10 + 4 * i), 0);
    uint32_t bar = config_read(IDE, 0x20);
    config_write(IDE, 0x20, 0xffffffff); /* how large is it? */
    EXPECT_EQ(config_read(IDE, 0x20) & 0xffff, 0xfff1);
    config_write(IDE, 0x20, bar);
    EXPECT_EQ(config_read(IDE, 0x20), bar);
    EXPECT(bar & 1);
    bus_master = bar & 0xfff0;
    config_write(IDE, 4, config_read(IDE, 4)); /* rewritten with what is there */
    EXPECT_EQ(config_read(IDE, 4) & 5, 5);
    uint32_t routes = config_read(ISA, 0x60);
    config_write(ISA, 0x60, 0x0b0a0b0a);
    EXPECT_EQ(config_read(ISA, 0x60), 0x0b0a0b0a);
    config_write(ISA, 0x60, routes);
    outb(0x4d0, 0), outb(0x4d1, 0x0c);
    EXPECT_EQ(inb(0x4d0), 0);
    EXPECT_EQ(inb(0x4d1), 0x0c);
}

/* --- ATA (at_wini) --- */

static uint16_t buffer[2 * 1024];

static bool ready(void)
{
    for (unsigned i = 0; i < SPIN; i++)
        if (!(inb(base + STATUS) & BSY))
            return true;
    return false;
}

/* Interrupts are on; each one is waited for by itself, so that none is lost and none is too many. */
static uint32_t seen;

static void command(uint8_t v)
{
    seen = irqs[irq];
    outb(base + COMMAND, v);
}
static bool next_irq(void)
{
    for (unsigned i = 0; i < SPIN && irqs[irq] == seen; i++)
        ;
    return irqs[irq] == ++seen;
}

static void address(uint32_t sector, unsigned count, bool chs)
{
    EXPECT(ready());
    if (chs) { /* 16 heads, 63 sectors: as SPECIFY said */
        outb(base + DEVICE, (uint8_t)(0xa0 | sector / 63 % 16));
        outb(base + LBA_LOW, (uint8_t)(sector % 63 + 1));
        outb(base + LBA_MID, (uint8_t)(sector / 63 / 16));
        outb(base + LBA_HIGH, 0);
    } else {
        outb(base + DEVICE, 0xe0);
        outb(base + LBA_LOW, (uint8_t)sector);
        outb(base + LBA_MID, (uint8_t)(sector >> 8));
        outb(base + LBA_HIGH, (uint8_t)(sector >> 16));
    }
    outb(base + COUNT, (uint8_t)count);
}
static void address48(uint32_t sector, unsigned count)
{
    EXPECT(ready());
    outb(base + DEVICE, 0x40);
    for (unsigned old = 2; old-- > 0;) { /* the old values first: bits 24 and up */
        outb(base + COUNT, (uint8_t)(old ? count >> 8 : count));
        outb(base + LBA_LOW, (uint8_t)(old ? sector >> 24 : sector));
        outb(base + LBA_MID, (uint8_t)(old ? 0 : sector >> 8));
        outb(base + LBA_HIGH, (uint8_t)(old ? 0 : sector >> 16));
    }
}

static unsigned wrong_words(const uint16_t *words, uint32_t sector, unsigned count)
{
    unsigned wrong = 0;
    for (unsigned i = 0; i < count; i += 2)
        wrong += words[i] != (uint16_t)sector || words[i + 1] != i / 2;
    return wrong;
}

/* One interrupt a sector, its data behind it. */
static void read_pio(uint8_t code, uint32_t sector, unsigned count)
{
    command(code);
    for (unsigned i = 0; i < count; i++) {
        EXPECT(next_irq());
        EXPECT_EQ(ata_status & (BSY | DRQ | ERR), DRQ);
        read_words(buffer, 256);
        EXPECT_EQ(wrong_words(buffer, sector + i, 256), 0);
    }
    EXPECT_EQ(inb(base + STATUS) & (BSY | DRQ | ERR), 0);
    EXPECT_EQ(irqs[irq], seen);
}

/* The first sector is asked for without an interrupt; one comes when each is done. */
static void write_pio(uint8_t code, unsigned count)
{
    command(code);
    for (unsigned i = 0; i < count; i++) {
        EXPECT(ready());
        EXPECT_EQ(inb(base + STATUS) & (DRQ | ERR), DRQ);
        write_words(buffer + 256 * i, 256);
        EXPECT(next_irq());
    }
    EXPECT_EQ(ata_status & (BSY | DRQ | ERR), 0);
    EXPECT_EQ(irqs[irq], seen);
}

static void fill(uint32_t sector, unsigned count, uint16_t salt)
{
    for (unsigned i = 0; i < count * 256; i += 2)
        buffer[i] = (uint16_t)(sector + i / 256) ^ salt, buffer[i + 1] = (uint16_t)(i / 2 % 128);
}

static void no_data(uint8_t code)
{
    command(code);
    EXPECT(next_irq());
    EXPECT_EQ(ata_status & (BSY | DRQ | ERR), 0);
}

static void test_identify(void)
{
    static uint16_t id[256];
    EXPECT(ready());
    outb(base + DEVICE, 0xa0);
    command(0xec);
    EXPECT(next_irq());
    read_words(id, 256);
    EXPECT_EQ(id[0] & 0x8000, 0);
    EXPECT(id[1] && id[3] == 16 && id[6] == 63);
    EXPECT_EQ(id[49] & 0x300, 0x300); /* LBA and DMA */
    EXPECT((id[60] | id[61] << 16) >= 64);
    EXPECT(id[83] & 0x400); /* LBA48 */
    outb(base + DEVICE, 0xa0 | 15);
    outb(base + COUNT, 63);
    no_data(0x91);             /* SPECIFY: 16 heads, 63 sectors */
    outb(base + DEVICE, 0xb0); /* nobody is the slave: neither busy nor with data */
    EXPECT_EQ(inb(base + STATUS) & (BSY | DRQ), 0);
    outb(base + DEVICE, 0xa0);
}

static void test_pio(void)
{
    address(3, 1, true), read_pio(0x20, 3, 1);
    address(7, 3, true), read_pio(0x20, 7, 3);
    address(7, 3, false), read_pio(0x20, 7, 3);
    address48(9, 2), read_pio(0x24, 9, 2);
    fill(40, 2, 0x5a00);
    address(40, 2, true), write_pio(0x30, 2);
    fill(42, 2, 0x5a00);
    address48(42, 2), write_pio(0x34, 2);
    no_data(0xe7); /* FLUSH CACHE */
    for (unsigned n = 40; n < 44; n++) {
        address(n, 1, false);
        command(0x20);
        EXPECT(next_irq());
        read_words(buffer, 256);
        EXPECT_EQ(wrong_words(buffer, n ^ 0x5a00, 256), 0);
    }
    fill(40, 4, 0);
    address(40, 4, false), write_pio(0x30, 4); /* as it was */
    address(40, 4, false), read_pio(0x20, 40, 4);
    address(0xfffffff, 1, false); /* there is no such sector */
    command(0x20);
    EXPECT(next_irq());
    EXPECT_EQ(ata_status & (BSY | DRQ | ERR), ERR);
    EXPECT(inb(base + ERROR) & 0x14); /* IDNF or ABRT */
}

/* A list of two regions, the second with the mark of the end. */
static void dma(uint8_t code, unsigned sectors, bool to_memory)
{
    static struct {
        uint32_t at, bytes;
    } prd[2] __attribute__((aligned(8)));
    prd[0].at = (uint32_t)buffer, prd[0].bytes = 512;
    prd[1].at = (uint32_t)buffer + 512, prd[1].bytes = (sectors - 1) * 512 | 0x80000000u;
    outl(bus_master + 4, (uint32_t)prd);
    outb(bus_master, to_memory ? 8 : 0);
    outb(bus_master + 2, 6); /* clears interrupt and error */
    command(code);
    outb(bus_master, to_memory ? 9 : 1);
    EXPECT(next_irq());
    EXPECT_EQ(inb(bus_master + 2) & 7, 4); /* interrupt; neither active nor error */
    outb(bus_master, 0);
    outb(bus_master + 2, 6);
    EXPECT_EQ(inb(bus_master + 2) & 7, 0);
    EXPECT_EQ(ata_status & (BSY | DRQ | ERR), 0);
}

static void test_dma(void)
{
    memset(buffer, 0, sizeof buffer);
    address(5, 4, false), dma(0xc8, 4, true);
    for (unsigned i = 0; i < 4; i++)
        EXPECT_EQ(wrong_words(buffer + 256 * i, 5 + i, 256), 0);
    fill(50, 4, 0x3300);
    address(50, 4, false), dma(0xca, 4, false);
    memset(buffer, 0, sizeof buffer);
    address48(50, 4), dma(0x25, 4, true);
    for (unsigned i = 0; i < 4; i++)
        EXPECT_EQ(wrong_words(buffer + 256 * i, (50 + i) ^ 0x3300, 256), 0);
    fill(50, 4, 0);
    address48(50, 4), dma(0x35, 4, false);
    no_data(0xe7);
}

/* --- ATAPI --- */

/* Sends the packet; the phases that follow are its caller's. */
static void packet(const uint8_t *bytes, unsigned limit)
{
    EXPECT(ready());
    outb(base + DEVICE, 0xa0);
    outb(base + ERROR, 0); /* feature: PIO */
    outb(base + LBA_MID, (uint8_t)limit), outb(base + LBA_HIGH, (uint8_t)(limit >> 8));
    command(0xa0);
    EXPECT(ready());
    EXPECT_EQ(inb(base + STATUS) & DRQ, DRQ);
    EXPECT_EQ(inb(base + COUNT) & 3, 1); /* interrupt reason: a command is wanted */
    seen = irqs[irq];                    /* some drives have one here, some have not */
    write_words(bytes, 6);
}

/* Reads what comes, a piece an interrupt; returns its bytes and, in *error, the status at the end. */
static unsigned packet_data(uint8_t *to, unsigned room, uint8_t *status)
{
    unsigned n = 0;
    for (unsigned pieces = 0; pieces < 32; pieces++) {
        EXPECT(next_irq());
        *status = ata_status;
        if (!(*status & DRQ))
            break;
        EXPECT_EQ(inb(base + COUNT) & 3, 2); /* data, to the host */
        unsigned bytes = inb(base + LBA_MID) | inb(base + LBA_HIGH) << 8;
        EXPECT(bytes && n + bytes <= room);
        if (!bytes || n + bytes > room)
            break;
        read_words(to + n, bytes / 2);
        n += bytes;
    }
    EXPECT_EQ(inb(base + COUNT) & 3, 3); /* status */
    EXPECT_EQ(*status & SERV, 0);
    return n;
}

static uint8_t sense_key(void)
{
    static const uint8_t request_sense[12] = {3, 0, 0, 0, 18};
    static uint8_t sense[18];
    uint8_t status;
    packet(request_sense, 18);
    EXPECT_EQ(packet_data(sense, sizeof sense, &status), 18);
    EXPECT_EQ(status & ERR, 0);
    return sense[2] & 0x0f;
}

static void test_atapi(void)
{
    static const uint8_t test_unit_ready[12] = {0}, read_two[12] = {0x28, 0, 0, 0, 0, 3, 0, 0, 2},
                         read_far[12] = {0x28, 0, 0x7f, 0, 0, 3, 0, 0, 1};
    static uint16_t id[256];
    uint8_t status = ERR;
    base = 0x170, control = 0x376, irq = 15;
    EXPECT(ready());
    outb(base + DEVICE, 0xa0);
    command(0xec); /* a CD is no disk: aborted, with the signature */
    EXPECT(next_irq());
    EXPECT_EQ(ata_status & (ERR | DRQ), ERR);
    EXPECT_EQ(inb(base + LBA_MID) | inb(base + LBA_HIGH) << 8, 0xeb14);
    command(0xa1);
    EXPECT(next_irq());
    read_words(id, 256);
    EXPECT_EQ(id[0] >> 8 & 0xdf, 0x85);                /* ATAPI, CD-ROM, removable */
    EXPECT_EQ(id[0] & 3, 0);                           /* packets of 12 bytes */
    for (unsigned i = 0; i < 4 && status & ERR; i++) { /* it may say first that the disc is new */
        packet(test_unit_ready, 0);
        EXPECT_EQ(packet_data(0, 0, &status), 0);
        if (status & ERR)
            EXPECT_EQ(sense_key(), 6);
    }
    EXPECT_EQ(status & ERR, 0);
    packet(read_two, 2048);
    EXPECT_EQ(packet_data((uint8_t *)buffer, 4096, &status), 4096);
    EXPECT_EQ(wrong_words(buffer, 3, 1024), 0);
    EXPECT_EQ(wrong_words(buffer + 1024, 4, 1024), 0);
    packet(read_far, 2048);
    EXPECT_EQ(packet_data((uint8_t *)buffer, 4096, &status), 0);
    EXPECT(status & ERR);
    EXPECT_EQ(sense_key(), 5); /* illegal request */
    EXPECT_EQ(sense_key(), 0); /* told once */
}

int guest_main(void)
{
    set_isr(IRQ_BASE + 1, irq_kbd), set_isr(IRQ_BASE + 12, irq_aux);
    set_isr(IRQ_BASE + 14, irq_ata), set_isr(IRQ_BASE + 15, irq_ata);
    test_keyboard();
    test_pci();
    irq_unmask(14), irq_unmask(15);
    sti();
    outb(control, 0);
    test_identify();
    test_pio();
    test_dma();
    test_atapi();
    cli();
    return 0;
}
