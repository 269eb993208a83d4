/* ram.h - guest physical RAM.
 *
 * One host mapping for guest physical [0, bytes). VGA text memory (A0000-BFFFF) and the BIOS area
 * (C0000-FFFFF) are plain RAM for now. Addresses beyond are MMIO or unmapped (all ones).
 * Owner: the machine; written by the vCPU's thread, and by loaders before it runs.
 * Dirty pages: one bit a page, set by the vCPU's first store to a clean page and by
 * ram_write; the digest clears them. */
#ifndef TANDEM_MEM_RAM_H
#define TANDEM_MEM_RAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mem/physmem.h"

struct ram {
    uint8_t *host;
    uint64_t bytes;  /* multiple of PAGE_BYTES */
    uint64_t *dirty; /* bit per page */
};

/* 0, or an errno (ENOMEM: the host has not that much). The memory is zero, allocated on touch. */
int ram_init(struct ram *r, uint64_t bytes);
void ram_free(struct ram *r);
/* Zeroes everything (machine reset), marks all dirty. */
void ram_clear(struct ram *r);
/* Copies into guest memory before or between runs; false: out of range. Marks dirty. */
bool ram_write(struct ram *r, uint64_t phys_addr, const void *src, size_t bytes);
bool ram_read(const struct ram *r, uint64_t phys_addr, void *dst, size_t bytes);

#endif
