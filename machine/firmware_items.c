/* firmware_items.c - see firmware_items.h. Names and formats: QEMU's docs/specs/fw_cfg.rst, and what SeaBIOS
 * reads (its docs/Runtime_config.md). */
#include "machine/firmware_items.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define E820_BYTES    20
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

static bool add_machine(struct firmware_items *items, const struct firmware_settings *s, struct err *e)
{
    bool ok = add_numbers(items, s) && add_e820(items, s) &&
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

/* SeaBIOS runs what lies in vgaroms/ as the BIOS of a graphics card. */
static bool add_vgabios(struct firmware_items *items, const struct firmware_settings *s, struct err *e)
{
    struct image img;
    if (!s->vga)
        return true;
    if (!firmware_read_vgabios(&img, s->dirs, e))
        return false;
    bool ok = add_file(items, "vgaroms/" FIRMWARE_VGABIOS, img.data, img.bytes);
    image_free(&img);
    return ok || err_set(e, "no host memory for the VGA BIOS");
}

bool firmware_items_make(struct firmware_items *items, const struct firmware_settings *s, struct err *e)
{
    *items = (struct firmware_items){0};
    bool ok = add_machine(items, s, e) && add_vgabios(items, s, e);
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
