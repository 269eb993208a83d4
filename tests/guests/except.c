/* except.c - exceptions, error codes, paging bits, privilege, double fault, SYSENTER. */
#include "rt.h"

static uint32_t dir[1024] __attribute__((aligned(4096))), table[1024] __attribute__((aligned(4096)));
static uint8_t user_page[4096] __attribute__((aligned(4096)));
static uint32_t ustack[256] __attribute__((aligned(4096)));
static volatile uint32_t seen_vector, seen_error, seen_eip, seen_cr2, seen_cs;
volatile uint32_t resume; /* named in asm */

static uint32_t read_cr2(void)
{
    uint32_t v;
    __asm__ volatile("movl %%cr2, %0" : "=r"(v));
    return v;
}

static void catch (struct frame *f)
{
    seen_vector = f->vector, seen_error = f->error, seen_eip = f->eip, seen_cs = f->cs;
    seen_cr2 = read_cr2();
    if (resume)
        f->eip = resume;
}

/* Runs one instruction that faults, with EAX, ECX, EDX given; resumes behind it; notes its address. */
#define FAULT(insn, eax, ecx, edx)                                                                           \
    ({                                                                                                       \
        uint32_t at_, a_ = (uint32_t)(eax), c_ = (uint32_t)(ecx), d_ = (uint32_t)(edx);                      \
        seen_vector = 0xff;                                                                                  \
        __asm__ volatile("movl $2f, resume\n\tmovl $1f, %0\n1:\t" insn "\n2:"                                \
                         : "=&S"(at_), "+a"(a_), "+c"(c_), "+d"(d_)                                          \
                         :                                                                                   \
                         : "memory", "cc");                                                                  \
        at_;                                                                                                 \
    })
#define EXPECT_FAULT(vec, err, insn, eax, ecx, edx)                                                          \
    do {                                                                                                     \
        uint32_t insn_at = FAULT(insn, eax, ecx, edx);                                                       \
        EXPECT_EQ(seen_vector, vec);                                                                         \
        EXPECT_EQ(seen_eip, insn_at);                                                                        \
        EXPECT_EQ(seen_error, err);                                                                          \
    } while (0)

static void check_basic(void)
{
    EXPECT_FAULT(0, 0, "divl %%ecx", 1, 0, 0);
    EXPECT_FAULT(0, 0, "idivl %%ecx", 0x80000000, 0xffffffff, 0xffffffff);
    EXPECT_FAULT(6, 0, "ud2", 0, 0, 0);
    EXPECT_FAULT(6, 0, ".byte 0xf0, 0x90", 0, 0, 0);         /* LOCK NOP */
    EXPECT_FAULT(6, 0, ".byte 0x0f, 0xff, 0xc0", 0, 0, 0);   /* UD0 */
    EXPECT_FAULT(13, 0x100, "movw %%ax, %%ds", 0x100, 0, 0); /* beyond the GDT */
    EXPECT_FAULT(13, 0, "movw %%ax, %%ss", 0, 0, 0);         /* null SS */
    EXPECT_FAULT(13, 0x08, "movw %%ax, %%ss", 0x08, 0, 0);   /* code in SS */
    EXPECT_FAULT(13, 50 * 8 + 2, "int $50", 0, 0, 0);        /* no gate: not present is #NP, absent limit */
    if (!option("qemu", 0)) {                                /* QEMU does not check these */
        EXPECT_FAULT(13, 0, "wrmsr", 0, 0x12345, 0);
        EXPECT_FAULT(13, 0, "movl %%eax, %%cr0", 0x80000000, 0, 0); /* PG without PE */
        EXPECT_FAULT(13, 0, "movl %%eax, %%cr4", 0x80000000, 0, 0);
    }
    static const int32_t bounds[2] = {0, 3};
    EXPECT_FAULT(5, 0, ".byte 0x62, 0x01", 5, bounds, 0); /* BOUND EAX, [ECX] */
    seen_vector = 0xff, resume = 0;
    __asm__ volatile("int3\n1:\tmovl $1b, %0" : "=r"(resume) : : "memory");
    EXPECT_EQ(seen_vector, 3);
    EXPECT_EQ(seen_eip, resume);
    resume = 0;
    __asm__ volatile("movl $0x7fffffff, %%eax\n\tincl %%eax\n\tinto" : : : "eax", "cc", "memory");
    EXPECT_EQ(seen_vector, 4);
}

static void paging_on(void)
{
    for (uint32_t i = 0; i < 1024; i++)
        table[i] = i << 12 | 3;
    dir[0] = (uint32_t)table | 7;
    dir[1] = 0x400000 | 0x83; /* 4 MiB page */
    __asm__ volatile("movl %%cr4, %%eax\n\torl $0x90, %%eax\n\tmovl %%eax, %%cr4\n\tmovl %0, %%cr3\n\tmovl "
                     "%%cr0, %%eax\n\t"
                     "orl $0x80010000, %%eax\n\tmovl %%eax, %%cr0"
                     :
                     : "r"(dir)
                     : "eax", "memory");
}

static void flush(void)
{
    __asm__ volatile("movl %%cr3, %%eax\n\tmovl %%eax, %%cr3" : : : "eax", "memory");
}

static void check_paging(void)
{
    volatile uint32_t *at = (volatile uint32_t *)0x3e0000;
    paging_on();
    table[0x3e0] = 0, table[0x3e1] = 0;
    flush();
    EXPECT_FAULT(14, 0, "movl (%%ecx), %%eax", 0, at, 0);
    EXPECT_EQ(seen_cr2, 0x3e0000);
    /* a read-modify-write faults as a write (seen on hardware; QEMU says 0) */
    EXPECT_FAULT(14, option("qemu", 0) ? 0 : 2, "addl $1, 8(%%ecx)", 0, at, 0);
    EXPECT_EQ(seen_cr2, 0x3e0008);
    table[0x3e0] = (uint32_t)user_page | 1; /* read only */
    flush();
    EXPECT_FAULT(14, 3, "movl %%eax, (%%ecx)", 1, at, 0);
    EXPECT_EQ(table[0x3e0] & 0x60, 0);
    EXPECT_EQ(at[0], 0);
    EXPECT_EQ(table[0x3e0] & 0x60, 0x20); /* A set, D not */
    table[0x3e0] = (uint32_t)user_page | 3;
    flush();
    at[1] = 0x1234;
    EXPECT_EQ(table[0x3e0] & 0x60, 0x60);
    /* page-crossing store: second page absent, nothing is written */
    EXPECT_FAULT(14, 2, "movl %%eax, 0xffe(%%ecx)", 0xffffffff, at, 0);
    EXPECT_EQ(seen_cr2, 0x3e1000);
    EXPECT_EQ(*(uint16_t *)(user_page + 0xffe), 0);
    /* the 4 MiB page */
    *(volatile uint32_t *)0x412345 = 77;
    EXPECT_EQ(*(volatile uint32_t *)0x412345, 77);
    EXPECT_EQ(dir[1] & 0x60, 0x60);
    /* REP MOVSB into the absent page: registers say how far it came */
    uint32_t esi = 0x100000, edi = 0x3e0ff0, ecx = 64, edi2, ecx2, esi2;
    seen_vector = 0xff;
    __asm__ volatile("movl $2f, %3\n1:\trep movsb\n2:"
                     : "=S"(esi2), "=D"(edi2), "=c"(ecx2), "=m"(resume)
                     : "0"(esi), "1"(edi), "2"(ecx)
                     : "memory");
    EXPECT_EQ(seen_vector, 14);
    EXPECT_EQ(ecx2, 48);
    EXPECT_EQ(edi2, 0x3e1000);
    EXPECT_EQ(esi2, esi + 16);
    EXPECT_EQ(seen_cr2, 0x3e1000);
}

/* User mode: runs code from user_page at CPL 3 until it faults; the frame's eip tells where. */
static volatile uint32_t back_esp, back_eip;
static void leave_user(struct frame *f)
{
    catch (f);
    f->cs = 0x08, f->eip = back_eip;
    /* return without privilege change: the frame's user_esp/ss stay on the stack; restored by esp */
}

static void run_user(const uint8_t *code, unsigned n)
{
    memcpy(user_page, code, n);
    ustack[255] = 0;
    resume = 0;
    for (unsigned v = 0; v < 20; v++)
        set_isr(v, leave_user);
    __asm__ volatile("pushal\n\tmovl %%esp, %0\n\tmovl %%esp, tss+4\n\tmovl $1f, %1\n\tpushl $0x23\n\tpushl "
                     "%2\n\tpushl $0x202\n\tpushl $0x1b\n\tpushl %3\n\t"
                     "movl $0x23, %%eax\n\tmovl %%eax, %%ds\n\tmovl %%eax, %%es\n\tiret\n1:\tmovl %0, "
                     "%%esp\n\tmovl $0x10, %%eax\n\tmovl %%eax, %%ds\n\tmovl %%eax, %%es\n\tpopal\n\tcli"
                     : "=m"(back_esp), "=m"(back_eip)
                     : "r"(&ustack[250]), "r"(0x3e0000)
                     : "eax", "memory", "cc");
    for (unsigned v = 0; v < 20; v++)
        set_isr(v, catch);
}

#define USER(vec, err, off, ...)                                                                             \
    do {                                                                                                     \
        static const uint8_t code_[] = {__VA_ARGS__};                                                        \
        run_user(code_, sizeof code_);                                                                       \
        EXPECT_EQ(seen_vector, vec);                                                                         \
        EXPECT_EQ(seen_error, err);                                                                          \
        EXPECT_EQ(seen_eip, 0x3e0000 + (off));                                                               \
        EXPECT_EQ(seen_cs, 0x1b);                                                                            \
    } while (0)

static void check_user(void)
{
    table[0x3e0] = (uint32_t)user_page | 7;
    table[(uint32_t)ustack >> 12] |= 4;
    flush();
    USER(13, 0, 0, 0xf4);                         /* HLT */
    USER(13, 0, 1, 0x90, 0xfa);                   /* CLI */
    USER(13, 0, 0, 0xe4, 0x40);                   /* IN AL, 40h */
    USER(13, 0, 0, 0x0f, 0x20, 0xc0);             /* MOV EAX, CR0 */
    USER(13, 0x102, 0, 0xcd, 0x20);               /* INT 20h through a DPL 0 gate */
    USER(14, 5, 0, 0xa1, 0x00, 0x00, 0x10, 0x00); /* supervisor page: read */
    USER(14, 7, 0, 0xa3, 0x00, 0x00, 0x10, 0x00); /* write */
    USER(14, 5, 0x100000 - 0x3e0000, 0xb8, 0x00, 0x00, 0x10, 0x00, 0xff, 0xe0); /* jump there: fetch */
    USER(6, 0, 2, 0x31, 0xc0, 0x0f, 0x0b);                                      /* UD2 */
    USER(13, 0x10, 5, 0xb8, 0x10, 0, 0, 0, 0x8e, 0xd8);                         /* kernel DS */
    USER(14, 4, 5, 0xb9, 0x00, 0x10, 0x3e, 0x00, 0x8b, 0x01);                   /* absent page */
    EXPECT_EQ(seen_cr2, 0x3e1000);
}

/* SYSENTER from CPL 3 and back with SYSEXIT. */
extern char sysenter_entry[];
__asm__("sysenter_entry:\n\tincl sysenter_count\n\tmovl $0x3e0010, %edx\n\tmovl %ebx, %ecx\n\tsysexit\n");
volatile uint32_t sysenter_count;

static void wrmsr(uint32_t msr, uint32_t v)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"(v), "d"(0));
}

static void check_sysenter(void)
{
    static uint32_t stack[64];
    wrmsr(0x174, 0x08), wrmsr(0x175, (uint32_t)&stack[60]), wrmsr(0x176, (uint32_t)sysenter_entry);
    static uint8_t code[32] = {0x89, 0xe3, 0x0f, 0x34}; /* mov %esp,%ebx; sysenter; at 0x10: ud2 */
    code[16] = 0x0f, code[17] = 0x0b;
    run_user(code, sizeof code);
    EXPECT_EQ(sysenter_count, 1);
    EXPECT_EQ(seen_vector, 6);
    EXPECT_EQ(seen_eip, 0x3e0010);
    EXPECT_EQ(seen_cs, 0x1b);
}

/* #GP while delivering #NP-less #GP: vector 13's gate made not present => #DF with error 0. */
static void check_double_fault(void)
{
    extern char stubs[];
    set_gate(13, stubs + 16 * 13, 0x0e); /* P = 0 */
    seen_vector = 0xff;
    FAULT("movw %%ax, %%ds", 0x100, 0, 0);
    EXPECT_EQ(seen_vector, 8);
    EXPECT_EQ(seen_error, 0);
    set_gate(13, stubs + 16 * 13, 0x8e);
}

int guest_main(void)
{
    for (unsigned v = 0; v < 20; v++)
        set_isr(v, catch);
    check_basic();
    check_paging();
    check_user();
    check_sysenter();
    check_double_fault();
    if (option("triple", 0)) {
        __asm__ volatile("lidt %0\n\tint3" : : "m"(*(const uint64_t *)"\0\0\0\0\0\0\0\0"));
    }
    return 0;
}
