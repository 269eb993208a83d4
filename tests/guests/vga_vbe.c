/* vga_vbe: the Bochs display interface in the depth of bits=N on the command line: 400 x 300 dots of a
 * picture 512 dots wide, from dot (8, 20) on; the upper half of it is written by the linear frame buffer, the
 * lower one by the banks at A0000. What must be seen then is computed by tests/screens/scenes.py. */
#include "vga.h"

#define WIDTH      400
#define HEIGHT     300
#define WORLD      512 /* dots of a row in memory */
#define ROWS       320
#define FRAME      0xE0000000u
#define BANK_BYTES 0x10000u

enum { XRES = 1, YRES, BPP, ENABLE, BANK, VIRT_WIDTH, VIRT_HEIGHT, X_OFFSET, Y_OFFSET };

static void outw(uint16_t port, uint16_t v)
{
    __asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static uint16_t inw(uint16_t port)
{
    uint16_t v;
    __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
    return v;
}

static void dispi(uint16_t index, uint16_t v)
{
    outw(0x1CE, index);
    outw(0x1CF, v);
}

static uint16_t dispi_get(uint16_t index)
{
    outw(0x1CE, index);
    return inw(0x1CF);
}

/* The card is 00:02.0. */
static void place_frame_buffer(void)
{
    outl(0xCF8, 0x80001010);
    outl(0xCFC, FRAME);
    outl(0xCF8, 0x80001004);
    outl(0xCFC, 7);
}

/* A byte of the picture in memory. */
static void put(uint32_t at, uint8_t byte)
{
    static uint32_t bank = UINT32_MAX;

    if (at < WORLD * ROWS / 2) {
        ((volatile uint8_t *)FRAME)[at] = byte;
        return;
    }
    if (at / BANK_BYTES != bank)
        dispi(BANK, (uint16_t)(bank = at / BANK_BYTES));
    window[at % BANK_BYTES] = byte;
}

static uint32_t dot_value(unsigned bits, unsigned x, unsigned y)
{
    unsigned r = x & 255, g = y * 2 & 255, b = (x + y) & 255;

    switch (bits) {
    case 8:
        return (x + y) & 255;
    case 15:
        return r >> 3 << 10 | g >> 3 << 5 | b >> 3;
    case 16:
        return r >> 3 << 11 | g >> 2 << 5 | b >> 3;
    default:
        return 0xAA000000 | r << 16 | g << 8 | b;
    }
}

static void paint(unsigned bits)
{
    unsigned bytes = (bits + 7) / 8;

    for (unsigned y = 0; y < ROWS; y++)
        for (unsigned x = 0; x < WORLD; x++)
            for (unsigned i = 0; i < bytes; i++)
                put((y * WORLD + x) * bytes + i, (uint8_t)(dot_value(bits, x, y) >> 8 * i));
}

/* Four bits are four planes, through the graphics controller. */
static void paint_planes(void)
{
    set(SEQ, 2, 0x0F);
    set(SEQ, 4, 0x06);
    set(GFX, 5, 0);
    set(GFX, 6, 5);
    set(GFX, 1, 0x0F);
    for (unsigned y = 0; y < ROWS; y++)
        for (unsigned i = 0; i < WORLD / 8; i++) {
            set(GFX, 0, (uint8_t)(i + y / 8) & 15);
            window[y * WORLD / 8 + i] = 0;
        }
    set(GFX, 1, 0);
    set_colours(0, 17);
}

/* The greatest mode: each row has one colour, each column another. */
static void paint_great(void)
{
    volatile uint32_t *p = (volatile uint32_t *)FRAME;

    for (unsigned y = 0; y < 1024; y++)
        for (unsigned x = 0; x < 1280; x++)
            *p++ = (x & 255) << 16 | (y & 255) << 8 | (x >> 8 << 4 | y >> 8);
}

static void set_8_bit_palette(void)
{
    outb(0x3C8, 0);
    for (unsigned n = 0; n < 256; n++) {
        outb(0x3C9, (uint8_t)n);
        outb(0x3C9, (uint8_t)(255 - n));
        outb(0x3C9, (uint8_t)(n * 5));
    }
}

static void begin(unsigned width, unsigned height, unsigned bits, uint16_t how)
{
    dispi(ENABLE, 0);
    dispi(XRES, (uint16_t)width);
    dispi(YRES, (uint16_t)height);
    dispi(BPP, (uint16_t)bits);
    dispi(ENABLE, how | 0x41);
}

int guest_main(void)
{
    unsigned bits = option("bits", 32), wide_dac = option("dac8", 0);

    place_frame_buffer();
    set_palette();
    EXPECT(dispi_get(0) >= 0xB0C0 && dispi_get(0) <= 0xB0C5);
    if (option("great", 0)) {
        begin(1280, 1024, 32, 0);
        paint_great();
        return 0;
    }
    begin(WIDTH, HEIGHT, bits, wide_dac ? 0x20 : 0);
    dispi(VIRT_WIDTH, WORLD);
    EXPECT_EQ(dispi_get(VIRT_WIDTH), WORLD);
    EXPECT(dispi_get(VIRT_HEIGHT) >= ROWS);
    if (wide_dac)
        set_8_bit_palette();
    if (bits == 4)
        paint_planes();
    else
        paint(bits);
    dispi(X_OFFSET, 8);
    dispi(Y_OFFSET, 20);
    return 0;
}
