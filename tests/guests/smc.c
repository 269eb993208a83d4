/* smc.c - self-modifying code: next instruction, same block, another page, through an alias. */
#include "rt.h"

static uint8_t area[3 * 4096] __attribute__((aligned(4096)));
static uint32_t dir[1024] __attribute__((aligned(4096))), table[1024] __attribute__((aligned(4096)));

static uint32_t call(void *p)
{
    uint32_t r;
    __asm__ volatile("call *%1" : "=a"(r) : "r"(p) : "ecx", "edx", "memory", "cc");
    return r;
}

/* mov $imm, %eax; ret */
static void put_return(uint8_t *p, uint32_t value)
{
    p[0] = 0xb8;
    *(volatile uint32_t *)(p + 1) = value;
    p[5] = 0xc3;
}

static void check_rewrite(void)
{
    for (uint32_t i = 0; i < 3000; i++) {
        put_return(area + 100, i * 77);
        if (call(area + 100) != i * 77) {
            EXPECT_EQ(call(area + 100), i * 77);
            return;
        }
    }
    EXPECT(true);
}

/* A store changes the immediate of the instruction right behind it, in the same block. */
static void check_next_insn(void)
{
    uint32_t r;
    for (uint32_t i = 1; i < 200; i++) {
        __asm__ volatile("movl %1, 1f+1\n1:\tmovl $0x11111111, %%eax\n\tmovl %%eax, %0"
                         : "=r"(r)
                         : "r"(i * 0x01010101u)
                         : "eax", "memory");
        if (r != i * 0x01010101u)
            EXPECT_EQ(r, i * 0x01010101u);
    }
    __asm__ volatile("jmp 2f\n2:\txorl %%eax, %%eax\n\tmovb $0x40, 3f\n\tnop\n\tnop\n3:\tnop\n\tmovb $0x90, "
                     "3b\n\tmovl %%eax, %0"
                     : "=r"(r)
                     :
                     : "eax", "memory");
    EXPECT_EQ(r, 1); /* the NOP had become INC EAX */
}

/* REP STOSB writes over code that then runs; a page-crossing instruction whose tail changes. */
static void check_string_and_cross(void)
{
    uint8_t *p = area + 4096 - 3; /* mov $imm across the page end */
    put_return(p, 0x12345678);
    EXPECT_EQ(call(p), 0x12345678);
    *(volatile uint8_t *)(area + 4096 + 1) = 0xaa; /* top byte of imm */
    EXPECT_EQ(call(p), 0xaa345678);
    put_return(area + 200, 5);
    EXPECT_EQ(call(area + 200), 5);
    void *d = area + 201;
    uint32_t n = 4;
    __asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(0x21) : "memory");
    EXPECT_EQ(call(area + 200), 0x21212121);
}

/* The same physical page written through another linear address, and remapped under a running one. */
static void check_alias(void)
{
    for (uint32_t i = 0; i < 1024; i++)
        table[i] = (i << 12) | 3;
    dir[0] = (uint32_t)table | 3;
    uint32_t page = (uint32_t)area >> 12;
    table[0x3f0] = (page << 12) | 3; /* alias of page 0 at 0x3f0000 */
    table[0x3f1] = ((page + 1) << 12) | 3;
    __asm__ volatile("movl %0, %%cr3\n\tmovl %%cr0, %%eax\n\torl $0x80010000, %%eax\n\tmovl %%eax, %%cr0"
                     :
                     : "r"(dir)
                     : "eax", "memory");
    uint8_t *alias = (uint8_t *)0x3f0000;
    put_return(area + 300, 1);
    EXPECT_EQ(call(area + 300), 1);
    EXPECT_EQ(call(alias + 300), 1);
    put_return(alias + 300, 2);
    EXPECT_EQ(call(area + 300), 2);
    EXPECT_EQ(call(alias + 300), 2);
    put_return(area + 4096 + 300, 9);      /* page 1: 9 */
    table[0x3f0] = ((page + 1) << 12) | 3; /* remap */
    __asm__ volatile("invlpg %0" : : "m"(*alias) : "memory");
    EXPECT_EQ(call(alias + 300), 9);
    EXPECT_EQ(call(area + 300), 2);
    __asm__ volatile("movl %%cr0, %%eax\n\tandl $0x7fffffff, %%eax\n\tmovl %%eax, %%cr0"
                     :
                     :
                     : "eax", "memory");
}

/* A loop that rewrites its own body each turn. */
static void check_loop(void)
{
    uint32_t sum;
    __asm__ volatile("xorl %%edx, %%edx\n\tmovl $50, %%ecx\n1:\tmovl %%ecx, 2f+1\n2:\tmovl $0, %%eax\n\taddl "
                     "%%eax, %%edx\n\tdecl %%ecx\n\tjnz 1b\n\tmovl %%edx, %0"
                     : "=r"(sum)
                     :
                     : "eax", "ecx", "edx", "memory", "cc");
    EXPECT_EQ(sum, 1275);
}

int guest_main(void)
{
    check_rewrite();
    check_next_insn();
    check_string_and_cross();
    check_loop();
    check_alias();
    return 0;
}
