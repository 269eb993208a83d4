/* fuzz_vga.c - a graphics card with its memory: registers, planes, the linear frame buffer, and what is
 * drawn.
 *
 * Usage: fuzz_vga [SECONDS [SEED]]. Two cards get the same accesses. The first is used as a vCPU uses it:
 * what its aperture says is memory is read and written as memory. The second answers every access itself. So
 * it is checked, beside what the sanitizers check, that:
 *  - memory that is shown as such is what the chip would have made of the access (but for the latches);
 *  - both cards have the same registers, memory and pictures at all times;
 *  - the aperture lies in memory, and a picture depends on nothing outside of its ranges.
 * A failing case prints its seed: fuzz_vga 0 SEED runs that case and nothing else. */
#include "clockcore/ticks.h"
#include "hw/vga_draw.h"
#include "mem/own.h"
#include "mem/remap.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define OPS_PER_CASE 300
#define LINES        3 /* that are drawn at once */

struct card {
    struct physmem pm;
    struct mem_own own;
    struct vga s;
};

static struct card cards[2];
static uint64_t rng;
static const char *failure; /* of this case; NULL: none */

static uint64_t rnd(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng * UINT64_C(0x2545F4914F6CDD1D) >> 8;
}

static void expect(bool ok, const char *what)
{
    if (!ok && !failure)
        failure = what;
}

/* --- registers --- */

static void out(uint16_t port, unsigned size, uint16_t v)
{
    uint32_t offset = port < VGA_FIRST_PORT ? VGA_OFF_DISPI + port - 0x1CEu : (uint32_t)VGA_OFF(port);

    for (unsigned i = 0; i < 2; i++)
        vga_class.write_memory(&cards[i].s, &cards[i].own, offset, size, v, 0);
}

static void set(uint16_t port, uint8_t index, uint8_t v)
{
    out(port, 1, index);
    out(port + 1, 1, v);
}

static void dispi(uint16_t index, uint16_t v)
{
    out(0x1CE, 2, index);
    out(0x1CF, 2, v);
}

/* Registers of the sequencer and the graphics controller that decide how memory is reached, with values that
 * programs use. */
static void set_access(void)
{
    static const struct {
        uint16_t port;
        uint8_t index, value[8];
    } liked[] = {
        {0x3C4, 4, {0x02, 0x06, 0x0E, 0x0E, 0x02, 0x06, 0x0A, 0x00}},
        {0x3C4, 2, {0x03, 0x0F, 0x0F, 0x03, 0x04, 0x0C, 0x00, 0x05}},
        {0x3CE, 5, {0x00, 0x10, 0x10, 0x40, 0x01, 0x02, 0x0B, 0x30}},
        {0x3CE, 6, {0x05, 0x0E, 0x0E, 0x05, 0x0D, 0x0F, 0x01, 0x02}},
        {0x3CE, 8, {0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x0F, 0x80, 0x7E}},
        {0x3CE, 3, {0x00, 0x00, 0x00, 0x00, 0x03, 0x08, 0x10, 0x1F}},
        {0x3CE, 1, {0x00, 0x00, 0x00, 0x00, 0x00, 0x0F, 0x05, 0x08}},
        {0x3CE, 4, {0x00, 0x00, 0x00, 0x01, 0x02, 0x03, 0x00, 0x00}},
    };
    unsigned n = rnd() % 8;

    set(liked[n].port, liked[n].index, liked[n].value[rnd() % 8]);
}

static void set_text_mode(void)
{
    set(0x3C4, 4, 2);
    set(0x3C4, 2, 3);
    for (uint8_t i = 0; i < 9; i++)
        set(0x3CE, i, i == 5 ? 0x10 : i == 6 ? 0x0E : i == 8 ? 0xFF : 0);
}

static void set_resolution(void)
{
    static const uint16_t bits[8] = {4, 8, 15, 16, 24, 32, 4, 7};

    dispi(4, 0);
    dispi(1, (uint16_t)(rnd() % 8 ? rnd() % 1300 : rnd()));
    dispi(2, (uint16_t)(rnd() % 8 ? rnd() % 600 : rnd()));
    dispi(3, bits[rnd() % 8]);
    dispi(4, (uint16_t)(0x01 | (rnd() & 0xE2)));
}

static void set_anything(void)
{
    static const uint16_t ports[] = {0x3C4, 0x3CE, 0x3D4, 0x3D4};
    uint64_t r = rnd();

    if (r % 4 == 0)
        dispi(rnd() % 12, (uint16_t)rnd());
    else if (r % 4 == 1)
        out((uint16_t)(0x3B4 + rnd() % 0x28), 1, (uint16_t)rnd());
    else if (r % 16 == 2)
        out(0x3C2, 1, 0x63);
    else
        set(ports[rnd() % 4], rnd() % 26, (uint8_t)rnd());
}

/* The screen is on, and palette entries are something. */
static void switch_on(void)
{
    for (unsigned i = 0; i < 2; i++)
        vga_class.read_memory(&cards[i].s, &cards[i].own, VGA_OFF(0x3DA), 1, 0);
    uint8_t index = rnd() % 21;
    out(0x3C0, 1, index);
    out(0x3C0, 1, (uint8_t)rnd());
    out(0x3C0, 1, 0x20);
    out(0x3C0, 1, 0);
    set(0x3C4, 0, 3);
    set(0x3C4, 1, (uint8_t)(rnd() & 0x1D));
    set(0x3D4, 0x17, (uint8_t)(rnd() | 0x80));
    out(0x3C8, 1, (uint16_t)rnd());
    for (unsigned i = 0; i < 3; i++)
        out(0x3C9, 1, (uint16_t)rnd());
}

/* A picture of the VGA's own, as wide as a line of the CRT controller may be. */
static void set_width(void)
{
    dispi(4, 0);
    set(0x3D4, 0x11, (uint8_t)(rnd() & 0x7F)); /* bit 7 write-protects registers 0 to 7 */
    set(0x3D4, 1, (uint8_t)rnd());
    switch_on();
}

/* --- memory --- */

/* Where a byte of A0000-BFFFF is in the first card's memory; false: it is not shown as memory. */
static bool is_memory(uint32_t offset, uint32_t *at)
{
    uint32_t v = vga_aperture(&cards[0].s), begin = (v >> 3 & 3) * MEM_APERTURE_UNIT;
    uint32_t bytes = ((v >> 5 & 3) + 1) * MEM_APERTURE_UNIT;

    if (!(v & MEM_APERTURE_MEMORY))
        return false;
    expect((v & ~0xFFFu) + bytes <= VGA_MEMORY_BYTES && begin + bytes <= MEM_APERTURE_BYTES,
           "the aperture shows more than there is");
    *at = (v & ~0xFFFu) + offset - begin;
    return offset >= begin && offset - begin < bytes;
}

/* The banks of the Bochs interface are the linear frame buffer's memory. */
static bool is_bank(void)
{
    const struct vga *s = &cards[0].s;

    return s->dispi[4] & 1 && s->dispi[3] != 4;
}

/* A byte in the window, of which the first card says that it is memory. */
static void use_as_memory(uint32_t offset, uint32_t at, bool write, uint8_t byte)
{
    struct card *chip = &cards[1];
    uint32_t latch = chip->s.latch, there = is_bank() ? VGA_OFF_FRAME + at : VGA_OFF_WINDOW + offset;

    if (write) {
        mem_own_put(&cards[0].own, at, &byte, 1);
        vga_class.write_memory(&chip->s, &chip->own, there, 1, byte, 0);
    } else {
        expect(vga_class.read_memory(&chip->s, &chip->own, there, 1, 0) == *mem_own_at(&cards[0].own, at),
               "the chip reads something else than what is shown as memory");
    }
    chip->s.latch = latch;
}

static void use_chips(uint32_t offset, unsigned size, bool write, uint32_t value)
{
    uint32_t v[2] = {0, 0};

    for (unsigned i = 0; i < 2; i++) {
        if (write)
            vga_class.write_memory(&cards[i].s, &cards[i].own, offset, size, value, 0);
        else
            v[i] = vga_class.read_memory(&cards[i].s, &cards[i].own, offset, size, 0);
    }
    expect(v[0] == v[1], "two cards read different values");
}

static void use_window(void)
{
    uint32_t offset = rnd() % 4 ? rnd() % 0x20000 : 0x18000 + rnd() % 4000, at;
    bool write = rnd() % 4 != 0;

    for (unsigned n = 1 + rnd() % 16; n > 0; n--, offset = (offset + 1) % 0x20000) {
        if (is_memory(offset, &at))
            use_as_memory(offset, at, write, (uint8_t)rnd());
        else if (cards[0].s.misc & 2 && !is_bank())
            use_chips(VGA_OFF_WINDOW + offset, 1u << rnd() % 3, write, (uint32_t)rnd());
    }
}

static void read_registers(void)
{
    out(0x1CE, 2, rnd() % 12);
    use_chips(VGA_OFF_DISPI + rnd() % 3, rnd() % 8 ? 2 : 1, false, 0);
    use_chips((uint32_t)(rnd() % 0x30), 1, false, 0);
}

/* It is memory for the vCPU unless text is apart; the chip answers in both. */
static void use_frame(void)
{
    uint32_t at = rnd() % 4 ? rnd() % 0x40000 : rnd() % VGA_FRAME_BYTES;

    use_chips(VGA_OFF_FRAME + at, 1u << rnd() % 3, rnd() % 2, (uint32_t)rnd());
}

/* --- pictures --- */

static bool in_ranges(uint32_t at, const struct vga_range *range, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (at >= range[i].first && at - range[i].first < range[i].bytes)
            return true;
    return false;
}

/* Changes a byte outside of the ranges of the second card's picture, for the picture that is drawn next. */
static uint32_t disturb(const struct vga_range *range, unsigned n)
{
    uint32_t at = rnd() % VGA_MEMORY_BYTES;
    uint8_t byte = *mem_own_at(&cards[1].own, at) ^ 0xFF;

    if (in_ranges(at, range, n))
        return VGA_MEMORY_BYTES;
    mem_own_put(&cards[1].own, at, &byte, 1);
    return at;
}

static void check_pictures(void)
{
    unsigned width, height, row;
    uint64_t now_ns = rnd() % 4 ? rnd() % 2000000000 : rnd();
    struct vga_range range[VGA_RANGES_MAX];
    unsigned nranges = vga_picture_ranges(&cards[0].s, range);
    uint32_t *pixels[2];

    vga_picture_size(&cards[0].s, &width, &height);
    expect(width >= 1 && width <= VGA_PICTURE_WIDTH_MAX && height >= 1 && height <= VGA_PICTURE_HEIGHT_MAX,
           "the picture has no size");
    for (unsigned i = 0; i < nranges; i++)
        expect(range[i].first <= VGA_MEMORY_BYTES && range[i].bytes <= VGA_MEMORY_BYTES - range[i].first,
               "the picture is not in memory");
    expect(vga_picture_changes_ns(&cards[0].s, now_ns) > now_ns, "the picture has changed already");
    row = (unsigned)rnd() % (height + 1);
    uint32_t disturbed = disturb(range, nranges);
    for (unsigned i = 0; i < 2; i++) {
        pixels[i] = calloc((size_t)width * LINES, sizeof(uint32_t));
        vga_draw(&cards[i].s, mem_own_at(&cards[i].own, 0), now_ns, pixels[i], width, row, LINES);
    }
    expect(memcmp(pixels[0], pixels[1], (size_t)width * LINES * sizeof(uint32_t)) == 0,
           "two pictures differ");
    if (disturbed < VGA_MEMORY_BYTES)
        mem_own_put(&cards[1].own, disturbed, mem_own_at(&cards[0].own, disturbed), 1);
    free(pixels[0]);
    free(pixels[1]);
}

static void check_text(void)
{
    struct vga_text t;
    uint8_t c[2][2];

    if (!vga_text_screen(&cards[0].s, &t))
        return;
    uint32_t cell = vga_text_at(&t, rnd() % 2048, rnd() % 256);
    for (unsigned i = 0; i < 2; i++)
        vga_text_cell(&cards[i].s, mem_own_at(&cards[i].own, 0), cell, c[i]);
    expect(memcmp(c[0], c[1], 2) == 0, "two texts differ");
}

/* --- cases --- */

/* As a machine without firmware begins, with a font or without one. */
static void begin_text(void)
{
    uint8_t font[256 * 16];
    bool has_font = rnd() % 2;

    for (unsigned i = 0; i < sizeof font; i++)
        font[i] = (uint8_t)rnd();
    for (unsigned i = 0; i < 2; i++)
        vga_text_begin(&cards[i].s, &cards[i].own, has_font ? font : NULL);
}

static void reset(void)
{
    for (unsigned i = 0; i < 2; i++) {
        vga_reset_pin(&vga_class, &cards[i].s, 0);
        vga_class.settle_memory(&cards[i].s, &cards[i].own);
    }
    if (rnd() % 2)
        begin_text();
}

static void operate(void)
{
    static void (*const op[16])(void) = {set_access,   set_access,    set_access,     set_anything,
                                         set_anything, set_text_mode, switch_on,      set_width,
                                         use_window,   use_window,    use_window,     use_window,
                                         use_frame,    use_frame,     check_pictures, check_text};

    if (rnd() % 4 == 0)
        read_registers();
    if (rnd() % 64 == 0)
        set_resolution();
    else if (rnd() % 128 == 0)
        reset();
    else
        op[rnd() % 16]();
    expect(memcmp(&cards[0].s, &cards[1].s, sizeof(struct vga)) == 0, "two cards differ");
}

/* All of memory is compared now and then, since that takes long. */
static void check_memory(uint64_t seed)
{
    if (seed % 16 == 0)
        expect(memcmp(mem_own_at(&cards[0].own, 0), mem_own_at(&cards[1].own, 0), VGA_MEMORY_BYTES) == 0,
               "two memories differ");
}

static bool run_case(uint64_t seed)
{
    rng = seed * UINT64_C(0x9E3779B97F4A7C15) | 1;
    failure = NULL;
    physmem_clear(&cards[0].pm);
    physmem_clear(&cards[1].pm);
    reset();
    for (unsigned i = 0; i < OPS_PER_CASE && !failure; i++)
        operate();
    check_memory(seed);
    if (failure)
        printf("%s (fuzz_vga 0 %" PRIu64 ")\n", failure, seed);
    return !failure;
}

static bool card_init(struct card *c)
{
    if (physmem_init(&c->pm, RAM_BYTES_MIN) != 0)
        return false;
    mem_addr_t first = physmem_add(&c->pm, MEM_VRAM, VGA_MEMORY_BYTES);
    c->own = (struct mem_own){&c->pm, first, VGA_MEMORY_BYTES};
    vga_class.reset(&c->s, 0);
    return first != MEM_NOWHERE;
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 5;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    uint64_t passed = 0, failed = 0;
    struct timespec start, now;

    if (!card_init(&cards[0]) || !card_init(&cards[1]))
        return 2;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        if (run_case(seed++))
            passed++;
        else
            failed++;
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (!failed &&
             (double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) / 1e9 < seconds);
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", passed, failed);
    return failed != 0;
}
