/* access.h - what goes over the link: the vCPU's accesses to devices, devices' effects on its side. */
#ifndef TANDEM_SYNCQ_ACCESS_H
#define TANDEM_SYNCQ_ACCESS_H

#include <stdint.h>

enum access_kind { ACCESS_PIO_READ, ACCESS_PIO_WRITE, ACCESS_MMIO_READ, ACCESS_MMIO_WRITE };

/* One device access of a vCPU, stamped with its tick. */
struct access {
    uint64_t tick;   /* tick of the accessing instruction (before it retires) */
    uint64_t addr;   /* port or physical address */
    uint32_t value;  /* writes: the value, in the low `size` bytes */
    uint32_t offset; /* of the chip's register: the range may have moved when the access is served */
    uint16_t range;  /* index in the bus map (busmap.h) */
    uint8_t size;    /* 1, 2 or 4 bytes */
    uint8_t kind;    /* enum access_kind */
    uint8_t vcpu;    /* vCPU number */
};

enum effect_kind {
    EFFECT_IRQ,      /* line `line` goes to level `value` (0 or 1) */
    EFFECT_RESET,    /* the guest asked for a machine reset */
    EFFECT_POWEROFF, /* the guest powered the machine off */
    EFFECT_EXIT,     /* isa-debug-exit: leave with status `value` */
    EFFECT_REMAP,    /* remap number `line` of physical memory (mem/remap.h) gets the value `value` */
    EFFECT_REMAP_IO, /* window `line` of the bus map goes to `value` (busmap_move) */
    EFFECT_NMI,      /* a pulse at the NMI pin */
    EFFECT_INIT,     /* a pulse at the INIT pin */
    EFFECT_KINDS
};

/* What devices do to the vCPU's side, applied at exactly `tick`. */
struct effect {
    uint64_t tick;
    uint32_t seq; /* set by the link: order of emission */
    uint16_t dev; /* device number, the tie breaker */
    uint8_t kind; /* enum effect_kind */
    uint8_t line; /* EFFECT_IRQ: interrupt line 0..15; EFFECT_REMAP: its number */
    uint8_t vcpu; /* number of the vCPU that it applies to */
    uint32_t value;
};

#endif
