/* snapshot.c - see snapshot.h. */
#include "machine/snapshot.h"

#include "machine/image.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>
#include <zstd.h>

#define ZSTD_LEVEL        1
#define IN_BYTES          (256u << 10)
#define SUM_BYTES         8
#define SNAPSHOT_FILE_MAX (UINT64_C(8) << 30)
#define MAGIC_BYTES       (sizeof SNAPSHOT_MAGIC - 1)

/* --- writing --- */

struct snapshot_writer {
    char *path, *temp;
    FILE *file;
    int failed; /* errno of the first failure; 0: none */
    XXH3_state_t hash;
    ZSTD_CStream *zstd;
    uint8_t *in, *out; /* IN_BYTES, out_bytes */
    size_t in_used, out_bytes;
};

static void put_raw(struct snapshot_writer *w, const void *bytes, size_t n)
{
    XXH3_64bits_update(&w->hash, bytes, n);
    if (!w->failed && fwrite(bytes, 1, n, w->file) != n)
        w->failed = errno ? errno : EIO;
}

static void compress_some(struct snapshot_writer *w, ZSTD_EndDirective end)
{
    ZSTD_inBuffer in = {w->in, w->in_used, 0};
    size_t left;
    do {
        ZSTD_outBuffer out = {w->out, w->out_bytes, 0};
        left = ZSTD_compressStream2(w->zstd, &out, &in, end);
        if (ZSTD_isError(left)) {
            w->failed = w->failed ? w->failed : ENOMEM;
            return;
        }
        put_raw(w, w->out, out.pos);
    } while (in.pos < in.size || (end == ZSTD_e_end && left > 0));
    w->in_used = 0;
}

static void put(struct snapshot_writer *w, const void *bytes, size_t n)
{
    const uint8_t *from = bytes;
    while (n > 0) {
        size_t some = n < IN_BYTES - w->in_used ? n : IN_BYTES - w->in_used;
        memcpy(w->in + w->in_used, from, some);
        w->in_used += some;
        from += some;
        n -= some;
        if (w->in_used == IN_BYTES)
            compress_some(w, ZSTD_e_continue);
    }
}

static void put_name(struct snapshot_writer *w, char kind, const char *name)
{
    uint8_t head[2] = {(uint8_t)kind, (uint8_t)strlen(name)};
    put(w, head, sizeof head);
    put(w, name, head[1]);
}

static void writer_free(struct snapshot_writer *w)
{
    if (w->file)
        fclose(w->file);
    ZSTD_freeCStream(w->zstd);
    free(w->in);
    free(w->out);
    free(w->path);
    free(w->temp);
    free(w);
}

/* A temporary file in the same directory, with the rights that a new file has. Its name begins with a dot:
 * who lists the directory does not see what is not whole. */
static bool open_temp(struct snapshot_writer *w)
{
    const char *slash = strrchr(w->path, '/');
    const int folder = slash ? (int)(slash + 1 - w->path) : 0;
    if (asprintf(&w->temp, "%.*s.%s.XXXXXX", folder, w->path, w->path + folder) < 0) {
        w->temp = NULL;
        return false;
    }
    int fd = mkostemp(w->temp, O_CLOEXEC);
    if (fd < 0) {
        free(w->temp);
        w->temp = NULL;
        return false;
    }
    mode_t mask = umask(0);
    umask(mask);
    fchmod(fd, 0666 & ~mask);
    w->file = fdopen(fd, "wb");
    return w->file != NULL;
}

static bool open_memory(struct snapshot_writer *w)
{
    const int fd = memfd_create("tandem-snapshot", MFD_CLOEXEC);
    w->file = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (fd >= 0 && !w->file)
        close(fd);
    return w->file != NULL;
}

/* path: NULL: in memory. */
static bool writer_init(struct snapshot_writer *w, const char *path)
{
    w->path = strdup(path ? path : "memory");
    w->out_bytes = ZSTD_CStreamOutSize();
    w->in = malloc(IN_BYTES);
    w->out = malloc(w->out_bytes);
    w->zstd = ZSTD_createCStream();
    XXH3_64bits_reset(&w->hash);
    if (!w->path || !w->in || !w->out || !w->zstd) {
        errno = ENOMEM;
        return false;
    }
    ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
    return path ? open_temp(w) : open_memory(w);
}

void snapshot_abandon(struct snapshot_writer *w)
{
    if (w->temp)
        unlink(w->temp);
    writer_free(w);
}

static struct snapshot_writer *create(const char *path, uint64_t tick, const char *identity, struct err *e)
{
    /* The hash state wants 64 bytes of alignment. */
    size_t bytes = (sizeof(struct snapshot_writer) + 63) / 64 * 64;
    struct snapshot_writer *w = aligned_alloc(64, bytes);
    char line[SNAPSHOT_IDENTITY_BYTES];
    if (w)
        memset(w, 0, bytes);
    if (!w || !writer_init(w, path)) {
        err_set(e, "%s: %s; a file that can be written is needed", path ? path : "memory", strerror(errno));
        if (w)
            snapshot_abandon(w);
        return NULL;
    }
    put_raw(w, SNAPSHOT_MAGIC, MAGIC_BYTES);
    int n = snprintf(line, sizeof line, "tick=%" PRIu64 " %s\n", tick, identity);
    put_raw(w, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
    return w;
}

struct snapshot_writer *snapshot_create(const char *path, uint64_t tick, const char *identity, struct err *e)
{
    return create(path, tick, identity, e);
}

struct snapshot_writer *snapshot_create_memory(uint64_t tick, const char *identity, struct err *e)
{
    return create(NULL, tick, identity, e);
}

void snapshot_field(struct snapshot_writer *w, const struct field *f, const void *state)
{
    uint8_t elem = (uint8_t)f->elem_bytes;
    size_t n = field_bytes(f);
    uint8_t *bytes = malloc(n + 1);
    if (!bytes) {
        w->failed = ENOMEM;
        return;
    }
    fields_put(f, 1, state, bytes);
    put_name(w, 'F', f->name);
    put(w, &elem, 1);
    put(w, &f->count, sizeof f->count);
    put(w, bytes, n);
    free(bytes);
}

void snapshot_part(struct snapshot_writer *w, const struct state_part *p)
{
    put_name(w, 'P', p->name);
    for (size_t i = 0; i < p->nfields; i++)
        snapshot_field(w, &p->fields[i], p->state);
}

void snapshot_page(struct snapshot_writer *w, uint64_t number, const uint8_t *page)
{
    if (page[0] == 0 && memcmp(page, page + 1, SNAPSHOT_PAGE_BYTES - 1) == 0)
        return;
    put(w, "M", 1);
    put(w, &number, sizeof number);
    put(w, page, SNAPSHOT_PAGE_BYTES);
}

void snapshot_blocks(struct snapshot_writer *w, const char *drive, uint64_t offset, uint32_t bytes,
                     const uint8_t *data)
{
    uint8_t bad = data == NULL;
    put_name(w, 'D', drive);
    put(w, &offset, sizeof offset);
    put(w, &bytes, sizeof bytes);
    put(w, &bad, sizeof bad);
    if (data)
        put(w, data, bytes);
}

void snapshot_medium(struct snapshot_writer *w, const char *name, bool waits, const uint8_t *entry,
                     uint32_t bytes)
{
    const uint8_t flag = waits;
    put_name(w, 'C', name);
    put(w, &bytes, sizeof bytes);
    put(w, &flag, sizeof flag);
    put(w, entry, bytes);
}

/* A rename is on the disk once its directory is. */
static void sync_directory(const char *path)
{
    char *copy = strdup(path);
    int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(copy);
}

static bool commit(struct snapshot_writer *w)
{
    if (!w->failed && (fflush(w->file) != 0 || fsync(fileno(w->file)) != 0))
        w->failed = errno;
    if (fclose(w->file) != 0 && !w->failed)
        w->failed = errno;
    w->file = NULL;
    if (!w->failed && rename(w->temp, w->path) != 0)
        w->failed = errno;
    if (w->failed)
        return false;
    sync_directory(w->path);
    return true;
}

static void put_end(struct snapshot_writer *w)
{
    put(w, "E", 1);
    compress_some(w, ZSTD_e_end);
    uint64_t sum = XXH3_64bits_digest(&w->hash);
    put_raw(w, &sum, sizeof sum);
}

int snapshot_finish_memory(struct snapshot_writer *w, struct err *e)
{
    int fd = -1;
    put_end(w);
    if (!w->failed && (fflush(w->file) != 0 || (fd = dup(fileno(w->file))) < 0))
        w->failed = errno;
    if (w->failed)
        err_set(e, "the state does not fit into the host's memory: %s", strerror(w->failed));
    snapshot_abandon(w);
    return fd;
}

bool snapshot_finish(struct snapshot_writer *w, struct err *e)
{
    put_end(w);
    if (commit(w)) {
        writer_free(w);
        return true;
    }
    err_set(e, "%s: could not be written: %s", w->path, strerror(w->failed));
    snapshot_abandon(w);
    return false;
}

/* --- reading --- */

struct snapshot_reader {
    struct image file;
    char identity[SNAPSHOT_IDENTITY_BYTES]; /* behind "tick=N " */
    uint64_t tick;
    ZSTD_DStream *zstd;
    ZSTD_inBuffer in;
    uint8_t *out; /* out_bytes, of which [out_at, out_used) is not handed out yet */
    size_t out_bytes, out_at, out_used;
    bool in_frame; /* the frame has not ended */
    uint64_t next_page;
    char name[SNAPSHOT_NAME_BYTES];
    uint8_t *data; /* of the last field or page */
    size_t data_bytes;
};

static bool damaged(struct err *e)
{
    return err_set(e, "the snapshot is damaged: its contents are not what Tandem writes");
}

/* True: there is something in out[]. */
static bool decompress_some(struct snapshot_reader *r)
{
    while (r->out_at == r->out_used && r->in_frame) {
        ZSTD_outBuffer out = {r->out, r->out_bytes, 0};
        size_t before = r->in.pos;
        size_t left = ZSTD_decompressStream(r->zstd, &out, &r->in);
        if (ZSTD_isError(left) || (left > 0 && r->in.pos == before && out.pos == 0))
            return false;
        r->in_frame = left > 0;
        r->out_at = 0;
        r->out_used = out.pos;
    }
    return r->out_at < r->out_used;
}

static bool get(struct snapshot_reader *r, void *bytes, size_t n)
{
    uint8_t *to = bytes;
    while (n > 0) {
        if (!decompress_some(r))
            return false;
        size_t some = n < r->out_used - r->out_at ? n : r->out_used - r->out_at;
        memcpy(to, r->out + r->out_at, some);
        r->out_at += some;
        to += some;
        n -= some;
    }
    return true;
}

static bool get_name(struct snapshot_reader *r)
{
    uint8_t n;
    if (!get(r, &n, 1) || n == 0 || n >= SNAPSHOT_NAME_BYTES || !get(r, r->name, n))
        return false;
    r->name[n] = 0;
    for (uint8_t i = 0; i < n; i++)
        if (r->name[i] <= ' ' || r->name[i] > '~') /* it goes to a terminal */
            return false;
    return true;
}

static bool get_data(struct snapshot_reader *r, size_t n)
{
    if (n > r->data_bytes) {
        uint8_t *more = realloc(r->data, n);
        if (!more)
            return false;
        r->data = more;
        r->data_bytes = n;
    }
    return get(r, r->data, n);
}

static bool get_field(struct snapshot_reader *r, struct snapshot_item *item)
{
    uint8_t elem;
    if (!get_name(r) || !get(r, &elem, 1) || !get(r, &item->count, sizeof item->count))
        return false;
    item->elem_bytes = elem;
    return (elem == 1 || elem == 2 || elem == 4 || elem == 8) &&
           (uint64_t)elem * item->count <= SNAPSHOT_FIELD_MAX && get_data(r, (size_t)elem * item->count);
}

static bool get_page(struct snapshot_reader *r, struct snapshot_item *item)
{
    if (!get(r, &item->number, sizeof item->number) || item->number < r->next_page ||
        item->number == UINT64_MAX)
        return false;
    r->next_page = item->number + 1;
    return get_data(r, SNAPSHOT_PAGE_BYTES);
}

static bool get_blocks(struct snapshot_reader *r, struct snapshot_item *item)
{
    uint8_t bad;
    if (!get_name(r) || !get(r, &item->number, sizeof item->number) ||
        !get(r, &item->count, sizeof item->count) || !get(r, &bad, 1) || bad > 1 ||
        item->count > SNAPSHOT_BLOCKS_MAX)
        return false;
    item->bad = bad;
    return bad || get_data(r, item->count);
}

static bool get_medium(struct snapshot_reader *r, struct snapshot_item *item)
{
    uint8_t waits;
    if (!get_name(r) || !get(r, &item->count, sizeof item->count) || !get(r, &waits, 1) || waits > 1 ||
        item->count > SNAPSHOT_BLOCKS_MAX)
        return false;
    item->bad = waits;
    return get_data(r, item->count);
}

static bool get_item(struct snapshot_reader *r, struct snapshot_item *item)
{
    uint8_t kind;
    if (!get(r, &kind, 1))
        return false;
    switch (kind) {
    case 'P':
        item->kind = SNAPSHOT_PART;
        return get_name(r);
    case 'F':
        item->kind = SNAPSHOT_FIELD;
        return get_field(r, item);
    case 'M':
        item->kind = SNAPSHOT_PAGE;
        return get_page(r, item);
    case 'D':
        item->kind = SNAPSHOT_BLOCKS;
        return get_blocks(r, item);
    case 'C':
        item->kind = SNAPSHOT_MEDIUM;
        return get_medium(r, item);
    case 'E':
        item->kind = SNAPSHOT_END;
        return !decompress_some(r) && !r->in_frame && r->in.pos == r->in.size;
    default:
        return false;
    }
}

bool snapshot_next(struct snapshot_reader *r, struct snapshot_item *item, struct err *e)
{
    *item = (struct snapshot_item){0};
    if (!get_item(r, item)) {
        item->kind = SNAPSHOT_BAD;
        return damaged(e);
    }
    item->name = r->name;
    item->data = r->data;
    return true;
}

/* "tick=N REST\n"; true: it is one, and the frame begins behind it. */
static bool read_identity(struct snapshot_reader *r, size_t end)
{
    const uint8_t *line = r->file.data + MAGIC_BYTES;
    const uint8_t *newline = memchr(line, '\n', end - MAGIC_BYTES);
    if (!newline || (size_t)(newline - line) >= sizeof r->identity)
        return false;
    char text[SNAPSHOT_IDENTITY_BYTES];
    size_t n = (size_t)(newline - line);
    memcpy(text, line, n);
    text[n] = 0;
    for (size_t i = 0; i < n; i++)
        if (text[i] < ' ' || text[i] > '~')
            return false;
    char *rest;
    errno = 0;
    if (strncmp(text, "tick=", 5) != 0 || text[5] < '0' || text[5] > '9')
        return false;
    r->tick = strtoull(text + 5, &rest, 10);
    if (errno || *rest != ' ')
        return false;
    memcpy(r->identity, rest + 1, strlen(rest + 1) + 1);
    r->in = (ZSTD_inBuffer){newline + 1, end - (size_t)(newline + 1 - r->file.data), 0};
    return true;
}

static bool check_file(struct snapshot_reader *r, struct err *e)
{
    size_t n = r->file.bytes;
    if (n < MAGIC_BYTES || strncmp((const char *)r->file.data, "tandem-snapshot ", 16) != 0)
        return err_set(e, "not a snapshot (tandem -snapshot-at writes them)");
    if (memcmp(r->file.data, SNAPSHOT_MAGIC, MAGIC_BYTES) != 0)
        return err_set(e, "a snapshot in another format; format 1 is accepted");
    uint64_t sum;
    if (n < MAGIC_BYTES + SUM_BYTES)
        return err_set(e, "the snapshot is cut off");
    memcpy(&sum, r->file.data + n - SUM_BYTES, SUM_BYTES);
    if (sum != XXH3_64bits(r->file.data, n - SUM_BYTES))
        return err_set(e, "the snapshot is cut off or damaged: its checksum is wrong");
    return read_identity(r, n - SUM_BYTES) || damaged(e);
}

bool snapshot_peek(const char *path, uint64_t *tick, char identity[SNAPSHOT_IDENTITY_BYTES])
{
    uint8_t head[MAGIC_BYTES + SNAPSHOT_IDENTITY_BYTES];
    struct snapshot_reader r = {.file = {.data = head}};
    const int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    const ssize_t n = fd >= 0 ? read(fd, head, sizeof head) : -1;
    if (fd >= 0)
        close(fd);
    if (n < (ssize_t)MAGIC_BYTES || memcmp(head, SNAPSHOT_MAGIC, MAGIC_BYTES) != 0 ||
        !read_identity(&r, (size_t)n))
        return false;
    *tick = r.tick;
    memcpy(identity, r.identity, sizeof r.identity);
    return true;
}

struct snapshot_reader *snapshot_open(const char *what, const char *path, struct err *e)
{
    struct snapshot_reader *r = calloc(1, sizeof *r);
    struct err why;
    if (r) {
        r->zstd = ZSTD_createDStream();
        r->out_bytes = ZSTD_DStreamOutSize();
        r->out = malloc(r->out_bytes);
        r->in_frame = true;
    }
    if (!r || !r->zstd || !r->out)
        err_set(e, "%s %s: no host memory", what, path);
    else if (image_read(&r->file, what, path, SNAPSHOT_FILE_MAX, e)) {
        if (check_file(r, &why))
            return r;
        err_set(e, "%s %.200s: %s", what, path, why.text);
    }
    snapshot_close(r);
    return NULL;
}

uint64_t snapshot_tick(const struct snapshot_reader *r)
{
    return r->tick;
}

const char *snapshot_identity(const struct snapshot_reader *r)
{
    return r->identity;
}

void snapshot_close(struct snapshot_reader *r)
{
    if (!r)
        return;
    image_free(&r->file);
    ZSTD_freeDStream(r->zstd);
    free(r->out);
    free(r->data);
    free(r);
}
