/* strings.h - REP MOVS and REP STOS within pages at hand, without a call of C. */
#ifndef TANDEM_TRANSLATOR_X64_STRINGS_H
#define TANDEM_TRANSLATOR_X64_STRINGS_H

#include "translator/x64/compile.h"

/* All iterations of a REP MOVS from DS, or STOS, in flat mode with 32-bit addresses, whose block has reserved
 * the first one's tick. Host CF: nothing was done, the helper is to be called. Keeps what regs.h says a guest
 * register is in, and the FPU where it is. */
uint8_t *emit_string_stub(struct x64_buf *b, const struct x64_env *env, bool user, bool copies,
                          unsigned size);
/* The stub for the helper op of a block; NULL: it has none. */
const uint8_t *string_stub(const struct compile *c, const struct ir_op *op);

#endif
