/* drives.c - see drives.h. */
#include "machine/drives.h"

#include "machine/machine.h"
#include "machine/snapshot.h"
#include "machine/state.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <xxhash.h>

#define WORKERS                                                                                              \
    4 /* host I/O of all drives: one that waits for a slow disk does not keep another one waiting */

/* A recording, a replay and a snapshot need the image as it was at the start: none of them writes to it. */
static bool keeps_images(const struct machine_config *c)
{
    return c->record_file || c->replay_file || c->loadvm || c->snapshots_option;
}

static void tell_private(const struct machine_config *c, const struct machine_drive *m)
{
    char line[512];
    if (!c->notice || m->private_copy || c->replay_file || c->loadvm)
        return;
    snprintf(line, sizeof line, "%s %.200s: stays as it is: with %s, what the guest writes ends with the run",
             m->option, m->file, c->record_file ? "rr=record" : c->snapshots_option);
    c->notice(c->ctx, line);
}

/* Who writes down what the run was made of? */
static bool needs_hashes(const struct machine_config *c)
{
    return c->digest_file || keeps_images(c);
}

static bool hash_medium(struct drives_medium *out, const struct machine_config *c,
                        const struct machine_drive *m, struct medium *medium, struct err *e)
{
    const struct imagehash_config cfg = {
        .option = m->option, .file = m->file, .notice = c->notice, .ctx = c->ctx};
    return imagehash(&cfg, medium, out->hash, e);
}

bool drives_medium_open(const struct drives *d, const struct machine_drive *m, bool hash,
                        struct drives_medium *out, struct err *e)
{
    const struct machine_config *c = d->cfg;
    char why[ERR_BYTES - 1], name[256];
    const bool read_only = m->read_only || m->cdrom;
    const bool private_copy = !read_only && (m->private_copy || keeps_images(c));
    const struct medium_config cfg = {.option = m->option,
                                      .file = m->file,
                                      .format = m->format,
                                      .sector = m->cdrom ? DRIVE_CD_SECTOR : DRIVE_SECTOR,
                                      .read_only = read_only || private_copy,
                                      .unmap = m->unmap,
                                      .cache = m->cache,
                                      .notice = c->notice,
                                      .notice_ctx = c->ctx};
    struct medium *medium = medium_open(&cfg, why, sizeof why);
    *out = (struct drives_medium){.config.medium = true};
    if (!medium)
        return err_set(e, "%s", why);
    if ((hash || needs_hashes(c)) && !hash_medium(out, c, m, medium, e)) {
        medium_close(medium);
        return false;
    }
    out->config.bytes = medium->bytes;
    out->config.read_only = medium->read_only && !private_copy;
    out->written_in_place = !out->config.read_only && !private_copy;
    if (private_copy)
        tell_private(c, m);
    snprintf(name, sizeof name, "%s %s", m->option, m->file);
    out->blocks = blocks_medium_create(medium, name, private_copy);
    return out->blocks || err_set(e, "%s %s: no place for what the guest writes (TMPDIR names one): %s",
                                  m->option, m->file, strerror(errno));
}

static bool is_removable(const struct machine_drive *m)
{
    return m->cdrom || (m->port >= PC_PORT_FLOPPY0 && m->port < PC_PORT_FLOPPY0 + PC_FLOPPY_DRIVES);
}

static bool add_drive(struct drives *d, const struct machine_drive *m, struct drives_one *one, struct err *e)
{
    one->blocks = blocks_add_empty(d->blocks, m->option);
    if (!one->blocks)
        return err_set(e, "%s: no host memory for the drive", m->option);
    blocks_on_error(one->blocks, (enum backend_error)m->on_read_error, (enum backend_error)m->on_write_error);
    return true;
}

static bool open_one(struct drives *d, const struct machine_config *c, unsigned i, struct err *e)
{
    const struct machine_drive *m = &c->drive[i];
    struct drives_one *one = &d->drive[i];
    struct drives_medium medium = {0};
    one->config.cdrom = m->cdrom;
    one->config.present = true;
    memcpy(one->config.serial, m->serial, sizeof one->config.serial);
    if ((m->file || is_removable(m)) && !add_drive(d, m, one, e))
        return false;
    if (!m->file)
        return true;
    if (!drives_medium_open(d, m, false, &medium, e))
        return false;
    blocks_change(one->blocks, medium.blocks);
    one->config.medium = true;
    one->config.bytes = one->image.bytes = medium.config.bytes;
    one->config.read_only = medium.config.read_only;
    one->written_in_place = medium.written_in_place;
    one->image.read_only = medium.config.read_only;
    memcpy(one->hash, medium.hash, sizeof one->hash);
    memcpy(one->image.hash, medium.hash, sizeof one->hash);
    snprintf(one->image.file, sizeof one->image.file, "%s", m->file);
    snprintf(one->image.format, sizeof one->image.format, "%s", m->format ? m->format : "");
    return true;
}

/* Is there one, or may there be one later? */
static bool any_medium(const struct machine_config *c)
{
    for (unsigned i = 0; i < c->ndrives; i++)
        if (c->drive[i].file || is_removable(&c->drive[i]))
            return true;
    return false;
}

bool drives_open(struct drives *d, const struct machine_config *c, uint32_t spin, struct err *e)
{
    const struct blocks_config cfg = {.workers = WORKERS,
                                      .spin = spin,
                                      .delay_seed = c->host_delay_seed,
                                      .delay_one_in = c->host_delay_one_in,
                                      .notice = c->notice,
                                      .notice_ctx = c->ctx,
                                      .error = c->io_error,
                                      .error_ctx = c->ctx};
    *d = (struct drives){.cfg = c, .n = c->ndrives};
    if (any_medium(c) && !(d->blocks = blocks_create(&cfg)))
        return err_set(e, "-drive: no threads for host I/O: %s", strerror(errno));
    for (unsigned i = 0; i < d->n; i++)
        if (!open_one(d, c, i, e))
            return false;
    return true;
}

void drives_end_soon(struct drives *d)
{
    blocks_end_soon(d->blocks);
}

void drives_close(struct drives *d)
{
    media_close(d);
    blocks_destroy(d->blocks);
    d->blocks = NULL;
}

/* Where the board has the configuration of the drive at a port; NULL: the toy has none. */
static struct drive_config *config_of(struct pc_config *pc, unsigned port)
{
    if (port >= PC_PORT_VIRTIO0 && port < PC_PORT_VIRTIO0 + PC_VIRTIO_DRIVES)
        return &pc->virtio[port - PC_PORT_VIRTIO0];
    if (port >= PC_PORT_FLOPPY0 && port < PC_PORT_FLOPPY0 + PC_FLOPPY_DRIVES)
        return &pc->floppy[port - PC_PORT_FLOPPY0];
    if (port >= PC_PORT_IDE0 && port < PC_PORT_IDE0 + PC_IDE_DRIVES)
        return &pc->ide[port - PC_PORT_IDE0];
    return NULL;
}

void drives_configure(const struct drives *d, const struct machine_config *c, struct pc_config *pc)
{
    for (unsigned i = 0; i < d->n; i++) {
        struct drive_config *config = config_of(pc, c->drive[i].port);
        if (config)
            *config = d->drive[i].config;
    }
}

/* --- what the run is made of --- */

/* All of a drive that the guest can see. */
static void describe(const struct drives_one *one, char *text, size_t bytes)
{
    const struct drive_config *c = &one->config;
    snprintf(text, bytes, "%" PRIu64 ",%s,%s,%s,serial=%08x", c->bytes, one->hash[0] ? one->hash : "empty",
             c->cdrom ? "cdrom" : "disk", c->read_only ? "ro" : "rw",
             (unsigned)XXH3_64bits(c->serial, strlen(c->serial)));
}

static void list_images(struct drives *d)
{
    char what[128];
    size_t used = 0;
    for (unsigned i = 0; i < d->n; i++) {
        describe(&d->drive[i], what, sizeof what);
        used +=
            (size_t)snprintf(d->images + used, sizeof d->images - used, "%s %s\n", d->drive[i].name, what);
    }
}
_Static_assert(MACHINE_DRIVES_MAX * 192 + MACHINE_NICS_MAX * 128 < INPUTLOG_IMAGES_BYTES,
               "list_images, nics_list");

void drives_identity(const struct drives *d, char *text, size_t bytes)
{
    char what[128];
    size_t used = (size_t)snprintf(text, bytes, " drives=%u", d->n);
    for (unsigned i = 0; i < d->n && used < bytes; i++) {
        describe(&d->drive[i], what, sizeof what);
        used += (size_t)snprintf(text + used, bytes - used, " %s=%s", d->drive[i].name, what);
    }
}

bool drives_connect(struct drives *d, const struct machine_config *c, struct devthread_config *dev,
                    struct err *e)
{
    for (unsigned i = 0; i < d->n; i++) {
        const struct machine_drive *m = &c->drive[i];
        if (!dev->board->port[m->port].present)
            return err_set(e, "%s %s: this machine has no controller for the drive %s yet", m->option,
                           m->file ? m->file : "", dev->board->port[m->port].name);
        d->drive[i].name = dev->board->port[m->port].name;
        if (d->drive[i].blocks)
            blocks_set_label(d->drive[i].blocks, m->name[0] ? m->name : d->drive[i].name);
        if (d->drive[i].blocks)
            dev->backend[m->port] =
                (struct backend){.class = &blocks_backend,
                                 .ctx = d->drive[i].blocks,
                                 .ignore_read_errors = m->on_read_error == BACKEND_IGNORE,
                                 .ignore_write_errors = m->on_write_error == BACKEND_IGNORE};
    }
    media_configure(d, dev);
    list_images(d);
    dev->images = d->images;
    return true;
}

/* --- loading --- */

bool drives_same_images(const struct drives *d, const struct machine_config *c, const char *identity,
                        struct err *e)
{
    char was[256], is[128];
    for (unsigned i = 0; i < d->n; i++) {
        const struct machine_drive *m = &c->drive[i];
        describe(&d->drive[i], is, sizeof is);
        if (!state_identity_text(identity, d->drive[i].name, was, sizeof was))
            snprintf(was, sizeof was, "none");
        if (strcmp(was, is) != 0)
            return err_set(
                e, "the snapshot was made with another image in %s than %s: with %s, and this one is %s",
                d->drive[i].name, m->file ? m->file : "(empty)", was, is);
    }
    return true;
}

/* --- snapshots --- */

static bool save_one(const struct drives_one *one, struct snapshot_writer *w, struct err *e)
{
    uint8_t data[BLOCKS_RUN_BYTES];
    struct blocks_run run = {0};
    for (;;) {
        int error = blocks_saved(one->blocks, run.offset + run.bytes, data, &run);
        if (error)
            return err_set(e, "what was written to %s cannot be read: %s", one->name, strerror(error));
        if (run.bytes == 0)
            return true;
        snapshot_blocks(w, one->name, run.offset, run.bytes, run.bad ? NULL : data);
    }
}

static bool written_in_place(const struct drives_one *one, struct err *e)
{
    return err_set(e,
                   "%s is written in place, so its image has no past: a machine that is saved and loaded "
                   "needs snapshot=on for it, or -snapshots DIR",
                   one->name);
}

bool drives_can_load(const struct drives *d, struct err *e)
{
    for (unsigned i = 0; i < d->n; i++)
        if (d->drive[i].written_in_place)
            return written_in_place(&d->drive[i], e);
    return true;
}

void drives_take_back(struct drives *d)
{
    media_take_back(d);
    for (unsigned i = 0; i < d->n; i++) {
        if (d->drive[i].blocks)
            blocks_take_back(d->drive[i].blocks);
        d->drive[i].image = d->drive[i].aside.image;
        d->drive[i].changed = d->drive[i].aside.changed;
    }
}

void drives_drop_aside(struct drives *d)
{
    media_drop_aside(d);
    for (unsigned i = 0; i < d->n; i++)
        if (d->drive[i].blocks)
            blocks_drop_aside(d->drive[i].blocks);
}

static bool set_blocks_aside(struct drives *d, struct err *e)
{
    for (unsigned i = 0; i < d->n; i++) {
        struct drives_one *one = &d->drive[i];
        const int error = one->blocks ? blocks_set_aside(one->blocks) : 0;
        one->aside = (struct drives_aside){one->image, one->changed};
        if (!error)
            continue;
        while (i-- > 0)
            if (d->drive[i].blocks)
                blocks_take_back(d->drive[i].blocks);
        return err_set(e, "no place for what the guest writes (TMPDIR names one): %s", strerror(error));
    }
    return true;
}

bool drives_set_aside(struct drives *d, struct err *e)
{
    if (!set_blocks_aside(d, e))
        return false;
    media_set_aside(d);
    if (media_rewind(d, e))
        return true;
    drives_take_back(d);
    return false;
}

bool drives_save(struct drives *d, struct snapshot_writer *w, struct err *e)
{
    for (unsigned i = 0; i < d->n; i++) {
        const struct drives_one *one = &d->drive[i];
        if (one->written_in_place)
            return written_in_place(one, e);
        if (!media_save(d, i, w, e) ||
            (one->blocks && blocks_is_private(one->blocks) && !save_one(one, w, e)))
            return false;
    }
    media_save_waiting(d, w);
    return true;
}

static const struct drives_one *find_drive(const struct drives *d, const char *name)
{
    for (unsigned i = 0; i < d->n; i++)
        if (d->drive[i].blocks && blocks_is_private(d->drive[i].blocks) &&
            strcmp(d->drive[i].name, name) == 0)
            return &d->drive[i];
    return NULL;
}

bool drives_load(struct drives *d, const struct snapshot_item *item, struct err *e)
{
    const struct blocks_run run = {item->number, item->count, item->bad};
    const struct drives_one *one = find_drive(d, item->name);
    const int error = one ? blocks_load(one->blocks, &run, item->data) : EINVAL;
    if (error == EINVAL)
        return err_set(e, "the snapshot is damaged: %s has a value that it cannot have", item->name);
    return error == 0 || err_set(e, "what was written to %s cannot be put back (TMPDIR names a place): %s",
                                 item->name, strerror(error));
}
