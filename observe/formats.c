/* formats.c - see formats.h; the formats that are text. */
#include "observe/formats.h"

#include "observe/attribute.h"
#include "observe/formats_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define DEPTH_MAX (SAMPLE_FRAMES_MAX + 4) /* root, process, frames, idling */

/* --- collapsed stacks --- */

/* The name without what separates names and counts. */
static void put_name(const char *name, const char *separators, FILE *out)
{
    for (; *name; name++)
        fputc(strchr(separators, *name) ? '_' : *name, out);
}

static void put_folded(const struct calltree *t, uint32_t node, FILE *out)
{
    uint32_t path[DEPTH_MAX], n = 0;
    for (uint32_t at = node; at != CALLTREE_ROOT && n < DEPTH_MAX; at = t->node[at].parent)
        path[n++] = at;
    while (n-- > 0) {
        put_name(t->node[path[n]].name, "; ", out);
        fprintf(out, "%s%s", t->node[path[n]].kind == CALL_KERNEL ? "_[k]" : "", n ? ";" : "");
    }
    fprintf(out, " %" PRIu64 "\n", t->node[node].self);
}

static void put_folded_tree(const struct calltree *t, FILE *out)
{
    uint32_t at = CALLTREE_ROOT;
    /* Down, along, and up again: in the order of names. */
    while (at != CALLTREE_NONE) {
        if (t->node[at].self && at != CALLTREE_ROOT)
            put_folded(t, at, out);
        uint32_t next = t->node[at].child;
        for (; next == CALLTREE_NONE && at != CALLTREE_ROOT; at = t->node[at].parent)
            next = t->node[at].sibling;
        at = next;
    }
}

/* --- perf script --- */

struct perf {
    struct names *names;
    FILE *out;
    const struct profile_head *head;
};

static void put_frame(const struct perf *p, const struct sample *s, unsigned i)
{
    struct names_function f = names_function(p->names, s, i);
    fprintf(p->out, "\t%16" PRIx32 " ", s->frame[i].lin_addr);
    if (f.known) {
        put_name(f.name, " ", p->out);
        fprintf(p->out, "+0x%" PRIx32, s->frame[i].lin_addr - f.first);
    } else {
        fputs("[unknown]", p->out);
    }
    fputs(" (", p->out);
    put_name(*f.file ? f.file : "[unknown]", " ()", p->out);
    fputs(")\n", p->out);
}

static void put_sample(void *ctx, const struct sample *s)
{
    const struct perf *p = ctx;
    struct names_task task = names_task(p->names, s);
    uint64_t us = (s->tick << p->head->shift) / 1000;
    put_name(task.name, " ", p->out);
    fprintf(p->out, " %" PRId64 "/%" PRId64 " [000] %" PRIu64 ".%06" PRIu64 ": %" PRIu64 " %s: \n",
            task.pid < 0 ? 0 : task.pid, task.tid < 0 ? 0 : task.tid, us / 1000000, us % 1000000,
            p->head->every, s->flags & SAMPLE_IDLE ? "idle" : "ticks");
    for (unsigned i = 0; i < s->frames; i++)
        put_frame(p, s, i);
    fputc('\n', p->out);
}

static bool format_perf(const char *from, struct names *n, FILE *out, struct err *e)
{
    struct profile_head head;
    struct perf p = {n, out, &head};
    return profile_each(from, put_sample, &p, &head, NULL, e);
}

/* --- all --- */

static bool copy(const char *from, FILE *out, struct err *e)
{
    char block[65536];
    FILE *in = fopen(from, "rbe");
    if (!in)
        return err_set(e, "%s: %s", from, strerror(errno));
    for (size_t n; (n = fread(block, 1, sizeof block, in)) > 0;)
        fwrite(block, 1, n, out);
    bool ok = !ferror(in);
    fclose(in);
    return ok || err_set(e, "%s: could not be read", from);
}

static bool write_tree(const char *from, enum profile_format format, FILE *out, struct err *e)
{
    struct calltree *t = calltree_load(from, e);
    bool ok = t != NULL;
    if (t && format == FORMAT_FOLDED)
        put_folded_tree(t, out);
    if (t && format == FORMAT_SVG)
        format_svg(t, out);
    if (t && format == FORMAT_PPROF && !format_pprof(t, out))
        ok = err_set(e, "%s: out of memory", from);
    calltree_free(t);
    return ok;
}

static bool write_stream(const char *from, enum profile_format format, FILE *out, struct err *e)
{
    struct names *n = names_load(from, e);
    bool ok = n && (format == FORMAT_PERF ? format_perf(from, n, out, e) : format_perfetto(from, n, out, e));
    names_free(n);
    return ok;
}

bool format_write(const char *from, enum profile_format format, FILE *out, const char *to, struct err *e)
{
    bool ok = format == FORMAT_RAW                                 ? copy(from, out, e)
              : format == FORMAT_PERF || format == FORMAT_PERFETTO ? write_stream(from, format, out, e)
                                                                   : write_tree(from, format, out, e);
    if (ok && (fflush(out) != 0 || ferror(out)))
        return err_set(e, "%s: could not be written: %s", to, strerror(errno));
    return ok;
}
