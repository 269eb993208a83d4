/* test_vga.c - registers and their masks, retrace by time, where a text screen is. */
#include "hw/vga.h"
#include "hw_test.h"

static const struct chip_class *const C = &vga_class;

static uint8_t in(struct vga *s, uint16_t port, uint64_t ns)
{
    return (uint8_t)C->read(s, VGA_OFF(port), 1, ns);
}

static void out(struct vga *s, uint16_t port, uint8_t v)
{
    C->write(s, VGA_OFF(port), 1, v, 0);
}

static uint8_t indexed(struct vga *s, uint16_t port, uint8_t index)
{
    out(s, port, index);
    return in(s, port + 1, 0);
}

static void set_indexed(struct vga *s, uint16_t port, uint8_t index, uint8_t v)
{
    out(s, port, index);
    out(s, port + 1, v);
}

Test(vga, fields)
{
    chip_check_fields(C);
    chip_check_replay(C, VGA_OFF_DISPI + 3, 1);
    chip_check_replay(&vga_firmware_class, VGA_OFF_DISPI + 3, 2);
}

Test(vga, registers_keep_the_bits_they_have)
{
    static const struct {
        uint16_t port;
        uint8_t index, mask;
    } regs[] = {
        {0x3C4, 0, 0x03},  {0x3C4, 1, 0x3D},  {0x3C4, 2, 0x0F},    {0x3C4, 3, 0x3F},    {0x3C4, 4, 0x0E},
        {0x3C4, 5, 0},     {0x3CE, 0, 0x0F},  {0x3CE, 3, 0x1F},    {0x3CE, 4, 0x03},    {0x3CE, 5, 0x7B},
        {0x3CE, 6, 0x0F},  {0x3CE, 8, 0xFF},  {0x3CE, 9, 0},       {0x3D4, 0, 0xFF},    {0x3D4, 8, 0x7F},
        {0x3D4, 10, 0x3F}, {0x3D4, 11, 0x7F}, {0x3D4, 0x14, 0x7F}, {0x3D4, 0x17, 0xEF}, {0x3D4, 0x18, 0xFF},
        {0x3D4, 0x19, 0},
    };
    struct vga s;

    C->reset(&s, 0);
    set_indexed(&s, 0x3D4, 0x11, 0); /* unprotected */
    for (size_t i = 0; i < sizeof(regs) / sizeof(regs[0]); i++) {
        set_indexed(&s, regs[i].port, regs[i].index, 0xFF);
        cr_assert_eq(indexed(&s, regs[i].port, regs[i].index), regs[i].mask, "%x/%x", regs[i].port,
                     regs[i].index);
        set_indexed(&s, regs[i].port, regs[i].index, 0);
        cr_assert_eq(indexed(&s, regs[i].port, regs[i].index), 0);
    }
}

/* Bit 7 of register 11h protects registers 0 to 7, but for bit 4 of register 7 (line compare). */
Test(vga, crtc_protection)
{
    struct vga s;

    C->reset(&s, 0);
    cr_assert_eq(indexed(&s, 0x3D4, 0x11) & 0x80, 0x80);
    set_indexed(&s, 0x3D4, 0, 0x12);
    cr_assert_eq(indexed(&s, 0x3D4, 0), 0x5F);
    set_indexed(&s, 0x3D4, 7, 0xE0);
    cr_assert_eq(indexed(&s, 0x3D4, 7), 0x0F);
    set_indexed(&s, 0x3D4, 0x0F, 0x12);
    cr_assert_eq(indexed(&s, 0x3D4, 0x0F), 0x12);
    set_indexed(&s, 0x3D4, 0x11, 0);
    set_indexed(&s, 0x3D4, 0, 0x12);
    cr_assert_eq(indexed(&s, 0x3D4, 0), 0x12);
}

Test(vga, miscellaneous_output_moves_the_crtc)
{
    struct vga s;

    C->reset(&s, 0);
    cr_assert_eq(in(&s, 0x3CC, 0), 0x67);
    cr_assert_eq(in(&s, 0x3B4, 0), 0xFF);
    out(&s, 0x3B4, 5); /* goes nowhere */
    out(&s, 0x3D4, 7);
    out(&s, 0x3C2, 0x66);
    cr_assert_eq(in(&s, 0x3D4, 0), 0xFF);
    cr_assert_eq(in(&s, 0x3B4, 0), 7);
    cr_assert_eq(in(&s, 0x3B5, 0), 0x1F);
    out(&s, 0x3BA, 3);
    cr_assert_eq(in(&s, 0x3CA, 0), 3);
}

Test(vga, attribute_flip_flop)
{
    struct vga s;

    C->reset(&s, 0);
    in(&s, 0x3DA, 0);
    out(&s, 0x3C0, 0x31);
    out(&s, 0x3C0, 0xA5); /* overscan */
    cr_assert_eq(in(&s, 0x3C0, 0), 0x31);
    cr_assert_eq(in(&s, 0x3C1, 0), 0xA5);
    out(&s, 0x3C0, 0x12);
    in(&s, 0x3DA, 0);
    out(&s, 0x3C0, 0x10); /* an index again */
    cr_assert_eq(in(&s, 0x3C1, 0), 0x0C);
    out(&s, 0x3C0, 0xFF);
    cr_assert_eq(in(&s, 0x3C1, 0), 0xEF);
}

Test(vga, dac)
{
    struct vga s;

    C->reset(&s, 0);
    out(&s, 0x3C8, 255);
    for (unsigned i = 0; i < 6; i++)
        out(&s, 0x3C9, (uint8_t)(0xC1 + i)); /* on to colour 0 */
    cr_assert_eq(in(&s, 0x3C7, 0), 0);
    cr_assert_eq(in(&s, 0x3C8, 0), 1);
    out(&s, 0x3C7, 255);
    cr_assert_eq(in(&s, 0x3C7, 0), 3);
    for (unsigned i = 0; i < 6; i++)
        cr_assert_eq(in(&s, 0x3C9, 0), 1 + i);
    out(&s, 0x3C6, 0x5A);
    cr_assert_eq(in(&s, 0x3C6, 0), 0x5A);
}

/* Mode 3: 900 dots of 28.322 MHz a line, 449 lines, 400 shown, retrace in lines 412 and 413. */
Test(vga, retrace)
{
    const uint64_t line = 31777, frame = 449 * line;
    struct vga s;

    C->reset(&s, 0);
    for (unsigned n = 0; n < 3; n++) {
        uint64_t at = n * frame * 1000;
        cr_assert_eq(in(&s, 0x3DA, at), 0);
        cr_assert_eq(in(&s, 0x3DA, at + line * 79 / 100), 0); /* column 79 is shown */
        cr_assert_eq(in(&s, 0x3DA, at + line * 81 / 100), 1);
        cr_assert_eq(in(&s, 0x3DA, at + 399 * line), 0);
        cr_assert_eq(in(&s, 0x3DA, at + 400 * line), 1);
        cr_assert_eq(in(&s, 0x3DA, at + 412 * line - 1), 1);
        cr_assert_eq(in(&s, 0x3DA, at + 412 * line), 9);
        cr_assert_eq(in(&s, 0x3DA, at + 414 * line - 1), 9);
        cr_assert_eq(in(&s, 0x3DA, at + 414 * line), 1);
        cr_assert_eq(in(&s, 0x3DA, at + frame - 1), 1);
    }
}

Test(vga, text_screen)
{
    struct vga s;
    struct vga_text t;

    C->reset(&s, 0);
    cr_assert(vga_text_screen(&s, &t));
    cr_assert_eq(t.columns, 80);
    cr_assert_eq(t.rows, 25);
    cr_assert(t.cursor_on && !t.dark);
    cr_assert_eq(vga_text_at(&t, 24, 79), 1999);
    set_indexed(&s, 0x3D4, 0x0C, 0xFF); /* scrolled to near the end of the planes: it wraps */
    set_indexed(&s, 0x3D4, 0x0D, 0xFF);
    set_indexed(&s, 0x3D4, 0x0E, 0);
    set_indexed(&s, 0x3D4, 0x0F, 1);
    cr_assert(vga_text_screen(&s, &t));
    cr_assert_eq(vga_text_at(&t, 0, 0), 0xFFFF);
    cr_assert_eq(vga_text_at(&t, 0, 1), 0);
    cr_assert_eq(vga_text_at(&t, 0, 2), t.cursor);
    set_indexed(&s, 0x3D4, 0x0A, 0x20);
    set_indexed(&s, 0x3C4, 1, 0x20);
    cr_assert(vga_text_screen(&s, &t));
    cr_assert(!t.cursor_on && t.dark);
}

/* Line compare: from the line behind it on the screen shows what lies at cell 0. */
Test(vga, split_screen)
{
    struct vga s;
    struct vga_text t;

    C->reset(&s, 0);
    set_indexed(&s, 0x3D4, 0x0C, 0x10);
    set_indexed(&s, 0x3D4, 0x11, 0);
    set_indexed(&s, 0x3D4, 7, 0x0F);
    set_indexed(&s, 0x3D4, 9, 0x0F);
    set_indexed(&s, 0x3D4, 0x18, 0x3F); /* four rows of 16 lines */
    cr_assert(vga_text_screen(&s, &t));
    cr_assert_eq(vga_text_at(&t, 3, 0), 0x1000 + 3 * 80);
    cr_assert_eq(vga_text_at(&t, 4, 0), 0);
    cr_assert_eq(vga_text_at(&t, 5, 2), 82);
}

Test(vga, graphics_is_no_text)
{
    struct vga s;
    struct vga_text t;

    C->reset(&s, 0);
    set_indexed(&s, 0x3CE, 6, 0x05);
    set_indexed(&s, 0x3C4, 1, 0x01);
    cr_assert_not(vga_text_screen(&s, &t));
    cr_assert_eq(t.columns, 640);
    cr_assert_eq(t.rows, 400);
    vga_firmware_class.reset(&s, 0); /* any registers: nothing is divided by zero */
    vga_text_screen(&s, &t);
    C->read(&s, VGA_OFF(0x3BA), 1, UINT64_MAX / 2);
}

Test(vga, bochs_interface_has_a_version_and_memory)
{
    struct vga s;

    C->reset(&s, 0);
    cr_assert_eq(C->read(&s, VGA_OFF_DISPI + 1, 2, 0), 0xB0C5);
    C->write(&s, VGA_OFF_DISPI + 1, 2, 0xB0C0, 0);
    cr_assert_eq(C->read(&s, VGA_OFF_DISPI + 1, 2, 0), 0xB0C0);
    C->write(&s, VGA_OFF_DISPI + 1, 2, 0xB0C6, 0);
    cr_assert_eq(C->read(&s, VGA_OFF_DISPI + 1, 2, 0), 0xB0C0);
    C->write(&s, VGA_OFF_DISPI, 2, 10, 0);
    cr_assert_eq(C->read(&s, VGA_OFF_DISPI, 2, 0), 10);
    cr_assert_eq(C->read(&s, VGA_OFF_DISPI + 1, 2, 0), VGA_FRAME_BYTES >> 16);
}
