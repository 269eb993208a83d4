/* imagehash.c - see imagehash.h. */
#include "machine/imagehash.h"

#include "clockcore/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#define PATH_BYTES  4096
#define KEY_BYTES   256
#define SETTLED_NS  UINT64_C(3000000000) /* file systems keep times to 2 s at worst */
#define PROGRESS_NS UINT64_C(3000000000)

/* --- the cache --- */

/* "DIR/tandem/hash-DEVICE-INODE". False: there is no place. */
static bool cache_path(const struct stat *st, bool make, char path[PATH_BYTES])
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n = xdg && *xdg == '/' ? snprintf(path, PATH_BYTES, "%s", xdg)
            : home && *home    ? snprintf(path, PATH_BYTES, "%s/.cache", home)
                               : PATH_BYTES;
    if (n < 0 || n >= PATH_BYTES - 64)
        return false;
    if (make)
        mkdir(path, 0700);
    n += snprintf(path + n, PATH_BYTES - (size_t)n, "/tandem");
    if (make)
        mkdir(path, 0700);
    snprintf(path + n, PATH_BYTES - (size_t)n, "/hash-%" PRIx64 "-%" PRIx64, (uint64_t)st->st_dev,
             (uint64_t)st->st_ino);
    return true;
}

/* What must be as it was. */
static void cache_key(const struct stat *st, const struct medium *m, char key[KEY_BYTES])
{
    snprintf(key, KEY_BYTES, "tandem-image-hash 1 %s %" PRIu64 " %" PRIu64 " %lld.%09ld %lld.%09ld",
             m->format, m->bytes, (uint64_t)st->st_size, (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
             (long long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
}

static bool is_hex(const char *text)
{
    return strspn(text, "0123456789abcdef") == IMAGEHASH_HEX - 1 && !text[IMAGEHASH_HEX - 1];
}

static bool cache_get(const struct stat *st, const struct medium *m, char hex[IMAGEHASH_HEX])
{
    char path[PATH_BYTES], key[KEY_BYTES], line[KEY_BYTES + 2], value[IMAGEHASH_HEX + 2];
    FILE *f = cache_path(st, false, path) ? fopen(path, "re") : NULL;
    if (!f)
        return false;
    cache_key(st, m, key);
    bool ok = fgets(line, sizeof line, f) && fgets(value, sizeof value, f);
    fclose(f);
    if (!ok)
        return false;
    line[strcspn(line, "\n")] = value[strcspn(value, "\n")] = 0;
    ok = strcmp(line, key) == 0 && is_hex(value);
    if (ok)
        memcpy(hex, value, IMAGEHASH_HEX);
    return ok;
}

static uint64_t ns_of(const struct timespec *t)
{
    return (uint64_t)t->tv_sec * 1000000000 + (uint64_t)t->tv_nsec;
}

static bool is_settled(const struct stat *st)
{
    const uint64_t now_ns = clock_host_ns();
    return ns_of(&st->st_mtim) + SETTLED_NS < now_ns && ns_of(&st->st_ctim) + SETTLED_NS < now_ns;
}

static void cache_put(const struct stat *st, const struct medium *m, const char *hex)
{
    char path[PATH_BYTES], temp[PATH_BYTES + 16], key[KEY_BYTES];
    if (!is_settled(st) || !cache_path(st, true, path))
        return;
    snprintf(temp, sizeof temp, "%s.%ld", path, (long)getpid());
    FILE *f = fopen(temp, "we");
    if (!f)
        return;
    cache_key(st, m, key);
    bool bad = fprintf(f, "%s\n%s\n", key, hex) < 0;
    bad |= fclose(f) != 0;
    if (bad || rename(temp, path) != 0)
        unlink(temp);
}

/* --- the hash --- */

struct hashing {
    const struct imagehash_config *cfg;
    struct medium *m;
    XXH3_state_t *state;
    uint64_t told_ns;
    uint8_t piece[IMAGEHASH_PIECE];
};

static void tell_progress(struct hashing *h, uint64_t offset)
{
    char line[512];
    const uint64_t now_ns = clock_realtime_ns();
    if (!h->cfg->notice || now_ns - h->told_ns < PROGRESS_NS)
        return;
    h->told_ns = now_ns;
    snprintf(line, sizeof line, "%s %.200s: read for its hash, which the run is named by: %u %%",
             h->cfg->option, h->cfg->file, (unsigned)((double)offset * 100 / (double)h->m->bytes));
    h->cfg->notice(h->cfg->ctx, line);
}

static void add_piece(struct hashing *h, uint64_t number, uint32_t bytes)
{
    if (h->piece[0] == 0 && memcmp(h->piece, h->piece + 1, bytes - 1) == 0)
        return;
    XXH3_128bits_update(h->state, &number, sizeof number);
    XXH3_128bits_update(h->state, h->piece, bytes);
}

/* 0 or an errno. */
static int add_all(struct hashing *h)
{
    for (uint64_t at = 0; at < h->m->bytes; at += IMAGEHASH_PIECE) {
        at = medium_next_data(h->m, at) / IMAGEHASH_PIECE * IMAGEHASH_PIECE;
        if (at >= h->m->bytes)
            break;
        const uint64_t left = h->m->bytes - at;
        const uint32_t n = left < IMAGEHASH_PIECE ? (uint32_t)left : IMAGEHASH_PIECE;
        const int error = medium_read(h->m, at, h->piece, n);
        if (error)
            return error;
        add_piece(h, at / IMAGEHASH_PIECE, n);
        tell_progress(h, at);
    }
    return 0;
}

static bool compute(const struct imagehash_config *cfg, struct medium *m, char hex[IMAGEHASH_HEX],
                    struct err *e)
{
    struct hashing *h = calloc(1, sizeof *h);
    XXH3_state_t *state = XXH3_createState();
    if (h && state) {
        *h = (struct hashing){.cfg = cfg, .m = m, .state = state, .told_ns = clock_realtime_ns()};
        XXH3_128bits_reset(state);
    }
    const int error = h && state ? add_all(h) : ENOMEM;
    if (error == 0) {
        XXH3_128bits_update(state, &m->bytes, sizeof m->bytes);
        const XXH128_hash_t sum = XXH3_128bits_digest(state);
        snprintf(hex, IMAGEHASH_HEX, "%016" PRIx64 "%016" PRIx64, (uint64_t)sum.high64, (uint64_t)sum.low64);
    }
    XXH3_freeState(state);
    free(h);
    return error == 0 ||
           err_set(e, "%s %s: cannot be read for its hash: %s", cfg->option, cfg->file, strerror(error));
}

bool imagehash(const struct imagehash_config *cfg, struct medium *m, char hex[IMAGEHASH_HEX], struct err *e)
{
    struct stat before, after;
    const bool is_file = m->alone && stat(cfg->file, &before) == 0 && S_ISREG(before.st_mode);
    if (is_file && cache_get(&before, m, hex))
        return true;
    if (!compute(cfg, m, hex, e))
        return false;
    if (is_file && stat(cfg->file, &after) == 0 && after.st_ino == before.st_ino &&
        after.st_dev == before.st_dev && ns_of(&after.st_mtim) == ns_of(&before.st_mtim) &&
        ns_of(&after.st_ctim) == ns_of(&before.st_ctim))
        cache_put(&after, m, hex);
    return true;
}
