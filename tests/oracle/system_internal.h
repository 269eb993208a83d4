/* system_internal.h - what the files share that draw a case of system.h. Threads: one. */
#ifndef TANDEM_TESTS_ORACLE_SYSTEM_INTERNAL_H
#define TANDEM_TESTS_ORACLE_SYSTEM_INTERNAL_H

#include "tests/oracle/gen_float.h"
#include "tests/oracle/system.h"

/* Descriptors of the GDT by number. The LDT has some of them, too. */
enum system_descriptor {
    G_CODE32 = 1,
    G_DATA32,
    G_CODE16,
    G_DATA16,
    G_DOWN,
    G_READ_ONLY,
    G_CONFORMING,
    G_EXEC_ONLY,
    G_USER_CODE32,
    G_USER_DATA32,
    G_USER_CODE16,
    G_USER_DATA16,
    G_BASED_CODE32,
    G_BASED_DATA32,
    G_STACK16,
    G_DOWN16,
    G_CODE_ALIAS,
    G_HANDLER16,
    G_ABSENT,
    G_SEGMENTS, /* what comes now is not for data and code */
    G_TSS = G_SEGMENTS,
    G_TSS2,
    G_LDT,
    G_CALL_GATE,
    G_CALL_GATE16,
    G_TASK_GATE,
    G_COUNT
};
extern const struct segment system_descriptors[G_COUNT];

bool sys_chance(struct gen *g, unsigned percent);
uint16_t sys_selector(struct gen *g);
/* Small numbers, offsets into the data, ends of segments, selectors, anything. */
uint32_t sys_value(struct gen *g);
void sys_put32(struct system_case *s, uint32_t at, uint32_t v);

/* --- system_tables.c: descriptor tables, handlers, page tables --- */
void system_put_tables(struct gen *g, struct system_case *s);
/* --- system_code.c: instructions, from physical address `at` on --- */
void system_put_code(struct gen *g, struct system_case *s, uint32_t at);

#endif
