/* ioapic.h - 82093AA I/O APIC: 24 interrupt pins, each with an entry that says what message it sends to the
 * local APICs.
 *
 * It sits on the vCPU's side. Whoever wires it (pcintc.c) sets pins, and then hands each message that is
 * ready to apic_send(), and every EOI to ioapic_eoi(). Threads: the vCPU's thread only. */
#ifndef TANDEM_HW_IOAPIC_H
#define TANDEM_HW_IOAPIC_H

#include "hw/apic.h"
#include "hw/chip.h"

#define IOAPIC_PAGE    0xFEC00000u
#define IOAPIC_PINS    24
#define IOAPIC_VERSION 0x11

struct ioapic {
    uint16_t low[IOAPIC_PINS]; /* bits 11..0 of the entries: vector, delivery mode, destination mode */
    uint8_t dest[IOAPIC_PINS]; /* bits 63..56 */
    uint32_t masked, level, active_low, remote_irr; /* bits 16, 15, 13, 14 of the entries; a bit a pin */
    uint32_t lines;                                 /* levels of the pins */
    uint32_t requests;                              /* edges that were not sent yet */
    uint8_t id, arbitration;                        /* bits 27..24 of the registers */
    uint8_t select;                                 /* IOREGSEL */
    uint8_t reserved;
};

extern const struct chip_class ioapic_class;

void ioapic_set_pin(struct ioapic *s, unsigned pin, bool level);
/* Pins whose message is to be sent now, a bit a pin. */
uint32_t ioapic_ready(const struct ioapic *s);
/* The pin's message as its entry has it. False: the entry is masked, or hands on the 8259's interrupts. */
bool ioapic_message(const struct ioapic *s, unsigned pin, struct apic_message *m);
/* A ready pin's message was sent; `accepted`: a local APIC has it. One that is level-triggered and was not
 * accepted is still ready. */
void ioapic_sent(struct ioapic *s, unsigned pin, bool accepted);
void ioapic_eoi(struct ioapic *s, uint8_t vector);
/* Does the pin's entry hand on external interrupts, whose vectors are the 8259's, to this APIC? */
bool ioapic_is_extint(const struct ioapic *s, unsigned pin, const struct apic *to);
/* Does an active pin do so? */
bool ioapic_extint(const struct ioapic *s, const struct apic *to);

#endif
