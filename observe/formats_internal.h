/* formats_internal.h - the writers behind format_write. */
#ifndef TANDEM_OBSERVE_FORMATS_INTERNAL_H
#define TANDEM_OBSERVE_FORMATS_INTERNAL_H

#include "observe/calltree.h"

#include <stdio.h>

void format_svg(const struct calltree *t, FILE *out);
/* False: no memory. */
bool format_pprof(const struct calltree *t, FILE *out);
bool format_perfetto(const char *from, struct names *n, FILE *out, struct err *e);

#endif
