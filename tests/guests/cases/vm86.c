/* vm86.c - virtual-8086 mode: what faults in it, with which vector and error code, and what does not. SDM
 * 3B 20.2, SDM 2 of each instruction; segments of 64 KiB; I/O by the map of the TSS alone; rights of CPL 3 in
 * pages; #AC; TF. qemu=1 leaves out what QEMU does otherwise: no segment limit, no #AC, no RF in what a fault
 * pushes, #UD for INT1. */
#include "mode16.h"

#define FN(name, code) #name ": " code "\n"
M16_BEGIN
FN(f_nothing, "ret")
FN(f_hlt, "hlt; ret")
FN(f_cli, "cli; ret")
FN(f_sti, "sti; ret")
FN(f_pushf, "pushf; pop %ax; mov %ax, 0x100; ret")
FN(f_popf, "popf; jmp *%bp")
FN(f_int, "int $0x30; ret")
FN(f_int3_long, ".byte 0xcd, 3; ret")
FN(f_iret, "iret")
FN(f_int3, "int3; ret")
FN(f_into, "mov $0x7f, %al; inc %al; f_into_at: into; ret")
FN(f_icebp, ".byte 0xf1; ret")
FN(f_sldt, "sldt %ax; ret")
FN(f_str, "str %ax; ret")
FN(f_lldt, "lldt %ax; ret")
FN(f_ltr, "ltr %ax; ret")
FN(f_verr, "verr %ax; ret")
FN(f_verw, "verw %ax; ret")
FN(f_lar, "lar %ax, %bx; ret")
FN(f_lsl, "lsl %ax, %bx; ret")
FN(f_arpl, "arpl %ax, %bx; ret")
FN(f_lgdt, "lgdtl 0x100; ret")
FN(f_lidt, "lidtl 0x100; ret")
FN(f_lmsw, "lmsw %ax; ret")
FN(f_to_cr, "mov %eax, %cr0; ret")
FN(f_from_cr, "mov %cr0, %eax; ret")
FN(f_to_dr, "mov %eax, %dr0; ret")
FN(f_from_dr, "mov %dr0, %eax; ret")
FN(f_clts, "clts; ret")
FN(f_invd, "invd; ret")
FN(f_wbinvd, "wbinvd; ret")
FN(f_invlpg, "invlpg 0x100; ret")
FN(f_rdmsr, "rdmsr; ret")
FN(f_wrmsr, "wrmsr; ret")
FN(f_sysexit, "sysexit; ret")
FN(f_ud, "ud2; ret")
FN(f_allowed, "sgdtl 0x100; sidtl 0x108; smsw %ax; mov %ax, 0x110; rdtsc; cpuid; ret")
FN(f_set_flags, "pushl $0x44ed7; popfl; pushfl; popl 0x100; cld; ret")
FN(f_word_at_end, "f_w: mov %ax, 0xffff; ret")
FN(f_dword_at_end, "mov %eax, 0xfffd; ret")
FN(f_byte_at_end, "movb $0x5a, 0xffff; mov 0xffff, %al; mov %al, 0x100; ret")
FN(f_wide_offset, "mov $0x10000, %ebx; f_wide_at: mov %al, (%ebx); ret")
FN(f_stack_end, "mov %sp, 0x100; mov $0xffff, %sp; f_stack_at: pop %ax; ret")
FN(f_jump_out, ".byte 0x66, 0xe9; .long 0x10000; ret")
FN(f_far_out, "ljmpl $0x7000, $0x10000; ret")
FN(f_write_code, "movb $0x77, %cs:f_patched - m16_code; f_patched: nop; ret")
FN(f_segments, "mov $0x6001, %ax; mov %ax, %es; mov %es:0, %bx; mov %bx, 0x100; mov $0, %ax; mov %ax, %fs;"
               "mov %fs:0x2000, %bx; mov %bx, 0x102; mov $0xffff, %ax; mov %ax, %gs; mov %gs:0x10, %bx;"
               "mov %bx, 0x104; les 0x110, %di; mov %es:(%di), %bx; mov %bx, 0x106; ret")
FN(f_far_call, "lcall $0x6fff, $f_far_target - m16_code + 16; ret; f_far_target: mov %cs, 0x100; lret")
FN(f_in, "in $0x61, %al; ret")
FN(f_in_word, "in $0x61, %ax; ret")
FN(f_out, "mov $0x61, %dx; f_out_at: out %al, %dx; ret")
FN(f_ins, "mov $0x61, %dx; mov $0x200, %di; f_ins_at: insb; ret")
FN(f_outs, "mov $0x61, %dx; mov $0x200, %si; f_outs_at: outsb; ret")
FN(f_read, "mov 0x3000, %ax; ret")
FN(f_write, "mov %ax, 0x3000; ret")
FN(f_odd, "mov 0x101, %ax; ret")
FN(f_fstenv, "fninit; f_fst: fld1; fnstenv 0x100; ret")
FN(f_iret_within, "pushf; push %cs; push $f_iret_to - m16_code; iret; f_iret_to: movw $0x4321, 0x100; ret")
M16_END

#define DECLARE(name) extern const uint8_t name[];
#define FUNCTIONS(_)                                                                                         \
    _(f_nothing)                                                                                             \
    _(f_hlt)                                                                                                 \
    _(f_cli)                                                                                                 \
    _(f_sti)                                                                                                 \
    _(f_pushf)                                                                                               \
    _(f_int)                                                                                                 \
    _(f_int3_long)                                                                                           \
    _(f_iret)                                                                                                \
    _(f_int3)                                                                                                \
    _(f_into)                                                                                                \
    _(f_into_at)                                                                                             \
    _(f_icebp)                                                                                               \
    _(f_sldt)                                                                                                \
    _(f_str)                                                                                                 \
    _(f_lldt)                                                                                                \
    _(f_ltr)                                                                                                 \
    _(f_verr)                                                                                                \
    _(f_verw)                                                                                                \
    _(f_lar)                                                                                                 \
    _(f_lsl)                                                                                                 \
    _(f_arpl)                                                                                                \
    _(f_lgdt)                                                                                                \
    _(f_lidt)                                                                                                \
    _(f_lmsw)                                                                                                \
    _(f_to_cr)                                                                                               \
    _(f_from_cr)                                                                                             \
    _(f_to_dr)                                                                                               \
    _(f_from_dr)                                                                                             \
    _(f_clts)                                                                                                \
    _(f_invd)                                                                                                \
    _(f_wbinvd)                                                                                              \
    _(f_invlpg)                                                                                              \
    _(f_rdmsr)                                                                                               \
    _(f_wrmsr)                                                                                               \
    _(f_sysexit)                                                                                             \
    _(f_ud)                                                                                                  \
    _(f_allowed)                                                                                             \
    _(f_set_flags)                                                                                           \
    _(f_word_at_end)                                                                                         \
    _(f_dword_at_end)                                                                                        \
    _(f_byte_at_end)                                                                                         \
    _(f_wide_offset)                                                                                         \
    _(f_wide_at)                                                                                             \
    _(f_stack_end)                                                                                           \
    _(f_stack_at)                                                                                            \
    _(f_jump_out)                                                                                            \
    _(f_far_out)                                                                                             \
    _(f_write_code)                                                                                          \
    _(f_patched)                                                                                             \
    _(f_segments)                                                                                            \
    _(f_far_call)                                                                                            \
    _(f_in)                                                                                                  \
    _(f_in_word)                                                                                             \
    _(f_out)                                                                                                 \
    _(f_out_at)                                                                                              \
    _(f_ins)                                                                                                 \
    _(f_ins_at)                                                                                              \
    _(f_outs)                                                                                                \
    _(f_outs_at)                                                                                             \
    _(f_read)                                                                                                \
    _(f_write)                                                                                               \
    _(f_odd)                                                                                                 \
    _(f_fstenv)                                                                                              \
    _(f_fst)                                                                                                 \
    _(f_iret_within)
FUNCTIONS(DECLARE)

enum { VM = 0x20000, AC = 0x40000, RF = 0x10000, IF = 0x200, TF = 0x100, NT = 0x4000 };

static bool qemu;
static uint32_t dir[1024] __attribute__((aligned(4096))), table[1024] __attribute__((aligned(4096)));
static struct {
    uint8_t b[104 + 64];
} io_tss __attribute__((aligned(256)));

static volatile uint16_t *data16(uint32_t at)
{
    return m16_data(at);
}

static void set_iopl(unsigned iopl)
{
    m16_eflags = VM | iopl << 12 | 2;
}

static bool runs(const uint8_t *fn)
{
    return m16_run(M16_V86, fn);
}

static bool faults_at(const uint8_t *fn, const uint8_t *at, uint32_t vector, uint32_t error)
{
    runs(fn);
    const bool as_said = m16_event.vector == vector && m16_event.error == error &&
                         m16_event.ip == m16_offset(at) && m16_event.cs == M16_CODE >> 4 &&
                         (m16_event.eflags & VM);
    if (!as_said)
        print("vector %u error %x ip %x (want %u %x %x)\n", m16_event.vector, m16_event.error, m16_event.ip,
              vector, error, m16_offset(at));
    return as_said;
}

static bool faults(const uint8_t *fn, uint32_t vector, uint32_t error)
{
    return faults_at(fn, fn, vector, error);
}

static void check_undefined(void)
{
    const uint8_t *const fns[] = {f_sldt, f_str, f_lldt, f_ltr, f_verr, f_verw, f_lar, f_lsl, f_arpl, f_ud};
    for (unsigned i = 0; i < sizeof fns / sizeof fns[0]; i++)
        EXPECT(faults(fns[i], 6, 0));
}

static void check_privileged(void)
{
    const uint8_t *const fns[] = {f_hlt,  f_lgdt, f_lidt,   f_lmsw,   f_to_cr, f_from_cr, f_to_dr,  f_from_dr,
                                  f_clts, f_invd, f_wbinvd, f_invlpg, f_rdmsr, f_wrmsr,   f_sysexit};
    for (unsigned iopl = 0; iopl < 4; iopl += 3) {
        set_iopl(iopl);
        for (unsigned i = 0; i < sizeof fns / sizeof fns[0]; i++)
            EXPECT(faults(fns[i], 13, 0));
        EXPECT(runs(f_allowed));
        EXPECT(*data16(0x110) & 1);
    }
}

static void check_iopl(void)
{
    const uint8_t *const fns[] = {f_cli, f_sti, f_pushf, f_int, f_int3_long, f_iret};
    for (unsigned iopl = 0; iopl < 3; iopl++) {
        set_iopl(iopl);
        for (unsigned i = 0; i < sizeof fns / sizeof fns[0]; i++)
            EXPECT(faults(fns[i], 13, 0));
    }
    set_iopl(3);
    EXPECT(runs(f_sti));
    EXPECT(m16_event.eflags & IF);
    EXPECT(runs(f_cli));
    EXPECT(!(m16_event.eflags & IF));
    EXPECT(runs(f_pushf));
    EXPECT_EQ(*data16(0x100) & 0xf000, 0x3000);
    m16_eflags |= NT; /* IRET does not look at it */
    EXPECT(runs(f_iret_within));
    EXPECT_EQ(*data16(0x100), 0x4321);
    EXPECT(faults(f_int, 13, 0x30 * 8 + 2)); /* the gate's DPL */
    set_iopl(3);
    EXPECT(runs(f_set_flags)); /* all bits but VM, RF and IOPL */
    EXPECT_EQ(*(volatile uint32_t *)m16_data(0x100) & 0x77fd7, 0x47ed7);
}

/* INT3, INTO and INT1 at IOPL 0. */
static void check_traps(void)
{
    extern char stubs[];
    set_iopl(0);
    EXPECT(faults(f_int3, 13, 3 * 8 + 2));
    EXPECT(faults_at(f_into, f_into_at, 13, 4 * 8 + 2));
    set_gate(3, stubs + 16 * 3, 0xee), set_gate(4, stubs + 16 * 4, 0xee);
    EXPECT(faults_at(f_int3, f_int3 + 1, 3, 0));
    EXPECT(faults_at(f_into, f_into_at + 1, 4, 0));
    if (!qemu)
        EXPECT(faults_at(f_icebp, f_icebp + 1, 1, 0));
    m16_eflags |= TF;
    EXPECT(faults_at(f_nothing, f_nothing, 1, 0)); /* behind CALL */
    set_iopl(0);
}

static void check_segments(void)
{
    *data16(0x10) = 0x1234;
    *(volatile uint16_t *)0x2000 = 0x5678;
    *(volatile uint16_t *)0x100000; /* FFFF:0010, nothing wraps */
    *data16(0x110) = 0x20, *data16(0x112) = 0x6000, *data16(0x20) = 0x9abc;
    EXPECT(runs(f_segments));
    EXPECT_EQ(*data16(0x100), 0x1234);
    EXPECT_EQ(*data16(0x102), 0x5678);
    EXPECT_EQ(*data16(0x104), *(volatile uint16_t *)0x100000);
    EXPECT_EQ(*data16(0x106), 0x9abc);
    EXPECT_EQ(m16_event.es, 0x6000);
    EXPECT_EQ(m16_event.fs, 0);
    EXPECT_EQ(m16_event.gs, 0xffff);
    EXPECT(runs(f_far_call));
    EXPECT_EQ(*data16(0x100), 0x6fff);
    EXPECT(runs(f_byte_at_end));
    EXPECT_EQ(*data16(0x100) & 0xff, 0x5a);
    EXPECT(runs(f_write_code));
    EXPECT_EQ(*(volatile uint8_t *)(M16_CODE + m16_offset(f_patched)), 0x77);
    *(volatile uint8_t *)(M16_CODE + m16_offset(f_patched)) = 0x90;
    if (qemu)
        return;
    EXPECT(faults(f_word_at_end, 13, 0));
    EXPECT(faults(f_dword_at_end, 13, 0));
    EXPECT(faults_at(f_wide_offset, f_wide_at, 13, 0));
    EXPECT(faults_at(f_stack_end, f_stack_at, 12, 0));
    EXPECT(faults(f_jump_out, 13, 0));
    EXPECT(faults(f_far_out, 13, 0));
}

static void io_map(uint16_t port, bool denied)
{
    uint8_t *byte = &io_tss.b[104 + port / 8], bit = (uint8_t)(1u << (port & 7));
    *byte = denied ? *byte | bit : *byte & (uint8_t)~bit;
}

static void check_ports(void)
{
    const uint32_t a = (uint32_t)&io_tss;
    memcpy(&io_tss, &tss, sizeof tss);
    *(uint16_t *)(io_tss.b + 0x66) = 104;
    gdt[9] = (sizeof io_tss - 1) | (uint64_t)(a & 0xffffff) << 16 | UINT64_C(0x89) << 40 |
             (uint64_t)(a >> 24) << 56;
    __asm__ volatile("ltr %w0" : : "r"(0x48));
    for (unsigned iopl = 0; iopl < 4; iopl++) {
        set_iopl(iopl);
        io_map(0x61, false);
        EXPECT(runs(f_in) && runs(f_out) && runs(f_ins) && runs(f_outs) && runs(f_in_word));
        io_map(0x62, true);
        EXPECT(runs(f_in));
        EXPECT(faults(f_in_word, 13, 0));
        io_map(0x62, false), io_map(0x61, true);
        EXPECT(faults(f_in, 13, 0)); /* whatever IOPL is */
        EXPECT(faults_at(f_out, f_out_at, 13, 0));
        EXPECT(faults_at(f_ins, f_ins_at, 13, 0));
        EXPECT(faults_at(f_outs, f_outs_at, 13, 0));
    }
}

static void check_x87(void)
{
    set_iopl(0);
    EXPECT(runs(f_fstenv)); /* real mode's format: an address of 20 bits */
    EXPECT_EQ(*data16(0x106), (M16_CODE + m16_offset(f_fst)) & 0xffff);
    EXPECT_EQ(*data16(0x108) & 0xf000, M16_CODE >> 4 & 0xf000);
}

static void map(uint32_t page, uint32_t to, uint32_t rights)
{
    table[page] = to << 12 | rights;
    __asm__ volatile("movl %%cr3, %%eax; movl %%eax, %%cr3" : : : "eax", "memory");
}

static void check_pages(void)
{
    for (uint32_t i = 0; i < 1024; i++)
        table[i] = i << 12 | 7;
    dir[0] = (uint32_t)table | 7;
    __asm__ volatile(
        "movl %0, %%cr3; movl %%cr0, %%eax; orl $0x80040000, %%eax; movl %%eax, %%cr0" /* PG, AM */
        :
        : "r"(dir)
        : "eax", "memory");
    EXPECT(runs(f_read) && runs(f_write));
    map(0x63, 0x63, 5);
    EXPECT(runs(f_read));
    EXPECT(faults(f_write, 14, 7));
    map(0x63, 0x63, 3);
    EXPECT(faults(f_read, 14, 5));
    map(0x63, 0x63, 0);
    EXPECT(faults(f_read, 14, 4));
    map(0x63, 0x64, 7); /* a monitor's window */
    *data16(0x4000) = 2;
    EXPECT(runs(f_read));
    EXPECT_EQ(*data16(0x3000), 2);
    map(0x63, 0x63, 7);
    EXPECT(*data16(0x3000) != 2);
    EXPECT(runs(f_odd));
    m16_eflags |= AC;
    if (qemu)
        return;
    EXPECT(faults(f_odd, 17, 0));
    EXPECT(m16_event.eflags & AC);
}

int guest_main(void)
{
    qemu = option("qemu", 0);
    m16_setup();
    set_iopl(0);
    EXPECT(runs(f_nothing));
    EXPECT_EQ(m16_event.es, M16_DATA >> 4);
    EXPECT_EQ(m16_event.eflags & ~0x8d5u, VM | (qemu ? 0 : RF) | 2);
    check_undefined();
    check_privileged();
    check_iopl();
    check_traps();
    check_segments();
    check_ports();
    check_x87();
    check_pages();
    return 0;
}
