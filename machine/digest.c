/* digest.c - see digest.h. */
#include "machine/digest.h"

#include "clockcore/check.h"
#include "machine/pagehash.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

struct parts {
    uint64_t tick, cpu, dev;
};

struct digest {
    struct digest_source src;
    char *path;
    FILE *file; /* NULL: none */
    long header_bytes;
    int write_errno; /* first failure to write, 0: none */
    XXH128_hash_t chain;
    struct parts last; /* of the last point, where it is not in the chain yet */
    bool is_open;      /* there is such a point: memory is being hashed */
    struct pagehash *ram;
    uint8_t *part; /* bytes of one part */
    size_t part_bytes_max;
    uint64_t every; /* ticks between points */
    struct {
        uint64_t chain_low, chain_high, every;
    } saved; /* as in a snapshot */
};

static void note_write(struct digest *d, int result)
{
    if (result < 0 && !d->write_errno)
        d->write_errno = errno ? errno : EIO;
}

static bool open_file(struct digest *d, const char *path, const char *header, struct err *e)
{
    d->path = strdup(path);
    d->file = fopen(path, "we");
    if (!d->path || !d->file)
        return err_set(e, "-digest: file=%s: %s; a file that can be written is needed", path,
                       strerror(errno));
    setvbuf(d->file, NULL, _IOLBF, 0);
    d->header_bytes = fprintf(d->file, "# tandem-digest 1 %s\n", header);
    note_write(d, (int)d->header_bytes);
    return true;
}

static void digest_free(struct digest *d)
{
    free(d->path);
    pagehash_destroy(d->ram);
    free(d->part);
    free(d);
}

struct digest *digest_open(const char *path, const char *header, uint64_t every,
                           const struct digest_source *src, struct err *e)
{
    struct digest *d = calloc(1, sizeof *d);
    if (!d) {
        err_set(e, "-digest: no host memory");
        return NULL;
    }
    d->src = *src;
    d->every = every;
    d->ram = pagehash_create(&src->ram);
    if (!d->ram)
        err_set(e, "-digest: no host memory, or no thread");
    else if (!path || open_file(d, path, header, e))
        return d;
    digest_free(d);
    return NULL;
}

static uint64_t hash_part(struct digest *d, const struct state_part *p, uint64_t seed)
{
    size_t n = fields_bytes(p->fields, p->nfields);
    if (n > d->part_bytes_max) {
        d->part = realloc(d->part, n);
        CHECK(d->part != NULL);
        d->part_bytes_max = n;
    }
    fields_put(p->fields, p->nfields, p->state, d->part);
    return XXH3_64bits_withSeed(d->part, n, seed);
}

static uint64_t hash_group(struct digest *d, enum state_group group)
{
    struct state_part p;
    uint64_t h = 0;
    for (unsigned i = 0; d->src.part(d->src.ctx, group, i, &p); i++)
        h = hash_part(d, &p, h ^ i);
    return h;
}

/* All but memory, which is only taken. */
static struct parts take_parts(struct digest *d, uint64_t tick)
{
    d->src.settle(d->src.ctx);
    struct parts p = {tick, hash_group(d, STATE_CPU), hash_group(d, STATE_DEVICES)};
    pagehash_take(d->ram);
    return p;
}

static XXH128_hash_t hash_chain(XXH128_hash_t before, const struct parts *p, uint64_t ram)
{
    const uint64_t in[6] = {before.low64, before.high64, p->tick, p->cpu, p->dev, ram};
    return XXH3_128bits(in, sizeof in);
}

/* The last point enters chain and file. */
static void close_point(struct digest *d)
{
    if (!d->is_open)
        return;
    const struct parts *p = &d->last;
    uint64_t ram = pagehash_sum(d->ram);
    d->is_open = false;
    d->chain = hash_chain(d->chain, p, ram);
    if (d->file)
        note_write(d, fprintf(d->file,
                              "%" PRIu64 " %016" PRIx64 "%016" PRIx64 " %016" PRIx64 " %016" PRIx64
                              " %016" PRIx64 "\n",
                              p->tick, d->chain.high64, d->chain.low64, p->cpu, p->dev, ram));
}

void digest_point(struct digest *d, uint64_t tick)
{
    close_point(d);
    d->last = take_parts(d, tick);
    d->is_open = true;
    if (!d->src.ram.worker)
        close_point(d);
}

void digest_state(struct digest *d, uint64_t tick, char state_hex[DIGEST_HEX])
{
    close_point(d);
    struct parts p = take_parts(d, tick);
    XXH128_hash_t h = hash_chain((XXH128_hash_t){0}, &p, pagehash_sum(d->ram));
    snprintf(state_hex, DIGEST_HEX, "%016" PRIx64 "%016" PRIx64, h.high64, h.low64);
}

void digest_end(struct digest *d, uint64_t tick, char state_hex[DIGEST_HEX])
{
    digest_state(d, tick, state_hex);
    if (d->file)
        note_write(d, fprintf(d->file, "end %" PRIu64 " %s\n", tick, state_hex));
}

struct activity *digest_activity(struct digest *d)
{
    return pagehash_activity(d->ram);
}

bool digest_close(struct digest *d, struct err *e)
{
    if (d->file && fclose(d->file) != 0)
        note_write(d, -1);
    bool ok = d->write_errno == 0;
    if (!ok)
        err_set(e, "-digest: file=%s: could not be written: %s", d->path, strerror(d->write_errno));
    digest_free(d);
    return ok;
}

static const struct field saved_fields[] = {
    FIELD(struct digest, saved.chain_low),
    FIELD(struct digest, saved.chain_high),
    FIELD(struct digest, saved.every),
};

void digest_part(struct digest *d, struct state_part *out)
{
    close_point(d);
    d->saved.chain_low = d->chain.low64;
    d->saved.chain_high = d->chain.high64;
    d->saved.every = d->every;
    *out = (struct state_part){"digest", saved_fields, sizeof saved_fields / sizeof saved_fields[0], d};
}

void digest_file_restart(struct digest *d)
{
    if (!d->file)
        return;
    note_write(d, fflush(d->file));
    note_write(d, ftruncate(fileno(d->file), d->header_bytes));
    note_write(d, fseek(d->file, d->header_bytes, SEEK_SET));
}

void digest_loaded(struct digest *d)
{
    bool same = d->saved.every == d->every;
    d->chain.low64 = same ? d->saved.chain_low : 0;
    d->chain.high64 = same ? d->saved.chain_high : 0;
}
