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
    if (steer_io_waits(s))
        return "io-error";
    if (!s->paused)
        return "running";
    return s->o->start_paused && machine_tick(s->machine) == 0 ? "prelaunch" : "paused";
}

void qmp_query_status(struct qmp_call *call)
{
    const struct steer *s = call->steer;
    call->answer = json_pack("{s:s,s:b,s:b}", "status", run_state(s), "singlestep", 0, "running",
                             !s->paused && !s->shutdown && !steer_io_waits(s));
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
