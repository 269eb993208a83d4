/* drives.h - the drives of a machine: images opened, their host I/O, and what their controllers are told.
 *
 * Threads: as machine.h; between drives_open and drives_close the holder of the baton uses what is behind
 * drives_connect. */
#ifndef TANDEM_MACHINE_DRIVES_H
#define TANDEM_MACHINE_DRIVES_H

#include "devthread/blocks.h"
#include "devthread/devthread.h"
#include "devthread/inputlog.h"
#include "hw/pc.h"
#include "machine/err.h"
#include "machine/imagehash.h"
#include "machine/media.h"

/* The last one is the toy's. */
#define MACHINE_DRIVES_MAX (PC_IDE_DRIVES + PC_FLOPPY_DRIVES + PC_VIRTIO_DRIVES + 1)

/* Strings are borrowed until machine_destroy. */
struct machine_drive {
    unsigned port;      /* where it is: enum pc_port, of kind PORT_BLOCKS; no two have the same */
    const char *option; /* "-hda", "-drive": for messages */
    const char *file;   /* image or URL; NULL: no medium is in it */
    const char *format; /* "raw", "qcow2" ...; NULL: by content */
    bool cdrom;
    bool read_only;
    bool private_copy; /* what the guest writes does not reach the image, and ends with the run */
    bool unmap;        /* discards give the host's space back */
    uint8_t cache;     /* enum medium_cache */
    uint8_t on_read_error, on_write_error; /* enum backend_error */
    int bootindex;                         /* -1: none */
    char name[32];                         /* id=, or as QEMU names its place; "": none */
    char serial[DRIVE_SERIAL_BYTES + 1];   /* "": the controller's default */
};

struct machine_config;

struct drives {
    const struct machine_config *cfg;
    struct blocks *blocks; /* NULL: no drive has a medium, or can get one */
    struct drives_one {
        struct drive_config config;
        struct blocks_drive *blocks; /* NULL: no medium, and none can be put in */
        const char *name;            /* of its typed port, once it is connected */
        bool written_in_place;       /* what the guest writes goes to the image */
        char hash[IMAGEHASH_HEX];    /* of what was on it at the start; "": no medium, or nobody asks */
        struct media_image image;    /* what is in it now */
        bool changed;                /* that is not what was in it at the start */
        struct drives_aside {
            struct media_image image;
            bool changed;
        } aside; /* drives_set_aside */
    } drive[MACHINE_DRIVES_MAX];
    unsigned n;
    char
        images[INPUTLOG_IMAGES_BYTES]; /* a line for each drive, once they are connected: "ide0-hd0 WHAT\n" */
    struct media media;
};

/* An image that was opened for a drive. */
struct drives_medium {
    struct drive_config config; /* medium, bytes, read_only */
    struct blocks_medium *blocks;
    char hash[IMAGEHASH_HEX];
    bool written_in_place;
};

/* Opens the image of `m`, which may be another than the configuration's; hash: although nobody writes it
 * down.
 */
bool drives_medium_open(const struct drives *d, const struct machine_drive *m, bool hash,
                        struct drives_medium *out, struct err *e);

/* Opens all media of the configuration. spin: blocks_config. False: e says why; drives_close it in either
 * case. */
bool drives_open(struct drives *d, const struct machine_config *c, uint32_t spin, struct err *e);
/* The run is to end: the guest waits no longer for a host that fails. Any thread, async-signal-safe. */
void drives_end_soon(struct drives *d);
void drives_close(struct drives *d);
/* What controllers are told. */
void drives_configure(const struct drives *d, const struct machine_config *c, struct pc_config *pc);
/* False: the board has no controller for one of them. */
bool drives_connect(struct drives *d, const struct machine_config *c, struct devthread_config *dev,
                    struct err *e);

/* Has a snapshot of this identity been made with these images? False: e names the drive that differs. */
bool drives_same_images(const struct drives *d, const struct machine_config *c, const char *identity,
                        struct err *e);
/* " drives=N DRIVE=WHAT ...", for the machine's identity. */
void drives_identity(const struct drives *d, char *text, size_t bytes);

struct snapshot_writer;
struct snapshot_item;

/* What was written to each drive, up to this tick. False: a drive that is written in place has no past. */
bool drives_save(struct drives *d, struct snapshot_writer *w, struct err *e);
/* False: e names a drive whose image would not be what a loaded machine has written to it. */
bool drives_can_load(const struct drives *d, struct err *e);
/* Around a load into a machine that has run: blocks_set_aside and its kin, of each drive. */
bool drives_set_aside(struct drives *d, struct err *e);
void drives_take_back(struct drives *d);
void drives_drop_aside(struct drives *d);
/* A run of SNAPSHOT_BLOCKS. */
bool drives_load(struct drives *d, const struct snapshot_item *item, struct err *e);

#endif
