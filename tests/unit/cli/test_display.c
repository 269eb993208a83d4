/* test_display.c - displays without a machine: options, what has changed of a picture. */
#include "cli/displayopts.h"
#include "cli/tiles.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* --- -display and -vnc --- */

static struct display_option parsed(const char *value)
{
    struct display_option o = {0};
    struct err e;
    cr_assert(display_option_parse(&o, value, &e), "%s", e.text);
    return o;
}

Test(display, vnc_is_of_this_host_alone_unless_told)
{
    struct display_option o = parsed("vnc=:3");
    cr_expect_eq(o.kind, DISPLAY_VNC);
    cr_expect_str_eq(o.host, "127.0.0.1");
    cr_expect(o.first == 3 && o.to == 3);
    display_option_free(&o);
    o = parsed("vnc=0.0.0.0:1,to=9,password=f");
    cr_expect_str_eq(o.host, "0.0.0.0");
    cr_expect(o.first == 1 && o.to == 9);
    cr_expect_str_eq(o.password_file, "f");
    display_option_free(&o);
    o = parsed("vnc=[::1]:2");
    cr_expect_str_eq(o.host, "::1");
    display_option_free(&o);
    o = parsed("vnc=unix:/tmp/x:1");
    cr_expect_str_eq(o.path, "/tmp/x:1");
    display_option_free(&o);
}

Test(display, the_last_one_counts)
{
    struct display_option o = parsed("vnc=:3");
    struct err e;
    cr_assert(display_option_parse(&o, "curses", &e));
    cr_expect(o.kind == DISPLAY_CURSES && !o.host);
    cr_assert(display_option_parse_vnc(&o, ":1", &e));
    cr_expect_eq(o.kind, DISPLAY_VNC);
    cr_assert(display_option_parse_vnc(&o, "none", &e));
    cr_expect_eq(o.kind, DISPLAY_NONE);
    display_option_free(&o);
}

Test(display, what_is_none_is_refused)
{
    static const char *const bad[] = {"",
                                      "gtk",
                                      "sdl",
                                      "vnc",
                                      "vnc=",
                                      "vnc=host",
                                      "vnc=:x",
                                      "vnc=:-1",
                                      "vnc=:59636",
                                      "vnc=:1,to=0",
                                      "vnc=:1,x=y",
                                      "vnc=unix:",
                                      "vnc=:1,to=",
                                      "vnc=:1,password=",
                                      "vnc=unix:p,to=3"};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct display_option o = {0};
        struct err e;
        cr_expect_not(display_option_parse(&o, bad[i], &e), "%s", bad[i]);
        cr_expect(strstr(e.text, "curses"), "%s", e.text);
        display_option_free(&o);
    }
}

/* --- tiles --- */

struct runs {
    unsigned n;
    struct {
        unsigned x, width;
    } run[16];
};

static void note(void *ctx, unsigned x, unsigned width)
{
    struct runs *r = ctx;
    cr_assert_lt(r->n, 16u);
    r->run[r->n].x = x;
    r->run[r->n++].width = width;
}

static struct runs compared(uint32_t *before, const uint32_t *now, unsigned width, unsigned rows)
{
    struct runs r = {0};
    tiles_compare(before, now, width, rows, note, &r);
    cr_assert_eq(memcmp(before, now, (size_t)width * rows * sizeof *now), 0);
    return r;
}

Test(tiles, what_has_changed_and_no_more)
{
    enum { WIDTH = 5 * TILE_WIDTH + 7 };
    static uint32_t before[WIDTH * TILE_ROWS], now[WIDTH * TILE_ROWS];
    cr_expect_eq(compared(before, now, WIDTH, TILE_ROWS).n, 0u);
    now[WIDTH + TILE_WIDTH] = 1;                           /* second tile, second row */
    now[WIDTH * (TILE_ROWS - 1) + 3 * TILE_WIDTH - 1] = 1; /* the last pixel of the third */
    now[WIDTH - 1] = 1;                                    /* the narrow one at the end */
    struct runs r = compared(before, now, WIDTH, TILE_ROWS);
    cr_assert_eq(r.n, 2u);
    cr_expect(r.run[0].x == TILE_WIDTH && r.run[0].width == 2 * TILE_WIDTH);
    cr_expect(r.run[1].x == 5 * TILE_WIDTH && r.run[1].width == 7);
}

/* Against a comparison pixel by pixel: every changed pixel is in a run, every run has one. */
Test(tiles, random_pictures)
{
    static uint32_t before[300 * TILE_ROWS], now[300 * TILE_ROWS], kept[300 * TILE_ROWS];
    for (unsigned n = 0; n < 3000; n++) {
        const unsigned width = 1 + (unsigned)rand() % 300, rows = 1 + (unsigned)rand() % TILE_ROWS;
        memcpy(now, before, sizeof now);
        for (unsigned i = (unsigned)rand() % 4; i > 0; i--)
            now[(unsigned)rand() % (width * rows)] ^= 1;
        memcpy(kept, before, sizeof kept);
        struct runs r = compared(before, now, width, rows);
        for (unsigned i = 0; i < width * rows; i++) {
            bool inside = kept[i] == now[i];
            for (unsigned k = 0; k < r.n; k++)
                inside |= i % width - r.run[k].x < r.run[k].width;
            cr_assert(inside);
        }
        for (unsigned k = 0; k < r.n; k++)
            cr_assert(r.run[k].x % TILE_WIDTH == 0 && r.run[k].x + r.run[k].width <= width);
    }
}
