/* textindex.h - which file is this code from? Pieces of code, looked up by their content.
 *
 * A page of code in memory is the page of its file, byte for byte, whatever address it has been mapped at and
 * whoever mapped it: position-independent code has no relocations, and other code runs where it was linked.
 * So the code itself tells its file and its place in it, on every guest, without a look at the guest's tables
 * of mappings. Not found: code that was relocated or patched in memory, or made there. */
#ifndef TANDEM_OBSERVE_TEXTINDEX_H
#define TANDEM_OBSERVE_TEXTINDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_PIECE 256u    /* bytes; aligned */
#define TEXT_MAX   1000000 /* pieces in all; later ones are not known */

struct text_piece {
    uint64_t hash;
    uint32_t lin_addr; /* as linked */
    uint32_t file;
};

struct text_index {
    struct text_piece *piece;
    size_t count, room;
    bool sorted;
};

/* Code that file `file` has at lin_addr. */
bool textindex_add(struct text_index *t, uint32_t file, uint32_t lin_addr, const uint8_t *code, size_t bytes);
void textindex_finish(struct text_index *t);
/* The only place of this piece in any file; its address agrees with lin_addr within a page. NULL: none, or
 * several. */
const struct text_piece *textindex_find(const struct text_index *t, const uint8_t piece[TEXT_PIECE],
                                        uint32_t lin_addr);
void textindex_free(struct text_index *t);

#endif
