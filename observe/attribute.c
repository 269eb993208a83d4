/* attribute.c - see attribute.h.
 *
 * While the guest runs: every address that is sampled goes into a set, on a thread of its own; a page of user
 * code is looked for in the files when a process is first seen there, for later it may be gone. Names are
 * given at the end.
 */
#include "observe/attribute.h"

#include "observe/background.h"
#include "observe/jsonrows.h"
#include "observe/kallsyms.h"
#include "observe/keymap.h"
#include "observe/linux.h"
#include "observe/minix.h"
#include "observe/modules.h"
#include "observe/profilefile.h"
#include "observe/symbolfiles.h"
#include "translator/guest_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE          4096u
#define ADDRESSES_MAX 8000000u /* different ones; later ones have no name */
#define PAGES_MAX     1000000u /* of user code in all processes */
#define TASKS_MAX     1000000u
#define KERNEL_FIRST                                                                                         \
    0x40000000u         /* lowest address that a kernel with page tables of its own is looked for at */
#define SEARCHES    12u /* for kallsyms; each after 4 times as many samples as the one before */
#define MINIX_FROM  3u  /* searches before a MINIX is looked for: a kernel that starts has no processes */
#define LOCATES_MAX 4096u
#define CR0_PAGING  0x80000000u
#define SPACE_SHIFT 32
#define KEYS_BLOCK  8192u /* keys that are handed over at a time */
#define RECENT      1024u /* a power of two */

enum task_os { OS_LINUX, OS_MINIX };

struct task {
    enum task_os os;
    uint32_t pid, tid; /* MINIX: pid is the endpoint */
    char name[LINUX_COMM];
};

struct attribute {
    struct guest_view view;
    struct symbol_files files;
    struct symtab kallsyms;
    bool has_kallsyms;
    struct linux_guest lx;
    struct minix_guest mx;
    struct modules modules;
    uint64_t kernel_looks, next_search, locates;
    unsigned searches;
    struct task *task; /* task[0] is sample.task == 1 */
    uint32_t tasks, tasks_room;
    struct keymap task_of; /* hash of a task: its number */
    uint32_t last_number;
    struct linux_task last;        /* whose number it is; last_number 0: none */
    struct keymap addresses;       /* space << 32 | address: the thread's that `background` has */
    struct background *background; /* NULL: nothing has been sampled yet, or there is no thread */
    uint64_t *keys;                /* its block */
    unsigned nkeys;
    uint64_t recent[RECENT]; /* keys that have been handed over, among others */
    struct keymap pages;     /* the same of pages: 1 + index in place; 0: code of no file */
    struct place {
        uint32_t file, bias;
    } * place;
    uint32_t places, places_room;
};

_Static_assert(LINUX_COMM == MINIX_NAME, "struct task holds both");

struct attribute *attribute_create(void)
{
    struct attribute *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->next_search = 1;
    memset(a->recent, 0xff, sizeof a->recent); /* no key */
    return a;
}

void attribute_destroy(struct attribute *a)
{
    if (!a)
        return;
    background_destroy(a->background);
    symbolfiles_free(&a->files);
    symtab_free(&a->kallsyms);
    modules_free(&a->modules);
    keymap_free(&a->task_of);
    keymap_free(&a->addresses);
    keymap_free(&a->pages);
    free(a->task);
    free(a->place);
    free(a);
}

bool attribute_symbols(struct attribute *a, const char *spec, struct err *e)
{
    return symbolfiles_add(&a->files, spec, e);
}

bool attribute_guest_file(struct attribute *a, const char *path)
{
    return symbolfiles_add_guest(&a->files, path);
}

void attribute_begin(struct attribute *a, const struct guest_view *view)
{
    a->view = *view;
    symbolfiles_finish(&a->files);
}

/* --- spaces --- */

uint64_t attribute_space(const struct sample *s, unsigned frame)
{
    if (!(s->frame[frame].flags & FRAME_USER))
        return 0;
    return s->task ? 2 * (uint64_t)s->task : (s->cr3 & ~31u) + UINT64_C(1);
}

uint32_t attribute_address(const struct sample *s, unsigned frame)
{
    return s->frame[frame].lin_addr - (s->frame[frame].flags & FRAME_INSN ? 0 : 1);
}

/* --- the guest's system --- */

/* Linux's text is what kallsyms names first to last; what is no code in it is never counted often. */
static void prepare_linux(struct attribute *a, uint32_t cr3)
{
    const struct symtab *t = &a->kallsyms;
    if (t->count)
        linux_prepare(&a->lx, &a->view, cr3, t->rows[0].first, t->rows[t->count - 1].end,
                      a->files.has_task ? &a->files.task : NULL);
}

static void search(struct attribute *a, uint32_t cr3, uint32_t near)
{
    a->has_kallsyms = kallsyms_find(&a->view, cr3, near, &a->kallsyms);
    if (a->has_kallsyms)
        prepare_linux(a, cr3);
    else if (!a->mx.found && a->searches >= MINIX_FROM)
        minix_find(&a->mx, &a->view, cr3, near);
    a->searches++;
    a->next_search *= 4;
}

/* Looks at a moment in the kernel for what is not known yet. */
void attribute_look(struct attribute *a, const struct guest_state *g)
{
    const uint32_t at = g->seg[SEG_CS].base + g->eip;
    if (!(g->cr0 & CR0_PAGING) || at < KERNEL_FIRST || g->cpl != 0)
        return;
    a->kernel_looks++;
    if (!a->has_kallsyms && !a->mx.found && a->searches < SEARCHES && a->kernel_looks >= a->next_search)
        search(a, g->cr3, at);
    const struct segment *fs = &g->seg[SEG_FS];
    if (a->lx.prepared && (fs->sel & ~3u) && (fs->sel & 3) == 0)
        linux_see_kernel(&a->lx, g->cr3, fs->base);
    if (a->lx.prepared && a->lx.kernel_cr3 && !a->lx.numbered && a->locates < LOCATES_MAX) {
        a->locates += !a->lx.located;
        linux_locate(&a->lx, &a->view);
    }
}

static uint64_t hash_of(const struct task *t)
{
    uint64_t h = (uint64_t)t->pid << 32 ^ t->tid ^ (uint64_t)t->os << 63;
    for (unsigned i = 0; i < sizeof t->name; i++)
        h = (h ^ (uint8_t)t->name[i]) * UINT64_C(0x100000001b3);
    return h;
}

static bool same_task(const struct task *a, const struct task *b)
{
    return a->os == b->os && a->pid == b->pid && a->tid == b->tid && strcmp(a->name, b->name) == 0;
}

static uint32_t new_task(struct attribute *a, const struct task *t)
{
    if (a->tasks == a->tasks_room) {
        uint32_t room = a->tasks_room * 2 + 64;
        struct task *more = realloc(a->task, room * sizeof *more);
        if (!more)
            return 0;
        a->task = more;
        a->tasks_room = room;
    }
    a->task[a->tasks++] = *t;
    return a->tasks;
}

/* Number of a task; two with one hash (which no guest has by chance) try the next one. */
static uint32_t task_number(struct attribute *a, const struct task *t)
{
    for (uint64_t key = hash_of(t);; key++) {
        bool is_new;
        uint32_t *number = keymap_at(&a->task_of, key, TASKS_MAX, &is_new);
        if (number && (is_new || *number == 0))
            *number = new_task(a, t);
        if (!number || *number == 0 || same_task(&a->task[*number - 1], t))
            return number ? *number : 0;
    }
}

static bool same_linux_task(const struct linux_task *a, const struct linux_task *b)
{
    return a->pid == b->pid && a->tid == b->tid && memcmp(a->name, b->name, sizeof a->name) == 0;
}

static uint32_t linux_number(struct attribute *a, const struct linux_task *l)
{
    struct task t = {.os = OS_LINUX, .pid = l->pid, .tid = l->tid};
    if (a->last_number && same_linux_task(l, &a->last))
        return a->last_number;
    strcpy(t.name, l->name);
    a->last = *l;
    a->last_number = task_number(a, &t);
    return a->last_number;
}

static uint32_t minix_number(struct attribute *a, const struct minix_task *m)
{
    struct task t = {.os = OS_MINIX, .pid = (uint32_t)m->endpoint};
    strcpy(t.name, m->name);
    return task_number(a, &t);
}

uint32_t attribute_task(struct attribute *a, const struct guest_state *g)
{
    struct linux_task l;
    struct minix_task m;
    attribute_look(a, g);
    if (linux_current(&a->lx, &a->view, g->cr3, &l))
        return linux_number(a, &l);
    if (a->mx.found && g->cpl != 0)
        minix_see_user(&a->mx, &a->view, g->cr3);
    return minix_current(&a->mx, &a->view, g->cr3, &m) ? minix_number(a, &m) : 0;
}

bool attribute_task_text(const struct attribute *a, uint32_t task, char *text, size_t bytes)
{
    if (task == 0 || task > a->tasks)
        return false;
    const struct task *t = &a->task[task - 1];
    if (t->os == OS_MINIX)
        snprintf(text, bytes, "%s (endpoint %" PRId32 ")", t->name, (int32_t)t->pid);
    else if (t->pid == t->tid)
        snprintf(text, bytes, "%s (%" PRIu32 ")", t->name, t->pid);
    else
        snprintf(text, bytes, "%s (%" PRIu32 "/%" PRIu32 ")", t->name, t->pid, t->tid);
    return true;
}

/* --- user code --- */

/* What -symbols said beforehand about this process. */
static const struct symbol_file *told_file(const struct attribute *a, const char *process, uint32_t lin_addr)
{
    for (unsigned i = 0; i < a->files.count; i++) {
        const struct symbol_file *f = &a->files.file[i];
        bool here = f->process ? process && strcmp(f->process, process) == 0 : true;
        if (here && (f->based || (f->process && (f->facts.fixed || !f->elf))) &&
            symtab_row(&f->table, lin_addr - f->bias))
            return f;
    }
    return NULL;
}

/* The file whose page this is, by the piece at the address or else another one of the page. */
static const struct text_piece *find_piece(const struct attribute *a, uint32_t cr3, uint32_t lin_addr)
{
    uint8_t page[PAGE];
    uint32_t first = lin_addr & ~(PAGE - 1);
    if (!view_read(&a->view, cr3, first, page, PAGE))
        return NULL;
    for (uint32_t i = 0; i < PAGE / TEXT_PIECE; i++) {
        uint32_t at = ((lin_addr & (PAGE - 1)) + i * TEXT_PIECE) % PAGE / TEXT_PIECE * TEXT_PIECE;
        const struct text_piece *p = textindex_find(&a->files.index, page + at, first + at);
        if (p)
            return p;
    }
    return NULL;
}

static uint32_t new_place(struct attribute *a, uint32_t file, uint32_t bias)
{
    if (a->places == a->places_room) {
        uint32_t room = a->places_room * 2 + 256;
        struct place *more = realloc(a->place, room * sizeof *more);
        if (!more)
            return 0;
        a->place = more;
        a->places_room = room;
    }
    a->place[a->places++] = (struct place){file, bias};
    return a->places;
}

static void see_page(struct attribute *a, uint64_t space, uint32_t cr3, uint32_t lin_addr)
{
    bool is_new;
    uint32_t *place = keymap_at(&a->pages, space << SPACE_SHIFT | lin_addr / PAGE, PAGES_MAX, &is_new);
    if (!place || !is_new)
        return;
    const struct text_piece *p = find_piece(a, cr3, lin_addr);
    if (p) /* both lie equally far behind the beginning of their page */
        *place = new_place(a, p->file, (lin_addr & ~(PAGE - 1)) - (p->lin_addr & ~(PAGE - 1)));
}

static void add_keys(void *ctx, const void *block, size_t used)
{
    struct attribute *a = ctx;
    const uint64_t *key = block;
    bool is_new;
    for (size_t i = 0; i < used / sizeof *key; i++)
        keymap_at(&a->addresses, key[i], ADDRESSES_MAX, &is_new);
}

/* False: an address is added at once. */
static bool has_background(struct attribute *a)
{
    if (!a->background)
        a->background = background_create(add_keys, a, KEYS_BLOCK * sizeof *a->keys);
    if (a->background && !a->keys)
        a->keys = background_block(a->background);
    return a->background;
}

static void add_key(struct attribute *a, uint64_t key)
{
    if (!has_background(a)) {
        add_keys(a, &key, sizeof key);
        return;
    }
    a->keys[a->nkeys++] = key;
    if (a->nkeys < KEYS_BLOCK)
        return;
    background_hand_over(a->background, sizeof *a->keys * a->nkeys);
    a->keys = background_block(a->background);
    a->nkeys = 0;
}

/* All addresses are in the set. */
static void finish_keys(struct attribute *a)
{
    if (!a->background)
        return;
    background_wait(a->background);
    add_keys(a, a->keys, sizeof *a->keys * a->nkeys);
    a->nkeys = 0;
}

/* Code of the kernel that is not in its own text is a module's, maybe. */
static void see_kernel(struct attribute *a, const struct sample *s, uint32_t lin_addr)
{
    const struct symtab *t = &a->kallsyms;
    const bool own = t->count && lin_addr >= t->rows[0].first && lin_addr < t->rows[t->count - 1].end;
    if (t->count && !own && lin_addr >= KERNEL_FIRST)
        modules_see(&a->modules, &a->view, s->cr3, lin_addr, s->tick);
}

static void see_address(struct attribute *a, const struct sample *s, unsigned frame)
{
    const uint64_t space = attribute_space(s, frame);
    const uint32_t lin_addr = attribute_address(s, frame);
    const uint64_t key = space << SPACE_SHIFT | lin_addr;
    uint64_t *recent = &a->recent[(lin_addr ^ space) % RECENT];
    if (space == 0)
        see_kernel(a, s, lin_addr);
    if (*recent == key)
        return;
    *recent = key;
    add_key(a, key);
    if (space && a->files.index.count)
        see_page(a, space, s->cr3, lin_addr);
}

void attribute_sampled(struct attribute *a, const struct sample *s)
{
    for (unsigned i = 0; i < s->frames; i++)
        see_address(a, s, i);
}

/* --- names --- */

struct found {
    uint32_t first, end;
    const char *name, *file; /* file NULL: nothing is known */
};

/* The symbol around the address in one table, moved by bias. */
static bool in_table(const struct symtab *t, uint32_t lin_addr, uint32_t bias, struct found *f)
{
    const struct symbol *row = symtab_row(t, lin_addr - bias);
    if (!row)
        return false;
    f->first = row->first + bias;
    f->end = row->end + bias;
    f->name = symtab_name(t, row);
    return true;
}

/* How far the guest's kernel is from where a file has it. */
static uint32_t kernel_bias(const struct attribute *a, const struct symbol_file *f)
{
    uint32_t there, here;
    if (!f->based && a->has_kallsyms && symtab_find(&a->kallsyms, "_stext", &there) &&
        symtab_find(&f->table, "_stext", &here))
        return there - here;
    return f->bias;
}

static bool names_kernel(const struct symbol_file *f)
{
    return !f->process && (f->facts.fixed || f->based || !f->elf);
}

/* static int do_init_module(struct module *mod), in kernel/module of Linux; -mregparm=3: it is in EAX. */
void attribute_loaded(struct attribute *a, const struct guest_state *g, uint64_t tick)
{
    if (g->slot[IR_EAX] >= KERNEL_FIRST)
        modules_loaded(&a->modules, &a->view, g->cr3, g->slot[IR_EAX], tick);
}

static bool find_in_module(const struct attribute *a, const char *name, size_t module_bytes,
                           uint32_t *lin_addr)
{
    char module[MODULES_NAME];
    if (module_bytes >= sizeof module)
        return false;
    memcpy(module, name, module_bytes);
    module[module_bytes] = 0;
    return modules_find(&a->modules, module, name + module_bytes + 1, lin_addr);
}

bool attribute_find(const struct attribute *a, const char *name, uint32_t *lin_addr)
{
    const char *colon = strchr(name, ':');
    if (colon)
        return find_in_module(a, name, (size_t)(colon - name), lin_addr);
    for (unsigned i = 0; i < a->files.count; i++) {
        const struct symbol_file *f = &a->files.file[i];
        if (names_kernel(f) && symtab_find(&f->table, name, lin_addr)) {
            *lin_addr += kernel_bias(a, f);
            return true;
        }
    }
    return symtab_find(&a->kallsyms, name, lin_addr);
}

bool attribute_kernel_known(const struct attribute *a)
{
    return a->has_kallsyms || a->mx.found || a->searches >= SEARCHES;
}

static void name_kernel(const struct attribute *a, uint32_t lin_addr, struct found *out)
{
    for (unsigned i = 0; i < a->files.count; i++) {
        const struct symbol_file *f = &a->files.file[i];
        if (names_kernel(f) && in_table(&f->table, lin_addr, a->files.kernel_bias[i], out)) {
            out->file = f->name;
            return;
        }
    }
    if (in_table(&a->kallsyms, lin_addr, 0, out))
        out->file = "[kernel]";
}

static void name_user(const struct attribute *a, uint64_t space, uint32_t lin_addr, struct found *out)
{
    const char *process = space & 1 ? NULL : a->task[space / 2 - 1].name;
    const struct symbol_file *f = told_file(a, process, lin_addr);
    uint32_t bias = f ? f->bias : 0;
    const uint32_t *place = keymap_get(&a->pages, space << SPACE_SHIFT | lin_addr / PAGE);
    if (!f && place && *place) {
        f = &a->files.file[a->place[*place - 1].file];
        bias = a->place[*place - 1].bias;
        if (f->process && (!process || strcmp(f->process, process) != 0))
            return;
    }
    if (!f)
        return;
    out->file = f->name;
    if (!in_table(&f->table, lin_addr, bias, out)) {
        *out = (struct found){lin_addr, lin_addr + 1, "", f->name};
    }
}

/* --- the records --- */

static int by_key(const void *pa, const void *pb)
{
    const uint64_t *a = pa, *b = pb;
    return *a < *b ? -1 : *a > *b;
}

/* Keys of all addresses, ascending: by space, then by address. NULL: no memory, or none. */
static uint64_t *sorted_addresses(const struct attribute *a)
{
    uint64_t *key = a->addresses.count ? malloc(a->addresses.count * sizeof *key) : NULL;
    size_t n = 0;
    for (size_t i = 0; key && i < a->addresses.room; i++)
        if (a->addresses.item[i].used)
            key[n++] = a->addresses.item[i].key;
    if (key)
        qsort(key, n, sizeof *key, by_key);
    return key;
}

/* Index of the first key that is not below this one. */
static size_t first_key(const struct attribute *a, const uint64_t *key, uint64_t wanted)
{
    size_t low = 0, high = a->addresses.count;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        if (key[mid] < wanted)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void write_module(const struct attribute *a, const struct module_area *m, const uint64_t *key,
                         struct profile_writer *w)
{
    struct json_rows rows = {.writer = w, .from = m->from, .to = m->to};
    struct found last = {0};
    for (size_t i = first_key(a, key, m->first); i < a->addresses.count && key[i] < m->end; i++) {
        const uint32_t lin_addr = (uint32_t)key[i];
        struct found f = {lin_addr, lin_addr + 1, "", NULL};
        in_table(&m->table, lin_addr, 0, &f);
        if (f.first == last.first && f.end == last.end)
            continue;
        jsonrows_add(&rows, 0, f.first, f.end, f.name, m->name);
        last = f;
    }
    jsonrows_end(&rows);
}

static void write_symbols(struct attribute *a, struct profile_writer *w)
{
    uint64_t *key = sorted_addresses(a);
    struct json_rows rows = {.writer = w};
    struct found last = {0};
    uint64_t last_space = UINT64_MAX;
    for (size_t i = 0; key && i < a->addresses.count; i++) {
        uint64_t space = key[i] >> SPACE_SHIFT;
        uint32_t lin_addr = (uint32_t)key[i];
        struct found f = {0};
        if (space == 0)
            name_kernel(a, lin_addr, &f);
        else
            name_user(a, space, lin_addr, &f);
        if (!f.file || (space == last_space && f.first == last.first && f.end == last.end))
            continue;
        jsonrows_add(&rows, space, f.first, f.end, f.name, f.file);
        last_space = space;
        last = f;
    }
    jsonrows_end(&rows);
    for (uint32_t i = 0; key && i < a->modules.count; i++)
        write_module(a, &a->modules.area[i], key, w);
    free(key);
}

void attribute_write(struct attribute *a, struct profile_writer *w)
{
    finish_keys(a);
    for (unsigned i = 0; i < a->files.count; i++)
        a->files.kernel_bias[i] = kernel_bias(a, &a->files.file[i]);
    for (uint32_t i = 0; i < a->tasks; i++) {
        const struct task *t = &a->task[i];
        if (t->os == OS_LINUX)
            jsonrows_linux_task(w, i + 1, t->name, t->pid, t->tid);
        else
            jsonrows_minix_task(w, i + 1, t->name, (int32_t)t->pid);
    }
    write_symbols(a, w);
}
