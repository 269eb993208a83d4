/* piix_ide.h - the IDE function of the PIIX3 (82371SB, order 290550; the bus master by 82371AB, order
 * 290562): its PCI configuration, and one channel with two drives and a bus master.
 *
 * Access, by offset: reads of the data port and of Status while it holds an interrupt are synchronous, all
 * others pure; a data port within a block of DRQ goes through chip_class.run; writes are posted. */
#ifndef TANDEM_HW_PIIX_IDE_H
#define TANDEM_HW_PIIX_IDE_H

#include "hw/ata.h"
#include "hw/chip.h"
#include "hw/pci.h"
#include "hw/piix_bmdma.h"

#define PIIX_IDE_DRIVES    2
#define PIIX_IDE_CHANNELS  2
#define PIIX_IDE_BAR       4 /* the bus masters of both channels, 8 ports each */
#define PIIX_IDE_BAR_PORTS (PIIX_IDE_CHANNELS * PIIX_BMDMA_BYTES)

enum {
    PIIX_IDE_OFF_COMMAND = 0, /* 1F0h to 1F7h, 170h to 177h */
    PIIX_IDE_OFF_CONTROL = 8, /* 3F6h, 376h */
    PIIX_IDE_OFF_BMDMA = 16,
    PIIX_IDE_OFFSETS = PIIX_IDE_OFF_BMDMA + PIIX_BMDMA_BYTES,
};

struct piix_ide {
    struct ata drive[PIIX_IDE_DRIVES];
    struct piix_bmdma dma;
    uint8_t selected; /* DEV as it was written last */
    uint8_t line;     /* INTRQ as the bus master has seen it last: output pin 0 */
    uint8_t reserved[10];
};

extern const struct chip_class piix_ide_class;
extern const struct pci_function piix_ide_function;
extern const struct port_input piix_ide_tray_in; /* PORT_TRAY */
extern const struct port_output piix_ide_tray_out;

/* A drive is at position n (0 or 1) of the channel; `number`: of all drives of the machine. */
void piix_ide_fit(struct piix_ide *s, unsigned n, const struct drive_config *cfg, unsigned number);
/* RESET#: the drives stay. */
void piix_ide_reset_pin(struct piix_ide *s);
/* Are the ports of a channel decoded? `cfg`: the function's configuration space. */
bool piix_ide_decoded(const uint8_t *cfg, unsigned channel);

#endif
