/* kernelrom.c - see kernelrom.h. */
#include "machine/kernelrom.h"

#include <string.h>

#define PNP          0x20
#define PNP_BYTES    0x20
#define PNP_CHECKSUM 0x09

static const uint8_t code[] = {
#include "machine/kernelrom_bytes.h"
};
_Static_assert(sizeof code == KERNELROM_BYTES, "one unit of an option ROM's length");

static uint8_t sum(const uint8_t *p, unsigned n)
{
    uint8_t s = 0;
    while (n--)
        s += *p++;
    return s;
}

void kernelrom_make(uint8_t rom[KERNELROM_BYTES])
{
    memcpy(rom, code, KERNELROM_BYTES);
    rom[2] = KERNELROM_BYTES / 512;
    rom[PNP + PNP_CHECKSUM] = (uint8_t)-sum(rom + PNP, PNP_BYTES);
    rom[KERNELROM_BYTES - 1] = (uint8_t)-sum(rom, KERNELROM_BYTES);
}
