/* toypci.h - a PCI device that no shop sells: one of everything that a device can have, for tests.
 *
 * Registers are 32 bits wide and stand in BAR 0 (4 KiB of memory); BAR 1 (32 I/O ports) shows the first
 * eight. A read is pure and a write posted where nothing else is said.
 *
 *   00 ID      TOYPCI_ID
 *   04 STATUS  TOYPCI_BUSY, _DMA, _TIMER, _FRAME, _ERROR
 *   08 CLEAR   written ones clear DMA, TIMER, FRAME, ERROR; synchronous read: STATUS, all of it cleared then
 *   0C ENABLE  which bits raise a pin: DMA, FRAME and ERROR pin 0 (INTA#), TIMER pin 1 (INTB#)
 *   10 TIMER   period in units of 256 ns, from the write on; 0: off
 *   14 TICKS   how many of the timer's periods have passed
 *   18 READS   synchronous read: counts itself
 *   1C NOW     virtual time in units of 64 ns
 *   20 LIST    address of the first descriptor
 *   24 COUNT   how many descriptors
 *   28 RATE    ns that DMA takes for 16 bytes, besides TOYPCI_SETUP_NS for a descriptor
 *   2C START   a write starts DMA; ignored when it is busy
 *   30 SEND    a write of n sends n bytes of the card's memory as a frame, from its start
 *   34 FRAME   bytes of the frame that has come in, at TOYPCI_FRAME_AT; a write makes room for the next one
 *   38 MOTION  sum of the pointer's motions: x in the low half, y in the high one
 *   3C SCREEN  page address of a picture; width / 8 in bits 0..5, height / 8 in bits 6..11
 *   800..      the card's memory, TOYPCI_RAM_BYTES
 *
 * A descriptor is four words in guest memory: address, bytes, card address, TOYPCI_TO_MEMORY and so on. The
 * card reads it, waits as long as its bytes take, and then moves all of them at one tick. Output bits 0 and
 * 1: INTA#, INTB#. (A real function has one pin.) */
#ifndef TANDEM_HW_TOYPCI_H
#define TANDEM_HW_TOYPCI_H

#include "hw/chip.h"
#include "hw/pci.h"
#include "hw/port.h"

#define TOYPCI_ID        0x544F5901u
#define TOYPCI_SETUP_NS  500
#define TOYPCI_RAM_BYTES 2048
#define TOYPCI_FRAME_AT  1024 /* of the card's memory; a frame has at most so many bytes */
#define TOYPCI_IO_BYTES  32
#define TOYPCI_BAR_BYTES 4096

enum {
    TOYPCI_REG_ID = 0x00,
    TOYPCI_REG_STATUS = 0x04,
    TOYPCI_REG_CLEAR = 0x08,
    TOYPCI_REG_ENABLE = 0x0C,
    TOYPCI_REG_TIMER = 0x10,
    TOYPCI_REG_TICKS = 0x14,
    TOYPCI_REG_READS = 0x18,
    TOYPCI_REG_NOW = 0x1C,
    TOYPCI_REG_LIST = 0x20,
    TOYPCI_REG_COUNT = 0x24,
    TOYPCI_REG_RATE = 0x28,
    TOYPCI_REG_START = 0x2C,
    TOYPCI_REG_SEND = 0x30,
    TOYPCI_REG_FRAME = 0x34,
    TOYPCI_REG_MOTION = 0x38,
    TOYPCI_REG_SCREEN = 0x3C,
    TOYPCI_RAM_AT = 0x800,
};

enum { /* STATUS, CLEAR, ENABLE */
       TOYPCI_BUSY = 1,
       TOYPCI_DMA = 2,   /* a descriptor with TOYPCI_TELL, or the list, is done */
       TOYPCI_TIMER = 4, /* a period has passed */
       TOYPCI_FRAME = 8, /* a frame has come in */
       TOYPCI_ERROR = 16 /* memory was not there, or bus mastering is off */
};

enum {                       /* descriptors */
       TOYPCI_TO_MEMORY = 1, /* else from memory to the card */
       TOYPCI_TELL = 2,      /* set TOYPCI_DMA when it is done */
       TOYPCI_DISK = 4,      /* the other side is the disk at card address * 512, not the card's memory */
};

struct toypci {
    uint64_t timer_ns;  /* end of the timer's period; NS_NEVER: off */
    uint64_t master_ns; /* the card reads a descriptor or moves its bytes; NS_NEVER: not busy */
    uint32_t desc[4];   /* the descriptor whose bytes are under way */
    uint32_t status;    /* but for TOYPCI_BUSY */
    uint32_t enable, timer, ticks, reads, list, count, rate;
    uint32_t index;        /* of the next descriptor */
    uint32_t moving;       /* 1: desc is under way */
    uint32_t send;         /* bytes of a frame that waits to be taken; 0: none */
    uint32_t frame;        /* bytes of the frame that has come in */
    uint32_t x, y, screen; /* MOTION, SCREEN */
    uint32_t reserved;     /* always 0 */
    uint8_t ram[TOYPCI_RAM_BYTES];
};

extern const struct chip_class toypci_class;
extern const struct pci_function toypci_function;
extern const struct port_input toypci_frames_in, toypci_pointer_in;
extern const struct port_output toypci_frames_out;
extern const struct port_pixels toypci_pixels;

#endif
