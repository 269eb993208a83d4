/* monitor.c - a small monitor of virtual-8086 mode: 32-bit code at CPL 0, which runs one task and gives its
 * interrupts to the BIOS.
 *
 * INT n comes as #GP, since the gates have DPL 0 (SDM 3B 20.2.7, method 5 and 6 of table 20-2); so does, with
 * IOPL 0, each instruction that touches IF. The monitor does what real mode would: it pushes FLAGS, CS and IP
 * on the task's stack and goes on where the vector says. The interrupt controller is moved to vectors 50h to
 * 5Fh while the task runs, so that no IRQ looks like an exception. */
#include "monitor.h"

#include <stddef.h>

#define BASE     0x10000u
#define EXIT_V86 0xfe /* MATCH v86 exit vector */
#define IRQ_BASE 0x50
enum { FLAG_TF = 0x100, FLAG_IF = 0x200, FLAG_NT = 0x4000, FLAG_VM = 0x20000, IOPL3 = 0x3000, CR4_VME = 1 };

struct frame { /* what entry.S and the CPU have pushed */
    uint32_t edi, esi, ebp, unused, ebx, edx, ecx, eax, vector, error, eip, cs, eflags, esp, ss, es, ds, fs,
        gs;
};
struct tss { /* SDM 3A 7.2.1 */
    uint32_t link, esp0, ss0, rest[22];
    uint16_t trap, iomap;
    uint8_t redirection[32], ports[8192], end;
};

struct monitor monitor;
#define TSS_AT 0x21000u /* linear: behind the segment of the suite, which has no room for it */
static struct tss *const tss = (struct tss *)(TSS_AT - BASE);
static bool virtual_if;       /* IF of the task, where IOPL 0 keeps it from the real one */
static uint32_t irqs_pending; /* those that wait for it */
extern uint64_t gdt[], idt32[];
extern uint8_t monitor_stubs[], monitor_stack_top[];

uint32_t monitor_begin(void);
void monitor_end(void);
bool monitor_trap(struct frame *f);

static inline void outb(uint16_t port, uint8_t v)
{
    __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

/* The task's memory: what has the linear address n lies at n - BASE in the monitor's segments. */
static volatile uint8_t *linear(uint32_t n)
{
    return (volatile uint8_t *)(n - BASE);
}
static uint16_t load16(uint32_t n)
{
    return (uint16_t)(linear(n)[0] | linear(n)[1] << 8);
}

static void push16(struct frame *f, uint32_t v)
{
    uint16_t sp = (uint16_t)(f->esp - 2);
    f->esp = (f->esp & 0xffff0000) | sp;
    linear((f->ss << 4) + sp)[0] = (uint8_t)v;
    linear((f->ss << 4) + (uint16_t)(sp + 1))[0] = (uint8_t)(v >> 8);
}
static uint16_t pop16(struct frame *f)
{
    uint16_t v = load16((f->ss << 4) + (f->esp & 0xffff));
    f->esp = (f->esp & 0xffff0000) | (uint16_t)(f->esp + 2);
    return v;
}
static uint32_t pop(struct frame *f, bool wide)
{
    uint32_t low = pop16(f);
    return wide ? low | (uint32_t)pop16(f) << 16 : low;
}

static bool iopl0(void)
{
    return monitor.options & V86_IOPL0;
}

/* The flags as the task sees them, and as it sets them. */
static uint32_t flags_seen(const struct frame *f)
{
    uint32_t flags = f->eflags & 0xffff;
    return iopl0() ? (flags & ~(uint32_t)FLAG_IF) | IOPL3 | (virtual_if ? FLAG_IF : 0) : flags;
}
static void flags_set(struct frame *f, uint32_t flags)
{
    virtual_if = flags & FLAG_IF;
    f->eflags =
        (flags & 0x0fd5 & ~(uint32_t)(iopl0() ? FLAG_IF : 0)) | 2 | FLAG_VM | (iopl0() ? FLAG_IF : IOPL3);
}

/* To the handler that the task's vector table names. */
static void reflect(struct frame *f, uint32_t vector)
{
    push16(f, flags_seen(f));
    push16(f, f->cs);
    push16(f, f->eip);
    f->eip = load16(vector * 4);
    f->cs = load16(vector * 4 + 2);
    flags_set(f, flags_seen(f) & ~(uint32_t)(FLAG_IF | FLAG_TF));
}

static void irqs_deliver(struct frame *f)
{
    for (uint32_t irq = 0; irq < 16 && virtual_if; irq++)
        if (irqs_pending & 1u << irq) {
            irqs_pending &= ~(1u << irq);
            reflect(f, irq < 8 ? 8 + irq : 0x70 + irq - 8);
        }
}

static bool give_up(struct frame *f)
{
    monitor.bad_vector = f->vector + 1;
    monitor.bad_eip = f->eip;
    monitor.bad_cs = f->cs;
    for (uint32_t i = 0; i < 8; i++)
        monitor.bad_bytes[i] = linear((f->cs << 4) + f->eip)[i];
    return true;
}

/* One instruction that the CPU left to the monitor; false: none of those. */
static bool emulate(struct frame *f, uint8_t opcode, uint32_t bytes, bool wide)
{
    uint32_t ip, cs;
    f->eip = (uint16_t)(f->eip + bytes);
    switch (opcode) {
    case 0xfa:
        virtual_if = false;
        return true;
    case 0xfb:
        virtual_if = true;
        return true;
    case 0x9c:
        if (wide)
            push16(f, 0);
        push16(f, flags_seen(f));
        return true;
    case 0x9d:
        flags_set(f, pop(f, wide));
        return true;
    case 0xcf:
        ip = pop(f, wide), cs = pop(f, wide);
        flags_set(f, pop(f, wide));
        f->eip = ip & 0xffff, f->cs = cs & 0xffff;
        return true;
    case 0xf4:
        __asm__ volatile("sti; hlt; cli" ::: "memory");
        return true; /* the IRQ comes to monitor_trap, nested */
    }
    return false;
}

/* MOV r32, CR0: how the BIOS finds out that it may not change modes itself. */
static void read_cr0(struct frame *f, uint32_t reg)
{
    uint32_t *const regs[8] = {&f->eax, &f->ecx, &f->edx, &f->ebx, &f->esp, &f->ebp, &f->esi, &f->edi};
    monitor.cr0_reads++;
    __asm__ volatile("movl %%cr0, %0" : "=r"(*regs[reg]));
    f->eip += 3;
}

/* Decodes the instruction at CS:IP, as far as those go that raise #GP in virtual-8086 mode. */
static bool general_protection(struct frame *f)
{
    uint32_t at = (f->cs << 4) + f->eip, bytes = 0;
    bool wide = false;
    while (linear(at)[bytes] == 0x66 || linear(at)[bytes] == 0x67)
        wide |= linear(at)[bytes++] == 0x66;
    uint8_t opcode = linear(at)[bytes];
    if (!iopl0())
        virtual_if = f->eflags & FLAG_IF;
    if (opcode == 0xcd) {
        uint8_t vector = linear(at)[bytes + 1];
        if (vector == EXIT_V86)
            return true;
        monitor.soft_ints++;
        f->eip = (uint16_t)(f->eip + bytes + 2);
        reflect(f, vector);
        return false;
    }
    if (opcode == 0x0f && linear(at)[bytes + 1] == 0x20 && (linear(at)[bytes + 2] & 0xf8) == 0xc0) {
        read_cr0(f, linear(at)[bytes + 2] & 7);
        return false;
    }
    monitor.emulated++;
    if (!emulate(f, opcode, bytes + 1, wide))
        return give_up(f);
    irqs_deliver(f);
    return false;
}

static void interrupt(struct frame *f)
{
    monitor.irqs++;
    irqs_pending |= 1u << (f->vector - IRQ_BASE);
    if (!(f->eflags & FLAG_VM)) /* in the monitor's HLT */
        return;
    if (!iopl0())
        virtual_if = true; /* else it would not have come */
    irqs_deliver(f);
}

bool monitor_trap(struct frame *f)
{
    if (f->vector >= IRQ_BASE && f->vector < IRQ_BASE + 16) {
        interrupt(f);
        return false;
    }
    if (f->vector + 1 == monitor.expect_vector) {
        monitor.expect_count++;
        monitor.expect_error = f->error;
        f->eip += monitor.skip;
        return false;
    }
    if (f->vector == 0x13 && (monitor.options & V86_GATE)) {
        monitor.gate_ints++;
        reflect(f, 0x13);
        return false;
    }
    return f->vector == 13 && (f->eflags & FLAG_VM) ? general_protection(f) : give_up(f);
}

static void pic_move(uint8_t master, uint8_t slave)
{
    static const struct {
        uint16_t port;
        uint8_t value;
    } rest[] = {{0x21, 4}, {0xa1, 2}, {0x21, 1}, {0xa1, 1}};
    uint8_t masks[2];
    __asm__ volatile("inb $0x21, %0" : "=a"(masks[0]));
    __asm__ volatile("inb $0xa1, %0" : "=a"(masks[1]));
    outb(0x20, 0x11), outb(0xa0, 0x11);
    outb(0x21, master), outb(0xa1, slave);
    for (uint32_t i = 0; i < 4; i++)
        outb(rest[i].port, rest[i].value);
    outb(0x21, masks[0]), outb(0xa1, masks[1]);
}

static void cr4_vme(bool on)
{
    uint32_t cr4;
    if (!(monitor.options & V86_VME))
        return;
    __asm__ volatile("movl %%cr4, %0" : "=r"(cr4));
    __asm__ volatile("movl %0, %%cr4" : : "r"(on ? cr4 | CR4_VME : cr4 & ~(uint32_t)CR4_VME));
}

/* Returns the EFLAGS that the task starts with. */
uint32_t monitor_begin(void)
{
    for (uint32_t v = 0; v < 256; v++) { /* 32-bit interrupt gates; DPL 0 */
        uint32_t stub = (uint32_t)(monitor_stubs + 16 * v);
        uint32_t dpl = v == 0x13 && (monitor.options & V86_GATE) ? 0x6000 : 0;
        idt32[v] = (uint64_t)((stub & 0xffff0000) | 0x8e00 | dpl) << 32 | 0x18u << 16 | (stub & 0xffff);
    }
    for (uint32_t i = 0; i < sizeof *tss; i++)
        linear(TSS_AT)[i] = 0;
    tss->esp0 = (uint32_t)monitor_stack_top, tss->ss0 = 0x20, tss->end = 0xff;
    tss->redirection[EXIT_V86 / 8] =
        1 << EXIT_V86 % 8; /* the others go to the task's own handlers, with CR4.VME */
    tss->iomap = offsetof(struct tss, ports);
    gdt[6] = (uint64_t)0x89 << 40 | (uint64_t)TSS_AT << 16 | (sizeof *tss - 1);
    __asm__ volatile("ltr %w0" : : "r"(0x30));
    pic_move(IRQ_BASE, IRQ_BASE + 8);
    cr4_vme(true);
    virtual_if = true, irqs_pending = 0;
    return FLAG_VM | FLAG_IF | 2 | (iopl0() ? 0 : IOPL3);
}

void monitor_end(void)
{
    cr4_vme(false);
    pic_move(0x08, 0x70);
}
