/* pictures.c - an image of its own: what programs of real mode draw by INT 10h, in text and graphics modes
 * and by VBE 2.0, and by memory. Each picture that is whole is told by a write of its number to the port of
 * -device tandem-marker; what must be seen then is computed by tests/screens/bios_scenes.py. The letters of
 * the BIOS's fonts, which that needs, go to COM1.
 *
 * The services are those of the IBM Personal System/2 and Personal Computer BIOS Interface Technical
 * Reference, and of the VESA BIOS EXTENSION (VBE) Core Functions Standard, version 2.0. */
#include "suite.h"

#define MARKER   0x5e0
#define GRAPHICS 0xa000
#define TEXT     0xb800
#define LETTERS  "INT 10h"
#define FIRST_X  80 /* of the block of dots */
#define FIRST_Y  60

void suite_main(void);

static struct regs video(uint32_t eax, uint32_t ebx, uint32_t ecx, uint32_t edx)
{
    struct regs r = regs_of(eax);
    r.ebx = ebx, r.ecx = ecx, r.edx = edx;
    bios(0x10, &r);
    return r;
}

static void outw(uint16_t port, uint16_t v)
{
    __asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static void picture_is_whole(uint8_t number)
{
    outb(MARKER, number);
}

/* --- fonts and colours --- */

/* 1130h: BH says which font; ES:BP is where it lies. */
static void tell_font(unsigned which, unsigned lines)
{
    struct regs r = video(0x1130, which << 8, 0, 0);
    print("font %d ", lines);
    for (const char *c = LETTERS; *c; c++)
        for (unsigned line = 0; line < lines; line++) {
            uint8_t bits = peek8(r.es, (uint16_t)(r.ebp + (uint8_t)*c * lines + line));
            print("%x%x", bits >> 4, bits & 15);
        }
    print("\r\n");
}

/* The colours of tests/guests/vga.h: red rises, green runs through three times, blue falls. */
static void set_colours(void)
{
    static uint8_t dac[768], palette[17];
    for (unsigned n = 0; n < 256; n++)
        dac[3 * n] = (uint8_t)(n >> 2), dac[3 * n + 1] = n * 3 & 63,
                dac[3 * n + 2] = (uint8_t)(63 - (n >> 2));
    for (unsigned n = 0; n < 16; n++)
        palette[n] = n * 17 & 63;
    video(0x1012, 0, 256, (uint32_t)dac);
    video(0x1002, 0, 0, (uint32_t)palette);
}

static void write_text(unsigned row, unsigned column, uint8_t colour)
{
    video(0x0200, 0, 0, row << 8 | column);
    for (const char *c = LETTERS; *c; c++)
        video(0x0e00 | (uint8_t)*c, colour, 0, 0);
}

/* --- text mode 3 --- */

/* One character by each service, some by memory; the BIOS's own colours and font. */
static void text_mode(void)
{
    static const char letters[] = LETTERS;
    video(0x0003, 0, 0, 0);
    write_text(2, 3, 7);
    struct regs r = regs_of(0x1301);
    r.ebx = 0x1e, r.ecx = sizeof letters - 1, r.edx = 4 << 8 | 10, r.ebp = (uint32_t)letters;
    bios(0x10, &r);
    video(0x0200, 0, 0, 6 << 8);
    video(0x0900 | '1', 0x4f, 80, 0);
    for (uint16_t i = 0; i < 16; i++) {
        poke8(TEXT, (uint16_t)(2 * (80 * 8 + i)), 'T');
        poke8(TEXT, (uint16_t)(2 * (80 * 8 + i) + 1), (uint8_t)i);
    }
    video(0x0100, 0, 0x2000, 0); /* no cursor */
    picture_is_whole(3);
}

/* --- graphics modes --- */

static const struct graphics {
    uint8_t mode;
    uint16_t colours;
} graphics[] = {{0x04, 4}, {0x06, 2}, {0x0d, 16}, {0x0e, 16}, {0x10, 16}, {0x11, 2}, {0x12, 16}, {0x13, 256}};

static uint32_t dot(const struct graphics *g, unsigned x, unsigned y)
{
    return (x / 4 + y / 4 * 3) % g->colours;
}

static void set_dot(uint32_t colour, unsigned x, unsigned y)
{
    video(0x0c00 | colour, 0, FIRST_X + x, FIRST_Y + y);
}

/* 0Dh reads what 0Ch has written. */
static void check_dots(const struct graphics *g)
{
    for (unsigned i = 1; i < 32; i += 5) /* (2i, i) was turned over where that is possible */
        EXPECT_EQ(video(0x0d00, 0, FIRST_X + 2 * i + 1, FIRST_Y + i).eax & 0xff, dot(g, 2 * i + 1, i));
}

static void draw_by_memory(uint8_t mode)
{
    if (mode == 0x13) /* a gradient */
        for (uint16_t y = 150; y < 200; y++)
            for (uint16_t x = 0; x < 320; x++)
                poke8(GRAPHICS, (uint16_t)(y * 320 + x), (uint8_t)(x + y));
    if (mode == 0x12) /* bars, plane by plane (sequencer register 2: which is written) */
        for (unsigned plane = 0; plane < 4; plane++) {
            outw(0x3c4, (uint16_t)(2 | 0x100 << plane));
            for (uint16_t at = 0; at < 80 * 80; at++)
                poke8(GRAPHICS, (uint16_t)(400 * 80 + at), (at % 80 / 5) >> plane & 1 ? 0xff : 0);
        }
}

static void graphics_mode(const struct graphics *g)
{
    video(g->mode, 0, 0, 0);
    EXPECT_EQ(video(0x0f00, 0, 0, 0).eax & 0xff, g->mode);
    set_colours();
    for (unsigned y = 0; y < 32; y++)
        for (unsigned x = 0; x < 64; x++)
            set_dot(dot(g, x, y), x, y);
    for (unsigned i = 0; g->colours <= 16 && i < 32; i++) /* bit 7: exclusive or */
        set_dot(0x81, 2 * i, i);
    check_dots(g);
    write_text(2, 3, (uint8_t)(g->colours - 1));
    draw_by_memory(g->mode);
    picture_is_whole(g->mode);
}

/* --- VBE --- */

static uint8_t information[512], mode_information[256];

static uint16_t at16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t at32(const uint8_t *p)
{
    return at16(p) | (uint32_t)at16(p + 2) << 16;
}

static struct regs vbe(uint32_t function, uint32_t ebx, uint32_t ecx, uint32_t edx, void *data)
{
    struct regs r = regs_of(0x4f00 | function);
    r.ebx = ebx, r.ecx = ecx, r.edx = edx, r.edi = (uint32_t)data;
    bios(0x10, &r);
    EXPECT_EQ(r.eax & 0xffff, 0x004f);
    return r;
}

/* The number of the mode with this size, from the BIOS's list; mode_information is about it. */
static uint16_t find_mode(uint16_t width, uint16_t height, uint8_t bits)
{
    uint32_t list = at32(information + 14);
    for (uint16_t i = 0; i < 200; i++) {
        uint16_t mode = peek16((uint16_t)(list >> 16), (uint16_t)(list + 2u * i));
        if (mode == 0xffff)
            break;
        vbe(1, 0, mode, 0, mode_information);
        if (at16(mode_information + 18) == width && at16(mode_information + 20) == height &&
            mode_information[25] == bits)
            return mode;
    }
    EXPECT(false);
    return 0x101;
}

/* 640 x 480 dots of 256 colours by the window at A000, which 05h moves by steps of its granularity. */
static void vbe_window(void)
{
    static uint8_t colours[768];
    uint16_t mode = find_mode(640, 480, 8), step = at16(mode_information + 4),
             row = at16(mode_information + 16);
    uint32_t bank = 0xffffffff;
    vbe(2, mode, 0, 0, 0);
    EXPECT_EQ(vbe(3, 0, 0, 0, 0).ebx & 0x3fff, mode);
    EXPECT_EQ(high(vbe(8, 0x0800, 0, 0, 0).ebx), 8); /* bits of a colour of the DAC */
    for (unsigned n = 0; n < 256; n++)
        colours[3 * n] = (uint8_t)n, colours[3 * n + 1] = (uint8_t)(255 - n),
                    colours[3 * n + 2] = (uint8_t)(n * 5);
    video(0x1012, 0, 256, (uint32_t)colours); /* SeaVGABIOS has no function 09h */
    for (uint32_t y = 0; y < 480; y++)
        for (uint32_t x = 0; x < 640; x++) {
            uint32_t at = y * row + x;
            if (at >> 16 != bank)
                vbe(5, 0, 0, (bank = at >> 16) * (64u / step), 0);
            poke8(GRAPHICS, (uint16_t)at, (uint8_t)(x / 3 + y));
        }
    picture_is_whole(0x20);
}

static void far_poke16(uint32_t at, uint32_t v)
{
    __asm__ volatile("movw %w0, %%fs:(%1)" : : "r"(v), "r"(at) : "memory");
}

/* 800 x 600 dots of 16 bits by the linear frame buffer; 1024 dots a row in memory, and shown from (40, 30)
 * on. */
static void vbe_linear(void)
{
    uint16_t mode = find_mode(800, 600, 16);
    uint32_t frame = at32(mode_information + 40);
    EXPECT(mode_information[0] & 0x80); /* there is one */
    vbe(2, 0x4000 | mode, 0, 0, 0);
    EXPECT_EQ(vbe(6, 0, 1024, 0, 0).ebx & 0xffff, 2048); /* bytes of a row */
    __asm__ volatile("cli");
    unreal_enter();
    for (uint32_t y = 0; y < 640; y++)
        for (uint32_t x = 0; x < 1024; x++)
            far_poke16(frame + 2048 * y + 2 * x, (x & 31) << 11 | (y & 63) << 5 | ((x + y) >> 3 & 31));
    __asm__ volatile("sti");
    vbe(7, 0, 40, 30, 0);
    struct regs r = vbe(7, 1, 0, 0, 0);
    EXPECT_EQ(r.ecx & 0xffff, 40);
    EXPECT_EQ(r.edx & 0xffff, 30);
    picture_is_whole(0x21);
}

static void vbe_modes(void)
{
    memcpy(information, "VBE2", 4);
    vbe(0, 0, 0, 0, information);
    EXPECT(memcmp(information, "VESA", 4) == 0);
    EXPECT(at16(information + 4) >= 0x200);
    vbe_window();
    vbe_linear();
}

void suite_main(void)
{
    print("pictures by INT 10h\r\n");
    tell_font(3, 8);
    tell_font(2, 14);
    tell_font(6, 16);
    text_mode();
    for (unsigned i = 0; i < sizeof graphics / sizeof graphics[0]; i++)
        graphics_mode(&graphics[i]);
    vbe_modes();
    video(0x0003, 0, 0, 0);
    EXPECT_EQ(peek16(TEXT, 0), 0x0720);
    picture_is_whole(0x22);
    print("%s: %d checks, %d failed\r\n", failures ? "FAIL" : "OK", checks, failures);
    outb(0xf4, (uint8_t)(failures > 100 ? 100 : failures));
}
