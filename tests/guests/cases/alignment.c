/* alignment.c - #AC(0) for unaligned data of CPL 3 with CR0.AM and EFLAGS.AC, and for nothing else (SDM
 * 3A 6.15, table 6-7): each operand has its own alignment; loops, which compiled code runs without looking at
 * each access, fault at the first one; CPL 0 and implicit accesses to tables are never checked. */
#include "ring3.h"
#include "rt.h"

#define CR0_AM 0x40000u
#define AC     0x40000u

static uint8_t data[8192] __attribute__((aligned(4096)));

/* The user's code: EBX gets the address; each piece ends in UD2. */
static const uint8_t *user_at __attribute__((used));
__asm__(".macro piece name\n.globl \\name\n\\name: movl user_at, %ebx\n.endm\n"
        "piece load8\n movb (%ebx), %al\n ud2\n"
        "piece load16\n movw (%ebx), %ax\n ud2\n"
        "piece load32\n movl (%ebx), %eax\n ud2\n"
        "piece store32\n movl %eax, (%ebx)\n ud2\n"
        "piece rmw32\n incl (%ebx)\n ud2\n"
        "piece xadd\n lock xaddl %eax, (%ebx)\n ud2\n"
        "piece cx8\n cmpxchg8b (%ebx)\n ud2\n"
        "piece push32\n movl %ebx, %esp\n pushl %eax\n ud2\n"
        "piece pop32\n movl %ebx, %esp\n popl %eax\n ud2\n"
        "piece pusha\n movl %ebx, %esp\n pushal\n ud2\n"
        "piece movs32\n movl %ebx, %esi\n leal 64(%ebx), %edi\n movl $4, %ecx\n rep movsl\n ud2\n"
        "piece stos16\n movl %ebx, %edi\n movl $4, %ecx\n rep stosw\n ud2\n"
        "piece les\n lesl (%ebx), %eax\n ud2\n"
        "piece bts\n btsl $0, (%ebx)\n ud2\n"
        "piece fld32\n flds (%ebx)\n ud2\n"
        "piece fld64\n fldl (%ebx)\n ud2\n"
        "piece fld80\n fldt (%ebx)\n ud2\n"
        "piece fst64\n fldz\n fstpl (%ebx)\n ud2\n"
        "piece fild16\n filds (%ebx)\n ud2\n"
        "piece fnsave\n fnsave (%ebx)\n ud2\n"
        "piece fnstenv\n fnstenv (%ebx)\n ud2\n"
        "piece sgdt\n sgdt (%ebx)\n ud2\n"
        "piece loop32\n movl $300, %ecx\n1: movl (%ebx), %eax\n addl $4, %ebx\n decl %ecx\n jnz 1b\n ud2\n"
        "piece loopst\n movl $300, %ecx\n1: movl %ecx, (%ebx)\n movl %ecx, 4(%ebx)\n addl $8, %ebx\n decl "
        "%ecx\n jnz 1b\n ud2\n"
        "piece off\n pushfl\n andl $~0x40000, (%esp)\n popfl\n movl (%ebx), %eax\n ud2\n"
        "piece on\n pushfl\n orl $0x40000, (%esp)\n popfl\n movl (%ebx), %eax\n ud2\n");
extern char load8[], load16[], load32[], store32[], rmw32[], xadd[], cx8[], push32[], pop32[], pusha[],
    movs32[], stos16[], les[], bts[], fld32[], fld64[], fld80[], fst64[], fild16[], fnsave[], fnstenv[],
    sgdt[], loop32[], loopst[], off[], on[];

static const struct {
    const char *name;
    char *code;
    uint32_t align; /* of the first access */
    uint32_t phase; /* the address is right at this remainder */
} piece[] = {
    {"load8", load8, 1, 0},     {"load16", load16, 2, 0}, {"load32", load32, 4, 0},
    {"store32", store32, 4, 0}, {"rmw32", rmw32, 4, 0},   {"xadd", xadd, 4, 0},
    {"cx8", cx8, 8, 0},         {"push32", push32, 4, 0}, {"pop32", pop32, 4, 0},
    {"pusha", pusha, 4, 0},     {"movs32", movs32, 4, 0}, {"stos16", stos16, 2, 0},
    {"les", les, 4, 0},         {"bts", bts, 4, 0},       {"fld32", fld32, 4, 0},
    {"fld64", fld64, 8, 0},     {"fld80", fld80, 8, 0},   {"fst64", fst64, 8, 0},
    {"fild16", fild16, 2, 0},   {"fnsave", fnsave, 4, 0}, {"fnstenv", fnstenv, 4, 0},
    {"sgdt", sgdt, 4, 2},       {"loop32", loop32, 4, 0}, {"loopst", loopst, 4, 0},
};

static void run(const char *code, const uint8_t *at, uint32_t flags)
{
    uint32_t image[5] = {(uint32_t)code, 0x1b, flags | 2, (uint32_t)(ustack + sizeof ustack - 64), 0x23};
    user_at = at;
    __asm__ volatile("fninit\n\tmovl %0, %%ds\n\tmovl %0, %%es" : : "r"(0x23));
    go(image, 5);
}

static void set_am(bool on)
{
    uint32_t c;
    __asm__ volatile("movl %%cr0, %0" : "=r"(c));
    c = on ? c | CR0_AM : c & ~CR0_AM;
    c &= ~0xeu; /* MP EM TS */
    __asm__ volatile("movl %0, %%cr0" : : "r"(c));
}

static void try_all(bool am, uint32_t flags)
{
    set_am(am);
    for (unsigned i = 0; i < sizeof piece / sizeof piece[0]; i++)
        for (unsigned k = 0; k < 8; k++) {
            bool fault = am && flags && ((k - piece[i].phase) & (piece[i].align - 1));
            memset(data + 2048, 0, 256);
            run(piece[i].code, data + 2048 + k, flags);
            if (seen != 1 || vec != (fault ? 17 : 6) || err != 0)
                print("%s +%u am %u ac %x: vector %u error %x\n", piece[i].name, k, am, flags, vec, err);
            EXPECT_EQ(seen, 1);
            EXPECT_EQ(vec, fault ? 17 : 6);
            EXPECT_EQ(err, 0);
        }
}

/* CPL 0 with AC: never. */
static void try_kernel(void)
{
    uint32_t v;
    set_am(true);
    __asm__ volatile("pushfl\n\torl $0x40000, (%%esp)\n\tpopfl\n\tmovl %1, %0\n\tpushfl\n\tandl $~0x40000, "
                     "(%%esp)\n\tpopfl"
                     : "=r"(v)
                     : "m"(*(uint32_t *)(data + 1)));
    EXPECT_EQ(v, v);
}

int guest_main(void)
{
    set_isr(6, caught);
    set_isr(13, caught);
    set_isr(14, caught);
    set_isr(17, caught);
    for (unsigned round = 0; round < 3; round++) {
        try_all(true, AC);
        try_all(true, 0);
        try_all(false, AC);
    }
    set_am(true);
    run(off, data + 1, AC);
    EXPECT_EQ(vec, 6);
    run(on, data + 1, 0);
    EXPECT_EQ(vec, 17);
    run(on, data + 4, 0);
    EXPECT_EQ(vec, 6);
    try_kernel();
    set_am(false);
    return 0;
}
