/* pci.h - one function of a PCI bus: its configuration space (PCI Local Bus Specification 2.1, chapter 6).
 *
 * A function is 256 bytes of state, which the host bridge keeps, and a constant description: registers with
 * their value after reset and the bits that software may change, and base address registers (BARs). All bits
 * that are not described are 0 and read-only. Sizing a BAR (write ones, read back) needs nothing more: the
 * bits below its size cannot be changed. What a BAR decodes follows from its value and the command register
 * alone; the board turns that into windows (board.h) and the bus into remaps that take effect at a tick.
 *
 * An expansion ROM (6.2.5.2) is a BAR more, whose size the board says: it depends on the file.
 *
 * NOT MODELLED: 64-bit BARs, BARs below 1 MiB, capabilities, status bits. */
#ifndef TANDEM_HW_PCI_H
#define TANDEM_HW_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PCI_CONFIG_BYTES            256
#define PCI_BARS                    6
#define PCI_BAR_ROM                 PCI_BARS /* number of the expansion ROM's */
#define PCI_ROM_LOG2_MIN            11
#define PCI_ROM_LOG2_MAX            24
#define PCI_DEVFN(device, function) ((device) << 3 | (function))

enum { /* registers, by offset */
       PCI_VENDOR = 0x00,
       PCI_DEVICE = 0x02,
       PCI_COMMAND = 0x04,
       PCI_STATUS = 0x06,
       PCI_REVISION = 0x08,
       PCI_CLASS = 0x0A,
       PCI_HEADER_TYPE = 0x0E,
       PCI_BAR0 = 0x10,
       PCI_ROM_BASE = 0x30,
       PCI_INTERRUPT_LINE = 0x3C,
       PCI_INTERRUPT_PIN = 0x3D,
};

enum { /* command register */
       PCI_COMMAND_IO = 1,
       PCI_COMMAND_MEMORY = 2,
       PCI_COMMAND_MASTER = 4,
};

struct pci_reg {
    uint8_t reg;
    uint8_t value; /* after reset */
    uint8_t mask;  /* writable bits */
};

struct pci_bar {
    uint32_t bytes; /* a power of two, at least 16 (memory) or 4 (I/O); 0: no such BAR */
    bool io;
};

struct pci_function {
    uint8_t devfn;              /* PCI_DEVFN */
    const struct pci_reg *regs; /* `nregs` of them, none of a BAR */
    size_t nregs;
    struct pci_bar bar[PCI_BARS];
};

/* `cfg`: the function's PCI_CONFIG_BYTES; `reg` below that. */
void pci_reset(const struct pci_function *f, uint8_t *cfg);
void pci_write(const struct pci_function *f, uint8_t *cfg, unsigned reg, uint8_t value);
/* Is BAR n decoded, and from which address on? */
bool pci_bar_decoded(const struct pci_function *f, const uint8_t *cfg, unsigned n, uint32_t *address);
/* A byte of the expansion ROM's base address. The ROM has 2^rom_log2 bytes; out of range: there is none. */
void pci_write_rom(uint8_t *cfg, unsigned reg, uint8_t value, unsigned rom_log2);
bool pci_rom_decoded(const uint8_t *cfg, unsigned rom_log2, uint32_t *address);
/* May it use memory by itself? */
bool pci_may_master(const uint8_t *cfg);

#endif
