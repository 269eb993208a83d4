/* acpi_loader.h - the board's ACPI tables for firmware to place: what fw_cfg's file "etc/table-loader" says.
 *
 * Threads: a pure function. Memory: writes only into the caller's struct. */
#ifndef TANDEM_MACHINE_ACPI_LOADER_H
#define TANDEM_MACHINE_ACPI_LOADER_H

#include "hw/acpi.h"

#define ACPI_LOADER_RSDP   "etc/acpi/rsdp"
#define ACPI_LOADER_TABLES "etc/acpi/tables"
#define ACPI_LOADER_SCRIPT "etc/table-loader"

#define ACPI_LOADER_ENTRY      128 /* bytes of a command */
#define ACPI_LOADER_ENTRIES    24
#define ACPI_LOADER_RSDP_BYTES 20

struct acpi_loader {
    uint8_t tables[ACPI_BYTES_MAX]; /* as for address 0; an RSDP that nobody uses comes first */
    size_t tables_bytes;
    uint8_t rsdp[ACPI_LOADER_RSDP_BYTES];
    uint8_t script[ACPI_LOADER_ENTRIES * ACPI_LOADER_ENTRY];
    size_t script_bytes;
};

/* SeaBIOS puts PMBASE at PIIX4_PM_BASE when it finds such a script. False: no room. */
bool acpi_loader_make(struct acpi_loader *l, bool apic);

#endif
