/* pcmem.h - the PC's physical memory: RAM, VGA memory, shadow RAM, A20.
 *
 *   0-9FFFF        RAM
 *   A0000-BFFFF    video RAM
 *   C0000-FFFFF    shadow RAM, 13 regions by the PAM registers (82441FX data sheet, 3.2.13); RAM at start
 *   100000-        RAM up to its size, then the bus
 *
 * NOT MODELLED: the ROM at the end of the 4 GiB and its copy at E0000. */
#ifndef TANDEM_MACHINE_PCMEM_H
#define TANDEM_MACHINE_PCMEM_H

#include "mem/physmem.h"

/* 0, or an errno. Its remaps have the numbers of enum pc_remap (hw/pc.h). */
int pcmem_init(struct physmem *mem, uint64_t ram_bytes);

#endif
