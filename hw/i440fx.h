/* i440fx.h - 82441FX host bridge with the PIIX functions' PCI configuration space (mechanism 1)
 * and the reset control register (CF9h).
 *
 * Access: all reads pure, writes posted. The range CF8h..CFFh is one, four bytes wide. */
#ifndef TANDEM_HW_I440FX_H
#define TANDEM_HW_I440FX_H

#include "hw/chip.h"
#include "hw/nic.h"
#include "hw/pci.h"
#include "hw/requests.h"

#include <stdbool.h>

enum {
    I440FX_OFF_ADDRESS = 0, /* port CF8h, dword only */
    I440FX_OFF_RESET = 1,   /* port CF9h, byte */
    I440FX_OFF_DATA = 4,    /* ports CFCh..CFFh */
};

/* Functions on bus 0, in the order of `cfg`: those of the chip set, then those of slots. */
enum {
    I440FX_FN_HOST,    /* 00.0 82441FX */
    I440FX_FN_ISA,     /* 01.0 PIIX3 ISA bridge */
    I440FX_FN_PM,      /* 01.3 PIIX4 power management */
    I440FX_FN_TOY,     /* in a slot: toypci.h */
    I440FX_FN_VIRTIO0, /* virtio_blk.h */
    I440FX_FN_VIRTIO3 = I440FX_FN_VIRTIO0 + 3,
    I440FX_FN_IDE,     /* 01.1 PIIX3 IDE: piix_ide.h */
    I440FX_FN_E1000_0, /* e1000.h; of a slot for a network card one function is there at most */
    I440FX_FN_E1000_3 = I440FX_FN_E1000_0 + NIC_SLOTS - 1,
    I440FX_FN_VIRTIO_NET0, /* virtio_net.h */
    I440FX_FN_VIRTIO_NET3 = I440FX_FN_VIRTIO_NET0 + NIC_SLOTS - 1,
    I440FX_FN_VGA, /* vga.h */
    I440FX_FN_COUNT,
};

#define I440FX_FNS_MAX 32

struct i440fx {
    uint32_t address;                   /* CONFADD, as written: bit 31 enable */
    uint32_t fitted;                    /* bit n: function n of a slot is there; set by the board */
    uint16_t reset_control;             /* CF9h, bits 1 and 2 */
    uint16_t request;                   /* enum hw_request bits */
    uint8_t rom_log2[I440FX_FNS_MAX];   /* size of function n's expansion ROM; 0: none; set by the board */
    uint8_t cfg[I440FX_FN_COUNT * 256]; /* configuration space, 256 bytes a function */
};

extern const struct chip_class i440fx_class;          /* after a reset as firmware leaves it */
extern const struct chip_class i440fx_firmware_class; /* after a reset as firmware finds it */

uint32_t i440fx_take_request(struct i440fx *s);
/* Shadow RAM of a region: MEM_SHADOW_READ, MEM_SHADOW_WRITE (mem/remap.h). Region 0 is F0000-FFFFF, regions 1
 * to 12 are 16 KiB each from C0000 on. 0 out of range. */
#define I440FX_PAM_REGIONS 13
uint32_t i440fx_pam(const struct i440fx *s, unsigned region);
/* ISA line that INTA#..INTD# (0..3) goes to; BOARD_NO_LINE: none. */
unsigned i440fx_pirq_route(const struct i440fx *s, unsigned pirq);
/* Are the registers of power management decoded, and from which port on? */
bool i440fx_pm_decoded(const struct i440fx *s, uint32_t *address);
/* Is BAR n of a function (I440FX_FN_*), or PCI_BAR_ROM, decoded, and from which address on? */
bool i440fx_bar_decoded(const struct i440fx *s, unsigned function, unsigned n, uint32_t *address);
/* May it use memory by itself? */
bool i440fx_may_master(const struct i440fx *s, unsigned function);
/* Are the ports of IDE channel 0 or 1 decoded? */
bool i440fx_ide_decoded(const struct i440fx *s, unsigned channel);
/* A function (I440FX_FN_*); NULL: there is none. */
const struct pci_function *i440fx_function(const struct i440fx *s, unsigned function);
/* Byte `reg` of a function's configuration space (I440FX_FN_*); 0 out of range. */
uint8_t i440fx_config_peek(const struct i440fx *s, unsigned function, unsigned reg);

#endif
