/* reg_order.c - see reg_order.h: each guest register in its host namesake. */
#include "translator/x64/reg_order.h"

#include "translator/x64/regs.h"

const struct reg_order reg_order = {.guest = {RAX, RCX, RDX, RBX, HOST_ESP, RBP, RSI, RDI}};
