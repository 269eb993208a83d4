/* vga_internal.h - registers of the VGA, by number and bit, and what several vga*.c compute from them.
 *
 * Names follow the IBM Personal System/2 Hardware Interface Technical Reference, "Video Subsystem". */
#ifndef TANDEM_HW_VGA_INTERNAL_H
#define TANDEM_HW_VGA_INTERNAL_H

#include "hw/vga.h"

enum { /* CRT controller */
       CR_H_TOTAL = 0x00,
       CR_H_DISPLAY_END = 0x01,
       CR_V_TOTAL = 0x06,
       CR_OVERFLOW = 0x07,
       CR_PRESET_ROW = 0x08,
       CR_MAX_SCAN = 0x09,
       CR_CURSOR_START = 0x0A,
       CR_CURSOR_END = 0x0B,
       CR_START_HIGH = 0x0C,
       CR_START_LOW = 0x0D,
       CR_CURSOR_HIGH = 0x0E,
       CR_CURSOR_LOW = 0x0F,
       CR_V_RETRACE_START = 0x10,
       CR_V_RETRACE_END = 0x11,
       CR_V_DISPLAY_END = 0x12,
       CR_OFFSET = 0x13,
       CR_UNDERLINE = 0x14,
       CR_MODE = 0x17,
       CR_LINE_COMPARE = 0x18,
};

/* Of CR_V_RETRACE_END: registers 0 to 7 cannot be written, but for CR_UNPROTECTED of CR_OVERFLOW. */
#define CR_PROTECT     0x80
#define CR_UNPROTECTED 0x10
#define CR_CURSOR_OFF  0x20
#define CR_DOUBLE_SCAN 0x80
/* Of CR_UNDERLINE. */
#define CR_COUNT_BY_4  0x20
#define CR_DOUBLEWORDS 0x40
/* Of CR_MODE. */
#define CR_ROW_TO_MA13_OFF 0x01
#define CR_ROW_TO_MA14_OFF 0x02
#define CR_COUNT_BY_2      0x08
#define CR_BYTES           0x40
#define CR_SYNC_ON         0x80

enum { SR_RESET = 0, SR_CLOCKING = 1, SR_MAP_MASK = 2, SR_CHAR_MAP = 3, SR_MEMORY_MODE = 4 };
#define SR_RUNNING      0x03 /* of SR_RESET: neither reset is asserted */
#define SR_DOTS_8       0x01
#define SR_HALF_CLOCK   0x08
#define SR_SCREEN_OFF   0x20
#define SR_ODD_EVEN_OFF 0x04
#define SR_CHAIN_4      0x08

enum {
    GR_SET_RESET = 0,
    GR_ENABLE_SET_RESET = 1,
    GR_COMPARE = 2,
    GR_ROTATE = 3,
    GR_READ_MAP = 4,
    GR_MODE = 5,
    GR_MISC = 6,
    GR_DO_CARE = 7,
    GR_BIT_MASK = 8
};
#define GR_MODE_WRITE    0x03
#define GR_MODE_COMPARE  0x08
#define GR_MODE_ODD_EVEN 0x10
#define GR_MODE_SHIFT_2  0x20 /* CGA's pairs of bits */
#define GR_MODE_SHIFT_8  0x40 /* 256 colours */
#define GR_MISC_GRAPHICS 0x01
#define GR_MISC_CHAIN    0x02

enum { AR_MODE = 0x10, AR_OVERSCAN = 0x11, AR_PLANES = 0x12, AR_PANNING = 0x13, AR_COLOUR_SELECT = 0x14 };
#define AR_MODE_GRAPHICS     0x01
#define AR_MODE_LINE_9       0x04
#define AR_MODE_BLINK        0x08
#define AR_MODE_PANNING_TOP  0x20 /* the lower part of a split screen does not pan */
#define AR_MODE_8_BITS       0x40
#define AR_MODE_P54_SELECT   0x80
#define AR_PALETTE_CONNECTED 0x20 /* of the index */

/* From one frame to the next; at least 1. */
uint64_t vga_frame_ns(const struct vga *s);

#define MISC_COLOUR     0x01
#define MISC_RAM_ENABLE 0x02

/* The Bochs display interface. */
enum {
    DISPI_ID,
    DISPI_XRES,
    DISPI_YRES,
    DISPI_BPP,
    DISPI_ENABLE,
    DISPI_BANK,
    DISPI_VIRT_WIDTH,
    DISPI_VIRT_HEIGHT,
    DISPI_X_OFFSET,
    DISPI_Y_OFFSET,
    DISPI_MEMORY_64K,
};
#define DISPI_ENABLED     0x01
#define DISPI_GETCAPS     0x02
#define DISPI_8BIT_DAC    0x20
#define DISPI_LFB         0x40
#define DISPI_NOCLEARMEM  0x80
#define DISPI_ENABLE_BITS 0xE3

/* A number whose bits 8 and 9 are two bits of the overflow register. */
static inline unsigned vga_vertical(const struct vga *s, unsigned reg, unsigned bit8, unsigned bit9)
{
    unsigned overflow = s->crtc[CR_OVERFLOW];

    return s->crtc[reg] | (overflow >> bit8 & 1) << 8 | (overflow >> bit9 & 1) << 9;
}

/* Scan lines that show something. */
static inline unsigned vga_display_lines(const struct vga *s)
{
    return vga_vertical(s, CR_V_DISPLAY_END, 1, 6) + 1;
}

/* The last scan line of the upper part of a split screen. */
static inline unsigned vga_line_compare(const struct vga *s)
{
    return vga_vertical(s, CR_LINE_COMPARE, 4, 31) | (s->crtc[CR_MAX_SCAN] >> 6 & 1u) << 9;
}

static inline bool vga_is_graphics(const struct vga *s)
{
    return s->gfx[GR_MISC] & GR_MISC_GRAPHICS || s->attr[AR_MODE] & AR_MODE_GRAPHICS;
}

/* Scan lines of one row of characters. */
static inline unsigned vga_row_lines(const struct vga *s)
{
    return ((s->crtc[CR_MAX_SCAN] & 0x1Fu) + 1) * (s->crtc[CR_MAX_SCAN] & CR_DOUBLE_SCAN ? 2 : 1);
}

static inline uint32_t vga_crtc_word(const struct vga *s, unsigned high)
{
    return (uint32_t)s->crtc[high] << 8 | s->crtc[high + 1];
}

/* What the Bochs display interface shows: its registers, cut to what fits. */
struct vga_mode {
    unsigned width, height; /* dots */
    unsigned bits;          /* per dot: 4 (planes), 8, 15, 16, 24, 32 */
    uint32_t row_bytes;     /* of memory from one row to the next; of each plane with 4 bits */
    uint32_t first;         /* byte of memory (of each plane) in the top left corner */
};

static inline bool vga_dispi_on(const struct vga *s)
{
    return s->dispi[DISPI_ENABLE] & DISPI_ENABLED;
}

struct vga_mode vga_dispi_mode(const struct vga *s);

/* vga_dispi.c: index and data. `memory_cleared`: switched on, and what it shows is to become black. */
uint32_t vga_dispi_read(const struct vga *s);
void vga_dispi_write(struct vga *s, uint16_t value, bool *memory_cleared);

/* vga_memory.c: a byte at VGA_OFF_WINDOW or VGA_OFF_FRAME and behind. */
uint8_t vga_memory_read(struct vga *s, const struct mem_own *m, uint32_t offset);
void vga_memory_write(struct vga *s, const struct mem_own *m, uint32_t offset, uint8_t byte);
/* Registers have changed: planes 0 and 1 go to where they belong now. */
void vga_settle(struct vga *s, const struct mem_own *m);
void vga_clear(const struct vga *s, const struct mem_own *m);

/* Byte of plane p at address a: wherever it is now. */
static inline uint32_t vga_plane_at(const struct vga *s, unsigned p, uint32_t a)
{
    a &= VGA_PLANE_BYTES - 1;
    return s->view && p < 2 ? VGA_VIEW + 2 * a + p : 4 * a + p;
}

#endif
