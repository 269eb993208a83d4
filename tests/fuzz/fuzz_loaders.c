/* fuzz_loaders.c - random damage to valid kernel images, loaded in memory: fuzz_loaders [SECONDS [SEED]].
 *
 * Every outcome is fine but a crash, a sanitizer's complaint, a multi-line message, or a success that leaves
 * the entry point or the boot data outside of RAM. Meant for the address/undefined-sanitizer build. */
#include "../unit/machine/images.h"
#include "fuzz_random.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RAM_BYTES (8u << 20)

/* Values at which bounds checks break. */
static uint32_t odd_value(void)
{
    static const uint32_t values[] = {0,          1,         0x7fffffff,    0x80000000, 0xffffffff,
                                      0xfffff000, RAM_BYTES, RAM_BYTES - 1, 0x100000,   0xfffff,
                                      0x9f000,    0x8000,    0x3000};
    uint32_t v = values[rng(sizeof values / sizeof *values)];
    return rng(3) ? v + rng(33) - 16 : rng(UINT32_MAX);
}

/* Offsets where the headers are, so that damage hits what is parsed. */
static size_t hot_offset(const struct image *k, size_t bytes)
{
    static const uint32_t windows[][2] = {{0, 0x80}, {0x1f1, 0x80}, {IMAGE_MB_OFFSET, 0x30}};
    const uint32_t *w = windows[rng(3)];
    size_t at = rng(8) ? w[0] + rng(w[1]) : rng((uint32_t)k->bytes);
    return at + bytes <= k->bytes ? at : 0;
}

static void damage(struct image *k)
{
    if (k->bytes < 8)
        return;
    if (rng(2))
        k->data[hot_offset(k, 1)] = (uint8_t)rng(256);
    else
        put32(k->data + (hot_offset(k, 4) & ~(size_t)(rng(2) ? 3 : 0)), odd_value());
}

/* A Multiboot header whose flags or fields were hit is only looked at if its checksum is right. */
static void repair_checksum(struct image *k)
{
    if (k->bytes < IMAGE_MB_OFFSET + 12 || le32(k->data + IMAGE_MB_OFFSET) != 0x1badb002)
        return;
    uint8_t *p = k->data + IMAGE_MB_OFFSET;
    put32(p + 8, 0u - le32(p) - le32(p + 4));
}

/* The image moves to an allocation of its exact size, so that reading beyond it is noticed. */
static void shrink(struct image *k)
{
    size_t n = rng(4) ? k->bytes : 1 + rng((uint32_t)k->bytes);
    uint8_t *exact = malloc(n);
    memcpy(exact, k->data, n);
    free(k->data);
    k->data = exact;
    k->bytes = n;
}

static struct image pick(void)
{
    struct image (*const kinds[])(void) = {images_bzimage, images_multiboot_elf, images_multiboot_aout};
    struct image k = kinds[rng(3)]();
    for (uint32_t n = rng(5); n; n--)
        damage(&k);
    repair_checksum(&k);
    shrink(&k);
    return k;
}

static void fail(const char *why, const struct image *k, const struct err *e)
{
    FILE *f = fopen("fuzz_loaders.bad", "wb");
    if (f) {
        fwrite(k->data, 1, k->bytes, f);
        fclose(f);
    }
    fprintf(stderr, "fuzz_loaders: %s (image in fuzz_loaders.bad; message: %s)\n", why, e->text);
    exit(1);
}

static bool load_one(struct physmem *mem)
{
    static const struct boot_acpi no_acpi;
    struct boot_source s = {.append = rng(2) ? "console=ttyS0" : ""};
    struct multiboot_header h;
    struct boot_entry entry;
    struct err e = {""};
    s.kernel = pick();
    s.multiboot = multiboot_find(&s.kernel, &h);
    s.nmodules = rng(s.multiboot ? 4 : 2);
    for (unsigned i = 0; i < s.nmodules; i++)
        s.module[i] = (struct boot_module){images_blob("module", 1 + rng(rng(8) ? 9000 : RAM_BYTES), 0x5a),
                                           strdup("module a b")};
    bool ok = boot_load(mem, &s, &no_acpi, &entry, &e);
    if (ok && (entry.eip >= RAM_BYTES || entry.gdt_addr + BOOT_GDT_BYTES > RAM_BYTES ||
               entry.ebx >= RAM_BYTES || entry.esi >= RAM_BYTES))
        fail("a success outside of RAM", &s.kernel, &e);
    if (!ok && (!e.text[0] || strchr(e.text, '\n')))
        fail("no one-line message", &s.kernel, &e);
    boot_source_free(&s);
    return ok;
}

int main(int argc, char **argv)
{
    unsigned seconds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 2;
    rng_state = (argc > 2 ? strtoull(argv[2], NULL, 0) : 1) * UINT64_C(0x9e3779b97f4a7c15) | 1;
    uint64_t runs = 0, loaded = 0;
    struct physmem mem;
    if (physmem_init(&mem, RAM_BYTES) != 0)
        return 2;
    for (time_t end = time(NULL) + seconds; time(NULL) < end;)
        for (int i = 0; i < 100; i++, runs++)
            loaded += load_one(&mem);
    physmem_free(&mem);
    printf("fuzz_loaders: %" PRIu64 " images, %" PRIu64 " loaded, the others refused\n", runs, loaded);
    return 0;
}
