/* drives.c - see drives.h.
 *
 * Positions are QEMU's: an IDE drive's index is twice its channel (bus) plus its unit, others have an index
 * alone. A drive without a position gets the first free one, behind all those that have named theirs. */
#include "cli/drives.h"

#include "machine/optvalue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a)  (sizeof(a) / sizeof *(a))
#define IDE_UNITS 2

/* MATCH drive_interfaces */
enum drive_interface { IF_IDE, IF_FLOPPY, IF_VIRTIO, IF_NONE, IF_X_TOY };
#define INTERFACES "ide|floppy|virtio|none|x-toy"

/* Where drives of each interface are. */
static const struct {
    const char *name;
    unsigned first_port, drives, units;
} places[] = {
    [IF_IDE] = {"ide", PC_PORT_IDE0, PC_IDE_DRIVES, IDE_UNITS},
    [IF_FLOPPY] = {"floppy", PC_PORT_FLOPPY0, PC_FLOPPY_DRIVES, PC_FLOPPY_DRIVES},
    [IF_VIRTIO] = {"virtio", PC_PORT_VIRTIO0, PC_VIRTIO_DRIVES, 1},
    [IF_NONE] = {"none", 0, 0, 1},
    [IF_X_TOY] = {"x-toy", PC_PORT_BLOCKS, 1, 1},
};

/* --- keys of -drive; the target is the struct drive_option --- */

static bool set_number(const char *value, int *to)
{
    uint64_t v;
    bool ok = value_number(value, 0, 999, &v);
    *to = ok ? (int)v : -1;
    return ok;
}

static bool set_file(void *target, const char *value, struct err *e)
{
    return !*value || value_string(value, &((struct drive_option *)target)->file, e);
}

#define FORMATS "raw|qcow2|qcow|qed|vdi|vmdk|vhdx|vpc|parallels|bochs|cloop|dmg|luks"

bool drives_format_is_known(const char *format)
{
    return value_choice(format, FORMATS) >= 0;
}

static bool set_format(void *target, const char *value, struct err *e)
{
    return value_choice(value, FORMATS) >= 0 &&
           value_string(value, &((struct drive_option *)target)->format, e);
}

static bool set_if(void *target, const char *value, struct err *e)
{
    int i = value_choice(value, INTERFACES); /* MATCH drive_interfaces */
    ((struct drive_option *)target)->interface = (unsigned)i;
    return i >= 0;
}

static bool set_index(void *target, const char *value, struct err *e)
{
    return set_number(value, &((struct drive_option *)target)->index);
}

static bool set_bus(void *target, const char *value, struct err *e)
{
    return set_number(value, &((struct drive_option *)target)->bus);
}

static bool set_unit(void *target, const char *value, struct err *e)
{
    return set_number(value, &((struct drive_option *)target)->unit);
}

static bool set_media(void *target, const char *value, struct err *e)
{
    int i = value_choice(value, "disk|cdrom");
    ((struct drive_option *)target)->cdrom = i == 1;
    return i >= 0;
}

static bool set_id(void *target, const char *value, struct err *e)
{
    return *value && strlen(value) < sizeof((struct machine_drive *)0)->name &&
           value_string(value, &((struct drive_option *)target)->id, e);
}

static bool set_serial(void *target, const char *value, struct err *e)
{
    return *value && strlen(value) <= DRIVE_SERIAL_BYTES &&
           value_string(value, &((struct drive_option *)target)->serial, e);
}

static bool set_snapshot(void *target, const char *value, struct err *e)
{
    struct drive_option *d = target;
    bool ok = value_switch(value, &d->snapshot);
    d->snapshot_off = ok && !d->snapshot;
    return ok;
}

static bool set_readonly(void *target, const char *value, struct err *e)
{
    return value_switch(value, &((struct drive_option *)target)->read_only);
}

static bool set_werror(void *target, const char *value, struct err *e)
{
    int i = value_choice(value, "report|ignore|stop|enospc"); /* MATCH enum backend_error */
    ((struct drive_option *)target)->on_write_error = (uint8_t)i;
    return i >= 0;
}

static bool set_rerror(void *target, const char *value, struct err *e)
{
    int i = value_choice(value, "report|ignore|stop"); /* MATCH enum backend_error */
    ((struct drive_option *)target)->on_read_error = (uint8_t)i;
    return i >= 0;
}

static bool set_cache(void *target, const char *value, struct err *e)
{
    if (value_choice(value, "none|directsync") >= 0)
        return err_set(e,
                       "-drive: cache=%s is refused: images are used through the host's page cache; "
                       "writeback|writethrough|unsafe is accepted",
                       value);
    int i = value_choice(value, "writeback|writethrough|unsafe"); /* MATCH enum medium_cache */
    ((struct drive_option *)target)->cache = (uint8_t)i;
    return i >= 0;
}
_Static_assert(MEDIUM_WRITEBACK == 0 && MEDIUM_WRITETHROUGH == 1 && MEDIUM_UNSAFE == 2, "set_cache");

static bool set_discard(void *target, const char *value, struct err *e)
{
    int i = value_choice(value, "ignore|unmap|off|on");
    ((struct drive_option *)target)->unmap = i % 2 == 1;
    return i >= 0;
}

static bool set_only_off(void *target, const char *value, struct err *e)
{
    return strcmp(value, "off") == 0;
}

static bool set_aio(void *target, const char *value, struct err *e)
{
    return strcmp(value, "threads") == 0;
}

static const struct list_key drive_keys[] = {
    {"file", "FILE", set_file},
    {"format", FORMATS, set_format},
    {"if", "ide|floppy|virtio|none", set_if},
    {"index", "N", set_index},
    {"bus", "N", set_bus},
    {"unit", "N", set_unit},
    {"media", "disk|cdrom", set_media},
    {"id", "a name of 1 to 31 characters", set_id},
    {"snapshot", "on|off", set_snapshot},
    {"readonly", "on|off", set_readonly},
    {"read-only", "on|off", set_readonly},
    {"serial", "1 to 20 characters", set_serial},
    {"werror", "report|ignore|stop|enospc", set_werror},
    {"rerror", "report|ignore|stop", set_rerror},
    {"cache", "writeback|writethrough|unsafe", set_cache},
    {"discard", "ignore|unmap", set_discard},
    {"aio", "threads", set_aio},
    {"copy-on-read", "off", set_only_off},
    {"detect-zeroes", "off", set_only_off},
};

/* --- options, one by one --- */

static struct drive_option *new_drive(struct drive_options *o, const char *option, const char *value,
                                      struct err *e)
{
    if (o->n == DRIVES_MAX) {
        err_set(e, "%s %s: %d drives are there already, more than the machine has places for", option, value,
                DRIVES_MAX);
        return NULL;
    }
    struct drive_option *d = &o->drive[o->n++];
    *d = (struct drive_option){.index = -1, .bus = -1, .unit = -1, .bootindex = -1};
    return value_string(option, &d->option, e) ? d : NULL;
}

bool drives_add(struct drive_options *o, const char *value, struct err *e)
{
    struct drive_option *d = new_drive(o, "-drive", value, e);
    if (!d || !list_parse("-drive", value, NULL, drive_keys, COUNT(drive_keys), d, e))
        return false;
    if (!d->file && !d->cdrom && d->interface != IF_FLOPPY)
        return err_set(e, "-drive %s: file=FILE is needed (only a CD drive or a floppy drive may be empty)",
                       value);
    return true;
}

/* Names that are a position. */
static const struct {
    const char *name;
    enum drive_interface interface;
    int index;
    bool cdrom;
} files[] = {
    {"", IF_IDE, 0, false},       {"hda", IF_IDE, 0, false},    {"hdb", IF_IDE, 1, false},
    {"hdc", IF_IDE, 2, false},    {"hdd", IF_IDE, 3, false},    {"cdrom", IF_IDE, 2, true},
    {"fda", IF_FLOPPY, 0, false}, {"fdb", IF_FLOPPY, 1, false},
};

bool drives_add_file(struct drive_options *o, const char *name, const char *file, struct err *e)
{
    char option[16];
    unsigned i = 0;
    snprintf(option, sizeof option, "-%s", *name ? name : "hda");
    struct drive_option *d = new_drive(o, option, file, e);
    if (!d)
        return false;
    if (!*file)
        return err_set(e, "%s: needs a value: FILE", option);
    while (strcmp(files[i].name, name) != 0)
        i++;
    d->interface = files[i].interface;
    d->index = files[i].index;
    d->cdrom = files[i].cdrom;
    return value_string(file, &d->file, e);
}

/* --- -device --- */

#define DRIVERS "ide-hd|ide-cd|virtio-blk-pci|virtio-blk|floppy" /* MATCH driver_interfaces */
/* MATCH driver_interfaces */
static const enum drive_interface driver_interface[] = {IF_IDE, IF_IDE, IF_VIRTIO, IF_VIRTIO, IF_FLOPPY};

static int driver_number(const char *driver)
{
    return value_choice(driver, DRIVERS);
}

bool drives_is_device(const char *value)
{
    char driver[24];
    snprintf(driver, sizeof driver, "%.*s", (int)strcspn(value, ","), value);
    return driver_number(driver) >= 0;
}

static bool set_driver(void *target, const char *value, struct err *e)
{
    return value_string(value, &((struct drive_device *)target)->driver, e);
}

static bool set_drive_id(void *target, const char *value, struct err *e)
{
    return *value && value_string(value, &((struct drive_device *)target)->id, e);
}

/* "ide.1", as QEMU calls the channels. */
static bool set_device_bus(void *target, const char *value, struct err *e)
{
    int *bus = &((struct drive_device *)target)->bus;
    if (strcmp(value, "pci.0") == 0 || strcmp(value, "floppy-bus.0") == 0)
        return true;
    return strncmp(value, "ide.", 4) == 0 && set_number(value + 4, bus);
}

static bool set_device_unit(void *target, const char *value, struct err *e)
{
    return set_number(value, &((struct drive_device *)target)->unit);
}

static bool set_device_serial(void *target, const char *value, struct err *e)
{
    return *value && strlen(value) <= DRIVE_SERIAL_BYTES &&
           value_string(value, &((struct drive_device *)target)->serial, e);
}

static bool set_bootindex(void *target, const char *value, struct err *e)
{
    return set_number(value, &((struct drive_device *)target)->bootindex);
}

static bool set_device_id(void *target, const char *value, struct err *e)
{
    return *value; /* a name that nothing refers to yet */
}

static const struct list_key device_keys[] = {
    {"driver", DRIVERS, set_driver},
    {"drive", "ID (of a -drive if=none)", set_drive_id},
    {"bus", "ide.0|ide.1", set_device_bus},
    {"unit", "N", set_device_unit},
    {"serial", "1 to 20 characters", set_device_serial},
    {"bootindex", "N", set_bootindex},
    {"id", "NAME", set_device_id},
};

bool drives_add_device(struct drive_options *o, const char *value, struct err *e)
{
    if (o->ndevices == MACHINE_DRIVES_MAX)
        return err_set(e, "-device %s: the machine has no place for more drives", value);
    struct drive_device *d = &o->device[o->ndevices++];
    *d = (struct drive_device){.bus = -1, .unit = -1, .bootindex = -1};
    if (!list_parse("-device", value, "driver", device_keys, COUNT(device_keys), d, e))
        return false;
    return d->id || strcmp(d->driver, "ide-cd") == 0 ||
           err_set(e, "-device %s: drive=ID is needed, of a -drive if=none,id=ID", value);
}

static struct drive_option *find_id(struct drive_options *o, const char *id)
{
    for (unsigned i = 0; i < o->n; i++)
        if (o->drive[i].id && strcmp(o->drive[i].id, id) == 0)
            return &o->drive[i];
    return NULL;
}

/* The drive that a -device is about: its own -drive, or an empty CD drive. */
static struct drive_option *drive_of(struct drive_options *o, const struct drive_device *dev, struct err *e)
{
    struct drive_option *d = dev->id ? find_id(o, dev->id) : new_drive(o, "-device", dev->driver, e);
    if (!dev->id)
        return d;
    if (d && d->interface == IF_NONE)
        return d;
    err_set(e,
            d ? "-device %s,drive=%s: the drive has a place already; a -drive with if=none is accepted, once"
              : "-device %s,drive=%s: no -drive has that id",
            dev->driver, dev->id);
    return NULL;
}

static bool apply_device(struct drive_options *o, const struct drive_device *dev, struct err *e)
{
    const bool cd = strcmp(dev->driver, "ide-cd") == 0;
    struct drive_option *d = drive_of(o, dev, e);
    if (!d)
        return false;
    if (d->cdrom && !cd)
        return err_set(e, "-device %s,drive=%s: media=cdrom belongs to ide-cd", dev->driver, dev->id);
    d->cdrom = cd;
    d->interface = driver_interface[driver_number(dev->driver)];
    d->bus = dev->bus >= 0 ? dev->bus : d->bus;
    d->unit = dev->unit >= 0 ? dev->unit : d->unit;
    d->bootindex = dev->bootindex;
    return !dev->serial || value_string(dev->serial, &d->serial, e);
}

/* --- places --- */

static const char *drive_text(const struct drive_option *d)
{
    return d->file ? d->file : d->id ? d->id : "(empty)";
}

/* Its index, from what was given; -1: nothing. */
static int given_index(const struct drive_option *d)
{
    const int units = (int)places[d->interface].units;
    if (d->index >= 0 || (d->bus < 0 && d->unit < 0))
        return d->index;
    return (d->bus > 0 ? d->bus : 0) * units + (d->unit > 0 ? d->unit : 0);
}

static const struct drive_option *placed_at(const struct drive_options *o, unsigned port)
{
    for (unsigned i = 0; i < o->n; i++)
        if (o->drive[i].placed && o->drive[i].port == port)
            return &o->drive[i];
    return NULL;
}

static bool check_position(const struct drive_option *d, struct err *e)
{
    if (d->index >= 0 && (d->bus >= 0 || d->unit >= 0))
        return err_set(e, "%s %s: index=N, or bus=N and unit=N, is accepted, not both", d->option,
                       drive_text(d));
    if (d->unit >= (int)places[d->interface].units)
        return err_set(e, "%s %s: unit=%d: %s has units 0 to %u", d->option, drive_text(d), d->unit,
                       places[d->interface].name, places[d->interface].units - 1);
    return true;
}

static bool place_at(struct drive_options *o, struct drive_option *d, int index, struct err *e)
{
    const unsigned drives = places[d->interface].drives;
    if (!check_position(d, e))
        return false;
    if ((unsigned)index >= drives)
        return err_set(e, "%s %s: the machine has %u drives with if=%s, index 0 to %u", d->option,
                       drive_text(d), drives, places[d->interface].name, drives - 1);
    d->port = places[d->interface].first_port + (unsigned)index;
    const struct drive_option *other = placed_at(o, d->port);
    if (other)
        return err_set(e, "%s %s: %s %s is there already (if=%s, index %d)", d->option, drive_text(d),
                       other->option, drive_text(other), places[d->interface].name, index);
    d->placed = true;
    return true;
}

static bool place_anywhere(struct drive_options *o, struct drive_option *d, struct err *e)
{
    int index = 0;
    while (index < (int)places[d->interface].drives &&
           placed_at(o, places[d->interface].first_port + (unsigned)index))
        index++;
    return place_at(o, d, index, e);
}

static bool place_all(struct drive_options *o, struct err *e)
{
    for (unsigned pass = 0; pass < 2; pass++)
        for (unsigned i = 0; i < o->n; i++) {
            struct drive_option *d = &o->drive[i];
            if (d->interface == IF_NONE)
                return err_set(e, "%s %s: if=none needs -device ide-hd,drive=ID or another that uses it",
                               d->option, drive_text(d));
            const int index = given_index(d);
            if ((index >= 0) != (pass == 0))
                continue;
            if (!(index >= 0 ? place_at(o, d, index, e) : place_anywhere(o, d, e)))
                return false;
        }
    return true;
}

/* QEMU's names: "ide1-cd0", "floppy0", "virtio0". */
static void drive_name(const struct drive_option *d, char *name, size_t bytes)
{
    const unsigned n = d->port - places[d->interface].first_port;
    if (d->id)
        snprintf(name, bytes, "%s", d->id);
    else if (d->interface == IF_IDE)
        snprintf(name, bytes, "ide%u-%s%u", n / IDE_UNITS, d->cdrom ? "cd" : "hd", n % IDE_UNITS);
    else
        snprintf(name, bytes, "%s%u", places[d->interface].name, n);
}

static void to_machine(const struct drive_options *o, const struct drive_option *d, struct machine_drive *m)
{
    *m = (struct machine_drive){.port = d->port,
                                .option = d->option,
                                .file = d->file,
                                .format = d->format,
                                .cdrom = d->cdrom,
                                .read_only = d->read_only,
                                .private_copy = d->snapshot || (o->snapshot && !d->snapshot_off),
                                .unmap = d->unmap,
                                .cache = d->cache,
                                .on_read_error = d->on_read_error,
                                .on_write_error = d->on_write_error,
                                .bootindex = d->bootindex};
    snprintf(m->serial, sizeof m->serial, "%s", d->serial ? d->serial : "");
    drive_name(d, m->name, sizeof m->name);
}

bool drives_place(struct drive_options *o, struct machine_drive *drive, unsigned *n, struct err *e)
{
    for (unsigned i = 0; i < o->ndevices; i++)
        if (!apply_device(o, &o->device[i], e))
            return false;
    if (!place_all(o, e))
        return false;
    for (*n = 0; *n < o->n; ++*n)
        to_machine(o, &o->drive[*n], &drive[*n]);
    return true;
}

void drives_free(struct drive_options *o)
{
    for (unsigned i = 0; i < o->n; i++) {
        char *owned[] = {o->drive[i].option, o->drive[i].file, o->drive[i].format, o->drive[i].id,
                         o->drive[i].serial};
        for (size_t k = 0; k < COUNT(owned); k++)
            free(owned[k]);
    }
    for (unsigned i = 0; i < o->ndevices; i++) {
        free(o->device[i].driver);
        free(o->device[i].id);
        free(o->device[i].serial);
    }
    *o = (struct drive_options){0};
}
