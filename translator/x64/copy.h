/* copy.h - what installing code (compile.c) and making copies of it (copy.c) share. See x64_copy() in x64.h.
 * Threads: the one that runs the code. */
#ifndef TANDEM_TRANSLATOR_X64_COPY_H
#define TANDEM_TRANSLATOR_X64_COPY_H

#include "translator/x64/x64.h"

/* Room that the code's lists take behind it in the ring of far code; 0: none are kept. */
size_t copy_lists_bytes(const struct x64_code *code);
/* Writes them there. */
void copy_keep_lists(struct x64 *x, struct tb_native *n, const struct x64_code *code);
/* Does the jump with its rel32 field at that offset lead from the main path to far code, or back? */
bool copy_crosses(const struct x64_code *code, uint32_t at);
/* Where in the cache the code's byte at `offset` is. */
uint32_t copy_place_of(const struct tb_native *n, uint32_t offset);

#endif
