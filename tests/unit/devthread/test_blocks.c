/* test_blocks.c - requests of drives against a model: every read finds what had started before its finish,
 * however late the host is, and whatever it fails to do; overlays; raw images. */
#include "devthread/blocks.h"
#include "devthread/overlay.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SECTORS = 64, BYTES = SECTORS * MEDIUM_SECTOR, TAGS = 16, STEPS = 3000 };

/* A medium in memory that is slow at random and fails where it is told to. */
struct slow {
    struct medium m; /* first */
    uint8_t bytes[BYTES];
    uint64_t delays; /* seed; 0: none */
    int fail_write;
    _Atomic int fail_read;
    _Atomic unsigned reads, flushes; /* several workers do so at a time */
    unsigned unflushed;              /* writes since the last flush */
};

static void be_slow(const struct slow *s, uint64_t offset)
{
    if (s->delays)
        nanosleep(&(struct timespec){.tv_nsec = (long)((offset * 2654435761u + s->delays) % 7 * 40000)},
                  NULL);
}

static int slow_read(struct medium *m, uint64_t offset, uint8_t *to, uint32_t bytes)
{
    struct slow *s = (struct slow *)m;
    be_slow(s, offset);
    memcpy(to, s->bytes + offset, bytes);
    s->reads++;
    return s->fail_read;
}

static int slow_write(struct medium *m, uint64_t offset, const uint8_t *from, uint32_t bytes)
{
    struct slow *s = (struct slow *)m;
    be_slow(s, offset + 1);
    memcpy(s->bytes + offset, from, bytes);
    return s->fail_write;
}

static int slow_zero(struct medium *m, uint64_t offset, uint64_t bytes)
{
    memset(((struct slow *)m)->bytes + offset, 0, bytes);
    return 0;
}

static int slow_flush(struct medium *m)
{
    ((struct slow *)m)->flushes++;
    return 0;
}

static void slow_close(struct medium *m)
{
}

static const struct medium_class slow_class = {
    .read = slow_read, .write = slow_write, .flush = slow_flush, .zero = slow_zero, .close = slow_close};

static struct slow medium;
static uint8_t model[BYTES]; /* what the drive holds after all that has started */
static uint64_t random_state;

static uint32_t next_random(uint32_t below)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % below;
}

static struct blocks *start_blocks(unsigned workers)
{
    const struct blocks_config cfg = {.workers = workers};
    memset(&medium, 0, sizeof medium);
    medium.m = (struct medium){&slow_class, BYTES, false, true, "slow"};
    for (unsigned i = 0; i < BYTES; i++)
        medium.bytes[i] = model[i] = (uint8_t)(i * 31 + i / 512);
    struct blocks *b = blocks_create(&cfg);
    cr_assert_not_null(b);
    return b;
}

static struct blocks_drive *add_drive(struct blocks *b, bool private_copy)
{
    struct blocks_drive *d = blocks_add(b, &medium.m, "test", private_copy);
    cr_assert_not_null(d);
    return d;
}

static struct blocks_request request(uint16_t tag, enum blocks_op op, uint64_t offset, uint32_t bytes)
{
    return (struct blocks_request){.offset = offset, .bytes = bytes, .tag = tag, .op = (uint8_t)op};
}

static void start(struct blocks_drive *d, const struct blocks_request *r, const uint8_t *data)
{
    blocks_backend.blocks_start(d, r, data);
}

static enum blocks_status finish(struct blocks_drive *d, const struct blocks_request *r, uint8_t *data)
{
    return blocks_backend.blocks_finish(d, r, data);
}

static struct blocks_request draw(uint16_t tag, bool whole_sectors)
{
    static const enum blocks_op ops[] = {BLOCKS_READ,  BLOCKS_READ,  BLOCKS_READ,    BLOCKS_WRITE,
                                         BLOCKS_WRITE, BLOCKS_WRITE, BLOCKS_DISCARD, BLOCKS_FLUSH};
    enum blocks_op op = ops[next_random(8)];
    uint32_t unit = whole_sectors || op == BLOCKS_DISCARD ? MEDIUM_SECTOR : 1;
    uint32_t bytes = (1 + next_random(8 * MEDIUM_SECTOR / unit)) * unit;
    uint32_t offset = next_random((BYTES - bytes) / unit + 1) * unit;
    return op == BLOCKS_FLUSH ? request(tag, op, 0, 0) : request(tag, op, offset, bytes);
}

static void start_drawn(struct blocks_drive *d, const struct blocks_request *r)
{
    static uint8_t data[BYTES];
    if (r->op == BLOCKS_WRITE) {
        for (uint32_t i = 0; i < r->bytes; i++)
            data[i] = (uint8_t)next_random(256);
        memcpy(model + r->offset, data, r->bytes);
    }
    if (r->op == BLOCKS_DISCARD)
        memset(model + r->offset, 0, r->bytes);
    start(d, r, r->op == BLOCKS_WRITE ? data : NULL);
    memset(data, 0xEE, sizeof data); /* it was copied */
}

static void check_finish(struct blocks_drive *d, const struct blocks_request *r, unsigned step)
{
    static uint8_t data[BYTES];
    cr_assert_eq(finish(d, r, data), BLOCKS_OK, "step %u", step);
    if (r->op == BLOCKS_READ)
        cr_assert_eq(memcmp(data, model + r->offset, r->bytes), 0,
                     "step %u: a read of %u bytes at %u is not what had started", step, r->bytes,
                     (unsigned)r->offset);
}

/* Starts and finishes in any order, some requests forgotten, some never started. */
static void random_requests(uint64_t seed, unsigned workers, bool private_copy, bool whole_sectors)
{
    struct blocks *b = start_blocks(workers);
    struct blocks_drive *d = add_drive(b, private_copy);
    struct blocks_request pending[TAGS];
    bool is_pending[TAGS] = {false};
    static uint8_t before[BYTES];
    medium.delays = seed % 3;
    random_state = seed;
    memcpy(before, medium.bytes, BYTES);
    for (unsigned step = 0; step < STEPS; step++) {
        uint16_t tag = (uint16_t)next_random(TAGS);
        if (is_pending[tag] && next_random(8)) {
            check_finish(d, &pending[tag], step);
            is_pending[tag] = false;
            continue;
        }
        pending[tag] = draw(tag, whole_sectors);
        is_pending[tag] = true;
        if (pending[tag].op != BLOCKS_READ || next_random(4)) /* else it is never started */
            start_drawn(d, &pending[tag]);
    }
    for (unsigned tag = 0; tag < TAGS; tag++)
        if (is_pending[tag])
            check_finish(d, &pending[tag], STEPS);
    struct blocks_request all = request(TAGS, BLOCKS_READ, 0, BYTES);
    check_finish(d, &all, STEPS);
    blocks_destroy(b);
    cr_assert_eq(memcmp(medium.bytes, private_copy ? before : model, BYTES), 0);
}

Test(blocks, reads_find_what_had_started)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        random_requests(seed, 1 + seed % 4, false, true);
        random_requests(seed, 1 + seed % 4, true, true);
    }
    random_requests(7, 4, false, false);
    random_requests(8, 4, true, false);
}

/* A chip that starts and never finishes: bounded memory, and every write is done. */
/* Reads one behind the other, as many on their way as `depth`, with writes between them and breaks of the
 * row. */
static void rows_of_reads(uint64_t seed, bool private_copy, unsigned depth)
{
    struct blocks *b = start_blocks(3);
    struct blocks_drive *d = add_drive(b, private_copy);
    struct blocks_request read[TAGS], write = {0};
    uint32_t at = 0, bytes = MEDIUM_SECTOR;
    medium.delays = seed % 3;
    random_state = seed;
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned n = 0;
        if (next_random(20) == 0) {
            bytes = (1 + next_random(9)) * MEDIUM_SECTOR;
            at = next_random((BYTES - bytes) / MEDIUM_SECTOR + 1) * MEDIUM_SECTOR;
        }
        for (; n < depth && at + bytes <= BYTES; at += bytes, n++) {
            read[n] = request((uint16_t)n, BLOCKS_READ, at, bytes);
            start(d, &read[n], NULL);
        }
        if (n == 0)
            at = 0;
        if (next_random(3) == 0) {
            do
                write = draw(TAGS, true);
            while (write.op == BLOCKS_READ);
            start_drawn(d, &write);
        }
        while (n > 0)
            check_finish(d, &read[--n], step);
        if (write.op && next_random(2)) {
            check_finish(d, &write, step);
            write.op = 0;
        }
    }
    blocks_destroy(b);
}

Test(blocks, rows_of_reads_find_what_had_started)
{
    for (uint64_t seed = 1; seed < 7; seed++) {
        rows_of_reads(seed, false, 1);
        rows_of_reads(seed, true, 1);
        rows_of_reads(seed, seed % 2, 1 + (unsigned)seed % 3);
    }
}

static void read_row(struct blocks_drive *d, enum blocks_status want)
{
    uint8_t data[MEDIUM_SECTOR];
    for (uint32_t at = 0; at < BYTES; at += sizeof data) {
        struct blocks_request r = request(1, BLOCKS_READ, at, sizeof data);
        start(d, &r, NULL);
        cr_assert_eq(finish(d, &r, data), want, "at %u", at);
        if (want == BLOCKS_OK)
            cr_assert_eq(memcmp(data, model + at, sizeof data), 0, "at %u", at);
    }
}

/* What is read ahead saves requests to the host; what fails there is nobody's error until the guest asks. */
Test(blocks, rows_are_read_ahead)
{
    struct blocks *b = start_blocks(2);
    struct blocks_drive *d = add_drive(b, false);
    struct blocks_stats s;
    read_row(d, BLOCKS_OK);
    cr_assert(medium.reads < 10, "%u reads of the host for %u of the guest", medium.reads, SECTORS);
    medium.fail_read = EIO;
    read_row(d, BLOCKS_IO_ERROR);
    blocks_get_stats(b, &s);
    cr_assert_eq(s.errors, SECTORS);
    medium.fail_read = 0;
    read_row(d, BLOCKS_OK);
    cr_assert_eq(s.reads, 2 * SECTORS);
    blocks_destroy(b);
}

Test(blocks, requests_that_nobody_finishes)
{
    struct blocks *b = start_blocks(2);
    struct blocks_drive *d = add_drive(b, false);
    medium.delays = 1;
    for (unsigned i = 0; i < 3 * BLOCKS_PENDING_MAX; i++) {
        struct blocks_request w =
            request((uint16_t)i, BLOCKS_WRITE, i % SECTORS * MEDIUM_SECTOR, MEDIUM_SECTOR);
        struct blocks_request r = request((uint16_t)(i + 10000), BLOCKS_READ, 0, BYTES);
        start_drawn(d, &w);
        start(d, &r, NULL);
    }
    blocks_destroy(b);
    cr_assert_eq(memcmp(medium.bytes, model, BYTES), 0);
}

Test(blocks, what_does_not_fit_the_medium)
{
    static const uint64_t offsets[] = {BYTES,          BYTES - 511,       UINT64_MAX, UINT64_MAX - 511,
                                       UINT64_MAX / 2, UINT64_MAX / 2 + 1};
    static uint8_t data[BYTES];
    for (unsigned private_copy = 0; private_copy < 2; private_copy++) {
        struct blocks *b = start_blocks(2);
        struct blocks_drive *d = add_drive(b, private_copy);
        for (unsigned i = 0; i < sizeof offsets / sizeof *offsets; i++)
            for (enum blocks_op op = BLOCKS_READ; op <= BLOCKS_DISCARD; op++) {
                struct blocks_request r = request(1, op, offsets[i], op == BLOCKS_DISCARD ? UINT32_MAX : 512);
                if (op == BLOCKS_FLUSH)
                    continue;
                start(d, &r, data);
                cr_assert_eq(finish(d, &r, data), BLOCKS_IO_ERROR, "op %d at %d", op, i);
            }
        struct blocks_request all = request(2, BLOCKS_READ, 0, BYTES);
        check_finish(d, &all, 0);
        blocks_destroy(b);
    }
}

static unsigned notices;

static void on_notice(void *ctx, const char *line)
{
    notices++;
}

Test(blocks, errors_of_the_host)
{
    static uint8_t data[BYTES];
    const struct blocks_config cfg = {.workers = 2, .notice = on_notice};
    blocks_destroy(start_blocks(1));
    struct blocks *b = blocks_create(&cfg);
    struct blocks_drive *d = add_drive(b, false);
    struct blocks_request w = request(1, BLOCKS_WRITE, 0, 512), r = request(2, BLOCKS_READ, 0, 512);
    const struct {
        int error;
        enum blocks_status status;
    } rows[] = {{ENOSPC, BLOCKS_NO_SPACE},
                {EDQUOT, BLOCKS_NO_SPACE},
                {EIO, BLOCKS_IO_ERROR},
                {EPERM, BLOCKS_IO_ERROR}};
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        medium.fail_write = rows[i].error;
        start(d, &w, data);
        cr_assert_eq(finish(d, &w, data), rows[i].status);
    }
    medium.fail_write = 0;
    medium.fail_read = EIO;
    start(d, &r, NULL);
    cr_assert_eq(finish(d, &r, data), BLOCKS_IO_ERROR);
    medium.fail_read = 0;
    cr_assert_eq(finish(d, &r, data), BLOCKS_OK); /* never started again: it is read now */
    cr_assert_eq(notices, 1);
    struct blocks_stats s;
    blocks_get_stats(b, &s);
    cr_assert_eq(s.errors, 5);
    cr_assert_eq(s.writes, 4);
    blocks_destroy(b);
}

/* A flush begins when the writes before it are done; FUA is a write and a flush. */
Test(blocks, flushes_come_behind_writes)
{
    struct blocks *b = start_blocks(4);
    struct blocks_drive *d = add_drive(b, false);
    struct blocks_request f = request(1, BLOCKS_FLUSH, 0, 0);
    medium.delays = 5;
    for (uint16_t i = 0; i < 8; i++) {
        struct blocks_request w = request((uint16_t)(10 + i), BLOCKS_WRITE, i * 4096u, 4096);
        start_drawn(d, &w);
    }
    start(d, &f, NULL);
    cr_assert_eq(finish(d, &f, NULL), BLOCKS_OK);
    cr_assert_eq(memcmp(medium.bytes, model, BYTES), 0, "a flush was done before the writes");
    cr_assert_eq(medium.flushes, 1);
    struct blocks_request w = request(1, BLOCKS_WRITE, 0, 512);
    w.fua = 1;
    start_drawn(d, &w);
    cr_assert_eq(finish(d, &w, NULL), BLOCKS_OK);
    cr_assert_eq(medium.flushes, 2);
    blocks_destroy(b);
}

/* --- what a snapshot keeps --- */

Test(blocks, written_runs_go_to_another_drive)
{
    static uint8_t data[BLOCKS_RUN_BYTES];
    struct blocks *b = start_blocks(3);
    struct blocks_drive *from = add_drive(b, true), *to = add_drive(b, true);
    struct blocks_run run = {0};
    medium.delays = 1;
    random_state = 5;
    for (unsigned i = 0; i < 40; i++) { /* still under way when it is saved */
        struct blocks_request r = draw((uint16_t)i, i % 2);
        if (r.op == BLOCKS_WRITE || r.op == BLOCKS_DISCARD)
            start_drawn(from, &r);
    }
    for (;;) {
        cr_assert_eq(blocks_saved(from, run.offset + run.bytes, data, &run), 0);
        if (run.bytes == 0)
            break;
        cr_assert_eq(blocks_load(to, &run, data), 0);
    }
    struct blocks_request all = request(1, BLOCKS_READ, 0, BYTES);
    check_finish(to, &all, 0);
    const struct blocks_run bad[] = {{1, 512, false},
                                     {0, 513, false},
                                     {BYTES, 512, false},
                                     {0, BLOCKS_RUN_BYTES + 512, false},
                                     {UINT64_MAX - 511, 1024, false}};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(blocks_load(to, &bad[i], data), EINVAL, "%u", i);
    blocks_destroy(b);
}

/* Sectors that could not be written cannot be read until they are. */
Test(overlay, bad_sectors)
{
    uint64_t slice[OVERLAY_SLICE_WORDS], first;
    bool bad;
    blocks_destroy(start_blocks(1));
    struct overlay *o = overlay_create(&medium.m);
    overlay_mark(o, 3, 10);
    cr_assert(overlay_slice(o, 0, 20, slice));
    overlay_set_bad(o, 5, 2, true);
    cr_assert_not(overlay_slice(o, 0, 20, slice));
    cr_assert(overlay_slice(o, 0, 5, slice));
    cr_assert_eq(overlay_next(o, 0, 100, &first, &bad), 2);
    cr_assert(first == 3 && !bad);
    cr_assert_eq(overlay_next(o, 5, 100, &first, &bad), 2);
    cr_assert(first == 5 && bad);
    overlay_set_bad(o, 6, 1, false);
    cr_assert(overlay_slice(o, 6, 1, slice));
    cr_assert_not(overlay_slice(o, 5, 1, slice));
    overlay_mark(o, SECTORS - 1, 1000); /* beyond the end is nobody's */
    cr_assert_eq(overlay_next(o, 20, 100, &first, &bad), 1);
    cr_assert_eq(first, SECTORS - 1);
    cr_assert_eq(overlay_next(o, SECTORS, 100, &first, &bad), 0);
    overlay_destroy(o);
}

/* --- raw images --- */

static char path[] = "/tmp/tandem-test-XXXXXX";

static struct medium *open_image(const void *head, size_t head_bytes, off_t bytes, struct medium_config cfg)
{
    char err[512];
    int fd = mkstemp(strcpy(path, "/tmp/tandem-test-XXXXXX"));
    cr_assert_eq(write(fd, head, head_bytes), (ssize_t)head_bytes);
    cr_assert_eq(ftruncate(fd, bytes), 0);
    close(fd);
    cfg.option = "-hda";
    cfg.file = path;
    cfg.sector = cfg.sector ? cfg.sector : 512;
    return medium_open(&cfg, err, sizeof err);
}

Test(medium, sizes_are_padded)
{
    uint8_t data[2048];
    struct medium *m = open_image("x", 1, 1000, (struct medium_config){.format = "raw", .notice = on_notice});
    cr_assert_eq(m->bytes, 1024);
    cr_assert_eq(medium_read(m, 512, data, 512), 0);
    cr_assert_eq(medium_read(m, 512, data, 513), EIO);
    memset(data, 7, sizeof data);
    cr_assert_eq(medium_write(m, 512, data, 512), 0);
    memset(data, 0, sizeof data);
    cr_assert_eq(medium_read(m, 1000, data, 24), 0);
    cr_assert_eq(data[23], 7);
    medium_close(m);
    unlink(path);
    m = open_image("x", 1, 2049, (struct medium_config){.format = "raw", .sector = 2048, .read_only = true});
    cr_assert_eq(m->bytes, 4096);
    cr_assert_eq(medium_write(m, 0, data, 512), EROFS);
    medium_close(m);
    unlink(path);
    cr_assert_null(open_image("", 0, 0, (struct medium_config){.format = "raw"}));
    unlink(path);
}

Test(medium, a_file_that_becomes_shorter)
{
    uint8_t data[512];
    struct medium *m = open_image("x", 1, 4096, (struct medium_config){.format = "raw"});
    cr_assert_eq(truncate(path, 1024), 0);
    cr_assert_eq(medium_read(m, 512, data, 512), 0);
    cr_assert_eq(medium_read(m, 1024, data, 512), ENODATA);
    medium_close(m);
    unlink(path);
}

Test(medium, formats_by_content)
{
    uint8_t vdi[512] = {0};
    memcpy(vdi + 64, "\x7f\x10\xda\xbe", 4);
    cr_assert_str_eq(medium_probe((const uint8_t *)"QFI\xfb\0\0\0\3", 8), "qcow2");
    cr_assert_str_eq(medium_probe((const uint8_t *)"QFI\xfb\0\0\0", 7), "raw");
    cr_assert_str_eq(medium_probe((const uint8_t *)"KDMV\1", 5), "vmdk");
    cr_assert_str_eq(medium_probe(vdi, 512), "vdi");
    cr_assert_str_eq(medium_probe(vdi, 66), "raw");
    cr_assert_str_eq(medium_probe(vdi, 0), "raw");
}

/* A disk whose format was guessed cannot be made one of another format; elsewhere, and with format=raw, it
 * can be. */
Test(medium, the_first_sector_of_a_guessed_format)
{
    uint8_t data[1024] = "QFI\xfb\0\0\0\3";
    for (unsigned given = 0; given < 2; given++) {
        notices = 0;
        struct medium *m = open_image(
            "x", 1, 4096, (struct medium_config){.format = given ? "raw" : NULL, .notice = on_notice});
        cr_assert_eq(notices, given ? 0 : 1);
        cr_assert_eq(medium_write(m, 0, data, 1024), given ? 0 : EPERM);
        cr_assert_eq(medium_write(m, 512, data, 512), 0);
        cr_assert_eq(medium_write(m, 0, data, 7), 0);
        cr_assert_eq(medium_write(m, 7, data + 7, 1), given ? 0 : EPERM); /* piece by piece */
        medium_close(m);
        unlink(path);
    }
}

Test(medium, zeroes)
{
    uint8_t data[4096];
    for (unsigned unmap = 0; unmap < 2; unmap++) {
        struct medium *m = open_image("x", 1, 65536, (struct medium_config){.format = "raw", .unmap = unmap});
        memset(data, 1, sizeof data);
        cr_assert_eq(medium_write(m, 8192, data, 4096), 0);
        cr_assert_eq(medium_zero(m, 8704, 1024), 0);
        cr_assert_eq(medium_read(m, 8192, data, 4096), 0);
        for (unsigned i = 0; i < 4096; i++)
            cr_assert_eq(data[i], i < 512 || i >= 1536, "byte %u", i);
        cr_assert_eq(medium_next_data(m, 60000), 65536);
        medium_close(m);
        unlink(path);
    }
}
