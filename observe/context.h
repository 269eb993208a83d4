/* context.h - how the kernel was entered: followed from event to event, for each process.
 *
 * A process is a value of CR3. Each has the entries into its kernel that have not returned yet, innermost
 * last: an interrupt within a system call within a page fault. An entry pushes, a return to outer code takes
 * all entries away, an IRET within the kernel takes away the one whose stack it returns to (and those in it).
 * A load of CR3 puts the entries of the process aside and takes up those of the other one: the kernel
 * switches from one system call to another so.
 *
 * What this cannot see: a kernel that switches stacks without a load of CR3 (threads of one process, Linux's
 * kernel threads) goes on in the entries of the process whose CR3 it has.
 *
 * Bounds: CONTEXT_PROCESSES_MAX values of CR3, whatever comes later is process 0, "other";
 * CONTEXT_NEST_MAX entries, deeper ones count as the innermost that is known. */
#ifndef TANDEM_OBSERVE_CONTEXT_H
#define TANDEM_OBSERVE_CONTEXT_H

#include "vcpu/vcpu.h"

#define CONTEXT_PROCESSES_MAX 4096
#define CONTEXT_NEST_MAX      16
#define CONTEXT_OTHER         0
#define ENTRY_NUMBERS         1024       /* system calls that are told apart: 0 to this - 1 */
#define ENTRY_NO_NUMBER       UINT32_MAX /* none, or above */

enum entry_kind {
    ENTRY_NONE, /* user code; or kernel code that was not entered: a kernel that starts */
    ENTRY_EXCEPTION,
    ENTRY_INTERRUPT,
    ENTRY_SOFTWARE, /* INT n */
    ENTRY_SYSENTER,
    ENTRY_GATE, /* far CALL through a call gate */
    ENTRY_KINDS
};

struct entry {
    uint8_t kind;    /* enum entry_kind */
    uint8_t vector;  /* EXCEPTION, INTERRUPT, SOFTWARE; else 0 */
    uint32_t number; /* SOFTWARE and SYSENTER from CPL 3: EAX; INTERRUPT: the IRQ line */
};

struct open_entry {
    struct entry entry;
    uint8_t from_cpl;
    uint32_t from;     /* linear address of the instruction to return to */
    uint32_t from_ebp; /* EBP there */
    uint32_t esp;      /* at the handler's first instruction */
};

struct context_process {
    uint32_t cr3;
    unsigned depth; /* entries that are open */
    struct open_entry open[CONTEXT_NEST_MAX];
};

struct context {
    /* IRQ line behind an interrupt's vector, or -1; may be NULL. */
    int (*irq_line)(void *ctx, uint8_t vector);
    void *ctx;
    unsigned current; /* the process that runs */
    unsigned count;   /* processes in use, the other one among them */
    struct context_process process[CONTEXT_PROCESSES_MAX];
    uint16_t hash[2 * CONTEXT_PROCESSES_MAX]; /* process by CR3; 0: free */
};

/* The guest is here, and nothing is known of how it came. */
void context_begin(struct context *c, const struct guest_state *g);
void context_event(struct context *c, const struct guest_state *g, const struct vcpu_event *e);
/* The entry that the code belongs to which is to run next. */
struct entry context_entry(const struct context *c, const struct guest_state *g);
const struct context_process *context_process(const struct context *c);

#endif
