/* piix_bmdma.c - see piix_bmdma.h.
 *
 * Model: Start takes the table from its beginning, whatever was under way; a cleared Start ends it at once.
 * Active falls with the last byte of the region that has EOT, with Start, and with an error: a descriptor or
 * a region where there is no memory. So what BMIS says at the drive's interrupt is the data sheet's table:
 * Active clear, regions as long as the transfer; set, they were longer; and no interrupt, they were shorter
 * (the drive waits with its data, and goes on if Start is given again). A region may cross 64 KiB: the data
 * sheet forbids it, and nothing is lost by going on. The lowest bits of BMIDTP, of addresses and counts are
 * 0.
 *
 * NOT MODELLED: simplex (both channels work at once; bit 7 of BMIS is 0); the PCI status register. */
#include "hw/piix_bmdma.h"

#include "mem/master.h"

#define PRD_BYTES 8u
#define PRD_EOT   0x80u

uint8_t piix_bmdma_read(const struct piix_bmdma *s, uint32_t offset)
{
    switch (offset) {
    case PIIX_BMIC:
        return s->command;
    case PIIX_BMIS:
        return s->status;
    default:
        return offset >= PIIX_BMIDTP && offset < PIIX_BMDMA_BYTES
                   ? (uint8_t)(s->table >> 8 * (offset - PIIX_BMIDTP))
                   : 0;
    }
}

static bool write_command(struct piix_bmdma *s, uint8_t value)
{
    bool starts = value & ~s->command & PIIX_BMIC_START;

    s->command = value & (PIIX_BMIC_START | PIIX_BMIC_TO_MEMORY);
    if (starts) {
        s->status |= PIIX_BMIS_ACTIVE;
        s->next = s->table;
        s->left = s->last = 0;
    } else if (!(value & PIIX_BMIC_START)) {
        s->status &= (uint8_t)~PIIX_BMIS_ACTIVE;
    }
    return starts;
}

static void write_table(struct piix_bmdma *s, unsigned byte, uint8_t value)
{
    uint32_t mask = UINT32_C(0xFF) << 8 * byte;

    s->table = ((s->table & ~mask) | (uint32_t)value << 8 * byte) & ~3u;
}

bool piix_bmdma_write(struct piix_bmdma *s, uint32_t offset, uint8_t value)
{
    const uint8_t events = PIIX_BMIS_ERROR | PIIX_BMIS_INTERRUPT;

    if (offset == PIIX_BMIC)
        return write_command(s, value);
    if (offset == PIIX_BMIS)
        s->status =
            (uint8_t)((s->status & (PIIX_BMIS_ACTIVE | (events & ~value))) | (value & PIIX_BMIS_CAPABLE));
    else if (offset >= PIIX_BMIDTP && offset < PIIX_BMDMA_BYTES)
        write_table(s, offset - PIIX_BMIDTP, value);
    return false;
}

bool piix_bmdma_ready(const struct piix_bmdma *s, bool to_memory)
{
    return s->status & PIIX_BMIS_ACTIVE && to_memory == ((s->command & PIIX_BMIC_TO_MEMORY) != 0);
}

static void stop(struct piix_bmdma *s, uint8_t why)
{
    s->status = (uint8_t)((s->status & ~PIIX_BMIS_ACTIVE) | why);
}

/* 290562, 4.3.3: address, count (0: 64 KiB), EOT. */
static bool next_region(struct piix_bmdma *s, const struct mem_master *mm)
{
    uint8_t prd[PRD_BYTES];

    if (mem_master_read(mm, s->next, prd, sizeof(prd)) == MEM_NOT_THERE)
        return false;
    s->next += PRD_BYTES;
    s->address = (prd[0] & ~1u) | (uint32_t)prd[1] << 8 | (uint32_t)prd[2] << 16 | (uint32_t)prd[3] << 24;
    s->left = (prd[4] & ~1u) | (uint32_t)prd[5] << 8;
    if (s->left == 0)
        s->left = 0x10000;
    s->last = prd[7] & PRD_EOT ? 1 : 0;
    return true;
}

/* What ROM does not take is lost, as on a bus without an error for it. */
static bool move_region(struct piix_bmdma *s, const struct mem_master *mm, uint8_t *data, uint32_t bytes,
                        bool to_memory)
{
    enum mem_result r = to_memory ? mem_master_write(mm, s->address, data, bytes)
                                  : mem_master_read(mm, s->address, data, bytes);

    s->address += bytes;
    s->left -= bytes;
    return r != MEM_NOT_THERE;
}

uint32_t piix_bmdma_move(struct piix_bmdma *s, const struct mem_master *mm, uint8_t *data, uint32_t bytes,
                         bool to_memory)
{
    uint32_t done = 0;

    while (done < bytes && s->status & PIIX_BMIS_ACTIVE) {
        if (!mm || (s->left == 0 && !next_region(s, mm))) {
            stop(s, PIIX_BMIS_ERROR);
            break;
        }
        uint32_t n = s->left < bytes - done ? s->left : bytes - done;
        if (!move_region(s, mm, data + done, n, to_memory)) {
            stop(s, PIIX_BMIS_ERROR);
            break;
        }
        done += n;
        if (s->left == 0 && s->last)
            stop(s, 0);
    }
    return done;
}
