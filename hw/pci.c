/* pci.c - see pci.h. */
#include "hw/pci.h"

#include <string.h>

#define BAR_IO         1u /* PCI 2.1, 6.2.5.1: bit 0 says which space; bits 1 to 3 of memory: 32 bits, anywhere */
#define BAR_IO_FLAGS   3u
#define BAR_MEM_FLAGS  15u
#define IO_SPACE_BYTES 0x10000u
#define ROM_ENABLE     1u /* PCI 2.1, 6.2.5.2: bit 0; bits 10 to 1 are reserved */
#define ROM_FLAGS      0x7FFu

/* The BAR that a register belongs to; NULL: none. */
static const struct pci_bar *bar_of(const struct pci_function *f, unsigned reg)
{
    if (reg < PCI_BAR0 || reg >= PCI_BAR0 + 4 * PCI_BARS)
        return NULL;
    return &f->bar[(reg - PCI_BAR0) / 4];
}

static uint8_t writable(const struct pci_function *f, unsigned reg)
{
    const struct pci_bar *bar = bar_of(f, reg);

    if (bar)
        return bar->bytes ? (uint8_t)(~(bar->bytes - 1) >> 8 * (reg & 3)) : 0;
    for (size_t i = 0; i < f->nregs; i++)
        if (f->regs[i].reg == reg)
            return f->regs[i].mask;
    return 0;
}

void pci_reset(const struct pci_function *f, uint8_t *cfg)
{
    memset(cfg, 0, PCI_CONFIG_BYTES);
    for (size_t i = 0; i < f->nregs; i++)
        cfg[f->regs[i].reg] = f->regs[i].value;
    for (unsigned n = 0; n < PCI_BARS; n++)
        if (f->bar[n].bytes && f->bar[n].io)
            cfg[PCI_BAR0 + 4 * n] = BAR_IO;
}

void pci_write(const struct pci_function *f, uint8_t *cfg, unsigned reg, uint8_t value)
{
    uint8_t mask = writable(f, reg);

    cfg[reg] = (uint8_t)((cfg[reg] & ~mask) | (value & mask));
}

static uint32_t dword(const uint8_t *cfg, unsigned reg)
{
    return cfg[reg] | (uint32_t)cfg[reg + 1] << 8 | (uint32_t)cfg[reg + 2] << 16 |
           (uint32_t)cfg[reg + 3] << 24;
}

bool pci_bar_decoded(const struct pci_function *f, const uint8_t *cfg, unsigned n, uint32_t *address)
{
    const struct pci_bar *bar = &f->bar[n];
    uint32_t value = dword(cfg, PCI_BAR0 + 4 * n);

    if (!bar->bytes || !(cfg[PCI_COMMAND] & (bar->io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)))
        return false;
    *address = value & ~(bar->io ? BAR_IO_FLAGS : BAR_MEM_FLAGS);
    return !bar->io || *address < IO_SPACE_BYTES; /* x86 has no I/O port above */
}

static bool has_rom(unsigned rom_log2)
{
    return rom_log2 >= PCI_ROM_LOG2_MIN && rom_log2 <= PCI_ROM_LOG2_MAX;
}

void pci_write_rom(uint8_t *cfg, unsigned reg, uint8_t value, unsigned rom_log2)
{
    uint32_t writable = has_rom(rom_log2) ? ~((1u << rom_log2) - 1) | ROM_ENABLE : 0;
    uint8_t mask = (uint8_t)(writable >> 8 * (reg & 3));

    cfg[reg] = (uint8_t)((cfg[reg] & ~mask) | (value & mask));
}

/* 6.2.5.2: the memory space bit goes before the ROM's own. */
bool pci_rom_decoded(const uint8_t *cfg, unsigned rom_log2, uint32_t *address)
{
    uint32_t value = dword(cfg, PCI_ROM_BASE);

    *address = value & ~ROM_FLAGS;
    return has_rom(rom_log2) && value & ROM_ENABLE && cfg[PCI_COMMAND] & PCI_COMMAND_MEMORY;
}

bool pci_may_master(const uint8_t *cfg)
{
    return cfg[PCI_COMMAND] & PCI_COMMAND_MASTER;
}
