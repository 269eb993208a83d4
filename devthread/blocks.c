/* blocks.c - see blocks.h. */
#include "devthread/blocks.h"

#include "clockcore/clock.h"
#include "devthread/overlay.h"
#include "syncq/activity.h"
#include "syncq/pinning.h"
#include "syncq/pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NAME_BYTES   256
#define DELAY_NS_MAX 50000000u
#define SLICE_NS     50000000 /* a thread that waits looks so often whether it should end */
#define NOW_BYTES    262144u  /* most bytes of a read that the guest's thread does itself */
#define AHEAD_ROW    2u /* reading ahead begins when so many reads in a row began where the one before ended */
#define AHEAD_PIECES 3u      /* most pieces read ahead of a guest at a time */
#define AHEAD_BYTES  262144u /* about the length of a piece, which is a multiple of the guest's request */

enum state {
    STATE_HELD,    /* waits until earlier requests for the same bytes are done */
    STATE_RUNNING, /* a thread of the pool works on it */
    STATE_DONE,
};

struct request {
    struct pool_job job; /* the first field: the pool hands this pointer back */
    struct blocks_drive *drive;
    struct request *next; /* the list is in the order in which requests started */
    struct blocks_request r;
    enum state state;
    bool stale;     /* a read: a write of its sectors started later */
    bool refused;   /* it does not fit the medium, or reads what is bad there: nothing is done */
    bool forgotten; /* the guest's chip will not ask for its result */
    bool ahead;     /* a piece that is read before the guest asks for it; never held */
    int error;      /* errno */
    uint64_t delay_ns;
    uint8_t *data; /* what a read or a write transfers; NULL: nothing, or no longer needed */
    uint64_t slice[OVERLAY_SLICE_WORDS];
};
_Static_assert(BLOCKS_BYTES_MAX / MEDIUM_SECTOR + 2 == OVERLAY_SLICE_SECTORS, "MATCH BLOCKS_BYTES_MAX");

struct blocks_drive {
    struct blocks *blocks;
    struct medium *medium;
    struct overlay *overlay; /* holds what the guest wrote; NULL: writes go to the medium */
    bool is_aside;           /* between blocks_set_aside and blocks_take_back or blocks_drop_aside */
    struct overlay *aside_overlay;
    struct medium *aside_medium;
    struct request *first, **last; /* requests that the chip has started and not finished */
    uint32_t pending;              /* length of that list */
    uint64_t pending_bytes;
    uint64_t read_end;                     /* where the read that started last ends */
    unsigned in_a_row;                     /* reads, the last ones, that began where another ended */
    bool told;                             /* an error of the host was reported on stderr */
    uint8_t on_read_error, on_write_error; /* enum backend_error */
    char name[NAME_BYTES];
    const char *label;
    struct blocks_drive_stats stats;
};

struct blocks_medium {
    struct medium *medium;
    struct overlay *overlay; /* NULL: none */
    char name[NAME_BYTES];
};

struct blocks {
    struct blocks_config cfg;
    /* --- used by any thread that holds `lock` --- */
    pthread_mutex_t lock;
    pthread_cond_t retry;
    unsigned waiting; /* requests that failed and are tried again */
    uint64_t retries; /* how often a user has asked to try them at once */
    /* --- used by the thread that has the baton --- */
    struct pool *pool;
    struct blocks_drive *drive[BLOCKS_DRIVES_MAX];
    unsigned ndrives;
    uint64_t random;
    struct blocks_stats stats;
};

static const char *const verbs[] = {"reading", "writing", "flushing", "discarding"}; /* enum blocks_op */

/* --- on the pool's threads --- */

/* Whole sectors of a discard; what it covers in part stays. */
static void discarded(const struct blocks_request *r, uint64_t *first, uint64_t *sectors)
{
    uint64_t end = (r->offset + r->bytes) / MEDIUM_SECTOR;

    *first = (r->offset + MEDIUM_SECTOR - 1) / MEDIUM_SECTOR;
    *sectors = end > *first ? end - *first : 0;
}

static int discard(struct blocks_drive *d, const struct blocks_request *r)
{
    uint64_t first, sectors;

    discarded(r, &first, &sectors);
    return d->overlay ? overlay_zero(d->overlay, first * MEDIUM_SECTOR, sectors * MEDIUM_SECTOR)
                      : medium_zero(d->medium, first * MEDIUM_SECTOR, sectors * MEDIUM_SECTOR);
}

static int write_through(struct blocks_drive *d, const struct blocks_request *r, const uint8_t *data)
{
    int error = medium_write(d->medium, r->offset, data, r->bytes);

    return error == 0 && r->fua ? medium_flush(d->medium) : error;
}

/* A private overlay ends with the run: there is nothing to flush. */
static int carry_out(struct blocks_drive *d, struct request *q)
{
    const struct blocks_request *r = &q->r;

    if (q->refused)
        return EIO;
    switch ((enum blocks_op)r->op) {
    case BLOCKS_READ:
        return d->overlay ? overlay_read(d->overlay, q->slice, r->offset, q->data, r->bytes)
                          : medium_read(d->medium, r->offset, q->data, r->bytes);
    case BLOCKS_WRITE:
        return d->overlay ? overlay_write(d->overlay, q->slice, r->offset, q->data, r->bytes)
                          : write_through(d, r, q->data);
    case BLOCKS_FLUSH:
        return d->overlay ? 0 : medium_flush(d->medium);
    case BLOCKS_DISCARD:
        return discard(d, r);
    }
    return EINVAL;
}

static bool is_full(int error)
{
    return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

static bool may_try_again(const struct request *q)
{
    uint8_t how = q->r.op == BLOCKS_READ ? q->drive->on_read_error : q->drive->on_write_error;

    return q->error && !q->refused && !q->ahead &&
           (how == BACKEND_WAIT || (how == BACKEND_NOSPACE && is_full(q->error)));
}

static const char *error_text(int error)
{
    return error == ENODATA     ? "the image has become shorter"
           : error == ESHUTDOWN ? "the block server has gone"
                                : strerror(error);
}

static void tell_waiting(const struct request *q)
{
    const struct blocks_config *cfg = &q->drive->blocks->cfg;
    char line[NAME_BYTES + 256];

    snprintf(line, sizeof(line),
             "%s: %s %u bytes at %llu failed: %s; the guest waits, it is tried again each second",
             q->drive->name, verbs[q->r.op & 3], q->r.bytes, (unsigned long long)q->r.offset,
             error_text(q->error));
    if (cfg->notice)
        cfg->notice(cfg->notice_ctx, line);
}

/* Any thread. */
static void report(const struct request *q, bool waits, bool first)
{
    const struct blocks_drive *d = q->drive;
    const struct blocks_config *cfg = &d->blocks->cfg;
    const bool read = q->r.op == BLOCKS_READ;
    const struct blocks_error e = {.drive = d->label ? d->label : "",
                                   .write = !read,
                                   .waits = waits,
                                   .first = first,
                                   .ignored = (read ? d->on_read_error : d->on_write_error) == BACKEND_IGNORE,
                                   .no_space = is_full(q->error),
                                   .reason = error_text(q->error)};

    if (cfg->error)
        cfg->error(cfg->error_ctx, &e);
}

/* Waits for a second, or until a user asks to try again. False: the run ends. */
static bool wait_a_second(struct blocks *b, uint64_t *retries)
{
    struct timespec until;
    bool ending = false;

    pthread_mutex_lock(&b->lock);
    for (unsigned i = 0; i < 20 && *retries == b->retries && !(ending = pool_is_ending(b->pool)); i++) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += SLICE_NS;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&b->retry, &b->lock, &until);
    }
    *retries = b->retries;
    pthread_mutex_unlock(&b->lock);
    return !ending && !pool_is_ending(b->pool);
}

static unsigned change_waiting(struct blocks *b, int by, uint64_t *retries)
{
    pthread_mutex_lock(&b->lock);
    unsigned waiting = b->waiting += (unsigned)by;
    *retries = b->retries;
    pthread_mutex_unlock(&b->lock);
    return waiting;
}

static void try_again(struct request *q)
{
    struct blocks *b = q->drive->blocks;
    uint64_t retries, before;
    bool first = change_waiting(b, 1, &retries) == 1;

    tell_waiting(q);
    report(q, true, first);
    while (may_try_again(q) && (before = retries, wait_a_second(b, &retries))) {
        q->error = carry_out(q->drive, q);
        if (may_try_again(q) && before != retries) /* a user who asked wants the answer */
            report(q, true, true);
    }
    change_waiting(b, -1, &retries);
}

static void run(void *ctx, unsigned worker, struct pool_job *job)
{
    struct request *q = (struct request *)job;

    (void)ctx;
    (void)worker;
    if (q->delay_ns)
        nanosleep(&(struct timespec){.tv_nsec = (long)q->delay_ns}, NULL);
    q->error = carry_out(q->drive, q);
    if (may_try_again(q))
        try_again(q);
}

/* --- which requests go together --- */

static bool changes(const struct blocks_request *r)
{
    return r->op == BLOCKS_WRITE || r->op == BLOCKS_DISCARD;
}

static uint64_t first_sector(const struct blocks_request *r)
{
    return r->offset / MEDIUM_SECTOR;
}

/* The sector behind the request's last one. offset + bytes may overflow: such a request ends beyond every
 * medium. */
static uint64_t end_sector(const struct blocks_request *r)
{
    return r->offset > UINT64_MAX / 2 ? UINT64_MAX
                                      : (r->offset + r->bytes + MEDIUM_SECTOR - 1) / MEDIUM_SECTOR;
}

static bool overlap(const struct blocks_request *a, const struct blocks_request *b)
{
    return first_sector(a) < end_sector(b) && first_sector(b) < end_sector(a);
}

/* Must b, which started later, wait for a? */
static bool must_wait(const struct blocks_request *a, const struct blocks_request *b)
{
    if (b->op == BLOCKS_FLUSH)
        return changes(a);
    return a->op != BLOCKS_FLUSH && (changes(a) || changes(b)) && overlap(a, b);
}

/* --- the list --- */

static void append(struct blocks_drive *d, struct request *q)
{
    q->next = NULL;
    *d->last = q;
    d->last = &q->next;
}

static void take_out(struct blocks_drive *d, struct request *q)
{
    struct request **at = &d->first;

    while (*at != q)
        at = &(*at)->next;
    *at = q->next;
    if (d->last == &q->next)
        d->last = at;
}

static void drop_data(struct blocks_drive *d, struct request *q)
{
    if (q->data)
        d->pending_bytes -= q->r.bytes;
    free(q->data);
    q->data = NULL;
}

static void destroy(struct blocks_drive *d, struct request *q)
{
    take_out(d, q);
    drop_data(d, q);
    d->pending--;
    free(q);
}

/* What -x-host-delay adds to the time of a request: for some up to 50 ms, for others nothing. */
static uint64_t random_delay_ns(struct blocks *b)
{
    if (!b->cfg.delay_seed)
        return 0;
    b->random = b->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
    uint64_t r = b->random >> 33;
    uint64_t one_in = b->cfg.delay_one_in ? b->cfg.delay_one_in : 2;
    return r % one_in == 0 ? r / one_in % DELAY_NS_MAX : 0;
}

static uint64_t sectors_of(const struct blocks_request *r)
{
    return end_sector(r) - first_sector(r);
}

static bool is_on_medium(const struct blocks_drive *d, const struct blocks_request *r)
{
    return d->medium && r->offset <= d->medium->bytes && r->bytes <= d->medium->bytes - r->offset;
}

/* Copies what the request needs of the overlay's map, and enters there what it will write. */
static void map_request(struct blocks_drive *d, struct request *q)
{
    const struct blocks_request *r = &q->r;
    uint64_t first = first_sector(r), sectors = sectors_of(r);

    q->refused = !is_on_medium(d, r);
    if (!d->overlay || q->refused || r->op == BLOCKS_FLUSH)
        return;
    if (r->op == BLOCKS_DISCARD)
        discarded(r, &first, &sectors);
    else if (!overlay_slice(d->overlay, first, sectors, q->slice))
        q->refused = r->op == BLOCKS_READ || r->offset % MEDIUM_SECTOR || r->bytes % MEDIUM_SECTOR;
    if (changes(r) && !q->refused)
        overlay_mark(d->overlay, first, sectors);
}

/* Enters sectors that the host failed to write as bad: reads of them fail until a write of them succeeds. */
static void map_result(struct blocks_drive *d, const struct request *q)
{
    uint64_t first = first_sector(&q->r), sectors = sectors_of(&q->r);

    if (!d->overlay || !changes(&q->r) || q->refused)
        return;
    if (q->r.op == BLOCKS_DISCARD)
        discarded(&q->r, &first, &sectors);
    overlay_set_bad(d->overlay, first, sectors, q->error != 0);
}

/* Does a short read at once if the host has its bytes in memory: that needs no thread. False: not done. */
static bool read_now(struct blocks_drive *d, struct request *q)
{
    const struct blocks_request *r = &q->r;

    if (r->op != BLOCKS_READ || r->bytes > NOW_BYTES || q->refused || !q->data || d->blocks->cfg.delay_seed)
        return false;
    q->error = d->overlay ? overlay_read_now(d->overlay, q->slice, r->offset, q->data, r->bytes)
                          : medium_read_now(d->medium, r->offset, q->data, r->bytes);
    if (q->error)
        return false;
    q->state = STATE_DONE;
    d->blocks->stats.at_once++;
    return true;
}

static bool is_piece(const struct request *q)
{
    return q->ahead && !q->forgotten && !q->stale;
}

/* The piece, read or being read ahead, that covers all bytes of a read; NULL: none. */
static struct request *piece_of(const struct blocks_drive *d, const struct blocks_request *r)
{
    for (struct request *a = d->first; a; a = a->next)
        if (is_piece(a) && r->offset >= a->r.offset && r->bytes <= a->r.bytes &&
            r->offset - a->r.offset <= a->r.bytes - r->bytes)
            return a;
    return NULL;
}

/* Gives a read its bytes from a piece. A piece of the same length hands its buffer over, which saves the
 * copy. */
static void take_from_piece(struct request *q, struct request *a)
{
    uint8_t *data = q->data;

    if (a->r.bytes == q->r.bytes) {
        q->data = a->data;
        a->data = data;
        a->stale = true; /* the piece has no bytes any more */
    } else {
        memcpy(data, a->data + (q->r.offset - a->r.offset), q->r.bytes);
    }
    q->state = STATE_DONE;
}

/* False: no piece covers the read. True: the read is done, or is held until the piece is read. */
static bool read_from_piece(struct blocks_drive *d, struct request *q)
{
    struct request *a = q->r.op == BLOCKS_READ && q->data ? piece_of(d, &q->r) : NULL;

    if (a && a->state == STATE_DONE)
        take_from_piece(q, a);
    return a != NULL;
}

static bool is_free(const struct blocks_drive *d, const struct blocks_request *r,
                    const struct request *before)
{
    for (const struct request *p = d->first; p != before; p = p->next)
        if (p->state != STATE_DONE && must_wait(&p->r, r))
            return false;
    return true;
}

static void to_pool(struct blocks_drive *d, struct request *q)
{
    q->state = STATE_RUNNING;
    q->delay_ns = random_delay_ns(d->blocks);
    pool_submit(d->blocks->pool, &q->job);
}

/* Hands the request to the pool, unless it has to wait for an earlier request. */
static void submit(struct blocks_drive *d, struct request *q)
{
    if (!is_free(d, &q->r, q) || read_from_piece(d, q))
        return;
    map_request(d, q);
    if (!read_now(d, q))
        to_pool(d, q);
}

static void submit_held(struct blocks_drive *d)
{
    for (struct request *q = d->first; q; q = q->next)
        if (q->state == STATE_HELD)
            submit(d, q);
}

/* --- errors --- */

/* Reports a drive's first error only: a guest may try again for ever. */
static void tell_error(struct blocks_drive *d, const struct request *q)
{
    struct blocks *b = d->blocks;
    char line[NAME_BYTES + 256];

    b->stats.errors++;
    d->stats.failed_reads += q->r.op == BLOCKS_READ;
    d->stats.failed_writes += q->r.op == BLOCKS_WRITE;
    report(q, false, false);
    if (d->told || !b->cfg.notice)
        return;
    d->told = true;
    snprintf(line, sizeof(line),
             "%s: %s %u bytes at %llu failed: %s; the guest is told (and nobody else, if it happens again)",
             d->name, verbs[q->r.op & 3], q->r.bytes, (unsigned long long)q->r.offset, error_text(q->error));
    b->cfg.notice(b->cfg.notice_ctx, line);
}

static enum blocks_status status_of(int error)
{
    if (error == 0)
        return BLOCKS_OK;
    return is_full(error) ? BLOCKS_NO_SPACE : BLOCKS_IO_ERROR;
}

/* --- what the pool has done --- */

static void note_done(struct request *q)
{
    struct blocks_drive *d = q->drive;

    q->state = STATE_DONE;
    map_result(d, q);
    if (q->r.op != BLOCKS_READ)
        drop_data(d, q);
    if (q->error && !q->ahead && !(q->forgotten && q->r.op == BLOCKS_READ))
        tell_error(d, q);
    /* A piece that failed goes: the guest's own read of its bytes will tell. */
    if (q->forgotten || (q->ahead && q->error))
        destroy(d, q);
    submit_held(d);
}

static void take_done(struct blocks *b)
{
    struct pool_job *job;

    while ((job = pool_take(b->pool)))
        note_done((struct request *)job);
}

static void wait_done(struct blocks *b)
{
    pool_wait(b->pool);
    take_done(b);
}

/* --- bounds --- */

static void forget(struct blocks_drive *d, struct request *q)
{
    q->forgotten = true;
    if (q->state == STATE_DONE || (q->state == STATE_HELD && q->r.op == BLOCKS_READ))
        destroy(d, q);
}

/* The request to forget when there are too many: a read, since it can be done again; else one that succeeded;
 * else the oldest that failed. NULL: the pool still works on all of them. */
static struct request *least_missed(const struct blocks_drive *d)
{
    struct request *done = NULL, *failed = NULL;

    for (struct request *q = d->first; q; q = q->next) {
        if (q->r.op == BLOCKS_READ && q->state != STATE_RUNNING)
            return q;
        if (q->state == STATE_DONE && !q->error && !done)
            done = q;
        if (q->state == STATE_DONE && q->error && !failed)
            failed = q;
    }
    return done ? done : failed;
}

static void make_room(struct blocks_drive *d, uint32_t bytes)
{
    while (d->pending >= BLOCKS_PENDING_MAX || d->pending_bytes + bytes > BLOCKS_PENDING_BYTES) {
        struct request *q = least_missed(d);
        if (q)
            forget(d, q);
        else
            wait_done(d->blocks);
    }
}

/* --- start and finish --- */

static bool is_same(const struct blocks_request *a, const struct blocks_request *b)
{
    return a->tag == b->tag && a->op == b->op && a->offset == b->offset && a->bytes == b->bytes;
}

static void count(struct blocks_drive *d, const struct blocks_request *r)
{
    struct blocks_stats *s = &d->blocks->stats;
    struct blocks_drive_stats *o = &d->stats;
    const uint64_t read = r->op == BLOCKS_READ ? r->bytes : 0, written = r->op == BLOCKS_WRITE ? r->bytes : 0;

    s->reads += r->op == BLOCKS_READ;
    s->writes += r->op == BLOCKS_WRITE;
    s->flushes += r->op == BLOCKS_FLUSH;
    s->discards += r->op == BLOCKS_DISCARD;
    s->read_bytes += read;
    s->written_bytes += written;
    o->reads += r->op == BLOCKS_READ;
    o->writes += r->op == BLOCKS_WRITE;
    o->flushes += r->op == BLOCKS_FLUSH;
    o->discards += r->op == BLOCKS_DISCARD;
    o->read_bytes += read;
    o->written_bytes += written;
    if (written && r->offset + written > o->written_end)
        o->written_end = r->offset + written;
}

/* A chip that starts a request with a tag in use has given up the old request: it will not finish that. */
static void forget_tag(struct blocks_drive *d, uint16_t tag)
{
    struct request *next;

    for (struct request *q = d->first; q; q = next) {
        next = q->next;
        if (q->r.tag == tag && !q->forgotten && !q->ahead)
            forget(d, q);
    }
}

static void void_reads(struct blocks_drive *d, const struct blocks_request *write)
{
    for (struct request *q = d->first; q; q = q->next)
        if (q->r.op == BLOCKS_READ && overlap(&q->r, write))
            q->stale = true;
}

/* NULL: the host has no memory left. */
static struct request *create(struct blocks_drive *d, const struct blocks_request *r, const uint8_t *data)
{
    bool has_data = (r->op == BLOCKS_READ || r->op == BLOCKS_WRITE) && r->bytes > 0;
    struct request *q = calloc(1, sizeof(*q));

    if (q && has_data && !(q->data = malloc(r->bytes))) {
        free(q);
        return NULL;
    }
    if (!q)
        return NULL;
    q->drive = d;
    q->r = *r;
    if (has_data && data)
        memcpy(q->data, data, r->bytes);
    d->pending++;
    d->pending_bytes += has_data ? r->bytes : 0;
    append(d, q);
    return q;
}

static struct request *start(struct blocks_drive *d, const struct blocks_request *r, const uint8_t *data)
{
    make_room(d, r->op == BLOCKS_READ || r->op == BLOCKS_WRITE ? r->bytes : 0);
    if (changes(r))
        void_reads(d, r);
    struct request *q = create(d, r, data);
    if (q)
        submit(d, q);
    return q;
}

/* --- reading ahead (docs/decisions.md) --- */

static uint64_t end_of(const struct blocks_request *r)
{
    return r->offset + r->bytes;
}

/* Drops the pieces that end before `passed`, where the guest is by now; all of them if it reads somewhere
 * else. */
static void drop_pieces(struct blocks_drive *d, bool all, uint64_t passed)
{
    struct request *next;

    for (struct request *q = d->first; q; q = next) {
        next = q->next;
        if (q->ahead && !q->forgotten && (all || q->stale || end_of(&q->r) <= passed))
            forget(d, q);
    }
}

/* False: there are many requests already, or an earlier one touches the same bytes. */
static bool start_piece(struct blocks_drive *d, uint64_t offset, uint32_t bytes)
{
    const struct blocks_request r = {.op = BLOCKS_READ, .offset = offset, .bytes = bytes};

    if (!is_on_medium(d, &r) || d->pending >= BLOCKS_PENDING_MAX / 2 ||
        d->pending_bytes + bytes > BLOCKS_PENDING_BYTES / 2 || !is_free(d, &r, NULL))
        return false;
    struct request *q = create(d, &r, NULL);
    if (!q)
        return false;
    q->ahead = true;
    map_request(d, q);
    to_pool(d, q);
    return true;
}

/* Starts pieces behind those that there are. The length of each is a multiple of this request's. */
static void start_pieces(struct blocks_drive *d, const struct blocks_request *r)
{
    uint64_t most = r->bytes < AHEAD_BYTES ? AHEAD_BYTES / r->bytes * r->bytes : r->bytes;
    uint64_t at = end_of(r);
    unsigned n = 0;

    for (const struct request *q = d->first; q; q = q->next)
        if (is_piece(q)) {
            n++;
            at = end_of(&q->r) > at ? end_of(&q->r) : at;
        }
    for (uint64_t bytes; n < AHEAD_PIECES && at < d->medium->bytes; n++, at += bytes) {
        uint64_t left = (d->medium->bytes - at) / r->bytes * r->bytes;
        bytes = left < most ? left : most;
        if (bytes == 0 || !start_piece(d, at, (uint32_t)bytes))
            return;
    }
}

/* A guest with several reads on their way asks early enough by itself. */
static bool is_alone(const struct blocks_drive *d, const struct request *q)
{
    for (const struct request *p = d->first; p; p = p->next)
        if (p != q && p->r.op == BLOCKS_READ && !p->ahead && !p->forgotten)
            return false;
    return true;
}

/* A drive that reads one block behind the other from a block server gets what comes next before its guest
 * asks, by other threads than the guest's. Of a file, the host's kernel does that. `q` is the read that has
 * just started; NULL: it could not. */
static void read_ahead(struct blocks_drive *d, const struct blocks_request *r, const struct request *q)
{
    bool goes_on = r->offset == d->read_end;

    d->in_a_row = goes_on ? d->in_a_row + 1 : 0;
    d->read_end = end_of(r);
    drop_pieces(d, !goes_on, r->offset);
    if (q && q->data && d->in_a_row >= AHEAD_ROW && d->medium && !d->medium->class->read_now &&
        is_alone(d, q))
        start_pieces(d, r);
}

static void drive_start(void *ctx, const struct blocks_request *r, const uint8_t *data)
{
    struct blocks_drive *d = ctx;

    take_done(d->blocks);
    count(d, r);
    forget_tag(d, r->tag);
    const struct request *q = start(d, r, data);
    if (r->op == BLOCKS_READ)
        read_ahead(d, r, q);
}

static struct request *find(struct blocks_drive *d, const struct blocks_request *r)
{
    for (struct request *q = d->first; q; q = q->next)
        if (!q->forgotten && !q->ahead && is_same(&q->r, r))
            return q;
    return NULL;
}

static void wait_for(struct blocks_drive *d, struct request *q)
{
    struct blocks *b = d->blocks;

    if (q->state == STATE_DONE)
        return;
    uint64_t begin_ns = clock_realtime_ns();
    while (q->state != STATE_DONE)
        wait_done(b);
    b->stats.late++;
    b->stats.late_ns += clock_realtime_ns() - begin_ns;
}

/* Does a read again as the last of all requests, so that it sees what earlier ones wrote. */
static void read_again(struct blocks_drive *d, struct request *q)
{
    d->blocks->stats.again++;
    take_out(d, q);
    append(d, q);
    q->stale = false;
    q->state = STATE_HELD;
    submit(d, q);
    wait_for(d, q);
}

/* Starts a request that a loaded snapshot has under way. Its writes and discards were done before it was
 * saved. */
static struct request *start_late(struct blocks_drive *d, const struct blocks_request *r)
{
    return changes(r) ? NULL : start(d, r, NULL);
}

static enum blocks_status drive_finish(void *ctx, const struct blocks_request *r, uint8_t *data)
{
    struct blocks_drive *d = ctx;

    take_done(d->blocks);
    struct request *q = find(d, r);
    if (!q && !(q = start_late(d, r)))
        return changes(r) ? BLOCKS_OK : BLOCKS_IO_ERROR;
    wait_for(d, q);
    if (q->stale)
        read_again(d, q);
    if (r->op == BLOCKS_READ && q->data)
        memcpy(data, q->data, r->bytes);
    enum blocks_status status = status_of(q->error);
    destroy(d, q);
    return status;
}

const struct backend_class blocks_backend = {.blocks_start = drive_start, .blocks_finish = drive_finish};

/* --- a life --- */

static void free_blocks(struct blocks *b)
{
    pthread_cond_destroy(&b->retry);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

struct blocks *blocks_create(const struct blocks_config *cfg)
{
    pthread_condattr_t monotonic;
    struct blocks *b = calloc(1, sizeof(*b));
    const struct pool_config pool = {.workers = cfg->workers,
                                     .not_on_cpu = PIN_ANY,
                                     .activity = ACTIVITY_DEVICE,
                                     .spin = cfg->spin,
                                     .run = run};

    if (!b)
        return NULL;
    b->cfg = *cfg;
    b->random = cfg->delay_seed;
    pthread_mutex_init(&b->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&b->retry, &monotonic);
    pthread_condattr_destroy(&monotonic);
    b->pool = pool_create(&pool);
    if (b->pool)
        return b;
    free_blocks(b);
    return NULL;
}

/* Waits until all requests are done, and destroys them. Reads that are held need not be done. */
static void settle(struct blocks_drive *d)
{
    for (struct request *q = d->first; q; q = d->first)
        if (q->state == STATE_DONE || (q->state == STATE_HELD && q->r.op == BLOCKS_READ))
            destroy(d, q);
        else
            wait_done(d->blocks);
}

void blocks_end_soon(struct blocks *b)
{
    if (b)
        pool_end_soon(b->pool);
}

void blocks_destroy(struct blocks *b)
{
    if (!b)
        return;
    pool_end_soon(b->pool);
    for (unsigned i = 0; i < b->ndrives; i++)
        settle(b->drive[i]);
    pool_destroy(b->pool);
    for (unsigned i = 0; i < b->ndrives; i++) {
        overlay_destroy(b->drive[i]->overlay);
        medium_close(b->drive[i]->medium);
        free(b->drive[i]);
    }
    free_blocks(b);
}

struct blocks_drive *blocks_add_empty(struct blocks *b, const char *name)
{
    struct blocks_drive *d = b->ndrives < BLOCKS_DRIVES_MAX ? calloc(1, sizeof(*d)) : NULL;

    if (!d)
        return NULL;
    d->blocks = b;
    d->last = &d->first;
    snprintf(d->name, sizeof(d->name), "%s", name);
    b->drive[b->ndrives++] = d;
    return d;
}

struct blocks_drive *blocks_add(struct blocks *b, struct medium *m, const char *name, bool private_copy)
{
    struct blocks_medium *medium = blocks_medium_create(m, name, private_copy);
    struct blocks_drive *d = medium ? blocks_add_empty(b, name) : NULL;

    if (d)
        blocks_change(d, medium);
    else
        blocks_medium_destroy(medium);
    return d;
}

/* --- media that are changed --- */

struct blocks_medium *blocks_medium_create(struct medium *m, const char *name, bool private_copy)
{
    struct blocks_medium *b = calloc(1, sizeof(*b));

    if (!b || (private_copy && !(b->overlay = overlay_create(m)))) {
        int error = errno;
        free(b);
        medium_close(m);
        errno = error;
        return NULL;
    }
    b->medium = m;
    snprintf(b->name, sizeof(b->name), "%s", name);
    return b;
}

void blocks_medium_destroy(struct blocks_medium *m)
{
    if (!m)
        return;
    overlay_destroy(m->overlay);
    medium_close(m->medium);
    free(m);
}

/* Closes what the drive has now, but not the medium that is kept aside. */
static void leave_medium(struct blocks_drive *d)
{
    overlay_destroy(d->overlay);
    if (!d->is_aside || d->medium != d->aside_medium)
        medium_close(d->medium);
    d->overlay = NULL;
    d->medium = NULL;
}

void blocks_change(struct blocks_drive *d, struct blocks_medium *m)
{
    settle(d);
    leave_medium(d);
    d->overlay = m ? m->overlay : NULL;
    d->medium = m ? m->medium : NULL;
    d->told = false;
    if (m)
        memcpy(d->name, m->name, sizeof(d->name));
    free(m);
}

struct medium *blocks_medium_of(const struct blocks_drive *d)
{
    return d->medium;
}

/* --- what was written --- */

bool blocks_is_private(const struct blocks_drive *d)
{
    return d->overlay != NULL;
}

int blocks_saved(struct blocks_drive *d, uint64_t from, uint8_t *data, struct blocks_run *run)
{
    uint64_t first = 0, slice[OVERLAY_SLICE_WORDS];

    settle(d);
    *run = (struct blocks_run){0};
    uint64_t sectors =
        overlay_next(d->overlay, from / MEDIUM_SECTOR, BLOCKS_RUN_BYTES / MEDIUM_SECTOR, &first, &run->bad);
    run->offset = first * MEDIUM_SECTOR;
    run->bytes = (uint32_t)sectors * MEDIUM_SECTOR;
    if (sectors == 0 || run->bad)
        return 0;
    overlay_slice(d->overlay, first, sectors, slice);
    return overlay_read(d->overlay, slice, run->offset, data, run->bytes);
}

int blocks_load(struct blocks_drive *d, const struct blocks_run *run, const uint8_t *data)
{
    const uint64_t first = run->offset / MEDIUM_SECTOR, sectors = run->bytes / MEDIUM_SECTOR;
    const uint64_t slice[OVERLAY_SLICE_WORDS] = {0};

    if (!d->overlay || run->offset % MEDIUM_SECTOR || run->bytes % MEDIUM_SECTOR ||
        run->bytes > BLOCKS_RUN_BYTES || run->offset > d->medium->bytes ||
        run->bytes > d->medium->bytes - run->offset)
        return EINVAL;
    overlay_mark(d->overlay, first, sectors);
    overlay_set_bad(d->overlay, first, sectors, run->bad);
    return run->bad ? 0 : overlay_write(d->overlay, slice, run->offset, data, run->bytes);
}

int blocks_set_aside(struct blocks_drive *d)
{
    struct overlay *fresh = NULL;

    settle(d);
    if (d->overlay && !(fresh = overlay_create(d->medium)))
        return errno ? errno : ENOMEM;
    d->is_aside = true;
    d->aside_overlay = d->overlay;
    d->aside_medium = d->medium;
    d->overlay = fresh;
    return 0;
}

void blocks_take_back(struct blocks_drive *d)
{
    settle(d);
    leave_medium(d);
    d->overlay = d->aside_overlay;
    d->medium = d->aside_medium;
    d->is_aside = false;
}

void blocks_drop_aside(struct blocks_drive *d)
{
    overlay_destroy(d->aside_overlay);
    if (d->aside_medium != d->medium)
        medium_close(d->aside_medium);
    d->is_aside = false;
}

void blocks_get_stats(const struct blocks *b, struct blocks_stats *out)
{
    *out = b->stats;
}

struct activity *blocks_activity(struct blocks *b, unsigned i)
{
    return i < b->cfg.workers ? pool_activity(b->pool, i) : NULL;
}

void blocks_on_error(struct blocks_drive *d, enum backend_error read, enum backend_error write)
{
    d->on_read_error = (uint8_t)read;
    d->on_write_error = (uint8_t)write;
}

void blocks_set_label(struct blocks_drive *d, const char *label)
{
    d->label = label;
}

bool blocks_waits(struct blocks *b)
{
    if (!b)
        return false;
    pthread_mutex_lock(&b->lock);
    bool waits = b->waiting > 0;
    pthread_mutex_unlock(&b->lock);
    return waits;
}

void blocks_retry(struct blocks *b)
{
    if (!b)
        return;
    pthread_mutex_lock(&b->lock);
    b->retries++;
    pthread_cond_broadcast(&b->retry);
    pthread_mutex_unlock(&b->lock);
}

void blocks_get_drive_stats(const struct blocks_drive *d, struct blocks_drive_stats *out)
{
    *out = d->stats;
}
