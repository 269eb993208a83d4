/* systemmap.h - System.map, or what /proc/kallsyms and nm print: lines "ADDRESS TYPE NAME [MODULE]". */
#ifndef TANDEM_OBSERVE_SYSTEMMAP_H
#define TANDEM_OBSERVE_SYSTEMMAP_H

#include "observe/symtab.h"

/* Adds the functions (types t, T, w, W, i) and finishes *out. False: no line has that form (Debian's
 * System.map is a text that points elsewhere), or no memory. */
bool systemmap_read(const uint8_t *text, size_t bytes, struct symtab *out);

#endif
