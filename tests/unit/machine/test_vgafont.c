/* test_vgafont.c - a font is found in a ROM wherever it is, and only a whole one. */
#include "machine/vgafont.h"

#include <criterion/criterion.h>

#define ROM_BYTES 8192

static uint8_t bytes[ROM_BYTES];
static const struct image rom = {.data = bytes, .bytes = ROM_BYTES};

static void put(uint8_t *font, unsigned c, unsigned first, unsigned end, uint8_t dots)
{
    memset(font + c * VGAFONT_LINES + first, dots, end - first);
}

/* Blanks, blocks, and something in all other characters. */
static void make_font(uint8_t *font)
{
    memset(bytes, 0x5A, sizeof bytes);
    put(font, 0, 0, 16, 0);
    put(font, 0x20, 0, 16, 0);
    put(font, 0xFF, 0, 16, 0);
    put(font, 0xDB, 0, 16, 0xFF);
    put(font, 0xDC, 0, 7, 0);
    put(font, 0xDC, 7, 16, 0xFF);
    put(font, 0xDD, 0, 16, 0xF0);
    put(font, 0xDE, 0, 16, 0x0F);
    put(font, 0xDF, 0, 7, 0xFF);
    put(font, 0xDF, 7, 16, 0);
}

Test(vgafont, found_anywhere)
{
    static const unsigned places[] = {0, 1, 1237, ROM_BYTES - VGAFONT_BYTES};

    for (unsigned i = 0; i < 4; i++) {
        make_font(bytes + places[i]);
        cr_assert_eq(vgafont_find(&rom), bytes + places[i]);
    }
}

Test(vgafont, none)
{
    const struct image empty = {0}, small = {.data = bytes, .bytes = VGAFONT_BYTES - 1};

    make_font(bytes + 5);
    bytes[5 + 0xDB * VGAFONT_LINES + 9] = 0xFE;
    cr_assert_null(vgafont_find(&rom));
    make_font(bytes);
    cr_assert_null(vgafont_find(&small)); /* its end is missing */
    cr_assert_null(vgafont_find(&empty));
    memset(bytes, 0, sizeof bytes);
    cr_assert_null(vgafont_find(&rom));
}
