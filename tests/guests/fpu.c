/* fpu.c - x87, MMX and SSE2 code that is disturbed in every way: interrupts whose handler uses the same
 * registers, page faults and page ends at its operands, #MF and #XM out of the middle, operands that are not
 * aligned, lazy switches by CR0.TS, the environment looked at, its page holding code.
 *
 * What is computed undisturbed is the reference for what is computed then. rounds=N (default 30). */
#include "rt.h"
#include "simd.h"

#define PAGE     4096u
#define FAULTING 0x300000u /* pages that page_fault() maps: 256 of them */
#define CR0_TS   8u

static uint32_t dir[1024] __attribute__((aligned(4096))), table[1024] __attribute__((aligned(4096)));
static volatile unsigned ticks, faults, math_faults, switches;
static volatile unsigned simd_faults, protection_faults;
static volatile uint32_t math_fip, math_fop, simd_eip, simd_flags, protection_eip;

struct env {
    uint32_t cw, sw, tag, fip, fcs_fop, fdp, fds;
};
struct image {
    struct env env;
    uint8_t reg[80];
};
static struct image context[2];
static unsigned owner;

/* --- disturbances --- */

/* FXSAVE and FNSAVE in turn; SSE registers are used in both cases. */
static void irq0(struct frame *f)
{
    (void)f;
    static uint8_t all[512] __attribute__((aligned(16)));
    struct image saved;
    long double x = 1;
    __asm__ volatile("fxsave %0" : "=m"(all) : : "memory");
    if (ticks & 1)
        __asm__ volatile("fnsave %0\n\tfwait" : "=m"(saved) : : "memory");
    else
        __asm__ volatile("fninit");
    for (unsigned i = 1; i < 20; i++)
        x = x / 3 + i;
    __asm__ volatile("pcmpeqb %%xmm0, %%xmm0\n\tpaddb %%xmm0, %%xmm7\n\tpxor %%xmm3, %%xmm3" : : : "memory");
    ticks += x > 0;
    if (ticks & 1)
        __asm__ volatile("frstor %0" : : "m"(saved) : "memory");
    __asm__ volatile("fxrstor %0" : : "m"(all) : "memory");
    irq_eoi(0);
}

static void page_fault(struct frame *f)
{
    uint32_t cr2;
    (void)f;
    __asm__ volatile("movl %%cr2, %0" : "=r"(cr2));
    EXPECT(cr2 - FAULTING < 256 * PAGE);
    table[cr2 / PAGE & 1023] = (cr2 & ~(PAGE - 1)) | 3;
    faults++;
}

static void math_fault(struct frame *f)
{
    struct env e;
    (void)f;
    __asm__ volatile("fnstenv %0" : "=m"(e));
    math_fip = e.fip, math_fop = e.fcs_fop >> 16;
    EXPECT(e.sw & 0x80);
    e.cw |= 0x3f, e.sw &= ~0x80ffu;
    __asm__ volatile("fldenv %0" : : "m"(e));
    math_faults++;
}

/* #XM: masks everything and goes back to the same instruction. */
static void simd_fault(struct frame *f)
{
    uint32_t mxcsr;
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    simd_eip = f->eip, simd_flags = mxcsr & 0x3f;
    mxcsr = 0x1f80;
    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
    simd_faults++;
}

/* #GP: the four bytes of the instruction are skipped. */
static void protection_fault(struct frame *f)
{
    protection_eip = f->eip;
    protection_faults++;
    f->eip += 4;
}

/* #NM: the other context's turn. */
static void device_not_available(struct frame *f)
{
    (void)f;
    __asm__ volatile("clts\n\tfnsave %0\n\tfrstor %1"
                     : "=m"(context[owner])
                     : "m"(context[!owner])
                     : "memory");
    owner = !owner;
    switches++;
}

static void forget_pages(void)
{
    for (uint32_t i = 0; i < 256; i++)
        table[FAULTING / PAGE + i] = 0;
    __asm__ volatile("movl %%cr3, %%eax\n\tmovl %%eax, %%cr3" : : : "eax", "memory");
}

static void paging_on(void)
{
    for (uint32_t i = 0; i < 1024; i++)
        table[i] = i << 12 | 3;
    dir[0] = (uint32_t)table | 3;
    __asm__ volatile("movl %0, %%cr3\n\tmovl %%cr0, %%eax\n\torl $0x80010020, %%eax\n\tandl $~4, "
                     "%%eax\n\tmovl %%eax, %%cr0"
                     :
                     : "r"(dir)
                     : "eax", "memory");
}

/* --- what is computed --- */

static uint32_t hash_bytes(uint32_t hash, const void *p, size_t n)
{
    for (const uint8_t *b = p; n; n--)
        hash = (hash ^ *b++) * 16777619u;
    return hash;
}

static uint32_t series(uint32_t hash)
{
    long double x = 0.5L, sum = 0;
    for (int i = 1; i < 400; i++) {
        x = x * 1.000001L + 1.0L / i;
        if (x > 3)
            x -= 2.75L;
        __asm__("fsqrt" : "+t"(x));
        sum += x * (float)i - (double)(i & 7);
    }
    uint32_t w[3] = {0};
    memcpy(w, &sum, 10);
    return hash_bytes(hash, w, sizeof w);
}

/* All widths, at addresses that cross page ends now and then. */
static uint32_t memory_forms(uint32_t hash, uint8_t *at)
{
    for (unsigned i = 0; i < 300; i++, at += 1361) {
        double d = i * 0.75 + 1;
        int32_t n = (int32_t)(i * 77777);
        int64_t wide;
        __asm__ volatile(
            "fldl %1\n\tfstpl (%0)\n\tfildl %2\n\tfldl (%0)\n\tfmul %%st, %%st(1)\n\tfstps 8(%0)\n\t"
            "fadds 8(%0)\n\tfstpt 12(%0)\n\tfldt 12(%0)\n\tfsubl (%0)\n\tfistpll 22(%0)\n\tfildll 22(%0)\n\t"
            "fists 30(%0)\n\tfiadds 30(%0)\n\tfidivl %2\n\tficoml %2\n\tfistpll %3"
            :
            : "r"(at), "m"(d), "m"(n), "m"(wide)
            : "memory", "cc");
        hash = hash_bytes(hash, at, 32);
        hash = hash_bytes(hash, &wide, sizeof wide);
    }
    return hash;
}

static uint32_t conditions(uint32_t hash)
{
    static const double value[] = {1, -1, 0, 1e300, -1e-300, 0.5};
    for (unsigned i = 0; i < 36; i++) {
        double a = value[i / 6], b = value[i % 6];
        uint32_t flags, status = 0, out[3] = {0};
        long double chosen;
        __asm__ volatile(
            "fldl %3\n\tfldl %4\n\tfucomi %%st(1), %%st\n\tpushfl\n\tpopl %0\n\tfcmovb %%st(1), %%st\n\t"
            "ftst\n\tfnstsw %%ax\n\tfxch\n\tfcomp\n\tfxam"
            : "=r"(flags), "+a"(status), "=t"(chosen)
            : "m"(b), "m"(a)
            : "cc");
        memcpy(out, &chosen, 10);
        hash = hash_bytes(hash, out, sizeof out);
        hash = hash_bytes(hash, &status, sizeof status);
        flags &= 0x8d5;
        hash = hash_bytes(hash, &flags, sizeof flags);
        EXPECT_EQ(!!(flags & 1), a < b);
    }
    return hash;
}

/* Rounding in every mode and precision. */
static uint32_t modes(uint32_t hash)
{
    uint16_t before, cw;
    __asm__ volatile("fnstcw %0" : "=m"(before));
    for (unsigned i = 0; i < 16; i++) {
        double third = 1, out;
        int32_t n;
        cw = (uint16_t)((before & ~0xf00) | i << 8);
        if ((i & 3) == 1)
            continue;
        __asm__ volatile("fldcw %2\n\tfldl %3\n\tfidivl %4\n\tfstl %0\n\tfimull %5\n\tfistpl %1\n\tfldcw %6"
                         : "=m"(out), "=m"(n)
                         : "m"(cw), "m"(third), "m"((int32_t){3}), "m"((int32_t){1000}), "m"(before)
                         : "memory");
        hash = hash_bytes(hash, &out, sizeof out);
        hash = hash_bytes(hash, &n, sizeof n);
    }
    return hash;
}

/* Aligned and not, across page ends now and then; sums, conversions, comparisons, MMX. Not SSE2, so that the
 * compiler has no use for the registers that go from one asm to the next. */
static uint32_t simd(uint32_t hash, uint8_t *at)
{
    static const double step[2] __attribute__((aligned(16))) = {1.25, -3};
    uint32_t general[3] = {0}, flags;
    __asm__ volatile("xorps %%xmm1, %%xmm1\n\txorps %%xmm2, %%xmm2" : : : "memory");
    for (unsigned i = 0; i < 300; i++, at += 1363) {
        uint8_t *aligned = (uint8_t *)(((uint32_t)at & ~15u) + 64);
        __asm__ volatile(
            "cvtsi2sd %3, %%xmm0\n\taddsd %%xmm0, %%xmm1\n\taddpd %4, %%xmm1\n\tsqrtsd %%xmm0, %%xmm2\n\t"
            "movups %%xmm1, (%1)\n\tmovups 8(%1), %%xmm3\n\tmovaps %%xmm3, (%2)\n\tmovhps %%xmm2, 16(%2)\n\t"
            "paddd (%2), %%xmm3\n\tpshufd $0x1b, %%xmm3, %%xmm4\n\tmovapd %%xmm4, 32(%2)\n\tmulps 32(%2), "
            "%%xmm4\n\t"
            "comisd %%xmm1, %%xmm2\n\tpushfl\n\tpopl %0\n\tmovq (%1), %%mm0\n\tpaddw 8(%1), %%mm0\n\t"
            "punpcklbw %%mm0, %%mm1\n\tmovq %%mm1, 48(%2)\n\temms\n\tcvttsd2si %%xmm1, %%eax\n\tmovl %%eax, "
            "%5\n\t"
            "pmovmskb %%xmm4, %%eax\n\tmovl %%eax, %6\n\tpextrw $3, %%xmm3, %%eax\n\tmovl %%eax, %7"
            : "=&r"(flags)
            : "r"(at), "r"(aligned), "r"(i), "m"(step), "m"(general[0]), "m"(general[1]), "m"(general[2])
            : "eax", "memory", "cc");
        flags &= 0x8d5;
        hash = hash_bytes(hash, at, 16);
        hash = hash_bytes(hash, aligned, 56);
        hash = hash_bytes(hash, general, sizeof general);
        hash = hash_bytes(hash, &flags, sizeof flags);
    }
    return hash;
}

static uint32_t everything(uint8_t *at)
{
    __asm__ volatile("pxor %%mm1, %%mm1\n\temms" : : : "memory");
    return simd(modes(conditions(memory_forms(series(2166136261u), at))), at + 32);
}

/* --- FIP, FDP, FOP --- */

static void check_pointers(void)
{
    static double operand = 2;
    struct env e;
    uint32_t at;
    __asm__ volatile("fninit\n\tmovl $1f, %0\n\tfldl %2\n1:\tfadd %%st, %%st\n\tjmp 2f\n2:\tnop\n\tfnstenv %1"
                     : "=&r"(at), "=m"(e)
                     : "m"(operand)
                     : "memory");
    EXPECT_EQ(e.fip, at);
    EXPECT_EQ(e.fcs_fop, 0x00c00008); /* D8 C0, CS */
    EXPECT_EQ(e.fdp, (uint32_t)&operand);
    EXPECT_EQ(e.fds & 0xffff, 0x10);
    EXPECT_EQ((e.sw >> 11 & 7), 7);
    __asm__ volatile("fninit");
}

/* --- unmasked --- */

static void check_math_fault(void)
{
    uint16_t cw = 0x33b; /* division by zero unmasked */
    uint32_t at, before = math_faults;
    double zero = 0, out = 5;
    __asm__ volatile("fninit\n\tfld1\n\tfldcw %2\n\tmovl $1f, %0\n1:\tfdivl %3\n\tfld1\n\tfaddp\n\tfstpl %1"
                     : "=&r"(at), "=m"(out)
                     : "m"(cw), "m"(zero)
                     : "memory");
    EXPECT_EQ(math_faults, before + 1);
    EXPECT_EQ(math_fip, at);
    EXPECT_EQ(math_fop >> 8, 0x4); /* DC /6 */
    EXPECT_EQ(out == 2, true);     /* the operand stayed */
    __asm__ volatile("fninit");
}

static void check_simd_fault(void)
{
    static const uint32_t division_unmasked = 0x1d80, masked = 0x1f80;
    uint32_t at, before = simd_faults, mxcsr;
    __asm__ volatile("ldmxcsr %2\n\txorps %%xmm0, %%xmm0\n\tcvtsi2sd %3, %%xmm1\n\tmovl $1f, %0\n1:\tdivsd "
                     "%%xmm0, %%xmm1\n\t"
                     "stmxcsr %1\n\tldmxcsr %4"
                     : "=&r"(at), "=m"(mxcsr)
                     : "m"(division_unmasked), "r"(5), "m"(masked)
                     : "memory");
    EXPECT_EQ(simd_faults, before + 1);
    EXPECT_EQ(simd_eip, at);
    EXPECT_EQ(simd_flags, 4);
    EXPECT_EQ(mxcsr, 0x1f84); /* done again, masked */
}

static void check_alignment(void)
{
    static uint8_t data[64] __attribute__((aligned(16)));
    uint32_t at, before = protection_faults;
    for (unsigned i = 0; i < 3; i++) {
        __asm__ volatile(
            "movl $1f, %0\n\tmovaps %%xmm5, (%1)\n\tmovaps 16(%1), %%xmm5\n1:\tmovaps 24(%1), %%xmm5"
            : "=&r"(at)
            : "r"(data)
            : "memory");
        EXPECT_EQ(protection_eip, at);
    }
    EXPECT_EQ(protection_faults, before + 3);
}

/* --- lazy switching --- */

static void set_ts(void)
{
    __asm__ volatile("movl %%cr0, %%eax\n\torl %0, %%eax\n\tmovl %%eax, %%cr0"
                     :
                     : "i"(CR0_TS)
                     : "eax", "memory");
}

/* Two sums, one in each context. Without interrupts: their handler uses the x87, too. */
static void check_lazy_switches(void)
{
    double sum[2] = {0, 0};
    unsigned before = switches;
    cli();
    __asm__ volatile("fninit\n\tfldz\n\tfnsave %0\n\tfrstor %0" : "=m"(context[0]) : : "memory");
    context[1] = context[0];
    owner = 0;
    for (int i = 0; i < 200; i++) {
        set_ts();
        if (i & 1)
            __asm__ volatile("fiaddl %0" : : "m"(i));
        else
            __asm__ volatile("fisubl %0" : : "m"(i));
        if (i >= 198)
            __asm__ volatile("fstl %0" : "=m"(sum[i & 1]));
    }
    __asm__ volatile("clts\n\tfninit");
    sti();
    EXPECT_EQ(switches - before, 200);
    EXPECT_EQ(sum[0] == -9900, true); /* 0 + 2 + ... + 198 */
    EXPECT_EQ(sum[1] == 10000, true); /* 1 + 3 + ... + 199 */
}

/* --- a store into the page of the running code, and into the code --- */

static uint8_t code_page[PAGE] __attribute__((aligned(4096)));

static void check_code_page(void)
{
    static const uint8_t code[] = {0xdd, 0x44, 0x24, 0x04, /* fldl 4(%esp) */
                                   0xdd, 0x50, 0x40,       /* fstl 64(%eax): behind the code */
                                   0xdd, 0x58, 0x0c,       /* fstpl 12(%eax): over what follows */
                                   0x90, 0x90, 0xb8, 1,    0, 0, 0, 0xc3, 0x90, 0x90, /* movl $1, %eax; ret */
                                   0xc3};
    double as_code;
    uint8_t patch[8] = {0xb8, 7, 0, 0, 0, 0xc3, 0x90, 0x90};
    memcpy(&as_code, patch, 8);
    for (unsigned i = 0; i < 3; i++) {
        uint32_t result;
        memcpy(code_page, code, sizeof code);
        uint32_t w[2];
        memcpy(w, &as_code, 8);
        __asm__ volatile("pushl %3\n\tpushl %2\n\tcall *%1\n\taddl $8, %%esp"
                         : "=a"(result)
                         : "0"(code_page), "r"(w[0]), "r"(w[1])
                         : "memory", "ecx", "edx", "cc");
        EXPECT_EQ(result, 7);
        EXPECT_EQ(memcmp(code_page + 64, patch, 8), 0);
    }
}

int guest_main(void)
{
    unsigned rounds = option("rounds", 30);
    set_isr(IRQ_BASE, irq0), set_isr(14, page_fault), set_isr(16, math_fault),
        set_isr(7, device_not_available);
    set_isr(19, simd_fault), set_isr(13, protection_fault);
    paging_on();
    sse_on();
    uint32_t reference = everything((uint8_t *)0x280000);
    outb(0x43, 0x34), outb(0x40, 0x40), outb(0x40, 1);
    irq_unmask(0);
    sti();
    for (unsigned i = 0; i < rounds; i++) {
        forget_pages();
        EXPECT_EQ(everything((uint8_t *)FAULTING), reference);
        check_pointers(), check_math_fault(), check_lazy_switches(), check_code_page();
        check_simd_fault(), check_alignment();
    }
    cli();
    irq_mask_all();
    EXPECT(ticks > rounds / 3);
    EXPECT(faults > rounds * 30);
    print("fpu %x ticks %u\n", reference, ticks);
    return 0;
}
