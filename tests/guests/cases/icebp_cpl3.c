/* icebp_cpl3.c - F1 (INT1) is #DB without a look at the gate's DPL and without a bit in DR6, EIP behind it;
 * INT 1 (CD 01) from CPL 3 through a gate with DPL 0 is #GP with error 0x0A; INT3 and INTO check DPL (#GP
 * 0x1A, 0x22). SDM 2 INT n, SDM 3 6.12.1.2. Error codes of software interrupts: EXT 0. */
#include "rt.h"
static volatile uint32_t vec, err, eip, dr6, cs, seen;
static uint8_t ustack[4096];
static volatile uint32_t back_esp;
extern char after[], u1[], u2[], u3[], u4[], u5[], u6[];
static void rec(struct frame *f)
{
    vec = f->vector, err = f->error, eip = f->eip, cs = f->cs, seen++;
    __asm__ volatile("movl %%db6, %0" : "=r"(dr6));
    /* back to ring 0 */
    f->cs = 8;
    f->eip = (uint32_t)after;
    f->eflags = 2;
}
static uint8_t kstack[4096];
/* Not inlined: its label must be defined once. */
__attribute__((noinline)) static void user(char *at)
{
    seen = 0;
    vec = 99;
    __asm__ volatile("movl %%db6, %0" : "=r"(dr6));
    __asm__ volatile(
        "movl $0, %%edx\n\tmovl %%edx, %%db6\n\tpushal\n\tmovl %%esp, %1\n\tpushl $0x23\n\tpushl %2\n\tpushl "
        "$2\n\tpushl $0x1b\n\tpushl %0\n\tmovl $0x23, %%eax\n\tmovl %%eax, %%ds\n\tmovl %%eax, %%es\n\tiret\n"
        ".globl after\nafter:\tmovl $0x10, %%eax\n\tmovl %%eax, %%ds\n\tmovl %%eax, %%es\n\tmovl %%eax, "
        "%%ss\n\tmovl %1, %%esp\n\tpopal"
        :
        : "r"(at), "m"(back_esp), "r"(ustack + 4096)
        : "eax", "edx", "memory");
}
int guest_main(void)
{
    __asm__ goto("jmp %l0\nu1:\t.byte 0xf1\n\tnop\nu2:\t.byte 0xcd, 1\n\tnop\nu3:\tint3\n\tnop\nu4:\tmovb "
                 "$0x7f, %%al\n\taddb $1, %%al\nu5:\tinto\n\tnop\nu6:\tint $0x21\n\tnop"
                 :
                 :
                 :
                 : skip);
skip:
    tss.esp0 = (uint32_t)(kstack + 4096);
    for (unsigned v = 0; v < 49; v++)
        set_isr(v, rec);
    user(u1);
    EXPECT_EQ(seen, 1);
    EXPECT_EQ(vec, 1);
    EXPECT_EQ(eip, (uint32_t)u1 + 1);
    EXPECT_EQ(dr6, 0xffff0ff0u);
    EXPECT_EQ(cs, 0x1b);
    user(u2);
    EXPECT_EQ(vec, 13);
    EXPECT_EQ(err, 0x0a);
    EXPECT_EQ(eip, (uint32_t)u2);
    user(u3);
    EXPECT_EQ(vec, 13);
    EXPECT_EQ(err, 0x1a);
    EXPECT_EQ(eip, (uint32_t)u3);
    user(u4);
    EXPECT_EQ(vec, 13);
    EXPECT_EQ(err, 0x22);
    EXPECT_EQ(eip, (uint32_t)u5);
    user(u6);
    EXPECT_EQ(vec, 13);
    EXPECT_EQ(err, 0x21 * 8 + 2);
    EXPECT_EQ(eip, (uint32_t)u6);
    return 0;
}
