/* account.h - exact counts: which process ran how many instructions, in user code and in each kernel entry.
 *
 * Counted where the guest goes from one to the other, not sampled: each retired instruction (an iteration of
 * a REP counts as one, as everywhere) belongs to one cell, and the sum of all cells is the vCPU's icount to
 * the instruction. Idle ticks are apart.
 *
 * A cell is a process, and user code or a kernel entry. What makes an entry or a return counts where it
 * stood: INT n in user code, IRET in the kernel. Nested entries count for the innermost one. A load of CR3 in
 * the kernel moves the account to the other process, and to the entry that is open there (context.h). Kernel
 * code of no entry is "not entered": the kernel's start, and what runs behind a load of CR3 in a process that
 * has not been in user code yet.
 *
 * A process is a value of CR3 and, where the guest tells it, a task (observe_set_guest), which is asked for
 * when the process returns to user code: CR3 of a process that has ended may come back with another one.
 *
 * Bounds: ACCOUNT_ROWS_MAX processes and ACCOUNT_CELLS_MAX cells. What does not fit is booked as "other". */
#ifndef TANDEM_OBSERVE_ACCOUNT_H
#define TANDEM_OBSERVE_ACCOUNT_H

#include "machine/err.h"
#include "observe/observe.h"

#include <stdio.h>

#define ACCOUNT_ROWS_MAX  4096
#define ACCOUNT_CELLS_MAX 32768
#define ACCOUNT_OTHER     0 /* row and cell */

struct account;
struct json_t;

/* Adds itself to the hub. NULL: no memory. */
struct account *account_create(struct observe *o);
void account_destroy(struct account *a); /* NULL is fine */
/* The machine stands at `tick`; counts from here. */
void account_begin(struct account *a, const struct guest_state *g, uint64_t tick);
/* Counts up to here. */
void account_end(struct account *a, uint64_t tick);
/* Instructions in all cells; idle ticks. */
uint64_t account_insns(const struct account *a);
uint64_t account_idle_ticks(const struct account *a);

/* --- samples, to compare --- */
/* Where the next instruction will be counted. */
unsigned account_cell(const struct account *a);
void account_sampled(struct account *a, unsigned cell, bool idle);

/* --- for people and programs --- */
void account_print(const struct account *a, FILE *f);
/* False: no memory, or f. */
bool account_print_json(const struct account *a, FILE *f);

#endif
