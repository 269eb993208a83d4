/* fw_cfg.h - the emulators' firmware configuration device (QEMU's docs/specs/fw_cfg.rst): how firmware learns
 * of the machine, by numbered items and by files, through I/O ports or by DMA.
 *
 *   510h  selector, a write of 16 bits (offset FW_CFG_OFF_SELECTOR)
 *   511h  data, reads of 8 bits: the next byte of the selected item, 0 past its end (FW_CFG_OFF_DATA)
 *   514h  address of a DMA command, two big-endian halves, of which the second starts it; reads "QEMU CFG"
 *
 * The items are constant data of the machine, which the board hands over (board_device.constant); they
 * outlive it. Access: reads of 510h and 511h synchronous, of the DMA register pure; writes posted. */
#ifndef TANDEM_HW_FW_CFG_H
#define TANDEM_HW_FW_CFG_H

#include "hw/chip.h"

#define FW_CFG_IOBASE 0x510

enum {
    FW_CFG_OFF_SELECTOR = 0,
    FW_CFG_OFF_DATA = 1,
    FW_CFG_OFF_DMA = 4,
    FW_CFG_PORTS = 12,
};

enum { /* items by number */
       FW_CFG_SIGNATURE = 0x00,
       FW_CFG_ID = 0x01,
       FW_CFG_RAM_SIZE = 0x03,
       FW_CFG_NOGRAPHIC = 0x04,
       FW_CFG_NB_CPUS = 0x05,
       FW_CFG_KERNEL_ADDR = 0x07,
       FW_CFG_KERNEL_SIZE = 0x08,
       FW_CFG_INITRD_ADDR = 0x0A,
       FW_CFG_INITRD_SIZE = 0x0B,
       FW_CFG_BOOT_MENU = 0x0E,
       FW_CFG_MAX_CPUS = 0x0F,
       FW_CFG_KERNEL_DATA = 0x11,
       FW_CFG_INITRD_DATA = 0x12,
       FW_CFG_CMDLINE_ADDR = 0x13,
       FW_CFG_CMDLINE_SIZE = 0x14,
       FW_CFG_CMDLINE_DATA = 0x15,
       FW_CFG_SETUP_ADDR = 0x16,
       FW_CFG_SETUP_SIZE = 0x17,
       FW_CFG_SETUP_DATA = 0x18,
       FW_CFG_FILE_DIR = 0x19,
       FW_CFG_FILE_FIRST = 0x20,
};

#define FW_CFG_ITEMS_MAX  128
#define FW_CFG_NAME_BYTES 56 /* of a file, with its NUL */
#define FW_CFG_ENTRY      64 /* bytes of a file's entry in FW_CFG_FILE_DIR */
#define FW_CFG_DIR_BYTES  (4 + FW_CFG_ITEMS_MAX * FW_CFG_ENTRY)

struct fw_cfg_item {
    const uint8_t *data;
    uint32_t bytes;
    uint16_t key;
    char name[FW_CFG_NAME_BYTES]; /* empty: no file */
};

/* Data are borrowed. */
struct fw_cfg_items {
    struct fw_cfg_item item[FW_CFG_ITEMS_MAX];
    unsigned n;
    uint8_t dir[FW_CFG_DIR_BYTES]; /* of FW_CFG_FILE_DIR */
};

/* False: no room, the name is empty or too long, or there is such an item. */
bool fw_cfg_add(struct fw_cfg_items *items, uint16_t key, const void *data, uint32_t bytes);
bool fw_cfg_add_file(struct fw_cfg_items *items, const char *name, const void *data, uint32_t bytes);
/* Numbers the files by their names and writes their directory; nothing may be added afterwards. */
void fw_cfg_finish(struct fw_cfg_items *items);

struct fw_cfg {
    uint64_t master_ns;  /* the next piece of a DMA command; NS_NEVER: none under way */
    uint64_t command;    /* guest address of the command, as written */
    uint64_t address;    /* of the next byte to move */
    uint32_t left;       /* bytes to move */
    uint32_t offset;     /* in the selected item: of the next byte */
    uint16_t key;        /* the selected item */
    uint8_t moving;      /* 1: bytes of a command are under way; 0: the command itself is to be read */
    uint8_t reserved[5]; /* always 0 */
};

extern const struct chip_class fw_cfg_class;

#endif
