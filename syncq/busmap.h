/* busmap.h - which device answers a port or an address, and how (access class, latency).
 *
 * Filled by the board at start-up, then read-only: shared by both sides without synchronization.
 * Unclaimed ports read all ones and ignore writes. */
#ifndef TANDEM_SYNCQ_BUSMAP_H
#define TANDEM_SYNCQ_BUSMAP_H

#include <stdbool.h>
#include <stdint.h>

enum access_class {
    CLASS_POSTED, /* writes only: stamped, queued, the vCPU runs on to t + L */
    CLASS_SYNC,   /* stamped, queued, the vCPU waits for the answer */
    CLASS_PURE,   /* reads only: answered on the vCPU's thread from settled chip state */
    CLASS_LOCAL,  /* vCPU-side hardware (8259): served on the vCPU's thread, no link */
    CLASS_NONE,   /* reads all ones / write ignored, no trip */
};

#define BUS_RANGES_MAX 128

struct bus_range {
    uint64_t first, last; /* ports or physical addresses, inclusive */
    uint16_t dev;         /* device number */
    uint8_t read_class, write_class;
    uint8_t width; /* widest access in bytes (1, 2, 4); wider ones are split ascending */
    bool mmio;
    uint64_t latency_ticks; /* L(d) >= 1 */
    uint32_t base_offset;   /* chip offset of `first` */
    /* CLASS_PURE (state: the chip) and CLASS_LOCAL (state: anything of the vCPU's side). */
    void *state;
    uint32_t (*read)(void *state, uint32_t offset, unsigned size, uint64_t now_ns);
    void (*write)(void *state, uint32_t offset, unsigned size, uint32_t value, uint64_t now_ns);
    uint32_t (*pure_read)(const void *state, uint32_t offset, unsigned size, uint64_t now_ns);
    /* CLASS_PURE: this read has a side effect as the chip stands, and is synchronous. NULL: none ever has. */
    bool (*read_changes)(const void *state, uint32_t offset);
};

struct busmap {
    struct bus_range range[BUS_RANGES_MAX]; /* [0] is the unclaimed range */
    unsigned nranges;
    uint8_t port_range[65536]; /* port -> index in range[]; 0: unclaimed */
};

void busmap_init(struct busmap *m);
/* Adds a range; returns its index, or -1: full or overlapping (our bug: the board checks). */
int busmap_add(struct busmap *m, const struct bus_range *r);
/* Index of the MMIO range that holds phys_addr; 0: none. */
unsigned busmap_find_mmio(const struct busmap *m, uint64_t phys_addr);

#endif
