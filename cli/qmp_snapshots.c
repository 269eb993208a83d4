/* qmp_snapshots.c - snapshots by QMP: jobs with names, as QEMU 7.2 has them ("docs/interop", snapshot-save).
 * Here a job is done when its command has been answered; it stays in the list until it is dismissed. */
#include "cli/qmp_internal.h"

#include "cli/snapshots.h"

#include <stdlib.h>
#include <string.h>

static struct steer_job *find(struct steer *s, const char *id)
{
    for (unsigned i = 0; i < s->njobs; i++)
        if (strcmp(s->job[i].id, id) == 0)
            return &s->job[i];
    return NULL;
}

static void tell(struct qmp_call *call, const char *id, const char *status)
{
    json_t *data = json_pack("{s:s,s:s}", "status", status, "id", id);
    char *text = json_dumps(data, JSON_COMPACT);
    if (text && call->steer->control)
        control_event(call->steer->control, "JOB_STATUS_CHANGE", text);
    free(text);
    json_decref(data);
}

/* NULL: the call has failed. */
static struct steer_job *begin(struct qmp_call *call, const char *type)
{
    struct steer *s = call->steer;
    const char *id = qmp_string(call, "job-id");
    if (!*id || strlen(id) >= sizeof s->job[0].id)
        qmp_fail(call, "GenericError", "Invalid job ID '%.80s'", id);
    else if (find(s, id))
        qmp_fail(call, "GenericError", "Job ID '%.80s' already in use", id);
    else if (s->njobs == STEER_JOBS_MAX)
        qmp_fail(call, "GenericError", "%d jobs are done and not dismissed (job-dismiss)", STEER_JOBS_MAX);
    else {
        struct steer_job *j = &s->job[s->njobs++];
        *j = (struct steer_job){.type = type};
        snprintf(j->id, sizeof j->id, "%s", id);
        tell(call, id, "created");
        tell(call, id, "running");
        return j;
    }
    return NULL;
}

static void end(struct qmp_call *call, struct steer_job *j, bool done, const struct err *e)
{
    if (!done)
        snprintf(j->error, sizeof j->error, "%s", e->text);
    tell(call, j->id, done ? "waiting" : "aborting");
    if (done)
        tell(call, j->id, "pending");
    tell(call, j->id, "concluded");
}

void qmp_snapshot_save(struct qmp_call *call)
{
    struct steer_job *j = begin(call, "snapshot-save");
    struct err e;
    if (j)
        end(call, j, snapshots_save(call->steer, qmp_string(call, "tag"), &e), &e);
}

void qmp_snapshot_load(struct qmp_call *call)
{
    struct steer_job *j = begin(call, "snapshot-load");
    struct err e;
    if (j)
        end(call, j, snapshots_load(call->steer, qmp_string(call, "tag"), &e), &e);
}

void qmp_snapshot_delete(struct qmp_call *call)
{
    struct steer_job *j = begin(call, "snapshot-delete");
    struct err e;
    if (j)
        end(call, j, snapshots_delete(call->steer->o, qmp_string(call, "tag"), &e), &e);
}

void qmp_query_jobs(struct qmp_call *call)
{
    call->answer = json_array();
    for (unsigned i = 0; i < call->steer->njobs; i++) {
        const struct steer_job *j = &call->steer->job[i];
        json_t *job = json_pack("{s:i,s:s,s:i,s:s,s:s}", "current-progress", 1, "status", "concluded",
                                "total-progress", 1, "type", j->type, "id", j->id);
        if (j->error[0])
            json_object_set_new(job, "error", json_string(j->error));
        json_array_append_new(call->answer, job);
    }
}

void qmp_job_dismiss(struct qmp_call *call)
{
    struct steer *s = call->steer;
    struct steer_job *j = find(s, qmp_string(call, "id"));
    if (!j) {
        qmp_fail(call, "DeviceNotActive", "Job not found");
        return;
    }
    tell(call, j->id, "null");
    memmove(j, j + 1, (size_t)(s->job + s->njobs - (j + 1)) * sizeof *j);
    s->njobs--;
}
