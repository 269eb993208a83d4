/* The ring of host code: places never overlap, the oldest goes first, and everything fits in the end. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "translator/x64/cache.h"

enum { BLOCKS = 64, CACHE_BYTES = 1 << 16, RESERVED = 512, SIZE_MAX_BYTES = 9000 };

static struct code_cache cache;
static struct tb blocks[BLOCKS];

static void start(void)
{
    cr_assert(code_cache_init(&cache, CACHE_BYTES));
    cache.reserved = RESERVED;
    code_cache_clear(&cache);
}

static void end(void)
{
    code_cache_free(&cache);
}

TestSuite(code_cache, .init = start, .fini = end);

static void check_places(void)
{
    size_t used = 0;
    for (struct tb *a = cache.oldest; a; a = a->native.newer) {
        cr_assert_geq(a->native.place, RESERVED);
        cr_assert_leq(a->native.place + a->native.bytes, CACHE_BYTES);
        used += a->native.bytes;
        for (struct tb *b = a->native.newer; b; b = b->native.newer)
            cr_assert(a->native.place + a->native.bytes <= b->native.place ||
                      b->native.place + b->native.bytes <= a->native.place);
    }
    cr_assert_eq(used, cache.used);
}

static void place(struct tb *tb, size_t bytes)
{
    struct tb *old;
    while ((old = code_cache_in_the_way(&cache, bytes))) {
        cr_assert_eq(old, cache.oldest);
        code_cache_drop_oldest(&cache);
        cr_assert_eq(old->native.bytes, 0);
    }
    code_cache_take(&cache, tb, bytes);
}

static struct tb *a_free_block(void)
{
    for (unsigned i = 0; i < BLOCKS; i++)
        if (blocks[i].native.bytes == 0)
            return &blocks[i];
    code_cache_drop_oldest(&cache);
    return a_free_block();
}

Test(code_cache, random_sizes_for_many_rounds)
{
    srand(1);
    for (unsigned i = 0; i < 20000; i++) {
        place(a_free_block(), 1 + (unsigned)rand() % SIZE_MAX_BYTES);
        check_places();
    }
}

Test(code_cache, a_block_of_all_the_room)
{
    place(&blocks[0], 100);
    place(&blocks[1], CACHE_BYTES - RESERVED);
    check_places();
    cr_assert_eq(cache.oldest, &blocks[1]);
    place(&blocks[0], 100);
    cr_assert_eq(cache.oldest, &blocks[0]);
    check_places();
}

Test(code_cache, the_views_show_the_same_bytes)
{
    place(&blocks[0], 64);
    cache.write[blocks[0].native.place] = 0xc3;
    cr_assert_eq(*(const uint8_t *)code_cache_exec(&cache, cache.write + blocks[0].native.place), 0xc3);
}

Test(code_cache, clearing_forgets_everything)
{
    place(&blocks[0], 5000);
    code_cache_clear(&cache);
    blocks[0].native.bytes = 0;
    cr_assert_null(code_cache_in_the_way(&cache, CACHE_BYTES - RESERVED));
    cr_assert_eq(cache.used, 0);
}
