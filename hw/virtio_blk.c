/* virtio_blk.c - see virtio_blk.h; section numbers are those of Virtual I/O Device (VIRTIO) 1.1.
 *
 * Model: one queue. The disk takes requests in their order and does one after the other (drive.h says how
 * long each takes), so they are given back in that order. What a request says is read from memory when it is
 * taken and, for where its data goes, again when it is done. Each use of memory is a bounded batch; what is
 * left waits for the next tick. A request that the disk has not done when the driver resets the device is
 * forgotten; a write has happened.
 *
 * NOT MODELLED: CONFIG_WCE (the cache is always there: FLUSH empties it), several queues, lifetime,
 * secure erase, more than one range of a discard. */
#include "hw/virtio_blk.h"

#include "clockcore/ticks.h"
#include "hw/blocks.h"
#include "mem/master.h"

#include <string.h>

#define BATCH        16u /* requests taken, and given back, in one use of memory */
#define HEADER_BYTES 16u /* type, reserved, sector */
#define SECTOR       DRIVE_SECTOR
#define SEGMENTS_MAX (VIRTQ_SIZE_MAX - 2) /* the header and the status have one each */
#define RANGE_BYTES  16u                  /* of a discard: sector, sectors, flags */
#define CONFIG_BYTES 60u
#define HEADS        16u
#define TRACK        63u /* sectors */
#define ISR_QUEUE    1u

enum {
    TYPE_IN = 0,
    TYPE_OUT = 1,
    TYPE_FLUSH = 4,
    TYPE_GET_ID = 8,
    TYPE_DISCARD = 11,
    TYPE_WRITE_ZEROES = 13
};
enum { STATUS_OK, STATUS_IOERR, STATUS_UNSUPP };

enum { /* 5.2.3 */
       F_SEG_MAX = 1 << 2,
       F_GEOMETRY = 1 << 4,
       F_RO = 1 << 5,
       F_BLK_SIZE = 1 << 6,
       F_FLUSH = 1 << 9,
       F_DISCARD = 1 << 13,
       F_WRITE_ZEROES = 1 << 14,
};

/* --- configuration space of PCI (4.1.2: a transitional device) --- */

static const struct pci_reg regs[] = {VIRTIO_PCI_REGS(0x01, 0x01, 0x02, CONFIG_BYTES)}; /* a block device */

#define FUNCTION(n)                                                                                          \
    {                                                                                                        \
        .devfn = PCI_DEVFN(VIRTIO_BLK_SLOT(n), 0), .regs = regs, .nregs = sizeof(regs) / sizeof(regs[0]),    \
        .bar = {                                                                                             \
            [0] = {.bytes = VIRTIO_LEGACY_BYTES, .io = true},                                                \
            [4] = {.bytes = VIRTIO_MODERN_BYTES}                                                             \
        }                                                                                                    \
    }
const struct pci_function virtio_blk_function[VIRTIO_BLK_FUNCTIONS] = {FUNCTION(0), FUNCTION(1), FUNCTION(2),
                                                                       FUNCTION(3)};

/* --- the device's own configuration (5.2.4) --- */

static void put_le(uint8_t *to, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        to[i] = (uint8_t)(v >> 8 * i);
}

static void config(const struct virtio_blk *s, uint8_t c[CONFIG_BYTES])
{
    uint64_t cylinders = s->sectors / (HEADS * TRACK);
    uint32_t range_sectors = VIRTIO_BLK_BYTES_MAX / SECTOR;

    memset(c, 0, CONFIG_BYTES);
    put_le(c, s->sectors, 8);
    put_le(c + 12, SEGMENTS_MAX, 4);
    put_le(c + 16, cylinders < 16383 ? cylinders : 16383, 2);
    c[18] = HEADS;
    c[19] = TRACK;
    put_le(c + 20, SECTOR, 4);
    c[32] = 1; /* the cache is on */
    put_le(c + 34, 1, 2);
    put_le(c + 36, range_sectors, 4);
    put_le(c + 40, 1, 4);
    put_le(c + 44, 1, 4);
    put_le(c + 48, range_sectors, 4);
    put_le(c + 52, 1, 4);
    c[56] = 1;
}

static uint32_t config_read(const struct virtio_blk *s, uint32_t at, unsigned size)
{
    uint8_t c[CONFIG_BYTES];
    uint32_t v = 0;

    config(s, c);
    for (unsigned i = 0; i < size && i < 4; i++)
        v |= (uint32_t)(at + i < CONFIG_BYTES ? c[at + i] : 0) << 8 * i;
    return v;
}

static uint64_t features(const struct virtio_blk *s)
{
    return F_SEG_MAX | F_GEOMETRY | F_BLK_SIZE | F_FLUSH | F_DISCARD | F_WRITE_ZEROES |
           (s->read_only ? F_RO : 0) | VIRTIO_F_ANY_LAYOUT | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX |
           VIRTIO_F_VERSION_1;
}

/* --- registers --- */

static uint32_t pure_read(const void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    const struct virtio_blk *s = state;

    (void)now_ns;
    if (offset >= VIRTIO_LEGACY_CONFIG_AT && offset < VIRTIO_COMMON_AT)
        return config_read(s, offset - VIRTIO_LEGACY_CONFIG_AT, size);
    if (offset >= VIRTIO_DEVICE_AT && offset < VIRTIO_NOTIFY_AT)
        return config_read(s, offset - VIRTIO_DEVICE_AT, size);
    return virtio_pci_read(&s->v, &s->q, 1, offset, size);
}

static bool read_changes(const void *state, uint32_t offset)
{
    return virtio_pci_is_isr(offset) && ((const struct virtio_blk *)state)->v.isr;
}

static uint32_t read_reg(void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    struct virtio_blk *s = state;
    uint32_t v = pure_read(s, offset, size, now_ns);

    if (virtio_pci_is_isr(offset))
        s->v.isr = 0;
    return v;
}

static void schedule(struct virtio_blk *s, uint64_t now_ns)
{
    uint64_t done_ns = s->count ? s->request[s->first].done_ns : NS_NEVER;

    s->master_ns = s->notified ? now_ns : done_ns < now_ns ? now_ns : done_ns;
}

static void device_reset(struct virtio_blk *s)
{
    virtio_pci_reset(&s->v, features(s), &s->q, 1);
    s->first = s->count = 0;
    s->notified = 0;
    s->master_ns = NS_NEVER;
    memset(s->request, 0, sizeof(s->request));
}

static void write_reg(void *state, uint32_t offset, unsigned size, uint32_t value, uint64_t now_ns)
{
    struct virtio_blk *s = state;

    if (virtio_pci_is_notify(offset)) {
        s->notified |= virtio_pci_runs(&s->v) && (value & 0xFFFF) == 0;
        schedule(s, now_ns);
    } else if (virtio_pci_write(&s->v, &s->q, 1, offset, size, value)) {
        device_reset(s);
    }
}

static const char *write_error(const void *state, uint32_t offset, unsigned size, uint32_t value)
{
    const struct virtio_blk *s = state;

    (void)size;
    return virtio_pci_write_error(&s->v, &s->q, 1, offset, value);
}

static uint32_t outputs(const void *state)
{
    return ((const struct virtio_blk *)state)->v.isr ? 1 : 0;
}

/* --- requests --- */

struct work { /* what a use of memory has at hand */
    struct virtio_blk *s;
    const struct chip_master *m;
    struct virtq_features f;
    struct virtq_chain chain; /* of the request in hand */
};

static uint64_t le64(const uint8_t *b)
{
    uint64_t v = 0;

    for (unsigned i = 8; i-- > 0;)
        v = v << 8 | b[i];
    return v;
}

static uint64_t written_bytes(const struct virtq_chain *c)
{
    return c->bytes - c->read_bytes;
}

/* Bytes of data that the chain has for the request: all but its header and its status. */
static uint64_t data_bytes(const struct virtq_chain *c, uint8_t type)
{
    return type == TYPE_IN || type == TYPE_GET_ID ? written_bytes(c) - 1 : c->read_bytes - HEADER_BYTES;
}

static bool on_disk(const struct virtio_blk *s, uint64_t sector, uint64_t bytes)
{
    return bytes % SECTOR == 0 && bytes <= VIRTIO_BLK_BYTES_MAX && sector <= s->sectors &&
           bytes / SECTOR <= s->sectors - sector;
}

/* 5.2.6: a discard or a write of zeroes has its range as data. */
static uint8_t read_range(struct work *w, struct virtio_blk_request *r)
{
    uint8_t range[RANGE_BYTES];

    if (data_bytes(&w->chain, r->type) != RANGE_BYTES)
        return STATUS_UNSUPP;
    if (!virtq_read(&w->chain, w->m->memory, HEADER_BYTES, range, sizeof(range)))
        return STATUS_IOERR;
    uint64_t bytes = (le64(range + 8) & UINT32_MAX) * SECTOR;
    r->sector = le64(range);
    r->bytes = bytes <= VIRTIO_BLK_BYTES_MAX ? (uint32_t)bytes : 0;
    return w->s->read_only || !on_disk(w->s, r->sector, bytes) ? STATUS_IOERR : STATUS_OK;
}

static uint8_t read_data_length(struct work *w, struct virtio_blk_request *r)
{
    uint64_t bytes = data_bytes(&w->chain, r->type);

    if (!on_disk(w->s, r->sector, bytes) || (r->type == TYPE_OUT && w->s->read_only))
        return STATUS_IOERR;
    r->bytes = (uint32_t)bytes;
    return STATUS_OK;
}

/* What the request is; r->bytes is 0 where it is refused. */
static uint8_t read_request(struct work *w, struct virtio_blk_request *r)
{
    switch (r->type) {
    case TYPE_IN:
    case TYPE_OUT:
        return read_data_length(w, r);
    case TYPE_DISCARD:
    case TYPE_WRITE_ZEROES:
        return read_range(w, r);
    case TYPE_FLUSH:
    case TYPE_GET_ID:
        return STATUS_OK;
    default:
        return STATUS_UNSUPP;
    }
}

static enum blocks_op request_op(uint8_t type)
{
    return type == TYPE_IN      ? BLOCKS_READ
           : type == TYPE_OUT   ? BLOCKS_WRITE
           : type == TYPE_FLUSH ? BLOCKS_FLUSH
                                : BLOCKS_DISCARD;
}

/* The part of the request from `at` on that one request for blocks can be. */
static struct blocks_request part(const struct virtio_blk *s, const struct virtio_blk_request *r, uint32_t at)
{
    uint32_t left = r->bytes - at, most = r->type == TYPE_IN || r->type == TYPE_OUT ? BLOCKS_BYTES_MAX : left;

    return (struct blocks_request){.offset = r->type == TYPE_FLUSH ? 0 : r->sector * SECTOR + at,
                                   .bytes = left < most ? left : most,
                                   .tag = (uint16_t)(r - s->request),
                                   .op = (uint8_t)request_op(r->type)};
}

/* Parts before the last are over at once: the drive's queue knows one request a tag. */
static void start_write(struct work *w, struct virtio_blk_request *r)
{
    const struct chip_blocks *b = w->m->blocks;

    for (uint32_t at = 0; at < r->bytes && r->status == STATUS_OK;) {
        struct blocks_request p = part(w->s, r, at);
        if (!virtq_read(&w->chain, w->m->memory, HEADER_BYTES + (uint64_t)at, b->buffer(b->ctx, 0),
                        p.bytes)) {
            r->status = STATUS_IOERR;
            return;
        }
        b->start(b->ctx, 0, &p);
        at += p.bytes;
        if (at < r->bytes && b->finish(b->ctx, 0, &p, NULL) != BLOCKS_OK)
            r->status = STATUS_IOERR;
    }
}

static void start_blocks(struct work *w, struct virtio_blk_request *r)
{
    struct blocks_request p = part(w->s, r, 0);

    if (r->status != STATUS_OK || r->type == TYPE_GET_ID || !w->m->blocks)
        return;
    if (r->type == TYPE_OUT)
        start_write(w, r);
    else
        w->m->blocks->start(w->m->blocks->ctx, 0, &p);
}

/* 2.6.4.2, 5.2.6: a chain without room for header and status cannot even be refused. */
static bool get_chain(struct work *w, uint16_t head)
{
    return virtq_chain(&w->s->q, w->m->memory, w->f, head, &w->chain) == VIRTQ_OK &&
           w->chain.read_bytes >= HEADER_BYTES && written_bytes(&w->chain) >= 1;
}

/* When the disk is done with it. What it refuses, or knows by itself, waits behind the others only. */
static uint64_t done_ns(struct virtio_blk *s, const struct virtio_blk_request *r, uint64_t now_ns)
{
    struct blocks_request whole = {
        .offset = r->sector * SECTOR, .bytes = r->bytes, .op = (uint8_t)request_op(r->type)};

    if (r->status != STATUS_OK || r->type == TYPE_GET_ID)
        return s->clock.free_ns > now_ns ? s->clock.free_ns : now_ns;
    return drive_request(&s->clock, &whole, now_ns);
}

/* False: the queue is broken. */
static bool start_request(struct work *w, uint16_t head, uint64_t now_ns)
{
    struct virtio_blk *s = w->s;
    uint8_t header[HEADER_BYTES];

    if (s->count == VIRTQ_SIZE_MAX || !get_chain(w, head) ||
        !virtq_read(&w->chain, w->m->memory, 0, header, sizeof(header)))
        return false;
    struct virtio_blk_request *r = &s->request[(s->first + s->count++) % VIRTQ_SIZE_MAX];
    uint64_t type = le64(header) & UINT32_MAX;
    *r = (struct virtio_blk_request){
        .head = head, .type = type <= UINT8_MAX ? (uint8_t)type : UINT8_MAX, .sector = le64(header + 8)};
    r->status = read_request(w, r);
    start_blocks(w, r);
    r->done_ns = done_ns(s, r, now_ns);
    return true;
}

/* 2.6.13.1: all that is there; the driver need not tell of each. */
static bool take_requests(struct work *w, uint64_t now_ns)
{
    struct virtio_blk *s = w->s;
    uint16_t head;

    for (unsigned i = 0; i < BATCH; i++) {
        enum virtq_result r = virtq_take(&s->q, w->m->memory, w->f, &head);
        if (r == VIRTQ_EMPTY) {
            s->notified = 0;
            return true;
        }
        if (r == VIRTQ_BROKEN || !start_request(w, head, now_ns))
            return false;
    }
    return true;
}

/* --- their ends --- */

static uint8_t finish_read(struct work *w, const struct virtio_blk_request *r)
{
    const struct chip_blocks *b = w->m->blocks;
    const uint8_t *data;

    for (uint32_t at = 0; at < r->bytes;) {
        struct blocks_request p = part(w->s, r, at);
        if (b->finish(b->ctx, 0, &p, &data) != BLOCKS_OK ||
            !virtq_write(&w->chain, w->m->memory, at, data, p.bytes))
            return STATUS_IOERR;
        at += p.bytes;
    }
    return STATUS_OK;
}

/* Of a write the last part: the others are over. */
static uint8_t finish_other(struct work *w, const struct virtio_blk_request *r)
{
    uint32_t at = r->type == TYPE_OUT && r->bytes ? (r->bytes - 1) / BLOCKS_BYTES_MAX * BLOCKS_BYTES_MAX : 0;
    struct blocks_request p = part(w->s, r, at);

    return w->m->blocks->finish(w->m->blocks->ctx, 0, &p, NULL) == BLOCKS_OK ? STATUS_OK : STATUS_IOERR;
}

static uint8_t finish_id(struct work *w)
{
    uint64_t room = written_bytes(&w->chain) - 1;
    uint32_t n = room < DRIVE_SERIAL_BYTES ? (uint32_t)room : DRIVE_SERIAL_BYTES;

    return virtq_write(&w->chain, w->m->memory, 0, w->s->serial, n) ? STATUS_OK : STATUS_IOERR;
}

static uint8_t finish_blocks(struct work *w, const struct virtio_blk_request *r)
{
    if (r->status != STATUS_OK)
        return r->status;
    if (r->type == TYPE_GET_ID)
        return finish_id(w);
    if (!w->m->blocks)
        return STATUS_IOERR;
    return r->type == TYPE_IN ? finish_read(w, r) : finish_other(w, r);
}

/* False: the queue is broken. */
static bool finish_request(struct work *w)
{
    struct virtio_blk *s = w->s;
    struct virtio_blk_request *r = &s->request[s->first];
    bool notify;

    if (!get_chain(w, r->head))
        return false;
    uint8_t status = finish_blocks(w, r);
    uint64_t last = written_bytes(&w->chain) - 1;
    uint32_t written = r->type == TYPE_IN && status == STATUS_OK ? r->bytes + 1 : 1;
    if (!virtq_write(&w->chain, w->m->memory, last, &status, 1) ||
        virtq_give(&s->q, w->m->memory, w->f, r->head, written, &notify) != VIRTQ_OK)
        return false;
    s->v.isr |= notify ? ISR_QUEUE : 0;
    *r = (struct virtio_blk_request){0};
    s->first = (uint16_t)((s->first + 1) % VIRTQ_SIZE_MAX);
    s->count--;
    return true;
}

static bool finish_requests(struct work *w, uint64_t now_ns)
{
    for (unsigned i = 0; i < BATCH && w->s->count && w->s->request[w->s->first].done_ns <= now_ns; i++)
        if (!finish_request(w))
            return false;
    return true;
}

static uint64_t next_master(const void *state)
{
    return ((const struct virtio_blk *)state)->master_ns;
}

static void broken(struct virtio_blk *s)
{
    virtio_pci_broken(&s->v);
    s->notified = 0;
    s->first = s->count = 0;
}

/* Without memory (bus mastering is off) everything waits for the driver's next word. */
static void master(void *state, const struct chip_master *m, uint64_t now_ns)
{
    struct virtio_blk *s = state;
    struct work w = {.s = s, .m = m, .f = virtio_pci_queue_features(&s->v)};

    if (!m->memory) {
        s->notified = 0;
        s->master_ns = NS_NEVER;
        return;
    }
    if (!finish_requests(&w, now_ns) || (s->notified && !take_requests(&w, now_ns)))
        broken(s);
    schedule(s, now_ns);
}

/* --- life --- */

static void reset(void *state, uint64_t now_ns)
{
    struct virtio_blk *s = state;

    (void)now_ns;
    memset(s, 0, sizeof(*s));
    device_reset(s);
}

void virtio_blk_fit(struct virtio_blk *s, const struct drive_config *disk)
{
    s->sectors = disk->bytes / SECTOR;
    s->read_only = disk->read_only;
    memset(s->serial, 0, sizeof(s->serial));
    memcpy(s->serial, disk->serial, strnlen(disk->serial, DRIVE_SERIAL_BYTES));
    device_reset(s);
}

void virtio_blk_reset_pin(struct virtio_blk *s)
{
    device_reset(s);
    s->clock = (struct drive_clock){0};
}

static const struct field fields[] = {
    VIRTIO_PCI_FIELDS(struct virtio_blk, v),
    VIRTQ_FIELDS(struct virtio_blk, q),
    FIELD(struct virtio_blk, sectors),
    FIELD(struct virtio_blk, master_ns),
    FIELD(struct virtio_blk, clock.free_ns),
    FIELD(struct virtio_blk, clock.next),
    FIELD_MAX(struct virtio_blk, first, VIRTQ_SIZE_MAX - 1),
    FIELD_MAX(struct virtio_blk, count, VIRTQ_SIZE_MAX),
    FIELD_MAX(struct virtio_blk, notified, 1),
    FIELD_MAX(struct virtio_blk, read_only, 1),
    FIELD_ARRAY(struct virtio_blk, reserved),
    FIELD_ARRAY(struct virtio_blk, serial),
    FIELD_COLUMN(struct virtio_blk, request, done_ns),
    FIELD_COLUMN(struct virtio_blk, request, sector),
    FIELD_COLUMN(struct virtio_blk, request, bytes),
    FIELD_COLUMN(struct virtio_blk, request, head),
    FIELD_COLUMN(struct virtio_blk, request, type),
    FIELD_COLUMN(struct virtio_blk, request, status),
};

const struct chip_class virtio_blk_class = {
    .name = "virtio-blk",
    .state_bytes = sizeof(struct virtio_blk),
    .fields = fields,
    .nfields = sizeof fields / sizeof fields[0],
    .reset = reset,
    .read = read_reg,
    .write = write_reg,
    .write_error = write_error,
    .pure_read = pure_read,
    .read_changes = read_changes,
    .outputs = outputs,
    .next_master = next_master,
    .master = master,
};
