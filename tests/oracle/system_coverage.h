/* system_coverage.h - which rows of insns.def, insns_sse.def and helpers.def have run, by ring and code size.
 * Threads: one. */
#ifndef TANDEM_TESTS_ORACLE_SYSTEM_COVERAGE_H
#define TANDEM_TESTS_ORACLE_SYSTEM_COVERAGE_H

#include "tests/oracle/system.h"

struct coverage; /* instructions that retired */
struct coverage *coverage_create(void);
void coverage_destroy(struct coverage *c);
/* The vCPU has just retired the instruction of its last block, from this ring and code size. */
void coverage_count(struct coverage *c, const struct vcpu *v, const uint8_t *ram, unsigned cpl, bool code32,
                    bool vm86);
/* The figures, then the rows that never ran, each with its reason; false: one has none. */
bool coverage_print(const struct coverage *c);

#endif
