/* media.c - see media.h. */
#include "machine/media.h"

#include "devthread/bus.h"
#include "devthread/devthread.h"
#include "machine/machine.h"
#include "machine/snapshot.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define ENTRY_BYTES (PORT_TRAY_BYTES + MEDIA_FORMAT_BYTES + MEDIA_PATH_BYTES)
_Static_assert(ENTRY_BYTES <= DEVTHREAD_TRAY_BYTES, "an entry as it comes in");
_Static_assert(MACHINE_DRIVES_MAX <= 32, "media.moved has a bit a drive");

/* --- which drive is where --- */

/* The tray's port of the drive at `port`; false: its medium cannot be changed. */
static bool tray_of(unsigned port, unsigned *tray, unsigned *drive)
{
    const bool ide = port >= PC_PORT_IDE0 && port < PC_PORT_IDE0 + PC_IDE_DRIVES;
    const bool floppy = port >= PC_PORT_FLOPPY0 && port < PC_PORT_FLOPPY0 + PC_FLOPPY_DRIVES;
    *drive = ide ? (port - PC_PORT_IDE0) % PIIX_IDE_DRIVES : floppy ? port - PC_PORT_FLOPPY0 : 0;
    *tray =
        floppy ? PC_PORT_TRAY_FLOPPY : PC_PORT_TRAY0 + (ide ? (port - PC_PORT_IDE0) / PIIX_IDE_DRIVES : 0);
    return ide || floppy;
}

/* Number of the configuration's drive; MACHINE_DRIVES_MAX: there is none. */
static unsigned drive_of(const struct drives *d, unsigned tray, unsigned drive)
{
    for (unsigned n = 0; n < d->n; n++) {
        unsigned its_tray, its_drive;
        if (tray_of(d->cfg->drive[n].port, &its_tray, &its_drive) && its_tray == tray && its_drive == drive)
            return n;
    }
    return MACHINE_DRIVES_MAX;
}

static const void *chip_of(const struct media *m, unsigned tray)
{
    const struct board_device *dev = &m->board->device[m->board->port[tray].device];
    return (const char *)devthread_state(m->dev) + dev->state_offset;
}

/* --- hashes --- */

static unsigned hex_value(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static void hash_pack(const char *hex, uint8_t hash[PORT_TRAY_HASH])
{
    for (unsigned i = 0; i < PORT_TRAY_HASH; i++)
        hash[i] = hex[0] ? (uint8_t)(hex_value(hex[2 * i]) << 4 | hex_value(hex[2 * i + 1])) : 0;
}

static bool is_hash(const char *hex, const uint8_t hash[PORT_TRAY_HASH])
{
    uint8_t is[PORT_TRAY_HASH];
    hash_pack(hex, is);
    return memcmp(is, hash, sizeof is) == 0;
}

/* --- entries as they come in --- */

static uint32_t entry_pack(const struct port_tray *t, const struct media_image *image,
                           uint8_t entry[ENTRY_BYTES])
{
    const size_t format = strlen(image->format), file = strlen(image->file);
    port_tray_pack(t, entry);
    if (t->op != PORT_TRAY_INSERT)
        return PORT_TRAY_BYTES;
    memcpy(entry + PORT_TRAY_BYTES, image->format, format + 1);
    memcpy(entry + PORT_TRAY_BYTES + format + 1, image->file, file);
    return (uint32_t)(PORT_TRAY_BYTES + format + 1 + file);
}

/* False: entry_pack makes no such entry. */
static bool entry_unpack(const uint8_t *entry, uint32_t bytes, struct port_tray *t, struct media_image *image)
{
    *t = port_tray_unpack(entry, bytes);
    *image = (struct media_image){.read_only = t->read_only, .bytes = t->bytes};
    if (bytes < PORT_TRAY_BYTES || t->op != PORT_TRAY_INSERT)
        return bytes == PORT_TRAY_BYTES;
    const char *format = (const char *)entry + PORT_TRAY_BYTES;
    const uint32_t left = bytes - PORT_TRAY_BYTES;
    const char *end = memchr(format, '\0', left);
    const size_t file = end ? left - (size_t)(end + 1 - format) : 0;
    if (!end || end - format >= MEDIA_FORMAT_BYTES || file == 0 || file >= MEDIA_PATH_BYTES ||
        memchr(end + 1, '\0', file))
        return false;
    memcpy(image->format, format, (size_t)(end - format));
    memcpy(image->file, end + 1, file);
    return true;
}

/* --- what waits --- */

static struct media_queue *queue_of(struct media *m, unsigned tray)
{
    return &m->tray[tray - PC_PORT_TRAY0];
}

static bool queue_push(struct media_queue *q, const struct media_wait *w)
{
    if (!q->wait)
        q->wait = calloc(MEDIA_WISHES_MAX, sizeof *q->wait);
    if (!q->wait || q->count == MEDIA_WISHES_MAX)
        return false;
    q->wait[(q->head + q->count++) % MEDIA_WISHES_MAX] = *w;
    return true;
}

static struct media_wait *queue_at(const struct media_queue *q, unsigned i)
{
    return &q->wait[(q->head + i) % MEDIA_WISHES_MAX];
}

/* Puts a wish behind the `loaded` first ones of the queue, in front of all others. */
static bool queue_insert(struct media_queue *q, const struct media_wait *w)
{
    if (!queue_push(q, w))
        return false;
    for (unsigned i = q->count - 1; i > q->loaded; i--)
        *queue_at(q, i) = *queue_at(q, i - 1);
    *queue_at(q, q->loaded++) = *w;
    return true;
}

static void queue_clear(struct media_queue *q)
{
    for (; q->count > 0; q->count--, q->head = (q->head + 1) % MEDIA_WISHES_MAX)
        blocks_medium_destroy(q->wait[q->head].blocks);
}

/* --- images --- */

/* Opens the image of `w` for drive n. `option` begins messages; `hash`: the hash is needed. */
static bool open_image(const struct drives *d, unsigned n, const char *option, bool hash,
                       struct media_wait *w, struct err *e)
{
    struct machine_drive m = d->cfg->drive[n];
    struct drives_medium medium;
    m.option = option;
    m.file = w->image.file;
    m.format = w->image.format[0] ? w->image.format : NULL;
    m.read_only = w->image.read_only;
    if (!drives_medium_open(d, &m, hash, &medium, e))
        return false;
    w->blocks = medium.blocks;
    w->in_place = medium.written_in_place;
    w->image.read_only = medium.config.read_only || m.cdrom;
    w->image.bytes = medium.config.bytes;
    snprintf(w->image.hash, sizeof w->image.hash, "%s", medium.hash);
    return true;
}

/* Opens an image that a recording or a snapshot names; an error if it has changed since. */
static bool open_same_image(const struct drives *d, unsigned n, const char *option, struct media_wait *w,
                            struct err *e)
{
    const uint64_t bytes = w->image.bytes;
    struct err why;
    if (!open_image(d, n, option, true, w, &why))
        return err_set(e, "the medium that was put into %s then: %s", d->drive[n].name, why.text);
    if (w->image.bytes == bytes && is_hash(w->image.hash, w->t.hash))
        return true;
    blocks_medium_destroy(w->blocks);
    w->blocks = NULL;
    return err_set(e,
                   "%s %.300s: the image has changed since it was put into %s then; the same one is needed",
                   option, w->image.file, d->drive[n].name);
}

static void put_into(struct drives *d, unsigned n, struct media_wait *w)
{
    struct drives_one *one = &d->drive[n];
    if (one->blocks)
        blocks_change(one->blocks, w->blocks);
    else
        blocks_medium_destroy(w->blocks);
    w->blocks = NULL;
    one->image = w->image;
    one->written_in_place = w->in_place;
    one->changed = true;
}

/* --- the machine's side: struct bus_trays --- */

static void fail(struct drives *d, const struct err *why)
{
    if (d->media.error.text[0])
        return;
    d->media.error = *why;
    if (d->media.dev)
        link_stop(devthread_link(d->media.dev, 0), DEVTHREAD_QUIT);
}

static void on_replayed(void *ctx, unsigned port, const uint8_t *entry, uint32_t bytes)
{
    struct drives *d = ctx;
    struct media_wait w = {0};
    struct err why;
    if (!entry_unpack(entry, bytes, &w.t, &w.image)) {
        err_set(&why, "rr=replay: the recording has an entry of %s that no machine has made",
                d->media.board->port[port].name);
        fail(d, &why);
        return;
    }
    const unsigned n = drive_of(d, port, w.t.drive);
    if (w.t.op == PORT_TRAY_INSERT && n < d->n && !open_same_image(d, n, "rr=replay", &w, &why))
        fail(d, &why);
    if (!queue_push(queue_of(&d->media, port), &w))
        blocks_medium_destroy(w.blocks);
}

static void on_done(void *ctx, unsigned port, const struct port_tray *t, bool taken)
{
    struct drives *d = ctx;
    struct media_queue *q = queue_of(&d->media, port);
    const unsigned n = drive_of(d, port, t->drive);
    struct media_wait none = {.t = *t}, *w = &none;
    if (q->count > 0) {
        w = &q->wait[q->head];
        q->head = (q->head + 1) % MEDIA_WISHES_MAX;
        q->count--;
    }
    if (taken && n < d->n && t->op == w->t.op && t->drive == w->t.drive &&
        (t->op == PORT_TRAY_INSERT || t->op == PORT_TRAY_REMOVE)) {
        put_into(d, n, w);
        return;
    }
    blocks_medium_destroy(w->blocks);
    w->blocks = NULL;
}

static void on_moved(void *ctx, unsigned port, unsigned drive, bool open)
{
    struct drives *d = ctx;
    const unsigned n = drive_of(d, port, drive);
    if (n >= d->n)
        return;
    d->media.moved |= 1u << n;
    d->media.open = (d->media.open & ~(1u << n)) | (uint32_t)open << n;
    if (d->media.dev && d->cfg->interactive)
        link_stop(devthread_link(d->media.dev, 0), DEVTHREAD_PAUSE);
}

static const struct bus_trays trays = {.replayed = on_replayed, .done = on_done, .moved = on_moved};

void media_configure(struct drives *d, struct devthread_config *dev)
{
    dev->trays = &trays;
    dev->trays_ctx = d;
    d->media.board = dev->board;
}

void media_connected(struct drives *d, struct devthread *dev, const struct board *b)
{
    d->media.dev = dev;
    d->media.board = b;
}

void media_close(struct drives *d)
{
    for (unsigned i = 0; i < MEDIA_TRAYS; i++) {
        queue_clear(&d->media.tray[i]);
        free(d->media.tray[i].wait);
        d->media.tray[i] = (struct media_queue){0};
    }
}

/* --- wishes --- */

/* False, with the reason in *e: the medium of drive n cannot be changed. */
static bool is_removable(const struct drives *d, unsigned n, struct media_view *v, struct err *e)
{
    if (d->cfg->replay_file)
        return err_set(e, "a replay has its media from the recording");
    media_look(d, n, v);
    return v->drive.removable || err_set(e, "Device '%s' is not removable", d->cfg->drive[n].name);
}

/* A path that is the same wherever the recording is replayed from. */
static bool copy_image(struct media_image *to, const struct media_image *image, struct err *e)
{
    char path[PATH_MAX];
    *to = (struct media_image){.read_only = image->read_only};
    const char *file = realpath(image->file, path) ? path : image->file;
    if (strlen(file) >= sizeof to->file)
        return err_set(e, "%.100s...: the name is too long", file);
    memcpy(to->file, file, strlen(file) + 1);
    memcpy(to->format, image->format, sizeof to->format);
    return true;
}

/* Sends a wish to the machine. False: there were too many before it; its image is closed then. */
static bool send(struct drives *d, unsigned n, struct media_wait *w, struct err *e)
{
    uint8_t entry[ENTRY_BYTES];
    unsigned tray, drive;
    tray_of(d->cfg->drive[n].port, &tray, &drive);
    w->t.drive = (uint8_t)drive;
    struct media_queue *q = queue_of(&d->media, tray);
    const uint32_t bytes = entry_pack(&w->t, &w->image, entry);
    if (q->count < MEDIA_WISHES_MAX && devthread_input(d->media.dev, tray, entry, bytes) && queue_push(q, w))
        return true;
    blocks_medium_destroy(w->blocks);
    return err_set(e, "Device '%s' has had too many requests already that the guest has not seen",
                   d->cfg->drive[n].name);
}

bool media_wish(struct drives *d, unsigned n, enum port_tray_op op, bool force, struct err *e)
{
    struct media_wait w = {.t = {.op = (uint8_t)op, .force = force}};
    struct media_view v;
    return is_removable(d, n, &v, e) && send(d, n, &w, e);
}

static bool make_way(struct drives *d, unsigned n, const struct media_view *v, bool force, struct err *e)
{
    return (!v->drive.tray || v->drive.open || media_wish(d, n, PORT_TRAY_OPEN, force, e)) &&
           (!v->drive.medium || media_wish(d, n, PORT_TRAY_REMOVE, false, e));
}

/* Opens the image for drive n. *v becomes what the drive is now, *w the wish to insert the image. */
static bool prepare(struct drives *d, unsigned n, const struct media_image *image, struct media_wait *w,
                    struct media_view *v, struct err *e)
{
    *w = (struct media_wait){.t = {.op = PORT_TRAY_INSERT}};
    if (!is_removable(d, n, v, e) || !copy_image(&w->image, image, e) ||
        !open_image(d, n, "change", false, w, e))
        return false;
    w->t.bytes = w->image.bytes;
    w->t.read_only = w->image.read_only;
    hash_pack(w->image.hash, w->t.hash);
    return true;
}

bool media_insert_image(struct drives *d, unsigned n, const struct media_image *image, struct err *e)
{
    struct media_wait w;
    struct media_view v;
    return prepare(d, n, image, &w, &v, e) && send(d, n, &w, e);
}

bool media_change(struct drives *d, unsigned n, const struct media_image *image, bool force, struct err *e)
{
    struct media_wait w;
    struct media_view v;
    if (!prepare(d, n, image, &w, &v, e))
        return false;
    if (!make_way(d, n, &v, force, e)) {
        blocks_medium_destroy(w.blocks);
        return false;
    }
    return send(d, n, &w, e) && (!v.drive.tray || media_wish(d, n, PORT_TRAY_CLOSE, false, e));
}

/* What drive n of the chip will be when the chip has taken in all wishes that wait. */
static void look_ahead(const struct drives *d, unsigned n, unsigned tray, unsigned drive, void *chip,
                       struct media_view *v)
{
    const struct port_input *in = d->media.board->port[tray].in;
    const struct media_queue *q = &d->media.tray[tray - PC_PORT_TRAY0];
    uint8_t entry[PORT_TRAY_BYTES];
    for (unsigned i = 0; i < q->count; i++) {
        const struct media_wait *w = queue_at(q, i);
        if (!in->trays->takes(chip, &w->t))
            continue;
        port_tray_pack(&w->t, entry);
        in->put(chip, entry, sizeof entry, 0);
        if (drive_of(d, tray, w->t.drive) == n &&
            (w->t.op == PORT_TRAY_INSERT || w->t.op == PORT_TRAY_REMOVE))
            v->image = w->image;
    }
    in->trays->look(chip, drive, &v->drive);
}

void media_look(const struct drives *d, unsigned n, struct media_view *v)
{
    const struct drives_one *one = &d->drive[n];
    unsigned tray, drive;
    *v = (struct media_view){
        .image = one->image,
        .private_copy = one->blocks && blocks_is_private(one->blocks),
        .drive.medium = one->image.file[0] != '\0',
    };
    if (!tray_of(d->cfg->drive[n].port, &tray, &drive) || !d->media.board->port[tray].present)
        return;
    const struct board_device *dev = &d->media.board->device[d->media.board->port[tray].device];
    void *copy = malloc(dev->chip->state_bytes);
    if (!copy)
        return;
    memcpy(copy, chip_of(&d->media, tray), dev->chip->state_bytes);
    look_ahead(d, n, tray, drive, copy, v);
    free(copy);
}

bool media_moved(struct drives *d, unsigned *n, bool *open)
{
    if (!d->media.moved)
        return false;
    *n = (unsigned)__builtin_ctz(d->media.moved);
    *open = d->media.open >> *n & 1;
    d->media.moved &= d->media.moved - 1;
    return true;
}

/* --- snapshots --- */

static bool know_hash(struct drives *d, unsigned n, struct err *e)
{
    struct media_image *image = &d->drive[n].image;
    const struct imagehash_config cfg = {
        .option = "change", .file = image->file, .notice = d->cfg->notice, .ctx = d->cfg->ctx};
    struct medium *m = d->drive[n].blocks ? blocks_medium_of(d->drive[n].blocks) : NULL;
    return image->hash[0] || !m || imagehash(&cfg, m, image->hash, e);
}

bool media_save(struct drives *d, unsigned n, struct snapshot_writer *w, struct err *e)
{
    const struct drives_one *one = &d->drive[n];
    struct port_tray t = {.op = one->image.file[0] ? PORT_TRAY_INSERT : PORT_TRAY_REMOVE,
                          .read_only = one->image.read_only,
                          .bytes = one->image.bytes};
    uint8_t entry[ENTRY_BYTES];
    if (!one->changed)
        return true;
    if (!know_hash(d, n, e))
        return false;
    hash_pack(one->image.hash, t.hash);
    snapshot_medium(w, one->name, false, entry, entry_pack(&t, &one->image, entry));
    return true;
}

/* How many wishes are in the machine's own queue. Later ones, not taken in yet, are no part of its state. */
static unsigned in_machine(const struct drives *d, unsigned tray)
{
    return devthread_queued(d->media.dev, tray) / (PORT_TRAY_BYTES + BUS_LENGTH_BYTES);
}

void media_save_waiting(const struct drives *d, struct snapshot_writer *w)
{
    uint8_t entry[ENTRY_BYTES];
    for (unsigned tray = PC_PORT_TRAY0; tray < PC_PORT_TRAY0 + MEDIA_TRAYS; tray++) {
        const struct media_queue *q = &d->media.tray[tray - PC_PORT_TRAY0];
        for (unsigned i = 0; i < q->count && i < in_machine(d, tray); i++) {
            const struct media_wait *wait = queue_at(q, i);
            snapshot_medium(w, d->media.board->port[tray].name, true, entry,
                            entry_pack(&wait->t, &wait->image, entry));
        }
    }
}

static bool load_present(struct drives *d, const char *name, struct media_wait *w, struct err *e)
{
    for (unsigned n = 0; n < d->n; n++)
        if (d->drive[n].name && strcmp(d->drive[n].name, name) == 0 && d->drive[n].blocks) {
            if (w->t.op == PORT_TRAY_INSERT && !open_same_image(d, n, "-loadvm", w, e))
                return false;
            put_into(d, n, w);
            return true;
        }
    return err_set(e, "the snapshot is damaged: %s has a value that it cannot have", name);
}

static bool load_waiting(struct drives *d, const char *name, struct media_wait *w, struct err *e)
{
    for (unsigned tray = PC_PORT_TRAY0; tray < PC_PORT_TRAY0 + MEDIA_TRAYS; tray++) {
        const unsigned n = drive_of(d, tray, w->t.drive);
        if (strcmp(d->media.board->port[tray].name, name) != 0 || n >= d->n)
            continue;
        if (w->t.op == PORT_TRAY_INSERT && !open_same_image(d, n, "-loadvm", w, e))
            return false;
        if (queue_insert(queue_of(&d->media, tray), w))
            return true;
        blocks_medium_destroy(w->blocks);
        break;
    }
    return err_set(e, "the snapshot is damaged: %s has a value that it cannot have", name);
}

bool media_load(struct drives *d, const struct snapshot_item *item, struct err *e)
{
    struct media_wait w = {0};
    if (!entry_unpack(item->data, item->count, &w.t, &w.image))
        return err_set(e, "the snapshot is damaged: %s has a value that it cannot have", item->name);
    return item->bad ? load_waiting(d, item->name, &w, e) : load_present(d, item->name, &w, e);
}

void media_set_aside(struct drives *d)
{
    for (unsigned i = 0; i < MEDIA_TRAYS; i++) {
        struct media_queue *q = &d->media.tray[i], *aside = &d->media.aside[i];
        *aside = *q;
        *q = (struct media_queue){0};
        aside->loaded = in_machine(d, PC_PORT_TRAY0 + i);
        for (unsigned n = aside->loaded; n < aside->count; n++)
            if (!queue_push(q, queue_at(aside, n)))
                blocks_medium_destroy(queue_at(aside, n)->blocks); /* no memory */
    }
}

/* Closes the images of a queue's first `n` wishes and frees the queue. The other wishes belong to another
 * queue now. */
static void queue_drop(struct media_queue *q, unsigned n)
{
    for (unsigned i = 0; i < n && i < q->count; i++)
        blocks_medium_destroy(queue_at(q, i)->blocks);
    free(q->wait);
    *q = (struct media_queue){0};
}

void media_take_back(struct drives *d)
{
    for (unsigned i = 0; i < MEDIA_TRAYS; i++) {
        queue_drop(&d->media.tray[i], d->media.tray[i].loaded);
        d->media.tray[i] = d->media.aside[i];
        d->media.tray[i].loaded = 0;
        d->media.aside[i] = (struct media_queue){0};
    }
}

void media_drop_aside(struct drives *d)
{
    for (unsigned i = 0; i < MEDIA_TRAYS; i++) {
        queue_drop(&d->media.aside[i], d->media.aside[i].loaded);
        d->media.tray[i].loaded = 0;
    }
}

bool media_rewind(struct drives *d, struct err *e)
{
    for (unsigned n = 0; n < d->n; n++) {
        const struct machine_drive *m = &d->cfg->drive[n];
        struct media_wait w = {0};
        if (!d->drive[n].changed)
            continue;
        snprintf(w.image.file, sizeof w.image.file, "%s", m->file ? m->file : "");
        snprintf(w.image.format, sizeof w.image.format, "%s", m->format ? m->format : "");
        w.image.read_only = m->read_only;
        if (m->file && !open_image(d, n, m->option, false, &w, e))
            return false;
        put_into(d, n, &w);
        d->drive[n].changed = false;
    }
    return true;
}
