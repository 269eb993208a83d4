/* elffile_dwarf.c - the DWARF half of elffile.h: where members of a struct are. */
#include "observe/elffile.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <string.h>

#define UNITS_MAX   100000u
#define ENTRIES_MAX 1000000u /* of one unit's outermost level, and members of one struct */

static bool named(Dwarf_Die *die, int tag, const char *name)
{
    const char *has = dwarf_tag(die) == tag ? dwarf_diename(die) : NULL;
    return has && strcmp(has, name) == 0;
}

static bool member_offset(Dwarf_Die *member, uint32_t *to)
{
    Dwarf_Attribute attribute;
    Dwarf_Word v;
    if (!dwarf_attr(member, DW_AT_data_member_location, &attribute) || dwarf_formudata(&attribute, &v) != 0 ||
        v > UINT16_MAX)
        return false;
    *to = (uint32_t)v;
    return true;
}

static bool read_members(Dwarf_Die *task, struct task_offsets *to)
{
    struct {
        const char *name;
        uint32_t *to;
    } wanted[] = {
        {"pid", &to->pid}, {"tgid", &to->tgid}, {"comm", &to->comm}, {"real_parent", &to->real_parent}};
    unsigned found = 0;
    Dwarf_Die member;
    int more = dwarf_child(task, &member);
    for (unsigned n = 0; more == 0 && n < ENTRIES_MAX; n++) {
        for (unsigned i = 0; i < sizeof wanted / sizeof *wanted; i++)
            if (named(&member, DW_TAG_member, wanted[i].name) && member_offset(&member, wanted[i].to))
                found |= 1u << i;
        more = dwarf_siblingof(&member, &member);
    }
    return found == (1u << sizeof wanted / sizeof *wanted) - 1;
}

static bool search_unit(Dwarf_Die *unit, struct task_offsets *to)
{
    Dwarf_Die die;
    int more = dwarf_child(unit, &die);
    for (unsigned n = 0; more == 0 && n < ENTRIES_MAX; n++) {
        if (named(&die, DW_TAG_structure_type, "task_struct") && read_members(&die, to))
            return true;
        more = dwarf_siblingof(&die, &die);
    }
    return false;
}

static bool search(Dwarf *dwarf, struct task_offsets *to)
{
    Dwarf_Off at = 0, next;
    size_t header;
    for (unsigned n = 0; n < UNITS_MAX; n++) {
        Dwarf_Die unit;
        if (dwarf_nextcu(dwarf, at, &next, &header, NULL, NULL, NULL) != 0 || next <= at)
            return false;
        if (dwarf_offdie(dwarf, at + header, &unit) && search_unit(&unit, to))
            return true;
        at = next;
    }
    return false;
}

bool elf_task_offsets(uint8_t *image, size_t bytes, struct task_offsets *to)
{
    elf_version(EV_CURRENT);
    Elf *elf = elf_memory((char *)image, bytes);
    Dwarf *dwarf = elf ? dwarf_begin_elf(elf, DWARF_C_READ, NULL) : NULL;
    bool ok = dwarf && search(dwarf, to);
    if (dwarf)
        dwarf_end(dwarf);
    if (elf)
        elf_end(elf);
    return ok;
}
