/* router.h - interrupts on their way from the output pins of devices to the inputs of interrupt controllers.
 *
 * Pins are wired (board.h, `wire[]`) to ISA lines 0..15 or to the four lines INTA#..INTD# that the slots of a
 * PCI bus share, BOARD_PIRQ_A and up. The chip set routes each of these to an ISA line or nowhere, as its
 * registers say (`pirq_route`). A line is high while any of its drivers is (wired-OR; the inversion of the
 * active-low INTx# is left out).
 * The result is a function of pins and registers: nothing is stored here. A route that the guest changes
 * takes lines up and down at the tick at which the change takes effect, as pins do. The 8259 pair and the I/O
 * APIC hear the ISA lines alike (pcintc.h). Room is left for lines that only the I/O APIC hears (above
 * BOARD_PIRQ_D) and message-signalled interrupts, which are no lines. Threads: the holder of the baton. */
#ifndef TANDEM_HW_ROUTER_H
#define TANDEM_HW_ROUTER_H

#include "hw/board.h"

/* Levels of the ISA lines, a bit a line. `outputs`: each device's pins, a bit a pin; `state`: the board's. */
uint32_t router_levels(const struct board *b, const uint32_t *outputs, const void *state);

#endif
