/* apic.h - the local APIC of one CPU (SDM 3A chapter 10), in xAPIC form, and the messages between APICs.
 *
 * It sits on the vCPU's side: its page is served locally, the CPU samples INTR (apic_intr) and takes vectors
 * (apic_acknowledge). What it sends is fetched by whoever wires the APICs together (pcintc.c): an
 * interprocessor interrupt, an EOI for the I/O APIC, NMI and INIT for its CPU.
 * Written for any number of CPUs: apic_send() has an array of them, of which the bus is a function.
 * Threads: the vCPU's thread only. */
#ifndef TANDEM_HW_APIC_H
#define TANDEM_HW_APIC_H

#include "hw/chip.h"

#define APIC_PAGE        0xFEE00000u /* after reset; IA32_APIC_BASE moves it */
#define APIC_BASE_ENABLE 0x800u      /* bits of IA32_APIC_BASE, MSR 1BH */
#define APIC_BASE_BSP    0x100u
#define APIC_VERSION     0x14
#define APIC_LVTS        6

/* Delivery modes, in the encoding of ICR, LVT and I/O APIC. */
enum apic_mode {
    APIC_FIXED,
    APIC_LOWEST,
    APIC_SMI,
    APIC_MODE3,
    APIC_NMI,
    APIC_INIT,
    APIC_SIPI,
    APIC_EXTINT,
};

/* Events at the CPU's pins. MATCH cpu_pins */
enum apic_pin {
    APIC_PIN_NMI = 1,
    APIC_PIN_INIT = 2,
    APIC_PIN_WAIT = 4, /* with INIT: the CPU waits for a SIPI */
    APIC_PIN_SIPI = 8, /* bits 8 to 15: the vector */
};

enum apic_shorthand { APIC_TO_DEST, APIC_TO_SELF, APIC_TO_ALL, APIC_TO_OTHERS };

/* What goes from an APIC to others. */
struct apic_message {
    uint8_t vector;
    uint8_t mode;      /* enum apic_mode */
    uint8_t dest;      /* APIC ID; or logical destination */
    uint8_t shorthand; /* enum apic_shorthand */
    bool logical;
    bool level; /* trigger mode */
};

struct apic {
    uint64_t base;    /* IA32_APIC_BASE */
    uint64_t zero_ns; /* when the timer's count reaches 0 next; NS_NEVER: it stands. It may be past. */
    uint32_t isr[8], tmr[8], irr[8]; /* a bit a vector */
    uint32_t lvt[APIC_LVTS];         /* timer, thermal, performance, LINT0, LINT1, error */
    uint32_t icr[2];                 /* low, high */
    uint32_t id, ldr;                /* bits 31..24 */
    uint32_t dfr, svr, tpr;
    uint32_t esr, errors; /* as the last write to ESR latched them; since then */
    uint32_t initial;     /* the timer's initial count */
    uint32_t divide;      /* divide configuration register */
    uint32_t pins;        /* APIC_PIN_* for the CPU, not taken yet */
    uint8_t lint[2];      /* levels of the pins */
    uint8_t number;       /* of the CPU */
    uint8_t sends;        /* 1: the message in ICR is to be sent */
    uint8_t eoi;          /* 1: EOI of eoi_vector is to be told to the I/O APICs */
    uint8_t eoi_vector;
    uint8_t waits; /* 1: for a SIPI */
    uint8_t reserved;
};

/* Of CPU 0: after a reset as firmware leaves it (virtual wire), and as firmware finds it. */
extern const struct chip_class apic_class;
extern const struct chip_class apic_firmware_class;

/* WRMSR 1BH. False: reserved bits are set. */
bool apic_set_base(struct apic *s, uint64_t value);
/* Where the page is seen, as a window's value (board.h: window_at). */
uint32_t apic_page(const struct apic *s);

/* Level of LINT0 or LINT1. */
void apic_set_lint(struct apic *s, unsigned pin, bool level);
/* Is there an interrupt of its own for the CPU? */
bool apic_intr(const struct apic *s);
/* Does LINT0 or LINT1 hand on an external interrupt, whose vector is the 8259's? */
bool apic_extint(const struct apic *s);
/* The vector of apic_intr(), put into service; the spurious one if there is none. */
uint8_t apic_acknowledge(struct apic *s);
/* APIC_PIN_*, cleared. */
uint32_t apic_take_pins(struct apic *s);

/* Over all `n` APICs of the machine, from CPU `from` (n or more: from an I/O APIC). False: none accepts. */
bool apic_send(struct apic *apics, unsigned n, unsigned from, const struct apic_message *m);
/* The interprocessor interrupt that was written to ICR; false: none. */
bool apic_take_ipi(struct apic *s, struct apic_message *m);
/* The vector of a level-triggered interrupt whose service has ended; -1: none. */
int apic_take_eoi(struct apic *s);

/* Is this APIC one of those that the message goes to (no shorthand)? */
bool apic_is_addressed(const struct apic *s, const struct apic_message *m);
/* For a halted CPU: would this message, were it to come to it, interrupt it? */
bool apic_would_interrupt(const struct apic *s, const struct apic_message *m);
/* What LINTn does when it becomes active, as a message to this APIC alone; false: nothing. */
bool apic_lint_message(const struct apic *s, unsigned pin, struct apic_message *m);
/* Will the timer interrupt it? */
bool apic_timer_interrupts(const struct apic *s);

#endif
