/* disk: drives the disk of the toy PCI device (hw/toypci.h; options -x-toypci, -drive if=x-toy).
 *
 * Lists of reads and writes at random places of the first SECTORS sectors, of random lengths. The guest knows
 * what it has written: each read must find that. rounds=N: so many lists. seed=N. errors=1: the host may
 * fail, which is counted; what could not be written may then be old or new, and is taken as it is read.
 * look=1: the first sector alone is read and told. What was read, and when, is mixed into `hash`, which must
 * not depend on the host. */
#include "rt.h"

#define REG_STATUS 0x04
#define REG_CLEAR  0x08
#define REG_ENABLE 0x0C
#define REG_LIST   0x20
#define REG_COUNT  0x24
#define REG_RATE   0x28
#define REG_START  0x2C
#define BUSY       1u
#define DMA        2u
#define ERROR      16u
#define TO_MEMORY  1u
#define DISK       4u

#define SLOT   (0x80000000u | 4u << 11)
#define BAR0   0x10
#define BAR1   0x14
#define MEM_AT 0xE0000000u

#define LIST    0x400000u
#define BUFFER  0x500000u /* ITEMS of ITEM_MAX */
#define MODEL   0x800000u /* what the disk has, as far as the guest knows */
#define SECTOR  512u
#define SECTORS 1024u
#define ITEMS   8u
#define SPAN    64u /* sectors of an item at most */

static uint32_t hash = 2166136261u, random, errors;

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

static volatile uint32_t *at(uint32_t phys_addr)
{
    return (volatile uint32_t *)phys_addr;
}

static uint8_t *model(uint32_t sector)
{
    return (uint8_t *)(MODEL + sector * SECTOR);
}

static uint8_t *buffer(unsigned item)
{
    return (uint8_t *)(BUFFER + item * SPAN * SECTOR);
}

static void place(void)
{
    outl(0xCF8, SLOT | BAR0);
    outl(0xCFC, MEM_AT);
    outl(0xCF8, SLOT | BAR1);
    outl(0xCFC, 0xC000);
    outl(0xCF8, SLOT | 0x04);
    outl(0xCFC, 7);
    for (volatile unsigned i = 0; i < 20; i++) /* the move takes effect some ticks later */
        ;
}

static struct item {
    uint32_t sector, sectors;
    bool write;
} items[ITEMS];

static void desc(unsigned n)
{
    volatile uint32_t *d = at(LIST + 16 * n);
    d[0] = (uint32_t)buffer(n);
    d[1] = items[n].sectors * SECTOR;
    d[2] = items[n].sector;
    d[3] = DISK | (items[n].write ? 0 : TO_MEMORY);
}

static void fill(unsigned n)
{
    uint32_t *p = (uint32_t *)buffer(n);
    for (uint32_t i = 0; i < items[n].sectors * SECTOR / 4; i++)
        p[i] = next_random(1u << 24) * 257u + i;
}

static void draw(unsigned n)
{
    items[n].sector = next_random(SECTORS);
    items[n].sectors = 1 + next_random(next_random(4) ? 8 : SPAN);
    if (items[n].sector + items[n].sectors > SECTORS)
        items[n].sectors = SECTORS - items[n].sector;
    items[n].write = next_random(2);
    if (items[n].write)
        fill(n);
    desc(n);
}

/* Computes while the card works: how often it looked is a matter of ticks. */
static uint32_t run_list(unsigned n, uint32_t rate)
{
    uint32_t looks = 0;
    *at(MEM_AT + REG_LIST) = LIST;
    *at(MEM_AT + REG_COUNT) = n;
    *at(MEM_AT + REG_RATE) = rate;
    *at(MEM_AT + REG_START) = 1;
    while (*at(MEM_AT + REG_STATUS) & BUSY)
        looks++;
    mix(looks);
    return *at(MEM_AT + REG_CLEAR);
}

static uint8_t known[SECTORS]; /* the model has the sector */

static void check_sector(uint32_t sector, const uint8_t *found)
{
    if (known[sector])
        EXPECT_EQ(memcmp(model(sector), found, SECTOR), 0);
    memcpy(model(sector), found, SECTOR);
    known[sector] = 1;
    for (unsigned i = 0; i < SECTOR / 4; i++)
        mix(((const uint32_t *)found)[i]);
}

static void check(unsigned n)
{
    const uint32_t sector = items[n].sector;
    if (items[n].write) {
        memcpy(model(sector), buffer(n), items[n].sectors * SECTOR);
        memset(known + sector, 1, items[n].sectors);
        return;
    }
    for (uint32_t i = 0; i < items[n].sectors; i++)
        check_sector(sector + i, buffer(n) + i * SECTOR);
}

/* Which item it was the card does not say. */
static void failed(unsigned n)
{
    errors++;
    for (unsigned i = 0; i < n; i++)
        if (items[i].write)
            memset(known + items[i].sector, 0, items[i].sectors);
}

static void round(void)
{
    unsigned n = 1 + next_random(ITEMS);
    for (unsigned i = 0; i < n; i++)
        draw(i);
    if (run_list(n, next_random(200)) & ERROR) {
        failed(n);
        return;
    }
    for (unsigned i = 0; i < n; i++)
        check(i);
}

int guest_main(void)
{
    random = option("seed", 1);
    place();
    for (unsigned i = option("rounds", 100); i; i--)
        round();
    EXPECT(errors == 0 || option("errors", 0));
    print("hash %x errors %u tsc %X\n", hash, errors, rdtsc());
    return (int)failures;
}
