/* vga_dispi.c - the Bochs display interface (VBE extensions): one index register and a data register behind
 * it.
 *
 * Facts from its published description (Bochs, vbe_dispi): the numbers of the registers, version B0C0h to
 * B0C5h, bits of ENABLE. Switching it on takes the resolution, shows from the top left corner of memory, and
 * clears what is shown unless told not to. Registers hold what is written; what is shown is cut to what is
 * possible (vga_dispi_mode). With GETCAPS the registers of the resolution read as the most that there is. */
#include "hw/vga_internal.h"

#define ID_FIRST   0xB0C0
#define ID_LAST    0xB0C5
#define WIDTH_MAX  2560u
#define HEIGHT_MAX 1600u
#define BITS_MAX   32

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Whole bytes of planes. A width of none is the least that there is. */
static unsigned whole(unsigned dots, unsigned max)
{
    dots = least(dots, max) & ~7u;
    return dots ? dots : 8;
}

static unsigned bits_of(const struct vga *s)
{
    switch (s->dispi[DISPI_BPP]) {
    case 4:
    case 15:
    case 16:
    case 24:
    case 32:
        return s->dispi[DISPI_BPP];
    default:
        return 8;
    }
}

/* Bytes of a row of so many dots; of each plane with 4 bits. */
static uint32_t row_bytes_of(unsigned dots, unsigned bits)
{
    return bits == 4 ? dots / 8 : dots * ((bits + 7) / 8);
}

static unsigned virtual_width(const struct vga *s, unsigned width)
{
    unsigned dots = s->dispi[DISPI_VIRT_WIDTH] & ~7u;

    return dots > width ? dots : width;
}

/* Bytes of memory that a row uses, all planes together. */
static uint32_t row_memory(const struct vga_mode *m)
{
    return m->bits == 4 ? 4 * m->row_bytes : m->row_bytes;
}

struct vga_mode vga_dispi_mode(const struct vga *s)
{
    struct vga_mode m = {.width = whole(s->dispi[DISPI_XRES], WIDTH_MAX), .bits = bits_of(s)};
    unsigned dots = virtual_width(s, m.width), x = least(s->dispi[DISPI_X_OFFSET], dots - m.width);

    m.row_bytes = row_bytes_of(dots, m.bits);
    unsigned rows = VGA_FRAME_BYTES / row_memory(&m);
    m.height = least(s->dispi[DISPI_YRES] ? s->dispi[DISPI_YRES] : 1, least(HEIGHT_MAX, rows));
    m.first = least(s->dispi[DISPI_Y_OFFSET], rows - m.height) * m.row_bytes + row_bytes_of(x, m.bits);
    return m;
}

static unsigned virtual_height(const struct vga *s)
{
    struct vga_mode m = vga_dispi_mode(s);

    return least(VGA_FRAME_BYTES / row_memory(&m), UINT16_MAX);
}

static uint32_t capability(const struct vga *s)
{
    switch (s->dispi_index) {
    case DISPI_XRES:
        return WIDTH_MAX;
    case DISPI_YRES:
        return HEIGHT_MAX;
    default:
        return BITS_MAX;
    }
}

uint32_t vga_dispi_read(const struct vga *s)
{
    unsigned n = s->dispi_index;

    if (n >= VGA_DISPI_REGS)
        return 0;
    if (n >= DISPI_XRES && n <= DISPI_BPP && s->dispi[DISPI_ENABLE] & DISPI_GETCAPS)
        return capability(s);
    if (n == DISPI_VIRT_WIDTH && vga_dispi_on(s))
        return virtual_width(s, vga_dispi_mode(s).width);
    if (n == DISPI_VIRT_HEIGHT)
        return virtual_height(s);
    return n == DISPI_MEMORY_64K ? VGA_FRAME_BYTES >> 16 : s->dispi[n];
}

static void write_enable(struct vga *s, uint16_t value, bool *memory_cleared)
{
    bool was_on = vga_dispi_on(s);

    s->dispi[DISPI_ENABLE] = value & DISPI_ENABLE_BITS;
    if (vga_dispi_on(s) && !was_on) {
        s->dispi[DISPI_VIRT_WIDTH] = s->dispi[DISPI_XRES];
        s->dispi[DISPI_X_OFFSET] = s->dispi[DISPI_Y_OFFSET] = 0;
        *memory_cleared = !(value & DISPI_NOCLEARMEM);
    } else if (!vga_dispi_on(s)) {
        s->dispi[DISPI_BANK] = 0;
    }
}

void vga_dispi_write(struct vga *s, uint16_t value, bool *memory_cleared)
{
    *memory_cleared = false;
    switch (s->dispi_index) {
    case DISPI_ID:
        if (value >= ID_FIRST && value <= ID_LAST)
            s->dispi[DISPI_ID] = value;
        break;
    case DISPI_ENABLE:
        write_enable(s, value, memory_cleared);
        break;
    case DISPI_VIRT_HEIGHT: /* follows from the rest */
    case DISPI_MEMORY_64K:
        break;
    default:
        if (s->dispi_index < VGA_DISPI_REGS)
            s->dispi[s->dispi_index] = value;
        break;
    }
}
