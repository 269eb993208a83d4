/* shadow.c: exact stacks of a guest that is played here, one instruction after the other. */
#include "observe/shadow.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define BASE  0x10000u
#define BYTES 0x40000u

static uint8_t memory[BYTES];
static struct shadow *k;
static struct guest_state g;
static uint64_t tick;
static struct sample s;

static size_t peek(const void *ctx, uint32_t cr3, uint32_t lin_addr, void *to, size_t bytes)
{
    (void)ctx;
    (void)cr3;
    if (lin_addr < BASE || lin_addr - BASE > BYTES - bytes)
        return 0;
    memcpy(to, memory + (lin_addr - BASE), bytes);
    return bytes;
}

static const struct stack_memory m = {NULL, peek};

static void begin(void)
{
    memset(memory, 0x90, sizeof memory);
    k = shadow_create(&m);
    tick = 0;
    g = (struct guest_state){.eip = 0x11000, .cr3 = 0x5000};
    g.seg[SEG_CS] = g.seg[SEG_SS] = (struct segment){.access = SEG_ACC_P | SEG_ACC_DB, .limit = UINT32_MAX};
    g.slot[IR_ESP] = 0x30000;
}

static void end(void)
{
    shadow_destroy(k);
}

TestSuite(shadow, .init = begin, .fini = end);

/* An instruction of these bytes is here; it retires, and sets ESP and EIP. */
static void insn(const char *bytes, size_t n, uint32_t esp, uint32_t eip)
{
    memcpy(memory + (g.eip - BASE), bytes, n);
    shadow_step(k, &g, tick);
    g.slot[IR_ESP] = esp;
    g.eip = eip;
    tick++;
}

static void put(uint32_t at, uint32_t value)
{
    memcpy(memory + (at - BASE), &value, sizeof value);
}

static void call(uint32_t to)
{
    const uint32_t esp = g.slot[IR_ESP] - 4, back = g.eip + 5;
    insn("\xe8", 1, esp, to);
    put(esp, back);
}

static void ret(uint32_t to)
{
    insn("\xc3", 1, g.slot[IR_ESP] + 4, to);
}

static void move_esp(uint32_t esp)
{
    insn("\x89\xc4", 2, esp, g.eip + 2);
}

static void enter(unsigned from_cpl, uint32_t esp, uint32_t eip)
{
    const struct vcpu_event e = {.kind = VCPU_EVENT_INTERRUPT,
                                 .vector = 0x20,
                                 .tick = tick,
                                 .from_cpl = (uint8_t)from_cpl,
                                 .from_eip = g.eip};
    g.cpl = 0;
    g.slot[IR_ESP] = esp;
    g.eip = eip;
    shadow_event(k, &g, &e);
}

static void iret(unsigned cpl, uint32_t esp, uint32_t eip)
{
    insn("\xcf", 1, esp, eip);
    g.cpl = (uint8_t)cpl;
}

/* The callers, innermost first; 0 ends the list. */
static void expect(const uint32_t *want)
{
    unsigned n = 0;
    s = (struct sample){.frames = 1};
    shadow_follow(k, &g, tick, &s);
    for (; want[n]; n++) {
        cr_assert_lt(n + 1, s.frames, "%u frames", s.frames);
        cr_assert_eq(s.frame[n + 1].lin_addr, want[n], "frame %u: %#x", n + 1, s.frame[n + 1].lin_addr);
    }
    cr_assert_eq(s.frames, n + 1);
}
#define EXPECT(...) expect((const uint32_t[]){__VA_ARGS__, 0})

Test(shadow, calls_and_returns)
{
    call(0x12000);
    call(0x13000);
    EXPECT(0x12005, 0x11005);
    ret(0x12005);
    EXPECT(0x11005);
    insn("\x50", 1, g.slot[IR_ESP] - 4, g.eip + 1); /* a value where a return address was */
    EXPECT(0x11005);
    call(0x13000);
    EXPECT(0x1200b, 0x11005);
}

/* CALL that faults: no instruction has retired when the exception is told. */
Test(shadow, a_call_that_faults)
{
    call(0x12000);
    memcpy(memory + (g.eip - BASE), "\xe8", 1);
    shadow_step(k, &g, tick);
    enter(0, g.slot[IR_ESP] - 12, 0x18000);
    EXPECT(0x12000, 0x11005);
}

/* The interrupt comes directly behind a CALL. */
Test(shadow, an_interrupt_behind_a_call)
{
    call(0x12000);
    call(0x13000);
    enter(0, g.slot[IR_ESP] - 12, 0x18000);
    EXPECT(0x13000, 0x12005, 0x11005);
    call(0x19000);
    EXPECT(0x18005, 0x13000, 0x12005, 0x11005);
    ret(0x18005);
    iret(0, g.slot[IR_ESP] + 12, 0x13000);
    EXPECT(0x12005, 0x11005);
}

/* From user code, and back: user code's callers are found again. */
Test(shadow, through_a_system_call)
{
    g.cpl = 3;
    call(0x12000);
    enter(3, 0x28fec, 0x18000);
    call(0x19000);
    EXPECT(0x18005, 0x12000, 0x11005);
    ret(0x18005);
    iret(3, 0x2fffc, 0x12000);
    EXPECT(0x11005);
    ret(0x11005);
    call(0x14000);
    enter(3, 0x28fec, 0x18000);
    EXPECT(0x14000, 0x1100a);
}

/* The kernel's scheduler: two stacks, each left and taken up again. */
Test(shadow, switches_of_stacks)
{
    call(0x12000); /* task one */
    const uint32_t one = g.slot[IR_ESP];
    move_esp(0x24000); /* task two begins */
    call(0x13000);
    call(0x14000);
    const uint32_t two = g.slot[IR_ESP];
    move_esp(one);
    EXPECT(0x11005);
    move_esp(two);
    s = (struct sample){.frames = 1};
    shadow_follow(k, &g, tick, &s);
    cr_assert_eq(s.frames, 3); /* its own two; task one has run since, and is no caller */
    cr_assert_eq(s.frame[1].lin_addr, 0x13005);
}

/* Linux enters on a small stack, and goes on with a copy of the frame on the task's. */
Test(shadow, a_frame_that_moves)
{
    g.cpl = 3;
    call(0x12000);
    enter(3, 0x20fec, 0x18000);
    move_esp(0x28fec);
    call(0x19000);
    cr_assert_eq(g.eip, 0x19000);
    EXPECT(0x18007, 0x12000);
    ret(0x18007);
    move_esp(0x20fec); /* back, and out */
    iret(3, 0x2fffc, 0x12000);
    call(0x14000);
    enter(3, 0x20fec, 0x18000); /* from somewhere else now */
    move_esp(0x28fec);
    call(0x19000);
    EXPECT(0x18007, 0x14000);
}

/* Deep and without returns; then ESP anywhere: bounded, and nothing breaks. */
Test(shadow, anything)
{
    uint64_t random = 1;
    for (unsigned i = 0; i < 200000; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        g.eip = BASE + 0x1000 + (uint32_t)(random >> 40) % 0x8000;
        if (random >> 61 == 0)
            enter(random >> 60 & 1 ? 3 : 0, BASE + (uint32_t)(random >> 20) % BYTES, g.eip);
        else if (random >> 61 == 1)
            move_esp((uint32_t)(random >> 20));
        else if (g.slot[IR_ESP] > BASE + 8 && g.slot[IR_ESP] < BASE + BYTES)
            call(g.eip);
        else
            move_esp(BASE + BYTES - 0x100);
        g.cpl = random >> 59 & 3 ? g.cpl : 3;
        s = (struct sample){.frames = 1};
        shadow_follow(k, &g, tick, &s);
        cr_assert_leq(s.frames, SAMPLE_FRAMES_MAX);
    }
}
