/* symbolfiles.c - see symbolfiles.h. */
#include "observe/symbolfiles.h"

#include "machine/image.h"
#include "machine/optvalue.h"
#include "observe/systemmap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_MASK 0xfffu

static void file_free(struct symbol_file *f)
{
    free(f->path);
    free(f->process);
    symtab_free(&f->table);
    *f = (struct symbol_file){0};
}

/* --- what the option says --- */

static bool set_file(void *target, const char *value, struct err *e)
{
    return *value && value_string(value, &((struct symbol_file *)target)->path, e);
}

static bool set_base(void *target, const char *value, struct err *e)
{
    struct symbol_file *f = target;
    uint64_t v;
    if (!value_number(value, 0, UINT32_MAX, &v))
        return false;
    f->base = (uint32_t)v;
    f->based = true;
    return true;
}

static bool set_process(void *target, const char *value, struct err *e)
{
    return *value && value_string(value, &((struct symbol_file *)target)->process, e);
}

static const struct list_key keys[] = {
    {"file", "FILE (ELF or System.map)", set_file},
    {"base", "ADDR (0..0xffffffff)", set_base},
    {"process", "NAME", set_process},
};

/* --- reading --- */

static bool index_code(struct symbol_files *all, const struct symbol_file *f, const struct image *img)
{
    for (unsigned i = 0; i < f->facts.codes; i++) {
        const struct elf_code *c = &f->facts.code[i];
        /* The last page is mapped whole: what follows in the file is there too. */
        size_t rest = img->bytes - c->offset, whole = c->bytes + ((0 - c->lin_addr - c->bytes) & PAGE_MASK);
        if (!textindex_add(&all->index, all->count, c->lin_addr, img->data + c->offset,
                           whole < rest ? whole : rest))
            return false;
    }
    return true;
}

static bool read_elf(struct symbol_files *all, struct symbol_file *f, struct image *img, struct err *e)
{
    if (!elf_read(img->data, img->bytes, &f->facts, &f->table))
        return err_set(e, "-symbols %s: not an ELF file for the i386, or a damaged one", f->path);
    f->elf = true;
    f->bias = f->based ? f->base - f->facts.low : 0;
    struct task_offsets task;
    if (!all->has_task && elf_task_offsets(img->data, img->bytes, &task)) {
        all->task = task;
        all->has_task = true;
    }
    return index_code(all, f, img) || err_set(e, "-symbols %s: out of memory", f->path);
}

static bool read_map(struct symbol_file *f, const struct image *img, struct err *e)
{
    if (!systemmap_read(img->data, img->bytes, &f->table))
        return err_set(e,
                       "-symbols %s: neither an ELF file nor lines \"ADDRESS TYPE NAME\" as in System.map "
                       "(Debian's System.map is a stub; the kernel's symbols are read from guest memory)",
                       f->path);
    f->bias = f->based && f->table.count ? f->base - f->table.rows[0].first : 0;
    return true;
}

static bool read_file(struct symbol_files *all, struct symbol_file *f, struct err *e)
{
    struct image img;
    if (!image_read(&img, "-symbols", f->path, SYMBOL_FILE_BYTES, e))
        return false;
    bool ok = elf_is(img.data, img.bytes) ? read_elf(all, f, &img, e) : read_map(f, &img, e);
    image_free(&img);
    const char *slash = strrchr(f->path, '/');
    f->name = slash ? slash + 1 : f->path;
    return ok;
}

static bool add(struct symbol_files *all, struct symbol_file *f, struct err *e)
{
    if (all->count == SYMBOL_FILES_MAX)
        return err_set(e, "-symbols: at most %d files are accepted", SYMBOL_FILES_MAX);
    if (!read_file(all, f, e))
        return false;
    all->file[all->count++] = *f;
    return true;
}

bool symbolfiles_add(struct symbol_files *all, const char *spec, struct err *e)
{
    struct symbol_file f = {0};
    bool ok = list_parse("-symbols", spec, "file", keys, sizeof keys / sizeof *keys, &f, e);
    if (ok && !f.path)
        ok = err_set(e, "-symbols: a file is needed: FILE[,base=ADDR][,process=NAME]");
    if (ok && add(all, &f, e))
        return true;
    file_free(&f);
    return false;
}

/* Only the beginning is read: a disk image may be large. */
static bool guest_elf(const char *path)
{
    uint8_t head[64] = {0};
    FILE *f = fopen(path, "rbe");
    size_t n = f ? fread(head, 1, sizeof head, f) : 0;
    if (f)
        fclose(f);
    return elf_is(head, n);
}

bool symbolfiles_add_guest(struct symbol_files *all, const char *path)
{
    struct symbol_file f = {.path = strdup(path)};
    struct err ignored;
    if (f.path && guest_elf(path) && add(all, &f, &ignored))
        return true;
    file_free(&f);
    return false;
}

void symbolfiles_finish(struct symbol_files *f)
{
    textindex_finish(&f->index);
}

void symbolfiles_free(struct symbol_files *f)
{
    for (unsigned i = 0; i < f->count; i++)
        file_free(&f->file[i]);
    textindex_free(&f->index);
    *f = (struct symbol_files){0};
}
