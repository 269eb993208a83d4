/* msr_mxcsr.c - RDMSR/WRMSR of an MSR that is not there: #GP(0) at the instruction, EDX:EAX kept; LDMXCSR and
 * FXRSTOR with bits outside MXCSR_MASK: #GP(0), MXCSR kept; bits inside are taken (0xBFA1 with DAZ in the
 * mask). */
#include "rt.h"
static volatile uint32_t gps, err, eip;
extern char m1[], m2[], m3[], m4[];
static void gp(struct frame *f)
{
    gps++, err = f->error, eip = f->eip;
    f->eip += eip == (uint32_t)m1 || eip == (uint32_t)m2 ? 2 : eip == (uint32_t)m3 ? 3 : 3;
}
static uint8_t fx[512] __attribute__((aligned(16)));
static uint32_t mx, got;
int guest_main(void)
{
    uint32_t c, a = 0x1111, d = 0x2222;
    set_isr(13, gp);
    __asm__ volatile("movl %%cr0, %0" : "=r"(c));
    c = (c | 0x22) & ~0xcu;
    __asm__ volatile("movl %0, %%cr0" : : "r"(c));
    __asm__ volatile("movl %%cr4, %0" : "=r"(c));
    c |= 0x600;
    __asm__ volatile("movl %0, %%cr4" : : "r"(c));
    __asm__ volatile("m1:\trdmsr" : "+a"(a), "+d"(d) : "c"(0x12345678));
    EXPECT_EQ(gps, 1);
    EXPECT_EQ(err, 0);
    EXPECT_EQ(eip, (uint32_t)m1);
    EXPECT_EQ(a, 0x1111);
    EXPECT_EQ(d, 0x2222);
    __asm__ volatile("m2:\twrmsr" : "+a"(a), "+d"(d) : "c"(0x12345678));
    EXPECT_EQ(gps, 2);
    EXPECT_EQ(eip, (uint32_t)m2);
    __asm__ volatile("fxsave %0" : "=m"(fx));
    uint32_t mask = *(uint32_t *)(fx + 28);
    if (!mask)
        mask = 0xffbf;
    print("MXCSR_MASK %x\n", mask);
    mx = 0x1f80;
    __asm__ volatile("ldmxcsr %0" : : "m"(mx));
    mx = 0xbfa1;
    __asm__ volatile("ldmxcsr %0" : : "m"(mx));
    __asm__ volatile("stmxcsr %0" : "=m"(got));
    EXPECT_EQ(gps, 2);
    EXPECT_EQ(got, 0xbfa1);
    for (unsigned bit = 0; bit < 32; bit++) {
        mx = 0x1f80;
        __asm__ volatile("ldmxcsr %0" : : "m"(mx));
        mx = 0x1f80 ^ 1u << bit;
        gps = 0;
        __asm__ volatile("leal %0, %%eax\n\tm3:\tldmxcsr (%%eax)" : : "m"(mx) : "eax");
        __asm__ volatile("stmxcsr %0" : "=m"(got));
        EXPECT_EQ(gps, !(mask >> bit & 1));
        EXPECT_EQ(got, mask >> bit & 1 ? mx : 0x1f80);
        if (gps) {
            EXPECT_EQ(err, 0);
            EXPECT_EQ(eip, (uint32_t)m3);
        }
        __asm__ volatile("fxsave %0" : "=m"(fx));
        uint32_t old = *(uint32_t *)(fx + 24);
        *(uint32_t *)(fx + 24) = 0x1f80 ^ 1u << bit;
        gps = 0;
        __asm__ volatile("leal %0, %%eax\n\tm4:\tfxrstor (%%eax)" : : "m"(fx) : "eax");
        __asm__ volatile("stmxcsr %0" : "=m"(got));
        EXPECT_EQ(gps, !(mask >> bit & 1));
        EXPECT_EQ(got, gps ? old : 0x1f80 ^ 1u << bit);
    }
    return 0;
}
