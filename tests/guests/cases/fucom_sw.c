/* fucom_sw.c - condition codes behind FUCOMPP/FUCOMP/FUCOM/FCOM/FTST read by FNSTSW AX at once, then SAHF and
 * a condition, with AX dirty before; FNSTSW m16 as well; TOP after the double pop. */
#include "rt.h"
static const uint64_t two = 0x4000000000000000, nan = 0x7ff8000000000000;
static uint16_t mem;
int guest_main(void)
{
    uint32_t c;
    __asm__ volatile("movl %%cr0, %0" : "=r"(c));
    c = (c | 0x22) & ~0xcu;
    __asm__ volatile("movl %0, %%cr0" : : "r"(c));
    uint32_t a, b;
    for (unsigned round = 0; round < 200; round++) { /* so that it is compiled, too */
        a = 0xa5a5ffff;
        __asm__ volatile("fninit\n\tfnclex\n\txorw %%ax, %%ax\n\torw $1, %%ax\n\tfldl "
                         "%2\n\tfld1\n\tfucompp\n\tfnstsw %%ax\n\tsahf\n\tseta %b1\n\tmovzbl %b1, %1"
                         : "+a"(a), "=&q"(b)
                         : "m"(two));
        EXPECT_EQ(b, 0);
        EXPECT_EQ(a, 0xa5a50100u); /* 1 < 2: C0; TOP 0 */
        __asm__ volatile("fld1\n\tfldl %2\n\tfucompp\n\tfnstsw %%ax\n\tsahf\n\tseta %b1\n\tmovzbl %b1, %1"
                         : "+a"(a), "=&q"(b)
                         : "m"(two));
        EXPECT_EQ(b, 1);
        EXPECT_EQ(a & 0xffff, 0);
        __asm__ volatile("fldl %1\n\tfld1\n\tfucomp %%st(1)\n\tfnstsw %2\n\tfstp %%st(0)"
                         : "+a"(a)
                         : "m"(nan), "m"(mem)
                         : "memory");
        EXPECT_EQ(mem, 0x7d00); /* C3 C2 C0, TOP 7, no IE: quiet compare of a QNaN */
        __asm__ volatile("fldz\n\tftst\n\tfnstsw %%ax\n\tfstp %%st(0)" : "+a"(a));
        EXPECT_EQ(a & 0xffff, 0x7800);
        __asm__ volatile("fnclex\n\tfldl %1\n\tfcomp %%st(0)\n\tfnstsw %%ax" : "+a"(a) : "m"(nan));
        EXPECT_EQ(a & 0x4501, 0x4501); /* signals IE */
        __asm__ volatile("fninit");
    }
    return 0;
}
