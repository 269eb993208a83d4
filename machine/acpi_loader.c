/* acpi_loader.c - see acpi_loader.h. Commands: QEMU's interface of the ACPI linker and loader, as SeaBIOS's
 * src/fw/romfile_loader.h reads it: 128 bytes each, little-endian, names of 56 bytes.
 *
 * Tables that are built for address 0 have offsets in the file for pointers, so that each pointer needs but
 * the file's address added, and each table whose pointers have changed its checksum. */
#include "machine/acpi_loader.h"

#include "machine/image.h"

#include <string.h>

enum { ALLOCATE = 1, ADD_POINTER = 2, ADD_CHECKSUM = 3 };
enum { ZONE_HIGH = 1, ZONE_FSEG = 2 };

#define NAME_BYTES 56

/* ACPI 1.0b, 5.2: offsets in tables. */
#define TABLE_LENGTH   4
#define TABLE_CHECKSUM 9
#define TABLE_HEADER   36
#define FADT_FACS      36
#define FADT_DSDT      40
#define RSDP_CHECKSUM  8
#define RSDP_RSDT      16

/* A new command, zeroed but for its number; NULL: no room. */
static uint8_t *command(struct acpi_loader *l, uint32_t number)
{
    if (l->script_bytes == sizeof l->script)
        return NULL;
    uint8_t *c = l->script + l->script_bytes;
    l->script_bytes += ACPI_LOADER_ENTRY;
    memset(c, 0, ACPI_LOADER_ENTRY);
    put32(c, number);
    return c;
}

static void put_name(uint8_t *to, const char *name)
{
    memcpy(to, name, strlen(name) + 1);
}

static bool allocate(struct acpi_loader *l, const char *file, uint32_t align, uint8_t zone)
{
    uint8_t *c = command(l, ALLOCATE);
    if (!c)
        return false;
    put_name(c + 4, file);
    put32(c + 4 + NAME_BYTES, align);
    c[4 + NAME_BYTES + 4] = zone;
    return true;
}

/* The address of the tables' file is added to the four bytes at `offset` of a file. */
static bool add_pointer(struct acpi_loader *l, const char *file, uint32_t offset)
{
    uint8_t *c = command(l, ADD_POINTER);
    if (!c)
        return false;
    put_name(c + 4, file);
    put_name(c + 4 + NAME_BYTES, ACPI_LOADER_TABLES);
    put32(c + 4 + 2 * NAME_BYTES, offset);
    c[4 + 2 * NAME_BYTES + 4] = 4;
    return true;
}

static bool add_checksum(struct acpi_loader *l, const char *file, uint32_t at, uint32_t first, uint32_t bytes)
{
    uint8_t *c = command(l, ADD_CHECKSUM);
    if (!c)
        return false;
    put_name(c + 4, file);
    put32(c + 4 + NAME_BYTES, at);
    put32(c + 4 + NAME_BYTES + 4, first);
    put32(c + 4 + NAME_BYTES + 8, bytes);
    return true;
}

static bool add_table_checksum(struct acpi_loader *l, uint32_t table)
{
    return add_checksum(l, ACPI_LOADER_TABLES, table + TABLE_CHECKSUM, table,
                        le32(l->tables + table + TABLE_LENGTH));
}

static bool link_fadt(struct acpi_loader *l, uint32_t fadt)
{
    return add_pointer(l, ACPI_LOADER_TABLES, fadt + FADT_FACS) &&
           add_pointer(l, ACPI_LOADER_TABLES, fadt + FADT_DSDT) && add_table_checksum(l, fadt);
}

/* The RSDT's entries, and what the FADT among them points to. */
static bool link_tables(struct acpi_loader *l, uint32_t rsdt)
{
    const uint32_t end = rsdt + le32(l->tables + rsdt + TABLE_LENGTH);
    for (uint32_t entry = rsdt + TABLE_HEADER; entry < end; entry += 4) {
        const uint32_t table = le32(l->tables + entry);
        if (!add_pointer(l, ACPI_LOADER_TABLES, entry))
            return false;
        if (memcmp(l->tables + table, "FACP", 4) == 0 && !link_fadt(l, table))
            return false;
    }
    return add_table_checksum(l, rsdt);
}

bool acpi_loader_make(struct acpi_loader *l, bool apic)
{
    *l = (struct acpi_loader){0};
    l->tables_bytes = acpi_build(l->tables, sizeof l->tables, 0, apic, NULL);
    if (!l->tables_bytes)
        return false;
    memcpy(l->rsdp, l->tables, sizeof l->rsdp);
    return allocate(l, ACPI_LOADER_RSDP, 16, ZONE_FSEG) && allocate(l, ACPI_LOADER_TABLES, 64, ZONE_HIGH) &&
           link_tables(l, le32(l->rsdp + RSDP_RSDT)) && add_pointer(l, ACPI_LOADER_RSDP, RSDP_RSDT) &&
           add_checksum(l, ACPI_LOADER_RSDP, RSDP_CHECKSUM, 0, sizeof l->rsdp);
}
