/* elffile.h - what an ELF file for the i386 says: its symbols, its code, where members of struct task_struct
 * are.
 *
 * The file is read into memory first (machine/image.h) and is not trusted. */
#ifndef TANDEM_OBSERVE_ELFFILE_H
#define TANDEM_OBSERVE_ELFFILE_H

#include "observe/symtab.h"

#define ELF_CODE_MAX 16 /* executable segments of one file; later ones are not looked at */

/* A piece of the file that is mapped as code. */
struct elf_code {
    uint32_t lin_addr; /* as linked */
    uint32_t bytes;
    uint32_t offset; /* in the file */
};

struct elf_facts {
    uint32_t low; /* lowest address of all segments, as linked */
    bool fixed;   /* ET_EXEC: it runs where it was linked */
    struct elf_code code[ELF_CODE_MAX];
    unsigned codes;
};

/* Byte offsets in the kernel's struct task_struct. */
struct task_offsets {
    uint32_t pid, tgid, comm, real_parent;
};

bool elf_is(const uint8_t *image, size_t bytes);
/* Adds the file's functions at their link addresses to *out and finishes it. False: not an ELF file for the
 * i386 whose headers agree, or no memory. */
bool elf_read(uint8_t *image, size_t bytes, struct elf_facts *facts, struct symtab *out);
/* From DWARF. False: the file has none, or no complete struct task_struct is in it. */
bool elf_task_offsets(uint8_t *image, size_t bytes, struct task_offsets *to);

#endif
