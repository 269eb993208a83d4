/* iomap_286tss.c - with TR a 286 TSS there is no I/O map: IN at CPL 3 > IOPL is #GP(0) whatever bytes lie at
 * offset 66h; with a 386 TSS the map decides, byte by byte for wide accesses, and a base beyond the limit
 * denies; IOPL 3 allows. SDM 1, 19.5.2. */
#include "ring3.h"
#include "rt.h"
static struct {
    uint8_t b[8192];
} t __attribute__((aligned(16)));
extern char in1[], in2[], in4[];
static void desc(unsigned type, unsigned limit)
{
    uint32_t a = (uint32_t)&t;
    gdt[6] =
        (limit & 0xffff) | (uint64_t)(a & 0xffffff) << 16 | (uint64_t)type << 40 | (uint64_t)(a >> 24) << 56;
    __asm__ volatile("ltr %w0" : : "r"(0x30));
}
static void user(char *at, unsigned iopl)
{
    uint32_t img[5] = {(uint32_t)at, 0x1b, iopl << 12 | 2, (uint32_t)(ustack + 4096), 0x23};
    memset(&t, 0, 0x40);
    *(uint32_t *)(t.b + 4) = (uint32_t)(kstack + sizeof kstack);
    *(uint32_t *)(t.b + 8) = 0x10;
    go(img, 5);
}
int guest_main(void)
{
    for (unsigned v = 0; v < 49; v++)
        set_isr(v, caught);
    __asm__ goto(
        "jmp %l0\nin1:\tinb $0x61, %%al\n\tud2\nin2:\tinw $0x61, %%ax\n\tud2\nin4:\tinl $0x61, %%eax\n\tud2"
        :
        :
        :
        : skip);
skip:
    memset(&t, 0, sizeof t);
    *(uint16_t *)(t.b + 0x66) = 0x68;
    desc(0x89, 0x68 + 32);
    user(in1, 0);
    EXPECT_EQ(vec, 6); /* map all clear: allowed */
    t.b[0x68 + 0x62 / 8] |= 1 << (0x62 & 7);
    user(in1, 0);
    EXPECT_EQ(vec, 6);
    user(in2, 0);
    EXPECT_EQ(vec, 13);
    EXPECT_EQ(err, 0);
    EXPECT_EQ(ev_eip, (uint32_t)in2);
    user(in2, 3);
    EXPECT_EQ(vec, 6);
    t.b[0x68 + 0x62 / 8] = 0;
    t.b[0x68 + 0x64 / 8] = 1 << (0x64 & 7);
    user(in4, 0);
    EXPECT_EQ(vec, 13);
    user(in2, 0);
    EXPECT_EQ(vec, 6);
    t.b[0x68 + 0x64 / 8] = 0;
    desc(0x89, 0x68 + 0x61 / 8);
    user(in1, 0);
    EXPECT_EQ(vec, 13); /* two bytes are read: the second lies beyond */
    desc(0x89, 0x68 + 0x61 / 8 + 1);
    user(in1, 0);
    EXPECT_EQ(vec, 6);
    *(uint16_t *)(t.b + 0x66) = 0xffff;
    desc(0x89, 0x200);
    user(in1, 0);
    EXPECT_EQ(vec, 13);
    /* 286 TSS: ESP0 and SS0 are words at 2 and 4 */
    *(uint16_t *)(t.b + 0x66) = 0x68;
    desc(0x81, 0x200);
    tss.esp0 = 0;
    memset(&t, 0, 0x40);
    uint8_t *ks = (uint8_t *)0x8000;
    *(uint16_t *)(t.b + 2) = 0x9000;
    *(uint16_t *)(t.b + 4) = 0x10;
    (void)ks;
    {
        uint32_t img[5] = {(uint32_t)in1, 0x1b, 2, (uint32_t)(ustack + 4096), 0x23};
        go(img, 5);
        EXPECT_EQ(vec, 13);
        EXPECT_EQ(err, 0);
    }
    {
        uint32_t img[5] = {(uint32_t)in1, 0x1b, 0x3002, (uint32_t)(ustack + 4096), 0x23};
        go(img, 5);
        EXPECT_EQ(vec, 6);
    }
    return 0;
}
