/* main.c - the hardware oracle: random instructions on the real CPU and in the emulator must agree.
 *
 *     oracle [--cases N] [--sequences N] [--seed S] [--row TEXT] [--table] [--single-tb]
 *            [--engine interp|eager] [--shown N] [--form64]
 *     oracle --record FILE [--cases N] [--seed S]     results of this CPU for every host (record.h)
 *     oracle --replay FILE [--engine interp|eager]    compares them; needs no CPU of that kind
 *     oracle --replay FILE --native [--form64]        runs their inputs on this CPU, and compares what it
 * gives
 *
 * --form64: the 64-bit form of cases (form64.h) also where the host runs 32-bit code.
 * Prints mismatches with their bytes and differences, the coverage table (--table), what vendor.def
 * explained, and the counts. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/oracle/compare.h"
#include "tests/oracle/gen_float.h"
#include "tests/oracle/record.h"
#include "tests/oracle/sequence.h"
#include "tests/oracle/vendor.h"

static void print_table(const struct gen *g)
{
    printf("%-32s %9s %9s %9s\n", "row", "cases", "completed", "faulted");
    for (unsigned i = 0; i < g->nrows; i++) {
        const struct oracle_row *r = &g->rows[i];
        if (r->excluded)
            printf("%-32s excluded: %s\n", r->name, r->excluded);
        else
            printf("%-32s %9lu %9lu %9lu%s\n", r->name, r->cases, r->completed, r->faulted,
                   r->cases      ? ""
                   : r->formless ? "  skipped: no 64-bit form, and this host runs no 32-bit code"
                                 : "  NOT RUN");
    }
}

struct options {
    uint64_t cases, sequences, seed, shown; /* shown: mismatches printed at most */
    const char *row, *record, *replay;
    bool table, single_tb, compiled, native, form64;
    enum vendor vendor; /* whose rows of vendor.def count; 0: the real CPU's */
    uint32_t differs;   /* probes of the host that count as failed (translator/x64/probe.h) */
};

static bool parse(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {{"cases", required_argument, NULL, 'c'},
                                          {"seed", required_argument, NULL, 's'},
                                          {"row", required_argument, NULL, 'r'},
                                          {"table", no_argument, NULL, 't'},
                                          {"single-tb", no_argument, NULL, '1'},
                                          {"sequences", required_argument, NULL, 'q'},
                                          {"engine", required_argument, NULL, 'e'},
                                          {"shown", required_argument, NULL, 'n'},
                                          {"vendor", required_argument, NULL, 'v'},
                                          {"differs", required_argument, NULL, 'd'},
                                          {"native", no_argument, NULL, 'N'},
                                          {"form64", no_argument, NULL, '6'},
                                          {"record", required_argument, NULL, 'R'},
                                          {"replay", required_argument, NULL, 'P'},
                                          {NULL, 0, NULL, 0}};
    *o = (struct options){.cases = 100000, .seed = 1, .shown = 20};
    for (int k; (k = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        switch (k) {
        case 'c':
            o->cases = strtoull(optarg, NULL, 0);
            break;
        case 'q':
            o->sequences = strtoull(optarg, NULL, 0);
            break;
        case 's':
            o->seed = strtoull(optarg, NULL, 0);
            break;
        case 'r':
            o->row = optarg;
            break;
        case 'R':
            o->record = optarg;
            break;
        case 'P':
            o->replay = optarg;
            break;
        case 'n':
            o->shown = strtoull(optarg, NULL, 0);
            break;
        case 'v':
            o->vendor = strcmp(optarg, "amd") == 0 ? VENDOR_AMD : VENDOR_INTEL;
            break;
        case 'd':
            o->differs = (uint32_t)strtoul(optarg, NULL, 0);
            break;
        case 't':
            o->table = true;
            break;
        case 'N':
            o->native = true;
            break;
        case '6':
            o->form64 = true;
            break;
        case '1':
            o->single_tb = true;
            break;
        case 'e':
            o->compiled = strcmp(optarg, "eager") == 0;
            break;
        default:
            return false;
        }
    }
    return true;
}

/* Draws one case; returns the row, or NULL for a sequence. */
static struct oracle_row *draw(struct gen *g, const struct options *o, uint64_t n, struct test_case *c,
                               struct undefined *u)
{
    *u = (struct undefined){0};
    if (!o->row && n % 8 == 7) {
        gen_sequence(g, c);
        return NULL;
    }
    for (;;) {
        struct oracle_row *row = &g->rows[gen_random(g) % g->nrows];
        if (row->excluded || (o->row && !strstr(row->name, o->row)))
            continue;
        if (gen_single(g, row, c, u))
            return row;
    }
}

/* --- cases --- */

struct driver {
    struct options o;
    struct gen g;
    struct emulated *machine;
    enum vendor vendor; /* of the real CPU */
    struct vendor_counts explained;
    uint64_t passed, failed, skipped, formless;
};

/* The emulator's turn, and the verdict. */
static void judge(struct driver *d, const struct vendor_case *v)
{
    static struct test_result e;
    emulated_run(d->machine, v->c, &e);
    if (compare_results(v->cpu, &e, v->u, false) == 0 || vendor_explains(d->vendor, v, &e, &d->explained)) {
        d->passed++;
        return;
    }
    if (d->failed++ < d->o.shown) {
        show_case(v->c, v->row ? v->row->name : "sequence");
        compare_results(v->cpu, &e, v->u, true);
    }
}

static void count_incomparable(struct driver *d, struct oracle_row *row, const struct test_result *native)
{
    const bool formless = native->vector == NATIVE_NO_FORM;
    *(formless ? &d->formless : &d->skipped) += 1;
    if (row)
        row->formless += formless;
}

static void run_cases(struct driver *d)
{
    static struct test_case c;
    static struct test_result native;
    struct undefined u;
    for (uint64_t n = 0; n < d->o.cases; n++) {
        struct oracle_row *row = draw(&d->g, &d->o, n, &c, &u);
        native_run(&c, &native);
        if (!is_comparable(&native)) {
            count_incomparable(d, row, &native);
            continue;
        }
        if (row) {
            row->cases++;
            *(native.vector == 3 ? &row->completed : &row->faulted) += 1;
        }
        judge(d, &(struct vendor_case){&c, row, &u, &native, d->machine});
    }
}

/* --- recorded results --- */

/* Cases a row; of several instructions; and of each that vendor.def explains here, so many more. */
enum { ROW_CASES = 5, SEQUENCE_CASES = 500, DIFFERENCE_CASES = 25 };

static void fill_pool(struct driver *d, struct record *r)
{
    struct undefined u;
    for (unsigned i = 0; i < RECORD_POOL; i++) {
        struct test_case *c = &r->pool[i];
        const struct oracle_row *row;
        do
            row = &d->g.rows[gen_random(&d->g) % d->g.nrows];
        while (row->excluded || row->test != (i % 3 ? T_SSE : T_X87) || !gen_single(&d->g, row, c, &u));
        if (i)
            memcpy(c->data, r->pool[0].data, DATA_BYTES);
    }
}

static bool differs(struct driver *d, const struct vendor_case *v)
{
    static struct test_result e;
    emulated_run(d->machine, v->c, &e);
    return compare_results(v->cpu, &e, v->u, false) != 0;
}

static bool is_wanted(struct driver *d, const struct vendor_case *v, uint64_t *sequences)
{
    struct vendor_counts before = d->explained;
    const uint64_t passed = d->passed;
    if (!differs(d, v))
        return v->row ? ((struct oracle_row *)v->row)->cases++ < ROW_CASES : (*sequences)++ < SEQUENCE_CASES;
    judge(d, v);
    for (unsigned i = 0; i < VENDOR_DIFFERENCES; i++)
        if (d->explained.explained[i] != before.explained[i] && before.explained[i] < DIFFERENCE_CASES)
            return true;
    return d->passed == passed; /* unknown yet: above all these */
}

static void print_lacking(const struct gen *g)
{
    for (unsigned i = 0; i < g->nrows; i++)
        if (g->rows[i].formless && !g->rows[i].completed)
            printf("not in the set, for it has no 64-bit form: %s\n", g->rows[i].name);
}

static bool record_cases(struct driver *d)
{
    static struct record r;
    static struct recorded_case rc;
    FILE *to = fopen(d->o.record, "wb");
    if (!to) {
        perror(d->o.record);
        return false;
    }
    fill_pool(d, &r);
    d->g.pool = r.pool, d->g.npool = RECORD_POOL;
    record_begin(&r, to);
    uint64_t written = 0, sequences = 0;
    for (uint64_t n = 0; n < d->o.cases; n++) {
        struct undefined u;
        struct oracle_row *row = draw(&d->g, &d->o, n, &rc.c, &u);
        rc.is_sequence = !row;
        native_run(&rc.c, &rc.cpu);
        if (!is_comparable(&rc.cpu)) {
            count_incomparable(d, row, &rc.cpu);
            continue;
        }
        if (!is_wanted(d, &(struct vendor_case){&rc.c, row, &u, &rc.cpu, d->machine}, &sequences))
            continue;
        record_write(&r, d->g.pooled, &rc);
        written++;
        if (row)
            row->completed++;
    }
    const bool ok = record_end(&r) && fclose(to) == 0;
    print_lacking(&d->g);
    printf("oracle: %s: %lu cases of %s%s\n", d->o.record, written, r.cpu, ok ? "" : ": cannot write");
    return ok;
}

/* Runs the recorded case's input here, and judges what came; `differ` counts results that are not the
 * recorded ones. */
static void run_again(struct driver *d, const struct vendor_case *v, uint64_t *differ)
{
    static struct test_result here;
    struct vendor_case again = *v;
    native_run(v->c, &here);
    if (!is_comparable(&here)) {
        count_incomparable(d, NULL, &here);
        return;
    }
    *differ += compare_results(v->cpu, &here, v->u, false) != 0;
    again.cpu = &here;
    judge(d, &again);
}

static bool replay_cases(struct driver *d)
{
    uint64_t differ = 0;
    static struct record r;
    static struct recorded_case rc;
    FILE *from = strcmp(d->o.replay, "-") ? fopen(d->o.replay, "rb") : stdin;
    if (!from || !record_open(&r, from)) {
        fprintf(stderr, "oracle: %s: not a recorded set\n", d->o.replay);
        return false;
    }
    if (!d->o.vendor && !d->o.native)
        d->vendor = r.vendor;
    while (record_read(&r, &rc)) {
        struct undefined u = {0};
        const struct oracle_row *row = rc.is_sequence ? NULL : gen_row_of(&d->g, rc.c.code);
        if (row)
            gen_undefined(row, &rc.c, &u);
        const struct vendor_case v = {&rc.c, row, &u, &rc.cpu, d->machine};
        if (d->o.native)
            run_again(d, &v, &differ);
        else
            judge(d, &v);
    }
    d->failed += r.bad;
    vendor_print(&d->explained);
    if (d->o.native)
        printf("oracle: run on this CPU%s: %lu results differ from the recorded ones, %lu cases have no "
               "64-bit form\n",
               native_is_form64() ? " in 64-bit form" : "", differ, d->formless);
    printf("oracle: recorded on %s%s\n%lu passed, %lu failed\n", r.cpu, r.bad ? "; the set is torn" : "",
           d->passed, d->failed);
    return true;
}

/* --- all --- */

/* Adds the sequences' counts; false: they could not run. */
static bool run_sequences(struct driver *d)
{
    struct sequence_counts c;
    if (d->o.sequences == 0)
        return true;
    if (native_is_form64())
        puts("SKIP sequences on the real CPU: this host runs no 32-bit code; the engines are compared alone");
    if (!sequences_run(&d->g, d->vendor, d->o.seed, d->o.sequences, &c))
        return false;
    printf("sequences: %lu instructions, %lu skipped, %lu left to single cases by vendor.def, %lu with code "
           "changes (%lu "
           "through an alias); ended by:",
           c.insns, c.skipped, c.vendor, c.changed_code, c.by_alias);
    for (unsigned i = 0; i < 32; i++)
        if (c.vector[i])
            printf(" %u: %lu", i, c.vector[i]);
    putchar('\n');
    d->passed += c.passed, d->failed += c.failed;
    return true;
}

int main(int argc, char **argv)
{
    static struct driver d;
    char cpu[49];
    if (!parse(argc, argv, &d.o) || ((!d.o.replay || d.o.native) && !native_init(d.o.form64)))
        return 2;
    d.vendor = vendor_of_host(cpu);
    if (d.o.vendor)
        d.vendor = d.o.vendor;
    d.machine =
        emulated_create(&(struct emulated_config){.single_tb = d.o.single_tb,
                                                  .mode = d.o.compiled ? TRANSLATOR_EAGER : TRANSLATOR_INTERP,
                                                  .pretend_differs = d.o.differs});
    if (!d.machine)
        return 2;
    gen_init(&d.g, d.o.seed);
    if (d.o.record || d.o.replay)
        return !(d.o.record ? record_cases(&d) : replay_cases(&d)) ? 2 : d.failed ? 1 : 0;
    run_cases(&d);
    if (d.o.table)
        print_table(&d.g);
    if (!run_sequences(&d))
        return 2;
    vendor_print(&d.explained);
    printf(
        "oracle: %s, seed %lu, %lu cases skipped (fetch from data), %lu without a 64-bit form\n%lu passed, "
        "%lu failed\n",
        cpu, d.o.seed, d.skipped, d.formless, d.passed, d.failed);
    gen_end(&d.g);
    emulated_destroy(d.machine);
    return d.failed ? 1 : 0;
}
