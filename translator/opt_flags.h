/* opt_flags.h - dead flag elimination over one block. Pure; any thread. */
#ifndef TANDEM_TRANSLATOR_OPT_FLAGS_H
#define TANDEM_TRANSLATOR_OPT_FLAGS_H

#include "translator/ir.h"

/* Drops IRF_FLAGS where the result is overwritten unread, and ops that are left without effect.
 * Returns the new number of ops. */
unsigned opt_flags(struct ir_op *ops, unsigned nops);

#endif
