/* monitor_media.c - the monitor's commands about drives and their media. */
#include "cli/media.h"
#include "cli/monitor_internal.h"

#include <string.h>

/* The drive that a word names, behind an optional -f. False: the answer says what is wrong. */
static bool drive_word(struct monitor_call *call, bool *force, unsigned *at, unsigned *n)
{
    *at = 1;
    *force = strcmp(call->word[1], "-f") == 0;
    *at += *force;
    if (*at >= call->nwords)
        fprintf(call->out, "Error: a DEVICE is needed; info block names them\n");
    else if (!media_find(call->steer, call->word[*at], n))
        fprintf(call->out, "Error: Device '%s' not found; info block names them\n", call->word[*at]);
    else
        return true;
    return false;
}

void monitor_eject(struct monitor_call *call)
{
    bool force;
    unsigned at, n;
    struct err e;
    if (!drive_word(call, &force, &at, &n))
        return;
    if (at + 1 != call->nwords)
        fprintf(call->out, "Error: accepted: eject [-f] DEVICE\n");
    else if (!media_eject(call->steer, n, force, &e))
        fprintf(call->out, "Error: %s\n", e.text);
}

void monitor_change(struct monitor_call *call)
{
    bool force;
    unsigned at, n;
    struct err e;
    if (!drive_word(call, &force, &at, &n))
        return;
    const unsigned words = call->nwords - at;
    if (words < 2 || words > 4)
        fprintf(call->out,
                "Error: accepted: change [-f] DEVICE FILE [FORMAT [retain|read-only|read-write]]\n");
    else if (!media_insert(call->steer, n, call->word[at + 1], words > 2 ? call->word[at + 2] : NULL,
                           words > 3 ? call->word[at + 3] : NULL, force, &e))
        fprintf(call->out, "Error: %s\n", e.text);
}

static void show(struct monitor_call *call, const struct machine_drive *d, const struct media_view *v)
{
    const struct media_image *i = &v->image;
    if (v->drive.medium)
        fprintf(call->out, "%s: %s (%s)", d->name, i->file, i->format[0] ? i->format : "format by content");
    else
        fprintf(call->out, "%s: [not inserted]", d->name);
    fprintf(call->out, "%s%s%s\n", d->cdrom ? ", CD-ROM" : "",
            v->drive.medium && i->read_only ? ", read-only" : "", v->private_copy ? ", private copy" : "");
    if (v->drive.removable)
        fprintf(call->out, "    Removable device: %slocked%s\n", v->drive.locked ? "" : "not ",
                !v->drive.tray  ? ""
                : v->drive.open ? ", tray open"
                                : ", tray closed");
}

void monitor_info_block(struct monitor_call *call)
{
    const struct options *o = call->steer->o;
    struct media_view v;
    for (unsigned n = 0; n < o->ndrives; n++) {
        media_look(machine_drives(call->steer->machine), n, &v);
        show(call, &o->drive[n], &v);
    }
    if (o->ndrives == 0)
        fprintf(call->out, "no drives\n");
}
