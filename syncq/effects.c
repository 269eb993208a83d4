/* effects.c - the vCPU's heap of pending effects. */
#include "syncq/effects.h"

#include <stdlib.h>
#include <string.h>

#include "clockcore/check.h"

#define PENDING_FIRST 256

bool pending_init(struct pending *p)
{
    *p = (struct pending){.capacity = PENDING_FIRST};
    p->heap = calloc(p->capacity, sizeof p->heap[0]);
    return p->heap != NULL;
}

void pending_destroy(struct pending *p)
{
    free(p->heap);
    *p = (struct pending){0};
}

static bool earlier(const struct effect *a, const struct effect *b)
{
    if (a->tick != b->tick)
        return a->tick < b->tick;
    if (a->dev != b->dev)
        return a->dev < b->dev;
    return (int32_t)(a->seq - b->seq) < 0; /* sequence numbers wrap */
}

void pending_reserve(struct pending *p, size_t count)
{
    size_t before = p->capacity;
    if (count <= before)
        return;
    while (p->capacity < count)
        p->capacity *= 2;
    p->heap = realloc(p->heap, p->capacity * sizeof p->heap[0]);
    CHECK(p->heap != NULL);
    memset(p->heap + before, 0, (p->capacity - before) * sizeof p->heap[0]);
}

static int compare(const void *a, const void *b)
{
    return earlier(a, b) ? -1 : earlier(b, a);
}

void pending_sort(struct pending *p)
{
    qsort(p->heap, p->count, sizeof p->heap[0], compare);
}

void pending_add(struct pending *p, const struct effect *e)
{
    if (p->count == p->capacity)
        pending_reserve(p, p->count + 1);
    size_t at = p->count++;
    while (at > 0 && earlier(e, &p->heap[(at - 1) / 2])) {
        p->heap[at] = p->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    p->heap[at] = *e;
}

void pending_take(struct pending *p, struct effect *e)
{
    CHECK(p->count > 0);
    *e = p->heap[0];
    const struct effect *last = &p->heap[--p->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= p->count)
            break;
        if (child + 1 < p->count && earlier(&p->heap[child + 1], &p->heap[child]))
            child++;
        if (!earlier(&p->heap[child], last))
            break;
        p->heap[at] = p->heap[child];
        at = child;
    }
    p->heap[at] = *last;
}
