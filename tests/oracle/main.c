/* main.c - the hardware oracle: random instructions on the real CPU and in the emulator must agree.
 *
 *     oracle [--cases N] [--sequences N] [--seed S] [--row TEXT] [--table] [--single-tb]
 *            [--engine interp|eager] [--shown N]
 *
 * Prints mismatches with their bytes and differences, the coverage table (--table), what vendor.def
 * explained, and the counts. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/oracle/compare.h"
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
    const char *row;
    bool table, single_tb, compiled;
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
        case 'n':
            o->shown = strtoull(optarg, NULL, 0);
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
    if (!parse(argc, argv, &d.o) || !native_init())
        return 2;
    d.vendor = vendor_of_host(cpu);
    d.machine = emulated_create(&(struct emulated_config){
        .single_tb = d.o.single_tb, .mode = d.o.compiled ? TRANSLATOR_EAGER : TRANSLATOR_INTERP});
    if (!d.machine)
        return 2;
    gen_init(&d.g, d.o.seed);
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
