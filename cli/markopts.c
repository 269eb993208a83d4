/* markopts.c - see markopts.h. */
#include "cli/markopts.h"

#include "clockcore/ticks.h"
#include "machine/optvalue.h"
#include "translator/guest_state.h"

#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 63
#define COUNT(a)       (sizeof(a) / sizeof *(a))

/* Names go to logs as they are. */
static bool is_name(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");
    return n > 0 && n <= NAME_MAX_BYTES && name[n] == '\0' && !strstr(name, "..");
}

#define NAMES "1 to 63 letters, digits, \"_\", \"-\" and single \".\""

/* "NAME=" of a value; what is behind it up to the first comma goes to *first, the rest to *rest. */
static bool take_name(const char *option, const char *value, char **name, char **first, const char **rest,
                      struct err *e)
{
    char *buf = malloc(strlen(value) + 1);
    if (!buf)
        return err_set(e, "%s: no host memory", option);
    *rest = value;
    list_next(rest, buf);
    char *eq = strchr(buf, '=');
    bool ok = eq && eq[1];
    if (ok)
        *eq = '\0';
    ok = ok && is_name(buf);
    bool stored = ok && value_string(buf, name, e) && value_string(eq + 1, first, e);
    free(buf);
    return ok ? stored : err_set(e, "%s %s: NAME=... is accepted, NAME of " NAMES, option, value);
}

/* --- -mark --- */

static bool set_cr3(void *target, const char *value, struct err *e)
{
    struct mark_option *m = target;
    uint64_t v;
    m->has_cr3 = value_number(value, 0, UINT32_MAX, &v);
    m->cr3 = m->has_cr3 ? (uint32_t)v : 0;
    return m->has_cr3;
}

static bool set_process(void *target, const char *value, struct err *e)
{
    return *value && value_string(value, &((struct mark_option *)target)->process, e);
}

static bool set_mark_count(void *target, const char *value, struct err *e)
{
    return value_number(value, 1, INT64_MAX, &((struct mark_option *)target)->count_max);
}

#define REGISTERS "eax|ecx|edx|ebx|esp|ebp|esi|edi"
_Static_assert(IR_EAX == 0 && IR_ECX == 1 && IR_EDX == 2 && IR_EBX == 3 && IR_ESP == 4 && IR_EBP == 5 &&
                   IR_ESI == 6 && IR_EDI == 7,
               "REGISTERS");

static bool set_mark_value(void *target, const char *value, struct err *e)
{
    int i = value_choice(value, REGISTERS);
    ((struct mark_option *)target)->value = i < 0 ? 0 : (unsigned)i;
    return i >= 0;
}

static const struct list_key mark_keys[] = {
    {"cr3", "0..0xffffffff", set_cr3},
    {"process", "NAME", set_process},
    {"count", "N (hits, at least 1)", set_mark_count},
    {"value", REGISTERS, set_mark_value},
};

/* A number, or SYMBOL[+OFFSET] (observe/marks.h); symbols do not begin with a digit. */
static bool is_place(const char *where)
{
    uint64_t v;
    const char *plus = strchr(where, '+');
    size_t bytes = plus ? (size_t)(plus - where) : strlen(where);
    if (where[0] >= '0' && where[0] <= '9')
        return value_number(where, 0, UINT32_MAX, &v);
    return bytes > 0 && bytes <= MARK_SYMBOL_MAX && (!plus || value_number(plus + 1, 0, UINT32_MAX, &v));
}

bool markopts_mark(struct mark_options *o, const char *value, struct err *e)
{
    const char *rest;
    if (o->nmarks == MARKS_MAX)
        return err_set(e, "-mark %s: at most %d marks are accepted", value, MARKS_MAX);
    struct mark_option *m = &o->mark[o->nmarks++];
    *m = (struct mark_option){.count_max = UINT64_MAX};
    if (!take_name("-mark", value, &m->name, &m->where, &rest, e))
        return false;
    if (!is_place(m->where))
        return err_set(e, "-mark %s=%s: a linear address, SYMBOL or SYMBOL+OFFSET is accepted", m->name,
                       m->where);
    for (unsigned i = 0; i + 1 < o->nmarks; i++)
        if (strcmp(o->mark[i].name, m->name) == 0)
            return err_set(e, "-mark %s: there is a mark of this name; others are accepted", value);
    if (strcmp(m->name, MARKER_REFERENCE) == 0)
        return err_set(e, "-mark %s: the name is the device's; others are accepted", value);
    return !*rest || list_parse("-mark", rest, NULL, mark_keys, COUNT(mark_keys), m, e);
}

/* --- -region --- */

bool markopts_region(struct mark_options *o, const char *value, struct err *e)
{
    const char *rest;
    char *from = NULL, *dots;
    if (o->nregions == REGIONS_MAX)
        return err_set(e, "-region %s: at most %d regions are accepted", value, REGIONS_MAX);
    struct region_option *r = &o->region[o->nregions++];
    *r = (struct region_option){0};
    bool ok = take_name("-region", value, &r->name, &from, &rest, e);
    dots = ok ? strstr(from, "..") : NULL;
    if (ok && (!dots || !dots[2] || dots == from || *rest))
        ok = err_set(
            e, "-region %s: NAME=FROM..TO is accepted; FROM and TO are marks, marker or marker:VALUE", value);
    if (ok) {
        *dots = '\0';
        ok = value_string(from, &r->from, e) && value_string(dots + 2, &r->to, e);
    }
    free(from);
    for (unsigned i = 0; ok && i + 1 < o->nregions; i++)
        if (strcmp(o->region[i].name, r->name) == 0)
            ok = err_set(e, "-region %s: there is a region of this name; others are accepted", value);
    return ok;
}

/* --- -until --- */

static bool set_until_tick(void *target, const char *value, struct err *e)
{
    return value_number(value, 1, INT64_MAX, &((struct until_option *)target)->tick);
}

static bool set_until_mark(void *target, const char *value, struct err *e)
{
    return *value && value_string(value, &((struct until_option *)target)->mark, e);
}

static bool set_until_count(void *target, const char *value, struct err *e)
{
    return value_number(value, 1, INT64_MAX, &((struct until_option *)target)->count);
}

bool markopts_text(const char *value, char **text, struct err *e)
{
    return *value && strlen(value) <= MARK_TEXT_MAX && value_string(value, text, e);
}

static bool set_until_text(void *target, const char *value, struct err *e)
{
    return markopts_text(value, &((struct until_option *)target)->text, e);
}

static const struct list_key until_keys[] = {
    {"tick", "a number of ticks, at least 1,", set_until_tick},
    {"mark", "NAME|marker|marker:VALUE", set_until_mark},
    {"count", "N (at least 1)", set_until_count},
    {"text", "1 to 255 bytes (\",,\" for a comma)", set_until_text},
};

bool markopts_until(struct mark_options *o, const char *value, struct err *e)
{
    struct until_option *u = &o->until;
    if (!list_parse("-until", value, NULL, until_keys, COUNT(until_keys), u, e))
        return false;
    return u->tick != TICK_NEVER || u->mark || u->text ||
           err_set(e, "-until %s: tick=N, mark=NAME[,count=N] or text=TEXT is needed", value);
}

/* --- -mark-log --- */

static bool set_log_file(void *target, const char *value, struct err *e)
{
    struct mark_options *o = target;
    size_t n = strlen(value);
    o->log_json = o->log_json || (n > 5 && strcmp(value + n - 5, ".json") == 0);
    return *value && value_string(value, &o->log_file, e);
}

static bool set_log_format(void *target, const char *value, struct err *e)
{
    int i = value_choice(value, "human|json");
    ((struct mark_options *)target)->log_json = i == 1;
    return i >= 0;
}

static const struct list_key log_keys[] = {
    {"file", "FILE", set_log_file},
    {"format", "human|json", set_log_format},
};

bool markopts_log(struct mark_options *o, const char *value, struct err *e)
{
    if (!list_parse("-mark-log", value, "file", log_keys, COUNT(log_keys), o, e))
        return false;
    return o->log_file || err_set(e, "-mark-log %s: file=FILE is needed", value);
}

/* --- life --- */

void markopts_init(struct mark_options *o)
{
    o->until = (struct until_option){.tick = TICK_NEVER, .count = 1};
}

void markopts_free(struct mark_options *o)
{
    for (unsigned i = 0; i < o->nmarks; i++) {
        free(o->mark[i].name);
        free(o->mark[i].where);
        free(o->mark[i].process);
    }
    for (unsigned i = 0; i < o->nregions; i++) {
        free(o->region[i].name);
        free(o->region[i].from);
        free(o->region[i].to);
    }
    free(o->until.mark);
    free(o->until.text);
    free(o->log_file);
}
