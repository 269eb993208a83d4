/* firmware_items.c - see firmware_items.h. Names and formats: QEMU's docs/specs/fw_cfg.rst, and what SeaBIOS
 * reads (its docs/Runtime_config.md). */
#include "machine/firmware_items.h"

#include "hw/smbios.h"
#include "machine/acpi_loader.h"
#include "machine/boot.h"
#include "machine/bootorder.h"
#include "machine/drives.h"
#include "machine/kernelrom.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define E820_BYTES    20
#define ORDER_BYTES   ((MACHINE_DRIVES_MAX + 1) * BOOTORDER_PATH_BYTES)
#define USER_FILE_MAX (64u << 20)
_Static_assert(FIRMWARE_NAME_BYTES == FW_CFG_NAME_BYTES, "names of files");

/* A copy of its own; NULL: no host memory. */
static void *keep(struct firmware_items *items, const void *data, size_t bytes)
{
    void *copy = items->nowned < FW_CFG_ITEMS_MAX ? malloc(bytes + 1) : NULL;
    if (copy)
        items->owned[items->nowned++] = memcpy(copy, data, bytes);
    return copy;
}

static bool add(struct firmware_items *items, uint16_t key, uint64_t value, unsigned bytes)
{
    uint8_t le[8];
    put64(le, value);
    void *data = keep(items, le, bytes);
    return data && fw_cfg_add(&items->fw_cfg, key, data, bytes);
}

static bool add_file(struct firmware_items *items, const char *name, const void *data, size_t bytes)
{
    void *copy = keep(items, data, bytes);
    return copy && fw_cfg_add_file(&items->fw_cfg, name, copy, (uint32_t)bytes);
}

static bool add_number(struct firmware_items *items, const char *name, uint64_t value)
{
    uint8_t le[8];
    put64(le, value);
    return add_file(items, name, le, sizeof le);
}

static bool add_numbers(struct firmware_items *items, const struct firmware_settings *s)
{
    return fw_cfg_add(&items->fw_cfg, FW_CFG_SIGNATURE, "QEMU", 4) &&
           add(items, FW_CFG_ID, 3, 4) && /* the ports, and DMA */
           add(items, FW_CFG_RAM_SIZE, s->ram_bytes, 8) && add(items, FW_CFG_NOGRAPHIC, s->nographic, 2) &&
           add(items, FW_CFG_NB_CPUS, 1, 2) && add(items, FW_CFG_MAX_CPUS, 1, 2);
}

/* RAM as one piece: SeaBIOS knows what a PC has in it. */
static bool add_e820(struct firmware_items *items, const struct firmware_settings *s)
{
    uint8_t entry[E820_BYTES];
    put64(entry, 0);
    put64(entry + 8, s->ram_bytes);
    put32(entry + 16, 1);
    return add_file(items, "etc/e820", entry, sizeof entry);
}

/* What SeaBIOS makes of it: docs/Runtime_config.md. */
static bool add_boot(struct firmware_items *items, const struct firmware_settings *s)
{
    const struct firmware_boot *b = s->boot;
    char order[ORDER_BYTES];
    const size_t bytes =
        bootorder_file(s->drive, s->ndrives, s->kernel->kernel.data, b->strict, order, sizeof order);
    return add(items, FW_CFG_BOOT_MENU, b->menu, 2) &&
           (bytes == 0 || add_file(items, "bootorder", order, bytes)) &&
           (b->splash_ms < 0 || add_number(items, "etc/boot-menu-wait", (uint64_t)b->splash_ms)) &&
           (b->reboot_ms < 0 || add_number(items, "etc/boot-fail-wait", (uint64_t)b->reboot_ms));
}

/* No two drives are first, and so on. */
static bool check_indices(const struct firmware_settings *s, struct err *e)
{
    for (unsigned i = 0; i < s->ndrives; i++)
        for (unsigned k = 0; k < i; k++)
            if (s->drive[i].bootindex >= 0 && s->drive[i].bootindex == s->drive[k].bootindex)
                return err_set(e, "%s: bootindex=%d is another drive's", s->drive[i].option,
                               s->drive[i].bootindex);
    return true;
}

/* An initial ramdisk may be large: it stays where it is. */
static bool add_initrd(struct firmware_items *items, const struct boot_source *s, uint32_t addr)
{
    const struct image *rd = &s->module[0].image;
    if (!s->nmodules)
        return true;
    return add(items, FW_CFG_INITRD_ADDR, addr, 4) && add(items, FW_CFG_INITRD_SIZE, rd->bytes, 4) &&
           fw_cfg_add(&items->fw_cfg, FW_CFG_INITRD_DATA, rd->data, (uint32_t)rd->bytes);
}

static bool add_parts(struct firmware_items *items, const struct boot_source *s, const struct linux_parts *p)
{
    const size_t cmdline = strlen(s->append) + 1;
    void *setup = keep(items, p->setup, p->setup_bytes), *text = keep(items, s->append, cmdline);
    uint8_t rom[KERNELROM_BYTES];
    kernelrom_make(rom);
    return setup && text && add(items, FW_CFG_SETUP_ADDR, KERNELROM_SETUP, 4) &&
           add(items, FW_CFG_SETUP_SIZE, p->setup_bytes, 4) &&
           fw_cfg_add(&items->fw_cfg, FW_CFG_SETUP_DATA, setup, p->setup_bytes) &&
           add(items, FW_CFG_CMDLINE_ADDR, KERNELROM_CMDLINE, 4) &&
           add(items, FW_CFG_CMDLINE_SIZE, cmdline, 4) &&
           fw_cfg_add(&items->fw_cfg, FW_CFG_CMDLINE_DATA, text, (uint32_t)cmdline) &&
           add(items, FW_CFG_KERNEL_ADDR, BOOT_HIGH, 4) && add(items, FW_CFG_KERNEL_SIZE, p->code_bytes, 4) &&
           fw_cfg_add(&items->fw_cfg, FW_CFG_KERNEL_DATA, p->code, p->code_bytes) &&
           add_initrd(items, s, p->initrd_addr) && add_file(items, KERNELROM_FILE, rom, sizeof rom);
}

static bool add_kernel(struct firmware_items *items, const struct firmware_settings *s, struct err *e)
{
    struct linux_parts parts;
    if (!s->kernel->kernel.data)
        return true;
    if (s->kernel->multiboot)
        return err_set(e,
                       "-kernel %s: a Multiboot kernel starts without firmware alone, that is, without -bios",
                       s->kernel->kernel.name);
    if (!linux_split(s->kernel, s->ram_bytes, &parts, e))
        return false;
    bool ok = add_parts(items, s->kernel, &parts);
    free(parts.setup);
    return ok || err_set(e, "no host memory for what firmware is told");
}

static bool add_acpi(struct firmware_items *items, const struct firmware_settings *s, struct err *e)
{
    struct acpi_loader l;
    bool ok = acpi_loader_make(&l, s->apic) && add_file(items, ACPI_LOADER_RSDP, l.rsdp, sizeof l.rsdp) &&
              add_file(items, ACPI_LOADER_TABLES, l.tables, l.tables_bytes) &&
              add_file(items, ACPI_LOADER_SCRIPT, l.script, l.script_bytes);
    return ok || err_set(e, "no host memory for the ACPI tables");
}

static bool add_smbios(struct firmware_items *items, const struct firmware_settings *s, struct err *e)
{
    struct smbios b;
    bool ok = smbios_build(&b, s->ram_bytes) &&
              add_file(items, "etc/smbios/smbios-anchor", b.anchor, sizeof b.anchor) &&
              add_file(items, "etc/smbios/smbios-tables", b.tables, b.tables_bytes);
    return ok || err_set(e, "no host memory for the SMBIOS tables");
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* SeaBIOS runs what is called genroms/NAME after the ROMs of PCI functions. */
static bool add_rom(struct firmware_items *items, const struct firmware_settings *s, const char *file,
                    struct err *e)
{
    struct image img;
    char name[FW_CFG_NAME_BYTES];
    if (!firmware_rom_read(&img, s->dirs, "-option-rom", file, e))
        return false;
    const int n = snprintf(name, sizeof name, "genroms/%s", base_name(file));
    bool ok = (size_t)n < sizeof name && add_file(items, name, img.data, img.bytes);
    image_free(&img);
    return ok || err_set(e, "-option-rom %s: its name is too long (47 bytes are accepted) or was given twice",
                         file);
}

static bool add_roms(struct firmware_items *items, const struct firmware_settings *s, struct err *e)
{
    for (unsigned i = 0; i < s->boot->nroms; i++)
        if (!add_rom(items, s, s->boot->rom[i], e))
            return false;
    return true;
}

static bool add_machine(struct firmware_items *items, const struct firmware_settings *s, struct err *e)
{
    bool ok = add_numbers(items, s) && add_e820(items, s) && add_boot(items, s) &&
              (!s->serial_port || add_number(items, "etc/sercon-port", s->serial_port));
    return ok || err_set(e, "no host memory for what firmware is told");
}

static bool add_named(struct firmware_items *items, const struct firmware_user_item *u, const void *data,
                      size_t bytes, struct err *e)
{
    return add_file(items, u->name, data, bytes) ||
           err_set(e, "-fw_cfg name=%s: there is an item of that name, or no room for more", u->name);
}

static bool add_user(struct firmware_items *items, const struct firmware_user_item *u, struct err *e)
{
    struct image img;
    if (u->string)
        return add_named(items, u, u->string, strlen(u->string), e);
    if (!image_read(&img, "-fw_cfg", u->file, USER_FILE_MAX, e))
        return false;
    bool ok = add_named(items, u, img.data, img.bytes, e);
    image_free(&img);
    return ok;
}

/* A file of this name is to SeaBIOS what lies in the ROM of that PCI function. */
static bool add_vgabios(struct firmware_items *items, const struct firmware_settings *s, struct err *e)
{
    struct image img;
    if (!s->vga)
        return true;
    if (!firmware_read_vgabios(&img, s->dirs, e))
        return false;
    bool ok = add_file(items, "pci1234,1111.rom", img.data, img.bytes);
    image_free(&img);
    return ok || err_set(e, "no host memory for the VGA BIOS");
}

bool firmware_items_make(struct firmware_items *items, const struct firmware_settings *s, struct err *e)
{
    *items = (struct firmware_items){0};
    bool ok = check_indices(s, e) && add_machine(items, s, e) && add_acpi(items, s, e) &&
              add_smbios(items, s, e) && add_vgabios(items, s, e) && add_roms(items, s, e) &&
              add_kernel(items, s, e);
    for (unsigned i = 0; ok && i < s->nuser; i++)
        ok = add_user(items, &s->user[i], e);
    if (ok)
        fw_cfg_finish(&items->fw_cfg);
    return ok;
}

void firmware_items_free(struct firmware_items *items)
{
    for (unsigned i = 0; i < items->nowned; i++)
        free(items->owned[i]);
    *items = (struct firmware_items){0};
}

uint64_t firmware_items_hash(const struct firmware_items *items)
{
    uint64_t hash = 0;
    for (unsigned i = 0; i < items->fw_cfg.n; i++) {
        const struct fw_cfg_item *item = &items->fw_cfg.item[i];
        hash = hash * 31 + XXH3_64bits(item->name, strlen(item->name)) + item->key;
        hash = hash * 31 + XXH3_64bits(item->data, item->bytes);
    }
    return hash;
}
