/* bt_flags.c - BT/BTS/BTR/BTC change CF only on real parts (ZF is defined as unchanged; OF SF AF PF are
 * observed unchanged on the host): the conditional instruction behind sees the flags of the one before. Also
 * bit strings in memory with negative offsets, and 16-bit register offsets. */
#include "rt.h"
#define M 0x8d5u
#define BT(ins)                                                                                              \
    __asm__ volatile("pushl %3\n\tpopfl\n\t" ins "\n\tpushfl\n\tpopl %0"                                     \
                     : "=&r"(f), "+d"(d), "+b"(b)                                                            \
                     : "r"(fin), "m"(w)                                                                      \
                     : "memory")
static uint32_t w[8];
int guest_main(void)
{
    uint32_t f, d, b;
    for (uint32_t fin = 0x2; fin < 0x1000; fin = (fin | ~M) + 1, fin &= M) {
        if (!(fin & M) && fin != 2)
            break;
        for (unsigned k = 0; k < 4; k++) {
            static const uint32_t dv[] = {0x8001, 0x12340001, 0xffff7ffe, 0};
            static const uint32_t bv[] = {0x0f, 0x10, 0xfff0, 0x1f};
            d = dv[k], b = bv[k];
            unsigned want = dv[k] >> (bv[k] & 15) & 1;
            BT("btw %%bx, %%dx");
            EXPECT_EQ(f & M, (fin & M & ~1u) | want);
            EXPECT_EQ(d, dv[k]);
            want = dv[k] >> (bv[k] & 31) & 1;
            BT("btcl %%ebx, %%edx");
            EXPECT_EQ(f & M, (fin & M & ~1u) | want);
            EXPECT_EQ(d, dv[k] ^ 1u << (bv[k] & 31));
        }
        if (fin == M)
            break;
    }
    /* the sequence of the report's kind: add sets OF, bt, cmovno must look at the old OF */
    uint32_t r = 1;
    __asm__ volatile("movl $0x7fffffff, %%ecx\n\taddl $1, %%ecx\n\tmovl $0x8001, %%edx\n\tmovl $15, "
                     "%%ebx\n\tbtw %%dx, %%bx\n\tmovl $7, %%ecx\n\tcmovnol %%ecx, %0"
                     : "+r"(r)
                     :
                     : "ecx", "edx", "ebx");
    EXPECT_EQ(r, 1);
    for (unsigned i = 0; i < 8; i++)
        w[i] = 0;
    uint32_t off = (uint32_t)-33, c;
    __asm__ volatile("btsl %2, %1\n\tsbbl %0, %0" : "=r"(c), "+m"(w[4]) : "r"(off) : "memory");
    EXPECT_EQ(c, 0);
    EXPECT_EQ(w[2], 0x80000000u);
    __asm__ volatile("btrl %2, %1\n\tsbbl %0, %0" : "=r"(c), "+m"(w[4]) : "r"(off) : "memory");
    EXPECT_EQ(c, 0xffffffffu);
    EXPECT_EQ(w[2], 0);
    __asm__ volatile("btsw %w1, %0" : "+m"(w[4]) : "r"(0xfff0 | 0x50000) : "memory"); /* offset -16 */
    EXPECT_EQ(w[3], 0x00010000u);
    return 0;
}
