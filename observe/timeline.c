/* timeline.c - see timeline.h. */
#include "observe/timeline.h"

#include "clockcore/clock.h"
#include "clockcore/ticks.h"
#include "machine/machine.h"
#include "observe/marks.h"
#include "syncq/access.h"
#include "syncq/activity.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum track { TRACK_CODE, TRACK_PROCESS, TRACK_MARKS, TRACKS };
enum { KIND_USER = ENTRY_KINDS, KIND_KERNEL, KIND_IDLE }; /* of TRACK_CODE, beside enum entry_kind */
enum { KIND_CR3, KIND_TASK };                             /* of TRACK_PROCESS */
enum { PID_HOST = 1, PID_GUEST = 2 };

/* A state that begins at a tick, up to the next one of its track; or a mark. */
struct guest_record {
    uint64_t tick;
    uint32_t value; /* the entry's number, CR3, the task's number, or the mark's value */
    uint8_t track, kind, vector;
};

struct timeline {
    FILE *file;
    struct timeline_config cfg;
    struct observe *hub;
    struct machine *machine;
    uint64_t begin_ns, end_ns, end_tick;
    unsigned nthreads;
    struct activity_trace *thread[TIMELINE_THREADS_MAX];
    char name[TIMELINE_THREADS_MAX][MACHINE_THREAD_BYTES];
    struct guest_record *guest, last[TRACKS];
    uint64_t guest_count;
    const char *comma;
    size_t used;
    char text[65536]; /* on its way to the file */
};

/* --- what happens --- */

static bool same_state(const struct guest_record *a, const struct guest_record *b)
{
    return a->kind == b->kind && a->vector == b->vector && a->value == b->value;
}

static void guest_add(struct timeline *t, struct guest_record r)
{
    if (r.track != TRACK_MARKS && t->last[r.track].track == r.track && same_state(&t->last[r.track], &r))
        return;
    t->last[r.track] = r;
    t->guest[t->guest_count++ & ((UINT64_C(1) << t->cfg.log2_records) - 1)] = r;
}

static void code_state(struct timeline *t, const struct guest_state *g, uint64_t tick)
{
    const struct entry e = context_entry(observe_context(t->hub), g);
    struct guest_record r = {
        .tick = tick, .track = TRACK_CODE, .kind = g->cpl == 3 ? KIND_USER : KIND_KERNEL};
    if (e.kind != ENTRY_NONE && g->cpl < 3) {
        r.kind = e.kind;
        r.vector = e.vector;
        r.value = e.number;
    }
    guest_add(t, r);
}

/* A process is known by its name, where that is looked for, as soon as the guest's kernel says who runs. */
static bool task_state(struct timeline *t, const struct guest_state *g, uint64_t tick)
{
    const uint32_t task = t->cfg.names ? observe_task(t->hub, g) : 0;
    if (task)
        guest_add(
            t, (struct guest_record){.tick = tick, .track = TRACK_PROCESS, .kind = KIND_TASK, .value = task});
    return task;
}

static void process_state(struct timeline *t, const struct guest_state *g, uint64_t tick)
{
    guest_add(t, (struct guest_record){.tick = tick, .track = TRACK_PROCESS, .value = g->cr3});
}

static void on_event(void *ctx, const struct guest_state *g, const struct vcpu_event *e)
{
    struct timeline *t = ctx;
    if (e->kind == VCPU_EVENT_IDLE)
        guest_add(t, (struct guest_record){.tick = e->tick, .track = TRACK_CODE, .kind = KIND_IDLE});
    else
        code_state(t, g, e->tick);
    if (!task_state(t, g, e->tick) && (e->kind == VCPU_EVENT_CR3 || e->kind == VCPU_EVENT_RESET))
        process_state(t, g, e->tick);
}

static void on_mark(void *ctx, const struct guest_state *g, uint64_t tick, uint32_t lin_addr)
{
    guest_add(ctx, (struct guest_record){.tick = tick, .track = TRACK_MARKS, .value = lin_addr});
}

static void on_access(void *ctx, const struct guest_state *g, const struct access *a)
{
    struct timeline *t = ctx;
    activity_trace_add(t->thread[0], TRACE_ACCESS, (uint32_t)a->addr);
    if (machine_access_device(t->machine, a) == PC_DEV_MARKER && a->kind == ACCESS_PIO_WRITE &&
        a->offset == 0)
        guest_add(t,
                  (struct guest_record){.tick = a->tick, .track = TRACK_MARKS, .kind = 1, .value = a->value});
}

static void on_effect(void *ctx, const struct effect *e)
{
    struct timeline *t = ctx;
    activity_trace_add(t->thread[0], TRACE_EFFECT, (uint32_t)e->kind << 8 | e->line);
}

/* --- writing --- */

static void flush(struct timeline *t)
{
    fwrite(t->text, 1, t->used, t->file); /* what fails is seen at the end */
    t->used = 0;
}

/* Not by printf: a trace has some hundred thousand events, and printing took longer than noting them. */
static void put_text(struct timeline *t, const char *text)
{
    for (size_t n = strlen(text); n > 0;) {
        const size_t room = sizeof t->text - t->used, some = n < room ? n : room;
        memcpy(t->text + t->used, text, some);
        t->used += some;
        text += some;
        n -= some;
        if (n > 0)
            flush(t);
    }
}

/* At least so many digits. */
static void put_number(struct timeline *t, uint64_t v, unsigned base, unsigned digits)
{
    char text[24], *first = text + sizeof text - 1;
    *first = 0;
    for (unsigned n = 0; v || n < digits; n++, v /= base)
        *--first = "0123456789abcdef"[v % base];
    put_text(t, first);
}

static void event_begin(struct timeline *t, const char *phase, unsigned pid, unsigned tid, const char *name)
{
    put_text(t, t->comma);
    put_text(t, "\n{\"ph\":\"");
    put_text(t, phase);
    put_text(t, "\",\"pid\":");
    put_number(t, pid, 10, 1);
    put_text(t, ",\"tid\":");
    put_number(t, tid, 10, 1);
    put_text(t, ",\"name\":\"");
    put_text(t, name);
    put_text(t, "\"");
    t->comma = ",";
}

/* Microseconds, as the format wants them. */
static void put_time(struct timeline *t, const char *key, uint64_t ns)
{
    put_text(t, key);
    put_number(t, ns / 1000, 10, 1);
    put_text(t, ".");
    put_number(t, ns % 1000, 10, 3);
}

static void put_slice(struct timeline *t, unsigned pid, unsigned tid, const char *name, uint64_t from_ns,
                      uint64_t to_ns)
{
    event_begin(t, "X", pid, tid, name);
    put_time(t, ",\"ts\":", from_ns);
    put_time(t, ",\"dur\":", to_ns - from_ns);
    put_text(t, "}");
}

static void put_instant(struct timeline *t, unsigned pid, unsigned tid, const char *name, uint64_t ns,
                        uint32_t value)
{
    event_begin(t, "i", pid, tid, name);
    put_time(t, ",\"ts\":", ns);
    put_text(t, value ? ",\"s\":\"t\",\"args\":{\"value\":\"0x" : ",\"s\":\"t\",\"args\":{\"value\":\"");
    put_number(t, value, 16, 1);
    put_text(t, "\"}}");
}

static void put_name(struct timeline *t, const char *what, unsigned pid, unsigned tid, const char *name)
{
    event_begin(t, "M", pid, tid, what);
    put_text(t, ",\"args\":{\"name\":\"");
    put_text(t, name);
    put_text(t, "\"}}");
}

static const char *const state_names[TRACE_KINDS] = {
    [TRACE_WAITING] = "waiting", [TRACE_TRANSLATING] = "translating",
    [TRACE_RUNNING] = "running", [TRACE_AT_HORIZON] = "at the horizon",
    [TRACE_DEVICES] = "devices", [TRACE_ACCESS] = "access",
    [TRACE_EFFECT] = "effect",
};

static uint64_t since_begin(const struct timeline *t, uint64_t ns)
{
    return ns > t->begin_ns ? ns - t->begin_ns : 0;
}

static uint64_t put_thread(struct timeline *t, unsigned i)
{
    uint64_t first, end = activity_trace_stop(t->thread[i], &first);
    const struct activity_record *state = NULL;
    put_name(t, "thread_name", PID_HOST, i + 1, t->name[i]);
    for (uint64_t n = first; n < end; n++) {
        const struct activity_record *r = activity_trace_record(t->thread[i], n);
        if (r->kind >= TRACE_ACCESS) {
            put_instant(t, PID_HOST, i + 1, state_names[r->kind], since_begin(t, r->ns), r->value);
            continue;
        }
        if (state)
            put_slice(t, PID_HOST, i + 1, state_names[state->kind], since_begin(t, state->ns),
                      since_begin(t, r->ns));
        state = r;
    }
    if (state && state->ns < t->end_ns)
        put_slice(t, PID_HOST, i + 1, state_names[state->kind], since_begin(t, state->ns),
                  since_begin(t, t->end_ns));
    return first;
}

/* The guest gives its processes names. */
static void task_name(const struct timeline *t, uint32_t task, char *name, size_t bytes)
{
    if (!observe_task_text(t->hub, task, name, bytes))
        snprintf(name, bytes, "?");
    for (; *name; name++)
        if (*name == '"' || *name == '\\')
            *name = '?';
}

static void guest_name(const struct timeline *t, const struct guest_record *r, char *name, size_t bytes)
{
    static const char *const plain[] = {
        [ENTRY_GATE] = "gate", [KIND_USER] = "user", [KIND_KERNEL] = "kernel", [KIND_IDLE] = "idle"};
    const bool number = r->value != ENTRY_NO_NUMBER;
    if (r->track == TRACK_PROCESS && r->kind == KIND_TASK)
        task_name(t, r->value, name, bytes);
    else if (r->track == TRACK_PROCESS)
        snprintf(name, bytes, "CR3 %#" PRIx32, r->value);
    else if (r->track == TRACK_MARKS)
        snprintf(name, bytes, r->kind ? "marker %" PRIu32 : "mark %#" PRIx32, r->value);
    else if (r->kind == ENTRY_EXCEPTION)
        snprintf(name, bytes, "exception %u", r->vector);
    else if (r->kind == ENTRY_INTERRUPT && number)
        snprintf(name, bytes, "IRQ %" PRIu32, r->value);
    else if (r->kind == ENTRY_INTERRUPT)
        snprintf(name, bytes, "interrupt %#x", r->vector);
    else if (r->kind == ENTRY_SOFTWARE && number)
        snprintf(name, bytes, "INT %#x, EAX %" PRIu32, r->vector, r->value);
    else if (r->kind == ENTRY_SOFTWARE)
        snprintf(name, bytes, "INT %#x", r->vector);
    else if (r->kind == ENTRY_SYSENTER)
        snprintf(name, bytes, number ? "SYSENTER, EAX %" PRIu32 : "SYSENTER", r->value);
    else
        snprintf(name, bytes, "%s", plain[r->kind] ? plain[r->kind] : "?");
}

static void put_guest_record(struct timeline *t, const struct guest_record *r, uint64_t to_tick)
{
    char name[OBSERVE_TASK_BYTES];
    const char *mark =
        r->track == TRACK_MARKS && !r->kind && t->cfg.marks ? marks_name(t->cfg.marks, r->value) : NULL;
    guest_name(t, r, name, sizeof name);
    const uint64_t from = ticks_to_ns(r->tick, t->cfg.shift);
    if (r->track == TRACK_MARKS)
        put_instant(t, PID_GUEST, TRACK_MARKS + 1, mark ? mark : name, from, r->value);
    else if (to_tick > r->tick)
        put_slice(t, PID_GUEST, r->track + 1u, name, from, ticks_to_ns(to_tick, t->cfg.shift));
}

static uint64_t put_guest(struct timeline *t)
{
    static const char *const names[TRACKS] = {"code", "process", "marks"};
    const uint64_t room = UINT64_C(1) << t->cfg.log2_records;
    const uint64_t first = t->guest_count > room ? t->guest_count - room : 0;
    const struct guest_record *open[TRACKS] = {NULL};
    for (unsigned i = 0; i < TRACKS; i++)
        put_name(t, "thread_name", PID_GUEST, i + 1, names[i]);
    for (uint64_t n = first; n < t->guest_count; n++) {
        const struct guest_record *r = &t->guest[n & (room - 1)];
        if (open[r->track])
            put_guest_record(t, open[r->track], r->tick);
        open[r->track] = r;
    }
    for (unsigned i = 0; i < TRACKS; i++)
        if (open[i])
            put_guest_record(t, open[i], t->end_tick);
    return first;
}

bool timeline_end(struct timeline *t, uint64_t *lost, struct err *e)
{
    FILE *f = t->file;
    t->end_ns = clock_realtime_ns();
    t->end_tick = machine_tick(t->machine);
    t->comma = "";
    put_text(t, "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[");
    put_name(t, "process_name", PID_HOST, 0, "host");
    put_name(t, "process_name", PID_GUEST, 0, "guest, virtual time");
    *lost = put_guest(t);
    for (unsigned i = 0; i < t->nthreads; i++)
        *lost += put_thread(t, i);
    put_text(t, "\n],\"otherData\":{\"lost\":\"");
    put_number(t, *lost, 10, 1);
    put_text(t, "\"}}\n");
    flush(t);
    t->file = NULL;
    const bool bad = ferror(f);
    return (fclose(f) == 0 && !bad) ||
           err_set(e, "-trace: file=%s: could not be written: %s", t->cfg.file, strerror(errno));
}

/* --- life --- */

static bool prepare(struct timeline *t, struct err *e)
{
    const struct vcpu_observer watcher = {
        .ctx = t, .event = on_event, .mark = on_mark, .access = on_access, .effect = on_effect};
    t->guest = calloc(UINT64_C(1) << t->cfg.log2_records, sizeof *t->guest);
    if (!t->guest)
        return err_set(e, "-trace: no host memory; buffer=N makes it smaller");
    for (unsigned i = 0; i < TRACKS; i++)
        t->last[i].track = TRACKS;
    t->file = fopen(t->cfg.file, "we");
    if (!t->file)
        return err_set(e, "-trace: file=%s: %s; a file that can be written is needed", t->cfg.file,
                       strerror(errno));
    return observe_add(t->hub, &watcher) || err_set(e, "-trace: too many observers");
}

struct timeline *timeline_create(struct observe *o, const struct timeline_config *c, struct err *e)
{
    struct timeline *t = calloc(1, sizeof *t);
    if (!t) {
        err_set(e, "-trace: no host memory");
        return NULL;
    }
    t->hub = o;
    t->cfg = *c;
    if (prepare(t, e))
        return t;
    timeline_destroy(t);
    return NULL;
}

bool timeline_begin(struct timeline *t, struct machine *m, struct err *e)
{
    t->machine = m;
    t->begin_ns = clock_realtime_ns();
    for (unsigned i = 0; i < TIMELINE_THREADS_MAX && machine_activity(m, i, t->name[i]); i++) {
        t->thread[i] = activity_trace_create(t->cfg.log2_records);
        if (!t->thread[i])
            return err_set(e, "-trace: no host memory; buffer=N makes it smaller");
        machine_trace(m, i, t->thread[i]);
        t->nthreads = i + 1;
    }
    code_state(t, machine_guest(m), machine_tick(m));
    process_state(t, machine_guest(m), machine_tick(m));
    return true;
}

void timeline_destroy(struct timeline *t)
{
    if (!t)
        return;
    if (t->file)
        fclose(t->file);
    for (unsigned i = 0; i < t->nthreads; i++)
        activity_trace_destroy(t->thread[i]);
    free(t->guest);
    free(t);
}
