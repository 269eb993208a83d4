/* vga_memory.c - how the processor reaches the memory of a VGA (IBM PS/2 Hardware Interface Technical
 * Reference, "Video Subsystem": sequencer and graphics controller).
 *
 * An access is a byte at an address of the window A0000-BFFFF. Chaining says which planes it is for:
 * four-fold (the lower two address bits choose the plane), two-fold (bit 0 chooses the even or the odd
 * planes; sequencer register 4 for writes, graphics register 5 for reads), or none. A write goes through
 * rotation, set/reset, the logical function and the bit mask, by write mode, into the planes that the map
 * mask allows; a read fills the latches and gives one plane's byte, or compares colours.
 *
 * Where that comes to "one byte of memory, unchanged", the processor gets plain memory (vga_shown), and then
 * latches stay as they are. Planes 0 and 1 lie in the view while odd/even chaining makes them look like
 * plain memory: whoever switches it on or off moves them (vga_settle), and as long as they are there the
 * linear frame buffer, too, is reached through the chip, so that there is one truth.
 *
 * Chained accesses use plane addresses without gaps: the address divided by 4, or by 2 where graphics
 * register 6 chains odd and even. A VGA leaves gaps there, and the CRT controller steps over them by its word
 * and doubleword addressing; that has none here either (vga_draw.c), so both cancel out. It shows where a
 * program fills memory with chaining and goes on without, and does not clear it.
 *
 * NOT MODELLED: the page bit of the miscellaneous output register, the sequencer's extended memory bit. Bus
 * masters reach the window only where it is plain memory. */
#include "clockcore/check.h"
#include "hw/vga_internal.h"
#include "mem/own.h"
#include "mem/remap.h"

#include <string.h>

#define PLANES     4
#define BANK_BYTES 0x10000u
#define VIEW_PAGES (VGA_VIEW_BYTES / PAGE_BYTES)

_Static_assert(VGA_VIEW % PAGE_BYTES == 0 && VGA_VIEW_BYTES % PAGE_BYTES == 0, "whole pages");

/* --- what the processor sees at A0000-BFFFF --- */

/* Writes go through unchanged, and reads give what is there. */
static bool is_transparent(const struct vga *s)
{
    return !(s->gfx[GR_MODE] & (GR_MODE_WRITE | GR_MODE_COMPARE)) && s->gfx[GR_ROTATE] == 0 &&
           s->gfx[GR_ENABLE_SET_RESET] == 0 && s->gfx[GR_BIT_MASK] == 0xFF;
}

static bool is_chain_4(const struct vga *s)
{
    return s->seq[SR_MEMORY_MODE] & SR_CHAIN_4;
}

static bool is_plain_chain_4(const struct vga *s)
{
    return is_chain_4(s) && is_transparent(s) && s->seq[SR_MAP_MASK] == 0x0F;
}

/* Plane 0 behind even addresses and plane 1 behind odd ones, and no other: text. */
static bool is_plain_odd_even(const struct vga *s)
{
    return !is_chain_4(s) && !(s->seq[SR_MEMORY_MODE] & SR_ODD_EVEN_OFF) &&
           s->gfx[GR_MODE] & GR_MODE_ODD_EVEN && s->gfx[GR_MISC] & GR_MISC_CHAIN && is_transparent(s) &&
           s->seq[SR_MAP_MASK] == 0x03 && !(s->gfx[GR_READ_MAP] & 2);
}

static bool is_linear(const struct vga *s)
{
    return vga_dispi_on(s) && s->dispi[DISPI_BPP] != 4;
}

static uint32_t bank_at(const struct vga *s)
{
    return s->dispi[DISPI_BANK] * BANK_BYTES % VGA_FRAME_BYTES;
}

static bool wants_view(const struct vga *s)
{
    return !vga_dispi_on(s) && is_plain_odd_even(s);
}

/* Bits 3 and 2 of graphics register 6. */
static uint32_t shown(const struct vga *s, uint32_t how, uint32_t at)
{
    static const struct {
        uint8_t unit, units; /* of 32 KiB */
    } place[4] = {{0, 4}, {0, 2}, {2, 1}, {3, 1}};
    unsigned n = s->gfx[GR_MISC] >> 2 & 3;

    return mem_aperture(how, place[n].unit, place[n].units, at);
}

uint32_t vga_aperture(const struct vga *s)
{
    if (!(s->misc & MISC_RAM_ENABLE))
        return s->view ? MEM_APERTURE_APART : 0;
    if (is_linear(s))
        return mem_aperture(MEM_APERTURE_MEMORY, 0, BANK_BYTES / MEM_APERTURE_UNIT, bank_at(s));
    if (s->view)
        return shown(s, MEM_APERTURE_MEMORY | MEM_APERTURE_APART, VGA_VIEW);
    if (!vga_dispi_on(s) && is_plain_chain_4(s))
        return shown(s, MEM_APERTURE_MEMORY, 0);
    return shown(s, MEM_APERTURE_BUS, 0);
}

/* --- planes --- */

/* With the Bochs interface's 4 bits, planes reach through all of memory, and the bank says where. */
static uint32_t plane_address(const struct vga *s, uint32_t a)
{
    return vga_dispi_on(s) ? (bank_at(s) + (a & (BANK_BYTES - 1))) % (VGA_FRAME_BYTES / PLANES)
                           : a & (VGA_PLANE_BYTES - 1);
}

/* All four planes' bytes, plane 0 lowest. */
static uint32_t planes_get(const struct vga *s, const struct mem_own *m, uint32_t a)
{
    uint32_t v = 0;

    if (s->view) {
        for (unsigned p = 0; p < PLANES; p++)
            v |= (uint32_t)*mem_own_at(m, vga_plane_at(s, p, a)) << 8 * p;
        return v;
    }
    memcpy(&v, mem_own_at(m, PLANES * a), sizeof(v));
    return v;
}

static void planes_put(const struct vga *s, const struct mem_own *m, uint32_t a, uint32_t v)
{
    if (!s->view) {
        mem_own_put(m, PLANES * a, &v, sizeof(v));
        return;
    }
    for (unsigned p = 0; p < PLANES; p++) {
        uint8_t byte = (uint8_t)(v >> 8 * p);
        mem_own_put(m, vga_plane_at(s, p, a), &byte, 1);
    }
}

/* A byte in each of the planes of a set of four bits. */
static uint32_t in_planes(unsigned planes)
{
    return (planes & 1 ? 0xFFu : 0) | (planes & 2 ? 0xFF00u : 0) | (planes & 4 ? 0xFF0000u : 0) |
           (planes & 8 ? 0xFF000000u : 0);
}

static uint32_t in_all(uint8_t byte)
{
    return byte * 0x01010101u;
}

/* --- a write --- */

static uint8_t rotated(const struct vga *s, uint8_t byte)
{
    unsigned n = s->gfx[GR_ROTATE] & 7;

    return (uint8_t)(byte >> n | byte << (8 - n));
}

static uint32_t function(const struct vga *s, uint32_t v)
{
    switch (s->gfx[GR_ROTATE] >> 3 & 3) {
    case 1:
        return v & s->latch;
    case 2:
        return v | s->latch;
    case 3:
        return v ^ s->latch;
    default:
        return v;
    }
}

static uint32_t masked(const struct vga *s, uint32_t v, uint8_t bit_mask)
{
    uint32_t mask = in_all(bit_mask);

    return (function(s, v) & mask) | (s->latch & ~mask);
}

/* What a write of `byte` puts into all planes. */
static uint32_t written(const struct vga *s, uint8_t byte)
{
    uint32_t set_reset = in_planes(s->gfx[GR_SET_RESET]), enabled = in_planes(s->gfx[GR_ENABLE_SET_RESET]);

    switch (s->gfx[GR_MODE] & GR_MODE_WRITE) {
    case 0:
        return masked(s, (set_reset & enabled) | (in_all(rotated(s, byte)) & ~enabled), s->gfx[GR_BIT_MASK]);
    case 1:
        return s->latch;
    case 2:
        return masked(s, in_planes(byte & 15), s->gfx[GR_BIT_MASK]);
    default:
        return masked(s, set_reset, rotated(s, byte) & s->gfx[GR_BIT_MASK]);
    }
}

/* The planes that a write to window address `a` is for. */
static unsigned write_planes(const struct vga *s, uint32_t a)
{
    unsigned mask = s->seq[SR_MAP_MASK];

    if (is_chain_4(s))
        return mask & 1u << (a & 3);
    return s->seq[SR_MEMORY_MODE] & SR_ODD_EVEN_OFF ? mask : mask & (a & 1 ? 0x0Au : 0x05u);
}

/* The address in each plane. */
static uint32_t planes_address(const struct vga *s, uint32_t a)
{
    if (is_chain_4(s))
        return plane_address(s, a >> 2);
    return plane_address(s, s->gfx[GR_MISC] & GR_MISC_CHAIN ? a >> 1 : a);
}

static void window_write(struct vga *s, const struct mem_own *m, uint32_t a, uint8_t byte)
{
    uint32_t at = planes_address(s, a), mask = in_planes(write_planes(s, a));

    if (mask)
        planes_put(s, m, at, (written(s, byte) & mask) | (planes_get(s, m, at) & ~mask));
}

/* --- a read --- */

static unsigned read_plane(const struct vga *s, uint32_t a)
{
    if (is_chain_4(s))
        return a & 3;
    return s->gfx[GR_MODE] & GR_MODE_ODD_EVEN ? (s->gfx[GR_READ_MAP] & 2u) | (a & 1)
                                              : s->gfx[GR_READ_MAP] & 3u;
}

/* A bit is 1 where all planes that count have the colour. */
static uint8_t compared(const struct vga *s)
{
    uint32_t differ = (s->latch ^ in_planes(s->gfx[GR_COMPARE])) & in_planes(s->gfx[GR_DO_CARE]);

    return (uint8_t) ~(differ | differ >> 8 | differ >> 16 | differ >> 24);
}

static uint8_t window_read(struct vga *s, const struct mem_own *m, uint32_t a)
{
    s->latch = planes_get(s, m, planes_address(s, a));
    if (s->gfx[GR_MODE] & GR_MODE_COMPARE)
        return compared(s);
    return (uint8_t)(s->latch >> 8 * read_plane(s, a));
}

/* --- both --- */

/* Byte of memory that a byte of the linear frame buffer is. */
static uint32_t frame_at(const struct vga *s, uint32_t offset)
{
    offset %= VGA_FRAME_BYTES;
    if (offset < PLANES * VGA_PLANE_BYTES)
        return vga_plane_at(s, offset % PLANES, offset / PLANES);
    return offset;
}

/* An address within what graphics register 6 shows. */
static uint32_t in_window(const struct vga *s, uint32_t offset)
{
    static const uint32_t first[4] = {0, 0, 0x10000, 0x18000};

    return (offset - first[s->gfx[GR_MISC] >> 2 & 3]) % MEM_APERTURE_BYTES;
}

uint8_t vga_memory_read(struct vga *s, const struct mem_own *m, uint32_t offset)
{
    if (offset >= VGA_OFF_FRAME)
        return *mem_own_at(m, frame_at(s, offset - VGA_OFF_FRAME));
    return window_read(s, m, in_window(s, offset - VGA_OFF_WINDOW));
}

void vga_memory_write(struct vga *s, const struct mem_own *m, uint32_t offset, uint8_t byte)
{
    if (offset >= VGA_OFF_FRAME)
        mem_own_put(m, frame_at(s, offset - VGA_OFF_FRAME), &byte, 1);
    else
        window_write(s, m, in_window(s, offset - VGA_OFF_WINDOW), byte);
}

/* --- the view --- */

static void put_page(const struct mem_own *m, uint32_t at, const uint8_t page[PAGE_BYTES])
{
    if (memcmp(mem_own_at(m, at), page, PAGE_BYTES) != 0)
        mem_own_put(m, at, page, PAGE_BYTES);
}

/* Half a page of the view is a page of the planes. */
static void page_to_view(const struct mem_own *m, uint32_t n)
{
    const uint8_t *from = mem_own_at(m, 2 * n * PAGE_BYTES);
    uint8_t page[PAGE_BYTES];

    for (unsigned i = 0; i < PAGE_BYTES / 2; i++)
        memcpy(page + 2 * i, from + 4 * i, 2);
    put_page(m, VGA_VIEW + n * PAGE_BYTES, page);
}

static void page_from_view(const struct mem_own *m, uint32_t n)
{
    const uint8_t *from = mem_own_at(m, VGA_VIEW + n * (PAGE_BYTES / 2));
    uint8_t page[PAGE_BYTES];

    memcpy(page, mem_own_at(m, n * PAGE_BYTES), PAGE_BYTES);
    for (unsigned i = 0; i < PAGE_BYTES / 4; i++)
        memcpy(page + 4 * i, from + 2 * i, 2);
    put_page(m, n * PAGE_BYTES, page);
}

void vga_settle(struct vga *s, const struct mem_own *m)
{
    bool view = wants_view(s);

    if (view == s->view)
        return;
    CHECK(m->bytes == VGA_MEMORY_BYTES);
    s->view = view;
    for (uint32_t n = 0; view && n < VIEW_PAGES; n++)
        page_to_view(m, n);
    for (uint32_t n = 0; !view && n < 2 * VIEW_PAGES; n++)
        page_from_view(m, n);
}

/* --- the Bochs interface clears what it shows --- */

void vga_clear(const struct vga *s, const struct mem_own *m)
{
    static const uint8_t zeroes[PAGE_BYTES];
    struct vga_mode mode = vga_dispi_mode(s);
    uint32_t end = mode.height * mode.row_bytes * (mode.bits == 4 ? PLANES : 1);

    for (uint32_t at = 0; at < end; at += PAGE_BYTES) {
        uint32_t n = end - at < PAGE_BYTES ? end - at : PAGE_BYTES;
        if (memcmp(mem_own_at(m, at), zeroes, n) != 0)
            mem_own_put(m, at, zeroes, n);
    }
}
