/* mode16.h - 16-bit code of a guest: copied below 1 MiB and called in real mode, in 16-bit protected mode and
 * in virtual-8086 mode.
 *
 * The guest writes functions between M16_BEGIN and M16_END at file scope, in assembly that is the same in all
 * modes; they end with a near RET. They find DS, ES, FS, GS at M16_DATA and SS at M16_STACK. Offsets in the
 * code are differences to m16_code. In virtual-8086 mode a HLT at offset 0 ends the call; another event of
 * the mode is noted in m16_event and ends it too. */
#ifndef TANDEM_TESTS_GUESTS_MODE16_H
#define TANDEM_TESTS_GUESTS_MODE16_H

#include "rt.h"

#define M16_CODE  0x70000
#define M16_DATA  0x60000
#define M16_STACK 0x50000
#define M16_SP    0xfff0

enum m16_mode { M16_REAL, M16_PM, M16_V86, M16_MODES };

/* Selectors 30h, 38h, 40h: code, data, stack with the bases above. */
#define M16_BEGIN                                                                                            \
    __asm__(".globl m16_code, m16_end, m16_call, m16_out\n"                                                  \
            "m16_call:\n" /* eax: offset of the entry below, ebp: of the function */                         \
            "    movl %esp, m16_esp; sidt m16_idt\n"                                                         \
            "    movw %ax, m16_entry; ljmp *m16_entry_far\n"                                                 \
            "m16_out:\n"                                                                                     \
            "    movl $0x10, %eax; movl %eax, %ds; movl %eax, %es; movl %eax, %fs; movl %eax, %gs\n"         \
            "    movl %eax, %ss; movl m16_esp, %esp; lidt m16_idt; ret\n"                                    \
            ".data\n"                                                                                        \
            "m16_entry_far: m16_entry: .long 0; .word 0x30\n"                                                \
            ".text\n"                                                                                        \
            ".code16\n"                                                                                      \
            "m16_code: hlt\n"                                                                                \
            "m16_v86: call *%bp; jmp m16_code\n"                                                             \
            "m16_pm: mov $0x38, %ax; mov %ax, %ds; mov %ax, %es; mov %ax, %fs; mov %ax, %gs\n"               \
            "    mov $0x40, %ax; mov %ax, %ss; mov $0xfff0, %sp; call *%bp; ljmpl $8, $m16_out\n"            \
            "m16_real: mov $0x38, %ax; mov %ax, %ds; mov %ax, %es; mov %ax, %fs; mov %ax, %gs; mov %ax, "    \
            "%ss\n"                                                                                          \
            "    mov %cr0, %eax; and $0xfe, %al; mov %eax, %cr0; ljmp $0x7000, $1f - m16_code\n"             \
            "1:  lidtl %cs:2f - m16_code\n"                                                                  \
            "    mov $0x6000, %ax; mov %ax, %ds; mov %ax, %es; mov %ax, %fs; mov %ax, %gs\n"                 \
            "    mov $0x5000, %ax; mov %ax, %ss; mov $0xfff0, %sp; call *%bp\n"                              \
            "    cli; mov %cr0, %eax; or $1, %al; mov %eax, %cr0; ljmpl $8, $m16_out\n"                      \
            "2:  .word 0x3ff; .long 0\n"
#define M16_END                                                                                              \
    "m16_end: .code32\n"                                                                                     \
    ".text");

extern const uint8_t m16_code[], m16_end[], m16_v86[], m16_pm[], m16_real[];
extern void m16_call(void), m16_out(void);
uint32_t m16_esp; /* these two are named in the assembly */
uint8_t m16_idt[6];

struct m16_event {
    uint32_t vector, error, ip, cs, eflags;
    uint16_t es, ds, fs, gs;
};
static volatile struct m16_event m16_event;
static uint8_t m16_monitor_stack[4096] __attribute__((aligned(16)));
static uint32_t m16_eflags = 0x20002; /* that virtual-8086 mode begins with */

static inline uint32_t m16_offset(const void *p)
{
    return (uint32_t)((const uint8_t *)p - m16_code);
}

static inline void *m16_data(uint32_t offset)
{
    return (void *)(M16_DATA + offset);
}

static void m16_end_of_v86(struct frame *f)
{
    const uint32_t *above = &f->user_ss + 1;
    m16_event = (struct m16_event){
        .vector = f->vector, .error = f->error, .ip = f->eip, .cs = f->cs, .eflags = f->eflags};
    m16_event.es = (uint16_t)above[0], m16_event.ds = (uint16_t)above[1];
    m16_event.fs = (uint16_t)above[2], m16_event.gs = (uint16_t)above[3];
    f->cs = 8, f->eip = (uint32_t)m16_out, f->eflags = 2;
}

static uint64_t m16_descriptor(uint32_t base, uint8_t access)
{
    return 0xffff | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)access << 40;
}

static inline void m16_setup(void)
{
    memcpy((void *)M16_CODE, m16_code, (size_t)(m16_end - m16_code));
    gdt[6] = m16_descriptor(M16_CODE, 0x9b), gdt[7] = m16_descriptor(M16_DATA, 0x93);
    gdt[8] = m16_descriptor(M16_STACK, 0x93);
    tss.esp0 = (uint32_t)(m16_monitor_stack + sizeof m16_monitor_stack);
    for (unsigned v = 0; v < 20; v++)
        set_isr(v, m16_end_of_v86);
}

/* True: ended by its RET. */
static inline bool m16_run_v86(const void *function)
{
    const uint32_t frame[] = {m16_offset(m16_v86), M16_CODE >> 4, m16_eflags,    M16_SP,       M16_STACK >> 4,
                              M16_DATA >> 4,       M16_DATA >> 4, M16_DATA >> 4, M16_DATA >> 4};
    __asm__ volatile(
        "pushal\n\tpushl %%ebp\n\tmovl %1, %%ebp\n\tpushl $1f\n\tmovl %%esp, m16_esp\n\tsidt m16_idt\n\t"
        "movl $9, %%ecx\n2:\tpushl -4(%%eax,%%ecx,4)\n\tloop 2b\n\tiret\n1:\tpopl %%ebp\n\tpopal"
        :
        : "a"(frame), "d"(m16_offset(function))
        : "ecx", "memory");
    return m16_event.vector == 13 && m16_event.ip == 0 && m16_event.cs == M16_CODE >> 4;
}

static inline bool m16_run(enum m16_mode mode, const void *function)
{
    if (mode == M16_V86)
        return m16_run_v86(function);
    __asm__ volatile("pushal\n\tpushl %%ebp\n\tmovl %1, %%ebp\n\tcall m16_call\n\tpopl %%ebp\n\tpopal"
                     :
                     : "a"(m16_offset(mode == M16_REAL ? m16_real : m16_pm)), "d"(m16_offset(function))
                     : "memory");
    return true;
}

#endif
