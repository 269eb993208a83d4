/* test_vga_draw.c - what is drawn, by register: fonts, underline, cursor, blinking, doubled lines,
 * addressing, depths, split screens with panning. Expected dots are worked out from the IBM PS/2 manual's
 * text.
 *
 * The planes are set up so that byte a of plane p is at 4 * a + p, and colour n of 16 is 0x040404 * n. */
#include "hw/vga_draw.h"

#include <criterion/criterion.h>

#define FRAME_NS (449 * UINT64_C(31777)) /* mode 3: 900 dots of 28.322 MHz a line */

enum { UNDERLINE = 0x14, MODE = 0x17, MAX_SCAN = 9, CURSOR_START = 10, CURSOR_END = 11 };

static struct vga s;
static uint8_t memory[VGA_MEMORY_BYTES];
static uint32_t row[VGA_PICTURE_WIDTH_MAX];

static void begin(void)
{
    vga_class.reset(&s, 0);
    memset(memory, 0, sizeof memory);
    for (uint8_t n = 0; n < 16; n++) {
        s.attr[n] = n;
        memset(&s.dac[3 * n], n, 3);
    }
    s.crtc[0x0E] = 0x10; /* the cursor is elsewhere */
}

static void graphics(void)
{
    begin();
    s.gfx[6] = 0x05;
    s.gfx[5] = 0;
    s.seq[1] = 0x01;
    s.attr[0x10] = 0x01;
    s.attr[0x13] = 0;
    s.crtc[MAX_SCAN] = 0x40;
    s.crtc[MODE] = 0xE3;
    s.crtc[UNDERLINE] = 0;
}

static void draw(unsigned y, uint64_t now_ns)
{
    vga_draw(&s, memory, now_ns, row, VGA_PICTURE_WIDTH_MAX, y, 1);
}

/* The number of the colour of a dot. */
static unsigned dot(unsigned x, unsigned y, uint64_t now_ns)
{
    draw(y, now_ns);
    return row[x] / 0x040404;
}

static void put_cell(unsigned cell, uint8_t c, uint8_t attribute)
{
    memory[4 * cell] = c;
    memory[4 * cell + 1] = attribute;
}

TestSuite(vga_draw, .init = begin);

/* Eight places for fonts; attribute bit 3 chooses between two of them. */
Test(vga_draw, fonts)
{
    static const uint16_t at[8] = {0, 0x4000, 0x8000, 0xC000, 0x2000, 0x6000, 0xA000, 0xE000};
    static const uint8_t low[8] = {0x00, 0x01, 0x02, 0x03, 0x10, 0x11, 0x12, 0x13};
    static const uint8_t high[8] = {0x00, 0x04, 0x08, 0x0C, 0x20, 0x24, 0x28, 0x2C};

    put_cell(0, 'A', 0x07);
    put_cell(1, 'A', 0x0F);
    for (unsigned n = 0; n < 8; n++)
        memory[4 * (at[n] + 'A' * 32 + 5) + 2] = (uint8_t)(0x80 >> n);
    for (unsigned b = 0; b < 8; b++)
        for (unsigned a = 0; a < 8; a++) {
            s.seq[3] = low[b] | high[a];
            for (unsigned x = 0; x < 8; x++) {
                cr_assert_eq(dot(x, 5, 0), x == b ? 7 : 0, "map %u, dot %u", b, x);
                cr_assert_eq(dot(9 + x, 5, 0), x == a ? 15 : 0, "map %u, dot %u", a, x);
            }
        }
}

/* Blue on black, bright or blinking too, in the line that the register names. */
Test(vga_draw, underline)
{
    static const uint8_t attribute[6] = {0x01, 0x09, 0x81, 0x07, 0x11, 0x02};

    for (unsigned i = 0; i < 6; i++)
        put_cell(i, ' ', attribute[i]);
    for (unsigned where = 0; where < 32; where++) {
        s.crtc[UNDERLINE] = (uint8_t)(0x60 & s.crtc[UNDERLINE]) | (uint8_t)where;
        for (unsigned y = 0; y < 16; y++)
            for (unsigned i = 0; i < 6; i++) {
                unsigned back = attribute[i] >> 4 & 7, want = i < 3 && y == where ? attribute[i] & 15u : back;
                cr_assert_eq(dot(9 * i + 8, y, 0), want, "attribute %x, line %u of %u", attribute[i], y,
                             where);
            }
    }
}

/* Lines from start to end; none where the end is above the start or the cursor is off. */
Test(vga_draw, cursor_shapes)
{
    put_cell(3, ' ', 0x1E);
    s.crtc[0x0E] = 0, s.crtc[0x0F] = 3;
    for (unsigned start = 0; start < 64; start += 3)
        for (unsigned end = 0; end < 32; end += 3) {
            s.crtc[CURSOR_START] = (uint8_t)start;
            s.crtc[CURSOR_END] = (uint8_t)end;
            for (unsigned y = 0; y < 16; y++)
                cr_assert_eq(dot(27, y, 0), start < 32 && y >= start && y <= end ? 14 : 1);
        }
}

/* By frames since virtual time began: the cursor 8 and 8, characters 16 and 16. */
Test(vga_draw, blinking)
{
    put_cell(0, 'x', 0x84);
    put_cell(1, ' ', 0x07);
    memory[4 * ('x' * 32) + 2] = 0x80;
    s.crtc[0x0E] = 0, s.crtc[0x0F] = 1, s.crtc[CURSOR_START] = 0;
    for (unsigned frame = 0; frame < 70; frame++)
        for (unsigned late = 0; late < 2; late++) {
            uint64_t ns = late ? (frame + 1) * FRAME_NS - 1 : frame * FRAME_NS;
            cr_assert_eq(dot(0, 0, ns), frame / 16 % 2 ? 0 : 4);
            cr_assert_eq(dot(9, 0, ns), frame / 8 % 2 ? 0 : 7);
            cr_assert_eq(vga_picture_changes_ns(&s, ns), (frame / 8 + 1) * 8 * FRAME_NS);
        }
    s.attr[0x10] &= 0xF7; /* eight more colours of the background instead */
    cr_assert_eq(dot(1, 0, 20 * FRAME_NS), 8);
}

/* A row of memory is as many lines high as the register says, and twice that with bit 7. */
Test(vga_draw, doubled_lines, .init = graphics)
{
    s.crtc[0x13] = 1; /* two bytes of each plane from one row to the next */
    for (unsigned n = 0; n < 200; n++)
        memory[4 * (2 * n)] = n & 1 ? 0x80 : 0;
    for (unsigned lines = 1; lines <= 32; lines++)
        for (unsigned twice = 1; twice <= 2; twice++) {
            s.crtc[MAX_SCAN] = (uint8_t)(0x40 | (lines - 1) | (twice == 2 ? 0x80 : 0));
            for (unsigned y = 0; y < 130; y++)
                cr_assert_eq(dot(0, y, 0), y / (lines * twice) & 1, "%u lines, line %u", lines * twice, y);
        }
}

/* In bytes, words and doublewords the counter is the plane's address (docs/decisions.md, "Gaps"), and the row
 * counter's bits 0 and 1 take the places of address bits 13 and 14 as they are before the shift. */
Test(vga_draw, addressing, .init = graphics)
{
    static const struct {
        uint8_t mode, underline, shift;
    } addressing[3] = {{0x40, 0x00, 0}, {0x00, 0x00, 1}, {0x00, 0x40, 2}};

    s.crtc[MAX_SCAN] = 0x43;
    for (unsigned i = 0; i < 3; i++) {
        memset(memory, 0, sizeof memory);
        for (unsigned n = 0; n < 4; n++)
            memory[4 * (5 + ((n & 1) << 13 >> addressing[i].shift) +
                        ((n >> 1) << 14 >> addressing[i].shift)) +
                   n] = 0x80;
        s.crtc[UNDERLINE] = addressing[i].underline;
        s.crtc[MODE] = 0xA0 | addressing[i].mode;
        for (unsigned y = 0; y < 4; y++)
            cr_assert_eq(dot(40, y, 0), 1u << y, "addressing %u, line %u: %u", i, y, dot(40, y, 0));
        s.crtc[MODE] = 0xA3 | addressing[i].mode;
        for (unsigned y = 0; y < 4; y++)
            cr_assert_eq(dot(40, y, 0), 1);
    }
}

/* The counter goes on every second or fourth clock. */
Test(vga_draw, slow_counter, .init = graphics)
{
    memory[4 * 3] = 0xFF;
    for (unsigned shift = 0; shift < 3; shift++) {
        s.crtc[MODE] = 0xE3 | (shift == 1 ? 0x08 : 0);
        s.crtc[UNDERLINE] = shift == 2 ? 0x20 : 0;
        for (unsigned clock = 0; clock < 20; clock++)
            cr_assert_eq(dot(8 * clock, 0, 0), clock >> shift == 3);
    }
}

/* The lower part begins at address 0 behind the line; it pans unless bit 5 says that it stands. */
Test(vga_draw, split_and_panning, .init = graphics)
{
    memory[4 * 0] = 0x80;      /* the lower part's first dot */
    memory[4 * 0x1000] = 0x80; /* the upper part's */
    s.crtc[0x0C] = 0x10;
    s.crtc[7] &= 0xEF;
    for (unsigned compare = 0; compare < 256; compare += 51)
        for (unsigned panning = 0; panning < 8; panning++)
            for (unsigned stands = 0; stands < 2; stands++) {
                s.crtc[0x18] = (uint8_t)compare;
                s.crtc[MAX_SCAN] = 0;
                s.crtc[0x13] = 0x28;
                s.attr[0x10] = stands ? 0x21 : 0x01;
                s.attr[0x13] = (uint8_t)panning;
                cr_assert_eq(dot(0, 0, 0), panning == 0);
                cr_assert_eq(dot(0, compare + 1, 0), panning == 0 || stands, "line %u, panning %u", compare,
                             panning);
                cr_assert_eq(dot(0, compare + 2, 0), 0);
            }
}

/* One dot of each depth. */
Test(vga_draw, depths)
{
    static const struct {
        uint16_t bits;
        uint8_t byte[4];
        uint32_t colour;
    } depth[] = {{8, {3}, 0x0C0C0C},
                 {15, {0x1F, 0x7C}, 0xFF00FF},
                 {15, {0x10, 0x42}, 0x848484},
                 {16, {0xE0, 0x07}, 0x00FF00},
                 {16, {0x10, 0x84}, 0x848284},
                 {24, {0x12, 0x34, 0x56}, 0x563412},
                 {32, {0x12, 0x34, 0x56, 0xFF}, 0x563412},
                 {4, {0x80, 0x00, 0x80, 0x00}, 0x141414}};

    s.dispi[1] = s.dispi[2] = 64;
    s.dispi[4] = 0x41;
    for (unsigned i = 0; i < sizeof depth / sizeof depth[0]; i++) {
        s.dispi[3] = depth[i].bits;
        memcpy(memory, depth[i].byte, 4);
        draw(0, 0);
        cr_assert_eq(row[0], depth[i].colour, "%u bits: %06x", depth[i].bits, row[0]);
    }
}
