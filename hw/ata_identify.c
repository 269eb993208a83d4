/* ata_identify.c - the 256 words of IDENTIFY DEVICE and IDENTIFY PACKET DEVICE (ATA/ATAPI-6, 8.15, 8.16), and
 * the transfer modes that they tell. */
#include "hw/ata_internal.h"

#include <string.h>

#define HEADS         16u
#define TRACK         63u
#define CYLINDERS_MAX 16383u
#define LBA28_MAX     UINT64_C(0x0FFFFFFF)

static void put(uint8_t *to, unsigned word, uint32_t value)
{
    to[2 * word] = (uint8_t)value;
    to[2 * word + 1] = (uint8_t)(value >> 8);
}

static void put_32(uint8_t *to, unsigned word, uint32_t value)
{
    put(to, word, value);
    put(to, word + 1, value >> 16);
}

/* The first character of a pair is in the high byte of its word. */
static void put_text(uint8_t *to, unsigned word, const uint8_t *text, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        to[2 * word + (i ^ 1)] = text[i];
}

/* --- transfer modes --- */

enum { MODE_PIO = 0x08, MODE_MULTIWORD = 0x20, MODE_ULTRA = 0x40 }; /* 8.46.1: low bits: which */

static bool mode_is(uint8_t mode, uint8_t kind, unsigned most)
{
    return (mode & 0xF8) == kind && (mode & 7u) <= most;
}

bool ata_set_mode(struct ata *d, uint8_t mode)
{
    if (mode <= 1 || mode_is(mode, MODE_PIO, 4)) /* only one mode of DMA is selected, and PIO is none */
        return true;
    if (!mode_is(mode, MODE_MULTIWORD, 2) && !mode_is(mode, MODE_ULTRA, 5))
        return false;
    d->mode = mode;
    return true;
}

/* The modes there are, and above them the one that is selected. */
static uint32_t modes(const struct ata *d, uint8_t kind, uint32_t all)
{
    return all | (((d->mode & 0xF8) == kind) ? 0x100u << (d->mode & 7) : 0);
}

static void put_modes(const struct ata *d, uint8_t *to)
{
    put(to, 53, 7); /* words 54 to 58, 64 to 70 and 88 are valid */
    put(to, 63, modes(d, MODE_MULTIWORD, 7));
    put(to, 64, 3); /* PIO 3 and 4 */
    for (unsigned word = 65; word <= 68; word++)
        put(to, word, 120); /* cycles: ns */
    put(to, 88, modes(d, MODE_ULTRA, 0x3F));
}

/* --- the words --- */

static void put_names(const struct ata *d, uint8_t *to)
{
    put_text(to, 10, d->serial, sizeof(d->serial));
    put_text(to, 23, (const uint8_t *)"1.0     ", 8); /* firmware */
    put_text(to, 27, d->model, sizeof(d->model));
}

static uint32_t min_u64(uint64_t a, uint64_t b)
{
    return (uint32_t)(a < b ? a : b);
}

static void put_geometry(const struct ata *d, uint8_t *to)
{
    uint32_t cylinders = min_u64(d->sectors / (HEADS * TRACK), CYLINDERS_MAX);
    uint32_t spc = d->heads * d->track;
    uint32_t now = spc ? min_u64(d->sectors / spc, 65535) : 0;

    put(to, 1, cylinders ? cylinders : 1);
    put(to, 3, HEADS);
    put(to, 6, TRACK);
    put(to, 54, now);
    put(to, 55, d->heads);
    put(to, 56, d->track);
    put_32(to, 57, now * spc);
    put_32(to, 60, min_u64(d->sectors, LBA28_MAX));
    put_32(to, 100, (uint32_t)d->sectors);
    put_32(to, 102, (uint32_t)(d->sectors >> 32));
}

#define SET_SMART      0x0001u /* word 82 */
#define SET_POWER      0x0008u
#define SET_PACKET     0x0010u
#define SET_CACHE      0x0020u
#define SET_LOOK_AHEAD 0x0040u
#define SET_RESET      0x0200u
#define SETS_83        0x7400u /* FLUSH CACHE, FLUSH CACHE EXT, 48-bit addresses */
#define SETS_84        0x4040u /* WRITE DMA FUA EXT, WRITE MULTIPLE FUA EXT */

static void put_sets(const struct ata *d, uint8_t *to)
{
    put(to, 82, SET_SMART | SET_POWER | SET_CACHE | SET_LOOK_AHEAD);
    put(to, 83, SETS_83);
    put(to, 84, SETS_84);
    put(to, 85,
        (d->smart ? SET_SMART : 0) | SET_POWER | (d->write_cache ? SET_CACHE : 0) |
            (d->look_ahead ? SET_LOOK_AHEAD : 0));
    put(to, 86, SETS_83 & 0x3FFF);
    put(to, 87, SETS_84);
}

/* ACS-2, 7.16.7: what is trimmed reads as zeroes at once; one block of ranges a command. */
static void put_trim(uint8_t *to)
{
    put(to, 69, 0x4020);
    put(to, 105, 1);
    put(to, 169, 1);
}

/* Word 93: 80-conductor cable; what the drive found at the last reset, in the half of its number. */
static void put_cable(const struct ata *d, uint8_t *to)
{
    put(to, 93, 0x6000 | (d->number ? 0x0B00 : 0x000B));
}

static void put_disk(const struct ata *d, uint8_t *to)
{
    put(to, 0, 0x0040); /* a fixed disk */
    put(to, 22, 4);     /* bytes of READ LONG: obsolete */
    put(to, 47, 0x8000 | ATA_MULTIPLE_MAX);
    put(to, 48, 1);      /* obsolete: 32-bit data port */
    put(to, 49, 0x0F00); /* IORDY, which can be turned off; LBA; DMA */
    put(to, 50, 0x4000);
    put(to, 51, 0x0200); /* obsolete: PIO and DMA timing modes */
    put(to, 52, 0x0200);
    put(to, 59, d->multiple ? 0x0100u | d->multiple : 0);
    put(to, 80, 0x01FE); /* ATA-1 to ATA8-ACS: hosts look for TRIM from version 7 on */
    put_geometry(d, to);
    put_sets(d, to);
    put_trim(to);
    put_cable(d, to);
}

static void put_cdrom(const struct ata *d, uint8_t *to)
{
    put(to, 0, 0x85C0);  /* packet device, CD-ROM, removable, DRQ within 50 us, packets of 12 bytes */
    put(to, 49, 0x0F00); /* as above */
    put(to, 50, 0x4000);
    put(to, 71, 30); /* ns from PACKET to release of the bus, and from SERVICE to BSY clear */
    put(to, 72, 30);
    put(to, 80, 0x0078); /* ATA/ATAPI-3 to -6 */
    put(to, 82, SET_POWER | SET_PACKET | SET_RESET);
    put(to, 83, 0x4000);
    put(to, 84, 0x4000);
    put(to, 85, SET_POWER | SET_PACKET | SET_RESET);
    put(to, 87, 0x4000);
    put_cable(d, to);
}

void ata_identify(const struct ata *d, uint8_t *to)
{
    uint8_t sum = 0;

    memset(to, 0, 512);
    if (d->cdrom)
        put_cdrom(d, to);
    else
        put_disk(d, to);
    put_names(d, to);
    put_modes(d, to);
    to[510] = 0xA5; /* word 255: with the checksum all bytes add up to 0 */
    for (unsigned i = 0; i < 511; i++)
        sum = (uint8_t)(sum + to[i]);
    to[511] = (uint8_t)-sum;
}
