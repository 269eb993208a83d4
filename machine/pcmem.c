/* pcmem.c - see pcmem.h. */
#include "machine/pcmem.h"

#include "clockcore/check.h"
#include "hw/pc.h"
#include "mem/remap.h"

#include <errno.h>

enum {
    VGA = 0xa0000,
    BIOS = 0xf0000,
    BIOS_BYTES = 0x10000,
    OPTION_ROMS = 0xc0000,
    PAM_BYTES = 0x4000,
    ROM_LOW = 0xe0000, /* the end of the ROM is seen here too */
};
#define MEM_END (UINT64_C(1) << 32)
#define LOW_END UINT64_C(0x100000)

struct rom {
    mem_addr_t first;
    uint32_t bytes; /* 0: none */
};

/* What lies at an address below 1 MiB where it is not RAM. */
static mem_target_t outside(const struct rom *rom, uint32_t addr)
{
    const uint64_t from_end = LOW_END - addr;
    return addr >= ROM_LOW && from_end <= rom->bytes
               ? mem_target(MEM_ROM, (mem_addr_t)(rom->first + rom->bytes - from_end))
               : mem_target(MEM_BUS, 0);
}

static void add_shadow(struct physmem *mem, int number, uint32_t first, uint32_t bytes, const struct rom *rom)
{
    const uint32_t value = rom->bytes ? 0 : MEM_SHADOW_READ | MEM_SHADOW_WRITE;
    CHECK(physmem_add_shadow(mem, first, bytes, outside(rom, first), value) == number);
}

static void add_remaps(struct physmem *mem, const struct rom *rom)
{
    CHECK(physmem_add_a20(mem) == PC_REMAP_A20);
    add_shadow(mem, PC_REMAP_PAM, BIOS, BIOS_BYTES, rom);
    for (int i = 0; i < PC_REMAPS - PC_REMAP_PAM - 1; i++)
        add_shadow(mem, PC_REMAP_PAM + 1 + i, OPTION_ROMS + (uint32_t)i * PAM_BYTES, PAM_BYTES, rom);
}

static bool add_rom(struct physmem *mem, const uint8_t *bytes, struct rom *rom)
{
    if (!rom->bytes)
        return true;
    CHECK(rom->bytes % PCMEM_ROM_UNIT == 0 && rom->bytes <= PCMEM_ROM_BYTES);
    rom->first = physmem_add(mem, MEM_ROM, rom->bytes);
    if (rom->first == MEM_NOWHERE)
        return false;
    const mem_target_t target = mem_target(MEM_ROM, rom->first);
    physmem_put(mem, rom->first, bytes, rom->bytes);
    physmem_map(mem, MEM_END - rom->bytes, rom->bytes, target, target);
    return true;
}

static bool add_vga(struct physmem *mem, mem_addr_t *first)
{
    *first = physmem_add(mem, MEM_VRAM, VGA_MEMORY_BYTES);
    return *first != MEM_NOWHERE;
}

int pcmem_init(struct physmem *mem, uint64_t ram_bytes, const uint8_t *rom_data, uint32_t rom_bytes, bool vga)
{
    mem_addr_t vram = 0;
    struct rom rom = {.bytes = rom_data ? rom_bytes : 0};
    int rc = physmem_init(mem, ram_bytes);
    if (rc != 0)
        return rc;
    if (!add_rom(mem, rom_data, &rom) || (vga && !add_vga(mem, &vram))) {
        physmem_free(mem);
        return ENOMEM;
    }
    add_remaps(mem, &rom);
    /* Without a card the RAM there, which the chip set hides, does for video RAM. */
    if (vga)
        CHECK(physmem_add_aperture(mem, VGA, vram, VGA_MEMORY_BYTES) == PC_REMAP_VGA);
    else
        physmem_map(mem, VGA, MEM_APERTURE_BYTES, mem_target(MEM_VRAM, VGA), mem_target(MEM_VRAM, VGA));
    return 0;
}
