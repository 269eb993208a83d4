/* stubs.h - emits the shared code at the start of the cache. */
#ifndef TANDEM_TRANSLATOR_X64_STUBS_H
#define TANDEM_TRANSLATOR_X64_STUBS_H

#include "translator/x64/regs.h"

void stubs_emit(struct x64 *x);

#endif
