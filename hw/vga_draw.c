/* vga_draw.c - see vga_draw.h.
 *
 * A scan line begins at an address of the CRT controller's counter. Each character clock takes the bytes of
 * all four planes at the counter, and makes eight dots of them (nine in text modes that ask for it): a dot is
 * four bits, which the attribute controller's palette turns into a colour of the DAC, or two dots are one of
 * eight bits (256 colours).
 *
 * Byte, word and doubleword addressing of the CRT controller make no difference here: chained accesses of the
 * processor use plane addresses without gaps (vga_memory.c), so the counter is the plane's address in all
 * three. What is left of them is which address bits the row counter replaces (CGA's and Hercules' interleaved
 * rows).
 *
 * NOT MODELLED: overscan, cursor skew, blinking dots in graphics, the palette in 256 colours. */
#include "hw/vga_draw.h"

#include "clockcore/ticks.h"
#include "hw/vga_internal.h"

#include <string.h>

/* Clocks of a line, and one more for panning. The fuzzer's planted error is another number here
 * (tests/fuzz/meson.build). */
#ifndef CLOCKS_MAX
#define CLOCKS_MAX 257
#endif
#define DOTS_MAX      9 /* of a clock */
#define CURSOR_FRAMES 8 /* half a period of the cursor's blinking; of characters': twice that */

/* What is the same for a whole picture. */
struct drawing {
    const struct vga *s;
    const uint8_t *memory;
    uint64_t frame;
    uint32_t dac[256];   /* colours behind the mask */
    uint32_t colour[16]; /* of the attribute controller */
    unsigned dots;       /* of a clock */
    unsigned clocks;     /* of a line */
    uint32_t plane_mask; /* of plane addresses */
};

/* A scan line: where its first character clock is. */
struct scan {
    uint32_t counter;
    unsigned row;     /* line within the row of characters */
    unsigned panning; /* dots that the line begins further to the right */
};

/* --- size --- */

static unsigned clock_dots(const struct vga *s)
{
    return vga_is_graphics(s) || s->seq[SR_CLOCKING] & SR_DOTS_8 ? 8 : 9;
}

static unsigned dot_width(const struct vga *s)
{
    return s->seq[SR_CLOCKING] & SR_HALF_CLOCK ? 2 : 1;
}

bool vga_picture_size(const struct vga *s, unsigned *width, unsigned *height)
{
    if (vga_dispi_on(s)) {
        struct vga_mode m = vga_dispi_mode(s);
        *width = m.width;
        *height = m.height;
    } else {
        *width = (s->crtc[CR_H_DISPLAY_END] + 1u) * clock_dots(s) * dot_width(s);
        *height = vga_display_lines(s);
    }
    return !vga_is_dark(s);
}

/* --- colours --- */

static uint32_t eight_bits(const struct vga *s, uint8_t v)
{
    return s->dispi[DISPI_ENABLE] & DISPI_8BIT_DAC ? v : (v & 0x3Fu) << 2 | (v >> 4 & 3);
}

static void set_dac(struct drawing *d)
{
    for (unsigned n = 0; n < 256; n++) {
        const uint8_t *rgb = &d->s->dac[3 * (n & d->s->dac_mask)];
        d->dac[n] = eight_bits(d->s, rgb[0]) << 16 | eight_bits(d->s, rgb[1]) << 8 | eight_bits(d->s, rgb[2]);
    }
}

/* The colour select register gives bits 7 and 6, and with P54S bits 5 and 4 too. */
static unsigned dac_number(const struct vga *s, unsigned dot)
{
    unsigned select = s->attr[AR_COLOUR_SELECT], entry = s->attr[dot & s->attr[AR_PLANES] & 15] & 0x3Fu;

    if (s->attr[AR_MODE] & AR_MODE_P54_SELECT)
        entry = (entry & 0x0F) | (select & 3) << 4;
    return entry | (select & 0x0C) << 4;
}

static void set_colours(struct drawing *d)
{
    for (unsigned dot = 0; dot < 16; dot++)
        d->colour[dot] = d->dac[dac_number(d->s, dot)];
}

/* --- where a scan line is in memory --- */

/* Row of characters and line in it, of a line counted from the first one with its row counter at `preset`. */
static unsigned row_of(const struct vga *s, unsigned line, unsigned preset, unsigned *in_row)
{
    unsigned lines = (s->crtc[CR_MAX_SCAN] & 0x1Fu) + 1;

    if (preset >= lines) { /* the counter, five bits, comes round before it meets the last line */
        if (line < 32 - preset) {
            *in_row = line + preset;
            return 0;
        }
        *in_row = (line - (32 - preset)) % lines;
        return (line - (32 - preset)) / lines + 1;
    }
    *in_row = (line + preset) % lines;
    return (line + preset) / lines;
}

static unsigned panning_dots(const struct vga *s)
{
    unsigned n = s->attr[AR_PANNING] & 15;

    if (clock_dots(s) == 9)
        return n >= 8 ? 0 : n + 1;
    return n & 7;
}

static struct scan scan_of(const struct vga *s, unsigned y)
{
    unsigned compare = vga_line_compare(s);
    bool lower = y > compare, pans = !lower || !(s->attr[AR_MODE] & AR_MODE_PANNING_TOP);
    unsigned line = lower ? y - compare - 1 : y;
    struct scan scan = {.counter = lower ? 0 : vga_crtc_word(s, CR_START_HIGH)};

    if (s->crtc[CR_MAX_SCAN] & CR_DOUBLE_SCAN)
        line >>= 1;
    scan.counter +=
        row_of(s, line, lower ? 0 : s->crtc[CR_PRESET_ROW] & 0x1F, &scan.row) * s->crtc[CR_OFFSET] * 2u;
    if (pans) {
        scan.counter += s->crtc[CR_PRESET_ROW] >> 5 & 3;
        scan.panning = panning_dots(s);
    }
    return scan;
}

static uint32_t with_bit(uint32_t a, unsigned bit, unsigned value)
{
    return (a & ~(UINT32_C(1) << bit)) | (value & 1) << bit;
}

/* Plane address of the n-th clock of a line. */
static uint32_t clock_address(const struct vga *s, const struct scan *scan, unsigned n)
{
    unsigned underline = s->crtc[CR_UNDERLINE], mode = s->crtc[CR_MODE];
    unsigned by = underline & CR_COUNT_BY_4 ? 2 : mode & CR_COUNT_BY_2 ? 1 : 0;
    unsigned shift = underline & CR_DOUBLEWORDS ? 2 : mode & CR_BYTES ? 0 : 1;
    uint32_t a = scan->counter + (n >> by);

    if (!(mode & CR_ROW_TO_MA13_OFF))
        a = with_bit(a, 13 - shift, scan->row);
    if (!(mode & CR_ROW_TO_MA14_OFF))
        a = with_bit(a, 14 - shift, scan->row >> 1);
    return a;
}

/* Bytes of the four planes, plane 0 lowest. */
static uint32_t planes_at(const struct drawing *d, uint32_t a)
{
    uint32_t v = 0;

    if (d->plane_mask == VGA_PLANE_BYTES - 1 && d->s->view) {
        for (unsigned p = 0; p < 4; p++)
            v |= (uint32_t)d->memory[vga_plane_at(d->s, p, a)] << 8 * p;
        return v;
    }
    memcpy(&v, d->memory + 4 * (size_t)(a & d->plane_mask), 4);
    return v;
}

/* --- graphics --- */

static void planar_dots(uint32_t v, uint8_t dot[8])
{
    for (unsigned i = 0; i < 8; i++) {
        uint32_t bits = v >> (7 - i);
        dot[i] = (uint8_t)((bits & 1) | (bits >> 7 & 2) | (bits >> 14 & 4) | (bits >> 21 & 8));
    }
}

/* CGA's pairs of bits: four dots of planes 0 and 2, then four of 1 and 3. Planes 2 and 3 give the upper
 * pairs. */
static void pair_dots(uint32_t v, uint8_t dot[8])
{
    for (unsigned i = 0; i < 8; i++) {
        unsigned shift = (i < 4 ? 0 : 8) + 6 - 2 * (i & 3);
        dot[i] = (uint8_t)((v >> shift & 3) | (v >> (shift + 16) & 3) << 2);
    }
}

/* Plane after plane, the upper half of a byte first. */
static void nibble_dots(uint32_t v, uint8_t dot[8])
{
    for (unsigned i = 0; i < 8; i++)
        dot[i] = v >> (8 * (i / 2) + (i & 1 ? 0 : 4)) & 15;
}

static void make_dots(const struct vga *s, uint32_t v, uint8_t dot[8])
{
    if (s->gfx[GR_MODE] & GR_MODE_SHIFT_8)
        nibble_dots(v, dot);
    else if (s->gfx[GR_MODE] & GR_MODE_SHIFT_2)
        pair_dots(v, dot);
    else
        planar_dots(v, dot);
}

static void graphics_clock(const struct drawing *d, uint32_t v, uint32_t *to)
{
    uint8_t dot[8];

    make_dots(d->s, v, dot);
    if (d->s->attr[AR_MODE] & AR_MODE_8_BITS)
        for (unsigned i = 0; i < 8; i += 2)
            to[i] = to[i + 1] = d->dac[dot[i] << 4 | dot[i + 1]];
    else
        for (unsigned i = 0; i < 8; i++)
            to[i] = d->colour[dot[i]];
}

/* --- text --- */

/* Where in plane 2 the font of a character with this attribute begins. Sequencer register 3: map B in bits 4,
 * 1 and 0, for characters without attribute bit 3; map A in bits 5, 3 and 2. The bit apart adds 8 KiB. */
static uint32_t font_at(const struct vga *s, uint8_t attribute)
{
    unsigned select = s->seq[SR_CHAR_MAP] >> (attribute & 8 ? 2 : 0) & 3;
    unsigned odd = s->seq[SR_CHAR_MAP] >> (attribute & 8 ? 5 : 4) & 1;

    return select * 0x4000 + odd * 0x2000;
}

static bool is_cursor(const struct drawing *d, uint32_t a, unsigned row)
{
    const uint8_t *crtc = d->s->crtc;

    return !(crtc[CR_CURSOR_START] & CR_CURSOR_OFF) && a == vga_crtc_word(d->s, CR_CURSOR_HIGH) &&
           row >= (crtc[CR_CURSOR_START] & 0x1Fu) && row <= (crtc[CR_CURSOR_END] & 0x1Fu) &&
           d->frame / CURSOR_FRAMES % 2 == 0;
}

/* The dots of a character in one line, bit 8 first; the ninth is bit 0. */
static unsigned glyph_line(const struct drawing *d, uint8_t c, uint8_t attribute, unsigned row)
{
    const struct vga *s = d->s;
    unsigned bits = d->memory[vga_plane_at(s, 2, font_at(s, attribute) + c * 32u + row)];
    bool joins = s->attr[AR_MODE] & AR_MODE_LINE_9 && c >= 0xC0 && c <= 0xDF;

    /* Blue on black is MDA's underline. */
    if (row == (s->crtc[CR_UNDERLINE] & 0x1Fu) && (attribute & 0x77) == 1)
        return 0x1FF;
    return bits << 1 | (joins ? bits & 1 : 0);
}

static void text_clock(const struct drawing *d, uint32_t a, unsigned row, uint32_t *to)
{
    uint8_t c[2];
    vga_text_cell(d->s, d->memory, a, c);
    unsigned bits = glyph_line(d, c[0], c[1], row), front = c[1] & 15, back = c[1] >> 4;

    if (d->s->attr[AR_MODE] & AR_MODE_BLINK) {
        if (back & 8 && d->frame / (2 * CURSOR_FRAMES) % 2)
            bits = 0;
        back &= 7;
    }
    if (is_cursor(d, a & (VGA_PLANE_BYTES - 1), row))
        bits = 0x1FF;
    for (unsigned i = 0; i < d->dots; i++)
        to[i] = d->colour[bits >> (8 - i) & 1 ? front : back];
}

/* --- lines --- */

static void put_dots(const struct vga *s, const uint32_t *dots, unsigned n, uint32_t *to)
{
    if (dot_width(s) == 1) {
        memcpy(to, dots, n * sizeof(*to));
        return;
    }
    for (unsigned i = 0; i < n; i++)
        to[2 * i] = to[2 * i + 1] = dots[i];
}

static void vga_line(const struct drawing *d, unsigned y, uint32_t *to)
{
    uint32_t dots[CLOCKS_MAX * DOTS_MAX];
    struct scan scan = scan_of(d->s, y);
    bool graphics = vga_is_graphics(d->s);

    for (unsigned n = 0; n < d->clocks + (scan.panning > 0); n++) {
        uint32_t a = clock_address(d->s, &scan, n);
        if (graphics)
            graphics_clock(d, planes_at(d, a), dots + n * d->dots);
        else
            text_clock(d, a, scan.row, dots + n * d->dots);
    }
    put_dots(d->s, dots + scan.panning, d->clocks * d->dots, to);
}

static uint32_t five(unsigned v)
{
    return (v & 31) << 3 | (v >> 2 & 7);
}

static uint32_t six(unsigned v)
{
    return (v & 63) << 2 | (v >> 4 & 3);
}

static uint32_t dispi_dot(const struct drawing *d, const uint8_t *p, unsigned bits)
{
    unsigned v = bits == 15 || bits == 16 ? p[0] | (unsigned)p[1] << 8 : 0;

    switch (bits) {
    case 8:
        return d->dac[p[0]];
    case 15:
        return five(v >> 10) << 16 | five(v >> 5) << 8 | five(v);
    case 16:
        return five(v >> 11) << 16 | six(v >> 5) << 8 | five(v);
    default: /* 24, 32 */
        return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
    }
}

/* A line of the Bochs display interface. All of it lies in memory (vga_dispi_mode), but for the end of a last
 * row that is shifted to the right: dots there are black. */
static void dispi_line(const struct drawing *d, const struct vga_mode *m, unsigned y, uint32_t *to)
{
    uint32_t at = m->first + y * m->row_bytes, bytes = (m->bits + 7) / 8;

    if (m->bits == 4) {
        for (unsigned n = 0; n < m->width / 8; n++)
            graphics_clock(d, planes_at(d, at + n), to + 8 * (size_t)n);
        return;
    }
    for (unsigned x = 0; x < m->width; x++, at += bytes)
        to[x] = at + bytes <= VGA_FRAME_BYTES ? dispi_dot(d, d->memory + at, m->bits) : 0;
}

static void draw_lines(const struct drawing *d, uint32_t *pixels, unsigned stride, unsigned first, unsigned n)
{
    struct vga_mode mode = vga_dispi_mode(d->s);

    for (unsigned y = first; y < first + n; y++, pixels += stride) {
        if (vga_dispi_on(d->s))
            dispi_line(d, &mode, y, pixels);
        else
            vga_line(d, y, pixels);
    }
}

void vga_draw(const struct vga *s, const uint8_t *memory, uint64_t now_ns, uint32_t *pixels,
              unsigned stride_pixels, unsigned first_row, unsigned nrows)
{
    struct drawing d = {.s = s,
                        .memory = memory,
                        .frame = now_ns / vga_frame_ns(s),
                        .dots = clock_dots(s),
                        .clocks = s->crtc[CR_H_DISPLAY_END] + 1u,
                        .plane_mask = (vga_dispi_on(s) ? VGA_FRAME_BYTES / 4 : VGA_PLANE_BYTES) - 1};
    unsigned width, height;
    bool lit = vga_picture_size(s, &width, &height);

    if (first_row >= height)
        return;
    nrows = nrows < height - first_row ? nrows : height - first_row;
    if (lit) {
        set_dac(&d);
        set_colours(&d);
        draw_lines(&d, pixels, stride_pixels, first_row, nrows);
        return;
    }
    for (unsigned y = 0; y < nrows; y++)
        memset(pixels + (size_t)y * stride_pixels, 0, width * sizeof(*pixels));
}

/* --- what it depends on --- */

unsigned vga_picture_ranges(const struct vga *s, struct vga_range range[VGA_RANGES_MAX])
{
    if (vga_dispi_on(s)) {
        struct vga_mode m = vga_dispi_mode(s);
        unsigned planes = m.bits == 4 ? 4 : 1;
        uint32_t end = (m.first + m.height * m.row_bytes) * planes;
        range[0].first = m.first * planes;
        range[0].bytes = (end < VGA_FRAME_BYTES ? end : VGA_FRAME_BYTES) - range[0].first;
        return 1;
    }
    range[0] = (struct vga_range){0, 4 * VGA_PLANE_BYTES};
    range[1] = (struct vga_range){VGA_VIEW, VGA_VIEW_BYTES};
    return s->view ? 2 : 1;
}

uint64_t vga_picture_changes_ns(const struct vga *s, uint64_t now_ns)
{
    uint64_t period_ns = CURSOR_FRAMES * vga_frame_ns(s);

    if (vga_is_graphics(s) || vga_dispi_on(s) || vga_is_dark(s))
        return NS_NEVER;
    return (now_ns / period_ns + 1) * period_ns;
}
