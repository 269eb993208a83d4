/* qmp_internal.h - what the files of QMP share. */
#ifndef TANDEM_CLI_QMP_INTERNAL_H
#define TANDEM_CLI_QMP_INTERNAL_H

#include "cli/qmp.h"
#include "cli/steer.h"

#include <jansson.h>

#define QMP_DESC_BYTES 512

/* One request on its way. */
struct qmp_call {
    struct steer *steer;
    json_t *arguments; /* an object, checked against the command's list; borrowed */
    json_t *answer;    /* owned; NULL: an empty object */
    const char *class; /* of an error: "GenericError"; NULL: there is none */
    char desc[QMP_DESC_BYTES];
};

enum qmp_type { QMP_STRING, QMP_INT, QMP_BOOL, QMP_LIST, QMP_OBJECT, QMP_ANY };

struct qmp_argument {
    const char *name; /* NULL: behind the last */
    enum qmp_type type;
    bool optional;
};

#define QMP_ARGUMENTS_MAX 8

struct qmp_command {
    const char *name;
    void (*run)(struct qmp_call *call);
    struct qmp_argument argument[QMP_ARGUMENTS_MAX + 1];
};

extern const struct qmp_command qmp_commands[];
extern const unsigned qmp_ncommands;
extern const struct qmp_argument qmp_capabilities_arguments[]; /* that one is executed in qmp.c */

/* The call fails, with QEMU's class "GenericError" or another. */
void qmp_fail(struct qmp_call *call, const char *class, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* False, and the call fails: `object` lacks a member, has one more or one of another type. List's end: a
 * NULL name. */
bool qmp_check(struct qmp_call *call, json_t *object, const struct qmp_argument *list);
/* What is told of this program: {"qemu": ..., "package": ...}. */
json_t *qmp_version(void);

/* Of optional arguments that are not there: NULL, or `otherwise`. */
const char *qmp_string(const struct qmp_call *call, const char *name);
json_int_t qmp_int(const struct qmp_call *call, const char *name, json_int_t otherwise);

/* qmp_query.c */
void qmp_query_version(struct qmp_call *call);
void qmp_query_commands(struct qmp_call *call);
void qmp_query_status(struct qmp_call *call);
void qmp_query_replay(struct qmp_call *call);
void qmp_query_name(struct qmp_call *call);
void qmp_query_kvm(struct qmp_call *call);
void qmp_query_uuid(struct qmp_call *call);
void qmp_query_target(struct qmp_call *call);
void qmp_query_memory(struct qmp_call *call);
void qmp_query_cpus_fast(struct qmp_call *call);
void qmp_query_chardev(struct qmp_call *call);
void qmp_query_mice(struct qmp_call *call);
void qmp_query_iothreads(struct qmp_call *call);

/* qmp_nodes.c */
void qmp_add_node(struct qmp_call *call);
void qmp_delete_node(struct qmp_call *call);
void qmp_insert_medium(struct qmp_call *call);
void qmp_query_nodes(struct qmp_call *call);
/* Of the image in drive n: blockdev-add's, or one of QEMU's kind for a node that nobody has named. */
const char *qmp_node_name(const struct steer *s, unsigned n, char name[STEER_NODE_BYTES]);

/* qmp_snapshots.c */
void qmp_snapshot_save(struct qmp_call *call);
void qmp_snapshot_load(struct qmp_call *call);
void qmp_snapshot_delete(struct qmp_call *call);
void qmp_query_jobs(struct qmp_call *call);
void qmp_job_dismiss(struct qmp_call *call);

/* qmp_machine.c */
void qmp_query_pci(struct qmp_call *call);
void qmp_query_vnc(struct qmp_call *call);
void qmp_query_machines(struct qmp_call *call);
void qmp_query_current_machine(struct qmp_call *call);

/* qmp_schema.c */
void qmp_query_schema(struct qmp_call *call);

/* qmp_media.c */
/* QEMU's BlockDeviceInfo. driver NULL: the image's format. */
json_t *qmp_medium(const struct media_image *image, const char *node, const char *driver);
void qmp_query_block(struct qmp_call *call);
void qmp_query_blockstats(struct qmp_call *call);
void qmp_eject(struct qmp_call *call);
void qmp_open_tray(struct qmp_call *call);
void qmp_close_tray(struct qmp_call *call);
void qmp_remove_medium(struct qmp_call *call);
void qmp_change_medium(struct qmp_call *call);

/* qmp_input.c */
void qmp_send_key(struct qmp_call *call);
void qmp_input_send_event(struct qmp_call *call);

#endif
