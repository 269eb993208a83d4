/* test_boot.c - the loaders: what they put where, and what they refuse. */
#include "images.h"

#include "clockcore/ticks.h"
#include "machine/optvalue.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RAM (16u << 20)

struct rig {
    struct physmem mem;
    struct boot_source src;
    struct boot_entry entry;
    struct err e;
};

static void rig_init(struct rig *g, struct image kernel, uint64_t ram_bytes)
{
    struct multiboot_header h;
    memset(g, 0, sizeof *g);
    cr_assert_eq(physmem_init(&g->mem, ram_bytes), 0);
    g->src.kernel = kernel;
    g->src.append = "";
    g->src.multiboot = multiboot_find(&g->src.kernel, &h);
}

static void rig_module(struct rig *g, struct image img, const char *args)
{
    g->src.module[g->src.nmodules++] = (struct boot_module){img, strdup(args)};
}

static bool rig_load(struct rig *g)
{
    static const uint8_t tables[64] = "RSD PTR ";
    const struct boot_acpi acpi = {.tables = tables, .bytes = sizeof tables, .rsdp_addr = BOOT_ACPI};
    return boot_load(&g->mem, &g->src, &acpi, &g->entry, &g->e);
}

static void rig_free(struct rig *g)
{
    boot_source_free(&g->src);
    physmem_free(&g->mem);
}

static uint32_t ram32(const struct rig *g, uint32_t addr)
{
    return le32(g->mem.host + addr);
}

/* Loads, expects a refusal that names the image and contains `part`. */
static void expect_refusal(struct image kernel, const char *part)
{
    struct rig g;
    rig_init(&g, kernel, RAM);
    cr_expect_not(rig_load(&g), "loaded, but '%s' was expected", part);
    cr_expect(strstr(g.e.text, part), "got: %s; expected: %s", g.e.text, part);
    cr_expect(strstr(g.e.text, g.src.kernel.name), "got: %s", g.e.text);
    cr_expect_null(strchr(g.e.text, '\n'));
    rig_free(&g);
}

Test(boot, e820_covers_ram)
{
    struct e820_entry map[E820_ENTRIES];
    boot_e820(RAM, map);
    uint64_t ram = 0, at = 0;
    for (int i = 0; i < E820_ENTRIES; i++) {
        cr_expect_geq(map[i].base, at);
        at = map[i].base + map[i].bytes;
        ram += map[i].type == 1 ? map[i].bytes : 0;
    }
    cr_expect_eq(at, RAM);
    cr_expect_eq(ram, RAM - 0x100000 + 0x9fc00);
}

Test(boot, bios_area)
{
    struct rig g;
    rig_init(&g, images_bzimage(), RAM);
    cr_assert(rig_load(&g), "%s", g.e.text);
    cr_expect_eq(le16(g.mem.host + 0x44a), 80);
    cr_expect_eq(le16(g.mem.host + 0x463), 0x3d4);
    cr_expect_eq(g.mem.host[0x484], 24);
    cr_expect_eq(le16(g.mem.host + 0x485), 16);
    cr_expect_eq(le16(g.mem.host + 0x413), 639);
    cr_expect_eq(le16(g.mem.host + 0x40e), 0x9fc0);
    cr_expect_eq(g.mem.host[0xffffe], 0xfc);
    cr_expect_eq(memcmp(g.mem.host + BOOT_ACPI, "RSD PTR ", 8), 0);
    rig_free(&g);
}

Test(bzimage, zero_page)
{
    struct rig g;
    rig_init(&g, images_bzimage(), RAM);
    g.src.append = "console=ttyS0";
    rig_module(&g, images_blob("initrd", 5000, 0x77), "initrd");
    cr_assert(rig_load(&g), "%s", g.e.text);
    uint32_t bp = g.entry.esi;
    cr_expect_eq(g.entry.eip, 0x100000);
    cr_expect_eq(g.entry.ebx, 0);
    cr_expect_eq(g.mem.host[0x100000], 0x90);
    cr_expect_eq(g.mem.host[bp + 0x210], 0xff);
    cr_expect_eq(le16(g.mem.host + bp + 0x1fe), 0xaa55);
    cr_expect_eq(ram32(&g, bp + 0x70), BOOT_ACPI);
    cr_expect_eq(g.mem.host[bp + 0x1e8], E820_ENTRIES);
    cr_expect_eq(ram32(&g, bp + 0x1e0), (RAM - 0x100000) >> 10);
    cr_expect_eq(g.mem.host[bp + 7], 80);
    cr_expect_str_eq((char *)g.mem.host + ram32(&g, bp + 0x228), "console=ttyS0");
    uint32_t rd = ram32(&g, bp + 0x218);
    cr_expect_eq(ram32(&g, bp + 0x21c), 5000);
    cr_expect_eq(rd % PAGE_BYTES, 0);
    cr_expect_eq(rd, RAM - 8192);
    cr_expect_eq(g.mem.host[rd], 0x77);
    cr_expect_eq(g.mem.host[rd + 4999], 0x77);
    cr_expect_eq(ram32(&g, g.entry.gdt_addr + BOOT_CS + 4), 0x00cf9b00);
    cr_expect_eq(ram32(&g, g.entry.gdt_addr + BOOT_DS + 4), 0x00cf9300);
    rig_free(&g);
}

Test(bzimage, initrd_stays_below_its_limit)
{
    struct rig g;
    struct image k = images_bzimage();
    put32(k.data + 0x22c, 0x7fffff);
    rig_init(&g, k, RAM);
    rig_module(&g, images_blob("initrd", 4096, 1), "initrd");
    cr_assert(rig_load(&g), "%s", g.e.text);
    cr_expect_eq(ram32(&g, g.entry.esi + 0x218), 0x800000 - 4096);
    rig_free(&g);
}

Test(bzimage, initrd_must_not_meet_the_kernel)
{
    struct rig g;
    rig_init(&g, images_bzimage(), RAM);
    rig_module(&g, images_blob("big", 11u << 20, 1), "big"); /* kernel ends at 5 MiB of 16 */
    cr_assert(rig_load(&g), "%s", g.e.text);
    rig_free(&g);
    rig_init(&g, images_bzimage(), RAM);
    rig_module(&g, images_blob("big", (11u << 20) + 1, 1), "big");
    cr_expect_not(rig_load(&g));
    cr_expect(strstr(g.e.text, "big"), "%s", g.e.text);
    rig_free(&g);
}

Test(bzimage, append_limit)
{
    struct rig g;
    char text[2100];
    memset(text, 'x', sizeof text);
    text[2048] = '\0';
    rig_init(&g, images_bzimage(), RAM);
    g.src.append = text;
    cr_expect_not(rig_load(&g));
    cr_expect(strstr(g.e.text, "-append"), "%s", g.e.text);
    text[2047] = '\0';
    cr_expect(rig_load(&g), "%s", g.e.text);
    rig_free(&g);
}

/* Bytes to change in the valid bzImage, and what must be said. */
static const struct {
    uint32_t offset, bytes, value;
    const char *part;
} bad_linux[] = {
    {0x1fe, 2, 0, "not a kernel image"},
    {0x202, 4, 0, "not a kernel image"},
    {0x206, 2, 0x201, "too old"},
    {0x211, 1, 0, "zImage"},
    {0x1f1, 1, 255, "truncated"},
    {0x1f4, 4, 0xffffffff, "truncated"},
    {0x1f4, 4, IMAGE_CODE_BYTES / 16 + 1, "truncated"},
    {0x214, 4, 0, "entry point"},
    {0x214, 4, 0x100000 + IMAGE_CODE_BYTES, "entry point"},
    {0x214, 4, 0xffffffff, "entry point"},
    {0x258, 4, 0xfffff000, "-m"},
    {0x25c, 4, 0xffffffff, "-m"},
    {0x260, 4, 0xffffffff, "-m"},
};

Test(bzimage, refuses_malformed)
{
    for (size_t i = 0; i < sizeof bad_linux / sizeof *bad_linux; i++) {
        struct image k = images_bzimage();
        for (uint32_t b = 0; b < bad_linux[i].bytes; b++)
            k.data[bad_linux[i].offset + b] = (uint8_t)(bad_linux[i].value >> 8 * b);
        expect_refusal(k, bad_linux[i].part);
    }
}

Test(bzimage, refuses_every_truncation)
{
    for (size_t n = 1; n <= 5 * 512 + IMAGE_CODE_BYTES - 16; n += 97) {
        struct image k = images_bzimage();
        k.bytes = n;
        expect_refusal(k, "is needed");
    }
}

/* syssize counts paragraphs of 16 bytes, rounded up: the last one may be short, but not missing. */
Test(bzimage, last_paragraph_may_be_short)
{
    for (size_t missing = 0; missing <= 15; missing++) {
        struct rig g;
        struct image k = images_bzimage();
        k.bytes -= missing;
        rig_init(&g, k, RAM);
        cr_expect(rig_load(&g), "%zu bytes short: %s", missing, g.e.text);
        rig_free(&g);
    }
    struct image k = images_bzimage();
    k.bytes -= 16;
    expect_refusal(k, "truncated");
}

Test(multiboot, elf)
{
    struct rig g;
    rig_init(&g, images_multiboot_elf(), RAM);
    cr_assert(g.src.multiboot);
    g.src.append = "a=1 b";
    memset(g.mem.host + 0x200800, 0xee, 0x1000); /* .bss must be zeroed */
    cr_assert(rig_load(&g), "%s", g.e.text);
    uint32_t mbi = g.entry.ebx;
    cr_expect_eq(g.entry.eax, 0x2badb002);
    cr_expect_eq(g.entry.eip, IMAGE_ELF_ENTRY);
    cr_expect_eq(g.mem.host[0x100100], 0x11);
    cr_expect_eq(g.mem.host[0x200000], 0x22);
    cr_expect_eq(g.mem.host[0x200800], 0);
    cr_expect_eq(ram32(&g, mbi) & 0x24f, 0x24d); /* memory, cmdline, mods, mmap, name; no boot device */
    cr_expect_eq(ram32(&g, mbi + 4), 639);
    cr_expect_eq(ram32(&g, mbi + 8), (RAM - 0x100000) >> 10);
    cr_expect_str_eq((char *)g.mem.host + ram32(&g, mbi + 16), "kernel.elf a=1 b");
    cr_expect_eq(ram32(&g, mbi + 20), 0);
    cr_expect_str_eq((char *)g.mem.host + ram32(&g, mbi + 64), "tandem");
    rig_free(&g);
}

Test(multiboot, memory_map)
{
    struct rig g;
    rig_init(&g, images_multiboot_elf(), RAM);
    cr_assert(rig_load(&g), "%s", g.e.text);
    uint32_t at = ram32(&g, g.entry.ebx + 48), end = at + ram32(&g, g.entry.ebx + 44), n = 0;
    for (; at < end; at += ram32(&g, at) + 4, n++)
        cr_expect_eq(ram32(&g, at), 20);
    cr_expect_eq(at, end);
    cr_expect_eq(n, E820_ENTRIES);
    rig_free(&g);
}

Test(multiboot, entry_of_a_segment_linked_elsewhere)
{
    struct rig g;
    struct image k = images_multiboot_elf();
    put32(k.data + 24, 0xf0200100);
    rig_init(&g, k, RAM);
    cr_assert(rig_load(&g), "%s", g.e.text);
    cr_expect_eq(g.entry.eip, 0x200100);
    rig_free(&g);
}

Test(multiboot, modules_follow_page_aligned)
{
    struct rig g;
    rig_init(&g, images_multiboot_elf(), RAM);
    rig_module(&g, images_blob("m1", 5000, 0xa1), "m1 x=1");
    rig_module(&g, images_blob("m2", 1, 0xa2), "m2");
    rig_module(&g, images_blob("m3", 4096, 0xa3), "m3 y");
    cr_assert(rig_load(&g), "%s", g.e.text);
    uint32_t mods = ram32(&g, g.entry.ebx + 24), last_end = 0x203000;
    static const uint32_t bytes[] = {5000, 1, 4096};
    static const char *const text[] = {"m1 x=1", "m2", "m3 y"};
    cr_assert_eq(ram32(&g, g.entry.ebx + 20), 3);
    for (uint32_t i = 0; i < 3; i++, mods += 16) {
        uint32_t start = ram32(&g, mods), end = ram32(&g, mods + 4);
        cr_expect_eq(start % PAGE_BYTES, 0);
        cr_expect_geq(start, last_end);
        cr_expect_eq(end - start, bytes[i]);
        cr_expect_eq(g.mem.host[start], 0xa1 + i);
        cr_expect_str_eq((char *)g.mem.host + ram32(&g, mods + 8), text[i]);
        last_end = end;
    }
    rig_free(&g);
}

Test(multiboot, info_moves_out_of_a_low_kernel)
{
    struct rig g;
    struct image k = images_multiboot_elf();
    put32(k.data + IMAGE_ELF_PHDRS + 12, 0x7000); /* p_paddr of the first segment */
    put32(k.data + IMAGE_ELF_PHDRS + 20, 0x80000);
    put32(k.data + 24, 0x7010);
    rig_init(&g, k, RAM);
    cr_assert(rig_load(&g), "%s", g.e.text);
    cr_expect_geq(g.entry.ebx, 0x203000);
    rig_free(&g);
}

Test(multiboot, aout)
{
    struct rig g;
    rig_init(&g, images_multiboot_aout(), RAM);
    memset(g.mem.host + 0x101000, 0xee, 0x1001);
    cr_assert(rig_load(&g), "%s", g.e.text);
    cr_expect_eq(g.entry.eip, IMAGE_AOUT_ENTRY);
    cr_expect_eq(ram32(&g, 0x100020), 0x1badb002);
    cr_expect_eq(g.mem.host[0x100fff], 0x33);
    cr_expect_eq(g.mem.host[0x101000], 0);
    cr_expect_eq(g.mem.host[0x101fff], 0);
    cr_expect_eq(g.mem.host[0x102000], 0xee, "nothing beyond bss_end_addr is touched");
    rig_free(&g);
}

Test(multiboot, video_request_gets_the_text_screen)
{
    struct rig g;
    struct image k = images_multiboot_elf();
    uint8_t *h = k.data + IMAGE_MB_OFFSET;
    put32(h + 4, 7);
    put32(h + 8, 0u - 0x1badb002u - 7u);
    rig_init(&g, k, RAM);
    cr_assert(rig_load(&g), "%s", g.e.text);
    cr_expect(ram32(&g, g.entry.ebx) & 1u << 12);
    cr_expect_eq(ram32(&g, g.entry.ebx + 88), 0xb8000);
    rig_free(&g);
}

/* A 32-bit word to change in the valid ELF image. */
static const struct {
    uint32_t offset, value;
    const char *part;
} bad_elf[] = {
    {24, 0, "entry point"},
    {28, 0xffffffff, "program headers"},
    {28, 0x2ff0, "program headers"},
    {40, 0x00080034, "without program headers"}, /* e_phentsize */
    {44, 0, "without program headers"},
    {44, 0xffff, "program headers"},
    {18, 0x0001003e, "another machine"},
    {4, 0x00010102, "64-bit"},
    {IMAGE_ELF_PHDRS + 4, 0xfffff000, "outside of the file"},
    {IMAGE_ELF_PHDRS + 12, 0xfffff000, "-m"},
    {IMAGE_ELF_PHDRS + 16, 0xffffffff, "outside of the file"},
    {IMAGE_ELF_PHDRS + 16, 0x1900, "larger in the file"},
    {IMAGE_ELF_PHDRS + 20, 0xffffffff, "-m"},
};

Test(multiboot, refuses_malformed_elf)
{
    for (size_t i = 0; i < sizeof bad_elf / sizeof *bad_elf; i++) {
        struct image k = images_multiboot_elf();
        put32(k.data + bad_elf[i].offset, bad_elf[i].value);
        expect_refusal(k, bad_elf[i].part);
    }
}

static const struct {
    uint32_t field, value;
    const char *part;
} bad_aout[] = {
    {12, 0xfff00, "load_addr"},     {12, 0x102000, "load_addr"},     {16, 0x100021, "load_addr"},
    {20, 0xfff00, "load_end_addr"}, {20, 0x110000, "load_end_addr"}, {24, 0x100800, "bss_end_addr"},
    {24, 0xfffff000, "-m"},         {28, 0x102000, "entry point"},   {28, 0, "entry point"},
};

Test(multiboot, refuses_malformed_address_fields)
{
    for (size_t i = 0; i < sizeof bad_aout / sizeof *bad_aout; i++) {
        struct image k = images_multiboot_aout();
        put32(k.data + IMAGE_MB_OFFSET + bad_aout[i].field, bad_aout[i].value);
        expect_refusal(k, bad_aout[i].part);
    }
}

Test(multiboot, refuses_unknown_requirements)
{
    struct image k = images_multiboot_elf();
    uint8_t *h = k.data + IMAGE_MB_OFFSET;
    put32(h + 4, 0x0b);
    put32(h + 8, 0u - 0x1badb002u - 0x0bu);
    expect_refusal(k, "features");
}

Test(multiboot, header_beyond_8_kib_is_none)
{
    struct image k = images_blob("late", 16384, 0);
    struct multiboot_header h;
    put32(k.data + 8192, 0x1badb002);
    put32(k.data + 8200, 0u - 0x1badb002u);
    cr_expect_not(multiboot_find(&k, &h));
    put32(k.data + 8180, 0x1badb002);
    put32(k.data + 8188, 0u - 0x1badb002u);
    cr_expect(multiboot_find(&k, &h));
    cr_expect_eq(h.offset, 8180);
    image_free(&k);
}

Test(multiboot, too_many_modules_for_ram)
{
    struct rig g;
    rig_init(&g, images_multiboot_elf(), RAM);
    rig_module(&g, images_blob("huge", RAM - 0x203000 + 1, 1), "huge");
    cr_expect_not(rig_load(&g));
    cr_expect(strstr(g.e.text, "huge"), "%s", g.e.text);
    rig_free(&g);
}

Test(kernel, plain_elf_and_garbage)
{
    struct image k = images_multiboot_elf();
    put32(k.data + IMAGE_MB_OFFSET, 0);
    expect_refusal(k, "without a Multiboot 1 header");
    expect_refusal(images_blob("noise", 100000, 0xa5), "not a kernel image");
    expect_refusal(images_blob("short", 3, 0), "too short");
}

/* --- files --- */

static char dir[] = "/tmp/tandem-boot-XXXXXX";

static void make_dir(void)
{
    cr_assert_not_null(mkdtemp(dir));
    cr_assert_eq(chdir(dir), 0);
}

static void remove_dir(void)
{
    static const char *const names[] = {"empty", "fifo", "k", "m,1"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(names[i]);
    rmdir(dir);
}

static void write_file(const char *name, const void *data, size_t bytes)
{
    int fd = open(name, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, data, bytes), (ssize_t)bytes);
    close(fd);
}

Test(image, refusals, .init = make_dir, .fini = remove_dir)
{
    struct image img;
    struct err e;
    write_file("empty", "", 0);
    write_file("k", "abc", 3);
    cr_assert_eq(mkfifo("fifo", 0600), 0);
    cr_expect_not(image_read(&img, "-kernel", "empty", 100, &e));
    cr_expect(strstr(e.text, "-kernel empty: is empty"), "%s", e.text);
    cr_expect_not(image_read(&img, "-kernel", "fifo", 100, &e));
    cr_expect(strstr(e.text, "not a regular file"), "%s", e.text);
    cr_expect_not(image_read(&img, "-kernel", ".", 100, &e));
    cr_expect(strstr(e.text, "is a directory"), "%s", e.text);
    cr_expect_not(image_read(&img, "-kernel", "no\nsuch", 100, &e));
    cr_expect(strstr(e.text, "no?such: No such file"), "%s", e.text);
    cr_expect_not(image_read(&img, "-kernel", "k", 2, &e));
    cr_expect(strstr(e.text, "more than the guest's RAM"), "%s", e.text);
    cr_assert(image_read(&img, "-kernel", "k", 3, &e));
    cr_expect_eq(img.bytes, 3);
    image_free(&img);
}

Test(image, module_list, .init = make_dir, .fini = remove_dir)
{
    struct boot_source s;
    struct err e;
    struct image k = images_multiboot_elf();
    write_file("k", k.data, k.bytes);
    write_file("m,1", "abc", 3);
    image_free(&k);
    cr_assert(boot_source_read(&s, "k", "m,,1 arg,,s,k", NULL, RAM, &e), "%s", e.text);
    cr_expect_eq(s.nmodules, 2);
    cr_expect_str_eq(s.module[0].image.name, "m,1");
    cr_expect_str_eq(s.module[0].args, "m,1 arg,s");
    cr_expect_str_eq(s.module[1].args, "k");
    boot_source_free(&s);
    cr_expect_not(boot_source_read(&s, "k", "k,,none", NULL, RAM, &e));
    cr_expect(strstr(e.text, "-initrd k,none: No such file"), "%s", e.text);
    cr_expect_not(boot_source_read(&s, "k", "k,", NULL, 1, &e), "larger than RAM");
}
