/* i8259.h - the PC's pair of 8259A interrupt controllers with the PIIX's edge/level registers and coprocessor
 * error logic.
 *
 * One value holds both: the slave's INT pin is the master's IR2. It sits on the vCPU's side:
 * devices raise lines (i8259_set_line), the CPU samples INTR (i8259_intr) and runs the INTA cycle
 * (i8259_acknowledge); ports are served locally. No part of it depends on time.
 * Threads: the vCPU's thread only. */
#ifndef TANDEM_HW_I8259_H
#define TANDEM_HW_I8259_H

#include "hw/chip.h"

#include <stdbool.h>

enum {
    I8259_OFF_MASTER_CMD = 0,  /* port 20h */
    I8259_OFF_MASTER_DATA = 1, /* port 21h */
    I8259_OFF_SLAVE_CMD = 2,   /* port A0h */
    I8259_OFF_SLAVE_DATA = 3,  /* port A1h */
    I8259_OFF_ELCR1 = 4,       /* port 4D0h */
    I8259_OFF_ELCR2 = 5,       /* port 4D1h */
    I8259_OFF_COPROCESSOR = 6, /* port F0h */
};

struct i8259_pic {
    uint8_t irr;          /* requests of edge-mode lines; level-mode ones are in `lines` */
    uint8_t isr;          /* in-service register */
    uint8_t imr;          /* interrupt mask register (OCW1) */
    uint8_t lines;        /* levels of the IR inputs */
    uint8_t elcr;         /* 1: the line is level-triggered */
    uint8_t vector_base;  /* ICW2, bits 7..3 */
    uint8_t icw3;         /* ICW3 as written: cascade wiring, not interpreted */
    uint8_t icw4;         /* ICW4: AEOI, SFNM */
    uint8_t init_step;    /* next ICW expected at the data port: 2, 3, 4; 0: none */
    uint8_t init_icw1;    /* ICW1 of the running or last initialisation */
    uint8_t ready;        /* 1: an ICW sequence has been completed */
    uint8_t top;          /* IR with the highest priority (rotation) */
    uint8_t rotate_aeoi;  /* OCW2: rotate in automatic EOI mode */
    uint8_t special_mask; /* OCW3: special mask mode */
    uint8_t read_isr;     /* OCW3: command port reads ISR instead of IRR */
    uint8_t poll;         /* OCW3: the next read is a poll */
};

struct i8259 {
    struct i8259_pic pic[2]; /* [0] master, [1] slave */
    uint8_t ferr;            /* 1: FERR# of the CPU is asserted */
    uint8_t ignne;           /* 1: IGNNE# to the CPU is asserted */
};

extern const struct chip_class i8259_class;

void i8259_reset(struct i8259 *s);
/* Level of input `line`, 0..15; line 2 (the cascade) and lines above 15 are ignored. */
void i8259_set_line(struct i8259 *s, unsigned line, unsigned level);
/* FERR# pin of the CPU. */
void i8259_set_ferr(struct i8259 *s, bool asserted);
/* IGNNE# pin to the CPU. */
bool i8259_ignne(const struct i8259 *s);
/* INTR pin to the CPU. */
bool i8259_intr(const struct i8259 *s);
/* INTA cycle: the vector, with the request moved to service; IR7's vector when nothing is pending. */
uint8_t i8259_acknowledge(struct i8259 *s);
/* Input 0..15 whose vector this is; -1: none. The master's come first. */
int i8259_line_of_vector(const struct i8259 *s, uint8_t vector);
/* false: whatever the lines do, INTR stays low until a port is written. */
bool i8259_can_interrupt(const struct i8259 *s);
uint32_t i8259_read(struct i8259 *s, uint32_t offset);
void i8259_write(struct i8259 *s, uint32_t offset, uint32_t value);

#endif
