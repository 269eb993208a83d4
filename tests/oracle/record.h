/* record.h - native results in a file, so that every host can compare them with the emulator.
 *
 * A recorded set stands by itself: cases, inputs and results of one real CPU, named at its head. It does not
 * depend on the generator, which may change. Cases start from a few states and one image of the data pages
 * (the pool), so that a case is little more than its code and what it changed; `xz` does the rest. Threads:
 * one. */
#ifndef TANDEM_TESTS_ORACLE_RECORD_H
#define TANDEM_TESTS_ORACLE_RECORD_H

#include <stdio.h>

#include "tests/oracle/vendor.h"

enum { RECORD_POOL = 96 };

struct record {
    FILE *file;
    char cpu[128]; /* its name, and whether its cases ran in 64-bit form */
    enum vendor vendor;
    bool bad;                           /* reading: not a recorded set, or torn */
    struct test_case pool[RECORD_POOL]; /* all with the same data */
};

struct recorded_case {
    struct test_case c;
    struct test_result cpu;
    bool is_sequence; /* several instructions */
};

/* Writing: the pool must be filled. */
void record_begin(struct record *r, FILE *to);
void record_write(struct record *r, unsigned pool, const struct recorded_case *rc);
bool record_end(struct record *r);
/* Reading: head and pool; then cases until false (the end, or r->bad). */
bool record_open(struct record *r, FILE *from);
bool record_read(struct record *r, struct recorded_case *rc);

#endif
