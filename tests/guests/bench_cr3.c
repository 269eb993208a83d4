/* bench_cr3.c - a microkernel's load: address spaces with different code at the same linear address.
 *
 * spaces=N processes (at most 8) of PAGES code and data pages each and a kernel half of global pages; every
 * passes=N passes of about 700 user instructions in blocks of five, a trap hands the CPU to the next process
 * by MOV CR3. switches=N of them. remap=1: the kernel also remaps one page of each process at every switch,
 * as a server of memory does. global=0: without global pages. */
#include "rt.h"

enum { P = 1, RW = 2, US = 4, A = 0x20, G = 0x100 };
enum { SPACES_MAX = 8, PAGES = 8, FUNCTIONS = 64, KERNEL_PAGES = 4 };
enum { USER_CODE = 0x08000000, USER_DATA = 0x08100000, USER_STACK = 0x08200000, SPARE = PAGES };

typedef uint32_t page_words[1024] __attribute__((aligned(4096)));
static page_words kernel_tables[4], kernel_data[KERNEL_PAGES];
static struct space {
    page_words dir, table, data[PAGES + 1], stack;
    uint8_t code[PAGES][4096] __attribute__((aligned(4096)));
} spaces[SPACES_MAX];
static unsigned nspaces, current, switches_left, passes, remap;
static uint32_t back_esp, back_eip;
extern char stubs[]; /* start.S */

/* --- the program of a process: FUNCTIONS functions of two blocks, called in turn from the first page --- */

static uint8_t *code_at;

static void emit(unsigned byte)
{
    *code_at++ = (uint8_t)byte;
}

static void emit32(uint32_t word)
{
    for (unsigned i = 0; i < 4; i++)
        emit(word >> (8 * i) & 0xff);
}

static uint32_t data_of(unsigned k)
{
    return USER_DATA + k % PAGES * 4096 + k * 16;
}

static uint32_t function_offset(unsigned k)
{
    return k % PAGES * 4096 + 64 + k / PAGES * 64;
}

static void put_function(struct space *s, unsigned k, uint32_t step)
{
    code_at = &s->code[0][0] + function_offset(k);
    emit(0xa1), emit32(data_of(k));  /* mov eax, [data] */
    emit(0x05), emit32(step);        /* add eax, step */
    emit(0xa3), emit32(data_of(k));  /* mov [data], eax */
    emit(0x42), emit(0xeb), emit(0); /* inc edx; jmp to the next block */
    emit(0x8b), emit(0x1d), emit32(data_of(k) + 4);
    emit(0x01), emit(0xc3); /* mov ebx, [data + 4]; add ebx, eax */
    emit(0x89), emit(0x1d), emit32(data_of(k) + 4);
    emit(0x4e), emit(0xc3); /* mov [data + 4], ebx; dec esi; ret */
}

/* The entry is at the start of the page's second half, and so is the return from the trap. */
static void put_driver(struct space *s)
{
    uint8_t *start = &s->code[0][2048];
    code_at = start;
    for (unsigned k = 0; k < FUNCTIONS; k++) {
        emit(0xe8);
        emit32(function_offset(k) - (uint32_t)(code_at + 4 - &s->code[0][0]));
    }
    emit(0x49), emit(0x0f), emit(0x85); /* dec ecx; jnz start */
    emit32((uint32_t)(start - (code_at + 4)));
    emit(0xcd), emit(0x30); /* int 0x30 */
    emit(0xe9), emit32((uint32_t)(start - (code_at + 4)));
}

/* --- address spaces --- */

static void map(struct space *s, uint32_t lin_addr, const void *page, uint32_t rights)
{
    s->table[lin_addr >> 12 & 1023] = (uint32_t)page | rights;
}

static void space_init(struct space *s, uint32_t step)
{
    for (unsigned i = 0; i < 4; i++)
        s->dir[i] = (uint32_t)kernel_tables[i] | P | RW | US;
    s->dir[USER_CODE >> 22] = (uint32_t)s->table | P | RW | US;
    for (unsigned i = 0; i < PAGES; i++) {
        map(s, USER_CODE + i * 4096, s->code[i], P | US);
        map(s, USER_DATA + i * 4096, s->data[i], P | RW | US);
    }
    map(s, USER_STACK, s->stack, P | RW | US);
    for (unsigned k = 0; k < FUNCTIONS; k++)
        put_function(s, k, step);
    put_driver(s);
}

static void kernel_init(uint32_t global)
{
    for (unsigned i = 0; i < 4096; i++)
        (&kernel_tables[0][0])[i] = i << 12 | P | RW | global;
}

static void paging_on(void)
{
    __asm__ volatile("movl %%cr4, %%eax\n\torl $0x80, %%eax\n\tmovl %%eax, %%cr4\n\tmovl %0, %%cr3\n\t"
                     "movl %%cr0, %%eax\n\torl $0x80010000, %%eax\n\tmovl %%eax, %%cr0"
                     :
                     : "r"(spaces[0].dir)
                     : "eax", "memory");
}

/* --- the kernel --- */

/* Swaps the process's last data page for its spare one, or back; contents move along. */
static void remap_page(struct space *s, unsigned number)
{
    uint32_t *from = s->data[number & 1 ? SPARE : PAGES - 1], *to = s->data[number & 1 ? PAGES - 1 : SPARE];
    for (unsigned i = 0; i < FUNCTIONS * 4; i += 4)
        to[i] = from[i], to[i + 1] = from[i + 1];
    map(s, USER_DATA + (PAGES - 1) * 4096, to, P | RW | US);
}

static void on_trap(struct frame *f)
{
    unsigned number = kernel_data[0][0]++ / nspaces;
    for (unsigned i = 1; i < KERNEL_PAGES; i++)
        kernel_data[i][current] += f->edx;
    if (remap)
        remap_page(&spaces[current], number);
    if (--switches_left == 0) {
        f->cs = 0x08, f->eip = back_eip;
        return;
    }
    current = current + 1 == nspaces ? 0 : current + 1;
    f->ecx = passes;
    __asm__ volatile("movl %0, %%cr3" : : "r"(spaces[current].dir) : "memory");
}

static void run(void)
{
    set_isr(0x30, on_trap);
    set_gate(0x30, stubs + 16 * 0x30, 0xee);
    __asm__ volatile(
        "pushal\n\tmovl %%esp, %0\n\tmovl %%esp, tss+4\n\tmovl $1f, %1\n\tpushl $0x23\n\tpushl %2\n\tpushl "
        "$0x2\n\tpushl $0x1b\n\t"
        "pushl %3\n\tmovl %4, %%ecx\n\txorl %%edx, %%edx\n\tmovl $0x23, %%eax\n\tmovl %%eax, %%ds\n\tmovl "
        "%%eax, %%es\n\tiret\n"
        "1:\tmovl %0, %%esp\n\tmovl $0x10, %%eax\n\tmovl %%eax, %%ds\n\tmovl %%eax, %%es\n\tpopal\n\tcli"
        : "=m"(back_esp), "=m"(back_eip)
        : "r"(USER_STACK + 4096), "r"(USER_CODE + 2048), "m"(passes)
        : "eax", "ecx", "edx", "memory", "cc");
}

/* Every function of process i adds i + 1 per pass. */
static void check(unsigned switches)
{
    for (unsigned i = 0; i < nspaces; i++) {
        unsigned turns = (switches + nspaces - 1 - i) / nspaces;
        unsigned last = remap && (turns & 1) ? SPARE : PAGES - 1;
        EXPECT_EQ(spaces[i].data[0][0], (i + 1) * passes * turns);
        EXPECT_EQ(spaces[i].data[last][(PAGES - 1) * 4], (i + 1) * passes * turns);
    }
}

int guest_main(void)
{
    unsigned switches = option("switches", 3000);
    nspaces = option("spaces", 3), passes = option("passes", 4), remap = option("remap", 0);
    switches_left = switches;
    kernel_init(option("global", 1) ? G : 0);
    for (unsigned i = 0; i < nspaces; i++)
        space_init(&spaces[i], i + 1);
    paging_on();
    uint64_t start = rdtsc();
    run();
    print("switches %u, instructions %u a switch\n", switches,
          div64(div64_full(rdtsc() - start, switches), 8, NULL));
    check(switches);
    return 0;
}
