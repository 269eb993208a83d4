/* acpi.h - the ACPI 1.0 tables of this board, built for a machine booted without firmware, and for firmware
 * to place.
 *
 * Threads: a pure function. Memory: writes only into the caller's buffer. */
#ifndef TANDEM_HW_ACPI_H
#define TANDEM_HW_ACPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACPI_BYTES_MAX 8192

/* Builds RSDP, RSDT, FADT, FACS, DSDT and, with `apic`, MADT for physical address phys_base (a multiple of
 * 64; for the RSDP to be found, in E0000h..FFFFFh) into buf, which must hold `bytes` >= ACPI_BYTES_MAX.
 * Returns the bytes used and the RSDP's address through rsdp_addr (may be NULL); 0: no room or a
 * bad base. */
size_t acpi_build(uint8_t *buf, size_t bytes, uint32_t phys_base, bool apic, uint32_t *rsdp_addr);
/* The MADT alone, for whoever places tables otherwise: its bytes; 0: no room. */
size_t acpi_madt(uint8_t *buf, size_t bytes);

#endif
