/* account.c - two processes whose instructions are known by counting them here: for -account
 * (tests/account.py).
 *
 * Two address spaces run user code, system calls, exceptions, an interrupt in user code and one in the
 * kernel's HLT, a nested software interrupt, SYSENTER and a switch of address spaces inside of a system call.
 * All of it is assembled, so that no compiler changes a count. Page directories lie at fixed addresses.
 * MATCH account_guest: the counts at the right are what tests/account.py expects. */
#include "rt.h"

enum { P = 1, RW = 2, US = 4, PS = 0x80 };
enum { DIR_A = 0x400000, DIR_B = 0x401000, DIR_KERNEL = 0x402000 };
enum {
    USER_STACK_A = 0x510000,
    USER_STACK_B = 0x520000,
    KERNEL_STACK_A = 0x530000,
    KERNEL_STACK_B = 0x540000
};

void a_user(void), b_user(void), handle_40(void), handle_41(void), handle_42(void), handle_43(void),
    handle_44(void), handle_45(void), handle_46(void), handle_ud(void), handle_pf(void), handle_irq(void),
    handle_sysenter(void), run(void);
uint32_t current, esp_of[2], back_esp;
const uint32_t cr3_of[2] = {DIR_A, DIR_B}, esp0_of[2] = {KERNEL_STACK_A, KERNEL_STACK_B};
uint8_t filled[100];

__asm__(".text\n"
        /* process A: 42124 in user code */
        "a_user:\n"
        "movl $1000, %ecx\n"
        "1: decl %ecx\n jnz 1b\n"                                       /* 2001 */
        "movl $3, %eax\n int $0x40\n"                                   /* 2 */
        "movl $3, %eax\n int $0x40\n"                                   /* 2 */
        "movl $4, %eax\n int $0x40\n"                                   /* 2 */
        "ud2\n"                                                         /* never retires */
        "movl $7, %eax\n int $0x42\n"                                   /* 2 */
        "movl $100, %ecx\n movl $filled, %edi\n rep stosb\n"            /* 102: an iteration is one */
        "movb $0, 0xc00000\n"                                           /* never retires; 7 bytes */
        "movl $10, %eax\n int $0x45\n"                                  /* 2 */
        "movl $11, %eax\n int $0x46\n"                                  /* 2 */
        "movl $20000, %ecx\n"                                           /* the interrupt comes in this loop */
        "2: decl %ecx\n jnz 2b\n"                                       /* 40001 */
        "movl $9, %eax\n movl %esp, %ecx\n movl $3f, %edx\n sysenter\n" /* 4 */
        "3: movl $5, %eax\n int $0x41\n"                                /* 2 */
        "movl $12, %eax\n int $0x44\n"                                  /* 2 */
        /* process B: 1005 in user code */
        "b_user:\n"
        "movl $500, %ecx\n"
        "1: decl %ecx\n jnz 1b\n"     /* 1001 */
        "movl $3, %eax\n int $0x40\n" /* 2 */
        "movl $5, %eax\n int $0x41\n" /* 2 */
        /* handlers */
        "handle_40: .rept 10\n nop\n .endr\n iret\n" /* 11 */
        "handle_41:\n"
        "movl current, %eax\n movl %esp, esp_of(,%eax,4)\n xorl $1, %eax\n movl %eax, current\n"
        "movl cr3_of(,%eax,4), %edx\n movl %edx, %cr3\n" /* 6, of the old process */
        "movl esp_of(,%eax,4), %esp\n movl esp0_of(,%eax,4), %edx\n movl %edx, tss+4\n iret\n" /* 4, of the
                                                                                                  new one */
        "handle_42: int $0x43\n nop\n nop\n nop\n int $0x43\n iret\n"                          /* 6 */
        "handle_43: movl $20, %ecx\n 1: decl %ecx\n jnz 1b\n iret\n"                           /* 42 */
        "handle_44: movl $0x402000, %eax\n movl %eax, %cr3\n"                                  /* 2 */
        "movl back_esp, %esp\n popal\n ret\n"
        /* an interrupt 55 ms later, which HLT waits for */
        "handle_45: movb $0x30, %al\n outb %al, $0x43\n movb $0xff, %al\n outb %al, $0x40\n outb %al, $0x40\n"
        "sti\n hlt\n cli\n iret\n" /* 9 */
        /* one 84 us later */
        "handle_46: movb $0x30, %al\n outb %al, $0x43\n movb $100, %al\n outb %al, $0x40\n movb $0, %al\n"
        "outb %al, $0x40\n iret\n"                                                        /* 7 */
        "handle_ud: addl $2, (%esp)\n iret\n"                                             /* 2 */
        "handle_pf: addl $4, %esp\n addl $7, (%esp)\n iret\n"                             /* 3 */
        "handle_irq: pushl %eax\n movb $0x20, %al\n outb %al, $0x20\n popl %eax\n iret\n" /* 5 */
        "handle_sysenter: nop\n nop\n nop\n nop\n sti\n sysexit\n"                        /* 6 */
        /* into A, whose kernel stack is in use from here on */
        "run: pushal\n movl %esp, back_esp\n"
        "movl $0x23, %eax\n movl %eax, %ds\n movl %eax, %es\n"
        "movl $0x400000, %eax\n movl %eax, %cr3\n"
        "pushl $0x23\n pushl $0x510000\n pushl $0x202\n pushl $0x1b\n pushl $a_user\n iret\n" /* 6, of A */
);

static void map_all(uint32_t *dir)
{
    for (unsigned i = 0; i < 1024; i++)
        dir[i] = i < 3 ? i << 22 | P | RW | US | PS : 0;
}

static void paging_on(void)
{
    map_all((uint32_t *)DIR_A);
    map_all((uint32_t *)DIR_B);
    map_all((uint32_t *)DIR_KERNEL);
    __asm__ volatile("movl %%cr4, %%eax\n\torl $0x10, %%eax\n\tmovl %%eax, %%cr4\n\tmovl %0, %%cr3\n\t"
                     "movl %%cr0, %%eax\n\torl $0x80000000, %%eax\n\tmovl %%eax, %%cr0"
                     :
                     : "r"(DIR_KERNEL)
                     : "eax", "memory");
}

static void wrmsr(uint32_t msr, uint32_t value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"(value), "d"(0));
}

/* What IRET takes when B runs first. */
static void prepare_b(void)
{
    uint32_t *frame = (uint32_t *)KERNEL_STACK_B - 5;
    frame[0] = (uint32_t)b_user;
    frame[1] = 0x1b;
    frame[2] = 0x202;
    frame[3] = USER_STACK_B;
    frame[4] = 0x23;
    esp_of[1] = (uint32_t)frame;
}

int guest_main(void)
{
    void (*const handler[])(void) = {handle_40, handle_41, handle_42, handle_43,
                                     handle_44, handle_45, handle_46};
    for (unsigned i = 0; i < sizeof handler / sizeof *handler; i++)
        set_gate(0x40 + i, (void *)handler[i], 0xee);
    set_gate(6, (void *)handle_ud, 0x8e);
    set_gate(14, (void *)handle_pf, 0x8e);
    set_gate(IRQ_BASE, (void *)handle_irq, 0x8e);
    wrmsr(0x174, 0x08);
    wrmsr(0x175, KERNEL_STACK_A);
    wrmsr(0x176, (uint32_t)handle_sysenter);
    tss.esp0 = KERNEL_STACK_A;
    outb(0x43, 0x30); /* counter 0 stands until it is given a count */
    paging_on();
    prepare_b();
    irq_unmask(0);
    run();
    irq_mask_all();
    for (unsigned i = 0; i < sizeof filled; i++)
        EXPECT_EQ(filled[i], 7); /* AL as it went into INT 42h */
    return 0;
}
