/* drives.c - see drives.h. */
#include "machine/drives.h"

#include "machine/machine.h"

#include <errno.h>
#include <string.h>

#define WORKERS                                                                                              \
    4 /* host I/O of all drives: one that waits for a slow disk does not keep another one waiting */

static bool open_medium(struct drives *d, const struct machine_config *c, unsigned i, struct err *e)
{
    const struct machine_drive *m = &c->drive[i];
    struct drives_one *one = &d->drive[i];
    char why[ERR_BYTES - 1], name[256];
    const struct medium_config cfg = {.option = m->option,
                                      .file = m->file,
                                      .format = m->format,
                                      .sector = m->cdrom ? DRIVE_CD_SECTOR : DRIVE_SECTOR,
                                      .read_only = m->read_only || m->cdrom,
                                      .unmap = m->unmap,
                                      .cache = m->cache,
                                      .notice = c->notice,
                                      .notice_ctx = c->ctx};
    if (m->private_copy)
        return err_set(e, "%s %s: snapshot=on is not supported yet", m->option, m->file);
    struct medium *medium = medium_open(&cfg, why, sizeof why);
    if (!medium)
        return err_set(e, "%s", why);
    one->config.medium = true;
    one->config.bytes = medium->bytes;
    one->config.read_only = medium->read_only;
    snprintf(name, sizeof name, "%s %s", m->option, m->file);
    one->blocks = blocks_add(d->blocks, medium, name);
    return one->blocks || err_set(e, "%s %s: no host memory", m->option, m->file);
}

static bool open_one(struct drives *d, const struct machine_config *c, unsigned i, struct err *e)
{
    const struct machine_drive *m = &c->drive[i];
    struct drive_config *config = &d->drive[i].config;
    config->present = true;
    config->cdrom = m->cdrom;
    memcpy(config->serial, m->serial, sizeof config->serial);
    return !m->file || open_medium(d, c, i, e);
}

static bool any_medium(const struct machine_config *c)
{
    for (unsigned i = 0; i < c->ndrives; i++)
        if (c->drive[i].file)
            return true;
    return false;
}

bool drives_open(struct drives *d, const struct machine_config *c, struct err *e)
{
    const struct blocks_config cfg = {
        .workers = WORKERS, .delay_seed = c->host_delay_seed, .notice = c->notice, .notice_ctx = c->ctx};
    *d = (struct drives){.n = c->ndrives};
    if (any_medium(c) && !(d->blocks = blocks_create(&cfg)))
        return err_set(e, "-drive: no threads for host I/O: %s", strerror(errno));
    for (unsigned i = 0; i < d->n; i++)
        if (!open_one(d, c, i, e))
            return false;
    return true;
}

void drives_close(struct drives *d)
{
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

bool drives_connect(const struct drives *d, const struct machine_config *c, struct devthread_config *dev,
                    struct err *e)
{
    for (unsigned i = 0; i < d->n; i++) {
        const struct machine_drive *m = &c->drive[i];
        if (!dev->board->port[m->port].present)
            return err_set(e, "%s %s: this machine has no controller for the drive %s yet", m->option,
                           m->file ? m->file : "", dev->board->port[m->port].name);
        if (d->drive[i].blocks)
            dev->backend[m->port] = (struct backend){&blocks_backend, d->drive[i].blocks};
    }
    return true;
}
