/* modules.c: a module of a Linux kernel, found by shape; refused where a part is wrong; gone and replaced. */
#include "observe/modules.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { /* offsets in the area */
       MODULE = 0x2000,
       LIST_HEAD = 0x2f00,
       HEAD = MODULE + 0x200,
       SYMBOLS = 0x3000,
       NAMES = 0x3200,
       COUNT = 5,
       BYTES = 0x4000
};
#define AREA UINT32_C(0xf8000000)

struct memory {
    uint8_t byte[BYTES];
    bool endless; /* every page is mapped */
};

static size_t peek(const void *ctx, uint32_t cr3, uint32_t lin_addr, void *to, size_t bytes)
{
    const struct memory *m = ctx;
    const uint32_t at = m->endless ? lin_addr % BYTES : lin_addr - AREA;
    if (at >= BYTES)
        return 0;
    const size_t n = bytes < BYTES - at ? bytes : BYTES - at;
    memcpy(to, m->byte + at, n);
    return m->endless && n < bytes ? n + peek(ctx, cr3, lin_addr + (uint32_t)n, (uint8_t *)to + n, bytes - n)
                                   : n;
}

static void put(struct memory *m, uint32_t at, uint32_t v)
{
    put32(m->byte + at, v);
}

static void put_symbol(struct memory *m, unsigned i, uint32_t *name_at, const char *name, uint32_t value,
                       uint32_t size)
{
    uint8_t *sym = m->byte + SYMBOLS + 16 * i;
    strcpy((char *)m->byte + NAMES + *name_at, name);
    put32(sym, *name_at);
    put32(sym + 4, value);
    put32(sym + 8, size);
    sym[14] = 1; /* a section */
    *name_at += (uint32_t)strlen(name) + 1;
}

static struct memory *new_module(const char *name, const char *function)
{
    struct memory *m = calloc(1, sizeof *m);
    uint32_t names = 1;
    put(m, MODULE + 4, AREA + LIST_HEAD);
    put(m, MODULE + 8, AREA + LIST_HEAD);
    put(m, LIST_HEAD, AREA + MODULE + 4);
    put(m, LIST_HEAD + 4, AREA + MODULE + 4);
    strcpy((char *)m->byte + MODULE + 12, name);
    put(m, HEAD, AREA + SYMBOLS);
    put(m, HEAD + 4, COUNT);
    put(m, HEAD + 8, AREA + NAMES);
    put_symbol(m, 1, &names, function, AREA + 0x100, 0x40);
    put_symbol(m, 2, &names, "unsized", AREA + 0x180, 0);
    put_symbol(m, 3, &names, "next", AREA + 0x1a0, 0x10);
    put_symbol(m, 4, &names, "elsewhere", 0xc1000000, 0x10);
    return m;
}

/* The name at an offset of area i; "": none. */
static const char *name_at(const struct modules *m, uint32_t i, uint32_t offset)
{
    const struct symbol *row = symtab_row(&m->area[i].table, AREA + offset);
    return row ? symtab_name(&m->area[i].table, row) : "";
}

static uint32_t areas_of(struct memory *m)
{
    struct modules seen = {0};
    const struct guest_view v = {m, peek};
    modules_see(&seen, &v, 0, AREA + 0x110, 1);
    const uint32_t count = seen.count;
    cr_expect_leq(seen.work, 1u << 24);
    modules_free(&seen);
    return count;
}

Test(modules, names_within_their_bounds)
{
    struct memory *m = new_module("toy", "toy_work");
    struct modules seen = {0};
    const struct guest_view v = {m, peek};
    modules_see(&seen, &v, 0, AREA + 0x110, 7);
    modules_see(&seen, &v, 0, AREA + 0x1234, 8);
    cr_assert_eq(seen.count, 1);
    cr_expect_str_eq(seen.area[0].name, "[toy]");
    cr_expect_eq(seen.area[0].from, 7);
    cr_expect_eq(seen.area[0].to, UINT64_MAX);
    cr_expect_str_eq(name_at(&seen, 0, 0x100), "toy_work");
    cr_expect_str_eq(name_at(&seen, 0, 0x13f), "toy_work");
    cr_expect_str_eq(name_at(&seen, 0, 0x140), "");
    cr_expect_str_eq(name_at(&seen, 0, 0x19f), "unsized");
    cr_expect_str_eq(name_at(&seen, 0, 0x1b0), "");
    modules_free(&seen);
    free(m);
}

Test(modules, one_goes_another_one_comes)
{
    struct memory *first = new_module("first", "first_work"), *second = new_module("second", "second_work");
    struct memory *now = calloc(1, sizeof *now);
    struct modules seen = {0};
    const struct guest_view v = {now, peek};
    put(second, HEAD + 4, COUNT - 1);
    *now = *first;
    modules_see(&seen, &v, 0, AREA + 0x110, 10);
    *now = *second;
    modules_see(&seen, &v, 0, AREA + 0x111, 20);
    modules_see(&seen, &v, 0, AREA + 0x112, 30);
    cr_assert_eq(seen.count, 2);
    cr_expect_eq(seen.area[0].to, 20);
    cr_expect_eq(seen.area[1].from, 20);
    cr_expect_str_eq(name_at(&seen, 0, 0x110), "first_work");
    cr_expect_str_eq(name_at(&seen, 1, 0x110), "second_work");
    cr_expect_str_eq(seen.area[1].name, "[second]");
    modules_free(&seen);
    free(first);
    free(second);
    free(now);
}

Test(modules, a_module_by_its_symbol)
{
    struct memory *m = new_module("toy", "toy_init");
    struct modules seen = {0};
    const struct guest_view v = {m, peek};
    uint32_t names = 64;
    for (unsigned i = 0; i < 3; i++) { /* the table lies apart, as for what is freed behind initialization */
        put(m, 0x10 + 4 * i, le32(m->byte + HEAD + 4 * i));
        put(m, HEAD + 4 * i, 0);
    }
    modules_see(&seen, &v, 0, AREA + 0x110, 1);
    cr_assert_eq(seen.count, 1);
    cr_expect_str_eq(seen.area[0].name, "[module]");
    modules_free(&seen);
    put_symbol(m, 4, &names, "__this_module", AREA + MODULE, 0x100);
    modules_see(&seen, &v, 0, AREA + 0x110, 1);
    cr_assert_eq(seen.count, 1);
    cr_expect_str_eq(seen.area[0].name, "[toy]");
    modules_free(&seen);
    free(m);
}

/* A module that was loaded has its symbols until another one is in its place. */
Test(modules, symbols_of_one_that_was_loaded)
{
    struct memory *m = new_module("toy", "toy_work"), *other = new_module("other", "toy_work");
    struct modules seen = {0};
    const struct guest_view v = {m, peek};
    uint32_t at = 0;
    put(m, HEAD - 4, AREA + HEAD);
    modules_loaded(&seen, &v, 0, AREA + MODULE, 5);
    cr_assert_eq(seen.count, 1, "the table in use is its own");
    cr_expect(modules_find(&seen, "toy", "toy_work", &at));
    cr_expect_eq(at, AREA + 0x100);
    cr_expect(modules_find(&seen, "toy", "next", &at));
    cr_expect(!modules_find(&seen, "toy", "elsewhere", &at), "not in the module");
    cr_expect(!modules_find(&seen, "toy", "no_such", &at));
    cr_expect(!modules_find(&seen, "to", "toy_work", &at) && !modules_find(&seen, "toyy", "toy_work", &at) &&
              !modules_find(&seen, "", "toy_work", &at));
    *m = *other;
    put(m, HEAD + 4, COUNT - 1);
    modules_loaded(&seen, &v, 0, AREA + MODULE, 6);
    cr_expect(!modules_find(&seen, "toy", "toy_work", &at), "another one is there now");
    cr_expect(modules_find(&seen, "other", "toy_work", &at));
    modules_loaded(&seen, &v, 0, 0x1000, 7);
    cr_expect_eq(seen.count, 2, "nothing is there");
    modules_free(&seen);
    free(m);
    free(other);
}

Test(modules, none_where_a_part_is_wrong)
{
    struct memory *whole = new_module("toy", "toy_work"), *m = malloc(sizeof *m);
    const struct {
        uint32_t at, value;
    } wrong[] = {{HEAD, 0},
                 {HEAD, AREA + SYMBOLS + 1},
                 {HEAD, AREA + BYTES - 16},
                 {HEAD, AREA - 16},
                 {HEAD + 4, 0},
                 {HEAD + 4, 1},
                 {HEAD + 4, COUNT + 1000000},
                 {HEAD + 4, UINT32_MAX / 16 + 2},
                 {HEAD + 8, AREA + BYTES},
                 {HEAD + 8, AREA - 1},
                 {SYMBOLS, 1},
                 {SYMBOLS + 12, 1},
                 {SYMBOLS + 16, BYTES},
                 {SYMBOLS + 16, UINT32_MAX},
                 {NAMES, 0x41414141},
                 {NAMES + 4, 0x01010101}};
    cr_assert_eq(areas_of(whole), 1);
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        *m = *whole;
        put(m, wrong[i].at, wrong[i].value);
        cr_expect_eq(areas_of(m), 0, "%u", i);
    }
    free(whole);
    free(m);
}

/* Any bytes at all, and memory without an end, are looked at for a bounded time. */
Test(modules, hostile_memory)
{
    struct memory *whole = new_module("toy", "toy_work"), *m = malloc(sizeof *m);
    srand(5);
    for (unsigned round = 0; round < 2000; round++) {
        *m = *whole;
        for (unsigned i = 0; i < 4; i++)
            m->byte[rand() % 2 ? HEAD + rand() % 12 : SYMBOLS + rand() % 0x280] = (uint8_t)rand();
        areas_of(m);
    }
    struct modules seen = {0};
    const struct guest_view v = {m, peek};
    m->endless = true;
    for (uint32_t i = 0; i < 10000; i++)
        modules_see(&seen, &v, 0, AREA + i * 64, i);
    cr_expect_eq(seen.count, 0);
    cr_expect_leq(seen.work, 2 * MODULES_WORK_MAX);
    modules_free(&seen);
    free(whole);
    free(m);
}
