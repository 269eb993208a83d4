/* i82077.h - floppy disk controller (Intel 82077AA data sheet, order 290166), in AT mode, with two drives.
 *
 * Access: reads of the FIFO synchronous, of the others pure; writes posted. One range from 3F0h on; 3F6h is
 * not the chip's. Output pin 0: INT (IRQ6). Drives and memory are used in `master`, through DMA (chip.h). */
#ifndef TANDEM_HW_I82077_H
#define TANDEM_HW_I82077_H

#include "hw/chip.h"
#include "hw/drive.h"
#include "hw/port.h"

#include <stdbool.h>

#define I82077_IRQ     6
#define I82077_CHANNEL 2 /* of the 8237 */
#define I82077_DRIVES  2

enum {
    I82077_OFF_DOR = 2,    /* digital output register */
    I82077_OFF_TDR = 3,    /* tape drive register */
    I82077_OFF_STATUS = 4, /* read: main status register; write: data rate select */
    I82077_OFF_FIFO = 5,
    I82077_OFF_DIR = 7, /* read: digital input register; write: configuration control */
};

#define I82077_SECTOR  512
#define I82077_RESULTS 10

struct i82077_drive {
    uint64_t bytes;    /* of the medium */
    uint8_t present;   /* there is a drive */
    uint8_t medium;    /* a medium is in it */
    uint8_t read_only; /* the medium is write-protected */
    uint8_t changed;   /* DSKCHG: no step since the medium came */
    uint8_t cylinder;  /* where the head is */
    uint8_t reserved[3];
};

struct i82077 {
    struct i82077_drive drive[I82077_DRIVES];
    uint64_t reset_ns;   /* the interrupt after a reset; NS_NEVER: none is due */
    uint64_t seek_ns[4]; /* end of a position's seek; NS_NEVER: none */
    uint64_t master_ns;  /* the next step of the command; NS_NEVER: none */
    uint64_t ready_ns;   /* PIO: from then on the next byte may be moved */
    uint64_t end_ns;     /* of the sector that passes under the head */
    uint8_t pcn[4];      /* present cylinder numbers, by position */
    uint8_t seek_to[4];  /* cylinder that the seek under way ends at */
    uint8_t recalibrate; /* bit n: that seek is a recalibration */
    uint8_t seek_failed; /* bit n: it found no track 0 */
    uint8_t busy;        /* bit n: DRV n BUSY, until SENSE INTERRUPT STATUS */
    uint8_t seek_done;   /* bit n: SENSE INTERRUPT STATUS has not told its end yet */
    uint8_t polled;      /* bit n: nor that the position was polled after a reset */
    uint8_t phase;       /* enum: command, execution, result */
    uint8_t step;        /* enum: what `master` does next */
    uint8_t ncommand, nresult, result_at;
    uint8_t command[9];
    uint8_t result[I82077_RESULTS];
    uint8_t fail_st1, fail_st2; /* of a command that is going to fail */
    uint8_t c, h, r;            /* the sector under way */
    uint8_t last;               /* 1: no sector follows */
    uint8_t tc;                 /* 1: DMA has ended the count */
    uint8_t irq;                /* bit 0: of a result, bit 1: of a seek or a reset */
    uint8_t dor, tdr, rate;     /* rate: enum of the data rate select register */
    uint8_t specify[2];         /* SRT and HUT; HLT and ND */
    uint8_t configure, pretrk, lock, perpendicular, eot;
    uint8_t fifo_to_cpu;      /* PIO: direction */
    uint16_t fifo_at, fifo_n; /* PIO: bytes moved, and to be moved */
    uint8_t fifo[I82077_SECTOR];
    uint8_t reserved[4];
};

extern const struct chip_class i82077_class;
extern const struct port_input i82077_tray_in; /* PORT_TRAY: there is no tray, but media come and go */

/* What is in a position; after a reset nothing is. */
void i82077_fit(struct i82077 *s, unsigned position, const struct drive_config *drive);
/* A reset of the machine: drives and media stay as they are. */
void i82077_reset_pin(struct i82077 *s, uint64_t now_ns);
/* Type of a drive as CMOS has it: 0 none, 1 360K, 2 1.2M, 3 720K, 4 1.44M, 5 2.88M. */
uint8_t i82077_drive_type(const struct drive_config *drive);

#endif
