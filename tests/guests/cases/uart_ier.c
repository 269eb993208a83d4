/* uart_ier.c - enabling an interrupt whose condition already holds raises it at once (THRE with an empty THR;
 * received data that came while IER was 0); reading IIR as THRE takes it back, once, no storm; IER 2 -> 0 ->
 * 2 raises it again. NS16550 data sheet, interrupt control functions. COM2 in loopback is not needed: COM1's
 * own loopback. */
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
static volatile uint32_t n, iirs[8], stuck;
static uint32_t loop_n;
static void irq4(struct frame *f)
{
    uint8_t i = inb(0x3fa);
    if (n < 8)
        iirs[n] = i;
    n++;
    if ((i & 0xf) == 4 || (i & 0xf) == 0xc)
        while (inb(0x3fd) & 1)
            inb(0x3f8);
    if (n > 100) {
        stuck = 1;
        outb(0x3f9, 0);
    }
    irq_eoi(4);
}
static void spin(unsigned k)
{
    for (unsigned i = 0; i < k; i++)
        __asm__ volatile("nop");
}
int guest_main(void)
{
    set_isr(IRQ_BASE + 4, irq4);
    irq_unmask(4);
    while (!(inb(0x3fd) & 0x40))
        ;
    outb(0x3fc, 0x0b);
    sti();
    for (unsigned k = 0; k < 3; k++) {
        n = 0;
        outb(0x3f9, 2);
        spin(20000);
        EXPECT_EQ(n, 1);
        EXPECT_EQ(iirs[0] & 0xf, 2);
        EXPECT_EQ(inb(0x3fa) & 0xf, 1);
        outb(0x3f9, 0);
        spin(200);
    }
    /* polled: the THRE indication goes with the IIR read, LSR.THRE stays */
    cli();
    outb(0x3f9, 2);
    EXPECT_EQ(inb(0x3fa) & 0xf, 2);
    EXPECT_EQ(inb(0x3fa) & 0xf, 1);
    EXPECT_EQ(inb(0x3fd) & 0x60, 0x60);
    outb(0x3f9, 0);
    sti();
    spin(1000);
    /* received data while IER = 0, then RDI on */
    outb(0x3fa, 7);
    outb(0x3fc, 0x1b);
    outb(0x3fb, 3);
    n = 0;
    outb(0x3f8, 0x5a);
    for (unsigned i = 0; i < 100000 && !(inb(0x3fd) & 1); i++)
        ;
    EXPECT_EQ(inb(0x3fd) & 1, 1);
    spin(5000);
    EXPECT_EQ(n, 0);
    outb(0x3f9, 1);
    spin(5000);
    loop_n = n;
    /* in loopback OUT2 is disconnected on a PC: the line to the 8259 floats; IIR is what counts */
    outb(0x3f9, 0);
    outb(0x3fa, 7);
    outb(0x3f8, 0xa5);
    for (unsigned i = 0; i < 100000 && !(inb(0x3fd) & 1); i++)
        ;
    cli();
    outb(0x3f9, 1);
    EXPECT_EQ(inb(0x3fa) & 0xf, 4);
    EXPECT_EQ(inb(0x3f8), 0xa5);
    EXPECT_EQ(inb(0x3fa) & 0xf, 1);
    outb(0x3f9, 0);
    outb(0x3fc, 0x0b);
    EXPECT_EQ(stuck, 0);
    report();
    return 0;
}
