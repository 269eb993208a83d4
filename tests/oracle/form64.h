/* form64.h - a case written anew for 64-bit mode, for hosts whose kernel runs no 32-bit code.
 *
 * The 64-bit form is the same instructions in encodings to which 64-bit mode gives the same meaning, as long
 * as the upper halves of the registers are zero. It ends where the case ends, so that relative jumps and what
 * lies behind are alike; as it is longer, it begins earlier. What has no such encoding (docs/decisions.md,
 * "The 64-bit form of a case") has no form. Threads: any. */
#ifndef TANDEM_TESTS_ORACLE_FORM64_H
#define TANDEM_TESTS_ORACLE_FORM64_H

#include "tests/oracle/oracle.h"

enum { FORM64_INSNS_MAX = 16 };

struct form64 {
    uint8_t code[CASE_CODE_MAX];
    unsigned code_bytes;
    uint32_t start; /* its linear address */
    unsigned ninsns;
    uint32_t at[FORM64_INSNS_MAX],
        at32[FORM64_INSNS_MAX]; /* each instruction's address here, and in the case */
};

/* False: the case has no 64-bit form. */
bool form64_make(const struct test_case *c, struct form64 *f);
/* The address in the case that this one stands for. */
uint32_t form64_eip(const struct form64 *f, uint32_t at);

#endif
