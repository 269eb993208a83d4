/* load_linux.c - the Linux boot protocol (Documentation/x86/boot.rst), 32-bit entry.
 *
 * For firmware, linux_split() gives the parts that kernelrom.S fetches for the 16-bit entry.
 * A bzImage of protocol 2.02 or later: its protected-mode part goes to 1 MiB, the zero page (boot_params), a
 * GDT and the command line below 640 KiB, the initrd page-aligned as high as initrd_addr_max and RAM
 * allow. Entry: CS 0x10, DS..SS 0x18, ESI = zero page, EBP = EDI = EBX = 0, interrupts off.
 *
 * All header values are hostile until checked here.
 * NOT MODELLED: zImage, setup_data, EFI hand-over. */
#include "machine/boot.h"
#include "machine/kernelrom.h"

#include <stdlib.h>
#include <string.h>

#define ACCEPTED "a Linux bzImage (boot protocol 2.02 or later) or a Multiboot 1 kernel is needed"

#define SECTOR      512u
#define PARAGRAPH   16u
#define SETUP_STACK 0x4000u /* heap and stack of the setup code, at least */

/* Loader data, inside BOOT_LOW_FIRST..BOOT_LOW_END. */
#define ZERO_PAGE   0x90000u
#define GDT_ADDR    0x91000u
#define CMDLINE     0x92000u
#define CMDLINE_MAX (BOOT_LOW_END - CMDLINE - 1)

/* Offsets of the setup header, in the file and in the zero page alike. */
enum {
    HDR_SETUP_SECTS = 0x1f1,
    HDR_SYSSIZE = 0x1f4,
    HDR_BOOT_FLAG = 0x1fe,
    HDR_JUMP_LEN = 0x201,
    HDR_MAGIC = 0x202,
    HDR_VERSION = 0x206,
    HDR_TYPE_OF_LOADER = 0x210,
    HDR_LOADFLAGS = 0x211,
    HDR_CODE32_START = 0x214,
    HDR_RAMDISK_IMAGE = 0x218,
    HDR_RAMDISK_SIZE = 0x21c,
    HDR_HEAP_END_PTR = 0x224,
    HDR_CMD_LINE_PTR = 0x228,
    HDR_INITRD_ADDR_MAX = 0x22c,
    HDR_RELOCATABLE = 0x234,
    HDR_CMDLINE_SIZE = 0x238,
    HDR_PREF_ADDRESS = 0x258,
    HDR_INIT_SIZE = 0x260,
    HDR_END_MAX = 0x290, /* boot_params: other fields begin here */
};
#define HDR_MAGIC_VALUE 0x53726448u /* "HdrS" */
#define LOADED_HIGH     1u
#define CAN_USE_HEAP    0x80u
#define LOADER_UNKNOWN  0xffu /* no assigned number */

/* Offsets of boot_params outside the setup header. */
enum {
    BP_ORIG_X = 0x00,
    BP_ORIG_Y = 0x01,
    BP_EXT_MEM_K = 0x02,
    BP_VIDEO_MODE = 0x06,
    BP_VIDEO_COLS = 0x07,
    BP_EGA_BX = 0x0a,
    BP_VIDEO_LINES = 0x0e,
    BP_IS_VGA = 0x0f,
    BP_VIDEO_POINTS = 0x10,
    BP_ACPI_RSDP = 0x070,
    BP_ALT_MEM_K = 0x1e0,
    BP_E820_COUNT = 0x1e8,
    BP_E820 = 0x2d0,
    BP_BYTES = 0x1000,
};
#define E820_BYTES 20u

/* The header's values after parsing, with the defaults of older protocols filled in. */
struct linux_header {
    uint32_t version;
    uint32_t header_end;  /* file offset */
    uint32_t setup_bytes; /* real-mode part */
    uint32_t code_bytes;  /* protected-mode part */
    uint32_t code32_start;
    uint32_t initrd_addr_max; /* last byte that the initrd may use */
    uint32_t cmdline_max;     /* characters, without the terminator */
    uint64_t run_first;       /* the kernel needs RAM [run_first, run_end) before it reads its memory map */
    uint64_t run_end;
};

static bool header_identify(const struct image *k, struct err *e)
{
    if (k->bytes >= 4 && memcmp(k->data, "\177ELF", 4) == 0)
        return err_set(e, "-kernel %s: an ELF file without a Multiboot 1 header; " ACCEPTED, k->name);
    if (k->bytes < HDR_END_MAX)
        return err_set(e, "-kernel %s: too short (%zu bytes) for any kernel; " ACCEPTED, k->name, k->bytes);
    if (le16(k->data + HDR_BOOT_FLAG) != 0xaa55 || le32(k->data + HDR_MAGIC) != HDR_MAGIC_VALUE)
        return err_set(
            e, "-kernel %s: not a kernel image (no Linux setup header, no Multiboot 1 header); " ACCEPTED,
            k->name);
    uint32_t version = le16(k->data + HDR_VERSION);
    if (version < 0x202)
        return err_set(e, "-kernel %s: boot protocol %u.%02u is too old; " ACCEPTED, k->name, version >> 8,
                       version & 0xff);
    if (!(k->data[HDR_LOADFLAGS] & LOADED_HIGH))
        return err_set(e, "-kernel %s: a zImage, which loads below 1 MiB; " ACCEPTED, k->name);
    return true;
}

/* Sizes of the two parts, against the file. */
static bool header_sizes(const struct image *k, struct linux_header *h, struct err *e)
{
    uint32_t sects = k->data[HDR_SETUP_SECTS] ? k->data[HDR_SETUP_SECTS] : 4;
    h->setup_bytes = (sects + 1) * SECTOR;
    h->header_end = HDR_MAGIC + k->data[HDR_JUMP_LEN];
    if (h->header_end > HDR_END_MAX)
        h->header_end = HDR_END_MAX;
    if (k->bytes <= h->setup_bytes)
        return err_set(
            e, "-kernel %s: truncated: %zu bytes, but its header says %u of setup code alone; " ACCEPTED,
            k->name, k->bytes, h->setup_bytes);
    /* syssize counts paragraphs, rounded up; not every build pads the last one (Linux up to 2.6.25,
     * memtest86+, iPXE). */
    uint64_t said = h->version >= 0x204 ? (uint64_t)le32(k->data + HDR_SYSSIZE) * PARAGRAPH : 0;
    if (said >= k->bytes - h->setup_bytes + PARAGRAPH)
        return err_set(e, "-kernel %s: truncated: %zu bytes, but its header says %llu; " ACCEPTED, k->name,
                       k->bytes, (unsigned long long)said + h->setup_bytes);
    h->code_bytes = (uint32_t)(k->bytes - h->setup_bytes);
    return true;
}

/* Fields that later protocols added. A field beyond the header's end reads as absent. */
static uint32_t header_field(const struct image *k, const struct linux_header *h, uint32_t version,
                             uint32_t offset, uint32_t absent)
{
    return h->version >= version && offset + 4 <= h->header_end ? le32(k->data + offset) : absent;
}

static void header_limits(const struct image *k, struct linux_header *h)
{
    h->code32_start = le32(k->data + HDR_CODE32_START);
    h->initrd_addr_max = header_field(k, h, 0x203, HDR_INITRD_ADDR_MAX, 0x37ffffff);
    h->cmdline_max = header_field(k, h, 0x206, HDR_CMDLINE_SIZE, 255);
    if (h->cmdline_max > CMDLINE_MAX)
        h->cmdline_max = CMDLINE_MAX;
    h->run_first = BOOT_HIGH;
    h->run_end = (uint64_t)BOOT_HIGH + h->code_bytes;
    /* The kernel moves itself up to pref_address and unpacks within init_size bytes from there. */
    uint64_t init_bytes = header_field(k, h, 0x20a, HDR_INIT_SIZE, 0);
    uint64_t pref = header_field(k, h, 0x20a, HDR_PREF_ADDRESS, 0) |
                    (uint64_t)header_field(k, h, 0x20a, HDR_PREF_ADDRESS + 4, 0) << 32;
    uint64_t run = pref > BOOT_HIGH ? pref : BOOT_HIGH;
    if (init_bytes && run + init_bytes > h->run_end)
        h->run_end = run + init_bytes < run ? UINT64_MAX : run + init_bytes;
}

/* What both entries need. */
static bool header_common(const struct image *k, uint64_t ram_bytes, struct linux_header *h, struct err *e)
{
    if (!header_identify(k, e))
        return false;
    h->version = le16(k->data + HDR_VERSION);
    if (!header_sizes(k, h, e))
        return false;
    header_limits(k, h);
    if (h->run_end > ram_bytes)
        return err_set(e, "-kernel %s: needs RAM up to %llu MiB, the guest has %llu MiB; use a larger -m",
                       k->name, (unsigned long long)(h->run_end >> 20) + 1,
                       (unsigned long long)(ram_bytes >> 20));
    return true;
}

static bool header_parse(const struct image *k, uint64_t ram_bytes, struct linux_header *h, struct err *e)
{
    if (!header_common(k, ram_bytes, h, e))
        return false;
    if (h->code32_start < BOOT_HIGH || h->code32_start - BOOT_HIGH >= h->code_bytes)
        return err_set(
            e, "-kernel %s: malformed: its entry point %#x is outside of its code at 0x100000; " ACCEPTED,
            k->name, h->code32_start);
    return true;
}

/* As high as allowed, page aligned; *addr is 0 without an initrd. */
static bool initrd_place(const struct boot_source *s, uint64_t ram_bytes, const struct linux_header *h,
                         uint64_t *addr, struct err *e)
{
    *addr = 0;
    if (!s->nmodules)
        return true;
    const struct image *rd = &s->module[0].image;
    uint64_t top = (uint64_t)h->initrd_addr_max + 1;
    if (top > ram_bytes)
        top = ram_bytes;
    uint64_t lowest = (h->run_end + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
    if (rd->bytes < top)
        *addr = (top - rd->bytes) & ~(uint64_t)(PAGE_BYTES - 1);
    if (*addr < lowest)
        return err_set(e,
                       "-initrd %s: its %zu bytes do not fit between the kernel's end at %#llx and %#llx; "
                       "use a larger -m",
                       rd->name, rd->bytes, (unsigned long long)lowest, (unsigned long long)top);
    return true;
}

/* An 80x25 colour text screen with the cursor at the top left, as a VGA BIOS leaves it. */
static void zero_page_screen(uint8_t *bp)
{
    bp[BP_ORIG_X] = 0;
    bp[BP_ORIG_Y] = 0;
    bp[BP_VIDEO_MODE] = 3;
    bp[BP_VIDEO_COLS] = 80;
    put16(bp + BP_EGA_BX, 3); /* 256 KiB, colour */
    bp[BP_VIDEO_LINES] = 25;
    bp[BP_IS_VGA] = 1;
    put16(bp + BP_VIDEO_POINTS, 16);
}

static void zero_page_memory(uint8_t *bp, uint64_t ram_bytes)
{
    struct e820_entry map[E820_ENTRIES];
    uint64_t high_kib = (ram_bytes - BOOT_HIGH) >> 10;
    boot_e820(ram_bytes, map);
    for (unsigned i = 0; i < E820_ENTRIES; i++) {
        uint8_t *p = bp + BP_E820 + i * E820_BYTES;
        put64(p, map[i].base);
        put64(p + 8, map[i].bytes);
        put32(p + 16, map[i].type);
    }
    bp[BP_E820_COUNT] = E820_ENTRIES;
    put16(bp + BP_EXT_MEM_K, (uint16_t)(high_kib > 0xfc00 ? 0xfc00 : high_kib)); /* 63 MiB, as INT 15h 88h */
    put32(bp + BP_ALT_MEM_K, (uint32_t)high_kib);
}

static void zero_page_fill(uint8_t *bp, const struct boot_source *s, const struct linux_header *h,
                           uint64_t ram_bytes, uint64_t initrd_addr, uint32_t rsdp_addr)
{
    memset(bp, 0, BP_BYTES);
    memcpy(bp + HDR_SETUP_SECTS, s->kernel.data + HDR_SETUP_SECTS, h->header_end - HDR_SETUP_SECTS);
    bp[HDR_TYPE_OF_LOADER] = LOADER_UNKNOWN;
    put32(bp + HDR_CMD_LINE_PTR, CMDLINE);
    put32(bp + HDR_RAMDISK_IMAGE, (uint32_t)initrd_addr);
    put32(bp + HDR_RAMDISK_SIZE, s->nmodules ? (uint32_t)s->module[0].image.bytes : 0);
    if (h->version >= 0x20e)
        put64(bp + BP_ACPI_RSDP, rsdp_addr);
    zero_page_screen(bp);
    zero_page_memory(bp, ram_bytes);
}

static bool write_low(struct physmem *mem, const struct boot_source *s, const struct linux_header *h,
                      uint64_t initrd_addr, uint32_t rsdp_addr)
{
    uint8_t bp[BP_BYTES], gdt[BOOT_GDT_BYTES];
    zero_page_fill(bp, s, h, physmem_ram_bytes(mem), initrd_addr, rsdp_addr);
    boot_gdt(gdt);
    return physmem_write(mem, ZERO_PAGE, bp, sizeof bp) && physmem_write(mem, GDT_ADDR, gdt, sizeof gdt) &&
           physmem_write(mem, CMDLINE, s->append, strlen(s->append) + 1);
}

static bool write_high(struct physmem *mem, const struct boot_source *s, const struct linux_header *h,
                       uint64_t initrd_addr)
{
    const struct image *rd = &s->module[0].image;
    return physmem_write(mem, BOOT_HIGH, s->kernel.data + h->setup_bytes, h->code_bytes) &&
           (!s->nmodules || physmem_write(mem, initrd_addr, rd->data, rd->bytes));
}

/* --- the 16-bit entry --- */

bool linux_needs_firmware(const struct image *k)
{
    struct err ignored;
    return header_identify(k, &ignored) && le32(k->data + HDR_CODE32_START) == 0;
}

/* Heap and stack lie in the setup's segment, behind its code. */
static void setup_fill(uint8_t *setup, const struct boot_source *s)
{
    setup[HDR_TYPE_OF_LOADER] = LOADER_UNKNOWN;
    setup[HDR_LOADFLAGS] |= CAN_USE_HEAP;
    put16(setup + HDR_HEAP_END_PTR, KERNELROM_STACK_TOP - 0x200); /* boot.rst: less than the stack by that */
    put32(setup + HDR_CMD_LINE_PTR, KERNELROM_CMDLINE);
    put32(setup + HDR_RAMDISK_IMAGE, 0);
    put32(setup + HDR_RAMDISK_SIZE, s->nmodules ? (uint32_t)s->module[0].image.bytes : 0);
}

bool linux_split(const struct boot_source *s, uint64_t ram_bytes, struct linux_parts *parts, struct err *e)
{
    const struct image *k = &s->kernel;
    struct linux_header h = {0};
    uint64_t initrd_addr;
    if (!header_common(k, ram_bytes, &h, e) || !initrd_place(s, ram_bytes, &h, &initrd_addr, e))
        return false;
    const uint32_t most = h.cmdline_max < KERNELROM_CMDLINE_MAX ? h.cmdline_max : KERNELROM_CMDLINE_MAX;
    if (strlen(s->append) > most)
        return err_set(e, "-append: %zu characters; kernel %s accepts at most %u", strlen(s->append), k->name,
                       most);
    if (h.setup_bytes > KERNELROM_STACK_TOP - SETUP_STACK)
        return err_set(e, "-kernel %s: its setup code of %u bytes does not fit below 640 KiB", k->name,
                       h.setup_bytes);
    *parts = (struct linux_parts){.setup = malloc(h.setup_bytes),
                                  .setup_bytes = h.setup_bytes,
                                  .code = k->data + h.setup_bytes,
                                  .code_bytes = h.code_bytes,
                                  .initrd_addr = (uint32_t)initrd_addr};
    if (!parts->setup)
        return err_set(e, "-kernel %s: no host memory", k->name);
    memcpy(parts->setup, k->data, h.setup_bytes);
    setup_fill(parts->setup, s);
    return true;
}

bool linux_load(struct physmem *mem, const struct boot_source *s, uint32_t rsdp_addr,
                struct boot_entry *entry, struct err *e)
{
    struct linux_header h = {0};
    uint64_t initrd_addr;
    if (!header_parse(&s->kernel, physmem_ram_bytes(mem), &h, e) ||
        !initrd_place(s, physmem_ram_bytes(mem), &h, &initrd_addr, e))
        return false;
    if (strlen(s->append) > h.cmdline_max)
        return err_set(e, "-append: %zu characters; kernel %s accepts at most %u", strlen(s->append),
                       s->kernel.name, h.cmdline_max);
    if (!write_low(mem, s, &h, initrd_addr, rsdp_addr) || !write_high(mem, s, &h, initrd_addr))
        return err_set(e, "-kernel %s: does not fit in RAM", s->kernel.name);
    *entry = (struct boot_entry){.eip = h.code32_start, .esi = ZERO_PAGE, .gdt_addr = GDT_ADDR};
    return true;
}
