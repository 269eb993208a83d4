/* vga.h - a VGA (IBM Personal System/2 Hardware Interface Technical Reference, "Video Subsystem", 1992) with
 * the Bochs display interface.
 *
 * Video memory: VGA_FRAME_BYTES, of which the first 256 KiB are the four planes, byte by byte: byte a of
 * plane p is at 4 * a + p. Behind them is the view: where planes 0 and 1 lie instead (byte a of plane p at 2
 * * a + p) while the processor sees them in odd/even chaining, so that text is plain memory for it (`view`).
 *
 * Access: the chip is on the CPU's side (docs/decisions.md): its registers, of one byte but for
 * VGA_OFF_DISPI; the window A0000-BFFFF and the linear frame buffer where they are not plain memory
 * (vga_aperture). Offsets are I/O ports less 3B0h, and those below. */
#ifndef TANDEM_HW_VGA_H
#define TANDEM_HW_VGA_H

#include "hw/chip.h"
#include "hw/pci.h"

#include <stdbool.h>

#define VGA_FIRST_PORT 0x3B0
#define VGA_OFF(port)  ((port)-VGA_FIRST_PORT)
#define VGA_OFF_DISPI  0x40 /* ports 1CEh to 1D0h, two bytes wide: index, and data from the second one on */

#define VGA_OFF_WINDOW 0x01000000u /* A0000, 128 KiB */
#define VGA_OFF_FRAME  0x02000000u /* the linear frame buffer: BAR 0 of the PCI function */
#define VGA_WINDOW     0xA0000u

#define VGA_PLANE_BYTES  0x10000u
#define VGA_FRAME_BYTES  0x1000000u /* planes, and what only the linear frame buffer shows */
#define VGA_VIEW         VGA_FRAME_BYTES
#define VGA_VIEW_BYTES   (2 * VGA_PLANE_BYTES)
#define VGA_MEMORY_BYTES (VGA_FRAME_BYTES + VGA_VIEW_BYTES)
#define VGA_DISPI_REGS   11

struct vga {
    uint16_t dispi[VGA_DISPI_REGS]; /* registers of the Bochs display interface as written */
    uint16_t dispi_index;
    uint32_t latch; /* byte p: the latch of plane p */
    uint8_t crtc[25], crtc_index;
    uint8_t attr[21], attr_index; /* the index has bit 5: palette address source */
    uint8_t attr_data;            /* flip-flop; 1: the next write of 3C0h is data */
    uint8_t seq[5], seq_index;
    uint8_t gfx[9], gfx_index;
    uint8_t misc, feature;
    uint8_t dac_mask, dac_index;
    uint8_t dac_component; /* 0 red, 1 green, 2 blue: the next one */
    uint8_t dac_state;     /* as port 3C7h reads: 3 after a read address, 0 after a write address */
    uint8_t view;          /* 1: planes 0 and 1 lie in the view */
    uint8_t dac[768];      /* 256 colours, red, green, blue; 6 bits each, 8 with DISPI_8BIT_DAC */
};

extern const struct chip_class vga_class;          /* after a reset as firmware leaves it: mode 3, 80 x 25 */
extern const struct chip_class vga_firmware_class; /* after a reset as firmware finds it */

/* 1234:1111 at 00:02.0, whose BAR 0 is the linear frame buffer. */
extern const struct pci_function vga_function;
#define VGA_BAR 0

/* Reset, but planes 0 and 1 are where they are until the chip is settled. */
void vga_reset_pin(const struct chip_class *chip, struct vga *s, uint64_t now_ns);
/* What the processor sees at VGA_WINDOW: value of the aperture (mem/remap.h). */
uint32_t vga_aperture(const struct vga *s);

/* What is on the screen in a text mode. What a cell holds: vga_text_cell (vga_draw.h). */
struct vga_text {
    unsigned columns, rows;
    uint32_t start;     /* cell in the top left corner */
    uint32_t row_cells; /* from one row to the next */
    unsigned split_row; /* rows from here on are those from cell 0 on; `rows`: none */
    uint32_t cursor;    /* cell */
    bool cursor_on;     /* it is shown (if it is on the screen) */
    bool dark;          /* the screen is blanked */
};

/* False: graphics of so many dots (columns, rows). */
bool vga_text_screen(const struct vga *s, struct vga_text *t);
/* Number of the cell at a place on the screen. */
uint32_t vga_text_at(const struct vga_text *t, unsigned row, unsigned column);
/* Memory as a VGA BIOS leaves it in mode 3: blanks, grey on black, and a font of 256 characters of 16 lines,
 * a byte each; NULL: none. */
void vga_text_begin(const struct vga *s, const struct mem_own *m, const uint8_t *font);
/* The screen shows nothing. */
bool vga_is_dark(const struct vga *s);

#endif
