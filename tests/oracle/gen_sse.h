/* gen_sse.h - what random cases of MMX, SSE and SSE2 rows need beyond gen.c.
 * Threads: one; deterministic for a seed. */
#ifndef TANDEM_TESTS_ORACLE_GEN_SSE_H
#define TANDEM_TESTS_ORACLE_GEN_SSE_H

#include <stddef.h>

#include "tests/oracle/gen.h"
#include "translator/decode.h"

/* Why the row cannot be compared; NULL: it can. */
const char *sse_exclusion(const struct insn_row *r);
void sse_row_name(const struct insn_row *r, char *name, size_t max);
/* Registers and MXCSR to the row's taste; NULL: for a sequence. */
void sse_random_state(struct gen *g, struct test_case *c, const struct oracle_row *row);
/* The mandatory prefix and harmless others; returns how many bytes. */
unsigned sse_prefixes(struct gen *g, const struct oracle_row *row, uint8_t *p);
/* Aligns the operand as the row wants it, mostly, and fills it; returns where it is. */
uint32_t sse_place_operand(struct gen *g, struct test_case *c, const struct oracle_row *row, uint32_t target);
bool sse_prepare(struct gen *g, const struct oracle_row *row, struct test_case *c, const struct insn *in,
                 const uint8_t *p);
/* Where FXSAVE stores MXCSR_MASK, which says what the processor has; 0: another instruction. */
uint32_t sse_mxcsr_mask(const struct oracle_row *row, const struct test_case *c);
/* Must the row not be part of a sequence? */
bool sse_is_alone(const struct oracle_row *row);

#endif
