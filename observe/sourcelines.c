/* sourcelines.c - see sourcelines.h. */
#include "observe/sourcelines.h"

#include "machine/image.h"
#include "observe/elffile.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_MASK  0xfffu
#define FILE_BYTES (UINT64_C(2) << 30)
#define UNITS_MAX  100000u

struct source_lines {
    struct image image;
    struct symtab symbols;
    Elf *elf;
    Dwarf *dwarf;
};

static bool open_all(struct source_lines *l, const char *path, struct err *e)
{
    struct elf_facts facts;
    if (!image_read(&l->image, "tandem-profile", path, FILE_BYTES, e))
        return false;
    if (!elf_read(l->image.data, l->image.bytes, &facts, &l->symbols))
        return err_set(e, "%s: not an ELF file for the i386, or a damaged one", path);
    l->elf = elf_memory((char *)l->image.data, l->image.bytes);
    l->dwarf = l->elf ? dwarf_begin_elf(l->elf, DWARF_C_READ, NULL) : NULL;
    return l->dwarf || err_set(e, "%s: has no DWARF; a file that was compiled with -g is needed", path);
}

struct source_lines *sourcelines_open(const char *path, struct err *e)
{
    struct source_lines *l = calloc(1, sizeof *l);
    if (!l) {
        err_set(e, "%s: out of memory", path);
        return NULL;
    }
    if (open_all(l, path, e))
        return l;
    sourcelines_close(l);
    return NULL;
}

void sourcelines_close(struct source_lines *l)
{
    if (!l)
        return;
    if (l->dwarf)
        dwarf_end(l->dwarf);
    if (l->elf)
        elf_end(l->elf);
    symtab_free(&l->symbols);
    image_free(&l->image);
    free(l);
}

/* How far the guest's addresses of this function are above the file's. False: it is not in the file. */
static bool bias_of(const struct source_lines *l, const char *function, uint32_t first, uint32_t *bias)
{
    for (size_t i = 0; i < l->symbols.count; i++) {
        const struct symbol *s = &l->symbols.rows[i];
        if (((first - s->first) & PAGE_MASK) || strcmp(symtab_name(&l->symbols, s), function) != 0)
            continue;
        *bias = first - s->first;
        return true;
    }
    return false;
}

/* Some compilers write no table of which unit has which addresses: then every unit is asked. */
static bool unit_at(Dwarf *dwarf, Dwarf_Addr at, Dwarf_Die *unit)
{
    Dwarf_Off offset = 0, next;
    size_t header;
    if (dwarf_addrdie(dwarf, at, unit))
        return true;
    for (unsigned n = 0; n < UNITS_MAX; n++) {
        if (dwarf_nextcu(dwarf, offset, &next, &header, NULL, NULL, NULL) != 0 || next <= offset)
            return false;
        if (dwarf_offdie(dwarf, offset + header, unit) && dwarf_haspc(unit, at) == 1)
            return true;
        offset = next;
    }
    return false;
}

bool sourcelines_at(struct source_lines *l, const char *function, uint32_t first, uint32_t lin_addr,
                    struct source_line *to)
{
    uint32_t bias;
    Dwarf_Die unit;
    if (!bias_of(l, function, first, &bias) || !unit_at(l->dwarf, lin_addr - bias, &unit))
        return false;
    Dwarf_Line *line = dwarf_getsrc_die(&unit, lin_addr - bias);
    to->file = line ? dwarf_linesrc(line, NULL, NULL) : NULL;
    return to->file && dwarf_lineno(line, &to->line) == 0;
}
