/* ata_commands.c - what a command does first, for ata.h; section numbers are those of ATA/ATAPI-6. SMART and
 * DATA SET MANAGEMENT are those of ATA8-ACS and ACS-2.
 *
 * One row a command: which drives have it and how its data move. What no row has is aborted, as the standard
 * wants it. */
#include "hw/ata_internal.h"

#include <string.h>

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))

#define DISK 1
#define CD   2
#define BOTH (DISK | CD)

struct command {
    uint8_t first, last; /* codes that mean the same */
    uint8_t drives;
    uint8_t transfer; /* TRANSFER_* */
    void (*run)(struct ata *d, const struct ata_host *h);
};

/* --- addresses --- */

static uint32_t sector_count(const struct ata *d)
{
    if (!(d->transfer & TRANSFER_EXT))
        return d->count[0] ? d->count[0] : 256;
    uint32_t n = d->count[0] | (uint32_t)d->count[1] << 8;
    return n ? n : 65536;
}

static uint64_t low_24_bits(const struct ata *d, unsigned which)
{
    return d->lba_low[which] | (uint64_t)d->lba_mid[which] << 8 | (uint64_t)d->lba_high[which] << 16;
}

/* A sector, head or cylinder that the translation does not have is beyond the end of any medium. */
static uint64_t chs_address(const struct ata *d)
{
    uint32_t cylinder = d->lba_mid[0] | (uint32_t)d->lba_high[0] << 8;
    uint32_t head = d->device & 0x0F, sector = d->lba_low[0];

    if (sector == 0 || sector > d->track || head >= d->heads)
        return UINT64_MAX;
    return ((uint64_t)cylinder * d->heads + head) * d->track + sector - 1;
}

static uint64_t address(const struct ata *d)
{
    if (d->transfer & TRANSFER_EXT)
        return low_24_bits(d, 0) | low_24_bits(d, 1) << 24;
    if (d->device & ATA_LBA)
        return low_24_bits(d, 0) | (uint64_t)(d->device & 0x0F) << 24;
    return chs_address(d);
}

/* --- commands with an address --- */

/* 8.27: the first sector that is not there, unless the address itself is not one. */
static void not_found(struct ata *d, uint64_t lba, uint32_t count)
{
    if (lba < d->sectors)
        ata_set_address(d, d->sectors, count - (uint32_t)(d->sectors - lba));
    ata_fail(d, ATA_IDNF);
}

static void sectors(struct ata *d, const struct ata_host *h)
{
    uint64_t lba = address(d);
    uint32_t count = sector_count(d);

    d->power = ATA_ACTIVE;
    if (d->transfer & TRANSFER_MULTIPLE && d->multiple == 0) {
        ata_fail(d, ATA_ABRT);
    } else if (lba >= d->sectors || count > d->sectors - lba) {
        not_found(d, lba, count);
    } else if (d->transfer & TRANSFER_OUT && d->read_only) {
        ata_fail(d, ATA_WP);
    } else {
        d->lba = lba;
        d->left = count;
        ata_transfer(d, h);
    }
}

static void seek(struct ata *d, const struct ata_host *h)
{
    (void)h;
    d->power = ATA_ACTIVE;
    if (address(d) < d->sectors)
        ata_done(d);
    else
        ata_fail(d, ATA_IDNF);
}

/* 8.33: the greatest address. */
static void native_max(struct ata *d, const struct ata_host *h)
{
    uint64_t most = d->transfer & TRANSFER_EXT ? UINT64_MAX : UINT32_C(0x0FFFFFFF);
    uint64_t last = d->sectors ? d->sectors - 1 : 0;

    (void)h;
    d->device |= ATA_LBA;
    ata_set_address(d, last < most ? last : most, d->count[0] | (uint32_t)d->count[1] << 8);
    ata_done(d);
}

static void flush(struct ata *d, const struct ata_host *h)
{
    ata_flush(d, h);
}

/* ACS-2, 7.9: bit 0 of Features is TRIM; Count: blocks of ranges, as word 105 of IDENTIFY has them. */
static void data_set_management(struct ata *d, const struct ata_host *h)
{
    d->power = ATA_ACTIVE;
    if (d->features[0] != 1 || d->count[0] != 1 || d->count[1] != 0)
        ata_fail(d, ATA_ABRT);
    else if (d->read_only)
        ata_fail(d, ATA_WP);
    else
        ata_trim(d, h);
}

/* --- SMART: a drive that never fails --- */

enum { SMART_DATA = 0xD0, SMART_AUTOSAVE = 0xD2, SMART_ON = 0xD8, SMART_OFF = 0xD9, SMART_STATUS = 0xDA };

/* ATA8-ACS, 7.53.7: no attribute of our own, nothing was tested, attributes are kept over power cycles. */
static void smart_data(struct ata *d, const struct ata_host *h)
{
    uint8_t sum = 0;

    memset(d->buffer, 0, 512);
    d->buffer[368] = 3;
    for (unsigned i = 0; i < 511; i++)
        sum = (uint8_t)(sum + d->buffer[i]);
    d->buffer[511] = (uint8_t)-sum;
    ata_reply(d, h, 512);
}

static void smart(struct ata *d, const struct ata_host *h)
{
    uint8_t what = d->features[0];
    bool known = what == SMART_DATA || what == SMART_AUTOSAVE || what == SMART_OFF || what == SMART_STATUS;

    if (d->lba_mid[0] != 0x4F || d->lba_high[0] != 0xC2 || !(what == SMART_ON || (known && d->smart))) {
        ata_fail(d, ATA_ABRT);
        return;
    }
    if (what == SMART_ON || what == SMART_OFF)
        d->smart = what == SMART_ON;
    if (what == SMART_DATA)
        smart_data(d, h);
    else
        ata_done(d); /* STATUS: mid and high stay what they are: no threshold was exceeded */
}

/* --- commands without data --- */

static void done(struct ata *d, const struct ata_host *h)
{
    (void)h;
    ata_done(d);
}

/* An obsolete command of drives that could have been moved off track 0. */
static void recalibrate(struct ata *d, const struct ata_host *h)
{
    d->power = ATA_ACTIVE;
    done(d, h);
}

/* 8.16 of ATA-5: sectors a track in Count, the last head in Device. */
static void set_translation(struct ata *d, const struct ata_host *h)
{
    (void)h;
    if (d->count[0] == 0) {
        ata_fail(d, ATA_ABRT);
        return;
    }
    d->track = d->count[0];
    d->heads = (uint8_t)((d->device & 0x0F) + 1);
    ata_done(d);
}

/* 8.39: a power of two; 0 turns READ and WRITE MULTIPLE off. */
static void set_multiple(struct ata *d, const struct ata_host *h)
{
    uint8_t n = d->count[0];

    (void)h;
    if (n > ATA_MULTIPLE_MAX || (n & (n - 1))) {
        ata_fail(d, ATA_ABRT);
        return;
    }
    d->multiple = n;
    ata_done(d);
}

/* 8.46. */
static bool set_feature(struct ata *d)
{
    bool on = d->features[0] < 0x80;

    switch (d->features[0]) {
    case 0x02:
    case 0x82:
        if (!d->cdrom)
            d->write_cache = on;
        return !d->cdrom;
    case 0x03:
        return ata_set_mode(d, d->count[0]);
    case 0xAA: /* here the greater code turns it on */
    case 0x55:
        if (!d->cdrom)
            d->look_ahead = !on;
        return !d->cdrom;
    case 0x66: /* keep settings over SRST, or not: they are always kept */
    case 0xCC:
        return true;
    default:
        return false;
    }
}

static void set_features(struct ata *d, const struct ata_host *h)
{
    bool caches = d->features[0] == 0x82 && d->write_cache && !d->cdrom;

    if (!set_feature(d))
        ata_fail(d, ATA_ABRT);
    else if (caches)
        ata_flush(d, h); /* what the cache has goes to the medium first */
    else
        ata_done(d);
}

/* --- power --- */

static void set_power(struct ata *d, enum ata_power power)
{
    d->power = (uint8_t)power;
    ata_done(d);
}

static void idle(struct ata *d, const struct ata_host *h)
{
    (void)h;
    set_power(d, ATA_IDLING);
}

/* The cache goes to the medium before the drive is down. */
static void standby(struct ata *d, const struct ata_host *h)
{
    d->power = ATA_STANDBY;
    if (d->cdrom)
        ata_done(d);
    else
        ata_flush(d, h);
}

static void sleep_mode(struct ata *d, const struct ata_host *h)
{
    standby(d, h);
    d->power = ATA_SLEEP;
}

/* 8.6 */
static void check_power(struct ata *d, const struct ata_host *h)
{
    (void)h;
    d->count[0] = d->power == ATA_STANDBY ? 0x00 : d->power == ATA_IDLING ? 0x80 : 0xFF;
    ata_done(d);
}

/* --- identity --- */

static void identify(struct ata *d, const struct ata_host *h)
{
    ata_identify(d, d->buffer);
    ata_reply(d, h, 512);
}

/* 8.15.5.2: IDENTIFY DEVICE tells a packet device by its signature, and so do READ SECTORS and NOP's kin. */
static void abort_signed(struct ata *d, const struct ata_host *h)
{
    uint8_t device = d->device & ATA_DEV;

    (void)h;
    ata_signature(d);
    d->device = device;
    ata_fail(d, ATA_ABRT);
}

/* 8.11: what 0x90 leaves is what a reset leaves; only device 0 asks for an interrupt, for both. */
static void diagnose(struct ata *d, const struct ata_host *h)
{
    (void)h;
    ata_signature(d);
    ata_done(d);
    d->error = 1;
    if (d->cdrom)
        d->status = 0;
    if (d->number != 0)
        d->intrq = 0;
}

/* 8.10: no interrupt. */
static void device_reset(struct ata *d, const struct ata_host *h)
{
    uint8_t device = d->device & ATA_DEV;

    (void)h;
    ata_signature(d);
    d->device = device;
    ata_done(d);
    d->error = 1;
    d->status = 0;
    d->intrq = 0;
    d->power = ATA_ACTIVE;
}

/* 9.11: the packet comes as a block of 12 bytes, without an interrupt; Features bit 0: its data by DMA. */
static void packet(struct ata *d, const struct ata_host *h)
{
    uint32_t limit = d->lba_mid[0] | (uint32_t)d->lba_high[0] << 8;

    (void)h;
    d->byte_limit = (uint16_t)(limit < 2 || limit == 0xFFFF ? 0xFFFE : limit & ~1u);
    d->transfer = TRANSFER_OUT | (d->features[0] & 1 ? TRANSFER_DMA : 0);
    d->count[0] = ATAPI_COMMAND;
    d->power = ATA_ACTIVE;
    ata_block(d, 0, ATA_PACKET_BYTES, false);
}

#define EXT  TRANSFER_EXT
#define DMA  TRANSFER_DMA
#define OUT  TRANSFER_OUT
#define MULT TRANSFER_MULTIPLE
#define FUA  TRANSFER_FUA
#define NONE TRANSFER_NONE

static const struct command commands[] = {
    {ATA_DATA_SET, ATA_DATA_SET, DISK, OUT | EXT | DMA, data_set_management},
    {0x08, 0x08, CD, 0, device_reset},
    {0x10, 0x1F, DISK, 0, recalibrate},
    {0x20, 0x21, DISK, 0, sectors},                /* READ SECTORS */
    {0x20, 0x20, CD, 0, abort_signed},             /* likewise, of a packet device */
    {0x24, 0x24, DISK, EXT, sectors},              /* READ SECTORS EXT */
    {0x25, 0x25, DISK, EXT | DMA, sectors},        /* READ DMA EXT */
    {0x27, 0x27, DISK, EXT, native_max},           /* READ NATIVE MAX ADDRESS EXT */
    {0x29, 0x29, DISK, EXT | MULT, sectors},       /* READ MULTIPLE EXT */
    {0x30, 0x31, DISK, OUT, sectors},              /* WRITE SECTORS */
    {0x34, 0x34, DISK, OUT | EXT, sectors},        /* WRITE SECTORS EXT */
    {0x35, 0x35, DISK, OUT | EXT | DMA, sectors},  /* WRITE DMA EXT */
    {0x39, 0x39, DISK, OUT | EXT | MULT, sectors}, /* WRITE MULTIPLE EXT */
    {0x3C, 0x3C, DISK, OUT, sectors},              /* WRITE VERIFY: obsolete */
    {0x3D, 0x3D, DISK, OUT | EXT | DMA | FUA, sectors},
    {0x40, 0x41, DISK, NONE, sectors},       /* READ VERIFY SECTORS */
    {0x42, 0x42, DISK, NONE | EXT, sectors}, /* READ VERIFY SECTORS EXT */
    {0x70, 0x7F, DISK, 0, seek},
    {0x90, 0x90, BOTH, 0, diagnose},
    {0x91, 0x91, DISK, 0, set_translation},
    {0x94, 0x94, BOTH, 0, standby}, /* 94h to 99h: obsolete codes of E0h to E6h */
    {0x95, 0x95, BOTH, 0, idle},
    {0x96, 0x96, BOTH, 0, standby},
    {0x97, 0x97, BOTH, 0, idle},
    {0x98, 0x98, BOTH, 0, check_power},
    {0x99, 0x99, BOTH, 0, sleep_mode},
    {ATA_PACKET, ATA_PACKET, CD, 0, packet},
    {0xA1, 0xA1, CD, 0, identify},
    {0xB0, 0xB0, DISK, 0, smart},
    {0xC4, 0xC4, DISK, MULT, sectors},       /* READ MULTIPLE */
    {0xC5, 0xC5, DISK, OUT | MULT, sectors}, /* WRITE MULTIPLE */
    {0xC6, 0xC6, DISK, 0, set_multiple},
    {0xC8, 0xC9, DISK, DMA, sectors},       /* READ DMA */
    {0xCA, 0xCB, DISK, OUT | DMA, sectors}, /* WRITE DMA */
    {0xCE, 0xCE, DISK, OUT | EXT | MULT | FUA, sectors},
    {0xE0, 0xE0, BOTH, 0, standby}, /* STANDBY IMMEDIATE */
    {0xE1, 0xE1, BOTH, 0, idle},    /* IDLE IMMEDIATE */
    {0xE2, 0xE2, BOTH, 0, standby},
    {0xE3, 0xE3, BOTH, 0, idle},
    {0xE5, 0xE5, BOTH, 0, check_power},
    {0xE6, 0xE6, BOTH, 0, sleep_mode},
    {0xE7, 0xE7, DISK, 0, flush},
    {0xEA, 0xEA, DISK, EXT, flush},
    {0xEC, 0xEC, DISK, 0, identify},
    {0xEC, 0xEC, CD, 0, abort_signed},
    {0xEF, 0xEF, BOTH, 0, set_features},
    {0xF8, 0xF8, DISK, 0, native_max},
};

void ata_execute(struct ata *d, const struct ata_host *h)
{
    unsigned kind = d->cdrom ? CD : DISK;

    for (unsigned i = 0; i < NELEM(commands); i++) {
        const struct command *c = &commands[i];
        if (d->command < c->first || d->command > c->last || !(c->drives & kind))
            continue;
        d->transfer = c->transfer;
        c->run(d, h);
        return;
    }
    ata_fail(d, ATA_ABRT);
}
