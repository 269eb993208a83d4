/* format_perfetto.c - a Perfetto trace (perfetto.dev, protos/perfetto/trace): a track for each process with
 * slices, one within the other, that last while a function stays on the stack from sample to sample. */
#include "observe/formats_internal.h"
#include "observe/keymap.h"
#include "observe/protobuf.h"

#include <stdlib.h>

/* Field numbers. */
enum { TRACE_PACKET = 1 };
enum {
    PACKET_TIMESTAMP = 8,
    PACKET_SEQUENCE = 10,
    PACKET_TRACK_EVENT = 11,
    PACKET_INTERNED = 12,
    PACKET_FLAGS = 13,
    PACKET_TRACK = 60
};
enum { TRACK_UUID = 1, TRACK_NAME = 2, TRACK_PROCESS = 3 };
enum { PROCESS_PID = 1, PROCESS_NAME = 6 };
enum { EVENT_TYPE = 9, EVENT_NAME_IID = 10, EVENT_TRACK = 11 };
enum { INTERNED_EVENT_NAMES = 2 };
enum { NAME_IID = 1, NAME_TEXT = 2 };
enum { SLICE_BEGIN = 1, SLICE_END = 2 };
enum { STATE_CLEARED = 1, NEEDS_STATE = 2 };
#define SEQUENCE   1
#define FIRST_FAKE 1000000 /* numbers of processes that the guest gives none */
#define TRACKS_MAX 100000u
#define IIDS_MAX   10000000u

struct perfetto {
    struct names *names;
    FILE *out;
    struct profile_head head;
    struct keymap tracks, iids;
    struct protobuf packet, inner, name, file;
    uint32_t next_iid;
    /* The stack that is open, outermost first. */
    uint64_t track, last_tick;
    const char *open[SAMPLE_FRAMES_MAX + 1];
    unsigned depth;
    bool failed;
};

static void put_packet(struct perfetto *p)
{
    protobuf_clear(&p->file);
    protobuf_message(&p->file, TRACE_PACKET, &p->packet);
    fwrite(p->file.data, 1, p->file.bytes, p->out);
    p->failed = p->failed || p->file.failed;
}

/* The track of a process, which is described when it is first met. */
static uint64_t track_of(struct perfetto *p, const struct names_task *task)
{
    bool is_new;
    uint64_t key = (uint64_t)(uintptr_t)task->name << 20 ^ (uint64_t)task->tid;
    uint32_t *track = keymap_at(&p->tracks, key, TRACKS_MAX, &is_new);
    if (!track)
        return 1;
    if (is_new) {
        *track = (uint32_t)p->tracks.count;
        protobuf_clear(&p->inner);
        protobuf_uint(&p->inner, PROCESS_PID,
                      task->tid > 0 ? (uint64_t)task->tid : FIRST_FAKE + (uint64_t)*track);
        protobuf_string(&p->inner, PROCESS_NAME, task->name);
        protobuf_clear(&p->name);
        protobuf_uint(&p->name, TRACK_UUID, *track);
        protobuf_string(&p->name, TRACK_NAME, task->name);
        protobuf_message(&p->name, TRACK_PROCESS, &p->inner);
        protobuf_clear(&p->packet);
        protobuf_uint(&p->packet, PACKET_SEQUENCE, SEQUENCE);
        protobuf_message(&p->packet, PACKET_TRACK, &p->name);
        put_packet(p);
    }
    return *track;
}

/* Number of a name; a new one is told in the packet under way. */
static uint32_t iid_of(struct perfetto *p, const char *text)
{
    bool is_new;
    uint32_t *iid = keymap_at(&p->iids, (uintptr_t)text, IIDS_MAX, &is_new);
    if (!iid) {
        p->failed = true;
        return 1;
    }
    if (is_new) {
        *iid = ++p->next_iid;
        protobuf_clear(&p->name);
        protobuf_uint(&p->name, NAME_IID, *iid);
        protobuf_string(&p->name, NAME_TEXT, text);
        protobuf_clear(&p->inner);
        protobuf_message(&p->inner, INTERNED_EVENT_NAMES, &p->name);
        protobuf_message(&p->packet, PACKET_INTERNED, &p->inner);
        protobuf_uint(&p->packet, PACKET_FLAGS, *iid == 1 ? STATE_CLEARED | NEEDS_STATE : NEEDS_STATE);
    } else {
        protobuf_uint(&p->packet, PACKET_FLAGS, NEEDS_STATE);
    }
    return *iid;
}

/* text NULL: the innermost slice ends. */
static void put_slice(struct perfetto *p, uint64_t tick, const char *text)
{
    protobuf_clear(&p->packet);
    protobuf_uint(&p->packet, PACKET_TIMESTAMP, tick << p->head.shift);
    protobuf_uint(&p->packet, PACKET_SEQUENCE, SEQUENCE);
    uint32_t iid = text ? iid_of(p, text) : 0;
    protobuf_clear(&p->inner);
    protobuf_uint(&p->inner, EVENT_TYPE, text ? SLICE_BEGIN : SLICE_END);
    protobuf_uint(&p->inner, EVENT_TRACK, p->track);
    if (text)
        protobuf_uint(&p->inner, EVENT_NAME_IID, iid);
    protobuf_message(&p->packet, PACKET_TRACK_EVENT, &p->inner);
    put_packet(p);
}

static void close_to(struct perfetto *p, unsigned depth, uint64_t tick)
{
    for (; p->depth > depth; p->depth--)
        put_slice(p, tick, NULL);
}

static const char *name_at(struct perfetto *p, const struct sample *s, unsigned depth)
{
    if (depth == s->frames)
        return names_intern(p->names, "[idle]");
    return names_intern(p->names, names_function(p->names, s, s->frames - 1 - depth).name);
}

static void put_sample(void *ctx, const struct sample *s)
{
    struct perfetto *p = ctx;
    struct names_task task = names_task(p->names, s);
    uint64_t track = track_of(p, &task);
    if (track != p->track || s->tick != p->last_tick + p->head.every)
        close_to(p, 0, p->depth ? p->last_tick + p->head.every : s->tick);
    p->track = track;
    p->last_tick = s->tick;
    unsigned depth = s->frames + (s->flags & SAMPLE_IDLE ? 1 : 0), same = 0;
    while (same < depth && same < p->depth && name_at(p, s, same) == p->open[same])
        same++;
    close_to(p, same, s->tick);
    for (; p->depth < depth; p->depth++) {
        p->open[p->depth] = name_at(p, s, p->depth);
        put_slice(p, s->tick, p->open[p->depth]);
    }
}

bool format_perfetto(const char *from, struct names *n, FILE *out, struct err *e)
{
    struct perfetto *p = calloc(1, sizeof *p);
    if (!p)
        return err_set(e, "%s: out of memory", from);
    p->names = n;
    p->out = out;
    bool ok = profile_each(from, put_sample, p, &p->head, NULL, e);
    close_to(p, 0, p->last_tick + p->head.every);
    if (ok && p->failed)
        ok = err_set(e, "%s: out of memory", from);
    keymap_free(&p->tracks);
    keymap_free(&p->iids);
    protobuf_free(&p->packet);
    protobuf_free(&p->inner);
    protobuf_free(&p->name);
    protobuf_free(&p->file);
    free(p);
    return ok;
}
