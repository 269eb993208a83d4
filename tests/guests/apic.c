/* apic.c - local and I/O APIC as a guest sees them, for the shift=N it is told: the timer at the exact
 * instruction, IPIs, priorities, level-triggered pins, NMI, the 8259 behind them, HLT.
 *
 * With storm=N there are N rounds of everything at once instead, for those who look at them from outside.
 * As in pit.c the guest knows its tick: RDTSC >> shift, one tick an instruction. With apic=0 on its command
 * line the machine has none, and says so. */
#include "rt.h"

#define APIC_AT   0xFEE00000u
#define IOAPIC_AT 0xFEC00000u
#define PIT_HZ    1193182
#define HITS      32
#define FIRST     0x40 /* vectors with a stub: 64 of them */
#define EXACT     0x80 /* the vector of exact_isr */

enum {
    ID = 0x20,
    VERSION = 0x30,
    TPR = 0x80,
    PPR = 0xA0,
    EOI = 0xB0,
    SVR = 0xF0,
    ISR = 0x100,
    IRR = 0x200,
    ESR = 0x280,
    ICR_LOW = 0x300,
    ICR_HIGH = 0x310,
    LVT_TIMER = 0x320,
    LVT_LINT0 = 0x350,
    LVT_LINT1 = 0x360,
    LVT_ERROR = 0x370,
    INITIAL = 0x380,
    CURRENT = 0x390,
    DIVIDE = 0x3E0,
    MASKED = 0x10000,
    PERIODIC = 0x20000,
    SELF = 0x40000,
};

extern void exact_isr(void);
extern char stubs_apic[], exact_end[];
extern uint64_t exact_tsc[];
extern uint32_t exact_count, exact_limit;
uint64_t exact_loop(uint32_t initial);
void on_vector(uint32_t vector);

__asm__(
    /* Two instructions before RDTSC. Leaves the loop after exact_limit interrupts. */
    ".globl exact_isr\nexact_isr:\n\t"
    "pushl %eax\n\tpushl %edx\n\trdtsc\n\t"
    "pushl %ebx\n\tmovl exact_count, %ebx\n\t"
    "movl %eax, exact_tsc(,%ebx,8)\n\tmovl %edx, exact_tsc+4(,%ebx,8)\n\t"
    "incl %ebx\n\tmovl %ebx, exact_count\n\t"
    "cmpl exact_limit, %ebx\n\tjb 2f\n\tmovl $exact_end, 12(%esp)\n\tandl $~0x200, 20(%esp)\n"
    "2:\tmovl $0, 0xFEE000B0\n\tpopl %ebx\n\tpopl %edx\n\tpopl %eax\n\tiret\n"
    /* RDTSC, 3 instructions, the timer's start; then the guest counts, or halts. */
    ".globl exact_loop, exact_end\nexact_loop:\n\t"
    "pushl %esi\n\tpushl %edi\n\tpushl %ebx\n\tmovl 16(%esp), %ebx\n\trdtsc\n\tmovl %eax, %esi\n\tmovl %edx, "
    "%edi\n\t"
    "nop\n\tmovl %ebx, 0xFEE00380\n\tsti\n\tcmpl $0, exact_halts\n\tjne 2f\n"
    "1:\tincl %ecx\n\tjmp 1b\n2:\thlt\n\tjmp 2b\n"
    "exact_end:\n\tmovl %esi, %eax\n\tmovl %edi, %edx\n\tpopl %ebx\n\tpopl %edi\n\tpopl %esi\n\tret\n"
    /* 64 stubs. */
    ".balign 16\n.globl stubs_apic\nstubs_apic:\n\t"
    ".set vector, 0x40\n\t.rept 64\n\t.balign 16\n\tpushl $vector\n\tjmp stub_common\n\t"
    ".set vector, vector + 1\n\t.endr\n"
    "stub_common:\n\tpushal\n\tpushl 32(%esp)\n\tcall on_vector\n\taddl $4, %esp\n\tpopal\n\taddl $4, "
    "%esp\n\tiret\n");

uint64_t exact_tsc[HITS];
uint32_t exact_count, exact_limit, exact_halts;
static unsigned shift;
static uint8_t hits[HITS];
static unsigned nhits;
static bool no_eoi;
static void (*hook)(uint32_t vector);

static inline uint32_t rd(uint32_t reg)
{
    return *(volatile uint32_t *)(APIC_AT + reg);
}

static inline void wr(uint32_t reg, uint32_t value)
{
    *(volatile uint32_t *)(APIC_AT + reg) = value;
}

static uint32_t io_rd(unsigned reg)
{
    *(volatile uint32_t *)IOAPIC_AT = reg;
    return *(volatile uint32_t *)(IOAPIC_AT + 0x10);
}

static void io_wr(unsigned reg, uint32_t value)
{
    *(volatile uint32_t *)IOAPIC_AT = reg;
    *(volatile uint32_t *)(IOAPIC_AT + 0x10) = value;
}

static void entry(unsigned pin, uint32_t low)
{
    io_wr(0x11 + 2 * pin, 0);
    io_wr(0x10 + 2 * pin, low);
}

void on_vector(uint32_t vector)
{
    if (nhits < HITS)
        hits[nhits] = (uint8_t)vector;
    nhits++;
    if (hook)
        hook(vector);
    if (!no_eoi)
        wr(EOI, 0);
}

/* Interrupts are let in for a moment. */
static void let_in(void)
{
    sti();
    __asm__ volatile("nop\n\tnop");
    cli();
}

static void forget(void)
{
    nhits = 0, hook = 0, no_eoi = false;
    memset(hits, 0, sizeof hits);
}

/* --- registers --- */

static void check_registers(void)
{
    EXPECT_EQ(rd(ID), 0);
    EXPECT_EQ(rd(VERSION), 0x00050014);
    EXPECT_EQ(rd(SVR), 0x1FF); /* as firmware leaves it */
    EXPECT_EQ(rd(LVT_LINT0), 0x8700);
    EXPECT_EQ(rd(LVT_LINT1), 0x400);
    EXPECT_EQ(io_rd(1), 0x00170011);
    EXPECT_EQ(io_rd(0x10), 0x10000);
}

/* --- the timer --- */

static const unsigned divisors[8] = {2, 4, 8, 16, 32, 64, 128, 1};

static uint64_t ticks_up(uint64_t ns)
{
    return (ns + (1u << shift) - 1) >> shift;
}

static void check_timer(unsigned code, uint32_t mode, uint32_t initial, unsigned irqs, bool halts)
{
    wr(DIVIDE, (code & 4) << 1 | (code & 3));
    wr(LVT_TIMER, mode | EXACT);
    exact_count = 0, exact_limit = irqs, exact_halts = halts;
    uint64_t written = (exact_loop(initial) >> shift) + 4;
    for (unsigned i = 0; i < irqs; i++) {
        uint64_t ns = (written << shift) + (uint64_t)initial * divisors[code] * (i + 1);
        EXPECT_EQ((exact_tsc[i] >> shift) - 2, ticks_up(ns));
    }
    wr(LVT_TIMER, MASKED);
    wr(INITIAL, 0);
}

/* The current count is that of the instruction which reads it: the second after RDTSC. */
static void check_count(unsigned code)
{
    uint32_t lo, hi, count, lo0, hi0;
    wr(DIVIDE, (code & 4) << 1 | (code & 3));
    wr(LVT_TIMER, MASKED);
    __asm__ volatile("rdtsc\n\tmovl $0x7fffffff, 0xFEE00380" : "=a"(lo0), "=d"(hi0) : : "memory");
    for (unsigned i = 0; i < 50; i++) {
        __asm__ volatile("rdtsc\n\tmovl 0xFEE00390, %2" : "=a"(lo), "=d"(hi), "=r"(count) : : "memory");
        uint64_t gone = ((uint64_t)hi << 32 | lo) - ((uint64_t)hi0 << 32 | lo0);
        EXPECT_EQ(count, 0x7fffffff - div64(gone, divisors[code], 0));
    }
    wr(INITIAL, 0);
    EXPECT_EQ(rd(CURRENT), 0);
}

static void check_timers(void)
{
    for (unsigned code = 0; code < 8; code++) {
        check_count(code);
        check_timer(code, 0, (100000 << (shift / 2)) / divisors[code], 1, code & 1);
        check_timer(code, PERIODIC, ((20000u << shift) + 333) / divisors[code], 12, code & 1);
    }
    check_timer(7, 0, (3u << shift) + 1, 1, false); /* STI and one more behind the start */
}

/* --- IPIs and priorities --- */

static void nested(uint32_t vector)
{
    if (vector != 0x51)
        return;
    wr(ICR_LOW, SELF | 0x71); /* comes in here */
    wr(ICR_LOW, SELF | 0x5F); /* waits for the EOI */
    let_in();
    EXPECT_EQ(nhits, 2);
    EXPECT_EQ(rd(PPR), 0x50);
    EXPECT_EQ(rd(ISR + 0x20), 1u << 17);
}

static void check_ipis(void)
{
    forget();
    wr(ICR_LOW, SELF | 0x51);
    wr(ICR_LOW, SELF | 0x71);
    wr(ICR_HIGH, 0);
    wr(ICR_LOW, 0x61);
    EXPECT_EQ(rd(IRR + 0x20), 1u << 17);
    EXPECT_EQ(rd(IRR + 0x30), 1u << 17 | 1u << 1);
    let_in();
    EXPECT(nhits == 3 && hits[0] == 0x71 && hits[1] == 0x61 && hits[2] == 0x51);
    forget();
    hook = nested;
    wr(ICR_LOW, SELF | 0x51);
    let_in();
    EXPECT(nhits == 3 && hits[1] == 0x71 && hits[2] == 0x5F);
    forget();
    wr(TPR, 0x5A);
    wr(ICR_LOW, SELF | 0x5B);
    let_in();
    EXPECT_EQ(nhits, 0);
    sti();
    wr(TPR, 0); /* with the instruction behind it */
    __asm__ volatile("nop");
    EXPECT_EQ(nhits, 1);
    cli();
}

static void check_errors(void)
{
    forget();
    wr(LVT_ERROR, 0x7E);
    wr(ICR_LOW, SELF | 0x0F);
    let_in();
    EXPECT(nhits == 1 && hits[0] == 0x7E);
    wr(ESR, 0);
    EXPECT_EQ(rd(ESR), 0x20);
    wr(ESR, 0);
    EXPECT_EQ(rd(ESR), 0);
    wr(LVT_ERROR, MASKED);
}

/* --- the I/O APIC --- */

static void pit_once(uint16_t count)
{
    outb(0x43, 0x30), outb(0x40, (uint8_t)count), outb(0x40, count >> 8);
}

/* Line 0 is pin 2; the CPU halts, and is woken at the edge of counter 0. */
static void check_pit(void)
{
    forget();
    entry(2, 0x52);
    outb(0x43, 0x34), outb(0x40, 0x00), outb(0x40, 0x10); /* 4096, again and again */
    uint64_t last = 0;
    for (unsigned i = 0; i < 4; i++) {
        unsigned before = nhits;
        while (nhits == before) {
            __asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
        }
        uint64_t now = rdtsc();
        if (i > 1)
            EXPECT((now - last) * PIT_HZ / 1000 > 4096000ull * 1000 - 4096000ull * 20 &&
                   (now - last) * PIT_HZ / 1000 < 4096000ull * 1000 + 4096000ull * 20);
        last = now;
    }
    entry(2, MASKED);
    pit_once(0);
}

static unsigned uart_left;

static void wait_ns(uint32_t ns)
{
    uint64_t end = rdtsc() + ns;
    while (rdtsc() < end)
        ;
}

/* The UART's line stays up until IIR is read, and for a bus cycle more. */
static void quiet_uart(void)
{
    (void)inb(0x3FA);
    wait_ns(2000);
}

static void uart(uint32_t vector)
{
    (void)vector;
    if (--uart_left == 0)
        quiet_uart();
}

static void check_level(void)
{
    forget();
    hook = uart, uart_left = 5;
    while (!(inb(0x3FD) & 0x40))
        ;
    quiet_uart();
    entry(4, 0x8000 | 0x54);
    outb(0x3F9, 2); /* transmitter empty */
    wait_ns(2000);
    for (unsigned i = 0; i < 20; i++)
        let_in();
    EXPECT_EQ(nhits, 5);
    outb(0x3F9, 0);
    EXPECT_EQ(io_rd(0x18), 0x8054);
    forget();
    no_eoi = true;
    hook = uart, uart_left = 100;
    outb(0x3F9, 2);
    wait_ns(2000);
    for (unsigned i = 0; i < 20; i++)
        let_in();
    EXPECT_EQ(nhits, 1); /* in service */
    EXPECT_EQ(io_rd(0x18), 0xC054);
    quiet_uart();
    wr(EOI, 0);
    EXPECT_EQ(io_rd(0x18), 0x8054);
    no_eoi = false;
    let_in();
    EXPECT_EQ(nhits, 1);
    outb(0x3F9, 0);
    entry(4, MASKED);
}

/* --- NMI --- */

static unsigned nmis, nmis_nested;
static bool in_nmi;

static void on_nmi(struct frame *f)
{
    (void)f;
    nmis_nested += in_nmi;
    in_nmi = true;
    if (nmis++ == 0) {
        wr(ICR_HIGH, 0);
        wr(ICR_LOW, 0x400); /* waits for IRET */
        __asm__ volatile("nop\n\tnop");
    }
    in_nmi = false;
}

static void check_nmi(void)
{
    set_isr(2, on_nmi);
    nmis = 0;
    wr(ICR_HIGH, 0);
    wr(ICR_LOW, 0x400); /* to APIC 0: IF is 0 */
    __asm__ volatile("nop");
    EXPECT_EQ(nmis, 2);
    EXPECT_EQ(nmis_nested, 0);
    wr(LVT_LINT1, 0x400 | 0x2000); /* the pin is low: active now */
    __asm__ volatile("nop");
    EXPECT_EQ(nmis, 3);
    wr(LVT_LINT1, 0x400);
    entry(2, 0x400);
    pit_once(2000);
    hlt(); /* IF is 0: nothing but the NMI ends it */
    EXPECT_EQ(nmis, 4);
    entry(2, MASKED);
}

/* --- the 8259 behind them --- */

static unsigned extints;

static void on_irq0(struct frame *f)
{
    (void)f;
    extints++;
    irq_eoi(0);
}

static void wait_irq0(void)
{
    unsigned before = extints;
    pit_once(1000);
    __asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
    EXPECT_EQ(extints, before + 1);
}

static void check_extint(void)
{
    set_isr(IRQ_BASE, on_irq0);
    irq_unmask(0);
    wait_irq0(); /* virtual wire */
    wr(LVT_LINT0, 0x10700);
    pit_once(1000);
    for (unsigned i = 0; i < 100000u >> shift; i++)
        let_in();
    EXPECT_EQ(extints, 1);
    entry(0, 0x700); /* through the I/O APIC */
    let_in();
    EXPECT_EQ(extints, 2);
    wait_irq0();
    entry(0, MASKED);
    wr(LVT_LINT0, 0x8700);
    irq_mask_all();
}

/* --- IA32_APIC_BASE --- */

static uint32_t features(void)
{
    uint32_t a = 1, b, c = 0, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return d;
}

static uint32_t rdmsr(uint32_t msr)
{
    uint32_t lo, hi;
    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return lo;
}

static void wrmsr(uint32_t msr, uint32_t lo)
{
    __asm__ volatile("wrmsr" : : "a"(lo), "d"(0), "c"(msr) : "memory");
}

static void check_base(void)
{
    volatile uint32_t *other = (volatile uint32_t *)0xD0000030u;
    EXPECT_EQ(rdmsr(0x1B), 0xFEE00900);
    EXPECT(features() & 1u << 9);
    EXPECT_EQ(*other, 0xFFFFFFFF);
    wrmsr(0x1B, 0xD0000900);
    EXPECT_EQ(*other, 0x00050014);
    EXPECT_EQ(rd(VERSION), 0xFFFFFFFF);
    wrmsr(0x1B, 0xFEE00100);
    EXPECT_EQ(*other, 0xFFFFFFFF);
    EXPECT_EQ(rd(VERSION), 0xFFFFFFFF);
    EXPECT(!(features() & 1u << 9));
    irq_unmask(0);
    wait_irq0(); /* the 8259's INTR is the CPU's */
    irq_mask_all();
    wrmsr(0x1B, 0xFEE00900);
    EXPECT(features() & 1u << 9);
    EXPECT_EQ(rd(SVR), 0xFF);
    wr(SVR, 0x1FF);
}

/* --- all at once, for snapshots and digests --- */

static void storm_hook(uint32_t vector)
{
    if (vector == 0x54)
        quiet_uart();
}

static void storm(unsigned rounds)
{
    set_isr(2, on_nmi);
    nmis = 1;
    hook = storm_hook;
    entry(4, 0x8000 | 0x54);
    wr(DIVIDE, 0xB);
    wr(LVT_TIMER, PERIODIC | 0x60);
    wr(INITIAL, 5000);
    wr(ICR_HIGH, 0);
    for (unsigned i = 0; i < rounds; i++) {
        wr(TPR, i % 6 << 4); /* the timer is above */
        wr(ICR_LOW, SELF | (0x50 + (i & 31)));
        wr(ICR_LOW, 0x400);
        outb(0x3F9, 2);
        __asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
        outb(0x3F9, 0);
        wr(TPR, 0);
        let_in();
    }
    EXPECT_EQ(nmis, rounds + 1);
    print("storm: %u interrupts\n", nhits);
}

/* --- without --- */

static void check_none(void)
{
    EXPECT(!(features() & 1u << 9));
    EXPECT_EQ(rd(VERSION), 0xFFFFFFFF);
    EXPECT_EQ(io_rd(1), 0xFFFFFFFF);
    EXPECT_EQ(rdmsr(0x1B), 0xFEE00100); /* off, for good */
    set_isr(IRQ_BASE, on_irq0);
    irq_unmask(0);
    wait_irq0();
}

int guest_main(void)
{
    shift = option("shift", 3);
    if (!option("apic", 1)) {
        check_none();
        return 0;
    }
    for (unsigned i = 0; i < 64; i++)
        set_gate(FIRST + i, stubs_apic + 16 * i, 0x8e);
    set_gate(EXACT, (void *)exact_isr, 0x8e);
    if (option("storm", 0)) {
        storm(option("storm", 0));
        return 0;
    }
    check_registers();
    check_extint();
    check_timers();
    check_ipis();
    check_errors();
    check_pit();
    check_level();
    check_nmi();
    check_base();
    return 0;
}
