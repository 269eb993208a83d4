/* account_internal.h - what account.c counts and accountprint.c shows. */
#ifndef TANDEM_OBSERVE_ACCOUNT_INTERNAL_H
#define TANDEM_OBSERVE_ACCOUNT_INTERNAL_H

#include "observe/account.h"

struct account_cell {
    uint16_t row;
    bool user;
    struct entry entry;
    uint64_t insns, samples;
    uint64_t times; /* the entry was made */
};

struct account_row {
    uint32_t cr3, task; /* task 0: not known */
    uint64_t idle_ticks, idle_samples;
};

#define ACCOUNT_ROW_SLOTS  (4 * ACCOUNT_ROWS_MAX)
#define ACCOUNT_CELL_SLOTS (2 * ACCOUNT_CELLS_MAX)

struct account {
    struct observe *hub;
    uint64_t begin_tick, tick; /* counted up to here */
    unsigned cell;             /* where the next instructions go */
    unsigned rows, cells;      /* in use, the other ones among them */
    uint64_t samples;
    uint16_t row_of[CONTEXT_PROCESSES_MAX]; /* of each process of the context; 0: none yet */
    struct account_row row[ACCOUNT_ROWS_MAX];
    struct account_cell cellv[ACCOUNT_CELLS_MAX];
    uint16_t row_slot[ACCOUNT_ROW_SLOTS]; /* by CR3 and task; 0: free */
    uint16_t cell_slot[ACCOUNT_CELL_SLOTS];
};

#endif
