/* f2xm1.c - 2^x - 1 at 0.72134752... ; the correctly rounded result is within 1 ulp of what real parts give
 * (...BC97 and ...BC98 are reported); PE set, C1 says rounded up. Prints the value: it must not depend on the
 * mode. */
#include "rt.h"
struct t {
    uint64_t m;
    uint16_t e;
} __attribute__((packed));
int guest_main(void)
{
    uint32_t c;
    __asm__ volatile("movl %%cr0, %0" : "=r"(c));
    c = (c | 0x22) & ~0xcu;
    __asm__ volatile("movl %0, %%cr0" : : "r"(c));
    static const struct t x = {0xb8aa3b295c17f0bc, 0x3ffe};
    struct t r;
    uint16_t sw;
    __asm__ volatile("fninit\n\tfldt %2\n\tf2xm1\n\tfnstsw %1\n\tfstpt %0" : "=m"(r), "=a"(sw) : "m"(x));
    print("f2xm1 %x %X sw %x\n", r.e, r.m, sw & 0x23f);
    EXPECT_EQ(r.e, 0x3ffe);
    EXPECT(r.m == 0xa61298e1e069bc97 || r.m == 0xa61298e1e069bc98);
    EXPECT_EQ(sw & 0x3f, 0x20);
    /* exact or fixed cases: 0, -0, 1, -1 */
    static const struct t in[] = {
        {0, 0}, {0, 0x8000}, {0x8000000000000000, 0x3fff}, {0x8000000000000000, 0xbfff}};
    static const struct t want[] = {
        {0, 0}, {0, 0x8000}, {0x8000000000000000, 0x3fff}, {0x8000000000000000, 0xbffe}};
    for (unsigned i = 0; i < 4; i++) {
        __asm__ volatile("fninit\n\tfldt %2\n\tf2xm1\n\tfnstsw %1\n\tfstpt %0"
                         : "=m"(r), "=a"(sw)
                         : "m"(in[i]));
        EXPECT_EQ(r.m, want[i].m);
        EXPECT_EQ(r.e, want[i].e);
    }
    __asm__ volatile("fninit");
    return 0;
}
