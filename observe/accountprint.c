/* accountprint.c - an account as text and as JSON. */
#include "observe/account_internal.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LINES_MAX  40 /* of a table that people read; JSON has all */
#define NAME_BYTES 64

/* One line: cells that were added up. */
struct line {
    struct account_cell cell;
    unsigned index; /* of the first of them: ties have an order */
    uint64_t idle;  /* ticks */
    uint64_t user;  /* instructions of user code among them */
    uint64_t idle_samples;
};

/* --- names --- */

static const char *const kind_names[ENTRY_KINDS] = {
    [ENTRY_NONE] = "not entered",    [ENTRY_EXCEPTION] = "exception",
    [ENTRY_INTERRUPT] = "interrupt", [ENTRY_SOFTWARE] = "software interrupt",
    [ENTRY_SYSENTER] = "sysenter",   [ENTRY_GATE] = "call gate"};

static const char *kind_name(const struct account_cell *c)
{
    return c->user ? "user" : kind_names[c->entry.kind];
}

static void entry_text(const struct account_cell *c, unsigned index, char *text)
{
    const struct entry *e = &c->entry;
    int n = snprintf(text, NAME_BYTES, "%s", index == ACCOUNT_OTHER ? "other" : kind_name(c));
    if (e->kind >= ENTRY_EXCEPTION && e->kind <= ENTRY_SOFTWARE)
        n += snprintf(text + n, NAME_BYTES - (size_t)n, " 0x%02x", e->vector);
    if (e->kind != ENTRY_NONE && e->number != ENTRY_NO_NUMBER)
        snprintf(text + n, NAME_BYTES - (size_t)n, e->kind == ENTRY_INTERRUPT ? " (IRQ %u)" : " (EAX %u)",
                 e->number);
}

/* False: the guest does not tell. */
static bool task_text(const struct account *a, const struct account_row *r, char *text)
{
    return r->task && observe_task_text(a->hub, r->task, text, NAME_BYTES);
}

static void row_text(const struct account *a, unsigned row, char *text)
{
    const struct account_row *r = &a->row[row];
    char task[NAME_BYTES];
    if (row == ACCOUNT_OTHER)
        snprintf(text, NAME_BYTES, "other");
    else if (task_text(a, r, task))
        snprintf(text, NAME_BYTES, "0x%08" PRIx32 " %.40s", r->cr3, task);
    else
        snprintf(text, NAME_BYTES, "0x%08" PRIx32, r->cr3);
}

/* --- sums --- */

static int by_size(const void *x, const void *y)
{
    const struct line *a = x, *b = y;
    if (a->cell.insns + a->idle != b->cell.insns + b->idle)
        return a->cell.insns + a->idle > b->cell.insns + b->idle ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

static int entry_compare(const struct account_cell *a, const struct account_cell *b)
{
    if (a->user != b->user)
        return a->user - b->user;
    if (a->entry.kind != b->entry.kind)
        return a->entry.kind - b->entry.kind;
    if (a->entry.vector != b->entry.vector)
        return a->entry.vector - b->entry.vector;
    return a->entry.number < b->entry.number ? -1 : a->entry.number > b->entry.number;
}

static int by_entry(const void *x, const void *y)
{
    const struct line *a = x, *b = y;
    const int order = entry_compare(&a->cell, &b->cell);
    return order ? order : a->index < b->index ? -1 : a->index > b->index;
}
static void add_cell(struct line *l, const struct account_cell *c)
{
    l->cell.insns += c->insns;
    l->cell.samples += c->samples;
    l->cell.times += c->times;
    l->user += c->user ? c->insns : 0;
}

/* A line for each process; NULL: no memory. */
static struct line *lines_of_rows(const struct account *a, unsigned *count)
{
    struct line *l = calloc(a->rows, sizeof *l);
    *count = a->rows;
    for (unsigned i = 0; l && i < a->rows; i++) {
        l[i].index = i;
        l[i].idle = a->row[i].idle_ticks;
        l[i].idle_samples = a->row[i].idle_samples;
    }
    for (unsigned i = 0; l && i < a->cells; i++)
        add_cell(&l[a->cellv[i].row], &a->cellv[i]);
    if (l)
        qsort(l, *count, sizeof *l, by_size);
    return l;
}

/* A line for each kernel entry, user code and the other one, whatever the process. */
static struct line *lines_of_entries(const struct account *a, unsigned *count)
{
    struct line *l = calloc(a->cells, sizeof *l);
    unsigned n = 0;
    if (!l)
        return NULL;
    for (unsigned i = 0; i < a->cells; i++)
        l[i] = (struct line){.cell = a->cellv[i], .index = i};
    qsort(l + 1, a->cells - 1, sizeof *l, by_entry); /* the other one stays alone */
    for (unsigned i = 1; i < a->cells; i++)
        if (n > 0 && entry_compare(&l[i].cell, &l[n].cell) == 0)
            add_cell(&l[n], &l[i].cell);
        else
            l[++n] = l[i];
    *count = n + 1;
    qsort(l, *count, sizeof *l, by_size);
    return l;
}

static uint64_t other_insns(const struct account *a)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < a->cells; i++)
        if (i == ACCOUNT_OTHER || a->cellv[i].row == ACCOUNT_OTHER)
            sum += a->cellv[i].insns;
    return sum;
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole ? 100.0 * (double)part / (double)whole : 0;
}

/* --- exact against sampled --- */

struct sampling {
    double largest, mean; /* differences, in percent of all ticks */
    double expected;      /* of the largest cell, twice the standard deviation of random samples */
};

static void add_difference(const struct account *a, struct sampling *s, uint64_t exact, uint64_t samples,
                           uint64_t ticks)
{
    const double share = percent(exact, ticks), difference = fabs(percent(samples, a->samples) - share);
    const double expected = 2 * sqrt(share * (100 - share) / (double)a->samples);
    s->largest = difference > s->largest ? difference : s->largest;
    s->expected = expected > s->expected ? expected : s->expected;
    s->mean += difference;
}

static struct sampling sampling_error(const struct account *a)
{
    const uint64_t ticks = account_insns(a) + account_idle_ticks(a);
    struct sampling s = {0};
    if (!a->samples)
        return s;
    for (unsigned i = 0; i < a->cells; i++)
        add_difference(a, &s, a->cellv[i].insns, a->cellv[i].samples, ticks);
    for (unsigned i = 0; i < a->rows; i++)
        add_difference(a, &s, a->row[i].idle_ticks, a->row[i].idle_samples, ticks);
    s.mean /= a->cells + a->rows;
    return s;
}

/* --- text --- */

static void print_share(const struct account *a, FILE *f, const struct line *l, uint64_t ticks)
{
    if (a->samples)
        fprintf(f, " %9.4f %9.4f", percent(l->cell.insns + l->idle, ticks),
                percent(l->cell.samples + l->idle_samples, a->samples));
    fputc('\n', f);
}

static void print_rows(const struct account *a, FILE *f, uint64_t insns, uint64_t ticks)
{
    unsigned count;
    struct line *l = lines_of_rows(a, &count);
    char name[NAME_BYTES];
    fprintf(f, "\n%-40s %15s %8s %15s %15s%s\n", "process", "instructions", "percent", "user", "idle ticks",
            a->samples ? " exact %   sampled %" : "");
    for (unsigned i = 0; l && i < count && i < LINES_MAX; i++) {
        if (l[i].cell.insns + l[i].idle == 0)
            continue;
        row_text(a, l[i].index, name);
        fprintf(f, "%-40s %15" PRIu64 " %8.3f %15" PRIu64 " %15" PRIu64, name, l[i].cell.insns,
                percent(l[i].cell.insns, insns), l[i].user, l[i].idle);
        print_share(a, f, &l[i], ticks);
    }
    if (count > LINES_MAX)
        fprintf(f, "%u more\n", count - LINES_MAX);
    free(l);
}

static void print_entries(const struct account *a, FILE *f, uint64_t insns, uint64_t ticks)
{
    unsigned count;
    struct line *l = lines_of_entries(a, &count);
    char name[NAME_BYTES];
    fprintf(f, "\n%-40s %15s %8s %15s %15s%s\n", "kernel entry", "instructions", "percent", "times", "each",
            a->samples ? " exact %   sampled %" : "");
    for (unsigned i = 0; l && i < count && i < LINES_MAX; i++) {
        const struct account_cell *c = &l[i].cell;
        if (c->insns == 0)
            continue;
        entry_text(c, l[i].index, name);
        fprintf(f, "%-40s %15" PRIu64 " %8.3f %15" PRIu64 " %15" PRIu64, name, c->insns,
                percent(c->insns, insns), c->times, c->times ? c->insns / c->times : 0);
        print_share(a, f, &l[i], ticks);
    }
    if (l && count > LINES_MAX)
        fprintf(f, "%u more\n", count - LINES_MAX);
    free(l);
}

void account_print(const struct account *a, FILE *f)
{
    const uint64_t insns = account_insns(a), idle = account_idle_ticks(a);
    const struct sampling s = sampling_error(a);
    fprintf(f, "%" PRIu64 " instructions and %" PRIu64 " idle ticks from tick %" PRIu64 " to %" PRIu64 "\n",
            insns, idle, a->begin_tick, a->tick);
    fprintf(f, "%" PRIu64 " instructions (%.3f %%) in what is booked as other\n", other_insns(a),
            percent(other_insns(a), insns));
    print_rows(a, f, insns, insns + idle);
    print_entries(a, f, insns, insns + idle);
    if (a->samples)
        fprintf(
            f,
            "\n%" PRIu64 " samples: they differ from the exact counts by at most %.4f %% of all ticks in "
            "any process and entry, %.4f %% in the mean;\nas many random samples would by about %.4f %%\n",
            a->samples, s.largest, s.mean, s.expected);
}

/* --- JSON --- */

static json_t *number(uint64_t v)
{
    return json_integer((json_int_t)v);
}

static json_t *json_row(const struct account *a, unsigned row)
{
    const struct account_row *r = &a->row[row];
    char task[NAME_BYTES];
    json_t *o = json_object();
    json_object_set_new(o, "process", number(row));
    json_object_set_new(o, "cr3", number(r->cr3));
    if (row == ACCOUNT_OTHER)
        json_object_set_new(o, "name", json_string("other"));
    else if (task_text(a, r, task))
        json_object_set_new(o, "name", json_string(task));
    json_object_set_new(o, "task", number(r->task));
    json_object_set_new(o, "idle_ticks", number(r->idle_ticks));
    json_object_set_new(o, "idle_samples", number(r->idle_samples));
    return o;
}

static json_t *json_cell(const struct account *a, unsigned i)
{
    const struct account_cell *c = &a->cellv[i];
    json_t *o = json_object();
    json_object_set_new(o, "process", number(c->row));
    json_object_set_new(o, "entry", json_string(i == ACCOUNT_OTHER ? "other" : kind_name(c)));
    if (c->entry.kind >= ENTRY_EXCEPTION && c->entry.kind <= ENTRY_SOFTWARE)
        json_object_set_new(o, "vector", number(c->entry.vector));
    if (c->entry.kind != ENTRY_NONE && c->entry.number != ENTRY_NO_NUMBER)
        json_object_set_new(o, c->entry.kind == ENTRY_INTERRUPT ? "irq" : "eax", number(c->entry.number));
    json_object_set_new(o, "times", number(c->times));
    json_object_set_new(o, "instructions", number(c->insns));
    json_object_set_new(o, "samples", number(c->samples));
    return o;
}

static json_t *json_sampling(const struct account *a)
{
    const struct sampling s = sampling_error(a);
    json_t *o = json_object();
    json_object_set_new(o, "samples", number(a->samples));
    json_object_set_new(o, "largest_difference_percent", json_real(s.largest));
    json_object_set_new(o, "mean_difference_percent", json_real(s.mean));
    json_object_set_new(o, "expected_percent", json_real(s.expected));
    return o;
}

bool account_print_json(const struct account *a, FILE *f)
{
    json_t *o = json_object(), *rows = json_array(), *cells = json_array();
    for (unsigned i = 0; i < a->rows; i++)
        json_array_append_new(rows, json_row(a, i));
    for (unsigned i = 0; i < a->cells; i++)
        json_array_append_new(cells, json_cell(a, i));
    json_object_set_new(o, "begin_tick", number(a->begin_tick));
    json_object_set_new(o, "end_tick", number(a->tick));
    json_object_set_new(o, "instructions", number(account_insns(a)));
    json_object_set_new(o, "idle_ticks", number(account_idle_ticks(a)));
    json_object_set_new(o, "other_instructions", number(other_insns(a)));
    json_object_set_new(o, "processes", rows);
    json_object_set_new(o, "cells", cells);
    if (a->samples)
        json_object_set_new(o, "sampling", json_sampling(a));
    const bool ok = o && json_dumpf(o, f, JSON_INDENT(1) | JSON_ENSURE_ASCII) == 0 && fputc('\n', f) != EOF;
    json_decref(o);
    return ok;
}
