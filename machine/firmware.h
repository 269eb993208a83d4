/* firmware.h - the firmware's file: found, read, its size checked; what users may say to firmware.
 *
 * Threads: at start-up. Memory: the image is the caller's. Errors: a message that names the file. */
#ifndef TANDEM_MACHINE_FIRMWARE_H
#define TANDEM_MACHINE_FIRMWARE_H

#include "hw/nic.h"
#include "machine/image.h"

#define FIRMWARE_DEFAULT  "bios-256k.bin"
#define FIRMWARE_VGABIOS  "vgabios-stdvga.bin"
#define FIRMWARE_DIR      "/usr/share/seabios" /* searched last */
#define FIRMWARE_ROM_DIR  "/usr/lib/ipxe/qemu" /* searched last for ROMs of network cards */
#define FIRMWARE_DIRS_MAX 16

/* Where files of firmware are looked for: as named, then in each of `dir`, then in FIRMWARE_DIR. */
struct firmware_dirs {
    char *const *dir;
    unsigned ndirs;
};

#define FIRMWARE_USER_ITEMS_MAX 32
#define FIRMWARE_NAME_BYTES     56 /* of an item of fw_cfg, with its NUL */

/* -fw_cfg name=NAME,file=FILE or string=TEXT */
struct firmware_user_item {
    char *name, *file, *string; /* of file and string one is NULL */
};

/* The VGA BIOS for cards on the ISA bus. */
bool firmware_read_vgabios(struct image *img, const struct firmware_dirs *dirs, struct err *e);
/* -boot, and what firmware runs beside itself. */
#define FIRMWARE_ROMS_MAX 16
struct firmware_boot {
    char order[4], once[4]; /* letters; once: until the first reset; "": the default, not given */
    bool menu, strict;
    int splash_ms,
        reboot_ms; /* wait at the prompt for the menu; wait before a reset if nothing boots; -1: its own */
    char *rom[FIRMWARE_ROMS_MAX]; /* files of option ROMs, owned by whoever filled this */
    unsigned nroms;
};
void firmware_boot_init(struct firmware_boot *b);

/* An option ROM's file: 55 AA, its length within the file. Its name is looked for as firmware's is. */
bool firmware_rom_read(struct image *img, const struct firmware_dirs *dirs, const char *option,
                       const char *name, struct err *e);
/* The expansion ROM of a network card (romfile=). name: NULL for the model's own, iPXE, which need not be
 * there;
 * "": none. Without one the image is empty, which is no error. */
bool firmware_nic_rom_read(struct image *img, const struct firmware_dirs *dirs, enum nic_model model,
                           const char *name, struct err *e);
/* name: NULL for FIRMWARE_DEFAULT. */
bool firmware_read(struct image *img, const struct firmware_dirs *dirs, const char *name, struct err *e);

#endif
