/* mc146818.h - MC146818A real-time clock with 128 bytes of CMOS RAM.
 *
 * Output bit 0: IRQ8 (active high here).
 * Access: writes of both ports posted; reads of port 71h synchronous (register C clears itself). */
#ifndef TANDEM_HW_MC146818_H
#define TANDEM_HW_MC146818_H

#include "hw/chip.h"

#include <stdbool.h>

enum {
    MC146818_OFF_INDEX = 0, /* port 70h; reads all ones */
    MC146818_OFF_DATA = 1,  /* port 71h */
};

/* CMOS bytes that a board fills in (mc146818_set_cmos). */
enum {
    CMOS_SHUTDOWN_STATUS = 0x0F,
    CMOS_FLOPPY_TYPES = 0x10,
    CMOS_EQUIPMENT = 0x14,
    CMOS_BASE_MEM_LO = 0x15, /* KiB below 1 MiB */
    CMOS_BASE_MEM_HI = 0x16,
    CMOS_EXT_MEM_LO = 0x17, /* KiB above 1 MiB, at most 65535; again at 30h, 31h */
    CMOS_EXT_MEM_HI = 0x18,
    CMOS_EXT_MEM2_LO = 0x30,
    CMOS_EXT_MEM2_HI = 0x31,
    CMOS_CENTURY = 0x32,
    CMOS_MEM_16M_LO = 0x34, /* 64 KiB blocks above 16 MiB */
    CMOS_MEM_16M_HI = 0x35,
    CMOS_BOOT_3 = 0x38, /* upper half: the third device to boot from; bit 0: no signature is asked for */
    CMOS_BOOT_1 =
        0x3D, /* the first device to boot from in the lower half, the second one in the upper half */
    CMOS_NEXT_BOOT =
        0x7E, /* the board's own, if what is booted once differs: 3Dh and 38h from the next reset on */
};

struct mc146818 {
    uint64_t div_base_ns; /* virtual ns at which the divider chain was zero (mod 2^64) */
    uint64_t settled_ns;  /* time registers and flags are right as of this instant */
    uint64_t next_ns;     /* next event: an enabled flag rises; NS_NEVER: none */
    uint8_t ram[128];     /* [0..9] time and alarm at settled_ns, [10..13] A..D, rest CMOS */
    uint32_t index;       /* port 70h: bits 0..6 register, bit 7 NMI mask */
    uint32_t reserved;    /* always 0 */
};

extern const struct chip_class mc146818_class;

/* Sets the calendar (UTC) so that a second begins at now_ns. After reset, or whenever the board likes. */
void mc146818_set_time(struct mc146818 *s, uint64_t unix_seconds, uint64_t now_ns);
/* The calendar at now_ns as seconds since 1970. */
uint64_t mc146818_get_time(const struct mc146818 *s, uint64_t now_ns);
/* A CMOS byte, 0Eh..7Fh; 0 for registers below. */
uint8_t mc146818_cmos(const struct mc146818 *s, unsigned index);
/* Fills a CMOS byte, 0Eh..7Fh; registers below are ignored. */
void mc146818_set_cmos(struct mc146818 *s, unsigned index, uint8_t value);
/* The RESET pin: interrupts off, flags cleared; time and CMOS stay (battery). */
void mc146818_reset_pin(struct mc146818 *s, uint64_t now_ns);

#endif
