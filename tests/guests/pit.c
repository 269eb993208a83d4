/* pit.c - 8254 and MC146818 interrupts arrive at the exact instruction, for the shift=N it is told.
 *
 * The guest knows its tick exactly: RDTSC counts virtual ns, so tick = tsc >> shift, and every
 * instruction is one tick (delivery is none). It computes each edge from the data sheet's
 * formula and compares the tick at which the handler's first instruction ran. */
#include "rt.h"

#define PIT_HZ 1193182
#define IRQS   64

extern void edge_isr(void);
extern uint64_t edge_tsc[];
extern uint32_t edge_count, edge_limit, edge_eip, edge_ecx, edge_is_rtc;
extern char loop_head[], loop_jmp[], loop_end[];
uint64_t run_loop(uint32_t port_value);

__asm__(
    /* Handler: 2 instructions before RDTSC. Leaves the loop after edge_limit interrupts. */
    ".globl edge_isr\nedge_isr:\n\t"
    "pushl %eax\n\tpushl %edx\n\trdtsc\n\t"
    "pushl %ebx\n\tmovl edge_count, %ebx\n\t"
    "movl %eax, edge_tsc(,%ebx,8)\n\tmovl %edx, edge_tsc+4(,%ebx,8)\n\t"
    "testl %ebx, %ebx\n\tjnz 1f\n\tmovl 12(%esp), %eax\n\tmovl %eax, edge_eip\n\tmovl %ecx, edge_ecx\n"
    "1:\tincl %ebx\n\tmovl %ebx, edge_count\n\t"
    "cmpl edge_limit, %ebx\n\tjb 2f\n\tmovl $loop_end, 12(%esp)\n\tandl $~0x200, 20(%esp)\n"
    "2:\tcmpl $0, edge_is_rtc\n\tje 3f\n\tmovb $0x0c, %al\n\toutb %al, $0x70\n\tinb $0x71, %al\n\t"
    "movb $0x20, %al\n\toutb %al, $0xa0\n"
    "3:\tmovb $0x20, %al\n\toutb %al, $0x20\n\t"
    "popl %ebx\n\tpopl %edx\n\tpopl %eax\n\tiret\n"
    /* uint64_t run_loop(value): RDTSC, 3 instructions, OUT value to 0x40, then the counting loop. */
    ".globl run_loop\nrun_loop:\n\t"
    "pushl %esi\n\tpushl %edi\n\tmovl 12(%esp), %ebx\n\trdtsc\n\tmovl %eax, %esi\n\tmovl %edx, %edi\n\t"
    "movl %ebx, %eax\n\toutb %al, $0x40\n\txorl %ecx, %ecx\n\tsti\n"
    ".globl loop_head, loop_jmp, loop_end\n"
    "loop_head:\tincl %ecx\n"
    "loop_jmp:\tjmp loop_head\n"
    "loop_end:\tmovl %esi, %eax\n\tmovl %edi, %edx\n\tpopl %edi\n\tpopl %esi\n\tret\n");

uint64_t edge_tsc[IRQS];
uint32_t edge_count, edge_limit, edge_eip, edge_ecx, edge_is_rtc;
static unsigned shift;

static uint64_t call_loop(uint32_t value)
{
    uint32_t lo, hi;
    __asm__ volatile("pushl %2\n\tcall run_loop\n\taddl $4, %%esp"
                     : "=a"(lo), "=d"(hi)
                     : "r"(value)
                     : "ebx", "ecx", "memory", "cc");
    return ((uint64_t)hi << 32 | lo) >> shift;
}

static uint64_t tick_of_count(uint64_t count, uint32_t hz)
{
    uint64_t ns = muldiv64(count, 1000000000, hz, true);
    return (ns + (1u << shift) - 1) >> shift;
}

static uint64_t edge_tick(unsigned i)
{
    return (edge_tsc[i] >> shift) - 2;
}

/* Counter 0 far from any edge with OUT0 high, and no request of an old one left. */
static void quiet(void)
{
    outb(0x43, 0x34), outb(0x40, 0), outb(0x40, 0);
    edge_count = 0, edge_limit = IRQS;
    sti();
    __asm__ volatile("nop\n\tnop");
    cli();
}

/* Programs counter 0 and checks `irqs` rising edges of OUT0. */
static void check_pit(unsigned mode, uint32_t n, unsigned irqs)
{
    quiet();
    edge_count = 0, edge_limit = irqs;
    outb(0x43, (uint8_t)(0x30 | mode << 1));
    outb(0x40, (uint8_t)n);
    uint64_t t0 = call_loop(n >> 8), t_out = t0 + 4;
    uint64_t clk = muldiv64(t_out << shift, PIT_HZ, 1000000000, false) + 1;
    uint64_t at = t0 + 7 + 2 * (uint64_t)edge_ecx - (edge_eip == (uint32_t)loop_jmp);
    EXPECT(edge_eip == (uint32_t)loop_jmp || edge_eip == (uint32_t)loop_head);
    EXPECT_EQ(at, edge_tick(0));
    for (unsigned i = 0; i < irqs; i++)
        EXPECT_EQ(edge_tick(i), tick_of_count(clk + (uint64_t)n * (i + 1), PIT_HZ));
    quiet();
}

static void cmos_write(uint8_t reg, uint8_t v)
{
    outb(0x70, reg), outb(0x71, v);
}

static uint8_t cmos_read(uint8_t reg)
{
    outb(0x70, reg);
    return inb(0x71);
}

/* Periodic RTC interrupts: every edge is the first tick of a 32768 Hz count, `step` counts apart. */
static void check_rtc(unsigned rate, unsigned irqs)
{
    uint32_t step = 1u << (rate - 1);
    edge_count = 0, edge_limit = irqs, edge_is_rtc = 1;
    cmos_write(0x0a, (uint8_t)(0x20 | rate));
    cmos_read(0x0c);
    cmos_write(0x0b, 0x42);
    call_loop(0xff);
    cmos_write(0x0b, 0x02);
    uint64_t first = muldiv64(edge_tick(0) << shift, 32768, 1000000000, false);
    for (unsigned i = 0; i < irqs; i++)
        EXPECT_EQ(edge_tick(i), tick_of_count(first + (uint64_t)step * i, 32768));
    cmos_read(0x0c);
    edge_is_rtc = 0;
}

/* A counter polled in a tight loop moves, never backwards (mode 2: wraps at the reload). */
static void check_polling(void)
{
    uint32_t last = 0xffff, changes = 0, up = 0;
    outb(0x43, 0x34), outb(0x40, 0xff), outb(0x40, 0xff);
    for (unsigned i = 0; i < 20000; i++) {
        outb(0x43, 0x00);
        uint32_t v = inb(0x40);
        v |= (uint32_t)inb(0x40) << 8;
        changes += v != last;
        up += v > last;
        last = v;
    }
    EXPECT(changes > 100);
    EXPECT(up <= 1 + (20000u * 40 << shift) / 54000000);
}

int guest_main(void)
{
    shift = option("shift", 3);
    set_gate(IRQ_BASE + 0, (void *)edge_isr, 0x8e);
    set_gate(IRQ_BASE + 8, (void *)edge_isr, 0x8e);
    irq_unmask(0);
    static const uint16_t counts[] = {2000, 4660, 11932, 65535};
    for (unsigned i = 0; i < 4; i++) {
        check_pit(0, counts[i], 1);
        check_pit(2, counts[i], 16);
        check_pit(3, counts[i], 16);
    }
    outb(0x21, 0xff);
    irq_unmask(8), irq_unmask(2);
    check_rtc(6, 32);
    check_rtc(10, 8);
    irq_mask_all();
    check_polling();
    return 0;
}
