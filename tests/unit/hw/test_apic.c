/* test_apic.c - the local APIC, register by register (SDM 3A chapter 10). */
#include "hw/apic.h"
#include "hw/board.h"
#include "hw_test.h"

enum {
    ID = 0x20,
    VERSION = 0x30,
    TPR = 0x80,
    APR = 0x90,
    PPR = 0xA0,
    EOI = 0xB0,
    LDR = 0xD0,
    DFR = 0xE0,
    SVR = 0xF0,
    ISR = 0x100,
    TMR = 0x180,
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
};

static struct apic s;
static uint64_t now;

static uint32_t rd(uint32_t reg)
{
    return apic_class.read(&s, reg, 4, now);
}

static void wr(uint32_t reg, uint32_t value)
{
    apic_class.write(&s, reg, 4, value, now);
}

static void go_to(uint64_t ns)
{
    chip_run_to(&apic_class, &s, ns);
    now = ns;
}

/* Switched on, as an operating system has it; nothing in the LVT. */
static void start(void)
{
    now = 0;
    apic_firmware_class.reset(&s, 0);
    wr(SVR, 0x1FF);
}

static bool send(uint8_t mode, uint8_t vector, bool level)
{
    struct apic_message m = {.mode = mode, .vector = vector, .dest = 0, .level = level};
    return apic_send(&s, 1, 1, &m);
}

static bool bit_of(uint32_t set, unsigned vector)
{
    return rd(set + vector / 32 * 16) >> vector % 32 & 1;
}

/* What ICR sends arrives, as the board does it. */
static void ipi(uint32_t high, uint32_t low)
{
    struct apic_message m;
    wr(ICR_HIGH, high);
    wr(ICR_LOW, low);
    if (apic_take_ipi(&s, &m))
        apic_send(&s, 1, 0, &m);
}

Test(apic, fields)
{
    chip_check_fields(&apic_class);
    chip_check_replay(&apic_class, 0x400, 4);
}

/* 10.4.7.1 */
Test(apic, after_power_up)
{
    apic_firmware_class.reset(&s, 0);
    cr_expect_eq(s.base, 0xFEE00900, "enabled, bootstrap processor");
    cr_expect_eq(rd(ID), 0);
    cr_expect_eq(rd(VERSION), 0x00050014);
    cr_expect_eq(rd(SVR), 0xFF);
    cr_expect_eq(rd(DFR), 0xFFFFFFFF);
    cr_expect_eq(rd(TPR) | rd(LDR) | rd(INITIAL) | rd(CURRENT) | rd(DIVIDE) | rd(ICR_LOW) | rd(ESR), 0);
    for (uint32_t reg = LVT_TIMER; reg <= LVT_ERROR; reg += 16)
        cr_expect_eq(rd(reg), MASKED);
    for (uint32_t reg = ISR; reg < ESR; reg += 16)
        cr_expect_eq(rd(reg), 0);
    cr_expect_not(send(APIC_FIXED, 0x40, false), "nothing is accepted");
}

Test(apic, as_firmware_leaves_it)
{
    apic_class.reset(&s, 0);
    cr_expect_eq(rd(SVR), 0x1FF);
    cr_expect_eq(rd(LVT_LINT0), 0x8700);
    cr_expect_eq(rd(LVT_LINT1), 0x400);
    cr_expect_not(apic_extint(&s));
    apic_set_lint(&s, 0, true);
    cr_expect(apic_extint(&s), "virtual wire");
    cr_expect_not(apic_intr(&s));
    apic_set_lint(&s, 1, true);
    cr_expect_eq(apic_take_pins(&s), APIC_PIN_NMI);
}

/* What can be written where. */
Test(apic, writable_bits)
{
    static const struct {
        uint32_t reg, ones;
    } rows[] = {{ID, 0xFF000000},
                {TPR, 0xFF},
                {LDR, 0xFF000000},
                {DFR, 0xFFFFFFFF},
                {SVR, 0x3FF},
                {ICR_HIGH, 0xFF000000},
                {LVT_TIMER, 0x300FF},
                {0x330, 0x107FF},
                {0x340, 0x107FF},
                {LVT_LINT0, 0x1A7FF},
                {LVT_LINT1, 0x1A7FF},
                {LVT_ERROR, 0x100FF},
                {INITIAL, 0xFFFFFFFF},
                {DIVIDE, 0xB},
                {VERSION, 0x00050014},
                {PPR, 0xF0 | 0xF},
                {0xC0, 0} /* remote read */};
    start();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        wr(rows[i].reg, 0xFFFFFFFF);
        cr_expect_eq(rd(rows[i].reg), rows[i].ones, "register %x: %x", rows[i].reg, rd(rows[i].reg));
    }
    wr(DFR, 0);
    cr_expect_eq(rd(DFR), 0x0FFFFFFF);
}

/* Only 32 bits at a multiple of 16 are an access. */
Test(apic, other_accesses)
{
    start();
    wr(TPR, 0x50);
    apic_class.write(&s, TPR, 1, 0x10, 0);
    apic_class.write(&s, TPR + 1, 1, 0x10, 0);
    apic_class.write(&s, TPR + 4, 4, 0x10, 0);
    cr_expect_eq(rd(TPR), 0x50);
    cr_expect_eq(apic_class.read(&s, VERSION + 2, 2, 0), 5);
    cr_expect_eq(apic_class.read(&s, TPR + 4, 4, 0), 0);
}

/* --- priorities --- */

Test(apic, higher_classes_first)
{
    start();
    cr_expect(send(APIC_FIXED, 0x41, false) && send(APIC_FIXED, 0x45, false) &&
              send(APIC_FIXED, 0x61, false));
    cr_expect(bit_of(IRR, 0x41) && bit_of(IRR, 0x45) && bit_of(IRR, 0x61));
    cr_expect_eq(apic_acknowledge(&s), 0x61);
    cr_expect(bit_of(ISR, 0x61) && !bit_of(IRR, 0x61));
    cr_expect_eq(rd(PPR), 0x60);
    cr_expect_not(apic_intr(&s), "lower ones wait");
    send(APIC_FIXED, 0x6F, false);
    cr_expect_not(apic_intr(&s), "so do others of its class");
    send(APIC_FIXED, 0x70, false);
    cr_expect_eq(apic_acknowledge(&s), 0x70);
    wr(EOI, 0);
    cr_expect_eq(rd(PPR), 0x60);
    wr(EOI, 0);
    cr_expect_eq(apic_acknowledge(&s), 0x6F);
    wr(EOI, 0);
    cr_expect_eq(apic_acknowledge(&s), 0x45);
    wr(EOI, 0);
    cr_expect_eq(apic_acknowledge(&s), 0x41);
    wr(EOI, 0);
    cr_expect_eq(rd(PPR), 0);
    wr(EOI, 0); /* nothing in service */
}

Test(apic, tpr_holds_off)
{
    start();
    wr(TPR, 0x42);
    cr_expect_eq(rd(PPR), 0x42);
    send(APIC_FIXED, 0x4F, false);
    cr_expect_not(apic_intr(&s));
    cr_expect_eq(apic_acknowledge(&s), 0xFF, "spurious vector");
    cr_expect(bit_of(IRR, 0x4F) && !bit_of(ISR, 0xFF));
    wr(TPR, 0x3F);
    cr_expect(apic_intr(&s));
    cr_expect_eq(apic_acknowledge(&s), 0x4F);
    wr(TPR, 0x4A);
    cr_expect_eq(rd(PPR), 0x4A, "equal classes: TPR");
    wr(TPR, 0x3A);
    cr_expect_eq(rd(PPR), 0x40);
    wr(TPR, 0);
    send(APIC_FIXED, 0x91, false);
    cr_expect_eq(rd(APR), 0x90);
    wr(TPR, 0xA5);
    cr_expect_eq(rd(APR), 0xA5);
}

Test(apic, a_vector_is_pending_once)
{
    start();
    send(APIC_FIXED, 0x50, false);
    send(APIC_FIXED, 0x50, false);
    cr_expect_eq(apic_acknowledge(&s), 0x50);
    cr_expect_not(apic_intr(&s));
    send(APIC_FIXED, 0x50, false); /* one in service, one pending: 10.8.4 */
    wr(EOI, 0);
    cr_expect_eq(apic_acknowledge(&s), 0x50);
}

Test(apic, level_is_told_to_the_io_apic)
{
    start();
    send(APIC_FIXED, 0x50, true);
    send(APIC_FIXED, 0x40, false);
    cr_expect(bit_of(TMR, 0x50) && !bit_of(TMR, 0x40));
    apic_acknowledge(&s);
    wr(EOI, 0);
    cr_expect_eq(apic_take_eoi(&s), 0x50);
    cr_expect_eq(apic_take_eoi(&s), -1);
    apic_acknowledge(&s);
    wr(EOI, 0);
    cr_expect_eq(apic_take_eoi(&s), -1, "an edge is not");
    send(APIC_FIXED, 0x50, false);
    cr_expect_not(bit_of(TMR, 0x50));
}

/* 10.4.7.2 */
Test(apic, disabled_by_software)
{
    start();
    wr(LVT_TIMER, 0x40);
    wr(LVT_ERROR, 0x41);
    send(APIC_FIXED, 0x50, false);
    wr(SVR, 0xFF);
    cr_expect_eq(rd(LVT_TIMER), MASKED | 0x40);
    wr(LVT_TIMER, 0x40);
    cr_expect_eq(rd(LVT_TIMER), MASKED | 0x40, "the mask cannot be cleared");
    cr_expect_not(send(APIC_FIXED, 0x60, false));
    cr_expect_eq(apic_acknowledge(&s), 0x50, "what is there stays");
    send(APIC_NMI, 0, false);
    cr_expect_eq(apic_take_pins(&s), APIC_PIN_NMI);
}

/* --- IA32_APIC_BASE: 10.4.3, 10.4.4 --- */

Test(apic, base)
{
    start();
    cr_expect_eq(apic_page(&s), 0xFEE00000 | BOARD_WINDOW_ON);
    cr_expect_not(apic_set_base(&s, 0xFEE00C00), "x2APIC");
    cr_expect_not(apic_set_base(&s, 0xFEE00801));
    cr_expect_not(apic_set_base(&s, UINT64_C(0x1000000000) | 0x800), "37 bits");
    cr_expect(apic_set_base(&s, 0xD0000000 | 0x800));
    cr_expect_eq(s.base, 0xD0000900, "BSP stays");
    cr_expect_eq(apic_page(&s), 0xD0000000 | BOARD_WINDOW_ON);
    cr_expect(apic_set_base(&s, UINT64_C(0x100000000) | 0x800));
    cr_expect_eq(apic_page(&s), 0);
    wr(TPR, 0x20);
    cr_expect(apic_set_base(&s, 0xFEE00000));
    cr_expect_eq(apic_page(&s), 0);
    apic_set_lint(&s, 0, true);
    cr_expect(apic_extint(&s), "LINT0 is INTR");
    apic_set_lint(&s, 1, true);
    cr_expect_eq(apic_take_pins(&s), APIC_PIN_NMI, "LINT1 is NMI");
    cr_expect_not(send(APIC_NMI, 0, false), "it is not there");
    cr_expect(apic_set_base(&s, 0xFEE00800));
    cr_expect_eq(rd(TPR), 0);
    cr_expect_eq(rd(SVR), 0xFF);
}

/* --- timer: 10.5.4 --- */

static const unsigned divisors[8] = {2, 4, 8, 16, 32, 64, 128, 1};

static uint32_t divide_value(unsigned code)
{
    return (code & 4) << 1 | (code & 3);
}

Test(apic, timer_counts_down_by_each_divisor)
{
    for (unsigned code = 0; code < 8; code++) {
        start();
        go_to(1000);
        wr(DIVIDE, divide_value(code));
        wr(LVT_TIMER, 0x40);
        wr(INITIAL, 100);
        unsigned d = divisors[code];
        for (unsigned n = 0; n < 100; n++) {
            go_to(1000 + n * d);
            cr_expect_eq(rd(CURRENT), 100 - n, "/%u, %u", d, n);
        }
        cr_expect_eq(apic_class.next_event(&s), 1000 + 100 * d);
        go_to(1000 + 100 * d - 1);
        cr_expect_not(apic_intr(&s));
        go_to(1000 + 100 * d);
        cr_expect_eq(apic_acknowledge(&s), 0x40);
        cr_expect_eq(rd(CURRENT), 0);
        cr_expect_eq(apic_class.next_event(&s), NS_NEVER, "once");
    }
}

Test(apic, timer_periodic)
{
    start();
    wr(DIVIDE, 0xB);
    wr(LVT_TIMER, PERIODIC | 0x40);
    wr(INITIAL, 1000);
    for (unsigned n = 1; n < 5; n++) {
        cr_expect_eq(apic_class.next_event(&s), n * 1000);
        go_to(n * 1000);
        cr_expect_eq(rd(CURRENT), 1000);
        cr_expect_eq(apic_acknowledge(&s), 0x40);
        wr(EOI, 0);
    }
    go_to(4600);
    cr_expect_eq(rd(CURRENT), 400);
    wr(INITIAL, 0);
    cr_expect_eq(rd(CURRENT), 0);
    cr_expect_eq(apic_class.next_event(&s), NS_NEVER);
}

/* A period below a tick: one interrupt, and the next one lies ahead. */
Test(apic, timer_faster_than_ticks)
{
    start();
    wr(DIVIDE, 0xB);
    wr(LVT_TIMER, PERIODIC | 0x40);
    wr(INITIAL, 3);
    apic_class.advance(&s, 1024);
    cr_expect_eq(apic_class.next_event(&s), 1026);
    cr_expect_eq(apic_acknowledge(&s), 0x40);
    cr_expect_not(apic_intr(&s));
}

/* While it is masked it counts, and what expires is lost. */
Test(apic, timer_masked)
{
    start();
    wr(DIVIDE, 0xB);
    wr(LVT_TIMER, MASKED | PERIODIC | 0x40);
    wr(INITIAL, 1000);
    cr_expect_eq(apic_class.next_event(&s), NS_NEVER);
    go_to(5300);
    cr_expect_eq(rd(CURRENT), 700);
    wr(LVT_TIMER, PERIODIC | 0x40);
    cr_expect_eq(apic_class.next_event(&s), 6000);
    wr(LVT_TIMER, MASKED | 0x40);
    go_to(7000);
    cr_expect_eq(rd(CURRENT), 0);
    wr(LVT_TIMER, 0x40);
    cr_expect_eq(apic_class.next_event(&s), NS_NEVER);
    cr_expect_not(apic_intr(&s));
}

Test(apic, timer_new_divisor_keeps_the_count)
{
    start();
    wr(DIVIDE, 0xB);
    wr(LVT_TIMER, 0x40);
    wr(INITIAL, 1000);
    go_to(400);
    wr(DIVIDE, 0); /* by 2 */
    cr_expect_eq(rd(CURRENT), 600);
    cr_expect_eq(apic_class.next_event(&s), 400 + 1200);
}

Test(apic, timer_of_all_bits)
{
    start();
    wr(DIVIDE, 0xA); /* by 128 */
    wr(LVT_TIMER, 0x40);
    wr(INITIAL, 0xFFFFFFFF);
    cr_expect_eq(apic_class.next_event(&s), UINT64_C(0xFFFFFFFF) * 128);
    go_to(127);
    cr_expect_eq(rd(CURRENT), 0xFFFFFFFF);
    go_to(128);
    cr_expect_eq(rd(CURRENT), 0xFFFFFFFE);
}

/* --- interprocessor interrupts: 10.6 --- */

Test(apic, self_ipi)
{
    start();
    ipi(0, 0x00040000 | 0x55); /* shorthand self */
    cr_expect_eq(apic_acknowledge(&s), 0x55);
    wr(EOI, 0);
    ipi(0, 0x00080000 | 0x56); /* all, self included */
    cr_expect_eq(apic_acknowledge(&s), 0x56);
    wr(EOI, 0);
    ipi(0, 0x000C0000 | 0x57); /* all others: there is none */
    cr_expect_not(apic_intr(&s));
    ipi(0xFF000000, 0x58); /* physical broadcast */
    cr_expect_eq(apic_acknowledge(&s), 0x58);
    wr(EOI, 0);
    wr(ID, 0x03000000);
    ipi(0, 0x59);
    cr_expect_not(apic_intr(&s));
    ipi(0x03000000, 0x5A);
    cr_expect_eq(apic_acknowledge(&s), 0x5A);
    cr_expect_eq(rd(ICR_LOW), 0x5A, "delivery status: idle");
    cr_expect_eq(rd(ICR_HIGH), 0x03000000);
}

/* 10.6.2.2: flat, cluster. */
Test(apic, logical_destinations)
{
    static const struct {
        uint32_t dfr;
        uint8_t ldr, dest;
        bool match;
    } rows[] = {
        {0xFFFFFFFF, 0x04, 0x0C, true},  {0xFFFFFFFF, 0x04, 0x0B, false}, {0xFFFFFFFF, 0x80, 0xFF, true},
        {0xFFFFFFFF, 0x00, 0xFF, false}, {0x0FFFFFFF, 0x24, 0x2C, true},  {0x0FFFFFFF, 0x24, 0x3C, false},
        {0x0FFFFFFF, 0x24, 0x2B, false}, {0x0FFFFFFF, 0x24, 0xF4, true},  {0x0FFFFFFF, 0x24, 0xFF, true}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        start();
        wr(DFR, rows[i].dfr);
        wr(LDR, (uint32_t)rows[i].ldr << 24);
        ipi((uint32_t)rows[i].dest << 24, 0x800 | 0x60);
        cr_expect_eq(apic_intr(&s), rows[i].match, "row %zu", i);
    }
}

/* Tables 10-3, 10-4. */
Test(apic, what_cannot_be_sent_is_ignored)
{
    static const uint32_t icr[] = {
        0x00040000 | 0x400,        /* NMI to self by shorthand */
        0x00080000 | 0x400,        /* NMI to all with self */
        0x00080000 | 0x100 | 0x60, /* lowest priority likewise */
        0x300 | 0x60,              /* reserved */
        0x700 | 0x60,              /* ExtINT */
        0x8000 | 0x500,            /* INIT level de-assert */
    };
    for (size_t i = 0; i < sizeof icr / sizeof icr[0]; i++) {
        start();
        ipi(0, icr[i]);
        cr_expect_not(apic_intr(&s), "row %zu", i);
        cr_expect_eq(apic_take_pins(&s), 0, "row %zu", i);
    }
    start();
    ipi(0, 0xC000 | 0x60); /* level, assert: as an edge */
    cr_expect_eq(apic_acknowledge(&s), 0x60);
    wr(EOI, 0);
    cr_expect_eq(apic_take_eoi(&s), -1);
}

Test(apic, nmi_init_sipi)
{
    start();
    ipi(0, 0x400);
    cr_expect_eq(apic_take_pins(&s), APIC_PIN_NMI);
    ipi(0, 0x600 | 0x12);
    cr_expect_eq(apic_take_pins(&s), 0, "a SIPI to a processor that runs is ignored");
    wr(ID, 0x05000000);
    wr(TPR, 0x30);
    send(APIC_FIXED, 0x60, false);
    apic_set_base(&s, 0xD0000800);
    ipi(0x05000000, 0x4500); /* INIT, assert */
    cr_expect_eq(apic_take_pins(&s), APIC_PIN_INIT, "the bootstrap processor does not wait");
    cr_expect_eq(rd(ID), 0x05000000, "10.4.7.3");
    cr_expect_eq(s.base, 0xD0000900);
    cr_expect_eq(rd(TPR) | rd(IRR + 0x30), 0);
    cr_expect_eq(rd(SVR), 0xFF);
    /* Another one. */
    s.base &= ~(uint64_t)APIC_BASE_BSP;
    ipi(0x05000000, 0x4500);
    cr_expect_eq(apic_take_pins(&s), APIC_PIN_INIT | APIC_PIN_WAIT);
    ipi(0x05000000, 0x4600 | 0x9F);
    cr_expect_eq(apic_take_pins(&s), APIC_PIN_SIPI | 0x9F00);
    ipi(0x05000000, 0x4600 | 0x9F);
    cr_expect_eq(apic_take_pins(&s), 0, "the second one");
}

/* Three CPUs: to the least busy, of equals to the lowest number. */
Test(apic, lowest_priority)
{
    struct apic cpu[3];
    struct apic_message m = {.mode = APIC_LOWEST, .vector = 0x60, .dest = 0xFF};
    for (unsigned i = 0; i < 3; i++) {
        apic_class.reset(&cpu[i], 0);
        cpu[i].id = i << 24;
        cpu[i].tpr = 0x20;
    }
    cpu[1].tpr = 0x10;
    cr_expect(apic_send(cpu, 3, 3, &m));
    cr_expect(!apic_intr(&cpu[0]) && apic_intr(&cpu[1]) && !apic_intr(&cpu[2]));
    cr_expect(apic_send(cpu, 3, 3, &m), "now it has 60 pending");
    cr_expect(apic_intr(&cpu[0]) && !apic_intr(&cpu[2]));
    m.dest = 7;
    cr_expect_not(apic_send(cpu, 3, 3, &m), "nobody");
    m = (struct apic_message){.mode = APIC_NMI, .shorthand = APIC_TO_OTHERS};
    cr_expect(apic_send(cpu, 3, 1, &m));
    cr_expect_eq(apic_take_pins(&cpu[0]), APIC_PIN_NMI);
    cr_expect_eq(apic_take_pins(&cpu[1]), 0);
    cr_expect_eq(apic_take_pins(&cpu[2]), APIC_PIN_NMI);
}

/* --- errors: 10.5.3 --- */

static uint32_t errors(void)
{
    wr(ESR, 0);
    return rd(ESR);
}

Test(apic, errors)
{
    start();
    wr(LVT_ERROR, 0xE0);
    cr_expect_eq(errors(), 0);
    ipi(0, 0x00040000 | 0x0F);
    cr_expect_eq(rd(ESR), 0, "only a write shows it");
    cr_expect_eq(errors(), 0x20, "send illegal vector");
    cr_expect_eq(errors(), 0);
    cr_expect_eq(apic_acknowledge(&s), 0xE0);
    wr(EOI, 0);
    send(APIC_FIXED, 0x0F, false);
    cr_expect_eq(errors(), 0x40, "receive illegal vector");
    rd(0x2F0);
    wr(0x000, 1);
    cr_expect_eq(errors(), 0x80, "illegal register");
    cr_expect_eq(apic_acknowledge(&s), 0xE0);
    wr(EOI, 0);
    wr(LVT_ERROR, MASKED);
    rd(0x3F0);
    cr_expect_not(apic_intr(&s));
    wr(LVT_ERROR, 0x05);
    rd(0x3F0); /* an illegal vector of the error's own */
    cr_expect_eq(errors(), 0x80);
    wr(DIVIDE, 0xB);
    wr(LVT_TIMER, 0x0F);
    wr(INITIAL, 10);
    go_to(10);
    cr_expect_eq(errors(), 0x40);
}

/* --- LINT0, LINT1: 10.5.1 --- */

Test(apic, lint_edge)
{
    start();
    wr(LVT_LINT0, 0x61);
    apic_set_lint(&s, 0, true);
    cr_expect_eq(apic_acknowledge(&s), 0x61);
    wr(EOI, 0);
    cr_expect_not(apic_intr(&s));
    apic_set_lint(&s, 0, false);
    wr(LVT_LINT0, MASKED | 0x61);
    apic_set_lint(&s, 0, true);
    wr(LVT_LINT0, 0x61);
    cr_expect_not(apic_intr(&s), "an edge while it is masked is lost");
    wr(LVT_LINT0, 0x2061);
    apic_set_lint(&s, 0, false);
    cr_expect_eq(apic_acknowledge(&s), 0x61, "active low");
}

Test(apic, lint0_level)
{
    start();
    wr(LVT_LINT0, 0x8061);
    apic_set_lint(&s, 0, true);
    cr_expect_eq(rd(LVT_LINT0), 0xC061, "remote IRR");
    cr_expect_eq(apic_acknowledge(&s), 0x61);
    wr(EOI, 0);
    cr_expect_eq(apic_acknowledge(&s), 0x61, "still active");
    apic_set_lint(&s, 0, false);
    wr(EOI, 0);
    cr_expect_eq(rd(LVT_LINT0), 0x8061);
    cr_expect_not(apic_intr(&s));
}

Test(apic, lint_nmi_is_an_edge)
{
    start();
    wr(LVT_LINT1, 0x8400);
    apic_set_lint(&s, 1, true);
    cr_expect_eq(apic_take_pins(&s), APIC_PIN_NMI);
    wr(LVT_LINT1, 0x400);
    cr_expect_eq(apic_take_pins(&s), 0);
    apic_set_lint(&s, 1, false);
    cr_expect_eq(apic_take_pins(&s), 0);
    wr(LVT_LINT1, 0x2400);
    cr_expect_eq(apic_take_pins(&s), APIC_PIN_NMI, "active by its polarity");
}

/* --- what a halted CPU waits for --- */

Test(apic, a_halt_knows_what_can_end_it)
{
    struct apic_message m = {.mode = APIC_FIXED, .vector = 0x41};
    start();
    cr_expect_not(apic_timer_interrupts(&s));
    wr(LVT_TIMER, 0x41);
    cr_expect_not(apic_timer_interrupts(&s), "it stands");
    wr(INITIAL, 1);
    cr_expect(apic_timer_interrupts(&s));
    cr_expect(apic_would_interrupt(&s, &m));
    wr(TPR, 0x40);
    cr_expect_not(apic_timer_interrupts(&s));
    cr_expect_not(apic_would_interrupt(&s, &m));
    wr(TPR, 0);
    m.mode = APIC_NMI;
    cr_expect_not(apic_would_interrupt(&s, &m));
    wr(SVR, 0xFF);
    m.mode = APIC_LOWEST;
    cr_expect_not(apic_would_interrupt(&s, &m));
}
