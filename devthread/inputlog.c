/* inputlog.c - see inputlog.h. */
#include "devthread/inputlog.h"

#include "clockcore/check.h"
#include "clockcore/ticks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_MAGIC   "tandem-input-log 2"
#define LOG_MAGIC_1 "tandem-input-log 1"
#define LINE_BYTES  (2 * PORT_ENTRY_BYTES + 64) /* the longest line, its newline and a NUL */
#define ERROR_BYTES 256

struct inputlog {
    FILE *file;
    char *path;
    const struct board *board;
    uint64_t line;      /* lines read */
    uint64_t torn_line; /* replay: number of a last line that has no end; 0: none */
    bool old;           /* replay: a recording in format 1 */
    bool more;          /* replay: entry[next] is the next one */
    unsigned next;      /* replay: index in entry[]; the other one was taken last */
    uint64_t last_tick; /* record: of the last entry written; 0: none */
    uint64_t end_tick;  /* replay: of the last line of all; 0: none */
    bool has_end;       /* replay: the last line is an end, whose tick end_tick is */
    bool passed;        /* replay: so is it */
    unsigned last_port; /* likewise */
    struct inputlog_position position;
    char error[ERROR_BYTES];        /* first error while running */
    char text[LINE_BYTES];          /* current line */
    struct inputlog_entry entry[2]; /* replay */
};

/* --- parsing: pointers walk over one line, NULL on anything unexpected --- */

static const char *parse_u64(const char *p, uint64_t *out)
{
    uint64_t v = 0;
    const char *start = p;

    for (; *p >= '0' && *p <= '9'; p++) {
        unsigned digit = (unsigned)(*p - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return NULL;
        v = v * 10 + digit;
    }
    *out = v;
    return p == start ? NULL : p;
}

static const char *parse_word(const char *p, const char *word)
{
    size_t n = strlen(word);

    return p && strncmp(p, word, n) == 0 ? p + n : NULL;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static const char *parse_hex(const char *p, uint8_t *bytes, uint32_t *nbytes)
{
    uint32_t n = 0;

    for (; hex_digit(p[0]) >= 0; p += 2) {
        if (hex_digit(p[1]) < 0 || n == PORT_ENTRY_BYTES)
            return NULL;
        bytes[n++] = (uint8_t)(hex_digit(p[0]) << 4 | hex_digit(p[1]));
    }
    *nbytes = n;
    return n ? p : NULL;
}

/* Any port of the board into which something can come, fitted or not; of a drive: errors of the host. */
static const char *parse_port(const char *p, const struct board *b, unsigned *port)
{
    size_t n = strcspn(p, " ");

    for (unsigned i = 0; i < b->nports; i++)
        if ((b->port[i].in || b->port[i].kind == PORT_BLOCKS) && strlen(b->port[i].name) == n &&
            strncmp(p, b->port[i].name, n) == 0) {
            *port = i;
            return p + n;
        }
    return NULL;
}

static bool parse_entry(const char *p, const struct board *b, struct inputlog_entry *e)
{
    p = parse_u64(p, &e->tick);
    p = parse_word(p, " ");
    p = p ? parse_port(p, b, &e->port) : NULL;
    p = parse_word(p, " ");
    p = p ? parse_hex(p, e->bytes, &e->nbytes) : NULL;
    return p && *p == '\0' && e->tick > 0 && e->tick < TICK_NEVER;
}

static bool parse_end(const char *p, uint64_t *tick)
{
    p = parse_word(parse_u64(p, tick), " end");
    return p && *p == '\0' && *tick > 0 && *tick < TICK_NEVER;
}

static bool parse_rtc(const char *p, int64_t *seconds)
{
    uint64_t v;
    bool negative = *p == '-';

    p = parse_u64(p + negative, &v);
    if (!p || *p || v > INT64_MAX)
        return false;
    *seconds = negative ? -(int64_t)v : (int64_t)v;
    return true;
}

/* As a step of the bus goes through a tick (bus_step): device by device, the use of drives before input. */
static uint64_t place_in_tick(const struct board *b, unsigned port)
{
    return (uint64_t)b->port[port].device << 32 | (uint64_t)(b->port[port].kind != PORT_BLOCKS) << 16 | port;
}

static bool in_order(const struct board *b, uint64_t tick, unsigned port, uint64_t last_tick,
                     unsigned last_port)
{
    return tick > last_tick || (tick == last_tick && place_in_tick(b, port) > place_in_tick(b, last_port));
}

/* --- lines --- */

enum line_result { LINE_OK, LINE_END, LINE_BAD };

/* One whole line without its newline into l->text. End: also where the last line has none, once an entry may
 * stand there. Bad: too long, or with a NUL in it. */
static enum line_result read_line(struct inputlog *l)
{
    if (!fgets(l->text, sizeof(l->text), l->file))
        return ferror(l->file) ? LINE_BAD : LINE_END;
    l->line++;
    size_t len = strlen(l->text);
    if (len > 0 && l->text[len - 1] == '\n') {
        l->text[len - 1] = '\0';
        return LINE_OK;
    }
    if (!feof(l->file))
        return LINE_BAD;
    l->torn_line = l->line;
    return LINE_END;
}

/* Lines "image DRIVE WHAT", as many as there are. False: they are too long. */
static bool read_images(struct inputlog *l, struct inputlog_header *h)
{
    size_t used = 0;

    h->images[0] = '\0';
    for (;;) {
        long start = ftell(l->file);
        uint64_t line = l->line;
        const char *p = read_line(l) == LINE_OK ? parse_word(l->text, "image ") : NULL;
        if (!p) { /* an entry, or the end */
            l->line = line;
            l->torn_line = 0;
            return start >= 0 && fseek(l->file, start, SEEK_SET) == 0;
        }
        used += (size_t)snprintf(h->images + used, sizeof(h->images) - used, "%s\n", p);
        if (used >= sizeof(h->images))
            return false;
    }
}

static bool read_header(struct inputlog *l, struct inputlog_header *h)
{
    uint64_t shift;
    const char *p;

    enum line_result r = read_line(l);
    l->old = r == LINE_OK && strcmp(l->text, LOG_MAGIC_1) == 0;
    if (r != LINE_OK || strcmp(l->text, LOG_MAGIC) != 0)
        return false;
    if (read_line(l) != LINE_OK || !(p = parse_word(l->text, "shift ")) || !(p = parse_u64(p, &shift)) ||
        *p || shift > ICOUNT_SHIFT_MAX)
        return false;
    h->shift = (unsigned)shift;
    return read_line(l) == LINE_OK && (p = parse_word(l->text, "rtc ")) && parse_rtc(p, &h->rtc_seconds) &&
           read_images(l, h);
}

/* Reads the next entry over the older of the two; l->more says whether there was one. False: a bad line. */
static bool read_entry(struct inputlog *l)
{
    const struct inputlog_entry *last = &l->entry[l->next];
    struct inputlog_entry *e = &l->entry[!l->next];
    bool first = !l->more;
    uint64_t end;
    enum line_result r = read_line(l);

    l->more = false;
    if (r != LINE_OK)
        return r == LINE_END;
    if (parse_end(l->text, &end)) {
        l->has_end = true;
        l->end_tick = end;
        return (first || end >= last->tick) && read_line(l) == LINE_END;
    }
    l->more = parse_entry(l->text, l->board, e) &&
              (first || in_order(l->board, e->tick, e->port, last->tick, last->port));
    l->next = !l->next;
    return l->more;
}

/* --- open and close --- */

static void runtime_error(struct inputlog *l, const char *what)
{
    if (!l->error[0])
        snprintf(l->error, sizeof(l->error), "%.200s: %s", l->path, what);
}

static void write_header(FILE *f, const struct inputlog_header *h)
{
    fprintf(f, "%s\nshift %u\nrtc %lld\n", LOG_MAGIC, h->shift, (long long)h->rtc_seconds);
    for (const char *p = h->images; *p;) {
        size_t n = strcspn(p, "\n");
        fprintf(f, "image %.*s\n", (int)n, p);
        p += n + (p[n] == '\n');
    }
}

static struct inputlog *log_open(const char *path, const char *mode, const struct board *board, char *err,
                                 size_t err_bytes)
{
    struct inputlog *l = calloc(1, sizeof(*l));

    if (l)
        l->board = board;
    if (l && (l->path = strdup(path)) && (l->file = fopen(path, mode)))
        return l;
    snprintf(err, err_bytes, "rrfile=%.200s: %s", path, strerror(errno));
    inputlog_close(l);
    return NULL;
}

void inputlog_close(struct inputlog *l)
{
    if (!l)
        return;
    if (l->file)
        fclose(l->file);
    free(l->path);
    free(l);
}

struct inputlog *inputlog_record_open(const char *path, const struct inputlog_header *header,
                                      const struct board *board, char *err, size_t err_bytes)
{
    struct inputlog *l = log_open(path, "we", board, err, err_bytes);

    if (!l)
        return NULL;
    write_header(l->file, header);
    if (fflush(l->file) == 0)
        return l;
    snprintf(err, err_bytes, "rrfile=%.200s: %s", path, strerror(errno));
    inputlog_close(l);
    return NULL;
}

/* Reads everything once, then stands before the first entry. */
static bool validate(struct inputlog *l, struct inputlog_header *header)
{
    if (!read_header(l, header))
        return false;
    long start = ftell(l->file);
    uint64_t start_line = l->line;
    do {
        if (!read_entry(l))
            return false;
        l->end_tick = l->more ? l->entry[l->next].tick : l->end_tick;
    } while (l->more);
    l->line = start_line;
    return start >= 0 && fseek(l->file, start, SEEK_SET) == 0 && read_entry(l);
}

static void replay_refused(const struct inputlog *l, char *err, size_t err_bytes)
{
    if (l->old)
        snprintf(err, err_bytes,
                 "rrfile=%.200s: a recording in format 1, of an older version of Tandem with another "
                 "machine; only "
                 "format 2 is accepted: record again",
                 l->path);
    else
        snprintf(err, err_bytes,
                 "rrfile=%.200s: line %llu is not part of a recording (accepted: '" LOG_MAGIC
                 "', 'shift N', 'rtc SECONDS', then 'TICK PORT HEX' in order, such as '12 serial0 0d')",
                 l->path, (unsigned long long)l->line);
}

struct inputlog *inputlog_replay_open(const char *path, struct inputlog_header *header,
                                      const struct board *board, char *err, size_t err_bytes)
{
    struct inputlog *l = log_open(path, "re", board, err, err_bytes);

    if (!l || validate(l, header))
        return l;
    replay_refused(l, err, err_bytes);
    inputlog_close(l);
    return NULL;
}

uint64_t inputlog_torn(const struct inputlog *l)
{
    return l->torn_line;
}

/* --- running --- */

/* FNV-1a, 64 bits. */
static uint64_t hash_bytes(uint64_t h, const void *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h = (h ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
    return h;
}

static void position_advance(struct inputlog *l, uint64_t tick, unsigned port, const uint8_t *bytes,
                             uint32_t nbytes)
{
    const char *name = l->board->port[port].name;
    uint64_t h = l->position.entries++ ? l->position.hash : UINT64_C(0xcbf29ce484222325);

    h = hash_bytes(h, &tick, sizeof(tick));
    h = hash_bytes(h, name, strlen(name) + 1);
    h = hash_bytes(h, &nbytes, sizeof(nbytes));
    l->position.hash = hash_bytes(h, bytes, nbytes);
}

void inputlog_record(struct inputlog *l, uint64_t tick, unsigned port, const uint8_t *bytes, uint32_t nbytes)
{
    CHECK(nbytes > 0 && nbytes <= PORT_ENTRY_BYTES && tick > 0);
    CHECK(l->last_tick == 0 || in_order(l->board, tick, port, l->last_tick, l->last_port));
    l->last_tick = tick;
    l->last_port = port;
    if (l->error[0]) /* nothing behind a line that may be torn */
        return;
    position_advance(l, tick, port, bytes, nbytes);
    fprintf(l->file, "%llu %s ", (unsigned long long)tick, l->board->port[port].name);
    for (uint32_t i = 0; i < nbytes; i++)
        fprintf(l->file, "%02x", bytes[i]);
    fputc('\n', l->file);
    if (fflush(l->file) != 0 || ferror(l->file))
        runtime_error(l, "the recording could not be written");
}

void inputlog_record_end(struct inputlog *l, uint64_t tick)
{
    const uint64_t end = tick > l->last_tick ? tick : l->last_tick; /* the devices may be ahead of the CPU */
    if (l->error[0] || end == 0)
        return;
    fprintf(l->file, "%llu end\n", (unsigned long long)end);
    if (fflush(l->file) != 0 || ferror(l->file))
        runtime_error(l, "the recording could not be written");
}

uint64_t inputlog_next_tick(const struct inputlog *l)
{
    if (l->more)
        return l->entry[l->next].tick;
    return l->has_end && !l->passed ? l->end_tick : TICK_NEVER;
}

unsigned inputlog_next_port(const struct inputlog *l)
{
    return l->more ? l->entry[l->next].port : INPUTLOG_NO_PORT;
}

uint64_t inputlog_end_tick(const struct inputlog *l)
{
    return l->end_tick;
}

const struct inputlog_entry *inputlog_take(struct inputlog *l, uint64_t tick)
{
    if (inputlog_next_tick(l) > tick)
        return NULL;
    if (!l->more) {
        l->passed = true;
        return NULL;
    }
    const struct inputlog_entry *taken = &l->entry[l->next];
    position_advance(l, taken->tick, taken->port, taken->bytes, taken->nbytes);
    if (!read_entry(l))
        runtime_error(l, "the recording changed while it was replayed");
    return taken;
}

const struct inputlog_position *inputlog_position(const struct inputlog *l)
{
    return &l->position;
}

bool inputlog_skip(struct inputlog *l, const struct inputlog_position *to, uint64_t tick)
{
    if (inputlog_next_tick(l) > tick)
        return true;
    while (l->position.entries < to->entries)
        if (!inputlog_take(l, tick))
            return false;
    if (!l->more)
        inputlog_take(l, tick); /* the end, if the snapshot was made there */
    return l->position.hash == to->hash && inputlog_next_tick(l) > tick;
}

const char *inputlog_error(const struct inputlog *l)
{
    return l->error;
}
