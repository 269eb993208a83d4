/* sequence.h - sequences of instructions for the hardware oracle: branches, faults, self-modifying code.
 *
 * A case is 5 to 40 items drawn from the instruction tables (rows, branches, calls, code changes, ...) with
 * what each needs around it, somewhere in four pages of code, and ends in an INT3 or a fault. Everything that
 * goes backwards passes a head that takes one from a counter in memory, so a case ends however it jumps.
 *
 * Flags that the SDM leaves undefined are tracked while a case is written: an instruction that tests one has
 * another that defines them put before it, and every instruction carries those that are undefined in front of
 * it.
 *
 * Code changes follow SDM 3A 8.1.3 and 11.6: through the address that runs, at once; through the alias, with
 * an IRET or CPUID between the store and anything else. Threads: one; a case is a function of its seed. */
#ifndef TANDEM_TESTS_ORACLE_SEQUENCE_H
#define TANDEM_TESTS_ORACLE_SEQUENCE_H

#include "tests/oracle/gen.h"
#include "tests/oracle/vendor.h"

#define SEQ_CODE       0x00700000u
#define SEQ_CODE_BYTES (4 * 4096u) /* nothing behind them */
#define SEQ_ALIAS      0x00900000u /* the same pages once more */
#define SEQ_FUEL       0x00500000u /* a page: the counter, and pointers to jump through */
#define SEQ_FUEL_BYTES 4096u
#define SEQ_DATA_BYTES DATA_BYTES /* at DATA_BASE, the last page read-only, as in single cases */

enum { SEQ_INSNS_MAX = 400 };

struct seq_insn {
    uint32_t at;
    uint16_t undefined; /* flags, before it */
    uint8_t length;
};

struct sequence {
    struct cpu_image in;
    uint32_t fuel;
    bool changes_code, alias;
    unsigned ninsns;
    struct seq_insn insn[SEQ_INSNS_MAX];
    uint8_t code[SEQ_CODE_BYTES]; /* INT3 wherever nothing was put */
};

/* Fills *s from the generator's seed. */
void sequence_draw(struct gen *g, struct sequence *s);
/* Flags undefined in front of the instruction at eip (alias or not); all of them where none was put. */
uint32_t sequence_undefined(const struct sequence *s, uint32_t eip);

struct sequence_counts {
    uint64_t passed, failed, skipped, changed_code, by_alias, insns;
    uint64_t vendor; /* cases that a row of vendor.def takes elsewhere, not compared */
    uint64_t vector[32];
};
/* Runs `count` cases, seeds seed, seed + 1, ..., on the real CPU and in every engine; prints what differs.
 * Where the host runs no 32-bit code, in the engines alone. False: cannot start (message on stderr). */
bool sequences_run(struct gen *g, enum vendor vendor, uint64_t seed, uint64_t count,
                   struct sequence_counts *out);

#endif
