/* pae.c - PAE and NX: fault codes, accessed and dirty bits, 2 MiB pages, page directory pointers, tables that
 * change while they are in use, pages that are written and then run. SDM 3A 4.4 to 4.10. */
#include "cases/ring3.h"
#include "rt.h"

typedef uint64_t entries[512] __attribute__((aligned(4096)));

enum { P = 1, RW = 2, US = 4, A = 0x20, D = 0x40, PS = 0x80 };
enum { E_P = 1, E_W = 2, E_U = 4, E_RSVD = 8, E_I = 16 };
#define NX    (1ull << 63)
#define AREA  0x40000000u /* a page of its own behind each of the first entries of area_table */
#define LARGE 0x40200000u

static entries low_dir, low_table, area_dir[2], area_table[2];
static uint64_t pointers[2][4] __attribute__((aligned(64))); /* of two address spaces, in one page */
static uint8_t pages[8][4096] __attribute__((aligned(4096)));
static volatile uint32_t seen_vector, seen_error, seen_eip, seen_cr2;
volatile uint32_t resume; /* named in asm */

static void catch (struct frame *f)
{
    uint32_t cr2;
    __asm__ volatile("movl %%cr2, %0" : "=r"(cr2));
    seen_vector = f->vector, seen_error = f->error, seen_eip = f->eip, seen_cr2 = cr2;
    f->eip = resume;
}

/* Runs one instruction with EAX and ECX given; its vector, 0xff: none. */
#define RUN(insn, eax, ecx)                                                                                  \
    ({                                                                                                       \
        uint32_t a_ = (uint32_t)(eax), c_ = (uint32_t)(ecx);                                                 \
        seen_vector = 0xff;                                                                                  \
        __asm__ volatile("movl $2f, resume\n\t" insn "\n2:" : "+a"(a_), "+c"(c_) : : "memory", "cc");        \
        seen_vector;                                                                                         \
    })
#define EXPECT_PF(code, at, insn)                                                                            \
    do {                                                                                                     \
        EXPECT_EQ(RUN(insn, 1, at), 14);                                                                     \
        EXPECT_EQ(seen_error, code);                                                                         \
        EXPECT_EQ(seen_cr2, at);                                                                             \
    } while (0)
#define READ    "movl (%%ecx), %%eax"
#define WRITE   "movl %%eax, (%%ecx)"
#define EXECUTE "jmp *%%ecx"

static void load_cr3(unsigned space)
{
    __asm__ volatile("movl %0, %%cr3" : : "r"(pointers[space]) : "memory");
}

static void invlpg(uint32_t at)
{
    __asm__ volatile("invlpg (%0)" : : "r"(at) : "memory");
}

static void set_efer(uint32_t value)
{
    __asm__ volatile("wrmsr" : : "c"(0xc0000080), "a"(value), "d"(0) : "memory");
}

static uint64_t page(unsigned i)
{
    return (uint32_t)pages[i];
}

static void set_page(unsigned i, uint64_t entry)
{
    area_table[0][i] = entry;
    invlpg(AREA + i * 4096);
}

static void paging_on(void)
{
    __asm__ volatile("movl %%cr4, %%eax\n\torl $0x20, %%eax\n\tmovl %%eax, %%cr4\n\tmovl %0, %%cr3\n\t"
                     "movl %%cr0, %%eax\n\torl $0x80010000, %%eax\n\tmovl %%eax, %%cr0"
                     :
                     : "r"(pointers[0])
                     : "eax", "memory");
}

static void paging_off(void)
{
    __asm__ volatile("movl %%cr0, %%eax\n\tandl $0x7fffffff, %%eax\n\tmovl %%eax, %%cr0\n\t"
                     "movl %%cr4, %%eax\n\tandl $~0x20, %%eax\n\tmovl %%eax, %%cr4"
                     :
                     :
                     : "eax", "memory");
}

static void build(void)
{
    for (uint32_t i = 0; i < 512; i++)
        low_table[i] = i << 12 | P | RW | US;
    low_dir[0] = (uint32_t)low_table | P | RW | US;
    for (uint32_t i = 1; i < 8; i++)
        low_dir[i] = (uint64_t)i << 21 | P | RW | PS;
    for (unsigned s = 0; s < 2; s++) {
        area_dir[s][0] = (uint32_t)area_table[s] | P | RW | US;
        area_dir[s][1] = 0x800000 | P | RW | US | PS;
        pointers[s][0] = (uint32_t)low_dir | P;
        pointers[s][1] = (uint32_t)area_dir[s] | P;
    }
}

/* Every reason for a fault, for reads, writes and fetches. */
static void check_codes(void)
{
    set_page(0, 0);
    EXPECT_PF(0, AREA, READ);
    EXPECT_PF(E_W, AREA, WRITE);
    EXPECT_PF(E_I, AREA, EXECUTE);
    EXPECT_EQ(seen_eip, AREA);
    set_page(0, page(0) | P | NX);
    EXPECT_EQ(RUN(READ, 0, AREA), 0xff);
    EXPECT_PF(E_P | E_W, AREA, WRITE);
    EXPECT_PF(E_P | E_I, AREA, EXECUTE);
    EXPECT_EQ(area_table[0][0], page(0) | P | A | NX);
    for (unsigned bit = 36; bit < 63; bit++) {
        set_page(0, page(0) | P | RW | 1ull << bit);
        EXPECT_PF(E_P | E_RSVD, AREA, READ);
        EXPECT_PF(E_P | E_RSVD | E_W, AREA, WRITE);
        EXPECT_PF(E_P | E_RSVD | E_I, AREA, EXECUTE);
    }
    area_dir[0][0] |= NX;
    set_page(0, page(0) | P | RW);
    EXPECT_EQ(RUN(WRITE, 7, AREA + 8), 0xff);
    EXPECT_EQ(area_table[0][0], page(0) | P | RW | A | D);
    EXPECT_PF(E_P | E_I, AREA, EXECUTE);
    area_dir[0][0] &= ~NX;
    EXPECT_PF(0, 0xc0000000u, READ); /* no pointer */
}

static void at_cpl3(uint32_t eip, uint32_t code)
{
    const uint32_t image[] = {eip, 0x1b, 2, (uint32_t)(ustack + sizeof ustack), 0x23};
    go(image, 5);
    EXPECT_EQ(vec, 14);
    EXPECT_EQ(err, code);
}

static void check_user(void)
{
    set_isr(14, caught);
    set_isr(13, caught);
    set_page(0, page(0) | P | RW | US | NX);
    at_cpl3(AREA, E_P | E_U | E_I);
    set_page(0, page(0) | P | RW);
    at_cpl3(AREA, E_P | E_U | E_I);
    set_page(0, 0);
    at_cpl3(AREA, E_U | E_I);
    /* mov $0x23, %eax; mov %eax, %ds; mov %eax to an address */
    static const uint8_t store[] = {0xb8, 0x23, 0, 0, 0, 0x8e, 0xd8, 0xa3};
    memcpy(pages[0], store, sizeof store);
    *(volatile uint32_t *)(pages[0] + sizeof store) = AREA + 4096;
    set_page(0, page(0) | P | US);
    set_page(1, page(1) | P | US | NX);
    at_cpl3(AREA, E_P | E_U | E_W);
    set_page(1, page(1) | P | RW | US | 1ull << 50);
    at_cpl3(AREA, E_P | E_U | E_W | E_RSVD);
    set_isr(14, catch);
    set_isr(13, catch);
}

static void check_nxe(void)
{
    set_page(0, page(0) | P | RW | NX);
    EXPECT_EQ(RUN(READ, 0, AREA), 0xff);
    set_efer(0);
    invlpg(AREA);
    EXPECT_PF(E_P | E_RSVD, AREA, READ);
    EXPECT_PF(E_P | E_RSVD, AREA, EXECUTE);
    set_page(0, 0);
    EXPECT_PF(0, AREA, EXECUTE);
    set_efer(0x800);
}

static void check_large(void)
{
    volatile uint32_t *at = (volatile uint32_t *)(LARGE + 0x123450);
    *at = 77;
    EXPECT_EQ(*at, 77);
    EXPECT_EQ(area_dir[0][1], 0x800000 | P | RW | US | PS | A | D);
    area_dir[0][1] = 0x800000 | P | PS | NX;
    invlpg(LARGE + 0x5000);
    EXPECT_EQ(*at, 77);
    EXPECT_PF(E_P | E_W, LARGE + 0x123450, WRITE);
    EXPECT_PF(E_P | E_I, LARGE + 0x123450, EXECUTE);
    area_dir[0][1] = 0x800000 | P | RW | PS | 1 << 20;
    invlpg(LARGE);
    EXPECT_PF(E_P | E_RSVD, LARGE + 0x1000, READ);
    area_dir[0][1] = 0xa00000 | P | RW | PS;
    invlpg(LARGE);
    *at = 78;
    area_dir[0][1] = 0x800000 | P | RW | PS;
    invlpg(LARGE);
    EXPECT_EQ(*at, 77);
}

/* SDM 3A 4.4.1: they are registers. */
static void check_pointers(void)
{
    set_page(0, page(0) | P | RW);
    pointers[0][2] = (uint32_t)area_dir[0] | P; /* the area again, 1 GiB up */
    EXPECT_PF(0, AREA + 0x40000000, READ);
    load_cr3(0);
    EXPECT_EQ(RUN(READ, 0, AREA + 0x40000000), 0xff);
    pointers[0][2] = 0;
    invlpg(AREA + 0x40000000);
    EXPECT_EQ(RUN(READ, 0, AREA + 0x40000000), 0xff);
    pointers[1][3] = (uint32_t)area_dir[1] | P | RW;
    EXPECT_EQ(RUN("movl %%ecx, %%cr3", 0, (uint32_t)pointers[1]), 13);
    EXPECT_EQ(seen_error, 0);
    EXPECT_EQ(RUN(READ, 0, AREA + 0x40000000), 0xff); /* still the space of before */
    pointers[1][3] = 1ull << 40;                      /* not present */
    EXPECT_EQ(RUN("movl %%ecx, %%cr3", 0, (uint32_t)pointers[1]), 0xff);
    load_cr3(0);
    EXPECT_PF(0, AREA + 0x40000000, READ);
}

/* Two spaces whose tables change all the time, by halves, those of the current space as well. */
static void check_spaces(void)
{
    uint32_t random = 1;
    memset(area_table, 0, sizeof area_table);
    load_cr3(0);
    for (unsigned i = 0; i < 8; i++)
        *(volatile uint32_t *)pages[i] = i;
    for (unsigned n = 0; n < 2000; n++) {
        random = random * 1664525 + 1013904223;
        const unsigned space = random >> 31, slot = random >> 28 & 7, to = random >> 25 & 7;
        volatile uint32_t *half = (volatile uint32_t *)&area_table[space][slot];
        half[1] = random >> 24 & 1 ? 0x80000000 : 0;
        half[0] = (uint32_t)page(to) | P | RW;
        if ((random >> 20 & 15) == 0) /* the directory of either space */
            pointers[space][1] = (uint32_t)area_dir[random >> 19 & 1] | P;
        const unsigned tables = pointers[space][1] == ((uint32_t)area_dir[0] | P) ? 0 : 1;
        load_cr3(space);
        for (unsigned k = 0; k < 8; k++) {
            const uint64_t e = area_table[tables][k];
            if (!(e & P))
                continue;
            const uint32_t want = *(volatile uint32_t *)((uint32_t)e & ~0xfffu);
            const uint32_t got = *(volatile uint32_t *)(AREA + k * 4096);
            if (got != want)
                EXPECT_EQ(got, want);
        }
    }
    pointers[0][1] = (uint32_t)area_dir[0] | P;
    pointers[1][1] = (uint32_t)area_dir[1] | P;
    load_cr3(0);
    EXPECT(true);
}

/* W^X: a page is written, then runs; each in its turn is refused. */
static void check_write_then_run(void)
{
    for (uint32_t i = 0; i < 300; i++) {
        uint8_t *code = (uint8_t *)AREA + 3 * 4096 + 4 * (i % 16);
        uint32_t got;
        set_page(3, page(3) | P | RW | NX);
        code[0] = 0xb8; /* mov $i, %eax; ret */
        *(volatile uint32_t *)(code + 1) = i * 0x01010101;
        code[5] = 0xc3;
        if (RUN(EXECUTE, 0, code) != 14 || seen_error != (E_P | E_I))
            EXPECT_EQ(seen_error, E_P | E_I);
        set_page(3, page(3) | P);
        __asm__ volatile("call *%1" : "=a"(got) : "r"(code) : "ecx", "edx", "memory", "cc");
        if (got != i * 0x01010101)
            EXPECT_EQ(got, i * 0x01010101);
        if (RUN(WRITE, 0, code) != 14 || seen_error != (E_P | E_W))
            EXPECT_EQ(seen_error, E_P | E_W);
    }
    /* A page that runs in a loop becomes NX by what it does itself. */
    uint8_t *code = (uint8_t *)AREA + 3 * 4096;
    static const uint8_t loop[] = {0x90, 0x49, 0x75, 0xfc, 0x89, 0x02, 0x0f, 0x01, 0x3b, 0x90, 0xc3};
    set_page(3, page(3) | P | RW);
    memcpy(code, loop, sizeof loop); /* 1: nop; dec %ecx; jnz 1b; mov %eax, (%edx); invlpg (%ebx); nop; ret */
    seen_vector = 0xff;
    __asm__ volatile("movl $2f, resume\n\tpushl %%ebp\n\tmovl %%esp, %%ebp\n\tcall *%%esi\n2:\tmovl %%ebp, "
                     "%%esp\n\tpopl %%ebp"
                     :
                     : "S"(code), "c"(1000), "a"(0x80000000), "d"((uint32_t)&area_table[0][3] + 4), "b"(code)
                     : "memory", "cc");
    EXPECT_EQ(seen_vector, 14);
    EXPECT_EQ(seen_error, E_P | E_I);
    EXPECT_EQ(seen_eip, (uint32_t)code + 9);
}

/* 36 bits of physical address: nothing is above 4 GiB. */
static void check_high(void)
{
    if (option("qemu", 0))
        return;
    *(volatile uint32_t *)pages[5] = 5;
    set_page(5, page(5) | 1ull << 35 | P | RW);
    *(volatile uint32_t *)(AREA + 5 * 4096) = 6;
    EXPECT_EQ(*(volatile uint32_t *)(AREA + 5 * 4096), 0xffffffffu);
    EXPECT_EQ(*(volatile uint32_t *)pages[5], 5);
}

int guest_main(void)
{
    set_isr(14, catch);
    set_isr(13, catch);
    build();
    set_efer(0x800);
    for (unsigned round = 0; round < 2; round++) {
        paging_on();
        check_codes();
        check_user();
        check_nxe();
        check_large();
        check_pointers();
        check_spaces();
        check_write_then_run();
        check_high();
        paging_off();
        build();
    }
    return 0;
}
