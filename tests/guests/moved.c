/* moved.c - one program at ever new linear addresses, as systems place it: code that knows where it lies
 * (calls, the x87's instruction pointer, traps, faults) must see each address, and a change of the code be
 * seen at all. */
#include "rt.h"

#include "cases/ring3.h"

enum { PAGES = 2, PAGE = 4096, FIRST = 0x400000, PLACES = 24, TURNS = 40, TRAP = 0x30, LEAVE = 4 };

static uint8_t code[PAGES * PAGE] __attribute__((aligned(4096)));
static uint32_t dir[1024] __attribute__((aligned(4096))), table[1024] __attribute__((aligned(4096)));
static uint32_t user_table[1024] __attribute__((aligned(4096)));
extern uint8_t stubs[];
extern const uint8_t program[], program_end[], program_number[];
static volatile uint32_t traps, trap_sum, leave_sum;

/* EDI: sum of addresses that it found. ESI: turns. The second page begins 4096 bytes behind the first. */
__asm__(".balign 4096\n.globl program, program_end, program_number\nprogram:\n"
        "movl $0x23, %eax\n\tmovl %eax, %ds\n\tmovl %eax, %es\n\txorl %edi, %edi\n\tmovl $40, %esi\n"
        "turn:\tcall 1f\n1:\tpopl %ebx\n\taddl %ebx, %edi\n"                   /* a call on the page */
        "\tfld1\n\tfnstenv -64(%esp)\n\tfstp %st(0)\n\taddl -52(%esp), %edi\n" /* FIP */
        "\tcall there\n\taddl %eax, %edi\n"                                    /* to another page */
        "\tleal adds-1b(%ebx), %eax\n\tcall *%eax\n\taddl %eax, %edi\n"        /* an indirect call */
        "\tint $0x30\n"                                                        /* a trap's eip */
        "\ttestl $3, %esi\n\tjz far_turn\n"                                    /* a branch to another page */
        "next:\tdecl %esi\n\tjnz turn\n\tint $4\n"
        "adds:\tmovl (%esp), %eax\nprogram_number:\n\taddl $1000, %eax\n\tret\n"
        ".balign 4096\nthere:\tmovl (%esp), %eax\n\tret\n"
        "far_turn:\taddl $7, %edi\n\tjmp next\nprogram_end:\n");

static void on_trap(struct frame *f)
{
    traps++;
    trap_sum += f->eip;
}

static void on_leave(struct frame *f)
{
    leave_sum = f->edi;
    caught(f);
}

static uint32_t place(unsigned i)
{
    return FIRST + (i * 5 % PLACES) * 0x9000;
}

/* Shows the program at one address alone: another process. */
static void show_at(uint32_t lin_addr)
{
    memset(user_table, 0, sizeof user_table);
    for (unsigned i = 0; i < PAGES; i++)
        user_table[(lin_addr - FIRST) / PAGE + i] = ((uint32_t)code + i * PAGE) | 5;
    __asm__ volatile("movl %0, %%cr3" : : "r"(dir) : "memory");
}

static void paging_on(void)
{
    for (uint32_t i = 0; i < 1024; i++)
        table[i] = i * PAGE | 7; /* the program's stack is the kernel's memory */
    dir[0] = (uint32_t)table | 7;
    dir[FIRST >> 22] = (uint32_t)user_table | 7;
    __asm__ volatile("movl %0, %%cr3\n\tmovl %%cr0, %%eax\n\torl $0x80010000, %%eax\n\tmovl %%eax, %%cr0"
                     :
                     : "r"(dir)
                     : "eax", "memory");
}

static void run_at(uint32_t at)
{
    const uint32_t image[] = {at, 0x1b, 2, (uint32_t)(ustack + sizeof ustack), 0x23};
    show_at(at);
    traps = trap_sum = 0;
    go(image, 5);
}

/* Everything that a turn adds is the program's address and a constant: four addresses for EDI, one for the
 * traps. */
static void check_place(uint32_t at, uint32_t number, uint32_t *base_sum, uint32_t *base_traps)
{
    run_at(at);
    EXPECT_EQ(vec, LEAVE);
    EXPECT_EQ(traps, TURNS);
    const uint32_t sum = leave_sum - 4 * TURNS * at - TURNS * number, where = trap_sum - TURNS * at;
    if (!*base_traps) {
        *base_sum = sum;
        *base_traps = where;
    }
    EXPECT_EQ(sum, *base_sum);
    EXPECT_EQ(where, *base_traps);
}

static void set_number(uint32_t number)
{
    memcpy(code + (program_number - program) + 1, &number, sizeof number); /* ADD EAX, Iz */
}

int guest_main(void)
{
    uint32_t sum = 0, where = 0;
    memcpy(code, program, (size_t)(program_end - program));
    load_flat_gdt();
    set_isr(TRAP, on_trap);
    set_isr(LEAVE, on_leave);
    set_gate(TRAP, stubs + 16 * TRAP, 0xee);
    set_gate(LEAVE, stubs + 16 * LEAVE, 0xee);
    paging_on();
    for (unsigned i = 0; i < 3 * PLACES; i++)
        check_place(place(i), 1000, &sum, &where);
    for (unsigned i = 0; i < PLACES; i++) {
        set_number(i);
        check_place(place(i), i, &sum, &where);
    }
    return 0;
}
