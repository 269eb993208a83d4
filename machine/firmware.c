/* firmware.c - see firmware.h. */
#include "machine/firmware.h"

#include "machine/pcmem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPTION_ROM_BYTES 0x20000 /* C0000-DFFFF */
#define ROM_SECTOR       512u
#define ROM_BYTES_MAX    (16u << 20)

/* dir/name if such a file can be read, else NULL. dir NULL: as named. */
static char *try_path(const char *dir, const char *name)
{
    char *path = NULL;
    if (asprintf(&path, "%s%s%s", dir ? dir : "", dir ? "/" : "", name) < 0)
        return NULL;
    if (access(path, R_OK) == 0)
        return path;
    free(path);
    return NULL;
}

/* Path of a file, owned by the caller; `option` ("-bios") heads the message. NULL: e says why. */
static char *find(const struct firmware_dirs *dirs, const char *option, const char *name, struct err *e)
{
    char *path = try_path(NULL, name);
    for (unsigned i = 0; !path && i < dirs->ndirs; i++)
        path = try_path(dirs->dir[i], name);
    if (!path)
        path = try_path(FIRMWARE_DIR, name);
    if (!path)
        path = try_path(FIRMWARE_ROM_DIR, name);
    if (!path)
        err_set(
            e,
            "%s: %s: no such file that can be read, neither as named nor in %s%s; a file there, or -L DIR, "
            "is needed (Debian's package seabios has " FIRMWARE_DEFAULT ")",
            option, name, dirs->ndirs ? "the directories of -L and in " : "", FIRMWARE_DIR);
    return path;
}

struct size_rule {
    uint32_t least, most, unit; /* bytes */
    const char *text;
};
static const struct size_rule bios_size = {PCMEM_ROM_UNIT, PCMEM_ROM_BYTES, PCMEM_ROM_UNIT,
                                           "firmware of 64 KiB to 16 MiB, a multiple of 64 KiB,"};
static const struct size_rule rom_size = {ROM_SECTOR, ROM_BYTES_MAX, 1,
                                          "an option ROM of 512 bytes to 16 MiB"};

static bool size_is_good(const struct size_rule *rule, const char *option, const char *path, struct err *e)
{
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return true; /* image_read knows what to say */
    if (st.st_size >= rule->least && st.st_size <= rule->most && st.st_size % rule->unit == 0)
        return true;
    return err_set(e, "%s %s: has %lld bytes; %s is accepted", option, path, (long long)st.st_size,
                   rule->text);
}

bool firmware_read(struct image *img, const struct firmware_dirs *dirs, const char *name, struct err *e)
{
    char *path = find(dirs, "-bios", name ? name : FIRMWARE_DEFAULT, e);
    bool ok = path && size_is_good(&bios_size, "-bios", path, e) &&
              image_read(img, "-bios", path, PCMEM_ROM_BYTES, e);
    free(path);
    if (ok && img->bytes % PCMEM_ROM_UNIT != 0) { /* the file has just changed */
        image_free(img);
        return err_set(e, "-bios: the file changed while it was read");
    }
    return ok;
}

bool firmware_read_vgabios(struct image *img, const struct firmware_dirs *dirs, struct err *e)
{
    char *path = find(dirs, "-vga std", FIRMWARE_VGABIOS, e);
    bool ok = path && image_read(img, "-vga std", path, OPTION_ROM_BYTES, e);
    free(path);
    return ok;
}

void firmware_boot_init(struct firmware_boot *b)
{
    *b = (struct firmware_boot){.splash_ms = -1, .reboot_ms = -1};
}

/* PCI 2.1, 6.3.1.1 and the PnP BIOS specification: 55 AA, then the length in units of 512 bytes. */
static bool rom_is_good(const struct image *img, struct err *e, const char *option)
{
    const uint8_t *p = img->data;
    if (img->bytes < ROM_SECTOR || p[0] != 0x55 || p[1] != 0xaa)
        return err_set(e, "%s %s: not an option ROM (it does not begin with 55 AA)", option, img->name);
    if (p[2] == 0 || p[2] * ROM_SECTOR > img->bytes)
        return err_set(
            e,
            "%s %s: its header says %u bytes, the file has %zu; 512 bytes up to the file's size are "
            "accepted",
            option, img->name, p[2] * ROM_SECTOR, img->bytes);
    return true;
}

/* PCI Firmware Specification 3.0, 5.1.2: at 18h stands where "PCIR", vendor and device are. */
enum { ROM_CHECKSUM = 6, ROM_PCIR_AT = 0x18, PCIR_VENDOR = 4, PCIR_DEVICE = 6, PCIR_BYTES = 24 };

/* Firmware starts a ROM for the card that its header names alone. One that is for the other form of the card
 * too, as iPXE's is for virtio, gets the name of the one that is there; a byte that the header leaves free
 * makes up for it in the checksum. */
static void name_device(struct image *img, uint16_t vendor, uint16_t device)
{
    uint8_t *p = img->data;
    size_t pcir = img->bytes >= ROM_PCIR_AT + 2 ? le16(p + ROM_PCIR_AT) : 0;

    if (pcir < ROM_PCIR_AT || pcir + PCIR_BYTES > img->bytes || memcmp(p + pcir, "PCIR", 4) != 0 ||
        le16(p + pcir + PCIR_VENDOR) != vendor)
        return;
    for (unsigned i = 0; i < 2; i++) {
        uint8_t *byte = p + pcir + PCIR_DEVICE + i, value = (uint8_t)(device >> 8 * i);
        p[ROM_CHECKSUM] = (uint8_t)(p[ROM_CHECKSUM] + *byte - value);
        *byte = value;
    }
}

static bool read_nic_rom(struct image *img, const struct firmware_dirs *dirs, enum nic_model model,
                         const char *name, struct err *e)
{
    static const uint16_t ids[][2] = {[NIC_E1000] = {0x8086, 0x100E}, [NIC_VIRTIO] = {0x1AF4, 0x1000}};

    if (!firmware_rom_read(img, dirs, "romfile=", name, e))
        return false;
    name_device(img, ids[model][0], ids[model][1]);
    return true;
}

bool firmware_nic_rom_read(struct image *img, const struct firmware_dirs *dirs, enum nic_model model,
                           const char *name, struct err *e)
{
    static const char *const own[] = {[NIC_E1000] = "pxe-e1000.rom", [NIC_VIRTIO] = "pxe-virtio.rom"};
    char *path = NULL;

    *img = (struct image){0};
    if (name)
        return !*name || read_nic_rom(img, dirs, model, name, e);
    for (unsigned i = 0; !path && i < dirs->ndirs; i++)
        path = try_path(dirs->dir[i], own[model]);
    if (!path)
        path = try_path(FIRMWARE_ROM_DIR, own[model]);
    bool ok = !path || read_nic_rom(img, dirs, model, path, e);
    free(path);
    return ok;
}

bool firmware_rom_read(struct image *img, const struct firmware_dirs *dirs, const char *option,
                       const char *name, struct err *e)
{
    char *path = find(dirs, option, name, e);
    bool ok =
        path && size_is_good(&rom_size, option, path, e) && image_read(img, option, path, ROM_BYTES_MAX, e);
    free(path);
    if (ok && !rom_is_good(img, e, option)) {
        image_free(img);
        return false;
    }
    return ok;
}
