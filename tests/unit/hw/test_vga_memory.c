/* test_vga_memory.c - planes: write and read modes, chaining, the view, the Bochs interface; and what is
 * drawn.
 *
 * Expected values are computed here from the IBM PS/2 manual's description of the graphics controller. */
#include "hw/vga_draw.h"
#include "mem/own.h"
#include "mem/remap.h"

#include <criterion/criterion.h>

static const struct chip_class *const C = &vga_class;
static struct physmem pm;
static struct mem_own own;
static struct vga s;

static void out(uint16_t port, uint8_t v)
{
    C->write_memory(&s, &own, VGA_OFF(port), 1, v, 0);
}

static void set(uint16_t port, uint8_t index, uint8_t v)
{
    out(port, index);
    out(port + 1, v);
}

static void dispi(uint16_t index, uint16_t v)
{
    C->write_memory(&s, &own, VGA_OFF_DISPI, 2, index, 0);
    C->write_memory(&s, &own, VGA_OFF_DISPI + 1, 2, v, 0);
}

static void poke(uint32_t a, uint8_t v)
{
    C->write_memory(&s, &own, VGA_OFF_WINDOW + a, 1, v, 0);
}

static uint8_t peek(uint32_t a)
{
    return (uint8_t)C->read_memory(&s, &own, VGA_OFF_WINDOW + a, 1, 0);
}

static uint8_t plane(unsigned p, uint32_t a)
{
    return *mem_own_at(&own, 4 * a + p);
}

static void put_planes(uint32_t a, uint8_t p0, uint8_t p1, uint8_t p2, uint8_t p3)
{
    const uint8_t v[4] = {p0, p1, p2, p3};
    mem_own_put(&own, 4 * a, v, 4);
}

static void expect_planes(uint32_t a, uint8_t p0, uint8_t p1, uint8_t p2, uint8_t p3)
{
    const uint8_t want[4] = {p0, p1, p2, p3};
    for (unsigned p = 0; p < 4; p++)
        cr_assert_eq(plane(p, a), want[p], "plane %u at %x: %x, not %x", p, a, plane(p, a), want[p]);
}

static void begin(void)
{
    cr_assert_eq(physmem_init(&pm, RAM_BYTES_MIN), 0);
    mem_addr_t first = physmem_add(&pm, MEM_VRAM, VGA_MEMORY_BYTES);
    own = (struct mem_own){&pm, first, VGA_MEMORY_BYTES};
    C->reset(&s, 0);
    C->settle_memory(&s, &own);
}

static void end(void)
{
    physmem_free(&pm);
}

/* As for mode 12h: no chaining, A0000 of 64 KiB. */
static void planar(void)
{
    begin();
    set(0x3C4, 2, 0x0F);
    set(0x3C4, 4, 0x06);
    set(0x3CE, 5, 0x00);
    set(0x3CE, 6, 0x05);
    cr_assert_not(s.view);
    cr_assert_eq(vga_aperture(&s), mem_aperture(MEM_APERTURE_BUS, 0, 2, 0));
}

TestSuite(vga_memory, .fini = end);

Test(vga_memory, write_mode_0, .init = planar)
{
    poke(5, 0xA5);
    expect_planes(5, 0xA5, 0xA5, 0xA5, 0xA5);
    set(0x3CE, 3, 3); /* rotated right by 3 */
    poke(6, 0xA5);
    expect_planes(6, 0xB4, 0xB4, 0xB4, 0xB4);
    set(0x3CE, 3, 0);
    set(0x3CE, 0, 0x05); /* set/reset 0101 in planes 0 and 1: 1 and 0 */
    set(0x3CE, 1, 0x03);
    poke(7, 0x3C);
    expect_planes(7, 0xFF, 0x00, 0x3C, 0x3C);
}

Test(vga_memory, map_mask_and_bit_mask, .init = planar)
{
    put_planes(9, 0x11, 0x22, 0x44, 0x88);
    set(0x3C4, 2, 0x0A);
    poke(9, 0xFF);
    expect_planes(9, 0x11, 0xFF, 0x44, 0xFF);
    set(0x3C4, 2, 0); /* none */
    poke(9, 0x55);
    expect_planes(9, 0x11, 0xFF, 0x44, 0xFF);
    set(0x3C4, 2, 0x0F);
    set(0x3CE, 8, 0xF0);
    put_planes(10, 0x11, 0x22, 0x44, 0x88);
    peek(10); /* fills the latches */
    poke(10, 0xA5);
    expect_planes(10, 0xA1, 0xA2, 0xA4, 0xA8);
}

Test(vga_memory, logical_functions, .init = planar)
{
    static const uint8_t want[4][4] = {{0x0F, 0x0F, 0x0F, 0x0F},
                                       {0x01, 0x02, 0x04, 0x08},
                                       {0x1F, 0x2F, 0x4F, 0x8F},
                                       {0x1E, 0x2D, 0x4B, 0x87}};
    for (unsigned f = 0; f < 4; f++) {
        put_planes(3, 0x11, 0x22, 0x44, 0x88);
        set(0x3CE, 3, (uint8_t)(f << 3));
        peek(3);
        poke(3, 0x0F);
        expect_planes(3, want[f][0], want[f][1], want[f][2], want[f][3]);
    }
}

Test(vga_memory, write_modes_1_2_3, .init = planar)
{
    put_planes(1, 0x11, 0x22, 0x44, 0x88);
    peek(1);
    set(0x3CE, 5, 1);
    poke(2, 0xFF); /* the latches, whatever is written */
    expect_planes(2, 0x11, 0x22, 0x44, 0x88);
    set(0x3CE, 5, 2);
    set(0x3CE, 8, 0x0F);
    poke(4, 0x06); /* colour 6 under the bit mask */
    expect_planes(4, 0x10, 0x2F, 0x4F, 0x80);
    set(0x3CE, 5, 3);
    set(0x3CE, 0, 0x09);
    set(0x3CE, 8, 0x3C);
    poke(8, 0xF0); /* the written byte masks, with the bit mask: 30 */
    expect_planes(8, 0x31, 0x02, 0x44, 0xB8);
}

Test(vga_memory, read_modes, .init = planar)
{
    put_planes(1, 0x0F, 0x33, 0x55, 0xFF);
    for (unsigned p = 0; p < 4; p++) {
        set(0x3CE, 4, (uint8_t)p);
        cr_assert_eq(peek(1), plane(p, 1));
    }
    set(0x3CE, 5, 8);
    set(0x3CE, 2, 0x0B); /* colour 1011: planes 0, 1 and 3 set, plane 2 not */
    set(0x3CE, 7, 0x0F);
    cr_assert_eq(peek(1), 0x0F & 0x33 & (uint8_t)~0x55 & 0xFF);
    set(0x3CE, 7, 0x03); /* two planes count */
    cr_assert_eq(peek(1), 0x03);
    set(0x3CE, 7, 0x00);
    cr_assert_eq(peek(1), 0xFF);
}

/* Even addresses are for planes 0 and 2, odd ones for 1 and 3, on writes as on reads. */
Test(vga_memory, odd_even, .init = planar)
{
    set(0x3C4, 4, 0x02);
    set(0x3CE, 5, 0x10);
    set(0x3CE, 6, 0x07);
    poke(2, 0xAA);
    poke(3, 0xBB);
    expect_planes(1, 0xAA, 0xBB, 0xAA, 0xBB);
    set(0x3C4, 2, 0x03 | 0x08);
    poke(4, 0xCC);
    poke(5, 0xDD);
    expect_planes(2, 0xCC, 0xDD, 0x00, 0xDD);
    put_planes(3, 1, 2, 3, 4);
    cr_assert(peek(6) == 1 && peek(7) == 2);
    set(0x3CE, 4, 2);
    cr_assert(peek(6) == 3 && peek(7) == 4);
}

Test(vga_memory, chain_4, .init = planar)
{
    set(0x3C4, 4, 0x0E);
    cr_assert_eq(vga_aperture(&s), mem_aperture(MEM_APERTURE_MEMORY, 0, 2, 0));
    set(0x3C4, 2, 0x07); /* not plain memory any more */
    cr_assert_eq(vga_aperture(&s), mem_aperture(MEM_APERTURE_BUS, 0, 2, 0));
    for (unsigned i = 0; i < 4; i++)
        poke(8 + i, (uint8_t)(0x10 + i));
    expect_planes(2, 0x10, 0x11, 0x12, 0);
    cr_assert_eq(peek(9), 0x11);
}

/* Text lies in the view while it is plain memory; a change of mode takes it along. The frame buffer sees one
 * truth all the time. */
Test(vga_memory, view, .init = begin)
{
    const uint8_t text[4] = {'H', 0x07, 'i', 0x1F};

    cr_assert(s.view);
    cr_assert_eq(vga_aperture(&s), mem_aperture(MEM_APERTURE_MEMORY | MEM_APERTURE_APART, 3, 1, VGA_VIEW));
    mem_own_put(&own, VGA_VIEW, text, 4);
    cr_assert_eq(C->read_memory(&s, &own, VGA_OFF_FRAME, 4, 0), 0x0748);
    C->write_memory(&s, &own, VGA_OFF_FRAME + 4, 1, 'j', 0);
    cr_assert_eq(*mem_own_at(&own, VGA_VIEW + 2), 'j');
    set(0x3C4, 4, 0x06);
    cr_assert_not(s.view);
    expect_planes(0, 'H', 0x07, 0, 0);
    expect_planes(1, 'j', 0x1F, 0, 0);
    put_planes(1, 'k', 0x2E, 0x99, 0);
    set(0x3C4, 4, 0x02);
    uint8_t c[2];
    vga_text_cell(&s, mem_own_at(&own, 0), 1, c);
    cr_assert(c[0] == 'k' && c[1] == 0x2E && s.view);
}

Test(vga_memory, bochs_interface, .init = begin)
{
    const uint8_t old = 0x77;
    unsigned width, height;
    uint32_t row[1280];

    mem_own_put(&own, 1000, &old, 1);
    dispi(1, 1280);
    dispi(2, 1024);
    dispi(3, 32);
    dispi(4, 0x41);
    cr_assert(vga_picture_size(&s, &width, &height) && width == 1280 && height == 1024);
    cr_assert_eq(*mem_own_at(&own, 1000), 0);
    C->write_memory(&s, &own, VGA_OFF_FRAME + 4 * (1280 * 1023 + 7), 4, 0x00123456, 0);
    vga_draw(&s, mem_own_at(&own, 0), 0, row, 1280, 1023, 1);
    cr_assert_eq(row[7], 0x123456);
    dispi(5, 3);
    cr_assert_eq(vga_aperture(&s), mem_aperture(MEM_APERTURE_MEMORY, 0, 2, 0x30000));
    dispi(6, 65535); /* nonsense stays within memory */
    dispi(8, 65535);
    dispi(9, 65535);
    vga_picture_size(&s, &width, &height);
    for (unsigned y = 0; y < height; y++)
        vga_draw(&s, mem_own_at(&own, 0), 0, row, 1280, y, 1);
    dispi(4, 0);
    cr_assert(s.view);
}

/* Two bits a dot: planes 0 and 2 give four dots, then planes 1 and 3. */
Test(vga_memory, both_pairs_of_planes_in_cga_modes, .init = planar)
{
    uint32_t row[VGA_PICTURE_WIDTH_MAX];

    set(0x3CE, 5, 0x20);
    put_planes(0, 0x1B, 0xE4, 0x00, 0xFF); /* dots 0 1 2 3, then 3 2 1 0 with 1100 from plane 3 */
    for (unsigned i = 0; i < 16; i++) {
        C->read_memory(&s, &own, VGA_OFF(0x3DA), 1, 0);
        out(0x3C0, (uint8_t)i);
        out(0x3C0, (uint8_t)i);
        out(0x3C8, (uint8_t)i);
        for (unsigned n = 0; n < 3; n++)
            out(0x3C9, (uint8_t)i);
    }
    out(0x3C0, 0x20);
    set(0x3D4, 0x17, 0xE3);
    vga_draw(&s, mem_own_at(&own, 0), 0, row, VGA_PICTURE_WIDTH_MAX, 0, 1);
    static const uint8_t want[8] = {0, 1, 2, 3, 15, 14, 13, 12};
    for (unsigned i = 0; i < 8; i++)
        cr_assert_eq(row[i], want[i] * 0x040404u, "dot %u: %06x", i, row[i]);
}
