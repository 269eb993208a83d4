/* profile_lines.c - see profile_lines.h. */
#include "cli/profile_lines.h"

#include "observe/calltree.h"
#include "observe/names.h"
#include "observe/sourcelines.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KERNEL "[kernel]" /* names that the guest's kernel itself told: any file may be of it */

/* Samples at one address; later, of one line. */
struct spot {
    const char *function; /* interned: equal names are one pointer */
    uint32_t first, lin_addr;
    uint64_t samples;
    struct source_line line;
};

struct gathering {
    struct names *names;
    const char *file; /* name of the ELF file, without its folder */
    struct spot *spot;
    size_t count, room, samples;
    bool failed; /* no memory */
};

static void gather(void *ctx, const struct sample *s)
{
    struct gathering *g = ctx;
    const struct names_function f = names_function(g->names, s, 0);
    g->samples++;
    if (!f.known || (strcmp(f.file, g->file) != 0 && strcmp(f.file, KERNEL) != 0))
        return;
    if (g->count == g->room) {
        const size_t room = 2 * g->room + 4096;
        struct spot *more = realloc(g->spot, room * sizeof *more);
        g->failed = g->failed || !more;
        if (!more)
            return;
        g->spot = more;
        g->room = room;
    }
    g->spot[g->count++] =
        (struct spot){names_intern(g->names, f.name), f.first, s->frame[0].lin_addr, 1, {0}};
}

static int by_address(const void *pa, const void *pb)
{
    const struct spot *a = pa, *b = pb;
    if (a->lin_addr != b->lin_addr)
        return a->lin_addr < b->lin_addr ? -1 : 1;
    return a->first < b->first ? -1 : a->first > b->first ? 1 : strcmp(a->function, b->function);
}

static int by_line(const void *pa, const void *pb)
{
    const struct spot *a = pa, *b = pb;
    const int c = strcmp(a->line.file, b->line.file);
    if (c || a->line.line != b->line.line)
        return c ? c : a->line.line < b->line.line ? -1 : 1;
    return strcmp(a->function, b->function);
}

static int by_samples(const void *pa, const void *pb)
{
    const struct spot *a = pa, *b = pb;
    return a->samples != b->samples ? (a->samples > b->samples ? -1 : 1) : by_line(pa, pb);
}

/* Neighbours that are equal become one. */
static void add_up(struct gathering *g, int (*compare)(const void *, const void *))
{
    size_t kept = 0;
    if (g->count)
        qsort(g->spot, g->count, sizeof *g->spot, compare);
    for (size_t i = 0; i < g->count; i++)
        if (kept && compare(&g->spot[kept - 1], &g->spot[i]) == 0)
            g->spot[kept - 1].samples += g->spot[i].samples;
        else
            g->spot[kept++] = g->spot[i];
    g->count = kept;
}

static void find_lines(struct gathering *g, struct source_lines *lines)
{
    size_t kept = 0;
    for (size_t i = 0; i < g->count; i++) {
        struct spot *s = &g->spot[i];
        if (sourcelines_at(lines, s->function, s->first, s->lin_addr, &s->line))
            g->spot[kept++] = *s;
    }
    g->count = kept;
}

/* The file may have anything in its names. */
static void print_printable(const char *text)
{
    for (; *text; text++)
        putchar(*text >= ' ' && *text <= '~' ? *text : '?');
}

static void print(const struct gathering *g, unsigned rows)
{
    uint64_t found = 0;
    const double all = g->samples ? (double)g->samples : 1;
    for (size_t i = 0; i < g->count; i++)
        found += g->spot[i].samples;
    printf("%s: lines of %" PRIu64 " of %zu samples, %.2f %%\n\n%9s %7s  function, line\n", g->file, found,
           g->samples, 100 * (double)found / all, "samples", "%");
    for (size_t i = 0; i < g->count && i < rows; i++) {
        const struct spot *s = &g->spot[i];
        printf("%9" PRIu64 " %7.2f  %s  ", s->samples, 100 * (double)s->samples / all, s->function);
        print_printable(s->line.file);
        printf(":%d\n", s->line.line);
    }
}

bool profile_lines(const char *profile, const char *elf, unsigned rows, struct err *e)
{
    struct profile_head head;
    uint64_t end_tick;
    const char *slash = strrchr(elf, '/');
    struct source_lines *lines = sourcelines_open(elf, e);
    struct gathering g = {.file = slash ? slash + 1 : elf, .names = lines ? names_load(profile, e) : NULL};
    bool ok = g.names && profile_each(profile, gather, &g, &head, &end_tick, e) &&
              (!g.failed || err_set(e, "%s: out of memory", profile));
    if (ok) {
        add_up(&g, by_address);
        find_lines(&g, lines);
        add_up(&g, by_line);
        if (g.count)
            qsort(g.spot, g.count, sizeof *g.spot, by_samples);
        print(&g, rows);
    }
    free(g.spot);
    names_free(g.names);
    sourcelines_close(lines);
    return ok;
}
