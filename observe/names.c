/* names.c - see names.h. */
#include "observe/names.h"

#include "observe/attribute.h"
#include "observe/keymap.h"
#include "observe/symtab.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define SPACES_MAX 1000000u
#define TASKS_MAX  1000000u
#define TEXTS_MAX  20000000u

/* Symbols of one space; the name of row i in its table is "FILE\1NAME". */
struct space {
    struct symtab table;
};

/* Symbols of samples from one tick to before another. */
struct period {
    uint64_t space, from, to;
    struct symtab table;
};

struct names {
    struct space *space;
    struct period *period;
    uint32_t periods, periods_room;
    struct names_task *task;
    char **text;
    uint32_t spaces, spaces_room, tasks, tasks_room, texts, texts_room;
    struct keymap space_of, task_of; /* number of a space or task: 1 + index */
    struct keymap text_of;           /* hash of a text: 1 + index */
    bool failed;                     /* no memory */
};

/* Room for one more item in *items. */
static bool more(struct names *n, void **items, uint32_t *room, uint32_t used, size_t bytes)
{
    if (used < *room)
        return true;
    uint32_t want = *room * 2 + 64;
    void *p = realloc(*items, want * bytes);
    n->failed = n->failed || !p;
    if (!p)
        return false;
    *items = p;
    *room = want;
    return true;
}

static const char *new_text(struct names *n, uint32_t *number, const char *text)
{
    if (!more(n, (void **)&n->text, &n->texts_room, n->texts, sizeof *n->text))
        return "";
    char *copy = strdup(text);
    if (!copy) {
        n->failed = true;
        return "";
    }
    n->text[n->texts++] = copy;
    *number = n->texts;
    return copy;
}

const char *names_intern(struct names *n, const char *text)
{
    for (uint64_t key = XXH3_64bits(text, strlen(text));; key++) {
        bool is_new;
        uint32_t *number = keymap_at(&n->text_of, key, TEXTS_MAX, &is_new);
        if (!number) {
            n->failed = true;
            return "";
        }
        if (*number == 0)
            return new_text(n, number, text);
        if (strcmp(n->text[*number - 1], text) == 0)
            return n->text[*number - 1];
    }
}

/* --- records --- */

static struct space *space_at(struct names *n, uint64_t number)
{
    bool is_new;
    uint32_t *index = keymap_at(&n->space_of, number, SPACES_MAX, &is_new);
    if (!index || (*index == 0 && !more(n, (void **)&n->space, &n->spaces_room, n->spaces, sizeof *n->space)))
        return NULL;
    if (*index == 0) {
        n->space[n->spaces++] = (struct space){0};
        *index = n->spaces;
    }
    return &n->space[*index - 1];
}

/* "FILE\1NAME" of a row. */
static void add_row(struct names *n, struct symtab *t, json_t *row)
{
    char text[SYMBOL_NAME_MAX + 1];
    json_t *first = json_array_get(row, 0), *end = json_array_get(row, 1);
    const char *name = json_string_value(json_array_get(row, 2));
    const char *file = json_string_value(json_array_get(row, 3));
    uint64_t a = (uint64_t)json_integer_value(first), b = (uint64_t)json_integer_value(end);
    if (!json_is_integer(first) || !json_is_integer(end) || !name || !file || a >= b || b > UINT32_MAX)
        return;
    int bytes = snprintf(text, sizeof text, "%.500s\1%s", file, name);
    if (bytes > (int)SYMBOL_NAME_MAX)
        bytes = SYMBOL_NAME_MAX;
    n->failed = !symtab_add(t, (uint32_t)a, (uint32_t)(b - a), text, (size_t)bytes) || n->failed;
}

/* A record goes on with the period of the one before, or begins a new one. NULL: no memory. */
static struct symtab *table_of_period(struct names *n, uint64_t space, json_t *record)
{
    json_t *to = json_object_get(record, "to");
    const struct period p = {.space = space,
                             .from = (uint64_t)json_integer_value(json_object_get(record, "from")),
                             .to = to ? (uint64_t)json_integer_value(to) : UINT64_MAX};
    struct period *last = n->periods ? &n->period[n->periods - 1] : NULL;
    if (last && last->space == p.space && last->from == p.from && last->to == p.to)
        return &last->table;
    if (n->periods == SPACES_MAX ||
        !more(n, (void **)&n->period, &n->periods_room, n->periods, sizeof *n->period))
        return NULL;
    n->period[n->periods++] = p;
    return &n->period[n->periods - 1].table;
}

static struct symtab *table_of(struct names *n, json_t *record)
{
    const uint64_t space = (uint64_t)json_integer_value(json_object_get(record, "space"));
    if (json_object_get(record, "from"))
        return table_of_period(n, space, record);
    struct space *s = space_at(n, space);
    return s ? &s->table : NULL;
}

static void take_symbols(struct names *n, json_t *record)
{
    json_t *rows = json_object_get(record, "rows"), *row;
    size_t i;
    struct symtab *t = json_is_array(rows) ? table_of(n, record) : NULL;
    if (t)
        json_array_foreach(rows, i, row) add_row(n, t, row);
}

static void take_task(struct names *n, json_t *record)
{
    const char *name = json_string_value(json_object_get(record, "name"));
    const char *os = json_string_value(json_object_get(record, "os"));
    uint64_t id = (uint64_t)json_integer_value(json_object_get(record, "id"));
    bool is_new;
    uint32_t *index = name && os ? keymap_at(&n->task_of, id, TASKS_MAX, &is_new) : NULL;
    if (!index || *index || !more(n, (void **)&n->task, &n->tasks_room, n->tasks, sizeof *n->task))
        return;
    struct names_task t = {.os = strcmp(os, "minix") == 0 ? NAMES_MINIX : NAMES_LINUX};
    t.pid = json_integer_value(json_object_get(record, t.os == NAMES_MINIX ? "endpoint" : "pid"));
    t.tid = t.os == NAMES_MINIX ? t.pid : json_integer_value(json_object_get(record, "tid"));
    t.name = names_intern(n, name);
    n->task[n->tasks++] = t;
    *index = n->tasks;
}

static void take_record(struct names *n, const char *text)
{
    json_t *record = json_loads(text, 0, NULL);
    const char *type = json_string_value(json_object_get(record, "type"));
    if (type && strcmp(type, "task") == 0)
        take_task(n, record);
    if (type && strcmp(type, "symbols") == 0)
        take_symbols(n, record);
    json_decref(record);
}

static bool take_records(struct names *n, struct profile_reader *r, struct err *e)
{
    for (;;) {
        const char *json;
        enum profile_record kind = profile_next(r, NULL, &json, NULL, e);
        if (kind == PROFILE_ERROR)
            return false;
        if (kind == PROFILE_END)
            break;
        if (kind == PROFILE_JSON)
            take_record(n, json);
    }
    for (uint32_t i = 0; i < n->spaces; i++)
        symtab_finish(&n->space[i].table, UINT32_MAX);
    for (uint32_t i = 0; i < n->periods; i++)
        symtab_finish(&n->period[i].table, UINT32_MAX);
    return !n->failed || err_set(e, "out of memory");
}

struct names *names_load(const char *path, struct err *e)
{
    struct profile_head head;
    struct profile_reader *r = profile_open(path, &head, e);
    struct names *n = r ? calloc(1, sizeof *n) : NULL;
    if (n && take_records(n, r, e)) {
        profile_close(r);
        return n;
    }
    names_free(n);
    profile_close(r);
    return NULL;
}

void names_free(struct names *n)
{
    if (!n)
        return;
    for (uint32_t i = 0; i < n->spaces; i++)
        symtab_free(&n->space[i].table);
    for (uint32_t i = 0; i < n->periods; i++)
        symtab_free(&n->period[i].table);
    for (uint32_t i = 0; i < n->texts; i++)
        free(n->text[i]);
    keymap_free(&n->space_of);
    keymap_free(&n->task_of);
    keymap_free(&n->text_of);
    free(n->space);
    free(n->period);
    free(n->task);
    free(n->text);
    free(n);
}

/* --- questions --- */

struct names_task names_task(struct names *n, const struct sample *s)
{
    const uint32_t *index = s->task ? keymap_get(&n->task_of, s->task) : NULL;
    char text[32];
    if (index && *index)
        return n->task[*index - 1];
    if (s->cr3 == 0)
        return (struct names_task){.name = names_intern(n, "[paging off]")};
    snprintf(text, sizeof text, "cr3:%08x", s->cr3 & ~31u);
    return (struct names_task){.name = names_intern(n, text)};
}

static struct names_function no_symbol(struct names *n, const char *file, uint32_t lin_addr)
{
    char text[SYMBOL_NAME_MAX + 3];
    struct names_function f = {.name = "[unknown]", .file = file, .first = lin_addr};
    if (*file) {
        snprintf(text, sizeof text, file[0] == '[' ? "%s" : "[%s]", file);
        f.name = names_intern(n, text);
    }
    return f;
}

/* What holds for all ticks comes first: almost every sample is named by it. */
static const struct symbol *find_row(const struct names *n, const struct sample *s, uint64_t space,
                                     uint32_t lin_addr, const struct symtab **table)
{
    const uint32_t *index = keymap_get(&n->space_of, space);
    *table = index && *index ? &n->space[*index - 1].table : NULL;
    const struct symbol *row = *table ? symtab_row(*table, lin_addr) : NULL;
    for (uint32_t i = 0; !row && i < n->periods; i++) {
        const struct period *p = &n->period[i];
        if (p->space != space || s->tick < p->from || s->tick >= p->to)
            continue;
        *table = &p->table;
        row = symtab_row(*table, lin_addr);
    }
    return row;
}

struct names_function names_function(struct names *n, const struct sample *s, unsigned frame)
{
    const uint32_t lin_addr = attribute_address(s, frame);
    const struct symtab *table;
    const struct symbol *row = find_row(n, s, attribute_space(s, frame), lin_addr, &table);
    if (!row)
        return no_symbol(n, "", lin_addr);
    char file[SYMBOL_NAME_MAX + 1];
    const char *text = symtab_name(table, row), *name = strchr(text, 1);
    if (!name)
        return no_symbol(n, "", lin_addr);
    memcpy(file, text, (size_t)(name - text));
    file[name - text] = 0;
    const char *kept = names_intern(n, file);
    if (!name[1])
        return no_symbol(n, kept, lin_addr);
    return (struct names_function){name + 1, kept, row->first, true};
}
