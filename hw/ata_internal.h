/* ata_internal.h - what the files of a drive share: ata.c, ata_commands.c, ata_transfer.c, ata_identify.c,
 * atapi.c. */
#ifndef TANDEM_HW_ATA_INTERNAL_H
#define TANDEM_HW_ATA_INTERNAL_H

#include "clockcore/ticks.h"
#include "hw/ata.h"

/* struct ata.transfer */
enum {
    TRANSFER_OUT = 1,   /* from the host */
    TRANSFER_DMA = 2,   /* else PIO */
    TRANSFER_EXT = 4,   /* 48-bit address, 16-bit count */
    TRANSFER_FUA = 8,   /* a write is safe before it is done */
    TRANSFER_NONE = 16, /* no data move: READ VERIFY */
    TRANSFER_MULTIPLE = 32,
};

/* From a command to its first effect, and between blocks of PIO: times of a drive's own processor, of the
 * order of 1 us on parallel drives (ATA/ATAPI-6, 9.1: BSY lasts at least 400 ns). */
#define ATA_COMMAND_NS UINT64_C(1000)
#define ATA_BLOCK_NS   UINT64_C(400)
/* Hosts wait 2 ms behind SRST before they look (ATA/ATAPI-6, 9.2); without motors it is done by then. */
#define ATA_RESET_NS UINT64_C(1000000)

#define ATA_DATA_SET     0x06
#define ATA_PACKET       0xA0
#define ATA_PACKET_BYTES 12u
#define ATAPI_COMMAND    0x01 /* interrupt reason: C/D */
#define ATAPI_TO_HOST    0x02 /* I/O */

static inline uint32_t ata_sector_bytes(const struct ata *d)
{
    return d->cdrom ? DRIVE_CD_SECTOR : DRIVE_SECTOR;
}

/* ATA/ATAPI-6, 7.15: a packet device has SERV where others have DSC. */
static inline uint8_t ata_ready_status(const struct ata *d)
{
    return d->cdrom ? ATA_DRDY : ATA_DRDY | ATA_DSC;
}

/* --- ata.c: how a command goes on and ends --- */

/* Goes on in `phase` at `ns`; BSY. */
void ata_go_on(struct ata *d, enum ata_phase phase, uint64_t ns);
/* DRQ for buffer[at, end). `ask`: with an interrupt. */
void ata_block(struct ata *d, uint32_t at, uint32_t end, bool ask);
/* The command is over. Of a packet command: with the interrupt reason. */
void ata_done(struct ata *d);
void ata_fail(struct ata *d, uint8_t error);
/* With a device fault. */
void ata_fault(struct ata *d);
void ata_signature(struct ata *d);

/* --- ata_commands.c --- */
void ata_execute(struct ata *d, const struct ata_host *h);

/* --- ata_transfer.c: sectors and replies --- */

/* `left` sectors from `lba` on, which are on the medium, as `transfer` says. */
void ata_transfer(struct ata *d, const struct ata_host *h);
/* total bytes of the buffer are for the host: by PIO, or by DMA if `transfer` says so. */
void ata_reply(struct ata *d, const struct ata_host *h, uint32_t bytes);
void ata_flush(struct ata *d, const struct ata_host *h);
/* The ranges that the host gives by DMA are discarded. */
void ata_trim(struct ata *d, const struct ata_host *h);
/* The later phases. */
void ata_medium_done(struct ata *d, const struct ata_host *h);
void ata_filled(struct ata *d, const struct ata_host *h);
void ata_drained(struct ata *d, const struct ata_host *h);
void ata_dma(struct ata *d, const struct ata_host *h);
/* Where the command has got to, in the task file. */
void ata_set_address(struct ata *d, uint64_t lba, uint32_t left);

/* --- ata_identify.c --- */
void ata_identify(const struct ata *d, uint8_t *to); /* 512 bytes */
/* The subcommand 03h of SET FEATURES; false: no such mode. */
bool ata_set_mode(struct ata *d, uint8_t mode);

/* --- atapi.c --- */
void atapi_packet(struct ata *d, const struct ata_host *h); /* the buffer has it */
/* A medium request failed. */
void atapi_medium_error(struct ata *d);
/* The medium has gone (ata.gone). */
void atapi_medium_gone(struct ata *d);

#endif
