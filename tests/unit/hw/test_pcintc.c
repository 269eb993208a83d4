/* test_pcintc.c - how the board wires its interrupt controllers, as the CPU sees it: INTR, NMI, vectors. */
#include "hw/pc.h"
#include "hw/pcintc.h"
#include "hw_test.h"

static struct board b;
static struct pc pc;

enum { TPR = 0x80, EOI = 0xB0, ICR = 0x300, LVT_TIMER = 0x320, LINT0 = 0x350, INITIAL = 0x380 };

static void start(bool apic)
{
    struct pc_config cfg;
    pc_config_init(&cfg);
    cfg.apic = apic;
    cr_assert(pc_board(&b, &cfg));
    b.power_on(&pc, &b, 0);
    /* The 8259 pair as a PC's software has it: vectors 20h and 28h, everything open. */
    static const uint8_t writes[][2] = {{0, 0x11}, {1, 0x20}, {1, 4}, {1, 1}, {1, 0},
                                        {2, 0x11}, {3, 0x28}, {3, 2}, {3, 1}, {3, 0}};
    for (size_t i = 0; i < sizeof writes / sizeof writes[0]; i++)
        i8259_write(&pc.pic, writes[i][0], writes[i][1]);
}

static uint32_t settle(void)
{
    return b.intc.settle ? b.intc.settle(&pc) : 0;
}

static uint32_t line(unsigned n, unsigned level)
{
    b.intc.set_line(&pc, n, level);
    return settle();
}

static uint32_t apic_write(uint32_t reg, uint32_t value)
{
    apic_class.write(&pc.apic[0], reg, 4, value, 0);
    return settle();
}

static uint32_t entry(unsigned pin, uint32_t low)
{
    ioapic_class.write(&pc.ioapic, 0, 4, 0x10 + 2 * pin, 0);
    ioapic_class.write(&pc.ioapic, 0x10, 4, low, 0);
    return settle();
}

static bool intr(void)
{
    return b.intc.intr(&pc);
}

static void expect_vector(unsigned vector)
{
    cr_expect(intr(), "vector %x is pending", vector);
    unsigned got = b.intc.acknowledge(&pc);
    cr_expect_eq(got, vector, "%x, not %x", got, vector);
    settle();
}

static void mask_pic(void)
{
    i8259_write(&pc.pic, I8259_OFF_MASTER_DATA, 0xFF);
    i8259_write(&pc.pic, I8259_OFF_SLAVE_DATA, 0xFF);
    settle();
}

Test(pcintc, without_apics)
{
    start(false);
    cr_expect_null(b.intc.settle);
    cr_expect_null(b.intc.apic_base);
    line(0, 1);
    expect_vector(0x20);
    cr_expect(b.intc.can_interrupt(&pc));
    mask_pic();
    cr_expect_not(b.intc.can_interrupt(&pc));
}

Test(pcintc, virtual_wire)
{
    start(true);
    line(0, 1);
    expect_vector(0x20);
    cr_expect_not(intr());
    line(8, 1);
    cr_expect_not(intr(), "behind line 0");
    i8259_write(&pc.pic, I8259_OFF_MASTER_CMD, 0x20);
    settle();
    expect_vector(0x28);
}

Test(pcintc, virtual_wire_through_the_io_apic)
{
    start(true);
    apic_write(LINT0, 0x10700);
    line(0, 1);
    cr_expect_not(intr());
    entry(0, 0x0700);
    expect_vector(0x20);
}

Test(pcintc, isa_lines_on_their_pins)
{
    start(true);
    mask_pic();
    for (unsigned n = 0; n < 16; n++) {
        if (n == 2 || n == 13) /* the cascade; FERR# */
            continue;
        entry(n == 0 ? 2 : n, 0x40 + n);
        line(n, 1);
        expect_vector(0x40 + n);
        cr_expect_eq(pcintc_line_of_vector(&pc, (uint8_t)(0x40 + n)), (int)n);
        apic_write(EOI, 0);
        line(n, 0);
    }
    cr_expect_eq(pcintc_line_of_vector(&pc, 0x23), 3, "the 8259's");
    cr_expect_eq(pcintc_line_of_vector(&pc, 0xE0), -1);
}

Test(pcintc, ferr_is_pin_13)
{
    start(true);
    mask_pic();
    entry(13, 0x4D);
    b.intc.set_ferr(&pc, true);
    settle();
    expect_vector(0x4D);
}

Test(pcintc, level_until_eoi)
{
    start(true);
    mask_pic();
    entry(9, 0x8050);
    line(9, 1);
    expect_vector(0x50);
    cr_expect_not(intr());
    apic_write(EOI, 0);
    expect_vector(0x50);
    line(9, 0);
    apic_write(EOI, 0);
    cr_expect_not(intr());
}

/* Which comes first is ours to say: the local APIC's own. */
Test(pcintc, apic_before_8259)
{
    start(true);
    line(0, 1);
    apic_write(ICR, 0x00040000 | 0x30);
    expect_vector(0x30);
    expect_vector(0x20);
}

Test(pcintc, the_buttons_nmi_comes_through_lint1)
{
    start(true);
    b.intc.nmi(&pc);
    cr_expect_eq(settle(), BOARD_PIN_NMI, "as the CPU finds it: no local APIC is on");
    cr_expect_eq(settle(), 0, "once");
    apic_write(0xF0, 0x1FF);    /* on by software */
    apic_write(0x360, 0x10400); /* LINT1 masked */
    b.intc.nmi(&pc);
    cr_expect_eq(settle(), 0);
    apic_write(0x360, 0x400); /* NMI */
    b.intc.nmi(&pc);
    cr_expect_eq(settle(), BOARD_PIN_NMI);
    start(false);
    cr_expect_null(b.intc.nmi, "without APICs the wire ends at the CPU's pin");
}

Test(pcintc, nmi_and_init)
{
    start(true);
    cr_expect_eq(b.intc.pins(&pc), 0);
    entry(1, 0x0400);
    cr_expect_eq(b.intc.pins(&pc), BOARD_PIN_NMI);
    cr_expect_eq(line(1, 1), BOARD_PIN_NMI);
    cr_expect_eq(line(1, 1), 0);
    cr_expect_eq(apic_write(ICR, 0x400), BOARD_PIN_NMI, "to APIC 0");
    entry(1, 0x10400);
    apic_write(LINT0, 0x400);
    cr_expect_eq(b.intc.pins(&pc), BOARD_PIN_NMI, "from the 8259");
    mask_pic();
    cr_expect_eq(b.intc.pins(&pc), 0);
    cr_expect_eq(apic_write(ICR, 0x4500), BOARD_PIN_INIT);
}

/* A halted CPU is not left waiting for what cannot come. */
Test(pcintc, what_can_end_a_halt)
{
    start(true);
    cr_expect(b.intc.can_interrupt(&pc), "the 8259, through LINT0");
    apic_write(LINT0, 0x10700);
    cr_expect_not(b.intc.can_interrupt(&pc));
    entry(0, 0x0700);
    cr_expect(b.intc.can_interrupt(&pc), "through pin 0");
    mask_pic();
    cr_expect_not(b.intc.can_interrupt(&pc));
    entry(4, 0x51);
    cr_expect(b.intc.can_interrupt(&pc));
    apic_write(TPR, 0x50);
    cr_expect_not(b.intc.can_interrupt(&pc), "held off");
    apic_write(TPR, 0);
    entry(4, 0x8051);
    line(4, 1);
    b.intc.acknowledge(&pc);
    cr_expect_not(b.intc.can_interrupt(&pc), "its service has not ended");
    entry(4, 0x10051);
    apic_write(EOI, 0);
    apic_write(LVT_TIMER, 0x40);
    cr_expect_not(b.intc.can_interrupt(&pc));
    apic_write(INITIAL, 100);
    cr_expect(b.intc.can_interrupt(&pc));
    cr_expect_eq(b.intc.next_event(&pc), 200);
}

Test(pcintc, base)
{
    start(true);
    cr_expect_eq(b.intc.apic_base(&pc), 0xFEE00900);
    cr_expect_not(b.intc.set_apic_base(&pc, 1));
    cr_expect(b.intc.set_apic_base(&pc, 0xFEE00000));
    line(0, 1);
    expect_vector(0x20);
}
