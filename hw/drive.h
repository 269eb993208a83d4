/* drive.h - what a drive is to its controller: plain data from the options, kept in the controller's state;
 * and how long it works on a request, in virtual time.
 *
 * One model for all drives: a request is done at max(request, drive free) + access + bytes / rate. The access
 * is 0 where a request goes on behind the one before it (the drive has read ahead, or gathers writes), else
 * the same at any distance. Figures are those of a fast solid-state disk, not of a disk of the controller's
 * time, since a guest that waits is a user who waits (docs/decisions.md): Intel Optane SSD DC P4800X, 375 GB,
 * product brief of 2017: sequential reads 2400 MB/s, writes 2000 MB/s, typical latency 10 us, for reads and
 * writes alike. It has no volatile cache: a FLUSH is one more access. The bus to the drive takes no time.
 *
 * Whoever composes the machine fills the configuration (pc_config). Threads: plain values, pure functions. */
#ifndef TANDEM_HW_DRIVE_H
#define TANDEM_HW_DRIVE_H

#include "hw/blocks.h"

#include <stdbool.h>
#include <stdint.h>

#define DRIVE_SERIAL_BYTES 20 /* ATA-4, IDENTIFY DEVICE words 10 to 19 */
#define DRIVE_MODEL_BYTES  40 /* words 27 to 46 */
#define DRIVE_SECTOR       512u
#define DRIVE_CD_SECTOR    2048u

#define DRIVE_ACCESS_NS   10000u
#define DRIVE_READ_NS(n)  ((uint64_t)(n)*5 / 12) /* 2400 MB/s */
#define DRIVE_WRITE_NS(n) ((uint64_t)(n) / 2)    /* 2000 MB/s */

struct drive_config {
    bool present;                        /* there is a drive at this position */
    bool cdrom;                          /* ATAPI CD-ROM */
    bool medium;                         /* a medium is in it; fixed disks: always */
    bool read_only;                      /* the medium takes no writes */
    uint64_t bytes;                      /* of the medium, whole sectors */
    char serial[DRIVE_SERIAL_BYTES + 1]; /* "": the controller's default */
    char model[DRIVE_MODEL_BYTES + 1];   /* likewise */
};

/* Part of the controller's state, one a drive; zeroes: nothing was asked of it yet. */
struct drive_clock {
    uint64_t free_ns; /* the last request is done */
    uint64_t next;    /* where on the medium it ended, bytes */
};

/* The drive gets a request at now_ns: when is it done? At now_ns or later. */
uint64_t drive_request(struct drive_clock *c, const struct blocks_request *r, uint64_t now_ns);

#endif
