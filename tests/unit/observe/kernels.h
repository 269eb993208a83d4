/* kernels.h - memory of guests that exist in tests alone: the tables of a Linux kernel and of a MINIX one,
 * laid out by the rules that observe/ finds them by. */
#ifndef TANDEM_TESTS_OBSERVE_KERNELS_H
#define TANDEM_TESTS_OBSERVE_KERNELS_H

#include "observe/guest_view.h"

#define KERNELS_BASE  UINT32_C(0xc8000000) /* where the memory is mapped, under any CR3 */
#define KERNELS_BYTES (1u << 20)
#define KERNELS_SYMS  600u
#define KERNELS_TEXT  0x1000u /* offset of the first function; each has KERNELS_STEP bytes */
#define KERNELS_STEP  32u

struct kernel_memory {
    uint8_t byte[KERNELS_BYTES];
};

struct guest_view kernels_view(const struct kernel_memory *m);

enum kallsyms_order {
    KALLSYMS_OLD,      /* offsets, base, number, names, markers, tokens */
    KALLSYMS_ABSOLUTE, /* the same with whole addresses */
    KALLSYMS_NEW       /* number, names, markers, tokens, offsets, base */
};

/* Puts the tables at offset `at`; returns the offset behind them. Symbol i is kernels_name(i). */
uint32_t kernels_put_kallsyms(struct kernel_memory *m, uint32_t at, enum kallsyms_order order);
/* text has 64 bytes. */
void kernels_name(unsigned i, char *text);

/* A kernel for several CPUs: its text loads `current` through FS. Tasks: swapper, init (1), kthreadd (2) and
 * sh (4242, thread 4243), which runs. */
struct linux_layout {
    bool canary;
    uint32_t percpu;  /* base of FS */
    uint32_t current; /* offset from it */
    uint32_t comm, parents;
};

void kernels_put_linux(struct kernel_memory *m, const struct linux_layout *l);
uint32_t kernels_task(unsigned i); /* address of task i in that order */

/* A process table: the five kernel tasks, then `processes` others "p0", "p1" and so on; process i has CR3
 * kernels_cr3(i) and endpoint 1000 + i. */
#define KERNELS_MINIX_STRIDE 612u
void kernels_put_minix(struct kernel_memory *m, uint32_t at, unsigned processes);
uint32_t kernels_cr3(unsigned i);

#endif
