/* minix.h - which process runs: MINIX 3's process table, read from guest memory.
 *
 * Nothing about a version is written down: the table is where the names of the five kernel tasks ("asyncm",
 * "idle", "clock", "system", "kernel") stand at equal distances, with the numbers -5 to -1 at one offset
 * behind them; the member that holds CR3 is the one in which, time after time, exactly one process has the
 * CR3 that is loaded. */
#ifndef TANDEM_OBSERVE_MINIX_H
#define TANDEM_OBSERVE_MINIX_H

#include "observe/guest_view.h"

#define MINIX_NAME      16    /* bytes of a process's name, with its NUL (PROC_NAME_LEN) */
#define MINIX_PROC_MAX  4096u /* bytes of one row that are understood */
#define MINIX_PROCS_MAX 1024u /* rows that are looked at */
#define MINIX_HINTS     256u

struct minix_guest {
    bool found;         /* the table */
    bool located;       /* the member with CR3 */
    uint32_t first;     /* address of the first row's name */
    uint32_t stride;    /* bytes of a row */
    uint32_t endpoint;  /* offset from the name */
    int32_t cr3_member; /* offset from the name */
    uint32_t kernel_cr3;
    unsigned tries;  /* looks at the table */
    unsigned rounds; /* values of CR3 that candidates have stood */
    uint32_t last_cr3;
    uint8_t
        candidate[MINIX_PROC_MAX / 4]; /* members that may hold CR3, by offset from the name minus stride */
    uint16_t row[MINIX_HINTS];         /* where a CR3 was last */
};

struct minix_task {
    int32_t endpoint;
    char name[MINIX_NAME];
};

/* The kernel runs at `near`. False: no such table around there. */
bool minix_find(struct minix_guest *m, const struct guest_view *g, uint32_t cr3, uint32_t near);
/* A process runs in user mode with this CR3. */
void minix_see_user(struct minix_guest *m, const struct guest_view *g, uint32_t cr3);
/* The process whose CR3 is loaded. False: not known. */
bool minix_current(struct minix_guest *m, const struct guest_view *g, uint32_t cr3, struct minix_task *t);

#endif
