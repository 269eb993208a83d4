/* profilefile.c - see profilefile.h. */
#include "observe/profilefile.h"

#include "machine/optvalue.h"
#include "observe/background.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define MAGIC       "tandem-profile 1\n"
#define ZSTD_LEVEL  1
#define IN_BYTES    (256u << 10)
#define VARINT_MAX  10
#define SAMPLE_MAX  (16 * VARINT_MAX + SAMPLE_FRAMES_MAX * (VARINT_MAX + 1))
#define HEAD_MAX    4096
#define KIND_SAMPLE 'S'
#define KIND_JSON   'J'
#define KIND_END    'E'

static const char *const stacks_names[] = {
    [PROFILE_STACKS_OFF] = "off", [PROFILE_STACKS_ON] = "on", [PROFILE_STACKS_EXACT] = "exact"};

static uint32_t zigzag(uint32_t difference)
{
    return difference << 1 ^ (uint32_t)((int32_t)difference >> 31);
}

static uint32_t unzigzag(uint32_t v)
{
    return v >> 1 ^ (0 - (v & 1));
}

/* --- writing --- */

struct profile_writer {
    char *path;
    FILE *file;
    int failed; /* errno of the first failure; 0: none */
    ZSTD_CStream *zstd;
    uint8_t *out;
    size_t out_bytes;
    uint64_t samples;
    struct sample last;            /* only what the next one is told against */
    struct background *background; /* compresses; the fields from `file` to `out_bytes` are its thread's */
    uint8_t *in;                   /* its block */
    size_t in_used;
};

static void compress_some(struct profile_writer *w, const void *data, size_t bytes, ZSTD_EndDirective end)
{
    ZSTD_inBuffer in = {data, bytes, 0};
    size_t left;
    do {
        ZSTD_outBuffer out = {w->out, w->out_bytes, 0};
        left = ZSTD_compressStream2(w->zstd, &out, &in, end);
        if (ZSTD_isError(left)) {
            w->failed = w->failed ? w->failed : ENOMEM;
            break;
        }
        if (!w->failed && fwrite(w->out, 1, out.pos, w->file) != out.pos)
            w->failed = errno ? errno : EIO;
    } while (in.pos < in.size || (end == ZSTD_e_end && left > 0));
}

static void compress_block(void *ctx, const void *block, size_t used)
{
    compress_some(ctx, block, used, ZSTD_e_continue);
}

static void hand_over(struct profile_writer *w)
{
    background_hand_over(w->background, w->in_used);
    w->in = background_block(w->background);
    w->in_used = 0;
}

static void put(struct profile_writer *w, const void *bytes, size_t n)
{
    const uint8_t *from = bytes;
    while (n > 0) {
        size_t some = n < IN_BYTES - w->in_used ? n : IN_BYTES - w->in_used;
        memcpy(w->in + w->in_used, from, some);
        w->in_used += some;
        from += some;
        n -= some;
        if (w->in_used == IN_BYTES)
            hand_over(w);
    }
}

static uint8_t *add_varint(uint8_t *to, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        *to++ = (uint8_t)v | 0x80;
    *to++ = (uint8_t)v;
    return to;
}

static void put_record(struct profile_writer *w, char kind, const void *body, size_t bytes)
{
    uint8_t head[1 + VARINT_MAX];
    head[0] = (uint8_t)kind;
    uint8_t *end = add_varint(head + 1, bytes);
    put(w, head, (size_t)(end - head));
    put(w, body, bytes);
}

static void writer_free(struct profile_writer *w)
{
    background_destroy(w->background);
    if (w->file)
        fclose(w->file);
    ZSTD_freeCStream(w->zstd);
    free(w->out);
    free(w->path);
    free(w);
}

static bool writer_init(struct profile_writer *w, const char *path)
{
    w->path = strdup(path);
    w->out_bytes = ZSTD_CStreamOutSize();
    w->out = malloc(w->out_bytes);
    w->zstd = ZSTD_createCStream();
    if (!w->path || !w->out || !w->zstd) {
        errno = ENOMEM;
        return false;
    }
    ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
    ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_checksumFlag, 1);
    w->background = background_create(compress_block, w, IN_BYTES);
    if (!w->background)
        return false;
    w->in = background_block(w->background);
    w->file = fopen(path, "wbe");
    return w->file != NULL;
}

struct profile_writer *profile_create(const char *path, struct err *e)
{
    struct profile_writer *w = calloc(1, sizeof *w);
    if (w && writer_init(w, path))
        return w;
    err_set(e, "-profile: file=%s: %s; a file that can be written is needed", path, strerror(errno));
    if (w)
        writer_free(w);
    return NULL;
}

void profile_put_head(struct profile_writer *w, const struct profile_head *head)
{
    if (fprintf(w->file,
                MAGIC "every=%" PRIu64 "\nphase=%" PRIu64 "\nshift=%u\nstacks=%s\nbegin=%" PRIu64 "\n\n",
                head->every, head->phase, head->shift, stacks_names[head->stacks], head->begin) < 0)
        w->failed = w->failed ? w->failed : errno;
}

static uint8_t *add_frames(uint8_t *to, const struct sample *s, uint32_t lin_addr)
{
    for (unsigned i = 0; i < s->frames; i++) {
        *to++ = s->frame[i].flags;
        to = add_varint(to, zigzag(s->frame[i].lin_addr - lin_addr));
        lin_addr = s->frame[i].lin_addr;
    }
    return to;
}

void profile_put_sample(struct profile_writer *w, const struct sample *s)
{
    uint8_t body[SAMPLE_MAX], *to = body;
    *to++ = s->flags;
    *to++ = s->cpl;
    to = add_varint(to, s->tick - w->last.tick);
    to = add_varint(to, s->cs);
    to = add_varint(to, s->cs_base);
    to = add_varint(to, zigzag(s->cr3 - w->last.cr3));
    to = add_varint(to, s->task);
    *to++ = s->entry.kind;
    *to++ = s->entry.vector;
    to = add_varint(to, s->entry.number + 1);
    to = add_varint(to, s->frames);
    to = add_frames(to, s, w->last.frame[0].lin_addr);
    put_record(w, KIND_SAMPLE, body, (size_t)(to - body));
    w->last.tick = s->tick;
    w->last.cr3 = s->cr3;
    w->last.frame[0].lin_addr = s->frame[0].lin_addr;
    w->samples++;
}

void profile_put_json(struct profile_writer *w, const char *json)
{
    size_t bytes = strlen(json);
    if (bytes <= PROFILE_JSON_MAX)
        put_record(w, KIND_JSON, json, bytes);
}

bool profile_finish(struct profile_writer *w, uint64_t end_tick, struct err *e)
{
    uint8_t body[2 * VARINT_MAX];
    uint8_t *end = add_varint(add_varint(body, end_tick), w->samples);
    put_record(w, KIND_END, body, (size_t)(end - body));
    background_wait(w->background);
    compress_some(w, w->in, w->in_used, ZSTD_e_end);
    int failed = w->failed;
    if (fclose(w->file) != 0 && !failed)
        failed = errno;
    w->file = NULL;
    if (failed)
        err_set(e, "-profile: file=%s: could not be written: %s", w->path, strerror(failed));
    writer_free(w);
    return !failed;
}

void profile_abandon(struct profile_writer *w)
{
    if (w)
        writer_free(w);
}

/* --- reading --- */

struct profile_reader {
    FILE *file;
    ZSTD_DStream *zstd;
    ZSTD_inBuffer in;
    size_t in_bytes, out_bytes;
    uint8_t *in_data, *out; /* file's bytes; what they hold */
    size_t at, have;        /* in out */
    bool frame_ended;
    uint64_t samples;
    struct sample last;
    uint8_t *body; /* PROFILE_JSON_MAX and a NUL */
};

/* What is left of a record's body. `bad`: it was too short or otherwise wrong. */
struct cursor {
    const uint8_t *at, *end;
    bool bad;
};

/* Fills out anew; false: no more. */
static bool refill(struct profile_reader *r)
{
    r->at = r->have = 0;
    while (r->have == 0 && !r->frame_ended) {
        if (r->in.pos == r->in.size) {
            r->in = (ZSTD_inBuffer){r->in_data, fread(r->in_data, 1, r->in_bytes, r->file), 0};
            if (r->in.size == 0)
                return false;
        }
        ZSTD_outBuffer out = {r->out, r->out_bytes, 0};
        size_t left = ZSTD_decompressStream(r->zstd, &out, &r->in);
        if (ZSTD_isError(left))
            return false;
        r->frame_ended = left == 0;
        r->have = out.pos;
    }
    return r->have > 0;
}

/* to NULL: skipped. */
static bool get(struct profile_reader *r, uint8_t *to, uint64_t n)
{
    while (n > 0) {
        if (r->at == r->have && !refill(r))
            return false;
        size_t some = r->have - r->at < n ? r->have - r->at : (size_t)n;
        if (to) {
            memcpy(to, r->out + r->at, some);
            to += some;
        }
        r->at += some;
        n -= some;
    }
    return true;
}

static bool get_length(struct profile_reader *r, uint64_t *v)
{
    uint8_t byte = 0x80;
    *v = 0;
    for (unsigned shift = 0; shift < 63 && (byte & 0x80); shift += 7) {
        if (!get(r, &byte, 1))
            return false;
        *v |= (uint64_t)(byte & 0x7f) << shift;
    }
    return !(byte & 0x80);
}

static uint8_t take_byte(struct cursor *c)
{
    if (c->at < c->end)
        return *c->at++;
    c->bad = true;
    return 0;
}

static uint64_t take_varint(struct cursor *c)
{
    uint64_t v = 0;
    uint8_t byte = 0x80;
    for (unsigned shift = 0; shift < 64 && (byte & 0x80); shift += 7) {
        byte = take_byte(c);
        v |= (uint64_t)(byte & 0x7f) << shift;
    }
    c->bad = c->bad || (byte & 0x80);
    return v;
}

static uint32_t take_u32(struct cursor *c)
{
    uint64_t v = take_varint(c);
    c->bad = c->bad || v > UINT32_MAX;
    return (uint32_t)v;
}

static void take_frames(struct cursor *c, struct sample *s, uint32_t lin_addr)
{
    s->frames = take_u32(c);
    c->bad = c->bad || s->frames < 1 || s->frames > SAMPLE_FRAMES_MAX;
    for (unsigned i = 0; i < s->frames && !c->bad; i++) {
        s->frame[i].flags = take_byte(c);
        lin_addr += unzigzag(take_u32(c));
        s->frame[i].lin_addr = lin_addr;
    }
}

static bool read_sample(struct profile_reader *r, uint64_t bytes, struct sample *s)
{
    struct cursor c = {r->body, r->body + bytes, false};
    s->flags = take_byte(&c);
    s->cpl = take_byte(&c);
    s->tick = r->last.tick + take_varint(&c);
    s->cs = (uint16_t)take_u32(&c);
    s->cs_base = take_u32(&c);
    s->cr3 = r->last.cr3 + unzigzag(take_u32(&c));
    s->task = take_u32(&c);
    s->entry.kind = take_byte(&c);
    s->entry.vector = take_byte(&c);
    s->entry.number = (uint32_t)take_varint(&c) - 1;
    take_frames(&c, s, r->last.frame[0].lin_addr);
    bool ordered = r->samples == 0 || s->tick > r->last.tick;
    if (c.bad || c.at != c.end || s->cpl > 3 || s->entry.kind >= ENTRY_KINDS || !ordered)
        return false;
    r->last.tick = s->tick;
    r->last.cr3 = s->cr3;
    r->last.frame[0].lin_addr = s->frame[0].lin_addr;
    r->samples++;
    return true;
}

static bool read_end(struct profile_reader *r, uint64_t bytes, uint64_t *end_tick)
{
    struct cursor c = {r->body, r->body + bytes, false};
    uint64_t tick = take_varint(&c), samples = take_varint(&c);
    if (end_tick)
        *end_tick = tick;
    bool last = r->at == r->have && !refill(r) && r->frame_ended; /* the frame's checksum was looked at */
    return last && !c.bad && c.at == c.end && samples == r->samples;
}

/* The next record's kind, with its body; 0: the file is cut off or damaged. */
static char next_record(struct profile_reader *r, uint64_t *bytes)
{
    for (;;) {
        uint8_t kind;
        if (!get(r, &kind, 1) || !get_length(r, bytes))
            return 0;
        bool known = kind == KIND_SAMPLE || kind == KIND_JSON || kind == KIND_END;
        if (known)
            return *bytes <= PROFILE_JSON_MAX && get(r, r->body, *bytes) ? (char)kind : 0;
        if (!get(r, NULL, *bytes))
            return 0;
    }
}

static enum profile_record damaged(struct err *e)
{
    err_set(e, "the profile is damaged, or was cut off before its end");
    return PROFILE_ERROR;
}

enum profile_record profile_next(struct profile_reader *r, struct sample *s, const char **json,
                                 uint64_t *end_tick, struct err *e)
{
    struct sample unwanted;
    uint64_t bytes;
    switch (next_record(r, &bytes)) {
    case KIND_SAMPLE:
        return read_sample(r, bytes, s ? s : &unwanted) ? PROFILE_SAMPLE : damaged(e);
    case KIND_JSON:
        r->body[bytes] = 0;
        if (json)
            *json = (const char *)r->body;
        return strlen((const char *)r->body) == bytes ? PROFILE_JSON : damaged(e);
    case KIND_END:
        return read_end(r, bytes, end_tick) ? PROFILE_END : damaged(e);
    default:
        return damaged(e);
    }
}

/* --- the header --- */

/* "key=value" and a newline. */
static bool head_line(struct profile_head *head, char *line)
{
    uint64_t shift = head->shift;
    const struct {
        const char *key;
        uint64_t last, *value;
    } numbers[] = {{"every", UINT64_MAX, &head->every},
                   {"phase", UINT64_MAX, &head->phase},
                   {"shift", 63, &shift},
                   {"begin", UINT64_MAX, &head->begin}};
    char *value = strchr(line, '=');
    if (!value)
        return false;
    *value++ = 0;
    value[strcspn(value, "\n")] = 0;
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (strcmp(line, numbers[i].key) == 0 && !value_number(value, 0, numbers[i].last, numbers[i].value))
            return false;
    head->shift = (unsigned)shift;
    const int stacks = strcmp(line, "stacks") == 0 ? value_choice(value, "off|on|exact") : (int)head->stacks;
    head->stacks = (enum profile_stacks)stacks; /* MATCH enum profile_stacks */
    return stacks >= 0;
}

static bool read_head(struct profile_reader *r, struct profile_head *head)
{
    char line[128];
    *head = (struct profile_head){0};
    if (!fgets(line, sizeof line, r->file) || strcmp(line, MAGIC) != 0)
        return false;
    for (unsigned i = 0; i < HEAD_MAX / sizeof line && fgets(line, sizeof line, r->file); i++) {
        if (strcmp(line, "\n") == 0)
            return head->every > 0;
        if (!head_line(head, line))
            return false;
    }
    return false;
}

static bool reader_init(struct profile_reader *r, const char *path)
{
    r->zstd = ZSTD_createDStream();
    r->in_bytes = ZSTD_DStreamInSize();
    r->out_bytes = ZSTD_DStreamOutSize();
    r->in_data = malloc(r->in_bytes);
    r->out = malloc(r->out_bytes);
    r->body = malloc(PROFILE_JSON_MAX + 1);
    errno = ENOMEM;
    if (!r->zstd || !r->in_data || !r->out || !r->body)
        return false;
    r->file = fopen(path, "rbe");
    return r->file != NULL;
}

struct profile_reader *profile_open(const char *path, struct profile_head *head, struct err *e)
{
    struct profile_reader *r = calloc(1, sizeof *r);
    if (!r || !reader_init(r, path))
        err_set(e, "%s: %s", path, strerror(errno));
    else if (!read_head(r, head))
        err_set(e, "%s: not a profile of this version; a file that -profile file=F wrote is accepted", path);
    else
        return r;
    profile_close(r);
    return NULL;
}

void profile_close(struct profile_reader *r)
{
    if (!r)
        return;
    if (r->file)
        fclose(r->file);
    ZSTD_freeDStream(r->zstd);
    free(r->in_data);
    free(r->out);
    free(r->body);
    free(r);
}
