/* images.c - see images.h. */
#include "images.h"

#include <stdlib.h>
#include <string.h>

struct image images_blob(const char *name, size_t bytes, uint8_t fill)
{
    struct image img = {.name = strdup(name), .data = malloc(bytes ? bytes : 1), .bytes = bytes};
    memset(img.data, fill, bytes);
    return img;
}

struct image images_bzimage(void)
{
    const uint32_t setup_bytes = 5 * 512;
    struct image img = images_blob("bzImage", setup_bytes + IMAGE_CODE_BYTES, 0);
    uint8_t *d = img.data;
    d[0x1f1] = 4;                            /* setup_sects */
    put32(d + 0x1f4, IMAGE_CODE_BYTES / 16); /* syssize */
    put16(d + 0x1fe, 0xaa55);
    d[0x200] = 0xeb;
    d[0x201] = 0x6a; /* header up to 0x26c */
    memcpy(d + 0x202, "HdrS", 4);
    put16(d + 0x206, 0x20f);
    d[0x211] = 1; /* LOADED_HIGH */
    put32(d + 0x214, 0x100000);
    put32(d + 0x22c, 0x7fffffff);
    d[0x234] = 1;
    put32(d + 0x238, 2047);
    put64(d + 0x258, 0x200000); /* pref_address */
    put32(d + 0x260, 0x300000); /* init_size */
    memset(d + setup_bytes, 0x90, IMAGE_CODE_BYTES);
    return img;
}

static void put_multiboot(uint8_t *p, uint32_t flags)
{
    put32(p, 0x1badb002);
    put32(p + 4, flags);
    put32(p + 8, 0u - 0x1badb002u - flags);
}

static void put_phdr(uint8_t *p, uint32_t offset, uint32_t vaddr, uint32_t paddr, uint32_t filesz,
                     uint32_t memsz)
{
    const uint32_t fields[8] = {1, offset, vaddr, paddr, filesz, memsz, 7, 0x1000};
    for (int i = 0; i < 8; i++)
        put32(p + 4 * i, fields[i]);
}

struct image images_multiboot_elf(void)
{
    struct image img = images_blob("kernel.elf", 0x3000, 0);
    uint8_t *d = img.data;
    memcpy(d, "\177ELF\1\1\1", 7);
    put16(d + 16, 2);
    put16(d + 18, 3);
    put32(d + 20, 1);
    put32(d + 24, IMAGE_ELF_ENTRY);
    put32(d + 28, IMAGE_ELF_PHDRS);
    put16(d + 40, 52);
    put16(d + 42, 32);
    put16(d + 44, 2);
    put_phdr(d + IMAGE_ELF_PHDRS, 0x1000, 0x100000, 0x100000, 0x1000, 0x1800);
    put_phdr(d + IMAGE_ELF_PHDRS + 32, 0x2000, 0xf0200000, 0x200000, 0x800, 0x3000);
    memset(d + 0x1000, 0x11, 0x1000);
    memset(d + 0x2000, 0x22, 0x800);
    put_multiboot(d + IMAGE_MB_OFFSET, 3);
    return img;
}

struct image images_multiboot_aout(void)
{
    struct image img = images_blob("kernel.aout", 0x3000, 0x33);
    uint8_t *p = img.data + IMAGE_MB_OFFSET;
    put_multiboot(p, 3 | MULTIBOOT_AOUT);
    put32(p + 12, 0x100020); /* header_addr: the file's data begins 0x20 before the header */
    put32(p + 16, 0x100000);
    put32(p + 20, 0x101000);
    put32(p + 24, 0x102000);
    put32(p + 28, IMAGE_AOUT_ENTRY);
    return img;
}
