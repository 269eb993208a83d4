/* media: a CD drive (channel 1, device 0) and a floppy drive whose media change while the guest reads.
 *
 * The guest reads the CD over and over, sector by sector in pieces of 4, and after each round asks for events
 * of the drive and looks at the floppy controller's disk change line. It prints what has changed: sense,
 * events, and the sum of each disc that it has read whole twice. What it reads and when is mixed into `hash`,
 * which must not depend on how the machine is run. It ends when it has seen `discs` discs. lock=1: it locks
 * the tray, and opens it itself when it is asked to. eject=1: it opens the tray behind the first disc. */
#include "rt.h"

#define CD        0x170
#define CD_SECTOR 2048u
#define BUFFER    ((uint8_t *)0x500000)
#define DOR       0x3F2
#define MSR       0x3F4
#define FIFO      0x3F5
#define DIR       0x3F7

enum { BSY = 0x80, DRQ = 8, ERR = 1 };

static uint32_t hash = 2166136261u, last_sense = 0xFFFFFFFF;
static uint8_t packet[12];
static unsigned changed = 2;

static void mix(uint32_t v)
{
    hash = (hash ^ v) * 16777619u;
    hash ^= hash >> 15;
}

/* --- the CD --- */

static uint8_t poll(void)
{
    uint8_t status;
    while ((status = inb(CD + 7)) & BSY)
        mix(1);
    return status;
}

static uint8_t send(uint8_t opcode, uint8_t *to, uint32_t *bytes)
{
    uint8_t status;
    packet[0] = opcode;
    *bytes = 0;
    outb(CD + 6, 0xA0);
    outb(CD + 1, 0);
    outb(CD + 4, 0);
    outb(CD + 5, 0x20);
    outb(CD + 7, 0xA0);
    poll();
    for (unsigned i = 0; i < 12; i += 2) {
        uint16_t v = (uint16_t)(packet[i] | packet[i + 1] << 8);
        __asm__ volatile("outw %0, %1" : : "a"(v), "Nd"((uint16_t)CD));
    }
    memset(packet, 0, sizeof packet);
    while ((status = poll()) & DRQ) {
        uint32_t n = inb(CD + 4) | (uint32_t)inb(CD + 5) << 8, words = (n + 1) / 2;
        void *at = to + *bytes;
        __asm__ volatile("cld\n rep insw" : "+D"(at), "+c"(words) : "d"((uint16_t)CD) : "memory");
        *bytes += n;
    }
    return status;
}

/* What went wrong, once each time that it is something else. */
static void tell_sense(void)
{
    uint8_t reply[32] = {0};
    uint32_t n;
    packet[4] = 18;
    send(0x03, reply, &n);
    uint32_t sense = (uint32_t)reply[2] << 16 | (uint32_t)reply[12] << 8 | reply[13];
    mix(sense);
    if (sense != last_sense)
        print("sense %x/%x/%x\n", reply[2], reply[12], reply[13]);
    last_sense = sense;
}

static bool simple(uint8_t opcode, uint8_t byte_4)
{
    uint32_t n;
    packet[4] = byte_4;
    if (!(send(opcode, BUFFER, &n) & ERR))
        return true;
    tell_sense();
    return false;
}

static uint32_t capacity(void)
{
    uint8_t reply[8];
    uint32_t n;
    if (send(0x25, reply, &n) & ERR) {
        tell_sense();
        return 0;
    }
    return ((uint32_t)reply[1] << 16 | (uint32_t)reply[2] << 8 | reply[3]) + 1;
}

static bool read_sectors(uint32_t lba, uint32_t n)
{
    uint32_t bytes;
    packet[3] = (uint8_t)(lba >> 16);
    packet[4] = (uint8_t)(lba >> 8);
    packet[5] = (uint8_t)lba;
    packet[8] = (uint8_t)n;
    if (!(send(0x28, BUFFER, &bytes) & ERR) && bytes == n * CD_SECTOR)
        return true;
    tell_sense();
    return false;
}

/* The sum of all of the disc; false: it was not to be read. */
static bool read_disc(uint32_t *sum)
{
    uint32_t sectors = capacity(), at = 0;
    *sum = 0;
    while (at < sectors) {
        uint32_t n = sectors - at < 4 ? sectors - at : 4;
        if (!read_sectors(at, n))
            return false;
        for (uint32_t i = 0; i < n * CD_SECTOR; i++)
            *sum = (*sum << 1 | *sum >> 31) + BUFFER[i];
        at += n;
    }
    mix(*sum);
    if (sectors)
        last_sense = 0xFFFFFFFF;
    return sectors > 0;
}

static void events(void)
{
    uint8_t reply[8] = {0};
    uint32_t n;
    packet[1] = 1;
    packet[4] = 0x10;
    packet[8] = 8;
    send(0x4A, reply, &n);
    mix(reply[4]);
    if (reply[4] & 15)
        print("event %u tray %u\n", reply[4] & 15, reply[5] & 1);
    if ((reply[4] & 15) == 1) { /* somebody has pressed the button of the drive */
        simple(0x1E, 0);
        simple(0x1B, 2);
    }
}

/* --- the floppy --- */

static void fdc_put(uint8_t v)
{
    while ((inb(MSR) & 0xC0) != 0x80)
        mix(2);
    outb(FIFO, v);
}

static void fdc_seek(uint8_t cylinder)
{
    fdc_put(0x0F);
    fdc_put(0);
    fdc_put(cylinder);
    while (inb(MSR) & 1)
        if ((inb(MSR) & 0xD0) == 0x80) {
            outb(FIFO, 0x08);
            while ((inb(MSR) & 0xC0) == 0xC0)
                inb(FIFO);
        }
}

/* DSKCHG stays until a step finds a disk. */
static void floppy(void)
{
    static uint8_t cylinder;
    if (inb(DIR) & 0x80)
        fdc_seek(cylinder ^= 1);
    unsigned now = inb(DIR) >> 7;
    mix(now);
    if (now != changed)
        print(now ? "floppy gone\n" : "floppy there\n");
    changed = now;
}

int guest_main(void)
{
    const unsigned discs = option("discs", 2);
    uint32_t last = 0, printed = 0, sum;
    outb(CD + 0x206, 2);
    outb(DOR, 0x1C);
    simple(0, 0);
    if (option("lock", 0))
        simple(0x1E, 1);
    for (unsigned seen = 0; seen < discs;) {
        if (read_disc(&sum)) {
            if (sum == last && sum != printed) {
                print("disc %u sum %x\n", ++seen, sum);
                printed = sum;
                if (seen == 1 && option("eject", 0))
                    simple(0x1B, 2);
            }
            last = sum;
        }
        events();
        if (option("floppy", 0))
            floppy();
    }
    print("hash %x tsc %X\n", hash, rdtsc());
    return 0;
}
