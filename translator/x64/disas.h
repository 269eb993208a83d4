/* disas.h - a block's host code as text, for -d out_asm and golden files.
 *
 * Places that differ between runs are printed by name: <stub load32>, <helper DIV>, <tb fault>, <op 3>, and
 * the fields of the state behind R15 ([r15] itself is the budget). Threads: the one that owns the back end.
 */
#ifndef TANDEM_TRANSLATOR_X64_DISAS_H
#define TANDEM_TRANSLATOR_X64_DISAS_H

#include <stdio.h>

#include "translator/x64/x64.h"

enum x64_disas_style {
    X64_DISAS_ADDRESSES, /* each line has its address */
    X64_DISAS_LABELS,    /* jumps within the block go to numbered labels; nothing depends on where it is */
};

/* The code of tb->native, instruction by instruction: `offset` is from its start. */
typedef void x64_line_fn(void *ctx, uint32_t offset, unsigned bytes, const char *text);
void x64_disas_each(const struct x64 *x, const struct tb *tb, enum x64_disas_style style, x64_line_fn *line,
                    void *ctx);
/* Adds up the instructions of the code's bytes [from, end), by part. */
void x64_count_parts(const struct x64_block_parts *p, uint32_t from, uint32_t end,
                     unsigned insns[X64_PART_COUNT]);
/* The code of tb->native, one instruction a line. */
void x64_disas(FILE *out, const struct x64 *x, const struct tb *tb, enum x64_disas_style style);

#endif
