/* drives.h - options that name disk images: -drive, -hda and its kin, -cdrom, -fda, -snapshot, -device
 * ...,drive=.
 *
 * Options are kept as they come; drives_place gives each drive its position at the end, when all are known.
 * Memory: strings are owned by the struct. Errors: one line that names the option and what is accepted. */
#ifndef TANDEM_CLI_DRIVES_H
#define TANDEM_CLI_DRIVES_H

#include "machine/drives.h"

#define DRIVES_MAX (2 * MACHINE_DRIVES_MAX) /* options; more have no place */

struct drive_option {
    char *option, *file, *format, *id, *serial; /* NULL: not given; option: "-hda" */
    unsigned interface;                         /* enum drive_interface (drives.c) */
    int index, bus, unit;                       /* -1: not given */
    bool cdrom, read_only, snapshot, snapshot_off;
    bool unmap;
    uint8_t on_read_error, on_write_error; /* enum backend_error */
    uint8_t cache;                         /* enum medium_cache */
    int bootindex;                         /* -1: none */
    bool placed;                           /* by a -device, or by drives_place */
    unsigned port;                         /* enum pc_port, once it is placed */
};

/* -device ide-hd and its kin */
struct drive_device {
    char *driver, *id, *serial; /* id: of the drive; NULL: none */
    int bus, unit, bootindex;   /* -1: not given */
};

struct drive_options {
    struct drive_option drive[DRIVES_MAX];
    unsigned n;
    struct drive_device device[MACHINE_DRIVES_MAX];
    unsigned ndevices;
    bool snapshot; /* -snapshot */
};

bool drives_add(struct drive_options *o, const char *value, struct err *e); /* -drive */
/* -hda, -hdb, -hdc, -hdd, -cdrom, -fda, -fdb, and "" for an image without an option. */
bool drives_add_file(struct drive_options *o, const char *name, const char *file, struct err *e);
/* Is it the value of a -device that is a drive? */
bool drives_is_device(const char *value);
bool drives_add_device(struct drive_options *o, const char *value, struct err *e);
#define DRIVES_DEVICES                                                                                       \
    "ide-hd, ide-cd, virtio-blk-pci or floppy,drive=ID[,bus=B][,unit=N][,serial=S][,bootindex=N]"

/* Fills drive[] (MACHINE_DRIVES_MAX) and *n; strings stay the options'. */
bool drives_place(struct drive_options *o, struct machine_drive *drive, unsigned *n, struct err *e);
void drives_free(struct drive_options *o);
/* Is it a name that format= takes? */
bool drives_format_is_known(const char *format);

#endif
