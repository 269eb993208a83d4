/* pcmem.c - see pcmem.h. */
#include "machine/pcmem.h"

#include "clockcore/check.h"
#include "hw/pc.h"
#include "mem/remap.h"

enum {
    VGA = 0xa0000,
    VGA_BYTES = 0x20000,
    BIOS = 0xf0000,
    BIOS_BYTES = 0x10000,
    OPTION_ROMS = 0xc0000,
    PAM_BYTES = 0x4000
};

/* Where its switch says "not RAM" a region is the bus's, where nobody answers. */
static void add_shadow(struct physmem *mem, int number, uint32_t first, uint32_t bytes)
{
    CHECK(physmem_add_shadow(mem, first, bytes, mem_target(MEM_BUS, 0), MEM_SHADOW_READ | MEM_SHADOW_WRITE) ==
          number);
}

int pcmem_init(struct physmem *mem, uint64_t ram_bytes)
{
    int rc = physmem_init(mem, ram_bytes);
    if (rc != 0)
        return rc;
    CHECK(physmem_add_a20(mem) == PC_REMAP_A20);
    add_shadow(mem, PC_REMAP_PAM, BIOS, BIOS_BYTES);
    for (int i = 0; i < PC_REMAPS - PC_REMAP_PAM - 1; i++)
        add_shadow(mem, PC_REMAP_PAM + 1 + i, OPTION_ROMS + (uint32_t)i * PAM_BYTES, PAM_BYTES);
    /* The RAM there, which the chip set hides, does for video RAM until there is a graphics card. */
    physmem_map(mem, VGA, VGA_BYTES, mem_target(MEM_VRAM, VGA), mem_target(MEM_VRAM, VGA));
    return 0;
}
