/* modules.c - see modules.h.
 *
 * Facts (include/linux/module.h, kernel/module/ of Linux): struct mod_kallsyms is { symtab, num_symtab,
 * strtab, ... }; symtab has Elf32_Sym (System V ABI, 4-18) whose first one is all zero and whose values are
 * addresses; struct module begins with its state (0 to 3), its place in the list of modules and its name, and
 * has the address of the mod_kallsyms in use right before its own one. */
#include "observe/modules.h"

#include <stdlib.h>
#include <string.h>

#define PAGE        4096u
#define SYM_BYTES   16u
#define HEAD_BYTES  12u
#define TRIES_MAX   4u
#define PAGES_MAX   100000u
#define MODULE_NAME 12u   /* offset in struct module */
#define MODULE_MAX  1024u /* its table is no further behind its beginning */
#define STATE_MAX   3u

/* A copy of the area. */
struct copy {
    const uint8_t *byte;
    uint32_t first, bytes;
};

static bool is_inside(const struct copy *c, uint32_t lin_addr, uint32_t bytes)
{
    return lin_addr >= c->first && lin_addr - c->first <= c->bytes &&
           c->bytes - (lin_addr - c->first) >= bytes;
}

static const uint8_t *byte_at(const struct copy *c, uint32_t lin_addr)
{
    return c->byte + (lin_addr - c->first);
}

/* --- its bounds --- */

static bool is_mapped(struct modules *m, const struct guest_view *g, uint32_t cr3, uint32_t page)
{
    uint8_t byte;
    m->work += PAGE;
    return view_read(g, cr3, page, &byte, 1);
}

/* Between areas lies a page that is not mapped. False: it is none of a module's. */
static bool bounds(struct modules *m, const struct guest_view *g, uint32_t cr3, uint32_t lin_addr,
                   struct module_area *a)
{
    const uint32_t page = lin_addr & ~(PAGE - 1);
    a->first = page;
    a->end = page + PAGE;
    while (a->first >= PAGE && page - a->first <= MODULES_AREA_MAX && is_mapped(m, g, cr3, a->first - PAGE))
        a->first -= PAGE;
    while (a->end && a->end - a->first <= MODULES_AREA_MAX && is_mapped(m, g, cr3, a->end))
        a->end += PAGE;
    return a->end > a->first && a->end - a->first <= MODULES_AREA_MAX;
}

/* --- the table --- */

static bool is_printable(uint8_t c)
{
    return c > 0x20 && c < 0x7f;
}

/* Bytes of a name at the address; -1: it does not end in the area, or has other characters. */
static int name_length(const struct copy *c, uint32_t lin_addr)
{
    for (uint32_t n = 0; n <= SYMBOL_NAME_MAX && is_inside(c, lin_addr, n + 1); n++) {
        const uint8_t byte = *byte_at(c, lin_addr + n);
        if (!byte)
            return (int)n;
        if (!is_printable(byte))
            return -1;
    }
    return -1;
}

static uint32_t name_of(const struct module_area *a, const uint8_t *sym)
{
    return a->head[2] + le32(sym);
}

static bool is_head(const struct copy *c, const struct module_area *a)
{
    const uint32_t count = a->head[1];
    return count >= 2 && count <= c->bytes / SYM_BYTES && (a->head[0] & 3) == 0 &&
           is_inside(c, a->head[0], count * SYM_BYTES) && is_inside(c, a->head[2], 1);
}

/* The first symbol is all zero and has no name, all others have one, and some are in the area. */
static bool table_holds(const struct copy *c, const struct module_area *a)
{
    static const uint8_t zero[SYM_BYTES];
    const uint8_t *sym = byte_at(c, a->head[0]);
    unsigned inside = 0;
    if (memcmp(sym, zero, SYM_BYTES) != 0 || *byte_at(c, a->head[2]) != 0)
        return false;
    for (uint32_t i = 1; i < a->head[1]; i++) {
        sym += SYM_BYTES;
        if (le32(sym) >= c->bytes || name_length(c, name_of(a, sym)) < 0)
            return false;
        inside += is_inside(c, le32(sym + 4), 1);
    }
    return inside > 0;
}

static bool find_table(struct modules *m, const struct copy *c, struct module_area *a)
{
    for (uint32_t at = 0; at + HEAD_BYTES <= c->bytes; at += 4) {
        for (unsigned i = 0; i < 3; i++)
            a->head[i] = le32(c->byte + at + 4 * i);
        if (!is_head(c, a))
            continue;
        m->work += a->head[1] * SYM_BYTES;
        a->at = c->first + at;
        if (table_holds(c, a))
            return true;
        if (m->work > MODULES_WORK_MAX)
            return false;
    }
    return false;
}

/* Local labels of assemblers are no functions. */
static bool take_symbol(const struct copy *c, struct module_area *a, const uint8_t *sym)
{
    const uint32_t value = le32(sym + 4), size = le32(sym + 8), name = name_of(a, sym);
    const uint8_t *text = byte_at(c, name);
    if (le16(sym + 14) == 0 || !is_inside(c, value, 1) || text[0] == 0 || text[0] == '$' || text[0] == '.')
        return true;
    return symtab_add(&a->table, value, size < c->bytes ? size : SYMBOL_SIZE_NONE, (const char *)text,
                      (size_t)name_length(c, name));
}

static bool take_symbols(const struct copy *c, struct module_area *a)
{
    for (uint32_t i = 1; i < a->head[1]; i++)
        if (!take_symbol(c, a, byte_at(c, a->head[0]) + i * SYM_BYTES))
            return false;
    symtab_finish(&a->table, a->end);
    return true;
}

/* --- the module's name --- */

static bool is_module_name(const char *name)
{
    size_t n = 0;
    for (; n < MODULES_NAME && name[n]; n++)
        if (!is_printable((uint8_t)name[n]) || name[n] == ']')
            return false;
    return n > 0 && n < MODULES_NAME;
}

/* Is this a struct module? Then its name is at `name`. */
static bool read_module(const struct guest_view *g, uint32_t cr3, uint32_t at, char name[MODULES_NAME])
{
    uint32_t state, next, prev, back, forth;
    if (!view_read32(g, cr3, at, &state) || state > STATE_MAX || !view_read32(g, cr3, at + 4, &next) ||
        !view_read32(g, cr3, at + 8, &prev) || !view_read(g, cr3, at + MODULE_NAME, name, MODULES_NAME))
        return false;
    return is_module_name(name) && view_read32(g, cr3, next + 4, &back) && back == at + 4 &&
           view_read32(g, cr3, prev, &forth) && forth == at + 4;
}

/* The table is a part of struct module, or has a symbol that says where that is. */
static bool find_module(const struct guest_view *g, uint32_t cr3, const struct copy *c,
                        const struct module_area *a, char name[MODULES_NAME])
{
    for (uint32_t back = 0; back < MODULE_MAX && is_inside(c, a->at - back, 4); back += 4)
        if (read_module(g, cr3, a->at - back, name))
            return true;
    for (uint32_t i = 1; i < a->head[1]; i++) {
        const uint8_t *sym = byte_at(c, a->head[0]) + i * SYM_BYTES;
        if (strcmp((const char *)byte_at(c, name_of(a, sym)), "__this_module") == 0)
            return read_module(g, cr3, le32(sym + 4), name);
    }
    return false;
}

static void name_area(const struct guest_view *g, uint32_t cr3, const struct copy *c, struct module_area *a)
{
    char name[MODULES_NAME] = "module";
    if (!find_module(g, cr3, c, a, name))
        strcpy(name, "module");
    const size_t n = strlen(name) < MODULES_NAME - 3 ? strlen(name) : MODULES_NAME - 3;
    a->name[0] = '[';
    memcpy(a->name + 1, name, n);
    memcpy(a->name + 1 + n, "]", 2);
}

/* --- areas --- */

static bool is_still_there(const struct guest_view *g, uint32_t cr3, const struct module_area *a)
{
    for (unsigned i = 0; i < 3; i++) {
        uint32_t word;
        if (!view_read32(g, cr3, a->at + 4 * i, &word) || word != a->head[i])
            return false;
    }
    return true;
}

static bool overlaps(const struct module_area *a, uint32_t first, uint32_t end)
{
    return a->first < end && first < a->end;
}

static void close_area(struct module_area *a, uint64_t tick)
{
    if (a->to == UINT64_MAX)
        a->to = tick;
}

static bool is_known(struct modules *m, const struct guest_view *g, uint32_t cr3, uint32_t lin_addr,
                     uint64_t tick)
{
    for (uint32_t i = m->count; i-- > 0;) {
        struct module_area *a = &m->area[i];
        if (a->to != UINT64_MAX || lin_addr < a->first || lin_addr >= a->end)
            continue;
        if (is_still_there(g, cr3, a))
            return true;
        close_area(a, tick);
    }
    return false;
}

static void add_area(struct modules *m, struct module_area *a, uint64_t tick)
{
    a->from = tick;
    a->to = UINT64_MAX;
    for (uint32_t i = 0; i < m->count; i++)
        if (overlaps(&m->area[i], a->first, a->end))
            close_area(&m->area[i], tick);
    m->area[m->count++] = *a;
}

static bool has_room(struct modules *m)
{
    if (m->count < m->room)
        return true;
    const uint32_t room = 2 * m->room + 16;
    struct module_area *more = m->count < MODULES_MAX ? realloc(m->area, room * sizeof *more) : NULL;
    if (!more)
        return false;
    m->area = more;
    m->room = room;
    return true;
}

static bool read_area(struct modules *m, const struct guest_view *g, uint32_t cr3, struct module_area *a)
{
    uint8_t *byte = malloc(a->end - a->first);
    const struct copy c = {byte, a->first, a->end - a->first};
    bool found =
        byte && view_read(g, cr3, a->first, byte, c.bytes) && find_table(m, &c, a) && take_symbols(&c, a);
    m->work += c.bytes;
    if (found)
        name_area(g, cr3, &c, a);
    free(byte);
    return found;
}

/* How often no table was found in the page; NULL: no memory. */
static uint32_t *tries_of(struct modules *m, uint32_t lin_addr)
{
    bool is_new;
    return keymap_at(&m->tries, lin_addr / PAGE, PAGES_MAX, &is_new);
}

static bool may_try(struct modules *m, uint32_t lin_addr)
{
    const uint32_t *tries = tries_of(m, lin_addr);
    return tries && m->work < MODULES_WORK_MAX && *tries < TRIES_MAX;
}

void modules_see(struct modules *m, const struct guest_view *g, uint32_t cr3, uint32_t lin_addr,
                 uint64_t tick)
{
    struct module_area a = {0};
    if (is_known(m, g, cr3, lin_addr, tick) || !may_try(m, lin_addr) || !has_room(m))
        return;
    if (bounds(m, g, cr3, lin_addr, &a) && read_area(m, g, cr3, &a)) {
        add_area(m, &a, tick);
        return;
    }
    symtab_free(&a.table);
    ++*tries_of(m, lin_addr);
}

static const struct module_area *area_at(const struct modules *m, uint32_t lin_addr)
{
    for (uint32_t i = m->count; i-- > 0;)
        if (m->area[i].to == UINT64_MAX && lin_addr >= m->area[i].first && lin_addr < m->area[i].end)
            return &m->area[i];
    return NULL;
}

/* Until it has run, the table in use is the one of its initialization, in an area of its own; struct module
 * has the address of it before the table that stays. */
void modules_loaded(struct modules *m, const struct guest_view *g, uint32_t cr3, uint32_t module,
                    uint64_t tick)
{
    uint32_t table;
    modules_see(m, g, cr3, module, tick);
    const struct module_area *a = area_at(m, module);
    if (a && view_read32(g, cr3, a->at - 4, &table) && (table < a->first || table >= a->end))
        modules_see(m, g, cr3, table, tick);
}

static bool is_named(const struct module_area *a, const char *module)
{
    const size_t n = strlen(module);
    return strncmp(a->name + 1, module, n) == 0 && strcmp(a->name + 1 + n, "]") == 0;
}

bool modules_find(const struct modules *m, const char *module, const char *symbol, uint32_t *lin_addr)
{
    for (uint32_t i = m->count; i-- > 0;) {
        const struct module_area *a = &m->area[i];
        if (a->to == UINT64_MAX && strlen(module) < MODULES_NAME - 2 && is_named(a, module) &&
            symtab_find(&a->table, symbol, lin_addr))
            return true;
    }
    return false;
}

void modules_free(struct modules *m)
{
    for (uint32_t i = 0; i < m->count; i++)
        symtab_free(&m->area[i].table);
    free(m->area);
    keymap_free(&m->tries);
    *m = (struct modules){0};
}
