/* piix_bmdma.h - the bus master of one IDE channel (82371AB/EB PIIX4, order 290562, 4.3 and 5.2.1).
 *
 * Registers, by offset: 0 BMIC, 2 BMIS, 4 to 7 BMIDTP; reads are pure. Memory is used by piix_bmdma_move
 * alone, inside the channel's `master`. Threads: plain values. Any value of a register, and any table in
 * memory, is defined. */
#ifndef TANDEM_HW_PIIX_BMDMA_H
#define TANDEM_HW_PIIX_BMDMA_H

#include <stdbool.h>
#include <stdint.h>

struct mem_master;

enum { PIIX_BMIC = 0, PIIX_BMIS = 2, PIIX_BMIDTP = 4, PIIX_BMDMA_BYTES = 8 };
enum { PIIX_BMIC_START = 0x01, PIIX_BMIC_TO_MEMORY = 0x08 };
enum {
    PIIX_BMIS_ACTIVE = 0x01,
    PIIX_BMIS_ERROR = 0x02,
    PIIX_BMIS_INTERRUPT = 0x04,
    PIIX_BMIS_CAPABLE = 0x60
};

struct piix_bmdma {
    uint32_t table;   /* BMIDTP */
    uint32_t next;    /* address of the next region's descriptor */
    uint32_t address; /* in the region under way */
    uint32_t left;    /* bytes of it */
    uint8_t command, status;
    uint8_t last; /* 1: it is the table's last */
    uint8_t reserved;
};

uint8_t piix_bmdma_read(const struct piix_bmdma *s, uint32_t offset);
/* True: it has been started. */
bool piix_bmdma_write(struct piix_bmdma *s, uint32_t offset, uint8_t value);
/* Is it active in this direction? */
bool piix_bmdma_ready(const struct piix_bmdma *s, bool to_memory);
/* Returns how many bytes it has moved. `mm` NULL: bus mastering is off. */
uint32_t piix_bmdma_move(struct piix_bmdma *s, const struct mem_master *mm, uint8_t *data, uint32_t bytes,
                         bool to_memory);

#endif
