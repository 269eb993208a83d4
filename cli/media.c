/* media.c - see media.h. */
#include "cli/media.h"

#include "machine/optvalue.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

bool media_find(const struct steer *s, const char *name, unsigned *n)
{
    const struct board *b = machine_wiring(s->machine);
    for (*n = 0; *n < s->o->ndrives; ++*n)
        if (strcmp(s->o->drive[*n].name, name) == 0)
            return true;
    for (*n = 0; *n < s->o->ndrives; ++*n) /* as recordings and messages call it */
        if (strcmp(b->port[s->o->drive[*n].port].name, name) == 0)
            return true;
    return false;
}

static const char *name_of(const struct steer *s, unsigned n)
{
    return s->o->drive[n].name;
}

/* False: it is locked, or has no tray. A locked tray's guest is asked to open it. */
static bool may_open(struct steer *s, unsigned n, const struct media_view *v, bool force, struct err *e)
{
    if (!v->drive.tray || v->drive.open || !v->drive.locked || force)
        return true;
    return media_wish(machine_drives(s->machine), n, PORT_TRAY_OPEN, false, e) &&
           err_set(e,
                   "Device '%s' is locked and force was not specified, wait for tray to open and try again",
                   name_of(s, n));
}

static bool has_tray(const struct steer *s, unsigned n, const struct media_view *v, struct err *e)
{
    if (!v->drive.removable)
        return err_set(e, "Device '%s' is not removable", name_of(s, n));
    return v->drive.tray || err_set(e, "Device '%s' does not have a tray", name_of(s, n));
}

bool media_open_tray(struct steer *s, unsigned n, bool force, struct err *e)
{
    struct media_view v;
    media_look(machine_drives(s->machine), n, &v);
    return has_tray(s, n, &v, e) && may_open(s, n, &v, force, e) &&
           (v.drive.open || media_wish(machine_drives(s->machine), n, PORT_TRAY_OPEN, force, e));
}

bool media_close_tray(struct steer *s, unsigned n, struct err *e)
{
    struct media_view v;
    media_look(machine_drives(s->machine), n, &v);
    return has_tray(s, n, &v, e) &&
           (!v.drive.open || media_wish(machine_drives(s->machine), n, PORT_TRAY_CLOSE, false, e));
}

bool media_remove(struct steer *s, unsigned n, struct err *e)
{
    struct media_view v;
    media_look(machine_drives(s->machine), n, &v);
    if (v.drive.tray && !v.drive.open)
        return err_set(e, "Tray of device '%s' is not open", name_of(s, n));
    return (v.drive.removable && !v.drive.medium) ||
           media_wish(machine_drives(s->machine), n, PORT_TRAY_REMOVE, false, e);
}

bool media_eject(struct steer *s, unsigned n, bool force, struct err *e)
{
    struct media_view v;
    media_look(machine_drives(s->machine), n, &v);
    if (v.drive.tray && !media_open_tray(s, n, force, e))
        return false;
    return media_remove(s, n, e);
}

static bool is_read_only(const struct media_view *v, const char *mode)
{
    return mode && strcmp(mode, "retain") != 0 ? strcmp(mode, "read-only") == 0
                                               : v->drive.medium && v->image.read_only;
}

bool media_insert(struct steer *s, unsigned n, const char *file, const char *format, const char *mode,
                  bool force, struct err *e)
{
    struct media_image image = {0};
    struct media_view v;
    media_look(machine_drives(s->machine), n, &v);
    if (mode && value_choice(mode, "retain|read-only|read-write") < 0)
        return err_set(e, "%.60s: retain, read-only or read-write is accepted", mode);
    if (format && (strlen(format) >= sizeof image.format || !drives_format_is_known(format)))
        return err_set(e, "Unknown driver '%.60s'", format);
    if (strlen(file) == 0 || strlen(file) >= sizeof image.file)
        return err_set(e, "Could not open '%.60s': no file has that name", file);
    image.read_only = is_read_only(&v, mode);
    snprintf(image.file, sizeof image.file, "%s", file);
    snprintf(image.format, sizeof image.format, "%s", format ? format : "");
    return may_open(s, n, &v, force, e) && media_change(machine_drives(s->machine), n, &image, force, e);
}

bool media_put(struct steer *s, unsigned n, const struct media_image *image, struct err *e)
{
    struct media_view v;
    media_look(machine_drives(s->machine), n, &v);
    if (!v.drive.removable)
        return err_set(e, "Device '%s' is not removable", name_of(s, n));
    if (v.drive.tray && !v.drive.open)
        return err_set(e, "Tray of device '%s' is not open", name_of(s, n));
    if (v.drive.medium)
        return err_set(e, "There already is a medium in device '%s'", name_of(s, n));
    return media_insert_image(machine_drives(s->machine), n, image, e);
}

/* --- what is told --- */

static void tell(struct control *c, bool post, const char *event, json_t *data)
{
    char *text = data ? json_dumps(data, 0) : NULL;
    if (c && text)
        (post ? control_post : control_event)(c, event, text);
    free(text);
    json_decref(data);
}

void media_tell_moved(struct steer *s)
{
    unsigned n;
    bool open;
    while (media_moved(machine_drives(s->machine), &n, &open))
        tell(s->control, false, "DEVICE_TRAY_MOVED",
             json_pack("{s:s,s:s,s:b}", "device", name_of(s, n), "id", name_of(s, n), "tray-open", open));
}

void media_tell_error(struct control *c, const struct blocks_error *e)
{
    if (!c)
        return;
    tell(c, true, "BLOCK_IO_ERROR",
         json_pack("{s:s,s:s,s:s,s:b,s:s}", "device", e->drive, "operation", e->write ? "write" : "read",
                   "action",
                   e->waits     ? "stop"
                   : e->ignored ? "ignore"
                                : "report",
                   "nospace", e->no_space, "reason", e->reason));
    if (e->waits && e->first)
        control_post(c, "STOP", NULL);
}

void media_retry(struct steer *s)
{
    machine_io_retry(s->machine);
    if (s->control)
        control_post(s->control, "RESUME", NULL);
}
