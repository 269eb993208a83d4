/* boot.h - loading a guest kernel into RAM without firmware: Linux boot protocol or Multiboot 1.
 *
 * boot_source_read() reads the files once; boot_load() fills RAM at start and again at each guest reset, from
 * the same bytes. Loaders trust nothing in an image: every value is checked against the image's size
 * and the RAM before it is used.
 *
 * What boot_load() leaves below 1 MiB for every protocol, as firmware would: the words of the BIOS data area
 * that kernels read, an EBDA of 1 KiB at 9FC00, the ACPI tables in E0000-FFFFF, a model byte at
 * FFFFE. Loader data (zero page or Multiboot info, command lines, a GDT) lies in 08000-9F000.
 *
 * Owner: the machine, while no vCPU runs. */
#ifndef TANDEM_MACHINE_BOOT_H
#define TANDEM_MACHINE_BOOT_H

#include "machine/image.h"
#include "mem/physmem.h"

#define BOOT_MODULES_MAX 64

#define BOOT_LOW_FIRST 0x8000u /* loader data lies in [first, end) when the kernel leaves it free */
#define BOOT_LOW_END   0x9f000u
#define BOOT_EBDA      0x9fc00u
#define BOOT_ACPI      0xe0000u
#define BOOT_MP        0xf0000u /* MP table */
#define BOOT_HIGH      0x100000u

#define BOOT_CS        0x10 /* flat code and data, in the GDT that the loader leaves in memory */
#define BOOT_DS        0x18
#define BOOT_GDT_BYTES 32u

struct boot_module {
    struct image image;
    char *args; /* Multiboot: "file args", the whole text of the module; owned */
};

struct boot_source {
    struct image kernel;
    struct boot_module module[BOOT_MODULES_MAX]; /* Linux: at most one, the initrd */
    unsigned nmodules;
    const char *append; /* -append, never NULL; not owned */
    bool multiboot;     /* the kernel has a Multiboot header */
};

/* CPU state at the kernel's first instruction; all other general registers are 0. */
struct boot_entry {
    uint32_t eip, eax, ebx, esi;
    uint32_t gdt_addr; /* physical; BOOT_GDT_BYTES long */
};

/* What the board contributes: ACPI tables already laid out for BOOT_ACPI, and an MP table for BOOT_MP. */
struct boot_acpi {
    const uint8_t *tables;
    size_t bytes;       /* 0: none */
    uint32_t rsdp_addr; /* physical; 0: none */
    const uint8_t *mp;
    size_t mp_bytes; /* 0: none */
};

/* kernel, initrd: paths; without a kernel nothing is read. append may be NULL. */
bool boot_source_read(struct boot_source *s, const char *kernel, const char *initrd, const char *append,
                      uint64_t ram_bytes, struct err *e);
void boot_source_free(struct boot_source *s);

bool boot_load(struct physmem *mem, const struct boot_source *s, const struct boot_acpi *acpi,
               struct boot_entry *entry, struct err *e);

/* --- shared by the loaders --- */

struct e820_entry {
    uint64_t base, bytes;
    uint32_t type; /* 1: RAM, 2: reserved */
};
#define E820_ENTRIES 4
void boot_e820(uint64_t ram_bytes, struct e820_entry map[E820_ENTRIES]);
void boot_gdt(uint8_t gdt[BOOT_GDT_BYTES]);

/* A Linux kernel for its 16-bit entry, which firmware's option ROM makes (kernelrom.S). */
struct linux_parts {
    uint8_t *setup; /* a copy, its header filled in but for the ramdisk's place; the caller frees it */
    uint32_t setup_bytes;
    const uint8_t *code; /* for BOOT_HIGH; the image's */
    uint32_t code_bytes;
    uint32_t initrd_addr; /* the highest place for the ramdisk; 0: there is none */
};
bool linux_split(const struct boot_source *s, uint64_t ram_bytes, struct linux_parts *parts, struct err *e);
/* Does the image have the 16-bit entry alone (iPXE's)? It needs firmware then. */
bool linux_needs_firmware(const struct image *kernel);

bool linux_load(struct physmem *mem, const struct boot_source *s, uint32_t rsdp_addr,
                struct boot_entry *entry, struct err *e);

/* A Multiboot 1 header, checksum verified. */
struct multiboot_header {
    uint32_t offset; /* in the file */
    uint32_t flags;
    uint32_t header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr; /* if MULTIBOOT_AOUT */
};
#define MULTIBOOT_AOUT (1u << 16)
/* True: found. The address fields are 0 where the file ends before them. */
bool multiboot_find(const struct image *kernel, struct multiboot_header *h);
bool multiboot_load(struct physmem *mem, const struct boot_source *s, struct boot_entry *entry,
                    struct err *e);

#endif
