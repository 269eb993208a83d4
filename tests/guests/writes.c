/* Stores that are more than data: SIMD and x87 stores into a page table in use, and the page walk's own
 * accessed bit in what is also code of the running block. Both once depended on when a block was compiled or
 * cut. */
#include "rt.h"
#include "simd.h"

enum { P = 1, RW = 2 };
typedef uint32_t page_words[1024] __attribute__((aligned(4096)));
static page_words dir_a, dir_b, low, low_b, table, data0, data1;
#define LIN 0x08000000u

static void cr3_load(void *dir)
{
    __asm__ volatile("movl %0, %%cr3" : : "r"(dir) : "memory");
}

static SSE2 __attribute__((noinline)) void store_sse(void *to, const void *from)
{
    __asm__ volatile("movdqa (%1), %%xmm0\n\tmovdqa %%xmm0, (%0)" : : "r"(to), "r"(from) : "memory", "xmm0");
}

static SSE2 __attribute__((noinline)) void store_mmx(void *to, const void *from)
{
    __asm__ volatile("movq (%1), %%mm0\n\tmovq %%mm0, (%0)\n\temms" : : "r"(to), "r"(from) : "memory");
}

static __attribute__((noinline)) void store_x87(void *to, const void *from)
{
    __asm__ volatile("fildll (%1)\n\tfistpll (%0)" : : "r"(to), "r"(from) : "memory");
}

static __attribute__((noinline)) void store_plain(void *to, const void *from)
{
    *(volatile uint32_t *)to = *(const uint32_t *)from;
}

/* A new mapping for LIN in space A; to leave and come back is a flush. */
static void store_to_table(void)
{
    static void (*const stores[])(void *, const void *) = {store_sse, store_mmx, store_x87, store_plain};
    static uint32_t entry[4] __attribute__((aligned(16)));
    volatile uint32_t *lin = (volatile uint32_t *)LIN;
    data0[0] = 0x1111;
    data1[0] = 0x2222;
    for (unsigned round = 0; round < 400; round++) {
        entry[0] = (uint32_t)(round & 1 ? data1 : data0) | P | RW;
        stores[round / 100](table, entry);
        cr3_load(dir_b);
        cr3_load(dir_a);
        EXPECT_EQ(lin[0], round & 1 ? 0x2222 : 0x1111);
    }
}

/* A block in the page table that maps what it reads: the entry for that (24) is also its next instruction, or
 * %eax, imm32, which the accessed bit makes sub %eax, imm32. `skip` of the three NOPs before it are left out.
 */
static uint32_t run_in_table(unsigned skip)
{
    uint8_t *code = (uint8_t *)table;
    const uint32_t page = 0x00300000;
    uint32_t result;
    code[16] = code[17] = code[18] = 0x90;
    code[19] = 0xa1; /* mov LIN + 6 pages, %eax */
    *(uint32_t *)(code + 20) = LIN + 6 * 4096;
    *(uint32_t *)(code + 24) = page | 0x00d;
    code[28] = 0x90; /* last byte of the immediate */
    code[29] = 0xc3;
    __asm__ volatile("invlpg (%0)" : : "r"(LIN + 6 * 4096) : "memory");
    *(volatile uint32_t *)page = 0xffffffff;
    __asm__ volatile("call *%1" : "=a"(result) : "r"(code + 16 + skip) : "memory", "cc");
    return result;
}

int guest_main(void)
{
    unsigned rounds = option("rounds", 3000);
    sse_on();
    for (uint32_t i = 0; i < 1024; i++)
        low[i] = low_b[i] = (i << 12) | P | RW;
    dir_a[0] = (uint32_t)low | P | RW;
    dir_b[0] = (uint32_t)low_b | P | RW;
    dir_a[LIN >> 22] = (uint32_t)table | P | RW;
    cr3_load(dir_a);
    __asm__ volatile("movl %%cr0, %%eax\n\torl $0x80010000, %%eax\n\tmovl %%eax, %%cr0"
                     :
                     :
                     : "eax", "memory");
    store_to_table();
    for (unsigned round = 0; round < rounds; round++)
        EXPECT_EQ(run_in_table(round % 3), 0xffffffffu - 0x90003000u);
    return failures;
}
