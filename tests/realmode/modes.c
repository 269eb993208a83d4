/* modes.c - the CPU below the BIOS: A20, exceptions in real mode, unreal mode, 16-bit protected mode as the
 * 286 had it. The values are those of Intel's manual (SDM), volume 3. Emulators without segment limits fail
 * the checks that have "limit" in their names. */
#include "suite.h"

#define SMALL_CODE(text)                                                                                     \
    __asm__(".code16\n" text                                                                                 \
            "\n.code16gcc") /* the compiler goes on in the mode that its own code is written for */
extern uint8_t trap_stubs[];
extern uint64_t idt16[];

/* --- A20: at FFFF:0610 lies the byte 100600h, or, without A20, the byte 600h --- */
static bool wraps(void)
{
    uint8_t old = peek8(0, 0x600);
    poke8(0, 0x600, 0x11);
    poke8(0xffff, 0x610, 0x22);
    bool same = peek8(0, 0x600) == 0x22;
    poke8(0, 0x600, old);
    return same;
}

static void keyboard_command(uint8_t command)
{
    for (unsigned i = 0; i < 60000 && (inb(0x64) & 2); i++) {
    }
    outb(0x64, command);
    for (unsigned i = 0; i < 60000 && (inb(0x64) & 2); i++) {
    }
}

static void keyboard_a20(bool on)
{
    keyboard_command(0xd1);
    outb(0x60, on ? 0xdf : 0xdd);
    keyboard_command(
        0xff); /* pulses nothing; when its input buffer is empty again, the gate is as it was told */
}

/* Port 92h and the keyboard controller each open the gate (on a PIIX3 it is open when either says so): each
 * is tried while the other is off. */
void check_a20(void)
{
    struct regs r;
    for (unsigned i = 0; i < 2; i++) {
        keyboard_a20(false);
        r = regs_of(0x2401);
        bios(0x15, &r);
        EXPECT(!(r.eflags & FLAG_CF) && high(r.eax) == 0);
        EXPECT(!wraps());
        r = regs_of(0x2402);
        bios(0x15, &r);
        EXPECT_EQ(r.eax & 0xff, 1);
        r = regs_of(0x2400);
        bios(0x15, &r);
        EXPECT(!(r.eflags & FLAG_CF) && high(r.eax) == 0);
        EXPECT(wraps());
        r = regs_of(0x2402);
        bios(0x15, &r);
        EXPECT_EQ(r.eax & 0xff, 0);
        outb(0x92, (uint8_t)((inb(0x92) & ~1) | 2)); /* without its reset bit */
        EXPECT(!wraps());
        outb(0x92, (uint8_t)(inb(0x92) & ~3));
        EXPECT(wraps());
        keyboard_a20(true);
        EXPECT(!wraps());
        keyboard_a20(false);
        EXPECT(wraps());
    }
    keyboard_a20(true);
    r = regs_of(0x2401);
    bios(0x15, &r);
    EXPECT(!wraps());
}

/* --- exceptions in real mode --- */
void traps_real(bool on)
{
    static uint32_t saved[16];
    __asm__ volatile("cli"); /* vectors 12 and 13 are IRQ 4 and 5, too */
    for (uint16_t v = 0; v < 16; v++) {
        uint32_t stub = (uint32_t)SUITE_SEGMENT << 16 | (uint32_t)(trap_stubs + 8 * v);
        if (v == 2 || (v > 6 && v < 12) || v > 13)
            continue;
        if (on)
            saved[v] = peek32(0, (uint16_t)(4 * v));
        for (uint16_t i = 0; i < 4; i++)
            poke8(0, (uint16_t)(4 * v + i), (uint8_t)((on ? stub : saved[v]) >> 8 * i));
    }
    if (!on)
        __asm__ volatile("sti");
}

/* Each of these raises an exception at or behind the instruction that the label _at marks. */
void div_zero(void), div_at(void), aam_zero(void), aam_at(void), break_point(void), break_at(void),
    overflow(void), overflow_at(void), bound_out(void), bound_at(void), undefined(void), undefined_at(void),
    too_long(void), too_long_at(void), single_step(void), step_at(void), word_over_limit(void), word_at(void),
    jump_over_limit(void), jump_at(void), above_limit(void), above_at(void);
SMALL_CODE("div_zero: xorw %cx, %cx\ndiv_at: divw %cx\nretl");
SMALL_CODE("aam_zero:\naam_at: aam $0\nretl");
SMALL_CODE("break_point: int3\nbreak_at: retl");
SMALL_CODE("overflow: movb $0x7f, %al\nincb %al\ninto\noverflow_at: retl");
SMALL_CODE("bound_range: .word 5, 7\nbound_out: movw $8, %ax\nbound_at: bound %ax, bound_range\nretl");
SMALL_CODE("undefined:\nundefined_at: ud2\nretl");
SMALL_CODE("too_long:\ntoo_long_at: .fill 15, 1, 0x66\nnop\nretl");
SMALL_CODE("single_step: pushfw\npopw %ax\norb $1, %ah\npushw %ax\npopfw\nincw %ax\nstep_at: incw %ax\nretl");
SMALL_CODE("word_over_limit: movl $0xffff, %ebx\nword_at: movw %es:(%ebx), %ax\nretl");
SMALL_CODE("jump_over_limit: movl $0x10000, %ebx\njump_at: jmpl *%ebx\nretl");
SMALL_CODE("above_limit: movl $0x10000, %ebx\nabove_at: movb %fs:(%ebx), %al\nretl");

/* fn raises vector, and the first word that is pushed is that: IP, or a 286 gate's error code. */
static void expect_raised(const char *name, int line, void (*fn)(void), int vector, uint32_t word)
{
    trap_frame[0] = 0x5555;
    checks++;
    int got = try_call(fn);
    if (got != vector || trap_frame[0] != word) {
        expect_failed(name, __FILE__, line, (uint32_t)got << 16 | trap_frame[0],
                      (uint32_t)vector << 16 | word);
    }
}
#define EXPECT_TRAP(fn, vector, at)     expect_raised(#fn, __LINE__, fn, vector, (uint32_t)(at)&0xffff)
#define EXPECT_FAULT(fn, vector, error) expect_raised(#fn, __LINE__, fn, vector, error)

/* A vector table elsewhere, and a limit that cuts it. */
static void check_moved_vectors(void)
{
    static struct {
        uint16_t segment_offset[2 * 0x40];
    } table;
    static struct __attribute__((packed)) {
        uint16_t limit;
        uint32_t base;
    } moved = {4 * 0x40 - 1, 0}, usual = {0x3ff, 0};
    static uint8_t code[] = {0xcd, 0x21, 0x66, 0xc3}; /* int 21h; retl */
    for (unsigned i = 0; i < 0x40; i++) {
        table.segment_offset[2 * i] = (uint16_t)(uint32_t)(trap_stubs + 8 * (i == 0x21 ? 7 : i & 15));
        table.segment_offset[2 * i + 1] = SUITE_SEGMENT;
    }
    moved.base = (uint32_t)&table + SUITE_BASE;
    __asm__ volatile("lidtl %0" : : "m"(moved));
    EXPECT_EQ(try_call((void (*)(void))(uint32_t)code), 7); /* the stub of vector 21h */
    code[1] = 0x40;
    EXPECT_EQ(try_call((void (*)(void))(uint32_t)code), 13);
    EXPECT_EQ(trap_frame[0], (uint16_t)(uint32_t)code);
    __asm__ volatile("lidtl %0" : : "m"(usual));
}

static void nothing(void)
{
}

void check_exceptions(void)
{
    pm16_call(nothing); /* SeaBIOS starts boot sectors with limits of 4 GiB: back to 64 KiB */
    traps_real(true);
    EXPECT_TRAP(div_zero, 0, div_at);
    EXPECT_EQ(trap_frame[1], SUITE_SEGMENT);
    EXPECT_EQ(trap_frame[2] & FLAG_IF, 0);
    EXPECT_TRAP(aam_zero, 0, aam_at);
    EXPECT_TRAP(single_step, 1, step_at);
    EXPECT_EQ(trap_frame[2] & 0x100, 0x100);
    EXPECT_TRAP(break_point, 3, break_at);
    EXPECT_TRAP(overflow, 4, overflow_at);
    EXPECT_TRAP(bound_out, 5, bound_at);
    EXPECT_TRAP(undefined, 6, undefined_at);
    EXPECT_TRAP(too_long, 13, too_long_at);
    EXPECT_TRAP(word_over_limit, 13, word_at);
    poke8(0x2000, 0, 0x66), poke8(0x2000, 1, 0xc3); /* who jumps all the same comes back */
    EXPECT_TRAP(jump_over_limit, 13, jump_at);
    check_moved_vectors();
    traps_real(false);
}

/* --- unreal mode --- */
static uint32_t far_peek(uint32_t segment, uint32_t offset)
{
    uint32_t v;
    __asm__ volatile("movw %w1, %%fs\n\tmovl %%fs:(%2), %0" : "=r"(v) : "r"(segment), "r"(offset) : "memory");
    return v;
}
static void far_poke(uint32_t segment, uint32_t offset, uint32_t v)
{
    __asm__ volatile("movw %w1, %%fs\n\tmovl %0, %%fs:(%2)" : : "r"(v), "r"(segment), "r"(offset) : "memory");
}

void check_unreal(void)
{
    static uint32_t words[4] = {0x11223344, 0x55667788, 0x99aabbcc, 0xddeeff00}, back[4];
    EXPECT(block_move((uint32_t)words + SUITE_BASE, 0x180000, 8));
    pm16_call(nothing); /* limits are 64 KiB */
    traps_real(true);
    EXPECT_TRAP(above_limit, 13, above_at);
    unreal_enter();
    EXPECT_EQ(try_call(above_limit), -1);
    for (uint32_t i = 0; i < 4; i++) {
        EXPECT_EQ(far_peek(0, 0x180000 + 4 * i), words[i]);
        EXPECT_EQ(far_peek(0x2000, 0x160000 + 4 * i), words[i]); /* a new base, the old limit */
    }
    far_poke(0xf000, 0x90008, 0x12345678);
    pm16_call(nothing);
    EXPECT_TRAP(above_limit, 13, above_at);
    traps_real(false);
    EXPECT(block_move(0x180000, (uint32_t)back + SUITE_BASE, 8));
    EXPECT_EQ(back[2], 0x12345678);
    EXPECT_EQ(back[3], words[3]);
}

/* --- 16-bit protected mode --- */
static uint64_t descriptor(uint32_t base, uint32_t limit, uint8_t type)
{
    return (uint64_t)type << 40 | (uint64_t)(base & 0xffffff) << 16 | limit;
}

void use_null(void), load_test(void), load_outside(void), read_first(void), read_last(void),
    read_behind(void), read_word_last(void), write_first(void), write_code(void), call_gate(void),
    gate_target(void);
SMALL_CODE("use_null: xorw %ax, %ax\nmovw %ax, %fs\nmovb %fs:0, %al\nretl");
SMALL_CODE("load_test: movw $0x38, %ax\nmovw %ax, %fs\nretl");
SMALL_CODE("load_outside: movw $0x200, %ax\nmovw %ax, %fs\nretl");
SMALL_CODE("read_first: movw $0x38, %ax\nmovw %ax, %fs\nmovb %fs:0, %al\nretl");
SMALL_CODE("read_last: movw $0x38, %ax\nmovw %ax, %fs\nmovb %fs:0xfff, %al\nretl");
SMALL_CODE("read_behind: movw $0x38, %ax\nmovw %ax, %fs\nmovb %fs:0x1000, %al\nretl");
SMALL_CODE("read_word_last: movw $0x38, %ax\nmovw %ax, %fs\nmovw %fs:0xfff, %ax\nretl");
SMALL_CODE("write_first: movw $0x38, %ax\nmovw %ax, %fs\nmovb %fs:0, %al\nmovb %al, %fs:0\nretl");
SMALL_CODE("write_code: movb %al, %cs:written\nretl\nwritten: .byte 0");
SMALL_CODE("call_gate: pushw $0x1234\nlcall $0x40, $0\nretl"); /* the callee takes the parameter off */
SMALL_CODE("gate_target: movw %sp, %bx\nmovw %ss:4(%bx), %ax\nmovw %ax, gate_parameter\nlretw $2");
static volatile uint16_t gate_parameter __asm__("gate_parameter") __attribute__((used));

static void check_segments(void)
{
    enum { DATA = 0x93, READ_ONLY = 0x91, EXPAND_DOWN = 0x97, ABSENT = 0x13 };
    EXPECT_FAULT(use_null, 13, 0);
    EXPECT_FAULT(load_outside, 13, 0x200);
    EXPECT_FAULT(write_code, 13, 0);
    gdt[SEL_TEST / 8] = descriptor(SUITE_BASE, 0xfff, ABSENT);
    EXPECT_FAULT(load_test, 11, SEL_TEST);
    gdt[SEL_TEST / 8] = descriptor(SUITE_BASE, 0xfff, READ_ONLY);
    EXPECT_EQ(try_call(read_first), -1);
    EXPECT_FAULT(write_first, 13, 0);
    gdt[SEL_TEST / 8] = descriptor(SUITE_BASE, 0xfff, DATA);
    EXPECT_EQ(try_call(write_first), -1);
    EXPECT_EQ(try_call(read_last), -1);
    EXPECT_FAULT(read_behind, 13, 0);    /* limit */
    EXPECT_FAULT(read_word_last, 13, 0); /* limit */
    gdt[SEL_TEST / 8] = descriptor(SUITE_BASE, 0xfff, EXPAND_DOWN);
    EXPECT_EQ(try_call(read_behind), -1);
    EXPECT_FAULT(read_first, 13, 0); /* limit */
    EXPECT_FAULT(read_last, 13, 0);  /* limit */
}

static void check_queries(void)
{
    uint32_t limit = 0, rights = 0;
    uint8_t ok, writable, code_writable;
    __asm__ volatile("lsll %2, %0\n\tsetz %1" : "+r"(limit), "=q"(ok) : "r"((uint32_t)SEL_DATA16));
    EXPECT(ok && limit == 0xffff);
    __asm__ volatile("larl %2, %0\n\tsetz %1" : "+r"(rights), "=q"(ok) : "r"((uint32_t)SEL_DATA16));
    EXPECT(ok && (rights & 0xf000) == 0x9000);
    __asm__ volatile("verw %w1\n\tsetz %0" : "=q"(writable) : "r"((uint32_t)SEL_DATA16));
    __asm__ volatile("verw %w1\n\tsetz %0" : "=q"(code_writable) : "r"((uint32_t)SEL_CODE16));
    EXPECT(writable && !code_writable);
    __asm__ volatile("lsll %2, %0\n\tsetz %1" : "+r"(limit), "=q"(ok) : "r"((uint32_t)0x200));
    EXPECT(!ok);
}

static void pm16_checks(void)
{
    uint16_t msw, again;
    __asm__ volatile("smsw %0" : "=r"(msw));
    __asm__ volatile("lmsw %w1\n\tsmsw %0" : "=r"(again) : "r"((uint32_t)(msw & ~1u)));
    EXPECT(msw & 1);
    EXPECT(again & 1); /* LMSW does not leave protected mode */
    check_segments();
    check_queries();
    EXPECT_EQ(try_call(break_point), 3);
    EXPECT_EQ(trap_frame[0], (uint16_t)(uint32_t)break_at);
    EXPECT_EQ(trap_frame[1], SEL_CODE16);
    EXPECT_TRAP(div_zero, 0, div_at);
    gdt[SEL_GATE / 8] = (uint64_t)0x84 << 40 | 1ull << 32 | (uint64_t)SEL_CODE16 << 16 |
                        (uint16_t)(uint32_t)gate_target; /* a 286 call gate, 1 word */
    EXPECT_EQ(try_call(call_gate), -1);
    EXPECT_EQ(gate_parameter, 0x1234);
}

void check_pm16(void)
{
    for (uint32_t v = 0; v < 16; v++) /* 286 interrupt gates */
        idt16[v] =
            (uint64_t)0x86 << 40 | (uint64_t)SEL_CODE16 << 16 | (uint16_t)(uint32_t)(trap_stubs + 8 * v);
    for (unsigned i = 0; i < 3; i++) {
        pm16_call(pm16_checks);
        uint16_t msw;
        __asm__ volatile("smsw %0" : "=r"(msw));
        EXPECT_EQ(msw & 1, 0);
    }
    struct regs r = regs_of(0x0300); /* the BIOS goes on as before */
    bios(0x10, &r);
    uint32_t first = ticks_now();
    while (ticks_now() == first) {
    }
    EXPECT_EQ(ticks_now() - first, 1);
}
