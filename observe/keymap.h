/* keymap.h - a map from 64-bit keys to 32-bit values; grows, never forgets. */
#ifndef TANDEM_OBSERVE_KEYMAP_H
#define TANDEM_OBSERVE_KEYMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keymap_item {
    uint64_t key;
    uint32_t value;
    uint32_t used;
};

struct keymap {
    struct keymap_item *item;
    size_t room, count; /* room: 0 or a power of two */
};

/* The value of the key, in the map; a new key has the value 0 and sets *is_new. NULL: no memory, or the map
 * has max keys already. Valid until the next call. */
uint32_t *keymap_at(struct keymap *m, uint64_t key, size_t max, bool *is_new);
/* NULL: not there. */
const uint32_t *keymap_get(const struct keymap *m, uint64_t key);
void keymap_free(struct keymap *m);

#endif
