/* compare.h - the real CPU's result of a case against the emulator's.
 * Threads: one. */
#ifndef TANDEM_TESTS_ORACLE_COMPARE_H
#define TANDEM_TESTS_ORACLE_COMPARE_H

#include "tests/oracle/gen.h"

/* Number of differences; prints them with show. */
unsigned compare_results(const struct test_result *cpu, const struct test_result *emulated,
                         const struct undefined *u, bool show);
/* False: nothing to compare (NATIVE_*), or a fetch from data pages, which only the guest can execute. */
bool is_comparable(const struct test_result *cpu);
/* Prints the case's bytes, instructions and registers. */
void show_case(const struct test_case *c, const char *row);

#endif
