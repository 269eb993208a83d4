/* vga.h - what the VGA guests share: registers of the modes, set without a BIOS, and a palette.
 *
 * The values are those of the IBM Personal System/2 and Personal Computer BIOS Interface Technical
 * Reference's modes; the picture that follows from a demo is computed apart, by tests/screens/scenes.py. */
#ifndef TANDEM_TESTS_GUESTS_VGA_H
#define TANDEM_TESTS_GUESTS_VGA_H

#include "rt.h"

#define SEQ  0x3C4
#define GFX  0x3CE
#define CRTC 0x3D4

struct mode {
    uint8_t misc, seq[5], crtc[25], gfx[9], attr_mode, attr_planes;
};

static volatile uint8_t *const window = (volatile uint8_t *)0xA0000;
static volatile uint8_t *const colour_text = (volatile uint8_t *)0xB8000;

static inline void set(uint16_t port, uint8_t index, uint8_t v)
{
    outb(port, index);
    outb(port + 1, v);
}

static inline void set_attr(uint8_t index, uint8_t v)
{
    inb(0x3DA);
    outb(0x3C0, index);
    outb(0x3C0, v);
    inb(0x3DA);
    outb(0x3C0, 0x20);
}

/* 64 levels: red rises, green runs through three times, blue falls. */
static inline void set_palette(void)
{
    outb(0x3C6, 0xFF);
    outb(0x3C8, 0);
    for (unsigned n = 0; n < 256; n++) {
        outb(0x3C9, (uint8_t)(n >> 2));
        outb(0x3C9, n * 3 & 63);
        outb(0x3C9, (uint8_t)(63 - (n >> 2)));
    }
}

/* Dots of number n are colour first + n * step of the DAC. */
static inline void set_colours(unsigned first, unsigned step)
{
    for (uint8_t n = 0; n < 16; n++)
        set_attr(n, (uint8_t)(first + n * step) & 63);
}

static inline void set_mode(const struct mode *m)
{
    outb(0x3C2, m->misc);
    set(SEQ, 0, 1);
    for (uint8_t i = 1; i < 5; i++)
        set(SEQ, i, m->seq[i]);
    set(SEQ, 0, 3);
    set(CRTC, 0x11, 0); /* registers 0 to 7 can be written */
    for (uint8_t i = 0; i < 25; i++)
        set(CRTC, i, m->crtc[i]);
    for (uint8_t i = 0; i < 9; i++)
        set(GFX, i, m->gfx[i]);
    set_colours(0, 1);
    set_attr(0x10, m->attr_mode);
    set_attr(0x11, 0);
    set_attr(0x12, m->attr_planes);
    set_attr(0x13, 0);
    set_attr(0x14, 0);
    set_palette();
}

static inline void set_start(uint16_t address)
{
    set(CRTC, 0x0C, (uint8_t)(address >> 8));
    set(CRTC, 0x0D, (uint8_t)address);
}

/* The lower part of a split screen begins behind this scan line. */
static inline void set_line_compare(const struct mode *m, unsigned line)
{
    set(CRTC, 0x18, (uint8_t)line);
    set(CRTC, 7, (uint8_t)((m->crtc[7] & ~0x10u) | (line >> 8 & 1) << 4));
    set(CRTC, 9, (uint8_t)((m->crtc[9] & ~0x40u) | (line >> 9 & 1) << 6));
}

static inline void wait_frame(void)
{
    while (inb(0x3DA) & 8)
        ;
    while (!(inb(0x3DA) & 8))
        ;
}

#endif
