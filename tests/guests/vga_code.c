/* vga_code: code in video memory, which the graphics card itself changes: a write to the planes at A0000 is
 * an access to the chip, and what it leaves in memory is executed by the next instruction. The linear frame
 * buffer shows byte a of plane p at 4 * a + p. */
#include "vga.h"

#define FRAME 0xE0000000u
#define TURNS 3000 /* enough for the loop to be compiled, in every engine */

static const struct mode mode_12h = {0xE3,
                                     {3, 0x01, 0x0F, 0, 0x06},
                                     {0x5F, 0x4F, 0x50, 0x82, 0x54, 0x80, 0x0B, 0x3E, 0,
                                      0x40, 0,    0,    0,    0,    0,    0,    0xEA, 0x8C,
                                      0xDF, 0x28, 0x00, 0xE7, 0x04, 0xE3, 0xFF},
                                     {0, 0, 0, 0, 0, 0x00, 0x05, 0x0F, 0xFF},
                                     0x01,
                                     0x0F};

static uint32_t call(uint32_t code, uint32_t turns)
{
    uint32_t sum = 0;

    __asm__ volatile("call *%2" : "+d"(sum), "+c"(turns) : "r"(code) : "eax", "memory", "cc");
    return sum;
}

static void put_code(uint32_t at, const uint8_t *code, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        ((volatile uint8_t *)at)[i] = code[i];
}

static void place_frame_buffer(void)
{
    outl(0xCF8, 0x80001010);
    outl(0xCFC, FRAME);
    outl(0xCF8, 0x80001004);
    outl(0xCFC, 7);
}

/* A byte that is written to all planes becomes all four bytes of the operand of MOV $imm32, %edx, which code
 * in RAM calls next. */
static void check_called(void)
{
    static const uint8_t code[] = {0xBA, 0, 0, 0, 0, 0xC3};

    put_code(FRAME + 0x1003, code, sizeof code);
    for (unsigned i = 1; i <= TURNS; i++) {
        window[0x1004 / 4] = (uint8_t)i;
        uint32_t got = call(FRAME + 0x1003, 0);
        if (got != (i & 255) * 0x01010101)
            EXPECT_EQ(got, (i & 255) * 0x01010101);
    }
    EXPECT(true);
}

/* A loop in video memory writes to the planes and so changes its own next instruction. */
static void check_next_instruction(void)
{
    static const uint8_t code[] = {
        0x88, 0x0D, 0x02, 0x08, 0x0A, 0x00, /* mov %cl, 0xA0802: bytes 2008h to 200Bh of the frame buffer */
        0xB8, 0,    0,    0,    0,          /* mov $imm, %eax: those bytes are its operand */
        0x01, 0xC2,                         /* add %eax, %edx */
        0x49,                               /* dec %ecx */
        0x75, 0xF0,                         /* jnz to the first */
        0xC3};
    uint32_t want = 0;

    for (uint32_t i = 1; i <= TURNS; i++)
        want += (i & 255) * 0x01010101;
    put_code(FRAME + 0x2001, code, sizeof code);
    EXPECT_EQ(call(FRAME + 0x2001, TURNS), want);
}

/* The write mode 1 copies four bytes of code at once, by the latches. */
static void check_latches(void)
{
    static const uint8_t one[] = {0x83, 0xC2, 0x01, 0xC3}, two[] = {0x83, 0xC2, 0x02, 0xC3};

    put_code(FRAME + 0x3000, one, 4);
    put_code(FRAME + 0x3100, two, 4);
    set(GFX, 5, 1);
    for (unsigned i = 0; i < TURNS; i++) {
        (void)window[(i % 2 ? 0x3100 : 0x3000) / 4];
        window[0x3200 / 4] = 0;
        if (call(FRAME + 0x3200, 0) != 1 + i % 2)
            EXPECT_EQ(call(FRAME + 0x3200, 0), 1 + i % 2);
    }
    set(GFX, 5, 0);
}

static void text_access(bool on)
{
    set(SEQ, 2, on ? 0x03 : 0x0F);
    set(SEQ, 4, on ? 0x02 : 0x06);
    set(GFX, 5, on ? 0x10 : 0x00);
    set(GFX, 6, on ? 0x0E : 0x05);
}

/* Code in text memory follows its planes through changes of mode. */
static void check_modes(void)
{
    static const uint8_t code[] = {0xBA, 1, 0, 0, 0, 0xC3};

    text_access(true);
    put_code((uint32_t)colour_text + 0x101, code,
             sizeof code); /* its operand's first byte: 102h, in plane 0 */
    for (unsigned i = 1; i < 50; i++) {
        EXPECT_EQ(call((uint32_t)colour_text + 0x101, 0), i);
        text_access(false);
        set(SEQ, 2, 1);
        window[0x81] = (uint8_t)(i + 1);
        text_access(true);
    }
}

/* The Bochs interface clears its screen: what ran there is gone. */
static void check_clear(void)
{
    static const uint8_t code[] = {0x42, 0x42, 0xC3}; /* inc %edx, twice */

    text_access(false);
    for (unsigned i = 0; i < 20; i++) {
        put_code(FRAME + 0x4000, code, sizeof code);
        EXPECT_EQ(call(FRAME + 0x4000, 0), 2);
        for (unsigned reg = 1; reg < 5; reg++) {
            __asm__ volatile("outw %0, %1" : : "a"((uint16_t)reg), "d"((uint16_t)0x1CE));
            __asm__ volatile("outw %0, %1"
                             :
                             : "a"((uint16_t)(reg == 4   ? 0x41
                                              : reg == 3 ? 32
                                                         : 256)),
                               "d"((uint16_t)0x1CF));
        }
        EXPECT_EQ(*(volatile uint32_t *)(FRAME + 0x4000), 0);
        __asm__ volatile("outw %0, %1" : : "a"((uint16_t)0), "d"((uint16_t)0x1CF)); /* off */
    }
}

int guest_main(void)
{
    place_frame_buffer();
    set_mode(&mode_12h);
    check_called();
    check_next_instruction();
    check_latches();
    check_modes();
    check_clear();
    return 0;
}
