/* linux.c - see linux.h.
 *
 * The order of members that is relied on where there is no DWARF (include/linux/sched.h, unchanged
 * since 2.6): pid, tgid, [stack_canary,] real_parent, parent, children, sibling, group_leader each of 4
 * bytes, but for the two lists of 8. */
#include "observe/linux.h"

#include <stdlib.h>
#include <string.h>

#define TASK_BYTES   8192u               /* members that matter lie within */
#define KERNEL_FIRST 0x40000000u         /* lowest address that a kernel can be at (CONFIG_VMSPLIT_1G) */
#define PARENTS_MAX  64                  /* steps up to the task that is its own parent */
#define TEXT_MAX     (UINT32_C(2) << 20) /* of the text that is counted: enough to tell what is common in it */
#define BLOCK        65536u
#define OVERLAP                                                                                              \
    8u /* bytes of a block that the next one repeats: the longest instruction that is looked for */
#define COUNTERS 8192u /* a power of two */
#define PID_MAX  (1u << 22)

/* --- which variables does the kernel's text load most often? --- */

struct counter {
    uint32_t address, count;
};

static void count(struct counter *c, uint32_t address)
{
    uint32_t at = address * 0x9e3779b1u / (UINT32_MAX / COUNTERS + 1);
    for (unsigned i = 0; i < 16; i++, at = (at + 1) % COUNTERS) {
        if (c[at].count == 0)
            c[at].address = address;
        if (c[at].address == address) {
            c[at].count++;
            return;
        }
    }
}

/* MOV of 32 bits from a fixed address to a register, whole: bytes before the address, 0: it is none. */
static unsigned load_prefix(const uint8_t *p)
{
    if (p[0] == 0xa1)
        return 1;
    return p[0] == 0x8b && (p[1] & 0xc7) == 0x05 ? 2 : 0;
}

static void count_loads(const uint8_t *code, size_t bytes, struct counter *by_cpu, struct counter *plain)
{
    for (size_t i = 1; i + OVERLAP <= bytes; i++) {
        unsigned n = load_prefix(code + i);
        if (n)
            count(code[i - 1] == 0x64 ? by_cpu : plain, le32(code + i + n));
    }
}

static int by_count(const void *pa, const void *pb)
{
    const struct counter *a = pa, *b = pb;
    if (a->count != b->count)
        return a->count > b->count ? -1 : 1;
    return a->address < b->address ? -1 : a->address > b->address;
}

#define LOADS_MIN 8 /* what is loaded less often is not `current` */

static void choose(struct linux_guest *l, struct counter *by_cpu, struct counter *plain)
{
    qsort(by_cpu, COUNTERS, sizeof *by_cpu, by_count);
    qsort(plain, COUNTERS, sizeof *plain, by_count);
    l->by_cpu = by_cpu[0].count >= LOADS_MIN;
    const struct counter *c = l->by_cpu ? by_cpu : plain;
    for (l->candidates = 0; l->candidates < LINUX_CANDIDATES && c[l->candidates].count >= LOADS_MIN;
         l->candidates++)
        l->candidate[l->candidates] = c[l->candidates].address;
}

void linux_prepare(struct linux_guest *l, const struct guest_view *g, uint32_t cr3, uint32_t text_first,
                   uint32_t text_end, const struct task_offsets *dwarf)
{
    uint8_t *block = malloc(BLOCK);
    struct counter *by_cpu = calloc(2 * COUNTERS, sizeof *by_cpu);
    if (text_end - text_first > TEXT_MAX)
        text_end = text_first + TEXT_MAX;
    if (block && by_cpu) {
        for (uint32_t at = text_first; text_end - at > OVERLAP; at += BLOCK - OVERLAP) {
            uint32_t bytes = text_end - at < BLOCK ? text_end - at : BLOCK;
            count_loads(block, g->peek(g->ctx, cr3, at, block, bytes), by_cpu, by_cpu + COUNTERS);
            if (bytes < BLOCK)
                break;
        }
        choose(l, by_cpu, by_cpu + COUNTERS);
        l->prepared = true;
    }
    free(by_cpu);
    free(block);
    l->has_dwarf = dwarf != NULL;
    if (dwarf)
        l->dwarf = *dwarf;
}

/* --- the shape of a task --- */

static bool is_kernel(uint32_t addr)
{
    return addr >= KERNEL_FIRST && (addr & 3) == 0;
}

/* A list head: its neighbours point back to it. */
static bool is_list(const struct guest_view *g, uint32_t cr3, uint32_t head)
{
    uint32_t next, prev, back, forth;
    return view_read32(g, cr3, head, &next) && view_read32(g, cr3, head + 4, &prev) && is_kernel(next) &&
           is_kernel(prev) && view_read32(g, cr3, next + 4, &back) && view_read32(g, cr3, prev, &forth) &&
           back == head && forth == head;
}

/* Parents, lists and leader are at `parents` of this task. */
static bool has_parents(const struct guest_view *g, uint32_t cr3, uint32_t task, uint32_t parents)
{
    uint32_t real_parent, parent, leader;
    return view_read32(g, cr3, task + parents, &real_parent) && is_kernel(real_parent) &&
           view_read32(g, cr3, task + parents + 4, &parent) && is_kernel(parent) &&
           view_read32(g, cr3, task + parents + 24, &leader) && is_kernel(leader) &&
           is_list(g, cr3, task + parents + 8) && is_list(g, cr3, task + parents + 16);
}

/* The task that is its own parent, up from this one. 0: parents lead nowhere. */
static uint32_t find_root(const struct guest_view *g, uint32_t cr3, uint32_t task, uint32_t parents)
{
    for (unsigned i = 0; i < PARENTS_MAX; i++) {
        uint32_t parent;
        if (!has_parents(g, cr3, task, parents) || !view_read32(g, cr3, task + parents, &parent))
            return 0;
        if (parent == task)
            return task;
        task = parent;
    }
    return 0;
}

/* Offset of "swapper" in the root task. 0: it is nowhere. */
static uint32_t find_comm(const struct guest_view *g, uint32_t cr3, uint32_t root)
{
    uint8_t *task = malloc(TASK_BYTES);
    size_t bytes = task ? g->peek(g->ctx, cr3, root, task, TASK_BYTES) : 0;
    uint32_t found = 0;
    for (uint32_t at = 4; at + LINUX_COMM <= bytes && !found; at++)
        if (memcmp(task + at, "swapper", 7) == 0 && (task[at + 7] == 0 || task[at + 7] == '/'))
            found = at;
    free(task);
    return found;
}

/* Is this a task with parents at that offset? Then the rest of l->at is known too. */
static bool try_parents(struct linux_guest *l, const struct guest_view *g, uint32_t task, uint32_t parents,
                        bool dwarf)
{
    uint32_t root = find_root(g, l->kernel_cr3, task, parents);
    uint32_t comm = root ? find_comm(g, l->kernel_cr3, root) : 0;
    if (!comm || (dwarf && comm != l->dwarf.comm))
        return false;
    l->root = root;
    l->at.comm = comm;
    l->at.real_parent = parents;
    l->at.pid = l->dwarf.pid;
    l->at.tgid = l->dwarf.tgid;
    l->numbered = dwarf;
    return true;
}

static bool try_task(struct linux_guest *l, const struct guest_view *g, uint32_t task)
{
    if (!is_kernel(task))
        return false;
    if (l->has_dwarf && try_parents(l, g, task, l->dwarf.real_parent, true))
        return true;
    /* Without DWARF, or with that of another kernel. */
    for (uint32_t parents = 64; parents < TASK_BYTES - 64; parents += 4)
        if (has_parents(g, l->kernel_cr3, task, parents) && try_parents(l, g, task, parents, false))
            return true;
    return false;
}

/* The root's first child is process 1: that tells whether there is a canary in between. */
static void find_numbers(struct linux_guest *l, const struct guest_view *g)
{
    uint32_t parents = l->at.real_parent, head = l->root + parents + 8, node, child, word[3] = {0};
    if (!view_read32(g, l->kernel_cr3, head, &node) || node == head)
        return;
    child = node - (parents + 16);
    for (unsigned i = 0; i < 3; i++)
        if (!view_read32(g, l->kernel_cr3, child + parents - 12 + 4 * i, &word[i]))
            return;
    bool canary = word[0] == 1 && word[1] == 1;
    if (!canary && !(word[1] == 1 && word[2] == 1))
        return;
    l->at.pid = parents - (canary ? 12 : 8);
    l->at.tgid = l->at.pid + 4;
    l->numbered = true;
}

void linux_see_kernel(struct linux_guest *l, uint32_t cr3, uint32_t fs_base)
{
    l->kernel_cr3 = cr3;
    l->percpu = fs_base;
}

static uint32_t variable(const struct linux_guest *l, uint32_t address)
{
    return l->by_cpu ? l->percpu + address : address;
}

void linux_locate(struct linux_guest *l, const struct guest_view *g)
{
    for (unsigned i = 0; i < l->candidates && !l->located; i++) {
        uint32_t task;
        if (view_read32(g, l->kernel_cr3, variable(l, l->candidate[i]), &task) && try_task(l, g, task)) {
            l->current_at = l->candidate[i];
            l->located = true;
        }
    }
    if (l->located && !l->numbered)
        find_numbers(l, g);
}

/* --- reading --- */

static bool is_name(const char name[LINUX_COMM])
{
    size_t n = strnlen(name, LINUX_COMM);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
            return false;
    return n > 0 && n < LINUX_COMM;
}

static bool read_task(const struct linux_guest *l, const struct guest_view *g, uint32_t cr3,
                      struct linux_task *t)
{
    uint32_t task;
    *t = (struct linux_task){0};
    if (!view_read32(g, cr3, variable(l, l->current_at), &task) || !is_kernel(task) ||
        !view_read(g, cr3, task + l->at.comm, t->name, LINUX_COMM) || !is_name(t->name))
        return false;
    if (!l->numbered)
        return true;
    return view_read32(g, cr3, task + l->at.pid, &t->tid) &&
           view_read32(g, cr3, task + l->at.tgid, &t->pid) && t->tid < PID_MAX && t->pid < PID_MAX;
}

bool linux_current(const struct linux_guest *l, const struct guest_view *g, uint32_t cr3,
                   struct linux_task *t)
{
    /* A user's page tables may lack the kernel (page table isolation). */
    return l->located && (read_task(l, g, cr3, t) || read_task(l, g, l->kernel_cr3, t));
}
