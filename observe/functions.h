/* functions.h - the tree of calls, added up by function: for reports and comparisons. */
#ifndef TANDEM_OBSERVE_FUNCTIONS_H
#define TANDEM_OBSERVE_FUNCTIONS_H

#include "observe/calltree.h"

struct function_row {
    const char *name;
    uint8_t kind; /* enum call_kind */
    uint64_t self,
        total; /* samples; total counts a sample once, however often the function is on its stack */
};

struct functions {
    struct function_row *row; /* most of its own first */
    uint32_t count;
};

/* The same function or process in two profiles. */
struct function_pair {
    const char *name;
    uint8_t kind;
    uint64_t a, b; /* samples: of its own (functions), or all (processes) */
    double change; /* in ticks */
};

struct function_pairs {
    struct function_pair *row, *process; /* the greatest change first */
    uint32_t count, processes;
};

/* False: no memory. Names are those of the trees. */
bool functions_of(const struct calltree *t, struct functions *f);
void functions_free(struct functions *f);
bool functions_pair(const struct calltree *a, const struct calltree *b, struct function_pairs *p);
void functions_pairs_free(struct function_pairs *p);
/* The nodes of this kind with the most samples of their own, most first; returns how many, up to max. */
unsigned functions_top_paths(const struct calltree *t, enum call_kind kind, uint32_t *node, unsigned max);

#endif
