/* textindex.c - see textindex.h. */
#include "observe/textindex.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define PAGE_MASK 0xfffu

static bool put(struct text_index *t, struct text_piece p)
{
    if (t->count == t->room) {
        size_t room = t->room * 2 + 1024;
        struct text_piece *more = realloc(t->piece, room * sizeof *more);
        if (!more)
            return false;
        t->piece = more;
        t->room = room;
    }
    t->piece[t->count++] = p;
    t->sorted = false;
    return true;
}

/* One byte again and again: filling, which says nothing. */
static bool is_filling(const uint8_t *piece)
{
    return memcmp(piece, piece + 1, TEXT_PIECE - 1) == 0;
}

bool textindex_add(struct text_index *t, uint32_t file, uint32_t lin_addr, const uint8_t *code, size_t bytes)
{
    size_t at = (0 - lin_addr) & (TEXT_PIECE - 1);
    for (; at + TEXT_PIECE <= bytes && t->count < TEXT_MAX; at += TEXT_PIECE)
        if (!is_filling(code + at) &&
            !put(t, (struct text_piece){XXH3_64bits(code + at, TEXT_PIECE), lin_addr + (uint32_t)at, file}))
            return false;
    return true;
}

static int by_hash(const void *pa, const void *pb)
{
    const struct text_piece *a = pa, *b = pb;
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    if (a->file != b->file)
        return a->file < b->file ? -1 : 1;
    return a->lin_addr < b->lin_addr ? -1 : a->lin_addr > b->lin_addr;
}

void textindex_finish(struct text_index *t)
{
    if (t->count)
        qsort(t->piece, t->count, sizeof *t->piece, by_hash);
    t->sorted = true;
}

/* Index of the first piece with this hash, or of one with another hash. */
static size_t first_of(const struct text_index *t, uint64_t hash)
{
    size_t low = 0, high = t->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (t->piece[mid].hash < hash)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

const struct text_piece *textindex_find(const struct text_index *t, const uint8_t piece[TEXT_PIECE],
                                        uint32_t lin_addr)
{
    uint64_t hash = XXH3_64bits(piece, TEXT_PIECE);
    const struct text_piece *found = NULL;
    for (size_t i = t->sorted ? first_of(t, hash) : t->count; i < t->count && t->piece[i].hash == hash; i++) {
        if (((t->piece[i].lin_addr ^ lin_addr) & PAGE_MASK) != 0)
            continue;
        /* One file given twice: the first counts. Two places in one file: who knows which. */
        if (found)
            return found->file == t->piece[i].file ? NULL : found;
        found = &t->piece[i];
    }
    return found;
}

void textindex_free(struct text_index *t)
{
    free(t->piece);
    *t = (struct text_index){0};
}
