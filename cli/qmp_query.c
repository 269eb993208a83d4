/* qmp_query.c - QMP's commands that look: answers as QEMU's schema has them. */
#include "cli/qmp_internal.h"

#include <inttypes.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* --- about the program --- */

void qmp_query_version(struct qmp_call *call)
{
    call->answer = qmp_version();
}

void qmp_query_commands(struct qmp_call *call)
{
    call->answer = json_pack("[{s:s}]", "name", "qmp_capabilities");
    for (unsigned i = 0; i < qmp_ncommands; i++)
        json_array_append_new(call->answer, json_pack("{s:s}", "name", qmp_commands[i].name));
}

void qmp_query_name(struct qmp_call *call)
{
    const char *name = call->steer->o->name;
    call->answer = name ? json_pack("{s:s}", "name", name) : NULL;
}

void qmp_query_kvm(struct qmp_call *call)
{
    call->answer = json_pack("{s:b,s:b}", "enabled", 0, "present", 0);
}

void qmp_query_uuid(struct qmp_call *call)
{
    call->answer = json_pack("{s:s}", "UUID", "00000000-0000-0000-0000-000000000000");
}

void qmp_query_target(struct qmp_call *call)
{
    call->answer = json_pack("{s:s}", "arch", "i386");
}

void qmp_query_iothreads(struct qmp_call *call)
{
    call->answer = json_array();
}

/* --- about the run --- */

static const char *run_state(const struct steer *s)
{
    if (s->shutdown)
        return "shutdown";
    if (!s->paused)
        return "running";
    return s->o->start_paused && machine_tick(s->machine) == 0 ? "prelaunch" : "paused";
}

void qmp_query_status(struct qmp_call *call)
{
    const struct steer *s = call->steer;
    call->answer = json_pack("{s:s,s:b,s:b}", "status", run_state(s), "singlestep", 0, "running",
                             !s->paused && !s->shutdown);
}

void qmp_query_replay(struct qmp_call *call)
{
    static const char *const modes[] = {[RR_OFF] = "none", [RR_RECORD] = "record", [RR_REPLAY] = "play"};
    const struct options *o = call->steer->o;
    call->answer = json_pack("{s:s,s:I,s:s*}", "mode", modes[o->rr], "icount",
                             (json_int_t)machine_tick(call->steer->machine), "filename",
                             o->rr == RR_OFF ? NULL : o->rrfile);
}

/* --- about the machine --- */

void qmp_query_memory(struct qmp_call *call)
{
    call->answer = json_pack("{s:I,s:I}", "base-memory", (json_int_t)call->steer->o->ram_bytes,
                             "plugged-memory", (json_int_t)0);
}

/* The thread that runs the machine is the vCPU's. */
void qmp_query_cpus_fast(struct qmp_call *call)
{
    call->answer = json_pack("[{s:i,s:s,s:I,s:s,s:{s:i,s:i,s:i}}]", "cpu-index", 0, "qom-path",
                             "/machine/unattached/device[0]", "thread-id", (json_int_t)syscall(SYS_gettid),
                             "target", "i386", "props", "core-id", 0, "thread-id", 0, "socket-id", 0);
}

void qmp_query_mice(struct qmp_call *call)
{
    call->answer =
        json_pack("[{s:s,s:i,s:b,s:b}]", "name", "QEMU PS/2 Mouse", "index", 0, "current", 1, "absolute", 0);
}

static void add_chardev(struct qmp_call *call, const char *label, unsigned n, const char *spec)
{
    char name[32];
    snprintf(name, sizeof name, "%s%u", label, n);
    json_array_append_new(call->answer,
                          json_pack("{s:s,s:s,s:b}", "label", name, "filename", spec, "frontend-open", 1));
}

void qmp_query_chardev(struct qmp_call *call)
{
    const struct options *o = call->steer->o;
    call->answer = json_array();
    for (unsigned i = 0; i < o->nserial; i++)
        add_chardev(call, "serial", i, o->serial[i]);
    if (o->nographic && o->nserial == 0 && !o->nodefaults)
        add_chardev(call, "serial", 0, "mon:stdio");
    if (o->debugcon)
        add_chardev(call, "debugcon", 0, o->debugcon);
    for (unsigned i = 0; i < o->ncontrols; i++)
        add_chardev(call, o->control[i].qmp ? "qmp" : "monitor", i, o->control[i].spec);
}

/* --- drives --- */

/* QEMU calls the same place ide1-hd0 or ide1-cd0, after what is in it. */
static void drive_name(const struct machine_drive *d, const char *port, char *name, size_t bytes)
{
    snprintf(name, bytes, "%s", port);
    char *kind = strstr(name, "-hd");
    if (kind && d->cdrom)
        kind[1] = 'c';
}

static json_t *medium(const struct machine_drive *d, uint64_t bytes)
{
    const char *format = d->format ? d->format : "raw";
    json_t *j =
        json_pack("{s:s,s:b,s:s,s:s,s:i,s:b,s:s,s:i}", "file", d->file, "ro", d->read_only || d->cdrom, "drv",
                  format, "node-name", "#block0", "backing_file_depth", 0, "encrypted", 0, "detect_zeroes",
                  "off", "write_threshold", 0);
    static const char *const limits[] = {"bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"};
    for (unsigned i = 0; i < sizeof limits / sizeof *limits; i++)
        json_object_set_new(j, limits[i], json_integer(0));
    json_object_set_new(
        j, "image",
        json_pack("{s:s,s:s,s:I}", "filename", d->file, "format", format, "virtual-size", (json_int_t)bytes));
    json_object_set_new(j, "cache", json_pack("{s:b,s:b,s:b}", "writeback", 1, "direct", 0, "no-flush", 0));
    return j;
}

static json_t *drive(const struct machine_drive *d, const char *port, uint64_t bytes)
{
    char name[64];
    drive_name(d, port, name, sizeof name);
    const bool removable = d->cdrom || strncmp(port, "floppy", 6) == 0;
    json_t *j = json_pack("{s:s,s:b,s:b,s:s,s:s}", "device", name, "locked", 0, "removable", removable,
                          "type", "unknown", "io-status", "ok");
    if (removable)
        json_object_set_new(j, "tray_open", json_false());
    if (d->file)
        json_object_set_new(j, "inserted", medium(d, bytes));
    return j;
}

void qmp_query_block(struct qmp_call *call)
{
    const struct options *o = call->steer->o;
    const struct board *b = machine_wiring(call->steer->machine);
    call->answer = json_array();
    for (unsigned i = 0; i < o->ndrives; i++)
        json_array_append_new(call->answer, drive(&o->drive[i], b->port[o->drive[i].port].name,
                                                  machine_drive_bytes(call->steer->machine, i)));
}
