/* vga_graphics: demos in the VGA's own graphics modes; scene=N on the command line says which. Each leaves a
 * picture on the screen, which tests/screens/scenes.py computes from what the demo means. */
#include "vga.h"

static const struct mode mode_13h = {0x63,
                                     {3, 0x01, 0x0F, 0, 0x0E},
                                     {0x5F, 0x4F, 0x50, 0x82, 0x54, 0x80, 0xBF, 0x1F, 0,
                                      0x41, 0,    0,    0,    0,    0,    0,    0x9C, 0x8E,
                                      0x8F, 0x28, 0x40, 0x96, 0xB9, 0xA3, 0xFF},
                                     {0, 0, 0, 0, 0, 0x40, 0x05, 0x0F, 0xFF},
                                     0x41,
                                     0x0F};
/* 320 x 240, planes not chained. */
static const struct mode mode_x = {0xE3,
                                   {3, 0x01, 0x0F, 0, 0x06},
                                   {0x5F, 0x4F, 0x50, 0x82, 0x54, 0x80, 0x0D, 0x3E, 0,    0x41, 0,    0,   0,
                                    0,    0,    0,    0xEA, 0x8C, 0xDF, 0x28, 0x00, 0xE7, 0x06, 0xE3, 0xFF},
                                   {0, 0, 0, 0, 0, 0x40, 0x05, 0x0F, 0xFF},
                                   0x41,
                                   0x0F};
static const struct mode mode_12h = {0xE3,
                                     {3, 0x01, 0x0F, 0, 0x06},
                                     {0x5F, 0x4F, 0x50, 0x82, 0x54, 0x80, 0x0B, 0x3E, 0,
                                      0x40, 0,    0,    0,    0,    0,    0,    0xEA, 0x8C,
                                      0xDF, 0x28, 0x00, 0xE7, 0x04, 0xE3, 0xFF},
                                     {0, 0, 0, 0, 0, 0x00, 0x05, 0x0F, 0xFF},
                                     0x01,
                                     0x0F};
/* Mode 5 is the same with other colours. */
static const struct mode mode_4 = {0x63,
                                   {3, 0x09, 0x03, 0, 0x02},
                                   {0x2D, 0x27, 0x28, 0x90, 0x2B, 0x80, 0xBF, 0x1F, 0,    0xC1, 0,    0,   0,
                                    0,    0,    0,    0x9C, 0x8E, 0x8F, 0x14, 0x00, 0x96, 0xB9, 0xA2, 0xFF},
                                   {0, 0, 0, 0, 0, 0x30, 0x0F, 0x00, 0xFF},
                                   0x01,
                                   0x03};
static const struct mode mode_6 = {0x63,
                                   {3, 0x01, 0x01, 0, 0x06},
                                   {0x5F, 0x4F, 0x50, 0x82, 0x54, 0x80, 0xBF, 0x1F, 0,    0xC1, 0,    0,   0,
                                    0,    0,    0,    0x9C, 0x8E, 0x8F, 0x28, 0x00, 0x96, 0xB9, 0xC2, 0xFF},
                                   {0, 0, 0, 0, 0, 0x00, 0x0D, 0x00, 0xFF},
                                   0x01,
                                   0x01};

/* --- 0: mode 13h: a gradient, and diamonds before it --- */

static unsigned distance(int a, int b)
{
    return (unsigned)(a < b ? b - a : a - b);
}

static void sprite(unsigned left, unsigned top, uint8_t colour)
{
    for (int y = 0; y < 16; y++)
        for (int x = 0; x < 16; x++)
            if (distance(2 * x, 15) + distance(2 * y, 15) <= 16)
                window[(top + (unsigned)y) * 320 + left + (unsigned)x] = colour;
}

static void scene_mode_13h(void)
{
    set_mode(&mode_13h);
    for (unsigned y = 0; y < 200; y++)
        for (unsigned x = 0; x < 320; x += 4) {
            uint32_t four = 0;
            for (unsigned i = 0; i < 4; i++)
                four |= (((x + i) / 2 + y) & 255) << 8 * i;
            *(volatile uint32_t *)(window + y * 320 + x) = four;
        }
    for (unsigned i = 0; i < 8; i++)
        sprite(20 + 36 * i, 10 + 22 * i, (uint8_t)(255 - 16 * i));
}

/* --- 1: mode 12h: everything that the graphics controller can do --- */

#define ROW 80 /* bytes from one row to the next */

static void write_mode(uint8_t mode)
{
    set(GFX, 5, mode);
}

/* Eight dots of one colour. */
static void put_colour(unsigned at, uint8_t colour)
{
    set(GFX, 0, colour);
    set(GFX, 1, 0x0F);
    window[at] = 0;
    set(GFX, 1, 0);
}

/* Bars of 40 dots, colours 0 to 15. */
static void bars(void)
{
    set(GFX, 1, 0x0F);
    for (uint8_t c = 0; c < 16; c++) {
        set(GFX, 0, c);
        for (unsigned y = 0; y < 480; y++)
            for (unsigned i = 0; i < 5; i++)
                window[y * ROW + c * 5u + i] = 0x5A; /* no plane takes it */
    }
    set(GFX, 1, 0);
}

/* Write mode 2: dots (100 + i, 50 + i) of colour i. */
static void diagonal(void)
{
    write_mode(2);
    for (unsigned i = 0; i < 200; i++) {
        volatile uint8_t *p = window + (50 + i) * ROW + (100 + i) / 8;
        set(GFX, 8, 0x80 >> ((100 + i) & 7));
        (void)*p;
        *p = i & 15;
    }
    set(GFX, 8, 0xFF);
}

/* Write mode 1: 80 x 60 dots of the top left corner again at (400, 100). */
static void copy(void)
{
    write_mode(1);
    for (unsigned y = 0; y < 60; y++)
        for (unsigned i = 0; i < 10; i++) {
            (void)window[y * ROW + i];
            window[(100 + y) * ROW + 50 + i] = 0xFF;
        }
}

/* Write mode 3: a yellow pattern F0, turned to the right by its row. */
static void stamp(void)
{
    write_mode(3);
    set(GFX, 0, 14);
    for (unsigned y = 200; y < 232; y++) {
        set(GFX, 3, y & 7);
        for (unsigned i = 10; i < 14; i++) {
            (void)window[y * ROW + i];
            window[y * ROW + i] = 0xF0;
        }
    }
    set(GFX, 3, 0);
    write_mode(0);
}

/* Colour 4 or 7 (where CC has a bit) with what was there by each of the four functions, within 7E. */
static void functions(void)
{
    set(GFX, 0, 0x04);
    set(GFX, 1, 0x0C);
    set(GFX, 8, 0x7E);
    for (unsigned f = 0; f < 4; f++) {
        set(GFX, 3, (uint8_t)(f << 3));
        for (unsigned y = 260 + 20 * f; y < 275 + 20 * f; y++)
            for (unsigned i = 20; i < 30; i++) {
                (void)window[y * ROW + i];
                window[y * ROW + i] = 0xCC;
            }
    }
    set(GFX, 1, 0);
    set(GFX, 3, 0);
    set(GFX, 8, 0xFF);
}

/* Planes 0 and 2 set and cleared alone; and none at all, everywhere. */
static void maps(void)
{
    set(SEQ, 2, 0);
    for (unsigned at = 0; at < 480 * ROW; at++)
        window[at] = 0xFF;
    set(SEQ, 2, 5);
    for (unsigned y = 260; y < 280; y++)
        for (unsigned i = 0; i < 10; i++) {
            window[y * ROW + 40 + i] = 0xFF;
            window[y * ROW + 50 + i] = 0x00;
        }
    set(SEQ, 2, 0x0F);
}

/* Eight rows become what reading the top row gives: white and black. */
static void show_what_is_read(unsigned y)
{
    static uint8_t row[ROW];

    for (unsigned i = 0; i < ROW; i++)
        row[i] = window[i];
    for (unsigned at = y * ROW; at < (y + 8) * ROW; at++)
        window[at] = row[at % ROW];
}

static void reads(void)
{
    set(GFX, 4, 1); /* plane 1 */
    show_what_is_read(440);
    set(GFX, 4, 0);
    write_mode(8); /* comparing */
    set(GFX, 2, 3);
    set(GFX, 7, 0x07);
    show_what_is_read(450);
    set(GFX, 7, 0x0F);
    show_what_is_read(460);
    write_mode(0);
}

static void scene_planar(void)
{
    set_mode(&mode_12h);
    set_colours(0, 17);
    bars();
    diagonal();
    copy();
    stamp();
    functions();
    maps();
    reads();
}

/* --- 2: mode X: two pages, shown in turn --- */

#define PAGE_1 (320 * 240 / 4)

static void put_pixel(unsigned page, unsigned x, unsigned y, uint8_t colour)
{
    window[page + y * 80 + x / 4] = colour;
}

static void scene_mode_x(void)
{
    set_mode(&mode_x);
    for (unsigned p = 0; p < 4; p++) {
        set(SEQ, 2, (uint8_t)(1u << p));
        for (unsigned y = 0; y < 240; y++)
            for (unsigned x = p; x < 320; x += 4) {
                put_pixel(0, x, y, (uint8_t)(x ^ y));
                put_pixel(PAGE_1, x, y, (uint8_t)(x + y));
            }
    }
    set(SEQ, 2, 0x0F);
    write_mode(0x41);
    for (unsigned at = 60 * 80; at < 180 * 80; at++) { /* the middle of page 0, by the latches */
        (void)window[at];
        window[PAGE_1 + at] = 0;
    }
    for (unsigned i = 0; i < 3; i++) {
        set_start(i % 2 ? 0 : PAGE_1);
        wait_frame();
    }
}

/* --- 3 and 4: mode 12h, a world wider than the screen, below it a panel which pans along or stands --- */

static void scene_split(bool panel_stands)
{
    set_mode(&mode_12h);
    set_colours(0, 17);
    set(CRTC, 0x13, 50); /* 800 dots */
    for (unsigned y = 0; y < 560; y++)
        for (unsigned i = 0; i < 100; i++) {
            uint8_t colour = (uint8_t)(i + y / 8) & 15;
            put_colour(y * 100 + i, colour);
            set(GFX, 8, 0x80); /* the left dot of each eight stands out */
            (void)window[y * 100 + i];
            put_colour(y * 100 + i, colour ^ 15);
            set(GFX, 8, 0xFF);
        }
    set_line_compare(&mode_12h, 399);
    set_start((80 + 30) * 100 + 3);
    set_attr(0x10, panel_stands ? 0x21 : 0x01);
    set_attr(0x13, 5);
}

/* --- 5: the same in 256 colours --- */

static void scene_split_256(void)
{
    set_mode(&mode_13h);
    set(SEQ, 4, 0x06); /* not chained */
    set(CRTC, 0x14, 0);
    set(CRTC, 0x17, 0xE3);
    set(CRTC, 0x13, 50); /* 400 dots */
    for (unsigned p = 0; p < 4; p++) {
        set(SEQ, 2, (uint8_t)(1u << p));
        for (unsigned y = 0; y < 230; y++)
            for (unsigned x = p; x < 400; x += 4)
                window[y * 100 + x / 4] = (uint8_t)(x + 3 * y);
    }
    set_line_compare(&mode_13h, 319);
    set_start((40 + 17) * 100 + 6);
    set_attr(0x10, 0x61);
    set_attr(0x13, 4);
}

/* --- 6 to 9: CGA's modes: even rows at B8000, odd ones at BA000 --- */

/* Whole rows: bytes of four dots, two bits each. */
static void pairs(unsigned x_shift, unsigned y_shift)
{
    for (unsigned y = 0; y < 200; y++)
        for (unsigned i = 0; i < 80; i++) {
            unsigned byte = 0;
            for (unsigned x = 4 * i; x < 4 * i + 4; x++)
                byte = byte << 2 | (((x >> x_shift) + (y >> y_shift)) & 3);
            colour_text[(y & 1) * 0x2000 + (y >> 1) * 80 + i] = (uint8_t)byte;
        }
}

static void scene_mode_4(unsigned first, unsigned step)
{
    set_mode(&mode_4);
    set_colours(first, step);
    pairs(2, 0);
    set(SEQ, 2, 0);
    for (unsigned at = 0; at < 0x4000; at++)
        colour_text[at] = 0xFF; /* in no plane */
}

/* Planes 2 and 3 give the upper two bits of a dot. */
static void scene_both_pairs(void)
{
    set_mode(&mode_4);
    set_attr(0x12, 0x0F);
    set_colours(0, 17);
    pairs(2, 0);
    set(SEQ, 2, 0x0C);
    pairs(4, 3);
}

static void scene_mode_6(void)
{
    set_mode(&mode_6);
    set_colours(7, 31);
    for (unsigned y = 0; y < 200; y++)
        for (unsigned i = 0; i < 80; i++)
            colour_text[(y & 1) * 0x2000 + (y >> 1) * 80 + i] = (uint8_t)(i * 7 + y * 13);
}

/* --- */

int guest_main(void)
{
    switch (option("scene", 0)) {
    case 0:
        scene_mode_13h();
        break;
    case 1:
        scene_planar();
        break;
    case 2:
        scene_mode_x();
        break;
    case 3:
        scene_split(false);
        break;
    case 4:
        scene_split(true);
        break;
    case 5:
        scene_split_256();
        break;
    case 6:
        scene_mode_4(1, 3);
        break;
    case 7:
        scene_mode_4(2, 5);
        break;
    case 8:
        scene_both_pairs();
        break;
    default:
        scene_mode_6();
        break;
    }
    return 0;
}
