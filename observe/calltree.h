/* calltree.h - all samples of a profile as one tree of calls: processes, in each its outermost functions, in
 * each of those what they called. What flame graphs, collapsed stacks, reports and comparisons are made of.
 *
 * Children are in the order of their samples, then of their names, so that equal profiles give equal files.
 */
#ifndef TANDEM_OBSERVE_CALLTREE_H
#define TANDEM_OBSERVE_CALLTREE_H

#include "observe/names.h"

#define CALLTREE_NODES_MAX     16000000u
#define CALLTREE_PROCESSES_MAX 4096u
#define CALLTREE_ENTRIES_MAX   8192u
#define CALLTREE_ROOT          0u /* the node of everything */
#define CALLTREE_NONE          UINT32_MAX

enum call_kind { CALL_ROOT, CALL_PROCESS, CALL_USER, CALL_KERNEL, CALL_IDLE };

struct call_node {
    const char *name;
    uint32_t parent, child, sibling; /* first child, next sibling; CALLTREE_NONE: none */
    uint64_t self, total;            /* samples */
    uint8_t kind;                    /* enum call_kind */
};

struct call_process {
    struct names_task task;
    uint64_t user, kernel, idle; /* samples; their sum is all */
    uint64_t rep;                /* of user and kernel: iterations of repeated string instructions */
};

/* Samples in the kernel, by how it was entered. */
struct call_entry {
    struct entry entry;
    uint64_t samples;
};

/* Samples in kernel code, idling apart: how good the profile is. */
struct call_quality {
    uint64_t samples, named; /* named: a symbol is around the address */
    uint64_t whole;          /* the stack was followed to its outermost frame */
};

struct calltree {
    struct profile_head head;
    uint64_t end_tick, samples;
    struct call_quality kernel[2]; /* without page tables (CR3 is 0), with them */
    struct names *names;
    struct call_node *node;
    uint32_t nodes, nodes_room;
    struct call_process *process; /* most samples first */
    uint32_t processes, processes_room;
    struct call_entry *entry; /* most samples first */
    uint32_t entries, entries_room;
};

/* Calls `each` for every sample of a profile, in order. False: e says why. */
bool profile_each(const char *path, void (*each)(void *ctx, const struct sample *s), void *ctx,
                  struct profile_head *head, uint64_t *end_tick, struct err *e);
/* NULL: e says why. */
struct calltree *calltree_load(const char *path, struct err *e);
void calltree_free(struct calltree *t); /* NULL is fine */

#endif
