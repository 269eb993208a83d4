/* rcr_wrap.c - RCR/RCL on 8, 16 and 32 bits with every masked count, CF 0 and 1, against a bit-by-bit model.
 * Counts 9, 18, 27 (8 bit) and 17 (16 bit) leave operand and CF alone. */
#include "rt.h"
static void model(unsigned bits, int left, unsigned n, uint32_t *v, unsigned *cf)
{
    for (n &= 31; n; n--) {
        if (left) {
            unsigned out = *v >> (bits - 1) & 1;
            *v = (*v << 1 | *cf) & (bits == 32 ? ~0u : (1u << bits) - 1);
            *cf = out;
        } else {
            unsigned out = *v & 1;
            *v = *v >> 1 | *cf << (bits - 1);
            *cf = out;
        }
    }
}
#define OP(ins, reg)                                                                                         \
    __asm__ volatile("btl $0, %2\n\t" ins "\n\tsetc %b1" : "+a"(r), "=&d"(c), "+r"(c0) : "c"(n))
int guest_main(void)
{
    static const uint32_t vals[] = {0, 0xdeadbeef, 0x80000001, 0x7fffffff, 0xaaaaaaaa, 0x00ff8001};
    for (unsigned k = 0; k < 6; k++)
        for (unsigned n = 0; n < 70; n++)
            for (unsigned cin = 0; cin < 2; cin++)
                for (unsigned op = 0; op < 8; op++) {
                    uint32_t r = vals[k], c = 0, c0 = cin, keep = 0, w, e;
                    unsigned cf = cin, bits = op < 2 ? 8 : op < 4 ? 16 : op < 6 ? 32 : 8;
                    switch (op) {
                    case 0:
                        OP("rcrb %%cl, %%al", a);
                        keep = 0xffffff00;
                        break;
                    case 1:
                        OP("rclb %%cl, %%al", a);
                        keep = 0xffffff00;
                        break;
                    case 2:
                        OP("rcrw %%cl, %%ax", a);
                        keep = 0xffff0000;
                        break;
                    case 3:
                        OP("rclw %%cl, %%ax", a);
                        keep = 0xffff0000;
                        break;
                    case 4:
                        OP("rcrl %%cl, %%eax", a);
                        break;
                    case 5:
                        OP("rcll %%cl, %%eax", a);
                        break;
                    case 6:
                        OP("rcrb %%cl, %%ah", a);
                        keep = 0xffff00ff;
                        break;
                    case 7:
                        OP("rclb %%cl, %%ah", a);
                        keep = 0xffff00ff;
                        break;
                    }
                    w = op >= 6 ? vals[k] >> 8 & 0xff : bits == 32 ? vals[k] : vals[k] & ((1u << bits) - 1);
                    model(bits, op & 1, n, &w, &cf);
                    e = (vals[k] & keep) | (op >= 6 ? w << 8 : w);
                    checks++;
                    if (r != e || (c & 1) != cf) {
                        print("op %u val %x count %u cf %u:\n", op, vals[k], n, cin);
                        expect_failed("result:cf", __FILE__, __LINE__, (uint64_t)r << 4 | (c & 1),
                                      (uint64_t)e << 4 | cf);
                    }
                }
    /* immediate forms, the very one of the report */
    uint32_t b = 0x0000a500, c;
    __asm__ volatile("stc\n\trcrb $9, %%bh\n\tsetc %%al\n\tmovzbl %%al, %%eax" : "+b"(b), "=a"(c));
    EXPECT_EQ(b, 0xa500);
    EXPECT_EQ(c, 1);
    __asm__ volatile("clc\n\trcrb $18, %%bh\n\tsetc %%al\n\tmovzbl %%al, %%eax" : "+b"(b), "=a"(c));
    EXPECT_EQ(b, 0xa500);
    EXPECT_EQ(c, 0);
    __asm__ volatile("stc\n\trcrw $17, %%bx\n\tsetc %%al\n\tmovzbl %%al, %%eax" : "+b"(b), "=a"(c));
    EXPECT_EQ(b, 0xa500);
    EXPECT_EQ(c, 1);
    return 0;
}
