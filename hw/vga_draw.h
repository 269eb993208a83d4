/* vga_draw.h - what a VGA shows: pure functions of its registers, its memory and the time.
 *
 * A picture is what goes to the monitor: a row of it is a scan line and a pixel a dot of the full clock, so
 * mode 13h (320 x 200) is 640 x 400 and mode 3 is 720 x 400. With the Bochs display interface it is the
 * resolution set there. Memory is VGA_MEMORY_BYTES, as machine_video_memory() has it. Registers and memory
 * are the guest's: any values are fine, and nothing outside memory or the picture is touched.
 *
 * Threads: any; on a copy of registers and memory, or while the machine stands. */
#ifndef TANDEM_HW_VGA_DRAW_H
#define TANDEM_HW_VGA_DRAW_H

#include "hw/vga.h"

#include <stdbool.h>
#include <stdint.h>

#define VGA_PICTURE_WIDTH_MAX  4608
#define VGA_PICTURE_HEIGHT_MAX 2048
#define VGA_RANGES_MAX         3

/* Bytes of video memory: [first, first + bytes). */
struct vga_range {
    uint32_t first, bytes;
};

/* Width and height in pixels, at least 1. False: the screen is dark, and all pixels are 0. */
bool vga_picture_size(const struct vga *s, unsigned *width, unsigned *height);
/* Rows [first_row, first_row + nrows) of the picture; rows beyond it are left alone. `pixels`: where the row
 * first_row begins; 0x00RRGGBB. now_ns: virtual time, for what blinks. */
void vga_draw(const struct vga *s, const uint8_t *memory, uint64_t now_ns, uint32_t *pixels,
              unsigned stride_pixels, unsigned first_row, unsigned nrows);
/* The bytes of memory that the picture depends on, in `range`; how many ranges. */
unsigned vga_picture_ranges(const struct vga *s, struct vga_range range[VGA_RANGES_MAX]);
/* When the picture next changes by time alone, after now_ns; NS_NEVER: nothing blinks. */
uint64_t vga_picture_changes_ns(const struct vga *s, uint64_t now_ns);
/* Character and attribute of a cell of a text screen (vga_text_screen). */
void vga_text_cell(const struct vga *s, const uint8_t *memory, uint32_t cell, uint8_t c[2]);

#endif
