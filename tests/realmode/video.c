/* video.c - INT 10h in text mode 3: cursor, characters, scrolling, what the BIOS data area says of it, and
 * the screen's memory. */
#include "suite.h"

#define BDA    0x40
#define SCREEN 0xb800

static struct regs video(uint32_t eax, uint32_t ebx, uint32_t ecx, uint32_t edx)
{
    struct regs r = regs_of(eax);
    r.ebx = ebx, r.ecx = ecx, r.edx = edx;
    bios(0x10, &r);
    return r;
}

static uint32_t cursor(void)
{
    return video(0x0300, 0, 0, 0).edx & 0xffff;
}

static uint16_t cell(unsigned row, unsigned column)
{
    return peek16(SCREEN, (uint16_t)((row * 80 + column) * 2));
}

static void check_mode(void)
{
    EXPECT_EQ(peek8(BDA, 0x49), 3);
    EXPECT_EQ(peek16(BDA, 0x4a), 80);
    EXPECT_EQ(peek16(BDA, 0x63), 0x3d4);
    EXPECT_EQ(peek8(BDA, 0x84), 24);
    EXPECT_EQ(peek16(BDA, 0x85), 16);
    struct regs r = video(0x0f00, 0, 0, 0);
    EXPECT_EQ(r.eax & 0xffff, 80 << 8 | 3);
    EXPECT_EQ(high(r.ebx), 0);
    r = video(0x1a00, 0, 0, 0); /* display combination: VGA with a colour monitor */
    EXPECT_EQ(r.eax & 0xff, 0x1a);
    EXPECT_EQ(r.ebx & 0xff, 8);
    r = video(0x1200, 0x10, 0, 0); /* EGA information: colour, 256 KiB */
    EXPECT_EQ(r.ebx & 0xffff, 3);
}

/* The CRTC's cursor and start address (index 0Ch to 0Fh) as the BIOS set them. */
static uint16_t crtc16(uint8_t index)
{
    outb(0x3d4, index);
    uint16_t v = (uint16_t)(inb(0x3d5) << 8);
    outb(0x3d4, (uint8_t)(index + 1));
    return v | inb(0x3d5);
}

static void check_cursor(void)
{
    video(0x0003, 0, 0, 0); /* sets the mode, clears the screen */
    EXPECT_EQ(cursor(), 0);
    EXPECT_EQ(cell(0, 0), 0x0720);
    EXPECT_EQ(cell(24, 79), 0x0720);
    video(0x0200, 0, 0, 5 << 8 | 78);
    EXPECT_EQ(cursor(), 5 << 8 | 78);
    EXPECT_EQ(peek16(BDA, 0x50), 5 << 8 | 78);
    EXPECT_EQ(crtc16(0x0e), 5 * 80 + 78);
    EXPECT_EQ(crtc16(0x0c), 0);
    for (const char *s = "xyz"; *s; s++) /* over the end of the line */
        video(0x0e00 | (uint8_t)*s, 7, 0, 0);
    EXPECT_EQ(cursor(), 6 << 8 | 1);
    EXPECT_EQ(cell(5, 78), 0x0700 | 'x');
    EXPECT_EQ(cell(5, 79), 0x0700 | 'y');
    EXPECT_EQ(cell(6, 0), 0x0700 | 'z');
    video(0x0e0d, 7, 0, 0);
    video(0x0e0a, 7, 0, 0);
    EXPECT_EQ(cursor(), 7 << 8);
    video(0x0e08, 7, 0, 0);
    EXPECT_EQ(cursor(), 7 << 8);
    video(0x0100, 0, 0x0607, 0);
    EXPECT_EQ(video(0x0300, 0, 0, 0).ecx & 0xffff, 0x0607);
}

static void check_characters(void)
{
    static const char text[] = "string";
    video(0x0200, 0, 0, 10 << 8);
    video(0x0900 | 'A', 0x1e, 3, 0); /* three, with attribute; the cursor stays */
    EXPECT_EQ(cursor(), 10 << 8);
    EXPECT_EQ(cell(10, 0), 0x1e00 | 'A');
    EXPECT_EQ(cell(10, 2), 0x1e00 | 'A');
    EXPECT_EQ(cell(10, 3), 0x0720);
    video(0x0a00 | 'B', 0, 1, 0); /* the attribute stays */
    EXPECT_EQ(cell(10, 0), 0x1e00 | 'B');
    EXPECT_EQ(video(0x0800, 0, 0, 0).eax & 0xffff, 0x1e00 | 'B');
    struct regs r = regs_of(0x1301);
    r.ebx = 0x2f, r.ecx = 6, r.edx = 11 << 8 | 4, r.ebp = (uint32_t)text;
    bios(0x10, &r);
    EXPECT_EQ(cell(11, 4), 0x2f00 | 's');
    EXPECT_EQ(cell(11, 9), 0x2f00 | 'g');
    EXPECT_EQ(cursor(), 11 << 8 | 10);
}

static void check_scrolling(void)
{
    video(0x0601, 0x30 << 8, 10 << 8, 11 << 8 | 79); /* rows 10 and 11, up by one */
    EXPECT_EQ(cell(10, 4), 0x2f00 | 's');
    EXPECT_EQ(cell(11, 4), 0x3020);
    video(0x0701, 0x40 << 8, 10 << 8, 11 << 8 | 79); /* back down */
    EXPECT_EQ(cell(10, 4), 0x4020);
    EXPECT_EQ(cell(11, 4), 0x2f00 | 's');
    video(0x0200, 0, 0, 24 << 8);
    video(0x0e0a, 7, 0, 0); /* a new line on the last one moves all */
    EXPECT_EQ(cell(10, 4), 0x2f00 | 's');
    EXPECT_EQ(cursor(), 24 << 8);
    video(0x0600, 7 << 8, 0, 24 << 8 | 79); /* zero lines: all */
    EXPECT_EQ(cell(10, 4), 0x0720);
    video(0x0200, 0, 0, 0);
}

void check_video(void)
{
    check_mode();
    check_cursor();
    check_characters();
    check_scrolling();
}
