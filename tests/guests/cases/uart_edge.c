/* uart_edge.c - the UART's INTR is a level, the 8259's input wants an edge: a handler that takes one source
 * and leaves another pending gets no further interrupt until the level falls once (IER off and on). Here:
 * received data left in the FIFO while THRE is enabled. And 16 bytes with trigger 8: one interrupt at 8, a
 * timeout (IIR C) for a rest. */
#include "rt.h"
/* results are kept until the port is back from loopback */
static struct {
    const char *what;
    int line;
    uint32_t got, want;
} bad[32];
static unsigned nbad;
#undef EXPECT_EQ
#define EXPECT_EQ(g, w)                                                                                      \
    do {                                                                                                     \
        uint32_t g_ = (g), w_ = (w);                                                                         \
        checks++;                                                                                            \
        if (g_ != w_ && nbad < 32) {                                                                         \
            bad[nbad].what = #g " == " #w;                                                                   \
            bad[nbad].line = __LINE__;                                                                       \
            bad[nbad].got = g_;                                                                              \
            bad[nbad++].want = w_;                                                                           \
        }                                                                                                    \
    } while (0)
static void report(void)
{
    outb(0x3f9, 0);
    outb(0x3fc, 0x0b);
    outb(0x3fa, 7);
    for (unsigned i = 0; i < nbad; i++)
        expect_failed(bad[i].what, __FILE__, bad[i].line, bad[i].got, bad[i].want);
}
static void spin(unsigned k)
{
    for (unsigned i = 0; i < k; i++)
        __asm__ volatile("nop");
}
static void send(unsigned k)
{
    while (k--) {
        while (!(inb(0x3fd) & 0x20))
            ;
        outb(0x3f8, (uint8_t)k);
    }
    while (!(inb(0x3fd) & 0x40))
        ;
}
static uint8_t raw[4];
int guest_main(void)
{
    while (!(inb(0x3fd) & 0x40))
        ;
    outb(0x3fb, 0x83);
    outb(0x3f8, 1);
    outb(0x3f9, 0);
    outb(0x3fb, 3);
    outb(0x3fa, 0x87);
    outb(0x3fc, 0x1b);
    outb(0x3f9, 1); /* trigger 8, loopback */
    send(7);
    EXPECT_EQ(inb(0x3fd) & 1, 1);
    /* 4 character times of 10 bits at 115200: 347 us */
    EXPECT_EQ(inb(0x3fa) & 0xf, 1);
    spin(60000 >> 0);
    EXPECT_EQ(inb(0x3fa) & 0xf, 0xc); /* at 8 ns: 480 us and more */
    inb(0x3f8);
    EXPECT_EQ(inb(0x3fa) & 0xf, 1); /* a read takes the timeout back */
    send(2);
    EXPECT_EQ(inb(0x3fa) & 0xf, 4); /* 8 again */
    inb(0x3f8);
    EXPECT_EQ(inb(0x3fa) & 0xf, 1); /* below the trigger */
    while (inb(0x3fd) & 1)
        inb(0x3f8);
    /* OE comes with the 17th, not before, and goes with the LSR read; no polling of LSR meanwhile: 2 ms are
     * enough for 17 */
    for (unsigned k = 0; k < 15; k++)
        outb(0x3f8, (uint8_t)(15 - k));
    outb(0x3f8, 0);
    spin(100000);
    raw[0] = inb(0x3fd);
    outb(0x3f8, 0xee);
    spin(30000);
    raw[1] = inb(0x3fd);
    raw[2] = inb(0x3fd);
    EXPECT_EQ(raw[0] & 3, 1);
    EXPECT_EQ(raw[1] & 3, 3);
    EXPECT_EQ(raw[2] & 3, 1);
    unsigned c = 0;
    while (inb(0x3fd) & 1) {
        uint8_t v = inb(0x3f8);
        if (c == 0)
            EXPECT_EQ(v, 15);
        c++;
    }
    EXPECT_EQ(c, 16);
    /* LSR error has priority over data: IIR 6 (acknowledged by reading LSR, not IIR: data sheet, table of
     * interrupts), then 4 */
    outb(0x3f9, 5);
    for (unsigned k = 0; k < 16; k++)
        outb(0x3f8, (uint8_t)k);
    spin(100000);
    outb(0x3f8, 1);
    spin(30000);
    EXPECT_EQ(inb(0x3fa) & 0xf, 6);
    EXPECT_EQ(inb(0x3fa) & 0xf, 6);
    inb(0x3fd);
    EXPECT_EQ(inb(0x3fa) & 0xf, 4);
    /* resetting the FIFO drops data and its interrupt */
    outb(0x3fa, 0x83);
    EXPECT_EQ(inb(0x3fd) & 1, 0);
    EXPECT_EQ(inb(0x3fa) & 0xf, 1);
    outb(0x3f9, 0);
    outb(0x3fc, 0x0b);
    outb(0x3fa, 7);
    report();
    print("LSR %x %x %x\n", raw[0], raw[1], raw[2]);
    return 0;
}
