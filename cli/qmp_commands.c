/* qmp_commands.c - the table of QMP's commands, and those that do something. */
#include "cli/qmp_internal.h"

#include "cli/monitor.h"
#include "cli/screendump.h"
#include "machine/optvalue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SAVE_BYTES_MAX (INT64_C(1) << 32)
#define CHUNK          4096

/* --- the run --- */

static void do_stop(struct qmp_call *call)
{
    steer_stop(call->steer);
}

static void do_cont(struct qmp_call *call)
{
    if (!steer_cont(call->steer))
        qmp_fail(call, "GenericError", "Resetting the Virtual Machine is required");
}

static void do_quit(struct qmp_call *call)
{
    steer_quit(call->steer, "ended from QMP (quit)");
}

static void press(struct qmp_call *call, enum port_button button)
{
    if (!steer_button(call->steer, button))
        qmp_fail(call, "GenericError", "the guest has powered off, or has had too much input already");
}

static void do_system_reset(struct qmp_call *call)
{
    press(call, PORT_BUTTON_RESET);
}

static void do_system_powerdown(struct qmp_call *call)
{
    press(call, PORT_BUTTON_POWER);
}

static void do_inject_nmi(struct qmp_call *call)
{
    press(call, PORT_BUTTON_NMI);
}

/* --- what is written to files --- */

static void do_screendump(struct qmp_call *call)
{
    static const enum screendump_format formats[] = {SCREENDUMP_PPM, SCREENDUMP_PNG};
    const char *format = qmp_string(call, "format");
    const int choice = format ? value_choice(format, "ppm|png") : 0;
    struct err e;
    if (choice < 0)
        qmp_fail(call, "GenericError", "Parameter 'format' does not accept value '%.100s'", format);
    else if (!screendump_write(call->steer->machine, qmp_string(call, "filename"),
                               format ? formats[choice] : SCREENDUMP_BY_NAME_OR_PPM, &e))
        qmp_fail(call, "GenericError", "%s", e.text);
}

static bool read_memory(struct machine *m, bool physical, uint64_t at, uint8_t *to, size_t n)
{
    if (physical)
        return physmem_read(machine_memory(m), at, to, n);
    return at <= UINT32_MAX && machine_peek(m, machine_guest(m)->cr3, (uint32_t)at, to, n) == n;
}

/* False: what is there is no memory. */
static bool copy_memory(struct qmp_call *call, bool physical, FILE *f)
{
    uint64_t at = (uint64_t)qmp_int(call, "val", 0), left = (uint64_t)qmp_int(call, "size", 0);
    uint8_t chunk[CHUNK];
    for (uint64_t n; left > 0; at += n, left -= n) {
        n = left < CHUNK ? left : CHUNK;
        if (!read_memory(call->steer->machine, physical, at, chunk, n)) {
            qmp_fail(call, "GenericError", "Invalid addr 0x%llx/size %lld specified", (unsigned long long)at,
                     (long long)qmp_int(call, "size", 0));
            return false;
        }
        if (fwrite(chunk, 1, n, f) != n)
            break;
    }
    return true;
}

static void save_memory(struct qmp_call *call, bool physical)
{
    const char *file = qmp_string(call, "filename");
    const json_int_t size = qmp_int(call, "size", 0);
    if (size < 0 || size > SAVE_BYTES_MAX || qmp_int(call, "val", 0) < 0 ||
        qmp_int(call, "cpu-index", 0) != 0) {
        qmp_fail(call, "GenericError", "val from 0, size 0 to 4294967296 and CPU 0 are accepted");
        return;
    }
    FILE *f = fopen(file, "we");
    const bool read = f && copy_memory(call, physical, f);
    const bool bad = !f || ferror(f);
    if (((f && fclose(f) != 0) || bad) && (read || !f))
        qmp_fail(call, "GenericError", "Could not open '%.200s': %s", file, strerror(errno));
}

static void do_memsave(struct qmp_call *call)
{
    save_memory(call, false);
}

static void do_pmemsave(struct qmp_call *call)
{
    save_memory(call, true);
}

/* --- the monitor for people --- */

static void do_human(struct qmp_call *call)
{
    if (qmp_int(call, "cpu-index", 0) != 0) {
        qmp_fail(call, "GenericError", "Parameter 'cpu-index' expects a CPU number");
        return;
    }
    char *answer = monitor_execute(call->steer, qmp_string(call, "command-line"));
    call->answer = answer ? json_string(answer) : NULL;
    if (!call->answer)
        qmp_fail(call, "GenericError", "the answer is no UTF-8, or there is no host memory for it");
    free(answer);
}

#define SNAPSHOT_ARGUMENTS                                                                                   \
    {                                                                                                        \
        {"job-id", QMP_STRING, false}, {"tag", QMP_STRING, false},                                           \
        {                                                                                                    \
            "devices", QMP_LIST, true                                                                        \
        }                                                                                                    \
    }
#define SNAPSHOT_OF_STATE_ARGUMENTS                                                                          \
    {                                                                                                        \
        {"job-id", QMP_STRING, false}, {"tag", QMP_STRING, false}, {"vmstate", QMP_STRING, true},            \
        {                                                                                                    \
            "devices", QMP_LIST, true                                                                        \
        }                                                                                                    \
    }

/* clang-format off */
const struct qmp_command qmp_commands[] = {
    {"blockdev-add", qmp_add_node,
     {{"driver", QMP_STRING, false}, {"node-name", QMP_STRING, true}, {"read-only", QMP_BOOL, true}, {"auto-read-only", QMP_BOOL, true}, {"filename", QMP_STRING, true},
      {"file", QMP_ANY, true}}},
    {"blockdev-change-medium", qmp_change_medium,
     {{"device", QMP_STRING, true}, {"id", QMP_STRING, true}, {"filename", QMP_STRING, false}, {"format", QMP_STRING, true}, {"force", QMP_BOOL, true},
      {"read-only-mode", QMP_STRING, true}}},
    {"blockdev-close-tray", qmp_close_tray, {{"device", QMP_STRING, true}, {"id", QMP_STRING, true}}},
    {"blockdev-del", qmp_delete_node, {{"node-name", QMP_STRING, false}}},
    {"blockdev-insert-medium", qmp_insert_medium, {{"id", QMP_STRING, false}, {"node-name", QMP_STRING, false}}},
    {"blockdev-open-tray", qmp_open_tray, {{"device", QMP_STRING, true}, {"id", QMP_STRING, true}, {"force", QMP_BOOL, true}}},
    {"blockdev-remove-medium", qmp_remove_medium, {{"id", QMP_STRING, false}}},
    {"cont", do_cont, {{0}}},
    {"eject", qmp_eject, {{"device", QMP_STRING, true}, {"id", QMP_STRING, true}, {"force", QMP_BOOL, true}}},
    {"human-monitor-command", do_human, {{"command-line", QMP_STRING, false}, {"cpu-index", QMP_INT, true}}},
    {"inject-nmi", do_inject_nmi, {{0}}},
    {"input-send-event", qmp_input_send_event, {{"device", QMP_STRING, true}, {"head", QMP_INT, true}, {"events", QMP_LIST, false}}},
    {"job-dismiss", qmp_job_dismiss, {{"id", QMP_STRING, false}}},
    {"memsave", do_memsave,
     {{"val", QMP_INT, false}, {"size", QMP_INT, false}, {"filename", QMP_STRING, false}, {"cpu-index", QMP_INT, true}}},
    {"pmemsave", do_pmemsave, {{"val", QMP_INT, false}, {"size", QMP_INT, false}, {"filename", QMP_STRING, false}}},
    {"query-block", qmp_query_block, {{0}}},
    {"query-blockstats", qmp_query_blockstats, {{"query-nodes", QMP_BOOL, true}}},
    {"query-chardev", qmp_query_chardev, {{0}}},
    {"query-commands", qmp_query_commands, {{0}}},
    {"query-cpus-fast", qmp_query_cpus_fast, {{0}}},
    {"query-current-machine", qmp_query_current_machine, {{0}}},
    {"query-iothreads", qmp_query_iothreads, {{0}}},
    {"query-jobs", qmp_query_jobs, {{0}}},
    {"query-kvm", qmp_query_kvm, {{0}}},
    {"query-machines", qmp_query_machines, {{0}}},
    {"query-memory-size-summary", qmp_query_memory, {{0}}},
    {"query-mice", qmp_query_mice, {{0}}},
    {"query-name", qmp_query_name, {{0}}},
    {"query-named-block-nodes", qmp_query_nodes, {{"flat", QMP_BOOL, true}}},
    {"query-pci", qmp_query_pci, {{0}}},
    {"query-qmp-schema", qmp_query_schema, {{0}}},
    {"query-replay", qmp_query_replay, {{0}}},
    {"query-status", qmp_query_status, {{0}}},
    {"query-target", qmp_query_target, {{0}}},
    {"query-uuid", qmp_query_uuid, {{0}}},
    {"query-version", qmp_query_version, {{0}}},
    {"query-vnc", qmp_query_vnc, {{0}}},
    {"quit", do_quit, {{0}}},
    {"screendump", do_screendump, {{"filename", QMP_STRING, false}, {"format", QMP_STRING, true}}},
    {"send-key", qmp_send_key, {{"keys", QMP_LIST, false}, {"hold-time", QMP_INT, true}}},
    {"snapshot-delete", qmp_snapshot_delete, SNAPSHOT_ARGUMENTS},
    {"snapshot-load", qmp_snapshot_load, SNAPSHOT_OF_STATE_ARGUMENTS},
    {"snapshot-save", qmp_snapshot_save, SNAPSHOT_OF_STATE_ARGUMENTS},
    {"stop", do_stop, {{0}}},
    {"system_powerdown", do_system_powerdown, {{0}}},
    {"system_reset", do_system_reset, {{0}}},
};
/* clang-format on */
const unsigned qmp_ncommands = sizeof qmp_commands / sizeof *qmp_commands;
