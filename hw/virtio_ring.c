/* virtio_ring.c - see virtio_ring.h; section numbers are those of Virtual I/O Device (VIRTIO) 1.1. */
#include "hw/virtio_ring.h"

#include "mem/master.h"

#define DESC_BYTES         16u
#define DESC_NEXT          1u /* 2.6.5: flags */
#define DESC_WRITE         2u
#define DESC_INDIRECT      4u
#define AVAIL_NO_INTERRUPT 1u /* 2.6.6 */
#define RING_INDEX         2u /* of avail and used: behind the flags */
#define RING_ENTRIES       4u
#define USED_ENTRY_BYTES   8u

struct desc {
    uint64_t address;
    uint32_t bytes;
    uint16_t flags, next;
};

/* A table of descriptors: the queue's, or one that a descriptor points to. */
struct table {
    uint64_t address;
    uint32_t n;
};

static bool get16(const struct mem_master *m, uint64_t at, uint16_t *v)
{
    uint8_t b[2];

    if (mem_master_read(m, at, b, sizeof(b)) == MEM_NOT_THERE)
        return false;
    *v = (uint16_t)(b[0] | b[1] << 8);
    return true;
}

static bool put16(const struct mem_master *m, uint64_t at, uint16_t v)
{
    const uint8_t b[2] = {(uint8_t)v, (uint8_t)(v >> 8)};

    return mem_master_write(m, at, b, sizeof(b)) != MEM_NOT_THERE;
}

static uint32_t le32(const uint8_t *b)
{
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* --- which chains are available, which are used --- */

/* 2.6.7.1, 2.6.10: behind the entries of a ring stands the index whose passing the other side waits for. */
static uint64_t used_event_at(const struct virtq *q)
{
    return q->avail + RING_ENTRIES + 2u * q->size;
}

static uint64_t avail_event_at(const struct virtq *q)
{
    return q->used + RING_ENTRIES + USED_ENTRY_BYTES * (uint64_t)q->size;
}

static bool usable(const struct virtq *q)
{
    return q->enabled && q->size > 0 && q->size <= VIRTQ_SIZE_MAX;
}

enum virtq_result virtq_take(struct virtq *q, const struct mem_master *memory, struct virtq_features f,
                             uint16_t *head)
{
    uint16_t index;

    if (!usable(q))
        return VIRTQ_EMPTY;
    if (!get16(memory, q->avail + RING_INDEX, &index))
        return VIRTQ_BROKEN;
    uint16_t waiting = (uint16_t)(index - q->avail_index);
    if (waiting > q->size)
        return VIRTQ_BROKEN;
    if (waiting == 0)
        return VIRTQ_EMPTY;
    uint64_t entry = q->avail + RING_ENTRIES + 2u * (q->avail_index & (q->size - 1u));
    if (!get16(memory, entry, head) || *head >= q->size)
        return VIRTQ_BROKEN;
    q->avail_index++;
    if (f.event_index && !put16(memory, avail_event_at(q), q->avail_index))
        return VIRTQ_BROKEN;
    return VIRTQ_OK;
}

/* 2.6.7.2: without VIRTIO_F_EVENT_IDX a flag says whether the driver wants to be told; with it, the index
 * that the used ring has to pass. */
static bool wants_interrupt(const struct virtq *q, const struct mem_master *memory, struct virtq_features f,
                            bool *notify)
{
    uint16_t v;

    if (!get16(memory, f.event_index ? used_event_at(q) : q->avail, &v))
        return false;
    *notify = f.event_index ? v == (uint16_t)(q->used_index - 1) : !(v & AVAIL_NO_INTERRUPT);
    return true;
}

enum virtq_result virtq_give(struct virtq *q, const struct mem_master *memory, struct virtq_features f,
                             uint16_t head, uint32_t written, bool *notify)
{
    const uint8_t entry[USED_ENTRY_BYTES] = {(uint8_t)head,
                                             (uint8_t)(head >> 8),
                                             0,
                                             0,
                                             (uint8_t)written,
                                             (uint8_t)(written >> 8),
                                             (uint8_t)(written >> 16),
                                             (uint8_t)(written >> 24)};

    *notify = false;
    if (!usable(q))
        return VIRTQ_BROKEN;
    uint64_t at = q->used + RING_ENTRIES + USED_ENTRY_BYTES * (uint64_t)(q->used_index & (q->size - 1u));
    if (mem_master_write(memory, at, entry, sizeof(entry)) == MEM_NOT_THERE)
        return VIRTQ_BROKEN;
    q->used_index++;
    if (!put16(memory, q->used + RING_INDEX, q->used_index) || !wants_interrupt(q, memory, f, notify))
        return VIRTQ_BROKEN;
    return VIRTQ_OK;
}

/* --- chains --- */

static bool get_desc(const struct mem_master *memory, struct table t, uint32_t n, struct desc *d)
{
    uint8_t b[DESC_BYTES];

    if (n >= t.n || mem_master_read(memory, t.address + (uint64_t)n * DESC_BYTES, b, sizeof(b)) != MEM_OK)
        return false;
    d->address = le32(b) | (uint64_t)le32(b + 4) << 32;
    d->bytes = le32(b + 8);
    d->flags = (uint16_t)(b[12] | b[13] << 8);
    d->next = (uint16_t)(b[14] | b[15] << 8);
    return true;
}

/* 2.6.4.2: what the device reads comes first. */
static bool add_segment(struct virtq_chain *c, const struct desc *d)
{
    bool write = d->flags & DESC_WRITE;

    if (c->n == VIRTQ_SEGMENTS_MAX || (!write && c->n > c->nread))
        return false;
    c->segment[c->n++] = (struct virtq_segment){d->address, d->bytes};
    c->bytes += d->bytes;
    if (!write) {
        c->nread++;
        c->read_bytes += d->bytes;
    }
    return true;
}

/* 2.6.5.3: a descriptor with the flag is the only one of its chain in the queue's own table here: one that
 * comes behind others is as good. A table in a table is not. */
static bool enter_table(const struct desc *d, struct table *t, bool *inside)
{
    if (*inside || d->bytes % DESC_BYTES || d->bytes == 0 || d->bytes / DESC_BYTES > VIRTQ_SIZE_MAX ||
        (d->flags & DESC_NEXT))
        return false;
    *t = (struct table){d->address, d->bytes / DESC_BYTES};
    *inside = true;
    return true;
}

enum virtq_result virtq_chain(const struct virtq *q, const struct mem_master *memory, struct virtq_features f,
                              uint16_t head, struct virtq_chain *c)
{
    struct table t = {q->desc, q->size};
    uint32_t n = head;
    bool inside = false;
    struct desc d;

    c->n = c->nread = 0;
    c->bytes = c->read_bytes = 0;
    for (unsigned steps = 0; steps < 2 * VIRTQ_SIZE_MAX; steps++) {
        if (!get_desc(memory, t, n, &d))
            return VIRTQ_BROKEN;
        if (d.flags & DESC_INDIRECT) {
            if (!f.indirect || !enter_table(&d, &t, &inside))
                return VIRTQ_BROKEN;
            n = 0;
            continue;
        }
        if (!add_segment(c, &d))
            return VIRTQ_BROKEN;
        if (!(d.flags & DESC_NEXT))
            return VIRTQ_OK;
        n = d.next;
    }
    return VIRTQ_BROKEN;
}

/* Calls copy for each piece of [offset, +bytes) of the segments [first, end). */
typedef bool copy_fn(const struct mem_master *memory, uint64_t address, uint8_t *here, uint32_t bytes);

static bool each_piece(const struct virtq_chain *c, unsigned first, unsigned end,
                       const struct mem_master *memory, uint64_t offset, uint8_t *here, uint32_t bytes,
                       copy_fn *copy)
{
    for (unsigned i = first; i < end && bytes > 0; i++) {
        const struct virtq_segment *s = &c->segment[i];
        if (offset >= s->bytes) {
            offset -= s->bytes;
            continue;
        }
        uint32_t n = s->bytes - (uint32_t)offset;
        n = n < bytes ? n : bytes;
        if (!copy(memory, s->address + offset, here, n))
            return false;
        here += n;
        bytes -= n;
        offset = 0;
    }
    return bytes == 0;
}

static bool copy_in(const struct mem_master *memory, uint64_t address, uint8_t *here, uint32_t bytes)
{
    return mem_master_read(memory, address, here, bytes) != MEM_NOT_THERE;
}

static bool copy_out(const struct mem_master *memory, uint64_t address, uint8_t *here, uint32_t bytes)
{
    return mem_master_write(memory, address, here, bytes) != MEM_NOT_THERE;
}

bool virtq_read(const struct virtq_chain *c, const struct mem_master *memory, uint64_t offset, void *to,
                uint32_t bytes)
{
    return each_piece(c, 0, c->nread, memory, offset, to, bytes, copy_in);
}

bool virtq_write(const struct virtq_chain *c, const struct mem_master *memory, uint64_t offset,
                 const void *from, uint32_t bytes)
{
    return each_piece(c, c->nread, c->n, memory, offset, (uint8_t *)(uintptr_t)from, bytes, copy_out);
}
