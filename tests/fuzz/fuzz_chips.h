/* fuzz_chips.h - what the files of fuzz_chips share: the memory of the two copies of a chip, and the pokes.
 *
 * A poke does what a driver or a back end does: a call that is almost right, chosen by the random number r.
 * It is called for both copies with the same r, and must do the same to both. What it returns is compared.
 * Threads: one. */
#ifndef TANDEM_TESTS_FUZZ_CHIPS_H
#define TANDEM_TESTS_FUZZ_CHIPS_H

#include "hw/chip.h"
#include "mem/physmem.h"

#include <stdint.h>

/* Memory of a bus master: each of the two copies has its own, and both do the same to it. */
extern struct physmem memories[2];
extern unsigned copy; /* whose turn it is */

/* The chip's master is due: with memory, unless bits 8 to 11 of r are 0. */
void use_memory(const struct chip_class *chip, void *s, uint64_t r, uint64_t now_ns);
/* Into the memory of the copy whose turn it is. */
void put_guest(uint64_t at, uint64_t v, unsigned bytes);
/* The next number that follows from r. */
static inline uint64_t fuzz_next(uint64_t r)
{
    return r * UINT64_C(6364136223846793005) + 1442695040888963407;
}

uint32_t poke_ide(void *s, uint64_t r, uint64_t now_ns);    /* fuzz_chips_ide.c */
uint32_t poke_toypci(void *s, uint64_t r, uint64_t now_ns); /* fuzz_chips_toypci.c */
/* Tables for guests (ACPI, MP, SMBIOS) into rooms of all sizes. False: one does not say what is so.
 * fuzz_tables.c */
bool fuzz_tables(uint64_t r);

#endif
