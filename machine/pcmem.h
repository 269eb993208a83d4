/* pcmem.h - the PC's physical memory: RAM, VGA memory, shadow RAM, A20.
 *
 *   0-9FFFF        RAM
 *   A0000-BFFFF    video RAM
 *   C0000-FFFFF    shadow RAM, PAM regions 1 to 13 (82441FX data sheet, 3.2.13): RAM for reads and writes, as
 * firmware leaves it for a kernel that is loaded directly 100000-        RAM up to its size; then the bus
 *
 * NOT MODELLED: the ROM at the end of the 4 GiB and its copy at E0000. */
#ifndef TANDEM_MACHINE_PCMEM_H
#define TANDEM_MACHINE_PCMEM_H

#include "mem/physmem.h"

/* Remap numbers (mem/remap.h): what an EFFECT_REMAP of the board names. */
enum pcmem_remap {
    PCMEM_A20,
    PCMEM_PAM, /* region 0 (F0000-FFFFF, PAM0), then 12 of 16 KiB from C0000 on, in ascending order */
    PCMEM_REMAPS = PCMEM_PAM + 13, /* windows follow */
};

/* 0, or an errno. */
int pcmem_init(struct physmem *mem, uint64_t ram_bytes);

#endif
