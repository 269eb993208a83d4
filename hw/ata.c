/* ata.c - see ata.h: registers, phases of a command, resets (ATA/ATAPI-6, T13/1410D; what a packet device
 * does otherwise is in atapi.c).
 *
 * Model: a command makes the drive busy and goes on from phase to phase in ata_master, each at a time of its
 * own; in between the host moves the block of DRQ through the data port. A read asks for an interrupt when a
 * block is there, a write when a block is taken: one a block. The next block of a read is fetched while the
 * host moves this one. Registers other than Device Control do not change while BSY is set; a command that is
 * written while DRQ is set ends the one under way.
 *
 * NOT MODELLED: overlap and queues, logs and self-tests of SMART, security, host protected area (READ NATIVE
 * MAX answers), CFA, SET MAX, media notification, READ and WRITE LONG and BUFFER, power-up in standby,
 * time-outs of STANDBY. */
#include "hw/ata_internal.h"

#include <string.h>

/* --- phases --- */

void ata_go_on(struct ata *d, enum ata_phase phase, uint64_t ns)
{
    d->phase = (uint8_t)phase;
    d->event_ns = ns;
    d->status = ata_ready_status(d) | ATA_BSY;
}

static void stand(struct ata *d, enum ata_phase phase, uint8_t status)
{
    d->phase = (uint8_t)phase;
    d->event_ns = NS_NEVER;
    d->status = status;
}

void ata_block(struct ata *d, uint32_t at, uint32_t end, bool ask)
{
    d->at = at;
    d->end = end;
    stand(d, ATA_PIO, ata_ready_status(d) | ATA_DRQ);
    if (ask)
        d->intrq = 1;
}

static void over(struct ata *d, uint8_t status, uint8_t error)
{
    stand(d, ATA_IDLE, ata_ready_status(d) | status);
    d->error = error;
    d->intrq = 1;
    if (d->command == ATA_PACKET)
        d->count[0] = ATAPI_COMMAND | ATAPI_TO_HOST;
}

void ata_done(struct ata *d)
{
    over(d, 0, 0);
}

void ata_fail(struct ata *d, uint8_t error)
{
    over(d, ATA_ERR, error);
}

void ata_fault(struct ata *d)
{
    over(d, ATA_ERR | ATA_DF, ATA_ABRT);
}

/* --- resets --- */

static void set_pair(uint8_t *pair, uint8_t value)
{
    pair[0] = pair[1] = value;
}

/* ATA/ATAPI-6, 9.12. */
void ata_signature(struct ata *d)
{
    set_pair(d->count, 1);
    set_pair(d->lba_low, 1);
    set_pair(d->lba_mid, d->cdrom ? 0x14 : 0);
    set_pair(d->lba_high, d->cdrom ? 0xEB : 0);
    d->device = 0;
}

static void reset_done(struct ata *d)
{
    ata_signature(d);
    d->error = 1;
    stand(d, ATA_IDLE, d->cdrom ? 0 : ata_ready_status(d));
    d->power = ATA_ACTIVE;
    d->attention = d->cdrom ? 0x29 : 0;
    d->locked = 0;
}

void ata_reset_pin(struct ata *d)
{
    d->intrq = d->control = 0;
    d->clock = (struct drive_clock){0};
    d->left = d->chunk = d->moved = d->at = d->end = d->total = 0;
    d->heads = 16;
    d->track = 63;
    d->multiple = 0;
    d->mode = 0x22; /* multiword DMA 2: the fastest that every bus master of the time has */
    d->write_cache = d->look_ahead = d->smart = 1;
    d->ejected = d->event = d->gone = 0;
    d->sense_key = d->asc = d->ascq = 0;
    if (d->present)
        reset_done(d);
}

void ata_absent(struct ata *d, unsigned number)
{
    memset(d, 0, sizeof(*d));
    d->number = (uint8_t)number;
    d->event_ns = NS_NEVER;
    ata_reset_pin(d);
}

static void set_text(uint8_t *to, size_t bytes, const char *text)
{
    size_t n = strlen(text);

    memset(to, ' ', bytes);
    memcpy(to, text, n < bytes ? n : bytes);
}

void ata_fit(struct ata *d, const struct drive_config *cfg, unsigned number, unsigned serial_default)
{
    char serial[] = "TD00001";

    ata_absent(d, number);
    d->present = 1;
    d->cdrom = cfg->cdrom;
    d->medium = cfg->medium || !cfg->cdrom;
    d->read_only = cfg->read_only || cfg->cdrom;
    d->sectors = d->medium ? cfg->bytes / ata_sector_bytes(d) : 0;
    serial[sizeof(serial) - 2] = (char)('0' + serial_default % 10);
    set_text(d->serial, sizeof(d->serial), cfg->serial[0] ? cfg->serial : serial);
    set_text(d->model, sizeof(d->model),
             cfg->model[0] ? cfg->model
             : cfg->cdrom  ? "TANDEM CD-ROM"
                           : "TANDEM HARDDISK");
    ata_reset_pin(d);
}

/* --- registers --- */

uint8_t ata_reg(const struct ata *d, unsigned reg)
{
    unsigned which = d->control & ATA_HOB ? 1 : 0;

    switch (reg) {
    case ATA_ERROR:
        return d->error;
    case ATA_COUNT:
        return d->count[which];
    case ATA_LBA_LOW:
        return d->lba_low[which];
    case ATA_LBA_MID:
        return d->lba_mid[which];
    case ATA_LBA_HIGH:
        return d->lba_high[which];
    case ATA_DEVICE:
        return d->device | 0xA0; /* obsolete bits: drives of the time read them as ones */
    default:
        return d->status;
    }
}

static uint8_t *pair_of(struct ata *d, unsigned reg)
{
    switch (reg) {
    case ATA_FEATURES:
        return d->features;
    case ATA_COUNT:
        return d->count;
    case ATA_LBA_LOW:
        return d->lba_low;
    case ATA_LBA_MID:
        return d->lba_mid;
    default:
        return d->lba_high;
    }
}

void ata_reg_write(struct ata *d, unsigned reg, uint8_t value)
{
    d->control &= (uint8_t)~ATA_HOB;
    if (!d->present || d->status & ATA_BSY)
        return;
    if (reg == ATA_DEVICE) {
        d->device = value & 0x5F;
        return;
    }
    uint8_t *pair = pair_of(d, reg);
    pair[1] = pair[0];
    pair[0] = value;
}

void ata_control_write(struct ata *d, uint8_t value, uint64_t now_ns)
{
    bool was = d->control & ATA_SRST, is = value & ATA_SRST;

    d->control = value & (ATA_HOB | ATA_SRST | ATA_NIEN);
    if (!d->present || was == is)
        return;
    d->intrq = 0;
    ata_go_on(d, ATA_RESET, is ? NS_NEVER : now_ns + ATA_RESET_NS);
}

/* ATA/ATAPI-6, 8.10: a packet device takes DEVICE RESET even while it is busy; 9.3: one that sleeps takes
 * nothing else. */
static bool takes(const struct ata *d, uint8_t command)
{
    if (d->phase == ATA_RESET)
        return false;
    if (d->cdrom && command == 0x08)
        return true;
    return d->present && !(d->status & ATA_BSY) && d->power != ATA_SLEEP;
}

void ata_command_write(struct ata *d, uint8_t command, uint64_t now_ns)
{
    d->control &= (uint8_t)~ATA_HOB;
    if (!takes(d, command))
        return;
    d->command = command;
    d->gone = 0;
    d->intrq = d->error = d->transfer = 0;
    d->left = d->chunk = d->moved = d->total = 0;
    ata_go_on(d, ATA_EXECUTE, now_ns + ATA_COMMAND_NS);
}

/* --- the data port --- */

static uint64_t later_ns(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void block_moved(struct ata *d, uint64_t now_ns)
{
    uint64_t soon_ns = now_ns + ATA_BLOCK_NS;

    if (d->transfer & TRANSFER_OUT)
        ata_go_on(d, ATA_FILLED, soon_ns);
    else if (d->end >= d->total && d->left > 0)
        ata_go_on(d, ATA_MEDIUM, later_ns(d->ready_ns, soon_ns));
    else if (d->end < d->total || d->command == ATA_PACKET)
        ata_go_on(d, ATA_DRAINED, soon_ns);
    else
        stand(d, ATA_IDLE, ata_ready_status(d)); /* the interrupt came with the block */
}

static bool moves(const struct ata *d, bool write)
{
    return d->phase == ATA_PIO && write == ((d->transfer & TRANSFER_OUT) != 0);
}

uint32_t ata_data_read(struct ata *d, unsigned size, uint64_t now_ns)
{
    uint32_t value = 0;

    if (!moves(d, false))
        return 0;
    for (unsigned i = 0; i < (size < 2 ? 2 : size) && d->at < d->end; i++)
        value |= (uint32_t)d->buffer[d->at++] << 8 * i;
    if (d->at >= d->end)
        block_moved(d, now_ns);
    return value;
}

void ata_data_write(struct ata *d, unsigned size, uint32_t value, uint64_t now_ns)
{
    if (!moves(d, true))
        return;
    for (unsigned i = 0; i < (size < 2 ? 2 : size) && d->at < d->end; i++)
        d->buffer[d->at++] = (uint8_t)(value >> 8 * i);
    if (d->at >= d->end)
        block_moved(d, now_ns);
}

/* All but the last access to a block, with which the drive goes on. */
uint32_t ata_data_run(struct ata *d, unsigned size, uint32_t n, bool write, uint8_t **at)
{
    if (!moves(d, write) || size < 2 || d->at >= d->end)
        return 0;
    uint32_t most = (d->end - d->at - 1) / size;
    if (n > most)
        n = most;
    *at = d->buffer + d->at;
    d->at += n * size;
    return n;
}

/* --- time --- */

void ata_master(struct ata *d, const struct ata_host *h)
{
    d->event_ns = NS_NEVER;
    if (!h->blocks) { /* of a damaged snapshot */
        stand(d, ATA_IDLE, 0);
        return;
    }
    switch (d->phase) {
    case ATA_EXECUTE:
        ata_execute(d, h);
        break;
    case ATA_MEDIUM:
        ata_medium_done(d, h);
        break;
    case ATA_FILLED:
        ata_filled(d, h);
        break;
    case ATA_DRAINED:
        ata_drained(d, h);
        break;
    case ATA_WAITING:
        ata_dma(d, h);
        break;
    case ATA_RESET:
        reset_done(d);
        break;
    default:
        break;
    }
}
