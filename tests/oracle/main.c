/* main.c - the hardware oracle: random instructions on the real CPU and in the emulator must agree.
 *
 *     oracle [--cases N] [--sequences N] [--seed S] [--row TEXT] [--table] [--single-tb]
 *            [--engine interp|eager] [--shown N]
 *     oracle --record FILE [--cases N] [--seed S]     results of this CPU for every host (record.h)
 *     oracle --replay FILE [--engine interp|eager]    compares them; needs no CPU of that kind
 *
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
                   r->cases ? "" : "  NOT RUN");
    }
}

struct options {
    uint64_t cases, sequences, seed, shown; /* shown: mismatches printed at most */
    const char *row, *record, *replay;
    bool table, single_tb, compiled;
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
    uint64_t passed, failed, skipped;
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

static void run_cases(struct driver *d)
{
    static struct test_case c;
    static struct test_result native;
    struct undefined u;
    for (uint64_t n = 0; n < d->o.cases; n++) {
        struct oracle_row *row = draw(&d->g, &d->o, n, &c, &u);
        native_run(&c, &native);
        if (!is_comparable(&native)) {
            d->skipped++;
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
        const struct oracle_row *row = draw(&d->g, &d->o, n, &rc.c, &u);
        rc.is_sequence = !row;
        native_run(&rc.c, &rc.cpu);
        if (!is_comparable(&rc.cpu) ||
            !is_wanted(d, &(struct vendor_case){&rc.c, row, &u, &rc.cpu, d->machine}, &sequences))
            continue;
        record_write(&r, d->g.pooled, &rc);
        written++;
    }
    const bool ok = record_end(&r) && fclose(to) == 0;
    printf("oracle: %s: %lu cases of %s%s\n", d->o.record, written, r.cpu, ok ? "" : ": cannot write");
    return ok;
}

static bool replay_cases(struct driver *d)
{
    static struct record r;
    static struct recorded_case rc;
    FILE *from = strcmp(d->o.replay, "-") ? fopen(d->o.replay, "rb") : stdin;
    if (!from || !record_open(&r, from)) {
        fprintf(stderr, "oracle: %s: not a recorded set\n", d->o.replay);
        return false;
    }
    d->vendor = d->o.vendor ? d->o.vendor : r.vendor;
    while (record_read(&r, &rc)) {
        struct undefined u = {0};
        const struct oracle_row *row = rc.is_sequence ? NULL : gen_row_of(&d->g, rc.c.code);
        if (row)
            gen_undefined(row, &rc.c, &u);
        judge(d, &(struct vendor_case){&rc.c, row, &u, &rc.cpu, d->machine});
    }
    d->failed += r.bad;
    vendor_print(&d->explained);
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
    if (!parse(argc, argv, &d.o) || (!d.o.replay && !native_init()))
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
    printf("oracle: %s, seed %lu, %lu cases skipped (fetch from data)\n%lu passed, %lu failed\n", cpu,
           d.o.seed, d.skipped, d.passed, d.failed);
    gen_end(&d.g);
    emulated_destroy(d.machine);
    return d.failed ? 1 : 0;
}
