/* modules.h - names in the modules of a Linux kernel, from what the module loader keeps in memory.
 *
 * Each module's area of code has a table of its symbols (struct mod_kallsyms of include/linux/module.h, since
 * Linux 4.5, and with the areas in one piece as until 6.3): addresses of symbols and of names, between them a
 * number. It is looked for by its shape where code is sampled that is in no table yet, and believed only if
 * all its symbols and names hold. What a module's initialization has, which is freed behind it, is an area of
 * its own. An area counts from the tick at which code in it is first sampled until something else is seen
 * there, for modules come and go.
 *
 * Trusts nothing. Bounds: MODULES_MAX areas of at most MODULES_AREA_MAX bytes, and MODULES_WORK_MAX bytes
 * read in all. */
#ifndef TANDEM_OBSERVE_MODULES_H
#define TANDEM_OBSERVE_MODULES_H

#include "observe/guest_view.h"
#include "observe/keymap.h"
#include "observe/symtab.h"

#define MODULES_MAX      1024u
#define MODULES_AREA_MAX (UINT32_C(8) << 20)
#define MODULES_WORK_MAX (UINT64_C(1) << 30)
#define MODULES_NAME     60u /* bytes, with the NUL; longer names are cut */

struct module_area {
    uint32_t first, end;     /* mapped from here to there */
    uint64_t from, to;       /* ticks of samples that it has: from the first one, to before the other */
    uint32_t at;             /* of the table of symbols */
    uint32_t head[3];        /* what stands there: addresses of symbols, their number, of names */
    char name[MODULES_NAME]; /* in brackets, as /proc/kallsyms has it */
    struct symtab table;
};

struct modules {
    struct module_area *area;
    uint32_t count, room;
    struct keymap tries; /* of a page: how often no table was found there */
    uint64_t work;
};

/* Code of the kernel is sampled at lin_addr, which is not in the kernel itself. Ticks never go back. */
void modules_see(struct modules *m, const struct guest_view *g, uint32_t cr3, uint32_t lin_addr,
                 uint64_t tick);
/* A module is about to run for the first time; its struct module is at that address. */
void modules_loaded(struct modules *m, const struct guest_view *g, uint32_t cr3, uint32_t module,
                    uint64_t tick);
/* Address of a symbol in a module of that name (as /proc/modules has it): in the one that was seen last and
 * that no other one has replaced. False: there is none. */
bool modules_find(const struct modules *m, const char *module, const char *symbol, uint32_t *lin_addr);
void modules_free(struct modules *m);

#endif
