/* ata.h - one ATA disk or ATAPI CD-ROM drive: task file, commands, PIO blocks; DMA through its host.
 *
 * A drive is plain values. The channel that it hangs on (piix_ide.c) passes register accesses on, calls
 * ata_master when event_ns has come, and says there how blocks of the medium and DMA are reached. Registers
 * are read without side effects (ata_reg); that a read of Status takes the interrupt back is the channel's
 * doing. Threads: plain values. Guest-controlled values: any register and value at any time is defined. */
#ifndef TANDEM_HW_ATA_H
#define TANDEM_HW_ATA_H

#include "hw/blocks.h"
#include "hw/drive.h"
#include "hw/port.h"

#include <stdbool.h>
#include <stdint.h>

enum { /* registers: command block, then device control; read and write where they differ */
       ATA_DATA,
       ATA_ERROR,
       ATA_FEATURES = ATA_ERROR,
       ATA_COUNT, /* of a packet command: interrupt reason */
       ATA_LBA_LOW,
       ATA_LBA_MID, /* of a packet command, with ATA_LBA_HIGH: byte count */
       ATA_LBA_HIGH,
       ATA_DEVICE,
       ATA_STATUS,
       ATA_COMMAND = ATA_STATUS,
       ATA_CONTROL, /* write only; reads: alternate status */
};

enum { /* Status */
       ATA_BSY = 0x80,
       ATA_DRDY = 0x40,
       ATA_DF = 0x20,
       ATA_DSC = 0x10, /* of a packet command: SERV, which is always 0 here */
       ATA_DRQ = 0x08,
       ATA_ERR = 0x01, /* of a packet command: CHK */
};

enum { /* Error */
       ATA_UNC = 0x40,
       ATA_WP = 0x40, /* of writes */
       ATA_IDNF = 0x10,
       ATA_ABRT = 0x04,
};

enum { /* Device, Device Control */
       ATA_DEV = 0x10,
       ATA_LBA = 0x40,
       ATA_NIEN = 0x02,
       ATA_SRST = 0x04,
       ATA_HOB = 0x80,
};

#define ATA_MULTIPLE_MAX 16u
#define ATA_BUFFER_BYTES (ATA_MULTIPLE_MAX * DRIVE_SECTOR)
#define ATA_DMA_BYTES    (256u * DRIVE_SECTOR) /* of one request to the medium */

/* How a command goes on when its event_ns has come. */
enum ata_phase {
    ATA_IDLE,
    ATA_EXECUTE, /* a command was written */
    ATA_MEDIUM,  /* the medium works on a request */
    ATA_PIO,     /* DRQ: the host moves a block through the data port */
    ATA_FILLED,  /* the host has written the block */
    ATA_DRAINED, /* the host has read a part of the buffer, which has more */
    ATA_WAITING, /* for the host's DMA; event_ns is NS_NEVER until it is ready */
    ATA_RESET,
    ATA_PHASES,
};

struct ata {
    uint64_t event_ns; /* when ata_master is due; NS_NEVER: when the host has done something */
    struct drive_clock clock;
    uint64_t ready_ns; /* when the medium has done the request that has begun */
    uint64_t sectors;  /* of the medium, each of sector_bytes */
    uint64_t lba;      /* first sector that is not transferred yet */
    uint32_t left;     /* sectors from there on */
    uint32_t chunk;    /* of these, in the request under way */
    uint32_t moved;   /* bytes: DMA in: of the chunk, in memory; DMA out: in the buffer, less than a sector */
    uint32_t at, end; /* in the buffer: what is left of the block of DRQ; odd ends are ATAPI's */
    uint32_t total;   /* in the buffer: bytes that are for the host */

    /* Task file. [0] is what was written last, [1] what was there before (HOB). */
    uint8_t features[2], count[2], lba_low[2], lba_mid[2], lba_high[2];
    uint8_t device, status, error, control;
    uint8_t command;  /* under way, or the last one */
    uint8_t intrq;    /* 1: the drive asks for an interrupt */
    uint8_t phase;    /* enum ata_phase */
    uint8_t transfer; /* bits TRANSFER_* of ata_internal.h: what the command does with data */

    /* What commands have set. */
    uint8_t heads, track; /* of the translation; sectors a track, 0: none is set */
    uint8_t multiple;     /* sectors a block; 0: READ and WRITE MULTIPLE are off */
    uint8_t mode;         /* as SET FEATURES has it; see ata_identify.c */
    uint8_t write_cache, look_ahead;
    uint8_t power; /* enum ata_power */
    /* ATAPI. */
    uint8_t sense_key, asc, ascq;
    uint8_t attention; /* ASC of the unit attention that waits; 0: none */
    uint8_t locked;    /* PREVENT ALLOW MEDIUM REMOVAL */
    uint8_t ejected;   /* the tray is out */
    uint8_t event;     /* of the media class, for GET EVENT STATUS NOTIFICATION; 0: none */

    /* What it is: constant. */
    uint8_t present, cdrom, medium, read_only;
    uint8_t number; /* 0 or 1 on its cable */
    uint8_t smart;  /* SMART is on */
    uint8_t gone;   /* the medium went while a packet command was using it */
    uint8_t told;   /* `ejected` as the host knows it */
    uint8_t reserved[2];
    uint16_t byte_limit;                                          /* of a block of a packet command, even */
    uint8_t serial[DRIVE_SERIAL_BYTES], model[DRIVE_MODEL_BYTES]; /* padded with blanks */
    uint8_t buffer[ATA_BUFFER_BYTES];
};

enum ata_power { ATA_ACTIVE, ATA_IDLING, ATA_STANDBY, ATA_SLEEP };

/* What ata_master has at hand. */
struct ata_host {
    const struct chip_blocks *blocks; /* NULL: there is no medium anywhere */
    unsigned drive;                   /* its number there */
    uint64_t now_ns;
    void *dma;
    /* Does DMA run in this direction? */
    bool (*dma_ready)(void *dma, bool to_memory);
    /* Moves bytes; returns how many: fewer where its regions end or memory fails. */
    uint32_t (*dma_move)(void *dma, uint8_t *data, uint32_t bytes, bool to_memory);
};

/* An empty position: no drive. */
void ata_absent(struct ata *d, unsigned number);
/* A drive is plugged in and powered on. `serial_default`: 0 to 9, the last digit of the default serial. */
void ata_fit(struct ata *d, const struct drive_config *cfg, unsigned number, unsigned serial_default);
/* RESET#. */
void ata_reset_pin(struct ata *d);

/* Register `reg` but the data port; HOB is the drive's. */
uint8_t ata_reg(const struct ata *d, unsigned reg);
/* To a register other than data, command and control. */
void ata_reg_write(struct ata *d, unsigned reg, uint8_t value);
void ata_control_write(struct ata *d, uint8_t value, uint64_t now_ns);
void ata_command_write(struct ata *d, uint8_t command, uint64_t now_ns);
/* The data port: 1, 2 or 4 bytes. A byte moves a word, as the port is that wide. */
uint32_t ata_data_read(struct ata *d, unsigned size, uint64_t now_ns);
void ata_data_write(struct ata *d, unsigned size, uint32_t value, uint64_t now_ns);
/* Of the data port: chip_class.run. */
uint32_t ata_data_run(struct ata *d, unsigned size, uint32_t n, bool write, uint8_t **at);

/* --- a CD-ROM's tray, from outside (port.h) --- */
/* A request to the medium is under way: whoever wants to move the tray waits for its end. */
bool ata_tray_busy(const struct ata *d);
bool ata_tray_takes(const struct ata *d, const struct port_tray *t);
void ata_tray(struct ata *d, const struct port_tray *t);
/* True: the tray has moved since the last call. */
bool ata_tray_moved(struct ata *d);

/* At event_ns or later. */
void ata_master(struct ata *d, const struct ata_host *h);

#endif
