/* real16.c - real mode: exceptions of limit violations (SDM 3B 20.1.4: #GP 13, #SS 12, no error code), the
 * IDT moved and shortened by LIDT, 16-bit offsets that wrap, limits of 4 GiB ("unreal mode"), A20 for data
 * and code, flags that POPF may change, LMSW, HLT. qemu=1 leaves out what QEMU does otherwise: it checks no
 * segment limit, and none of the IDT in real mode. */
#include "mode16.h"

#define FN(name, code) #name ": " code "\n"
/* Vectors 0 to 15 lead to h_0 and so on, 8 bytes apart: the vector, IP, CS and FLAGS are noted, and the
 * function goes on at the offset in h_resume. */
M16_BEGIN
".balign 8\nh_0: .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n push $\\n; jmp h_all\n .balign 8\n .endr\n"
    "h_all: push %bp; mov %sp, %bp; push %ax\n"
    "    mov 2(%bp), %ax; mov %ax, %cs:h_vector - m16_code; mov 4(%bp), %ax; mov %ax, %cs:h_ip - m16_code\n"
    "    mov 6(%bp), %ax; mov %ax, %cs:h_cs - m16_code; mov 8(%bp), %ax; mov %ax, %cs:h_flags - m16_code\n"
    "    mov %cs:h_resume - m16_code, %ax; mov %ax, 4(%bp); mov %cs, 6(%bp); mov %sp, %cs:h_sp - m16_code\n"
    "    pop %ax; pop %bp; add $2, %sp; iret\n"
    "h_vector: .word 0\nh_ip: .word 0\nh_cs: .word 0\nh_flags: .word 0\nh_resume: .word 0\nh_sp: .word 0\n"
#define FAULTS(name, before, insn)                                                                           \
    "f_" name ": movw $e_" name " - m16_code, %cs:h_resume - m16_code; " before "; i_" name ": " insn        \
    "; e_" name ": ret\n"
    FAULTS("word_end", "nop", "mov %ax, 0xffff") FAULTS("dword_end", "nop",
                                                        "mov 0xfffd, %eax") FAULTS("offset",
                                                                                   "mov $0x10000, %ebx",
                                                                                   "mov (%ebx), %al")
        FAULTS("code_end", "nop", "mov %cs:0xffff, %ax") FAULTS("far_code", "nop", "ljmpl $0x7000, $0x10000")
            FAULTS("near_out", "nop",
                   ".byte 0x66, 0xe9; .long 0x10000") FAULTS("string", "mov $0xffff, %di; cld", "stosw")
                FAULTS("int_limit", "lidtl %cs:2f - m16_code; jmp i_int_limit; 2: .word 14 * 4 - 1; .long 0",
                       "int $14") FAULTS("sldt", "nop", "sldt %ax") FAULTS("lar", "nop", "lar %ax, %bx")
                    FAULTS("arpl", "nop", "arpl %ax, %bx") FAULTS("ud", "nop", "ud2") FAULTS("div",
                                                                                             "xor %cx, %cx",
                                                                                             "div %cx")
                        FAULTS("bound", "movw $1, 0x100; movw $2, 0x102; mov $3, %ax",
                               "bound %ax, 0x100") "f_stack_end: movw $e_stack_end - m16_code, %cs:h_resume "
                                                   "- m16_code; mov %sp, %bx; mov $0xffff, %sp\n"
                                                   "i_stack_end: pop %ax; e_stack_end: mov %bx, %sp; ret\n"
                                                   "f_bp_end: movw $e_bp_end - m16_code, %cs:h_resume - "
                                                   "m16_code; mov $0xffff, %bp\n"
                                                   "i_bp_end: mov (%bp), %ax; e_bp_end: ret\n"
    /* What does not fault. */
    FN(f_byte_end, "movb $0x5a, 0xffff; mov 0xffff, %al; mov %al, 0x100; ret") FN(
        f_wrap,
        "mov $0xfff8, %bx; mov $0x18, %si; mov (%bx, %si), %ax; mov %ax, 0x100; mov $0xffff, %si; cld; "
        "lodsb; mov %si, 0x102;"
        "mov %sp, %bx; xor %sp, %sp; push $0x1234; mov %sp, 0x104; mov %ss:0xfffe, %ax; mov %ax, 0x106;"
        "pop %ax; mov %sp, 0x108; mov %bx, %sp; ret")
        FN(f_flags, "pushl $0x277cd7; popfl; pushfl; popl 0x100; pushf; pop 0x104; pushl $2; popfl; ret") FN(
            f_iret,
            "pushf; pop %ax; or $0x4000, %ax; push %ax; popf; push %ax; push %cs; push $1f - m16_code; iret;"
            "1: movw $0x4321, 0x100; push $2; popf; ret")
            FN(f_lmsw, "smsw %ax; mov %ax, 0x100; xor %ax, %ax; lmsw %ax; smsw %ax; mov %ax, 0x102; ret")
                FN(f_relocate, "lidtl %cs:2f - m16_code; int $1; ret; 2: .word 7; .long 0x60200; 3: movw "
                               "$0x77, 0x110; iret; f_moved = 3b")
                    FN(f_segment_write, "mov $0x7001, %ax; mov %ax, %es; xor %ax, %ax; movw $0x4040, "
                                        "%es:f_patched - m16_code - 16;"
                                        "f_patched: nop; nop; mov %ax, 0x100; ret")
                        FN(f_big_read, "mov $0x100000, %ebx; mov %fs:(%ebx), %eax; mov %eax, 0x100; mov "
                                       "%fs:0xffff, %ax; mov %ax, 0x104;"
                                       "mov $0x6000, %ax; mov %ax, %fs; mov $0xb0000, %ebx; mov %fs:(%ebx), "
                                       "%eax; mov %eax, 0x108; ret")
    /* Twice above 1 MiB, between which A20 is closed: as data, and as code that returns by far RET. */
    FN(f_a20,
       "call 1f; in $0x92, %al; and $0xfd, %al; out %al, $0x92; call 1f; in $0x92, %al; or $2, %al; out %al, "
       "$0x92;"
       "1: mov 0x118, %di; les 0x120, %bx; mov %es:(%bx), %ax; mov %ax, (%di); lcall *0x124; mov %ax, 2(%di);"
       "addw $4, 0x118; ret")
        FN(f_hlt,
           "sti; hlt; cli; ret; f_tick: push %ax; mov $0x20, %al; out %al, $0x20; incw 0x100; pop %ax; iret")
            M16_END

    extern const uint8_t f_word_end[],
    i_word_end[], f_dword_end[], i_dword_end[], f_offset[], i_offset[], f_code_end[], i_code_end[],
    f_far_code[], i_far_code[], f_near_out[], i_near_out[], f_string[], i_string[], f_int_limit[],
    i_int_limit[], f_sldt[], i_sldt[], f_lar[], i_lar[], f_arpl[], i_arpl[], f_ud[], i_ud[], f_div[], i_div[],
    f_bound[], i_bound[], f_stack_end[], i_stack_end[], f_bp_end[], i_bp_end[], h_0[], h_vector[], h_sp[],
    f_byte_end[], f_wrap[], f_flags[], f_iret[], f_lmsw[], f_relocate[], f_moved[],
    f_segment_write[], f_patched[], f_big_read[], f_a20[], f_hlt[], f_tick[];

static bool qemu;

static volatile uint16_t *word(uint32_t at)
{
    return m16_data(at);
}

static volatile uint16_t *code_word(const uint8_t *at)
{
    return (volatile uint16_t *)(M16_CODE + m16_offset(at));
}

static void set_vectors(void)
{
    volatile uint16_t *ivt = (volatile uint16_t *)0;
    for (unsigned v = 0; v < 16; v++)
        ivt[2 * v] = (uint16_t)(m16_offset(h_0) + 8 * v), ivt[2 * v + 1] = M16_CODE >> 4;
}

static void run(const uint8_t *function)
{
    *code_word(h_vector) = 0xffff;
    m16_run(M16_REAL, function);
}

static bool faults(const uint8_t *function, const uint8_t *at, unsigned vector)
{
    const volatile uint16_t *noted = code_word(h_vector); /* IP, CS, FLAGS follow */
    run(function);
    const bool as_said = noted[0] == vector && noted[1] == m16_offset(at) && noted[2] == M16_CODE >> 4;
    if (!as_said)
        print("vector %u at %x:%x, want %u at %x\n", noted[0], noted[2], noted[1], vector, m16_offset(at));
    return as_said;
}

static void check_faults(void)
{
    EXPECT(faults(f_sldt, i_sldt, 6));
    EXPECT(faults(f_lar, i_lar, 6));
    EXPECT(faults(f_arpl, i_arpl, 6));
    EXPECT(faults(f_ud, i_ud, 6));
    EXPECT(faults(f_div, i_div, 0));
    EXPECT_EQ(*code_word(h_sp), M16_SP - 2 - 6 - 2 - 2 - 2); /* no error code */
    EXPECT(faults(f_bound, i_bound, 5));
    if (qemu)
        return;
    EXPECT(faults(f_word_end, i_word_end, 13));
    EXPECT_EQ(*code_word(h_sp), M16_SP - 2 - 6 - 2 - 2 - 2);
    EXPECT(faults(f_dword_end, i_dword_end, 13));
    EXPECT(faults(f_offset, i_offset, 13));
    EXPECT(faults(f_code_end, i_code_end, 13));
    EXPECT(faults(f_far_code, i_far_code, 13));
    EXPECT(faults(f_near_out, i_near_out, 13));
    EXPECT(faults(f_string, i_string, 13));
    EXPECT(faults(f_int_limit, i_int_limit, 13));
    EXPECT(faults(f_stack_end, i_stack_end, 12));
    EXPECT(faults(f_bp_end, i_bp_end, 12));
}

static void check_offsets(void)
{
    *word(0x10) = 0x1111;
    run(f_byte_end);
    EXPECT_EQ(*word(0x100) & 0xff, 0x5a);
    run(f_wrap);
    EXPECT_EQ(*word(0x100), 0x1111);
    EXPECT_EQ(*word(0x102), 0);
    EXPECT_EQ(*word(0x104), 0xfffe);
    EXPECT_EQ(*word(0x106), 0x1234);
    EXPECT_EQ(*word(0x108), 0);
    run(f_segment_write);
    EXPECT_EQ(*word(0x100), 2); /* what was written through ES has run: two INC AX */
}

static void check_state(void)
{
    run(f_flags);
    EXPECT_EQ(*(volatile uint32_t *)word(0x100) & 0x277fd7, 0x247cd7);
    EXPECT_EQ(*word(0x104) & 0x7000, 0x7000); /* IOPL and NT are real mode's to change */
    run(f_iret);
    EXPECT_EQ(*word(0x100), 0x4321);
    run(f_lmsw);
    EXPECT_EQ(*word(0x100) & 1, 0);
    EXPECT_EQ(*word(0x102) & 1, 0);
    *word(0x200 + 4) = (uint16_t)m16_offset(f_moved), *word(0x206) = M16_CODE >> 4;
    run(f_relocate);
    EXPECT_EQ(*word(0x110), 0x77);
}

/* FS keeps the limit that protected mode gave it: SDM 3A 9.9.2 says what for. */
static void check_unreal(void)
{
    const uint64_t old = gdt[7];
    *(volatile uint16_t *)(0x6ffff) = 0x2222; /* FS:FFFF */
    gdt[7] = m16_descriptor(M16_DATA, 0x93) | UINT64_C(0x008f000000000000);
    run(f_big_read);
    EXPECT_EQ(*(volatile uint32_t *)word(0x100), *(volatile uint32_t *)0x160000);
    EXPECT_EQ(*word(0x104), 0x2222);
    EXPECT_EQ(*(volatile uint32_t *)word(0x108), *(volatile uint32_t *)0x110000);
    gdt[7] = old;
}

static uint8_t high[64] __attribute__((aligned(64))); /* above 1 MiB, within reach of FFFF:FFFF */

static void put_code(uint8_t *at, uint8_t value)
{
    const uint8_t code[] = {0xb8, value, 0, 0xcb}; /* mov ax, value; lret */
    memcpy(at, code, sizeof code);
    at[8] = value, at[9] = 0;
}

/* The 8042's output port. */
static void kbc_output(uint8_t value)
{
    while (inb(0x64) & 2)
        ;
    outb(0x64, 0xd1);
    while (inb(0x64) & 2)
        ;
    outb(0x60, value);
    while (inb(0x64) & 2)
        ;
}

/* The 8042's gate is closed before: either keeps A20 open (82371SB data sheet, port 92h). In QEMU who wrote
 * last decides. */
static void check_a20(void)
{
    const uint32_t at = (uint32_t)high, offset = at - 0xffff0;
    EXPECT(at >= 0x100000 && offset < 0xfff0);
    put_code(high, 1), put_code((uint8_t *)(at - 0x100000), 2);
    *word(0x118) = 0x100;
    *word(0x120) = (uint16_t)(offset + 8), *word(0x122) = 0xffff;
    *word(0x124) = (uint16_t)offset, *word(0x126) = 0xffff;
    if (!qemu)
        kbc_output(0xdd);
    run(f_a20);
    kbc_output(0xdf);
    for (unsigned i = 0; i < 6; i++)
        EXPECT_EQ(word(0x100)[i], i / 2 == 1 ? 2 : 1);
}

static void check_hlt(void)
{
    *word(0x100) = 0;
    outb(0x43, 0x30), outb(0x40, 0), outb(0x40, 2); /* once */
    irq_unmask(0);
    ((volatile uint16_t *)0)[4 * IRQ_BASE / 2] = (uint16_t)m16_offset(f_tick);
    ((volatile uint16_t *)0)[4 * IRQ_BASE / 2 + 1] = M16_CODE >> 4;
    run(f_hlt);
    irq_mask_all();
    EXPECT_EQ(*word(0x100), 1);
}

int guest_main(void)
{
    qemu = option("qemu", 0);
    m16_setup();
    set_vectors();
    check_faults();
    check_offsets();
    check_state();
    check_unreal();
    check_a20();
    check_hlt();
    return 0;
}
