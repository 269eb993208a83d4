/* board.h - a board as data: its devices, the ports they answer, the wires to interrupt lines.
 *
 * The tables say what is soldered to what; who runs them is not their business. A device's number is its
 * index in `device[]`: it breaks ties between events of one tick, so it never depends on options
 * (a device that is not fitted keeps its number and has `present` false).
 * Threads: filled at start-up, then read-only. Memory: plain values, `name` and the hooks are static. */
#ifndef TANDEM_HW_BOARD_H
#define TANDEM_HW_BOARD_H

#include "hw/chip.h"

#include <stdbool.h>
#include <stdint.h>

#define BOARD_DEVICES_MAX 16
#define BOARD_PORTS_MAX   48
#define BOARD_WIRES_MAX   16
#define BOARD_SERIAL_MAX  4
#define BOARD_IRQ_LINES   16

/* How a port range may be served (design, section 4, rules 3 to 5). MATCH board_class */
enum board_class {
    BOARD_POSTED, /* writes only */
    BOARD_SYNC,   /* side effects at the access: the CPU waits */
    BOARD_PURE,   /* reads only: a function of state and time */
    BOARD_LOCAL,  /* the chip sits on the CPU's side */
};

/* What a serial port offers to a back end. */
struct board_serial_hooks {
    /* Characters that the guest wrote and that wait for the wire, oldest first; returns how many. */
    unsigned (*unsent)(const void *s, uint8_t *bytes, unsigned max);
    bool (*take_tx)(void *s, uint8_t *byte);     /* next character sent; false: none */
    uint64_t (*receive_ready_ns)(const void *s); /* NS_NEVER: no room until the guest does something */
    void (*receive)(void *s, uint8_t byte, uint64_t now_ns);
};

struct board_device {
    const char *name; /* "com1" */
    const struct chip_class *chip;
    uint32_t state_offset; /* of the chip's state in the machine struct, bytes */
    uint32_t latency_ns;   /* least virtual time from an access to its effects */
    bool present;
    bool local;                              /* touched by the CPU's thread only */
    int8_t serial;                           /* serial port number, -1: none */
    const struct board_serial_hooks *hooks;  /* serial ports; else NULL */
    uint32_t (*take_request)(void *s);       /* enum hw_request bits, cleared; NULL: never any */
    uint32_t (*exit_value)(const void *s);   /* goes with HW_REQUEST_DEBUG_EXIT; else NULL */
    void (*reset)(void *s, uint64_t now_ns); /* machine reset, where it is less than power-on; NULL: chip's */
};

struct board_ports {
    uint16_t first, last; /* inclusive */
    uint8_t device;       /* device number */
    uint8_t base_offset;  /* chip offset of `first` */
    uint8_t read_class;   /* enum board_class */
    uint8_t write_class;
    uint8_t width; /* widest access, bytes */
};

/* Output pin `pin` of a device drives interrupt line `line`; lines with several drivers are ORed. */
struct board_wire {
    uint8_t device, pin, line;
};

struct board {
    struct board_device device[BOARD_DEVICES_MAX];
    struct board_ports ports[BOARD_PORTS_MAX];
    struct board_wire wire[BOARD_WIRES_MAX];
    unsigned ndevices, nports, nwires;
};

#endif
