/* vgafont.c - see vgafont.h. */
#include "machine/vgafont.h"

#include <stddef.h>

/* Code page 437: characters that look the same in every font of 8 x 16 dots. */
#define BLANK      0x20
#define FULL_BLOCK 0xDB
#define NO_BREAK   0xFF /* a blank, too */
#define LOWER_HALF 0xDC
#define UPPER_HALF 0xDF
#define LEFT_HALF  0xDD
#define RIGHT_HALF 0xDE

static bool lines_are(const uint8_t *font, unsigned c, unsigned first, unsigned end, uint8_t dots)
{
    for (unsigned line = first; line < end; line++)
        if (font[c * VGAFONT_LINES + line] != dots)
            return false;
    return true;
}

static bool whole_is(const uint8_t *font, unsigned c, uint8_t dots)
{
    return lines_are(font, c, 0, VGAFONT_LINES, dots);
}

/* Where the half blocks change differs by a line or two. */
static bool is_font(const uint8_t *font)
{
    return whole_is(font, 0, 0) && whole_is(font, BLANK, 0) && whole_is(font, NO_BREAK, 0) &&
           whole_is(font, FULL_BLOCK, 0xFF) && whole_is(font, LEFT_HALF, 0xF0) &&
           whole_is(font, RIGHT_HALF, 0x0F) && lines_are(font, LOWER_HALF, 0, 6, 0) &&
           lines_are(font, LOWER_HALF, 10, 16, 0xFF) && lines_are(font, UPPER_HALF, 0, 6, 0xFF) &&
           lines_are(font, UPPER_HALF, 10, 16, 0);
}

const uint8_t *vgafont_find(const struct image *rom)
{
    for (size_t at = 0; at + VGAFONT_BYTES <= rom->bytes; at++)
        if (is_font(rom->data + at))
            return rom->data + at;
    return NULL;
}
