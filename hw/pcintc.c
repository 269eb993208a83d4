/* pcintc.c - see pcintc.h.
 *
 * With APICs (MP specification 1.4, figure 3-4): ISA line n is input n of the 8259 pair and pin n of the I/O
 * APIC, but line 0 is pin 2, for pin 0 is the 8259's INTR; so is the local APIC's LINT0. The PCI bus reaches
 * these lines by the PIIX3's PIRQ routing (router.h), pins 16 to 23 have no driver. LINT1,
 * NMI, is driven by the NMI button of the case alone, and only while bit 7 of port 70H is clear (82371SB
 * data sheet, 2.5.5.2; a pulse that it masks is lost). Neither parity errors nor IOCHK# are modelled, so bits
 * 2 and 3 of port 61H hold what is written and have nothing to mask.
 * Without an APIC the 8259's INTR is the CPU's.
 *
 * What one of them does to another happens at once, in settle(): it is called after everything that may have
 * changed one of them, and before the CPU's pins are looked at. Of two that have an interrupt for the CPU the
 * local APIC's own comes before the 8259's (which of them does is left open by the SDM).
 *
 * NOT MODELLED: SMI. */
#include "hw/pcintc.h"

#include "hw/pc.h"

/* MATCH cpu_pins */
_Static_assert((int)APIC_PIN_NMI == (int)BOARD_PIN_NMI && (int)APIC_PIN_INIT == (int)BOARD_PIN_INIT &&
                   (int)APIC_PIN_WAIT == (int)BOARD_PIN_WAIT && (int)APIC_PIN_SIPI == (int)BOARD_PIN_SIPI,
               "one value for both");

#define INTR_PIN         0
#define TIMER_PIN        2
#define CASCADE_LINE     2
#define COPROCESSOR_LINE 13
#define DRIVEN_PINS      16

/* --- the 8259 pair alone --- */

static void pic_set_line(void *pc, unsigned line, unsigned level)
{
    i8259_set_line(&((struct pc *)pc)->pic, line, level);
}

static bool pic_intr(const void *pc)
{
    return i8259_intr(&((const struct pc *)pc)->pic);
}

static uint8_t pic_acknowledge(void *pc)
{
    return i8259_acknowledge(&((struct pc *)pc)->pic);
}

static bool pic_can_interrupt(const void *pc)
{
    return i8259_can_interrupt(&((const struct pc *)pc)->pic);
}

static void set_ferr(void *pc, bool asserted)
{
    i8259_set_ferr(&((struct pc *)pc)->pic, asserted);
}

static bool ignne(const void *pc)
{
    return i8259_ignne(&((const struct pc *)pc)->pic);
}

/* --- with APICs --- */

static void set_line(void *state, unsigned line, unsigned level)
{
    struct pc *pc = state;

    i8259_set_line(&pc->pic, line, level);
    if (line != CASCADE_LINE)
        ioapic_set_pin(&pc->ioapic, line == 0 ? TIMER_PIN : line, level);
}

/* The 8259's INTR, and FERR#, which its registers drive. */
static void set_outputs(struct pc *pc)
{
    bool intr = i8259_intr(&pc->pic), ferr = pc->pic.pic[1].lines >> (COPROCESSOR_LINE - 8) & 1;

    apic_set_lint(&pc->apic[0], 0, intr);
    ioapic_set_pin(&pc->ioapic, INTR_PIN, intr);
    ioapic_set_pin(&pc->ioapic, COPROCESSOR_LINE, ferr);
}

static void send_ready_pins(struct pc *pc)
{
    for (uint32_t left = ioapic_ready(&pc->ioapic); left; left &= left - 1) {
        unsigned pin = (unsigned)__builtin_ctz(left);
        struct apic_message m;
        bool accepted = ioapic_message(&pc->ioapic, pin, &m) && apic_send(pc->apic, PC_VCPUS, PC_VCPUS, &m);
        ioapic_sent(&pc->ioapic, pin, accepted);
    }
}

static uint32_t settle(void *state)
{
    struct pc *pc = state;
    int ended = apic_take_eoi(&pc->apic[0]);
    struct apic_message m;

    set_outputs(pc);
    if (ended >= 0)
        ioapic_eoi(&pc->ioapic, (uint8_t)ended);
    send_ready_pins(pc);
    if (apic_take_ipi(&pc->apic[0], &m))
        apic_send(pc->apic, PC_VCPUS, 0, &m);
    return apic_take_pins(&pc->apic[0]);
}

/* After settle(): LINT0 is the 8259's INTR. */
static bool extint(const struct pc *pc)
{
    const struct apic *apic = &pc->apic[0];

    return apic_extint(apic) || (apic->lint[0] && ioapic_extint(&pc->ioapic, apic));
}

static bool intr(const void *state)
{
    const struct pc *pc = state;

    return apic_intr(&pc->apic[0]) || extint(pc);
}

static uint8_t acknowledge(void *state)
{
    struct pc *pc = state;

    return apic_intr(&pc->apic[0]) || !extint(pc) ? apic_acknowledge(&pc->apic[0])
                                                  : i8259_acknowledge(&pc->pic);
}

static uint64_t next_event(const void *pc)
{
    return apic_class.next_event(&((const struct pc *)pc)->apic[0]);
}

static void advance(void *pc, uint64_t now_ns)
{
    apic_class.advance(&((struct pc *)pc)->apic[0], now_ns);
}

/* --- what a halt waits for --- */

/* Entry `pin` is open, and for this CPU. */
static bool pin_is_open(const struct pc *pc, unsigned pin, struct apic_message *m)
{
    return ioapic_message(&pc->ioapic, pin, m) && apic_is_addressed(&pc->apic[0], m);
}

static bool pins_can_interrupt(const struct pc *pc)
{
    struct apic_message m;

    for (unsigned pin = 0; pin < DRIVEN_PINS; pin++)
        if (pin_is_open(pc, pin, &m) && !(m.level && pc->ioapic.remote_irr >> pin & 1) &&
            apic_would_interrupt(&pc->apic[0], &m))
            return true;
    return false;
}

/* Does something hand on the 8259's interrupts? */
static bool pic_is_heard(const struct pc *pc)
{
    struct apic_message m;

    if (apic_lint_message(&pc->apic[0], 0, &m) &&
        (m.mode == APIC_EXTINT || apic_would_interrupt(&pc->apic[0], &m)))
        return true;
    for (unsigned pin = 0; pin < DRIVEN_PINS; pin++)
        if (ioapic_is_extint(&pc->ioapic, pin, &pc->apic[0]))
            return true;
    return false;
}

static bool can_interrupt(const void *state)
{
    const struct pc *pc = state;

    return apic_timer_interrupts(&pc->apic[0]) || pins_can_interrupt(pc) ||
           (i8259_can_interrupt(&pc->pic) && pic_is_heard(pc));
}

static uint32_t pin_of_mode(uint8_t mode)
{
    return mode == APIC_NMI ? BOARD_PIN_NMI : mode == APIC_INIT ? BOARD_PIN_INIT : 0;
}

static uint32_t pins_that_may_come(const void *state)
{
    const struct pc *pc = state;
    struct apic_message m;
    uint32_t pins = 0;

    for (unsigned pin = 0; pin < DRIVEN_PINS; pin++)
        if (pin_is_open(pc, pin, &m))
            pins |= pin_of_mode(m.mode);
    if (i8259_can_interrupt(&pc->pic) && apic_lint_message(&pc->apic[0], 0, &m))
        pins |= pin_of_mode(m.mode);
    return pins;
}

/* LINT1 sees an edge. */
static void nmi(void *state)
{
    struct pc *pc = state;

    apic_set_lint(&pc->apic[0], 1, true);
    apic_set_lint(&pc->apic[0], 1, false);
}

/* --- IA32_APIC_BASE --- */

static uint64_t apic_base(const void *pc)
{
    return ((const struct pc *)pc)->apic[0].base;
}

static bool set_apic_base(void *pc, uint64_t value)
{
    return apic_set_base(&((struct pc *)pc)->apic[0], value);
}

struct board_intc pcintc(bool apic)
{
    if (!apic)
        return (struct board_intc){.set_line = pic_set_line,
                                   .intr = pic_intr,
                                   .acknowledge = pic_acknowledge,
                                   .can_interrupt = pic_can_interrupt,
                                   .set_ferr = set_ferr,
                                   .ignne = ignne};
    return (struct board_intc){.set_line = set_line,
                               .intr = intr,
                               .acknowledge = acknowledge,
                               .can_interrupt = can_interrupt,
                               .set_ferr = set_ferr,
                               .ignne = ignne,
                               .next_event = next_event,
                               .advance = advance,
                               .settle = settle,
                               .pins = pins_that_may_come,
                               .nmi = nmi,
                               .apic_base = apic_base,
                               .set_apic_base = set_apic_base};
}

int pcintc_line_of_vector(const struct pc *pc, uint8_t vector)
{
    struct apic_message m;

    for (unsigned pin = 0; pin < DRIVEN_PINS; pin++)
        if (ioapic_message(&pc->ioapic, pin, &m) && m.mode <= APIC_LOWEST && m.vector == vector)
            return pin == TIMER_PIN ? 0 : (int)pin;
    return i8259_line_of_vector(&pc->pic, vector);
}
