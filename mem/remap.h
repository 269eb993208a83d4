/* remap.h - what the chip set can change in the map while the guest runs: A20, shadow RAM, windows of PCI
 * devices, the place of video memory.
 *
 * The board adds the remaps at start-up, in a fixed order, and gets their numbers. At run time a device emits
 * EFFECT_REMAP (syncq/link.h) with number and value; the vCPU applies it at exactly its tick by
 * physmem_remap() and forgets all translations. Code blocks go by mem_addr_t and stay: moved back, they are
 * found again.
 *
 * A remap's value is all of its state. Windows are seen between the end of RAM and 4 GiB, where
 * physmem_map() shows nothing; of windows that overlap the one with the lower number is seen. */
#ifndef TANDEM_MEM_REMAP_H
#define TANDEM_MEM_REMAP_H

#include "mem/physmem.h"

/* Each returns the remap's number (0, 1, ...), or -1: MEM_REMAPS_MAX are there. */

/* The A20 gate. Value 1: open (at start); 0: the CPU's address bit 20 is 0. Bus masters pass it by. */
int physmem_add_a20(struct physmem *pm);

/* Shadow RAM at [first, +bytes), as a PAM register of the 82441FX switches it (its data sheet, 3.2.13): value
 * bit 0: reads go to RAM, bit 1: writes do; otherwise they go to `outside` (a ROM, or the bus). At start
 * `value`. */
enum { MEM_SHADOW_READ = 1, MEM_SHADOW_WRITE = 2 };
int physmem_add_shadow(struct physmem *pm, phys_addr_t first, uint32_t bytes, mem_target_t outside,
                       uint32_t value);

/* A window (PCI BAR) of `bytes`, a power of two of whole pages, on `target`: the bus at an address of its
 * own, which never moves (so the device sees accesses there, wherever the guest put the window), or a memory.
 * Value: page address | MEM_WINDOW_ON; 0 at start. */
enum { MEM_WINDOW_ON = 1 };
int physmem_add_window(struct physmem *pm, uint32_t bytes, mem_target_t target);

/* The same on a memory, which may also be reached through the bus, as MEM_APERTURE_APART says. */
int physmem_add_memory_window(struct physmem *pm, uint32_t bytes, mem_target_t memory, mem_target_t bus);

/* The place [first, +MEM_APERTURE_BYTES) where a graphics card shows its memory [memory, +memory_bytes) to
 * programs of old. Pages that do not show it are a hole. At start it shows nothing. The value:
 *   bits 1, 0   MEM_APERTURE_MEMORY: as memory, from the page in bits 31 to 12 on; MEM_APERTURE_BUS: through
 * the bus at the same addresses (planes); 0: not at all bit 2       MEM_APERTURE_APART: memory windows show
 * the bus instead of their memory bits 4, 3   where in the place it begins, in units of 32 KiB bits 6, 5 how
 * many units it has, less one */
enum { MEM_APERTURE_MEMORY = 1, MEM_APERTURE_BUS = 2, MEM_APERTURE_APART = 4 };
#define MEM_APERTURE_BYTES 0x20000u
#define MEM_APERTURE_UNIT  0x8000u
static inline uint32_t mem_aperture(uint32_t how, uint32_t unit, uint32_t units, uint32_t at)
{
    return how | unit << 3 | (units - 1) << 5 | at;
}
int physmem_add_aperture(struct physmem *pm, phys_addr_t first, mem_addr_t memory, uint32_t memory_bytes);

/* Applies a value. False: it had it already, nothing changed. The vCPU's thread, or while it stands. */
bool physmem_remap(struct physmem *pm, unsigned number, uint32_t value);
uint32_t physmem_remap_value(const struct physmem *pm, unsigned number);

/* All remaps get their first values: a machine reset that leaves memory alone. */
void physmem_remaps_reset(struct physmem *pm);

/* For physmem.c. */
bool physmem_remaps_init(struct physmem *pm);
void physmem_remaps_free(struct physmem *pm);

#endif
