/* marks.c - for tests/marks.sh: marks by the port and at addresses, with known counts between them; text in
 * pieces.
 *
 * It prints the addresses that the test is to mark. passes=N (default 50). */
#include "rt.h"

#define MARKER 0x5e0

extern char head[], counted[], stepped[], copied[];
void measured(void);

/* From the first OUT to the last: 1 + 1 + 2 * 100 + 1 + 1 + 1 instructions, one of which faults once; 102
 * accesses, one exception, whose handler's instructions come on top. */
__asm__(".globl measured, head, counted, stepped, copied\n"
        "measured:\n\tpushl %edi\n\tpushl %esi\n\tmovl $0x5e0, %edx\n\tmovl $1, %eax\n"
        "head:\toutl %eax, %dx\n\tmovl $100, %ecx\n"
        "counted:\toutb %al, $0x80\n"
        "stepped:\tloop counted\n\tud2\n\tmovl $2, %eax\n\toutl %eax, %dx\n"
        "\tmovl $copy_to, %edi\n\tmovl $copy_from, %esi\n\tmovl $3000, %ecx\n"
        "copied:\trep movsb\n\tpopl %esi\n\tpopl %edi\n\tret\n");

char copy_from[3000], copy_to[3000];

static void undefined(struct frame *f)
{
    f->eip += 2;
}

static void tick_isr(struct frame *f)
{
    (void)f;
    irq_eoi(0);
}

static void send(const char *text)
{
    for (; *text; text++)
        outb(0x3f8, (uint8_t)*text);
}

/* Bytes that are no text: the divisor's, and those that loopback keeps. */
static void send_in_pieces(void)
{
    send("log");
    outb(0x3fb, 0x83), outb(0x3f8, 'x'), outb(0x3fb, 3);
    send("in");
    outb(0x3fc, 0x1b), outb(0x3f8, ':'), outb(0x3fc, 0x0b);
    outb(0xe9, ':');
    send(" loglogin: ");
}

static void send_at_once(const char *text, uint32_t bytes)
{
    __asm__ volatile("rep outsb" : "+S"(text), "+c"(bytes) : "d"(0x3f8) : "memory");
}

int guest_main(void)
{
    unsigned passes = option("passes", 50);
    print("head=%x counted=%x copied=%x\n", (uint32_t)(uintptr_t)head, (uint32_t)(uintptr_t)counted,
          (uint32_t)(uintptr_t)copied);
    set_isr(6, undefined);
    set_isr(IRQ_BASE, tick_isr);
    outb(0x43, 0x34), outb(0x40, 0x00), outb(0x40, 0x02); /* 512 counts: about 54,000 ticks */
    irq_unmask(0);
    sti();
    while (passes-- > 0)
        measured();
    outb(MARKER, 7);
    __asm__ volatile("outw %%ax, %%dx" : : "a"(0xabcd), "d"(MARKER));
    send_in_pieces();
    send_at_once("a text in one instruction\n", 26);
    hlt();
    cli();
    return 0;
}
