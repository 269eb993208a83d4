/* stack.c: chains of frame pointers as compilers make them, and as nobody should. */
#include "observe/stack.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define BASE  0xc0100000u /* of the memory that there is */
#define BYTES 0x20000u

static uint8_t memory[BYTES];
static uint32_t base; /* where it lies */
static unsigned peeks;
static struct context *c;
static struct guest_state g;
static struct sample s;

static size_t peek(const void *ctx, uint32_t cr3, uint32_t lin_addr, void *to, size_t bytes)
{
    (void)ctx;
    (void)cr3;
    peeks++;
    for (size_t i = 0; i < bytes; i++) {
        const uint32_t at = lin_addr + (uint32_t)i - base;
        if (at >= BYTES)
            return i;
        ((uint8_t *)to)[i] = memory[at];
    }
    return bytes;
}

static void put(uint32_t lin_addr, uint32_t value)
{
    memcpy(&memory[lin_addr - base], &value, sizeof value);
}

static void put_link(uint32_t ebp, uint32_t caller_ebp, uint32_t eip)
{
    put(ebp, caller_ebp);
    put(ebp + 4, eip);
}

static void begin(void)
{
    c = calloc(1, sizeof *c);
    memset(memory, 0, sizeof memory);
    base = BASE;
    peeks = 0;
    g = (struct guest_state){.cr3 = 0x1000};
    g.seg[SEG_SS] = (struct segment){.access = SEG_ACC_P | SEG_ACC_DB, .limit = UINT32_MAX};
    g.slot[IR_ESP] = BASE + 0x1000;
    g.tr.base = BASE + 0x100; /* ESP0 is 0 there */
    context_begin(c, &g);
}

static void end(void)
{
    free(c);
}

TestSuite(stack, .init = begin, .fini = end);

static const uint8_t code[STACK_CODE_BYTES] = {0x90, 0x90, 0x90};

static void follow_code(const uint8_t *bytes)
{
    const struct stack_memory m = {NULL, peek};
    s = (struct sample){.frames = 1, .cr3 = g.cr3, .cpl = g.cpl};
    s.frame[0] = (struct sample_frame){g.eip, FRAME_INSN};
    stack_follow(&m, c, &g, bytes, STACK_CODE_BYTES, &s);
    cr_assert_leq(s.frames, SAMPLE_FRAMES_MAX);
    cr_assert_leq(peeks, 2 * SAMPLE_FRAMES_MAX + 2 * CONTEXT_NEST_MAX);
}

static void follow(uint32_t ebp)
{
    g.slot[IR_EBP] = ebp;
    follow_code(code);
}

static void expect_frame(unsigned i, uint32_t lin_addr, unsigned flags)
{
    cr_assert_lt(i, s.frames);
    cr_assert_eq(s.frame[i].lin_addr, lin_addr);
    cr_assert_eq(s.frame[i].flags, flags);
}

Test(stack, a_plain_chain)
{
    put_link(BASE + 0x1010, BASE + 0x1040, 0x111);
    put_link(BASE + 0x1040, BASE + 0x1100, 0x222);
    put_link(BASE + 0x1100, 0, 0x333);
    follow(BASE + 0x1010);
    cr_assert_eq(s.frames, 4);
    expect_frame(1, 0x111, 0);
    expect_frame(3, 0x333, 0);
    cr_assert(s.flags & SAMPLE_WHOLE);
}

Test(stack, loops_end)
{
    put_link(BASE + 0x1010, BASE + 0x1010, 0x111); /* to itself */
    follow(BASE + 0x1010);
    cr_assert_eq(s.frames, 2);
    cr_assert_not(s.flags & SAMPLE_WHOLE);
    put_link(BASE + 0x1010, BASE + 0x1040, 0x111);
    put_link(BASE + 0x1040, BASE + 0x1010, 0x222); /* back */
    follow(BASE + 0x1010);
    cr_assert_eq(s.frames, 3);
    put_link(BASE + 0x1040, BASE + 0x1044, 0x222); /* into itself */
    follow(BASE + 0x1010);
    cr_assert_eq(s.frames, 3);
}

Test(stack, outside_of_the_stack)
{
    follow(BASE + 0xff8); /* below ESP */
    cr_assert_eq(s.frames, 1);
    follow(0x12345678); /* not mapped */
    cr_assert_eq(s.frames, 1);
    put_link(BASE + 0x1000 + STACK_KERNEL_MAX - 8, 0, 0x111);
    follow(BASE + 0x1000 + (uint32_t)STACK_KERNEL_MAX - 8); /* the last that is near enough */
    cr_assert_eq(s.frames, 2);
    put_link(BASE + 0x1000 + (uint32_t)STACK_KERNEL_MAX - 4, 0, 0x111);
    follow(BASE + 0x1000 + (uint32_t)STACK_KERNEL_MAX - 4);
    cr_assert_eq(s.frames, 1);
    g.seg[SEG_SS].limit = BASE + 0x1012; /* the link's last byte is behind the limit */
    put_link(BASE + 0x100c, 0, 0x111);
    follow(BASE + 0x100c);
    cr_assert_eq(s.frames, 1);
    g.seg[SEG_SS].limit++;
    follow(BASE + 0x100c);
    cr_assert_eq(s.frames, 2);
}

/* The stack's end is the end of the address space. */
Test(stack, the_last_bytes_of_4_gib)
{
    base = 0u - BYTES;
    g.slot[IR_ESP] = 0xffffff00u;
    put_link(0xffffff10u, 0xfffffff8u, 0x111);
    put_link(0xfffffff8u, 0x20, 0x222); /* would go on below */
    follow(0xffffff10u);
    cr_assert_eq(s.frames, 3);
    follow(0xfffffffcu); /* crosses the end */
    cr_assert_eq(s.frames, 1);
    follow(0xffffffffu);
    cr_assert_eq(s.frames, 1);
    g.slot[IR_ESP] = 0xffffffffu;
    follow(0xffffffffu);
    cr_assert_eq(s.frames, 1);
}

Test(stack, deeper_than_a_sample)
{
    g.slot[IR_ESP] = BASE;
    for (unsigned i = 0; i < 1000; i++)
        put_link(BASE + 8 * i, BASE + 8 * (i + 1), 0x1000 + i);
    follow(BASE);
    cr_assert_eq(s.frames, SAMPLE_FRAMES_MAX);
    cr_assert(s.flags & SAMPLE_FULL);
    cr_assert_not(s.flags & SAMPLE_WHOLE);
}

Test(stack, functions_without_a_frame_yet)
{
    static const uint8_t push_ebp[STACK_CODE_BYTES] = {0x55, 0x89, 0xe5},
                         mov[STACK_CODE_BYTES] = {0x89, 0xe5}, ret[STACK_CODE_BYTES] = {0xc3},
                         traced[STACK_CODE_BYTES] = {0x3e, 0x8d, 0x74, 0x26, 0x00, 0x55};
    put(BASE + 0x1000, 0xaaa);
    put(BASE + 0x1004, 0xbbb);
    follow_code(push_ebp);
    expect_frame(1, 0xaaa, 0);
    follow_code(mov);
    expect_frame(1, 0xbbb, 0);
    follow_code(ret);
    expect_frame(1, 0xaaa, 0);
    follow_code(traced);
    expect_frame(1, 0xaaa, 0);
    g.slot[IR_ESP] = 0x10; /* not mapped */
    follow_code(ret);
    cr_assert_eq(s.frames, 1);
}

static void enter(unsigned from_cpl, uint32_t esp, uint32_t from_eip)
{
    const struct vcpu_event e = {
        .kind = VCPU_EVENT_INTERRUPT, .vector = 0x20, .from_cpl = (uint8_t)from_cpl, .from_eip = from_eip};
    g.cpl = 0;
    g.slot[IR_ESP] = esp;
    context_event(c, &g, &e);
}

/* User code, a system call, an interrupt in it: one chain each. */
Test(stack, through_interrupt_frames)
{
    put(g.tr.base + 4, BASE + 0x3000); /* ESP0 */
    put_link(BASE + 0x8000, 0, 0x801); /* user code's */
    g.slot[IR_EBP] = BASE + 0x8000;
    enter(3, BASE + 0x2fec, 0x800);
    put_link(BASE + 0x2f80, BASE + 0x8000, 0x901); /* the kernel's first function has saved user code's EBP */
    g.slot[IR_EBP] = BASE + 0x2f80;
    enter(0, BASE + 0x2f00, 0x900);
    put_link(BASE + 0x2e00, BASE + 0x2f80, 0xa01);
    g.slot[IR_ESP] = BASE + 0x2dc0;
    g.eip = 0xa00;
    follow(BASE + 0x2e00);
    cr_assert_eq(s.frames, 6);
    expect_frame(1, 0xa01, 0);
    expect_frame(2, 0x900, FRAME_INSN);
    expect_frame(3, 0x901, 0);
    expect_frame(4, 0x800, FRAME_INSN | FRAME_USER);
    expect_frame(5, 0x801, FRAME_USER);
    cr_assert(s.flags & SAMPLE_WHOLE);
}

/* ESP0 bounds the kernel's stack: what lies above it is somebody else's. */
Test(stack, bounded_by_esp0)
{
    put(g.tr.base + 4, BASE + 0x3000);
    enter(3, BASE + 0x2fec, 0x800);
    g.slot[IR_ESP] = BASE + 0x2f00;
    put_link(BASE + 0x2f10, BASE + 0x3000, 0x901);
    put_link(BASE + 0x3000, 0, 0x902);
    follow(BASE + 0x2f10);
    cr_assert_eq(s.frames, 3);
    expect_frame(1, 0x901, 0);
    expect_frame(2, 0x800, FRAME_INSN | FRAME_USER);
    cr_assert_not(s.flags & SAMPLE_WHOLE);
}

/* Linux on i386 marks saved registers: their address, bit 31 clear. */
Test(stack, linux_mark)
{
    enter(3, BASE + 0x2fec, 0x800);
    g.slot[IR_ESP] = BASE + 0x2f00;
    put_link(BASE + 0x2f10, (BASE + 0x2f80) & 0x7fffffff, 0x901);
    follow(BASE + 0x2f10);
    cr_assert_eq(s.frames, 3);
    cr_assert(s.flags & SAMPLE_WHOLE);
}

/* The handler of an interrupt has a stack of its own, below or above that of the task. */
Test(stack, linux_mark_on_another_stack)
{
    for (unsigned i = 0; i < 2; i++) {
        const uint32_t own = BASE + (i ? 0x1b000 : 0x1000);
        context_begin(c, &g);
        put_link(BASE + 0xdf40, 0, 0x801); /* what was interrupted */
        g.slot[IR_EBP] = BASE + 0xdf40;
        enter(0, BASE + 0xdf00, 0x800);
        g.slot[IR_ESP] = own;
        put_link(own + 0x10, (BASE + 0xdec0) & 0x7fffffff, 0x901);
        follow(own + 0x10);
        cr_assert_eq(s.frames, 4);
        expect_frame(3, 0x801, 0);
        cr_assert(s.flags & SAMPLE_WHOLE);
    }
}

/* The handler begins on the task's stack and goes on with its own: back once, and no more. */
Test(stack, a_handler_that_changes_stacks)
{
    put_link(BASE + 0xdf40, 0, 0x801); /* what was interrupted */
    g.slot[IR_EBP] = BASE + 0xdf40;
    enter(0, BASE + 0xdf00, 0x800);
    g.slot[IR_ESP] = BASE + 0x1b000;
    put_link(BASE + 0x1b010, BASE + 0xde00, 0x901);
    put_link(BASE + 0xde00, BASE + 0xdf40, 0x902);
    follow(BASE + 0x1b010);
    cr_assert_eq(s.frames, 5);
    expect_frame(2, 0x902, 0);
    expect_frame(3, 0x800, FRAME_INSN);
    cr_assert(s.flags & SAMPLE_WHOLE);
    put_link(BASE + 0xde00, BASE + 0xde00, 0x902); /* a loop there */
    follow(BASE + 0x1b010);
    cr_assert_eq(s.frames, 5);
    cr_assert_not(s.flags & SAMPLE_WHOLE);
}

Test(stack, no_16_bit_stacks)
{
    g.seg[SEG_SS].access = SEG_ACC_P;
    put_link(BASE + 0x1010, 0, 0x111);
    follow(BASE + 0x1010);
    cr_assert_eq(s.frames, 1);
}

/* Whatever registers, memory and entries hold, it ends soon and stays within bounds. */
Test(stack, anything)
{
    uint64_t random = 1;
    for (unsigned round = 0; round < 20000; round++) {
        for (unsigned i = 0; i < 8; i++) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
            put(BASE + (random >> 40) % (BYTES - 4), BASE + (uint32_t)(random >> 33) % BYTES);
        }
        if (round % 50 == 0)
            context_begin(c, &g);
        enter(random >> 62 ? 0 : 3, BASE + (uint32_t)(random >> 20) % BYTES, 0x800);
        g.cpl = random >> 61 & 1 ? 3 : 0;
        peeks = 0;
        follow(BASE + (uint32_t)(random >> 30) % BYTES);
    }
}
