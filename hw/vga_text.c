/* vga_text.c - a text screen as characters: which cell is where (vga.h), and what it holds (vga_draw.h). */
#include "hw/vga_draw.h"
#include "hw/vga_internal.h"
#include "mem/own.h"

#define TEXT_CELLS      0x4000u /* of B8000-BFFFF */
#define GREY            0x07
#define FONT_CHARACTERS 256u
#define FONT_LINES      16u
#define FONT_STRIDE     32u /* bytes of plane 2 from one character to the next */

bool vga_is_dark(const struct vga *s)
{
    if (vga_dispi_on(s))
        return !(s->attr_index & AR_PALETTE_CONNECTED) || s->seq[SR_CLOCKING] & SR_SCREEN_OFF;
    return s->seq[SR_CLOCKING] & SR_SCREEN_OFF || !(s->attr_index & AR_PALETTE_CONNECTED) ||
           s->seq[SR_RESET] != SR_RUNNING || !(s->crtc[CR_MODE] & CR_SYNC_ON);
}

bool vga_text_screen(const struct vga *s, struct vga_text *t)
{
    unsigned columns = s->crtc[CR_H_DISPLAY_END] + 1u, height = vga_row_lines(s);
    unsigned below = (vga_line_compare(s) + height) / height;

    *t = (struct vga_text){.columns = columns, .rows = (vga_display_lines(s) + height - 1) / height};
    t->dark = vga_is_dark(s);
    if (vga_is_graphics(s) || vga_dispi_on(s)) {
        vga_picture_size(s, &t->columns, &t->rows);
        return false;
    }
    t->start = vga_crtc_word(s, CR_START_HIGH);
    t->row_cells = s->crtc[CR_OFFSET] * 2u;
    t->split_row = below < t->rows ? below : t->rows;
    t->cursor = vga_crtc_word(s, CR_CURSOR_HIGH);
    t->cursor_on = !(s->crtc[CR_CURSOR_START] & CR_CURSOR_OFF) &&
                   (s->crtc[CR_CURSOR_START] & 0x1F) <= (s->crtc[CR_CURSOR_END] & 0x1F);
    return true;
}

uint32_t vga_text_at(const struct vga_text *t, unsigned row, unsigned column)
{
    uint32_t first = row < t->split_row ? t->start + row * t->row_cells : (row - t->split_row) * t->row_cells;

    return (first + column) & (VGA_PLANE_BYTES - 1);
}

void vga_text_cell(const struct vga *s, const uint8_t *memory, uint32_t cell, uint8_t c[2])
{
    c[0] = memory[vga_plane_at(s, 0, cell)];
    c[1] = memory[vga_plane_at(s, 1, cell)];
}

static void put_byte(const struct vga *s, const struct mem_own *m, unsigned plane, uint32_t at, uint8_t byte)
{
    mem_own_put(m, vga_plane_at(s, plane, at), &byte, 1);
}

void vga_text_begin(const struct vga *s, const struct mem_own *m, const uint8_t *font)
{
    for (uint32_t cell = 0; cell < TEXT_CELLS; cell++) {
        put_byte(s, m, 0, cell, ' ');
        put_byte(s, m, 1, cell, GREY);
    }
    for (uint32_t i = 0; font && i < FONT_CHARACTERS * FONT_LINES; i++)
        put_byte(s, m, 2, i / FONT_LINES * FONT_STRIDE + i % FONT_LINES, font[i]);
}
