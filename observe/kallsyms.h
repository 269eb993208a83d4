/* kallsyms.h - the Linux kernel's own table of its functions (CONFIG_KALLSYMS), read from guest memory.
 *
 * Nobody says where the table is. It is found by its shape, and believed only if all its parts agree: token
 * index, token table, names, number of names, markers, addresses. Both orders in which Linux has laid them
 * out are known: addresses before the names (to 6.4), and behind the tokens (from 6.5).
 * Facts: scripts/kallsyms.c and kernel/kallsyms.c of Linux. Bounds: KALLSYMS_WINDOW bytes are looked at. */
#ifndef TANDEM_OBSERVE_KALLSYMS_H
#define TANDEM_OBSERVE_KALLSYMS_H

#include "observe/guest_view.h"
#include "observe/symtab.h"

#define KALLSYMS_WINDOW (UINT32_C(32) << 20) /* bytes below and above `near` */

/* near: an address in the kernel. Fills and finishes *out, which was empty. False: no table there. */
bool kallsyms_find(const struct guest_view *g, uint32_t cr3, uint32_t near, struct symtab *out);

#endif
