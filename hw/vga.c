/* vga.c - see vga.h: the registers.
 *
 * Model: CRT controller, attribute controller, sequencer, graphics controller and DAC are registers behind
 * index registers; each keeps the bits that the manual gives it. Bit 0 of the miscellaneous output register
 * chooses whether the CRT controller answers at 3D4h or at 3B4h. A read of input status 1 makes the attribute
 * controller's next write an index. The retrace bits of input status 1 follow from the time and the CRT
 * controller's registers alone: frames follow one another from virtual time zero on.
 *
 * The PCI function is that of Bochs' and QEMU's standard card (1234:1111), for which SeaVGABIOS and drivers
 * are made; what it has is published (QEMU, docs/specs/standard-vga.rst). Its expansion ROM is handed to
 * SeaBIOS by fw_cfg instead.
 *
 * NOT MODELLED: the vertical interrupt, light pen, monitor sense (a colour monitor is there), diagnostic bits
 * of input status 1, 3C3h, the registers in BAR 2, DDC. */
#include "hw/vga_internal.h"

#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define STATUS1_NOT_DISPLAY 0x01
#define STATUS1_V_RETRACE   0x08
#define STATUS0_SENSE       0x10
#define DISPI_ID_LAST       0xB0C5

/* Bits that a register has. */
static const uint8_t crtc_mask[25] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F,
                                      0xFF, 0x3F, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                                      0xFF, 0xFF, 0x7F, 0xFF, 0xFF, 0xEF, 0xFF};
static const uint8_t attr_mask[21] = {0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F,
                                      0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0xEF, 0xFF, 0x3F, 0x0F, 0x0F};
static const uint8_t seq_mask[5] = {0x03, 0x3D, 0x0F, 0x3F, 0x0E};
static const uint8_t gfx_mask[9] = {0x0F, 0x0F, 0x0F, 0x1F, 0x03, 0x7B, 0x0F, 0x0F, 0xFF};

/* Mode 3 as the BIOS of the PS/2 sets it. */
static const uint8_t crtc_mode3[25] = {0x5F, 0x4F, 0x50, 0x82, 0x55, 0x81, 0xBF, 0x1F, 0x00,
                                       0x4F, 0x0D, 0x0E, 0x00, 0x00, 0x00, 0x00, 0x9C, 0x8E,
                                       0x8F, 0x28, 0x1F, 0x96, 0xB9, 0xA3, 0xFF};
static const uint8_t attr_mode3[21] = {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3A,
                                       0x3B, 0x3C, 0x3D, 0x3E, 0x3F, 0x0C, 0x00, 0x0F, 0x08, 0x00};
static const uint8_t seq_mode3[5] = {0x03, 0x00, 0x03, 0x00, 0x02};
static const uint8_t gfx_mode3[9] = {0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0E, 0x00, 0xFF};
#define MISC_MODE3 0x67

/* --- the beam --- */

static uint64_t line_ns(const struct vga *s)
{
    uint64_t hz = s->misc >> 2 & 1 ? 28322000 : 25175000;
    uint64_t dots = (s->crtc[CR_H_TOTAL] + 5u) * (s->seq[SR_CLOCKING] & SR_DOTS_8 ? 8 : 9);

    return dots * (s->seq[SR_CLOCKING] & SR_HALF_CLOCK ? 2 : 1) * 1000000000 / hz;
}

uint64_t vga_frame_ns(const struct vga *s)
{
    return line_ns(s) * (vga_vertical(s, CR_V_TOTAL, 0, 5) + 2);
}

static uint8_t input_status_1(const struct vga *s, uint64_t now_ns)
{
    uint64_t one_line_ns = line_ns(s), in_frame = now_ns % vga_frame_ns(s);
    unsigned line = (unsigned)(in_frame / one_line_ns);
    uint64_t column = in_frame % one_line_ns * (s->crtc[CR_H_TOTAL] + 5u) / one_line_ns;
    unsigned retrace = vga_vertical(s, CR_V_RETRACE_START, 2, 7);
    /* The retrace ends at the first line whose number has these four bits. */
    unsigned retrace_lines = ((s->crtc[CR_V_RETRACE_END] - retrace - 1u) & 0xF) + 1;
    bool shown = line < vga_display_lines(s) && column <= s->crtc[CR_H_DISPLAY_END];
    bool in_retrace = line >= retrace && line < retrace + retrace_lines;

    return (uint8_t)((shown ? 0 : STATUS1_NOT_DISPLAY) | (in_retrace ? STATUS1_V_RETRACE : 0));
}

/* --- registers --- */

static void write_indexed(uint8_t *reg, const uint8_t *mask, unsigned count, unsigned index, uint8_t v)
{
    if (index < count)
        reg[index] = v & mask[index];
}

static uint8_t indexed(const uint8_t *reg, unsigned count, unsigned index)
{
    return index < count ? reg[index] : 0;
}

static void write_crtc(struct vga *s, uint8_t v)
{
    if (s->crtc[CR_V_RETRACE_END] & CR_PROTECT && s->crtc_index <= CR_OVERFLOW) {
        if (s->crtc_index != CR_OVERFLOW)
            return;
        v = (uint8_t)((s->crtc[CR_OVERFLOW] & ~CR_UNPROTECTED) | (v & CR_UNPROTECTED));
    }
    write_indexed(s->crtc, crtc_mask, COUNT(s->crtc), s->crtc_index, v);
}

static void write_attr(struct vga *s, uint8_t v)
{
    if (s->attr_data)
        write_indexed(s->attr, attr_mask, COUNT(s->attr), s->attr_index & 0x1F, v);
    else
        s->attr_index = v & 0x3F;
    s->attr_data ^= 1;
}

static void dac_next(struct vga *s)
{
    if (++s->dac_component == 3) {
        s->dac_component = 0;
        s->dac_index++;
    }
}

static void write_dac(struct vga *s, uint8_t v)
{
    s->dac[s->dac_index * 3 + s->dac_component] = s->dispi[DISPI_ENABLE] & DISPI_8BIT_DAC ? v : v & 0x3F;
    dac_next(s);
}

static uint8_t read_dac(struct vga *s)
{
    uint8_t v = s->dac[s->dac_index * 3 + s->dac_component];

    dac_next(s);
    return v;
}

static void set_dac_index(struct vga *s, uint8_t v, uint8_t state)
{
    s->dac_index = v;
    s->dac_component = 0;
    s->dac_state = state;
}

/* The data register is at 1CFh, and at 1D0h for who writes words at even ports. */
static void write_dispi(struct vga *s, uint32_t offset, unsigned size, uint32_t value, bool *clears)
{
    if (size != 2 || offset > VGA_OFF_DISPI + 2)
        return;
    if (offset == VGA_OFF_DISPI)
        s->dispi_index = (uint16_t)value;
    else
        vga_dispi_write(s, (uint16_t)value, clears);
}

static uint32_t read_dispi(const struct vga *s, uint32_t offset, unsigned size)
{
    if (size != 2 || offset > VGA_OFF_DISPI + 2)
        return UINT32_MAX;
    return offset == VGA_OFF_DISPI ? s->dispi_index : vga_dispi_read(s);
}

/* What of the two places 3Bxh and 3Dxh answers, with the same register numbers: as offset of 3Dxh. False:
 * the register is at the other place now. */
static bool common_offset(const struct vga *s, uint32_t *offset)
{
    bool colour = *offset >= VGA_OFF(0x3D0);

    if (*offset >= VGA_OFF(0x3C0) && !colour)
        return true;
    if (colour != (s->misc & MISC_COLOUR))
        return false;
    if (!colour)
        *offset += 0x20;
    return true;
}

/* `offset` as common_offset has it. */
static uint32_t read_byte(struct vga *s, uint32_t offset, uint64_t now_ns)
{
    switch (offset) {
    case VGA_OFF(0x3C0):
        return s->attr_index;
    case VGA_OFF(0x3C1):
        return indexed(s->attr, COUNT(s->attr), s->attr_index & 0x1F);
    case VGA_OFF(0x3C2):
        return STATUS0_SENSE;
    case VGA_OFF(0x3C4):
        return s->seq_index;
    case VGA_OFF(0x3C5):
        return indexed(s->seq, COUNT(s->seq), s->seq_index);
    case VGA_OFF(0x3C6):
        return s->dac_mask;
    case VGA_OFF(0x3C7):
        return s->dac_state;
    case VGA_OFF(0x3C8):
        return s->dac_index;
    case VGA_OFF(0x3C9):
        return read_dac(s);
    case VGA_OFF(0x3CA):
        return s->feature;
    case VGA_OFF(0x3CC):
        return s->misc;
    case VGA_OFF(0x3CE):
        return s->gfx_index;
    case VGA_OFF(0x3CF):
        return indexed(s->gfx, COUNT(s->gfx), s->gfx_index);
    case VGA_OFF(0x3D4):
        return s->crtc_index;
    case VGA_OFF(0x3D5):
        return indexed(s->crtc, COUNT(s->crtc), s->crtc_index);
    case VGA_OFF(0x3DA):
        s->attr_data = 0;
        return input_status_1(s, now_ns);
    default:
        return UINT32_MAX;
    }
}

static uint32_t read_reg(void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    struct vga *s = state;

    if (offset >= VGA_OFF_DISPI)
        return read_dispi(s, offset, size);
    return common_offset(s, &offset) ? read_byte(s, offset, now_ns) : UINT32_MAX;
}

static void write_byte(struct vga *s, uint32_t offset, uint8_t v)
{
    switch (offset) {
    case VGA_OFF(0x3C0):
        write_attr(s, v);
        break;
    case VGA_OFF(0x3C2):
        s->misc = v & 0xEF;
        break;
    case VGA_OFF(0x3C4):
        s->seq_index = v & 0x07;
        break;
    case VGA_OFF(0x3C5):
        write_indexed(s->seq, seq_mask, COUNT(s->seq), s->seq_index, v);
        break;
    case VGA_OFF(0x3C6):
        s->dac_mask = v;
        break;
    case VGA_OFF(0x3C7):
        set_dac_index(s, v, 3);
        break;
    case VGA_OFF(0x3C8):
        set_dac_index(s, v, 0);
        break;
    case VGA_OFF(0x3C9):
        write_dac(s, v);
        break;
    case VGA_OFF(0x3CE):
        s->gfx_index = v & 0x0F;
        break;
    case VGA_OFF(0x3CF):
        write_indexed(s->gfx, gfx_mask, COUNT(s->gfx), s->gfx_index, v);
        break;
    case VGA_OFF(0x3D4):
        s->crtc_index = v & 0x1F;
        break;
    case VGA_OFF(0x3D5):
        write_crtc(s, v);
        break;
    case VGA_OFF(0x3DA):
        s->feature = v & 0x03;
        break;
    default:
        break;
    }
}

static void write_any(struct vga *s, uint32_t offset, unsigned size, uint32_t value, bool *clears)
{
    if (offset >= VGA_OFF_DISPI)
        write_dispi(s, offset, size, value, clears);
    else if (common_offset(s, &offset))
        write_byte(s, offset, (uint8_t)value);
}

static void write_reg(void *s, uint32_t offset, unsigned size, uint32_t value, uint64_t now_ns)
{
    bool clears = false;

    (void)now_ns;
    write_any(s, offset, size, value, &clears);
}

/* --- with memory --- */

static uint32_t read_memory(void *s, const struct mem_own *memory, uint32_t offset, unsigned size,
                            uint64_t now_ns)
{
    uint32_t v = 0;

    if (offset < VGA_OFF_WINDOW)
        return read_reg(s, offset, size, now_ns);
    for (unsigned i = 0; i < size; i++)
        v |= (uint32_t)vga_memory_read(s, memory, offset + i) << 8 * i;
    return v;
}

static bool write_memory(void *s, const struct mem_own *memory, uint32_t offset, unsigned size,
                         uint32_t value, uint64_t now_ns)
{
    bool clears = false;

    (void)now_ns;
    for (unsigned i = 0; offset >= VGA_OFF_WINDOW && i < size; i++)
        vga_memory_write(s, memory, offset + i, (uint8_t)(value >> 8 * i));
    if (offset >= VGA_OFF_WINDOW)
        return false;
    write_any(s, offset, size, value, &clears);
    vga_settle(s, memory);
    if (clears)
        vga_clear(s, memory);
    return true;
}

static void settle_memory(void *s, const struct mem_own *memory)
{
    vga_settle(s, memory);
}

/* --- reset --- */

static void reset(void *state, uint64_t now_ns)
{
    struct vga *s = state;

    (void)now_ns;
    memset(s, 0, sizeof(*s));
    s->dispi[DISPI_ID] = DISPI_ID_LAST;
}

/* The colours of an EGA: bits 0 to 2 of a number are blue, green and red, bits 3 to 5 half of each. */
static void set_ega_colours(struct vga *s)
{
    for (unsigned n = 0; n < 64; n++)
        for (unsigned c = 0; c < 3; c++)
            s->dac[3 * n + c] = (uint8_t)((n >> (2 - c) & 1) * 0x2A + (n >> (5 - c) & 1) * 0x15);
}

static void reset_to_mode3(void *state, uint64_t now_ns)
{
    struct vga *s = state;

    reset(state, now_ns);
    memcpy(s->crtc, crtc_mode3, sizeof(s->crtc));
    memcpy(s->attr, attr_mode3, sizeof(s->attr));
    memcpy(s->seq, seq_mode3, sizeof(s->seq));
    memcpy(s->gfx, gfx_mode3, sizeof(s->gfx));
    s->attr_index = AR_PALETTE_CONNECTED;
    s->misc = MISC_MODE3;
    s->dac_mask = 0xFF;
    set_ega_colours(s);
}

void vga_reset_pin(const struct chip_class *chip, struct vga *s, uint64_t now_ns)
{
    uint8_t view = s->view;

    chip->reset(s, now_ns);
    s->view = view;
}

/* --- the PCI function --- */

static const struct pci_reg pci_regs[] = {
    {0x00, 0x34, 0},    {0x01, 0x12, 0}, {0x02, 0x11, 0}, {0x03, 0x11, 0}, /* 1234:1111 */
    {0x04, 0x00, 0x07},                                                    /* I/O, memory, master */
    {0x08, 0x02, 0},    {0x0B, 0x03, 0},                                   /* revision; class 03 00 00 */
    {0x2C, 0xF4, 0},    {0x2D, 0x1A, 0}, {0x2E, 0x00, 0}, {0x2F, 0x11, 0}, /* subsystem 1AF4:1100 */
};

const struct pci_function vga_function = {.devfn = PCI_DEVFN(2, 0),
                                          .regs = pci_regs,
                                          .nregs = sizeof(pci_regs) / sizeof(pci_regs[0]),
                                          .bar = {[VGA_BAR] = {.bytes = VGA_FRAME_BYTES}}};

static const struct field fields[] = {
    FIELD_ARRAY(struct vga, dispi),
    FIELD(struct vga, dispi_index),
    FIELD(struct vga, latch),
    FIELD_ARRAY(struct vga, crtc),
    FIELD_MAX(struct vga, crtc_index, 0x1F),
    FIELD_ARRAY(struct vga, attr),
    FIELD_MAX(struct vga, attr_index, 0x3F),
    FIELD_MAX(struct vga, attr_data, 1),
    FIELD_ARRAY(struct vga, seq),
    FIELD_MAX(struct vga, seq_index, 7),
    FIELD_ARRAY(struct vga, gfx),
    FIELD_MAX(struct vga, gfx_index, 15),
    FIELD(struct vga, misc),
    FIELD(struct vga, feature),
    FIELD(struct vga, dac_mask),
    FIELD(struct vga, dac_index),
    FIELD_MAX(struct vga, dac_component, 2),
    FIELD(struct vga, dac_state),
    FIELD_MAX(struct vga, view, 1),
    FIELD_ARRAY(struct vga, dac),
};

#define CLASS(reset_fn)                                                                                      \
    {                                                                                                        \
        .name = "vga", .state_bytes = sizeof(struct vga), .fields = fields,                                  \
        .nfields = sizeof fields / sizeof fields[0], .reset = (reset_fn), .read = read_reg,                  \
        .write = write_reg, .read_memory = read_memory, .write_memory = write_memory,                        \
        .settle_memory = settle_memory                                                                       \
    }

const struct chip_class vga_class = CLASS(reset_to_mode3);
const struct chip_class vga_firmware_class = CLASS(reset);
