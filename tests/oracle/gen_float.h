/* gen_float.h - random numbers for x87, MMX and SSE state and operands.
 * Threads: one; deterministic for a seed. */
#ifndef TANDEM_TESTS_ORACLE_GEN_FLOAT_H
#define TANDEM_TESTS_ORACLE_GEN_FLOAT_H

#include "tests/oracle/gen.h"

uint32_t gen_below(struct gen *g, uint32_t n);
/* An 80-bit value. */
void random_float(struct gen *g, uint8_t *p);
void random_fpu(struct gen *g, struct fpu_image *f, bool x87);
/* 16 bytes as four singles, two doubles or integers; all of one kind. */
enum lanes { LANES_SINGLE, LANES_DOUBLE, LANES_INT, LANES_COUNT };
void random_lanes(struct gen *g, enum lanes kind, uint8_t *p);
void random_sse(struct gen *g, struct sse_image *s, enum lanes kind);
/* MMX registers in place of x87 values. */
void random_mmx(struct gen *g, struct fpu_image *f, enum lanes kind);
uint32_t random_mxcsr(struct gen *g);

#endif
