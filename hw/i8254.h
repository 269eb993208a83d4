/* i8254.h - 8254 programmable interval timer, with system control port B (61h).
 *
 * Everything is integer PIT clocks (1193182 Hz) since virtual time zero. Counter 0 drives IRQ0
 * and has events; counters 1 and 2 are computed when read.
 * Output bit 0: OUT0.
 * Access: data reads are synchronous (byte toggle, latches), port 61h reads are pure, all writes
 * posted. */
#ifndef TANDEM_HW_I8254_H
#define TANDEM_HW_I8254_H

#include "hw/chip.h"

#include <stdbool.h>

#define I8254_HZ 1193182

enum {
    I8254_OFF_COUNTER0 = 0, /* port 40h */
    I8254_OFF_COUNTER1 = 1, /* port 41h */
    I8254_OFF_COUNTER2 = 2, /* port 42h */
    I8254_OFF_CONTROL = 3,  /* port 43h; reads all ones */
    I8254_OFF_PORTB = 4,    /* port 61h */
};

struct i8254_counter {
    uint64_t base_clk;      /* clock at which CE held `count`; modes 2, 3: a period began (mod 2^64) */
    uint64_t load_clk;      /* clock at which CR goes to CE; I8254_CLK_NEVER: no load is due */
    uint32_t count;         /* CE at base_clk, or for good when not running; modes 2, 3: the period */
    uint32_t cr;            /* count register: last count written, 1..65536; 0: none since the control word */
    uint16_t latch;         /* value latched for reading */
    uint8_t latch_bytes;    /* bytes of `latch` still to be read; 0: not latched */
    uint8_t status;         /* latched status byte */
    uint8_t status_latched; /* 1: `status` is to be read first */
    uint8_t mode;           /* 0..5 */
    uint8_t bcd;            /* 1: four decimal digits */
    uint8_t rw;             /* 1: LSB, 2: MSB, 3: LSB then MSB */
    uint8_t gate;           /* GATE pin */
    uint8_t running;        /* 1: CE counts from base_clk; 0: CE stands at `count` */
    uint8_t fired;          /* modes 0, 4: terminal count was reached before CE was stopped */
    uint8_t null_count;     /* 1: CR was written and has not reached CE (status bit 6) */
    uint8_t write_msb;      /* 1: the next data write of a pair is the MSB */
    uint8_t write_lsb;      /* LSB of the pair being written */
    uint8_t read_msb;       /* 1: the next data read of a pair is the MSB */
    uint8_t loaded;         /* 1: CE was loaded since the control word */
};

#define I8254_CLK_NEVER UINT64_MAX

struct i8254 {
    struct i8254_counter counter[3];
    uint64_t next_ns; /* next event: OUT0 changes; NS_NEVER: none */
    uint32_t out0;    /* level shown at pin OUT0 */
    uint32_t portb;   /* port 61h as written: bits 0 (gate 2), 1 (speaker), 2, 3 */
};

extern const struct chip_class i8254_class;

#endif
