/* vendor.h - what processors of one maker do otherwise than the emulated CPU (vendor.def).
 * Threads: one. */
#ifndef TANDEM_TESTS_ORACLE_VENDOR_H
#define TANDEM_TESTS_ORACLE_VENDOR_H

#include "tests/oracle/gen.h"

enum vendor { VENDOR_INTEL = 1, VENDOR_AMD = 2, VENDOR_ANY = 3 }; /* bits; a host of neither maker: both */

enum vendor_difference {
#define DIFFERENCE(name, vendors, effect, source) DIFFERENCE_##name,
#include "tests/oracle/vendor.def"
#undef DIFFERENCE
    VENDOR_DIFFERENCES
};

struct vendor_case {
    const struct test_case *c;
    const struct oracle_row *row; /* NULL: several instructions */
    const struct undefined *u;
    const struct test_result *cpu;
    struct emulated *machine; /* to run variants of the case on; its state is lost */
};

struct vendor_counts {
    uint64_t explained[VENDOR_DIFFERENCES];
};

/* The host's maker, and the CPU's name (CPUID leaves 80000002h..4). */
enum vendor vendor_of_host(char name[49]);
/* Are the differences those of vendor.def, and nothing else? Then counts them. */
bool vendor_explains(enum vendor vendor, const struct vendor_case *v, const struct test_result *emulated,
                     struct vendor_counts *counts);
/* For longer sequences, whose memory is compared elsewhere: the emulator's registers as such a processor
 * leaves them, given the instruction at which it stopped. False: nothing to change. */
bool vendor_adjust_end(enum vendor vendor, const uint8_t *insn, const struct test_result *cpu,
                       struct test_result *emulated);
/* An x87 store that faulted on the real CPU and perhaps was not even tried by the emulator. */
bool vendor_store_may_differ(enum vendor vendor, const uint8_t *insn, const struct test_result *cpu);
void vendor_print(const struct vendor_counts *counts);

#endif
