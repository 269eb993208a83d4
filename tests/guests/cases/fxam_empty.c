/* fxam_empty.c - FXAM of an empty register is class empty (C3 C2 C0 = 101) with C1 the sign of what lies
 * there, after FNINIT, FDECSTP, FFREE and pops; the other classes for comparison. */
#include "rt.h"
struct t {
    uint64_t m;
    uint16_t e;
} __attribute__((packed));
static unsigned cc(void)
{
    uint16_t sw;
    __asm__ volatile("fxam\n\tfnstsw %0" : "=a"(sw));
    return sw & 0x4700;
}
int guest_main(void)
{
    uint32_t c;
    __asm__ volatile("movl %%cr0, %0" : "=r"(c));
    c = (c | 0x22) & ~0xcu;
    __asm__ volatile("movl %0, %%cr0" : : "r"(c));
    __asm__ volatile("fninit");
    EXPECT_EQ(cc() & 0x4500, 0x4100);
    __asm__ volatile("fninit\n\tfld1\n\tfchs\n\tfdecstp");
    EXPECT_EQ(cc() & 0x4500, 0x4100);
    __asm__ volatile("fincstp");
    EXPECT_EQ(cc(), 0x0400 | 0x0200);
    __asm__ volatile("ffree %st(0)");
    EXPECT_EQ(cc(), 0x4100 | 0x0200); /* -1.0 still lies there */
    __asm__ volatile("fninit\n\tfld1\n\tfstp %st(0)\n\tfdecstp");
    EXPECT_EQ(cc(), 0x4100);
    __asm__ volatile("fninit\n\tfldz");
    EXPECT_EQ(cc(), 0x4000);
    static const struct t v[] = {{0, 0x8000},
                                 {1, 0},
                                 {0x8000000000000000, 0},
                                 {0x8000000000000000, 0x7fff},
                                 {0xc000000000000000, 0xffff},
                                 {0x8000000000000001, 0x7fff},
                                 {0x4000000000000000, 0x3fff},
                                 {0, 0x7fff},
                                 {0x8000000000000000, 0xbfff}};
    static const unsigned want[] = {0x4200, 0x4400, 0x4400, 0x0500, 0x0300, 0x0100, 0x0000, 0x0000, 0x0600};
    for (unsigned i = 0; i < 9; i++) {
        __asm__ volatile("fninit\n\tfldt %0" : : "m"(v[i]));
        EXPECT_EQ(cc(), want[i]);
    }
    __asm__ volatile("fninit");
    return 0;
}
