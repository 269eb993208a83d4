/* remap: A20 and shadow RAM, as the guest switches them: memory changes under it, by the
 * next instruction (firmware and loaders rely on that; of the 8042's gate tests/realmode tells).
 *
 * A20: the 8042's gate and port 92h, either of which keeps address bit 20 (82371SB data sheet, port 92h).
 * Shadow RAM: the PAM registers of the 82441FX (290549, 3.2.13) for reads and for writes apart, with code
 * running there. PMBASE: the ports of power management, moved about (290562, 7.1). */
#include "rt.h"

#define ODD     0x300000u /* address bit 20 is 1; with A20 off this is EVEN */
#define EVEN    0x200000u
#define CODE    0x80000u /* below 1 MiB, whatever A20 is */
#define SHADOW  0xd0000u
#define PAM3    0x5c /* D0000-D3FFF in its lower half */
#define LATENCY 300  /* instructions: more than any device takes to act */
#define READS   1
#define WRITES  2
#define HOST    0x80000000u

static volatile uint32_t *word(uint32_t addr)
{
    return (volatile uint32_t *)addr;
}

/* --- A20: the code and its registers only, since this program lies in an odd megabyte --- */

/* EAX: a value for port 92h; ESI: an address; returns what is there while A20 is so, in EBX and, at once
 * after the write, in a hash of when it changed, in ECX. */
__asm__(".globl a20_begin, a20_end\n"
        "a20_begin: outb %al, $0x92\n"
        "xorl %ecx, %ecx\n"
        "movl $300, %edx\n"
        "1: movl (%esi), %ebx\n"
        "roll $1, %ecx\n"
        "addl %ebx, %ecx\n"
        "decl %edx\n"
        "jnz 1b\n"
        "movl (%esi), %ebx\n"
        "movb $2, %al\n"
        "outb %al, $0x92\n"
        "movl $300, %edx\n"
        "2: decl %edx\n"
        "jnz 2b\n"
        "jmp *%edi\n"
        "a20_end:\n");
extern const uint8_t a20_begin[], a20_end[];

static uint32_t hash;

static uint32_t read_with_porta(uint8_t porta, uint32_t addr)
{
    uint32_t value, changed;
    memcpy((void *)CODE, a20_begin, (size_t)(a20_end - a20_begin));
    __asm__ volatile("movl $3f, %%edi\n jmp *%%edx\n 3:"
                     : "=b"(value), "=c"(changed)
                     : "a"(porta), "S"(addr), "d"(CODE)
                     : "edi", "memory", "cc");
    hash = (hash ^ changed) * 16777619u;
    return value;
}

static void kbc_output_port(uint8_t value)
{
    while (inb(0x64) & 2)
        ;
    outb(0x64, 0xd1);
    while (inb(0x64) & 2)
        ;
    outb(0x60, value);
    while (inb(0x64) & 2)
        ;
}

static void test_a20(void)
{
    *word(EVEN) = 0x22222222;
    *word(ODD) = 0x33333333;
    EXPECT_EQ(read_with_porta(0, ODD), 0x33333333); /* the 8042 still has it */
    kbc_output_port(0xdd);
    EXPECT_EQ(read_with_porta(2, ODD), 0x33333333); /* port 92h alone */
    EXPECT_EQ(read_with_porta(0, ODD), 0x22222222); /* neither */
    EXPECT_EQ(read_with_porta(0, EVEN), 0x22222222);
    kbc_output_port(0xdf);
    EXPECT_EQ(read_with_porta(0, ODD), 0x33333333);
}

/* --- shadow RAM --- */

static void pam3(unsigned value)
{
    outl(0xcf8, HOST | (PAM3 & ~3u));
    outb(0xcfc + (PAM3 & 3), (uint8_t)(0x30 | value));
}

/* OUT and MOV back to back. */
static uint32_t read_behind_pam3(unsigned value)
{
    uint32_t seen;
    outl(0xcf8, HOST | (PAM3 & ~3u));
    __asm__ volatile("outb %%al, %%dx\n movl (%%ecx), %0"
                     : "=r"(seen)
                     : "a"((uint8_t)(0x30 | value)), "d"(0xcfc + (PAM3 & 3)), "c"(SHADOW)
                     : "memory");
    return seen;
}

static void test_at_once(void)
{
    *word(SHADOW) = 1;
    for (unsigned i = 0; i < 20; i++) {
        EXPECT_EQ(read_behind_pam3(0), 0xffffffff);
        EXPECT_EQ(read_behind_pam3(READS), 1);
        EXPECT_EQ(read_behind_pam3(WRITES), 0xffffffff);
        EXPECT_EQ(read_behind_pam3(READS | WRITES), 1);
    }
}

static void test_data(void)
{
    *word(SHADOW) = 1;
    pam3(READS);
    *word(SHADOW) = 2;
    EXPECT_EQ(*word(SHADOW), 1);
    pam3(WRITES);
    *word(SHADOW) = 3;
    EXPECT_EQ(*word(SHADOW), 0xffffffff); /* nobody answers on the bus */
    EXPECT_EQ(*word(SHADOW + 0x4000), 0); /* the region beside it is as it was */
    pam3(0);
    *word(SHADOW) = 4;
    pam3(READS | WRITES);
    EXPECT_EQ(*word(SHADOW), 3);
}

/* MOV EAX, n; RET */
static void put_function(uint32_t n)
{
    volatile uint8_t *p = (volatile uint8_t *)SHADOW;
    p[0] = 0xb8;
    memcpy((void *)(SHADOW + 1), &n, 4);
    p[5] = 0xc3;
}

static void test_code(void)
{
    uint32_t (*function)(void) = (uint32_t(*)(void))SHADOW;
    for (uint32_t n = 1; n <= 20; n++) {
        put_function(n);
        for (unsigned i = 0; i < 50; i++)
            EXPECT_EQ(function(), n);
        pam3(READS);
        put_function(n + 1000); /* dropped */
        EXPECT_EQ(function(), n);
        pam3(READS | WRITES);
        EXPECT_EQ(function(), n);
    }
}

/* --- PMBASE --- */

#define PM       (0x80000000u | 1u << 11 | 3u << 8)
#define PMBA     0x40
#define PMREG    0x80
#define PM_EN    3 /* the upper byte of a register that keeps bit 8 */
#define PM_TIMER 8

static void wait(void)
{
    for (volatile unsigned i = 0; i < LATENCY; i++)
        ;
}

static void pm_config(uint32_t reg, uint32_t value)
{
    outl(0xcf8, PM | reg);
    outl(0xcfc, value);
}

static void test_pmbase(void)
{
    static const uint16_t bases[] = {0xb000, 0x600, 0xffc0, 0xb040, 0x3c0};
    uint16_t at = 0x600;
    outb(0x600 + PM_EN, 1);
    for (unsigned i = 0; i < 20; i++) {
        uint16_t next = bases[i % 5];
        pm_config(PMBA, next);
        uint32_t time = inl((uint16_t)(next + PM_TIMER));
        wait(); /* a count takes 35 ticks */
        EXPECT_EQ(inb((uint16_t)(next + PM_EN)), 1);
        EXPECT(inl((uint16_t)(next + PM_TIMER)) > time);
        if (at != next)
            EXPECT_EQ(inl((uint16_t)(at + PM_TIMER)), ~0u);
        at = next;
    }
    pm_config(PMBA, 0x3c0); /* 3F8 to 3FF: the UART has them */
    outb(0x3ff, 0x5a);
    EXPECT_EQ(inb(0x3ff), 0x5a);
    EXPECT_EQ(inb(0x3c0 + PM_EN), 1);
    pm_config(PMREG, 0);
    EXPECT_EQ(inb(0x3c0 + PM_EN), 0xff);
    pm_config(PMREG, 1);
    pm_config(PMBA, 0x600);
    EXPECT_EQ(inb(0x600 + PM_EN), 1);
    outb(0x600 + PM_EN, 0);
}

int guest_main(void)
{
    test_pmbase();
    test_a20();
    test_at_once();
    test_data();
    test_code();
    print("remaps were seen at %x\n", hash);
    return 0;
}
