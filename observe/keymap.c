/* keymap.c - see keymap.h. */
#include "observe/keymap.h"

#include <stdlib.h>

static struct keymap_item *place(const struct keymap *m, uint64_t key)
{
    size_t at = (size_t)((key ^ key >> 32) * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (m->room - 1);
    while (m->item[at].used && m->item[at].key != key)
        at = (at + 1) & (m->room - 1);
    return &m->item[at];
}

static bool grow(struct keymap *m)
{
    struct keymap bigger = {.room = m->room ? 2 * m->room : 1024, .count = m->count};
    bigger.item = calloc(bigger.room, sizeof *bigger.item);
    if (!bigger.item)
        return false;
    for (size_t i = 0; i < m->room; i++)
        if (m->item[i].used)
            *place(&bigger, m->item[i].key) = m->item[i];
    free(m->item);
    *m = bigger;
    return true;
}

uint32_t *keymap_at(struct keymap *m, uint64_t key, size_t max, bool *is_new)
{
    if (m->count * 2 >= m->room && !grow(m))
        return NULL;
    struct keymap_item *i = place(m, key);
    *is_new = !i->used;
    if (*is_new && m->count >= max)
        return NULL;
    if (*is_new) {
        *i = (struct keymap_item){.key = key, .used = 1};
        m->count++;
    }
    return &i->value;
}

const uint32_t *keymap_get(const struct keymap *m, uint64_t key)
{
    const struct keymap_item *i = m->room ? place(m, key) : NULL;
    return i && i->used ? &i->value : NULL;
}

void keymap_free(struct keymap *m)
{
    free(m->item);
    *m = (struct keymap){0};
}
