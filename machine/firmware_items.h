/* firmware_items.h - what firmware is told of the machine: the items of fw_cfg, made from plain data.
 *
 * Threads: at start-up. Memory: the items own what they need; images that are named are borrowed. Errors: a
 * message that names the option. */
#ifndef TANDEM_MACHINE_FIRMWARE_ITEMS_H
#define TANDEM_MACHINE_FIRMWARE_ITEMS_H

#include "hw/fw_cfg.h"
#include "machine/firmware.h"

struct firmware_settings {
    uint64_t ram_bytes;
    uint16_t serial_port; /* at which SeaBIOS shows its screen and reads keys, too; 0: none */
    bool nographic;
    bool apic; /* the board has APICs */
    bool vga;  /* there is a VGA: its BIOS is needed */
    const struct firmware_user_item *user;
    unsigned nuser;
    const struct boot_source *kernel; /* that the option ROM starts; an empty image: none */
    const struct firmware_dirs *dirs;
    const struct firmware_boot *boot;
    const struct machine_drive *drive; /* `ndrives` of them: for the boot order */
    unsigned ndrives;
};

struct firmware_items {
    struct fw_cfg_items fw_cfg;
    void *owned[FW_CFG_ITEMS_MAX];
    unsigned nowned;
};

bool firmware_items_make(struct firmware_items *items, const struct firmware_settings *s, struct err *e);
void firmware_items_free(struct firmware_items *items);
/* Of all names and contents: the machine's identity has it. */
uint64_t firmware_items_hash(const struct firmware_items *items);

#endif
