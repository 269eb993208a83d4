/* listing.h - IR as text, for tests that compare listings. */
#ifndef TANDEM_TESTS_LISTING_H
#define TANDEM_TESTS_LISTING_H

#include <stdio.h>

#include "translator/ir.h"

static inline void listing(char *text, size_t size, const struct ir_op *ops, unsigned nops)
{
    FILE *out = fmemopen(text, size, "w");
    for (unsigned i = 0; i < nops; i++)
        ir_print(out, &ops[i]);
    fclose(out);
}

#endif
