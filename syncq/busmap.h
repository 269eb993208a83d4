/* busmap.h - which device answers a port or an address, and how (access class, latency).
 *
 * Filled by the board at start-up. Then the vCPU's thread alone looks things up; the device side gets the
 * range's number and the chip's offset with each access, and of a range it reads only what never changes. A
 * window is a group of ranges of I/O ports that the guest moves together (a PCI BAR, PMBASE). It moves by an
 * effect, at a tick, hence on the vCPU's thread; where it is on top of other ranges, the range with the lower
 * index answers. (Windows in memory move in physical memory, mem/remap.h: their ranges here stay.) Unclaimed
 * ports read all ones and ignore writes. */
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

#define BUS_RANGES_MAX  256
#define BUS_WINDOWS_MAX 48
#define BUS_WINDOW_ON   1u /* MATCH window_on */

struct bus_range {
    uint64_t first, last; /* ports or physical addresses, inclusive; first > last: in a window that is off */
    uint16_t dev;         /* device number */
    uint8_t read_class, write_class;
    uint8_t width; /* widest access in bytes (1, 2, 4); wider ones are split ascending */
    bool mmio;
    uint8_t window;         /* number of the window + 1; 0: it never moves */
    uint16_t window_offset; /* of `first` in the window */
    uint16_t window_bytes;  /* how many ports the range has there */
    uint64_t latency_ticks; /* L(d) >= 1, of posted writes: busmap_latency */
    uint32_t base_offset;   /* chip offset of `first` */
    /* CLASS_PURE (state: the chip) and CLASS_LOCAL (state: anything of the vCPU's side). */
    void *state;
    uint32_t (*read)(void *state, uint32_t offset, unsigned size, uint64_t now_ns);
    void (*write)(void *state, uint32_t offset, unsigned size, uint32_t value, uint64_t now_ns);
    uint32_t (*pure_read)(const void *state, uint32_t offset, unsigned size, uint64_t now_ns);
    bool quiet; /* CLASS_LOCAL: no access changes what the interrupt controllers say */
    /* For the log of guest errors, CLASS_LOCAL only (others go through the bus): the device's name, and what
     * its data sheet says against this write as it stands; NULL: nothing. */
    const char *name;
    const char *(*write_error)(const void *state, uint32_t offset, unsigned size, uint32_t value);
    /* CLASS_PURE: this read has a side effect as the chip stands, and is synchronous. NULL: none ever has. */
    bool (*read_changes)(const void *state, uint32_t offset);
    /* Of the range's first port: accesses that only move through a buffer of the chip (hw/chip.h: run), for
     * reads of CLASS_PURE and writes of CLASS_POSTED. NULL: no such buffer. */
    uint32_t (*run)(void *state, unsigned size, uint32_t n, bool write, uint8_t **at);
};

/* L of an access: what the CPU waits for has had its effects when the next instruction begins. */
static inline uint64_t busmap_latency(const struct bus_range *r, bool write)
{
    return write && r->write_class == CLASS_POSTED ? r->latency_ticks : 1;
}

struct busmap {
    struct bus_range range[BUS_RANGES_MAX]; /* [0] is the unclaimed range */
    unsigned nranges;
    uint8_t mmio[BUS_RANGES_MAX]; /* indices of the MMIO ranges, by address; nmmio of them */
    unsigned nmmio;
    uint8_t port_range[65536];        /* port -> index in range[]; 0: unclaimed */
    uint32_t window[BUS_WINDOWS_MAX]; /* where each one is: first port | BUS_WINDOW_ON */
};

void busmap_init(struct busmap *m);
/* Adds a range; returns its index, or -1: full or overlapping (our bug: the board checks). */
int busmap_add(struct busmap *m, const struct bus_range *r);
/* Adds a range of I/O ports, `first` to `last` from the start of window n, which is off; likewise. */
int busmap_add_in_window(struct busmap *m, unsigned n, const struct bus_range *r);
/* Window n goes to port `value` & ~3, or away without BUS_WINDOW_ON. The vCPU's thread. */
void busmap_move(struct busmap *m, unsigned n, uint32_t value);
/* window[] was loaded: everything goes where it says. */
void busmap_loaded(struct busmap *m);
/* Index of the MMIO range that holds phys_addr; 0: none. */
unsigned busmap_find_mmio(const struct busmap *m, uint64_t phys_addr);

#endif
