/* The ring of host code: blocks never overlap, the oldest goes first, and everything fits in the end. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "translator/x64/cache.h"

enum {
    BLOCKS = 64,
    CACHE_BYTES = 1 << 16,
    RESERVED = 512,
    MOST = CACHE_BYTES - RESERVED - CODE_HEADER_BYTES
};

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

/* What the cache should hold, oldest first. */
struct expected {
    struct tb *tb;
    size_t offset, bytes;
};
static struct expected queue[CACHE_BYTES / CODE_ALIGN];
static unsigned first, last;

static void check_offsets(void)
{
    for (unsigned i = first; i < last; i++) {
        const struct expected *a = &queue[i];
        cr_assert_geq(a->offset, RESERVED + CODE_HEADER_BYTES);
        cr_assert_leq(a->offset + a->bytes, CACHE_BYTES);
        for (unsigned j = i + 1; j < last; j++)
            cr_assert(a->offset + a->bytes <= queue[j].offset ||
                      queue[j].offset + queue[j].bytes <= a->offset);
    }
    cr_assert_eq(cache.blocks, last - first);
}

static void drop(void)
{
    cr_assert_lt(first, last, "no room in an empty cache");
    cr_assert_eq(code_cache_oldest(&cache), queue[first].tb);
    code_cache_drop_oldest(&cache);
    first++;
}

static void install(struct tb *tb, size_t bytes)
{
    cr_assert(code_cache_could_hold(&cache, bytes));
    while (!code_cache_has_room(&cache, bytes))
        drop();
    if (last == sizeof queue / sizeof *queue) {
        memmove(queue, queue + first, (last - first) * sizeof *queue);
        last -= first;
        first = 0;
    }
    queue[last++] = (struct expected){tb, code_cache_take(&cache, tb, bytes), bytes};
}

Test(code_cache, random_sizes_for_many_rounds)
{
    srand(1);
    for (unsigned i = 0; i < 20000; i++) {
        install(&blocks[i % BLOCKS], 1 + (unsigned)rand() % (i % 100 ? 3000 : MOST));
        check_offsets();
        if (i % 7 == 0) {
            struct expected *given_up = &queue[first + (unsigned)rand() % (last - first)];
            code_cache_give_up(&cache, (uint32_t)given_up->offset);
            given_up->tb = NULL;
        }
    }
}

Test(code_cache, a_block_of_all_the_room)
{
    cr_assert_not(code_cache_could_hold(&cache, MOST + 1));
    install(&blocks[0], 100);
    install(&blocks[1], MOST);
    check_offsets();
    cr_assert_eq(code_cache_oldest(&cache), &blocks[1]);
    install(&blocks[0], 100);
    cr_assert_eq(code_cache_oldest(&cache), &blocks[0]);
    check_offsets();
}

Test(code_cache, the_views_show_the_same_bytes)
{
    install(&blocks[0], 64);
    cache.write[queue[0].offset] = 0xc3;
    cr_assert_eq(*(const uint8_t *)code_cache_exec(&cache, cache.write + queue[0].offset), 0xc3);
}

Test(code_cache, clearing_forgets_everything)
{
    install(&blocks[0], 5000);
    code_cache_clear(&cache);
    cr_assert_eq(cache.used, 0);
    first = last;
    install(&blocks[0], MOST);
    check_offsets();
}

#define SET_MDWE         65 /* prctl(2): PR_SET_MDWE, since Linux 6.3 */
#define REFUSE_EXEC_GAIN 1

/* A host that allows no memory that is both written and run. */
Test(code_cache_views, two_where_the_host_refuses_one)
{
    static const uint8_t ret_7[] = {0xb8, 7, 0, 0, 0, 0xc3}; /* mov eax, 7; ret */
    int (*code)(void);
    if (prctl(SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0) != 0)
        cr_skip_test("this kernel cannot refuse it");
    cr_assert(code_cache_init(&cache, CACHE_BYTES));
    cr_expect_neq(cache.write, cache.exec);
    memcpy(cache.write, ret_7, sizeof ret_7);
    memcpy(&code, &cache.exec, sizeof code);
    cr_expect_eq(code(), 7);
    code_cache_free(&cache);
}
