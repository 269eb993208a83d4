/* sse.c - MMX, SSE and SSE2 as an operating system meets them: what enables them, which exceptions they
 * raise, the FXSAVE image, and a lazy switch of their state between two tasks. */
#include "rt.h"

enum { CR0_MP = 1 << 1, CR0_EM = 1 << 2, CR0_TS = 1 << 3, CR0_NE = 1 << 5 };
enum { CR4_OSFXSR = 1 << 9, CR4_OSXMMEXCPT = 1 << 10 };
enum { UD = 6, NM = 7, GP = 13, MF = 16, XM = 19, NOTHING = 0xff };

struct image {
    uint16_t fcw, fsw;
    uint8_t ftw, zero;
    uint16_t fop;
    uint32_t fip, fcs, fdp, fds, mxcsr, mxcsr_mask;
    uint8_t st[8][16], xmm[8][16], rest[224];
} __attribute__((aligned(16)));
_Static_assert(sizeof(struct image) == 512, "FXSAVE's image");

static volatile uint32_t seen_vector, seen_eip;
volatile uint32_t resume; /* named in asm */
static struct image img;
static uint8_t bytes[64] __attribute__((aligned(16)));

static void catch (struct frame *f)
{
    seen_vector = f->vector, seen_eip = f->eip;
    f->eip = resume;
}

/* Runs one instruction with EAX given; the vector that it raised, and nothing else may. */
#define TRY(insn, eax)                                                                                       \
    ({                                                                                                       \
        uint32_t at_, a_ = (uint32_t)(eax);                                                                  \
        seen_vector = NOTHING;                                                                               \
        __asm__ volatile("movl $2f, resume\n\tmovl $1f, %0\n1:\t" insn "\n2:"                                \
                         : "=&S"(at_), "+a"(a_)                                                              \
                         :                                                                                   \
                         : "memory", "cc");                                                                  \
        if (seen_vector != NOTHING)                                                                          \
            EXPECT_EQ(seen_eip, at_);                                                                        \
        seen_vector;                                                                                         \
    })
#define RUN(insn) __asm__ volatile(insn : : : "memory", "cc")

static void cr0_bits(uint32_t clear, uint32_t set)
{
    __asm__ volatile("movl %%cr0, %%eax\n\tandl %0, %%eax\n\torl %1, %%eax\n\tmovl %%eax, %%cr0"
                     :
                     : "ri"(~clear), "ri"(set)
                     : "eax", "memory");
}

static void cr4_bits(uint32_t clear, uint32_t set)
{
    __asm__ volatile("movl %%cr4, %%eax\n\tandl %0, %%eax\n\torl %1, %%eax\n\tmovl %%eax, %%cr4"
                     :
                     : "ri"(~clear), "ri"(set)
                     : "eax", "memory");
}

static void set_mxcsr(uint32_t value)
{
    __asm__ volatile("ldmxcsr %0" : : "m"(value));
}

static uint32_t mxcsr(void)
{
    uint32_t value;
    __asm__ volatile("stmxcsr %0" : "=m"(value));
    return value;
}

static void save(void)
{
    memset(&img, 0x5a, sizeof img);
    __asm__ volatile("fxsave %0" : "=m"(img));
}

static void check_cpuid(void)
{
    uint32_t a = 1, b, c, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
    EXPECT_EQ(d >> 23 & 15, 15); /* MMX FXSR SSE SSE2 */
    EXPECT_EQ(d >> 19 & 1, 1);   /* CLFLUSH */
    EXPECT_EQ(b >> 8 & 0xff, 8); /* 64-byte lines */
}

/* Without CR4.OSFXSR only MMX and what needs no register works. */
static void check_disabled(void)
{
    cr4_bits(CR4_OSFXSR | CR4_OSXMMEXCPT, 0);
    EXPECT_EQ(TRY("xorps %%xmm0, %%xmm0", 0), UD);
    EXPECT_EQ(TRY("movups (%%eax), %%xmm0", bytes), UD);
    EXPECT_EQ(TRY("ldmxcsr (%%eax)", bytes), UD);
    EXPECT_EQ(TRY("movdq2q %%xmm0, %%mm0", 0), UD);
    EXPECT_EQ(TRY("paddb %%mm0, %%mm1", 0), NOTHING);
    EXPECT_EQ(TRY("pshufw $0, %%mm0, %%mm1", 0), NOTHING);
    EXPECT_EQ(TRY("emms", 0), NOTHING);
    EXPECT_EQ(TRY("sfence\n\tlfence\n\tmfence\n\tpause", 0), NOTHING);
    EXPECT_EQ(TRY("clflush (%%eax)", bytes), NOTHING);
    EXPECT_EQ(TRY("prefetchnta (%%eax)", 0xfffffff0), NOTHING);
    EXPECT_EQ(TRY("movnti %%eax, (%%eax)", bytes), NOTHING);
    EXPECT_EQ(*(uint32_t *)bytes, (uint32_t)bytes);
}

static void check_emulated_and_switched(void)
{
    cr0_bits(0, CR0_EM);
    EXPECT_EQ(TRY("xorps %%xmm0, %%xmm0", 0), UD);
    EXPECT_EQ(TRY("paddb %%mm0, %%mm1", 0), UD);
    EXPECT_EQ(TRY("emms", 0), UD);
    EXPECT_EQ(TRY("fxsave (%%eax)", &img), NM);
    cr0_bits(CR0_EM, CR0_TS);
    EXPECT_EQ(TRY("xorps %%xmm0, %%xmm0", 0), NM);
    EXPECT_EQ(TRY("ldmxcsr (%%eax)", bytes), NM);
    EXPECT_EQ(TRY("paddb %%mm0, %%mm1", 0), NM);
    EXPECT_EQ(TRY("emms", 0), NM);
    EXPECT_EQ(TRY("fxrstor (%%eax)", &img), NM);
    EXPECT_EQ(TRY("mfence", 0), NOTHING);
    RUN("clts");
    EXPECT_EQ(TRY("xorps %%xmm0, %%xmm0", 0), NOTHING);
}

static void check_faults(void)
{
    EXPECT_EQ(TRY("movaps 4(%%eax), %%xmm0", bytes), GP);
    EXPECT_EQ(TRY("movdqa %%xmm0, 8(%%eax)", bytes), GP);
    EXPECT_EQ(TRY("addps 1(%%eax), %%xmm0", bytes), GP);
    EXPECT_EQ(TRY("movups 1(%%eax), %%xmm0", bytes), NOTHING);
    EXPECT_EQ(TRY("addss 1(%%eax), %%xmm0", bytes), NOTHING);
    EXPECT_EQ(TRY("fxsave 8(%%eax)", &img), GP);
    EXPECT_EQ(TRY("fxrstor 8(%%eax)", &img), GP);
    *(uint32_t *)bytes = 0x10000;
    EXPECT_EQ(TRY("ldmxcsr (%%eax)", bytes), GP);
    EXPECT_EQ(TRY(".byte 0xf0\n\taddps (%%eax), %%xmm0", bytes), UD);
    EXPECT_EQ(TRY(".byte 0xf3, 0x0f, 0x54, 0xc0", 0), UD);
}

/* 1 / 0 with #Z unmasked: #XM, or #UD where the system does not know #XM; the destination stays. */
static void check_numeric_exception(void)
{
    static const uint32_t one = 0x3f800000;
    uint32_t after;
    set_mxcsr(0x1f80 & ~(1 << 9));
    __asm__ volatile("movss %0, %%xmm0\n\txorps %%xmm1, %%xmm1" : : "m"(one));
    EXPECT_EQ(TRY("divss %%xmm1, %%xmm0", 0), XM);
    EXPECT_EQ(mxcsr(), (0x1f80 & ~(1 << 9)) | 4);
    cr4_bits(CR4_OSXMMEXCPT, 0);
    EXPECT_EQ(TRY("divss %%xmm1, %%xmm0", 0), UD);
    cr4_bits(0, CR4_OSXMMEXCPT);
    __asm__ volatile("movss %%xmm0, %0" : "=m"(after));
    EXPECT_EQ(after, one);
    set_mxcsr(0x1f80);
    EXPECT_EQ(TRY("divss %%xmm1, %%xmm0", 0), NOTHING);
    __asm__ volatile("movss %%xmm0, %0" : "=m"(after));
    EXPECT_EQ(after, 0x7f800000);
    EXPECT_EQ(mxcsr(), 0x1f84);
}

/* A pending x87 exception comes up at the next MMX instruction, not at an XMM one or at FXSAVE. */
static void check_pending_x87(void)
{
    static const uint16_t all_unmasked = 0x340;
    __asm__ volatile("fninit\n\tfldcw %0\n\tfldz\n\tfld1\n\tfdiv %%st(1), %%st" : : "m"(all_unmasked));
    EXPECT_EQ(TRY("xorps %%xmm0, %%xmm0", 0), NOTHING);
    EXPECT_EQ(TRY("fxsave (%%eax)", &img), NOTHING);
    EXPECT_EQ(TRY("paddb %%mm0, %%mm1", 0), MF);
    EXPECT_EQ(TRY("emms", 0), MF);
    EXPECT_EQ(TRY("cvtpi2ps %%mm0, %%xmm0", 0), MF);
    RUN("fnclex\n\tfninit");
}

/* --- the image --- */

static void check_image(void)
{
    static const uint8_t pi[10] = {0x35, 0xc2, 0x68, 0x21, 0xa2, 0xda, 0x0f, 0xc9, 0x00, 0x40};
    for (unsigned i = 0; i < 16; i++)
        bytes[i] = (uint8_t)(i + 1);
    __asm__ volatile("fninit\n\tfld1\n\tfldpi\n\tmovups %0, %%xmm5" : : "m"(*(uint8_t(*)[16])bytes));
    set_mxcsr(0x1fa1);
    save();
    EXPECT_EQ(img.fcw, 0x37f);
    EXPECT_EQ(img.fsw, 6 << 11);
    EXPECT_EQ(img.ftw, 0xc0);
    EXPECT_EQ(img.mxcsr, 0x1fa1);
    EXPECT_EQ(img.mxcsr_mask & 0xffff, 0xffff);
    EXPECT_EQ(memcmp(img.st[0], pi, 10), 0);
    EXPECT_EQ(*(uint16_t *)(img.st[1] + 8), 0x3fff);
    EXPECT_EQ(memcmp(img.xmm[5], bytes, 16), 0);
    EXPECT_EQ(img.rest[223], 0x5a);
    set_mxcsr(0x1f80);
    RUN("xorps %%xmm5, %%xmm5\n\tfninit");
    __asm__ volatile("fxrstor %0" : : "m"(img));
    save();
    EXPECT_EQ(img.mxcsr, 0x1fa1);
    EXPECT_EQ(img.fsw, 6 << 11);
    EXPECT_EQ(memcmp(img.st[0], pi, 10), 0);
    EXPECT_EQ(memcmp(img.xmm[5], bytes, 16), 0);
    img.mxcsr = 0x80000000;
    EXPECT_EQ(TRY("fxrstor (%%eax)", &img), GP);
    EXPECT_EQ(mxcsr(), 0x1fa1);
    set_mxcsr(0x1f80);
}

/* Without CR4.OSFXSR the image ends with the x87 part (processors may do otherwise). */
static void check_short_image(void)
{
    if (option("qemu", 0))
        return;
    cr4_bits(CR4_OSFXSR, 0);
    save();
    EXPECT_EQ(img.mxcsr, 0x5a5a5a5a);
    EXPECT_EQ(img.xmm[0][0], 0x5a);
    __asm__ volatile("fxrstor %0" : : "m"(img));
    cr4_bits(0, CR4_OSFXSR);
    EXPECT_EQ(mxcsr(), 0x1f80);
}

static void check_mmx_aliases(void)
{
    static const uint64_t value = 0x1122334455667788;
    RUN("fninit\n\tfld1");
    __asm__ volatile("movq %0, %%mm3" : : "m"(value));
    save();
    EXPECT_EQ(img.fsw & 0x3800, 0);
    EXPECT_EQ(img.ftw, 0xff);
    EXPECT_EQ(memcmp(img.st[3], &value, 8), 0);
    EXPECT_EQ(*(uint16_t *)(img.st[3] + 8), 0xffff);
    RUN("emms");
    save();
    EXPECT_EQ(img.ftw, 0);
}

/* --- lazy switching: each task has its own image; the first use after a switch raises #NM --- */

static struct image task_image[2];
static unsigned running, owner, switches;

static void lazy_switch(struct frame *f)
{
    (void)f;
    RUN("clts");
    switches++;
    if (owner == running)
        return;
    __asm__ volatile("fxsave %0" : "=m"(task_image[owner]));
    __asm__ volatile("fxrstor %0" : : "m"(task_image[running]));
    owner = running;
}

static void switch_to(unsigned task)
{
    running = task;
    cr0_bits(0, CR0_TS);
}

/* Adds the task's step to its sum in XMM3 and to its count in MM2. */
static void task_step(void)
{
    static const double step[2] = {1.5, -0.25};
    static const uint64_t one = 1;
    __asm__ volatile("addsd %0, %%xmm3" : : "m"(step[running]));
    __asm__ volatile("paddd %0, %%mm2" : : "m"(one));
}

static void check_task(unsigned task, uint64_t sum, uint32_t count)
{
    uint64_t xmm3;
    uint32_t mm2;
    switch_to(task);
    __asm__ volatile("movq %%xmm3, %0\n\tmovd %%mm2, %1" : "=m"(xmm3), "=m"(mm2));
    EXPECT_EQ(xmm3, sum);
    EXPECT_EQ(mm2, count);
}

static void check_lazy_switch(void)
{
    RUN("emms\n\txorps %%xmm3, %%xmm3\n\tpxor %%mm2, %%mm2");
    set_mxcsr(0x1f80);
    for (unsigned i = 0; i < 2; i++)
        __asm__ volatile("fxsave %0" : "=m"(task_image[i]));
    set_isr(NM, lazy_switch);
    for (unsigned i = 0; i < 200; i++) {
        switch_to(i & 1);
        for (unsigned n = 0; n < 1 + (i & 1); n++)
            task_step();
    }
    EXPECT_EQ(switches, 200);
    check_task(0, 0x4062c00000000000, 100); /* 150 */
    check_task(1, 0xc049000000000000, 200); /* -50 */
    RUN("clts\n\temms");
    set_isr(NM, catch);
}

/* --- work --- */

/* Dot products in singles and in words. */
static void check_work(void)
{
    static float a[64] __attribute__((aligned(16))), b[64] __attribute__((aligned(16)));
    static int16_t w[64] __attribute__((aligned(16)));
    uint32_t sum, i;
    for (i = 0; i < 64; i++)
        a[i] = (float)(int)i, b[i] = 2.0f, w[i] = (int16_t)i;
    __asm__ volatile("xorps %%xmm0, %%xmm0\n\txorl %0, %0\n1:\tmovaps (%1,%0,4), %%xmm1\n\tmulps (%2,%0,4), "
                     "%%xmm1\n\taddps %%xmm1, %%xmm0\n\t"
                     "addl $4, %0\n\tcmpl $64, %0\n\tjne 1b\n\tmovhlps %%xmm0, %%xmm1\n\taddps %%xmm1, "
                     "%%xmm0\n\tmovaps %%xmm0, %%xmm1\n\t"
                     "shufps $1, %%xmm1, %%xmm1\n\taddss %%xmm1, %%xmm0\n\tcvttss2si %%xmm0, %0"
                     : "=&r"(sum)
                     : "r"(a), "r"(b)
                     : "memory", "cc");
    EXPECT_EQ(sum, 4032);
    __asm__ volatile("pxor %%mm0, %%mm0\n\tpcmpeqw %%mm2, %%mm2\n\tpsrlw $15, %%mm2\n\txorl %0, %0\n1:\tmovq "
                     "(%1,%0,2), %%mm1\n\tpmaddwd %%mm2, %%mm1\n\t"
                     "paddd %%mm1, %%mm0\n\taddl $4, %0\n\tcmpl $64, %0\n\tjne 1b\n\tmovq %%mm0, "
                     "%%mm1\n\tpsrlq $32, %%mm1\n\tpaddd %%mm1, %%mm0\n\t"
                     "movd %%mm0, %0\n\temms"
                     : "=&r"(sum)
                     : "r"(w)
                     : "memory", "cc");
    EXPECT_EQ(sum, 2016);
}

int guest_main(void)
{
    for (unsigned v = 0; v < 20; v++)
        set_isr(v, catch);
    cr0_bits(CR0_EM | CR0_TS, CR0_NE | CR0_MP);
    check_cpuid();
    check_disabled();
    cr4_bits(0, CR4_OSFXSR | CR4_OSXMMEXCPT);
    check_emulated_and_switched();
    check_faults();
    check_numeric_exception();
    check_pending_x87();
    check_image();
    check_short_image();
    check_mmx_aliases();
    check_lazy_switch();
    check_work();
    return 0;
}
