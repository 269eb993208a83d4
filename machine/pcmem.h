/* pcmem.h - the PC's physical memory: RAM, VGA memory, shadow RAM, the firmware's ROM, A20.
 *
 *   0-9FFFF        RAM
 *   A0000-BFFFF    video RAM
 *   C0000-FFFFF    shadow RAM, 13 regions by the PAM registers (82441FX data sheet, 3.2.13)
 *   100000-        RAM up to its size, then the bus
 *   -FFFFFFFF      the ROM, up to the end of the 4 GiB
 *
 * Where a PAM register says "not RAM" there is the end of the ROM, of which E0000-FFFFF shows the last 128
 * KiB (82371SB data sheet, XBCS: BIOSCS#), and below it the bus, where nobody answers. Without a ROM all
 * regions are RAM at start, as firmware leaves them; with one they are not. */
#ifndef TANDEM_MACHINE_PCMEM_H
#define TANDEM_MACHINE_PCMEM_H

#include "mem/physmem.h"

/* What firmware may be: the sizes of flash chips, in whole 64 KiB. */
#define PCMEM_ROM_UNIT  0x10000u
#define PCMEM_ROM_BYTES 0x1000000u

/* 0, or an errno. vga: there is a graphics card, with VGA_MEMORY_BYTES (hw/vga.h) of MEM_VRAM. rom: of 1 to
 * PCMEM_ROM_BYTES / PCMEM_ROM_UNIT units; NULL: none. Its remaps have the numbers of enum pc_remap (hw/pc.h).
 */
int pcmem_init(struct physmem *mem, uint64_t ram_bytes, const uint8_t *rom, uint32_t rom_bytes, bool vga);

#endif
