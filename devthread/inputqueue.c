/* inputqueue.c - see inputqueue.h. */
#include "devthread/inputqueue.h"

#include "clockcore/check.h"

#include <stdlib.h>
#include <string.h>

struct inputqueue {
    struct hostio *hostio;
    bool open;
    uint32_t entries, entry_bytes; /* at most */
    /* --- under hostio's lock --- */
    uint32_t head, count;
    struct slot {
        uint32_t bytes;
        uint8_t byte[];
    } * slot; /* `entries` of them, slot_bytes() apart */
};

static size_t slot_bytes(const struct inputqueue *q)
{
    return sizeof(struct slot) + (q->entry_bytes + 3) / 4 * 4;
}

static struct slot *slot_at(struct inputqueue *q, uint32_t n)
{
    return (struct slot *)((char *)q->slot + n % q->entries * slot_bytes(q));
}

struct inputqueue *inputqueue_create(struct hostio *hostio, bool open, uint32_t entries, uint32_t bytes)
{
    struct inputqueue *q = calloc(1, sizeof(*q));

    if (!q)
        return NULL;
    *q = (struct inputqueue){.hostio = hostio, .open = open, .entries = entries, .entry_bytes = bytes};
    if ((q->slot = calloc(entries, slot_bytes(q))))
        return q;
    free(q);
    return NULL;
}

void inputqueue_destroy(struct inputqueue *q)
{
    if (q)
        free(q->slot);
    free(q);
}

static bool put(struct inputqueue *q, const uint8_t *entry, uint32_t bytes)
{
    if (q->count == q->entries)
        return false;
    struct slot *slot = slot_at(q, q->head + q->count++);
    slot->bytes = bytes;
    memcpy(slot->byte, entry, bytes);
    hostio_input_arrived(q->hostio);
    return true;
}

bool inputqueue_put(struct inputqueue *q, const uint8_t *entry, uint32_t bytes)
{
    CHECK(bytes > 0 && bytes <= q->entry_bytes);
    hostio_lock(q->hostio);
    bool done = put(q, entry, bytes);
    hostio_unlock(q->hostio);
    return done;
}

static bool waits(struct inputqueue *q, uint32_t room)
{
    return q->count > 0 && slot_at(q, q->head)->bytes <= room;
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
        const struct slot *slot = slot_at(q, q->head);
        bytes = slot->bytes;
        memcpy(entry, slot->byte, bytes);
        q->head = (q->head + 1) % q->entries;
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
