/* symtab.c - see symtab.h. */
#include "observe/symtab.h"

#include <stdlib.h>
#include <string.h>

/* Makes room for one more item. */
static bool grow(void **items, size_t *room, size_t need, size_t item_bytes)
{
    if (need <= *room)
        return true;
    size_t more = need + need / 2 + 64;
    void *p = realloc(*items, more * item_bytes);
    if (!p)
        return false;
    *items = p;
    *room = more;
    return true;
}

static bool add_name(struct symtab *t, const char *name, size_t bytes, uint32_t *at)
{
    if (bytes > SYMBOL_NAME_MAX)
        bytes = SYMBOL_NAME_MAX;
    if (t->names_bytes + bytes + 1 > UINT32_MAX ||
        !grow((void **)&t->names, &t->names_room, t->names_bytes + bytes + 1, 1))
        return false;
    *at = (uint32_t)t->names_bytes;
    memcpy(t->names + t->names_bytes, name, bytes);
    t->names[t->names_bytes + bytes] = 0;
    t->names_bytes += bytes + 1;
    return true;
}

bool symtab_add(struct symtab *t, uint32_t first, uint32_t bytes, const char *name, size_t name_bytes)
{
    struct symbol s = {.first = first, .end = first + bytes, .order = (uint32_t)t->count};
    if (s.end < first)
        s.end = UINT32_MAX;
    if (t->count >= SYMTAB_ROWS_MAX ||
        !grow((void **)&t->rows, &t->room, t->count + 1, sizeof(struct symbol)) ||
        !add_name(t, name, name_bytes, &s.name))
        return false;
    t->rows[t->count++] = s;
    t->finished = false;
    return true;
}

static int by_address(const void *pa, const void *pb)
{
    const struct symbol *a = pa, *b = pb;
    if (a->first != b->first)
        return a->first < b->first ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

/* Keeps the first of the symbols that begin at one address; it gets the longest size that any of them has. */
static void drop_aliases(struct symtab *t)
{
    size_t kept = 0;
    for (size_t i = 0; i < t->count; i++) {
        struct symbol *last = kept ? &t->rows[kept - 1] : NULL;
        if (!last || last->first != t->rows[i].first) {
            t->rows[kept++] = t->rows[i];
            continue;
        }
        if (!t->names[last->name])
            last->name = t->rows[i].name;
        if (t->rows[i].end > last->end)
            last->end = t->rows[i].end;
    }
    t->count = kept;
}

/* The rows before i have theirs: rows that ended before are passed over once in all. */
static uint32_t enclosing(const struct symtab *t, uint32_t i)
{
    uint32_t o = i;
    while (o == i || t->rows[o].end <= t->rows[i].first) {
        uint32_t next = o == i ? i - 1 : t->rows[o].outer;
        if (i == 0 || next == o)
            return i;
        o = next;
    }
    return o;
}

void symtab_finish(struct symtab *t, uint32_t end)
{
    if (t->count)
        qsort(t->rows, t->count, sizeof *t->rows, by_address);
    drop_aliases(t);
    for (size_t i = 0; i < t->count; i++) {
        struct symbol *s = &t->rows[i];
        uint32_t next = i + 1 < t->count ? t->rows[i + 1].first : end;
        if (s->end == s->first)
            s->end = next > s->first && next < end ? next : end > s->first ? end : s->first + 1;
    }
    for (size_t i = 0; i < t->count; i++)
        t->rows[i].outer = enclosing(t, (uint32_t)i);
    t->finished = true;
}

/* Index of the last row that begins at or before addr; count: none. */
static size_t row_before(const struct symtab *t, uint32_t addr)
{
    size_t low = 0, high = t->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (t->rows[mid].first <= addr)
            low = mid + 1;
        else
            high = mid;
    }
    return low ? low - 1 : t->count;
}

const struct symbol *symtab_row(const struct symtab *t, uint32_t addr)
{
    size_t i = t->finished ? row_before(t, addr) : t->count;
    if (i >= t->count)
        return NULL;
    for (unsigned nest = 0; addr >= t->rows[i].end; nest++) {
        if (t->rows[i].outer == i || nest == SYMTAB_NEST_MAX)
            return NULL;
        i = t->rows[i].outer;
    }
    return t->names[t->rows[i].name] ? &t->rows[i] : NULL;
}

const char *symtab_name(const struct symtab *t, const struct symbol *s)
{
    return t->names + s->name;
}

bool symtab_find(const struct symtab *t, const char *name, uint32_t *addr)
{
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->names + t->rows[i].name, name) == 0) {
            *addr = t->rows[i].first;
            return true;
        }
    return false;
}

void symtab_free(struct symtab *t)
{
    free(t->rows);
    free(t->names);
    *t = (struct symtab){0};
}
