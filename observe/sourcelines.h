/* sourcelines.h - lines of source code, from an ELF file's DWARF.
 *
 * An address is told as a profile has it: the name of its function, where the function begins in the guest,
 * and the address. The file may be linked for another place: its symbol of that name tells for which, and of
 * several with one name the one at the same offset in a page, for code moves by whole pages.
 *
 * The file is not trusted. */
#ifndef TANDEM_OBSERVE_SOURCELINES_H
#define TANDEM_OBSERVE_SOURCELINES_H

#include "machine/err.h"

#include <stdbool.h>
#include <stdint.h>

struct source_lines;

struct source_line {
    const char *file; /* as the compiler was told it; valid until sourcelines_close */
    int line;         /* 0: the compiler's own code */
};

/* NULL: e says why: no ELF file for the i386, or one without DWARF. */
struct source_lines *sourcelines_open(const char *path, struct err *e);
void sourcelines_close(struct source_lines *l); /* NULL is fine */
/* False: the file says nothing of it. */
bool sourcelines_at(struct source_lines *l, const char *function, uint32_t first, uint32_t lin_addr,
                    struct source_line *to);

#endif
