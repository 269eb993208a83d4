/* inputqueue.c - see inputqueue.h. */
#include "devthread/inputqueue.h"

#include "clockcore/check.h"

#include <stdlib.h>
#include <string.h>

struct inputqueue {
    struct hostio *hostio;
    bool open;
    /* --- under hostio's lock --- */
    uint32_t head, count;
    struct {
        uint8_t bytes, byte[PORT_SMALL_BYTES];
    } entry[INPUTQUEUE_ENTRIES];
};

struct inputqueue *inputqueue_create(struct hostio *hostio, bool open)
{
    struct inputqueue *q = calloc(1, sizeof(*q));

    if (q) {
        q->hostio = hostio;
        q->open = open;
    }
    return q;
}

void inputqueue_destroy(struct inputqueue *q)
{
    free(q);
}

static bool put(struct inputqueue *q, const uint8_t *entry, uint32_t bytes)
{
    if (q->count == INPUTQUEUE_ENTRIES)
        return false;
    uint32_t at = (q->head + q->count++) % INPUTQUEUE_ENTRIES;
    q->entry[at].bytes = (uint8_t)bytes;
    memcpy(q->entry[at].byte, entry, bytes);
    hostio_input_arrived(q->hostio);
    return true;
}

bool inputqueue_put(struct inputqueue *q, const uint8_t *entry, uint32_t bytes)
{
    CHECK(bytes > 0 && bytes <= PORT_SMALL_BYTES);
    hostio_lock(q->hostio);
    bool done = put(q, entry, bytes);
    hostio_unlock(q->hostio);
    return done;
}

static bool waits(struct inputqueue *q, uint32_t room)
{
    return q->count > 0 && q->entry[q->head].bytes <= room;
}

static bool input_waiting(void *ctx, uint32_t room)
{
    struct inputqueue *q = ctx;

    hostio_lock(q->hostio);
    bool yes = waits(q, room);
    hostio_unlock(q->hostio);
    return yes;
}

static uint32_t input_take(void *ctx, uint8_t *entry, uint32_t room)
{
    struct inputqueue *q = ctx;
    uint32_t bytes = 0;

    hostio_lock(q->hostio);
    if (waits(q, room)) {
        bytes = q->entry[q->head].bytes;
        memcpy(entry, q->entry[q->head].byte, bytes);
        q->head = (q->head + 1) % INPUTQUEUE_ENTRIES;
        q->count--;
    }
    hostio_unlock(q->hostio);
    return bytes;
}

static bool input_open(void *ctx)
{
    return ((struct inputqueue *)ctx)->open;
}

const struct backend_class inputqueue_backend = {
    .input_waiting = input_waiting, .input_take = input_take, .input_open = input_open};
