/* boot.c - reads the images, prepares low memory, and picks the loader. See boot.h. */
#include "machine/boot.h"

#include "machine/optvalue.h"

#include <stdlib.h>
#include <string.h>

#define INITRD "-initrd"

/* The file's name is the module text up to the first space. */
static bool module_read(struct boot_module *m, char *args, uint64_t ram_bytes, struct err *e)
{
    char *path = strndup(args, strcspn(args, " "));
    m->args = args;
    if (!path)
        return err_set(e, INITRD ": no host memory");
    bool ok = *path
                  ? image_read(&m->image, INITRD, path, ram_bytes, e)
                  : err_set(e, INITRD ": a module without a file name; \"FILE ARGS,FILE ARGS\" is accepted");
    free(path);
    return ok;
}

static bool modules_read(struct boot_source *s, const char *text, uint64_t ram_bytes, struct err *e)
{
    do {
        char *args = malloc(strlen(text) + 1);
        if (!args)
            return err_set(e, INITRD ": no host memory");
        list_next(&text, args);
        struct boot_module *m = &s->module[s->nmodules++];
        if (!module_read(m, args, ram_bytes, e))
            return false;
    } while (*text && s->nmodules < BOOT_MODULES_MAX);
    return *text ? err_set(e, INITRD ": more than %d modules", BOOT_MODULES_MAX) : true;
}

/* For Linux the whole text is one file's name, commas and spaces included. */
static bool initrd_read(struct boot_source *s, const char *path, uint64_t ram_bytes, struct err *e)
{
    s->nmodules = 1;
    return image_read(&s->module[0].image, INITRD, path, ram_bytes, e);
}

bool boot_source_read(struct boot_source *s, const char *kernel, const char *initrd, const char *append,
                      uint64_t ram_bytes, struct err *e)
{
    struct multiboot_header h;
    *s = (struct boot_source){.append = append ? append : ""};
    if (!kernel)
        return true;
    bool ok = image_read(&s->kernel, "-kernel", kernel, ram_bytes, e);
    if (ok) {
        s->multiboot = multiboot_find(&s->kernel, &h);
        if (initrd)
            ok = s->multiboot ? modules_read(s, initrd, ram_bytes, e) : initrd_read(s, initrd, ram_bytes, e);
    }
    if (!ok)
        boot_source_free(s);
    return ok;
}

void boot_source_free(struct boot_source *s)
{
    image_free(&s->kernel);
    for (unsigned i = 0; i < s->nmodules; i++) {
        image_free(&s->module[i].image);
        free(s->module[i].args);
    }
    *s = (struct boot_source){.append = ""};
}

void boot_e820(uint64_t ram_bytes, struct e820_entry map[E820_ENTRIES])
{
    map[0] = (struct e820_entry){0, BOOT_EBDA, 1};
    map[1] = (struct e820_entry){BOOT_EBDA, 0xa0000 - BOOT_EBDA, 2};
    map[2] = (struct e820_entry){BOOT_ACPI, BOOT_HIGH - BOOT_ACPI, 2};
    map[3] = (struct e820_entry){BOOT_HIGH, ram_bytes - BOOT_HIGH, 1};
}

void boot_gdt(uint8_t gdt[BOOT_GDT_BYTES])
{
    memset(gdt, 0, BOOT_GDT_BYTES);
    put64(gdt + BOOT_CS, UINT64_C(0x00cf9b000000ffff)); /* code, execute/read, base 0, limit 4 GiB */
    put64(gdt + BOOT_DS, UINT64_C(0x00cf93000000ffff)); /* data, read/write */
}

/* Words that kernels read where a BIOS left them: 80x25 colour text screen, 639 KiB of base memory. */
static const struct bios_word {
    uint32_t addr;
    uint8_t bytes;
    uint16_t value;
} bios_words[] = {
    {0x40e, 2, BOOT_EBDA >> 4}, /* segment of the EBDA */
    {0x410, 2, 0x0022},         /* equipment: FPU, 80x25 colour */
    {0x413, 2, 639},            /* KiB of base memory */
    {0x449, 1, 3},              /* video mode */
    {0x44a, 2, 80},             /* columns */
    {0x44c, 2, 0x1000},         /* bytes in a screen page */
    {0x463, 2, 0x3d4},          /* CRTC port */
    {0x484, 1, 24},             /* rows - 1 */
    {0x485, 2, 16},             /* scan lines of a character */
    {BOOT_EBDA, 1, 1},          /* KiB of EBDA */
    {0xffffe, 1, 0xfc},         /* model: AT */
};

static bool low_memory(struct physmem *mem, const struct boot_acpi *acpi)
{
    bool ok = true;
    for (size_t i = 0; i < sizeof bios_words / sizeof *bios_words; i++) {
        uint8_t b[2];
        put16(b, bios_words[i].value);
        ok = ok && physmem_write(mem, bios_words[i].addr, b, bios_words[i].bytes);
    }
    ok = ok && (!acpi->mp_bytes || physmem_write(mem, BOOT_MP, acpi->mp, acpi->mp_bytes));
    return ok && (!acpi->bytes || physmem_write(mem, BOOT_ACPI, acpi->tables, acpi->bytes));
}

bool boot_load(struct physmem *mem, const struct boot_source *s, const struct boot_acpi *acpi,
               struct boot_entry *entry, struct err *e)
{
    *entry = (struct boot_entry){0};
    if (!low_memory(mem, acpi))
        return err_set(e, "-m: not enough RAM for the low memory area");
    return s->multiboot ? multiboot_load(mem, s, entry, e) : linux_load(mem, s, acpi->rsdp_addr, entry, e);
}
