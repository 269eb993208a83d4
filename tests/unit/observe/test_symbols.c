/* symtab.c, systemmap.c, textindex.c, keymap.c: names within their bounds, code by its content. */
#include "observe/keymap.h"
#include "observe/symtab.h"
#include "observe/systemmap.h"
#include "observe/textindex.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add(struct symtab *t, uint32_t first, uint32_t bytes, const char *name)
{
    cr_assert(symtab_add(t, first, bytes, name, strlen(name)));
}

static const char *at(const struct symtab *t, uint32_t addr)
{
    const struct symbol *s = symtab_row(t, addr);
    return s ? symtab_name(t, s) : "-";
}

Test(symtab, a_name_counts_within_its_bounds_only)
{
    struct symtab t = {0};
    add(&t, 0x300, 0, "unsized");
    add(&t, 0x100, 0x10, "sized");
    add(&t, 0x100, 0x20, "alias");
    add(&t, 0x400, 0x100, "outer");
    add(&t, 0x410, 0x10, "inner");
    add(&t, 0x600, 0, "");
    add(&t, 0x700, 0, "last");
    symtab_finish(&t, 0x800);
    static const struct {
        uint32_t addr;
        const char *name;
    } rows[] = {{0xff, "-"},      {0x100, "sized"},   {0x11f, "sized"},   {0x120, "-"},
                {0x2ff, "-"},     {0x300, "unsized"}, {0x3ff, "unsized"}, {0x400, "outer"},
                {0x40f, "outer"}, {0x410, "inner"},   {0x41f, "inner"},   {0x420, "outer"},
                {0x4ff, "outer"}, {0x500, "-"},       {0x600, "-"},       {0x6ff, "-"},
                {0x700, "last"},  {0x7ff, "last"},    {0x800, "-"},       {UINT32_MAX, "-"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_str_eq(at(&t, rows[i].addr), rows[i].name, "0x%x", rows[i].addr);
    symtab_free(&t);
}

/* The innermost symbol around an address is the last one that begins before it and ends behind it. */
Test(symtab, agrees_with_a_search_of_all_rows)
{
    srand(7);
    for (unsigned round = 0; round < 200; round++) {
        struct symtab t = {0};
        uint32_t first[40], end[40];
        for (unsigned i = 0; i < 40; i++) {
            char name[16];
            first[i] = 10 * i;
            end[i] = first[i] + 1 + (uint32_t)rand() % (rand() % 4 ? 10 : 100);
            sprintf(name, "%u", i);
            add(&t, first[i], end[i] - first[i], name);
        }
        symtab_finish(&t, 1000);
        for (uint32_t a = 0; a < 520; a++) {
            char want[16] = "-";
            for (unsigned i = 0; i < 40; i++)
                if (a >= first[i] && a < end[i])
                    sprintf(want, "%u", i);
            cr_assert_str_eq(at(&t, a), want, "round %u address %u", round, a);
        }
        symtab_free(&t);
    }
}

Test(symtab, odd_values)
{
    struct symtab t = {0};
    add(&t, 0xfffffff0, 0x100, "top");
    add(&t, 0, 1, "zero");
    symtab_finish(&t, UINT32_MAX);
    cr_expect_str_eq(at(&t, 0xfffffffe), "top");
    cr_expect_str_eq(at(&t, 0), "zero");
    cr_expect_str_eq(at(&t, 1), "-");
    uint32_t addr;
    cr_expect(symtab_find(&t, "top", &addr) && addr == 0xfffffff0);
    cr_expect(!symtab_find(&t, "none", &addr));
    symtab_free(&t);
    symtab_finish(&t, 0);
    cr_expect_null(symtab_row(&t, 0));
}

Test(systemmap, lines)
{
    static const char text[] =
        "c1000000 T _text\nc1000010 t first\r\n"
        "00000000c1000020 W second\nc1000030 D data\nnonsense\nc1000040 T third [module]\n"
        "c1000050 T _etext\nc100006 T\n";
    struct symtab t = {0};
    cr_assert(systemmap_read((const uint8_t *)text, sizeof text - 1, &t));
    cr_expect_str_eq(at(&t, 0xc100000f), "_text");
    cr_expect_str_eq(at(&t, 0xc100001f), "first");
    cr_expect_str_eq(at(&t, 0xc1000020), "second");
    cr_expect_str_eq(at(&t, 0xc1000030), "-", "data is no code");
    cr_expect_str_eq(at(&t, 0xc1000041), "third");
    cr_expect_str_eq(at(&t, 0xc1000050), "-", "the end of a section is no function");
    symtab_free(&t);
    static const char stub[] =
        "ffffffffffffffff B The real System.map is in the linux-image-<version>-dbg package\n";
    cr_expect_not(systemmap_read((const uint8_t *)stub, sizeof stub - 1, &t));
    symtab_free(&t);
}

Test(textindex, code_is_found_wherever_it_is_mapped)
{
    static uint8_t code[20480], twice[8192];
    struct text_index t = {0};
    srand(3);
    for (size_t i = 0; i < sizeof code; i++)
        code[i] = (uint8_t)rand();
    memset(code + 4096, 0x90, 4096); /* two pages of nothing in particular */
    memset(code + 16384, 0x90, 4096);
    memcpy(twice, code + 8192, sizeof twice);
    cr_assert(textindex_add(&t, 0, 0x1000, code, sizeof code));
    cr_assert(textindex_add(&t, 1, 0x8000, twice, sizeof twice));
    textindex_finish(&t);
    const struct text_piece *p = textindex_find(&t, code + 256, 0xb7001100);
    cr_assert(p && p->file == 0 && p->lin_addr == 0x1100);
    cr_expect_null(textindex_find(&t, code + 256, 0xb7001200), "elsewhere in the page");
    cr_expect_null(textindex_find(&t, code + 4096, 0xb7002000), "several places");
    p = textindex_find(&t, twice + 512, 0xb7003200);
    cr_expect(p && p->file == 0 && p->lin_addr == 0x3200, "the first of two equal files");
    code[300] ^= 1;
    cr_expect_null(textindex_find(&t, code + 256, 0xb7001100), "changed in memory");
    textindex_free(&t);
}

Test(keymap, many)
{
    struct keymap m = {0};
    bool is_new;
    for (uint64_t i = 0; i < 20000; i++) {
        uint32_t *v = keymap_at(&m, i << 32 | i * 4096, 20000, &is_new);
        cr_assert(v && is_new && *v == 0);
        *v = (uint32_t)i;
    }
    cr_expect_null(keymap_at(&m, 1, 20000, &is_new), "full");
    for (uint64_t i = 0; i < 20000; i++)
        cr_assert_eq(*keymap_get(&m, i << 32 | i * 4096), i);
    cr_expect_null(keymap_get(&m, 5));
    keymap_free(&m);
}
