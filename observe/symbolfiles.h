/* symbolfiles.h - the files that -symbols names: ELF files and System.maps, with what was said about them.
 *
 * Where a file's code is in memory:
 *     base=ADDR given        its lowest address is there
 *     a System.map           at the addresses that it says
 *     ELF, kernel code       where it was linked (Multiboot kernels), or, when the guest has kallsyms, as far
 *                            from there as its `_stext` is from the guest's
 *     ELF, user code         where the code itself is found (textindex.h); with process=NAME in no other one
 */
#ifndef TANDEM_OBSERVE_SYMBOLFILES_H
#define TANDEM_OBSERVE_SYMBOLFILES_H

#include "machine/err.h"
#include "observe/elffile.h"
#include "observe/textindex.h"

#define SYMBOL_FILES_MAX  256
#define SYMBOL_FILE_BYTES (UINT64_C(2) << 30)

struct symbol_file {
    char *path, *process; /* owned; process NULL: any */
    const char *name;     /* in path: without the folder */
    bool elf, based;
    uint32_t base;
    uint32_t bias; /* what is added to addresses as linked, where that is known beforehand */
    struct elf_facts facts;
    struct symtab table; /* at addresses as linked */
};

struct symbol_files {
    struct symbol_file file[SYMBOL_FILES_MAX];
    uint32_t kernel_bias[SYMBOL_FILES_MAX]; /* the same for kernel code, as the guest says */
    unsigned count;
    struct text_index index;
    bool has_task; /* task is from a file's DWARF */
    struct task_offsets task;
};

/* spec: FILE[,base=ADDR][,process=NAME], the value of -symbols. */
bool symbolfiles_add(struct symbol_files *f, const char *spec, struct err *e);
/* A file of the guest's own (kernel, module): taken if it is an ELF file, else passed over: false. */
bool symbolfiles_add_guest(struct symbol_files *f, const char *path);
/* Behind the last file. */
void symbolfiles_finish(struct symbol_files *f);
void symbolfiles_free(struct symbol_files *f);

#endif
