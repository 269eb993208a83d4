/* tf_dr6.c - DR6 after start (FFFF0FF0) and its fixed bits; single steps set BS and push the address behind
 * the instruction; TF takes effect behind the instruction that follows POPF (even CPUID); INT3 leaves DR6
 * alone; DR7 reads back with bit 10 set. SDM 3, 17.2.3, 17.3.1.4. */
#include "rt.h"
static volatile uint32_t eips[32], dr6s[32], n, bp_eip, bp_dr6, bp_flags;
static uint32_t get6(void)
{
    uint32_t v;
    __asm__ volatile("movl %%db6, %0" : "=r"(v));
    return v;
}
static void set6(uint32_t v)
{
    __asm__ volatile("movl %0, %%db6" : : "r"(v));
}
static void db(struct frame *f)
{
    if (n < 32)
        eips[n] = f->eip, dr6s[n] = get6();
    n++;
    set6(0);
    if (n >= 30)
        f->eflags &= ~0x100u;
}
static void bp(struct frame *f)
{
    bp_eip = f->eip;
    bp_dr6 = get6();
    bp_flags = f->eflags;
}
extern char t0[], t1[], t2[], t3[], t4[], t5[], t6[];
int guest_main(void)
{
    uint32_t v;
    EXPECT_EQ(get6(), 0xffff0ff0u);
    set6(0);
    EXPECT_EQ(get6(), 0xffff0ff0u);
    set6(0xffffffff & ~0x1000u);
    EXPECT_EQ(get6(), 0xffffefff);
    set6(0);
    __asm__ volatile("movl %%db7, %0" : "=r"(v));
    EXPECT_EQ(v, 0x400);
    set_isr(1, db);
    set_isr(3, bp);
    for (unsigned round = 0; round < 3; round++) {
        n = 0;
        __asm__ volatile("pushfl\n\torl $0x100, (%%esp)\n\tpopfl\n"
                         "t0:\tcpuid\nt1:\tjmp t2\n\tud2\nt2:\trdtsc\nt3:\tpushfl\nt4:\tandl $~0x100, "
                         "(%%esp)\nt5:\tpopfl\nt6:\tnop\n\t"
                         :
                         : "a"(0)
                         : "ebx", "ecx", "edx", "memory");
        EXPECT_EQ(n, 6);
        char *want[6] = {t1, t2, t3, t4, t5, t6};
        for (unsigned i = 0; i < 6; i++) {
            EXPECT_EQ(eips[i], (uint32_t)want[i]);
            EXPECT_EQ(dr6s[i], 0xffff4ff0u);
        }
    }
    set6(0x4001); /* sticky: the processor never clears */
    __asm__ volatile("int3\nia:" : : : "memory");
    extern char ia[];
    EXPECT_EQ(bp_eip, (uint32_t)ia);
    EXPECT_EQ(bp_dr6, 0xffff4ff1u);
    EXPECT_EQ(bp_flags & 0x10000, 0);
    set6(0);
    return 0;
}
