/* timerq.c - a binary heap of timer ids; each timer knows its index, so that it can be moved. */
#include "clockcore/timerq.h"

#include <stdlib.h>

#include "clockcore/check.h"
#include "clockcore/ticks.h"

bool timerq_init(struct timerq *q, uint32_t capacity)
{
    CHECK(capacity > 0 && capacity < TIMERQ_IDLE);
    *q = (struct timerq){.capacity = capacity};
    q->timer = calloc(capacity, sizeof q->timer[0]);
    q->heap = calloc(capacity, sizeof q->heap[0]);
    if (!q->timer || !q->heap) {
        timerq_destroy(q);
        return false;
    }
    for (uint32_t i = 0; i < capacity; i++)
        q->timer[i].index = TIMERQ_IDLE;
    return true;
}

void timerq_destroy(struct timerq *q)
{
    free(q->timer);
    free(q->heap);
    *q = (struct timerq){0};
}

static bool earlier(const struct timerq *q, uint32_t a, uint32_t b)
{
    const struct timerq_timer *x = &q->timer[a], *y = &q->timer[b];
    if (x->tick != y->tick)
        return x->tick < y->tick;
    if (x->dev != y->dev)
        return x->dev < y->dev;
    return x->seq < y->seq;
}

static void put(struct timerq *q, uint32_t index, uint32_t id)
{
    q->heap[index] = id;
    q->timer[id].index = index;
}

static void sift_up(struct timerq *q, uint32_t index, uint32_t id)
{
    while (index > 0) {
        uint32_t parent = (index - 1) / 2;
        if (!earlier(q, id, q->heap[parent]))
            break;
        put(q, index, q->heap[parent]);
        index = parent;
    }
    put(q, index, id);
}

static void sift_down(struct timerq *q, uint32_t index, uint32_t id)
{
    for (;;) {
        uint32_t child = 2 * index + 1;
        if (child >= q->armed)
            break;
        if (child + 1 < q->armed && earlier(q, q->heap[child + 1], q->heap[child]))
            child++;
        if (!earlier(q, q->heap[child], id))
            break;
        put(q, index, q->heap[child]);
        index = child;
    }
    put(q, index, id);
}

/* `id` belongs at `index` or above or below it. */
static void settle(struct timerq *q, uint32_t index, uint32_t id)
{
    if (index > 0 && earlier(q, id, q->heap[(index - 1) / 2]))
        sift_up(q, index, id);
    else
        sift_down(q, index, id);
}

void timerq_arm(struct timerq *q, uint32_t id, uint16_t dev, uint64_t tick)
{
    CHECK(id < q->capacity);
    struct timerq_timer *t = &q->timer[id];
    uint32_t index = t->index == TIMERQ_IDLE ? q->armed++ : t->index;
    t->tick = tick;
    t->dev = dev;
    t->seq = q->next_seq++;
    settle(q, index, id);
}

bool timerq_cancel(struct timerq *q, uint32_t id)
{
    CHECK(id < q->capacity);
    uint32_t index = q->timer[id].index;
    if (index == TIMERQ_IDLE)
        return false;
    q->timer[id].index = TIMERQ_IDLE;
    uint32_t last = q->heap[--q->armed];
    if (last != id)
        settle(q, index, last);
    return true;
}

bool timerq_armed(const struct timerq *q, uint32_t id)
{
    CHECK(id < q->capacity);
    return q->timer[id].index != TIMERQ_IDLE;
}

uint64_t timerq_peek(const struct timerq *q)
{
    return q->armed ? q->timer[q->heap[0]].tick : TICK_NEVER;
}

bool timerq_pop(struct timerq *q, uint64_t tick, uint32_t *id)
{
    if (!q->armed || q->timer[q->heap[0]].tick > tick)
        return false;
    *id = q->heap[0];
    return timerq_cancel(q, *id);
}
