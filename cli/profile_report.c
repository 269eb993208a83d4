/* profile_report.c - tandem-profile: what a profile of -profile says, as tables; two compared; other formats.
 *
 *     tandem-profile report [-n ROWS] F
 *     tandem-profile diff [-n ROWS] A B
 *     tandem-profile lines [-n ROWS] F ELF
 *     tandem-profile convert format=FORMAT F [OUT]
 *
 * Exit status: 0, or 2 with a message on stderr. */
#include "cli/profile_lines.h"
#include "machine/optvalue.h"
#include "observe/formats.h"
#include "observe/functions.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_DEFAULT 25
#define PATHS        10
#define PATH_FRAMES  16
#define FAILED       2

static const char usage[] =
    "tandem-profile: reads what `tandem -profile file=F` wrote\n"
    "\n"
    "  tandem-profile report [-n ROWS] F             processes, functions, kernel entries, hottest kernel "
    "stacks\n"
    "  tandem-profile diff [-n ROWS] A B             what took more and what took less in B than in A\n"
    "  tandem-profile lines [-n ROWS] F ELF          by lines of the source, which the ELF file's DWARF "
    "tells\n"
    "  tandem-profile convert format=FORMAT F [OUT]  F in another format, to OUT or to stdout\n"
    "\n"
    "FORMAT: " FORMAT_NAMES "\n"
    "  folded for flamegraph.pl and speedscope, perf for speedscope and whatever reads `perf script`, pprof "
    "for\n"
    "  `go tool pprof`, perfetto for ui.perfetto.dev, svg (a flame graph) for a browser.\n"
    "ROWS: rows of each table, 1..100000 (default 25).\n"
    "\n"
    "Example:\n"
    "  tandem -kernel linux ... -profile file=boot.prof,every=12500,stacks=on\n"
    "  tandem-profile report boot.prof\n"
    "  tandem-profile convert format=svg boot.prof boot.svg\n"
    "\n"
    "See tandem-profile(1).\n";

static double percent(uint64_t part, uint64_t whole)
{
    return whole ? 100 * (double)part / (double)whole : 0;
}

/* --- report --- */

static void print_quality(const struct calltree *t, unsigned i, const char *what)
{
    const struct call_quality *q = &t->kernel[i];
    if (q->samples == 0)
        return;
    printf("%s: %" PRIu64 " samples, %.2f %% of them with a name", what, q->samples,
           percent(q->named, q->samples));
    if (t->head.stacks != PROFILE_STACKS_OFF)
        printf(", %.2f %% with a stack up to its outermost frame", percent(q->whole, q->samples));
    printf("\n");
}

static void print_head(const char *path, const struct calltree *t)
{
    static const char *const stacks[] = {"off", "on", "exact"};
    uint64_t idle = 0, rep = 0;
    for (uint32_t i = 0; i < t->processes; i++) {
        idle += t->process[i].idle;
        rep += t->process[i].rep;
    }
    printf("%s: %" PRIu64 " samples, one every %" PRIu64 " ticks (%" PRIu64 " ns), ticks %" PRIu64
           " to %" PRIu64 ", stacks=%s\n",
           path, t->samples, t->head.every, t->head.every << t->head.shift, t->head.begin, t->end_tick,
           stacks[t->head.stacks]);
    printf("idle %.2f %%, iterations of repeated string instructions %.2f %%\n", percent(idle, t->samples),
           percent(rep, t->samples));
    print_quality(t, 1, "kernel");
    print_quality(t, 0, "code without page tables");
}

static void print_processes(const struct calltree *t, unsigned rows)
{
    printf("\nprocesses\n%9s %7s %7s %7s %7s %7s  %s\n", "samples", "%", "user", "kernel", "idle", "REP",
           "process");
    for (uint32_t i = 0; i < t->processes && i < rows; i++) {
        const struct call_process *p = &t->process[i];
        uint64_t all = p->user + p->kernel + p->idle;
        printf("%9" PRIu64 " %7.2f %7.2f %7.2f %7.2f %7.2f  %s", all, percent(all, t->samples),
               percent(p->user, t->samples), percent(p->kernel, t->samples), percent(p->idle, t->samples),
               percent(p->rep, t->samples), p->task.name);
        if (p->task.os == NAMES_LINUX)
            printf(p->task.tid == p->task.pid ? " (%" PRId64 ")" : " (%" PRId64 "/%" PRId64 ")", p->task.pid,
                   p->task.tid);
        if (p->task.os == NAMES_MINIX)
            printf(" (endpoint %" PRId64 ")", p->task.pid);
        printf("\n");
    }
}

static const char *kind_mark(uint8_t kind)
{
    return kind == CALL_KERNEL ? "k" : kind == CALL_USER ? "u" : " ";
}

static void print_functions(const struct calltree *t, const struct functions *f, unsigned rows)
{
    printf("\nfunctions (k: kernel, u: user code)\n%9s %7s %9s %7s\n", "self", "%", "total", "%");
    for (uint32_t i = 0; i < f->count && i < rows; i++) {
        const struct function_row *r = &f->row[i];
        printf("%9" PRIu64 " %7.2f %9" PRIu64 " %7.2f  %s %s\n", r->self, percent(r->self, t->samples),
               r->total, percent(r->total, t->samples), kind_mark(r->kind), r->name);
    }
}

static void print_entry(const struct entry *e)
{
    static const char *const kinds[] = {[ENTRY_NONE] = "not entered (the kernel starts, or its own threads)",
                                        [ENTRY_EXCEPTION] = "exception",
                                        [ENTRY_INTERRUPT] = "interrupt",
                                        [ENTRY_SOFTWARE] = "INT",
                                        [ENTRY_SYSENTER] = "SYSENTER",
                                        [ENTRY_GATE] = "call gate"};
    printf("%s", kinds[e->kind]);
    if (e->kind == ENTRY_EXCEPTION || e->kind == ENTRY_INTERRUPT || e->kind == ENTRY_SOFTWARE)
        printf(" %u (0x%x)", e->vector, e->vector);
    if (e->kind == ENTRY_INTERRUPT && e->number != ENTRY_NO_NUMBER)
        printf(", IRQ %" PRIu32, e->number);
    if ((e->kind == ENTRY_SOFTWARE || e->kind == ENTRY_SYSENTER) && e->number != ENTRY_NO_NUMBER)
        printf(", system call %" PRIu32, e->number);
    printf("\n");
}

static void print_entries(const struct calltree *t, unsigned rows)
{
    printf("\nkernel, by how it was entered\n%9s %7s\n", "samples", "%");
    for (uint32_t i = 0; i < t->entries && i < rows; i++) {
        printf("%9" PRIu64 " %7.2f  ", t->entry[i].samples, percent(t->entry[i].samples, t->samples));
        print_entry(&t->entry[i].entry);
    }
}

static void print_path(const struct calltree *t, uint32_t node)
{
    uint32_t path[PATH_FRAMES], n = 0;
    for (; node != CALLTREE_ROOT && n < PATH_FRAMES; node = t->node[node].parent)
        path[n++] = node;
    printf("%s", node == CALLTREE_ROOT ? "" : "... > ");
    while (n-- > 0)
        printf("%s%s", t->node[path[n]].name, n ? " > " : "\n");
}

static void print_paths(const struct calltree *t)
{
    uint32_t top[PATHS];
    unsigned n = functions_top_paths(t, CALL_KERNEL, top, PATHS);
    printf("\nhottest kernel stacks, outermost first\n");
    for (unsigned i = 0; i < n; i++) {
        uint64_t self = t->node[top[i]].self;
        printf("%9" PRIu64 " %7.2f  ", self, percent(self, t->samples));
        print_path(t, top[i]);
    }
}

static bool report(const char *path, unsigned rows, struct err *e)
{
    struct calltree *t = calltree_load(path, e);
    if (!t)
        return false;
    struct functions f;
    bool ok = functions_of(t, &f) || err_set(e, "%s: out of memory", path);
    if (ok) {
        print_head(path, t);
        print_processes(t, rows);
        print_functions(t, &f, rows);
        print_entries(t, rows);
        print_paths(t);
        functions_free(&f);
    }
    calltree_free(t);
    return ok;
}

/* --- diff --- */

/* Ticks, which samples of different distances are compared by. */
static double ticks(const struct calltree *t, uint64_t samples)
{
    return (double)samples * (double)t->head.every;
}

static void print_difference(const struct calltree *a, const struct calltree *b,
                             const struct function_pair *p)
{
    double before = ticks(a, p->a), after = ticks(b, p->b);
    printf("%15.0f %15.0f %+15.0f %+8.2f  %s %s\n", before, after, after - before,
           percent(p->b, b->samples) - percent(p->a, a->samples), kind_mark(p->kind), p->name);
}

static void print_diff(const struct calltree *a, const struct calltree *b, struct function_pairs *p,
                       unsigned rows)
{
    static const char head[] = "%15s %15s %15s %8s\n";
    printf("\nprocesses, by ticks\n");
    printf(head, "A", "B", "B - A", "points");
    for (uint32_t i = 0; i < p->processes && i < rows; i++)
        print_difference(a, b, &p->process[i]);
    printf("\nfunctions, by ticks of their own (k: kernel, u: user code)\n");
    printf(head, "A", "B", "B - A", "points");
    for (uint32_t i = 0; i < p->count && i < rows; i++)
        print_difference(a, b, &p->row[i]);
}

static bool diff(const char *path_a, const char *path_b, unsigned rows, struct err *e)
{
    struct calltree *a = calltree_load(path_a, e), *b = a ? calltree_load(path_b, e) : NULL;
    struct function_pairs p;
    bool ok = b != NULL;
    if (ok && !functions_pair(a, b, &p))
        ok = err_set(e, "%s: out of memory", path_a);
    else if (ok) {
        printf("A %s: %" PRIu64 " samples, %.0f ticks\nB %s: %" PRIu64 " samples, %.0f ticks\n", path_a,
               a->samples, ticks(a, a->samples), path_b, b->samples, ticks(b, b->samples));
        print_diff(a, b, &p, rows);
        functions_pairs_free(&p);
    }
    calltree_free(a);
    calltree_free(b);
    return ok;
}

/* --- convert --- */

static bool convert(const char *format, const char *from, const char *to, struct err *e)
{
    int f = strncmp(format, "format=", 7) == 0 ? value_choice(format + 7, FORMAT_NAMES) : -1;
    if (f < 0)
        return err_set(e, "convert %s: format=" FORMAT_NAMES " is accepted", format);
    FILE *out = to ? fopen(to, "wbe") : stdout;
    if (!out)
        return err_set(e, "%s: %s; a file that can be written is needed", to, strerror(errno));
    bool ok = format_write(from, (enum profile_format)f, out, to ? to : "stdout", e);
    if (to && fclose(out) != 0 && ok)
        ok = err_set(e, "%s: could not be written: %s", to, strerror(errno));
    if (to && !ok)
        remove(to);
    return ok;
}

/* --- the command line --- */

/* Takes "-n ROWS" from the front of the arguments. */
static bool take_rows(int *argc, char ***argv, unsigned *rows, struct err *e)
{
    uint64_t v;
    if (*argc < 1 || strcmp((*argv)[0], "-n") != 0)
        return true;
    if (*argc < 2 || !value_number((*argv)[1], 1, 100000, &v))
        return err_set(e, "-n: a number of rows is needed, 1..100000");
    *rows = (unsigned)v;
    *argc -= 2;
    *argv += 2;
    return true;
}

static bool run(int argc, char **argv, struct err *e)
{
    const char *command = argc > 1 ? argv[1] : "";
    unsigned rows = ROWS_DEFAULT;
    argc = argc > 2 ? argc - 2 : 0;
    argv += 2;
    if (strcmp(command, "convert") == 0 && (argc == 2 || argc == 3))
        return convert(argv[0], argv[1], argc == 3 ? argv[2] : NULL, e);
    if (!take_rows(&argc, &argv, &rows, e))
        return false;
    if (strcmp(command, "report") == 0 && argc == 1)
        return report(argv[0], rows, e);
    if (strcmp(command, "diff") == 0 && argc == 2)
        return diff(argv[0], argv[1], rows, e);
    if (strcmp(command, "lines") == 0 && argc == 2)
        return profile_lines(argv[0], argv[1], rows, e);
    return err_set(e, "report F, lines F ELF, diff A B or convert format=FORMAT F [OUT] is accepted; see "
                      "tandem-profile --help");
}

int main(int argc, char **argv)
{
    struct err e = {""};
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(usage, stdout);
        return 0;
    }
    bool ok = run(argc, argv, &e);
    if (ok && (fflush(stdout) != 0 || ferror(stdout)))
        ok = err_set(&e, "stdout: %s", strerror(errno));
    if (!ok)
        fprintf(stderr, "tandem-profile: %s\n", e.text);
    return ok ? 0 : FAILED;
}
