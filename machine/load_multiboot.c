/* load_multiboot.c - Multiboot Specification 0.6.96 (Multiboot 1).
 *
 * The kernel goes where its ELF program headers (p_paddr) or its header's address fields say; modules follow
 * it, page aligned; the information structure, strings, module list, memory map and GDT go together below 640
 * KiB, or behind the modules when the kernel itself lies there. As with GRUB and QEMU the kernel's command
 * line starts with its file name.
 *
 * All image values are hostile until checked here.
 * NOT MODELLED: symbol tables, drives, configuration table, APM, VBE: their flag bits stay 0. A kernel that
 * asks for a video mode (bit 2) is told of the 80x25 text screen. */
#include "machine/boot.h"

#include <stdlib.h>
#include <string.h>

#define ACCEPTED "a Multiboot 1 kernel (ELF32 for i386, or with address fields) is needed"

#define SEARCH_BYTES   8192u
#define HEADER_MAGIC   0x1badb002u
#define BOOT_MAGIC     0x2badb002u
#define FLAGS_KNOWN    0x7u /* of the required half: page alignment, memory information, video mode */
#define FLAGS_REQUIRED 0xffffu
#define FLAG_VIDEO     0x4u

enum { /* flags of the information structure */
       INFO_MEMORY = 1 << 0,
       INFO_CMDLINE = 1 << 2,
       INFO_MODS = 1 << 3,
       INFO_MMAP = 1 << 6,
       INFO_LOADER_NAME = 1 << 9,
       INFO_FRAMEBUFFER = 1 << 12,
};

enum { /* offsets in it */
       MBI_FLAGS = 0,
       MBI_MEM_LOWER = 4,
       MBI_MEM_UPPER = 8,
       MBI_CMDLINE = 16,
       MBI_MODS_COUNT = 20,
       MBI_MODS_ADDR = 24,
       MBI_MMAP_LENGTH = 44,
       MBI_MMAP_ADDR = 48,
       MBI_LOADER_NAME = 64,
       MBI_FB_ADDR = 88,
       MBI_FB_PITCH = 96,
       MBI_FB_WIDTH = 100,
       MBI_FB_HEIGHT = 104,
       MBI_FB_BPP = 108,
       MBI_FB_TYPE = 109,
       MBI_BYTES = 120,
};
#define MOD_BYTES  16u
#define MMAP_BYTES 24u
/* MINIX copies this many bytes of the command line, whatever its length: they must be there and defined. */
#define CMDLINE_ROOM 1024u

static const char loader_name[] = "tandem";

/* Where the kernel went. */
struct placed {
    uint64_t low, high; /* [low, high) */
    uint32_t entry;
};

bool multiboot_find(const struct image *k, struct multiboot_header *h)
{
    size_t end = k->bytes < SEARCH_BYTES ? k->bytes : SEARCH_BYTES;
    for (size_t at = 0; at + 12 <= end; at += 4) {
        const uint8_t *p = k->data + at;
        if (le32(p) != HEADER_MAGIC || le32(p) + le32(p + 4) + le32(p + 8) != 0)
            continue;
        *h = (struct multiboot_header){.offset = (uint32_t)at, .flags = le32(p + 4)};
        if (at + 32 <= k->bytes) {
            h->header_addr = le32(p + 12);
            h->load_addr = le32(p + 16);
            h->load_end_addr = le32(p + 20);
            h->bss_end_addr = le32(p + 24);
            h->entry_addr = le32(p + 28);
        }
        return true;
    }
    return false;
}

static bool malformed(const struct image *k, const char *why, struct err *e)
{
    return err_set(e, "-kernel %s: malformed: %s; " ACCEPTED, k->name, why);
}

static bool too_big(const struct image *k, uint64_t need, uint64_t ram_bytes, struct err *e)
{
    return err_set(e, "-kernel %s: needs RAM up to %llu MiB, the guest has %llu MiB; use a larger -m",
                   k->name, (unsigned long long)(need >> 20) + 1, (unsigned long long)(ram_bytes >> 20));
}

/* Memory that the image says is zero. RAM starts as zeroes, so that only what the loader or an earlier
 * segment put there is written: a huge .bss costs no host memory. */
static bool zero_fill(struct physmem *mem, uint64_t first, uint64_t end)
{
    static const uint8_t zero[PAGE_BYTES];
    uint8_t old[PAGE_BYTES];
    for (uint64_t at = first, n; at < end; at += n) {
        n = PAGE_BYTES - (at & (PAGE_BYTES - 1));
        n = n < end - at ? n : end - at;
        if (!physmem_read(mem, at, old, n) || (memcmp(old, zero, n) != 0 && !physmem_write(mem, at, zero, n)))
            return false;
    }
    return true;
}

/* --- the a.out kludge: the header's own address fields --- */

static bool aout_load(struct physmem *mem, const struct image *k, const struct multiboot_header *h,
                      struct placed *out, struct err *e)
{
    if (h->offset + 32u > k->bytes)
        return malformed(k, "the Multiboot header is cut off", e);
    if (h->load_addr > h->header_addr || h->header_addr - h->load_addr > h->offset)
        return malformed(k, "load_addr of the Multiboot header is outside of the file", e);
    uint64_t first = h->offset - (h->header_addr - h->load_addr);
    uint64_t bytes = h->load_end_addr ? (uint64_t)h->load_end_addr - h->load_addr : k->bytes - first;
    if ((h->load_end_addr && h->load_end_addr < h->load_addr) || bytes > k->bytes - first)
        return malformed(k, "load_end_addr of the Multiboot header is outside of the file (truncated?)", e);
    uint64_t end = h->load_addr + bytes;
    if (h->bss_end_addr && h->bss_end_addr < end)
        return malformed(k, "bss_end_addr of the Multiboot header lies before the end of the data", e);
    if (h->bss_end_addr)
        end = h->bss_end_addr;
    if (end > physmem_ram_bytes(mem))
        return too_big(k, end, physmem_ram_bytes(mem), e);
    *out = (struct placed){h->load_addr, end, h->entry_addr};
    return (physmem_write(mem, h->load_addr, k->data + first, bytes) &&
            zero_fill(mem, h->load_addr + bytes, end)) ||
           too_big(k, end, physmem_ram_bytes(mem), e);
}

/* --- ELF32 --- */

enum { EHDR_BYTES = 52, PHDR_BYTES = 32, PHDRS_MAX = 256, PT_LOAD = 1, EM_386 = 3, PF_X = 1 };

struct elf_segment {
    uint32_t offset, vaddr, paddr, filesz, memsz, flags;
};

static bool elf_identify(const struct image *k, struct err *e)
{
    if (k->bytes < EHDR_BYTES || memcmp(k->data, "\177ELF", 4) != 0)
        return malformed(k, "a Multiboot header without address fields, but the file is no ELF file", e);
    if (k->data[4] != 1)
        return malformed(k, "a 64-bit ELF file", e);
    if (k->data[5] != 1 || le16(k->data + 18) != EM_386)
        return malformed(k, "an ELF file for another machine than i386", e);
    if (le16(k->data + 42) != PHDR_BYTES || le16(k->data + 44) == 0)
        return malformed(k, "an ELF file without program headers", e);
    if (le16(k->data + 44) > PHDRS_MAX)
        return malformed(k, "an ELF file with more than 256 program headers", e);
    if ((uint64_t)le32(k->data + 28) + (uint64_t)le16(k->data + 44) * PHDR_BYTES > k->bytes)
        return malformed(k, "its ELF program headers are outside of the file (truncated?)", e);
    return true;
}

/* False: not a segment to load. */
static bool elf_segment_get(const struct image *k, unsigned i, struct elf_segment *s)
{
    const uint8_t *p = k->data + le32(k->data + 28) + (size_t)i * PHDR_BYTES;
    *s = (struct elf_segment){le32(p + 4),  le32(p + 8),  le32(p + 12),
                              le32(p + 16), le32(p + 20), le32(p + 24)};
    return le32(p) == PT_LOAD && s->memsz != 0;
}

static bool elf_segment_check(const struct image *k, const struct elf_segment *s, uint64_t ram_bytes,
                              struct err *e)
{
    if ((uint64_t)s->offset + s->filesz > k->bytes)
        return malformed(k, "an ELF segment is outside of the file (truncated?)", e);
    if (s->filesz > s->memsz)
        return malformed(k, "an ELF segment is larger in the file than in memory", e);
    if ((uint64_t)s->paddr + s->memsz > ram_bytes)
        return too_big(k, (uint64_t)s->paddr + s->memsz, ram_bytes, e);
    return true;
}

/* The entry point is a physical address, but for a segment linked elsewhere than it is loaded. */
static void elf_note_entry(const struct elf_segment *s, uint32_t e_entry, struct placed *out)
{
    if (s->vaddr != s->paddr && (s->flags & PF_X) && e_entry >= s->vaddr && e_entry - s->vaddr < s->filesz)
        out->entry = e_entry - s->vaddr + s->paddr;
}

static bool elf_load(struct physmem *mem, const struct image *k, struct placed *out, struct err *e)
{
    struct elf_segment s;
    if (!elf_identify(k, e))
        return false;
    uint32_t e_entry = le32(k->data + 24);
    *out = (struct placed){UINT64_MAX, 0, e_entry};
    for (unsigned i = 0; i < le16(k->data + 44); i++) {
        if (!elf_segment_get(k, i, &s))
            continue;
        if (!elf_segment_check(k, &s, physmem_ram_bytes(mem), e))
            return false;
        uint64_t end = (uint64_t)s.paddr + s.memsz;
        if (!physmem_write(mem, s.paddr, k->data + s.offset, s.filesz) ||
            !zero_fill(mem, (uint64_t)s.paddr + s.filesz, end))
            return too_big(k, end, physmem_ram_bytes(mem), e);
        out->low = s.paddr < out->low ? s.paddr : out->low;
        out->high = end > out->high ? end : out->high;
        elf_note_entry(&s, e_entry, out);
    }
    return out->high ? true : malformed(k, "an ELF file without anything to load", e);
}

/* --- modules --- */

static uint64_t page_up(uint64_t addr)
{
    return (addr + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
}

/* Modules one after another from *next on; their addresses in start[]. */
static bool modules_load(struct physmem *mem, const struct boot_source *s, uint64_t *next,
                         uint32_t start[BOOT_MODULES_MAX], struct err *e)
{
    for (unsigned i = 0; i < s->nmodules; i++) {
        const struct image *m = &s->module[i].image;
        *next = page_up(*next);
        if (*next + m->bytes > physmem_ram_bytes(mem) || !physmem_write(mem, *next, m->data, m->bytes))
            return err_set(
                e, "-initrd %s: its %zu bytes do not fit between %#llx and the end of RAM; use a larger -m",
                m->name, m->bytes, (unsigned long long)*next);
        start[i] = (uint32_t)*next;
        *next += m->bytes;
    }
    return true;
}

/* --- the information structure and what it points to, built as one block --- */

struct block {
    uint8_t *data;
    size_t bytes, room;
    uint64_t base; /* physical address of data[0] */
};

/* Takes `bytes` of the block, 8-byte aligned and zero; the caller sized the block for all of them. */
static uint8_t *block_take(struct block *b, size_t bytes, uint32_t *addr)
{
    uint8_t *p = b->data + b->bytes;
    *addr = (uint32_t)(b->base + b->bytes);
    b->bytes += (bytes + 7) & ~(size_t)7;
    return p;
}

static uint32_t block_string(struct block *b, const char *text)
{
    uint32_t addr;
    memcpy(block_take(b, strlen(text) + 1, &addr), text, strlen(text));
    return addr;
}

static size_t cmdline_bytes(const struct boot_source *s)
{
    size_t n = strlen(s->kernel.name) + 1 + strlen(s->append) + 1;
    return n < CMDLINE_ROOM ? CMDLINE_ROOM : n;
}

static size_t block_room(const struct boot_source *s)
{
    size_t n =
        MBI_BYTES + cmdline_bytes(s) + sizeof loader_name + E820_ENTRIES * MMAP_BYTES + BOOT_GDT_BYTES + 64;
    for (unsigned i = 0; i < s->nmodules; i++)
        n += MOD_BYTES + strlen(s->module[i].args) + 1 + 8;
    return n;
}

static uint32_t block_cmdline(struct block *b, const struct boot_source *s)
{
    uint32_t addr;
    char *p = (char *)block_take(b, cmdline_bytes(s), &addr);
    p = stpcpy(p, s->kernel.name);
    if (*s->append) {
        *p++ = ' ';
        stpcpy(p, s->append);
    }
    return addr;
}

static void fill_memory(struct block *b, uint8_t *mbi, uint64_t ram_bytes)
{
    struct e820_entry map[E820_ENTRIES];
    uint32_t addr;
    uint8_t *p = block_take(b, E820_ENTRIES * MMAP_BYTES, &addr);
    boot_e820(ram_bytes, map);
    for (unsigned i = 0; i < E820_ENTRIES; i++, p += MMAP_BYTES) {
        put32(p, MMAP_BYTES - 4); /* the size does not count itself */
        put64(p + 4, map[i].base);
        put64(p + 12, map[i].bytes);
        put32(p + 20, map[i].type);
    }
    put32(mbi + MBI_MEM_LOWER, BOOT_EBDA >> 10);
    put32(mbi + MBI_MEM_UPPER, (uint32_t)((ram_bytes - BOOT_HIGH) >> 10));
    put32(mbi + MBI_MMAP_LENGTH, E820_ENTRIES * MMAP_BYTES);
    put32(mbi + MBI_MMAP_ADDR, addr);
}

static void fill_modules(struct block *b, uint8_t *mbi, const struct boot_source *s, const uint32_t *start)
{
    uint32_t addr;
    uint8_t *p = block_take(b, s->nmodules * MOD_BYTES, &addr);
    put32(mbi + MBI_MODS_COUNT, s->nmodules);
    put32(mbi + MBI_MODS_ADDR, addr);
    for (unsigned i = 0; i < s->nmodules; i++, p += MOD_BYTES) {
        put32(p, start[i]);
        put32(p + 4, start[i] + (uint32_t)s->module[i].image.bytes);
        put32(p + 8, block_string(b, s->module[i].args));
    }
}

static void fill_screen(uint8_t *mbi)
{
    put64(mbi + MBI_FB_ADDR, 0xb8000);
    put32(mbi + MBI_FB_PITCH, 160);
    put32(mbi + MBI_FB_WIDTH, 80);
    put32(mbi + MBI_FB_HEIGHT, 25);
    mbi[MBI_FB_BPP] = 16;
    mbi[MBI_FB_TYPE] = 2; /* EGA text */
}

static void block_fill(struct block *b, const struct boot_source *s, uint32_t header_flags,
                       uint64_t ram_bytes, const uint32_t *mod_start, struct boot_entry *entry)
{
    uint32_t flags = INFO_MEMORY | INFO_CMDLINE | INFO_MODS | INFO_MMAP | INFO_LOADER_NAME;
    uint8_t *mbi = block_take(b, MBI_BYTES, &entry->ebx);
    boot_gdt(block_take(b, BOOT_GDT_BYTES, &entry->gdt_addr));
    if (header_flags & FLAG_VIDEO) {
        flags |= INFO_FRAMEBUFFER;
        fill_screen(mbi);
    }
    put32(mbi + MBI_FLAGS, flags);
    put32(mbi + MBI_CMDLINE, block_cmdline(b, s));
    put32(mbi + MBI_LOADER_NAME, block_string(b, loader_name));
    fill_memory(b, mbi, ram_bytes);
    fill_modules(b, mbi, s, mod_start);
}

/* Low memory unless the kernel lies there; then behind everything else. */
static uint64_t block_place(size_t bytes, const struct placed *k, uint64_t next)
{
    bool low_free = k->low >= BOOT_LOW_END || k->high <= BOOT_LOW_FIRST;
    return low_free && bytes <= BOOT_LOW_END - BOOT_LOW_FIRST ? BOOT_LOW_FIRST : page_up(next);
}

static bool info_write(struct physmem *mem, const struct boot_source *s, uint32_t header_flags,
                       const struct placed *k, uint64_t next, const uint32_t *mod_start,
                       struct boot_entry *entry, struct err *e)
{
    struct block b = {.room = block_room(s)};
    b.base = block_place(b.room, k, next);
    b.data = calloc(1, b.room);
    if (!b.data)
        return err_set(e, "-append: no host memory");
    bool ok = b.base + b.room <= physmem_ram_bytes(mem);
    if (ok) {
        block_fill(&b, s, header_flags, physmem_ram_bytes(mem), mod_start, entry);
        ok = physmem_write(mem, b.base, b.data, b.bytes);
    }
    free(b.data);
    return ok ? true
              : err_set(e, "-kernel %s: no RAM left for its boot information; use a larger -m",
                        s->kernel.name);
}

static bool kernel_load(struct physmem *mem, const struct image *k, const struct multiboot_header *h,
                        struct placed *out, struct err *e)
{
    if (h->flags & FLAGS_REQUIRED & ~FLAGS_KNOWN)
        return err_set(
            e, "-kernel %s: its Multiboot header requires features (flags %#x) beyond bits 0 to 2; " ACCEPTED,
            k->name, h->flags & FLAGS_REQUIRED);
    if (!(h->flags & MULTIBOOT_AOUT ? aout_load(mem, k, h, out, e) : elf_load(mem, k, out, e)))
        return false;
    if (out->entry < out->low || out->entry >= out->high)
        return malformed(k, "its entry point is outside of what it loads", e);
    return true;
}

bool multiboot_load(struct physmem *mem, const struct boot_source *s, struct boot_entry *entry, struct err *e)
{
    struct multiboot_header h;
    struct placed k = {0};
    uint32_t mod_start[BOOT_MODULES_MAX];
    if (!multiboot_find(&s->kernel, &h))
        return malformed(&s->kernel, "no Multiboot header", e);
    if (!kernel_load(mem, &s->kernel, &h, &k, e))
        return false;
    uint64_t next = k.high > BOOT_HIGH ? k.high : BOOT_HIGH;
    if (!modules_load(mem, s, &next, mod_start, e) ||
        !info_write(mem, s, h.flags, &k, next, mod_start, entry, e))
        return false;
    entry->eip = k.entry;
    entry->eax = BOOT_MAGIC;
    return true;
}
