/* qmp_media.c - QMP's commands about drives and their media, as QEMU's schema (block.json, block-core.json)
 * has them. */
#include "cli/media.h"
#include "cli/qmp_internal.h"

#include <string.h>

/* --- which drive --- */

static bool find_drive(struct qmp_call *call, unsigned *n)
{
    const char *device = qmp_string(call, "device"), *id = qmp_string(call, "id");
    if (!device == !id) {
        qmp_fail(call, "GenericError", "Need exactly one of 'device' and 'id'");
        return false;
    }
    const char *name = device ? device : id;
    if (media_find(call->steer, name, n))
        return true;
    qmp_fail(call, "DeviceNotFound", "Device '%.100s' not found", name);
    return false;
}

static bool is_forced(const struct qmp_call *call)
{
    return json_is_true(json_object_get(call->arguments, "force"));
}

/* --- commands --- */

static void end(struct qmp_call *call, bool done, const struct err *e)
{
    if (!done)
        qmp_fail(call, "GenericError", "%s", e->text);
}

void qmp_eject(struct qmp_call *call)
{
    unsigned n;
    struct err e;
    if (find_drive(call, &n))
        end(call, media_eject(call->steer, n, is_forced(call), &e), &e);
}

void qmp_open_tray(struct qmp_call *call)
{
    unsigned n;
    struct err e;
    if (find_drive(call, &n))
        end(call, media_open_tray(call->steer, n, is_forced(call), &e), &e);
}

void qmp_close_tray(struct qmp_call *call)
{
    unsigned n;
    struct err e;
    if (find_drive(call, &n))
        end(call, media_close_tray(call->steer, n, &e), &e);
}

void qmp_remove_medium(struct qmp_call *call)
{
    unsigned n;
    struct err e;
    if (find_drive(call, &n))
        end(call, media_remove(call->steer, n, &e), &e);
}

void qmp_change_medium(struct qmp_call *call)
{
    unsigned n;
    struct err e;
    if (find_drive(call, &n))
        end(call,
            media_insert(call->steer, n, qmp_string(call, "filename"), qmp_string(call, "format"),
                         qmp_string(call, "read-only-mode"), is_forced(call), &e),
            &e);
}

/* --- queries --- */

json_t *qmp_medium(const struct media_image *image, const char *node, const char *driver)
{
    const char *file = image->file, *format = image->format[0] ? image->format : "raw";
    json_t *j = json_pack("{s:s,s:b,s:s,s:s,s:i,s:b,s:s,s:i}", "file", file, "ro", image->read_only, "drv",
                          driver ? driver : format, "node-name", node, "backing_file_depth", 0, "encrypted",
                          0, "detect_zeroes", "off", "write_threshold", 0);
    static const char *const limits[] = {"bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"};
    for (unsigned i = 0; i < sizeof limits / sizeof *limits; i++)
        json_object_set_new(j, limits[i], json_integer(0));
    json_object_set_new(j, "image",
                        json_pack("{s:s,s:s,s:I}", "filename", file, "format", driver ? driver : format,
                                  "virtual-size", (json_int_t)image->bytes));
    json_object_set_new(j, "cache", json_pack("{s:b,s:b,s:b}", "writeback", 1, "direct", 0, "no-flush", 0));
    return j;
}

static json_t *drive(const struct steer *s, unsigned n)
{
    const struct machine_drive *d = &s->o->drive[n];
    struct media_view view, *v = &view;
    char node[STEER_NODE_BYTES];
    media_look(machine_drives(s->machine), n, v);
    json_t *j = json_pack("{s:s,s:b,s:b,s:s,s:s}", "device", d->name, "locked", v->drive.locked, "removable",
                          v->drive.removable, "type", "unknown", "io-status", "ok");
    if (v->drive.tray)
        json_object_set_new(j, "tray_open", json_boolean(v->drive.open));
    if (v->drive.medium)
        json_object_set_new(j, "inserted", qmp_medium(&v->image, qmp_node_name(s, n, node), NULL));
    return j;
}

void qmp_query_block(struct qmp_call *call)
{
    call->answer = json_array();
    for (unsigned n = 0; n < call->steer->o->ndrives; n++)
        json_array_append_new(call->answer, drive(call->steer, n));
}

/* What nothing here counts is 0: times, which are the host's, and requests that were merged. */
static json_t *stats(const struct blocks_drive_stats *s)
{
    static const char *const zeroes[] = {"unmap_bytes",
                                         "rd_total_time_ns",
                                         "wr_total_time_ns",
                                         "flush_total_time_ns",
                                         "unmap_total_time_ns",
                                         "rd_merged",
                                         "wr_merged",
                                         "unmap_merged",
                                         "failed_flush_operations",
                                         "failed_unmap_operations",
                                         "invalid_rd_operations",
                                         "invalid_wr_operations",
                                         "invalid_flush_operations",
                                         "invalid_unmap_operations"};
    json_t *j = json_pack(
        "{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:b,s:b,s:[]}", "rd_bytes", (json_int_t)s->read_bytes,
        "wr_bytes", (json_int_t)s->written_bytes, "rd_operations", (json_int_t)s->reads, "wr_operations",
        (json_int_t)s->writes, "flush_operations", (json_int_t)s->flushes, "unmap_operations",
        (json_int_t)s->discards, "failed_rd_operations", (json_int_t)s->failed_reads, "failed_wr_operations",
        (json_int_t)s->failed_writes, "wr_highest_offset", (json_int_t)s->written_end, "account_invalid", 1,
        "account_failed", 1, "timed_stats");
    for (unsigned i = 0; i < sizeof zeroes / sizeof *zeroes; i++)
        json_object_set_new(j, zeroes[i], json_integer(0));
    return j;
}

void qmp_query_blockstats(struct qmp_call *call)
{
    const struct options *o = call->steer->o;
    const struct drives *d = machine_drives(call->steer->machine);
    call->answer = json_array();
    if (json_is_true(json_object_get(call->arguments, "query-nodes")))
        return; /* no node has a name */
    for (unsigned n = 0; n < o->ndrives; n++) {
        struct blocks_drive_stats s = {0};
        if (d->drive[n].blocks)
            blocks_get_drive_stats(d->drive[n].blocks, &s);
        json_array_append_new(call->answer,
                              json_pack("{s:s,s:o}", "device", o->drive[n].name, "stats", stats(&s)));
    }
}
