/* strip.h - the second copy of a loop of which is known in advance how many iterations need no checks. */
#ifndef TANDEM_TRANSLATOR_X64_STRIP_H
#define TANDEM_TRANSLATOR_X64_STRIP_H

#include <stdbool.h>

struct compile;

/* Could the block, which branches to itself, be made a strip? */
bool strip_possible(const struct compile *c);
/* The way into the strip: everything is as its first op finds
 * it. */
void emit_strip_begin(struct compile *c);
/* The branch at its end. false: the strip cannot be used: an op is done in C, or the next iteration would not
 * find the flags where it wants them. */
bool emit_strip_branch(struct compile *c, unsigned cond);

#endif
