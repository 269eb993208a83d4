/* disas.h - guest code as text, for -d and golden files.
 * Threads: any; no shared state. */
#ifndef TANDEM_TRANSLATOR_DISAS_H
#define TANDEM_TRANSLATOR_DISAS_H

#include <stdint.h>
#include <stdio.h>

/* Prints the instruction at the start of `bytes` without a line end, as its block's mode (TB_MODE_CODE32) has
 * it. Returns how many bytes it is long; one that is none counts as 1. */
unsigned disas_guest(FILE *out, uint32_t mode, uint32_t eip, const uint8_t *bytes, unsigned count);

#endif
