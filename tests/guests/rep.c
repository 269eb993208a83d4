/* rep.c - REP string instructions: one tick an iteration, interruptible between iterations at the exact
 * one, resumed without loss; precise at a page fault in the middle. */
#include "rt.h"

#define BYTES 200000
static uint8_t src[BYTES], dst[BYTES];
static unsigned shift;

extern void rep_isr(void);
extern uint32_t rep_hits;
extern uint32_t rep_regs[][5];
__asm__(
    ".globl rep_isr\nrep_isr:\n\tpushl %eax\n\tpushl %edx\n\trdtsc\n\tpushl %ebx\n\tmovl rep_hits, %ebx\n\t"
    "cmpl $64, %ebx\n\tjae 1f\n\timull $20, %ebx\n\tmovl %eax, rep_regs(%ebx)\n\tmovl %ecx, "
    "rep_regs+4(%ebx)\n\t"
    "movl %esi, rep_regs+8(%ebx)\n\tmovl %edi, rep_regs+12(%ebx)\n\tmovl 12(%esp), %eax\n\tmovl %eax, "
    "rep_regs+16(%ebx)\n\t"
    "incl rep_hits\n1:\tmovb $0x20, %al\n\toutb %al, $0x20\n\tpopl %ebx\n\tpopl %edx\n\tpopl %eax\n\tiret\n");
uint32_t rep_hits, rep_regs[64][5];
#define ISR_INSNS_TO_RDTSC 2

static void fill(void)
{
    for (unsigned i = 0; i < BYTES; i++)
        src[i] = (uint8_t)(i * 7 + (i >> 8)), dst[i] = 0;
}

/* MOVSB under a fast PIT: each interrupt finds ECX at exactly the iteration that its tick says. */
static void check_movs(void)
{
    uint32_t lo, hi, at, ecx = BYTES;
    const uint8_t *s = src;
    uint8_t *d = dst;
    rep_hits = 0;
    uint32_t n = shift < 2 ? 119 : 1193; /* some interrupts within the copy */
    outb(0x43, 0x34), outb(0x40, (uint8_t)n), outb(0x40, (uint8_t)(n >> 8));
    irq_unmask(0);
    __asm__ volatile("sti\n\tmovl %%eax, %%eax\n\trdtsc\n1:\trep movsb\n\tcli\n\tmovl $1b, %5"
                     : "=&a"(lo), "=&d"(hi), "+c"(ecx), "+S"(s), "+D"(d), "=&r"(at)
                     :
                     : "memory", "cc");
    irq_mask_all();
    EXPECT_EQ(ecx, 0);
    EXPECT_EQ(memcmp(src, dst, BYTES), 0);
    EXPECT(rep_hits >= 1);
    uint32_t isr_ticks = 0; /* from the first interrupt on, the handler's own ticks shift the rest */
    for (unsigned i = 0; i < rep_hits && i < 64; i++) {
        uint32_t done = BYTES - rep_regs[i][1];
        if (rep_regs[i][4] != at)
            continue; /* after the last iteration */
        EXPECT_EQ(rep_regs[i][2], (uint32_t)src + done);
        EXPECT_EQ(rep_regs[i][3], (uint32_t)dst + done);
        uint32_t elapsed = (rep_regs[i][0] - lo) >> shift; /* RDTSC itself is 1 tick */
        if (i == 0)
            EXPECT_EQ(elapsed, 1 + done + ISR_INSNS_TO_RDTSC);
        else
            EXPECT_EQ((elapsed - 1 - done - ISR_INSNS_TO_RDTSC) % i, 0);
        isr_ticks = elapsed;
    }
    (void)isr_ticks;
}

/* Ticks that an instruction takes, RDTSC to RDTSC. */
#define TICKS(asm_text, n, s, d)                                                                             \
    ({                                                                                                       \
        uint32_t t0_, t1_, c_ = (n);                                                                         \
        const void *s_ = (s);                                                                                \
        void *d_ = (d);                                                                                      \
        __asm__ volatile("rdtsc\n\tmovl %%eax, %0\n\tmovl %5, %%eax\n\t" asm_text                            \
                         "\n\trdtsc\n\tmovl %%eax, %1"                                                       \
                         : "=&m"(t0_), "=&m"(t1_), "+c"(c_), "+S"(s_), "+D"(d_)                              \
                         : "i"(0)                                                                            \
                         : "eax", "edx", "memory", "cc");                                                    \
        ((t1_ - t0_) >> shift) - 3;                                                                          \
    })

static void check_ticks(void)
{
    EXPECT_EQ(TICKS("nop", 0, src, dst), 1);
    EXPECT_EQ(TICKS("rep stosb", 0, src, dst), 1);
    EXPECT_EQ(TICKS("rep stosb", 1, src, dst), 1);
    EXPECT_EQ(TICKS("rep stosl", 1000, src, dst), 1000);
    EXPECT_EQ(TICKS("rep movsw", 777, src, dst), 777);
    EXPECT_EQ(TICKS("rep lodsb", 12, src, dst), 12);
    memcpy(dst, src, 500);
    dst[100] ^= 1;
    EXPECT_EQ(TICKS("repe cmpsb", 500, src, dst), 101);
    memset(dst, 1, 50);
    EXPECT_EQ(TICKS("repne scasb", 50, src, dst), 50);
    dst[30] = 0;
    EXPECT_EQ(TICKS("repne scasb", 50, src, dst), 31);
    EXPECT_EQ(TICKS("loop .", 10, src, dst), 10);
}

static void memcpy_element(uint8_t *d, const uint8_t *s)
{
    uint32_t v;
    __asm__ volatile("movl %1, %0" : "=r"(v) : "m"(*(const uint32_t *)s));
    __asm__ volatile("movl %1, %0" : "=m"(*(uint32_t *)d) : "r"(v));
}

/* Overlap: MOVSB upwards by one byte replicates; with DF it does not. */
static void check_overlap(void)
{
    uint32_t ecx = 1000;
    uint8_t *s = dst, *d = dst + 1;
    for (unsigned i = 0; i < 2000; i++)
        dst[i] = (uint8_t)i;
    __asm__ volatile("rep movsb" : "+c"(ecx), "+S"(s), "+D"(d) : : "memory");
    for (unsigned i = 0; i <= 1000; i++)
        EXPECT_EQ(dst[i], 0);
    for (unsigned i = 0; i < 2000; i++)
        dst[i] = (uint8_t)i;
    ecx = 1000, s = dst + 999, d = dst + 1000;
    __asm__ volatile("std\n\trep movsb\n\tcld" : "+c"(ecx), "+S"(s), "+D"(d) : : "memory", "cc");
    for (unsigned i = 1; i <= 1000; i++)
        EXPECT_EQ(dst[i], (uint8_t)(i - 1));
    for (unsigned i = 0; i < 2000; i++)
        dst[i] = src[i] = (uint8_t)(i * 13);
    ecx = 300, s = dst, d = dst + 3;
    __asm__ volatile("rep movsl" : "+c"(ecx), "+S"(s), "+D"(d) : : "memory");
    for (unsigned i = 0; i < 300; i++)
        memcpy_element(src + 3 + 4 * i, src + 4 * i);
    EXPECT_EQ(memcmp(src, dst, 2000), 0);
}

int guest_main(void)
{
    shift = option("shift", 3);
    set_gate(IRQ_BASE, (void *)rep_isr, 0x8e);
    cli();
    fill();
    check_ticks();
    fill();
    check_movs();
    check_overlap();
    return 0;
}
