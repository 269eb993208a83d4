/* media.h - removable media of a machine's drives: what users wish for, until the drive does it, and the
 * images behind it.
 *
 * A wish (media_wish) is an entry of the drive's typed port of kind PORT_TRAY (hw/port.h): the machine takes
 * it in, stamps and records it as it does keys, and the chip does it or refuses. The image is opened when the
 * wish is made, waits here, and is behind the drive from the tick at which the chip has taken it. Behind an
 * entry's PORT_TRAY_BYTES follow, outside of the machine, "FORMAT\0PATH" of an image: a replay opens the same
 * one, which must have the entry's hash.
 *
 * Threads: media_wish, _change, _look, _moved, _save, _load while the machine stands; struct bus_trays'
 * functions by the holder of the baton. Bound: MEDIA_WISHES_MAX for each port; more are refused. */
#ifndef TANDEM_MACHINE_MEDIA_H
#define TANDEM_MACHINE_MEDIA_H

#include "devthread/blocks.h"
#include "hw/pc.h"
#include "machine/err.h"
#include "machine/imagehash.h"

#define MEDIA_TRAYS        (PIIX_IDE_CHANNELS + 1) /* ports of kind PORT_TRAY */
#define MEDIA_WISHES_MAX   32
#define MEDIA_PATH_BYTES   4097
#define MEDIA_FORMAT_BYTES 32

/* An image in a drive. */
struct media_image {
    char file[MEDIA_PATH_BYTES];     /* "": no medium */
    char format[MEDIA_FORMAT_BYTES]; /* as it was said; "": by content */
    bool read_only;
    uint64_t bytes;
    char hash[IMAGEHASH_HEX]; /* "": nobody has asked for it */
};

struct media_wait {
    struct port_tray t;
    struct blocks_medium *blocks; /* PORT_TRAY_INSERT: opened; NULL: it could not be */
    struct media_image image;
    bool in_place; /* what the guest writes goes to the image */
};

struct media {
    struct devthread *dev;
    const struct board *board;
    struct media_queue {
        struct media_wait *wait; /* MEDIA_WISHES_MAX of them, a ring; NULL: none was ever made */
        unsigned head, count;
        unsigned loaded;                     /* the first ones are a snapshot's */
    } tray[MEDIA_TRAYS], aside[MEDIA_TRAYS]; /* aside: media_set_aside */
    uint32_t moved, open;                    /* bit n: the tray of drive n; for media_moved */
    struct err error;                        /* "": none. Of a replay that did not find an image. */
};

struct drives;
struct devthread;
struct devthread_config;

/* Drive n of the configuration, with the wishes that wait done. */
struct media_view {
    struct port_tray_view drive;
    struct media_image image; /* of drives without removable media, too */
    bool private_copy;
};

void media_configure(struct drives *d, struct devthread_config *dev);
void media_connected(struct drives *d, struct devthread *dev, const struct board *b);
void media_close(struct drives *d);

/* Opens or closes the tray of drive n, or takes its medium out. False: e says why, in QEMU's words where it
 * has some. */
bool media_wish(struct drives *d, unsigned n, enum port_tray_op op, bool force, struct err *e);
/* The image (file, format, read_only) takes the place of what is in drive n: the tray opens if it is closed,
 * and closes behind it. */
bool media_change(struct drives *d, unsigned n, const struct media_image *image, bool force, struct err *e);
/* It comes into the drive, which has room; no tray moves. */
bool media_insert_image(struct drives *d, unsigned n, const struct media_image *image, struct err *e);
void media_look(const struct drives *d, unsigned n, struct media_view *v);
/* A tray has moved since it was asked last. False: none. */
bool media_moved(struct drives *d, unsigned *n, bool *open);

struct snapshot_writer;
struct snapshot_item;
/* What is in a drive that is not what was there at the start, before what was written to it. */
bool media_save(struct drives *d, unsigned n, struct snapshot_writer *w, struct err *e);
/* The wishes that the machine has taken in and the chips have not. */
void media_save_waiting(const struct drives *d, struct snapshot_writer *w);
bool media_load(struct drives *d, const struct snapshot_item *item, struct err *e);
/* Before a load into a machine that has run (drives_set_aside): what the machine has taken in and not done is
 * kept aside, and either comes back or is dropped. What it has not taken in stays. */
void media_set_aside(struct drives *d);
void media_take_back(struct drives *d);
void media_drop_aside(struct drives *d);
/* Behind that: the media of the start are back. */
bool media_rewind(struct drives *d, struct err *e);

#endif
