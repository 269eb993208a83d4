/* boundary.c - where interrupts may come: STI, MOV SS, POP SS, HLT, POPF, IRET, single step.
 *
 * An interrupt is made pending (PIT one-shot expired, IF = 0), then IF is set in different ways;
 * the handler notes the return address, which tells after which instruction it came. */
#include "rt.h"

static volatile uint32_t hit_eip, hits, db_eip[16], db_count, db_dr6;

static void irq0(struct frame *f)
{
    hit_eip = f->eip;
    hits++;
    f->eflags &= ~0x200u;
    irq_eoi(0);
}

static uint32_t read_dr6(void)
{
    uint32_t v;
    __asm__ volatile("movl %%dr6, %0" : "=r"(v));
    return v;
}

static void debug_trap(struct frame *f)
{
    if (db_count < 16)
        db_eip[db_count] = f->eip;
    db_count++;
    db_dr6 = read_dr6();
    __asm__ volatile("movl %0, %%dr6" : : "r"(0));
    f->eflags |= 1u << 16; /* RF: an instruction breakpoint does not repeat */
}

/* Leaves IRQ 0 requested in the 8259 with IF = 0. */
static void make_pending(void)
{
    hits = 0;
    outb(0x43, 0x30), outb(0x40, 10), outb(0x40, 0);
    for (;;) {
        outb(0x20, 0x0a);
        if (inb(0x20) & 1)
            break;
    }
}

#define CASE(name, asm_text)                                                                                 \
    static void name(uint32_t *want, uint32_t *want_after)                                                   \
    {                                                                                                        \
        uint32_t w, a;                                                                                       \
        make_pending();                                                                                      \
        __asm__ volatile(asm_text "\n\tcli\n\tmovl $10b, %0\n\tmovl $11b, %1"                                \
                         : "=&r"(w), "=&r"(a)                                                                \
                         :                                                                                   \
                         : "eax", "ecx", "memory", "cc");                                                    \
        *want = w, *want_after = a;                                                                          \
    }
CASE(case_sti, "sti\n\tnop\n10:\tnop\n11:\tnop")
CASE(case_sti_sti, "sti\n\tsti\n10:\tnop\n11:\tnop")
CASE(case_sti_cli, "sti\n\tcli\n10:\tnop\n11:\tnop")
CASE(case_popf, "pushfl\n\torl $0x200, (%%esp)\n\tpopfl\n10:\tnop\n11:\tnop")
CASE(case_iret, "pushfl\n\torl $0x200, (%%esp)\n\tpushl %%cs\n\tpushl $10f\n\tiret\n10:\tnop\n11:\tnop")
CASE(case_movss, "movl %%ss, %%eax\n\tpushfl\n\torl $0x200, (%%esp)\n\tcli\n\tmovl %%eax, "
                 "%%ss\n\tpopfl\n10:\tnop\n11:\tnop")
CASE(case_popss, "pushfl\n\torl $0x200, (%%esp)\n\tpushl %%ss\n\tpopl %%ss\n\tpopfl\n10:\tnop\n11:\tnop")
CASE(case_sti_hlt, "sti\n\thlt\n10:\tnop\n11:\tnop")

static void expect_at(void (*run)(uint32_t *, uint32_t *), uint32_t want_hits, const char *name)
{
    uint32_t w, a;
    hit_eip = 0;
    run(&w, &a);
    if (hits != want_hits || (want_hits && hit_eip != w))
        print("case %s: hits %u eip %x want %x\n", name, hits, hit_eip, w);
    EXPECT_EQ(hits, want_hits);
    if (want_hits)
        EXPECT_EQ(hit_eip, w);
    /* take a still pending request away */
    if (!want_hits) {
        sti();
        __asm__ volatile("nop\n\tnop");
        cli();
        EXPECT_EQ(hits, 1);
    }
}

/* HLT wakes once: the saved eip is the instruction after it. */
static void check_hlt(void)
{
    uint32_t after;
    hits = 0;
    outb(0x43, 0x30), outb(0x40, 0), outb(0x40, 0x20);
    __asm__ volatile("sti\n\thlt\n1:\tcli\n\tmovl $1b, %0" : "=r"(after) : : "memory");
    EXPECT_EQ(hits, 1);
    EXPECT_EQ(hit_eip, after);
}

/* TF: a #DB trap after each instruction from the one after POPF on; none between MOV SS and the next. */
static void check_single_step(void)
{
    uint32_t a, b, c;
    db_count = 0;
    __asm__ volatile("movl %%ss, %%ecx\n\tpushfl\n\torl $0x100, (%%esp)\n\tpopfl\n\tnop\n1:\tmovl %%ecx, "
                     "%%ss\n\tnop\n2:\tpushfl\n\t"
                     "andl $~0x100, (%%esp)\n\tpopfl\n3:\tmovl $1b, %0\n\tmovl $2b, %1\n\tmovl $3b, %2"
                     : "=&r"(a), "=&r"(b), "=&r"(c)
                     :
                     : "ecx", "memory", "cc");
    EXPECT_EQ(db_eip[0], a);
    EXPECT_EQ(db_eip[1], b);
    EXPECT_EQ(db_count, 5); /* nop; mov ss + nop; pushf; and; popf (TF was set before it) */
    EXPECT_EQ(db_eip[4], c);
    EXPECT((db_dr6 & 0x4000) != 0);
}

static uint32_t watched;

/* DR0 on an instruction (fault before it), DR1 on a data write (trap after it). */
static void check_breakpoints(void)
{
    uint32_t at, after;
    db_count = 0;
    __asm__ volatile("movl $1f, %%eax\n\tmovl %%eax, %%dr0\n\tmovl %2, %%eax\n\tmovl %%eax, %%dr1\n\t"
                     "movl $0x00d0070a, %%eax\n\torl $0x0002, %%eax\n\tmovl %%eax, %%dr7\n\t"
                     "nop\n1:\tnop\n\tmovl $5, %3\n2:\tnop\n\txorl %%eax, %%eax\n\tmovl %%eax, %%dr7\n\t"
                     "movl $1b, %0\n\tmovl $2b, %1"
                     : "=&r"(at), "=&r"(after)
                     : "r"(&watched), "m"(watched)
                     : "eax", "memory", "cc");
    EXPECT_EQ(db_count, 2);
    EXPECT_EQ(db_eip[0], at);
    EXPECT_EQ(db_eip[1], after);
    EXPECT_EQ(db_dr6 & 0xf, 2);
    EXPECT_EQ(watched, 5);
}

int guest_main(void)
{
    set_isr(IRQ_BASE, irq0);
    set_isr(1, debug_trap);
    irq_unmask(0);
    cli();
    expect_at(case_sti, 1, "sti");
    expect_at(case_sti_sti, 1, "sti sti");
    expect_at(case_sti_cli, 0, "sti cli");
    expect_at(case_popf, 1, "popf");
    expect_at(case_iret, 1, "iret");
    expect_at(case_sti_hlt, 1, "sti hlt");
    expect_at(case_movss, 1, "mov ss");
    expect_at(case_popss, 1, "pop ss");
    check_hlt();
    check_single_step();
    check_breakpoints();
    return 0;
}
