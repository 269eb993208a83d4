/* pcintc.h - the interrupt controllers on the CPU's side of the PC board: how the 8259 pair, the I/O APIC and
 * the local APIC are wired to one another and to the CPU. Threads: the vCPU's thread only. */
#ifndef TANDEM_HW_PCINTC_H
#define TANDEM_HW_PCINTC_H

#include "hw/board.h"

struct pc;

/* The board's hooks: with APICs, or with the 8259 pair alone. */
struct board_intc pcintc(bool apic);
/* ISA line 0..15 whose interrupts have this vector; -1: none. The I/O APIC's come first. */
int pcintc_line_of_vector(const struct pc *pc, uint8_t vector);

#endif
