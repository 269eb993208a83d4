/* fault_rf.c - RF in the pushed EFLAGS: set for faults (#UD, #GP, #DE, #NM), clear for INT n, INT3 and
 * interrupts between instructions, set for an interrupt between two iterations of REP (SDM 3, 17.3.1.1). An
 * instruction breakpoint (DR0) fires with RF clear in the image, once; an IRET with RF set suppresses it for
 * one instruction. */
#include "rt.h"
extern char g1[], h1[], rp[], rpe[], bk[];
static volatile uint32_t fl[49], cnt[49], skip[49];
static volatile uint32_t rep_rf, rep_norf, out_rf, dbf[4], dbn, db6;
static void rec(struct frame *f)
{
    fl[f->vector] = f->eflags;
    cnt[f->vector]++;
    f->eip += skip[f->vector];
}
static void irq0(struct frame *f)
{
    if (f->eip == (uint32_t)rp && f->ecx != 0) {
        if (f->eflags & 0x10000)
            rep_rf++;
        else
            rep_norf++;
    } else if (f->eflags & 0x10000)
        out_rf++;
    cnt[32]++;
    irq_eoi(0);
}
static void db(struct frame *f)
{
    if (dbn < 4)
        dbf[dbn] = f->eip;
    dbn++;
    __asm__ volatile("movl %%db6, %0" : "=r"(db6));
    __asm__ volatile("movl %0, %%db6" : : "r"(0));
    fl[1] = f->eflags;
    f->eflags |= 0x10000;
}
static volatile uint32_t st[4];
extern char rp2[], rp2e[];
static void step(struct frame *f)
{
    unsigned rf = f->eflags >> 16 & 1;
    if (f->eip == (uint32_t)rp2 && f->ecx != 6)
        st[rf]++;
    else if (f->eip == (uint32_t)rp2e)
        st[2 + rf]++;
    __asm__ volatile("movl %0, %%db6" : : "r"(0));
}
static uint8_t buf[65536];
int guest_main(void)
{
    for (unsigned v = 0; v < 49; v++)
        set_isr(v, rec);
    skip[6] = 2;
    __asm__ volatile("ud2");
    EXPECT_EQ(cnt[6], 1);
    EXPECT_EQ(fl[6] & 0x10000, 0x10000);
    skip[13] = 2;
    __asm__ volatile("movl %0, %%fs" : : "r"(0x1230));
    EXPECT_EQ(cnt[13], 1);
    EXPECT_EQ(fl[13] & 0x10000, 0x10000);
    skip[0] = 2;
    __asm__ volatile("xorl %%edx, %%edx\n\txorl %%ecx, %%ecx\n\tdivl %%ecx" : : : "eax", "ecx", "edx");
    EXPECT_EQ(cnt[0], 1);
    EXPECT_EQ(fl[0] & 0x10000, 0x10000);
    __asm__ volatile("int $0x30");
    EXPECT_EQ(cnt[48], 1);
    EXPECT_EQ(fl[48] & 0x10000, 0);
    __asm__ volatile("int3");
    EXPECT_EQ(cnt[3], 1);
    EXPECT_EQ(fl[3] & 0x10000, 0);
    set_isr(IRQ_BASE, irq0);
    outb(0x43, 0x34);
    outb(0x40, 61);
    outb(0x40, 0);
    irq_unmask(0);
    sti();
    __asm__ volatile("movl $40, %%edx\n6:\tmovl %0, %%edi\n\tmovl $65536, %%ecx\nrp:\trep stosb\nrpe:\tdecl "
                     "%%edx\n\tjnz 6b"
                     :
                     : "i"(buf)
                     : "ecx", "edx", "edi", "memory");
    cli();
    irq_mask_all();
    print("irqs %u, within REP with RF %u, without %u, elsewhere with RF %u\n", cnt[32], rep_rf, rep_norf,
          out_rf);
    EXPECT(rep_rf + rep_norf > 20);
    EXPECT_EQ(rep_norf, 0);
    EXPECT_EQ(out_rf, 0);
    set_isr(1, db);
    uint32_t v;
    __asm__ volatile("movl %0, %%db0\n\tmovl %1, %%db7" : : "r"(bk), "r"(0x402));
    __asm__ volatile("movl $3, %%ecx\n5:\tnop\nbk:\tnop\n\tnop\n\tdecl %%ecx\n\tjnz 5b"
                     :
                     :
                     : "ecx", "memory");
    __asm__ volatile("movl %0, %%db7" : : "r"(0x400));
    EXPECT_EQ(dbn, 3);
    EXPECT_EQ(dbf[0], (uint32_t)bk);
    EXPECT_EQ(fl[1] & 0x10000, 0); /* the one fault that pushes RF as it was */
    EXPECT_EQ(db6 & 0xf, 1);
    /* single steps: RF set between iterations, clear behind the last (so does an Intel CPU, measured
     * natively) */
    set_isr(1, step);
    static uint8_t b6[8];
    __asm__ volatile("movl $6, %%ecx\n\tpushfl\n\torl $0x100, (%%esp)\n\tpopfl\nrp2:\trep "
                     "stosb\nrp2e:\tpushfl\n\tandl $~0x100, (%%esp)\n\tpopfl\n\tnop"
                     :
                     : "D"(b6)
                     : "ecx", "memory");
    print("step: between iterations RF=1 %u RF=0 %u, behind the last RF=1 %u RF=0 %u\n", st[1], st[0], st[3],
          st[2]);
    EXPECT_EQ(st[1], 5);
    EXPECT_EQ(st[0], 0);
    EXPECT_EQ(st[2], 1);
    EXPECT_EQ(st[3], 0);
    return 0;
}
