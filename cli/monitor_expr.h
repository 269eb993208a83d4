/* monitor_expr.h - expressions of the monitor: numbers, registers, and what is computed from them.
 *
 *     sum:    product { (+ | - | & | "|" | ^) product }        all of one rank, from the left
 *     product: unit { (* | / | %) unit }
 *     unit:   number, 'c', $register, (sum), -unit, +unit, ~unit
 *
 * 64-bit numbers that wrap; numbers are decimal, or hexadecimal with 0x. Registers: $eax and its kin, $ax,
 * $al, $eip, $eflags, $cs .. $gs, $cr0 .. $cr4, $dr0 .. $dr7, and $tick. Blanks may stand between all of
 * them. Threads: the run's, while the machine stands. Bound: units EXPR_DEPTH_MAX deep. */
#ifndef TANDEM_CLI_MONITOR_EXPR_H
#define TANDEM_CLI_MONITOR_EXPR_H

#include "machine/err.h"

#include <stdint.h>

#define EXPR_DEPTH_MAX 64

/* What a name after $ means; false: there is no such register. */
typedef bool (*expr_register_fn)(void *ctx, const char *name, uint64_t *value);

/* The whole text. False: e says what is wrong. */
bool expr_value(const char *text, expr_register_fn reg, void *ctx, uint64_t *value, struct err *e);

#endif
