/* account.c - see account.h. */
#include "observe/account_internal.h"

#include "clockcore/check.h"

#include <stdlib.h>

/* --- rows --- */

static uint32_t hash(uint64_t key)
{
    return (uint32_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

/* Where the row is, or would be. Half of the slots are free, so that the search ends: a row that was given a
 * name has two. */
static unsigned row_slot(const struct account *a, uint32_t cr3, uint32_t task)
{
    unsigned slot = hash((uint64_t)task << 32 | cr3) % ACCOUNT_ROW_SLOTS;
    for (; a->row_slot[slot]; slot = (slot + 1) % ACCOUNT_ROW_SLOTS) {
        const struct account_row *r = &a->row[a->row_slot[slot]];
        if (r->cr3 == cr3 && r->task == task)
            break;
    }
    return slot;
}

static unsigned row_find(struct account *a, uint32_t cr3, uint32_t task)
{
    const unsigned slot = row_slot(a, cr3, task);
    if (a->row_slot[slot])
        return a->row_slot[slot];
    if (a->rows == ACCOUNT_ROWS_MAX)
        return ACCOUNT_OTHER;
    a->row[a->rows] = (struct account_row){.cr3 = cr3, .task = task};
    a->row_slot[slot] = (uint16_t)a->rows;
    return a->rows++;
}

/* Of the context's current process. */
static unsigned row_here(struct account *a)
{
    const struct context *c = observe_context(a->hub);
    if (c->current == CONTEXT_OTHER)
        return ACCOUNT_OTHER;
    uint16_t *row = &a->row_of[c->current];
    if (!*row)
        *row = (uint16_t)row_find(a, context_process(c)->cr3, 0);
    return *row;
}

/* In user code the guest knows for sure whose it is: the first one takes what its kernel has run so far. */
static void name_row(struct account *a, const struct guest_state *g)
{
    const struct context *c = observe_context(a->hub);
    const uint32_t task = g->cpl == 3 ? observe_task(a->hub, g) : 0;
    const unsigned here = row_here(a);
    if (!task || here == ACCOUNT_OTHER || a->row[here].task == task)
        return;
    const unsigned slot = row_slot(a, a->row[here].cr3, task);
    if (a->row[here].task || a->row_slot[slot]) {
        a->row_of[c->current] = (uint16_t)row_find(a, a->row[here].cr3, task);
        return;
    }
    a->row[here].task = task;
    a->row_slot[slot] = (uint16_t)here;
}

/* --- cells --- */

static bool is_cell(const struct account_cell *c, unsigned row, bool user, const struct entry *e)
{
    return c->row == row && c->user == user && c->entry.kind == e->kind && c->entry.vector == e->vector &&
           c->entry.number == e->number;
}

static unsigned cell_find(struct account *a, unsigned row, bool user, struct entry e)
{
    const uint64_t key =
        (uint64_t)e.number << 32 ^ (uint64_t)row << 12 ^ (unsigned)e.vector << 4 ^ e.kind << 1 ^ user;
    unsigned slot = hash(key) % ACCOUNT_CELL_SLOTS;
    for (; a->cell_slot[slot]; slot = (slot + 1) % ACCOUNT_CELL_SLOTS)
        if (is_cell(&a->cellv[a->cell_slot[slot]], row, user, &e))
            return a->cell_slot[slot];
    if (a->cells == ACCOUNT_CELLS_MAX)
        return ACCOUNT_OTHER;
    a->cellv[a->cells] = (struct account_cell){.row = (uint16_t)row, .user = user, .entry = e};
    a->cell_slot[slot] = (uint16_t)a->cells;
    return a->cells++;
}

static void choose_cell(struct account *a, const struct guest_state *g)
{
    a->cell = cell_find(a, row_here(a), g->cpl == 3, context_entry(observe_context(a->hub), g));
}

/* --- counting --- */

static void count_to(struct account *a, uint64_t tick)
{
    CHECK(tick >= a->tick);
    a->cellv[a->cell].insns += tick - a->tick;
    a->tick = tick;
}

static void count_idle(struct account *a, uint64_t end)
{
    a->row[row_here(a)].idle_ticks += end - a->tick;
    a->tick = end;
}

static void on_event(void *ctx, const struct guest_state *g, const struct vcpu_event *e)
{
    struct account *a = ctx;
    count_to(a, e->tick);
    if (e->kind == VCPU_EVENT_IDLE) {
        count_idle(a, e->idle_end);
        return;
    }
    if (e->kind >= VCPU_EVENT_IRET && e->kind <= VCPU_EVENT_RET_FAR)
        name_row(a, g);
    choose_cell(a, g);
    if (e->kind <= VCPU_EVENT_GATE)
        a->cellv[a->cell].times++;
}

/* --- life --- */

struct account *account_create(struct observe *o)
{
    struct account *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    const struct vcpu_observer watcher = {.ctx = a, .event = on_event};
    a->hub = o;
    a->rows = a->cells = 1; /* the other ones */
    if (observe_add(o, &watcher))
        return a;
    free(a);
    return NULL;
}

void account_destroy(struct account *a)
{
    free(a);
}

void account_begin(struct account *a, const struct guest_state *g, uint64_t tick)
{
    a->begin_tick = a->tick = tick;
    choose_cell(a, g);
}

void account_end(struct account *a, uint64_t tick)
{
    count_to(a, tick);
}

uint64_t account_insns(const struct account *a)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < a->cells; i++)
        sum += a->cellv[i].insns;
    return sum;
}

uint64_t account_idle_ticks(const struct account *a)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < a->rows; i++)
        sum += a->row[i].idle_ticks;
    return sum;
}

unsigned account_cell(const struct account *a)
{
    return a->cell;
}

void account_sampled(struct account *a, unsigned cell, bool idle)
{
    uint64_t *samples = idle ? &a->row[a->cellv[cell].row].idle_samples : &a->cellv[cell].samples;
    (*samples)++;
    a->samples++;
}
