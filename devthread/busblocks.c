/* busblocks.c - see busblocks.h. */
#include "devthread/busblocks.h"

#include "clockcore/check.h"
#include "devthread/bus.h"

#include <stdlib.h>
#include <string.h>

static bool is_drive(const struct bus *b, unsigned port)
{
    return b->board->port[port].kind == PORT_BLOCKS;
}

/* The typed port of the calling device's n-th drive; BOARD_PORTS_MAX: there is none. */
static unsigned drive_port(const struct bus *b, unsigned n)
{
    for (unsigned port = 0; port < b->board->nports; port++)
        if (is_drive(b, port) && b->board->port[port].device == b->blocks.dev && n-- == 0)
            return port;
    return BOARD_PORTS_MAX;
}

/* Of the drive, if something is connected to it. */
static const struct backend *drive_backend(const struct bus *b, unsigned port)
{
    const struct backend *be = port < BOARD_PORTS_MAX ? &b->cfg.backend[port] : NULL;

    return be && be->class && be->class->blocks_finish ? be : NULL;
}

static uint8_t *buffer(void *ctx, unsigned drive)
{
    (void)drive;
    return ((struct bus *)ctx)->blocks.buffer;
}

static void start(void *ctx, unsigned drive, const struct blocks_request *r)
{
    struct bus *b = ctx;
    const struct backend *be = drive_backend(b, drive_port(b, drive));

    CHECK(r->bytes <= BLOCKS_BYTES_MAX || r->op == BLOCKS_DISCARD);
    if (be)
        be->class->blocks_start(be->ctx, r, r->op == BLOCKS_WRITE ? b->blocks.buffer : NULL);
}

/* What the recording says of the request; BLOCKS_OK if nothing. */
static enum blocks_status replayed(const struct bus *b, unsigned port, uint32_t n)
{
    const struct busblocks_statuses *s = &b->blocks.port[port];

    return s->failed && n < BUSBLOCKS_FINISHED_MAX ? (enum blocks_status)s->status[n] : BLOCKS_OK;
}

static enum blocks_status note_status(struct bus *b, unsigned port, enum blocks_status host)
{
    struct busblocks_statuses *s = &b->blocks.port[port];
    uint32_t n = s->n++;

    if (b->cfg.replay) {
        b->replay_host_failed |= host != BLOCKS_OK && replayed(b, port, n) == BLOCKS_OK;
        return replayed(b, port, n);
    }
    if (n >= BUSBLOCKS_FINISHED_MAX)
        return BLOCKS_OK;
    s->status[n] = (uint8_t)host;
    s->failed |= host != BLOCKS_OK;
    return host;
}

static enum blocks_status finish(void *ctx, unsigned drive, const struct blocks_request *r,
                                 const uint8_t **data)
{
    struct bus *b = ctx;
    unsigned port = drive_port(b, drive);
    const struct backend *be = drive_backend(b, port);
    enum blocks_status status = BLOCKS_OK;

    CHECK(r->bytes <= BLOCKS_BYTES_MAX || r->op == BLOCKS_DISCARD);
    if (be)
        status = note_status(b, port, be->class->blocks_finish(be->ctx, r, b->blocks.buffer));
    if (r->op == BLOCKS_READ && (!be || status != BLOCKS_OK))
        memset(b->blocks.buffer, 0, r->bytes);
    if (be && (r->op == BLOCKS_READ ? be->ignore_read_errors : be->ignore_write_errors))
        status = BLOCKS_OK;
    if (data)
        *data = b->blocks.buffer;
    return status;
}

/* The recording's entry of this call. A status that no host gives is another machine's: an error. */
static void take_replayed(struct bus *b, unsigned port)
{
    struct busblocks_statuses *s = &b->blocks.port[port];

    if (!b->cfg.replay || inputlog_next_tick(b->cfg.replay) > b->blocks.tick ||
        inputlog_next_port(b->cfg.replay) != port)
        return;
    const struct inputlog_entry *e = inputlog_take(b->cfg.replay, b->blocks.tick);
    for (uint32_t i = 0; i < e->nbytes && i < BUSBLOCKS_FINISHED_MAX; i++) {
        b->replay_strayed |= e->bytes[i] > BLOCKS_NO_SPACE;
        s->status[i] = e->bytes[i] <= BLOCKS_NO_SPACE ? e->bytes[i] : BLOCKS_IO_ERROR;
    }
    s->failed = true;
}

const struct chip_blocks *busblocks_begin(struct bus *b, unsigned dev, uint64_t tick)
{
    bool any = false;

    b->blocks.dev = dev;
    b->blocks.tick = tick;
    for (uint32_t left = b->device_ports[dev]; left; left &= left - 1) {
        unsigned port = (unsigned)__builtin_ctz(left);
        if (!is_drive(b, port))
            continue;
        b->blocks.port[port] = (struct busblocks_statuses){0};
        take_replayed(b, port);
        any = true;
    }
    return any ? &b->blocks.ops : NULL;
}

void busblocks_end(struct bus *b)
{
    for (uint32_t left = b->device_ports[b->blocks.dev]; left; left &= left - 1) {
        unsigned port = (unsigned)__builtin_ctz(left);
        const struct busblocks_statuses *s = &b->blocks.port[port];
        if (!is_drive(b, port) || !s->failed || !b->cfg.record)
            continue;
        uint32_t n = s->n < BUSBLOCKS_FINISHED_MAX ? s->n : BUSBLOCKS_FINISHED_MAX;
        inputlog_record(b->cfg.record, b->blocks.tick, port, s->status, n);
    }
}

bool busblocks_init(struct bus *b)
{
    b->blocks.ops = (struct chip_blocks){.ctx = b, .buffer = buffer, .start = start, .finish = finish};
    for (unsigned port = 0; port < b->board->nports; port++)
        if (is_drive(b, port) && b->board->port[port].present && !b->blocks.buffer)
            if (!(b->blocks.buffer = calloc(1, BLOCKS_BYTES_MAX)))
                return false;
    return true;
}

void busblocks_fini(struct bus *b)
{
    free(b->blocks.buffer);
    b->blocks.buffer = NULL;
}
