/* calltree.c - see calltree.h. */
#include "observe/calltree.h"

#include <stdlib.h>
#include <string.h>

bool profile_each(const char *path, void (*each)(void *ctx, const struct sample *s), void *ctx,
                  struct profile_head *head, uint64_t *end_tick, struct err *e)
{
    static const struct sample none;
    struct profile_reader *r = profile_open(path, head, e);
    enum profile_record kind = r ? PROFILE_JSON : PROFILE_ERROR;
    while (kind != PROFILE_ERROR && kind != PROFILE_END) {
        struct sample s = none;
        const char *json;
        kind = profile_next(r, &s, &json, end_tick, e);
        if (kind == PROFILE_SAMPLE)
            each(ctx, &s);
    }
    profile_close(r);
    return kind == PROFILE_END;
}

/* Room for one more; false: no memory, or `max` are there. */
static bool room_for(void **items, uint32_t *room, uint32_t used, uint32_t max, size_t bytes)
{
    if (used >= max)
        return false;
    if (used < *room)
        return true;
    uint32_t want = *room * 2 + 256;
    void *p = realloc(*items, want * bytes);
    if (!p)
        return false;
    *items = p;
    *room = want;
    return true;
}

/* --- growing --- */

static uint32_t new_node(struct calltree *t, uint32_t parent, const char *name, enum call_kind kind)
{
    if (!room_for((void **)&t->node, &t->nodes_room, t->nodes, CALLTREE_NODES_MAX, sizeof *t->node))
        return CALLTREE_NONE;
    t->node[t->nodes] = (struct call_node){
        .name = name, .parent = parent, .child = CALLTREE_NONE, .sibling = CALLTREE_NONE, .kind = kind};
    if (parent != CALLTREE_NONE) {
        t->node[t->nodes].sibling = t->node[parent].child;
        t->node[parent].child = t->nodes;
    }
    return t->nodes++;
}

/* The parent's child of this name, made if need be; where there is no more room, the parent. */
static uint32_t child_of(struct calltree *t, uint32_t parent, const char *text, enum call_kind kind)
{
    const char *name = names_intern(t->names, text);
    uint32_t before = CALLTREE_NONE;
    for (uint32_t c = t->node[parent].child; c != CALLTREE_NONE; before = c, c = t->node[c].sibling) {
        if (t->node[c].name != name || t->node[c].kind != kind)
            continue;
        if (before != CALLTREE_NONE) { /* what was hit last comes first */
            t->node[before].sibling = t->node[c].sibling;
            t->node[c].sibling = t->node[parent].child;
            t->node[parent].child = c;
        }
        return c;
    }
    uint32_t made = new_node(t, parent, name, kind);
    return made == CALLTREE_NONE ? parent : made;
}

/* The last one that there is room for is for all others. */
static struct call_process *process_of(struct calltree *t, struct names_task task)
{
    if (t->processes >= CALLTREE_PROCESSES_MAX - 1)
        task = (struct names_task){.name = names_intern(t->names, "[others]")};
    for (uint32_t i = t->processes; i-- > 0;)
        if (t->process[i].task.pid == task.pid && t->process[i].task.tid == task.tid &&
            t->process[i].task.name == task.name)
            return &t->process[i];
    if (!room_for((void **)&t->process, &t->processes_room, t->processes, CALLTREE_PROCESSES_MAX,
                  sizeof *t->process))
        return NULL;
    t->process[t->processes] = (struct call_process){.task = task};
    return &t->process[t->processes++];
}

static void count_process(struct calltree *t, const struct sample *s)
{
    struct call_process *p = process_of(t, names_task(t->names, s));
    if (!p)
        return;
    if (s->flags & SAMPLE_IDLE)
        p->idle++;
    else if (s->cpl == 3)
        p->user++;
    else
        p->kernel++;
    p->rep += !(s->flags & SAMPLE_IDLE) && (s->flags & SAMPLE_REP);
}

static int compare_entries(const struct entry *a, const struct entry *b)
{
    if (a->kind != b->kind)
        return a->kind - b->kind;
    if (a->vector != b->vector)
        return a->vector - b->vector;
    return a->number < b->number ? -1 : a->number > b->number;
}

static void count_entry(struct calltree *t, const struct entry *entry)
{
    for (uint32_t i = 0; i < t->entries; i++)
        if (compare_entries(&t->entry[i].entry, entry) == 0) {
            t->entry[i].samples++;
            return;
        }
    if (room_for((void **)&t->entry, &t->entries_room, t->entries, CALLTREE_ENTRIES_MAX, sizeof *t->entry))
        t->entry[t->entries++] = (struct call_entry){*entry, 1};
}

/* How good the profile is: see the members. */
static void count_quality(struct calltree *t, const struct sample *s, bool named)
{
    if (s->cpl == 3 || (s->flags & SAMPLE_IDLE))
        return;
    struct call_quality *q = &t->kernel[s->cr3 != 0];
    q->samples++;
    q->named += named;
    q->whole += (s->flags & SAMPLE_WHOLE) != 0;
}

static void take_sample(void *ctx, const struct sample *s)
{
    struct calltree *t = ctx;
    uint32_t at = child_of(t, CALLTREE_ROOT, names_task(t->names, s).name, CALL_PROCESS);
    t->node[CALLTREE_ROOT].total++;
    t->node[at].total++;
    bool named = false;
    for (unsigned i = s->frames; i-- > 0;) {
        struct names_function f = names_function(t->names, s, i);
        uint32_t down = child_of(t, at, f.name, s->frame[i].flags & FRAME_USER ? CALL_USER : CALL_KERNEL);
        if (down != at)
            t->node[down].total++;
        at = down;
        named = f.known;
    }
    if (s->flags & SAMPLE_IDLE) {
        uint32_t down = child_of(t, at, "[idle]", CALL_IDLE);
        if (down != at)
            t->node[down].total++;
        at = down;
    }
    t->node[at].self++;
    t->samples++;
    count_process(t, s);
    count_quality(t, s, named);
    if (s->cpl != 3 && !(s->flags & SAMPLE_IDLE))
        count_entry(t, &s->entry);
}

/* --- ordering --- */

static int compare_nodes(const struct calltree *t, uint32_t a, uint32_t b)
{
    const struct call_node *na = &t->node[a], *nb = &t->node[b];
    if (na->total != nb->total)
        return na->total > nb->total ? -1 : 1;
    int c = strcmp(na->name, nb->name);
    return c ? c : na->kind - nb->kind;
}

/* Merges two sorted lists of siblings. */
static uint32_t merge(struct calltree *t, uint32_t a, uint32_t b)
{
    uint32_t head = CALLTREE_NONE, *tail = &head;
    while (a != CALLTREE_NONE && b != CALLTREE_NONE) {
        uint32_t *first = compare_nodes(t, a, b) <= 0 ? &a : &b;
        *tail = *first;
        tail = &t->node[*first].sibling;
        *first = *tail;
    }
    *tail = a != CALLTREE_NONE ? a : b;
    return head;
}

#define MERGE_LISTS 32

/* Sorts a list of siblings: list i of `lists` has 2^i of them, as the digits of a binary counter. */
static uint32_t sort_siblings(struct calltree *t, uint32_t first)
{
    uint32_t lists[MERGE_LISTS], sorted = CALLTREE_NONE;
    for (unsigned i = 0; i < MERGE_LISTS; i++)
        lists[i] = CALLTREE_NONE;
    while (first != CALLTREE_NONE) {
        uint32_t one = first;
        unsigned i = 0;
        first = t->node[one].sibling;
        t->node[one].sibling = CALLTREE_NONE;
        for (; i < MERGE_LISTS - 1 && lists[i] != CALLTREE_NONE; i++) {
            one = merge(t, lists[i], one);
            lists[i] = CALLTREE_NONE;
        }
        lists[i] = merge(t, lists[i], one);
    }
    for (unsigned i = 0; i < MERGE_LISTS; i++)
        sorted = merge(t, lists[i], sorted);
    return sorted;
}

static int by_share(const void *pa, const void *pb)
{
    const struct call_process *a = pa, *b = pb;
    uint64_t na = a->user + a->kernel + a->idle, nb = b->user + b->kernel + b->idle;
    if (na != nb)
        return na > nb ? -1 : 1;
    int c = strcmp(a->task.name, b->task.name);
    return c ? c : a->task.tid < b->task.tid ? -1 : a->task.tid > b->task.tid;
}

static int by_samples(const void *pa, const void *pb)
{
    const struct call_entry *a = pa, *b = pb;
    if (a->samples != b->samples)
        return a->samples > b->samples ? -1 : 1;
    return compare_entries(&a->entry, &b->entry);
}

static void sort(struct calltree *t)
{
    for (uint32_t i = 0; i < t->nodes; i++)
        t->node[i].child = sort_siblings(t, t->node[i].child);
    if (t->processes)
        qsort(t->process, t->processes, sizeof *t->process, by_share);
    if (t->entries)
        qsort(t->entry, t->entries, sizeof *t->entry, by_samples);
}

struct calltree *calltree_load(const char *path, struct err *e)
{
    struct calltree *t = calloc(1, sizeof *t);
    if (!t) {
        err_set(e, "%s: out of memory", path);
        return NULL;
    }
    t->names = names_load(path, e);
    if (t->names && new_node(t, CALLTREE_NONE, "all", CALL_ROOT) == CALLTREE_ROOT &&
        profile_each(path, take_sample, t, &t->head, &t->end_tick, e)) {
        sort(t);
        return t;
    }
    calltree_free(t);
    return NULL;
}

void calltree_free(struct calltree *t)
{
    if (!t)
        return;
    names_free(t->names);
    free(t->node);
    free(t->process);
    free(t->entry);
    free(t);
}
