/* strip.h - the second copy of a loop of which is known in advance how many iterations need no checks. */
#ifndef TANDEM_TRANSLATOR_X64_STRIP_H
#define TANDEM_TRANSLATOR_X64_STRIP_H

#include "translator/x64/regs.h"

/* Could the block, which branches to itself, be made a strip? */
bool strip_possible(const struct compile *c);
/* The way into the strip: c->ops are its ops, c->group its groups, and everything is as its first op finds it. */
void emit_strip_begin(struct compile *c);
/* Behind C code: what it does not keep. */
void emit_strip_restore(struct compile *c);
/* The branch at its end. false: the flags are not where the strip's next iteration wants them; it cannot be used. */
bool emit_strip_branch(struct compile *c, unsigned cond);

#endif
