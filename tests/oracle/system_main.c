/* system_main.c - random system code in every engine (system.h); needs nothing of the host's CPU.
 *
 *     oracle_system [--systems N] [--seed S] [--coverage]
 *
 * Prints mismatches with what ran until then, and the counts. --coverage: also what was covered at which ring
 * and code size; a row that was not reached at ring 0, without a known reason, is a failure (status 3). */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/oracle/system_coverage.h"

struct options {
    uint64_t systems, seed;
    bool coverage;
};

static bool parse(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {{"systems", required_argument, NULL, 'y'},
                                          {"seed", required_argument, NULL, 's'},
                                          {"coverage", no_argument, NULL, 'c'},
                                          {NULL, 0, NULL, 0}};
    *o = (struct options){.systems = 1000, .seed = 1};
    for (int k; (k = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        if (k == '?')
            return false;
        if (k == 'c')
            o->coverage = true;
        else
            *(k == 'y' ? &o->systems : &o->seed) = strtoull(optarg, NULL, 0);
    }
    return true;
}

static void print_counts(const struct system_counts *c, const struct options *o)
{
    static const char *const name[SYS_MODES] = {
        [SYS_REAL] = "real mode",    [SYS_UNREAL] = "unreal mode", [SYS_PM16] = "16-bit protected",
        [SYS_PM32] = "32-bit based", [SYS_FLAT] = "32-bit flat",   [SYS_USER] = "ring 3",
        [SYS_VM86] = "virtual-8086"};
    printf("system cases from seed %lu:", o->seed);
    for (unsigned i = 0; i < SYS_MODES; i++)
        printf(" %lu %s%s", c->mode[i], name[i], i + 1 < SYS_MODES ? "," : "\n");
    printf("%lu ticks, %lu exceptions, %lu interrupts; %lu ended halted, %lu by a triple fault, %lu before "
           "deliveries without end\n",
           c->ticks, c->exceptions, c->interrupts, c->halted, c->triple_faults, c->endless);
}

int main(int argc, char **argv)
{
    struct options o;
    struct gen g;
    struct system_counts c;
    struct coverage *cov = coverage_create();
    if (!cov || !parse(argc, argv, &o))
        return 2;
    gen_init(&g, o.seed);
    if (!systems_run(&g, o.seed, o.systems, cov, &c))
        return 2;
    print_counts(&c, &o);
    const bool covered = !o.coverage || coverage_print(cov);
    printf("%lu passed, %lu failed\n", c.passed, c.failed);
    gen_end(&g);
    coverage_destroy(cov);
    return c.failed ? 1 : covered ? 0 : 3;
}
