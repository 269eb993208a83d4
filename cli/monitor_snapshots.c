/* monitor_snapshots.c - commands of the store of snapshots (snapshots.h). */
#include "cli/monitor_internal.h"

#include "cli/snapshots.h"

#include <inttypes.h>
#include <stdlib.h>

static void tell(struct monitor_call *call, bool done, const struct err *e)
{
    if (!done)
        fprintf(call->out, "Error: %s\n", e->text);
}

void monitor_savevm(struct monitor_call *call)
{
    struct err e;
    tell(call, snapshots_save(call->steer, call->nwords > 1 ? call->word[1] : NULL, &e), &e);
}

void monitor_loadvm(struct monitor_call *call)
{
    struct err e;
    tell(call, snapshots_load(call->steer, call->word[1], &e), &e);
}

void monitor_delvm(struct monitor_call *call)
{
    struct err e;
    tell(call, snapshots_delete(call->steer->o, call->word[1], &e), &e);
}

static void show(struct monitor_call *call, const struct snapshots_entry *x)
{
    char date[32] = "";
    struct tm tm;
    if (localtime_r(&x->date, &tm))
        strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", &tm);
    fprintf(call->out, "%-16.16s  %-20s %7.1f MiB  %-19s  %14.6f  %16" PRIu64 "\n", x->id[0] ? x->id : "--",
            x->tag, (double)x->bytes / (1 << 20), date, (double)x->virtual_ns / 1e9, x->tick);
}

void info_snapshots(struct monitor_call *call)
{
    struct snapshots_entry *list;
    const size_t n = snapshots_list(call->steer->o, &list);
    if (n == 0)
        fprintf(call->out, "there is no snapshot in %s\n", snapshots_dir(call->steer->o));
    else
        fprintf(call->out, "%-16s  %-20s %11s  %-19s  %14s  %16s\n", "ID", "TAG", "SIZE", "DATE", "VIRTUAL S",
                "TICK");
    for (size_t i = 0; i < n; i++)
        show(call, &list[i]);
    free(list);
}
