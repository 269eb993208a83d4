/* board.h - a board as data: its devices, the I/O ports they answer, typed ports, wires to interrupt lines.
 *
 * The tables say what is soldered to what; who runs them is not their business. A device's number is its
 * index in `device[]`: it breaks ties between events of one tick, so it never depends on options
 * (a device that is not fitted keeps its number and has `present` false). So does a typed port's in `port[]`.
 * All chips' states together are one block of `state_bytes`, which is the board's runner's; the hooks get its
 * address. Threads: filled at start-up, then read-only. Memory: plain values, names and hooks are static. */
#ifndef TANDEM_HW_BOARD_H
#define TANDEM_HW_BOARD_H

#include "hw/chip.h"
#include "hw/drive.h"
#include "hw/nic.h"
#include "hw/port.h"

#include <stdbool.h>
#include <stdint.h>

#define BOARD_DEVICES_MAX 32
#define BOARD_RANGES_MAX  192
#define BOARD_PORTS_MAX   32 /* as many as bus.device_ports has bits */
#define BOARD_REMAPS_MAX  16 /* as many as board_device.remaps has bits */
#define BOARD_WIRES_MAX   32
#define BOARD_WINDOWS_MAX 48
#define BOARD_IRQ_LINES   16 /* ISA lines, the inputs of the 8259 pair. MATCH BOARD_IRQ_LINES */
#define BOARD_PIRQ_A      16 /* lines 16 to 19: INTA# to INTD# of the PCI bus (router.h) */
#define BOARD_PIRQS       4
#define BOARD_NO_LINE     255

/* How a port range may be served (syncq/busmap.h). MATCH board_class */
enum board_class {
    BOARD_POSTED,  /* writes only */
    BOARD_SYNC,    /* side effects at the access: the CPU waits */
    BOARD_PURE,    /* reads only: a function of state and time */
    BOARD_LOCAL,   /* the chip sits on the CPU's side */
    BOARD_AT_ONCE, /* posted, but in force at the next instruction, whatever the device's latency is */
};

struct board_device {
    const char *name; /* "com1" */
    const struct chip_class *chip;
    uint32_t state_offset; /* of the chip's state in the machine struct, bytes */
    uint32_t latency_ns;   /* least virtual time from an access to its effects */
    bool present;
    bool local;                              /* touched by the CPU's thread only */
    bool owns_memory;                        /* local; it is the card whose memory MEM_VRAM is (mem/own.h) */
    bool configures;                         /* its registers route interrupts and move windows */
    uint16_t remaps;                         /* bit n: its registers switch remap n (remap_value) */
    const void *constant;                    /* for the chip's read_constant and master; NULL: none */
    uint32_t (*take_request)(void *s);       /* enum hw_request bits, cleared; NULL: never any */
    uint32_t (*exit_value)(const void *s);   /* goes with HW_REQUEST_DEBUG_EXIT; else NULL */
    void (*reset)(void *s, uint64_t now_ns); /* machine reset, where it is less than power-on; NULL: chip's */
};

/* A part of a window, or I/O ports at a fixed place, that a device answers. */
struct board_range {
    uint32_t first, last; /* inclusive; in a window: from its start */
    uint8_t device;       /* device number */
    uint32_t base_offset; /* chip offset of `first` */
    uint8_t read_class;   /* enum board_class */
    uint8_t write_class;
    uint8_t width;  /* widest access, bytes */
    uint8_t window; /* number of the window + 1; 0: I/O ports at a fixed place */
};

/* What the guest moves about in memory or in the space of I/O ports: a PCI BAR, or what a chip set's register
 * places. Accesses to it reach the device wherever it is. Where two windows overlap, the one with the lower
 * number is seen; fixed I/O ports, and RAM, are seen before any window. */
struct board_window {
    uint32_t bytes; /* a power of two; of memory: whole pages */
    bool io;
    bool local;         /* in memory; the CPU moves it by itself: it is the local APIC's page */
    const uint8_t *rom; /* in memory: it shows a ROM with these `rom_bytes`; NULL: the device's registers */
    uint32_t rom_bytes;
    bool memory; /* it shows the device's own memory (board_device.owns_memory) */
    uint32_t at; /* in memory: it is there, where nothing else ever is, and never moves; 0: it does */
};
#define BOARD_WINDOW_ON 1u /* MATCH window_on */

/* Output pin `pin` of a device drives line `line`: an ISA line or BOARD_PIRQ_A.. (router.h). */
struct board_wire {
    uint8_t device, pin, line;
};

/* A typed port (port.h). */
struct board_port {
    const char *name; /* "serial0": in options, recordings and messages; no two of a board are alike */
    bool present;     /* it has something to be connected to */
    uint8_t kind;     /* enum port_kind */
    uint8_t device;
    const struct port_input *in;   /* NULL: nothing comes in */
    const struct port_output *out; /* NULL: nothing goes out */
    const struct port_pixels *pixels;
    struct drive_config drive; /* PORT_BLOCKS: what power_on tells the controller */
    struct nic_config nic;     /* PORT_FRAMES: likewise */
};

/* Events at the CPU's pins that no flag masks. MATCH cpu_pins */
enum {
    BOARD_PIN_NMI = 1,
    BOARD_PIN_INIT = 2,
    BOARD_PIN_WAIT = 4, /* with INIT: not the bootstrap processor, it waits for a SIPI */
    BOARD_PIN_SIPI = 8, /* bits 8 to 15: the vector */
};

/* The interrupt controller and other devices on the CPU's side. `state`: the board's; CPU's thread only. */
struct board_intc {
    void (*set_line)(void *state, unsigned line, unsigned level);
    bool (*intr)(const void *state);              /* INTR pin */
    uint8_t (*acknowledge)(void *state);          /* INTA cycle: the vector */
    bool (*can_interrupt)(const void *state);     /* false: whatever the lines do, INTR stays low */
    void (*set_ferr)(void *state, bool asserted); /* the CPU's FERR# pin: an x87 error waits, CR0.NE = 0 */
    bool (*ignne)(const void *state);             /* the CPU's IGNNE# pin: such errors are ignored */
    /* As a chip's, of the local devices together; NULL: nothing changes by itself. */
    uint64_t (*next_event)(const void *state);
    void (*advance)(void *state, uint64_t now_ns);
    /* What they do to one another at once, and then what has come at the CPU's other pins since the last
     * call, BOARD_PIN_*. Called after everything that changes one of them, before `intr` and `next_event` are
     * asked. NULL: nothing. */
    uint32_t (*settle)(void *state);
    uint32_t (*pins)(const void *state); /* BOARD_PIN_* that may come by themselves; NULL: none */
    void (*nmi)(void *state);            /* a pulse at LINT1; NULL: the wire leads to the CPU's NMI pin */
    /* IA32_APIC_BASE. The write is false where the value is none. NULL, both: there is no local APIC. */
    uint64_t (*apic_base)(const void *state);
    bool (*set_apic_base)(void *state, uint64_t value);
};

struct board {
    struct board_device device[BOARD_DEVICES_MAX];
    struct board_range range[BOARD_RANGES_MAX];
    struct board_window window[BOARD_WINDOWS_MAX];
    struct board_port port[BOARD_PORTS_MAX];
    struct board_wire wire[BOARD_WIRES_MAX];
    unsigned ndevices, nranges, nwindows, nports, nwires;
    size_t state_bytes;
    struct board_intc intc;
    /* The ISA line that INTA#.. (0..3) is routed to, or BOARD_NO_LINE; NULL: no PCI bus. */
    unsigned (*pirq_route)(const void *state, unsigned pirq);
    /* Where window n is: its address, a multiple of 4, plus BOARD_WINDOW_ON; 0: nowhere. NULL: no windows. */
    uint32_t (*window_at)(const void *state, unsigned n);
    /* Value of remap n of physical memory (mem/remap.h: A20, shadow RAM), n < nremaps; NULL: nremaps is 0. */
    uint32_t (*remap_value)(const void *state, unsigned n);
    unsigned nremaps;
    /* May the device use memory now? NULL: no device of the board ever does. */
    bool (*may_master)(const void *state, unsigned device);
    /* ISA DMA (chip.h, struct chip_dma) on the channel that the device is wired to. memory: NULL if there is
     * none. NULL: no device of the board has it. */
    uint32_t (*dma)(void *state, const struct mem_master *memory, unsigned device, bool to_memory,
                    uint8_t *data, uint32_t bytes, bool *terminal_count);
    /* Power-on state of everything at virtual time zero; `rtc_seconds`: the calendar then (Unix seconds). */
    void (*power_on)(void *state, const struct board *b, int64_t rtc_seconds);
    uint64_t ram_bytes;                   /* what is fitted: power_on tells the CMOS */
    uint16_t boot_flags, boot_flags_once; /* what firmware boots from: likewise (pc.h) */
};

#endif
