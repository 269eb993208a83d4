/* functions.c - see functions.h. */
#include "observe/functions.h"

#include "observe/keymap.h"

#include <stdlib.h>
#include <string.h>

/* --- one profile --- */

/* Is the node's function on the stack already, further out? */
static bool recursive(const struct calltree *t, uint32_t node)
{
    const struct call_node *n = &t->node[node];
    for (uint32_t at = n->parent; at != CALLTREE_NONE; at = t->node[at].parent)
        if (t->node[at].name == n->name && t->node[at].kind == n->kind)
            return true;
    return false;
}

static int by_self(const void *pa, const void *pb)
{
    const struct function_row *a = pa, *b = pb;
    if (a->self != b->self)
        return a->self > b->self ? -1 : 1;
    if (a->total != b->total)
        return a->total > b->total ? -1 : 1;
    int c = strcmp(a->name, b->name);
    return c ? c : a->kind - b->kind;
}

static bool add_node(const struct calltree *t, uint32_t node, struct functions *f, struct keymap *index)
{
    const struct call_node *n = &t->node[node];
    bool is_new;
    uint32_t *row = keymap_at(index, (uintptr_t)n->name << 3 | n->kind, CALLTREE_NODES_MAX, &is_new);
    if (!row)
        return false;
    if (is_new) {
        *row = f->count++;
        f->row[*row] = (struct function_row){.name = n->name, .kind = n->kind};
    }
    f->row[*row].self += n->self;
    f->row[*row].total += recursive(t, node) ? 0 : n->total;
    return true;
}

bool functions_of(const struct calltree *t, struct functions *f)
{
    struct keymap index = {0};
    *f = (struct functions){.row = calloc(t->nodes, sizeof *f->row)};
    bool ok = f->row != NULL;
    for (uint32_t i = 0; i < t->nodes && ok; i++)
        if (t->node[i].kind >= CALL_USER)
            ok = add_node(t, i, f, &index);
    keymap_free(&index);
    if (ok)
        qsort(f->row, f->count, sizeof *f->row, by_self);
    else
        functions_free(f);
    return ok;
}

void functions_free(struct functions *f)
{
    free(f->row);
    *f = (struct functions){0};
}

unsigned functions_top_paths(const struct calltree *t, enum call_kind kind, uint32_t *node, unsigned max)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < t->nodes; i++) {
        if (t->node[i].kind != kind || t->node[i].self == 0)
            continue;
        unsigned at = count < max ? count : max;
        while (at > 0 && t->node[node[at - 1]].self < t->node[i].self)
            at--;
        if (at >= max)
            continue;
        count += count < max;
        memmove(node + at + 1, node + at, (count - 1 - at) * sizeof *node);
        node[at] = i;
    }
    return count;
}

/* --- two profiles --- */

static int by_name(const void *pa, const void *pb)
{
    const struct function_pair *a = pa, *b = pb;
    int c = strcmp(a->name, b->name);
    return c ? c : a->kind - b->kind;
}

static int by_change(const void *pa, const void *pb)
{
    const struct function_pair *a = pa, *b = pb;
    double x = a->change < 0 ? -a->change : a->change, y = b->change < 0 ? -b->change : b->change;
    if (x != y)
        return x > y ? -1 : 1;
    return by_name(pa, pb);
}

/* Rows of one name become one; the count that is left. */
static uint32_t join(struct function_pair *row, uint32_t count, double every_a, double every_b)
{
    uint32_t kept = 0;
    if (count)
        qsort(row, count, sizeof *row, by_name);
    for (uint32_t i = 0; i < count; i++) {
        if (kept && by_name(&row[kept - 1], &row[i]) == 0) {
            row[kept - 1].a += row[i].a;
            row[kept - 1].b += row[i].b;
        } else {
            row[kept++] = row[i];
        }
    }
    for (uint32_t i = 0; i < kept; i++)
        row[i].change = (double)row[i].b * every_b - (double)row[i].a * every_a;
    if (kept)
        qsort(row, kept, sizeof *row, by_change);
    return kept;
}

static void put_functions(struct function_pairs *p, const struct functions *f, bool second)
{
    for (uint32_t i = 0; i < f->count; i++)
        p->row[p->count++] = (struct function_pair){.name = f->row[i].name,
                                                    .kind = f->row[i].kind,
                                                    .a = second ? 0 : f->row[i].self,
                                                    .b = second ? f->row[i].self : 0};
}

static void put_processes(struct function_pairs *p, const struct calltree *t, bool second)
{
    for (uint32_t i = 0; i < t->processes; i++) {
        const struct call_process *q = &t->process[i];
        uint64_t all = q->user + q->kernel + q->idle;
        p->process[p->processes++] = (struct function_pair){
            .name = q->task.name, .kind = CALL_PROCESS, .a = second ? 0 : all, .b = second ? all : 0};
    }
}

bool functions_pair(const struct calltree *a, const struct calltree *b, struct function_pairs *p)
{
    struct functions fa, fb = {0};
    *p = (struct function_pairs){0};
    bool ok = functions_of(a, &fa) && functions_of(b, &fb);
    if (ok) {
        p->row = calloc((size_t)fa.count + fb.count + 1, sizeof *p->row);
        p->process = calloc((size_t)a->processes + b->processes + 1, sizeof *p->process);
        ok = p->row && p->process;
    }
    if (ok) {
        put_functions(p, &fa, false);
        put_functions(p, &fb, true);
        put_processes(p, a, false);
        put_processes(p, b, true);
        p->count = join(p->row, p->count, (double)a->head.every, (double)b->head.every);
        p->processes = join(p->process, p->processes, (double)a->head.every, (double)b->head.every);
    }
    functions_free(&fa);
    functions_free(&fb);
    if (!ok)
        functions_pairs_free(p);
    return ok;
}

void functions_pairs_free(struct function_pairs *p)
{
    free(p->row);
    free(p->process);
    *p = (struct function_pairs){0};
}
