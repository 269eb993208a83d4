/* elffile.c - see elffile.h. Symbols and headers by libelf, DWARF by libdw (elffile_dwarf.c). */
#include "observe/elffile.h"

#include <gelf.h>
#include <string.h>

#define SECTIONS_MAX 65536u

bool elf_is(const uint8_t *image, size_t bytes)
{
    return bytes > SELFMAG && memcmp(image, ELFMAG, SELFMAG) == 0;
}

/* A symbol of code that has a name: functions, and labels of assembly. */
static bool is_code(Elf *elf, const GElf_Sym *s, const char *name, GElf_Shdr *section)
{
    int type = GELF_ST_TYPE(s->st_info);
    if (!name || !*name || (type != STT_FUNC && type != STT_NOTYPE && type != STT_GNU_IFUNC))
        return false;
    if (s->st_shndx == SHN_UNDEF || s->st_shndx >= SHN_LORESERVE)
        return false;
    Elf_Scn *scn = elf_getscn(elf, s->st_shndx);
    return scn && gelf_getshdr(scn, section) && (section->sh_flags & SHF_EXECINSTR);
}

/* A symbol without a size ends where the next one begins, and with its section at the latest: an empty name
 * there sees to that. */
static bool add_symbol(struct symtab *out, const GElf_Sym *s, const char *name, const GElf_Shdr *section)
{
    uint64_t end = section->sh_addr + section->sh_size;
    if (s->st_value < section->sh_addr || s->st_value >= end || end > UINT32_MAX)
        return true;
    uint64_t bytes = s->st_size < end - s->st_value ? s->st_size : end - s->st_value;
    return symtab_add(out, (uint32_t)s->st_value, (uint32_t)bytes, name, strlen(name)) &&
           (s->st_size || symtab_add(out, (uint32_t)end, SYMBOL_SIZE_NONE, "", 0));
}

static bool add_table(Elf *elf, Elf_Scn *scn, const GElf_Shdr *table, struct symtab *out)
{
    Elf_Data *data = elf_getdata(scn, NULL);
    size_t entry = gelf_fsize(elf, ELF_T_SYM, 1, EV_CURRENT);
    if (!data || entry == 0)
        return true;
    for (size_t i = 0; i < data->d_size / entry && i < SYMTAB_ROWS_MAX; i++) {
        GElf_Sym s;
        GElf_Shdr section;
        if (!gelf_getsym(data, (int)i, &s))
            break;
        const char *name = elf_strptr(elf, table->sh_link, s.st_name);
        if (is_code(elf, &s, name, &section) && !add_symbol(out, &s, name, &section))
            return false;
    }
    return true;
}

static bool add_tables(Elf *elf, GElf_Word type, struct symtab *out)
{
    Elf_Scn *scn = NULL;
    for (unsigned i = 0; i < SECTIONS_MAX && (scn = elf_nextscn(elf, scn)); i++) {
        GElf_Shdr header;
        if (gelf_getshdr(scn, &header) && header.sh_type == type && !add_table(elf, scn, &header, out))
            return false;
    }
    return true;
}

static bool read_segments(Elf *elf, size_t bytes, struct elf_facts *f)
{
    size_t count;
    if (elf_getphdrnum(elf, &count) != 0)
        return false;
    f->low = UINT32_MAX;
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr p;
        if (!gelf_getphdr(elf, (int)i, &p) || p.p_type != PT_LOAD)
            continue;
        if (p.p_vaddr < f->low)
            f->low = (uint32_t)p.p_vaddr;
        bool inside = p.p_offset <= bytes && p.p_filesz <= bytes - p.p_offset &&
                      p.p_vaddr + p.p_filesz <= UINT32_MAX && p.p_filesz > 0;
        if ((p.p_flags & PF_X) && inside && f->codes < ELF_CODE_MAX)
            f->code[f->codes++] =
                (struct elf_code){(uint32_t)p.p_vaddr, (uint32_t)p.p_filesz, (uint32_t)p.p_offset};
    }
    return true;
}

static bool read_all(Elf *elf, size_t bytes, struct elf_facts *f, struct symtab *out)
{
    GElf_Ehdr h;
    if (!gelf_getehdr(elf, &h) || h.e_ident[EI_CLASS] != ELFCLASS32 || h.e_machine != EM_386 ||
        !read_segments(elf, bytes, f))
        return false;
    f->fixed = h.e_type == ET_EXEC;
    if (!add_tables(elf, SHT_SYMTAB, out) || !add_tables(elf, SHT_DYNSYM, out))
        return false;
    symtab_finish(out, UINT32_MAX);
    return true;
}

bool elf_read(uint8_t *image, size_t bytes, struct elf_facts *facts, struct symtab *out)
{
    *facts = (struct elf_facts){0};
    elf_version(EV_CURRENT);
    Elf *elf = bytes <= UINT32_MAX ? elf_memory((char *)image, bytes) : NULL;
    bool ok = elf && elf_kind(elf) == ELF_K_ELF && read_all(elf, bytes, facts, out);
    if (elf)
        elf_end(elf);
    return ok;
}
