/* overlay.c - see overlay.h. */
#include "devthread/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define WORD_BITS  64u
#define DIRECTORY  "/var/tmp" /* a disk, as a rule; TMPDIR names another */
#define DIR_MAX    4096
#define ZERO_BYTES 65536u

struct overlay {
    struct medium *m;
    int fd;
    uint64_t sectors;
    size_t map_bytes;
    uint64_t *written; /* bit s: sector s is in the file */
    uint64_t *bad;     /* bit s: it could not be written */
    uint64_t nbad;
};

/* --- the file and the maps --- */

static int open_file(void)
{
    const char *dir = getenv("TMPDIR");
    char path[DIR_MAX];

    dir = dir && *dir ? dir : DIRECTORY;
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
    if (fd >= 0 || (size_t)snprintf(path, sizeof(path), "%s/tandem-XXXXXX", dir) >= sizeof(path))
        return fd;
    fd = mkostemp(path, O_CLOEXEC); /* a file system that knows no O_TMPFILE */
    if (fd >= 0)
        unlink(path);
    return fd;
}

/* Zeroes, which cost nothing until they are touched. */
static uint64_t *open_map(size_t bytes)
{
    void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return map == MAP_FAILED ? NULL : map;
}

struct overlay *overlay_create(struct medium *m)
{
    struct overlay *o = calloc(1, sizeof(*o));

    if (!o)
        return NULL;
    o->m = m;
    o->sectors = (m->bytes + MEDIUM_SECTOR - 1) / MEDIUM_SECTOR;
    o->map_bytes = (o->sectors / WORD_BITS + 1) * sizeof(uint64_t);
    o->fd = open_file();
    o->written = open_map(o->map_bytes);
    o->bad = open_map(o->map_bytes);
    if (o->fd >= 0 && o->written && o->bad)
        return o;
    int error = errno;
    overlay_destroy(o);
    errno = error;
    return NULL;
}

void overlay_destroy(struct overlay *o)
{
    if (!o)
        return;
    if (o->fd >= 0)
        close(o->fd);
    if (o->written)
        munmap(o->written, o->map_bytes);
    if (o->bad)
        munmap(o->bad, o->map_bytes);
    free(o);
}

/* --- bits --- */

static bool get_bit(const uint64_t *map, uint64_t n)
{
    return map[n / WORD_BITS] >> n % WORD_BITS & 1;
}

static void put_bit(uint64_t *map, uint64_t n, bool on)
{
    uint64_t bit = UINT64_C(1) << n % WORD_BITS;

    map[n / WORD_BITS] = on ? map[n / WORD_BITS] | bit : map[n / WORD_BITS] & ~bit;
}

/* What lies beyond the medium is nobody's. */
static uint64_t clip(const struct overlay *o, uint64_t first, uint64_t sectors)
{
    uint64_t room = first < o->sectors ? o->sectors - first : 0;

    return sectors < room ? sectors : room;
}

bool overlay_slice(const struct overlay *o, uint64_t first, uint64_t sectors,
                   uint64_t slice[OVERLAY_SLICE_WORDS])
{
    bool good = true;

    memset(slice, 0, OVERLAY_SLICE_WORDS * sizeof(*slice));
    sectors = clip(o, first, sectors);
    for (uint64_t i = 0; i < sectors && i < OVERLAY_SLICE_SECTORS; i++) {
        put_bit(slice, i, get_bit(o->written, first + i));
        good &= !o->nbad || !get_bit(o->bad, first + i);
    }
    return good;
}

void overlay_mark(struct overlay *o, uint64_t first, uint64_t sectors)
{
    sectors = clip(o, first, sectors);
    for (uint64_t i = 0; i < sectors;)
        if ((first + i) % WORD_BITS == 0 && sectors - i >= WORD_BITS) {
            o->written[(first + i) / WORD_BITS] = UINT64_MAX;
            i += WORD_BITS;
        } else {
            put_bit(o->written, first + i++, true);
        }
}

void overlay_set_bad(struct overlay *o, uint64_t first, uint64_t sectors, bool bad)
{
    sectors = clip(o, first, sectors);
    for (uint64_t i = 0; i < sectors && (bad || o->nbad); i++) {
        if (get_bit(o->bad, first + i) == bad)
            continue;
        put_bit(o->bad, first + i, bad);
        o->nbad += bad ? 1 : UINT64_MAX;
    }
}

static uint64_t find_written(const struct overlay *o, uint64_t from)
{
    while (from < o->sectors && !get_bit(o->written, from))
        from += o->written[from / WORD_BITS] ? 1 : WORD_BITS - from % WORD_BITS;
    return from;
}

uint64_t overlay_next(const struct overlay *o, uint64_t from, uint64_t max, uint64_t *first, bool *bad)
{
    uint64_t n = 0;

    *first = find_written(o, from);
    if (*first >= o->sectors)
        return 0;
    *bad = get_bit(o->bad, *first);
    while (n < max && *first + n < o->sectors && get_bit(o->written, *first + n) &&
           get_bit(o->bad, *first + n) == *bad)
        n++;
    return n;
}

/* --- on any thread --- */

/* What is behind the end of the file was never anything but zeroes. */
static int read_file(int fd, uint64_t offset, uint8_t *to, uint32_t bytes)
{
    while (bytes > 0) {
        ssize_t n = pread(fd, to, bytes, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
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

static int write_file(int fd, uint64_t offset, const uint8_t *from, uint32_t bytes)
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

static int read_run(struct overlay *o, bool here, uint64_t offset, uint8_t *to, uint32_t bytes, bool now)
{
    if (now)
        return here ? medium_pread_now(o->fd, offset, to, bytes) : medium_read_now(o->m, offset, to, bytes);
    return here ? read_file(o->fd, offset, to, bytes) : medium_read(o->m, offset, to, bytes);
}

/* Run by run: those of the overlay from its file, the others from the medium. */
static int read_runs(struct overlay *o, const uint64_t *slice, uint64_t offset, uint8_t *to, uint32_t bytes,
                     bool now)
{
    const uint64_t base = offset / MEDIUM_SECTOR;

    if (offset > o->m->bytes || bytes > o->m->bytes - offset)
        return EIO;
    while (bytes > 0) {
        const bool here = get_bit(slice, offset / MEDIUM_SECTOR - base);
        uint64_t end = offset / MEDIUM_SECTOR + 1;
        while (end * MEDIUM_SECTOR < offset + bytes && get_bit(slice, end - base) == here)
            end++;
        uint64_t room = end * MEDIUM_SECTOR - offset;
        uint32_t n = room < bytes ? (uint32_t)room : bytes;
        int error = read_run(o, here, offset, to, n, now);
        if (error)
            return error;
        to += n;
        offset += n;
        bytes -= n;
    }
    return 0;
}

int overlay_read(struct overlay *o, const uint64_t *slice, uint64_t offset, uint8_t *to, uint32_t bytes)
{
    return read_runs(o, slice, offset, to, bytes, false);
}

int overlay_read_now(struct overlay *o, const uint64_t *slice, uint64_t offset, uint8_t *to, uint32_t bytes)
{
    return read_runs(o, slice, offset, to, bytes, true);
}

/* A sector that the write covers in part: the rest of it is what is there now. `at`: of the sector. */
static int write_part(struct overlay *o, const uint64_t *slice, uint64_t base, uint64_t at, uint64_t offset,
                      const uint8_t *from, uint32_t bytes)
{
    uint8_t sector[MEDIUM_SECTOR];
    uint64_t one[OVERLAY_SLICE_WORDS] = {get_bit(slice, at / MEDIUM_SECTOR - base)};
    int error = overlay_read(o, one, at, sector, MEDIUM_SECTOR);

    if (error)
        return error;
    memcpy(sector + (offset - at), from, bytes);
    return write_file(o->fd, at, sector, MEDIUM_SECTOR);
}

int overlay_write(struct overlay *o, const uint64_t *slice, uint64_t offset, const uint8_t *from,
                  uint32_t bytes)
{
    const uint64_t base = offset / MEDIUM_SECTOR;

    if (offset > o->m->bytes || bytes > o->m->bytes - offset)
        return EIO;
    while (bytes > 0) {
        const uint32_t in = (uint32_t)(offset % MEDIUM_SECTOR);
        const bool part = in || bytes < MEDIUM_SECTOR;
        uint32_t n = part ? MEDIUM_SECTOR - in : bytes / MEDIUM_SECTOR * MEDIUM_SECTOR;
        n = n < bytes ? n : bytes;
        int error = part ? write_part(o, slice, base, offset - in, offset, from, n)
                         : write_file(o->fd, offset, from, n);
        if (error)
            return error;
        from += n;
        offset += n;
        bytes -= n;
    }
    return 0;
}

int overlay_zero(struct overlay *o, uint64_t offset, uint64_t bytes)
{
    static const uint8_t zeroes[ZERO_BYTES];

    if (offset > o->m->bytes || bytes > o->m->bytes - offset)
        return EIO;
    if (bytes == 0 ||
        fallocate(o->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes) == 0)
        return 0;
    for (uint32_t n; bytes > 0; offset += n, bytes -= n) {
        n = bytes < ZERO_BYTES ? (uint32_t)bytes : ZERO_BYTES;
        int error = write_file(o->fd, offset, zeroes, n);
        if (error)
            return error;
    }
    return 0;
}
