/* ata_transfer.c - sectors between the medium and the host, by PIO and by DMA, for ata.h.
 *
 * A command is cut into requests to the medium: a block of DRQ each with PIO, up to ATA_DMA_BYTES with DMA.
 * A read's request begins when the one before it is done, so that host I/O for it runs while the guest moves
 * this one. A write's data leave the guest's memory when its request begins. Where DMA's regions end too
 * early the command waits, and goes on where it was if the host starts DMA again. */
#include "hw/ata_internal.h"

#include <string.h>

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* --- requests --- */

/* Sectors of one request. */
static uint32_t request_sectors(const struct ata *d)
{
    if (d->transfer & (TRANSFER_DMA | TRANSFER_NONE))
        return ATA_DMA_BYTES / ata_sector_bytes(d);
    if (d->cdrom)
        return ATA_BUFFER_BYTES / DRIVE_CD_SECTOR;
    return d->transfer & TRANSFER_MULTIPLE && d->multiple ? min_u32(d->multiple, ATA_MULTIPLE_MAX) : 1;
}

/* ATA/ATAPI-6, 8.46: without a write cache a write is over when it is on the medium. */
static struct blocks_request request_of(const struct ata *d, uint64_t lba, uint32_t sectors)
{
    bool out = d->transfer & TRANSFER_OUT;

    return (struct blocks_request){.offset = lba * ata_sector_bytes(d),
                                   .bytes = sectors * ata_sector_bytes(d),
                                   .tag = d->number,
                                   .op = out ? BLOCKS_WRITE : BLOCKS_READ,
                                   .fua = out && (d->transfer & TRANSFER_FUA || !d->write_cache)};
}

static void begin(struct ata *d, const struct ata_host *h, const struct blocks_request *r)
{
    h->blocks->start(h->blocks->ctx, h->drive, r);
    d->ready_ns = drive_request(&d->clock, r, h->now_ns);
}

static bool finish(struct ata *d, const struct ata_host *h, uint64_t lba, uint32_t sectors,
                   const uint8_t **data)
{
    struct blocks_request r = request_of(d, lba, sectors);

    return h->blocks->finish(h->blocks->ctx, h->drive, &r, data) == BLOCKS_OK;
}

/* --- what the task file says when a command has got so far --- */

static void set_chs(struct ata *d, uint64_t lba)
{
    uint32_t spc = d->heads * d->track;
    uint64_t cylinder = spc ? lba / spc : 0;

    d->lba_low[0] = d->track ? (uint8_t)(lba % d->track + 1) : 0;
    d->lba_mid[0] = (uint8_t)cylinder;
    d->lba_high[0] = (uint8_t)(cylinder >> 8);
    d->device = (uint8_t)((d->device & 0xF0) | (spc ? lba / d->track % d->heads : 0));
}

static void set_lba(struct ata *d, uint64_t lba)
{
    d->lba_low[0] = (uint8_t)lba;
    d->lba_mid[0] = (uint8_t)(lba >> 8);
    d->lba_high[0] = (uint8_t)(lba >> 16);
    if (!(d->transfer & TRANSFER_EXT)) {
        d->device = (uint8_t)((d->device & 0xF0) | (lba >> 24 & 0x0F));
        return;
    }
    d->lba_low[1] = (uint8_t)(lba >> 24);
    d->lba_mid[1] = (uint8_t)(lba >> 32);
    d->lba_high[1] = (uint8_t)(lba >> 40);
}

void ata_set_address(struct ata *d, uint64_t lba, uint32_t left)
{
    if (d->command == ATA_PACKET)
        return;
    d->count[0] = (uint8_t)left;
    if (d->transfer & TRANSFER_EXT)
        d->count[1] = (uint8_t)(left >> 8);
    if (d->transfer & TRANSFER_EXT || d->device & ATA_LBA)
        set_lba(d, lba);
    else
        set_chs(d, lba);
}

static void advance(struct ata *d)
{
    d->lba += d->chunk;
    d->left -= min_u32(d->chunk, d->left);
    d->chunk = d->moved = 0;
    if (d->left == 0)
        ata_set_address(d, d->lba - 1, 0);
}

/* --- to the host --- */

/* Byte count and reason of the next block of a packet command; whole sectors where the host takes them. */
static void packet_block(struct ata *d, uint32_t at)
{
    uint32_t left = d->total - at, n = left;

    if (n > d->byte_limit) {
        n = d->byte_limit;
        if (n >= DRIVE_CD_SECTOR)
            n -= n % DRIVE_CD_SECTOR;
    }
    d->lba_mid[0] = (uint8_t)n;
    d->lba_high[0] = (uint8_t)(n >> 8);
    d->count[0] = ATAPI_TO_HOST;
    ata_block(d, at, at + n, true);
}

static void first_block(struct ata *d, uint32_t bytes)
{
    d->total = bytes;
    if (d->command == ATA_PACKET)
        packet_block(d, 0);
    else
        ata_block(d, 0, bytes, true);
}

static void begin_read(struct ata *d, const struct ata_host *h)
{
    d->chunk = min_u32(d->left, request_sectors(d));
    struct blocks_request r = request_of(d, d->lba, d->chunk);
    begin(d, h, &r);
}

static void read_next(struct ata *d, const struct ata_host *h)
{
    if (d->left == 0) {
        ata_done(d);
        return;
    }
    begin_read(d, h);
    ata_go_on(d, ATA_MEDIUM, d->ready_ns);
}

/* While the host moves the block, the medium works on the next. */
static void read_by_pio(struct ata *d, const struct ata_host *h, const uint8_t *data)
{
    uint32_t bytes = min_u32(d->chunk * ata_sector_bytes(d), ATA_BUFFER_BYTES);

    memcpy(d->buffer, data, bytes);
    advance(d);
    if (d->left)
        begin_read(d, h);
    first_block(d, bytes);
}

static void wait_for_dma(struct ata *d)
{
    ata_go_on(d, ATA_WAITING, NS_NEVER);
}

static void read_by_dma(struct ata *d, const struct ata_host *h, const uint8_t *data)
{
    uint32_t bytes = d->chunk * ata_sector_bytes(d), done = min_u32(d->moved, bytes);

    d->moved = done + h->dma_move(h->dma, (uint8_t *)data + done, bytes - done, true);
    if (d->moved < bytes) {
        wait_for_dma(d);
        return;
    }
    advance(d);
    read_next(d, h);
}

/* How many sectors before the first bad one: asks for halves. */
static uint32_t good_sectors(struct ata *d, const struct ata_host *h)
{
    uint32_t good = 0;

    for (uint32_t n = d->chunk; n > 1;) {
        uint32_t half = n / 2;
        if (finish(d, h, d->lba + good, half, NULL)) {
            good += half;
            n -= half;
        } else {
            n = half;
        }
    }
    return good;
}

/* What lies before the bad sector still goes to memory. */
static void read_failed(struct ata *d, const struct ata_host *h)
{
    uint32_t good = good_sectors(d, h);
    const uint8_t *data;

    if (d->transfer & TRANSFER_DMA && good && finish(d, h, d->lba, good, &data)) {
        uint32_t bytes = good * ata_sector_bytes(d), done = min_u32(d->moved, bytes);
        h->dma_move(h->dma, (uint8_t *)data + done, bytes - done, true);
    }
    ata_set_address(d, d->lba + good, d->left - min_u32(good, d->left));
    if (d->command == ATA_PACKET)
        atapi_medium_error(d);
    else
        ata_fail(d, ATA_UNC);
}

static void read_done(struct ata *d, const struct ata_host *h)
{
    const uint8_t *data;

    if (d->transfer & TRANSFER_DMA && !h->dma_ready(h->dma, true)) {
        wait_for_dma(d);
    } else if (!finish(d, h, d->lba, d->chunk, &data)) {
        read_failed(d, h);
    } else if (d->transfer & TRANSFER_NONE) {
        advance(d);
        read_next(d, h);
    } else if (d->transfer & TRANSFER_DMA) {
        read_by_dma(d, h, data);
    } else {
        read_by_pio(d, h, data);
    }
}

/* --- from the host --- */

static void begin_write(struct ata *d, const struct ata_host *h, uint32_t sectors)
{
    d->chunk = sectors;
    struct blocks_request r = request_of(d, d->lba, sectors);
    begin(d, h, &r);
    ata_go_on(d, ATA_MEDIUM, d->ready_ns);
}

/* What is less than a sector stays in the drive's buffer until there is more. */
static void write_by_dma(struct ata *d, const struct ata_host *h)
{
    uint8_t *to = h->blocks->buffer(h->blocks->ctx, h->drive);
    uint32_t want = min_u32(d->left, request_sectors(d)) * DRIVE_SECTOR, kept = d->moved % DRIVE_SECTOR;

    memcpy(to, d->buffer, kept);
    uint32_t bytes = want > kept ? kept + h->dma_move(h->dma, to + kept, want - kept, false) : kept;
    uint32_t whole = bytes / DRIVE_SECTOR;
    d->moved = bytes % DRIVE_SECTOR;
    memcpy(d->buffer, to + (size_t)whole * DRIVE_SECTOR, d->moved);
    if (whole)
        begin_write(d, h, whole);
    else
        wait_for_dma(d);
}

static void write_next(struct ata *d, const struct ata_host *h, bool ask)
{
    if (!(d->transfer & TRANSFER_DMA))
        ata_block(d, 0, min_u32(d->left, request_sectors(d)) * DRIVE_SECTOR, ask);
    else if (h->dma_ready(h->dma, false))
        write_by_dma(d, h);
    else
        wait_for_dma(d);
}

static void write_done(struct ata *d, const struct ata_host *h)
{
    uint32_t kept = d->moved;

    if (!finish(d, h, d->lba, d->chunk, NULL)) {
        ata_set_address(d, d->lba, d->left);
        ata_fault(d);
        return;
    }
    advance(d);
    d->moved = kept;
    if (d->left)
        write_next(d, h, true);
    else
        ata_done(d);
}

void ata_filled(struct ata *d, const struct ata_host *h)
{
    if (d->command == ATA_PACKET) {
        atapi_packet(d, h);
        return;
    }
    uint32_t sectors = min_u32(d->left, d->end / DRIVE_SECTOR);
    memcpy(h->blocks->buffer(h->blocks->ctx, h->drive), d->buffer, (size_t)sectors * DRIVE_SECTOR);
    begin_write(d, h, sectors);
}

/* --- TRIM (ACS-2, 7.9) --- */

#define TRIM_BYTES 512u /* ranges of 8 bytes: 48 bits of address, 16 bits of sectors, 0: unused */

struct trim_range {
    uint64_t lba;
    uint32_t sectors;
};

static struct trim_range trim_range(const struct ata *d, uint32_t at)
{
    uint64_t entry = 0;

    for (unsigned i = 0; i < 8; i++)
        entry |= (uint64_t)d->buffer[at + i] << 8 * i;
    return (struct trim_range){entry & UINT64_C(0xFFFFFFFFFFFF), (uint32_t)(entry >> 48)};
}

static bool trim_is_on_medium(const struct ata *d)
{
    for (uint32_t at = 0; at < TRIM_BYTES; at += 8) {
        struct trim_range t = trim_range(d, at);
        if (t.sectors && (t.lba >= d->sectors || t.sectors > d->sectors - t.lba))
            return false;
    }
    return true;
}

static struct blocks_request trim_request(const struct ata *d)
{
    struct trim_range t = trim_range(d, d->at % TRIM_BYTES);

    return (struct blocks_request){.offset = t.lba * DRIVE_SECTOR,
                                   .bytes = t.sectors * DRIVE_SECTOR,
                                   .tag = d->number,
                                   .op = BLOCKS_DISCARD};
}

/* The range at d->at or the next one that is in use. */
static void trim_next(struct ata *d, const struct ata_host *h)
{
    while (d->at < TRIM_BYTES && trim_range(d, d->at).sectors == 0)
        d->at += 8;
    if (d->at >= TRIM_BYTES) {
        ata_done(d);
        return;
    }
    struct blocks_request r = trim_request(d);
    begin(d, h, &r);
    ata_go_on(d, ATA_MEDIUM, d->ready_ns);
}

static void trim_done(struct ata *d, const struct ata_host *h)
{
    struct blocks_request r = trim_request(d);

    if (h->blocks->finish(h->blocks->ctx, h->drive, &r, NULL) != BLOCKS_OK) {
        ata_fault(d);
        return;
    }
    d->at += 8;
    trim_next(d, h);
}

static void trim_by_dma(struct ata *d, const struct ata_host *h)
{
    uint32_t done = min_u32(d->moved, TRIM_BYTES);

    d->moved = done + h->dma_move(h->dma, d->buffer + done, TRIM_BYTES - done, false);
    if (d->moved < TRIM_BYTES) {
        wait_for_dma(d);
    } else if (!trim_is_on_medium(d)) {
        ata_fail(d, ATA_IDNF);
    } else {
        d->at = 0;
        trim_next(d, h);
    }
}

void ata_trim(struct ata *d, const struct ata_host *h)
{
    d->moved = 0;
    if (h->dma_ready(h->dma, false))
        trim_by_dma(d, h);
    else
        wait_for_dma(d);
}

/* --- FLUSH CACHE --- */

#define FLUSH (TRANSFER_OUT | TRANSFER_NONE)

void ata_flush(struct ata *d, const struct ata_host *h)
{
    struct blocks_request r = {.tag = d->number, .op = BLOCKS_FLUSH};

    d->transfer = (d->transfer & TRANSFER_EXT) | FLUSH;
    begin(d, h, &r);
    ata_go_on(d, ATA_MEDIUM, d->ready_ns);
}

static void flush_done(struct ata *d, const struct ata_host *h)
{
    struct blocks_request r = {.tag = d->number, .op = BLOCKS_FLUSH};

    if (h->blocks->finish(h->blocks->ctx, h->drive, &r, NULL) == BLOCKS_OK)
        ata_done(d);
    else
        ata_fault(d);
}

/* --- phases --- */

void ata_transfer(struct ata *d, const struct ata_host *h)
{
    if (d->transfer & TRANSFER_OUT)
        write_next(d, h, false);
    else
        read_next(d, h);
}

void ata_medium_done(struct ata *d, const struct ata_host *h)
{
    if (d->gone)
        atapi_medium_gone(d);
    else if (d->command == ATA_DATA_SET)
        trim_done(d, h);
    else if ((d->transfer & FLUSH) == FLUSH)
        flush_done(d, h);
    else if (d->transfer & TRANSFER_OUT)
        write_done(d, h);
    else
        read_done(d, h);
}

void ata_reply(struct ata *d, const struct ata_host *h, uint32_t bytes)
{
    d->at = 0;
    d->total = bytes;
    if (d->transfer & TRANSFER_DMA)
        ata_dma(d, h);
    else
        first_block(d, bytes);
}

static void reply_by_dma(struct ata *d, const struct ata_host *h)
{
    uint32_t at = min_u32(d->at, d->total);

    d->at = at + h->dma_move(h->dma, d->buffer + at, d->total - at, true);
    if (d->at < d->total)
        wait_for_dma(d);
    else
        ata_done(d);
}

void ata_dma(struct ata *d, const struct ata_host *h)
{
    bool out = d->transfer & TRANSFER_OUT;

    if (d->gone)
        atapi_medium_gone(d);
    else if (!h->dma_ready(h->dma, !out))
        wait_for_dma(d);
    else if (d->command == ATA_DATA_SET)
        trim_by_dma(d, h);
    else if (out)
        write_by_dma(d, h);
    else if (d->chunk)
        read_done(d, h);
    else
        reply_by_dma(d, h);
}

/* Only packet commands have buffers of several blocks, or end with an interrupt of their own. */
void ata_drained(struct ata *d, const struct ata_host *h)
{
    (void)h;
    if (d->end < d->total)
        packet_block(d, d->end);
    else
        ata_done(d);
}
