/* medium_raw.c - a raw image: byte n of the medium is byte n of the file, or of the block device.
 *
 * A file that ends inside of a sector reads as zeroes behind its end, up to the sector's. If it becomes
 * shorter while we use it, what is missing is an error.
 *
 * `guard`: nobody said that the image is raw. A guest could make its first sector that of another format, and
 * be served as that next time: such a format may name any file of the host's. So these writes fail (EPERM).
 */
#include "devthread/medium_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define ZERO_BYTES 65536u

struct raw {
    struct medium m; /* first */
    int fd;
    bool guard, unmap;
    uint8_t cache;       /* enum medium_cache */
    uint64_t file_bytes; /* when it was opened */
};

static struct raw *raw_of(struct medium *m)
{
    return (struct raw *)m;
}

static int raw_read(struct medium *m, uint64_t offset, uint8_t *to, uint32_t bytes)
{
    const struct raw *r = raw_of(m);

    while (bytes > 0) {
        ssize_t n = pread(r->fd, to, bytes, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        if (n == 0 && offset < r->file_bytes)
            return ENODATA; /* somebody has cut the file */
        if (n == 0) {
            memset(to, 0, bytes);
            return 0;
        }
        to += n;
        offset += (uint64_t)n;
        bytes -= (uint32_t)n;
    }
    return 0;
}

static int raw_read_now(struct medium *m, uint64_t offset, uint8_t *to, uint32_t bytes)
{
    return medium_pread_now(raw_of(m)->fd, offset, to, bytes);
}

/* Would the first sector be another format's after this write? */
static bool is_forbidden(struct raw *r, uint64_t offset, const uint8_t *from, uint32_t bytes)
{
    uint8_t head[MEDIUM_PROBE_BYTES] = {0};

    if (!r->guard || offset >= sizeof(head))
        return false;
    if (raw_read(&r->m, 0, head, r->m.bytes < sizeof(head) ? (uint32_t)r->m.bytes : sizeof(head)) != 0)
        return true;
    size_t room = sizeof(head) - offset;
    memcpy(head + offset, from, bytes < room ? bytes : room);
    return strcmp(medium_probe(head, sizeof(head)), "raw") != 0;
}

static int write_all(int fd, uint64_t offset, const uint8_t *from, uint32_t bytes)
{
    while (bytes > 0) {
        ssize_t n = pwrite(fd, from, bytes, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : EIO;
        from += n;
        offset += (uint64_t)n;
        bytes -= (uint32_t)n;
    }
    return 0;
}

static int sync_data(const struct raw *r)
{
    return fdatasync(r->fd) == 0 ? 0 : errno;
}

static int raw_flush(struct medium *m)
{
    const struct raw *r = raw_of(m);

    return r->cache == MEDIUM_UNSAFE ? 0 : sync_data(r);
}

static int raw_write(struct medium *m, uint64_t offset, const uint8_t *from, uint32_t bytes)
{
    struct raw *r = raw_of(m);

    if (is_forbidden(r, offset, from, bytes))
        return EPERM;
    int error = write_all(r->fd, offset, from, bytes);
    return error == 0 && r->cache == MEDIUM_WRITETHROUGH ? sync_data(r) : error;
}

/* File systems that know neither: the zeroes are written. */
static int write_zeroes(struct raw *r, uint64_t offset, uint64_t bytes)
{
    static const uint8_t zeroes[ZERO_BYTES];

    while (bytes > 0) {
        uint32_t n = bytes < ZERO_BYTES ? (uint32_t)bytes : ZERO_BYTES;
        int error = write_all(r->fd, offset, zeroes, n);
        if (error)
            return error;
        offset += n;
        bytes -= n;
    }
    return 0;
}

static int raw_zero(struct medium *m, uint64_t offset, uint64_t bytes)
{
    struct raw *r = raw_of(m);
    const int hole = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, zeroes = FALLOC_FL_ZERO_RANGE;
    const int ways[2] = {r->unmap ? hole : zeroes, r->unmap ? zeroes : hole};

    if (bytes == 0)
        return 0;
    for (unsigned i = 0; i < 2; i++)
        if (fallocate(r->fd, ways[i], (off_t)offset, (off_t)bytes) == 0)
            return r->cache == MEDIUM_WRITETHROUGH ? sync_data(r) : 0;
    return write_zeroes(r, offset, bytes);
}

static uint64_t raw_next_data(struct medium *m, uint64_t offset)
{
    off_t at = lseek(raw_of(m)->fd, (off_t)offset, SEEK_DATA);

    if (at >= 0)
        return (uint64_t)at;
    return errno == ENXIO ? m->bytes : offset; /* nothing but a hole; or a file system that cannot say */
}

static void raw_close(struct medium *m)
{
    close(raw_of(m)->fd);
    free(m);
}

static const struct medium_class raw_class = {.read = raw_read,
                                              .read_now = raw_read_now,
                                              .write = raw_write,
                                              .flush = raw_flush,
                                              .zero = raw_zero,
                                              .next_data = raw_next_data,
                                              .close = raw_close};

/* --- opening --- */

/* Of a file or a block device. 0: it has none, or cannot say. */
static uint64_t size_of(int fd)
{
    struct stat st;
    uint64_t bytes = 0;

    if (fstat(fd, &st) != 0)
        return 0;
    if (!S_ISBLK(st.st_mode))
        return (uint64_t)st.st_size;
    return ioctl(fd, BLKGETSIZE64, &bytes) == 0 ? bytes : 0;
}

static void tell_padded(const struct medium_config *cfg, uint64_t file_bytes)
{
    char line[512];

    if (!cfg->notice || file_bytes % cfg->sector == 0)
        return;
    snprintf(
        line, sizeof(line),
        "%s: %.200s has %llu bytes, no whole number of %u-byte sectors; the guest sees zeroes in the rest of "
        "the last one",
        cfg->option, cfg->file, (unsigned long long)file_bytes, cfg->sector);
    cfg->notice(cfg->notice_ctx, line);
}

/* Bytes of the medium; 0: err says why it has none. */
static uint64_t medium_bytes(const struct medium_config *cfg, uint64_t file_bytes, char *err,
                             size_t err_bytes)
{
    if (file_bytes > 0 && file_bytes <= MEDIUM_BYTES_MAX - cfg->sector)
        return (file_bytes + cfg->sector - 1) / cfg->sector * cfg->sector;
    snprintf(err, err_bytes, "%s %.300s: has %llu bytes; 1 to 2^57 bytes are accepted", cfg->option,
             cfg->file, (unsigned long long)file_bytes);
    return 0;
}

struct medium *medium_raw_open(const struct medium_config *cfg, int fd, bool guard, char *err,
                               size_t err_bytes)
{
    uint64_t file_bytes = size_of(fd), bytes = medium_bytes(cfg, file_bytes, err, err_bytes);
    struct raw *r = bytes ? calloc(1, sizeof(*r)) : NULL;

    if (bytes && !r)
        snprintf(err, err_bytes, "%s %.300s: no host memory", cfg->option, cfg->file);
    if (!r) {
        close(fd);
        return NULL;
    }
    tell_padded(cfg, file_bytes);
    *r = (struct raw){.m = {&raw_class, bytes, cfg->read_only, true, "raw"},
                      .fd = fd,
                      .guard = guard,
                      .unmap = cfg->unmap,
                      .cache = cfg->cache,
                      .file_bytes = file_bytes};
    return &r->m;
}
