/* gen.h - one function per mnemonic of insns.def: appends the instruction's IR to the builder.
 * Called with the row's attributes checked (A_PRIV, A_PE) and the block not ended. */
#ifndef TANDEM_TRANSLATOR_GEN_H
#define TANDEM_TRANSLATOR_GEN_H

#include "translator/decode.h"

#define ROW(opcode, n, reg, mn, o1, o2, o3, attr, undef, test) insn_gen_fn gen_##mn;
#include "translator/insns.def"
insn_gen_fn gen_X87; /* the rows of insns_x87.def */
insn_gen_fn gen_SSE; /* the rows of insns_sse.def that have no function of their own below */
#define SSE(...)
#define SSE_OWN(pfx, opcode, reg, form, mn, ...) insn_gen_fn gen_##mn;
#include "translator/sse_rows.h"

#endif
