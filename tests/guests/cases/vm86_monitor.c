/* vm86_monitor.c - a virtual-8086 monitor as DOS extenders have it: the program runs at IOPL 0 and thinks
 * that it has the machine. CLI, STI, PUSHF, POPF, INT n, IRET and ports are emulated at their #GP, timer
 * interrupts reflected to the program's own handler while its virtual IF is set. SDM 3B 20.3. What the
 * program computes shows whether each reflection came back to where it was. */
#include "mode16.h"

/* A checksum in a loop that calls a service by INT 60h. The timer's handler counts. */
M16_BEGIN
"p_main: mov $p_timer - m16_code, %ax; mov $0x20, %bx; call p_vector\n"
    "    mov $p_service - m16_code, %ax; mov $0x180, %bx; call p_vector\n"
    "    sti; mov $0, %dx; mov $0x40, %si\n"
    "1:  mov $600, %cx\n"
    "2:  mov %cx, %ax; xor %dx, %ax; int $0x60; add %ax, %dx; push %cx; pushf; cli; incw 0x102; popf; pop "
    "%cx; loop 2b\n"
    "    dec %si; jnz 1b\n"
    "    mov %dx, 0x100; cli; pushf; pop 0x104; ret\n"
    "p_vector: push %ds; xor %dx, %dx; mov %dx, %ds; mov %ax, (%bx); mov %cs, 2(%bx); pop %ds; ret\n"
    "p_service: push %bp; mov %sp, %bp; andw $0xfffe, 6(%bp); pop %bp; rol $3, %ax; iret\n"
    "p_timer: push %ax; incw %cs:p_ticks - m16_code; mov $0x20, %al; out %al, $0x20; pop %ax; iret\n"
    "p_ticks: .word 0\n" M16_END extern const uint8_t p_main[],
    p_ticks[];

enum { VM = 0x20000, IF = 0x200, TF = 0x100, DF = 0x400, ROUNDS = 64 * 600 };

static bool virtual_if, timer_pending;
static unsigned reflected, emulated, timers, unknown;

/* The frame of an event in the mode: behind user_ss come ES, DS, FS, GS. */
static uint8_t *linear(uint32_t seg, uint32_t offset)
{
    return (uint8_t *)((seg << 4) + (offset & 0xffff));
}

static void push16(struct frame *f, uint32_t value)
{
    f->user_esp = (f->user_esp - 2) & 0xffff;
    *(uint16_t *)linear(f->user_ss, f->user_esp) = (uint16_t)value;
}

static uint16_t pop16(struct frame *f)
{
    const uint16_t value = *(uint16_t *)linear(f->user_ss, f->user_esp);
    f->user_esp = (f->user_esp + 2) & 0xffff;
    return value;
}

static uint32_t virtual_flags(const struct frame *f)
{
    return (f->eflags & ~(uint32_t)IF) | (virtual_if ? IF : 0) | 0x3000;
}

static void set_flags(struct frame *f, uint16_t flags)
{
    virtual_if = flags & IF;
    f->eflags = (f->eflags & ~0xcd5u) | (flags & 0xcd5) | IF | VM;
}

static void reflect(struct frame *f, unsigned vector)
{
    const uint16_t *entry = (uint16_t *)(vector * 4);
    push16(f, virtual_flags(f)), push16(f, f->cs), push16(f, f->eip);
    f->eip = entry[0], f->cs = entry[1];
    virtual_if = false;
    reflected++;
}

static void give_timer(struct frame *f)
{
    if (!timer_pending || !virtual_if)
        return;
    timer_pending = false;
    timers++;
    reflect(f, 8);
}

static void on_timer(struct frame *f)
{
    timer_pending = true;
    outb(0x20, 0x20);
    if (f->eflags & VM)
        give_timer(f);
}

/* The number of bytes of the instruction; 0: none that is emulated. */
static unsigned emulate(struct frame *f, const uint8_t *insn)
{
    switch (insn[0]) {
    case 0xfa:
        virtual_if = false;
        return 1;
    case 0xfb:
        virtual_if = true;
        return 1;
    case 0x9c:
        push16(f, virtual_flags(f));
        return 1;
    case 0x9d:
        set_flags(f, pop16(f));
        return 1;
    case 0xe6: /* the program's own end of interrupt */
        return 2;
    default:
        return 0;
    }
}

static void on_gp(struct frame *f)
{
    const uint8_t *insn = linear(f->cs, f->eip);
    if (!(f->eflags & VM) || insn[0] == 0xf4) {
        m16_end_of_v86(f);
        return;
    }
    emulated++;
    if (insn[0] == 0xcd) {
        f->eip += 2;
        reflect(f, insn[1]);
    } else if (insn[0] == 0xcf) {
        f->eip = pop16(f), f->cs = pop16(f);
        set_flags(f, pop16(f));
    } else {
        const unsigned bytes = emulate(f, insn);
        unknown += bytes == 0;
        f->eip = (f->eip + bytes) & 0xffff;
        if (!bytes)
            m16_end_of_v86(f);
    }
    if (f->eflags & VM)
        give_timer(f);
}

static uint16_t expected(void)
{
    uint16_t dx = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        const uint16_t ax = (uint16_t)(600 - i % 600) ^ dx;
        dx = (uint16_t)(dx + (uint16_t)(ax << 3 | ax >> 13));
    }
    return dx;
}

int guest_main(void)
{
    m16_setup();
    set_isr(13, on_gp);
    set_isr(IRQ_BASE, on_timer);
    outb(0x43, 0x34), outb(0x40, 0x60), outb(0x40, 9); /* 2400 counts of 1193182 Hz: about 2 ms */
    irq_unmask(0);
    m16_eflags = VM | IF | 2;
    memset(m16_data(0x100), 0, 8);
    EXPECT(m16_run(M16_V86, p_main));
    irq_mask_all();
    EXPECT_EQ(*(volatile uint16_t *)m16_data(0x100), expected());
    EXPECT_EQ(*(volatile uint16_t *)m16_data(0x102), ROUNDS & 0xffff);
    EXPECT_EQ(*(volatile uint16_t *)m16_data(0x104) & IF, 0);
    EXPECT_EQ(*(volatile uint16_t *)(M16_CODE + m16_offset(p_ticks)), timers & 0xffff);
    EXPECT(timers > 3);
    EXPECT_EQ(reflected, ROUNDS + timers);
    /* Five in a round, two in a timer's handler (IRET, OUT), three around. */
    EXPECT_EQ(emulated, 5 * ROUNDS + 2 * timers + 3);
    EXPECT_EQ(unknown, 0);
    return 0;
}
