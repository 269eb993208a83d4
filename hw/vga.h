/* vga.h - the registers of a VGA (IBM Personal System/2 Hardware Interface Technical Reference, "Video
 * Subsystem", 1992), with text modes.
 *
 * The memory behind A0000-BFFFF is plain memory, which the chip never sees: a text screen is where the
 * registers say (vga_text_screen). Access: reads are pure but where read_changes says otherwise, writes
 * posted; one byte wide, but for VGA_OFF_DISPI. Offsets are I/O ports less 3B0h. */
#ifndef TANDEM_HW_VGA_H
#define TANDEM_HW_VGA_H

#include "hw/chip.h"

#include <stdbool.h>

#define VGA_FIRST_PORT 0x3B0
#define VGA_OFF(port)  ((port)-VGA_FIRST_PORT)
#define VGA_OFF_DISPI  0x40 /* ports 1CEh to 1D0h, two bytes wide: index, and data from the second one on */

#define VGA_MEMORY 0xA0000u

struct vga {
    uint16_t dispi_index; /* register of the Bochs display interface */
    uint16_t dispi_id;    /* the version that software asked for */
    uint8_t crtc[25], crtc_index;
    uint8_t attr[21], attr_index; /* the index has bit 5: palette address source */
    uint8_t attr_data;            /* flip-flop; 1: the next write of 3C0h is data */
    uint8_t seq[5], seq_index;
    uint8_t gfx[9], gfx_index;
    uint8_t misc, feature;
    uint8_t dac_mask, dac_index;
    uint8_t dac_component; /* 0 red, 1 green, 2 blue: the next one */
    uint8_t dac_state;     /* as port 3C7h reads: 3 after a read address, 0 after a write address */
    uint8_t reserved;      /* always 0 */
    uint8_t dac[768];      /* 256 colours, red, green, blue, 6 bits each */
};

extern const struct chip_class vga_class;          /* after a reset as firmware leaves it: mode 3, 80 x 25 */
extern const struct chip_class vga_firmware_class; /* after a reset as firmware finds it */

/* What is on the screen in a text mode. Cell n (two bytes: character, attribute) is at vga_text_cell. */
struct vga_text {
    unsigned columns, rows;
    uint32_t start;        /* cell in the top left corner */
    uint32_t row_cells;    /* from one row to the next */
    unsigned split_row;    /* rows from here on are those from cell 0 on; `rows`: none */
    uint32_t cursor;       /* cell */
    bool cursor_on;        /* it is shown (if it is on the screen) */
    bool dark;             /* the screen is blanked */
    uint32_t memory;       /* where cell 0 is */
    uint32_t memory_bytes; /* cells beyond it wrap */
};

/* False: graphics of so many dots (columns, rows). */
bool vga_text_screen(const struct vga *s, struct vga_text *t);
/* Number of the cell at a place on the screen, and the physical address of a cell. */
uint32_t vga_text_at(const struct vga_text *t, unsigned row, unsigned column);
uint32_t vga_text_address(const struct vga_text *t, uint32_t cell);

#endif
