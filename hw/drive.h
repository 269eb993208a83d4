/* drive.h - what a drive is to its controller: plain data from the options, kept in the controller's state.
 *
 * Whoever composes the machine fills it (pc_config). Threads: plain values. */
#ifndef TANDEM_HW_DRIVE_H
#define TANDEM_HW_DRIVE_H

#include <stdbool.h>
#include <stdint.h>

#define DRIVE_SERIAL_BYTES 20 /* ATA-4, IDENTIFY DEVICE words 10 to 19 */
#define DRIVE_MODEL_BYTES  40 /* words 27 to 46 */
#define DRIVE_SECTOR       512u
#define DRIVE_CD_SECTOR    2048u

struct drive_config {
    bool present;                        /* there is a drive at this position */
    bool cdrom;                          /* ATAPI CD-ROM */
    bool medium;                         /* a medium is in it; fixed disks: always */
    bool read_only;                      /* the medium takes no writes */
    uint64_t bytes;                      /* of the medium, whole sectors */
    char serial[DRIVE_SERIAL_BYTES + 1]; /* "": the controller's default */
    char model[DRIVE_MODEL_BYTES + 1];   /* likewise */
};

#endif
