/* vga_text: text modes with two fonts of this guest's own; scene=N on the command line says which. The
 * pictures, at several times since characters and cursor blink, are computed by tests/screens/scenes.py. */
#include "vga.h"

#define COLUMNS 80
#define CELLS   4096 /* all of B8000-BFFFF and no more */
#define FRAMES  34   /* until the end: one period of the blinking of characters */

static const struct mode mode_3 = {0x67,
                                   {3, 0x00, 0x03, 0, 0x02},
                                   {0x5F, 0x4F, 0x50, 0x82, 0x55, 0x81, 0xBF, 0x1F, 0,    0x4F, 3,    9,   0,
                                    0,    0,    0,    0x9C, 0x8E, 0x8F, 0x28, 0x0C, 0x96, 0xB9, 0xA3, 0xFF},
                                   {0, 0, 0, 0, 0, 0x10, 0x0E, 0, 0xFF},
                                   0x0C,
                                   0x0F};

/* Plane 2 alone, at A0000. */
static void load_font(unsigned at, unsigned by_character, unsigned by_line)
{
    for (unsigned c = 0; c < 256; c++)
        for (unsigned line = 0; line < 16; line++)
            window[at + c * 32 + line] = (uint8_t)(c * by_character + line * by_line);
}

static void load_fonts(unsigned second_at)
{
    set(SEQ, 2, 4);
    set(SEQ, 4, 6);
    set(GFX, 5, 0);
    set(GFX, 6, 5);
    load_font(0, 37, 73);
    load_font(second_at, 11, 29);
    set(SEQ, 2, 3);
    set(SEQ, 4, 2);
    set(GFX, 5, 0x10);
    set(GFX, 6, 0x0E);
}

static void put_text(void)
{
    for (unsigned n = 0; n < CELLS; n++)
        ((volatile uint16_t *)colour_text)[n] =
            (uint16_t)((n & 255) | ((n % COLUMNS + 7 * (n / COLUMNS)) & 255) << 8);
}

static void set_cursor(unsigned cell)
{
    set(CRTC, 0x0E, (uint8_t)(cell >> 8));
    set(CRTC, 0x0F, (uint8_t)cell);
}

static void begin(unsigned second_font_at)
{
    set_mode(&mode_3);
    set_colours(0, 17);
    load_fonts(second_font_at);
}

/* 0: nine dots, underlines in line 12, the second font in the second place. */
static void scene_plain(void)
{
    begin(0x4000);
    set(SEQ, 3, 0x04);
    set_attr(0x13, 8); /* none, with nine dots */
    set_cursor(5 * COLUMNS + 10);
}

/* 1: scrolled by a row and two characters more, five lines, a byte and four dots; from line 320 on what
 * lies at cell 0. Eight background colours more instead of blinking, and no ninth dot from the eighth. */
static void scene_panned(void)
{
    begin(0x6000);
    set(SEQ, 3, 0x24);
    set_line_compare(&mode_3, 319);
    set_start(COLUMNS + 2);
    set(CRTC, 8, 0x25);
    set_attr(0x10, 0x20);
    set_attr(0x13, 3);
    set_cursor(5 * COLUMNS + 10);
}

/* 2: 40 columns of eight dots twice as wide, no cursor. */
static void scene_40_columns(void)
{
    begin(0x4000);
    set(SEQ, 3, 0x04);
    set(SEQ, 1, 0x09);
    set(CRTC, 0x11, 0x0E); /* registers 0 to 7 can be written */
    set(CRTC, 1, 0x27);
    set(CRTC, 0x13, 0x14);
    set(CRTC, 0x0A, 0x20);
}

/* --- the screen as it is found: mode 3, blanks, and a font of the loader's --- */

static uint8_t get(uint16_t port, uint8_t index)
{
    outb(port, index);
    return inb(port + 1);
}

static void check_mode_3(void)
{
    EXPECT_EQ(get(SEQ, 4), 2);
    EXPECT_EQ(get(GFX, 6), 0x0E);
    EXPECT_EQ(get(CRTC, 9) & 0x1F, 15);
    EXPECT_EQ(inb(0x3CC), 0x67);
    for (unsigned n = 0; n < CELLS; n++)
        if (((volatile uint16_t *)colour_text)[n] != 0x0720)
            EXPECT_EQ(((volatile uint16_t *)colour_text)[n], 0x0720);
}

static void found_screen(void)
{
    static const char text[] = "SeaBIOS";

    check_mode_3();
    for (unsigned i = 0; text[i]; i++)
        ((volatile uint16_t *)colour_text)[i] = (uint16_t)(0x0700 | (uint8_t)text[i]);
}

/* A reset in a graphics mode leads to mode 3 again. CMOS, which is kept, says whether it was; how=1: by the
 * keyboard controller, 2: from outside. */
static void reset_in_graphics(unsigned how)
{
    outb(0x70, 0x50);
    bool was_reset = inb(0x71) == 0xA5;
    if (was_reset) {
        found_screen();
        return;
    }
    outb(0x71, 0xA5);
    set_mode(&mode_3);
    load_fonts(0x4000);
    set(SEQ, 4, 0x0E); /* chained, and of 256 colours */
    set(GFX, 5, 0x40);
    set(GFX, 6, 0x05);
    set_attr(0x10, 0x41);
    memset((void *)window, 0x5A, 0x10000);
    if (how == 1)
        outb(0x64, 0xFE);
    for (;;)
        __asm__ volatile("pause");
}

int guest_main(void)
{
    unsigned scene = option("scene", 0), how = option("reset", 0);

    if (how) {
        reset_in_graphics(how);
        return 0;
    }
    if (scene == 3) {
        found_screen();
        return 0;
    }
    (scene == 0 ? scene_plain : scene == 1 ? scene_panned : scene_40_columns)();
    put_text();
    for (unsigned i = 0; i < FRAMES; i++)
        wait_frame();
    return 0;
}
