/* linux.h - which task runs: Linux's `current`, its process number and name, read from guest memory.
 *
 * Nothing about a kernel version is written down here. Where `current` is, is what most instructions of the
 * kernel's text that load a variable through FS (the base of the CPU's own variables) load; kernels for one
 * CPU have a plain variable. Where its members are, comes from DWARF if a file has it, and else from their
 * shape: two parents, the lists of children and of siblings, the group's leader, which point to one another
 * in a way that nothing else does; "swapper" is the name of the task that is its own parent; 1 is the number
 * of that one's first child. Each claim is verified in memory before it is believed, and tried again later
 * where it does not hold yet. */
#ifndef TANDEM_OBSERVE_LINUX_H
#define TANDEM_OBSERVE_LINUX_H

#include "observe/elffile.h"
#include "observe/guest_view.h"

#define LINUX_COMM       16 /* bytes of a task's name, with its NUL; TASK_COMM_LEN since 1996 */
#define LINUX_CANDIDATES 16

struct linux_guest {
    bool prepared;                        /* candidates are known */
    bool located;                         /* current_at is right */
    bool numbered;                        /* offsets of pid and tgid too */
    bool by_cpu;                          /* variables are relative to percpu */
    uint32_t candidate[LINUX_CANDIDATES]; /* addresses of what may be `current` */
    unsigned candidates;
    uint32_t current_at; /* relative to percpu */
    uint32_t percpu;     /* base of FS in the kernel, when last seen */
    uint32_t kernel_cr3; /* page tables that showed the kernel */
    bool has_dwarf;
    struct task_offsets dwarf; /* what a file says, to be verified */
    struct task_offsets at;
    uint32_t root; /* the task that is its own parent */
};

struct linux_task {
    uint32_t pid, tid; /* 0, 0: the idle task, or not known yet */
    char name[LINUX_COMM];
};

/* text: the kernel's code. dwarf NULL: none. */
void linux_prepare(struct linux_guest *l, const struct guest_view *g, uint32_t cr3, uint32_t text_first,
                   uint32_t text_end, const struct task_offsets *dwarf);
/* The guest runs in the kernel, with this base of FS. */
void linux_see_kernel(struct linux_guest *l, uint32_t cr3, uint32_t fs_base);
/* Tries what is not known yet. Worth a call now and then. */
void linux_locate(struct linux_guest *l, const struct guest_view *g);
/* The task that runs. False: not known. */
bool linux_current(const struct linux_guest *l, const struct guest_view *g, uint32_t cr3,
                   struct linux_task *t);

#endif
