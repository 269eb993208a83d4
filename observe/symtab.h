/* symtab.h - names of address ranges: filled, finished, then looked up.
 *
 * An address has a name only inside of a symbol's bounds: what lies between two symbols is nobody's. Where
 * several symbols begin at one address, the one that was added first counts. Nested symbols: the innermost.
 */
#ifndef TANDEM_OBSERVE_SYMTAB_H
#define TANDEM_OBSERVE_SYMTAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SYMTAB_ROWS_MAX  4000000u /* symbols of one table; more are refused */
#define SYMTAB_NEST_MAX  64u      /* symbols that a lookup leaves on its way outwards */
#define SYMBOL_NAME_MAX  1023u    /* bytes; longer names are cut */
#define SYMBOL_SIZE_NONE 0u       /* the format does not say: it ends where the next one begins */

struct symbol {
    uint32_t first; /* address of its first byte */
    uint32_t end;   /* address behind its last one */
    uint32_t outer; /* index of the nearest row before it that encloses it; its own index: none */
    uint32_t name;  /* offset in the table's names; the empty name bounds the symbol before it */
    uint32_t order; /* when it was added */
};

struct symtab {
    struct symbol *rows;
    size_t count, room;
    char *names;
    size_t names_bytes, names_room;
    bool finished; /* sorted, and every end is known */
};

/* False: no memory, or too many. A symbol that would pass the end of the address space is cut there. */
bool symtab_add(struct symtab *t, uint32_t first, uint32_t bytes, const char *name, size_t name_bytes);
/* No symbol of unknown size goes beyond `end`. */
void symtab_finish(struct symtab *t, uint32_t end);
/* The symbol around an address. NULL: nobody's. */
const struct symbol *symtab_row(const struct symtab *t, uint32_t addr);
const char *symtab_name(const struct symtab *t, const struct symbol *s);
/* Address of a symbol by name. False: none. */
bool symtab_find(const struct symtab *t, const char *name, uint32_t *addr);
void symtab_free(struct symtab *t);

#endif
