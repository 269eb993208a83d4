/* fpu_load_pc.c - FLD m32/m64/m80, FLD ST(i), FILD, FXCH, constants are exact whatever precision control
 * says; FADD and FSQRT are rounded by it (SDM 1, 8.1.5.2). */
#include "rt.h"
struct t {
    uint64_t m;
    uint16_t e;
} __attribute__((packed));
static struct t out;
static uint16_t cw;
#define GET() __asm__ volatile("fstpt %0" : "=m"(out))
#define WANT(se, mant)                                                                                       \
    EXPECT_EQ(out.e, se);                                                                                    \
    EXPECT_EQ(out.m, mant)
int guest_main(void)
{
    uint32_t c;
    __asm__ volatile("movl %%cr0, %0" : "=r"(c));
    c = (c | 0x22) & ~0xcu;
    __asm__ volatile("movl %0, %%cr0" : : "r"(c));
    static const uint16_t cws[] = {0x007f, 0x027f, 0x037f, 0x0c7f, 0x0e7f};
    static const uint64_t d = 0x40934a4584f4c6e7; /* 1234.56789 */
    static const int64_t i = 0x7fffffffffffffff;
    static const uint32_t f = 0x3f8ccccd;
    static const struct t x = {0xffffffffffffffff, 0x3fff};
    for (unsigned k = 0; k < 5; k++) {
        cw = cws[k];
        __asm__ volatile("fninit\n\tfldcw %0" : : "m"(cw));
        __asm__ volatile("fldl %0" : : "m"(d));
        GET();
        WANT(0x4009, 0x9a522c27a6373800);
        __asm__ volatile("fildll %0" : : "m"(i));
        GET();
        WANT(0x403d, 0xfffffffffffffffe);
        __asm__ volatile("flds %0" : : "m"(f));
        GET();
        WANT(0x3fff, 0x8ccccd0000000000);
        __asm__ volatile("fldt %0\n\tfld %%st(0)\n\tfxch\n\tfstp %%st(1)" : : "m"(x));
        GET();
        WANT(0x3fff, 0xffffffffffffffff);
        __asm__ volatile("fldt %0\n\tfchs\n\tfabs" : : "m"(x));
        GET();
        WANT(0x3fff, 0xffffffffffffffff);
        uint16_t sw;
        __asm__ volatile("fnstsw %0" : "=a"(sw));
        EXPECT_EQ(sw & 0x3f, 0); /* nothing was inexact */
        __asm__ volatile("fldt %0\n\tfadds %1" : : "m"(x), "m"(f));
        GET();
        if (cw == 0x007f) {
            WANT(0x4000, 0xc666660000000000);
        }
        __asm__ volatile("fnstsw %0" : "=a"(sw));
        EXPECT_EQ(sw & 0x20, 0x20);
    }
    cw = 0x007f; /* the sum of a double and an integer operand under single precision: operands exact, result
                    rounded once */
    __asm__ volatile("fninit\n\tfldcw %0\n\tfldl %1\n\tfsubl %1" : : "m"(cw), "m"(d));
    GET();
    WANT(0, 0);
    __asm__ volatile("fninit");
    return 0;
}
